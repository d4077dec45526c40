//! Logs that take no entries any more, and those that come after them.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use common::faulty::Faults;
use common::{Opened, World, openvex};
use provex_core::digest::Digest;
use provex_core::entry::{HashedRekord, LogEntry};
use provex_core::intoto::SaltKey;
use provex_core::keys::PublicKey;
use provex_core::trusted_root::TrustedLog;
use provex_formats::ParseLimits;
use provex_pipeline::{Content, Drain, Input, LogLine, Told, Unit};
use provex_tlog::{LogError, TransparencyLog};

const DOCUMENTS: usize = 20;
const CONCURRENCY: usize = 4;
const SALT_KEY: SaltKey = SaltKey::new([3; 32]);

/// A shard that is closed, and how often it was asked to log something.
struct Closed {
    identity: TrustedLog,
    asked: AtomicUsize,
}

impl Closed {
    fn new(like: &Arc<dyn TransparencyLog>) -> Arc<Self> {
        Arc::new(Self { identity: like.identity().clone(), asked: AtomicUsize::new(0) })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl TransparencyLog for Closed {
    fn identity(&self) -> &TrustedLog {
        &self.identity
    }

    fn concurrency(&self) -> usize {
        CONCURRENCY
    }

    async fn submit(&self, _: &HashedRekord) -> Result<LogEntry, LogError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Err(LogError::Frozen("please switch to the latest log".to_owned()))
    }

    async fn checkpoint(&self) -> Result<Vec<u8>, LogError> {
        panic!("nothing of it is linked")
    }

    async fn consistency_proof(&self, _: u64, _: u64) -> Result<Vec<Digest>, LogError> {
        panic!("nothing of it is linked")
    }
}

/// Opens a folder in which documents wait.
async fn waiting(world: &World) -> Opened {
    let opened = world.open(&Faults::none()).await;
    let inputs = (1..=DOCUMENTS).map(|number| Input {
        name: number.to_string(),
        content: Content::Bytes(openvex(number, 1)),
        found: false,
    });
    let inputs = inputs.collect::<Vec<_>>().into_iter();
    opened.pipeline.ingest(inputs, ParseLimits::default(), |_| {}).await.unwrap();
    opened
}

fn drain<'a>(world: &'a World, opened: &'a Opened, keys: &'a [PublicKey], lines: &'a [LogLine]) -> Drain<'a> {
    Drain {
        tenants: std::slice::from_ref(&opened.pipeline),
        signer: &world.signer,
        salt_key: &SALT_KEY,
        unit: Unit::Document,
        lines: Ok(lines),
        known: std::slice::from_ref(&opened.log),
        authority: Ok(None),
        verifier: world.verifier(keys),
    }
}

const FROZEN: &str = "the log is frozen and takes no entries: please switch to the latest log";

#[test]
fn a_frozen_log_is_asked_by_what_was_under_way_and_then_no_more() {
    let (world, keys) = (World::new(), World::new().keys());
    world.process(|| async {
        let opened = waiting(&world).await;
        let closed = Closed::new(&opened.log);
        let lines = [LogLine::new(closed.clone())];
        let drain = drain(&world, &opened, &keys, &lines);
        // A worker goes on for many rounds after every row says why it waits.
        let (rounds, explained) = (AtomicUsize::new(0), AtomicBool::new(false));
        let stop = || explained.load(Ordering::SeqCst) && rounds.fetch_add(1, Ordering::SeqCst) >= 100;
        let tell = |news: Told| assert_eq!(news, Told::Waiting(FROZEN.to_owned()));
        let explaining = async {
            let (store, tenant) = (&opened.disk, &opened.pipeline.tenant);
            loop {
                let rows = store.queued_submissions(tenant, false, None, 100).await.unwrap();
                let waiting = rows.iter().filter(|row| row.reason.as_deref() == Some(FROZEN)).count();
                if waiting == DOCUMENTS {
                    return explained.store(true, Ordering::SeqCst);
                }
                tokio::task::yield_now().await;
            }
        };
        let (ended, ()) = tokio::join!(drain.until(&stop, Duration::from_millis(1), &tell), explaining);
        ended.unwrap();
        assert!(rounds.load(Ordering::SeqCst) > 100, "it ended before it was told to");
        assert!((1..=CONCURRENCY).contains(&closed.asked()), "asked {} times", closed.asked());
        // Commands end, and say why.
        let asked = closed.asked();
        let drained = drain.once(&|| false).await.unwrap();
        assert_eq!((drained.submitted.frozen, drained.submitted.reason.as_deref()), (true, Some(FROZEN)));
        assert_eq!(closed.asked(), asked);
    });
}

#[test]
fn what_a_frozen_log_does_not_take_goes_to_the_next_one_at_once() {
    let (world, keys) = (World::new(), World::new().keys());
    world.process(|| async {
        let opened = waiting(&world).await;
        let closed = Closed::new(&opened.log);
        let lines = [LogLine::new(closed.clone()), LogLine::new(Arc::clone(&opened.log))];
        let drained = drain(&world, &opened, &keys, &lines).once(&|| false).await.unwrap();
        assert_eq!(drained.linked.linked, DOCUMENTS as u64);
        assert!((1..=CONCURRENCY).contains(&closed.asked()), "asked {} times", closed.asked());
    });
}
