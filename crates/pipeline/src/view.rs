//! What machines read: one vocabulary for the command line's JSON and the HTTP API. Members are camelCase, absent
//! values are null, and members are only ever added.

use provex_core::digest::Digest;
use provex_core::ids::{EnvelopeDigest, TenantId};
use provex_core::time::Timestamp;
use provex_core::vex::Observation;
use provex_store::{AttestationRow, DocumentRow, LinkageRow, ObservationRow, RootRow};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Error;
use crate::stored::check_observation;

/// An observation as it is listed: its identity, the members of its body, and its linkage.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObservationView {
    /// Its identity.
    pub observation_id: String,
    /// SHA-256 of its document's bytes.
    pub document_digest: String,
    /// Its document's format.
    pub format: &'static str,
    /// The body.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub body: Observation,
    /// When it was recorded.
    pub created_at: String,
    /// Its linkage, once it has one.
    pub linkage: Option<LinkageView>,
}

/// A signed root of a ledger: the columns of `findings.ledger_merkle_roots`, one to one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // each is the column of its name in `docs/DATA_MODEL.md`
pub struct RootView {
    pub tenant_id: String,
    pub chain_id: String,
    pub tree_size: u64,
    pub root_hash: String,
    pub checkpoint: String,
    pub created_at: String,
    pub anchor_reference: Option<String>,
    pub export_reference: Option<String>,
}

impl RootView {
    /// The view of a stored root.
    pub fn new(tenant: &TenantId, row: &RootRow) -> Self {
        Self {
            tenant_id: tenant.as_str().to_owned(),
            chain_id: row.chain_id.to_string(),
            tree_size: row.tree_size,
            root_hash: row.root_hash.to_hex(),
            checkpoint: String::from_utf8_lossy(&row.checkpoint).into_owned(),
            created_at: row.created_at.to_rfc3339(),
            anchor_reference: row.anchor_reference.clone(),
            export_reference: row.export_reference.clone(),
        }
    }
}

/// An attestation: the columns of `findings.ledger_attestations`, one to one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // each is the column of its name in `docs/DATA_MODEL.md`
pub struct AttestationView {
    pub tenant_id: String,
    pub attestation_id: String,
    pub artifact_id: String,
    pub finding_id: Option<String>,
    pub verification_status: &'static str,
    pub verification_time: String,
    pub dsse_digest: String,
    pub rekor_entry_id: Option<String>,
    pub evidence_bundle_ref: Option<String>,
    pub ledger_event_id: String,
    pub recorded_at: String,
    pub merkle_leaf_hash: String,
    pub root_hash: String,
    pub cycle_hash: String,
    pub projection_version: String,
}

impl AttestationView {
    /// The view of a stored attestation.
    pub fn new(row: &AttestationRow) -> Self {
        let facts = &row.facts;
        Self {
            tenant_id: facts.tenant_id.as_str().to_owned(),
            attestation_id: facts.attestation_id.to_string(),
            artifact_id: facts.artifact_id.clone(),
            finding_id: facts.finding_id.clone(),
            verification_status: facts.verification_status.label(),
            verification_time: facts.verification_time.to_rfc3339(),
            dsse_digest: facts.dsse_digest.to_text(),
            rekor_entry_id: facts.rekor_entry_id.map(|leaf| leaf.to_hex()),
            evidence_bundle_ref: facts.evidence_bundle_ref.map(|bundle| bundle.to_text()),
            ledger_event_id: row.ledger_event_id.to_string(),
            recorded_at: row.recorded_at.to_rfc3339(),
            merkle_leaf_hash: row.merkle_leaf_hash.to_hex(),
            root_hash: row.root_hash.to_hex(),
            cycle_hash: row.cycle_hash.to_hex(),
            projection_version: row.projection_version.clone(),
        }
    }
}

/// A linkage: the columns `rekor_…`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // each is the column of its name in `docs/DATA_MODEL.md`
pub struct LinkageView {
    pub rekor_uuid: String,
    pub rekor_log_id: String,
    pub rekor_log_index: u64,
    pub rekor_log_url: String,
    pub rekor_tree_size: u64,
    pub rekor_tree_root: String,
    pub rekor_integrated_time: Option<String>,
    pub rekor_timestamp_time: Option<String>,
    pub rekor_entry_kind: String,
    pub rekor_entry_version: String,
    pub rekor_entry_body_hash: String,
    pub rekor_inclusion_proof: InclusionProofView,
    pub rekor_envelope_digest: String,
    pub rekor_set_index: u64,
    pub rekor_set_path: Vec<String>,
    pub rekor_linked_at: String,
}

/// The inclusion proof in the log, with the tree's own index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InclusionProofView {
    /// The path, leaf to root.
    pub hashes: Vec<String>,
    /// The leaf's index in its tree.
    pub log_index: u64,
}

