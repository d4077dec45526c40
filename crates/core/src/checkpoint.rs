//! Checkpoints (C2SP tlog-checkpoint): what a log signs, its size and root hash at one moment.

use crate::digest::Digest;
use crate::keys::SignatureVerifier;
use crate::note::{Note, NoteError, NoteKey};

/// Why a note is no checkpoint, or not one of this log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note itself: malformed, or not signed by a known key.
    #[error("the note is not to be believed")]
    Note(#[from] NoteError),
    /// Fewer than three lines, an empty one, or one without its newline.
    #[error("a checkpoint is three lines or more, none of them empty")]
    Lines,
    /// A control character where a line cannot have one.
    #[error("a line of a checkpoint has no control characters")]
    ControlCharacter,
    /// Not a decimal number, or with leading zeros, or larger than 64 bits.
    #[error("`{found}` is not a tree size")]
    Size {
        /// The second line.
        found: String,
    },
    /// Not the canonical base64 of 32 bytes.
    #[error("`{found}` is not a root hash")]
    Root {
        /// The third line.
        found: String,
    },
    /// The checkpoint of another log.
    #[error("the checkpoint is of `{found}`, not `{expected}`")]
    Origin {
        /// The origin that was asked for.
        expected: String,
        /// The first line.
        found: String,
    },
}

/// The text of a checkpoint. Unsigned: see [`SignedCheckpoint`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name for itself.
    pub origin: String,
    /// The number of leaves.
    pub size: u64,
    /// The root hash of the tree of this size.
    pub root: Digest,
    /// Extension lines: opaque, advised against, and seldom there (a frozen Rekor v2 shard has one).
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// Reads the text of a checkpoint (tlog-checkpoint, "Note text").
    ///
    /// # Errors
    /// [`CheckpointError`] for a text of any other form.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(CheckpointError::Lines);
        };
        let size = parse_size(size).ok_or_else(|| CheckpointError::Size { found: size.to_owned() })?;
        let root = Digest::from_base64(root).map_err(|_| CheckpointError::Root { found: root.to_owned() })?;
        let extensions: Vec<_> = lines.map(str::to_owned).collect();
        check_line(origin)?;
        extensions.iter().try_for_each(|line| check_line(line))?;
        Ok(Self { origin: origin.to_owned(), size, root, extensions })
    }

    /// The text that is signed.
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n{}\n{}\n", self.origin, self.size, self.root.to_base64());
        for line in &self.extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

/// A checkpoint that a known key signed, with the note that shows it, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    note: Note,
    checkpoint: Checkpoint,
    signer_ids: Vec<Digest>,
}

impl SignedCheckpoint {
    /// Reads and verifies a checkpoint.
    ///
    /// Any one of `keys` is enough, so they are to be keys of this log alone: a witness vouches for a
    /// checkpoint, and does not make it the log's.
    ///
    /// # Errors
    /// [`CheckpointError`], where the note is not a checkpoint of `expected_origin` signed by one of `keys`.
    pub fn verify(
        note_bytes: &[u8],
        expected_origin: &str,
        keys: &[&NoteKey],
        verifier: &dyn SignatureVerifier,
    ) -> Result<Self, CheckpointError> {
        let note = Note::parse(note_bytes)?;
        let verified = note.verify(keys, verifier)?;
        let checkpoint = Checkpoint::parse(verified.text())?;
        if checkpoint.origin != expected_origin {
            return Err(CheckpointError::Origin {
                expected: expected_origin.to_owned(),
                found: checkpoint.origin,
            });
        }
        let signer_ids = verified.signers().iter().map(|key| key.id).collect();
        Ok(Self { note, checkpoint, signer_ids })
    }

    /// What the log signed.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note, byte for byte as it was read.
    pub const fn note(&self) -> &Note {
        &self.note
    }

    /// The whole IDs (`id` of [`NoteKey`]) of the keys whose signatures were verified.
    pub fn signer_ids(&self) -> &[Digest] {
        &self.signer_ids
    }
}

/// Whether an origin has Rekor v1's form, `<host> - <tree ID>`.
pub fn is_rekor_v1_origin(origin: &str) -> bool {
    rekor_v1_host(origin).is_some()
}

/// The host in an origin of Rekor v1's form: there, and only there, it is the key name instead of the origin.
pub fn rekor_v1_host(origin: &str) -> Option<&str> {
    let (host, tree_id) = origin.rsplit_once(" - ")?;
    (!tree_id.is_empty() && tree_id.bytes().all(|byte| byte.is_ascii_digit())).then_some(host)
}

fn parse_size(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (canonical && digits).then(|| text.parse().ok())?
}

