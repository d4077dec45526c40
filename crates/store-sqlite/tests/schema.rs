//! The schema: what migrations make, what they refuse, and what the database itself holds against every program.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use provex_core::digest::Digest;
use provex_core::ids::TenantId;
use provex_store::testing::{
    SignedFixture, assert_backfilled, at, by, check_ledger, document, id, lease, tell_story,
};
use provex_store::{Error, NewLink, ObservationFilter, ObservationRow, OlderLinkage, Stage, Store as _};
use provex_store_sqlite::SqliteStore;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection};

const BASE: &str = include_str!("../migrations/0001_base.sql");
const LINKAGE: &str = include_str!("../migrations/0002_vex_rekor_linkage.sql");

struct Database {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Database {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { path: folder.path().join("provex.db"), _folder: folder }
    }

    /// A connection as provex opens them.
    async fn connect(&self) -> SqliteConnection {
        connect(&self.path).await
    }

    async fn execute(&self, sql: &'static str) -> Result<(), String> {
        let mut connection = self.connect().await;
        let done = sqlx::raw_sql(sql).execute(&mut connection).await.map_err(|error| error.to_string());
        connection.close().await.unwrap();
        done.map(|_| ())
    }

    async fn integer(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&mut self.connect().await).await.unwrap()
    }

    fn backup(&self, version: u32) -> PathBuf {
        PathBuf::from(format!("{}.backup-{version}", self.path.display()))
    }

    /// A database as the release before 0002 left it, with one observation.
    async fn of_base_schema() -> Self {
        let database = Self::new();
        database.execute(BASE).await.unwrap();
        database
            .execute(
                "INSERT INTO control_migrations (version, name, checksum) VALUES
                    (1, 'base', '0000000000000000000000000000000000000000000000000000000000000000');
                INSERT INTO control_tenants (tenant_id, created_at) VALUES ('default', 5);
                INSERT INTO findings_ledger_chains
                    (tenant_id, chain_id, sequence_no, event_hash, cycle_hash, frontier, last_at)
                VALUES ('default', '00000000-0000-7000-8000-000000000001', 0, printf('%064d', 0), printf('%064d', 0),
                        x'', 6);
                INSERT INTO vex_documents
                    (tenant_id, document_digest, format, source, authentication, observation_count, created_at)
                VALUES ('default', printf('%064d', 1), 'csaf', 'x', 'none', 1, 6);
                INSERT INTO vex_observations
                    (tenant_id, observation_id, document_digest, claim_digest, body, status, vulnerability_id,
                     product_key, created_at)
                VALUES ('default', printf('%064d', 2), printf('%064d', 1), printf('%064d', 3), x'7b7d', 'fixed',
                        'CVE-1', 'p', 6)",
            )
            .await
            .unwrap();
        database
    }
}

async fn connect(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .pragma("recursive_triggers", "ON")
        .disable_statement_logging();
    SqliteConnection::connect_with(&options).await.unwrap()
}

fn tenant() -> TenantId {
    TenantId::default_tenant()
}

/// A store with rows in every table that the Store writes, two of its five observations linked.
async fn filled(database: &Database) -> SqliteStore {
    let store = SqliteStore::open(&database.path).await.unwrap();
    store.add_tenant(&tenant(), id(1), at(0)).await.unwrap();
    let mut documents = [document(1, 2), document(2, 3)];
    documents[0].quarantine = Some("x".to_owned());
    documents[0].findings = vec![provex_store::FindingRow {
        code: "x".to_owned(),
        pointer: String::new(),
        line: None,
        message: String::new(),
    }];
    store.record_documents(&tenant(), &by(0), &documents).await.unwrap();
    let mut fixture = SignedFixture::new(1);
    let signed = fixture.sign(&tenant(), &[&documents[0]]);
    let held = lease(1, 0);
    store.acquire_submissions(&tenant(), Stage::Attest, held, 1).await.unwrap();
    let envelopes = [signed.to_new_envelope(id(100))];
    store.record_envelopes(&tenant(), at(1), held.token, &[id(1)], &envelopes).await.unwrap();
    let logged = fixture.log(&signed);
    store.link(&tenant(), &by(2), held.token, &[logged.to_new_link(None)]).await.unwrap();
    store.record_log_checkpoint(&fixture.log_id(), &logged.checkpoint).await.unwrap();
    store
}

