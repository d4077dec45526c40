//! The VEX vocabulary and the observation: one claim as stated, immutable and named by its content.
//!
//! The observation body is a closed object: exactly the members below, every one present, strings as the
//! document wrote them. `docs/DATA_MODEL.md` gives the preimages with worked examples. What arrived when, who
//! vouched for it and where it was logged stand elsewhere and point here.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::digest::Digest;
use crate::ids::{ClaimDigest, DocumentDigest, ObservationId};
use crate::jcs::{ObjectWriter, write_str, write_u64};
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
    pub kind: Cow<'static, str>,
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
    pub native: Cow<'static, str>,
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

/// A part of observations, and its JCS bytes: written once, however many claims share the part.
#[derive(Debug, Clone)]
pub struct Canonical<T> {
    value: T,
    jcs: Vec<u8>,
}

/// A part that claims share.
pub type Shared<T> = Arc<Canonical<T>>;

/// What an observation body is made of.
pub trait Part {
    /// Appends the JCS bytes of this part.
    fn write(&self, out: &mut Vec<u8>);

    /// About how many bytes those are: exactly, or a little more, where they have no escapes.
    fn size(&self) -> usize {
        256
    }
}

impl<T: Part> Canonical<T> {
    /// Writes a part down.
    pub fn new(value: T) -> Self {
        let mut jcs = Vec::with_capacity(value.size());
        value.write(&mut jcs);
        Self { value, jcs }
    }

    /// Writes down a part that claims share.
    pub fn shared(value: T) -> Shared<T> {
        Arc::new(Self::new(value))
    }

    /// The part's JCS bytes.
    pub fn jcs(&self) -> &[u8] {
        &self.jcs
    }
}

impl<T> Deref for Canonical<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Canonical<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Canonical<T> {}

