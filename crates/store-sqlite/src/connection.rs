//! Connections: one that writes, a few that read.
//!
//! SQLite has one writer at a time. Writers of this process queue at a mutex, those of others at `BEGIN IMMEDIATE`;
//! once that has the lock nothing else in a transaction can be busy, so it is the one place that tries again.

use std::fmt::{Debug, Formatter};
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use provex_store::Error;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::failure::{Failure, Result};
use crate::probe::{self, Probe};

/// How long another program may hold the database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// How long SQLite waits in one try.
    pub(crate) timeout: Duration,
    /// How often it is tried.
    pub(crate) tries: u32,
}

impl Patience {
    /// Tries of up to five seconds that take so long together.
    pub(crate) fn of(wait: Duration) -> Self {
        let timeout = wait.clamp(Duration::from_millis(1), Duration::from_secs(5));
        let tries = wait.as_millis().div_ceil(timeout.as_millis());
        Self { timeout, tries: u32::try_from(tries).unwrap_or(u32::MAX) }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self::of(Duration::from_secs(60))
    }
}

const READERS: usize = 4;

/// The connections to one database file.
#[derive(Debug)]
pub(crate) struct Connections {
    path: PathBuf,
    options: SqliteConnectOptions,
    patience: Patience,
    /// Empty before the first write.
    writer: Mutex<Option<Writer>>,
    readers: Arc<Readers>,
    /// Whether the file is only read because there was no room to write.
    full: bool,
    /// Dropped after the connections.
    probe: Probe,
}

#[derive(Debug)]
struct Writer {
    connection: SqliteConnection,
    /// Its transaction was given up: it serves no other one.
    given_up: bool,
}

/// The connections that read. Who drops a [`Reader`] gives its connection back there and then, without a task or a
/// runtime: all of them can be closed in the end, wherever that is.
#[derive(Debug)]
struct Readers {
    options: SqliteConnectOptions,
    idle: std::sync::Mutex<Vec<SqliteConnection>>,
    /// Connections that were being opened for somebody who has gone.
    opening: std::sync::Mutex<Vec<Opening>>,
    free: Arc<Semaphore>,
}

impl Readers {
    fn new(options: SqliteConnectOptions) -> Arc<Self> {
        let free = Arc::new(Semaphore::new(READERS));
        Arc::new(Self { options, idle: Default::default(), opening: Default::default(), free })
    }

    async fn open(self: &Arc<Self>, turn: Option<OwnedSemaphorePermit>) -> Result<Reader> {
        let idle = lock(&self.idle).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        Ok(Reader {
            connection: Some(connection),
            in_snapshot: false,
            readers: Arc::clone(self),
            _turn: turn,
        })
    }

    async fn connect(&self) -> Result<SqliteConnection> {
        let left = lock(&self.opening).pop();
        let opening = left.unwrap_or_else(|| {
            let options = self.options.clone();
            Opening(Box::pin(async move { SqliteConnection::connect_with(&options).await }))
        });
        let mut waiting = Waiting { opening: Some(opening), readers: self };
        let opened = waiting.opening.as_mut().expect("just set").0.as_mut().await;
        waiting.opening = None;
        Ok(opened?)
    }

    async fn close(&self) -> Result<()> {
        let (idle, opening) =
            (std::mem::take(&mut *lock(&self.idle)), std::mem::take(&mut *lock(&self.opening)));
        for connection in idle {
            connection.close().await?;
        }
        for opening in opening {
            opening.0.await?.close().await?;
        }
        Ok(())
    }
}

fn lock<T>(list: &std::sync::Mutex<Vec<T>>) -> std::sync::MutexGuard<'_, Vec<T>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Opening(BoxFuture<'static, sqlx::Result<SqliteConnection>>);

impl Debug for Opening {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opening")
    }
}

/// Who waits for a connection, and leaves it to others when it goes.
struct Waiting<'a> {
    opening: Option<Opening>,
    readers: &'a Readers,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(&self.readers.opening).extend(self.opening.take());
    }
}

