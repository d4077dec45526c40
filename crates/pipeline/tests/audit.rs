//! The audit: what it proves, and that nothing it proves can be changed unseen.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

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
use provex_store_sqlite::SqliteStore;
use sqlx::AssertSqlSafe;

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
async fn pipeline(path: &Path) -> Pipeline {
    let store = SqliteStore::open(path).await.unwrap();
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
    let store: Arc<dyn Store> = Arc::new(store);
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
         DELETE FROM findings_ledger_merkle_roots WHERE tree_size = 260", "set_size is that of no signed root"),
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
const PROVEN: [(&str, &str); 13] = [
    ("findings_ledger_chains", "tenant_id chain_id sequence_no event_hash cycle_hash frontier"),
    (
        "findings_ledger_events",
        "tenant_id chain_id sequence_no event_id event_type policy_version finding_id artifact_id source_run_id
        actor_id actor_type occurred_at recorded_at event_body row_count rows_root event_hash previous_hash
        merkle_leaf_hash",
    ),
    ("findings_ledger_tiles", "tenant_id chain_id level tile_index hashes"),
    (
        "findings_ledger_merkle_roots",
        "tenant_id chain_id tree_size root_hash checkpoint created_at anchor_reference",
    ),
    (
        "findings_ledger_attestations",
        "tenant_id attestation_id artifact_id finding_id verification_status verification_time dsse_digest
        rekor_entry_id evidence_bundle_ref ledger_event_id recorded_at merkle_leaf_hash root_hash cycle_hash
        projection_version",
    ),
    (
        "vex_documents",
        "tenant_id document_digest payload_digest format spec_version document_id revision issuer_scheme issuer_id
        stated_at retires source authentication observation_count created_at",
    ),
    ("vex_document_bodies", "tenant_id document_digest body"),
    (
        "vex_observations",
        "tenant_id observation_id document_digest claim_digest body status vulnerability_id product_key
        subcomponent_key created_at rekor_uuid rekor_log_id rekor_log_index rekor_log_url rekor_tree_size
        rekor_tree_root rekor_integrated_time rekor_timestamp_time rekor_entry_kind rekor_entry_version
        rekor_entry_body_hash rekor_inclusion_proof rekor_envelope_digest rekor_set_index rekor_set_path
        rekor_linked_at",
    ),
    ("vex_standings", "tenant_id document_digest created_at standing cause"),
    ("vex_parse_findings", "tenant_id document_digest code pointer line message"),
    (
        "attestor_envelopes",
        "tenant_id dsse_digest envelope predicate_type key_fingerprint set_root set_size created_at",
    ),
    ("attestor_bundles", "tenant_id bundle_digest bundle"),
    (
        "attestor_log_entries",
        "tenant_id rekor_log_id rekor_log_index rekor_uuid dsse_digest entry time_source bundle_digest created_at
        verification_status verified_at verification_error verifier_version",
    ),
];

#[tokio::test]
async fn no_change_of_a_proven_value_escapes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("provex.db");
    let pipeline = pipeline(&path).await;
    let mut owner = owner(&path).await;
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
    let mut changed = 0;
    while changed < 200 {
        // Every place once, then any.
        let (table, column) =
            places.get(changed).copied().unwrap_or_else(|| places[random(places.len() as u64) as usize]);
        let count = format!("SELECT count(*) FROM {table}");
        let rows: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut owner).await.unwrap();
        let row = random(rows as u64);
        // Saved aside, changed, audited, and put back.
        let change = format!(
            "DROP TABLE IF EXISTS temp.saved;
            CREATE TEMP TABLE saved AS SELECT rowid AS r, {column} AS v FROM {table} ORDER BY rowid LIMIT 1 OFFSET {row};
            UPDATE {table} SET {column} = CASE typeof({column})
                WHEN 'integer' THEN {column} + 1000000007
                WHEN 'blob' THEN CASE WHEN length({column}) = 0 THEN x'00' ELSE
                    CAST(substr({column}, 1, length({column}) - 1)
                        || CASE WHEN substr({column}, -1) = x'00' THEN x'01' ELSE x'00' END AS BLOB) END
                WHEN 'null' THEN (SELECT CASE type WHEN 'INTEGER' THEN 1 ELSE 'x' END
                    FROM pragma_table_info('{table}') WHERE name = '{column}')
                ELSE CASE WHEN substr({column}, -1) = '0' THEN substr({column}, 1, length({column}) - 1) || '1'
                    ELSE substr({column}, 1, max(length({column}) - 1, 0)) || '0' END END
            WHERE rowid = (SELECT r FROM saved)"
        );
        sqlx::raw_sql(AssertSqlSafe(change)).execute(&mut owner).await.unwrap();
        let seen = match audit(&pipeline).await {
            Ok(audit) => audit.wrong,
            Err(error) => Some(error.to_string()),
        };
        assert!(seen.is_some(), "{table}.{column} of row {row} was changed unseen");
        let back = format!(
            "UPDATE {table} SET {column} = (SELECT v FROM saved) WHERE rowid = (SELECT r FROM saved)"
        );
        sqlx::raw_sql(AssertSqlSafe(back)).execute(&mut owner).await.unwrap();
        changed += 1;
    }
    assert_eq!(audit(&pipeline).await.unwrap().wrong, None);
}
