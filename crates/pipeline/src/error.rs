//! What stops a stage.

/// Why a stage could not go on. What was done before is recorded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] provex_store::Error),
    /// The log cannot be used before somebody has looked at it.
    #[error("{0}")]
    Log(provex_tlog::LogError),
    /// The key cannot sign now.
    #[error(transparent)]
    Signing(#[from] provex_core::keys::SigningError),
    /// Stored bytes that cannot be what was stored.
    #[error("stored {what} {id} cannot be read: {reason}")]
    Stored {
        /// What they are.
        what: &'static str,
        /// Which one.
        id: String,
        /// What is wrong.
        reason: String,
    },
    /// A time beyond the years that can be written.
    #[error("the clock is beyond the year 9999")]
    Clock,
    /// A worker thread ended early.
    #[error("a worker thread stopped: {0}")]
    Worker(String),
}
