//! The real binary, killed at random times on one data folder, alone and beside others: whoever comes after it
//! finishes the work, and the log never takes back what it showed in between.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails
#![allow(clippy::disallowed_methods)] // processes are waited for in real time

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{Folder, provex};
use provex_core::checkpoint::SignedCheckpoint;
use provex_core::digest::Digest;
use provex_core::ids::{DocumentDigest, EnvelopeDigest, TenantId};
use provex_core::keys::RustCrypto;
use provex_core::merkle::{self, Tree};
use provex_core::tile;
use provex_core::trusted_root::TrustedRoot;
use provex_store::Store as _;
use provex_store_sqlite::SqliteStore;
use serde_json::{Value, json};

const UNITS: [&str; 3] = ["document", "observation", "batch"];
/// What each run finds new.
const NEW_DOCUMENTS: usize = 4;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn delay(&mut self, limit: Duration) -> Duration {
        limit.mul_f64((self.next() % 1_000_000) as f64 / 1e6)
    }
}

/// A data folder that is worked on, documents that come in, and what was seen of the log.
struct Killing {
    folder: Folder,
    /// What one statement is about.
    unit: &'static str,
    documents: Vec<Vec<u8>>,
    notes: BTreeSet<Vec<u8>>,
    linkages: BTreeMap<String, Value>,
}

impl Killing {
    fn new(unit: &'static str) -> Self {
        Self {
            folder: Folder::new(),
            unit,
            documents: Vec::new(),
            notes: BTreeSet::new(),
            linkages: BTreeMap::new(),
        }
    }

    /// So many more distinct documents, each with two observations.
    fn receive(&mut self, count: usize) {
        for number in (self.documents.len()..).take(count) {
            let statement = |index: usize| {
                json!({
                    "vulnerability": {"name": format!("CVE-2026-{:04}", 1_000 + number)},
                    "products": [{"@id": format!("pkg:generic/product-{number}@1.{index}")}],
                    "status": "fixed",
                })
            };
            let document = json!({
                "@context": "https://openvex.dev/ns/v0.2.0",
                "@id": format!("https://example.com/vex/{number}"),
                "author": "Example",
                "timestamp": "2026-01-01T00:00:00Z",
                "version": 1,
                "statements": [statement(0), statement(1)],
            });
            let bytes = serde_json::to_vec(&document).unwrap();
            self.folder.write(&format!("in/{number:04}.json"), &bytes);
            self.documents.push(bytes);
        }
    }

    fn input(&self) -> PathBuf {
        self.folder.path("in")
    }

