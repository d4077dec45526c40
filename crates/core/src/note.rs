//! Signed notes (C2SP signed-note): a text, and the lines of those who signed it.
//!
//! A [`Note`] keeps the bytes it was parsed from. It says nothing until [`Note::verify`] has matched its
//! lines against keys that the caller trusts. Witness cosignatures (type 0x04) are lines of unknown keys here.

use crate::digest::{self, Digest};
use crate::keys::{KeyAlgorithm, KeyError, PublicKey, SignatureVerifier};

/// The longest note that is read. A cosignature is a few kilobytes at most.
pub const MAX_NOTE_BYTES: usize = 1 << 20;

/// The most signature lines that are read; the specification asks for at least 16.
pub const MAX_SIGNATURES: usize = 64;

/// What each signature line begins with: an em dash and a space.
const LINE_START: &str = "— ";

/// Signature type of Ed25519 (signed-note, "Signature types").
const TYPE_ED25519: u8 = 0x01;

/// Signature type of ECDSA.
const TYPE_ECDSA: u8 = 0x02;

/// Why bytes are no note, or a note is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than [`MAX_NOTE_BYTES`].
    #[error("the note has {length} bytes, more than {MAX_NOTE_BYTES}")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// Not UTF-8.
    #[error("the note is not UTF-8")]
    NotUtf8,
    /// A control character other than newline.
    #[error("the note has a control character at byte {position}")]
    ControlCharacter {
        /// Where it stands.
        position: usize,
    },
    /// No empty line, or no complete line after the last one.
    #[error("the note has no signature lines after an empty line")]
    NoSignatures,
    /// More lines than [`MAX_SIGNATURES`].
    #[error("the note has {found} signature lines, more than {MAX_SIGNATURES}")]
    TooManySignatures {
        /// How many there are.
        found: usize,
    },
    /// A line that is not an em dash, a key name and the base64 of key ID and signature.
    #[error("signature line {line} is malformed")]
    SignatureLine {
        /// Which one, counted from 0.
        line: usize,
    },
    /// A line that claims to be by a known key, and is not.
    #[error("the signature by `{name}` ({}) does not verify", digest::hex(.key_id))]
    InvalidSignature {
        /// The key name of the line.
        name: String,
        /// Its key ID.
        key_id: [u8; 4],
    },
    /// No line by a key that is known.
    #[error("no signature is by a known key")]
    NoKnownSignature,
    /// The text to be signed does not end in a newline.
    #[error("the text does not end in a newline")]
    TextEnd,
}

/// Why something is no verifier key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteKeyError {
    /// An empty name, or one with white space, a plus sign or a control character.
    #[error("`{name}` is not a key name")]
    Name {
        /// The name.
        name: String,
    },
    /// Not `<name>+<key ID in hex>+<base64 of type and key>`.
    #[error("not a verifier key of the form name+id+key")]
    Form,
    /// A signature type that is not supported.
    #[error("signature type {found:#04x} is not supported")]
    Type {
        /// The type's byte.
        found: u8,
    },
    /// The key ID in the text is not the one of its name and key.
    #[error("the key ID is {}, not the one written", digest::hex(.computed))]
    Id {
        /// The key ID of name and key.
        computed: [u8; 4],
    },
    /// The key itself.
    #[error("the key cannot be used")]
    Key(#[from] KeyError),
}

/// A note as it was read: nothing in it is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    note: String,
    text_length: usize,
    signatures: Vec<NoteSignature>,
}

/// A signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    key_id: [u8; 4],
    signature: Vec<u8>,
}

impl NoteSignature {
    /// The key name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key ID: with the name it says which key this claims to be by.
    pub const fn key_id(&self) -> [u8; 4] {
        self.key_id
    }

