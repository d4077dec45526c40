//! `attestor_log_entries`: verified entries, and the linkages that they make.

use std::collections::BTreeMap;

use provex_core::digest::Digest;
use provex_core::ids::{BundleDigest, EnvelopeDigest, LogId, TenantId};
use provex_core::ledger::{VerificationStatus, attestation_id};
use provex_store::ledger::{Append, KeptEntry, Known, VerifiedNow, attestations};
use provex_store::{
    Error, KeptLogEntry, LeaseToken, LinkCounts, LogEntryRow, MAX_LINKAGES, NewLink, NewLogEntry, Recording,
};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::connection::Connections;
use crate::failure::Result;
use crate::sql::{Stored, signed};
use crate::{
    bundles, envelopes, ledger_attestations, ledger_events, ledger_merkle_roots, observations, submissions,
    tenants,
};

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
    let head = ledger_events::lock(&mut tx, tenant).await?;
    let mut append = Append::new(head, recording);
    let known = known(&mut tx, tenant, links).await?;
    let linked = append.links(links, known)?;
    for verified in &linked.entries {
        match verified.there {
            true => set_verified(&mut tx, tenant, verified).await?,
            false => {
                let entry = verified.entry;
                bundles::insert(&mut tx, tenant, &entry.bundle_digest, &entry.bundle).await?;
                insert(&mut tx, tenant, verified).await?;
            }
        }
    }
    observations::link(&mut tx, tenant, &linked.linkages).await?;
    ledger_merkle_roots::set_anchored(&mut tx, tenant, &linked.anchored).await?;
    if !append.is_empty() {
        ledger_events::write(&mut tx, append).await?;
    }
    for submission in links.iter().filter_map(|link| link.finished) {
        submissions::finish(&mut tx, tenant, token, submission).await?;
    }
    tx.commit().await?;
    let linked = linked.linkages.len() as u64;
    Ok(LinkCounts { linked, kept: found as u64 - linked })
}

pub(crate) async fn kept(
    connections: &Connections,
    tenant: &TenantId,
    positions: &[(LogId, u64)],
) -> Result<BTreeMap<(LogId, u64), KeptLogEntry>> {
    let mut tx = connections.read_snapshot().await?;
    let mut found = BTreeMap::new();
    for (log, index) in positions {
        let Some(row) = select_entry(&mut tx, tenant, log, *index).await? else { continue };
        let bundle = bundles::select_bundle(&mut tx, tenant, &row.bundle_digest).await?;
        let bundle = bundle.map(|bundle| Digest::of(&bundle));
        found.insert((*log, *index), KeptLogEntry { row, bundle });
    }
    if found.is_empty() {
        tenants::require(&mut tx, tenant).await?;
    }
    Ok(found)
}

async fn select_entry(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    log: &LogId,
    index: u64,
) -> Result<Option<LogEntryRow>> {
    let row = sqlx::query(
        "-- select_entry
        SELECT tenant_id, rekor_log_id, rekor_uuid, dsse_digest, entry, time_source, bundle_digest, created_at,
            verification_status, verified_at, verification_error, verifier_version
        FROM attestor_log_entries WHERE tenant_id = ? AND rekor_log_id = ? AND rekor_log_index = ?",
    )
    .bind(tenant.as_str())
    .bind(log.to_text())
    .bind(signed(index)?)
    .fetch_optional(connection)
    .await?;
    row.map(|row| read_entry(&row)).transpose()
}

fn read_entry(row: &SqliteRow) -> Result<LogEntryRow> {
    let row = Stored::new(row, "attestor_log_entries", &["tenant_id", "rekor_log_id"]);
    let status: Option<&str> = row.get("verification_status")?;
    Ok(LogEntryRow {
        rekor_uuid: row.digest("rekor_uuid")?,
        envelope: EnvelopeDigest::new(row.digest("dsse_digest")?),
        entry: row.get("entry")?,
        time_source: row.get("time_source")?,
        bundle_digest: BundleDigest::new(row.digest("bundle_digest")?),
        created_at: row.time("created_at")?,
        status: status.and_then(VerificationStatus::from_label),
        verified_at: row.opt_time("verified_at")?,
        error: row.get("verification_error")?,
        verifier_version: row.get("verifier_version")?,
    })
}

