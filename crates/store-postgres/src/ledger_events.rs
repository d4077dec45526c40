//! `findings.ledger_events`, with the chain rows that they move and the tiles that they fill.

use std::collections::HashMap;

use provex_core::digest::Digest;
use provex_core::ids::TenantId;
use provex_core::ledger::{ActorType, Appended, Event, EventType, Head};
use provex_core::merkle::CompactRange;
use provex_core::tile::{self, TilePath};
use provex_store::ledger::{Append, filled_tiles};
use provex_store::{Error, EventRow};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::connection::Database;
use crate::failure::{Failure, Result};
use crate::sql::{Stored, Time, limit as sql_limit, signed};
use crate::{ledger_attestations, tenants};

pub(crate) async fn read_head(database: &Database, tenant: &TenantId) -> Result<Head> {
    let mut tx = database.snapshot(tenant).await?;
    let head = head(&mut tx, tenant).await?;
    tx.end(head).await
}

pub(crate) async fn events(
    database: &Database,
    tenant: &TenantId,
    after: u64,
    limit: usize,
) -> Result<Vec<EventRow>> {
    let mut tx = database.snapshot(tenant).await?;
    let head = head(&mut tx, tenant).await?;
    let events = select_events(&mut tx, &head, after, limit).await?;
    tx.end(events).await
}

pub(crate) async fn tile(
    database: &Database,
    tenant: &TenantId,
    path: TilePath,
) -> Result<Option<Vec<Digest>>> {
    let mut tx = database.snapshot(tenant).await?;
    let head = head(&mut tx, tenant).await?;
    let tile = select_tile(&mut tx, &head, path).await?;
    tx.end(tile).await
}

pub(crate) async fn tiles(
    database: &Database,
    tenant: &TenantId,
    paths: &[TilePath],
) -> Result<Vec<Vec<Digest>>> {
    let mut tx = database.snapshot(tenant).await?;
    let head = head(&mut tx, tenant).await?;
    let tiles = read_tiles(&mut tx, &head, paths).await?;
    tx.end(tiles).await
}

