//! The examples of `docs/FINDINGS.md`: of each code a document that has the example in it, and is told so.
//!
//! What stands between backticks in an example stands in the document too, unless the example says that it is missing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails, fails its test")]

mod csaf_common;

use csaf_common::{retired, vex20, vex21, with, without};
use provex_core::digest::base64;
use provex_core::json::{self, Limits};
use provex_formats::{Code, ParseLimits, Rejection, parse};
use serde_json::{Value, json};

/// Code, outcome and example of each row.
fn rows(page: &str) -> Vec<[&str; 3]> {
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>());
    cells.map(|cells| [cells[0].trim_matches('`'), cells[1], cells[3]]).collect()
}

#[test]
fn the_example_of_each_code_is_told_by_it() {
    let page = format!("{}/../../docs/FINDINGS.md", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(page).unwrap();
    let rows = rows(&page);
    let mut failed = Vec::new();
    for code in Code::ALL {
        let row = rows.iter().find(|[label, ..]| *label == code.label());
        let [_, outcome, example] = row.unwrap_or_else(|| panic!("no row for {code:?}"));
        let examples = examples(*code);
        assert!(!examples.is_empty(), "{code:?} has no example");
        let all: String = examples.iter().map(|example| String::from_utf8_lossy(&example.bytes)).collect();
        for example in examples {
            let told = example.told();
            let is_told = match *outcome {
                "rejected" => told.rejected == Some(*code),
                _ => told.found.contains(code),
            };
            if !is_told {
                failed.push(format!("{} is not told: {told:?}", code.label()));
            }
        }
        let missing = shown(example).filter(|part| !squeezed(&all).contains(&squeezed(part)));
        failed.extend(missing.map(|part| format!("{}: no document has {part}", code.label())));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// What an example shows between backticks, but for what it says is taken out and a byte that is no text.
fn shown(example: &str) -> impl Iterator<Item = &str> {
    let mut before = "";
    let parts = example.split('`').enumerate().filter_map(move |(n, part)| {
        let says_missing = before.ends_with("without ") || before.ends_with("no ");
        before = part;
        (n % 2 == 1 && !says_missing).then_some(part)
    });
    parts.filter(|part| !["ü", "fc", "="].contains(part))
}

fn squeezed(text: &str) -> String {
    text.chars().filter(|c| *c != ' ').collect()
}

/// A document, and how it is read.
struct Example {
    bytes: Vec<u8>,
    limits: ParseLimits,
    /// Whether it is a file of provex's own, which is read more strictly.
    own: bool,
}

impl<T: Into<Vec<u8>>> From<T> for Example {
    fn from(bytes: T) -> Self {
        Self { bytes: bytes.into(), limits: ParseLimits::default(), own: false }
    }
}

#[derive(Debug)]
struct Told {
    rejected: Option<Code>,
    found: Vec<Code>,
}

impl Example {
    fn told(&self) -> Told {
        let codes =
            |findings: Vec<provex_formats::Finding>| findings.into_iter().map(|found| found.code).collect();
        if self.own {
            let refused = json::check(&self.bytes, &Limits::own()).err().map(Rejection::from);
            return Told { rejected: refused.map(|rejection| rejection.code), found: Vec::new() };
        }
        match parse(&self.bytes, &self.limits) {
            Ok(parsed) => Told { rejected: None, found: codes(parsed.findings) },
            Err(rejection) => Told { rejected: Some(rejection.code), found: codes(rejection.findings) },
        }
    }
}

fn one(bytes: impl Into<Vec<u8>>) -> Vec<Example> {
    vec![bytes.into().into()]
}

/// An OpenVEX document with these statements.
fn openvex(statements: &str) -> String {
    format!(
        r#"{{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://acme.example/1", "author": "ACME",
        "timestamp": "2026-03-01T10:00:00Z", "version": 1, "statements": [{statements}]}}"#
    )
}

/// One with one statement on `pkg:npm/a@1`, and these members in it.
fn states(members: &str) -> String {
    about(r#"{"@id": "pkg:npm/a@1"}"#, members)
}

fn about(products: &str, members: &str) -> String {
    openvex(&format!(
        r#"{{"vulnerability": {{"name": "CVE-2026-0001"}}, "products": [{products}], {members}}}"#
    ))
}

const FIXED: &str = r#""status": "fixed""#;

/// One with something else in the place of what it has.
fn openvex_with(old: &str, new: &str) -> Vec<Example> {
    let document = states(FIXED);
    assert!(document.contains(old), "{old}");
    one(document.replace(old, new))
}

/// A Statement about `subjects` with this predicate.
fn statement(subjects: &str, predicate: &str) -> String {
    format!(
        r#"{{"_type": "https://in-toto.io/Statement/v1", "subject": [{subjects}],
        "predicateType": "https://openvex.dev/ns/v0.2.0", "predicate": {predicate}}}"#
    )
}

