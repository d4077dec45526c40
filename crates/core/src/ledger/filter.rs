//! Which attestations a reader asked for.

use uuid::Uuid;

use super::VerificationStatus;
use crate::digest::Digest;
use crate::ids::TenantId;
use crate::jcs::ObjectWriter;
use crate::time::Timestamp;

/// `schema` of the preimage of a filter's hash.
pub const FILTERS_SCHEMA: &str = "provex.filters/v1";

/// Which attestations to read: all conditions have to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttestationFilter {
    /// About this artifact.
    pub artifact_id: Option<String>,
    /// About this vulnerability.
    pub finding_id: Option<String>,
    /// This one.
    pub attestation_id: Option<Uuid>,
    /// Of this verification status.
    pub status: Option<VerificationStatus>,
    /// Recorded at this time or later.
    pub since_recorded_at: Option<Timestamp>,
    /// Recorded before this time.
    pub until_recorded_at: Option<Timestamp>,
}

impl AttestationFilter {
    /// SHA-256 of the tenant and the six filters: what a page token is bound to.
    pub fn hash(&self, tenant: &TenantId) -> Digest {
        let time = |time: Option<Timestamp>| time.map(Timestamp::to_rfc3339);
        let mut out = Vec::with_capacity(512);
        let mut filters = ObjectWriter::new(&mut out);
        filters.opt_str("artifactId", self.artifact_id.as_deref());
        filters.opt_str("attestationId", self.attestation_id.map(|id| id.to_string()).as_deref());
        filters.opt_str("findingId", self.finding_id.as_deref());
        filters.str("schema", FILTERS_SCHEMA);
        filters.opt_str("sinceRecordedAt", time(self.since_recorded_at).as_deref());
        filters.opt_str("status", self.status.map(VerificationStatus::label));
        filters.str("tenantId", tenant.as_str());
        filters.opt_str("untilRecordedAt", time(self.until_recorded_at).as_deref());
        filters.finish().expect("strings always have a canonical form");
        Digest::of(&out)
    }
}
