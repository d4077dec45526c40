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
    /// The chain does not extend a root that was signed.
    #[error(
        "the ledger of tenant `{tenant}` does not extend its root over {tree_size} events, which was signed before: \
         {reason}. No root is signed until it does: `provex ledger audit` names what was changed, and \
         docs/OPERATIONS.md, \"The ledger does not hold\", says what to do"
    )]
    Forked {
        /// Whose ledger it is.
        tenant: provex_core::ids::TenantId,
        /// How many events the root is over.
        tree_size: u64,
        /// What does not hold.
        reason: String,
    },
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
