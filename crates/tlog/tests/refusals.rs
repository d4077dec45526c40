//! Folders that are not the log of the newest checkpoint: they are refused, and left as they are.

#![allow(clippy::panic, clippy::unwrap_used, reason = "the allowance for tests does not reach helpers")]

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::{TestLog, copy_folder, files, submissions, submit, submit_all};
use provex_core::dsse::Envelope;
use provex_core::entry::HashedRekord;
use provex_core::keys::LocalSigner;
use provex_tlog::LogError;
use provex_tlog::embedded::{EmbeddedLog, FolderError};

/// A log of 300 entries in three batches, and copies of its folder after the first and second.
struct History {
    test: TestLog,
    at_100: TestLog,
    at_280: TestLog,
}

async fn history() -> History {
    let test = TestLog::new();
    let log = Arc::new(test.open());
    submit_all(&test, &log, &submissions(0..100)).await;
    let at_100 = test.copy(test.store.newest_note());
    submit_all(&test, &log, &submissions(100..280)).await;
    let at_280 = test.copy(test.store.newest_note());
    submit_all(&test, &log, &submissions(280..300)).await;
    test.check();
    History { test, at_100, at_280 }
}

impl History {
    /// The log of 300 entries as it should be: a fresh copy.
    fn copy(&self) -> TestLog {
        self.test.copy(self.test.store.newest_note())
    }
}

/// Submits to the log, opened anew, and gives what it says of its folder, which it leaves alone.
async fn refusal(test: &TestLog) -> Arc<FolderError> {
    refusal_of(test, &Arc::new(test.open())).await
}

async fn refusal_of(test: &TestLog, log: &Arc<EmbeddedLog>) -> Arc<FolderError> {
    let _ = fs::create_dir_all(&test.folder);
    let (before, checkpoints) = (contents(&test.folder), test.store.state().notes.len());
    let answers = submit(log, &submissions([7, 1000])).await;
    assert_eq!(contents(&test.folder), before, "a refused folder is left as it is");
    assert_eq!(test.store.state().notes.len(), checkpoints, "nothing is signed");
    let Some(Err(LogError::Unusable(error))) = answers.into_iter().next() else { panic!("not refused") };
    println!("{error}");
    error
}

fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names: Vec<_> = files(folder).into_iter().filter(|name| name != ".lock").collect();
    names.sort_unstable();
    names.into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
}

fn is_behind(error: &FolderError) -> bool {
    matches!(error, FolderError::Behind { size: 300, .. })
}

