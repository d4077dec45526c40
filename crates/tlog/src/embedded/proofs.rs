//! Inclusion proofs for many leaves of one tree.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use provex_core::digest::Digest;
use provex_core::merkle::{ProofError, Tree};
use provex_core::tile::{self, FULL_WIDTH, TilePath, TileProofError, TileReader};

/// Makes inclusion proofs. The leaves of a tile are a subtree of their own, so that their proofs differ within the
/// tile only: what is above it is read once, else a batch would hash some 500 nodes for each of its leaves.
pub(super) struct Proofs<R> {
    reader: R,
    size: u64,
    /// For each tile its tree, and the rest of the path from there to the root.
    tiles: HashMap<u64, (Tree, Vec<Digest>)>,
}

impl<R: TileReader> Proofs<R> {
    pub(super) fn new(reader: R, size: u64) -> Self {
        Self { reader, size, tiles: HashMap::new() }
    }

    /// The proof of one leaf (RFC 9162 section 2.1.3.1).
    pub(super) fn inclusion(&mut self, index: u64) -> Result<Vec<Digest>, TileProofError<R::Error>> {
        if index >= self.size {
            return Err(ProofError::IndexOutOfRange { index, size: self.size }.into());
        }
        let tile_index = index / u64::from(FULL_WIDTH);
        let first = tile_index * u64::from(FULL_WIDTH);
        let (tree, above) = match self.tiles.entry(tile_index) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let width = (self.size - first).min(u64::from(FULL_WIDTH)) as u16;
                let tile = TilePath { level: 0, index: tile_index, width };
                let hashes = self.reader.hashes(tile);
                let tree = Tree::new(hashes.map_err(|source| TileProofError::Read { tile, source })?);
                let mut above = tile::inclusion_proof(&mut self.reader, first, self.size)?;
                above.drain(..tree.inclusion_path(0)?.len());
                place.insert((tree, above))
            }
        };
        Ok([tree.inclusion_path(index - first)?, above.clone()].concat())
    }
}

#[cfg(test)]
mod tests {
    use provex_core::merkle;

    use super::*;

    /// The tiles of a tree, cut by tlog-tiles' own formula from its leaves.
    fn tiles(leaves: &[Digest]) -> HashMap<TilePath, Vec<Digest>> {
        let mut tiles = HashMap::new();
        let mut hashes = leaves.to_vec();
        for level in 0.. {
            for (index, tile) in (0..).zip(hashes.chunks(256)) {
                tiles.insert(TilePath { level, index, width: tile.len() as u16 }, tile.to_vec());
            }
            hashes = hashes.as_chunks::<256>().0.iter().map(|full| Tree::new(full.to_vec()).root()).collect();
            if hashes.is_empty() {
                return tiles;
            }
        }
        tiles
    }

    fn check(leaves: &[Digest], indexes: impl Iterator<Item = u64>) {
        let size = leaves.len() as u64;
        let tree = Tree::new(leaves.to_vec());
        let mut proofs = Proofs::new(tiles(leaves), size);
        for index in indexes {
            assert_eq!(
                proofs.inclusion(index).unwrap(),
                tree.inclusion_path(index).unwrap(),
                "{index} of {size}"
            );
        }
        assert!(proofs.inclusion(size).is_err());
    }

    #[test]
    fn proofs_are_those_of_the_whole_tree() {
        let leaves: Vec<_> = (0..65_793_u64).map(|n| merkle::leaf_hash(&n.to_be_bytes())).collect();
        for size in 1..=600 {
            check(&leaves[..size], 0..size as u64);
        }
        for size in [65_535, 65_536, 65_793] {
            check(&leaves[..size], (0..size as u64).step_by(251).chain([size as u64 - 1]));
        }
    }
}
