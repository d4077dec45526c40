//! Memory: reading and recording take a few times the largest document, however many there are and however much it
//! says in few bytes; a worker takes no more for a longer backlog.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Folder, provex, repository};
use provex_store_postgres::migrate::Layout;
use provex_store_postgres::testing::TestDatabase;
use serde_json::{Value, json};

/// The most memory that `provex check` has resident.
fn peak(path: &Path) -> usize {
    let mut check = provex();
    check.arg("check").arg(path);
    peak_of(check)
}

/// As [`peak`], of a document so small that the process may end before it was looked at.
fn least(path: &Path) -> usize {
    (0..5).map(|_| peak(path)).max().unwrap()
}

/// The most memory that a command has resident, in bytes: `VmHWM` of proc_pid_status(5).
fn peak_of(mut command: Command) -> usize {
    peak_until_it_ends(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

fn peak_until_it_ends(mut child: Child) -> usize {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().unwrap_or_default();
        peak = peak.max(kilobytes * 1024);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(peak > 0);
    peak
}

/// A published document whose list of claims is repeated, under other names, until it has so many bytes.
fn grown(file: &str, list: &str, name: &str, bytes: usize) -> Vec<u8> {
    let mut document: Value =
        serde_json::from_slice(&std::fs::read(repository("testdata/vex").join(file)).unwrap()).unwrap();
    let claims = document[list].as_array().unwrap().clone();
    let rounds = bytes / serde_json::to_vec(&claims).unwrap().len() + 1;
    let all = (0..rounds * claims.len()).map(|n| {
        let mut claim = claims[n % claims.len()].clone();
        *claim.pointer_mut(name).unwrap() = format!("CVE-2026-{n}").into();
        claim
    });
    document[list] = all.collect();
    serde_json::to_vec(&document).unwrap()
}

#[test]
fn parsing_takes_at_most_six_times_the_largest_document() {
    let folder = Folder::new();
    let least = least(&folder.write("small.json", grown(OPENVEX.0, OPENVEX.1, OPENVEX.2, 1)));
    for (file, list, name) in [CSAF, OPENVEX] {
        let document = grown(file, list, name, 16 << 20);
        let path = folder.write("large.json", &document);
        let taken = peak(&path) - least;
        assert!(taken <= 6 * document.len(), "{taken} bytes for {file} of {} bytes", document.len());
    }
}

#[test]
fn a_document_that_says_much_in_few_bytes_takes_at_most_six_times_its_size() {
    let folder = Folder::new();
    let statement = |count: usize| {
        let product = |n| format!(r#"{{"@id":"pkg:generic/a{n}@1"}}"#);
        let products: Vec<_> = (0..count).map(product).collect();
        format!(
            r#"{{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/vex/1","author":"Example",
            "timestamp":"2026-01-01T00:00:00Z","version":1,"statements":[{{"vulnerability":{{"name":"CVE-2026-1"}},
            "products":[{}],"status":"fixed"}}]}}"#,
            products.join(",")
        )
    };
    let least = least(&folder.write("small.json", statement(1)));
    let document = statement(100_000);
    let taken = peak(&folder.write("large.json", &document)) - least;
    assert!(taken <= 6 * document.len(), "{taken} bytes for {} bytes", document.len());
}

#[test]
fn a_document_of_many_products_takes_at_most_six_times_its_size() {
    let folder = Folder::new();
    let document = |count: usize| {
        let product = |n| {
            format!(
                r#"{{"category":"product_version","name":"{n}","product":{{"name":"Package {n}","product_id":"P-{n}",
                "product_identification_helper":{{"purl":"pkg:rpm/example/package-{n}@1.0-1.el9?arch=x86_64"}}}}}}"#
            )
        };
        let products: Vec<_> = (0..count).map(product).collect();
        let ids: Vec<_> = (0..count).map(|n| format!(r#""P-{n}""#)).collect();
        format!(
            r#"{{"document":{{"category":"csaf_vex","csaf_version":"2.0","title":"Many products",
            "publisher":{{"category":"vendor","name":"Example","namespace":"https://example.com"}},
            "tracking":{{"id":"EX-1","status":"final","version":"1","current_release_date":"2026-01-01T00:00:00Z",
            "initial_release_date":"2026-01-01T00:00:00Z",
            "revision_history":[{{"date":"2026-01-01T00:00:00Z","number":"1","summary":"First"}}]}}}},
            "product_tree":{{"branches":[{{"category":"vendor","name":"Example","branches":[{}]}}]}},
            "vulnerabilities":[{{"cve":"CVE-2026-1","notes":[{{"category":"summary","text":"Text"}}],
            "product_status":{{"fixed":[{}]}}}}]}}"#,
            products.join(","),
            ids.join(",")
        )
    };
    let least = least(&folder.write("small.json", document(1)));
    let document = document(100_000);
    let taken = peak(&folder.write("large.json", &document)) - least;
    assert!(taken <= 6 * document.len(), "{taken} bytes for {} bytes", document.len());
}

