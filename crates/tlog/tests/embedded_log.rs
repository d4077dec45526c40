//! The embedded log at work: batches, answers, repeats, several writers.

#![allow(clippy::panic, clippy::unwrap_used, reason = "the allowance for tests does not reach helpers")]

mod common;

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use common::{
    Fault, TestLog, check_log, lay_down, size_of_note, submission, submissions, submit, submit_all,
};
use provex_core::checkpoint::SignedCheckpoint;
use provex_core::keys::RustCrypto;
use provex_core::merkle::{self, Tree};
use provex_core::verify;
use provex_tlog::embedded::{self, EmbeddedLog};
use provex_tlog::{LogError, TransparencyLog as _};
use tokio::time::Instant;

/// Checks that every two checkpoints ever kept are consistent, by the log's own proofs.
async fn check_consistency(test: &TestLog, log: &EmbeddedLog) {
    let signed: Vec<_> = test.store.state().notes.iter().map(|note| checkpoint(test, note)).collect();
    for new in &signed {
        for old in signed.iter().filter(|old| old.checkpoint().size <= new.checkpoint().size) {
            let (old_size, new_size) = (old.checkpoint().size, new.checkpoint().size);
            let proof = log.consistency_proof(old_size, new_size).await.unwrap();
            verify::append_only(Some(old), new, &proof).unwrap();
        }
    }
}

