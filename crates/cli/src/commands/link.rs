//! `provex link`, and the stages after ingest that `prove` shares with it.

use std::sync::atomic::Ordering;

use provex_core::intoto::SaltKey;
use provex_core::keys::{LocalSigner, PublicKey, Signer as _};
use provex_core::verify::Verifier;
use provex_pipeline::{Drain, Pipeline, Unit};
use provex_tlog::LogError;
use provex_tlog::embedded::EmbeddedLog;

use super::{queue, worker};
use crate::args::{Global, Link};
use crate::clock;
use crate::data::{self, DataFolder, WorkLock};
use crate::failure::{Done, Failure};
use crate::logs::Logs;
use crate::output;
use crate::progress;
use crate::run::RunReport;
use crate::signatures::{AwsLc, Tokens};

/// What the stages after ingest did.
#[derive(Default)]
pub(super) struct Linked {
    /// The log that was written to, in words.
    pub(super) log: String,
    /// Statements signed.
    pub(super) envelopes: u64,
    /// Why something is not linked.
    pub(super) reason: Option<String>,
    /// The log's folder is not that of its newest checkpoint: the reason says why, and nothing was added to it.
    damaged: bool,
    /// The tenant's statements go to no log, as configured: that they are not linked is what was asked for.
    off: bool,
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

/// Attests, submits and links what waits, and counts it. Work that another process holds is waited for: it ends, or
/// its leases come here.
pub(super) async fn link(
    folder: &DataFolder,
    pipeline: &Pipeline,
    logs: &Logs,
    working: &WorkLock,
    unit: Unit,
    report: &mut RunReport,
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
    let stop = || asked.load(Ordering::SeqCst);
    let mut told = false;
    let waiting_now = before.observations - before.linked - before.failed;
    let progress = progress::counting_to("linking observations", waiting_now);
    loop {
        let drained = drain.once(&stop).await?;
        done.envelopes += drained.envelopes;
        report.linkages.linked += drained.linked.linked;
        progress.set(report.linkages.linked);
        let no_log = logs.chosen.as_ref().err().cloned();
        done.reason = drained.linked.reason.or(drained.submitted.reason).or(no_log);
        if stop() {
            count(pipeline, report).await?;
            done.reason = Some("it was stopped; `provex link` goes on".to_owned());
            break;
        }
        if drained.more && (drained.submitted.answered > 0 || done.reason.is_none()) {
            continue;
        }
        count(pipeline, report).await?;
        if report.linkages.pending == 0 || done.reason.is_some() {
            break;
        }
        let backlog = pipeline.store.backlog(&pipeline.tenant).await?;
        // What was dropped is pending for ever, and nothing comes of waiting for it.
        if backlog.attest + backlog.submit + backlog.link == 0 {
            break;
        }
        done.reason = waiting(pipeline).await?;
        if done.reason.is_some() {
            break;
        }
        if let Some(until) = backlog.leased_until.filter(|_| working.waits_for_leases() && !told) {
            told = true;
            output::tell(format_args!(
                "provex: {} of the queue are leased to another process, which is waited for; what a process that has \
                 ended left is taken up again by {until}",
                backlog.leased
            ));
        }
        working.wait(pipeline).await?;
    }
    Ok(done)
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
            lines: logs.chosen.as_deref().unwrap_or_default(),
            known: &logs.known,
            authority: logs.authority.as_ref(),
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
    let reason =
        rows.into_iter().filter(|row| !row.dead && row.leased_until.is_none()).find_map(|row| row.reason);
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
    Ok(())
}

/// The report; why something is not linked is for people, on stderr.
pub(super) fn print_json(report: &RunReport, linked: &Linked) -> Result<(), Failure> {
    if let Some(reason) = linked.reason_text() {
        output::tell(format_args!("provex: {reason}"));
    }
    output::json(report)
}

/// Something that waits for the log could not be checked yet; a log that is damaged was.
pub(super) fn done(report: &RunReport, linked: &Linked) -> Done {
    if linked.damaged {
        return Done::NotAll;
    }
    if linked.off {
        return report.done();
    }
    if linked.reason.is_some() && report.linkages.pending > 0 { Done::Unchecked } else { report.done() }
}
