//! Profiles: what `/document/category` promises of the whole document (CSAF 2.0 section 4, tests 6.1.15, 6.1.26
//! and 6.1.27). What a profile promises of one vulnerability is checked where vulnerabilities are read.

use super::header::DELETED;
use super::{Edition, Meta, Note, Reference, tell};
use crate::document::Retirement;
use crate::report::{Code, Findings};
use crate::typed::List;

/// What a document is meant for, told by its category.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Profile {
    /// Any category that names no other profile.
    Base,
    DeprecatedSecurityAdvisory,
    InformationalAdvisory,
    SecurityAdvisory,
    SecurityIncidentResponse,
    Superseded,
    Vex,
    VulnerabilityReport,
    Withdrawn,
}

/// The profiles besides the base, their categories and the version that brought them.
const PROFILES: [(&str, Profile, Edition); 8] = [
    ("csaf_deprecated_security_advisory", Profile::DeprecatedSecurityAdvisory, Edition::V21),
    ("csaf_informational_advisory", Profile::InformationalAdvisory, Edition::V20),
    ("csaf_security_advisory", Profile::SecurityAdvisory, Edition::V20),
    ("csaf_security_incident_response", Profile::SecurityIncidentResponse, Edition::V20),
    ("csaf_superseded", Profile::Superseded, Edition::V21),
    ("csaf_vex", Profile::Vex, Edition::V20),
    ("csaf_vulnerability_report", Profile::VulnerabilityReport, Edition::V21),
    ("csaf_withdrawn", Profile::Withdrawn, Edition::V21),
];

impl Profile {
    pub(super) fn of(category: &str) -> Self {
        let named = PROFILES.iter().find(|(name, ..)| *name == category);
        named.map_or(Self::Base, |(_, profile, _)| *profile)
    }

    /// Withdrawal and supersession go by the category alone: whoever writes it means it, in 2.0 too.
    pub(super) const fn retires(self) -> Option<Retirement> {
        match self {
            Self::Superseded => Some(Retirement::Superseded),
            Self::Withdrawn => Some(Retirement::Withdrawn),
            _ => None,
        }
    }

    /// Whether it must name products, vulnerabilities and notes on them.
    pub(super) const fn is_advisory(self) -> bool {
        matches!(self, Self::Vex | Self::SecurityAdvisory | Self::DeprecatedSecurityAdvisory)
    }
}

/// Checks what the profile promises; `has` says whether there are a product tree and vulnerabilities.
pub(super) fn check(meta: &Meta<'_>, edition: Edition, has: [bool; 2], findings: &mut Findings) {
    let category = meta.category.value().map(AsRef::as_ref).unwrap_or_default();
    let profile = Profile::of(category);
    check_category(category, edition, findings);
    check_translation(meta, findings);
    let deleted = meta.tracking.value().and_then(|tracking| tracking.status.value());
    check_parts(profile, deleted.is_some_and(|status| status == DELETED), has, findings);
    check_information(meta, profile, findings);
    if let Some(retirement) = profile.retires() {
        check_retirement(meta, retirement, findings);
    }
}

/// 6.1.26: no category may look like a profile that it is not.
fn check_category(category: &str, edition: Edition, findings: &mut Findings) {
    let squeezed = |text: &str| {
        let kept = text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '_'));
        kept.flat_map(char::to_lowercase).collect::<String>()
    };
    let mut known = PROFILES.iter().filter(|(.., since)| *since == Edition::V20 || edition == Edition::V21);
    if category == "csaf_base" || known.clone().any(|(name, ..)| *name == category) {
        return;
    }
    let plain = squeezed(category);
    let looks_like = |name: &str| plain == squeezed(name) || plain == squeezed(&name["csaf_".len()..]);
    let reserved = category.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("csaf_"));
    if reserved || known.any(|(name, ..)| looks_like(name)) {
        let message =
            "The category could be taken for a profile of CSAF; use the profile's own name or another.";
        tell(findings, Code::ReservedCategory, || "/document/category".to_owned(), message);
    }
}

/// 6.1.27.1 and 6.1.27.2
fn check_information(meta: &Meta<'_>, profile: Profile, findings: &mut Findings) {
    if !matches!(profile, Profile::InformationalAdvisory | Profile::SecurityIncidentResponse) {
        return;
    }
    let mut notes = meta.notes.value().into_iter().flat_map(List::values);
    let says = ["description", "details", "general", "summary"];
    if !notes.any(|note| note.category.value().is_some_and(|category| says.contains(&category.as_ref()))) {
        let message = "Documents of this category have a note of the category `description`, `details`, `general` or \
                       `summary`; add one.";
        tell(findings, Code::MissingDescription, || "/document/notes".to_owned(), message);
    }
    let mut references = meta.references.value().into_iter().flat_map(List::values);
    let external =
        |reference: Reference<'_>| reference.category.value().is_none_or(|found| found == "external");
    if !references.any(external) {
        let message = "Documents of this category have an external reference; add one.";
        tell(findings, Code::MissingReference, || "/document/references".to_owned(), message);
    }
}

