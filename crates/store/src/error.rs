//! What can go wrong in a store.

use provex_core::ids::{DocumentDigest, EnvelopeDigest, ObservationId, TenantId};

/// A store's refusal or failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tenant was never added.
    #[error("there is no tenant `{0}`; add it with `provex tenant add {0}`")]
    UnknownTenant(TenantId),
    /// An observation to be linked does not exist.
    #[error("there is no observation {}", .0.to_text())]
    UnknownObservation(ObservationId),
    /// An envelope to be linked was never recorded.
    #[error("there is no envelope {}", .0.to_text())]
    UnknownEnvelope(EnvelopeDigest),
    /// What was recorded before there was a ledger has no events yet: nothing else is recorded until then.
    #[error(
        "the ledger of tenant `{0}` is still being made of what was recorded before: try again when `provex migrate` \
         has finished; if none runs, run it"
    )]
    Backfilling(TenantId),
    /// A root of a chain that has another root at this size, or is not that long.
    #[error(
        "the ledger of tenant `{tenant}` has no such root over its first {tree_size} events: nothing is signed. \
         `provex ledger audit` names what was changed"
    )]
    OtherRoot {
        /// Whose ledger it is.
        tenant: TenantId,
        /// How many events the root is over.
        tree_size: u64,
    },
    /// A root that is not over more events than the newest one.
    #[error(
        "a root over {tree_size} events cannot follow the one over {newest} in the ledger of tenant `{tenant}`"
    )]
    RootNotNewer {
        /// Whose ledger it is.
        tenant: TenantId,
        /// How many events the root is over.
        tree_size: u64,
        /// How many the newest one is over.
        newest: u64,
    },
    /// An anchor that names another one before it than the newest.
    #[error(
        "the anchor of the root over {tree_size} events does not follow the newest one in the ledger of tenant `{tenant}`"
    )]
    AnchorNotNext {
        /// Whose ledger it is.
        tenant: TenantId,
        /// How many events its root is over.
        tree_size: u64,
    },
    /// The lease ended, or another worker holds it: its work stands, ours was not written.
    #[error("the lease on this submission is no longer held")]
    LostLease,
    /// A call with more than it may hold.
    #[error("{found} linkages in one call; at most {limit}")]
    TooMany {
        /// The most there may be.
        limit: usize,
        /// How many there were.
        found: usize,
    },
    /// A document gave another number of observations than it was said to have.
    #[error("document {} gave {found} observations instead of {expected}; nothing of it was recorded", .document.to_text())]
    Observations {
        /// The document.
        document: DocumentDigest,
        /// How many it was said to have.
        expected: u64,
        /// How many came.
        found: u64,
    },
    /// A stored row that cannot be read back.
    #[error("{table}.{column} of row {row} cannot be read: {reason}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        row: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The database was made by a newer release.
    #[error("the database has schema version {found}, this release knows up to {known}: use a newer provex")]
    NewerSchema {
        /// The newest migration applied.
        found: u32,
        /// The newest that this release has.
        known: u32,
    },
    /// The database lacks something, or has it differently.
    #[error("the database schema is not the expected one: {0}")]
    Schema(String),
    /// The database is in use by another program and stayed so.
    #[error("the database is locked by another program; try again when it has finished")]
    Busy,
    /// A table that is to be changed is held by others, and stayed so: who they are.
    #[error(
        "tables that have to be changed are held by others, and stayed so: {0}. Nothing was changed by the step that \
         waited. Wait until they have finished, or end them (SELECT pg_terminate_backend(PROCESS)), and run it again"
    )]
    Held(String),
    /// The disk is full.
    #[error("the disk of {0} is full: free some space and run the command again, which goes on where it was")]
    DiskFull(String),
    /// The database cannot be written.
    #[error(
        "the database cannot be written: {0}. See that the folder and its files are yours to write and that the \
         file system is not mounted read-only"
    )]
    ReadOnly(String),
    /// The operating system could not read or write the database.
    #[error(
        "the database could not be read or written: {0}. Its disk is failing: look at it, and run the command again, \
         which goes on where it was"
    )]
    Disk(String),
    /// The file system of the database gives no locks.
    #[error(
        "the database cannot be locked: {0}. Its file system gives no locks, as a network file system without a lock \
         service: keep the data folder on another one"
    )]
    NoLocks(String),
    /// No more files can be opened.
    #[error(
        "the database cannot be opened: {0}. As many files are open as this process, or the whole system, may have: \
         raise the limit (`ulimit -n`) or end other programs, and run the command again"
    )]
    TooManyFiles(String),
    /// The file is no sound database.
    #[error(
        "the database is damaged: {0}. Bring back a copy; docs/OPERATIONS.md, \"Backup and restore\", says how"
    )]
    Damaged(String),
    /// The connection was lost at COMMIT: it may have happened. Repeating the call is harmless.
    #[error("the connection was lost while committing")]
    OutcomeUnknown,
    /// The database server does not answer.
    #[error(
        "the database server at {at} cannot be reached: {reason}. See that it runs, and that host and port of the \
         database URL are its own"
    )]
    Unreachable {
        /// Host, port and database.
        at: String,
        /// What the network or the server said.
        reason: String,
    },
    /// There is no protected connection to the database server.
    #[error(
        "the connection to the database server at {at} cannot be protected by TLS: {reason}. See that sslmode and \
         sslrootcert (sslcert, sslkey) of the database URL are meant for this server, and that its certificate is by that \
         authority, has not expired and is for the host that the URL names"
    )]
    Tls {
        /// Host, port and database.
        at: String,
        /// What is wrong with certificate, file or server.
        reason: String,
    },
    /// The database server takes no changes.
    #[error(
        "the database server at {at} takes no changes: {reason}. See that the database URL names the primary and no \
         standby, and that default_transaction_read_only is off for this user and database"
    )]
    ReadOnlyServer {
        /// Host, port and database.
        at: String,
        /// What the server said.
        reason: String,
    },
    /// The database server does not let us in.
    #[error(
        "the database server at {at} refuses the login: {reason}. See user, password and database of the database URL"
    )]
    Login {
        /// Host, port and database.
        at: String,
        /// What the server said.
        reason: String,
    },
    /// The database server has no connection left.
    #[error(
        "the database server at {at} has no connection left: {reason}. Raise its max_connections, end programs that \
         hold some, or lower database_connections"
    )]
    TooManyConnections {
        /// Host, port and database.
        at: String,
        /// What the server said.
        reason: String,
    },
    /// A copy into the database was begun and not finished.
    #[error(
        "a copy into the database at {at} is not finished: run `provex migrate --from sqlite:… --to postgres://…` again, \
         it goes on"
    )]
    UnfinishedCopy {
        /// Host, port and database.
        at: String,
    },
    /// The database server is too old.
    #[error("the database server at {at} is PostgreSQL {found}: provex needs 15 or newer")]
    ServerVersion {
        /// Host, port and database.
        at: String,
        /// Its version.
        found: String,
    },
    /// The URL is none of a database server.
    #[error(
        "the database URL cannot be read; it looks like postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full, \
         with reserved characters percent-encoded. Its parameters are sslmode, sslrootcert, sslcert, sslkey, host, \
         hostaddr, port, user, password, dbname and options"
    )]
    BadUrl,
    /// The database user may not do it.
    #[error("the database user lacks a right: {0}")]
    Rights(String),
    /// The database has an older schema, which is only migrated when asked to.
    #[error("the database has schema version {found}, this release needs {needed}: run `provex migrate`")]
    NotMigrated {
        /// The newest migration applied; 0: none.
        found: u32,
        /// The newest that this release has.
        needed: u32,
    },
    /// A database that is copied into has rows of its own.
    #[error(
        "the database has other data already: {row} of {table} is not there, or not so, in what is to be copied. Give a \
         database of its own"
    )]
    OtherData {
        /// The table.
        table: &'static str,
        /// The row's key.
        row: String,
    },
    /// A statement took longer than it may.
    #[error(
        "{operation} took longer than a statement may: try again when the database server has less to do"
    )]
    Timeout {
        /// What was being done.
        operation: &'static str,
    },
    /// Anything else the database says.
    #[error("{operation}: {source}")]
    Database {
        /// What was being done.
        operation: &'static str,
        /// What the database said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Whether the same call can succeed later without anything being changed by hand.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Backfilling(_)
                | Self::Busy
                | Self::OutcomeUnknown
                | Self::LostLease
                | Self::Unreachable { .. }
                | Self::TooManyConnections { .. }
                | Self::Timeout { .. }
        )
    }
}
