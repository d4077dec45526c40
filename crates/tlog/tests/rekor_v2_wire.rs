//! Answers that a real server cannot be made to give, or that something before it gives.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

mod common;
mod servers;

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use common::{TestLog, submission, submissions};
use flate2::Compression;
use flate2::write::GzEncoder;
use provex_core::entry::LogEntry;
use provex_core::keys::{LocalSigner, RustCrypto, Signer as _};
use provex_core::time::Timestamp;
use provex_core::trusted_root::TrustedLog;
use provex_tlog::rekor_v2::{RekorV2, RekorV2Config, RekorV2Limits};
use provex_tlog::{LogError, Misbehavior, TransparencyLog as _};
use servers::wire::{respond, serve};

fn identity() -> TrustedLog {
    let signer = LocalSigner::ed25519_from_random(&[7; 32]);
    TrustedLog::embedded(common::ORIGIN, signer.public_key().clone(), Timestamp::EPOCH)
}

fn client(url: &str) -> RekorV2 {
    let limits = RekorV2Limits {
        timeout: Duration::from_secs(2),
        recovery: Duration::from_millis(500),
        ..RekorV2Limits::default()
    };
    let config = RekorV2Config {
        url: url.to_owned(),
        read_url: Some(url.to_owned()),
        identity: identity(),
        signatures: Arc::new(RustCrypto),
        tls_roots: None,
        limits,
    };
    RekorV2::new(config).unwrap()
}

/// What a submission answered by these bytes comes to.
async fn answered(status: &'static str, headers: &'static str, body: Vec<u8>) -> LogError {
    let url = serve(move |_, stream| respond(stream, status, headers, &body));
    client(&url).submit(&submission(0).entry).await.unwrap_err()
}

