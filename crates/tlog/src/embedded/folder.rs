//! The log's folder: C2SP tlog-tiles as files, written under a lock.
//!
//! The newest signed checkpoint, of the [`super::CheckpointStore`] or of the folder, decides what the log is. Tiles
//! beyond it are what a crash left of a batch that was never published: they are removed. A folder that has less
//! than that checkpoint, or another root at its size, is refused.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use provex_core::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use provex_core::digest::Digest;
use provex_core::entry::{
    HASHEDREKORD, HASHEDREKORD_VERSION, HashedRekord, InclusionProof, LogEntry, MAX_BODY,
};
use provex_core::keys::{RustCrypto, Signer, SigningError};
use provex_core::merkle::{self, CompactRange};
use provex_core::note::{self, NoteError};
use provex_core::tile::{self, FULL_WIDTH, TileError, TilePath, TileReader};
use provex_core::trusted_root::TrustedLog;

use crate::LogError;

/// Why the folder cannot be read or written as the log that it should be.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The operating system's word.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was said.
        source: io::Error,
    },
    /// An entry that no tiled log can hold.
    #[error("the entry has {length} bytes; a tiled log holds up to {MAX_BODY}")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// A checkpoint that this log did not sign.
    #[error("{place} is not this log's: {source}")]
    ForeignCheckpoint {
        /// Where it stands.
        place: &'static str,
        /// Why it does not verify.
        source: CheckpointError,
    },
    /// Less is there than was once signed.
    #[error(
        "the log folder {} does not hold the {size} entries of its newest checkpoint: {reason}. It was changed, or \
         restored from an older copy. Entries logged so far keep verifying from their bundles; bring back the folder \
         of that checkpoint, or begin a new log under a new key and origin",
        path.display()
    )]
    Behind {
        /// The folder.
        path: PathBuf,
        /// Entries of the newest checkpoint.
        size: u64,
        /// What is missing or different.
        reason: String,
    },
    /// Two checkpoints of one size and different roots.
    #[error(
        "the folder {} and the database hold two checkpoints of size {size} with different roots: the log was \
         forked. Begin a new log under a new key and origin",
        path.display()
    )]
    Forked {
        /// The folder.
        path: PathBuf,
        /// Their size.
        size: u64,
    },
    /// The log's key cannot sign.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// A note that cannot be made.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Tiles that do not give a proof.
    #[error("the log's tiles give no proof: {0}")]
    Tiles(String),
}

/// One leaf to be logged.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    body: Vec<u8>,
    hash: Digest,
}

impl Leaf {
    pub(super) fn of(entry: &HashedRekord) -> Result<Self, LogError> {
        let body = entry.body();
        if body.len() > MAX_BODY {
            return Err(FolderError::TooLong { length: body.len() }.into());
        }
        let hash = merkle::leaf_hash(&body);
        Ok(Self { body, hash })
    }
}

/// What is known of a folder between two batches.
pub(super) struct Folder {
    path: PathBuf,
    checkpoint: Option<SignedCheckpoint>,
    edge: Edge,
    /// The index of every leaf hash that was read so far.
    known: HashMap<Digest, u64>,
}

/// The right edge of the tree: what the next leaf is added to.
#[derive(Debug, Clone, Default)]
struct Edge {
    range: CompactRange,
    /// The hashes of each level's unfinished tile.
    tiles: Vec<Vec<Digest>>,
    /// The entries of the unfinished bundle.
    bundle: Vec<Vec<u8>>,
}

/// A folder whose lock this process holds.
pub(super) struct LockedFolder {
    folder: Folder,
    edge: Edge,
    _lock: File,
}

