//! `attestor.log_entries`: verified entries, and the linkages that they make.

use std::collections::BTreeMap;

use provex_core::digest::Digest;
use provex_core::ids::{BundleDigest, EnvelopeDigest, LogId, TenantId};
use provex_core::ledger::{VerificationStatus, attestation_id};
use provex_store::ledger::{Append, KeptEntry, Known, VerifiedNow, attestations};
use provex_store::{
    Error, KeptLogEntry, LeaseToken, LinkCounts, LogEntryRow, MAX_LINKAGES, NewLink, NewLogEntry, Recording,
};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::connection::{Attempt, Database};
use crate::failure::Result;
use crate::sql::{Stored, Time, signed};
use crate::{
    bundles, envelopes, ledger_attestations, ledger_events, ledger_merkle_roots, observations, submissions,
    tenants,
};

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
    let head = ledger_events::lock(&mut tx, tenant).await?;
    let mut append = Append::new(head, recording);
    let known = known(&mut tx, tenant, links).await?;
    let linked = append.links(links, known)?;
    let (there, mut new): (Vec<VerifiedNow<'_>>, Vec<_>) =
        linked.entries.iter().partition(|entry| entry.there);
    new.sort_by_key(|verified| position(verified.entry));
    bundles::insert(&mut tx, tenant, &new.iter().map(|verified| verified.entry).collect::<Vec<_>>()).await?;
    insert(&mut tx, tenant, &new).await?;
    for verified in there {
        set_verified(&mut tx, tenant, verified).await?;
    }
    observations::link(&mut tx, tenant, &linked.linkages).await?;
    ledger_merkle_roots::set_anchored(&mut tx, tenant, &linked.anchored).await?;
    if !append.is_empty() {
        ledger_events::write(&mut tx, append).await?;
    }
    let finished: Vec<_> = links.iter().filter_map(|link| link.finished).collect();
    submissions::finish(&mut tx, tenant, token, &finished).await?;
    let linked = linked.linkages.len() as u64;
    tx.commit(LinkCounts { linked, kept: found as u64 - linked }).await
}

pub(crate) async fn kept(
    database: &Database,
    tenant: &TenantId,
    positions: &[(LogId, u64)],
) -> Result<BTreeMap<(LogId, u64), KeptLogEntry>> {
    let mut tx = database.snapshot(tenant).await?;
    let rows = select_entries(&mut tx, tenant, positions).await?;
    if rows.is_empty() {
        tenants::require(&mut tx, tenant).await?;
    }
    let bundles: Vec<_> = rows.values().map(|row| row.bundle_digest).collect();
    let bundles = bundles::select_hashes(&mut tx, tenant, &bundles).await?;
    let kept = |(position, row): (_, LogEntryRow)| {
        let bundle = bundles.get(&row.bundle_digest).copied();
        (position, KeptLogEntry { row, bundle })
    };
    tx.end(rows.into_iter().map(kept).collect()).await
}

async fn select_entries(
    connection: &mut PgConnection,
    tenant: &TenantId,
    positions: &[(LogId, u64)],
) -> Result<BTreeMap<(LogId, u64), LogEntryRow>> {
    let indexes = positions.iter().map(|(_, index)| signed(*index)).collect::<Result<Vec<_>>>()?;
    let rows = sqlx::query(
        "-- select_entries
        SELECT tenant_id, rekor_log_id, rekor_log_index, rekor_uuid, dsse_digest, entry, time_source, bundle_digest,
            created_at, verification_status, verified_at, verification_error, verifier_version
        FROM attestor.log_entries
        WHERE tenant_id = $1 AND (rekor_log_id, rekor_log_index) IN (SELECT * FROM unnest($2::text[], $3::bigint[]))",
    )
    .bind(tenant.as_str())
    .bind(positions.iter().map(|(log, _)| log.to_text()).collect::<Vec<_>>())
    .bind(indexes)
    .fetch_all(connection)
    .await?;
    rows.iter().map(read_entry).collect()
}

fn read_entry(row: &PgRow) -> Result<((LogId, u64), LogEntryRow)> {
    let row = Stored::new(row, "attestor.log_entries", &["tenant_id", "rekor_log_id"]);
    let position = (LogId::new(row.digest("rekor_log_id")?), row.unsigned("rekor_log_index")?);
    let status: Option<&str> = row.get("verification_status")?;
    let entry = LogEntryRow {
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
    };
    Ok((position, entry))
}

/// Says in the ledger that an envelope will never be in a log.
pub(crate) async fn refuse(
    connection: &mut PgConnection,
    tenant: &TenantId,
    mut append: Append<'_>,
    envelope: &EnvelopeDigest,
    reason: &str,
) -> Result<()> {
    let facts = envelopes::select_facts(connection, tenant, &[*envelope]).await?;
    let facts = facts.get(envelope).ok_or(Error::UnknownEnvelope(*envelope))?;
    let members = envelopes::select_attested(connection, tenant, envelope).await?;
    let rows: Vec<_> = members.iter().map(|m| attestation_id(envelope, &m.id.to_text())).collect();
    let rows = ledger_attestations::select_statuses(connection, tenant, &rows).await?;
    append.refused(facts, &members, &rows, reason)?;
    ledger_events::write(connection, append).await?;
    Ok(())
}