/// A connection that reads, until it is dropped.
pub(crate) struct Reader {
    /// None once it was given back.
    connection: Option<SqliteConnection>,
    in_snapshot: bool,
    readers: Arc<Readers>,
    /// Given up after the connection was given back.
    _turn: Option<OwnedSemaphorePermit>,
}

impl Reader {
    async fn begin(mut self) -> Result<Self> {
        self.in_snapshot = true;
        sqlx::query("-- begin\nBEGIN").execute(&mut *self).await?;
        Ok(self)
    }
}

impl Deref for Reader {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.connection.as_ref().expect("given back when dropped")
    }
}

impl DerefMut for Reader {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.connection.as_mut().expect("given back when dropped")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if self.in_snapshot {
            start_rollback(&mut connection);
        }
        lock(&self.readers.idle).push(connection);
    }
}

impl Connections {
    /// Nothing is opened before it is needed.
    pub(crate) fn new(path: &Path, patience: Patience) -> Self {
        let options = SqliteConnectOptions::new().journal_mode(SqliteJournalMode::Wal);
        Self::with(options, path, patience)
    }

    /// Connections to a file that nothing can be written beside, as on a read-only mount: SQLite needs its companions
    /// to share a database in WAL mode, and is told here that nobody writes.
    pub(crate) fn immutable(path: &Path, patience: Patience) -> Self {
        Self::with(SqliteConnectOptions::new().read_only(true).immutable(true), path, patience)
    }

    /// The same where there was no room to write.
    pub(crate) fn full(path: &Path, patience: Patience) -> Self {
        let mut connections = Self::immutable(path, patience);
        connections.full = true;
        connections
    }

    /// Connections to look at a file with: a file that is not ours to write is left alone if all is in it.
    pub(crate) fn to_look(path: &Path) -> Self {
        let patience = Patience::default();
        match probe::writable(path) {
            Err(_) if is_whole(path) => Self::immutable(path, patience),
            _ => Self::new(path, patience),
        }
    }

    fn with(options: SqliteConnectOptions, path: &Path, patience: Patience) -> Self {
        let options = options
            .filename(path)
            // A commit that was acknowledged survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // Without it INSERT OR REPLACE would pass the triggers that forbid deleting.
            .pragma("recursive_triggers", "ON")
            .busy_timeout(patience.timeout)
            .statement_cache_capacity(256)
            .disable_statement_logging();
        let readers = Readers::new(options.clone().pragma("query_only", "ON"));
        // Room for the index pages that an ingest touches: rows come in the order of their digests.
        let options = options.pragma("cache_size", "-65536");
        // What would undo one statement, whose triggers may refuse it, is a copy of every page that it changes: in a file it
        // is several times what the commits write.
        let options = options.pragma("temp_store", "MEMORY");
        let (writer, probe) = (Mutex::new(None), Probe::new(path));
        Self { path: path.to_owned(), options, patience, writer, readers, full: false, probe }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether these only read for want of room.
    pub(crate) fn found_no_room(&self) -> bool {
        self.full
    }

    pub(crate) fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Begins a transaction that writes: it has the lock.
    pub(crate) async fn write(&self) -> Result<Write<'_>> {
        let mut write = Write { slot: self.writer.lock().await, connection: None };
        let mut tries = 1;
        loop {
            match write.begin(&self.options).await {
                Ok(()) => return Ok(write),
                Err(failure) if failure.is_busy() && tries < self.patience.tries => {
                    // Where there are no locks, waiting brings none.
                    self.probe.locking().map_or(Ok(()), Err)?;
                    tries += 1;
                }
                Err(failure) => return Err(failure),
            }
            // SQLite has waited already, except where it reports busy at once to break a deadlock.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A connection for one statement that reads.
    pub(crate) async fn read(&self) -> Result<Reader> {
        let turn = Arc::clone(&self.readers.free).acquire_owned().await.expect("never closed");
        self.readers.open(Some(turn)).await
    }

    /// Begins a transaction that reads: all its statements see one state.
    pub(crate) async fn read_snapshot(&self) -> Result<Reader> {
        self.read().await?.begin().await
    }

    /// As [`Connections::read_snapshot`], for who takes his time: beyond the readers that others wait for.
    pub(crate) async fn long_snapshot(&self) -> Result<Reader> {
        self.readers.open(None).await?.begin().await
    }

    /// A connection outside of any transaction, for what cannot be done inside one.
    pub(crate) async fn connect(&self) -> Result<SqliteConnection> {
        Ok(SqliteConnection::connect_with(&self.options).await?)
    }

    /// Closes all connections; the last one of all programs folds the write-ahead log into the file. One after the
    /// other: of two that end at once, each takes the other for one that stays.
    pub(crate) async fn close(&self) -> Result<()> {
        self.readers.close().await?;
        if let Some(writer) = self.writer.lock().await.take() {
            writer.connection.close().await?;
        }
        Ok(())
    }
}

impl Drop for Connections {
    /// Closes what is open, at the end of a program that failed too: left open, the companions of the file would stay.
    fn drop(&mut self) {
        std::thread::scope(|scope| {
            // A thread of its own: this one may be a runtime's.
            let closing = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().build()?;
                // Whatever could not be folded in now is when the database is opened next.
                let _ = runtime.block_on(self.close());
                std::io::Result::Ok(())
            });
            let _ = closing.join();
        });
    }
}

