//! `vex.documents` with `vex.document_bodies`, `vex.parse_findings` and `vex.standings`.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use provex_core::digest::Digest;
use provex_core::ids::{DocumentDigest, ObservationId, TenantId};
use provex_core::time::Timestamp;
use provex_core::vex::Format;
use provex_store::ledger::Append;
use provex_store::{
    AttestableDocument, Authentication, DocumentFacts, DocumentRow, FindingRow, KeptDocument, NewDocument,
    Portions, RecordedDocument, Recording, StandingRow,
};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::connection::{Attempt, Database};
use crate::failure::Result;
use crate::sql::{Stored, Time};
use crate::{ledger_events, observations, submissions, tenants};

pub(crate) async fn record(
    database: &Database,
    tenant: &TenantId,
    recording: &Recording,
    documents: &[NewDocument],
) -> Result<Attempt<Vec<RecordedDocument>>> {
    let mut tx = database.begin(tenant).await?;
    let head = ledger_events::lock(&mut tx, tenant).await?;
    let known = select_known(&mut tx, tenant, documents.iter().map(|d| d.facts.digest)).await?;
    // The first of equal documents, in the order of their keys.
    let mut new: Vec<_> = documents.iter().filter(|d| !known.contains(&d.facts.digest)).collect();
    new.sort_by_key(|document| document.facts.digest);
    new.dedup_by_key(|document| document.facts.digest);
    if new.is_empty() {
        return tx.end(Attempt::Done(vec![RecordedDocument::Unchanged; documents.len()])).await;
    }
    let mut append = Append::new(head, recording);
    let created_at = append.next_time()?;
    insert_documents(&mut tx, tenant, &new, created_at).await?;
    insert_bodies(&mut tx, tenant, &new).await?;
    let mut portions = Portions::new(&new);
    while let Some(portion) = portions.next().await? {
        observations::insert(&mut tx, tenant, &portion, created_at).await?;
    }
    append.documents(&new, portions.finish())?;
    insert_findings(&mut tx, tenant, &new).await?;
    insert_quarantined(&mut tx, tenant, &new, created_at).await?;
    submissions::insert_attest(&mut tx, tenant, &new).await?;
    ledger_events::write(&mut tx, append).await?;
    let mut unreported: BTreeSet<_> = new.iter().map(|document| document.facts.digest).collect();
    let recorded = documents.iter().map(|document| match unreported.remove(&document.facts.digest) {
        true => RecordedDocument::New(created_at),
        false => RecordedDocument::Unchanged,
    });
    tx.commit(recorded.collect()).await
}

/// Where COMMIT did not answer: what the next attempt found recorded already, the first one recorded.
pub(crate) fn recorded_by_either(
    first: Vec<RecordedDocument>,
    again: Result<Vec<RecordedDocument>>,
) -> Result<Vec<RecordedDocument>> {
    let either = |(first, again)| match again {
        RecordedDocument::Unchanged => first,
        new @ RecordedDocument::New(_) => new,
    };
    Ok(first.into_iter().zip(again?).map(either).collect())
}

pub(crate) async fn known(
    database: &Database,
    tenant: &TenantId,
    digests: &[DocumentDigest],
) -> Result<BTreeSet<DocumentDigest>> {
    let mut tx = database.begin(tenant).await?;
    let known = select_known(&mut tx, tenant, digests.iter().copied()).await?;
    if known.is_empty() {
        tenants::require(&mut tx, tenant).await?;
    }
    tx.end(known).await
}

pub(crate) async fn attestable(
    database: &Database,
    tenant: &TenantId,
    digests: &[DocumentDigest],
) -> Result<Vec<AttestableDocument>> {
    let mut tx = database.snapshot(tenant).await?;
    let formats = select_formats(&mut tx, tenant, digests).await?;
    if formats.is_empty() {
        tenants::require(&mut tx, tenant).await?;
    }
    let mut observations: BTreeMap<DocumentDigest, Vec<ObservationId>> = BTreeMap::new();
    for (document, observation) in observations::select_ids_of_documents(&mut tx, tenant, digests).await? {
        observations.entry(document).or_default().push(observation);
    }
    let found = digests.iter().filter_map(|digest| {
        let observations = || observations.get(digest).cloned().unwrap_or_default();
        formats.get(digest).map(|format| AttestableDocument {
            digest: *digest,
            format: *format,
            observations: observations(),
        })
    });
    let found = found.collect();
    tx.end(found).await
}

