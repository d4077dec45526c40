//! Migrations: embedded, forward only, each one transaction, harmless when applied again.
//!
//! The SQL files are the single source of every definition. What SQLite cannot say conditionally
//! (`ADD COLUMN IF NOT EXISTS`) the migrator does statement by statement: it runs what is missing, leaves what is
//! there, and stops naming what is there otherwise.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use provex_core::digest::Digest;
use provex_core::time::Timestamp;
use provex_store::Error;
use sqlx::{Connection as _, Row as _, SqliteConnection};

use crate::backfill;
use crate::connection::{self, Connections, beside};
use crate::failure::{Failure, Result};
use crate::probe;

/// A migration.
#[derive(Debug)]
pub(crate) struct Migration {
    pub(crate) version: u32,
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
}

/// Every migration, in order.
pub(crate) const MIGRATIONS: [Migration; 5] = [
    Migration { version: 1, name: "base", sql: include_str!("../migrations/0001_base.sql") },
    Migration {
        version: 2,
        name: "vex_rekor_linkage",
        sql: include_str!("../migrations/0002_vex_rekor_linkage.sql"),
    },
    Migration {
        version: 3,
        name: "ledger_events",
        sql: include_str!("../migrations/0003_ledger_events.sql"),
    },
    Migration {
        version: 4,
        name: "ledger_attestations",
        sql: include_str!("../migrations/0004_ledger_attestations.sql"),
    },
    Migration {
        version: 5,
        name: "ledger_anchors",
        sql: include_str!("../migrations/0005_ledger_anchors.sql"),
    },
];

/// The newest schema version that this release knows.
pub(crate) const NEWEST: u32 = MIGRATIONS[MIGRATIONS.len() - 1].version;

/// What a migration would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The newest migration that the database has; 0: none.
    pub found: u32,
    /// The migrations that are missing: number and name.
    pub steps: Vec<(u32, &'static str)>,
}

/// Says what opening the database at `path`, which has to be there, would do to its schema, and does nothing.
///
/// # Errors
/// [`Error::NewerSchema`] or [`Error::Schema`] for a database that this release does not understand.
pub async fn plan(path: &Path) -> std::result::Result<Plan, Error> {
    let connections = Connections::to_look(path);
    let found = async { version(&mut *connections.read().await?).await }.await;
    let found = found.map_err(|failure| failure.explain("planning a migration", &connections))?;
    let missing = MIGRATIONS.iter().filter(|migration| migration.version > found);
    Ok(Plan { found, steps: missing.map(|migration| (migration.version, migration.name)).collect() })
}

/// Checks that the database at `path`, which has to be there, has what this release needs.
///
/// # Errors
/// [`Error::NotMigrated`], [`Error::NewerSchema`] or [`Error::Schema`], which names what is missing.
pub async fn require(path: &Path) -> std::result::Result<(), Error> {
    let found = plan(path).await?.found;
    if found < NEWEST {
        return Err(Error::NotMigrated { found, needed: NEWEST });
    }
    let connections = Connections::to_look(path);
    let checked = async { check(&mut *connections.read().await?).await }.await;
    checked.map_err(|failure| failure.explain("checking the schema", &connections))
}

/// Brings the database to the newest schema, with a backup copy where there was an older one, and checks that
/// everything is as the migrations define it.
pub(crate) async fn migrate(connections: &Connections, now: Option<Timestamp>) -> Result<()> {
    // One lock from the first look to the last statement: whoever waited for it finds nothing left to do, and what is
    // copied is what is migrated.
    let mut tx = connections.write().await?;
    let found = version(&mut tx).await?;
    if found == NEWEST {
        tx.rollback().await?;
        check(&mut *connections.read().await?).await?;
    } else {
        // A constraint that comes with a column holds for what is written from now on: a row that an older release linked
        // with a part of the columns keeps what it has.
        set_checks(&mut tx, false).await?;
        let applied = apply_after(&mut tx, found, now).await;
        // The connection serves others afterwards, whatever happened.
        set_checks(&mut tx, true).await?;
        applied?;
        check(&mut tx).await?;
        // Until the commit, all others see the older schema, and what cannot be migrated is not copied.
        let copy = if found > 0 { back_up(connections, found).await? } else { None };
        if let Err(failure) = tx.commit().await {
            if let Some(copy) = copy {
                discard(connections, &copy, found).await;
            }
            return Err(failure);
        }
    }
    backfill::backfill(connections).await
}

