//! `control.idempotency_keys`: answers to writes that can be repeated.

use provex_core::ids::TenantId;
use provex_core::time::Timestamp;
use provex_store::IdempotentAnswer;
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::connection::{Attempt, Database};
use crate::failure::Result;
use crate::sql::{Stored, Time};
use crate::tenants;

pub(crate) async fn answer(
    database: &Database,
    tenant: &TenantId,
    key: &str,
    now: Timestamp,
) -> Result<Option<IdempotentAnswer>> {
    let mut tx = database.begin_shared().await?;
    tenants::require_listed(&mut tx, tenant).await?;
    let found = select_answer(&mut tx, tenant, key, now).await?;
    tx.end(found).await
}

pub(crate) async fn record(
    database: &Database,
    tenant: &TenantId,
    now: Timestamp,
    answer: &IdempotentAnswer,
) -> Result<Attempt<()>> {
    let mut tx = database.begin_shared().await?;
    tenants::require_listed(&mut tx, tenant).await?;
    upsert_answer(&mut tx, tenant, now, answer).await?;
    delete_expired(&mut tx, tenant, now).await?;
    tx.commit(()).await
}

async fn select_answer(
    connection: &mut PgConnection,
    tenant: &TenantId,
    key: &str,
    now: Timestamp,
) -> Result<Option<IdempotentAnswer>> {
    let row = sqlx::query(
        "-- select_answer
        SELECT tenant_id, idempotency_key, request_digest, response_status, response_body, expires_at
        FROM control.idempotency_keys WHERE tenant_id = $1 AND idempotency_key = $2 AND expires_at > $3",
    )
    .bind(tenant.as_str())
    .bind(key)
    .bind(Time(now))
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(read_answer).transpose()
}

fn read_answer(row: &PgRow) -> Result<IdempotentAnswer> {
    let row = Stored::new(row, "control.idempotency_keys", &["tenant_id", "idempotency_key"]);
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
    connection: &mut PgConnection,
    tenant: &TenantId,
    now: Timestamp,
    answer: &IdempotentAnswer,
) -> Result<()> {
    sqlx::query(
        "-- upsert_answer
        INSERT INTO control.idempotency_keys AS kept
            (tenant_id, idempotency_key, request_digest, response_status, response_body, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (tenant_id, idempotency_key) DO UPDATE SET
            request_digest = excluded.request_digest, response_status = excluded.response_status,
            response_body = excluded.response_body, expires_at = excluded.expires_at
        WHERE kept.expires_at <= $7",
    )
    .bind(tenant.as_str())
    .bind(answer.key.as_str())
    .bind(answer.request.to_hex())
    .bind(i32::from(answer.status))
    .bind(answer.body.as_slice())
    .bind(Time(answer.expires_at))
    .bind(Time(now))
    .execute(connection)
    .await?;
    Ok(())
}

async fn delete_expired(connection: &mut PgConnection, tenant: &TenantId, now: Timestamp) -> Result<()> {
    sqlx::query(
        "-- delete_expired
        DELETE FROM control.idempotency_keys WHERE tenant_id = $1 AND expires_at <= $2",
    )
    .bind(tenant.as_str())
    .bind(Time(now))
    .execute(connection)
    .await?;
    Ok(())
}
