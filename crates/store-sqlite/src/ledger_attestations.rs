//! `findings_ledger_attestations`: the projection of the ledger's events.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use provex_core::ids::{EnvelopeDigest, TenantId};
use provex_core::ledger::{
    Appended, AttestationFacts, AttestationFilter, PROJECTION_VERSION, VerificationStatus,
};
use provex_store::{
    AttestationPage, AttestationPosition, AttestationRow, AttestationRows, AttestationStream, Error,
    STREAM_ROWS,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use uuid::Uuid;

use crate::connection::{Connections, Reader};
use crate::failure::Result;
use crate::ledger_events;
use crate::sql::{Stored, insert_rows, json_array, limit as sql_limit};

pub(crate) async fn page(
    connections: &Connections,
    tenant: &TenantId,
    filter: &AttestationFilter,
    after: Option<AttestationPosition>,
    limit: usize,
) -> Result<AttestationPage> {
    let mut tx = connections.read_snapshot().await?;
    let head = ledger_events::head(&mut tx, tenant).await?;
    let rows = select_page(&mut tx, tenant, filter, after, limit).await?;
    let page = AttestationPage { rows, tree_size: head.sequence_no(), root_hash: head.frontier.root() };
    Ok(page)
}

pub(crate) async fn stream(
    connections: &Arc<Connections>,
    tenant: &TenantId,
    filter: &AttestationFilter,
) -> Result<AttestationStream> {
    let mut snapshot = connections.long_snapshot().await?;
    let head = ledger_events::head(&mut snapshot, tenant).await?;
    let rows = Rows {
        snapshot: Some(snapshot),
        connections: Arc::clone(connections),
        tenant: tenant.clone(),
        filter: filter.clone(),
        after: None,
    };
    let (tree_size, root_hash) = (head.sequence_no(), head.frontier.root());
    Ok(AttestationStream { tree_size, root_hash, rows: Box::new(rows) })
}

/// Pages of one snapshot.
struct Rows {
    /// None once all was read.
    snapshot: Option<Reader>,
    /// Dropped after its reader.
    connections: Arc<Connections>,
    tenant: TenantId,
    filter: AttestationFilter,
    after: Option<AttestationPosition>,
}

impl Rows {
    async fn read(&mut self) -> Result<Vec<AttestationRow>> {
        let Some(snapshot) = &mut self.snapshot else { return Ok(Vec::new()) };
        let rows = select_page(snapshot, &self.tenant, &self.filter, self.after, STREAM_ROWS).await?;
        self.after = rows.last().map(AttestationRow::position);
        if rows.len() < STREAM_ROWS {
            self.snapshot = None;
        }
        Ok(rows)
    }
}

#[async_trait]
impl AttestationRows for Rows {
    async fn next(&mut self) -> std::result::Result<Vec<AttestationRow>, Error> {
        self.read().await.map_err(|failure| failure.explain("reading attestations", &self.connections))
    }
}

/// What there is of these attestations.
pub(crate) async fn select_statuses(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    ids: &[Uuid],
) -> Result<BTreeMap<Uuid, VerificationStatus>> {
    let rows = sqlx::query(
        "-- select_statuses
        SELECT tenant_id, attestation_id, verification_status FROM findings_ledger_attestations
        WHERE tenant_id = ? AND attestation_id IN (SELECT value FROM json_each(?))",
    )
    .bind(tenant.as_str())
    .bind(json_array(ids.iter().map(Uuid::to_string)))
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let row = stored(row);
            let status = row.label("verification_status", VerificationStatus::from_label)?;
            Ok((row.parse("attestation_id")?, status))
        })
        .collect()
}

/// Writes the events' rows: the newest event of an attestation takes all of its row over.
pub(crate) async fn upsert(connection: &mut SqliteConnection, appended: &[Appended]) -> Result<()> {
    // One statement cannot write a row twice.
    for appended in appended {
        let rows: Vec<_> = appended.rows.iter().map(|facts| (appended, facts)).collect();
        insert(connection, &rows).await?;
    }
    Ok(())
}

