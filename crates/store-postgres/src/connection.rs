//! Connections, transactions and attempts.
//!
//! Every pooled connection becomes `provex_app` and is refused where row-level security would not hold for it. Every
//! transaction begins by entering its tenant. A transaction that lost against another, or whose server went away, is
//! tried again here; one whose COMMIT did not answer is found out about by repeating it.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _};
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use provex_core::ids::TenantId;
use provex_core::time::Timestamp;
use provex_store::{Error, Stage};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, PgPool, Postgres, Transaction,
};

use crate::failure::{Again, Failure, Result, code, is_outcome_unknown, message};

/// The role that the application works as.
pub(crate) const APP_ROLE: &str = "provex_app";
/// The oldest server that will do, as `server_version_num` says it.
const OLDEST_SERVER: u32 = 150_000;
/// How long a long snapshot may lie idle before the server ends it: longer than whoever reads it waits for anything.
const LONG_PAUSE: Duration = Duration::from_secs(300);
/// A command has a snapshot open and reads ahead while it writes.
const FEWEST_CONNECTIONS: u32 = 4;
/// How often a transaction is tried that loses against others.
const CONFLICTS: u32 = 12;

/// Settings on which meaning or durability hangs, whatever the defaults of server, database, role or URL say: that the
/// statements and what the catalog writes out mean what they say, that policies filter instead of failing, and that what
/// was committed is durable. Waiting for more than that, for standbys, is left as it is set.
const SETTINGS: &str = "SET search_path = pg_catalog; SET standard_conforming_strings = on;
    SET quote_all_identifiers = off; SET row_security = on;
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// How a store uses its server.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Connections that the pool opens at most.
    pub max_connections: u32,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// How long a statement waits for a lock.
    pub lock_timeout: Duration,
    /// How long a connection may take to come.
    pub connect_timeout: Duration,
    /// How long a server that went away is waited for.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_connections: 10,
            statement_timeout: Duration::from_secs(300),
            lock_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(10),
            patience: Duration::from_secs(60),
        }
    }
}

/// A server's address, and how it is logged into.
#[derive(Clone)]
pub(crate) struct Target {
    options: PgConnectOptions,
    /// For people: host, port and database, without user and password.
    pub(crate) at: String,
    pub(crate) user: String,
    /// Certificates and key that the URL names.
    files: Vec<PathBuf>,
}

impl Target {
    /// Reads `postgres://user:password@host:port/database?sslmode=...`.
    pub(crate) fn parse(url: &str) -> std::result::Result<Self, Error> {
        let parsed = if is_understood(url) { PgConnectOptions::from_str(url).ok() } else { None };
        // What the parser says might repeat a part of the URL, and with it the password.
        let options = parsed.ok_or(Error::BadUrl)?;
        let place = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        let user = options.get_username().to_owned();
        let at = format!("{place}/{}", options.get_database().unwrap_or(&user));
        let options = options
            .application_name("provex")
            .statement_cache_capacity(256)
            // One startup parameter less for a pooler to know.
            .extra_float_digits(None)
            .disable_statement_logging();
        let files = ["sslrootcert", "sslcert", "sslkey"].map(|file| {
            let named = parameters(url).find(|(name, _)| *name == file);
            named.map(|(_, value)| PathBuf::from(decode(value)))
        });
        Ok(Self { options, at, user, files: files.into_iter().flatten().collect() })
    }

    /// A connection of its own, as the user that logs in, to a server and a database that will do.
    pub(crate) async fn connect(&self, timeout: Duration) -> Result<PgConnection> {
        // The driver says of a file that is missing no more than that one is.
        for file in &self.files {
            if let Err(error) = std::fs::File::open(file) {
                let reason = format!("{} cannot be read: {error}", file.display());
                return Err(Error::Tls { at: self.at.clone(), reason }.into());
            }
        }
        let connected = tokio::time::timeout(timeout, PgConnection::connect_with(&self.options)).await;
        let mut connection = connected.map_err(|_| {
            let reason = format!("no answer within {} s", timeout.as_secs());
            Failure::Refused(Error::Unreachable { at: self.at.clone(), reason })
        })??;
        let found = connection.server_version_num().unwrap_or(0);
        require_version(found, &self.at)?;
        let encoding = server_encoding(&mut connection).await?;
        if encoding != "UTF8" {
            let reason = format!("its encoding is {encoding}: make a database with ENCODING 'UTF8'");
            return Err(Error::Schema(reason).into());
        }
        sqlx::raw_sql(SETTINGS).execute(&mut connection).await?;
        Ok(connection)
    }
}

