//! Transparency logs: what provex wants of one, a log of its own in a folder, a client of Rekor v2 servers,
//! and one of timestamp authorities.
//!
//! Whatever a log answers is unverified here; `provex_core::verify` decides what it proves.

pub mod embedded;
mod error;
mod http;
pub mod rekor_v2;
pub mod tsa;

use async_trait::async_trait;
use provex_core::digest::Digest;
use provex_core::entry::{HashedRekord, LogEntry};
use provex_core::trusted_root::TrustedLog;

pub use error::{LogError, Misbehavior};
pub use http::ClientError;

/// A log that takes `hashedrekord` 0.0.2 entries.
#[async_trait]
pub trait TransparencyLog: Send + Sync {
    /// The log as the trusted root names it.
    fn identity(&self) -> &TrustedLog;

    /// How many submissions to have under way at once: a log's throughput is this over its latency.
    fn concurrency(&self) -> usize;

    /// Submits an entry and waits until a checkpoint includes it. Submitting the same entry again gives the entry
    /// that is there.
    ///
    /// # Errors
    /// [`LogError`], which says whether trying again can help.
    async fn submit(&self, entry: &HashedRekord) -> Result<LogEntry, LogError>;

    /// The newest checkpoint's note.
    ///
    /// # Errors
    /// [`LogError`] if it cannot be had now.
    async fn checkpoint(&self) -> Result<Vec<u8>, LogError>;

    /// The consistency proof between two sizes, both at most the newest checkpoint's.
    ///
    /// # Errors
    /// [`LogError`] if it cannot be had now.
    async fn consistency_proof(&self, old_size: u64, new_size: u64) -> Result<Vec<Digest>, LogError>;
}