fn check_line(line: &str) -> Result<(), CheckpointError> {
    if line.is_empty() {
        return Err(CheckpointError::Lines);
    }
    if line.bytes().any(|byte| byte < b' ') {
        return Err(CheckpointError::ControlCharacter);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{LocalSigner, RustCrypto, Signer as _};
    use crate::merkle::EMPTY_ROOT;
    use crate::note::sign_note;

    const TEXT: &str = "example.com/log\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    fn signed(name: &str, text: &str) -> (NoteKey, String) {
        let signer = LocalSigner::ed25519_from_random(&[5; 32]);
        let key = NoteKey::new(name, signer.public_key().clone());
        let note = sign_note(text, &key, &signer.sign(text.as_bytes()).unwrap()).unwrap();
        (key, note.as_str().to_owned())
    }

    #[test]
    fn checkpoints_survive_their_text() {
        for text in
            [TEXT.to_owned(), format!("{TEXT}Log frozen — now\nmore\n"), format!("a - b\n0{}", &TEXT[24..])]
        {
            assert_eq!(Checkpoint::parse(&text).unwrap().to_text(), text);
        }
        let parsed = Checkpoint::parse(TEXT).unwrap();
        assert_eq!((parsed.origin.as_str(), parsed.size), ("example.com/log", 20_852_163));
        let largest = TEXT.replace("20852163", &u64::MAX.to_string());
        assert_eq!(Checkpoint::parse(&largest).unwrap().size, u64::MAX);
    }

    #[test]
    fn texts_of_another_form_are_refused() {
        for size in ["", "01", "00", "+1", "-1", " 1", "1 ", "0x1", "18446744073709551616", "٣"] {
            let text = TEXT.replace("20852163", size);
            assert_eq!(Checkpoint::parse(&text), Err(CheckpointError::Size { found: size.to_owned() }));
        }
        for root in [
            "",
            "AAAA",
            "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I",
            "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=",
        ] {
            let text = format!("log\n1\n{root}\n");
            assert_eq!(Checkpoint::parse(&text), Err(CheckpointError::Root { found: root.to_owned() }));
        }
        let no_newline = &TEXT[..TEXT.len() - 1];
        let empty_origin = &TEXT["example.com/log".len()..];
        let (empty_line, two_lines) = (format!("{TEXT}\nx\n"), "log\n1\n".to_owned());
        for text in ["", "\n", no_newline, empty_origin, &empty_line, &two_lines] {
            assert_eq!(Checkpoint::parse(text), Err(CheckpointError::Lines), "{text:?}");
        }
        assert_eq!(Checkpoint::parse(&format!("\r{TEXT}")), Err(CheckpointError::ControlCharacter));
    }

    #[test]
    fn a_signed_checkpoint_keeps_its_bytes_and_signers() {
        let (key, note) = signed("example.com/log", TEXT);
        let signed =
            SignedCheckpoint::verify(note.as_bytes(), "example.com/log", &[&key], &RustCrypto).unwrap();
        assert_eq!(signed.note().as_str(), note);
        assert_eq!(signed.checkpoint().to_text(), TEXT);
        assert_eq!(signed.signer_ids(), [key.id]);
    }

    #[test]
    fn another_origin_is_refused() {
        let (key, note) = signed("example.com/log", TEXT);
        let other = SignedCheckpoint::verify(note.as_bytes(), "example.com/lo", &[&key], &RustCrypto);
        assert!(matches!(other, Err(CheckpointError::Origin { found, .. }) if found == "example.com/log"));
    }

    #[test]
    fn a_note_that_is_no_checkpoint_is_refused_although_signed() {
        let (key, note) = signed("log", "log\n1\n");
        let refused = SignedCheckpoint::verify(note.as_bytes(), "log", &[&key], &RustCrypto);
        assert_eq!(refused, Err(CheckpointError::Lines));
    }

    #[test]
    fn rekor_v1_origins_differ_from_their_key_name() {
        let origin = "rekor.sigstore.dev - 1193050959916656506";
        assert_eq!(rekor_v1_host(origin), Some("rekor.sigstore.dev"));
        for other in ["rekor.sigstore.dev", "log - ", "log - 12a", "log -12", "log - 1 - x"] {
            assert!(!is_rekor_v1_origin(other), "{other}");
        }
        let text =
            Checkpoint { origin: origin.to_owned(), size: 0, root: EMPTY_ROOT, extensions: Vec::new() };
        let (key, note) = signed("rekor.sigstore.dev", &text.to_text());
        assert!(SignedCheckpoint::verify(note.as_bytes(), origin, &[&key], &RustCrypto).is_ok());
    }
}
