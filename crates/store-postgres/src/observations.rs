//! `vex.observations` with its linkage columns, and `vex.observation_keys`.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use provex_core::digest::Digest;
use provex_core::ids::{ClaimDigest, DocumentDigest, EnvelopeDigest, LogId, ObservationId, TenantId};
use provex_core::jcs::ObjectWriter;
use provex_core::linkage::{Linkage, LinkageFields, LinkedEntry};
use provex_core::time::Timestamp;
use provex_core::vex::Status;
use provex_store::ledger::{AttestedMember, KnownMember, LinkedNow};
use provex_store::{
    Error, LinkageRow, NewObservation, ObservationFilter, ObservationPosition, ObservationRow, OlderLinkage,
};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, QueryBuilder};

use crate::connection::Database;
use crate::failure::Result;
use crate::sql::{Stored, Time, limit as sql_limit, signed, sought};
use crate::tenants;

pub(crate) async fn observation(
    database: &Database,
    tenant: &TenantId,
    id: &ObservationId,
) -> Result<Option<ObservationRow>> {
    let mut tx = database.begin(tenant).await?;
    let row = select_observation(&mut tx, tenant, id).await?;
    let row = tenants::found_or_unknown(&mut tx, tenant, row).await?;
    tx.end(row).await
}

pub(crate) async fn bodies(
    database: &Database,
    tenant: &TenantId,
    ids: &[ObservationId],
) -> Result<Vec<(ObservationId, Vec<u8>)>> {
    let mut tx = database.begin(tenant).await?;
    let bodies = select_bodies(&mut tx, tenant, ids).await?;
    if bodies.is_empty() {
        tenants::require(&mut tx, tenant).await?;
    }
    tx.end(bodies).await
}

pub(crate) async fn page(
    database: &Database,
    tenant: &TenantId,
    filter: &ObservationFilter,
    after: Option<ObservationPosition>,
    limit: usize,
) -> Result<Vec<ObservationRow>> {
    let mut tx = database.begin(tenant).await?;
    let rows = select_page(&mut tx, tenant, filter, after, limit).await?;
    if rows.is_empty() {
        tenants::require(&mut tx, tenant).await?;
    }
    tx.end(rows).await
}

/// Inserts observations, which are sorted by id, and their keys.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    tenant: &TenantId,
    rows: &[(DocumentDigest, &NewObservation)],
    created_at: Timestamp,
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = rows.iter().map(|(_, o)| o.id.digest().to_hex()).collect();
    sqlx::query(
        "-- insert
        INSERT INTO vex.observations
            (tenant_id, observation_id, document_digest, claim_digest, body, status, vulnerability_id, product_key,
             subcomponent_key, created_at)
        SELECT $1, u.observation_id, u.document_digest, u.claim_digest, u.body, u.status, u.vulnerability_id,
            u.product_key, u.subcomponent_key, $2
        FROM unnest($3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::text[], $9::text[], $10::text[])
            AS u (observation_id, document_digest, claim_digest, body, status, vulnerability_id, product_key,
                subcomponent_key)
        ON CONFLICT (tenant_id, observation_id) DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(Time(created_at))
    .bind(&ids)
    .bind(rows.iter().map(|(document, _)| document.to_text()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, o)| o.claim_digest.to_text()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, o)| o.body.as_slice()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, o)| o.status.label()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, o)| o.vulnerability_id.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, o)| o.product_key.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, o)| o.subcomponent_key.as_deref()).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await?;
    let mut keys: Vec<_> = rows
        .iter()
        .zip(&ids)
        .flat_map(|((_, o), id)| o.keys.iter().map(|(kind, key)| (kind.label(), key.as_str(), id.as_str())))
        .collect();
    keys.sort_unstable();
    insert_keys(connection, tenant, &keys).await
}

