//! Submit: stored envelopes to a log, many at once. The log's answers are kept unverified; link verifies them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use provex_core::entry::{HashedRekord, LogEntry};
use provex_core::ids::EnvelopeDigest;
use provex_core::keys::PublicKey;
use provex_store::{
    Answer, Lease, LeaseToken, Release, SignedEnvelope, Stage, Submission, SubmissionSubject,
};
use provex_tlog::{LogError, TransparencyLog};
use uuid::Uuid;

use crate::breaker::Breaker;
use crate::drain::LOOK;
use crate::sending::{Failed, Ready, Sending, Sent};
use crate::stored::parse_envelope;
use crate::{Error, Pipeline, STAGE_BATCH};

/// A log to submit to, and what is known of its health, which clones share.
#[derive(Clone)]
pub struct LogLine {
    log: Arc<dyn TransparencyLog>,
    breaker: Arc<Mutex<Breaker>>,
    /// What it said when it took no entries any more.
    frozen: Arc<OnceLock<String>>,
}

/// What submitting did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubmitReport {
    /// Envelopes that the log answered.
    pub answered: u64,
    /// Envelopes that stay queued.
    pub waiting: u64,
    /// Envelopes that the log finally refused.
    pub refused: u64,
    /// Why the last one waits or was refused.
    pub reason: Option<String>,
    /// The log takes no entries any more.
    pub frozen: bool,
    /// The log did not answer something, and may later.
    pub away: bool,
}

impl LogLine {
    /// A log of which nothing is known yet.
    pub fn new(log: Arc<dyn TransparencyLog>) -> Self {
        Self { log, breaker: Arc::default(), frozen: Arc::default() }
    }

    /// The log.
    pub fn log(&self) -> &Arc<dyn TransparencyLog> {
        &self.log
    }

    /// Why it takes no entries any more, if it has said so. It is not asked again: whoever may hope otherwise makes
    /// a new line.
    pub fn frozen(&self) -> Option<&str> {
        self.frozen.get().map(String::as_str)
    }

    pub(crate) fn freeze(&self, reason: &LogError) {
        self.frozen.get_or_init(|| reason.to_string());
    }

