//! `provex.proof/v1`: what an auditor gets. A bundle, the body of what it attests, and the body's path into the
//! signed set. Redundant members have to agree; unknown ones are refused.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::bundle::{Bundle, BundleError, BundleWire};
use crate::digest::{Digest, EncodingError};
use crate::ids::DocumentDigest;
use crate::jcs::ObjectWriter;
use crate::json::{self, ReadError};

/// `schema` of a proof.
pub const PROOF_SCHEMA: &str = "provex.proof/v1";

/// A proof read from bytes: well-formed, nothing verified.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    /// The Sigstore bundle.
    pub bundle: Bundle,
    /// The JCS bytes of the body.
    pub body: Vec<u8>,
    /// The body's index in the signed set.
    pub set_index: u64,
    /// The set's size.
    pub set_size: u64,
    /// The path, leaf to root.
    pub set_path: Vec<Digest>,
    /// The set's root.
    pub set_root: Digest,
    /// The document that the body came from.
    pub document_digest: DocumentDigest,
}

/// Bytes that are no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofFileError {
    /// Not strict JSON of a proof's members.
    #[error("not a provex proof")]
    Json(#[from] ReadError),
    /// Another schema.
    #[error("proof schema `{0}` is not known")]
    Schema(String),
    /// The bundle inside.
    #[error("the bundle in the proof: {0}")]
    Bundle(#[from] BundleError),
    /// A member that is not in its one canonical spelling.
    #[error("`{member}` of the proof")]
    Encoding {
        /// Its name.
        member: &'static str,
        /// What is wrong.
        source: EncodingError,
    },
    /// The right members in another spelling than the one that a proof has, such as `\u001F` for `\u001f`, or members
    /// that its bundle was not kept with.
    #[error("the proof is not in the one form that it is made in")]
    NotCanonical,
    /// A body that has no canonical form.
    #[error("the body in the proof has no canonical form")]
    Body(#[source] crate::jcs::JcsError),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProofWire {
    schema: String,
    bundle: BundleWire,
    body: Box<RawValue>,
    set_index: u64,
    set_size: u64,
    set_path: Vec<String>,
    set_root: String,
    document_digest: DocumentDigest,
}

impl Proof {
    /// Reads a proof's JSON, whatever its white space and member order; all else has one spelling.
    ///
    /// # Errors
    /// [`ProofFileError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofFileError> {
        let wire: ProofWire = json::from_slice_strict(bytes)?;
        if wire.schema != PROOF_SCHEMA {
            return Err(ProofFileError::Schema(wire.schema));
        }
        let hash = |member, text: &str| {
            Digest::from_hex(text).map_err(|source| ProofFileError::Encoding { member, source })
        };
        let proof = Self {
            bundle: Bundle::from_wire(&wire.bundle)?,
            body: canonical(wire.body.get().as_bytes())?,
            set_index: wire.set_index,
            set_size: wire.set_size,
            set_path: wire.set_path.iter().map(|h| hash("setPath", h)).collect::<Result<_, _>>()?,
            set_root: hash("setRoot", &wire.set_root)?,
            document_digest: wire.document_digest,
        };
        let made = proof.write()?;
        if bytes.trim_ascii_end() == made || is_respelled(bytes, &made)? {
            Ok(proof)
        } else {
            Err(ProofFileError::NotCanonical)
        }
    }

    /// The proof's JCS bytes.
    ///
    /// # Errors
    /// [`ProofFileError`] if the body is not canonical JSON.
    pub fn to_jcs(&self) -> Result<Vec<u8>, ProofFileError> {
        if canonical(&self.body)? == self.body { self.write() } else { Err(ProofFileError::NotCanonical) }
    }

    fn write(&self) -> Result<Vec<u8>, ProofFileError> {
        let mut out = Vec::with_capacity(self.body.len() + 8_192);
        let mut proof = ObjectWriter::new(&mut out);
        proof.raw("body", &self.body);
        proof.object("bundle", |o| self.bundle.write(o));
        proof.str("documentDigest", &self.document_digest.to_text());
        proof.str("schema", PROOF_SCHEMA);
        proof.u64("setIndex", self.set_index);
        proof.array("setPath", |a| self.set_path.iter().for_each(|hash| a.str(&hash.to_hex())));
        proof.str("setRoot", &self.set_root.to_hex());
        proof.u64("setSize", self.set_size);
        proof.finish().map_err(ProofFileError::Body)?;
        Ok(out)
    }
}

/// Whether strict JSON differs from `made` by its white space and the order of its members alone.
fn is_respelled(bytes: &[u8], made: &[u8]) -> Result<bool, ProofFileError> {
    let spelled = std::str::from_utf8(bytes).is_ok_and(json::strings_are_canonical);
    Ok(spelled && canonical(bytes)? == made)
}

fn canonical(bytes: &[u8]) -> Result<Vec<u8>, ProofFileError> {
    crate::jcs::canonicalize(&json::parse_own(bytes)?).map_err(ProofFileError::Body)
}