async fn observations(store: &SqliteStore) -> Vec<ObservationRow> {
    store.observations(&tenant(), &ObservationFilter::default(), None, 100).await.unwrap()
}

#[tokio::test]
async fn all_migrations_from_nothing_come_to_the_recorded_schema() {
    let database = Database::new();
    SqliteStore::open(&database.path).await.unwrap().close().await.unwrap();
    let rows = sqlx::query(
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL
        ORDER BY CASE type WHEN 'table' THEN 1 WHEN 'index' THEN 2 ELSE 3 END, name",
    )
    .fetch_all(&mut database.connect().await)
    .await
    .unwrap();
    let sql = rows.iter().map(|row| format!("{};\n", row.get::<String, _>("sql")));
    let header = "-- What the migrations come to. Made by a test, never edited.\n\n";
    let found = format!("{header}{}", sql.collect::<Vec<_>>().join("\n"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.sql");
    if std::env::var_os("PROVEX_UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &found).unwrap();
    }
    let recorded = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == recorded,
        "the migrations come to another schema than schema.sql says; if that is meant:\n\
        PROVEX_UPDATE_SCHEMA=1 cargo test -p provex-store-sqlite --test schema"
    );
}

#[tokio::test]
async fn every_key_of_a_tenant_table_begins_with_the_tenant() {
    let database = Database::new();
    SqliteStore::open(&database.path).await.unwrap();
    // `control` has none; the rest has no index and no foreign key without it.
    let stray = "SELECT count(*) FROM sqlite_schema AS s WHERE s.type = 'table'
        AND (s.name GLOB 'vex_*' OR s.name GLOB 'vexhub_*' OR s.name GLOB 'attestor_*' OR s.name GLOB 'findings_*')
        AND (EXISTS (SELECT 1 FROM pragma_index_list(s.name) AS l JOIN pragma_index_info(l.name) AS i
                WHERE i.seqno = 0 AND i.name <> 'tenant_id')
            OR EXISTS (SELECT 1 FROM pragma_foreign_key_list(s.name) AS f WHERE f.seq = 0 AND f.\"from\" <> 'tenant_id')
            OR NOT EXISTS (SELECT 1 FROM pragma_table_info(s.name) AS c WHERE c.name = 'tenant_id' AND c.pk = 1))";
    assert_eq!(database.integer(stray).await, 0);
    let loose = "SELECT count(*) FROM pragma_table_list WHERE type = 'table' AND name NOT GLOB 'sqlite_*'
        AND strict = 0";
    assert_eq!(database.integer(loose).await, 0);
}

#[tokio::test]
async fn an_open_database_stays_as_it_is_when_opened_again() {
    let database = Database::new();
    let before = observations(&filled(&database).await).await;
    let store = SqliteStore::open(&database.path).await.unwrap();
    assert_eq!(observations(&store).await, before);
    assert_eq!(database.integer("SELECT count(*) FROM control_migrations").await, 5);
    assert!(!database.backup(5).exists() && !database.backup(1).exists());
}

#[tokio::test]
async fn two_processes_may_create_a_database_at_once() {
    let database = Database::new();
    let (first, second) = tokio::join!(SqliteStore::open(&database.path), SqliteStore::open(&database.path));
    assert_eq!(first.unwrap().tenants().await.unwrap(), second.unwrap().tenants().await.unwrap());
    assert_eq!(database.integer("SELECT count(*) FROM control_migrations").await, 5);
}

#[cfg(unix)]
#[tokio::test]
async fn the_database_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let database = Database::of_base_schema().await;
    let _store = SqliteStore::open(&database.path).await.unwrap();
    assert_eq!(mode(&database.backup(1)), 0o600);
    let database = Database::new();
    let _store = filled(&database).await;
    assert_eq!(mode(&database.path), 0o600);
    assert_eq!(mode(Path::new(&format!("{}-wal", database.path.display()))), 0o600);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let database = Database::new();
    drop(filled(&database).await);
    database
        .execute(
            "INSERT INTO control_migrations (version, name, checksum) VALUES
            (6, 'later', '0000000000000000000000000000000000000000000000000000000000000000')",
        )
        .await
        .unwrap();
    let refused = SqliteStore::open(&database.path).await;
    assert!(matches!(refused, Err(Error::NewerSchema { found: 6, known: 5 })), "{refused:?}");
}

#[tokio::test]
async fn files_of_other_programs_are_refused_and_left_alone() {
    let database = Database::new();
    database.execute("CREATE TABLE bookmarks (url TEXT)").await.unwrap();
    let refused = SqliteStore::open(&database.path).await;
    assert!(matches!(&refused, Err(Error::Schema(text)) if text.contains("bookmarks")), "{refused:?}");
    assert_eq!(database.integer("SELECT count(*) FROM sqlite_schema").await, 1);

    let text = "just a text, and long enough to be none of SQLite's headers. ".repeat(20);
    let database = Database::new();
    std::fs::write(&database.path, &text).unwrap();
    let refused = SqliteStore::open(&database.path).await;
    assert!(matches!(&refused, Err(Error::Damaged(text)) if text.contains("provex.db")), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&database.path).unwrap(), text);
}

