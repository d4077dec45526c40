//! Migrations: embedded, forward only, each one transaction, harmless when applied again.
//!
//! Unlike a data folder, a database is migrated only when somebody asks for it: others may be using it. The migrator has a
//! connection of its own, as the owner of the tables and not as the application, and holds an advisory lock that goes
//! with the connection, however that ends.

use std::time::Duration;

use provex_core::digest::Digest;
use provex_core::time::Timestamp;
use provex_store::Error;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use crate::connection::{APP_ROLE, Target};
use crate::failure::{Again, Failure, Result, code, message};
use crate::sql::Time;
use crate::{backfill, catalog};

/// A migration.
#[derive(Debug)]
struct Migration {
    version: u32,
    name: &'static str,
    sql: &'static str,
}

/// Every migration, in order.
const MIGRATIONS: [Migration; 5] = [
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
const NEWEST: u32 = MIGRATIONS[MIGRATIONS.len() - 1].version;

/// What all migrators of one database lock: "provex" in ASCII.
const LOCK: i64 = 0x7072_6f76_6578;

/// How long a migration waits for a table at a time. Whoever wants the table meanwhile, to read it too, queues behind it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// How long it lets those go on before it tries again.
const LOCK_PAUSE: Duration = Duration::from_secs(1);

/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How the largest tables lie on the disk: chosen once, when the tables are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// In 16 partitions by hash of the tenant.
    Hash16,
    /// In one table each, which can be distributed over several servers.
    Flat,
}

impl Layout {
    /// The name in `--layout`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Hash16 => "hash16",
            Self::Flat => "flat",
        }
    }
}

/// What a migration did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The newest migration that the database had; 0: none.
    pub found: u32,
    /// The layout that the tables have, or will have.
    pub layout: Layout,
    /// Whether the role of the application is missing on the server, or the user is no member of it.
    pub makes_role: bool,
    /// The migrations that were missing: number and name.
    pub steps: Vec<(u32, &'static str)>,
}

/// Says what [`migrate`] would do, and does nothing.
///
/// # Errors
/// As [`migrate`].
pub async fn plan(url: &str, layout: Option<Layout>) -> std::result::Result<Plan, Error> {
    let target = Target::parse(url)?;
    let planned = async {
        let mut connection = target.connect(TIMEOUT).await?;
        let plan = match find(&mut connection, layout).await {
            Err(denied) if denied.is_denied() => {
                as_app(&mut connection, denied).await?;
                find(&mut connection, layout).await?
            }
            found => found?,
        };
        connection.close().await?;
        Ok(plan)
    };
    explain(&target, "planning a migration", planned.await)
}

/// As [`migrate_within`], with a minute.
///
/// # Errors
/// As [`migrate_within`].
pub async fn migrate(url: &str, layout: Option<Layout>, now: Timestamp) -> std::result::Result<Plan, Error> {
    migrate_within(url, layout, now, Duration::from_secs(60)).await
}

/// Brings the database to the newest schema, and checks that everything is as the migrations define it. Another migrator is
/// waited for, without limit, and a table that others hold for about `wait`. Killed, it is run again.
///
/// # Errors
/// [`Error::NewerSchema`] or [`Error::Schema`] for a database that this release does not understand, [`Error::Rights`]
/// with what has to be granted, [`Error::Held`] with who holds a table, and what the server says against a login.
pub async fn migrate_within(
    url: &str,
    layout: Option<Layout>,
    now: Timestamp,
    wait: Duration,
) -> std::result::Result<Plan, Error> {
    let target = Target::parse(url)?;
    let migrated = async {
        let mut connection = alone(&target).await?;
        let migrated = apply_all(&mut connection, &target.user, layout, now, wait).await;
        // The lock goes with it, whatever happened.
        let closed = connection.close().await;
        let plan = migrated?;
        closed?;
        Ok(plan)
    };
    explain(&target, "migrating", migrated.await)
}

/// Checks that the database has what this release needs: its layout.
///
/// # Errors
/// [`Error::NotMigrated`], [`Error::NewerSchema`] or [`Error::Schema`], which names what is missing.
pub async fn check(url: &str) -> std::result::Result<Layout, Error> {
    let target = Target::parse(url)?;
    let checked = async {
        let mut connection = target.connect(TIMEOUT).await?;
        let layout = match require(&mut connection).await {
            Err(denied) if denied.is_denied() => {
                as_app(&mut connection, denied).await?;
                require(&mut connection).await?
            }
            found => found?,
        };
        connection.close().await?;
        Ok(layout)
    };
    explain(&target, "checking the schema", checked.await)
}