/// Sends a ROLLBACK and does not wait for it: a connection's thread takes its statements one after the other.
fn start_rollback(connection: &mut SqliteConnection) {
    let _ = sqlx::query("-- start_rollback\nROLLBACK").execute(connection).now_or_never();
}

/// A transaction that writes. Dropped without [`Write::commit`] it is undone, and its connection, which was perhaps
/// interrupted, is closed by whoever writes or closes next.
pub(crate) struct Write<'a> {
    slot: MutexGuard<'a, Option<Writer>>,
    /// None while it is in its slot.
    connection: Option<SqliteConnection>,
}

impl Write<'_> {
    async fn begin(&mut self, options: &SqliteConnectOptions) -> Result<()> {
        if self.connection.is_none() {
            self.connection = Some(match self.slot.take() {
                Some(Writer { connection, given_up: false }) => connection,
                Some(Writer { connection, given_up: true }) => {
                    connection.close().await?;
                    SqliteConnection::connect_with(options).await?
                }
                None => SqliteConnection::connect_with(options).await?,
            });
        }
        sqlx::query("-- begin_immediate\nBEGIN IMMEDIATE").execute(&mut **self).await?;
        Ok(())
    }

    /// Makes it durable.
    pub(crate) async fn commit(mut self) -> Result<()> {
        sqlx::query("-- commit\nCOMMIT").execute(&mut *self).await.map_err(Failure::Commit)?;
        *self.slot = self.connection.take().map(|connection| Writer { connection, given_up: false });
        Ok(())
    }

    /// Ends a transaction that has nothing to write.
    pub(crate) async fn rollback(mut self) -> Result<()> {
        sqlx::query("-- rollback\nROLLBACK").execute(&mut *self).await?;
        *self.slot = self.connection.take().map(|connection| Writer { connection, given_up: false });
        Ok(())
    }
}

impl Deref for Write<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.connection.as_ref().expect("it was begun")
    }
}

impl DerefMut for Write<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.connection.as_mut().expect("it was begun")
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        start_rollback(&mut connection);
        *self.slot = Some(Writer { connection, given_up: true });
    }
}

