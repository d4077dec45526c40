//! The audit: what it proves, and that nothing it proves can be changed unseen.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::owner;
use provex_core::dsse::Envelope;
use provex_core::ids::TenantId;
use provex_core::intoto::SaltKey;
use provex_core::keys::{PublicKey, RustCrypto, Signer as _};
use provex_core::ledger::{Head, PROJECTION_VERSION};
use provex_pipeline::environment::Environment;
use provex_pipeline::{Audit, Due, Error, Fold, Pipeline, Sealing, Trusted};
use provex_store::testing::{SignedFixture, at, by, document, id, lease};
use provex_store::{FindingRow, Release, Stage, Store};
use provex_store_postgres::migrate::Layout;
use provex_store_postgres::testing::TestDatabase;
use provex_store_sqlite::SqliteStore;
use sqlx::{AssertSqlSafe, PgConnection, Row as _, SqliteConnection};

/// No time, and numbers in their order.
#[derive(Default)]
struct Numbers(AtomicU64);

impl Environment for Numbers {
    fn now(&self) -> provex_core::time::Timestamp {
        at(0)
    }

    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(0);
        bytes[..8].copy_from_slice(&self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes());
    }
}

fn keys() -> [PublicKey; 1] {
    [SignedFixture::new(1).signer().public_key().clone()]
}

async fn audit(pipeline: &Pipeline) -> Result<Audit, Error> {
    pipeline.audit(Trusted { keys: &keys(), signatures: &RustCrypto }).await
}

/// Signs the root of what is there, logs its anchor and links it.
async fn anchor(pipeline: &Pipeline, fixture: &mut SignedFixture) {
    let (store, tenant, keys) = (&pipeline.store, &pipeline.tenant, keys());
    let (salt_key, signatures) = (&SaltKey::new([7; 32]), &RustCrypto);
    let sealing = Sealing { signer: fixture.signer(), salt_key, keys: &keys, signatures, anchors: true };
    pipeline.seal(sealing, Due::Now).await.unwrap();
    let anchor = store.newest_ledger_anchor(tenant).await.unwrap().unwrap();
    let kept = store.envelope(tenant, &anchor.envelope).await.unwrap().unwrap();
    let logged = fixture.log_anchor(&Envelope::parse(&kept.bytes).unwrap());
    store.link(tenant, &by(2), lease(0, 0).token, &[logged.to_new_link(None)]).await.unwrap();
}

/// A ledger with a full tile, documents of every kind, a linked envelope, one without members and one that was refused,
/// and two anchored roots.
async fn pipeline_on(store: Arc<dyn Store>) -> Pipeline {
    let tenant = TenantId::default_tenant();
    store.add_tenant(&tenant, id(1), at(0)).await.unwrap();
    let mut documents: Vec<_> = (10..266).map(|number| document(number, 0)).collect();
    documents.extend([document(1, 12), document(2, 3), document(3, 0)]);
    documents[3].quarantine = Some("stated in the future".to_owned());
    documents[4].findings = vec![FindingRow {
        code: "assumed_utc".to_owned(),
        pointer: "/timestamp".to_owned(),
        line: Some(3),
        message: "No zone.".to_owned(),
    }];
    store.record_documents(&tenant, &by(0), &documents).await.unwrap();
    let environment = Arc::new(Numbers::default());
    let pipeline = Pipeline { store, environment, tenant: tenant.clone(), actor: by(0).actor, run: None };
    let store = &pipeline.store;
    let mut fixture = SignedFixture::new(1);
    anchor(&pipeline, &mut fixture).await;
    for (number, document) in (1_000..).zip(&documents[256..]) {
        let signed = fixture.sign(&tenant, &[document]);
        let held = lease(number, 0);
        store.acquire_submissions(&tenant, Stage::Attest, held, 1_000).await.unwrap();
        let envelopes = [signed.to_new_envelope(id(number))];
        store.record_envelopes(&tenant, at(1), held.token, &[document.submission], &envelopes).await.unwrap();
        store.clear_leases(&tenant, at(1)).await.unwrap();
        if number == 1_001 {
            let held = lease(number, 2);
            store.acquire_submissions(&tenant, Stage::Submit, held, 10).await.unwrap();
            let dead = Release::Dead { reason: "no".to_owned() };
            store.release_submission(&tenant, &by(3), held.token, id(number), &dead).await.unwrap();
        } else {
            let logged = fixture.log(&signed);
            store.link(&tenant, &by(2), held.token, &[logged.to_new_link(None)]).await.unwrap();
        }
    }
    anchor(&pipeline, &mut fixture).await;
    pipeline
}

