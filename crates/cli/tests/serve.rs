//! `provex serve` and `provex token`, over real sockets.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

mod common;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use common::server::{Server, local_token};
use common::{Folder, all, examples, repository};
use serde_json::Value;

#[test]
fn the_page_about_attestations_does_what_it_says() {
    let folder = Folder::new();
    // The page's data folder is `.provex`.
    std::os::unix::fs::symlink(folder.data(), folder.path(".provex")).unwrap();
    let server = Server::start(&folder, &[]);
    let page = std::fs::read_to_string(repository("docs/ledger-attestations.md")).unwrap();
    let section = page.split_once("\n## Try it\n").unwrap().1;
    let blocks = section.split("\n```sh\n").skip(1).map(|block| block.split("\n```").next().unwrap());
    let script = blocks.collect::<Vec<_>>().join("\n").replace("127.0.0.1:7070", &server.address);
    let products: Vec<_> =
        (0..5).map(|n| serde_json::json!({"@id": format!("pkg:generic/app@{n}")})).collect();
    let document = serde_json::json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://example.com/vex/1",
        "author": "Example",
        "timestamp": "2026-01-01T00:00:00Z",
        "version": 1,
        "statements": [{"vulnerability": {"name": "CVE-2026-1000"}, "products": products, "status": "fixed"}],
    });
    folder.write("document.json", document.to_string());
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_provex")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let ran = Command::new("bash")
        .args(["-euc", &script])
        .env("PATH", path)
        .current_dir(&folder.root)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", all(&ran));
    let rows = std::fs::read_to_string(folder.path("rows.ndjson")).unwrap();
    let rows: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 5);
    assert!(
        rows.iter().all(|row| row["verificationStatus"] == "verified" && row["findingId"] == "CVE-2026-1000")
    );
    assert!(all(&ran).contains("proof.json: holds"), "{}", all(&ran));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn the_local_token_is_its_owners_alone_and_stays() {
    let folder = Folder::new();
    let server = Server::start(&folder, &["--no-worker"]);
    let token = local_token(&folder);
    let mode = std::fs::metadata(folder.data().join("local-token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(server.status(&token, "/v1/vex/observations"), 200);
    assert_eq!(server.status("provex_wrong", "/v1/vex/observations"), 401);
    assert_eq!(server.stop(), Some(0));
    let _again = Server::start(&folder, &["--no-worker"]);
    assert_eq!(local_token(&folder), token);
}

#[test]
fn a_revoked_token_is_refused_by_a_running_server() {
    let folder = Folder::new();
    let server = Server::start(&folder, &["--no-worker"]);
    let made = folder
        .json(0, &["token", "create", "--scope", "vex.read", "--label", "audit", "--days", "7", "--json"]);
    let (token, id) = (made["token"].as_str().unwrap(), made["tokenId"].as_str().unwrap());
    assert_eq!(server.status(token, "/v1/vex/observations"), 200);
    assert_eq!(server.status(token, "/v1/ledger/attestations"), 403);
    assert!(folder.text(0, &["token", "list"]).contains("audit"));
    assert!(!folder.text(0, &["token", "list", "--json"]).contains(token));
    folder.text(0, &["token", "revoke", id]);
    assert_eq!(server.status(token, "/v1/vex/observations"), 401);
    folder.text(1, &["token", "revoke", "00000000-0000-7000-8000-000000000000"]);
    folder.text(2, &["token", "create", "--scope", "everything"]);
}

#[test]
fn a_port_that_is_taken_is_told() {
    let folder = Folder::new();
    let server = Server::start(&folder, &["--no-worker"]);
    let second = Folder::new().provex(&["serve", "--listen", &server.address]);
    assert_eq!(second.status.code(), Some(3), "{}", all(&second));
    assert!(all(&second).contains(&server.address) && all(&second).contains("--listen"), "{}", all(&second));
    assert_eq!(Folder::new().provex(&["serve", "--listen", "nowhere"]).status.code(), Some(2));
}

#[test]
fn what_is_no_http_does_not_disturb_the_server() {
    let folder = Folder::new();
    let server = Server::start(&folder, &["--no-worker"]);
    let token = local_token(&folder);
    for bytes in
        [&b"\x16\x03\x01\x00\xff\x00"[..], b"GET / HTTP/1.1\r\nHost: x\r\nX: \xff\0\r\n\r\n", b"", b"GET /"]
    {
        let mut socket = TcpStream::connect(&server.address).unwrap();
        socket.write_all(bytes).unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 5"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(server.status(&token, "/v1/vex/observations"), 200);
    let large = "x".repeat(70_000);
    let answer = all(&server.curl(&token, &["-H", &format!("X-Large: {large}")], "/v1/vex/observations"));
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[test]
fn spans_go_to_the_collector_that_is_named() {
    let folder = Folder::new();
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    let server = Server::start(&folder, &["--no-worker", "--otlp-endpoint", &endpoint]);
    assert_eq!(server.status(&local_token(&folder), "/v1/ledger/attestations?limit=7"), 200);
    // One request is enough to hold both spans, or the next one has the other.
    let mut spans: Vec<Value> = Vec::new();
    while spans.len() < 2 {
        let (mut socket, _) = collector.accept().unwrap();
        let mut received = Vec::new();
        let body = loop {
            let mut part = [0; 4_096];
            let read = socket.read(&mut part).unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&received));
            received.extend_from_slice(&part[..read]);
            let text = String::from_utf8_lossy(&received);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
            if let Ok(body) = serde_json::from_str::<Value>(body) {
                break body;
            }
        };
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}").unwrap();
        spans.extend(body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().iter().cloned());
    }
    let span =
        |name: &str| spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("{spans:#?}"));
    let (request, query) = (span("request"), span("ledger.attestations.query"));
    assert_eq!((&query["traceId"], &query["parentSpanId"]), (&request["traceId"], &request["spanId"]));
    assert_eq!((query["traceId"].as_str().unwrap().len(), query["spanId"].as_str().unwrap().len()), (32, 16));
    let keys: BTreeSet<_> =
        query["attributes"].as_array().unwrap().iter().map(|a| a["key"].as_str().unwrap()).collect();
    let expected =
        ["duration_ms", "filtersHash", "limit", "next_page_token_present", "result_count", "tenant"];
    assert_eq!(keys, BTreeSet::from(expected));
    let limit = query["attributes"].as_array().unwrap().iter().find(|a| a["key"] == "limit").unwrap();
    assert_eq!(limit["value"]["intValue"], "7");
    drop(collector);
    // A collector that is away takes nothing from who asks.
    assert_eq!(server.status(&local_token(&folder), "/v1/ledger/attestations"), 200);
    assert_eq!(server.stop(), Some(0));
    let refused = folder.provex(&["serve", "--otlp-endpoint", "nowhere"]);
    assert_eq!(refused.status.code(), Some(2), "{}", all(&refused));
}

#[test]
fn what_is_uploaded_is_linked_by_the_server_itself() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    let token = local_token(&folder);
    let first = std::fs::read_dir(examples()).unwrap().map(|entry| entry.unwrap().path());
    let first = first.filter(|path| path.extension().is_some_and(|e| e == "json")).min().unwrap();
    let body = format!("@{}", first.display());
    let sent = server.curl(
        &token,
        &["-H", "Content-Type: application/json", "--data-binary", &body],
        "/v1/vex/documents",
    );
    assert!(all(&sent).starts_with("HTTP/1.1 201"), "{}", all(&sent));
    let pending = || all(&server.curl(&token, &[], "/v1/vex/observations/pending"));
    for _ in 0..600 {
        if pending().ends_with("[]") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(pending().ends_with("[]"), "{}", pending());
    // Another process verifies what the server linked.
    let (_, proof) = folder.proof();
    let proof = folder.write("proof.json", proof);
    folder.text(0, &["verify", proof.to_str().unwrap()]);
}
