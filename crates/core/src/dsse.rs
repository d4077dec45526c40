//! DSSE envelopes (secure-systems-lab/dsse `protocol.md`, `envelope.md`): what is signed, and the bytes kept.
//!
//! An [`Envelope`] holds exactly one signature, as a Sigstore bundle must, and no `keyid` when we make it:
//! cosign and sigstore-go skip a signature whose `keyid` is not their own name for the key. The bytes that
//! were made or received are kept; nothing is serialized again in order to be checked.

use serde::Deserialize;

use crate::digest::{self, Digest, EncodingError};
use crate::ids::EnvelopeDigest;
use crate::jcs::ObjectWriter;
use crate::json::{self, ReadError};
use crate::keys::{Signer, SigningError};

/// The payload type of in-toto statements.
pub const IN_TOTO_PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The pre-authentication encoding: the very bytes that a signature is made over (`protocol.md`).
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + payload_type.len() + 32);
    out.extend_from_slice(
        format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).as_bytes(),
    );
    out.extend_from_slice(payload);
    out
}

/// Why bytes are no envelope that we take.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Not strict JSON of the envelope's members.
    #[error("the envelope is not a DSSE envelope")]
    Json(#[from] ReadError),
    /// Not exactly one signature.
    #[error("the envelope has {0} signatures; exactly one is taken")]
    SignatureCount(usize),
    /// A member that is not canonical padded base64.
    #[error("`{member}` of the envelope")]
    Encoding {
        /// Its name.
        member: &'static str,
        /// What is wrong with it.
        source: EncodingError,
    },
}

/// A DSSE envelope with one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    payload_type: String,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// The envelope's JSON, as bundles hold it too.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EnvelopeWire {
    pub(crate) payload: String,
    pub(crate) payload_type: String,
    pub(crate) signatures: Vec<SignatureWire>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignatureWire {
    pub(crate) sig: String,
    /// An unauthenticated hint in other clients' envelopes: read, never used.
    #[serde(default)]
    #[expect(dead_code, reason = "taken, so that it is no unknown member")]
    pub(crate) keyid: Option<String>,
}

impl Envelope {
    /// Signs `payload` as an in-toto statement.
    ///
    /// # Errors
    /// [`SigningError`] from the signer.
    pub fn sign(payload: Vec<u8>, signer: &dyn Signer) -> Result<Self, SigningError> {
        let signature = signer.sign(&pae(IN_TOTO_PAYLOAD_TYPE, &payload))?;
        Ok(Self { payload_type: IN_TOTO_PAYLOAD_TYPE.to_owned(), payload, signature })
    }

    /// Reads an envelope's JSON.
    ///
    /// # Errors
    /// [`EnvelopeError`] for anything but one envelope with one signature, in canonical base64.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        Self::from_wire(&json::from_slice_strict(bytes)?)
    }

    pub(crate) fn from_wire(wire: &EnvelopeWire) -> Result<Self, EnvelopeError> {
        let [signature] = wire.signatures.as_slice() else {
            return Err(EnvelopeError::SignatureCount(wire.signatures.len()));
        };
        Ok(Self {
            payload_type: wire.payload_type.clone(),
            payload: decode("payload", &wire.payload)?,
            signature: decode("sig", &signature.sig)?,
        })
    }

    /// The payload's type.
    pub fn payload_type(&self) -> &str {
        &self.payload_type
    }

    /// The payload as signed.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The signature: DER for ECDSA.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The bytes that the signature is over.
    pub fn pae(&self) -> Vec<u8> {
        pae(&self.payload_type, &self.payload)
    }

    /// The JCS bytes of {`payload`, `payloadType`, `signatures: [{sig}]`}: what is stored, and what the digest is of.
    pub fn to_jcs(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.payload.len() * 4 / 3 + 256);
        let mut envelope = ObjectWriter::new(&mut out);
        self.write(&mut envelope);
        envelope.finish().expect("strings always have a canonical form");
        out
    }

    pub(crate) fn write(&self, o: &mut ObjectWriter<'_>) {
        o.str("payload", &digest::base64(&self.payload));
        o.str("payloadType", &self.payload_type);
        o.array("signatures", |a| a.object(|o| o.str("sig", &digest::base64(&self.signature))));
    }

    /// The envelope's identity: SHA-256 of [`Envelope::to_jcs`].
    pub fn digest(&self) -> EnvelopeDigest {
        EnvelopeDigest::new(Digest::of(&self.to_jcs()))
    }
}

fn decode(member: &'static str, text: &str) -> Result<Vec<u8>, EnvelopeError> {
    digest::from_base64(text).map_err(|source| EnvelopeError::Encoding { member, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{LocalSigner, RustCrypto, SignatureVerifier as _};

    #[test]
    fn pae_is_the_protocols_own_example() {
        // secure-systems-lab/dsse protocol.md, test vectors.
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
        assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
        assert_ne!(
            pae("http://example.com/HelloWorld", b"hello worle"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn an_envelope_survives_its_bytes() {
        let signer = LocalSigner::p256_from_random(&[3; 32]).unwrap();
        let envelope = Envelope::sign(b"{}".to_vec(), &signer).unwrap();
        assert_eq!(RustCrypto.verify(signer.public_key(), &envelope.pae(), envelope.signature()), Ok(()));
        assert_eq!(Envelope::parse(&envelope.to_jcs()).unwrap(), envelope);
        assert_eq!(envelope.digest().digest(), &Digest::of(&envelope.to_jcs()));
    }

    #[test]
    fn rejects_envelope_with_two_signatures_or_none() {
        for (signatures, count) in [("[]", 0), (r#"[{"sig":"YQ=="},{"sig":"YQ=="}]"#, 2)] {
            let json = format!(r#"{{"payload":"","payloadType":"x","signatures":{signatures}}}"#);
            assert!(
                matches!(Envelope::parse(json.as_bytes()), Err(EnvelopeError::SignatureCount(n)) if n == count)
            );
        }
    }

    #[test]
    fn rejects_loose_base64_and_unknown_members() {
        let loose = br#"{"payload":"YQ","payloadType":"x","signatures":[{"sig":"YQ=="}]}"#;
        assert!(matches!(Envelope::parse(loose), Err(EnvelopeError::Encoding { member: "payload", .. })));
        let extra = br#"{"payload":"","payloadType":"x","signatures":[{"sig":"YQ=="}],"x":1}"#;
        assert!(matches!(Envelope::parse(extra), Err(EnvelopeError::Json(_))));
    }
}