/// What names an entry: its log and its index there.
fn position(entry: &NewLogEntry) -> (LogId, u64) {
    (entry.linked.log_id, entry.linked.log_index)
}

/// What there is of all that is to be linked.
async fn known(connection: &mut PgConnection, tenant: &TenantId, links: &[NewLink<'_>]) -> Result<Known> {
    let envelopes: Vec<_> = links.iter().map(|link| link.entry.linked.envelope_digest).collect();
    let (members, rows): (Vec<_>, Vec<_>) = attestations(links).unzip();
    let envelopes = envelopes::select_facts(connection, tenant, &envelopes).await?;
    Ok(Known {
        roots: ledger_merkle_roots::known(connection, tenant, &envelopes).await?,
        envelopes,
        entries: select_kept(connection, tenant, links).await?,
        members: observations::select_members(connection, tenant, &members).await?,
        rows: ledger_attestations::select_statuses(connection, tenant, &rows).await?,
    })
}

/// Those of the links' entries that are kept.
async fn select_kept(
    connection: &mut PgConnection,
    tenant: &TenantId,
    links: &[NewLink<'_>],
) -> Result<BTreeMap<(LogId, u64), KeptEntry>> {
    let indexes = links.iter().map(|link| signed(link.entry.linked.log_index)).collect::<Result<Vec<_>>>()?;
    let rows = sqlx::query(
        "-- select_kept
        SELECT tenant_id, rekor_log_id, rekor_log_index, entry, bundle_digest, created_at, verification_status,
            verified_at, verifier_version
        FROM attestor.log_entries
        WHERE tenant_id = $1 AND (rekor_log_id, rekor_log_index) IN (SELECT * FROM unnest($2::text[], $3::bigint[]))",
    )
    .bind(tenant.as_str())
    .bind(links.iter().map(|link| link.entry.linked.log_id.to_text()).collect::<Vec<_>>())
    .bind(indexes)
    .fetch_all(connection)
    .await?;
    rows.iter().map(read_kept).collect()
}

fn read_kept(row: &PgRow) -> Result<((LogId, u64), KeptEntry)> {
    let row = Stored::new(row, "attestor.log_entries", &["tenant_id", "rekor_log_id"]);
    let position = (LogId::new(row.digest("rekor_log_id")?), row.unsigned("rekor_log_index")?);
    let status: Option<&str> = row.get("verification_status")?;
    let verified = match status == Some(VerificationStatus::Verified.label()) {
        true => Some((row.time("verified_at")?, row.get("verifier_version")?)),
        false => None,
    };
    let entry: &[u8] = row.get("entry")?;
    let kept = KeptEntry {
        digest: Digest::of(entry),
        bundle_digest: BundleDigest::new(row.digest("bundle_digest")?),
        created_at: row.time("created_at")?,
        verified,
    };
    Ok((position, kept))
}

async fn insert(
    connection: &mut PgConnection,
    tenant: &TenantId,
    verified: &[VerifiedNow<'_>],
) -> Result<()> {
    let entries = || verified.iter().map(|verified| verified.entry);
    let indexes = entries().map(|e| signed(e.linked.log_index)).collect::<Result<Vec<_>>>()?;
    sqlx::query(
        "-- insert
        INSERT INTO attestor.log_entries
            (tenant_id, rekor_log_id, rekor_log_index, rekor_uuid, dsse_digest, entry, time_source, bundle_digest,
             created_at, verification_status, verified_at, verifier_version)
        SELECT $1, u.rekor_log_id, u.rekor_log_index, u.rekor_uuid, u.dsse_digest, u.entry, u.time_source,
            u.bundle_digest, u.at, 'verified', u.at, u.verifier_version
        FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::text[],
                $9::timestamptz[], $10::text[])
            AS u (rekor_log_id, rekor_log_index, rekor_uuid, dsse_digest, entry, time_source, bundle_digest, at,
                verifier_version)
        ON CONFLICT (tenant_id, rekor_log_id, rekor_log_index) DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(entries().map(|e| e.linked.log_id.to_text()).collect::<Vec<_>>())
    .bind(indexes)
    .bind(entries().map(|e| e.linked.rekor_uuid.to_hex()).collect::<Vec<_>>())
    .bind(entries().map(|e| e.linked.envelope_digest.to_text()).collect::<Vec<_>>())
    .bind(entries().map(|e| e.entry.as_slice()).collect::<Vec<_>>())
    .bind(entries().map(time_source).collect::<Vec<_>>())
    .bind(entries().map(|e| e.bundle_digest.digest().to_hex()).collect::<Vec<_>>())
    .bind(verified.iter().map(|verified| Time(verified.at)).collect::<Vec<_>>())
    .bind(entries().map(|e| e.verifier_version.as_str()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// What is verified now of an entry that was kept before.
async fn set_verified(
    connection: &mut PgConnection,
    tenant: &TenantId,
    verified: VerifiedNow<'_>,
) -> Result<()> {
    let entry = verified.entry;
    sqlx::query(
        "-- set_verified
        UPDATE attestor.log_entries
        SET verification_status = 'verified', verified_at = $4, verification_error = NULL, verifier_version = $5
        WHERE tenant_id = $1 AND rekor_log_id = $2 AND rekor_log_index = $3",
    )
    .bind(tenant.as_str())
    .bind(entry.linked.log_id.to_text())
    .bind(signed(entry.linked.log_index)?)
    .bind(Time(verified.at))
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
