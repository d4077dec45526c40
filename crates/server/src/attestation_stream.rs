//! `GET /v1/ledger/attestations/stream` (`docs/ledger-attestations.md`).
//!
//! All rows of one snapshot, in constant memory. The status is said before the rows are read, so an answer that fails in
//! the middle is broken off: the client misses the end of the last chunk (RFC 9112 section 7.1). A snapshot stands in the
//! way of the database's housekeeping; there are a few at a time, and each ends.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use provex_core::ids::TenantId;
use provex_pipeline::view::AttestationView;
use provex_store::{AttestationRow, AttestationRows, AttestationStream, Scope};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tracing::Instrument as _;

use crate::App;
use crate::attestations::{Admitted, Answering, Asked, FILTERS, ROOT_HASH, TREE_SIZE, filter};
use crate::page::{Kind, accepted, encode};
use crate::problem::{Problem, ProblemBody};
use crate::query::Query;

/// The path, whose queries are counted with those of pages.
pub(crate) const PATH: &str = "/v1/ledger/attestations/stream";

/// Streams at a time: each holds a snapshot.
pub(crate) const STREAMS: usize = 4;
/// How long one may take, however fast its client reads: the next one goes on from the last row's `recordedAt`.
const STREAM_PATIENCE: Duration = Duration::from_secs(60 * 60);

/// All attestations that fit, a line each, in the order of the pages, of one state of the ledger. An answer that was broken
/// off is not all: the connection ends without the end of the body.
#[utoipa::path(
    get, path = "/v1/ledger/attestations/stream", tag = "ledger", security(("token" = ["ledger.attest.read"])),
    params(
        ("X-Stella-Tenant" = String, Header),
        ("artifactId" = Option<String>, Query, description = "about this artifact"),
        ("findingId" = Option<String>, Query, description = "about this vulnerability"),
        ("attestationId" = Option<String>, Query, description = "this one: a UUID"),
        ("status" = Option<String>, Query, description = "`verified`, `failed` or `unknown`"),
        ("sinceRecordedAt" = Option<String>, Query, description = "recorded at this time or later (RFC 3339)"),
        ("untilRecordedAt" = Option<String>, Query, description = "recorded before this time (RFC 3339)"),
    ),
    responses(
        (
            status = 200, body = AttestationView, content_type = "application/x-ndjson", description = "A line each",
            headers(
                ("X-Ledger-Tree-Size" = String, description = "how many events the ledger had"),
                ("X-Ledger-Root-Hash" = String, description = "the root over them"),
            ),
        ),
        (status = 400, body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = app.admit(&headers, Scope::LedgerAttestRead).await?;
    let answered = begin(&app, &caller.tenant, &uri, &headers).await;
    let mut response = answered.unwrap_or_else(Problem::into_response);
    response.extensions_mut().insert(Admitted(caller.tenant));
    Ok(response)
}

async fn begin(
    app: &Arc<App>,
    tenant: &TenantId,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let kind = Kind::Ndjson;
    if accepted(headers, kind.media_type()) == 0 {
        return Err(Problem::NotAcceptable { offered: kind.media_type() });
    }
    let filter = filter(&Query::parse(uri.query(), &FILTERS)?)?;
    let answering = Answering::begin(app, tenant);
    let span = answering.span.clone();
    let filters = filter.hash(tenant);
    let turn = Arc::clone(&app.streams).acquire_owned().await.map_err(|_| Problem::Unavailable)?;
    let (state, lines) = async {
        let AttestationStream { tree_size, root_hash, mut rows } =
            app.store.attestation_stream(tenant, &filter).await?;
        // What fails now can still be said with a status.
        let first = rows.next().await?;
        let state = [(TREE_SIZE, tree_size.to_string()), (ROOT_HASH, root_hash.to_hex())];
        Ok::<_, Problem>((state, Lines { rows, next: first, sent: 0, _turn: turn }))
    }
    .instrument(span.clone())
    .await?;
    let (sender, receiver) = mpsc::channel(1);
    let app = Arc::clone(app);
    let sending = async move {
        let (rows, end) = lines.send(sender, STREAM_PATIENCE).await;
        if let Some(reason) = end.failure_reason() {
            app.metrics.count_attestation_failure(reason);
            tracing::warn!(reason, rows, "a stream of attestations was broken off");
        }
        answering.end(&app, &Asked { filters, limit: None, rows, next: false });
    };
    tokio::spawn(sending.instrument(span));
    respond(kind, state, receiver)
}

fn respond(
    kind: Kind,
    state: [(HeaderName, String); 2],
    receiver: mpsc::Receiver<Part>,
) -> Result<Response, Problem> {
    let beside = [
        (header::CONTENT_TYPE, kind.media_type().to_owned()),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::VARY, "Accept, Authorization, X-Stella-Tenant".to_owned()),
    ];
    let mut response = body(receiver).into_response();
    for (name, value) in state.into_iter().chain(beside) {
        let value = HeaderValue::try_from(value).map_err(|_| Problem::Internal)?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// What goes from who reads the store to who writes to the client.
enum Part {
    Lines(Bytes),
    /// That was all.
    End,
}

/// The answer's body. It ends well only after [`Part::End`]: whatever became of the sender, less than all is an error, for
/// which the connection is broken off.
fn body(receiver: mpsc::Receiver<Part>) -> Body {
    Body::from_stream(stream::unfold(receiver, async |mut receiver| match receiver.recv().await {
        Some(Part::Lines(lines)) => Some((Ok(lines), receiver)),
        Some(Part::End) => None,
        None => Some((Err("the stream was broken off"), receiver)),
    }))
}

/// How a stream ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Whole,
    /// The client went away, or was cut off because it took nothing.
    Left,
    Late,
    Failed,
}

impl End {
    /// As the counter of failures names it.
    fn failure_reason(&self) -> Option<&'static str> {
        match self {
            Self::Whole | Self::Left => None,
            Self::Late => Some("timeout"),
            Self::Failed => Some("internal"),
        }
    }
}

