//! `provex link`, and the stages after ingest that `prove` shares with it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use provex_core::ids::LogId;
use provex_core::intoto::SaltKey;
use provex_core::keys::{LocalSigner, PublicKey, Signer as _};
use provex_core::trusted_root::TrustedLog;
use provex_core::verify::Verifier;
use provex_pipeline::environment::Environment as _;
use provex_pipeline::view::RootView;
use provex_pipeline::{Drain, Due, Pipeline, Unit};
use provex_store::{QueuedSubmission, RootRow};
use provex_tlog::LogError;
use provex_tlog::embedded::EmbeddedLog;
use tokio::time::Instant;

use super::{queue, worker};
use crate::args::{Global, Link, UnitArgs};
use crate::clock;
use crate::data::{self, DataFolder, WorkLock};
use crate::environment::System;
use crate::failure::{Done, Failure};
use crate::logs::Logs;
use crate::output;
use crate::progress;
use crate::run::RunReport;
use crate::signatures::{AwsLc, Tokens};

/// What the stages after ingest did.
#[derive(Default)]
pub(super) struct Linked {
    /// The log that something was linked in, else the one to write to, in words.
    pub(super) log: String,
    /// Statements signed.
    pub(super) envelopes: u64,
    /// Why something is not linked.
    pub(super) reason: Option<String>,
    /// The log's folder is not that of its newest checkpoint: the reason says why, and nothing was added to it.
    damaged: bool,
    /// The tenant's statements go to no log, as configured: that they are not linked is what was asked for.
    off: bool,
    /// The newest signed root of the ledger.
    pub(super) root: Option<RootRow>,
    /// Why it is not logged yet.
    pub(super) unanchored: Option<String>,
    /// Why no root was signed: the ledger was changed.
    pub(super) forked: Option<String>,
}

impl Linked {
    /// Why something is not linked, for people.
    fn reason_text(&self) -> Option<String> {
        let what = if self.damaged { "nothing is logged" } else { "not all are linked" };
        self.reason.as_ref().map(|reason| format!("{what}: {}", output::plain(reason)))
    }
}

pub(super) async fn run(global: &Global, args: Link) -> Result<Done, Failure> {
    let folder = DataFolder::open(global)?;
    let pipeline = folder.pipeline(folder.config.tenant(global.tenant.as_ref())).await?;
    let logs = Logs::open(&folder, &pipeline, &args.log)?;
    let working = folder.work(std::slice::from_ref(&pipeline)).await?;
    queue::settle(&pipeline, args.retry, args.drop).await?;
    if args.requeue {
        queue::requeue(&pipeline).await?;
    }
    let mut report = RunReport::default();
    let unit = folder.config.unit(args.unit)?;
    let linked = link(&folder, &pipeline, &logs, &working, unit, &mut report).await?;
    if args.json.json {
        print_json(&report, &linked)?;
    } else {
        print(&report, &linked)?;
    }
    Ok(done(&report, &linked))
}

/// Nothing is under way, and the newest root is in no log.
const GIVEN_UP: &str = "its anchor was given up; `provex pending --failed` says why, and `provex link --retry all` sends it again";

/// What a person can do about what is counted as failed.
const FAILED: &str = "what failed was given up: `provex pending --failed` says why, and `provex link --retry all` sends it again";

/// How long a log or authority is waited for that answers no more, since something was linked last.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// How often it is looked whether it does again.
const LOOK: Duration = Duration::from_secs(1);

/// What a drain goes on for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// That every observation is linked.
    Linked,
    /// That the newest root is logged.
    Anchored,
}

/// Attests, submits and links what waits, and counts it; then signs the ledger's root, and anchors it where it goes to a
/// log. Work that another process holds is waited for: it ends, or its leases come here.
pub(super) async fn link(
    folder: &DataFolder,
    pipeline: &Pipeline,
    logs: &Logs,
    working: &WorkLock,
    unit: Unit,
    report: &mut RunReport,
) -> Result<Linked, Failure> {
    stages(folder, pipeline, logs, working, unit, report, &[Goal::Linked, Goal::Anchored]).await
}

/// Signs the ledger's root, and does what it takes to anchor it.
pub(super) async fn anchor(
    folder: &DataFolder,
    pipeline: &Pipeline,
    logs: &Logs,
    working: &WorkLock,
) -> Result<Linked, Failure> {
    let (unit, mut report) = (folder.config.unit(UnitArgs::default())?, RunReport::default());
    stages(folder, pipeline, logs, working, unit, &mut report, &[Goal::Anchored]).await
}

