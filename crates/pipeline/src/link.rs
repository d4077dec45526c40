//! Link: a log's answer to linkages. Everything is verified from bytes before anything is stored; what does not
//! verify is asked for again, and the observations stay pending.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use provex_core::bundle::Bundle;
use provex_core::checkpoint::SignedCheckpoint;
use provex_core::digest::Digest;
use provex_core::dsse::Envelope;
use provex_core::entry::LogEntry;
use provex_core::ids::{BundleDigest, EnvelopeDigest, LogId};
use provex_core::intoto::ObservationSet;
use provex_core::linkage::Linkage;
use provex_core::time::Timestamp;
use provex_core::verify::{
    AppendOnly, LinkedSet, VerifiedAnchor, VerifiedEntry, Verifier, append_only, link_set,
};
use provex_store::{
    Lease, MAX_LINKAGES, NewLink, NewLogEntry, Release, Stage, StoredEnvelope, Submission, SubmissionSubject,
};
use provex_tlog::TransparencyLog;
use provex_tlog::tsa::{TsaClient, TsaError};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::checkpoints::log_checkpoint;
use crate::stored::parse_envelope;
use crate::telemetry::Measured;
use crate::{Error, Pipeline, STAGE_BATCH};

/// What linking did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkReport {
    /// Observations linked.
    pub linked: u64,
    /// The logs that they are linked in.
    pub logs: BTreeSet<LogId>,
    /// Envelopes whose answer did not verify, and why the last one did not.
    pub unverified: u64,
    /// Why.
    pub reason: Option<String>,
    /// An authority did not answer something, and may later.
    pub away: bool,
    /// What proves that a log only grew could not be read, and may be later.
    pub unread: bool,
    /// It could be read.
    pub read: bool,
}

/// Envelopes whose members are in memory at a time.
const ENVELOPES: usize = 32;

/// A log's answer, and the envelope that it is about.
struct Stored<'a> {
    stored: StoredEnvelope,
    envelope: Envelope,
    log: &'a LogId,
    /// JCS bytes of the entry.
    entry: &'a [u8],
}

/// An answer that holds, ready to be stored.
struct Ready {
    submission: Uuid,
    entry: NewLogEntry,
    /// What it links; nothing if it is an anchor.
    set: Option<LinkedSet>,
}

impl Ready {
    fn members(&self) -> usize {
        self.set.as_ref().map_or(0, LinkedSet::size)
    }
}

/// As many linkages of an answer as one transaction takes.
struct Part<'a> {
    entry: &'a NewLogEntry,
    linkages: Vec<Linkage>,
    /// The submission, if these are its last.
    finished: Option<Uuid>,
}

impl Part<'_> {
    fn to_new_link(&self) -> NewLink<'_> {
        NewLink { entry: self.entry, linkages: &self.linkages, finished: self.finished }
    }
}

impl Pipeline {
    /// Verifies every answer that waits, of any of `logs`, and links what it proves. With an authority each signature
    /// gets a timestamp first.
    ///
    /// # Errors
    /// [`Error`]; what was recorded until then stays.
    pub async fn link(
        &self,
        logs: &[Arc<dyn TransparencyLog>],
        authority: Option<&Arc<TsaClient>>,
        verifier: Verifier<'_>,
    ) -> Result<LinkReport, Error> {
        let mut report = LinkReport::default();
        while self.link_some(logs, authority, verifier, &mut report).await? {}
        Ok(report)
    }

