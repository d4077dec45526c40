//! A data folder to be worked on by processes that fail: its store and log with a fault at any call, and the check
//! of everything that is there in the end.
#![allow(clippy::panic, clippy::unwrap_used, reason = "the allowance for tests does not reach helpers")]
#![allow(dead_code, unreachable_pub, reason = "each file of tests uses some of it")]

pub mod faulty;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use faulty::{Faults, FaultyLog, FaultyStore};
use provex_core::bundle::Bundle;
use provex_core::checkpoint::SignedCheckpoint;
use provex_core::digest::Digest;
use provex_core::ids::{DocumentDigest, ObservationId, TenantId};
use provex_core::intoto::SaltKey;
use provex_core::keys::{LocalSigner, PublicKey, RustCrypto, Signer as _};
use provex_core::ledger::{EventType, PreviousAnchor};
use provex_core::merkle::{self, Tree};
use provex_core::proof::Proof;
use provex_core::tile;
use provex_core::time::Timestamp;
use provex_core::trusted_root::{TrustedLog, TrustedRoot};
use provex_core::verify::{NoTimestamps, Verifier};
use provex_formats::ParseLimits;
use provex_pipeline::environment::Environment;
use provex_pipeline::{
    Content, Due, Error, Exported, Input, LogLine, Pipeline, Sealing, StoreCheckpoints, Trusted, Unit,
};
use provex_store::testing::by;
use provex_store::{
    Backlog, EventRow, LinkageRow, NewDocument, ObservationFilter, RecordedDocument, Recording, Store,
};
use provex_store_sqlite::SqliteStore;
use provex_tlog::TransparencyLog;
use provex_tlog::embedded::{EmbeddedLog, EmbeddedLogConfig};
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _, SqliteConnection};

/// Every unit, a batch smaller than the corpus.
pub const UNITS: [Unit; 3] = [Unit::Document, Unit::Observation, Unit::Batch(NonZeroUsize::new(2).unwrap())];

/// Longer than any back-off, shorter than a lease.
pub const BACK_OFF: i64 = 6 * 60;
/// Longer than a lease.
pub const LEASE: i64 = 11 * 60;

/// A clock that the test moves and that moves by itself a little, and numbers that look random.
pub struct TestEnvironment {
    micros: AtomicI64,
    drawn: AtomicU64,
}

impl TestEnvironment {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { micros: AtomicI64::new(1_800_000_000_000_000), drawn: AtomicU64::new(0) })
    }

    pub fn advance(&self, seconds: i64) {
        self.micros.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Environment for TestEnvironment {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.micros.fetch_add(1, Ordering::SeqCst)).unwrap()
    }

    fn random(&self, bytes: &mut [u8]) {
        let number = self.drawn.fetch_add(1, Ordering::SeqCst);
        let digest = Digest::of(&number.to_be_bytes());
        bytes.copy_from_slice(&digest.as_bytes()[..bytes.len()]);
    }
}

/// Documents to be proven: their bytes, or one that has no observations.
pub struct Corpus {
    pub files: Vec<Vec<u8>>,
    pub empty: NewDocument,
}

impl Corpus {
    /// Three documents with one to three observations, and one without any.
    pub fn new() -> Self {
        let files = (1..=3_usize).map(|number| openvex(number, number)).collect();
        Self { files, empty: provex_store::testing::document(9, 0) }
    }

    fn observations(&self) -> u64 {
        let parse = |bytes: &Vec<u8>| provex_formats::parse(bytes, &ParseLimits::default()).unwrap();
        self.files.iter().map(|bytes| parse(bytes).observations.len() as u64).sum()
    }

    pub fn inputs(&self) -> impl Iterator<Item = Input> + Send + 'static {
        let input = |(number, bytes): (usize, &Vec<u8>)| Input {
            name: format!("{number}.json"),
            content: Content::Bytes(bytes.clone()),
            found: false,
        };
        self.files.iter().enumerate().map(input).collect::<Vec<_>>().into_iter()
    }

    fn digests(&self) -> Vec<DocumentDigest> {
        let files = self.files.iter().map(|bytes| DocumentDigest::new(Digest::of(bytes)));
        files.chain([self.empty.facts.digest]).collect()
    }
}

