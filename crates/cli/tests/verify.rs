//! Proofs and bundles, checked by `provex verify` and by another client.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

mod common;

use std::process::Command;

use common::{Folder, all, examples};
use provex_core::bundle::Bundle;
use provex_core::keys::{LocalSigner, PublicKey, RustCrypto, Signer as _};
use provex_core::proof::Proof;
use provex_core::trusted_root::TrustedRoot;
use provex_core::verify::{NoTimestamps, Verifier};
use serde_json::Value;

/// A folder with the examples proven, and one proof beside it.
fn proven() -> (Folder, String) {
    let folder = Folder::new();
    folder.text(0, &["prove", &examples()]);
    let (_, proof) = folder.proof();
    folder.write("proof.json", &proof);
    (folder, String::from_utf8(proof).unwrap())
}

struct Trust {
    root: TrustedRoot,
    keys: Vec<PublicKey>,
}

impl Trust {
    fn of(folder: &Folder) -> Self {
        let root =
            TrustedRoot::parse(&std::fs::read(folder.path("data/trusted_root.json")).unwrap()).unwrap();
        let pem = std::fs::read_to_string(folder.path("data/keys/attest.pub")).unwrap();
        Self { root, keys: vec![PublicKey::from_pem(&pem).unwrap()] }
    }

    /// What `provex verify` does with a proof's bytes.
    fn accepts(&self, proof: &[u8]) -> bool {
        let verifier = Verifier {
            trusted_root: &self.root,
            keys: &self.keys,
            signatures: &RustCrypto,
            timestamps: &NoTimestamps,
        };
        Proof::parse(proof).is_ok_and(|proof| verifier.proof(&proof).is_ok())
    }
}

