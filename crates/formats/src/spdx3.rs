//! The SPDX 3 reader: the security profile of versions 3.0.0 and 3.0.1, as JSON-LD with SPDX's own context.
//!
//! Specification: `spdx/spdx-3-model`, model/Security. A statement is a relationship of one of the four VEX classes
//! from a vulnerability to products; every element of `to` is one claim. It inherits the creation info of the
//! `SpdxDocument` where it has none (model/Security/Classes/VexVulnAssessmentRelationship.md). Of several creators
//! the first is the issuer.
//!
//! The class says the status, and `relationshipType` says it again. Where they differ, the claim is kept with the
//! status that is least favourable to the product, so that a document at odds with itself hides nothing.
//!
//! An observation cannot say that it was withdrawn, so a withdrawn statement makes no claim but a finding; a
//! document whose statements are all withdrawn retires its own. Elements may be in other documents, so a reference
//! to none here keeps its IRI as identifier.

mod graph;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use provex_core::json;
use provex_core::vex::{
    Action, AssertedAtSource, Canonical, DocumentRef, Format, Issuer, Justification, Locator, Observation,
    Schema, Shared, Status, Vulnerability,
};

use crate::Context;
use crate::component::{Components, Described, IdentifierType, Keyed};
use crate::conflicts::Subjects;
use crate::document::{Accepted, Claims, DocumentFacts, MAX_KEY_BYTES, Retirement};
use crate::memo::Memo;
use crate::purl;
use crate::report::{Code, Findings, Rejection, child, quoted};
use crate::stated::{Time, is_blank};
use crate::terms;
use crate::typed::{Member, object};
use crate::vulnerability::vulnerability;

use graph::{Graph, Many, Node, Rare, Reference, References, is_iri, local_name};

/// `scheme` of the issuer, whose id is the IRI of the creator.
const ISSUER_SCHEME: &str = "spdx3";
/// The versions whose security profile is read.
const VERSIONS: [&str; 2] = ["3.0.0", "3.0.1"];

type Text<'a> = Cow<'a, str>;

object! {
    ExternalIdentifier<'a> {
        kind: Text<'a> = "externalIdentifierType",
        identifier: Text<'a> = "identifier",
    }
    unread "type", "@type", "comment", "identifierLocator", "issuingAuthority"
}

object! {
    /// A `Hash`, or a `PackageVerificationCode`, which has the same members and is no hash of an artifact.
    IntegrityMethod<'a> {
        types: Many<Text<'a>> = "type",
        at_types: Many<Text<'a>> = "@type",
        algorithm: Text<'a> = "algorithm",
        value: Text<'a> = "hashValue",
    }
    unread "comment", "packageVerificationCodeExcludedFile"
}

object! {
    ExternalMap<'a> { id: Text<'a> = "externalSpdxId", }
}

/// Reads a document whose `@context` is SPDX 3's.
pub(crate) fn read(
    text: &str,
    source: json::Node<'_>,
    context: &Context<'_>,
    claims: Claims<'_>,
) -> Result<Accepted, Rejection> {
    let Member::Value(root) = Member::<Node<'_>>::of(source) else {
        return Err(rejection(Code::UnknownFormat, "", "The document is no JSON object; make it one."));
    };
    let graph = Graph::of(&root)?;
    let mut reader = Reader::new(&graph, context, claims);
    graph.report_unread(&mut reader.findings);
    let mut facts = reader.facts(&root, context);
    let mut any_statement = false;
    for (at, node) in graph.nodes() {
        if is_statement(node) {
            any_statement = true;
            let pointer = graph.pointer(at);
            if node.id.value().and_then(|id| graph.first_named(id)).is_some_and(|first| first != at) {
                let message =
                    "The document has several elements with the id of this statement; give each its own.";
                reader.find(Code::DuplicateRef, &pointer, message);
            }
            reader.statement(&pointer, node)?;
        }
    }
    let Reader { claims, about, mut findings, any_withdrawn, .. } = reader;
    if claims.is_empty() {
        if !any_withdrawn || findings.first_of(&DROPPED).is_some() {
            let rejection = no_claims(&findings, any_statement);
            return Err(Rejection { findings: findings.located(text, source), ..rejection });
        }
        facts.retires = Some(Retirement::Withdrawn);
    }
    about.report(&mut findings, |says, first, pointer| {
        format!(
            "This product is `{says}` here and `{first}` at {pointer} for the same vulnerability and time; both are \
             kept; state one, or give them different times."
        )
    });
    Ok(claims.finish(facts, findings, text, source))
}

/// Whether a node is a VEX statement, or something that only looks like one and must not be passed over silently.
fn is_statement(node: &Node<'_>) -> bool {
    let related = node.relationship_type.value();
    node.types().any(is_vex_class)
        || related.is_some_and(|term| terms::spdx3_relationship(local_name(term)).is_some())
}

fn is_vex_class(name: &str) -> bool {
    let name = name.strip_prefix("security_").unwrap_or(name);
    name.starts_with("Vex") && name.ends_with("VulnAssessmentRelationship")
}

/// Who made an element and when, from its creation info.
#[derive(Debug, Default)]
struct Creation {
    issuer: Option<Shared<Issuer>>,
    created: Option<Arc<str>>,
    spec_version: Option<String>,
}

/// A vulnerability as its element names it.
#[derive(Debug, Clone)]
struct Named {
    vulnerability: Shared<Vulnerability>,
    too_long: bool,
}

