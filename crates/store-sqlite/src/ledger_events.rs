//! `findings_ledger_events`, with the chain rows that they move and the tiles that they fill.

use std::collections::HashMap;

use provex_core::digest::Digest;
use provex_core::ids::TenantId;
use provex_core::ledger::{ActorType, Appended, Event, EventType, Head};
use provex_core::merkle::CompactRange;
use provex_core::tile::{self, TilePath};
use provex_store::ledger::{Append, filled_tiles};
use provex_store::{Error, EventRow};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::connection::Connections;
use crate::failure::{Failure, Result};
use crate::sql::{Stored, insert_rows, limit as sql_limit, signed};
use crate::{ledger_attestations, tenants};

pub(crate) async fn read_head(connections: &Connections, tenant: &TenantId) -> Result<Head> {
    let mut tx = connections.read_snapshot().await?;
    let head = head(&mut tx, tenant).await?;
    Ok(head)
}

pub(crate) async fn events(
    connections: &Connections,
    tenant: &TenantId,
    after: u64,
    limit: usize,
) -> Result<Vec<EventRow>> {
    let mut tx = connections.read_snapshot().await?;
    let head = head(&mut tx, tenant).await?;
    let events = select_events(&mut tx, &head, after, limit).await?;
    Ok(events)
}

pub(crate) async fn tile(
    connections: &Connections,
    tenant: &TenantId,
    path: TilePath,
) -> Result<Option<Vec<Digest>>> {
    let mut tx = connections.read_snapshot().await?;
    let head = head(&mut tx, tenant).await?;
    let tile = select_tile(&mut tx, &head, path).await?;
    Ok(tile)
}

pub(crate) async fn tiles(
    connections: &Connections,
    tenant: &TenantId,
    paths: &[TilePath],
) -> Result<Vec<Vec<Digest>>> {
    let mut tx = connections.read_snapshot().await?;
    let head = head(&mut tx, tenant).await?;
    let tiles = read_tiles(&mut tx, &head, paths).await?;
    Ok(tiles)
}

async fn read_tiles(
    connection: &mut SqliteConnection,
    head: &Head,
    paths: &[TilePath],
) -> Result<Vec<Vec<Digest>>> {
    let mut tiles = Vec::with_capacity(paths.len());
    for path in paths {
        let full = match path.width {
            tile::FULL_WIDTH => select_tile(connection, head, *path).await?,
            _ => None,
        };
        tiles.push(match full {
            Some(full) => full,
            None => hashes(connection, head, *path).await?,
        });
    }
    Ok(tiles)
}

/// The root of the chain's tree over its first events; `None` where there are not so many.
pub(crate) async fn root_at(
    connection: &mut SqliteConnection,
    head: &Head,
    size: u64,
) -> Result<Option<Digest>> {
    if size >= head.sequence_no() {
        return Ok((size == head.sequence_no()).then(|| head.frontier.root()));
    }
    let paths = tile::tiles_for_root(size);
    let tiles = read_tiles(connection, head, &paths).await?;
    let mut tiles: HashMap<_, _> = paths.into_iter().zip(tiles).collect();
    Ok(tile::root(&mut tiles, size).ok())
}

/// The head of the tenant's chain, to append to: a write transaction holds the lock of all chains.
pub(crate) async fn lock(connection: &mut SqliteConnection, tenant: &TenantId) -> Result<Head> {
    let (head, backfilled) = select_head(connection, tenant).await?;
    if backfilled { Ok(head) } else { Err(Failure::Refused(Error::Backfilling(tenant.clone()))) }
}

/// Writes what was appended, and moves the head: the chain's new size.
pub(crate) async fn write(connection: &mut SqliteConnection, append: Append<'_>) -> Result<u64> {
    let (head, appended) = append.finish();
    let old_size = head.sequence_no() - appended.len() as u64;
    insert(connection, &appended).await?;
    for path in filled_tiles(old_size, head.sequence_no()) {
        let hashes = hashes(connection, &head, path).await?;
        insert_tile(connection, &head, path, &hashes).await?;
    }
    ledger_attestations::upsert(connection, &appended).await?;
    set_head(connection, &head).await?;
    Ok(head.sequence_no())
}

/// The head of the tenant's chain.
pub(crate) async fn head(connection: &mut SqliteConnection, tenant: &TenantId) -> Result<Head> {
    select_head(connection, tenant).await.map(|(head, _)| head)
}

