//! Connections: one that writes, a few that read.
//!
//! SQLite has one writer at a time. Writers of this process queue at a mutex, those of others at `BEGIN IMMEDIATE`;
//! once that has the lock nothing else in a transaction can be busy, so it is the one place that tries again.

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::time::Duration;

use provex_store::Error;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite, SqliteConnection, SqlitePool, Transaction};
use tokio::sync::{Mutex, MutexGuard};

use crate::failure::{Failure, Result};

/// How long another program may hold the database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// How long SQLite waits in one try.
    pub(crate) timeout: Duration,
    /// How often it is tried.
    pub(crate) tries: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), tries: 12 }
    }
}

const READERS: u32 = 4;

/// How long a reader waits for a free connection: as long as it takes.
const READER_PATIENCE: Duration = Duration::from_secs(3_600);

/// The connections to one database file.
#[derive(Debug)]
pub(crate) struct Connections {
    path: PathBuf,
    options: SqliteConnectOptions,
    patience: Patience,
    /// Empty before the first write, and after one that was given up: its connection went with it.
    writer: Mutex<Option<SqliteConnection>>,
    readers: SqlitePool,
}

impl Connections {
    /// Nothing is opened before it is needed.
    pub(crate) fn new(path: &Path, patience: Patience) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit that was acknowledged survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // Without it INSERT OR REPLACE would pass the triggers that forbid deleting.
            .pragma("recursive_triggers", "ON")
            .busy_timeout(patience.timeout)
            .statement_cache_capacity(256)
            .disable_statement_logging();
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(READER_PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(options.clone().pragma("query_only", "ON"));
        // Room for the index pages that an ingest touches: rows come in the order of their digests.
        let options = options.pragma("cache_size", "-65536");
        Self { path: path.to_owned(), options, patience, writer: Mutex::new(None), readers }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a transaction that writes: it has the lock.
    pub(crate) async fn write(&self) -> Result<Write<'_>> {
        let mut slot = self.writer.lock().await;
        let mut tries = 1;
        loop {
            match begin_immediate(slot.take(), &self.options).await {
                Ok(connection) => return Ok(Write { slot, connection }),
                Err(failure) if failure.is_busy() && tries < self.patience.tries => tries += 1,
                Err(failure) => return Err(failure),
            }
            // SQLite has waited already, except where it reports busy at once to break a deadlock.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A connection for one statement that reads.
    pub(crate) async fn read(&self) -> Result<sqlx::pool::PoolConnection<Sqlite>> {
        Ok(self.readers.acquire().await?)
    }

    /// Begins a transaction that reads: all its statements see one state.
    pub(crate) async fn read_snapshot(&self) -> Result<Transaction<'static, Sqlite>> {
        Ok(self.readers.begin().await?)
    }

    /// A connection outside of any transaction, for what cannot be done inside one.
    pub(crate) async fn connect(&self) -> Result<SqliteConnection> {
        Ok(SqliteConnection::connect_with(&self.options).await?)
    }

    /// Closes all connections; the last one of all programs folds the write-ahead log into the file.
    pub(crate) async fn close(&self) -> Result<()> {
        self.readers.close().await;
        if let Some(connection) = self.writer.lock().await.take() {
            connection.close().await?;
        }
        Ok(())
    }
}

async fn begin_immediate(
    connection: Option<SqliteConnection>,
    options: &SqliteConnectOptions,
) -> Result<SqliteConnection> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => SqliteConnection::connect_with(options).await?,
    };
    sqlx::query("-- begin_immediate\nBEGIN IMMEDIATE").execute(&mut connection).await?;
    Ok(connection)
}

/// A transaction that writes. Dropped without [`Write::commit`] it closes its connection, which undoes it: there is
/// no half-finished transaction that could be taken up again by mistake.
pub(crate) struct Write<'a> {
    slot: MutexGuard<'a, Option<SqliteConnection>>,
    connection: SqliteConnection,
}

impl Write<'_> {
    /// Makes it durable.
    pub(crate) async fn commit(mut self) -> Result<()> {
        sqlx::query("-- commit\nCOMMIT").execute(&mut self.connection).await.map_err(Failure::Commit)?;
        *self.slot = Some(self.connection);
        Ok(())
    }

    /// Ends a transaction that has nothing to write.
    pub(crate) async fn rollback(mut self) -> Result<()> {
        sqlx::query("-- rollback\nROLLBACK").execute(&mut self.connection).await?;
        *self.slot = Some(self.connection);
        Ok(())
    }
}

impl Deref for Write<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Write<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

/// Creates the file for its owner alone; SQLite gives its companions the same mode. One that is there stays as it is.
pub(crate) fn create_file(path: &Path) -> std::result::Result<(), Error> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::StorageFull => Err(Error::DiskFull),
        Err(error) => Err(Error::ReadOnly(format!("{}: {error}", path.display()))),
    }
}
