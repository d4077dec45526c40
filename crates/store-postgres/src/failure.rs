//! What goes wrong inside, and its way to [`Error`].
//!
//! The functions that run a statement know neither the server nor the method they serve, so they return a [`Failure`];
//! [`Failure::explain`] makes it an [`Error`] where both are known. No password is in any of them: the driver's errors
//! have none, and an URL is never repeated.

use provex_store::Error;
use sqlx::postgres::PgDatabaseError;

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// What a statement's function returns.
#[derive(Debug)]
pub(crate) enum Failure {
    /// PostgreSQL or the driver said no.
    Database(sqlx::Error),
    /// COMMIT did not answer, and neither did what was to find out.
    Commit(sqlx::Error),
    /// A number that does not fit PostgreSQL's 64 signed bits.
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

/// Whether and when the same attempt can succeed, nothing of the failed one having been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// At once: another transaction was in the way and is over.
    Conflict,
    /// When the server is there again.
    Absent,
    /// Never by itself.
    No,
}

impl Failure {
    /// Whether another attempt can succeed.
    pub(crate) fn again(&self) -> Again {
        let (Self::Database(error) | Self::Commit(error)) = self else { return Again::No };
        match code(error) {
            // Serialization failure, deadlock; and a catalog row that another session changed meanwhile.
            Some("40001" | "40P01") => Again::Conflict,
            Some("XX000") if message(error).contains("concurrently updated") => Again::Conflict,
            Some(code) if is_absent(code) => Again::Absent,
            Some(_) => Again::No,
            None if is_lost(error) => Again::Absent,
            None => Again::No,
        }
    }

    /// Whether a right is missing.
    pub(crate) fn is_denied(&self) -> bool {
        match self {
            Self::Database(error) => code(error) == Some("42501"),
            Self::Refused(error) => matches!(error, Error::Rights(_)),
            Self::Commit(_) | Self::Number(_) => false,
        }
    }

    /// The error for the caller of `operation` on the server at `at`.
    pub(crate) fn explain(self, operation: &'static str, at: &str) -> Error {
        let (error, committing) = match self {
            Self::Refused(error) => return error,
            Self::Number(source) => return Error::Database { operation, source: source.into() },
            Self::Database(error) => (error, false),
            Self::Commit(error) => (error, true),
        };
        explain(error, committing, operation, at)
    }
}

/// SQLSTATE codes (postgresql.org/docs/15/errcodes-appendix.html) as what they mean to a caller.
fn explain(error: sqlx::Error, committing: bool, operation: &'static str, at: &str) -> Error {
    let at = at.to_owned();
    let reason = message(&error);
    match code(&error) {
        Some("28P01" | "28000" | "3D000") => Error::Login { at, reason },
        Some("53300") => Error::TooManyConnections { at, reason },
        Some("53100") => Error::DiskFull(at),
        Some("58030") => Error::Disk(reason),
        Some("25006") => Error::ReadOnlyServer { at, reason },
        Some("40001" | "40P01" | "55P03") => Error::Busy,
        Some("57014") => Error::Timeout { operation },
        // The login's, which only the database's owner sees.
        Some("42501") if reason.starts_with("permission denied for database") => Error::Rights(format!(
            "{reason}. As its owner: GRANT CONNECT ON DATABASE ... TO the user of the database URL"
        )),
        Some("42501") if !is_guard(&error) => Error::Rights(format!(
            "{reason}. `provex migrate --check` with the login of the database's owner names the statements that give it"
        )),
        Some("XX001" | "XX002") => Error::Damaged(reason),
        Some(code) if committing && is_unknown(code) => Error::OutcomeUnknown,
        Some(code) if is_absent(code) => Error::Unreachable { at, reason },
        Some(_) => Error::Database { operation, source: error.into() },
        None => explain_driver(error, committing, operation, at),
    }
}

