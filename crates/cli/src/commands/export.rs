//! `provex export`

use std::str::FromStr;

use provex_core::ids::{BundleDigest, ObservationId};
use provex_pipeline::{Exported, Pipeline};

use crate::args::{Export, Global};
use crate::data::DataFolder;
use crate::failure::{Done, Failure};
use crate::output;

pub(super) async fn run(global: &Global, export: &Export) -> Result<Done, Failure> {
    let folder = DataFolder::open(&global.data)?;
    let pipeline = folder.pipeline(folder.tenant(global.tenant.as_ref())?).await?;
    let (id, exported) = match (&export.proof, &export.bundle) {
        (Some(id), _) => (id, pipeline.proof(&observation(id)?).await?),
        (None, Some(id)) => (id, bundle(&pipeline, id).await?),
        (None, None) => return Err(Failure::call("say what to export: --proof or --bundle")),
    };
    let bytes = match exported {
        Exported::Bytes(bytes) => bytes,
        Exported::Pending => {
            return Err(Failure::not_true(format!(
                "{id} is recorded and not linked yet; `provex link` links it"
            )));
        }
        Exported::Missing => return Err(Failure::not_true(format!("nothing recorded has the id {id}"))),
    };
    match &export.output {
        Some(path) => std::fs::write(path, &bytes).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?,
        None => output::bytes(&bytes)?,
    }
    Ok(Done::Yes)
}

async fn bundle(pipeline: &Pipeline, id: &str) -> Result<Exported, Failure> {
    if let Ok(digest) = BundleDigest::from_str(id) {
        let kept = pipeline.store.bundle(&pipeline.tenant, &digest).await?;
        return Ok(kept.map_or(Exported::Missing, Exported::Bytes));
    }
    Ok(pipeline.bundle_of(&observation(id)?).await?)
}

fn observation(id: &str) -> Result<ObservationId, Failure> {
    ObservationId::from_str(id).map_err(|_| {
        Failure::call(format!("`{id}` is no observation id: vex:obs:sha256:<64 hex>, in lower case"))
    })
}
