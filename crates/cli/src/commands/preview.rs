//! `provex prove --preview`: the very requests that `prove` would send, made in a database that is thrown away.
//!
//! Signatures are deterministic (RFC 6979) and salts follow from the content, so `prove` sends the same bytes.

use std::fs::{self, DirBuilder};
use std::num::NonZeroUsize;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use provex_core::dsse::Envelope;
use provex_core::entry::HashedRekord;
use provex_core::ids::DocumentDigest;
use provex_core::merkle;
use provex_formats::ParseLimits;
use provex_pipeline::environment::Environment as _;
use provex_pipeline::{Content, Input, Pipeline, Unit};
use provex_store::{
    Lease, LeaseToken, Recording, Release, Stage, Store as _, StoredEnvelope, SubmissionSubject,
};
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
/// Longer than a preview takes: nobody else works on its database.
const LEASE_MICROS: i64 = 60 * 60 * 1_000_000;

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
    let unit = folder.config.unit(args.unit)?;
    let waiting = match unit {
        Unit::Batch(size) => waiting(&real, size).await?,
        Unit::Document | Unit::Observation => Vec::new(),
    };
    queue(&real, &pipeline, &waiting, folder.parse_limits()).await?;
    let mut report = record(&folder, &pipeline, &args.sources).await?;
    leave_out_known(&real, &pipeline, &waiting).await?;
    keys.attest(&pipeline, unit).await?;
    report.print_places();
    let json = args.sources.json.json;
    if !json {
        print_destination(&logs)?;
        print_unit(unit, waiting.len())?;
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
            print(&sent(&stored, &keys, &logs)?, json)?;
        }
        match rows.last() {
            Some(last) if rows.len() == PAGE => after = Some(last.id),
            _ => return Ok(report.done()),
        }
    }
}

/// The documents that wait already and fill no batch: the first new ones go into a statement with them.
async fn waiting(real: &Pipeline, size: NonZeroUsize) -> Result<Vec<DocumentDigest>, Failure> {
    let (mut rows, mut after, now) = (Vec::new(), None, System.now());
    loop {
        let page = real.store.queued_submissions(&real.tenant, false, after, PAGE).await?;
        let free = page.iter().filter(|row| row.leased_until.is_none_or(|until| until <= now));
        rows.extend(free.filter_map(|row| Some((row.due, row.id, row.document?))));
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.id),
            _ => break,
        }
    }
    rows.sort_unstable();
    let full = rows.len() - rows.len() % size;
    Ok(rows.drain(full..).map(|(.., document)| document).collect())
}

/// Queues documents of the real store in the one that is thrown away.
async fn queue(
    real: &Pipeline,
    pipeline: &Pipeline,
    documents: &[DocumentDigest],
    limits: ParseLimits,
) -> Result<(), Failure> {
    for digest in documents {
        let Some(body) = real.store.document_body(&real.tenant, digest).await? else { continue };
        let input = Input { name: digest.to_text(), content: Content::Bytes(body), found: false };
        pipeline.ingest(std::iter::once(input), limits, |_| {}).await?;
    }
    Ok(())
}

/// Takes out of the queue what `prove` would find recorded already, but for what is `waiting`.
async fn leave_out_known(
    real: &Pipeline,
    pipeline: &Pipeline,
    waiting: &[DocumentDigest],
) -> Result<(), Failure> {
    let Pipeline { store, tenant, .. } = pipeline;
    let now = System.now();
    let lease = Lease {
        token: LeaseToken(System.uuid()),
        now,
        until: now.plus_micros(LEASE_MICROS).context("the clock")?,
    };
    let recording = Recording { now, actor: pipeline.actor.clone(), run: pipeline.run, seed: [0; 32] };
    loop {
        let leased = store.acquire_submissions(tenant, Stage::Attest, lease, PAGE).await?;
        let documents = leased.iter().filter_map(|row| match &row.subject {
            SubmissionSubject::Document(digest) => Some((row.id, *digest)),
            SubmissionSubject::Envelope(_) | SubmissionSubject::Answer { .. } => None,
        });
        let documents: Vec<_> = documents.collect();
        let digests: Vec<_> = documents.iter().map(|(_, digest)| *digest).collect();
        let known = real.store.known_documents(&real.tenant, &digests).await?;
        for (id, digest) in &documents {
            if known.contains(digest) && !waiting.contains(digest) {
                let release = Release::Dead { reason: "it is recorded".to_owned() };
                store.release_submission(tenant, &recording, lease.token, *id, &release).await?;
            }
        }
        if leased.len() < PAGE {
            break;
        }
    }
    store.clear_leases(tenant, now).await?;
    Ok(())
}

/// What is sent for one statement, and what becomes public of it; nothing where the tenant's go to no log.
fn sent(stored: &StoredEnvelope, keys: &Keys, logs: &Logs) -> Result<Value, anyhow::Error> {
    let envelope = Envelope::parse(&stored.bytes)?;
    let entry = HashedRekord::of_envelope(&envelope, keys.signer())?;
    let body = entry.body();
    let (request, leaf) = (String::from_utf8(entry.request())?, merkle::leaf_hash(&body).to_hex());
    let public = String::from_utf8(body)?;
    Ok(json!({
        "documents": stored.documents.iter().map(|digest| digest.to_text()).collect::<Vec<_>>(),
        "observations": stored.observations.len(),
        "request": (!logs.off).then_some(request),
        "becomesPublic": (!logs.off).then_some(public),
        "leafHash": (!logs.off).then_some(leaf),
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

/// What else decides which documents a statement is about.
fn print_unit(unit: Unit, waiting: usize) -> Result<(), Failure> {
    let Unit::Batch(_) = unit else { return Ok(()) };
    if waiting > 0 {
        output::line(&format!(
            "{waiting} document(s) that were recorded before wait for a statement and get one with the first of these."
        ))?;
    }
    output::line("Who else records documents or works on the queue until `prove` runs makes other batches.\n")
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
    if sent["request"].is_null() {
        return output::line("  signed and kept; nothing is sent, and nothing becomes public\n");
    }
    output::line(&format!("  sent            {}", text("request")))?;
    output::line(&format!("  becomes public  {}", text("becomesPublic")))?;
    output::line(&format!("  as the leaf     {}\n", text("leafHash")))
}
