//! Verification from bytes: the one place where a [`Linkage`] is made, for server, command line, audit and browser.
//!
//! Nothing that a log, a bundle or a proof says of itself is believed. The signer's key and the logs come from the
//! caller; the entry body is built anew from envelope and key; size and root come from the verified checkpoint.
//! Members that repeat what was computed have to agree, so that no bit of a proof can be changed unnoticed.

use std::ops::Range;
use std::sync::Arc;

use crate::bundle::Bundle;
use crate::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use crate::digest::Digest;
use crate::dsse::{Envelope, IN_TOTO_PAYLOAD_TYPE};
use crate::entry::{HASHEDREKORD, HASHEDREKORD_VERSION, HashedRekord, LogEntry, UnloggableKey};
use crate::ids::{DocumentDigest, LogId, ObservationId};
use crate::intoto::{ObservationSet, ObservationsPredicate, Statement, StatementError};
use crate::keys::{PublicKey, SignatureVerifier};
use crate::ledger::{AnchorPredicate, LEDGER_ANCHOR, ORIGIN_PREFIX, verify_root};
use crate::linkage::{Linkage, LinkageFields, LinkedEntry};
use crate::merkle::{self, ProofError};
use crate::proof::Proof;
use crate::time::Timestamp;
use crate::trusted_root::{TimestampAuthority, TrustedLog, TrustedRoot};
use crate::vex::{BodyError, Observation};

