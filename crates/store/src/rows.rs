//! The values that go into a store and come out of it.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use provex_core::digest::Digest;
use provex_core::ids::{
    BundleDigest, ClaimDigest, DocumentDigest, EnvelopeDigest, LogId, ObservationId, TenantId,
};
use provex_core::intoto::SetCommitment;
use provex_core::ledger::{ActorType, AttestationFacts, Event, PreviousAnchor, VerificationStatus};
use provex_core::linkage::{Linkage, LinkageFields};
use provex_core::time::Timestamp;
use provex_core::vex::{Format, Status};

use crate::Error;

/// Who records something, in which run of provex, and when: what a ledger event says beside its body.
#[derive(Debug, Clone)]
pub struct Recording {
    /// The time told.
    pub now: Timestamp,
    /// Who.
    pub actor: Actor,
    /// The run.
    pub run: Option<uuid::Uuid>,
    /// Fresh randomness, of which the events' ids are made.
    pub seed: [u8; 32],
}

/// Who causes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// A name that says which one: `cli`, `worker`, or a token's id.
    pub id: String,
    /// What kind.
    pub kind: ActorType,
}

/// Who vouches for a document's arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Authentication {
    /// Fetched from somewhere unsigned.
    None,
    /// Brought by hand or by an authenticated upload.
    Operator,
}

impl Authentication {
    /// The label in the database.
    pub const fn label(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Operator => "operator",
        }
    }

    /// The value of exactly this label.
    pub fn from_label(label: &str) -> Option<Self> {
        [Self::None, Self::Operator].into_iter().find(|value| value.label() == label)
    }
}

/// A parsed document, to be recorded.
#[derive(Debug, Clone)]
pub struct NewDocument {
    /// Its facts.
    pub facts: DocumentFacts,
    /// The received bytes.
    pub body: Arc<Vec<u8>>,
    /// Its observations, in any order, without doubles: all of them, unless there are `more`.
    pub observations: Vec<NewObservation>,
    /// The others, where there are more than should be in memory at once.
    pub more: Option<MoreObservations>,
    /// What parsing found.
    pub findings: Vec<FindingRow>,
    /// Why the document starts quarantined, if it does.
    pub quarantine: Option<String>,
    /// The id of its attest submission.
    pub submission: uuid::Uuid,
    /// From when on that is due: submissions take their turns by this, then by their ids.
    pub due: Timestamp,
}

impl NewDocument {
    /// How many observations it has.
    pub fn observation_count(&self) -> u64 {
        self.observations.len() as u64 + self.more.as_ref().map_or(0, |more| more.count)
    }
}

/// Observations of a document that are made when they are recorded.
#[derive(Debug, Clone)]
pub struct MoreObservations {
    /// How many.
    pub count: u64,
    /// What makes them.
    pub source: Arc<dyn ObservationSource>,
}

/// Makes observations as often as they are asked for: a transaction may be repeated.
pub trait ObservationSource: Debug + Send + Sync {
    /// The same observations each time, in parts that fit memory.
    fn parts(&self) -> Box<dyn ObservationParts>;
}

/// Observations on their way, part by part.
#[async_trait]
pub trait ObservationParts: Send {
    /// The next part; `None` after the last.
    async fn next(&mut self) -> Option<Vec<NewObservation>>;
}

/// What is kept of a document beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentFacts {
    /// SHA-256 of the received bytes.
    pub digest: DocumentDigest,
    /// SHA-256 of the VEX document inside a wrapper.
    pub payload_digest: Option<Digest>,
    /// Its format.
    pub format: Format,
    /// The version of the format's specification.
    pub spec_version: Option<String>,
    /// Its own id.
    pub document_id: Option<String>,
    /// Its own revision.
    pub revision: Option<String>,
    /// Its issuer: scheme and id.
    pub issuer: Option<(String, String)>,
    /// The document's own time: UTC, nine digits.
    pub stated_at: Option<String>,
    /// `withdrawn`, `superseded` or `deleted`, for a document that retires its lineage.
    pub retires: Option<String>,
    /// Where it came from: a path or URL.
    pub source: String,
    /// Who vouches for it.
    pub authentication: Authentication,
}

