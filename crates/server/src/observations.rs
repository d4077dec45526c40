//! `GET /v1/vex/observations`, one of them, and what proves it.

use std::str::FromStr as _;
use std::sync::Arc;

use axum::extract::{OriginalUri, Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use provex_core::digest::Digest;
use provex_core::ids::{DocumentDigest, ObservationId, TenantId};
use provex_core::jcs::ObjectWriter;
use provex_core::vex::Status;
use provex_pipeline::Exported;
use provex_pipeline::view::{LinkageView, ObservationView, vulnerability_key};
use provex_store::{ObservationFilter, ObservationPosition, ObservationRow, Scope};

use crate::App;
use crate::access::Caller;
use crate::page::{Kind, Order, Page, respond};
use crate::problem::{Problem, ProblemBody};
use crate::query::{self, Query};

const ORDER: Order = Order { id_key: "observationId", time_key: "createdAt" };
const PARAMETERS: [&str; 9] = [
    "document",
    "limit",
    "logIndex",
    "pageToken",
    "pending",
    "product",
    "rekorUuid",
    "status",
    "vulnerability",
];
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// Observations in the order they were recorded in: all conditions have to hold.
#[utoipa::path(
    get, path = "/v1/vex/observations", tag = "observations", security(("token" = ["vex.read"])),
    params(
        ("X-Stella-Tenant" = String, Header),
        ("document" = Option<String>, Query, description = "of the document with this SHA-256"),
        ("vulnerability" = Option<String>, Query, description = "against this vulnerability, by id or alias"),
        ("product" = Option<String>, Query, description = "about this product or subcomponent, by key or identifier"),
        ("status" = Option<String>, Query, description = "with this status"),
        ("rekorUuid" = Option<String>, Query, description = "linked to this leaf hash"),
        ("logIndex" = Option<u64>, Query, description = "linked at this index, of any log"),
        ("pending" = Option<bool>, Query, description = "`true`: not linked"),
        ("limit" = Option<u32>, Query, description = "1 to 1000, default 200"),
        ("pageToken" = Option<String>, Query, description = "the X-Next-Page-Token of the page before"),
    ),
    responses(
        (status = 200, body = Vec<ObservationView>, description = "A JSON array, or a line each with Accept: application/x-ndjson"),
        (status = 400, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = app.admit(&headers, Scope::VexRead).await?;
    let query = Query::parse(uri.query(), &PARAMETERS)?;
    let hex = "64 hex digits in lower case";
    let statuses = Status::ALL.iter().map(|status| status.label()).collect::<Vec<_>>().join(", ");
    let filter = ObservationFilter {
        document: query.parsed::<DocumentDigest>("document", hex)?,
        vulnerability: query.text("vulnerability")?.as_deref().map(vulnerability_key),
        product: query.text("product")?,
        status: query.read("status", &format!("one of {statuses}"), Status::from_label)?,
        rekor_uuid: query.read("rekorUuid", hex, |text| Digest::from_hex(text).ok())?,
        log_index: query.number("logIndex", "a number from 0 on")?,
        pending: query.parsed("pending", "true or false")?.unwrap_or(false),
    };
    page(&app, &caller.tenant, &filter, &query, &headers, &uri).await
}

/// What waits to be linked, in the order it was recorded in.
#[utoipa::path(
    get, path = "/v1/vex/observations/pending", tag = "observations", security(("token" = ["vex.read"])),
    params(
        ("X-Stella-Tenant" = String, Header),
        ("limit" = Option<u32>, Query, description = "1 to 1000, default 200"),
        ("pageToken" = Option<String>, Query, description = "the X-Next-Page-Token of the page before"),
    ),
    responses((status = 200, body = Vec<ObservationView>))
)]
pub(crate) async fn pending(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = app.admit(&headers, Scope::VexRead).await?;
    let query = Query::parse(uri.query(), &["limit", "pageToken"])?;
    let filter = ObservationFilter { pending: true, ..ObservationFilter::default() };
    page(&app, &caller.tenant, &filter, &query, &headers, &uri).await
}

async fn page(
    app: &App,
    tenant: &TenantId,
    filter: &ObservationFilter,
    query: &Query,
    headers: &HeaderMap,
    uri: &axum::http::Uri,
) -> Result<Response, Problem> {
    let kind = Kind::negotiate(headers)?;
    let (limit, filters) = (query.limit()?, filters_hash(tenant, filter));
    let after = query.text("pageToken")?.map(|token| position(&token, &filters)).transpose()?;
    let mut rows = app.store.observations(tenant, filter, after, limit + 1).await?;
    let next = (rows.len() > limit).then(|| {
        rows.truncate(limit);
        let last = &rows[limit - 1];
        ORDER.token(last.created_at, &last.id.to_text(), &filters)
    });
    let rows = rows.iter().map(ObservationView::new).collect::<Result<Vec<_>, _>>()?;
    Page { rows: &rows, next, headers: Vec::new() }.respond(kind, headers, uri.path(), uri.query())
}

fn position(token: &str, filters: &Digest) -> Result<ObservationPosition, Problem> {
    let (created_at, id) = ORDER.position(token, filters)?;
    let id = ObservationId::from_str(&id).map_err(|_| Problem::BadToken)?;
    Ok(ObservationPosition { created_at, id })
}