/// Rows on their way to a client.
struct Lines {
    rows: Box<dyn AttestationRows>,
    next: Vec<AttestationRow>,
    sent: u64,
    _turn: OwnedSemaphorePermit,
}

impl Lines {
    /// Sends everything, as fast as it is taken: how many rows, and how it ended. Then the snapshot is gone.
    async fn send(mut self, to: mpsc::Sender<Part>, patience: Duration) -> (u64, End) {
        let end = tokio::time::timeout(patience, self.send_all(&to)).await;
        (self.sent, end.unwrap_or(End::Late))
    }

    async fn send_all(&mut self, to: &mpsc::Sender<Part>) -> End {
        while !self.next.is_empty() {
            let views: Vec<_> = self.next.iter().map(AttestationView::new).collect();
            let Ok(lines) = encode(&views, Kind::Ndjson) else { return End::Failed };
            if to.send(Part::Lines(lines.into())).await.is_err() {
                return End::Left;
            }
            self.sent += self.next.len() as u64;
            self.next = match self.rows.next().await {
                Ok(rows) => rows,
                Err(error) => {
                    tracing::error!(%error, "the store failed in the middle of a stream");
                    return End::Failed;
                }
            };
        }
        if to.send(Part::End).await.is_err() { End::Left } else { End::Whole }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use http_body_util::BodyExt as _;
    use provex_core::digest::Digest;
    use provex_core::ids::EnvelopeDigest;
    use provex_core::ledger::{AttestationFacts, VerificationStatus};
    use provex_core::time::Timestamp;
    use provex_store::Error;
    use tokio::sync::Semaphore;

    use super::*;

    /// So many pages of no length that matters, and then what is left of them: an end, or a failure.
    struct Pages(usize, Option<Error>);

    #[async_trait]
    impl AttestationRows for Pages {
        async fn next(&mut self) -> Result<Vec<AttestationRow>, Error> {
            self.0 = self.0.saturating_sub(1);
            match self.1.take_if(|_| self.0 == 0) {
                Some(error) => Err(error),
                None if self.0 == 0 => Ok(Vec::new()),
                None => Ok(vec![row()]),
            }
        }
    }

    fn row() -> AttestationRow {
        let (time, digest) = (Timestamp::from_unix_seconds(0).unwrap(), Digest::of(b""));
        AttestationRow {
            facts: AttestationFacts {
                tenant_id: TenantId::default_tenant(),
                attestation_id: uuid::Uuid::nil(),
                artifact_id: String::new(),
                finding_id: None,
                verification_status: VerificationStatus::Verified,
                verification_time: time,
                dsse_digest: EnvelopeDigest::new(digest),
                rekor_entry_id: None,
                evidence_bundle_ref: None,
            },
            ledger_event_id: uuid::Uuid::nil(),
            recorded_at: time,
            merkle_leaf_hash: digest,
            root_hash: digest,
            cycle_hash: digest,
            projection_version: String::new(),
        }
    }

    async fn lines(pages: usize, failure: Option<Error>, streams: &Arc<Semaphore>) -> Lines {
        let mut rows = Pages(pages + 1, failure);
        let next = rows.next().await.unwrap();
        let turn = Arc::clone(streams).acquire_owned().await.unwrap();
        Lines { rows: Box::new(rows), next, sent: 0, _turn: turn }
    }

    #[tokio::test]
    async fn a_whole_stream_ends_well_and_a_failed_one_does_not() {
        let streams = Arc::new(Semaphore::new(1));
        for (failure, end) in [(None, End::Whole), (Some(Error::OutcomeUnknown), End::Failed)] {
            let failed = failure.is_some();
            let (sender, receiver) = mpsc::channel(1);
            let lines = lines(3, failure, &streams).await;
            let sending = tokio::spawn(lines.send(sender, STREAM_PATIENCE));
            let collected = body(receiver).collect().await;
            assert_eq!(collected.is_err(), failed);
            let rows =
                if failed { 3 } else { collected.unwrap().to_bytes().split(|c| *c == b'\n').count() - 1 };
            assert_eq!((sending.await.unwrap(), rows), ((3, end), 3));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_keeps_no_snapshot() {
        let streams = Arc::new(Semaphore::new(1));
        let (sender, receiver) = mpsc::channel(1);
        let sent = lines(10, None, &streams).await.send(sender, STREAM_PATIENCE).await;
        assert_eq!((sent, streams.available_permits()), ((1, End::Late), 1));
        assert!(body(receiver).collect().await.is_err());
    }

    #[tokio::test]
    async fn a_client_that_left_keeps_no_snapshot() {
        let streams = Arc::new(Semaphore::new(1));
        let (sender, receiver) = mpsc::channel(1);
        drop(body(receiver));
        let sent = lines(10, None, &streams).await.send(sender, STREAM_PATIENCE).await;
        assert_eq!((sent, streams.available_permits()), ((0, End::Left), 1));
    }
}
