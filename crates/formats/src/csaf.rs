//! The CSAF reader: versions 2.0 and 2.1, in both forms of product composition that drafts of 2.1 have.
//!
//! Specifications: `oasis-tcs/csaf`, csaf-v2-editor-draft.md (2.0) and csaf_2.1/prose. Drafts of 2.1 all call
//! themselves 2.1, so what is read is told by the presence of a key: `relationships` or `product_paths`, `purl` or
//! `purls`. Only rules that one version has and the other has not go by `csaf_version`.
//!
//! One entry of a list in `product_status` is one claim. The product tree is read first (`tree`, `products`), then
//! one vulnerability at a time: what its flags, threats, remediations, notes and ids say is sorted by product
//! (`references`) before the claims are made (`vulnerabilities`). The mandatory tests of section 6.1 that bear on a
//! claim or on its lineage become findings (`profile`, `revisions`, and where the fault shows). Those on texts that
//! are not read are left out: the values of scores, languages, CWE names.
//!
//! A document of the profiles "withdrawn" and "superseded", and a tombstone with the status `deleted` as Red Hat
//! sends them, retire their lineage and make no claim.

mod chains;
mod header;
mod identifiers;
mod products;
mod profile;
mod references;
mod revisions;
mod said;
mod schema;
mod statuses;
mod tree;
mod vulnerabilities;

use std::borrow::Cow;
use std::iter::Enumerate;

use provex_core::json;
use provex_core::vex::Format;

use crate::Context;
use crate::document::{Accepted, Claims, DocumentFacts, Retirement};
use crate::report::{Code, Findings, Rejection, child, quoted};
use crate::stated::is_blank;
use crate::typed::{List, Member, Shape, Unread, object};

type Text<'a> = Cow<'a, str>;

/// Reads a document that has CSAF's `document`.
pub(crate) fn read(
    text: &str,
    root: json::Node<'_>,
    context: &Context,
    claims: Claims<'_>,
) -> Result<Accepted, Rejection> {
    let Member::Value(document) = Member::<Document<'_>>::of(root) else {
        return Err(rejection(Code::UnknownFormat, "", "The document is no JSON object; make it one."));
    };
    let mut findings = Findings::default();
    match read_document(root, document, context, claims, &mut findings) {
        Ok((facts, claims)) => Ok(claims.finish(facts, findings, text, root)),
        Err(mut rejection) => {
            rejection.findings = findings.located(text, root);
            Err(rejection)
        }
    }
}

fn read_document<'a, 'c>(
    root: json::Node<'a>,
    document: Document<'a>,
    context: &Context,
    claims: Claims<'c>,
    findings: &mut Findings,
) -> Result<(DocumentFacts, Claims<'c>), Rejection> {
    let (tree, items) = (document.product_tree, document.vulnerabilities);
    let meta = document.document.take(findings, || "/document".to_owned(), "an object").unwrap_or_default();
    let edition = header::edition(&meta);
    report_unknown(edition, &document.unknown, String::new, findings);
    profile::check(&meta, edition, [tree.is_stated(), items.is_stated()], findings);
    let header = header::read(meta, edition, context, findings);
    if header.facts.retires != Some(Retirement::Deleted) {
        schema::check(root, edition, findings);
    }
    let tree = tree.take(findings, || "/product_tree".to_owned(), "an object");
    let items = items.take(findings, || "/vulnerabilities".to_owned(), "a list");
    if header.facts.retires.is_some() {
        return Ok((header.facts, claims));
    }
    let (products, groups) = tree::read(root, tree.unwrap_or_default(), &header, findings);
    products.check_number()?;
    let items = items.unwrap_or_default();
    let mut reader = vulnerabilities::Reader::new(&header, products, groups, &items, claims, findings);
    for (n, item) in items.enumerate() {
        reader.vulnerability(&format!("/vulnerabilities/{n}"), item)?;
    }
    let claims = reader.finish();
    if claims.is_empty() {
        return Err(no_claims(findings));
    }
    Ok((header.facts, claims))
}

object! {
    Document<'a> {
        document: Meta<'a> = "document",
        product_tree: Tree<'a> = "product_tree",
        vulnerabilities: List<'a, Vulnerability<'a>> = "vulnerabilities",
    }
    unread "$schema", "x_extensions"
}

object! {
    Meta<'a> {
        category: Text<'a> = "category",
        csaf_version: Text<'a> = "csaf_version",
        lang: Text<'a> = "lang",
        notes: List<'a, Note<'a>> = "notes",
        publisher: Publisher<'a> = "publisher",
        references: List<'a, Reference<'a>> = "references",
        source_lang: Text<'a> = "source_lang",
        tracking: Tracking<'a> = "tracking",
    }
    unread "acknowledgments", "aggregate_severity", "distribution", "license_expression", "title", "x_extensions"
}

