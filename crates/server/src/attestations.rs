//! `GET /v1/ledger/attestations` (`docs/ledger-attestations.md`).

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, HeaderName, Uri};
use axum::response::Response;
use provex_core::digest::Digest;
use provex_core::ids::TenantId;
use provex_core::ledger::{AttestationFilter, VerificationStatus};
use provex_core::time::Timestamp;
use provex_pipeline::view::AttestationView;
use provex_store::{AttestationPosition, Scope};
use tracing::Instrument as _;

use crate::App;
use crate::page::{Kind, Order, Page};
use crate::problem::{Problem, ProblemBody};
use crate::query::Query;

/// The path, whose queries are counted by themselves.
pub(crate) const PATH: &str = "/v1/ledger/attestations";

pub(crate) const TREE_SIZE: HeaderName = HeaderName::from_static("x-ledger-tree-size");
pub(crate) const ROOT_HASH: HeaderName = HeaderName::from_static("x-ledger-root-hash");

const ORDER: Order = Order { id_key: "attestationId", time_key: "recordedAt" };
const PARAMETERS: [&str; 8] = [
    "artifactId",
    "attestationId",
    "findingId",
    "limit",
    "pageToken",
    "sinceRecordedAt",
    "status",
    "untilRecordedAt",
];
/// Those that choose rows.
pub(crate) const FILTERS: [&str; 6] =
    ["artifactId", "attestationId", "findingId", "sinceRecordedAt", "status", "untilRecordedAt"];

/// Whose query was admitted: what the counter of queries names.
#[derive(Debug, Clone)]
pub(crate) struct Admitted(pub(crate) TenantId);

/// A query that is answered: the span `ledger.attestations.query`, and the log event of the same name.
pub(crate) struct Answering {
    pub(crate) span: tracing::Span,
    tenant: TenantId,
    began: Timestamp,
}

impl Answering {
    pub(crate) fn begin(app: &App, tenant: &TenantId) -> Self {
        let span = tracing::info_span!(
            "ledger.attestations.query",
            tenant = tenant.as_str(),
            filtersHash = tracing::field::Empty,
            limit = tracing::field::Empty,
            duration_ms = tracing::field::Empty,
            result_count = tracing::field::Empty,
            next_page_token_present = tracing::field::Empty,
        );
        Self { span, tenant: tenant.clone(), began: app.environment.now() }
    }

    /// Tells what was asked for, and how much of it there was. A stream has no limit, and no next page.
    pub(crate) fn end(self, app: &App, asked: &Asked) {
        let micros = app.environment.now().as_unix_micros() - self.began.as_unix_micros();
        let (filters, duration_ms) = (asked.filters.to_hex(), micros.max(0) as f64 / 1e3);
        self.span.record("filtersHash", filters.as_str());
        self.span.record("limit", asked.limit);
        self.span.record("duration_ms", duration_ms);
        self.span.record("result_count", asked.rows);
        self.span.record("next_page_token_present", asked.next);
        tracing::info!(
            name: "ledger.attestations.query",
            parent: &self.span,
            tenant = self.tenant.as_str(),
            filtersHash = filters,
            limit = asked.limit,
            duration_ms,
            result_count = asked.rows,
            "ledger.attestations.query"
        );
    }
}

/// What was asked for, and how much of it there was.
pub(crate) struct Asked {
    pub(crate) filters: Digest,
    pub(crate) limit: Option<usize>,
    pub(crate) rows: u64,
    pub(crate) next: bool,
}

