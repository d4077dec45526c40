//! Entries and bundles that real Rekor v2 servers made: accepted as they are, refused after a change.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

use std::path::PathBuf;

use provex_core::bundle::Bundle;
use provex_core::digest;
use provex_core::dsse::Envelope;
use provex_core::entry::{HashedRekord, LogEntry};
use provex_core::keys::{PublicKey, RustCrypto};
use provex_core::time::Timestamp;
use provex_core::trusted_root::{TrustedLog, TrustedRoot};
use provex_core::verify::{NoTimestamps, Verifier, VerifyError};
use serde_json::Value;

fn testdata(path: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(path);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

struct Case {
    name: String,
    envelope: Vec<u8>,
    key: PublicKey,
    answer: String,
}

/// The accepted requests whose envelope was captured with them.
fn accepted() -> (TrustedRoot, Vec<Case>) {
    let vectors: Value = serde_json::from_slice(&testdata("rekor-v2/vectors.json")).unwrap();
    let logs = vectors["logs"].as_array().unwrap().iter().map(|log| {
        let key = PublicKey::from_pem(log["public_key_pem"].as_str().unwrap()).unwrap();
        TrustedLog::embedded(log["origin"].as_str().unwrap(), key, Timestamp::EPOCH)
    });
    let root = TrustedRoot::new(logs.collect());
    let cases = vectors["cases"].as_array().unwrap().iter().filter(|case| case["status"] == 201);
    let cases = cases.filter(|case| !case["envelope"].is_null()).map(|case| {
        let verifier = &case["request"]["hashedRekordRequestV002"]["signature"]["verifier"];
        let spki = digest::from_base64(verifier["publicKey"]["rawBytes"].as_str().unwrap()).unwrap();
        Case {
            name: case["name"].as_str().unwrap().to_owned(),
            envelope: serde_json::to_vec(&case["envelope"]).unwrap(),
            key: PublicKey::from_spki_der(&spki).unwrap(),
            answer: case["body"].as_str().unwrap().to_owned(),
        }
    });
    (root, cases.collect())
}

fn verify(root: &TrustedRoot, case: &Case, answer: &str) -> Result<(), String> {
    let entry = LogEntry::parse(answer.as_bytes()).map_err(|e| e.to_string())?;
    let envelope = Envelope::parse(&case.envelope).map_err(|e| e.to_string())?;
    let keys = [case.key.clone()];
    let verifier =
        Verifier { trusted_root: root, keys: &keys, signatures: &RustCrypto, timestamps: &NoTimestamps };
    verifier.entry(&envelope, &case.key, &entry).map(|_| ()).map_err(|e| e.to_string())
}

#[test]
fn the_nine_accepted_entries_hold() {
    let (root, cases) = accepted();
    assert_eq!(cases.len(), 9);
    for case in &cases {
        assert_eq!(verify(&root, case, &case.answer), Ok(()), "{}", case.name);
    }
}

#[test]
fn our_body_and_request_are_the_servers() {
    let (_, cases) = accepted();
    let vectors: Value = serde_json::from_slice(&testdata("rekor-v2/vectors.json")).unwrap();
    for case in &cases {
        let envelope = Envelope::parse(&case.envelope).unwrap();
        let ours = HashedRekord::of_envelope(&envelope, &case.key).unwrap();
        let logged = LogEntry::parse(case.answer.as_bytes()).unwrap().canonicalized_body;
        assert_eq!(String::from_utf8(ours.body()), String::from_utf8(logged), "{}", case.name);
        let sent = vectors["cases"].as_array().unwrap().iter().find(|c| c["name"] == *case.name).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&ours.request()).unwrap(), sent["request"]);
    }
}