async fn pipeline(path: &Path) -> Pipeline {
    pipeline_on(Arc::new(SqliteStore::open(path).await.unwrap())).await
}

#[tokio::test]
async fn a_sound_ledger_is_proven_whole() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = pipeline(&folder.path().join("provex.db")).await;
    let audit = audit(&pipeline).await.unwrap();
    assert_eq!(audit.wrong, None);
    assert_eq!((audit.events, audit.attestations, audit.observations), (265, 15, 15));
    assert_eq!((audit.roots, audit.anchored), (2, 2));
    let replay = pipeline.replay(PROJECTION_VERSION).await.unwrap();
    assert_eq!((replay.events, replay.rows, replay.differs), (265, 15, None));
    let head = pipeline.store.ledger_head(&pipeline.tenant).await.unwrap();
    assert_eq!(Head { last_at: head.last_at, ..replay.head }, head);
}

#[tokio::test]
async fn a_root_of_an_unknown_key_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = pipeline(&folder.path().join("provex.db")).await;
    let other = [SignedFixture::new(2).signer().public_key().clone()];
    let audit = pipeline.audit(Trusted { keys: &other, signatures: &RustCrypto }).await.unwrap();
    let wrong = audit.wrong.unwrap();
    assert!(wrong.contains("ledger_merkle_roots, size 260: checkpoint is signed by no key"), "{wrong}");
    assert!(wrong.contains("--key"), "{wrong}");
}

#[tokio::test]
async fn a_root_that_is_gone_or_of_no_events_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("provex.db");
    let pipeline = pipeline(&path).await;
    let mut owner = owner(&path).await;
    for (sql, named) in [
        ("INSERT INTO temp.kept SELECT * FROM findings_ledger_merkle_roots WHERE tree_size = 260;
         DELETE FROM findings_ledger_merkle_roots WHERE tree_size = 260", "findings.ledger_merkle_roots, size 260: the row is gone"),
        ("INSERT INTO findings_ledger_merkle_roots SELECT * FROM temp.kept;
         INSERT INTO findings_ledger_merkle_roots SELECT tenant_id, chain_id, 9000, root_hash, checkpoint, created_at,
            NULL, NULL FROM temp.kept", "size 9000: there are not so many events"),
    ] {
        let before = "CREATE TEMP TABLE IF NOT EXISTS kept AS SELECT * FROM findings_ledger_merkle_roots LIMIT 0;";
        let sql = AssertSqlSafe(format!("{before}{sql}"));
        sqlx::raw_sql(sql).execute(&mut owner).await.unwrap();
        let wrong = audit(&pipeline).await.unwrap().wrong.unwrap();
        assert!(wrong.contains(named), "{wrong}");
    }
}

#[tokio::test]
async fn two_projection_versions_of_one_ledger_live_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = pipeline(&folder.path().join("provex.db")).await;
    let events = pipeline.store.ledger_events(&pipeline.tenant, 0, 1_000).await.unwrap();
    let made = |version| {
        let mut fold = Fold::new(Head::new(pipeline.tenant.clone(), id(1)).unwrap(), version);
        events.iter().flat_map(|event| fold.rows(event).unwrap()).collect::<Vec<_>>()
    };
    let (current, next) = (made(PROJECTION_VERSION), made("2"));
    for (row, other) in current.iter().zip(&next) {
        // Another version says so, and its cycle is another; what the events say is the same.
        assert_eq!((&row.facts, row.root_hash), (&other.facts, other.root_hash));
        assert_eq!((row.projection_version.as_str(), other.projection_version.as_str()), ("1", "2"));
        assert_ne!(row.cycle_hash, other.cycle_hash);
    }
    let differs = pipeline.replay("2").await.unwrap().differs.unwrap();
    assert!(differs.contains("cycle_hash"), "{differs}");
}

