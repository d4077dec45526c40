//! Ingest: received bytes to recorded documents and observations. Files are read and parsed on all cores, and
//! recorded in batches; memory depends on the largest documents, not on their number.
//!
//! A document may make many more observations than should be in memory at once. So what it says is read first, with
//! no more observations kept than fit one portion; those beyond are read from it again, portion by portion, while it
//! is recorded.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use provex_core::time::{StatedTime, Timestamp};
use provex_core::vex::Format;
use provex_formats::{
    Accepted, Claim, Code, Finding, ParseLimits, Rejection, parse_digested, parse_each, too_large,
};
use provex_store::{
    Authentication, DocumentFacts, FindingRow, KeyKind, MoreObservations, NewDocument, NewObservation,
    ObservationParts, ObservationSource, RecordedDocument,
};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use uuid::Uuid;

use crate::environment::Environment;
use crate::{Error, Pipeline};

/// A batch is recorded when it holds this many documents, or observations, or bytes of either.
const BATCH_DOCUMENTS: usize = 256;
const BATCH_OBSERVATIONS: usize = 5_000;
const BATCH_BYTES: usize = 16 << 20;

/// So many observations of one document, or bytes of their bodies, are in memory at once, or little more.
const PORTION_OBSERVATIONS: usize = 2_000;
const PORTION_BYTES: usize = 4 << 20;

/// Kilobytes of documents that are read and not yet recorded. One document takes at most so many less a batch, since a
/// batch that is not full waits for more documents.
const HELD_KILOBYTES: usize = 48 << 10;
const MOST_OF_ONE: usize = HELD_KILOBYTES - (BATCH_BYTES >> 10);

/// How far a document's time may lie after its arrival before it is quarantined: 24 hours (`docs/DATA_MODEL.md`).
const SKEW_ALLOWANCE_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// One file or stream to read.
#[derive(Debug)]
pub struct Input {
    /// What people call it: a path, or `-`.
    pub name: String,
    /// Where its bytes are.
    pub content: Content,
    /// Found in a folder: what is neither JSON nor XML is then skipped instead of refused.
    pub found: bool,
}

/// The bytes of an input, or where to read them.
#[derive(Debug)]
pub enum Content {
    /// A file.
    File(PathBuf),
    /// Bytes that are here already.
    Bytes(Vec<u8>),
    /// It could not be listed: why.
    Unreadable(String),
    /// It is passed over.
    Skipped,
}

/// What parsing said of one input.
#[derive(Debug)]
pub enum ParseReport {
    /// Read, with findings or without.
    Read {
        /// Its format.
        format: Format,
        /// How many observations it has.
        observations: u64,
        /// What was found.
        findings: Vec<Finding>,
    },
    /// Refused.
    Rejected(Rejection),
    /// Could not be read: why.
    Unreadable(String),
    /// Neither JSON nor XML, in a folder.
    Skipped,
}

/// What became of one input.
#[derive(Debug)]
pub struct Item {
    /// The input's name.
    pub name: String,
    /// What parsing said.
    pub report: ParseReport,
    /// What recording said; `None` if there was nothing to record.
    pub recorded: Option<RecordedDocument>,
}

/// What ingest did, in sums.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IngestReport {
    /// Inputs that were looked at.
    pub inputs: u64,
    /// Documents recorded now.
    pub recorded: u64,
    /// Observations recorded now.
    pub observations: u64,
}

struct ReadInput {
    name: String,
    report: ParseReport,
    document: Option<NewDocument>,
    /// Its part of [`HELD_KILOBYTES`].
    held: Option<OwnedSemaphorePermit>,
}

impl Pipeline {
    /// Reads, parses and records inputs; `each` learns what became of every one, in no particular order.
    ///
    /// # Errors
    /// [`Error`] of the store; whole batches recorded until then stay. A bad input is no error: `each` is told.
    pub async fn ingest(
        &self,
        inputs: impl Iterator<Item = Input> + Send + 'static,
        limits: ParseLimits,
        mut each: impl FnMut(Item),
    ) -> Result<IngestReport, Error> {
        let arrival = Arrival::now(&*self.environment)?;
        let mut read = read_all(inputs, limits, Some((Arc::clone(&self.environment), arrival)));
        let mut report = IngestReport::default();
        let mut batch = Batch::default();
        while let Some(input) = read.recv().await {
            report.inputs += 1;
            match input.document {
                Some(document) => batch.add(input.name, input.report, document, input.held),
                None => each(Item { name: input.name, report: input.report, recorded: None }),
            }
            if batch.is_full() {
                self.record_batch(std::mem::take(&mut batch), &mut report, &mut each).await?;
            }
        }
        self.record_batch(batch, &mut report, &mut each).await?;
        Ok(report)
    }

