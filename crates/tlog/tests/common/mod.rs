//! A log to be tested: its key, its entries, a store that can be made to fail, and the check of the whole log.

#![allow(clippy::panic, clippy::unwrap_used, reason = "the allowance for tests does not reach helpers")]
#![allow(dead_code, unreachable_pub, reason = "each file of tests uses some of it")]

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use provex_core::checkpoint::SignedCheckpoint;
use provex_core::digest::Digest;
use provex_core::dsse::Envelope;
use provex_core::entry::{HashedRekord, LogEntry};
use provex_core::keys::{LocalSigner, PublicKey, RustCrypto, Signer as _};
use provex_core::merkle::{self, Tree};
use provex_core::note::sign_note;
use provex_core::tile::{self, TilePath};
use provex_core::time::Timestamp;
use provex_core::trusted_root::{TrustedLog, TrustedRoot};
use provex_core::verify::{NoTimestamps, Verifier};
use provex_tlog::embedded::{CheckpointStore, EmbeddedLog, EmbeddedLogConfig};
use provex_tlog::{LogError, TransparencyLog as _};
use tempfile::TempDir;

pub const ORIGIN: &str = "log-0a0b0c0d.provex.internal";

pub fn log_signer() -> LocalSigner {
    LocalSigner::ed25519_from_random(&[7; 32])
}

pub fn identity_of(signer: &LocalSigner) -> TrustedLog {
    TrustedLog::embedded(ORIGIN, signer.public_key().clone(), Timestamp::EPOCH)
}

/// A folder, the store beside it, and whatever logs are opened on the two.
pub struct TestLog {
    pub folder: PathBuf,
    pub store: Arc<TestStore>,
    pub identity: TrustedLog,
    _temporary: TempDir,
}

impl TestLog {
    pub fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("data/log");
        Self { folder, store: Arc::default(), identity: identity_of(&log_signer()), _temporary: temporary }
    }

    /// A copy of the folder as it lies, with a store that keeps this checkpoint.
    pub fn copy(&self, newest: Option<Vec<u8>>) -> Self {
        let other = Self::new();
        copy_folder(&self.folder, &other.folder);
        other.store.state().notes.extend(newest);
        other
    }

    pub fn config(&self) -> EmbeddedLogConfig {
        EmbeddedLogConfig {
            folder: self.folder.clone(),
            identity: self.identity.clone(),
            signer: Arc::new(log_signer()),
            checkpoints: self.store.clone(),
        }
    }

    pub fn open(&self) -> EmbeddedLog {
        EmbeddedLog::open(self.config())
    }

    /// Reads everything back from bytes, and finds nothing else there.
    pub fn check(&self) -> CheckedLog {
        let log = check_log(&self.folder, &self.identity);
        assert_eq!(files(&self.folder), log.files, "no other files");
        log
    }
}

/// Keeps every checkpoint that it was given, and fails where it is told to.
#[derive(Default)]
pub struct TestStore {
    state: Mutex<StoreState>,
}

#[derive(Default)]
pub struct StoreState {
    pub notes: Vec<Vec<u8>>,
    pub faults: VecDeque<Fault>,
    /// What is done when the next checkpoint is recorded: the tiles are durable, and nothing says so yet.
    pub at_record: Option<Box<dyn FnOnce() + Send>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The newest checkpoint cannot be read.
    Newest,
    /// The checkpoint is not kept.
    RecordBefore,
    /// The checkpoint is kept, and the answer lost.
    RecordAfter,
}

impl TestStore {
    pub fn state(&self) -> MutexGuard<'_, StoreState> {
        self.state.lock().unwrap()
    }

    pub fn newest_note(&self) -> Option<Vec<u8>> {
        self.state().notes.last().cloned()
    }

    fn fails(&self, fault: Fault) -> Result<(), String> {
        let faults = &mut self.state().faults;
        if faults.front() != Some(&fault) {
            return Ok(());
        }
        faults.pop_front();
        Err(format!("{fault:?}"))
    }
}

#[async_trait]
impl CheckpointStore for TestStore {
    async fn newest(&self) -> Result<Option<Vec<u8>>, String> {
        tokio::task::yield_now().await;
        self.fails(Fault::Newest)?;
        Ok(self.newest_note())
    }