impl Folder {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path, checkpoint: None, edge: Edge::default(), known: HashMap::new() }
    }

    /// Waits for the lock, which ends with this process at the latest.
    pub(super) fn lock(self) -> Result<LockedFolder, FolderError> {
        fs::create_dir_all(&self.path).map_err(at(&self.path))?;
        let path = self.path.join(".lock");
        let lock = File::options().create(true).append(true).open(&path).map_err(at(&path))?;
        lock.lock().map_err(at(&path))?;
        let edge = self.edge.clone();
        Ok(LockedFolder { folder: self, edge, _lock: lock })
    }
}

impl LockedFolder {
    /// Brings folder and memory to the newest signed checkpoint. `true` if there is none yet.
    pub(super) fn recover(&mut self, stored: Option<&[u8]>, log: &TrustedLog) -> Result<bool, FolderError> {
        let stored = stored.map(|note| verify(note, log, "the checkpoint in the database")).transpose()?;
        let path = self.folder.path.join("checkpoint");
        let filed = match fs::read(&path) {
            Ok(note) => Some(verify(&note, log, "the file `checkpoint` of the log folder")?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(at(&path)(error)),
        };
        let behind = match (&stored, &filed) {
            (Some(stored), Some(filed)) => stored.checkpoint().size > filed.checkpoint().size,
            (stored, filed) => stored.is_some() && filed.is_none(),
        };
        let Some(newest) = self.newest(stored, filed)? else { return Ok(true) };
        let seen = self.folder.checkpoint.as_ref().map(SignedCheckpoint::checkpoint);
        if seen != Some(newest.checkpoint()) {
            self.load(newest.checkpoint())?;
        }
        if behind {
            // The crash came between store and file: the tiles were durable before either.
            write_checkpoint(&self.folder.path, &newest)?;
        }
        self.folder.checkpoint = Some(newest);
        Ok(false)
    }

    fn newest(
        &self,
        stored: Option<SignedCheckpoint>,
        filed: Option<SignedCheckpoint>,
    ) -> Result<Option<SignedCheckpoint>, FolderError> {
        let (Some(a), Some(b)) = (&stored, &filed) else { return Ok(stored.or(filed)) };
        let (a, b) = (a.checkpoint(), b.checkpoint());
        if a.size == b.size && a.root != b.root {
            return Err(FolderError::Forked { path: self.folder.path.clone(), size: a.size });
        }
        Ok(if a.size > b.size { stored } else { filed })
    }

    /// Reads the right edge at the checkpoint's size and removes what lies beyond it.
    fn load(&mut self, checkpoint: &Checkpoint) -> Result<(), FolderError> {
        let root = self.folder.path.clone();
        discard_beyond(&root, checkpoint.size)?;
        let behind =
            |reason: String| FolderError::Behind { path: root.clone(), size: checkpoint.size, reason };
        let edge = Edge::read(&root, checkpoint.size).map_err(|error| behind(error.to_string()))?;
        if edge.range.root() != checkpoint.root {
            return Err(behind("its tiles give another root".to_owned()));
        }
        if (self.folder.known.len() as u64) > checkpoint.size {
            self.folder.known.clear();
        }
        self.edge = edge;
        Ok(())
    }

    /// Appends the leaves that are not in the log yet: each one's index, and whether the log grew. The tiles are
    /// durable when this returns.
    pub(super) fn append(&mut self, leaves: Vec<Leaf>) -> Result<(Vec<(Leaf, u64)>, bool), FolderError> {
        self.learn_leaves()?;
        let before = self.edge.range.size();
        let mut files = Files::new(&self.folder.path);
        let mut placed = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            let next = self.edge.range.size();
            let index = *self.folder.known.entry(leaf.hash).or_insert(next);
            if index == next {
                self.edge.push(&leaf, &mut files)?;
            }
            placed.push((leaf, index));
        }
        let size = self.edge.range.size();
        if size > before {
            self.edge.write_partials(before, &mut files)?;
            files.sync()?;
        }
        Ok((placed, size > before))
    }

