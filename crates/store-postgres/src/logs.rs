//! `control.logs`: the newest checkpoint of each log.

use provex_core::ids::LogId;
use provex_store::LogCheckpoint;
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::connection::{Attempt, Database};
use crate::failure::Result;
use crate::sql::{Stored, Time, signed};

pub(crate) async fn checkpoint(database: &Database, log: &LogId) -> Result<Option<LogCheckpoint>> {
    let mut tx = database.begin_shared().await?;
    let found = select_checkpoint(&mut tx, log).await?;
    tx.end(found).await
}

pub(crate) async fn checkpoints(database: &Database) -> Result<Vec<(LogId, LogCheckpoint)>> {
    let mut tx = database.begin_shared().await?;
    let found = select_checkpoints(&mut tx).await?;
    tx.end(found).await
}

pub(crate) async fn record_checkpoint(
    database: &Database,
    log: &LogId,
    checkpoint: &LogCheckpoint,
) -> Result<Attempt<()>> {
    let mut tx = database.begin_shared().await?;
    upsert_checkpoint(&mut tx, log, checkpoint).await?;
    tx.commit(()).await
}

async fn select_checkpoint(connection: &mut PgConnection, log: &LogId) -> Result<Option<LogCheckpoint>> {
    let row = sqlx::query(
        "-- select_checkpoint
        SELECT log_id, origin, tree_size, tree_root, checkpoint, seen_at FROM control.logs WHERE log_id = $1",
    )
    .bind(log.to_text())
    .fetch_optional(connection)
    .await?;
    row.map(|row| read_checkpoint(&row)).transpose()
}

async fn select_checkpoints(connection: &mut PgConnection) -> Result<Vec<(LogId, LogCheckpoint)>> {
    let rows = sqlx::query(
        "-- select_checkpoints
        SELECT log_id, origin, tree_size, tree_root, checkpoint, seen_at FROM control.logs ORDER BY log_id",
    )
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let log = Stored::new(row, "control.logs", &["log_id"]).digest("log_id")?;
            Ok((LogId::new(log), read_checkpoint(row)?))
        })
        .collect()
}

fn read_checkpoint(row: &PgRow) -> Result<LogCheckpoint> {
    let row = Stored::new(row, "control.logs", &["log_id"]);
    Ok(LogCheckpoint {
        origin: row.get("origin")?,
        size: row.unsigned("tree_size")?,
        root: row.digest("tree_root")?,
        note: row.get("checkpoint")?,
        seen_at: row.time("seen_at")?,
    })
}

async fn upsert_checkpoint(
    connection: &mut PgConnection,
    log: &LogId,
    checkpoint: &LogCheckpoint,
) -> Result<()> {
    sqlx::query(
        "-- upsert_checkpoint
        INSERT INTO control.logs AS kept (log_id, origin, tree_size, tree_root, checkpoint, seen_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (log_id) DO UPDATE SET
            origin = excluded.origin, tree_size = excluded.tree_size, tree_root = excluded.tree_root,
            checkpoint = excluded.checkpoint, seen_at = excluded.seen_at
        WHERE excluded.tree_size > kept.tree_size",
    )
    .bind(log.to_text())
    .bind(checkpoint.origin.as_str())
    .bind(signed(checkpoint.size)?)
    .bind(checkpoint.root.to_hex())
    .bind(checkpoint.note.as_slice())
    .bind(Time(checkpoint.seen_at))
    .execute(connection)
    .await?;
    Ok(())
}
