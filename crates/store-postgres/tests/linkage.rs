//! The linkage contract on the real server: round trip, order, refusal, and the migration that brings its columns.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;

use common::{ALL, LAYOUTS, LINKAGE, fill, observations, of_base_schema, tenant};
use provex_store::testing::{SignedFixture, at, by, document, id, lease};
use provex_store::{Error, ObservationFilter, ObservationRow, Store as _};
use provex_store_postgres::migrate;
use provex_store_postgres::testing::TestDatabase;

#[tokio::test]
async fn linkage_fields_persist_and_are_queried() {
    for layout in LAYOUTS {
        let database = TestDatabase::migrated(layout).await;
        let store = database.store().await;
        let documents = fill(&store, &tenant()).await;
        drop(store);
        // Another process.
        let store = database.store().await;
        let mut fixture = SignedFixture::new(1);
        let expected = fixture.log(&fixture.sign(&tenant(), &[&documents[0]]));
        let entry = &expected.entry.linked;
        for linkage in &expected.linkages {
            let row = store.observation(&tenant(), &linkage.observation).await.unwrap().unwrap();
            let stored = row.linkage.unwrap();
            assert_eq!((stored.fields, stored.linked_at), ((**linkage).clone(), at(2)));
        }
        let found = async |filter| store.observations(&tenant(), &filter, None, 10).await.unwrap().len();
        let by_uuid = ObservationFilter { rekor_uuid: Some(entry.rekor_uuid), ..Default::default() };
        let by_index = ObservationFilter { log_index: Some(entry.log_index), ..Default::default() };
        let linked = ObservationFilter { document: Some(documents[0].facts.digest), ..Default::default() };
        let pending = ObservationFilter { pending: true, ..Default::default() };
        for (filter, count) in [(by_uuid, 2), (by_index, 2), (linked, 2), (pending, 3)] {
            assert_eq!(found(filter.clone()).await, count, "{filter:?}");
        }
        // What the columns hold is what the contract says they hold.
        let told = format!(
            "SELECT count(*) FROM vex.observations WHERE rekor_uuid = '{}' AND rekor_log_id = '{}'
                AND rekor_log_index = {} AND rekor_envelope_digest = '{}' AND rekor_entry_kind = 'hashedrekord'
                AND rekor_inclusion_proof ->> 'logIndex' = '{}' AND octet_length(rekor_set_path) = 32
                AND rekor_linked_at = '2027-01-15T08:00:02Z'",
            entry.rekor_uuid.to_hex(),
            entry.log_id.to_text(),
            entry.log_index,
            entry.envelope_digest.to_text(),
            entry.tree_index,
        );
        assert_eq!(database.integer(&told).await, 2);
        // The time that Rekor v1 says, of which no entry is verified, and that of a timestamp.
        database
            .execute(
                "ALTER TABLE vex.observations DISABLE TRIGGER USER;
                UPDATE vex.observations SET rekor_integrated_time = '2027-01-15T08:00:01Z',
                    rekor_timestamp_time = '2027-01-15T08:00:01.000002Z' WHERE rekor_uuid IS NOT NULL;
                ALTER TABLE vex.observations ENABLE TRIGGER USER",
            )
            .await;
        for linkage in &expected.linkages {
            let row = store.observation(&tenant(), &linkage.observation).await.unwrap().unwrap();
            let entry = row.linkage.unwrap().fields.entry;
            assert_eq!(entry.integrated_time, Some(at(1)));
            assert_eq!(entry.timestamp_time, Some(at(1).plus_micros(2).unwrap()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pending_observations_come_in_deterministic_created_at_order() {
    for layout in LAYOUTS {
        let database = TestDatabase::migrated(layout).await;
        let store = std::sync::Arc::new(database.store().await);
        store.add_tenant(&tenant(), id(1), at(0)).await.unwrap();
        // Writers whose clocks disagree, all at once.
        let writers = (0..8_u64).map(|writer| {
            let store = std::sync::Arc::clone(&store);
            tokio::spawn(async move {
                for number in 0..6 {
                    let number = writer * 100 + number;
                    let seconds = 50 - i64::try_from(writer).unwrap();
                    store.record_documents(&tenant(), &by(seconds), &[document(number, 3)]).await.unwrap();
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        let filter = ObservationFilter { pending: true, ..Default::default() };
        let mut seen: Vec<ObservationRow> = Vec::new();
        while seen.len() < 144 {
            let after = seen.last().map(ObservationRow::position);
            seen.extend(store.observations(&tenant(), &filter, after, 10).await.unwrap());
        }
        for writer in writers {
            writer.await.unwrap();
        }
        // Nobody who read on while they wrote missed anything, and reading again gives the same order.
        let again = store.observations(&tenant(), &filter, None, 1_000).await.unwrap();
        assert_eq!(seen, again);
        assert!(seen.is_sorted_by(|a, b| a.position() < b.position()));
    }
}

#[tokio::test]
async fn linking_a_missing_observation_is_refused_and_writes_nothing() {
    for layout in LAYOUTS {
        let database = TestDatabase::migrated(layout).await;
        let store = database.store().await;
        store.add_tenant(&tenant(), id(1), at(0)).await.unwrap();
        let (recorded, missing) = (document(1, 2), document(2, 2));
        store.record_documents(&tenant(), &by(0), std::slice::from_ref(&recorded)).await.unwrap();
        let mut fixture = SignedFixture::new(1);
        let signed = fixture.sign(&tenant(), &[&recorded, &missing]);
        let envelopes = [signed.to_new_envelope(id(100))];
        store.record_envelopes(&tenant(), at(1), lease(1, 0).token, &[], &envelopes).await.unwrap();
        let logged = fixture.log(&signed);
        let before = everything(&database).await;
        let refused = store.link(&tenant(), &by(2), lease(1, 0).token, &[logged.to_new_link(None)]).await;
        let named = |found| missing.observations.iter().any(|observation| observation.id == found);
        assert!(matches!(refused, Err(Error::UnknownObservation(found)) if named(found)), "{refused:?}");
        assert_eq!(everything(&database).await, before);
        // The same link of what is there does write, into each of these tables: so it would have been seen.
        store.record_documents(&tenant(), &by(3), &[missing]).await.unwrap();
        let before = everything(&database).await;
        store.link(&tenant(), &by(4), lease(1, 0).token, &[logged.to_new_link(None)]).await.unwrap();
        let after = everything(&database).await;
        let changed: Vec<_> = before.iter().filter(|(table, rows)| after[*table] != **rows).collect();
        let names: Vec<_> = changed.iter().map(|(table, _)| table.as_str()).collect();
        assert_eq!(
            names,
            [
                "attestor.bundles",
                "attestor.log_entries",
                "findings.ledger_attestations",
                "findings.ledger_chains",
                "findings.ledger_events",
                "vex.observations",
            ]
        );
    }
}

/// Every row of every table of provex, as text.
async fn everything(database: &TestDatabase) -> BTreeMap<String, Vec<String>> {
    let mut connection = database.connect().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT c.oid::regclass::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('control', 'vex', 'vexhub', 'attestor', 'findings') AND c.relkind IN ('r', 'p')
            AND NOT c.relispartition",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let mut everything = BTreeMap::new();
    for table in tables {
        let rows = format!("SELECT t::text FROM {table} AS t ORDER BY 1");
        let rows = sqlx::query_scalar(sqlx::AssertSqlSafe(rows)).fetch_all(&mut connection).await.unwrap();
        everything.insert(table, rows);
    }
    everything
}

const COLUMNS: [&str; 16] = [
    "rekor_uuid text",
    "rekor_log_id text",
    "rekor_log_index bigint",
    "rekor_log_url text",
    "rekor_tree_size bigint",
    "rekor_tree_root text",
    "rekor_integrated_time timestamp with time zone",
    "rekor_timestamp_time timestamp with time zone",
    "rekor_entry_kind text",
    "rekor_entry_version text",
    "rekor_entry_body_hash text",
    "rekor_inclusion_proof jsonb",
    "rekor_envelope_digest text",
    "rekor_set_index bigint",
    "rekor_set_path bytea",
    "rekor_linked_at timestamp with time zone",
];

#[tokio::test]
async fn the_migration_adds_the_required_columns_and_indexes_to_vex_vexhub_and_attestor_tables() {
    for layout in LAYOUTS {
        let database = of_base_schema(layout).await;
        let before = migrate::describe(&database.url()).await.unwrap();
        assert!(!before.iter().any(|line| line.contains("verified_at") || line.contains("_rekor_uuid_idx")));
        let plan = migrate::plan(&database.url(), None).await.unwrap();
        assert_eq!((plan.found, plan.layout, plan.steps), (1, layout, ALL[1..].to_vec()));
        migrate::migrate(&database.url(), None, at(5)).await.unwrap();
        assert_eq!(migrate::check(&database.url()).await.unwrap(), layout);
        for (table, key) in [("vex.observations", "observation_id"), ("vexhub.statements", "statement_id")] {
            let (schema, name) = table.split_once('.').unwrap();
            for column in COLUMNS {
                let (column, kind) = column.split_once(' ').unwrap();
                let there = format!(
                    "SELECT count(*) FROM information_schema.columns WHERE table_schema = '{schema}'
                        AND table_name = '{name}' AND column_name = '{column}' AND data_type = '{kind}'
                        AND is_nullable = 'YES'"
                );
                assert_eq!(database.integer(&there).await, 1, "{table}.{column}");
            }
            for (index, definition) in [
                ("rekor_uuid_idx", "(tenant_id, rekor_uuid)".to_owned()),
                ("rekor_position_idx", "(tenant_id, rekor_log_id, rekor_log_index)".to_owned()),
                ("rekor_pending_idx", format!("(tenant_id, created_at, {key}) WHERE (rekor_uuid IS NULL)")),
            ] {
                let there = format!(
                    "SELECT count(*) FROM pg_indexes WHERE schemaname = '{schema}' AND tablename = '{name}'
                        AND indexname = '{name}_{index}' AND indexdef LIKE '%{definition}'"
                );
                assert_eq!(database.integer(&there).await, 1, "{name}_{index}");
            }
        }
        for column in ["verification_status", "verified_at", "verification_error", "verifier_version"] {
            let there = format!(
                "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'attestor'
                    AND table_name = 'log_entries' AND column_name = '{column}'"
            );
            assert_eq!(database.integer(&there).await, 1, "{column}");
        }
        // What was there before is there still, and waits.
        let rows = observations(&database.store().await, &tenant()).await;
        assert_eq!((rows.len(), rows[0].body.as_slice(), &rows[0].linkage), (1, b"{}".as_slice(), &None));
        let kept = "SELECT count(*) FROM vexhub.statements, attestor.log_entries WHERE verified_at IS NULL";
        assert_eq!(database.integer(kept).await, 1);
    }
}

#[tokio::test]
async fn reapplying_the_migration_keeps_existing_linkage_data() {
    for layout in LAYOUTS {
        let database = TestDatabase::migrated(layout).await;
        let store = database.store().await;
        fill(&store, &tenant()).await;
        let rows = observations(&store, &tenant()).await;
        assert_eq!(rows.iter().filter(|row| row.linkage.is_some()).count(), 2);
        let schema = migrate::describe(&database.url()).await.unwrap();
        // By the migrator, by hand, and by hand where a part was lost.
        assert_eq!(migrate::migrate(&database.url(), None, at(9)).await.unwrap().steps, []);
        database.execute(LINKAGE).await;
        database
            .execute(
                "DROP INDEX vex.observations_rekor_pending_idx;
                ALTER TABLE vex.observations DROP CONSTRAINT observations_linkage_check;
                DROP TRIGGER observations_linkage_once ON vex.observations;
                ALTER TABLE attestor.log_entries DROP COLUMN verification_error",
            )
            .await;
        database.execute(LINKAGE).await;
        assert_eq!(observations(&store, &tenant()).await, rows);
        let again = migrate::describe(&database.url()).await.unwrap();
        let differing = again.iter().filter(|line| !schema.contains(line));
        let missing = schema.iter().filter(|line| !again.contains(line));
        assert_eq!(differing.chain(missing).collect::<Vec<_>>(), [""; 0]);
    }
}