    /// Signs the checkpoint of what was appended.
    pub(super) fn sign_checkpoint(
        &self,
        log: &TrustedLog,
        signer: &dyn Signer,
    ) -> Result<SignedCheckpoint, FolderError> {
        let checkpoint = Checkpoint {
            origin: log.origin().to_owned(),
            size: self.edge.range.size(),
            root: self.edge.range.root(),
            extensions: Vec::new(),
        };
        let text = checkpoint.to_text();
        let note = note::sign_note(&text, &log.key, &signer.sign(text.as_bytes())?)?;
        verify(note.as_str().as_bytes(), log, "the checkpoint just signed")
    }

    /// Publishes a checkpoint that the store keeps already.
    pub(super) fn publish(&mut self, checkpoint: SignedCheckpoint) -> Result<(), FolderError> {
        write_checkpoint(&self.folder.path, &checkpoint)?;
        self.folder.checkpoint = Some(checkpoint);
        Ok(())
    }

    /// The answers: each leaf's entry under the newest checkpoint.
    pub(super) fn entries(
        &self,
        leaves: &[(Leaf, u64)],
        log: &TrustedLog,
    ) -> Result<Vec<LogEntry>, FolderError> {
        let Some(signed) = &self.folder.checkpoint else { return Ok(Vec::new()) };
        let checkpoint = signed.checkpoint();
        let mut tiles = FolderTiles::new(&self.folder.path);
        let entry = |(leaf, index): &(Leaf, u64)| {
            let hashes = tile::inclusion_proof(&mut tiles, *index, checkpoint.size)
                .map_err(|error| FolderError::Tiles(error.to_string()))?;
            Ok(LogEntry {
                log_index: *index,
                log_id: log.id,
                kind: HASHEDREKORD.to_owned(),
                version: HASHEDREKORD_VERSION.to_owned(),
                integrated_time: None,
                signed_entry_timestamp: None,
                inclusion: InclusionProof {
                    log_index: *index,
                    root: checkpoint.root,
                    tree_size: checkpoint.size,
                    hashes,
                    checkpoint: signed.note().as_str().to_owned(),
                },
                canonicalized_body: leaf.body.clone(),
            })
        };
        leaves.iter().map(entry).collect()
    }

    /// Gives the lock back.
    pub(super) fn unlock(self) -> Folder {
        Folder { edge: self.edge, ..self.folder }
    }

    /// Reads the leaf hashes that were not read yet: an entry that is there is not logged again.
    fn learn_leaves(&mut self) -> Result<(), FolderError> {
        let size = self.edge.range.size();
        let mut index = self.folder.known.len() as u64;
        let mut tiles = FolderTiles::new(&self.folder.path);
        while index < size {
            let tile_index = index / u64::from(FULL_WIDTH);
            let first = tile_index * u64::from(FULL_WIDTH);
            let width = (size - first).min(u64::from(FULL_WIDTH));
            let tile = TilePath { level: 0, index: tile_index, width: width as u16 };
            for (leaf, hash) in (first..first + width).zip(tiles.hashes(tile)?) {
                self.folder.known.entry(hash).or_insert(leaf);
            }
            index = first + width;
        }
        Ok(())
    }
}

impl Edge {
    fn read(root: &Path, size: u64) -> Result<Self, FolderError> {
        let mut edge = Self::default();
        let mut hashes = size;
        for level in 0.. {
            if hashes == 0 {
                break;
            }
            let (index, width) = (hashes / u64::from(FULL_WIDTH), (hashes % u64::from(FULL_WIDTH)) as u16);
            let tile = TilePath { level, index, width };
            edge.tiles.push(if width == 0 { Vec::new() } else { FolderTiles::new(root).hashes(tile)? });
            if level == 0 && width > 0 {
                edge.bundle = read_bundle(root, index, width)?;
            }
            hashes = index;
        }
        let subtrees = edge.tiles.iter().rev().flat_map(|tile| {
            let mut range = CompactRange::new();
            tile.iter().for_each(|hash| range.append(*hash));
            range.hashes().to_vec()
        });
        edge.range = CompactRange::from_parts(size, subtrees.collect())
            .map_err(|error| FolderError::Tiles(error.to_string()))?;
        Ok(edge)
    }

