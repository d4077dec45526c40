//! What an attestation row says, apart from where it stands in the ledger.

use std::borrow::Cow;

use uuid::Uuid;

use crate::digest::Digest;
use crate::ids::{BundleDigest, EnvelopeDigest, TenantId};
use crate::jcs::ObjectWriter;
use crate::json::{self, Limits, ReadError};
use crate::merkle;
use crate::time::Timestamp;

/// `schema` of attestation facts.
pub const FACTS_SCHEMA: &str = "provex.facts/v1";

/// `schema` of the preimage of an attestation's id.
const ATTESTATION_ID_SCHEMA: &str = "provex.attestation-id/v1";

/// What verification said of an attestation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VerificationStatus {
    /// Every check held.
    Verified,
    /// The log finally refused, or a check gave a definite no.
    Failed,
    /// It held, but trust in log or key was withdrawn since.
    Unknown,
}

impl VerificationStatus {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::Verified, Self::Failed, Self::Unknown];

    /// The label in SQL and JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// The value of exactly this label.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.label() == label)
    }
}

/// The first nine columns of `ledger_attestations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestationFacts {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// See [`attestation_id`].
    pub attestation_id: Uuid,
    /// What it is about: see [`artifact_of_product`].
    pub artifact_id: String,
    /// The canonical vulnerability id; null for what is about none.
    pub finding_id: Option<String>,
    /// What verification said.
    pub verification_status: VerificationStatus,
    /// When.
    pub verification_time: Timestamp,
    /// The envelope.
    pub dsse_digest: EnvelopeDigest,
    /// The linkage's `rekor_uuid`; null where no log has it.
    pub rekor_entry_id: Option<Digest>,
    /// The kept bundle; null where there is none.
    pub evidence_bundle_ref: Option<BundleDigest>,
}

impl AttestationFacts {
    /// The JCS bytes of the facts: a leaf of the rows' tree.
    pub fn to_jcs(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let mut facts = ObjectWriter::new(&mut out);
        facts.str("artifactId", &self.artifact_id);
        facts.str("attestationId", &self.attestation_id.to_string());
        facts.str("dsseDigest", &self.dsse_digest.to_text());
        facts
            .opt_str("evidenceBundleRef", self.evidence_bundle_ref.map(|bundle| bundle.to_text()).as_deref());
        facts.opt_str("findingId", self.finding_id.as_deref());
        facts.opt_str("rekorEntryId", self.rekor_entry_id.map(|leaf| leaf.to_hex()).as_deref());
        facts.str("schema", FACTS_SCHEMA);
        facts.str("tenantId", self.tenant_id.as_str());
        facts.str("verificationStatus", self.verification_status.label());
        facts.str("verificationTime", &self.verification_time.to_rfc3339());
        facts.finish().expect("strings always have a canonical form");
        out
    }
}

/// Why an event's body does not give facts.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// It is no JSON object with facts as these.
    #[error("the event's body cannot be read")]
    Json(#[from] ReadError),
    /// A member whose value is none of its kind.
    #[error("facts {index} of the event's body: {member} cannot be read")]
    Member {
        /// Which facts, from 0.
        index: usize,
        /// The member.
        member: &'static str,
    },
}

/// The facts in an event's body, in their order; none where it has no member `facts`.
///
/// # Errors
/// [`FactsError`]. What is read is not proven by that: the caller compares [`rows_root`] with the event's.
pub fn facts_of_body(body: &[u8]) -> Result<Vec<AttestationFacts>, FactsError> {
    #[derive(serde::Deserialize)]
    struct Body<'a> {
        #[serde(borrow, default)]
        facts: Vec<Wire<'a>>,
    }
    let text = json::check(body, &Limits::own()).map_err(ReadError::Strict)?;
    let body: Body<'_> = serde_json::from_str(text).map_err(ReadError::Shape)?;
    body.facts.into_iter().enumerate().map(|(index, wire)| wire.read(index)).collect()
}

/// Facts as they stand in a body.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire<'a> {
    #[serde(borrow)]
    artifact_id: Cow<'a, str>,
    attestation_id: &'a str,
    dsse_digest: &'a str,
    evidence_bundle_ref: Option<&'a str>,
    #[serde(borrow)]
    finding_id: Option<Cow<'a, str>>,
    rekor_entry_id: Option<&'a str>,
    schema: &'a str,
    tenant_id: &'a str,
    verification_status: &'a str,
    verification_time: &'a str,
}

impl Wire<'_> {
    fn read(self, index: usize) -> Result<AttestationFacts, FactsError> {
        let bad = |member| FactsError::Member { index, member };
        if self.schema != FACTS_SCHEMA {
            return Err(bad("schema"));
        }
        Ok(AttestationFacts {
            tenant_id: self.tenant_id.parse().map_err(|_| bad("tenantId"))?,
            attestation_id: self.attestation_id.parse().map_err(|_| bad("attestationId"))?,
            artifact_id: self.artifact_id.into_owned(),
            finding_id: self.finding_id.map(Cow::into_owned),
            verification_status: VerificationStatus::from_label(self.verification_status)
                .ok_or(bad("verificationStatus"))?,
            verification_time: Timestamp::parse(self.verification_time)
                .map_err(|_| bad("verificationTime"))?,
            dsse_digest: self.dsse_digest.parse().map_err(|_| bad("dsseDigest"))?,
            rekor_entry_id: self
                .rekor_entry_id
                .map(Digest::from_hex)
                .transpose()
                .map_err(|_| bad("rekorEntryId"))?,
            evidence_bundle_ref: self
                .evidence_bundle_ref
                .map(str::parse)
                .transpose()
                .map_err(|_| bad("evidenceBundleRef"))?,
        })
    }
}

