//! Public keys, and the traits through which signatures are made and checked.
//!
//! Two algorithms are known: ECDSA P-256 with SHA-256 (attestations, and Rekor logs) and Ed25519 (logs). A key
//! is named by its DER `SubjectPublicKeyInfo` (RFC 5480, RFC 8410); every identity that Sigstore gives a key
//! is a hash of those bytes.

use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use p256::ecdsa::signature::{Signer as _, Verifier as _};

use crate::digest::{self, Digest};

/// `SubjectPublicKeyInfo` of a P-256 key up to the uncompressed point (RFC 5480 section 2).
const P256_SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// `SubjectPublicKeyInfo` of an Ed25519 key up to its 32 bytes (RFC 8410 section 4).
const ED25519_SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

const PUBLIC_LABEL: &str = "PUBLIC KEY";
const PRIVATE_LABEL: &str = "PRIVATE KEY";

/// How a key signs. The names are those of Sigstore's `PublicKeyDetails`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyAlgorithm {
    /// `PKIX_ECDSA_P256_SHA_256`: ASN.1 DER signatures over SHA-256 of the message.
    EcdsaP256Sha256,
    /// `PKIX_ED25519`: 64-byte signatures over the message (RFC 8032).
    Ed25519,
}

impl KeyAlgorithm {
    /// The name in bundles, trusted roots and log entries.
    pub const fn key_details(self) -> &'static str {
        match self {
            Self::EcdsaP256Sha256 => "PKIX_ECDSA_P256_SHA_256",
            Self::Ed25519 => "PKIX_ED25519",
        }
    }
}

/// Bytes that are no key, or a key of a kind that is not supported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not PEM with this label and nothing else.
    #[error("not a PEM block `{label}` and nothing else")]
    Pem {
        /// What the block's label has to be.
        label: &'static str,
    },
    /// Neither an uncompressed P-256 key nor an Ed25519 key.
    #[error("neither a P-256 nor an Ed25519 key in DER SubjectPublicKeyInfo form")]
    Unsupported,
    /// The right shape, but no point on the curve.
    #[error("the bytes are not a point on the curve")]
    NotOnCurve,
    /// Not an unencrypted PKCS#8 private key of the wanted kind.
    #[error("not an unencrypted PKCS#8 {algorithm} private key")]
    PrivateKey {
        /// The wanted kind, in words.
        algorithm: &'static str,
    },
}

/// A public key that can verify: checked to be a point on its curve when made.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    spki: Vec<u8>,
    point: Point,
}

#[derive(Clone, PartialEq, Eq)]
enum Point {
    P256(p256::ecdsa::VerifyingKey),
    Ed25519(ed25519_dalek::VerifyingKey),
}

impl PublicKey {
    /// Reads a DER `SubjectPublicKeyInfo`: exactly these bytes, no others after them.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] or [`KeyError::NotOnCurve`].
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let point = if let Some(sec1) = der.strip_prefix(&P256_SPKI_PREFIX) {
            if sec1.len() != 65 || sec1.first() != Some(&4) {
                return Err(KeyError::Unsupported);
            }
            Point::P256(p256::ecdsa::VerifyingKey::from_sec1_bytes(sec1).map_err(|_| KeyError::NotOnCurve)?)
        } else if let Some(raw) = der.strip_prefix(&ED25519_SPKI_PREFIX) {
            let raw: &[u8; 32] = raw.try_into().map_err(|_| KeyError::Unsupported)?;
            Point::Ed25519(ed25519_dalek::VerifyingKey::from_bytes(raw).map_err(|_| KeyError::NotOnCurve)?)
        } else {
            return Err(KeyError::Unsupported);
        };
        Ok(Self { spki: der.to_vec(), point })
    }

    /// Reads one PEM block `PUBLIC KEY`.
    ///
    /// # Errors
    /// [`KeyError`] for other PEM, or for a key that [`PublicKey::from_spki_der`] refuses.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        Self::from_spki_der(&pem_decode(pem, PUBLIC_LABEL)?)
    }

    /// One PEM block `PUBLIC KEY`, 64 columns, with a final newline.
    pub fn to_pem(&self) -> String {
        pem_encode(&self.spki, PUBLIC_LABEL)
    }

    /// The DER `SubjectPublicKeyInfo`.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// SHA-256 of the DER `SubjectPublicKeyInfo`: how provex names a key.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.spki)
    }

    /// How this key signs.
    pub const fn algorithm(&self) -> KeyAlgorithm {
        match self.point {
            Point::P256(_) => KeyAlgorithm::EcdsaP256Sha256,
            Point::Ed25519(_) => KeyAlgorithm::Ed25519,
        }
    }

    /// The uncompressed point of a P-256 key: 0x04, x, y.
    pub fn p256_point(&self) -> Option<&[u8]> {
        self.spki.strip_prefix(&P256_SPKI_PREFIX)
    }

    /// The 32 bytes of an Ed25519 key.
    pub fn ed25519_bytes(&self) -> Option<&[u8; 32]> {
        match &self.point {
            Point::P256(_) => None,
            Point::Ed25519(key) => Some(key.as_bytes()),
        }
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({:?}, {})", self.algorithm(), self.fingerprint().to_hex())
    }
}

