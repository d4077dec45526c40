//! What holds for every OpenVEX document, or every value in the shape of one.

#![allow(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use std::fmt::Write as _;

use proptest::prelude::*;
use provex_formats::{Code, ParseLimits, Parsed, parse};
use serde_json::{Map, Value, json};

const DOCUMENTS: [&str; 7] = [
    "hand/openvex-accept-history-and-offsets.json",
    "hand/openvex-accept-identifiers-only.json",
    "openvex/go-vex_v0.0.1.json",
    "openvex/lib4vex_acme_1.0_vex.json",
    "openvex/rancher_registry.suse.com_rancher_supportability-review.openvex.json",
    "openvex/secobserve_openvex_product_no_branch_update.json",
    "openvex/vexctl_sample-2vulns.openvex.json",
];

fn read(file: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../testdata/vex/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Writes a value in one of its many spellings: which one, `choices` say, over and over.
struct Respelled<'a> {
    choices: std::iter::Cycle<std::slice::Iter<'a, u8>>,
    out: String,
}

impl Respelled<'_> {
    fn write(choices: &[u8], value: &Value) -> String {
        let mut spelled = Respelled { choices: choices.iter().cycle(), out: String::new() };
        spelled.value(value);
        spelled.out
    }

    fn choice(&mut self, of: usize) -> usize {
        usize::from(*self.choices.next().unwrap()) % of
    }

    fn space(&mut self) {
        let spaces = ["", "", " ", "\n", "\r\n", "\t "];
        let choice = self.choice(spaces.len());
        self.out.push_str(spaces[choice]);
    }

    fn value(&mut self, value: &Value) {
        self.space();
        match value {
            Value::String(text) => self.string(text),
            Value::Array(array) => {
                self.out.push('[');
                for (n, element) in array.iter().enumerate() {
                    self.out.push_str(if n > 0 { "," } else { "" });
                    self.value(element);
                }
                self.out.push(']');
            }
            Value::Object(object) => self.object(object),
            other => self.out.push_str(&other.to_string()),
        }
        self.space();
    }

    fn object(&mut self, object: &Map<String, Value>) {
        let mut members: Vec<_> = object.iter().collect();
        self.out.push('{');
        while !members.is_empty() {
            let choice = self.choice(members.len());
            let (key, value) = members.swap_remove(choice);
            self.space();
            self.string(key);
            self.space();
            self.out.push(':');
            self.value(value);
            self.out.push_str(if members.is_empty() { "" } else { "," });
        }
        self.out.push('}');
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for character in text.chars() {
            if self.choice(8) == 0 || character < ' ' || "\"\\".contains(character) {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(self.out, "\\u{unit:04X}").unwrap();
                }
            } else {
                self.out.push(character);
            }
        }
        self.out.push('"');
    }
}

fn codes(parsed: &Parsed) -> Vec<Code> {
    let mut codes: Vec<_> = parsed.findings.iter().map(|finding| finding.code).collect();
    codes.sort();
    codes
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
            prop::collection::btree_map("\\PC{0,6}|@id|name|purl", inner, 0..4)
                .prop_map(|object| object.into_iter().collect()),
        ]
    })
}

/// Texts that mean something in OpenVEX, and others.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,20}",
        prop::sample::select(vec![
            "https://openvex.dev/ns/v0.2.0",
            "https://openvex.dev/ns",
            "CVE-2026-0001",
            "pkg:npm/a@1",
            "pkg:oci/a@sha256:abababababababababababababababababababababababababababababababab",
            "cpe:2.3:a:b:c:*:*:*:*:*:*:*:*",
            "cpe:/a",
            "not_affected",
            "affected",
            "fixed",
            "component_not_present",
            "2026-03-01T10:00:00+02:00",
            "2026-03-01T10:00:00",
        ])
        .prop_map(str::to_owned),
    ]
}

/// An object with some of these members, each usually as it should be and sometimes anything.
fn object(members: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let members: Vec<_> = members
        .into_iter()
        .map(|(key, good)| {
            let value =
                prop_oneof![8 => good.prop_map(Some), 1 => any_value().prop_map(Some), 2 => Just(None)];
            value.prop_map(move |value| value.map(|value| (key.to_owned(), value)))
        })
        .collect();
    members.prop_map(|members| members.into_iter().flatten().collect()).boxed()
}

