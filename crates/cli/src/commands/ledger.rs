//! `provex ledger`

use std::path::{Path, PathBuf};

use provex_core::ledger::PROJECTION_VERSION;
use provex_pipeline::view::RootView;
use provex_pipeline::{Pipeline, Trusted};
use provex_store::RootRow;
use serde_json::json;

use super::{export, link, verify};
use crate::args::{Global, Json, LedgerCommand, LogArgs};
use crate::data::DataFolder;
use crate::failure::{Done, Failure};
use crate::logs::Logs;
use crate::signatures::AwsLc;
use crate::{output, progress};

pub(super) async fn run(global: &Global, command: &LedgerCommand) -> Result<Done, Failure> {
    let folder = DataFolder::open(global)?;
    let pipeline = folder.pipeline(folder.config.tenant(global.tenant.as_ref())).await?;
    match command {
        LedgerCommand::Audit { key, json } => audit(&folder, &pipeline, key, *json).await,
        LedgerCommand::Anchor { to, log, json } => {
            anchor(&folder, &pipeline, to.as_deref(), log, *json).await
        }
        LedgerCommand::Replay { json } => replay(&pipeline, *json).await,
    }
}

/// Signs the newest root and waits until it is logged.
async fn anchor(
    folder: &DataFolder,
    pipeline: &Pipeline,
    to: Option<&Path>,
    args: &LogArgs,
    json: Json,
) -> Result<Done, Failure> {
    let logs = Logs::open(folder, pipeline, args)?;
    if let (Some(_), Err(reason)) = (to, &logs.chosen) {
        return Err(Failure::call(format!(
            "there is no bundle to hand out: {reason}. Without --to, --json prints the signed root, which can be kept or \
             carried as it is"
        )));
    }
    let working = folder.work(std::slice::from_ref(pipeline)).await?;
    let mut linked = link::anchor(folder, pipeline, &logs, &working).await?;
    if let (Err(reason), false) = (&logs.chosen, logs.off) {
        linked.unanchored = Some(reason.clone());
    }
    link::print_forked(&linked);
    if let Some(reason) = linked.reason.as_ref().filter(|_| linked.root.is_none()) {
        return Err(Failure::not_true(reason));
    }
    let Some(root) = &linked.root else {
        return Err(Failure::not_true("the ledger has no events yet: `provex prove PATH` makes some"));
    };
    let root = match (to, &root.anchor_reference) {
        (Some(to), Some(_)) => &hand_out(pipeline, root, to).await?,
        _ => root,
    };
    if json.json {
        output::json(&RootView::new(&pipeline.tenant, root))?;
    } else {
        output::line(&format!("ledger        {}", link::root_line(root, linked.unanchored.as_deref())))?;
        if let (Some(to), Some(reference)) = (to, &root.export_reference) {
            output::line(&format!("              handed out in {} as {reference}", to.display()))?;
        }
    }
    Ok(link::anchored(&linked))
}

/// Writes the bundle of a root's anchor to a file, and notes that in the ledger's roots.
async fn hand_out(pipeline: &Pipeline, root: &RootRow, to: &Path) -> Result<RootRow, Failure> {
    let (store, tenant) = (&pipeline.store, &pipeline.tenant);
    let gone =
        || Failure::not_true("the bundle of the root's anchor is gone: `provex ledger audit` says more");
    let anchor = store.newest_ledger_anchor(tenant).await?;
    let anchor = anchor.filter(|anchor| anchor.tree_size == root.tree_size).ok_or_else(gone)?;
    let (digest, bundle) = pipeline.bundle_of_envelope(&anchor.envelope).await?;
    export::write(to, &bundle)?;
    store.record_root_export(tenant, root.tree_size, &digest).await?;
    store.newest_ledger_root(tenant, false).await?.ok_or_else(gone)
}

async fn audit(
    folder: &DataFolder,
    pipeline: &Pipeline,
    more: &[PathBuf],
    json: Json,
) -> Result<Done, Failure> {
    let mut keys = folder.public_keys()?;
    for path in more {
        keys.push(verify::given_key(path)?);
    }
    let progress = progress::busy("reading the ledger");
    let audit = pipeline.audit(Trusted { keys: &keys, signatures: &AwsLc }).await?;
    drop(progress);
    if json.json {
        output::json(&json!({
            "schema": "provex.audit/v1",
            "tenantId": pipeline.tenant,
            "events": audit.events,
            "attestations": audit.attestations,
            "observations": audit.observations,
            "roots": audit.roots,
            "anchored": audit.anchored,
            "rootHash": audit.root.to_hex(),
            "wrong": audit.wrong,
        }))?;
    } else {
        output::line(&format!("events        {} in one chain", audit.events))?;
        output::line(&format!("attestations  {} said by them", audit.attestations))?;
        output::line(&format!("observations  {} as they were recorded", audit.observations))?;
        output::line(&format!("roots         {} signed, {} of them logged", audit.roots, audit.anchored))?;
        output::line(&format!("root          {}", audit.root.to_hex()))?;
    }
    finish(json, audit.wrong.as_deref(), "all that the ledger proves is as it says")
}

async fn replay(pipeline: &Pipeline, json: Json) -> Result<Done, Failure> {
    let progress = progress::busy("replaying the ledger");
    let replay = pipeline.replay(PROJECTION_VERSION).await?;
    drop(progress);
    if json.json {
        output::json(&json!({
            "schema": "provex.replay/v1",
            "tenantId": pipeline.tenant,
            "events": replay.events,
            "attestations": replay.rows,
            "cycleHash": replay.head.cycle_hash.to_hex(),
            "differs": replay.differs,
        }))?;
    } else {
        output::line(&format!("events        {} replayed", replay.events))?;
        output::line(&format!("attestations  {} made again", replay.rows))?;
        output::line(&format!("cycle hash    {}", replay.head.cycle_hash.to_hex()))?;
    }
    finish(json, replay.differs.as_deref(), "every row is what the events say, byte for byte")
}

fn finish(json: Json, wrong: Option<&str>, sound: &str) -> Result<Done, Failure> {
    match wrong {
        Some(wrong) => {
            output::tell(format_args!("provex: {}", output::plain(wrong)));
            Ok(Done::NotAll)
        }
        None if json.json => Ok(Done::Yes),
        None => output::line(sound).map(|()| Done::Yes),
    }
}
