//! Seal: the root of a tenant's chain, signed as a checkpoint, and the statement that anchors it in a log.
//!
//! A root is signed only if the chain extends the one that was signed before. Root and anchor are recorded together, before
//! anything is sent; from then on the anchor's envelope goes the way of all others.

use std::collections::HashMap;

use provex_core::checkpoint::{Checkpoint, CheckpointError};
use provex_core::digest::Digest;
use provex_core::dsse::Envelope;
use provex_core::ids::EnvelopeDigest;
use provex_core::intoto::{SaltKey, SetCommitment};
use provex_core::keys::{PublicKey, SignatureVerifier, Signer};
use provex_core::ledger::{
    AnchorPredicate, EventType, Head, LEDGER_ANCHOR, PreviousAnchor, checkpoint_origin, sign_root,
    verify_root,
};
use provex_core::note::NoteError;
use provex_core::time::Timestamp;
use provex_core::{merkle, note::Note, tile};
use provex_store::{EventRow, NewAnchor, NewEnvelope, NewRoot, RootRow};

use crate::{Error, Pipeline};

/// After how many events a root is due.
const EVENTS: u64 = 1_000;
/// How long after the first event that is not an anchor's own it is due in any case.
const PATIENCE_MICROS: i64 = 15 * 60 * 1_000_000;
/// Events that are looked at together.
const PAGE: usize = 16;

/// What roots are signed with.
#[derive(Clone, Copy)]
pub struct Sealing<'a> {
    /// Signs roots and their anchors.
    pub signer: &'a dyn Signer,
    /// Makes anchors unguessable.
    pub salt_key: &'a SaltKey,
    /// The keys whose roots are believed: the signer's own, and those before it.
    pub keys: &'a [PublicKey],
    /// The implementation of the signature checks.
    pub signatures: &'a dyn SignatureVerifier,
    /// Whether roots go to a log.
    pub anchors: bool,
}

/// When a root is signed. Never for anchors' own events alone: there would be no end of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// After 1,000 events, or 15 minutes after the first.
    OnTime,
    /// For any event.
    Now,
}

impl Pipeline {
    /// Signs the root of the chain if one is due, and anchors the newest root if it goes to a log and has no anchor yet.
    ///
    /// # Errors
    /// [`Error::Forked`] if the chain does not extend the root that was signed before: nothing is written.
    pub async fn seal(&self, sealing: Sealing<'_>, due: Due) -> Result<(), Error> {
        let (store, tenant) = (&self.store, &self.tenant);
        // Whoever appends meanwhile is under the next root. The root first: the head is never behind it then.
        let last = store.newest_ledger_root(tenant, false).await?;
        let head = store.ledger_head(tenant).await?;
        if let Some(last) = &last {
            let smaller = head.sequence_no() < last.tree_size;
            if smaller || (head.sequence_no() == last.tree_size && head.frontier.root() != last.root_hash) {
                return Err(self.forked(last, "its tree is another now"));
            }
        }
        if !self.is_due(&head, last.as_ref(), due).await? {
            return match last {
                Some(last) if sealing.anchors => self.anchor_kept(&last, sealing).await,
                _ => Ok(()),
            };
        }
        if let Some(last) = &last {
            self.check_extends(&head, last, sealing).await?;
        }
        let (tree_size, root_hash) = (head.sequence_no(), head.frontier.root());
        let note = sign_root(head.chain_id, tree_size, root_hash, sealing.signer)?;
        let root = NewRoot { tree_size, root_hash, checkpoint: note.as_str().as_bytes().to_vec() };
        self.record_root(&root, sealing).await
    }

    /// A root that was kept alone goes to the log, too, now that there is one.
    async fn anchor_kept(&self, last: &RootRow, sealing: Sealing<'_>) -> Result<(), Error> {
        let anchor = self.store.newest_ledger_anchor(&self.tenant).await?;
        let origin = checkpoint_origin(last.chain_id);
        let ours = || verify_root(&last.checkpoint, &origin, sealing.keys, sealing.signatures).is_ok();
        if anchor.is_some_and(|anchor| anchor.tree_size >= last.tree_size) || !ours() {
            return Ok(());
        }
        let (tree_size, root_hash) = (last.tree_size, last.root_hash);
        let root = NewRoot { tree_size, root_hash, checkpoint: last.checkpoint.clone() };
        self.record_root(&root, sealing).await
    }

    async fn record_root(&self, root: &NewRoot, sealing: Sealing<'_>) -> Result<(), Error> {
        let now = self.environment.now();
        let (previous, envelope) = match sealing.anchors {
            true => {
                let previous = self.store.newest_ledger_anchor(&self.tenant).await?;
                // Somebody else has anchored a newer root since this one was due.
                if previous.is_some_and(|previous| previous.tree_size >= root.tree_size) {
                    return Ok(());
                }
                (previous, Some(self.anchor(root, previous, sealing).await?))
            }
            false => (None, None),
        };
        let anchor = envelope.as_ref().map(|envelope| NewAnchor { envelope, previous });
        match self.store.record_ledger_root(&self.tenant, now, root, anchor).await {
            // Somebody else signs, too, and was first: nothing is missing.
            Err(provex_store::Error::RootNotNewer { .. } | provex_store::Error::AnchorNotNext { .. }) => {
                Ok(())
            }
            recorded => Ok(recorded?),
        }
    }