/// Why something is not proven.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The hint names no key that the caller trusts.
    #[error("signed by a key that is not trusted here: the bundle names {hint}")]
    UntrustedKey {
        /// The bundle's hint.
        hint: String,
    },
    /// No trusted key made the signature.
    #[error("the signature does not verify under the trusted key {}", fingerprint.to_hex())]
    Signature {
        /// SHA-256 of the key's SPKI.
        fingerprint: Digest,
    },
    /// Not an in-toto payload.
    #[error("payload type `{0}` is not in-toto")]
    PayloadType(String),
    /// The payload is not the statement it has to be.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A kind of entry that is not known.
    #[error("log entry kind `{kind}` {version} is not known")]
    EntryKind {
        /// The kind.
        kind: String,
        /// Its version.
        version: String,
    },
    /// The entry claims a time or promise that its kind does not carry.
    #[error("a Rekor v2 entry carries no time and no promise, this one does")]
    UnexpectedTime,
    /// A key whose signatures the log cannot have checked.
    #[error(transparent)]
    UnloggableKey(#[from] UnloggableKey),
    /// The log is not in the trusted root.
    #[error("the trusted root does not know the log {}", .0.to_text())]
    UnknownLog(LogId),
    /// The body in the answer is not the one of this envelope and key.
    #[error("the log entry's body is not that of this envelope and key")]
    EntryBody,
    /// The checkpoint is not one of the log.
    #[error("the checkpoint does not verify")]
    Checkpoint(#[from] CheckpointError),
    /// A member that repeats something else says something different.
    #[error("`{member}` does not agree with what was verified")]
    Disagreement {
        /// Which member.
        member: &'static str,
    },
    /// The entry is not in the log.
    #[error("the log's inclusion proof does not hold")]
    Inclusion(#[source] ProofError),
    /// The observation is not in the signed set.
    #[error("the path into the signed set does not hold")]
    SetPath(#[source] ProofError),
    /// The body is no observation.
    #[error("the proof's body is no observation")]
    Body(#[from] BodyError),
    /// The document is not among those signed.
    #[error("the signed statement does not name the document {}", .0.to_text())]
    Document(DocumentDigest),
    /// The log's new checkpoint does not extend the one seen before.
    #[error("the log's checkpoints of size {old_size} and {new_size} are not consistent")]
    Consistency {
        /// Size of the smaller tree.
        old_size: u64,
        /// Size of the larger tree.
        new_size: u64,
        /// What does not hold.
        source: ProofError,
    },
    /// The first trusted time lies after the end of the log's window: whoever had the key since then may have logged it.
    #[error("the log's key was valid until {ended}, and the first trusted time of the signature is {signed}")]
    LogEnded {
        /// The end of the log's window.
        ended: Timestamp,
        /// The earliest time that an authority vouches for.
        signed: Timestamp,
    },
    /// No authority in the trusted root vouches for any of the timestamps.
    #[error("none of the timestamps holds: {0}")]
    Timestamp(#[from] TimestampError),
    /// The root that an anchor names is not signed by a trusted key.
    #[error("the ledger's root in the statement does not verify")]
    LedgerRoot(#[source] CheckpointError),
    /// Two checkpoints of different logs were compared.
    #[error("the checkpoints are of different logs, `{0}` and `{1}`")]
    OtherLog(String, String),
}

/// What the caller trusts, and how signatures are checked.
#[derive(Clone, Copy)]
pub struct Verifier<'a> {
    /// The logs.
    pub trusted_root: &'a TrustedRoot,
    /// The signers' keys.
    pub keys: &'a [PublicKey],
    /// The implementation of the signature checks.
    pub signatures: &'a dyn SignatureVerifier,
    /// The implementation of the timestamp checks.
    pub timestamps: &'a dyn TimestampVerifier,
}

/// Checks RFC 3161 timestamp tokens: ASN.1 and certificate chains are no matter of this crate.
pub trait TimestampVerifier: Send + Sync {
    /// Checks a token (a whole reply, or the token alone) over `message` and gives its time, which lies within the
    /// authority's window and its certificates' validity.
    ///
    /// # Errors
    /// [`TimestampError`] for a token of another authority, over another message, or of another time.
    fn verify(
        &self,
        token: &[u8],
        message: &[u8],
        authority: &TimestampAuthority,
    ) -> Result<Timestamp, TimestampError>;
}

/// Why a timestamp does not hold, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TimestampError(pub String);

/// Checks no timestamps: for callers that hand in none.
#[derive(Debug, Clone, Copy)]
pub struct NoTimestamps;

impl TimestampVerifier for NoTimestamps {
    fn verify(&self, _: &[u8], _: &[u8], _: &TimestampAuthority) -> Result<Timestamp, TimestampError> {
        Err(TimestampError("timestamps are not checked here".to_owned()))
    }
}

/// A time that an authority vouches for: the signature existed then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedTime {
    /// The time.
    pub time: Timestamp,
    /// The authority's name in the trusted root.
    pub authority: String,
}

/// An envelope signed by a trusted key and included in a trusted log.
#[derive(Debug, Clone)]
pub struct VerifiedEntry {
    envelope: Envelope,
    key: PublicKey,
    checkpoint: SignedCheckpoint,
    linked: Arc<LinkedEntry>,
    times: Vec<TrustedTime>,
}

impl VerifiedEntry {
    /// The times that authorities vouch for, earliest first.
    pub fn times(&self) -> &[TrustedTime] {
        &self.times
    }

    /// The envelope.
    pub const fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The key that signed it.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The log's checkpoint that includes it.
    pub const fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// What a linkage says of it.
    pub const fn linked(&self) -> &Arc<LinkedEntry> {
        &self.linked
    }
}

/// Shows that one checkpoint of a log is consistent with the newest one seen before: made by [`append_only`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendOnly {
    checkpoint: Checkpoint,
    since: Option<u64>,
}

impl AppendOnly {
    /// The size of the checkpoint seen before; `None` if it is the first of this log.
    pub const fn since(&self) -> Option<u64> {
        self.since
    }
}

/// A root of a ledger that is in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedAnchor {
    /// What was signed.
    pub predicate: AnchorPredicate,
    /// The root: origin, number of events, and hash.
    pub root: SignedCheckpoint,
}

/// What a proof proves.
#[derive(Debug, Clone)]
pub struct VerifiedProof {
    /// The log entry.
    pub entry: VerifiedEntry,
    /// The observation.
    pub observation: Observation,
    /// Its identity.
    pub observation_id: ObservationId,
    /// Its index in the signed set.
    pub set_index: u64,
    /// The set's size.
    pub set_size: u64,
}

impl Verifier<'_> {
    /// Verifies a bundle: signature, entry body, inclusion and checkpoint.
    ///
    /// # Errors
    /// [`VerifyError`] for the first condition that does not hold.
    pub fn bundle(&self, bundle: &Bundle) -> Result<VerifiedEntry, VerifyError> {
        let key = self.signer(&bundle.envelope, &bundle.hint)?;
        Statement::parse(bundle.envelope.payload())?;
        self.timestamped_entry(&bundle.envelope, key, &bundle.entry, &bundle.timestamps)
    }

    /// Verifies a log's answer about an envelope that `key` signed.
    ///
    /// # Errors
    /// [`VerifyError`] for the first condition that does not hold.
    pub fn entry(
        &self,
        envelope: &Envelope,
        key: &PublicKey,
        entry: &LogEntry,
    ) -> Result<VerifiedEntry, VerifyError> {
        self.timestamped_entry(envelope, key, entry, &[])
    }

    /// Verifies a log's answer about an envelope that `key` signed, and timestamp tokens over its signature.
    ///
    /// # Errors
    /// [`VerifyError`] for the first condition that does not hold.
    pub fn timestamped_entry(
        &self,
        envelope: &Envelope,
        key: &PublicKey,
        entry: &LogEntry,
        tokens: &[Vec<u8>],
    ) -> Result<VerifiedEntry, VerifyError> {
        self.check_signature(envelope, key)?;
        let log = self.trusted_root.log(&entry.log_id).ok_or(VerifyError::UnknownLog(entry.log_id))?;
        let body = expected_body(envelope, key, entry)?;
        let checkpoint = self.checkpoint(log, entry.inclusion.checkpoint.as_bytes())?;
        let leaf_hash = merkle::leaf_hash(&body);
        check_inclusion(entry, &checkpoint, &leaf_hash)?;
        let times = self.times(envelope.signature(), tokens)?;
        check_window(log, times.first())?;
        let linked = LinkedEntry {
            rekor_uuid: leaf_hash,
            log_id: entry.log_id,
            log_index: entry.log_index,
            log_url: log.base_url.clone(),
            tree_size: checkpoint.checkpoint().size,
            tree_root: checkpoint.checkpoint().root,
            integrated_time: None,
            timestamp_time: times.first().map(|trusted| trusted.time),
            entry_kind: entry.kind.clone(),
            entry_version: entry.version.clone(),
            entry_body_hash: Digest::of(&body),
            tree_index: entry.inclusion.log_index,
            inclusion_path: entry.inclusion.hashes.clone(),
            envelope_digest: envelope.digest(),
        };
        Ok(VerifiedEntry {
            envelope: envelope.clone(),
            key: key.clone(),
            checkpoint,
            linked: Arc::new(linked),
            times,
        })
    }

    /// The times that tokens over a signature prove, earliest first. A token of an authority that is not trusted here
    /// says nothing; but where authorities are trusted and tokens are given, one has to hold.
    ///
    /// # Errors
    /// [`VerifyError::Timestamp`].
    pub fn times(&self, signature: &[u8], tokens: &[Vec<u8>]) -> Result<Vec<TrustedTime>, VerifyError> {
        let mut times = Vec::new();
        let mut failed = None;
        for authority in &self.trusted_root.timestamp_authorities {
            for token in tokens {
                match self.timestamps.verify(token, signature, authority) {
                    Ok(time) => times.push(TrustedTime { time, authority: authority.name.clone() }),
                    Err(error) => failed = Some(error),
                }
            }
        }
        times.sort_by(|a, b| (a.time, &a.authority).cmp(&(b.time, &b.authority)));
        times.dedup();
        match failed {
            Some(error) if times.is_empty() => Err(error.into()),
            _ => Ok(times),
        }
    }

    /// Verifies a checkpoint of `log`.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn checkpoint(&self, log: &TrustedLog, note: &[u8]) -> Result<SignedCheckpoint, CheckpointError> {
        SignedCheckpoint::verify(note, log.origin(), &[&log.key], self.signatures)
    }

    /// The root that a verified entry anchors: its statement is one of an anchor, and the note in it signed by a trusted
    /// key as a ledger's. `None` for a statement of another kind.
    ///
    /// # Errors
    /// [`VerifyError`] for an anchor that does not hold.
    pub fn anchor(&self, entry: &VerifiedEntry) -> Result<Option<VerifiedAnchor>, VerifyError> {
        let payload = entry.envelope.payload();
        if Statement::parse(payload)?.predicate_type != LEDGER_ANCHOR {
            return Ok(None);
        }
        let predicate = AnchorPredicate::from_payload(payload)?;
        let note = predicate.checkpoint.as_bytes();
        let origin = predicate.checkpoint.lines().next().unwrap_or_default();
        agree("checkpoint", origin.starts_with(ORIGIN_PREFIX))?;
        let root = verify_root(note, origin, self.keys, self.signatures).map_err(VerifyError::LedgerRoot)?;
        Ok(Some(VerifiedAnchor { predicate, root }))
    }

    /// Verifies a proof whole: bundle, statement, path and body.
    ///
    /// # Errors
    /// [`VerifyError`] for the first condition that does not hold.
    pub fn proof(&self, proof: &Proof) -> Result<VerifiedProof, VerifyError> {
        agree("hint", !proof.bundle.hint.is_empty())?;
        let entry = self.bundle(&proof.bundle)?;
        let predicate = ObservationsPredicate::from_payload(entry.envelope.payload())?;
        let observation = Observation::from_body(&proof.body)?;
        let observation_id = ObservationId::new(Digest::of(&proof.body));
        agree("documentDigest", observation.document.digest == proof.document_digest)?;
        agree("setRoot", predicate.set.root == proof.set_root)?;
        agree("setSize", predicate.set.size == proof.set_size)?;
        check_member(&predicate, &observation_id, proof.set_index, &proof.set_path)?;
        if !predicate.documents.iter().any(|document| document.digest == proof.document_digest) {
            return Err(VerifyError::Document(proof.document_digest));
        }
        let (set_index, set_size) = (proof.set_index, proof.set_size);
        Ok(VerifiedProof { entry, observation, observation_id, set_index, set_size })
    }

    /// The trusted key that made the envelope's signature. A hint, where there is one, has to name it.
    fn signer(&self, envelope: &Envelope, hint: &str) -> Result<&PublicKey, VerifyError> {
        let untrusted = || VerifyError::UntrustedKey { hint: hint.to_owned() };
        if !hint.is_empty() {
            return self.keys.iter().find(|key| key.fingerprint().to_base64() == hint).ok_or_else(untrusted);
        }
        self.keys.iter().find(|key| self.check_signature(envelope, key).is_ok()).ok_or_else(untrusted)
    }

    fn check_signature(&self, envelope: &Envelope, key: &PublicKey) -> Result<(), VerifyError> {
        if envelope.payload_type() != IN_TOTO_PAYLOAD_TYPE {
            return Err(VerifyError::PayloadType(envelope.payload_type().to_owned()));
        }
        self.signatures
            .verify(key, &envelope.pae(), envelope.signature())
            .map_err(|_| VerifyError::Signature { fingerprint: key.fingerprint() })
    }
}

