//! The Store on PostgreSQL: many processes, many tenants.
//!
//! One file a table or topic, each with its statements in plain sight; a [`Store`] method attempts one of their functions,
//! which is one transaction. `migrations/` holds the schema, `schema-hash16.txt` and `schema-flat.txt` what it comes to.
//! The application never works as the owner of the tables: see `connection`.

mod bundles;
mod catalog;
mod connection;
mod counts;
mod documents;
mod envelopes;
mod failure;
mod log_entries;
mod logs;
pub mod migrate;
mod observations;
mod sql;
mod submissions;
mod tenants;
pub mod testing;

use std::collections::BTreeSet;

use async_trait::async_trait;
use provex_core::ids::{BundleDigest, DocumentDigest, EnvelopeDigest, LogId, ObservationId, TenantId};
use provex_core::time::Timestamp;
use provex_store::{
    Answer, AttestableDocument, Backlog, Counts, DocumentRow, Error, Lease, LeaseToken, LinkCounts,
    LogCheckpoint, NewDocument, NewEnvelope, NewLink, ObservationFilter, ObservationPosition, ObservationRow,
    RecordedDocument, Release, Stage, Store, StoredEnvelope, Submission,
};
use sqlx::Connection as _;

pub use crate::connection::Options;
use crate::connection::{Database, Target, as_first, become_app, repeated};

/// A store in one PostgreSQL database.
#[derive(Debug)]
pub struct PostgresStore {
    database: Database,
}

impl PostgresStore {
    /// Connects to the database at `url`, after a look whether it has what this release needs. Nothing is migrated here.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Login`] or [`Error::TooManyConnections`] where there is no way in,
    /// [`Error::ServerVersion`], [`Error::NotMigrated`], [`Error::NewerSchema`] or [`Error::Schema`] for a server or
    /// database that will not do, and [`Error::Rights`] where the user cannot become the application.
    pub async fn connect(url: &str, options: Options) -> Result<Self, Error> {
        let target = Target::parse(url)?;
        let checked = async {
            let mut connection = target.connect(options.connect_timeout).await?;
            migrate::require(&mut connection).await?;
            become_app(&mut connection, &target.user, &options).await?;
            connection.close().await?;
            Ok(())
        };
        let checked = checked.await;
        checked.map_err(|failure: failure::Failure| failure.explain("connecting", &target.at))?;
        Ok(Self { database: Database::new(target, options) })
    }

    /// Closes all connections. Dropping the store is safe too.
    pub async fn close(self) {
        self.database.close().await;
    }

