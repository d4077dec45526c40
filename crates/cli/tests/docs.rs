//! What the pages in `docs/` say is true: their examples are recomputed, their commands run, their tables complete.
//!
//! `PROVEX_WRITE_DOCS=1 cargo test -p provex-cli --test docs` writes the recomputed examples into the page.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use common::{Folder, all, examples, repository};
use provex_core::bundle::Bundle;
use provex_core::checkpoint::Checkpoint;
use provex_core::digest::{self, Digest, hex};
use provex_core::dsse::Envelope;
use provex_core::entry::{HASHEDREKORD, HASHEDREKORD_VERSION, HashedRekord, InclusionProof, LogEntry};
use provex_core::ids::TenantId;
use provex_core::intoto::{
    AttestedDocument, ObservationSet, ObservationsPredicate, SALT_SCHEMA, SaltKey, VEX_OBSERVATIONS,
};
use provex_core::keys::{LocalSigner, RustCrypto, Signer as _};
use provex_core::ledger::{AnchorPredicate, sign_root};
use provex_core::proof::Proof;
use provex_core::time::Timestamp;
use provex_core::trusted_root::{TrustedLog, TrustedRoot};
use provex_core::verify::{NoTimestamps, Verifier};
use provex_core::{merkle, note, vex};
use provex_formats::{Code, ParseLimits};
use serde_json::Value;

fn page(name: &str) -> String {
    std::fs::read_to_string(repository(&format!("docs/{name}"))).unwrap()
}

// docs/VERIFY.md ------------------------------------------------------------------------------------------------------

/// The shell commands of one section, one block after the other.
fn commands(page: &str, heading: &str) -> String {
    let section = page.split_once(&format!("\n## {heading}\n")).expect("the page has the section").1;
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("\n```sh\n").skip(1).map(|block| block.split("\n```").next().unwrap());
    let script = blocks.collect::<Vec<_>>().join("\n");
    assert!(!script.is_empty());
    script
}

