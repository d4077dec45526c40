//! The schema: what migrations make, what they refuse, and what the database itself holds against every program.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::{
    ALL, BASE, LAYOUTS, LEDGER_ANCHORS, LEDGER_ATTESTATIONS, LEDGER_EVENTS, LINKAGE, fill, observations,
    of_base_schema, tenant,
};
use provex_core::digest::Digest;
use provex_store::testing::{assert_backfilled, at, by, check_ledger, document, id, tell_story};
use provex_store::{Error, ObservationFilter, OlderLinkage, Store as _};
use provex_store_postgres::migrate::{self, Layout};
use provex_store_postgres::testing::TestDatabase;
use provex_store_postgres::{Options, PostgresStore};

#[tokio::test]
async fn all_migrations_make_the_recorded_schema() {
    for layout in LAYOUTS {
        let database = TestDatabase::empty().await;
        let made = migrate::migrate(&database.url(), Some(layout), at(0)).await;
        let lines = migrate::describe(&database.url()).await.unwrap();
        let found = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let file = format!("{}/schema-{}.txt", env!("CARGO_MANIFEST_DIR"), layout.label());
        if std::env::var_os("PROVEX_UPDATE_SCHEMA").is_some() {
            std::fs::write(&file, &found).unwrap();
        }
        let recorded = std::fs::read_to_string(&file).unwrap();
        assert!(
            found == recorded,
            "the migrations make another schema than {file} says; if that is meant:\n\
            PROVEX_UPDATE_SCHEMA=1 scripts/with-postgres cargo test -p provex-store-postgres --test schema"
        );
        assert_eq!(made.unwrap().steps, ALL);
    }
}

#[tokio::test]
async fn defaults_of_a_database_change_nothing_of_what_statements_mean() {
    for layout in LAYOUTS {
        let database = TestDatabase::empty().await;
        for default in [
            "standard_conforming_strings = off",
            "search_path = vex, public",
            "quote_all_identifiers = on",
            "row_security = off",
        ] {
            database.execute(&format!("ALTER DATABASE {} SET {default}", database.name())).await;
        }
        migrate::migrate(&database.url(), Some(layout), at(0)).await.unwrap();
        assert_eq!(migrate::check(&database.url()).await.unwrap(), layout);
        let store = database.store().await;
        fill(&store, &tenant()).await;
        assert_eq!(observations(&store, &tenant()).await.len(), 5);
    }
}

#[tokio::test]
async fn every_key_of_a_tenant_table_begins_with_the_tenant() {
    for layout in LAYOUTS {
        let database = TestDatabase::migrated(layout).await;
        let of_tenants = "n.nspname IN ('vex', 'vexhub', 'attestor', 'findings')";
        let stray = format!(
            "SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                JOIN pg_index AS i ON i.indrelid = c.oid
                JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
            WHERE {of_tenants} AND a.attname <> 'tenant_id'"
        );
        assert_eq!(database.integer(&stray).await, 0);
        let stray = format!(
            "SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                JOIN pg_constraint AS k ON k.conrelid = c.oid
                JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
            WHERE {of_tenants} AND k.contype IN ('p', 'u', 'f') AND a.attname <> 'tenant_id'"
        );
        assert_eq!(database.integer(&stray).await, 0);
        let bare = "SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                LEFT JOIN pg_description AS d ON d.objoid = c.oid AND d.objsubid = 0
            WHERE n.nspname IN ('vex', 'vexhub', 'attestor', 'findings', 'control') AND c.relkind IN ('r', 'p')
                AND NOT c.relispartition AND d.description IS NULL";
        assert_eq!(database.integer(bare).await, 0, "a table without a comment");
    }
}

#[tokio::test]
async fn a_migrated_database_stays_as_it_is_when_migrated_again() {
    for layout in LAYOUTS {
        let database = TestDatabase::migrated(layout).await;
        let store = database.store().await;
        fill(&store, &tenant()).await;
        let rows = observations(&store, &tenant()).await;
        let schema = migrate::describe(&database.url()).await.unwrap();
        // Each file by hand, as `psql -f` does it, the first one with the other layout chosen.
        let other = if layout == Layout::Flat { "hash16" } else { "flat" };
        database.execute(&format!("SET provex.layout = '{other}'; {BASE}")).await;
        for later in [LINKAGE, LEDGER_EVENTS, LEDGER_ATTESTATIONS, LEDGER_ANCHORS] {
            database.execute(later).await;
        }
        assert_eq!(migrate::migrate(&database.url(), Some(layout), at(1)).await.unwrap().steps, []);
        assert_eq!(migrate::describe(&database.url()).await.unwrap(), schema);
        assert_eq!(observations(&store, &tenant()).await, rows);
        assert_eq!(database.integer("SELECT count(*) FROM control.migrations").await, 5);
    }
}