async fn insert_keys(
    connection: &mut PgConnection,
    tenant: &TenantId,
    keys: &[(&'static str, &str, &str)],
) -> Result<()> {
    sqlx::query(
        "-- insert_keys
        INSERT INTO vex.observation_keys (tenant_id, kind, key, observation_id)
        SELECT $1, u.kind, u.key, u.observation_id
        FROM unnest($2::text[], $3::text[], $4::text[]) AS u (kind, key, observation_id)
        ON CONFLICT (tenant_id, kind, key, observation_id) DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(keys.iter().map(|(kind, _, _)| *kind).collect::<Vec<_>>())
    .bind(keys.iter().map(|(_, key, _)| *key).collect::<Vec<_>>())
    .bind(keys.iter().map(|(_, _, id)| *id).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// The documents' observations, ascending.
pub(crate) async fn select_ids_of_documents(
    connection: &mut PgConnection,
    tenant: &TenantId,
    digests: &[DocumentDigest],
) -> Result<Vec<(DocumentDigest, ObservationId)>> {
    let read = |row: &PgRow| {
        let row = stored(row);
        let document = DocumentDigest::new(row.digest("document_digest")?);
        Ok((document, ObservationId::new(row.digest("observation_id")?)))
    };
    // Row by row, as a document may have hundreds of thousands.
    sqlx::query(
        "-- select_ids_of_documents
        SELECT tenant_id, observation_id, document_digest FROM vex.observations
        WHERE tenant_id = $1 AND document_digest = ANY($2) ORDER BY observation_id",
    )
    .bind(tenant.as_str())
    .bind(digests.iter().map(|digest| digest.to_text()).collect::<Vec<_>>())
    .fetch(connection)
    .err_into()
    .and_then(|row| ready(read(&row)))
    .try_collect()
    .await
}

/// The documents' observations, ascending, and when each was recorded.
pub(crate) async fn select_times_of_documents(
    connection: &mut PgConnection,
    tenant: &TenantId,
    digests: &[DocumentDigest],
) -> Result<Vec<(DocumentDigest, ObservationId, Timestamp)>> {
    let rows = sqlx::query(
        "-- select_times_of_documents
        SELECT tenant_id, observation_id, document_digest, created_at FROM vex.observations
        WHERE tenant_id = $1 AND document_digest = ANY($2) ORDER BY observation_id",
    )
    .bind(tenant.as_str())
    .bind(digests.iter().map(|digest| digest.to_text()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let read = |row| {
        let row = stored(row);
        let document = DocumentDigest::new(row.digest("document_digest")?);
        Ok((document, ObservationId::new(row.digest("observation_id")?), row.time("created_at")?))
    };
    rows.iter().map(read).collect()
}

/// What an attestation says of these observations, and whether they are linked.
pub(crate) async fn select_members(
    connection: &mut PgConnection,
    tenant: &TenantId,
    ids: &[ObservationId],
) -> Result<BTreeMap<ObservationId, KnownMember>> {
    let rows = sqlx::query(
        "-- select_members
        SELECT tenant_id, observation_id, vulnerability_id, product_key, rekor_uuid IS NOT NULL AS linked
        FROM vex.observations WHERE tenant_id = $1 AND observation_id = ANY($2)",
    )
    .bind(tenant.as_str())
    .bind(ids.iter().map(|id| id.digest().to_hex()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| read_member(row).map(|member| (member.attested.id, member))).collect()
}

pub(crate) fn read_member(row: &PgRow) -> Result<KnownMember> {
    let row = stored(row);
    let id = ObservationId::new(row.digest("observation_id")?);
    let (vulnerability_id, product_key) = (row.get("vulnerability_id")?, row.get("product_key")?);
    let attested = AttestedMember { id, vulnerability_id, product_key };
    Ok(KnownMember { attested, linked: row.get("linked")? })
}

async fn select_bodies(
    connection: &mut PgConnection,
    tenant: &TenantId,
    ids: &[ObservationId],
) -> Result<Vec<(ObservationId, Vec<u8>)>> {
    let rows = sqlx::query(
        "-- select_bodies
        SELECT tenant_id, observation_id, body FROM vex.observations
        WHERE tenant_id = $1 AND observation_id = ANY($2)",
    )
    .bind(tenant.as_str())
    .bind(ids.iter().map(|id| id.digest().to_hex()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    rows.iter().map(read_body).collect()
}

fn read_body(row: &PgRow) -> Result<(ObservationId, Vec<u8>)> {
    let row = stored(row);
    Ok((ObservationId::new(row.digest("observation_id")?), row.get("body")?))
}

/// What linkages to the entry at a position say; none where there are none.
pub(crate) async fn select_linked_at(
    connection: &mut PgConnection,
    tenant: &TenantId,
    log: LogId,
    index: u64,
) -> Result<Option<LinkedEntry>> {
    let row = sqlx::query(
        "-- select_linked_at
        SELECT tenant_id, observation_id, rekor_uuid, rekor_log_id, rekor_log_index, rekor_log_url, rekor_tree_size,
            rekor_tree_root, rekor_integrated_time, rekor_timestamp_time, rekor_entry_kind, rekor_entry_version,
            rekor_entry_body_hash, rekor_inclusion_proof::text, rekor_envelope_digest, rekor_set_index, rekor_set_path,
            rekor_linked_at
        FROM vex.observations WHERE tenant_id = $1 AND rekor_log_id = $2 AND rekor_log_index = $3
            -- An older release may have linked with a part of the columns.
            AND num_nulls(rekor_log_url, rekor_tree_size, rekor_tree_root, rekor_entry_kind, rekor_entry_version,
                rekor_entry_body_hash, rekor_inclusion_proof, rekor_envelope_digest, rekor_set_index, rekor_set_path,
                rekor_linked_at) = 0
        LIMIT 1",
    )
    .bind(tenant.as_str())
    .bind(log.to_text())
    .bind(signed(index)?)
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        let row = stored(&row);
        let id = ObservationId::new(row.digest("observation_id")?);
        let linkage = read_linkage(&row, id, row.digest("rekor_uuid")?)?;
        Ok((*linkage.fields.entry).clone())
    })
    .transpose()
}

/// Sets linkages of observations that have none.
pub(crate) async fn link(
    connection: &mut PgConnection,
    tenant: &TenantId,
    linkages: &[LinkedNow<'_>],
) -> Result<()> {
    if linkages.is_empty() {
        return Ok(());
    }
    // Those of one entry follow one another, and share its columns; rows are written by key.
    let mut entries: Vec<&LinkedEntry> = Vec::new();
    let mut rows = Vec::with_capacity(linkages.len());
    for of_entry in linkages.chunk_by(|a, b| Arc::ptr_eq(&a.linkage.entry, &b.linkage.entry)) {
        entries.push(&of_entry[0].linkage.entry);
        rows.extend(of_entry.iter().map(|linked| (entries.len() as i64, linked)));
    }
    rows.sort_by_key(|(_, linked)| linked.linkage.observation);
    set_linkages(connection, tenant, &entries, &rows).await
}

async fn set_linkages(
    connection: &mut PgConnection,
    tenant: &TenantId,
    entries: &[&LinkedEntry],
    rows: &[(i64, &LinkedNow<'_>)],
) -> Result<()> {
    let linkages = || rows.iter().map(|(_, linked)| linked.linkage);
    let path = |l: &Linkage| l.set_path.iter().flat_map(|hash| *hash.as_bytes()).collect::<Vec<u8>>();
    let numbers = |number: fn(&LinkedEntry) -> u64| {
        entries.iter().map(|e| signed(number(e))).collect::<Result<Vec<_>>>()
    };
    let proofs = entries.iter().map(|entry| write_proof(entry)).collect::<Result<Vec<_>>>()?;
    let indexes = linkages().map(|l| signed(l.set_index)).collect::<Result<Vec<_>>>()?;
    sqlx::query(
        "-- set_linkages
        UPDATE vex.observations AS o SET
            rekor_uuid = e.rekor_uuid, rekor_log_id = e.log_id, rekor_log_index = e.log_index,
            rekor_log_url = e.log_url, rekor_tree_size = e.tree_size, rekor_tree_root = e.tree_root,
            rekor_integrated_time = e.integrated_time, rekor_timestamp_time = e.timestamp_time,
            rekor_entry_kind = e.kind, rekor_entry_version = e.version, rekor_entry_body_hash = e.body_hash,
            rekor_inclusion_proof = e.proof::jsonb, rekor_envelope_digest = e.envelope, rekor_set_index = r.set_index,
            rekor_set_path = r.set_path, rekor_linked_at = r.at
        FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bytea[], $6::timestamptz[])
                AS r (observation_id, entry, set_index, set_path, at)
            JOIN unnest(
                $7::text[], $8::text[], $9::bigint[], $10::text[], $11::bigint[], $12::text[], $13::timestamptz[],
                $14::timestamptz[], $15::text[], $16::text[], $17::text[], $18::text[], $19::text[])
                WITH ORDINALITY AS e (rekor_uuid, log_id, log_index, log_url, tree_size, tree_root, integrated_time,
                    timestamp_time, kind, version, body_hash, proof, envelope, entry) USING (entry)
        WHERE o.tenant_id = $1 AND o.observation_id = r.observation_id AND o.rekor_uuid IS NULL",
    )
    .bind(tenant.as_str())
    .bind(linkages().map(|l| l.observation.digest().to_hex()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(entry, _)| *entry).collect::<Vec<_>>())
    .bind(indexes)
    .bind(linkages().map(path).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, linked)| Time(linked.at)).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.rekor_uuid.to_hex()).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.log_id.to_text()).collect::<Vec<_>>())
    .bind(numbers(|e| e.log_index)?)
    .bind(entries.iter().map(|e| e.log_url.as_str()).collect::<Vec<_>>())
    .bind(numbers(|e| e.tree_size)?)
    .bind(entries.iter().map(|e| e.tree_root.to_hex()).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.integrated_time.map(Time)).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.timestamp_time.map(Time)).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.entry_kind.as_str()).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.entry_version.as_str()).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.entry_body_hash.to_hex()).collect::<Vec<_>>())
    .bind(proofs)
    .bind(entries.iter().map(|e| e.envelope_digest.to_text()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

async fn select_observation(
    connection: &mut PgConnection,
    tenant: &TenantId,
    id: &ObservationId,
) -> Result<Option<ObservationRow>> {
    let row = sqlx::query(
        "-- select_observation
        SELECT tenant_id, observation_id, document_digest, claim_digest, body, status, vulnerability_id, product_key,
            subcomponent_key, created_at, rekor_uuid, rekor_log_id,
            rekor_log_index, rekor_log_url, rekor_tree_size, rekor_tree_root, rekor_integrated_time,
            rekor_timestamp_time, rekor_entry_kind, rekor_entry_version, rekor_entry_body_hash,
            rekor_inclusion_proof::text, rekor_envelope_digest, rekor_set_index, rekor_set_path, rekor_linked_at
        FROM vex.observations WHERE tenant_id = $1 AND observation_id = $2",
    )
    .bind(tenant.as_str())
    .bind(id.digest().to_hex())
    .fetch_optional(connection)
    .await?;
    row.map(|row| read_observation(&row)).transpose()
}

async fn select_page(
    connection: &mut PgConnection,
    tenant: &TenantId,
    filter: &ObservationFilter,
    after: Option<ObservationPosition>,
    limit: usize,
) -> Result<Vec<ObservationRow>> {
    // Not kept: the sixth time a kept statement is planned once for every tenant there may be, over all partitions, which
    // takes longer than several pages.
    let mut query = page_query(tenant, filter, after, limit);
    let rows = query.build().persistent(false).fetch_all(connection).await?;
    rows.iter().map(read_observation).collect()
}

/// The one statement that is put together: a condition for each filter that is set.
///
/// Pages come in an order that has an index of its own, and statistics know nothing of how few rows a leaf hash or a key
/// has; so where a filter finds its rows by itself, the order is written so that no index gives it.
pub(crate) fn page_query(
    tenant: &TenantId,
    filter: &ObservationFilter,
    after: Option<ObservationPosition>,
    limit: usize,
) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        "-- page_query
        SELECT tenant_id, observation_id, document_digest, claim_digest, body, status, vulnerability_id, product_key,
            subcomponent_key, created_at, rekor_uuid, rekor_log_id,
            rekor_log_index, rekor_log_url, rekor_tree_size, rekor_tree_root, rekor_integrated_time,
            rekor_timestamp_time, rekor_entry_kind, rekor_entry_version, rekor_entry_body_hash,
            rekor_inclusion_proof::text, rekor_envelope_digest, rekor_set_index, rekor_set_path, rekor_linked_at
        FROM vex.observations WHERE tenant_id = ",
    );
    query.push_bind(tenant.as_str().to_owned());
    if let Some(digest) = &filter.rekor_uuid {
        query.push(" AND rekor_uuid = ").push_bind(digest.to_hex());
    }
    if let Some(index) = filter.log_index {
        let index = sought(index);
        query.push(" AND rekor_log_index = ").push_bind(index);
        query.push(" AND rekor_log_id IN (SELECT rekor_log_id FROM attestor.log_entries WHERE tenant_id = ");
        query.push_bind(tenant.as_str().to_owned());
        query.push(" AND rekor_log_index = ").push_bind(index).push(")");
    }
    let keys = [
        (&filter.vulnerability, "'alias', 'vulnerability'"),
        (&filter.product, "'identifier', 'product', 'subcomponent'"),
    ];
    for (key, kinds) in keys {
        if let Some(key) = key {
            query.push(
                " AND observation_id IN (SELECT observation_id FROM vex.observation_keys WHERE tenant_id = ",
            );
            query.push_bind(tenant.as_str().to_owned());
            query.push(format_args!(" AND kind IN ({kinds}) AND key = ")).push_bind(key.clone()).push(")");
        }
    }
    let found = filter.rekor_uuid.is_some()
        || filter.log_index.is_some()
        || keys.iter().any(|(key, _)| key.is_some());
    // The indexes of a document and of what is pending are in the pages' order, so they serve that too.
    if let Some(digest) = &filter.document {
        query.push(" AND document_digest = ").push_bind(digest.to_text());
    }
    if filter.pending {
        query.push(" AND rekor_uuid IS NULL");
    }
    if let Some(status) = filter.status {
        query.push(" AND status = ").push_bind(status.label());
    }
    let created_at = if found { "(created_at + interval '0')" } else { "created_at" };
    if let Some(after) = after {
        query.push(format_args!(" AND ({created_at}, observation_id) > ("));
        query.push_bind(Time(after.created_at)).push(", ");
        query.push_bind(after.id.digest().to_hex()).push(")");
    }
    query.push(format_args!(" ORDER BY {created_at}, observation_id LIMIT "));
    query.push_bind(sql_limit(limit));
    query
}

fn read_observation(row: &PgRow) -> Result<ObservationRow> {
    let row = stored(row);
    let id = ObservationId::new(row.digest("observation_id")?);
    let (linkage, older_linkage) = match row.opt_digest("rekor_uuid")? {
        None => require_unlinked(&row).map(|()| (None, None))?,
        Some(uuid) => match read_older_linkage(&row, uuid)? {
            None => (Some(read_linkage(&row, id, uuid)?), None),
            older => (None, older),
        },
    };
    Ok(ObservationRow {
        id,
        document_digest: DocumentDigest::new(row.digest("document_digest")?),
        body: row.get("body")?,
        claim_digest: ClaimDigest::new(row.digest("claim_digest")?),
        status: row.label("status", Status::from_label)?,
        vulnerability_id: row.get("vulnerability_id")?,
        product_key: row.get("product_key")?,
        subcomponent_key: row.get("subcomponent_key")?,
        created_at: row.time("created_at")?,
        linkage,
        older_linkage,
    })
}

/// What every linkage has beside its `rekor_uuid`.
const WHOLE: [&str; 13] = [
    "rekor_log_id",
    "rekor_log_index",
    "rekor_log_url",
    "rekor_tree_size",
    "rekor_tree_root",
    "rekor_entry_kind",
    "rekor_entry_version",
    "rekor_entry_body_hash",
    "rekor_inclusion_proof",
    "rekor_envelope_digest",
    "rekor_set_index",
    "rekor_set_path",
    "rekor_linked_at",
];

/// Without its `rekor_uuid` a linkage has nothing.
fn require_unlinked(row: &Stored<'_>) -> Result<()> {
    for column in WHOLE.into_iter().chain(["rekor_integrated_time", "rekor_timestamp_time"]) {
        if !row.is_null(column)? {
            return Err(row.corrupt(column, "it is there without rekor_uuid".to_owned()));
        }
    }
    Ok(())
}

/// What an older release set, which had a part of the columns; none where the linkage is whole.
fn read_older_linkage(row: &Stored<'_>, rekor_uuid: Digest) -> Result<Option<OlderLinkage>> {
    for column in WHOLE {
        if row.is_null(column)? {
            let log_index =
                if row.is_null("rekor_log_index")? { None } else { Some(row.unsigned("rekor_log_index")?) };
            let log_id = row.opt_digest("rekor_log_id")?.map(LogId::new);
            return Ok(Some(OlderLinkage { rekor_uuid, log_id, log_index }));
        }
    }
    Ok(None)
}

fn read_linkage(row: &Stored<'_>, observation: ObservationId, rekor_uuid: Digest) -> Result<LinkageRow> {
    let (tree_index, inclusion_path) = read_proof(row)?;
    let entry = LinkedEntry {
        rekor_uuid,
        log_id: LogId::new(row.digest("rekor_log_id")?),
        log_index: row.unsigned("rekor_log_index")?,
        log_url: row.get("rekor_log_url")?,
        tree_size: row.unsigned("rekor_tree_size")?,
        tree_root: row.digest("rekor_tree_root")?,
        integrated_time: row.opt_time("rekor_integrated_time")?,
        timestamp_time: row.opt_time("rekor_timestamp_time")?,
        entry_kind: row.get("rekor_entry_kind")?,
        entry_version: row.get("rekor_entry_version")?,
        entry_body_hash: row.digest("rekor_entry_body_hash")?,
        tree_index,
        inclusion_path,
        envelope_digest: EnvelopeDigest::new(row.digest("rekor_envelope_digest")?),
    };
    Ok(LinkageRow {
        fields: LinkageFields {
            observation,
            entry: Arc::new(entry),
            set_index: row.unsigned("rekor_set_index")?,
            set_path: row.digests("rekor_set_path")?,
        },
        linked_at: row.time("rekor_linked_at")?,
    })
}

/// `rekor_inclusion_proof`.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProofColumn {
    hashes: Vec<String>,
    log_index: u64,
}

/// The text of `rekor_inclusion_proof`.
fn write_proof(entry: &LinkedEntry) -> Result<String> {
    let mut text = Vec::with_capacity(entry.inclusion_path.len() * 67 + 32);
    let mut proof = ObjectWriter::new(&mut text);
    proof.array("hashes", |array| {
        for hash in &entry.inclusion_path {
            array.str(&hash.to_hex());
        }
    });
    proof.u64("logIndex", entry.tree_index);
    let failed = |source| Error::Database { operation: "writing rekor_inclusion_proof", source };
    proof.finish().map_err(|error| failed(error.into()))?;
    Ok(String::from_utf8(text).map_err(|error| failed(error.into()))?)
}

fn read_proof(row: &Stored<'_>) -> Result<(u64, Vec<Digest>)> {
    const COLUMN: &str = "rekor_inclusion_proof";
    let text: &str = row.get(COLUMN)?;
    let proof: ProofColumn = provex_core::json::from_slice_strict(text.as_bytes())
        .map_err(|error| row.corrupt(COLUMN, error.to_string()))?;
    let path = proof.hashes.iter().map(|hash| Digest::from_hex(hash)).collect::<std::result::Result<_, _>>();
    Ok((proof.log_index, path.map_err(|error| row.corrupt(COLUMN, error.to_string()))?))
}

fn stored(row: &PgRow) -> Stored<'_> {
    Stored::new(row, "vex.observations", &["tenant_id", "observation_id"])
}
