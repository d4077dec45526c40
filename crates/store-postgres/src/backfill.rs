//! Events of what was recorded before there was a ledger.

use std::collections::BTreeMap;

use provex_core::digest::Digest;
use provex_core::ids::{BundleDigest, DocumentDigest, EnvelopeDigest, LogId, ObservationId, TenantId};
use provex_core::ledger::{MAX_ROWS, VerificationStatus};
use provex_core::time::Timestamp;
use provex_store::ledger::backfill::{
    Cursor, Item, ItemKind, Recorded, RecordedEntry, advance, linked_entry, recording,
};
use provex_store::ledger::{Append, EnvelopeFacts, KnownMember};
use provex_store::{DocumentRow, Error};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::connection::enter_tenant;
use crate::failure::{Failure, Result};
use crate::sql::{Stored, Time, signed};
use crate::{documents, envelopes, ledger_attestations, ledger_events, observations, tenants};

/// Gives every tenant its events. Killed, it goes on the next time; done, it does nothing.
pub(crate) async fn backfill(connection: &mut PgConnection) -> Result<()> {
    for tenant in tenants::select_tenants(connection).await? {
        let mut items = None;
        while !one_transaction(connection, &tenant, &mut items).await? {}
    }
    Ok(())
}

/// The next events of a tenant: whether it has all of them now. Others may be doing the same.
async fn one_transaction(
    connection: &mut PgConnection,
    tenant: &TenantId,
    place: &mut Option<(Vec<Item>, Cursor, u64)>,
) -> Result<bool> {
    let mut tx = connection.begin().await?;
    enter_tenant(&mut tx, tenant).await?;
    let (head, done) = ledger_events::lock_head(&mut tx, tenant).await?;
    if done {
        tx.rollback().await?;
        return Ok(true);
    }
    let last = ledger_events::select_events(&mut tx, &head, head.sequence_no().saturating_sub(1), 1).await?;
    let (items, cursor) = match place.take() {
        Some((items, cursor, size)) if size == head.sequence_no() => (items, cursor),
        _ => {
            let items = select_items(&mut tx, tenant).await?;
            let cursor = Cursor::behind(last.first(), &items)?;
            (items, cursor)
        }
    };
    let recording = recording(head.chain_id);
    let mut append = Append::backfill(head, &recording, last.first());
    let mut recorded = InStore { connection: &mut tx, tenant };
    let cursor = advance(&mut recorded, &mut append, &items, cursor).await?;
    let done = cursor.item == items.len();
    let size = ledger_events::write(&mut tx, append).await?;
    if done {
        set_backfilled(&mut tx, tenant).await?;
    }
    tx.commit().await?;
    *place = Some((items, cursor, size));
    Ok(done)
}

/// What is read of a tenant in its transaction.
struct InStore<'a> {
    connection: &'a mut PgConnection,
    tenant: &'a TenantId,
}

impl Recorded for InStore<'_> {
    type Failure = Failure;

    async fn document(&mut self, digest: &DocumentDigest) -> Result<(DocumentRow, Vec<ObservationId>)> {
        let mut found = documents::select_documents(self.connection, self.tenant, &[*digest]).await?;
        let document = found.remove(digest).ok_or_else(|| gone("vex.documents", digest.to_text()))?;
        let ids = observations::select_ids_of_documents(self.connection, self.tenant, &[*digest]).await?;
        Ok((document, ids.into_iter().map(|(_, id)| id).collect()))
    }

    async fn standing(&mut self, document: &DocumentDigest, since: Timestamp) -> Result<(String, String)> {
        select_standing(self.connection, self.tenant, document, since).await
    }

    async fn entry(&mut self, envelope: &EnvelopeDigest, log: LogId, index: u64) -> Result<RecordedEntry> {
        let envelopes = envelopes::select_facts(self.connection, self.tenant, &[*envelope]).await?;
        let envelope = envelopes.into_values().next().ok_or(Error::UnknownEnvelope(*envelope))?;
        let linked = observations::select_linked_at(self.connection, self.tenant, log, index).await?;
        let mut entry = select_entry(self.connection, self.tenant, envelope, log, index).await?;
        match linked {
            Some(linked) => entry.linked = linked,
            None => entry.linked.log_url = select_log_url(self.connection, self.tenant, log).await?,
        }
        Ok(entry)
    }

    async fn members(&mut self, envelope: &EnvelopeDigest, from: u64) -> Result<Vec<KnownMember>> {
        select_members(self.connection, self.tenant, envelope, from).await
    }

    async fn rows(&mut self, ids: &[Uuid]) -> Result<BTreeMap<Uuid, VerificationStatus>> {
        ledger_attestations::select_statuses(self.connection, self.tenant, ids).await
    }
}

fn gone(table: &'static str, row: String) -> Failure {
    Failure::Refused(Error::Corrupt { table, column: "tenant_id", row, reason: "it is gone".to_owned() })
}