    async fn record(&self, checkpoint: &SignedCheckpoint) -> Result<(), String> {
        let at_record = self.state().at_record.take();
        if let Some(act) = at_record {
            act();
        }
        self.fails(Fault::RecordBefore)?;
        if let Some(kept) = self.newest_note() {
            assert!(size_of_note(&kept) < checkpoint.checkpoint().size, "a log only grows");
        }
        self.state().notes.push(checkpoint.note().as_str().as_bytes().to_vec());
        tokio::task::yield_now().await;
        self.fails(Fault::RecordAfter)
    }
}

pub fn size_of_note(note: &[u8]) -> u64 {
    std::str::from_utf8(note).unwrap().lines().nth(1).unwrap().parse().unwrap()
}

/// An envelope, its key and what is logged of it.
#[derive(Clone)]
pub struct Submission {
    pub envelope: Envelope,
    pub key: PublicKey,
    pub entry: HashedRekord,
}

pub fn submission(n: u64) -> Submission {
    let signer = LocalSigner::p256_from_random(&[9; 32]).unwrap();
    let envelope = Envelope::sign(format!("{{\"n\":{n}}}").into_bytes(), &signer).unwrap();
    let key = signer.public_key().clone();
    let entry = HashedRekord::of_envelope(&envelope, &key).unwrap();
    Submission { envelope, key, entry }
}

pub fn submissions(numbers: impl IntoIterator<Item = u64>) -> Vec<Submission> {
    numbers.into_iter().map(submission).collect()
}

/// Submits all at once and gives the answers in the same order.
pub async fn submit(log: &Arc<EmbeddedLog>, batch: &[Submission]) -> Vec<Result<LogEntry, LogError>> {
    let submit = |submission: &Submission| {
        let (log, entry) = (Arc::clone(log), submission.entry.clone());
        tokio::spawn(async move { log.submit(&entry).await })
    };
    let waiting: Vec<_> = batch.iter().map(submit).collect();
    let mut answers = Vec::new();
    for answer in waiting {
        answers.push(answer.await.unwrap());
    }
    answers
}

/// Submits all at once; each answer has to verify. The indexes.
pub async fn submit_all(test: &TestLog, log: &Arc<EmbeddedLog>, batch: &[Submission]) -> Vec<u64> {
    let answers = submit(log, batch).await;
    batch.iter().zip(answers).map(|(submission, answer)| verify(test, submission, &answer.unwrap())).collect()
}

/// What a stranger checks of an answer, with the trusted root alone.
pub fn verify(test: &TestLog, submission: &Submission, answer: &LogEntry) -> u64 {
    let keys = [submission.key.clone()];
    let trusted_root = TrustedRoot::new(vec![test.identity.clone()]);
    let verifier = Verifier {
        trusted_root: &trusted_root,
        keys: &keys,
        signatures: &RustCrypto,
        timestamps: &NoTimestamps,
    };
    // A payload of another type cannot be signed, so the statement inside does not matter here.
    let verified = verifier.entry(&submission.envelope, &submission.key, answer).unwrap();
    assert_eq!(LogEntry::parse(&answer.to_jcs()).unwrap(), *answer, "the answer survives its JSON");
    assert_eq!(verified.linked().rekor_uuid, submission.entry.leaf_hash());
    verified.linked().log_index
}

/// A log whose every byte was checked.
pub struct CheckedLog {
    pub size: u64,
    pub bodies: Vec<Vec<u8>>,
    /// The files that it consists of.
    pub files: HashSet<String>,
}

