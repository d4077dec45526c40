//! Everything in the database at one moment, for a copy into another.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use provex_store::Error;
use provex_store::copy::{PAGE_BYTES, PAGE_ROWS, Row, Snapshot, Table, Value};
use sqlx::sqlite::{SqliteRow, SqliteValueRef};
use sqlx::{AssertSqlSafe, Decode, Row as _, Sqlite, SqliteConnection, TypeInfo as _, ValueRef as _};

use crate::connection::{Connections, Reader};
use crate::failure::{Failure, Result};

/// A transaction that only reads.
pub(crate) struct FileSnapshot {
    tx: Reader,
    /// Dropped after its reader.
    connections: Arc<Connections>,
}

impl FileSnapshot {
    pub(crate) async fn open(connections: Arc<Connections>) -> std::result::Result<Self, Error> {
        let begun = async {
            let mut tx = connections.read_snapshot().await?;
            // The first look fixes the state that all others see.
            select_columns(&mut tx, "control_migrations").await?;
            Ok(tx)
        };
        let begun = begun.await;
        let tx = explain(&connections, begun)?;
        Ok(Self { tx, connections })
    }
}

fn explain<T>(connections: &Connections, result: Result<T>) -> std::result::Result<T, Error> {
    result.map_err(|failure| failure.explain("reading what is to be copied", connections))
}

#[async_trait]
impl Snapshot for FileSnapshot {
    async fn columns(&mut self, table: &str) -> std::result::Result<BTreeSet<String>, Error> {
        let columns = select_columns(&mut self.tx, &table.replace('.', "_")).await;
        explain(&self.connections, columns)
    }

    async fn page(&mut self, table: &Table, after: Option<&[Value]>) -> std::result::Result<Vec<Row>, Error> {
        let page = select_page(&mut self.tx, table, after).await;
        explain(&self.connections, page)
    }
}

async fn select_columns(connection: &mut SqliteConnection, table: &str) -> Result<BTreeSet<String>> {
    let columns = sqlx::query_scalar::<_, String>(
        "-- select_columns
        SELECT name FROM pragma_table_info(?1)",
    )
    .bind(table)
    .fetch_all(connection)
    .await?;
    Ok(columns.into_iter().collect())
}

async fn select_page(
    connection: &mut SqliteConnection,
    table: &Table,
    after: Option<&[Value]>,
) -> Result<Vec<Row>> {
    let quoted = |columns: &[String]| {
        columns.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ")
    };
    let key = quoted(table.key_columns());
    let behind = match after {
        Some(_) => format!("WHERE ({key}) > ({})", vec!["?"; table.key].join(", ")),
        None => String::new(),
    };
    // Made of names that the schema has, and numbers.
    let sql = AssertSqlSafe(format!(
        "-- select_page
        SELECT {} FROM {} {behind} ORDER BY {key} LIMIT {PAGE_ROWS}",
        quoted(&table.columns),
        table.name.replace('.', "_"),
    ));
    let mut query = sqlx::query(sql).persistent(false);
    for value in after.unwrap_or_default() {
        query = match value.clone() {
            Value::Null => query.bind(None::<i64>),
            Value::Integer(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
            Value::Bytes(bytes) => query.bind(bytes),
        };
    }
    let mut stream = query.fetch(connection);
    let (mut page, mut size) = (Vec::new(), 0);
    while size < PAGE_BYTES
        && let Some(row) = stream.try_next().await?
    {
        let row = read(&row)?;
        size += row.iter().map(Value::bytes).sum::<usize>();
        page.push(row);
    }
    Ok(page)
}

fn read(row: &SqliteRow) -> Result<Row> {
    (0..row.len()).map(|column| value(row.try_get_raw(column)?)).collect()
}

fn value(raw: SqliteValueRef<'_>) -> Result<Value> {
    let kind = raw.type_info();
    let read = match kind.name() {
        _ if raw.is_null() => Ok(Value::Null),
        "INTEGER" => <i64 as Decode<Sqlite>>::decode(raw).map(Value::Integer),
        "TEXT" => <String as Decode<Sqlite>>::decode(raw).map(Value::Text),
        "BLOB" => <Vec<u8> as Decode<Sqlite>>::decode(raw).map(Value::Bytes),
        other => Err(format!("a value of type {other}").into()),
    };
    read.map_err(|error| Failure::Database(sqlx::Error::Decode(error)))
}