    fn explain<T>(&self, operation: &'static str, result: failure::Result<T>) -> Result<T, Error> {
        result.map_err(|failure| failure.explain(operation, &self.database.at))
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn add_tenant(&self, tenant: &TenantId, chain_id: uuid::Uuid, now: Timestamp) -> Result<(), Error> {
        let added = tenants::add(&self.database, tenant, chain_id, now).await;
        self.explain("adding a tenant", added)
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, Error> {
        let tenants = self.database.read(|| tenants::list(&self.database)).await;
        self.explain("listing tenants", tenants)
    }

    async fn known_documents(
        &self,
        tenant: &TenantId,
        digests: &[DocumentDigest],
    ) -> Result<BTreeSet<DocumentDigest>, Error> {
        let known = self.database.read(|| documents::known(&self.database, tenant, digests)).await;
        self.explain("looking up documents", known)
    }

    async fn record_documents(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        documents: &[NewDocument],
    ) -> Result<Vec<RecordedDocument>, Error> {
        let recorded = self
            .database
            .attempt(documents::recorded_by_either, |_| {
                documents::record(&self.database, tenant, now, documents)
            })
            .await;
        self.explain("recording documents", recorded)
    }

    async fn acquire_submissions(
        &self,
        tenant: &TenantId,
        stage: Stage,
        lease: Lease,
        limit: usize,
    ) -> Result<Vec<Submission>, Error> {
        let leased = self
            .database
            .attempt(repeated, |again| {
                submissions::acquire(&self.database, tenant, stage, lease, limit, again)
            })
            .await;
        self.explain("acquiring submissions", leased)
    }

    async fn clear_leases(&self, tenant: &TenantId, now: Timestamp) -> Result<u64, Error> {
        let cleared =
            self.database.attempt(as_first, |_| submissions::clear_leases(&self.database, tenant, now)).await;
        self.explain("clearing leases", cleared)
    }

    async fn attestable_documents(
        &self,
        tenant: &TenantId,
        digests: &[DocumentDigest],
    ) -> Result<Vec<AttestableDocument>, Error> {
        let found = self.database.read(|| documents::attestable(&self.database, tenant, digests)).await;
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
        let recorded = self
            .database
            .attempt(as_first, |_| envelopes::record(&self.database, tenant, now, token, replaces, envelopes))
            .await;
        self.explain("recording envelopes", recorded)
    }

    async fn envelope(
        &self,
        tenant: &TenantId,
        digest: &EnvelopeDigest,
    ) -> Result<Option<StoredEnvelope>, Error> {
        let envelope = self.database.read(|| envelopes::envelope(&self.database, tenant, digest)).await;
        self.explain("reading an envelope", envelope)
    }

    async fn record_answers(
        &self,
        tenant: &TenantId,
        token: LeaseToken,
        answers: &[Answer],
    ) -> Result<(), Error> {
        let recorded = self
            .database
            .attempt(as_first, |_| submissions::record_answers(&self.database, tenant, token, answers))
            .await;
        self.explain("recording a log's answers", recorded)
    }

    async fn link(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        token: LeaseToken,
        links: &[NewLink<'_>],
    ) -> Result<LinkCounts, Error> {
        let linked = self
            .database
            .attempt(as_first, |_| log_entries::link(&self.database, tenant, now, token, links))
            .await;
        self.explain("linking observations", linked)
    }

    async fn release_submission(
        &self,
        tenant: &TenantId,
        token: LeaseToken,
        submission: uuid::Uuid,
        release: &Release,
    ) -> Result<(), Error> {
        let released = self
            .database
            .attempt(as_first, |_| submissions::release(&self.database, tenant, token, submission, release))
            .await;
        self.explain("releasing a submission", released)
    }

    async fn document(
        &self,
        tenant: &TenantId,
        digest: &DocumentDigest,
    ) -> Result<Option<DocumentRow>, Error> {
        let document = self.database.read(|| documents::document(&self.database, tenant, digest)).await;
        self.explain("reading a document", document)
    }

    async fn document_body(
        &self,
        tenant: &TenantId,
        digest: &DocumentDigest,
    ) -> Result<Option<Vec<u8>>, Error> {
        let body = self.database.read(|| documents::body(&self.database, tenant, digest)).await;
        self.explain("reading a document's bytes", body)
    }

    async fn observation(
        &self,
        tenant: &TenantId,
        id: &ObservationId,
    ) -> Result<Option<ObservationRow>, Error> {
        let observation = self.database.read(|| observations::observation(&self.database, tenant, id)).await;
        self.explain("reading an observation", observation)
    }

    async fn observations(
        &self,
        tenant: &TenantId,
        filter: &ObservationFilter,
        after: Option<ObservationPosition>,
        limit: usize,
    ) -> Result<Vec<ObservationRow>, Error> {
        let page =
            self.database.read(|| observations::page(&self.database, tenant, filter, after, limit)).await;
        self.explain("reading observations", page)
    }

    async fn bundle(&self, tenant: &TenantId, digest: &BundleDigest) -> Result<Option<Vec<u8>>, Error> {
        let bundle = self.database.read(|| bundles::bundle(&self.database, tenant, digest)).await;
        self.explain("reading a bundle", bundle)
    }

    async fn bundle_of_envelope(
        &self,
        tenant: &TenantId,
        digest: &EnvelopeDigest,
    ) -> Result<Option<(BundleDigest, Vec<u8>)>, Error> {
        let bundle = self.database.read(|| bundles::of_envelope(&self.database, tenant, digest)).await;
        self.explain("reading an envelope's bundle", bundle)
    }

    async fn envelopes_of_document(
        &self,
        tenant: &TenantId,
        digest: &DocumentDigest,
    ) -> Result<Vec<EnvelopeDigest>, Error> {
        let envelopes = self.database.read(|| envelopes::of_document(&self.database, tenant, digest)).await;
        self.explain("reading a document's envelopes", envelopes)
    }

    async fn log_checkpoint(&self, log: &LogId) -> Result<Option<LogCheckpoint>, Error> {
        let checkpoint = self.database.read(|| logs::checkpoint(&self.database, log)).await;
        self.explain("reading a log's checkpoint", checkpoint)
    }

    async fn record_log_checkpoint(&self, log: &LogId, checkpoint: &LogCheckpoint) -> Result<(), Error> {
        let recorded = self
            .database
            .attempt(repeated, |_| logs::record_checkpoint(&self.database, log, checkpoint))
            .await;
        self.explain("recording a log's checkpoint", recorded)
    }

    async fn counts(&self, tenant: &TenantId) -> Result<Counts, Error> {
        let counts = self.database.read(|| counts::counts(&self.database, tenant)).await;
        self.explain("counting", counts)
    }

    async fn backlog(&self, tenant: &TenantId) -> Result<Backlog, Error> {
        let backlog = self.database.read(|| counts::backlog(&self.database, tenant)).await;
        self.explain("counting the queue", backlog)
    }
}