#[tokio::test]
async fn an_older_schema_is_backed_up_and_then_migrated() {
    let database = Database::of_base_schema().await;
    let store = SqliteStore::open(&database.path).await.unwrap();
    let rows = observations(&store).await;
    assert_eq!((rows.len(), rows[0].body.as_slice(), &rows[0].linkage), (1, b"{}".as_slice(), &None));
    assert_eq!(database.integer("SELECT max(version) FROM control_migrations").await, 5);
    let mut backup = connect(&database.backup(1)).await;
    let old: i64 = sqlx::query_scalar(
        "SELECT (SELECT max(version) FROM control_migrations) * 1000 + (SELECT count(*) FROM vex_observations)",
    )
    .fetch_one(&mut backup)
    .await
    .unwrap();
    assert_eq!(old, 1_001);
}

/// What was copied beside a database: the name's end, and the schema version in it.
async fn copies(database: &Database) -> BTreeMap<String, i64> {
    let mut copies = BTreeMap::new();
    for entry in std::fs::read_dir(database.path.parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        let Some((_, end)) = path.to_str().unwrap().split_once("provex.db.") else { continue };
        let copy = SqliteConnectOptions::new().filename(&path).read_only(true).immutable(true);
        let mut copy = copy.connect().await.unwrap();
        let version = sqlx::query_scalar("SELECT max(version) FROM control_migrations");
        copies.insert(end.to_owned(), version.fetch_one(&mut copy).await.unwrap());
        copy.close().await.unwrap();
    }
    copies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_older_schema_that_many_open_at_once_is_copied_once_and_then_migrated() {
    for _ in 0..3 {
        let database = Database::of_base_schema().await;
        let mut opening = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let path = database.path.clone();
            opening.spawn(async move { SqliteStore::open(&path).await.map(drop) });
        }
        while let Some(opened) = opening.join_next().await {
            opened.unwrap().unwrap();
        }
        assert_eq!(copies(&database).await, BTreeMap::from([("backup-1".to_owned(), 1)]));
        assert_eq!(database.integer("SELECT count(*) FROM vex_observations").await, 1);
    }
}