    /// Does as much of [`Pipeline::link`] as one lease takes. Whether there was anything.
    pub(crate) async fn link_some(
        &self,
        logs: &[Arc<dyn TransparencyLog>],
        authority: Option<&Arc<TsaClient>>,
        verifier: Verifier<'_>,
        report: &mut LinkReport,
    ) -> Result<bool, Error> {
        let lease = self.lease()?;
        let leased = self.store.acquire_submissions(&self.tenant, Stage::Link, lease, STAGE_BATCH).await?;
        let any = !leased.is_empty();
        let mut seen = Seen::default();
        let mut tokens = Timestamps::asked(self, authority, &leased).await?;
        // However many answers and members there are, little of it is in memory at a time.
        let (mut ready, mut members) = (Vec::new(), 0);
        for part in leased.chunks(ENVELOPES) {
            let mut envelopes = self.stored_envelopes(part).await?;
            let sound = self.are_sound(&envelopes).await?;
            for submission in part {
                let began = self.environment.now();
                let held = match (tokens.of(submission.id).await, &submission.subject) {
                    (Ok(tokens), SubmissionSubject::Answer { envelope: digest, log, entry }) => {
                        match self.sound(digest, envelopes.remove(digest), sound).await {
                            Ok((stored, envelope)) => {
                                let answer = Stored { stored, envelope, log, entry };
                                self.verify_answer(answer, logs, verifier, &tokens, &mut seen).await?
                            }
                            // A copy of the database mends it, and the log's answer is still there then.
                            Err(error @ Error::Stored { .. }) => Err(Held::wait(error.to_string())),
                            Err(error) => return Err(error),
                        }
                    }
                    (Ok(_), _) => Err(Held::Again("there is no answer".to_owned())),
                    (Err(held), _) => Err(held),
                };
                self.measure(submission, &held, began);
                match held {
                    Ok((entry, set)) => {
                        let answer = Ready { submission: submission.id, entry, set };
                        members += answer.members();
                        ready.push(answer);
                    }
                    Err(held) => self.hold(submission, held, lease, report).await?,
                }
                if members >= MAX_LINKAGES {
                    self.record_links(&ready, lease, report).await?;
                    (ready, members) = (Vec::new(), 0);
                }
            }
        }
        self.record_links(&ready, lease, report).await?;
        report.read |= seen.read;
        Ok(any)
    }

    fn measure<T>(&self, submission: &Submission, held: &Result<T, Held>, began: Timestamp) {
        let SubmissionSubject::Answer { log, .. } = submission.subject else { return };
        let outcome = match held {
            Ok(_) => "verified",
            Err(Held::Again(_)) => "refused",
            Err(Held::Wait { .. }) => "waiting",
        };
        let took = self.environment.since(began);
        self.environment.measured(Measured::Verified { log, outcome, took });
    }

    /// The envelopes of answers.
    async fn stored_envelopes(
        &self,
        answers: &[Submission],
    ) -> Result<BTreeMap<EnvelopeDigest, StoredEnvelope>, Error> {
        let digests: Vec<_> = answers.iter().filter_map(envelope_of).collect();
        if digests.is_empty() {
            return Ok(BTreeMap::new());
        }
        Ok(self.store.envelopes(&self.tenant, &digests).await?)
    }

    /// Gives back what cannot be linked yet.
    async fn hold(
        &self,
        submission: &Submission,
        held: Held,
        lease: Lease,
        report: &mut LinkReport,
    ) -> Result<(), Error> {
        let at = self.retry_at(submission.attempts)?;
        let release = match held {
            Held::Again(reason) => Release::Resubmit { at, reason },
            Held::Wait { reason, asked, away } => {
                report.away |= away == Some(Away::Authority);
                report.unread |= away == Some(Away::Log);
                let asked = asked.map_or(0, |asked| i64::try_from(asked.as_micros()).unwrap_or(i64::MAX));
                let later = self.environment.now().plus_micros(asked).map_err(|_| Error::Clock)?;
                Release::Retry { at: at.max(later), reason }
            }
        };
        let (Release::Resubmit { reason, .. } | Release::Retry { reason, .. } | Release::Dead { reason }) =
            &release;
        report.unverified += 1;
        report.reason = Some(reason.clone());
        let recording = self.recording();
        self.store.release_submission(&self.tenant, &recording, lease.token, submission.id, &release).await?;
        Ok(())
    }

