//! What a CSAF document says of itself: `/document` without what only the rules look at.

use std::borrow::Cow;

use provex_core::vex::{Format, Issuer};

use super::profile::Profile;
use super::{Edition, Meta, Publisher, Text, Tracking, report_unknown, revisions, tell};
use crate::Context;
use crate::document::{DocumentFacts, Retirement};
use crate::report::{Code, Findings, quoted};
use crate::stated::Time;
use crate::typed::Member;

/// `scheme` of the issuer, whose id is the publisher's `namespace`.
const ISSUER_SCHEME: &str = "csaf";
/// `tracking.status` of a tombstone. It is Red Hat's, and in neither version of CSAF.
pub(super) const DELETED: &str = "deleted";

/// What the rest of the reader needs to know of the document.
pub(super) struct Header {
    pub(super) facts: DocumentFacts,
    pub(super) edition: Edition,
    pub(super) profile: Profile,
}

/// Whose rules the document is held to: newer versions that are not known to those of the newest that is.
pub(super) fn edition(meta: &Meta<'_>) -> Edition {
    match meta.csaf_version.value().map(AsRef::as_ref) {
        None | Some("2.0") => Edition::V20,
        Some(_) => Edition::V21,
    }
}

pub(super) fn read(meta: Meta<'_>, edition: Edition, context: &Context, findings: &mut Findings) -> Header {
    let at = |key: &'static str| move || format!("/document/{key}");
    report_unknown(edition, &meta.unknown, || "/document".to_owned(), findings);
    let category = meta.category.take(findings, at("category"), "a string").unwrap_or_default();
    let publisher = meta.publisher.take(findings, at("publisher"), "an object").unwrap_or_default();
    let tracking = meta.tracking.take(findings, at("tracking"), "an object").unwrap_or_default();
    let profile = Profile::of(&category);
    let deleted = tracking.status.value().is_some_and(|status| status == DELETED);
    if deleted {
        let message = "CSAF has no status `deleted`. The document was read as one that takes back all that its earlier \
                       versions say; use the category `csaf_withdrawn` of CSAF 2.1.";
        tell(findings, Code::UnknownTerm, at("tracking/status"), message);
    }
    let spec_version = spec_version(meta.csaf_version, deleted, findings);
    let issuer = issuer(publisher, edition, findings);
    let mut facts = DocumentFacts {
        digest: context.digest,
        payload_digest: None,
        format: Format::Csaf,
        spec_version,
        id: None,
        revision: None,
        issuer,
        stated_at: None,
        retires: if deleted { Some(Retirement::Deleted) } else { profile.retires() },
    };
    track(tracking, edition, deleted, &mut facts, findings);
    Header { facts, edition, profile }
}

fn spec_version(member: Member<Text<'_>>, deleted: bool, findings: &mut Findings) -> Option<String> {
    let at = || "/document/csaf_version".to_owned();
    let version = member.take(findings, at, "a string");
    match version.as_deref() {
        Some("2.0" | "2.1") => {}
        Some(other) => findings.add(Code::UnknownSpecVersion, at, || {
            format!("CSAF {} is not known and was read as 2.1; use `2.1` or `2.0`.", quoted(other))
        }),
        None if deleted => {}
        None => {
            let message = "The document has no `csaf_version` and was read as 2.0; add it.";
            tell(findings, Code::UnknownSpecVersion, at, message);
        }
    }
    version.map(Cow::into_owned)
}

fn issuer(publisher: Publisher<'_>, edition: Edition, findings: &mut Findings) -> Option<Issuer> {
    let at = || "/document/publisher".to_owned();
    report_unknown(edition, &publisher.unknown, at, findings);
    let at = || "/document/publisher/namespace".to_owned();
    let id = required(publisher.namespace, Code::MissingIssuer, at, findings)?;
    Some(Issuer { scheme: ISSUER_SCHEME.to_owned(), id })
}

/// Reads id, version and times. A tombstone has no history to look at.
fn track(
    tracking: Tracking<'_>,
    edition: Edition,
    deleted: bool,
    facts: &mut DocumentFacts,
    findings: &mut Findings,
) {
    let at = |key: &'static str| move || format!("/document/tracking/{key}");
    report_unknown(edition, &tracking.unknown, || "/document/tracking".to_owned(), findings);
    facts.id = required(tracking.id, Code::MissingId, at("id"), findings);
    facts.revision = required(tracking.version, Code::MissingVersion, at("version"), findings);
    if matches!(tracking.current_release_date, Member::Absent) {
        let message = "The document has no `current_release_date`; add the time at which it was released.";
        tell(findings, Code::MissingTimestamp, at("current_release_date"), message);
    }
    let released = tracking.current_release_date;
    facts.stated_at = time(edition, released, findings, at("current_release_date")).text();
    time(edition, tracking.initial_release_date, findings, at("initial_release_date"));
    if let Some(generator) = tracking.generator.take(findings, at("generator"), "an object") {
        report_unknown(edition, &generator.unknown, at("generator"), findings);
        time(edition, generator.date, findings, at("generator/date"));
    }
    let status = tracking.status.value();
    let history = tracking.revision_history.take(findings, at("revision_history"), "a list");
    if !deleted {
        let history = revisions::History::read(history.unwrap_or_default(), edition, findings);
        history.check(facts.revision.as_deref(), status.map(AsRef::as_ref), findings);
    }
}

/// A text member that a document must have.
fn required(
    member: Member<Text<'_>>,
    missing: Code,
    pointer: impl Fn() -> String,
    findings: &mut Findings,
) -> Option<String> {
    let other_type = matches!(member, Member::Wrong(_));
    let text = member.take(findings, &pointer, "a string").filter(|text| !text.trim().is_empty());
    if text.is_none() && !other_type {
        findings.add(missing, &pointer, || {
            let pointer = pointer();
            let key = pointer.rsplit('/').next().unwrap_or_default();
            format!("The document has no `{key}`; add one.")
        });
    }
    text.map(Cow::into_owned)
}

/// A time that the document states. 2.1 takes less than RFC 3339 does: capital letters (6.1.37).
pub(super) fn time(
    edition: Edition,
    member: Member<Text<'_>>,
    findings: &mut Findings,
    pointer: impl Fn() -> String,
) -> Time {
    let text = member.value().filter(|_| edition == Edition::V21);
    let loose = text.is_some_and(|text| text.bytes().any(|b| matches!(b, b't' | b'z')));
    let time = Time::read(member, findings, &pointer);
    if loose && matches!(time, Time::At(_)) {
        let message = "CSAF 2.1 times have a capital `T` and `Z`; write it as `2026-11-23T06:13:23Z`.";
        tell(findings, Code::TimeForm, pointer, message);
    }
    time
}