async fn stages(
    folder: &DataFolder,
    pipeline: &Pipeline,
    logs: &Logs,
    working: &WorkLock,
    unit: Unit,
    report: &mut RunReport,
    goals: &[Goal],
) -> Result<Linked, Failure> {
    let keys = Keys::of(folder)?;
    let mut done = Linked { log: logs.name(), off: logs.off, ..Linked::default() };
    if logs.own
        && let Some(damage) = damage(folder, pipeline).await?
    {
        (done.damaged, done.reason) = (true, Some(damage));
        count(pipeline, report).await?;
        return Ok(done);
    }
    let before = pipeline.store.counts(&pipeline.tenant).await?;
    clock::warn(before.last_at);
    if let Some(warning) = folder.foreign_signer(pipeline).await? {
        output::tell(format_args!("provex: warning: {warning}"));
    }
    let drain = keys.drain(std::slice::from_ref(pipeline), logs, unit);
    // Stopped in between, nothing stays leased: others would wait for the end of those leases.
    let asked = worker::stop_on_signals()?;
    let mut run = Run {
        pipeline,
        working,
        drain,
        report,
        done,
        asked,
        told: false,
        linked_at: None,
        read: false,
        logs: BTreeSet::new(),
    };
    if goals.contains(&Goal::Linked) {
        run.go_on(Goal::Linked).await?;
    }
    run.seal(Due::Now).await?;
    if logs.chosen.is_ok() {
        run.anchor().await?;
    }
    let names: Vec<_> =
        run.logs.iter().filter_map(|id| logs.trusted_root.log(id)).map(TrustedLog::origin).collect();
    if !names.is_empty() {
        run.done.log = names.join(" and ");
    }
    run.done.root = pipeline.store.newest_ledger_root(&pipeline.tenant, false).await?;
    run.report.ledger_root = run.done.root.as_ref().map(|root| RootView::new(&pipeline.tenant, root));
    Ok(run.done)
}

/// The stages of one call.
struct Run<'a> {
    pipeline: &'a Pipeline,
    working: &'a WorkLock,
    drain: Drain<'a>,
    report: &'a mut RunReport,
    done: Linked,
    /// Set when this process is asked to stop.
    asked: Arc<AtomicBool>,
    /// Whether it was told that another process is waited for.
    told: bool,
    /// When something was linked last.
    linked_at: Option<Instant>,
    /// Whether what proves that the log only grew could be read: a first batch is linked without.
    read: bool,
    /// What something was linked in: where a shard is frozen, the next one.
    logs: BTreeSet<LogId>,
}

