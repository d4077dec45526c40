//! What a server's answer to a submission means.

use provex_core::entry::LogEntry;
use provex_core::json;
use serde::Deserialize;

use crate::http::Reply;
use crate::{LogError, Misbehavior};

/// gRPC's code for an argument that will never be valid.
const INVALID_ARGUMENT: i64 = 3;

/// What became of an entry that was sent.
pub(super) enum Posted {
    /// It is logged now.
    Logged(Box<LogEntry>),
    /// It was there already, at this index.
    Duplicate {
        /// The index.
        index: u64,
    },
    /// The log has given up waiting for it, as whoever asked for something had gone.
    Cancelled {
        /// In words.
        reason: String,
    },
}

/// The body of an error of rekor-tiles: gRPC's status as JSON.
#[derive(Deserialize)]
struct Status {
    code: i64,
    message: String,
}

/// Reads an answer (rekor-tiles `internal/server/service.go`). Only what the log itself refused is final: whatever a
/// proxy before it may say, is not.
pub(super) fn posted(url: &str, reply: &Reply) -> Result<Posted, LogError> {
    let status: Option<Status> = json::from_slice_strict(&reply.body).ok();
    let said = || status.as_ref().map_or_else(|| reply.said(), |status| status.message.clone());
    let retry_after = reply.retry_after();
    let reason = || format!("it answered {}: {}", reply.status, said());
    match reply.status {
        201 => match LogEntry::parse(&reply.body) {
            Ok(entry) => Ok(Posted::Logged(Box::new(entry))),
            Err(error) => Err(Misbehavior::Entry(error).into()),
        },
        400 if status.as_ref().is_some_and(|status| status.code == INVALID_ARGUMENT) => {
            Err(LogError::Refused(said()))
        }
        405 if reply.said().contains("frozen") => Err(LogError::Frozen(said())),
        409 => duplicate(reply, &said())
            .map(|index| Posted::Duplicate { index })
            .ok_or_else(|| LogError::in_doubt(format!("{}, and names no index", reason()))),
        413 => Err(LogError::Refused(said())),
        // The server stopped waiting, or something between us and it did: the entry may be on its way.
        499 => Ok(Posted::Cancelled { reason: reason() }),
        408 | 500 | 502 | 504 => Err(LogError::InDoubt { reason: reason(), retry_after }),
        429 | 503 => Err(LogError::Unavailable { reason: reason(), retry_after }),
        other => {
            let (url, said) = (url.to_owned(), said());
            Err(Misbehavior::NoLog { url, status: other, said }.into())
        }
    }
}

/// The index of the entry that is there: in a header since v2.1.0, before that at the end of the message alone.
fn duplicate(reply: &Reply, message: &str) -> Option<u64> {
    let header = reply.headers.get("x-log-index").and_then(|value| value.to_str().ok());
    let text = header.or_else(|| message.rsplit_once("with index ").map(|(_, index)| index))?;
    text.trim().parse().ok()
}