fn list(of: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let element = prop_oneof![8 => of, 1 => any_value()];
    prop::collection::vec(element, 0..4).prop_map(Value::from).boxed()
}

fn component(subcomponents: Option<BoxedStrategy<Value>>) -> BoxedStrategy<Value> {
    let text = || any_text().prop_map(Value::from).boxed();
    let identifiers = object(vec![("purl", text()), ("cpe22", text()), ("@cpe23", text()), ("x", text())]);
    let hashes = object(vec![("sha-256", text()), ("SHA256", text()), ("md5", text())]);
    let mut members = vec![("@id", text()), ("identifiers", identifiers), ("hashes", hashes)];
    members.extend(subcomponents.map(|subcomponents| ("subcomponents", list(subcomponents))));
    prop_oneof![2 => object(members), 1 => text()].boxed()
}

fn openvex() -> impl Strategy<Value = Value> {
    let text = || any_text().prop_map(Value::from).boxed();
    let vulnerability = object(vec![("name", text()), ("@id", text()), ("aliases", list(text()))]);
    let statement = object(vec![
        ("vulnerability", prop_oneof![3 => vulnerability, 1 => text()].boxed()),
        ("products", list(component(Some(component(None))))),
        ("subcomponents", list(component(None))),
        ("status", text()),
        ("justification", text()),
        ("impact_statement", text()),
        ("action_statement", text()),
        ("status_notes", text()),
        ("timestamp", text()),
        ("last_updated", text()),
        ("unknown", text()),
    ]);
    let document = object(vec![
        ("@id", text()),
        ("author", text()),
        ("timestamp", text()),
        ("version", any::<u8>().prop_map(Value::from).boxed()),
        ("statements", list(statement)),
    ]);
    document.prop_map(|mut document| {
        document
            .as_object_mut()
            .unwrap()
            .insert("@context".to_owned(), json!("https://openvex.dev/ns/v0.2.0"));
        document
    })
}

proptest! {
    #[test]
    fn the_spelling_of_a_document_does_not_change_its_claims(
        file in prop::sample::select(&DOCUMENTS[..]),
        choices in prop::collection::vec(any::<u8>(), 1..200),
    ) {
        let bytes = read(file);
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        let respelled = Respelled::write(&choices, &value);
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
    fn members_of_any_type_are_read_or_reported(document in openvex(), choices in prop::collection::vec(any::<u8>(), 1..20)) {
        let text = Respelled::write(&choices, &document);
        match parse(text.as_bytes(), &ParseLimits::default()) {
            Ok(parsed) => {
                prop_assert!(!parsed.observations.is_empty());
                for parsed in &parsed.observations {
                    let read = provex_core::vex::Observation::from_body(&parsed.body());
                    prop_assert_eq!(&read.unwrap(), &parsed.observation);
                    prop_assert_eq!(parsed.id, parsed.observation.id());
                    prop_assert_eq!(parsed.claim_digest(), parsed.observation.claim_digest());
                    prop_assert!(document.pointer(&parsed.observation.locator.pointer).is_some());
                    prop_assert!(parsed.keys().is_sorted());
                    prop_assert!(parsed.keys().iter().all(|key| key.key.len() <= provex_formats::MAX_KEY_BYTES));
                }
                prop_assert!(parsed.findings.iter().all(|finding| finding.line.is_some()));
            }
            Err(rejection) => {
                // U+0000 may stand in no document, and nothing else here is refused as JSON.
                prop_assert!(matches!(rejection.code, Code::NoUsableStatement | Code::NulCharacter), "{}", rejection);
                prop_assert!(rejection.line.is_some());
            }
        }
    }

    #[test]
    fn any_json_is_read_or_refused(value in any_value()) {
        prop_assert!(parse(value.to_string().as_bytes(), &ParseLimits::default()).is_err());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse(&bytes, &ParseLimits::default()).is_err());
    }
}