pub(crate) async fn document(
    database: &Database,
    tenant: &TenantId,
    digest: &DocumentDigest,
) -> Result<Option<DocumentRow>> {
    let mut tx = database.snapshot(tenant).await?;
    let row = select_documents(&mut tx, tenant, &[*digest]).await?.remove(digest);
    let row = tenants::found_or_unknown(&mut tx, tenant, row).await?;
    tx.end(row).await
}

pub(crate) async fn kept(
    database: &Database,
    tenant: &TenantId,
    digests: &[DocumentDigest],
) -> Result<BTreeMap<DocumentDigest, KeptDocument>> {
    let mut tx = database.snapshot(tenant).await?;
    let rows = select_documents(&mut tx, tenant, digests).await?;
    if rows.is_empty() {
        tenants::require(&mut tx, tenant).await?;
    }
    let kept = |(digest, row)| (digest, KeptDocument { row, body: None, observations: Vec::new() });
    let mut found: BTreeMap<_, _> = rows.into_iter().map(kept).collect();
    hash_bodies(&mut tx, tenant, &mut found).await?;
    for (digest, observation, at) in observations::select_times_of_documents(&mut tx, tenant, digests).await?
    {
        if let Some(document) = found.get_mut(&digest) {
            document.observations.push((observation, at));
        }
    }
    tx.end(found).await
}

pub(crate) async fn body(
    database: &Database,
    tenant: &TenantId,
    digest: &DocumentDigest,
) -> Result<Option<Vec<u8>>> {
    let mut tx = database.begin(tenant).await?;
    let body = select_body(&mut tx, tenant, digest).await?;
    let body = tenants::found_or_unknown(&mut tx, tenant, body).await?;
    tx.end(body).await
}

pub(crate) async fn standings(
    database: &Database,
    tenant: &TenantId,
    digest: &DocumentDigest,
) -> Result<Vec<StandingRow>> {
    let mut tx = database.snapshot(tenant).await?;
    let standings = select_standings(&mut tx, tenant, digest).await?;
    if standings.is_empty() {
        tenants::require(&mut tx, tenant).await?;
    }
    tx.end(standings).await
}

async fn select_standings(
    connection: &mut PgConnection,
    tenant: &TenantId,
    digest: &DocumentDigest,
) -> Result<Vec<StandingRow>> {
    let rows = sqlx::query(
        "-- select_standings
        SELECT tenant_id, document_digest, created_at, standing, cause FROM vex.standings
        WHERE tenant_id = $1 AND document_digest = $2 ORDER BY created_at",
    )
    .bind(tenant.as_str())
    .bind(digest.to_text())
    .fetch_all(connection)
    .await?;
    let read = |row| {
        let row = Stored::new(row, "vex.standings", &["tenant_id", "document_digest"]);
        let (standing, cause) = (row.get("standing")?, row.get("cause")?);
        Ok(StandingRow { created_at: row.time("created_at")?, standing, cause })
    };
    rows.iter().map(read).collect()
}

