//! The files of the log's folder, where C2SP tlog-tiles wants them: read, written and made durable, taken away.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use provex_core::checkpoint::SignedCheckpoint;
use provex_core::digest::Digest;
use provex_core::tile::{self, FULL_WIDTH, TileError, TilePath, TileReader};

use super::error::{FolderError, at};

const WIDTH: u64 = FULL_WIDTH as u64;

/// The folder's lock: given back when dropped, or when the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _folder: Option<File>,
    _file: File,
}

/// Waits until no other process, and no other log of this one, writes here.
pub(super) fn lock(root: &Path) -> Result<Lock, FolderError> {
    // The folder itself is locked first, where the system lets one: nobody can delete it as he can `.lock`. NFS
    // locks files only.
    let folder = File::open(root).ok().filter(|folder| folder.lock().is_ok());
    let path = root.join(".lock");
    let file = File::options().create(true).append(true).open(&path).map_err(at(&path))?;
    file.lock().map_err(at(&path))?;
    Ok(Lock { _folder: folder, _file: file })
}

/// Waits until nobody writes here, where there is a folder; it need not be ours to write.
pub(super) fn lock_shared(root: &Path) -> Result<Option<File>, FolderError> {
    match File::open(root) {
        // Where a file system locks files only, nobody is waited for.
        Ok(folder) => Ok(folder.lock_shared().is_ok().then_some(folder)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(root)(error)),
    }
}

/// Makes the folder where it is missing, durably: a checkpoint in the database has to find it after a power cut.
pub(super) fn create(root: &Path) -> Result<(), FolderError> {
    if root.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(root).map_err(at(root))?;
    sync_folder(&root.join(".."))
}

/// The tiles of the tree of one published size, each read once.
pub(super) struct Tiles<'a> {
    root: &'a Path,
    size: u64,
    read: HashMap<(u8, u64), Vec<Digest>>,
}

impl<'a> Tiles<'a> {
    pub(super) fn new(root: &'a Path, size: u64) -> Self {
        Self { root, size, read: HashMap::new() }
    }

    fn read(&self, level: u8, index: u64) -> Result<Vec<Digest>, FolderError> {
        read_tile_or_full(self.root, tile_at(level, index, self.size))
    }
}

impl TileReader for Tiles<'_> {
    type Error = FolderError;

    /// Proofs ask for tiles as their own sizes make them; no checkpoint need ever have had those. The tile of the
    /// published size begins with what they want.
    fn hashes(&mut self, tile: TilePath) -> Result<Vec<Digest>, FolderError> {
        let place = (tile.level, tile.index);
        if !self.read.contains_key(&place) {
            self.read.insert(place, self.read(tile.level, tile.index)?);
        }
        let hashes = self.read.get(&place).map_or(&[][..], Vec::as_slice);
        Ok(hashes[..hashes.len().min(usize::from(tile.width))].to_vec())
    }
}

/// The tile as wide as the published size makes it, or from the full one that took its place since (tlog-tiles,
/// "Partial Tiles"), which may hold more.
pub(super) fn read_tile_or_full(root: &Path, tile: TilePath) -> Result<Vec<Digest>, FolderError> {
    or_full(tile.width, |width| read_tile(root, TilePath { width, ..tile })).map(|mut hashes| {
        hashes.truncate(usize::from(tile.width));
        hashes
    })
}

/// The entries of a bundle likewise.
pub(super) fn read_bundle_or_full(root: &Path, index: u64, width: u16) -> Result<Vec<Vec<u8>>, FolderError> {
    or_full(width, |width| read_bundle(root, index, width)).map(|mut entries| {
        entries.truncate(usize::from(width));
        entries
    })
}

/// Sees that a bundle is there, without reading it.
pub(super) fn find_bundle(root: &Path, index: u64, width: u16) -> Result<(), FolderError> {
    or_full(width, |width| {
        let name = tile::entries_path(index, width);
        let path = root.join(&name);
        match fs::metadata(&path) {
            Ok(found) if found.len() > 0 => Ok(()),
            Ok(_) => Err(FolderError::Tiles(format!("{name} is empty"))),
            Err(error) => Err(unread(&path, &name, error)),
        }
    })
}