    /// The signature, without the key ID before it.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

impl Note {
    /// Reads a note strictly (signed-note, "Format").
    ///
    /// # Errors
    /// [`NoteError`] for anything that is not exactly a note. Lines of unknown keys have to be well-formed too.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLong { length: bytes.len() });
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::NotUtf8)?;
        if let Some(position) = bytes.iter().position(|byte| *byte < b' ' && *byte != b'\n') {
            return Err(NoteError::ControlCharacter { position });
        }
        // The text may have empty lines of its own: the last one ends it.
        let text_length = note.rfind("\n\n").ok_or(NoteError::NoSignatures)? + 1;
        let block = note.get(text_length + 1..).and_then(|block| block.strip_suffix('\n'));
        let signatures = parse_lines(block.ok_or(NoteError::NoSignatures)?)?;
        Ok(Self { note: note.to_owned(), text_length, signatures })
    }

    /// The signed text, with its final newline.
    pub fn text(&self) -> &str {
        self.note.get(..self.text_length).unwrap_or_default()
    }

    /// The whole note, byte for byte as it was read.
    pub fn as_str(&self) -> &str {
        &self.note
    }

    /// The signature lines in their order.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Verifies the lines of known keys; those of others are ignored (signed-note, "Signatures").
    ///
    /// # Errors
    /// [`NoteError::InvalidSignature`] if any line with the name and ID of a known key fails, whatever other
    /// lines say; [`NoteError::NoKnownSignature`] if there is no line of a known key.
    pub fn verify<'a>(
        &'a self,
        keys: &[&'a NoteKey],
        verifier: &dyn SignatureVerifier,
    ) -> Result<VerifiedNote<'a>, NoteError> {
        let mut signers: Vec<&NoteKey> = Vec::new();
        for line in &self.signatures {
            for &key in keys.iter().filter(|key| key.is_named_by(line)) {
                verifier.verify(&key.key, self.text().as_bytes(), &line.signature).map_err(|_| {
                    NoteError::InvalidSignature { name: line.name.clone(), key_id: line.key_id }
                })?;
                if !signers.contains(&key) {
                    signers.push(key);
                }
            }
        }
        if signers.is_empty() {
            return Err(NoteError::NoKnownSignature);
        }
        Ok(VerifiedNote { note: self, signers })
    }
}

/// A note that at least one known key signed, and no known key disowns.
#[derive(Debug, Clone)]
pub struct VerifiedNote<'a> {
    note: &'a Note,
    signers: Vec<&'a NoteKey>,
}

impl<'a> VerifiedNote<'a> {
    /// The signed text.
    pub fn text(&self) -> &'a str {
        self.note.text()
    }

    /// The known keys that signed it, each once.
    pub fn signers(&self) -> &[&'a NoteKey] {
        &self.signers
    }
}

/// A key under the name that signature lines give it. With a name that no line can have, it matches none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteKey {
    /// The key name.
    pub name: String,
    /// The key.
    pub key: PublicKey,
    /// The hash whose first four bytes are the key ID: the ID of a log in Sigstore's trusted roots.
    pub id: Digest,
}

impl NoteKey {
    /// A key with the ID that signed-note gives it: for Ed25519 the hash of name, newline, type and key; for
    /// ECDSA the hash of the DER `SubjectPublicKeyInfo` alone. Rekor v2 and tiled logs use it.
    pub fn new(name: &str, key: PublicKey) -> Self {
        let id = match key.ed25519_bytes() {
            Some(raw) => Digest::of_parts(&[name.as_bytes(), b"\n", &[TYPE_ED25519], raw]),
            None => key.fingerprint(),
        };
        Self { name: name.to_owned(), key, id }
    }

    /// A key with the ID that Rekor v1 gives it: for every algorithm the hash of the DER
    /// `SubjectPublicKeyInfo`.
    pub fn rekor_v1(name: &str, key: PublicKey) -> Self {
        Self { name: name.to_owned(), id: key.fingerprint(), key }
    }