    async fn record_batch(
        &self,
        batch: Batch,
        report: &mut IngestReport,
        each: &mut impl FnMut(Item),
    ) -> Result<(), Error> {
        if batch.documents.is_empty() {
            return Ok(());
        }
        let recording = self.recording();
        let recorded = self.store.record_documents(&self.tenant, &recording, &batch.documents).await?;
        let documents = batch.documents.iter().zip(batch.reports).zip(recorded);
        for ((document, (name, parse_report)), recorded) in documents {
            if let RecordedDocument::New(_) = recorded {
                report.recorded += 1;
                report.observations += document.observation_count();
            }
            each(Item { name, report: parse_report, recorded: Some(recorded) });
        }
        Ok(())
    }
}

/// Reads and parses inputs without recording anything.
pub async fn check(
    inputs: impl Iterator<Item = Input> + Send + 'static,
    limits: ParseLimits,
    mut each: impl FnMut(Item),
) {
    let mut read = read_all(inputs, limits, None);
    while let Some(input) = read.recv().await {
        each(Item { name: input.name, report: input.report, recorded: None });
    }
}

/// Documents on their way into the store.
#[derive(Default)]
struct Batch {
    documents: Vec<NewDocument>,
    reports: Vec<(String, ParseReport)>,
    observations: usize,
    bytes: usize,
    held: Vec<Option<OwnedSemaphorePermit>>,
}

impl Batch {
    fn add(
        &mut self,
        name: String,
        report: ParseReport,
        document: NewDocument,
        held: Option<OwnedSemaphorePermit>,
    ) {
        self.observations += document.observations.len();
        self.bytes += document.body.len();
        self.bytes += document.observations.iter().map(|o| o.body.len()).sum::<usize>();
        self.documents.push(document);
        self.reports.push((name, report));
        self.held.push(held);
    }

    fn is_full(&self) -> bool {
        self.documents.len() >= BATCH_DOCUMENTS
            || self.observations >= BATCH_OBSERVATIONS
            || self.bytes >= BATCH_BYTES
    }
}

/// When documents arrived that come together.
#[derive(Clone)]
struct Arrival {
    at: Timestamp,
    /// The latest time that they may state: UTC, nine digits, as observations have it.
    latest: Arc<str>,
}

impl Arrival {
    fn now(environment: &dyn Environment) -> Result<Self, Error> {
        let at = environment.now();
        let latest = at.plus_micros(SKEW_ALLOWANCE_MICROS).map_err(|_| Error::Clock)?;
        Ok(Self { at, latest: StatedTime::from(latest).to_rfc3339().into() })
    }
}

/// Inputs in their order, each with the id of the submission that it may become: documents that came together take
/// their turns in this order, in whichever one they are read and recorded.
struct Turns<I> {
    inputs: I,
    last: Uuid,
}

impl<I: Iterator<Item = Input>> Turns<I> {
    fn next(&mut self, environment: Option<&dyn Environment>) -> Option<(Input, Uuid)> {
        let input = self.inputs.next()?;
        // Ids of the same millisecond are in no order by themselves.
        let following = Uuid::from_u128(self.last.as_u128().wrapping_add(1));
        self.last = environment.map_or(following, Environment::uuid).max(following);
        Some((input, self.last))
    }
}

/// Observations that are in memory together.
#[derive(Default)]
struct Portion {
    observations: Vec<NewObservation>,
    bytes: usize,
}

impl Portion {
    fn add(&mut self, claim: Claim<'_>) {
        self.bytes += claim.body.len();
        self.observations.push(new_observation(claim));
    }

    fn is_full(&self) -> bool {
        self.observations.len() >= PORTION_OBSERVATIONS || self.bytes >= PORTION_BYTES
    }
}

/// What is kept of a document's observations when it is read first.
struct FirstReading {
    arrival: Arrival,
    /// The first of them.
    kept: Portion,
    /// How many came after those.
    more: u64,
    /// The earliest time of one that lies too far in the future.
    ahead: Option<Arc<str>>,
}

impl FirstReading {
    fn add(&mut self, claim: Claim<'_>) {
        let stated = claim.observation.asserted_at.as_ref();
        if let Some(stated) = stated.filter(|stated| **stated > self.arrival.latest)
            && self.ahead.as_ref().is_none_or(|ahead| stated < ahead)
        {
            self.ahead = Some(Arc::clone(stated));
        }
        match self.kept.is_full() {
            true => self.more += 1,
            false => self.kept.add(claim),
        }
    }

