//! The conformance suite on PostgreSQL, in both layouts.

use provex_store::testing::Backend;
use provex_store_postgres::PostgresStore;
use provex_store_postgres::migrate::Layout;
use provex_store_postgres::testing::TestDatabase;

struct Fresh(TestDatabase);

impl Backend for Fresh {
    type Store = PostgresStore;

    async fn open(&self) -> PostgresStore {
        self.0.store().await
    }
}

mod hash16 {
    async fn fresh() -> super::Fresh {
        super::Fresh(super::TestDatabase::migrated(super::Layout::Hash16).await)
    }

    provex_store::store_conformance!(fresh);
}

mod flat {
    async fn fresh() -> super::Fresh {
        super::Fresh(super::TestDatabase::migrated(super::Layout::Flat).await)
    }

    provex_store::store_conformance!(fresh);
}
