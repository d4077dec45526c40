//! `provex export`

use std::path::Path;
use std::str::FromStr;

use provex_core::ids::{BundleDigest, ObservationId};
use provex_pipeline::{Exported, Pipeline};

use crate::args::{Export, Global};
use crate::data::DataFolder;
use crate::failure::{Done, Failure};
use crate::output;

pub(super) async fn run(global: &Global, export: &Export) -> Result<Done, Failure> {
    let folder = DataFolder::open(global)?;
    let pipeline = folder.pipeline(folder.config.tenant(global.tenant.as_ref())).await?;
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
        Some(path) => write(path, &bytes)?,
        None => output::bytes(&bytes)?,
    }
    Ok(Done::Yes)
}

/// Writes the file; where that fails, no part of it stays. A pipe or device is written as it is.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|error| {
        if path.is_file() {
            let _ = std::fs::remove_file(path);
        }
        anyhow::Error::new(error).context(format!("cannot write {}", path.display())).into()
    })
}

async fn bundle(pipeline: &Pipeline, id: &str) -> Result<Exported, Failure> {
    if let Ok(digest) = BundleDigest::from_str(id) {
        let kept = pipeline.bundle(&digest).await?;
        return Ok(kept.map_or(Exported::Missing, Exported::Bytes));
    }
    Ok(pipeline.bundle_of(&observation(id)?).await?)
}

fn observation(id: &str) -> Result<ObservationId, Failure> {
    ObservationId::from_str(id).map_err(|_| {
        Failure::call(format!("`{id}` is no observation id: vex:obs:sha256:<64 hex>, in lower case"))
    })
}