/// An observation to be recorded.
#[derive(Debug, Clone)]
pub struct NewObservation {
    /// SHA-256 of its body.
    pub id: ObservationId,
    /// SHA-256 of its claim.
    pub claim_digest: ClaimDigest,
    /// The JCS bytes of its body.
    pub body: Vec<u8>,
    /// Its status.
    pub status: Status,
    /// The vulnerability's id.
    pub vulnerability_id: String,
    /// The product's key.
    pub product_key: String,
    /// The subcomponent's key.
    pub subcomponent_key: Option<String>,
    /// What it can be found by: kind and key, without doubles.
    pub keys: Vec<(KeyKind, String)>,
}

/// What kind of key an observation is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// Another name of the vulnerability.
    Alias,
    /// An identifier of product or subcomponent, as written or in canonical form.
    Identifier,
    /// The product's key.
    Product,
    /// The subcomponent's key.
    Subcomponent,
    /// The vulnerability's id.
    Vulnerability,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Alias, Self::Identifier, Self::Product, Self::Subcomponent, Self::Vulnerability];

    /// The label in the database.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Alias => "alias",
            Self::Identifier => "identifier",
            Self::Product => "product",
            Self::Subcomponent => "subcomponent",
            Self::Vulnerability => "vulnerability",
        }
    }
}

/// One finding of a document's parse report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingRow {
    /// Its stable code.
    pub code: String,
    /// JSON pointer into the VEX document.
    pub pointer: String,
    /// Line, from 1.
    pub line: Option<u64>,
    /// A sentence for people.
    pub message: String,
}

/// What became of a document that was to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordedDocument {
    /// Recorded now, at this time.
    New(Timestamp),
    /// It was there already.
    Unchanged,
}

/// What is done next for a document or an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Make and sign a statement of a document.
    Attest,
    /// Send an envelope to a log.
    Submit,
    /// Verify a log's answer and link.
    Link,
}

impl Stage {
    /// The label in the database.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Attest => "attest",
            Self::Submit => "submit",
            Self::Link => "link",
        }
    }

    /// The stage with this label.
    pub fn from_label(label: &str) -> Option<Self> {
        [Self::Attest, Self::Submit, Self::Link].into_iter().find(|stage| stage.label() == label)
    }
}

/// Proof of holding a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseToken(pub uuid::Uuid);

/// A lease to be taken.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    /// Proves it later.
    pub token: LeaseToken,
    /// Submissions due by then are taken.
    pub now: Timestamp,
    /// When others may take them.
    pub until: Timestamp,
}

impl Lease {
    /// The latest time, an hour from now, that a lease or a submission that was put off can have: so long may a log ask to
    /// be left alone, and the rest is minutes. What is later was written under a clock that was ahead, and by more than those
    /// of several machines are apart.
    pub fn latest(&self) -> Timestamp {
        const HOUR: i64 = 60 * 60 * 1_000_000;
        self.now.plus_micros(HOUR).unwrap_or(self.until)
    }
}

/// A leased submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Its id.
    pub id: uuid::Uuid,
    /// What it is about.
    pub subject: SubmissionSubject,
    /// How often it was leased, this time included.
    pub attempts: u32,
}

/// A row of the queue as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedSubmission {
    /// Its id.
    pub id: uuid::Uuid,
    /// What is next.
    pub stage: Stage,
    /// Stage attest: the document.
    pub document: Option<DocumentDigest>,
    /// Stages submit and link: the envelope.
    pub envelope: Option<EnvelopeDigest>,
    /// Given up: nothing happens to it by itself.
    pub dead: bool,
    /// Why it is not done, by the last attempt or by who could make none; none before.
    pub reason: Option<String>,
    /// How often it was leased.
    pub attempts: u32,
    /// When it is due.
    pub due: Timestamp,
    /// Until when somebody works on it.
    pub leased_until: Option<Timestamp>,
}

