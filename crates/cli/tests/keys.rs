//! Keys that users bring, and rotation.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

mod common;

use std::process::Command;

use common::{Folder, all, examples, repository};

fn openssl(folder: &Folder, args: &[&str]) {
    let output = Command::new("openssl").args(args).current_dir(folder.root.path()).output().unwrap();
    assert!(output.status.success(), "{}", all(&output));
}

fn own_key(folder: &Folder) {
    openssl(
        folder,
        &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "own.pem"],
    );
    openssl(folder, &["pkey", "-in", "own.pem", "-pubout", "-out", "own.pub"]);
    owner_only(folder, "own.pem");
}

fn owner_only(folder: &Folder, name: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn text(folder: &Folder, name: &str) -> String {
    std::fs::read_to_string(folder.path(name)).unwrap()
}

/// Proves the examples and verifies one of the proofs under this public key alone.
fn proves_under(folder: &Folder, public: &str) {
    folder.text(0, &["prove", &examples()]);
    let (_, proof) = folder.proof();
    let proof = folder.write("proof.json", proof).display().to_string();
    let key = folder.path(public).display().to_string();
    folder.text(0, &["verify", &proof, "--key", &key]);
}

#[test]
fn an_existing_key_signs() {
    let folder = Folder::new();
    own_key(&folder);
    let key = folder.path("own.pem").display().to_string();
    folder.text(0, &["init", "--signing-key", &key]);
    assert_eq!(text(&folder, "data/keys/attest.pub"), text(&folder, "own.pub"));
    proves_under(&folder, "own.pub");
    folder.text(0, &["init", "--signing-key", &key]);
    let other = Folder::new();
    other.text(0, &["init"]);
    assert_eq!(other.provex(&["init", "--signing-key", &key]).status.code(), Some(2));
}

#[test]
fn an_encrypted_key_signs_with_its_password_only() {
    let folder = Folder::new();
    own_key(&folder);
    openssl(
        &folder,
        &["pkcs8", "-topk8", "-in", "own.pem", "-out", "locked.pem", "-passout", "pass:open sesame"],
    );
    owner_only(&folder, "locked.pem");
    let (key, wrong) = (folder.path("locked.pem"), folder.write("wrong", "guess\n"));
    let right = folder.write("right", "open sesame\n");
    let init = |password: &std::path::Path| {
        let (key, password) = (key.display().to_string(), password.display().to_string());
        folder.provex(&["init", "--signing-key", &key, "--password-file", &password])
    };
    let refused = init(&wrong);
    assert_eq!(refused.status.code(), Some(3));
    assert!(all(&refused).contains("wrong password"), "{}", all(&refused));
    assert!(!folder.path("data/keys/attest.pem").exists(), "something was half-written");
    assert!(init(&right).status.success());
    proves_under(&folder, "own.pub");
}

#[test]
fn a_cosign_key_signs_with_its_password_only() {
    let folder = Folder::new();
    let key = folder.write("cosign.key", std::fs::read(repository("testdata/keys/cosign.key")).unwrap());
    folder.write("cosign.pub", std::fs::read(repository("testdata/keys/cosign.pub")).unwrap());
    let key = key.display().to_string();
    let (right, wrong) = (folder.write("right", "correct horse"), folder.write("wrong", "battery staple"));
    let open =
        folder.provex(&["init", "--signing-key", &key, "--password-file", &right.display().to_string()]);
    assert!(all(&open).contains("chmod 600"), "{}", all(&open));
    owner_only(&folder, "cosign.key");
    let refused =
        folder.provex(&["init", "--signing-key", &key, "--password-file", &wrong.display().to_string()]);
    assert!(all(&refused).contains("wrong password"), "{}", all(&refused));
    folder.text(0, &["init", "--signing-key", &key, "--password-file", &right.display().to_string()]);
    proves_under(&folder, "cosign.pub");
}

#[test]
fn a_key_that_cannot_sign_statements_is_refused() {
    let folder = Folder::new();
    openssl(&folder, &["genpkey", "-algorithm", "ed25519", "-out", "ed.pem"]);
    openssl(
        &folder,
        &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", "p384.pem"],
    );
    folder.write("none.pem", "nonsense");
    for name in ["ed.pem", "p384.pem", "none.pem"] {
        owner_only(&folder, name);
        let key = folder.path(name).display().to_string();
        assert_eq!(folder.provex(&["init", "--signing-key", &key]).status.code(), Some(3), "{name}");
    }
}

#[test]
fn a_retired_key_keeps_verifying_and_signs_no_more() {
    let folder = Folder::new();
    folder.text(0, &["prove", &examples()]);
    let (_, old) = folder.proof();
    let old = folder.write("old.json", old).display().to_string();
    folder.text(0, &["key", "rotate"]);
    let keys = folder.json(0, &["key", "show", "--json"]);
    let states: Vec<_> =
        keys["keys"].as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect();
    assert_eq!(states.len(), 2);
    assert!(states.contains(&"active") && states.contains(&"retired"));
    folder.text(0, &["verify", &old]);
    let more = repository("testdata/vex/openvex/vexctl_demo.vex.json").display().to_string();
    folder.text(0, &["prove", &more]);
    let id = folder.observation_ids().pop().unwrap();
    let new = folder.path("new.json").display().to_string();
    folder.text(0, &["export", "--proof", &id, "-o", &new]);
    let active = folder.path("data/keys/attest.pub").display().to_string();
    folder.text(0, &["verify", &new, "--key", &active]);
    folder.text(1, &["verify", &old, "--key", &active]);
    // The example that `prove` gives is signed by the retired key, and names it.
    let printed = folder.text(0, &["prove", &more]);
    assert!(printed.contains("keys/attest-"), "{printed}");
}

#[test]
fn an_interrupted_rotation_is_finished_by_the_next_command() {
    let folder = Folder::new();
    folder.text(0, &["prove", &examples()]);
    let (_, old) = folder.proof();
    let old = folder.write("old.json", old).display().to_string();
    // Killed after the private key was replaced and before the public one was.
    own_key(&folder);
    std::fs::copy(folder.path("own.pem"), folder.path("data/keys/attest.pem")).unwrap();
    let more = repository("testdata/vex/openvex/vexctl_demo.vex.json").display().to_string();
    folder.text(0, &["prove", &more]);
    assert_eq!(text(&folder, "data/keys/attest.pub"), text(&folder, "own.pub"));
    folder.text(0, &["verify", &old]);
}

#[test]
fn a_rotated_log_is_another_log_and_old_entries_keep_verifying() {
    let folder = Folder::new();
    folder.text(0, &["prove", &examples()]);
    let (_, old) = folder.proof();
    let old = folder.write("old.json", old).display().to_string();
    let before = text(&folder, "data/log/checkpoint");
    folder.text(0, &["key", "rotate", "--log", "--origin", "second.example"]);
    assert!(text(&folder, "data/log/checkpoint").starts_with("second.example\n0\n"));
    let moved = format!("data/ended-logs/{}/checkpoint", before.lines().next().unwrap());
    assert_eq!(text(&folder, &moved), before);
    let more = repository("testdata/vex/openvex/vexctl_demo.vex.json").display().to_string();
    let run = folder.json(0, &["prove", &more, "--json"]);
    assert_eq!(run["linkages"]["linked"], run["observations"]["recorded"]);
    folder.text(0, &["verify", &old]);
    let root: serde_json::Value = serde_json::from_str(&text(&folder, "data/trusted_root.json")).unwrap();
    let windows: Vec<_> = root["tlogs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|log| log["publicKey"]["validFor"]["end"].is_string())
        .collect();
    assert_eq!(windows, [true, false]);
    let config: serde_json::Value = serde_json::from_str(&text(&folder, "data/signing_config.json")).unwrap();
    assert_eq!(config["rekorTlogUrls"][0]["url"], "https://second.example");
    assert_eq!(
        folder.provex(&["key", "rotate", "--log", "--origin", "second.example"]).status.code(),
        Some(2)
    );
}

#[test]
fn a_kept_checkpoint_shows_that_the_log_only_grew() {
    let folder = Folder::new();
    folder.text(0, &["prove", &examples()]);
    let note = folder.text(0, &["log", "checkpoint"]);
    let kept = folder.write("kept", &note).display().to_string();
    let more = repository("testdata/vex/openvex").display().to_string();
    folder.text(0, &["prove", &more]);
    let rows = folder.lines(&["observations", "--ndjson"]);
    let id = rows.last().unwrap()["observationId"].as_str().unwrap().to_owned();
    let proof = folder.path("new.json").display().to_string();
    folder.text(0, &["export", "--proof", &id, "-o", &proof]);
    let text = folder.text(0, &["verify", &proof, "--checkpoint", &kept]);
    assert!(text.contains("since the kept checkpoint of size 3"), "{text}");
    // Without the tiles it cannot be checked; with another log's checkpoint it is not true.
    let empty = folder.path("empty").display().to_string();
    assert_eq!(
        folder.provex(&["verify", &proof, "--checkpoint", &kept, "--log", &empty]).status.code(),
        Some(3)
    );
    let other = Folder::new();
    other.text(0, &["init"]);
    let foreign = other.path("data/log/checkpoint").display().to_string();
    folder.text(1, &["verify", &proof, "--checkpoint", &foreign]);
}

#[test]
fn a_log_that_cannot_have_a_name_leaves_the_old_one_as_it_is() {
    let folder = Folder::new();
    folder.text(0, &["init", "--origin", "log.example.com"]);
    folder.text(2, &["key", "rotate", "--log", "--origin", "log.example.com"]);
    assert!(!folder.data().join("keys/log.next.pem").exists());
    folder.text(0, &["prove", &examples()]);
    assert!(folder.text(0, &["log", "checkpoint"]).starts_with("log.example.com\n"));
}
