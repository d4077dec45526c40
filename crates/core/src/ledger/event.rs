//! Ledger events: what was recorded, by whom, and after what.

use uuid::Uuid;

use crate::digest::Digest;
use crate::ids::TenantId;
use crate::jcs::{JcsError, ObjectWriter};
use crate::merkle;
use crate::time::Timestamp;

/// `schema` of an event.
pub const EVENT_SCHEMA: &str = "provex.event/v1";

/// What an event records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventType {
    /// A document with its observations.
    DocumentRecorded,
    /// An envelope's log entry was verified, and its members linked.
    AttestationVerified,
    /// The log finally refused an envelope, or a check gave a definite no.
    AttestationFailed,
    /// Trust in the log or key of a verified entry was withdrawn.
    AttestationUnknown,
    /// A verdict was published.
    VerdictPublished,
    /// A delta was published.
    DeltaPublished,
    /// A document's standing changed.
    StandingChanged,
    /// Another policy applies.
    PolicyChanged,
    /// A root of this ledger was logged.
    LedgerAnchored,
    /// An administrator changed something.
    AdminChanged,
}

impl EventType {
    /// Every value.
    pub const ALL: [Self; 10] = [
        Self::DocumentRecorded,
        Self::AttestationVerified,
        Self::AttestationFailed,
        Self::AttestationUnknown,
        Self::VerdictPublished,
        Self::DeltaPublished,
        Self::StandingChanged,
        Self::PolicyChanged,
        Self::LedgerAnchored,
        Self::AdminChanged,
    ];

    /// The label in SQL and JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::DocumentRecorded => "document.recorded",
            Self::AttestationVerified => "attestation.verified",
            Self::AttestationFailed => "attestation.failed",
            Self::AttestationUnknown => "attestation.unknown",
            Self::VerdictPublished => "verdict.published",
            Self::DeltaPublished => "delta.published",
            Self::StandingChanged => "standing.changed",
            Self::PolicyChanged => "policy.changed",
            Self::LedgerAnchored => "ledger.anchored",
            Self::AdminChanged => "admin.changed",
        }
    }

    /// The value of exactly this label.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.label() == label)
    }
}

/// What kind of actor caused an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ActorType {
    /// Provex by itself: a worker, a migration.
    System,
    /// Somebody at a command line.
    Operator,
    /// A program with a credential.
    Integration,
}

impl ActorType {
    /// The label in SQL and JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Operator => "operator",
            Self::Integration => "integration",
        }
    }

    /// The value of exactly this label.
    pub fn from_label(label: &str) -> Option<Self> {
        [Self::System, Self::Operator, Self::Integration].into_iter().find(|kind| kind.label() == label)
    }
}

/// One event of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Whose chain it is.
    pub tenant_id: TenantId,
    /// The chain's random UUID.
    pub chain_id: Uuid,
    /// Its number, from 1, without gaps.
    pub sequence_no: u64,
    /// Its UUIDv7.
    pub event_id: Uuid,
    /// What it records.
    pub event_type: EventType,
    /// The policy that applied, where one did.
    pub policy_version: Option<String>,
    /// The vulnerability that all its rows share.
    pub finding_id: Option<String>,
    /// The artifact that all its rows share.
    pub artifact_id: Option<String>,
    /// The run of provex that caused it.
    pub source_run_id: Option<Uuid>,
    /// Who caused it.
    pub actor_id: String,
    /// What kind of actor that is.
    pub actor_type: ActorType,
    /// When what it records happened.
    pub occurred_at: Timestamp,
    /// When it was recorded: larger than that of the event before.
    pub recorded_at: Timestamp,
    /// The hash of the event before; 64 zeros for the first.
    pub previous_hash: Digest,
    /// SHA-256 of its body's JCS bytes.
    pub body_hash: Digest,
    /// How many attestation rows it wrote.
    pub row_count: u64,
    /// Their root.
    pub rows_root: Digest,
}

impl Event {
    /// The event's JCS bytes.
    ///
    /// # Errors
    /// [`JcsError::UnsafeInteger`] for a number beyond 2^53 - 1.
    pub fn to_jcs(&self) -> Result<Vec<u8>, JcsError> {
        let mut out = Vec::with_capacity(1_024);
        let mut event = ObjectWriter::new(&mut out);
        event.str("actorId", &self.actor_id);
        event.str("actorType", self.actor_type.label());
        event.opt_str("artifactId", self.artifact_id.as_deref());
        event.str("bodyHash", &self.body_hash.to_hex());
        event.str("chainId", &self.chain_id.to_string());
        event.str("eventId", &self.event_id.to_string());
        event.str("eventType", self.event_type.label());
        event.opt_str("findingId", self.finding_id.as_deref());
        event.str("occurredAt", &self.occurred_at.to_rfc3339());
        event.opt_str("policyVersion", self.policy_version.as_deref());
        event.str("previousHash", &self.previous_hash.to_hex());
        event.str("recordedAt", &self.recorded_at.to_rfc3339());
        event.u64("rowCount", self.row_count);
        event.str("rowsRoot", &self.rows_root.to_hex());
        event.str("schema", EVENT_SCHEMA);
        event.u64("sequenceNo", self.sequence_no);
        event.opt_str("sourceRunId", self.source_run_id.map(|run| run.to_string()).as_deref());
        event.str("tenantId", self.tenant_id.as_str());
        event.finish()?;
        Ok(out)
    }

    /// `event_hash` and `merkle_leaf_hash`: SHA-256 of the event, and RFC 6962's of it as a leaf.
    ///
    /// # Errors
    /// As [`Event::to_jcs`].
    pub fn hashes(&self) -> Result<(Digest, Digest), JcsError> {
        let bytes = self.to_jcs()?;
        Ok((Digest::of(&bytes), merkle::leaf_hash(&bytes)))
    }
}
