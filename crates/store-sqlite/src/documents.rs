//! `vex_documents` with `vex_document_bodies`, `vex_parse_findings` and `vex_standings`.

use std::collections::{BTreeMap, BTreeSet};

use provex_core::digest::Digest;
use provex_core::ids::{DocumentDigest, TenantId};
use provex_core::time::Timestamp;
use provex_core::vex::Format;
use provex_store::ledger::Append;
use provex_store::{
    AttestableDocument, Authentication, DocumentFacts, DocumentRow, FindingRow, KeptDocument, NewDocument,
    Portions, RecordedDocument, Recording, StandingRow,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use crate::connection::Connections;
use crate::failure::Result;
use crate::sql::{Stored, insert_rows, json_array};
use crate::{ledger_events, observations, submissions, tenants};

pub(crate) async fn record(
    connections: &Connections,
    tenant: &TenantId,
    recording: &Recording,
    documents: &[NewDocument],
) -> Result<Vec<RecordedDocument>> {
    let mut tx = connections.write().await?;
    let known = select_known(&mut tx, tenant, documents.iter().map(|d| d.facts.digest)).await?;
    // The first of equal documents, in the order of their keys.
    let mut new: Vec<_> = documents.iter().filter(|d| !known.contains(&d.facts.digest)).collect();
    new.sort_by_key(|document| document.facts.digest);
    new.dedup_by_key(|document| document.facts.digest);
    if new.is_empty() {
        tenants::require(&mut tx, tenant).await?;
        tx.rollback().await?;
        return Ok(vec![RecordedDocument::Unchanged; documents.len()]);
    }
    let head = ledger_events::lock(&mut tx, tenant).await?;
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
    tx.commit().await?;
    let mut unreported: BTreeSet<_> = new.iter().map(|document| document.facts.digest).collect();
    let recorded = documents.iter().map(|document| match unreported.remove(&document.facts.digest) {
        true => RecordedDocument::New(created_at),
        false => RecordedDocument::Unchanged,
    });
    Ok(recorded.collect())
}

pub(crate) async fn known(
    connections: &Connections,
    tenant: &TenantId,
    digests: &[DocumentDigest],
) -> Result<BTreeSet<DocumentDigest>> {
    let mut connection = connections.read().await?;
    let known = select_known(&mut connection, tenant, digests.iter().copied()).await?;
    if known.is_empty() {
        tenants::require(&mut connection, tenant).await?;
    }
    Ok(known)
}

pub(crate) async fn attestable(
    connections: &Connections,
    tenant: &TenantId,
    digests: &[DocumentDigest],
) -> Result<Vec<AttestableDocument>> {
    let mut tx = connections.read_snapshot().await?;
    let mut found = Vec::with_capacity(digests.len());
    for digest in digests {
        if let Some(format) = select_format(&mut tx, tenant, digest).await? {
            let observations = observations::select_ids_of_document(&mut tx, tenant, digest).await?;
            found.push(AttestableDocument { digest: *digest, format, observations });
        }
    }
    if found.is_empty() {
        tenants::require(&mut tx, tenant).await?;
    }
    Ok(found)
}

pub(crate) async fn document(
    connections: &Connections,
    tenant: &TenantId,
    digest: &DocumentDigest,
) -> Result<Option<DocumentRow>> {
    let mut tx = connections.read_snapshot().await?;
    let row = select_document(&mut tx, tenant, digest).await?;
    let Some(mut document) = tenants::found_or_unknown(&mut tx, tenant, row).await? else { return Ok(None) };
    document.findings = select_findings(&mut tx, tenant, digest).await?;
    Ok(Some(document))
}

pub(crate) async fn kept(
    connections: &Connections,
    tenant: &TenantId,
    digests: &[DocumentDigest],
) -> Result<BTreeMap<DocumentDigest, KeptDocument>> {
    let mut tx = connections.read_snapshot().await?;
    let mut found = BTreeMap::new();
    for digest in digests {
        let Some(mut row) = select_document(&mut tx, tenant, digest).await? else { continue };
        row.findings = select_findings(&mut tx, tenant, digest).await?;
        let body = select_body(&mut tx, tenant, digest).await?.map(|body| Digest::of(&body));
        let observations = observations::select_times_of_document(&mut tx, tenant, digest).await?;
        found.insert(*digest, KeptDocument { row, body, observations });
    }
    if found.is_empty() {
        tenants::require(&mut tx, tenant).await?;
    }
    Ok(found)
}

pub(crate) async fn body(
    connections: &Connections,
    tenant: &TenantId,
    digest: &DocumentDigest,
) -> Result<Option<Vec<u8>>> {
    let mut connection = connections.read().await?;
    let body = select_body(&mut connection, tenant, digest).await?;
    tenants::found_or_unknown(&mut connection, tenant, body).await
}

pub(crate) async fn standings(
    connections: &Connections,
    tenant: &TenantId,
    digest: &DocumentDigest,
) -> Result<Vec<StandingRow>> {
    let mut tx = connections.read_snapshot().await?;
    let standings = select_standings(&mut tx, tenant, digest).await?;
    if standings.is_empty() {
        tenants::require(&mut tx, tenant).await?;
    }
    Ok(standings)
}

async fn select_standings(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    digest: &DocumentDigest,
) -> Result<Vec<StandingRow>> {
    let rows = sqlx::query(
        "-- select_standings
        SELECT tenant_id, document_digest, created_at, standing, cause FROM vex_standings
        WHERE tenant_id = ? AND document_digest = ? ORDER BY created_at",
    )
    .bind(tenant.as_str())
    .bind(digest.to_text())
    .fetch_all(connection)
    .await?;
    let read = |row| {
        let row = Stored::new(row, "vex_standings", &["tenant_id", "document_digest"]);
        let (standing, cause) = (row.get("standing")?, row.get("cause")?);
        Ok(StandingRow { created_at: row.time("created_at")?, standing, cause })
    };
    rows.iter().map(read).collect()
}

async fn select_known(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    digests: impl Iterator<Item = DocumentDigest>,
) -> Result<BTreeSet<DocumentDigest>> {
    let rows = sqlx::query(
        "-- select_known
        SELECT tenant_id, document_digest FROM vex_documents
        WHERE tenant_id = ? AND document_digest IN (SELECT value FROM json_each(?))",
    )
    .bind(tenant.as_str())
    .bind(json_array(digests.map(|digest| digest.to_text())))
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| stored(row).digest("document_digest").map(DocumentDigest::new)).collect()
}

