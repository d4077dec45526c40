//! `provex link`, and the stages after ingest that `prove` shares with it.

use provex_core::verify::Verifier;
use provex_pipeline::{Pipeline, Unit};

use crate::args::{Global, Link};
use crate::data::{DataFolder, WorkLock};
use crate::failure::{Done, Failure};
use crate::output;
use crate::run::RunReport;
use crate::signatures::AwsLc;

/// What the stages after ingest did.
pub(super) struct Linked {
    /// The log's origin.
    pub(super) origin: String,
    /// Statements signed.
    pub(super) envelopes: u64,
    /// Why something is not linked.
    pub(super) reason: Option<String>,
}

pub(super) async fn run(global: &Global, args: Link) -> Result<Done, Failure> {
    let folder = DataFolder::open(global)?;
    let pipeline = folder.pipeline(folder.tenant(global.tenant.as_ref())?).await?;
    let working = folder.work(&pipeline).await?;
    let mut report = RunReport::default();
    let linked = link(&folder, &pipeline, &working, folder.unit(args.unit)?, &mut report).await?;
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
    working: &WorkLock,
    unit: Unit,
    report: &mut RunReport,
) -> Result<Linked, Failure> {
    let (signer, salt_key, keys) = (folder.signer()?, folder.salt_key()?, folder.public_keys()?);
    let log = folder.log(pipeline)?;
    let verifier = Verifier { trusted_root: &folder.trusted_root, keys: &keys, signatures: &AwsLc };
    let bar = output::progress("attesting, logging, linking");
    let mut done = Linked { origin: log.identity().origin().to_owned(), envelopes: 0, reason: None };
    loop {
        done.envelopes += pipeline.attest(&signer, &salt_key, unit).await?;
        let submitted = pipeline.submit(&log, &keys).await?;
        let linked = pipeline.link(&log, verifier).await?;
        report.linkages.linked += linked.linked;
        let counts = pipeline.store.counts(&pipeline.tenant).await?;
        report.linkages.failed = counts.failed;
        report.linkages.pending = counts.observations - counts.linked - counts.failed;
        done.reason = linked.reason.or(submitted.reason);
        if report.linkages.pending == 0 || done.reason.is_some() {
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

/// Why something that an earlier run gave back is not due yet; what another process holds has no reason.
async fn waiting(pipeline: &Pipeline) -> Result<Option<String>, Failure> {
    let backlog = pipeline.store.backlog(&pipeline.tenant).await?;
    let reason = backlog.reasons.into_iter().next();
    Ok(reason.map(|(reason, _)| format!("{reason} (it is tried again when it is due)")))
}

pub(super) fn print(report: &RunReport, linked: &Linked) -> Result<(), Failure> {
    let linkages = &report.linkages;
    output::line(&format!("statements    {} signed", linked.envelopes))?;
    output::line(&format!(
        "linkages      {} linked in {}, {} pending, {} failed",
        linkages.linked, linked.origin, linkages.pending, linkages.failed
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