async fn insert(connection: &mut SqliteConnection, rows: &[(&Appended, &AttestationFacts)]) -> Result<()> {
    insert_rows(
        connection,
        "-- insert
        INSERT OR REPLACE INTO findings_ledger_attestations
            (tenant_id, attestation_id, artifact_id, finding_id, verification_status, verification_time, dsse_digest,
             rekor_entry_id, evidence_bundle_ref, ledger_event_id, recorded_at, merkle_leaf_hash, root_hash,
             cycle_hash, projection_version)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
        |query, (appended, facts)| {
            query
                .bind(facts.tenant_id.as_str())
                .bind(facts.attestation_id.to_string())
                .bind(facts.artifact_id.as_str())
                .bind(facts.finding_id.as_deref())
                .bind(facts.verification_status.label())
                .bind(facts.verification_time.as_unix_micros())
                .bind(facts.dsse_digest.to_text())
                .bind(facts.rekor_entry_id.map(|leaf| leaf.to_hex()))
                .bind(facts.evidence_bundle_ref.map(|bundle| bundle.to_text()))
                .bind(appended.event.event_id.to_string())
                .bind(appended.event.recorded_at.as_unix_micros())
                .bind(appended.leaf_hash.to_hex())
                .bind(appended.root_hash.to_hex())
                .bind(appended.cycle_hash.to_hex())
                .bind(PROJECTION_VERSION)
        },
    )
    .await
}

async fn select_page(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    filter: &AttestationFilter,
    after: Option<AttestationPosition>,
    limit: usize,
) -> Result<Vec<AttestationRow>> {
    let rows = page_query(tenant, filter, after, limit).build().fetch_all(connection).await?;
    rows.iter().map(|row| read(row, tenant)).collect()
}

/// The one statement of a page: a condition for each filter that is set.
///
/// SQLite knows nothing of how many rows a value has, so the index is chosen here: the one of the first filter below
/// that is set, or the order's own; all are in the pages' order. All else carries a unary plus, which takes a column
/// out of index choice (sqlite.org/optoverview.html section 8).
pub(crate) fn page_query(
    tenant: &TenantId,
    filter: &AttestationFilter,
    after: Option<AttestationPosition>,
    limit: usize,
) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(
        "-- page_query
        SELECT tenant_id, attestation_id, artifact_id, finding_id, verification_status, verification_time, dsse_digest,
            rekor_entry_id, evidence_bundle_ref, ledger_event_id, recorded_at, merkle_leaf_hash, root_hash, cycle_hash,
            projection_version
        FROM findings_ledger_attestations",
    );
    // Told, since SQLite would rather walk all of a span of time than sort nothing.
    if filter.attestation_id.is_none() {
        let column = match filter {
            AttestationFilter { artifact_id: Some(_), .. } => "artifact",
            AttestationFilter { finding_id: Some(_), .. } => "finding",
            AttestationFilter { status: Some(_), .. } => "status",
            _ => "paging",
        };
        query.push(format_args!(" INDEXED BY ledger_attestations_{column}_idx"));
    }
    query.push(" WHERE tenant_id = ").push_bind(tenant.as_str().to_owned());
    let mut chosen = false;
    // Where the column stands for its index if none is chosen yet.
    let mut choose = || if std::mem::replace(&mut chosen, true) { "+" } else { "" };
    if let Some(id) = filter.attestation_id {
        query.push(format_args!(" AND {}attestation_id = ", choose())).push_bind(id.to_string());
    }
    if let Some(artifact) = &filter.artifact_id {
        query.push(format_args!(" AND {}artifact_id = ", choose())).push_bind(artifact.clone());
    }
    if let Some(finding) = &filter.finding_id {
        query.push(format_args!(" AND {}finding_id = ", choose())).push_bind(finding.clone());
    }
    if let Some(status) = filter.status {
        query.push(format_args!(" AND {}verification_status = ", choose())).push_bind(status.label());
    }
    if let Some(since) = filter.since_recorded_at {
        query.push(" AND recorded_at >= ").push_bind(since.as_unix_micros());
    }
    if let Some(until) = filter.until_recorded_at {
        query.push(" AND recorded_at < ").push_bind(until.as_unix_micros());
    }
    if let Some(after) = after {
        query.push(" AND (recorded_at, attestation_id) > (").push_bind(after.recorded_at.as_unix_micros());
        query.push(", ").push_bind(after.attestation_id.to_string()).push(")");
    }
    query.push(" ORDER BY recorded_at, attestation_id LIMIT ").push_bind(sql_limit(limit));
    query
}

