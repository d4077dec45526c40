//! Why a log did not do what it was asked, and what that means for the entry.

use std::sync::Arc;
use std::time::Duration;

use provex_core::checkpoint::CheckpointError;
use provex_core::entry::EntryError;
use provex_core::merkle::ProofError;

use crate::embedded::FolderError;

/// Why a log did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// The log will never take this entry.
    #[error("the log refuses the entry: {0}")]
    Refused(String),
    /// The log takes no entries any more; another one has to.
    #[error("the log is frozen and takes no entries: {0}")]
    Frozen(String),
    /// The entry was not taken. Trying again later can help.
    #[error("the log is not available: {reason}")]
    Unavailable {
        /// In words.
        reason: String,
        /// How long the log asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The entry may be in the log. The same bytes again find it, or log it.
    #[error("whether the log has the entry is not known: {reason}")]
    InDoubt {
        /// In words.
        reason: String,
        /// How long the log asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// What the log answered cannot be true, or is no log's answer.
    #[error("the log's answer does not hold: {0}")]
    Misbehaving(Arc<Misbehavior>),
    /// The log cannot be used before somebody has looked at it.
    #[error("{0}")]
    Unusable(Arc<FolderError>),
}

impl LogError {
    /// Not available, without a word on when.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into(), retry_after: None }
    }

    /// In doubt, without a word on when.
    pub fn in_doubt(reason: impl Into<String>) -> Self {
        Self::InDoubt { reason: reason.into(), retry_after: None }
    }

    /// How long the log asks to be left alone.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } | Self::InDoubt { retry_after, .. } => *retry_after,
            Self::Refused(_) | Self::Frozen(_) | Self::Misbehaving(_) | Self::Unusable(_) => None,
        }
    }

    /// Whether the log did not answer, and may later without anybody doing anything about it.
    pub const fn is_away(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::InDoubt { .. })
    }

    /// Whether it says something of the log rather than of this entry: others would fare no better now.
    pub const fn is_about_the_log(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

impl From<Misbehavior> for LogError {
    fn from(misbehavior: Misbehavior) -> Self {
        Self::Misbehaving(Arc::new(misbehavior))
    }
}

/// What in an answer does not hold.
#[derive(Debug, thiserror::Error)]
pub enum Misbehavior {
    /// An HTTP status that no Rekor v2 gives here.
    #[error("{url} answered {status}, as no Rekor v2 log does: {said}")]
    NoLog {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        said: String,
    },
    /// More than an answer may have.
    #[error("{url} answers more than {most} bytes")]
    TooLong {
        /// What was asked.
        url: String,
        /// The most there may be.
        most: usize,
    },
    /// Not a `TransparencyLogEntry`.
    #[error("it is no log entry: {0}")]
    Entry(EntryError),
    /// An entry of another log.
    #[error("it is of the log {found}, not of {expected}")]
    OtherLog {
        /// The log that was asked.
        expected: String,
        /// The one that the answer names.
        found: String,
    },
    /// An entry with another body than the one that was sent.
    #[error("entry {index} is not the one that was sent")]
    OtherEntry {
        /// Its index.
        index: u64,
    },
    /// A checkpoint that the log's key did not sign, or of another log.
    #[error("its checkpoint does not verify: {0}")]
    Checkpoint(#[source] CheckpointError),
    /// The entry is not in the tree of the checkpoint.
    #[error("its inclusion proof does not hold: {0}")]
    Inclusion(#[source] ProofError),
    /// Tiles that are none, or not those of the checkpoint.
    #[error("its tiles do not hold: {0}")]
    Tiles(String),
}
