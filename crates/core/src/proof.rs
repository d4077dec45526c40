//! `provex.proof/v1`: what an auditor gets. A bundle, the body of what it attests, and the body's path into the
//! signed set. Redundant members have to agree; unknown ones are refused.

use serde::{Deserialize, Serialize};

use crate::bundle::{Bundle, BundleError, BundleWire};
use crate::digest::{Digest, EncodingError};
use crate::ids::DocumentDigest;
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

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProofWire {
    schema: String,
    bundle: BundleWire,
    body: serde_json::Value,
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
        let value = json::parse_own(bytes)?;
        let canonical = crate::jcs::canonicalize(&value).map_err(ProofFileError::Body)?;
        let wire: ProofWire =
            serde_json::from_value(value).map_err(|error| ProofFileError::Json(ReadError::Shape(error)))?;
        if wire.schema != PROOF_SCHEMA {
            return Err(ProofFileError::Schema(wire.schema));
        }
        let hash = |member, text: &str| {
            Digest::from_hex(text).map_err(|source| ProofFileError::Encoding { member, source })
        };
        let proof = Self {
            bundle: Bundle::from_wire(&wire.bundle)?,
            body: crate::jcs::canonicalize(&wire.body).map_err(ProofFileError::Body)?,
            set_index: wire.set_index,
            set_size: wire.set_size,
            set_path: wire.set_path.iter().map(|h| hash("setPath", h)).collect::<Result<_, _>>()?,
            set_root: hash("setRoot", &wire.set_root)?,
            document_digest: wire.document_digest,
        };
        let spelled = std::str::from_utf8(bytes).is_ok_and(json::strings_are_canonical);
        if spelled && proof.to_jcs()? == canonical { Ok(proof) } else { Err(ProofFileError::NotCanonical) }
    }

    /// The proof's JCS bytes.
    ///
    /// # Errors
    /// [`ProofFileError::Json`] if the body is no JSON.
    pub fn to_jcs(&self) -> Result<Vec<u8>, ProofFileError> {
        let wire = ProofWire {
            schema: PROOF_SCHEMA.to_owned(),
            bundle: self.bundle.to_wire(),
            body: json::parse_own(&self.body)?,
            set_index: self.set_index,
            set_size: self.set_size,
            set_path: self.set_path.iter().map(Digest::to_hex).collect(),
            set_root: self.set_root.to_hex(),
            document_digest: self.document_digest,
        };
        crate::jcs::to_vec(&wire).map_err(ProofFileError::Body)
    }
}
