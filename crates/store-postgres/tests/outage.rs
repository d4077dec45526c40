//! A server that goes away: at COMMIT with its answer lost, before or after it took effect, under concurrent writers, and
//! transactions that lose against others.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use common::{observations, tenant};
use provex_core::ids::TenantId;
use provex_store::testing::{SignedFixture, at, by, document, id, lease};
use provex_store::{RecordedDocument, Release, Stage, Store as _};
use provex_store_postgres::migrate::{self, Layout};
use provex_store_postgres::testing::{TestDatabase, TestServer};
use provex_store_postgres::{Options, PostgresStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of the next COMMIT.
const PASSED: u8 = 0;
/// The connection is cut before it reaches the server.
const LOST: u8 = 1;
/// The connection is cut when the server has answered it, before the answer is passed on.
const UNANSWERED: u8 = 2;

/// A proxy before the server that cuts connections at COMMIT.
struct Proxy {
    port: u16,
    next: Arc<AtomicU8>,
    cuts: Arc<AtomicU32>,
}

impl Proxy {
    async fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (next, cuts) = (Arc::new(AtomicU8::new(PASSED)), Arc::new(AtomicU32::new(0)));
        let server = address(url).to_owned();
        let (armed, counted) = (Arc::clone(&next), Arc::clone(&cuts));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(serve(client, server, Arc::clone(&armed), Arc::clone(&counted)));
            }
        });
        Self { port, next, cuts }
    }

    fn url(&self, url: &str) -> String {
        // In the clear: what is encrypted cannot be cut at a message.
        format!("{}?sslmode=disable", url.replace(address(url), &format!("127.0.0.1:{}", self.port)))
    }

    fn arm(&self, next: u8) {
        self.next.store(next, Ordering::SeqCst);
    }
}

fn address(url: &str) -> &str {
    url.split_once('@').unwrap().1.split_once('/').unwrap().0
}

async fn serve(client: TcpStream, server: TcpStream, next: Arc<AtomicU8>, cuts: Arc<AtomicU32>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let cut = Arc::new(tokio::sync::Notify::new());
    let silent = Arc::new(AtomicU8::new(0));
    let (cutting, silenced) = (Arc::clone(&cut), Arc::clone(&silent));
    let back = tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            if silenced.load(Ordering::SeqCst) > 0 {
                // The server has answered: what it did is done.
                cutting.notify_one();
                return;
            }
            if to_client.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 65_536];
    while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
        let commits = buffer[..read].windows(6).any(|word| word == b"COMMIT");
        match if commits { next.swap(PASSED, Ordering::SeqCst) } else { PASSED } {
            LOST => {
                cuts.fetch_add(1, Ordering::SeqCst);
                break;
            }
            UNANSWERED => {
                cuts.fetch_add(1, Ordering::SeqCst);
                silent.store(1, Ordering::SeqCst);
                to_server.write_all(&buffer[..read]).await.unwrap();
                cut.notified().await;
                break;
            }
            _ => {
                if to_server.write_all(&buffer[..read]).await.is_err() {
                    break;
                }
            }
        }
    }
    back.abort();
}

/// The whole way of a document, each write's COMMIT cut as `cut` says: every answer is as if nothing had happened.
async fn way_of_a_document(cut: u8) {
    let database = TestDatabase::migrated(Layout::Hash16).await;
    let proxy = Proxy::before(&database.url()).await;
    let store = PostgresStore::connect(&proxy.url(&database.url()), Options::default()).await.unwrap();
    let tenant = tenant();
    proxy.arm(cut);
    store.add_tenant(&tenant, id(1), at(0)).await.unwrap();
    let documents = [document(1, 2), document(2, 3)];
    proxy.arm(cut);
    let recorded = store.record_documents(&tenant, &by(0), &documents).await.unwrap();
    assert!(recorded.iter().all(|one| matches!(one, RecordedDocument::New(_))), "{recorded:?}");
    let mut fixture = SignedFixture::new(1);
    let held = lease(1, 1);
    proxy.arm(cut);
    let leased = store.acquire_submissions(&tenant, Stage::Attest, held, 1).await.unwrap();
    assert_eq!(leased.len(), 1);
    let signed = fixture.sign(&tenant, &[&documents[0]]);
    proxy.arm(cut);
    store
        .record_envelopes(&tenant, at(2), held.token, &[leased[0].id], &[signed.to_new_envelope(id(100))])
        .await
        .unwrap();
    let held = lease(2, 3);
    proxy.arm(cut);
    let leased = store.acquire_submissions(&tenant, Stage::Submit, held, 10).await.unwrap();
    assert_eq!(leased.len(), 1);
    let logged = fixture.log(&signed);
    proxy.arm(cut);
    store.record_answers(&tenant, held.token, &[logged.to_answer(id(100))]).await.unwrap();
    proxy.arm(cut);
    store.record_log_checkpoint(&fixture.log_id(), &logged.checkpoint).await.unwrap();
    let held = lease(3, 4);
    proxy.arm(cut);
    let leased = store.acquire_submissions(&tenant, Stage::Link, held, 10).await.unwrap();
    assert_eq!(leased.len(), 1);
    proxy.arm(cut);
    let linked = store.link(&tenant, &by(5), held.token, &[logged.to_new_link(Some(id(100)))]).await.unwrap();
    assert_eq!(linked.linked, 2);
    let held = lease(4, 6);
    let leased = store.acquire_submissions(&tenant, Stage::Attest, held, 10).await.unwrap();
    assert_eq!(leased.len(), 1);
    proxy.arm(cut);
    let release = Release::Retry { at: at(60), reason: "later".to_owned() };
    store.release_submission(&tenant, &by(7), held.token, leased[0].id, &release).await.unwrap();
    proxy.arm(cut);
    store.clear_leases(&tenant, at(8)).await.unwrap();
    assert_eq!(proxy.cuts.load(Ordering::SeqCst), 11, "every COMMIT was cut once");

    // All of it is there, once.
    let rows = observations(&store, &tenant).await;
    assert_eq!((rows.len(), rows.iter().filter(|row| row.linkage.is_some()).count()), (5, 2));
    let backlog = store.backlog(&tenant).await.unwrap();
    assert_eq!((backlog.attest, backlog.submit, backlog.link, backlog.dead), (1, 0, 0, 0));
    for (table, count) in [("vex.documents", 2), ("attestor.envelopes", 1), ("attestor.log_entries", 1)] {
        assert_eq!(database.integer(&format!("SELECT count(*) FROM {table}")).await, count, "{table}");
    }
}

