//! `attestor.envelopes` and `attestor.envelope_members`.

use std::collections::{BTreeMap, BTreeSet};

use provex_core::ids::{DocumentDigest, EnvelopeDigest, ObservationId, TenantId};
use provex_core::intoto::SetCommitment;
use provex_core::time::Timestamp;
use provex_store::ledger::{AttestedMember, EnvelopeFacts};
use provex_store::{LeaseToken, NewEnvelope, SignedEnvelope, StoredEnvelope};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::connection::{Attempt, Database};
use crate::failure::Result;
use crate::sql::{Stored, Time, signed};
use crate::{ledger_events, submissions, tenants};

/// The two kinds of members.
mod kind {
    pub(super) const DOCUMENT: &str = "document";
    pub(super) const OBSERVATION: &str = "observation";
}

pub(crate) async fn record(
    database: &Database,
    tenant: &TenantId,
    now: Timestamp,
    token: LeaseToken,
    replaces: &[uuid::Uuid],
    envelopes: &[NewEnvelope],
) -> Result<Attempt<()>> {
    let mut tx = database.begin(tenant).await?;
    ledger_events::lock(&mut tx, tenant).await?;
    submissions::finish(&mut tx, tenant, token, replaces).await?;
    let mut sorted: Vec<_> = envelopes.iter().collect();
    sorted.sort_by_key(|envelope| envelope.digest);
    sorted.dedup_by_key(|envelope| envelope.digest);
    // The same statement signed again is the same envelope, with the same members.
    let new = insert_envelopes(&mut tx, tenant, &sorted, now).await?;
    let new: Vec<_> = sorted.iter().copied().filter(|envelope| new.contains(&envelope.digest)).collect();
    insert_members(&mut tx, tenant, &new).await?;
    submissions::insert_submit(&mut tx, tenant, &sorted, now).await?;
    tx.commit(()).await
}

/// Records an anchor's envelope and queues it.
pub(crate) async fn insert_anchor(
    connection: &mut PgConnection,
    tenant: &TenantId,
    anchor: &NewEnvelope,
    now: Timestamp,
) -> Result<()> {
    insert_envelopes(connection, tenant, &[anchor], now).await?;
    submissions::insert_submit(connection, tenant, &[anchor], now).await
}

pub(crate) async fn envelope(
    database: &Database,
    tenant: &TenantId,
    digest: &EnvelopeDigest,
) -> Result<Option<StoredEnvelope>> {
    let mut tx = database.snapshot(tenant).await?;
    let envelope = select_envelopes(&mut tx, tenant, &[*digest]).await?.remove(digest);
    let envelope = tenants::found_or_unknown(&mut tx, tenant, envelope).await?;
    tx.end(envelope).await
}

pub(crate) async fn to_send(
    database: &Database,
    tenant: &TenantId,
    digests: &[EnvelopeDigest],
) -> Result<BTreeMap<EnvelopeDigest, SignedEnvelope>> {
    let mut tx = database.begin(tenant).await?;
    let found = select_signed(&mut tx, tenant, digests).await?;
    if found.is_empty() {
        tenants::require(&mut tx, tenant).await?;
    }
    tx.end(found).await
}

pub(crate) async fn envelopes(
    database: &Database,
    tenant: &TenantId,
    digests: &[EnvelopeDigest],
) -> Result<BTreeMap<EnvelopeDigest, StoredEnvelope>> {
    let mut tx = database.snapshot(tenant).await?;
    let found = select_envelopes(&mut tx, tenant, digests).await?;
    if found.is_empty() {
        tenants::require(&mut tx, tenant).await?;
    }
    tx.end(found).await
}

pub(crate) async fn of_document(
    database: &Database,
    tenant: &TenantId,
    digest: &DocumentDigest,
) -> Result<Vec<EnvelopeDigest>> {
    let mut tx = database.begin(tenant).await?;
    let envelopes = select_of_document(&mut tx, tenant, digest).await?;
    if envelopes.is_empty() {
        tenants::require(&mut tx, tenant).await?;
    }
    tx.end(envelopes).await
}