#[tokio::test]
async fn the_layout_is_chosen_once() {
    let database = TestDatabase::migrated(Layout::Flat).await;
    for refused in [
        migrate::migrate(&database.url(), Some(Layout::Hash16), at(1)).await,
        migrate::plan(&database.url(), Some(Layout::Hash16)).await,
    ] {
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("its layout is flat"), "{text}");
    }
    assert_eq!(migrate::check(&database.url()).await.unwrap(), Layout::Flat);
}

#[tokio::test]
async fn a_partly_linked_database_of_an_older_release_upgrades_without_loss() {
    for layout in LAYOUTS {
        let database = of_base_schema(layout).await;
        // An older release had a part of the columns, a plain collation, and linked a row with them.
        database
            .execute(
                "ALTER TABLE vex.observations ADD COLUMN rekor_uuid text, ADD COLUMN rekor_log_index bigint;
                CREATE INDEX observations_rekor_uuid_idx ON vex.observations (tenant_id, rekor_uuid);
                UPDATE vex.observations SET rekor_uuid = repeat('d', 64), rekor_log_index = 5",
            )
            .await;
        migrate::migrate(&database.url(), None, at(5)).await.unwrap();
        migrate::check(&database.url()).await.unwrap();
        let kept =
            "SELECT count(*) FROM vex.observations WHERE rekor_uuid = repeat('d', 64) AND rekor_log_index = 5
            AND rekor_log_id IS NULL";
        assert_eq!(database.integer(kept).await, 1);
        // It counts as linked, is read with what it has, is found by it, and is not pending; and it stays as it is.
        let store = database.store().await;
        let counts = store.counts(&tenant()).await.unwrap();
        assert_eq!((counts.observations, counts.linked, counts.oldest_pending), (1, 1, None));
        let rekor_uuid = Digest::from_bytes([0xdd; 32]);
        let older = OlderLinkage { rekor_uuid, log_id: None, log_index: Some(5) };
        let by_uuid = ObservationFilter { rekor_uuid: Some(rekor_uuid), ..Default::default() };
        for filter in [ObservationFilter::default(), by_uuid] {
            let rows = store.observations(&tenant(), &filter, None, 9).await.unwrap();
            assert_eq!(rows.len(), 1, "{filter:?}");
            assert_eq!((&rows[0].linkage, &rows[0].older_linkage), (&None, &Some(older.clone())));
        }
        let pending = ObservationFilter { pending: true, ..Default::default() };
        assert_eq!(store.observations(&tenant(), &pending, None, 9).await.unwrap(), []);
        let refused =
            database.try_execute("UPDATE vex.observations SET rekor_log_id = repeat('e', 64)").await;
        assert!(refused.unwrap_err().contains("a linkage is set once"));
    }
}