/// Says in the ledger that an envelope will never be in a log.
pub(crate) async fn refuse(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    recording: &Recording,
    envelope: &EnvelopeDigest,
    reason: &str,
) -> Result<()> {
    let head = ledger_events::lock(connection, tenant).await?;
    let facts = envelopes::select_facts(connection, tenant, envelope).await?;
    let facts = facts.ok_or(Error::UnknownEnvelope(*envelope))?;
    let members = envelopes::select_attested(connection, tenant, envelope).await?;
    let rows: Vec<_> = members.iter().map(|m| attestation_id(envelope, &m.id.to_text())).collect();
    let rows = ledger_attestations::select_statuses(connection, tenant, &rows).await?;
    let mut append = Append::new(head, recording);
    append.refused(&facts, &members, &rows, reason)?;
    ledger_events::write(connection, append).await?;
    Ok(())
}

/// What there is of all that is to be linked.
async fn known(connection: &mut SqliteConnection, tenant: &TenantId, links: &[NewLink<'_>]) -> Result<Known> {
    let mut known = Known::default();
    for link in links {
        let linked = &link.entry.linked;
        let position = (linked.log_id, linked.log_index);
        if let Some(kept) = select_kept(connection, tenant, position).await? {
            known.entries.insert(position, kept);
        }
        if let Some(envelope) = envelopes::select_facts(connection, tenant, &linked.envelope_digest).await? {
            known.envelopes.insert(envelope.digest, envelope);
        }
    }
    let (members, rows): (Vec<_>, Vec<_>) = attestations(links).unzip();
    known.members = observations::select_members(connection, tenant, &members).await?;
    known.rows = ledger_attestations::select_statuses(connection, tenant, &rows).await?;
    known.roots = ledger_merkle_roots::known(connection, tenant, &known.envelopes).await?;
    Ok(known)
}

/// The entry that is kept of this log at this index.
async fn select_kept(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    (log, index): (LogId, u64),
) -> Result<Option<KeptEntry>> {
    let row = sqlx::query(
        "-- select_kept
        SELECT tenant_id, rekor_log_id, rekor_log_index, entry, bundle_digest, created_at, verification_status,
            verified_at, verifier_version
        FROM attestor_log_entries WHERE tenant_id = ? AND rekor_log_id = ? AND rekor_log_index = ?",
    )
    .bind(tenant.as_str())
    .bind(log.to_text())
    .bind(signed(index)?)
    .fetch_optional(connection)
    .await?;
    row.map(|row| read_kept(&row)).transpose()
}

fn read_kept(row: &SqliteRow) -> Result<KeptEntry> {
    let row = Stored::new(row, "attestor_log_entries", &["tenant_id", "rekor_log_id", "rekor_log_index"]);
    let status: Option<&str> = row.get("verification_status")?;
    let verified = match status == Some(VerificationStatus::Verified.label()) {
        true => Some((row.time("verified_at")?, row.get("verifier_version")?)),
        false => None,
    };
    let entry: &[u8] = row.get("entry")?;
    Ok(KeptEntry {
        digest: Digest::of(entry),
        bundle_digest: BundleDigest::new(row.digest("bundle_digest")?),
        created_at: row.time("created_at")?,
        verified,
    })
}

async fn insert(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    verified: &VerifiedNow<'_>,
) -> Result<()> {
    let entry = verified.entry;
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
    .bind(verified.at.as_unix_micros())
    .bind(entry.verifier_version.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// What is verified now of an entry that was kept before.
async fn set_verified(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    verified: &VerifiedNow<'_>,
) -> Result<()> {
    let entry = verified.entry;
    sqlx::query(
        "-- set_verified
        UPDATE attestor_log_entries
        SET verification_status = 'verified', verified_at = ?4, verification_error = NULL, verifier_version = ?5
        WHERE tenant_id = ?1 AND rekor_log_id = ?2 AND rekor_log_index = ?3",
    )
    .bind(tenant.as_str())
    .bind(entry.linked.log_id.to_text())
    .bind(signed(entry.linked.log_index)?)
    .bind(verified.at.as_unix_micros())
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
