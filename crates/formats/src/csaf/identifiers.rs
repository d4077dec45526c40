//! What identifies a product: its `product_identification_helper`.

use hashbrown::HashSet;

use super::schema::{missing, uri};
use super::{Edition, FileHashes, Helper, List, Text, list, report_replaced, report_unknown, tell, text_at};
use crate::component::{Described, IdentifierType};
use crate::purl::Purl;
use crate::report::{Code, Findings};
use crate::typed::{Member, Shape as _, Unread};

/// Adds what identifies a product, in a fixed order.
pub(super) fn identify<'a>(
    helper: Unread<'a>,
    described: &mut Described<'a>,
    edition: Edition,
    at: &dyn Fn() -> String,
    findings: &mut Findings,
) {
    if helper.0.clone().next().is_none() {
        let message = "Nothing in here identifies the product; add an identifier, or leave the member out.";
        tell(findings, Code::MissingMember, at, message);
    }
    let helper = Helper::object(helper.0).unwrap_or_default();
    if edition == Edition::V20 && helper.purls.is_stated() {
        let message = "CSAF 2.0 has no `purls`, and they were read as in 2.1; use `purl`.";
        tell(findings, Code::SpecVersionMismatch, || format!("{}/purls", at()), message);
    }
    report_unknown(edition, &helper.unknown, at, findings);
    report_replaced(edition, &helper.purl, at, ["purl", "purls"], findings);
    let hashes = list(helper.hashes, findings, || format!("{}/hashes", at()));
    // Several files are parts of the product: the digest of one does not stand for the whole.
    let is_whole = hashes.clone().count() == 1;
    for (n, file) in hashes {
        let at = || format!("{}/hashes/{n}", at());
        let file = file_hashes(file, edition, &at, findings);
        if is_whole { &mut described.identifiers } else { &mut described.also }.extend(file);
    }
    let purl = text_at(helper.purl, findings, || format!("{}/purl", at()));
    let listed = texts(helper.purls, || format!("{}/purls", at()), findings);
    if add_purls(purl.into_iter().chain(listed.into_iter().map(|(_, purl)| purl)), described) {
        let message = "The purls of this product differ in more than qualifiers, and it is keyed by the first; give \
                       each a product.";
        tell(findings, Code::PurlsDiffer, || format!("{}/purls", at()), message);
    }
    if let Some(cpe) = text_at(helper.cpe, findings, || format!("{}/cpe", at())) {
        let is_uri = cpe.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("cpe:/"));
        let kind = if is_uri { IdentifierType::Cpe22 } else { IdentifierType::Cpe23 };
        described.add(Some(kind), Some(cpe));
    }
    for (kind, key, member) in [
        (IdentifierType::Sku, "skus", helper.skus),
        (IdentifierType::Model, "model_numbers", helper.model_numbers),
        (IdentifierType::Other("serial-number"), "serial_numbers", helper.serial_numbers),
        (IdentifierType::Other("sbom-url"), "sbom_urls", helper.sbom_urls),
    ] {
        for (n, text) in texts(member, || format!("{}/{key}", at()), findings) {
            if key == "sbom_urls" {
                uri(&text, || format!("{}/{key}/{n}", at()), findings);
            }
            described.add(Some(kind.clone()), Some(text));
        }
    }
    for (n, generic) in list(helper.x_generic_uris, findings, || format!("{}/x_generic_uris", at())) {
        let at = || format!("{}/x_generic_uris/{n}", at());
        let generic = generic.take(findings, at, "an object").unwrap_or_default();
        report_unknown(edition, &generic.unknown, at, findings);
        required_uri(generic.namespace, "namespace", &at, findings);
        let text = required_uri(generic.uri, "uri", &at, findings);
        described.add(Some(IdentifierType::Iri), text);
    }
}

fn required_uri<'a>(
    member: Member<Text<'a>>,
    key: &str,
    at: &dyn Fn() -> String,
    findings: &mut Findings,
) -> Option<Text<'a>> {
    let at_key = || format!("{}/{key}", at());
    let text = required_text(member, key, at, findings);
    uri(text.as_deref().unwrap_or_default(), at_key, findings);
    text
}

fn required_text<'a>(
    member: Member<Text<'a>>,
    key: &str,
    at: &dyn Fn() -> String,
    findings: &mut Findings,
) -> Option<Text<'a>> {
    let is_wrong = matches!(member, Member::Wrong(_));
    let text = text_at(member, findings, || format!("{}/{key}", at()));
    if text.is_none() && !is_wrong {
        missing(key, at, findings);
    }
    text
}

fn file_hashes<'a>(
    file: Member<FileHashes<'a>>,
    edition: Edition,
    at: &dyn Fn() -> String,
    findings: &mut Findings,
) -> Vec<(IdentifierType<'a>, Text<'a>)> {
    let file = file.take(findings, at, "an object").unwrap_or_default();
    report_unknown(edition, &file.unknown, at, findings);
    required_text(file.filename, "filename", at, findings);
    let mut hashes: Vec<(IdentifierType<'a>, Text<'a>)> = Vec::new();
    let mut algorithms = HashSet::new();
    for (n, hash) in list(file.file_hashes, findings, || format!("{}/file_hashes", at())) {
        let at = || format!("{}/file_hashes/{n}", at());
        let hash = hash.take(findings, at, "an object").unwrap_or_default();
        report_unknown(edition, &hash.unknown, at, findings);
        let algorithm = required_text(hash.algorithm, "algorithm", &at, findings);
        let value = required_text(hash.value, "value", &at, findings);
        if algorithm.as_ref().is_some_and(|algorithm| !algorithms.insert(algorithm.clone())) {
            let message = "This algorithm has a value for the file before; both are kept; leave one out.";
            tell(findings, Code::RepeatedElement, at, message);
        }
        // The schema's default.
        let kind = IdentifierType::Hash(algorithm.unwrap_or(Text::Borrowed("sha256")));
        hashes.extend(value.map(|value| (kind, value)));
    }
    hashes
}

/// The first purl names the product; the others may differ in qualifiers only (6.1.42) and give no key. Whether they
/// differ in more.
fn add_purls<'a>(mut purls: impl Iterator<Item = Text<'a>>, described: &mut Described<'a>) -> bool {
    let plain = |text: &Text<'a>| {
        let purl = Purl::parse(text).ok()?;
        let part = |text: Option<&str>| text.map(str::to_owned);
        let (namespace, version, subpath) =
            (part(purl.namespace()), part(purl.version()), part(purl.subpath()));
        Some((purl.type_().to_owned(), namespace, purl.name().to_owned(), version, subpath))
    };
    let Some(first) = purls.next() else { return false };
    let mut differ = false;
    for other in purls {
        differ |= plain(&other) != plain(&first);
        described.also.push((IdentifierType::Purl, other));
    }
    described.add(Some(IdentifierType::Purl), Some(first));
    differ
}

/// The texts of a list and their places, without those that are blank.
fn texts<'a>(
    member: Member<List<'a, Text<'a>>>,
    at: impl Fn() -> String,
    findings: &mut Findings,
) -> Vec<(usize, Text<'a>)> {
    let mut found = Vec::new();
    for (n, text) in list(member, findings, &at) {
        found.extend(text_at(text, findings, || format!("{}/{n}", at())).map(|text| (n, text)));
    }
    found
}
