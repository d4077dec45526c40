//! What holds for every SPDX 3 document and every wrapper, or any bytes in the shape of one.

#![allow(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

mod spelling;

use proptest::prelude::*;
use provex_core::digest::{Digest, base64};
use provex_core::ids::ClaimDigest;
use provex_core::vex::Observation;
use provex_formats::{Code, MAX_KEY_BYTES, ParseLimits, Parsed, parse};
use serde_json::{Value, json};
use spelling::respelled;

const DOCUMENTS: [&str; 6] = [
    "hand/spdx3-accept-all-four.json",
    "hand/spdx3-reject-missing-justification-and-action.json",
    "hand/spdx3-reject-wrong-relationship-type.json",
    "spdx3/tools-java_double.jsonld",
    "hand/intoto-accept-inherited-products.json",
    "intoto/alpine-cves.openvex.dsse.json",
];
const SPDX3: usize = 4;

fn read(file: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../testdata/vex/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn value(file: &str) -> Value {
    serde_json::from_slice(&read(file)).unwrap()
}

/// Parses and checks what every parsed document must keep.
fn checked(bytes: &[u8]) -> Option<Parsed> {
    let parsed = parse(bytes, &ParseLimits::default()).ok()?;
    assert_eq!(*parsed.document.digest.digest(), Digest::of(bytes));
    for one in &parsed.observations {
        assert_eq!(Observation::from_body(&one.body()).unwrap(), one.observation);
        assert_eq!((one.id, one.claim_digest()), (one.observation.id(), one.observation.claim_digest()));
        assert!(one.keys().iter().all(|key| key.key.len() <= MAX_KEY_BYTES));
    }
    let again = parse(bytes, &ParseLimits::default()).unwrap();
    let ids = |parsed: &Parsed| parsed.observations.iter().map(|one| one.id).collect::<Vec<_>>();
    assert_eq!(ids(&parsed), ids(&again));
    assert_eq!(parsed.findings, again.findings);
    Some(parsed)
}

fn claims(parsed: &Parsed) -> Vec<ClaimDigest> {
    let mut claims: Vec<_> = parsed.observations.iter().map(|one| one.claim_digest()).collect();
    claims.sort_unstable();
    claims
}

fn codes(parsed: &Parsed) -> Vec<Code> {
    let mut codes: Vec<_> = parsed.findings.iter().map(|finding| finding.code).collect();
    codes.sort_unstable();
    codes
}

fn envelope(statement: &str) -> String {
    json!({
        "payloadType": "application/vnd.in-toto+json",
        "payload": base64(statement.as_bytes()),
        "signatures": [{"sig": "c2ln"}],
    })
    .to_string()
}

/// All values in a document, children after their parents.
fn values(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(array) => {
            array.iter().enumerate().for_each(|(n, v)| values(v, &format!("{at}/{n}"), found))
        }
        Value::Object(object) => {
            for (key, value) in object {
                values(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        _ => {}
    }
}

fn replacement() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({})),
        any::<i32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        prop::sample::select(
            &[
                "",
                "_:b",
                "NoneElement",
                "affects",
                "security_VexAffectedVulnAssessmentRelationship",
                "https://spdx.example.org/doc-1#p1",
                "https://spdx.example.org/doc-1#v1",
                "2026-01-01",
                "pkg:oci/x@sha256:1",
                "https://openvex.dev/ns",
                "application/vnd.in-toto+json",
            ][..]
        )
        .prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!([{"spdxId": "https://spdx.example.org/doc-1#p1"}, "x", null])),
        Just(json!({"type": "software_Package", "name": "n", "to": [{}]})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        checked(&bytes);
        checked(envelope(&String::from_utf8_lossy(&bytes)).as_bytes());
    }

    #[test]
    fn changed_bytes_are_read_or_refused(
        document in 0..DOCUMENTS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = read(DOCUMENTS[document]);
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        checked(&bytes);
    }

    #[test]
    fn changed_values_are_read_or_refused(
        document in 0..DOCUMENTS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), replacement()), 1..4),
    ) {
        let mut changed = value(DOCUMENTS[document]);
        for (place, replacement) in changes {
            let mut all = Vec::new();
            values(&changed, "", &mut all);
            *changed.pointer_mut(&all[place.index(all.len())]).unwrap() = replacement;
        }
        checked(changed.to_string().as_bytes());
        checked(envelope(&changed.to_string()).as_bytes());
    }

    #[test]
    fn the_order_of_a_graph_changes_no_claim(
        document in 0..SPDX3,
        places in prop::collection::vec(any::<prop::sample::Index>(), 32),
    ) {
        let mut shuffled = value(DOCUMENTS[document]);
        let expected = checked(&read(DOCUMENTS[document])).unwrap();
        let graph = shuffled["@graph"].as_array_mut().unwrap();
        for (n, place) in places.iter().enumerate().take(graph.len()) {
            let other = place.index(graph.len());
            graph.swap(n, other);
        }
        let found = checked(shuffled.to_string().as_bytes()).unwrap();
        prop_assert_eq!(claims(&found), claims(&expected));
    }

    #[test]
    fn the_spelling_of_a_graph_changes_no_claim(
        document in 0..SPDX3,
        choices in prop::collection::vec(any::<u8>(), 1..200),
    ) {
        let found = checked(respelled(&choices, &value(DOCUMENTS[document])).as_bytes()).unwrap();
        let expected = checked(&read(DOCUMENTS[document])).unwrap();
        prop_assert_eq!(claims(&found), claims(&expected));
        prop_assert_eq!(codes(&found), codes(&expected));
    }

    #[test]
    fn a_wrapper_changes_no_claim(document in 0..SPDX3, in_envelope in any::<bool>(), space in "[ \n\t]{0,4}") {
        let bare = String::from_utf8(read(DOCUMENTS[document])).unwrap();
        let expected = checked(bare.as_bytes()).unwrap();
        let statement = format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":"a","digest":{{"sha512":"00"}}}}],
            "predicateType":"https://spdx.dev/Document/v3","predicate":{space}{}{space}}}"#,
            bare.trim()
        );
        let text = if in_envelope { envelope(&statement) } else { statement };
        let found = checked(text.as_bytes()).unwrap();
        prop_assert_eq!(claims(&found), claims(&expected));
        prop_assert_eq!(found.document.payload_digest, Some(Digest::of(bare.trim().as_bytes())));
        prop_assert_eq!(found.findings.len(), expected.findings.len());
    }
}
