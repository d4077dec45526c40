//! What a parsed document is: facts about it, its claims, and what was found.

use std::borrow::Cow;
use std::sync::Arc;

use provex_core::digest::Digest;
use provex_core::ids::{ClaimDigest, DocumentDigest, ObservationId};
use provex_core::json::Node;
use provex_core::vex::{
    AssertedAtSource, BodyWriter, Canonical, Component, ComponentKind, DocumentRef, Format, Issuer, Locator,
    Observation, Schema, Shared, Status, Vulnerability,
};

use crate::ParseLimits;
use crate::component::forms;
use crate::purl;
use crate::report::{Code, Finding, Findings, Rejection};

/// A document that was read, but for its claims.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// What the document says of itself.
    pub document: DocumentFacts,
    /// How many claims it makes.
    pub observations: u64,
    /// What is wrong with it; empty for a document without fault.
    pub findings: Vec<Finding>,
}

/// A document that was read.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// What the document says of itself.
    pub document: DocumentFacts,
    /// Its claims, in the order of the document.
    pub observations: Vec<ParsedObservation>,
    /// What is wrong with it; empty for a document without fault.
    pub findings: Vec<Finding>,
}

/// What a document says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentFacts {
    /// SHA-256 of the received bytes, a byte order mark included.
    pub digest: DocumentDigest,
    /// SHA-256 of the VEX document's own bytes, where it came inside a wrapper.
    pub payload_digest: Option<Digest>,
    /// Its format.
    pub format: Format,
    /// The version of the format's specification.
    pub spec_version: Option<String>,
    /// Its own id: a grouping key, not an identity.
    pub id: Option<String>,
    /// Its own revision.
    pub revision: Option<String>,
    /// Who states it.
    pub issuer: Option<Issuer>,
    /// When it was stated: UTC, nine digits.
    pub stated_at: Option<Arc<str>>,
    /// Whether it takes claims back instead of making them.
    pub retires: Option<Retirement>,
}

impl DocumentFacts {
    /// The document as its claims name it.
    pub(crate) fn reference(&self) -> Shared<DocumentRef> {
        let reference = DocumentRef {
            format: self.format,
            spec_version: self.spec_version.clone(),
            id: self.id.clone(),
            revision: self.revision.clone(),
            digest: self.digest,
        };
        Canonical::shared(reference)
    }

    /// A claim of the document about nothing yet, for a reader that makes one claim of the other.
    pub(crate) fn claim(&self) -> Observation {
        let nothing =
            Component { key: String::new(), kind: ComponentKind::Iri, identifiers: Vec::new(), name: None };
        Observation {
            schema: Schema::V1,
            issuer: self.shared_issuer(),
            document: self.reference(),
            locator: Locator { pointer: String::new(), index: 0 },
            vulnerability: Canonical::shared(Vulnerability { id: String::new(), aliases: Vec::new() }),
            product: Canonical::shared(nothing),
            subcomponent: None,
            version_scope: None,
            status: Status::Unknown,
            native_status: Cow::default(),
            justification: None,
            impact: None,
            action: Arc::default(),
            notes: None,
            asserted_at: None,
            asserted_at_source: AssertedAtSource::None,
            last_updated: None,
            canon: purl::RULE_SET.into(),
        }
    }

    /// The issuer as its claims name it.
    pub(crate) fn shared_issuer(&self) -> Option<Shared<Issuer>> {
        self.issuer.clone().map(Canonical::shared)
    }
}

/// How a document takes back the claims of its earlier versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Retirement {
    /// A tombstone: CSAF `tracking.status` `deleted`.
    Deleted,
    /// Another document takes its place: CSAF profile `csaf_superseded`.
    Superseded,
    /// Its issuer no longer stands by it: CSAF profile `csaf_withdrawn`.
    Withdrawn,
}

impl Retirement {
    /// The label in JSON and output.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Superseded => "superseded",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// One claim as it is read, lent to whoever takes it.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'c> {
    /// The claim. A copy of it shares what claims share.
    pub observation: &'c Observation,
    /// SHA-256 of the body.
    pub id: ObservationId,
    /// The JCS bytes of the observation.
    pub body: &'c [u8],
}

impl Claim<'_> {
    /// As [`ParsedObservation::keys`].
    pub fn keys(&self) -> Vec<LookupKey> {
        keys(self.observation)
    }
}