#[test]
fn an_accepted_entry_is_refused_after_any_change_that_means_something() {
    let (root, cases) = accepted();
    let case = cases.iter().find(|case| case.name == "created-290").unwrap();
    let good: Value = serde_json::from_str(&case.answer).unwrap();
    let paths = [
        ("/logIndex", "1"),
        ("/logId/keyId", "ot/zlQ+9gHNocifYSX9qnlWpaOXHLWdHc0o1ehtMvIg="),
        ("/kindVersion/kind", "dsse"),
        ("/kindVersion/version", "0.0.1"),
        ("/integratedTime", "1"),
        ("/inclusionProof/logIndex", "1"),
        ("/inclusionProof/rootHash", "ot/zlQ+9gHNocifYSX9qnlWpaOXHLWdHc0o1ehtMvIw="),
        ("/inclusionProof/treeSize", "7"),
        ("/inclusionProof/hashes/0", "ot/zlQ+9gHNocifYSX9qnlWpaOXHLWdHc0o1ehtMvIw="),
        ("/inclusionProof/checkpoint/envelope", "log1.rekor.test\n1\n"),
        ("/canonicalizedBody", "e30="),
    ];
    for (path, value) in paths {
        let mut changed = good.clone();
        *changed.pointer_mut(path).unwrap() = Value::from(value);
        assert!(verify(&root, case, &changed.to_string()).is_err(), "{path} was not noticed");
    }
    let other = cases.iter().find(|case| case.name == "created-5").unwrap();
    assert!(verify(&root, other, &case.answer).is_err(), "another envelope's entry was taken");
}

#[test]
fn an_entry_that_the_server_mislabelled_is_refused() {
    // The server logs any `keyDetails` whose hash fits: the label is not evidence, the rebuilt body is.
    let vectors: Value = serde_json::from_slice(&testdata("rekor-v2/vectors.json")).unwrap();
    let case =
        vectors["cases"].as_array().unwrap().iter().find(|c| c["name"] == "mislabelled-key-details-accepted");
    let entry = LogEntry::parse(case.unwrap()["body"].as_str().unwrap().as_bytes()).unwrap();
    let body = String::from_utf8(entry.canonicalized_body).unwrap();
    assert!(body.contains("PKIX_RSA_PKCS1V15_2048_SHA256"));
    let (_, cases) = accepted();
    let envelope = Envelope::parse(&cases[0].envelope).unwrap();
    let ours = HashedRekord::of_envelope(&envelope, &cases[0].key).unwrap().body();
    assert!(!String::from_utf8(ours).unwrap().contains("RSA"));
}

fn bundle_verdict(bundle: &[u8], key: &str, root: &[u8]) -> Result<u64, String> {
    let keys = [PublicKey::from_pem(key).map_err(|e| e.to_string())?];
    let mut root = TrustedRoot::parse(root).map_err(|e| e.to_string())?;
    // Timestamps are checked where their ASN.1 is read (`provex-tlog`), not here.
    root.timestamp_authorities.clear();
    let bundle = Bundle::parse(bundle).map_err(|e| e.to_string())?;
    let verifier =
        Verifier { trusted_root: &root, keys: &keys, signatures: &RustCrypto, timestamps: &NoTimestamps };
    verifier.bundle(&bundle).map(|v| v.linked().log_index).map_err(|e: VerifyError| e.to_string())
}

#[test]
fn both_v2_bundles_hold_and_are_refused_under_another_key_or_root() {
    let key = String::from_utf8(testdata("bundles/key.pub")).unwrap();
    let root = testdata("bundles/v2/trusted_root.json");
    let other = {
        use provex_core::keys::{LocalSigner, Signer as _};
        LocalSigner::p256_from_random(&[1; 32]).unwrap().public_key().to_pem()
    };
    for (name, index) in [("bundle.sigstore.json", 3), ("cosign.bundle.json", 4)] {
        let bundle = testdata(&format!("bundles/v2/{name}"));
        assert_eq!(bundle_verdict(&bundle, &key, &root), Ok(index), "{name}");
        assert!(bundle_verdict(&bundle, &other, &root).unwrap_err().contains("not trusted"));
        let empty = TrustedRoot::new(Vec::new()).to_json();
        assert!(
            bundle_verdict(&bundle, &key, empty.as_bytes()).unwrap_err().contains("does not know the log")
        );
    }
}

#[test]
fn a_v2_bundle_is_refused_after_a_change_of_any_character_outside_its_timestamp() {
    let key = String::from_utf8(testdata("bundles/key.pub")).unwrap();
    let root = testdata("bundles/v2/trusted_root.json");
    let mut good: Value = serde_json::from_slice(&testdata("bundles/v2/bundle.sigstore.json")).unwrap();
    // A token says nothing until it is verified itself, so it is taken off here.
    good["verificationMaterial"].as_object_mut().unwrap().remove("timestampVerificationData");
    let text = good.to_string();
    assert_eq!(bundle_verdict(text.as_bytes(), &key, &root), Ok(3));
    for (at, _) in text.char_indices() {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert!(bundle_verdict(&changed, &key, &root).is_err(), "character {at} was changed unnoticed");
    }
}