    fn document(
        self,
        accepted: &Accepted,
        body: Vec<u8>,
        name: &str,
        limits: &ParseLimits,
        submission: Uuid,
    ) -> NewDocument {
        let body = Arc::new(body);
        let (kept, more) = (self.kept.observations, self.more);
        let digest = accepted.document.digest;
        let source = Reread { body: Arc::clone(&body), digest, limits: *limits, kept: kept.len() };
        NewDocument {
            facts: facts(accepted, name),
            body,
            observations: kept,
            more: (more > 0).then(|| MoreObservations { count: more, source: Arc::new(source) }),
            findings: accepted.findings.iter().map(finding_row).collect(),
            quarantine: self
                .ahead
                .map(|first| format!("asserted at {first}, more than 24 hours after it arrived")),
            submission,
            due: self.arrival.at,
        }
    }
}

/// Reads a document's observations again, but for the first ones, which are `kept`.
#[derive(Clone)]
struct Reread {
    body: Arc<Vec<u8>>,
    digest: provex_core::ids::DocumentDigest,
    limits: ParseLimits,
    kept: usize,
}

impl std::fmt::Debug for Reread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reread").field("kept", &self.kept).finish_non_exhaustive()
    }
}

impl ObservationSource for Reread {
    fn parts(&self) -> Box<dyn ObservationParts> {
        let (parts, received) = mpsc::channel(1);
        let source = self.clone();
        tokio::task::spawn_blocking(move || source.send(&parts));
        Box::new(Received(received))
    }
}

impl Reread {
    /// Whoever receives counts: what cannot be read again, which it was before, does not go unnoticed.
    fn send(&self, parts: &mpsc::Sender<Vec<NewObservation>>) {
        let (mut portion, mut passed, mut wanted) = (Portion::default(), 0, true);
        let read = parse_digested(&self.body, self.digest, &self.limits, |claim| {
            passed += 1;
            if passed > self.kept && wanted {
                portion.add(claim);
                if portion.is_full() {
                    wanted = parts.blocking_send(std::mem::take(&mut portion).observations).is_ok();
                }
            }
        });
        if read.is_ok() && wanted {
            // Nobody waits for it after an error of the store.
            let _ = parts.blocking_send(portion.observations);
        }
    }
}

struct Received(mpsc::Receiver<Vec<NewObservation>>);

#[async_trait::async_trait]
impl ObservationParts for Received {
    async fn next(&mut self) -> Option<Vec<NewObservation>> {
        self.0.recv().await
    }
}

/// Starts one reader a core; their channel holds few documents, so a slow store slows them down.
fn read_all(
    inputs: impl Iterator<Item = Input> + Send + 'static,
    limits: ParseLimits,
    record: Option<(Arc<dyn Environment>, Arrival)>,
) -> mpsc::Receiver<ReadInput> {
    let readers = std::thread::available_parallelism().map_or(2, usize::from);
    let (results, read) = mpsc::channel(readers);
    let turns = Arc::new(Mutex::new(Turns { inputs, last: Uuid::nil() }));
    let (room, runtime) = (Arc::new(Semaphore::new(HELD_KILOBYTES)), Handle::current());
    for _ in 0..readers {
        let (turns, results, record) = (Arc::clone(&turns), results.clone(), record.clone());
        let (room, runtime) = (Arc::clone(&room), runtime.clone());
        tokio::task::spawn_blocking(move || {
            loop {
                let environment = record.as_ref().map(|(environment, _)| &**environment);
                let next = turns.lock().ok().and_then(|mut turns| turns.next(environment));
                let Some((input, submission)) = next else { return };
                let kilobytes = input.content.kilobytes(&limits);
                let held = runtime.block_on(Arc::clone(&room).acquire_many_owned(kilobytes)).ok();
                let arrival = record.as_ref().map(|(_, arrival)| arrival);
                let mut read = read_one(input, &limits, arrival, submission);
                read.held = held;
                if results.blocking_send(read).is_err() {
                    return;
                }
            }
        });
    }
    read
}

fn read_one(input: Input, limits: &ParseLimits, arrival: Option<&Arrival>, submission: Uuid) -> ReadInput {
    let name = input.name;
    let done = |name, report| ReadInput { name, report, document: None, held: None };
    let (bytes, size) = match read_bytes(input.content, limits) {
        Ok(read) => read,
        Err(report) => return done(name, report),
    };
    if input.found && !looks_like_a_document(&bytes, &name) {
        return done(name, ParseReport::Skipped);
    }
    let mut reading = arrival.map(|arrival| FirstReading {
        arrival: arrival.clone(),
        kept: Portion::default(),
        more: 0,
        ahead: None,
    });
    let accepted = parse_each(&bytes, limits, |claim| {
        if let Some(reading) = &mut reading {
            reading.add(claim);
        }
    });
    let accepted = match accepted {
        Ok(accepted) => accepted,
        Err(rejection) => return done(name, ParseReport::Rejected(sized(rejection, size, limits))),
    };
    let document = reading.map(|reading| reading.document(&accepted, bytes, &name, limits, submission));
    let Accepted { document: facts, observations, findings } = accepted;
    let report = ParseReport::Read { format: facts.format, observations, findings };
    ReadInput { name, report, document, held: None }
}

