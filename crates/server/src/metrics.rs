//! What is counted, in the names of the contract, for Prometheus.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// The counters of one server.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) requests: Family<RequestLabels, Histogram>,
    pub(crate) documents: Family<DocumentLabels, Counter>,
    pub(crate) observations: Family<FormatLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) status: u16,
}

/// A received document: its format as far as it was recognised, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct DocumentLabels {
    pub(crate) format: &'static str,
    pub(crate) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct FormatLabels {
    pub(crate) format: &'static str,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let requests = Family::new_with_constructor(seconds as fn() -> Histogram);
        registry.register_with_unit(
            "provex_http_request_duration",
            "How long requests took",
            Unit::Seconds,
            requests.clone(),
        );
        let documents = Family::default();
        registry.register("provex_documents", "Received documents by format and outcome", documents.clone());
        let observations = Family::default();
        registry.register("provex_observations", "Recorded observations by format", observations.clone());
        Self { registry, requests, documents, observations }
    }

    /// The OpenMetrics text.
    pub(crate) fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Half a millisecond to 16 seconds.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.000_5, 2.0, 16))
}
