//! `provex log`

use provex_core::verify::Verifier;
use serde_json::json;

use crate::args::{Global, LogCommand};
use crate::data::DataFolder;
use crate::failure::{Done, Failure};
use crate::output;
use crate::signatures::{AwsLc, Tokens};

pub(super) async fn run(global: &Global, command: &LogCommand) -> Result<Done, Failure> {
    let LogCommand::Checkpoint { json } = command;
    let folder = DataFolder::open(global)?;
    let pipeline = folder.pipeline(folder.tenant(global.tenant.as_ref())?).await?;
    let log = folder.log(&pipeline)?;
    let note = log.checkpoint().await.map_err(|error| anyhow::anyhow!("{error}"))?;
    let verifier =
        Verifier { trusted_root: &folder.trusted_root, keys: &[], signatures: &AwsLc, timestamps: &Tokens };
    let signed = verifier.checkpoint(log.identity(), &note).map_err(Failure::not_true)?;
    let checkpoint = signed.checkpoint();
    if json.json {
        output::json(&json!({
            "origin": checkpoint.origin,
            "rekorLogId": log.identity().id,
            "treeSize": checkpoint.size,
            "treeRoot": checkpoint.root.to_hex(),
            "note": signed.note().as_str(),
        }))?;
    } else {
        // The note itself, so that it can be kept in a file: `provex log checkpoint > checkpoint`.
        output::bytes(signed.note().as_str().as_bytes())?;
    }
    Ok(Done::Yes)
}
