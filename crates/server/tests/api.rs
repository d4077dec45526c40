//! What every path says, and to whom.
#![allow(clippy::unwrap_used, reason = "the allowance for tests does not reach helpers")]

mod common;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use common::{On, World, openvex, other_tenant, request};
use provex_core::bundle::Bundle;
use provex_core::digest::Digest;
use provex_core::proof::Proof;
use provex_store::Scope;
use provex_store::testing::SignedFixture;

on_each_store! {
    a_document_is_recorded_once_and_comes_back
    a_known_answer_is_not_sent_again
    a_linked_observation_gives_linkage_bundle_and_proof
    a_page_token_fits_its_own_query_and_tenant_only
    a_refused_document_is_told_by_code_place_and_reason
    a_tenant_has_to_be_named_once_and_well
    a_wrong_scope_and_a_foreign_tenant_are_forbidden_whatever_exists
    an_idempotency_key_repeats_the_answer_and_takes_no_other_request
    bad_parameters_are_named
    bodies_of_other_kinds_and_sizes_are_refused
    health_metrics_and_description_need_no_token_on_this_machine
    nobody_is_admitted_without_a_token_that_holds
    pages_of_observations_have_each_one_once_in_order
    tenants_with_the_same_document_see_their_own_only
    unknown_paths_and_methods_are_problems
    what_is_not_linked_yet_is_told_apart_from_what_is_not_there
}

const READ: &[Scope] = &[Scope::VexRead];
const WRITE: &[Scope] = &[Scope::VexWrite];

/// Every path under `/v1` with the scope that it needs.
fn paths() -> Vec<(&'static str, String, Scope)> {
    let observation = format!("/v1/vex/observations/vex:obs:sha256:{}", "0".repeat(64));
    vec![
        ("POST", "/v1/vex/documents".to_owned(), Scope::VexWrite),
        ("GET", format!("/v1/vex/documents/{}", "0".repeat(64)), Scope::VexRead),
        ("GET", "/v1/vex/observations".to_owned(), Scope::VexRead),
        ("GET", "/v1/vex/observations/pending".to_owned(), Scope::VexRead),
        ("GET", observation.clone(), Scope::VexRead),
        ("GET", format!("{observation}/linkage"), Scope::VexRead),
        ("GET", format!("{observation}/bundle"), Scope::VexRead),
        ("GET", format!("{observation}/proof"), Scope::VexRead),
        ("GET", format!("/v1/bundles/sha256:{}", "0".repeat(64)), Scope::VexRead),
        ("GET", "/v1/ledger/attestations".to_owned(), Scope::LedgerAttestRead),
        ("GET", "/v1/ledger/attestations/stream".to_owned(), Scope::LedgerAttestRead),
    ]
}

#[tokio::test]
async fn the_described_paths_are_those_that_are_tested_here() {
    let described: serde_json::Value = serde_json::from_str(&provex_server::openapi_json()).unwrap();
    let described: Vec<_> = described["paths"].as_object().unwrap().keys().cloned().collect();
    let zeros = "0".repeat(64);
    let tested = paths().into_iter().map(|(_, path, _)| {
        let path = path.replace(&format!("vex:obs:sha256:{zeros}"), "{id}");
        path.replace(&format!("sha256:{zeros}"), "{digest}").replace(&zeros, "{digest}")
    });
    let mut tested: Vec<_> = tested.chain(["/healthz", "/metrics", "/readyz"].map(str::to_owned)).collect();
    tested.sort();
    assert_eq!(described, tested);
}

/// `PROVEX_WRITE_DOCS=1 cargo test -p provex-server --test api` writes it anew.
#[test]
fn the_committed_description_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let generated = provex_server::openapi_json();
    if std::env::var_os("PROVEX_WRITE_DOCS").is_some() {
        std::fs::write(path, &generated).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap() == generated,
        "docs/openapi.json is not the generated one"
    );
}