/// What `docs/DATA_MODEL.md` marks as proven, table by table.
const PROVEN: [(&str, &str); 14] = [
    ("findings.ledger_chains", "tenant_id chain_id sequence_no event_hash cycle_hash frontier"),
    (
        "findings.ledger_events",
        "tenant_id chain_id sequence_no event_id event_type policy_version finding_id artifact_id source_run_id
        actor_id actor_type occurred_at recorded_at event_body row_count rows_root event_hash previous_hash
        merkle_leaf_hash",
    ),
    ("findings.ledger_tiles", "tenant_id chain_id level tile_index hashes"),
    (
        "findings.ledger_merkle_roots",
        "tenant_id chain_id tree_size root_hash checkpoint created_at anchor_reference",
    ),
    (
        "findings.ledger_attestations",
        "tenant_id attestation_id artifact_id finding_id verification_status verification_time dsse_digest
        rekor_entry_id evidence_bundle_ref ledger_event_id recorded_at merkle_leaf_hash root_hash cycle_hash
        projection_version",
    ),
    (
        "vex.documents",
        "tenant_id document_digest payload_digest format spec_version document_id revision issuer_scheme issuer_id
        stated_at retires source authentication observation_count created_at",
    ),
    ("vex.document_bodies", "tenant_id document_digest body"),
    (
        "vex.observations",
        "tenant_id observation_id document_digest claim_digest body status vulnerability_id product_key
        subcomponent_key created_at rekor_uuid rekor_log_id rekor_log_index rekor_log_url rekor_tree_size
        rekor_tree_root rekor_integrated_time rekor_timestamp_time rekor_entry_kind rekor_entry_version
        rekor_entry_body_hash rekor_inclusion_proof rekor_envelope_digest rekor_set_index rekor_set_path
        rekor_linked_at",
    ),
    ("vex.standings", "tenant_id document_digest created_at standing cause"),
    ("vex.parse_findings", "tenant_id document_digest code pointer line message"),
    (
        "attestor.envelopes",
        "tenant_id dsse_digest envelope predicate_type key_fingerprint set_root set_size created_at",
    ),
    ("attestor.envelope_members", "tenant_id dsse_digest kind member"),
    ("attestor.bundles", "tenant_id bundle_digest bundle"),
    (
        "attestor.log_entries",
        "tenant_id rekor_log_id rekor_log_index rekor_uuid dsse_digest entry time_source bundle_digest created_at
        verification_status verified_at verification_error verifier_version",
    ),
];

/// What the page says of a table: which of its columns are not proven.
fn unproven<'a>(page: &'a str, table: &str) -> Option<Vec<&'a str>> {
    let (_, section) = page.split_once(&format!("### `{table}`\n"))?;
    let section = section.split("\n### ").next()?;
    let (_, said) = section.rsplit_once("Proven")?;
    let (_, but) = said.split_once(": all")?;
    let Some(but) = but.strip_prefix(" but ") else { return Some(Vec::new()) };
    Some(but.split([',', ';', '.']).next()?.split('`').skip(1).step_by(2).collect())
}