fn misbehavior(error: &LogError) -> &Misbehavior {
    let LogError::Misbehaving(misbehavior) = error else { panic!("{error:?}") };
    misbehavior
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxys_errors_are_never_final() {
    let html = b"<html>\n<h1>Bad Gateway</h1></html>".to_vec();
    let error = answered("502 Bad Gateway", "", html.clone()).await;
    assert!(
        matches!(&error, LogError::InDoubt { reason, .. } if reason.contains("<h1>Bad Gateway")),
        "{error:?}"
    );
    let error = answered("429 Too Many Requests", "Retry-After: 7\r\n", html.clone()).await;
    assert!(matches!(error, LogError::Unavailable { retry_after: Some(wait), .. } if wait.as_secs() == 7));
    let error = answered("503 Service Unavailable", "Retry-After: 100000\r\n", html.clone()).await;
    assert!(
        matches!(error, LogError::Unavailable { retry_after: Some(wait), .. } if wait.as_secs() == 3_600)
    );
    for (status, headers) in
        [("400 Bad Request", ""), ("403 Forbidden", ""), ("301 Moved", "Location: /x\r\n")]
    {
        let error = answered(status, headers, html.clone()).await;
        assert!(matches!(misbehavior(&error), Misbehavior::NoLog { .. }), "{status}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_logs_own_words_are_final() {
    let refused = br#"{"code":3,"message":"invalid hashedrekord request","details":[]}"#.to_vec();
    let error = answered("400 Bad Request", "", refused).await;
    assert!(matches!(&error, LogError::Refused(said) if said == "invalid hashedrekord request"), "{error:?}");
    let error = answered("413 Payload Too Large", "", Vec::new()).await;
    assert!(matches!(error, LogError::Refused(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_ends_early_leaves_the_entry_in_doubt() {
    let cut = |_: &str, stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 4000\r\n\r\n{\"logIndex\":");
    };
    let error = client(&serve(cut)).submit(&submission(0).entry).await.unwrap_err();
    assert!(matches!(error, LogError::InDoubt { .. }), "{error:?}");
    // Closed without a word, as the server does to a handler that took too long.
    let error = client(&serve(|_, _| {})).submit(&submission(0).entry).await.unwrap_err();
    assert!(matches!(error, LogError::InDoubt { .. }), "{error:?}");
    let error = answered("500 Internal Server Error", "", br#"{"code":2,"message":"failed"}"#.to_vec()).await;
    assert!(matches!(error, LogError::InDoubt { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_the_limit_is_read() {
    let endless = |_: &str, stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 201 Created\r\n\r\n");
        while stream.write_all(&[b'x'; 65_536]).is_ok() {}
    };
    let error = client(&serve(endless)).submit(&submission(0).entry).await.unwrap_err();
    assert!(matches!(misbehavior(&error), Misbehavior::TooLong { most: 1_048_576, .. }), "{error:?}");
    let error = answered("201 Created", "", vec![b' '; 2 << 20]).await;
    assert!(matches!(misbehavior(&error), Misbehavior::TooLong { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_trickles_does_not_hold_us() {
    let (ended, trickled) = mpsc::channel();
    let trickle = move |_: &str, stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 201 Created\r\n\r\n");
        while stream.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = ended.send(());
    };
    let error = client(&serve(trickle)).submit(&submission(0).entry).await.unwrap_err();
    assert!(matches!(error, LogError::InDoubt { .. }), "{error:?}");
    trickled.recv_timeout(Duration::from_secs(10)).expect("the connection is given up");
}

/// The answer of a log of ours for one entry, and its folder.
async fn logged(numbers: std::ops::Range<u64>) -> (TestLog, Vec<LogEntry>) {
    let test = TestLog::new();
    let log = Arc::new(test.open());
    let answers = common::submit(&log, &submissions(numbers)).await;
    (test, answers.into_iter().map(Result::unwrap).collect())
}

/// What the log says to all that wait when one of its clients goes away.
const CANCELLED: (&str, &[u8]) = (
    "499 Client Closed Request",
    br#"{"code":1,"message":"add entry: await: context canceled","details":[]}"#,
);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_since_another_client_went_away_is_sent_again() {
    let (_test, answers) = logged(0..1).await;
    let (answer, asked) = (answers[0].to_jcs(), AtomicUsize::new(0));
    let url = serve(move |_, stream| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => respond(stream, CANCELLED.0, "", CANCELLED.1),
        _ => respond(stream, "201 Created", "", &answer),
    });
    let entry = client(&url).submit(&submission(0).entry).await.unwrap();
    assert_eq!(entry, answers[0]);
    // But not for ever.
    let error = answered(CANCELLED.0, "", CANCELLED.1.to_vec()).await;
    let canceled = |reason: &str| reason == "it answered 499: add entry: await: context canceled";
    assert!(matches!(&error, LogError::InDoubt { reason, .. } if canceled(reason)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_about_another_entry_does_not_hold() {
    let (_test, answers) = logged(1..2).await;
    let error = answered("201 Created", "", answers[0].to_jcs()).await;
    assert!(matches!(misbehavior(&error), Misbehavior::OtherEntry { index: 0 }), "{error:?}");
    let error = answered("201 Created", "", b"{}".to_vec()).await;
    assert!(matches!(misbehavior(&error), Misbehavior::Entry(_)), "{error:?}");
    let error = answered("200 OK", "", b"hello".to_vec()).await;
    assert!(matches!(misbehavior(&error), Misbehavior::NoLog { status: 200, .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_a_changed_proof_does_not_hold() {
    let (_test, answers) = logged(0..3).await;
    let own = answers.iter().find(|entry| entry.canonicalized_body == submission(0).entry.body()).unwrap();
    let mut changed = own.clone();
    changed.inclusion.hashes[0] = submission(9).entry.leaf_hash();
    let error = answered("201 Created", "", changed.to_jcs()).await;
    assert!(matches!(misbehavior(&error), Misbehavior::Inclusion(_)), "{error:?}");
    let mut changed = own.clone();
    changed.inclusion.checkpoint = changed.inclusion.checkpoint.replace("\n3\n", "\n4\n");
    let error = answered("201 Created", "", changed.to_jcs()).await;
    assert!(matches!(misbehavior(&error), Misbehavior::Checkpoint(_)), "{error:?}");
}

/// A server that says `409` with this index, over the tiles of a log of ours, one file of which it may replace.
async fn duplicate(
    headers: &'static str,
    replace: impl Fn(&str, Vec<u8>) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> Result<LogEntry, LogError> {
    duplicate_sent(headers, "", replace).await
}

/// The same, with these headers on what is read.
async fn duplicate_sent(
    headers: &'static str,
    of_files: &'static str,
    replace: impl Fn(&str, Vec<u8>) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> Result<LogEntry, LogError> {
    let (test, answers) = logged(0..300).await;
    let fifth = answers.iter().position(|entry| entry.log_index == 5).unwrap() as u64;
    let folder = test.folder.clone();
    let url = serve(move |path, stream| {
        if path.ends_with("/log/entries") {
            return respond(
                stream,
                "409 Conflict",
                headers,
                br#"{"code":6,"message":"there is one with index 5"}"#,
            );
        }
        let file = std::fs::read(folder.join(path.trim_start_matches('/'))).ok();
        match file.and_then(|bytes| replace(path, bytes)) {
            Some(bytes) => respond(stream, "200 OK", of_files, &bytes),
            None => respond(stream, "404 Not Found", "", b""),
        }
    });
    client(&url).submit(&submission(fifth).entry).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_is_read_from_tiles_whoever_names_its_index() {
    for headers in ["X-Log-Index: 5\r\n", ""] {
        let entry = duplicate(headers, |_, bytes| Some(bytes)).await.unwrap();
        assert_eq!((entry.log_index, entry.inclusion.tree_size), (5, 300));
    }
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_come_gzipped_unasked_are_unpacked_up_to_their_limit() {
    const FIFTH: &str = "X-Log-Index: 5\r\n";
    let all = |_: &str, bytes: Vec<u8>| Some(zipped(&bytes));
    for encoding in ["Content-Encoding: gzip\r\n", "content-encoding: GZip\r\n"] {
        assert_eq!(duplicate_sent(FIFTH, encoding, all).await.unwrap().log_index, 5);
    }
    let gzip = "Content-Encoding: gzip\r\n";
    // 20 MB in 20 kB, more than any entry bundle has.
    let bomb = zipped(&vec![0; 20 << 20]);
    let bombed = move |path: &str, bytes: Vec<u8>| {
        Some(if path.contains("entries") { bomb.clone() } else { zipped(&bytes) })
    };
    let error = duplicate_sent(FIFTH, gzip, bombed).await.unwrap_err();
    assert!(matches!(misbehavior(&error), Misbehavior::TooLong { .. }), "{error:?}");
    let cut = |_: &str, bytes: Vec<u8>| Some(zipped(&bytes)[..30].to_vec());
    for (encoding, says) in
        [(gzip, "in the encoding gzip: "), ("Content-Encoding: br\r\n", "encoding br, unasked")]
    {
        let error = duplicate_sent(FIFTH, encoding, cut).await.unwrap_err();
        assert!(matches!(&error, LogError::InDoubt { reason, .. } if reason.contains(says)), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_at_another_place_does_not_hold() {
    let error = duplicate("X-Log-Index: 6\r\n", |_, bytes| Some(bytes)).await.unwrap_err();
    assert!(matches!(misbehavior(&error), Misbehavior::OtherEntry { index: 6 }), "{error:?}");
    let error = duplicate("X-Log-Index: 300\r\n", |_, bytes| Some(bytes)).await.unwrap_err();
    assert!(
        matches!(&error, LogError::InDoubt { reason, .. } if reason.contains("300 entries")),
        "{error:?}"
    );
    let error = duplicate("X-Log-Index: five\r\n", |_, bytes| Some(bytes)).await.unwrap_err();
    assert!(matches!(error, LogError::InDoubt { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tiles_that_were_changed_do_not_hold() {
    let change = |wanted: &'static str, at: usize| {
        move |path: &str, mut bytes: Vec<u8>| {
            if path.contains(wanted) {
                bytes[at] ^= 1;
            }
            Some(bytes)
        }
    };
    let within_fifth = 5 * (2 + submission(0).entry.body().len()) + 50;
    let changed = |wanted, at| duplicate("X-Log-Index: 5\r\n", change(wanted, at));
    let error = changed("checkpoint", 40).await.unwrap_err();
    assert!(matches!(misbehavior(&error), Misbehavior::Checkpoint(_)), "{error:?}");
    let error = changed("tile/0/000", 0).await.unwrap_err();
    assert!(matches!(misbehavior(&error), Misbehavior::Inclusion(_)), "{error:?}");
    let error = changed("tile/entries/000", within_fifth).await.unwrap_err();
    assert!(matches!(misbehavior(&error), Misbehavior::OtherEntry { .. }), "{error:?}");
    let cut = |path: &str, bytes: Vec<u8>| {
        Some(if path.contains("tile/0/000") { bytes[..33].to_vec() } else { bytes })
    };
    let error = duplicate("X-Log-Index: 5\r\n", cut).await.unwrap_err();
    assert!(matches!(misbehavior(&error), Misbehavior::Tiles(_)), "{error:?}");
    // Nothing there yet: it is in the log, and is asked for again.
    let gone = |path: &str, bytes: Vec<u8>| (!path.contains("tile/0/000")).then_some(bytes);
    let error = duplicate("X-Log-Index: 5\r\n", gone).await.unwrap_err();
    assert!(matches!(&error, LogError::InDoubt { reason, .. } if reason.contains("index 5")), "{error:?}");
}
