//! `findings.ledger_attestations`: the projection of the ledger's events.

use std::collections::BTreeMap;

use async_trait::async_trait;
use provex_core::ids::{EnvelopeDigest, TenantId};
use provex_core::ledger::{
    Appended, AttestationFacts, AttestationFilter, PROJECTION_VERSION, VerificationStatus,
};
use provex_store::{
    AttestationPage, AttestationPosition, AttestationRow, AttestationRows, AttestationStream, Error,
    STREAM_ROWS,
};
use sqlx::postgres::PgRow;
use sqlx::{Connection as _, PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::connection::Database;
use crate::failure::Result;
use crate::ledger_events;
use crate::sql::{Stored, Time, limit as sql_limit};

pub(crate) async fn page(
    database: &Database,
    tenant: &TenantId,
    filter: &AttestationFilter,
    after: Option<AttestationPosition>,
    limit: usize,
) -> Result<AttestationPage> {
    let mut tx = database.snapshot(tenant).await?;
    let head = ledger_events::head(&mut tx, tenant).await?;
    let rows = select_page(&mut tx, tenant, filter, after, limit).await?;
    let page = AttestationPage { rows, tree_size: head.sequence_no(), root_hash: head.frontier.root() };
    tx.end(page).await
}

pub(crate) async fn stream(
    database: &Database,
    tenant: &TenantId,
    filter: &AttestationFilter,
) -> Result<AttestationStream> {
    let mut connection = database.long_snapshot(tenant).await?;
    let head = ledger_events::head(&mut connection, tenant).await?;
    let rows = Rows {
        connection: Some(connection),
        at: database.at.clone(),
        tenant: tenant.clone(),
        filter: filter.clone(),
        after: None,
    };
    let (tree_size, root_hash) = (head.sequence_no(), head.frontier.root());
    Ok(AttestationStream { tree_size, root_hash, rows: Box::new(rows) })
}

/// Pages of one snapshot: a cursor over all of it might be planned as a sort of all rows, and each of its fetches would
/// not be one statement with a limit in time.
struct Rows {
    /// None once all was read.
    connection: Option<PgConnection>,
    at: String,
    tenant: TenantId,
    filter: AttestationFilter,
    after: Option<AttestationPosition>,
}

impl Rows {
    async fn read(&mut self) -> Result<Vec<AttestationRow>> {
        let Some(connection) = &mut self.connection else { return Ok(Vec::new()) };
        let rows = select_page(connection, &self.tenant, &self.filter, self.after, STREAM_ROWS).await?;
        self.after = rows.last().map(AttestationRow::position);
        if rows.len() < STREAM_ROWS
            && let Some(connection) = self.connection.take()
        {
            connection.close().await?;
        }
        Ok(rows)
    }
}

#[async_trait]
impl AttestationRows for Rows {
    async fn next(&mut self) -> std::result::Result<Vec<AttestationRow>, Error> {
        self.read().await.map_err(|failure| failure.explain("reading attestations", &self.at))
    }
}

/// What there is of these attestations.
pub(crate) async fn select_statuses(
    connection: &mut PgConnection,
    tenant: &TenantId,
    ids: &[Uuid],
) -> Result<BTreeMap<Uuid, VerificationStatus>> {
    let rows = sqlx::query(
        "-- select_statuses
        SELECT tenant_id, attestation_id, verification_status FROM findings.ledger_attestations
        WHERE tenant_id = $1 AND attestation_id = ANY($2)",
    )
    .bind(tenant.as_str())
    .bind(ids)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let row = stored(row);
            Ok((
                row.get("attestation_id")?,
                row.label("verification_status", VerificationStatus::from_label)?,
            ))
        })
        .collect()
}