#[tokio::test]
async fn the_page_marks_every_column_as_proven_or_not() {
    let page = std::fs::read_to_string("../../docs/DATA_MODEL.md").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("provex.db");
    drop(SqliteStore::open(&path).await.unwrap());
    let mut owner = owner(&path).await;
    let sql = "SELECT t.name, c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
        WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'";
    let rows = sqlx::query(sql).fetch_all(&mut owner).await.unwrap();
    assert!(rows.len() > 150);
    for row in rows {
        let (table, column): (String, String) = (row.get(0), row.get(1));
        let proven = PROVEN.iter().find(|(proven, _)| proven.replacen('.', "_", 1) == table);
        let proven = proven.is_some_and(|(_, columns)| columns.split_whitespace().any(|c| c == column));
        let said = unproven(&page, &table).is_some_and(|not| !not.contains(&column.as_str()));
        assert_eq!(proven, said, "{table}.{column}");
        let section = page.split_once(&format!("### `{table}`\n")).unwrap_or_else(|| panic!("{table}")).1;
        let section = section.split("\n### ").next().unwrap();
        assert!(section.contains("roven") && section.contains(&column), "{table}.{column}");
    }
}

/// The owner's hand: no triggers, no checks, no foreign keys.
enum Owner {
    File(SqliteConnection),
    Server(PgConnection),
}

/// A value that was changed, to be put back.
struct Saved {
    /// Where it is now, as a condition.
    place: String,
    /// What it was, as an expression.
    value: String,
}

impl Owner {
    async fn of_file(path: &Path) -> Self {
        let mut owner = common::owner(path).await;
        // Without row ids there is nothing to name its rows by while their keys are changed.
        let sql = "CREATE TABLE copy AS SELECT * FROM attestor_envelope_members;
            DROP TABLE attestor_envelope_members; ALTER TABLE copy RENAME TO attestor_envelope_members";
        sqlx::raw_sql(sql).execute(&mut owner).await.unwrap();
        Self::File(owner)
    }