/// Checks that nothing is left to migrate, and that everything is as the migrations define it. Writes nothing.
pub(crate) async fn check_newest(connections: &Connections) -> Result<()> {
    let mut connection = connections.read().await?;
    match version(&mut connection).await? {
        NEWEST => check(&mut connection).await,
        found => Err(schema(format!("it has version {found}, and cannot be migrated to {NEWEST} here"))),
    }
}

/// The newest migration applied; 0 for an empty database.
///
/// # Errors
/// [`Error::NewerSchema`], and [`Error::Schema`] for a database of another program.
async fn version(connection: &mut SqliteConnection) -> Result<u32> {
    let objects = select_objects(connection).await?;
    if !objects.iter().any(|object| object.name == "control_migrations") {
        return match objects.first() {
            None => Ok(0),
            Some(other) => Err(schema(format!("it has `{}`, but no record of migrations", other.name))),
        };
    }
    let found = u32::try_from(select_version(connection).await?)?;
    if found > NEWEST {
        return Err(Error::NewerSchema { found, known: NEWEST }.into());
    }
    Ok(found)
}

async fn apply_after(connection: &mut SqliteConnection, found: u32, now: Option<Timestamp>) -> Result<()> {
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > found) {
        apply(connection, migration).await?;
        insert_migration(connection, migration, now).await?;
    }
    Ok(())
}

/// Whether this connection holds CHECK constraints against rows.
async fn set_checks(connection: &mut SqliteConnection, hold: bool) -> Result<()> {
    let pragma =
        if hold { "PRAGMA ignore_check_constraints = OFF" } else { "PRAGMA ignore_check_constraints = ON" };
    sqlx::raw_sql(pragma).execute(connection).await?;
    Ok(())
}

