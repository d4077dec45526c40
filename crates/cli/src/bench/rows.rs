//! What an ingest wrote, read back: as plain rows for the bare inserts, and as the documents that gave them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use provex_core::digest::Digest;
use provex_core::ids::{ClaimDigest, DocumentDigest, ObservationId};
use provex_core::vex::{Format, Status};
use provex_store::{Authentication, DocumentFacts, FindingRow, KeyKind, NewDocument, NewObservation};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, SqlSafeStr as _, SqlStr, SqliteConnection,
    TypeInfo as _, ValueRef as _,
};

/// A table that an ingest writes: its columns, and where its rows' `created_at` and their order come from.
struct Table {
    name: &'static str,
    columns: &'static str,
    /// Follows `FROM <name> AS t`; `d` is the document.
    source: &'static str,
    /// The order in which an ingest writes a commit's rows.
    order: &'static str,
}

impl Table {
    fn width(&self) -> usize {
        self.columns.split(", ").count()
    }
}

const OF_DOCUMENT: &str = "JOIN vex_documents AS d USING (tenant_id, document_digest)";

/// In the order of a commit.
const TABLES: [Table; 8] = [
    Table {
        name: "vex_documents",
        columns: "tenant_id, document_digest, payload_digest, format, spec_version, document_id, \
            revision, issuer_scheme, issuer_id, stated_at, retires, source, authentication, \
            observation_count, created_at",
        source: OF_DOCUMENT,
        order: "t.rowid",
    },
    Table {
        name: "vex_document_bodies",
        columns: "tenant_id, document_digest, body",
        source: OF_DOCUMENT,
        order: "t.rowid",
    },
    Table {
        name: "vex_observations",
        columns: "tenant_id, observation_id, document_digest, claim_digest, body, status, \
            vulnerability_id, product_key, subcomponent_key, created_at",
        source: OF_DOCUMENT,
        order: "t.rowid",
    },
    Table {
        name: "vex_observation_keys",
        columns: "tenant_id, kind, key, observation_id",
        source: "JOIN vex_observations AS d USING (tenant_id, observation_id)",
        order: "t.kind, t.key, t.observation_id",
    },
    Table {
        name: "vex_parse_findings",
        columns: "tenant_id, document_digest, position, code, pointer, line, message",
        source: OF_DOCUMENT,
        order: "t.rowid",
    },
    Table {
        name: "vex_standings",
        columns: "tenant_id, document_digest, created_at, standing, cause",
        source: OF_DOCUMENT,
        order: "t.rowid",
    },
    Table {
        name: "attestor_submissions",
        columns: "tenant_id, submission_id, stage, document_digest, state, attempts, available_at",
        source: OF_DOCUMENT,
        order: "t.rowid",
    },
    Table {
        name: "findings_ledger_events",
        columns: "tenant_id, chain_id, sequence_no, event_id, event_type, policy_version, finding_id, artifact_id, \
            source_run_id, actor_id, actor_type, occurred_at, recorded_at, event_body, row_count, rows_root, \
            event_hash, previous_hash, merkle_leaf_hash",
        source: "JOIN (SELECT DISTINCT tenant_id, created_at FROM vex_documents) AS d \
            ON d.tenant_id = t.tenant_id AND d.created_at = t.occurred_at",
        order: "t.sequence_no",
    },
];
const DOCUMENTS: usize = 0;
const BODIES: usize = 1;
const OBSERVATIONS: usize = 2;
const KEYS: usize = 3;
const FINDINGS: usize = 4;
const STANDINGS: usize = 5;
const SUBMISSIONS: usize = 6;

/// Rows a statement inserts, the larger first: as many as the store's.
const BATCH_SIZES: [usize; 4] = [64, 16, 4, 1];

/// A value as SQLite keeps it.
enum Value {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

type Row = Vec<Value>;

/// What one transaction wrote, by table.
pub(super) struct Commit([Vec<Row>; TABLES.len()]);

/// A connection set up as the store's.
pub(super) async fn connect(path: &Path) -> anyhow::Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("recursive_triggers", "ON")
        .pragma("cache_size", "-65536")
        .pragma("temp_store", "MEMORY")
        .statement_cache_capacity(256)
        .disable_statement_logging();
    Ok(SqliteConnection::connect_with(&options).await?)
}

/// The commits of an ingest, read back one at a time: all of them at once are a gigabyte.
pub(super) struct Commits {
    /// Its temporary tables hold the rows in the order in which they were written.
    connection: SqliteConnection,
    /// All that one commit records has one `created_at`.
    times: Vec<i64>,
}