#[test]
fn recording_takes_at_most_six_times_the_largest_document() {
    let folder = Folder::new();
    let ingest = |data: &str, document: &Path| {
        let mut ingest = provex();
        ingest.arg("ingest").arg(document).arg("--data").arg(folder.path(data));
        peak_of(ingest)
    };
    let (file, list, name) = CSAF;
    let least = ingest("small", &folder.write("small.json", grown(file, list, name, 1)));
    let document = grown(file, list, name, 24 << 20);
    let taken = ingest("large", &folder.write("large.json", &document)) - least;
    assert!(taken <= 6 * document.len(), "{taken} bytes for {} bytes", document.len());
}

#[test]
fn a_worker_takes_no_more_memory_for_a_longer_backlog() {
    // More than are under way at once in all stages, then twice as many and some.
    let (short, long) = (working_peak(40), working_peak(90));
    // Entries and bundles of the difference are twice this.
    assert!(long < short + (16 << 20), "{short} bytes for 4,000 statements, {long} for 9,000");
}

/// The most memory that a worker has resident until it has linked so many hundred observations, each in a statement of its
/// own. On PostgreSQL: SQLite keeps up to 64 MiB of pages, which a longer backlog fills.
fn working_peak(hundreds: usize) -> usize {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(TestDatabase::migrated(Layout::Flat));
    let folder = Folder::on(&database.url());
    for n in 0..hundreds {
        let claims = (0..100).map(|claim| {
            json!({
                "vulnerability": {"name": format!("CVE-2026-{n}{claim:02}")},
                "products": [{"@id": "pkg:generic/app@1.0"}],
                "status": "fixed",
            })
        });
        let document = json!({
            "@context": "https://openvex.dev/ns/v0.2.0",
            "@id": format!("https://example.org/vex/{n}"),
            "author": "Example",
            "timestamp": "2026-01-01T00:00:00Z",
            "version": 1,
            "statements": claims.collect::<Vec<_>>(),
        });
        folder.write(&format!("many/{n}.json"), document.to_string());
    }
    folder.text(0, &["ingest", &folder.path("many").display().to_string()]);
    let mut worker = folder.command(&["worker", "--unit", "observation", "--interval", "1"]);
    // What each thread's allocator keeps is no matter of the backlog, and depends on who ran when.
    let worker =
        worker.env("MALLOC_ARENA_MAX", "1").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid = worker.id().to_string();
    std::thread::scope(|scope| {
        let peak = scope.spawn(|| peak_until_it_ends(worker));
        let linked = || folder.json(0, &["status", "--json"])["observations"]["linked"] == 100 * hundreds;
        while !linked() && !peak.is_finished() {
            std::thread::sleep(Duration::from_millis(500));
        }
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        peak.join().unwrap()
    })
}

const CSAF: (&str, &str, &str) = ("csaf20/redhat_claircore_cve-2025-6176.json", "vulnerabilities", "/cve");
const OPENVEX: (&str, &str, &str) =
    ("openvex/rancher_sigs.k8s.io_cluster-api.openvex.json", "statements", "/vulnerability/name");

#[test]
fn memory_does_not_depend_on_the_number_of_documents() {
    let folder = Folder::new();
    let document = std::fs::read(repository("examples/documents/acme-webserver.openvex.json")).unwrap();
    for (many, count) in [("few", 20), ("many", 4_000)] {
        for n in 0..count {
            folder.write(&format!("{many}/{n}.json"), &document);
        }
    }
    let (few, many) = (peak(&folder.path("few")), peak(&folder.path("many")));
    // Their bytes alone are more than this.
    assert!(many < few + (2 << 20), "{few} bytes for twenty documents, {many} for four thousand");
}

#[test]
fn ten_thousand_documents_are_ingested_in_less_than_two_hundred_megabytes() {
    let folder = Folder::new();
    let document =
        std::fs::read_to_string(repository("examples/documents/acme-webserver.openvex.json")).unwrap();
    for n in 0..10_000 {
        folder.write(&format!("many/{n}.json"), document.replace("CVE-2024-", &format!("CVE-2024-{n}")));
    }
    let many = folder.path("many").display().to_string();
    let peak = peak_of(folder.command(&["ingest", &many]));
    assert!(peak < 200_000_000, "{peak} bytes");
    assert_eq!(folder.json(0, &["status", "--json"])["documents"], 10_000);
}