#[tokio::test]
async fn a_commit_that_never_arrived_is_repeated() {
    way_of_a_document(LOST).await;
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found_by_identity() {
    way_of_a_document(UNANSWERED).await;
}

#[tokio::test]
async fn a_transaction_that_loses_against_another_is_tried_again() {
    for code in ["40001", "40P01"] {
        let database = TestDatabase::migrated(Layout::Flat).await;
        let store = database.store().await;
        store.add_tenant(&tenant(), id(1), at(0)).await.unwrap();
        // The first three attempts lose: a sequence counts them, whatever is rolled back.
        database
            .execute(&format!(
                "CREATE SEQUENCE vex.attempts; GRANT USAGE ON SEQUENCE vex.attempts TO provex_app;
                CREATE FUNCTION vex.lose() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN
                    IF nextval('vex.attempts') <= 3 THEN RAISE EXCEPTION 'lost' USING ERRCODE = '{code}'; END IF;
                    RETURN NULL;
                END $f$;
                CREATE TRIGGER lose AFTER INSERT ON vex.documents EXECUTE FUNCTION vex.lose()"
            ))
            .await;
        let recorded = store.record_documents(&tenant(), &by(0), &[document(1, 2)]).await.unwrap();
        assert!(matches!(recorded[..], [RecordedDocument::New(_)]), "{recorded:?}");
        assert_eq!(database.integer("SELECT last_value FROM vex.attempts").await, 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_under_writers_keeps_all_that_it_acknowledged() {
    const WRITERS: u64 = 4;
    const DOCUMENTS: u64 = 40;
    let server = tokio::task::spawn_blocking(TestServer::start).await.unwrap();
    let database = TestDatabase::empty_on(&server.url()).await;
    migrate::migrate(&database.url(), None, at(0)).await.unwrap();
    // As some make it for speed: for us it would lose what was acknowledged last.
    database.execute(&format!("ALTER DATABASE {} SET synchronous_commit = off", database.name())).await;
    let tenants: [TenantId; 2] = ["one".parse().unwrap(), "two".parse().unwrap()];
    let acknowledged = Arc::new(AtomicU32::new(0));
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let tenant = tenants[(writer % 2) as usize].clone();
        let store = database.store().await;
        store.add_tenant(&tenant, id(1 + writer % 2), at(0)).await.unwrap();
        let acknowledged = Arc::clone(&acknowledged);
        writers.push(tokio::spawn(async move {
            for number in 0..DOCUMENTS {
                let document = document(writer * DOCUMENTS + number + 1, 5);
                let recorded = store.record_documents(&tenant, &by(0), &[document]).await.unwrap();
                assert!(matches!(recorded[..], [RecordedDocument::New(_)]), "{recorded:?}");
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    for reached in [1, 40, 80] {
        while acknowledged.load(Ordering::SeqCst) < reached {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        tokio::task::block_in_place(|| {
            server.kill();
            server.restart();
        });
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let store = database.store().await;
    for tenant in &tenants {
        let rows = observations(&store, tenant).await;
        assert_eq!(rows.len() as u64, WRITERS / 2 * DOCUMENTS * 5);
        let backlog = store.backlog(tenant).await.unwrap();
        assert_eq!(backlog.attest, WRITERS / 2 * DOCUMENTS);
    }
    drop(store);
    tokio::task::block_in_place(|| drop((database, server)));
}