fn checkpoint(test: &TestLog, note: &[u8]) -> SignedCheckpoint {
    SignedCheckpoint::verify(note, common::ORIGIN, &[&test.identity.key], &RustCrypto).unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_entry_is_logged_where_the_answer_says() {
    let test = TestLog::new();
    EmbeddedLog::create(test.config()).await.unwrap();
    assert_eq!(test.check().size, 0);
    let log = Arc::new(test.open());
    let mut all = Vec::new();
    for count in [1, 1, 2, 5, 30, 216, 1, 256, 1, 87] {
        let batch = submissions(all.len() as u64..all.len() as u64 + count);
        all.extend(batch.clone());
        submit_all(&test, &log, &batch).await;
        let checked = test.check();
        let expected: HashSet<_> = all.iter().map(|submission| submission.entry.body()).collect();
        assert_eq!(checked.bodies.iter().cloned().collect::<HashSet<_>>(), expected);
    }
    assert_eq!(test.check().size, 600);
    // Asked again, each gets its place under the newest checkpoint, and the log does not grow.
    let bodies = test.check().bodies;
    for index in submit_all(&test, &log, &all).await.into_iter().zip(&all) {
        assert_eq!(bodies[index.0 as usize], index.1.entry.body());
    }
    assert_eq!(test.check().size, 600);
    check_consistency(&test, &log).await;
    assert_eq!(log.checkpoint().await.unwrap(), test.store.newest_note().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_log_is_created_once() {
    let test = TestLog::new();
    for _ in 0..2 {
        EmbeddedLog::create(test.config()).await.unwrap();
        assert_eq!(test.check().size, 0);
    }
    let log = Arc::new(test.open());
    submit_all(&test, &log, &submissions(0..3)).await;
    EmbeddedLog::create(test.config()).await.unwrap();
    assert_eq!(test.check().size, 3);
    let newest = embedded::newest_checkpoint(&test.folder, &test.identity).unwrap();
    assert_eq!(newest.checkpoint().size, 3);
}

#[tokio::test(start_paused = true)]
async fn batches_close_at_256_entries_or_100_ms() {
    let test = TestLog::new();
    let log = Arc::new(test.open());
    let begin = Instant::now();
    submit_all(&test, &log, &submissions(0..256)).await;
    assert_eq!(begin.elapsed(), Duration::ZERO, "a full batch does not wait");
    submit_all(&test, &log, &submissions(256..257)).await;
    assert_eq!(begin.elapsed(), Duration::from_millis(100), "another does, for others");

    let late = tokio::spawn({
        let log = Arc::clone(&log);
        async move {
            tokio::time::sleep(Duration::from_millis(99)).await;
            submit(&log, &submissions(300..301)).await
        }
    });
    submit_all(&test, &log, &submissions(257..557)).await;
    late.await.unwrap();
    assert_eq!(begin.elapsed(), Duration::from_millis(200), "the wait counts from a batch's first entry");
    let sizes: Vec<_> = test.store.state().notes.iter().map(|note| size_of_note(note)).collect();
    assert_eq!(sizes, [256, 257, 513, 557]);
    test.check();
}

#[tokio::test(start_paused = true)]
async fn the_same_entry_is_logged_once() {
    let test = TestLog::new();
    let log = Arc::new(test.open());
    let twice = [submission(0), submission(1), submission(0)];
    assert_eq!(submit_all(&test, &log, &twice).await, [0, 1, 0], "in one batch");
    assert_eq!(test.check().size, 2);
    assert_eq!(submit_all(&test, &log, &twice).await, [0, 1, 0], "in a later batch");
    assert_eq!(submit_all(&test, &log, &submissions([2, 1])).await, [2, 1], "with a new one");
    assert_eq!(test.check().size, 3);
    assert_eq!(test.store.state().notes.len(), 2, "nothing new, nothing signed");
    drop(log);
    let log = Arc::new(test.open());
    assert_eq!(submit_all(&test, &log, &submissions([2, 0])).await, [2, 0], "by a log opened anew");
    assert_eq!(test.check().size, 3);
}

#[tokio::test(start_paused = true)]
async fn several_writers_share_one_folder() {
    let test = Arc::new(TestLog::new());
    let writer = |first: u64| {
        let test = Arc::clone(&test);
        tokio::spawn(async move {
            let log = Arc::new(test.open());
            for round in 0..12 {
                // Half of what each writer submits, the other one submits too.
                let own = first * 1000 + round * 20;
                let batch = submissions((own..own + 15).chain(5000 + round * 15..5000 + round * 15 + 15));
                submit_all(&test, &log, &batch).await;
                check_log(&test.folder, &test.identity);
            }
        })
    };
    let writers = [writer(1), writer(2), writer(3)];
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(test.check().size, 12 * 15 * 4);
    check_consistency(&test, &test.open()).await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lock_file_is_harmless() {
    let test = TestLog::new();
    let logs = [Arc::new(test.open()), Arc::new(test.open())];
    for round in 0..4 {
        let lock = test.folder.join(".lock");
        // Also while it is held: the folder's own lock keeps the other writer out.
        test.store.state().at_record = Some(Box::new(move || fs::remove_file(lock).unwrap()));
        let (one, other) =
            (submissions(round * 10..round * 10 + 5), submissions(round * 10 + 5..round * 10 + 9));
        let (one, other) =
            tokio::join!(submit_all(&test, &logs[0], &one), submit_all(&test, &logs[1], &other));
        assert_eq!(one.len() + other.len(), 9);
        check_log(&test.folder, &test.identity);
    }
    assert_eq!(test.check().size, 36);
}

#[tokio::test(start_paused = true)]
async fn proofs_are_given_between_sizes_that_were_never_published() {
    let test = TestLog::new();
    let log = Arc::new(test.open());
    submit_all(&test, &log, &submissions(0..250)).await;
    submit_all(&test, &log, &submissions(250..270)).await;
    let leaves: Vec<_> = test.check().bodies.iter().map(|body| merkle::leaf_hash(body)).collect();
    let root = |size: u64| Tree::new(leaves[..size as usize].to_vec()).root();
    for (old, new) in [(1, 2), (3, 200), (199, 256), (256, 257), (255, 269), (270, 270)] {
        let proof = log.consistency_proof(old, new).await.unwrap();
        merkle::verify_consistency(old, &root(old), new, &root(new), &proof).unwrap();
    }
    assert_eq!(log.consistency_proof(0, 270).await.unwrap(), []);
    for (old, new) in [(1, 271), (2, 1), (u64::MAX, u64::MAX)] {
        assert!(matches!(log.consistency_proof(old, new).await, Err(LogError::Unavailable { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn a_proof_reaches_a_checkpoint_that_is_kept_and_not_published_yet() {
    let test = TestLog::new();
    let log = Arc::new(test.open());
    submit_all(&test, &log, &submissions(0..250)).await;
    let published = checkpoint(&test, &log.checkpoint().await.unwrap());
    test.store.state().faults.push_back(Fault::RecordAfter);
    submit(&log, &submissions(250..270)).await;
    let kept = checkpoint(&test, &test.store.newest_note().unwrap());
    assert_eq!(kept.checkpoint().size, 270);
    assert_eq!(log.checkpoint().await.unwrap(), published.note().as_str().as_bytes());
    let proof = log.consistency_proof(250, 270).await.unwrap();
    verify::append_only(Some(&published), &kept, &proof).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_log_grows_into_the_third_level_of_tiles() {
    let test = TestLog::new();
    let bodies: Vec<_> = (0..65_400_u64).map(|n| n.to_be_bytes().to_vec()).collect();
    lay_down(&test, &bodies);
    let log = Arc::new(test.open());
    for (numbers, size) in [(0..100, 65_500), (100..136, 65_536), (136..200, 65_600), (200..456, 65_856)] {
        let indexes = submit_all(&test, &log, &submissions(numbers.clone())).await;
        assert_eq!(indexes, (65_400 + numbers.start..65_400 + numbers.end).collect::<Vec<_>>());
        assert_eq!(test.check().size, size);
    }
    assert!(test.folder.join("tile/2/000.p/1").is_file());
    assert!(test.folder.join("tile/1/000").is_file());
    assert!(!test.folder.join("tile/1/000.p").exists());
    check_consistency(&test, &log).await;
    drop(log);
    let log = Arc::new(test.open());
    assert_eq!(submit_all(&test, &log, &submissions([0, 455, 456])).await, [65_400, 65_855, 65_856]);
    test.check();
}
