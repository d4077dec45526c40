//! `GET /v1/ledger/attestations` and its stream: order, filters, tokens, validators and counters.
#![allow(clippy::unwrap_used, reason = "the allowance for tests does not reach helpers")]

mod common;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use common::{Answer, On, World, other_tenant, request};
use http_body_util::BodyExt as _;
use provex_server::router;
use provex_store::Scope;
use provex_store::testing::SignedFixture;
use serde_json::Value;
use tower::ServiceExt as _;

on_each_store! {
    a_page_says_from_which_ledger_it_was_cut
    a_row_has_the_fifteen_columns_in_camel_case
    a_stream_has_the_rows_of_all_pages_and_their_ledger
    a_stream_takes_filters_and_nothing_else
    a_stream_that_fails_in_the_middle_is_broken_off
    a_token_of_another_query_or_tenant_is_refused
    bad_parameters_are_named
    filters_hold_together
    lines_have_the_same_rows
    pages_of_every_size_have_each_row_once_in_order
    queries_are_counted_by_tenant_and_status_and_failures_by_reason
    the_same_request_on_the_same_data_gives_the_same_bytes
}

const PATH: &str = "/v1/ledger/attestations";
const STREAM: &str = "/v1/ledger/attestations/stream";
const READ: &[Scope] = &[Scope::LedgerAttestRead];

/// A tenant with attestations of three documents, and a token that may read them.
async fn world(on: On) -> (World, String) {
    let world = World::new(on).await;
    let mut fixture = SignedFixture::new(1);
    for number in 1..=3 {
        world.clock.advance(1);
        world.linked(&mut fixture, number, 4).await;
    }
    let token = world.token(READ).await;
    (world, token)
}

fn rows(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json().as_array().unwrap().clone()
}

fn next(answer: &Answer) -> Option<String> {
    let link = answer.header("link")?;
    let path = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    assert!(path.ends_with(answer.header("x-next-page-token").unwrap()));
    Some(path.to_owned())
}

async fn a_row_has_the_fifteen_columns_in_camel_case(on: On) {
    let (world, token) = world(on).await;
    let rows = rows(&world.get(&token, PATH).await);
    assert_eq!(rows.len(), 12);
    let expected = [
        "artifactId",
        "attestationId",
        "cycleHash",
        "dsseDigest",
        "evidenceBundleRef",
        "findingId",
        "ledgerEventId",
        "merkleLeafHash",
        "projectionVersion",
        "recordedAt",
        "rekorEntryId",
        "rootHash",
        "tenantId",
        "verificationStatus",
        "verificationTime",
    ];
    for row in &rows {
        let mut names: Vec<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, expected);
        assert_eq!(
            (row["tenantId"].as_str(), row["verificationStatus"].as_str()),
            (Some("default"), Some("verified"))
        );
    }
}

async fn pages_of_every_size_have_each_row_once_in_order(on: On) {
    let (world, token) = world(on).await;
    let whole = rows(&world.get(&token, PATH).await);
    let key = |row: &Value| (row["recordedAt"].to_string(), row["attestationId"].to_string());
    assert!(whole.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])));
    for limit in 1..=13 {
        let (mut path, mut found) = (format!("{PATH}?limit={limit}"), Vec::new());
        loop {
            let page = world.get(&token, &path).await;
            found.extend(rows(&page));
            match next(&page) {
                Some(next) => path = next,
                None => break,
            }
        }
        assert_eq!(found, whole, "{limit}");
    }
}

async fn filters_hold_together(on: On) {
    let (world, token) = world(on).await;
    let whole = rows(&world.get(&token, PATH).await);
    let row = &whole[5];
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    let filtered = async |query: String| rows(&world.get(&token, &format!("{PATH}?{query}")).await);
    let by = |name: &'static str| {
        let value = row[name].clone();
        whole.iter().filter(|row| row[name] == value).cloned().collect::<Vec<_>>()
    };
    assert_eq!(filtered(format!("attestationId={}", text("attestationId"))).await, std::slice::from_ref(row));
    assert_eq!(filtered(format!("findingId={}", text("findingId"))).await, by("findingId"));
    assert_eq!(filtered(format!("artifactId={}", text("artifactId"))).await, by("artifactId"));
    assert_eq!(filtered("status=verified".to_owned()).await, whole);
    assert_eq!(filtered("status=failed".to_owned()).await, Vec::<Value>::new());
    // From a time on, inclusive; until a time, exclusive.
    let at = text("recordedAt");
    let since = filtered(format!("sinceRecordedAt={at}")).await;
    let until = filtered(format!("untilRecordedAt={at}")).await;
    assert!(since.contains(row) && !until.contains(row));
    assert_eq!([until, since].concat(), whole);
    assert_eq!(
        filtered(format!("attestationId={}&status=failed", text("attestationId"))).await,
        Vec::<Value>::new()
    );
}

