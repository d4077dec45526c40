//! `attestor.submissions`: the leased queue.
//!
//! A lease is proven by its token alone: whoever took an expired lease has replaced the token. A claim is of one tenant,
//! passes over rows that others are taking, and goes on where the last one of this process ended: what is done lies
//! before that, and while an old snapshot is open its dead rows would have to be walked over each time.

use std::collections::BTreeSet;

use provex_core::ids::{DocumentDigest, EnvelopeDigest, LogId, TenantId};
use provex_core::time::Timestamp;
use provex_store::ledger::Append;
use provex_store::{
    Answer, Dropped, Error, Lease, LeaseToken, NewDocument, NewEnvelope, QueuedSubmission, Recording,
    Release, Settle, Stage, Submission, SubmissionSubject,
};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::connection::{Attempt, Claimed, Database};
use crate::failure::{Failure, Result};
use crate::sql::{Stored, Time, limit as sql_limit};
use crate::{ledger_events, log_entries, tenants};

/// A claim: `again` takes what the same token holds already, for an attempt whose COMMIT did not answer.
pub(crate) async fn acquire(
    database: &Database,
    tenant: &TenantId,
    stage: Stage,
    lease: Lease,
    limit: usize,
    again: bool,
) -> Result<Attempt<Vec<Submission>>> {
    let mut tx = database.begin(tenant).await?;
    let after = if again { None } else { database.claimed(tenant, stage) };
    let mut leased = set_lease(&mut tx, tenant, stage, lease, limit, again, after).await?;
    let mut claims = after.map_or(0, |after| after.claims + 1);
    if after.is_some() && leased.len() < limit {
        let rest = limit - leased.len();
        leased.extend(set_lease(&mut tx, tenant, stage, lease, rest, again, None).await?);
        claims = 0;
    }
    if leased.is_empty() && set_ahead_due(&mut tx, tenant, stage, lease).await? > 0 {
        leased = set_lease(&mut tx, tenant, stage, lease, limit, again, None).await?;
    }
    if leased.is_empty() {
        tenants::require(&mut tx, tenant).await?;
    }
    // RETURNING promises no order.
    leased.sort_unstable_by_key(|(available_at, submission)| (*available_at, submission.id));
    let last = leased.last().map(|(at, s)| Claimed { available_at: *at, submission: s.id, claims });
    database.set_claimed(tenant, stage, last.filter(|_| leased.len() == limit));
    tx.commit(leased.into_iter().map(|(_, submission)| submission).collect()).await
}

pub(crate) async fn clear_leases(
    database: &Database,
    tenant: &TenantId,
    now: Timestamp,
) -> Result<Attempt<u64>> {
    let mut tx = database.begin(tenant).await?;
    tenants::require(&mut tx, tenant).await?;
    let cleared = unset_leases(&mut tx, tenant, now).await?;
    for stage in [Stage::Attest, Stage::Submit, Stage::Link] {
        database.set_claimed(tenant, stage, None);
    }
    tx.commit(cleared).await
}

pub(crate) async fn record_answers(
    database: &Database,
    tenant: &TenantId,
    token: LeaseToken,
    answers: &[Answer],
) -> Result<Attempt<()>> {
    let mut tx = database.begin(tenant).await?;
    tenants::require(&mut tx, tenant).await?;
    held(set_answers(&mut tx, tenant, token, answers).await?, answers.len())?;
    tx.commit(()).await
}

pub(crate) async fn release(
    database: &Database,
    tenant: &TenantId,
    recording: &Recording,
    token: LeaseToken,
    submission: uuid::Uuid,
    release: &Release,
) -> Result<Attempt<()>> {
    let mut tx = database.begin(tenant).await?;
    // What may say something in the ledger takes the chain row before any other.
    let head = match release {
        Release::Dead { .. } => Some(ledger_events::lock(&mut tx, tenant).await?),
        Release::Retry { .. } | Release::Resubmit { .. } => {
            tenants::require(&mut tx, tenant).await?;
            None
        }
    };
    let released = match release {
        Release::Retry { at, reason } => set_due(&mut tx, tenant, token, submission, *at, reason).await?,
        Release::Resubmit { at, reason } => {
            set_unanswered(&mut tx, tenant, token, submission, *at, reason).await?
        }
        Release::Dead { reason } => {
            let dead = set_dead(&mut tx, tenant, token, submission, reason).await?;
            if let (Some(head), Some(Some(envelope))) = (head, dead) {
                let append = Append::new(head, recording);
                log_entries::refuse(&mut tx, tenant, append, &envelope, reason).await?;
            }
            u64::from(dead.is_some())
        }
    };
    held(released, 1)?;
    tx.commit(()).await
}

