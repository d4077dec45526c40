//! `control_api_tokens`: who may do what over HTTP.

use provex_core::digest::Digest;
use provex_core::ids::TenantId;
use provex_core::time::Timestamp;
use provex_store::{ApiToken, Scope};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::connection::Connections;
use crate::failure::Result;
use crate::sql::Stored;
use crate::tenants;

pub(crate) async fn add(connections: &Connections, token: &ApiToken) -> Result<()> {
    let mut tx = connections.write().await?;
    tenants::require(&mut tx, &token.tenant).await?;
    insert_token(&mut tx, token).await?;
    tx.commit().await
}

pub(crate) async fn token(connections: &Connections, digest: &Digest) -> Result<Option<ApiToken>> {
    let mut connection = connections.read().await?;
    select_token(&mut connection, digest).await
}

pub(crate) async fn list(connections: &Connections, tenant: &TenantId) -> Result<Vec<ApiToken>> {
    let mut connection = connections.read().await?;
    tenants::require(&mut connection, tenant).await?;
    select_tokens(&mut connection, tenant).await
}

pub(crate) async fn revoke(
    connections: &Connections,
    tenant: &TenantId,
    id: uuid::Uuid,
    now: Timestamp,
) -> Result<bool> {
    let mut tx = connections.write().await?;
    tenants::require(&mut tx, tenant).await?;
    let found = set_revoked_at(&mut tx, tenant, id, now).await?;
    tx.commit().await?;
    Ok(found)
}

async fn insert_token(connection: &mut SqliteConnection, token: &ApiToken) -> Result<()> {
    sqlx::query(
        "-- insert_token
        INSERT INTO control_api_tokens
            (token_id, token_digest, tenant_id, scopes, label, created_at, expires_at, revoked_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(token.id.to_string())
    .bind(token.digest.to_hex())
    .bind(token.tenant.as_str())
    .bind(Scope::join(&token.scopes))
    .bind(token.label.as_deref())
    .bind(token.created_at.as_unix_micros())
    .bind(token.expires_at.map(Timestamp::as_unix_micros))
    .bind(token.revoked_at.map(Timestamp::as_unix_micros))
    .execute(connection)
    .await?;
    Ok(())
}

async fn select_token(connection: &mut SqliteConnection, digest: &Digest) -> Result<Option<ApiToken>> {
    let row = sqlx::query(
        "-- select_token
        SELECT token_id, token_digest, tenant_id, scopes, label, created_at, expires_at, revoked_at
        FROM control_api_tokens WHERE token_digest = ?",
    )
    .bind(digest.to_hex())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(read_token).transpose()
}

async fn select_tokens(connection: &mut SqliteConnection, tenant: &TenantId) -> Result<Vec<ApiToken>> {
    let rows = sqlx::query(
        "-- select_tokens
        SELECT token_id, token_digest, tenant_id, scopes, label, created_at, expires_at, revoked_at
        FROM control_api_tokens WHERE tenant_id = ? ORDER BY created_at, token_id",
    )
    .bind(tenant.as_str())
    .fetch_all(connection)
    .await?;
    rows.iter().map(read_token).collect()
}

fn read_token(row: &SqliteRow) -> Result<ApiToken> {
    let row = Stored::new(row, "control_api_tokens", &["token_id"]);
    Ok(ApiToken {
        id: row.parse("token_id")?,
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
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    id: uuid::Uuid,
    now: Timestamp,
) -> Result<bool> {
    let found = sqlx::query(
        "-- set_revoked_at
        UPDATE control_api_tokens SET revoked_at = coalesce(revoked_at, ?3) WHERE tenant_id = ?1 AND token_id = ?2",
    )
    .bind(tenant.as_str())
    .bind(id.to_string())
    .bind(now.as_unix_micros())
    .execute(connection)
    .await?;
    Ok(found.rows_affected() > 0)
}