    /// The statement that anchors a root, signed.
    async fn anchor(
        &self,
        root: &NewRoot,
        previous: Option<PreviousAnchor>,
        sealing: Sealing<'_>,
    ) -> Result<NewEnvelope, Error> {
        let covered = previous.map_or(0, |previous| previous.tree_size);
        let predicate = AnchorPredicate {
            checkpoint: String::from_utf8_lossy(&root.checkpoint).into_owned(),
            first_recorded_at: self.recorded_at(covered + 1).await?,
            last_recorded_at: self.recorded_at(root.tree_size).await?,
            previous,
        };
        let envelope = Envelope::sign(predicate.to_payload(sealing.salt_key, &self.tenant), sealing.signer)?;
        let bytes = envelope.to_jcs();
        Ok(NewEnvelope {
            digest: EnvelopeDigest::new(Digest::of(&bytes)),
            bytes,
            predicate_type: LEDGER_ANCHOR.to_owned(),
            key_fingerprint: sealing.signer.public_key().fingerprint(),
            set: SetCommitment { root: root.root_hash, size: root.tree_size },
            submission: self.environment.uuid(),
            documents: Vec::new(),
            observations: Vec::new(),
        })
    }

    async fn recorded_at(&self, number: u64) -> Result<Timestamp, Error> {
        let events = self.store.ledger_events(&self.tenant, number - 1, 1).await?;
        let event = events.first().filter(|row| row.event.sequence_no == number);
        event.map(|row| row.event.recorded_at).ok_or_else(|| Error::Stored {
            what: "event",
            id: number.to_string(),
            reason: "it is missing".to_owned(),
        })
    }

    async fn is_due(&self, head: &Head, last: Option<&RootRow>, due: Due) -> Result<bool, Error> {
        let size = last.map_or(0, |last| last.tree_size);
        let mut after = size;
        while after < head.sequence_no() {
            let events = self.store.ledger_events(&self.tenant, after, PAGE).await?;
            if let Some(first) = events.iter().find(|row| !is_anchors_own(row)) {
                let until = first.event.recorded_at.plus_micros(PATIENCE_MICROS);
                return Ok(due == Due::Now
                    || head.sequence_no() - size >= EVENTS
                    || until.is_ok_and(|until| until <= self.environment.now()));
            }
            after = events.last().map_or(head.sequence_no(), |row| row.event.sequence_no);
        }
        Ok(false)
    }

    /// Proves from the tiles that the chain extends a root, which is as it was signed.
    async fn check_extends(&self, head: &Head, last: &RootRow, sealing: Sealing<'_>) -> Result<(), Error> {
        let origin = checkpoint_origin(head.chain_id);
        let signed = Note::parse(&last.checkpoint)
            .map_err(CheckpointError::from)
            .and_then(|note| Checkpoint::parse(note.text()));
        let says = signed.is_ok_and(|signed| {
            (signed.origin.as_str(), signed.size, signed.root) == (&origin, last.tree_size, last.root_hash)
        });
        if !says {
            return Err(self.forked(last, "its signed note is of another root"));
        }
        match verify_root(&last.checkpoint, &origin, sealing.keys, sealing.signatures) {
            // Of a database that several folders share, other keys sign as well.
            Ok(_) | Err(CheckpointError::Note(NoteError::NoKnownSignature)) => {}
            Err(error) => return Err(self.forked(last, &error.to_string())),
        }
        let (old, new) = (last.tree_size, head.sequence_no());
        let broken = |error: &dyn std::fmt::Display| self.forked(last, &error.to_string());
        let paths = tile::tiles_for_consistency(old, new).map_err(|error| broken(&error))?;
        let hashes = self.store.ledger_hashes(&self.tenant, &paths).await?;
        let mut tiles: HashMap<_, _> = paths.into_iter().zip(hashes).collect();
        let proof = tile::consistency_proof(&mut tiles, old, new).map_err(|error| broken(&error))?;
        merkle::verify_consistency(old, &last.root_hash, new, &head.frontier.root(), &proof)
            .map_err(|error| broken(&error))
    }

    fn forked(&self, last: &RootRow, reason: &str) -> Error {
        let (tenant, tree_size) = (self.tenant.clone(), last.tree_size);
        Error::Forked { tenant, tree_size, reason: reason.to_owned() }
    }
}

/// Whether an event is of an anchor alone: that it was logged, refused, or logged once more.
fn is_anchors_own(row: &EventRow) -> bool {
    #[derive(serde::Deserialize)]
    struct Body {
        envelope: Signed,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Signed {
        predicate_type: String,
    }
    match row.event.event_type {
        EventType::LedgerAnchored => true,
        EventType::AttestationVerified | EventType::AttestationFailed | EventType::AttestationUnknown => {
            let body = || serde_json::from_slice::<Body>(&row.body);
            row.event.row_count == 0 && body().is_ok_and(|body| body.envelope.predicate_type == LEDGER_ANCHOR)
        }
        _ => false,
    }
}