/// The driver passes over parameters that it does not know: with a misspelt `sslmode` it would connect unprotected.
fn is_understood(url: &str) -> bool {
    const PARAMETERS: [&str; 11] = [
        "dbname",
        "host",
        "hostaddr",
        "options",
        "password",
        "port",
        "sslcert",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "user",
    ];
    let scheme = url.starts_with("postgres://") || url.starts_with("postgresql://");
    scheme && parameters(url).all(|(name, _)| PARAMETERS.contains(&name))
}

/// A URL's parameters, as they are written.
fn parameters(url: &str) -> impl Iterator<Item = (&str, &str)> {
    let query =
        url.split_once('#').map_or(url, |(url, _)| url).split_once('?').map_or("", |(_, query)| query);
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts.map(|part| part.split_once('=').unwrap_or((part, "")))
}

/// A parameter's value as it is meant: `%2F` is a slash, and `+` a blank.
fn decode(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (_, Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
                continue;
            }
            (b'+', None) => bytes.push(b' '),
            (byte, None) => bytes.push(*byte),
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether a database URL holds a password, so that it cannot be shown or kept where others read it.
pub fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let user =
        rest.split(['/', '?']).next().unwrap_or_default().rsplit_once('@').map_or("", |(user, _)| user);
    user.contains(':') || parameters(url).any(|(name, _)| name == "password")
}

fn require_version(found: u32, at: &str) -> std::result::Result<(), Error> {
    if found >= OLDEST_SERVER {
        return Ok(());
    }
    let found = format!("{}.{}", found / 10_000, found % 10_000);
    Err(Error::ServerVersion { at: at.to_owned(), found })
}

/// Where the last claim of a tenant's stage ended, and how many claims went on from the one before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claimed {
    pub(crate) available_at: Timestamp,
    pub(crate) submission: uuid::Uuid,
    pub(crate) claims: u32,
}

/// The connections to one database.
pub(crate) struct Database {
    pool: PgPool,
    options: Options,
    pub(crate) at: String,
    /// Why a connection could not be set up: the pool keeps that to itself.
    refused: Arc<Mutex<Option<Error>>>,
    claimed: Mutex<HashMap<(TenantId, &'static str), Claimed>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Database {
    /// Nothing is opened before it is needed.
    pub(crate) fn new(target: Target, options: Options) -> Self {
        let refused = Arc::new(Mutex::new(None));
        let (told, user) = (Arc::clone(&refused), target.user.clone());
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections.max(1))
            .acquire_timeout(options.connect_timeout)
            .idle_timeout(Duration::from_secs(600))
            .max_lifetime(Duration::from_secs(1_800))
            // A connection that lay idle may have lost its server; one just used has not.
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > Duration::from_secs(1) {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(move |connection, _| {
                let (told, user) = (Arc::clone(&told), user.clone());
                Box::pin(async move {
                    let ready = become_app(connection, &user, &options).await;
                    ready.map_err(|failure| match failure {
                        Failure::Refused(error) => {
                            let text = error.to_string();
                            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                            sqlx::Error::Configuration(text.into())
                        }
                        Failure::Database(error) | Failure::Commit(error) => error,
                        Failure::Number(error) => sqlx::Error::Configuration(error.into()),
                    })
                })
            })
            .connect_lazy_with(target.options);
        Self { pool, options, at: target.at, refused, claimed: Mutex::default() }
    }

    /// Begins a transaction of a tenant.
    pub(crate) async fn begin(&self, tenant: &TenantId) -> Result<Tx> {
        let mut tx = self.transaction("BEGIN").await?;
        enter_tenant(&mut tx, tenant).await?;
        Ok(tx)
    }

    /// Begins a transaction of a tenant that only reads: all its statements see one state.
    pub(crate) async fn snapshot(&self, tenant: &TenantId) -> Result<Tx> {
        let mut tx = self.transaction("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
        enter_tenant(&mut tx, tenant).await?;
        Ok(tx)
    }

    /// As [`Database::snapshot`], for who takes his time: on a connection that the pool has no more, so that nobody waits
    /// for it. Dropped, it is closed, and the transaction with it.
    pub(crate) async fn long_snapshot(&self, tenant: &TenantId) -> Result<PgConnection> {
        let mut connection = self.acquire().await?.detach();
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
            SET LOCAL idle_in_transaction_session_timeout = '{}s'",
            LONG_PAUSE.as_secs()
        );
        // Made of constants alone.
        sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut connection).await?;
        enter_tenant(&mut connection, tenant).await?;
        Ok(connection)
    }

