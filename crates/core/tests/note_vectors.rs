//! The example of C2SP signed-note, key IDs that rekor-tiles expects, and notes of Go's `sumdb/note`.

#![allow(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use provex_core::digest::hex;
use provex_core::keys::{PublicKey, RustCrypto};
use provex_core::note::{Note, NoteError, NoteKey, NoteKeyError};

/// C2SP signed-note, "Verifier keys", "Example".
const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const NOTE: &str = "This is an example message.\n\n\
    — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

/// golang.org/x/mod, `sumdb/note`, the example of its documentation.
const GO_VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\
    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

/// The public halves of the keys in rekor-tiles, `pkg/note/note_test.go`.
const TILES_ED25519: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAREvJyNZGjX6B3DAIuD3BTg9rIwV00GY8Xg5FU+IFDUQ=
-----END PUBLIC KEY-----
";
const TILES_P256: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeLw7gX40qy1z7JUhGMAaaDITbV7p
2D+C5G9xPEsy/PVAo9H0mgS4NYzpGirkXxBht+IvvL19WR1X9ANXha5ldQ==
-----END PUBLIC KEY-----
";

/// The public key of the public Rekor v1.
const REKOR_V1: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2G2Y+2tabdTV5BcGiBIx0a9fAFwr
kBbmLSGtks4L3qX6yYY0zufBnhC8Ur/iy55GhWP/9A/bY2LhC30M9+RYtw==
-----END PUBLIC KEY-----
";

fn verify(vkey: &str, note: &str) -> Result<(), NoteError> {
    let key = NoteKey::parse_vkey(vkey).unwrap();
    Note::parse(note.as_bytes())?.verify(&[&key], &RustCrypto).map(|_| ())
}

#[test]
fn published_notes_verify_by_their_published_keys() {
    for (vkey, note) in [(VKEY, NOTE), (GO_VKEY, GO_NOTE)] {
        assert_eq!(verify(vkey, note), Ok(()));
        assert_eq!(NoteKey::parse_vkey(vkey).unwrap().to_vkey(), vkey);
    }
}

#[test]
fn published_notes_with_any_byte_changed_are_refused() {
    for (vkey, note) in [(VKEY, NOTE), (GO_VKEY, GO_NOTE)] {
        for position in 0..note.len() {
            let mut bytes = note.as_bytes().to_vec();
            bytes[position] ^= 1;
            let key = NoteKey::parse_vkey(vkey).unwrap();
            let verified = Note::parse(&bytes).and_then(|n| n.verify(&[&key], &RustCrypto).map(|_| ()));
            assert!(verified.is_err(), "byte {position}");
        }
    }
}

#[test]
fn notes_are_refused_by_the_other_key() {
    assert_eq!(verify(GO_VKEY, NOTE), Err(NoteError::NoKnownSignature));
    let renamed = NOTE.replace("example.com/foo", "example.com/bar");
    assert_eq!(verify(VKEY, &renamed), Err(NoteError::NoKnownSignature));
}

#[test]
fn verifier_keys_with_another_id_are_refused() {
    let vkey = VKEY.replace("530d903a", "530d903b");
    let computed = [0x53, 0x0d, 0x90, 0x3a];
    assert_eq!(NoteKey::parse_vkey(&vkey), Err(NoteKeyError::Id { computed }));
    assert!(NoteKey::parse_vkey(&VKEY.replace("530d903a", "530D903A")).is_err());
}

#[test]
fn key_ids_are_those_that_rekor_tiles_and_rekor_expect() {
    let id = |pem: &str| NoteKey::new("testkey", PublicKey::from_pem(pem).unwrap()).key_id();
    assert_eq!(u32::from_be_bytes(id(TILES_ED25519)), 3_839_787_747);
    assert_eq!(u32::from_be_bytes(id(TILES_P256)), 2_408_765_216);
    let v1 = NoteKey::rekor_v1("rekor.sigstore.dev", PublicKey::from_pem(REKOR_V1).unwrap());
    assert_eq!(hex(&v1.key_id()), "c0d23d6a");
    assert_eq!(id(REKOR_V1), v1.key_id());
}
