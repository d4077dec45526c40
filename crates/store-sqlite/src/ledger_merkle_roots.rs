//! `findings_ledger_merkle_roots`: signed roots, and where they are logged.

use std::collections::BTreeMap;

use provex_core::ids::{BundleDigest, EnvelopeDigest, TenantId};
use provex_core::ledger::{Head, PreviousAnchor};
use provex_core::time::Timestamp;
use provex_store::ledger::{
    AnchoredNow, EnvelopeFacts, KnownRoot, export_reference, is_new_anchor, is_new_root,
};
use provex_store::{Error, NewAnchor, NewRoot, RootRow};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::connection::Connections;
use crate::failure::Result;
use crate::sql::{Stored, limit as sql_limit, signed};
use crate::{envelopes, ledger_events, tenants};

pub(crate) async fn record(
    connections: &Connections,
    tenant: &TenantId,
    now: Timestamp,
    root: &NewRoot,
    anchor: Option<NewAnchor<'_>>,
) -> Result<()> {
    let mut tx = connections.write().await?;
    let head = ledger_events::lock(&mut tx, tenant).await?;
    if ledger_events::root_at(&mut tx, &head, root.tree_size).await? != Some(root.root_hash) {
        return Err(Error::OtherRoot { tenant: tenant.clone(), tree_size: root.tree_size }.into());
    }
    let there = select_after(&mut tx, tenant, root.tree_size.saturating_sub(1), 1).await?;
    if is_new_root(tenant, root, there.first())? {
        // No root is older than the events under it.
        insert(&mut tx, &head, root, now.max(head.last_at)).await?;
    }
    if let Some(anchor) = anchor
        && is_new_anchor(tenant, &anchor, select_newest_anchor(&mut tx, tenant).await?)?
    {
        envelopes::insert_anchor(&mut tx, tenant, anchor.envelope, now).await?;
    }
    tx.commit().await
}

pub(crate) async fn list(
    connections: &Connections,
    tenant: &TenantId,
    after: u64,
    limit: usize,
) -> Result<Vec<RootRow>> {
    let mut tx = connections.read_snapshot().await?;
    tenants::require(&mut tx, tenant).await?;
    let roots = select_after(&mut tx, tenant, after, limit).await?;
    Ok(roots)
}

pub(crate) async fn newest(
    connections: &Connections,
    tenant: &TenantId,
    anchored: bool,
) -> Result<Option<RootRow>> {
    let mut tx = connections.read_snapshot().await?;
    tenants::require(&mut tx, tenant).await?;
    let newest = select_newest(&mut tx, tenant, anchored).await?;
    Ok(newest)
}

pub(crate) async fn newest_anchor(
    connections: &Connections,
    tenant: &TenantId,
) -> Result<Option<PreviousAnchor>> {
    let mut tx = connections.read_snapshot().await?;
    tenants::require(&mut tx, tenant).await?;
    let newest = select_newest_anchor(&mut tx, tenant).await?;
    Ok(newest)
}

pub(crate) async fn record_export(
    connections: &Connections,
    tenant: &TenantId,
    tree_size: u64,
    bundle: &BundleDigest,
) -> Result<()> {
    let mut tx = connections.write().await?;
    tenants::require(&mut tx, tenant).await?;
    set_export(&mut tx, tenant, tree_size, bundle).await?;
    tx.commit().await
}

/// The roots that these envelopes anchor.
pub(crate) async fn known(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    envelopes: &BTreeMap<EnvelopeDigest, EnvelopeFacts>,
) -> Result<BTreeMap<u64, KnownRoot>> {
    let mut known = BTreeMap::new();
    for anchor in envelopes.values().filter(|envelope| envelope.is_anchor()) {
        let size = anchor.set.size;
        let roots = select_after(connection, tenant, size.saturating_sub(1), 1).await?;
        known.extend(roots.iter().filter(|root| root.tree_size == size).map(|root| (size, root.into())));
    }
    Ok(known)
}

pub(crate) async fn set_anchored(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    anchored: &[AnchoredNow],
) -> Result<()> {
    for root in anchored {
        set_anchor(connection, tenant, root).await?;
    }
    Ok(())
}

