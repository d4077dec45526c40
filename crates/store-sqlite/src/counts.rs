//! How much there is, and how much waits.

use provex_core::ids::TenantId;
use provex_store::{Backlog, Counts};
use sqlx::SqliteConnection;

use crate::connection::Connections;
use crate::failure::Result;
use crate::sql::Stored;
use crate::tenants;

pub(crate) async fn counts(connections: &Connections, tenant: &TenantId) -> Result<Counts> {
    let mut tx = connections.read_snapshot().await?;
    tenants::require(&mut tx, tenant).await?;
    let failed = count_failed(&mut tx, tenant).await?;
    Ok(Counts { failed, ..count_all(&mut tx, tenant).await? })
}

async fn count_all(connection: &mut SqliteConnection, tenant: &TenantId) -> Result<Counts> {
    let row = sqlx::query(
        "-- count_all
        SELECT ?1 AS tenant_id,
            (SELECT count(*) FROM vex_documents WHERE tenant_id = ?1) AS documents,
            (SELECT count(*) FROM vex_observations WHERE tenant_id = ?1) AS observations,
            (SELECT count(*) FROM vex_observations WHERE tenant_id = ?1 AND rekor_uuid IS NOT NULL) AS linked,
            (SELECT min(created_at) FROM vex_observations WHERE tenant_id = ?1 AND rekor_uuid IS NULL)
                AS oldest_pending,
            (SELECT nullif(last_at, 0) FROM findings_ledger_chains WHERE tenant_id = ?1) AS last_at",
    )
    .bind(tenant.as_str())
    .fetch_one(connection)
    .await?;
    let row = Stored::new(&row, "vex_observations", &["tenant_id"]);
    Ok(Counts {
        documents: row.unsigned("documents")?,
        observations: row.unsigned("observations")?,
        linked: row.unsigned("linked")?,
        failed: 0,
        oldest_pending: row.opt_time("oldest_pending")?,
        last_at: row.opt_time("last_at")?,
    })
}

/// Observations without a linkage whose document or envelope was given up.
async fn count_failed(connection: &mut SqliteConnection, tenant: &TenantId) -> Result<u64> {
    let row = sqlx::query(
        "-- count_failed
        SELECT ?1 AS tenant_id, count(*) AS failed FROM (
            SELECT observation_id FROM attestor_submissions AS dead
                CROSS JOIN vex_observations AS observation USING (tenant_id, document_digest)
            WHERE dead.tenant_id = ?1 AND dead.state = 'dead' AND observation.rekor_uuid IS NULL
            UNION
            SELECT observation_id FROM attestor_submissions AS dead
                CROSS JOIN attestor_envelope_members AS member USING (tenant_id, dsse_digest)
                CROSS JOIN vex_observations AS observation
                    ON observation.tenant_id = member.tenant_id AND observation.observation_id = member.member
            WHERE dead.tenant_id = ?1 AND dead.state = 'dead' AND member.kind = 'observation'
                AND observation.rekor_uuid IS NULL)",
    )
    .bind(tenant.as_str())
    .fetch_one(connection)
    .await?;
    Stored::new(&row, "attestor_submissions", &["tenant_id"]).unsigned("failed")
}

pub(crate) async fn backlog(connections: &Connections, tenant: &TenantId) -> Result<Backlog> {
    let mut tx = connections.read_snapshot().await?;
    tenants::require(&mut tx, tenant).await?;
    let reasons = select_reasons(&mut tx, tenant).await?;
    Ok(Backlog { reasons, ..count_queue(&mut tx, tenant).await? })
}

async fn count_queue(connection: &mut SqliteConnection, tenant: &TenantId) -> Result<Backlog> {
    let row = sqlx::query(
        "-- count_queue
        SELECT ?1 AS tenant_id,
            count(*) FILTER (WHERE state = 'queued' AND stage = 'attest') AS attest,
            count(*) FILTER (WHERE state = 'queued' AND stage = 'submit') AS submit,
            count(*) FILTER (WHERE state = 'queued' AND stage = 'link') AS link,
            count(*) FILTER (WHERE state = 'dead') AS dead,
            count(lease_until) AS leased, max(lease_until) AS leased_until
        FROM attestor_submissions WHERE tenant_id = ?1",
    )
    .bind(tenant.as_str())
    .fetch_one(connection)
    .await?;
    let row = Stored::new(&row, "attestor_submissions", &["tenant_id"]);
    let count = |stage| row.unsigned(stage);
    let (attest, submit, link, dead) = (count("attest")?, count("submit")?, count("link")?, count("dead")?);
    let (leased, leased_until) = (count("leased")?, row.opt_time("leased_until")?);
    Ok(Backlog { attest, submit, link, dead, leased, leased_until, reasons: Vec::new() })
}

async fn select_reasons(connection: &mut SqliteConnection, tenant: &TenantId) -> Result<Vec<(String, u64)>> {
    let rows = sqlx::query(
        "-- select_reasons
        SELECT tenant_id, reason, count(*) AS submissions FROM attestor_submissions
        WHERE tenant_id = ? AND reason IS NOT NULL GROUP BY reason ORDER BY submissions DESC, reason LIMIT 10",
    )
    .bind(tenant.as_str())
    .fetch_all(connection)
    .await?;
    let stored = |row| Stored::new(row, "attestor_submissions", &["tenant_id"]);
    rows.iter().map(|row| Ok((stored(row).get("reason")?, stored(row).unsigned("submissions")?))).collect()
}
