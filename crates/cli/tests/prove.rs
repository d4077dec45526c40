//! The main job, from documents to linkages, through the real binary.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

mod common;

use std::collections::BTreeSet;

use common::{Folder, all, examples, repository};
use serde_json::{Value, json};

fn openvex() -> String {
    repository("testdata/vex/openvex").display().to_string()
}

#[test]
fn proving_again_adds_nothing() {
    let folder = Folder::new();
    let first = folder.json(0, &["prove", &openvex(), "--json"]);
    assert_eq!(first["schema"], "provex.run/v1");
    let recorded = first["observations"]["recorded"].as_u64().unwrap();
    assert!(recorded > 1_000, "{first}");
    assert_eq!(first["linkages"], json!({"linked": recorded, "pending": 0, "failed": 0}));
    let ids = folder.observation_ids();
    let checkpoint = std::fs::read(folder.path("data/log/checkpoint")).unwrap();
    let again = folder.json(0, &["prove", &openvex(), "--json"]);
    assert_eq!(again["observations"]["recorded"], 0);
    assert_eq!(again["linkages"]["linked"], 0);
    assert_eq!(again["documents"]["accepted"], 0);
    assert_eq!(folder.observation_ids(), ids);
    assert_eq!(std::fs::read(folder.path("data/log/checkpoint")).unwrap(), checkpoint);
}