fn read(row: &SqliteRow, tenant: &TenantId) -> Result<AttestationRow> {
    let row = stored(row);
    let bundle: Option<&str> = row.get("evidence_bundle_ref")?;
    let bundle = bundle.map(str::parse).transpose();
    Ok(AttestationRow {
        facts: AttestationFacts {
            tenant_id: tenant.clone(),
            attestation_id: row.parse("attestation_id")?,
            artifact_id: row.get("artifact_id")?,
            finding_id: row.get("finding_id")?,
            verification_status: row.label("verification_status", VerificationStatus::from_label)?,
            verification_time: row.time("verification_time")?,
            dsse_digest: EnvelopeDigest::new(row.digest("dsse_digest")?),
            rekor_entry_id: row.opt_digest("rekor_entry_id")?,
            evidence_bundle_ref: bundle
                .map_err(|error| row.corrupt("evidence_bundle_ref", format!("{error}")))?,
        },
        ledger_event_id: row.parse("ledger_event_id")?,
        recorded_at: row.time("recorded_at")?,
        merkle_leaf_hash: row.digest("merkle_leaf_hash")?,
        root_hash: row.digest("root_hash")?,
        cycle_hash: row.digest("cycle_hash")?,
        projection_version: row.get("projection_version")?,
    })
}

fn stored(row: &SqliteRow) -> Stored<'_> {
    Stored::new(row, "findings_ledger_attestations", &["tenant_id", "attestation_id"])
}

#[cfg(test)]
mod tests {
    use provex_core::time::Timestamp;
    use provex_store::testing::{at, id};
    use sqlx::{AssertSqlSafe, Row as _};

    use super::*;
    use crate::SqliteStore;

    /// Each filter with the index that it has to use, and what of it is looked up.
    fn filters() -> Vec<(AttestationFilter, &'static str, &'static str)> {
        let every = AttestationFilter::default;
        let time = |seconds| Some(at(seconds));
        let artifact = AttestationFilter { artifact_id: Some("a".to_owned()), ..every() };
        vec![
            (every(), "paging_idx", "tenant_id=?"),
            (
                AttestationFilter { attestation_id: Some(id(1)), ..every() },
                "sqlite_autoindex_findings_ledger_attestations_1",
                "tenant_id=? AND attestation_id=?",
            ),
            (artifact.clone(), "artifact_idx", "tenant_id=? AND artifact_id=?"),
            (
                AttestationFilter { finding_id: Some("f".to_owned()), ..every() },
                "finding_idx",
                "tenant_id=? AND finding_id=?",
            ),
            (
                AttestationFilter { status: Some(VerificationStatus::Failed), ..every() },
                "status_idx",
                "tenant_id=? AND verification_status=?",
            ),
            (AttestationFilter { since_recorded_at: time(1), ..every() }, "paging_idx", "tenant_id=?"),
            (AttestationFilter { until_recorded_at: time(1), ..every() }, "paging_idx", "tenant_id=?"),
            // All together: the index of one, in the pages' order, and the rest is looked at.
            (
                AttestationFilter {
                    finding_id: Some("f".to_owned()),
                    status: Some(VerificationStatus::Failed),
                    since_recorded_at: time(1),
                    until_recorded_at: time(9),
                    ..artifact
                },
                "artifact_idx",
                "tenant_id=? AND artifact_id=?",
            ),
        ]
    }

    fn positions() -> [Option<AttestationPosition>; 2] {
        let recorded_at: Timestamp = at(5);
        [None, Some(AttestationPosition { recorded_at, attestation_id: id(1) })]
    }

    /// What SQLite says that it does for a page.
    async fn plan(
        connection: &mut SqliteConnection,
        filter: &AttestationFilter,
        after: Option<AttestationPosition>,
    ) -> Vec<String> {
        let tenant = TenantId::default_tenant();
        let sql = page_query(&tenant, filter, after, 200).into_sql();
        let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", sql.as_str()));
        let rows = sqlx::query(sql).persistent(false).fetch_all(connection).await.unwrap();
        rows.iter().map(|row| row.get("detail")).collect()
    }

    #[tokio::test]
    async fn a_page_is_one_search_by_the_index_of_its_filter() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("provex.db")).await.unwrap();
        let mut connection = store.connections.connect().await.unwrap();
        for (filter, index, terms) in filters() {
            for after in positions() {
                let plan = plan(&mut connection, &filter, after).await;
                let [step] = plan.as_slice() else { panic!("{filter:?}: {plan:?}") };
                let searched = step.strip_prefix("SEARCH findings_ledger_attestations USING INDEX ");
                let (name, used) =
                    searched.and_then(|rest| rest.split_once(" (")).unwrap_or_else(|| panic!("{step}"));
                assert_eq!(name.trim_start_matches("ledger_attestations_"), index, "{filter:?}");
                assert!(used.starts_with(terms), "{filter:?}: {step}");
                // A later page begins where the one before ended.
                let begins = filter.attestation_id.is_some() || after.is_none() || used.contains(">(");
                assert!(begins || used.contains("recorded_at>?"), "{filter:?}: {step}");
            }
        }
    }
}
