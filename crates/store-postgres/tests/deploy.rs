//! `deploy/citus.sql`, run on a server without Citus: functions of Citus' names and arguments write down what they are told.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::collections::BTreeSet;

use common::{fill, observations, tenant};
use provex_store_postgres::migrate::{self, Layout};
use provex_store_postgres::testing::TestDatabase;
use sqlx::Row as _;

const SCRIPT: &str = include_str!("../../../deploy/citus.sql");

/// Citus' functions (docs.citusdata.com, "Citus Utility Functions"), which distribute nothing.
const STAND_INS: &str = "
    CREATE TABLE public.pg_dist_partition (logicalrelid regclass, colocated text, place bigserial);
    CREATE FUNCTION public.create_reference_table(t regclass) RETURNS void LANGUAGE sql AS
        $$ INSERT INTO public.pg_dist_partition VALUES (t, 'reference') $$;
    CREATE FUNCTION public.create_distributed_table(
        t regclass, c text, distribution_type text DEFAULT 'hash', colocate_with text DEFAULT 'default',
        shard_count int DEFAULT NULL) RETURNS void LANGUAGE sql AS
        $$ INSERT INTO public.pg_dist_partition VALUES (t, c || ' with ' || colocate_with) $$;
    CREATE FUNCTION public.create_distributed_function(
        f regprocedure, distribution_arg_name text DEFAULT NULL, colocate_with text DEFAULT 'default',
        force_delegation bool DEFAULT NULL) RETURNS void LANGUAGE sql AS $$ SELECT $$;
    CREATE FUNCTION public.run_command_on_workers(command text, parallel bool DEFAULT true)
        RETURNS TABLE (nodename text) LANGUAGE sql AS $$ SELECT 'none' $$;";

#[tokio::test]
async fn citus_is_told_to_distribute_every_table_behind_those_it_refers_to() {
    let database = TestDatabase::migrated(Layout::Flat).await;
    let refused = database.try_execute(SCRIPT).await.unwrap_err();
    assert!(refused.contains("CREATE EXTENSION citus"), "{refused}");
    database.execute(STAND_INS).await;
    let store = database.store().await;
    fill(&store, &tenant()).await;
    for _ in 0..2 {
        database.execute(SCRIPT).await;
    }
    let mut connection = database.connect().await;
    let told =
        sqlx::query("SELECT logicalrelid::text, colocated FROM public.pg_dist_partition ORDER BY place")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let told: Vec<(String, String)> = told.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(told[0], ("control.tenants".to_owned(), "reference".to_owned()));
    assert_eq!(told[1], ("findings.ledger_chains".to_owned(), "tenant_id with none".to_owned()));
    assert!(told[2..].iter().all(|(_, how)| how == "tenant_id with findings.ledger_chains"), "{told:?}");
    let tables: Vec<_> = told.iter().map(|(table, _)| table.as_str()).collect();
    assert_eq!(tables.iter().collect::<BTreeSet<_>>().len(), tables.len(), "{tables:?}");
    let ours = provex_store::copy::TABLES.iter().filter(|table| !table.starts_with("control."));
    assert_eq!(tables[1..].iter().collect::<BTreeSet<_>>(), ours.collect(), "{tables:?}");
    let references = sqlx::query(
        "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint
        WHERE contype = 'f' AND connamespace::regnamespace::text <> 'control'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let place = |table: String| tables.iter().position(|told| *told == table).unwrap();
    for row in &references {
        assert!(
            place(row.get(1)) <= place(row.get(0)),
            "{} refers to {}",
            row.get::<String, _>(0),
            row.get::<String, _>(1)
        );
    }
    // Nothing of ours was changed.
    migrate::check(&database.url()).await.unwrap();
    assert_eq!(observations(&store, &tenant()).await.len(), 5);
}

#[tokio::test]
async fn a_partitioned_database_is_not_distributed() {
    let database = TestDatabase::migrated(Layout::Hash16).await;
    database.execute(STAND_INS).await;
    let refused = database.try_execute(SCRIPT).await.unwrap_err();
    assert!(refused.contains("the layout is hash16"), "{refused}");
    assert_eq!(database.integer("SELECT count(*) FROM public.pg_dist_partition").await, 0);
}

/// Every key of a tenants' table begins with the tenant, which is the same type in the same collation everywhere, as Citus asks of
/// what is distributed together.
#[tokio::test]
async fn every_key_of_a_tenants_table_begins_with_the_tenant() {
    for layout in [Layout::Hash16, Layout::Flat] {
        let database = TestDatabase::migrated(layout).await;
        let other = "SELECT count(*) FROM pg_constraint AS c
            JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
            WHERE c.contype IN ('p', 'u', 'f') AND a.attname <> 'tenant_id'
                AND c.connamespace::regnamespace::text IN ('vex', 'vexhub', 'attestor', 'findings')";
        assert_eq!(database.integer(other).await, 0);
        let kinds = "SELECT count(DISTINCT (a.atttypid, a.attcollation)) FROM pg_attribute AS a
            JOIN pg_class AS t ON t.oid = a.attrelid
            WHERE a.attname = 'tenant_id' AND t.relkind IN ('r', 'p')
                AND t.relnamespace::regnamespace::text IN ('vex', 'vexhub', 'attestor', 'findings')";
        assert_eq!(database.integer(kinds).await, 1);
    }
}
