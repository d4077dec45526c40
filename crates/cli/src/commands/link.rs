//! `provex link`, and the stages after ingest that `prove` shares with it.

use provex_core::intoto::SaltKey;
use provex_core::keys::{LocalSigner, PublicKey, Signer as _};
use provex_core::verify::Verifier;
use provex_pipeline::{Drain, Pipeline, Unit};

use super::queue;
use crate::args::{Global, Link};
use crate::data::{DataFolder, WorkLock};
use crate::failure::{Done, Failure};
use crate::logs::Logs;
use crate::output;
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
}

pub(super) async fn run(global: &Global, args: Link) -> Result<Done, Failure> {
    let folder = DataFolder::open(global)?;
    let pipeline = folder.pipeline(folder.tenant(global.tenant.as_ref())?).await?;
    let logs = Logs::open(&folder, &pipeline, &args.log)?;
    let working = folder.work(std::slice::from_ref(&pipeline)).await?;
    queue::settle(&pipeline, args.retry, args.drop).await?;
    let mut report = RunReport::default();
    let linked = link(&folder, &pipeline, &logs, &working, folder.unit(args.unit)?, &mut report).await?;
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
    let drain = keys.drain(std::slice::from_ref(pipeline), logs, unit);
    let bar = output::progress("attesting, logging, linking");
    let mut done = Linked { log: logs.name(), ..Linked::default() };
    loop {
        let drained = drain.once(&|| false).await?;
        done.envelopes += drained.envelopes;
        report.linkages.linked += drained.linked.linked;
        let counts = pipeline.store.counts(&pipeline.tenant).await?;
        report.linkages.failed = counts.failed;
        report.linkages.pending = counts.observations - counts.linked - counts.failed;
        let no_log = logs.chosen.as_ref().err().cloned();
        done.reason = drained.linked.reason.or(drained.submitted.reason).or(no_log);
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
        working.wait(pipeline).await?;
    }
    bar.finish_and_clear();
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
    if let Some(reason) = &linked.reason {
        output::line(&format!("              not all are linked: {reason}"))?;
    }
    Ok(())
}

/// The report; why something is not linked is for people, on stderr.
pub(super) fn print_json(report: &RunReport, linked: &Linked) -> Result<(), Failure> {
    if let Some(reason) = &linked.reason {
        eprintln!("provex: not all are linked: {reason}");
    }
    output::json(report)
}

/// Something that waits for the log could not be checked yet.
pub(super) fn done(report: &RunReport, linked: &Linked) -> Done {
    if linked.reason.is_some() && report.linkages.pending > 0 { Done::Unchecked } else { report.done() }
}