    /// Adds a leaf; each tile that it fills is written.
    fn push(&mut self, leaf: &Leaf, files: &mut Files<'_>) -> Result<(), FolderError> {
        let index = self.range.size();
        self.range.append(leaf.hash);
        self.bundle.push(leaf.body.clone());
        let mut hash = leaf.hash;
        let mut place = index;
        for level in 0.. {
            if self.tiles.len() == usize::from(level) {
                self.tiles.push(Vec::new());
            }
            let tile = &mut self.tiles[usize::from(level)];
            tile.push(hash);
            if tile.len() < usize::from(FULL_WIDTH) {
                break;
            }
            place /= u64::from(FULL_WIDTH);
            files.write_tile(TilePath { level, index: place, width: FULL_WIDTH }, tile)?;
            if level == 0 {
                files.write_bundle(place, FULL_WIDTH, &self.bundle)?;
                self.bundle.clear();
            }
            let mut range = CompactRange::new();
            tile.drain(..).for_each(|hash| range.append(hash));
            hash = range.root();
        }
        Ok(())
    }

    /// Writes the unfinished tiles that the leaves since `old_size` changed.
    fn write_partials(&self, old_size: u64, files: &mut Files<'_>) -> Result<(), FolderError> {
        for path in tile::tiles_of_new_leaves(old_size, self.range.size()).filter(|p| p.width < FULL_WIDTH) {
            files.write_tile(path, &self.tiles[usize::from(path.level)])?;
            if path.level == 0 {
                files.write_bundle(path.index, path.width, &self.bundle)?;
            }
        }
        Ok(())
    }
}

/// Files of one batch: written, then made durable together with their folders.
struct Files<'a> {
    root: &'a Path,
    written: Vec<File>,
    folders: std::collections::BTreeSet<PathBuf>,
}

impl<'a> Files<'a> {
    fn new(root: &'a Path) -> Self {
        Self { root, written: Vec::new(), folders: std::collections::BTreeSet::new() }
    }

    fn write_tile(&mut self, path: TilePath, hashes: &[Digest]) -> Result<(), FolderError> {
        self.write(&path.to_string(), &tile::encode_hashes(hashes).map_err(tiles)?)
    }

    fn write_bundle(&mut self, index: u64, width: u16, entries: &[Vec<u8>]) -> Result<(), FolderError> {
        self.write(&tile::entries_path(index, width), &tile::encode_entries(entries).map_err(tiles)?)
    }

    /// Writes in place: nobody reads a tile before a checkpoint asks for it, and what a crash leaves is removed.
    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let path = self.root.join(path);
        let mut folder = path.parent();
        if let Some(parent) = folder {
            fs::create_dir_all(parent).map_err(at(parent))?;
        }
        let mut file = File::create(&path).map_err(at(&path))?;
        file.write_all(bytes).map_err(at(&path))?;
        self.written.push(file);
        while let Some(parent) = folder.filter(|parent| parent.starts_with(self.root)) {
            self.folders.insert(parent.to_owned());
            folder = parent.parent();
        }
        Ok(())
    }

    fn sync(self) -> Result<(), FolderError> {
        for file in self.written {
            file.sync_all().map_err(at(self.root))?;
        }
        self.folders.iter().try_for_each(|folder| sync_folder(folder))
    }
}

/// Tiles read from the folder, each once.
struct FolderTiles<'a> {
    root: &'a Path,
    read: HashMap<TilePath, Vec<Digest>>,
}

impl<'a> FolderTiles<'a> {
    fn new(root: &'a Path) -> Self {
        Self { root, read: HashMap::new() }
    }
}