/// What one statement says of each of its products.
struct Said<'g> {
    vulnerability: Shared<Vulnerability>,
    status: Status,
    native_status: &'g str,
    justification: Option<Shared<Justification>>,
    impact: Option<Arc<str>>,
    action: Shared<Action>,
    notes: Option<Arc<str>>,
    issuer: Option<Shared<Issuer>>,
    asserted_at: Option<Arc<str>>,
    asserted_at_source: AssertedAtSource,
    last_updated: Option<Arc<str>>,
}

/// Most products of a statement that are held resolved: each takes many times what the document has of it.
const MAX_HELD: usize = 1_024;

struct Reader<'g, 'c> {
    graph: &'g Graph<'g>,
    /// Ids of what is withdrawn: all nodes with one id are one element.
    withdrawn: BTreeSet<&'g str>,
    any_withdrawn: bool,
    document: Shared<DocumentRef>,
    /// Whether the document has an `SpdxDocument`, so that what is missing there was reported there.
    has_document: bool,
    inherited: Arc<Creation>,
    creations: BTreeMap<&'g str, Option<Arc<Creation>>>,
    vulnerabilities: BTreeMap<&'g str, Option<Named>>,
    products: Memo<&'g str, Option<Keyed>>,
    components: Components<'g>,
    claims: Claims<'c>,
    about: Subjects,
    findings: Findings,
}

impl<'g, 'c> Reader<'g, 'c> {
    fn new(graph: &'g Graph<'g>, context: &Context<'_>, claims: Claims<'c>) -> Self {
        let withdrawn = graph.nodes().map(|(_, node)| node).filter(|node| node.is_withdrawn());
        let document = DocumentRef {
            format: Format::Spdx3,
            spec_version: None,
            id: None,
            revision: None,
            digest: context.digest,
        };
        Self {
            graph,
            withdrawn: withdrawn.filter_map(Node::iri).collect(),
            any_withdrawn: false,
            document: Canonical::shared(document),
            has_document: false,
            inherited: Arc::default(),
            creations: BTreeMap::new(),
            vulnerabilities: BTreeMap::new(),
            products: Memo::default(),
            components: Components::default(),
            claims,
            about: Subjects::default(),
            findings: Findings::default(),
        }
    }

    fn find(&mut self, code: Code, pointer: &str, message: &str) {
        self.findings.add(code, || pointer.to_owned(), || message.to_owned());
    }

    /// What the document says of itself: its `SpdxDocument`, the first if there are several.
    fn facts(&mut self, root: &'g Node<'g>, context: &Context<'_>) -> DocumentFacts {
        let document = self.graph.nodes().find(|(_, node)| node.is_a("SpdxDocument"));
        let mut id = None;
        if let Some((at, node)) = document {
            let pointer = self.graph.pointer(at);
            self.report_element(&[(at, node)], &pointer);
            self.has_document = true;
            id = node.iri();
            self.inherited = self.creation(&pointer, node).unwrap_or_default();
            self.report_creation(&pointer, &Arc::clone(&self.inherited));
        }
        if id.is_none() {
            let message = "The document has no `SpdxDocument` with an id; add one.";
            self.find(Code::MissingId, "/@graph", message);
        }
        let facts = DocumentFacts {
            digest: context.digest,
            payload_digest: None,
            format: Format::Spdx3,
            spec_version: self.spec_version(root),
            id: id.map(str::to_owned),
            revision: None,
            issuer: self.inherited.issuer.as_ref().map(|issuer| Issuer::clone(issuer)),
            stated_at: self.inherited.created.clone(),
            retires: None,
        };
        self.document = facts.reference();
        facts
    }