/// What is in the database's schemas, as the recorded schemas say it: a line an object, sorted.
///
/// # Errors
/// What the server says.
pub async fn describe(url: &str) -> std::result::Result<Vec<String>, Error> {
    let target = Target::parse(url)?;
    let described = async {
        let mut connection = target.connect(TIMEOUT).await?;
        let lines = catalog::select_objects(&mut connection).await?;
        connection.close().await?;
        Ok(lines)
    };
    explain(&target, "reading the schema", described.await)
}

/// Becomes the application, for a login that has the rights of its roles only then (NOINHERIT); else it stays denied.
async fn as_app(connection: &mut PgConnection, denied: Failure) -> Result<()> {
    // Made of a constant.
    let become_app = AssertSqlSafe(format!("SET ROLE {APP_ROLE}"));
    sqlx::raw_sql(become_app).execute(connection).await.map(drop).map_err(|_| denied)
}

fn explain<T>(target: &Target, operation: &'static str, result: Result<T>) -> std::result::Result<T, Error> {
    result.map_err(|failure| failure.explain(operation, &target.at))
}

/// Refuses a database that is not what this release needs.
pub(crate) async fn require(connection: &mut PgConnection) -> Result<Layout> {
    let found = version(connection).await?;
    if found < NEWEST {
        return Err(Error::NotMigrated { found, needed: NEWEST }.into());
    }
    let layout = layout(connection).await?.unwrap_or(Layout::Hash16);
    catalog::check(connection, layout).await?;
    Ok(layout)
}

/// A connection as the owner that no other migrator has beside it.
pub(crate) async fn alone(target: &Target) -> Result<PgConnection> {
    let mut connection = target.connect(TIMEOUT).await?;
    // A migrator that was killed is noticed, and does not go on by itself holding its lock.
    let settings = "SET statement_timeout = 0; SET lock_timeout = 0; SET client_min_messages = warning;
        SET client_connection_check_interval = '1s'";
    sqlx::raw_sql(settings).execute(&mut connection).await?;
    lock(&mut connection).await?;
    Ok(connection)
}

async fn apply_all(
    connection: &mut PgConnection,
    user: &str,
    layout: Option<Layout>,
    now: Timestamp,
    wait: Duration,
) -> Result<Plan> {
    let plan = find(connection, layout).await?;
    if plan.makes_role {
        make_role(connection, user).await?;
    }
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > plan.found) {
        let applied = apply_within(connection, migration, plan.layout, now, wait).await;
        applied.map_err(|failure| name_right(failure, user))?;
    }
    backfill::backfill(connection).await?;
    require(connection).await?;
    Ok(plan)
}