/// Reads at this width, or at the full one; where neither can be, what the first one said.
fn or_full<T>(width: u16, read: impl Fn(u16) -> Result<T, FolderError>) -> Result<T, FolderError> {
    match read(width) {
        Err(FolderError::Tiles(missing)) if width < FULL_WIDTH => {
            read(FULL_WIDTH).map_err(|error| match error {
                FolderError::Tiles(_) => FolderError::Tiles(missing),
                other => other,
            })
        }
        read => read,
    }
}

/// Exactly this tile.
pub(super) fn read_tile(root: &Path, tile: TilePath) -> Result<Vec<Digest>, FolderError> {
    let name = tile.to_string();
    let hashes = tile::decode_hashes(&read(root, &name)?).map_err(|error| unreadable(&name, &error))?;
    check_width(&name, tile.width, hashes.len())?;
    Ok(hashes)
}

/// Exactly this entry bundle.
pub(super) fn read_bundle(root: &Path, index: u64, width: u16) -> Result<Vec<Vec<u8>>, FolderError> {
    let name = tile::entries_path(index, width);
    let bytes = read(root, &name)?;
    let entries = tile::decode_entries(&bytes).map_err(|error| unreadable(&name, &error))?;
    check_width(&name, width, entries.len())?;
    Ok(entries.into_iter().map(<[u8]>::to_vec).collect())
}

fn read(root: &Path, name: &str) -> Result<Vec<u8>, FolderError> {
    let path = root.join(name);
    fs::read(&path).map_err(|error| unread(&path, name, error))
}

fn unread(path: &Path, name: &str, error: io::Error) -> FolderError {
    match error.kind() {
        io::ErrorKind::NotFound => FolderError::Tiles(format!("{name} is missing")),
        _ => at(path)(error),
    }
}

fn unreadable(name: &str, error: &TileError) -> FolderError {
    FolderError::Tiles(format!("{name} was changed: {error}"))
}

fn check_width(name: &str, width: u16, found: usize) -> Result<(), FolderError> {
    if found != usize::from(width) {
        return Err(FolderError::Tiles(format!("{name} holds {found} of {width}")));
    }
    Ok(())
}

/// The tile at this place in a tree of this size, which has hashes there.
fn tile_at(level: u8, index: u64, size: u64) -> TilePath {
    let hashes = hashes_at(level, size).saturating_sub(index.saturating_mul(WIDTH));
    TilePath { level, index, width: hashes.min(WIDTH) as u16 }
}

/// The hashes that a tile level has: every eighth level of the tree.
pub(super) fn hashes_at(level: u8, size: u64) -> u64 {
    size.checked_shr(8 * u32::from(level)).unwrap_or(0)
}

/// The files of one batch: written, then made durable all at once.
pub(super) struct NewFiles<'a> {
    root: &'a Path,
    files: Vec<(PathBuf, File)>,
    folders: BTreeSet<PathBuf>,
}

impl<'a> NewFiles<'a> {
    pub(super) fn new(root: &'a Path) -> Self {
        Self { root, files: Vec::new(), folders: BTreeSet::new() }
    }

    pub(super) fn write_tile(&mut self, path: TilePath, hashes: &[Digest]) -> Result<(), FolderError> {
        self.write(&path.to_string(), &tile::encode_hashes(hashes)?)
    }

    pub(super) fn write_bundle(
        &mut self,
        index: u64,
        width: u16,
        entries: &[Vec<u8>],
    ) -> Result<(), FolderError> {
        self.write(&tile::entries_path(index, width), &tile::encode_entries(entries)?)
    }

    /// Writes in place: no checkpoint asks for these files yet, and what a crash leaves of them, whole or torn, lies
    /// beyond the newest checkpoint, where the next batch removes it.
    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let path = self.root.join(name);
        let folders = path.ancestors().skip(1).take_while(|folder| folder.starts_with(self.root));
        self.folders.extend(folders.map(Path::to_owned));
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(at(parent))?;
        }
        let mut file = File::create(&path).map_err(at(&path))?;
        file.write_all(bytes).map_err(at(&path))?;
        self.files.push((path, file));
        Ok(())
    }

    /// Makes the files and their names durable. Every folder up to the log's is synced, not only new ones: one that
    /// is there already may have been made by a process that was killed before it could sync its name.
    pub(super) fn sync(mut self) -> Result<(), FolderError> {
        for folder in self.folders {
            let file = File::open(&folder).map_err(at(&folder))?;
            self.files.push((folder, file));
        }
        sync_all(&self.files)
    }
}