    /// The version that the creation info says, else that of the context.
    fn spec_version(&mut self, root: &Node<'_>) -> Option<String> {
        let stated = || root.rare.iter().filter_map(|rare| rare.context.value());
        let is_own = |found: &&Member<Text<'_>>| found.value().is_some_and(|url| is_own_context(url));
        if stated().flat_map(|contexts| &contexts.list).filter(|found| !is_own(found)).count() > 0
            || stated().any(|contexts| contexts.list.len() > 1)
        {
            let message = format!(
                "The `@context` is more or other than SPDX's own, and may give names another meaning than they were read \
                 with; use `{}` alone.",
                own_context(VERSIONS[1])
            );
            self.find(Code::ForeignContext, "/@context", &message);
        }
        let contexts = stated().flat_map(Many::values);
        let in_context = |url: &Text<'_>| {
            let version = url.strip_prefix("https://spdx.org/rdf/")?.split('/').next()?;
            Some(version.to_owned())
        };
        let in_context = contexts.filter_map(in_context).next();
        let Some(stated) = self.inherited.spec_version.clone() else { return in_context };
        if !VERSIONS.contains(&stated.as_str()) {
            let (version, newest) = (quoted(&stated), VERSIONS[1]);
            let message = format!("SPDX {version} is not known and was read as {newest}; use {newest}.");
            self.find(Code::UnknownSpecVersion, "", &message);
        } else if in_context.as_ref().is_some_and(|version| *version != stated) {
            let message = format!(
                "The creation info says SPDX {stated}, but the `@context` does not; make them agree."
            );
            self.find(Code::SpecVersionMismatch, "/@context", &message);
        }
        Some(stated)
    }

    /// The creation info of a node; nothing if it has none or it is not in the document.
    fn creation(&mut self, at: &str, node: &'g Node<'g>) -> Option<Arc<Creation>> {
        let pointer = format!("{at}/creationInfo");
        match self.single(&node.creation_info, &pointer)? {
            Reference::Inline(info) if info.id.value().is_none() => {
                let created = self.creation_of(&pointer, [info.as_ref()].into_iter());
                Some(Arc::new(created))
            }
            Reference::Inline(info) => self.named_creation(info.id.value()?, &pointer),
            Reference::Id(id) => self.named_creation(id, &pointer),
        }
    }

    fn named_creation(&mut self, id: &'g str, pointer: &str) -> Option<Arc<Creation>> {
        if let Some(known) = self.creations.get(id) {
            return known.clone();
        }
        let nodes = self.graph.named(id);
        let found = match nodes.first() {
            None => {
                self.dangling(id, pointer);
                None
            }
            Some((first, _)) => {
                let at = self.graph.pointer(*first);
                self.report_double(&nodes, "creation info");
                Some(Arc::new(self.creation_of(&at, nodes.into_iter().map(|(_, node)| node))))
            }
        };
        self.creations.insert(id, found.clone());
        found
    }

    /// Of several nodes, the first that states something counts.
    fn creation_of(&mut self, at: &str, nodes: impl Iterator<Item = &'g Node<'g>>) -> Creation {
        let mut creation = Creation::default();
        for node in nodes {
            report_unknown(node.unknown(), at, &mut self.findings);
            let Some(rare) = node.rare.as_deref() else { continue };
            if creation.created.is_none() {
                let time = borrowed(&rare.created);
                creation.created = time_of(time, &mut self.findings, || format!("{at}/created")).text();
            }
            if creation.issuer.is_none() {
                let creators = rare.created_by.value().into_iter().flat_map(Many::values);
                let issuer = |id: &str| Issuer { scheme: ISSUER_SCHEME.to_owned(), id: id.to_owned() };
                creation.issuer = creators.filter_map(iri).next().map(issuer).map(Canonical::shared);
            }
            if creation.spec_version.is_none() {
                creation.spec_version = rare.spec_version.value().map(ToString::to_string);
            }
        }
        creation
    }

    /// Says what a statement or document cannot have from its creation info.
    fn report_creation(&mut self, at: &str, creation: &Creation) {
        if creation.issuer.is_none() {
            let message = "Nothing says who states this; add a `creationInfo` whose `createdBy` has the IRI of an agent.";
            self.find(Code::MissingIssuer, at, message);
        }
        if creation.created.is_none() {
            let message = "Nothing says when this was stated; add a `creationInfo` with the time `created`.";
            self.find(Code::MissingTimestamp, at, message);
        }
    }

    /// Adds the claims of one statement, or says why it has none.
    fn statement(&mut self, at: &str, node: &'g Node<'g>) -> Result<(), Rejection> {
        self.report_unprefixed(at, node);
        self.report_element(&[(0, node)], at);
        self.check_unread(at, node);
        if node.is_withdrawn() || node.iri().is_some_and(|id| self.withdrawn.contains(id)) {
            self.any_withdrawn = true;
            let message = "The statement is withdrawn, so it makes no claim.";
            self.find(Code::WithdrawnStatement, at, message);
            return Ok(());
        }
        let Some((status, native_status)) = self.status(at, node) else { return Ok(()) };
        let Some(named) = self.vulnerability(at, node) else { return Ok(()) };
        if named.too_long {
            self.report_too_long(&format!("{at}/from"));
            return Ok(());
        }
        let pointer = format!("{at}/to");
        let to = reference(&node.to).take(&mut self.findings, || pointer.clone(), "a list of elements");
        let (list, is_list) = to.map_or((&[][..], false), |to| (to.list.as_slice(), to.is_list));
        if list.is_empty() {
            let message = "The statement has no products and was dropped; list at least one in `to`.";
            self.find(Code::MissingProduct, &pointer, message);
        }
        let mut said = None;
        for (n, elements) in list.chunks(MAX_HELD).enumerate() {
            // A lone value is no array element, so the statement's is the innermost.
            let place = |m| if is_list { format!("{pointer}/{}", n * MAX_HELD + m) } else { at.to_owned() };
            let mut products = Vec::new();
            for (m, element) in elements.iter().enumerate() {
                let reported = if is_list { place(m) } else { pointer.clone() };
                products.extend(self.component(element, &reported).map(|product| (place(m), product)));
            }
            if products.is_empty() {
                continue;
            }
            if said.is_none() {
                let Some(parts) = self.parts(at, node) else { return Ok(()) };
                said = Some((self.said(at, node, status, native_status, named.vulnerability.clone()), parts));
            }
            if let Some((said, parts)) = &said {
                self.claims_of(said, &products, parts.as_deref())?;
            }
        }
        Ok(())
    }

    /// The status by the statement's classes and its relationship type: if they differ, the least favourable.
    fn status(&mut self, at: &str, node: &'g Node<'g>) -> Option<(Status, &'g str)> {
        let of_class = |name: &'g str| terms::spdx3_status(name).map(|status| (status, name));
        let mut found: Vec<_> = node.types().filter_map(of_class).collect();
        if found.is_empty() {
            let message = "This is of no VEX class of SPDX 3, and the statement was dropped; use \
                           `security_VexNotAffectedVulnAssessmentRelationship`, `security_VexAffected...`, \
                           `security_VexFixed...` or `security_VexUnderInvestigation...`.";
            self.find(Code::UnknownStatus, &format!("{at}/type"), message);
            return None;
        }
        let pointer = || format!("{at}/relationshipType");
        let term = reference(&node.relationship_type).take(&mut self.findings, pointer, "a string");
        let related =
            term.and_then(|term| Some((terms::spdx3_relationship(local_name(term))?, term.as_ref())));
        found.extend(related);
        let (status, native) = found.iter().copied().min_by_key(|(status, _)| favour(*status))?;
        if found.iter().any(|(other, _)| *other != status) {
            self.findings.add(Code::ContradictoryStatus, pointer, || {
                let all: Vec<_> = found.iter().map(|(_, native)| quoted(native)).collect();
                let (all, status) = (all.join(" and "), status.label());
                format!("The statement says {all} at once, and was read as `{status}`; state one status.")
            });
        } else if related.is_none() {
            let message = "The `relationshipType` is not the one of the statement's class; use `affects`, \
                           `doesNotAffect`, `fixedIn` or `underInvestigationFor`.";
            self.find(Code::BadRelationshipType, &pointer(), message);
        }
        Some((status, native))
    }

    fn report_unprefixed(&mut self, at: &str, node: &Node<'_>) {
        let bare = |name: &str| is_vex_class(name) && !name.starts_with("security_");
        if node.unprefixed || node.types().any(bare) {
            let message = "Names lack the prefix of their profile, such as `security_`, and were read all the same; \
                           write them as the SPDX context does.";
            self.find(Code::UnprefixedName, at, message);
        }
    }

    /// The vulnerability that the statement is `from`.
    fn vulnerability(&mut self, at: &str, node: &'g Node<'g>) -> Option<Named> {
        let pointer = format!("{at}/from");
        let found = match self.single(&node.from, &pointer) {
            Some(Reference::Id(id)) => self.named_vulnerability(id, &pointer),
            Some(Reference::Inline(inline)) => match inline.id.value() {
                Some(id) => self.named_vulnerability(id, &pointer),
                None => self.vulnerability_of(&pointer, None, &[(0, inline)]),
            },
            None => None,
        };
        if found.is_none() {
            let message = "The statement is `from` no vulnerability and was dropped; let it be from one \
                           `security_Vulnerability` that has an id or a name.";
            self.find(Code::MissingVulnerability, &pointer, message);
        }
        found
    }

    fn named_vulnerability(&mut self, id: &'g str, pointer: &str) -> Option<Named> {
        if let Some(known) = self.vulnerabilities.get(id) {
            return known.clone();
        }
        let nodes = self.graph.named(id);
        let iri = Some(id).filter(|id| is_iri(id));
        if nodes.is_empty() && iri.is_some() {
            self.dangling(id, pointer);
        }
        self.report_double(&nodes, "vulnerability");
        let at = nodes.first().map_or_else(|| pointer.to_owned(), |(first, _)| self.graph.pointer(*first));
        let found = self.vulnerability_of(&at, iri, &nodes);
        self.vulnerabilities.insert(id, found.clone());
        found
    }

    /// A vulnerability by the best name it has: a CVE id, another identifier, its name, its IRI.
    fn vulnerability_of(
        &mut self,
        at: &str,
        iri: Option<&str>,
        nodes: &[(usize, &'g Node<'g>)],
    ) -> Option<Named> {
        self.report_element(nodes, at);
        let nodes = || nodes.iter().map(|(_, node)| *node);
        if nodes().any(|node| node.types.is_stated() && !node.is_a("Vulnerability")) {
            return None;
        }
        let identifiers =
            || nodes().filter_map(|node| node.external_identifiers.value()).flat_map(Many::values);
        let of_kind = |kind: &'static str| {
            let of_kind = move |found: &&ExternalIdentifier<'_>| {
                found.kind.value().is_some_and(|found| local_name(found) == kind)
            };
            identifiers().filter(of_kind).filter_map(|found| found.identifier.value()).map(Cow::as_ref)
        };
        let name = nodes().find_map(|node| node.name.value()).map(Cow::as_ref);
        let is_cve =
            |name: &&str| name.trim().get(..4).is_some_and(|start| start.eq_ignore_ascii_case("CVE-"));
        // A name may be a title, so it is no alias unless it is a CVE id.
        let cves = of_kind("cve").chain(name.filter(is_cve));
        let names: Vec<&str> = cves.chain(of_kind("securityOther")).collect();
        let id = names.iter().copied().chain(name).chain(iri).find(|name| !name.trim().is_empty())?;
        let vulnerability = vulnerability(id, names.into_iter())?;
        if nodes().any(Node::is_withdrawn) {
            let message = "The vulnerability is withdrawn; withdraw the statements on it as well.";
            self.find(Code::RejectedVulnerability, at, message);
        }
        let all = [&vulnerability.id].into_iter().chain(&vulnerability.aliases);
        let too_long = all.clone().any(|name| name.len() > MAX_KEY_BYTES);
        if all.filter(|name| is_cve(&name.as_str())).count() > 1 {
            let message = "The vulnerability has several CVE ids; make it one vulnerability for each.";
            self.find(Code::AmbiguousVulnerability, at, message);
        }
        Some(Named { vulnerability: Canonical::shared(vulnerability), too_long })
    }

    /// The parts of the products that a statement is about, with `None` for the whole products, or nothing if that cannot
    /// be told.
    fn parts(&mut self, at: &str, node: &'g Node<'g>) -> Option<Option<Vec<Keyed>>> {
        let assessed = node.rare.as_deref().map(|rare| &rare.assessed);
        let is_whole = |assessed: &&References<'_>| {
            assessed.is_absent() || assessed.value().is_some_and(|many| many.list.is_empty())
        };
        if !node.unknown().is_empty() && assessed.as_ref().is_none_or(is_whole) {
            let message = "A member that SPDX 3 does not have stands here where `security_assessedElement` is missing, so \
                           what this is about cannot be told and the statement was dropped; correct the member's name \
                           or leave it out.";
            self.find(Code::UnclearScope, at, message);
            return None;
        }
        Some(assessed.and_then(|assessed| self.subcomponents(at, assessed)))
    }

    /// What was assessed; nothing if the statement does not say, so that it is about the whole product.
    fn subcomponents(&mut self, at: &str, member: &'g References<'g>) -> Option<Vec<Keyed>> {
        let pointer = format!("{at}/security_assessedElement");
        // What cannot be read is not widened to the whole product.
        let stated = !member.is_absent();
        let assessed = reference(member).take(&mut self.findings, || pointer.clone(), "an element");
        let Some(assessed) = assessed else { return stated.then(Vec::new) };
        if assessed.list.is_empty() {
            return None;
        }
        // One that cannot be read drops the claims on it: without it they would be about the whole product.
        Some(assessed.list.iter().filter_map(|element| self.component(element, &pointer)).collect())
    }

    /// The product or subcomponent that a reference is to.
    fn component(&mut self, element: &'g Member<Reference<'g>>, pointer: &str) -> Option<Keyed> {
        let element = reference(element).take(&mut self.findings, || pointer.to_owned(), "an element");
        let found = match element {
            None => None,
            Some(Reference::Id(id)) => self.named_component(id, pointer),
            Some(Reference::Inline(inline)) => match inline.id.value() {
                Some(id) => self.named_component(id, pointer),
                None => self.component_of(pointer, None, &[(0, inline)]),
            },
        };
        if found.is_none() {
            let message = "Nothing identifies this component, and it was dropped; give its element an id.";
            self.find(Code::MissingProduct, pointer, message);
        } else if found.as_ref().is_some_and(|found| found.too_long) {
            self.report_too_long(pointer);
            return None;
        }
        found
    }

    fn named_component(&mut self, id: &'g str, pointer: &str) -> Option<Keyed> {
        if let Some(known) = self.products.get(id) {
            return known.clone();
        }
        let is_told = self.products.is_told(id);
        let mut told = is_told.then(|| std::mem::take(&mut self.findings));
        let before = self.findings.total();
        let found = self.component_named(id, pointer);
        self.products.insert(id, found.clone(), self.findings.total() > before);
        if let Some(told) = told.take() {
            self.findings = told;
        }
        found
    }

    fn component_named(&mut self, id: &'g str, pointer: &str) -> Option<Keyed> {
        let nodes = self.graph.named(id);
        let iri = Some(id).filter(|id| is_iri(id));
        if nodes.is_empty() && iri.is_some() {
            self.dangling(id, pointer);
        }
        let at = nodes.first().map_or_else(|| pointer.to_owned(), |(first, _)| self.graph.pointer(*first));
        if let [_, (second, _), ..] = nodes[..] {
            let message = "The document has several elements with this id, and their identifiers were put together; \
                           write it once.";
            self.find(Code::AmbiguousProduct, &self.graph.pointer(second), message);
        }
        self.component_of(&at, iri, &nodes)
    }

    /// A component by the identifiers of all its nodes, and last its IRI.
    fn component_of(
        &mut self,
        at: &str,
        iri: Option<&'g str>,
        nodes: &[(usize, &'g Node<'g>)],
    ) -> Option<Keyed> {
        if nodes.iter().any(|(_, node)| node.is_a("Vulnerability")) {
            return None;
        }
        self.report_element(nodes, at);
        let mut described = Described::default();
        for (_, node) in nodes {
            describe(node, &mut described);
        }
        described.add(iri.map(IdentifierType::of_iri), iri.map(Cow::Borrowed));
        self.components.resolve(&described, &mut self.findings, || at.to_owned())
    }

    /// Says what an element that a claim is made of lacks, or has that SPDX 3 does not. `at` is where its first node
    /// stands.
    fn report_element(&mut self, nodes: &[(usize, &'g Node<'g>)], at: &str) {
        let Some((_, first)) = nodes.first() else { return };
        let lacks = |is_absent: fn(&Node<'_>) -> bool| nodes.iter().all(|(_, node)| is_absent(node));
        if first.id.is_absent() {
            let message = "The element has no id; give it an IRI as `spdxId`.";
            self.find(Code::MissingMember, &format!("{at}/spdxId"), message);
        }
        if lacks(|node| node.creation_info.is_absent()) {
            let message = "The element has no `creationInfo`, so who made it and when is the document's to say; add one.";
            self.find(Code::MissingMember, &format!("{at}/creationInfo"), message);
        }
        for (n, (place, node)) in nodes.iter().enumerate() {
            let at = if n == 0 { at.to_owned() } else { self.graph.pointer(*place) };
            report_unknown(node.unknown(), &at, &mut self.findings);
            let mut text = |key: &str, member: &Member<Text<'_>>| {
                member.check(&mut self.findings, || format!("{at}/{key}"), "a string");
            };
            text("spdxId", &node.id);
            text("name", &node.name);
            text("software_packageUrl", &node.package_url);
            report_identifiers(&node.external_identifiers, &at, &mut self.findings);
            report_hashes(&node.verified_using, &at, &mut self.findings);
        }
    }

    /// Looks at those members of a statement that no claim has.
    fn check_unread(&mut self, at: &str, node: &'g Node<'g>) {
        let of = |key: &str| format!("{at}/security_{key}");
        stated(node, |rare| &rare.vex_version).check(&mut self.findings, || of("vexVersion"), "a string");
        for (key, time) in [
            ("withdrawnTime", stated(node, |rare| &rare.withdrawn)),
            ("impactStatementTime", stated(node, |rare| &rare.impact_time)),
            ("actionStatementTime", stated(node, |rare| &rare.action_time)),
        ] {
            let _ = time_of(time, &mut self.findings, || of(key));
        }
    }

    fn dangling(&mut self, id: &str, pointer: &str) {
        if !self.graph.is_imported(id) {
            self.findings.add(Code::DanglingRef, || pointer.to_owned(), || {
                let id = quoted(id);
                format!("The document has no element {id} and does not import it; add it, or list it in `import`.")
            });
        }
    }

    fn report_double(&mut self, nodes: &[(usize, &'g Node<'g>)], what: &str) {
        if let [_, (second, _), ..] = nodes {
            let pointer = self.graph.pointer(*second);
            self.findings.add(
                Code::DuplicateRef,
                || pointer,
                || format!("The document has several elements with the id of this {what}; write it once."),
            );
        }
    }

    fn report_too_long(&mut self, pointer: &str) {
        let message = "An identifier or the key made of it is longer than 1,024 bytes, and what it names was dropped; \
                       shorten it.";
        self.find(Code::KeyTooLong, pointer, message);
    }

    /// The one reference of a member that may have one only.
    fn single(&mut self, member: &'g References<'g>, pointer: &str) -> Option<&'g Reference<'g>> {
        let many = reference(member).take(&mut self.findings, || pointer.to_owned(), "an element")?;
        match many.list.as_slice() {
            [one] => reference(one).take(&mut self.findings, || pointer.to_owned(), "an element"),
            [] => None,
            _ => {
                let message = "Only one element may stand here, and none was read; name one.";
                self.find(Code::WrongType, pointer, message);
                None
            }
        }
    }

    fn said(
        &mut self,
        at: &str,
        node: &'g Node<'g>,
        status: Status,
        native_status: &'g str,
        vulnerability: Shared<Vulnerability>,
    ) -> Said<'g> {
        let mut text = |of: fn(&'g Rare<'g>) -> &'g Member<Text<'g>>, key: &str| {
            stated(node, of).take(&mut self.findings, || format!("{at}/security_{key}"), "a string")
        };
        let (impact, action, notes, native) = (
            text(|rare| &rare.impact, "impactStatement"),
            text(|rare| &rare.action, "actionStatement"),
            text(|rare| &rare.notes, "statusNotes"),
            text(|rare| &rare.justification, "justificationType"),
        );
        let justification = self.justification(at, status, native.as_deref(), impact.as_deref());
        if status == Status::Affected && is_blank(action.as_deref()) {
            let message =
                "The product is affected and nothing says what to do; add a `security_actionStatement`.";
            self.find(Code::MissingAction, at, message);
        }
        let (issuer, asserted_at, asserted_at_source) = self.origin(at, node);
        let modified = stated(node, |rare| &rare.modified);
        let modified = time_of(modified, &mut self.findings, || format!("{at}/security_modifiedTime"));
        Said {
            vulnerability,
            status,
            native_status,
            justification: justification.map(Canonical::shared),
            impact: impact.as_deref().map(Arc::from),
            action: Canonical::shared(Action { text: action.map(Cow::into_owned), ..Action::default() }),
            notes: notes.as_deref().map(Arc::from),
            issuer,
            asserted_at,
            asserted_at_source,
            last_updated: modified.text(),
        }
    }

    /// The justification, which stays with the claim even under a status that it does not belong to: it was said.
    fn justification(
        &mut self,
        at: &str,
        status: Status,
        native: Option<&str>,
        impact: Option<&str>,
    ) -> Option<Justification> {
        let found = native.map(local_name).and_then(terms::spdx3_justification);
        let pointer = || format!("{at}/security_justificationType");
        match native {
            Some(native) if found.is_none() => self.findings.add(Code::UnknownJustification, pointer, || {
                let native = quoted(native);
                format!("SPDX 3 has no justification {native}, and it was left out; use one of its five.")
            }),
            Some(_) if status != Status::NotAffected => {
                self.findings.add(Code::MisplacedJustification, pointer, || {
                    let status = status.label();
                    format!("A justification belongs to `not_affected` and not to `{status}`; leave one of them out.")
                });
            }
            _ => {}
        }
        if status == Status::NotAffected && found.is_none() && is_blank(impact) {
            let message = "The product is not affected and nothing says why; add a `security_justificationType` or \
                           a `security_impactStatement`.";
            self.find(Code::Unjustified, at, message);
        }
        found
    }

    /// Who states it and when: by its own members and creation info, else by the document's. A time that cannot be
    /// read is not replaced by another.
    fn origin(
        &mut self,
        at: &str,
        node: &'g Node<'g>,
    ) -> (Option<Shared<Issuer>>, Option<Arc<str>>, AssertedAtSource) {
        let own = self.creation(at, node).unwrap_or_default();
        let inherited = Arc::clone(&self.inherited);
        let issuer = own.issuer.clone().or_else(|| inherited.issuer.clone());
        let published = stated(node, |rare| &rare.published);
        let published = time_of(published, &mut self.findings, || format!("{at}/security_publishedTime"));
        let (time, source) = match (published, &own.created, &inherited.created) {
            (Time::At(time), _, _) => (Some(time), AssertedAtSource::Statement),
            (Time::Absent, Some(time), _) => (Some(time.clone()), AssertedAtSource::CreatedInfo),
            (Time::Absent, None, Some(time)) => (Some(time.clone()), AssertedAtSource::Document),
            (Time::Unreadable, ..) | (Time::Absent, None, None) => (None, AssertedAtSource::None),
        };
        if !self.has_document {
            let found = Creation { issuer: issuer.clone(), created: time.clone(), spec_version: None };
            self.report_creation(at, &found);
        }
        (issuer, time, source)
    }

    /// One claim for each product, or for each of its parts.
    fn claims_of(
        &mut self,
        said: &Said<'g>,
        products: &[(String, Keyed)],
        parts: Option<&[Keyed]>,
    ) -> Result<(), Rejection> {
        for (pointer, product) in products {
            let place = |index| Locator { pointer: pointer.clone(), index };
            let Some(parts) = parts else {
                self.claim(said, place(0), product, None)?;
                continue;
            };
            for (index, part) in (0..).zip(parts) {
                // What is assessed as a part of itself is the whole product.
                let part = Some(part).filter(|part| part.component.key != product.component.key);
                self.claim(said, place(index), product, part)?;
            }
        }
        Ok(())
    }

    fn claim(
        &mut self,
        said: &Said<'g>,
        locator: Locator,
        product: &Keyed,
        subcomponent: Option<&Keyed>,
    ) -> Result<(), Rejection> {
        let observation = Observation {
            schema: Schema::V1,
            issuer: said.issuer.clone(),
            document: Arc::clone(&self.document),
            locator,
            vulnerability: Arc::clone(&said.vulnerability),
            product: Arc::clone(&product.component),
            subcomponent: subcomponent.map(|keyed| Arc::clone(&keyed.component)),
            version_scope: None,
            status: said.status,
            native_status: said.native_status.to_owned().into(),
            justification: said.justification.clone(),
            impact: said.impact.clone(),
            action: Arc::clone(&said.action),
            notes: said.notes.clone(),
            asserted_at: said.asserted_at.clone(),
            asserted_at_source: said.asserted_at_source,
            last_updated: said.last_updated.clone(),
            canon: purl::RULE_SET.into(),
        };
        self.about.note(&observation, observation.asserted_at.as_deref());
        self.claims.add(&observation)
    }
}