/// Checks the published log from its bytes as a client would: signature, every bundle against its tile of level 0,
/// every upper tile against the one below, the root. Partial tiles of earlier sizes may lie there until the full one
/// does; what they hold has to be the beginning of it. No entry is there twice.
pub fn check_log(folder: &Path, identity: &TrustedLog) -> CheckedLog {
    // Other writers wait meanwhile: they collect partial tiles that this is about to read.
    let lock = fs::File::open(folder).unwrap();
    lock.lock().unwrap();
    let note = fs::read(folder.join("checkpoint")).unwrap();
    let signed = SignedCheckpoint::verify(&note, ORIGIN, &[&identity.key], &RustCrypto).unwrap();
    let size = signed.checkpoint().size;
    let mut log = CheckedLog { size, bodies: Vec::new(), files: HashSet::new() };
    log.files.extend(["checkpoint".to_owned(), ".lock".to_owned()]);
    for tile in tiles_of_level(0, size) {
        let name = tile::entries_path(tile.index, tile.width);
        let bundle = fs::read(folder.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let entries = tile::decode_entries(&bundle).unwrap();
        assert_eq!(entries.len(), usize::from(tile.width), "{name}");
        log.bodies.extend(entries.into_iter().map(<[u8]>::to_vec));
        check_partials(folder, &tile::entries_path(tile.index, 256), &name, &bundle, &mut log.files);
    }
    let mut hashes: Vec<Digest> = log.bodies.iter().map(|body| merkle::leaf_hash(body)).collect();
    assert_eq!(hashes.len() as u64, size);
    assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), hashes.len(), "each entry is logged once");
    assert_eq!(Tree::new(hashes.clone()).root(), signed.checkpoint().root);
    for level in 0.. {
        for tile in tiles_of_level(level, size) {
            let name = tile.to_string();
            let first = tile.index as usize * 256;
            let expected: Vec<u8> = hashes[first..first + usize::from(tile.width)]
                .iter()
                .flat_map(|hash| *hash.as_bytes())
                .collect();
            let found = fs::read(folder.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(found == expected, "{name} holds other hashes");
            let full = TilePath { width: 256, ..tile }.to_string();
            check_partials(folder, &full, &name, &found, &mut log.files);
        }
        hashes = hashes.as_chunks::<256>().0.iter().map(|full| Tree::new(full.to_vec()).root()).collect();
        if hashes.is_empty() {
            return log;
        }
    }
    unreachable!("every level has less hashes than the one below")
}

fn tiles_of_level(level: u8, size: u64) -> impl Iterator<Item = TilePath> {
    let hashes = size >> (8 * u32::from(level));
    let width = move |index: u64| (hashes - index * 256).min(256) as u16;
    (0..hashes.div_ceil(256)).map(move |index| TilePath { level, index, width: width(index) })
}

/// Partial tiles beside this one: all shorter, all its beginning.
fn check_partials(folder: &Path, full: &str, name: &str, bytes: &[u8], found: &mut HashSet<String>) {
    found.insert(name.to_owned());
    if name == full {
        assert!(!folder.join(format!("{full}.p")).exists(), "{full}.p is collected");
        return;
    }
    for file in fs::read_dir(folder.join(format!("{full}.p"))).unwrap() {
        let path = file.unwrap().path();
        let partial = fs::read(&path).unwrap();
        let of_width = path.file_name().unwrap().to_str().unwrap().parse::<u16>();
        let width = name.rsplit('/').next().unwrap().parse::<u16>().unwrap();
        if of_width.is_ok_and(|of_width| of_width <= width) {
            assert!(bytes.starts_with(&partial), "{} is not the beginning of {name}", path.display());
            found.insert(relative(folder, &path));
        }
    }
}

/// All files below the folder.
pub fn files(folder: &Path) -> HashSet<String> {
    let mut files = HashSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for file in fs::read_dir(next).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_dir() {
                folders.push(file.path());
            } else {
                files.insert(relative(folder, &file.path()));
            }
        }
    }
    files
}

fn relative(folder: &Path, path: &Path) -> String {
    path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned()
}

pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in files(from) {
        copy_file(from, to, &name);
    }
}

pub fn copy_file(from: &Path, to: &Path, name: &str) {
    let path = to.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy(from.join(name), path).unwrap();
}

/// Lays a log down as another writer of tiled logs would, without partial tiles of earlier sizes.
pub fn lay_down(test: &TestLog, bodies: &[Vec<u8>]) {
    let mut hashes: Vec<Digest> = bodies.iter().map(|body| merkle::leaf_hash(body)).collect();
    let root = Tree::new(hashes.clone()).root();
    let write = |name: String, bytes: &[u8]| {
        let path = test.folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    for (index, bundle) in (0..).zip(bodies.chunks(256)) {
        write(tile::entries_path(index, bundle.len() as u16), &tile::encode_entries(bundle).unwrap());
    }
    let mut level = 0;
    while !hashes.is_empty() {
        for (index, tile) in (0..).zip(hashes.chunks(256)) {
            let path = TilePath { level, index, width: tile.len() as u16 };
            write(path.to_string(), &tile::encode_hashes(tile).unwrap());
        }
        hashes = hashes.as_chunks::<256>().0.iter().map(|full| Tree::new(full.to_vec()).root()).collect();
        level += 1;
    }
    let text = format!("{}\n{}\n{}\n", ORIGIN, bodies.len(), root.to_base64());
    let signature = log_signer().sign(text.as_bytes()).unwrap();
    let note = sign_note(&text, &test.identity.key, &signature).unwrap();
    write("checkpoint".to_owned(), note.as_str().as_bytes());
}
