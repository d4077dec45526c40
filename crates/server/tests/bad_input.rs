//! Whatever is sent, the answer is a problem with the status of its kind, and the server goes on.
#![allow(clippy::panic, clippy::unwrap_used, reason = "the allowance for tests does not reach helpers")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode};
use common::{Answer, On, World, openvex, request};
use provex_server::{Limits, serve};
use provex_store::Scope;
use provex_store::testing::SignedFixture;

on_each_store! {
    a_body_that_pauses_is_given_up
    a_head_that_does_not_come_is_given_up
    bad_headers_are_refused
    bad_queries_are_refused_on_every_path
    bytes_that_are_no_document_are_refused
    other_methods_are_refused_on_every_path
}

const OBSERVATION: &str =
    "/v1/vex/observations/vex:obs:sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// Every path that a GET takes.
fn paths() -> Vec<String> {
    let zeros = "0".repeat(64);
    vec![
        format!("/v1/vex/documents/{zeros}"),
        "/v1/vex/observations".to_owned(),
        "/v1/vex/observations/pending".to_owned(),
        OBSERVATION.to_owned(),
        format!("{OBSERVATION}/linkage"),
        format!("{OBSERVATION}/bundle"),
        format!("{OBSERVATION}/proof"),
        format!("/v1/bundles/sha256:{zeros}"),
        "/v1/ledger/attestations".to_owned(),
        "/v1/ledger/attestations/stream".to_owned(),
    ]
}

/// A problem that is the client's, and says nothing of what is inside.
fn assert_refused(answer: &Answer, status: StatusCode, case: &str) {
    assert_eq!(answer.status, status, "{case}: {answer:?}");
    answer.problem();
    let text = String::from_utf8(answer.body.to_vec()).unwrap().to_lowercase();
    for inner in ["sqlx", "sqlite", "postgres", "select ", "panicked", ".rs:", "/tmp"] {
        assert!(!text.contains(inner), "{case}: {text}");
    }
}

async fn bad_queries_are_refused_on_every_path(on: On) {
    let world = World::new(on).await;
    let token = world.token(&Scope::ALL).await;
    let long = format!("artifactId={}", "x".repeat(1_025));
    for path in paths() {
        for query in [
            "unknown=1",
            "limit=1&limit=1",
            "limit=%31%",
            "limit=1%00",
            "limit=",
            "limit",
            "=",
            "%00=1",
            "%ff=1",
            "artifactId=%ff",
            "artifactId=%00",
            "artifactId=a&artifactId=b",
            "ArtifactId=a",
            "tenantId=other",
            &long,
        ] {
            let answer = world.get(&token, &format!("{path}?{query}")).await;
            assert_refused(&answer, StatusCode::BAD_REQUEST, &format!("{path}?{query}"));
        }
    }
    for (name, values) in [
        (
            "attestationId",
            &[
                "x",
                "00000000-0000-8000-8000-00000000000",
                "00000000-0000-8000-8000-0000000000000",
                "{00000000-0000-8000-8000-000000000000}",
                "urn:uuid:00000000-0000-8000-8000-000000000000",
                "00000000000080008000000000000000",
                "ABCDEF00-0000-8000-8000-000000000000",
                "",
            ][..],
        ),
        (
            "sinceRecordedAt",
            &[
                "now",
                "2026-01-01",
                "2026-01-01T00:00:00",
                "2026-02-30T00:00:00Z",
                "2026-01-01T25:00:00Z",
                "2026-01-01T00:00:61Z",
                "99999-01-01T00:00:00Z",
                "-2026-01-01T00:00:00Z",
                "2026-01-01T00:00:00+01:00",
                "1767225600",
                "",
            ],
        ),
        ("status", &["Verified", "verified,failed", "1", ""]),
        ("limit", &["0", "1001", "-1", "1.0", "1e3", "0x10", "+1", "01", "18446744073709551616", "%D9%A1"]),
        ("pageToken", &["", "e30", "e30=", "bnVsbA", "W10", "\u{e9}", "....", "eyJhdHRlc3RhdGlvbklkIjoxfQ"]),
    ] {
        for value in values {
            let value: String = value.bytes().map(encoded).collect();
            let answer = world.get(&token, &format!("/v1/ledger/attestations?{name}={value}")).await;
            assert_refused(&answer, StatusCode::BAD_REQUEST, &format!("{name}={value}"));
            assert_eq!(answer.json()["parameter"], name, "{value}");
        }
    }
}

/// A byte as a URI may have it; a `+` stays the blank that forms make of it.
fn encoded(byte: u8) -> String {
    if byte.is_ascii_graphic() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
}