fn app() -> String {
    format!(r#"{{"name": "app", "digest": {{"sha256": "{}"}}}}"#, "ab".repeat(32))
}

fn envelope(payload: &str, signatures: &str) -> String {
    format!(
        r#"{{"payloadType": "application/vnd.in-toto+json", "payload": "{payload}", "signatures": [{signatures}]}}"#
    )
}

const SIGNATURE: &str = r#"{"sig": "c2ln"}"#;

/// A CycloneDX document with a component `lib` and one vulnerability that has these members.
fn cyclonedx(members: &str) -> String {
    format!(
        r#"{{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
        "metadata": {{"timestamp": "2026-03-01T00:00:00Z", "supplier": {{"name": "ACME"}},
            "component": {{"type": "application", "name": "app", "purl": "pkg:npm/app@2", "bom-ref": "app"}}}},
        "components": [{{"type": "library", "name": "lib", "purl": "pkg:npm/lib@1", "bom-ref": "lib"}}],
        "vulnerabilities": [{{"id": "CVE-2026-0001", {members}}}]}}"#
    )
}

/// One whose vulnerability is resolved in these targets.
fn affects(targets: &str) -> Vec<Example> {
    one(cyclonedx(&format!(r#""analysis": {{"state": "resolved"}}, "affects": [{targets}]"#)))
}

/// An SPDX document with a package `urn:a`, a vulnerability `urn:v` with these identifiers, and these elements.
fn spdx_of(identifiers: &[(&str, &str)], elements: &str) -> String {
    let identifier = |(kind, name): &(&str, &str)| {
        format!(
            r#"{{"type": "ExternalIdentifier", "externalIdentifierType": "{kind}", "identifier": "{name}"}}"#
        )
    };
    let identifiers: Vec<_> = identifiers.iter().map(identifier).collect();
    format!(
        r#"{{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": [
        {{"type": "CreationInfo", "@id": "_:c", "specVersion": "3.0.1", "created": "2026-03-01T10:00:00Z",
          "createdBy": ["urn:acme"]}},
        {{"type": "SpdxDocument", "spdxId": "urn:doc", "creationInfo": "_:c"}},
        {{"type": "security_Vulnerability", "spdxId": "urn:v", "creationInfo": "_:c", "externalIdentifier": [{}]}},
        {{"type": "software_Package", "spdxId": "urn:a", "creationInfo": "_:c", "name": "a",
          "software_packageUrl": "pkg:npm/a@1"}}, {elements}]}}"#,
        identifiers.join(", ")
    )
}

const SPDX_FIXED: &str = r#"{"type": "security_VexFixedVulnAssessmentRelationship", "spdxId": "urn:r", "creationInfo": "_:c",
            "from": "urn:v", "relationshipType": "fixedIn", "to": ["urn:a"]}"#;

/// One that says that `urn:a` is fixed, with something else in the place of what it has.
fn spdx_with(old: &str, new: &str) -> Vec<Example> {
    let document = spdx_of(&[("cve", "CVE-2026-0001")], SPDX_FIXED);
    assert!(document.contains(old), "{old}");
    one(document.replace(old, new))
}

/// A CSAF document: the products `APP` and `OS:LIB` of the others are `P1` and `P2` here.
fn csaf_of(document: &Value) -> Vec<Example> {
    one(document.to_string().replace("\"APP\"", "\"P1\"").replace("\"OS:LIB\"", "\"P2\""))
}

fn csaf(pointer: &str, value: Value) -> Vec<Example> {
    csaf_of(&with(vex20(), pointer, value))
}

fn csaf_without(pointer: &str) -> Vec<Example> {
    csaf_of(&without(vex20(), pointer))
}

const V: &str = "/vulnerabilities/0";
const CATEGORY: &str = "/document/category";