/// One claim with its identities.
///
/// It is small: what claims share is shared, and the bytes of the bodies, which come to several times the document,
/// are written anew for whoever wants them.
#[derive(Debug, Clone)]
pub struct ParsedObservation {
    /// The claim.
    pub observation: Observation,
    /// SHA-256 of the body.
    pub id: ObservationId,
}

impl ParsedObservation {
    /// The JCS bytes of the observation. Written at each call.
    pub fn body(&self) -> Vec<u8> {
        self.observation.body()
    }

    /// What stays equal when the document is issued again. Computed at each call.
    pub fn claim_digest(&self) -> ClaimDigest {
        self.observation.claim_digest()
    }

    /// Under which keys it is to be found; sorted, without doubles. Made at each call: only what stores claims
    /// needs them.
    pub fn keys(&self) -> Vec<LookupKey> {
        keys(&self.observation)
    }
}

fn keys(observation: &Observation) -> Vec<LookupKey> {
    let key = |kind, key: &String| LookupKey { kind, key: key.clone() };
    let Observation { vulnerability, product, subcomponent, .. } = observation;
    let components = [Some(product), subcomponent.as_ref()].into_iter().flatten();
    let mut keys = vec![key(KeyKind::Vulnerability, &vulnerability.id)];
    keys.extend(vulnerability.aliases.iter().map(|alias| key(KeyKind::Alias, alias)));
    keys.push(key(KeyKind::Product, &product.key));
    keys.extend(subcomponent.iter().map(|component| key(KeyKind::Subcomponent, &component.key)));
    let forms = components.flat_map(|component| forms(component));
    keys.extend(forms.map(|form| LookupKey { kind: KeyKind::Identifier, key: form }));
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// A key that an observation is found under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LookupKey {
    /// What kind of key it is.
    pub kind: KeyKind,
    /// The key: at most [`MAX_KEY_BYTES`] bytes.
    pub key: String,
}

/// The kinds of lookup keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyKind {
    /// The vulnerability's id.
    Vulnerability,
    /// Another name of the vulnerability.
    Alias,
    /// The product's key.
    Product,
    /// The subcomponent's key.
    Subcomponent,
    /// An identifier of product or subcomponent, as written or in one of its canonical forms.
    Identifier,
}

impl KeyKind {
    /// The label in SQL and output.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Vulnerability => "vulnerability",
            Self::Alias => "alias",
            Self::Product => "product",
            Self::Subcomponent => "subcomponent",
            Self::Identifier => "identifier",
        }
    }
}

/// Longest identifier, vulnerability name or derived key, in bytes of UTF-8: a database index holds no longer ones.
pub const MAX_KEY_BYTES: usize = 1_024;

/// Takes claims as they are read.
pub(crate) type Each<'c> = dyn FnMut(Claim<'_>) + 'c;

/// Names observations and lends them out, one by one.
pub(crate) struct Claims<'c> {
    each: &'c mut Each<'c>,
    count: u64,
    bodies: BodyWriter,
    /// How many bytes of bodies may still come.
    body_bytes_left: usize,
}

impl<'c> Claims<'c> {
    /// No claims yet, and none over the limit.
    pub(crate) fn new(limits: &ParseLimits, each: &'c mut Each<'c>) -> Self {
        let body_bytes_left = limits.max_body_bytes;
        Self { each, count: 0, bodies: BodyWriter::default(), body_bytes_left }
    }

    /// Adds a claim.
    pub(crate) fn add(&mut self, observation: &Observation) -> Result<(), Rejection> {
        let (id, body) = self.bodies.write(observation);
        let Some(left) = self.body_bytes_left.checked_sub(body.len()) else {
            let message =
                "The claims of this document take too much memory; split it into several documents.";
            let (format, pointer) = (observation.document.format, &observation.locator.pointer);
            return Err(Rejection::new(Code::TooManyClaims, Some(format), pointer, message));
        };
        self.body_bytes_left = left;
        self.count += 1;
        (self.each)(Claim { observation, id, body });
        Ok(())
    }

    /// Whether there are none so far.
    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The document, once all is added.
    pub(crate) fn finish(
        self,
        document: DocumentFacts,
        findings: Findings,
        text: &str,
        root: Node<'_>,
    ) -> Accepted {
        Accepted { document, observations: self.count, findings: findings.located(text, root) }
    }
}
