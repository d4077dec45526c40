//! Two logs of a real Rekor v2 server: checkpoints, tiles, entry bundles and answers have to fit together.

#![allow(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use std::path::{Path, PathBuf};
use std::{fs, io};

use provex_core::checkpoint::SignedCheckpoint;
use provex_core::digest::{self, Digest};
use provex_core::keys::{PublicKey, RustCrypto};
use provex_core::merkle::{leaf_hash, verify_consistency, verify_inclusion};
use provex_core::note::NoteKey;
use provex_core::tile::{
    TilePath, TileReader, consistency_proof, decode_entries, decode_hashes, encode_entries, encode_hashes,
    entries_path, inclusion_proof, root, tiles_of_new_leaves,
};
use serde_json::Value;

/// One log: what `vectors.json` says of it, and its folder.
struct Log {
    origin: String,
    key: NoteKey,
    notes: Vec<String>,
    tiles: Folder,
}

/// A log's folder as a reader of tiles, which may change one bit of what it reads.
struct Folder {
    path: PathBuf,
    flip: Option<(u8, u64, usize)>,
}

impl TileReader for Folder {
    type Error = io::Error;

    fn hashes(&mut self, tile: TilePath) -> io::Result<Vec<Digest>> {
        let mut bytes = self.read(&tile.to_string(), &TilePath { width: 256, ..tile }.to_string())?;
        if let Some((level, index, hash)) = self.flip
            && (level, index) == (tile.level, tile.index)
        {
            bytes[hash * 32] ^= 1;
        }
        decode_hashes(&bytes).map_err(io::Error::other)
    }
}

impl Folder {
    /// A file, or the full one in place of a partial one that is gone.
    fn read(&self, partial: &str, full: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path.join(partial)).or_else(|_| fs::read(self.path.join(full)))
    }

    fn entries(&self, tile: TilePath) -> Vec<Vec<u8>> {
        let (index, width) = (tile.index, tile.width);
        let bundle = self.read(&entries_path(index, width), &entries_path(index, 256)).unwrap();
        let entries: Vec<_> = decode_entries(&bundle).unwrap().into_iter().map(<[u8]>::to_vec).collect();
        assert_eq!(encode_entries(&entries).unwrap(), bundle);
        entries
    }
}

impl Log {
    /// The log's checkpoints by size, each verified.
    fn checkpoints(&self) -> Vec<SignedCheckpoint> {
        self.notes.iter().map(|note| self.verify(note.as_bytes()).unwrap()).collect()
    }

    fn verify(&self, note: &[u8]) -> Option<SignedCheckpoint> {
        SignedCheckpoint::verify(note, &self.origin, &[&self.key], &RustCrypto).ok()
    }

    fn leaves(&self) -> Vec<Digest> {
        let size = self.checkpoints().last().unwrap().checkpoint().size;
        let tiles = tiles_of_new_leaves(0, size).filter(|tile| tile.level == 0);
        tiles.flat_map(|tile| self.tiles.entries(tile)).map(|entry| leaf_hash(&entry)).collect()
    }
}

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/rekor-v2")
}

fn vectors() -> Value {
    serde_json::from_slice(&fs::read(testdata().join("vectors.json")).unwrap()).unwrap()
}

fn logs() -> [Log; 2] {
    ["log1", "log2"].map(|name| {
        let vectors = vectors();
        let origin = format!("{name}.rekor.test");
        let log = vectors["logs"].as_array().unwrap().iter().find(|log| log["origin"] == origin).unwrap();
        let key = PublicKey::from_pem(log["public_key_pem"].as_str().unwrap()).unwrap();
        let notes = log["checkpoints"].as_array().unwrap();
        Log {
            key: NoteKey::new(&origin, key),
            origin,
            notes: notes.iter().map(|note| note.as_str().unwrap().to_owned()).collect(),
            tiles: Folder { path: testdata().join(name), flip: None },
        }
    })
}

fn flipped(hash: &Digest) -> Digest {
    let mut bytes = *hash.as_bytes();
    bytes[0] ^= 0x80;
    Digest::from_bytes(bytes)
}

/// The path with one hash changed, for each hash.
fn mutations(path: &[Digest]) -> impl Iterator<Item = Vec<Digest>> {
    (0..path.len()).map(|position| {
        let mut path = path.to_vec();
        path[position] = flipped(&path[position]);
        path
    })
}

#[test]
fn every_checkpoint_verifies_and_none_with_a_changed_byte() {
    let [log1, log2] = logs();
    assert_eq!((log1.notes.len(), log2.notes.len()), (5, 3));
    for log in [&log1, &log2] {
        for note in &log.notes {
            let signed = log.verify(note.as_bytes()).unwrap();
            assert_eq!(signed.note().as_str(), note);
            assert_eq!(format!("{}\n", signed.checkpoint().to_text()), note[..note.find('—').unwrap()]);
            for position in 0..note.len() {
                let mut bytes = note.clone().into_bytes();
                bytes[position] ^= 1;
                assert!(log.verify(&bytes).is_none(), "byte {position}");
            }
        }
        let published = fs::read(log.tiles.path.join("checkpoint")).unwrap();
        assert_eq!(log.verify(&published), log.checkpoints().pop());
    }
    assert!(log1.verify(log2.notes[0].as_bytes()).is_none());
}