/// The signature is not of this key over this message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct SignatureError;

/// Checks signatures. The default is [`RustCrypto`]; a caller may plug in a faster implementation.
pub trait SignatureVerifier: Send + Sync {
    /// Checks `signature` (DER for ECDSA, 64 bytes for Ed25519) by `key` over `message`.
    ///
    /// # Errors
    /// [`SignatureError`] where it does not hold.
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<(), SignatureError>;
}

/// Pure Rust verification, which builds everywhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct RustCrypto;

impl SignatureVerifier for RustCrypto {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        match &key.point {
            Point::P256(key) => {
                let signature =
                    p256::ecdsa::DerSignature::from_bytes(signature).map_err(|_| SignatureError)?;
                key.verify(message, &signature).map_err(|_| SignatureError)
            }
            Point::Ed25519(key) => {
                let signature =
                    ed25519_dalek::Signature::from_slice(signature).map_err(|_| SignatureError)?;
                key.verify_strict(message, &signature).map_err(|_| SignatureError)
            }
        }
    }
}

/// A signature could not be made: the key service is out of reach or said no.
#[derive(Debug, thiserror::Error)]
#[error("signing failed: {reason}")]
pub struct SigningError {
    /// What the signer said.
    pub reason: String,
}

/// Makes signatures. Key services implement this at the edge.
pub trait Signer: Send + Sync {
    /// The key that verifies what this signer makes.
    fn public_key(&self) -> &PublicKey;

    /// Signs `message` whole (the signer hashes it): DER for ECDSA, 64 bytes for Ed25519.
    ///
    /// # Errors
    /// [`SigningError`] where the key cannot be used now.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError>;
}

/// A private key held in memory. P-256 signatures are deterministic (RFC 6979), as Ed25519's always are: the
/// same key and message give the same signature again.
pub struct LocalSigner {
    public: PublicKey,
    secret: Secret,
}

enum Secret {
    P256(p256::ecdsa::SigningKey),
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

impl LocalSigner {
    /// A P-256 key from 32 random bytes.
    ///
    /// # Errors
    /// [`KeyError::NotOnCurve`] for the few values that are no scalar of the curve: draw again.
    pub fn p256_from_random(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let secret = p256::ecdsa::SigningKey::from_slice(bytes).map_err(|_| KeyError::NotOnCurve)?;
        Ok(Self::p256(secret))
    }

    /// An Ed25519 key from 32 random bytes.
    pub fn ed25519_from_random(bytes: &[u8; 32]) -> Self {
        Self::ed25519(ed25519_dalek::SigningKey::from_bytes(bytes))
    }

    /// Reads an unencrypted PKCS#8 PEM private key, P-256 or Ed25519.
    ///
    /// # Errors
    /// [`KeyError::Pem`] or [`KeyError::PrivateKey`].
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, KeyError> {
        Self::from_pkcs8_der(&pem_decode(pem, PRIVATE_LABEL)?)
    }

    /// Reads an unencrypted PKCS#8 DER private key, P-256 or Ed25519.
    ///
    /// # Errors
    /// [`KeyError::PrivateKey`].
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(secret) = p256::SecretKey::from_pkcs8_der(der) {
            return Ok(Self::p256(secret.into()));
        }
        ed25519_dalek::SigningKey::from_pkcs8_der(der)
            .map(Self::ed25519)
            .map_err(|_| KeyError::PrivateKey { algorithm: "P-256 or Ed25519" })
    }

    /// The key as unencrypted PKCS#8 PEM.
    ///
    /// # Errors
    /// [`KeyError::PrivateKey`] if the key cannot be encoded, which no valid key does.
    pub fn to_pkcs8_pem(&self) -> Result<String, KeyError> {
        use p256::pkcs8::EncodePrivateKey as _;
        let (der, algorithm) = match &self.secret {
            Secret::P256(key) => (p256::SecretKey::from(key.clone()).to_pkcs8_der(), "P-256"),
            Secret::Ed25519(key) => (key.to_pkcs8_der(), "Ed25519"),
        };
        let der = der.map_err(|_| KeyError::PrivateKey { algorithm })?;
        Ok(pem_encode(der.as_bytes(), PRIVATE_LABEL))
    }

