//! SHA-256 digests and the two spellings that specifications give them.
//!
//! A [`Digest`] has no `Display`: in-toto and our own JSON write lower-case hex, checkpoints and Sigstore
//! bundles write padded base64, so the caller says which one is meant.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;

/// A SHA-256 digest: 32 raw bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// Text that is not the one canonical spelling of what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// Not 64 lower-case hexadecimal digits.
    #[error("expected 64 lower-case hex digits")]
    Hex,
    /// Not padded standard base64, or with stray bits in its last symbol.
    #[error("expected canonical padded base64")]
    Base64,
    /// Decoded to another number of bytes than the value has.
    #[error("expected {expected} bytes, found {found}")]
    Length {
        /// Bytes that the value has.
        expected: usize,
        /// Bytes that were there.
        found: usize,
    },
}

impl Digest {
    /// The digest that these 32 bytes are.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// SHA-256 of `data`.
    pub fn of(data: &[u8]) -> Self {
        Self(sha2::Sha256::digest(data).into())
    }

    /// SHA-256 of the parts written one after the other.
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hasher = sha2::Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lower-case hex digits.
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }

    /// Padded standard base64 (44 characters).
    pub fn to_base64(&self) -> String {
        base64(&self.0)
    }

    /// Reads exactly the spelling that [`Digest::to_hex`] writes.
    ///
    /// # Errors
    /// [`EncodingError::Hex`] for any other spelling.
    pub fn from_hex(text: &str) -> Result<Self, EncodingError> {
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| EncodingError::Hex)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self(bytes))
    }

    /// Reads exactly the spelling that [`Digest::to_base64`] writes.
    ///
    /// # Errors
    /// [`EncodingError`] for any other spelling or length.
    pub fn from_base64(text: &str) -> Result<Self, EncodingError> {
        let bytes = from_base64(text)?;
        let found = bytes.len();
        bytes.try_into().map(Self).map_err(|_| EncodingError::Length { expected: 32, found })
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digest({})", self.to_hex())
    }
}

/// Lower-case hex of any bytes.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
        .map(char::from)
        .collect()
}

/// Padded standard base64 (RFC 4648 section 4) of any bytes.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads padded standard base64 in its canonical form only, so that equal bytes have one spelling.
///
/// # Errors
/// [`EncodingError::Base64`] for missing padding, foreign symbols or stray trailing bits.
pub fn from_base64(text: &str) -> Result<Vec<u8>, EncodingError> {
    STANDARD.decode(text).map_err(|_| EncodingError::Base64)
}

fn nibble(digit: u8) -> Result<u8, EncodingError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(EncodingError::Hex),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_of_nothing_is_the_published_value() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_hex(), empty);
        assert_eq!(Digest::of_parts(&[b"a", b"bc"]), Digest::of(b"abc"));
    }

    #[test]
    fn hex_and_base64_have_one_spelling() {
        let digest = Digest::of(b"x");
        assert_eq!(Digest::from_hex(&digest.to_hex()), Ok(digest));
        assert_eq!(Digest::from_base64(&digest.to_base64()), Ok(digest));
        assert_eq!(Digest::from_hex(&digest.to_hex().to_uppercase()), Err(EncodingError::Hex));
        assert_eq!(Digest::from_hex("00"), Err(EncodingError::Hex));
        assert_eq!(from_base64("YQ"), Err(EncodingError::Base64));
        assert_eq!(from_base64("YR=="), Err(EncodingError::Base64));
        assert_eq!(Digest::from_base64("YQ=="), Err(EncodingError::Length { expected: 32, found: 1 }));
    }
}