async fn nobody_is_admitted_without_a_token_that_holds(on: On) {
    let world = World::new(on).await;
    let every = Scope::ALL;
    let (revoked_id, revoked) = world.token_of(&common::tenant(), &every).await;
    world.store.revoke_api_token(&common::tenant(), revoked_id, provex_store::testing::at(1)).await.unwrap();
    let token = world.token(&every).await;
    for (method, path, _) in paths() {
        for wrong in ["x".to_owned(), revoked.clone(), format!("{token}x"), token[..10].to_owned()] {
            let answer = world.send(request(method, &wrong, &path).body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}: {answer:?}");
            assert_eq!(
                (answer.problem().as_str(), answer.header("www-authenticate")),
                ("unauthorized", Some("Bearer"))
            );
        }
        let bare = Request::builder().method(method).uri(&path).header("x-stella-tenant", "default");
        let answer = world.send(bare.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
    }
    world.clock.advance(10_000);
    assert_eq!(world.get(&token, "/v1/vex/observations").await.status, StatusCode::UNAUTHORIZED);
}

async fn a_tenant_has_to_be_named_once_and_well(on: On) {
    let world = World::new(on).await;
    let token = world.token(&Scope::ALL).await;
    for (method, path, _) in paths() {
        for tenants in [&[][..], &["default", "default"], &["Default"], &[""], &["a b"]] {
            let mut request = Request::builder()
                .method(method)
                .uri(&path)
                .header("authorization", format!("Bearer {token}"));
            for tenant in tenants {
                request = request.header("x-stella-tenant", *tenant);
            }
            let answer = world.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{method} {path} {tenants:?}: {answer:?}");
            assert_eq!(answer.json()["parameter"], "X-Stella-Tenant");
        }
    }
}

async fn a_wrong_scope_and_a_foreign_tenant_are_forbidden_whatever_exists(on: On) {
    let world = World::new(on).await;
    let (_, foreign) = world.token_of(&other_tenant(), &Scope::ALL).await;
    for (method, path, needed) in paths() {
        let others: Vec<_> = Scope::ALL.into_iter().filter(|scope| *scope != needed).collect();
        let lacking = world.token(&others).await;
        let mut answers = Vec::new();
        for token in [&lacking, &foreign] {
            answers.push(world.send(request(method, token, &path).body(Body::empty()).unwrap()).await);
        }
        // A tenant that does not exist is told in the same words as one that does.
        let unknown = request(method, &foreign, &path).header("x-stella-tenant", "x");
        let mut unknown = unknown.body(Body::empty()).unwrap();
        unknown.headers_mut().insert("x-stella-tenant", "nobody".parse().unwrap());
        answers.push(world.send(unknown).await);
        for answer in &answers {
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}: {answer:?}");
            assert_eq!(answer.problem(), "forbidden");
            assert_eq!(answer.body, answers[0].body);
        }
    }
}

async fn a_document_is_recorded_once_and_comes_back(on: On) {
    let world = World::new(on).await;
    let token = world.token(&[Scope::VexRead, Scope::VexWrite]).await;
    let bytes = openvex(1, 3);
    let first = world.post(&token, bytes.clone()).await;
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    let digest = Digest::of(&bytes).to_hex();
    assert_eq!(
        (first.json()["documentDigest"].as_str(), first.json()["observations"].as_u64()),
        (Some(&*digest), Some(3))
    );
    let second = world.post(&token, bytes).await;
    assert_eq!((second.status, second.json()), (StatusCode::OK, first.json()));
    let read = world.get(&token, &format!("/v1/vex/documents/{digest}")).await;
    assert_eq!((read.status, read.json()), (StatusCode::OK, first.json()));
}

