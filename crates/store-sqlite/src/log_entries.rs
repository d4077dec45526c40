//! `attestor_log_entries`: verified entries, and the linkages that they make.

use provex_core::ids::TenantId;
use provex_core::time::Timestamp;
use provex_store::{Error, LeaseToken, LinkCounts, MAX_LINKAGES, NewLink, NewLogEntry, Recording};
use sqlx::SqliteConnection;

use crate::connection::Connections;
use crate::failure::Result;
use crate::sql::signed;
use crate::{bundles, observations, submissions, tenants};

pub(crate) async fn link(
    connections: &Connections,
    tenant: &TenantId,
    recording: &Recording,
    token: LeaseToken,
    links: &[NewLink<'_>],
) -> Result<LinkCounts> {
    let found = links.iter().map(|link| link.linkages.len()).sum();
    if found > MAX_LINKAGES {
        return Err(Error::TooMany { limit: MAX_LINKAGES, found }.into());
    }
    let mut tx = connections.write().await?;
    tenants::require(&mut tx, tenant).await?;
    let mut counts = LinkCounts::default();
    for link in links {
        if !exists(&mut tx, tenant, link.entry).await? {
            bundles::insert(&mut tx, tenant, &link.entry.bundle_digest, &link.entry.bundle).await?;
            insert(&mut tx, tenant, link.entry, recording.now).await?;
        }
        let proof = observations::write_proof(&link.entry.linked)?;
        for linkage in link.linkages {
            match observations::link(&mut tx, tenant, linkage, &proof, recording.now).await? {
                true => counts.linked += 1,
                false => counts.kept += 1,
            }
        }
        if let Some(submission) = link.finished {
            submissions::finish(&mut tx, tenant, token, submission).await?;
        }
    }
    tx.commit().await?;
    Ok(counts)
}

/// Whether the entry is kept already: log and index name it.
async fn exists(connection: &mut SqliteConnection, tenant: &TenantId, entry: &NewLogEntry) -> Result<bool> {
    let exists = sqlx::query_scalar(
        "-- exists
        SELECT EXISTS (SELECT 1 FROM attestor_log_entries
            WHERE tenant_id = ? AND rekor_log_id = ? AND rekor_log_index = ?)",
    )
    .bind(tenant.as_str())
    .bind(entry.linked.log_id.to_text())
    .bind(signed(entry.linked.log_index)?)
    .fetch_one(connection)
    .await?;
    Ok(exists)
}

async fn insert(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    entry: &NewLogEntry,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "-- insert
        INSERT INTO attestor_log_entries
            (tenant_id, rekor_log_id, rekor_log_index, rekor_uuid, dsse_digest, entry, time_source, bundle_digest,
             created_at, verification_status, verified_at, verifier_version)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'verified', ?9, ?10)",
    )
    .bind(tenant.as_str())
    .bind(entry.linked.log_id.to_text())
    .bind(signed(entry.linked.log_index)?)
    .bind(entry.linked.rekor_uuid.to_hex())
    .bind(entry.linked.envelope_digest.to_text())
    .bind(entry.entry.as_slice())
    .bind(time_source(entry))
    .bind(entry.bundle_digest.digest().to_hex())
    .bind(now.as_unix_micros())
    .bind(entry.verifier_version.as_str())
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