async fn select_known(
    connection: &mut PgConnection,
    tenant: &TenantId,
    digests: impl Iterator<Item = DocumentDigest>,
) -> Result<BTreeSet<DocumentDigest>> {
    let rows = sqlx::query(
        "-- select_known
        SELECT tenant_id, document_digest FROM vex.documents WHERE tenant_id = $1 AND document_digest = ANY($2)",
    )
    .bind(tenant.as_str())
    .bind(digests.map(|digest| digest.to_text()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| stored(row).digest("document_digest").map(DocumentDigest::new)).collect()
}

async fn insert_documents(
    connection: &mut PgConnection,
    tenant: &TenantId,
    documents: &[&NewDocument],
    created_at: Timestamp,
) -> Result<()> {
    let facts = || documents.iter().map(|document| &document.facts);
    let issuer = |f: &'_ DocumentFacts| f.issuer.clone().unzip();
    let (schemes, issuers): (Vec<_>, Vec<_>) = facts().map(issuer).unzip();
    sqlx::query(
        "-- insert_documents
        INSERT INTO vex.documents
            (tenant_id, document_digest, payload_digest, format, spec_version, document_id, revision, issuer_scheme,
             issuer_id, stated_at, retires, source, authentication, observation_count, created_at)
        SELECT $1, u.document_digest, u.payload_digest, u.format, u.spec_version, u.document_id, u.revision,
            u.issuer_scheme, u.issuer_id, u.stated_at, u.retires, u.source, u.authentication, u.observation_count, $2
        FROM unnest(
            $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
            $11::text[], $12::text[], $13::text[], $14::text[], $15::bigint[])
            AS u (document_digest, payload_digest, format, spec_version, document_id, revision, issuer_scheme,
                issuer_id, stated_at, retires, source, authentication, observation_count)
        ON CONFLICT (tenant_id, document_digest) DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(Time(created_at))
    .bind(facts().map(|f| f.digest.to_text()).collect::<Vec<_>>())
    .bind(facts().map(|f| f.payload_digest.map(|digest| digest.to_hex())).collect::<Vec<_>>())
    .bind(facts().map(|f| f.format.label()).collect::<Vec<_>>())
    .bind(facts().map(|f| f.spec_version.as_deref()).collect::<Vec<_>>())
    .bind(facts().map(|f| f.document_id.as_deref()).collect::<Vec<_>>())
    .bind(facts().map(|f| f.revision.as_deref()).collect::<Vec<_>>())
    .bind(schemes)
    .bind(issuers)
    .bind(facts().map(|f| f.stated_at.as_deref()).collect::<Vec<_>>())
    .bind(facts().map(|f| f.retires.as_deref()).collect::<Vec<_>>())
    .bind(facts().map(|f| f.source.as_str()).collect::<Vec<_>>())
    .bind(facts().map(|f| f.authentication.label()).collect::<Vec<_>>())
    .bind(documents.iter().map(|d| d.observation_count() as i64).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_bodies(
    connection: &mut PgConnection,
    tenant: &TenantId,
    documents: &[&NewDocument],
) -> Result<()> {
    sqlx::query(
        "-- insert_bodies
        INSERT INTO vex.document_bodies (tenant_id, document_digest, body)
        SELECT $1, u.document_digest, u.body FROM unnest($2::text[], $3::bytea[]) AS u (document_digest, body)
        ON CONFLICT (tenant_id, document_digest) DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(documents.iter().map(|d| d.facts.digest.to_text()).collect::<Vec<_>>())
    .bind(documents.iter().map(|d| d.body.as_slice()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_findings(
    connection: &mut PgConnection,
    tenant: &TenantId,
    documents: &[&NewDocument],
) -> Result<()> {
    let rows: Vec<_> = documents
        .iter()
        .flat_map(|document| {
            let digest = document.facts.digest;
            (0_i64..).zip(&document.findings).map(move |(position, finding)| (digest, position, finding))
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    // No document has so many lines.
    let line = |finding: &FindingRow| finding.line.map(|line| i64::try_from(line).unwrap_or(i64::MAX));
    sqlx::query(
        "-- insert_findings
        INSERT INTO vex.parse_findings (tenant_id, document_digest, position, code, pointer, line, message)
        SELECT $1, u.document_digest, u.position, u.code, u.pointer, u.line, u.message
        FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::text[])
            AS u (document_digest, position, code, pointer, line, message)
        ON CONFLICT (tenant_id, document_digest, position) DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(rows.iter().map(|(digest, _, _)| digest.to_text()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, position, _)| *position).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, _, f)| f.code.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, _, f)| f.pointer.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, _, f)| line(f)).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, _, f)| f.message.as_str()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_quarantined(
    connection: &mut PgConnection,
    tenant: &TenantId,
    documents: &[&NewDocument],
    created_at: Timestamp,
) -> Result<()> {
    let rows = documents.iter().filter_map(|d| Some((d.facts.digest.to_text(), d.quarantine.as_deref()?)));
    let (digests, causes): (Vec<_>, Vec<_>) = rows.unzip();
    if digests.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "-- insert_quarantined
        INSERT INTO vex.standings (tenant_id, document_digest, created_at, standing, cause)
        SELECT $1, u.document_digest, $2, 'quarantined', u.cause
        FROM unnest($3::text[], $4::text[]) AS u (document_digest, cause)
        ON CONFLICT (tenant_id, document_digest, created_at) DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(Time(created_at))
    .bind(digests)
    .bind(causes)
    .execute(connection)
    .await?;
    Ok(())
}

async fn select_formats(
    connection: &mut PgConnection,
    tenant: &TenantId,
    digests: &[DocumentDigest],
) -> Result<BTreeMap<DocumentDigest, Format>> {
    let rows = sqlx::query(
        "-- select_formats
        SELECT tenant_id, document_digest, format FROM vex.documents
        WHERE tenant_id = $1 AND document_digest = ANY($2)",
    )
    .bind(tenant.as_str())
    .bind(digests.iter().map(|digest| digest.to_text()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let read = |row| {
        let row = stored(row);
        Ok((DocumentDigest::new(row.digest("document_digest")?), row.label("format", Format::from_label)?))
    };
    rows.iter().map(read).collect()
}

/// Documents with their findings.
pub(crate) async fn select_documents(
    connection: &mut PgConnection,
    tenant: &TenantId,
    digests: &[DocumentDigest],
) -> Result<BTreeMap<DocumentDigest, DocumentRow>> {
    let digests: Vec<_> = digests.iter().map(|digest| digest.to_text()).collect();
    let rows = sqlx::query(
        "-- select_documents
        SELECT tenant_id, document_digest, payload_digest, format, spec_version, document_id, revision,
            issuer_scheme, issuer_id, stated_at, retires, source, authentication, observation_count, created_at
        FROM vex.documents WHERE tenant_id = $1 AND document_digest = ANY($2)",
    )
    .bind(tenant.as_str())
    .bind(&digests)
    .fetch_all(&mut *connection)
    .await?;
    let read = |row| read_document(row).map(|document| (document.facts.digest, document));
    let mut found: BTreeMap<_, _> = rows.iter().map(read).collect::<Result<_>>()?;
    for row in &select_findings(connection, tenant, &digests).await? {
        let row = Stored::new(row, "vex.parse_findings", &["document_digest"]);
        if let Some(document) = found.get_mut(&DocumentDigest::new(row.digest("document_digest")?)) {
            document.findings.push(read_finding(&row)?);
        }
    }
    Ok(found)
}

fn read_document(row: &PgRow) -> Result<DocumentRow> {
    let row = stored(row);
    let (scheme, issuer): (Option<String>, Option<String>) =
        (row.get("issuer_scheme")?, row.get("issuer_id")?);
    if scheme.is_some() != issuer.is_some() {
        return Err(
            row.corrupt("issuer_scheme", "it is there without issuer_id, or the other way round".to_owned())
        );
    }
    Ok(DocumentRow {
        facts: DocumentFacts {
            digest: DocumentDigest::new(row.digest("document_digest")?),
            payload_digest: row.opt_digest("payload_digest")?,
            format: row.label("format", Format::from_label)?,
            spec_version: row.get("spec_version")?,
            document_id: row.get("document_id")?,
            revision: row.get("revision")?,
            issuer: scheme.zip(issuer),
            stated_at: row.get("stated_at")?,
            retires: row.get("retires")?,
            source: row.get("source")?,
            authentication: row.label("authentication", Authentication::from_label)?,
        },
        observations: row.unsigned("observation_count")?,
        findings: Vec::new(),
        created_at: row.time("created_at")?,
    })
}

/// The findings of documents, each document's in their order.
async fn select_findings(
    connection: &mut PgConnection,
    tenant: &TenantId,
    digests: &[String],
) -> Result<Vec<PgRow>> {
    let rows = sqlx::query(
        "-- select_findings
        SELECT document_digest, position, code, pointer, line, message FROM vex.parse_findings
        WHERE tenant_id = $1 AND document_digest = ANY($2) ORDER BY document_digest, position",
    )
    .bind(tenant.as_str())
    .bind(digests)
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

fn read_finding(row: &Stored<'_>) -> Result<FindingRow> {
    let line: Option<i64> = row.get("line")?;
    Ok(FindingRow {
        code: row.get("code")?,
        pointer: row.get("pointer")?,
        line: line.map(|_| row.unsigned("line")).transpose()?,
        message: row.get("message")?,
    })
}

/// Hashes the documents' bytes, one after the other: together they may be more than fits in memory.
async fn hash_bodies(
    connection: &mut PgConnection,
    tenant: &TenantId,
    documents: &mut BTreeMap<DocumentDigest, KeptDocument>,
) -> Result<()> {
    let digests: Vec<_> = documents.keys().map(|digest| digest.to_text()).collect();
    let mut rows = sqlx::query(
        "-- hash_bodies
        SELECT tenant_id, document_digest, body FROM vex.document_bodies
        WHERE tenant_id = $1 AND document_digest = ANY($2)",
    )
    .bind(tenant.as_str())
    .bind(digests)
    .fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let row = Stored::new(&row, "vex.document_bodies", &["tenant_id", "document_digest"]);
        if let Some(document) = documents.get_mut(&DocumentDigest::new(row.digest("document_digest")?)) {
            document.body = Some(Digest::of(row.get("body")?));
        }
    }
    Ok(())
}

async fn select_body(
    connection: &mut PgConnection,
    tenant: &TenantId,
    digest: &DocumentDigest,
) -> Result<Option<Vec<u8>>> {
    let body = sqlx::query_scalar(
        "-- select_body
        SELECT body FROM vex.document_bodies WHERE tenant_id = $1 AND document_digest = $2",
    )
    .bind(tenant.as_str())
    .bind(digest.to_text())
    .fetch_optional(connection)
    .await?;
    Ok(body)
}

fn stored(row: &PgRow) -> Stored<'_> {
    Stored::new(row, "vex.documents", &["tenant_id", "document_digest"])
}
