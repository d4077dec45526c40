//! How a command ends: 0 done, 1 checked and not true (or some input refused), 2 wrong call, 3 could not be checked.

use std::process::ExitCode;

use crate::output::{self, plain};

/// A command that ran to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// All of it.
    Yes,
    /// Checked and not true, or some input refused and the rest done.
    NotAll,
    /// Something could not be reached; what was done is recorded.
    Unchecked,
}

impl From<Done> for ExitCode {
    fn from(done: Done) -> Self {
        match done {
            Done::Yes => Self::SUCCESS,
            Done::NotAll => Self::from(1),
            Done::Unchecked => Self::from(3),
        }
    }
}

/// A command that could not run to its end.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was checked is not true.
    NotTrue(anyhow::Error),
    /// The call is wrong.
    Call(anyhow::Error),
    /// It could not be checked: files, database, network.
    Unchecked(anyhow::Error),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::NotTrue(error) | Self::Call(error) | Self::Unchecked(error)) = self;
        write!(f, "{error:#}")
    }
}

impl Failure {
    pub(crate) fn call(message: impl std::fmt::Display) -> Self {
        Self::Call(anyhow::anyhow!("{message}"))
    }

    pub(crate) fn not_true(message: impl std::fmt::Display) -> Self {
        Self::NotTrue(anyhow::anyhow!("{message}"))
    }

    /// Tells the user on stderr, and the shell by the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let (error, code) = match self {
            Self::NotTrue(error) => (error, 1),
            Self::Call(error) => (error, 2),
            Self::Unchecked(error) => (error, 3),
        };
        output::tell(format_args!("provex: {}{}", plain(&format!("{error:#}")), advice(&error)));
        ExitCode::from(code)
    }
}

/// What every Unix answers for a disk that fails; the standard library has no name for it.
const EIO: i32 = 5;
/// The same for more open files than the system, or the process, may have.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

/// What helps, where the operating system's word alone says it.
fn advice(error: &anyhow::Error) -> &'static str {
    use std::io::ErrorKind;
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    match cause.and_then(std::io::Error::raw_os_error) {
        Some(EIO) => {
            return ": the disk is failing: look at it and run the command again, which goes on where it was";
        }
        Some(ENFILE | EMFILE) => {
            return ": raise the limit (`ulimit -n`) or end other programs, and run the command again";
        }
        _ => {}
    }
    match cause.map(std::io::Error::kind) {
        Some(ErrorKind::QuotaExceeded | ErrorKind::StorageFull) => {
            ": free some space and run the command again, which goes on where it was"
        }
        Some(ErrorKind::PermissionDenied) => {
            ": see that it, and the folder that it is in, are yours to read and write"
        }
        Some(ErrorKind::ReadOnlyFilesystem) => ": see that its file system is not mounted read-only",
        _ => "",
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Unchecked(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Unchecked(error.into())
    }
}

impl From<provex_pipeline::Error> for Failure {
    fn from(error: provex_pipeline::Error) -> Self {
        match error {
            provex_pipeline::Error::Store(error) => error.into(),
            other => Self::Unchecked(other.into()),
        }
    }
}

impl From<provex_store::Error> for Failure {
    fn from(error: provex_store::Error) -> Self {
        match error {
            provex_store::Error::UnknownTenant(_) | provex_store::Error::BadUrl => Self::Call(error.into()),
            other => Self::Unchecked(other.into()),
        }
    }
}
