//! What a BOM says of itself.

use std::borrow::Cow;

use provex_core::vex::{Format, Issuer};

use super::{Metadata, Party, Syntax, Version, report_unknown};
use crate::Context;
use crate::document::DocumentFacts;
use crate::report::{Code, Findings, quoted};
use crate::stated::{Time, integer, is_blank};
use crate::typed::Member;

/// `scheme` of the issuer, whose id is the name of an organization or person.
const ISSUER_SCHEME: &str = "cyclonedx";
/// The versions that are read, the oldest first.
const SPEC_VERSIONS: [&str; 4] = ["1.4", "1.5", "1.6", "1.7"];
/// The version that has no default for a document's `version`.
const WITHOUT_DEFAULT: &str = "1.4";

/// The members at the top that say what the document is.
pub(super) struct Header<'a> {
    pub(super) spec_version: Member<Cow<'a, str>>,
    pub(super) serial_number: Member<Cow<'a, str>>,
    pub(super) version: Member<Version<'a>>,
    pub(super) syntax: Syntax,
}

/// The facts. The id is the serial number: with the version it makes the document's BOM-Link, but the versions of
/// one document must share their id.
pub(super) fn facts(
    header: Header<'_>,
    metadata: &Metadata<'_>,
    context: &Context<'_>,
    findings: &mut Findings,
) -> DocumentFacts {
    let spec_version = spec_version(header.spec_version, findings);
    let id = serial_number(header.serial_number, header.syntax, findings);
    let revision = revision(header.version, spec_version.as_deref(), findings);
    let issuer = issuer(metadata, findings);
    let timestamp = copied(&metadata.timestamp);
    if matches!(timestamp, Member::Absent) {
        let message = "The document has no `metadata.timestamp`; add the time at which it was made.";
        findings.add(Code::MissingTimestamp, || "/metadata/timestamp".to_owned(), || message.to_owned());
    }
    DocumentFacts {
        digest: context.digest,
        payload_digest: None,
        format: Format::CycloneDx,
        spec_version,
        id,
        revision,
        issuer: issuer.map(|name| Issuer { scheme: ISSUER_SCHEME.to_owned(), id: name.to_owned() }),
        stated_at: Time::read(timestamp, findings, || "/metadata/timestamp".to_owned()).text(),
        retires: None,
    }
}

/// A member to take where the original is still needed.
pub(super) fn copied<'a>(member: &Member<Cow<'a, str>>) -> Member<Cow<'a, str>> {
    match member {
        Member::Absent => Member::Absent,
        Member::Value(text) => Member::Value(text.clone()),
        Member::Wrong(found) => Member::Wrong(*found),
    }
}

fn spec_version(member: Member<Cow<'_, str>>, findings: &mut Findings) -> Option<String> {
    let pointer = || "/specVersion".to_owned();
    let version = member.take(findings, pointer, "a string");
    if version.as_deref().is_none_or(|version| !SPEC_VERSIONS.contains(&version)) {
        findings.add(Code::UnknownSpecVersion, pointer, || {
            let version = version.as_deref().map_or_else(|| "of no version".to_owned(), quoted);
            format!("CycloneDX {version} is not known and was read as 1.7; use a version from 1.4 to 1.7.")
        });
    }
    version.map(Cow::into_owned)
}

fn serial_number(member: Member<Cow<'_, str>>, syntax: Syntax, findings: &mut Findings) -> Option<String> {
    let pointer = || "/serialNumber".to_owned();
    let other_type = matches!(member, Member::Wrong(_));
    let serial = member.take(findings, pointer, "a string").filter(|serial| !is_blank(Some(serial)));
    match &serial {
        None if other_type => {}
        None => {
            let message = "The document has no `serialNumber`, so what only it names is named by its bytes; add one, such as \
                           `urn:uuid:` and a new UUID.";
            findings.add(Code::MissingId, pointer, || message.to_owned());
        }
        Some(serial) if serial.strip_prefix("urn:uuid:").is_some_and(is_uuid) => {
            if syntax == Syntax::Json && serial.bytes().any(|byte| byte.is_ascii_uppercase()) {
                let message =
                    "The serial number has upper-case letters and was kept; write it in lower case.";
                findings.add(Code::BadId, pointer, || message.to_owned());
            }
        }
        Some(serial) => findings.add(Code::BadId, pointer, || {
            format!(
                "The serial number {} is no `urn:uuid:` and UUID, and was kept; make it one.",
                quoted(serial)
            )
        }),
    }
    serial.map(Cow::into_owned)
}

/// Whether this is a UUID. The JSON schema wants its letters in lower case, the XML schema in either.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(n, byte)| match n {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The revision as text. From 1.5 on, a document without one has the schema's default.
fn revision(
    member: Member<Version<'_>>,
    spec_version: Option<&str>,
    findings: &mut Findings,
) -> Option<String> {
    const WANTED: &str = "an integer from 1";
    let pointer = || "/version".to_owned();
    let stated = member.is_stated();
    let (text, good) = match member.take(findings, pointer, WANTED) {
        Some(Version::Number(number)) => {
            let text = integer(number);
            let good = text.as_deref().is_some_and(|text| text != "0" && !text.starts_with('-'));
            (text, good)
        }
        // A number in quotes still says which revision this is.
        Some(Version::Text(text)) => (Some(text.into_owned()).filter(|text| !is_blank(Some(text))), false),
        None if stated => return None,
        None if spec_version.is_some_and(|version| version != WITHOUT_DEFAULT) => {
            return Some("1".to_owned());
        }
        None => {
            let message = || format!("The document has no `version`; add {WANTED}.");
            findings.add(Code::MissingVersion, pointer, message);
            return None;
        }
    };
    if !good {
        let message = || format!("The version of a CycloneDX document is {WANTED}; make it one.");
        findings.add(Code::BadVersion, pointer, message);
    }
    text
}

/// Who stands behind the document: the supplier of what it describes, its manufacturer, or who wrote it.
fn issuer<'m>(metadata: &'m Metadata<'_>, findings: &mut Findings) -> Option<&'m str> {
    let organizations = [
        ("supplier", &metadata.supplier),
        ("manufacturer", &metadata.manufacturer),
        ("manufacture", &metadata.manufacture),
    ];
    for (key, organization) in organizations {
        report_party(organization, || format!("/metadata/{key}"), findings);
    }
    metadata.authors.check(findings, || "/metadata/authors".to_owned(), "a list of persons");
    let authors = || metadata.authors.value().into_iter().flatten();
    for (n, author) in authors().enumerate() {
        report_party(author, || format!("/metadata/authors/{n}"), findings);
    }
    let organizations = organizations.into_iter().map(|(_, organization)| organization);
    let name = organizations.chain(authors()).find_map(name);
    if name.is_none() {
        let message = "The document names no issuer; add `metadata.supplier`, `metadata.manufacturer` or \
                       `metadata.authors`.";
        findings.add(Code::MissingIssuer, || "/metadata".to_owned(), || message.to_owned());
    }
    name
}

fn report_party(party: &Member<Party<'_>>, at: impl Fn() -> String, findings: &mut Findings) {
    party.check(findings, &at, "an object");
    let Some(party) = party.value() else { return };
    party.name.check(findings, || format!("{}/name", at()), "a string");
    if !party.unknown.is_empty() {
        report_unknown(&party.unknown, &at(), findings);
    }
}

fn name<'m>(party: &'m Member<Party<'_>>) -> Option<&'m str> {
    let name = party.value()?.name.value()?;
    Some(name.as_ref()).filter(|name| !is_blank(Some(name)))
}
