//! `attestor_submissions`: the leased queue.
//!
//! A lease is proven by its token alone: whoever took an expired lease has replaced the token.

use provex_core::ids::{DocumentDigest, EnvelopeDigest, LogId, TenantId};
use provex_core::time::Timestamp;
use provex_store::{
    Answer, Dropped, Error, Lease, LeaseToken, NewDocument, NewEnvelope, QueuedSubmission, Recording,
    Release, Settle, Stage, Submission, SubmissionSubject,
};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::connection::Connections;
use crate::failure::{Failure, Result};
use crate::sql::{Stored, insert_rows, limit as sql_limit};
use crate::{log_entries, tenants};

pub(crate) async fn acquire(
    connections: &Connections,
    tenant: &TenantId,
    stage: Stage,
    lease: Lease,
    limit: usize,
) -> Result<Vec<Submission>> {
    let mut tx = connections.write().await?;
    let mut leased = set_lease(&mut tx, tenant, stage, lease, limit).await?;
    if leased.is_empty() && set_ahead_due(&mut tx, tenant, stage, lease).await? > 0 {
        leased = set_lease(&mut tx, tenant, stage, lease, limit).await?;
    }
    if leased.is_empty() {
        tenants::require(&mut tx, tenant).await?;
    }
    tx.commit().await?;
    Ok(leased)
}

pub(crate) async fn clear_leases(
    connections: &Connections,
    tenant: &TenantId,
    now: Timestamp,
) -> Result<u64> {
    let mut tx = connections.write().await?;
    tenants::require(&mut tx, tenant).await?;
    let cleared = unset_leases(&mut tx, tenant, now).await?;
    tx.commit().await?;
    Ok(cleared)
}

pub(crate) async fn record_answers(
    connections: &Connections,
    tenant: &TenantId,
    token: LeaseToken,
    answers: &[Answer],
) -> Result<()> {
    let mut tx = connections.write().await?;
    tenants::require(&mut tx, tenant).await?;
    for answer in answers {
        held(set_answer(&mut tx, tenant, token, answer).await?)?;
    }
    tx.commit().await
}

pub(crate) async fn release(
    connections: &Connections,
    tenant: &TenantId,
    recording: &Recording,
    token: LeaseToken,
    submission: uuid::Uuid,
    release: &Release,
) -> Result<()> {
    let mut tx = connections.write().await?;
    tenants::require(&mut tx, tenant).await?;
    let released = match release {
        Release::Retry { at, reason } => set_due(&mut tx, tenant, token, submission, *at, reason).await?,
        Release::Resubmit { at, reason } => {
            set_unanswered(&mut tx, tenant, token, submission, *at, reason).await?
        }
        Release::Dead { reason } => {
            let dead = set_dead(&mut tx, tenant, token, submission, reason).await?;
            if let Some(Some(envelope)) = dead {
                log_entries::refuse(&mut tx, tenant, recording, &envelope, reason).await?;
            }
            u64::from(dead.is_some())
        }
    };
    held(released)?;
    tx.commit().await
}

pub(crate) async fn explain(
    connections: &Connections,
    tenant: &TenantId,
    stage: Stage,
    reason: &str,
) -> Result<u64> {
    let mut tx = connections.write().await?;
    tenants::require(&mut tx, tenant).await?;
    let explained = set_reasons(&mut tx, tenant, stage, reason).await?;
    tx.commit().await?;
    Ok(explained)
}

pub(crate) async fn queued(
    connections: &Connections,
    tenant: &TenantId,
    dead: bool,
    after: Option<uuid::Uuid>,
    limit: usize,
) -> Result<Vec<QueuedSubmission>> {
    let mut connection = connections.read().await?;
    tenants::require(&mut connection, tenant).await?;
    select_queued(&mut connection, tenant, dead, after, limit).await
}