    async fn of_server(database: &TestDatabase) -> Self {
        database
            .execute(
                "DO $$ DECLARE c record; BEGIN
                    FOR c IN SELECT conrelid::regclass AS owner, conname FROM pg_constraint
                        WHERE connamespace::regnamespace::text IN ('vex', 'vexhub', 'attestor', 'findings')
                            AND contype IN ('f', 'c') AND conparentid = 0 AND coninhcount = 0
                    LOOP
                        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.owner, c.conname);
                    END LOOP;
                    FOR c IN SELECT oid::regclass AS owner FROM pg_class
                        WHERE relnamespace::regnamespace::text IN ('vex', 'vexhub', 'attestor', 'findings')
                            AND relkind IN ('r', 'p')
                    LOOP
                        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', c.owner);
                    END LOOP;
                END $$",
            )
            .await;
        Self::Server(database.connect().await)
    }

    /// A table in this store's spelling.
    fn table(&self, table: &str) -> String {
        match self {
            Self::File(_) => table.replacen('.', "_", 1),
            Self::Server(_) => table.to_owned(),
        }
    }

    async fn execute(&mut self, sql: String) {
        let done = match self {
            Self::File(owner) => sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(owner).await.map(|_| ()),
            Self::Server(owner) => sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(owner).await.map(|_| ()),
        };
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The texts of the first row.
    async fn row<const N: usize>(&mut self, sql: String) -> [String; N] {
        let row: Vec<String> = match self {
            Self::File(owner) => {
                let row = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_one(owner).await.unwrap();
                (0..N).map(|column| row.get(column)).collect()
            }
            Self::Server(owner) => {
                let row = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_one(owner).await.unwrap();
                (0..N).map(|column| row.get(column)).collect()
            }
        };
        row.try_into().unwrap()
    }

    async fn rows(&mut self, table: &str) -> u64 {
        let sql = format!("SELECT CAST(count(*) AS text) FROM {}", self.table(table));
        let [count] = self.row(sql).await;
        count.parse().unwrap()
    }

    /// Changes a value a little, within its type.
    async fn change(&mut self, table: &str, column: &str, row: u64) -> Saved {
        let table = self.table(table);
        match self {
            Self::File(_) => self.change_in_file(&table, column, row).await,
            Self::Server(_) => self.change_on_server(&table, column, row).await,
        }
    }

    async fn change_in_file(&mut self, table: &str, column: &str, row: u64) -> Saved {
        let [place, value] = self
            .row(format!(
                "SELECT 'rowid = ' || rowid, quote({column}) FROM {table} ORDER BY rowid LIMIT 1 OFFSET {row}"
            ))
            .await;
        self.execute(format!(
            "UPDATE {table} SET {column} = CASE typeof({column})
                WHEN 'integer' THEN {column} + 1000000007
                WHEN 'blob' THEN CASE WHEN length({column}) = 0 THEN x'00' ELSE
                    CAST(substr({column}, 1, length({column}) - 1)
                        || CASE WHEN substr({column}, -1) = x'00' THEN x'01' ELSE x'00' END AS BLOB) END
                WHEN 'null' THEN (SELECT CASE type WHEN 'INTEGER' THEN 1 ELSE 'x' END
                    FROM pragma_table_info('{table}') WHERE name = '{column}')
                ELSE CASE WHEN substr({column}, -1) = '0' THEN substr({column}, 1, length({column}) - 1) || '1'
                    ELSE substr({column}, 1, max(length({column}) - 1, 0)) || '0' END END
            WHERE {place}"
        ))
        .await;
        Saved { place, value }
    }

    async fn change_on_server(&mut self, table: &str, column: &str, row: u64) -> Saved {
        let [kind] = self
            .row(format!(
                "SELECT format_type(atttypid, -1) FROM pg_attribute
                WHERE attrelid = '{table}'::regclass AND attname = '{column}'"
            ))
            .await;
        let other = |text: &str| format!("CASE right({text}, 1) WHEN '0' THEN '1' ELSE '0' END");
        let changed = match kind.as_str() {
            "text" => format!("coalesce(left({column}, -1) || {}, 'x')", other(column)),
            // Far from every other row's: keys stay unique.
            "bigint" | "integer" => format!("coalesce({column}, 0) + 1000000007"),
            "smallint" => format!("coalesce({column}, 0) + 1007"),
            "timestamp with time zone" => format!("coalesce({column}, 'epoch') + interval '1 second'"),
            "uuid" => format!("(left({column}::text, -1) || {})::uuid", other(&format!("{column}::text"))),
            "bytea" => format!(
                "CASE WHEN coalesce(length({column}), 0) = 0 THEN '\\x00' ELSE
                    set_byte({column}, length({column}) - 1, get_byte({column}, length({column}) - 1) # 1) END"
            ),
            "jsonb" => format!("jsonb_build_object('changed', {column})"),
            other => panic!("{table}.{column} is a {other}"),
        };
        let place = "'tableoid = ' || tableoid || ' AND ctid = ' || quote_literal(ctid)";
        let [before, value] = self
            .row(format!(
                "SELECT {place}, quote_nullable({column}) || '::{kind}' FROM {table}
                ORDER BY tableoid, ctid LIMIT 1 OFFSET {row}"
            ))
            .await;
        // A row of another tenant is one of another partition.
        let [place] = self
            .row(format!("UPDATE {table} SET {column} = {changed} WHERE {before} RETURNING {place}"))
            .await;
        Saved { place, value }
    }

    async fn put_back(&mut self, table: &str, column: &str, saved: Saved) {
        let (table, Saved { place, value }) = (self.table(table), saved);
        self.execute(format!("UPDATE {table} SET {column} = {value} WHERE {place}")).await;
    }
}

/// What an audit says that finds something wrong.
async fn seen(pipeline: &Pipeline) -> Option<String> {
    match audit(pipeline).await {
        Ok(audit) => audit.wrong,
        Err(error) => Some(error.to_string()),
    }
}

async fn no_change_of_a_proven_value_escapes(pipeline: &Pipeline, mut owner: Owner) {
    let places: Vec<_> = PROVEN
        .iter()
        .flat_map(|(table, columns)| columns.split_whitespace().map(move |column| (*table, column)))
        .collect();
    // A generator of its own, so that each run is the same.
    let mut state = 7_u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut misnamed = Vec::new();
    for number in 0..200 {
        // Every place once, then any.
        let (table, column) =
            places.get(number).copied().unwrap_or_else(|| places[random(places.len() as u64) as usize]);
        let row = random(owner.rows(table).await);
        let saved = owner.change(table, column, row).await;
        let seen = seen(pipeline).await;
        let Some(seen) = seen else { panic!("{table}.{column} of row {row} was changed unseen") };
        let named = seen.contains(table) || seen.contains(&table.replacen('.', "_", 1));
        if !named && !ELSEWHERE.iter().any(|(place, said)| *place == (table, column) && seen.contains(said)) {
            misnamed.push(format!("{table}.{column} of row {row}: {seen}"));
        }
        owner.put_back(table, column, saved).await;
    }
    assert!(misnamed.is_empty(), "{misnamed:#?}");
    assert_eq!(audit(pipeline).await.unwrap().wrong, None);
}

/// Where a change is told in other words: the row of a chain is what a tenant is found by.
const ELSEWHERE: [((&str, &str), &str); 1] =
    [(("findings.ledger_chains", "tenant_id"), "there is no tenant `default`")];

#[tokio::test]
async fn no_change_of_a_proven_value_escapes_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("provex.db");
    let pipeline = pipeline(&path).await;
    no_change_of_a_proven_value_escapes(&pipeline, Owner::of_file(&path).await).await;
}