    /// Sends every envelope that is due to the log and keeps the answers: as many under way as the log takes at once, as
    /// many again ready to go next, and no more in memory, each tenant its share of them. Ends where nothing is due, the
    /// log has to be left alone or is frozen, and soon after `stop` says so.
    ///
    /// # Errors
    /// [`Error`]; what was recorded until then stays, and what was sent is found again in the log.
    pub async fn submit(
        &self,
        tenants: &[Pipeline],
        keys: &[PublicKey],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<SubmitReport, Error> {
        let Some(first) = tenants.first() else { return Ok(SubmitReport::default()) };
        let token = LeaseToken(first.environment.uuid());
        if let Some(reason) = self.frozen() {
            let reason = Some(reason.to_owned());
            return Ok(SubmitReport { reason, frozen: true, ..SubmitReport::default() });
        }
        let all = self.log.concurrency().max(1);
        let sending = Sending::new(self, all);
        let report = SubmitReport::default();
        let mut run = Run { line: self, tenants, keys, token, all, sending, away: None, report };
        // Tenants that may have something due, the one whose turn it is first.
        let mut turns: VecDeque<usize> = (0..tenants.len()).collect();
        let mut answers_left = all;
        loop {
            let room = match stop() || self.frozen().is_some() {
                true => 0,
                false => self.breaker(|breaker| breaker.room(all, first.environment.now())),
            };
            if room < all {
                run.give_back().await?;
            }
            // What goes next is read before there is room for it.
            let most = if room < all { room } else { 2 * all };
            run.fill(&mut turns, most).await?;
            if run.sending.held() == 0 {
                return Ok(run.report);
            }
            let Ok(answers) = tokio::time::timeout(LOOK, run.sending.answers()).await else { continue };
            let answers = answers?;
            // One tenant's long backlog must not keep those waiting that had nothing before.
            answers_left = answers_left.saturating_sub(answers.len());
            if answers_left == 0 {
                (turns, answers_left) = (in_turn(&turns, tenants.len()), all);
            }
            run.keep(answers).await?;
        }
    }

    pub(crate) fn breaker<T>(&self, act: impl FnOnce(&mut Breaker) -> T) -> T {
        act(&mut self.breaker.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Why an envelope that was leased is given back, if nothing else is known.
const UNSENT: &str = "it was next to be sent when this process stopped sending";

/// All tenants, those whose turn it is first.
fn in_turn(turns: &VecDeque<usize>, tenants: usize) -> VecDeque<usize> {
    let others = (0..tenants).filter(|tenant| !turns.contains(tenant));
    others.chain(turns.iter().copied()).collect()
}

/// One call of [`LogLine::submit`].
struct Run<'a> {
    line: &'a LogLine,
    tenants: &'a [Pipeline],
    keys: &'a [PublicKey],
    /// One token for the whole run: each lease says until when.
    token: LeaseToken,
    /// As many as the log takes at once.
    all: usize,
    sending: Sending,
    /// Why the log takes nothing, in its last words.
    away: Option<String>,
    report: SubmitReport,
}

impl Run<'_> {
    /// Leases and hands over envelopes until there are `most`, the same share of each tenant that has them.
    async fn fill(&mut self, turns: &mut VecDeque<usize>, most: usize) -> Result<(), Error> {
        let mut free = most.saturating_sub(self.sending.held());
        // Refilled by an eighth at least: one transaction an envelope would be slower than the log.
        if free < self.all / 8 && self.sending.held() > 0 {
            return Ok(());
        }
        while free > 0 {
            let Some(tenant) = turns.pop_front() else { return Ok(()) };
            let pipeline = &self.tenants[tenant];
            let share = free.div_ceil(turns.len() + 1).min(STAGE_BATCH);
            let lease = Lease { token: self.token, ..pipeline.lease()? };
            let leased =
                pipeline.store.acquire_submissions(&pipeline.tenant, Stage::Submit, lease, share).await?;
            free -= leased.len();
            // Whoever had fewer has no more for now.
            if leased.len() == share {
                turns.push_back(tenant);
            }
            let ready = self.ready(tenant, &leased).await?;
            self.sending.send(ready, most.min(self.all))?;
        }
        Ok(())
    }

    /// What is sent of leased submissions. What nothing can be sent of is given up.
    async fn ready(&mut self, tenant: usize, leased: &[Submission]) -> Result<Vec<Ready>, Error> {
        let pipeline = &self.tenants[tenant];
        let digests: Vec<_> = leased.iter().filter_map(envelope_of).collect();
        if digests.is_empty() {
            return Ok(Vec::new());
        }
        let envelopes = pipeline.store.signed_envelopes(&pipeline.tenant, &digests).await?;
        let mut ready = Vec::with_capacity(leased.len());
        for submission in leased {
            let Some(digest) = envelope_of(submission) else { continue };
            let (submission, attempts) = (submission.id, submission.attempts);
            match request(&digest, envelopes.get(&digest), self.keys) {
                Ok(request) => {
                    let environment = Arc::clone(&pipeline.environment);
                    ready.push(Ready { tenant, submission, attempts, request, environment });
                }
                Err(reason) => {
                    self.report.refused += 1;
                    self.report.reason = Some(reason.clone());
                    self.release(tenant, submission, &Release::Dead { reason }).await?;
                }
            }
        }
        Ok(ready)
    }

    /// Gives back what was not sent yet, due when the log may be asked again.
    async fn give_back(&mut self) -> Result<(), Error> {
        for Ready { tenant, submission, environment, .. } in self.sending.take_back() {
            let now = environment.now();
            let at = self.line.breaker(|breaker| breaker.until(now)).unwrap_or(now);
            let reason = self.away.clone().unwrap_or_else(|| UNSENT.to_owned());
            self.report.waiting += 1;
            self.release(tenant, submission, &Release::Retry { at, reason }).await?;
        }
        Ok(())
    }

    async fn release(&self, tenant: usize, submission: Uuid, release: &Release) -> Result<(), Error> {
        let pipeline = &self.tenants[tenant];
        let (store, tenant, recording) = (&pipeline.store, &pipeline.tenant, pipeline.recording());
        let released = store.release_submission(tenant, &recording, self.token, submission, release).await;
        unless_lost(released)?;
        Ok(())
    }

    /// Records what came back.
    async fn keep(&mut self, sent: Vec<Sent>) -> Result<(), Error> {
        let mut answers = vec![Vec::new(); self.tenants.len()];
        for Sent { tenant, submission, attempts, answer } in sent {
            match answer {
                Ok(entry) => {
                    self.away = None;
                    answers[tenant].push(answer_row(submission, &entry));
                }
                Err(failed) => {
                    let release = self.failed(failed, attempts, tenant)?;
                    self.release(tenant, submission, &release).await?;
                }
            }
        }
        for (pipeline, answers) in self.tenants.iter().zip(answers) {
            self.report.answered += pipeline.record_answers(self.token, &answers).await?;
        }
        Ok(())
    }

    /// How a submission is given back: when to try again depends on the log's health where the log is at fault, and
    /// on how often it was tried where the answer about this very entry is.
    fn failed(&mut self, failed: Failed, attempts: u32, tenant: usize) -> Result<Release, Error> {
        let pipeline = &self.tenants[tenant];
        let reason = failed.error.to_string();
        self.report.reason = Some(reason.clone());
        let again = failed.again.unwrap_or_else(|| pipeline.environment.now());
        if let LogError::Refused(_) = failed.error {
            self.report.refused += 1;
            return Ok(Release::Dead { reason });
        }
        self.away = Some(reason.clone());
        self.report.frozen |= matches!(failed.error, LogError::Frozen(_));
        self.report.away |= failed.error.is_away();
        let at = match failed.error {
            LogError::Misbehaving(_) | LogError::Unusable(_) => again.max(pipeline.retry_at(attempts)?),
            _ => again,
        };
        self.report.waiting += 1;
        Ok(Release::Retry { at, reason })
    }
}

fn envelope_of(submission: &Submission) -> Option<EnvelopeDigest> {
    match submission.subject {
        SubmissionSubject::Envelope(digest) => Some(digest),
        SubmissionSubject::Document(_) | SubmissionSubject::Answer { .. } => None,
    }
}

/// What is sent for a stored envelope; in words, why nothing can be.
fn request(
    digest: &EnvelopeDigest,
    stored: Option<&SignedEnvelope>,
    keys: &[PublicKey],
) -> Result<HashedRekord, String> {
    let stored = stored.ok_or_else(|| format!("the envelope {} is missing", digest.to_text()))?;
    let envelope = parse_envelope(digest, &stored.bytes).map_err(|error| error.to_string())?;
    let key = keys.iter().find(|key| key.fingerprint() == stored.key_fingerprint).ok_or_else(|| {
        format!("the key {} that signed it is not known here", stored.key_fingerprint.to_hex())
    })?;
    HashedRekord::of_envelope(&envelope, key).map_err(|error| error.to_string())
}

impl Pipeline {
    /// Records answers; how many. One whose lease was lost meanwhile is left to who has it now: the log knows the entry.
    async fn record_answers(&self, token: LeaseToken, answers: &[Answer]) -> Result<u64, Error> {
        if answers.is_empty() {
            return Ok(0);
        }
        match self.store.record_answers(&self.tenant, token, answers).await {
            Err(provex_store::Error::LostLease) => {}
            recorded => return Ok(recorded.map(|()| answers.len() as u64)?),
        }
        let mut recorded = 0;
        for answer in answers {
            let one = self.store.record_answers(&self.tenant, token, std::slice::from_ref(answer)).await;
            recorded += u64::from(unless_lost(one)?.is_some());
        }
        Ok(recorded)
    }
}

/// What was done; `None` if the lease was lost, and somebody else does it.
fn unless_lost<T>(result: Result<T, provex_store::Error>) -> Result<Option<T>, provex_store::Error> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(provex_store::Error::LostLease) => Ok(None),
        Err(error) => Err(error),
    }
}

fn answer_row(submission: Uuid, entry: &LogEntry) -> Answer {
    Answer { submission, log: entry.log_id, entry: entry.to_jcs() }
}
