//! A tenant never reads or writes another's row, even where the application forgets its filter: row-level security through
//! the application's role, with the tenant absent, wrong, and left over on a connection.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::{LAYOUTS, fill, observations, tenant};
use provex_core::ids::TenantId;
use provex_store::Store as _;
use provex_store::testing::{at, id};
use provex_store_postgres::testing::TestDatabase;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

/// Every table that has a tenant in it and belongs to tenants, partitions left out.
async fn tables(database: &TestDatabase) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT c.oid::regclass::text FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace IN ('vex'::regnamespace, 'vexhub'::regnamespace, 'attestor'::regnamespace,
                'findings'::regnamespace)
            AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attname = 'tenant_id' ORDER BY 1",
    )
    .fetch_all(&mut database.connect().await)
    .await
    .unwrap();
    // None of them without it.
    let all = "SELECT count(*) FROM pg_class AS c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
        AND c.relnamespace IN ('vex'::regnamespace, 'vexhub'::regnamespace, 'attestor'::regnamespace,
            'findings'::regnamespace)";
    assert_eq!(usize::try_from(database.integer(all).await).unwrap(), tables.len());
    assert!(tables.len() >= 17, "{tables:?}");
    tables
}

/// Every partition of every table: its name, and its table's.
async fn partitions(database: &TestDatabase) -> Vec<(String, String)> {
    let partitions: Vec<(String, String)> = sqlx::query_as(
        "SELECT i.inhrelid::regclass::text, i.inhparent::regclass::text FROM pg_inherits AS i
            JOIN pg_class AS c ON c.oid = i.inhrelid WHERE c.relkind = 'r' ORDER BY 1",
    )
    .fetch_all(&mut database.connect().await)
    .await
    .unwrap();
    assert_eq!(partitions.len(), 3 * 16);
    partitions
}

fn other() -> TenantId {
    "other".parse().unwrap()
}

/// Both tenants filled, and a connection as the application that has not entered any.
async fn two_tenants(layout: provex_store_postgres::migrate::Layout) -> (TestDatabase, PgConnection) {
    let database = TestDatabase::migrated(layout).await;
    let store = database.store().await;
    fill(&store, &tenant()).await;
    fill(&store, &other()).await;
    let statement = |tenant: &TenantId| {
        format!(
            "INSERT INTO vexhub.statements
                (tenant_id, statement_id, subject_digest, revision, verdict_id, trace_digest, body, created_at)
            VALUES ('{tenant}', gen_random_uuid(), repeat('4', 64), 1, repeat('5', 64), repeat('6', 64), '', now())"
        )
    };
    database.execute(&statement(&tenant())).await;
    database.execute(&statement(&other())).await;
    // So small a ledger has no full tile and no root.
    database
        .execute(
            "INSERT INTO findings.ledger_tiles
            SELECT tenant_id, chain_id, 0, 0, decode(repeat('00', 8192), 'hex') FROM findings.ledger_chains;
            INSERT INTO findings.ledger_merkle_roots
            SELECT tenant_id, chain_id, 1, repeat('0', 64), 'x', now() FROM findings.ledger_chains",
        )
        .await;
    let mut connection = database.connect().await;
    sqlx::raw_sql("SET ROLE provex_app").execute(&mut connection).await.unwrap();
    (database, connection)
}

async fn run(connection: &mut PgConnection, sql: &str) -> Result<u64, String> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut *connection).await;
    let done = done.map(|done| done.rows_affected()).map_err(|error| error.to_string());
    if done.is_err() {
        sqlx::raw_sql("ROLLBACK").execute(connection).await.unwrap();
    }
    done
}

