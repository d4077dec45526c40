//! A store and a log that fail at a chosen call: before its effect, after it, or with the whole process.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use async_trait::async_trait;
use provex_core::digest::Digest;
use provex_core::entry::{HashedRekord, LogEntry};
use provex_core::ids::{BundleDigest, DocumentDigest, EnvelopeDigest, LogId, ObservationId, TenantId};
use provex_core::ledger::{AttestationFilter, Head, PreviousAnchor};
use provex_core::tile::TilePath;
use provex_core::time::Timestamp;
use provex_core::trusted_root::TrustedLog;
use provex_store::{
    Answer, ApiToken, AttestableDocument, AttestationPage, AttestationPosition, AttestationStream, Backlog,
    Counts, DocumentRow, Dropped, Error, EventRow, IdempotentAnswer, KeptDocument, KeptLogEntry, Lease,
    LeaseToken, LinkCounts, LogCheckpoint, NewAnchor, NewDocument, NewEnvelope, NewLink, NewRoot,
    NewStatement, ObservationFilter, ObservationPosition, ObservationRow, QueuedSubmission, RecordedDocument,
    Recording, Release, RootRow, Settle, SignedEnvelope, Stage, StandingRow, StatementRow, Store,
    StoredEnvelope, Submission,
};
use provex_tlog::embedded::EmbeddedLog;
use provex_tlog::{LogError, TransparencyLog};
use tokio::sync::Notify;
use uuid::Uuid;

/// What happens at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails and has no effect.
    Fails,
    /// It has its effect, and the caller is told that it failed.
    AnswerLost,
    /// The process is killed before it.
    KilledBefore,
    /// The process is killed when the call has run for so many steps.
    KilledWithin(u32),
    /// The process is killed after its effect, before the caller knows.
    KilledAfter,
}

impl Fault {
    /// What can happen at a call of this method: where it only reads, no effect can be lost.
    pub fn all(method: &str) -> &'static [Self] {
        const ALL: [Fault; 6] = [
            Fault::Fails,
            Fault::KilledBefore,
            Fault::AnswerLost,
            Fault::KilledWithin(1),
            Fault::KilledWithin(3),
            Fault::KilledAfter,
        ];
        let reads = READS.contains(&method.trim_start_matches("log: "));
        if reads { &ALL[..2] } else { &ALL }
    }
}

const READS: [&str; 14] = [
    "attestable_documents",
    "backlog",
    "checkpoint",
    "consistency_proof",
    "envelopes",
    "ledger_events",
    "ledger_hashes",
    "ledger_head",
    "ledger_roots",
    "log_checkpoint",
    "newest_ledger_anchor",
    "newest_ledger_root",
    "observation_bodies",
    "signed_envelopes",
];

