//! `control_tenants` and the chain row that each tenant has.

use provex_core::ids::TenantId;
use provex_core::time::Timestamp;
use provex_store::Error;
use sqlx::SqliteConnection;

use crate::connection::Connections;
use crate::failure::{Failure, Result};
use crate::sql::Stored;

pub(crate) async fn add(
    connections: &Connections,
    tenant: &TenantId,
    chain: uuid::Uuid,
    now: Timestamp,
) -> Result<()> {
    let mut tx = connections.write().await?;
    insert_tenant(&mut tx, tenant, now).await?;
    insert_chain(&mut tx, tenant, chain, now).await?;
    tx.commit().await
}

pub(crate) async fn list(connections: &Connections) -> Result<Vec<TenantId>> {
    let mut connection = connections.read().await?;
    select_tenants(&mut connection).await
}

/// Refuses a tenant that was never added.
pub(crate) async fn require(connection: &mut SqliteConnection, tenant: &TenantId) -> Result<()> {
    if exists(connection, tenant).await? { Ok(()) } else { Err(unknown(tenant)) }
}

/// `found` as it is, unless there is nothing because the tenant was never added: all else of a tenant refers to its
/// row, so only who finds nothing has to look.
pub(crate) async fn found_or_unknown<T>(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    found: Option<T>,
) -> Result<Option<T>> {
    if found.is_none() {
        require(connection, tenant).await?;
    }
    Ok(found)
}

/// The refusal of a tenant that was never added.
pub(crate) fn unknown(tenant: &TenantId) -> Failure {
    Failure::Refused(Error::UnknownTenant(tenant.clone()))
}

async fn insert_tenant(connection: &mut SqliteConnection, tenant: &TenantId, now: Timestamp) -> Result<()> {
    sqlx::query(
        "-- insert_tenant
        INSERT INTO control_tenants (tenant_id, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(now.as_unix_micros())
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_chain(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    chain: uuid::Uuid,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "-- insert_chain
        INSERT INTO findings_ledger_chains
            (tenant_id, chain_id, sequence_no, event_hash, cycle_hash, frontier, last_at, backfilled_at)
        VALUES (?1, ?2, 0, ?3, ?3, x'', 0, ?4) ON CONFLICT DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(chain.to_string())
    .bind("0".repeat(64))
    .bind(now.as_unix_micros())
    .execute(connection)
    .await?;
    Ok(())
}

async fn exists(connection: &mut SqliteConnection, tenant: &TenantId) -> Result<bool> {
    let exists = sqlx::query_scalar(
        "-- exists
        SELECT EXISTS (SELECT 1 FROM control_tenants WHERE tenant_id = ?)",
    )
    .bind(tenant.as_str())
    .fetch_one(connection)
    .await?;
    Ok(exists)
}

async fn select_tenants(connection: &mut SqliteConnection) -> Result<Vec<TenantId>> {
    let rows = sqlx::query(
        "-- select_tenants
        SELECT tenant_id FROM control_tenants ORDER BY tenant_id",
    )
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Stored::new(row, "control_tenants", &["tenant_id"]).parse("tenant_id")).collect()
}