/// Syncs side by side: a journaling file system then commits once for many.
fn sync_all(files: &[(PathBuf, File)]) -> Result<(), FolderError> {
    std::thread::scope(|scope| {
        let sync = |(path, file): &'_ (PathBuf, File)| file.sync_all().map_err(at(path));
        let syncing: Vec<_> = files.iter().map(|file| scope.spawn(move || sync(file))).collect();
        syncing
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Publishes a checkpoint. A crash before the rename leaves the old one and a `.checkpoint.next` that is written
/// anew; a crash after it, perhaps the old one again: the store has the new one, and the next batch republishes it.
pub(super) fn write_checkpoint(root: &Path, checkpoint: &SignedCheckpoint) -> Result<(), FolderError> {
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

/// Removes what a batch left that was never published: up to a full tile's leaves beyond this size. A crash in the
/// midst leaves less of it, and the next batch removes the rest.
pub(super) fn discard_beyond(root: &Path, size: u64) -> Result<(), FolderError> {
    check_beyond(root, size)?;
    discard_bundles(root, size)?;
    let touched = |level: &u8| hashes_at(*level, size.saturating_add(WIDTH)) > 0;
    for level in (0..).take_while(touched) {
        let hashes = hashes_at(level, size);
        let (index, width) = (hashes / WIDTH, (hashes % WIDTH) as u16);
        discard(&root.join(tile::hash_tile_path(level, index, FULL_WIDTH)), width)?;
        discard(&root.join(tile::hash_tile_path(level, index + 1, FULL_WIDTH)), 0)?;
    }
    Ok(())
}

/// Sees that no more lies beyond this size than a batch can have left.
pub(super) fn check_beyond(root: &Path, size: u64) -> Result<(), FolderError> {
    let next = root.join(tile::hash_tile_path(0, size / WIDTH + 1, FULL_WIDTH));
    let full = next.try_exists().map_err(at(&next))?;
    if full || partials(&next)?.iter().any(|(width, _)| u64::from(*width) > size % WIDTH) {
        return Err(FolderError::Ahead { path: root.to_owned(), size });
    }
    Ok(())
}

fn discard_bundles(root: &Path, size: u64) -> Result<(), FolderError> {
    let (index, width) = (size / WIDTH, (size % WIDTH) as u16);
    discard(&root.join(tile::entries_path(index, FULL_WIDTH)), width)?;
    discard(&root.join(tile::entries_path(index + 1, FULL_WIDTH)), 0)
}

/// Removes a full tile, and its partial ones that are wider than this.
fn discard(full: &Path, width: u16) -> Result<(), FolderError> {
    match fs::remove_file(full) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(full)(error)),
        _ => {}
    }
    let wider = partials(full)?.into_iter().filter(|(found, _)| *found > width);
    wider.into_iter().try_for_each(|(_, path)| fs::remove_file(&path).map_err(at(&path)))
}

/// The partial tiles that lie beside the place of this full one, with their widths.
fn partials(full: &Path) -> Result<Vec<(u16, PathBuf)>, FolderError> {
    let folder = partials_folder(full);
    let files = match fs::read_dir(&folder) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at(&folder)(error)),
    };
    let mut partials = Vec::new();
    for file in files {
        let file = file.map_err(at(&folder))?;
        if let Some(width) = file.file_name().to_str().and_then(|name| name.parse().ok()) {
            partials.push((width, file.path()));
        }
    }
    Ok(partials)
}

/// Collects the partial tiles of the last full tile of each level, best effort: a published checkpoint of this size
/// asks for the full one. A batch fills at most one tile of a level; what a crash leaves here is collected by the
/// next process that opens the log before that tile has a successor, and harms nobody if it stays.
pub(super) fn collect_partials(root: &Path, size: u64) {
    let last_full = |level| hashes_at(level, size / WIDTH).checked_sub(1);
    let tiles = (0..).map_while(|level| Some(tile::hash_tile_path(level, last_full(level)?, FULL_WIDTH)));
    let bundle = last_full(0).map(|index| tile::entries_path(index, FULL_WIDTH));
    for full in tiles.chain(bundle).map(|name| root.join(name)) {
        if full.is_file() {
            let _ = fs::remove_dir_all(partials_folder(&full));
        }
    }
}

fn partials_folder(full: &Path) -> PathBuf {
    let mut folder = full.as_os_str().to_owned();
    folder.push(".p");
    PathBuf::from(folder)
}