/// Adds what identifies an element, in a fixed order.
fn describe<'g>(node: &'g Node<'g>, described: &mut Described<'g>) {
    let copy = |text: &'g Member<Text<'g>>| text.value().map(|text| Cow::Borrowed(text.as_ref()));
    if described.name.is_none() {
        described.name = copy(&node.name);
    }
    described.add(Some(IdentifierType::Purl), copy(&node.package_url));
    for found in node.external_identifiers.value().into_iter().flat_map(Many::values) {
        let kind = found.kind.value().map_or("", |kind| local_name(kind));
        described.add(identifier_type(kind), copy(&found.identifier));
    }
    for method in node.verified_using.value().into_iter().flat_map(Many::values) {
        let types = [&method.types, &method.at_types];
        let mut types = types.into_iter().filter_map(Member::value).flat_map(Many::values);
        let is_hash = types.any(|name| local_name(name) == "Hash");
        let algorithm = copy(&method.algorithm).filter(|_| is_hash);
        described.add(algorithm.map(IdentifierType::Hash), copy(&method.value));
    }
}

/// An entry of the vocabulary `ExternalIdentifierType`, where it identifies a product.
fn identifier_type(kind: &str) -> Option<IdentifierType<'static>> {
    Some(match kind {
        "packageUrl" => IdentifierType::Purl,
        "cpe22" => IdentifierType::Cpe22,
        "cpe23" => IdentifierType::Cpe23,
        "swid" => IdentifierType::Swid,
        "gitoid" => IdentifierType::Other("gitoid"),
        "swhid" => IdentifierType::Other("swhid"),
        _ => return None,
    })
}

