//! Roots of a chain, signed as checkpoints (C2SP tlog-checkpoint), and their anchors: the statements by which a root
//! gets into a transparency log. Who holds the log's entry can tell whether the chain was changed below that root.

use serde::Deserialize;
use uuid::Uuid;

use super::checkpoint_origin;
use crate::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use crate::digest::Digest;
use crate::ids::{EnvelopeDigest, TenantId};
use crate::intoto::{SaltKey, StatementError, bad_member, check_subjects, own_statement, salted_payload};
use crate::jcs::ObjectWriter;
use crate::keys::{PublicKey, SignatureVerifier, Signer, SigningError};
use crate::note::{Note, NoteKey, sign_note};
use crate::time::Timestamp;

/// Predicate type of an anchor.
pub const LEDGER_ANCHOR: &str = "https://provex.dev/predicates/ledger-anchor/v1";

/// Signs a chain's root over its first `size` events: a checkpoint whose origin and key name are the chain's.
///
/// # Errors
/// [`SigningError`] where the key cannot be used now.
pub fn sign_root(chain_id: Uuid, size: u64, root: Digest, signer: &dyn Signer) -> Result<Note, SigningError> {
    let origin = checkpoint_origin(chain_id);
    let key = NoteKey::new(&origin, signer.public_key().clone());
    let text = Checkpoint { origin, size, root, extensions: Vec::new() }.to_text();
    let signature = signer.sign(text.as_bytes())?;
    sign_note(&text, &key, &signature).map_err(|error| SigningError { reason: error.to_string() })
}

/// Verifies a chain's signed root: a checkpoint of this origin, signed by one of `keys` under that name.
///
/// # Errors
/// [`CheckpointError`] where it is not.
pub fn verify_root(
    note: &[u8],
    origin: &str,
    keys: &[PublicKey],
    signatures: &dyn SignatureVerifier,
) -> Result<SignedCheckpoint, CheckpointError> {
    let keys: Vec<_> = keys.iter().map(|key| NoteKey::new(origin, key.clone())).collect();
    SignedCheckpoint::verify(note, origin, &keys.iter().collect::<Vec<_>>(), signatures)
}

/// The predicate `ledger-anchor/v1` without its salt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorPredicate {
    /// The signed root: a note, verbatim.
    pub checkpoint: String,
    /// When the first event was recorded that the anchor before does not cover.
    pub first_recorded_at: Timestamp,
    /// When the last event under the root was recorded.
    pub last_recorded_at: Timestamp,
    /// The chain's anchor before, if there is one.
    pub previous: Option<PreviousAnchor>,
}

