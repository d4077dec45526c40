//! Bytes that changed in the database after they were recorded: what has its own digest for a name is used only while
//! it still has it.
#![allow(clippy::unwrap_used)] // helpers of tests cannot go on either

mod common;

use common::faulty::Faults;
use common::{BACK_OFF, Corpus, Ended, Opened, World, owner};
use provex_core::intoto::SaltKey;
use provex_formats::ParseLimits;
use provex_pipeline::{Error, LinkReport, LogLine, SubmitReport, Unit};
use provex_store::{Backlog, ObservationFilter, ObservationRow};
use sqlx::AssertSqlSafe;

/// The last byte of a blob becomes another one; done again, it is what it was.
async fn flip(world: &World, table: &str, column: &str, pick: &str) {
    let last = format!("substr({column}, -1)");
    let sql = format!(
        "UPDATE {table} SET {column} = CAST(substr({column}, 1, length({column}) - 1)
            || CASE {last} WHEN x'7d' THEN x'7c' ELSE x'7d' END AS BLOB) WHERE {pick}"
    );
    let mut owner = owner(&world.database()).await;
    let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut owner).await.unwrap();
    assert_eq!(done.rows_affected(), 1);
}

async fn attest(world: &World, opened: &Opened, corpus: &Corpus) {
    opened.pipeline.ingest(corpus.inputs(), ParseLimits::default(), |_| {}).await.unwrap();
    opened.pipeline.attest(&world.signer, &SaltKey::new([3; 32]), Unit::Document).await.unwrap();
}

async fn submit(world: &World, opened: &Opened) -> SubmitReport {
    let (line, tenants) = (LogLine::new(opened.log.clone()), std::slice::from_ref(&opened.pipeline));
    line.submit(tenants, &world.keys(), &|| false).await.unwrap()
}

async fn link(world: &World, opened: &Opened) -> LinkReport {
    let keys = world.keys();
    opened.pipeline.link(std::slice::from_ref(&opened.log), None, world.verifier(&keys)).await.unwrap()
}

async fn rows(opened: &Opened) -> Vec<ObservationRow> {
    let (store, tenant) = (&opened.disk, &opened.pipeline.tenant);
    store.observations(tenant, &ObservationFilter::default(), None, 100).await.unwrap()
}

#[test]
fn an_observation_whose_body_was_changed_is_not_linked_until_it_is_mended() {
    let (world, corpus) = (World::new(), Corpus::new());
    world.process(|| async {
        let opened = world.open(&Faults::none()).await;
        attest(&world, &opened, &corpus).await;
        submit(&world, &opened).await;
        let damaged = rows(&opened).await.pop().unwrap().id;
        let pick = format!("observation_id = '{}'", damaged.digest().to_hex());
        flip(&world, "vex_observations", "body", &pick).await;
        let report = link(&world, &opened).await;
        let reason = report.reason.unwrap();
        assert!(reason.contains(&damaged.to_text()) && reason.contains("were changed"), "{reason}");
        assert_eq!(report.unverified, 1);
        // Its envelope's other members wait with it; those of other envelopes do not.
        let unlinked = rows(&opened).await.into_iter().filter(|row| row.linkage.is_none());
        let document = unlinked.map(|row| row.document_digest).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(document.len(), 1);
        assert!(rows(&opened).await.iter().any(|row| row.linkage.is_some()));
        flip(&world, "vex_observations", "body", &pick).await;
        world.environment.advance(BACK_OFF);
        let report = link(&world, &opened).await;
        assert_eq!((report.unverified, report.logs), (0, [opened.log.identity().id].into()));
        assert!(rows(&opened).await.iter().all(|row| row.linkage.is_some()));
    });
}

#[test]
fn an_envelope_that_was_changed_never_reaches_the_log() {
    let (world, corpus) = (World::new(), Corpus::new());
    world.process(|| async {
        let opened = world.open(&Faults::none()).await;
        attest(&world, &opened, &corpus).await;
        flip(&world, "attestor_envelopes", "envelope", "rowid = (SELECT min(rowid) FROM attestor_envelopes)")
            .await;
        let report = submit(&world, &opened).await;
        assert_eq!((report.answered, report.refused), (2, 1));
        let reason = report.reason.unwrap();
        assert!(reason.contains("envelope") && reason.contains("were changed"), "{reason}");
        assert_eq!(link(&world, &opened).await.unverified, 0);
        let counts = opened.disk.counts(&opened.pipeline.tenant).await.unwrap();
        assert!(counts.failed > 0 && counts.linked + counts.failed == counts.observations, "{counts:?}");
    });
}

#[test]
fn an_envelope_that_was_changed_after_it_was_logged_waits_until_it_is_mended() {
    let (world, corpus) = (World::new(), Corpus::new());
    world.process(|| async {
        let opened = world.open(&Faults::none()).await;
        attest(&world, &opened, &corpus).await;
        submit(&world, &opened).await;
        let pick = "rowid = (SELECT min(rowid) FROM attestor_envelopes)";
        flip(&world, "attestor_envelopes", "envelope", pick).await;
        let report = link(&world, &opened).await;
        assert_eq!(report.unverified, 1);
        assert!(report.reason.unwrap().contains("were changed"));
        flip(&world, "attestor_envelopes", "envelope", pick).await;
        world.environment.advance(BACK_OFF);
        assert_eq!(link(&world, &opened).await.unverified, 0);
        assert_eq!(opened.disk.backlog(&opened.pipeline.tenant).await.unwrap(), Backlog::default());
    });
}

#[test]
fn nothing_that_was_changed_is_handed_out() {
    let (world, corpus) = (World::new(), Corpus::new());
    assert!(matches!(world.run(&Faults::none(), &corpus, Unit::Document, true), Ended::Done(_)));
    world.process(|| async {
        let opened = world.open(&Faults::none()).await;
        let pipeline = &opened.pipeline;
        // One of a set of several, so that there is a path to change.
        let row = rows(&opened)
            .await
            .into_iter()
            .find(|row| row.linkage.as_ref().is_some_and(|linkage| !linkage.fields.set_path.is_empty()));
        let row = row.unwrap();
        let envelope = row.linkage.unwrap().fields.entry.envelope_digest;
        let (bundle, _) = opened.disk.bundle_of_envelope(&pipeline.tenant, &envelope).await.unwrap().unwrap();
        let is_changed = |error: Error| {
            assert!(matches!(&error, Error::Stored { .. }), "{error}");
            assert!(error.to_string().contains("changed"), "{error}");
        };

        let pick = format!("observation_id = '{}'", row.id.digest().to_hex());
        let index = |to: &str| format!("UPDATE vex_observations SET rekor_set_index = {to} WHERE {pick}");
        let mut hand = owner(&world.database()).await;
        let other = index("1 - min(rekor_set_index, 1)");
        sqlx::query(AssertSqlSafe(other)).execute(&mut hand).await.unwrap();
        is_changed(pipeline.proof(&row.id).await.unwrap_err());

        let pick = format!("bundle_digest = '{}'", bundle.digest().to_hex());
        flip(&world, "attestor_bundles", "bundle", &pick).await;
        is_changed(pipeline.bundle(&bundle).await.unwrap_err());
        is_changed(pipeline.bundle_of(&row.id).await.unwrap_err());
        is_changed(pipeline.proof(&row.id).await.unwrap_err());

        let pick = format!("dsse_digest = '{}'", envelope.to_text());
        flip(&world, "attestor_envelopes", "envelope", &pick).await;
        is_changed(pipeline.envelope(&envelope).await.unwrap_err());
    });
}