    /// Reads a verifier key, `<name>+<key ID in hex>+<base64 of type and key>` (signed-note, "Verifier keys").
    ///
    /// # Errors
    /// [`NoteKeyError`] for another form or type, and for an ID that is not that of name and key.
    pub fn parse_vkey(vkey: &str) -> Result<Self, NoteKeyError> {
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteKeyError::Form);
        };
        if !is_key_name(name) {
            return Err(NoteKeyError::Name { name: name.to_owned() });
        }
        let key = digest::from_base64(key).map_err(|_| NoteKeyError::Form)?;
        let (kind, key) = key.split_first().ok_or(NoteKeyError::Form)?;
        let key = match *kind {
            TYPE_ED25519 => ed25519_key(key)?,
            TYPE_ECDSA => ecdsa_key(key)?,
            found => return Err(NoteKeyError::Type { found }),
        };
        let key = Self::new(name, key);
        if digest::hex(&key.key_id()) != id {
            return Err(NoteKeyError::Id { computed: key.key_id() });
        }
        Ok(key)
    }

    /// The verifier key. That of an Ed25519 key made by [`NoteKey::rekor_v1`] has an ID no reader expects.
    pub fn to_vkey(&self) -> String {
        let (kind, key) = match self.key.ed25519_bytes() {
            Some(raw) => (TYPE_ED25519, &raw[..]),
            None => (TYPE_ECDSA, self.key.spki_der()),
        };
        let key = digest::base64(&[&[kind], key].concat());
        format!("{}+{}+{key}", self.name, digest::hex(&self.key_id()))
    }

    /// The key ID of signature lines: the first four bytes of `id`.
    pub const fn key_id(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = *self.id.as_bytes();
        [a, b, c, d]
    }

    /// Name and ID, both: either alone may be shared with a key that is not known.
    fn is_named_by(&self, line: &NoteSignature) -> bool {
        self.name == line.name && self.key_id() == line.key_id
    }
}

/// The note of `text` with one signature, which the caller made over exactly the bytes of `text`.
///
/// # Errors
/// [`NoteError`] if what comes out cannot be read back.
pub fn sign_note(text: &str, key: &NoteKey, signature: &[u8]) -> Result<Note, NoteError> {
    if !text.ends_with('\n') {
        return Err(NoteError::TextEnd);
    }
    let line = digest::base64(&[&key.key_id(), signature].concat());
    Note::parse(format!("{text}\n{LINE_START}{} {line}\n", key.name).as_bytes())
}

fn parse_lines(block: &str) -> Result<Vec<NoteSignature>, NoteError> {
    let found = block.split('\n').count();
    if found > MAX_SIGNATURES {
        return Err(NoteError::TooManySignatures { found });
    }
    let lines = block.split('\n').enumerate();
    lines.map(|(line, text)| parse_line(text).ok_or(NoteError::SignatureLine { line })).collect()
}

fn parse_line(line: &str) -> Option<NoteSignature> {
    let (name, signature) = line.strip_prefix(LINE_START)?.split_once(' ')?;
    let bytes = digest::from_base64(signature).ok()?;
    let (key_id, signature) = bytes.split_first_chunk::<4>()?;
    (is_key_name(name) && !signature.is_empty()).then(|| NoteSignature {
        name: name.to_owned(),
        key_id: *key_id,
        signature: signature.to_vec(),
    })
}

/// Not empty, no Unicode space, no plus sign (signed-note, "Format"), and nothing a note cannot hold.
fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c < ' ' || c == '+')
}

/// A key of type 0x01: the 32 bytes of RFC 8032, which RFC 8410 section 4 puts behind a fixed header.
fn ed25519_key(raw: &[u8]) -> Result<PublicKey, NoteKeyError> {
    const SPKI_HEADER: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    Ok(PublicKey::from_spki_der(&[&SPKI_HEADER, raw].concat())?)
}