    /// Stores what holds, as many linkages a transaction as its limit allows.
    async fn record_links(
        &self,
        ready: &[Ready],
        lease: Lease,
        report: &mut LinkReport,
    ) -> Result<(), Error> {
        let mut parts: Vec<Part<'_>> = Vec::new();
        let mut room = MAX_LINKAGES;
        for ready in ready {
            let (mut next, members) = (0, ready.members());
            loop {
                let end = members.min(next + room);
                let linkages = ready.set.iter().flat_map(|set| set.linkages(next..end)).collect();
                let finished = (end == members).then_some(ready.submission);
                parts.push(Part { entry: &ready.entry, linkages, finished });
                room -= end - next;
                next = end;
                if room == 0 {
                    report.linked += self.store_links(&mut parts, lease).await?;
                    room = MAX_LINKAGES;
                }
                if next == members {
                    break;
                }
            }
        }
        report.linked += self.store_links(&mut parts, lease).await?;
        let sets = ready.iter().filter(|ready| ready.set.is_some());
        report.logs.extend(sets.map(|ready| ready.entry.linked.log_id));
        Ok(())
    }

    async fn store_links(&self, parts: &mut Vec<Part<'_>>, lease: Lease) -> Result<u64, Error> {
        if parts.is_empty() {
            return Ok(0);
        }
        let links: Vec<_> = parts.iter().map(Part::to_new_link).collect();
        let counts = self.store.link(&self.tenant, &self.recording(), lease.token, &links).await?;
        parts.clear();
        Ok(counts.linked)
    }