/// A folder with several documents proven, and a copy of what an auditor is given to start from.
fn proven() -> Folder {
    let folder = Folder::new();
    folder.text(0, &["prove", &examples()]);
    let products: Vec<_> = (0..5).map(|n| format!(r#"{{"@id": "pkg:generic/app@{n}"}}"#)).collect();
    let document = DOCUMENT.replace(r#"{"@id": "pkg:generic/app@1.0"}"#, &products.join(", "));
    assert_ne!(document, DOCUMENT);
    folder.text(0, &["prove", folder.write("many.json", document).to_str().unwrap()]);
    folder
}

fn proof_of(folder: &Folder, id: &str) -> String {
    let output = folder.provex(&["export", "--proof", id]);
    assert!(output.status.success(), "{}", all(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Checks a proof with nothing but the commands of the page, in a folder of its own.
fn by_hand(script: &str, folder: &Folder, proof: &str) -> Output {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("proof.json"), proof).unwrap();
    std::fs::copy(folder.data().join("keys/attest.pub"), place.path().join("attest.pub")).unwrap();
    std::fs::copy(folder.data().join("trusted_root.json"), place.path().join("trusted_root.json")).unwrap();
    Command::new("sh").args(["-c", script]).current_dir(&place).output().unwrap()
}

fn holds(output: &Output) -> bool {
    output.status.success() && output.stdout.ends_with(b"the proof holds\n")
}

#[test]
fn the_page_checks_every_fresh_proof_without_provex() {
    let (script, folder) = (commands(&page("VERIFY.md"), "Check a proof by hand"), proven());
    let ids = folder.observation_ids();
    std::thread::scope(|scope| {
        for id in &ids {
            let (script, folder) = (&script, &folder);
            scope.spawn(move || {
                let output = by_hand(script, folder, &proof_of(folder, id));
                assert!(holds(&output), "{id}: {}", all(&output));
                assert!(all(&output).contains(id));
            });
        }
    });
}

/// Proofs that differ from this one in a single value.
fn changed(proof: &Value) -> Vec<(String, String)> {
    let (mut pointers, mut in_body) = (Vec::new(), 0);
    leaves(proof, String::new(), &mut pointers);
    // Each value of the body changes the same digest, so a few of them stand for all.
    pointers.retain(|pointer| {
        in_body += usize::from(pointer.starts_with("/body/"));
        !pointer.starts_with("/body/") || in_body % 8 == 1
    });
    let change = |pointer: String| {
        let mut changed = proof.clone();
        let value = changed.pointer_mut(&pointer).unwrap();
        *value = match value.take() {
            Value::String(text) if text.starts_with('1') => Value::String(text.replacen('1', "2", 1)),
            Value::String(text) if !text.is_empty() => Value::String(format!("1{}", &text[1..])),
            Value::Number(number) => (number.as_u64().unwrap() + 1).into(),
            _ => Value::String("x".to_owned()),
        };
        (pointer, changed.to_string())
    };
    pointers.into_iter().map(change).collect()
}

fn leaves(value: &Value, pointer: String, out: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| leaves(value, format!("{pointer}/{key}"), out));
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(n, value)| leaves(value, format!("{pointer}/{n}"), out));
        }
        _ => out.push(pointer),
    }
}

#[test]
fn the_page_refuses_a_proof_with_any_value_changed() {
    let (script, folder) = (commands(&page("VERIFY.md"), "Check a proof by hand"), proven());
    let proof = proof_of(&folder, folder.observation_ids().last().unwrap());
    let value: Value = serde_json::from_str(&proof).unwrap();
    assert_eq!(value.to_string(), proof, "a proof is JCS, and so is what serde_json writes of it");
    let mut proofs = changed(&value);
    assert!(proofs.len() > 20, "{}", proofs.len());
    proofs.extend([
        ("an added member".to_owned(), proof.replacen('{', r#"{"a":1,"#, 1)),
        ("a member twice".to_owned(), proof.replacen('{', r#"{"body":{},"#, 1)),
        ("white space".to_owned(), proof.replacen(',', ", ", 1)),
        ("a line end".to_owned(), format!("{proof}\n")),
        ("nothing".to_owned(), String::new()),
    ]);
    for few in proofs.chunks(8) {
        std::thread::scope(|scope| {
            for (what, proof) in few {
                let (script, folder) = (&script, &folder);
                scope.spawn(move || {
                    let output = by_hand(script, folder, proof);
                    assert!(!output.status.success() && !holds(&output), "{what}: {}", all(&output));
                });
            }
        });
    }
}

#[test]
fn the_page_refuses_another_key_and_another_log() {
    let (script, folder, other) =
        (commands(&page("VERIFY.md"), "Check a proof by hand"), proven(), Folder::new());
    other.text(0, &["init"]);
    let proof = proof_of(&folder, &folder.observation_ids()[0]);
    for file in ["keys/attest.pub", "trusted_root.json"] {
        let ours = folder.data().join(file);
        let kept = std::fs::read(&ours).unwrap();
        std::fs::copy(other.data().join(file), &ours).unwrap();
        let output = by_hand(&script, &folder, &proof);
        assert!(!holds(&output), "{file}: {}", all(&output));
        std::fs::write(&ours, kept).unwrap();
    }
    assert!(holds(&by_hand(&script, &folder, &proof)));
}

/// Checks an anchor with nothing but the commands of the page.
fn root_by_hand(folder: &Folder, bundle: &[u8]) -> Output {
    let script = commands(&page("VERIFY.md"), "Check a root of the ledger by hand");
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("anchor.json"), bundle).unwrap();
    std::fs::copy(folder.data().join("keys/attest.pub"), place.path().join("attest.pub")).unwrap();
    Command::new("sh").args(["-c", &script]).current_dir(&place).output().unwrap()
}

#[test]
fn the_page_checks_the_root_of_a_ledger_without_provex() {
    let folder = proven();
    folder.text(0, &["ledger", "anchor", "--to", folder.path("anchor.json").to_str().unwrap()]);
    let bundle = std::fs::read(folder.path("anchor.json")).unwrap();
    let output = root_by_hand(&folder, &bundle);
    let root = &folder.json(0, &["status", "--json"])["ledger"]["newestRoot"];
    let said = format!(
        "provex.dev/ledger/{}: {} events, root {}\n",
        root["chainId"].as_str().unwrap(),
        root["treeSize"],
        root["rootHash"].as_str().unwrap()
    );
    assert!(output.status.success() && all(&output).ends_with(&said), "{}", all(&output));
    // Over another number of events.
    let mut changed: Value = serde_json::from_slice(&bundle).unwrap();
    let payload = changed["dsseEnvelope"]["payload"].as_str().unwrap();
    let payload = String::from_utf8(digest::from_base64(payload).unwrap()).unwrap();
    let size = root["treeSize"].as_u64().unwrap();
    let other = payload.replace(&format!("\\n{size}\\n"), &format!("\\n{}\\n", size + 1));
    assert_ne!(other, payload);
    changed["dsseEnvelope"]["payload"] = digest::base64(other.as_bytes()).into();
    assert!(!root_by_hand(&folder, changed.to_string().as_bytes()).status.success());
}

#[test]
fn the_page_shows_what_verify_prints() {
    let folder = proven();
    folder.write("proof.json", proof_of(&folder, &folder.observation_ids()[0]));
    let printed = folder.text(0, &["verify", folder.path("proof.json").to_str().unwrap()]);
    let page = page("VERIFY.md");
    let shown = page.split("```text\n").find(|block| block.starts_with("proof.json: holds")).unwrap();
    let shown = shown.split("```").next().unwrap();
    let labels = |text: &str| text.lines().skip(1).map(|line| line[..15].to_owned()).collect::<Vec<_>>();
    assert_eq!(labels(shown), labels(&printed));
    assert_eq!(shown.lines().last(), printed.lines().last());
}

// docs/DATA_MODEL.md --------------------------------------------------------------------------------------------------

/// The document that the page works through.
const DOCUMENT: &str = r#"{
  "@context": "https://openvex.dev/ns/v0.2.0",
  "@id": "https://vendor.example/vex/1",
  "author": "Vendor PSIRT",
  "timestamp": "2026-03-01T12:00:00+01:00",
  "version": 1,
  "statements": [
    {
      "vulnerability": {"name": "CVE-2026-0001", "aliases": ["GHSA-aaaa-bbbb-cccc"]},
      "products": [{"@id": "pkg:deb/debian/app@1.0?arch=amd64", "subcomponents": [{"@id": "pkg:npm/lib@1.2.3"}]}],
      "status": "not_affected",
      "justification": "vulnerable_code_not_in_execute_path",
      "impact_statement": "The parser is never called."
    },
    {
      "vulnerability": {"name": "CVE-2026-0002"},
      "products": [{"@id": "pkg:generic/app@1.0"}, {"@id": "pkg:generic/app@2.0"}],
      "status": "affected",
      "action_statement": "Install 2.1."
    }
  ]
}"#;

/// The examples of the page, by name: the exact bytes of each.
fn worked_examples() -> BTreeMap<&'static str, Vec<u8>> {
    let parsed = provex_formats::parse(DOCUMENT.as_bytes(), &ParseLimits::default()).unwrap();
    let first = &parsed.observations[0];
    let mut claim = Vec::new();
    first.observation.write_claim(&mut claim);
    assert_eq!(
        (first.id.digest(), first.claim_digest().digest()),
        (&Digest::of(&first.body()), &Digest::of(&claim))
    );

    let set = ObservationSet::new(parsed.observations.iter().map(|o| *o.id.digest()).collect());
    let mut tree = String::new();
    for (n, member) in set.members().iter().enumerate() {
        writeln!(tree, "{n}  {}  {}", member.to_hex(), merkle::leaf_hash(member.as_bytes()).to_hex())
            .unwrap();
    }
    write!(tree, "root {}", set.commitment().root.to_hex()).unwrap();

    let (document, tenant, salt_key) = (parsed.document, TenantId::default_tenant(), SaltKey::new([2; 32]));
    let attested = AttestedDocument { digest: document.digest, format: document.format, observations: 3 };
    let predicate = ObservationsPredicate { documents: vec![attested], set: set.commitment() };
    let payload = predicate.to_payload(&salt_key, &tenant);
    let (unsalted, salted) = unsalted(&payload);
    let salt_preimage = format!(
        r#"{{"predicateHash":"{}","predicateType":"{VEX_OBSERVATIONS}","schema":"{SALT_SCHEMA}","tenantId":"{tenant}"}}"#,
        Digest::of(unsalted.as_bytes()).to_hex()
    );
    let salt = salt_key.salt(&tenant, VEX_OBSERVATIONS, &Digest::of(unsalted.as_bytes()));
    assert!(salted.contains(&format!(r#""salt":"{salt}""#)));

    let signer = LocalSigner::p256_from_random(&[1; 32]).unwrap();
    let key = signer.public_key();
    let envelope = Envelope::sign(payload.clone(), &signer).unwrap();
    let body = HashedRekord::of_envelope(&envelope, key).unwrap().body();
    let (log, entry) = logged(&body);
    let bundle = Bundle::new(envelope.clone(), key, entry);
    let index = set.members().binary_search(first.id.digest()).unwrap() as u64;
    let proof = Proof {
        bundle: bundle.clone(),
        body: first.body(),
        set_index: index,
        set_size: predicate.set.size,
        set_path: set.path(index).unwrap(),
        set_root: predicate.set.root,
        document_digest: document.digest,
    };
    let (trusted_root, keys) = (TrustedRoot::new(vec![log]), [key.clone()]);
    let verifier = Verifier {
        trusted_root: &trusted_root,
        keys: &keys,
        signatures: &RustCrypto,
        timestamps: &NoTimestamps,
    };
    assert_eq!(verifier.proof(&proof).unwrap().observation_id, first.id);

    let leaves = [b"first event".as_slice(), b"second event"].map(merkle::leaf_hash);
    let root = merkle::Tree::new(leaves.to_vec()).root();
    let note = sign_root(uuid::Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001), 2, root, &signer);
    let note = note.unwrap().as_str().to_owned();
    let at = |micros: i64| Timestamp::from_unix_micros(1_795_418_154_313_886 + micros).unwrap();
    let anchor = AnchorPredicate {
        checkpoint: note.clone(),
        first_recorded_at: at(0),
        last_recorded_at: at(1_000_000),
        previous: None,
    };

    BTreeMap::from([
        ("root", note.trim_end().as_bytes().to_vec()),
        ("anchor", anchor.to_payload(&salt_key, &tenant)),
        ("document", DOCUMENT.as_bytes().to_vec()),
        ("observation", first.body()),
        ("claim", claim),
        ("set", tree.into_bytes()),
        ("predicate", unsalted.into_bytes()),
        ("salt", salt_preimage.into_bytes()),
        ("salt-value", salt.into_bytes()),
        ("statement", payload),
        ("public-key", key.to_pem().trim_end().as_bytes().to_vec()),
        ("envelope", envelope.to_jcs()),
        ("entry", body.clone()),
        ("leaf", merkle::leaf_hash(&body).to_hex().into_bytes()),
        ("checkpoint", bundle.entry.inclusion.checkpoint.trim_end().as_bytes().to_vec()),
        ("bundle", bundle.to_jcs()),
        ("proof", proof.to_jcs().unwrap()),
    ])
}

/// A statement's predicate without its salt and with it.
fn unsalted(payload: &[u8]) -> (String, String) {
    let payload: Value = serde_json::from_slice(payload).unwrap();
    let mut predicate = payload["predicate"].clone();
    let salted = predicate.to_string();
    predicate.as_object_mut().unwrap().remove("salt").unwrap();
    (predicate.to_string(), salted)
}

/// The entry as a log of two gives it.
fn logged(body: &[u8]) -> (TrustedLog, LogEntry) {
    let signer = LocalSigner::ed25519_from_random(&[3; 32]);
    let log = TrustedLog::embedded("log.example", signer.public_key().clone(), Timestamp::EPOCH);
    let leaf = merkle::leaf_hash(b"another entry");
    let tree = merkle::Tree::new(vec![merkle::leaf_hash(body), leaf]);
    let origin = log.origin().to_owned();
    let text = Checkpoint { origin, size: 2, root: tree.root(), extensions: Vec::new() }.to_text();
    let note = note::sign_note(&text, &log.key, &signer.sign(text.as_bytes()).unwrap()).unwrap();
    let entry = LogEntry {
        log_index: 0,
        log_id: log.id,
        kind: HASHEDREKORD.to_owned(),
        version: HASHEDREKORD_VERSION.to_owned(),
        integrated_time: None,
        signed_entry_timestamp: None,
        inclusion: InclusionProof {
            log_index: 0,
            root: tree.root(),
            tree_size: 2,
            hashes: vec![leaf],
            checkpoint: note.as_str().to_owned(),
        },
        canonicalized_body: body.to_vec(),
    };
    (log, entry)
}

/// Puts the examples where `<!-- example: NAME -->` announces them, and their digests into the line that follows.
fn with_examples(page: &str, examples: &BTreeMap<&str, Vec<u8>>) -> String {
    let mut out = String::new();
    let mut parts = page.split("<!-- example: ");
    out.push_str(parts.next().unwrap());
    for part in parts {
        let (name, rest) = part.split_once(" -->\n").unwrap();
        let (fence, rest) = rest.split_once('\n').unwrap();
        let after = rest.split_once("\n```\n").unwrap().1;
        let bytes = examples.get(name).unwrap_or_else(|| panic!("the page has an unknown example `{name}`"));
        let text = std::str::from_utf8(bytes).unwrap();
        let digest = hex(Digest::of(bytes).as_bytes());
        let after = match after.strip_prefix("\nSHA-256 `") {
            Some(stated) => format!("\nSHA-256 `{digest}{}", &stated[64..]),
            None => after.to_owned(),
        };
        write!(out, "<!-- example: {name} -->\n{fence}\n{text}\n```\n{after}").unwrap();
    }
    out
}

#[test]
fn the_examples_of_the_data_model_are_recomputed() {
    let (page, examples) = (page("DATA_MODEL.md"), worked_examples());
    let recomputed = with_examples(&page, &examples);
    if std::env::var_os("PROVEX_WRITE_DOCS").is_some() {
        std::fs::write(repository("docs/DATA_MODEL.md"), &recomputed).unwrap();
    } else {
        for (is, should) in page.lines().zip(recomputed.lines()) {
            assert_eq!(is, should, "PROVEX_WRITE_DOCS=1 writes the examples anew");
        }
        assert_eq!(page.len(), recomputed.len());
    }
    for name in examples.keys() {
        assert!(page.contains(&format!("<!-- example: {name} -->")), "the page lacks the example `{name}`");
    }
}

#[test]
fn the_data_model_names_every_table_and_column() {
    let page = page("DATA_MODEL.md");
    let tables = tables(&repository("crates/store-sqlite/migrations"));
    assert!(tables.len() > 15 && tables["vex_observations"].contains("rekor_set_path"), "{tables:?}");
    let sections: BTreeMap<&str, &str> = page
        .split("\n### `")
        .skip(1)
        .map(|section| section.split_once('`').unwrap())
        .map(|(name, text)| (name, text.split("\n## ").next().unwrap()))
        .collect();
    let mut missing = Vec::new();
    for (table, columns) in &tables {
        match sections.get(table.as_str()) {
            None => missing.push(table.clone()),
            Some(text) => missing.extend(
                columns.iter().filter(|c| !text.contains(&format!("`{c}`"))).map(|c| format!("{table}.{c}")),
            ),
        }
    }
    assert!(missing.is_empty(), "docs/DATA_MODEL.md does not name {missing:?}");
    let gone: Vec<_> =
        sections.keys().filter(|name| name.contains('_') && !tables.contains_key(**name)).collect();
    assert!(gone.is_empty(), "docs/DATA_MODEL.md has tables that no migration makes: {gone:?}");
}

/// The tables and columns that the migrations make: one column a line, as they are written.
fn tables(migrations: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut files: Vec<_> =
        std::fs::read_dir(migrations).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let mut table = None;
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let words: Vec<_> = line.split_whitespace().map(|word| word.trim_matches('"')).collect();
            match words.as_slice() {
                ["CREATE", "TABLE", "IF", "NOT", "EXISTS", name, ..] | ["CREATE", "TABLE", name, ..] => {
                    table = Some((*name).to_owned());
                }
                ["ALTER", "TABLE", name, "ADD", "COLUMN", column, ..] => {
                    tables.entry((*name).to_owned()).or_default().insert((*column).to_owned());
                }
                [column, kind, ..]
                    if line.starts_with("    ")
                        && ["TEXT", "INTEGER", "BLOB"].contains(&kind.trim_end_matches(',')) =>
                {
                    let table = table.as_ref().expect("a column stands in a table");
                    tables.entry(table.clone()).or_default().insert((*column).to_owned());
                }
                _ => {}
            }
        }
    }
    tables
}

#[test]
fn the_data_model_explains_every_label() {
    let page = page("DATA_MODEL.md");
    let labels = [
        vex::Format::ALL.iter().map(|v| v.label()).collect::<Vec<_>>(),
        vex::Status::ALL.iter().map(|v| v.label()).collect(),
        vex::JustificationLabel::ALL.iter().map(|v| v.label()).collect(),
        vex::Mapping::ALL.iter().map(|v| v.label()).collect(),
        vex::Response::ALL.iter().map(|v| v.label()).collect(),
        vex::AssertedAtSource::ALL.iter().map(|v| v.label()).collect(),
        vex::ComponentKind::ALL.iter().map(|v| v.label()).collect(),
    ];
    let missing: Vec<_> =
        labels.concat().into_iter().filter(|label| !page.contains(&format!("`{label}`"))).collect();
    assert!(missing.is_empty(), "docs/DATA_MODEL.md does not explain {missing:?}");
}

// docs/FINDINGS.md ----------------------------------------------------------------------------------------------------

#[test]
fn the_findings_page_has_every_code_once() {
    let page = page("FINDINGS.md");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let mut seen = BTreeSet::new();
    for row in &rows {
        let [code, outcome, meaning, example] = row.as_slice() else { panic!("not four cells: {row:?}") };
        assert!(seen.insert(code.trim_matches('`')), "{code} has two rows");
        assert!(["rejected", "dropped", "kept"].contains(outcome), "{code}: outcome `{outcome}`");
        assert!(!meaning.is_empty() && !example.is_empty(), "{code} has an empty cell");
    }
    let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.label()).collect();
    let missing: Vec<_> = codes.difference(&seen).collect();
    assert!(missing.is_empty(), "docs/FINDINGS.md lacks a row for: {missing:?}");
    let unknown: Vec<_> = seen.difference(&codes).collect();
    assert!(unknown.is_empty(), "docs/FINDINGS.md has rows for what is no code: {unknown:?}");
}

// docs/OPERATIONS.md --------------------------------------------------------------------------------------------------

#[test]
fn the_operations_page_names_every_configuration_key() {
    let folder = Folder::new();
    folder.text(0, &["init"]);
    folder.text(0, &["tenant", "add", "secret"]);
    folder.text(0, &["tenant", "add", "acme"]);
    let path = folder.data().join("provex.toml");
    let template = std::fs::read_to_string(&path).unwrap();
    let settings: Vec<_> =
        template.lines().filter_map(|line| line.strip_prefix("# ")?.split_once(" = ")).collect();
    let page = page("OPERATIONS.md");
    let section = page.split_once("\n## Configuration\n").unwrap().1.split("\n## ").next().unwrap();
    let named: BTreeSet<_> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(key, _)| key)
        .collect();
    assert_eq!(named, settings.iter().map(|(key, _)| *key).collect());
    for (key, value) in &settings {
        std::fs::write(&path, format!("{key} = {value}\n")).unwrap();
        // There is no such server, and no such file.
        let code = if key.starts_with("database_url") { 3 } else { 0 };
        folder.text(code, &["pending"]);
        // Neither are there these files of logs.
        if code == 0 && !["signing_config", "trusted_root", "log_tls_roots"].contains(key) {
            folder.text(0, &["status"]);
        }
    }
    std::fs::write(&path, "no_such_key = 1\n").unwrap();
    folder.text(2, &["pending"]);
}

#[test]
fn the_operations_page_names_every_file_of_a_data_folder() {
    let folder = proven();
    let page = page("OPERATIONS.md");
    let mut missing = Vec::new();
    for place in ["", "keys", "log"] {
        for entry in std::fs::read_dir(folder.data().join(place)).unwrap() {
            let name = Path::new(place).join(entry.unwrap().file_name());
            if !page.contains(&format!("`{}`", name.display()))
                && !page.contains(&format!("`{}/`", name.display()))
            {
                missing.push(name);
            }
        }
    }
    assert!(missing.is_empty(), "docs/OPERATIONS.md does not name {missing:?}");
}

#[test]
fn the_operations_page_has_the_section_that_status_points_to() {
    assert!(page("OPERATIONS.md").contains("\n## The log cannot be used\n"));
}
