//! What the tests of this crate share.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test file uses its part

use provex_core::ids::TenantId;
use provex_store::testing::{SignedFixture, at, by, document, id, lease};
use provex_store::{FindingRow, NewDocument, ObservationFilter, ObservationRow, Stage, Store as _};
use provex_store_postgres::PostgresStore;
use provex_store_postgres::migrate::Layout;
use provex_store_postgres::testing::TestDatabase;

pub const LAYOUTS: [Layout; 2] = [Layout::Hash16, Layout::Flat];
pub const BASE: &str = include_str!("../../migrations/0001_base.sql");
pub const LINKAGE: &str = include_str!("../../migrations/0002_vex_rekor_linkage.sql");
pub const LEDGER_EVENTS: &str = include_str!("../../migrations/0003_ledger_events.sql");
pub const LEDGER_ATTESTATIONS: &str = include_str!("../../migrations/0004_ledger_attestations.sql");
pub const LEDGER_ANCHORS: &str = include_str!("../../migrations/0005_ledger_anchors.sql");
pub const ALL: [(u32, &str); 5] = [
    (1, "base"),
    (2, "vex_rekor_linkage"),
    (3, "ledger_events"),
    (4, "ledger_attestations"),
    (5, "ledger_anchors"),
];

pub fn tenant() -> TenantId {
    TenantId::default_tenant()
}

/// Rows of a tenant in every table that the Store writes, two of its five observations linked.
pub async fn fill(store: &PostgresStore, tenant: &TenantId) -> [NewDocument; 2] {
    store.add_tenant(tenant, id(1), at(0)).await.unwrap();
    let mut documents = [document(1, 2), document(2, 3)];
    documents[0].quarantine = Some("x".to_owned());
    documents[0].findings =
        vec![FindingRow { code: "x".to_owned(), pointer: String::new(), line: None, message: String::new() }];
    store.record_documents(tenant, &by(0), &documents).await.unwrap();
    let mut fixture = SignedFixture::new(1);
    let signed = fixture.sign(tenant, &[&documents[0]]);
    let held = lease(1, 0);
    store.acquire_submissions(tenant, Stage::Attest, held, 1).await.unwrap();
    let envelopes = [signed.to_new_envelope(id(100))];
    store.record_envelopes(tenant, at(1), held.token, &[id(1)], &envelopes).await.unwrap();
    let logged = fixture.log(&signed);
    store.link(tenant, &by(2), held.token, &[logged.to_new_link(None)]).await.unwrap();
    store.record_log_checkpoint(&fixture.log_id(), &logged.checkpoint).await.unwrap();
    documents
}

pub async fn observations(store: &PostgresStore, tenant: &TenantId) -> Vec<ObservationRow> {
    store.observations(tenant, &ObservationFilter::default(), None, usize::MAX).await.unwrap()
}

/// A database as the release before 0002 left it, with one observation, its envelope, its log entry and a statement.
pub async fn of_base_schema(layout: Layout) -> TestDatabase {
    let database = TestDatabase::migrated(layout).await;
    // The role is there now; the rest is made anew by the first migration alone.
    database.execute("DROP SCHEMA vex, vexhub, attestor, findings, control CASCADE").await;
    let checksum = provex_core::digest::Digest::of(BASE.as_bytes()).to_hex();
    database
        .execute(&format!(
            "SET provex.layout = '{}'; {BASE};
            INSERT INTO control.migrations (version, name, checksum) VALUES (1, 'base', '{checksum}');
            INSERT INTO control.tenants (tenant_id, created_at) VALUES ('default', '2026-01-01T00:00:00Z');
            INSERT INTO findings.ledger_chains
                (tenant_id, chain_id, sequence_no, event_hash, cycle_hash, frontier, last_at)
            VALUES ('default', '00000000-0000-7000-8000-000000000001', 0, repeat('0', 64), repeat('0', 64), '',
                '2026-01-01T00:00:00Z');
            INSERT INTO vex.documents
                (tenant_id, document_digest, format, source, authentication, observation_count, created_at)
            VALUES ('default', repeat('1', 64), 'csaf', 'x', 'none', 1, '2026-01-01T00:00:00Z');
            INSERT INTO vex.observations
                (tenant_id, observation_id, document_digest, claim_digest, body, status, vulnerability_id,
                 product_key, created_at)
            VALUES ('default', repeat('2', 64), repeat('1', 64), repeat('3', 64), '{{}}', 'fixed', 'CVE-1', 'p',
                '2026-01-01T00:00:00Z');
            INSERT INTO vexhub.statements
                (tenant_id, statement_id, subject_digest, revision, verdict_id, trace_digest, body, created_at)
            VALUES ('default', '00000000-0000-7000-8000-000000000002', repeat('4', 64), 1, repeat('5', 64),
                repeat('6', 64), '{{}}', '2026-01-01T00:00:00Z');
            INSERT INTO attestor.envelopes
                (tenant_id, dsse_digest, envelope, predicate_type, key_fingerprint, set_root, set_size, created_at)
            VALUES ('default', repeat('7', 64), '{{}}', 'x', repeat('8', 64), repeat('9', 64), 1,
                '2026-01-01T00:00:00Z');
            INSERT INTO attestor.bundles (tenant_id, bundle_digest, bundle) VALUES ('default', repeat('a', 64), 'x');
            INSERT INTO attestor.log_entries
                (tenant_id, rekor_log_id, rekor_log_index, rekor_uuid, dsse_digest, entry, time_source, bundle_digest,
                 created_at)
            VALUES ('default', repeat('b', 64), 7, repeat('c', 64), repeat('7', 64), 'x', 'none', repeat('a', 64),
                '2026-01-01T00:00:00Z')",
            layout.label()
        ))
        .await;
    database
}
