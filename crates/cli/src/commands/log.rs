//! `provex log`

use provex_tlog::LogError;
use serde_json::json;

use crate::args::{Global, LogCommand};
use crate::data::{self, DataFolder};
use crate::failure::{Done, Failure};
use crate::output;

pub(super) async fn run(global: &Global, command: &LogCommand) -> Result<Done, Failure> {
    let LogCommand::Checkpoint { json } = command;
    let folder = DataFolder::open(global)?;
    let pipeline = folder.pipeline(folder.config.tenant(global.tenant.as_ref())).await?;
    let log = folder.embedded_log(&pipeline)?;
    let id = log.identity.id;
    let audit = data::audit(log).await.map_err(failure)?;
    let (checkpoint, note) = (audit.newest.checkpoint(), audit.newest.note().as_str());
    if json.json {
        output::json(&json!({
            "origin": checkpoint.origin,
            "rekorLogId": id,
            "treeSize": checkpoint.size,
            "treeRoot": checkpoint.root.to_hex(),
            "note": note,
        }))?;
    } else {
        // The note itself, so that it can be kept in a file: `provex log checkpoint > checkpoint`.
        output::bytes(note.as_bytes())?;
    }
    Ok(Done::Yes)
}

/// A checkpoint that the folder does not hold is not handed out: whoever kept it would hold it against the log.
fn failure(error: LogError) -> Failure {
    match error {
        LogError::Unusable(_) => Failure::not_true(error),
        other => anyhow::Error::new(other).into(),
    }
}
