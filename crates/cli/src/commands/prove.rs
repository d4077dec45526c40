//! `provex prove` and `provex ingest`

use std::path::PathBuf;

use provex_pipeline::Pipeline;
use provex_store::{ObservationFilter, ObservationRow};

use super::{link, preview};
use crate::args::{Global, Prove, Sources};
use crate::clock;
use crate::data::{self, DataFolder};
use crate::failure::{Done, Failure};
use crate::hint;
use crate::inputs::Inputs;
use crate::logs::Logs;
use crate::output;
use crate::progress;
use crate::run::RunReport;

pub(super) async fn run(global: &Global, args: Prove) -> Result<Done, Failure> {
    if args.preview {
        return preview::run(global, &args).await;
    }
    let folder = DataFolder::open_or_init(global).await?;
    let (sources, unit) = (args.sources, folder.config.unit(args.unit)?);
    let pipeline = folder.pipeline(folder.config.tenant(global.tenant.as_ref())).await?;
    let logs = Logs::open(&folder, &pipeline, &args.log)?;
    let working = folder.work(std::slice::from_ref(&pipeline)).await?;
    let keys = link::Keys::of(&folder)?;
    let drain = keys.drain(std::slice::from_ref(&pipeline), &logs, unit);
    // What is wrong with the ledger is met again, and told, when all is linked.
    let (recorded, _) = drain.sealing_meanwhile(record(&folder, &pipeline, &sources)).await;
    let mut report = recorded?;
    let linked = link::link(&folder, &pipeline, &logs, &working, unit, &mut report).await?;
    report.print_places();
    if sources.json.json {
        link::print_json(&report, &linked)?;
    } else {
        print_recorded(&report)?;
        link::print(&report, &linked)?;
        print_next(global, &pipeline, &logs).await?;
    }
    Ok(link::done(&report, &linked))
}

pub(super) async fn ingest(global: &Global, sources: Sources) -> Result<Done, Failure> {
    let folder = DataFolder::open_or_init(global).await?;
    let pipeline = folder.pipeline(folder.config.tenant(global.tenant.as_ref())).await?;
    clock::warn(pipeline.store.counts(&pipeline.tenant).await?.last_at);
    let mut report = record(&folder, &pipeline, &sources).await?;
    link::count(&pipeline, &mut report).await?;
    report.print_places();
    if sources.json.json {
        output::json(&report)?;
    } else {
        print_recorded(&report)?;
        output::line(&format!("pending       {}; `provex link` proves them", report.linkages.pending))?;
    }
    Ok(report.done())
}

pub(super) async fn record(
    folder: &DataFolder,
    pipeline: &Pipeline,
    sources: &Sources,
) -> Result<RunReport, Failure> {
    let limits = folder.parse_limits();
    let mut report = RunReport::default();
    let progress = progress::counting("reading documents");
    let inputs = Inputs::new(sources.paths.clone(), limits);
    let ingested = pipeline
        .ingest(inputs, limits, |item| {
            report.add(item);
            progress.add_one();
        })
        .await?;
    drop(progress);
    report.observations.recorded = ingested.observations;
    Ok(report)
}

fn print_recorded(report: &RunReport) -> Result<(), Failure> {
    let observations = &report.observations;
    output::line(&format!("documents     {}", report.documents_line()))?;
    output::line(&format!(
        "observations  {} recorded, {} unchanged",
        observations.recorded, observations.unchanged
    ))
}

/// What can be proven now, and the command that shows it.
async fn print_next(global: &Global, pipeline: &Pipeline, logs: &Logs) -> Result<(), Failure> {
    let counts = pipeline.store.counts(&pipeline.tenant).await?;
    let any = pipeline.store.observations(&pipeline.tenant, &ObservationFilter::default(), None, 1).await?;
    let Some(example) = any.iter().find(|row| row.linkage.is_some()) else { return Ok(()) };
    let Some(key) = signer_of(global, pipeline, example).await? else { return Ok(()) };
    let program = std::env::args().next().unwrap_or_else(|| "provex".to_owned());
    let (root, key) = (logs.root_path.to_string_lossy(), key.to_string_lossy());
    let (program, root, key) = (hint::quoted(&program), hint::quoted(&root), hint::quoted(&key));
    let (id, of) = (example.id.to_text(), hint::options(global));
    output::line(&format!(
        "\n{} of {} observations of {} documents can now be proven to anyone, offline. For one of them:\n\n  \
         {program} export{of} --proof {id} -o proof.json\n  \
         {program} verify proof.json --trusted-root {root} --key {key}",
        counts.linked, counts.observations, counts.documents
    ))
}

/// The file of the public key that signed an observation's envelope: a retired one after a rotation.
async fn signer_of(
    global: &Global,
    pipeline: &Pipeline,
    row: &ObservationRow,
) -> Result<Option<PathBuf>, Failure> {
    let Some(linkage) = &row.linkage else { return Ok(None) };
    let envelope = &linkage.fields.entry.envelope_digest;
    let Some(envelope) = pipeline.store.envelope(&pipeline.tenant, envelope).await? else { return Ok(None) };
    data::public_key_file(&global.data, &envelope.key_fingerprint)
}