#[tokio::test]
async fn a_copy_made_before_a_migration_is_never_replaced() {
    let database = Database::of_base_schema().await;
    let older = std::fs::read(&database.path).unwrap();
    std::fs::write(database.backup(1), "precious").unwrap();
    // What a process left that was killed while it copied is in nobody's way.
    std::fs::write(format!("{}.partial", database.backup(1).display()), "a part").unwrap();
    for number in 2..4 {
        SqliteStore::open(&database.path).await.unwrap().close().await.unwrap();
        assert!(database.backup(1).with_extension(format!("backup-1.{number}")).exists());
        // As whoever goes back to an older release puts it in place, and works on.
        std::fs::write(&database.path, &older).unwrap();
        database
            .execute("INSERT INTO control_tenants (tenant_id, created_at) VALUES ('other', 5)")
            .await
            .unwrap();
    }
    assert_eq!(std::fs::read(database.backup(1)).unwrap(), b"precious");
    std::fs::remove_file(database.backup(1)).unwrap();
    let copies = copies(&database).await;
    assert_eq!(copies, BTreeMap::from([("backup-1.2".to_owned(), 1), ("backup-1.3".to_owned(), 1)]));
}

#[tokio::test]
async fn the_copy_of_a_process_that_was_killed_before_it_had_migrated_is_the_copy_of_the_next() {
    let database = Database::of_base_schema().await;
    let older = std::fs::read(&database.path).unwrap();
    for _ in 0..3 {
        SqliteStore::open(&database.path).await.unwrap().close().await.unwrap();
        assert_eq!(copies(&database).await, BTreeMap::from([("backup-1".to_owned(), 1)]));
        std::fs::write(&database.path, &older).unwrap();
    }
}

#[tokio::test]
async fn the_linkage_migration_applied_again_keeps_what_is_linked() {
    let database = Database::new();
    let store = filled(&database).await;
    let before = observations(&store).await;
    assert_eq!(before.iter().filter(|row| row.linkage.is_some()).count(), 2);
    store.close().await.unwrap();
    // As if a database with these columns had been made by hand, or by a release that numbered otherwise.
    database
        .execute(
            "DROP TRIGGER control_migrations_no_delete;
            DELETE FROM control_migrations WHERE version > 1;
            CREATE TRIGGER control_migrations_no_delete BEFORE DELETE ON control_migrations
            BEGIN SELECT RAISE(ABORT, 'control_migrations is only added to'); END;
            DROP INDEX observations_rekor_pending_idx;
            DROP TRIGGER vex_observations_linkage_once",
        )
        .await
        .unwrap();
    let store = SqliteStore::open(&database.path).await.unwrap();
    assert_eq!(observations(&store).await, before);
    let made = "SELECT count(*) FROM sqlite_schema
        WHERE name IN ('observations_rekor_pending_idx', 'vex_observations_linkage_once')";
    assert_eq!(database.integer(made).await, 2);
}

#[tokio::test]
async fn a_partly_linked_database_of_an_older_release_upgrades_without_loss() {
    let database = Database::of_base_schema().await;
    // An older release had a part of the columns, and linked a row with them.
    let part: Vec<_> = LINKAGE.split_inclusive(";\n").take(3).collect();
    assert!(part[2].contains("rekor_log_index"), "{part:?}");
    database.execute(part.concat().leak()).await.unwrap();
    database
        .execute("UPDATE vex_observations SET rekor_uuid = printf('%064d', 7), rekor_log_index = 5")
        .await
        .unwrap();
    let store = SqliteStore::open(&database.path).await.unwrap();
    // It counts as linked, is read with what it has, is found by it, and is not pending; and it stays as it is.
    let counts = store.counts(&tenant()).await.unwrap();
    assert_eq!((counts.observations, counts.linked, counts.oldest_pending), (1, 1, None));
    let rekor_uuid = Digest::from_hex(&format!("{:064}", 7)).unwrap();
    let older = OlderLinkage { rekor_uuid, log_id: None, log_index: Some(5) };
    let by_uuid = ObservationFilter { rekor_uuid: Some(rekor_uuid), ..Default::default() };
    for filter in [ObservationFilter::default(), by_uuid] {
        let rows = store.observations(&tenant(), &filter, None, 9).await.unwrap();
        assert_eq!(rows.len(), 1, "{filter:?}");
        assert_eq!((&rows[0].linkage, &rows[0].older_linkage), (&None, &Some(older.clone())));
    }
    let pending = ObservationFilter { pending: true, ..Default::default() };
    assert_eq!(store.observations(&tenant(), &pending, None, 9).await.unwrap(), []);
    let completed = "UPDATE vex_observations SET rekor_log_id = printf('%064d', 8)";
    assert!(database.execute(completed).await.unwrap_err().contains("a linkage is set once"));
}