async fn insert_documents(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    documents: &[&NewDocument],
    created_at: Timestamp,
) -> Result<()> {
    insert_rows(
        connection,
        "-- insert_documents
        INSERT INTO vex_documents
            (tenant_id, document_digest, payload_digest, format, spec_version, document_id, revision, issuer_scheme,
             issuer_id, stated_at, retires, source, authentication, observation_count, created_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        documents,
        |query, document| {
            let facts = &document.facts;
            let (scheme, issuer) = facts.issuer.as_ref().map(|(s, i)| (s.as_str(), i.as_str())).unzip();
            query
                .bind(tenant.as_str())
                .bind(facts.digest.to_text())
                .bind(facts.payload_digest.map(|digest| digest.to_hex()))
                .bind(facts.format.label())
                .bind(facts.spec_version.as_deref())
                .bind(facts.document_id.as_deref())
                .bind(facts.revision.as_deref())
                .bind(scheme)
                .bind(issuer)
                .bind(facts.stated_at.as_deref())
                .bind(facts.retires.as_deref())
                .bind(facts.source.as_str())
                .bind(facts.authentication.label())
                .bind(document.observation_count() as i64)
                .bind(created_at.as_unix_micros())
        },
    )
    .await
}

async fn insert_bodies(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    documents: &[&NewDocument],
) -> Result<()> {
    insert_rows(
        connection,
        "-- insert_bodies
        INSERT INTO vex_document_bodies (tenant_id, document_digest, body) VALUES (?, ?, ?)",
        documents,
        |query, document| {
            query.bind(tenant.as_str()).bind(document.facts.digest.to_text()).bind(document.body.as_slice())
        },
    )
    .await
}

async fn insert_findings(
    connection: &mut SqliteConnection,
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
    insert_rows(
        connection,
        "-- insert_findings
        INSERT INTO vex_parse_findings (tenant_id, document_digest, position, code, pointer, line, message)
        VALUES (?, ?, ?, ?, ?, ?, ?)",
        &rows,
        |query, (digest, position, finding)| {
            query
                .bind(tenant.as_str())
                .bind(digest.to_text())
                .bind(position)
                .bind(finding.code.as_str())
                .bind(finding.pointer.as_str())
                // No document has so many lines.
                .bind(finding.line.map(|line| i64::try_from(line).unwrap_or(i64::MAX)))
                .bind(finding.message.as_str())
        },
    )
    .await
}

async fn insert_quarantined(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    documents: &[&NewDocument],
    created_at: Timestamp,
) -> Result<()> {
    let rows: Vec<_> = documents
        .iter()
        .filter_map(|document| Some((document.facts.digest, document.quarantine.as_deref()?)))
        .collect();
    insert_rows(
        connection,
        "-- insert_quarantined
        INSERT INTO vex_standings (tenant_id, document_digest, created_at, standing, cause)
        VALUES (?, ?, ?, ?, ?)",
        &rows,
        |query, (digest, cause)| {
            query
                .bind(tenant.as_str())
                .bind(digest.to_text())
                .bind(created_at.as_unix_micros())
                .bind("quarantined")
                .bind(*cause)
        },
    )
    .await
}

async fn select_format(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    digest: &DocumentDigest,
) -> Result<Option<Format>> {
    let row = sqlx::query(
        "-- select_format
        SELECT tenant_id, document_digest, format FROM vex_documents WHERE tenant_id = ? AND document_digest = ?",
    )
    .bind(tenant.as_str())
    .bind(digest.to_text())
    .fetch_optional(connection)
    .await?;
    row.map(|row| stored(&row).label("format", Format::from_label)).transpose()
}

pub(crate) async fn select_document(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    digest: &DocumentDigest,
) -> Result<Option<DocumentRow>> {
    let row = sqlx::query(
        "-- select_document
        SELECT tenant_id, document_digest, payload_digest, format, spec_version, document_id, revision,
            issuer_scheme, issuer_id, stated_at, retires, source, authentication, observation_count, created_at
        FROM vex_documents WHERE tenant_id = ? AND document_digest = ?",
    )
    .bind(tenant.as_str())
    .bind(digest.to_text())
    .fetch_optional(connection)
    .await?;
    row.map(|row| read_document(&row)).transpose()
}

fn read_document(row: &SqliteRow) -> Result<DocumentRow> {
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

pub(crate) async fn select_findings(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    digest: &DocumentDigest,
) -> Result<Vec<FindingRow>> {
    let rows = sqlx::query(
        "-- select_findings
        SELECT document_digest, position, code, pointer, line, message
        FROM vex_parse_findings WHERE tenant_id = ? AND document_digest = ? ORDER BY position",
    )
    .bind(tenant.as_str())
    .bind(digest.to_text())
    .fetch_all(connection)
    .await?;
    rows.iter().map(read_finding).collect()
}

fn read_finding(row: &SqliteRow) -> Result<FindingRow> {
    let row = Stored::new(row, "vex_parse_findings", &["document_digest", "position"]);
    let line: Option<i64> = row.get("line")?;
    Ok(FindingRow {
        code: row.get("code")?,
        pointer: row.get("pointer")?,
        line: line.map(|_| row.unsigned("line")).transpose()?,
        message: row.get("message")?,
    })
}

async fn select_body(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    digest: &DocumentDigest,
) -> Result<Option<Vec<u8>>> {
    let row = sqlx::query(
        "-- select_body
        SELECT body FROM vex_document_bodies WHERE tenant_id = ? AND document_digest = ?",
    )
    .bind(tenant.as_str())
    .bind(digest.to_text())
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| row.try_get("body")).transpose()?)
}

fn stored(row: &SqliteRow) -> Stored<'_> {
    Stored::new(row, "vex_documents", &["tenant_id", "document_digest"])
}
