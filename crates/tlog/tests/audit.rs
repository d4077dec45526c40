//! An audit reads what batches do not: whatever is missing or changed is named.

#![allow(clippy::panic, clippy::unwrap_used, reason = "the allowance for tests does not reach helpers")]

mod common;

use std::fs;
use std::sync::Arc;

use common::{TestLog, files, lay_down, submissions, submit_all};
use provex_tlog::LogError;
use provex_tlog::embedded::{Audit, EmbeddedLog, FolderError};

async fn audit(test: &TestLog, seed: u64) -> Audit {
    EmbeddedLog::audit(test.config(), seed).await.unwrap().unwrap()
}

async fn found(test: &TestLog, seed: u64) -> String {
    match EmbeddedLog::audit(test.config(), seed).await {
        Err(LogError::Unusable(error)) => error.to_string(),
        other => panic!("nothing found: {other:?}"),
    }
}

/// A log of 600 entries in three batches.
async fn history() -> TestLog {
    let test = TestLog::new();
    let log = Arc::new(test.open());
    for numbers in [0..256, 256..512, 512..600] {
        submit_all(&test, &log, &submissions(numbers)).await;
    }
    test
}

#[tokio::test(start_paused = true)]
async fn a_whole_log_passes_at_every_size() {
    let test = TestLog::new();
    assert!(EmbeddedLog::audit(test.config(), 0).await.unwrap().is_none());
    EmbeddedLog::create(test.config()).await.unwrap();
    let log = Arc::new(test.open());
    for numbers in [0..0, 0..1, 1..255, 255..256, 256..257, 257..520, 520..600] {
        let size = numbers.end;
        submit_all(&test, &log, &submissions(numbers)).await;
        let audit = audit(&test, 7).await;
        assert!(audit.published);
        assert_eq!((audit.newest.checkpoint().size, audit.bundles_read), (size, audit.bundles));
    }
}

#[tokio::test(start_paused = true)]
async fn every_file_that_is_missing_or_changed_is_named() {
    let whole = history().await;
    let before = files(&whole.folder);
    let mut names: Vec<_> = before.iter().filter(|name| name.starts_with("tile/")).collect();
    // Unfinished tiles of earlier sizes are nobody's concern: only the newest ones are asked for.
    names.retain(|name| !name.contains(".p/") || name.ends_with(".p/88") || name.ends_with(".p/2"));
    assert_eq!(names.len(), 7, "{names:?}");
    for name in names {
        let bytes = fs::read(whole.folder.join(name)).unwrap();
        let mut flipped = bytes.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for damaged in [None, Some(&flipped[..]), Some(&bytes[..bytes.len() - 1]), Some(&[][..])] {
            let test = whole.copy(whole.store.newest_note());
            match damaged {
                None => fs::remove_file(test.folder.join(name)).unwrap(),
                Some(bytes) => fs::write(test.folder.join(name), bytes).unwrap(),
            }
            let found = found(&test, 0).await;
            assert!(found.contains(name.as_str()), "{name}: {found}");
            assert!(found.contains("does not hold the 600 entries"), "{found}");
        }
    }
    assert_eq!(files(&whole.folder), before, "an audit leaves everything as it is");
}

#[tokio::test(start_paused = true)]
async fn a_folder_older_than_the_store_is_found_and_a_crash_between_the_two_is_none() {
    let test = history().await;
    let older = test.copy(test.store.newest_note());
    let log = Arc::new(test.open());
    submit_all(&test, &log, &submissions(600..610)).await;
    older.store.state().notes.extend(test.store.newest_note());
    assert!(found(&older, 0).await.contains("does not hold the 610 entries"));

    // Killed between store and file: the tiles are there.
    let crashed = test.copy(test.store.newest_note());
    fs::copy(older.folder.join("checkpoint"), crashed.folder.join("checkpoint")).unwrap();
    let behind = audit(&crashed, 0).await;
    assert!(!behind.published);
    assert_eq!(behind.newest.checkpoint().size, 610);
    EmbeddedLog::create(crashed.config()).await.unwrap();
    assert!(audit(&crashed, 0).await.published);
    crashed.check();
}

#[tokio::test(start_paused = true)]
async fn checkpoints_that_contradict_each_other_or_the_tiles_are_found() {
    let test = history().await;
    let other = TestLog::new();
    submit_all(&other, &Arc::new(other.open()), &submissions(1..51)).await;
    let forked = test.copy(other.store.newest_note());
    assert!(found(&forked, 0).await.contains("forked"));
    // Database and checkpoint of an older copy, tiles of a newer one.
    let ahead = test.copy(other.store.newest_note());
    fs::copy(other.folder.join("checkpoint"), ahead.folder.join("checkpoint")).unwrap();
    let error = EmbeddedLog::audit(ahead.config(), 0).await.unwrap_err();
    let LogError::Unusable(error) = error else { panic!("{error}") };
    assert!(matches!(&*error, FolderError::Behind { size: 50, .. } | FolderError::Ahead { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn of_a_large_log_every_bundle_is_found_and_some_are_read() {
    let test = TestLog::new();
    let bodies: Vec<_> = (0..131_000_u64).map(|n| n.to_be_bytes().to_vec()).collect();
    lay_down(&test, &bodies);
    let (even, odd) = (audit(&test, 0).await, audit(&test, 1).await);
    assert_eq!((even.bundles, even.bundles_read, odd.bundles_read), (512, 256, 256));
    let path = test.folder.join("tile/entries/101");
    let bytes = fs::read(&path).unwrap();
    let mut flipped = bytes.clone();
    flipped[3] ^= 1;
    fs::write(&path, flipped).unwrap();
    assert!(found(&test, 1).await.contains("tile/entries/101 was changed"));
    audit(&test, 0).await;
    fs::remove_file(&path).unwrap();
    assert!(found(&test, 0).await.contains("tile/entries/101 is missing"));
    fs::write(&path, bytes).unwrap();
    fs::write(test.folder.join("tile/0/100"), [1; 8192]).unwrap();
    assert!(found(&test, 0).await.contains("tile/0/100 was changed"));
}
