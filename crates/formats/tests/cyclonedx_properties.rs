//! What holds for every CycloneDX document, or every value in the shape of one, in JSON and XML.

#![allow(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

mod spelling;

use std::fmt::Write as _;

use proptest::prelude::*;
use provex_formats::{Code, ParseLimits, Parsed, Rejection, parse};
use serde_json::{Value, json};
use spelling::respelled;

/// Documents with a serial number, but for one whose claims name nothing that only it names: without a serial number,
/// such names are named by the document's bytes, and another spelling of it is another document.
const DOCUMENTS: [&str; 6] = [
    "hand/cyclonedx-accept-range-statuses.json",
    "hand/cyclonedx-reject-bad-justification.json",
    "cyclonedx/examples_vex.json",
    "cyclonedx/guac_cyclonedx-vex-resolved-with-pedigree.json",
    "cyclonedx/lib4vex_acme_1.0_vex.json",
    "cyclonedx/secobserve_cyclonedx_vex_integrated.json",
];

fn read(file: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../testdata/vex/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Writes a value as XML: each member an element of its name, each element of a list one of the list's name less
/// its last letters, so that most documents have the shape of the schema and some do not.
fn xml(name: &str, value: &Value, out: &mut String) {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
    match value {
        Value::Object(object) => {
            let attributes = ["bom-ref", "serialNumber", "version", "alg", "tagId"];
            let is_attribute = |(key, value): &(&String, &Value)| {
                attributes.contains(&key.as_str())
                    && (value.is_string() || value.is_number())
                    && name != "version"
            };
            write!(out, "<{name}").unwrap();
            for (key, value) in object.iter().filter(is_attribute) {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                write!(out, " {key}='{}'", escape(&text).replace('\'', "&#39;")).unwrap();
            }
            out.push('>');
            for (key, value) in object.iter().filter(|member| !is_attribute(member)) {
                xml(key, value, out);
            }
            write!(out, "</{name}>").unwrap();
        }
        Value::Array(array) => {
            let list = if name == "response" { "responses" } else { name };
            let element = match name {
                "vulnerabilities" => "vulnerability",
                "affects" => "target",
                other => other.trim_end_matches('s'),
            };
            write!(out, "<{list}>").unwrap();
            array.iter().for_each(|value| xml(element, value, out));
            write!(out, "</{list}>").unwrap();
        }
        other => {
            let text = other.as_str().map_or_else(|| other.to_string(), str::to_owned);
            write!(out, "<{name}>{}</{name}>", escape(&text)).unwrap();
        }
    }
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => "\\PC{0,20}",
        3 => prop::sample::select(vec![
            "CVE-2026-0001",
            "app",
            "lib",
            "pkg:npm/a@1",
            "cpe:2.3:a:b:c:*:*:*:*:*:*:*:*",
            "cpe:/a",
            "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
            "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1",
            "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1#lib",
            "urn:cdx:x",
            "SHA-256",
            "abababababababababababababababababababababababababababababababab",
            "vers:npm/<1",
            "2026-03-01T10:00:00+02:00",
            "2026-03-01T10:00:00",
        ])
        .prop_map(str::to_owned),
    ]
}

/// Any JSON value, most of them small.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("ref|id|name|purl|state|x", inner, 0..4)
                .prop_map(|object| object.into_iter().collect()),
        ]
    })
}

/// An object with some of these members, each usually as it should be and sometimes anything.
fn object(members: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let members: Vec<_> = members
        .into_iter()
        .map(|(key, good)| {
            let value =
                prop_oneof![10 => good.prop_map(Some), 1 => any_value().prop_map(Some), 2 => Just(None)];
            value.prop_map(move |value| value.map(|value| (key.to_owned(), value)))
        })
        .collect();
    members.prop_map(|members| members.into_iter().flatten().collect()).boxed()
}

fn list(of: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let element = prop_oneof![10 => of, 1 => any_value()];
    prop::collection::vec(element, 0..4).prop_map(Value::from).boxed()
}

fn label(labels: &'static [&'static str]) -> BoxedStrategy<Value> {
    prop_oneof![8 => prop::sample::select(labels).prop_map(Value::from), 1 => any_text().prop_map(Value::from)].boxed()
}

fn text() -> BoxedStrategy<Value> {
    any_text().prop_map(Value::from).boxed()
}

fn component(nested: Option<BoxedStrategy<Value>>) -> BoxedStrategy<Value> {
    let hash = object(vec![("alg", text()), ("content", text())]);
    let mut members = vec![
        ("bom-ref", label(&["app", "lib"])),
        ("group", text()),
        ("name", text()),
        ("version", text()),
        ("purl", text()),
        ("cpe", text()),
        ("swid", object(vec![("tagId", text())])),
        ("hashes", list(hash)),
    ];
    members.extend(nested.map(|nested| ("components", list(nested))));
    object(members)
}

fn vulnerability() -> BoxedStrategy<Value> {
    let analysis = object(vec![
        ("state", label(&["exploitable", "resolved", "in_triage", "not_affected", "false_positive"])),
        ("justification", label(&["code_not_present", "protected_at_perimeter"])),
        ("response", list(label(&["update", "rollback", "can_not_fix"]))),
        ("detail", text()),
        ("firstIssued", text()),
        ("lastUpdated", text()),
    ]);
    let version = object(vec![
        ("version", text()),
        ("range", text()),
        ("status", label(&["affected", "unaffected", "unknown"])),
    ]);
    let target = object(vec![("ref", text()), ("versions", list(version))]);
    object(vec![
        ("bom-ref", text()),
        ("id", text()),
        ("references", list(object(vec![("id", text())]))),
        ("recommendation", text()),
        ("workaround", text()),
        ("updated", text()),
        ("rejected", text()),
        ("analysis", analysis),
        ("affects", list(target)),
    ])
}

