//! `control_idempotency_keys`: answers to writes that can be repeated.

use provex_core::ids::TenantId;
use provex_core::time::Timestamp;
use provex_store::IdempotentAnswer;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::connection::Connections;
use crate::failure::Result;
use crate::sql::Stored;
use crate::tenants;

pub(crate) async fn answer(
    connections: &Connections,
    tenant: &TenantId,
    key: &str,
    now: Timestamp,
) -> Result<Option<IdempotentAnswer>> {
    let mut connection = connections.read().await?;
    let found = select_answer(&mut connection, tenant, key, now).await?;
    tenants::found_or_unknown(&mut connection, tenant, found).await
}

pub(crate) async fn record(
    connections: &Connections,
    tenant: &TenantId,
    now: Timestamp,
    answer: &IdempotentAnswer,
) -> Result<()> {
    let mut tx = connections.write().await?;
    tenants::require(&mut tx, tenant).await?;
    upsert_answer(&mut tx, tenant, now, answer).await?;
    delete_expired(&mut tx, tenant, now).await?;
    tx.commit().await
}

async fn select_answer(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    key: &str,
    now: Timestamp,
) -> Result<Option<IdempotentAnswer>> {
    let row = sqlx::query(
        "-- select_answer
        SELECT tenant_id, idempotency_key, request_digest, response_status, response_body, expires_at
        FROM control_idempotency_keys WHERE tenant_id = ? AND idempotency_key = ? AND expires_at > ?",
    )
    .bind(tenant.as_str())
    .bind(key)
    .bind(now.as_unix_micros())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(read_answer).transpose()
}

fn read_answer(row: &SqliteRow) -> Result<IdempotentAnswer> {
    let row = Stored::new(row, "control_idempotency_keys", &["tenant_id", "idempotency_key"]);
    let status: i32 = row.get("response_status")?;
    Ok(IdempotentAnswer {
        key: row.get("idempotency_key")?,
        request: row.digest("request_digest")?,
        status: u16::try_from(status)
            .map_err(|_| row.corrupt("response_status", format!("{status} is no HTTP status")))?,
        body: row.get("response_body")?,
        expires_at: row.time("expires_at")?,
    })
}

async fn upsert_answer(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    now: Timestamp,
    answer: &IdempotentAnswer,
) -> Result<()> {
    sqlx::query(
        "-- upsert_answer
        INSERT INTO control_idempotency_keys AS kept
            (tenant_id, idempotency_key, request_digest, response_status, response_body, expires_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (tenant_id, idempotency_key) DO UPDATE SET
            request_digest = excluded.request_digest, response_status = excluded.response_status,
            response_body = excluded.response_body, expires_at = excluded.expires_at
        WHERE kept.expires_at <= ?7",
    )
    .bind(tenant.as_str())
    .bind(answer.key.as_str())
    .bind(answer.request.to_hex())
    .bind(i32::from(answer.status))
    .bind(answer.body.as_slice())
    .bind(answer.expires_at.as_unix_micros())
    .bind(now.as_unix_micros())
    .execute(connection)
    .await?;
    Ok(())
}

async fn delete_expired(connection: &mut SqliteConnection, tenant: &TenantId, now: Timestamp) -> Result<()> {
    sqlx::query(
        "-- delete_expired
        DELETE FROM control_idempotency_keys WHERE tenant_id = ? AND expires_at <= ?",
    )
    .bind(tenant.as_str())
    .bind(now.as_unix_micros())
    .execute(connection)
    .await?;
    Ok(())
}
