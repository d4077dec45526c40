//! `vexhub.statements`: published verdicts.

use std::collections::BTreeMap;

use provex_core::digest::Digest;
use provex_core::ids::TenantId;
use provex_core::time::Timestamp;
use provex_store::ledger::Append;
use provex_store::{NewStatement, Recording, StatementRow};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::connection::{Attempt, Database};
use crate::failure::Result;
use crate::sql::{Stored, Time, signed};
use crate::{ledger_events, tenants};

pub(crate) async fn record(
    database: &Database,
    tenant: &TenantId,
    recording: &Recording,
    statements: &[NewStatement],
) -> Result<Attempt<()>> {
    let mut tx = database.begin(tenant).await?;
    let head = ledger_events::lock(&mut tx, tenant).await?;
    let known = select_known(&mut tx, tenant, statements).await?;
    let mut newest = select_newest(&mut tx, tenant, statements).await?;
    let mut append = Append::new(head, recording);
    let created_at = append.next_time()?;
    let mut rows = Vec::with_capacity(statements.len());
    for statement in statements.iter().filter(|statement| !known.contains(&statement.id)) {
        let before = newest.get(&statement.subject).copied();
        let revision = before.map_or(1, |(revision, _)| revision + 1);
        newest.insert(statement.subject, (revision, statement.id));
        let (statement, supersedes) = (statement.clone(), before.map(|(_, id)| id));
        rows.push(StatementRow { statement, revision, supersedes, created_at });
    }
    if rows.is_empty() {
        return tx.end(Attempt::Done(())).await;
    }
    rows.sort_by_key(|row| row.statement.id);
    insert(&mut tx, tenant, &rows, created_at).await?;
    ledger_events::write(&mut tx, append).await?;
    tx.commit(()).await
}

pub(crate) async fn of_subject(
    database: &Database,
    tenant: &TenantId,
    subject: &Digest,
) -> Result<Vec<StatementRow>> {
    let mut tx = database.begin(tenant).await?;
    let rows = select_of_subject(&mut tx, tenant, subject).await?;
    if rows.is_empty() {
        tenants::require(&mut tx, tenant).await?;
    }
    tx.end(rows).await
}

async fn select_known(
    connection: &mut PgConnection,
    tenant: &TenantId,
    statements: &[NewStatement],
) -> Result<Vec<Uuid>> {
    let known = sqlx::query_scalar(
        "-- select_known
        SELECT statement_id FROM vexhub.statements WHERE tenant_id = $1 AND statement_id = ANY($2)",
    )
    .bind(tenant.as_str())
    .bind(statements.iter().map(|statement| statement.id).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    Ok(known)
}

/// The newest revision of each subject, and its statement.
async fn select_newest(
    connection: &mut PgConnection,
    tenant: &TenantId,
    statements: &[NewStatement],
) -> Result<BTreeMap<Digest, (u64, Uuid)>> {
    let rows = sqlx::query(
        "-- select_newest
        SELECT DISTINCT ON (subject_digest) subject_digest, revision, statement_id FROM vexhub.statements
        WHERE tenant_id = $1 AND subject_digest = ANY($2) ORDER BY subject_digest, revision DESC",
    )
    .bind(tenant.as_str())
    .bind(statements.iter().map(|statement| statement.subject.to_hex()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let read = |row| {
        let row = stored(row);
        Ok((row.digest("subject_digest")?, (row.unsigned("revision")?, row.get("statement_id")?)))
    };
    rows.iter().map(read).collect()
}

async fn insert(
    connection: &mut PgConnection,
    tenant: &TenantId,
    rows: &[StatementRow],
    created_at: Timestamp,
) -> Result<()> {
    let statements = || rows.iter().map(|row| &row.statement);
    sqlx::query(
        "-- insert
        INSERT INTO vexhub.statements
            (tenant_id, statement_id, subject_digest, revision, verdict_id, trace_digest, body, supersedes, created_at)
        SELECT $1, u.*, $2
        FROM unnest($3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::bytea[], $9::uuid[]) AS u
        ON CONFLICT (tenant_id, statement_id) DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(Time(created_at))
    .bind(statements().map(|s| s.id).collect::<Vec<_>>())
    .bind(statements().map(|s| s.subject.to_hex()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| signed(row.revision)).collect::<Result<Vec<_>>>()?)
    .bind(statements().map(|s| s.verdict.to_hex()).collect::<Vec<_>>())
    .bind(statements().map(|s| s.trace.to_hex()).collect::<Vec<_>>())
    .bind(statements().map(|s| s.body.as_slice()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.supersedes).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

async fn select_of_subject(
    connection: &mut PgConnection,
    tenant: &TenantId,
    subject: &Digest,
) -> Result<Vec<StatementRow>> {
    let rows = sqlx::query(
        "-- select_of_subject
        SELECT statement_id, subject_digest, revision, verdict_id, trace_digest, body, supersedes, created_at
        FROM vexhub.statements WHERE tenant_id = $1 AND subject_digest = $2 ORDER BY revision",
    )
    .bind(tenant.as_str())
    .bind(subject.to_hex())
    .fetch_all(connection)
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &PgRow) -> Result<StatementRow> {
    let row = stored(row);
    Ok(StatementRow {
        statement: NewStatement {
            id: row.get("statement_id")?,
            subject: row.digest("subject_digest")?,
            verdict: row.digest("verdict_id")?,
            trace: row.digest("trace_digest")?,
            body: row.get("body")?,
        },
        revision: row.unsigned("revision")?,
        supersedes: row.get("supersedes")?,
        created_at: row.time("created_at")?,
    })
}

fn stored(row: &PgRow) -> Stored<'_> {
    Stored::new(row, "vexhub.statements", &["statement_id"])
}