fn explain_driver(error: sqlx::Error, committing: bool, operation: &'static str, at: String) -> Error {
    match error {
        sqlx::Error::Configuration(source) => match source.downcast::<Error>() {
            Ok(error) => *error,
            Err(source) => Error::Database { operation, source },
        },
        sqlx::Error::Tls(source) => Error::Tls { at, reason: source.to_string() },
        // What is wrong with a certificate comes as what is wrong with the bytes.
        sqlx::Error::Io(source) if source.kind() == std::io::ErrorKind::InvalidData && !committing => {
            Error::Tls { at, reason: source.to_string() }
        }
        error if is_lost(&error) && committing => Error::OutcomeUnknown,
        error if is_lost(&error) => {
            let reason = message(&error);
            Error::Unreachable { at, reason }
        }
        error => Error::Database { operation, source: error.into() },
    }
}

/// Whether an error of COMMIT leaves open what became of the transaction: the connection is gone, or a server that spreads
/// it over several says no more than that something went wrong (`XX000`).
pub(crate) fn is_outcome_unknown(error: &sqlx::Error) -> bool {
    code(error).map_or_else(|| is_lost(error), is_unknown)
}

fn is_unknown(code: &str) -> bool {
    code.starts_with("08") || matches!(code, "40003" | "57P01" | "57P02" | "57P03" | "XX000")
}

/// The server, or its connection, goes or is not there yet.
fn is_absent(code: &str) -> bool {
    code.starts_with("08") || matches!(code, "53300" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03")
}

fn is_lost(error: &sqlx::Error) -> bool {
    use sqlx::Error::{BeginFailed, Io, PoolClosed, PoolTimedOut, Protocol, Tls, WorkerCrashed};
    matches!(error, BeginFailed | Io(_) | PoolClosed | PoolTimedOut | Protocol(_) | Tls(_) | WorkerCrashed)
}

/// What our own triggers and functions raise: a guard that held, not a right that is missing.
fn is_guard(error: &sqlx::Error) -> bool {
    postgres(error).and_then(PgDatabaseError::routine) == Some("exec_stmt_raise")
}

pub(crate) fn code(error: &sqlx::Error) -> Option<&str> {
    postgres(error).map(PgDatabaseError::code)
}

/// What PostgreSQL said, without the driver's words around it, and what it says that helps.
pub(crate) fn message(error: &sqlx::Error) -> String {
    match postgres(error) {
        Some(error) => match error.hint() {
            Some(hint) => format!("{} ({hint})", error.message()),
            None => error.message().to_owned(),
        },
        None => match error {
            sqlx::Error::Io(error) => error.to_string(),
            sqlx::Error::Tls(error) => format!("TLS: {error}"),
            sqlx::Error::PoolTimedOut => "no connection came in time".to_owned(),
            error => error.to_string(),
        },
    }
}

fn postgres(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_at_commit_leaves_the_outcome_open() {
        let lost = || sqlx::Error::Io(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        assert!(is_outcome_unknown(&lost()));
        assert!(!is_outcome_unknown(&sqlx::Error::RowNotFound));
        let explained = Failure::Commit(lost()).explain("x", "server");
        assert!(matches!(explained, Error::OutcomeUnknown), "{explained}");
        let explained = Failure::Database(lost()).explain("x", "server");
        assert!(matches!(&explained, Error::Unreachable { at, .. } if at == "server"), "{explained}");
        assert_eq!(Failure::Database(lost()).again(), Again::Absent);
        assert_eq!(Failure::Refused(Error::LostLease).again(), Again::No);
    }

    #[test]
    fn a_connection_that_cannot_be_protected_says_so() {
        let refused = sqlx::Error::Tls("invalid peer certificate: UnknownIssuer".into());
        let explained = Failure::Database(refused).explain("x", "server").to_string();
        assert!(explained.contains("UnknownIssuer") && explained.contains("sslrootcert"), "{explained}");
    }

    #[test]
    fn codes_say_whether_the_server_is_gone() {
        for code in ["08006", "08000", "57P01", "57P03", "53300"] {
            assert!(is_absent(code), "{code}");
        }
        for code in ["23505", "40001", "42501", "53100"] {
            assert!(!is_absent(code) && !is_unknown(code), "{code}");
        }
        assert!(is_unknown("XX000"));
    }
}