/// Writes the events' rows: the newest event of an attestation takes all of its row over.
pub(crate) async fn upsert(
    connection: &mut PgConnection,
    tenant: &TenantId,
    appended: &[Appended],
) -> Result<()> {
    // By key, and each once: one statement cannot write a row twice.
    let mut rows: BTreeMap<Uuid, (&Appended, &AttestationFacts)> = BTreeMap::new();
    for appended in appended {
        rows.extend(appended.rows.iter().map(|facts| (facts.attestation_id, (appended, facts))));
    }
    if rows.is_empty() {
        return Ok(());
    }
    let facts = || rows.values().map(|(_, facts)| facts);
    let events = || rows.values().map(|(appended, _)| appended);
    sqlx::query(
        "-- upsert
        INSERT INTO findings.ledger_attestations AS a
            (tenant_id, attestation_id, artifact_id, finding_id, verification_status, verification_time, dsse_digest,
             rekor_entry_id, evidence_bundle_ref, ledger_event_id, recorded_at, merkle_leaf_hash, root_hash,
             cycle_hash, projection_version)
        SELECT $1, u.*, $2
        FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[], $9::text[],
            $10::text[], $11::uuid[], $12::timestamptz[], $13::text[], $14::text[], $15::text[]) AS u
        ON CONFLICT (tenant_id, attestation_id) DO UPDATE SET
            artifact_id = excluded.artifact_id, finding_id = excluded.finding_id,
            verification_status = excluded.verification_status, verification_time = excluded.verification_time,
            dsse_digest = excluded.dsse_digest, rekor_entry_id = excluded.rekor_entry_id,
            evidence_bundle_ref = excluded.evidence_bundle_ref, ledger_event_id = excluded.ledger_event_id,
            recorded_at = excluded.recorded_at, merkle_leaf_hash = excluded.merkle_leaf_hash,
            root_hash = excluded.root_hash, cycle_hash = excluded.cycle_hash,
            projection_version = excluded.projection_version",
    )
    .bind(tenant.as_str())
    .bind(PROJECTION_VERSION)
    .bind(rows.keys().copied().collect::<Vec<_>>())
    .bind(facts().map(|facts| facts.artifact_id.as_str()).collect::<Vec<_>>())
    .bind(facts().map(|facts| facts.finding_id.as_deref()).collect::<Vec<_>>())
    .bind(facts().map(|facts| facts.verification_status.label()).collect::<Vec<_>>())
    .bind(facts().map(|facts| Time(facts.verification_time)).collect::<Vec<_>>())
    .bind(facts().map(|facts| facts.dsse_digest.to_text()).collect::<Vec<_>>())
    .bind(facts().map(|facts| facts.rekor_entry_id.map(|leaf| leaf.to_hex())).collect::<Vec<_>>())
    .bind(facts().map(|facts| facts.evidence_bundle_ref.map(|bundle| bundle.to_text())).collect::<Vec<_>>())
    .bind(events().map(|appended| appended.event.event_id).collect::<Vec<_>>())
    .bind(events().map(|appended| Time(appended.event.recorded_at)).collect::<Vec<_>>())
    .bind(events().map(|appended| appended.leaf_hash.to_hex()).collect::<Vec<_>>())
    .bind(events().map(|appended| appended.root_hash.to_hex()).collect::<Vec<_>>())
    .bind(events().map(|appended| appended.cycle_hash.to_hex()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

async fn select_page(
    connection: &mut PgConnection,
    tenant: &TenantId,
    filter: &AttestationFilter,
    after: Option<AttestationPosition>,
    limit: usize,
) -> Result<Vec<AttestationRow>> {
    // Not kept, as pages of observations are not.
    let mut query = page_query(tenant, filter, after, limit);
    let rows = query.build().persistent(false).fetch_all(connection).await?;
    rows.iter().map(|row| read(row, tenant)).collect()
}

/// The one statement of a page: a condition for each filter that is set. Every index of a filter is in the pages' order.
pub(crate) fn page_query(
    tenant: &TenantId,
    filter: &AttestationFilter,
    after: Option<AttestationPosition>,
    limit: usize,
) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        "-- page_query
        SELECT tenant_id, attestation_id, artifact_id, finding_id, verification_status, verification_time, dsse_digest,
            rekor_entry_id, evidence_bundle_ref, ledger_event_id, recorded_at, merkle_leaf_hash, root_hash, cycle_hash,
            projection_version
        FROM findings.ledger_attestations WHERE tenant_id =",
    );
    query.push(" ").push_bind(tenant.as_str().to_owned());
    if let Some(id) = filter.attestation_id {
        query.push(" AND attestation_id = ").push_bind(id);
    }
    if let Some(artifact) = &filter.artifact_id {
        query.push(" AND artifact_id = ").push_bind(artifact.clone());
    }
    if let Some(finding) = &filter.finding_id {
        query.push(" AND finding_id = ").push_bind(finding.clone());
    }
    if let Some(status) = filter.status {
        query.push(" AND verification_status = ").push_bind(status.label());
    }
    if let Some(since) = filter.since_recorded_at {
        query.push(" AND recorded_at >= ").push_bind(Time(since));
    }
    if let Some(until) = filter.until_recorded_at {
        query.push(" AND recorded_at < ").push_bind(Time(until));
    }
    if let Some(after) = after {
        query.push(" AND (recorded_at, attestation_id) > (").push_bind(Time(after.recorded_at));
        query.push(", ").push_bind(after.attestation_id).push(")");
    }
    query.push(" ORDER BY recorded_at, attestation_id LIMIT ").push_bind(sql_limit(limit));
    query
}

fn read(row: &PgRow, tenant: &TenantId) -> Result<AttestationRow> {
    let row = stored(row);
    let bundle: Option<&str> = row.get("evidence_bundle_ref")?;
    let bundle = bundle.map(str::parse).transpose();
    Ok(AttestationRow {
        facts: AttestationFacts {
            tenant_id: tenant.clone(),
            attestation_id: row.get("attestation_id")?,
            artifact_id: row.get("artifact_id")?,
            finding_id: row.get("finding_id")?,
            verification_status: row.label("verification_status", VerificationStatus::from_label)?,
            verification_time: row.time("verification_time")?,
            dsse_digest: EnvelopeDigest::new(row.digest("dsse_digest")?),
            rekor_entry_id: row.opt_digest("rekor_entry_id")?,
            evidence_bundle_ref: bundle
                .map_err(|error| row.corrupt("evidence_bundle_ref", format!("{error}")))?,
        },
        ledger_event_id: row.get("ledger_event_id")?,
        recorded_at: row.time("recorded_at")?,
        merkle_leaf_hash: row.digest("merkle_leaf_hash")?,
        root_hash: row.digest("root_hash")?,
        cycle_hash: row.digest("cycle_hash")?,
        projection_version: row.get("projection_version")?,
    })
}

fn stored(row: &PgRow) -> Stored<'_> {
    Stored::new(row, "findings.ledger_attestations", &["tenant_id", "attestation_id"])
}