#[test]
fn a_proof_holds_without_network_folder_or_database() {
    let (folder, _) = proven();
    let empty = folder.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let output = Command::new("unshare")
        .args(["-n", env!("CARGO_BIN_EXE_provex"), "verify", "../proof.json"])
        .args(["--trusted-root", "../data/trusted_root.json", "--key", "../data/keys/attest.pub"])
        .current_dir(&empty)
        .output()
        .unwrap();
    let text = all(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in ["holds", "states", "signed by", "logged in", "append-only", "no trusted time"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(std::fs::read_dir(&empty).unwrap().count(), 0, "verify wrote something");
}

#[test]
fn no_character_of_a_proof_can_be_changed() {
    let (folder, proof) = proven();
    let trust = Trust::of(&folder);
    assert!(trust.accepts(proof.as_bytes()));
    for (at, old) in proof.char_indices() {
        for new in ['A', 'b', '0', '1', ' ', '"', '\u{e9}'] {
            if new == old {
                continue;
            }
            let changed = format!("{}{new}{}", &proof[..at], &proof[at + old.len_utf8()..]);
            assert!(!trust.accepts(changed.as_bytes()), "{old:?} at {at} was changed to {new:?} unnoticed");
        }
    }
}

#[test]
fn a_reformatted_proof_still_holds() {
    let (folder, proof) = proven();
    let value: Value = serde_json::from_str(&proof).unwrap();
    let pretty = serde_json::to_string_pretty(&value).unwrap();
    let path = folder.write("pretty.json", pretty).display().to_string();
    folder.text(0, &["verify", &path]);
}

#[test]
fn a_changed_proof_is_refused_with_the_reason() {
    let (folder, proof) = proven();
    let mut value: Value = serde_json::from_str(&proof).unwrap();
    let mut refused = |pointer: &str, new: Value, reason: &str| {
        let old = std::mem::replace(value.pointer_mut(pointer).unwrap(), new);
        let path = folder.write("changed.json", value.to_string()).display().to_string();
        let text = folder.text(1, &["verify", &path]);
        assert!(text.contains("does not hold") && text.contains(reason), "{pointer}: {text}");
        *value.pointer_mut(pointer).unwrap() = old;
    };
    refused("/body/status", "fixed".into(), "path into the signed set");
    refused("/setIndex", 6.into(), "path into the signed set");
    refused("/setSize", 9.into(), "setSize");
    refused("/documentDigest", "0".repeat(64).into(), "documentDigest");
    refused("/schema", "provex.proof/v2".into(), "schema");
    refused("/bundle/dsseEnvelope/payloadType", "text/plain".into(), "not in-toto");
    let entry = "/bundle/verificationMaterial/tlogEntries/0";
    refused(&format!("{entry}/logIndex"), "7".into(), "inclusionProof.logIndex");
    refused(&format!("{entry}/kindVersion/version"), "0.0.3".into(), "not known");
}

#[test]
fn a_proof_signed_by_somebody_else_is_not_accepted() {
    let (ours, _) = proven();
    let (theirs, proof) = proven();
    let path = ours.write("theirs.json", &proof).display().to_string();
    let root = theirs.path("data/trusted_root.json").display().to_string();
    // Their log is trusted, their key is not.
    let text = ours.text(1, &["verify", &path, "--trusted-root", &root]);
    assert!(text.contains("not trusted"), "{text}");
    // Their key is trusted, their log is not.
    let key = theirs.path("data/keys/attest.pub").display().to_string();
    let text = ours.text(1, &["verify", &path, "--key", &key]);
    assert!(text.contains("does not know the log"), "{text}");
    ours.text(0, &["verify", &path, "--key", &key, "--trusted-root", &root]);
}

#[test]
fn without_a_key_or_a_root_nothing_is_verified() {
    let (folder, _) = proven();
    let proof = folder.path("proof.json").display().to_string();
    let root = folder.path("data/trusted_root.json").display().to_string();
    let key = folder.path("data/keys/attest.pub").display().to_string();
    let run = |args: &[&str]| {
        let output = common::provex()
            .current_dir(folder.root.path())
            .args(["verify", &proof])
            .args(args)
            .output()
            .unwrap();
        (output.status.code(), all(&output))
    };
    let (code, text) = run(&["--trusted-root", &root]);
    assert!(code == Some(2) && text.contains("whose signature to trust"), "{text}");
    let (code, text) = run(&["--key", &key]);
    assert!(code == Some(2) && text.contains("which logs to trust"), "{text}");
    let (code, _) = run(&["--key", &key, "--trusted-root", &proof]);
    assert_eq!(code, Some(2));
    let (code, _) = run(&["--key", "missing.pem", "--trusted-root", &root]);
    assert_eq!(code, Some(3));
}

#[test]
fn what_is_no_proof_is_refused() {
    let (folder, proof) = proven();
    for (name, bytes) in [
        ("empty", Vec::new()),
        ("text", b"hello".to_vec()),
        ("object", b"{}".to_vec()),
        ("two", format!("{proof}{proof}").into_bytes()),
        ("cut", proof.as_bytes()[..proof.len() - 1].to_vec()),
        ("extra", proof.replacen('{', r#"{"x":1,"#, 1).into_bytes()),
        ("twice", proof.replacen('{', r#"{"setSize":1,"#, 1).into_bytes()),
    ] {
        let path = folder.write(name, bytes).display().to_string();
        let text = folder.text(1, &["verify", &path]);
        assert!(text.contains("does not hold"), "{name}: {text}");
    }
}

#[test]
fn sigstore_verify_takes_our_bundles_and_refuses_changed_ones() {
    use sigstore_verify::trust_root::TrustedRoot;
    use sigstore_verify::types::{Bundle, DerPublicKey};
    use sigstore_verify::{PublicKeyVerificationPolicy, verify};

    let (folder, _) = proven();
    let root = TrustedRoot::from_file(folder.path("data/trusted_root.json")).unwrap();
    let pem = std::fs::read_to_string(folder.path("data/keys/attest.pub")).unwrap();
    let policy = PublicKeyVerificationPolicy::new(DerPublicKey::from_pem(&pem).unwrap());
    for row in folder.lines(&["observations", "--ndjson"]) {
        let id = row["observationId"].as_str().unwrap();
        let bundle = folder.text(0, &["export", "--bundle", id]);
        let digest = row["documentDigest"].as_str().unwrap();
        let document = folder.provex(&["show", digest, "--canonical"]).stdout;
        let parsed = Bundle::from_json(&bundle).unwrap();
        verify(document.as_slice(), &parsed, &policy, &root).unwrap();
        assert!(verify(b"another document".as_slice(), &parsed, &policy, &root).is_err());
        let other = LocalSigner::p256_from_random(&[3; 32]).unwrap();
        let other =
            PublicKeyVerificationPolicy::new(DerPublicKey::from_pem(&other.public_key().to_pem()).unwrap());
        assert!(verify(document.as_slice(), &parsed, &other, &root).is_err());
    }
    let bundle = folder.text(0, &["export", "--bundle", &folder.observation_ids()[0]]);
    // One character in the middle of the signed payload.
    let at = bundle.find("\"payload\":\"").unwrap() + 100;
    let new = if bundle.as_bytes()[at] == b'A' { "B" } else { "A" };
    let changed = format!("{}{new}{}", &bundle[..at], &bundle[at + 1..]);
    assert_ne!(changed, bundle);
    let row = &folder.lines(&["observations", "--ndjson"])[0];
    let document = folder.provex(&["show", row["documentDigest"].as_str().unwrap(), "--canonical"]).stdout;
    let refused = Bundle::from_json(&changed)
        .map_err(|e| e.to_string())
        .and_then(|bundle| verify(document.as_slice(), &bundle, &policy, &root).map_err(|e| e.to_string()));
    assert!(refused.is_err());
}

#[test]
fn an_exported_bundle_is_the_one_inside_the_proof() {
    let (folder, proof) = proven();
    let id = folder.observation_ids().remove(0);
    let bundle = folder.text(0, &["export", "--bundle", &id]);
    let nested: Value = serde_json::from_str(&proof).unwrap();
    let nested = provex_core::jcs::canonicalize(&nested["bundle"]).unwrap();
    assert_eq!(bundle.as_bytes(), nested);
    assert_eq!(Bundle::parse(bundle.as_bytes()).unwrap().to_jcs(), nested);
    let digest = format!("sha256:{}", provex_core::digest::Digest::of(bundle.as_bytes()).to_hex());
    assert_eq!(folder.text(0, &["export", "--bundle", &digest]), bundle);
    let path = folder.write("bundle.json", &bundle).display().to_string();
    assert!(folder.text(0, &["verify", &path]).contains("holds"));
}

#[test]
fn one_file_that_cannot_be_read_does_not_stop_the_others() {
    let (folder, proof) = proven();
    let good = folder.path("proof.json").display().to_string();
    let bad = folder.write("bad.json", proof.replacen("affected", "fixed", 1)).display().to_string();
    let missing = folder.path("missing.json").display().to_string();
    let text = folder.text(3, &["verify", &missing, &good]);
    assert!(
        text.contains("missing.json: could not be checked") && text.contains("proof.json: holds"),
        "{text}"
    );
    let output = folder.provex(&["verify", &missing, &bad, &good, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(members(&lines[0]), members(&lines[2]));
    assert_eq!(members(&lines[1]), members(&lines[2]));
}

/// A proof of a document whose author's name needs an escape in JSON, and tries to write a line of its own.
fn proof_of_an_odd_name() -> (Folder, String) {
    let folder = Folder::new();
    let mut document: Value = serde_json::from_slice(
        &std::fs::read(format!("{}/acme-webserver.openvex.json", examples())).unwrap(),
    )
    .unwrap();
    document["author"] = "ACME\u{1f}\n  time         2020-01-01T00:00:00Z by a TSA\u{1b}[31m".into();
    let path = folder.write("odd.json", document.to_string()).display().to_string();
    folder.text(0, &["prove", &path]);
    let (_, proof) = folder.proof();
    (folder, String::from_utf8(proof).unwrap())
}

#[test]
fn a_respelled_escape_is_refused() {
    let (folder, proof) = proof_of_an_odd_name();
    let trust = Trust::of(&folder);
    assert!(trust.accepts(proof.as_bytes()));
    assert!(proof.contains("\\u001f") && proof.contains("\\u001b"));
    for (from, to) in
        [("\\u001f", "\\u001F"), ("\\u001b", "\\u001B"), ("\\n", "\\u000a"), ("ACME", "\\u0041CME")]
    {
        assert!(
            !trust.accepts(proof.replacen(from, to, 1).as_bytes()),
            "{from} was respelled as {to} unnoticed"
        );
    }
}

#[test]
fn members_that_the_bundle_was_not_kept_with_are_refused() {
    let (folder, proof) = proven();
    let trust = Trust::of(&folder);
    let entry = "/bundle/verificationMaterial/tlogEntries/0";
    for (pointer, member, added) in [
        ("/bundle/dsseEnvelope/signatures/0", "keyid", Value::from("x")),
        (entry, "integratedTime", Value::from("0")),
        (entry, "inclusionPromise", Value::Null),
        ("/bundle/verificationMaterial/publicKey", "hint", Value::from("")),
        ("/bundle", "mediaType", Value::from("application/vnd.dev.sigstore.bundle+json;version=0.3")),
    ] {
        let mut value: Value = serde_json::from_str(&proof).unwrap();
        value.pointer_mut(pointer).unwrap()[member] = added;
        assert!(!trust.accepts(value.to_string().as_bytes()), "{member}");
    }
}

#[test]
fn a_document_cannot_write_a_line_of_the_verdict() {
    let (folder, proof) = proof_of_an_odd_name();
    let path = folder.write("odd-proof.json", &proof).display().to_string();
    let text = folder.text(0, &["verify", &path]);
    assert!(
        !text.contains('\u{1b}')
            && !text.lines().any(|line| line.contains("by a TSA") && !line.contains("issuer"))
    );
    assert_eq!(text.lines().filter(|line| line.starts_with("  time ")).count(), 1, "{text}");
}