/// What becomes of a submission that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// It is queued again, due at a time.
    Retry(Timestamp),
    /// Its row is removed: what it is about stays recorded and is not logged.
    Drop,
}

/// What was taken out of the queue before it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dropped {
    /// A document that no envelope attests.
    Document(DocumentDigest),
    /// An envelope without a verified log entry.
    Envelope(EnvelopeDigest),
}

/// What a submission is about, by stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubmissionSubject {
    /// Stage attest.
    Document(DocumentDigest),
    /// Stage submit.
    Envelope(EnvelopeDigest),
    /// Stage link: the envelope, and the log's answer, unverified.
    Answer {
        /// The envelope.
        envelope: EnvelopeDigest,
        /// The log that answered.
        log: LogId,
        /// JCS bytes of the entry.
        entry: Vec<u8>,
    },
}

/// A document to be attested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestableDocument {
    /// Its digest.
    pub digest: DocumentDigest,
    /// Its format.
    pub format: Format,
    /// Its observations, ascending.
    pub observations: Vec<ObservationId>,
}

/// A signed envelope, to be recorded before it is sent anywhere.
#[derive(Debug, Clone)]
pub struct NewEnvelope {
    /// Its identity.
    pub digest: EnvelopeDigest,
    /// The JCS bytes.
    pub bytes: Vec<u8>,
    /// Its predicate's type.
    pub predicate_type: String,
    /// SHA-256 of the signer's SPKI.
    pub key_fingerprint: Digest,
    /// The signed set; an anchor's is the chain's tree.
    pub set: SetCommitment,
    /// The id of its submission.
    pub submission: uuid::Uuid,
    /// The documents it attests.
    pub documents: Vec<DocumentDigest>,
    /// The observations, in set order.
    pub observations: Vec<ObservationId>,
}

/// What is sent of a recorded envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedEnvelope {
    /// The JCS bytes.
    pub bytes: Vec<u8>,
    /// SHA-256 of the signer's SPKI.
    pub key_fingerprint: Digest,
}

/// A recorded envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEnvelope {
    /// The JCS bytes.
    pub bytes: Vec<u8>,
    /// Its predicate's type.
    pub predicate_type: String,
    /// SHA-256 of the signer's SPKI.
    pub key_fingerprint: Digest,
    /// The signed set; an anchor's is the chain's tree.
    pub set: SetCommitment,
    /// The documents it attests.
    pub documents: Vec<DocumentDigest>,
    /// The observations, in set order.
    pub observations: Vec<ObservationId>,
    /// When it was recorded.
    pub created_at: Timestamp,
}

/// A log's answer to a submission.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The submission.
    pub submission: uuid::Uuid,
    /// The log that answered.
    pub log: LogId,
    /// JCS bytes of the entry.
    pub entry: Vec<u8>,
}

/// A verified entry, and linkages that it makes.
#[derive(Debug, Clone)]
pub struct NewLink<'a> {
    /// The entry.
    pub entry: &'a NewLogEntry,
    /// Linkages of the envelope's members, all of them or a part, in set order.
    pub linkages: &'a [Linkage],
    /// The submission that this ends.
    pub finished: Option<uuid::Uuid>,
}

/// A verified log entry as it is kept.
#[derive(Debug, Clone)]
pub struct NewLogEntry {
    /// What a linkage says of it.
    pub linked: std::sync::Arc<provex_core::linkage::LinkedEntry>,
    /// JCS bytes of the whole answer.
    pub entry: Vec<u8>,
    /// The bundle's identity.
    pub bundle_digest: BundleDigest,
    /// The bundle's JCS bytes.
    pub bundle: Vec<u8>,
    /// The verifying release.
    pub verifier_version: String,
}

/// What linking did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkCounts {
    /// Observations linked now.
    pub linked: u64,
    /// Observations that had a linkage and kept it.
    pub kept: u64,
}

/// How a leased submission is given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Release {
    /// Try again at a time.
    Retry {
        /// When.
        at: Timestamp,
        /// Why it is not done.
        reason: String,
    },
    /// The answer did not verify: drop it and submit the envelope again at a time (stage submit).
    Resubmit {
        /// When.
        at: Timestamp,
        /// What did not verify.
        reason: String,
    },
    /// Never again by itself.
    Dead {
        /// Why.
        reason: String,
    },
}

