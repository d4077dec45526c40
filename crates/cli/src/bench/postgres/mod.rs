//! PostgreSQL: recording against COPY, the pending queue beside linked rows, what row-level security costs, and the
//! ledger against bare statements.
//!
//! On the server that `PROVEX_TEST_DATABASE_URL` names, in databases that are dropped again.

mod append;
mod ledger;
mod pending;
mod recording;
mod row_security;

use provex_core::ids::TenantId;
use provex_pipeline::environment::Environment as _;
use provex_store::Store as _;
use provex_store_postgres::migrate::Layout;
use provex_store_postgres::testing::TestDatabase;
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::runtime::Handle;
use uuid::Uuid;

use super::Bench;
use super::report::Report;
use crate::environment::System;

pub(super) fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    if std::env::var_os("PROVEX_TEST_DATABASE_URL").is_none() {
        report
            .skip("PostgreSQL", "PROVEX_TEST_DATABASE_URL names no server: scripts/with-postgres starts one");
        return Ok(());
    }
    recording::run(bench, report)?;
    pending::run(bench, report)?;
    row_security::run(bench, report)?;
    append::run(bench, report)?;
    ledger::run(bench, report)
}

/// The chain of the tenant, the same in every database: rows of one can be copied into another.
const CHAIN: Uuid = Uuid::from_u128(0x1ed6e2);

/// A database with its tables and the tenant.
async fn migrated() -> anyhow::Result<TestDatabase> {
    let database = TestDatabase::migrated(Layout::Hash16).await;
    let store = database.store().await;
    store.add_tenant(&TenantId::default_tenant(), CHAIN, System.now()).await?;
    store.close().await;
    Ok(database)
}

/// A database with so many linked observations, and after them so many that wait.
fn observations(linked: usize, waiting: usize) -> anyhow::Result<TestDatabase> {
    Handle::current().block_on(async {
        let database = migrated().await?;
        let document =
            "INSERT INTO vex.documents (tenant_id, document_digest, format, source, authentication,
                observation_count, created_at)
            VALUES ('default', repeat('1', 64), 'csaf', 'x', 'none', 1, 'epoch')";
        database.execute(document).await;
        let mut connection = database.connect().await;
        fill(&mut connection, 0, linked, true).await?;
        fill(&mut connection, linked, linked + waiting, false).await?;
        sqlx::raw_sql("VACUUM ANALYZE vex.observations").execute(&mut connection).await?;
        Ok(database)
    })
}

/// Observations of one document from number `from` on, linked or not, each a second after the one before.
async fn fill(connection: &mut PgConnection, from: usize, to: usize, linked: bool) -> anyhow::Result<()> {
    let digest = |text: &str| format!("encode(sha256(convert_to({text}, 'UTF8')), 'hex')");
    let linkage = "rekor_uuid, rekor_log_id, rekor_log_index, rekor_log_url, rekor_tree_size, rekor_tree_root,
        rekor_entry_kind, rekor_entry_version, rekor_entry_body_hash, rekor_inclusion_proof, rekor_envelope_digest,
        rekor_set_index, rekor_set_path, rekor_linked_at";
    let values =
        "repeat('a', 64), repeat('b', 64), n, 'https://log', n, repeat('c', 64), 'hashedrekord', '0.0.2',
        repeat('d', 64), '{}', repeat('e', 64), 0, '', 'epoch'";
    let (columns, values) =
        if linked { (format!(", {linkage}"), format!(", {values}")) } else { Default::default() };
    let id = digest("'o' || n");
    let sql = format!(
        "INSERT INTO vex.observations (tenant_id, observation_id, document_digest, claim_digest, body, status,
            vulnerability_id, product_key, created_at{columns})
        SELECT 'default', {id}, repeat('1', 64), {id}, convert_to(repeat('x', 600), 'UTF8'), 'fixed', 'CVE-' || n,
            'pkg:generic/p' || n, timestamptz '2026-01-01T00:00:00Z' + n * interval '1 second'{values}
        FROM generate_series({from}, {to} - 1) AS n"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}