/// All that was recorded, in the order of its events.
async fn select_items(connection: &mut PgConnection, tenant: &TenantId) -> Result<Vec<Item>> {
    let rows = sqlx::query(
        "-- select_items
        SELECT 'document' AS kind, document_digest AS digest, created_at AS at, NULL::text AS log_id, NULL::bigint AS log_index
        FROM vex.documents WHERE tenant_id = $1
        UNION ALL
        SELECT 'standing', document_digest, created_at, NULL, NULL FROM vex.standings WHERE tenant_id = $1
        UNION ALL
        SELECT 'entry', dsse_digest, verified_at, rekor_log_id, rekor_log_index
        FROM attestor.log_entries WHERE tenant_id = $1 AND verification_status IS NOT NULL",
    )
    .bind(tenant.as_str())
    .fetch_all(connection)
    .await?;
    let read = |row| {
        let row = Stored::new(row, "a tenant's records", &["kind", "digest"]);
        let (kind, digest): (&str, Digest) = (row.get("kind")?, row.digest("digest")?);
        let kind = match kind {
            "document" => ItemKind::Document(DocumentDigest::new(digest)),
            "standing" => ItemKind::Standing(DocumentDigest::new(digest)),
            _ => {
                let log = LogId::new(row.digest("log_id")?);
                ItemKind::Entry(EnvelopeDigest::new(digest), log, row.unsigned("log_index")?)
            }
        };
        Ok(Item { at: row.time("at")?, kind })
    };
    let mut items = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
    items.sort_unstable();
    Ok(items)
}

async fn select_standing(
    connection: &mut PgConnection,
    tenant: &TenantId,
    document: &DocumentDigest,
    since: Timestamp,
) -> Result<(String, String)> {
    let row = sqlx::query(
        "-- select_standing
        SELECT tenant_id, standing, cause FROM vex.standings
        WHERE tenant_id = $1 AND document_digest = $2 AND created_at = $3",
    )
    .bind(tenant.as_str())
    .bind(document.to_text())
    .bind(Time(since))
    .fetch_optional(connection)
    .await?
    .ok_or_else(|| gone("vex.standings", document.to_text()))?;
    let row = Stored::new(&row, "vex.standings", &["tenant_id"]);
    Ok((row.get("standing")?, row.get("cause")?))
}

async fn select_entry(
    connection: &mut PgConnection,
    tenant: &TenantId,
    envelope: EnvelopeFacts,
    log: LogId,
    index: u64,
) -> Result<RecordedEntry> {
    let row = sqlx::query(
        "-- select_entry
        SELECT tenant_id, rekor_log_id, rekor_log_index, entry, bundle_digest, created_at, verification_status,
            verification_error, verifier_version
        FROM attestor.log_entries WHERE tenant_id = $1 AND rekor_log_id = $2 AND rekor_log_index = $3",
    )
    .bind(tenant.as_str())
    .bind(log.to_text())
    .bind(signed(index)?)
    .fetch_optional(connection)
    .await?
    .ok_or_else(|| gone("attestor.log_entries", log.to_text()))?;
    let row = Stored::new(&row, "attestor.log_entries", &["tenant_id", "rekor_log_id"]);
    let bytes: &[u8] = row.get("entry")?;
    Ok(RecordedEntry {
        linked: linked_entry(envelope.digest, bytes).map_err(|reason| row.corrupt("entry", reason))?,
        envelope,
        digest: Digest::of(bytes),
        bundle_digest: BundleDigest::new(row.digest("bundle_digest")?),
        created_at: row.time("created_at")?,
        status: row.label("verification_status", VerificationStatus::from_label)?,
        error: row.get("verification_error")?,
        verifier_version: row.get("verifier_version")?,
    })
}

/// An envelope's observations from a set index on, and whether each is linked.
async fn select_members(
    connection: &mut PgConnection,
    tenant: &TenantId,
    envelope: &EnvelopeDigest,
    from: u64,
) -> Result<Vec<KnownMember>> {
    let rows = sqlx::query(
        "-- select_members
        SELECT o.tenant_id, o.observation_id, o.vulnerability_id, o.product_key, o.rekor_uuid IS NOT NULL AS linked
        FROM attestor.envelope_members AS m
            JOIN vex.observations AS o ON o.tenant_id = m.tenant_id AND o.observation_id = m.member
        WHERE m.tenant_id = $1 AND m.dsse_digest = $2 AND m.kind = 'observation' AND m.position >= $3
        ORDER BY m.position LIMIT $4",
    )
    .bind(tenant.as_str())
    .bind(envelope.to_text())
    .bind(signed(from)?)
    .bind(MAX_ROWS as i64)
    .fetch_all(connection)
    .await?;
    rows.iter().map(observations::read_member).collect()
}

/// The base URL of a log, as any linkage to it says; empty where there is none.
async fn select_log_url(connection: &mut PgConnection, tenant: &TenantId, log: LogId) -> Result<String> {
    let url = sqlx::query_scalar(
        "-- select_log_url
        SELECT rekor_log_url FROM vex.observations WHERE tenant_id = $1 AND rekor_log_id = $2 LIMIT 1",
    )
    .bind(tenant.as_str())
    .bind(log.to_text())
    .fetch_optional(connection)
    .await?;
    Ok(url.unwrap_or_default())
}

async fn set_backfilled(connection: &mut PgConnection, tenant: &TenantId) -> Result<()> {
    sqlx::query(
        "-- set_backfilled
        UPDATE findings.ledger_chains SET backfilled_at = last_at WHERE tenant_id = $1",
    )
    .bind(tenant.as_str())
    .execute(connection)
    .await?;
    Ok(())
}
