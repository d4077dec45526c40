//! The Store on SQLite: a file, nothing to install.
//!
//! One file a table or topic, each with its statements in plain sight; a [`Store`] method is one of their functions,
//! which opens the transaction and composes statements. `migrations/` holds the schema, `schema.sql` what it comes
//! to.

mod api_tokens;
mod backfill;
mod bundles;
mod connection;
mod counts;
mod documents;
mod envelopes;
mod failure;
mod idempotency_keys;
mod ledger_attestations;
mod ledger_events;
mod ledger_merkle_roots;
mod log_entries;
mod logs;
pub mod migrate;
mod observations;
mod probe;
mod snapshot;
mod sql;
mod statements;
mod submissions;
mod tenants;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use provex_core::digest::Digest;
use provex_core::ids::{BundleDigest, DocumentDigest, EnvelopeDigest, LogId, ObservationId, TenantId};
use provex_core::ledger::{AttestationFilter, Head, PreviousAnchor};
use provex_core::tile::TilePath;
use provex_core::time::Timestamp;
use provex_store::copy::Snapshot;
use provex_store::{
    Answer, ApiToken, AttestableDocument, AttestationPage, AttestationPosition, AttestationStream, Backlog,
    Counts, DocumentRow, Dropped, Error, EventRow, IdempotentAnswer, KeptDocument, KeptLogEntry, Lease,
    LeaseToken, LinkCounts, LogCheckpoint, NewAnchor, NewDocument, NewEnvelope, NewLink, NewRoot,
    NewStatement, ObservationFilter, ObservationPosition, ObservationRow, QueuedSubmission, RecordedDocument,
    Recording, Release, RootRow, Settle, SignedEnvelope, Stage, StandingRow, StatementRow, Store,
    StoredEnvelope, Submission,
};

use crate::connection::{Connections, Patience};

/// A store in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    connections: Arc<Connections>,
}

