//! `control.api_tokens`: who may do what over HTTP.

use provex_core::digest::Digest;
use provex_core::ids::TenantId;
use provex_core::time::Timestamp;
use provex_store::{ApiToken, Scope};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::connection::{Attempt, Database};
use crate::failure::Result;
use crate::sql::{Stored, Time};
use crate::tenants;

pub(crate) async fn add(database: &Database, token: &ApiToken) -> Result<Attempt<()>> {
    let mut tx = database.begin_shared().await?;
    tenants::require_listed(&mut tx, &token.tenant).await?;
    insert_token(&mut tx, token).await?;
    tx.commit(()).await
}

pub(crate) async fn token(database: &Database, digest: &Digest) -> Result<Option<ApiToken>> {
    let mut tx = database.begin_shared().await?;
    let found = select_token(&mut tx, digest).await?;
    tx.end(found).await
}

pub(crate) async fn list(database: &Database, tenant: &TenantId) -> Result<Vec<ApiToken>> {
    let mut tx = database.begin_shared().await?;
    tenants::require_listed(&mut tx, tenant).await?;
    let found = select_tokens(&mut tx, tenant).await?;
    tx.end(found).await
}

pub(crate) async fn revoke(
    database: &Database,
    tenant: &TenantId,
    id: uuid::Uuid,
    now: Timestamp,
) -> Result<Attempt<bool>> {
    let mut tx = database.begin_shared().await?;
    tenants::require_listed(&mut tx, tenant).await?;
    let found = set_revoked_at(&mut tx, tenant, id, now).await?;
    tx.commit(found).await
}

async fn insert_token(connection: &mut PgConnection, token: &ApiToken) -> Result<()> {
    sqlx::query(
        "-- insert_token
        INSERT INTO control.api_tokens
            (token_id, token_digest, tenant_id, scopes, label, created_at, expires_at, revoked_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (token_id) DO NOTHING",
    )
    .bind(token.id)
    .bind(token.digest.to_hex())
    .bind(token.tenant.as_str())
    .bind(Scope::join(&token.scopes))
    .bind(token.label.as_deref())
    .bind(Time(token.created_at))
    .bind(token.expires_at.map(Time))
    .bind(token.revoked_at.map(Time))
    .execute(connection)
    .await?;
    Ok(())
}

async fn select_token(connection: &mut PgConnection, digest: &Digest) -> Result<Option<ApiToken>> {
    let row = sqlx::query(
        "-- select_token
        SELECT token_id, token_digest, tenant_id, scopes, label, created_at, expires_at, revoked_at
        FROM control.api_tokens WHERE token_digest = $1",
    )
    .bind(digest.to_hex())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(read_token).transpose()
}

async fn select_tokens(connection: &mut PgConnection, tenant: &TenantId) -> Result<Vec<ApiToken>> {
    let rows = sqlx::query(
        "-- select_tokens
        SELECT token_id, token_digest, tenant_id, scopes, label, created_at, expires_at, revoked_at
        FROM control.api_tokens WHERE tenant_id = $1 ORDER BY created_at, token_id",
    )
    .bind(tenant.as_str())
    .fetch_all(connection)
    .await?;
    rows.iter().map(read_token).collect()
}

fn read_token(row: &PgRow) -> Result<ApiToken> {
    let row = Stored::new(row, "control.api_tokens", &["token_id"]);
    Ok(ApiToken {
        id: row.get("token_id")?,
        digest: row.digest("token_digest")?,
        tenant: row.parse("tenant_id")?,
        scopes: row.label("scopes", Scope::split)?,
        label: row.get("label")?,
        created_at: row.time("created_at")?,
        expires_at: row.opt_time("expires_at")?,
        revoked_at: row.opt_time("revoked_at")?,
    })
}

async fn set_revoked_at(
    connection: &mut PgConnection,
    tenant: &TenantId,
    id: uuid::Uuid,
    now: Timestamp,
) -> Result<bool> {
    let found = sqlx::query(
        "-- set_revoked_at
        UPDATE control.api_tokens SET revoked_at = coalesce(revoked_at, $3) WHERE tenant_id = $1 AND token_id = $2",
    )
    .bind(tenant.as_str())
    .bind(id)
    .bind(Time(now))
    .execute(connection)
    .await?;
    Ok(found.rows_affected() > 0)
}