fn cyclonedx() -> impl Strategy<Value = Value> {
    let party = || object(vec![("name", text())]);
    let metadata = object(vec![
        ("timestamp", text()),
        ("component", component(None)),
        ("supplier", party()),
        ("manufacturer", party()),
        ("authors", list(party())),
    ]);
    let service = object(vec![("bom-ref", text()), ("name", text())]);
    let document = object(vec![
        ("specVersion", label(&["1.4", "1.5", "1.6", "1.7"])),
        ("serialNumber", text()),
        ("version", any::<u8>().prop_map(Value::from).boxed()),
        ("metadata", metadata),
        ("components", list(component(Some(component(None))))),
        ("services", list(service)),
        ("vulnerabilities", list(vulnerability())),
    ]);
    document.prop_map(|mut document| {
        document.as_object_mut().unwrap().insert("bomFormat".to_owned(), json!("CycloneDX"));
        document
    })
}

fn codes(parsed: &Parsed) -> Vec<Code> {
    let mut codes: Vec<_> = parsed.findings.iter().map(|finding| finding.code).collect();
    codes.sort();
    codes
}

fn check(outcome: Result<Parsed, Rejection>, refusals: &[Code]) -> Result<Option<Parsed>, TestCaseError> {
    let parsed = match outcome {
        Ok(parsed) => parsed,
        Err(rejection) => {
            prop_assert!(refusals.contains(&rejection.code), "{:?}", rejection);
            prop_assert!(rejection.line.is_some(), "{:?}", rejection);
            return Ok(None);
        }
    };
    prop_assert!(!parsed.observations.is_empty());
    for parsed in &parsed.observations {
        let read = provex_core::vex::Observation::from_body(&parsed.body());
        prop_assert_eq!(&read.unwrap(), &parsed.observation);
        prop_assert_eq!(parsed.id, parsed.observation.id());
        prop_assert_eq!(parsed.claim_digest(), parsed.observation.claim_digest());
        prop_assert!(parsed.keys().is_sorted());
        prop_assert!(parsed.keys().iter().all(|key| key.key.len() <= provex_formats::MAX_KEY_BYTES));
    }
    prop_assert!(parsed.findings.iter().all(|finding| finding.line.is_some()));
    Ok(Some(parsed))
}

proptest! {
    #[test]
    fn the_spelling_of_a_document_does_not_change_its_claims(
        file in prop::sample::select(&DOCUMENTS[..]),
        choices in prop::collection::vec(any::<u8>(), 1..200),
    ) {
        let bytes = read(file);
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        let respelled = respelled(&choices, &value);
        let [first, second] =
            [&bytes[..], respelled.as_bytes()].map(|bytes| parse(bytes, &ParseLimits::default()).unwrap());
        prop_assert_eq!(codes(&first), codes(&second));
        prop_assert_eq!(first.observations.len(), second.observations.len());
        for (first, second) in first.observations.iter().zip(&second.observations) {
            prop_assert_eq!(first.claim_digest(), second.claim_digest());
            prop_assert_eq!(&first.keys(), &second.keys());
            prop_assert_eq!(&first.observation.locator, &second.observation.locator);
        }
    }

    #[test]
    fn members_of_any_type_are_read_or_reported(
        document in cyclonedx(),
        choices in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        let text = respelled(&choices, &document);
        let outcome = parse(text.as_bytes(), &ParseLimits::default());
        let parsed = check(outcome, &[Code::NoUsableStatement, Code::NulCharacter])?;
        for parsed in parsed.iter().flat_map(|parsed| &parsed.observations) {
            prop_assert!(document.pointer(&parsed.observation.locator.pointer).is_some());
        }
    }

    #[test]
    fn documents_in_xml_are_read_or_refused(document in cyclonedx()) {
        let mut text = String::new();
        xml("bom", &document, &mut text);
        let text = text.replacen("<bom", "<bom xmlns='http://cyclonedx.org/schema/bom/1.6'", 1);
        let refusals = [
            Code::NoUsableStatement,
            Code::NulCharacter,
            Code::ControlCharacter,
            // A list in a list makes an element stand twice, or text stand where elements should.
            Code::DuplicateKey,
            Code::BadXml,
        ];
        check(parse(text.as_bytes(), &ParseLimits::default()), &refusals)?;
    }

    #[test]
    fn a_byte_changed_in_xml_is_no_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = read("cyclonedx/spec_valid-vulnerability-1.6.xml");
        // Before the end of the root.
        let at = at.index(bytes.len() - 10);
        bytes[at] = byte;
        let _ = parse(&bytes, &ParseLimits::default());
        bytes.truncate(at);
        prop_assert!(parse(&bytes, &ParseLimits::default()).is_err());
    }

    #[test]
    fn any_markup_is_read_or_refused(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "<bom xmlns='http://cyclonedx.org/schema/bom/1.6'>", "</bom>", "<vulnerabilities>", "</vulnerabilities>",
                "<vulnerability>", "</vulnerability>", "<analysis>", "<state>", "</state>", "</analysis>", "<id>", "</id>",
                "resolved", "&amp;", "&#0;", "&", ";", "<", ">", "'", "\"", "<!--", "-->", "<![CDATA[", "]]>", "<?", "?>",
                "<!DOCTYPE", "[", "xmlns:a=''", "a:b", "/>", "\u{0}", " ", "\n",
            ]),
            0..20,
        ),
    ) {
        let text = format!("<{}", parts.concat());
        prop_assert!(parse(text.as_bytes(), &ParseLimits::default()).is_err());
    }
}
