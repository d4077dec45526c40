//! The inclusion and consistency proofs of transparency-dev/merkle, and the known roots of RFC 6962 trees.

#![allow(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use std::fs;
use std::path::{Path, PathBuf};

use provex_core::digest::{self, Digest};
use provex_core::merkle::{CompactRange, ProofError, Tree, leaf_hash, verify_consistency, verify_inclusion};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Inclusion {
    leaf_idx: u64,
    tree_size: u64,
    root: String,
    leaf_hash: String,
    proof: Option<Vec<String>>,
    desc: String,
    want_err: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Consistency {
    size1: u64,
    size2: u64,
    root1: String,
    root2: String,
    proof: Option<Vec<String>>,
    desc: String,
    want_err: bool,
}

/// Every file below `testdata/merkle/<kind>`.
fn files(kind: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/merkle").join(kind)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

/// The hash that a vector means. A placeholder of another length stands for its own SHA-256.
fn hash(text: &str) -> Digest {
    let bytes = digest::from_base64(text).unwrap();
    <[u8; 32]>::try_from(&bytes[..]).map_or_else(|_| Digest::of(&bytes), Digest::from_bytes)
}

/// The hash of a root or leaf. An empty one is none, and cannot be given to a verifier at all.
fn known(text: &str) -> Option<Digest> {
    (!text.is_empty()).then(|| hash(text))
}

fn path(proof: Option<&Vec<String>>) -> Vec<Digest> {
    proof.into_iter().flatten().map(|text| hash(text)).collect()
}

/// Whether the vector's own proof is taken. None with one bit changed may be.
fn accepted(proof: &[Digest], verify: impl Fn(&[Digest]) -> Result<(), ProofError>) -> bool {
    for position in 0..proof.len() {
        let mut mutated = proof.to_vec();
        let mut bytes = *mutated[position].as_bytes();
        bytes[31] ^= 1;
        mutated[position] = Digest::from_bytes(bytes);
        assert!(verify(&mutated).is_err());
    }
    verify(proof).is_ok()
}

#[test]
fn inclusion_vectors_are_decided_as_they_want() {
    let files = files("inclusion");
    assert_eq!(files.len(), 98);
    for file in files {
        let vector: Inclusion = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let taken = match (known(&vector.leaf_hash), known(&vector.root)) {
            (Some(leaf), Some(root)) => accepted(&path(vector.proof.as_ref()), |path| {
                verify_inclusion(vector.leaf_idx, vector.tree_size, &leaf, path, &root)
            }),
            _ => false,
        };
        assert_eq!(taken, !vector.want_err, "{}: {}", file.display(), vector.desc);
    }
}

#[test]
fn consistency_vectors_are_decided_as_they_want() {
    let files = files("consistency");
    assert_eq!(files.len(), 98);
    for file in files {
        let vector: Consistency = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let taken = match (known(&vector.root1), known(&vector.root2)) {
            (Some(old), Some(new)) => accepted(&path(vector.proof.as_ref()), |path| {
                verify_consistency(vector.size1, &old, vector.size2, &new, path)
            }),
            _ => false,
        };
        assert_eq!(taken, !vector.want_err, "{}: {}", file.display(), vector.desc);
    }
}

/// The eight leaves of Certificate Transparency's reference tests, and the root of each prefix.
#[test]
fn reference_leaves_have_their_known_roots() {
    let leaves = [
        &b""[..],
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut range = CompactRange::new();
    let mut hashes = Vec::new();
    for (leaf, root) in leaves.iter().zip(roots) {
        range.append(leaf_hash(leaf));
        hashes.push(leaf_hash(leaf));
        assert_eq!(range.root().to_hex(), root);
        assert_eq!(Tree::new(hashes.clone()).root().to_hex(), root);
    }
}