/// A recorded document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentRow {
    /// Its facts.
    pub facts: DocumentFacts,
    /// How many observations it gave.
    pub observations: u64,
    /// What parsing found.
    pub findings: Vec<FindingRow>,
    /// When it was recorded.
    pub created_at: Timestamp,
}

/// A recorded document, and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptDocument {
    /// The row.
    pub row: DocumentRow,
    /// SHA-256 of the bytes as they are now; none where they are gone.
    pub body: Option<Digest>,
    /// Its observations, ascending, and when each was recorded.
    pub observations: Vec<(ObservationId, Timestamp)>,
}

/// A recorded observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservationRow {
    /// Its identity.
    pub id: ObservationId,
    /// The document it stands in.
    pub document_digest: DocumentDigest,
    /// The JCS bytes of its body.
    pub body: Vec<u8>,
    /// SHA-256 of its claim.
    pub claim_digest: ClaimDigest,
    /// Its status.
    pub status: Status,
    /// The vulnerability's id.
    pub vulnerability_id: String,
    /// The product's key.
    pub product_key: String,
    /// The subcomponent's key.
    pub subcomponent_key: Option<String>,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Its linkage, once it has one.
    pub linkage: Option<LinkageRow>,
    /// What an older release linked it with, where that is no whole linkage.
    pub older_linkage: Option<OlderLinkage>,
}

impl ObservationRow {
    /// Where it stands in the order of all observations.
    pub fn position(&self) -> ObservationPosition {
        ObservationPosition { created_at: self.created_at, id: self.id }
    }
}

/// A stored linkage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkageRow {
    /// Its fields.
    pub fields: LinkageFields,
    /// When it was stored.
    pub linked_at: Timestamp,
}

/// A linkage with a part of the columns, as a release before the others were there stored it. It counts as linked, stays as it
/// is, and is proven by nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OlderLinkage {
    /// The entry's leaf hash.
    pub rekor_uuid: Digest,
    /// The log.
    pub log_id: Option<LogId>,
    /// The entry's index in it.
    pub log_index: Option<u64>,
}

/// A place in the order `(created_at, observation_id)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObservationPosition {
    /// When the observation was recorded.
    pub created_at: Timestamp,
    /// Its identity.
    pub id: ObservationId,
}

/// Which observations to read: all conditions have to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservationFilter {
    /// Of this document.
    pub document: Option<DocumentDigest>,
    /// Against this vulnerability, by its id or an alias.
    pub vulnerability: Option<String>,
    /// About this product or subcomponent, by key or identifier.
    pub product: Option<String>,
    /// With this status.
    pub status: Option<Status>,
    /// Linked to this leaf hash.
    pub rekor_uuid: Option<Digest>,
    /// Linked at this index, of any log.
    pub log_index: Option<u64>,
    /// Not linked.
    pub pending: bool,
}

/// A change of a document's standing, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingRow {
    /// Since when it stands so.
    pub created_at: Timestamp,
    /// How.
    pub standing: String,
    /// Why, in a sentence for people.
    pub cause: String,
}

/// A log entry, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntryRow {
    /// The leaf hash.
    pub rekor_uuid: Digest,
    /// The envelope that was logged.
    pub envelope: EnvelopeDigest,
    /// JCS bytes of the log's whole answer.
    pub entry: Vec<u8>,
    /// Who says when: `tsa`, `set` or `none`.
    pub time_source: String,
    /// The bundle made of it.
    pub bundle_digest: BundleDigest,
    /// When it was kept.
    pub created_at: Timestamp,
    /// What verification said, if it said anything yet.
    pub status: Option<VerificationStatus>,
    /// When.
    pub verified_at: Option<Timestamp>,
    /// Why it does not hold.
    pub error: Option<String>,
    /// The release that verified.
    pub verifier_version: Option<String>,
}

