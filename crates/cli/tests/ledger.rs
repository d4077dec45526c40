//! `provex ledger`: roots, their anchors, and what an audit says of them.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

mod common;

use std::fs;

use common::{Folder, all, examples, tamper};
use provex_core::digest::Digest;
use serde_json::{Value, json};

fn newest_root(folder: &Folder) -> Value {
    folder.json(0, &["status", "--json"])["ledger"]["newestRoot"].clone()
}

#[test]
fn prove_signs_the_root_and_anchors_it() {
    let folder = Folder::new();
    let run = folder.json(0, &["prove", &examples(), "--json"]);
    let root = &run["ledgerRoot"];
    let reference = root["anchorReference"].as_str().unwrap();
    let log = reference.strip_prefix("rekor:").unwrap().split_once(':').unwrap();
    assert_eq!((log.0.len(), root["exportReference"].is_null()), (64, true), "{root}");
    let note = root["checkpoint"].as_str().unwrap();
    let origin = format!("provex.dev/ledger/{}", root["chainId"].as_str().unwrap());
    assert!(note.starts_with(&format!("{origin}\n{}\n", root["treeSize"])), "{note}");
    assert!(note.contains(&format!("\n\n— {origin} ")), "{note}");
    // The anchor is an entry of the log, and one event more.
    let audit = folder.json(0, &["ledger", "audit", "--json"]);
    assert_eq!((&audit["roots"], &audit["anchored"], &audit["wrong"]), (&json!(1), &json!(1), &Value::Null));
    assert_eq!(audit["events"].as_u64().unwrap(), root["treeSize"].as_u64().unwrap() + 1);
    let status = folder.text(0, &["status"]);
    for shown in [format!("root of {} events signed ", root["treeSize"]), format!("anchored as {reference}")]
    {
        assert!(status.contains(&shown), "{shown}: {status}");
    }
    // Nothing but the anchor's own event came since.
    let again = folder.json(0, &["prove", &examples(), "--json"]);
    assert_eq!(&again["ledgerRoot"], root);
    assert_eq!(folder.json(0, &["ledger", "anchor", "--json"]), *root);
    let text = folder.text(0, &["link"]);
    let line =
        format!("ledger        {} events, root {}", root["treeSize"], root["rootHash"].as_str().unwrap());
    assert!(text.contains(&line) && text.contains(&format!("anchored as {reference}")), "{text}");
}

#[test]
fn ingested_documents_are_anchored_when_asked() {
    let folder = Folder::new();
    folder.text(0, &["init"]);
    let refused = folder.provex(&["ledger", "anchor"]);
    assert_eq!(refused.status.code(), Some(1), "{}", all(&refused));
    assert!(all(&refused).contains("the ledger has no events yet"), "{}", all(&refused));
    let run = folder.json(0, &["ingest", &examples(), "--json"]);
    assert_eq!(run["ledgerRoot"], Value::Null);
    assert_eq!(newest_root(&folder), Value::Null);
    let root = folder.json(0, &["ledger", "anchor", "--json"]);
    assert!(root["anchorReference"].as_str().unwrap().starts_with("rekor:"), "{root}");
    assert_eq!(folder.json(0, &["ledger", "audit", "--json"])["anchored"], 1);
}

#[test]
fn an_anchor_for_the_air_gap_is_a_bundle_that_verify_takes() {
    let folder = Folder::new();
    folder.text(0, &["prove", &examples()]);
    let file = folder.path("anchor.json");
    let name = file.to_str().unwrap();
    let said = folder.text(0, &["ledger", "anchor", "--to", name]);
    let reference = format!("airgap:sha256:{}", Digest::of(&fs::read(&file).unwrap()).to_hex());
    assert!(said.contains(&format!("handed out in {name} as {reference}")), "{said}");
    let root = newest_root(&folder);
    assert_eq!(root["exportReference"], json!(reference));
    let verified = folder.json(0, &["verify", name, "--json"]);
    assert_eq!((&verified["verified"], &verified["observationId"]), (&json!(true), &Value::Null));
    let origin = json!(format!("provex.dev/ledger/{}", root["chainId"].as_str().unwrap()));
    for (member, value) in [
        ("ledgerOrigin", &origin),
        ("ledgerTreeSize", &root["treeSize"]),
        ("ledgerRootHash", &root["rootHash"]),
    ] {
        assert_eq!(&verified[member], value, "{verified}");
    }
    let text = folder.text(0, &["verify", name]);
    for shown in ["  ledger       provex.dev/ledger/", "  root         ", "  follows      no other anchor"] {
        assert!(text.contains(shown), "{text}");
    }
    // Handed out again, it is the same file; the audit does not mind.
    let bytes = fs::read(&file).unwrap();
    folder.text(0, &["ledger", "anchor", "--to", name]);
    assert_eq!((fs::read(&file).unwrap(), newest_root(&folder)), (bytes, root));
    folder.text(0, &["ledger", "audit"]);
}