impl Content {
    /// How much of [`HELD_KILOBYTES`] it takes.
    fn kilobytes(&self, limits: &ParseLimits) -> u32 {
        let bytes = match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::File(path) => {
                // What cannot be looked at cannot be read either.
                let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
                usize::try_from(bytes).unwrap_or(usize::MAX).min(limits.max_bytes)
            }
            Self::Unreadable(_) | Self::Skipped => 0,
        };
        (bytes >> 10).min(MOST_OF_ONE) as u32
    }
}

/// Says of a document that is too large how large it is: the parser was given one byte over the limit.
fn sized(rejection: Rejection, size: Option<u64>, limits: &ParseLimits) -> Rejection {
    match rejection.code {
        Code::TooLarge => {
            // A file may have grown since.
            let size = size.filter(|size| *size > limits.max_bytes as u64);
            Rejection { message: too_large(size, limits.max_bytes), ..rejection }
        }
        _ => rejection,
    }
}

/// The bytes, up to one over the limit, and how many there are, if that is known.
fn read_bytes(content: Content, limits: &ParseLimits) -> Result<(Vec<u8>, Option<u64>), ParseReport> {
    match content {
        Content::Bytes(bytes) => Ok((bytes, None)),
        Content::Unreadable(reason) => Err(ParseReport::Unreadable(reason)),
        Content::Skipped => Err(ParseReport::Skipped),
        Content::File(path) => {
            read_file(&path, limits.max_bytes).map_err(|error| ParseReport::Unreadable(error.to_string()))
        }
    }
}

/// Reads a file up to one byte over the limit: enough for the parser to refuse it, never all of a huge one.
fn read_file(path: &Path, max_bytes: usize) -> std::io::Result<(Vec<u8>, Option<u64>)> {
    let file = std::fs::File::open(path)?;
    let metadata = file.metadata()?;
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(size.min(max_bytes).saturating_add(1));
    file.take(max_bytes as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes, metadata.is_file().then_some(metadata.len())))
}

/// Whether a file found in a folder is meant to be a document: by its first byte, or because its name says so.
fn looks_like_a_document(bytes: &[u8], name: &str) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
    let named = Path::new(name)
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("json") || e.eq_ignore_ascii_case("xml"));
    named || first.is_some_and(|byte| b"{[<".contains(byte))
}

fn facts(accepted: &Accepted, name: &str) -> DocumentFacts {
    let facts = &accepted.document;
    DocumentFacts {
        digest: facts.digest,
        payload_digest: facts.payload_digest,
        format: facts.format,
        spec_version: facts.spec_version.clone(),
        document_id: facts.id.clone(),
        revision: facts.revision.clone(),
        issuer: facts.issuer.as_ref().map(|issuer| (issuer.scheme.clone(), issuer.id.clone())),
        stated_at: facts.stated_at.as_deref().map(str::to_owned),
        retires: facts.retires.map(|retirement| retirement.label().to_owned()),
        source: name.to_owned(),
        authentication: Authentication::Operator,
    }
}

fn new_observation(claim: Claim<'_>) -> NewObservation {
    let observation = claim.observation;
    NewObservation {
        id: claim.id,
        claim_digest: observation.claim_digest(),
        body: claim.body.to_vec(),
        status: observation.status,
        vulnerability_id: observation.vulnerability.id.clone(),
        product_key: observation.product.key.clone(),
        subcomponent_key: observation.subcomponent.as_ref().map(|component| component.key.clone()),
        keys: claim.keys().into_iter().map(|key| (key_kind(key.kind), key.key)).collect(),
    }
}

fn key_kind(kind: provex_formats::KeyKind) -> KeyKind {
    match kind {
        provex_formats::KeyKind::Alias => KeyKind::Alias,
        provex_formats::KeyKind::Identifier => KeyKind::Identifier,
        provex_formats::KeyKind::Product => KeyKind::Product,
        provex_formats::KeyKind::Subcomponent => KeyKind::Subcomponent,
        provex_formats::KeyKind::Vulnerability => KeyKind::Vulnerability,
    }
}

fn finding_row(finding: &Finding) -> FindingRow {
    FindingRow {
        code: finding.code.label().to_owned(),
        pointer: finding.pointer.clone(),
        line: finding.line,
        message: finding.message.clone(),
    }
}
