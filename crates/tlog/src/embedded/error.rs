use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use provex_core::checkpoint::CheckpointError;
use provex_core::entry::MAX_BODY;
use provex_core::keys::SigningError;
use provex_core::note::NoteError;
use provex_core::tile::{TileError, TileProofError};

use crate::LogError;

/// Why the folder cannot be read or written as the log that it should be.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The operating system's word.
    #[error("{}: {source}{}", path.display(), advice(source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was said.
        source: io::Error,
    },
    /// An entry that no tiled log can hold.
    #[error("the entry has {length} bytes; a tiled log holds up to {MAX_BODY}")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// A checkpoint that this log did not sign.
    #[error(
        "{place} is not this log's: {source}. Bring back this log's own file or key; where the file `checkpoint` was \
         damaged, remove it, and `provex link` writes the newest one again"
    )]
    ForeignCheckpoint {
        /// Where it stands.
        place: &'static str,
        /// Why it does not verify.
        source: CheckpointError,
    },
    /// Less is there than was once signed.
    #[error(
        "the log folder {} does not hold the {size} entries of its newest checkpoint: {reason}. It was changed, or \
         restored from an older copy. Entries logged so far keep verifying from their bundles; bring back the folder \
         of that checkpoint, or begin a new log under a new key and origin: `provex key rotate --log`",
        path.display()
    )]
    Behind {
        /// The folder.
        path: PathBuf,
        /// Entries of the newest checkpoint.
        size: u64,
        /// What is missing or different.
        reason: String,
    },
    /// More is there than one batch can have left: to go on from the checkpoint would sign another history.
    #[error(
        "the log folder {} holds more entries than its newest checkpoint of size {size} and one batch: a newer \
         checkpoint was lost. Bring back the database or the file `checkpoint` that had it, or begin a new log under \
         a new key and origin: `provex key rotate --log`",
        path.display()
    )]
    Ahead {
        /// The folder.
        path: PathBuf,
        /// Entries of the newest checkpoint that is known.
        size: u64,
    },
    /// Two checkpoints that cannot both be of one log.
    #[error(
        "the log folder {} and the database hold checkpoints that differ within the first {size} entries: the log \
         was forked. Begin a new log under a new key and origin: `provex key rotate --log`",
        path.display()
    )]
    Forked {
        /// The folder.
        path: PathBuf,
        /// The size of the smaller one.
        size: u64,
    },
    /// The log's key cannot sign.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// A note that cannot be made.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Tiles that do not give a proof.
    #[error("the log's tiles give no proof: {0}")]
    Tiles(String),
}

impl From<FolderError> for LogError {
    /// What the next attempt may find mended is a matter of waiting; another log in the folder is not.
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::Io { .. } | FolderError::Signing(_) => Self::unavailable(error.to_string()),
            FolderError::TooLong { .. } => Self::Refused(error.to_string()),
            FolderError::ForeignCheckpoint { .. }
            | FolderError::Behind { .. }
            | FolderError::Ahead { .. }
            | FolderError::Forked { .. }
            | FolderError::Note(_)
            | FolderError::Tiles(_) => Self::Unusable(Arc::new(error)),
        }
    }
}

impl From<TileError> for FolderError {
    fn from(error: TileError) -> Self {
        Self::Tiles(error.to_string())
    }
}

impl From<TileProofError<Self>> for FolderError {
    fn from(error: TileProofError<Self>) -> Self {
        match error {
            TileProofError::Read { source, .. } => source,
            TileProofError::Proof(proof) => Self::Tiles(proof.to_string()),
            short @ TileProofError::Short { .. } => Self::Tiles(short.to_string()),
        }
    }
}

/// What every Unix answers for a disk that fails; the standard library has no name for it.
const EIO: i32 = 5;

/// What helps, where that is known.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        _ if error.raw_os_error() == Some(EIO) => {
            "; the disk is failing: look at it and run the command again, which goes on where it was"
        }
        io::ErrorKind::QuotaExceeded | io::ErrorKind::StorageFull => {
            "; free some space and run the command again, which goes on where it was"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; see that the log's folder is yours to write and that its file system is not mounted read-only"
        }
        _ => "",
    }
}

/// An I/O error at this path.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::Io { path, source }
}
