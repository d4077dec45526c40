//! What the server tells of itself in `/metrics`, by the names that never change.
#![allow(clippy::unwrap_used, reason = "the allowance for tests does not reach helpers")]

mod common;

use std::time::Duration;

use common::{On, World, openvex, recording, tenant};
use provex_pipeline::environment::Environment as _;
use provex_pipeline::telemetry::Measured;
use provex_store::testing::{SignedFixture, at, id};
use provex_store::{Lease, LeaseToken, NewAnchor, Scope, Stage};

on_each_store! {
    how_long_ago_a_log_got_the_ledgers_root_is_measured
    what_waits_and_how_old_it_is_is_measured
    work_for_logs_is_counted_by_log_and_outcome
}

async fn how_long_ago_a_log_got_the_ledgers_root_is_measured(on: On) {
    let world = World::new(on).await;
    let (store, mut fixture) = (&world.store, SignedFixture::new(1));
    world.linked(&mut fixture, 1, 2).await;
    // Above the times that were given already.
    world.clock.advance(1);
    let root = fixture.sign_root(&store.ledger_head(&tenant()).await.unwrap());
    let anchor = fixture.sign_anchor(&tenant(), &root, None);
    let queued = NewAnchor { envelope: &anchor.to_new_envelope(id(100)), previous: None };
    store.record_ledger_root(&tenant(), world.clock.now(), &root, Some(queued)).await.unwrap();
    let measure = "provex_ledger_anchor_age_seconds{tenant=";
    // No log has it yet.
    assert!(!world.metrics().await.contains(measure));
    let lease = Lease { now: world.clock.now(), token: LeaseToken(id(101)), until: at(1_000_000) };
    let due = store.acquire_submissions(&tenant(), Stage::Submit, lease, 10).await.unwrap();
    assert!(due.iter().any(|submission| submission.id == id(100)));
    let logged = fixture.log_anchor(&anchor.envelope);
    let (links, by) = ([logged.to_new_link(Some(id(100)))], recording(world.clock.now()));
    store.link(&tenant(), &by, lease.token, &links).await.unwrap();
    world.clock.advance(40);
    let text = world.metrics().await;
    let found: Vec<_> = text.lines().filter(|line| line.starts_with(measure)).collect();
    assert_eq!(found, [format!("{measure}\"default\"}} 40.0")]);
}

async fn what_waits_and_how_old_it_is_is_measured(on: On) {
    let world = World::new(on).await;
    let mut fixture = SignedFixture::new(1);
    world.linked(&mut fixture, 1, 2).await;
    let text = world.metrics().await;
    let is = |text: &str, line: &str| assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    is(&text, "provex_oldest_pending_age_seconds{tenant=\"default\"} 0.0");
    is(&text, "provex_ledger_events{tenant=\"default\"} 2");
    is(&text, "provex_ledger_events{tenant=\"other\"} 0");
    // Above the times that were given already.
    world.clock.advance(1);
    let writer = world.token(&[Scope::VexWrite]).await;
    world.post(&writer, openvex(1, 3)).await;
    world.post(&writer, "{").await;
    let checkpoint =
        fixture.log(&fixture.sign(&tenant(), &[&provex_store::testing::document(2, 1)])).checkpoint;
    let checkpoint = provex_store::LogCheckpoint { seen_at: world.clock.now(), ..checkpoint };
    world.store.record_log_checkpoint(&fixture.log_id(), &checkpoint).await.unwrap();
    world.clock.advance(90);
    let text = world.metrics().await;
    let backlog = world.store.backlog(&tenant()).await.unwrap();
    assert!(backlog.attest > 0);
    for (stage, count) in
        [("attest", backlog.attest), ("submit", backlog.submit), ("link", backlog.link), ("dead", 0)]
    {
        is(&text, &format!("provex_queue_submissions{{tenant=\"default\",stage=\"{stage}\"}} {count}"));
    }
    is(&text, "provex_oldest_pending_age_seconds{tenant=\"default\"} 90.0");
    is(&text, "provex_ledger_events{tenant=\"default\"} 3");
    is(&text, "provex_documents_total{format=\"openvex\",outcome=\"recorded\"} 1");
    is(&text, "provex_documents_total{format=\"unknown\",outcome=\"rejected\"} 1");
    is(&text, "provex_observations_total{format=\"openvex\"} 3");
    let log = fixture.log_id().to_text();
    is(&text, &format!("provex_log_checkpoint_age_seconds{{log=\"{log}\"}} 90.0"));
    is(&text, &format!("provex_log_checkpoint_size{{log=\"{log}\"}} {}", checkpoint.size));
}

async fn work_for_logs_is_counted_by_log_and_outcome(on: On) {
    let world = World::new(on).await;
    let (log, environment) = (SignedFixture::new(1).log_id(), world.app.measuring());
    let took = Duration::from_millis(3);
    for outcome in ["answered", "answered", "unavailable"] {
        environment.measured(Measured::Submitted { log, outcome, took });
    }
    environment.measured(Measured::Verified { log, outcome: "verified", took });
    environment.measured(Measured::Compared { log, consistent: true });
    let (text, log) = (world.metrics().await, log.to_text());
    for line in [
        format!("provex_submission_duration_seconds_count{{log=\"{log}\",outcome=\"answered\"}} 2"),
        format!("provex_submission_duration_seconds_count{{log=\"{log}\",outcome=\"unavailable\"}} 1"),
        format!("provex_verification_duration_seconds_count{{log=\"{log}\",outcome=\"verified\"}} 1"),
        format!("provex_log_consistent{{log=\"{log}\"}} 1"),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    environment.measured(Measured::Compared { log: SignedFixture::new(1).log_id(), consistent: false });
    assert!(world.metrics().await.contains(&format!("provex_log_consistent{{log=\"{log}\"}} 0\n")));
}
