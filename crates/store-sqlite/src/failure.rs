//! What goes wrong inside, and its way to [`Error`].
//!
//! The functions that run a statement know neither the file nor the method they serve, so they return a [`Failure`];
//! [`Failure::explain`] makes it an [`Error`] where both are known.

use provex_store::Error;

use crate::connection::Connections;

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// What a statement's function returns.
#[derive(Debug)]
pub(crate) enum Failure {
    /// SQLite or the driver said no.
    Database(sqlx::Error),
    /// COMMIT did not answer.
    Commit(sqlx::Error),
    /// A number that does not fit SQLite's 64 signed bits.
    Number(std::num::TryFromIntError),
    /// Decided already.
    Refused(Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<std::num::TryFromIntError> for Failure {
    fn from(error: std::num::TryFromIntError) -> Self {
        Self::Number(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// SQLite's primary result codes that mean something to a caller (sqlite.org/rescode.html).
mod code {
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const NOTADB: i32 = 26;
}

impl Failure {
    /// Whether another connection holds a lock that this one needs.
    pub(crate) fn is_busy(&self) -> bool {
        let (Self::Database(error) | Self::Commit(error)) = self else { return false };
        matches!(primary_code(error), Some(code::BUSY | code::LOCKED))
    }

    /// The error for the caller of `operation` on the database of these connections.
    pub(crate) fn explain(self, operation: &'static str, connections: &Connections) -> Error {
        let (error, committing) = match self {
            Self::Refused(error) => return error,
            Self::Number(source) => return Error::Database { operation, source: source.into() },
            Self::Database(error) => (error, false),
            Self::Commit(error) => (error, true),
        };
        let (path, probe) = (connections.path().display(), connections.probe());
        match primary_code(&error) {
            Some(code::BUSY | code::LOCKED) => probe.locking().unwrap_or(Error::Busy),
            Some(code::FULL) => Error::DiskFull(path.to_string()),
            Some(code::READONLY) if connections.found_no_room() => Error::DiskFull(path.to_string()),
            Some(code::READONLY | code::CANTOPEN) => {
                probe.opening().unwrap_or_else(|| Error::ReadOnly(format!("{path}: {}", message(&error))))
            }
            Some(code::IOERR) => {
                probe.writing().unwrap_or_else(|| Error::Disk(format!("{path}: {}", message(&error))))
            }
            Some(code::CORRUPT | code::NOTADB) => {
                probe.reading().unwrap_or_else(|| Error::Damaged(format!("{path}: {}", message(&error))))
            }
            // The driver's thread is gone: nobody knows how far it came.
            None if committing => Error::OutcomeUnknown,
            _ => Error::Database { operation, source: error.into() },
        }
    }
}

/// What SQLite said, without the driver's words around it, and the extended result code, which says it more exactly.
fn message(error: &sqlx::Error) -> String {
    match error.as_database_error() {
        Some(error) => format!("{} (SQLite code {})", error.message(), error.code().unwrap_or_default()),
        None => error.to_string(),
    }
}

/// The low byte of an extended result code is the primary one.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