impl SqliteStore {
    /// Opens the database at `path`: creates it, readable by its owner alone, if there is none, and migrates it, with
    /// a backup copy beside it, if it has an older schema. One of this schema on a read-only mount or a full disk can be
    /// read.
    ///
    /// # Errors
    /// [`Error::NewerSchema`] or [`Error::Schema`] for a database that this release does not understand,
    /// [`Error::Damaged`] for one that is none any more, [`Error::ReadOnly`], [`Error::DiskFull`], [`Error::Busy`],
    /// [`Error::Disk`], [`Error::NoLocks`] or [`Error::TooManyFiles`] where it cannot be read or written now.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        Self::open_with(path, Patience::default()).await
    }

    /// Opens the database as [`SqliteStore::open`] does. Where another program holds it, this one gives up with
    /// [`Error::Busy`] after about `wait`, and not after a minute.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub async fn open_waiting(path: &Path, wait: Duration) -> Result<Self, Error> {
        Self::open_with(path, Patience::of(wait)).await
    }

    async fn open_with(path: &Path, patience: Patience) -> Result<Self, Error> {
        connection::create_file(path)?;
        let refused = match Self::open_to_write(path, patience).await {
            Ok(store) => return Ok(store),
            Err(refused) => refused,
        };
        // What cannot be written can be read as it is.
        let connections = match &refused {
            Error::ReadOnly(_) if connection::is_whole(path) => Connections::immutable(path, patience),
            Error::DiskFull(_) if connection::is_whole(path) => Connections::full(path, patience),
            _ => return Err(refused),
        };
        let store = Self { connections: Arc::new(connections) };
        let checked = migrate::check_newest(&store.connections).await;
        store.explain("opening the database", checked).map(|()| store).map_err(|_| refused)
    }

    async fn open_to_write(path: &Path, patience: Patience) -> Result<Self, Error> {
        // SQLite would open a file of mode 0400, and make companions of that mode, which stay in the way.
        probe::writable(path)?;
        connection::mend_companions(path);
        let store = Self { connections: Arc::new(Connections::new(path, patience)) };
        let migrated = migrate::migrate(&store.connections, None).await;
        store.explain("opening the database", migrated).map(|()| store)
    }

    /// Closes the database, which folds the write-ahead log into the file. Dropping the store does too, and keeps the
    /// reason to itself where that fails.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn close(self) -> Result<(), Error> {
        let closed = self.connections.close().await;
        self.explain("closing the database", closed)
    }

    /// Everything in the database at this moment, for a copy into another store.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn into_snapshot(self) -> Result<Box<dyn Snapshot>, Error> {
        Ok(Box::new(snapshot::FileSnapshot::open(self.connections).await?))
    }

    fn explain<T>(&self, operation: &'static str, result: failure::Result<T>) -> Result<T, Error> {
        result.map_err(|failure| failure.explain(operation, &self.connections))
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
        recording: &Recording,
        documents: &[NewDocument],
    ) -> Result<Vec<RecordedDocument>, Error> {
        let recorded = documents::record(&self.connections, tenant, recording, documents).await;
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

    async fn clear_leases(&self, tenant: &TenantId, now: Timestamp) -> Result<u64, Error> {
        let cleared = submissions::clear_leases(&self.connections, tenant, now).await;
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

    async fn signed_envelopes(
        &self,
        tenant: &TenantId,
        digests: &[EnvelopeDigest],
    ) -> Result<BTreeMap<EnvelopeDigest, SignedEnvelope>, Error> {
        let found = envelopes::to_send(&self.connections, tenant, digests).await;
        self.explain("reading what is signed", found)
    }

    async fn envelopes(
        &self,
        tenant: &TenantId,
        digests: &[EnvelopeDigest],
    ) -> Result<BTreeMap<EnvelopeDigest, StoredEnvelope>, Error> {
        let found = envelopes::envelopes(&self.connections, tenant, digests).await;
        self.explain("reading envelopes", found)
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
        recording: &Recording,
        token: LeaseToken,
        links: &[NewLink<'_>],
    ) -> Result<LinkCounts, Error> {
        let linked = log_entries::link(&self.connections, tenant, recording, token, links).await;
        self.explain("linking observations", linked)
    }

    async fn release_submission(
        &self,
        tenant: &TenantId,
        recording: &Recording,
        token: LeaseToken,
        submission: uuid::Uuid,
        release: &Release,
    ) -> Result<(), Error> {
        let released =
            submissions::release(&self.connections, tenant, recording, token, submission, release).await;
        self.explain("releasing a submission", released)
    }

    async fn explain_submissions(&self, tenant: &TenantId, stage: Stage, reason: &str) -> Result<u64, Error> {
        let explained = submissions::explain(&self.connections, tenant, stage, reason).await;
        self.explain("explaining submissions", explained)
    }

    async fn queued_submissions(
        &self,
        tenant: &TenantId,
        dead: bool,
        after: Option<uuid::Uuid>,
        limit: usize,
    ) -> Result<Vec<QueuedSubmission>, Error> {
        let queued = submissions::queued(&self.connections, tenant, dead, after, limit).await;
        self.explain("reading the queue", queued)
    }

    async fn settle_dead_submissions(
        &self,
        tenant: &TenantId,
        only: Option<uuid::Uuid>,
        settle: Settle,
    ) -> Result<u64, Error> {
        let settled = submissions::settle_dead(&self.connections, tenant, only, settle).await;
        self.explain("settling dead submissions", settled)
    }

    async fn dropped(&self, tenant: &TenantId, limit: usize) -> Result<Vec<Dropped>, Error> {
        let dropped = submissions::dropped(&self.connections, tenant, limit).await;
        self.explain("reading what was dropped", dropped)
    }

    async fn queue_dropped(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        dropped: &[(uuid::Uuid, Dropped)],
    ) -> Result<u64, Error> {
        let queued = submissions::queue_dropped(&self.connections, tenant, now, dropped).await;
        self.explain("queueing what was dropped", queued)
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

    async fn observation_bodies(
        &self,
        tenant: &TenantId,
        ids: &[ObservationId],
    ) -> Result<Vec<(ObservationId, Vec<u8>)>, Error> {
        let bodies = observations::bodies(&self.connections, tenant, ids).await;
        self.explain("reading observations", bodies)
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

    async fn ledger_head(&self, tenant: &TenantId) -> Result<Head, Error> {
        let found = ledger_events::read_head(&self.connections, tenant).await;
        self.explain("reading the head of the ledger", found)
    }

    async fn ledger_events(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<EventRow>, Error> {
        let found = ledger_events::events(&self.connections, tenant, after, limit).await;
        self.explain("reading events", found)
    }

    async fn ledger_hashes(&self, tenant: &TenantId, tiles: &[TilePath]) -> Result<Vec<Vec<Digest>>, Error> {
        let found = ledger_events::tiles(&self.connections, tenant, tiles).await;
        self.explain("reading tiles of the ledger", found)
    }

    async fn ledger_tile(&self, tenant: &TenantId, path: TilePath) -> Result<Option<Vec<Digest>>, Error> {
        let found = ledger_events::tile(&self.connections, tenant, path).await;
        self.explain("reading a tile of the ledger", found)
    }

    async fn record_ledger_root(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        root: &NewRoot,
        anchor: Option<NewAnchor<'_>>,
    ) -> Result<(), Error> {
        let recorded = ledger_merkle_roots::record(&self.connections, tenant, now, root, anchor).await;
        self.explain("recording a root of the ledger", recorded)
    }

    async fn ledger_roots(&self, tenant: &TenantId, after: u64, limit: usize) -> Result<Vec<RootRow>, Error> {
        let found = ledger_merkle_roots::list(&self.connections, tenant, after, limit).await;
        self.explain("reading the ledger's roots", found)
    }

    async fn newest_ledger_root(&self, tenant: &TenantId, anchored: bool) -> Result<Option<RootRow>, Error> {
        let found = ledger_merkle_roots::newest(&self.connections, tenant, anchored).await;
        self.explain("reading the ledger's newest root", found)
    }

    async fn newest_ledger_anchor(&self, tenant: &TenantId) -> Result<Option<PreviousAnchor>, Error> {
        let found = ledger_merkle_roots::newest_anchor(&self.connections, tenant).await;
        self.explain("reading the ledger's newest anchor", found)
    }

    async fn record_root_export(
        &self,
        tenant: &TenantId,
        tree_size: u64,
        bundle: &BundleDigest,
    ) -> Result<(), Error> {
        let recorded = ledger_merkle_roots::record_export(&self.connections, tenant, tree_size, bundle).await;
        self.explain("noting a root's export", recorded)
    }

    async fn standings(&self, tenant: &TenantId, digest: &DocumentDigest) -> Result<Vec<StandingRow>, Error> {
        let found = documents::standings(&self.connections, tenant, digest).await;
        self.explain("reading a document's standings", found)
    }

    async fn kept_documents(
        &self,
        tenant: &TenantId,
        digests: &[DocumentDigest],
    ) -> Result<BTreeMap<DocumentDigest, KeptDocument>, Error> {
        let found = documents::kept(&self.connections, tenant, digests).await;
        self.explain("reading documents", found)
    }

    async fn kept_entries(
        &self,
        tenant: &TenantId,
        positions: &[(LogId, u64)],
    ) -> Result<BTreeMap<(LogId, u64), KeptLogEntry>, Error> {
        let found = log_entries::kept(&self.connections, tenant, positions).await;
        self.explain("reading log entries", found)
    }

    async fn attestations(
        &self,
        tenant: &TenantId,
        filter: &AttestationFilter,
        after: Option<AttestationPosition>,
        limit: usize,
    ) -> Result<AttestationPage, Error> {
        let found = ledger_attestations::page(&self.connections, tenant, filter, after, limit).await;
        self.explain("reading attestations", found)
    }

    async fn attestation_stream(
        &self,
        tenant: &TenantId,
        filter: &AttestationFilter,
    ) -> Result<AttestationStream, Error> {
        let opened = ledger_attestations::stream(&self.connections, tenant, filter).await;
        self.explain("reading attestations", opened)
    }

    async fn record_statements(
        &self,
        tenant: &TenantId,
        recording: &Recording,
        statements: &[NewStatement],
    ) -> Result<(), Error> {
        let recorded = statements::record(&self.connections, tenant, recording, statements).await;
        self.explain("recording statements", recorded)
    }

    async fn statements(&self, tenant: &TenantId, subject: &Digest) -> Result<Vec<StatementRow>, Error> {
        let found = statements::of_subject(&self.connections, tenant, subject).await;
        self.explain("reading statements", found)
    }

    async fn log_checkpoint(&self, log: &LogId) -> Result<Option<LogCheckpoint>, Error> {
        let checkpoint = logs::checkpoint(&self.connections, log).await;
        self.explain("reading a log's checkpoint", checkpoint)
    }

    async fn log_checkpoints(&self) -> Result<Vec<(LogId, LogCheckpoint)>, Error> {
        let checkpoints = logs::checkpoints(&self.connections).await;
        self.explain("reading the logs' checkpoints", checkpoints)
    }

    async fn record_log_checkpoint(&self, log: &LogId, checkpoint: &LogCheckpoint) -> Result<(), Error> {
        let recorded = logs::record_checkpoint(&self.connections, log, checkpoint).await;
        self.explain("recording a log's checkpoint", recorded)
    }

    async fn counts(&self, tenant: &TenantId) -> Result<Counts, Error> {
        let counts = counts::counts(&self.connections, tenant).await;
        self.explain("counting", counts)
    }

    async fn backlog(&self, tenant: &TenantId) -> Result<Backlog, Error> {
        let backlog = counts::backlog(&self.connections, tenant).await;
        self.explain("counting the queue", backlog)
    }

    async fn add_api_token(&self, token: &ApiToken) -> Result<(), Error> {
        let added = api_tokens::add(&self.connections, token).await;
        self.explain("adding an API token", added)
    }

    async fn api_token(&self, digest: &Digest) -> Result<Option<ApiToken>, Error> {
        let token = api_tokens::token(&self.connections, digest).await;
        self.explain("reading an API token", token)
    }

    async fn api_tokens(&self, tenant: &TenantId) -> Result<Vec<ApiToken>, Error> {
        let tokens = api_tokens::list(&self.connections, tenant).await;
        self.explain("listing API tokens", tokens)
    }

    async fn revoke_api_token(
        &self,
        tenant: &TenantId,
        id: uuid::Uuid,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let revoked = api_tokens::revoke(&self.connections, tenant, id, now).await;
        self.explain("revoking an API token", revoked)
    }

    async fn idempotent_answer(
        &self,
        tenant: &TenantId,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<IdempotentAnswer>, Error> {
        let answer = idempotency_keys::answer(&self.connections, tenant, key, now).await;
        self.explain("reading a kept answer", answer)
    }

    async fn record_idempotent_answer(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        answer: &IdempotentAnswer,
    ) -> Result<(), Error> {
        let recorded = idempotency_keys::record(&self.connections, tenant, now, answer).await;
        self.explain("keeping an answer", recorded)
    }
}

#[cfg(test)]
mod tests {
    use provex_store::testing::{at, by, document, id};
    use sqlx::{Executor as _, Row as _, SqlSafeStr as _};

    use super::*;

    async fn store() -> (tempfile::TempDir, SqliteStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("provex.db")).await.unwrap();
        store.add_tenant(&TenantId::default_tenant(), id(1), at(0)).await.unwrap();
        (folder, store)
    }

    /// Every literal of this crate that begins as statements do, with the name that it opens with and its file.
    fn statements() -> Vec<(String, String, String)> {
        let mut found = Vec::new();
        for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap() {
            let path = file.unwrap().path();
            let source = std::fs::read_to_string(&path).unwrap();
            let code = source.split("#[cfg(test)]").next().unwrap();
            for literal in code.split("\"-- ").skip(1).map(|rest| rest.split('"').next().unwrap()) {
                let literal = literal.replace("\\n", "\n");
                let (name, sql) = literal.split_once('\n').unwrap();
                let file = path.file_name().unwrap().to_string_lossy().into_owned();
                found.push((file, name.to_owned(), sql.to_owned()));
            }
            let queries = code.matches("sqlx::query").count()
                - code.matches("sqlx::query::Query").count()
                - code.matches("sqlx::query(repeat_values").count()
                + code.matches("insert_rows(\n").count()
                + code.matches("QueryBuilder::new").count();
            let statements = code.matches("\"-- ").count();
            assert_eq!(queries, statements, "{}: a statement without its name", path.display());
        }
        found
    }

    #[tokio::test]
    async fn every_statement_prepares_against_the_migrated_schema() {
        let (_folder, store) = store().await;
        let mut connection = store.connections.connect().await.unwrap();
        let statements = statements();
        assert!(statements.len() > 45, "{}", statements.len());
        for (file, name, sql) in statements {
            // Those that are put together are tested where they are.
            if name != "page_query" && file != "snapshot.rs" {
                let sql = sqlx::AssertSqlSafe(sql).into_sql_str();
                if let Err(error) = connection.prepare(sql).await {
                    panic!("{file}: {name}: {error}");
                }
            }
        }
    }

    #[test]
    fn every_statement_opens_with_the_name_of_its_function() {
        for (file, name, _) in statements() {
            let source =
                std::fs::read_to_string(format!("{}/src/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
            let (before, _) = source.split_once(&format!("\"-- {name}\n")).unwrap_or_else(|| {
                source.split_once(&format!("\"-- {name}\\n")).expect("it was found there")
            });
            let function = before.rsplit("fn ").next().unwrap();
            assert!(function.starts_with(&format!("{name}(")) || file == "connection.rs", "{file}: {name}");
        }
    }

    #[tokio::test]
    async fn every_statement_names_the_tenant_of_every_tenant_table() {
        for (file, name, sql) in statements() {
            let tables = ["vex_", "vexhub_", "attestor_", "findings_"];
            let touched = tables.iter().any(|table| sql.contains(&format!(" {table}")));
            assert!(!touched || sql.contains("tenant_id"), "{file}: {name}");
        }
    }

    /// How SQLite runs a page.
    async fn plan(store: &SqliteStore, filter: &ObservationFilter, after: bool) -> String {
        let after = after.then(|| ObservationPosition {
            created_at: at(0),
            id: ObservationId::new(provex_core::digest::Digest::of(b"x")),
        });
        let tenant = TenantId::default_tenant();
        let query = observations::page_query(&tenant, filter, after, 100);
        let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", query.sql().as_str()));
        let mut connection = store.connections.connect().await.unwrap();
        let rows = sqlx::raw_sql(sql).fetch_all(&mut connection).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>("detail")).collect::<Vec<_>>().join("; ")
    }

    #[tokio::test]
    async fn pages_use_the_index_of_their_filter() {
        let (_folder, store) = store().await;
        let digest = provex_core::digest::Digest::of(b"x");
        let text = || Some("x".to_owned());
        let none = ObservationFilter::default;
        let keys = "SEARCH vex_observation_keys USING PRIMARY KEY (tenant_id=? AND kind=? AND key=?";
        let primary = "sqlite_autoindex_vex_observations_1 (tenant_id=? AND observation_id=?)";
        for (filter, expected, sorted) in [
            (none(), vec!["observations_created_idx"], false),
            (ObservationFilter { pending: true, ..none() }, vec!["observations_rekor_pending_idx"], false),
            (
                ObservationFilter { document: Some(DocumentDigest::new(digest)), ..none() },
                vec!["observations_document_idx (tenant_id=? AND document_digest=?"],
                false,
            ),
            (ObservationFilter { vulnerability: text(), ..none() }, vec![keys, primary], true),
            (ObservationFilter { product: text(), pending: true, ..none() }, vec![keys, primary], true),
            (
                ObservationFilter { vulnerability: text(), product: text(), ..none() },
                vec![keys, primary],
                true,
            ),
            (
                ObservationFilter {
                    vulnerability: text(),
                    document: Some(DocumentDigest::new(digest)),
                    pending: true,
                    ..none()
                },
                vec![keys, primary],
                true,
            ),
            (
                ObservationFilter { rekor_uuid: Some(digest), product: text(), log_index: Some(1), ..none() },
                vec!["observations_rekor_uuid_idx (tenant_id=? AND rekor_uuid=?)"],
                true,
            ),
            (
                ObservationFilter {
                    document: Some(DocumentDigest::new(digest)),
                    status: Some(provex_core::vex::Status::Fixed),
                    pending: true,
                    ..none()
                },
                vec!["observations_document_idx (tenant_id=? AND document_digest=?"],
                false,
            ),
            (
                ObservationFilter { rekor_uuid: Some(digest), ..none() },
                vec!["observations_rekor_uuid_idx (tenant_id=? AND rekor_uuid=?)"],
                true,
            ),
            (
                ObservationFilter { log_index: Some(1), ..none() },
                vec![
                    "observations_rekor_position_idx (tenant_id=? AND rekor_log_id=? AND rekor_log_index=?)",
                    "log_entries_index_idx (tenant_id=? AND rekor_log_index=?)",
                ],
                true,
            ),
        ] {
            for after in [false, true] {
                let plan = plan(&store, &filter, after).await;
                for index in &expected {
                    assert!(plan.contains(index), "{filter:?}: {plan}");
                }
                assert_eq!(plan.contains("TEMP B-TREE FOR ORDER BY"), sorted, "{filter:?}: {plan}");
                assert!(!plan.contains("SCAN vex"), "{filter:?}: {plan}");
            }
        }
    }

    #[tokio::test]
    async fn no_look_up_walks_all_of_a_tenants_observations() {
        let (_folder, store) = store().await;
        let mut connection = store.connections.connect().await.unwrap();
        for (file, name, sql) in statements() {
            // Counts are of all; the page's plans are tested above.
            let of_all = name.starts_with("count_") || name == "page_query";
            if of_all || !sql.contains("FROM vex_observations") && !sql.contains("UPDATE vex_observations") {
                continue;
            }
            let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            let rows = sqlx::raw_sql(sql).fetch_all(&mut connection).await.unwrap();
            for row in rows {
                let step: String = row.get("detail");
                assert!(!step.ends_with("(tenant_id=?)"), "{file}: {name}: {step}");
            }
        }
    }

    #[tokio::test]
    async fn a_row_that_cannot_be_read_is_named() {
        let (_folder, store) = store().await;
        let tenant = TenantId::default_tenant();
        let new = document(1, 1);
        store.record_documents(&tenant, &by(0), std::slice::from_ref(&new)).await.unwrap();
        let mut connection = store.connections.connect().await.unwrap();
        sqlx::raw_sql(
            "PRAGMA ignore_check_constraints = ON;
            DROP TRIGGER vex_observations_no_update;
            UPDATE vex_observations SET claim_digest = 'x';
            DROP TRIGGER vex_documents_no_update;
            UPDATE vex_documents SET format = 'pdf'",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        let id = new.observations[0].id;
        let found = store.observation(&tenant, &id).await.unwrap_err().to_string();
        let row = format!("vex_observations.claim_digest of row default/{} cannot", id.digest().to_hex());
        assert!(found.starts_with(&row), "{found}");
        let found = store.document(&tenant, &new.facts.digest).await.unwrap_err().to_string();
        let row = format!("vex_documents.format of row default/{} cannot", new.facts.digest.to_text());
        assert!(found.starts_with(&row), "{found}");
    }
}
