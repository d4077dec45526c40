//! `provex show`

use std::str::FromStr;

use provex_core::digest::Digest;
use provex_core::ids::{BundleDigest, DocumentDigest, EnvelopeDigest, ObservationId};
use provex_pipeline::Pipeline;
use provex_pipeline::view::{DocumentView, ObservationView};
use serde_json::{Value, json};

use crate::args::{Global, Show};
use crate::data::DataFolder;
use crate::failure::{Done, Failure};
use crate::output;

/// What an id names: its JSON view, and the exact bytes whose SHA-256 it is.
struct Shown {
    view: Value,
    bytes: Vec<u8>,
}

pub(super) async fn run(global: &Global, show: &Show) -> Result<Done, Failure> {
    let folder = DataFolder::open(global)?;
    let pipeline = folder.pipeline(folder.config.tenant(global.tenant.as_ref())).await?;
    let Some(shown) = find(&pipeline, &show.id).await? else {
        return Err(Failure::not_true(format!("nothing recorded has the id {}", show.id)));
    };
    if show.canonical {
        output::bytes(&shown.bytes)?;
    } else if show.json.json {
        output::json(&shown.view)?;
    } else {
        let text = serde_json::to_string_pretty(&shown.view).map_err(anyhow::Error::from)?;
        output::line(&text)?;
    }
    Ok(Done::Yes)
}

async fn find(pipeline: &Pipeline, id: &str) -> Result<Option<Shown>, Failure> {
    if let Ok(id) = ObservationId::from_str(id) {
        return observation(pipeline, &id).await;
    }
    if let Ok(digest) = BundleDigest::from_str(id)
        && let Some(bytes) = pipeline.bundle(&digest).await?
    {
        return shown("bundle", bytes).map(Some);
    }
    let Ok(digest) = DocumentDigest::from_str(id.trim_start_matches(BundleDigest::PREFIX)) else {
        return Err(Failure::call(format!(
            "`{id}` is no id: vex:obs:sha256:<64 hex>, sha256:<64 hex> or <64 hex>, in lower case"
        )));
    };
    if let Some(found) = document(pipeline, &digest).await? {
        return Ok(Some(found));
    }
    let digest = EnvelopeDigest::new(*digest.digest());
    if let Some(envelope) = pipeline.envelope(&digest).await? {
        return shown("envelope", envelope.bytes).map(Some);
    }
    let bytes = pipeline.bundle(&BundleDigest::new(*digest.digest())).await?;
    bytes.map(|bytes| shown("bundle", bytes)).transpose()
}

async fn observation(pipeline: &Pipeline, id: &ObservationId) -> Result<Option<Shown>, Failure> {
    let Some(row) = pipeline.store.observation(&pipeline.tenant, id).await? else { return Ok(None) };
    let view = serde_json::to_value(ObservationView::new(&row)?).map_err(anyhow::Error::from)?;
    Ok(Some(Shown { view, bytes: row.body }))
}

async fn document(pipeline: &Pipeline, digest: &DocumentDigest) -> Result<Option<Shown>, Failure> {
    let Some(row) = pipeline.store.document(&pipeline.tenant, digest).await? else { return Ok(None) };
    let bytes = pipeline.store.document_body(&pipeline.tenant, digest).await?;
    let bytes =
        bytes.ok_or_else(|| anyhow::anyhow!("the bytes of document {} are not kept", digest.to_text()))?;
    if Digest::of(&bytes) != *digest.digest() {
        let digest = digest.to_text();
        return Err(
            anyhow::anyhow!("the kept bytes of document {digest} were changed: bring back a copy").into()
        );
    }
    let envelopes = pipeline.store.envelopes_of_document(&pipeline.tenant, digest).await?;
    let view = serde_json::to_value(DocumentView::new(&row, &envelopes)).map_err(anyhow::Error::from)?;
    Ok(Some(Shown { view, bytes }))
}

fn shown(what: &str, bytes: Vec<u8>) -> Result<Shown, Failure> {
    let value: Value = serde_json::from_slice(&bytes).map_err(anyhow::Error::from)?;
    Ok(Shown { view: json!({ what: value }), bytes })
}