    /// Begins a transaction on what all tenants share.
    pub(crate) async fn begin_shared(&self) -> Result<Tx> {
        self.transaction("BEGIN").await
    }

    async fn transaction(&self, begin: &'static str) -> Result<Tx> {
        let inner = self.pool.begin_with(begin).await;
        inner.map(|inner| Tx { inner }).map_err(|error| self.unconnected(error))
    }

    async fn acquire(&self) -> Result<PoolConnection<Postgres>> {
        self.pool.acquire().await.map_err(|error| self.unconnected(error))
    }

    /// Why there is no connection.
    fn unconnected(&self, error: sqlx::Error) -> Failure {
        match error {
            sqlx::Error::PoolTimedOut => {
                let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).take();
                refused.map_or(Failure::Database(sqlx::Error::PoolTimedOut), Failure::Refused)
            }
            error => error.into(),
        }
    }

    /// Attempts it until it succeeds or cannot. An attempt is one whole transaction, which has written nothing unless it
    /// comes to COMMIT. Where COMMIT did not answer, the next attempt is told so and finds out by the identity of what
    /// was to be written: `settle` is given what the first would have returned and what the next one did.
    pub(crate) async fn attempt<T, F>(
        &self,
        settle: fn(T, Result<T>) -> Result<T>,
        attempt: impl Fn(bool) -> F + Send,
    ) -> Result<T>
    where
        T: Send,
        F: Future<Output = Result<Attempt<T>>> + Send,
    {
        let mut unknown: Option<(T, sqlx::Error)> = None;
        let (mut conflicts, mut waited) = (0, Duration::ZERO);
        loop {
            let (again, failure) = match attempt(unknown.is_some()).await {
                Ok(Attempt::Done(value)) => {
                    return match unknown {
                        Some((first, _)) => settle(first, Ok(value)),
                        None => Ok(value),
                    };
                }
                Ok(Attempt::Unknown(value, error)) => {
                    unknown = Some((value, error));
                    (Again::Absent, None)
                }
                Err(failure) => (failure.again(), Some(failure)),
            };
            let pause = match again {
                Again::Conflict if conflicts < CONFLICTS => {
                    conflicts += 1;
                    jittered(Duration::from_millis(5 << conflicts.min(7)))
                }
                Again::Absent if waited < self.options.patience => {
                    let pause =
                        jittered((waited / 2).clamp(Duration::from_millis(50), Duration::from_secs(1)));
                    waited += pause
                        + if is_pool_timeout(&failure) {
                            self.options.connect_timeout
                        } else {
                            Duration::ZERO
                        };
                    pause
                }
                Again::Conflict | Again::Absent | Again::No => {
                    return match (unknown, failure) {
                        (Some((first, _)), Some(failure)) if again == Again::No => {
                            settle(first, Err(failure))
                        }
                        (Some((_, error)), _) => Err(Failure::Commit(error)),
                        (None, Some(failure)) => Err(failure),
                        (None, None) => Err(Failure::Refused(Error::OutcomeUnknown)),
                    };
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// As [`Database::attempt`], for what only reads.
    pub(crate) async fn read<T, F>(&self, attempt: impl Fn() -> F + Send + Sync) -> Result<T>
    where
        T: Send,
        F: Future<Output = Result<T>> + Send,
    {
        let attempt = &attempt;
        self.attempt(repeated, |_| {
            let reading = attempt();
            async move { reading.await.map(Attempt::Done) }
        })
        .await
    }

    /// Where the next claim of a stage goes on; now and then at the beginning, for what became due behind it.
    pub(crate) fn claimed(&self, tenant: &TenantId, stage: Stage) -> Option<Claimed> {
        const CLAIMS: u32 = 64;
        let claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        claimed.get(&(tenant.clone(), stage.label())).copied().filter(|claimed| claimed.claims < CLAIMS)
    }

    /// Remembers where a claim ended; `None`: the next one begins at the beginning.
    pub(crate) fn set_claimed(&self, tenant: &TenantId, stage: Stage, at: Option<Claimed>) {
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tenant.clone(), stage.label());
        match at {
            Some(at) => claimed.insert(key, at),
            None => claimed.remove(&key),
        };
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

/// How one attempt ended that came to its end.
#[derive(Debug)]
pub(crate) enum Attempt<T> {
    /// It is durable.
    Done(T),
    /// COMMIT did not answer: it may be.
    Unknown(T, sqlx::Error),
}

/// What repeating says: for what gives the same whenever it is repeated.
pub(crate) fn repeated<T>(_first: T, again: Result<T>) -> Result<T> {
    again
}

/// What the first attempt would have said. It held its leases when it came to COMMIT: where they are lost now, it was
/// committed, or somebody took them over since and does the work.
pub(crate) fn as_first<T>(first: T, again: Result<T>) -> Result<T> {
    match again {
        Ok(_) | Err(Failure::Refused(Error::LostLease)) => Ok(first),
        Err(failure) => Err(failure),
    }
}

fn is_pool_timeout(failure: &Option<Failure>) -> bool {
    matches!(failure, Some(Failure::Database(sqlx::Error::PoolTimedOut)))
}

/// Half to one and a half times as long, so that those who met do not meet again. No data depends on it.
fn jittered(pause: Duration) -> Duration {
    let random = std::hash::RandomState::new().build_hasher().finish();
    pause.mul_f64(0.5 + (random % 1_024) as f64 / 1_024.0)
}

/// A transaction. Dropped without [`Tx::commit`] it is rolled back before its connection is used again.
pub(crate) struct Tx {
    inner: Transaction<'static, Postgres>,
}

impl Tx {
    /// Makes it durable.
    pub(crate) async fn commit<T>(self, value: T) -> Result<Attempt<T>> {
        match self.inner.commit().await {
            Ok(()) => Ok(Attempt::Done(value)),
            Err(error) if is_outcome_unknown(&error) => Ok(Attempt::Unknown(value, error)),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends a transaction that has nothing to write.
    pub(crate) async fn end<T>(self, value: T) -> Result<T> {
        self.inner.rollback().await?;
        Ok(value)
    }
}

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.inner
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.inner
    }
}

/// Makes a connection the application's: its role, its limits, and a check that it sees one tenant at a time.
pub(crate) async fn become_app(connection: &mut PgConnection, user: &str, options: &Options) -> Result<()> {
    set_role(connection, user, options).await?;
    require_row_security(connection).await
}

/// The application's role and limits; and no tenant, whatever the defaults of role, database or URL say.
pub(crate) async fn set_role(connection: &mut PgConnection, user: &str, options: &Options) -> Result<()> {
    let settings = format!(
        "SET ROLE {APP_ROLE}; SET provex.tenant_id = ''; SET statement_timeout = {}; SET lock_timeout = {};
        SET idle_in_transaction_session_timeout = '60s'; SET jit = off;
        SET citus.propagate_set_commands = 'local'; {SETTINGS}",
        options.statement_timeout.as_millis(),
        options.lock_timeout.as_millis(),
    );
    // Made of constants and numbers alone.
    sqlx::raw_sql(AssertSqlSafe(settings)).execute(&mut *connection).await.map_err(|error| {
        // No such role, or no right to become it.
        if matches!(code(&error), Some("22023" | "42501" | "42704")) {
            let reason = format!(
                "`{user}` cannot become `{APP_ROLE}` ({}): run `provex migrate` as the owner of the database, \
                 or as a superuser: GRANT {APP_ROLE} TO \"{user}\"",
                message(&error)
            );
            return Failure::Refused(Error::Rights(reason));
        }
        error.into()
    })?;
    Ok(())
}

/// Refuses a role that would see every tenant.
pub(crate) async fn require_row_security(connection: &mut PgConnection) -> Result<()> {
    let open = tables_without_row_security(connection).await?;
    if let Some(open) = open {
        let reason = format!(
            "row-level security does not hold for `{APP_ROLE}` on {open}: it must be no superuser, have no \
             BYPASSRLS, and own no table of provex"
        );
        return Err(Failure::Refused(Error::Rights(reason)));
    }
    Ok(())
}

/// How many connections a pool may open that wants so many: what the login and the database allow, so that nobody waits
/// for one that never comes.
///
/// # Errors
/// [`Error::TooManyConnections`] where it is not enough.
pub(crate) async fn allowed_connections(
    connection: &mut PgConnection,
    target: &Target,
    wanted: u32,
) -> Result<u32> {
    let limit = connection_limit(connection).await?;
    let limit = limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(wanted);
    if limit < wanted.min(FEWEST_CONNECTIONS) {
        return Err(Failure::Refused(Error::TooManyConnections {
            at: target.at.clone(),
            reason: format!(
                "`{}` may have {limit} at a time, and {FEWEST_CONNECTIONS} are needed: ALTER ROLE or ALTER DATABASE … \
                 CONNECTION LIMIT",
                target.user
            ),
        }));
    }
    Ok(limit.min(wanted))
}

/// The least that the login and the database may have at a time, where one of them has a limit.
async fn connection_limit(connection: &mut PgConnection) -> Result<Option<i32>> {
    let limit = sqlx::query_scalar(
        "-- connection_limit
        SELECT least(
            (SELECT rolconnlimit FROM pg_catalog.pg_roles
                WHERE rolname = session_user AND rolconnlimit >= 0 AND NOT rolsuper),
            (SELECT datconnlimit FROM pg_catalog.pg_database
                WHERE datname = current_database() AND datconnlimit >= 0))",
    )
    .fetch_one(connection)
    .await?;
    Ok(limit)
}

/// The tenants' tables on which the current role would see every tenant.
async fn tables_without_row_security(connection: &mut PgConnection) -> Result<Option<String>> {
    let open = sqlx::query_scalar(
        "-- tables_without_row_security
        SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY c.oid::regclass::text)
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('vex', 'vexhub', 'attestor', 'findings') AND c.relkind IN ('r', 'p')
            AND NOT row_security_active(c.oid)",
    )
    .fetch_one(connection)
    .await?;
    Ok(open)
}

async fn server_encoding(connection: &mut PgConnection) -> Result<String> {
    let encoding = sqlx::query_scalar(
        "-- server_encoding
        SELECT current_setting('server_encoding')",
    )
    .fetch_one(connection)
    .await?;
    Ok(encoding)
}

pub(crate) async fn enter_tenant(connection: &mut PgConnection, tenant: &TenantId) -> Result<()> {
    sqlx::query(
        "-- enter_tenant
        SELECT vex.enter_tenant($1)",
    )
    .bind(tenant.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_refused_by_its_version() {
        require_version(150_000, "x").unwrap();
        require_version(180_002, "x").unwrap();
        let refused = require_version(140_017, "db:5432/provex").unwrap_err().to_string();
        assert!(
            refused.contains("14.17") && refused.contains("15") && refused.contains("db:5432"),
            "{refused}"
        );
    }

    #[test]
    fn a_bad_url_is_refused_without_repeating_it() {
        for url in [
            "",
            "sqlite:x",
            "postgres://u:secret@host:port/x",
            "postgres://u:secret@h/x?sslmode=secret",
            "postgres://u:secret@h/x?sslmod=verify-full",
            "postgres://u:secret@h/x?connect_timeout=3",
        ] {
            let refused = Target::parse(url).err().unwrap().to_string();
            assert!(!refused.contains("secret") && refused.contains("postgres://"), "{refused}");
        }
        let target = Target::parse("postgres://u:secret@host:77/x").unwrap();
        assert_eq!((target.at.as_str(), target.user.as_str()), ("host:77/x", "u"));
        let socket = "postgres://u@localhost/x?host=/run/postgresql&sslmode=disable&options=-c%20x=y";
        assert_eq!(Target::parse(socket).unwrap().at, "/run/postgresql/x");
    }

    #[test]
    fn the_files_of_a_url_are_found() {
        let url = "postgres://u@h/x?sslmode=verify-full&sslrootcert=%2Fetc%2Fa+b%20c%zz.crt&sslkey=k";
        assert_eq!(Target::parse(url).unwrap().files, ["/etc/a b c%zz.crt", "k"].map(PathBuf::from));
    }

    #[test]
    fn a_url_with_a_password_is_known() {
        for url in [
            "postgres://u:secret@h/x",
            "postgres://:s@h",
            "postgres://h/x?password=s",
            "postgres://u:s@h?user=u",
        ] {
            assert!(has_password(url), "{url}");
        }
        for url in
            ["", "postgres://u@h:5432/x?sslmode=require", "postgres://h:5432/x", "postgres:///x?host=/run"]
        {
            assert!(!has_password(url), "{url}");
        }
    }
}