/// The head, and whether all that was recorded before there were events has its events.
pub(crate) async fn select_head(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
) -> Result<(Head, bool)> {
    let row = sqlx::query(
        "-- select_head
        SELECT tenant_id, chain_id, sequence_no, event_hash, cycle_hash, frontier, last_at, backfilled_at
        FROM findings_ledger_chains WHERE tenant_id = ?",
    )
    .bind(tenant.as_str())
    .fetch_optional(connection)
    .await?
    .ok_or_else(|| tenants::unknown(tenant))?;
    let row = Stored::new(&row, "findings_ledger_chains", &["tenant_id"]);
    let frontier = CompactRange::from_parts(row.unsigned("sequence_no")?, row.digests("frontier")?);
    let head = Head {
        tenant_id: tenant.clone(),
        chain_id: row.parse("chain_id")?,
        frontier: frontier.map_err(|error| row.corrupt("frontier", error.to_string()))?,
        event_hash: row.digest("event_hash")?,
        cycle_hash: row.digest("cycle_hash")?,
        last_at: row.time("last_at")?,
    };
    Ok((head, row.opt_time("backfilled_at")?.is_some()))
}

async fn set_head(connection: &mut SqliteConnection, head: &Head) -> Result<()> {
    let frontier: Vec<u8> = head.frontier.hashes().iter().flat_map(|hash| *hash.as_bytes()).collect();
    sqlx::query(
        "-- set_head
        UPDATE findings_ledger_chains
        SET sequence_no = ?2, event_hash = ?3, cycle_hash = ?4, frontier = ?5, last_at = ?6 WHERE tenant_id = ?1",
    )
    .bind(head.tenant_id.as_str())
    .bind(signed(head.sequence_no())?)
    .bind(head.event_hash.to_hex())
    .bind(head.cycle_hash.to_hex())
    .bind(frontier)
    .bind(head.last_at.as_unix_micros())
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert(connection: &mut SqliteConnection, appended: &[Appended]) -> Result<()> {
    insert_rows(
        connection,
        "-- insert
        INSERT INTO findings_ledger_events
            (tenant_id, chain_id, sequence_no, event_id, event_type, policy_version, finding_id, artifact_id,
             source_run_id, actor_id, actor_type, occurred_at, recorded_at, event_body, row_count, rows_root,
             event_hash, previous_hash, merkle_leaf_hash)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        appended,
        |query, appended| {
            let event = &appended.event;
            query
                .bind(event.tenant_id.as_str())
                .bind(event.chain_id.to_string())
                // A chain's tree is never that large.
                .bind(i64::try_from(event.sequence_no).unwrap_or(i64::MAX))
                .bind(event.event_id.to_string())
                .bind(event.event_type.label())
                .bind(event.policy_version.as_deref())
                .bind(event.finding_id.as_deref())
                .bind(event.artifact_id.as_deref())
                .bind(event.source_run_id.map(|run| run.to_string()))
                .bind(event.actor_id.as_str())
                .bind(event.actor_type.label())
                .bind(event.occurred_at.as_unix_micros())
                .bind(event.recorded_at.as_unix_micros())
                .bind(appended.body.as_slice())
                .bind(appended.rows.len() as i64)
                .bind(event.rows_root.to_hex())
                .bind(appended.event_hash.to_hex())
                .bind(event.previous_hash.to_hex())
                .bind(appended.leaf_hash.to_hex())
        },
    )
    .await
}

/// The hashes of a tile that is full since now, or not full yet.
async fn hashes(connection: &mut SqliteConnection, head: &Head, path: TilePath) -> Result<Vec<Digest>> {
    match path.level {
        0 => select_leaves(connection, head, path).await,
        _ => select_roots(connection, head, path).await,
    }
}

/// The leaf hashes of a tile of level 0.
async fn select_leaves(
    connection: &mut SqliteConnection,
    head: &Head,
    path: TilePath,
) -> Result<Vec<Digest>> {
    let first = path.index * u64::from(tile::FULL_WIDTH);
    let rows = sqlx::query(
        "-- select_leaves
        SELECT tenant_id, sequence_no, merkle_leaf_hash FROM findings_ledger_events
        WHERE tenant_id = ? AND chain_id = ? AND sequence_no > ? AND sequence_no <= ? ORDER BY sequence_no",
    )
    .bind(head.tenant_id.as_str())
    .bind(head.chain_id.to_string())
    .bind(signed(first)?)
    .bind(signed(first + u64::from(path.width))?)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| stored(row).digest("merkle_leaf_hash")).collect()
}

