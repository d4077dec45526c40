//! Submit: stored envelopes to a log, many at once. The log's answers are kept unverified; link verifies them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use provex_core::entry::{HashedRekord, LogEntry};
use provex_core::ids::EnvelopeDigest;
use provex_core::keys::PublicKey;
use provex_store::{
    Answer, Lease, LeaseToken, Release, SignedEnvelope, Stage, Submission, SubmissionSubject,
};
use provex_tlog::{LogError, TransparencyLog};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::breaker::Breaker;
use crate::stored::parse_envelope;
use crate::telemetry::Measured;
use crate::{Error, Pipeline, STAGE_BATCH};

/// A log to submit to, and what is known of its health.
pub struct LogLine {
    log: Arc<dyn TransparencyLog>,
    breaker: Mutex<Breaker>,
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
}

/// What came of one submission.
struct Sent {
    tenant: usize,
    submission: Uuid,
    attempts: u32,
    answer: Result<LogEntry, LogError>,
}

impl LogLine {
    /// A log of which nothing is known yet.
    pub fn new(log: Arc<dyn TransparencyLog>) -> Self {
        Self { log, breaker: Mutex::default() }
    }

    /// The log.
    pub fn log(&self) -> &Arc<dyn TransparencyLog> {
        &self.log
    }

    /// Sends every envelope that is due to the log and keeps the answers: as many under way as the log takes at once,
    /// and no more in memory, each tenant its share of them. Ends where nothing is due or the log has to be left alone,
    /// and soon after `stop` says so.
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
        let mut run = Run {
            line: self,
            tenants,
            keys,
            token,
            sending: JoinSet::new(),
            report: SubmitReport::default(),
        };
        let all = self.log.concurrency().max(1);
        // Tenants that may have something due, the one whose turn it is first.
        let mut turns: VecDeque<usize> = (0..tenants.len()).collect();
        let mut answers_left = all;
        loop {
            let room = self.breaker(|breaker| breaker.room(all, first.environment.now()));
            let free = room.saturating_sub(run.sending.len());
            // Refilled by an eighth at least: one transaction an envelope would be slower than the log.
            if free > 0 && (free >= all / 8 || run.sending.is_empty()) && !run.report.frozen && !stop() {
                run.fill(&mut turns, free).await?;
            }
            let Some(done) = run.finished().await? else { return Ok(run.report) };
            // One tenant's long backlog must not keep those waiting that had nothing before.
            answers_left = answers_left.saturating_sub(done.len());
            if answers_left == 0 {
                (turns, answers_left) = (in_turn(&turns, tenants.len()), all);
            }
            run.keep(done).await?;
        }
    }

    fn breaker<T>(&self, act: impl FnOnce(&mut Breaker) -> T) -> T {
        act(&mut self.breaker.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What came of a submission, as it is counted.
fn outcome(answer: &Result<LogEntry, LogError>) -> &'static str {
    match answer {
        Ok(_) => "answered",
        Err(LogError::Refused(_)) => "refused",
        Err(LogError::Frozen(_)) => "frozen",
        Err(LogError::Unavailable { .. }) => "unavailable",
        Err(LogError::InDoubt { .. }) => "in_doubt",
        Err(LogError::Misbehaving(_)) => "misbehaving",
        Err(LogError::Unusable(_)) => "unusable",
    }
}

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
    sending: JoinSet<Sent>,
    report: SubmitReport,
}

impl Run<'_> {
    /// Leases and sends up to `free` envelopes, the same share of each tenant that has them.
    async fn fill(&mut self, turns: &mut VecDeque<usize>, mut free: usize) -> Result<(), Error> {
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
            self.send(tenant, &leased).await?;
        }
        Ok(())
    }

    async fn send(&mut self, tenant: usize, leased: &[Submission]) -> Result<(), Error> {
        let pipeline = &self.tenants[tenant];
        let digests: Vec<_> = leased.iter().filter_map(envelope_of).collect();
        if digests.is_empty() {
            return Ok(());
        }
        let envelopes = pipeline.store.signed_envelopes(&pipeline.tenant, &digests).await?;
        for submission in leased {
            let Some(digest) = envelope_of(submission) else { continue };
            let (submission, attempts) = (submission.id, submission.attempts);
            match request(&digest, envelopes.get(&digest), self.keys) {
                Ok(request) => {
                    let (log, environment) = (Arc::clone(&self.line.log), Arc::clone(&pipeline.environment));
                    self.sending.spawn(async move {
                        let began = environment.now();
                        let answer = log.submit(&request).await;
                        let (log, outcome, took) =
                            (log.identity().id, outcome(&answer), environment.since(began));
                        environment.measured(Measured::Submitted { log, outcome, took });
                        Sent { tenant, submission, attempts, answer }
                    });
                }
                Err(reason) => {
                    self.report.refused += 1;
                    self.report.reason = Some(reason.clone());
                    self.release(pipeline, submission, &Release::Dead { reason }).await?;
                }
            }
        }
        Ok(())
    }

    async fn release(&self, pipeline: &Pipeline, submission: Uuid, release: &Release) -> Result<(), Error> {
        let (store, tenant, recording) = (&pipeline.store, &pipeline.tenant, pipeline.recording());
        let released = store.release_submission(tenant, &recording, self.token, submission, release).await;
        unless_lost(released)?;
        Ok(())
    }

    /// Waits for something to come back, and takes all that has; `None` if nothing is under way.
    async fn finished(&mut self) -> Result<Option<Vec<Sent>>, Error> {
        let Some(first) = self.sending.join_next().await else { return Ok(None) };
        let mut done = vec![first];
        while let Some(next) = self.sending.try_join_next() {
            done.push(next);
        }
        let done: Result<_, _> = done.into_iter().collect();
        done.map(Some).map_err(|error| Error::Worker(error.to_string()))
    }

    /// Records what came back.
    async fn keep(&mut self, done: Vec<Sent>) -> Result<(), Error> {
        let mut answers = vec![Vec::new(); self.tenants.len()];
        for Sent { tenant, submission, attempts, answer } in done {
            match answer {
                Ok(entry) => {
                    self.line.breaker(Breaker::succeeded);
                    answers[tenant].push(answer_row(submission, &entry));
                }
                Err(error) => {
                    let pipeline = &self.tenants[tenant];
                    let release = self.line.release(&error, attempts, pipeline, &mut self.report)?;
                    self.release(pipeline, submission, &release).await?;
                }
            }
        }
        for (pipeline, answers) in self.tenants.iter().zip(answers) {
            self.report.answered += pipeline.record_answers(self.token, &answers).await?;
        }
        Ok(())
    }
}

impl LogLine {
    /// How a submission is given back: when to try again depends on the log's health where the log is at fault, and
    /// on how often it was tried where the answer about this very entry is.
    fn release(
        &self,
        error: &LogError,
        attempts: u32,
        pipeline: &Pipeline,
        report: &mut SubmitReport,
    ) -> Result<Release, Error> {
        let reason = error.to_string();
        report.reason = Some(reason.clone());
        let now = pipeline.environment.now();
        let failed = |asked| self.breaker(|breaker| breaker.failed(now, asked, pipeline.chance()));
        let at = match error {
            LogError::Refused(_) => {
                report.refused += 1;
                return Ok(Release::Dead { reason });
            }
            LogError::Frozen(_) => {
                report.frozen = true;
                now
            }
            LogError::Unavailable { .. } | LogError::InDoubt { .. } => failed(error.retry_after()),
            LogError::Misbehaving(_) | LogError::Unusable(_) => {
                failed(None).max(pipeline.retry_at(attempts)?)
            }
        };
        report.waiting += 1;
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