#[tokio::test]
async fn the_linkage_migration_stops_at_another_definition_and_changes_nothing() {
    let differing = [
        (
            "ALTER TABLE vex.observations ADD COLUMN rekor_tree_size text",
            "column `vex.observations.rekor_tree_size`",
        ),
        ("ALTER TABLE vex.observations ADD COLUMN rekor_uuid uuid", "column `vex.observations.rekor_uuid`"),
        (
            "ALTER TABLE vex.observations ADD COLUMN rekor_log_id text COLLATE \"de-x-icu\"",
            "`text COLLATE \"de-x-icu\"`",
        ),
        (
            "ALTER TABLE vexhub.statements ADD COLUMN rekor_uuid text COLLATE \"und-x-icu\"",
            "column `vexhub.statements.rekor_uuid`",
        ),
        (
            "ALTER TABLE vexhub.statements ADD COLUMN rekor_linked_at timestamptz DEFAULT now()",
            "column `vexhub.statements.rekor_linked_at`",
        ),
        (
            "ALTER TABLE attestor.log_entries ADD COLUMN verification_status text NOT NULL DEFAULT 'verified'",
            "column `attestor.log_entries.verification_status`",
        ),
        (
            "CREATE INDEX observations_rekor_uuid_idx ON vex.observations (tenant_id, observation_id)",
            "index `vex.observations_rekor_uuid_idx`",
        ),
        (
            "CREATE INDEX statements_rekor_pending_idx ON vexhub.statements (tenant_id, created_at, statement_id)",
            "index `vexhub.statements_rekor_pending_idx`",
        ),
    ];
    for layout in LAYOUTS {
        let database = of_base_schema(layout).await;
        for (sql, named) in differing {
            database.execute(sql).await;
            let schema = migrate::describe(&database.url()).await.unwrap();
            let refused = migrate::migrate(&database.url(), None, at(5)).await;
            assert!(matches!(&refused, Err(Error::Schema(text)) if text.contains(named)), "{refused:?}");
            let by_hand = database.try_execute(LINKAGE).await.unwrap_err();
            assert!(by_hand.contains(named), "{by_hand}");
            assert_eq!(migrate::describe(&database.url()).await.unwrap(), schema);
        }
        // All of them are named at once.
        let refused = migrate::migrate(&database.url(), None, at(5)).await.unwrap_err().to_string();
        assert!(differing.iter().all(|(_, named)| refused.contains(named)), "{refused}");
        assert_eq!(database.integer("SELECT max(version) FROM control.migrations").await, 1);
        let connected = PostgresStore::connect(&database.url(), Options::default()).await;
        assert!(matches!(connected, Err(Error::NotMigrated { found: 1, needed: 5 })), "{connected:?}");
    }
}

#[tokio::test]
async fn what_a_migrated_database_lacks_is_named_at_every_start() {
    let database = TestDatabase::migrated(Layout::Hash16).await;
    let mut lacking = Vec::new();
    for (sql, named) in [
        ("DROP INDEX vex.observations_document_idx", "index vex.observations_document_idx is missing"),
        (
            "DROP TRIGGER documents_no_delete ON vex.documents",
            "trigger vex.documents.documents_no_delete is missing",
        ),
        ("ALTER TABLE vex.standings DISABLE ROW LEVEL SECURITY", "security vex.standings"),
        (
            "DROP POLICY bundles_tenant_policy ON attestor.bundles",
            "policy attestor.bundles.bundles_tenant_policy",
        ),
        ("GRANT DELETE ON vex.documents TO provex_app", "grant vex.documents"),
        (
            "ALTER TABLE vex.documents RENAME COLUMN source TO origin",
            "column vex.documents.source is missing",
        ),
        (
            "ALTER TABLE attestor.envelopes DROP CONSTRAINT envelopes_set_size_check",
            "envelopes_set_size_check",
        ),
    ] {
        database.execute(sql).await;
        lacking.push(named);
        for refused in [
            PostgresStore::connect(&database.url(), Options::default()).await.map(|_| ()),
            migrate::check(&database.url()).await.map(|_| ()),
            migrate::migrate(&database.url(), None, at(5)).await.map(|_| ()),
        ] {
            let Err(Error::Schema(text)) = &refused else { panic!("{refused:?}") };
            assert!(lacking.iter().all(|named| text.contains(named)), "{text}");
        }
    }
}

