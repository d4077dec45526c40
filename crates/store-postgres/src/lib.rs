//! The Store on PostgreSQL: many processes, many tenants.
//!
//! One file a table or topic, each with its statements in plain sight; a [`Store`] method attempts one of their functions,
//! which is one transaction. `migrations/` holds the schema, `schema-hash16.txt` and `schema-flat.txt` what it comes to.
//! The application never works as the owner of the tables: see `connection`.

mod api_tokens;
mod backfill;
mod bundles;
mod catalog;
mod connection;
pub mod copy;
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
mod sql;
mod statements;
mod submissions;
mod tenants;
pub mod testing;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use provex_core::digest::Digest;
use provex_core::ids::{BundleDigest, DocumentDigest, EnvelopeDigest, LogId, ObservationId, TenantId};
use provex_core::ledger::{AttestationFilter, Head, PreviousAnchor};
use provex_core::tile::TilePath;
use provex_core::time::Timestamp;
use provex_store::{
    Answer, ApiToken, AttestableDocument, AttestationPage, AttestationPosition, AttestationStream, Backlog,
    Counts, DocumentRow, Dropped, Error, EventRow, IdempotentAnswer, KeptDocument, KeptLogEntry, Lease,
    LeaseToken, LinkCounts, LogCheckpoint, NewAnchor, NewDocument, NewEnvelope, NewLink, NewRoot,
    NewStatement, ObservationFilter, ObservationPosition, ObservationRow, QueuedSubmission, RecordedDocument,
    Recording, Release, RootRow, Settle, SignedEnvelope, Stage, StandingRow, StatementRow, Store,
    StoredEnvelope, Submission,
};
use sqlx::Connection as _;