object! {
    Publisher<'a> { category: Text<'a> = "category", namespace: Text<'a> = "namespace", }
    unread "contact", "contact_details", "issuing_authority", "name"
}

object! {
    Reference<'a> { category: Text<'a> = "category", summary: Text<'a> = "summary", }
    unread "url"
}

object! {
    Tracking<'a> {
        current_release_date: Text<'a> = "current_release_date",
        generator: Generator<'a> = "generator",
        id: Text<'a> = "id",
        initial_release_date: Text<'a> = "initial_release_date",
        revision_history: List<'a, Revision<'a>> = "revision_history",
        status: Text<'a> = "status",
        version: Text<'a> = "version",
    }
    unread "aliases"
}

object! {
    Generator<'a> { date: Text<'a> = "date", }
    unread "engine"
}

object! {
    Revision<'a> { date: Text<'a> = "date", number: Text<'a> = "number", }
    unread "legacy_version", "summary"
}

object! {
    Tree<'a> {
        branches: List<'a, Branch<'a>> = "branches",
        full_product_names: List<'a, Unread<'a>> = "full_product_names",
        product_groups: List<'a, Group<'a>> = "product_groups",
        product_paths: List<'a, Path<'a>> = "product_paths",
        relationships: List<'a, Relationship<'a>> = "relationships",
    }
}

object! {
    Branch<'a> {
        branches: List<'a, Branch<'a>> = "branches",
        category: Text<'a> = "category",
        name: Text<'a> = "name",
        product: Unread<'a> = "product",
    }
}

object! {
    FullName<'a> {
        name: Text<'a> = "name",
        product_id: Text<'a> = "product_id",
        helper: Unread<'a> = "product_identification_helper",
    }
    unread "x_extensions"
}

object! {
    Helper<'a> {
        cpe: Text<'a> = "cpe",
        hashes: List<'a, FileHashes<'a>> = "hashes",
        model_numbers: List<'a, Text<'a>> = "model_numbers",
        /// 2.0 only.
        purl: Text<'a> = "purl",
        /// 2.1 only.
        purls: List<'a, Text<'a>> = "purls",
        sbom_urls: List<'a, Text<'a>> = "sbom_urls",
        serial_numbers: List<'a, Text<'a>> = "serial_numbers",
        skus: List<'a, Text<'a>> = "skus",
        x_generic_uris: List<'a, GenericUri<'a>> = "x_generic_uris",
    }
}

object! {
    FileHashes<'a> {
        file_hashes: List<'a, FileHash<'a>> = "file_hashes",
        filename: Text<'a> = "filename",
    }
}

object! {
    FileHash<'a> { algorithm: Text<'a> = "algorithm", value: Text<'a> = "value", }
}

object! {
    GenericUri<'a> { namespace: Text<'a> = "namespace", uri: Text<'a> = "uri", }
}

object! {
    Group<'a> { group_id: Text<'a> = "group_id", product_ids: List<'a, Text<'a>> = "product_ids", }
    unread "summary"
}

object! {
    /// How 2.0 and the first draft of 2.1 compose products.
    Relationship<'a> {
        full_product_name: Unread<'a> = "full_product_name",
        product_reference: Text<'a> = "product_reference",
        relates_to: Text<'a> = "relates_to_product_reference",
        category: Text<'a> = "category",
    }
}

object! {
    /// How later drafts of 2.1 do.
    Path<'a> {
        beginning: Text<'a> = "beginning_product_reference",
        full_product_name: Unread<'a> = "full_product_name",
        subpaths: List<'a, Subpath<'a>> = "subpaths",
    }
}

object! {
    Subpath<'a> { category: Text<'a> = "category", next: Text<'a> = "next_product_reference", }
}

object! {
    Vulnerability<'a> {
        cve: Text<'a> = "cve",
        disclosure_date: Text<'a> = "disclosure_date",
        discovery_date: Text<'a> = "discovery_date",
        exploitations: List<'a, Dated<'a>> = "first_known_exploitation_dates",
        flags: List<'a, Flag<'a>> = "flags",
        ids: List<'a, Id<'a>> = "ids",
        involvements: List<'a, Dated<'a>> = "involvements",
        metrics: List<'a, Scored<'a>> = "metrics",
        notes: List<'a, Note<'a>> = "notes",
        product_status: Statuses<'a> = "product_status",
        /// 2.0 only.
        release_date: Text<'a> = "release_date",
        remediations: List<'a, Remediation<'a>> = "remediations",
        /// 2.0 only.
        scores: List<'a, Scored<'a>> = "scores",
        threats: List<'a, Threat<'a>> = "threats",
    }
    unread "acknowledgments", "cwe", "cwes", "references", "title", "x_extensions"
}