/// SHA-256 of the tenant and the filters: what a page token is bound to.
fn filters_hash(tenant: &TenantId, filter: &ObservationFilter) -> Digest {
    let mut out = Vec::with_capacity(512);
    let mut filters = ObjectWriter::new(&mut out);
    filters.opt_str("document", filter.document.map(|digest| digest.to_text()).as_deref());
    filters.opt_str("logIndex", filter.log_index.map(|index| index.to_string()).as_deref());
    filters.bool("pending", filter.pending);
    filters.opt_str("product", filter.product.as_deref());
    filters.opt_str("rekorUuid", filter.rekor_uuid.map(|leaf| leaf.to_hex()).as_deref());
    filters.str("schema", provex_core::ledger::FILTERS_SCHEMA);
    filters.opt_str("status", filter.status.map(Status::label));
    filters.str("tenantId", tenant.as_str());
    filters.opt_str("vulnerability", filter.vulnerability.as_deref());
    filters.finish().expect("strings always have a canonical form");
    Digest::of(&out)
}

/// One observation with its linkage.
#[utoipa::path(
    get, path = "/v1/vex/observations/{id}", tag = "observations", security(("token" = ["vex.read"])),
    params(("X-Stella-Tenant" = String, Header), ("id" = String, Path, example = "vex:obs:sha256:…")),
    responses((status = 200, body = ObservationView), (status = 404, body = ProblemBody, content_type = "application/problem+json"))
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (_, row) = found(&app, &id, raw.as_deref(), &headers).await?;
    let body = serde_json::to_vec(&ObservationView::new(&row)?).map_err(|_| Problem::Internal)?;
    respond("application/json", body, Vec::new(), &headers)
}

/// An observation's linkage: the columns `rekor_…`.
#[utoipa::path(
    get, path = "/v1/vex/observations/{id}/linkage", tag = "observations", security(("token" = ["vex.read"])),
    params(("X-Stella-Tenant" = String, Header), ("id" = String, Path)),
    responses((status = 200, body = LinkageView), (status = 404, body = ProblemBody, content_type = "application/problem+json"))
)]
pub(crate) async fn linkage(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (_, row) = found(&app, &id, raw.as_deref(), &headers).await?;
    let linkage = row.linkage.as_ref().ok_or(Problem::NotLinked)?;
    let body = serde_json::to_vec(&LinkageView::new(linkage)).map_err(|_| Problem::Internal)?;
    respond("application/json", body, Vec::new(), &headers)
}

/// The Sigstore bundle of an observation's log entry, byte for byte as it is kept.
#[utoipa::path(
    get, path = "/v1/vex/observations/{id}/bundle", tag = "observations", security(("token" = ["vex.read"])),
    params(("X-Stella-Tenant" = String, Header), ("id" = String, Path)),
    responses(
        (status = 200, body = Object, content_type = "application/vnd.dev.sigstore.bundle.v0.3+json"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn bundle(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (caller, row) = found(&app, &id, raw.as_deref(), &headers).await?;
    exported(app.pipeline(&caller).bundle_of(&row.id).await?, BUNDLE, &headers)
}

/// The proof of an observation (`provex.proof/v1`), which `provex verify` checks offline.
#[utoipa::path(
    get, path = "/v1/vex/observations/{id}/proof", tag = "observations", security(("token" = ["vex.read"])),
    params(("X-Stella-Tenant" = String, Header), ("id" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = ProblemBody, content_type = "application/problem+json"))
)]
pub(crate) async fn proof(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (caller, row) = found(&app, &id, raw.as_deref(), &headers).await?;
    exported(app.pipeline(&caller).proof(&row.id).await?, "application/json", &headers)
}

/// A kept Sigstore bundle by its digest.
#[utoipa::path(
    get, path = "/v1/bundles/{digest}", tag = "observations", security(("token" = ["vex.read"])),
    params(("X-Stella-Tenant" = String, Header), ("digest" = String, Path, example = "sha256:…")),
    responses(
        (status = 200, body = Object, content_type = "application/vnd.dev.sigstore.bundle.v0.3+json"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn bundle_by_digest(
    State(app): State<Arc<App>>,
    Path(digest): Path<String>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = app.admit(&headers, Scope::VexRead).await?;
    query::none(raw.as_deref())?;
    let digest =
        digest.parse().map_err(|_| Problem::bad("digest", "sha256:<64 hex digits in lower case>"))?;
    let bytes = app.pipeline(&caller).bundle(&digest).await?;
    respond(BUNDLE, bytes.ok_or(Problem::NotFound { what: "bundle" })?, Vec::new(), &headers)
}

async fn found(
    app: &App,
    id: &str,
    raw: Option<&str>,
    headers: &HeaderMap,
) -> Result<(Caller, ObservationRow), Problem> {
    let caller = app.admit(headers, Scope::VexRead).await?;
    query::none(raw)?;
    let id = ObservationId::from_str(id)
        .map_err(|_| Problem::bad("id", "vex:obs:sha256:<64 hex digits in lower case>"))?;
    let row = app.store.observation(&caller.tenant, &id).await?;
    Ok((caller, row.ok_or(Problem::NotFound { what: "observation" })?))
}

fn exported(exported: Exported, media_type: &'static str, headers: &HeaderMap) -> Result<Response, Problem> {
    match exported {
        Exported::Bytes(bytes) => respond(media_type, bytes, Vec::new(), headers),
        Exported::Pending => Err(Problem::NotLinked),
        Exported::Missing => Err(Problem::NotFound { what: "observation" }),
    }
}
