//! What provex keeps: one contract, written natively by each backend.
//!
//! Each method of [`Store`] is one transaction: when it returns `Ok`, all of it is durable; when it returns an
//! error, none of it happened (or, after [`Error::OutcomeUnknown`], repeating it is harmless). No transaction
//! handle and no SQL type crosses the trait. Time, lease tokens and ids are arguments. Every row but those of
//! `control` is of one tenant, and each method names it.

pub mod copy;
mod error;
pub mod ledger;
mod portions;
mod rows;
pub mod testing;

pub use error::Error;
pub use portions::Portions;
pub use rows::*;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use provex_core::digest::Digest;
use provex_core::ids::{BundleDigest, DocumentDigest, EnvelopeDigest, LogId, ObservationId, TenantId};
use provex_core::ledger::{AttestationFilter, Head, PreviousAnchor};
use provex_core::tile::TilePath;
use provex_core::time::Timestamp;

/// The most linkages that one call of [`Store::link`] takes: as many as one ledger event holds.
pub const MAX_LINKAGES: usize = 1_000;

/// Documents, observations, envelopes, entries and linkages of all tenants.
#[async_trait]
pub trait Store: Send + Sync {
    /// Creates a tenant with its ledger chain; a tenant that exists stays as it is.
    async fn add_tenant(&self, tenant: &TenantId, chain_id: uuid::Uuid, now: Timestamp) -> Result<(), Error>;

    /// The tenants, by name.
    async fn tenants(&self) -> Result<Vec<TenantId>, Error>;

    /// Which of these documents are recorded.
    async fn known_documents(
        &self,
        tenant: &TenantId,
        digests: &[DocumentDigest],
    ) -> Result<BTreeSet<DocumentDigest>, Error>;

    /// Records documents with their bodies, observations, keys and findings, and queues each for attestation.
    /// A document that is recorded already is left as it is. Observations that are not in memory are taken in part by
    /// part, all in the same transaction.
    ///
    /// All that is new gets one `created_at`: the larger of the time told and the chain's last time + 1 µs, decided
    /// under the tenant's chain row.
    async fn record_documents(
        &self,
        tenant: &TenantId,
        recording: &Recording,
        documents: &[NewDocument],
    ) -> Result<Vec<RecordedDocument>, Error>;

    /// Leases up to `limit` submissions of one stage that are due and not leased, oldest first.
    ///
    /// A clock that ran ahead and was set back stops nothing: where nothing else is due, what was never put off is, and what
    /// is put off beyond [`Lease::latest`]; a lease of another token that ends after that has ended.
    async fn acquire_submissions(
        &self,
        tenant: &TenantId,
        stage: Stage,
        lease: Lease,
        limit: usize,
    ) -> Result<Vec<Submission>, Error>;

    /// Gives back every lease of the tenant, and makes due by `now` what waits to be tried again: for a caller who
    /// knows that nobody else works on this store, as after a crash on a data folder that is locked. What stood in
    /// the way may be mended by then, and the clock may have gone back since a time was set. Attempts stay counted.
    /// How many submissions that changed.
    async fn clear_leases(&self, tenant: &TenantId, now: Timestamp) -> Result<u64, Error>;

    /// What is to be attested of these documents, in the order given; unknown ones are left out.
    async fn attestable_documents(
        &self,
        tenant: &TenantId,
        digests: &[DocumentDigest],
    ) -> Result<Vec<AttestableDocument>, Error>;

    /// Records envelopes with their members, and replaces the leased attest submissions `replaces` by one submit
    /// submission an envelope.
    ///
    /// # Errors
    /// [`Error::LostLease`] if one of `replaces` is not leased with `token`: nothing is written.
    async fn record_envelopes(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        token: LeaseToken,
        replaces: &[uuid::Uuid],
        envelopes: &[NewEnvelope],
    ) -> Result<(), Error>;

    /// An envelope with its members in set order.
    async fn envelope(
        &self,
        tenant: &TenantId,
        digest: &EnvelopeDigest,
    ) -> Result<Option<StoredEnvelope>, Error>;

    /// What is sent of those of these envelopes that are recorded.
    async fn signed_envelopes(
        &self,
        tenant: &TenantId,
        digests: &[EnvelopeDigest],
    ) -> Result<BTreeMap<EnvelopeDigest, SignedEnvelope>, Error>;

    /// Those of these envelopes that are recorded, with their members in set order.
    async fn envelopes(
        &self,
        tenant: &TenantId,
        digests: &[EnvelopeDigest],
    ) -> Result<BTreeMap<EnvelopeDigest, StoredEnvelope>, Error>;

    /// Keeps logs' answers, unverified, moves their submissions from submit to link, and gives their leases back.
    ///
    /// # Errors
    /// [`Error::LostLease`] if one of them is not leased with `token`: nothing is written.
    async fn record_answers(
        &self,
        tenant: &TenantId,
        token: LeaseToken,
        answers: &[Answer],
    ) -> Result<(), Error>;

