//! Bytes that JSON readers understand differently, or not at all, are refused in every format before a claim is read,
//! also where they stand in members that no reader looks at. XML has its own tests.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::path::Path;

use provex_formats::{ParseLimits, ParsedObservation, parse, parse_each};
use serde_json::Value;

/// A published document of each form.
const DOCUMENTS: [&str; 6] = [
    "openvex/trivy_trivy.openvex.json",
    "csaf20/secobserve_so_csaf_2020_0001_0001.json",
    "csaf21/csd01_rhsa-2021_5186.json",
    "cyclonedx/spec_valid-vulnerability-1.6.json",
    "intoto/alpine-cves.openvex.dsse.json",
    "spdx3/tools-java_double.jsonld",
];

fn document(file: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/vex").join(file)).unwrap()
}

/// The code of the refusal, before which no claim was lent out.
fn refusal(bytes: &[u8]) -> Option<&'static str> {
    let refused = parse_each(bytes, &ParseLimits::default(), |claim| panic!("{claim:?}")).err()?;
    Some(refused.code.label())
}

/// The document with one more member, which its format does not have.
fn with_member(document: &[u8], value: &[u8]) -> Vec<u8> {
    let start = document.iter().position(|byte| *byte == b'{').unwrap();
    [&document[..=start], b"\"x_of_nobody\":", value, b",", &document[start + 1..]].concat()
}

#[test]
fn what_readers_understand_differently_is_refused_wherever_it_stands() {
    let deep = [vec![b'['; 20_000], vec![b']'; 20_000]].concat();
    let cases: [(&[u8], &str); 13] = [
        (br#"{"a": 1, "a": 2}"#, "duplicate_key"),
        (br#"{"a": 1, "\u0061": 2}"#, "duplicate_key"),
        (br#""\ud800""#, "lone_surrogate"),
        (br#"["\udc00\ud800"]"#, "lone_surrogate"),
        (b"1e99999", "number_out_of_range"),
        (b"-1e99999", "number_out_of_range"),
        (br#""\u0000""#, "nul_character"),
        (b"\"\0\"", "control_character"),
        (b"\"\xff\"", "not_utf8"),
        (b"01", "bad_number"),
        (b"NaN", "unexpected_byte"),
        (b"[1, /* two */ 2]", "unexpected_byte"),
        (&deep, "too_deep"),
    ];
    for file in DOCUMENTS {
        let good = document(file);
        assert!(parse(&with_member(&good, b"[1e300]"), &ParseLimits::default()).is_ok(), "{file}");
        for (value, code) in cases {
            let shown = String::from_utf8_lossy(&value[..value.len().min(40)]);
            assert_eq!(refusal(&with_member(&good, value)), Some(code), "{file}: {shown}");
        }
    }
}

#[test]
fn a_document_is_one_value_and_all_of_it() {
    for file in DOCUMENTS {
        let good = document(file);
        let good = good.trim_ascii_end();
        for after in [&b"x"[..], b",", b"{}", b"\0", good] {
            let bytes = [good, b"\n", after].concat();
            assert_eq!(refusal(&bytes), Some("trailing_data"), "{file}");
        }
        for cut in (1..good.len()).step_by(good.len() / 50) {
            assert!(refusal(&good[..cut]).is_some(), "{file} cut at {cut}");
        }
        assert_eq!(refusal(&good[..good.len() - 1]), Some("unterminated"), "{file}");
    }
}

#[test]
fn a_byte_order_mark_is_no_fault_of_utf8_and_one_of_others() {
    for file in DOCUMENTS {
        let good = document(file);
        let plain = parse(&good, &ParseLimits::default()).unwrap();
        let marked = parse(&[b"\xef\xbb\xbf", &good[..]].concat(), &ParseLimits::default()).unwrap();
        assert_eq!(marked.findings, plain.findings, "{file}");
        assert_eq!(marked.observations.len(), plain.observations.len(), "{file}");
        assert_ne!(marked.document.digest, plain.document.digest, "{file}");
        let text = String::from_utf8(good).unwrap();
        let utf16: Vec<u8> =
            [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        assert_eq!(refusal(&utf16), Some("not_utf8"), "{file}");
        assert!(refusal(&utf16[2..]).is_some(), "{file}");
    }
}

/// The pointer of every member and element of a value.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let below: Vec<_> = match value {
        Value::Object(members) => {
            members.iter().map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        Value::Array(elements) => (0..).map(|n: usize| n.to_string()).zip(elements).collect(),
        _ => return,
    };
    for (key, value) in below {
        let pointer = format!("{at}/{key}");
        pointers(value, &pointer, found);
        found.push(pointer);
    }
}

#[test]
fn no_claim_changes_silently_where_a_null_stands() {
    let mut silent = Vec::new();
    for file in [
        "hand/openvex-accept-history-and-offsets.json",
        "hand/openvex-accept-identifiers-only.json",
        "hand/intoto-accept-inherited-products.json",
        "hand/cyclonedx-accept-range-statuses.json",
        "hand/spdx3-accept-all-four.json",
        "csaf20/oasis_2022-evd-uc-03-ms-001.json",
        "csaf20/oasis_2022-evd-uc-04-001.json",
        "csaf20/trivy_csaf-relationships.json",
        "csaf21/oasis_2022-evd-uc-02-na-001.json",
        "cyclonedx/spec_valid-vulnerability-1.4.json",
        "cyclonedx/examples_Use-Cases_Case-5_vex.json",
        "cyclonedx/guac_cyclonedx-vex-affected.json",
        "cyclonedx/secobserve_cyclonedx_product_no_branch.json",
        "openvex/trivy_openvex-nested.json",
        "spdx3/tools-java_double.jsonld",
    ] {
        let whole: Value = serde_json::from_slice(&document(file)).unwrap();
        let read = |value: &Value| {
            let parsed = parse(value.to_string().as_bytes(), &ParseLimits::default()).ok()?;
            // The digest changes, and nothing else should.
            let digest = parsed.document.digest.digest().to_hex();
            let body =
                |claim: &ParsedObservation| String::from_utf8(claim.body()).unwrap().replace(&digest, "");
            let claims: Vec<_> = parsed.observations.iter().map(body).collect();
            let findings: BTreeSet<_> =
                parsed.findings.into_iter().map(|found| (found.code, found.pointer)).collect();
            Some((claims, findings))
        };
        let (claims, findings) = read(&whole).unwrap();
        let mut all = Vec::new();
        pointers(&whole, "", &mut all);
        for pointer in all {
            let mut changed = whole.clone();
            *changed.pointer_mut(&pointer).unwrap() = Value::Null;
            let Some((found, told)) = read(&changed) else { continue };
            if found != claims && told.is_subset(&findings) {
                silent.push(format!("{file}: {pointer}"));
            }
        }
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

#[test]
fn a_document_of_200_megabytes_is_refused_for_its_size() {
    let mut bytes = document(DOCUMENTS[0]);
    bytes.resize(200_000_000, b' ');
    assert_eq!(refusal(&bytes), Some("too_large"));
}