/// The entries of `ExternalIdentifierType` besides those.
const OTHER_IDENTIFIERS: [&str; 5] = ["cve", "email", "other", "securityOther", "urlScheme"];

/// Says which identifiers are of no type that SPDX 3 has, so that they name nothing.
fn report_identifiers(member: &Member<Many<ExternalIdentifier<'_>>>, at: &str, findings: &mut Findings) {
    member.check(findings, || format!("{at}/externalIdentifier"), "a list of objects");
    let Some(many) = member.value() else { return };
    for (n, found) in many.list.iter().enumerate() {
        let at = || match many.is_list {
            true => format!("{at}/externalIdentifier/{n}"),
            false => format!("{at}/externalIdentifier"),
        };
        found.check(findings, at, "an object");
        let Some(found) = found.value() else { continue };
        report_unknown(&found.unknown, &at(), findings);
        found.identifier.check(findings, || format!("{}/identifier", at()), "a string");
        let of = || format!("{}/externalIdentifierType", at());
        found.kind.check(findings, of, "a string");
        let kind = found.kind.value().map_or("", |kind| local_name(kind));
        let is_known = identifier_type(kind).is_some() || OTHER_IDENTIFIERS.contains(&kind);
        if !is_known && !matches!(found.kind, Member::Wrong(_)) {
            findings.add(Code::UnknownIdentifier, of, || {
                let kind = quoted(kind);
                format!("SPDX 3 has no type of identifiers {kind}, and this one was left out; use `cve` or `packageUrl`, for example.")
            });
        }
    }
}

