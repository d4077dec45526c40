//! The log's folder as one writer sees it, from batch to batch.
//!
//! The newest signed checkpoint, of the [`super::CheckpointStore`], of the folder, or seen by this process before,
//! decides what the log is. Tiles beyond it are what a crash left of a batch that was never published: they are
//! removed. A folder that has less than that checkpoint, or another root at its size, is refused.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use provex_core::checkpoint::{Checkpoint, SignedCheckpoint};
use provex_core::digest::Digest;
use provex_core::entry::{
    HASHEDREKORD, HASHEDREKORD_VERSION, HashedRekord, InclusionProof, LogEntry, MAX_BODY,
};
use provex_core::keys::{RustCrypto, Signer};
use provex_core::merkle;
use provex_core::note;
use provex_core::tile::{self, FULL_WIDTH, TilePath, TileReader as _};
use provex_core::trusted_root::TrustedLog;

use super::edge::Edge;
use super::error::{FolderError, at};
use super::files::{self, Lock, NewFiles, Tiles};
use super::proofs::Proofs;

/// One leaf to be logged.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    pub(super) body: Vec<u8>,
    pub(super) hash: Digest,
}

impl Leaf {
    pub(super) fn of(entry: &HashedRekord) -> Result<Self, FolderError> {
        let body = entry.body();
        if body.len() > MAX_BODY {
            return Err(FolderError::TooLong { length: body.len() });
        }
        let hash = merkle::leaf_hash(&body);
        Ok(Self { body, hash })
    }
}

/// What this process knows of the folder: exactly what the newest checkpoint that it has seen covers.
pub(super) struct Folder {
    path: PathBuf,
    newest: Option<SignedCheckpoint>,
    edge: Edge,
    /// The index of each leaf hash, the first where there are several.
    known: HashMap<Digest, u64>,
}

/// A batch whose tiles are durable and that no checkpoint covers yet.
pub(super) struct Batch {
    /// The index of each leaf, in the batch's order.
    indexes: Vec<u64>,
    /// The leaves that were not in the log.
    new: HashMap<Digest, u64>,
    /// The right edge with them.
    edge: Edge,
}