/// Those that were inserted now.
async fn insert_envelopes(
    connection: &mut PgConnection,
    tenant: &TenantId,
    envelopes: &[&NewEnvelope],
    now: Timestamp,
) -> Result<BTreeSet<EnvelopeDigest>> {
    let sizes = envelopes.iter().map(|e| signed(e.set.size)).collect::<Result<Vec<_>>>()?;
    let rows = sqlx::query(
        "-- insert_envelopes
        INSERT INTO attestor.envelopes
            (tenant_id, dsse_digest, envelope, predicate_type, key_fingerprint, set_root, set_size, created_at)
        SELECT $1, u.dsse_digest, u.envelope, u.predicate_type, u.key_fingerprint, u.set_root, u.set_size, $2
        FROM unnest($3::text[], $4::bytea[], $5::text[], $6::text[], $7::text[], $8::bigint[])
            AS u (dsse_digest, envelope, predicate_type, key_fingerprint, set_root, set_size)
        ON CONFLICT (tenant_id, dsse_digest) DO NOTHING RETURNING tenant_id, dsse_digest",
    )
    .bind(tenant.as_str())
    .bind(Time(now))
    .bind(envelopes.iter().map(|e| e.digest.to_text()).collect::<Vec<_>>())
    .bind(envelopes.iter().map(|e| e.bytes.as_slice()).collect::<Vec<_>>())
    .bind(envelopes.iter().map(|e| e.predicate_type.as_str()).collect::<Vec<_>>())
    .bind(envelopes.iter().map(|e| e.key_fingerprint.to_hex()).collect::<Vec<_>>())
    .bind(envelopes.iter().map(|e| e.set.root.to_hex()).collect::<Vec<_>>())
    .bind(sizes)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| stored(row).digest("dsse_digest").map(EnvelopeDigest::new)).collect()
}

async fn insert_members(
    connection: &mut PgConnection,
    tenant: &TenantId,
    envelopes: &[&NewEnvelope],
) -> Result<()> {
    let mut digests = Vec::new();
    let (mut kinds, mut positions, mut members) = (Vec::new(), Vec::<i64>::new(), Vec::new());
    for envelope in envelopes {
        let documents = envelope.documents.iter().map(|member| (kind::DOCUMENT, member.digest()));
        let observations = envelope.observations.iter().map(|member| (kind::OBSERVATION, member.digest()));
        let rows = (0..).zip(documents).chain((0..).zip(observations));
        for (position, (kind, member)) in rows {
            digests.push(envelope.digest.to_text());
            kinds.push(kind);
            positions.push(position);
            members.push(member.to_hex());
        }
    }
    sqlx::query(
        "-- insert_members
        INSERT INTO attestor.envelope_members (tenant_id, dsse_digest, kind, position, member)
        SELECT $1, u.dsse_digest, u.kind, u.position, u.member
        FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[]) AS u (dsse_digest, kind, position, member)
        ON CONFLICT (tenant_id, dsse_digest, kind, position) DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(digests)
    .bind(kinds)
    .bind(positions)
    .bind(members)
    .execute(connection)
    .await?;
    Ok(())
}

