//! What is counted, in the names of the contract, for Prometheus.

use std::sync::atomic::AtomicU64;

use axum::response::Response;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use provex_core::time::Timestamp;
use provex_pipeline::telemetry::Measured;
use provex_store::{ObservationFilter, Store};

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
    submissions: Family<LogOutcomeLabels, Histogram>,
    verifications: Family<LogOutcomeLabels, Histogram>,
    consistent: Family<LogLabels, Gauge>,
    queue: Family<StageLabels, Gauge>,
    oldest_pending: Family<TenantLabels, Gauge<f64, AtomicU64>>,
    ledger_events: Family<TenantLabels, Gauge>,
    anchor_age: Family<TenantLabels, Gauge<f64, AtomicU64>>,
    checkpoint_age: Family<LogLabels, Gauge<f64, AtomicU64>>,
    checkpoint_size: Family<LogLabels, Gauge>,
}

/// What was done for a log, by what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LogOutcomeLabels {
    log: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LogLabels {
    log: String,
}

/// A stage of the queue, or `dead` for what was given up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    tenant: String,
    stage: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TenantLabels {
    tenant: String,
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
        let (submissions, verifications) = (timed(), timed());
        registry.register_with_unit(
            "provex_submission_duration",
            "How long logs took to answer submissions, by log and outcome",
            Unit::Seconds,
            submissions.clone(),
        );
        registry.register_with_unit(
            "provex_verification_duration",
            "How long the verification of logs' answers took, by log and outcome",
            Unit::Seconds,
            verifications.clone(),
        );
        let consistent = Family::default();
        registry.register(
            "provex_log_consistent",
            "Whether the log's last checkpoint was proven consistent with the newest one seen of it",
            consistent.clone(),
        );
        let queue = Family::default();
        registry.register(
            "provex_queue_submissions",
            "Submissions in the queue by tenant and stage; dead: given up",
            queue.clone(),
        );
        let oldest_pending = Family::default();
        registry.register_with_unit(
            "provex_oldest_pending_age",
            "How long the oldest observation without a linkage waits; 0 where none does",
            Unit::Seconds,
            oldest_pending.clone(),
        );
        let ledger_events = Family::default();
        registry.register(
            "provex_ledger_events",
            "Events that the tenant's ledger has: what was appended",
            ledger_events.clone(),
        );
        let anchor_age = Family::default();
        registry.register_with_unit(
            "provex_ledger_anchor_age",
            "How long ago the newest ledger root that a log has was signed; nothing where none has one",
            Unit::Seconds,
            anchor_age.clone(),
        );
        let checkpoint_age = Family::default();
        registry.register_with_unit(
            "provex_log_checkpoint_age",
            "How long ago the newest checkpoint of the log was verified or published",
            Unit::Seconds,
            checkpoint_age.clone(),
        );
        let checkpoint_size = Family::default();
        registry.register(
            "provex_log_checkpoint_size",
            "The tree size of the newest checkpoint of the log",
            checkpoint_size.clone(),
        );
        Self {
            registry,
            attestation_queries,
            attestation_failures,
            requests,
            documents,
            observations,
            submissions,
            verifications,
            consistent,
            queue,
            oldest_pending,
            ledger_events,
            anchor_age,
            checkpoint_age,
            checkpoint_size,
        }
    }

    /// Counts what a stage did.
    pub(crate) fn measured(&self, work: Measured) {
        match work {
            Measured::Submitted { log, outcome, took } => {
                let labels = LogOutcomeLabels { log: log.to_text(), outcome };
                self.submissions.get_or_create(&labels).observe(took.as_secs_f64());
            }
            Measured::Verified { log, outcome, took } => {
                let labels = LogOutcomeLabels { log: log.to_text(), outcome };
                self.verifications.get_or_create(&labels).observe(took.as_secs_f64());
            }
            Measured::Compared { log, consistent } => {
                self.consistent.get_or_create(&LogLabels { log: log.to_text() }).set(consistent.into());
            }
        }
    }

    /// Reads from the store what is no event of this process: what waits, how long the ledgers are and how old
    /// their anchors, how old the logs' checkpoints.
    pub(crate) async fn look(&self, store: &dyn Store, now: Timestamp) -> Result<(), provex_store::Error> {
        let age = |since: Timestamp| {
            let micros = now.as_unix_micros() - since.as_unix_micros();
            micros.max(0) as f64 / 1e6
        };
        let size = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
        for tenant in store.tenants().await? {
            let backlog = store.backlog(&tenant).await?;
            let head = store.ledger_head(&tenant).await?;
            let pending = ObservationFilter { pending: true, ..ObservationFilter::default() };
            let oldest = store.observations(&tenant, &pending, None, 1).await?;
            let anchored = store.newest_ledger_root(&tenant, true).await?;
            let tenant = tenant.as_str().to_owned();
            for (stage, count) in [
                ("attest", backlog.attest),
                ("submit", backlog.submit),
                ("link", backlog.link),
                ("dead", backlog.dead),
            ] {
                let labels = StageLabels { tenant: tenant.clone(), stage };
                self.queue.get_or_create(&labels).set(size(count));
            }
            let labels = TenantLabels { tenant };
            let oldest = oldest.first().map_or(0.0, |row| age(row.created_at));
            self.oldest_pending.get_or_create(&labels).set(oldest);
            self.ledger_events.get_or_create(&labels).set(size(head.sequence_no()));
            if let Some(root) = anchored {
                self.anchor_age.get_or_create(&labels).set(age(root.created_at));
            }
        }
        for (log, checkpoint) in store.log_checkpoints().await? {
            let labels = LogLabels { log: log.to_text() };
            self.checkpoint_age.get_or_create(&labels).set(age(checkpoint.seen_at));
            self.checkpoint_size.get_or_create(&labels).set(size(checkpoint.size));
        }
        Ok(())
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

fn timed() -> Family<LogOutcomeLabels, Histogram> {
    Family::new_with_constructor(seconds as fn() -> Histogram)
}

/// Half a millisecond to 16 seconds.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.000_5, 2.0, 16))
}
