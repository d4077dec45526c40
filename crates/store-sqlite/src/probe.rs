//! What the operating system says where SQLite keeps it to itself.
//!
//! SQLite tells a lock that the file system cannot give as one that another program holds, a read that failed as damage
//! (`SQLITE_IOERR_CORRUPTFS` becomes `SQLITE_CORRUPT`), and whatever keeps a file from being opened by one code. Once it
//! has given up, the same is tried here, to learn why.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use provex_store::Error;
use rustix::fs::{Access, FlockOperation, access, fcntl_lock};
use rustix::io::Errno;

use crate::connection::beside;

/// More than SQLite asks a file system for at once: the index of a new write-ahead log is 32 KiB.
const ROOM: usize = 1 << 20;

/// Tries on one database's files what SQLite tried.
#[derive(Debug)]
pub(crate) struct Probe {
    path: PathBuf,
    /// The database, once it was opened here. It stays open as long as the connections: a process that closes a file
    /// gives up all of its locks on it, SQLite's too (fcntl(2); sqlite.org/howtocorrupt.html, 2.2).
    file: Mutex<Option<File>>,
}

impl Probe {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: Mutex::new(None) }
    }

    /// Why nothing could be read, if the system says so: all of the database and of its write-ahead log is.
    pub(crate) fn reading(&self) -> Option<Error> {
        let log = beside(&self.path, "-wal");
        // Nobody locks the write-ahead log itself.
        let read_log = || match File::open(&log) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            opened => read_to_end(&opened?),
        };
        let failed = self.with_file(read_to_end).map_err(|error| of_io(&self.path, &error));
        failed.and_then(|()| read_log().map_err(|error| of_io(&log, &error))).err()
    }

    /// Why a file could not be opened, or not to be written, if the system says so.
    pub(crate) fn opening(&self) -> Option<Error> {
        let companions = ["-wal", "-shm"].map(|suffix| beside(&self.path, suffix));
        let there = companions.iter().filter(|path| path.exists());
        for path in std::iter::once(&self.path).chain(there) {
            if let Err(error) = writable(path) {
                return Some(error);
            }
        }
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let opened = writable(folder.unwrap_or(Path::new(".")))
            .and_then(|()| self.with_file(|_| Ok(())).map_err(|error| of_io(&self.path, &error)));
        opened.and_then(|()| self.scratch(|_| Ok(())).map_err(|error| of_io(&self.path, &error))).err()
    }

    /// Why nothing could be written, if it is for want of room.
    pub(crate) fn writing(&self) -> Option<Error> {
        let written = self.scratch(|mut file| file.write_all(&vec![0; ROOM]).and_then(|()| file.sync_all()));
        let error = of_io(&self.path, &written.err()?);
        matches!(error, Error::DiskFull(_)).then_some(error)
    }

    /// Why nothing could be locked, if the file system gives no locks at all.
    pub(crate) fn locking(&self) -> Option<Error> {
        // On a file of its own: a lock of ours on the database would take SQLite's place.
        let locked = self.scratch(|file| Ok(fcntl_lock(file, FlockOperation::NonBlockingLockExclusive)?));
        let error = of_io(&self.path, &locked.err()?);
        matches!(error, Error::NoLocks(_)).then_some(error)
    }

    fn with_file(&self, use_it: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match slot.take() {
            Some(file) => file,
            None => File::open(&self.path)?,
        };
        use_it(slot.insert(file))
    }

    /// Uses a file that is made beside the database and taken away again.
    fn scratch(&self, use_it: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
        let path = beside(&self.path, ".probe");
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        let used = use_it(&file);
        let _ = std::fs::remove_file(&path);
        used
    }
}

/// Reads in pieces as SQLite does, into nothing.
fn read_to_end(file: &File) -> io::Result<()> {
    let (mut piece, mut offset) = ([0; 4_096], 0);
    loop {
        match file.read_at(&mut piece, offset)? {
            0 => return Ok(()),
            length => offset += length as u64,
        }
    }
}

/// Whether a file or folder is ours to write, without opening it.
pub(crate) fn writable(path: &Path) -> Result<(), Error> {
    access(path, Access::WRITE_OK).map_err(|errno| of_io(path, &errno.into()))
}

/// The error for what the operating system said of a file.
pub(crate) fn of_io(path: &Path, error: &io::Error) -> Error {
    let place = path.display();
    let said = format!("{place}: {error}");
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return Error::DiskFull(place.to_string());
    }
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::IO) => Error::Disk(said),
        Some(Errno::MFILE | Errno::NFILE) => Error::TooManyFiles(said),
        Some(Errno::NOLCK) => Error::NoLocks(said),
        _ => Error::ReadOnly(said),
    }
}
