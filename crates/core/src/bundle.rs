//! Sigstore bundles v0.3 with a key (protobuf-specs `sigstore_bundle.proto`).
//!
//! Nothing of our own is in a bundle, so that every Sigstore client takes it: `publicKey.hint`, one log entry, one
//! DSSE envelope without `keyid`. A bundle is made once, as JCS bytes; those bytes are kept.

use serde::Deserialize;

use crate::digest::{self, EncodingError};
use crate::dsse::{Envelope, EnvelopeError, EnvelopeWire};
use crate::entry::{EntryError, EntryWire, LogEntry};
use crate::jcs::{ArrayWriter, ObjectWriter};
use crate::json::{self, ReadError};
use crate::keys::PublicKey;

/// The media type that we write, and the older spelling that others wrote.
const MEDIA_TYPES: [&str; 2] =
    ["application/vnd.dev.sigstore.bundle.v0.3+json", "application/vnd.dev.sigstore.bundle+json;version=0.3"];

/// More than any client takes (sigstore-go `pkg/verify`): each costs signature checks under each authority.
const MAX_TIMESTAMPS: usize = 32;

/// A bundle read from bytes: well-formed, nothing verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The hint which key signed: authenticates nothing.
    pub hint: String,
    /// The envelope.
    pub envelope: Envelope,
    /// The log's answer.
    pub entry: LogEntry,
    /// RFC 3161 timestamp tokens over the signature bytes.
    pub timestamps: Vec<Vec<u8>>,
}

/// Bytes that are no bundle that we take.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Not strict JSON of a bundle's members.
    #[error("not a Sigstore bundle v0.3 with a public key")]
    Json(#[from] ReadError),
    /// Another media type.
    #[error("bundle media type `{0}` is not taken")]
    MediaType(String),
    /// Not exactly one log entry.
    #[error("the bundle has {0} log entries; exactly one is taken")]
    EntryCount(usize),
    /// A bad envelope.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// A bad log entry.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// More timestamps than are looked at.
    #[error("the bundle has {0} timestamps; at most {MAX_TIMESTAMPS} are taken")]
    TimestampCount(usize),
    /// A bad timestamp token.
    #[error("`signedTimestamp` of the bundle")]
    Timestamp(#[from] EncodingError),
}

/// A bundle's JSON, as proofs nest it too.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BundleWire {
    media_type: String,
    verification_material: MaterialWire,
    dsse_envelope: EnvelopeWire,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MaterialWire {
    public_key: HintWire,
    tlog_entries: Vec<EntryWire>,
    #[serde(default)]
    timestamp_verification_data: Option<TimestampsWire>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HintWire {
    #[serde(default)]
    hint: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TimestampsWire {
    #[serde(default)]
    rfc3161_timestamps: Vec<TimestampWire>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TimestampWire {
    signed_timestamp: String,
}

impl Bundle {
    /// The bundle of an envelope that `key` signed and a log has taken.
    pub fn new(envelope: Envelope, key: &PublicKey, entry: LogEntry) -> Self {
        Self { hint: key.fingerprint().to_base64(), envelope, entry, timestamps: Vec::new() }
    }

    /// Reads a bundle's JSON.
    ///
    /// # Errors
    /// [`BundleError`] for anything but one keyed bundle v0.3 with one entry, unknown members included.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        Self::from_wire(&json::from_slice_strict(bytes)?)
    }

    /// The bundle's JCS bytes: what is kept, served and hashed.
    pub fn to_jcs(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.envelope.payload().len() * 4 / 3 + 4_096);
        let mut bundle = ObjectWriter::new(&mut out);
        self.write(&mut bundle);
        bundle.finish().expect("strings always have a canonical form");
        out
    }

    pub(crate) fn write(&self, o: &mut ObjectWriter<'_>) {
        o.object("dsseEnvelope", |o| self.envelope.write(o));
        o.str("mediaType", MEDIA_TYPES[0]);
        o.object("verificationMaterial", |o| {
            o.object("publicKey", |o| o.str("hint", &self.hint));
            if !self.timestamps.is_empty() {
                o.object("timestampVerificationData", |o| {
                    o.array("rfc3161Timestamps", |a| self.write_tokens(a))
                });
            }
            o.array("tlogEntries", |a| a.object(|o| self.entry.write(o)));
        });
    }

    fn write_tokens(&self, tokens: &mut ArrayWriter<'_>) {
        for token in &self.timestamps {
            tokens.object(|o| o.str("signedTimestamp", &digest::base64(token)));
        }
    }

    pub(crate) fn from_wire(wire: &BundleWire) -> Result<Self, BundleError> {
        if !MEDIA_TYPES.contains(&wire.media_type.as_str()) {
            return Err(BundleError::MediaType(wire.media_type.clone()));
        }
        let material = &wire.verification_material;
        let [entry] = material.tlog_entries.as_slice() else {
            return Err(BundleError::EntryCount(material.tlog_entries.len()));
        };
        let data = material.timestamp_verification_data.as_ref();
        let tokens = data.map_or(&[][..], |data| &data.rfc3161_timestamps);
        if tokens.len() > MAX_TIMESTAMPS {
            return Err(BundleError::TimestampCount(tokens.len()));
        }
        Ok(Self {
            hint: material.public_key.hint.clone(),
            envelope: Envelope::from_wire(&wire.dsse_envelope)?,
            entry: LogEntry::from_wire(entry)?,
            timestamps: tokens
                .iter()
                .map(|t| digest::from_base64(&t.signed_timestamp))
                .collect::<Result<_, _>>()?,
        })
    }
}
