//! The HTTP interface: documents in; observations, proofs and attestations out.
//!
//! A library: clock, randomness and store are passed in. Every request is admitted by its token before anything is
//! looked up, reads never call a log, and every refusal is a problem (RFC 9457).

mod access;
mod attestation_stream;
mod attestations;
mod documents;
mod health;
mod metrics;
mod observations;
mod page;
mod problem;
mod query;
mod serve;

pub use access::Secret;
pub use problem::Problem;
pub use serve::{Limits, serve};

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use provex_core::ledger::ActorType;
use provex_core::time::Timestamp;
use provex_formats::ParseLimits;
use provex_pipeline::Pipeline;
use provex_pipeline::environment::Environment;
use provex_pipeline::telemetry::Measured;
use provex_store::{Actor, Store};
use tokio::sync::Semaphore;
use tracing::Instrument as _;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Caller;
use crate::metrics::{Metrics, RequestLabels};

/// Documents that are received and parsed at a time: each may hold its size several times over.
const UPLOADS: usize = 4;

/// What every request works with.
pub struct App {
    store: Arc<dyn Store>,
    environment: Arc<dyn Environment>,
    parse_limits: ParseLimits,
    /// Whether only this machine can ask.
    loopback: bool,
    metrics: Metrics,
    uploads: Semaphore,
    streams: Arc<Semaphore>,
}

impl App {
    /// An interface to this store. `loopback` says whether only this machine can ask.
    pub fn new(
        store: Arc<dyn Store>,
        environment: Arc<dyn Environment>,
        parse_limits: ParseLimits,
        loopback: bool,
    ) -> Arc<Self> {
        let uploads = Semaphore::new(UPLOADS);
        let streams = Arc::new(Semaphore::new(attestation_stream::STREAMS));
        Arc::new(Self {
            store,
            environment,
            parse_limits,
            loopback,
            metrics: Metrics::new(),
            uploads,
            streams,
        })
    }

    /// This environment for stages whose work is to be counted in `/metrics`.
    pub fn measuring(self: &Arc<Self>) -> Arc<dyn Environment> {
        Arc::new(Measuring(Arc::clone(self)))
    }

    /// The pipeline that works for a caller: events name its token.
    fn pipeline(&self, caller: &Caller) -> Pipeline {
        Pipeline {
            store: Arc::clone(&self.store),
            environment: Arc::clone(&self.environment),
            tenant: caller.tenant.clone(),
            actor: Actor { id: caller.token.to_string(), kind: ActorType::Integration },
            run: None,
        }
    }
}

/// The server's environment, with its counters.
struct Measuring(Arc<App>);

impl Environment for Measuring {
    fn now(&self) -> Timestamp {
        self.0.environment.now()
    }

    fn random(&self, bytes: &mut [u8]) {
        self.0.environment.random(bytes);
    }

    fn measured(&self, work: Measured) {
        self.0.metrics.measured(work);
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "provex",
        description = "Documents in; observations, proofs and attestations out. Errors are problem+json (RFC 9457); their `type` never changes."
    ),
    modifiers(&BearerToken)
)]
struct Description;

/// How callers show who they are.
struct BearerToken;

impl utoipa::Modify for BearerToken {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        openapi.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

fn routes() -> (Router<Arc<App>>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(documents::post))
        .routes(routes!(documents::get))
        .routes(routes!(observations::list))
        .routes(routes!(observations::pending))
        .routes(routes!(observations::get))
        .routes(routes!(observations::linkage))
        .routes(routes!(observations::bundle))
        .routes(routes!(observations::proof))
        .routes(routes!(observations::bundle_by_digest))
        .routes(routes!(attestations::list))
        .routes(routes!(attestation_stream::get))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .split_for_parts()
}

/// The OpenAPI description of all paths, as `/openapi.json` gives it.
pub fn openapi_json() -> String {
    let mut text = routes().1.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// All paths.
pub fn router(app: Arc<App>) -> Router {
    let (router, openapi) = routes();
    router
        .merge(utoipa_swagger_ui::SwaggerUi::new("/docs").url("/openapi.json", openapi))
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .fallback(async || Problem::NoSuchPath)
        .layer(middleware::from_fn(within))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), observe))
        .with_state(app)
}

/// How long an answer may take to make, the receiving of its request included.
const ANSWER_PATIENCE: Duration = Duration::from_secs(120);

async fn within(request: Request, next: Next) -> Response {
    let answered = tokio::time::timeout(ANSWER_PATIENCE, next.run(request)).await;
    answered.unwrap_or_else(|_| Problem::Timeout.into_response())
}

/// Counts and logs each request, and makes a problem of what the framework refuses by itself.
async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let method = known_method(request.method());
    // Never the path itself: it may name anything, any number of times.
    let path = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let began = app.environment.now();
    let span = tracing::info_span!("request", method, path, status = tracing::field::Empty);
    let mut response = next.run(request).instrument(span.clone()).await;
    if is_framework_refusal(&response) {
        response = unreadable_path().into_response();
    }
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let micros = app.environment.now().as_unix_micros() - began.as_unix_micros();
    let (status, seconds) = (response.status().as_u16(), micros.max(0) as f64 / 1e6);
    span.record("status", status);
    tracing::info!(method, path, status, duration_ms = seconds * 1e3, "request");
    if path == attestations::PATH || path == attestation_stream::PATH {
        app.metrics.count_attestation_query(&response);
    }
    app.metrics.requests.get_or_create(&RequestLabels { method, path, status }).observe(seconds);
    response
}

/// A path that is no UTF-8 is refused by the framework in plain text.
fn is_framework_refusal(response: &Response) -> bool {
    let media_type = response.headers().get(header::CONTENT_TYPE);
    response.status().is_client_error()
        && media_type.is_none_or(|value| value.as_bytes().starts_with(b"text/plain"))
}

fn unreadable_path() -> Problem {
    Problem::bad("path", "it cannot be read: percent-encoded UTF-8 without NUL")
}

fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        _ => "other",
    }
}
