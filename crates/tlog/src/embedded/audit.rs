//! All of the folder against the newest signed checkpoint: what batches do not read too.
//!
//! From the root down, each tile is compared with its hash in the tile above, so whatever was changed is named. The
//! hashes are all read, 32 bytes an entry. Of the entries themselves every bundle has to be there; in a log of more
//! than [`BUNDLES_READ`] of them, one in so many is read that about that many are, and each audit can read others.

use std::path::Path;

use provex_core::checkpoint::SignedCheckpoint;
use provex_core::digest::Digest;
use provex_core::merkle::{self, CompactRange};
use provex_core::tile::{self, FULL_WIDTH, TilePath};
use provex_core::trusted_root::TrustedLog;

use super::edge::frontier;
use super::error::FolderError;
use super::files::{self, Tiles};
use super::folder::{self, Checkpoints};

/// How many entry bundles are read, about.
const BUNDLES_READ: u64 = 256;
const WIDTH: u64 = FULL_WIDTH as u64;

/// What an audit found: a folder that holds every entry of its newest checkpoint.
#[derive(Debug, Clone)]
pub struct Audit {
    /// The newest signed checkpoint.
    pub newest: SignedCheckpoint,
    /// Whether the folder's file `checkpoint` is that one. After a crash it may be a batch behind; the next batch
    /// publishes the newest.
    pub published: bool,
    /// How many entry bundles there are.
    pub bundles: u64,
    /// How many of them were read, and not only found.
    pub bundles_read: u64,
}

/// Audits the folder; `None` where nothing was ever signed. `seed` chooses the bundles of a large log.
pub(super) fn audit(
    root: &Path,
    log: &TrustedLog,
    stored: Option<&[u8]>,
    seed: u64,
) -> Result<Option<Audit>, FolderError> {
    let Checkpoints { stored, filed } = Checkpoints::read(root, log, stored)?;
    let signed: Vec<_> = filed.iter().chain(&stored).collect();
    let Some(newest) = signed.iter().copied().max_by_key(|signed| signed.checkpoint().size) else {
        return Ok(None);
    };
    let size = newest.checkpoint().size;
    let bundles = size.div_ceil(WIDTH);
    let step = bundles.div_ceil(BUNDLES_READ).max(1);
    let mut walk = Walk { root, size, step, offset: seed % step, bundles_read: 0 };
    let behind = |error| folder::behind(root, size, error);
    walk.run(&newest.checkpoint().root).map_err(behind)?;
    let mut tiles = Tiles::new(root, size);
    for other in signed.iter().map(|signed| signed.checkpoint()).filter(|c| *c != newest.checkpoint()) {
        if tile::root(&mut tiles, other.size).map_err(|error| behind(error.into()))? != other.root {
            return Err(FolderError::Forked { path: root.to_owned(), size: other.size });
        }
    }
    files::check_beyond(root, size)?;
    let published = filed.as_ref().map(SignedCheckpoint::checkpoint) == Some(newest.checkpoint());
    Ok(Some(Audit { newest: newest.clone(), published, bundles, bundles_read: walk.bundles_read }))
}

/// A walk over the tiles of one tree.
struct Walk<'a> {
    root: &'a Path,
    size: u64,
    /// One bundle in so many is read,
    step: u64,
    /// from this one on.
    offset: u64,
    bundles_read: u64,
}

impl Walk<'_> {
    fn run(&mut self, root_hash: &Digest) -> Result<(), FolderError> {
        let edge = self.edge()?;
        // The complete subtrees, the largest first: those of the upper levels' tiles stand before the lower ones'.
        let subtrees = edge.iter().rev().flat_map(|(_, hashes)| frontier(hashes).hashes().to_vec());
        let frontier = CompactRange::from_parts(self.size, subtrees.collect());
        if frontier.map_err(|error| FolderError::Tiles(error.to_string()))?.root() != *root_hash {
            let names: Vec<_> = edge.iter().map(|(tile, _)| tile.to_string()).collect();
            return Err(FolderError::Tiles(format!("{} give another root", names.join(", "))));
        }
        edge.iter().try_for_each(|(tile, hashes)| self.descend(*tile, hashes))
    }

    /// The unfinished tile of each level: together they give the root.
    fn edge(&self) -> Result<Vec<(TilePath, Vec<Digest>)>, FolderError> {
        let hashes_at = |level: &u8| files::hashes_at(*level, self.size);
        let tiles = (0..).take_while(|level| hashes_at(level) > 0).filter_map(|level| {
            let (index, width) = (hashes_at(&level) / WIDTH, (hashes_at(&level) % WIDTH) as u16);
            (width > 0).then_some(TilePath { level, index, width })
        });
        tiles.map(|tile| Ok((tile, files::read_tile_or_full(self.root, tile)?))).collect()
    }

    /// Checks what lies below a tile that was checked itself.
    fn descend(&mut self, tile: TilePath, hashes: &[Digest]) -> Result<(), FolderError> {
        let Some(level) = tile.level.checked_sub(1) else { return self.bundle(tile, hashes) };
        for (index, expected) in (tile.index * WIDTH..).zip(hashes) {
            let below = TilePath { level, index, width: FULL_WIDTH };
            let hashes = files::read_tile(self.root, below)?;
            if frontier(&hashes).root() != *expected {
                return Err(FolderError::Tiles(format!("{below} was changed")));
            }
            self.descend(below, &hashes)?;
        }
        Ok(())
    }

    fn bundle(&mut self, tile: TilePath, hashes: &[Digest]) -> Result<(), FolderError> {
        if tile.index % self.step != self.offset {
            return files::find_bundle(self.root, tile.index, tile.width);
        }
        self.bundles_read += 1;
        let entries = files::read_bundle_or_full(self.root, tile.index, tile.width)?;
        if entries.iter().map(|entry| merkle::leaf_hash(entry)).eq(hashes.iter().copied()) {
            return Ok(());
        }
        Err(FolderError::Tiles(format!("{} was changed", tile::entries_path(tile.index, tile.width))))
    }
}
