//! Spans to an OpenTelemetry collector: OTLP over HTTP, as JSON (OpenTelemetry protocol, "OTLP/HTTP", "JSON Protobuf
//! Encoding"). Without the SDK, whose exporter would bring a second stack of HTTP, gRPC and protobuf for this one message.
//!
//! Telling never holds up what is told: spans that cannot be sent soon are dropped and counted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use provex_core::time::Timestamp;
use provex_pipeline::environment::Environment as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::environment::System;
use crate::failure::Failure;

/// Spans that wait to be sent; more are dropped.
const WAITING: usize = 4_096;
/// Spans a request.
const BATCH: usize = 512;
/// How long spans are gathered, and how long a collector may take.
const PAUSE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(10);

/// Gives every span that ended to the collector.
pub(crate) struct Otlp {
    ended: mpsc::Sender<Value>,
    dropped: Arc<AtomicU64>,
}

/// A span under way.
struct Under {
    trace_id: String,
    span_id: String,
    parent_id: String,
    began: Timestamp,
    attributes: Values,
}

impl Otlp {
    /// Sends to the collector at `endpoint`, to `/v1/traces` below it.
    ///
    /// # Errors
    /// For what is no URL.
    pub(crate) fn start(endpoint: &str) -> Result<Self, Failure> {
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let refused =
            || Failure::call(format!("--otlp-endpoint {endpoint}: it looks like http://127.0.0.1:4318"));
        let url = reqwest::Url::parse(&url).map_err(|_| refused())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused());
        }
        let client = reqwest::Client::builder().timeout(PATIENCE).build().map_err(|_| refused())?;
        let (ended, waiting) = mpsc::channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        tokio::spawn(send_all(client, url, waiting, Arc::clone(&dropped)));
        Ok(Self { ended, dropped })
    }
}

async fn send_all(
    client: reqwest::Client,
    url: reqwest::Url,
    mut waiting: mpsc::Receiver<Value>,
    dropped: Arc<AtomicU64>,
) {
    let mut reachable = true;
    let mut spans = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut spans, BATCH).await > 0 {
        let body = request(&std::mem::take(&mut spans)).to_string();
        let sent =
            client.post(url.clone()).header("content-type", "application/json").body(body).send().await;
        let refused = match sent.and_then(reqwest::Response::error_for_status) {
            Ok(_) => None,
            Err(error) => Some(error.without_url().to_string()),
        };
        // Each outage is told once.
        if let (Some(reason), true) = (&refused, reachable) {
            tracing::warn!(reason, "spans cannot be sent to the OTLP endpoint, and are dropped");
        }
        reachable = refused.is_none();
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(lost, "spans were dropped: there were more than could be sent");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// An `ExportTraceServiceRequest`.
fn request(spans: &[Value]) -> Value {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let resource = [text("service.name", "provex"), text("service.version", env!("CARGO_PKG_VERSION"))];
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": {"name": "provex"}, "spans": spans}],
    }]})
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Otlp {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let (trace_id, parent_id) = match span.parent().as_ref().and_then(ids) {
            Some((trace_id, span_id)) => (trace_id, span_id),
            None => (random::<16>(), String::new()),
        };
        let mut values = Values::default();
        attributes.record(&mut values);
        let under =
            Under { trace_id, span_id: random::<8>(), parent_id, began: System.now(), attributes: values };
        span.extensions_mut().insert(under);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(under) = span.extensions_mut().get_mut::<Under>() {
            record.record(&mut under.attributes);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(under) = span.extensions_mut().remove::<Under>() else { return };
        let nanos = |time: Timestamp| (i128::from(time.as_unix_micros()) * 1_000).to_string();
        let ended = json!({
            "traceId": under.trace_id,
            "spanId": under.span_id,
            "parentSpanId": under.parent_id,
            "name": span.name(),
            "kind": 1,
            "startTimeUnixNano": nanos(under.began),
            "endTimeUnixNano": nanos(System.now()),
            "attributes": under.attributes.0,
        });
        if self.ended.try_send(ended).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Trace and span of a span that this layer knows.
fn ids<'s, S: LookupSpan<'s>>(span: &SpanRef<'s, S>) -> Option<(String, String)> {
    span.extensions().get::<Under>().map(|under| (under.trace_id.clone(), under.span_id.clone()))
}

/// An id: random bytes in lower-case hex.
fn random<const N: usize>() -> String {
    let mut bytes = [0; N];
    System.random(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Attributes as OTLP has them: 64-bit integers are strings in JSON.
#[derive(Default)]
struct Values(Vec<Value>);

impl Values {
    fn push(&mut self, field: &Field, value: Value) {
        self.0.retain(|known| known["key"] != field.name());
        self.0.push(json!({"key": field.name(), "value": value}));
    }
}

impl Visit for Values {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, json!({"doubleValue": value}));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, json!({"intValue": value.to_string()}));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, json!({"intValue": value.to_string()}));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, json!({"boolValue": value}));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, json!({"stringValue": value}));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, json!({"stringValue": format!("{value:?}")}));
    }
}
