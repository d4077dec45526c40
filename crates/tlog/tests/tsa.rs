//! RFC 3161 timestamps: tokens of a real authority, and authorities that answer something else.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

mod servers;

use std::path::Path;
use std::time::Duration;

use provex_core::bundle::Bundle;
use provex_core::keys::{PublicKey, RustCrypto};
use provex_core::time::Timestamp;
use provex_core::trusted_root::{TimestampAuthority, TrustedRoot};
use provex_core::verify::{TimestampVerifier as _, TrustedTime, Verifier, VerifyError};
use provex_tlog::tsa::{Tokens, TsaClient, TsaError};
use servers::wire::{respond, serve};

fn testdata(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/bundles").join(path)).unwrap()
}

/// A bundle whose signature a real authority timestamped, and the root that knows it.
fn timestamped() -> (Bundle, TrustedRoot) {
    let root = TrustedRoot::parse(&testdata("v2/trusted_root.json")).unwrap();
    (Bundle::parse(&testdata("v2/bundle.sigstore.json")).unwrap(), root)
}

fn one_second_before(time: Timestamp) -> Timestamp {
    time.plus_micros(-1_000_000).unwrap()
}

fn verified(bundle: &Bundle, root: &TrustedRoot) -> Result<Vec<TrustedTime>, VerifyError> {
    let keys = [PublicKey::from_pem(&String::from_utf8(testdata("key.pub")).unwrap()).unwrap()];
    let verifier = Verifier { trusted_root: root, keys: &keys, signatures: &RustCrypto, timestamps: &Tokens };
    verifier.bundle(bundle).map(|entry| entry.times().to_vec())
}

#[test]
fn a_token_proves_one_time_of_one_signature() {
    let (bundle, root) = timestamped();
    let (token, signature) = (&bundle.timestamps[0], bundle.envelope.signature());
    let authority = &root.timestamp_authorities[0];
    let time = Tokens.verify(token, signature, authority).unwrap();
    let mut other = signature.to_vec();
    other[20] ^= 1;
    assert!(Tokens.verify(token, &other, authority).is_err());
    for end in 0..token.len() {
        assert!(Tokens.verify(&token[..end], signature, authority).is_err(), "cut to {end} bytes");
    }
    // What is not signed (the status, certificates) can change, the time cannot.
    for position in 0..token.len() {
        let mut changed = token.clone();
        changed[position] ^= 0x04;
        let proven = Tokens.verify(&changed, signature, authority);
        assert!(proven.is_err() || proven == Ok(time), "byte {position}");
    }
}

#[test]
fn a_token_counts_within_its_authoritys_window_only() {
    let (bundle, mut root) = timestamped();
    let time = verified(&bundle, &root).unwrap()[0].time;
    let window = |from, until| {
        let mut root = root.clone();
        (root.timestamp_authorities[0].valid_from, root.timestamp_authorities[0].valid_until) = (from, until);
        verified(&bundle, &root)
    };
    assert_eq!(window(Some(time), Some(time)).unwrap().len(), 1);
    let before = one_second_before(time);
    let ended = window(None, Some(before)).unwrap_err().to_string();
    assert!(ended.contains("outside of the window of the authority"), "{ended}");
    let after = time.plus_micros(1_000_000).unwrap();
    assert!(matches!(window(Some(after), None), Err(VerifyError::Timestamp(_))));
    // A window that is over does not take the other authority's word away.
    let mut over = root.timestamp_authorities[0].clone();
    over.valid_until = Some(before);
    root.timestamp_authorities.insert(0, over);
    assert_eq!(verified(&bundle, &root).unwrap().len(), 1);
    root.timestamp_authorities.clear();
    assert_eq!(verified(&bundle, &root).unwrap(), []);
}

#[test]
fn a_log_that_ended_before_the_trusted_time_is_not_believed() {
    let (bundle, mut root) = timestamped();
    let time = verified(&bundle, &root).unwrap()[0].time;
    root.logs[0].valid_until = Some(time);
    assert_eq!(verified(&bundle, &root).unwrap().len(), 1);
    root.logs[0].valid_until = Some(one_second_before(time));
    assert!(matches!(verified(&bundle, &root), Err(VerifyError::LogEnded { .. })));
    root.timestamp_authorities.clear();
    assert_eq!(verified(&bundle, &root).unwrap(), [], "nothing says when");
}

/// What an authority's answer comes to, asked for a token over the fixture's signature.
async fn answered(status: &'static str, headers: &'static str, body: Vec<u8>) -> Result<Vec<u8>, TsaError> {
    let (bundle, root) = timestamped();
    let url = serve(move |_, stream| respond(stream, status, headers, &body));
    client(&url, root.timestamp_authorities).timestamp(bundle.envelope.signature()).await
}

