//! The embedded log's checkpoints, kept in the store.

use std::sync::Arc;

use async_trait::async_trait;
use provex_core::checkpoint::SignedCheckpoint;
use provex_core::ids::LogId;
use provex_store::{LogCheckpoint, Store};
use provex_tlog::embedded::CheckpointStore;

use crate::environment::Environment;

/// Keeps an embedded log's newest checkpoint in `control.logs`.
pub struct StoreCheckpoints {
    /// Where.
    pub store: Arc<dyn Store>,
    /// The time of each.
    pub environment: Arc<dyn Environment>,
    /// Of which log.
    pub log: LogId,
}

#[async_trait]
impl CheckpointStore for StoreCheckpoints {
    async fn newest(&self) -> Result<Option<Vec<u8>>, String> {
        let newest = self.store.log_checkpoint(&self.log).await.map_err(|e| e.to_string())?;
        Ok(newest.map(|checkpoint| checkpoint.note))
    }

    async fn record(&self, checkpoint: &SignedCheckpoint) -> Result<(), String> {
        let row = log_checkpoint(checkpoint, self.environment.now());
        self.store.record_log_checkpoint(&self.log, &row).await.map_err(|e| e.to_string())
    }
}

/// A verified checkpoint as it is kept.
pub(crate) fn log_checkpoint(
    checkpoint: &SignedCheckpoint,
    seen_at: provex_core::time::Timestamp,
) -> LogCheckpoint {
    let note = checkpoint.note().as_str().as_bytes().to_vec();
    let checkpoint = checkpoint.checkpoint();
    LogCheckpoint {
        origin: checkpoint.origin.clone(),
        size: checkpoint.size,
        root: checkpoint.root,
        note,
        seen_at,
    }
}