/// The file whose name is this one's and more.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether the file alone is all of the database: no companion of it holds anything.
pub(crate) fn is_whole(path: &Path) -> bool {
    let empty = match std::fs::metadata(beside(path, "-wal")) {
        Ok(log) => log.len() == 0,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    empty && path.is_file()
}

/// Gives companions that were made while the file was of mode 0400 the mode that it has now. Those that are not ours
/// stay as they are, and are named when they are opened.
pub(crate) fn mend_companions(path: &Path) {
    let Ok(database) = std::fs::metadata(path) else { return };
    for companion in ["-wal", "-shm"].map(|suffix| beside(path, suffix)) {
        if companion.exists() && probe::writable(&companion).is_err() {
            let _ = std::fs::set_permissions(&companion, database.permissions());
        }
    }
}

/// Creates the file for its owner alone; SQLite gives its companions the same mode. One that is there stays as it is.
pub(crate) fn create_file(path: &Path) -> std::result::Result<(), Error> {
    let mut options = std::fs::OpenOptions::new();
    match options.write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(probe::of_io(path, &error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::task::Poll;

    use super::*;
    use crate::SqliteStore;
    use provex_core::ids::TenantId;
    use provex_store::testing::{at, by, document, id};
    use provex_store::{NewDocument, Store as _};

    const IMPATIENT: Patience = Patience { timeout: Duration::from_millis(20), tries: 2 };

    async fn store(folder: &tempfile::TempDir, patience: Patience) -> SqliteStore {
        let store = SqliteStore::open_with(&folder.path().join("provex.db"), patience).await.unwrap();
        store.add_tenant(&tenant(), id(1), at(0)).await.unwrap();
        store
    }

    fn tenant() -> TenantId {
        TenantId::default_tenant()
    }

    async fn record(store: &SqliteStore, document: NewDocument) -> std::result::Result<(), Error> {
        store.record_documents(&tenant(), &by(0), &[document]).await.map(|_| ())
    }

    async fn documents(store: &SqliteStore) -> u64 {
        store.counts(&tenant()).await.unwrap().documents
    }

    /// What SQLite answers to a pragma on the writer.
    async fn pragma(store: &SqliteStore, sql: &'static str) -> String {
        let mut tx = store.connections.write().await.unwrap();
        let value: sqlx::Result<Option<i64>> = sqlx::query_scalar(sql).fetch_optional(&mut *tx).await;
        let text = match value {
            Ok(value) => value.map(|v| v.to_string()).unwrap_or_default(),
            Err(_) => sqlx::query_scalar(sql).fetch_one(&mut *tx).await.unwrap(),
        };
        tx.rollback().await.unwrap();
        text
    }

    #[tokio::test]
    async fn connections_are_set_up_to_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder, Patience::default()).await;
        for (sql, value) in [
            ("PRAGMA journal_mode", "wal"),
            ("PRAGMA synchronous", "2"),
            ("PRAGMA foreign_keys", "1"),
            ("PRAGMA recursive_triggers", "1"),
            ("PRAGMA busy_timeout", "5000"),
        ] {
            assert_eq!(pragma(&store, sql).await, value, "{sql}");
        }
    }

    #[tokio::test]
    async fn a_writer_waits_for_another_program_and_gives_up_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let patient = store(&folder, Patience::default()).await;
        let impatient = store(&folder, IMPATIENT).await;
        let held = patient.connections.write().await.unwrap();
        let busy = record(&impatient, document(1, 1)).await;
        assert!(matches!(busy, Err(Error::Busy)), "{busy:?}");
        held.commit().await.unwrap();
        record(&impatient, document(1, 1)).await.unwrap();

        let held = impatient.connections.write().await.unwrap();
        let (recorded, released) = tokio::join!(record(&patient, document(2, 1)), held.commit());
        released.unwrap();
        recorded.unwrap();
        assert_eq!(documents(&patient).await, 2);
    }

    #[tokio::test]
    async fn readers_do_not_wait_for_a_writer() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder, IMPATIENT).await;
        let _held = store.connections.write().await.unwrap();
        assert_eq!(documents(&store).await, 0);
    }

    #[tokio::test]
    async fn a_full_disk_is_named_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder, Patience::default()).await;
        let pages: u32 = pragma(&store, "PRAGMA page_count").await.parse().unwrap();
        assert!(pages < 400);
        pragma(&store, "PRAGMA max_page_count = 400").await;
        let mut large = document(1, 20);
        large.body = vec![7; 4_000_000].into();
        let full = record(&store, large.clone()).await;
        assert!(matches!(&full, Err(Error::DiskFull(place)) if place.ends_with("provex.db")), "{full:?}");
        assert_eq!(documents(&store).await, 0);
        // With room again the same call succeeds: the limit went with the connection.
        record(&store, large).await.unwrap();
        assert_eq!(documents(&store).await, 1);
    }

    #[tokio::test]
    async fn a_database_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing/provex.db");
        for path in [missing.as_path(), folder.path()] {
            let refused = SqliteStore::open(path).await;
            let named = |text: &str| text.contains(&path.display().to_string());
            assert!(matches!(&refused, Err(Error::ReadOnly(text)) if named(text)), "{refused:?}");
        }
        let store = store(&folder, Patience::default()).await;
        pragma(&store, "PRAGMA query_only = ON").await;
        let refused = record(&store, document(1, 1)).await;
        assert!(matches!(&refused, Err(Error::ReadOnly(text)) if text.contains("provex.db")), "{refused:?}");
    }

    /// How many files SQLite has beside the database.
    fn companions_in(folder: &tempfile::TempDir) -> usize {
        ["provex.db-wal", "provex.db-shm"].iter().filter(|name| folder.path().join(name).exists()).count()
    }

    #[test]
    fn a_database_whose_last_holder_ends_with_its_runtime_is_one_file() {
        for round in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let store = store(&folder, Patience::default()).await;
                record(&store, document(1, 1)).await.unwrap();
                let connections = Arc::clone(&store.connections);
                let (begun, wait) = tokio::sync::oneshot::channel();
                // It reads until it is given up, wherever it is then.
                tokio::spawn(async move {
                    let mut begun = Some(begun);
                    loop {
                        let mut snapshot = connections.read_snapshot().await.unwrap();
                        sqlx::query("SELECT * FROM vex_documents").fetch_all(&mut *snapshot).await.unwrap();
                        begun.take().map(|begun| begun.send(()));
                    }
                });
                wait.await.unwrap();
                documents(&store).await;
            });
            drop(runtime);
            assert_eq!(companions_in(&folder), 0, "round {round}");
        }
    }

    #[tokio::test]
    async fn a_transaction_that_is_dropped_keeps_nobody_from_writing_and_no_log_from_ending() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) =
            (store(&folder, Patience::default()).await, store(&folder, Patience::default()).await);
        let mut given_up = ours.connections.write().await.unwrap();
        sqlx::query("INSERT INTO control_tenants (tenant_id, created_at) VALUES (0, 0)")
            .execute(&mut *given_up)
            .await
            .unwrap();
        drop(given_up);
        drop(ours.connections.read_snapshot().await.unwrap());
        record(&theirs, document(1, 1)).await.unwrap();
        // A checkpoint comes through only where no reader has an older state, and no writer the lock.
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        let mut connection = theirs.connections.connect().await.unwrap();
        assert_eq!(sqlx::query_scalar::<_, i64>(checkpoint).fetch_one(&mut connection).await.unwrap(), 0);
        connection.close().await.unwrap();
        record(&ours, document(2, 1)).await.unwrap();
        assert_eq!(documents(&ours).await, 2);
        drop((ours, theirs));
        assert_eq!(companions_in(&folder), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_database_that_was_closed_or_dropped_is_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let companions = || companions_in(&folder);
        let open = store(&folder, Patience::default()).await;
        record(&open, document(1, 1)).await.unwrap();
        assert_eq!(companions(), 2);
        open.close().await.unwrap();
        assert_eq!(companions(), 0);
        let dropped = store(&folder, Patience::default()).await;
        record(&dropped, document(2, 1)).await.unwrap();
        assert_eq!((documents(&dropped).await, companions()), (2, 2));
        drop(dropped);
        assert_eq!(companions(), 0);
    }

    #[tokio::test]
    async fn a_transaction_that_is_given_up_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder, Patience::default()).await;
        // Dropped after one step, two, and so on, until it comes through.
        for steps in 1.. {
            let mut recording = Box::pin(record(&store, document(1, 100)));
            let mut polls = 0;
            let outcome = std::future::poll_fn(|context| {
                polls += 1;
                match recording.as_mut().poll(context) {
                    Poll::Ready(recorded) => Poll::Ready(Some(recorded)),
                    Poll::Pending if polls == steps => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await;
            drop(recording);
            let counts = store.counts(&tenant()).await.unwrap();
            assert!(
                [(0, 0), (1, 100)].contains(&(counts.documents, counts.observations)),
                "{steps}: {counts:?}"
            );
            if let Some(recorded) = outcome {
                recorded.unwrap();
                assert_eq!(counts.documents, 1);
                return;
            }
        }
    }
}
