//! Databases for tests, each test its own, on the server that `PROVEX_TEST_DATABASE_URL` names.

// What does not hold in a test panics, with the place where it did not.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use provex_core::ids::TenantId;
use provex_core::ledger::{Appended, AttestationFacts, EventType, Head};
use provex_store::Recording;
use provex_store::ledger::Append;
use provex_store::testing::at;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::migrate::{self, Layout};
use crate::{Options, PostgresStore, ledger_attestations, ledger_events};

/// A database that is dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    server: String,
}

impl TestDatabase {
    /// A database without any tables.
    pub async fn empty() -> Self {
        Self::empty_on(&server()).await
    }

    /// A database without any tables, on the server at `url`.
    pub async fn empty_on(url: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("provex_test_{}_{number}", std::process::id());
        let database = Self { name, server: url.to_owned() };
        // What a killed test with the same number left.
        execute(&database.server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", database.name)).await;
        execute(
            &database.server,
            &format!("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", database.name),
        )
        .await;
        database
    }

    /// A database with the newest schema.
    pub async fn migrated(layout: Layout) -> Self {
        let database = Self::empty().await;
        migrate::migrate(&database.url(), Some(layout), at(0)).await.unwrap();
        database
    }

    /// As the owner of the database logs in.
    pub fn url(&self) -> String {
        with_database(&self.server, &self.name)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub async fn store(&self) -> PostgresStore {
        PostgresStore::connect(&self.url(), Options::default()).await.unwrap()
    }

    /// A connection as the owner.
    pub async fn connect(&self) -> PgConnection {
        connect(&self.url()).await
    }

    /// Runs statements as the owner.
    pub async fn execute(&self, sql: &str) {
        execute(&self.url(), sql).await;
    }

    /// Runs statements as the owner that may fail, with what the server says.
    pub async fn try_execute(&self, sql: &str) -> Result<(), String> {
        try_execute(&self.url(), sql).await
    }

    /// A number that the owner reads.
    pub async fn integer(&self, sql: &str) -> i64 {
        let mut connection = self.connect().await;
        let number =
            sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        number
    }
}

/// What an event records, and the rows that it writes.
pub type NewEvents = Vec<(EventType, Vec<u8>, Vec<AttestationFacts>)>;

/// Appends events as the store does with what they record, in a transaction that records nothing else.
pub async fn append(store: &PostgresStore, tenant: &TenantId, recording: &Recording, events: NewEvents) {
    let mut tx = store.database.begin(tenant).await.unwrap();
    let mut append = Append::new(ledger_events::lock(&mut tx, tenant).await.unwrap(), recording);
    for (kind, body, rows) in events {
        append.event(kind, recording.now, body, rows).unwrap();
    }
    ledger_events::write(&mut tx, append).await.unwrap();
    tx.commit(()).await.unwrap();
}

/// Inserts the rows of events and of their attestations, by the store's statements, and nothing else.
pub async fn insert_bare(connection: &mut PgConnection, head: &Head, appended: &[Appended]) {
    ledger_events::insert(connection, head, appended).await.unwrap();
    ledger_attestations::upsert(connection, &head.tenant_id, appended).await.unwrap();
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(try_execute(&server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")))
        });
        // A server that is gone has nothing to drop.
        let _ = dropping.join();
    }
}

/// A server of a test's own, which can be killed and started again; it is removed with this value.
#[derive(Debug)]
pub struct TestServer {
    folder: PathBuf,
}

impl TestServer {
    /// # Panics
    /// Where there is no PostgreSQL to start.
    pub fn start() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let memory = PathBuf::from("/dev/shm");
        let place = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let folder = place.join(format!("provex-server-{}-{number}", std::process::id()));
        let server = Self { folder };
        server.script("start");
        server
    }

    /// As an operator logs in.
    pub fn url(&self) -> String {
        self.file("url")
    }

    /// As the server's superuser logs in.
    pub fn superuser_url(&self) -> String {
        let port =
            self.file("superuser").split_once("port=").unwrap().1.split(' ').next().unwrap().to_owned();
        format!("postgres://postgres@localhost:{port}/postgres?host={}/run", self.folder.display())
    }

    /// The user that it runs as.
    pub fn uid(&self) -> u32 {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata(self.folder.join("run")).unwrap().uid()
    }

    /// Kills it as a power cut would.
    pub fn kill(&self) {
        self.script("kill");
    }

    pub fn restart(&self) {
        self.script("restart");
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap().trim().to_owned()
    }

    fn script(&self, action: &str) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/lib/postgres.sh");
        let done =
            std::process::Command::new("bash").args([script, action]).arg(&self.folder).status().unwrap();
        assert!(done.success(), "{action}");
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.script("stop");
    }
}

/// The server for tests.
///
/// # Panics
/// Where none is named: a test that needs one never passes unseen.
pub fn server() -> String {
    std::env::var("PROVEX_TEST_DATABASE_URL").unwrap_or_else(|_| {
        panic!(
            "this test needs PostgreSQL, and PROVEX_TEST_DATABASE_URL names no server: run `scripts/test`, or \
             `scripts/with-postgres cargo test -p {}`",
            std::env::var("CARGO_PKG_NAME").unwrap_or_else(|_| "provex-store-postgres".to_owned())
        )
    })
}

/// The URL of another database on the same server.
pub fn with_database(url: &str, name: &str) -> String {
    let (address, query) = url.split_once('?').map_or((url, String::new()), |(a, q)| (a, format!("?{q}")));
    let (address, _) = address.rsplit_once('/').unwrap();
    format!("{address}/{name}{query}")
}

/// The URL for another user.
pub fn with_user(url: &str, user: &str, password: &str) -> String {
    let (_, rest) = url.split_once('@').unwrap();
    format!("postgres://{user}:{password}@{rest}")
}

pub async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn execute(url: &str, sql: &str) {
    try_execute(url, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn try_execute(url: &str, sql: &str) -> Result<(), String> {
    let mut connection = PgConnection::connect(url).await.map_err(|error| error.to_string())?;
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await;
    connection.close().await.map_err(|error| error.to_string())?;
    done.map(|_| ()).map_err(|error| error.to_string())
}