pub(crate) async fn explain(
    database: &Database,
    tenant: &TenantId,
    stage: Stage,
    reason: &str,
) -> Result<Attempt<u64>> {
    let mut tx = database.begin(tenant).await?;
    tenants::require(&mut tx, tenant).await?;
    let explained = set_reasons(&mut tx, tenant, stage, reason).await?;
    tx.commit(explained).await
}

pub(crate) async fn queued(
    database: &Database,
    tenant: &TenantId,
    dead: bool,
    after: Option<uuid::Uuid>,
    limit: usize,
) -> Result<Vec<QueuedSubmission>> {
    let mut tx = database.begin(tenant).await?;
    tenants::require(&mut tx, tenant).await?;
    let queued = select_queued(&mut tx, tenant, dead, after, limit).await?;
    tx.end(queued).await
}

pub(crate) async fn settle_dead(
    database: &Database,
    tenant: &TenantId,
    only: Option<uuid::Uuid>,
    settle: Settle,
) -> Result<Attempt<u64>> {
    let mut tx = database.begin(tenant).await?;
    tenants::require(&mut tx, tenant).await?;
    let settled = match settle {
        Settle::Retry(at) => set_queued(&mut tx, tenant, only, at).await?,
        Settle::Drop => delete_dead(&mut tx, tenant, only).await?,
    };
    tx.commit(settled).await
}

/// Ends submissions that are leased with `token`.
///
/// # Errors
/// [`Error::LostLease`] if one of them is not.
pub(crate) async fn finish(
    connection: &mut PgConnection,
    tenant: &TenantId,
    token: LeaseToken,
    submissions: &[uuid::Uuid],
) -> Result<()> {
    if submissions.is_empty() {
        return Ok(());
    }
    let distinct = submissions.iter().collect::<BTreeSet<_>>().len();
    let ended = delete_leased(connection, tenant, token, submissions).await?;
    // One that is named twice is ended once, and the second time it is not held.
    held(ended, distinct).and_then(|()| held(distinct as u64, submissions.len()))
}

/// As many rows as were asked for say that the leases were held, fewer that they were not.
fn held(rows: u64, asked: usize) -> Result<()> {
    if rows == asked as u64 { Ok(()) } else { Err(Failure::Refused(Error::LostLease)) }
}

/// Queues new documents for attestation.
pub(crate) async fn dropped(database: &Database, tenant: &TenantId, limit: usize) -> Result<Vec<Dropped>> {
    let mut tx = database.begin(tenant).await?;
    tenants::require(&mut tx, tenant).await?;
    let dropped = select_dropped(&mut tx, tenant, limit).await?;
    tx.end(dropped).await
}

pub(crate) async fn queue_dropped(
    database: &Database,
    tenant: &TenantId,
    now: Timestamp,
    dropped: &[(uuid::Uuid, Dropped)],
) -> Result<Attempt<u64>> {
    let mut tx = database.begin(tenant).await?;
    tenants::require(&mut tx, tenant).await?;
    let queued = insert_dropped(&mut tx, tenant, now, dropped).await?;
    tx.commit(queued).await
}