#[test]
fn ids_do_not_depend_on_folder_order_or_threads() {
    let at_once = Folder::new();
    at_once.text(0, &["prove", &openvex()]);
    let one_by_one = Folder::new();
    let mut paths: Vec<_> =
        std::fs::read_dir(openvex()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort_by(|a, b| b.cmp(a));
    for path in paths.iter().filter(|path| path.extension().is_some_and(|e| e == "json")) {
        one_by_one.text(0, &["ingest", &path.display().to_string()]);
    }
    one_by_one.text(0, &["link"]);
    let sorted = |folder: &Folder| {
        let mut ids = folder.observation_ids();
        ids.sort();
        ids
    };
    assert_eq!(sorted(&at_once), sorted(&one_by_one));
}

#[test]
fn one_broken_file_does_not_stop_the_others_and_is_named() {
    let folder = Folder::new();
    let good = std::fs::read(repository("examples/documents/acme-webserver.openvex.json")).unwrap();
    folder.write("in/good.json", &good);
    folder.write("in/broken.json", &good[..good.len() / 2]);
    folder.write("in/notes.txt", "not a document");
    let input = folder.path("in").display().to_string();
    let run = folder.json(1, &["prove", &input, "--json"]);
    assert_eq!(run["documents"]["accepted"], 1);
    assert_eq!(run["documents"]["rejected"], 1);
    assert_eq!(run["documents"]["skipped"], 1);
    assert_eq!(run["linkages"], json!({"linked": 4, "pending": 0, "failed": 0}));
    let rejected = &run["rejected"][0];
    assert!(rejected["path"].as_str().unwrap().ends_with("in/broken.json"));
    assert_eq!(rejected["code"], "unterminated");
    assert!(rejected["line"].as_u64().is_some());
    let text = all(&folder.provex(&["check", &input]));
    assert!(text.contains("broken.json") && text.contains("[unterminated]"), "{text}");
}

#[test]
fn each_kind_of_bad_input_has_an_error_of_its_own() {
    let folder = Folder::new();
    folder.text(0, &["init"]);
    std::fs::write(folder.path("data/provex.toml"), "max_document_bytes = 100000\n").unwrap();
    let cases = [
        ("plain.txt", b"hello".to_vec(), "bad_literal"),
        ("empty.json", b" ".to_vec(), "empty"),
        ("other.json", br#"{"name": "left-pad"}"#.to_vec(), "unknown_format"),
        ("array.json", b"[1, 2]".to_vec(), "unknown_format"),
        ("deep.json", [vec![b'['; 200], vec![b']'; 200]].concat(), "too_deep"),
        ("large.json", format!("{{\"a\": \"{}\"}}", "x".repeat(100_000)).into_bytes(), "too_large"),
        (
            "twice.json",
            br#"{"@context": "https://openvex.dev/ns/v0.2.0", "@context": "x"}"#.to_vec(),
            "duplicate_key",
        ),
        ("trailing.json", br#"{"@context": "https://openvex.dev/ns/v0.2.0"} x"#.to_vec(), "trailing_data"),
        ("latin1.json", b"{\"a\": \"\xe4\"}".to_vec(), "not_utf8"),
    ];
    for (name, bytes, code) in cases {
        let path = folder.write(name, bytes).display().to_string();
        let run = folder.json(1, &["prove", &path, "--json"]);
        assert_eq!(run["rejected"][0]["code"], code, "{name}: {run}");
        assert!(!run["rejected"][0]["message"].as_str().unwrap().is_empty());
    }
    let missing = folder.path("missing.json").display().to_string();
    let run = folder.json(1, &["prove", &missing, "--json"]);
    assert_eq!(run["rejected"][0]["code"], "unreadable");
    assert!(folder.lines(&["observations", "--ndjson"]).is_empty());
    let status = |args: &[&str]| folder.provex(args).status.code();
    assert_eq!(status(&["prove"]), Some(2));
    assert_eq!(status(&["observations", "--status", "wontfix"]), Some(2));
    assert_eq!(status(&["show", "abc"]), Some(2));
    assert_eq!(status(&["show", &"0".repeat(64)]), Some(1));
    assert_eq!(status(&["--tenant", "nobody", "prove", &examples()]), Some(2));
    assert_eq!(status(&["--tenant", "no/body", "prove", &examples()]), Some(2));
}

#[test]
fn a_document_read_from_standard_input_is_the_same_document() {
    use std::io::Write as _;
    let folder = Folder::new();
    let path = repository("examples/documents/acme-webserver.openvex.json");
    let mut child = common::provex()
        .arg("--data")
        .arg(folder.data())
        .args(["prove", "-", "--json"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(&path).unwrap()).unwrap();
    let run: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(run["observations"]["recorded"], 4);
    let run = folder.json(0, &["prove", &path.display().to_string(), "--json"]);
    assert_eq!(run["documents"]["unchanged"], 1);
}

#[test]
fn ingest_leaves_observations_pending_and_link_proves_them() {
    let folder = Folder::new();
    let run = folder.json(0, &["ingest", &examples(), "--json"]);
    assert_eq!(run["linkages"], json!({"linked": 0, "pending": 7, "failed": 0}));
    let pending = folder.lines(&["pending", "--ndjson"]);
    assert_eq!(pending.len(), 7);
    let key = |row: &Value| (row["createdAt"].to_string(), row["observationId"].to_string());
    assert!(pending.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])));
    assert!(pending.iter().all(|row| row["linkage"].is_null()));
    let id = pending[0]["observationId"].as_str().unwrap();
    assert_eq!(folder.provex(&["export", "--proof", id]).status.code(), Some(1));
    let run = folder.json(0, &["link", "--json"]);
    assert_eq!(run["linkages"], json!({"linked": 7, "pending": 0, "failed": 0}));
    assert!(folder.lines(&["pending", "--ndjson"]).is_empty());
    assert_eq!(folder.provex(&["export", "--proof", id]).status.code(), Some(0));
}

#[test]
fn observations_are_found_by_each_filter() {
    let folder = Folder::new();
    folder.text(0, &["prove", &examples()]);
    let count = |args: &[&str]| folder.lines(&[&["observations", "--ndjson"], args].concat()).len();
    assert_eq!(count(&[]), 7);
    assert_eq!(count(&["--vulnerability", "CVE-2026-1234"]), 4);
    assert_eq!(count(&["--vulnerability", "cve-2026-1234"]), 4);
    assert_eq!(count(&["--vulnerability", "GHSA-5qrp-gqrr-2rgf"]), 1);
    assert_eq!(count(&["--product", "pkg:generic/acme/webserver@2.4.1"]), 2);
    assert_eq!(count(&["--product", "pkg:generic/acme/webserver"]), 4);
    assert_eq!(count(&["--status", "not_affected"]), 2);
    assert_eq!(count(&["--pending"]), 0);
    let first = &folder.lines(&["observations", "--ndjson"])[0];
    let linkage = &first["linkage"];
    assert!(count(&["--rekor-uuid", linkage["rekorUuid"].as_str().unwrap()]) >= 1);
    assert!(count(&["--log-index", &linkage["rekorLogIndex"].to_string()]) >= 1);
    assert!(count(&["--document", first["documentDigest"].as_str().unwrap()]) >= 1);
    assert_eq!(count(&["--status", "fixed", "--vulnerability", "CVE-2026-1234"]), 1);
}

#[test]
fn every_id_is_the_digest_of_what_show_canonical_prints() {
    let folder = Folder::new();
    folder.text(0, &["prove", &examples()]);
    for row in folder.lines(&["observations", "--ndjson"]) {
        let envelope = row["linkage"]["rekorEnvelopeDigest"].as_str().unwrap();
        let ids = [row["observationId"].as_str().unwrap(), row["documentDigest"].as_str().unwrap(), envelope];
        for id in ids {
            let shown = folder.provex(&["show", id, "--canonical"]);
            let digest = provex_core::digest::Digest::of(&shown.stdout).to_hex();
            assert_eq!(digest, id.trim_start_matches("vex:obs:sha256:"), "{id}");
        }
    }
}

#[test]
fn init_is_repeatable_and_an_origin_is_for_ever() {
    let folder = Folder::new();
    let made = folder.text(0, &["init", "--origin", "vex-log.acme.example"]);
    assert!(made.contains("vex-log.acme.example"));
    let root = std::fs::read(folder.path("data/trusted_root.json")).unwrap();
    folder.text(0, &["init"]);
    assert_eq!(std::fs::read(folder.path("data/trusted_root.json")).unwrap(), root);
    assert_eq!(folder.provex(&["init", "--origin", "other.example"]).status.code(), Some(2));
    assert_eq!(Folder::new().provex(&["init", "--origin", "https://x/y"]).status.code(), Some(2));
    let checkpoint = std::fs::read_to_string(folder.path("data/log/checkpoint")).unwrap();
    assert!(
        checkpoint.starts_with("vex-log.acme.example\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")
    );
}

#[test]
fn secrets_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    folder.text(0, &["init"]);
    for name in ["attest.pem", "log.pem", "salt.key"] {
        let path = folder.path("data/keys").join(name);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    let key = folder.path("data/keys/attest.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = folder.provex(&["prove", &examples()]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(all(&refused).contains("chmod 600"), "{}", all(&refused));
}

#[test]
fn two_processes_on_one_folder_link_every_document_once() {
    let folder = Folder::new();
    folder.text(0, &["init"]);
    let spawn = || {
        common::provex()
            .arg("--data")
            .arg(folder.data())
            .args(["prove", &openvex(), "--json"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    let outputs = [spawn(), spawn(), spawn()].map(|child| child.wait_with_output().unwrap());
    for output in &outputs {
        assert_eq!(output.status.code(), Some(0), "{}", all(output));
        let run: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(run["linkages"]["pending"], 0, "a process ended before what it was asked for was done");
    }
    assert!(folder.lines(&["pending", "--ndjson"]).is_empty());
    let rows = folder.lines(&["observations", "--ndjson"]);
    let entries: std::collections::BTreeSet<_> =
        rows.iter().map(|row| row["linkage"]["rekorLogIndex"].as_u64().unwrap()).collect();
    let checkpoint = std::fs::read_to_string(folder.path("data/log/checkpoint")).unwrap();
    let size: u64 = checkpoint.lines().nth(1).unwrap().parse().unwrap();
    let anchors = folder.json(0, &["ledger", "audit", "--json"])["anchored"].as_u64().unwrap();
    let logged = entries.len() as u64 + anchors;
    assert_eq!(logged, size, "an entry was logged that no observation is linked to");
}

#[test]
fn every_unit_proves_the_same_observations() {
    let input = repository("testdata/vex/openvex");
    // A document with many observations, some with few, and all of them in one batch.
    let paths =
        ["rancher_index.docker.io_rancher_shell.openvex.json", "go-vex_v0.2.0.json", "vexctl_demo.vex.json"];
    let paths: Vec<_> = paths.iter().map(|name| input.join(name).display().to_string()).collect();
    let mut ids = Vec::new();
    for (unit, arguments) in [
        ("document", vec!["--unit", "document"]),
        ("observation", vec!["--unit", "observation"]),
        ("batch", vec!["--unit", "batch", "--batch-size", "2"]),
    ] {
        let folder = Folder::new();
        let mut args = vec!["prove", "--json"];
        args.extend(&arguments);
        args.extend(paths.iter().map(String::as_str));
        let run = folder.json(0, &args);
        assert_eq!(run["linkages"]["linked"], run["observations"]["recorded"], "{unit}");
        let found = folder.observation_ids();
        let size: u64 = {
            let checkpoint = std::fs::read_to_string(folder.path("data/log/checkpoint")).unwrap();
            checkpoint.lines().nth(1).unwrap().parse().unwrap()
        };
        let expected = match unit {
            "document" => 3,
            "observation" => found.len() as u64,
            _ => 2,
        };
        // The anchor of the ledger comes on top.
        assert_eq!(size, expected + 1, "{unit}");
        for (at, id) in found.iter().enumerate().step_by(7) {
            let proof = folder.path(&format!("proof-{at}.json")).display().to_string();
            folder.text(0, &["export", "--proof", id, "-o", &proof]);
            folder.text(0, &["verify", &proof]);
        }
        let mut found = found;
        found.sort();
        ids.push(found);
    }
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[0], ids[2]);
    let folder = Folder::new();
    assert_eq!(folder.provex(&["prove", &examples(), "--batch-size", "4"]).status.code(), Some(2));
}

#[test]
fn status_says_what_waits_and_what_to_do() {
    let folder = Folder::new();
    folder.text(0, &["ingest", &examples()]);
    let before = folder.json(0, &["status", "--json"]);
    assert_eq!(before["observations"], json!({"recorded": 7, "linked": 0, "pending": 7, "failed": 0}));
    assert_eq!(before["queue"]["attest"], 3);
    assert!(before["oldestPending"].is_string());
    let text = folder.text(0, &["status"]);
    assert!(text.contains("3 to attest") && text.contains("next          provex link"), "{text}");
    folder.text(0, &["link"]);
    let after = folder.json(0, &["status", "--json"]);
    assert_eq!(after["observations"], json!({"recorded": 7, "linked": 7, "pending": 0, "failed": 0}));
    assert_eq!(after["queue"]["attest"], 0);
    assert_eq!(after["log"]["treeSize"], 3 + 1, "three statements and the anchor of the ledger");
    assert!(after["oldestPending"].is_null());
}

#[test]
fn tenants_see_nothing_of_one_another() {
    let folder = Folder::new();
    folder.text(0, &["prove", &examples()]);
    folder.text(0, &["tenant", "add", "acme"]);
    assert_eq!(folder.json(0, &["tenant", "list", "--json"]), json!({"tenants": ["acme", "default"]}));
    assert!(folder.lines(&["--tenant", "acme", "observations", "--ndjson"]).is_empty());
    let run = folder.json(0, &["--tenant", "acme", "prove", &examples(), "--json"]);
    assert_eq!(run["linkages"], json!({"linked": 7, "pending": 0, "failed": 0}));
    // The same documents give the same observations, and statements that share no leaf.
    let of = |tenant: &str| folder.lines(&["--tenant", tenant, "observations", "--ndjson"]);
    let (ours, theirs) = (of("default"), of("acme"));
    let ids = |rows: &[Value]| {
        let mut ids: Vec<_> = rows.iter().map(|row| row["observationId"].to_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&ours), ids(&theirs));
    let leaves = |rows: &[Value]| -> std::collections::BTreeSet<String> {
        rows.iter().map(|row| row["linkage"]["rekorUuid"].to_string()).collect()
    };
    assert!(leaves(&ours).is_disjoint(&leaves(&theirs)));
}

#[test]
fn a_log_checkpoint_is_a_note_of_its_size() {
    let folder = Folder::new();
    folder.text(0, &["prove", &examples()]);
    let note = folder.text(0, &["log", "checkpoint"]);
    assert_eq!(note.as_bytes(), std::fs::read(folder.path("data/log/checkpoint")).unwrap());
    let view = folder.json(0, &["log", "checkpoint", "--json"]);
    assert_eq!(view["treeSize"], 3 + 1);
    assert_eq!(view["note"], note);
}

#[test]
fn a_named_pipe_in_a_folder_stops_nothing() {
    let folder = Folder::new();
    folder
        .write("in/good.json", std::fs::read(format!("{}/acme-webserver.openvex.json", examples())).unwrap());
    let pipe = folder.path("in/a-pipe.json");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let input = folder.path("in").display().to_string();
    let run = folder.json(1, &["prove", &input, "--json"]);
    assert_eq!(run["rejected"][0]["code"], "unreadable");
    assert_eq!(run["linkages"]["linked"], 4);
}

#[test]
fn status_shows_the_head_of_the_ledger() {
    let folder = Folder::new();
    folder.text(0, &["init"]);
    assert!(folder.text(0, &["status"]).contains("ledger        no events yet"));
    folder.text(0, &["prove", &examples()]);
    let audit = folder.json(0, &["ledger", "audit", "--json"]);
    let (events, root) = (audit["events"].as_u64().unwrap(), audit["rootHash"].as_str().unwrap());
    assert!(events > 3, "{audit}");
    let status = folder.text(0, &["status"]);
    assert!(status.contains(&format!("ledger        {events} events, root {root}")), "{status}");
    let ledger = &folder.json(0, &["status", "--json"])["ledger"];
    assert_eq!((&ledger["treeSize"], &ledger["rootHash"]), (&json!(events), &json!(root)));
}

/// A document with so many claims, of which the name makes the only difference.
fn write_document(folder: &Folder, name: &str, claims: usize) -> String {
    let statement = |number| {
        json!({
            "vulnerability": {"name": format!("CVE-2026-{number:04}")},
            "products": [{"@id": format!("pkg:generic/{name}@1.0")}],
            "status": "fixed",
        })
    };
    let document = json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": format!("https://example.org/vex/{name}"),
        "author": "Example",
        "timestamp": "2026-01-01T00:00:00Z",
        "version": 1,
        "statements": (1_000..1_000 + claims).map(statement).collect::<Vec<_>>(),
    });
    folder.write(&format!("in/{name}.json"), document.to_string()).display().to_string()
}

#[test]
fn a_preview_of_batches_is_what_prove_logs() {
    let folder = Folder::new();
    let leaves = |folder: &Folder| -> BTreeSet<String> {
        let rows = folder.lines(&["observations", "--ndjson"]);
        rows.iter().filter_map(|row| row["linkage"]["rekorUuid"].as_str().map(str::to_owned)).collect()
    };
    // Some are proven already, and some wait for a statement.
    for name in ["03", "07", "11"] {
        folder.text(0, &["prove", &write_document(&folder, name, 1)]);
    }
    let before = leaves(&folder);
    for name in ["30", "05", "29", "01"] {
        folder.text(0, &["ingest", &write_document(&folder, name, 1)]);
    }
    // The large ones are read last, on whichever core.
    for number in 0..32 {
        let name = format!("{number:02}");
        if !folder.path(&format!("in/{name}.json")).exists() {
            write_document(&folder, &name, if number % 6 == 0 { 500 } else { 1 });
        }
    }
    let input = folder.path("in").display().to_string();
    let unit = ["--unit", "batch", "--batch-size", "10", &input];
    let preview = folder.text(0, &[["prove", "--preview", "--json"].as_slice(), &unit].concat());
    let preview: Vec<Value> = preview.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let documents = preview.iter().map(|sent| sent["documents"].as_array().unwrap().len());
    assert_eq!(documents.collect::<Vec<_>>(), [10, 10, 9], "4 that wait and 25 new ones");
    let told = folder.text(0, &[["prove", "--preview"].as_slice(), &unit].concat());
    assert!(told.contains("4 document(s) that were recorded before wait for a statement"), "{told}");
    assert!(told.contains("makes other batches"), "{told}");
    folder.text(0, &[["prove"].as_slice(), &unit].concat());
    let shown: BTreeSet<_> =
        preview.iter().map(|sent| sent["leafHash"].as_str().unwrap().to_owned()).collect();
    assert_eq!(shown, leaves(&folder).difference(&before).cloned().collect());
}

#[test]
fn a_preview_of_what_goes_to_no_log_says_that_nothing_is_sent() {
    let folder = Folder::new();
    folder.text(0, &["init"]);
    std::fs::write(folder.data().join("provex.toml"), "[tenants.default]\nlog = \"none\"\n").unwrap();
    let told = folder.text(0, &["prove", "--preview", &examples()]);
    assert_eq!(
        told.matches("signed and kept; nothing is sent, and nothing becomes public").count(),
        3,
        "{told}"
    );
    assert!(!told.contains("becomes public  "), "{told}");
    let sent = folder.lines(&["prove", "--preview", "--json", &examples()]);
    assert!(sent.len() == 3 && sent.iter().all(|sent| sent["request"].is_null()), "{sent:?}");
}