/// Runs every statement of a migration whose object is missing.
pub(crate) async fn apply(connection: &mut SqliteConnection, migration: &Migration) -> Result<()> {
    let objects = select_objects(connection).await?;
    for statement in statements(migration.sql) {
        if !Definition::of(statement)?.is_in(&objects)? {
            sqlx::raw_sql(statement).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

/// Checks that the database has everything that the migrations define, as they define it.
pub(crate) async fn check(connection: &mut SqliteConnection) -> Result<()> {
    let objects = select_objects(connection).await?;
    for statement in MIGRATIONS.iter().flat_map(|migration| statements(migration.sql)) {
        let definition = Definition::of(statement)?;
        if !definition.is_in(&objects)? {
            return Err(schema(format!("{definition} is missing")));
        }
    }
    Ok(())
}

/// What a statement of a migration makes.
#[derive(Debug)]
enum Definition {
    /// A table, index or trigger.
    Object { kind: &'static str, name: String, sql: String },
    /// A column that is added to a table: its type, constraints and all.
    Column { table: String, name: String, sql: String },
}

impl std::fmt::Display for Definition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Object { kind, name, .. } => write!(f, "{kind} `{name}`"),
            Self::Column { table, name, .. } => write!(f, "column `{table}.{name}`"),
        }
    }
}

impl Definition {
    fn of(statement: &str) -> Result<Self> {
        let sql = normalize(statement);
        let words: Vec<_> = sql.split(' ').collect();
        let object = |kind, name: &str| Self::Object { kind, name: name.to_owned(), sql: sql.clone() };
        Ok(match words.as_slice() {
            ["CREATE", "TABLE", name, ..] => object("table", name),
            ["CREATE", "INDEX", name, ..] => object("index", name),
            ["CREATE", "TRIGGER", name, ..] => object("trigger", name),
            ["ALTER", "TABLE", table, "ADD", "COLUMN", definition @ ..] => Self::Column {
                table: (*table).to_owned(),
                name: definition.first().copied().unwrap_or_default().to_owned(),
                sql: definition.join(" "),
            },
            _ => return Err(schema(format!("a migration has a statement of another kind: {sql}"))),
        })
    }

    /// Whether it is there.
    ///
    /// # Errors
    /// [`Error::Schema`] if it is there with another definition.
    fn is_in(&self, objects: &[Object]) -> Result<bool> {
        match self {
            Self::Object { kind, name, sql } => {
                let Some(found) = objects.iter().find(|o| o.kind == *kind && o.name == *name) else {
                    return Ok(false);
                };
                // A table has the columns of later migrations too.
                let differing = match *kind {
                    "table" => {
                        let present = columns(&found.sql);
                        columns(sql).into_iter().find(|column| !present.contains(column))
                    }
                    _ => (found.sql != *sql).then(|| found.sql.clone()),
                };
                differing.map_or(Ok(true), |definition| Err(differs(self, &definition)))
            }
            Self::Column { table, name, sql } => {
                let found = objects.iter().find(|o| o.kind == "table" && o.name == *table);
                let present = found.map(|o| columns(&o.sql)).unwrap_or_default();
                match present.iter().find(|column| column.split(' ').next() == Some(name)) {
                    None => Ok(false),
                    Some(column) if column == sql => Ok(true),
                    Some(column) => Err(differs(self, column)),
                }
            }
        }
    }
}

fn differs(wanted: &Definition, definition: &str) -> Failure {
    schema(format!("{wanted} is there with another definition: `{definition}`"))
}

fn schema(reason: String) -> Failure {
    Failure::Refused(Error::Schema(reason))
}

/// A row of `sqlite_schema`, its text normalized.
#[derive(Debug)]
struct Object {
    kind: String,
    name: String,
    sql: String,
}

/// The statements of a migration, each with the comments above it, without what stands between them. A trigger's ends with `END;`.
pub(crate) fn statements(sql: &'static str) -> Vec<&'static str> {
    let mut statements = Vec::new();
    let mut start = 0;
    let mut end = 0;
    for line in sql.split_inclusive('\n') {
        end += line.len();
        let code = sql[start..end].trim_start_matches(|c: char| c.is_whitespace());
        let first = code.lines().find(|line| !line.starts_with("--") && !line.trim().is_empty());
        let trigger = first.is_some_and(|line| line.starts_with("CREATE TRIGGER"));
        let ends = line.trim_end().ends_with(if trigger { "END;" } else { ";" });
        if first.is_some() && ends && !line.trim_start().starts_with("--") {
            statements.push(sql[start..end].trim());
            start = end;
        }
    }
    statements
}

/// A definition without comments, superfluous white space, `IF NOT EXISTS` and final semicolon.
fn normalize(sql: &str) -> String {
    let code = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    let words: Vec<_> = code.flat_map(str::split_whitespace).collect();
    let text = words.join(" ").replace(" IF NOT EXISTS ", " ");
    text.strip_suffix(';').unwrap_or(&text).to_owned()
}

/// The definitions between a table's outermost parentheses, columns and constraints alike.
fn columns(table_sql: &str) -> Vec<String> {
    let (mut depth, mut quoted, mut found) = (0_u32, false, vec![String::new()]);
    for c in table_sql.chars() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        let opens = c == '(' && depth == 1 && !quoted;
        if c == ',' && depth == 1 && !quoted {
            found.push(String::new());
        } else if let Some(definition) = found.last_mut().filter(|_| depth > 0 && !opens) {
            definition.push(c);
        }
    }
    found.iter().map(|definition| definition.trim().to_owned()).collect()
}

async fn select_objects(connection: &mut SqliteConnection) -> Result<Vec<Object>> {
    let rows = sqlx::query(
        "-- select_objects
        SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name",
    )
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let sql: &str = row.try_get("sql")?;
            Ok(Object { kind: row.try_get("type")?, name: row.try_get("name")?, sql: normalize(sql) })
        })
        .collect()
}

async fn select_version(connection: &mut SqliteConnection) -> Result<i64> {
    let version = sqlx::query_scalar(
        "-- select_version
        SELECT coalesce(max(version), 0) FROM control_migrations",
    )
    .fetch_one(connection)
    .await?;
    Ok(version)
}

async fn insert_migration(
    connection: &mut SqliteConnection,
    migration: &Migration,
    now: Option<Timestamp>,
) -> Result<()> {
    sqlx::query(
        "-- insert_migration
        INSERT INTO control_migrations (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)",
    )
    .bind(migration.version)
    .bind(migration.name)
    .bind(Digest::of(migration.sql.as_bytes()).to_hex())
    .bind(now.map(Timestamp::as_unix_micros))
    .execute(connection)
    .await?;
    Ok(())
}