#[test]
fn an_anchor_whose_bundle_was_changed_is_not_handed_out() {
    let folder = Folder::new();
    folder.text(0, &["prove", &examples()]);
    tamper(&folder, "attestor_bundles", "UPDATE attestor_bundles SET bundle = CAST(bundle || ' ' AS BLOB)");
    let file = folder.path("anchor.json");
    let output = folder.provex(&["ledger", "anchor", "--to", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3), "{}", all(&output));
    assert!(all(&output).contains("its bytes were changed"), "{}", all(&output));
    assert!(!file.exists());
    assert_eq!(newest_root(&folder)["exportReference"], Value::Null);
}

#[test]
fn a_tenant_without_a_log_has_roots_and_no_anchors() {
    let folder = Folder::new();
    folder.text(0, &["init"]);
    let toml = folder.data().join("provex.toml");
    let said = fs::read_to_string(&toml).unwrap();
    fs::write(&toml, format!("{said}tenants = {{ default = {{ log = \"none\" }} }}\n")).unwrap();
    folder.text(0, &["ingest", &examples()]);
    let root = folder.json(0, &["ledger", "anchor", "--json"]);
    assert_eq!((root["treeSize"].is_u64(), &root["anchorReference"]), (true, &Value::Null), "{root}");
    assert!(folder.text(0, &["ledger", "anchor"]).contains("signed, in no log"));
    let file = folder.path("anchor.json");
    let refused = folder.provex(&["ledger", "anchor", "--to", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2), "{}", all(&refused));
    assert!(!file.exists());
    let audit = folder.json(0, &["ledger", "audit", "--json"]);
    assert_eq!((&audit["roots"], &audit["anchored"]), (&json!(1), &json!(0)));
    // With a log, that root is anchored.
    fs::write(&toml, said).unwrap();
    let run = folder.json(0, &["link", "--json"]);
    assert!(run["ledgerRoot"]["anchorReference"].is_string(), "{run}");
    folder.text(0, &["ledger", "audit"]);
}

#[test]
fn a_ledger_that_was_changed_gets_no_root() {
    let folder = Folder::new();
    folder.text(0, &["prove", &examples()]);
    let before = newest_root(&folder);
    tamper(
        &folder,
        "findings_ledger_events",
        "UPDATE findings_ledger_events SET merkle_leaf_hash = printf('%064d', 7) WHERE sequence_no = 2",
    );
    let document = r#"{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.com/9", "author": "A",
        "timestamp": "2026-01-01T00:00:00Z", "version": 1, "statements": [{"vulnerability": {"name": "CVE-2026-9"},
        "products": [{"@id": "pkg:generic/app@9"}], "status": "fixed"}]}"#;
    let path = folder.write("more.json", document);
    let output = folder.provex(&["prove", path.to_str().unwrap()]);
    let said = all(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("does not extend its root") && said.contains("provex ledger audit"), "{said}");
    // The document is linked all the same.
    assert!(said.contains("1 linked"), "{said}");
    assert_eq!(newest_root(&folder), before);
    let audit = folder.provex(&["ledger", "audit"]);
    assert_eq!(audit.status.code(), Some(1));
    assert!(all(&audit).contains("findings.ledger_events, event 2: merkle_leaf_hash"), "{}", all(&audit));
}