async fn set_anchor(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    anchored: &AnchoredNow,
) -> Result<()> {
    sqlx::query(
        "-- set_anchor
        UPDATE findings_ledger_merkle_roots SET anchor_reference = ?3
        WHERE tenant_id = ?1 AND chain_id = (SELECT chain_id FROM findings_ledger_chains WHERE tenant_id = ?1)
            AND tree_size = ?2",
    )
    .bind(tenant.as_str())
    .bind(signed(anchored.tree_size)?)
    .bind(anchored.reference.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

async fn set_export(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    tree_size: u64,
    bundle: &BundleDigest,
) -> Result<()> {
    sqlx::query(
        "-- set_export
        UPDATE findings_ledger_merkle_roots SET export_reference = ?3
        WHERE tenant_id = ?1 AND chain_id = (SELECT chain_id FROM findings_ledger_chains WHERE tenant_id = ?1)
            AND tree_size = ?2 AND export_reference IS NULL",
    )
    .bind(tenant.as_str())
    .bind(signed(tree_size)?)
    .bind(export_reference(bundle))
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert(
    connection: &mut SqliteConnection,
    head: &Head,
    root: &NewRoot,
    created_at: Timestamp,
) -> Result<()> {
    sqlx::query(
        "-- insert
        INSERT INTO findings_ledger_merkle_roots (tenant_id, chain_id, tree_size, root_hash, checkpoint, created_at)
        VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(head.tenant_id.as_str())
    .bind(head.chain_id.to_string())
    .bind(signed(root.tree_size)?)
    .bind(root.root_hash.to_hex())
    .bind(root.checkpoint.as_slice())
    .bind(created_at.as_unix_micros())
    .execute(connection)
    .await?;
    Ok(())
}

async fn select_after(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    after: u64,
    limit: usize,
) -> Result<Vec<RootRow>> {
    let rows = sqlx::query(
        "-- select_after
        SELECT tenant_id, chain_id, tree_size, root_hash, checkpoint, created_at, anchor_reference, export_reference
        FROM findings_ledger_merkle_roots
        WHERE tenant_id = ?1 AND chain_id = (SELECT chain_id FROM findings_ledger_chains WHERE tenant_id = ?1)
            AND tree_size > ?2
        ORDER BY tree_size LIMIT ?3",
    )
    .bind(tenant.as_str())
    .bind(i64::try_from(after).unwrap_or(i64::MAX))
    .bind(sql_limit(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(read_root).collect()
}

async fn select_newest(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    anchored: bool,
) -> Result<Option<RootRow>> {
    let row = sqlx::query(
        "-- select_newest
        SELECT tenant_id, chain_id, tree_size, root_hash, checkpoint, created_at, anchor_reference, export_reference
        FROM findings_ledger_merkle_roots
        WHERE tenant_id = ?1 AND chain_id = (SELECT chain_id FROM findings_ledger_chains WHERE tenant_id = ?1)
            AND (NOT ?2 OR anchor_reference IS NOT NULL)
        ORDER BY tree_size DESC LIMIT 1",
    )
    .bind(tenant.as_str())
    .bind(anchored)
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(read_root).transpose()
}

async fn select_newest_anchor(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
) -> Result<Option<PreviousAnchor>> {
    // LEDGER_ANCHOR stands in the text, as it does in the partial index.
    let row = sqlx::query(
        "-- select_newest_anchor
        SELECT tenant_id, dsse_digest, set_size FROM attestor_envelopes
        WHERE tenant_id = ? AND predicate_type = 'https://provex.dev/predicates/ledger-anchor/v1'
        ORDER BY set_size DESC LIMIT 1",
    )
    .bind(tenant.as_str())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(read_anchor).transpose()
}

fn read_anchor(row: &SqliteRow) -> Result<PreviousAnchor> {
    let row = Stored::new(row, "attestor_envelopes", &["tenant_id", "dsse_digest"]);
    let envelope = EnvelopeDigest::new(row.digest("dsse_digest")?);
    Ok(PreviousAnchor { envelope, tree_size: row.unsigned("set_size")? })
}

fn read_root(row: &SqliteRow) -> Result<RootRow> {
    let row = Stored::new(row, "findings_ledger_merkle_roots", &["tenant_id", "tree_size"]);
    Ok(RootRow {
        chain_id: row.parse("chain_id")?,
        tree_size: row.unsigned("tree_size")?,
        root_hash: row.digest("root_hash")?,
        checkpoint: row.get("checkpoint")?,
        created_at: row.time("created_at")?,
        anchor_reference: row.get("anchor_reference")?,
        export_reference: row.get("export_reference")?,
    })
}