use crate::connection::{
    Database, Target, allowed_connections, as_first, repeated, require_row_security, set_role,
};
pub use crate::connection::{Options, has_password};

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
    /// [`Error::ServerVersion`], [`Error::NotMigrated`], [`Error::NewerSchema`], [`Error::UnfinishedCopy`] or
    /// [`Error::Schema`] for a server or database that will not do, and [`Error::Rights`] where the user cannot become the application.
    pub async fn connect(url: &str, options: Options) -> Result<Self, Error> {
        let target = Target::parse(url)?;
        let checked = async {
            let mut connection = target.connect(options.connect_timeout).await?;
            let required = match set_role(&mut connection, &target.user, &options).await {
                Ok(()) => migrate::require(&mut connection).await.map(|_| ()),
                Err(failure) => Err(failure),
            };
            if let Err(failure) = required {
                if !failure.is_denied() {
                    return Err(failure);
                }
                // Without the role or its rights: whoever logs in may see the reason, a database that was never migrated.
                sqlx::raw_sql("RESET ROLE").execute(&mut connection).await?;
                return match migrate::require(&mut connection).await {
                    Err(reason) if !reason.is_denied() => Err(reason),
                    _ => Err(failure),
                };
            }
            require_row_security(&mut connection).await?;
            copy::require_whole(&mut connection, &target.at).await?;
            let connections = allowed_connections(&mut connection, &target, options.max_connections).await?;
            connection.close().await?;
            Ok(Options { max_connections: connections, ..options })
        };
        let checked = checked.await;
        let options =
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
        recording: &Recording,
        documents: &[NewDocument],
    ) -> Result<Vec<RecordedDocument>, Error> {
        let recorded = self
            .database
            .attempt(documents::recorded_by_either, |_| {
                documents::record(&self.database, tenant, recording, documents)
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

    async fn signed_envelopes(
        &self,
        tenant: &TenantId,
        digests: &[EnvelopeDigest],
    ) -> Result<BTreeMap<EnvelopeDigest, SignedEnvelope>, Error> {
        let found = self.database.read(|| envelopes::to_send(&self.database, tenant, digests)).await;
        self.explain("reading what is signed", found)
    }

    async fn envelopes(
        &self,
        tenant: &TenantId,
        digests: &[EnvelopeDigest],
    ) -> Result<BTreeMap<EnvelopeDigest, StoredEnvelope>, Error> {
        let found = self.database.read(|| envelopes::envelopes(&self.database, tenant, digests)).await;
        self.explain("reading envelopes", found)
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
        recording: &Recording,
        token: LeaseToken,
        links: &[NewLink<'_>],
    ) -> Result<LinkCounts, Error> {
        let linked = self
            .database
            .attempt(as_first, |_| log_entries::link(&self.database, tenant, recording, token, links))
            .await;
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
        let released = self
            .database
            .attempt(as_first, |_| {
                submissions::release(&self.database, tenant, recording, token, submission, release)
            })
            .await;
        self.explain("releasing a submission", released)
    }

    async fn explain_submissions(&self, tenant: &TenantId, stage: Stage, reason: &str) -> Result<u64, Error> {
        let explained = self
            .database
            .attempt(as_first, |_| submissions::explain(&self.database, tenant, stage, reason))
            .await;
        self.explain("explaining submissions", explained)
    }

    async fn queued_submissions(
        &self,
        tenant: &TenantId,
        dead: bool,
        after: Option<uuid::Uuid>,
        limit: usize,
    ) -> Result<Vec<QueuedSubmission>, Error> {
        let queued =
            self.database.read(|| submissions::queued(&self.database, tenant, dead, after, limit)).await;
        self.explain("reading the queue", queued)
    }

    async fn settle_dead_submissions(
        &self,
        tenant: &TenantId,
        only: Option<uuid::Uuid>,
        settle: Settle,
    ) -> Result<u64, Error> {
        let settled = self
            .database
            .attempt(as_first, |_| submissions::settle_dead(&self.database, tenant, only, settle))
            .await;
        self.explain("settling dead submissions", settled)
    }

    async fn dropped(&self, tenant: &TenantId, limit: usize) -> Result<Vec<Dropped>, Error> {
        let dropped = self.database.read(|| submissions::dropped(&self.database, tenant, limit)).await;
        self.explain("reading what was dropped", dropped)
    }

    async fn queue_dropped(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        dropped: &[(uuid::Uuid, Dropped)],
    ) -> Result<u64, Error> {
        let queued = self
            .database
            .attempt(as_first, |_| submissions::queue_dropped(&self.database, tenant, now, dropped))
            .await;
        self.explain("queueing what was dropped", queued)
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

    async fn observation_bodies(
        &self,
        tenant: &TenantId,
        ids: &[ObservationId],
    ) -> Result<Vec<(ObservationId, Vec<u8>)>, Error> {
        let bodies = self.database.read(|| observations::bodies(&self.database, tenant, ids)).await;
        self.explain("reading observations", bodies)
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

    async fn ledger_head(&self, tenant: &TenantId) -> Result<Head, Error> {
        let found = self.database.read(|| ledger_events::read_head(&self.database, tenant)).await;
        self.explain("reading the head of the ledger", found)
    }

    async fn ledger_events(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<EventRow>, Error> {
        let found = self.database.read(|| ledger_events::events(&self.database, tenant, after, limit)).await;
        self.explain("reading events", found)
    }

    async fn ledger_hashes(&self, tenant: &TenantId, tiles: &[TilePath]) -> Result<Vec<Vec<Digest>>, Error> {
        let found = self.database.read(|| ledger_events::tiles(&self.database, tenant, tiles)).await;
        self.explain("reading tiles of the ledger", found)
    }

    async fn ledger_tile(&self, tenant: &TenantId, path: TilePath) -> Result<Option<Vec<Digest>>, Error> {
        let found = self.database.read(|| ledger_events::tile(&self.database, tenant, path)).await;
        self.explain("reading a tile of the ledger", found)
    }

    async fn record_ledger_root(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        root: &NewRoot,
        anchor: Option<NewAnchor<'_>>,
    ) -> Result<(), Error> {
        let recorded = self
            .database
            .attempt(as_first, |_| ledger_merkle_roots::record(&self.database, tenant, now, root, anchor))
            .await;
        self.explain("recording a root of the ledger", recorded)
    }

    async fn ledger_roots(&self, tenant: &TenantId, after: u64, limit: usize) -> Result<Vec<RootRow>, Error> {
        let found =
            self.database.read(|| ledger_merkle_roots::list(&self.database, tenant, after, limit)).await;
        self.explain("reading the ledger's roots", found)
    }

    async fn newest_ledger_root(&self, tenant: &TenantId, anchored: bool) -> Result<Option<RootRow>, Error> {
        let found =
            self.database.read(|| ledger_merkle_roots::newest(&self.database, tenant, anchored)).await;
        self.explain("reading the ledger's newest root", found)
    }

    async fn newest_ledger_anchor(&self, tenant: &TenantId) -> Result<Option<PreviousAnchor>, Error> {
        let found = self.database.read(|| ledger_merkle_roots::newest_anchor(&self.database, tenant)).await;
        self.explain("reading the ledger's newest anchor", found)
    }

    async fn record_root_export(
        &self,
        tenant: &TenantId,
        tree_size: u64,
        bundle: &BundleDigest,
    ) -> Result<(), Error> {
        let recorded = self
            .database
            .attempt(as_first, |_| {
                ledger_merkle_roots::record_export(&self.database, tenant, tree_size, bundle)
            })
            .await;
        self.explain("noting a root's export", recorded)
    }

    async fn standings(&self, tenant: &TenantId, digest: &DocumentDigest) -> Result<Vec<StandingRow>, Error> {
        let found = self.database.read(|| documents::standings(&self.database, tenant, digest)).await;
        self.explain("reading a document's standings", found)
    }

    async fn kept_documents(
        &self,
        tenant: &TenantId,
        digests: &[DocumentDigest],
    ) -> Result<BTreeMap<DocumentDigest, KeptDocument>, Error> {
        let found = self.database.read(|| documents::kept(&self.database, tenant, digests)).await;
        self.explain("reading documents", found)
    }

    async fn kept_entries(
        &self,
        tenant: &TenantId,
        positions: &[(LogId, u64)],
    ) -> Result<BTreeMap<(LogId, u64), KeptLogEntry>, Error> {
        let found = self.database.read(|| log_entries::kept(&self.database, tenant, positions)).await;
        self.explain("reading log entries", found)
    }

    async fn attestations(
        &self,
        tenant: &TenantId,
        filter: &AttestationFilter,
        after: Option<AttestationPosition>,
        limit: usize,
    ) -> Result<AttestationPage, Error> {
        let found = self
            .database
            .read(|| ledger_attestations::page(&self.database, tenant, filter, after, limit))
            .await;
        self.explain("reading attestations", found)
    }

    async fn attestation_stream(
        &self,
        tenant: &TenantId,
        filter: &AttestationFilter,
    ) -> Result<AttestationStream, Error> {
        let opened = self.database.read(|| ledger_attestations::stream(&self.database, tenant, filter)).await;
        self.explain("reading attestations", opened)
    }

    async fn record_statements(
        &self,
        tenant: &TenantId,
        recording: &Recording,
        statements: &[NewStatement],
    ) -> Result<(), Error> {
        let recorded = self
            .database
            .attempt(as_first, |_| statements::record(&self.database, tenant, recording, statements))
            .await;
        self.explain("recording statements", recorded)
    }

    async fn statements(&self, tenant: &TenantId, subject: &Digest) -> Result<Vec<StatementRow>, Error> {
        let found = self.database.read(|| statements::of_subject(&self.database, tenant, subject)).await;
        self.explain("reading statements", found)
    }

    async fn log_checkpoint(&self, log: &LogId) -> Result<Option<LogCheckpoint>, Error> {
        let checkpoint = self.database.read(|| logs::checkpoint(&self.database, log)).await;
        self.explain("reading a log's checkpoint", checkpoint)
    }

    async fn log_checkpoints(&self) -> Result<Vec<(LogId, LogCheckpoint)>, Error> {
        let checkpoints = self.database.read(|| logs::checkpoints(&self.database)).await;
        self.explain("reading the logs' checkpoints", checkpoints)
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

    async fn add_api_token(&self, token: &ApiToken) -> Result<(), Error> {
        let added = self.database.attempt(repeated, |_| api_tokens::add(&self.database, token)).await;
        self.explain("adding an API token", added)
    }

    async fn api_token(&self, digest: &Digest) -> Result<Option<ApiToken>, Error> {
        let token = self.database.read(|| api_tokens::token(&self.database, digest)).await;
        self.explain("reading an API token", token)
    }

    async fn api_tokens(&self, tenant: &TenantId) -> Result<Vec<ApiToken>, Error> {
        let tokens = self.database.read(|| api_tokens::list(&self.database, tenant)).await;
        self.explain("listing API tokens", tokens)
    }

    async fn revoke_api_token(
        &self,
        tenant: &TenantId,
        id: uuid::Uuid,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let revoked =
            self.database.attempt(repeated, |_| api_tokens::revoke(&self.database, tenant, id, now)).await;
        self.explain("revoking an API token", revoked)
    }

    async fn idempotent_answer(
        &self,
        tenant: &TenantId,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<IdempotentAnswer>, Error> {
        let answer = self.database.read(|| idempotency_keys::answer(&self.database, tenant, key, now)).await;
        self.explain("reading a kept answer", answer)
    }

    async fn record_idempotent_answer(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        answer: &IdempotentAnswer,
    ) -> Result<(), Error> {
        let recorded = self
            .database
            .attempt(repeated, |_| idempotency_keys::record(&self.database, tenant, now, answer))
            .await;
        self.explain("keeping an answer", recorded)
    }
}

#[cfg(test)]
mod tests {
    use provex_store::testing::{at, by, document, id};
    use sqlx::{Executor as _, PgConnection, Row as _, SqlSafeStr as _};

    use super::*;
    use crate::connection::become_app;
    use crate::migrate::Layout;
    use crate::testing::TestDatabase;

    async fn store() -> (TestDatabase, PostgresStore) {
        let database = TestDatabase::migrated(Layout::Hash16).await;
        let store = database.store().await;
        store.add_tenant(&TenantId::default_tenant(), id(1), at(0)).await.unwrap();
        (database, store)
    }

    async fn app(database: &TestDatabase) -> PgConnection {
        let mut connection = database.connect().await;
        become_app(&mut connection, "", &Options::default()).await.unwrap();
        connection
    }

    #[tokio::test]
    async fn a_tenant_that_a_login_brings_along_is_nobodys() {
        let (database, _store) = store().await;
        let mut connection = database.connect().await;
        // As a role's or a database's default, or the URL's options, set it.
        connection.execute("SET provex.tenant_id = 'default'").await.unwrap();
        become_app(&mut connection, "", &Options::default()).await.unwrap();
        let refused = connection.execute("SELECT count(*) FROM vex.observations").await.unwrap_err();
        assert!(refused.to_string().contains("no tenant was entered"), "{refused}");
    }

    #[tokio::test]
    async fn what_was_committed_is_durable_whatever_a_login_brings_along() {
        let (database, _store) = store().await;
        // Who waits for standbys too goes on doing so.
        for (set, kept) in [("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")] {
            let default = format!("ALTER DATABASE {} SET synchronous_commit = {set}", database.name());
            database.execute(&default).await;
            let found = app(&database).await.fetch_one("SHOW synchronous_commit").await.unwrap();
            assert_eq!(found.get::<String, _>(0), kept, "{set}");
        }
    }

    #[tokio::test]
    async fn a_login_looks_at_the_schema_as_the_application() {
        let (database, _store) = store().await;
        // What only the application may see, its member may not by himself.
        let login = format!("{}_login", database.name());
        database
            .execute(&format!(
                "CREATE ROLE {login} LOGIN NOINHERIT PASSWORD 'x'; GRANT provex_app TO {login}"
            ))
            .await;
        let url = crate::testing::with_user(&database.url(), &login, "x");
        let connected = PostgresStore::connect(&url, Options::default()).await.map(drop);
        let checked = migrate::check(&url).await.and(migrate::plan(&url, None).await);
        // What a login alone cannot mend says who can.
        database.execute("REVOKE USAGE ON SCHEMA control FROM provex_app").await;
        let denied = PostgresStore::connect(&url, Options::default()).await.map(drop);
        database.execute(&format!("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", database.name())).await;
        let out = PostgresStore::connect(&url, Options::default()).await.map(drop);
        database.execute(&format!("DROP ROLE {login}")).await;
        connected.unwrap();
        assert_eq!(checked.unwrap().steps, []);
        for (refused, named) in [(denied, "provex migrate --check"), (out, "GRANT CONNECT ON DATABASE")] {
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("lacks a right") && refused.contains(named), "{refused}");
        }
    }

    /// Every literal of this crate that begins as statements do, with the name that it opens with and its file.
    fn statements() -> Vec<(String, String, String)> {
        let mut found = Vec::new();
        for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap() {
            let path = file.unwrap().path();
            let source = std::fs::read_to_string(&path).unwrap();
            let code = source.split("#[cfg(test)]").next().unwrap();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            // What is put together from the catalog has no text of its own.
            if ["testing.rs", "copy.rs"].contains(&file.as_str()) {
                continue;
            }
            for (start, opening) in code.match_indices("\"-- ") {
                let raw = code[..start].ends_with("r#");
                let rest = &code[start + opening.len()..];
                let literal = rest.split(if raw { "\"#" } else { "\"" }).next().unwrap();
                let (name, sql) = literal.split_once('\n').unwrap();
                found.push((file.clone(), name.to_owned(), sql.to_owned()));
            }
            let queries = code.matches("sqlx::query").count() + code.matches("QueryBuilder::new").count();
            assert_eq!(queries, code.matches("\"-- ").count(), "{file}: a statement without its name");
        }
        found
    }

    #[tokio::test]
    async fn every_statement_prepares_as_the_application() {
        let (database, _store) = store().await;
        let mut connection = app(&database).await;
        let statements = statements();
        assert!(statements.len() > 45, "{}", statements.len());
        for (file, name, sql) in statements {
            // The one that is put together is tested where it is; what the migrator writes is not the application's.
            if name != "page_query" {
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
            let (before, _) = source.split_once(&format!("\"-- {name}\n")).unwrap();
            let function = before.rsplit("fn ").next().unwrap();
            assert!(function.starts_with(&format!("{name}(")), "{file}: {name}");
        }
    }

    #[test]
    fn every_statement_binds_the_tenant_of_every_tenant_table() {
        for (file, name, sql) in statements() {
            let tables = ["vex.", "vexhub.", "attestor.", "findings."];
            let touched = tables.iter().any(|table| sql.contains(&format!(" {table}")));
            let bound = sql.contains("tenant_id = $1")
                || sql.contains("SELECT $1,")
                || sql.contains("VALUES ($1,")
                || name == "page_query" && sql.trim_end().ends_with("tenant_id =");
            let exempt = ["migrate.rs", "catalog.rs"].contains(&file.as_str()) || name == "enter_tenant";
            assert!(!touched || bound || exempt, "{file}: {name}");
        }
    }

    /// How PostgreSQL runs a page, as the application, with an index wherever one would do.
    async fn plan(connection: &mut PgConnection, filter: &ObservationFilter, after: bool) -> String {
        let after = after.then(|| ObservationPosition {
            created_at: at(0),
            id: ObservationId::new(provex_core::digest::Digest::of(b"x")),
        });
        let tenant = TenantId::default_tenant();
        let mut query = observations::page_query(&tenant, filter, after, 100);
        let sql = sqlx::AssertSqlSafe(format!("EXPLAIN {}", query.sql().as_str()));
        sqlx::raw_sql("BEGIN; SELECT vex.enter_tenant('default'); SET LOCAL enable_seqscan = off")
            .execute(&mut *connection)
            .await
            .unwrap();
        let arguments = sqlx::Execute::take_arguments(&mut query.build()).unwrap().unwrap();
        let rows = sqlx::query_with(sql, arguments).fetch_all(&mut *connection).await.unwrap();
        sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
    }

    #[tokio::test]
    async fn pages_use_the_index_of_their_filter() {
        let (database, store) = store().await;
        let documents: Vec<_> = (1..=40).map(|number| document(number, 25)).collect();
        store.record_documents(&TenantId::default_tenant(), &by(0), &documents).await.unwrap();
        database.execute("ANALYZE").await;
        let mut connection = app(&database).await;
        let digest = provex_core::digest::Digest::of(b"x");
        let text = || Some("x".to_owned());
        let none = ObservationFilter::default;
        for (filter, expected, sorted) in [
            (none(), vec!["_tenant_id_created_at_observation_id_idx"], false),
            (ObservationFilter { pending: true, ..none() }, vec!["_created_at_observation_id_idx"], false),
            (
                ObservationFilter { document: Some(DocumentDigest::new(digest)), ..none() },
                vec!["document_digest"],
                false,
            ),
            (ObservationFilter { vulnerability: text(), ..none() }, vec!["observation_keys_pkey"], true),
            (
                ObservationFilter { product: text(), pending: true, ..none() },
                vec!["observation_keys_pkey"],
                true,
            ),
            (ObservationFilter { rekor_uuid: Some(digest), ..none() }, vec!["rekor_uuid_idx"], true),
            (
                ObservationFilter { log_index: Some(1), ..none() },
                vec!["rekor_log_id_rekor_log_index_idx", "log_entries_index_idx"],
                true,
            ),
        ] {
            for after in [false, true] {
                let plan = plan(&mut connection, &filter, after).await;
                for index in &expected {
                    assert!(plan.contains(index), "{filter:?}: {plan}");
                }
                assert_eq!(plan.contains("Sort"), sorted, "{filter:?}: {plan}");
                assert!(!plan.contains("Seq Scan"), "{filter:?}: {plan}");
                // One partition is read, of sixteen.
                assert!(plan.matches("observations_p").count() <= 4, "{filter:?}: {plan}");
            }
        }
    }

    #[tokio::test]
    async fn a_row_that_cannot_be_read_is_named() {
        let (database, store) = store().await;
        let tenant = TenantId::default_tenant();
        let new = document(1, 1);
        store.record_documents(&tenant, &by(0), std::slice::from_ref(&new)).await.unwrap();
        database
            .execute(
                "ALTER TABLE vex.observations DROP CONSTRAINT observations_claim_digest_check;
                DROP TRIGGER observations_no_update ON vex.observations;
                UPDATE vex.observations SET claim_digest = 'x';
                ALTER TABLE vex.documents DROP CONSTRAINT documents_format_check;
                DROP TRIGGER documents_no_update ON vex.documents;
                UPDATE vex.documents SET format = 'pdf'",
            )
            .await;
        let id = new.observations[0].id;
        let found = store.observation(&tenant, &id).await.unwrap_err().to_string();
        let row = format!("vex.observations.claim_digest of row default/{} cannot", id.digest().to_hex());
        assert!(found.starts_with(&row), "{found}");
        let found = store.document(&tenant, &new.facts.digest).await.unwrap_err().to_string();
        let row = format!("vex.documents.format of row default/{} cannot", new.facts.digest.to_text());
        assert!(found.starts_with(&row), "{found}");
    }
}