async fn a_page_says_from_which_ledger_it_was_cut(on: On) {
    let (world, token) = world(on).await;
    let page = world.get(&token, &format!("{PATH}?limit=1")).await;
    let size: u64 = page.header("x-ledger-tree-size").unwrap().parse().unwrap();
    let root = page.header("x-ledger-root-hash").unwrap().to_owned();
    // Three documents and three attestations.
    assert_eq!((size, root.len()), (6, 64));
    let last = rows(&world.get(&token, PATH).await).pop().unwrap();
    assert_eq!(last["rootHash"], root.as_str());
    let tag = page.header("etag").unwrap().to_owned();
    world.linked(&mut SignedFixture::new(2), 9, 1).await;
    let later = world.get(&token, &format!("{PATH}?limit=1")).await;
    // The same rows of a larger ledger are another answer.
    assert_eq!(later.body, page.body);
    assert_ne!(
        (later.header("etag").unwrap(), later.header("x-ledger-root-hash").unwrap()),
        (tag.as_str(), root.as_str())
    );
}

async fn the_same_request_on_the_same_data_gives_the_same_bytes(on: On) {
    let (world, token) = world(on).await;
    let first = world.get(&token, &format!("{PATH}?limit=5")).await;
    world.clock.advance(-1_000);
    let second = world.get(&token, &format!("{PATH}?limit=5")).await;
    assert_eq!((&first.body, &first.headers), (&second.body, &second.headers));
    let known = request("GET", &token, &format!("{PATH}?limit=5"))
        .header("if-none-match", first.header("etag").unwrap());
    let known = world.send(known.body(Body::empty()).unwrap()).await;
    assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0));
}

async fn lines_have_the_same_rows(on: On) {
    let (world, token) = world(on).await;
    let lines = request("GET", &token, PATH).header("accept", "application/x-ndjson");
    let lines = world.send(lines.body(Body::empty()).unwrap()).await;
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    let text = String::from_utf8(lines.body.to_vec()).unwrap();
    let found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(found, rows(&world.get(&token, PATH).await));
}

fn lines(answer: &Answer) -> Vec<Value> {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (StatusCode::OK, Some("application/x-ndjson"))
    );
    let text = std::str::from_utf8(&answer.body).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn a_stream_has_the_rows_of_all_pages_and_their_ledger(on: On) {
    let world = World::new(on).await;
    let token = world.token(READ).await;
    assert_eq!(lines(&world.get(&token, STREAM).await), Vec::<Value>::new());
    // More than is read from the store at a time.
    world.linked(&mut SignedFixture::new(1), 1, 999).await;
    world.linked(&mut SignedFixture::new(2), 2, 999).await;
    let page = world.get(&token, &format!("{PATH}?limit=1000")).await;
    let rest = world.get(&token, &next(&page).unwrap()).await;
    let whole = [rows(&page), rows(&rest)].concat();
    let stream = world.get(&token, STREAM).await;
    assert_eq!(lines(&stream), whole);
    for header in ["x-ledger-tree-size", "x-ledger-root-hash", "vary"] {
        assert_eq!(stream.header(header), page.header(header), "{header}");
    }
    assert_eq!((stream.header("etag"), stream.header("link")), (None, None));
    let finding = whole[5]["findingId"].as_str().unwrap();
    let chosen: Vec<_> = whole.iter().filter(|row| row["findingId"] == finding).cloned().collect();
    assert_eq!(lines(&world.get(&token, &format!("{STREAM}?findingId={finding}")).await), chosen);
}

async fn a_stream_takes_filters_and_nothing_else(on: On) {
    let (world, token) = world(on).await;
    for parameter in ["limit", "pageToken", "tenant"] {
        let answer = world.get(&token, &format!("{STREAM}?{parameter}=1")).await;
        assert_eq!((answer.status, answer.problem().as_str()), (StatusCode::BAD_REQUEST, "bad-request"));
        assert_eq!(answer.json()["parameter"], parameter);
    }
    let json = request("GET", &token, STREAM).header("accept", "application/json");
    let json = world.send(json.body(Body::empty()).unwrap()).await;
    assert_eq!((json.status, json.problem().as_str()), (StatusCode::NOT_ACCEPTABLE, "not-acceptable"));
}