impl Folder {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path, newest: None, edge: Edge::default(), known: HashMap::new() }
    }

    /// Waits for the lock, in a folder that is made where it is missing.
    pub(super) fn lock(&self) -> Result<Lock, FolderError> {
        files::create(&self.path)?;
        files::lock(&self.path)
    }

    /// Brings folder and memory to the newest signed checkpoint, and mends what a crash left.
    pub(super) fn recover(&mut self, stored: Option<&[u8]>, log: &TrustedLog) -> Result<(), FolderError> {
        let Checkpoints { stored, filed } = Checkpoints::read(&self.path, log, stored)?;
        let signed = [self.newest.clone(), filed.clone(), stored];
        let signed: Vec<_> = signed.into_iter().flatten().collect();
        let Some(newest) = signed.iter().max_by_key(|signed| signed.checkpoint().size) else {
            return files::discard_beyond(&self.path, 0);
        };
        // Nothing is removed or written before the folder has been found to be the newest checkpoint's.
        self.load(newest, &signed)?;
        files::discard_beyond(&self.path, newest.checkpoint().size)?;
        if filed.as_ref().map(SignedCheckpoint::checkpoint) != Some(newest.checkpoint()) {
            // A crash came between store and file: the tiles were durable before either.
            files::write_checkpoint(&self.path, newest)?;
        }
        Ok(())
    }

    /// Reads what the newest checkpoint has beyond memory, and checks that all the others are of its history.
    fn load(&mut self, newest: &SignedCheckpoint, signed: &[SignedCheckpoint]) -> Result<(), FolderError> {
        let size = newest.checkpoint().size;
        let others = || signed.iter().map(SignedCheckpoint::checkpoint).filter(|c| *c != newest.checkpoint());
        let forked = |other: &Checkpoint| FolderError::Forked { path: self.path.clone(), size: other.size };
        if let Some(other) = others().find(|c| c.size == size && c.root != newest.checkpoint().root) {
            return Err(forked(other));
        }
        let grown = self.newest.as_ref().map(SignedCheckpoint::checkpoint) != Some(newest.checkpoint());
        let read = grown.then(|| self.read(newest.checkpoint())).transpose();
        let read = read.map_err(|error| behind(&self.path, size, error))?;
        let mut tiles = Tiles::new(&self.path, size);
        for other in others() {
            let root =
                tile::root(&mut tiles, other.size).map_err(|error| behind(&self.path, size, error.into()))?;
            if root != other.root {
                return Err(forked(other));
            }
        }
        if let Some((edge, new)) = read {
            (self.newest, self.edge) = (Some(newest.clone()), edge);
            for (hash, index) in new {
                self.known.entry(hash).or_insert(index);
            }
            files::collect_partials(&self.path, size);
        }
        Ok(())
    }

    /// The right edge at this checkpoint, and the leaves up to there that memory lacks: they have to give its root.
    fn read(&self, checkpoint: &Checkpoint) -> Result<(Edge, Vec<(Digest, u64)>), FolderError> {
        let width = u64::from(FULL_WIDTH);
        let mut range = self.edge.range().clone();
        let mut new = Vec::new();
        for index in range.size() / width..checkpoint.size.div_ceil(width) {
            let first = index * width;
            let tile = TilePath { level: 0, index, width: (checkpoint.size - first).min(width) as u16 };
            let hashes = Tiles::new(&self.path, checkpoint.size).hashes(tile)?;
            let unread = (range.size() - first) as usize;
            for hash in hashes.into_iter().skip(unread) {
                new.push((hash, range.size()));
                range.append(hash);
            }
        }
        if range.root() != checkpoint.root {
            return Err(FolderError::Tiles("its tiles give another root".to_owned()));
        }
        Ok((Edge::read(&self.path, range)?, new))
    }

    /// Places each leaf, new ones at the end, and makes their tiles durable. Memory stays at the newest checkpoint.
    pub(super) fn append(&self, leaves: &[Leaf]) -> Result<Batch, FolderError> {
        let mut files = NewFiles::new(&self.path);
        let mut edge = self.edge.clone();
        let mut new = HashMap::new();
        let mut indexes = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            let next = edge.range().size();
            let known = self.known.get(&leaf.hash).copied();
            let index = known.unwrap_or_else(|| *new.entry(leaf.hash).or_insert(next));
            if index == next {
                edge.push(leaf, &mut files)?;
            }
            indexes.push(index);
        }
        edge.write_partials(self.edge.range().size(), &mut files)?;
        files.sync()?;
        Ok(Batch { indexes, new, edge })
    }

    /// The checkpoint that the batch needs: none, if all of it is there already, but a log begins with one.
    pub(super) fn sign_checkpoint(
        &self,
        batch: &Batch,
        log: &TrustedLog,
        signer: &dyn Signer,
    ) -> Result<Option<SignedCheckpoint>, FolderError> {
        if batch.new.is_empty() && self.newest.is_some() {
            return Ok(None);
        }
        let range = batch.edge.range();
        let (origin, extensions) = (log.origin().to_owned(), Vec::new());
        let text = Checkpoint { origin, size: range.size(), root: range.root(), extensions }.to_text();
        let note = note::sign_note(&text, &log.key, &signer.sign(text.as_bytes())?)?;
        verify(note.as_str().as_bytes(), log, "the checkpoint just signed").map(Some)
    }

    /// Publishes the batch's checkpoint, which the store keeps already.
    pub(super) fn publish(&mut self, batch: &Batch, signed: SignedCheckpoint) -> Result<(), FolderError> {
        files::write_checkpoint(&self.path, &signed)?;
        files::collect_partials(&self.path, signed.checkpoint().size);
        (self.newest, self.edge) = (Some(signed), batch.edge.clone());
        self.known.extend(&batch.new);
        Ok(())
    }

    /// The answers: each leaf's entry under the newest checkpoint.
    pub(super) fn entries(
        &self,
        leaves: &[Leaf],
        batch: &Batch,
        log: &TrustedLog,
    ) -> Result<Vec<LogEntry>, FolderError> {
        let Some(signed) = &self.newest else { return Ok(Vec::new()) };
        let checkpoint = signed.checkpoint();
        let mut proofs = Proofs::new(Tiles::new(&self.path, checkpoint.size), checkpoint.size);
        let entry = |(leaf, index): (&Leaf, &u64)| {
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
                    hashes: proofs.inclusion(*index)?,
                    checkpoint: signed.note().as_str().to_owned(),
                },
                canonicalized_body: leaf.body.clone(),
            })
        };
        leaves.iter().zip(&batch.indexes).map(entry).collect()
    }
}

/// The newest checkpoints of the two places that keep them, each verified.
pub(super) struct Checkpoints {
    pub(super) stored: Option<SignedCheckpoint>,
    pub(super) filed: Option<SignedCheckpoint>,
}

impl Checkpoints {
    pub(super) fn read(root: &Path, log: &TrustedLog, stored: Option<&[u8]>) -> Result<Self, FolderError> {
        let stored = stored.map(|note| verify(note, log, "the checkpoint in the database")).transpose()?;
        let filed = match read_checkpoint(root, log) {
            Err(FolderError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            read => Some(read?),
        };
        Ok(Self { stored, filed })
    }
}

/// What is missing or wrong will not come back by waiting; what could not be read may.
pub(super) fn behind(path: &Path, size: u64, error: FolderError) -> FolderError {
    match error {
        FolderError::Tiles(reason) => FolderError::Behind { path: path.to_owned(), size, reason },
        other => other,
    }
}

/// The checkpoint in the folder.
pub(super) fn read_checkpoint(root: &Path, log: &TrustedLog) -> Result<SignedCheckpoint, FolderError> {
    let path = root.join("checkpoint");
    verify(&fs::read(&path).map_err(at(&path))?, log, "the file `checkpoint` of the log folder")
}

fn verify(note: &[u8], log: &TrustedLog, place: &'static str) -> Result<SignedCheckpoint, FolderError> {
    SignedCheckpoint::verify(note, log.origin(), &[&log.key], &RustCrypto)
        .map_err(|source| FolderError::ForeignCheckpoint { place, source })
}
