//! The Store on SQLite: a file, nothing to install.
//!
//! One file a table or topic, each with its statements in plain sight; a [`Store`] method is one of their functions,
//! which opens the transaction and composes statements. `migrations/` holds the schema, `schema.sql` what it comes
//! to.

mod bundles;
mod connection;
mod counts;
mod documents;
mod envelopes;
mod failure;
mod log_entries;
mod logs;
mod migrate;
mod observations;
mod sql;
mod submissions;
mod tenants;

use std::collections::BTreeSet;
use std::path::Path;

use async_trait::async_trait;
use provex_core::ids::{BundleDigest, DocumentDigest, EnvelopeDigest, LogId, ObservationId, TenantId};
use provex_core::time::Timestamp;
use provex_store::{
    Answer, AttestableDocument, Counts, DocumentRow, Error, Lease, LeaseToken, LinkCounts, LogCheckpoint,
    NewDocument, NewEnvelope, NewLink, ObservationFilter, ObservationPosition, ObservationRow,
    RecordedDocument, Release, Stage, Store, StoredEnvelope, Submission,
};

use crate::connection::{Connections, Patience};

/// A store in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    connections: Connections,
}

impl SqliteStore {
    /// Opens the database at `path`: creates it, readable by its owner alone, if there is none, and migrates it, after
    /// a backup copy beside it, if it has an older schema.
    ///
    /// # Errors
    /// [`Error::NewerSchema`] or [`Error::Schema`] for a database that this release does not understand,
    /// [`Error::ReadOnly`], [`Error::DiskFull`] or [`Error::Busy`] where it cannot be written now.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        Self::open_with(path, Patience::default()).await
    }

    async fn open_with(path: &Path, patience: Patience) -> Result<Self, Error> {
        connection::create_file(path)?;
        let store = Self { connections: Connections::new(path, patience) };
        let migrated = migrate::migrate(&store.connections, None).await;
        store.explain("opening the database", migrated)?;
        Ok(store)
    }

    /// Closes the database, which folds the write-ahead log into the file. Dropping the store is safe too, and leaves
    /// that to the next one.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn close(self) -> Result<(), Error> {
        let closed = self.connections.close().await;
        self.explain("closing the database", closed)
    }

    fn explain<T>(&self, operation: &'static str, result: failure::Result<T>) -> Result<T, Error> {
        result.map_err(|failure| failure.explain(operation, self.connections.path()))
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn add_tenant(&self, tenant: &TenantId, chain_id: uuid::Uuid, now: Timestamp) -> Result<(), Error> {
        let added = tenants::add(&self.connections, tenant, chain_id, now).await;
        self.explain("adding a tenant", added)
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, Error> {
        let tenants = tenants::list(&self.connections).await;
        self.explain("listing tenants", tenants)
    }

    async fn known_documents(
        &self,
        tenant: &TenantId,
        digests: &[DocumentDigest],
    ) -> Result<BTreeSet<DocumentDigest>, Error> {
        let known = documents::known(&self.connections, tenant, digests).await;
        self.explain("looking up documents", known)
    }

    async fn record_documents(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        documents: &[NewDocument],
    ) -> Result<Vec<RecordedDocument>, Error> {
        let recorded = documents::record(&self.connections, tenant, now, documents).await;
        self.explain("recording documents", recorded)
    }

    async fn acquire_submissions(
        &self,
        tenant: &TenantId,
        stage: Stage,
        lease: Lease,
        limit: usize,
    ) -> Result<Vec<Submission>, Error> {
        let leased = submissions::acquire(&self.connections, tenant, stage, lease, limit).await;
        self.explain("acquiring submissions", leased)
    }

    async fn clear_leases(&self, tenant: &TenantId) -> Result<u64, Error> {
        let cleared = submissions::clear_leases(&self.connections, tenant).await;
        self.explain("clearing leases", cleared)
    }

    async fn attestable_documents(
        &self,
        tenant: &TenantId,
        digests: &[DocumentDigest],
    ) -> Result<Vec<AttestableDocument>, Error> {
        let found = documents::attestable(&self.connections, tenant, digests).await;
        self.explain("reading documents to attest", found)
    }

    async fn record_envelopes(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        token: LeaseToken,
        replaces: &[uuid::Uuid],
        envelopes: &[NewEnvelope],
    ) -> Result<(), Error> {
        let recorded = envelopes::record(&self.connections, tenant, now, token, replaces, envelopes).await;
        self.explain("recording envelopes", recorded)
    }

    async fn envelope(
        &self,
        tenant: &TenantId,
        digest: &EnvelopeDigest,
    ) -> Result<Option<StoredEnvelope>, Error> {
        let envelope = envelopes::envelope(&self.connections, tenant, digest).await;
        self.explain("reading an envelope", envelope)
    }

    async fn record_answers(
        &self,
        tenant: &TenantId,
        token: LeaseToken,
        answers: &[Answer],
    ) -> Result<(), Error> {
        let recorded = submissions::record_answers(&self.connections, tenant, token, answers).await;
        self.explain("recording a log's answers", recorded)
    }

    async fn link(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        token: LeaseToken,
        links: &[NewLink<'_>],
    ) -> Result<LinkCounts, Error> {
        let linked = log_entries::link(&self.connections, tenant, now, token, links).await;
        self.explain("linking observations", linked)
    }

    async fn release_submission(
        &self,
        tenant: &TenantId,
        token: LeaseToken,
        submission: uuid::Uuid,
        release: &Release,
    ) -> Result<(), Error> {
        let released = submissions::release(&self.connections, tenant, token, submission, release).await;
        self.explain("releasing a submission", released)
    }

    async fn document(
        &self,
        tenant: &TenantId,
        digest: &DocumentDigest,
    ) -> Result<Option<DocumentRow>, Error> {
        let document = documents::document(&self.connections, tenant, digest).await;
        self.explain("reading a document", document)
    }

    async fn document_body(
        &self,
        tenant: &TenantId,
        digest: &DocumentDigest,
    ) -> Result<Option<Vec<u8>>, Error> {
        let body = documents::body(&self.connections, tenant, digest).await;
        self.explain("reading a document's bytes", body)
    }

    async fn observation(
        &self,
        tenant: &TenantId,
        id: &ObservationId,
    ) -> Result<Option<ObservationRow>, Error> {
        let observation = observations::observation(&self.connections, tenant, id).await;
        self.explain("reading an observation", observation)
    }

    async fn observations(
        &self,
        tenant: &TenantId,
        filter: &ObservationFilter,
        after: Option<ObservationPosition>,
        limit: usize,
    ) -> Result<Vec<ObservationRow>, Error> {
        let page = observations::page(&self.connections, tenant, filter, after, limit).await;
        self.explain("reading observations", page)
    }

    async fn bundle(&self, tenant: &TenantId, digest: &BundleDigest) -> Result<Option<Vec<u8>>, Error> {
        let bundle = bundles::bundle(&self.connections, tenant, digest).await;
        self.explain("reading a bundle", bundle)
    }

    async fn bundle_of_envelope(
        &self,
        tenant: &TenantId,
        digest: &EnvelopeDigest,
    ) -> Result<Option<(BundleDigest, Vec<u8>)>, Error> {
        let bundle = bundles::of_envelope(&self.connections, tenant, digest).await;
        self.explain("reading an envelope's bundle", bundle)
    }

    async fn envelopes_of_document(
        &self,
        tenant: &TenantId,
        digest: &DocumentDigest,
    ) -> Result<Vec<EnvelopeDigest>, Error> {
        let envelopes = envelopes::of_document(&self.connections, tenant, digest).await;
        self.explain("reading a document's envelopes", envelopes)
    }

    async fn log_checkpoint(&self, log: &LogId) -> Result<Option<LogCheckpoint>, Error> {
        let checkpoint = logs::checkpoint(&self.connections, log).await;
        self.explain("reading a log's checkpoint", checkpoint)
    }

    async fn record_log_checkpoint(&self, log: &LogId, checkpoint: &LogCheckpoint) -> Result<(), Error> {
        let recorded = logs::record_checkpoint(&self.connections, log, checkpoint).await;
        self.explain("recording a log's checkpoint", recorded)
    }

    async fn counts(&self, tenant: &TenantId) -> Result<Counts, Error> {
        let counts = counts::counts(&self.connections, tenant).await;
        self.explain("counting", counts)
    }
}
