//! The embedded log: a real C2SP tiled log in a folder, with the entries that a Rekor v2 server would log.
//!
//! Submissions are gathered into batches of up to 256 entries or 100 ms. A batch is written in this order: entry
//! bundles and tiles, the signed checkpoint into the [`CheckpointStore`], the file `checkpoint`, the answers. The
//! folder's lock is held for a batch, so several processes can share one folder.

mod audit;
mod edge;
mod error;
mod files;
mod folder;
mod proofs;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use provex_core::checkpoint::SignedCheckpoint;
use provex_core::digest::Digest;
use provex_core::entry::{HashedRekord, LogEntry};
use provex_core::keys::Signer;
use provex_core::tile;
use provex_core::trusted_root::TrustedLog;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinError;

pub use audit::Audit;
pub use error::FolderError;
use files::Tiles;
use folder::{Folder, Leaf};

use crate::{LogError, TransparencyLog};

/// The most entries of a batch: the leaves of one full tile.
const BATCH_ENTRIES: usize = 256;
/// How long the first entry of a batch waits for others.
const BATCH_AGE: Duration = Duration::from_millis(100);

/// Where the log's newest signed checkpoint is kept beside the folder: whichever of the two is newer decides.
///
/// Both methods are called under the folder's lock, by one writer at a time.
#[async_trait]
pub trait CheckpointStore: Send + Sync {
    /// The newest checkpoint's note, if there ever was one: no stale copy, what [`CheckpointStore::record`] kept last.
    ///
    /// # Errors
    /// In words, where it cannot be read now.
    async fn newest(&self) -> Result<Option<Vec<u8>>, String>;

    /// Keeps a checkpoint durably before it is published.
    ///
    /// # Errors
    /// In words, where it cannot be kept: the batch is then not published. Whether it was kept nevertheless has to
    /// be settled by then: the next `newest` decides, and nothing may be kept after it.
    async fn record(&self, checkpoint: &SignedCheckpoint) -> Result<(), String>;
}

/// What a log is made of: its folder, its name and key, and where its checkpoints are kept.
#[derive(Clone)]
pub struct EmbeddedLogConfig {
    /// The folder, which can be served as it lies.
    pub folder: PathBuf,
    /// The log as the trusted root names it.
    pub identity: TrustedLog,
    /// The log's Ed25519 key.
    pub signer: Arc<dyn Signer>,
    /// Where checkpoints are kept.
    pub checkpoints: Arc<dyn CheckpointStore>,
}

/// The embedded log, open for writing.
pub struct EmbeddedLog {
    identity: TrustedLog,
    folder: PathBuf,
    queue: mpsc::Sender<Waiting>,
}

struct Waiting {
    leaf: Leaf,
    answer: oneshot::Sender<Result<LogEntry, LogError>>,
}

impl EmbeddedLog {
    /// Opens the log and starts its writer, which ends when the log is dropped. The folder is made and looked at when
    /// the first batch comes.
    pub fn open(config: EmbeddedLogConfig) -> Self {
        let (queue, waiting) = mpsc::channel(2 * BATCH_ENTRIES);
        let (identity, folder) = (config.identity.clone(), config.folder.clone());
        tokio::spawn(Writer::new(config).run(waiting));
        Self { identity, folder, queue }
    }

    /// Makes the folder with a checkpoint of size 0, as a Rekor server does before its first entry. In a folder that
    /// is there, mends what a crash left: publishes the newest checkpoint.
    ///
    /// # Errors
    /// [`LogError`] if the folder cannot be written, or holds another log.
    pub async fn create(config: EmbeddedLogConfig) -> Result<(), LogError> {
        Writer::new(config).write(Vec::new()).await.1.map(|_| ())
    }

    /// Compares all that lies in the folder with the newest signed checkpoint, and changes nothing. `None` where
    /// nothing was ever signed. Of a log of more than 65,536 entries some of the entry bundles are read, which ones
    /// `seed` says, and the others found only.
    ///
    /// # Errors
    /// [`LogError::Unusable`] where a file is missing or was changed, or checkpoints contradict each other.
    pub async fn audit(config: EmbeddedLogConfig, seed: u64) -> Result<Option<Audit>, LogError> {
        let runtime = Handle::current();
        blocking(move || {
            let EmbeddedLogConfig { folder, identity, checkpoints, .. } = config;
            let _lock = files::lock_shared(&folder)?;
            let stored = runtime.block_on(checkpoints.newest()).map_err(LogError::unavailable)?;
            Ok(audit::audit(&folder, &identity, stored.as_deref(), seed)?)
        })
        .await
    }
}

#[async_trait]
impl TransparencyLog for EmbeddedLog {
    fn identity(&self) -> &TrustedLog {
        &self.identity
    }

    fn concurrency(&self) -> usize {
        2 * BATCH_ENTRIES
    }

    async fn submit(&self, entry: &HashedRekord) -> Result<LogEntry, LogError> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { leaf: Leaf::of(entry)?, answer };
        let stopped = || LogError::unavailable("the embedded log's writer has stopped");
        self.queue.send(waiting).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    async fn checkpoint(&self) -> Result<Vec<u8>, LogError> {
        let (folder, identity) = (self.folder.clone(), self.identity.clone());
        let signed = blocking(move || Ok(newest_checkpoint(&folder, &identity)?)).await?;
        Ok(signed.note().as_str().as_bytes().to_vec())
    }