/// Copies the database beside itself, as all but the connection that has the lock see it. The copy gets its name when it
/// is whole, and no other copy loses its own. None if an earlier copy is the same: a process made it that was killed
/// before it had migrated, or somebody put it in place of the database.
async fn back_up(connections: &Connections, version: u32) -> Result<Option<PathBuf>> {
    let first = beside(connections.path(), &format!(".backup-{version}"));
    let partial = beside(&first, ".partial");
    // Nobody else is at it: a process that was killed left it.
    match std::fs::remove_file(&partial) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(probe::of_io(&partial, &error).into());
        }
        _ => {}
    }
    let made = match vacuum(connections, &partial).await {
        Ok(()) => name_copy(&partial, &first).map_err(|error| probe::of_io(&partial, &error).into()),
        Err(failure) => Err(failure),
    };
    if !matches!(made, Ok(Some(_))) {
        let _ = std::fs::remove_file(&partial);
    }
    made
}

/// Takes a copy away whose migration failed. After a commit that failed the newer schema may still be there, and the copy is
/// the way back from it.
async fn discard(connections: &Connections, copy: &Path, version: u32) {
    let found = async { self::version(&mut *connections.read().await?).await }.await;
    if found.is_ok_and(|found| found == version) {
        let _ = std::fs::remove_file(copy);
    }
}

async fn vacuum(connections: &Connections, target: &Path) -> Result<()> {
    // VACUUM INTO takes an empty file; this one is readable by its owner alone.
    connection::create_file(target)?;
    // A connection that writes nothing: the lock does not keep it from reading.
    let mut connection = connections.connect().await?;
    vacuum_into(&mut connection, target).await?;
    connection.close().await?;
    let synced = File::open(target).and_then(|file| file.sync_all());
    Ok(synced.map_err(|error| probe::of_io(target, &error))?)
}

/// Gives a copy its name: `first`, or the first of `first.2`, `first.3`, … that is free. None if one of those before has
/// the same bytes.
fn name_copy(partial: &Path, first: &Path) -> std::io::Result<Option<PathBuf>> {
    let (mut target, mut number) = (first.to_owned(), 1);
    while target.try_exists()? {
        // One that cannot be read is another one.
        if same_bytes(partial, &target).unwrap_or(false) {
            return Ok(None);
        }
        number += 1;
        target = beside(first, &format!(".{number}"));
    }
    std::fs::rename(partial, &target)?;
    // Its name has to be as durable as the migration that follows.
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let synced = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
    if let Err(error) = synced {
        let _ = std::fs::remove_file(&target);
        return Err(error);
    }
    Ok(Some(target))
}

fn same_bytes(one: &Path, other: &Path) -> std::io::Result<bool> {
    let (one, other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (BufReader::new(one), BufReader::new(other));
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let length = left.len().min(right.len());
        if left[..length] != right[..length] {
            return Ok(false);
        }
        if length == 0 {
            return Ok(true);
        }
        one.consume(length);
        other.consume(length);
    }
}

async fn vacuum_into(connection: &mut SqliteConnection, target: &Path) -> Result<()> {
    sqlx::query(
        "-- vacuum_into
        VACUUM INTO ?",
    )
    .bind(target.to_string_lossy().into_owned())
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_is_split_into_whole_statements() {
        for migration in &MIGRATIONS {
            let statements = statements(migration.sql);
            let text: String = statements.join("\n").split_whitespace().collect();
            let whole: String = migration.sql.split_whitespace().collect();
            assert_eq!(text, whole, "nothing is left out");
            for statement in statements {
                assert!(Definition::of(statement).is_ok(), "{statement}");
                let opens = normalize(statement).matches("CREATE ").count();
                assert!(opens <= 1, "{statement}");
            }
        }
    }

    #[test]
    fn definitions_are_compared_without_comments_and_white_space() {
        let sql = "CREATE TABLE t (a TEXT CHECK (a IN ('x,(', 'y')), -- why, (then)\n  b INTEGER,\n\tPRIMARY KEY (a, b)) STRICT;";
        let columns = columns(&normalize(sql));
        assert_eq!(columns, ["a TEXT CHECK (a IN ('x,(', 'y'))", "b INTEGER", "PRIMARY KEY (a, b)"]);
        assert_eq!(normalize("CREATE INDEX IF NOT EXISTS i\n ON t (a);"), "CREATE INDEX i ON t (a)");
    }

    #[test]
    fn versions_are_sequential() {
        let versions: Vec<_> = MIGRATIONS.iter().map(|migration| migration.version).collect();
        assert_eq!(versions, (1..=NEWEST).collect::<Vec<_>>());
    }
}