/// One with these versions in its history, this version and this status.
fn released(history: &[&str], version: &str, status: &str) -> Vec<Example> {
    let revision = |(n, number): (usize, &&str)| json!({"date": format!("2026-01-{:02}T00:00:00Z", n + 1), "number": number, "summary": "x"});
    let history: Vec<_> = history.iter().enumerate().map(revision).collect();
    let document = with(vex20(), "/document/tracking/revision_history", json!(history));
    let document = with(document, "/document/tracking/version", json!(version));
    csaf_of(&with(document, "/document/tracking/status", json!(status)))
}

fn purls(purls: Value) -> Vec<Example> {
    let helper = "/product_tree/branches/0/branches/1/branches/0/product/product_identification_helper";
    csaf_of(&with(vex21(), helper, json!({"purls": purls})))
}

/// What is to be told of each code; a code that is not here does not compile.
fn examples(code: Code) -> Vec<Example> {
    match code {
        Code::TooLarge => one(vec![b' '; (150 << 20) + 1]),
        Code::NotUtf8 => one(&b"{\"name\": \"\xfc\"}"[..]),
        Code::ByteOrderMark => {
            one(envelope(&base64(format!("\u{feff}{}", statement(&app(), "{}")).as_bytes()), SIGNATURE))
        }
        Code::Empty => one(""),
        Code::UnexpectedByte => one(r#"{"a" 1}"#),
        Code::Unterminated => one(r#"{"a": "b"#),
        Code::BadEscape => one(r#"["\x41"]"#),
        Code::ControlCharacter => one("[\"a\nb\"]"),
        Code::BadLiteral => one("[nil]"),
        Code::BadNumber => one("[01]"),
        Code::TrailingData => one("{} {}"),
        Code::TooDeep => one("[".repeat(1_000)),
        Code::TooManyObjects => one(format!("[{}{{}}]", "{},".repeat(3_000_000 - 1))),
        Code::DuplicateKey => one(r#"{"status": "fixed", "status": "affected"}"#),
        Code::NumberOutOfRange => one("[1e999]"),
        Code::NumberNotInteger => vec![Example { own: true, ..r#"{"logIndex": 1.5}"#.into() }],
        Code::LoneSurrogate => one(r#"["\ud800"]"#),
        Code::NulCharacter => one(r#"["\u0000"]"#),

        Code::UnknownFormat => one(r#"{"name": "app", "version": "1.0.0", "dependencies": {}}"#),
        Code::UnsupportedFormat => one(r#"{"spdxVersion": "SPDX-2.3", "packages": []}"#),
        Code::AmbiguousFormat => openvex_with(r#""author""#, r#""bomFormat": "CycloneDX", "author""#),
        Code::BadXml => one(r#"<bom xmlns="http://cyclonedx.org/schema/bom/1.6"><vulnerabilities></bom>"#),
        Code::XmlDoctype => one(r#"<!DOCTYPE bom [...]><bom xmlns="http://cyclonedx.org/schema/bom/1.6"/>"#),
        Code::XmlEntity => one(r#"<bom xmlns="http://cyclonedx.org/schema/bom/1.6"><x>&auml;</x></bom>"#),
        Code::BadBase64 => one(envelope("{}", SIGNATURE)),
        Code::PredicateMismatch => one(statement(&app(), &cyclonedx(r#""analysis": {"state": "resolved"}"#))),
        Code::NoUsableStatement => one(openvex("")),
        Code::TooManyClaims => {
            let products: Vec<_> = (0..1_000).map(|n| format!(r#"{{"@id": "pkg:npm/a@{n}"}}"#)).collect();
            let notes = format!(r#"{FIXED}, "status_notes": "{}""#, "x".repeat(2_000));
            let limits = ParseLimits { max_body_bytes: 1 << 20, ..ParseLimits::default() };
            vec![Example { limits, ..about(&products.join(", "), &notes).into() }]
        }

        Code::BadStatement => one(openvex(r#""fixed""#)),
        Code::MissingVulnerability => openvex_with(r#"{"name": "CVE-2026-0001"}"#, "{}"),
        Code::MissingProduct => one(about("{}", FIXED)),
        Code::NestedSubcomponents => {
            let part = r#"{"@id": "pkg:npm/b", "subcomponents": [{"@id": "pkg:npm/c"}]}"#;
            one(about(&format!(r#"{{"@id": "pkg:npm/a", "subcomponents": [{part}]}}"#), FIXED))
        }
        Code::MissingStatus => {
            let mut both = one(states(r#""supplier": "ACME""#));
            both.extend(one(cyclonedx(r#""analysis": {"state": null}"#)));
            both
        }
        Code::UnknownStatus => one(states(r#""status": "wontfix""#)),
        Code::KeyTooLong => {
            one(about(&format!(r#"{{"@id": "pkg:npm/a@1?download_url={}"}}"#, "x".repeat(1_100)), FIXED))
        }
        Code::BadVersionEntry => affects(r#"{"ref": "lib", "versions": [{"status": "affected"}]}"#),
        Code::WithdrawnStatement => {
            spdx_with(r#""to""#, r#""security_withdrawnTime": "2026-03-02T10:00:00Z", "to""#)
        }
        Code::NotASubject => one(statement(&app(), &about(r#"{"@id": "pkg:npm/lib@1"}"#, FIXED))),

        Code::MissingId => openvex_with(r#""@id": "https://acme.example/1","#, ""),
        Code::BadId => one(cyclonedx(r#""analysis": {"state": "resolved"}"#).replace("3e671687", "3E671687")),
        Code::MissingIssuer => openvex_with(r#""author": "ACME","#, ""),
        Code::MissingVersion => openvex_with(r#""version": 1,"#, ""),
        Code::BadVersion => {
            let mut both = openvex_with(r#""version": 1"#, r#""version": "one""#);
            both.extend(one(states(&format!(r#"{FIXED}, "version": 0"#))));
            both
        }
        Code::MissingTimestamp => openvex_with(r#""timestamp": "2026-03-01T10:00:00Z","#, ""),
        Code::BadTimestamp => openvex_with("2026-03-01T10:00:00Z", "yesterday"),
        Code::AssumedUtc => openvex_with("2026-03-01T10:00:00Z", "2026-03-02T09:30:00"),
        Code::SpecVersionMismatch => openvex_with("v0.2.0", "v0.0.1"),
        Code::UnknownSpecVersion => openvex_with("v0.2.0", "v9"),
        Code::MissingMember => {
            let mut both = csaf_without("/document/title");
            both.extend(spdx_with(r#""spdxId": "urn:r","#, ""));
            both
        }
        Code::UnknownTerm => {
            let mut both = csaf("/document/tracking/status", json!("published"));
            both.extend(one(
                r#"<bom xmlns="http://cyclonedx.org/schema/bom/1.6"><vulnerabilities><vulnerability><id>CVE-2026-0001</id>
                <analysis><state> resolved </state></analysis></vulnerability></vulnerabilities></bom>"#,
            ));
            both
        }
        Code::RepeatedElement => {
            let mut both = csaf(&format!("{V}/product_status"), json!({"fixed": ["P1", "P1"]}));
            both.extend(affects(r#"{"ref": "lib"}, {"ref": "lib"}"#));
            both
        }
        Code::CriticalExtension => csaf_of(&with(vex21(), "/x_extensions", json!([{"critical": true}]))),
        Code::MixedSpecVersions => one(about(r#""pkg:npm/a@1""#, FIXED)),
        Code::UnknownMember => one(states(&format!(r#"{FIXED}, "severity": "low""#))),
        Code::WrongType => one(states(
            r#""status": "not_affected", "justification": "component_not_present", "impact_statement": 3"#,
        )),
        Code::BadPurl => one(about(r#"{"@id": "pkg:npm/"}"#, FIXED)),
        Code::BadCpe => one(about(r#"{"identifiers": {"cpe23": "cpe:2.3:a:x"}}"#, FIXED)),
        Code::BadHash => one(about(r#"{"@id": "pkg:npm/a@1", "hashes": {"sha-256": "abc"}}"#, FIXED)),
        Code::AmbiguousProduct => {
            one(about(r#"{"@id": "pkg:npm/a@1", "identifiers": {"purl": "pkg:npm/a@2"}}"#, FIXED))
        }
        Code::DanglingRef => {
            let mut both = affects(r#"{"ref": "gone"}"#);
            let members = r#""dependencies": [{"ref": "lib", "dependsOn": ["gone"]}], "vulnerabilities""#;
            let document = cyclonedx(r#""analysis": {"state": "resolved"}"#);
            both.extend(one(document.replace(r#""vulnerabilities""#, members)));
            both
        }
        Code::DuplicateRef => {
            let mut both = one(cyclonedx(r#""bom-ref": "lib", "analysis": {"state": "resolved"}"#));
            both.extend(one(spdx_of(&[("cve", "CVE-2026-0001")], &[SPDX_FIXED; 2].join(", "))));
            both
        }
        Code::BadVersionRange => affects(r#"{"ref": "lib", "versions": [{"range": ">=1"}]}"#),
        Code::RejectedVulnerability => {
            one(cyclonedx(r#""analysis": {"state": "resolved"}, "rejected": "2026-03-01T00:00:00Z""#))
        }
        Code::Unjustified => one(states(r#""status": "not_affected""#)),
        Code::UnknownJustification => {
            one(states(r#""status": "not_affected", "impact_statement": "x", "justification": "not_used""#))
        }
        Code::MisplacedJustification => {
            one(states(r#""status": "fixed", "justification": "component_not_present""#))
        }
        Code::MissingAction => one(states(r#""status": "affected""#)),
        Code::UnknownResponse => one(cyclonedx(r#""analysis": {"state": "resolved", "response": ["pray"]}"#)),
        Code::IntraDocumentConflict => {
            let of = |members: &str| {
                format!(
                    r#"{{"vulnerability": {{"name": "CVE-2026-0001"}}, "products": [{{"@id": "pkg:npm/a@1"}}], {members}}}"#
                )
            };
            let affected = of(r#""status": "affected", "action_statement": "x""#);
            one(openvex(&format!("{}, {affected}", of(FIXED))))
        }
        Code::UndefinedProduct => csaf(&format!("{V}/product_status"), json!({"fixed": ["P9"]})),
        Code::CircularProduct => {
            let on = |product: &str, host: &str| {
                json!({"category": "installed_on", "product_reference": "LIB", "relates_to_product_reference": host,
                    "full_product_name": {"product_id": product, "name": "x"}})
            };
            csaf("/product_tree/relationships", json!([on("P1", "P2"), on("P2", "P1")]))
        }
        Code::UndefinedGroup => csaf(&format!("{V}/flags/0/group_ids"), json!(["G9"])),
        Code::RepeatedGroup => {
            let group = json!({"group_id": "G1", "product_ids": ["P1", "P2"]});
            csaf("/product_tree/product_groups", json!([group, group]))
        }
        Code::UnsortedRevisions => released(&["2", "1"], "2", "final"),
        Code::MissingSourceLanguage => csaf("/document/publisher/category", json!("translator")),
        Code::VersionNotLatest => released(&["1", "2"], "1", "final"),
        Code::NotMarkedDraft => released(&["0.9.0"], "0.9.0", "final"),
        Code::UnreleasedRevision => released(&["0.9.0", "1.0.0"], "1.0.0", "final"),
        Code::PrereleaseRevision => released(&["1.0.0-rc.1", "1.0.0"], "1.0.0", "final"),
        Code::PrereleaseVersion => released(&["1.0.0"], "1.0.0-rc.1", "final"),
        Code::MissingRevision => released(&["1", "3"], "3", "final"),
        Code::RepeatedRevision => released(&["1", "1"], "1", "final"),
        Code::RepeatedVulnerability => {
            let item = vex20().pointer(V).unwrap().clone();
            csaf("/vulnerabilities", json!([item, item]))
        }
        Code::ReservedCategory => csaf(CATEGORY, json!("Csaf-VEX")),
        Code::UnexpectedVulnerabilities | Code::MissingReference => {
            csaf(CATEGORY, json!("csaf_informational_advisory"))
        }
        Code::SameLanguage => {
            csaf_of(&with(with(vex20(), "/document/lang", json!("en")), "/document/source_lang", json!("en")))
        }
        Code::MissingProductTree => csaf_without("/product_tree"),
        Code::MissingNotes => csaf_without(&format!("{V}/notes")),
        Code::MissingProductStatus => csaf_without(&format!("{V}/product_status")),
        Code::MissingVulnerabilities => csaf_without("/vulnerabilities"),
        Code::MissingDescription => csaf_of(&without(retired("csaf_withdrawn"), "/document/notes")),
        Code::UnexpectedProductTree => {
            let tree = vex21().pointer("/product_tree").unwrap().clone();
            csaf_of(&with(retired("csaf_withdrawn"), "/product_tree", tree))
        }
        Code::ShortHistory => {
            let history = json!([{"date": "2026-01-01T00:00:00Z", "number": "2", "summary": "x"}]);
            csaf_of(&with(retired("csaf_withdrawn"), "/document/tracking/revision_history", history))
        }
        Code::MissingReasoning => {
            csaf_of(&with(retired("csaf_withdrawn"), "/document/notes/0/title", json!("Why")))
        }
        Code::MissingSuccessor => csaf_of(&without(retired("csaf_superseded"), "/document/references")),
        Code::UnboundRemediation => csaf_without(&format!("{V}/remediations/0/product_ids")),
        Code::MixedVersioning => released(&["1", "1.0.0"], "1.0.0", "final"),
        Code::UnboundFlag => csaf_without(&format!("{V}/flags/0/product_ids")),
        Code::RepeatedJustification => {
            let flag = |label: &str| json!({"label": label, "product_ids": ["P1"]});
            let flags = json!([flag("component_not_present"), flag("vulnerable_code_not_present")]);
            let document =
                with(vex20(), &format!("{V}/product_status"), json!({"known_not_affected": ["P1"]}));
            csaf_of(&with(document, &format!("{V}/flags"), flags))
        }
        Code::BranchesTooDeep => {
            let product = json!({"product_id": "X", "name": "x"});
            let last = json!({"category": "product_name", "name": "x", "product": product});
            let around = |below, _| json!({"category": "product_family", "name": "x", "branches": [below]});
            csaf_of(&with(vex21(), "/product_tree/branches/-", (1..31).fold(last, around)))
        }
        Code::ContradictingRemediations => {
            let remedy =
                |category: &str| json!({"category": category, "details": "x", "product_ids": ["P1"]});
            let remedies = json!([remedy("vendor_fix"), remedy("no_fix_planned")]);
            csaf_of(&with(vex21(), &format!("{V}/remediations"), remedies))
        }
        Code::MisplacedRemediation => {
            csaf_of(&with(vex21(), &format!("{V}/remediations/0/product_ids"), json!(["P1", "P2"])))
        }
        Code::TimeForm => spdx_with("10:00:00Z", "10:00:00.5Z"),
        Code::PurlsDiffer => purls(json!(["pkg:npm/a@1", "pkg:npm/b@1"])),
        Code::ContradictoryStatus => spdx_with("fixedIn", "affects"),
        Code::UnclearScope => {
            let mut both = one(cyclonedx(r#""analysis": {"state": "resolved"}, "affect": [{"ref": "lib"}]"#));
            let part = r#""subcomponent": [{"@id": "pkg:npm/b"}]"#;
            both.extend(one(about(&format!(r#"{{"@id": "pkg:npm/a@1", {part}}}"#), FIXED)));
            both
        }
        Code::UnknownIdentifier => {
            spdx_with(r#""externalIdentifierType": "cve""#, r#""externalIdentifierType": "CVE""#)
        }
        Code::ForeignContext => {
            let context = r#""https://spdx.org/rdf/3.0.1/spdx-context.jsonld""#;
            spdx_with(context, &format!(r#"[{context}, "https://acme.example/context.jsonld"]"#))
        }
        Code::BadRelationshipType => spdx_with("fixedIn", "other"),
        Code::UnprefixedName => spdx_with("security_VexFixed", "VexFixed"),
        Code::AmbiguousVulnerability => {
            let identifier = r#"{"type": "ExternalIdentifier", "externalIdentifierType": "cve", "identifier": "CVE-2026-000"#;
            spdx_with(&format!("[{identifier}1"), &format!(r#"[{identifier}2"}}, {identifier}1"#))
        }
        Code::MissingSignature => one(envelope(&base64(statement(&app(), &states(FIXED)).as_bytes()), "")),
        Code::LooseBase64 => {
            let payload = statement(&app(), &states(FIXED));
            let padded = (0..3).map(|n| base64(format!("{payload}{}", " ".repeat(n)).as_bytes()));
            let padded = padded.filter(|payload| payload.ends_with('='));
            padded.flat_map(|payload| one(envelope(payload.trim_end_matches('='), SIGNATURE))).collect()
        }
        Code::BadSubject => one(statement(r#"{"name": "app"}"#, &states(FIXED))),
        Code::FindingsOmitted => {
            let bare = r#"{"vulnerability": {"name": "A"}, "products": [{"@id": "pkg:npm/a"}], "status": "not_affected"}"#;
            one(openvex(&vec![bare; 6_000].join(", ")))
        }
    }
}
