//! All that one store holds, as it goes into another of the same schema.
//!
//! Both backends keep the same tables and columns, so that a row is copied value by value, without a look at what it
//! means: what is copied has the same identities, bytes and times as before.

use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::Error;

/// Every table whose rows are copied, each behind those that it refers to; SQLite's names have `_` for the point.
/// `control.migrations` is not among them: each database has its own.
pub const TABLES: [&str; 23] = [
    "control.tenants",
    "control.logs",
    "control.log_forks",
    "control.audit_events",
    "control.api_tokens",
    "control.idempotency_keys",
    "findings.ledger_chains",
    "vex.documents",
    "vex.document_bodies",
    "vex.observations",
    "vex.observation_keys",
    "vex.standings",
    "vex.parse_findings",
    "vexhub.statements",
    "attestor.envelopes",
    "attestor.envelope_members",
    "attestor.bundles",
    "attestor.log_entries",
    "attestor.submissions",
    "findings.ledger_events",
    "findings.ledger_tiles",
    "findings.ledger_merkle_roots",
    "findings.ledger_attestations",
];

/// About how many bytes of rows are in memory at a time; one row may have more.
pub const PAGE_BYTES: usize = 8 * 1024 * 1024;
/// How many rows are in memory at a time.
pub const PAGE_ROWS: usize = 2_000;

/// A value, as every backend can say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// No value.
    Null,
    /// A number; a time is its microseconds since the Unix epoch.
    Integer(i64),
    /// Text; a UUID in its 36 characters, JSON as it is written in JCS.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Value {
    /// How much memory it takes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Null | Self::Integer(_) => 0,
                Self::Text(text) => text.len(),
                Self::Bytes(bytes) => bytes.len(),
            }
    }
}

/// A row's values, in the order of [`Table::columns`].
pub type Row = Vec<Value>;

/// What of a table is read, and in which order.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name, one of [`TABLES`].
    pub name: &'static str,
    /// Its columns, the primary key's first.
    pub columns: Vec<String>,
    /// How many of them are the primary key.
    pub key: usize,
}

impl Table {
    /// The key's columns.
    pub fn key_columns(&self) -> &[String] {
        &self.columns[..self.key]
    }

    /// A row's key, for people.
    pub fn key_text(&self, row: &[Value]) -> String {
        let part = |value: &Value| match value {
            Value::Null => "null".to_owned(),
            Value::Integer(number) => number.to_string(),
            Value::Text(text) => text.clone(),
            Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        };
        row[..self.key].iter().map(part).collect::<Vec<_>>().join("/")
    }
}

/// Everything in a store at one moment, whatever is written meanwhile.
#[async_trait]
pub trait Snapshot: Send {
    /// The names of a table's columns; none where there is no such table.
    async fn columns(&mut self, table: &str) -> Result<BTreeSet<String>, Error>;

    /// The rows behind a key, in the order of keys: at most [`PAGE_ROWS`], and no more than fill [`PAGE_BYTES`]. None:
    /// there are no more.
    async fn page(&mut self, table: &Table, after: Option<&[Value]>) -> Result<Vec<Row>, Error>;
}