#[tokio::test]
async fn the_linkage_migration_may_have_been_applied_by_hand() {
    let database = Database::of_base_schema().await;
    database.execute(LINKAGE).await.unwrap();
    let store = SqliteStore::open(&database.path).await.unwrap();
    assert_eq!(observations(&store).await.len(), 1);
}

#[tokio::test]
async fn the_linkage_migration_stops_at_another_definition_and_changes_nothing() {
    for (sql, named) in [
        (
            "ALTER TABLE vex_observations ADD COLUMN rekor_tree_size TEXT",
            "`vex_observations.rekor_tree_size`",
        ),
        ("ALTER TABLE vex_observations ADD COLUMN rekor_uuid TEXT", "`vex_observations.rekor_uuid`"),
        (
            "ALTER TABLE vexhub_statements ADD COLUMN rekor_linked_at INTEGER DEFAULT 5",
            "`vexhub_statements.rekor_linked_at`",
        ),
        (
            "CREATE INDEX observations_rekor_uuid_idx ON vex_observations (observation_id)",
            "index `observations_rekor_uuid_idx`",
        ),
        (
            "ALTER TABLE attestor_log_entries ADD COLUMN verified_at TEXT",
            "`attestor_log_entries.verified_at`",
        ),
    ] {
        let database = Database::of_base_schema().await;
        database.execute(sql).await.unwrap();
        let before = database.integer("SELECT count(*) FROM sqlite_schema").await;
        for _ in 0..2 {
            let refused = SqliteStore::open(&database.path).await;
            assert!(matches!(&refused, Err(Error::Schema(text)) if text.contains(named)), "{refused:?}");
        }
        assert_eq!(database.integer("SELECT count(*) FROM sqlite_schema").await, before);
        assert_eq!(database.integer("SELECT max(version) FROM control_migrations").await, 1);
        assert_eq!(copies(&database).await, BTreeMap::new(), "nothing was migrated");
    }
}

#[tokio::test]
async fn what_a_migrated_database_lacks_is_named_at_every_start() {
    for (sql, named) in [
        ("DROP INDEX observations_document_idx", "index `observations_document_idx` is missing"),
        ("DROP TRIGGER vex_documents_no_delete", "trigger `vex_documents_no_delete` is missing"),
        ("DROP TABLE vex_observation_keys", "table `vex_observation_keys` is missing"),
        (
            "DROP INDEX statements_rekor_pending_idx;
            CREATE INDEX statements_rekor_pending_idx ON vexhub_statements (tenant_id, created_at, statement_id)",
            "index `statements_rekor_pending_idx`",
        ),
        ("ALTER TABLE vex_documents RENAME COLUMN source TO origin", "table `vex_documents`"),
    ] {
        let database = Database::new();
        SqliteStore::open(&database.path).await.unwrap().close().await.unwrap();
        database.execute(sql).await.unwrap();
        let refused = SqliteStore::open(&database.path).await;
        assert!(matches!(&refused, Err(Error::Schema(text)) if text.contains(named)), "{refused:?}");
    }
}

