//! The ledger: one hash-chained, Merkle-rooted sequence of events for each tenant.
//!
//! An [`Event`] commits to the one before it, to its body and to the attestation rows that it wrote; the chain's
//! tree (RFC 6962) commits to all events, and the cycle hash to everything that the projection of attestations was
//! made of. `docs/DATA_MODEL.md` gives each preimage. Nothing here stores anything: a store appends under its lock
//! with [`Head::append`], and an auditor folds the same events again.

mod anchor;
mod event;
mod facts;
mod filter;
mod head;

pub use anchor::{AnchorPredicate, LEDGER_ANCHOR, PreviousAnchor, sign_root, verify_root};
pub use event::{ActorType, EVENT_SCHEMA, Event, EventType};
pub use facts::{
    AttestationFacts, FACTS_SCHEMA, FactsError, VerificationStatus, artifact_of_product, attestation_id,
    facts_of_body, rows_root,
};
pub use filter::{AttestationFilter, FILTERS_SCHEMA};
pub use head::{AppendError, Appended, CYCLE_SCHEMA, Head, NewEvent, cycle_hash, event_id};

use crate::digest::Digest;

/// The most attestation rows that one event writes.
pub const MAX_ROWS: usize = 1_000;

/// The version of the rules by which events become attestation rows.
pub const PROJECTION_VERSION: &str = "1";

/// What stands for a hash before the first: 64 zeros.
pub const NO_HASH: Digest = Digest::from_bytes([0; 32]);

/// What the origin of every chain's checkpoints begins with; the chain's UUID follows.
pub const ORIGIN_PREFIX: &str = "provex.dev/ledger/";

/// The origin, and key name, of the checkpoints of a chain.
pub fn checkpoint_origin(chain_id: uuid::Uuid) -> String {
    format!("{ORIGIN_PREFIX}{chain_id}")
}