object! {
    Statuses<'a> {
        first_affected: List<'a, Text<'a>> = "first_affected",
        first_fixed: List<'a, Text<'a>> = "first_fixed",
        fixed: List<'a, Text<'a>> = "fixed",
        known_affected: List<'a, Text<'a>> = "known_affected",
        known_not_affected: List<'a, Text<'a>> = "known_not_affected",
        last_affected: List<'a, Text<'a>> = "last_affected",
        recommended: List<'a, Text<'a>> = "recommended",
        under_investigation: List<'a, Text<'a>> = "under_investigation",
        /// 2.1 only.
        unknown_list: List<'a, Text<'a>> = "unknown",
    }
}

object! {
    Id<'a> {
        system_name: Text<'a> = "system_name",
        text: Text<'a> = "text",
        product_ids: List<'a, Text<'a>> = "product_ids",
        group_ids: List<'a, Text<'a>> = "group_ids",
    }
}

object! {
    Flag<'a> {
        date: Text<'a> = "date",
        label: Text<'a> = "label",
        product_ids: List<'a, Text<'a>> = "product_ids",
        group_ids: List<'a, Text<'a>> = "group_ids",
    }
}

object! {
    Threat<'a> {
        category: Text<'a> = "category",
        date: Text<'a> = "date",
        details: Text<'a> = "details",
        product_ids: List<'a, Text<'a>> = "product_ids",
        group_ids: List<'a, Text<'a>> = "group_ids",
    }
}

object! {
    Remediation<'a> {
        category: Text<'a> = "category",
        date: Text<'a> = "date",
        details: Text<'a> = "details",
        product_ids: List<'a, Text<'a>> = "product_ids",
        group_ids: List<'a, Text<'a>> = "group_ids",
        url: Text<'a> = "url",
    }
    unread "entitlements", "restart_required"
}

object! {
    /// A note of the document or of a vulnerability; in 2.1 it may be about some products only.
    Note<'a> {
        category: Text<'a> = "category",
        text: Text<'a> = "text",
        title: Text<'a> = "title",
        product_ids: List<'a, Text<'a>> = "product_ids",
        group_ids: List<'a, Text<'a>> = "group_ids",
    }
    unread "audience"
}

object! {
    /// An involvement or an exploitation.
    Dated<'a> {
        date: Text<'a> = "date",
        exploitation_date: Text<'a> = "exploitation_date",
        party: Text<'a> = "party",
        product_ids: List<'a, Text<'a>> = "product_ids",
        group_ids: List<'a, Text<'a>> = "group_ids",
    }
    unread "contact", "status", "summary"
}

object! {
    /// A score or a metric.
    Scored<'a> {
        /// 2.1 only.
        content: Unread<'a> = "content",
        /// 2.0 only.
        cvss_v2: Unread<'a> = "cvss_v2",
        /// 2.0 only.
        cvss_v3: Unread<'a> = "cvss_v3",
        products: List<'a, Text<'a>> = "products",
        /// 2.1 only.
        source: Text<'a> = "source",
    }
}

/// Whose rules a document is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edition {
    V20,
    V21,
}

/// 2.1 closes every object, so a member it does not have is a mistake or an extension of a tool's.
fn report_unknown(
    edition: Edition,
    unknown: &[Text<'_>],
    pointer: impl Fn() -> String,
    findings: &mut Findings,
) {
    for key in unknown.iter().filter(|_| edition == Edition::V21) {
        findings.add(
            Code::UnknownMember,
            || child(&pointer(), key),
            || format!("CSAF 2.1 has no member {} here, and it was not read; leave it out.", quoted(key)),
        );
    }
}

/// Reports a member of 2.0 that 2.1 has replaced. It is read all the same.
fn report_replaced<T>(
    edition: Edition,
    member: &Member<T>,
    pointer: impl Fn() -> String,
    [old, new]: [&str; 2],
    findings: &mut Findings,
) {
    if edition == Edition::V21 && member.is_stated() {
        let message = || format!("CSAF 2.1 has no member `{old}`, and it was read as in 2.0; use `{new}`.");
        findings.add(Code::UnknownMember, || child(&pointer(), old), message);
    }
}

/// A text of a list, or nothing if it is of another type or blank.
fn text_at<'a>(
    member: Member<Text<'a>>,
    findings: &mut Findings,
    pointer: impl FnOnce() -> String,
) -> Option<Text<'a>> {
    member.take(findings, pointer, "a string").filter(|text| !is_blank(Some(text)))
}