impl Run<'_> {
    /// Goes on until that is so, or something is in the way of it.
    async fn go_on(&mut self, goal: Goal) -> Result<(), Failure> {
        let progress = match goal {
            Goal::Linked => progress::counting_to("linking observations", self.pending().await?),
            Goal::Anchored => progress::busy("logging the ledger's root"),
        };
        let asked = Arc::clone(&self.asked);
        let stop = || asked.load(Ordering::SeqCst);
        let mut away = false;
        let reason = loop {
            if goal == Goal::Anchored && self.is_anchored().await? {
                break None;
            }
            self.seal(Due::OnTime).await?;
            let drained = self.drain.once(&stop).await?;
            self.done.envelopes += drained.envelopes;
            self.report.linkages.linked += drained.linked.linked;
            self.logs.extend(drained.linked.logs);
            progress.set(self.report.linkages.linked);
            if drained.linked.linked > 0 {
                self.linked_at = Some(Instant::now());
            }
            self.read |= drained.linked.read;
            // A log that does not answer either is the one that worked; else its tiles may be elsewhere.
            let unread = drained.linked.unread && (self.read || away);
            let is_away = drained.submitted.away || drained.linked.away || unread;
            let reason = drained.linked.reason.or(drained.submitted.reason);
            if stop() {
                count(self.pipeline, self.report).await?;
                break Some("it was stopped; `provex link` goes on".to_owned());
            }
            if drained.more && (drained.submitted.answered > 0 || reason.is_none()) {
                continue;
            }
            count(self.pipeline, self.report).await?;
            if goal == Goal::Linked && self.report.linkages.pending == 0 {
                break reason;
            }
            let waits = self.waits();
            if is_away && !away && waits {
                away = true;
                output::tell(format_args!(
                    "provex: what worked before is waited for; stopped, `provex link` goes on: {}",
                    output::plain(reason.as_deref().unwrap_or_default())
                ));
            }
            if reason.is_some() && !(is_away && waits) {
                break reason;
            }
            let backlog = self.pipeline.store.backlog(&self.pipeline.tenant).await?;
            // What was dropped is pending for ever, and nothing comes of waiting for it.
            if backlog.attest + backlog.submit + backlog.link == 0 {
                break None;
            }
            // What was given back then is due bit by bit.
            if away && waits {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            if let Some(reason) = waiting(self.pipeline).await? {
                break Some(reason);
            }
            if let Some(until) =
                backlog.leased_until.filter(|_| self.working.waits_for_leases() && !self.told)
            {
                self.told = true;
                output::tell(format_args!(
                    "provex: {} of the queue are leased to another process, which is waited for; what a process that \
                     has ended left is taken up again by {until}",
                    backlog.leased
                ));
            }
            self.working.wait(self.pipeline).await?;
        };
        drop(progress);
        match goal {
            Goal::Linked => self.done.reason = reason,
            Goal::Anchored => self.done.unanchored = reason,
        }
        Ok(())
    }

    /// Whether what does not answer is waited for. What never worked may be configured wrongly.
    fn waits(&self) -> bool {
        self.linked_at.is_some_and(|at| at.elapsed() < PATIENCE)
    }

    /// Waits for the newest root's anchor. What is in the way of the observations is in its way, too.
    async fn anchor(&mut self) -> Result<(), Failure> {
        self.done.unanchored.clone_from(&self.done.reason);
        if self.done.reason.is_none() {
            self.go_on(Goal::Anchored).await?;
            if self.done.unanchored.is_none() && !self.is_anchored().await? {
                self.done.unanchored = Some(GIVEN_UP.to_owned());
            }
        }
        Ok(())
    }

    /// Signs a root if one is due. A ledger that does not extend its last root gets none; the rest goes on.
    async fn seal(&mut self, due: Due) -> Result<(), Failure> {
        match self.drain.seal(due).await {
            Err(error @ provex_pipeline::Error::Forked { .. }) => self.done.forked = Some(error.to_string()),
            sealed => sealed?,
        }
        Ok(())
    }

    /// Whether the newest root is in a log, or nothing is on its way there.
    async fn is_anchored(&self) -> Result<bool, Failure> {
        let (store, tenant) = (&self.pipeline.store, &self.pipeline.tenant);
        let Some(root) = store.newest_ledger_root(tenant, false).await? else { return Ok(true) };
        let anchor = store.newest_ledger_anchor(tenant).await?;
        let is_signed = anchor.is_some_and(|anchor| anchor.tree_size == root.tree_size);
        Ok(!is_signed || root.anchor_reference.is_some())
    }

    async fn pending(&self) -> Result<u64, Failure> {
        let counts = self.pipeline.store.counts(&self.pipeline.tenant).await?;
        Ok(counts.observations - counts.linked - counts.failed)
    }
}

/// The folder's keys, as the stages use them.
pub(super) struct Keys {
    signer: LocalSigner,
    salt_key: SaltKey,
    public: Vec<PublicKey>,
}

impl Keys {
    pub(super) fn of(folder: &DataFolder) -> Result<Self, Failure> {
        Ok(Self { signer: folder.signer()?, salt_key: folder.salt_key()?, public: folder.public_keys()? })
    }

    /// Signs statements of all that waits for one.
    pub(super) async fn attest(&self, pipeline: &Pipeline, unit: Unit) -> Result<u64, Failure> {
        Ok(pipeline.attest(&self.signer, &self.salt_key, unit).await?)
    }

    /// The key of an envelope that was signed here.
    pub(super) fn signer(&self) -> &PublicKey {
        self.signer.public_key()
    }

    pub(super) fn drain<'a>(&'a self, tenants: &'a [Pipeline], logs: &'a Logs, unit: Unit) -> Drain<'a> {
        Drain {
            tenants,
            signer: &self.signer,
            salt_key: &self.salt_key,
            unit,
            lines: logs.chosen.as_deref().map_err(String::as_str),
            known: &logs.known,
            authority: logs.authority.as_ref().map(Option::as_ref).map_err(String::as_str),
            verifier: Verifier {
                trusted_root: &logs.trusted_root,
                keys: &self.public,
                signatures: &AwsLc,
                timestamps: &Tokens,
            },
        }
    }
}