    fn p256(secret: p256::ecdsa::SigningKey) -> Self {
        let point = *secret.verifying_key();
        let mut spki = P256_SPKI_PREFIX.to_vec();
        spki.extend_from_slice(point.to_sec1_point(false).as_bytes());
        Self { public: PublicKey { spki, point: Point::P256(point) }, secret: Secret::P256(secret) }
    }

    fn ed25519(secret: ed25519_dalek::SigningKey) -> Self {
        let point = secret.verifying_key();
        let mut spki = ED25519_SPKI_PREFIX.to_vec();
        spki.extend_from_slice(point.as_bytes());
        Self {
            public: PublicKey { spki, point: Point::Ed25519(point) },
            secret: Secret::Ed25519(Box::new(secret)),
        }
    }
}

impl Signer for LocalSigner {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        Ok(match &self.secret {
            Secret::P256(key) => {
                let signature: p256::ecdsa::DerSignature = key.sign(message);
                signature.as_bytes().to_vec()
            }
            Secret::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
        })
    }
}

/// The DER inside one PEM block of this label (RFC 7468), white space around it allowed, nothing else.
///
/// # Errors
/// [`KeyError::Pem`].
pub fn pem_decode(pem: &str, label: &'static str) -> Result<Vec<u8>, KeyError> {
    let bad = || KeyError::Pem { label };
    let inner = pem
        .trim()
        .strip_prefix(&format!("-----BEGIN {label}-----"))
        .and_then(|rest| rest.strip_suffix(&format!("-----END {label}-----")))
        .ok_or_else(bad)?;
    let text: String = inner.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    digest::from_base64(&text).map_err(|_| bad())
}

fn pem_encode(der: &[u8], label: &str) -> String {
    let mut pem = format!("-----BEGIN {label}-----\n");
    let text = digest::base64(der);
    for (index, symbol) in text.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(symbol);
    }
    pem.push_str(&format!("\n-----END {label}-----\n"));
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_verify_and_change_with_message_and_key() {
        for signer in
            [LocalSigner::p256_from_random(&[7; 32]).unwrap(), LocalSigner::ed25519_from_random(&[7; 32])]
        {
            let signature = signer.sign(b"message").unwrap();
            let key = signer.public_key();
            assert_eq!(RustCrypto.verify(key, b"message", &signature), Ok(()));
            assert_eq!(RustCrypto.verify(key, b"massage", &signature), Err(SignatureError));
            let other = LocalSigner::p256_from_random(&[8; 32]).unwrap();
            assert_eq!(RustCrypto.verify(other.public_key(), b"message", &signature), Err(SignatureError));
        }
    }

    #[test]
    fn p256_signatures_are_deterministic() {
        let signer = LocalSigner::p256_from_random(&[7; 32]).unwrap();
        assert_eq!(signer.sign(b"m").unwrap(), signer.sign(b"m").unwrap());
    }

    #[test]
    fn keys_survive_their_pem_forms() {
        for signer in
            [LocalSigner::p256_from_random(&[9; 32]).unwrap(), LocalSigner::ed25519_from_random(&[9; 32])]
        {
            let again = LocalSigner::from_pkcs8_pem(&signer.to_pkcs8_pem().unwrap()).unwrap();
            assert_eq!(again.public_key(), signer.public_key());
            assert_eq!(PublicKey::from_pem(&signer.public_key().to_pem()).as_ref(), Ok(signer.public_key()));
        }
    }

    #[test]
    fn bytes_that_are_no_key_are_refused() {
        let signer = LocalSigner::p256_from_random(&[9; 32]).unwrap();
        let spki = signer.public_key().spki_der();
        assert_eq!(PublicKey::from_spki_der(&spki[..90]), Err(KeyError::Unsupported));
        assert_eq!(PublicKey::from_spki_der(&[spki, &[0]].concat()), Err(KeyError::Unsupported));
        let mut off_curve = spki.to_vec();
        off_curve[90] ^= 1;
        assert_eq!(PublicKey::from_spki_der(&off_curve), Err(KeyError::NotOnCurve));
        assert_eq!(PublicKey::from_pem("nonsense"), Err(KeyError::Pem { label: "PUBLIC KEY" }));
    }
}
