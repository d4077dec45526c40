//! The conformance suite on SQLite.

use provex_store::testing::Backend;
use provex_store_sqlite::SqliteStore;

struct Folder(tempfile::TempDir);

impl Backend for Folder {
    type Store = SqliteStore;

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.0.path().join("provex.db")).await.expect("the folder can be written")
    }
}

async fn fresh() -> Folder {
    Folder(tempfile::tempdir().expect("there is a folder for temporary files"))
}

provex_store::store_conformance!(fresh);
