//! The linkage: the verified tie of an observation to a log entry. Only [`crate::verify`] makes one.

use std::ops::Deref;
use std::sync::Arc;

use crate::digest::Digest;
use crate::ids::{EnvelopeDigest, LogId, ObservationId};
use crate::time::Timestamp;

/// What a linkage says: the columns `rekor_…` of an observation, without the time it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkageFields {
    /// The linked observation.
    pub observation: ObservationId,
    /// What it shares with all other members of its envelope.
    pub entry: Arc<LinkedEntry>,
    /// The observation's index in its set.
    pub set_index: u64,
    /// Its inclusion path to the set's root.
    pub set_path: Vec<Digest>,
}

/// A log entry as a linkage names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedEntry {
    /// The leaf hash (v1's UUID; the same rule for v2).
    pub rekor_uuid: Digest,
    /// The log's id.
    pub log_id: LogId,
    /// The entry's index; v1: the global one.
    pub log_index: u64,
    /// The log's base URL in the trusted root.
    pub log_url: String,
    /// The size of the tree that the inclusion proof is for.
    pub tree_size: u64,
    /// That tree's root.
    pub tree_root: Digest,
    /// When v1 says it integrated the entry.
    pub integrated_time: Option<Timestamp>,
    /// When a timestamp authority saw the signature.
    pub timestamp_time: Option<Timestamp>,
    /// The entry's kind.
    pub entry_kind: String,
    /// The kind's version.
    pub entry_version: String,
    /// SHA-256 of the canonicalized body.
    pub entry_body_hash: Digest,
    /// The leaf's index in its tree.
    pub tree_index: u64,
    /// The inclusion path in the log.
    pub inclusion_path: Vec<Digest>,
    /// The envelope that was logged.
    pub envelope_digest: EnvelopeDigest,
}

/// A verified linkage: it can be read, and made only by verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linkage(LinkageFields);

impl Linkage {
    /// Called where every condition was checked, and nowhere else.
    pub(crate) fn verified(fields: LinkageFields) -> Self {
        Self(fields)
    }
}

impl Deref for Linkage {
    type Target = LinkageFields;

    fn deref(&self) -> &LinkageFields {
        &self.0
    }
}
