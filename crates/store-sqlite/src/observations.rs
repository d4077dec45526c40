//! `vex_observations` with its linkage columns, and `vex_observation_keys`.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use provex_core::digest::Digest;
use provex_core::ids::{ClaimDigest, DocumentDigest, EnvelopeDigest, LogId, ObservationId, TenantId};
use provex_core::jcs::ObjectWriter;
use provex_core::linkage::{LinkageFields, LinkedEntry};
use provex_core::time::Timestamp;
use provex_core::vex::Status;
use provex_store::ledger::{AttestedMember, KnownMember, LinkedNow};
use provex_store::{
    Error, LinkageRow, NewObservation, ObservationFilter, ObservationPosition, ObservationRow, OlderLinkage,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::connection::Connections;
use crate::failure::Result;
use crate::sql::{Stored, insert_rows, json_array, limit as sql_limit, signed, sought};
use crate::tenants;

pub(crate) async fn observation(
    connections: &Connections,
    tenant: &TenantId,
    id: &ObservationId,
) -> Result<Option<ObservationRow>> {
    let mut connection = connections.read().await?;
    let row = select_observation(&mut connection, tenant, id).await?;
    tenants::found_or_unknown(&mut connection, tenant, row).await
}

pub(crate) async fn bodies(
    connections: &Connections,
    tenant: &TenantId,
    ids: &[ObservationId],
) -> Result<Vec<(ObservationId, Vec<u8>)>> {
    let mut connection = connections.read().await?;
    let bodies = select_bodies(&mut connection, tenant, ids).await?;
    if bodies.is_empty() {
        tenants::require(&mut connection, tenant).await?;
    }
    Ok(bodies)
}

pub(crate) async fn page(
    connections: &Connections,
    tenant: &TenantId,
    filter: &ObservationFilter,
    after: Option<ObservationPosition>,
    limit: usize,
) -> Result<Vec<ObservationRow>> {
    let mut connection = connections.read().await?;
    let rows = select_page(&mut connection, tenant, filter, after, limit).await?;
    if rows.is_empty() {
        tenants::require(&mut connection, tenant).await?;
    }
    Ok(rows)
}

/// Inserts observations, which are sorted by id, and their keys.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    observations: &[(DocumentDigest, &NewObservation)],
    created_at: Timestamp,
) -> Result<()> {
    insert_rows(
        connection,
        "-- insert
        INSERT INTO vex_observations
            (tenant_id, observation_id, document_digest, claim_digest, body, status, vulnerability_id, product_key,
             subcomponent_key, created_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        observations,
        |query, (document, observation)| {
            query
                .bind(tenant.as_str())
                .bind(observation.id.digest().to_hex())
                .bind(document.to_text())
                .bind(observation.claim_digest.to_text())
                .bind(observation.body.as_slice())
                .bind(observation.status.label())
                .bind(observation.vulnerability_id.as_str())
                .bind(observation.product_key.as_str())
                .bind(observation.subcomponent_key.as_deref())
                .bind(created_at.as_unix_micros())
        },
    )
    .await?;
    let mut keys: Vec<_> = observations
        .iter()
        .flat_map(|(_, o)| o.keys.iter().map(|(kind, key)| (kind.label(), key.as_str(), o.id)))
        .collect();
    keys.sort_unstable();
    insert_keys(connection, tenant, &keys).await
}

async fn insert_keys(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    keys: &[(&'static str, &str, ObservationId)],
) -> Result<()> {
    insert_rows(
        connection,
        "-- insert_keys
        INSERT INTO vex_observation_keys (tenant_id, kind, key, observation_id) VALUES (?, ?, ?, ?)",
        keys,
        |query, (kind, key, id)| {
            query.bind(tenant.as_str()).bind(*kind).bind(*key).bind(id.digest().to_hex())
        },
    )
    .await
}

/// The document's observations, ascending. The `+` keeps SQLite from walking all of the tenant's by the primary key to
/// be spared the sorting of a few.
pub(crate) async fn select_ids_of_document(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    digest: &DocumentDigest,
) -> Result<Vec<ObservationId>> {
    // Row by row, as a document may have hundreds of thousands.
    sqlx::query(
        "-- select_ids_of_document
        SELECT tenant_id, observation_id FROM vex_observations WHERE tenant_id = ? AND document_digest = ?
        ORDER BY +observation_id",
    )
    .bind(tenant.as_str())
    .bind(digest.to_text())
    .fetch(connection)
    .err_into()
    .and_then(|row| ready(stored(&row).digest("observation_id").map(ObservationId::new)))
    .try_collect()
    .await
}

/// The document's observations, ascending, and when each was recorded; see [`select_ids_of_document`].
pub(crate) async fn select_times_of_document(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    digest: &DocumentDigest,
) -> Result<Vec<(ObservationId, Timestamp)>> {
    let rows = sqlx::query(
        "-- select_times_of_document
        SELECT tenant_id, observation_id, created_at FROM vex_observations
        WHERE tenant_id = ? AND document_digest = ? ORDER BY +observation_id",
    )
    .bind(tenant.as_str())
    .bind(digest.to_text())
    .fetch_all(connection)
    .await?;
    let read = |row| {
        let row = stored(row);
        Ok((ObservationId::new(row.digest("observation_id")?), row.time("created_at")?))
    };
    rows.iter().map(read).collect()
}

/// What an attestation says of these observations, and whether they are linked.
pub(crate) async fn select_members(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    ids: &[ObservationId],
) -> Result<BTreeMap<ObservationId, KnownMember>> {
    let rows = sqlx::query(
        "-- select_members
        SELECT tenant_id, observation_id, vulnerability_id, product_key, rekor_uuid IS NOT NULL AS linked
        FROM vex_observations WHERE tenant_id = ? AND observation_id IN (SELECT value FROM json_each(?))",
    )
    .bind(tenant.as_str())
    .bind(json_array(ids.iter().map(|id| id.digest().to_hex())))
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| read_member(row).map(|member| (member.attested.id, member))).collect()
}

pub(crate) fn read_member(row: &SqliteRow) -> Result<KnownMember> {
    let row = stored(row);
    let id = ObservationId::new(row.digest("observation_id")?);
    let (vulnerability_id, product_key) = (row.get("vulnerability_id")?, row.get("product_key")?);
    let attested = AttestedMember { id, vulnerability_id, product_key };
    Ok(KnownMember { attested, linked: row.get("linked")? })
}

async fn select_bodies(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    ids: &[ObservationId],
) -> Result<Vec<(ObservationId, Vec<u8>)>> {
    let rows = sqlx::query(
        "-- select_bodies
        SELECT tenant_id, observation_id, body FROM vex_observations
        WHERE tenant_id = ? AND observation_id IN (SELECT value FROM json_each(?))",
    )
    .bind(tenant.as_str())
    .bind(json_array(ids.iter().map(|id| id.digest().to_hex())))
    .fetch_all(connection)
    .await?;
    rows.iter().map(read_body).collect()
}

fn read_body(row: &SqliteRow) -> Result<(ObservationId, Vec<u8>)> {
    let row = stored(row);
    Ok((ObservationId::new(row.digest("observation_id")?), row.get("body")?))
}

/// What linkages to the entry at a position say; none where there are none.
pub(crate) async fn select_linked_at(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    log: LogId,
    index: u64,
) -> Result<Option<LinkedEntry>> {
    let row = sqlx::query(
        "-- select_linked_at
        SELECT tenant_id, observation_id, rekor_uuid, rekor_log_id, rekor_log_index, rekor_log_url, rekor_tree_size,
            rekor_tree_root, rekor_integrated_time, rekor_timestamp_time, rekor_entry_kind, rekor_entry_version,
            rekor_entry_body_hash, rekor_inclusion_proof, rekor_envelope_digest, rekor_set_index, rekor_set_path,
            rekor_linked_at
        FROM vex_observations WHERE tenant_id = ? AND rekor_log_id = ? AND rekor_log_index = ?
            -- An older release may have linked with a part of the columns.
            AND rekor_log_url IS NOT NULL AND rekor_tree_size IS NOT NULL AND rekor_tree_root IS NOT NULL AND
            rekor_entry_kind IS NOT NULL AND rekor_entry_version IS NOT NULL AND rekor_entry_body_hash IS
            NOT NULL AND rekor_inclusion_proof IS NOT NULL AND rekor_envelope_digest IS NOT NULL AND
            rekor_set_index IS NOT NULL AND rekor_set_path IS NOT NULL AND rekor_linked_at IS NOT NULL
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

/// Sets linkages where there are none.
pub(crate) async fn link(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    linkages: &[LinkedNow<'_>],
) -> Result<()> {
    // Those of one event follow one another: they have its entry and its time.
    let of_one_event = |a: &LinkedNow<'_>, b: &LinkedNow<'_>| {
        Arc::ptr_eq(&a.linkage.entry, &b.linkage.entry) && a.at == b.at
    };
    for linked in linkages.chunk_by(of_one_event) {
        set_linkages(connection, tenant, linked).await?;
    }
    Ok(())
}

/// Sets linkages to one entry, all at one time. `MATERIALIZED` and the `+` keep SQLite from going over all that is pending
/// to look each up in the list.
async fn set_linkages(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    linked: &[LinkedNow<'_>],
) -> Result<()> {
    let Some(LinkedNow { linkage, at }) = linked.first() else { return Ok(()) };
    let entry = &linkage.entry;
    let place = |LinkedNow { linkage, .. }: &LinkedNow<'_>| {
        let path: String = linkage.set_path.iter().map(|hash| hash.to_hex()).collect();
        Ok(format!(
            r#"["{}",{},"{path}"]"#,
            linkage.observation.digest().to_hex(),
            signed(linkage.set_index)?
        ))
    };
    let places = linked.iter().map(place).collect::<Result<Vec<_>>>()?;
    sqlx::query(
        "-- set_linkages
        WITH place (observation_id, set_index, set_path) AS MATERIALIZED
            (SELECT value ->> 0, value ->> 1, unhex(value ->> 2) FROM json_each(?16))
        UPDATE vex_observations SET
            rekor_uuid = ?2, rekor_log_id = ?3, rekor_log_index = ?4, rekor_log_url = ?5, rekor_tree_size = ?6,
            rekor_tree_root = ?7, rekor_integrated_time = ?8, rekor_timestamp_time = ?9, rekor_entry_kind = ?10,
            rekor_entry_version = ?11, rekor_entry_body_hash = ?12, rekor_inclusion_proof = ?13,
            rekor_envelope_digest = ?14, rekor_linked_at = ?15,
            rekor_set_index = place.set_index, rekor_set_path = place.set_path
        FROM place
        WHERE tenant_id = ?1 AND vex_observations.observation_id = place.observation_id AND +rekor_uuid IS NULL",
    )
    .bind(tenant.as_str())
    .bind(entry.rekor_uuid.to_hex())
    .bind(entry.log_id.to_text())
    .bind(signed(entry.log_index)?)
    .bind(entry.log_url.as_str())
    .bind(signed(entry.tree_size)?)
    .bind(entry.tree_root.to_hex())
    .bind(entry.integrated_time.map(Timestamp::as_unix_micros))
    .bind(entry.timestamp_time.map(Timestamp::as_unix_micros))
    .bind(entry.entry_kind.as_str())
    .bind(entry.entry_version.as_str())
    .bind(entry.entry_body_hash.to_hex())
    .bind(write_proof(entry)?)
    .bind(entry.envelope_digest.to_text())
    .bind(at.as_unix_micros())
    .bind(format!("[{}]", places.join(",")))
    .execute(connection)
    .await?;
    Ok(())
}

async fn select_observation(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    id: &ObservationId,
) -> Result<Option<ObservationRow>> {
    let row = sqlx::query(
        "-- select_observation
        SELECT tenant_id, observation_id, document_digest, claim_digest, body, status, vulnerability_id, product_key,
            subcomponent_key, created_at, rekor_uuid, rekor_log_id,
            rekor_log_index, rekor_log_url, rekor_tree_size, rekor_tree_root, rekor_integrated_time,
            rekor_timestamp_time, rekor_entry_kind, rekor_entry_version, rekor_entry_body_hash, rekor_inclusion_proof,
            rekor_envelope_digest, rekor_set_index, rekor_set_path, rekor_linked_at
        FROM vex_observations WHERE tenant_id = ? AND observation_id = ?",
    )
    .bind(tenant.as_str())
    .bind(id.digest().to_hex())
    .fetch_optional(connection)
    .await?;
    row.map(|row| read_observation(&row)).transpose()
}

async fn select_page(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    filter: &ObservationFilter,
    after: Option<ObservationPosition>,
    limit: usize,
) -> Result<Vec<ObservationRow>> {
    let rows = page_query(tenant, filter, after, limit).build().fetch_all(connection).await?;
    rows.iter().map(read_observation).collect()
}

/// The one statement that is put together: a condition for each filter that is set.
///
/// SQLite knows nothing of how many rows a value has, so the index is chosen here: the one of the first filter below
/// that is set, or the order's own. All else carries a unary plus, which takes a column out of index choice
/// (sqlite.org/optoverview.html section 8).
pub(crate) fn page_query(
    tenant: &TenantId,
    filter: &ObservationFilter,
    after: Option<ObservationPosition>,
    limit: usize,
) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(
        "-- page_query
        SELECT tenant_id, observation_id, document_digest, claim_digest, body, status, vulnerability_id, product_key,
            subcomponent_key, created_at, rekor_uuid, rekor_log_id,
            rekor_log_index, rekor_log_url, rekor_tree_size, rekor_tree_root, rekor_integrated_time,
            rekor_timestamp_time, rekor_entry_kind, rekor_entry_version, rekor_entry_body_hash, rekor_inclusion_proof,
            rekor_envelope_digest, rekor_set_index, rekor_set_path, rekor_linked_at
        FROM vex_observations WHERE tenant_id = ",
    );
    query.push_bind(tenant.as_str().to_owned());
    let mut chosen = false;
    // Where the column stands for its index if none is chosen yet.
    let mut choose = || if std::mem::replace(&mut chosen, true) { "+" } else { "" };
    if let Some(digest) = &filter.rekor_uuid {
        query.push(format_args!(" AND {}rekor_uuid = ", choose())).push_bind(digest.to_hex());
    }
    if let Some(index) = filter.log_index {
        let (index, plus) = (sought(index), choose());
        query.push(format_args!(" AND {plus}rekor_log_index = ")).push_bind(index);
        query.push(format_args!(" AND {plus}rekor_log_id IN (SELECT rekor_log_id FROM attestor_log_entries"));
        query.push(" WHERE tenant_id = ").push_bind(tenant.as_str().to_owned());
        query.push(" AND rekor_log_index = ").push_bind(index).push(")");
    }
    let keys = [
        (&filter.vulnerability, "'alias', 'vulnerability'"),
        (&filter.product, "'identifier', 'product', 'subcomponent'"),
    ];
    for (key, kinds) in keys {
        if let Some(key) = key {
            query.push(format_args!(" AND {}observation_id IN (", choose()));
            query.push("SELECT observation_id FROM vex_observation_keys WHERE tenant_id = ");
            query.push_bind(tenant.as_str().to_owned());
            query.push(format_args!(" AND kind IN ({kinds}) AND key = ")).push_bind(key.clone()).push(")");
        }
    }
    // The indexes of a document and of what is pending are in the pages' order, so they serve that too.
    let order = if chosen { "+" } else { "" };
    if let Some(digest) = &filter.document {
        query.push(format_args!(" AND {order}document_digest = ")).push_bind(digest.to_text());
    }
    if filter.pending {
        query.push(format_args!(" AND {order}rekor_uuid IS NULL"));
    }
    if let Some(status) = filter.status {
        query.push(" AND status = ").push_bind(status.label());
    }
    if let Some(after) = after {
        query.push(format_args!(" AND ({order}created_at, {order}observation_id) > ("));
        query.push_bind(after.created_at.as_unix_micros()).push(", ");
        query.push_bind(after.id.digest().to_hex()).push(")");
    }
    query.push(format_args!(" ORDER BY {order}created_at, {order}observation_id LIMIT "));
    query.push_bind(sql_limit(limit));
    query
}

fn read_observation(row: &SqliteRow) -> Result<ObservationRow> {
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
pub(crate) fn write_proof(entry: &LinkedEntry) -> Result<String> {
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

fn stored(row: &SqliteRow) -> Stored<'_> {
    Stored::new(row, "vex_observations", &["tenant_id", "observation_id"])
}
