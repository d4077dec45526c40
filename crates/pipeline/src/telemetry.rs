//! What the stages tell of their work, to whoever counts it.

use std::time::Duration;

use provex_core::ids::LogId;

/// A piece of work that was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measured {
    /// An envelope was sent to a log, or would have been.
    Submitted {
        /// The log.
        log: LogId,
        /// `answered`, or what kind of error it was.
        outcome: &'static str,
        /// Until its answer was there.
        took: Duration,
    },
    /// A log's answer was verified.
    Verified {
        /// The log.
        log: LogId,
        /// `verified`; `refused`: it does not hold; `waiting`: something else is missing.
        outcome: &'static str,
        /// With its consistency proof and its timestamps, where they had to be fetched.
        took: Duration,
    },
    /// A log's checkpoint was compared with the newest one seen of it.
    Compared {
        /// The log.
        log: LogId,
        /// Whether the larger one is proven to contain the smaller one.
        consistent: bool,
    },
}