/// A key of type 0x02, which may be of one algorithm only: an Ed25519 key under it would get another ID.
fn ecdsa_key(spki: &[u8]) -> Result<PublicKey, NoteKeyError> {
    let key = PublicKey::from_spki_der(spki)?;
    match key.algorithm() {
        KeyAlgorithm::EcdsaP256Sha256 => Ok(key),
        KeyAlgorithm::Ed25519 => Err(NoteKeyError::Form),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::{LocalSigner, RustCrypto, Signer};

    fn signer(seed: u8) -> LocalSigner {
        LocalSigner::ed25519_from_random(&[seed; 32])
    }

    fn key(name: &str, signer: &LocalSigner) -> NoteKey {
        NoteKey::new(name, signer.public_key().clone())
    }

    /// A note of `text` with a line of each signer.
    fn note(text: &str, signers: &[(&str, &LocalSigner)]) -> String {
        let mut note = format!("{text}\n");
        for (name, signer) in signers {
            let alone = sign_note(text, &key(name, signer), &signer.sign(text.as_bytes()).unwrap()).unwrap();
            note.push_str(&alone.as_str()[text.len() + 1..]);
        }
        note
    }

    #[test]
    fn notes_keep_their_bytes_and_split_at_the_last_empty_line() {
        let bytes = note("first\n\n— not a line\n\n", &[("a", &signer(1)), ("b", &signer(2))]);
        let parsed = Note::parse(bytes.as_bytes()).unwrap();
        assert_eq!(parsed.text(), "first\n\n— not a line\n\n");
        assert_eq!(parsed.as_str(), bytes);
        assert_eq!(parsed.signatures().iter().map(NoteSignature::name).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn notes_of_another_form_are_refused() {
        let parse = |text: &str| Note::parse(text.as_bytes());
        for text in ["", "\n", "a\n", "a\n\n", "a\n\n— n AAAAAAA=", "a\n— n AAAAAAA=\n"] {
            assert_eq!(parse(text), Err(NoteError::NoSignatures), "{text:?}");
        }
        for line in [
            "x",
            "- n AAAAAAA=",
            "—n AAAAAAA=",
            "—  AAAAAAA=",
            "— n",
            "— n ",
            "— n AAAAAA==",
            "— n AAAAAAA",
            "— n AAAAAAB=",
            "— n AAAA AAA=",
            "— n+m AAAAAAA=",
            "— n\u{a0} AAAAAAA=",
            " — n AAAAAAA=",
        ] {
            let text = format!("a\n\n— good AAAAAAA=\n{line}\n");
            assert_eq!(parse(&text), Err(NoteError::SignatureLine { line: 1 }), "{line:?}");
        }
        assert_eq!(parse("a\tb\n\n— n AAAAAAA=\n"), Err(NoteError::ControlCharacter { position: 1 }));
        assert_eq!(parse("a\n\n— n AAAAAAA=\r\n"), Err(NoteError::ControlCharacter { position: 17 }));
        assert_eq!(Note::parse(b"a\xff\n\n"), Err(NoteError::NotUtf8));
    }

    #[test]
    fn notes_beyond_the_limits_are_refused() {
        let lines = |count: usize| format!("a\n\n{}", "— n AAAAAAA=\n".repeat(count));
        assert_eq!(Note::parse(lines(64).as_bytes()).unwrap().signatures().len(), 64);
        assert_eq!(Note::parse(lines(65).as_bytes()), Err(NoteError::TooManySignatures { found: 65 }));
        let length = MAX_NOTE_BYTES + 1;
        assert_eq!(Note::parse(&vec![b'a'; length]), Err(NoteError::TooLong { length }));
    }

    #[test]
    fn lines_of_unknown_keys_are_ignored_wherever_they_stand() {
        let (known, other) = (signer(1), signer(2));
        let bytes = note("text\n", &[("known", &other), ("other", &known), ("known", &known)]);
        let parsed = Note::parse(bytes.as_bytes()).unwrap();
        let key = key("known", &known);
        assert_eq!(parsed.verify(&[&key], &RustCrypto).unwrap().signers(), [&key]);
    }

    #[test]
    fn notes_without_a_known_line_are_refused() {
        let bytes = note("text\n", &[("name", &signer(1))]);
        let parsed = Note::parse(bytes.as_bytes()).unwrap();
        for stranger in [key("name", &signer(2)), key("other", &signer(1))] {
            let refused = parsed.verify(&[&stranger], &RustCrypto).map(|_| ());
            assert_eq!(refused, Err(NoteError::NoKnownSignature));
        }
        assert!(parsed.verify(&[], &RustCrypto).is_err());
    }

    #[test]
    fn one_false_line_of_a_known_key_rejects_the_note() {
        let (good, bad) = (signer(1), signer(2));
        let mut bytes = note("text\n", &[("good", &good), ("bad", &bad)]);
        let forged = note("other\n", &[("bad", &bad)]);
        let keys = [&key("good", &good), &key("bad", &bad)];
        assert!(Note::parse(bytes.as_bytes()).unwrap().verify(&keys, &RustCrypto).is_ok());
        bytes.push_str(&forged["other\n\n".len()..]);
        let refused = Note::parse(bytes.as_bytes()).unwrap().verify(&keys, &RustCrypto).map(|_| ());
        let key_id = keys[1].key_id();
        assert_eq!(refused, Err(NoteError::InvalidSignature { name: "bad".to_owned(), key_id }));
    }

    #[test]
    fn what_cannot_be_read_back_is_not_signed() {
        let signer = signer(1);
        assert_eq!(sign_note("text", &key("n", &signer), &[1]), Err(NoteError::TextEnd));
        assert_eq!(
            sign_note("text\n", &key("a name", &signer), &[1]),
            Err(NoteError::SignatureLine { line: 0 })
        );
        assert!(sign_note("a\rb\n", &key("n", &signer), &[1]).is_err());
    }

    #[test]
    fn verifier_keys_survive_their_text() {
        for signer in [signer(3), LocalSigner::p256_from_random(&[3; 32]).unwrap()] {
            let key = key("example.com/log", &signer);
            assert_eq!(NoteKey::parse_vkey(&key.to_vkey()), Ok(key));
        }
    }

    #[test]
    fn verifier_keys_of_another_form_are_refused() {
        let key = key("log", &signer(3));
        let vkey = key.to_vkey();
        let (_, raw) = vkey.rsplit_once('+').unwrap();
        let id = Err(NoteKeyError::Id { computed: key.key_id() });
        assert_eq!(NoteKey::parse_vkey(&format!("log+00000000+{raw}")), id);
        assert!(NoteKey::parse_vkey(&vkey.replace("log+", "lag+")).is_err());
        assert_eq!(NoteKey::parse_vkey("log"), Err(NoteKeyError::Form));
        assert_eq!(NoteKey::parse_vkey("log+00000000+"), Err(NoteKeyError::Form));
        assert_eq!(NoteKey::parse_vkey("log+00000000+BAAA"), Err(NoteKeyError::Type { found: 4 }));
        assert_eq!(NoteKey::parse_vkey("log+00000000+AQAA"), Err(NoteKeyError::Key(KeyError::Unsupported)));
        let spaced = NoteKey::parse_vkey("a log+00000000+AQAA");
        assert_eq!(spaced, Err(NoteKeyError::Name { name: "a log".to_owned() }));
        let ed25519_as_ecdsa = digest::base64(&[&[TYPE_ECDSA], key.key.spki_der()].concat());
        let refused = NoteKey::parse_vkey(&format!("log+00000000+{ed25519_as_ecdsa}"));
        assert_eq!(refused, Err(NoteKeyError::Form));
    }

    #[test]
    fn rekor_v1_takes_the_key_alone_for_its_id() {
        let signer = signer(3);
        let v1 = NoteKey::rekor_v1("log", signer.public_key().clone());
        assert_eq!(v1.id, signer.public_key().fingerprint());
        assert_ne!(v1.id, key("log", &signer).id);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Note::parse(&bytes);
        }

        #[test]
        fn any_text_near_a_note_is_kept_or_refused(text in "[a\n— =A\\+]{0,40}") {
            if let Ok(note) = Note::parse(text.as_bytes()) {
                prop_assert_eq!(note.as_str(), &text);
                prop_assert!(note.text().ends_with('\n'));
            }
        }
    }
}
