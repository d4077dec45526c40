//! The right edge of the tree: all that the next leaf is added to.

use std::path::Path;

use provex_core::digest::Digest;
use provex_core::merkle::{self, CompactRange};
use provex_core::tile::{self, FULL_WIDTH, TilePath};

use super::error::FolderError;
use super::files::{self, NewFiles};
use super::folder::Leaf;

/// The right edge of the tree.
#[derive(Debug, Clone, Default)]
pub(super) struct Edge {
    range: CompactRange,
    /// The hashes of each level's unfinished tile.
    tiles: Vec<Vec<Digest>>,
    /// The entries of the unfinished bundle.
    bundle: Vec<Vec<u8>>,
}

impl Edge {
    /// Reads the edge of the tree that has this frontier: its very tiles, and nothing in their place.
    pub(super) fn read(root: &Path, range: CompactRange) -> Result<Self, FolderError> {
        let mut edge = Self { range, ..Self::default() };
        for level in 0.. {
            let hashes = files::hashes_at(level, edge.range.size());
            if hashes == 0 {
                break;
            }
            let (index, width) = (hashes / u64::from(FULL_WIDTH), (hashes % u64::from(FULL_WIDTH)) as u16);
            let tile = TilePath { level, index, width };
            edge.tiles.push(if width == 0 { Vec::new() } else { files::read_tile(root, tile)? });
            if level == 0 && width > 0 {
                edge.bundle = files::read_bundle(root, index, width)?;
            }
        }
        edge.check()?;
        Ok(edge)
    }

    /// The next batch copies tiles and bundle into its own: nothing that was changed here may spread.
    fn check(&self) -> Result<(), FolderError> {
        let subtrees = self.tiles.iter().rev().flat_map(|tile| frontier(tile).hashes().to_vec());
        if !subtrees.eq(self.range.hashes().iter().copied()) {
            return Err(FolderError::Tiles("the unfinished tiles are not those of its leaves".to_owned()));
        }
        let leaves = self.bundle.iter().map(|entry| merkle::leaf_hash(entry));
        if !leaves.eq(self.tiles.first().into_iter().flatten().copied()) {
            return Err(FolderError::Tiles("the unfinished bundle is not that of its tile".to_owned()));
        }
        Ok(())
    }

    /// The frontier.
    pub(super) fn range(&self) -> &CompactRange {
        &self.range
    }

    /// Adds a leaf; each tile that it fills is written.
    pub(super) fn push(&mut self, leaf: &Leaf, files: &mut NewFiles<'_>) -> Result<(), FolderError> {
        let mut index = self.range.size();
        let mut hash = leaf.hash;
        self.range.append(hash);
        self.bundle.push(leaf.body.clone());
        for level in 0.. {
            if self.tiles.len() == usize::from(level) {
                self.tiles.push(Vec::new());
            }
            let tile = &mut self.tiles[usize::from(level)];
            tile.push(hash);
            if tile.len() < usize::from(FULL_WIDTH) {
                break;
            }
            index /= u64::from(FULL_WIDTH);
            files.write_tile(TilePath { level, index, width: FULL_WIDTH }, tile)?;
            if level == 0 {
                files.write_bundle(index, FULL_WIDTH, &self.bundle)?;
                self.bundle.clear();
            }
            hash = frontier(tile).root();
            tile.clear();
        }
        Ok(())
    }

    /// Writes the unfinished tiles that the leaves since `old_size` changed.
    pub(super) fn write_partials(&self, old_size: u64, files: &mut NewFiles<'_>) -> Result<(), FolderError> {
        for path in tile::tiles_of_new_leaves(old_size, self.range.size()).filter(|p| p.width < FULL_WIDTH) {
            files.write_tile(path, &self.tiles[usize::from(path.level)])?;
            if path.level == 0 {
                files.write_bundle(path.index, path.width, &self.bundle)?;
            }
        }
        Ok(())
    }
}

/// The frontier of the tree over these hashes.
pub(super) fn frontier(hashes: &[Digest]) -> CompactRange {
    let mut range = CompactRange::new();
    hashes.iter().for_each(|hash| range.append(*hash));
    range
}
