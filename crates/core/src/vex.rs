//! The VEX vocabulary and the observation: one claim as stated, immutable and named by its content.
//!
//! The observation body is a closed object: exactly the members below, every one present, strings as the
//! document wrote them. `docs/DATA_MODEL.md` gives the preimages with worked examples. What arrived when, who
//! vouched for it and where it was logged stand elsewhere and point here.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::ids::{ClaimDigest, DocumentDigest, ObservationId};
use crate::jcs::ObjectWriter;
use crate::json::{self, JsonError, Limits};

/// `schema` of the observation body.
pub const OBSERVATION_SCHEMA: &str = "provex.observation/v1";
/// `schema` of the claim body.
pub const CLAIM_SCHEMA: &str = "provex.claim/v1";

/// Declares a closed set of labels: the enum, its labels, and the way back.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $label:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $label)] $variant,)+ }

        impl $name {
            /// Every value, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The label in JSON, SQL and output.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }

            /// The value of exactly this label.
            pub fn from_label(label: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.label() == label)
            }
        }
    };
}

labels! {
    /// The formats that are read.
    Format {
        /// OpenVEX 0.0.1 and 0.2.0.
        OpenVex = "openvex",
        /// CSAF 2.0 and 2.1.
        Csaf = "csaf",
        /// CycloneDX 1.4 to 1.7.
        CycloneDx = "cyclonedx",
        /// SPDX 3.0.1, security profile.
        Spdx3 = "spdx3",
    }
}

labels! {
    /// What a claim says of a product.
    Status {
        /// Not affected.
        NotAffected = "not_affected",
        /// Affected.
        Affected = "affected",
        /// Fixed.
        Fixed = "fixed",
        /// Being looked into.
        UnderInvestigation = "under_investigation",
        /// Nobody is looking: CSAF 2.1 `unknown`, CycloneDX version status `unknown`.
        Unknown = "unknown",
    }
}

labels! {
    /// Why a product is not affected: the labels of OpenVEX and CSAF.
    JustificationLabel {
        /// The component is not in the product.
        ComponentNotPresent = "component_not_present",
        /// The component is there without the vulnerable code.
        VulnerableCodeNotPresent = "vulnerable_code_not_present",
        /// The vulnerable code is never run.
        VulnerableCodeNotInExecutePath = "vulnerable_code_not_in_execute_path",
        /// An adversary cannot steer the vulnerable code.
        VulnerableCodeCannotBeControlledByAdversary = "vulnerable_code_cannot_be_controlled_by_adversary",
        /// The product itself prevents the exploit.
        InlineMitigationsAlreadyExist = "inline_mitigations_already_exist",
    }
}

labels! {
    /// Whether a source's own term means exactly the canonical label.
    Mapping {
        /// The same meaning.
        Exact = "exact",
        /// The nearest label there is.
        Approximate = "approximate",
    }
}

labels! {
    /// What to do about a vulnerability. Where a source's term is finer than the canonical one (`mitigation`,
    /// `rollback`), the set holds both, so nothing is lost and a filter by the canonical term still finds it.
    Response {
        /// Nothing can be done.
        CannotFix = "cannot_fix",
        /// A fix is planned (CSAF 2.1).
        FixPlanned = "fix_planned",
        /// A workaround that only lowers the risk; always beside `workaround`.
        Mitigation = "mitigation",
        /// No fix so far, which may change.
        NoneYet = "none_yet",
        /// A patch that the product works without (CSAF 2.1).
        OptionalPatch = "optional_patch",
        /// Go back to an older version; always beside `update`.
        Rollback = "rollback",
        /// Install another version.
        Update = "update",
        /// The fix will not come.
        WillNotFix = "will_not_fix",
        /// There is a way to live with it.
        Workaround = "workaround",
    }
}

labels! {
    /// Where `assertedAt` was read.
    AssertedAtSource {
        /// The statement's own time.
        Statement = "statement",
        /// The document's time.
        Document = "document",
        /// SPDX creation info.
        CreatedInfo = "created_info",
        /// No time is stated.
        None = "none",
    }
}

labels! {
    /// Which rule gave a component its key; the first that applies, in this order.
    ComponentKind {
        /// The artifact's SHA-256.
        Digest = "digest",
        /// A canonical purl.
        Purl = "purl",
        /// A CPE 2.3 bound form.
        Cpe23 = "cpe23",
        /// A SWID tag.
        Swid = "swid",
        /// A stock keeping unit.
        Sku = "sku",
        /// A model number.
        Model = "model",
        /// A CycloneDX BOM-Link.
        BomLink = "bomlink",
        /// Any other identifier, as written.
        Iri = "iri",
        /// A CSAF branch trail.
        CsafName = "csaf-name",
        /// A product id that means something in its document only.
        CsafLocal = "csaf-local",
        /// A whole BOM, or the subject that a wrapper names.
        Inherited = "inherited",
    }
}

