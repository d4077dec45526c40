//! `control.tenants`, and the chain row that each tenant has in `findings.ledger_chains`.

use provex_core::ids::TenantId;
use provex_core::time::Timestamp;
use provex_store::Error;
use sqlx::PgConnection;

use crate::connection::{Database, repeated};
use crate::failure::{Failure, Result};
use crate::sql::{Stored, Time};

/// Two transactions: what tenants share is never written in a tenant's own. A tenant without its chain row is none yet;
/// adding it again completes it.
pub(crate) async fn add(
    database: &Database,
    tenant: &TenantId,
    chain: uuid::Uuid,
    now: Timestamp,
) -> Result<()> {
    let listed = async |_| {
        let mut tx = database.begin_shared().await?;
        insert_tenant(&mut tx, tenant, now).await?;
        tx.commit(()).await
    };
    database.attempt(repeated, listed).await?;
    let chained = async |_| {
        let mut tx = database.begin(tenant).await?;
        insert_chain(&mut tx, tenant, chain, now).await?;
        tx.commit(()).await
    };
    database.attempt(repeated, chained).await
}

pub(crate) async fn list(database: &Database) -> Result<Vec<TenantId>> {
    let mut tx = database.begin_shared().await?;
    let tenants = select_tenants(&mut tx).await?;
    tx.end(tenants).await
}

/// Refuses a tenant that was never added.
pub(crate) async fn require(connection: &mut PgConnection, tenant: &TenantId) -> Result<()> {
    if exists(connection, tenant).await? { Ok(()) } else { Err(unknown(tenant)) }
}

/// As [`require`], in a transaction of no tenant: a chain row is seen by its own tenant only.
pub(crate) async fn require_listed(connection: &mut PgConnection, tenant: &TenantId) -> Result<()> {
    if is_listed(connection, tenant).await? { Ok(()) } else { Err(unknown(tenant)) }
}

/// `found` as it is, unless there is nothing because the tenant was never added: all else of a tenant refers to its
/// chain row, so only who finds nothing has to look.
pub(crate) async fn found_or_unknown<T>(
    connection: &mut PgConnection,
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

async fn insert_tenant(connection: &mut PgConnection, tenant: &TenantId, now: Timestamp) -> Result<()> {
    sqlx::query(
        "-- insert_tenant
        INSERT INTO control.tenants (tenant_id, created_at) VALUES ($1, $2) ON CONFLICT (tenant_id) DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(Time(now))
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_chain(
    connection: &mut PgConnection,
    tenant: &TenantId,
    chain: uuid::Uuid,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "-- insert_chain
        INSERT INTO findings.ledger_chains
            (tenant_id, chain_id, sequence_no, event_hash, cycle_hash, frontier, last_at, backfilled_at)
        VALUES ($1, $2, 0, $3, $3, '', $4, $5) ON CONFLICT (tenant_id) DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(chain)
    .bind("0".repeat(64))
    .bind(Time(Timestamp::EPOCH))
    .bind(Time(now))
    .execute(connection)
    .await?;
    Ok(())
}

async fn exists(connection: &mut PgConnection, tenant: &TenantId) -> Result<bool> {
    let exists = sqlx::query_scalar(
        "-- exists
        SELECT EXISTS (SELECT FROM findings.ledger_chains WHERE tenant_id = $1)",
    )
    .bind(tenant.as_str())
    .fetch_one(connection)
    .await?;
    Ok(exists)
}

async fn is_listed(connection: &mut PgConnection, tenant: &TenantId) -> Result<bool> {
    let listed = sqlx::query_scalar(
        "-- is_listed
        SELECT EXISTS (SELECT FROM control.tenants WHERE tenant_id = $1)",
    )
    .bind(tenant.as_str())
    .fetch_one(connection)
    .await?;
    Ok(listed)
}

pub(crate) async fn select_tenants(connection: &mut PgConnection) -> Result<Vec<TenantId>> {
    let rows = sqlx::query(
        "-- select_tenants
        SELECT tenant_id FROM control.tenants ORDER BY tenant_id",
    )
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Stored::new(row, "control.tenants", &["tenant_id"]).parse("tenant_id")).collect()
}
