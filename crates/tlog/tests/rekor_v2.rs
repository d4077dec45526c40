//! The client against a real Rekor v2 server.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

mod common;
mod servers;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use common::{Submission, submission, submissions};
use provex_core::checkpoint::SignedCheckpoint;
use provex_core::entry::{HashedRekord, LogEntry};
use provex_core::keys::{LocalSigner, RustCrypto, Signer as _};
use provex_core::time::Timestamp;
use provex_core::trusted_root::{TrustedLog, TrustedRoot};
use provex_core::verify::{NoTimestamps, Verifier, append_only};
use provex_tlog::rekor_v2::RekorV2;
use provex_tlog::{LogError, Misbehavior, TransparencyLog as _};
use servers::Rekor;

/// Submits all at once; the answers in the same order.
async fn submit(log: &Arc<RekorV2>, batch: &[Submission]) -> Vec<Result<LogEntry, LogError>> {
    let sending: Vec<_> = batch
        .iter()
        .map(|submission| {
            let (log, entry) = (Arc::clone(log), submission.entry.clone());
            tokio::spawn(async move { log.submit(&entry).await })
        })
        .collect();
    let mut answers = Vec::new();
    for sent in sending {
        answers.push(sent.await.unwrap());
    }
    answers
}

/// What a stranger checks of an answer.
fn verify(identity: &TrustedLog, submission: &Submission, entry: &LogEntry) -> SignedCheckpoint {
    let trusted_root = TrustedRoot::new(vec![identity.clone()]);
    let keys = [submission.key.clone()];
    let verifier = Verifier {
        trusted_root: &trusted_root,
        keys: &keys,
        signatures: &RustCrypto,
        timestamps: &NoTimestamps,
    };
    verifier.entry(&submission.envelope, &submission.key, entry).unwrap().checkpoint().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_logged_once_and_duplicates_become_whole_entries() {
    let Some(rekor) = Rekor::start(&["--persistent-antispam=true"]) else { return };
    let log = rekor.client();
    let batch = submissions(0..300);
    let mut first = Vec::new();
    for answer in submit(&log, &batch).await {
        first.push(answer.unwrap());
    }
    let indexes: HashSet<_> = first.iter().map(|entry| entry.log_index).collect();
    assert_eq!(indexes.len(), 300);
    // Each of them again: the server gives an index, the tiles the rest.
    let mut checkpoints = Vec::new();
    for ((submission, first), again) in batch.iter().zip(&first).zip(submit(&log, &batch).await) {
        let again = again.unwrap();
        assert_eq!(again.log_index, first.log_index);
        checkpoints.push(verify(&rekor.identity, submission, first));
        checkpoints.push(verify(&rekor.identity, submission, &again));
    }
    assert_eq!(rekor.leaves().len(), 300);
    let newest = checkpoints.iter().max_by_key(|signed| signed.checkpoint().size).unwrap();
    for old in &checkpoints {
        let (old_size, new_size) = (old.checkpoint().size, newest.checkpoint().size);
        let proof = log.consistency_proof(old_size, new_size).await.unwrap();
        if old_size == new_size {
            assert!(proof.is_empty());
        } else {
            append_only(Some(old), newest, &proof).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_forgot_takes_an_entry_again_and_both_hold() {
    let Some(mut rekor) = Rekor::start(&[]) else { return };
    let log = rekor.client();
    let submission = submission(0);
    let first = log.submit(&submission.entry).await.unwrap();
    rekor.kill();
    assert!(matches!(log.submit(&submission.entry).await, Err(LogError::Unavailable { .. })));
    rekor.again(&[]);
    let second = log.submit(&submission.entry).await.unwrap();
    assert_eq!((first.log_index, second.log_index), (0, 1));
    let (old, new) =
        (verify(&rekor.identity, &submission, &first), verify(&rekor.identity, &submission, &second));
    append_only(Some(&old), &new, &log.consistency_proof(1, 2).await.unwrap()).unwrap();
    assert_eq!(rekor.leaves(), [submission.entry.leaf_hash(); 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_answer_was_lost_is_found_again() {
    // The server gives up after two seconds, and the checkpoint comes after up to eight.
    let slow = ["--persistent-antispam=true", "--checkpoint-interval=8s", "--server-timeout=2s"];
    let Some(rekor) = Rekor::start(&slow) else { return };
    let log = rekor.client();
    log.submit(&submission(0).entry).await.ok();
    let submission = submission(1);
    let mut doubts = 0;
    let entry = loop {
        match log.submit(&submission.entry).await {
            Ok(entry) => break entry,
            Err(LogError::InDoubt { .. }) if doubts < 20 => doubts += 1,
            Err(other) => panic!("{other}"),
        }
    };
    assert!(doubts > 0, "the server answered in time");
    verify(&rekor.identity, &submission, &entry);
    let leaf = submission.entry.leaf_hash();
    assert_eq!(rekor.leaves().iter().filter(|found| **found == leaf).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_log_says_so_and_can_still_be_read() {
    let Some(mut rekor) = Rekor::start(&["--persistent-antispam=true"]) else { return };
    let log = rekor.client();
    log.submit(&submission(0).entry).await.unwrap();
    rekor.kill();
    rekor.again(&["--read-only"]);
    let frozen = log.submit(&submission(1).entry).await;
    assert!(matches!(&frozen, Err(LogError::Frozen(said)) if said.contains("switch")), "{frozen:?}");
    assert_eq!(common::size_of_note(&log.checkpoint().await.unwrap()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_will_never_take_is_refused() {
    let Some(rekor) = Rekor::start(&["--max-request-body-size=600"]) else { return };
    // Too large for us to send, then too large for the server.
    let entry = submission(0).entry;
    let mut config = rekor.config();
    config.limits.max_request = 100;
    let small = RekorV2::new(config).unwrap();
    let refused = small.submit(&entry).await;
    assert!(
        matches!(&refused, Err(LogError::Refused(said)) if said.contains("more than 100")),
        "{refused:?}"
    );
    let key = LocalSigner::p256_from_random(&[1; 32]).unwrap();
    let other = HashedRekord::of_envelope(&submission(0).envelope, key.public_key()).unwrap();
    let refused = rekor.client().submit(&other).await;
    assert!(matches!(&refused, Err(LogError::Refused(said)) if said.contains("invalid")), "{refused:?}");
    assert_eq!(rekor.leaves(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_too_long_for_the_server_is_refused() {
    let Some(rekor) = Rekor::start(&["--max-request-body-size=100"]) else { return };
    let refused = rekor.client().submit(&submission(0).entry).await;
    assert!(matches!(&refused, Err(LogError::Refused(said)) if said.contains("too large")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_another_log_does_not_hold() {
    let Some(rekor) = Rekor::start(&[]) else { return };
    let other = LocalSigner::ed25519_from_random(&[1; 32]);
    let mut config = rekor.config();
    config.identity = TrustedLog::embedded("127.0.0.1", other.public_key().clone(), Timestamp::EPOCH);
    let log = RekorV2::new(config).unwrap();
    let answer = log.submit(&submission(0).entry).await;
    assert!(matches!(&answer, Err(LogError::Misbehaving(m)) if matches!(**m, Misbehavior::OtherLog { .. })));
    let read = log.checkpoint().await;
    assert!(matches!(&read, Err(LogError::Misbehaving(m)) if matches!(**m, Misbehavior::Checkpoint(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_is_no_log_says_so() {
    let Some(rekor) = Rekor::start(&[]) else { return };
    // Its tiles are served there, and no entries taken.
    let mut config = rekor.config();
    config.url = rekor.read_url.clone();
    let answer = RekorV2::new(config).unwrap().submit(&submission(0).entry).await;
    let Err(LogError::Misbehaving(reason)) = answer else { panic!("{answer:?}") };
    assert!(reason.to_string().contains("501"), "{reason}");
    // Without a read URL, the server is asked, which serves no reads.
    let mut config = rekor.config();
    config.read_url = None;
    let read = RekorV2::new(config).unwrap().checkpoint().await.unwrap_err().to_string();
    assert!(read.contains("--log-read-url"), "{read}");
    // With the right one for writes and reads in one place, it is found.
    let mut config = rekor.config();
    config.url = rekor.read_url.clone();
    config.read_url = None;
    config.limits.timeout = Duration::from_secs(5);
    RekorV2::new(config).unwrap().checkpoint().await.unwrap();
}