/// What is wrong with the log's folder, before anything is added to it: batches read its end only. A checkpoint that a
/// crash left unpublished is published.
async fn damage(folder: &DataFolder, pipeline: &Pipeline) -> Result<Option<String>, Failure> {
    let looked = match data::audit(folder.embedded_log(pipeline)?).await {
        Ok(audit) if !audit.published => EmbeddedLog::create(folder.embedded_log(pipeline)?).await,
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    Ok(match looked {
        Err(LogError::Unusable(error)) => Some(error.to_string()),
        // What cannot be read or written now is met again by whoever needs it.
        Ok(()) | Err(_) => None,
    })
}

pub(super) async fn count(pipeline: &Pipeline, report: &mut RunReport) -> Result<(), Failure> {
    let counts = pipeline.store.counts(&pipeline.tenant).await?;
    report.linkages.failed = counts.failed;
    report.linkages.pending = counts.observations - counts.linked - counts.failed;
    Ok(())
}

/// Why something that an earlier run gave back is not due yet; what another process holds has no reason.
async fn waiting(pipeline: &Pipeline) -> Result<Option<String>, Failure> {
    let rows = pipeline.store.queued_submissions(&pipeline.tenant, false, None, 500).await?;
    let now = System.now();
    let is_later = |row: &QueuedSubmission| !row.dead && row.leased_until.is_none() && now < row.due;
    let reason = rows.into_iter().filter(is_later).find_map(|row| row.reason);
    Ok(reason.map(|reason| format!("{reason} (it is tried again when it is due)")))
}

pub(super) fn print(report: &RunReport, linked: &Linked) -> Result<(), Failure> {
    let linkages = &report.linkages;
    output::line(&format!("statements    {} signed", linked.envelopes))?;
    output::line(&format!(
        "linkages      {} linked in {}, {} pending, {} failed",
        linkages.linked, linked.log, linkages.pending, linkages.failed
    ))?;
    if let Some(reason) = linked.reason_text() {
        output::line(&format!("              {reason}"))?;
    }
    if linkages.failed > 0 {
        output::line(&format!("              {FAILED}"))?;
    }
    if let Some(root) = &linked.root {
        output::line(&format!("ledger        {}", root_line(root, linked.unanchored.as_deref())))?;
    }
    print_forked(linked);
    Ok(())
}

/// A signed root, and where it is.
pub(super) fn root_line(root: &RootRow, unanchored: Option<&str>) -> String {
    let anchored = match (&root.anchor_reference, unanchored) {
        (Some(reference), _) => format!("anchored as {reference}"),
        (None, Some(reason)) => format!("not anchored yet: {}", output::plain(reason)),
        (None, None) => "signed, in no log".to_owned(),
    };
    format!("{} events, root {}\n              {anchored}", root.tree_size, root.root_hash.to_hex())
}

pub(super) fn print_forked(linked: &Linked) {
    if let Some(reason) = &linked.forked {
        output::tell(format_args!("provex: {}", output::plain(reason)));
    }
}

/// The report; why something is not linked is for people, on stderr.
pub(super) fn print_json(report: &RunReport, linked: &Linked) -> Result<(), Failure> {
    if let Some(reason) = linked.reason_text() {
        output::tell(format_args!("provex: {reason}"));
    }
    if let Some(reason) = &linked.unanchored {
        output::tell(format_args!(
            "provex: the ledger's root is not anchored yet: {}",
            output::plain(reason)
        ));
    }
    print_forked(linked);
    output::json(report)
}

/// Whether the newest root is where it should be.
pub(super) fn anchored(linked: &Linked) -> Done {
    if linked.damaged || linked.forked.is_some() {
        return Done::NotAll;
    }
    if linked.unanchored.is_some() { Done::Unchecked } else { Done::Yes }
}

/// Something that waits for the log could not be checked yet, the ledger's root included; a log that is damaged was, and so
/// was a changed ledger.
pub(super) fn done(report: &RunReport, linked: &Linked) -> Done {
    if linked.damaged || linked.forked.is_some() {
        return Done::NotAll;
    }
    if linked.off {
        return report.done();
    }
    if linked.reason.is_some() && report.linkages.pending > 0 {
        return Done::Unchecked;
    }
    match report.done() {
        Done::Yes if linked.unanchored.is_some() => Done::Unchecked,
        done => done,
    }
}
