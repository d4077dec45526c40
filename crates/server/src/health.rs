//! `/healthz`, `/readyz` and `/metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use provex_store::Scope;

use crate::App;
use crate::problem::Problem;

/// The process runs.
#[utoipa::path(get, path = "/healthz", tag = "operation", responses((status = 200, body = String)))]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// The store answers and the server takes requests.
#[utoipa::path(get, path = "/readyz", tag = "operation", responses((status = 200, body = String), (status = 503)))]
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    app.store.tenants().await?;
    Ok("ready\n")
}

/// Counters for Prometheus. Where the server can be reached from other machines, a token with the scope `admin` is needed.
#[utoipa::path(get, path = "/metrics", tag = "operation", security((), ("token" = ["admin"])), responses((status = 200, body = String)))]
pub(crate) async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Problem> {
    if !app.loopback {
        app.admit_everywhere(&headers, Scope::Admin).await?;
    }
    // A store that is away is itself worth knowing: the counters are told in any case, /readyz says the rest.
    if let Err(error) = app.metrics.look(&*app.store, app.environment.now()).await {
        tracing::warn!(%error, "what waits in the store could not be read for /metrics");
    }
    let text = app.metrics.encode().map_err(|_| Problem::Internal)?;
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, media_type)], text).into_response())
}