    /// Keeps verified entries and their bundles, sets linkages, and ends the submissions that are `finished`.
    /// In all at most [`MAX_LINKAGES`].
    ///
    /// Repeating it is harmless: an observation that has a linkage keeps it, and a second, different entry is
    /// kept in `attestor.log_entries`.
    ///
    /// # Errors
    /// [`Error::UnknownObservation`] if one to link does not exist, [`Error::LostLease`] if a finished submission
    /// is not leased with `token`: nothing is written.
    async fn link(
        &self,
        tenant: &TenantId,
        recording: &Recording,
        token: LeaseToken,
        links: &[NewLink<'_>],
    ) -> Result<LinkCounts, Error>;

    /// Gives a leased submission back with the reason why it is not done: due again at a time, or dead.
    ///
    /// # Errors
    /// [`Error::LostLease`] if it is not leased with `token`.
    async fn release_submission(
        &self,
        tenant: &TenantId,
        recording: &Recording,
        token: LeaseToken,
        submission: uuid::Uuid,
        release: &Release,
    ) -> Result<(), Error>;

    /// Says of all that waits for a stage why it cannot go on there, in the place of what was said before. When it is due
    /// stays, and what is leased is left to who works on it. How many rows that changed.
    async fn explain_submissions(&self, tenant: &TenantId, stage: Stage, reason: &str) -> Result<u64, Error>;

    /// Rows of the queue by id, after one; those alone that were given up, if `dead`.
    async fn queued_submissions(
        &self,
        tenant: &TenantId,
        dead: bool,
        after: Option<uuid::Uuid>,
        limit: usize,
    ) -> Result<Vec<QueuedSubmission>, Error>;

    /// Queues again, or removes, the submissions that were given up, or `only` one of them. How many.
    async fn settle_dead_submissions(
        &self,
        tenant: &TenantId,
        only: Option<uuid::Uuid>,
        settle: Settle,
    ) -> Result<u64, Error>;

    /// What [`Settle::Drop`] took out of the queue and nobody queued since, documents first.
    async fn dropped(&self, tenant: &TenantId, limit: usize) -> Result<Vec<Dropped>, Error>;

    /// Queues what was dropped again under these submission ids, due by `now`; what is queued already stays as it is.
    /// How many.
    async fn queue_dropped(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        dropped: &[(uuid::Uuid, Dropped)],
    ) -> Result<u64, Error>;

    /// A recorded document without its bytes.
    async fn document(
        &self,
        tenant: &TenantId,
        digest: &DocumentDigest,
    ) -> Result<Option<DocumentRow>, Error>;

    /// A document's received bytes.
    async fn document_body(
        &self,
        tenant: &TenantId,
        digest: &DocumentDigest,
    ) -> Result<Option<Vec<u8>>, Error>;

    /// An observation with its linkage.
    async fn observation(
        &self,
        tenant: &TenantId,
        id: &ObservationId,
    ) -> Result<Option<ObservationRow>, Error>;

    /// The bodies of observations. Those that are not recorded are left out.
    async fn observation_bodies(
        &self,
        tenant: &TenantId,
        ids: &[ObservationId],
    ) -> Result<Vec<(ObservationId, Vec<u8>)>, Error>;

    /// Observations that fit a filter, in `(created_at, observation_id)` order, after a position.
    async fn observations(
        &self,
        tenant: &TenantId,
        filter: &ObservationFilter,
        after: Option<ObservationPosition>,
        limit: usize,
    ) -> Result<Vec<ObservationRow>, Error>;

    /// A kept bundle's bytes.
    async fn bundle(&self, tenant: &TenantId, digest: &BundleDigest) -> Result<Option<Vec<u8>>, Error>;

    /// The bundle made of an envelope's first verified entry.
    async fn bundle_of_envelope(
        &self,
        tenant: &TenantId,
        digest: &EnvelopeDigest,
    ) -> Result<Option<(BundleDigest, Vec<u8>)>, Error>;

    /// The envelopes that attest a document, oldest first.
    async fn envelopes_of_document(
        &self,
        tenant: &TenantId,
        digest: &DocumentDigest,
    ) -> Result<Vec<EnvelopeDigest>, Error>;

    /// The head of the tenant's ledger chain.
    async fn ledger_head(&self, tenant: &TenantId) -> Result<Head, Error>;

    /// Up to `limit` events after the one of number `after`, in their order.
    async fn ledger_events(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<EventRow>, Error>;

    /// The hashes of these tiles of the chain's tree, as many as each is wide or as there are.
    async fn ledger_hashes(&self, tenant: &TenantId, tiles: &[TilePath]) -> Result<Vec<Vec<Digest>>, Error>;

    /// A full tile of the chain's tree as it is kept.
    async fn ledger_tile(&self, tenant: &TenantId, path: TilePath) -> Result<Option<Vec<Digest>>, Error>;

    /// Keeps a signed root of the tenant's chain and, with it, the envelope that anchors it, which is queued for its log.
    /// A root that is kept already, byte for byte, stays as it is, and so does an envelope: repeating the call is harmless,
    /// and a root that was kept alone can get its anchor later.
    ///
    /// # Errors
    /// [`Error::OtherRoot`] if the chain's tree has another root at that size, [`Error::RootNotNewer`] if a root over as
    /// many events or more is kept, [`Error::AnchorNotNext`] if another anchor came between: nothing is written.
    async fn record_ledger_root(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        root: &NewRoot,
        anchor: Option<NewAnchor<'_>>,
    ) -> Result<(), Error>;

    /// Up to `limit` signed roots of the tenant's chain over more than `after` events, smallest first.
    async fn ledger_roots(&self, tenant: &TenantId, after: u64, limit: usize) -> Result<Vec<RootRow>, Error>;

    /// The largest signed root; the largest that is in a log, if `anchored`.
    async fn newest_ledger_root(&self, tenant: &TenantId, anchored: bool) -> Result<Option<RootRow>, Error>;

    /// The envelope that anchors the largest root, whether a log has it yet or not.
    async fn newest_ledger_anchor(&self, tenant: &TenantId) -> Result<Option<PreviousAnchor>, Error>;

    /// Notes that the root over so many events was handed out in a file with this bundle. The first one stays.
    async fn record_root_export(
        &self,
        tenant: &TenantId,
        tree_size: u64,
        bundle: &BundleDigest,
    ) -> Result<(), Error>;

    /// A document's changes of standing, oldest first.
    async fn standings(&self, tenant: &TenantId, digest: &DocumentDigest) -> Result<Vec<StandingRow>, Error>;

    /// Those of these documents that are recorded, with what an audit compares of them.
    async fn kept_documents(
        &self,
        tenant: &TenantId,
        digests: &[DocumentDigest],
    ) -> Result<BTreeMap<DocumentDigest, KeptDocument>, Error>;

    /// Those of these log entries that are kept, by log and index, with what an audit compares of them.
    async fn kept_entries(
        &self,
        tenant: &TenantId,
        positions: &[(LogId, u64)],
    ) -> Result<BTreeMap<(LogId, u64), KeptLogEntry>, Error>;

    /// Attestations that fit a filter, in `(recorded_at, attestation_id)` order, after a position.
    async fn attestations(
        &self,
        tenant: &TenantId,
        filter: &AttestationFilter,
        after: Option<AttestationPosition>,
        limit: usize,
    ) -> Result<AttestationPage, Error>;

    /// All attestations that fit a filter, as pages of [`Store::attestations`] would have them that are all cut from one
    /// state. It holds a snapshot, on a connection of its own, until it is dropped: whoever reads it has to come to an end.
    async fn attestation_stream(
        &self,
        tenant: &TenantId,
        filter: &AttestationFilter,
    ) -> Result<AttestationStream, Error>;

    /// Publishes verdicts in the order given: each is its subject's next revision and supersedes the one before. All get
    /// one `created_at`, as documents do. One whose id is there already is left as it is.
    async fn record_statements(
        &self,
        tenant: &TenantId,
        recording: &Recording,
        statements: &[NewStatement],
    ) -> Result<(), Error>;

    /// A subject's published verdicts, by revision.
    async fn statements(&self, tenant: &TenantId, subject: &Digest) -> Result<Vec<StatementRow>, Error>;

    /// The newest checkpoint that was verified, or published by our own embedded log.
    async fn log_checkpoint(&self, log: &LogId) -> Result<Option<LogCheckpoint>, Error>;

    /// The newest checkpoint of every log, by log.
    async fn log_checkpoints(&self) -> Result<Vec<(LogId, LogCheckpoint)>, Error>;

    /// Keeps a checkpoint if it is larger than the one kept; a smaller or equal one changes nothing.
    async fn record_log_checkpoint(&self, log: &LogId, checkpoint: &LogCheckpoint) -> Result<(), Error>;

    /// How much there is, and how much waits.
    async fn counts(&self, tenant: &TenantId) -> Result<Counts, Error>;

    /// What waits in the queue, by stage, and why.
    async fn backlog(&self, tenant: &TenantId) -> Result<Backlog, Error>;

    /// Keeps a new API token.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`].
    async fn add_api_token(&self, token: &ApiToken) -> Result<(), Error>;

    /// The API token of this SHA-256, of any tenant, whether it still holds or not.
    async fn api_token(&self, digest: &Digest) -> Result<Option<ApiToken>, Error>;

    /// A tenant's API tokens, oldest first.
    async fn api_tokens(&self, tenant: &TenantId) -> Result<Vec<ApiToken>, Error>;

    /// Revokes a tenant's API token; one that is revoked stays as it is. Whether there is such a token.
    async fn revoke_api_token(
        &self,
        tenant: &TenantId,
        id: uuid::Uuid,
        now: Timestamp,
    ) -> Result<bool, Error>;

    /// The kept answer to a write with this `Idempotency-Key`, unless it may be forgotten by `now`.
    async fn idempotent_answer(
        &self,
        tenant: &TenantId,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<IdempotentAnswer>, Error>;

    /// Keeps the answer to a write, unless one is kept for its key that may not be forgotten by `now`: the first stays.
    async fn record_idempotent_answer(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        answer: &IdempotentAnswer,
    ) -> Result<(), Error>;
}
