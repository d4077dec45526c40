//! Two tenants with identical documents: what one of them has is nothing to the other.
#![allow(clippy::panic, clippy::unwrap_used, reason = "the allowance for tests does not reach helpers")]

mod common;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use common::{Answer, On, World, openvex, other_tenant, tenant};
use provex_store::Scope;
use provex_store::testing::SignedFixture;
use serde_json::Value;

on_each_store! {
    a_foreign_credential_is_told_the_same_of_what_exists_and_what_does_not
    an_idempotency_key_is_of_one_tenant
    nothing_of_one_tenant_shows_in_any_answer_to_the_other
    what_one_tenant_was_given_is_worth_nothing_to_the_other
}

const LISTS: [&str; 3] =
    ["/v1/ledger/attestations", "/v1/ledger/attestations/stream", "/v1/vex/observations"];

/// A tenant with its token of all scopes.
struct Party {
    name: String,
    token: String,
}

/// Both tenants have the same two documents, linked and one more that waits.
async fn parties(world: &World) -> [Party; 2] {
    let mut parties = Vec::new();
    for (number, tenant) in [tenant(), other_tenant()].iter().enumerate() {
        world.clock.advance(1);
        let mut fixture = SignedFixture::new(number as u8 + 1);
        for document in 1..=2 {
            world.linked_for(tenant, &mut fixture, document, 4).await;
        }
        let token = world.token_of(tenant, &Scope::ALL).await.1;
        let party = Party { name: tenant.as_str().to_owned(), token };
        let posted = party.request("POST", "/v1/vex/documents").body(openvex(1, 2).into()).unwrap();
        assert_eq!(world.send(posted).await.status, StatusCode::CREATED);
        parties.push(party);
    }
    parties.try_into().unwrap_or_else(|_| panic!("two tenants"))
}

impl Party {
    fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        let request = Request::builder().method(method).uri(path);
        request
            .header("authorization", format!("Bearer {}", self.token))
            .header("x-stella-tenant", &self.name)
    }

    async fn get(&self, world: &World, path: &str) -> Answer {
        world.send(self.request("GET", path).body(Body::empty()).unwrap()).await
    }

    async fn rows(&self, world: &World, path: &str) -> Vec<Value> {
        let answer = self.get(world, path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        match serde_json::from_str(&text) {
            Ok(Value::Array(rows)) => rows,
            _ => text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        }
    }

    /// Every path that gives something of this tenant.
    async fn paths(&self, world: &World) -> Vec<String> {
        let mut paths: Vec<_> = LISTS.map(str::to_owned).into();
        paths.push("/v1/vex/observations/pending".to_owned());
        for row in self.rows(world, "/v1/vex/observations").await {
            let path = format!("/v1/vex/observations/{}", row["observationId"].as_str().unwrap());
            for part in ["", "/linkage", "/bundle", "/proof"] {
                if part.is_empty() || !row["linkage"].is_null() {
                    paths.push(format!("{path}{part}"));
                }
            }
            paths.push(format!("/v1/vex/documents/{}", row["documentDigest"].as_str().unwrap()));
        }
        for row in self.rows(world, "/v1/ledger/attestations").await {
            paths.push(format!("/v1/bundles/{}", row["evidenceBundleRef"].as_str().unwrap()));
        }
        paths.sort();
        paths.dedup();
        paths
    }
}

/// What belongs to one tenant alone: everything that a signature, a log or the ledger gave it.
async fn marks(party: &Party, world: &World) -> Vec<String> {
    let mut marks = vec![format!("\"{}\"", party.name)];
    for row in party.rows(world, "/v1/ledger/attestations").await {
        for member in [
            "attestationId",
            "dsseDigest",
            "rekorEntryId",
            "evidenceBundleRef",
            "ledgerEventId",
            "merkleLeafHash",
            "rootHash",
            "cycleHash",
        ] {
            marks.push(row[member].as_str().unwrap().to_owned());
        }
    }
    for row in party.rows(world, "/v1/vex/observations").await {
        for member in ["rekorUuid", "rekorTreeRoot", "rekorEntryBodyHash", "rekorEnvelopeDigest"] {
            marks.extend(row["linkage"][member].as_str().map(str::to_owned));
        }
    }
    marks.sort();
    marks.dedup();
    assert!(marks.len() > 20);
    marks
}

fn shown(answer: &Answer) -> String {
    format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body))
}

async fn nothing_of_one_tenant_shows_in_any_answer_to_the_other(on: On) {
    let world = World::new(on).await;
    let parties = parties(&world).await;
    for (one, other) in [(&parties[0], &parties[1]), (&parties[1], &parties[0])] {
        let marks = marks(one, &world).await;
        for path in one.paths(&world).await.into_iter().chain(other.paths(&world).await) {
            let answer = other.get(&world, &path).await;
            // The documents and observations are both's; what proves them is each's own.
            let foreign = path.starts_with("/v1/bundles/") && !other.paths(&world).await.contains(&path);
            let expected = if foreign { StatusCode::NOT_FOUND } else { StatusCode::OK };
            assert_eq!(answer.status, expected, "{path}: {answer:?}");
            let shown = shown(&answer);
            for mark in marks.iter().filter(|mark| !foreign || !path.contains(*mark)) {
                assert!(!shown.contains(mark), "{path}: {mark}: {shown}");
            }
        }
    }
}