/// The set of a verified envelope, known whole. It gives each member's linkage when asked: all of their paths together are
/// many times what the set takes.
#[derive(Debug, Clone)]
pub struct LinkedSet {
    entry: Arc<LinkedEntry>,
    set: ObservationSet,
}

impl LinkedSet {
    /// How many members it has.
    pub fn size(&self) -> usize {
        self.set.members().len()
    }

    /// The linkages of the members at these indexes, in set order; none beyond the set.
    pub fn linkages(&self, indexes: Range<usize>) -> impl Iterator<Item = Linkage> {
        indexes.map_while(|at| {
            let (member, index) = (self.set.members().get(at)?, at as u64);
            Some(Linkage::verified(LinkageFields {
                observation: ObservationId::new(*member),
                entry: Arc::clone(&self.entry),
                set_index: index,
                set_path: self.set.path(index)?,
            }))
        })
    }
}

/// Links members of a verified envelope, its set known whole: the root is computed from the members themselves, so
/// each one's path holds by construction.
///
/// # Errors
/// [`VerifyError`] if the signed set is not `set`.
pub fn link_set(
    entry: &VerifiedEntry,
    append_only: &AppendOnly,
    set: ObservationSet,
) -> Result<LinkedSet, VerifyError> {
    agree("checkpoint", append_only.checkpoint == *entry.checkpoint.checkpoint())?;
    let predicate = ObservationsPredicate::from_payload(entry.envelope.payload())?;
    agree("set", set.commitment() == predicate.set)?;
    Ok(LinkedSet { entry: Arc::clone(&entry.linked), set })
}

