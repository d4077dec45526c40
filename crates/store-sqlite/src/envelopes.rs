//! `attestor_envelopes` and `attestor_envelope_members`.

use std::collections::BTreeMap;

use provex_core::ids::{DocumentDigest, EnvelopeDigest, ObservationId, TenantId};
use provex_core::intoto::SetCommitment;
use provex_core::time::Timestamp;
use provex_store::ledger::{AttestedMember, EnvelopeFacts};
use provex_store::{LeaseToken, NewEnvelope, SignedEnvelope, StoredEnvelope};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::connection::Connections;
use crate::failure::Result;
use crate::sql::{Stored, insert_rows, signed};
use crate::{submissions, tenants};

/// The two kinds of members.
mod kind {
    pub(super) const DOCUMENT: &str = "document";
    pub(super) const OBSERVATION: &str = "observation";
}

pub(crate) async fn record(
    connections: &Connections,
    tenant: &TenantId,
    now: Timestamp,
    token: LeaseToken,
    replaces: &[uuid::Uuid],
    envelopes: &[NewEnvelope],
) -> Result<()> {
    let mut tx = connections.write().await?;
    tenants::require(&mut tx, tenant).await?;
    for submission in replaces {
        submissions::finish(&mut tx, tenant, token, *submission).await?;
    }
    for envelope in envelopes {
        // The same statement signed again is the same envelope, with the same members.
        if insert_envelope(&mut tx, tenant, envelope, now).await? {
            insert_members(&mut tx, tenant, envelope).await?;
        }
        submissions::insert_submit(&mut tx, tenant, envelope, now).await?;
    }
    tx.commit().await
}

/// Records an anchor's envelope and queues it.
pub(crate) async fn insert_anchor(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    anchor: &NewEnvelope,
    now: Timestamp,
) -> Result<()> {
    insert_envelope(connection, tenant, anchor, now).await?;
    submissions::insert_submit(connection, tenant, anchor, now).await
}

pub(crate) async fn envelope(
    connections: &Connections,
    tenant: &TenantId,
    digest: &EnvelopeDigest,
) -> Result<Option<StoredEnvelope>> {
    let mut tx = connections.read_snapshot().await?;
    let envelope = select_whole(&mut tx, tenant, digest).await?;
    tenants::found_or_unknown(&mut tx, tenant, envelope).await
}

pub(crate) async fn to_send(
    connections: &Connections,
    tenant: &TenantId,
    digests: &[EnvelopeDigest],
) -> Result<BTreeMap<EnvelopeDigest, SignedEnvelope>> {
    let mut tx = connections.read_snapshot().await?;
    let mut found = BTreeMap::new();
    for digest in digests {
        if let Some(envelope) = select_envelope(&mut tx, tenant, digest).await? {
            let StoredEnvelope { bytes, key_fingerprint, .. } = envelope;
            found.insert(*digest, SignedEnvelope { bytes, key_fingerprint });
        }
    }
    if found.is_empty() {
        tenants::require(&mut tx, tenant).await?;
    }
    Ok(found)
}

pub(crate) async fn envelopes(
    connections: &Connections,
    tenant: &TenantId,
    digests: &[EnvelopeDigest],
) -> Result<BTreeMap<EnvelopeDigest, StoredEnvelope>> {
    let mut tx = connections.read_snapshot().await?;
    let mut found = BTreeMap::new();
    for digest in digests {
        if let Some(envelope) = select_whole(&mut tx, tenant, digest).await? {
            found.insert(*digest, envelope);
        }
    }
    if found.is_empty() {
        tenants::require(&mut tx, tenant).await?;
    }
    Ok(found)
}

pub(crate) async fn of_document(
    connections: &Connections,
    tenant: &TenantId,
    digest: &DocumentDigest,
) -> Result<Vec<EnvelopeDigest>> {
    let mut connection = connections.read().await?;
    let envelopes = select_of_document(&mut connection, tenant, digest).await?;
    if envelopes.is_empty() {
        tenants::require(&mut connection, tenant).await?;
    }
    Ok(envelopes)
}

