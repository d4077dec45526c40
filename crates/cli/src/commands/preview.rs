//! `provex prove --preview`: the very requests that `prove` would send, made in a database that is thrown away.
//!
//! Signatures are deterministic (RFC 6979) and salts follow from the content, so `prove` sends the same bytes.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use provex_core::dsse::Envelope;
use provex_core::entry::HashedRekord;
use provex_core::merkle;
use provex_pipeline::Pipeline;
use provex_pipeline::environment::Environment as _;
use provex_store::{Store as _, StoredEnvelope};
use provex_store_sqlite::SqliteStore;
use serde_json::{Value, json};

use super::link::Keys;
use super::prove::record;
use crate::args::{Global, Prove};
use crate::data::DataFolder;
use crate::environment::System;
use crate::failure::{Done, Failure};
use crate::logs::Logs;
use crate::output;

/// Rows a read.
const PAGE: usize = 500;

/// A folder that only we can read, gone with this value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, anyhow::Error> {
        let path = std::env::temp_dir().join(format!("provex-preview-{}", System.uuid()));
        DirBuilder::new().mode(0o700).create(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(super) async fn run(global: &Global, args: &Prove) -> Result<Done, Failure> {
    let folder = DataFolder::open(global)?;
    let real = folder.pipeline(folder.config.tenant(global.tenant.as_ref())).await?;
    let logs = Logs::open(&folder, &real, &args.log)?;
    let keys = Keys::of(&folder)?;
    let scratch = Scratch::new()?;
    let store = SqliteStore::open(&scratch.0.join("preview.db")).await?;
    store.add_tenant(&real.tenant, System.uuid(), System.now()).await?;
    let pipeline = Pipeline { store: Arc::new(store), ..real.clone() };
    let mut report = record(&folder, &pipeline, &args.sources).await?;
    keys.attest(&pipeline, folder.config.unit(args.unit)?).await?;
    report.print_places();
    let json = args.sources.json.json;
    if !json {
        print_destination(&logs)?;
    }
    let mut after = None;
    loop {
        let rows = pipeline.store.queued_submissions(&pipeline.tenant, false, after, PAGE).await?;
        for row in &rows {
            let Some(digest) = row.envelope else { continue };
            let Some(stored) = pipeline.store.envelope(&pipeline.tenant, &digest).await? else { continue };
            let known = real.store.known_documents(&real.tenant, &stored.documents).await?;
            if stored.documents.iter().all(|document| known.contains(document)) {
                continue;
            }
            print(&sent(&stored, &keys)?, json)?;
        }
        match rows.last() {
            Some(last) if rows.len() == PAGE => after = Some(last.id),
            _ => return Ok(report.done()),
        }
    }
}

/// What is sent for one statement, and what becomes public of it.
fn sent(stored: &StoredEnvelope, keys: &Keys) -> Result<Value, anyhow::Error> {
    let envelope = Envelope::parse(&stored.bytes)?;
    let entry = HashedRekord::of_envelope(&envelope, keys.signer())?;
    let body = entry.body();
    Ok(json!({
        "documents": stored.documents.iter().map(|digest| digest.to_text()).collect::<Vec<_>>(),
        "observations": stored.observations.len(),
        "request": String::from_utf8(entry.request())?,
        "becomesPublic": String::from_utf8(body.clone())?,
        "leafHash": merkle::leaf_hash(&body).to_hex(),
    }))
}

fn print_destination(logs: &Logs) -> Result<(), Failure> {
    match &logs.chosen {
        Ok(lines) => {
            for line in lines.iter().take(1) {
                let url = &line.log().identity().base_url;
                output::line(&format!("log           {} ({url})", logs.name()))?;
            }
        }
        Err(reason) => output::line(&format!("log           none: {reason}"))?,
    }
    if matches!(logs.authority, Ok(Some(_))) {
        output::line("authority     gets the SHA-256 of each signature, nothing else")?;
    }
    output::line(
        "Documents that were recorded before are left out: what waits of them is in `provex pending --queue`.\n",
    )
}

fn print(sent: &Value, json: bool) -> Result<(), Failure> {
    if json {
        return output::json(sent);
    }
    let text = |name: &str| sent[name].as_str().unwrap_or_default().to_owned();
    let documents = sent["documents"].as_array().map_or(0, Vec::len);
    output::line(&format!(
        "a statement about {documents} document(s), {} observation(s)",
        sent["observations"]
    ))?;
    output::line(&format!("  sent            {}", text("request")))?;
    output::line(&format!("  becomes public  {}", text("becomesPublic")))?;
    output::line(&format!("  as the leaf     {}\n", text("leafHash")))
}