    fn start(&self) -> Child {
        let mut command = provex();
        command.arg("--data").arg(self.folder.data()).arg("prove").arg(self.input());
        command.args(["--unit", self.unit, "--json"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// How long one run takes when nobody kills it.
    fn run(&self) -> Duration {
        let started = Instant::now();
        let input = self.input().display().to_string();
        let run = self.folder.json(0, &["prove", &input, "--unit", self.unit, "--json"]);
        assert_eq!(
            (&run["linkages"]["pending"], &run["linkages"]["failed"]),
            (&json!(0), &json!(0)),
            "{run}"
        );
        started.elapsed()
    }

    /// Keeps the checkpoint that anybody can see now.
    fn look_at_log(&mut self) {
        if let Ok(note) = std::fs::read(self.folder.path("data/log/checkpoint")) {
            self.notes.insert(note);
        }
    }

    /// Reads the linkages that anybody can see now: none may change or go away.
    fn look_at_linkages(&mut self) {
        for row in self.folder.lines(&["observations", "--ndjson"]) {
            let id = row["observationId"].as_str().unwrap().to_owned();
            match self.linkages.get(&id) {
                Some(before) => assert_eq!(&row["linkage"], before, "the linkage of {id} changed"),
                None if row["linkage"].is_null() => {}
                None => {
                    self.linkages.insert(id, row["linkage"].clone());
                }
            }
        }
    }

    /// Finishes the work and proves that every document was linked once and that nothing was taken back.
    fn check(&mut self) {
        self.run();
        self.look_at_log();
        self.look_at_linkages();
        assert_eq!(self.linkages.len(), 2 * self.documents.len());
        let status = self.folder.json(0, &["status", "--json"]);
        assert_eq!(status["documents"], self.documents.len());
        assert_eq!(status["observations"]["linked"], 2 * self.documents.len());
        for queue in ["attest", "submit", "link", "dead"] {
            assert_eq!(status["queue"][queue], 0, "{status}");
        }
        let leaves = leaves(&self.folder.path("data/log"));
        assert_eq!(leaves.iter().collect::<BTreeSet<_>>().len(), leaves.len(), "an entry is logged twice");
        let audit = self.folder.json(0, &["ledger", "audit", "--json"]);
        let anchors = usize::try_from(audit["anchored"].as_u64().unwrap()).unwrap();
        assert!(anchors > 0 && audit["roots"] == anchors, "{audit}");
        let logged = self.envelopes().len() + anchors;
        assert_eq!(leaves.len(), logged, "each envelope and each anchor is logged");
        self.check_notes(&leaves);
        self.check_proofs();
    }

    /// Every checkpoint ever seen is one of this log.
    fn check_notes(&self, leaves: &[Digest]) {
        let root = std::fs::read(self.folder.path("data/trusted_root.json")).unwrap();
        let root = TrustedRoot::parse(&root).unwrap();
        let log = &root.logs[0];
        for note in &self.notes {
            let signed = SignedCheckpoint::verify(note, log.origin(), &[&log.key], &RustCrypto).unwrap();
            let checkpoint = signed.checkpoint();
            let leaves = leaves[..usize::try_from(checkpoint.size).unwrap()].to_vec();
            assert_eq!(
                Tree::new(leaves).root(),
                checkpoint.root,
                "the log was forked at {}",
                checkpoint.size
            );
        }
    }

    /// The envelopes of all documents, each of which is in as many as its unit says.
    fn envelopes(&self) -> BTreeSet<EnvelopeDigest> {
        let of_each = if self.unit == "observation" { 2 } else { 1 };
        let mut envelopes = BTreeSet::new();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let tenant = TenantId::default_tenant();
            let store = SqliteStore::open(&self.folder.path("data/provex.db")).await.unwrap();
            for document in &self.documents {
                let digest = DocumentDigest::new(Digest::of(document));
                let its = store.envelopes_of_document(&tenant, &digest).await.unwrap();
                assert_eq!(its.len(), of_each);
                envelopes.extend(its);
                assert_eq!(store.document_body(&tenant, &digest).await.unwrap().as_ref(), Some(document));
            }
            store.close().await.unwrap();
        });
        envelopes
    }

    /// Some of the proofs, each verified with a checkpoint that was seen on the way.
    fn check_proofs(&self) {
        let ids: Vec<_> = self.linkages.keys().step_by(self.linkages.len() / 3).collect();
        for (id, note) in ids.iter().zip(self.notes.iter().cycle()) {
            let proof = self.folder.path("proof.json").display().to_string();
            self.folder.text(0, &["export", "--proof", id, "-o", &proof]);
            let note = self.folder.write("kept", note).display().to_string();
            let verified = self.folder.json(0, &["verify", &proof, "--checkpoint", &note, "--json"]);
            assert_eq!(verified["observationId"], **id);
            std::fs::remove_file(&proof).unwrap();
        }
    }
}

/// The leaf hashes of a log, from its entries; its tiles have to hold the same.
fn leaves(log: &Path) -> Vec<Digest> {
    let checkpoint = std::fs::read_to_string(log.join("checkpoint")).unwrap();
    let size: u64 = checkpoint.lines().nth(1).unwrap().parse().unwrap();
    let mut leaves = Vec::new();
    for index in 0..size.div_ceil(256) {
        let width = u16::try_from((size - index * 256).min(256)).unwrap();
        let bundle = std::fs::read(log.join(tile::entries_path(index, width))).unwrap();
        let tile = std::fs::read(log.join(tile::hash_tile_path(0, index, width))).unwrap();
        let entries = tile::decode_entries(&bundle).unwrap();
        let hashes: Vec<_> = entries.into_iter().map(merkle::leaf_hash).collect();
        assert_eq!(tile::decode_hashes(&tile).unwrap(), hashes);
        leaves.extend(hashes);
    }
    leaves
}

/// Lets a process run for so long, then kills it; how long it took, if it had ended by then.
fn kill_after(child: &mut Child, delay: Duration) -> Option<Duration> {
    let started = Instant::now();
    while started.elapsed() < delay {
        if child.try_wait().unwrap().is_some() {
            return Some(started.elapsed());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    // It may have ended a moment before.
    child.wait().unwrap().code().map(|_| started.elapsed())
}

#[test]
fn killed_fifty_times_it_links_everything_once() {
    kill("document", 50);
}

#[test]
fn killed_among_statements_of_one_observation_it_links_everything_once() {
    kill("observation", 25);
}

#[test]
fn killed_among_statements_of_many_documents_it_links_everything_once() {
    kill("batch", 25);
}

/// Kills so many runs, one after the other, and checks what they leave together.
fn kill(unit: &'static str, kills: usize) {
    let mut random = Random(5);
    let mut killing = Killing::new(unit);
    killing.receive(NEW_DOCUMENTS);
    killing.run();
    killing.receive(NEW_DOCUMENTS);
    let mut takes = killing.run();
    let (mut killed, mut in_a_row) = (0, 0);
    while killed < kills {
        killing.receive(NEW_DOCUMENTS);
        let mut child = killing.start();
        // Up to a third more than a run took last: what was killed leaves more to do, and most runs are to be killed.
        match kill_after(&mut child, random.delay(takes.mul_f64(1.35))) {
            None => (killed, in_a_row) = (killed + 1, in_a_row + 1),
            Some(took) => {
                assert_eq!(child.wait().unwrap().code(), Some(0));
                (takes, in_a_row) = (took, 0);
            }
        }
        killing.look_at_log();
        if in_a_row == 8 {
            // The machine has become slower than it was measured.
            (takes, in_a_row) = (killing.run(), 0);
        }
        if killed.is_multiple_of(10) {
            killing.look_at_linkages();
        }
    }
    assert!(killing.notes.len() > 5, "only {} checkpoints were seen", killing.notes.len());
    killing.check();
}

#[test]
fn a_folder_whose_making_was_killed_is_made_by_the_next_run() {
    let mut random = Random(6);
    let takes = {
        let mut killing = Killing::new("document");
        killing.receive(NEW_DOCUMENTS);
        killing.run()
    };
    for unit in UNITS.iter().cycle().take(4) {
        let mut killing = Killing::new(unit);
        killing.receive(NEW_DOCUMENTS);
        for _ in 0..3 {
            kill_after(&mut killing.start(), random.delay(takes));
            killing.look_at_log();
        }
        killing.check();
    }
}

#[test]
fn several_processes_on_one_folder_do_not_fail_when_one_is_killed() {
    let mut random = Random(7);
    for unit in UNITS {
        let mut killing = Killing::new(unit);
        killing.receive(NEW_DOCUMENTS);
        let takes = killing.run();
        for _ in 0..3 {
            killing.receive(NEW_DOCUMENTS);
            let mut children: Vec<_> = (0..3).map(|_| killing.start()).collect();
            kill_after(&mut children.remove(0), random.delay(takes));
            killing.look_at_log();
            for child in children {
                let output = child.wait_with_output().unwrap();
                assert_eq!(output.status.code(), Some(0), "{}", common::all(&output));
            }
            killing.look_at_log();
        }
        killing.check();
    }
}
