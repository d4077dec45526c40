//! `attestor.log_entries`: verified entries, and the linkages that they make.

use std::collections::{BTreeMap, BTreeSet};

use provex_core::ids::TenantId;
use provex_core::time::Timestamp;
use provex_store::{Error, LeaseToken, LinkCounts, MAX_LINKAGES, NewLink, NewLogEntry, Recording};
use sqlx::PgConnection;

use crate::connection::{Attempt, Database};
use crate::failure::Result;
use crate::sql::{Stored, Time, signed};
use crate::{bundles, observations, submissions, tenants};

/// What names an entry: its log and its index there.
type Position = (String, i64);

pub(crate) async fn link(
    database: &Database,
    tenant: &TenantId,
    recording: &Recording,
    token: LeaseToken,
    links: &[NewLink<'_>],
) -> Result<Attempt<LinkCounts>> {
    let found = links.iter().map(|link| link.linkages.len()).sum();
    if found > MAX_LINKAGES {
        return Err(Error::TooMany { limit: MAX_LINKAGES, found }.into());
    }
    let mut tx = database.begin(tenant).await?;
    tenants::lock_chain(&mut tx, tenant).await?;
    // The first of equal entries, in the order of their keys.
    let mut entries: BTreeMap<Position, &NewLogEntry> = BTreeMap::new();
    for link in links {
        entries.entry(position(link.entry)?).or_insert(link.entry);
    }
    let known = select_known(&mut tx, tenant, &entries).await?;
    entries.retain(|position, _| !known.contains(position));
    let new: Vec<_> = entries.into_values().collect();
    bundles::insert(&mut tx, tenant, &new).await?;
    insert(&mut tx, tenant, &new, recording.now).await?;
    let linked = observations::link(&mut tx, tenant, links, recording.now).await?;
    let finished: Vec<_> = links.iter().filter_map(|link| link.finished).collect();
    submissions::finish(&mut tx, tenant, token, &finished).await?;
    tx.commit(LinkCounts { linked, kept: found as u64 - linked }).await
}

fn position(entry: &NewLogEntry) -> Result<Position> {
    Ok((entry.linked.log_id.to_text(), signed(entry.linked.log_index)?))
}

/// Which of these are kept already.
async fn select_known(
    connection: &mut PgConnection,
    tenant: &TenantId,
    entries: &BTreeMap<Position, &NewLogEntry>,
) -> Result<BTreeSet<Position>> {
    let (logs, indexes): (Vec<_>, Vec<_>) = entries.keys().cloned().unzip();
    let rows = sqlx::query(
        "-- select_known
        SELECT tenant_id, rekor_log_id, rekor_log_index FROM attestor.log_entries
        WHERE tenant_id = $1 AND (rekor_log_id, rekor_log_index) IN (SELECT * FROM unnest($2::text[], $3::bigint[]))",
    )
    .bind(tenant.as_str())
    .bind(logs)
    .bind(indexes)
    .fetch_all(connection)
    .await?;
    let stored = |row| Stored::new(row, "attestor.log_entries", &["tenant_id", "rekor_log_id"]);
    rows.iter()
        .map(|row| Ok((stored(row).get("rekor_log_id")?, stored(row).get("rekor_log_index")?)))
        .collect()
}

async fn insert(
    connection: &mut PgConnection,
    tenant: &TenantId,
    entries: &[&NewLogEntry],
    now: Timestamp,
) -> Result<()> {
    let indexes = entries.iter().map(|e| signed(e.linked.log_index)).collect::<Result<Vec<_>>>()?;
    sqlx::query(
        "-- insert
        INSERT INTO attestor.log_entries
            (tenant_id, rekor_log_id, rekor_log_index, rekor_uuid, dsse_digest, entry, time_source, bundle_digest,
             created_at, verification_status, verified_at, verifier_version)
        SELECT $1, u.rekor_log_id, u.rekor_log_index, u.rekor_uuid, u.dsse_digest, u.entry, u.time_source,
            u.bundle_digest, $2, 'verified', $2, u.verifier_version
        FROM unnest(
            $3::text[], $4::bigint[], $5::text[], $6::text[], $7::bytea[], $8::text[], $9::text[], $10::text[])
            AS u (rekor_log_id, rekor_log_index, rekor_uuid, dsse_digest, entry, time_source, bundle_digest,
                verifier_version)
        ON CONFLICT (tenant_id, rekor_log_id, rekor_log_index) DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(Time(now))
    .bind(entries.iter().map(|e| e.linked.log_id.to_text()).collect::<Vec<_>>())
    .bind(indexes)
    .bind(entries.iter().map(|e| e.linked.rekor_uuid.to_hex()).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.linked.envelope_digest.to_text()).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.entry.as_slice()).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| time_source(e)).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.bundle_digest.digest().to_hex()).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.verifier_version.as_str()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// A timestamp authority's word counts for more than a log's own.
fn time_source(entry: &NewLogEntry) -> &'static str {
    match (entry.linked.timestamp_time, entry.linked.integrated_time) {
        (Some(_), _) => "tsa",
        (None, Some(_)) => "set",
        (None, None) => "none",
    }
}