/// The hashes of a tile above level 0: the roots of the full tiles below it.
async fn select_roots(connection: &mut SqliteConnection, head: &Head, path: TilePath) -> Result<Vec<Digest>> {
    let first = path.index * u64::from(tile::FULL_WIDTH);
    let rows = sqlx::query(
        "-- select_roots
        SELECT tenant_id, tile_index, hashes FROM findings_ledger_tiles
        WHERE tenant_id = ? AND chain_id = ? AND level = ? AND tile_index >= ? AND tile_index < ?
        ORDER BY tile_index",
    )
    .bind(head.tenant_id.as_str())
    .bind(head.chain_id.to_string())
    .bind(i64::from(path.level - 1))
    .bind(signed(first)?)
    .bind(signed(first + u64::from(path.width))?)
    .fetch_all(connection)
    .await?;
    let root = |row| {
        let mut tree = CompactRange::new();
        stored_tile(row).digests("hashes")?.into_iter().for_each(|hash| tree.append(hash));
        Ok(tree.root())
    };
    rows.iter().map(root).collect()
}

async fn select_tile(
    connection: &mut SqliteConnection,
    head: &Head,
    path: TilePath,
) -> Result<Option<Vec<Digest>>> {
    let row = sqlx::query(
        "-- select_tile
        SELECT tenant_id, tile_index, hashes FROM findings_ledger_tiles
        WHERE tenant_id = ? AND chain_id = ? AND level = ? AND tile_index = ?",
    )
    .bind(head.tenant_id.as_str())
    .bind(head.chain_id.to_string())
    .bind(i64::from(path.level))
    .bind(signed(path.index)?)
    .fetch_optional(connection)
    .await?;
    row.map(|row| stored_tile(&row).digests("hashes")).transpose()
}

async fn insert_tile(
    connection: &mut SqliteConnection,
    head: &Head,
    path: TilePath,
    hashes: &[Digest],
) -> Result<()> {
    let bytes: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
    sqlx::query(
        "-- insert_tile
        INSERT INTO findings_ledger_tiles (tenant_id, chain_id, level, tile_index, hashes) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(head.tenant_id.as_str())
    .bind(head.chain_id.to_string())
    .bind(i64::from(path.level))
    .bind(signed(path.index)?)
    .bind(bytes)
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn select_events(
    connection: &mut SqliteConnection,
    head: &Head,
    after: u64,
    limit: usize,
) -> Result<Vec<EventRow>> {
    let rows = sqlx::query(
        "-- select_events
        SELECT tenant_id, chain_id, sequence_no, event_id, event_type, policy_version, finding_id, artifact_id,
            source_run_id, actor_id, actor_type, occurred_at, recorded_at, event_body, row_count, rows_root, event_hash,
            previous_hash, merkle_leaf_hash
        FROM findings_ledger_events WHERE tenant_id = ? AND chain_id = ? AND sequence_no > ?
        ORDER BY sequence_no LIMIT ?",
    )
    .bind(head.tenant_id.as_str())
    .bind(head.chain_id.to_string())
    .bind(i64::try_from(after).unwrap_or(i64::MAX))
    .bind(sql_limit(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| read_event(row, &head.tenant_id)).collect()
}

fn read_event(row: &SqliteRow, tenant: &TenantId) -> Result<EventRow> {
    let row = stored(row);
    let event = Event {
        tenant_id: tenant.clone(),
        chain_id: row.parse("chain_id")?,
        sequence_no: row.unsigned("sequence_no")?,
        event_id: row.parse("event_id")?,
        event_type: row.label("event_type", EventType::from_label)?,
        policy_version: row.get("policy_version")?,
        finding_id: row.get("finding_id")?,
        artifact_id: row.get("artifact_id")?,
        source_run_id: row.opt_parse("source_run_id")?,
        actor_id: row.get("actor_id")?,
        actor_type: row.label("actor_type", ActorType::from_label)?,
        occurred_at: row.time("occurred_at")?,
        recorded_at: row.time("recorded_at")?,
        previous_hash: row.digest("previous_hash")?,
        body_hash: Digest::of(row.get("event_body")?),
        row_count: row.unsigned("row_count")?,
        rows_root: row.digest("rows_root")?,
    };
    Ok(EventRow {
        event,
        body: row.get("event_body")?,
        event_hash: row.digest("event_hash")?,
        leaf_hash: row.digest("merkle_leaf_hash")?,
    })
}

fn stored_tile(row: &SqliteRow) -> Stored<'_> {
    Stored::new(row, "findings_ledger_tiles", &["tenant_id", "tile_index"])
}

fn stored(row: &SqliteRow) -> Stored<'_> {
    Stored::new(row, "findings_ledger_events", &["tenant_id", "sequence_no"])
}
