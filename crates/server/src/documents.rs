//! `POST /v1/vex/documents` and `GET /v1/vex/documents/{digest}`.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use provex_core::digest::Digest;
use provex_core::ids::{DocumentDigest, TenantId};
use provex_pipeline::view::DocumentView;
use provex_pipeline::{Content, Input, Item, ParseReport};
use provex_store::{IdempotentAnswer, RecordedDocument, Scope};

use crate::access::{Caller, one};
use crate::metrics::{DocumentLabels, FormatLabels};
use crate::page::respond;
use crate::problem::{Problem, ProblemBody};
use crate::{App, query};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// How long the answer to a write is kept for its key.
const KEPT_MICROS: i64 = 24 * 60 * 60 * 1_000_000;
/// The longest pause within a body.
const BODY_PATIENCE: Duration = Duration::from_secs(20);

/// Record a document of any format: OpenVEX, CSAF, CycloneDX (JSON or XML), SPDX 3, or one in a DSSE or in-toto wrapper.
/// It is told by its content. The same bytes again change nothing.
#[utoipa::path(
    post, path = "/v1/vex/documents", tag = "documents", security(("token" = ["vex.write"])),
    params(("X-Stella-Tenant" = String, Header), ("Idempotency-Key" = Option<String>, Header)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 201, description = "Recorded", body = DocumentView),
        (status = 200, description = "It was recorded before", body = DocumentView),
        (status = 413, description = "Too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "The document is refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn post(
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let caller = app.admit(&headers, Scope::VexWrite).await?;
    query::none(raw.as_deref())?;
    check_media_type(&headers)?;
    let key = idempotency_key(&headers)?;
    let _turn = app.uploads.acquire().await.map_err(|_| Problem::Unavailable)?;
    let body = receive(body, app.parse_limits.max_bytes).await?;
    let Some(key) = key else { return Ok(record(&app, &caller, body).await?.into_response()) };
    let request = Digest::of_parts(&[b"POST /v1/vex/documents\n", &body]);
    let now = app.environment.now();
    if let Some(kept) = app.store.idempotent_answer(&caller.tenant, &key, now).await? {
        return if kept.request == request { repeat(kept) } else { Err(Problem::IdempotencyKeyReused) };
    }
    let answer = record(&app, &caller, body).await?;
    let expires_at = now.plus_micros(KEPT_MICROS).map_err(|_| Problem::Internal)?;
    let status = answer.status.as_u16();
    let kept = IdempotentAnswer { key, request, status, body: answer.body.clone(), expires_at };
    app.store.record_idempotent_answer(&caller.tenant, now, &kept).await?;
    Ok(answer.into_response())
}

/// A recorded document without its bytes.
#[utoipa::path(
    get, path = "/v1/vex/documents/{digest}", tag = "documents", security(("token" = ["vex.read"])),
    params(("X-Stella-Tenant" = String, Header), ("digest" = String, Path, description = "SHA-256 of the received bytes, 64 hex digits")),
    responses(
        (status = 200, body = DocumentView),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Path(digest): Path<String>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = app.admit(&headers, Scope::VexRead).await?;
    query::none(raw.as_deref())?;
    let digest = DocumentDigest::from_str(&digest)
        .map_err(|_| Problem::bad("digest", "64 hex digits in lower case"))?;
    let view = view(&app, &caller.tenant, &digest).await?.ok_or(Problem::NotFound { what: "document" })?;
    respond("application/json", json(&view)?, Vec::new(), &headers)
}

/// An answer to a write, as it is kept for its key.
struct Answer {
    status: StatusCode,
    body: Vec<u8>,
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (self.status, [(header::CONTENT_TYPE, "application/json")], self.body).into_response()
    }
}

async fn record(app: &Arc<App>, caller: &Caller, body: Bytes) -> Result<Answer, Problem> {
    let digest = DocumentDigest::new(Digest::of(&body));
    let name = format!("api-token:{}", caller.token);
    let input = Input { name, content: Content::Bytes(body.into()), found: false };
    let mut item = None;
    let pipeline = app.pipeline(caller);
    pipeline.ingest(std::iter::once(input), app.parse_limits, |done| item = Some(done)).await?;
    let status = outcome(app, item.ok_or(Problem::Internal)?)?;
    let view = view(app, &caller.tenant, &digest).await?.ok_or(Problem::Internal)?;
    Ok(Answer { status, body: json(&view)? })
}

