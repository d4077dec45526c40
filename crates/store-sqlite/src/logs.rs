//! `control_logs`: the newest checkpoint of each log.

use provex_core::ids::LogId;
use provex_store::LogCheckpoint;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::connection::Connections;
use crate::failure::Result;
use crate::sql::{Stored, signed};

pub(crate) async fn checkpoint(connections: &Connections, log: &LogId) -> Result<Option<LogCheckpoint>> {
    let mut connection = connections.read().await?;
    select_checkpoint(&mut connection, log).await
}

pub(crate) async fn checkpoints(connections: &Connections) -> Result<Vec<(LogId, LogCheckpoint)>> {
    let mut connection = connections.read().await?;
    select_checkpoints(&mut connection).await
}

pub(crate) async fn record_checkpoint(
    connections: &Connections,
    log: &LogId,
    checkpoint: &LogCheckpoint,
) -> Result<()> {
    let mut tx = connections.write().await?;
    upsert_checkpoint(&mut tx, log, checkpoint).await?;
    tx.commit().await
}

async fn select_checkpoint(connection: &mut SqliteConnection, log: &LogId) -> Result<Option<LogCheckpoint>> {
    let row = sqlx::query(
        "-- select_checkpoint
        SELECT log_id, origin, tree_size, tree_root, checkpoint, seen_at FROM control_logs WHERE log_id = ?",
    )
    .bind(log.to_text())
    .fetch_optional(connection)
    .await?;
    row.map(|row| read_checkpoint(&row)).transpose()
}

async fn select_checkpoints(connection: &mut SqliteConnection) -> Result<Vec<(LogId, LogCheckpoint)>> {
    let rows = sqlx::query(
        "-- select_checkpoints
        SELECT log_id, origin, tree_size, tree_root, checkpoint, seen_at FROM control_logs ORDER BY log_id",
    )
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let log = Stored::new(row, "control_logs", &["log_id"]).digest("log_id")?;
            Ok((LogId::new(log), read_checkpoint(row)?))
        })
        .collect()
}

fn read_checkpoint(row: &SqliteRow) -> Result<LogCheckpoint> {
    let row = Stored::new(row, "control_logs", &["log_id"]);
    Ok(LogCheckpoint {
        origin: row.get("origin")?,
        size: row.unsigned("tree_size")?,
        root: row.digest("tree_root")?,
        note: row.get("checkpoint")?,
        seen_at: row.time("seen_at")?,
    })
}

async fn upsert_checkpoint(
    connection: &mut SqliteConnection,
    log: &LogId,
    checkpoint: &LogCheckpoint,
) -> Result<()> {
    sqlx::query(
        "-- upsert_checkpoint
        INSERT INTO control_logs (log_id, origin, tree_size, tree_root, checkpoint, seen_at)
        VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT (log_id) DO UPDATE SET
            origin = excluded.origin, tree_size = excluded.tree_size, tree_root = excluded.tree_root,
            checkpoint = excluded.checkpoint, seen_at = excluded.seen_at
        WHERE excluded.tree_size > control_logs.tree_size",
    )
    .bind(log.to_text())
    .bind(checkpoint.origin.as_str())
    .bind(signed(checkpoint.size)?)
    .bind(checkpoint.root.to_hex())
    .bind(checkpoint.note.as_slice())
    .bind(checkpoint.seen_at.as_unix_micros())
    .execute(connection)
    .await?;
    Ok(())
}