async fn a_refused_document_is_told_by_code_place_and_reason(on: On) {
    let world = World::new(on).await;
    let token = world.token(WRITE).await;
    for (body, code) in [(&b"{"[..], None), (b"", None), (b"{\"a\": 1, \"a\": 2}", Some("/a"))] {
        let answer = world.post(&token, body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{answer:?}");
        assert_eq!(answer.problem(), "document-rejected");
        assert!(answer.json()["code"].is_string() && answer.json()["pointer"].is_string(), "{answer:?}");
        if let Some(pointer) = code {
            assert_eq!(answer.json()["pointer"], pointer);
        }
    }
    assert_eq!(world.store.counts(&common::tenant()).await.unwrap().documents, 0);
}

async fn bodies_of_other_kinds_and_sizes_are_refused(on: On) {
    let world = World::new(on).await;
    let token = world.token(WRITE).await;
    let large = world.post(&token, vec![b' '; 100_001]).await;
    assert_eq!((large.status, large.problem().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "too-large"));
    let parts = (0..200).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1_000]));
    let unsized_body = Body::from_stream(Parts(parts.collect()));
    assert_eq!(world.post(&token, unsized_body).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let broken = Body::from_stream(Parts([Err(std::io::Error::other("gone"))].into()));
    let broken = world.post(&token, broken).await;
    assert_eq!((broken.status, broken.problem().as_str()), (StatusCode::BAD_REQUEST, "broken-body"));
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-type", "multipart/form-data; boundary=x"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("content-encoding", "gzip"),
    ] {
        let request = request("POST", &token, "/v1/vex/documents").header(name, value);
        let answer = world.send(request.body(Body::from(openvex(1, 1))).unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{name}: {value}");
        assert_eq!(answer.problem(), "unsupported-media-type");
    }
}

/// A body that comes in parts.
struct Parts(std::collections::VecDeque<std::io::Result<Vec<u8>>>);

impl futures_core::Stream for Parts {
    type Item = std::io::Result<Vec<u8>>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.pop_front())
    }
}