/// What opens or changes a guard behind the same name, and the words that name it.
const WEAKENED: [(&str, &str); 19] = [
    ("ALTER TABLE vex.documents DISABLE TRIGGER USER", "disabled vex.documents.documents_no_update"),
    (
        "ALTER TABLE vex.observations_p03 DISABLE TRIGGER USER",
        "disabled vex.observations_p03.observations_no_delete",
    ),
    (
        "CREATE POLICY extra ON vex.observations USING (true)",
        "policy vex.observations.extra is there and opens",
    ),
    (
        "CREATE POLICY extra ON vex.observations_p00 FOR SELECT TO provex_app USING (true)",
        "policy vex.observations_p00.extra is there and opens",
    ),
    (
        "ALTER POLICY standings_tenant_policy ON vex.standings USING (true)",
        "policy vex.standings.standings_tenant_policy is there with another definition",
    ),
    ("ALTER TABLE vex.observations DISABLE ROW LEVEL SECURITY", "security vex.observations is there"),
    ("ALTER TABLE vex.observations_p07 DISABLE ROW LEVEL SECURITY", "security vex.observations_p07 is there"),
    (
        "CREATE OR REPLACE FUNCTION vex.current_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
            AS $$ SELECT 'other' $$",
        "function vex.current_tenant() is there with another definition",
    ),
    (
        "CREATE OR REPLACE FUNCTION vex.refuse_change() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN RETURN NEW; END $$",
        "function vex.refuse_change() is there with another definition",
    ),
    (
        "CREATE OR REPLACE TRIGGER bundles_no_delete AFTER DELETE ON attestor.bundles
            FOR EACH STATEMENT EXECUTE FUNCTION vex.refuse_change('x')",
        "trigger attestor.bundles.bundles_no_delete is there with another definition",
    ),
    (
        "ALTER TABLE vex.observations DROP CONSTRAINT observations_linkage_check,
            ADD CONSTRAINT observations_linkage_check CHECK (true)",
        "constraint vex.observations.observations_linkage_check is there with another definition",
    ),
    ("GRANT SELECT ON vex.observations_p05 TO provex_app", "grant vex.observations_p05 is there and opens"),
    (
        "REVOKE USAGE ON SCHEMA vex, control FROM provex_app",
        "rights SCHEMA control is missing; as their owner: GRANT USAGE ON SCHEMA control TO provex_app",
    ),
    (
        "REVOKE EXECUTE ON FUNCTION vex.enter_tenant(text) FROM provex_app",
        "rights FUNCTION vex.enter_tenant(text) is missing",
    ),
    (
        "GRANT CREATE ON SCHEMA vex TO provex_app, PUBLIC",
        "rights SCHEMA vex is there with another definition: `CREATE, USAGE`",
    ),
    ("ALTER SCHEMA findings OWNER TO provex_app", "owned SCHEMA findings is there and opens"),
    (
        "GRANT CREATE ON SCHEMA vex TO provex_app; ALTER TABLE vex.documents OWNER TO provex_app;
            REVOKE CREATE ON SCHEMA vex FROM provex_app",
        "owned TABLE vex.documents is there and opens",
    ),
    (
        "GRANT CREATE ON SCHEMA vex TO provex_app; ALTER FUNCTION vex.current_tenant() OWNER TO provex_app;
            REVOKE CREATE ON SCHEMA vex FROM provex_app",
        "owned FUNCTION vex.current_tenant() is there and opens",
    ),
    (
        "GRANT UPDATE, DELETE ON vex.documents TO PUBLIC",
        "grant vex.documents is there with another definition",
    ),
];

#[tokio::test]
async fn what_opens_a_guard_is_refused_and_mended_by_the_statements_that_are_named() {
    let database = TestDatabase::migrated(Layout::Hash16).await;
    for (sql, named) in WEAKENED {
        database.execute(sql).await;
        let refused = PostgresStore::connect(&database.url(), Options::default()).await;
        assert!(matches!(refused, Err(Error::Schema(_))), "{sql}: {refused:?}");
        let Err(Error::Schema(text)) = migrate::check(&database.url()).await else { panic!("{sql}") };
        assert!(text.contains(named), "{sql}: {text}");
        // As many as are named at once; then those that are left.
        let mut left = Some(text);
        for _ in 0..3 {
            let Some(text) = left else { break };
            for remedy in text.split("as their owner: ").skip(1) {
                let ends = [
                    "; disabled ",
                    "; policy ",
                    "; security ",
                    "; function ",
                    "; trigger ",
                    "; grant ",
                    "; owned ",
                    "; rights ",
                    "; and ",
                ];
                let end = ends.iter().filter_map(|end| remedy.find(end)).min().unwrap_or(remedy.len());
                database.execute(&remedy[..end]).await;
            }
            left = migrate::check(&database.url()).await.err().map(|error| error.to_string());
        }
        assert_eq!(left, None, "{sql}");
    }
}