async fn read_tiles(
    connection: &mut PgConnection,
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
pub(crate) async fn root_at(connection: &mut PgConnection, head: &Head, size: u64) -> Result<Option<Digest>> {
    if size >= head.sequence_no() {
        return Ok((size == head.sequence_no()).then(|| head.frontier.root()));
    }
    let paths = tile::tiles_for_root(size);
    let tiles = read_tiles(connection, head, &paths).await?;
    let mut tiles: HashMap<_, _> = paths.into_iter().zip(tiles).collect();
    Ok(tile::root(&mut tiles, size).ok())
}

/// Takes the tenant's chain row until the end of the transaction: whoever records begins with it, so writers of a tenant
/// queue here and nowhere else. The head of its chain.
pub(crate) async fn lock(connection: &mut PgConnection, tenant: &TenantId) -> Result<Head> {
    let (head, backfilled) = lock_head(connection, tenant).await?;
    if backfilled { Ok(head) } else { Err(Failure::Refused(Error::Backfilling(tenant.clone()))) }
}

/// Writes what was appended, and moves the head: the chain's new size.
pub(crate) async fn write(connection: &mut PgConnection, append: Append<'_>) -> Result<u64> {
    let (head, appended) = append.finish();
    let old_size = head.sequence_no() - appended.len() as u64;
    insert(connection, &head, &appended).await?;
    for path in filled_tiles(old_size, head.sequence_no()) {
        let hashes = hashes(connection, &head, path).await?;
        insert_tile(connection, &head, path, &hashes).await?;
    }
    ledger_attestations::upsert(connection, &head.tenant_id, &appended).await?;
    set_head(connection, &head).await?;
    Ok(head.sequence_no())
}

/// The head of the tenant's chain.
pub(crate) async fn head(connection: &mut PgConnection, tenant: &TenantId) -> Result<Head> {
    let row = sqlx::query(
        "-- head
        SELECT tenant_id, chain_id, sequence_no, event_hash, cycle_hash, frontier, last_at, backfilled_at
        FROM findings.ledger_chains WHERE tenant_id = $1",
    )
    .bind(tenant.as_str())
    .fetch_optional(connection)
    .await?
    .ok_or_else(|| tenants::unknown(tenant))?;
    read_head_row(&row, tenant).map(|(head, _)| head)
}

pub(crate) async fn lock_head(connection: &mut PgConnection, tenant: &TenantId) -> Result<(Head, bool)> {
    let row = sqlx::query(
        "-- lock_head
        SELECT tenant_id, chain_id, sequence_no, event_hash, cycle_hash, frontier, last_at, backfilled_at
        FROM findings.ledger_chains WHERE tenant_id = $1 FOR UPDATE",
    )
    .bind(tenant.as_str())
    .fetch_optional(connection)
    .await?
    .ok_or_else(|| tenants::unknown(tenant))?;
    read_head_row(&row, tenant)
}

/// The head, and whether all that was recorded before there were events has its events.
fn read_head_row(row: &PgRow, tenant: &TenantId) -> Result<(Head, bool)> {
    let row = Stored::new(row, "findings.ledger_chains", &["tenant_id"]);
    let frontier = CompactRange::from_parts(row.unsigned("sequence_no")?, row.digests("frontier")?);
    let head = Head {
        tenant_id: tenant.clone(),
        chain_id: row.get("chain_id")?,
        frontier: frontier.map_err(|error| row.corrupt("frontier", error.to_string()))?,
        event_hash: row.digest("event_hash")?,
        cycle_hash: row.digest("cycle_hash")?,
        last_at: row.time("last_at")?,
    };
    Ok((head, row.opt_time("backfilled_at")?.is_some()))
}

async fn set_head(connection: &mut PgConnection, head: &Head) -> Result<()> {
    let frontier: Vec<u8> = head.frontier.hashes().iter().flat_map(|hash| *hash.as_bytes()).collect();
    sqlx::query(
        "-- set_head
        UPDATE findings.ledger_chains
        SET sequence_no = $2, event_hash = $3, cycle_hash = $4, frontier = $5, last_at = $6 WHERE tenant_id = $1",
    )
    .bind(head.tenant_id.as_str())
    .bind(signed(head.sequence_no())?)
    .bind(head.event_hash.to_hex())
    .bind(head.cycle_hash.to_hex())
    .bind(frontier)
    .bind(Time(head.last_at))
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn insert(connection: &mut PgConnection, head: &Head, appended: &[Appended]) -> Result<()> {
    let events = || appended.iter().map(|appended| &appended.event);
    let numbers = events().map(|event| signed(event.sequence_no)).collect::<Result<Vec<_>>>()?;
    let counts = events().map(|event| signed(event.row_count)).collect::<Result<Vec<_>>>()?;
    let done = sqlx::query(
        "-- insert
        INSERT INTO findings.ledger_events
            (tenant_id, chain_id, sequence_no, event_id, event_type, policy_version, finding_id, artifact_id,
             source_run_id, actor_id, actor_type, occurred_at, recorded_at, event_body, row_count, rows_root,
             event_hash, previous_hash, merkle_leaf_hash)
        SELECT $1, $2, u.*
        FROM unnest($3::bigint[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::uuid[], $10::text[],
            $11::text[], $12::timestamptz[], $13::timestamptz[], $14::bytea[], $15::bigint[], $16::text[],
            $17::text[], $18::text[], $19::text[]) AS u
        ON CONFLICT DO NOTHING",
    )
    .bind(head.tenant_id.as_str())
    .bind(head.chain_id)
    .bind(numbers)
    .bind(events().map(|event| event.event_id).collect::<Vec<_>>())
    .bind(events().map(|event| event.event_type.label()).collect::<Vec<_>>())
    .bind(events().map(|event| event.policy_version.as_deref()).collect::<Vec<_>>())
    .bind(events().map(|event| event.finding_id.as_deref()).collect::<Vec<_>>())
    .bind(events().map(|event| event.artifact_id.as_deref()).collect::<Vec<_>>())
    .bind(events().map(|event| event.source_run_id).collect::<Vec<_>>())
    .bind(events().map(|event| event.actor_id.as_str()).collect::<Vec<_>>())
    .bind(events().map(|event| event.actor_type.label()).collect::<Vec<_>>())
    .bind(events().map(|event| Time(event.occurred_at)).collect::<Vec<_>>())
    .bind(events().map(|event| Time(event.recorded_at)).collect::<Vec<_>>())
    .bind(appended.iter().map(|appended| appended.body.as_slice()).collect::<Vec<_>>())
    .bind(counts)
    .bind(events().map(|event| event.rows_root.to_hex()).collect::<Vec<_>>())
    .bind(appended.iter().map(|appended| appended.event_hash.to_hex()).collect::<Vec<_>>())
    .bind(events().map(|event| event.previous_hash.to_hex()).collect::<Vec<_>>())
    .bind(appended.iter().map(|appended| appended.leaf_hash.to_hex()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    // Nobody else appends while the chain row is ours, so what is there already was put there by other means.
    if done.rows_affected() != appended.len() as u64 {
        let reason = "findings.ledger_events has events beyond the head of the chain".to_owned();
        return Err(Failure::Refused(Error::Damaged(reason)));
    }
    Ok(())
}

/// The hashes of a tile that is full since now, or not full yet.
async fn hashes(connection: &mut PgConnection, head: &Head, path: TilePath) -> Result<Vec<Digest>> {
    match path.level {
        0 => select_leaves(connection, head, path).await,
        _ => select_roots(connection, head, path).await,
    }
}

/// The leaf hashes of a tile of level 0.
async fn select_leaves(connection: &mut PgConnection, head: &Head, path: TilePath) -> Result<Vec<Digest>> {
    let first = path.index * u64::from(tile::FULL_WIDTH);
    let rows = sqlx::query(
        "-- select_leaves
        SELECT tenant_id, sequence_no, merkle_leaf_hash FROM findings.ledger_events
        WHERE tenant_id = $1 AND chain_id = $2 AND sequence_no > $3 AND sequence_no <= $4 ORDER BY sequence_no",
    )
    .bind(head.tenant_id.as_str())
    .bind(head.chain_id)
    .bind(signed(first)?)
    .bind(signed(first + u64::from(path.width))?)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| stored(row).digest("merkle_leaf_hash")).collect()
}

/// The hashes of a tile above level 0: the roots of the full tiles below it.
async fn select_roots(connection: &mut PgConnection, head: &Head, path: TilePath) -> Result<Vec<Digest>> {
    let first = path.index * u64::from(tile::FULL_WIDTH);
    let rows = sqlx::query(
        "-- select_roots
        SELECT tenant_id, tile_index, hashes FROM findings.ledger_tiles
        WHERE tenant_id = $1 AND chain_id = $2 AND level = $3 AND tile_index >= $4 AND tile_index < $5
        ORDER BY tile_index",
    )
    .bind(head.tenant_id.as_str())
    .bind(head.chain_id)
    .bind(i32::from(path.level - 1))
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
    connection: &mut PgConnection,
    head: &Head,
    path: TilePath,
) -> Result<Option<Vec<Digest>>> {
    let row = sqlx::query(
        "-- select_tile
        SELECT tenant_id, tile_index, hashes FROM findings.ledger_tiles
        WHERE tenant_id = $1 AND chain_id = $2 AND level = $3 AND tile_index = $4",
    )
    .bind(head.tenant_id.as_str())
    .bind(head.chain_id)
    .bind(i32::from(path.level))
    .bind(signed(path.index)?)
    .fetch_optional(connection)
    .await?;
    row.map(|row| stored_tile(&row).digests("hashes")).transpose()
}

async fn insert_tile(
    connection: &mut PgConnection,
    head: &Head,
    path: TilePath,
    hashes: &[Digest],
) -> Result<()> {
    let bytes: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
    sqlx::query(
        "-- insert_tile
        INSERT INTO findings.ledger_tiles (tenant_id, chain_id, level, tile_index, hashes)
        VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(head.tenant_id.as_str())
    .bind(head.chain_id)
    .bind(i32::from(path.level))
    .bind(signed(path.index)?)
    .bind(bytes)
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn select_events(
    connection: &mut PgConnection,
    head: &Head,
    after: u64,
    limit: usize,
) -> Result<Vec<EventRow>> {
    let rows = sqlx::query(
        "-- select_events
        SELECT tenant_id, chain_id, sequence_no, event_id, event_type, policy_version, finding_id, artifact_id,
            source_run_id, actor_id, actor_type, occurred_at, recorded_at, event_body, row_count, rows_root, event_hash,
            previous_hash, merkle_leaf_hash
        FROM findings.ledger_events WHERE tenant_id = $1 AND chain_id = $2 AND sequence_no > $3
        ORDER BY sequence_no LIMIT $4",
    )
    .bind(head.tenant_id.as_str())
    .bind(head.chain_id)
    .bind(i64::try_from(after).unwrap_or(i64::MAX))
    .bind(sql_limit(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| read_event(row, &head.tenant_id)).collect()
}

fn read_event(row: &PgRow, tenant: &TenantId) -> Result<EventRow> {
    let row = stored(row);
    let event = Event {
        tenant_id: tenant.clone(),
        chain_id: row.get("chain_id")?,
        sequence_no: row.unsigned("sequence_no")?,
        event_id: row.get("event_id")?,
        event_type: row.label("event_type", EventType::from_label)?,
        policy_version: row.get("policy_version")?,
        finding_id: row.get("finding_id")?,
        artifact_id: row.get("artifact_id")?,
        source_run_id: row.get("source_run_id")?,
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

fn stored_tile(row: &PgRow) -> Stored<'_> {
    Stored::new(row, "findings.ledger_tiles", &["tenant_id", "tile_index"])
}

fn stored(row: &PgRow) -> Stored<'_> {
    Stored::new(row, "findings.ledger_events", &["tenant_id", "sequence_no"])
}