/// Applies a migration as soon as nobody holds its tables, without holding up those who come meanwhile.
async fn apply_within(
    connection: &mut PgConnection,
    migration: &Migration,
    layout: Layout,
    now: Timestamp,
    wait: Duration,
) -> Result<()> {
    let mut waited = Duration::ZERO;
    loop {
        match apply(connection, migration, layout, now).await {
            Err(Failure::Database(error)) if code(&error) == Some("55P03") => {}
            applied => return applied,
        }
        waited += LOCK_TIMEOUT + LOCK_PAUSE;
        if waited > wait {
            return Err(Error::Held(lock_holders(connection).await?).into());
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
}

async fn apply(
    connection: &mut PgConnection,
    migration: &Migration,
    layout: Layout,
    now: Timestamp,
) -> Result<()> {
    let mut tx = connection.begin().await?;
    // Made of constants.
    let settings = AssertSqlSafe(format!(
        "SET LOCAL provex.layout = '{}'; SET LOCAL lock_timeout = {}",
        layout.label(),
        LOCK_TIMEOUT.as_millis()
    ));
    sqlx::raw_sql(settings).execute(&mut *tx).await?;
    sqlx::raw_sql(migration.sql).execute(&mut *tx).await.map_err(|error| {
        // What a migration raises itself is meant for the reader.
        match code(&error) {
            Some("55000") => Failure::Refused(Error::Schema(message(&error))),
            _ => error.into(),
        }
    })?;
    catalog::revoke_extra(&mut tx, layout).await?;
    insert_migration(&mut tx, migration, now).await?;
    tx.commit().await?;
    Ok(())
}

/// The state of the database and what is missing.
async fn find(connection: &mut PgConnection, wanted: Option<Layout>) -> Result<Plan> {
    let found = version(connection).await?;
    let there = layout(connection).await?;
    if let (Some(there), Some(wanted)) = (there, wanted)
        && there != wanted
    {
        let reason = format!(
            "its layout is {} and was chosen when it was made; for {} make another database and copy it there",
            there.label(),
            wanted.label()
        );
        return Err(Error::Schema(reason).into());
    }
    let missing = MIGRATIONS.iter().filter(|migration| migration.version > found);
    Ok(Plan {
        found,
        layout: there.or(wanted).unwrap_or(Layout::Hash16),
        makes_role: !is_member(connection).await?,
        steps: missing.map(|migration| (migration.version, migration.name)).collect(),
    })
}

/// The newest migration applied; 0 for a database without any of ours.
///
/// # Errors
/// [`Error::NewerSchema`], and [`Error::Schema`] for what another tool made.
async fn version(connection: &mut PgConnection) -> Result<u32> {
    let tables = select_tables(connection).await?;
    if !tables.iter().any(|table| table == "control.migrations") {
        return match tables.first() {
            None => Ok(0),
            Some(other) => Err(Failure::Refused(Error::Schema(format!(
                "it has `{other}`, but no record of migrations in `control.migrations`: another tool made it, or a part \
                 of it. Give provex a database of its own, or finish with the tool that began"
            )))),
        };
    }
    let applied = select_migrations(connection).await.map_err(|failure| match failure {
        Failure::Database(error) if matches!(code(&error), Some("42703" | "42883" | "42P01")) => {
            let reason = format!("`control.migrations` is not provex's: {}", message(&error));
            Failure::Refused(Error::Schema(reason))
        }
        other => other,
    })?;
    let newest = applied.iter().map(|(version, _)| *version).max().unwrap_or(0);
    let found = u32::try_from(newest)?;
    if found > NEWEST {
        return Err(Error::NewerSchema { found, known: NEWEST }.into());
    }
    for (migration, wanted) in MIGRATIONS.iter().zip(1..=found) {
        let checksum = Digest::of(migration.sql.as_bytes()).to_hex();
        let reason = match applied.iter().find(|(version, _)| *version == i64::from(wanted)) {
            Some((_, there)) if *there == checksum => continue,
            Some(_) => "was applied from another text",
            None => "is missing between others",
        };
        let name = migration.name;
        return Err(Error::Schema(format!("migration {wanted} ({name}) {reason}")).into());
    }
    Ok(found)
}

/// The layout of the tables that are there.
async fn layout(connection: &mut PgConnection) -> Result<Option<Layout>> {
    let kind = sqlx::query_scalar::<_, Option<String>>(
        "-- layout
        SELECT (SELECT c.relkind::text
            FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
            WHERE n.nspname = 'vex' AND c.relname = 'observations')",
    )
    .fetch_one(connection)
    .await?;
    Ok(kind.map(|kind| if kind == "p" { Layout::Hash16 } else { Layout::Flat }))
}

/// Makes the application's role, which belongs to all databases of the server, and makes the user a member of it. Migrators
/// of other databases may be doing the same.
async fn make_role(connection: &mut PgConnection, user: &str) -> Result<()> {
    let quoted = user.replace('"', "\"\"");
    let statements = [format!("CREATE ROLE {APP_ROLE} NOLOGIN"), format!("GRANT {APP_ROLE} TO \"{quoted}\"")];
    for statement in statements {
        let mut tries = 0;
        loop {
            // Made of a constant, and of a name that is quoted.
            let done = sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut *connection).await;
            let Err(error) = done else { break };
            match code(&error) {
                // It is there: from before, or from another migrator just now.
                Some("42710" | "23505") => break,
                Some("42501") => {
                    let reason = format!(
                        "`{user}` may not make the role `{APP_ROLE}` or become a member of it ({}). As a superuser: \
                         CREATE ROLE {APP_ROLE} NOLOGIN; GRANT {APP_ROLE} TO \"{quoted}\"; then run it again",
                        message(&error)
                    );
                    return Err(Failure::Refused(Error::Rights(reason)));
                }
                _ => {}
            }
            let failure = Failure::from(error);
            tries += 1;
            if failure.again() != Again::Conflict || tries == 50 {
                return Err(failure);
            }
            tokio::time::sleep(Duration::from_millis(10 * tries)).await;
        }
    }
    Ok(())
}

/// Says what to grant where a migration lacked a right.
fn name_right(failure: Failure, user: &str) -> Failure {
    match failure {
        Failure::Database(error) if code(&error) == Some("42501") => {
            let reason = format!(
                "`{user}` cannot make provex's tables ({}). Its owner or a superuser: GRANT CREATE ON DATABASE ... TO \
                 \"{user}\"; and what is there already has to be its own",
                message(&error)
            );
            Failure::Refused(Error::Rights(reason))
        }
        other => other,
    }
}

async fn lock(connection: &mut PgConnection) -> Result<()> {
    sqlx::query(
        "-- lock
        SELECT pg_advisory_lock($1)",
    )
    .bind(LOCK)
    .execute(connection)
    .await?;
    Ok(())
}

/// The sessions that have locks on our tables, for people.
async fn lock_holders(connection: &mut PgConnection) -> Result<String> {
    let holders = sqlx::query_scalar(
        "-- lock_holders
        SELECT coalesce(string_agg(DISTINCT format(
                'process %s of the user `%s` (%s%s)', a.pid, a.usename, nullif(a.application_name, '') || ', ',
                coalesce(a.state || ', in a transaction since '
                    || to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC', 'in a transaction')),
            '; '), 'they have finished just now')
        FROM pg_catalog.pg_locks AS l
            JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
            JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
            JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
        WHERE l.granted AND a.datname = current_database() AND a.pid <> pg_backend_pid()
            AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
            AND n.nspname IN ('control', 'findings', 'vex', 'vexhub', 'attestor')",
    )
    .fetch_one(connection)
    .await?;
    Ok(holders)
}

async fn is_member(connection: &mut PgConnection) -> Result<bool> {
    let member = sqlx::query_scalar(
        "-- is_member
        SELECT coalesce(
            (SELECT pg_has_role(session_user, oid, 'MEMBER') FROM pg_catalog.pg_roles WHERE rolname = $1), false)",
    )
    .bind(APP_ROLE)
    .fetch_one(connection)
    .await?;
    Ok(member)
}

/// The tables in our schemas.
async fn select_tables(connection: &mut PgConnection) -> Result<Vec<String>> {
    let tables = sqlx::query_scalar(
        "-- select_tables
        SELECT n.nspname || '.' || c.relname
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('control', 'findings', 'vex', 'vexhub', 'attestor') AND c.relkind IN ('r', 'p', 'v')
        ORDER BY 1",
    )
    .fetch_all(connection)
    .await?;
    Ok(tables)
}

async fn select_migrations(connection: &mut PgConnection) -> Result<Vec<(i64, String)>> {
    let rows = sqlx::query(
        "-- select_migrations
        SELECT version, checksum FROM control.migrations ORDER BY version",
    )
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok((row.try_get("version")?, row.try_get("checksum")?))).collect()
}

async fn insert_migration(
    connection: &mut PgConnection,
    migration: &Migration,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "-- insert_migration
        INSERT INTO control.migrations (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)",
    )
    .bind(i64::from(migration.version))
    .bind(migration.name)
    .bind(Digest::of(migration.sql.as_bytes()).to_hex())
    .bind(Time(now))
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_sequential() {
        let versions: Vec<_> = MIGRATIONS.iter().map(|migration| migration.version).collect();
        assert_eq!(versions, (1..=NEWEST).collect::<Vec<_>>());
    }

    #[test]
    fn what_can_meet_distributed_tables_is_one_block() {
        for migration in &MIGRATIONS[1..] {
            let code: Vec<_> = migration.sql.lines().filter(|line| !line.starts_with("--")).collect();
            assert_eq!((code[0], code[code.len() - 1]), ("DO $m$", "$m$;"), "{}", migration.name);
            assert_eq!(migration.sql.matches("$m$").count(), 2, "{}", migration.name);
        }
    }
}
