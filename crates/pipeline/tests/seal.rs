//! Roots: when one is signed, what it has to extend, and how it gets its anchor.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![cfg_attr(test, allow(dead_code))]

mod common;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::TestEnvironment;
use provex_core::dsse::Envelope;
use provex_core::ids::TenantId;
use provex_core::intoto::SaltKey;
use provex_core::keys::{PublicKey, RustCrypto, Signer as _};
use provex_core::ledger::{AnchorPredicate, checkpoint_origin, verify_root};
use provex_pipeline::environment::Environment as _;
use provex_pipeline::{Due, Error, Pipeline, Sealing};
use provex_store::testing::{SignedFixture, by, document, id};
use provex_store::{LeaseToken, Recording, RootRow, Store};
use provex_store_sqlite::SqliteStore;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

const QUARTER_HOUR: i64 = 15 * 60;

struct Ledger {
    _folder: tempfile::TempDir,
    path: PathBuf,
    environment: Arc<TestEnvironment>,
    pipeline: Pipeline,
    fixture: SignedFixture,
    keys: Vec<PublicKey>,
}

impl Ledger {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("provex.db");
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path).await.unwrap());
        let (environment, tenant) = (TestEnvironment::new(), TenantId::default_tenant());
        store.add_tenant(&tenant, id(1), environment.now()).await.unwrap();
        let pipeline =
            Pipeline { store, environment: environment.clone(), tenant, actor: by(0).actor, run: None };
        let fixture = SignedFixture::new(1);
        let keys = vec![fixture.signer().public_key().clone()];
        Self { _folder: folder, path, environment, pipeline, fixture, keys }
    }

    fn recording(&self) -> Recording {
        Recording { now: self.environment.now(), ..by(0) }
    }

    /// Records documents, each of which is an event.
    async fn record(&self, documents: Range<u64>) {
        let documents: Vec<_> = documents.map(|number| document(number, 0)).collect();
        let Pipeline { store, tenant, .. } = &self.pipeline;
        store.record_documents(tenant, &self.recording(), &documents).await.unwrap();
    }

    async fn seal(&self, due: Due, anchors: bool) -> Result<(), Error> {
        let (salt_key, signatures) = (&SaltKey::new([7; 32]), &RustCrypto);
        let signer = self.fixture.signer();
        self.pipeline.seal(Sealing { signer, salt_key, keys: &self.keys, signatures, anchors }, due).await
    }

    /// The sizes of all roots, each of which is verified.
    async fn sizes(&self) -> Vec<u64> {
        let roots = self.roots().await;
        for root in &roots {
            let origin = checkpoint_origin(root.chain_id);
            let signed = verify_root(&root.checkpoint, &origin, &self.keys, &RustCrypto).unwrap();
            assert_eq!(
                (signed.checkpoint().size, signed.checkpoint().root),
                (root.tree_size, root.root_hash)
            );
        }
        roots.iter().map(|root| root.tree_size).collect()
    }

    async fn roots(&self) -> Vec<RootRow> {
        self.pipeline.store.ledger_roots(&self.pipeline.tenant, 0, 100).await.unwrap()
    }

    /// The statement of the newest anchor, and its envelope.
    async fn anchor(&self) -> (AnchorPredicate, Envelope) {
        let Pipeline { store, tenant, .. } = &self.pipeline;
        let anchor = store.newest_ledger_anchor(tenant).await.unwrap().unwrap();
        let kept = store.envelope(tenant, &anchor.envelope).await.unwrap().unwrap();
        let envelope = Envelope::parse(&kept.bytes).unwrap();
        (AnchorPredicate::from_payload(envelope.payload()).unwrap(), envelope)
    }

    async fn link_anchor(&mut self) {
        let (_, envelope) = self.anchor().await;
        let logged = self.fixture.log_anchor(&envelope);
        let Pipeline { store, tenant, .. } = &self.pipeline;
        let links = [logged.to_new_link(None)];
        store.link(tenant, &self.recording(), LeaseToken(id(9)), &links).await.unwrap();
    }
}

/// Changes something as the database's owner can, triggers or not.
async fn tamper(path: &Path, sql: &'static str) {
    let options = SqliteConnectOptions::new().filename(path).foreign_keys(false).disable_statement_logging();
    let mut owner = options.connect().await.unwrap();
    sqlx::raw_sql(
        "DROP TRIGGER findings_ledger_events_no_update; DROP TRIGGER findings_ledger_merkle_roots_no_update",
    )
    .execute(&mut owner)
    .await
    .unwrap();
    sqlx::raw_sql(sql).execute(&mut owner).await.unwrap();
    owner.close().await.unwrap();
}

#[tokio::test]
async fn a_root_is_due_after_a_thousand_events_or_a_quarter_of_an_hour() {
    let ledger = Ledger::new().await;
    ledger.seal(Due::Now, false).await.unwrap();
    assert_eq!(ledger.sizes().await, [0; 0]);
    ledger.record(0..3).await;
    ledger.environment.advance(QUARTER_HOUR - 1);
    ledger.seal(Due::OnTime, false).await.unwrap();
    assert_eq!(ledger.sizes().await, [0; 0]);
    ledger.environment.advance(1);
    ledger.seal(Due::OnTime, false).await.unwrap();
    assert_eq!(ledger.sizes().await, [3]);
    // Nothing came since.
    ledger.environment.advance(QUARTER_HOUR);
    ledger.seal(Due::Now, false).await.unwrap();
    ledger.record(3..1_002).await;
    ledger.seal(Due::OnTime, false).await.unwrap();
    assert_eq!(ledger.sizes().await, [3]);
    ledger.record(1_002..1_003).await;
    ledger.seal(Due::OnTime, false).await.unwrap();
    assert_eq!(ledger.sizes().await, [3, 1_003]);
    ledger.record(1_003..1_004).await;
    ledger.seal(Due::Now, false).await.unwrap();
    assert_eq!(ledger.sizes().await, [3, 1_003, 1_004]);
}