/// The elements of a list that may be left out.
fn list<'a, T: Shape<'a>>(
    member: Member<List<'a, T>>,
    findings: &mut Findings,
    pointer: impl FnOnce() -> String,
) -> Enumerate<List<'a, T>> {
    member.take(findings, pointer, "a list").unwrap_or_default().enumerate()
}

fn tell(findings: &mut Findings, code: Code, pointer: impl FnOnce() -> String, message: &str) {
    findings.add(code, pointer, || message.to_owned());
}

/// Codes that say why an entry makes no claim.
const DROPPED: [Code; 5] = [
    Code::BadStatement,
    Code::MissingVulnerability,
    Code::MissingProduct,
    Code::UnknownStatus,
    Code::KeyTooLong,
];

fn no_claims(findings: &Findings) -> Rejection {
    match findings.first_of(&DROPPED) {
        Some(first) => {
            let message = format!("No status of the document makes a claim. {}", first.message);
            rejection(Code::NoUsableStatement, &first.pointer, &message)
        }
        None => {
            let message = "The document states no product's status; add at least one in `product_status`.";
            rejection(Code::NoUsableStatement, "/vulnerabilities", message)
        }
    }
}

fn rejection(code: Code, pointer: &str, message: &str) -> Rejection {
    Rejection::new(code, Some(Format::Csaf), pointer, message)
}

#[cfg(test)]
mod tests {
    use provex_core::digest::Digest;
    use provex_core::ids::DocumentDigest;
    use provex_core::json::{Limits, index};

    use super::*;

    /// How many bytes of descriptions reading the product tree of a document goes through.
    fn described_bytes(product_tree: &str) -> usize {
        let text = format!(
            r#"{{"document": {{"publisher": {{"namespace": "https://a.example"}}, "tracking": {{"id": "1"}}}},
                "product_tree": {product_tree}}}"#
        );
        let indexed = index(text.as_bytes(), &Limits::document()).unwrap();
        let document = Document::object(match indexed.root().content() {
            json::Content::Object(members) => members,
            other => panic!("{other:?}"),
        });
        let document = document.unwrap();
        let (Member::Value(meta), Member::Value(tree)) = (document.document, document.product_tree) else {
            panic!("both are objects");
        };
        let context = Context { digest: DocumentDigest::new(Digest::of(text.as_bytes())), subjects: None };
        let mut findings = Findings::default();
        let header = header::read(meta, Edition::V20, &context, &mut findings);
        let (products, _) = tree::read(indexed.root(), tree, &header, &mut findings);
        products.check_number().unwrap();
        products.described_bytes()
    }

    /// Compositions of `LIB` and others: what the n-th, from 1, is composed of; the one before it is `P` and its number.
    fn composed(count: usize, parts: impl Fn(usize) -> [String; 2]) -> String {
        let name = |id: &str| format!(r#"{{"product_id": "{id}", "name": "x"}}"#);
        let relationship = |n: usize| {
            let [component, host] = parts(n);
            let name = name(&format!("P{n}"));
            format!(
                r#"{{"product_reference": "{component}", "relates_to_product_reference": "{host}", "full_product_name": {name}}}"#
            )
        };
        let names = [name("LIB"), name("P0")].join(", ");
        let relationships: Vec<_> = (1..=count).map(relationship).collect();
        format!(r#"{{"full_product_names": [{names}], "relationships": [{}]}}"#, relationships.join(", "))
    }

    #[test]
    fn work_on_compositions_grows_no_faster_than_their_number() {
        let [lib, before] = [|_: usize| "LIB".to_owned(), |n: usize| format!("P{}", n - 1)];
        type Parts = Box<dyn Fn(usize) -> [String; 2]>;
        let shapes: [(&str, Parts); 5] = [
            ("a chain of hosts", Box::new(move |n| [lib(n), before(n)])),
            ("a chain of components", Box::new(move |n| [before(n), lib(n)])),
            ("doubled", Box::new(move |n| [before(n), before(n)])),
            ("many upon a chain", Box::new(move |n| [lib(n), before(n.min(60))])),
            ("across", Box::new(|n| [format!("P{}", n / 2), format!("P{}", n / 3)])),
        ];
        for (shape, parts) in shapes {
            let [few, many] = [2_500, 20_000].map(|count| described_bytes(&composed(count, &parts)));
            assert!(many <= 9 * few, "{shape}: {few} bytes for 2,500, {many} for 20,000");
        }
    }
}