/// Which tenants' rows a table shows.
async fn tenants_in(connection: &mut PgConnection, table: &str) -> Vec<String> {
    let sql = AssertSqlSafe(format!("SELECT DISTINCT tenant_id FROM {table} ORDER BY 1"));
    let rows = sqlx::query(sql).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn without_a_tenant_every_table_is_an_error() {
    for layout in LAYOUTS {
        let (database, mut app) = two_tenants(layout).await;
        let tables = tables(&database).await;
        for set in ["BEGIN", "BEGIN; SET LOCAL provex.tenant_id = ''", "BEGIN; SELECT vex.enter_tenant('')"] {
            for table in &tables {
                run(&mut app, set).await.unwrap();
                let refused = run(&mut app, &format!("SELECT count(*) FROM {table}")).await.unwrap_err();
                assert!(refused.contains("no tenant was entered"), "{set}: {table}: {refused}");
            }
        }
    }
}

#[tokio::test]
async fn a_forgotten_filter_shows_only_the_tenant_that_was_entered() {
    for layout in LAYOUTS {
        let (database, mut app) = two_tenants(layout).await;
        let tables = tables(&database).await;
        for entered in [tenant(), other()] {
            run(&mut app, &format!("BEGIN; SELECT vex.enter_tenant('{entered}')")).await.unwrap();
            for table in &tables {
                assert_eq!(tenants_in(&mut app, table).await, [entered.as_str()], "{table}");
            }
            run(&mut app, "COMMIT").await.unwrap();
        }
        // One that is not there sees nothing.
        run(&mut app, "BEGIN; SELECT vex.enter_tenant('nobody')").await.unwrap();
        for table in &tables {
            assert!(tenants_in(&mut app, table).await.is_empty(), "{table}");
        }
    }
}

#[tokio::test]
async fn a_wrong_tenant_writes_nothing_of_another() {
    for layout in LAYOUTS {
        let (database, mut app) = two_tenants(layout).await;
        let before = database.integer("SELECT count(*) FROM attestor.submissions").await;
        for (sql, outcome) in [
            ("DELETE FROM attestor.submissions WHERE tenant_id = 'other'", Ok(0)),
            ("UPDATE attestor.submissions SET reason = 'x' WHERE tenant_id = 'other'", Ok(0)),
            ("UPDATE findings.ledger_chains SET last_at = now() WHERE tenant_id = 'other'", Ok(0)),
            ("UPDATE vex.observations SET rekor_uuid = rekor_uuid WHERE tenant_id = 'other'", Ok(0)),
            ("UPDATE attestor.log_entries SET verifier_version = 'x' WHERE tenant_id = 'other'", Ok(0)),
            // Into another, by INSERT and by moving a row.
            (
                "INSERT INTO vex.document_bodies SELECT 'other', repeat('1', 64), ''",
                Err("violates row-level security"),
            ),
            (
                "INSERT INTO vex.observations (tenant_id, observation_id, document_digest, claim_digest, body, status,
                    vulnerability_id, product_key, created_at)
                SELECT 'other', repeat('1', 64), document_digest, claim_digest, body, status, vulnerability_id,
                    product_key, created_at FROM vex.observations LIMIT 1",
                Err("violates row-level security"),
            ),
            ("UPDATE attestor.submissions SET tenant_id = 'other'", Err("violates row-level security")),
            ("UPDATE findings.ledger_chains SET tenant_id = 'other'", Err("violates row-level security")),
        ] {
            run(&mut app, "BEGIN; SELECT vex.enter_tenant('default')").await.unwrap();
            let done = run(&mut app, sql).await;
            match (&done, outcome) {
                (Ok(rows), Ok(expected)) => assert_eq!(*rows, expected, "{sql}"),
                (Err(message), Err(part)) => assert!(message.contains(part), "{sql}: {message}"),
                _ => panic!("{sql}: {done:?}"),
            }
            let _ = run(&mut app, "ROLLBACK").await;
        }
        assert_eq!(database.integer("SELECT count(*) FROM attestor.submissions").await, before);
    }
}

#[tokio::test]
async fn a_tenant_left_over_on_a_connection_is_gone_with_its_transaction() {
    for layout in LAYOUTS {
        let (_database, mut app) = two_tenants(layout).await;
        for end in ["COMMIT", "ROLLBACK"] {
            run(&mut app, &format!("BEGIN; SELECT vex.enter_tenant('other'); {end}")).await.unwrap();
            let refused = run(&mut app, "SELECT count(*) FROM vex.observations").await.unwrap_err();
            assert!(refused.contains("no tenant was entered"), "{refused}");
        }
        // Where something left one for the session, the next transaction enters its own all the same.
        run(&mut app, "SET provex.tenant_id = 'other'").await.unwrap();
        run(&mut app, "BEGIN; SELECT vex.enter_tenant('default')").await.unwrap();
        assert_eq!(tenants_in(&mut app, "vex.observations").await, ["default"]);
    }
}

#[tokio::test]
async fn a_pooled_connection_serves_one_tenant_after_the_other() {
    let database = TestDatabase::migrated(LAYOUTS[0]).await;
    let options = provex_store_postgres::Options { max_connections: 1, ..Default::default() };
    let store = provex_store_postgres::PostgresStore::connect(&database.url(), options).await.unwrap();
    fill(&store, &tenant()).await;
    store.add_tenant(&other(), id(2), at(0)).await.unwrap();
    for _ in 0..3 {
        assert_eq!(observations(&store, &tenant()).await.len(), 5);
        assert_eq!(observations(&store, &other()).await.len(), 0);
    }
}

#[tokio::test]
async fn partitions_cannot_be_reached_directly() {
    let (database, mut app) = two_tenants(LAYOUTS[0]).await;
    let partitions = partitions(&database).await;
    for (partition, _) in &partitions {
        for sql in [
            format!("SELECT count(*) FROM {partition}"),
            format!("INSERT INTO {partition} (tenant_id) VALUES ('default')"),
            format!("UPDATE {partition} SET tenant_id = tenant_id"),
            format!("DELETE FROM {partition}"),
            format!("TRUNCATE {partition}"),
        ] {
            run(&mut app, "BEGIN; SELECT vex.enter_tenant('default')").await.unwrap();
            let refused = run(&mut app, &sql).await.unwrap_err();
            assert!(refused.contains("permission denied"), "{sql}: {refused}");
        }
    }
    // Were a right granted by mistake, the policy of the partition would hold.
    for (partition, _) in &partitions {
        database.execute(&format!("GRANT SELECT ON {partition} TO provex_app")).await;
    }
    run(&mut app, "BEGIN; SELECT vex.enter_tenant('default')").await.unwrap();
    let mut seen = std::collections::BTreeMap::<&str, Vec<String>>::new();
    for (partition, table) in &partitions {
        seen.entry(table.as_str()).or_default().extend(tenants_in(&mut app, partition).await);
    }
    let own = vec!["default".to_owned()];
    let expected = ["findings.ledger_attestations", "findings.ledger_events", "vex.observations"];
    assert_eq!(seen, expected.into_iter().map(|table| (table, own.clone())).collect());
    app.close().await.unwrap();
}

