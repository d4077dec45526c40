//! Rows in and out: many rows in one INSERT, and values read back with table, column and row at hand.

use std::str::FromStr;

use provex_core::digest::Digest;
use provex_core::time::Timestamp;
use provex_store::Error;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Decode, Row as _, SqlStr, Sqlite, SqliteConnection, Type, ValueRef as _};

use crate::failure::{Failure, Result};

pub(crate) type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

/// Rows an INSERT may have. Few sizes, so that few statements are prepared; each fits SQLite's 32,766 parameters.
const BATCH_SIZES: [usize; 4] = [64, 16, 4, 1];

/// Inserts `rows`. `one_row` is the statement for one of them and ends in its list of values.
pub(crate) async fn insert_rows<R: Sync>(
    connection: &mut SqliteConnection,
    one_row: &'static str,
    rows: &[R],
    bind: impl for<'q> Fn(Query<'q>, &'q R) -> Query<'q> + Send + Sync,
) -> Result<()> {
    let mut rest = rows;
    while let Some(size) = BATCH_SIZES.into_iter().find(|size| *size <= rest.len()) {
        let (batch, after) = rest.split_at(size);
        let query = batch.iter().fold(sqlx::query(repeat_values(one_row, size)), &bind);
        query.execute(&mut *connection).await?;
        rest = after;
    }
    Ok(())
}

/// The statement for `count` rows.
pub(crate) fn repeat_values(one_row: &'static str, count: usize) -> SqlStr {
    let values = one_row.rfind('(').map_or("", |start| &one_row[start..]);
    let more = format!(",\n        {values}").repeat(count - 1);
    // Made of the static text alone.
    sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(format!("{one_row}{more}")))
}

/// An array for `json_each`: how a statement takes a list of any length and stays one text. The items need no escapes.
pub(crate) fn json_array(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.map(|item| format!("\"{item}\"")).collect();
    format!("[{}]", items.join(","))
}

/// A number as SQLite keeps it.
pub(crate) fn signed(number: u64) -> Result<i64> {
    Ok(i64::try_from(number)?)
}

/// An index that rows are looked for at: none stands at one beyond SQLite's numbers, and none at -1.
pub(crate) fn sought(index: u64) -> i64 {
    i64::try_from(index).unwrap_or(-1)
}

/// A LIMIT: one that is beyond SQLite's numbers is none.
pub(crate) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A row being read.
pub(crate) struct Stored<'r> {
    row: &'r SqliteRow,
    table: &'static str,
    /// The columns that name the row in an error.
    key: &'static [&'static str],
}

impl<'r> Stored<'r> {
    pub(crate) fn new(row: &'r SqliteRow, table: &'static str, key: &'static [&'static str]) -> Self {
        Self { row, table, key }
    }

    /// The column's value, as the driver reads it.
    pub(crate) fn get<T: Decode<'r, Sqlite> + Type<Sqlite>>(&self, column: &'static str) -> Result<T> {
        self.row.try_get(column).map_err(|error| self.corrupt(column, error.to_string()))
    }

    /// A text in the one spelling that `T` reads.
    pub(crate) fn parse<T: FromStr<Err: std::fmt::Display>>(&self, column: &'static str) -> Result<T> {
        let text: &str = self.get(column)?;
        text.parse().map_err(|error: T::Err| self.corrupt(column, error.to_string()))
    }

    /// As [`Stored::parse`], or null.
    pub(crate) fn opt_parse<T: FromStr<Err: std::fmt::Display>>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>> {
        let text: Option<&str> = self.get(column)?;
        text.map(str::parse).transpose().map_err(|error: T::Err| self.corrupt(column, error.to_string()))
    }

    /// Whether the column has no value.
    pub(crate) fn is_null(&self, column: &'static str) -> Result<bool> {
        let raw = self.row.try_get_raw(column);
        raw.map(|raw| raw.is_null()).map_err(|error| self.corrupt(column, error.to_string()))
    }

    /// A text that is one of a closed set of labels.
    pub(crate) fn label<T>(&self, column: &'static str, from_label: fn(&str) -> Option<T>) -> Result<T> {
        let text: &str = self.get(column)?;
        from_label(text).ok_or_else(|| self.corrupt(column, format!("`{text}` is not known")))
    }

    pub(crate) fn digest(&self, column: &'static str) -> Result<Digest> {
        self.opt_digest(column)?.ok_or_else(|| self.corrupt(column, "it is null".to_owned()))
    }

    pub(crate) fn opt_digest(&self, column: &'static str) -> Result<Option<Digest>> {
        let text: Option<&str> = self.get(column)?;
        text.map(Digest::from_hex).transpose().map_err(|error| self.corrupt(column, error.to_string()))
    }

    pub(crate) fn unsigned(&self, column: &'static str) -> Result<u64> {
        let number: i64 = self.get(column)?;
        u64::try_from(number).map_err(|_| self.corrupt(column, format!("{number} is negative")))
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp> {
        self.opt_time(column)?.ok_or_else(|| self.corrupt(column, "it is null".to_owned()))
    }

    pub(crate) fn opt_time(&self, column: &'static str) -> Result<Option<Timestamp>> {
        let micros: Option<i64> = self.get(column)?;
        micros
            .map(Timestamp::from_unix_micros)
            .transpose()
            .map_err(|error| self.corrupt(column, error.to_string()))
    }

    /// Hashes written one after the other, 32 bytes each.
    pub(crate) fn digests(&self, column: &'static str) -> Result<Vec<Digest>> {
        let bytes: &[u8] = self.get(column)?;
        let (hashes, []) = bytes.as_chunks::<32>() else {
            return Err(self.corrupt(column, format!("{} bytes are no whole hashes", bytes.len())));
        };
        Ok(hashes.iter().copied().map(Digest::from_bytes).collect())
    }

    /// The error for a value that cannot be read back.
    pub(crate) fn corrupt(&self, column: &'static str, reason: String) -> Failure {
        let part = |column: &&str| {
            let text = self.row.try_get_unchecked::<String, _>(*column);
            text.unwrap_or_else(|_| format!("<{column}>"))
        };
        let row = self.key.iter().map(part).collect::<Vec<_>>().join("/");
        Failure::Refused(Error::Corrupt { table: self.table, column, row, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_for_many_rows_repeats_its_values_only() {
        let one = "INSERT INTO t (a, b) VALUES (?, ?)";
        assert_eq!(repeat_values(one, 1).as_str(), one);
        let three: String = repeat_values(one, 3).as_str().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(three, "INSERT INTO t (a, b) VALUES (?, ?), (?, ?), (?, ?)");
    }

    #[test]
    fn a_list_is_a_json_array() {
        assert_eq!(json_array(["a".to_owned(), "b".to_owned()].into_iter()), r#"["a","b"]"#);
        assert_eq!(json_array(std::iter::empty()), "[]");
    }
}
