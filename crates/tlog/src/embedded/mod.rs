//! The embedded log: a real C2SP tiled log in a folder, with the entries that a Rekor v2 server would log.
//!
//! Submissions are gathered into batches of up to 256 entries or 100 ms. A batch is written in this order: entry
//! bundles and tiles, the signed checkpoint into the [`CheckpointStore`], the file `checkpoint`, the answers. The
//! folder's lock is held for a batch, so several processes can share one folder.

mod folder;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use provex_core::checkpoint::SignedCheckpoint;
use provex_core::digest::Digest;
use provex_core::entry::{HashedRekord, LogEntry};
use provex_core::keys::Signer;
use provex_core::trusted_root::TrustedLog;
use tokio::sync::{Mutex, mpsc, oneshot};

pub use folder::FolderError;
use folder::{Folder, Leaf, LockedFolder};

use crate::{LogError, TransparencyLog};

/// The most entries of a batch: the leaves of one full tile.
const BATCH_ENTRIES: usize = 256;
/// How long the first entry of a batch waits for others.
const BATCH_AGE: Duration = Duration::from_millis(100);

/// Where the log's newest signed checkpoint is kept beside the folder: whichever of the two is newer decides.
#[async_trait]
pub trait CheckpointStore: Send + Sync {
    /// The newest checkpoint's note, if there ever was one.
    ///
    /// # Errors
    /// In words, where it cannot be read now.
    async fn newest(&self) -> Result<Option<Vec<u8>>, String>;

    /// Keeps a checkpoint durably before it is published.
    ///
    /// # Errors
    /// In words, where it cannot be kept: the batch is then not published.
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
        tokio::spawn(Writer { config, folder: Arc::new(Mutex::new(None)) }.run(waiting));
        Self { identity, folder, queue }
    }

    /// Makes the folder with a checkpoint of size 0, as a Rekor server does before its first entry.
    ///
    /// # Errors
    /// [`LogError`] if the folder cannot be written, or holds another log.
    pub async fn create(config: EmbeddedLogConfig) -> Result<(), LogError> {
        Writer { config, folder: Arc::new(Mutex::new(None)) }.write(Vec::new()).await.map(|_| ())
    }
}

#[async_trait]
impl TransparencyLog for EmbeddedLog {
    fn identity(&self) -> &TrustedLog {
        &self.identity
    }

    async fn submit(&self, entry: &HashedRekord) -> Result<LogEntry, LogError> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { leaf: Leaf::of(entry)?, answer };
        let stopped = || LogError::Unavailable("the embedded log's writer has stopped".to_owned());
        self.queue.send(waiting).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    async fn checkpoint(&self) -> Result<Vec<u8>, LogError> {
        let folder = self.folder.clone();
        blocking(move || folder::read_checkpoint(&folder)).await
    }

    async fn consistency_proof(&self, old_size: u64, new_size: u64) -> Result<Vec<Digest>, LogError> {
        let folder = self.folder.clone();
        blocking(move || folder::consistency_proof(&folder, old_size, new_size)).await
    }
}

/// The single writer of this process.
struct Writer {
    config: EmbeddedLogConfig,
    /// The folder's state as last seen, which another process may have moved on since.
    folder: Arc<Mutex<Option<Folder>>>,
}

impl Writer {
    async fn run(self, mut waiting: mpsc::Receiver<Waiting>) {
        while let Some(first) = waiting.recv().await {
            let batch = gather(first, &mut waiting).await;
            let (leaves, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(|w| (w.leaf, w.answer)).unzip();
            let results = match self.write(leaves).await {
                Ok(entries) => entries.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error); answers.len()],
            };
            for (answer, result) in answers.into_iter().zip(results) {
                // A caller that went away learns of its entry when it submits again.
                let _ = answer.send(result);
            }
        }
    }

    /// Writes one batch and gives each leaf its entry.
    async fn write(&self, leaves: Vec<Leaf>) -> Result<Vec<LogEntry>, LogError> {
        let mut state = self.folder.lock().await;
        let (path, seen) = (self.config.folder.clone(), state.take());
        let folder = seen.unwrap_or_else(|| Folder::at(path));
        let locked = blocking(move || folder.lock()).await?;
        let newest = self.config.checkpoints.newest().await.map_err(LogError::Unavailable)?;
        let identity = self.config.identity.clone();
        let signer = Arc::clone(&self.config.signer);
        let (locked, written) =
            blocking(move || write_tiles(locked, newest, leaves, identity, &*signer)).await?;
        if let Some(checkpoint) = &written.checkpoint {
            // A crash from here on leaves a checkpoint that is newer in the store: the next batch publishes it.
            self.config.checkpoints.record(checkpoint).await.map_err(LogError::Unavailable)?;
        }
        let (folder, entries) = blocking(move || publish(locked, written)).await?;
        *state = Some(folder);
        Ok(entries)
    }
}

/// A batch whose tiles are durable and whose checkpoint is not published yet.
struct Written {
    leaves: Vec<(Leaf, u64)>,
    checkpoint: Option<SignedCheckpoint>,
    identity: TrustedLog,
}

fn write_tiles(
    mut locked: LockedFolder,
    newest: Option<Vec<u8>>,
    leaves: Vec<Leaf>,
    identity: TrustedLog,
    signer: &dyn Signer,
) -> Result<(LockedFolder, Written), FolderError> {
    let fresh = locked.recover(newest.as_deref(), &identity)?;
    let (placed, grown) = locked.append(leaves)?;
    let checkpoint = (grown || fresh).then(|| locked.sign_checkpoint(&identity, signer)).transpose()?;
    Ok((locked, Written { leaves: placed, checkpoint, identity }))
}

fn publish(mut locked: LockedFolder, written: Written) -> Result<(Folder, Vec<LogEntry>), FolderError> {
    if let Some(checkpoint) = written.checkpoint {
        locked.publish(checkpoint)?;
    }
    let entries = locked.entries(&written.leaves, &written.identity)?;
    Ok((locked.unlock(), entries))
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
    work: impl FnOnce() -> Result<T, FolderError> + Send + 'static,
) -> Result<T, LogError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(LogError::from),
        Err(_) => Err(LogError::Unavailable("the embedded log's writer was stopped".to_owned())),
    }
}

impl From<FolderError> for LogError {
    /// What the next attempt may find mended is a matter of waiting; another log in the folder is not.
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::Io { .. } => Self::Unavailable(error.to_string()),
            FolderError::TooLong { .. } => Self::Refused(error.to_string()),
            other => Self::Unusable(Arc::new(other)),
        }
    }
}