pub(crate) async fn settle_dead(
    connections: &Connections,
    tenant: &TenantId,
    only: Option<uuid::Uuid>,
    settle: Settle,
) -> Result<u64> {
    let mut tx = connections.write().await?;
    tenants::require(&mut tx, tenant).await?;
    let settled = match settle {
        Settle::Retry(at) => set_queued(&mut tx, tenant, only, at).await?,
        Settle::Drop => delete_dead(&mut tx, tenant, only).await?,
    };
    tx.commit().await?;
    Ok(settled)
}

/// Ends a submission that is leased with `token`.
///
/// # Errors
/// [`Error::LostLease`].
pub(crate) async fn finish(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    token: LeaseToken,
    submission: uuid::Uuid,
) -> Result<()> {
    held(delete_leased(connection, tenant, token, submission).await?)
}

/// One row says that the lease was held, none that it was not.
fn held(rows: u64) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(Failure::Refused(Error::LostLease)) }
}

/// Queues new documents for attestation.
pub(crate) async fn dropped(
    connections: &Connections,
    tenant: &TenantId,
    limit: usize,
) -> Result<Vec<Dropped>> {
    let mut tx = connections.read_snapshot().await?;
    tenants::require(&mut tx, tenant).await?;
    select_dropped(&mut tx, tenant, limit).await
}

pub(crate) async fn queue_dropped(
    connections: &Connections,
    tenant: &TenantId,
    now: Timestamp,
    dropped: &[(uuid::Uuid, Dropped)],
) -> Result<u64> {
    let mut tx = connections.write().await?;
    tenants::require(&mut tx, tenant).await?;
    let mut queued = 0;
    for (submission, dropped) in dropped {
        queued += insert_dropped(&mut tx, tenant, now, *submission, dropped).await?;
    }
    tx.commit().await?;
    Ok(queued)
}

