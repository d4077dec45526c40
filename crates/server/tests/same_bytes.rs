//! The same data gives the same bytes, wherever it lies and whenever somebody asks.
#![allow(clippy::unwrap_used, reason = "the allowance for tests does not reach helpers")]

mod common;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use common::{On, World, openvex, recording, tenant};
use provex_pipeline::environment::Environment as _;
use provex_store::testing::{SignedFixture, document, id};
use provex_store::{Lease, LeaseToken, Release, Scope, Stage};
use serde_json::Value;

/// Attestations of both outcomes, some of which took over others, and an observation that waits.
async fn tell(world: &World) {
    let mut fixture = SignedFixture::new(1);
    for number in 1..=3 {
        world.clock.advance(1);
        world.linked(&mut fixture, number, 5).await;
    }
    let (refused, now) = (document(9, 4), world.clock.now());
    let recording = recording(now);
    world.store.record_documents(&tenant(), &recording, std::slice::from_ref(&refused)).await.unwrap();
    let signed = fixture.sign(&tenant(), &[&refused]);
    let envelope = signed.to_new_envelope(id(2_000));
    world.store.record_envelopes(&tenant(), now, LeaseToken(id(99)), &[], &[envelope]).await.unwrap();
    let lease = Lease { token: LeaseToken(id(98)), now, until: now.plus_micros(60_000_000).unwrap() };
    world.store.acquire_submissions(&tenant(), Stage::Submit, lease, 100).await.unwrap();
    let dead = Release::Dead { reason: "the log refused the key".to_owned() };
    world.store.release_submission(&tenant(), &recording, lease.token, id(2_000), &dead).await.unwrap();
    let logged = fixture.log_timestamped(&signed, now);
    let part =
        provex_store::NewLink { entry: &logged.entry, linkages: &logged.linkages[..2], finished: None };
    world.store.link(&tenant(), &recording, lease.token, &[part]).await.unwrap();
}

/// What is answered at one path.
type Said = (String, StatusCode, HeaderMap, Bytes);

/// What every path answers, each list page by page.
async fn answers(world: &World, token: &str) -> Vec<Said> {
    let mut answers: Vec<Said> = Vec::new();
    let rows = world.get(token, "/v1/ledger/attestations").await.json();
    let example = &rows[3];
    let chosen = |name: &str| example[name].as_str().unwrap().to_owned();
    let time = chosen("recordedAt");
    let filters = [
        String::new(),
        format!("&artifactId={}", chosen("artifactId").replace('+', "%2B").replace('&', "%26")),
        format!("&findingId={}", chosen("findingId")),
        format!("&attestationId={}", chosen("attestationId")),
        "&status=verified".to_owned(),
        "&status=failed".to_owned(),
        format!("&sinceRecordedAt={time}"),
        format!("&untilRecordedAt={time}"),
    ];
    let mut paths: Vec<String> = Vec::new();
    for filter in &filters {
        for limit in [1, 7, 200, 1_000] {
            paths.push(format!("/v1/ledger/attestations?limit={limit}{filter}"));
        }
        paths.push(format!("/v1/ledger/attestations/stream?{filter}"));
    }
    paths.extend(["/v1/vex/observations?limit=3", "/v1/vex/observations/pending?limit=1"].map(str::to_owned));
    for row in world.get(token, "/v1/vex/observations").await.json().as_array().unwrap() {
        let path = format!("/v1/vex/observations/{}", row["observationId"].as_str().unwrap());
        paths.extend(["", "/linkage", "/bundle", "/proof"].map(|part| format!("{path}{part}")));
        paths.push(format!("/v1/vex/documents/{}", row["documentDigest"].as_str().unwrap()));
    }
    let bundle = |row: &Value| Some(format!("/v1/bundles/{}", row["evidenceBundleRef"].as_str()?));
    paths.extend(rows.as_array().unwrap().iter().filter_map(bundle));
    for path in paths {
        let mut next = Some(path);
        while let Some(path) = next {
            let answer = world.get(token, &path).await;
            assert!(!answer.status.is_server_error(), "{path}: {answer:?}");
            let link = answer.header("link").and_then(|link| link.strip_prefix('<')?.split_once('>'));
            next = link.map(|(path, _)| path.to_owned());
            answers.push((path, answer.status, answer.headers, answer.body));
        }
    }
    answers
}

fn assert_same(found: &[Said], expected: &[Said], when: &str) {
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, expected, "{when}");
    }
    assert_eq!(found.len(), expected.len(), "{when}");
}

#[tokio::test]
async fn a_move_to_postgres_a_restart_a_replay_and_another_time_change_no_byte() {
    let world = World::new(On::Sqlite).await;
    tell(&world).await;
    let token = world.token(&Scope::ALL).await;
    assert_eq!(world.post(&token, openvex(1, 2)).await.status, StatusCode::CREATED);
    let expected = answers(&world, &token).await;
    assert!(expected.len() > 150, "{}", expected.len());
    let statuses: Vec<_> = expected.iter().map(|(_, status, ..)| *status).collect();
    assert!(statuses.contains(&StatusCode::OK) && statuses.contains(&StatusCode::NOT_FOUND));
    let timestamped = |body: &Bytes| String::from_utf8_lossy(body).contains(r#""rekorTimestampTime":"20"#);
    assert!(expected.iter().any(|(_, _, _, body)| timestamped(body)));
    for seconds in [3_600, -7_200] {
        world.clock.advance(seconds);
        assert_same(&answers(&world, &token).await, &expected, "at another time");
    }
    let world = world.restarted().await;
    assert_same(&answers(&world, &token).await, &expected, "after a restart");
    world.replay().await;
    assert_same(&answers(&world, &token).await, &expected, "after a replay");
    let world = world.moved().await;
    assert_same(&answers(&world, &token).await, &expected, "on PostgreSQL");
    world.replay().await;
    let world = world.restarted().await;
    world.clock.advance(3_600);
    assert_same(&answers(&world, &token).await, &expected, "on PostgreSQL, later");
}
