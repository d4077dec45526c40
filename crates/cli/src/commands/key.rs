//! `provex key`

use provex_pipeline::Pipeline;
use serde_json::json;

use super::link;
use crate::args::{Global, Json, KeyCommand, LogArgs, UnitArgs};
use crate::data::{self, DataFolder, Rotated};
use crate::failure::{Done, Failure};
use crate::logs::Logs;
use crate::output;
use crate::run::RunReport;

pub(super) async fn run(global: &Global, command: &KeyCommand) -> Result<Done, Failure> {
    match command {
        KeyCommand::Show { json } => show(global, *json),
        KeyCommand::Rotate { log: true, origin, .. } => {
            finish(global).await?;
            let origin = data::rotate_log(global, origin.as_deref()).await?;
            output::line(&format!("new log      {origin}"))?;
            output::line("old entries  keep verifying: trusted_root.json has both logs; hand it out again")?;
            Ok(Done::Yes)
        }
        KeyCommand::Rotate { signing_key, password_file, .. } => {
            let given =
                signing_key.as_deref().map(|path| crate::keyfile::read(path, password_file.as_deref()));
            rotated(&data::rotate_attest(global, given.transpose()?).await?)
        }
    }
}

/// Links what waits for the log that is to be ended: it may hold some of it already, and the new one would log that
/// again. A log that is past helping is ended all the same.
async fn finish(global: &Global) -> Result<(), Failure> {
    let folder = DataFolder::open(global)?;
    if data::is_rotating_log(&global.data)? {
        return Ok(());
    }
    for tenant in folder.store().await?.tenants().await? {
        let pipeline = folder.pipeline(tenant).await?;
        let backlog = pipeline.store.backlog(&pipeline.tenant).await?;
        if backlog.submit + backlog.link == 0 {
            continue;
        }
        let left = match Logs::open(&folder, &pipeline, &LogArgs::default()) {
            Ok(logs) if logs.own => {
                link_rest(&folder, &pipeline, &logs).await.unwrap_or_else(|failure| Some(failure.to_string()))
            }
            Ok(_) => None,
            Err(failure) => Some(failure.to_string()),
        };
        if let Some(reason) = left {
            output::tell(format_args!(
                "provex: warning: {}; what waits goes to the new log, even where the old one holds it already",
                output::plain(&reason)
            ));
        }
    }
    Ok(())
}

/// Why something of a tenant is not linked after all.
async fn link_rest(folder: &DataFolder, pipeline: &Pipeline, logs: &Logs) -> Result<Option<String>, Failure> {
    let working = folder.work(std::slice::from_ref(pipeline)).await?;
    let (unit, mut report) = (folder.config.unit(UnitArgs::default())?, RunReport::default());
    Ok(link::link(folder, pipeline, logs, &working, unit, &mut report).await?.reason)
}

fn rotated(rotated: &Rotated) -> Result<Done, Failure> {
    output::line(&format!("new key      sha256 {}", rotated.new))?;
    output::line(&format!(
        "retired      {} (keep it: it verifies what it signed)",
        rotated.retired.display()
    ))?;
    Ok(Done::Yes)
}

fn show(global: &Global, json: Json) -> Result<Done, Failure> {
    let folder = DataFolder::open(global)?;
    let active = folder.signing_key()?.fingerprint();
    let keys = folder.public_keys()?;
    let key_view = |key: &provex_core::keys::PublicKey| {
        let state = if key.fingerprint() == active { "active" } else { "retired" };
        json!({"keyFingerprint": key.fingerprint().to_hex(), "state": state, "pem": key.to_pem()})
    };
    if json.json {
        output::json(&json!({ "keys": keys.iter().map(key_view).collect::<Vec<_>>() }))?;
        return Ok(Done::Yes);
    }
    for key in &keys {
        let state = if key.fingerprint() == active { "active " } else { "retired" };
        output::line(&format!("{state}  sha256 {}\n{}", key.fingerprint().to_hex(), key.to_pem()))?;
    }
    Ok(Done::Yes)
}