/// Who states a claim, as the document says (not authenticated).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// What kind of name `id` is: the format's label.
    pub scheme: String,
    /// The name as written.
    pub id: String,
}

/// The document that a claim stands in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DocumentRef {
    /// Its format.
    pub format: Format,
    /// The version of the format's specification, as far as the document says.
    pub spec_version: Option<String>,
    /// The document's own id: a grouping key, not an identity.
    pub id: Option<String>,
    /// The document's own revision.
    pub revision: Option<String>,
    /// SHA-256 of the received bytes.
    pub digest: DocumentDigest,
}

/// Where in its document a claim stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locator {
    /// JSON pointer of the innermost array element that the claim comes from.
    pub pointer: String,
    /// The claim's number among that element's claims, from 0.
    pub index: u64,
}

/// A vulnerability and what the issuer also calls it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vulnerability {
    /// The name: CVE ids in upper case, all others as written.
    pub id: String,
    /// Other names that the document gives; sorted, without doubles.
    pub aliases: Vec<String>,
}

/// One identifier as the document wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identifier {
    /// What kind of identifier this is: `purl`, `cpe23`, `hash:sha-256`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// The identifier as written.
    pub value: String,
}

/// A product or subcomponent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// The grouping key, made by the rule that `kind` names.
    pub key: String,
    /// The rule that made the key.
    pub kind: ComponentKind,
    /// All identifiers; sorted by their JCS bytes, without doubles.
    pub identifiers: Vec<Identifier>,
    /// A name for people.
    pub name: Option<String>,
}

/// Why a product is said to be not affected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Justification {
    /// The canonical label.
    pub label: JustificationLabel,
    /// The source's own term.
    pub native: String,
    /// Whether the two mean the same.
    pub mapping: Mapping,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// The advice as written.
    pub text: Option<String>,
    /// Its kinds; sorted, without doubles.
    pub responses: Vec<Response>,
    /// Where to find more.
    pub url: Option<String>,
}

/// One claim as stated: issuer, vulnerability, product, subcomponent, version scope and status, not reconciled.
///
/// What many claims of one document share is shared in memory too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Observation {
    /// Always [`OBSERVATION_SCHEMA`].
    pub schema: Schema,
    /// Who states it.
    pub issuer: Option<Arc<Issuer>>,
    /// The document it stands in.
    pub document: Arc<DocumentRef>,
    /// Where it stands there.
    pub locator: Locator,
    /// What it is against.
    pub vulnerability: Arc<Vulnerability>,
    /// What it is about.
    pub product: Arc<Component>,
    /// The part of the product that it is about.
    pub subcomponent: Option<Arc<Component>>,
    /// The versions it holds for, where the document says so beside the product (a version or a vers range).
    pub version_scope: Option<String>,
    /// What it says.
    pub status: Status,
    /// The source's own word for that.
    pub native_status: String,
    /// Why, if not affected.
    pub justification: Option<Justification>,
    /// The impact statement.
    pub impact: Option<String>,
    /// What to do.
    pub action: Action,
    /// Status notes.
    pub notes: Option<String>,
    /// When it was asserted: UTC, nine digits.
    pub asserted_at: Option<String>,
    /// Where that time was read.
    pub asserted_at_source: AssertedAtSource,
    /// When it was last updated: UTC, nine digits.
    pub last_updated: Option<String>,
    /// The rule set that made the component keys.
    pub canon: String,
}

/// The `schema` member of an observation body: it has one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Schema {
    /// `provex.observation/v1`
    #[default]
    #[serde(rename = "provex.observation/v1")]
    V1,
}