impl Commits {
    /// Reads what an ingest wrote.
    pub(super) async fn read(path: &Path) -> anyhow::Result<Self> {
        let mut connection = connect(path).await?;
        for Table { name, columns, source, order } in &TABLES {
            let columns = columns.replace(", ", ", t.");
            let copy = format!(
                "CREATE TEMP TABLE written_{name} AS SELECT t.{columns}, d.created_at AS committed_at
                FROM main.{name} AS t {source} ORDER BY d.created_at, {order};
                CREATE INDEX temp.{name}_committed ON written_{name} (committed_at)"
            );
            sqlx::raw_sql(AssertSqlSafe(copy)).execute(&mut connection).await?;
        }
        let times = "SELECT DISTINCT committed_at FROM written_vex_documents ORDER BY committed_at";
        let times = sqlx::query_scalar(times).fetch_all(&mut connection).await?;
        Ok(Self { connection, times })
    }

    pub(super) fn count(&self) -> usize {
        self.times.len()
    }

    /// How many rows of this table, or of all, they wrote.
    async fn rows_of(&mut self, table: &str) -> anyhow::Result<i64> {
        let count = AssertSqlSafe(format!("SELECT count(*) FROM written_{table}"));
        Ok(sqlx::query_scalar(count).fetch_one(&mut self.connection).await?)
    }

    pub(super) async fn observations(&mut self) -> anyhow::Result<i64> {
        self.rows_of(TABLES[OBSERVATIONS].name).await
    }

    pub(super) async fn rows(&mut self) -> anyhow::Result<i64> {
        let mut all = 0;
        for table in &TABLES {
            all += self.rows_of(table.name).await?;
        }
        Ok(all)
    }

    /// What one of them wrote.
    pub(super) async fn get(&mut self, place: usize) -> anyhow::Result<Commit> {
        let mut commit = Commit([const { Vec::new() }; TABLES.len()]);
        for (table, rows) in TABLES.iter().zip(&mut commit.0) {
            let sql = format!(
                "SELECT {} FROM written_{} WHERE committed_at = ? ORDER BY rowid",
                table.columns, table.name
            );
            let found =
                sqlx::query(AssertSqlSafe(sql)).bind(self.times[place]).fetch_all(&mut self.connection);
            for row in found.await? {
                rows.push((0..table.width()).map(|column| value(&row, column)).collect::<Result<_, _>>()?);
            }
        }
        Ok(commit)
    }
}

fn value(row: &SqliteRow, column: usize) -> anyhow::Result<Value> {
    let raw = row.try_get_raw(column)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    Ok(match raw.type_info().name() {
        "INTEGER" => Value::Integer(row.try_get(column)?),
        "TEXT" => Value::Text(row.try_get(column)?),
        "BLOB" => Value::Blob(row.try_get(column)?),
        other => bail!("a column of type {other}"),
    })
}

/// The bare inserts: prepared statements of many rows, and nothing else.
pub(super) struct BareInserts(Vec<[SqlStr; BATCH_SIZES.len()]>);

impl BareInserts {
    pub(super) fn new() -> Self {
        Self(TABLES.iter().map(|table| BATCH_SIZES.map(|rows| insert(table, rows))).collect())
    }

    /// Writes a commit in a transaction.
    pub(super) async fn write(
        &self,
        connection: &mut SqliteConnection,
        commit: &Commit,
    ) -> anyhow::Result<()> {
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
        for (rows, statements) in commit.0.iter().zip(&self.0) {
            let mut rest = rows.as_slice();
            while let Some(place) = BATCH_SIZES.iter().position(|size| *size <= rest.len()) {
                let (batch, after) = rest.split_at(BATCH_SIZES[place]);
                let mut query = sqlx::query(statements[place].clone());
                for value in batch.iter().flatten() {
                    query = match value {
                        Value::Null => query.bind(None::<i64>),
                        Value::Integer(number) => query.bind(*number),
                        Value::Text(text) => query.bind(text.as_str()),
                        Value::Blob(bytes) => query.bind(bytes.as_slice()),
                    };
                }
                query.execute(&mut *connection).await?;
                rest = after;
            }
        }
        sqlx::query("COMMIT").execute(&mut *connection).await?;
        Ok(())
    }
}

fn insert(table: &Table, rows: usize) -> SqlStr {
    let row = format!("({})", vec!["?"; table.width()].join(", "));
    let values = vec![row; rows].join(", ");
    AssertSqlSafe(format!("INSERT INTO {} ({}) VALUES {values}", table.name, table.columns)).into_sql_str()
}