/// A log entry, and the bundle made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLogEntry {
    /// The row.
    pub row: LogEntryRow,
    /// SHA-256 of the bundle's bytes as they are now; none where they are gone.
    pub bundle: Option<Digest>,
}

/// An event of the ledger, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// The event.
    pub event: Event,
    /// The JCS bytes of its body.
    pub body: Vec<u8>,
    /// `event_hash`.
    pub event_hash: Digest,
    /// `merkle_leaf_hash`.
    pub leaf_hash: Digest,
}

/// A signed root of a chain, to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRoot {
    /// How many events it is over.
    pub tree_size: u64,
    /// The root over them.
    pub root_hash: Digest,
    /// The signed note, verbatim.
    pub checkpoint: Vec<u8>,
}

/// The envelope that anchors a root, to be recorded before it is sent anywhere.
#[derive(Debug, Clone, Copy)]
pub struct NewAnchor<'a> {
    /// The envelope. Its set is the chain's tree.
    pub envelope: &'a NewEnvelope,
    /// The anchor before, as it is signed.
    pub previous: Option<PreviousAnchor>,
}

/// A signed root, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootRow {
    /// The chain.
    pub chain_id: uuid::Uuid,
    /// How many events it is over.
    pub tree_size: u64,
    /// The root over them.
    pub root_hash: Digest,
    /// The signed note, verbatim.
    pub checkpoint: Vec<u8>,
    /// When it was signed.
    pub created_at: Timestamp,
    /// `rekor:<log id>:<index>` once it was logged.
    pub anchor_reference: Option<String>,
    /// `airgap:<bundle digest>` once it was handed out in a file.
    pub export_reference: Option<String>,
}

/// An attestation: a row of `findings.ledger_attestations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestationRow {
    /// What its event says of it.
    pub facts: AttestationFacts,
    /// The event that wrote the row.
    pub ledger_event_id: uuid::Uuid,
    /// That event's time.
    pub recorded_at: Timestamp,
    /// That event's leaf hash.
    pub merkle_leaf_hash: Digest,
    /// The root of the chain up to and including that event.
    pub root_hash: Digest,
    /// That event's cycle hash.
    pub cycle_hash: Digest,
    /// The rules by which the row was made.
    pub projection_version: String,
}

impl AttestationRow {
    /// Where it stands in the order of all attestations.
    pub fn position(&self) -> AttestationPosition {
        AttestationPosition { recorded_at: self.recorded_at, attestation_id: self.facts.attestation_id }
    }
}

/// A place in the order `(recorded_at, attestation_id)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttestationPosition {
    /// When the row's event was recorded.
    pub recorded_at: Timestamp,
    /// The attestation.
    pub attestation_id: uuid::Uuid,
}

/// A page of attestations, and the state of the ledger that it was cut from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestationPage {
    /// The rows, in their order.
    pub rows: Vec<AttestationRow>,
    /// How many events the ledger had.
    pub tree_size: u64,
    /// The root over them.
    pub root_hash: Digest,
}

/// All attestations that fit a filter, and the state of the ledger that they are of.
pub struct AttestationStream {
    /// How many events the ledger had.
    pub tree_size: u64,
    /// The root over them.
    pub root_hash: Digest,
    /// The rows, in their order.
    pub rows: Box<dyn AttestationRows>,
}

/// Attestations of one snapshot, some at a time, whatever is recorded meanwhile.
#[async_trait]
pub trait AttestationRows: Send {
    /// The next rows, at most [`STREAM_ROWS`]. None: there are no more.
    ///
    /// # Errors
    /// What was read until then is not all.
    async fn next(&mut self) -> Result<Vec<AttestationRow>, Error>;
}

/// The most rows that [`AttestationRows::next`] gives: few enough for constant memory, enough for a page to cost little.
pub const STREAM_ROWS: usize = 1_000;

/// A verdict to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStatement {
    /// Its id: a UUIDv7.
    pub id: uuid::Uuid,
    /// SHA-256 of the verdict's subject.
    pub subject: Digest,
    /// SHA-256 of `body`: the verdict's id.
    pub verdict: Digest,
    /// SHA-256 of the merge trace.
    pub trace: Digest,
    /// The JCS bytes of the verdict.
    pub body: Vec<u8>,
}