async fn select_dropped(
    connection: &mut PgConnection,
    tenant: &TenantId,
    limit: usize,
) -> Result<Vec<Dropped>> {
    let rows = sqlx::query(
        "-- select_dropped
        SELECT 'document' AS kind, d.document_digest AS digest FROM vex.documents AS d
        WHERE d.tenant_id = $1
            AND NOT EXISTS (SELECT FROM attestor.submissions AS s
                WHERE s.tenant_id = $1 AND s.document_digest = d.document_digest)
            AND NOT EXISTS (SELECT FROM attestor.envelope_members AS m
                WHERE m.tenant_id = $1 AND m.kind = 'document' AND m.member = d.document_digest)
        UNION ALL
        SELECT 'envelope', e.dsse_digest FROM attestor.envelopes AS e
        WHERE e.tenant_id = $1
            AND NOT EXISTS (SELECT FROM attestor.submissions AS s
                WHERE s.tenant_id = $1 AND s.dsse_digest = e.dsse_digest)
            AND NOT EXISTS (SELECT FROM attestor.log_entries AS l
                WHERE l.tenant_id = $1 AND l.dsse_digest = e.dsse_digest AND l.verification_status = 'verified')
        ORDER BY kind, digest LIMIT $2",
    )
    .bind(tenant.as_str())
    .bind(sql_limit(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(read_dropped).collect()
}

fn read_dropped(row: &PgRow) -> Result<Dropped> {
    let row = Stored::new(row, "attestor.submissions", &["digest"]);
    let digest = row.digest("digest")?;
    Ok(match row.get("kind")? {
        "document" => Dropped::Document(DocumentDigest::new(digest)),
        _ => Dropped::Envelope(EnvelopeDigest::new(digest)),
    })
}

async fn insert_dropped(
    connection: &mut PgConnection,
    tenant: &TenantId,
    now: Timestamp,
    dropped: &[(uuid::Uuid, Dropped)],
) -> Result<u64> {
    let subject = |dropped: &Dropped| match dropped {
        Dropped::Document(digest) => (Stage::Attest.label(), Some(digest.to_text()), None),
        Dropped::Envelope(digest) => (Stage::Submit.label(), None, Some(digest.to_text())),
    };
    let mut rows: Vec<_> = dropped.iter().map(|(id, dropped)| (*id, subject(dropped))).collect();
    rows.sort_unstable();
    let done = sqlx::query(
        "-- insert_dropped
        INSERT INTO attestor.submissions
            (tenant_id, submission_id, stage, document_digest, dsse_digest, state, attempts, available_at)
        SELECT $1, u.*, 'queued', 0, $2
        FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[]) AS u
        ON CONFLICT DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(Time(now))
    .bind(rows.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, (stage, ..))| *stage).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, (_, document, _))| document.as_deref()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, (.., envelope))| envelope.as_deref()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

