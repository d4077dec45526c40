//! Which database a command works on: the data folder's own, or a PostgreSQL that was named.
//!
//! The URL of a PostgreSQL may hold a password. It is never shown, nor is any text that could repeat a part of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use provex_store::Store;
use provex_store_postgres::{Options, PostgresStore, has_password};
use provex_store_sqlite::SqliteStore;

use crate::args::Global;
use crate::config::Config;
use crate::data::read_secret;
use crate::failure::Failure;
use crate::hint;
use crate::progress;

/// The variable that names a database.
const VARIABLE: &str = "PROVEX_DATABASE_URL";

/// The URL of a PostgreSQL.
#[derive(Clone)]
pub(crate) struct DatabaseUrl(String);

impl DatabaseUrl {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for DatabaseUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseUrl")
    }
}

/// Where documents, observations and all else is kept.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    /// `provex.db` in the data folder.
    File(PathBuf),
    /// A PostgreSQL.
    Server(DatabaseUrl),
}

impl Database {
    /// What the call names, else the environment, else `provex.toml`; else the folder's own.
    pub(crate) fn choose(global: &Global, config: &Config) -> Result<Self, Failure> {
        let named = global.database_url.clone().or_else(from_environment);
        let url = named.map_or_else(|| from_config(&global.data, config), |url| Ok(Some(url)))?;
        Ok(url.map_or_else(|| Self::File(global.data.join("provex.db")), Self::Server))
    }

    /// Opens it. A file that is not there is made; a server's database is never migrated here.
    pub(crate) async fn open(&self, config: &Config) -> Result<Arc<dyn Store>, Failure> {
        let _progress = progress::busy("opening the database");
        let wait = config.database_wait_seconds.map(|seconds| Duration::from_secs(seconds.into()));
        Ok(match self {
            Self::File(path) => Arc::new(match wait {
                Some(wait) => SqliteStore::open_waiting(path, wait).await?,
                None => SqliteStore::open(path).await?,
            }),
            Self::Server(url) => Arc::new(PostgresStore::connect(url.as_str(), options(config)).await?),
        })
    }

    /// Whether processes on other machines, or with other folders, may be at work on it.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Self::Server(_))
    }
}

fn options(config: &Config) -> Options {
    let mut options = Options::default();
    if let Some(connections) = config.database_connections {
        options.max_connections = connections.get();
    }
    if let Some(seconds) = config.database_wait_seconds {
        let wait = Duration::from_secs(seconds.into());
        (options.lock_timeout, options.patience) = (wait, wait);
    }
    options
}

/// The words that a command has to be given to work on the same database: a password is not repeated.
pub(crate) fn flag(global: &Global) -> String {
    match &global.database_url {
        None => String::new(),
        Some(url) if has_password(url.as_str()) => " --database-url URL".to_owned(),
        Some(url) => format!(" --database-url {}", hint::quoted(url.as_str())),
    }
}

/// Not by clap, which would show the value in its errors; an empty variable counts as none.
fn from_environment() -> Option<DatabaseUrl> {
    std::env::var(VARIABLE).ok().filter(|url| !url.is_empty()).map(DatabaseUrl)
}

fn from_config(folder: &Path, config: &Config) -> Result<Option<DatabaseUrl>, Failure> {
    let place = folder.join("provex.toml");
    match (&config.database_url, &config.database_url_file) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(Failure::call(format!(
            "{}: database_url and database_url_file exclude each other",
            place.display()
        ))),
        // Others may read provex.toml.
        (Some(url), None) if has_password(url) => Err(Failure::call(format!(
            "{}: database_url holds a password: write the URL into a file that only you can read and name it by \
             database_url_file, or keep the password in PGPASSFILE",
            place.display()
        ))),
        (Some(url), None) => Ok(Some(DatabaseUrl(url.clone()))),
        (None, Some(file)) => {
            let file = folder.join(file);
            let text = String::from_utf8(read_secret(&file)?);
            let text = text.map_err(|_| anyhow!("{} is not text", file.display()))?;
            Ok(Some(DatabaseUrl(text.trim().to_owned())))
        }
    }
}