async fn a_stream_that_fails_in_the_middle_is_broken_off(on: On) {
    let world = World::new(on).await;
    let token = world.token(READ).await;
    world.linked(&mut SignedFixture::new(1), 1, 999).await;
    world.linked(&mut SignedFixture::new(2), 2, 999).await;
    // A row that is not read with the first ones.
    world
        .as_owner(
            "PRAGMA ignore_check_constraints = ON;
            UPDATE findings_ledger_attestations SET root_hash = 'x' WHERE attestation_id =
                (SELECT attestation_id FROM findings_ledger_attestations ORDER BY recorded_at DESC, attestation_id DESC)",
            "ALTER TABLE findings.ledger_attestations DROP CONSTRAINT ledger_attestations_root_hash_check;
            UPDATE findings.ledger_attestations SET root_hash = 'x' WHERE attestation_id = (SELECT attestation_id
                FROM findings.ledger_attestations ORDER BY recorded_at DESC, attestation_id DESC LIMIT 1)",
        )
        .await;
    let response = router(Arc::clone(&world.app))
        .oneshot(request("GET", &token, STREAM).body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first.split(|byte| *byte == b'\n').count(), 1_001);
    assert!(body.frame().await.unwrap().is_err());
    let text = world.metrics().await;
    assert!(text.contains("ledger_attestations_failures_total{reason=\"internal\"} 1\n"), "{text}");
    // Where the first ones cannot be read, there is a status to say so.
    world
        .as_owner(
            "PRAGMA ignore_check_constraints = ON; UPDATE findings_ledger_attestations SET root_hash = 'x'",
            "UPDATE findings.ledger_attestations SET root_hash = 'x'",
        )
        .await;
    let answer = world.get(&token, STREAM).await;
    assert_eq!((answer.status, answer.problem().as_str()), (StatusCode::INTERNAL_SERVER_ERROR, "internal"));
}

async fn a_token_of_another_query_or_tenant_is_refused(on: On) {
    let (world, token) = world(on).await;
    let page = world.get(&token, &format!("{PATH}?limit=2")).await;
    let next = page.header("x-next-page-token").unwrap();
    for query in
        [format!("status=verified&pageToken={next}"), format!("pageToken={}x", next), "pageToken=".to_owned()]
    {
        let answer = world.get(&token, &format!("{PATH}?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(answer.json()["parameter"], "pageToken");
    }
    // Another limit is the same query.
    assert_eq!(world.get(&token, &format!("{PATH}?limit=3&pageToken={next}")).await.status, StatusCode::OK);
    let (_, foreign) = world.token_of(&other_tenant(), READ).await;
    let stolen = Request::builder().uri(format!("{PATH}?pageToken={next}"));
    let stolen =
        stolen.header("authorization", format!("Bearer {foreign}")).header("x-stella-tenant", "other");
    assert_eq!(world.send(stolen.body(Body::empty()).unwrap()).await.problem(), "bad-page-token");
}

async fn bad_parameters_are_named(on: On) {
    let (world, token) = world(on).await;
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("status=good", "status"),
        ("attestationId=x", "attestationId"),
        ("sinceRecordedAt=yesterday", "sinceRecordedAt"),
        ("untilRecordedAt=2026-01-01", "untilRecordedAt"),
        ("artifactId=%00", "artifactId"),
        ("findingId=", "findingId"),
        ("findingId=a&findingId=b", "findingId"),
        ("tenant=other", "tenant"),
    ] {
        let answer = world.get(&token, &format!("{PATH}?{query}")).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (StatusCode::BAD_REQUEST, "bad-request"),
            "{query}"
        );
        assert_eq!(answer.json()["parameter"], parameter, "{query}");
    }
}

async fn queries_are_counted_by_tenant_and_status_and_failures_by_reason(on: On) {
    let (world, token) = world(on).await;
    let wrong = world.token(&[Scope::VexRead]).await;
    world.get(&token, PATH).await;
    world.get(&token, &format!("{PATH}?limit=0")).await;
    world.get(&token, &format!("{PATH}?pageToken=AAAA")).await;
    world.get(&wrong, PATH).await;
    world.get("x", PATH).await;
    world.get(&token, STREAM).await;
    world.get("x", STREAM).await;
    let text = world.metrics().await;
    for line in [
        "ledger_attestations_queries_total{tenant=\"default\",status=\"200\"} 2",
        "ledger_attestations_queries_total{tenant=\"default\",status=\"400\"} 2",
        "ledger_attestations_queries_total{tenant=\"\",status=\"403\"} 1",
        "ledger_attestations_queries_total{tenant=\"\",status=\"401\"} 2",
        "ledger_attestations_failures_total{reason=\"bad_request\"} 1",
        "ledger_attestations_failures_total{reason=\"bad_token\"} 1",
        "ledger_attestations_failures_total{reason=\"forbidden\"} 1",
        "ledger_attestations_failures_total{reason=\"unauthorized\"} 2",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}
