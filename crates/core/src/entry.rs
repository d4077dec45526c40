//! Transparency log entries: the body that a Rekor v2 server logs for an envelope, and a log's whole answer.
//!
//! Rekor v2 knows one kind, `hashedrekord` 0.0.2: the digest of the envelope's PAE, its signature and the key
//! (rekor-tiles `pkg/types/hashedrekord`). The body is never read from an answer: it is built anew from
//! envelope and key, and has to be equal.

use serde::Deserialize;

use crate::digest::{self, Digest, EncodingError};
use crate::dsse::Envelope;
use crate::ids::LogId;
use crate::jcs::ObjectWriter;
use crate::json::{self, ReadError};
use crate::keys::{KeyAlgorithm, PublicKey};
use crate::merkle;

/// The entry kind of Rekor v2.
pub const HASHEDREKORD: &str = "hashedrekord";
/// Its version.
pub const HASHEDREKORD_VERSION: &str = "0.0.2";
/// The largest leaf that an entry bundle can hold (C2SP tlog-tiles: a 16-bit length).
pub const MAX_BODY: usize = 65_535;

/// What is sent to a v2 log for one envelope, and what the log makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashedRekord {
    digest: Digest,
    signature: Vec<u8>,
    key: PublicKey,
}

/// A key that a v2 log does not take for an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a Rekor v2 log takes no {0:?} signature of an envelope")]
pub struct UnloggableKey(pub KeyAlgorithm);

impl HashedRekord {
    /// The entry of an envelope signed by `key`: the digest is SHA-256 of the PAE.
    ///
    /// # Errors
    /// [`UnloggableKey`] for a key whose signatures a v2 log cannot check from a digest (pure Ed25519).
    pub fn of_envelope(envelope: &Envelope, key: &PublicKey) -> Result<Self, UnloggableKey> {
        match key.algorithm() {
            KeyAlgorithm::EcdsaP256Sha256 => Ok(Self {
                digest: Digest::of(&envelope.pae()),
                signature: envelope.signature().to_vec(),
                key: key.clone(),
            }),
            other @ KeyAlgorithm::Ed25519 => Err(UnloggableKey(other)),
        }
    }

    /// The canonicalized body: byte for byte what a Rekor v2 server logs.
    pub fn body(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let mut body = ObjectWriter::new(&mut out);
        body.str("apiVersion", HASHEDREKORD_VERSION);
        body.str("kind", HASHEDREKORD);
        body.object("spec", |o| {
            o.object("hashedRekordV002", |o| {
                o.object("data", |o| {
                    o.str("algorithm", "SHA2_256");
                    o.str("digest", &self.digest.to_base64());
                });
                o.object("signature", |o| self.write_signature(o));
            });
        });
        body.finish().expect("strings and small counts always have a canonical form");
        out
    }

    /// The JSON that `POST /api/v2/log/entries` takes.
    pub fn request(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let mut request = ObjectWriter::new(&mut out);
        request.object("hashedRekordRequestV002", |o| {
            o.str("digest", &self.digest.to_base64());
            o.object("signature", |o| self.write_signature(o));
        });
        request.finish().expect("strings and small counts always have a canonical form");
        out
    }

    /// The leaf hash of the body.
    pub fn leaf_hash(&self) -> Digest {
        merkle::leaf_hash(&self.body())
    }

    fn write_signature(&self, o: &mut ObjectWriter<'_>) {
        o.str("content", &digest::base64(&self.signature));
        o.object("verifier", |o| {
            o.str("keyDetails", self.key.algorithm().key_details());
            o.object("publicKey", |o| {
                o.str("rawBytes", &digest::base64(self.key.spki_der()));
            });
        });
    }
}

/// A log's whole answer: Sigstore's `TransparencyLogEntry` (protobuf-specs `sigstore_rekor.proto`). Nothing in it
/// is believed until `verify` has held it against envelope, key and trusted root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The entry's index: v1 global, v2 the tree's.
    pub log_index: u64,
    /// The log's id.
    pub log_id: LogId,
    /// The entry's kind.
    pub kind: String,
    /// The kind's version.
    pub version: String,
    /// Seconds since 1970, v1 only.
    pub integrated_time: Option<u64>,
    /// The signed entry timestamp, v1 only.
    pub signed_entry_timestamp: Option<Vec<u8>>,
    /// The inclusion proof with its checkpoint.
    pub inclusion: InclusionProof,
    /// The leaf, as the log gives it.
    pub canonicalized_body: Vec<u8>,
}

/// An inclusion proof as a log gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// The leaf's index in the tree.
    pub log_index: u64,
    /// The root that the proof leads to.
    pub root: Digest,
    /// The tree's size at that root.
    pub tree_size: u64,
    /// The path, leaf to root.
    pub hashes: Vec<Digest>,
    /// The signed note, verbatim.
    pub checkpoint: String,
}