/// 6.1.15 and 6.1.28
fn check_translation(meta: &Meta<'_>, findings: &mut Findings) {
    let publisher = meta.publisher.value().and_then(|publisher| publisher.category.value());
    if publisher.is_some_and(|category| category == "translator") && !meta.source_lang.is_stated() {
        let message =
            "A translator publishes the document; add `source_lang`, the language it is translated from.";
        tell(findings, Code::MissingSourceLanguage, || "/document/source_lang".to_owned(), message);
    }
    if let (Some(lang), Some(source)) = (meta.lang.value(), meta.source_lang.value())
        && lang.eq_ignore_ascii_case(source)
    {
        let message =
            "The document is in the language that it says it is translated from; correct one of them.";
        tell(findings, Code::SameLanguage, || "/document/source_lang".to_owned(), message);
    }
}

/// 6.1.27.3, 6.1.27.4, 6.1.27.11 and 6.1.27.15
fn check_parts(profile: Profile, deleted: bool, [tree, vulnerabilities]: [bool; 2], findings: &mut Findings) {
    let at_tree = || "/product_tree".to_owned();
    let at_items = || "/vulnerabilities".to_owned();
    let retires = deleted || profile.retires().is_some();
    if (retires || profile == Profile::InformationalAdvisory) && vulnerabilities {
        let message = match retires {
            true => {
                "A document that takes back others has no vulnerabilities, and they were not read; leave them out."
            }
            false => {
                "Documents of this category have no vulnerabilities; leave them out or change the category."
            }
        };
        tell(findings, Code::UnexpectedVulnerabilities, at_items, message);
    }
    if retires && tree {
        let message = "A document that takes back others has no product tree; leave it out.";
        tell(findings, Code::UnexpectedProductTree, at_tree, message);
    }
    if deleted {
        return;
    }
    if profile.is_advisory() && !tree {
        let message = "Documents of this category have a product tree; add one.";
        tell(findings, Code::MissingProductTree, at_tree, message);
    }
    if profile.is_advisory() && !vulnerabilities {
        let message = "Documents of this category have vulnerabilities; add them.";
        tell(findings, Code::MissingVulnerabilities, at_items, message);
    }
}

/// 6.1.27.14 and 6.1.27.16 to 6.1.27.19
fn check_retirement(meta: &Meta<'_>, retirement: Retirement, findings: &mut Findings) {
    let at = |key: &'static str| move || format!("/document/{key}");
    let notes = || meta.notes.value().into_iter().flat_map(List::values);
    let is_description = |note: &Note<'_>| note.category.value().is_some_and(|c| c == "description");
    if !notes().any(|note| is_description(&note)) {
        let message = "A withdrawn or superseded document has a note of the category `description`; add one.";
        tell(findings, Code::MissingDescription, at("notes"), message);
    }
    let history = meta.tracking.value().and_then(|tracking| tracking.revision_history.value());
    if history.is_none_or(|history| history.clone().count() < 2) {
        let message = "A withdrawn or superseded document has at least two revisions; add those before.";
        tell(findings, Code::ShortHistory, at("tracking/revision_history"), message);
    }
    let english = meta
        .lang
        .value()
        .is_none_or(|lang| lang.split('-').next().is_some_and(|primary| primary.eq_ignore_ascii_case("en")));
    if !english {
        return;
    }
    let title = match retirement {
        Retirement::Superseded => "Reasoning for Supersession",
        Retirement::Deleted | Retirement::Withdrawn => "Reasoning for Withdrawal",
    };
    let titled: Vec<_> = notes().filter(|note| note.title.value().is_some_and(|t| t == title)).collect();
    if !matches!(titled[..], [ref note] if is_description(note)) {
        findings.add(Code::MissingReasoning, at("notes"), || {
            format!(
                "The document does not say why; give exactly one note the title `{title}` and the \
                 category `description`."
            )
        });
    }
    if retirement == Retirement::Superseded && !names_successor(meta) {
        let message = "The document does not say by which it is superseded; add an external reference whose summary \
                       begins with `Superseding Document`.";
        tell(findings, Code::MissingSuccessor, at("references"), message);
    }
}

fn names_successor(meta: &Meta<'_>) -> bool {
    let mut references = meta.references.value().into_iter().flat_map(List::values);
    references.any(|reference| {
        let external = reference.category.value().is_none_or(|category| category == "external");
        external && reference.summary.value().is_some_and(|text| text.starts_with("Superseding Document"))
    })
}