/// Checks that a log only grew between the newest checkpoint seen and this one, whichever is larger.
///
/// # Errors
/// [`VerifyError::Consistency`] if `proof` does not hold, [`VerifyError::OtherLog`] for checkpoints of two logs.
pub fn append_only(
    known: Option<&SignedCheckpoint>,
    now: &SignedCheckpoint,
    proof: &[Digest],
) -> Result<AppendOnly, VerifyError> {
    let now = now.checkpoint();
    let shown = |since| Ok(AppendOnly { checkpoint: now.clone(), since });
    let Some(known) = known else { return shown(None) };
    let known = known.checkpoint();
    if known.origin != now.origin {
        return Err(VerifyError::OtherLog(known.origin.clone(), now.origin.clone()));
    }
    let (old, new) = if known.size <= now.size { (known, now) } else { (now, known) };
    // A tree of nothing is the beginning of every tree.
    if old.size == 0 && old.root == merkle::EMPTY_ROOT {
        return shown(Some(known.size));
    }
    merkle::verify_consistency(old.size, &old.root, new.size, &new.root, proof)
        .map_err(|source| VerifyError::Consistency { old_size: old.size, new_size: new.size, source })?;
    shown(Some(known.size))
}

fn check_member(
    predicate: &ObservationsPredicate,
    observation: &ObservationId,
    index: u64,
    path: &[Digest],
) -> Result<(), VerifyError> {
    let leaf = merkle::leaf_hash(observation.digest().as_bytes());
    merkle::verify_inclusion(index, predicate.set.size, &leaf, path, &predicate.set.root)
        .map_err(VerifyError::SetPath)
}

