//! Values in and out: times as PostgreSQL keeps them, and rows read back with table, column and row at hand.

use std::str::FromStr;

use provex_core::digest::Digest;
use provex_core::time::Timestamp;
use provex_store::Error;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgRow, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Row as _, Type, ValueRef as _};

use crate::failure::{Failure, Result};

/// A timestamptz: microseconds since 2000-01-01T00:00:00Z, which is all that a [`Timestamp`] has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time(pub(crate) Timestamp);

const TIMESTAMPTZ: Oid = Oid(1184);
const TIMESTAMPTZ_ARRAY: Oid = Oid(1185);
/// From PostgreSQL's epoch to Unix' one.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

impl Type<Postgres> for Time {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl PgHasArrayType for Time {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ_ARRAY)
    }
}

impl Encode<'_, Postgres> for Time {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> std::result::Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&(self.0.as_unix_micros() - EPOCH_MICROS).to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Time {
    fn decode(value: PgValueRef<'_>) -> std::result::Result<Self, BoxDynError> {
        if value.format() != PgValueFormat::Binary {
            return Err("a time in text form".into());
        }
        let micros = i64::from_be_bytes(value.as_bytes()?.try_into()?);
        let micros = micros.checked_add(EPOCH_MICROS).ok_or("a time that is infinite")?;
        Ok(Self(Timestamp::from_unix_micros(micros)?))
    }
}

/// A number as PostgreSQL keeps it.
pub(crate) fn signed(number: u64) -> Result<i64> {
    Ok(i64::try_from(number)?)
}

/// An index that rows are looked for at: none stands at one beyond PostgreSQL's numbers, and none at -1.
pub(crate) fn sought(index: u64) -> i64 {
    i64::try_from(index).unwrap_or(-1)
}

/// A LIMIT: one that is beyond PostgreSQL's numbers is none.
pub(crate) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A row being read.
pub(crate) struct Stored<'r> {
    row: &'r PgRow,
    table: &'static str,
    /// The columns that name the row in an error.
    key: &'static [&'static str],
}

impl<'r> Stored<'r> {
    pub(crate) fn new(row: &'r PgRow, table: &'static str, key: &'static [&'static str]) -> Self {
        Self { row, table, key }
    }

    /// The column's value, as the driver reads it.
    pub(crate) fn get<T: Decode<'r, Postgres> + Type<Postgres>>(&self, column: &'static str) -> Result<T> {
        self.row.try_get(column).map_err(|error| self.corrupt(column, error.to_string()))
    }

    /// A text in the one spelling that `T` reads.
    pub(crate) fn parse<T: FromStr<Err: std::fmt::Display>>(&self, column: &'static str) -> Result<T> {
        let text: &str = self.get(column)?;
        text.parse().map_err(|error: T::Err| self.corrupt(column, error.to_string()))
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
        let time: Option<Time> = self.get(column)?;
        Ok(time.map(|Time(time)| time))
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
            let text = self.row.try_get::<String, _>(*column);
            let uuid = || self.row.try_get::<uuid::Uuid, _>(*column).map(|uuid| uuid.to_string());
            text.or_else(|_| uuid()).unwrap_or_else(|_| format!("<{column}>"))
        };
        let row = self.key.iter().map(part).collect::<Vec<_>>().join("/");
        Failure::Refused(Error::Corrupt { table: self.table, column, row, reason })
    }
}