pub(crate) async fn insert_attest(
    connection: &mut PgConnection,
    tenant: &TenantId,
    documents: &[&NewDocument],
) -> Result<()> {
    let mut rows: Vec<_> =
        documents.iter().map(|d| (d.submission, d.facts.digest.to_text(), d.due)).collect();
    rows.sort_unstable();
    sqlx::query(
        "-- insert_attest
        INSERT INTO attestor.submissions
            (tenant_id, submission_id, stage, document_digest, state, attempts, available_at)
        SELECT $1, u.submission_id, 'attest', u.document_digest, 'queued', 0, u.due
        FROM unnest($2::uuid[], $3::text[], $4::timestamptz[]) AS u (submission_id, document_digest, due)
        ON CONFLICT (tenant_id, document_digest) DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(rows.iter().map(|(id, ..)| *id).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, digest, _)| digest.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., due)| Time(*due)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Queues envelopes for submission, unless they are queued already.
pub(crate) async fn insert_submit(
    connection: &mut PgConnection,
    tenant: &TenantId,
    envelopes: &[&NewEnvelope],
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "-- insert_submit
        INSERT INTO attestor.submissions
            (tenant_id, submission_id, stage, dsse_digest, state, attempts, available_at)
        SELECT $1, u.submission_id, 'submit', u.dsse_digest, 'queued', 0, $2
        FROM unnest($3::uuid[], $4::text[]) AS u (submission_id, dsse_digest)
        ON CONFLICT (tenant_id, dsse_digest) DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(Time(now))
    .bind(envelopes.iter().map(|e| e.submission).collect::<Vec<_>>())
    .bind(envelopes.iter().map(|e| e.digest.to_text()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

async fn set_lease(
    connection: &mut PgConnection,
    tenant: &TenantId,
    stage: Stage,
    lease: Lease,
    limit: usize,
    again: bool,
    after: Option<Claimed>,
) -> Result<Vec<(Timestamp, Submission)>> {
    let (available_at, submission) =
        after.map_or((Timestamp::EPOCH, uuid::Uuid::nil()), |after| (after.available_at, after.submission));
    let rows = sqlx::query(
        "-- set_lease
        WITH claimed AS (
            SELECT tenant_id, submission_id FROM attestor.submissions
            WHERE tenant_id = $1 AND stage = $2 AND state = 'queued' AND available_at <= $4
                AND (lease_until IS NULL OR lease_until <= $4 OR ($6 AND lease_token = $3)
                    OR (lease_until > $10 AND lease_token <> $3))
                AND (available_at, submission_id) > ($7, $8)
            ORDER BY available_at, submission_id LIMIT $9 FOR UPDATE SKIP LOCKED)
        UPDATE attestor.submissions AS s SET lease_token = $3, lease_until = $5, attempts = s.attempts + 1
        FROM claimed
        WHERE s.tenant_id = $1 AND s.tenant_id = claimed.tenant_id AND s.submission_id = claimed.submission_id
        RETURNING s.submission_id, s.document_digest, s.dsse_digest, s.log_id, s.entry, s.attempts, s.available_at",
    )
    .bind(tenant.as_str())
    .bind(stage.label())
    .bind(lease.token.0)
    .bind(Time(lease.now))
    .bind(Time(lease.until))
    .bind(again)
    .bind(Time(available_at))
    .bind(submission)
    .bind(sql_limit(limit))
    .bind(Time(lease.latest()))
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| read_submission(row, stage)).collect()
}

/// Makes due what only a clock that was ahead can have queued for later. However much is put off, a few of the latest are
/// looked at.
async fn set_ahead_due(
    connection: &mut PgConnection,
    tenant: &TenantId,
    stage: Stage,
    lease: Lease,
) -> Result<u64> {
    let done = sqlx::query(
        "-- set_ahead_due
        WITH latest AS (
            SELECT submission_id, reason, available_at FROM attestor.submissions
            WHERE tenant_id = $1 AND stage = $2 AND state = 'queued' AND available_at > $3
            ORDER BY available_at DESC, submission_id DESC LIMIT 500)
        UPDATE attestor.submissions AS s SET available_at = $3
        FROM latest
        WHERE s.tenant_id = $1 AND s.submission_id = latest.submission_id AND s.available_at > $3
            AND (latest.reason IS NULL OR latest.available_at > $4)",
    )
    .bind(tenant.as_str())
    .bind(stage.label())
    .bind(Time(lease.now))
    .bind(Time(lease.latest()))
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

async fn unset_leases(connection: &mut PgConnection, tenant: &TenantId, now: Timestamp) -> Result<u64> {
    let done = sqlx::query(
        "-- unset_leases
        UPDATE attestor.submissions
        SET lease_token = NULL, lease_until = NULL, available_at = least(available_at, $2)
        WHERE tenant_id = $1 AND state = 'queued' AND (lease_token IS NOT NULL OR available_at > $2)",
    )
    .bind(tenant.as_str())
    .bind(Time(now))
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

async fn set_answers(
    connection: &mut PgConnection,
    tenant: &TenantId,
    token: LeaseToken,
    answers: &[Answer],
) -> Result<u64> {
    let done = sqlx::query(
        "-- set_answers
        UPDATE attestor.submissions AS s
        SET stage = 'link', log_id = u.log_id, entry = u.entry, lease_token = NULL, lease_until = NULL
        FROM unnest($3::uuid[], $4::text[], $5::bytea[]) AS u (submission_id, log_id, entry)
        WHERE s.tenant_id = $1 AND s.submission_id = u.submission_id AND s.lease_token = $2 AND s.stage = 'submit'",
    )
    .bind(tenant.as_str())
    .bind(token.0)
    .bind(answers.iter().map(|answer| answer.submission).collect::<Vec<_>>())
    .bind(answers.iter().map(|answer| answer.log.to_text()).collect::<Vec<_>>())
    .bind(answers.iter().map(|answer| answer.entry.as_slice()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

async fn set_due(
    connection: &mut PgConnection,
    tenant: &TenantId,
    token: LeaseToken,
    submission: uuid::Uuid,
    at: Timestamp,
    reason: &str,
) -> Result<u64> {
    let done = sqlx::query(
        "-- set_due
        UPDATE attestor.submissions SET available_at = $4, reason = $5, lease_token = NULL, lease_until = NULL
        WHERE tenant_id = $1 AND submission_id = $2 AND lease_token = $3",
    )
    .bind(tenant.as_str())
    .bind(submission)
    .bind(token.0)
    .bind(Time(at))
    .bind(reason)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

async fn set_reasons(
    connection: &mut PgConnection,
    tenant: &TenantId,
    stage: Stage,
    reason: &str,
) -> Result<u64> {
    let done = sqlx::query(
        "-- set_reasons
        UPDATE attestor.submissions SET reason = $3
        WHERE tenant_id = $1 AND stage = $2 AND state = 'queued' AND lease_token IS NULL
            AND reason IS DISTINCT FROM $3",
    )
    .bind(tenant.as_str())
    .bind(stage.label())
    .bind(reason)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

async fn set_unanswered(
    connection: &mut PgConnection,
    tenant: &TenantId,
    token: LeaseToken,
    submission: uuid::Uuid,
    at: Timestamp,
    reason: &str,
) -> Result<u64> {
    let done = sqlx::query(
        "-- set_unanswered
        UPDATE attestor.submissions SET stage = 'submit', log_id = NULL, entry = NULL, available_at = $4,
            reason = $5, lease_token = NULL, lease_until = NULL
        WHERE tenant_id = $1 AND submission_id = $2 AND lease_token = $3 AND stage IN ('submit', 'link')",
    )
    .bind(tenant.as_str())
    .bind(submission)
    .bind(token.0)
    .bind(Time(at))
    .bind(reason)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Gives a submission up: whether it was leased, and with which envelope.
async fn set_dead(
    connection: &mut PgConnection,
    tenant: &TenantId,
    token: LeaseToken,
    submission: uuid::Uuid,
    reason: &str,
) -> Result<Option<Option<EnvelopeDigest>>> {
    let row = sqlx::query(
        "-- set_dead
        UPDATE attestor.submissions SET state = 'dead', reason = $4, lease_token = NULL, lease_until = NULL
        WHERE tenant_id = $1 AND submission_id = $2 AND lease_token = $3 RETURNING submission_id, dsse_digest",
    )
    .bind(tenant.as_str())
    .bind(submission)
    .bind(token.0)
    .bind(reason)
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        let row = Stored::new(&row, "attestor.submissions", &["submission_id"]);
        Ok(row.opt_digest("dsse_digest")?.map(EnvelopeDigest::new))
    })
    .transpose()
}

async fn delete_leased(
    connection: &mut PgConnection,
    tenant: &TenantId,
    token: LeaseToken,
    submissions: &[uuid::Uuid],
) -> Result<u64> {
    let done = sqlx::query(
        "-- delete_leased
        DELETE FROM attestor.submissions
        WHERE tenant_id = $1 AND submission_id = ANY($2) AND lease_token = $3",
    )
    .bind(tenant.as_str())
    .bind(submissions)
    .bind(token.0)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

async fn select_queued(
    connection: &mut PgConnection,
    tenant: &TenantId,
    dead: bool,
    after: Option<uuid::Uuid>,
    limit: usize,
) -> Result<Vec<QueuedSubmission>> {
    let rows = sqlx::query(
        "-- select_queued
        SELECT submission_id, stage, document_digest, dsse_digest, state, reason, attempts, available_at, lease_until
        FROM attestor.submissions
        WHERE tenant_id = $1 AND (NOT $2 OR state = 'dead') AND ($3::uuid IS NULL OR submission_id > $3)
        ORDER BY submission_id LIMIT $4",
    )
    .bind(tenant.as_str())
    .bind(dead)
    .bind(after)
    .bind(sql_limit(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(read_queued).collect()
}

async fn set_queued(
    connection: &mut PgConnection,
    tenant: &TenantId,
    only: Option<uuid::Uuid>,
    at: Timestamp,
) -> Result<u64> {
    let done = sqlx::query(
        "-- set_queued
        UPDATE attestor.submissions SET state = 'queued', available_at = $3
        WHERE tenant_id = $1 AND state = 'dead' AND ($2::uuid IS NULL OR submission_id = $2)",
    )
    .bind(tenant.as_str())
    .bind(only)
    .bind(Time(at))
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

async fn delete_dead(
    connection: &mut PgConnection,
    tenant: &TenantId,
    only: Option<uuid::Uuid>,
) -> Result<u64> {
    let done = sqlx::query(
        "-- delete_dead
        DELETE FROM attestor.submissions
        WHERE tenant_id = $1 AND state = 'dead' AND ($2::uuid IS NULL OR submission_id = $2)",
    )
    .bind(tenant.as_str())
    .bind(only)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

fn read_queued(row: &PgRow) -> Result<QueuedSubmission> {
    let row = Stored::new(row, "attestor.submissions", &["submission_id"]);
    let attempts = u32::try_from(row.get::<i32>("attempts")?);
    Ok(QueuedSubmission {
        id: row.get("submission_id")?,
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

fn read_submission(row: &PgRow, stage: Stage) -> Result<(Timestamp, Submission)> {
    let row = Stored::new(row, "attestor.submissions", &["submission_id"]);
    let subject = match stage {
        Stage::Attest => SubmissionSubject::Document(DocumentDigest::new(row.digest("document_digest")?)),
        Stage::Submit => SubmissionSubject::Envelope(EnvelopeDigest::new(row.digest("dsse_digest")?)),
        Stage::Link => SubmissionSubject::Answer {
            envelope: EnvelopeDigest::new(row.digest("dsse_digest")?),
            log: LogId::new(row.digest("log_id")?),
            entry: row.get("entry")?,
        },
    };
    let attempts: i32 = row.get("attempts")?;
    let attempts = u32::try_from(attempts).map_err(|error| row.corrupt("attempts", error.to_string()))?;
    Ok((row.time("available_at")?, Submission { id: row.get("submission_id")?, subject, attempts }))
}