async fn bad_headers_are_refused(on: On) {
    let world = World::new(on).await;
    let token = world.token(&Scope::ALL).await;
    let raw = |bytes: &[u8]| HeaderValue::from_bytes(bytes).unwrap();
    for path in paths() {
        for (name, value, status) in [
            ("authorization", raw(b"\xff\xfe"), StatusCode::UNAUTHORIZED),
            ("authorization", raw(b"Bearer"), StatusCode::UNAUTHORIZED),
            ("authorization", raw(b"Bearer "), StatusCode::UNAUTHORIZED),
            ("authorization", raw(b"Basic cHJvdmV4"), StatusCode::UNAUTHORIZED),
            ("x-stella-tenant", raw(b"\xff"), StatusCode::BAD_REQUEST),
            ("x-stella-tenant", raw(b"../other"), StatusCode::BAD_REQUEST),
            ("x-stella-tenant", raw(&[b'a'; 64]), StatusCode::BAD_REQUEST),
            ("x-stella-tenant", raw(b"other"), StatusCode::FORBIDDEN),
        ] {
            let mut request = request("GET", &token, &path).body(Body::empty()).unwrap();
            request.headers_mut().insert(name, value.clone());
            assert_refused(&world.send(request).await, status, &format!("{path} {name}: {value:?}"));
        }
        for (name, value) in
            [("accept", &b"\xff"[..]), ("if-none-match", b"\xff"), ("if-none-match", b"\"\",,W/")]
        {
            let request = request("GET", &token, &path).header(name, raw(value)).body(Body::empty()).unwrap();
            let status = world.send(request).await.status;
            assert!(
                !status.is_server_error() && status != StatusCode::NOT_MODIFIED,
                "{path} {name}: {status}"
            );
        }
    }
    for (name, value, status) in [
        ("content-type", &b"\xff"[..], StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("content-type", b"application/jsonx", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("content-encoding", b"identity, gzip", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("idempotency-key", b"\xff", StatusCode::BAD_REQUEST),
    ] {
        let request = request("POST", &token, "/v1/vex/documents").header(name, raw(value));
        let answer = world.send(request.body(openvex(1, 1).into()).unwrap()).await;
        assert_refused(&answer, status, &format!("{name}: {value:?}"));
    }
}

async fn other_methods_are_refused_on_every_path(on: On) {
    let world = World::new(on).await;
    let token = world.token(&Scope::ALL).await;
    for path in paths() {
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            let answer = world.send(request(method, &token, &path).body(Body::empty()).unwrap()).await;
            assert_refused(&answer, StatusCode::METHOD_NOT_ALLOWED, &format!("{method} {path}"));
            assert_eq!(answer.header("allow"), Some("GET,HEAD"), "{path}");
        }
        let get = world.get(&token, &path).await;
        let head = world.send(request("HEAD", &token, &path).body(Body::empty()).unwrap()).await;
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
    }
    let answer = world.get(&token, "/v1/vex/documents").await;
    assert_refused(&answer, StatusCode::METHOD_NOT_ALLOWED, "GET /v1/vex/documents");
}

async fn bytes_that_are_no_document_are_refused(on: On) {
    let world = World::new(on).await;
    let token = world.token(&Scope::ALL).await;
    let deep = "[".repeat(50_000);
    let mut cut = openvex(1, 3);
    cut.pop();
    let mut invalid = openvex(1, 1);
    let place = invalid.windows(7).position(|bytes| bytes == b"Example").unwrap();
    invalid[place] = 0xff;
    let mut with_nul = openvex(1, 1);
    with_nul[place] = 0;
    for body in [
        &b""[..],
        b"\0",
        b"\xff\xfe{\0}\0",
        b"null",
        b"{}",
        b"<!DOCTYPE x [<!ENTITY a \"a\">]><x>&a;</x>",
        deep.as_bytes(),
        &cut,
        &invalid,
        &with_nul,
    ] {
        let answer = world.post(&token, body.to_vec()).await;
        let case = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        assert_refused(&answer, StatusCode::UNPROCESSABLE_ENTITY, &case);
    }
    // A NUL that JSON may have escaped is kept out of the database, or kept in it, and fails neither store.
    let escaped = String::from_utf8(openvex(1, 1)).unwrap().replace("Example", "Exa\\u0000mple");
    let answer = world.post(&token, escaped).await;
    assert!(!answer.status.is_server_error(), "{answer:?}");
    assert_eq!(world.get(&token, "/readyz").await.status, StatusCode::OK);
}

/// A body that sends a part and then nothing more. From its pause on, time passes at once.
struct Pausing {
    part: Option<Vec<u8>>,
    pauses: bool,
}

impl futures_core::Stream for Pausing {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(part) = self.part.take() {
            return Poll::Ready(Some(Ok(part.into())));
        }
        if !std::mem::replace(&mut self.pauses, true) {
            tokio::time::pause();
        }
        Poll::Pending
    }
}

async fn a_body_that_pauses_is_given_up(on: On) {
    let world = World::new(on).await;
    let token = world.token(&Scope::ALL).await;
    let answer =
        world.post(&token, Body::from_stream(Pausing { part: Some(openvex(1, 1)), pauses: false })).await;
    tokio::time::resume();
    assert_refused(&answer, StatusCode::REQUEST_TIMEOUT, "a pause");
    assert_eq!((answer.problem().as_str(), answer.header("connection")), ("slow-request", Some("close")));
    assert_eq!(world.post(&token, openvex(1, 1)).await.status, StatusCode::CREATED);
}

/// A server on a socket.
async fn listening(world: &World, limits: Limits) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(Arc::clone(&world.app), listener, limits, std::future::pending()));
    address
}

/// Sends bytes and reads until the server ends the connection.
async fn exchange(address: SocketAddr, bytes: Vec<u8>) -> String {
    let exchanged = tokio::task::spawn_blocking(move || {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.write_all(&bytes).unwrap();
        let mut answer = Vec::new();
        // A server that ends the connection with bytes unread may reset it.
        let _ = socket.read_to_end(&mut answer);
        answer
    });
    String::from_utf8_lossy(&exchanged.await.unwrap()).into_owned()
}

async fn a_head_that_does_not_come_is_given_up(on: On) {
    let world = World::new(on).await;
    world.linked(&mut SignedFixture::new(1), 1, 2).await;
    let token = world.token(&Scope::ALL).await;
    let limits = Limits { header_patience: Duration::from_millis(100), ..Limits::default() };
    let address = listening(&world, limits).await;
    for head in ["", "G", "GET /v1/ledger/attestations HTTP/1.1\r\nHost: x\r\nAuthoriz"] {
        let answer = exchange(address, head.as_bytes().to_vec()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    // Who asks well is answered as before.
    let head = format!(
        "GET /v1/ledger/attestations/stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Stella-Tenant: default\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    let answer = exchange(address, head.into_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n0\r\n\r\n"), "{answer}");
}