async fn what_one_tenant_was_given_is_worth_nothing_to_the_other(on: On) {
    let world = World::new(on).await;
    let [one, other] = &parties(&world).await;
    let nobody = "00000000-0000-8000-8000-000000000000";
    // Its ids choose nothing, as an id that nobody has.
    for row in one.rows(&world, "/v1/ledger/attestations").await {
        let id = row["attestationId"].as_str().unwrap();
        for list in &LISTS[..2] {
            let of_id = async |id: &str| {
                let answer = other.get(&world, &format!("{list}?attestationId={id}")).await;
                (answer.status, answer.body, answer.headers)
            };
            assert_eq!(of_id(id).await, of_id(nobody).await, "{list}");
            assert_eq!(
                one.rows(&world, &format!("{list}?attestationId={id}")).await,
                std::slice::from_ref(&row)
            );
        }
    }
    for row in one.rows(&world, "/v1/vex/observations").await {
        if let Some(leaf) = row["linkage"]["rekorUuid"].as_str() {
            let path = format!("/v1/vex/observations?rekorUuid={leaf}");
            assert_eq!(other.rows(&world, &path).await, [] as [Value; 0]);
        }
    }
    // Its page tokens fit nothing, and are refused in the words for any token.
    for list in ["/v1/ledger/attestations", "/v1/vex/observations", "/v1/vex/observations/pending"] {
        for filter in
            ["", "&status=verified", "&status=not_affected", "&sinceRecordedAt=2020-01-01T00:00:00Z"]
        {
            let page = one.get(&world, &format!("{list}?limit=1{filter}")).await;
            let Some(token) = page.header("x-next-page-token") else { continue };
            let used = other.get(&world, &format!("{list}?limit=1{filter}&pageToken={token}")).await;
            let any = other.get(&world, &format!("{list}?limit=1{filter}&pageToken=AAAA")).await;
            assert_eq!((used.status, used.problem().as_str()), (StatusCode::BAD_REQUEST, "bad-page-token"));
            assert_eq!(used.body, any.body, "{list}{filter}");
            let own = one.get(&world, &format!("{list}?limit=1{filter}&pageToken={token}")).await;
            assert_eq!(own.status, StatusCode::OK, "{list}{filter}");
        }
    }
    // Its validators say nothing of what the other has.
    for path in one.paths(&world).await {
        let Some(tag) = one.get(&world, &path).await.header("etag").map(str::to_owned) else { continue };
        let known = one.request("GET", &path).header("if-none-match", &tag).body(Body::empty()).unwrap();
        assert_eq!(world.send(known).await.status, StatusCode::NOT_MODIFIED, "{path}");
        let plain = other.get(&world, &path).await;
        let used = other.request("GET", &path).header("if-none-match", &tag).body(Body::empty()).unwrap();
        let used = world.send(used).await;
        // A document has no part of a tenant: whoever has its bytes has the same answer.
        let shared = plain.header("etag") == Some(&tag);
        assert!(!shared || plain.body == one.get(&world, &path).await.body, "{path}");
        if !shared {
            assert_eq!((used.status, &used.body), (plain.status, &plain.body), "{path}");
        }
    }
}

async fn a_foreign_credential_is_told_the_same_of_what_exists_and_what_does_not(on: On) {
    let world = World::new(on).await;
    let [one, other] = &parties(&world).await;
    let mut paths = one.paths(&world).await;
    let zeros = "0".repeat(64);
    paths.extend([
        format!("/v1/vex/observations/vex:obs:sha256:{zeros}"),
        format!("/v1/vex/documents/{zeros}"),
        format!("/v1/bundles/sha256:{zeros}"),
        "/v1/ledger/attestations?pageToken=AAAA&nothing=x".to_owned(),
        "/v1/vex/documents/x".to_owned(),
    ]);
    for path in paths {
        let mut answers = Vec::new();
        for tenant in [&one.name, "nobody"] {
            let request = Request::builder().uri(&path).header("x-stella-tenant", tenant);
            let request = request.header("authorization", format!("Bearer {}", other.token));
            let answer = world.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(
                (answer.status, answer.problem().as_str()),
                (StatusCode::FORBIDDEN, "forbidden"),
                "{path}"
            );
            answers.push((answer.headers, answer.body));
        }
        assert_eq!(answers[0], answers[1], "{path}");
    }
}

async fn an_idempotency_key_is_of_one_tenant(on: On) {
    let world = World::new(on).await;
    let [one, other] = &parties(&world).await;
    for (party, number) in [(one, 7), (other, 8)] {
        let post = party.request("POST", "/v1/vex/documents").header("idempotency-key", "the same");
        let answer = world.send(post.body(openvex(number, 1).into()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}: {answer:?}", party.name);
    }
}
