//! Every step of a batch is made to fail in turn, and a crash is put after every write.

#![allow(clippy::panic, clippy::unwrap_used, reason = "the allowance for tests does not reach helpers")]

mod common;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{
    Fault, Submission, TestLog, check_log, copy_file, files, size_of_note, submissions, submit, submit_all,
};
use provex_core::keys::{LocalSigner, PublicKey, Signer, SigningError};
use provex_tlog::LogError;
use provex_tlog::embedded::{EmbeddedLog, EmbeddedLogConfig};

/// Sizes before and after the batch that fails: within a tile, filling one, across its end, from nothing.
const BATCHES: [(u64, u64); 5] = [(3, 5), (250, 256), (250, 258), (256, 500), (0, 256)];

/// A log of `size` entries, with its writer.
async fn log_of(size: u64) -> (TestLog, Arc<EmbeddedLog>) {
    let test = TestLog::new();
    EmbeddedLog::create(test.config()).await.unwrap();
    let log = Arc::new(test.open());
    submit_all(&test, &log, &submissions(0..size)).await;
    assert_eq!(test.check().size, size);
    (test, log)
}

/// The batch fails, the published log is whole, and another attempt, with one entry less and one more, succeeds.
async fn fails_once(
    test: &TestLog,
    log: &Arc<EmbeddedLog>,
    size: u64,
    batch: &[Submission],
    repair: impl FnOnce(),
) {
    for answer in submit(log, batch).await {
        assert!(matches!(answer, Err(LogError::Unavailable { .. })), "{answer:?}");
    }
    repair();
    assert!(
        !test.folder.join("checkpoint").is_file() || check_log(&test.folder, &test.identity).size == size
    );
    submit_all(test, log, &submissions(10_000..10_001)).await;
    test.check();
    submit_all(test, log, batch).await;
    assert_eq!(test.check().size, size + batch.len() as u64 + 1);
}