/// A call: the method, and how often it was called before in this process.
pub type Point = (&'static str, u32);

/// Which fault comes where, in one process.
#[derive(Default)]
pub struct Faults {
    planned: Option<(Point, Fault)>,
    state: Mutex<State>,
    killing: Notify,
}

#[derive(Default)]
struct State {
    calls: BTreeMap<&'static str, u32>,
    hit: bool,
    dead: bool,
    notes: BTreeSet<Vec<u8>>,
}

impl Faults {
    pub fn none() -> Arc<Self> {
        Arc::default()
    }

    pub fn at(point: Point, fault: Fault) -> Arc<Self> {
        Arc::new(Self { planned: Some((point, fault)), ..Self::default() })
    }

    /// All calls that there were.
    pub fn points(&self) -> Vec<Point> {
        let calls = &self.state.lock().unwrap().calls;
        calls.iter().flat_map(|(method, calls)| (0..*calls).map(|n| (*method, n))).collect()
    }

    /// Whether the planned call came.
    pub fn hit(&self) -> bool {
        self.state.lock().unwrap().hit
    }

    /// Returns when the process is to be killed.
    pub async fn killed(&self) {
        self.killing.notified().await;
    }

    /// The checkpoints that the log answered.
    pub fn notes(&self) -> BTreeSet<Vec<u8>> {
        std::mem::take(&mut self.state.lock().unwrap().notes)
    }

    fn next(&self, method: &'static str) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        let calls = state.calls.entry(method).or_default();
        let point = (method, *calls);
        *calls += 1;
        let (_, fault) = self.planned.filter(|(planned, _)| *planned == point)?;
        state.hit = true;
        Some(fault)
    }

    fn is_dead(&self) -> bool {
        self.state.lock().unwrap().dead
    }

    fn kill(&self) {
        self.state.lock().unwrap().dead = true;
        self.killing.notify_one();
    }

    /// A dead process does nothing any more. A thread cannot be dropped as a task is: it unwinds.
    async fn stop(&self, on_thread: bool) -> ! {
        if on_thread {
            std::panic::resume_unwind(Box::new("killed"));
        }
        std::future::pending().await
    }

    /// One call, with the fault that comes there.
    async fn call<T, E: Injected>(
        &self,
        method: &'static str,
        on_thread: bool,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        if self.is_dead() {
            self.stop(on_thread).await;
        }
        let fault = self.next(method);
        match fault {
            Some(Fault::Fails) => return Err(E::failed(method)),
            Some(Fault::KilledBefore) => {
                self.kill();
                self.stop(on_thread).await;
            }
            Some(Fault::KilledWithin(steps)) => {
                run_for(steps, call).await;
                self.kill();
                self.stop(on_thread).await
            }
            Some(Fault::AnswerLost | Fault::KilledAfter) | None => {}
        }
        let answer = call.await;
        if fault == Some(Fault::KilledAfter) {
            self.kill();
        }
        if self.is_dead() {
            self.stop(on_thread).await;
        }
        if fault == Some(Fault::AnswerLost) { Err(E::lost(method)) } else { answer }
    }
}

/// Polls a future so often, then drops it.
async fn run_for(steps: u32, future: impl Future) {
    let mut future = pin!(future);
    let mut polled = 0;
    std::future::poll_fn(|context| {
        polled += 1;
        if polled > steps || future.as_mut().poll(context).is_ready() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// An error as the contract of its trait has it.
trait Injected {
    fn failed(method: &'static str) -> Self;
    fn lost(method: &'static str) -> Self;
}

impl Injected for Error {
    fn failed(method: &'static str) -> Self {
        Self::Database { operation: method, source: "injected".into() }
    }

    fn lost(_: &'static str) -> Self {
        Self::OutcomeUnknown
    }
}

impl Injected for LogError {
    fn failed(method: &'static str) -> Self {
        Self::unavailable(format!("{method}: injected"))
    }

    fn lost(method: &'static str) -> Self {
        Self::in_doubt(format!("{method}: the answer was lost"))
    }
}

/// A store whose calls can fail.
pub struct FaultyStore {
    pub inner: Arc<dyn Store>,
    pub faults: Arc<Faults>,
    /// Called from a thread of the log's writer, not from a task.
    pub on_thread: bool,
}

macro_rules! faulty_store {
    ($($method:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        #[async_trait]
        impl Store for FaultyStore {
            $(
                async fn $method(&self, $($argument: $type),*) -> Result<$answer, Error> {
                    let method = if self.on_thread {
                        concat!("log: ", stringify!($method))
                    } else {
                        stringify!($method)
                    };
                    self.faults.call(method, self.on_thread, self.inner.$method($($argument),*)).await
                }
            )+
        }
    };
}

faulty_store! {
    add_tenant(tenant: &TenantId, chain_id: Uuid, now: Timestamp) -> ();
    tenants() -> Vec<TenantId>;
    known_documents(tenant: &TenantId, digests: &[DocumentDigest]) -> BTreeSet<DocumentDigest>;
    record_documents(tenant: &TenantId, recording: &Recording, documents: &[NewDocument]) -> Vec<RecordedDocument>;
    acquire_submissions(tenant: &TenantId, stage: Stage, lease: Lease, limit: usize) -> Vec<Submission>;
    clear_leases(tenant: &TenantId, now: Timestamp) -> u64;
    attestable_documents(tenant: &TenantId, digests: &[DocumentDigest]) -> Vec<AttestableDocument>;
    record_envelopes(
        tenant: &TenantId,
        now: Timestamp,
        token: LeaseToken,
        replaces: &[Uuid],
        envelopes: &[NewEnvelope]
    ) -> ();
    envelope(tenant: &TenantId, digest: &EnvelopeDigest) -> Option<StoredEnvelope>;
    signed_envelopes(tenant: &TenantId, digests: &[EnvelopeDigest]) -> BTreeMap<EnvelopeDigest, SignedEnvelope>;
    envelopes(tenant: &TenantId, digests: &[EnvelopeDigest]) -> BTreeMap<EnvelopeDigest, StoredEnvelope>;
    record_answers(tenant: &TenantId, token: LeaseToken, answers: &[Answer]) -> ();
    link(tenant: &TenantId, recording: &Recording, token: LeaseToken, links: &[NewLink<'_>]) -> LinkCounts;
    release_submission(tenant: &TenantId, recording: &Recording, token: LeaseToken, submission: Uuid, release: &Release) -> ();
    explain_submissions(tenant: &TenantId, stage: Stage, reason: &str) -> u64;
    queued_submissions(tenant: &TenantId, dead: bool, after: Option<Uuid>, limit: usize) -> Vec<QueuedSubmission>;
    settle_dead_submissions(tenant: &TenantId, only: Option<Uuid>, settle: Settle) -> u64;
    dropped(tenant: &TenantId, limit: usize) -> Vec<Dropped>;
    queue_dropped(tenant: &TenantId, now: Timestamp, dropped: &[(Uuid, Dropped)]) -> u64;
    document(tenant: &TenantId, digest: &DocumentDigest) -> Option<DocumentRow>;
    document_body(tenant: &TenantId, digest: &DocumentDigest) -> Option<Vec<u8>>;
    observation(tenant: &TenantId, id: &ObservationId) -> Option<ObservationRow>;
    observation_bodies(tenant: &TenantId, ids: &[ObservationId]) -> Vec<(ObservationId, Vec<u8>)>;
    observations(
        tenant: &TenantId,
        filter: &ObservationFilter,
        after: Option<ObservationPosition>,
        limit: usize
    ) -> Vec<ObservationRow>;
    bundle(tenant: &TenantId, digest: &BundleDigest) -> Option<Vec<u8>>;
    bundle_of_envelope(tenant: &TenantId, digest: &EnvelopeDigest) -> Option<(BundleDigest, Vec<u8>)>;
    envelopes_of_document(tenant: &TenantId, digest: &DocumentDigest) -> Vec<EnvelopeDigest>;
    ledger_head(tenant: &TenantId) -> Head;
    ledger_events(tenant: &TenantId, after: u64, limit: usize) -> Vec<EventRow>;
    ledger_hashes(tenant: &TenantId, tiles: &[TilePath]) -> Vec<Vec<Digest>>;
    ledger_tile(tenant: &TenantId, path: TilePath) -> Option<Vec<Digest>>;
    record_ledger_root(
        tenant: &TenantId,
        now: Timestamp,
        root: &NewRoot,
        anchor: Option<NewAnchor<'_>>
    ) -> ();
    ledger_roots(tenant: &TenantId, after: u64, limit: usize) -> Vec<RootRow>;
    newest_ledger_root(tenant: &TenantId, anchored: bool) -> Option<RootRow>;
    newest_ledger_anchor(tenant: &TenantId) -> Option<PreviousAnchor>;
    record_root_export(tenant: &TenantId, tree_size: u64, bundle: &BundleDigest) -> ();
    standings(tenant: &TenantId, digest: &DocumentDigest) -> Vec<StandingRow>;
    kept_documents(tenant: &TenantId, digests: &[DocumentDigest]) -> BTreeMap<DocumentDigest, KeptDocument>;
    kept_entries(tenant: &TenantId, positions: &[(LogId, u64)]) -> BTreeMap<(LogId, u64), KeptLogEntry>;
    attestations(
        tenant: &TenantId,
        filter: &AttestationFilter,
        after: Option<AttestationPosition>,
        limit: usize
    ) -> AttestationPage;
    attestation_stream(tenant: &TenantId, filter: &AttestationFilter) -> AttestationStream;
    record_statements(tenant: &TenantId, recording: &Recording, statements: &[NewStatement]) -> ();
    statements(tenant: &TenantId, subject: &Digest) -> Vec<StatementRow>;
    log_checkpoint(log: &LogId) -> Option<LogCheckpoint>;
    log_checkpoints() -> Vec<(LogId, LogCheckpoint)>;
    record_log_checkpoint(log: &LogId, checkpoint: &LogCheckpoint) -> ();
    counts(tenant: &TenantId) -> Counts;
    backlog(tenant: &TenantId) -> Backlog;
    add_api_token(token: &ApiToken) -> ();
    api_token(digest: &Digest) -> Option<ApiToken>;
    api_tokens(tenant: &TenantId) -> Vec<ApiToken>;
    revoke_api_token(tenant: &TenantId, id: Uuid, now: Timestamp) -> bool;
    idempotent_answer(tenant: &TenantId, key: &str, now: Timestamp) -> Option<IdempotentAnswer>;
    record_idempotent_answer(tenant: &TenantId, now: Timestamp, answer: &IdempotentAnswer) -> ();
}

/// A log whose calls can fail.
pub struct FaultyLog {
    pub inner: EmbeddedLog,
    pub faults: Arc<Faults>,
}

#[async_trait]
impl TransparencyLog for FaultyLog {
    fn identity(&self) -> &TrustedLog {
        self.inner.identity()
    }

    fn concurrency(&self) -> usize {
        self.inner.concurrency()
    }

    async fn submit(&self, entry: &HashedRekord) -> Result<LogEntry, LogError> {
        let submitting = async {
            let answer = self.inner.submit(entry).await?;
            let note = answer.inclusion.checkpoint.clone().into_bytes();
            self.faults.state.lock().unwrap().notes.insert(note);
            Ok(answer)
        };
        self.faults.call("submit", false, submitting).await
    }

    async fn checkpoint(&self) -> Result<Vec<u8>, LogError> {
        self.faults.call("checkpoint", false, self.inner.checkpoint()).await
    }

    async fn consistency_proof(&self, old_size: u64, new_size: u64) -> Result<Vec<Digest>, LogError> {
        self.faults.call("consistency_proof", false, self.inner.consistency_proof(old_size, new_size)).await
    }
}