async fn select_signed(
    connection: &mut PgConnection,
    tenant: &TenantId,
    digests: &[EnvelopeDigest],
) -> Result<BTreeMap<EnvelopeDigest, SignedEnvelope>> {
    let rows = sqlx::query(
        "-- select_signed
        SELECT tenant_id, dsse_digest, envelope, key_fingerprint
        FROM attestor.envelopes WHERE tenant_id = $1 AND dsse_digest = ANY($2)",
    )
    .bind(tenant.as_str())
    .bind(digests.iter().map(EnvelopeDigest::to_text).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let read = |row| {
        let row = stored(row);
        let (bytes, key_fingerprint) = (row.get("envelope")?, row.digest("key_fingerprint")?);
        Ok((EnvelopeDigest::new(row.digest("dsse_digest")?), SignedEnvelope { bytes, key_fingerprint }))
    };
    rows.iter().map(read).collect()
}

/// Envelopes with their members.
async fn select_envelopes(
    connection: &mut PgConnection,
    tenant: &TenantId,
    digests: &[EnvelopeDigest],
) -> Result<BTreeMap<EnvelopeDigest, StoredEnvelope>> {
    let digests: Vec<_> = digests.iter().map(EnvelopeDigest::to_text).collect();
    let rows = sqlx::query(
        "-- select_envelopes
        SELECT tenant_id, dsse_digest, envelope, predicate_type, key_fingerprint, set_root, set_size, created_at
        FROM attestor.envelopes WHERE tenant_id = $1 AND dsse_digest = ANY($2)",
    )
    .bind(tenant.as_str())
    .bind(&digests)
    .fetch_all(&mut *connection)
    .await?;
    let mut found: BTreeMap<_, _> = rows.iter().map(read_envelope).collect::<Result<_>>()?;
    for row in select_members(connection, tenant, &digests).await? {
        let row = Stored::new(&row, "attestor.envelope_members", &["dsse_digest", "kind"]);
        let member = row.digest("member")?;
        let Some(envelope) = found.get_mut(&EnvelopeDigest::new(row.digest("dsse_digest")?)) else {
            continue;
        };
        match row.get("kind")? {
            kind::DOCUMENT => envelope.documents.push(DocumentDigest::new(member)),
            _ => envelope.observations.push(ObservationId::new(member)),
        }
    }
    Ok(found)
}

fn read_envelope(row: &PgRow) -> Result<(EnvelopeDigest, StoredEnvelope)> {
    let row = stored(row);
    let envelope = StoredEnvelope {
        bytes: row.get("envelope")?,
        predicate_type: row.get("predicate_type")?,
        key_fingerprint: row.digest("key_fingerprint")?,
        set: SetCommitment { root: row.digest("set_root")?, size: row.unsigned("set_size")? },
        documents: Vec::new(),
        observations: Vec::new(),
        created_at: row.time("created_at")?,
    };
    Ok((EnvelopeDigest::new(row.digest("dsse_digest")?), envelope))
}

/// What an event says of these envelopes.
pub(crate) async fn select_facts(
    connection: &mut PgConnection,
    tenant: &TenantId,
    digests: &[EnvelopeDigest],
) -> Result<BTreeMap<EnvelopeDigest, EnvelopeFacts>> {
    let rows = sqlx::query(
        "-- select_facts
        SELECT tenant_id, dsse_digest, predicate_type, key_fingerprint, set_root, set_size, created_at
        FROM attestor.envelopes WHERE tenant_id = $1 AND dsse_digest = ANY($2)",
    )
    .bind(tenant.as_str())
    .bind(digests.iter().map(EnvelopeDigest::to_text).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    rows.iter().map(read_facts).map(|facts| facts.map(|facts| (facts.digest, facts))).collect()
}

fn read_facts(row: &PgRow) -> Result<EnvelopeFacts> {
    let row = stored(row);
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
    connection: &mut PgConnection,
    tenant: &TenantId,
    digest: &EnvelopeDigest,
) -> Result<Vec<AttestedMember>> {
    let rows = sqlx::query(
        "-- select_attested
        SELECT o.tenant_id, o.observation_id, o.vulnerability_id, o.product_key
        FROM attestor.envelope_members AS m
            JOIN vex.observations AS o ON o.tenant_id = m.tenant_id AND o.observation_id = m.member
        WHERE m.tenant_id = $1 AND m.dsse_digest = $2 AND m.kind = 'observation' ORDER BY m.position",
    )
    .bind(tenant.as_str())
    .bind(digest.to_text())
    .fetch_all(connection)
    .await?;
    let read = |row| {
        let row = Stored::new(row, "vex.observations", &["tenant_id", "observation_id"]);
        let id = ObservationId::new(row.digest("observation_id")?);
        let (vulnerability_id, product_key) = (row.get("vulnerability_id")?, row.get("product_key")?);
        Ok(AttestedMember { id, vulnerability_id, product_key })
    };
    rows.iter().map(read).collect()
}

/// The members of envelopes, each envelope's of a kind in their order.
async fn select_members(
    connection: &mut PgConnection,
    tenant: &TenantId,
    digests: &[String],
) -> Result<Vec<PgRow>> {
    let rows = sqlx::query(
        "-- select_members
        SELECT dsse_digest, kind, position, member FROM attestor.envelope_members
        WHERE tenant_id = $1 AND dsse_digest = ANY($2) ORDER BY dsse_digest, kind, position",
    )
    .bind(tenant.as_str())
    .bind(digests)
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

async fn select_of_document(
    connection: &mut PgConnection,
    tenant: &TenantId,
    digest: &DocumentDigest,
) -> Result<Vec<EnvelopeDigest>> {
    let rows = sqlx::query(
        "-- select_of_document
        SELECT tenant_id, dsse_digest
        FROM attestor.envelope_members JOIN attestor.envelopes USING (tenant_id, dsse_digest)
        WHERE tenant_id = $1 AND kind = 'document' AND member = $2
        ORDER BY created_at, dsse_digest",
    )
    .bind(tenant.as_str())
    .bind(digest.to_text())
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| stored(row).digest("dsse_digest").map(EnvelopeDigest::new)).collect()
}

fn stored(row: &PgRow) -> Stored<'_> {
    Stored::new(row, "attestor.envelopes", &["tenant_id", "dsse_digest"])
}