    /// Whether the bodies of all that is to be linked are still what they were when it was signed.
    async fn are_sound(&self, envelopes: &BTreeMap<EnvelopeDigest, StoredEnvelope>) -> Result<bool, Error> {
        let members: Vec<_> = envelopes.values().flat_map(|stored| &stored.observations).copied().collect();
        match self.check_bodies(&members).await {
            Ok(()) => Ok(true),
            Err(Error::Stored { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What is to be linked, if it is still what it was when it was signed. `checked` says that of its bodies.
    async fn sound(
        &self,
        digest: &EnvelopeDigest,
        stored: Option<StoredEnvelope>,
        checked: bool,
    ) -> Result<(StoredEnvelope, Envelope), Error> {
        let missing =
            || Error::Stored { what: "envelope", id: digest.to_text(), reason: "it is missing".to_owned() };
        let stored = stored.ok_or_else(missing)?;
        let envelope = parse_envelope(digest, &stored.bytes)?;
        if !checked {
            self.check_bodies(&stored.observations).await?;
        }
        Ok((stored, envelope))
    }

    /// Verifies one answer whole.
    async fn verify_answer(
        &self,
        answer: Stored<'_>,
        logs: &[Arc<dyn TransparencyLog>],
        verifier: Verifier<'_>,
        tokens: &[Vec<u8>],
        seen: &mut Seen,
    ) -> Result<Result<(NewLogEntry, Option<LinkedSet>), Held>, Error> {
        let Stored { stored, envelope, log: log_id, entry } = answer;
        let verified = match verify_entry(&stored, envelope, entry, tokens, verifier) {
            Ok(verified) => verified,
            Err(reason) => return Ok(Err(Held::Again(reason))),
        };
        let Some(log) = logs.iter().find(|log| log.identity().id == *log_id) else {
            let reason = format!("the log {} that answered is not configured here now", log_id.to_text());
            return Ok(Err(Held::wait(reason)));
        };
        let grew = self.append_only(log_id, verified.checkpoint(), log, verifier, seen).await?;
        self.environment.measured(Measured::Compared { log: *log_id, consistent: grew.is_ok() });
        let grew = match grew {
            Ok(grew) => grew,
            Err(held) => return Ok(Err(held)),
        };
        let set = match verifier.anchor(&verified) {
            Ok(Some(anchor)) => match self.check_anchored(&anchor).await? {
                Ok(()) => None,
                Err(reason) => return Ok(Err(Held::wait(reason))),
            },
            Ok(None) => {
                let members = stored.observations.iter().map(|id| *id.digest()).collect();
                match link_set(&verified, &grew, ObservationSet::new(members)) {
                    Ok(set) => Some(set),
                    Err(error) => return Ok(Err(Held::Again(error.to_string()))),
                }
            }
            Err(error) => return Ok(Err(Held::wait(error.to_string()))),
        };
        Ok(Ok((new_log_entry(&verified, entry, tokens)?, set)))
    }

    /// Whether the root that an anchor names is the one that is kept; in words, why it is not.
    async fn check_anchored(&self, anchor: &VerifiedAnchor) -> Result<Result<(), String>, Error> {
        let size = anchor.root.checkpoint().size;
        let kept = self.store.ledger_roots(&self.tenant, size.saturating_sub(1), 1).await?;
        Ok(match kept.first() {
            Some(kept) if kept.checkpoint == anchor.predicate.checkpoint.as_bytes() => Ok(()),
            _ => Err(format!(
                "the ledger's root over {size} events that it anchors is not the one that is kept"
            )),
        })
    }

    /// Checks that the log only grew since the newest checkpoint seen, and keeps the new one if it is newer.
    async fn append_only(
        &self,
        log_id: &LogId,
        now: &SignedCheckpoint,
        log: &Arc<dyn TransparencyLog>,
        verifier: Verifier<'_>,
        seen: &mut Seen,
    ) -> Result<Result<AppendOnly, Held>, Error> {
        let key = (*log_id, now.checkpoint().size, now.checkpoint().root);
        if let Some(grew) = seen.checkpoints.get(&key) {
            return Ok(Ok(grew.clone()));
        }
        let known = match self.newest_checkpoint(log_id, verifier).await? {
            Ok(known) => known,
            Err(reason) => return Ok(Err(Held::wait(reason))),
        };
        let size = now.checkpoint().size;
        let (old, new) = match &known {
            Some(known) => (known.checkpoint().size.min(size), known.checkpoint().size.max(size)),
            None => (0, size),
        };
        let needed = old != 0 && old != new;
        let proof = if needed { log.consistency_proof(old, new).await } else { Ok(Vec::new()) };
        let proof = match proof {
            Ok(proof) => {
                seen.read |= needed;
                proof
            }
            Err(error) => {
                let (reason, asked) = (error.to_string(), error.retry_after());
                let away = error.is_away().then_some(Away::Log);
                return Ok(Err(Held::Wait { reason, asked, away }));
            }
        };
        let grew = match append_only(known.as_ref(), now, &proof) {
            Ok(grew) => grew,
            Err(error) => return Ok(Err(Held::wait(error.to_string()))),
        };
        let newest = log_checkpoint(now, self.environment.now());
        self.store.record_log_checkpoint(log_id, &newest).await?;
        seen.checkpoints.insert(key, grew.clone());
        Ok(Ok(grew))
    }

    /// The newest checkpoint kept, verified from its bytes.
    async fn newest_checkpoint(
        &self,
        log_id: &LogId,
        verifier: Verifier<'_>,
    ) -> Result<Result<Option<SignedCheckpoint>, String>, Error> {
        let Some(kept) = self.store.log_checkpoint(log_id).await? else { return Ok(Ok(None)) };
        let Some(log) = verifier.trusted_root.log(log_id) else {
            return Ok(Err(format!("the trusted root does not know the log {}", log_id.to_text())));
        };
        Ok(verifier.checkpoint(log, &kept.note).map(Some).map_err(|e| e.to_string()))
    }
}

fn envelope_of(answer: &Submission) -> Option<EnvelopeDigest> {
    match &answer.subject {
        SubmissionSubject::Answer { envelope, .. } => Some(*envelope),
        SubmissionSubject::Document(_) | SubmissionSubject::Envelope(_) => None,
    }
}

/// Why an answer is not linked yet, in words.
enum Held {
    /// It does not hold: the log is asked again.
    Again(String),
    /// What else it needs is not there: the answer is kept, and the entry not sent again.
    Wait {
        /// What is missing.
        reason: String,
        /// How long whoever has it asks to be left alone.
        asked: Option<Duration>,
        /// Who did not answer, and may later.
        away: Option<Away>,
    },
}

/// Who does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Away {
    Authority,
    Log,
}

impl Held {
    fn wait(reason: impl Into<String>) -> Self {
        Self::Wait { reason: reason.into(), asked: None, away: None }
    }

    fn timestamp(error: &TsaError) -> Self {
        let away = matches!(error, TsaError::Unavailable { .. }).then_some(Away::Authority);
        Self::Wait { reason: error.to_string(), asked: error.retry_after(), away }
    }
}

/// Timestamps of a batch, asked for at once.
#[derive(Default)]
struct Timestamps {
    asked: HashMap<Uuid, JoinHandle<Result<Vec<u8>, TsaError>>>,
    /// The authority did not answer one: the others are not waited for.
    away: Option<TsaError>,
}

impl Timestamps {
    async fn asked(
        pipeline: &Pipeline,
        authority: Option<&Arc<TsaClient>>,
        leased: &[Submission],
    ) -> Result<Self, Error> {
        let mut timestamps = Self::default();
        let Some(authority) = authority else { return Ok(timestamps) };
        let digests: Vec<_> = leased.iter().filter_map(envelope_of).collect();
        if digests.is_empty() {
            return Ok(timestamps);
        }
        let envelopes = pipeline.store.signed_envelopes(&pipeline.tenant, &digests).await?;
        for submission in leased {
            let Some(digest) = envelope_of(submission) else { continue };
            // What is missing or was changed is not linked, and says why then.
            let Some(stored) = envelopes.get(&digest) else { continue };
            let Ok(envelope) = parse_envelope(&digest, &stored.bytes) else { continue };
            let signature = envelope.signature().to_vec();
            let authority = Arc::clone(authority);
            let token = tokio::spawn(async move { authority.timestamp(&signature).await });
            timestamps.asked.insert(submission.id, token);
        }
        Ok(timestamps)
    }

    /// The tokens for a submission, none without an authority.
    async fn of(&mut self, submission: Uuid) -> Result<Vec<Vec<u8>>, Held> {
        let Some(token) = self.asked.remove(&submission) else { return Ok(Vec::new()) };
        if let Some(away) = &self.away {
            token.abort();
            return Err(Held::timestamp(away));
        }
        match token.await {
            Ok(Ok(token)) => Ok(vec![token]),
            Ok(Err(error)) => {
                let held = Held::timestamp(&error);
                if let TsaError::Unavailable { .. } = error {
                    self.away = Some(error);
                }
                Err(held)
            }
            Err(error) => Err(Held::wait(error.to_string())),
        }
    }
}

/// What was seen of logs in one lease.
#[derive(Default)]
struct Seen {
    /// Checkpoints that were found consistent: a batch of a log shares one.
    checkpoints: HashMap<(LogId, u64, Digest), AppendOnly>,
    /// A proof could be read.
    read: bool,
}

fn verify_entry(
    stored: &StoredEnvelope,
    envelope: Envelope,
    entry: &[u8],
    tokens: &[Vec<u8>],
    verifier: Verifier<'_>,
) -> Result<VerifiedEntry, String> {
    let entry = LogEntry::parse(entry).map_err(|e| e.to_string())?;
    let key = verifier
        .keys
        .iter()
        .find(|key| key.fingerprint() == stored.key_fingerprint)
        .ok_or_else(|| format!("the key {} is not trusted here", stored.key_fingerprint.to_hex()))?;
    verifier.timestamped_entry(&envelope, key, &entry, tokens).map_err(|e| e.to_string())
}

fn new_log_entry(verified: &VerifiedEntry, entry: &[u8], tokens: &[Vec<u8>]) -> Result<NewLogEntry, Error> {
    let parsed = LogEntry::parse(entry).map_err(|e| Error::Stored {
        what: "log entry",
        id: verified.linked().rekor_uuid.to_hex(),
        reason: e.to_string(),
    })?;
    let mut bundle = Bundle::new(verified.envelope().clone(), verified.key(), parsed);
    bundle.timestamps = tokens.to_vec();
    let bundle = bundle.to_jcs();
    Ok(NewLogEntry {
        linked: Arc::clone(verified.linked()),
        entry: entry.to_vec(),
        bundle_digest: BundleDigest::new(Digest::of(&bundle)),
        bundle,
        verifier_version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}