#[tokio::test]
async fn anchors_own_events_make_no_root_due() {
    let mut ledger = Ledger::new().await;
    ledger.record(0..3).await;
    ledger.seal(Due::Now, true).await.unwrap();
    for _ in 0..2 {
        // The second time it is the same anchor again, in another entry: its own as well.
        ledger.link_anchor().await;
        ledger.environment.advance(2 * QUARTER_HOUR);
        for due in [Due::OnTime, Due::Now] {
            ledger.seal(due, true).await.unwrap();
            assert_eq!(ledger.sizes().await, [3]);
        }
    }
    ledger.record(3..4).await;
    ledger.environment.advance(QUARTER_HOUR);
    ledger.seal(Due::OnTime, true).await.unwrap();
    assert_eq!(ledger.sizes().await, [3, 6]);
}

#[tokio::test]
async fn an_anchor_names_the_one_before_and_the_times_that_it_covers() {
    let mut ledger = Ledger::new().await;
    ledger.record(0..3).await;
    ledger.seal(Due::Now, true).await.unwrap();
    let (first, envelope) = ledger.anchor().await;
    ledger.link_anchor().await;
    ledger.record(3..5).await;
    ledger.seal(Due::Now, true).await.unwrap();
    let (second, _) = ledger.anchor().await;
    let Pipeline { store, tenant, .. } = &ledger.pipeline;
    let events = store.ledger_events(tenant, 0, 10).await.unwrap();
    let time = |number: usize| events[number - 1].event.recorded_at;
    assert_eq!((first.previous, first.first_recorded_at, first.last_recorded_at), (None, time(1), time(3)));
    let previous = second.previous.unwrap();
    assert_eq!((previous.envelope, previous.tree_size), (envelope.digest(), 3));
    assert_eq!((second.first_recorded_at, second.last_recorded_at), (time(4), time(6)));
    let roots = ledger.roots().await;
    assert_eq!(
        [&first, &second].map(|anchor| anchor.checkpoint.as_bytes()),
        [roots[0].checkpoint.as_slice(), roots[1].checkpoint.as_slice()]
    );
}

#[tokio::test]
async fn a_root_gets_its_anchor_when_there_is_a_log() {
    let ledger = Ledger::new().await;
    ledger.record(0..3).await;
    ledger.seal(Due::Now, false).await.unwrap();
    let Pipeline { store, tenant, .. } = &ledger.pipeline;
    assert_eq!(store.newest_ledger_anchor(tenant).await.unwrap(), None);
    for _ in 0..2 {
        ledger.seal(Due::OnTime, true).await.unwrap();
        assert_eq!(store.newest_ledger_anchor(tenant).await.unwrap().unwrap().tree_size, 3);
    }
    assert_eq!((ledger.sizes().await, store.backlog(tenant).await.unwrap().submit), (vec![3], 1));
}

#[tokio::test]
async fn a_ledger_that_does_not_extend_its_root_gets_no_other() {
    for sql in [
        "UPDATE findings_ledger_events SET merkle_leaf_hash = printf('%064d', 7) WHERE sequence_no = 2",
        "UPDATE findings_ledger_merkle_roots SET root_hash = printf('%064d', 7)",
        "UPDATE findings_ledger_merkle_roots SET checkpoint = CAST(checkpoint || x'0a' AS BLOB)",
        "UPDATE findings_ledger_merkle_roots SET tree_size = 6",
    ] {
        let ledger = Ledger::new().await;
        ledger.record(0..3).await;
        ledger.seal(Due::Now, true).await.unwrap();
        ledger.record(3..5).await;
        tamper(&ledger.path, sql).await;
        let refused = ledger.seal(Due::Now, true).await.unwrap_err();
        let text = refused.to_string();
        assert!(matches!(refused, Error::Forked { .. }), "{sql}: {text}");
        assert!(text.contains("provex ledger audit") && text.contains("OPERATIONS"), "{text}");
        assert_eq!(ledger.roots().await.len(), 1, "{sql}");
    }
}

#[tokio::test]
async fn roots_of_another_key_are_extended_and_not_anchored_as_ours() {
    let mut ledger = Ledger::new().await;
    ledger.record(0..3).await;
    ledger.seal(Due::Now, false).await.unwrap();
    // Another data folder on the same database.
    ledger.fixture = SignedFixture::new(2);
    ledger.keys = vec![ledger.fixture.signer().public_key().clone()];
    ledger.seal(Due::Now, true).await.unwrap();
    let Pipeline { store, tenant, .. } = &ledger.pipeline;
    assert_eq!(store.newest_ledger_anchor(tenant).await.unwrap(), None);
    ledger.record(3..5).await;
    ledger.seal(Due::Now, true).await.unwrap();
    let sizes: Vec<_> = ledger.roots().await.iter().map(|root| root.tree_size).collect();
    assert_eq!(sizes, [3, 5]);
    assert_eq!(ledger.anchor().await.0.previous, None);
}