/// The body built anew from envelope and key, which the answer's has to equal.
fn expected_body(envelope: &Envelope, key: &PublicKey, entry: &LogEntry) -> Result<Vec<u8>, VerifyError> {
    if entry.kind != HASHEDREKORD || entry.version != HASHEDREKORD_VERSION {
        return Err(VerifyError::EntryKind { kind: entry.kind.clone(), version: entry.version.clone() });
    }
    if entry.integrated_time.is_some() || entry.signed_entry_timestamp.is_some() {
        return Err(VerifyError::UnexpectedTime);
    }
    let body = HashedRekord::of_envelope(envelope, key)?.body();
    if body == entry.canonicalized_body { Ok(body) } else { Err(VerifyError::EntryBody) }
}

fn check_inclusion(
    entry: &LogEntry,
    signed: &SignedCheckpoint,
    leaf_hash: &Digest,
) -> Result<(), VerifyError> {
    let (checkpoint, inclusion) = (signed.checkpoint(), &entry.inclusion);
    agree("inclusionProof.logIndex", inclusion.log_index == entry.log_index)?;
    agree("inclusionProof.rootHash", inclusion.root == checkpoint.root)?;
    agree("inclusionProof.treeSize", inclusion.tree_size == checkpoint.size)?;
    merkle::verify_inclusion(entry.log_index, checkpoint.size, leaf_hash, &inclusion.hashes, &checkpoint.root)
        .map_err(VerifyError::Inclusion)
}

/// A retired log's entries stay good where they are known to be old enough. Without a trusted time nothing is known.
fn check_window(log: &TrustedLog, first: Option<&TrustedTime>) -> Result<(), VerifyError> {
    match (log.valid_until, first) {
        (Some(ended), Some(first)) if first.time > ended => {
            Err(VerifyError::LogEnded { ended, signed: first.time })
        }
        _ => Ok(()),
    }
}

fn agree(member: &'static str, agrees: bool) -> Result<(), VerifyError> {
    if agrees { Ok(()) } else { Err(VerifyError::Disagreement { member }) }
}