async fn an_idempotency_key_repeats_the_answer_and_takes_no_other_request(on: On) {
    let world = World::new(on).await;
    let token = world.token(WRITE).await;
    let post = async |key: &str, body: Vec<u8>| {
        let request = request("POST", &token, "/v1/vex/documents").header("idempotency-key", key);
        world.send(request.body(Body::from(body)).unwrap()).await
    };
    let first = post("k", openvex(1, 1)).await;
    let again = post("k", openvex(1, 1)).await;
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(first.body, again.body);
    let other = post("k", openvex(2, 1)).await;
    assert_eq!(
        (other.status, other.problem().as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused")
    );
    assert_eq!(post("", openvex(1, 1)).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(post(&"k".repeat(256), openvex(1, 1)).await.status, StatusCode::BAD_REQUEST);
    // A day later the key may be used again.
    world.clock.advance(24 * 60 * 60);
    let token = world.token(WRITE).await;
    let later = request("POST", &token, "/v1/vex/documents").header("idempotency-key", "k");
    let later = world.send(later.body(Body::from(openvex(2, 1))).unwrap()).await;
    assert_eq!(later.status, StatusCode::CREATED, "{later:?}");
}

async fn pages_of_observations_have_each_one_once_in_order(on: On) {
    let world = World::new(on).await;
    let token = world.token(&[Scope::VexRead, Scope::VexWrite]).await;
    for number in 1..=3 {
        world.post(&token, openvex(number, 4)).await;
    }
    let whole = world.get(&token, "/v1/vex/observations").await.json();
    assert_eq!(whole.as_array().unwrap().len(), 12);
    for limit in [1, 5, 11, 12, 1_000] {
        let mut path = format!("/v1/vex/observations?limit={limit}");
        let mut rows = Vec::new();
        loop {
            let page = world.get(&token, &path).await;
            rows.extend(page.json().as_array().unwrap().clone());
            let Some(link) = page.header("link") else {
                assert_eq!(page.header("x-next-page-token"), None);
                break;
            };
            path = link.strip_prefix('<').unwrap().split_once('>').unwrap().0.to_owned();
            assert!(path.ends_with(page.header("x-next-page-token").unwrap()), "{path}");
        }
        assert_eq!(serde_json::Value::from(rows), whole, "{limit}");
    }
    let lines = request("GET", &token, "/v1/vex/observations").header("accept", "application/x-ndjson");
    let lines = world.send(lines.body(Body::empty()).unwrap()).await;
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    let rows: Vec<serde_json::Value> = lines
        .body
        .split(|c| *c == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(serde_json::Value::from(rows), whole);
}

async fn a_page_token_fits_its_own_query_and_tenant_only(on: On) {
    let world = World::new(on).await;
    let token = world.token(&[Scope::VexRead, Scope::VexWrite]).await;
    let (_, foreign) = world.token_of(&other_tenant(), READ).await;
    world.post(&token, openvex(1, 4)).await;
    let page = world.get(&token, "/v1/vex/observations?limit=2").await;
    let next = page.header("x-next-page-token").unwrap();
    for path in [
        format!("/v1/vex/observations?status=fixed&pageToken={next}"),
        format!("/v1/vex/observations?pageToken={}", &next[1..]),
        "/v1/vex/observations?pageToken=AAAA".to_owned(),
        format!("/v1/vex/observations/pending?pageToken={next}"),
    ] {
        let answer = world.get(&token, &path).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (StatusCode::BAD_REQUEST, "bad-page-token"),
            "{path}"
        );
    }
    let stolen = Request::builder()
        .uri(format!("/v1/vex/observations?pageToken={next}"))
        .header("authorization", format!("Bearer {foreign}"))
        .header("x-stella-tenant", "other");
    assert_eq!(world.send(stolen.body(Body::empty()).unwrap()).await.problem(), "bad-page-token");
}

async fn a_known_answer_is_not_sent_again(on: On) {
    let world = World::new(on).await;
    let token = world.token(&[Scope::VexRead, Scope::VexWrite]).await;
    world.post(&token, openvex(1, 4)).await;
    let path = "/v1/vex/observations?limit=2";
    let (first, second) = (world.get(&token, path).await, world.get(&token, path).await);
    assert_eq!((&first.body, &first.headers), (&second.body, &second.headers));
    let tag = first.header("etag").unwrap();
    assert!(tag.starts_with('"'), "{tag}");
    let again = request("GET", &token, path).header("if-none-match", tag);
    let again = world.send(again.body(Body::empty()).unwrap()).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(again.header("x-next-page-token"), first.header("x-next-page-token"));
    world.post(&token, openvex(2, 1)).await;
    let other = request("GET", &token, "/v1/vex/observations").header("if-none-match", tag);
    assert_eq!(world.send(other.body(Body::empty()).unwrap()).await.status, StatusCode::OK);
}

async fn bad_parameters_are_named(on: On) {
    let world = World::new(on).await;
    let token = world.token(READ).await;
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("limit=1&limit=1", "limit"),
        ("status=good", "status"),
        ("document=x", "document"),
        ("rekorUuid=X", "rekorUuid"),
        ("logIndex=-1", "logIndex"),
        ("pending=yes", "pending"),
        ("product=", "product"),
        ("product=%00", "product"),
        ("product=%ff", "product"),
        ("colour=red", "colour"),
        ("pageToken=!", "pageToken"),
    ] {
        let answer = world.get(&token, &format!("/v1/vex/observations?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}: {answer:?}");
        answer.problem();
        assert_eq!(answer.json()["parameter"], parameter, "{query}");
    }
    for path in [
        "/v1/vex/observations/x",
        "/v1/vex/observations/%ff",
        "/v1/vex/documents/X",
        "/v1/bundles/x",
        "/v1/vex/documents/%00",
    ] {
        let answer = world.get(&token, path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}: {answer:?}");
        answer.problem();
    }
}

async fn a_linked_observation_gives_linkage_bundle_and_proof(on: On) {
    let world = World::new(on).await;
    let token = world.token(READ).await;
    let mut fixture = SignedFixture::new(1);
    let ids = world.linked(&mut fixture, 1, 3).await;
    let path = format!("/v1/vex/observations/{}", ids[0].to_text());
    let whole = world.get(&token, &path).await.json();
    let linkage = world.get(&token, &format!("{path}/linkage")).await.json();
    assert_eq!(whole["linkage"], linkage);
    assert_eq!(linkage["rekorUuid"].as_str().unwrap().len(), 64);
    let bundle = world.get(&token, &format!("{path}/bundle")).await;
    assert_eq!(bundle.header("content-type"), Some("application/vnd.dev.sigstore.bundle.v0.3+json"));
    Bundle::parse(&bundle.body).unwrap();
    let kept = world.get(&token, &format!("/v1/bundles/sha256:{}", Digest::of(&bundle.body).to_hex())).await;
    assert_eq!(kept.body, bundle.body);
    let proof = world.get(&token, &format!("{path}/proof")).await;
    let proof = Proof::parse(&proof.body).unwrap();
    assert_eq!(Digest::of(&proof.body), *ids[0].digest());
    assert_eq!(world.get(&token, "/v1/vex/observations/pending").await.json(), serde_json::json!([]));
}

async fn what_is_not_linked_yet_is_told_apart_from_what_is_not_there(on: On) {
    let world = World::new(on).await;
    let token = world.token(&[Scope::VexRead, Scope::VexWrite]).await;
    world.post(&token, openvex(1, 1)).await;
    let pending = world.get(&token, "/v1/vex/observations/pending").await.json();
    let id = pending[0]["observationId"].as_str().unwrap();
    let nobody = format!("vex:obs:sha256:{}", "0".repeat(64));
    for part in ["linkage", "bundle", "proof"] {
        let answer = world.get(&token, &format!("/v1/vex/observations/{id}/{part}")).await;
        assert_eq!((answer.status, answer.problem().as_str()), (StatusCode::NOT_FOUND, "not-linked"));
        let answer = world.get(&token, &format!("/v1/vex/observations/{nobody}/{part}")).await;
        assert_eq!((answer.status, answer.problem().as_str()), (StatusCode::NOT_FOUND, "not-found"));
    }
}

async fn tenants_with_the_same_document_see_their_own_only(on: On) {
    let world = World::new(on).await;
    let token = world.token(&[Scope::VexRead, Scope::VexWrite]).await;
    let (_, other) = world.token_of(&other_tenant(), READ).await;
    let mut fixture = SignedFixture::new(1);
    let ids = world.linked(&mut fixture, 1, 2).await;
    let bundle = world.get(&token, &format!("/v1/vex/observations/{}/bundle", ids[0].to_text())).await;
    let as_other = async |path: String| {
        let request = Request::builder()
            .uri(path)
            .header("authorization", format!("Bearer {other}"))
            .header("x-stella-tenant", "other")
            .header("if-none-match", bundle.header("etag").unwrap());
        world.send(request.body(Body::empty()).unwrap()).await
    };
    let observation = format!("/v1/vex/observations/{}", ids[0].to_text());
    let document = provex_store::testing::document(1, 2).facts.digest.to_text();
    for path in [
        observation.clone(),
        format!("{observation}/linkage"),
        format!("{observation}/bundle"),
        format!("{observation}/proof"),
        format!("/v1/bundles/sha256:{}", Digest::of(&bundle.body).to_hex()),
        format!("/v1/vex/documents/{document}"),
    ] {
        let answer = as_other(path.clone()).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (StatusCode::NOT_FOUND, "not-found"),
            "{path}"
        );
    }
    assert_eq!(as_other("/v1/vex/observations".to_owned()).await.json(), serde_json::json!([]));
}

async fn unknown_paths_and_methods_are_problems(on: On) {
    let world = World::new(on).await;
    let token = world.token(&Scope::ALL).await;
    assert_eq!(world.get(&token, "/v1/nothing").await.problem(), "no-such-path");
    for method in ["PUT", "DELETE", "PATCH"] {
        let answer =
            world.send(request(method, &token, "/v1/vex/observations").body(Body::empty()).unwrap()).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed")
        );
        assert!(answer.header("allow").unwrap().contains("GET"));
    }
    let answer = request("GET", &token, "/v1/vex/observations").header("accept", "text/html");
    assert_eq!(world.send(answer.body(Body::empty()).unwrap()).await.status, StatusCode::NOT_ACCEPTABLE);
}

async fn health_metrics_and_description_need_no_token_on_this_machine(on: On) {
    let world = World::new(on).await;
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs/"] {
        let answer = world.send(Request::builder().uri(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    }
    let metrics = world.send(Request::builder().uri("/metrics").body(Body::empty()).unwrap()).await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(
        text.contains(
            "provex_http_request_duration_seconds_count{method=\"GET\",path=\"/healthz\",status=\"200\"} 1"
        ),
        "{text}"
    );
}
