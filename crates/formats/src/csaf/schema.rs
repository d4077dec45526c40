//! What the JSON schemas of CSAF ask for of the parts that stand apart from products: required members, closed lists
//! of terms, URIs. The product tree, which can be most of a document, is checked where it is read.
//!
//! Schemas: `oasis-tcs/csaf`, csaf_2.0/json_schema and csaf_2.1/json_schema. What has a code of its own, such as a
//! document without id, is not told again here, and members that the reader takes have their type checked there.

use provex_core::json::{Content, Node};

use super::{Edition, tell};
use crate::report::{Code, Findings, child, quoted};
use crate::stated::is_iri;

/// What a value is to be.
enum Kind {
    /// Anything: the reader looks at it.
    Read,
    /// A text that nobody else looks at.
    Text,
    /// One of these terms in 2.0, and in 2.1.
    Term([&'static [&'static str]; 2]),
    Uri,
    Cve,
    Object(&'static [Rule]),
    List(&'static Self),
    Extensions,
    /// A URI, object, list or extensions that the reader does not take, so that another type is told here.
    Unread(&'static Self),
}

/// Whether an object must have a member.
#[derive(PartialEq)]
enum Need {
    No,
    Yes,
    /// In 2.1.
    Newer,
}

struct Rule {
    key: &'static str,
    need: Need,
    kind: Kind,
}

const fn may(key: &'static str, kind: Kind) -> Rule {
    Rule { key, need: Need::No, kind }
}

const fn must(key: &'static str, kind: Kind) -> Rule {
    Rule { key, need: Need::Yes, kind }
}

const fn must_in_2_1(key: &'static str, kind: Kind) -> Rule {
    Rule { key, need: Need::Newer, kind }
}

/// A URI that nobody else looks at.
const URI: Kind = Kind::Unread(&Kind::Uri);

const fn both(terms: &'static [&'static str]) -> Kind {
    Kind::Term([terms, terms])
}

static ROOT: [Rule; 4] = [
    must_in_2_1("$schema", URI),
    must("document", Kind::Object(&DOCUMENT)),
    may("vulnerabilities", Kind::List(&Kind::Object(&VULNERABILITY))),
    may("x_extensions", EXTENSIONS),
];

const EXTENSIONS: Kind = Kind::Unread(&Kind::Extensions);

static DOCUMENT: [Rule; 12] = [
    may("acknowledgments", ACKNOWLEDGMENTS),
    may("aggregate_severity", Kind::Unread(&Kind::Object(&SEVERITY))),
    must("category", Kind::Read),
    must_in_2_1("distribution", Kind::Unread(&Kind::Object(&DISTRIBUTION))),
    may("lang", Kind::Text),
    may("notes", Kind::Unread(&Kind::List(&Kind::Unread(&Kind::Object(&NOTE))))),
    must("publisher", Kind::Object(&PUBLISHER)),
    may("references", REFERENCES),
    may("source_lang", Kind::Text),
    must("title", Kind::Text),
    must("tracking", Kind::Object(&TRACKING)),
    may("x_extensions", EXTENSIONS),
];

const ACKNOWLEDGMENTS: Kind = Kind::Unread(&Kind::List(&Kind::Unread(&Kind::Object(&ACKNOWLEDGMENT))));

static ACKNOWLEDGMENT: [Rule; 4] = [
    may("names", TEXTS),
    may("organization", Kind::Text),
    may("summary", Kind::Text),
    may("urls", Kind::Unread(&Kind::List(&URI))),
];

const TEXTS: Kind = Kind::Unread(&Kind::List(&Kind::Text));

static SEVERITY: [Rule; 2] = [may("namespace", URI), must("text", Kind::Text)];

static DISTRIBUTION: [Rule; 2] =
    [may("text", Kind::Text), must_in_2_1("tlp", Kind::Unread(&Kind::Object(&TLP)))];

static TLP: [Rule; 2] = [
    must(
        "label",
        Kind::Term([
            &["AMBER", "GREEN", "RED", "WHITE"],
            &["AMBER", "AMBER+STRICT", "CLEAR", "GREEN", "RED"],
        ]),
    ),
    may("url", URI),
];

static PUBLISHER: [Rule; 5] = [
    must(
        "category",
        Kind::Term([
            &["coordinator", "discoverer", "other", "translator", "user", "vendor"],
            &["coordinator", "discoverer", "multiplier", "other", "translator", "user", "vendor"],
        ]),
    ),
    may("contact_details", Kind::Text),
    may("issuing_authority", Kind::Text),
    must("name", Kind::Text),
    may("namespace", Kind::Uri),
];

static TRACKING: [Rule; 5] = [
    may("aliases", TEXTS),
    may("generator", Kind::Object(&GENERATOR)),
    must("initial_release_date", Kind::Read),
    must("revision_history", Kind::List(&Kind::Object(&REVISION))),
    must("status", both(&["draft", "final", "interim"])),
];

static GENERATOR: [Rule; 1] = [must("engine", Kind::Unread(&Kind::Object(&ENGINE)))];

static ENGINE: [Rule; 2] = [must("name", Kind::Text), may("version", Kind::Text)];

static REVISION: [Rule; 4] = [
    must("date", Kind::Read),
    may("legacy_version", Kind::Text),
    must("number", Kind::Read),
    must("summary", Kind::Text),
];

const NOTES: Kind =
    both(&["description", "details", "faq", "general", "legal_disclaimer", "other", "summary"]);

static NOTE: [Rule; 4] = [
    may("audience", Kind::Text),
    must("category", NOTES),
    must("text", Kind::Text),
    may("title", Kind::Text),
];

/// A note of a vulnerability, whose text the reader takes.
static NOTE_OF_PRODUCTS: [Rule; 4] = [
    may("audience", Kind::Text),
    must("category", NOTES),
    must("text", Kind::Read),
    may("title", Kind::Text),
];

const REFERENCES: Kind = Kind::Unread(&Kind::List(&Kind::Unread(&Kind::Object(&REFERENCE))));

static REFERENCE: [Rule; 3] =
    [may("category", both(&["external", "self"])), must("summary", Kind::Text), must("url", URI)];

static VULNERABILITY: [Rule; 14] = [
    may("acknowledgments", ACKNOWLEDGMENTS),
    may("cve", Kind::Cve),
    may("cwe", Kind::Unread(&Kind::Object(&CWE))),
    may("cwes", Kind::Unread(&Kind::List(&Kind::Unread(&Kind::Object(&CWE))))),
    may("ids", Kind::List(&Kind::Object(&ID))),
    may("involvements", Kind::List(&Kind::Object(&INVOLVEMENT))),
    may("metrics", Kind::List(&Kind::Object(&METRIC))),
    may("notes", Kind::List(&Kind::Object(&NOTE_OF_PRODUCTS))),
    may("references", REFERENCES),
    may("remediations", Kind::List(&Kind::Object(&REMEDIATION))),
    may("scores", Kind::List(&Kind::Object(&SCORE))),
    may("threats", Kind::List(&Kind::Object(&THREAT))),
    may("title", Kind::Text),
    may("x_extensions", EXTENSIONS),
];

static CWE: [Rule; 3] = [must("id", Kind::Text), must("name", Kind::Text), may("version", Kind::Text)];

static ID: [Rule; 2] = [must("system_name", Kind::Read), must("text", Kind::Read)];

static INVOLVEMENT: [Rule; 4] = [
    may("contact", Kind::Text),
    must("party", both(&["coordinator", "discoverer", "other", "user", "vendor"])),
    must(
        "status",
        both(&["completed", "contact_attempted", "disputed", "in_progress", "not_contacted", "open"]),
    ),
    may("summary", Kind::Text),
];

static METRIC: [Rule; 3] =
    [must("content", Kind::Read), must("products", Kind::Read), may("source", Kind::Uri)];

static SCORE: [Rule; 1] = [must("products", Kind::Read)];

/// An unknown category is told as `unknown_response`.
static REMEDIATION: [Rule; 4] = [
    must("details", Kind::Read),
    may("entitlements", TEXTS),
    may("restart_required", Kind::Unread(&Kind::Object(&RESTART))),
    may("url", Kind::Uri),
];

static RESTART: [Rule; 2] = [
    must(
        "category",
        both(&[
            "connected",
            "dependencies",
            "machine",
            "none",
            "parent",
            "service",
            "system",
            "vulnerable_component",
            "zone",
        ]),
    ),
    may("details", Kind::Text),
];

static THREAT: [Rule; 2] =
    [must("category", both(&["exploit_status", "impact", "target_set"])), must("details", Kind::Read)];

/// How a composition may be called.
pub(super) const COMPOSITIONS: [&[&str]; 2] = [
    &[
        "default_component_of",
        "external_component_of",
        "installed_on",
        "installed_with",
        "optional_component_of",
    ],
    &[
        "default_component_of",
        "external_component_of",
        "installed_on",
        "installed_with",
        "optional_component_of",
    ],
];

/// What a branch may be.
pub(super) const BRANCHES: [&[&str]; 2] = [
    &[
        "architecture",
        "host_name",
        "language",
        "legacy",
        "patch_level",
        "product_family",
        "product_name",
        "product_version",
        "product_version_range",
        "service_pack",
        "specification",
        "vendor",
    ],
    &[
        "architecture",
        "host_name",
        "language",
        "patch_level",
        "platform",
        "product_family",
        "product_name",
        "product_version",
        "product_version_range",
        "service_pack",
        "specification",
        "vendor",
    ],
];

/// Checks a document but for its product tree.
pub(super) fn check(root: Node<'_>, edition: Edition, findings: &mut Findings) {
    object(root, &ROOT, edition, &String::new, findings);
}

fn object(
    node: Node<'_>,
    rules: &'static [Rule],
    edition: Edition,
    at: &dyn Fn() -> String,
    findings: &mut Findings,
) {
    let Content::Object(members) = node.content() else { return };
    let mut found = 0_u32;
    for (key, value) in members {
        if let Some(n) = rules.iter().position(|rule| rule.key == key) {
            found |= u32::from(!is_empty(value)) << n;
            check_value(value, &rules[n].kind, edition, &|| child(&at(), &key), findings);
        }
    }
    for (n, rule) in rules.iter().enumerate() {
        let needed = rule.need == Need::Yes || rule.need == Need::Newer && edition == Edition::V21;
        if needed && found & 1 << n == 0 {
            missing(rule.key, at, findings);
        }
    }
}

/// Reports a member that its object must have.
pub(super) fn missing(key: &str, at: impl FnOnce() -> String, findings: &mut Findings) {
    findings.add(
        Code::MissingMember,
        || child(&at(), key),
        || format!("CSAF requires a `{key}` here, and it is not there or empty; add it."),
    );
}

/// Whether a value says nothing. Null is told as a value of another type.
fn is_empty(value: Node<'_>) -> bool {
    match value.content() {
        Content::String(text) => text.trim().is_empty(),
        Content::Array(mut elements) => elements.next().is_none(),
        Content::Object(mut members) => members.next().is_none(),
        _ => false,
    }
}

fn check_value(
    value: Node<'_>,
    kind: &'static Kind,
    edition: Edition,
    at: &dyn Fn() -> String,
    findings: &mut Findings,
) {
    match (kind, value.content()) {
        (Kind::Term(terms), Content::String(text)) => term(&text, terms, edition, at, findings),
        (Kind::Uri, Content::String(text)) => uri(&text, at, findings),
        (Kind::Cve, Content::String(text)) if !is_cve(&text) && !text.trim().is_empty() => {
            findings.add(Code::BadId, at, || {
                let text = quoted(&text);
                format!(
                    "{text} is no CVE id, and was taken for the vulnerability's name; write others in `ids`."
                )
            });
        }
        (Kind::Object(rules), Content::Object(_)) => object(value, rules, edition, at, findings),
        (Kind::List(of), Content::Array(elements)) => {
            for (n, element) in elements.enumerate() {
                check_value(element, of, edition, &|| format!("{}/{n}", at()), findings);
            }
        }
        (Kind::Extensions, Content::Array(elements)) => {
            for (n, element) in elements.enumerate() {
                extension(element, || format!("{}/{n}", at()), findings);
            }
        }
        (Kind::Text | Kind::Term(_), content) if !matches!(content, Content::String(_)) => {
            let message = "This member is no string and was not read; make it one.";
            tell(findings, Code::WrongType, at, message);
        }
        (Kind::Unread(kind), content) => match (kind, content) {
            (Kind::Object(_), Content::Object(_))
            | (Kind::List(_) | Kind::Extensions, Content::Array(_))
            | (Kind::Uri, Content::String(_)) => check_value(value, kind, edition, at, findings),
            _ => {
                let wanted = match kind {
                    Kind::Object(_) => "object",
                    Kind::List(_) | Kind::Extensions => "list",
                    _ => "string",
                };
                let message = format!("This member is no {wanted} and was not read; make it one.");
                tell(findings, Code::WrongType, at, &message);
            }
        },
        _ => {}
    }
}

/// Reports a text that is no URI; one that says nothing is told as missing.
pub(super) fn uri(text: &str, at: impl FnOnce() -> String, findings: &mut Findings) {
    if !is_iri(text) && !text.trim().is_empty() {
        let message = || format!("{} is no URI; write one with its scheme.", quoted(text));
        findings.add(Code::BadId, at, message);
    }
}

/// What a critical extension says may change what the document means.
fn extension(value: Node<'_>, at: impl FnOnce() -> String, findings: &mut Findings) {
    let Content::Object(mut members) = value.content() else { return };
    if members.any(|(key, value)| key == "critical" && matches!(value.content(), Content::Bool(true))) {
        let message =
            "The document calls this extension critical, and it was not read; say what matters without it.";
        tell(findings, Code::CriticalExtension, at, message);
    }
}

/// Reports a term that the version of CSAF does not have.
pub(super) fn term(
    text: &str,
    terms: &[&[&str]; 2],
    edition: Edition,
    at: impl FnOnce() -> String,
    findings: &mut Findings,
) {
    let [own, other] = match edition {
        Edition::V20 => [terms[0], terms[1]],
        Edition::V21 => [terms[1], terms[0]],
    };
    if own.contains(&text) || text.trim().is_empty() {
        return;
    }
    let list = own.join("`, `");
    if other.contains(&text) {
        let [is, has] = match edition {
            Edition::V20 => ["2.0", "2.1"],
            Edition::V21 => ["2.1", "2.0"],
        };
        let message = || format!("CSAF {has} has the term {}, and {is} has not; use `{list}`.", quoted(text));
        findings.add(Code::SpecVersionMismatch, at, message);
    } else {
        let message = || format!("CSAF has no term {} here; use `{list}`.", quoted(text));
        findings.add(Code::UnknownTerm, at, message);
    }
}

/// `CVE-`, a year and four digits or more; in lower case it is read, and is none of the schema's.
fn is_cve(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let number = text.strip_prefix("CVE-").and_then(|rest| rest.split_once('-'));
    number.is_some_and(|(year, n)| year.len() == 4 && digits(year) && n.len() >= 4 && digits(n))
}
