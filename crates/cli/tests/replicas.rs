//! Several processes on one database: servers that answer and record, and one that is killed.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails
#![allow(clippy::disallowed_methods)] // processes are waited for in real time

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use common::Folder;
use common::server::{Server, ask, local_token};
use provex_core::digest::Digest;
use provex_core::ids::{DocumentDigest, TenantId};
use provex_core::time::Timestamp;
use provex_store::testing::{LoggedSet, SignedFixture, at, by, check_ledger, document, id, lease};
use provex_store::{NewLink, Release, Stage, Store};
use provex_store_postgres::testing::TestDatabase;
use provex_store_sqlite::SqliteStore;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

fn openvex(number: usize, statements: usize) -> Vec<u8> {
    let statement = |index: usize| {
        json!({
            "vulnerability": {"name": format!("CVE-2026-{:04}", 1_000 + index)},
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
        "statements": (0..statements).map(statement).collect::<Vec<_>>(),
    });
    serde_json::to_vec(&document).unwrap()
}

async fn on_postgres() -> (TestDatabase, Folder) {
    let database = TestDatabase::empty().await;
    let folder = Folder::on(&database.url());
    folder.text(0, &["migrate"]);
    folder.text(0, &["init"]);
    (database, folder)
}

#[tokio::test]
async fn one_of_two_servers_killed_among_writes_leaves_no_gap_and_no_fork() {
    const WRITERS: usize = 4;
    const DOCUMENTS: usize = 25;
    let (database, folder) = on_postgres().await;
    let [mut killed, other] = [Server::start(&folder, &[]), Server::start(&folder, &[])];
    let token = local_token(&folder);
    let (acknowledged, turned_away) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    let gone = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let addresses = [killed.address.clone(), other.address.clone()];
        let start = |writer: usize| {
            let (acknowledged, turned_away, gone, token) = (&acknowledged, &turned_away, &gone, &token);
            let mine = addresses[writer % 2].clone();
            let living = addresses[1].clone();
            scope.spawn(move || {
                for number in 0..DOCUMENTS {
                    // However slow the machine is, some writes come after the end of the one server.
                    while number == DOCUMENTS - 1 && !gone.load(Ordering::SeqCst) {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    let bytes = openvex(writer * DOCUMENTS + number, 3);
                    let post = |address: &str| ask(address, token, "POST", "/v1/vex/documents", &bytes);
                    // Who got no answer asks the other one: it was recorded by the first, or is now.
                    let answer = post(&mine).or_else(|| {
                        turned_away.fetch_add(1, Ordering::SeqCst);
                        post(&living)
                    });
                    let answer = answer.unwrap();
                    assert!([200, 201].contains(&answer.status), "{}", answer.head);
                    acknowledged.lock().unwrap().push(DocumentDigest::new(Digest::of(&bytes)));
                }
            })
        };
        let writers: Vec<_> = (0..WRITERS).map(start).collect();
        let end = Ended(&gone);
        let failed = || writers.iter().any(std::thread::ScopedJoinHandle::is_finished);
        while acknowledged.lock().unwrap().len() < WRITERS * DOCUMENTS / 4 && !failed() {
            std::thread::sleep(Duration::from_millis(1));
        }
        killed.kill();
        drop(end);
    });
    assert!(turned_away.load(Ordering::SeqCst) >= WRITERS / 2);
    assert_eq!(other.stop(), Some(0));
    let (store, tenant) = (database.store().await, TenantId::default_tenant());
    // What the killed one had taken is free when its leases end, minutes later: here at once.
    store.clear_leases(&tenant, Timestamp::from_unix_seconds(0).unwrap()).await.unwrap();
    // Who comes next finishes what it had begun.
    folder.text(0, &["link"]);
    assert_eq!(folder.text(0, &["pending", "--ndjson"]), "");
    folder.text(0, &["ledger", "audit"]);
    folder.text(0, &["ledger", "replay"]);
    let acknowledged = acknowledged.into_inner().unwrap();
    for digest in &acknowledged {
        assert!(store.document(&tenant, digest).await.unwrap().is_some(), "{}", digest.to_text());
    }
    let counts = store.counts(&tenant).await.unwrap();
    assert_eq!((counts.documents, counts.linked), (100, 300));
    let (events, rows) = check_ledger(&store, &tenant).await;
    assert_eq!((acknowledged.len(), rows.len()), (100, 300));
    assert!(events.len() >= 200);
}

/// A place in the order of attestations.
fn position(row: &Value) -> (String, String) {
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    (text("recordedAt"), text("attestationId"))
}

/// Reads pages over HTTP.
struct Reader<'a> {
    server: &'a Server,
    token: &'a str,
    limit: usize,
}