fn report_hashes(member: &Member<Many<IntegrityMethod<'_>>>, at: &str, findings: &mut Findings) {
    member.check(findings, || format!("{at}/verifiedUsing"), "a list of objects");
    let Some(many) = member.value() else { return };
    for (n, found) in many.list.iter().enumerate() {
        let at = || match many.is_list {
            true => format!("{at}/verifiedUsing/{n}"),
            false => format!("{at}/verifiedUsing"),
        };
        found.check(findings, at, "an object");
        let Some(found) = found.value() else { continue };
        report_unknown(&found.unknown, &at(), findings);
        found.types.check(findings, || format!("{}/type", at()), "a string");
        found.at_types.check(findings, || format!("{}/@type", at()), "a string");
        found.algorithm.check(findings, || format!("{}/algorithm", at()), "a string");
        found.value.check(findings, || format!("{}/hashValue", at()), "a string");
    }
}

fn report_unknown(unknown: &[Text<'_>], at: &str, findings: &mut Findings) {
    for key in unknown {
        findings.add(
            Code::UnknownMember,
            || child(at, key),
            || {
                let key = quoted(key);
                format!("SPDX 3 has no member {key}, and it was not read; write the name that SPDX's context has, or leave it out.")
            },
        );
    }
}

/// The context of a version of SPDX 3.
fn own_context(version: &str) -> String {
    format!("https://spdx.org/rdf/{version}/spdx-context.jsonld")
}

fn is_own_context(url: &str) -> bool {
    url.strip_prefix("https://spdx.org/rdf/3").is_some_and(|rest| rest.ends_with("/spdx-context.jsonld"))
}

/// A time, which SPDX 3 writes in UTC and in whole seconds (model/Core/Datatypes/DateTime.md).
fn time_of(member: Member<Text<'_>>, findings: &mut Findings, pointer: impl Fn() -> String) -> Time {
    const FORM: &[u8] = b"0000-00-00T00:00:00Z";
    let has_form = |text: &str| {
        let digits = text.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
        digits.eq(FORM.iter().copied())
    };
    let other = member.value().filter(|text| !has_form(text)).map(|text| quoted(text));
    let before = findings.total();
    let time = Time::read(member, findings, &pointer);
    if let (Some(text), Time::At(_), true) = (other, &time, findings.total() == before) {
        findings.add(Code::TimeForm, pointer, || {
            format!("SPDX 3 writes times as `2026-11-23T06:13:23Z`, and not as {text}, which was read; write it so.")
        });
    }
    time
}

/// Order by how favourable a status is to the product; least first.
const fn favour(status: Status) -> u8 {
    match status {
        Status::Affected => 0,
        Status::UnderInvestigation => 1,
        Status::Unknown => 2,
        Status::Fixed => 3,
        Status::NotAffected => 4,
    }
}

/// The IRI of what is referred to, if it has one.
fn iri<'g>(reference: &'g Reference<'g>) -> Option<&'g str> {
    match reference {
        Reference::Id(id) => Some(id.as_ref()).filter(|id| is_iri(id)),
        Reference::Inline(node) => node.iri(),
    }
}

/// A member without taking it from its node.
const fn reference<T>(member: &Member<T>) -> Member<&T> {
    match member {
        Member::Absent => Member::Absent,
        Member::Value(value) => Member::Value(value),
        Member::Wrong(found) => Member::Wrong(*found),
    }
}

/// A text of those members that few nodes have.
fn stated<'g>(node: &'g Node<'g>, of: fn(&'g Rare<'g>) -> &'g Member<Text<'g>>) -> Member<Text<'g>> {
    node.rare.as_deref().map_or(Member::Absent, |rare| borrowed(of(rare)))
}

fn borrowed<'g>(member: &'g Member<Text<'g>>) -> Member<Text<'g>> {
    match reference(member) {
        Member::Absent => Member::Absent,
        Member::Value(text) => Member::Value(Cow::Borrowed(text)),
        Member::Wrong(found) => Member::Wrong(found),
    }
}

/// Codes that say why a statement has no claim.
const DROPPED: [Code; 5] = [
    Code::UnclearScope,
    Code::UnknownStatus,
    Code::MissingVulnerability,
    Code::MissingProduct,
    Code::KeyTooLong,
];

fn no_claims(findings: &Findings, any_statement: bool) -> Rejection {
    // What cannot be read in a statement drops it where nothing else does.
    let unread = || findings.first_of(&[Code::WrongType]).filter(|_| any_statement);
    match findings.first_of(&DROPPED).or_else(unread) {
        Some(first) => {
            let message = format!("No statement of the document makes a claim. {}", first.message);
            rejection(Code::NoUsableStatement, &first.pointer, &message)
        }
        None => {
            let message = "The document has no VEX statement; add one of the VEX relationships of the security profile.";
            rejection(Code::NoUsableStatement, "/@graph", message)
        }
    }
}

fn rejection(code: Code, pointer: &str, message: &str) -> Rejection {
    Rejection::new(code, Some(Format::Spdx3), pointer, message)
}