#[tokio::test]
async fn what_is_only_added_to_is_neither_changed_nor_deleted_nor_replaced() {
    let database = Database::new();
    let store = filled(&database).await;
    let before = observations(&store).await;
    let tables = [
        "control_migrations",
        "vex_documents",
        "vex_observations",
        "vex_observation_keys",
        "vex_standings",
        "vex_parse_findings",
        "attestor_envelopes",
        "attestor_envelope_members",
        "attestor_bundles",
        "attestor_log_entries",
        "findings_ledger_events",
    ];
    let mut connection = database.connect().await;
    for table in tables {
        let column = if table == "control_migrations" { "version" } else { "tenant_id" };
        for sql in [
            format!("DELETE FROM {table}"),
            format!("UPDATE {table} SET {column} = {column}"),
            format!("UPDATE OR REPLACE {table} SET {column} = {column}"),
            format!("INSERT OR REPLACE INTO {table} SELECT * FROM {table}"),
            format!("REPLACE INTO {table} SELECT * FROM {table} LIMIT 1"),
        ] {
            let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone())).execute(&mut connection).await;
            let message = refused.map_err(|error| error.to_string()).err();
            assert!(message.as_ref().is_some_and(|m| m.contains("only added")), "{sql}: {message:?}");
        }
    }
    assert_eq!(observations(&store).await, before);
}

#[tokio::test]
async fn a_linkage_is_set_once_whole_and_alone() {
    let database = Database::new();
    let store = filled(&database).await;
    let before = observations(&store).await;
    let whole = "UPDATE vex_observations SET rekor_uuid = l.rekor_uuid, rekor_log_id = l.rekor_log_id,
            rekor_log_index = l.rekor_log_index, rekor_log_url = l.rekor_log_url,
            rekor_tree_size = l.rekor_tree_size, rekor_tree_root = l.rekor_tree_root,
            rekor_entry_kind = l.rekor_entry_kind, rekor_entry_version = l.rekor_entry_version,
            rekor_entry_body_hash = l.rekor_entry_body_hash, rekor_inclusion_proof = l.rekor_inclusion_proof,
            rekor_envelope_digest = l.rekor_envelope_digest, rekor_set_index = l.rekor_set_index,
            rekor_set_path = l.rekor_set_path";
    let from = "FROM (SELECT * FROM vex_observations WHERE rekor_uuid IS NOT NULL LIMIT 1) AS l
        WHERE vex_observations.rekor_uuid IS NULL";
    let mut connection = database.connect().await;
    for (sql, message) in [
        // A part: of a linked row, of a row that is not linked, and all but the last.
        (
            "UPDATE vex_observations SET rekor_log_index = 7 WHERE rekor_uuid IS NOT NULL".to_owned(),
            "a linkage is set once",
        ),
        (
            "UPDATE vex_observations SET rekor_linked_at = rekor_linked_at WHERE rekor_uuid IS NOT NULL"
                .to_owned(),
            "a linkage is set once",
        ),
        ("UPDATE vex_observations SET rekor_uuid = NULL".to_owned(), "a linkage is set once"),
        (
            "UPDATE vex_observations SET rekor_integrated_time = 1 WHERE rekor_uuid IS NULL".to_owned(),
            "a linkage is set once",
        ),
        (
            "UPDATE vex_observations SET rekor_uuid = printf('%064d', 1) WHERE rekor_uuid IS NULL".to_owned(),
            "vex_observations_linkage_check",
        ),
        (format!("{whole} {from}"), "vex_observations_linkage_check"),
        // Whole, but with something else.
        (format!("{whole}, rekor_linked_at = 1, status = 'fixed' {from}"), "only added"),
    ] {
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone())).execute(&mut connection).await;
        let found = refused.map_err(|error| error.to_string()).err();
        assert!(found.as_ref().is_some_and(|found| found.contains(message)), "{sql}: {found:?}");
    }
    assert_eq!(observations(&store).await, before);
    let sql = format!("{whole}, rekor_linked_at = 1 {from}");
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    assert_eq!(done.rows_affected(), 3);
}

#[tokio::test]
async fn the_verification_of_a_kept_entry_may_change() {
    let database = Database::new();
    let _store = filled(&database).await;
    database
        .execute("UPDATE attestor_log_entries SET verification_status = 'unknown', verified_at = 9")
        .await
        .unwrap();
    let refused = database.execute("UPDATE attestor_log_entries SET verification_status = 'perhaps'").await;
    assert!(refused.unwrap_err().contains("attestor_log_entries_verification_status_check"));
}

