//! Appending to the ledger, against bare inserts of the same rows.

use std::cell::Cell;
use std::time::Duration;

use provex_core::digest::Digest;
use provex_core::ids::{BundleDigest, EnvelopeDigest, TenantId};
use provex_core::ledger::{
    Appended, AttestationFacts, EventType, Head, NewEvent, VerificationStatus, attestation_id,
};
use provex_pipeline::environment::Environment as _;
use provex_store::{Recording, Store as _};
use provex_store_postgres::PostgresStore;
use provex_store_postgres::testing::{NewEvents, append, insert_bare};
use sqlx::{Connection as _, PgConnection};
use tokio::runtime::Handle;

use super::super::Bench;
use super::super::report::{Asked, Report};
use super::super::timing::{in_turns, now};
use super::{CHAIN, migrated};
use crate::data::operator;
use crate::environment::System;

pub(super) fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let runtime = Handle::current();
    let (ours, bare) = (runtime.block_on(migrated())?, runtime.block_on(migrated())?);
    let store = runtime.block_on(ours.store());
    let mut owner = runtime.block_on(bare.connect());
    let mut head = Head::new(TenantId::default_tenant(), CHAIN)?;
    let number = Cell::new(0);
    for (size, rounds, what, asked) in [
        (500, bench.amount(41, 11), "appending 500 events with a row each in a batch", Asked::AtLeast(0.7)),
        (1, bench.amount(501, 101), "appending one event with one row", Asked::AtLeast(1.0 / 3.0)),
    ] {
        let next = || {
            let first = number.replace(number.get() + size);
            events(first..first + size)
        };
        let [appended, inserted] = in_turns(
            rounds,
            true,
            [&mut || runtime.block_on(by_the_store(&store, next())), &mut || {
                runtime.block_on(insert(&mut owner, &mut head, next()))
            }],
        )?;
        let baseline = "a bare transaction that inserts as many rows, hashed before";
        report.compare(what, &appended, baseline, &inserted, asked);
    }
    Ok(())
}

fn events(numbers: std::ops::Range<u64>) -> NewEvents {
    let event = |number: u64| {
        let digest = Digest::of(&number.to_be_bytes());
        let envelope = EnvelopeDigest::new(digest);
        let facts = AttestationFacts {
            tenant_id: TenantId::default_tenant(),
            attestation_id: attestation_id(&envelope, "vex:obs:sha256:00"),
            artifact_id: format!("pkg:generic/p{number}@1.0"),
            finding_id: Some(format!("CVE-2026-{number}")),
            verification_status: VerificationStatus::Verified,
            verification_time: System.now(),
            dsse_digest: envelope,
            rekor_entry_id: Some(digest),
            evidence_bundle_ref: Some(BundleDigest::new(digest)),
        };
        // About as long as the body of an event with one row.
        let body = format!(r#"{{"n":{number},"x":"{}"}}"#, "x".repeat(1_500)).into_bytes();
        (EventType::AttestationVerified, body, vec![facts])
    };
    numbers.map(event).collect()
}

async fn by_the_store(store: &PostgresStore, events: NewEvents) -> anyhow::Result<Duration> {
    let recording = Recording { now: System.now(), actor: operator(), run: None, seed: [1; 32] };
    let tenant = TenantId::default_tenant();
    // Connected before time counts, as the baseline is.
    store.known_documents(&tenant, &[]).await?;
    let start = now();
    append(store, &tenant, &recording, events).await;
    Ok(start.elapsed())
}

/// The rows are made before time counts.
async fn insert(owner: &mut PgConnection, head: &mut Head, events: NewEvents) -> anyhow::Result<Duration> {
    let mut appended: Vec<Appended> = Vec::with_capacity(events.len());
    for (event_type, body, rows) in events {
        let recorded_at = head.next_time(System.now())?;
        let actor = operator();
        let new = NewEvent {
            event_type,
            policy_version: None,
            source_run_id: None,
            actor_id: actor.id,
            actor_type: actor.kind,
            occurred_at: recorded_at,
            body,
            rows,
        };
        appended.push(head.append(recorded_at, &[1; 32], new)?);
    }
    let start = now();
    let mut tx = owner.begin().await?;
    insert_bare(&mut tx, head, &appended).await;
    tx.commit().await?;
    Ok(start.elapsed())
}