/// Attestations in the order `recordedAt`, `attestationId`: all conditions have to hold. An attestation that is verified
/// again with another outcome moves to the end, so who reads on from `sinceRecordedAt` meets every newest state.
#[utoipa::path(
    get, path = "/v1/ledger/attestations", tag = "ledger", security(("token" = ["ledger.attest.read"])),
    params(
        ("X-Stella-Tenant" = String, Header),
        ("artifactId" = Option<String>, Query, description = "about this artifact"),
        ("findingId" = Option<String>, Query, description = "about this vulnerability"),
        ("attestationId" = Option<String>, Query, description = "this one: a UUID"),
        ("status" = Option<String>, Query, description = "`verified`, `failed` or `unknown`"),
        ("sinceRecordedAt" = Option<String>, Query, description = "recorded at this time or later (RFC 3339)"),
        ("untilRecordedAt" = Option<String>, Query, description = "recorded before this time (RFC 3339)"),
        ("limit" = Option<u32>, Query, description = "1 to 1000, default 200"),
        ("pageToken" = Option<String>, Query, description = "the X-Next-Page-Token of the page before"),
    ),
    responses(
        (
            status = 200, body = Vec<AttestationView>,
            description = "A JSON array, or a line each with Accept: application/x-ndjson",
            headers(
                ("X-Ledger-Tree-Size" = String, description = "how many events the ledger had"),
                ("X-Ledger-Root-Hash" = String, description = "the root over them"),
                ("X-Next-Page-Token" = String, description = "there are more rows: the token of the next page"),
                ("Link" = String, description = "there are more rows: the next page, rel=\"next\""),
            ),
        ),
        (status = 304, description = "The client has it already"),
        (status = 400, body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = app.admit(&headers, Scope::LedgerAttestRead).await?;
    let answering = Answering::begin(&app, &caller.tenant);
    let answered = page(&app, &caller.tenant, &uri, &headers).instrument(answering.span.clone()).await;
    let mut response = match answered {
        Ok((response, asked)) => {
            answering.end(&app, &asked);
            response
        }
        Err(problem) => axum::response::IntoResponse::into_response(problem),
    };
    response.extensions_mut().insert(Admitted(caller.tenant));
    Ok(response)
}

async fn page(
    app: &App,
    tenant: &TenantId,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(Response, Asked), Problem> {
    let kind = Kind::negotiate(headers)?;
    let query = Query::parse(uri.query(), &PARAMETERS)?;
    let (filter, limit) = (filter(&query)?, query.limit()?);
    let filters = filter.hash(tenant);
    let after = query.text("pageToken")?.map(|token| position(&token, &filters)).transpose()?;
    let mut page = app.store.attestations(tenant, &filter, after, limit + 1).await?;
    let next = (page.rows.len() > limit).then(|| {
        page.rows.truncate(limit);
        let last = page.rows[limit - 1].position();
        ORDER.token(last.recorded_at, &last.attestation_id.to_string(), &filters)
    });
    let asked = Asked { filters, limit: Some(limit), rows: page.rows.len() as u64, next: next.is_some() };
    let rows: Vec<_> = page.rows.iter().map(AttestationView::new).collect();
    let state = vec![(TREE_SIZE, page.tree_size.to_string()), (ROOT_HASH, page.root_hash.to_hex())];
    let page = Page { rows: &rows, next, headers: state };
    Ok((page.respond(kind, headers, uri.path(), uri.query())?, asked))
}

/// The six filters.
pub(crate) fn filter(query: &Query) -> Result<AttestationFilter, Problem> {
    Ok(AttestationFilter {
        artifact_id: query.text("artifactId")?,
        finding_id: query.text("findingId")?,
        attestation_id: query.uuid("attestationId")?,
        status: query.read("status", "one of verified, failed, unknown", VerificationStatus::from_label)?,
        since_recorded_at: query.time("sinceRecordedAt")?,
        until_recorded_at: query.time("untilRecordedAt")?,
    })
}

fn position(token: &str, filters: &Digest) -> Result<AttestationPosition, Problem> {
    let (recorded_at, id) = ORDER.position(token, filters)?;
    let attestation_id: uuid::Uuid = id.parse().map_err(|_| Problem::BadToken)?;
    if attestation_id.to_string() != id {
        return Err(Problem::BadToken);
    }
    Ok(AttestationPosition { recorded_at, attestation_id })
}