/// A published verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementRow {
    /// What was published.
    pub statement: NewStatement,
    /// Its number among the subject's, from 1.
    pub revision: u64,
    /// The one before it.
    pub supersedes: Option<uuid::Uuid>,
    /// When it was published.
    pub created_at: Timestamp,
}

/// A log's newest checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogCheckpoint {
    /// The log's origin.
    pub origin: String,
    /// Its tree size.
    pub size: u64,
    /// Its root.
    pub root: Digest,
    /// The signed note, verbatim.
    pub note: Vec<u8>,
    /// When it was verified or published.
    pub seen_at: Timestamp,
}

/// How much there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Documents.
    pub documents: u64,
    /// Observations.
    pub observations: u64,
    /// Observations with a linkage.
    pub linked: u64,
    /// Observations without one whose submission is dead.
    pub failed: u64,
    /// When the oldest observation without a linkage was recorded.
    pub oldest_pending: Option<Timestamp>,
    /// The newest time that a row of the tenant was given. A clock that is behind it was set back.
    pub last_at: Option<Timestamp>,
}

/// What waits in the queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Documents to be attested.
    pub attest: u64,
    /// Envelopes to be submitted.
    pub submit: u64,
    /// Answers to be verified and linked.
    pub link: u64,
    /// Submissions that were given up.
    pub dead: u64,
    /// Of those to be attested, submitted or linked, how many somebody has leased.
    pub leased: u64,
    /// When the last of those leases ends: what a killed process had is taken up again by then.
    pub leased_until: Option<Timestamp>,
    /// Why submissions wait or were given up, and how many for each reason; the most frequent first, at most ten.
    pub reasons: Vec<(String, u64)>,
}

/// What an API token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Administration.
    Admin,
    /// Read attestations.
    LedgerAttestRead,
    /// Read events, roots and proofs of the ledger.
    LedgerRead,
    /// Read documents, observations, linkages, bundles and proofs.
    VexRead,
    /// Record documents.
    VexWrite,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 5] =
        [Self::Admin, Self::LedgerAttestRead, Self::LedgerRead, Self::VexRead, Self::VexWrite];

    /// The name in tokens, SQL and the command line.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::LedgerAttestRead => "ledger.attest.read",
            Self::LedgerRead => "ledger.read",
            Self::VexRead => "vex.read",
            Self::VexWrite => "vex.write",
        }
    }

    /// The scope of exactly this name.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.label() == label)
    }

    /// Scopes as they are kept: names, separated by single blanks, sorted.
    pub fn join(scopes: &BTreeSet<Self>) -> String {
        scopes.iter().map(|scope| scope.label()).collect::<Vec<_>>().join(" ")
    }

    /// What [`Scope::join`] made.
    pub fn split(text: &str) -> Option<BTreeSet<Self>> {
        text.split(' ').filter(|name| !name.is_empty()).map(Self::from_label).collect()
    }
}

/// An API token: who shows it may do in one tenant what its scopes allow. Only its hash is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Its id: a UUIDv7, no secret.
    pub id: uuid::Uuid,
    /// SHA-256 of the token.
    pub digest: Digest,
    /// The tenant that it holds for.
    pub tenant: TenantId,
    /// What it allows.
    pub scopes: BTreeSet<Scope>,
    /// A name for people.
    pub label: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it holds; `None`: until revoked.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked; `None`: it was not.
    pub revoked_at: Option<Timestamp>,
}

impl ApiToken {
    /// Whether it holds now.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expires| now < expires)
    }
}

/// The answer to a write that was sent with an `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotentAnswer {
    /// The key that the client chose.
    pub key: String,
    /// SHA-256 of the request.
    pub request: Digest,
    /// HTTP status of the answer.
    pub status: u16,
    /// Its body.
    pub body: Vec<u8>,
    /// When it may be forgotten.
    pub expires_at: Timestamp,
}
