//! Submit: stored envelopes to a log, many at once. The log's answers are kept unverified; link verifies them.

use provex_core::dsse::Envelope;
use provex_core::entry::{HashedRekord, LogEntry};
use provex_core::ids::EnvelopeDigest;
use provex_core::keys::PublicKey;
use provex_store::{Answer, LeaseToken, Release, Stage, SubmissionSubject};
use provex_tlog::{LogError, TransparencyLog};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{Error, Pipeline, STAGE_BATCH};

/// What submitting did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubmitReport {
    /// Envelopes that the log answered.
    pub answered: u64,
    /// Envelopes that stay queued, with the reason of the last one.
    pub waiting: u64,
    /// Envelopes that the log finally refused.
    pub refused: u64,
    /// Why the last one waits or was refused.
    pub reason: Option<String>,
}

impl Pipeline {
    /// Sends every envelope that is due to the log and keeps the answers.
    ///
    /// # Errors
    /// [`Error`]; what was recorded until then stays, and what was sent is found again in the log.
    pub async fn submit(
        &self,
        log: &std::sync::Arc<dyn TransparencyLog>,
        keys: &[PublicKey],
    ) -> Result<SubmitReport, Error> {
        let mut report = SubmitReport::default();
        loop {
            let lease = self.lease()?;
            let leased =
                self.store.acquire_submissions(&self.tenant, Stage::Submit, lease, STAGE_BATCH).await?;
            if leased.is_empty() {
                return Ok(report);
            }
            let mut sending = JoinSet::new();
            for submission in leased {
                let SubmissionSubject::Envelope(digest) = submission.subject else { continue };
                let request = self.request(&digest, keys).await?;
                let log = std::sync::Arc::clone(log);
                sending.spawn(async move {
                    let answer = match request {
                        Ok(request) => log.submit(&request).await,
                        Err(reason) => Err(LogError::Refused(reason)),
                    };
                    (submission.id, submission.attempts, answer)
                });
            }
            let mut answers = Vec::new();
            while let Some(sent) = sending.join_next().await {
                let (id, attempts, answer) = sent.map_err(|e| Error::Worker(e.to_string()))?;
                match answer {
                    Ok(entry) => answers.push(answer_row(id, &entry)),
                    Err(error) => self.release(lease.token, id, attempts, error, &mut report).await?,
                }
            }
            self.store.record_answers(&self.tenant, lease.token, &answers).await?;
            report.answered += answers.len() as u64;
        }
    }

    /// What is sent for a stored envelope; in words, why nothing can be.
    async fn request(
        &self,
        digest: &EnvelopeDigest,
        keys: &[PublicKey],
    ) -> Result<Result<HashedRekord, String>, Error> {
        let unreadable = |reason: String| Error::Stored { what: "envelope", id: digest.to_text(), reason };
        let stored = self.store.envelope(&self.tenant, digest).await?;
        let stored = stored.ok_or_else(|| unreadable("it is missing".to_owned()))?;
        let envelope = Envelope::parse(&stored.bytes).map_err(|e| unreadable(e.to_string()))?;
        let Some(key) = keys.iter().find(|key| key.fingerprint() == stored.key_fingerprint) else {
            return Ok(Err(format!(
                "the key {} that signed it is not known here",
                stored.key_fingerprint.to_hex()
            )));
        };
        Ok(HashedRekord::of_envelope(&envelope, key).map_err(|e| e.to_string()))
    }

    async fn release(
        &self,
        token: LeaseToken,
        submission: Uuid,
        attempts: u32,
        error: LogError,
        report: &mut SubmitReport,
    ) -> Result<(), Error> {
        let reason = error.to_string();
        report.reason = Some(reason.clone());
        let release = if let LogError::Refused(_) = error {
            report.refused += 1;
            Release::Dead { reason }
        } else {
            report.waiting += 1;
            Release::Retry { at: self.retry_at(attempts)?, reason }
        };
        self.store.release_submission(&self.tenant, &self.recording(), token, submission, &release).await?;
        Ok(())
    }
}

fn answer_row(submission: Uuid, entry: &LogEntry) -> Answer {
    Answer { submission, log: entry.log_id, entry: entry.to_jcs() }
}