/// Whether it was inserted now.
async fn insert_envelope(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    envelope: &NewEnvelope,
    now: Timestamp,
) -> Result<bool> {
    let done = sqlx::query(
        "-- insert_envelope
        INSERT INTO attestor_envelopes
            (tenant_id, dsse_digest, envelope, predicate_type, key_fingerprint, set_root, set_size, created_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant_id, dsse_digest) DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(envelope.digest.to_text())
    .bind(envelope.bytes.as_slice())
    .bind(envelope.predicate_type.as_str())
    .bind(envelope.key_fingerprint.to_hex())
    .bind(envelope.set.root.to_hex())
    .bind(signed(envelope.set.size)?)
    .bind(now.as_unix_micros())
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn insert_members(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    envelope: &NewEnvelope,
) -> Result<()> {
    let digest = envelope.digest.to_text();
    let documents = envelope.documents.iter().map(DocumentDigest::digest);
    let observations = envelope.observations.iter().map(ObservationId::digest);
    let documents = (0_i64..).zip(documents).map(|(position, member)| (kind::DOCUMENT, position, member));
    let observations =
        (0_i64..).zip(observations).map(|(position, member)| (kind::OBSERVATION, position, member));
    let rows: Vec<_> = documents.chain(observations).collect();
    insert_rows(
        connection,
        "-- insert_members
        INSERT INTO attestor_envelope_members (tenant_id, dsse_digest, kind, position, member)
        VALUES (?, ?, ?, ?, ?)",
        &rows,
        |query, (kind, position, member)| {
            query.bind(tenant.as_str()).bind(digest.clone()).bind(*kind).bind(position).bind(member.to_hex())
        },
    )
    .await
}

/// An envelope with its members.
async fn select_whole(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    digest: &EnvelopeDigest,
) -> Result<Option<StoredEnvelope>> {
    let Some(mut envelope) = select_envelope(connection, tenant, digest).await? else { return Ok(None) };
    let documents = select_members(connection, tenant, digest, kind::DOCUMENT).await?;
    let observations = select_members(connection, tenant, digest, kind::OBSERVATION).await?;
    envelope.documents = documents.into_iter().map(DocumentDigest::new).collect();
    envelope.observations = observations.into_iter().map(ObservationId::new).collect();
    Ok(Some(envelope))
}

async fn select_envelope(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    digest: &EnvelopeDigest,
) -> Result<Option<StoredEnvelope>> {
    let row = sqlx::query(
        "-- select_envelope
        SELECT tenant_id, dsse_digest, envelope, predicate_type, key_fingerprint, set_root, set_size, created_at
        FROM attestor_envelopes WHERE tenant_id = ? AND dsse_digest = ?",
    )
    .bind(tenant.as_str())
    .bind(digest.to_text())
    .fetch_optional(connection)
    .await?;
    row.map(|row| read_envelope(&row)).transpose()
}

fn read_envelope(row: &SqliteRow) -> Result<StoredEnvelope> {
    let row = Stored::new(row, "attestor_envelopes", &["tenant_id", "dsse_digest"]);
    Ok(StoredEnvelope {
        bytes: row.get("envelope")?,
        predicate_type: row.get("predicate_type")?,
        key_fingerprint: row.digest("key_fingerprint")?,
        set: SetCommitment { root: row.digest("set_root")?, size: row.unsigned("set_size")? },
        documents: Vec::new(),
        observations: Vec::new(),
        created_at: row.time("created_at")?,
    })
}

/// What an event says of an envelope.
pub(crate) async fn select_facts(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    digest: &EnvelopeDigest,
) -> Result<Option<EnvelopeFacts>> {
    let row = sqlx::query(
        "-- select_facts
        SELECT tenant_id, dsse_digest, predicate_type, key_fingerprint, set_root, set_size, created_at
        FROM attestor_envelopes WHERE tenant_id = ? AND dsse_digest = ?",
    )
    .bind(tenant.as_str())
    .bind(digest.to_text())
    .fetch_optional(connection)
    .await?;
    row.map(|row| read_facts(&row)).transpose()
}

fn read_facts(row: &SqliteRow) -> Result<EnvelopeFacts> {
    let row = Stored::new(row, "attestor_envelopes", &["tenant_id", "dsse_digest"]);
    Ok(EnvelopeFacts {
        digest: EnvelopeDigest::new(row.digest("dsse_digest")?),
        predicate_type: row.get("predicate_type")?,
        key_fingerprint: row.digest("key_fingerprint")?,
        set: SetCommitment { root: row.digest("set_root")?, size: row.unsigned("set_size")? },
        created_at: row.time("created_at")?,
    })
}

/// What rows say of an envelope's observations, in set order.
pub(crate) async fn select_attested(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    digest: &EnvelopeDigest,
) -> Result<Vec<AttestedMember>> {
    let rows = sqlx::query(
        "-- select_attested
        SELECT o.tenant_id, o.observation_id, o.vulnerability_id, o.product_key
        FROM attestor_envelope_members AS m
            JOIN vex_observations AS o ON o.tenant_id = m.tenant_id AND o.observation_id = m.member
        WHERE m.tenant_id = ? AND m.dsse_digest = ? AND m.kind = 'observation' ORDER BY m.position",
    )
    .bind(tenant.as_str())
    .bind(digest.to_text())
    .fetch_all(connection)
    .await?;
    let read = |row| {
        let row = Stored::new(row, "vex_observations", &["tenant_id", "observation_id"]);
        let id = ObservationId::new(row.digest("observation_id")?);
        let (vulnerability_id, product_key) = (row.get("vulnerability_id")?, row.get("product_key")?);
        Ok(AttestedMember { id, vulnerability_id, product_key })
    };
    rows.iter().map(read).collect()
}

async fn select_members(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    digest: &EnvelopeDigest,
    kind: &'static str,
) -> Result<Vec<provex_core::digest::Digest>> {
    let rows = sqlx::query(
        "-- select_members
        SELECT dsse_digest, kind, position, member FROM attestor_envelope_members
        WHERE tenant_id = ? AND dsse_digest = ? AND kind = ? ORDER BY position",
    )
    .bind(tenant.as_str())
    .bind(digest.to_text())
    .bind(kind)
    .fetch_all(connection)
    .await?;
    let stored = |row| Stored::new(row, "attestor_envelope_members", &["dsse_digest", "kind", "position"]);
    rows.iter().map(|row| stored(row).digest("member")).collect()
}

async fn select_of_document(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    digest: &DocumentDigest,
) -> Result<Vec<EnvelopeDigest>> {
    let rows = sqlx::query(
        "-- select_of_document
        SELECT tenant_id, dsse_digest
        FROM attestor_envelope_members JOIN attestor_envelopes USING (tenant_id, dsse_digest)
        WHERE tenant_id = ? AND kind = 'document' AND member = ?
        ORDER BY created_at, dsse_digest",
    )
    .bind(tenant.as_str())
    .bind(digest.to_text())
    .fetch_all(connection)
    .await?;
    let stored = |row| Stored::new(row, "attestor_envelopes", &["tenant_id", "dsse_digest"]);
    rows.iter().map(|row| stored(row).digest("dsse_digest").map(EnvelopeDigest::new)).collect()
}