#[test]
fn log_ids_are_the_hashes_of_the_keys() {
    let [log1, _] = logs();
    let cases = vectors()["cases"].clone();
    let created: Value = serde_json::from_str(cases[0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(created["logId"]["keyId"], log1.key.id.to_base64());
}

#[test]
fn tiles_give_the_signed_roots_and_no_others_do() {
    for mut log in logs() {
        for signed in log.checkpoints() {
            let checkpoint = signed.checkpoint();
            assert_eq!(root(&mut log.tiles, checkpoint.size).unwrap(), checkpoint.root);
            let count = (checkpoint.size % 256) as usize;
            for hash in 0..count {
                log.tiles.flip = Some((0, checkpoint.size / 256, hash));
                assert_ne!(root(&mut log.tiles, checkpoint.size).unwrap(), checkpoint.root);
            }
            log.tiles.flip = None;
        }
    }
}

#[test]
fn entry_bundles_hash_to_the_leaf_tiles() {
    for mut log in logs() {
        let size = log.checkpoints().last().unwrap().checkpoint().size;
        for tile in tiles_of_new_leaves(0, size).filter(|tile| tile.level == 0) {
            let hashes = log.tiles.hashes(tile).unwrap();
            let entries = log.tiles.entries(tile);
            assert_eq!(entries.len(), usize::from(tile.width));
            assert!(entries.iter().map(|entry| leaf_hash(entry)).eq(hashes.iter().copied()));
            for (entry, hash) in entries.into_iter().zip(hashes) {
                let mut changed = entry;
                changed[0] ^= 1;
                assert_ne!(leaf_hash(&changed), hash);
            }
        }
    }
}

/// Every tile that the log wrote for its last size is the one we would write.
#[test]
fn tiles_encode_to_the_bytes_of_the_server() {
    for mut log in logs() {
        let size = log.checkpoints().last().unwrap().checkpoint().size;
        for tile in tiles_of_new_leaves(0, size) {
            let bytes = fs::read(log.tiles.path.join(tile.to_string())).unwrap();
            assert_eq!(encode_hashes(&log.tiles.hashes(tile).unwrap()).unwrap(), bytes);
        }
    }
}

#[test]
fn all_checkpoints_are_consistent_and_no_changed_proof_shows_it() {
    for mut log in logs() {
        let checkpoints = log.checkpoints();
        for (position, new) in checkpoints.iter().map(SignedCheckpoint::checkpoint).enumerate() {
            for old in checkpoints[..=position].iter().map(SignedCheckpoint::checkpoint) {
                if old.size == 0 {
                    assert!(consistency_proof(&mut log.tiles, 0, new.size).is_err());
                    continue;
                }
                let path = consistency_proof(&mut log.tiles, old.size, new.size).unwrap();
                let verify = |old_root: &Digest, new_root: &Digest, path: &[Digest]| {
                    verify_consistency(old.size, old_root, new.size, new_root, path)
                };
                assert_eq!(verify(&old.root, &new.root, &path), Ok(()));
                assert!(verify(&flipped(&old.root), &new.root, &path).is_err());
                assert!(verify(&old.root, &flipped(&new.root), &path).is_err());
                assert!(mutations(&path).all(|path| verify(&old.root, &new.root, &path).is_err()));
            }
        }
    }
}

#[test]
fn every_entry_is_included_and_no_changed_proof_shows_it() {
    for mut log in logs() {
        let last = log.checkpoints().pop().unwrap();
        let (size, root) = (last.checkpoint().size, last.checkpoint().root);
        let leaves = log.leaves();
        assert_eq!(leaves.len() as u64, size);
        for (index, leaf) in (0..).zip(&leaves) {
            let path = inclusion_proof(&mut log.tiles, index, size).unwrap();
            assert_eq!(verify_inclusion(index, size, leaf, &path, &root), Ok(()));
            assert!(verify_inclusion(index, size, &flipped(leaf), &path, &root).is_err());
            assert!(verify_inclusion(index ^ 1, size, leaf, &path, &root).is_err());
            assert!(mutations(&path).all(|path| verify_inclusion(index, size, leaf, &path, &root).is_err()));
        }
    }
}

#[test]
fn answers_hold_the_proof_that_the_tiles_give() {
    let [mut log1, mut log2] = logs();
    let vectors = vectors();
    let created = vectors["cases"].as_array().unwrap().iter().filter(|case| case["status"] == 201);
    let mut count = 0;
    for case in created {
        let answer: Value = serde_json::from_str(case["body"].as_str().unwrap()).unwrap();
        let (text, number) = (
            |value: &Value| value.as_str().unwrap().to_owned(),
            |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap(),
        );
        let proof = &answer["inclusionProof"];
        let note = text(&proof["checkpoint"]["envelope"]);
        let log = if note.starts_with(&log1.origin) { &mut log1 } else { &mut log2 };
        let signed = log.verify(note.as_bytes()).unwrap();
        let (size, root) = (signed.checkpoint().size, signed.checkpoint().root);
        assert_eq!((number(&proof["treeSize"]), text(&proof["rootHash"])), (size, root.to_base64()));
        let hashes = proof["hashes"].as_array().unwrap().iter();
        let path: Vec<_> = hashes.map(|hash| Digest::from_base64(&text(hash)).unwrap()).collect();
        let index = number(&proof["logIndex"]);
        let leaf = leaf_hash(&digest::from_base64(&text(&answer["canonicalizedBody"])).unwrap());
        assert_eq!(verify_inclusion(index, size, &leaf, &path, &root), Ok(()));
        assert_eq!(inclusion_proof(&mut log.tiles, index, size).unwrap(), path);
        count += 1;
    }
    assert_eq!(count, 10);
}