#[tokio::test(start_paused = true)]
async fn whatever_the_store_does_each_entry_is_logged_once() {
    for (old, new) in BATCHES {
        for fault in [Fault::Newest, Fault::RecordBefore, Fault::RecordAfter] {
            let (test, log) = log_of(old).await;
            test.store.state().faults.push_back(fault);
            fails_once(&test, &log, old, &submissions(old..new), || ()).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tiles_that_cannot_be_written_do_no_harm() {
    for (place, blocked) in [
        ("tile/0/000.p/5", "the partial tile"),
        ("tile/entries/000.p/5", "the partial bundle"),
        ("tile/0/000.p", "the folder of partial tiles"),
        ("tile", "all tiles"),
    ] {
        // From nothing, so that each of these is new.
        let (test, log) = log_of(0).await;
        let place = test.folder.join(place);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        // A folder where a file has to be, or a file where a folder has to be.
        if place.ends_with("5") {
            fs::create_dir(&place).unwrap()
        } else {
            fs::write(&place, "").unwrap()
        }
        let remove = || if place.is_dir() { fs::remove_dir(&place) } else { fs::remove_file(&place) };
        println!("{blocked}");
        fails_once(&test, &log, 0, &submissions(0..5), || remove().unwrap()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_that_cannot_be_renamed_is_republished() {
    for (old, new) in BATCHES {
        let (test, log) = log_of(old).await;
        let path = test.folder.join("checkpoint");
        let at_record = {
            let path = path.clone();
            move || {
                fs::remove_file(&path).unwrap();
                fs::create_dir(&path).unwrap();
            }
        };
        test.store.state().at_record = Some(Box::new(at_record));
        fails_once(&test, &log, old, &submissions(old..new), || fs::remove_dir(&path).unwrap()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_that_cannot_be_written_is_republished() {
    let (test, log) = log_of(3).await;
    let next = test.folder.join(".checkpoint.next");
    fs::create_dir(&next).unwrap();
    fails_once(&test, &log, 3, &submissions(3..9), || fs::remove_dir(&next).unwrap()).await;
}

/// A key service that is out of reach once.
struct LateSigner(LocalSigner, AtomicBool);

impl Signer for LateSigner {
    fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        if !self.1.swap(true, Ordering::Relaxed) {
            return Err(SigningError { reason: "out of reach".to_owned() });
        }
        self.0.sign(message)
    }
}

#[tokio::test(start_paused = true)]
async fn a_signer_out_of_reach_is_waited_for() {
    let (test, _) = log_of(250).await;
    let signer = Arc::new(LateSigner(common::log_signer(), AtomicBool::new(false)));
    let log = Arc::new(EmbeddedLog::open(EmbeddedLogConfig { signer, ..test.config() }));
    fails_once(&test, &log, 250, &submissions(250..270), || ()).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_store_costs_a_batch_only() {
    let (test, log) = log_of(3).await;
    test.store.state().at_record = Some(Box::new(|| panic!("on purpose")));
    fails_once(&test, &log, 3, &submissions(3..9), || ()).await;
}

#[tokio::test(start_paused = true)]
async fn callers_that_went_away_lose_nothing() {
    let (test, log) = log_of(3).await;
    let batch = submissions(3..9);
    let gone = tokio::spawn({
        let (log, batch) = (Arc::clone(&log), batch.clone());
        async move { submit(&log, &batch).await }
    });
    tokio::task::yield_now().await;
    gone.abort();
    assert_eq!(submit_all(&test, &log, &batch).await, (3..9).collect::<Vec<_>>());
    assert_eq!(test.check().size, 9);
}

/// Opens the log anew after a crash: the newest checkpoint is published, other entries and the lost ones are taken,
/// each once.
async fn recovers(crashed: &TestLog, batch: &[Submission], size: u64) {
    let filed = fs::read(crashed.folder.join("checkpoint")).unwrap();
    let stored = crashed.store.newest_note().unwrap();
    EmbeddedLog::create(crashed.config()).await.unwrap();
    assert_eq!(crashed.check().size, size_of_note(&filed).max(size_of_note(&stored)));
    let other = Arc::new(crashed.open());
    submit_all(crashed, &other, &submissions(20_000..20_002)).await;
    crashed.check();
    drop(other);
    let log = Arc::new(crashed.open());
    submit_all(crashed, &log, batch).await;
    assert_eq!(crashed.check().size, size + batch.len() as u64 + 2);
}

/// Writes half of a file: what a power cut may leave of it.
fn copy_torn(from: &Path, to: &Path, name: &str) {
    copy_file(from, to, name);
    let bytes = fs::read(to.join(name)).unwrap();
    fs::write(to.join(name), &bytes[..bytes.len() / 2]).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_write_is_recovered_from() {
    for (old, new) in BATCHES {
        let (test, log) = log_of(old).await;
        let batch = submissions(old..new);
        let (old_note, old_files) = (test.store.newest_note(), files(&test.folder));
        let before = test.copy(old_note.clone());

        // The folder as it is when all tiles are durable.
        let written = TestLog::new();
        let (from, to): (PathBuf, PathBuf) = (test.folder.clone(), written.folder.clone());
        test.store.state().at_record = Some(Box::new(move || common::copy_folder(&from, &to)));
        submit_all(&test, &log, &batch).await;
        let new_note = test.store.newest_note();

        let new_files: HashSet<_> = files(&written.folder).difference(&old_files).cloned().collect();
        let mut new_files: Vec<_> = new_files.into_iter().collect();
        assert!(new_files.len() >= 2, "{new_files:?}");
        new_files.sort_unstable();
        for _ in 0..2 {
            for whole in 0..new_files.len() {
                let crashed = before.copy(old_note.clone());
                new_files[..whole].iter().for_each(|name| copy_file(&written.folder, &crashed.folder, name));
                copy_torn(&written.folder, &crashed.folder, &new_files[whole]);
                recovers(&crashed, &batch, old).await;
            }
            // The order in which files reach the disk is nobody's promise.
            new_files.reverse();
        }

        // After the tiles, before the store.
        recovers(&written.copy(old_note.clone()), &batch, old).await;
        // After the store: before the new checkpoint was written, in the midst, before its rename.
        for leftover in [None, Some(&b""[..]), Some(&new_note.as_ref().unwrap()[..20]), new_note.as_deref()] {
            let crashed = written.copy(new_note.clone());
            leftover
                .into_iter()
                .for_each(|note| fs::write(crashed.folder.join(".checkpoint.next"), note).unwrap());
            recovers(&crashed, &batch, old).await;
        }
        // After the rename, before the old partial tiles were collected.
        let crashed = written.copy(new_note.clone());
        fs::write(crashed.folder.join("checkpoint"), new_note.as_ref().unwrap()).unwrap();
        recovers(&crashed, &batch, old).await;
        // The same, with a store that lost what it kept last.
        let crashed = written.copy(old_note);
        fs::write(crashed.folder.join("checkpoint"), new_note.unwrap()).unwrap();
        recovers(&crashed, &batch, old).await;
        // After all of it.
        recovers(&test.copy(test.store.newest_note()), &batch, old).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_of_another_writer_is_cleared_away_by_the_one_that_lives() {
    let (test, log) = log_of(250).await;
    let (other, lost) = (Arc::new(test.open()), submissions(250..260));
    // The other writer is gone before it records: its tiles are wider than those of the next batch.
    test.store.state().faults.push_back(Fault::RecordBefore);
    assert!(submit(&other, &lost).await.iter().all(Result::is_err));
    drop(other);
    assert!(test.folder.join("tile/1/000.p/1").is_file());
    submit_all(&test, &log, &submissions(300..302)).await;
    assert_eq!(test.check().size, 252);
    submit_all(&test, &log, &lost).await;
    assert_eq!(test.check().size, 262);
}

#[tokio::test(start_paused = true)]
async fn a_crash_before_the_first_checkpoint_leaves_nothing() {
    let test = TestLog::new();
    let log = Arc::new(test.open());
    test.store.state().faults.extend([Fault::RecordBefore]);
    assert!(submit(&log, &submissions(0..256)).await.iter().all(Result::is_err));
    EmbeddedLog::create(test.config()).await.unwrap();
    assert_eq!(test.check().size, 0);
    submit_all(&test, &log, &submissions(0..2)).await;
    assert_eq!(test.check().size, 2);
}
