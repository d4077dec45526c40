//! The CycloneDX reader: versions 1.4 to 1.7, JSON and XML.
//!
//! Specification: `CycloneDX/specification`, bom-1.N.schema.json and bom-1.N.xsd; the part on vulnerabilities hardly
//! differs between these versions. Only a vulnerability with an `analysis.state` is a VEX statement: without one it
//! is a scanner's finding or a disclosure, and no claim.
//!
//! What a statement is about depends on its `affects`: a bom-ref of this document, wherever its component or service
//! stands, is a part of the product that `metadata.component` names, a BOM-Link is a product elsewhere, kept as it stands, and a statement without
//! `affects` is about the whole BOM (`targets`). Each entry of `versions` is a claim of its own, because one
//! vulnerability may be exploitable in some versions of a product and resolved in others.
//!
//! A bom-ref means something in its BOM only, so a component that nothing else identifies is keyed by the BOM's
//! serial number and the bom-ref, without the BOM's version: its key stays the same when the BOM is issued again. A
//! BOM without a serial number is named by the digest of its bytes, so the same BOM in another spelling is another.
//!
//! The schemas close their objects, so a member that they do not have is a finding. It may be a misspelled one that
//! limits a claim: a statement with such a member and no `affects`, a target with one and no `versions`, and a version
//! entry with one and no `status` make no claim.

mod elsewhere;
mod facts;
mod schema;
mod statements;
mod targets;
mod wellformed;
mod xml;

use std::borrow::Cow;

use provex_core::ids::DocumentDigest;
use provex_core::json::{self, Members, Node};
use provex_core::vex::Format;

use self::statements::Reader;
use self::targets::{Described, Elements};
pub(crate) use self::xml::is_xml;
use crate::document::{Accepted, Claims};
use crate::repeats;
use crate::report::{Code, Findings, Rejection, child, quoted};
use crate::typed::{List, Member, Number, Shape, object};
use crate::{Context, ParseLimits};

/// Reads a document whose `bomFormat` is CycloneDX.
pub(crate) fn read(
    text: &str,
    root: Node<'_>,
    context: &Context<'_>,
    claims: Claims<'_>,
) -> Result<Accepted, Rejection> {
    read_bom(text, root, context, claims, Syntax::Json)
}

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Syntax {
    Json,
    Xml,
}

fn read_bom(
    text: &str,
    root: Node<'_>,
    context: &Context<'_>,
    claims: Claims<'_>,
    syntax: Syntax,
) -> Result<Accepted, Rejection> {
    let Member::Value(bom) = Member::<Bom<'_>>::of(root) else {
        return Err(rejection(Code::UnknownFormat, "", "The document is no JSON object; make it one."));
    };
    let mut findings = Findings::default();
    report_unknown(&bom.unknown, "", &mut findings);
    let lost = !bom.metadata.is_absent() || !bom.unknown.is_empty();
    let metadata = bom.metadata.take(&mut findings, || "/metadata".to_owned(), "an object");
    let lost = lost && metadata.is_none();
    let metadata = metadata.unwrap_or_default();
    report_unknown(&metadata.unknown, "/metadata", &mut findings);
    let header = facts::Header {
        spec_version: bom.spec_version,
        serial_number: bom.serial_number,
        version: bom.version,
        syntax,
    };
    let facts = facts::facts(header, &metadata, context, &mut findings);
    let Member::Value(vulnerabilities) = bom.vulnerabilities else {
        let message = "The document has no list of vulnerabilities, so it is no VEX document; add what it says of them.";
        let rejection = rejection(Code::NoUsableStatement, "/vulnerabilities", message);
        return Err(Rejection { findings: findings.located(text, root), ..rejection });
    };
    let product = match &metadata.component {
        Member::Value(component) => Described::By(component),
        Member::Absent if !lost && metadata.unknown.is_empty() => Described::Not,
        Member::Absent | Member::Wrong(_) => Described::Unreadably,
    };
    metadata.component.check(&mut findings, || "/metadata/component".to_owned(), "a component");
    let elements = Elements::of(product, &bom.components, &bom.services, &facts, root, &mut findings);
    elements.report_dependencies(bom.dependencies, &mut findings);
    let mut reader = Reader::new(&facts, syntax, elements, findings, claims);
    for (n, vulnerability) in vulnerabilities.enumerate() {
        reader.statement(&format!("/vulnerabilities/{n}"), vulnerability)?;
    }
    let (claims, about, mut findings) = reader.finish();
    if claims.is_empty() {
        let rejection = no_claims(&findings);
        return Err(Rejection { findings: findings.located(text, root), ..rejection });
    }
    about.report(&mut findings, |says, first, pointer| {
        format!(
            "This is `{says}` here and `{first}` at {pointer} for the same vulnerability and version; both are kept; \
             state one, or tell them apart by `versions`."
        )
    });
    // The XML schema lets an element stand twice; the JSON schema does so in a list of versions only.
    if syntax == Syntax::Json {
        repeats::report(root, about.repeats(), |list| !list.ends_with("/versions"), &mut findings);
    }
    Ok(claims.finish(facts, findings, text, root))
}