#[tokio::test]
async fn what_is_only_added_to_is_neither_changed_nor_deleted() {
    for layout in LAYOUTS {
        let (database, mut app) = two_tenants(layout).await;
        let changed = [
            "findings.ledger_attestations",
            "findings.ledger_chains",
            "vex.document_bodies",
            "attestor.submissions",
        ];
        let tables = tables(&database).await.into_iter().filter(|table| !changed.contains(&table.as_str()));
        for table in tables {
            for sql in [
                format!("UPDATE {table} SET tenant_id = tenant_id"),
                format!("DELETE FROM {table}"),
                format!("TRUNCATE {table} CASCADE"),
            ] {
                // The right is missing; and to whoever has every right, the trigger says no.
                run(&mut app, "BEGIN; SELECT vex.enter_tenant('default')").await.unwrap();
                let refused = run(&mut app, &sql).await.unwrap_err();
                assert!(refused.contains("permission denied"), "{sql}: {refused}");
                let refused = database.try_execute(&sql).await.unwrap_err();
                assert!(refused.contains("is only added to"), "{sql}: {refused}");
            }
        }
        for sql in [
            "UPDATE control.migrations SET version = 9",
            "DELETE FROM control.migrations",
            "TRUNCATE control.migrations",
        ] {
            let refused = database.try_execute(sql).await.unwrap_err();
            assert!(refused.contains("is only added to"), "{sql}: {refused}");
        }
    }
    // A partition on its own.
    let (database, _) = two_tenants(LAYOUTS[0]).await;
    // The attestations are a projection, which is made again from the events.
    for (partition, table) in partitions(&database).await {
        if table != "findings.ledger_attestations" {
            let refused = database.try_execute(&format!("TRUNCATE {partition} CASCADE")).await.unwrap_err();
            assert!(refused.contains("is only added to"), "{partition}: {refused}");
        }
    }
}

#[tokio::test]
async fn a_linkage_is_set_once_and_whole() {
    for layout in LAYOUTS {
        let (database, mut app) = two_tenants(layout).await;
        let whole = "UPDATE vex.observations AS o SET rekor_uuid = l.rekor_uuid, rekor_log_id = l.rekor_log_id,
                rekor_log_index = l.rekor_log_index, rekor_log_url = l.rekor_log_url,
                rekor_tree_size = l.rekor_tree_size, rekor_tree_root = l.rekor_tree_root,
                rekor_entry_kind = l.rekor_entry_kind, rekor_entry_version = l.rekor_entry_version,
                rekor_entry_body_hash = l.rekor_entry_body_hash, rekor_inclusion_proof = l.rekor_inclusion_proof,
                rekor_envelope_digest = l.rekor_envelope_digest, rekor_set_index = l.rekor_set_index,
                rekor_set_path = l.rekor_set_path";
        let from = "FROM (SELECT * FROM vex.observations WHERE rekor_uuid IS NOT NULL AND tenant_id = 'default' LIMIT 1)
                AS l WHERE o.rekor_uuid IS NULL AND o.tenant_id = 'default'";
        for (sql, part) in [
            (
                "UPDATE vex.observations SET rekor_log_index = 7 WHERE rekor_uuid IS NOT NULL".to_owned(),
                "set once",
            ),
            (
                "UPDATE vex.observations SET rekor_uuid = NULL WHERE rekor_uuid IS NOT NULL".to_owned(),
                "set once",
            ),
            (
                "UPDATE vex.observations SET rekor_integrated_time = now() WHERE rekor_uuid IS NULL"
                    .to_owned(),
                "set once",
            ),
            (
                "UPDATE vex.observations SET rekor_uuid = repeat('1', 64) WHERE rekor_uuid IS NULL"
                    .to_owned(),
                "observations_linkage_check",
            ),
            (format!("{whole} {from}"), "observations_linkage_check"),
        ] {
            run(&mut app, "BEGIN; SELECT vex.enter_tenant('default')").await.unwrap();
            let refused = run(&mut app, &sql).await.unwrap_err();
            assert!(refused.contains(part), "{sql}: {refused}");
            let refused = database.try_execute(&sql).await.unwrap_err();
            assert!(refused.contains(part), "{sql}: {refused}");
        }
        run(&mut app, "BEGIN; SELECT vex.enter_tenant('default')").await.unwrap();
        let sql = format!("{whole}, rekor_linked_at = now() {from}");
        assert_eq!(run(&mut app, &sql).await.unwrap(), 3);
    }
}