impl ObservationView {
    /// The view of a stored observation.
    ///
    /// # Errors
    /// [`Error::Stored`] if the body is not the canonical one that was stored.
    pub fn new(row: &ObservationRow) -> Result<Self, Error> {
        check_observation(row)?;
        let body = Observation::from_body(&row.body).map_err(|error| Error::Stored {
            what: "observation",
            id: row.id.to_text(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            observation_id: row.id.to_text(),
            document_digest: row.document_digest.to_text(),
            format: body.document.format.label(),
            body,
            created_at: row.created_at.to_rfc3339(),
            linkage: row.linkage.as_ref().map(LinkageView::new),
        })
    }
}

impl LinkageView {
    /// The view of a stored linkage.
    pub fn new(row: &LinkageRow) -> Self {
        let (fields, entry) = (&row.fields, &row.fields.entry);
        Self {
            rekor_uuid: entry.rekor_uuid.to_hex(),
            rekor_log_id: entry.log_id.to_text(),
            rekor_log_index: entry.log_index,
            rekor_log_url: entry.log_url.clone(),
            rekor_tree_size: entry.tree_size,
            rekor_tree_root: entry.tree_root.to_hex(),
            rekor_integrated_time: entry.integrated_time.map(Timestamp::to_rfc3339),
            rekor_timestamp_time: entry.timestamp_time.map(Timestamp::to_rfc3339),
            rekor_entry_kind: entry.entry_kind.clone(),
            rekor_entry_version: entry.entry_version.clone(),
            rekor_entry_body_hash: entry.entry_body_hash.to_hex(),
            rekor_inclusion_proof: InclusionProofView {
                hashes: hex_list(&entry.inclusion_path),
                log_index: entry.tree_index,
            },
            rekor_envelope_digest: entry.envelope_digest.to_text(),
            rekor_set_index: fields.set_index,
            rekor_set_path: hex_list(&fields.set_path),
            rekor_linked_at: row.linked_at.to_rfc3339(),
        }
    }
}

/// A recorded document without its bytes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // each is the column of its name in `docs/DATA_MODEL.md`
pub struct DocumentView {
    pub document_digest: String,
    pub payload_digest: Option<String>,
    pub format: &'static str,
    pub spec_version: Option<String>,
    pub document_id: Option<String>,
    pub revision: Option<String>,
    pub issuer: Option<IssuerView>,
    pub stated_at: Option<String>,
    pub retires: Option<String>,
    pub source: String,
    pub authentication: &'static str,
    /// How many observations it gave.
    pub observations: u64,
    /// What parsing found.
    pub findings: Vec<FindingView>,
    pub created_at: String,
    /// The envelopes that attest it, oldest first.
    pub envelopes: Vec<String>,
}

/// Who a document says it is from.
#[derive(Debug, Serialize, ToSchema)]
pub struct IssuerView {
    /// What kind of name it is.
    pub scheme: String,
    /// The name.
    pub id: String,
}

/// What parsing found at one place of a document.
#[derive(Debug, Serialize, ToSchema)]
pub struct FindingView {
    /// Its stable code.
    pub code: String,
    /// JSON pointer into the VEX document.
    pub pointer: String,
    /// Line, from 1.
    pub line: Option<u64>,
    /// A sentence for people.
    pub message: String,
}

impl DocumentView {
    /// The view of a stored document and of the envelopes that attest it.
    pub fn new(row: &DocumentRow, envelopes: &[EnvelopeDigest]) -> Self {
        let facts = &row.facts;
        let issuer = facts.issuer.clone().map(|(scheme, id)| IssuerView { scheme, id });
        let findings = row.findings.iter().cloned().map(|finding| FindingView {
            code: finding.code,
            pointer: finding.pointer,
            line: finding.line,
            message: finding.message,
        });
        Self {
            document_digest: facts.digest.to_text(),
            payload_digest: facts.payload_digest.map(|digest| digest.to_hex()),
            format: facts.format.label(),
            spec_version: facts.spec_version.clone(),
            document_id: facts.document_id.clone(),
            revision: facts.revision.clone(),
            issuer,
            stated_at: facts.stated_at.clone(),
            retires: facts.retires.clone(),
            source: facts.source.clone(),
            authentication: facts.authentication.label(),
            observations: row.observations,
            findings: findings.collect(),
            created_at: row.created_at.to_rfc3339(),
            envelopes: envelopes.iter().map(EnvelopeDigest::to_text).collect(),
        }
    }
}

/// A vulnerability as it is looked up: CVE ids are kept in upper case, all other names as written.
pub fn vulnerability_key(name: &str) -> String {
    let upper = name.trim().to_ascii_uppercase();
    if upper.starts_with("CVE-") { upper } else { name.trim().to_owned() }
}

fn hex_list(digests: &[Digest]) -> Vec<String> {
    digests.iter().map(Digest::to_hex).collect()
}