/// An OpenVEX document with so many statements.
pub fn openvex(number: usize, statements: usize) -> Vec<u8> {
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

/// A data folder, the clock beside it, and what anybody was ever told of it.
pub struct World {
    folder: tempfile::TempDir,
    pub environment: Arc<TestEnvironment>,
    pub tenant: TenantId,
    pub signer: LocalSigner,
    trusted_root: TrustedRoot,
    told: Mutex<Told>,
}

/// What was answered, which nothing may take back.
#[derive(Default)]
struct Told {
    documents: BTreeMap<DocumentDigest, Timestamp>,
    notes: BTreeSet<Vec<u8>>,
    linkages: BTreeMap<ObservationId, LinkageRow>,
}

/// How a process ended.
#[derive(Debug)]
pub enum Ended {
    /// Well, with this left to be done later.
    Done(Backlog),
    Failed(Error),
    Killed,
}

/// The store and the log that a process has opened.
pub struct Opened {
    /// The store without faults.
    pub disk: Arc<dyn Store>,
    pub pipeline: Pipeline,
    pub log: Arc<dyn TransparencyLog>,
}

impl World {
    /// An empty folder with its log, as `init` leaves it.
    pub fn new() -> Self {
        static INITIALISED: LazyLock<World> = LazyLock::new(World::initialise);
        let world = Self::without_files();
        copy_folder(INITIALISED.folder.path(), world.folder.path());
        world
    }

    fn initialise() -> Self {
        let world = Self::without_files();
        world.process(|| async {
            let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&world.database()).await.unwrap());
            let (chain, now) = (world.environment.uuid(), world.environment.now());
            store.add_tenant(&world.tenant, chain, now).await.unwrap();
            EmbeddedLog::create(world.log_config(store)).await.unwrap();
            SqliteStore::open(&world.database()).await.unwrap().close().await.unwrap();
        });
        world
    }

    fn without_files() -> Self {
        let log_signer = LocalSigner::ed25519_from_random(&[7; 32]);
        let origin = "log-0a0b0c0d.provex.internal";
        let log = TrustedLog::embedded(origin, log_signer.public_key().clone(), Timestamp::EPOCH);
        Self {
            folder: tempfile::tempdir().unwrap(),
            environment: TestEnvironment::new(),
            tenant: TenantId::default_tenant(),
            signer: LocalSigner::p256_from_random(&[5; 32]).unwrap(),
            trusted_root: TrustedRoot::new(vec![log]),
            told: Mutex::default(),
        }
    }

    pub fn database(&self) -> PathBuf {
        self.folder.path().join("provex.db")
    }

    pub fn log_folder(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn log_identity(&self) -> &TrustedLog {
        &self.trusted_root.logs[0]
    }

    fn log_config(&self, store: Arc<dyn Store>) -> EmbeddedLogConfig {
        let checkpoints =
            StoreCheckpoints { store, environment: self.environment.clone(), log: self.log_identity().id };
        EmbeddedLogConfig {
            folder: self.log_folder(),
            identity: self.log_identity().clone(),
            signer: Arc::new(LocalSigner::ed25519_from_random(&[7; 32])),
            checkpoints: Arc::new(checkpoints),
        }
    }

    /// Runs something as a process of its own: all its threads have ended when this returns.
    pub fn process<F: Future>(&self, main: impl FnOnce() -> F) -> F::Output {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        let output = runtime.block_on(main());
        runtime.shutdown_timeout(Duration::from_secs(60));
        output
    }

    /// Opens store and log with faults at their calls, those of the log on the store included.
    pub async fn open(&self, faults: &Arc<Faults>) -> Opened {
        let disk: Arc<dyn Store> = Arc::new(SqliteStore::open(&self.database()).await.unwrap());
        let store = |on_thread| {
            let (inner, faults) = (Arc::clone(&disk), Arc::clone(faults));
            Arc::new(FaultyStore { inner, faults, on_thread })
        };
        let log = EmbeddedLog::open(self.log_config(store(true)));
        let log = FaultyLog { inner: log, faults: Arc::clone(faults) };
        let environment: Arc<dyn Environment> = self.environment.clone();
        let pipeline = Pipeline {
            store: store(false),
            environment,
            tenant: self.tenant.clone(),
            actor: by(0).actor,
            run: None,
        };
        Opened { disk, pipeline, log: Arc::new(log) }
    }

    pub fn keys(&self) -> Vec<PublicKey> {
        vec![self.signer.public_key().clone()]
    }

    pub fn verifier<'a>(&'a self, keys: &'a [PublicKey]) -> Verifier<'a> {
        Verifier {
            trusted_root: &self.trusted_root,
            keys,
            signatures: &RustCrypto,
            timestamps: &NoTimestamps,
        }
    }

    /// The whole path once, for all of the corpus.
    pub async fn work(&self, opened: &Opened, corpus: &Corpus, unit: Unit) -> Result<(), Error> {
        let Opened { pipeline, log, .. } = opened;
        let (keys, told) = (self.keys(), &self.told);
        let mut acknowledged = Vec::new();
        let ingested = pipeline
            .ingest(corpus.inputs(), ParseLimits::default(), |item| {
                let number: usize = item.name.strip_suffix(".json").unwrap().parse().unwrap();
                acknowledged.push((corpus.files[number].as_slice(), item.recorded.unwrap()));
            })
            .await;
        for (bytes, recorded) in acknowledged {
            self.tell(DocumentDigest::new(Digest::of(bytes)), recorded);
        }
        ingested?;
        let recording = Recording { now: self.environment.now(), ..by(0) };
        let empty = std::slice::from_ref(&corpus.empty);
        let recorded = pipeline.store.record_documents(&self.tenant, &recording, empty).await?;
        self.tell(corpus.empty.facts.digest, recorded[0]);
        pipeline.attest(&self.signer, &SaltKey::new([3; 32]), unit).await?;
        // The documents, then the root over the events that it made.
        for _ in 0..2 {
            LogLine::new(Arc::clone(log)).submit(std::slice::from_ref(pipeline), &keys, &|| false).await?;
            pipeline.link(std::slice::from_ref(log), None, self.verifier(&keys)).await?;
            let (signer, salt_key) = (&self.signer, &SaltKey::new([3; 32]));
            let sealing = Sealing { signer, salt_key, keys: &keys, signatures: &RustCrypto, anchors: true };
            pipeline.seal(sealing, Due::Now).await?;
        }
        if let Ok(note) = log.checkpoint().await {
            told.lock().unwrap().notes.insert(note);
        }
        Ok(())
    }

    fn tell(&self, document: DocumentDigest, recorded: RecordedDocument) {
        if let RecordedDocument::New(created_at) = recorded {
            let before = self.told.lock().unwrap().documents.insert(document, created_at);
            assert_eq!(before, None, "{} was recorded twice", document.to_text());
        }
    }

    /// One process that gives back what a dead one had leased, works, and ends well or badly.
    pub fn run(&self, faults: &Arc<Faults>, corpus: &Corpus, unit: Unit, alone: bool) -> Ended {
        let ended = self.process(|| async {
            let opened = self.open(faults).await;
            let store = &opened.pipeline.store;
            self.remember(&opened.disk).await;
            let working = async {
                if alone {
                    store.clear_leases(&self.tenant, self.environment.now()).await?;
                }
                self.work(&opened, corpus, unit).await?;
                store.backlog(&self.tenant).await.map_err(Error::from)
            };
            tokio::select! {
                ended = working => ended.map_or_else(Ended::Failed, Ended::Done),
                () = faults.killed() => Ended::Killed,
            }
        });
        self.told.lock().unwrap().notes.append(&mut faults.notes());
        ended
    }

    /// Keeps what a reader can see now: it may not change any more.
    async fn remember(&self, store: &Arc<dyn Store>) {
        if let Ok(note) = fs::read(self.log_folder().join("checkpoint")) {
            self.told.lock().unwrap().notes.insert(note);
        }
        let kept = store.log_checkpoint(&self.log_identity().id).await.unwrap();
        self.told.lock().unwrap().notes.extend(kept.map(|kept| kept.note));
        let rows = store.observations(&self.tenant, &ObservationFilter::default(), None, 1_000).await;
        for row in rows.unwrap() {
            let mut told = self.told.lock().unwrap();
            let Some(now) = row.linkage else {
                assert!(!told.linkages.contains_key(&row.id), "a linkage is gone");
                continue;
            };
            let before = told.linkages.insert(row.id, now.clone());
            assert!(before.is_none_or(|before| before == now), "a linkage was changed");
        }
    }

    /// Runs without faults until nothing waits. The clock goes on as far as a user would need to wait.
    pub fn finish(&self, corpus: &Corpus, unit: Unit, alone: bool) {
        for _ in 0..3 {
            self.environment.advance(if alone { BACK_OFF } else { LEASE });
            match self.run(&Faults::none(), corpus, unit, alone) {
                Ended::Done(left) if left == Backlog::default() => return,
                Ended::Done(_) => {}
                ended => panic!("{ended:?}"),
            }
        }
        panic!("it does not come to an end");
    }

    /// All observations in their order.
    pub fn created(&self) -> Vec<(Timestamp, ObservationId)> {
        self.process(|| async {
            let store = SqliteStore::open(&self.database()).await.unwrap();
            let rows = store.observations(&self.tenant, &ObservationFilter::default(), None, 1_000).await;
            rows.unwrap().into_iter().map(|row| (row.created_at, row.id)).collect()
        })
    }

    /// Reads everything back, and proves that each document is linked once and that nothing was taken back.
    pub fn check(&self, corpus: &Corpus, unit: Unit) {
        let logged = self.process(|| self.check_store(corpus, unit));
        let leaves = self.check_log();
        assert_eq!(leaves, logged, "the log holds the envelopes' entries, each once, and nothing else");
    }

    /// The leaf hashes of the log, from its entries: those of its tiles, none twice, under every checkpoint.
    fn check_log(&self) -> BTreeSet<Digest> {
        let signed = |note: &[u8]| {
            let log = self.log_identity();
            SignedCheckpoint::verify(note, log.origin(), &[&log.key], &RustCrypto).unwrap()
        };
        let folder = self.log_folder();
        let newest = signed(&fs::read(folder.join("checkpoint")).unwrap());
        let size = newest.checkpoint().size;
        let width = u16::try_from(size).unwrap();
        assert!((1..256).contains(&width));
        let bundle = fs::read(folder.join(tile::entries_path(0, width))).unwrap();
        let entries = tile::decode_entries(&bundle).unwrap();
        let leaves: Vec<_> = entries.into_iter().map(merkle::leaf_hash).collect();
        let tile = fs::read(folder.join(tile::hash_tile_path(0, 0, width))).unwrap();
        assert_eq!(tile::decode_hashes(&tile).unwrap(), leaves);
        let distinct: BTreeSet<_> = leaves.iter().copied().collect();
        assert_eq!(distinct.len() as u64, size, "an entry is logged twice");
        let told = self.told.lock().unwrap();
        assert!(told.notes.len() >= 2, "{}", told.notes.len());
        for note in &told.notes {
            let checkpoint = signed(note).checkpoint().clone();
            assert!(checkpoint.size <= size, "the log shrank");
            let leaves = leaves[..usize::try_from(checkpoint.size).unwrap()].to_vec();
            assert_eq!(Tree::new(leaves).root(), checkpoint.root, "the log was forked");
        }
        distinct
    }

    /// The leaf hashes of all bundles.
    async fn check_store(&self, corpus: &Corpus, unit: Unit) -> BTreeSet<Digest> {
        let opened = self.open(&Faults::none()).await;
        let (pipeline, store) = (&opened.pipeline, &opened.disk);
        self.remember(store).await;
        let counts = store.counts(&self.tenant).await.unwrap();
        let documents = corpus.digests();
        assert_eq!(counts.documents, documents.len() as u64);
        assert_eq!(
            (counts.observations, counts.linked, counts.failed),
            (corpus.observations(), corpus.observations(), 0)
        );
        assert_eq!(store.backlog(&self.tenant).await.unwrap(), Backlog::default());
        let mut envelopes = BTreeSet::new();
        for document in &documents {
            let row = store.document(&self.tenant, document).await.unwrap().unwrap();
            let told = self.told.lock().unwrap().documents.get(document).copied();
            assert!(told.is_none_or(|told| told == row.created_at));
            let body = store.document_body(&self.tenant, document).await.unwrap().unwrap();
            assert_eq!(DocumentDigest::new(Digest::of(&body)), *document);
            let of = store.envelopes_of_document(&self.tenant, document).await.unwrap();
            let expected = if unit == Unit::Observation { row.observations.max(1) } else { 1 };
            assert_eq!(of.len() as u64, expected, "{} is attested more than once", document.to_text());
            envelopes.extend(of);
        }
        let (keys, mut leaves) = (self.keys(), BTreeSet::new());
        let verifier = self.verifier(&keys);
        for envelope in &envelopes {
            let (_, bundle) = store.bundle_of_envelope(&self.tenant, envelope).await.unwrap().unwrap();
            let verified = verifier.bundle(&Bundle::parse(&bundle).unwrap()).unwrap();
            assert_eq!(verified.envelope().digest(), *envelope);
            leaves.insert(verified.linked().rekor_uuid);
        }
        let audit = pipeline.audit(Trusted { keys: &keys, signatures: &RustCrypto }).await.unwrap();
        assert_eq!(audit.wrong, None);
        let newest = store.newest_ledger_root(&self.tenant, true).await.unwrap().unwrap();
        assert_eq!(audit.roots, audit.anchored, "a root has no anchor");
        let since = store.ledger_events(&self.tenant, newest.tree_size, 100).await.unwrap();
        let own = |row: &EventRow| row.event.event_type == EventType::LedgerAnchored;
        assert!(since.iter().all(own), "the newest root is not over all that was recorded");
        let mut anchor = store.newest_ledger_anchor(&self.tenant).await.unwrap();
        while let Some(PreviousAnchor { envelope, .. }) = anchor {
            let (_, bundle) = store.bundle_of_envelope(&self.tenant, &envelope).await.unwrap().unwrap();
            let verified = verifier.bundle(&Bundle::parse(&bundle).unwrap()).unwrap();
            assert!(leaves.insert(verified.linked().rekor_uuid));
            anchor = verifier.anchor(&verified).unwrap().unwrap().predicate.previous;
        }
        let rows = store.observations(&self.tenant, &ObservationFilter::default(), None, 100).await.unwrap();
        for row in rows {
            let Exported::Bytes(proof) = pipeline.proof(&row.id).await.unwrap() else { panic!("no proof") };
            let verified = verifier.proof(&Proof::parse(&proof).unwrap()).unwrap();
            assert_eq!(verified.observation_id, row.id);
            assert_eq!(row.linkage.unwrap().fields.entry.rekor_uuid, verified.entry.linked().rekor_uuid);
        }
        leaves
    }
}

/// The owner's hand: no triggers, no checks, no foreign keys.
pub async fn owner(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(false)
        .pragma("ignore_check_constraints", "ON")
        .disable_statement_logging();
    let mut owner = options.connect().await.unwrap();
    let triggers = sqlx::query("SELECT name FROM sqlite_schema WHERE type = 'trigger'");
    for row in triggers.fetch_all(&mut owner).await.unwrap() {
        let sql = format!("DROP TRIGGER {}", row.get::<String, _>(0));
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut owner).await.unwrap();
    }
    owner
}

/// Copies a folder with all that is in it.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