/// The root over the facts of one event's rows, which stand in ascending order of their attestation ids: RFC 6962,
/// leaf data = their JCS bytes.
pub fn rows_root<'a>(facts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    let mut tree = merkle::CompactRange::new();
    facts.into_iter().for_each(|facts| tree.append(merkle::leaf_hash(facts)));
    tree.root()
}

/// The id of the attestation of a subject (an observation's or verdict's id) by an envelope: UUIDv8 (RFC 9562
/// section 5.8) of the first 16 bytes of a SHA-256.
pub fn attestation_id(envelope: &EnvelopeDigest, subject_id: &str) -> Uuid {
    let mut out = Vec::with_capacity(256);
    let mut preimage = ObjectWriter::new(&mut out);
    preimage.str("dsseDigest", &envelope.to_text());
    preimage.str("schema", ATTESTATION_ID_SCHEMA);
    preimage.str("subjectId", subject_id);
    preimage.finish().expect("strings always have a canonical form");
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Digest::of(&out).as_bytes()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Uuid::from_bytes(bytes)
}

/// What an attestation about a product is filed under: an artifact's digest as OCI writes it, a BOM's BOM-Link
/// without its fragment, else the product's key as it is.
pub fn artifact_of_product(product_key: &str) -> String {
    if let Some(hex) = product_key.strip_prefix("digest:sha256:") {
        return format!("sha256:{hex}");
    }
    if let Some(link) = product_key.strip_prefix("bomlink:") {
        return link.split_once('#').map_or(link, |(bom, _)| bom).to_owned();
    }
    product_key.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jcs;

    fn facts() -> AttestationFacts {
        AttestationFacts {
            tenant_id: TenantId::default_tenant(),
            attestation_id: attestation_id(&EnvelopeDigest::new(Digest::of(b"e")), "vex:obs:sha256:00"),
            artifact_id: "sha256:00".to_owned(),
            finding_id: None,
            verification_status: VerificationStatus::Verified,
            verification_time: Timestamp::from_unix_micros(1).unwrap(),
            dsse_digest: EnvelopeDigest::new(Digest::of(b"e")),
            rekor_entry_id: Some(Digest::of(b"r")),
            evidence_bundle_ref: None,
        }
    }

    #[test]
    fn facts_are_their_own_canonical_form() {
        let bytes = facts().to_jcs();
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(jcs::canonicalize(&value).unwrap(), bytes);
        assert_eq!(value.as_object().unwrap().len(), 10);
    }

    #[test]
    fn an_attestation_id_is_a_uuid_of_version_8() {
        let id = facts().attestation_id;
        assert_eq!((id.get_version_num(), id.get_variant()), (8, uuid::Variant::RFC4122));
        let other = attestation_id(&EnvelopeDigest::new(Digest::of(b"e")), "vex:obs:sha256:01");
        assert_ne!(id, other);
    }

    #[test]
    fn facts_come_back_from_a_body() {
        let other = AttestationFacts { finding_id: Some("CVE-\"ü".to_owned()), ..facts() };
        let [one, two] = [facts().to_jcs(), other.to_jcs()].map(|jcs| String::from_utf8(jcs).unwrap());
        let body = format!(r#"{{"bundleDigest":null,"facts":[{one},{two}]}}"#);
        assert_eq!(facts_of_body(body.as_bytes()).unwrap(), [facts(), other]);
        assert_eq!(facts_of_body(br#"{"cause":"x"}"#).unwrap(), []);
        for (from, to) in [
            ("provex.facts/v1", "provex.facts/v2"),
            ("verified\"", "Verified\""),
            ("\"artifactId\"", "\"artifact\""),
            ("000001Z", "000001"),
        ] {
            assert!(facts_of_body(body.replacen(from, to, 1).as_bytes()).is_err(), "{from}");
        }
    }

    #[test]
    fn no_rows_have_the_empty_root() {
        assert_eq!(rows_root([]), Digest::of(b""));
        assert_eq!(rows_root([&b"x"[..]]), merkle::leaf_hash(b"x"));
    }

    #[test]
    fn artifacts_are_named_by_digest_or_bom_where_the_product_is() {
        for (product, artifact) in [
            ("digest:sha256:ab", "sha256:ab"),
            (
                "bomlink:urn:cdx:f08a6ccd-4dce-4759-bd84-c626675d60a7/1#ref",
                "urn:cdx:f08a6ccd-4dce-4759-bd84-c626675d60a7/1",
            ),
            (
                "bomlink:urn:cdx:f08a6ccd-4dce-4759-bd84-c626675d60a7/1",
                "urn:cdx:f08a6ccd-4dce-4759-bd84-c626675d60a7/1",
            ),
            ("purl:pkg:npm/a@1", "purl:pkg:npm/a@1"),
        ] {
            assert_eq!(artifact_of_product(product), artifact);
        }
    }
}
