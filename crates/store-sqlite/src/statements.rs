//! `vexhub_statements`: published verdicts.

use provex_core::digest::Digest;
use provex_core::ids::TenantId;
use provex_store::ledger::Append;
use provex_store::{NewStatement, Recording, StatementRow};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::connection::Connections;
use crate::failure::Result;
use crate::sql::{Stored, signed};
use crate::{ledger_events, tenants};

pub(crate) async fn record(
    connections: &Connections,
    tenant: &TenantId,
    recording: &Recording,
    statements: &[NewStatement],
) -> Result<()> {
    let mut tx = connections.write().await?;
    let head = ledger_events::lock(&mut tx, tenant).await?;
    let mut append = Append::new(head, recording);
    let created_at = append.next_time()?;
    let mut any = false;
    for statement in statements {
        let before = select_of_subject(&mut tx, tenant, &statement.subject).await?.pop();
        let row = StatementRow {
            statement: statement.clone(),
            revision: before.as_ref().map_or(1, |before| before.revision + 1),
            supersedes: before.map(|before| before.statement.id),
            created_at,
        };
        any |= insert(&mut tx, tenant, &row).await?;
    }
    if !any {
        return tx.rollback().await;
    }
    ledger_events::write(&mut tx, append).await?;
    tx.commit().await
}

pub(crate) async fn of_subject(
    connections: &Connections,
    tenant: &TenantId,
    subject: &Digest,
) -> Result<Vec<StatementRow>> {
    let mut tx = connections.read_snapshot().await?;
    let rows = select_of_subject(&mut tx, tenant, subject).await?;
    if rows.is_empty() {
        tenants::require(&mut tx, tenant).await?;
    }
    Ok(rows)
}

/// Whether it was inserted now.
async fn insert(connection: &mut SqliteConnection, tenant: &TenantId, row: &StatementRow) -> Result<bool> {
    let statement = &row.statement;
    let done = sqlx::query(
        "-- insert
        INSERT INTO vexhub_statements
            (tenant_id, statement_id, subject_digest, revision, verdict_id, trace_digest, body, supersedes, created_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant_id, statement_id) DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(statement.id.to_string())
    .bind(statement.subject.to_hex())
    .bind(signed(row.revision)?)
    .bind(statement.verdict.to_hex())
    .bind(statement.trace.to_hex())
    .bind(statement.body.as_slice())
    .bind(row.supersedes.map(|id| id.to_string()))
    .bind(row.created_at.as_unix_micros())
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn select_of_subject(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    subject: &Digest,
) -> Result<Vec<StatementRow>> {
    let rows = sqlx::query(
        "-- select_of_subject
        SELECT statement_id, subject_digest, revision, verdict_id, trace_digest, body, supersedes, created_at
        FROM vexhub_statements WHERE tenant_id = ? AND subject_digest = ? ORDER BY revision",
    )
    .bind(tenant.as_str())
    .bind(subject.to_hex())
    .fetch_all(connection)
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> Result<StatementRow> {
    let row = Stored::new(row, "vexhub_statements", &["statement_id"]);
    let supersedes: Option<&str> = row.get("supersedes")?;
    let supersedes = supersedes.map(str::parse).transpose();
    Ok(StatementRow {
        statement: NewStatement {
            id: row.parse("statement_id")?,
            subject: row.digest("subject_digest")?,
            verdict: row.digest("verdict_id")?,
            trace: row.digest("trace_digest")?,
            body: row.get("body")?,
        },
        revision: row.unsigned("revision")?,
        supersedes: supersedes.map_err(|error: uuid::Error| row.corrupt("supersedes", error.to_string()))?,
        created_at: row.time("created_at")?,
    })
}
