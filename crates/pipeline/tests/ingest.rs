//! Ingest of documents that are large, or make many observations.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use provex_core::digest::Digest;
use provex_core::ids::{DocumentDigest, TenantId};
use provex_core::keys::RustCrypto;
use provex_formats::{ParseLimits, Parsed, parse};
use provex_pipeline::environment::Environment;
use provex_pipeline::{Content, Input, Item, Pipeline, Trusted};
use provex_store::testing::{at, by, id};
use provex_store::{Lease, LeaseToken, ObservationFilter, RecordedDocument, Stage, Store, SubmissionSubject};
use provex_store_sqlite::SqliteStore;
use serde_json::json;

struct Nothing;

impl Environment for Nothing {
    fn now(&self) -> provex_core::time::Timestamp {
        at(0)
    }

    fn random(&self, bytes: &mut [u8]) {
        static DRAWN: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);
        bytes.fill(DRAWN.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    }
}

async fn pipeline(folder: &tempfile::TempDir) -> Pipeline {
    let store = SqliteStore::open(&folder.path().join("provex.db")).await.unwrap();
    let tenant = TenantId::default_tenant();
    store.add_tenant(&tenant, id(1), at(0)).await.unwrap();
    Pipeline { store: Arc::new(store), environment: Arc::new(Nothing), tenant, actor: by(0).actor, run: None }
}

async fn ingest(pipeline: &Pipeline, documents: Vec<Vec<u8>>) -> Vec<Item> {
    let input =
        |(n, bytes)| Input { name: format!("{n}.json"), content: Content::Bytes(bytes), found: false };
    let mut items = Vec::new();
    let inputs: Vec<_> = documents.into_iter().enumerate().map(input).collect();
    pipeline.ingest(inputs.into_iter(), ParseLimits::default(), |item| items.push(item)).await.unwrap();
    items
}

/// Statements that are about so many products each.
fn openvex(name: &str, products: &[usize], timestamp: &str) -> Vec<u8> {
    let statement = |(number, count): (usize, &usize)| {
        let product = |n| json!({"@id": format!("pkg:generic/{name}-{n}@1")});
        json!({
            "vulnerability": {"name": format!("CVE-2026-{:04}", 1_000 + number), "aliases": ["GHSA-1"]},
            "products": (0..*count).map(product).collect::<Vec<_>>(),
            "status": if number % 2 == 0 { "fixed" } else { "under_investigation" },
            "timestamp": if number + 1 == products.len() { timestamp } else { "2026-01-01T00:00:00Z" },
        })
    };
    let document = json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": format!("https://example.com/vex/{name}"),
        "author": "Example",
        "timestamp": "2026-01-01T00:00:00Z",
        "version": 1,
        "statements": products.iter().enumerate().map(statement).collect::<Vec<_>>(),
    });
    serde_json::to_vec(&document).unwrap()
}

/// That all is recorded, and as the document says it.
async fn check(pipeline: &Pipeline, parsed: &Parsed) {
    let (store, tenant) = (&pipeline.store, &pipeline.tenant);
    let filter = ObservationFilter { document: Some(parsed.document.digest), ..ObservationFilter::default() };
    let recorded = store.observations(tenant, &filter, None, usize::MAX).await.unwrap();
    let recorded: BTreeMap<_, _> = recorded.into_iter().map(|row| (row.id, row)).collect();
    assert_eq!(recorded.len(), parsed.observations.len());
    for expected in &parsed.observations {
        let row = &recorded[&expected.id];
        assert_eq!((&row.body, row.claim_digest), (&expected.body(), expected.claim_digest()));
    }
    let row = store.document(tenant, &parsed.document.digest).await.unwrap().unwrap();
    assert_eq!(row.observations, parsed.observations.len() as u64);
    for of_one in [parsed.observations.first(), parsed.observations.last()].into_iter().flatten() {
        let product = Some(of_one.observation.product.key.clone());
        let found = ObservationFilter { product, ..filter.clone() };
        let found = store.observations(tenant, &found, None, usize::MAX).await.unwrap();
        assert!(found.iter().any(|row| row.id == of_one.id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_many_observations_is_recorded_whole() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = pipeline(&folder).await;
    // Of one portion, of one and one more, and of several, the last of which states a time to come.
    let documents = vec![
        openvex("one", &[1_999, 1], "2026-01-01T00:00:00Z"),
        openvex("more", &[2_001], "2026-01-01T00:00:00Z"),
        openvex("several", &[10, 3_000, 1, 2_000, 1], "2099-01-01T00:00:00Z"),
        openvex("few", &[3], "2026-01-01T00:00:00Z"),
    ];
    let items = ingest(&pipeline, documents.clone()).await;
    assert_eq!(items.len(), 4);
    assert!(items.iter().all(|item| matches!(item.recorded, Some(RecordedDocument::New(_)))), "{items:?}");
    for (bytes, quarantined) in documents.iter().zip([false, false, true, false]) {
        let parsed = parse(bytes, &ParseLimits::default()).unwrap();
        check(&pipeline, &parsed).await;
        let standings = pipeline.store.standings(&pipeline.tenant, &parsed.document.digest).await.unwrap();
        let causes: Vec<_> = standings.iter().map(|row| row.cause.as_str()).collect();
        let late = "asserted at 2099-01-01T00:00:00.000000000Z, more than 24 hours after it arrived";
        assert_eq!(causes, if quarantined { vec![late] } else { Vec::new() });
    }
    let audit = pipeline.audit(Trusted { keys: &[], signatures: &RustCrypto }).await.unwrap();
    assert_eq!(audit.observations, 2_000 + 2_001 + 5_012 + 3);
    let again = ingest(&pipeline, documents).await;
    assert!(again.iter().all(|item| item.recorded == Some(RecordedDocument::Unchanged)), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_leave_no_room_for_others_are_recorded_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = pipeline(&folder).await;
    let large = |name: &str, megabytes: usize| {
        let mut bytes = openvex(name, &[1], "2026-01-01T00:00:00Z");
        bytes.resize(bytes.len() + (megabytes << 20), b' ');
        bytes
    };
    // Together more than is held at once, after one that fills less than a batch.
    let documents = vec![large("a", 15), large("b", 34), large("c", 15), large("d", 33), large("e", 1)];
    let items = ingest(&pipeline, documents).await;
    assert_eq!(items.len(), 5);
    assert!(items.iter().all(|item| matches!(item.recorded, Some(RecordedDocument::New(_)))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn documents_take_their_turns_in_the_order_of_the_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = pipeline(&folder).await;
    // More than are recorded at once, and every tenth takes long to read.
    let documents: Vec<_> = (0..600)
        .map(|n| openvex(&format!("n{n}"), &[if n % 10 == 0 { 300 } else { 1 }], "2026-01-01T00:00:00Z"))
        .collect();
    let digests: Vec<_> = documents.iter().map(|bytes| DocumentDigest::new(Digest::of(bytes))).collect();
    ingest(&pipeline, documents).await;
    let lease = Lease { token: LeaseToken(id(7)), now: at(1), until: at(2) };
    let leased =
        pipeline.store.acquire_submissions(&pipeline.tenant, Stage::Attest, lease, 600).await.unwrap();
    let turns = leased.into_iter().map(|submission| match submission.subject {
        SubmissionSubject::Document(digest) => digest,
        SubmissionSubject::Envelope(_) | SubmissionSubject::Answer { .. } => unreachable!(),
    });
    assert_eq!(turns.collect::<Vec<_>>(), digests);
}