impl TileReader for FolderTiles<'_> {
    type Error = FolderError;

    fn hashes(&mut self, path: TilePath) -> Result<Vec<Digest>, FolderError> {
        if let Some(hashes) = self.read.get(&path) {
            return Ok(hashes.clone());
        }
        let full = TilePath { width: FULL_WIDTH, ..path };
        let (name, bytes) = read_either(self.root, &path.to_string(), &full.to_string())?;
        let mut hashes = tile::decode_hashes(&bytes).map_err(tiles)?;
        if hashes.len() < usize::from(path.width) {
            return Err(FolderError::Tiles(format!("{name} has {} of {} hashes", hashes.len(), path.width)));
        }
        hashes.truncate(usize::from(path.width));
        self.read.insert(path, hashes.clone());
        Ok(hashes)
    }
}

/// The note in the file `checkpoint`.
pub(super) fn read_checkpoint(root: &Path) -> Result<Vec<u8>, FolderError> {
    let path = root.join("checkpoint");
    fs::read(&path).map_err(at(&path))
}

/// The consistency proof between two sizes, from the tiles.
pub(super) fn consistency_proof(root: &Path, old: u64, new: u64) -> Result<Vec<Digest>, FolderError> {
    tile::consistency_proof(&mut FolderTiles::new(root), old, new)
        .map_err(|error| FolderError::Tiles(error.to_string()))
}

fn read_bundle(root: &Path, index: u64, width: u16) -> Result<Vec<Vec<u8>>, FolderError> {
    let (name, bytes) =
        read_either(root, &tile::entries_path(index, width), &tile::entries_path(index, FULL_WIDTH))?;
    let mut entries: Vec<_> =
        tile::decode_entries(&bytes).map_err(tiles)?.into_iter().map(<[u8]>::to_vec).collect();
    if entries.len() < usize::from(width) {
        return Err(FolderError::Tiles(format!("{name} has {} of {width} entries", entries.len())));
    }
    entries.truncate(usize::from(width));
    Ok(entries)
}

/// A partial tile, or the full one that took its place (tlog-tiles, "Partial Tiles").
fn read_either(root: &Path, partial: &str, full: &str) -> Result<(String, Vec<u8>), FolderError> {
    for name in [partial, full] {
        let path = root.join(name);
        match fs::read(&path) {
            Ok(bytes) => return Ok((name.to_owned(), bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(&path)(error)),
        }
    }
    Err(FolderError::Tiles(format!("{partial} is missing")))
}

/// Removes the tiles of a batch that was never published: it had at most as many leaves as a full tile.
fn discard_beyond(root: &Path, size: u64) -> Result<(), FolderError> {
    for grown in size + 1..=size + u64::from(FULL_WIDTH) {
        for path in tile::tiles_of_new_leaves(size, grown) {
            remove(&root.join(path.to_string()))?;
            if path.level == 0 {
                remove(&root.join(tile::entries_path(path.index, path.width)))?;
            }
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), FolderError> {
    match fs::remove_file(path) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Err(at(path)(error))
        }
        _ => Ok(()),
    }
}

fn write_checkpoint(root: &Path, checkpoint: &SignedCheckpoint) -> Result<(), FolderError> {
    let (path, next) = (root.join("checkpoint"), root.join(".checkpoint.next"));
    let mut file = File::create(&next).map_err(at(&next))?;
    file.write_all(checkpoint.note().as_str().as_bytes()).map_err(at(&next))?;
    file.sync_all().map_err(at(&next))?;
    fs::rename(&next, &path).map_err(at(&path))?;
    sync_folder(root)
}

fn sync_folder(path: &Path) -> Result<(), FolderError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(at(path))
}

fn verify(note: &[u8], log: &TrustedLog, place: &'static str) -> Result<SignedCheckpoint, FolderError> {
    SignedCheckpoint::verify(note, log.origin(), &[&log.key], &RustCrypto)
        .map_err(|source| FolderError::ForeignCheckpoint { place, source })
}

fn tiles(error: TileError) -> FolderError {
    FolderError::Tiles(error.to_string())
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::Io { path, source }
}
