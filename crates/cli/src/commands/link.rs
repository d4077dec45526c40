//! `provex link`, and the stages after ingest that `prove` shares with it.

use provex_core::verify::Verifier;
use provex_pipeline::{Pipeline, Unit};

use crate::args::{Global, Link};
use crate::data::DataFolder;
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
    let folder = DataFolder::open(&global.data)?;
    let pipeline = folder.pipeline(folder.tenant(global.tenant.as_ref())?).await?;
    let _working = folder.work(&pipeline).await?;
    let mut report = RunReport::default();
    let linked = link(&folder, &pipeline, folder.unit(args.unit)?, &mut report).await?;
    if args.json.json {
        output::json(&report)?;
    } else {
        print(&report, &linked)?;
    }
    Ok(done(&report, &linked))
}

/// Attests, submits and links what waits, and counts it.
pub(super) async fn link(
    folder: &DataFolder,
    pipeline: &Pipeline,
    unit: Unit,
    report: &mut RunReport,
) -> Result<Linked, Failure> {
    let (signer, salt_key, keys) = (folder.signer()?, folder.salt_key()?, folder.public_keys()?);
    let log = folder.log(pipeline)?;
    let bar = output::progress("attesting, logging, linking");
    let envelopes = pipeline.attest(&signer, &salt_key, unit).await?;
    let submitted = pipeline.submit(&log, &keys).await?;
    let verifier = Verifier { trusted_root: &folder.trusted_root, keys: &keys, signatures: &AwsLc };
    let linked = pipeline.link(&log, verifier).await?;
    bar.finish_and_clear();
    let counts = pipeline.store.counts(&pipeline.tenant).await?;
    report.linkages.linked = linked.linked;
    report.linkages.failed = counts.failed;
    report.linkages.pending = counts.observations - counts.linked - counts.failed;
    let reason = match linked.reason.or(submitted.reason) {
        None if report.linkages.pending > 0 => waiting(pipeline).await?,
        reason => reason,
    };
    Ok(Linked { origin: log.identity().origin().to_owned(), envelopes, reason })
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

/// Something that waits for the log could not be checked yet.
pub(super) fn done(report: &RunReport, linked: &Linked) -> Done {
    if linked.reason.is_some() && report.linkages.pending > 0 { Done::Unchecked } else { report.done() }
}