/// A log's answer that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// Not JSON of the entry's members.
    #[error("the log entry is not a TransparencyLogEntry")]
    Json(#[from] ReadError),
    /// A member that is not in its one canonical spelling.
    #[error("`{member}` of the log entry: {reason}")]
    Member {
        /// Its name.
        member: &'static str,
        /// What is wrong.
        reason: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EntryWire {
    log_index: String,
    log_id: KeyIdWire,
    kind_version: KindVersionWire,
    #[serde(default)]
    integrated_time: Option<String>,
    #[serde(default)]
    inclusion_promise: Option<PromiseWire>,
    inclusion_proof: ProofWire,
    canonicalized_body: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeyIdWire {
    key_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KindVersionWire {
    kind: String,
    version: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PromiseWire {
    signed_entry_timestamp: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProofWire {
    log_index: String,
    root_hash: String,
    tree_size: String,
    hashes: Vec<String>,
    checkpoint: CheckpointWire,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointWire {
    envelope: String,
}

impl LogEntry {
    /// Reads a server's answer.
    ///
    /// # Errors
    /// [`EntryError`] for missing or unknown members, or a spelling that is not canonical.
    pub fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        Self::from_wire(&json::from_slice_strict(bytes)?)
    }

    /// The entry's JCS bytes, as it is stored and as bundles hold it.
    pub fn to_jcs(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.canonicalized_body.len() * 4 / 3 + 2_048);
        let mut entry = ObjectWriter::new(&mut out);
        self.write(&mut entry);
        entry.finish().expect("strings always have a canonical form");
        out
    }

    pub(crate) fn write(&self, o: &mut ObjectWriter<'_>) {
        o.str("canonicalizedBody", &digest::base64(&self.canonicalized_body));
        if let Some(set) = &self.signed_entry_timestamp {
            o.object("inclusionPromise", |o| o.str("signedEntryTimestamp", &digest::base64(set)));
        }
        o.object("inclusionProof", |o| {
            let inclusion = &self.inclusion;
            o.object("checkpoint", |o| o.str("envelope", &inclusion.checkpoint));
            o.array("hashes", |a| inclusion.hashes.iter().for_each(|hash| a.str(&hash.to_base64())));
            o.str("logIndex", &inclusion.log_index.to_string());
            o.str("rootHash", &inclusion.root.to_base64());
            o.str("treeSize", &inclusion.tree_size.to_string());
        });
        if let Some(time) = self.integrated_time {
            o.str("integratedTime", &time.to_string());
        }
        o.object("kindVersion", |o| {
            o.str("kind", &self.kind);
            o.str("version", &self.version);
        });
        o.object("logId", |o| o.str("keyId", &self.log_id.digest().to_base64()));
        o.str("logIndex", &self.log_index.to_string());
    }

    pub(crate) fn from_wire(wire: &EntryWire) -> Result<Self, EntryError> {
        let proof = &wire.inclusion_proof;
        let integrated_time =
            wire.integrated_time.as_deref().map(|t| number("integratedTime", t)).transpose()?;
        let promise = wire.inclusion_promise.as_ref();
        Ok(Self {
            log_index: number("logIndex", &wire.log_index)?,
            log_id: LogId::new(hash("logId", &wire.log_id.key_id)?),
            kind: wire.kind_version.kind.clone(),
            version: wire.kind_version.version.clone(),
            integrated_time: integrated_time.filter(|&time| time != 0),
            signed_entry_timestamp: promise
                .map(|p| bytes("signedEntryTimestamp", &p.signed_entry_timestamp))
                .transpose()?,
            inclusion: InclusionProof {
                log_index: number("inclusionProof.logIndex", &proof.log_index)?,
                root: hash("inclusionProof.rootHash", &proof.root_hash)?,
                tree_size: number("inclusionProof.treeSize", &proof.tree_size)?,
                hashes: proof
                    .hashes
                    .iter()
                    .map(|h| hash("inclusionProof.hashes", h))
                    .collect::<Result<_, _>>()?,
                checkpoint: proof.checkpoint.envelope.clone(),
            },
            canonicalized_body: bytes("canonicalizedBody", &wire.canonicalized_body)?,
        })
    }
}

/// A 64-bit number as ProtoJSON writes it: decimal digits in a string, no sign, no leading zero.
fn number(member: &'static str, text: &str) -> Result<u64, EntryError> {
    match text.parse::<u64>() {
        Ok(value) if value <= merkle::MAX_SIZE && value.to_string() == text => Ok(value),
        _ => Err(EntryError::Member { member, reason: "not a decimal number up to 2^63-1".to_owned() }),
    }
}

fn hash(member: &'static str, text: &str) -> Result<Digest, EntryError> {
    Digest::from_base64(text).map_err(|e| encoding(member, &e))
}

fn bytes(member: &'static str, text: &str) -> Result<Vec<u8>, EntryError> {
    digest::from_base64(text).map_err(|e| encoding(member, &e))
}

fn encoding(member: &'static str, error: &EncodingError) -> EntryError {
    EntryError::Member { member, reason: error.to_string() }
}