/// The status of what became of a document.
fn outcome(app: &App, item: Item) -> Result<StatusCode, Problem> {
    let count = |format, outcome| {
        app.metrics.documents.get_or_create(&DocumentLabels { format, outcome }).inc();
    };
    match (item.report, item.recorded) {
        (ParseReport::Rejected(rejection), _) => {
            count(rejection.format.map_or("unknown", |format| format.label()), "rejected");
            let code = rejection.code.label().to_owned();
            let (pointer, line, message) = (rejection.pointer, rejection.line, rejection.message);
            Err(Problem::Rejected { code, pointer, line, message })
        }
        (ParseReport::Read { format, observations, .. }, Some(RecordedDocument::New(_))) => {
            count(format.label(), "recorded");
            let labels = FormatLabels { format: format.label() };
            app.metrics.observations.get_or_create(&labels).inc_by(observations);
            Ok(StatusCode::CREATED)
        }
        (ParseReport::Read { format, .. }, Some(RecordedDocument::Unchanged)) => {
            count(format.label(), "unchanged");
            Ok(StatusCode::OK)
        }
        (ParseReport::Read { .. }, None) | (ParseReport::Unreadable(_) | ParseReport::Skipped, _) => {
            Err(Problem::Internal)
        }
    }
}

async fn view(
    app: &App,
    tenant: &TenantId,
    digest: &DocumentDigest,
) -> Result<Option<DocumentView>, Problem> {
    let Some(row) = app.store.document(tenant, digest).await? else { return Ok(None) };
    let envelopes = app.store.envelopes_of_document(tenant, digest).await?;
    Ok(Some(DocumentView::new(&row, &envelopes)))
}

fn repeat(kept: IdempotentAnswer) -> Result<Response, Problem> {
    let status = StatusCode::from_u16(kept.status).map_err(|_| Problem::Internal)?;
    Ok(Answer { status, body: kept.body }.into_response())
}

fn json(view: &DocumentView) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(view).map_err(|_| Problem::Internal)
}

/// The formats are told by content; what can be none of them is refused by its name.
fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let refused = |detail: String| Err(Problem::UnsupportedMediaType { detail });
    if headers.contains_key(header::CONTENT_ENCODING) {
        return refused("Content-Encoding: the body has to come as it is".to_owned());
    }
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let suffix = essence.rsplit_once('+').map(|(_, suffix)| suffix);
    let known = matches!(
        essence.as_str(),
        "application/json" | "application/xml" | "text/xml" | "text/json" | "application/octet-stream"
    );
    if known || matches!(suffix, Some("json" | "xml")) {
        return Ok(());
    }
    refused(format!(
        "Content-Type: `{essence}` is no document; send application/json, application/xml or \
         application/octet-stream, with curl: -H 'Content-Type: application/json' --data-binary @FILE"
    ))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let expected = "1 to 255 visible ASCII characters, once";
    let value = one(headers, &IDEMPOTENCY_KEY).ok_or_else(|| Problem::bad("Idempotency-Key", expected))?;
    match value {
        Some(key) if !(1..=255).contains(&key.len()) => Err(Problem::bad("Idempotency-Key", expected)),
        key => Ok(key.map(str::to_owned)),
    }
}

/// The whole body, if it comes in time and is not too large.
async fn receive(mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    let too_large = Problem::TooLarge { limit };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large);
    }
    let mut received = Vec::new();
    loop {
        let frame = match tokio::time::timeout(BODY_PATIENCE, body.frame()).await {
            Err(_) => return Err(Problem::SlowRequest),
            Ok(None) => return Ok(received.into()),
            Ok(Some(Err(_))) => return Err(Problem::BrokenBody),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(part) = frame.into_data() else { continue };
        if part.len() > limit - received.len() {
            return Err(too_large);
        }
        received.extend_from_slice(&part);
    }
}