/// Reads a document in XML. The lines of findings are those of the XML, for the JSON made of it keeps them.
pub(crate) fn read_xml(
    bytes: &[u8],
    digest: impl FnOnce() -> DocumentDigest,
    limits: &ParseLimits,
    claims: Claims<'_>,
) -> Result<Accepted, Rejection> {
    let json = xml::to_json(bytes, limits.max_bytes)?;
    let indexed = xml::index(&json)?;
    let context = Context { digest: digest(), subjects: None };
    read_bom(indexed.text(), indexed.root(), &context, claims, Syntax::Xml)
        .map_err(|rejection| Rejection { column: None, ..rejection.located(indexed.text()) })
}

object! {
    Bom<'a> {
        spec_version: Cow<'a, str> = "specVersion",
        serial_number: Cow<'a, str> = "serialNumber",
        version: Version<'a> = "version",
        metadata: Metadata<'a> = "metadata",
        components: Vec<Member<Box<Component<'a>>>> = "components",
        services: Vec<Member<Box<Service<'a>>>> = "services",
        vulnerabilities: List<'a, Vulnerability<'a>> = "vulnerabilities",
        dependencies: List<'a, Dependency<'a>> = "dependencies",
    }
    unread "bomFormat", "$schema", "externalReferences", "compositions", "properties", "annotations", "formulation",
        "declarations", "definitions", "citations", "signature"
}

object! {
    Metadata<'a> {
        timestamp: Cow<'a, str> = "timestamp",
        component: Component<'a> = "component",
        supplier: Party<'a> = "supplier",
        manufacturer: Party<'a> = "manufacturer",
        manufacture: Party<'a> = "manufacture",
        authors: Vec<Member<Party<'a>>> = "authors",
    }
    unread "lifecycles", "tools", "licenses", "distributionConstraints", "properties"
}

object! {
    /// An organization or a person.
    Party<'a> {
        name: Cow<'a, str> = "name",
    }
    unread "bom-ref", "address", "url", "contact", "email", "phone"
}

object! {
    Component<'a> {
        bom_ref: Cow<'a, str> = "bom-ref",
        group: Cow<'a, str> = "group",
        name: Cow<'a, str> = "name",
        version: Cow<'a, str> = "version",
        purl: Cow<'a, str> = "purl",
        cpe: Cow<'a, str> = "cpe",
        swid: Swid<'a> = "swid",
        hashes: Vec<Member<Hash<'a>>> = "hashes",
        components: Vec<Member<Box<Component<'a>>>> = "components",
    }
    unread "type", "mime-type", "supplier", "manufacturer", "authors", "author", "publisher", "versionRange",
        "isExternal", "description", "scope", "licenses", "copyright", "patentAssertions", "omniborId", "swhid",
        "modified", "pedigree", "externalReferences", "evidence", "releaseNotes", "modelCard", "data",
        "cryptoProperties", "properties", "tags", "signature"
}

object! {
    Swid<'a> {
        tag_id: Cow<'a, str> = "tagId",
    }
    unread "name", "version", "tagVersion", "patch", "text", "url"
}

object! {
    Hash<'a> {
        algorithm: Cow<'a, str> = "alg",
        content: Cow<'a, str> = "content",
    }
}

object! {
    Service<'a> {
        bom_ref: Cow<'a, str> = "bom-ref",
        group: Cow<'a, str> = "group",
        name: Cow<'a, str> = "name",
        version: Cow<'a, str> = "version",
        services: Vec<Member<Box<Service<'a>>>> = "services",
    }
    unread "provider", "description", "endpoints", "authenticated", "x-trust-boundary", "trustZone", "data", "licenses",
        "patentAssertions", "externalReferences", "releaseNotes", "properties", "tags", "signature"
}

