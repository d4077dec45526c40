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

#[cfg(test)]
mod tests {
    use provex_store::Store as _;
    use provex_store::testing::{at, id};
    use sqlx::{AssertSqlSafe, Execute as _};

    use super::*;
    use crate::PostgresStore;
    use crate::connection::APP_ROLE;
    use crate::migrate::Layout;
    use crate::testing::TestDatabase;

    /// So many rows that a page is not read by going over all of them: every artifact has a hundred, every vulnerability
    /// two hundred, and one in a hundred is failed.
    const ROWS: &str = "
        INSERT INTO findings.ledger_attestations
        SELECT tenant, md5(tenant || n)::uuid, 'artifact-' || n % 500, 'CVE-2026-' || n % 250,
            CASE n % 100 WHEN 0 THEN 'failed' ELSE 'verified' END, at, h, h, 'sha256:' || h,
            md5('event' || n)::uuid, at, h, h, h, '1'
        FROM generate_series(1, 50000) AS n, unnest(ARRAY['default', 'other']) AS tenant,
            LATERAL (SELECT timestamptz '2027-01-15T08:00:00Z' + n * interval '1 second', repeat('0', 64)) AS t (at, h);
        ANALYZE findings.ledger_attestations";

    /// Each filter with the index that it has to use.
    fn filters() -> Vec<(AttestationFilter, &'static str)> {
        let every = AttestationFilter::default;
        let artifact = AttestationFilter { artifact_id: Some("artifact-7".to_owned()), ..every() };
        let failed = Some(VerificationStatus::Failed);
        vec![
            (every(), "paging_idx"),
            (AttestationFilter { attestation_id: Some(id(1)), ..every() }, "pkey"),
            (artifact.clone(), "artifact_idx"),
            (AttestationFilter { finding_id: Some("CVE-2026-7".to_owned()), ..every() }, "finding_idx"),
            (AttestationFilter { status: failed, ..every() }, "status_idx"),
            (AttestationFilter { since_recorded_at: Some(at(40_000)), ..every() }, "paging_idx"),
            (AttestationFilter { until_recorded_at: Some(at(40_000)), ..every() }, "paging_idx"),
            (
                AttestationFilter {
                    status: failed,
                    since_recorded_at: Some(at(10)),
                    until_recorded_at: Some(at(40_000)),
                    ..artifact
                },
                "artifact_idx",
            ),
        ]
    }

    fn positions() -> [Option<AttestationPosition>; 2] {
        [None, Some(AttestationPosition { recorded_at: at(20_000), attestation_id: id(1) })]
    }

    /// What the server does for a page, as the application in its tenant: a plan made for these values, or one for any.
    async fn plan(
        store: &PostgresStore,
        filter: &AttestationFilter,
        after: Option<AttestationPosition>,
        generic: bool,
    ) -> Vec<String> {
        let tenant = TenantId::default_tenant();
        let mut tx = store.database.snapshot(&tenant).await.unwrap();
        let user: String = sqlx::query_scalar("SELECT current_user").fetch_one(&mut *tx).await.unwrap();
        assert_eq!(user, APP_ROLE);
        let mut query = page_query(&tenant, filter, after, 200);
        let (sql, mut built) = (query.sql(), query.build());
        let sql = sql.as_str();
        let plan = if generic {
            // Its values decide nothing but the partition.
            let values = ["'default'"].into_iter().chain(sql.matches('$').skip(1).map(|_| "NULL"));
            let execute =
                format!("EXPLAIN (COSTS OFF) EXECUTE page({})", values.collect::<Vec<_>>().join(", "));
            let prepare = format!("SET LOCAL plan_cache_mode = force_generic_plan; PREPARE page AS {sql}");
            sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *tx).await.unwrap();
            let plan = sqlx::query_scalar(AssertSqlSafe(execute)).persistent(false).fetch_all(&mut *tx).await;
            sqlx::raw_sql("DEALLOCATE page").execute(&mut *tx).await.unwrap();
            plan
        } else {
            let explain = AssertSqlSafe(format!("EXPLAIN (COSTS OFF) {sql}"));
            let values = built.take_arguments().unwrap().unwrap();
            sqlx::query_scalar_with(explain, values).persistent(false).fetch_all(&mut *tx).await
        };
        tx.end(plan.unwrap()).await.unwrap()
    }

    /// The name that a migration gave an index, of which a partition's is a part.
    async fn named(database: &TestDatabase, index: &str) -> String {
        let mut connection = database.connect().await;
        sqlx::query_scalar(
            "SELECT p.relname::text FROM pg_class AS c LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
            JOIN pg_class AS p ON p.oid = coalesce(i.inhparent, c.oid) WHERE c.relname = $1",
        )
        .bind(index)
        .fetch_one(&mut connection)
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn a_page_is_one_scan_of_the_index_of_its_filter() {
        for layout in [Layout::Hash16, Layout::Flat] {
            let database = TestDatabase::migrated(layout).await;
            let store = database.store().await;
            for tenant in ["default", "other"] {
                store.add_tenant(&tenant.parse().unwrap(), id(1), at(0)).await.unwrap();
            }
            database.execute(ROWS).await;
            for (filter, index) in filters() {
                for after in positions() {
                    for generic in [false, true] {
                        let plan = plan(&store, &filter, after, generic).await;
                        let case = format!("{layout:?} {generic} {filter:?}: {plan:#?}");
                        let steps = plan.iter().enumerate().filter_map(|(line, text)| {
                            let text = text.trim_start();
                            if line == 0 { Some(text) } else { text.strip_prefix("->  ") }
                        });
                        let (scans, above): (Vec<_>, Vec<_>) =
                            steps.partition(|step| step.contains(" using "));
                        let [scan] = scans.as_slice() else { panic!("{case}") };
                        let (kind, rest) = scan.split_once(" using ").unwrap();
                        assert!(["Index Scan", "Index Scan Backward"].contains(&kind), "{case}");
                        let name = named(&database, rest.split(' ').next().unwrap()).await;
                        assert_eq!(name, format!("ledger_attestations_{index}"), "{case}");
                        // A later page begins where the one before ended: nothing is read to be dropped.
                        let condition = plan.iter().find(|line| line.contains("Index Cond:")).unwrap();
                        let begins = condition.contains("ROW(recorded_at, attestation_id) >");
                        assert_eq!(begins, after.is_some() && index != "pkey", "{case}");
                        // No join, and no sort but of the one row that has the id; row-level security is asked once.
                        let fits = |step: &&str| {
                            ["Limit", "Result", "Append", "Merge Append"].contains(step)
                                || *step == "Sort" && index == "pkey"
                        };
                        assert!(above.iter().all(fits), "{case}");
                    }
                }
            }
        }
    }
}
