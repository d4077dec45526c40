//! The schema: what migrations make, what they refuse, and what the database itself holds against every program.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use provex_store_postgres::migrate::{self, Layout};
use provex_store_postgres::testing::TestDatabase;

const LAYOUTS: [Layout; 2] = [Layout::Hash16, Layout::Flat];

#[tokio::test]
async fn all_migrations_make_the_recorded_schema() {
    for layout in LAYOUTS {
        let database = TestDatabase::empty().await;
        // A fresh database lacks everything that the recorded schema of a release to be has.
        let made = migrate::migrate(&database.url(), Some(layout), provex_store::testing::at(0)).await;
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
        assert_eq!(made.unwrap().steps, [(1, "base"), (2, "vex_rekor_linkage")]);
    }
}
