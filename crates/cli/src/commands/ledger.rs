//! `provex ledger`

use provex_core::ledger::PROJECTION_VERSION;
use provex_pipeline::Pipeline;
use serde_json::json;

use crate::args::{Global, Json, LedgerCommand};
use crate::data::DataFolder;
use crate::failure::{Done, Failure};
use crate::{output, progress};

pub(super) async fn run(global: &Global, command: &LedgerCommand) -> Result<Done, Failure> {
    let folder = DataFolder::open(global)?;
    let pipeline = folder.pipeline(folder.config.tenant(global.tenant.as_ref())).await?;
    match command {
        LedgerCommand::Audit { json } => audit(&pipeline, *json).await,
        LedgerCommand::Replay { json } => replay(&pipeline, *json).await,
    }
}

async fn audit(pipeline: &Pipeline, json: Json) -> Result<Done, Failure> {
    let progress = progress::busy("reading the ledger");
    let audit = pipeline.audit().await?;
    drop(progress);
    if json.json {
        output::json(&json!({
            "schema": "provex.audit/v1",
            "tenantId": pipeline.tenant,
            "events": audit.events,
            "attestations": audit.attestations,
            "observations": audit.observations,
            "rootHash": audit.root.to_hex(),
            "wrong": audit.wrong,
        }))?;
    } else {
        output::line(&format!("events        {} in one chain", audit.events))?;
        output::line(&format!("attestations  {} said by them", audit.attestations))?;
        output::line(&format!("observations  {} as they were recorded", audit.observations))?;
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