#[tokio::test]
async fn an_entry_of_an_envelope_that_is_not_recorded_is_refused() {
    let database = Database::new();
    let store = SqliteStore::open(&database.path).await.unwrap();
    store.add_tenant(&tenant(), id(1), at(0)).await.unwrap();
    let new = document(1, 1);
    store.record_documents(&tenant(), &by(0), std::slice::from_ref(&new)).await.unwrap();
    let mut fixture = SignedFixture::new(1);
    let logged = fixture.log(&fixture.sign(&tenant(), &[&new]));
    let links = [NewLink { entry: &logged.entry, linkages: &logged.linkages, finished: None }];
    let refused = store.link(&tenant(), &by(1), lease(1, 1).token, &links).await;
    assert!(matches!(&refused, Err(Error::UnknownEnvelope(_))), "{refused:?}");
    assert_eq!(observations(&store).await[0].linkage, None);
}

#[tokio::test]
async fn a_key_that_is_too_long_is_refused_with_all_of_its_transaction() {
    let database = Database::new();
    let store = SqliteStore::open(&database.path).await.unwrap();
    store.add_tenant(&tenant(), id(1), at(0)).await.unwrap();
    let mut long = document(2, 2);
    // 1,025 bytes in 1,024 characters.
    long.observations[1].keys[0].1 = format!("{}é", "x".repeat(1_023));
    let refused = store.record_documents(&tenant(), &by(0), &[document(1, 1), long]).await.unwrap_err();
    let Error::Database { operation, source } = refused else { panic!("{refused}") };
    assert_eq!(operation, "recording documents");
    assert!(source.to_string().contains("vex_observation_keys_key_check"), "{source}");
    assert_eq!(store.counts(&tenant()).await.unwrap().documents, 0);
}

/// Takes the ledger out of a database: what a release before it left.
const BEFORE_THE_LEDGER: &str = "
    DROP TABLE findings_ledger_events; DROP TABLE findings_ledger_tiles; DROP TABLE findings_ledger_merkle_roots;
    DROP TABLE findings_ledger_attestations; DROP TRIGGER control_migrations_no_delete;
    DELETE FROM control_migrations WHERE version > 2;
    CREATE TRIGGER control_migrations_no_delete BEFORE DELETE ON control_migrations
    BEGIN SELECT RAISE(ABORT, 'control_migrations is only added to'); END;
    ALTER TABLE findings_ledger_chains DROP COLUMN backfilled_at;
    UPDATE findings_ledger_chains SET sequence_no = 0, event_hash = printf('%064d', 0),
        cycle_hash = printf('%064d', 0), frontier = x''";

#[tokio::test]
async fn what_an_older_release_recorded_gets_the_events_that_it_would_have_now() {
    let database = Database::new();
    let store = SqliteStore::open(&database.path).await.unwrap();
    let told = tell_story(&store).await;
    store.close().await.unwrap();
    database.execute(BEFORE_THE_LEDGER).await.unwrap();
    let store = SqliteStore::open(&database.path).await.unwrap();
    assert_backfilled(&store, &told).await;
    let events = check_ledger(&store, &tenant()).await;
    store.close().await.unwrap();
    // Done, it does nothing.
    let store = SqliteStore::open(&database.path).await.unwrap();
    assert_eq!(check_ledger(&store, &tenant()).await, events);
}

#[tokio::test]
async fn nothing_is_recorded_before_the_backfill_is_done() {
    let database = Database::new();
    let store = SqliteStore::open(&database.path).await.unwrap();
    store.add_tenant(&tenant(), id(1), at(0)).await.unwrap();
    database.execute("UPDATE findings_ledger_chains SET backfilled_at = NULL").await.unwrap();
    let refused = store.record_documents(&tenant(), &by(0), &[document(1, 1)]).await.unwrap_err();
    assert!(matches!(&refused, Error::Backfilling(of) if *of == tenant()), "{refused}");
    assert!(refused.is_transient());
}
