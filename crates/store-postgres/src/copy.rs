//! A copy of another store into a database: row by row in the order of keys, a page a transaction.
//!
//! A copy that was killed has left the first rows of each table, in that order, and nothing else. So the same comparison
//! says where to go on, that a database has other data, and at the end that everything arrived.

use std::collections::BTreeSet;

use futures_util::TryStreamExt as _;
use provex_core::time::Timestamp;
use provex_core::{jcs, json};
use provex_store::Error;
use provex_store::copy::{Row, Snapshot, TABLES, Table, Value};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, Row as _};

use crate::connection::Target;
use crate::failure::{Failure, Result};
use crate::migrate;
use crate::sql::Time;

/// How many rows a table has that was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The table.
    pub table: &'static str,
    /// Its rows.
    pub rows: u64,
    /// How many of them were there from before.
    pub found: u64,
}

/// Copies all of `source` into the database at `url`, which has this release's schema and no other data, then compares the
/// two value by value. What an interrupted copy of the same source left is gone on with. `told` hears of each table and
/// the rows it has by then.
///
/// # Errors
/// [`Error::OtherData`] for a database that has rows of its own: none was written. Else what the server or the source says;
/// the same call goes on.
pub async fn copy(
    url: &str,
    source: &mut dyn Snapshot,
    told: &mut (dyn FnMut(&'static str, u64) + Send),
) -> std::result::Result<Vec<Copied>, Error> {
    let target = Target::parse(url)?;
    let copied = async {
        let mut connection = migrate::alone(&target).await?;
        let copied = copy_all(&mut connection, source, told).await;
        // The lock goes with it, whatever happened.
        let closed = connection.close().await;
        let copied = copied?;
        closed?;
        Ok(copied)
    };
    let copied: Result<_> = copied.await;
    copied.map_err(|failure| failure.explain("copying", &target.at))
}

async fn copy_all(
    connection: &mut PgConnection,
    source: &mut dyn Snapshot,
    told: &mut (dyn FnMut(&'static str, u64) + Send),
) -> Result<Vec<Copied>> {
    migrate::require(connection).await?;
    remove_fresh_tenant(connection).await?;
    let mut plan = Vec::new();
    for name in TABLES {
        let table = describe(connection, name, source).await?;
        let reached = compare(connection, &table, source).await?;
        plan.push((table, reached));
    }
    let comment = select_comment(connection).await?;
    let comment = comment.strip_prefix(UNFINISHED).unwrap_or(&comment);
    set_comment(connection, &format!("{UNFINISHED}{comment}")).await?;
    let mut copied = Vec::new();
    for (table, reached) in &plan {
        let (mut rows, mut last) = (reached.rows, reached.last.clone());
        loop {
            let page = source.page(&table.table, last.as_deref()).await?;
            let Some(end) = page.last() else { break };
            last = Some(end[..table.table.key].to_vec());
            rows += page.len() as u64;
            insert_page(connection, table, page).await?;
            told(table.table.name, rows);
        }
        copied.push(Copied { table: table.table.name, rows, found: reached.rows });
    }
    for ((table, _), copied) in plan.iter().zip(&copied) {
        let arrived = compare(connection, table, source).await?.rows;
        if arrived != copied.rows {
            let reason = format!(
                "{} has {arrived} of {} rows: somebody else has written to it",
                copied.table, copied.rows
            );
            return Err(Error::Schema(reason).into());
        }
    }
    set_comment(connection, comment).await?;
    Ok(copied)
}

/// What stands before the comment on the schema `control` while a copy is not whole.
const UNFINISHED: &str = "provex: a copy is not finished. ";

/// Refuses a database that a copy has not come to an end in: it looks like one that is just smaller.
///
/// # Errors
/// [`Error::UnfinishedCopy`].
pub(crate) async fn require_whole(connection: &mut PgConnection, at: &str) -> Result<()> {
    let unfinished = select_comment(connection).await?.starts_with(UNFINISHED);
    if unfinished { Err(Error::UnfinishedCopy { at: at.to_owned() }.into()) } else { Ok(()) }
}

async fn select_comment(connection: &mut PgConnection) -> Result<String> {
    let comment = sqlx::query_scalar(
        "-- select_comment
        SELECT coalesce(obj_description('control'::regnamespace, 'pg_namespace'), '')",
    )
    .fetch_one(connection)
    .await?;
    Ok(comment)
}

async fn set_comment(connection: &mut PgConnection, comment: &str) -> Result<()> {
    // A statement that takes no parameters, told to quote one.
    sqlx::query("SELECT set_config('provex.comment', $1, false)")
        .bind(comment)
        .execute(&mut *connection)
        .await?;
    sqlx::raw_sql(
        "-- set_comment
        DO $$ BEGIN
            EXECUTE format('COMMENT ON SCHEMA control IS %L', current_setting('provex.comment'));
        END $$",
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A table with the types of its columns, as `format_type` says them.
struct Typed {
    table: Table,
    types: Vec<String>,
}

/// The table as both have it.
async fn describe(
    connection: &mut PgConnection,
    name: &'static str,
    source: &mut dyn Snapshot,
) -> Result<Typed> {
    let columns = select_columns(connection, name).await?;
    let ours: BTreeSet<String> = columns.iter().map(|(column, ..)| column.clone()).collect();
    let theirs = source.columns(name).await?;
    if let Some(column) = ours.symmetric_difference(&theirs).next() {
        let reason = format!("`{name}.{column}` is not in both databases");
        return Err(Error::Schema(reason).into());
    }
    let key = columns.iter().filter(|(_, _, key)| *key).count();
    let (columns, types) = columns.into_iter().map(|(column, kind, _)| (column, kind)).unzip();
    Ok(Typed { table: Table { name, columns, key }, types })
}

/// How far the two are equal: all rows of the database, which are the source's first.
struct Reached {
    rows: u64,
    last: Option<Row>,
}

async fn compare(connection: &mut PgConnection, table: &Typed, source: &mut dyn Snapshot) -> Result<Reached> {
    let mut reached = Reached { rows: 0, last: None };
    loop {
        let page = source.page(&table.table, reached.last.as_deref()).await?;
        let (rows, more) = compare_page(connection, table, &page, reached.last.as_deref()).await?;
        reached.rows += rows as u64;
        if rows > 0 {
            reached.last = Some(page[rows - 1][..table.table.key].to_vec());
        }
        if !more {
            return Ok(reached);
        }
    }
}

/// How many of the rows are there, and whether all of them are and more can be.
async fn compare_page(
    connection: &mut PgConnection,
    table: &Typed,
    page: &[Row],
    after: Option<&[Value]>,
) -> Result<(usize, bool)> {
    // One more: behind the source's last row there is none.
    let sql = select_page(table, after.is_some(), page.len().max(1));
    let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    for value in after.unwrap_or_default() {
        query = bind_one(query, value);
    }
    let mut stream = query.fetch(connection);
    let mut equal = 0;
    while let Some(found) = stream.try_next().await? {
        let found = read(table, &found)?;
        let expected = page.get(equal).map(|row| canonical(table, row.clone())).transpose()?;
        if expected.as_ref() != Some(&found) {
            let (name, row) = (table.table.name, table.table.key_text(&found));
            return Err(Error::OtherData { table: name, row }.into());
        }
        equal += 1;
    }
    Ok((equal, equal == page.len() && !page.is_empty()))
}

fn select_page(table: &Typed, behind: bool, limit: usize) -> String {
    let Table { name, columns, key } = &table.table;
    let read = columns.iter().zip(&table.types).map(|(column, kind)| match kind.as_str() {
        "uuid" | "jsonb" => format!("{column:?}::text"),
        "integer" => format!("{column:?}::bigint"),
        _ => format!("{column:?}"),
    });
    let key_list = columns[..*key].iter().map(|column| format!("{column:?}")).collect::<Vec<_>>().join(", ");
    let given = (0..*key).map(|n| format!("${}::{}", n + 1, table.types[n])).collect::<Vec<_>>().join(", ");
    let behind = if behind { format!("WHERE ({key_list}) > ({given})") } else { String::new() };
    let read = read.collect::<Vec<_>>().join(", ");
    format!("SELECT {read} FROM {name} {behind} ORDER BY {key_list} LIMIT {limit}")
}

fn bind_one<'q>(query: Query<'q, Postgres, PgArguments>, value: &Value) -> Query<'q, Postgres, PgArguments> {
    match value.clone() {
        Value::Null => query.bind(None::<String>),
        Value::Integer(number) => query.bind(number),
        Value::Text(text) => query.bind(text),
        Value::Bytes(bytes) => query.bind(bytes),
    }
}

fn read(table: &Typed, row: &PgRow) -> Result<Row> {
    let read = |(column, kind): (usize, &String)| {
        Ok(match kind.as_str() {
            "bigint" | "integer" => row.try_get::<Option<i64>, _>(column)?.map(Value::Integer),
            "timestamp with time zone" => row
                .try_get::<Option<Time>, _>(column)?
                .map(|Time(time)| Value::Integer(time.as_unix_micros())),
            "bytea" => row.try_get::<Option<Vec<u8>>, _>(column)?.map(Value::Bytes),
            _ => row.try_get::<Option<String>, _>(column)?.map(Value::Text),
        }
        .unwrap_or(Value::Null))
    };
    let row: Result<Row> = table.types.iter().enumerate().map(read).collect();
    canonical(table, row?)
}

/// JSON in one spelling: jsonb does not keep the one that it was given.
fn canonical(table: &Typed, mut row: Row) -> Result<Row> {
    for (value, _) in row.iter_mut().zip(&table.types).filter(|(_, kind)| *kind == "jsonb") {
        if let Value::Text(text) = value {
            let failed =
                |error: Box<dyn std::error::Error + Send + Sync>| Failure::from(sqlx::Error::Decode(error));
            let parsed = json::parse_own(text.as_bytes()).map_err(|error| failed(error.into()))?;
            let bytes = jcs::canonicalize(&parsed).map_err(|error| failed(error.into()))?;
            *text = String::from_utf8(bytes).map_err(|error| failed(error.into()))?;
        }
    }
    Ok(row)
}

async fn insert_page(connection: &mut PgConnection, table: &Typed, page: Vec<Row>) -> Result<()> {
    let Table { name, columns, .. } = &table.table;
    let (mut arrays, mut values) = (Vec::new(), Vec::new());
    for (n, kind) in table.types.iter().enumerate() {
        let sent = if matches!(kind.as_str(), "uuid" | "jsonb") { "text" } else { kind };
        let sent = if sent == "integer" { "bigint" } else { sent };
        arrays.push(format!("${}::{sent}[]", n + 1));
        values.push(format!("c{n}::{kind}"));
    }
    let names: Vec<_> = columns.iter().map(|column| format!("{column:?}")).collect();
    let aliases: Vec<_> = (0..columns.len()).map(|n| format!("c{n}")).collect();
    // Made of names that the catalog has.
    let sql = AssertSqlSafe(format!(
        "INSERT INTO {name} ({}) SELECT {} FROM unnest({}) AS u ({})",
        names.join(", "),
        values.join(", "),
        arrays.join(", "),
        aliases.join(", ")
    ));
    let mut query = sqlx::query(sql);
    let mut rows: Vec<_> = page.into_iter().map(Vec::into_iter).collect();
    for kind in &table.types {
        // Each row's next value.
        let column = rows.iter_mut().map(|row| row.next().unwrap_or(Value::Null));
        query = bind_column(query, kind, column)?;
    }
    query.execute(connection).await?;
    Ok(())
}

fn bind_column<'q>(
    query: Query<'q, Postgres, PgArguments>,
    kind: &str,
    column: impl Iterator<Item = Value>,
) -> Result<Query<'q, Postgres, PgArguments>> {
    let (mut numbers, mut texts, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    for value in column {
        let (number, text, blob) = match value {
            Value::Null => (None, None, None),
            Value::Integer(number) => (Some(number), None, None),
            Value::Text(text) => (None, Some(text), None),
            Value::Bytes(bytes) => (None, None, Some(bytes)),
        };
        numbers.push(number);
        texts.push(text);
        bytes.push(blob);
    }
    Ok(match kind {
        "bigint" | "integer" => query.bind(numbers),
        "timestamp with time zone" => {
            let time = |micros| Timestamp::from_unix_micros(micros).map(Time);
            let times: std::result::Result<Vec<_>, _> =
                numbers.into_iter().map(|number| number.map(time).transpose()).collect();
            query.bind(times.map_err(|error| Failure::from(sqlx::Error::Encode(error.into())))?)
        }
        "bytea" => query.bind(bytes),
        _ => query.bind(texts),
    })
}

/// The table's columns with their types, the primary key's first and in its order, and whether each is of it.
async fn select_columns(connection: &mut PgConnection, table: &str) -> Result<Vec<(String, String, bool)>> {
    let columns = sqlx::query_as(
        "-- select_columns
        SELECT a.attname::text, format_type(a.atttypid, NULL), coalesce(a.attnum = ANY (i.indkey), false)
        FROM pg_catalog.pg_attribute AS a
            LEFT JOIN pg_catalog.pg_index AS i ON i.indrelid = a.attrelid AND i.indisprimary
        WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY array_position(i.indkey::int2[], a.attnum), a.attnum",
    )
    .bind(table)
    .fetch_all(connection)
    .await?;
    Ok(columns)
}

/// Removes the tenant that `provex migrate` adds to a new database, where nothing else is: the source has its own.
async fn remove_fresh_tenant(connection: &mut PgConnection) -> Result<()> {
    let rows = TABLES[1..].iter().filter(|table| **table != "findings.ledger_chains");
    let filled: Vec<_> = rows.map(|table| format!("EXISTS (SELECT FROM {table})")).collect();
    let mut tx = connection.begin().await?;
    // Made of constants.
    let sql = AssertSqlSafe(format!(
        "DELETE FROM findings.ledger_chains
        WHERE tenant_id = 'default' AND sequence_no = 0 AND last_at = 'epoch'
            AND (SELECT count(*) FROM control.tenants) = 1 AND NOT ({})",
        filled.join(" OR ")
    ));
    if sqlx::query(sql).execute(&mut *tx).await?.rows_affected() == 1 {
        delete_default_tenant(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn delete_default_tenant(connection: &mut PgConnection) -> Result<()> {
    sqlx::query(
        "-- delete_default_tenant
        DELETE FROM control.tenants WHERE tenant_id = 'default'",
    )
    .execute(connection)
    .await?;
    Ok(())
}