#[tokio::test]
async fn what_holds_for_others_or_closes_more_is_left_alone() {
    let database = TestDatabase::migrated(Layout::Hash16).await;
    database
        .execute(
            "CREATE POLICY own ON vex.observations TO CURRENT_USER USING (true);
            CREATE POLICY closing ON vex.observations AS RESTRICTIVE USING (true);
            ALTER TABLE vex.observations VALIDATE CONSTRAINT observations_linkage_check;
            ALTER TABLE vex.documents ENABLE ALWAYS TRIGGER documents_no_delete;
            CREATE TABLE public.notes (note text); GRANT ALL ON public.notes TO provex_app",
        )
        .await;
    migrate::check(&database.url()).await.unwrap();
    database.store().await;
}

#[tokio::test]
async fn a_constraint_made_before_with_another_definition_is_named() {
    for layout in LAYOUTS {
        let database = of_base_schema(layout).await;
        database
            .execute(
                "ALTER TABLE vex.observations ADD COLUMN rekor_uuid text,
                    ADD CONSTRAINT observations_linkage_check CHECK (true)",
            )
            .await;
        let refused = migrate::migrate(&database.url(), None, at(5)).await.unwrap_err().to_string();
        let named = "constraint vex.observations.observations_linkage_check is there with another definition";
        assert!(
            refused.contains(named) && refused.contains("DROP CONSTRAINT observations_linkage_check"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn default_privileges_give_the_application_nothing_more() {
    for layout in LAYOUTS {
        let database = TestDatabase::empty().await;
        // The role is there once any database of the server was migrated.
        TestDatabase::migrated(Layout::Flat).await;
        database.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO provex_app, PUBLIC").await;
        migrate::migrate(&database.url(), Some(layout), at(5)).await.unwrap();
        assert_eq!(migrate::check(&database.url()).await.unwrap(), layout);
        let store = database.store().await;
        fill(&store, &tenant()).await;
        assert_eq!(
            observations(&store, &tenant()).await.iter().filter(|row| row.linkage.is_some()).count(),
            2
        );
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let database = TestDatabase::migrated(Layout::Flat).await;
    database.execute("INSERT INTO control.migrations VALUES (6, 'later', repeat('0', 64))").await;
    for refused in [
        PostgresStore::connect(&database.url(), Options::default()).await.map(|_| ()),
        migrate::migrate(&database.url(), None, at(5)).await.map(|_| ()),
        migrate::plan(&database.url(), None).await.map(|_| ()),
        migrate::check(&database.url()).await.map(|_| ()),
    ] {
        assert!(matches!(refused, Err(Error::NewerSchema { found: 6, known: 5 })), "{refused:?}");
    }
}

#[tokio::test]
async fn what_another_tool_made_is_refused_and_left_alone() {
    for (sql, named) in [
        ("CREATE SCHEMA vex; CREATE TABLE vex.observations (id int)", "`vex.observations`"),
        (
            "CREATE SCHEMA control; CREATE TABLE control.migrations (id int, applied bool)",
            "`control.migrations` is not provex's",
        ),
        (
            "CREATE SCHEMA control; CREATE TABLE control.migrations (version bigint, checksum text);
            INSERT INTO control.migrations VALUES (1, 'x')",
            "migration 1 (base) was applied from another text",
        ),
        (
            "CREATE SCHEMA control; CREATE TABLE control.migrations (version bigint, checksum text);
            INSERT INTO control.migrations VALUES (2, 'x')",
            "migration 1 (base) is missing between others",
        ),
    ] {
        let database = TestDatabase::empty().await;
        database.execute(sql).await;
        let schema = migrate::describe(&database.url()).await.unwrap();
        for refused in [
            PostgresStore::connect(&database.url(), Options::default()).await.map(|_| ()),
            migrate::migrate(&database.url(), None, at(5)).await.map(|_| ()),
        ] {
            assert!(matches!(&refused, Err(Error::Schema(text)) if text.contains(named)), "{refused:?}");
        }
        assert_eq!(migrate::describe(&database.url()).await.unwrap(), schema);
    }
    // Other tables beside ours are nobody's business.
    let database = TestDatabase::empty().await;
    database
        .execute("CREATE TABLE bookmarks (url text); CREATE SCHEMA app; CREATE TABLE app.x (y int)")
        .await;
    migrate::migrate(&database.url(), None, at(5)).await.unwrap();
}

#[tokio::test]
async fn a_database_that_was_never_migrated_says_what_to_do() {
    let database = TestDatabase::empty().await;
    let refused = PostgresStore::connect(&database.url(), Options::default()).await.unwrap_err();
    assert!(matches!(refused, Error::NotMigrated { found: 0, needed: 5 }), "{refused:?}");
    assert!(refused.to_string().contains("provex migrate"), "{refused}");
    let plan = migrate::plan(&database.url(), None).await.unwrap();
    assert_eq!((plan.found, plan.layout, plan.steps.len()), (0, Layout::Hash16, 5));
    assert_eq!(migrate::describe(&database.url()).await.unwrap().len(), 0);
}

#[tokio::test]
async fn two_migrators_at_once_wait_for_each_other() {
    for layout in LAYOUTS {
        let database = TestDatabase::empty().await;
        let url = database.url();
        let migrators = (0..4).map(|_| {
            let url = url.clone();
            tokio::spawn(async move { migrate::migrate(&url, Some(layout), at(5)).await })
        });
        let mut applied = 0;
        for migrator in migrators.collect::<Vec<_>>() {
            applied += migrator.await.unwrap().unwrap().steps.len();
        }
        assert_eq!(applied, 5);
        assert_eq!(migrate::check(&url).await.unwrap(), layout);
        // The server is shared with other tests' databases.
        let locks = "SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
            WHERE l.locktype = 'advisory' AND d.datname = current_database()";
        assert_eq!(database.integer(locks).await, 0);
    }
}

#[tokio::test]
async fn a_table_that_others_hold_is_waited_for_in_turns_and_then_they_are_named() {
    let database = of_base_schema(Layout::Hash16).await;
    let mut holder = database.connect().await;
    let hold = "SET application_name = 'report'; BEGIN; SELECT count(*) FROM vex.observations";
    sqlx::raw_sql(hold).execute(&mut holder).await.unwrap();
    let schema = migrate::describe(&database.url()).await.unwrap();
    let none = std::time::Duration::ZERO;
    let refused = migrate::migrate_within(&database.url(), None, at(5), none).await;
    assert!(matches!(&refused, Err(Error::Held(by)) if by.contains("(report, ")), "{refused:?}");
    assert_eq!(migrate::describe(&database.url()).await.unwrap(), schema);
    let url = database.url();
    let migrating = tokio::spawn(async move { migrate::migrate(&url, None, at(5)).await });
    // It gives up its place again and again, so that who comes after it reads on; once it waits, the holder goes.
    let waiting = "SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
        WHERE NOT l.granted AND l.locktype = 'relation' AND d.datname = current_database()";
    while database.integer(waiting).await == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(database.integer("SELECT count(*) FROM vex.observations").await, 1);
    sqlx::raw_sql("COMMIT").execute(&mut holder).await.unwrap();
    migrating.await.unwrap().unwrap();
    migrate::check(&database.url()).await.unwrap();
}

#[tokio::test]
async fn migrators_of_several_databases_make_the_role_together() {
    let databases = [TestDatabase::empty().await, TestDatabase::empty().await, TestDatabase::empty().await];
    let migrators = databases.each_ref().map(|database| {
        let url = database.url();
        tokio::spawn(async move { migrate::migrate(&url, None, at(5)).await })
    });
    for migrator in migrators {
        migrator.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_migrator_that_is_given_up_anywhere_is_run_again() {
    let database = of_base_schema(Layout::Hash16).await;
    // Dropped after a while, again and again, until one comes through: as a killed process leaves it.
    for millis in [1, 5, 10, 20, 40, 80, 160, 320, 640] {
        let url = database.url();
        let migrating = migrate::migrate(&url, None, at(5));
        let _ = tokio::time::timeout(std::time::Duration::from_millis(millis), migrating).await;
    }
    // And one whose server process is killed while it holds the lock.
    let url = database.url();
    let migrating = tokio::spawn(async move { migrate::migrate(&url, None, at(5)).await });
    database
        .execute(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = '{}' AND application_name = 'provex' AND pid <> pg_backend_pid()",
            database.name()
        ))
        .await;
    let _ = migrating.await.unwrap();
    migrate::migrate(&database.url(), None, at(5)).await.unwrap();
    migrate::check(&database.url()).await.unwrap();
    assert_eq!(observations(&database.store().await, &tenant()).await.len(), 1);
    assert_eq!(database.integer("SELECT count(*) FROM control.migrations").await, 5);
}

/// Takes the ledger out of a database: what a release before it left.
const BEFORE_THE_LEDGER: &str = "
    DROP TABLE findings.ledger_events, findings.ledger_tiles, findings.ledger_merkle_roots,
        findings.ledger_attestations;
    ALTER TABLE control.migrations DISABLE TRIGGER USER;
    DELETE FROM control.migrations WHERE version > 2;
    ALTER TABLE control.migrations ENABLE TRIGGER USER;
    ALTER TABLE findings.ledger_chains DROP COLUMN backfilled_at;
    UPDATE findings.ledger_chains SET sequence_no = 0, event_hash = repeat('0', 64), cycle_hash = repeat('0', 64),
        frontier = ''";

#[tokio::test]
async fn what_an_older_release_recorded_gets_the_events_that_it_would_have_now() {
    for layout in LAYOUTS {
        let database = TestDatabase::migrated(layout).await;
        let told = tell_story(&database.store().await).await;
        database.execute(BEFORE_THE_LEDGER).await;
        migrate::migrate(&database.url(), None, at(5)).await.unwrap();
        let store = database.store().await;
        assert_backfilled(&store, &told).await;
        let events = check_ledger(&store, &tenant()).await;
        // Done, it does nothing.
        migrate::migrate(&database.url(), None, at(6)).await.unwrap();
        assert_eq!(check_ledger(&store, &tenant()).await, events);
    }
}

#[tokio::test]
async fn a_database_without_attestations_gets_them_with_its_events() {
    for layout in LAYOUTS {
        let database = TestDatabase::migrated(layout).await;
        let told = tell_story(&database.store().await).await;
        database.execute(BEFORE_THE_LEDGER).await;
        // The third step, and no other: the tables of the ledger, and nothing in them yet.
        let checksum = Digest::of(LEDGER_EVENTS.as_bytes()).to_hex();
        let applied = "INSERT INTO control.migrations (version, name, checksum) VALUES (3, 'ledger_events'";
        database.execute(&format!("{LEDGER_EVENTS}; {applied}, '{checksum}')")).await;
        let plan = migrate::migrate(&database.url(), None, at(5)).await.unwrap();
        assert_eq!((plan.found, plan.steps), (3, ALL[3..].to_vec()));
        assert_backfilled(&database.store().await, &told).await;
    }
}

#[tokio::test]
async fn a_database_without_the_index_of_anchors_keeps_its_ledger() {
    for layout in LAYOUTS {
        let database = TestDatabase::migrated(layout).await;
        let told = tell_story(&database.store().await).await;
        database
            .execute(
                "DROP INDEX attestor.envelopes_anchors_idx;
                ALTER TABLE control.migrations DISABLE TRIGGER USER;
                DELETE FROM control.migrations WHERE version > 4;
                ALTER TABLE control.migrations ENABLE TRIGGER USER",
            )
            .await;
        let plan = migrate::migrate(&database.url(), None, at(5)).await.unwrap();
        assert_eq!((plan.found, plan.steps), (4, ALL[4..].to_vec()));
        assert_eq!(check_ledger(&database.store().await, &tenant()).await, told);
    }
}

#[tokio::test]
async fn a_backfill_that_is_given_up_anywhere_goes_on() {
    let database = TestDatabase::migrated(Layout::Hash16).await;
    let told = tell_story(&database.store().await).await;
    database.execute(BEFORE_THE_LEDGER).await;
    let mut millis = 1;
    loop {
        let url = database.url();
        let migrating = migrate::migrate(&url, None, at(5));
        match tokio::time::timeout(std::time::Duration::from_millis(millis), migrating).await {
            Ok(migrated) => {
                migrated.unwrap();
                break;
            }
            Err(_) => millis += millis.div_ceil(2),
        };
    }
    assert_backfilled(&database.store().await, &told).await;
}

#[tokio::test]
async fn nothing_is_recorded_before_the_backfill_is_done() {
    let database = TestDatabase::migrated(Layout::Flat).await;
    let store = database.store().await;
    store.add_tenant(&tenant(), id(1), at(0)).await.unwrap();
    database.execute("UPDATE findings.ledger_chains SET backfilled_at = NULL").await;
    let refused = store.record_documents(&tenant(), &by(0), &[document(1, 1)]).await.unwrap_err();
    assert!(matches!(&refused, Error::Backfilling(of) if *of == tenant()), "{refused}");
    assert!(refused.is_transient());
}
