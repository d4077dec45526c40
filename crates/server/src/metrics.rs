//! What is counted, in the names of the contract, for Prometheus.

use axum::response::Response;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::attestations::Admitted;
use crate::problem::FailureReason;

/// The counters of one server.
pub(crate) struct Metrics {
    registry: Registry,
    attestation_queries: Family<QueryLabels, Counter>,
    attestation_failures: Family<FailureLabels, Counter>,
    pub(crate) requests: Family<RequestLabels, Histogram>,
    pub(crate) documents: Family<DocumentLabels, Counter>,
    pub(crate) observations: Family<FormatLabels, Counter>,
}

/// A query of attestations: the tenant where it was admitted, else empty, and the HTTP status.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct QueryLabels {
    pub(crate) tenant: String,
    pub(crate) status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct FailureLabels {
    pub(crate) reason: &'static str,
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
        let attestation_queries = Family::default();
        registry.register(
            "ledger_attestations_queries",
            "Queries of attestations by tenant and HTTP status",
            attestation_queries.clone(),
        );
        let attestation_failures = Family::default();
        registry.register(
            "ledger_attestations_failures",
            "Queries of attestations that failed, by reason",
            attestation_failures.clone(),
        );
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
        Self { registry, attestation_queries, attestation_failures, requests, documents, observations }
    }

    /// Counts a query of attestations by its answer.
    pub(crate) fn count_attestation_query(&self, answer: &Response) {
        let tenant = answer.extensions().get::<Admitted>();
        let tenant = tenant.map_or_else(String::new, |Admitted(tenant)| tenant.as_str().to_owned());
        let status = answer.status().as_u16();
        self.attestation_queries.get_or_create(&QueryLabels { tenant, status }).inc();
        if let Some(FailureReason(reason)) = answer.extensions().get() {
            self.count_attestation_failure(reason);
        }
    }

    /// Counts a failure of one, by the contract's reasons.
    pub(crate) fn count_attestation_failure(&self, reason: &'static str) {
        self.attestation_failures.get_or_create(&FailureLabels { reason }).inc();
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