fn client(url: &str, authorities: Vec<TimestampAuthority>) -> TsaClient {
    TsaClient::new(url, authorities, None, Duration::from_secs(2)).unwrap()
}

fn does_not_hold(answer: Result<Vec<u8>, TsaError>) -> String {
    let Err(error @ TsaError::DoesNotHold { .. }) = answer else { panic!("{answer:?}") };
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_holds_is_handed_on_as_it_came() {
    let token = timestamped().0.timestamps[0].clone();
    assert_eq!(answered("200 OK", "", token.clone()).await.unwrap(), token);
    assert_eq!(answered("201 Created", "", token.clone()).await.unwrap(), token);
}

/// What is after the first two octets and the length that the second one says is coming: the elements of a SEQUENCE.
fn content(der: &[u8]) -> &[u8] {
    let long = if der[1] < 0x80 { 0 } else { usize::from(der[1] & 0x7f) };
    &der[2 + long..]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_the_answer_around_it_is_no_answer() {
    let (bundle, root) = timestamped();
    let elements = content(&bundle.timestamps[0]);
    // A status that grants, without words; then the token.
    let (status, token) = elements.split_at(2 + usize::from(elements[1]));
    assert_eq!((&status[..2], token[0]), (&[0x30, 0x03][..], 0x30));
    let refused = Tokens.verify(token, bundle.envelope.signature(), &root.timestamp_authorities[0]);
    assert!(refused.unwrap_err().to_string().contains("a bare token"));
    assert!(does_not_hold(answered("200 OK", "", token.to_vec()).await).contains("a bare token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_and_another_signatures_token_are_no_timestamp() {
    does_not_hold(answered("200 OK", "", b"<html>welcome</html>".to_vec()).await);
    does_not_hold(answered("200 OK", "", Vec::new()).await);
    let (bundle, root) = timestamped();
    let token = bundle.timestamps[0].clone();
    let url = serve(move |_, stream| respond(stream, "200 OK", "", &token));
    let other = client(&url, root.timestamp_authorities.clone()).timestamp(b"another signature").await;
    assert!(does_not_hold(other).contains("does not hold"));
    let token = bundle.timestamps[0].clone();
    let url = serve(move |_, stream| respond(stream, "200 OK", "", &token));
    let unknown = client(&url, Vec::new()).timestamp(bundle.envelope.signature()).await;
    assert!(does_not_hold(unknown).contains("names no timestamp authority"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_does_not_serve_is_asked_later() {
    let busy = answered("503 Service Unavailable", "Retry-After: 7\r\n", b"busy".to_vec()).await;
    let Err(TsaError::Unavailable { reason, retry_after, .. }) = busy else { panic!("{busy:?}") };
    assert_eq!((reason.as_str(), retry_after), ("it answered 503: busy", Some(Duration::from_secs(7))));
    let long = answered("200 OK", "", vec![0; 70_000]).await;
    assert!(matches!(long, Err(TsaError::Unavailable { .. })), "{long:?}");
    let silent = serve(|_, _| {});
    let silent = client(&silent, Vec::new()).timestamp(b"signature").await;
    assert!(matches!(silent, Err(TsaError::Unavailable { .. })), "{silent:?}");
    let nobody = client("http://127.0.0.1:1", Vec::new()).timestamp(b"signature").await;
    assert!(nobody.unwrap_err().to_string().contains("http://127.0.0.1:1 gives no timestamp"));
    assert!(TsaClient::new("tsa.example", Vec::new(), None, Duration::from_secs(2)).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_authority_gives_tokens_that_hold() {
    if servers::tools().is_none() {
        return;
    }
    let variable = |name| std::env::var(name).unwrap();
    let root = TrustedRoot::parse(&std::fs::read(variable("PROVEX_TEST_TRUSTED_ROOT")).unwrap()).unwrap();
    let authorities = root.timestamp_authorities;
    let client = client(&variable("PROVEX_TEST_TSA_URL"), authorities.clone());
    let token = client.timestamp(b"a signature").await.unwrap();
    let time = Tokens.verify(&token, b"a signature", &authorities[0]).unwrap();
    assert!(Tokens.verify(&token, b"another", &authorities[0]).is_err());
    let later = Tokens.verify(&client.timestamp(b"another").await.unwrap(), b"another", &authorities[0]);
    assert!(later.unwrap() >= time, "an authority's times do not go back");
}