    async fn consistency_proof(&self, old_size: u64, new_size: u64) -> Result<Vec<Digest>, LogError> {
        let (folder, identity) = (self.folder.clone(), self.identity.clone());
        blocking(move || {
            let published = newest_checkpoint(&folder, &identity)?.checkpoint().size;
            // A batch's tiles are durable before its checkpoint is signed, and that is kept before it is published: whoever
            // knows it from there need not wait.
            match proof_within(&folder, published.max(new_size), old_size, new_size) {
                Ok(proof) if new_size <= published || !proof.is_empty() => Ok(proof),
                Err(error) if new_size <= published => Err(error),
                _ => Err(no_proof(published, old_size, new_size)),
            }
        })
        .await
    }
}

/// The newest published checkpoint of an embedded log, read from its folder alone.
///
/// # Errors
/// [`FolderError`] where there is none, or none that this log signed.
pub fn newest_checkpoint(folder: &Path, log: &TrustedLog) -> Result<SignedCheckpoint, FolderError> {
    folder::read_checkpoint(folder, log)
}

/// The consistency proof between two sizes of an embedded log, read from its folder alone.
///
/// # Errors
/// [`LogError`] for sizes that were never there, or tiles that cannot be read.
pub fn consistency_proof(
    folder: &Path,
    log: &TrustedLog,
    old_size: u64,
    new_size: u64,
) -> Result<Vec<Digest>, LogError> {
    proof_within(folder, newest_checkpoint(folder, log)?.checkpoint().size, old_size, new_size)
}

/// The same, read from the tiles of a tree of `size` entries.
fn proof_within(folder: &Path, size: u64, old_size: u64, new_size: u64) -> Result<Vec<Digest>, LogError> {
    if old_size > new_size || new_size > size {
        return Err(no_proof(size, old_size, new_size));
    }
    // Every tree extends the empty one, and no hash is needed to show it.
    if old_size == 0 {
        return Ok(Vec::new());
    }
    tile::consistency_proof(&mut Tiles::new(folder, size), old_size, new_size)
        .map_err(|error| FolderError::from(error).into())
}

fn no_proof(size: u64, old_size: u64, new_size: u64) -> LogError {
    LogError::unavailable(format!("no proof from {old_size} to {new_size} entries: there are {size}"))
}

/// The single writer of this process.
struct Writer {
    config: EmbeddedLogConfig,
    /// What it knows of the folder, which another process may have moved on since.
    folder: Folder,
}

impl Writer {
    fn new(config: EmbeddedLogConfig) -> Self {
        let folder = Folder::at(config.folder.clone());
        Self { config, folder }
    }

    async fn run(mut self, mut waiting: mpsc::Receiver<Waiting>) {
        while let Some(first) = waiting.recv().await {
            let batch = gather(first, &mut waiting).await;
            let (leaves, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(|w| (w.leaf, w.answer)).unzip();
            let config = self.config.clone();
            let (writer, result) = self.write(leaves).await;
            // A writer that was lost to a panic begins anew from the folder.
            self = writer.unwrap_or_else(|| Self::new(config));
            let results = match result {
                Ok(entries) => entries.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error); answers.len()],
            };
            for (answer, result) in answers.into_iter().zip(results) {
                // A caller that went away learns of its entry when it submits again.
                let _ = answer.send(result);
            }
        }
    }

    /// Writes one batch on a thread of its own, which goes through to its end: whoever stops waiting, or shuts the
    /// runtime down, does not give the lock back while a checkpoint is on its way into the store.
    async fn write(mut self, leaves: Vec<Leaf>) -> (Option<Self>, Result<Vec<LogEntry>, LogError>) {
        let runtime = Handle::current();
        let writing = tokio::task::spawn_blocking(move || {
            let result = self.write_batch(&leaves, &runtime);
            (self, result)
        });
        match writing.await {
            Ok((writer, result)) => (Some(writer), result),
            Err(stopped) => (None, Err(stopped.into())),
        }
    }

    /// Gives each leaf its entry. The lock is held throughout.
    fn write_batch(&mut self, leaves: &[Leaf], runtime: &Handle) -> Result<Vec<LogEntry>, LogError> {
        let Self { config, folder } = self;
        let (identity, checkpoints) = (&config.identity, &config.checkpoints);
        let _lock = folder.lock()?;
        let stored = runtime.block_on(checkpoints.newest()).map_err(LogError::unavailable)?;
        folder.recover(stored.as_deref(), identity)?;
        // A crash from here on leaves tiles beyond the newest checkpoint: the next batch discards them.
        let batch = folder.append(leaves)?;
        if let Some(checkpoint) = folder.sign_checkpoint(&batch, identity, &*config.signer)? {
            // If this fails with its effect done, or a crash follows, the store has the newest checkpoint and the
            // folder has its tiles: the next batch publishes it.
            runtime.block_on(checkpoints.record(&checkpoint)).map_err(LogError::unavailable)?;
            folder.publish(&batch, checkpoint)?;
        }
        // A crash from here on loses answers only: whoever submits again gets the entry that is there.
        Ok(folder.entries(leaves, &batch, identity)?)
    }
}

async fn gather(first: Waiting, waiting: &mut mpsc::Receiver<Waiting>) -> Vec<Waiting> {
    let mut batch = vec![first];
    let closing = tokio::time::sleep(BATCH_AGE);
    tokio::pin!(closing);
    while batch.len() < BATCH_ENTRIES {
        tokio::select! {
            next = waiting.recv() => match next {
                Some(next) => batch.push(next),
                None => break,
            },
            () = &mut closing => break,
        }
    }
    batch
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    tokio::task::spawn_blocking(work).await?
}

impl From<JoinError> for LogError {
    fn from(_: JoinError) -> Self {
        Self::unavailable("the embedded log was stopped")
    }
}