/// An anchor that another one follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreviousAnchor {
    /// Its envelope.
    pub envelope: EnvelopeDigest,
    /// How many events its root is over.
    pub tree_size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AnchorWire {
    checkpoint: String,
    first_recorded_at: Timestamp,
    last_recorded_at: Timestamp,
    previous: Option<PreviousWire>,
    salt: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PreviousWire {
    dsse_digest: String,
    tree_size: u64,
}

impl AnchorPredicate {
    /// The statement's payload, salted for this tenant: always the same bytes for the same input.
    pub fn to_payload(&self, salt_key: &SaltKey, tenant: &TenantId) -> Vec<u8> {
        salted_payload(LEDGER_ANCHOR, self.subjects(), salt_key, tenant, |out, salt| self.write(out, salt))
    }

    /// Reads the predicate out of a signed payload, which has to be one that [`AnchorPredicate::to_payload`] makes. The
    /// note in it is not verified by that.
    ///
    /// # Errors
    /// [`StatementError`] naming what differs.
    pub fn from_payload(payload: &[u8]) -> Result<Self, StatementError> {
        let (predicate, subjects) = own_statement(payload, LEDGER_ANCHOR)?;
        let wire: AnchorWire = serde_json::from_value(predicate).map_err(StatementError::Predicate)?;
        Digest::from_hex(&wire.salt).map_err(bad_member)?;
        let previous = |previous: PreviousWire| {
            let envelope = previous.dsse_digest.parse().map_err(bad_member)?;
            Ok::<_, StatementError>(PreviousAnchor { envelope, tree_size: previous.tree_size })
        };
        let predicate = Self {
            checkpoint: wire.checkpoint,
            first_recorded_at: wire.first_recorded_at,
            last_recorded_at: wire.last_recorded_at,
            previous: wire.previous.map(previous).transpose()?,
        };
        check_subjects(subjects, predicate.subjects())?;
        Ok(predicate)
    }

    /// The note, by its digest.
    fn subjects(&self) -> impl Iterator<Item = (String, String)> {
        let hex = Digest::of(self.checkpoint.as_bytes()).to_hex();
        [(format!("sha256:{hex}"), hex)].into_iter()
    }

    fn write(&self, out: &mut Vec<u8>, salt: Option<&str>) {
        let mut predicate = ObjectWriter::new(out);
        predicate.str("checkpoint", &self.checkpoint);
        predicate.str("firstRecordedAt", &self.first_recorded_at.to_rfc3339());
        predicate.str("lastRecordedAt", &self.last_recorded_at.to_rfc3339());
        match &self.previous {
            Some(previous) => predicate.object("previous", |o| {
                o.str("dsseDigest", &previous.envelope.to_text());
                o.u64("treeSize", previous.tree_size);
            }),
            None => predicate.null("previous"),
        }
        if let Some(salt) = salt {
            predicate.str("salt", salt);
        }
        predicate.finish().expect("a chain is never that large");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{LocalSigner, RustCrypto};
    use crate::note::NoteError;

    const CHAIN: Uuid = Uuid::from_u128(7);

    fn signer(seed: u8) -> LocalSigner {
        LocalSigner::p256_from_random(&[seed; 32]).unwrap()
    }

    fn predicate(previous: bool) -> AnchorPredicate {
        let note = sign_root(CHAIN, 12, Digest::of(b"root"), &signer(1)).unwrap();
        let at = |micros| Timestamp::from_unix_micros(micros).unwrap();
        let envelope = EnvelopeDigest::new(Digest::of(b"envelope"));
        AnchorPredicate {
            checkpoint: note.as_str().to_owned(),
            first_recorded_at: at(5),
            last_recorded_at: at(17),
            previous: previous.then_some(PreviousAnchor { envelope, tree_size: 3 }),
        }
    }

    fn payload_with(from: &str, to: &str) -> Vec<u8> {
        let payload = predicate(true).to_payload(&SaltKey::new([1; 32]), &TenantId::default_tenant());
        let text = String::from_utf8(payload).unwrap();
        assert!(text.contains(from), "{text}");
        text.replacen(from, to, 1).into_bytes()
    }

    #[test]
    fn a_root_is_the_checkpoint_of_its_chain_alone() {
        let note = sign_root(CHAIN, 12, Digest::of(b"root"), &signer(1)).unwrap();
        let origin = "provex.dev/ledger/00000000-0000-0000-0000-000000000007";
        let (key, other) = (signer(1).public_key().clone(), signer(2).public_key().clone());
        let keys = [other.clone(), key.clone()];
        let signed = verify_root(note.as_str().as_bytes(), origin, &keys, &RustCrypto).unwrap();
        assert_eq!((signed.checkpoint().size, signed.checkpoint().root), (12, Digest::of(b"root")));
        assert_eq!(signed.checkpoint().origin, origin);
        assert_eq!(signed.signer_ids(), [key.fingerprint()]);
        let unknown = Err(CheckpointError::Note(NoteError::NoKnownSignature));
        assert_eq!(verify_root(note.as_str().as_bytes(), origin, &[other], &RustCrypto), unknown);
        let elsewhere = checkpoint_origin(Uuid::from_u128(8));
        assert_eq!(verify_root(note.as_str().as_bytes(), &elsewhere, &keys, &RustCrypto), unknown);
        let larger = note.as_str().replace("\n12\n", "\n13\n");
        let refused = verify_root(larger.as_bytes(), origin, &keys, &RustCrypto);
        assert!(matches!(refused, Err(CheckpointError::Note(NoteError::InvalidSignature { .. }))));
    }

    #[test]
    fn a_payload_is_canonical_and_read_back() {
        for previous in [false, true] {
            let payload = predicate(previous).to_payload(&SaltKey::new([1; 32]), &TenantId::default_tenant());
            let value: serde_json::Value = serde_json::from_slice(&payload).unwrap();
            assert_eq!(crate::jcs::canonicalize(&value).unwrap(), payload);
            assert_eq!(AnchorPredicate::from_payload(&payload).unwrap(), predicate(previous));
            let other = predicate(previous).to_payload(&SaltKey::new([1; 32]), &"other".parse().unwrap());
            assert_ne!(other, payload);
        }
    }

    #[test]
    fn a_statement_that_is_none_of_an_anchor_is_refused() {
        let read = |payload: &[u8]| AnchorPredicate::from_payload(payload).unwrap_err();
        let changed = read(&payload_with("\\n12\\n", "\\n13\\n"));
        assert!(matches!(changed, StatementError::Subjects), "{changed}");
        for (from, to) in [
            (r#""treeSize":3"#, r#""treeSize":3,"x":1"#),
            (r#""treeSize":3"#, r#""treeSize":-3"#),
            (r#""salt":""#, r#""salt":"x"#),
            (r#""dsseDigest":""#, r#""dsseDigest":"x"#),
            (r#""lastRecordedAt":""#, r#""lastRecordedAt":"x"#),
        ] {
            let changed = read(&payload_with(from, to));
            assert!(matches!(changed, StatementError::Predicate(_)), "{to}: {changed}");
        }
        let changed = read(&payload_with("ledger-anchor/v1", "vex-observations/v1"));
        assert!(matches!(changed, StatementError::PredicateType { .. }), "{changed}");
    }
}