async fn select_dropped(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    limit: usize,
) -> Result<Vec<Dropped>> {
    let rows = sqlx::query(
        "-- select_dropped
        SELECT 'document' AS kind, d.document_digest AS digest FROM vex_documents AS d
        WHERE d.tenant_id = ?1
            AND NOT EXISTS (SELECT 1 FROM attestor_submissions AS s
                WHERE s.tenant_id = ?1 AND s.document_digest = d.document_digest)
            AND NOT EXISTS (SELECT 1 FROM attestor_envelope_members AS m
                WHERE m.tenant_id = ?1 AND m.kind = 'document' AND m.member = d.document_digest)
        UNION ALL
        SELECT 'envelope', e.dsse_digest FROM attestor_envelopes AS e
        WHERE e.tenant_id = ?1
            AND NOT EXISTS (SELECT 1 FROM attestor_submissions AS s
                WHERE s.tenant_id = ?1 AND s.dsse_digest = e.dsse_digest)
            AND NOT EXISTS (SELECT 1 FROM attestor_log_entries AS l
                WHERE l.tenant_id = ?1 AND l.dsse_digest = e.dsse_digest AND l.verification_status = 'verified')
        ORDER BY kind, digest LIMIT ?2",
    )
    .bind(tenant.as_str())
    .bind(sql_limit(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(read_dropped).collect()
}

fn read_dropped(row: &SqliteRow) -> Result<Dropped> {
    let row = Stored::new(row, "attestor_submissions", &["digest"]);
    let digest = row.digest("digest")?;
    Ok(match row.get("kind")? {
        "document" => Dropped::Document(DocumentDigest::new(digest)),
        _ => Dropped::Envelope(EnvelopeDigest::new(digest)),
    })
}

/// How many rows that made.
async fn insert_dropped(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    now: Timestamp,
    submission: uuid::Uuid,
    dropped: &Dropped,
) -> Result<u64> {
    let (stage, document, envelope) = match dropped {
        Dropped::Document(digest) => (Stage::Attest, Some(digest.to_text()), None),
        Dropped::Envelope(digest) => (Stage::Submit, None, Some(digest.to_text())),
    };
    let done = sqlx::query(
        "-- insert_dropped
        INSERT INTO attestor_submissions
            (tenant_id, submission_id, stage, document_digest, dsse_digest, state, attempts, available_at)
        VALUES (?, ?, ?, ?, ?, 'queued', 0, ?) ON CONFLICT DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(submission.to_string())
    .bind(stage.label())
    .bind(document)
    .bind(envelope)
    .bind(now.as_unix_micros())
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

pub(crate) async fn insert_attest(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    documents: &[&NewDocument],
) -> Result<()> {
    let mut rows: Vec<_> = documents.iter().map(|d| (d.submission, d.facts.digest, d.due)).collect();
    rows.sort_unstable();
    insert_rows(
        connection,
        "-- insert_attest
        INSERT INTO attestor_submissions
            (tenant_id, submission_id, stage, document_digest, state, attempts, available_at)
        VALUES (?, ?, ?, ?, ?, ?, ?)",
        &rows,
        |query, (submission, digest, due)| {
            query
                .bind(tenant.as_str())
                .bind(submission.to_string())
                .bind(Stage::Attest.label())
                .bind(digest.to_text())
                .bind("queued")
                .bind(0_i64)
                .bind(due.as_unix_micros())
        },
    )
    .await
}

/// Queues an envelope for submission, unless it is queued already.
pub(crate) async fn insert_submit(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    envelope: &NewEnvelope,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "-- insert_submit
        INSERT INTO attestor_submissions
            (tenant_id, submission_id, stage, dsse_digest, state, attempts, available_at)
        VALUES (?, ?, 'submit', ?, 'queued', 0, ?) ON CONFLICT (tenant_id, dsse_digest) DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(envelope.submission.to_string())
    .bind(envelope.digest.to_text())
    .bind(now.as_unix_micros())
    .execute(connection)
    .await?;
    Ok(())
}

async fn set_lease(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    stage: Stage,
    lease: Lease,
    limit: usize,
) -> Result<Vec<Submission>> {
    let mut rows = sqlx::query(
        "-- set_lease
        UPDATE attestor_submissions SET lease_token = ?3, lease_until = ?5, attempts = attempts + 1
        WHERE tenant_id = ?1 AND submission_id IN (
            SELECT submission_id FROM attestor_submissions
            WHERE tenant_id = ?1 AND stage = ?2 AND state = 'queued' AND available_at <= ?4
                AND (lease_until IS NULL OR lease_until <= ?4 OR (lease_until > ?7 AND lease_token <> ?3))
            ORDER BY available_at, submission_id LIMIT ?6)
        RETURNING submission_id, stage, document_digest, dsse_digest, log_id, entry, attempts, available_at",
    )
    .bind(tenant.as_str())
    .bind(stage.label())
    .bind(lease.token.0.to_string())
    .bind(lease.now.as_unix_micros())
    .bind(lease.until.as_unix_micros())
    .bind(sql_limit(limit))
    .bind(lease.latest().as_unix_micros())
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| read_submission(row, stage))
    .collect::<Result<Vec<_>>>()?;
    // RETURNING promises no order.
    rows.sort_unstable_by_key(|(available_at, submission)| (*available_at, submission.id));
    Ok(rows.into_iter().map(|(_, submission)| submission).collect())
}

/// Makes due what only a clock that was ahead can have queued for later. However much is put off, a few of the latest are
/// looked at.
async fn set_ahead_due(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    stage: Stage,
    lease: Lease,
) -> Result<u64> {
    let done = sqlx::query(
        "-- set_ahead_due
        UPDATE attestor_submissions SET available_at = ?3
        WHERE tenant_id = ?1 AND submission_id IN (
            SELECT submission_id FROM (
                SELECT submission_id, reason, available_at FROM attestor_submissions
                WHERE tenant_id = ?1 AND stage = ?2 AND state = 'queued' AND available_at > ?3
                ORDER BY available_at DESC, submission_id DESC LIMIT 500)
            WHERE reason IS NULL OR available_at > ?4)",
    )
    .bind(tenant.as_str())
    .bind(stage.label())
    .bind(lease.now.as_unix_micros())
    .bind(lease.latest().as_unix_micros())
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

async fn unset_leases(connection: &mut SqliteConnection, tenant: &TenantId, now: Timestamp) -> Result<u64> {
    let done = sqlx::query(
        "-- unset_leases
        UPDATE attestor_submissions
        SET lease_token = NULL, lease_until = NULL, available_at = min(available_at, ?2)
        WHERE tenant_id = ?1 AND state = 'queued' AND (lease_token IS NOT NULL OR available_at > ?2)",
    )
    .bind(tenant.as_str())
    .bind(now.as_unix_micros())
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

async fn set_answer(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    token: LeaseToken,
    answer: &Answer,
) -> Result<u64> {
    let done = sqlx::query(
        "-- set_answer
        UPDATE attestor_submissions SET stage = 'link', log_id = ?4, entry = ?5, lease_token = NULL, lease_until = NULL
        WHERE tenant_id = ?1 AND submission_id = ?2 AND lease_token = ?3 AND stage = 'submit'",
    )
    .bind(tenant.as_str())
    .bind(answer.submission.to_string())
    .bind(token.0.to_string())
    .bind(answer.log.to_text())
    .bind(answer.entry.as_slice())
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

async fn set_due(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    token: LeaseToken,
    submission: uuid::Uuid,
    at: Timestamp,
    reason: &str,
) -> Result<u64> {
    let done = sqlx::query(
        "-- set_due
        UPDATE attestor_submissions SET available_at = ?4, reason = ?5, lease_token = NULL, lease_until = NULL
        WHERE tenant_id = ?1 AND submission_id = ?2 AND lease_token = ?3",
    )
    .bind(tenant.as_str())
    .bind(submission.to_string())
    .bind(token.0.to_string())
    .bind(at.as_unix_micros())
    .bind(reason)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

async fn set_reasons(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    stage: Stage,
    reason: &str,
) -> Result<u64> {
    let done = sqlx::query(
        "-- set_reasons
        UPDATE attestor_submissions SET reason = ?3
        WHERE tenant_id = ?1 AND stage = ?2 AND state = 'queued' AND lease_token IS NULL AND reason IS NOT ?3",
    )
    .bind(tenant.as_str())
    .bind(stage.label())
    .bind(reason)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

async fn set_unanswered(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    token: LeaseToken,
    submission: uuid::Uuid,
    at: Timestamp,
    reason: &str,
) -> Result<u64> {
    let done = sqlx::query(
        "-- set_unanswered
        UPDATE attestor_submissions SET stage = 'submit', log_id = NULL, entry = NULL, available_at = ?4,
            reason = ?5, lease_token = NULL, lease_until = NULL
        WHERE tenant_id = ?1 AND submission_id = ?2 AND lease_token = ?3 AND stage IN ('submit', 'link')",
    )
    .bind(tenant.as_str())
    .bind(submission.to_string())
    .bind(token.0.to_string())
    .bind(at.as_unix_micros())
    .bind(reason)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Gives a submission up: whether it was leased, and with which envelope.
async fn set_dead(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    token: LeaseToken,
    submission: uuid::Uuid,
    reason: &str,
) -> Result<Option<Option<EnvelopeDigest>>> {
    let row = sqlx::query(
        "-- set_dead
        UPDATE attestor_submissions SET state = 'dead', reason = ?4, lease_token = NULL, lease_until = NULL
        WHERE tenant_id = ?1 AND submission_id = ?2 AND lease_token = ?3 RETURNING submission_id, dsse_digest",
    )
    .bind(tenant.as_str())
    .bind(submission.to_string())
    .bind(token.0.to_string())
    .bind(reason)
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        let row = Stored::new(&row, "attestor_submissions", &["submission_id"]);
        Ok(row.opt_digest("dsse_digest")?.map(EnvelopeDigest::new))
    })
    .transpose()
}

async fn delete_leased(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    token: LeaseToken,
    submission: uuid::Uuid,
) -> Result<u64> {
    let done = sqlx::query(
        "-- delete_leased
        DELETE FROM attestor_submissions WHERE tenant_id = ? AND submission_id = ? AND lease_token = ?",
    )
    .bind(tenant.as_str())
    .bind(submission.to_string())
    .bind(token.0.to_string())
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

async fn select_queued(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    dead: bool,
    after: Option<uuid::Uuid>,
    limit: usize,
) -> Result<Vec<QueuedSubmission>> {
    let rows = sqlx::query(
        "-- select_queued
        SELECT submission_id, stage, document_digest, dsse_digest, state, reason, attempts, available_at, lease_until
        FROM attestor_submissions
        WHERE tenant_id = ?1 AND (NOT ?2 OR state = 'dead') AND (?3 IS NULL OR submission_id > ?3)
        ORDER BY submission_id LIMIT ?4",
    )
    .bind(tenant.as_str())
    .bind(dead)
    .bind(after.map(|id| id.to_string()))
    .bind(sql_limit(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(read_queued).collect()
}

async fn set_queued(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    only: Option<uuid::Uuid>,
    at: Timestamp,
) -> Result<u64> {
    let done = sqlx::query(
        "-- set_queued
        UPDATE attestor_submissions SET state = 'queued', available_at = ?3
        WHERE tenant_id = ?1 AND state = 'dead' AND (?2 IS NULL OR submission_id = ?2)",
    )
    .bind(tenant.as_str())
    .bind(only.map(|id| id.to_string()))
    .bind(at.as_unix_micros())
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

async fn delete_dead(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    only: Option<uuid::Uuid>,
) -> Result<u64> {
    let done = sqlx::query(
        "-- delete_dead
        DELETE FROM attestor_submissions
        WHERE tenant_id = ?1 AND state = 'dead' AND (?2 IS NULL OR submission_id = ?2)",
    )
    .bind(tenant.as_str())
    .bind(only.map(|id| id.to_string()))
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

fn read_queued(row: &SqliteRow) -> Result<QueuedSubmission> {
    let row = Stored::new(row, "attestor_submissions", &["submission_id"]);
    let attempts = u32::try_from(row.unsigned("attempts")?);
    Ok(QueuedSubmission {
        id: row.parse("submission_id")?,
        stage: row.label("stage", Stage::from_label)?,
        document: row.opt_digest("document_digest")?.map(DocumentDigest::new),
        envelope: row.opt_digest("dsse_digest")?.map(EnvelopeDigest::new),
        dead: row.get::<String>("state")? == "dead",
        reason: row.get("reason")?,
        attempts: attempts.map_err(|error| row.corrupt("attempts", error.to_string()))?,
        due: row.time("available_at")?,
        leased_until: row.opt_time("lease_until")?,
    })
}

fn read_submission(row: &SqliteRow, stage: Stage) -> Result<(Timestamp, Submission)> {
    let row = Stored::new(row, "attestor_submissions", &["submission_id"]);
    let subject = match stage {
        Stage::Attest => SubmissionSubject::Document(DocumentDigest::new(row.digest("document_digest")?)),
        Stage::Submit => SubmissionSubject::Envelope(EnvelopeDigest::new(row.digest("dsse_digest")?)),
        Stage::Link => SubmissionSubject::Answer {
            envelope: EnvelopeDigest::new(row.digest("dsse_digest")?),
            log: LogId::new(row.digest("log_id")?),
            entry: row.get("entry")?,
        },
    };
    let attempts = u32::try_from(row.unsigned("attempts")?);
    let submission = Submission {
        id: row.parse("submission_id")?,
        subject,
        attempts: attempts.map_err(|error| row.corrupt("attempts", error.to_string()))?,
    };
    Ok((row.time("available_at")?, submission))
}