impl Commit {
    /// The parsed documents that gave these rows.
    pub(super) fn documents(&self) -> anyhow::Result<Vec<NewDocument>> {
        let mut keys = self.keys()?;
        let mut observations: BTreeMap<&str, Vec<NewObservation>> = BTreeMap::new();
        for row in &self.0[OBSERVATIONS] {
            let id = text(row, 1)?;
            let observation = NewObservation {
                id: ObservationId::new(Digest::from_hex(id)?),
                claim_digest: ClaimDigest::new(Digest::from_hex(text(row, 3)?)?),
                body: blob(row, 4)?.to_vec(),
                status: Status::from_label(text(row, 5)?).context("a status")?,
                vulnerability_id: text(row, 6)?.to_owned(),
                product_key: text(row, 7)?.to_owned(),
                subcomponent_key: optional(row, 8),
                keys: keys.remove(id).unwrap_or_default(),
            };
            observations.entry(text(row, 2)?).or_default().push(observation);
        }
        let mut findings: BTreeMap<&str, Vec<FindingRow>> = BTreeMap::new();
        for row in &self.0[FINDINGS] {
            let line = if let Value::Integer(line) = row[5] { Some(u64::try_from(line)?) } else { None };
            let (code, pointer) = (text(row, 3)?.to_owned(), text(row, 4)?.to_owned());
            let finding = FindingRow { code, pointer, line, message: text(row, 6)?.to_owned() };
            findings.entry(text(row, 1)?).or_default().push(finding);
        }
        let bodies = by_document(&self.0[BODIES], 1, |row| blob(row, 2))?;
        let quarantined = by_document(&self.0[STANDINGS], 1, |row| text(row, 4))?;
        let submissions = by_document(&self.0[SUBMISSIONS], 3, |row| text(row, 1))?;
        let new = self.0[DOCUMENTS].iter().map(|row| {
            let digest = text(row, 1)?;
            Ok(NewDocument {
                facts: facts(row)?,
                body: bodies.get(digest).context("a body")?.to_vec().into(),
                observations: observations.remove(digest).unwrap_or_default(),
                more: None,
                findings: findings.remove(digest).unwrap_or_default(),
                quarantine: quarantined.get(digest).map(|&cause| cause.to_owned()),
                submission: submissions.get(digest).context("a submission")?.parse()?,
                due: provex_core::time::Timestamp::EPOCH,
            })
        });
        new.collect()
    }

    /// By observation.
    fn keys(&self) -> anyhow::Result<BTreeMap<&str, Vec<(KeyKind, String)>>> {
        let mut keys: BTreeMap<&str, Vec<(KeyKind, String)>> = BTreeMap::new();
        for row in &self.0[KEYS] {
            let label = text(row, 1)?;
            let kind =
                KeyKind::ALL.into_iter().find(|kind| kind.label() == label).context("a kind of key")?;
            keys.entry(text(row, 3)?).or_default().push((kind, text(row, 2)?.to_owned()));
        }
        Ok(keys)
    }
}

fn facts(row: &Row) -> anyhow::Result<DocumentFacts> {
    Ok(DocumentFacts {
        digest: DocumentDigest::new(Digest::from_hex(text(row, 1)?)?),
        payload_digest: optional(row, 2).map(|hex| Digest::from_hex(&hex)).transpose()?,
        format: Format::from_label(text(row, 3)?).context("a format")?,
        spec_version: optional(row, 4),
        document_id: optional(row, 5),
        revision: optional(row, 6),
        issuer: optional(row, 7).zip(optional(row, 8)),
        stated_at: optional(row, 9),
        retires: optional(row, 10),
        source: text(row, 11)?.to_owned(),
        authentication: Authentication::from_label(text(row, 12)?).context("an authentication")?,
    })
}

fn by_document<'a, T>(
    rows: &'a [Row],
    digest: usize,
    value: impl Fn(&'a Row) -> anyhow::Result<T>,
) -> anyhow::Result<BTreeMap<&'a str, T>> {
    rows.iter().map(|row| Ok((text(row, digest)?, value(row)?))).collect()
}

fn text(row: &Row, column: usize) -> anyhow::Result<&str> {
    let Some(Value::Text(text)) = row.get(column) else { bail!("column {column} is no text") };
    Ok(text)
}

fn optional(row: &Row, column: usize) -> Option<String> {
    text(row, column).ok().map(str::to_owned)
}

fn blob(row: &Row, column: usize) -> anyhow::Result<&[u8]> {
    let Some(Value::Blob(bytes)) = row.get(column) else { bail!("column {column} is no blob") };
    Ok(bytes)
}