#[tokio::test(start_paused = true)]
async fn a_folder_restored_from_an_older_copy_is_refused() {
    let history = history().await;
    for old in [&history.at_100, &history.at_280] {
        let restored = old.copy(history.test.store.newest_note());
        assert!(is_behind(&*refusal(&restored).await));
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_folder_is_refused_where_the_store_knows_a_checkpoint() {
    let history = history().await;
    let missing = TestLog::new();
    missing.store.state().notes.extend(history.test.store.newest_note());
    assert!(is_behind(&*refusal(&missing).await));
    // The folder of that checkpoint is the way on.
    copy_folder(&history.test.folder, &missing.folder);
    submit_all(&missing, &Arc::new(missing.open()), &submissions(300..303)).await;
    assert_eq!(missing.check().size, 303);
}

#[tokio::test(start_paused = true)]
async fn missing_and_changed_tiles_are_refused() {
    let history = history().await;
    for name in ["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"] {
        let path = |test: &TestLog| test.folder.join(name);
        let missing = history.copy();
        fs::remove_file(path(&missing)).unwrap();
        assert!(is_behind(&*refusal(&missing).await), "{name}");

        let whole = fs::read(path(&history.test)).unwrap();
        let mut flipped = whole.clone();
        flipped[20] ^= 1;
        for bytes in [&flipped, &whole[..whole.len() - 32], &whole[..whole.len() - 1], &[]] {
            let changed = history.copy();
            fs::write(path(&changed), bytes).unwrap();
            assert!(is_behind(&*refusal(&changed).await), "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_tile_does_not_stand_in_for_a_partial_one_that_is_gone() {
    // Tiles of a longer history lie there, checkpoints of a shorter one: to discard the one would lose the other.
    let history = history().await;
    let (log, longer) = (Arc::new(history.test.open()), history.test.store.newest_note());
    submit_all(&history.test, &log, &submissions(300..520)).await;
    fs::write(history.test.folder.join("checkpoint"), longer.as_ref().unwrap()).unwrap();
    assert!(is_behind(&*refusal(&history.test.copy(longer)).await));
}

#[tokio::test(start_paused = true)]
async fn another_root_at_the_same_size_is_a_fork() {
    let history = history().await;
    let other = TestLog::new();
    submit_all(&other, &Arc::new(other.open()), &submissions(1..257)).await;
    submit_all(&other, &Arc::new(other.open()), &submissions(257..301)).await;
    assert_eq!(other.check().size, 300);
    let forked = history.test.copy(other.store.newest_note());
    assert!(matches!(&*refusal(&forked).await, FolderError::Forked { size: 300, .. }));
    // Without its file, the folder is just not that of the checkpoint.
    fs::remove_file(forked.folder.join("checkpoint")).unwrap();
    assert!(is_behind(&*refusal(&forked).await));
}

#[tokio::test(start_paused = true)]
async fn another_root_at_a_smaller_size_is_a_fork() {
    let history = history().await;
    let other = TestLog::new();
    submit_all(&other, &Arc::new(other.open()), &submissions(1..51)).await;
    let forked = history.test.copy(other.store.newest_note());
    assert!(matches!(&*refusal(&forked).await, FolderError::Forked { size: 50, .. }));
}

#[tokio::test(start_paused = true)]
async fn checkpoints_of_another_key_and_torn_ones_are_refused() {
    let history = history().await;
    let foreign = |error: &FolderError| matches!(error, FolderError::ForeignCheckpoint { .. });
    let mut other_key = history.copy();
    other_key.identity = common::identity_of(&LocalSigner::ed25519_from_random(&[8; 32]));
    assert!(foreign(&*refusal(&other_key).await));

    let note = history.test.store.newest_note().unwrap();
    for length in [0, 10, note.len() / 2, note.len() - 1] {
        let torn = history.copy();
        fs::write(torn.folder.join("checkpoint"), &note[..length]).unwrap();
        assert!(foreign(&*refusal(&torn).await));
        let torn = history.test.copy(Some(note[..length].to_vec()));
        assert!(foreign(&*refusal(&torn).await), "in the store");
    }
    let mut other_size = String::from_utf8(note).unwrap();
    other_size = other_size.replace("\n300\n", "\n301\n");
    let edited = history.copy();
    fs::write(edited.folder.join("checkpoint"), other_size).unwrap();
    assert!(foreign(&*refusal(&edited).await));
}

#[tokio::test(start_paused = true)]
async fn a_log_that_lost_its_newest_checkpoint_is_not_begun_again() {
    // Two batches and more lie beyond what is known: no crash leaves that.
    let history = history().await;
    let log = Arc::new(history.test.open());
    submit_all(&history.test, &log, &submissions(300..540)).await;
    let lost = history.test.copy(None);
    fs::remove_file(lost.folder.join("checkpoint")).unwrap();
    assert!(matches!(&*refusal(&lost).await, FolderError::Ahead { size: 0, .. }));
}

#[tokio::test(start_paused = true)]
async fn what_a_running_log_has_seen_it_does_not_forget() {
    let history = history().await;
    let test = history.copy();
    let log = Arc::new(test.open());
    submit_all(&test, &log, &submissions(300..310)).await;
    // Folder and database restored together, under a process that lives on.
    fs::remove_dir_all(&test.folder).unwrap();
    copy_folder(&history.at_280.folder, &test.folder);
    test.store.state().notes = history.at_280.store.state().notes.clone();
    let log_says = refusal_of(&test, &log).await;
    assert!(matches!(&*log_says, FolderError::Behind { size: 310, .. }), "{log_says}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_checkpoint_file_comes_back_from_the_store() {
    let history = history().await;
    let test = history.copy();
    fs::remove_file(test.folder.join("checkpoint")).unwrap();
    EmbeddedLog::create(test.config()).await.unwrap();
    assert_eq!(test.check().size, 300);
}

#[tokio::test(start_paused = true)]
async fn an_entry_too_long_for_a_bundle_is_refused_alone() {
    let test = TestLog::new();
    let log = Arc::new(test.open());
    let mut batch = submissions(0..3);
    let signature = provex_core::digest::base64(&[1; 50_000]);
    let json = format!(r#"{{"payload":"","payloadType":"x","signatures":[{{"sig":"{signature}"}}]}}"#);
    let envelope = Envelope::parse(json.as_bytes()).unwrap();
    batch[1].entry = HashedRekord::of_envelope(&envelope, &batch[1].key).unwrap();
    let answers = submit(&log, &batch).await;
    assert!(matches!(answers[1], Err(LogError::Refused(_))));
    assert!(answers[0].is_ok() && answers[2].is_ok());
    assert_eq!(test.check().size, 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_the_logs_signs_nothing() {
    let history = history().await;
    let test = history.copy();
    let mut config = test.config();
    config.signer = Arc::new(LocalSigner::ed25519_from_random(&[8; 32]));
    let log = Arc::new(EmbeddedLog::open(config));
    let answers = submit(&log, &submissions(300..303)).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(LogError::Unusable(_)))));
    submit_all(&test, &Arc::new(EmbeddedLog::open(test.config())), &submissions(300..302)).await;
    assert_eq!(test.check().size, 302);
}
