//! Runs the real binary on a data folder of its own.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test file uses its part

pub mod server;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

/// A data folder in a temporary place, with a database of its own or on a PostgreSQL.
pub struct Folder {
    pub root: tempfile::TempDir,
    url: Option<String>,
}

impl Folder {
    pub fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), url: None }
    }

    /// One that works on the database at `url`.
    pub fn on(url: &str) -> Self {
        Self { url: Some(url.to_owned()), ..Self::new() }
    }

    pub fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Runs `provex --data <folder> ARGS`.
    pub fn provex(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// `provex --data <folder> ARGS`, yet to be run.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = provex();
        command.arg("--data").arg(self.data()).args(args);
        if let Some(url) = &self.url {
            command.env("PROVEX_DATABASE_URL", url);
        }
        command
    }

    /// Runs it and reads what it printed; it has to end with this exit code.
    pub fn text(&self, code: i32, args: &[&str]) -> String {
        let output = self.provex(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", all(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs it and reads the one JSON object it printed.
    pub fn json(&self, code: i32, args: &[&str]) -> Value {
        serde_json::from_str(&self.text(code, args)).unwrap()
    }

    /// Runs it and reads the JSON objects it printed, one a line.
    pub fn lines(&self, args: &[&str]) -> Vec<Value> {
        self.text(0, args).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The ids of all observations.
    pub fn observation_ids(&self) -> Vec<String> {
        let rows = self.lines(&["observations", "--ndjson"]);
        rows.iter().map(|row| row["observationId"].as_str().unwrap().to_owned()).collect()
    }

    /// Exports the proof of the first linked observation.
    pub fn proof(&self) -> (String, Vec<u8>) {
        let id = self.observation_ids().remove(0);
        let output = self.provex(&["export", "--proof", &id]);
        assert!(output.status.success(), "{}", all(&output));
        (id, output.stdout)
    }
}

pub fn provex() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_provex"));
    let settings = std::env::vars_os().map(|(name, _)| name);
    for name in settings.filter(|name| name.to_str().is_some_and(|name| name.starts_with("PROVEX_"))) {
        command.env_remove(name);
    }
    command
}

/// What a command said on both streams.
pub fn all(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Changes a table as the database's owner can, who puts the trigger back that guards it.
pub fn tamper(folder: &Folder, table: &str, sql: &'static str) {
    let options = SqliteConnectOptions::new()
        .filename(folder.data().join("provex.db"))
        .foreign_keys(false)
        .disable_statement_logging();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut owner = options.connect().await.unwrap();
        let guard = sqlx::query_scalar("SELECT sql FROM sqlite_schema WHERE name = ? || '_no_update'");
        let guard: String = guard.bind(table).fetch_one(&mut owner).await.unwrap();
        let unguard = AssertSqlSafe(format!("DROP TRIGGER {table}_no_update"));
        sqlx::raw_sql(unguard).execute(&mut owner).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut owner).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(guard)).execute(&mut owner).await.unwrap();
        owner.close().await.unwrap();
    });
}

pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

pub fn examples() -> String {
    repository("examples/documents").display().to_string()
}

/// Copies a folder with the rights on it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::set_permissions(to, std::fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(path, target).unwrap();
        }
    }
}