object! {
    /// What an element depends on, or provides.
    Dependency<'a> {
        reference: Cow<'a, str> = "ref",
        depends_on: Vec<Member<Cow<'a, str>>> = "dependsOn",
        provides: Vec<Member<Cow<'a, str>>> = "provides",
    }
}

object! {
    Vulnerability<'a> {
        bom_ref: Cow<'a, str> = "bom-ref",
        id: Cow<'a, str> = "id",
        references: Vec<Member<Reference<'a>>> = "references",
        recommendation: Cow<'a, str> = "recommendation",
        workaround: Cow<'a, str> = "workaround",
        created: Cow<'a, str> = "created",
        published: Cow<'a, str> = "published",
        updated: Cow<'a, str> = "updated",
        rejected: Cow<'a, str> = "rejected",
        analysis: Analysis<'a> = "analysis",
        affects: List<'a, Affected<'a>> = "affects",
    }
    unread "source", "ratings", "cwes", "description", "detail", "proofOfConcept", "advisories", "credits", "tools", "properties"
}

object! {
    Reference<'a> {
        id: Cow<'a, str> = "id",
    }
    unread "source"
}

object! {
    Analysis<'a> {
        state: Cow<'a, str> = "state",
        justification: Cow<'a, str> = "justification",
        response: Vec<Member<Cow<'a, str>>> = "response",
        detail: Cow<'a, str> = "detail",
        first_issued: Cow<'a, str> = "firstIssued",
        last_updated: Cow<'a, str> = "lastUpdated",
    }
}

object! {
    Affected<'a> {
        reference: Cow<'a, str> = "ref",
        versions: Versions<'a> = "versions",
    }
}

object! {
    VersionEntry<'a> {
        version: Cow<'a, str> = "version",
        range: Cow<'a, str> = "range",
        status: Cow<'a, str> = "status",
    }
}

/// The version of a document.
#[derive(Debug)]
enum Version<'a> {
    Text(Cow<'a, str>),
    Number(Number),
}

impl<'a> Shape<'a> for Version<'a> {
    fn text(text: Cow<'a, str>) -> Option<Self> {
        Some(Self::Text(text))
    }

    fn number(number: Number) -> Option<Self> {
        Some(Self::Number(number))
    }
}

/// A list of version entries, or what lib4vex writes: one entry without a list around it.
#[derive(Debug)]
enum Versions<'a> {
    List(Vec<Member<VersionEntry<'a>>>),
    One(Box<VersionEntry<'a>>),
}

impl Versions<'_> {
    const fn is_empty(&self) -> bool {
        matches!(self, Self::List(entries) if entries.is_empty())
    }
}

impl<'a> Shape<'a> for Versions<'a> {
    fn array(elements: json::Elements<'a>) -> Option<Self> {
        Vec::array(elements).map(Self::List)
    }

    fn object(members: Members<'a>) -> Option<Self> {
        VersionEntry::object(members).map(Box::new).map(Self::One)
    }
}

/// Names the members that no version of CycloneDX from 1.4 to 1.7 has: its schemas close their objects.
fn report_unknown(unknown: &[Cow<'_, str>], at: &str, findings: &mut Findings) {
    for key in unknown {
        findings.add(
            Code::UnknownMember,
            || child(at, key),
            || {
                let key = quoted(key);
                format!("CycloneDX has no member {key} here, and it was not read; correct its name or leave it out.")
            },
        );
    }
}

/// Codes that say why a statement has no claim.
const DROPPED: [Code; 8] = [
    Code::UnclearScope,
    Code::BadStatement,
    Code::MissingVulnerability,
    Code::MissingProduct,
    Code::MissingStatus,
    Code::UnknownStatus,
    Code::KeyTooLong,
    Code::BadVersionEntry,
];

fn no_claims(findings: &Findings) -> Rejection {
    // What cannot be read in a statement drops it where nothing else does.
    let unread = || findings.first_below(Code::WrongType, "/vulnerabilities/");
    match findings.first_of(&DROPPED).or_else(unread) {
        Some(first) => {
            let message = format!("No vulnerability of the document makes a claim. {}", first.message);
            rejection(Code::NoUsableStatement, &first.pointer, &message)
        }
        None => {
            let message = "No vulnerability of the document has an `analysis.state`, so it is no VEX document; add one.";
            rejection(Code::NoUsableStatement, "/vulnerabilities", message)
        }
    }
}

fn rejection(code: Code, pointer: &str, message: &str) -> Rejection {
    Rejection::new(code, Some(Format::CycloneDx), pointer, message)
}