#[tokio::test]
async fn no_change_of_a_proven_value_escapes_on_a_server() {
    let database = TestDatabase::migrated(Layout::Hash16).await;
    let pipeline = pipeline_on(Arc::new(database.store().await)).await;
    no_change_of_a_proven_value_escapes(&pipeline, Owner::of_server(&database).await).await;
}

async fn members_that_were_added_or_removed_are_found(pipeline: &Pipeline, mut owner: Owner) {
    let members = owner.table("attestor.envelope_members");
    let columns = "tenant_id, dsse_digest, kind, position, member";
    for change in [
        format!("DELETE FROM {members} WHERE member = (SELECT max(member) FROM {members})"),
        // Into the set of another envelope.
        format!(
            "INSERT INTO {members} ({columns}) SELECT a.tenant_id, a.dsse_digest, b.kind, 1000, b.member
            FROM {members} AS a, {members} AS b WHERE a.kind = b.kind AND a.dsse_digest <> b.dsse_digest
            AND b.kind = 'observation' ORDER BY 2, 5 LIMIT 1"
        ),
    ] {
        owner.execute(format!("CREATE TEMP TABLE saved AS SELECT * FROM {members}")).await;
        owner.execute(change.clone()).await;
        let seen = seen(pipeline).await.unwrap_or_else(|| panic!("{change}"));
        assert!(seen.contains("attestor.envelope_members"), "{change}: {seen}");
        owner
            .execute(format!(
                "DELETE FROM {members}; INSERT INTO {members} SELECT * FROM saved; DROP TABLE saved"
            ))
            .await;
        assert_eq!(audit(pipeline).await.unwrap().wrong, None);
    }
}

#[tokio::test]
async fn members_that_were_added_or_removed_are_found_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("provex.db");
    let pipeline = pipeline(&path).await;
    members_that_were_added_or_removed_are_found(&pipeline, Owner::of_file(&path).await).await;
}

#[tokio::test]
async fn members_that_were_added_or_removed_are_found_on_a_server() {
    let database = TestDatabase::migrated(Layout::Hash16).await;
    let pipeline = pipeline_on(Arc::new(database.store().await)).await;
    members_that_were_added_or_removed_are_found(&pipeline, Owner::of_server(&database).await).await;
}