impl Reader<'_> {
    /// All pages from a time on.
    fn pages(&self, since: Option<&str>) -> Vec<Value> {
        let since = since.map(|since| format!("&sinceRecordedAt={since}")).unwrap_or_default();
        let mut path = format!("/v1/ledger/attestations?limit={}{since}", self.limit);
        let mut rows = Vec::new();
        loop {
            let answer = ask(&self.server.address, self.token, "GET", &path, b"").unwrap();
            assert_eq!(answer.status, 200, "{}", answer.head);
            let page: Vec<Value> = serde_json::from_slice(&answer.body).unwrap();
            assert!(page.len() <= self.limit);
            rows.extend(page);
            let Some(link) = answer.header("link") else { break };
            path = link.strip_prefix('<').unwrap().split_once('>').unwrap().0.to_owned();
        }
        assert!(rows.windows(2).all(|pair| position(&pair[0]) < position(&pair[1])), "{}", self.limit);
        rows
    }

    /// Reads from the beginning again and again, and beside that reads on from where it was, until nobody writes.
    fn read(&self, whole: &dyn Fn() -> Vec<Value>, written: &AtomicBool) {
        let (mut met, mut since) = (BTreeMap::new(), None::<String>);
        loop {
            let last = written.load(Ordering::SeqCst);
            let before: BTreeSet<_> = whole().iter().map(position).collect();
            let mut found = BTreeMap::new();
            for row in self.pages(None) {
                *found.entry(position(&row)).or_insert(0) += 1;
            }
            let after: BTreeSet<_> = whole().iter().map(position).collect();
            for untouched in before.intersection(&after) {
                assert_eq!(found.get(untouched), Some(&1), "{untouched:?} at {}", self.limit);
            }
            for row in self.pages(since.as_deref()) {
                let (time, id) = position(&row);
                since = Some(time);
                met.insert(id, row);
            }
            if last {
                break;
            }
        }
        // Who read on has met the newest state of each.
        let newest = whole().into_iter().map(|row| (position(&row).1, row)).collect();
        assert!(met == newest, "{} of {} at {}", met.len(), newest.len(), self.limit);
    }
}

/// Attestations that the log refused at first.
async fn refused(store: &dyn Store, members: u64) -> LoggedSet {
    let tenant = TenantId::default_tenant();
    let (mut fixture, refused) = (SignedFixture::new(1), document(1, members));
    let signed = fixture.sign(&tenant, &[&refused]);
    store.record_documents(&tenant, &by(0), std::slice::from_ref(&refused)).await.unwrap();
    let held = lease(1, 0);
    store.acquire_submissions(&tenant, Stage::Attest, held, 10).await.unwrap();
    let envelopes = [signed.to_new_envelope(id(100))];
    store.record_envelopes(&tenant, at(0), held.token, &[refused.submission], &envelopes).await.unwrap();
    store.acquire_submissions(&tenant, Stage::Submit, held, 10).await.unwrap();
    let dead = Release::Dead { reason: "no".to_owned() };
    store.release_submission(&tenant, &by(1), held.token, id(100), &dead).await.unwrap();
    fixture.log(&signed)
}

/// Sets it when it goes, by a failure too, so that nobody waits for it for ever.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Pages of every size while two processes record, attest and link, and this one verifies again what was refused.
fn read_among_writers(runtime: &Runtime, folder: &Folder, store: &dyn Store) {
    let tenant = TenantId::default_tenant();
    let logged = runtime.block_on(refused(store, 300));
    let server = Server::start(folder, &["--no-worker"]);
    let token = local_token(folder);
    let proving: Vec<_> = (0..2)
        .map(|process| {
            for number in 0..30 {
                let number = process * 1_000 + number;
                folder.write(&format!("in-{process}/{number}.json"), openvex(number, 3));
            }
            let documents = folder.path(&format!("in-{process}")).display().to_string();
            folder
                .command(&["prove", "--json", &documents])
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    let written = AtomicBool::new(false);
    let whole = || {
        let lines = folder.text(0, &["attestations", "--ndjson"]);
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    std::thread::scope(|scope| {
        let _end = Ended(&written);
        for limit in [1, 7, 200, 1_000] {
            let (server, token, written, whole) = (&server, token.as_str(), &written, &whole);
            scope.spawn(move || Reader { server, token, limit }.read(whole, written));
        }
        for linkages in logged.linkages.chunks(10) {
            let part = NewLink { entry: &logged.entry, linkages, finished: None };
            runtime.block_on(store.link(&tenant, &by(2), lease(1, 0).token, &[part])).unwrap();
        }
        for mut process in proving {
            // 1: something of the tenant was refused, which it still is when this one takes longer.
            let code = process.wait().unwrap().code();
            assert!(matches!(code, Some(0 | 1)), "{code:?}");
        }
    });
    let rows = whole();
    assert_eq!(rows.len(), 300 + 2 * 30 * 3);
    assert!(rows.iter().all(|row| row["verificationStatus"] == "verified"));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn readers_miss_nothing_while_processes_write_to_a_file() {
    let runtime = Runtime::new().unwrap();
    let folder = Folder::new();
    folder.text(0, &["init"]);
    let store = runtime.block_on(SqliteStore::open(&folder.path("data/provex.db"))).unwrap();
    read_among_writers(&runtime, &folder, &store);
}

#[test]
fn readers_miss_nothing_while_processes_write_to_a_server() {
    let runtime = Runtime::new().unwrap();
    let (database, folder) = runtime.block_on(on_postgres());
    let store = runtime.block_on(database.store());
    read_among_writers(&runtime, &folder, &store);
}