impl<T: Part + Default> Default for Canonical<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: Serialize> Serialize for Canonical<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<'de, T: Part + Deserialize<'de>> Deserialize<'de> for Canonical<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::new)
    }
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
    pub issuer: Option<Shared<Issuer>>,
    /// The document it stands in.
    pub document: Shared<DocumentRef>,
    /// Where it stands there.
    pub locator: Locator,
    /// What it is against.
    pub vulnerability: Shared<Vulnerability>,
    /// What it is about.
    pub product: Shared<Component>,
    /// The part of the product that it is about.
    pub subcomponent: Option<Shared<Component>>,
    /// The versions it holds for, where the document says so beside the product (a version or a vers range).
    pub version_scope: Option<Arc<str>>,
    /// What it says.
    pub status: Status,
    /// The source's own word for that.
    pub native_status: Cow<'static, str>,
    /// Why, if not affected.
    pub justification: Option<Shared<Justification>>,
    /// The impact statement.
    pub impact: Option<Arc<str>>,
    /// What to do.
    pub action: Shared<Action>,
    /// Status notes.
    pub notes: Option<Arc<str>>,
    /// When it was asserted: UTC, nine digits.
    pub asserted_at: Option<Arc<str>>,
    /// Where that time was read.
    pub asserted_at_source: AssertedAtSource,
    /// When it was last updated: UTC, nine digits.
    pub last_updated: Option<Arc<str>>,
    /// The rule set that made the component keys.
    pub canon: Cow<'static, str>,
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
        self.write_head(out);
        self.write_tail(out);
    }

    /// The first members of the body, up to the locator.
    fn write_head(&self, out: &mut Vec<u8>) {
        write_part(out, br#"{"action":"#, Some(&self.action));
        write_text(out, br#","assertedAt":"#, self.asserted_at.as_deref());
        write_text(out, br#","assertedAtSource":"#, Some(self.asserted_at_source.label()));
        write_text(out, br#","canon":"#, Some(&self.canon));
        write_part(out, br#","document":"#, Some(&self.document));
        write_text(out, br#","impact":"#, self.impact.as_deref());
        write_part(out, br#","issuer":"#, self.issuer.as_deref());
        write_part(out, br#","justification":"#, self.justification.as_deref());
        write_text(out, br#","lastUpdated":"#, self.last_updated.as_deref());
        out.extend_from_slice(br#","locator":{"index":"#);
    }

    fn write_tail(&self, out: &mut Vec<u8>) {
        write_u64(out, self.locator.index).expect("a claim's number among others is a small count");
        write_text(out, br#","pointer":"#, Some(&self.locator.pointer));
        write_text(out, br#"},"nativeStatus":"#, Some(&self.native_status));
        write_text(out, br#","notes":"#, self.notes.as_deref());
        write_part(out, br#","product":"#, Some(&self.product));
        write_label(out, br#","schema":"#, OBSERVATION_SCHEMA);
        write_label(out, br#","status":"#, self.status.label());
        write_part(out, br#","subcomponent":"#, self.subcomponent.as_deref());
        write_text(out, br#","versionScope":"#, self.version_scope.as_deref());
        write_part(out, br#","vulnerability":"#, Some(&self.vulnerability));
        out.push(b'}');
    }

    /// Appends the JCS bytes of the claim: what stays equal when a document is issued again.
    pub fn write_claim(&self, out: &mut Vec<u8>) {
        write_part(out, br#"{"action":"#, Some(&self.action));
        write_text(out, br#","impact":"#, self.impact.as_deref());
        write_part(out, br#","issuer":"#, self.issuer.as_deref());
        write_part(out, br#","justification":"#, self.justification.as_deref());
        write_part(out, br#","product":"#, Some(&self.product));
        write_text(out, br#","schema":"#, Some(CLAIM_SCHEMA));
        write_text(out, br#","status":"#, Some(self.status.label()));
        write_part(out, br#","subcomponent":"#, self.subcomponent.as_deref());
        write_text(out, br#","versionScope":"#, self.version_scope.as_deref());
        write_part(out, br#","vulnerability":"#, Some(&self.vulnerability));
        out.push(b'}');
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
        let mut bytes = Vec::with_capacity(identifier_size(identifier));
        write_identifier(&mut bytes, identifier);
        bytes
    };
    if identifiers.len() > 1 {
        identifiers.sort_by_cached_key(jcs);
        identifiers.dedup();
    }
}

/// Sorts names by their JCS bytes and drops doubles.
pub fn sort_names(names: &mut Vec<String>) {
    // Without escapes, those are the name between quotes. A document may give a million names: no copies of them.
    fn quoted(name: &str) -> impl Iterator<Item = u8> {
        name.bytes().chain([b'"'])
    }
    let has_escapes = |name: &String| json::skip_plain(name.as_bytes(), 0) < name.len();
    if names.iter().any(has_escapes) {
        names.sort_by_cached_key(|name| {
            let mut bytes = Vec::new();
            write_str(&mut bytes, name);
            bytes
        });
    } else {
        names.sort_unstable_by(|one, other| quoted(one).cmp(quoted(other)));
    }
    names.dedup();
}

/// Writes bodies and names them.
///
/// The bodies of a document begin with what many of them share: all that sorts before the locator. That is written
/// once for all of them and hashed once, as far as it fills whole blocks of SHA-256.
#[derive(Debug, Default)]
pub struct BodyWriter {
    heads: Vec<Head>,
    /// The last body, and the head that it begins with.
    body: Vec<u8>,
    last: Option<usize>,
}

/// The beginning of bodies, as [`Observation::write_head`] writes it.
#[derive(Debug)]
struct Head {
    action: Shared<Action>,
    asserted_at: Option<Arc<str>>,
    asserted_at_source: AssertedAtSource,
    canon: Cow<'static, str>,
    document: Shared<DocumentRef>,
    impact: Option<Arc<str>>,
    issuer: Option<Shared<Issuer>>,
    justification: Option<Shared<Justification>>,
    last_updated: Option<Arc<str>>,
    bytes: Vec<u8>,
    /// How many of `bytes` are in `state`.
    hashed: usize,
    state: sha2::Sha256,
}

impl BodyWriter {
    /// Most heads that are kept: a document may have another time for every claim.
    const MAX_HEADS: usize = 64;

    /// The id and the body of an observation, the bytes that [`Observation::write_body`] writes.
    pub fn write(&mut self, observation: &Observation) -> (ObservationId, &[u8]) {
        let known = self.head(observation);
        let Self { heads, body, last } = self;
        let head = &heads[known];
        if *last == Some(known) {
            body.truncate(head.bytes.len());
        } else {
            body.clear();
            body.extend_from_slice(&head.bytes);
            *last = Some(known);
        }
        observation.write_tail(body);
        let mut hasher = head.state.clone();
        hasher.update(body.get(head.hashed..).unwrap_or_default());
        let digest = Digest::from_bytes(hasher.finalize().into());
        debug_assert_eq!(digest, Digest::of(body), "a body must be hashed as if it were alone");
        debug_assert_eq!(*body, observation.body(), "a body must be written as if it were alone");
        (ObservationId::new(digest), body)
    }

    /// The number of the head that a body begins with.
    fn head(&mut self, observation: &Observation) -> usize {
        let is_last = |n: &usize| self.heads[*n].begins(observation);
        let known = self.last.filter(is_last);
        let known = known.or_else(|| self.heads.iter().rposition(|head| head.begins(observation)));
        known.unwrap_or_else(|| {
            if self.heads.len() == Self::MAX_HEADS {
                self.heads.clear();
                self.last = None;
            }
            self.heads.push(Head::of(observation));
            self.heads.len() - 1
        })
    }
}

impl Head {
    fn of(observation: &Observation) -> Self {
        const BLOCK: usize = 64;
        let mut bytes = Vec::with_capacity(512);
        observation.write_head(&mut bytes);
        let hashed = bytes.len() - bytes.len() % BLOCK;
        let state = sha2::Sha256::new_with_prefix(bytes.get(..hashed).unwrap_or_default());
        Self {
            action: Arc::clone(&observation.action),
            asserted_at: observation.asserted_at.clone(),
            asserted_at_source: observation.asserted_at_source,
            canon: observation.canon.clone(),
            document: Arc::clone(&observation.document),
            impact: observation.impact.clone(),
            issuer: observation.issuer.clone(),
            justification: observation.justification.clone(),
            last_updated: observation.last_updated.clone(),
            bytes,
            hashed,
            state,
        }
    }

    /// Whether a body begins so. Parts are told apart by where they are in memory, which is enough and cheap.
    fn begins(&self, observation: &Observation) -> bool {
        Arc::ptr_eq(&self.action, &observation.action)
            && is_same(&self.asserted_at, &observation.asserted_at)
            && self.asserted_at_source == observation.asserted_at_source
            && self.canon == observation.canon
            && Arc::ptr_eq(&self.document, &observation.document)
            && is_same(&self.impact, &observation.impact)
            && is_same(&self.issuer, &observation.issuer)
            && is_same(&self.justification, &observation.justification)
            && is_same(&self.last_updated, &observation.last_updated)
    }
}

fn is_same<T: ?Sized>(one: &Option<Arc<T>>, other: &Option<Arc<T>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

#[inline]
fn write_text(out: &mut Vec<u8>, key: &[u8], value: Option<&str>) {
    out.extend_from_slice(key);
    match value {
        Some(value) => write_str(out, value),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends a label of ours: none needs an escape.
#[inline]
fn write_label(out: &mut Vec<u8>, key: &[u8], label: &str) {
    for part in [key, b"\"", label.as_bytes(), b"\""] {
        out.extend_from_slice(part);
    }
}

#[inline]
fn write_part<T: Part>(out: &mut Vec<u8>, key: &[u8], part: Option<&Canonical<T>>) {
    out.extend_from_slice(key);
    out.extend_from_slice(part.map_or(b"null", Canonical::jcs));
}

/// Appends an object whose members `write` writes; none of a part's is an integer, so none is refused.
fn write_object(out: &mut Vec<u8>, write: impl FnOnce(&mut ObjectWriter<'_>)) {
    let mut object = ObjectWriter::new(out);
    write(&mut object);
    object.finish().expect("strings always have a canonical form");
}

impl Part for Action {
    fn write(&self, out: &mut Vec<u8>) {
        write_object(out, |o| {
            o.array("responses", |a| {
                for response in &self.responses {
                    a.str(response.label());
                }
            });
            o.opt_str("text", self.text.as_deref());
            o.opt_str("url", self.url.as_deref());
        });
    }
}

impl Part for DocumentRef {
    fn write(&self, out: &mut Vec<u8>) {
        write_object(out, |o| {
            o.str("digest", &self.digest.to_text());
            o.str("format", self.format.label());
            o.opt_str("id", self.id.as_deref());
            o.opt_str("revision", self.revision.as_deref());
            o.opt_str("specVersion", self.spec_version.as_deref());
        });
    }
}

impl Part for Issuer {
    fn write(&self, out: &mut Vec<u8>) {
        write_object(out, |o| {
            o.str("id", &self.id);
            o.str("scheme", &self.scheme);
        });
    }
}

impl Part for Justification {
    fn write(&self, out: &mut Vec<u8>) {
        write_object(out, |o| {
            o.str("label", self.label.label());
            o.str("mapping", self.mapping.label());
            o.str("native", &self.native);
        });
    }
}

impl Part for Component {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"identifiers":["#);
        for (n, identifier) in self.identifiers.iter().enumerate() {
            out.extend_from_slice(if n == 0 { b"" } else { b"," });
            write_identifier(out, identifier);
        }
        write_text(out, br#"],"key":"#, Some(&self.key));
        write_label(out, br#","kind":"#, self.kind.label());
        write_text(out, br#","name":"#, self.name.as_deref());
        out.push(b'}');
    }

    fn size(&self) -> usize {
        const MEMBERS: usize = r#"{"identifiers":[],"key":"","kind":"csaf-local","name":null}"#.len();
        let identifiers = self.identifiers.iter().map(identifier_size);
        let name = self.name.as_ref().map_or(0, String::len);
        MEMBERS + self.key.len() + name + identifiers.sum::<usize>()
    }
}

impl Part for Vulnerability {
    fn write(&self, out: &mut Vec<u8>) {
        write_object(out, |o| {
            o.array("aliases", |a| {
                for alias in &self.aliases {
                    a.str(alias);
                }
            });
            o.str("id", &self.id);
        });
    }
}

/// How many bytes an identifier takes in a list, if none has an escape.
fn identifier_size(identifier: &Identifier) -> usize {
    r#"{"type":"","value":""},"#.len() + identifier.kind.len() + identifier.value.len()
}

fn write_identifier(out: &mut Vec<u8>, identifier: &Identifier) {
    write_text(out, br#"{"type":"#, Some(&identifier.kind));
    write_text(out, br#","value":"#, Some(&identifier.value));
    out.push(b'}');
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn example() -> Observation {
        let component = |key: &str| Component {
            key: key.to_owned(),
            kind: ComponentKind::Purl,
            identifiers: vec![Identifier { kind: "purl".into(), value: key.to_owned() }],
            name: None,
        };
        Observation {
            schema: Schema::V1,
            issuer: Some(Canonical::shared(Issuer {
                scheme: "openvex".to_owned(),
                id: "ACME \"Inc\"".to_owned(),
            })),
            document: Canonical::shared(DocumentRef {
                format: Format::OpenVex,
                spec_version: Some("0.2.0".to_owned()),
                id: Some("https://acme.example/vex-1".to_owned()),
                revision: Some("1".to_owned()),
                digest: DocumentDigest::new(Digest::of(b"document")),
            }),
            locator: Locator { pointer: "/statements/0/products/0".to_owned(), index: 0 },
            vulnerability: Canonical::shared(Vulnerability {
                id: "CVE-2026-0001".to_owned(),
                aliases: vec!["GHSA-xxxx-yyyy-zzzz".to_owned()],
            }),
            product: Canonical::shared(component("pkg:deb/debian/curl@8.0")),
            subcomponent: Some(Canonical::shared(component("pkg:deb/debian/libcurl4@8.0"))),
            version_scope: None,
            status: Status::NotAffected,
            native_status: "not_affected".into(),
            justification: Some(Canonical::shared(Justification {
                label: JustificationLabel::ComponentNotPresent,
                native: "component_not_present".into(),
                mapping: Mapping::Exact,
            })),
            impact: None,
            action: Canonical::shared(Action { text: None, responses: vec![Response::Update], url: None }),
            notes: Some("ü\n".into()),
            asserted_at: Some("2026-01-01T00:00:00.000000000Z".into()),
            asserted_at_source: AssertedAtSource::Document,
            last_updated: None,
            canon: "purl-canon/1".into(),
        }
    }

    #[test]
    fn the_written_body_is_the_jcs_form_of_the_value() {
        let observation = example();
        assert_eq!(observation.body(), crate::jcs::to_vec(&observation).unwrap());
    }

    #[test]
    fn names_are_sorted_by_their_jcs_bytes() {
        let plain = ["a", "a!", "", " ", "a ", "ab", "a#", "\u{e9}", "a"];
        for escaped in [None, Some("a\""), Some("\\"), Some("\n")] {
            let mut names: Vec<String> = plain.iter().copied().chain(escaped).map(str::to_owned).collect();
            let expected: std::collections::BTreeSet<_> =
                names.iter().map(|name| crate::jcs::to_vec(name).unwrap()).collect();
            sort_names(&mut names);
            assert!(names.iter().map(|name| crate::jcs::to_vec(name).unwrap()).eq(expected), "{names:?}");
        }
    }

    #[test]
    fn a_body_that_begins_as_another_did_has_its_own_id() {
        let first = example();
        let mut later =
            Observation { locator: Locator { index: 7, ..first.locator.clone() }, ..first.clone() };
        let mut writer = BodyWriter::default();
        let mut check = |observation: &Observation| {
            let (id, body) = writer.write(observation);
            assert_eq!(id, observation.id());
            assert_eq!(body, crate::jcs::to_vec(observation).unwrap());
        };
        check(&first);
        check(&later);
        later.asserted_at_source = AssertedAtSource::Statement;
        check(&later);
        later.asserted_at = None;
        check(&later);
        later.canon = "purl-canon/2".into();
        check(&later);
        (later.impact, later.last_updated) = (Some("none".into()), later.impact);
        check(&later);
        (later.impact, later.last_updated) = (later.last_updated, later.impact);
        check(&later);
        later.justification = None;
        check(&later);
        later.issuer = None;
        check(&later);
        for n in 0..3 * BodyWriter::MAX_HEADS {
            later.action = Canonical::shared(Action { text: Some("x".repeat(n)), ..Action::default() });
            check(&later);
        }
        check(&first);
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
        moved.document = Canonical::shared(DocumentRef {
            revision: Some("2".to_owned()),
            ..(**observation.document).clone()
        });
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