/// Bytes that are no observation body.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Not strict JSON.
    #[error("the observation body is not strict JSON")]
    Json(#[from] JsonError),
    /// Not the closed object.
    #[error("the observation body has wrong members")]
    Members(#[source] serde_json::Error),
    /// The right members, in bytes that are not the canonical ones.
    #[error("the observation body is not in canonical form")]
    NotCanonical,
}

impl Observation {
    /// Appends the JCS bytes of the body (RFC 8785): their SHA-256 is the observation's id.
    pub fn write_body(&self, out: &mut Vec<u8>) {
        let mut body = ObjectWriter::new(out);
        body.object("action", |o| write_action(o, &self.action));
        body.opt_str("assertedAt", self.asserted_at.as_deref());
        body.str("assertedAtSource", self.asserted_at_source.label());
        body.str("canon", &self.canon);
        body.object("document", |o| write_document(o, &self.document));
        body.opt_str("impact", self.impact.as_deref());
        write_issuer(&mut body, self.issuer.as_deref());
        write_justification(&mut body, self.justification.as_ref());
        body.opt_str("lastUpdated", self.last_updated.as_deref());
        body.object("locator", |o| {
            o.u64("index", self.locator.index);
            o.str("pointer", &self.locator.pointer);
        });
        body.str("nativeStatus", &self.native_status);
        body.opt_str("notes", self.notes.as_deref());
        body.object("product", |o| write_component(o, &self.product));
        body.str("schema", OBSERVATION_SCHEMA);
        body.str("status", self.status.label());
        write_subcomponent(&mut body, self.subcomponent.as_deref());
        body.opt_str("versionScope", self.version_scope.as_deref());
        body.object("vulnerability", |o| write_vulnerability(o, &self.vulnerability));
        body.finish().expect("strings and small counts always have a canonical form");
    }

    /// Appends the JCS bytes of the claim: what stays equal when a document is issued again.
    pub fn write_claim(&self, out: &mut Vec<u8>) {
        let mut claim = ObjectWriter::new(out);
        claim.object("action", |o| write_action(o, &self.action));
        claim.opt_str("impact", self.impact.as_deref());
        write_issuer(&mut claim, self.issuer.as_deref());
        write_justification(&mut claim, self.justification.as_ref());
        claim.object("product", |o| write_component(o, &self.product));
        claim.str("schema", CLAIM_SCHEMA);
        claim.str("status", self.status.label());
        write_subcomponent(&mut claim, self.subcomponent.as_deref());
        claim.opt_str("versionScope", self.version_scope.as_deref());
        claim.object("vulnerability", |o| write_vulnerability(o, &self.vulnerability));
        claim.finish().expect("strings and small counts always have a canonical form");
    }

    /// The JCS bytes of the body.
    pub fn body(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        self.write_body(&mut out);
        out
    }

    /// The observation's identity.
    pub fn id(&self) -> ObservationId {
        ObservationId::new(Digest::of(&self.body()))
    }

    /// The claim's digest.
    pub fn claim_digest(&self) -> ClaimDigest {
        let mut out = Vec::with_capacity(1024);
        self.write_claim(&mut out);
        ClaimDigest::new(Digest::of(&out))
    }

    /// Reads a body back from its canonical bytes, and no others.
    ///
    /// # Errors
    /// [`BodyError`] for any bytes that [`Observation::write_body`] would not write.
    pub fn from_body(bytes: &[u8]) -> Result<Self, BodyError> {
        let text = json::check(bytes, &Limits::own())?;
        let observation: Self = serde_json::from_str(text).map_err(BodyError::Members)?;
        if observation.body() == bytes { Ok(observation) } else { Err(BodyError::NotCanonical) }
    }
}

/// Sorts identifiers by their JCS bytes and drops doubles, as every set in a preimage is.
pub fn sort_identifiers(identifiers: &mut Vec<Identifier>) {
    let jcs = |identifier: &Identifier| {
        let mut bytes = Vec::new();
        let mut object = ObjectWriter::new(&mut bytes);
        write_identifier(&mut object, identifier);
        object.finish().expect("strings and small counts always have a canonical form");
        bytes
    };
    if identifiers.len() > 1 {
        identifiers.sort_by_cached_key(jcs);
        identifiers.dedup();
    }
}

/// Sorts names by their JCS bytes and drops doubles.
pub fn sort_names(names: &mut Vec<String>) {
    let jcs = |name: &String| {
        let mut bytes = Vec::new();
        crate::jcs::write_str(&mut bytes, name);
        bytes
    };
    if names.len() > 1 {
        names.sort_by_cached_key(jcs);
        names.dedup();
    }
}

fn write_action(o: &mut ObjectWriter<'_>, action: &Action) {
    o.array("responses", |a| {
        for response in &action.responses {
            a.str(response.label());
        }
    });
    o.opt_str("text", action.text.as_deref());
    o.opt_str("url", action.url.as_deref());
}

fn write_document(o: &mut ObjectWriter<'_>, document: &DocumentRef) {
    o.str("digest", &document.digest.to_text());
    o.str("format", document.format.label());
    o.opt_str("id", document.id.as_deref());
    o.opt_str("revision", document.revision.as_deref());
    o.opt_str("specVersion", document.spec_version.as_deref());
}

fn write_issuer(o: &mut ObjectWriter<'_>, issuer: Option<&Issuer>) {
    match issuer {
        None => o.null("issuer"),
        Some(issuer) => o.object("issuer", |o| {
            o.str("id", &issuer.id);
            o.str("scheme", &issuer.scheme);
        }),
    };
}

fn write_justification(o: &mut ObjectWriter<'_>, justification: Option<&Justification>) {
    match justification {
        None => o.null("justification"),
        Some(justification) => o.object("justification", |o| {
            o.str("label", justification.label.label());
            o.str("mapping", justification.mapping.label());
            o.str("native", &justification.native);
        }),
    };
}

fn write_subcomponent(o: &mut ObjectWriter<'_>, subcomponent: Option<&Component>) {
    match subcomponent {
        None => o.null("subcomponent"),
        Some(component) => o.object("subcomponent", |o| write_component(o, component)),
    };
}

fn write_component(o: &mut ObjectWriter<'_>, component: &Component) {
    o.array("identifiers", |a| {
        for identifier in &component.identifiers {
            a.object(|o| write_identifier(o, identifier));
        }
    });
    o.str("key", &component.key);
    o.str("kind", component.kind.label());
    o.opt_str("name", component.name.as_deref());
}

fn write_identifier(o: &mut ObjectWriter<'_>, identifier: &Identifier) {
    o.str("type", &identifier.kind);
    o.str("value", &identifier.value);
}

fn write_vulnerability(o: &mut ObjectWriter<'_>, vulnerability: &Vulnerability) {
    o.array("aliases", |a| {
        for alias in &vulnerability.aliases {
            a.str(alias);
        }
    });
    o.str("id", &vulnerability.id);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn example() -> Observation {
        let component = |key: &str| Component {
            key: key.to_owned(),
            kind: ComponentKind::Purl,
            identifiers: vec![Identifier { kind: "purl".to_owned(), value: key.to_owned() }],
            name: None,
        };
        Observation {
            schema: Schema::V1,
            issuer: Some(Arc::new(Issuer { scheme: "openvex".to_owned(), id: "ACME \"Inc\"".to_owned() })),
            document: Arc::new(DocumentRef {
                format: Format::OpenVex,
                spec_version: Some("0.2.0".to_owned()),
                id: Some("https://acme.example/vex-1".to_owned()),
                revision: Some("1".to_owned()),
                digest: DocumentDigest::new(Digest::of(b"document")),
            }),
            locator: Locator { pointer: "/statements/0/products/0".to_owned(), index: 0 },
            vulnerability: Arc::new(Vulnerability {
                id: "CVE-2026-0001".to_owned(),
                aliases: vec!["GHSA-xxxx-yyyy-zzzz".to_owned()],
            }),
            product: Arc::new(component("pkg:deb/debian/curl@8.0")),
            subcomponent: Some(Arc::new(component("pkg:deb/debian/libcurl4@8.0"))),
            version_scope: None,
            status: Status::NotAffected,
            native_status: "not_affected".to_owned(),
            justification: Some(Justification {
                label: JustificationLabel::ComponentNotPresent,
                native: "component_not_present".to_owned(),
                mapping: Mapping::Exact,
            }),
            impact: None,
            action: Action { text: None, responses: vec![Response::Update], url: None },
            notes: Some("ü\n".to_owned()),
            asserted_at: Some("2026-01-01T00:00:00.000000000Z".to_owned()),
            asserted_at_source: AssertedAtSource::Document,
            last_updated: None,
            canon: "purl-canon/1".to_owned(),
        }
    }

    #[test]
    fn the_written_body_is_the_jcs_form_of_the_value() {
        let observation = example();
        assert_eq!(observation.body(), crate::jcs::to_vec(&observation).unwrap());
    }

    #[test]
    fn a_body_is_read_back_from_its_canonical_bytes_only() {
        let observation = example();
        let body = observation.body();
        assert_eq!(Observation::from_body(&body).unwrap(), observation);
        let spaced = [b" ".as_slice(), &body].concat();
        assert!(matches!(Observation::from_body(&spaced), Err(BodyError::NotCanonical)));
        let text = String::from_utf8(body).unwrap();
        let extra = text.replacen('{', r#"{"a":null,"#, 1);
        assert!(matches!(Observation::from_body(extra.as_bytes()), Err(BodyError::Members(_))));
        let missing = text.replacen(r#""notes":"ü\n","#, "", 1);
        assert!(matches!(Observation::from_body(missing.as_bytes()), Err(BodyError::NotCanonical)));
    }

    #[test]
    fn the_claim_is_free_of_document_and_place() {
        let observation = example();
        let mut moved = observation.clone();
        moved.locator.index = 7;
        moved.asserted_at = None;
        moved.document =
            Arc::new(DocumentRef { revision: Some("2".to_owned()), ..(*observation.document).clone() });
        assert_eq!(moved.claim_digest(), observation.claim_digest());
        assert_ne!(moved.id(), observation.id());
        moved.status = Status::Fixed;
        assert_ne!(moved.claim_digest(), observation.claim_digest());
    }

    #[test]
    fn labels_are_read_back() {
        for status in Status::ALL {
            assert_eq!(Status::from_label(status.label()), Some(*status));
        }
        assert_eq!(Status::from_label("Fixed"), None);
    }
}
