//! OpenVEX documents: every published one of the corpus, and one small document for each rule.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails, fails its test")]

use std::collections::BTreeMap;

use provex_core::digest::Digest;
use provex_core::vex::{AssertedAtSource, ComponentKind, Format, Observation, Status};
use provex_formats::{Code, KeyKind, ParseLimits, Parsed, Rejection, parse};

fn read(file: &str) -> Vec<u8> {
    let path = format!("{}/../../testdata/vex/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn parsed(text: &str) -> Parsed {
    parse(text.as_bytes(), &ParseLimits::default()).unwrap()
}

fn rejected(text: &str) -> Rejection {
    parse(text.as_bytes(), &ParseLimits::default()).unwrap_err()
}

/// A 0.2.0 document without fault but for these statements.
fn document(statements: &str) -> String {
    format!(
        r#"{{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://acme.example/vex-1", "author": "ACME",
        "timestamp": "2026-03-01T10:00:00Z", "version": 1,
        "statements": [{statements}]}}"#
    )
}

/// One statement about `pkg:npm/a@1` with these members besides vulnerability and products.
fn statement(members: &str) -> String {
    format!(
        r#"{{"vulnerability": {{"name": "CVE-2026-0001"}}, "products": [{{"@id": "pkg:npm/a@1"}}], {members}}}"#
    )
}

/// A statement `fixed` with these products.
fn products(products: &str) -> String {
    format!(
        r#"{{"vulnerability": {{"name": "CVE-2026-0001"}}, "products": [{products}], "status": "fixed"}}"#
    )
}

/// Codes and pointers of the findings.
fn findings(parsed: &Parsed) -> Vec<(Code, &str)> {
    parsed.findings.iter().map(|finding| (finding.code, finding.pointer.as_str())).collect()
}

fn codes(parsed: &Parsed) -> String {
    let mut counts = BTreeMap::<&str, u64>::new();
    for finding in &parsed.findings {
        *counts.entry(finding.code.label()).or_default() += 1;
    }
    let counts: Vec<_> = counts.into_iter().map(|(code, count)| format!("{code} {count}")).collect();
    counts.join(", ")
}

fn only(parsed: &Parsed) -> &Observation {
    assert_eq!(parsed.observations.len(), 1);
    &parsed.observations[0].observation
}

fn keys(parsed: &Parsed) -> Vec<&str> {
    parsed.observations.iter().map(|parsed| parsed.observation.product.key.as_str()).collect()
}

/// File, claims that are affected, not affected, fixed and under investigation, and findings by code.
///
/// The claims were counted with jq, for each file:
/// `[.statements[] | .status as $status | (.subcomponents // []) as $shared | .products[]
///   | (if type == "object" then .subcomponents // [] | length else 0 end) as $own
///   | range(if $own > 0 then $own elif ($shared | length) > 0 then ($shared | length) else 1 end) | $status]`,
/// then `map(select(. == "affected")) | length` and so on; the findings with a Python script that knows the
/// schema's members, but for those about purls and conflicts, which were looked at one by one.
#[rustfmt::skip]
const CORPUS: [(&str, [usize; 4], &str); 37] = [
    ("go-vex_v0.0.1-noversion.json", [0, 0, 2, 0], ""),
    ("go-vex_v0.0.1.json", [0, 0, 2, 0], ""),
    ("go-vex_v0.2.0.json", [0, 4, 6, 0], ""),
    ("go-vex_v001-1.vex.json", [0, 0, 0, 1], "bad_id 1, missing_timestamp 1, missing_version 1"),
    ("go-vex_v001-2.vex.json", [0, 0, 1, 0], "bad_id 1, missing_timestamp 1, missing_version 1"),
    ("go-vex_v020-1.vex.json", [0, 0, 0, 1], "missing_timestamp 1, missing_version 1"),
    ("go-vex_v020-2.vex.json", [0, 0, 0, 1], "missing_timestamp 1, missing_version 1"),
    ("grype_affected.openvex.json", [1, 0, 0, 0], "missing_action 1"),
    ("grype_openvex-debian.json", [0, 0, 1, 0], ""),
    ("grype_openvex-demo1.json", [0, 0, 2, 0], ""),
    ("grype_openvex-demo2.json", [0, 4, 6, 0], ""),
    ("guac_open-vex-not-affected.json", [0, 2, 0, 0], "spec_version_mismatch 1"),
    ("lib4vex_acme_1.0_vex.json", [1, 1, 0, 1], "assumed_utc 5, bad_version 1"),
    ("rancher_github.com_DataDog_datadog-agent_comp_core_delegatedauth.openvex.json", [0, 4, 0, 0], ""),
    ("rancher_index.docker.io_rancher_gke-operator.openvex.json", [0, 1, 0, 0], ""),
    ("rancher_index.docker.io_rancher_shell.openvex.json", [0, 46, 0, 0], ""),
    ("rancher_neuvector_justification-conflict.openvex.json", [0, 36, 0, 0], ""),
    ("rancher_registry.rancher.com_suse-observability_hadoop.openvex.json", [0, 12, 0, 0], ""),
    ("rancher_registry.suse.com_rancher_supportability-review.openvex.json", [0, 11, 0, 0], ""),
    ("rancher_sigs.k8s.io_cluster-api-provider-azure.openvex.json", [0, 149, 0, 0], ""),
    ("rancher_sigs.k8s.io_cluster-api.openvex.json", [0, 563, 0, 0], ""),
    ("secobserve_openvex_product_no_branch.json", [1, 1, 0, 1], "bad_id 3"),
    ("secobserve_openvex_product_no_branch_update.json", [2, 1, 0, 0], "bad_id 3"),
    ("trivy_openvex-nested.json", [0, 1, 0, 0], "missing_id 1"),
    ("trivy_openvex-oci.json", [0, 1, 0, 0], "missing_id 1"),
    ("trivy_trivy.openvex.json", [0, 21, 0, 0], "bad_id 1"),
    ("vexctl_demo.vex.json", [0, 0, 2, 0], ""),
    ("vexctl_document1.vex.json", [0, 0, 0, 1], ""),
    ("vexctl_document2.vex.json", [0, 0, 1, 0], ""),
    ("vexctl_sample-2vulns.openvex.json", [0, 1, 1, 0], "unknown_member 2"),
    ("vexctl_sample-history.openvex.json", [0, 2, 0, 0], "unknown_member 2"),
    ("vexhub_inspektor-gadget_v0.41.0.vex.json", [0, 1, 0, 0], ""),
    ("vexhub_rancher_machine.openvex.json", [0, 326, 0, 0], ""),
    ("vexhub_rancher_rancher_pkg_client.openvex.json", [0, 187, 0, 0], ""),
    ("vexhub_rancher_telemetry.openvex.json", [0, 56, 0, 0], ""),
    ("vexhub_rancher_ui-plugin-operator.openvex.json", [0, 12, 0, 0], ""),
    ("vexhub_rancher_wharfie.openvex.json", [0, 39, 0, 0], ""),
];

#[test]
fn every_published_document_gives_its_claims() {
    for (file, expected, expected_findings) in CORPUS {
        let bytes = read(&format!("openvex/{file}"));
        let parsed = parse(&bytes, &ParseLimits::default()).unwrap();
        let order = [Status::Affected, Status::NotAffected, Status::Fixed, Status::UnderInvestigation];
        let counts = order.map(|status| {
            parsed.observations.iter().filter(|parsed| parsed.observation.status == status).count()
        });
        assert_eq!(counts, expected, "{file}");
        assert_eq!(codes(&parsed), expected_findings, "{file}");
        assert!(parsed.findings.iter().all(|finding| finding.line.is_some()), "{file}");
        assert_eq!(*parsed.document.digest.digest(), Digest::of(&bytes), "{file}");
        for parsed in &parsed.observations {
            assert_eq!(Observation::from_body(&parsed.body()).unwrap(), parsed.observation, "{file}");
            assert_eq!(parsed.id, parsed.observation.id());
            assert_eq!(parsed.claim_digest(), parsed.observation.claim_digest());
        }
    }
}

/// The ids were made by a Python script that writes the bodies by hand, sorts their keys and hashes them.
#[test]
fn observation_ids_of_three_documents_never_change() {
    for (file, expected) in [
        ("openvex/go-vex_v0.0.1.json", &GOLDEN_001[..]),
        ("openvex/guac_open-vex-not-affected.json", &GOLDEN_020[..]),
        ("hand/openvex-accept-identifiers-only.json", &GOLDEN_IDENTIFIERS[..]),
    ] {
        let parsed = parse(&read(file), &ParseLimits::default()).unwrap();
        let ids: Vec<_> = parsed.observations.iter().map(|parsed| parsed.id.to_text()).collect();
        assert_eq!(ids, expected, "{file}");
    }
}

const GOLDEN_001: [&str; 2] = [
    "vex:obs:sha256:4cd64c133c48eff19940c38206cfad5b47d8803b85be216d257f3ddab34a38e2",
    "vex:obs:sha256:7cca46a0b178f7323b1a80124fabb21fc9accc41d14bcbc2f758a64d9c4c12bc",
];
const GOLDEN_020: [&str; 2] = [
    "vex:obs:sha256:3a25e74e8de0d1bdeff5230a7bc86f22bde05499811032349007a10156d52760",
    "vex:obs:sha256:f97ff2c8b0ffc82eb5f289fea249794450e081c338148bc8f406ff40e1c95efe",
];
const GOLDEN_IDENTIFIERS: [&str; 2] = [
    "vex:obs:sha256:c6bce91acde3295d7801bd8004ac3d3c38ff052b35e840ec1ab04a0d4888d973",
    "vex:obs:sha256:2451fd9ea4dddfd7656e2cd48234da3cdca819f64a821301d13a2189708b12a5",
];

#[test]
fn the_body_is_the_documented_object() {
    let parsed = parse(&read("hand/openvex-accept-identifiers-only.json"), &ParseLimits::default()).unwrap();
    let expected = concat!(
        r#"{"action":{"responses":[],"text":null,"url":null},"assertedAt":"2026-03-01T10:00:00.000000000Z","#,
        r#""assertedAtSource":"document","canon":"purl-canon/1","document":{"#,
        r#""digest":"DIGEST","format":"openvex","id":"urn:uuid:5a1e9a1c-3f04-4c57-9b0e-0d9a2f3c0001","#,
        r#""revision":"1","specVersion":"0.2.0"},"impact":"Sandboxed.","issuer":{"#,
        r#""id":"Example Org <security@example.org>","scheme":"openvex"},"justification":{"#,
        r#""label":"inline_mitigations_already_exist","mapping":"exact","#,
        r#""native":"inline_mitigations_already_exist"},"lastUpdated":null,"locator":{"index":0,"#,
        r#""pointer":"/statements/0/products/0/subcomponents/0"},"nativeStatus":"not_affected","notes":"n","#,
        r#""product":{"identifiers":[{"type":"cpe23","value":"cpe:2.3:a:example:lib:1.0:*:*:*:*:*:*:*"},"#,
        r#"{"type":"hash:sha-256","#,
        r#""value":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"},"#,
        r#"{"type":"purl","value":"pkg:maven/org.example/Lib@1.0?type=jar"}],"#,
        r#""key":"digest:sha256:cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd","#,
        r#""kind":"digest","name":null},"schema":"provex.observation/v1","status":"not_affected","#,
        r#""subcomponent":{"identifiers":[{"type":"purl","value":"pkg:pypi/Typing_Extensions@4.0"}],"#,
        r#""key":"purl:pkg:pypi/typing-extensions@4.0","kind":"purl","name":null},"versionScope":null,"#,
        r#""vulnerability":{"aliases":["CVE-2026-0002"],"id":"GHSA-aaaa-bbbb-cccc"}}"#,
    );
    let expected = expected.replace("DIGEST", &parsed.document.digest.to_text());
    assert_eq!(String::from_utf8(parsed.observations[0].body()).unwrap(), expected);
}

#[test]
fn every_hand_written_document_has_its_outcome() {
    for (file, expected) in [
        ("accept-history-and-offsets", ""),
        ("accept-identifiers-only", ""),
        ("reject-affected-no-action", "missing_action 1"),
        ("reject-bad-justification", "unjustified 1, unknown_justification 1"),
        ("reject-naive-timestamp", "assumed_utc 1"),
        ("reject-no-author", "missing_issuer 1"),
        ("reject-not_affected-bare", "unjustified 1"),
    ] {
        let parsed = parse(&read(&format!("hand/openvex-{file}.json")), &ParseLimits::default()).unwrap();
        assert_eq!(codes(&parsed), expected, "{file}");
        assert!(!parsed.observations.is_empty(), "{file}");
    }
    for (file, code, pointer, line) in [
        ("reject-bad-status", Code::NoUsableStatement, "/statements/0/status", 17),
        ("reject-duplicate-key", Code::DuplicateKey, "/statements/0/status", 1),
        ("reject-empty-statements", Code::NoUsableStatement, "/statements", 7),
    ] {
        let bytes = read(&format!("hand/openvex-{file}.json"));
        let rejection = parse(&bytes, &ParseLimits::default()).unwrap_err();
        let found = (rejection.code, rejection.pointer.as_str(), rejection.line);
        assert_eq!(found, (code, pointer, Some(line)), "{file}");
    }
}

#[test]
fn a_history_keeps_its_times_to_the_nanosecond() {
    let parsed =
        parse(&read("hand/openvex-accept-history-and-offsets.json"), &ParseLimits::default()).unwrap();
    let times: Vec<_> = parsed
        .observations
        .iter()
        .map(|parsed| {
            (parsed.observation.asserted_at.as_deref().unwrap(), parsed.observation.asserted_at_source)
        })
        .collect();
    assert_eq!(
        times,
        [
            ("2026-03-01T10:00:00.000000000Z", AssertedAtSource::Statement),
            ("2026-03-03T04:30:00.000000000Z", AssertedAtSource::Statement),
            ("2026-03-04T22:00:00.000000000Z", AssertedAtSource::Document),
        ]
    );
    assert_eq!(parsed.document.stated_at.as_deref(), Some("2026-03-04T22:00:00.000000000Z"));
    assert_eq!(parsed.document.revision.as_deref(), Some("3"));
}

#[test]
fn a_document_says_what_it_is() {
    let parsed = parsed(&document(&statement(r#""status": "fixed""#)));
    let facts = &parsed.document;
    assert_eq!((facts.format, facts.spec_version.as_deref()), (Format::OpenVex, Some("0.2.0")));
    assert_eq!(facts.id.as_deref(), Some("https://acme.example/vex-1"));
    let issuer = facts.issuer.as_ref().unwrap();
    assert_eq!((issuer.scheme.as_str(), issuer.id.as_str()), ("openvex", "ACME"));
    assert_eq!((facts.payload_digest, facts.retires), (None, None));
    assert_eq!(findings(&parsed), []);
}

#[test]
fn a_byte_order_mark_is_part_of_the_digest_only() {
    let text = document(&statement(r#""status": "fixed""#));
    let marked = format!("\u{feff}{text}");
    let [plain, marked] = [parsed(&text), parsed(&marked)];
    assert_ne!(plain.document.digest, marked.document.digest);
    assert_eq!(plain.observations[0].claim_digest(), marked.observations[0].claim_digest());
}

#[test]
fn version_0_0_1_lists_subcomponents_for_every_product() {
    let text = r#"{"@context": "https://openvex.dev/ns", "@id": "urn:a", "author": "b", "version": "1",
        "timestamp": "2023-01-08T18:02:03Z", "supplier": "s", "format": "text/vex+json", "statements": [{
            "vulnerability": " cve-2023-12345 ", "vuln_description": "d", "status": "fixed",
            "products": ["pkg:npm/a@1", "pkg:npm/b@1"], "subcomponents": ["pkg:npm/c", "pkg:npm/d"]}]}"#;
    let parsed = parsed(text);
    assert_eq!(parsed.document.spec_version.as_deref(), Some("0.0.1"));
    assert_eq!(findings(&parsed), []);
    let claims: Vec<_> = parsed
        .observations
        .iter()
        .map(|parsed| {
            let observation = &parsed.observation;
            let subcomponent = observation.subcomponent.as_ref().unwrap().key.as_str();
            let locator = &observation.locator;
            (observation.product.key.as_str(), subcomponent, locator.pointer.as_str(), locator.index)
        })
        .collect();
    assert_eq!(
        claims,
        [
            ("purl:pkg:npm/a@1", "purl:pkg:npm/c", "/statements/0/products/0", 0),
            ("purl:pkg:npm/a@1", "purl:pkg:npm/d", "/statements/0/products/0", 1),
            ("purl:pkg:npm/b@1", "purl:pkg:npm/c", "/statements/0/products/1", 0),
            ("purl:pkg:npm/b@1", "purl:pkg:npm/d", "/statements/0/products/1", 1),
        ]
    );
    assert_eq!(parsed.observations[0].observation.vulnerability.id, "CVE-2023-12345");
}

#[test]
fn the_form_of_a_statement_is_told_by_its_vulnerability() {
    let new = statement(r#""status": "fixed""#);
    let old = r#"{"vulnerability": "CVE-2026-0002", "products": ["pkg:npm/a@1"], "status": "fixed"}"#;
    let mixed = parsed(&document(&format!("{new}, {old}")));
    assert_eq!(mixed.observations.len(), 2);
    assert_eq!(findings(&mixed), [(Code::MixedSpecVersions, "/statements/1/vulnerability")]);

    let shared = statement(r#""subcomponents": ["pkg:npm/c"], "status": "fixed""#);
    let shared = parsed(&document(&shared));
    assert_eq!(only(&shared).subcomponent.as_ref().unwrap().key, "purl:pkg:npm/c");
    assert_eq!(findings(&shared), [(Code::MixedSpecVersions, "/statements/0/subcomponents")]);

    let wrong = document(old);
    let wrong = parsed(&wrong);
    assert_eq!(wrong.document.spec_version.as_deref(), Some("0.0.1"));
    let expected = [(Code::SpecVersionMismatch, "/@context"), (Code::BadVersion, "/version")];
    assert_eq!(findings(&wrong), expected);
}

#[test]
fn an_unknown_version_is_read_by_its_form() {
    let text = document(&statement(r#""status": "fixed""#)).replace("v0.2.0", "v0.3.0");
    let parsed = parsed(&text);
    assert_eq!(parsed.document.spec_version.as_deref(), Some("0.3.0"));
    assert_eq!(findings(&parsed), [(Code::UnknownSpecVersion, "/@context")]);
    let parsed = self::parsed(&text.replace("ns/v0.3.0", "ns//v0.2.0"));
    assert_eq!(parsed.document.spec_version.as_deref(), Some("0.2.0"));
    assert_eq!(findings(&parsed), [(Code::UnknownSpecVersion, "/@context")]);
}

#[test]
fn versions_become_text() {
    let good = statement(r#""status": "fixed""#);
    for (written, expected, code) in [
        ("7", Some("7"), None),
        ("1.0", Some("1"), None),
        ("9007199254740993", Some("9007199254740993"), None),
        ("\"4\"", Some("4"), Some(Code::BadVersion)),
        ("\"draft\"", Some("draft"), Some(Code::BadVersion)),
        ("0", Some("0"), Some(Code::BadVersion)),
        ("-1", Some("-1"), Some(Code::BadVersion)),
        ("1.5", None, Some(Code::BadVersion)),
        ("1e300", None, Some(Code::BadVersion)),
        ("\" \"", None, Some(Code::MissingVersion)),
        ("null", None, Some(Code::WrongType)),
        ("[1]", None, Some(Code::WrongType)),
    ] {
        let text = document(&good).replace("\"version\": 1", &format!("\"version\": {written}"));
        let parsed = parsed(&text);
        assert_eq!(parsed.document.revision.as_deref(), expected, "{written}");
        let found: Vec<_> = parsed.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(found, code.into_iter().collect::<Vec<_>>(), "{written}");
    }
}

#[test]
fn a_document_may_lack_what_it_must_have() {
    let text = format!(r#"{{"@context": "https://openvex.dev/ns/v0.2.0", "statements": [{}]}}"#, {
        statement(r#""status": "fixed""#)
    });
    let parsed = parsed(&text);
    let found = only(&parsed);
    assert_eq!(
        (found.issuer.as_ref(), found.document.id.as_ref(), found.document.revision.as_ref()),
        (None, None, None)
    );
    assert_eq!((found.asserted_at.as_ref(), found.asserted_at_source), (None, AssertedAtSource::None));
    assert_eq!(codes(&parsed), "missing_id 1, missing_issuer 1, missing_timestamp 1, missing_version 1");
}

#[test]
fn statements_with_a_fault_are_dropped_alone() {
    let good = statement(r#""status": "fixed""#);
    for (bad, code, pointer) in [
        ("7", Code::BadStatement, ""),
        ("null", Code::BadStatement, ""),
        (
            r#"{"status": "fixed", "products": [{"@id": "urn:a"}]}"#,
            Code::MissingVulnerability,
            "/vulnerability",
        ),
        (
            r#"{"vulnerability": [], "status": "fixed", "products": [{"@id": "urn:a"}]}"#,
            Code::MissingVulnerability,
            "/vulnerability",
        ),
        (
            r#"{"vulnerability": {"name": " "}, "status": "fixed", "products": [{"@id": "urn:a"}]}"#,
            Code::MissingVulnerability,
            "/vulnerability",
        ),
        (r#"{"vulnerability": {"name": "A"}, "status": "fixed"}"#, Code::MissingProduct, "/products"),
        (
            r#"{"vulnerability": {"name": "A"}, "products": [], "status": "fixed"}"#,
            Code::MissingProduct,
            "/products",
        ),
        (
            r#"{"vulnerability": {"name": "A"}, "products": "a", "status": "fixed"}"#,
            Code::MissingProduct,
            "/products",
        ),
        (
            r#"{"vulnerability": {"name": "A"}, "products": [{}], "status": "fixed"}"#,
            Code::MissingProduct,
            "/products/0",
        ),
        (
            r#"{"vulnerability": {"name": "A"}, "products": [{"@id": " "}], "status": "fixed"}"#,
            Code::MissingProduct,
            "/products/0",
        ),
        (
            r#"{"vulnerability": {"name": "A"}, "products": [1], "status": "fixed"}"#,
            Code::MissingProduct,
            "/products/0",
        ),
        (
            r#"{"vulnerability": {"name": "A"}, "products": [{"@id": "urn:a"}]}"#,
            Code::MissingStatus,
            "/status",
        ),
        (
            r#"{"vulnerability": {"name": "A"}, "products": [{"@id": "urn:a"}], "status": {}}"#,
            Code::MissingStatus,
            "/status",
        ),
        (
            r#"{"vulnerability": {"name": "A"}, "products": [{"@id": "urn:a"}], "status": "Fixed"}"#,
            Code::UnknownStatus,
            "/status",
        ),
        (
            r#"{"vulnerability": {"name": "A"}, "products": [{"@id": "urn:a"}], "status": "unknown"}"#,
            Code::UnknownStatus,
            "/status",
        ),
    ] {
        let both = parsed(&document(&format!("{bad}, {good}")));
        let pointer = format!("/statements/0{pointer}");
        assert_eq!(findings(&both), [(code, pointer.as_str())], "{bad}");
        assert_eq!(only(&both).locator.pointer, "/statements/1/products/0", "{bad}");

        let alone = rejected(&document(bad));
        assert_eq!((alone.code, alone.pointer), (Code::NoUsableStatement, pointer), "{bad}");
        assert_eq!(
            (alone.format, alone.line.is_some(), alone.column.is_some()),
            (Some(Format::OpenVex), true, true)
        );
    }
}

#[test]
fn documents_without_statements_are_rejected() {
    for statements in ["[]", "{}", "null", "\"x\""] {
        let text = document("").replace("[]", statements);
        assert_eq!(rejected(&text).code, Code::NoUsableStatement, "{statements}");
    }
}

#[test]
fn a_product_without_identity_is_dropped_alone() {
    let parsed = parsed(&document(&products(r#"{"hashes": {}}, {"@id": "pkg:npm/a@1"}, 3"#)));
    assert_eq!(keys(&parsed), ["purl:pkg:npm/a@1"]);
    let dropped = [
        (Code::MissingProduct, "/statements/0/products/0"),
        (Code::MissingProduct, "/statements/0/products/2"),
    ];
    assert_eq!(findings(&parsed), dropped);
}

#[test]
fn a_claim_about_unreadable_subcomponents_is_not_widened() {
    let other = r#"{"@id": "pkg:npm/z"}"#;
    for (subcomponents, code, pointer) in [
        ("\"pkg:npm/b\"", Code::MissingProduct, "/subcomponents"),
        ("null", Code::MissingProduct, "/subcomponents"),
        ("[{}]", Code::MissingProduct, "/subcomponents/0"),
        (
            "[{\"@id\": \"urn:b\", \"subcomponents\": [\"urn:c\"]}]",
            Code::NestedSubcomponents,
            "/subcomponents/0/subcomponents",
        ),
        (
            "[{\"@id\": \"urn:b\", \"subcomponents\": null}]",
            Code::NestedSubcomponents,
            "/subcomponents/0/subcomponents",
        ),
    ] {
        let text = products(&format!(r#"{{"@id": "pkg:npm/a", "subcomponents": {subcomponents}}}, {other}"#));
        let parsed = parsed(&document(&text));
        assert_eq!(keys(&parsed), ["purl:pkg:npm/z"], "{subcomponents}");
        let pointer = format!("/statements/0/products/0{pointer}");
        assert_eq!(findings(&parsed), [(code, pointer.as_str())], "{subcomponents}");
    }
    let text = products(r#"{"@id": "pkg:npm/a", "subcomponents": []}"#);
    assert_eq!(only(&parsed(&document(&text))).subcomponent, None);
}

#[test]
fn a_refused_document_is_told_all_that_is_wrong_with_it() {
    let text = r#"{
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "urn:x", "timestamp": "2026-03-01T10:00:00",
        "version": "one",
        "statements": [
            {"vulnerability": {"name": "CVE-2026-0001"}, "status": "wontfix", "products": [{"@id": "pkg:npm/"}]},
            {"vulnerability": {}, "status": "fixed", "products": [{"@id": "pkg:npm/a"}]},
            {"vulnerability": {"name": "CVE-2026-0001"}, "status": "fixed", "products": [{}]}
        ]
    }"#;
    let codes = |rejection: &Rejection| {
        rejection.findings.iter().map(|finding| finding.code.label()).collect::<Vec<_>>()
    };
    let rejection = rejected(text);
    assert_eq!(rejection.code, Code::NoUsableStatement);
    let all = [
        "missing_issuer",
        "bad_version",
        "assumed_utc",
        "unknown_status",
        "bad_purl",
        "missing_vulnerability",
        "missing_product",
    ];
    assert_eq!(codes(&rejection), all);
    assert!(rejection.findings.iter().all(|finding| finding.line.is_some()));
    let rejection = rejected(r#"{"@context": "https://openvex.dev/ns/v0.2.0", "statements": 1}"#);
    assert_eq!(codes(&rejection), ["missing_id", "missing_issuer", "missing_timestamp", "missing_version"]);
}

#[test]
fn subcomponents_that_cannot_be_read_do_not_widen_a_claim() {
    for subcomponents in ["null", r#""x""#, "1"] {
        let product = format!(r#"{{"@id": "pkg:npm/a", "subcomponents": {subcomponents}}}"#);
        let rejection = rejected(&document(&products(&product)));
        assert!(rejection.message.contains("The subcomponents cannot be read"), "{}", rejection.message);
        assert_eq!(rejection.pointer, "/statements/0/products/0/subcomponents");
    }
}

#[test]
fn two_names_of_one_vulnerability_contradict_each_other() {
    let statement = |name: &str, alias: &str, status: &str| {
        format!(
            r#"{{"vulnerability": {{"name": "{name}", "aliases": ["{alias}"]}}, "status": "{status}",
                "products": [{{"@id": "pkg:npm/a"}}]}}"#
        )
    };
    let fixed = statement("CVE-2026-0001", "GHSA-1", "fixed");
    let other = statement("GHSA-1", "CVE-2026-0001", "under_investigation");
    assert_eq!(codes(&parsed(&document(&format!("{fixed}, {other}")))), "intra_document_conflict 1");
    let unrelated = statement("GHSA-1", "CVE-2026-0002", "under_investigation");
    assert_eq!(codes(&parsed(&document(&format!("{fixed}, {unrelated}")))), "");
}

#[test]
fn products_are_keyed_by_the_first_rule_that_applies() {
    const SHA: &str = "abababababababababababababababababababababababababababababababab";
    const CPE: &str = "cpe:2.3:a:example:lib:1.0:*:*:*:*:*:*:*";
    for (product, key, kind) in [
        (
            r#"{"@id": "pkg:pypi/Typing_Extensions@4.0"}"#,
            "purl:pkg:pypi/typing-extensions@4.0",
            ComponentKind::Purl,
        ),
        (r#"{"@id": "PKG:npm/a@1"}"#, "purl:pkg:npm/a@1", ComponentKind::Purl),
        (r#"{"@id": "pkg:oci/a@sha256:SHA"}"#, "digest:sha256:SHA", ComponentKind::Digest),
        (r#"{"@id": "pkg:oci/a@sha256%3ASHA?tag=1"}"#, "digest:sha256:SHA", ComponentKind::Digest),
        (r#"{"@id": "pkg:oci/a@v1"}"#, "purl:pkg:oci/a@v1", ComponentKind::Purl),
        (
            r#"{"@id": "pkg:npm/a@1", "hashes": {"sha-256": "SHA"}}"#,
            "digest:sha256:SHA",
            ComponentKind::Digest,
        ),
        (r#"{"hashes": {"sha-256": "SHA"}}"#, "digest:sha256:SHA", ComponentKind::Digest),
        (r#"{"hashes": {"md5": "AB"}}"#, "iri:hash:md5:ab", ComponentKind::Iri),
        (
            r#"{"identifiers": {"purl": "pkg:npm/a@1", "cpe23": "CPE"}}"#,
            "purl:pkg:npm/a@1",
            ComponentKind::Purl,
        ),
        (
            r#"{"@id": "https://acme.example", "identifiers": {"cpe23": "CPE"}}"#,
            "cpe23:CPE",
            ComponentKind::Cpe23,
        ),
        (r#"{"identifiers": {"@cpe22": "cpe:/a:example:lib:1.0"}}"#, "cpe23:CPE", ComponentKind::Cpe23),
        (r#"{"@id": "cpe:/a:Example:Lib:1.0"}"#, "cpe23:CPE", ComponentKind::Cpe23),
        (
            r#"{"@id": "urn:cdx:u/1#a", "hashes": {"md5": "x"}}"#,
            "bomlink:urn:cdx:u/1#a",
            ComponentKind::BomLink,
        ),
        (
            r#"{"@id": "https://acme.example", "hashes": {"md5": "x"}}"#,
            "iri:https://acme.example",
            ComponentKind::Iri,
        ),
        (r#"{"@id": "urn:vex_product_1"}"#, "iri:urn:vex_product_1", ComponentKind::Iri),
    ] {
        let full = |text: &str| text.replace("SHA", SHA).replace("CPE", CPE);
        let parsed = parsed(&document(&products(&full(product))));
        let found = &only(&parsed).product;
        assert_eq!((found.key.as_str(), found.kind), (full(key).as_str(), kind), "{product}");
        assert_eq!(findings(&parsed), [], "{product}");
    }
}

#[test]
fn identifiers_that_cannot_be_read_are_keyed_by_their_text() {
    for (product, key, code) in [
        (r#"{"@id": "pkg:oci/openshift3/x@1"}"#, "iri:pkg:oci/openshift3/x@1", Code::BadPurl),
        (r#"{"identifiers": {"purl": "npm/a"}}"#, "iri:npm/a", Code::BadPurl),
        (r#"{"identifiers": {"cpe23": "cpe:2.3:x"}}"#, "iri:cpe:2.3:x", Code::BadCpe),
        (r#"{"hashes": {"sha-256": "12"}}"#, "iri:hash:sha-256:12", Code::BadHash),
        (r#"{"@id": "vex_product_1"}"#, "iri:vex_product_1", Code::BadId),
        (
            r#"{"@id": "pkg:npm/a@1", "identifiers": {"purl": "pkg:npm/a@2"}}"#,
            "purl:pkg:npm/a@1",
            Code::AmbiguousProduct,
        ),
    ] {
        let text = products(product);
        let other = text.replace(r#""fixed""#, r#""fixed", "timestamp": "2026-03-02T10:00:00Z""#);
        let parsed = parsed(&document(&format!("{text}, {other}")));
        assert_eq!(keys(&parsed), [key, key]);
        if code == Code::BadId {
            let [first, second] = [0, 1].map(|n| format!("/statements/{n}/products/0/@id"));
            assert_eq!(findings(&parsed), [(code, first.as_str()), (code, second.as_str())]);
            continue;
        }
        // Once for each component, not for each of its claims.
        assert_eq!(findings(&parsed), [(code, "/statements/0/products/0")], "{product}");
    }
}

#[test]
fn any_spelling_of_sha_256_is_that_hash() {
    let sha = "AB".repeat(32);
    for name in ["sha256", "SHA-256", "SHA_256"] {
        let parsed = parsed(&document(&products(&format!(r#"{{"hashes": {{"{name}": "{sha}"}}}}"#))));
        let found = &only(&parsed).product;
        assert_eq!(found.key, format!("digest:sha256:{}", sha.to_lowercase()));
        let kinds: Vec<_> =
            found.identifiers.iter().map(|id| (id.kind.as_ref(), id.value.as_str())).collect();
        assert_eq!(kinds, [(format!("hash:{}", name.to_lowercase()).as_str(), sha.as_str())]);
        assert_eq!(findings(&parsed)[0].0, Code::UnknownMember);
    }
}

#[test]
fn an_observation_is_found_by_every_form_of_its_identifiers() {
    let text = document(
        r#"{"vulnerability": {"name": "cve-2026-0001", "aliases": ["GHSA-1", "CVE-2026-0001"], "@id": "GO-1"},
            "products": [{"@id": "pkg:golang/github.com/Acme/Lib@v1?a=b",
                "subcomponents": [{"identifiers": {"cpe22": "cpe:/a:example:lib:1.0"}}]}], "status": "fixed"}"#,
    );
    let parsed = parsed(&text);
    let keys = parsed.observations[0].keys();
    let keys: Vec<_> = keys.iter().map(|key| (key.kind, key.key.as_str())).collect();
    let identifier = |key| (KeyKind::Identifier, key);
    assert_eq!(
        keys,
        [
            (KeyKind::Vulnerability, "CVE-2026-0001"),
            (KeyKind::Alias, "GHSA-1"),
            (KeyKind::Alias, "GO-1"),
            (KeyKind::Product, "purl:pkg:golang/github.com/Acme/Lib@v1?a=b"),
            (KeyKind::Subcomponent, "cpe23:cpe:2.3:a:example:lib:1.0:*:*:*:*:*:*:*"),
            identifier("cpe:/a:example:lib:1.0"),
            identifier("cpe:2.3:a:example:lib:1.0:*:*:*:*:*:*:*"),
            identifier("pkg:golang/github.com/Acme/Lib?a=b"),
            identifier("pkg:golang/github.com/Acme/Lib@v1?a=b"),
            identifier("pkg:golang/github.com/acme/lib?a=b"),
            identifier("pkg:golang/github.com/acme/lib@v1?a=b"),
        ]
    );
}

#[test]
fn the_id_of_a_vulnerability_is_an_alias_unless_it_is_a_url() {
    for (id, aliases) in [("https://nvd.nist.gov/vuln/detail/CVE-2026-0001", &[][..]), ("GO-1", &["GO-1"])] {
        let vulnerability = format!(r#"{{"name": "CVE-2026-0001", "@id": "{id}"}}"#);
        let text = document(&statement(r#""status": "fixed""#))
            .replace(r#"{"name": "CVE-2026-0001"}"#, &vulnerability);
        assert_eq!(only(&parsed(&text)).vulnerability.aliases, aliases);
    }
}

#[test]
fn reasons_and_actions_are_asked_for() {
    for (members, expected) in [
        (r#""status": "not_affected""#, "unjustified 1"),
        (r#""status": "not_affected", "impact_statement": " ""#, "unjustified 1"),
        (r#""status": "not_affected", "impact_statement": "x""#, ""),
        (r#""status": "not_affected", "justification": "component_not_present""#, ""),
        (
            r#""status": "not_affected", "justification": "x", "impact_statement": "x""#,
            "unknown_justification 1",
        ),
        (r#""status": "not_affected", "justification": 1"#, "unjustified 1, wrong_type 1"),
        (r#""status": "fixed", "justification": "component_not_present""#, "misplaced_justification 1"),
        (r#""status": "affected""#, "missing_action 1"),
        (r#""status": "affected", "action_statement": """#, "missing_action 1"),
        (r#""status": "affected", "action_statement": "Upgrade.""#, ""),
    ] {
        assert_eq!(codes(&parsed(&document(&statement(members)))), expected, "{members}");
    }
}

#[test]
fn texts_stay_as_written() {
    let members = r#""status": "affected", "action_statement": " Up\u0067rade. ", "status_notes": "",
        "justification": "component_not_present", "impact_statement": "i\n""#;
    let parsed = parsed(&document(&statement(members)));
    let found = only(&parsed);
    assert_eq!(found.action.text.as_deref(), Some(" Upgrade. "));
    assert_eq!((found.notes.as_deref(), found.impact.as_deref()), (Some(""), Some("i\n")));
    assert_eq!(found.justification.as_ref().unwrap().native, "component_not_present");
}

#[test]
fn times_are_read_or_left_out() {
    for (time, at, source, code) in [
        (
            r#""2026-03-01T10:00:00.5""#,
            Some("2026-03-01T10:00:00.500000000Z"),
            AssertedAtSource::Statement,
            Code::AssumedUtc,
        ),
        (r#""2026-03-01""#, None, AssertedAtSource::None, Code::BadTimestamp),
        ("5", None, AssertedAtSource::None, Code::WrongType),
        ("null", Some("2026-03-01T10:00:00.000000000Z"), AssertedAtSource::Document, Code::WrongType),
    ] {
        let parsed = parsed(&document(&statement(&format!(r#""status": "fixed", "timestamp": {time}"#))));
        let found = only(&parsed);
        assert_eq!((found.asserted_at.as_deref(), found.asserted_at_source), (at, source), "{time}");
        assert_eq!(findings(&parsed), [(code, "/statements/0/timestamp")], "{time}");
    }
    let parsed =
        parsed(&document(&statement(r#""status": "fixed", "last_updated": "2026-03-02T00:00:00Z""#)));
    assert_eq!(only(&parsed).last_updated.as_deref(), Some("2026-03-02T00:00:00.000000000Z"));
}

#[test]
fn different_statuses_at_one_time_conflict() {
    let fixed = statement(r#""status": "fixed""#);
    let affected = |time: &str| statement(&format!(r#""status": "affected", "action_statement": "x"{time}"#));
    let again = statement(r#""status": "fixed", "status_notes": "x""#);
    let both = parsed(&document(&format!("{fixed}, {again}, {}", affected(""))));
    assert_eq!(both.observations.len(), 3);
    assert_eq!(findings(&both), [(Code::IntraDocumentConflict, "/statements/2/products/0")]);
    let offset = affected(r#", "timestamp": "2026-03-01T12:00:00+02:00""#);
    assert_eq!(findings(&parsed(&document(&format!("{fixed}, {offset}")))).len(), 1);
    let later = affected(r#", "timestamp": "2026-03-01T10:00:00.000000001Z""#);
    assert_eq!(findings(&parsed(&document(&format!("{fixed}, {later}")))), []);
}

#[test]
fn long_keys_drop_the_statement() {
    let long = format!("urn:{}", "x".repeat(1_021));
    let good = statement(r#""status": "fixed""#);
    for (bad, pointer) in [
        (products(&format!(r#"{{"@id": "pkg:npm/b"}}, {{"@id": "{long}"}}"#)), "/products/1"),
        // The key `iri:...` is longer than the identifier.
        (products(&format!(r#"{{"@id": "{}"}}"#, &long[..1_024])), "/products/0"),
        (products(&format!(r#"{{"@id": "urn:a", "hashes": {{"md5": "{long}"}}}}"#)), "/products/0"),
        (good.replace("CVE-2026-0001", &long), "/vulnerability"),
        (good.replace(r#""name""#, &format!(r#""aliases": ["{long}"], "name""#)), "/vulnerability"),
    ] {
        let parsed = parsed(&document(&format!("{bad}, {good}")));
        assert_eq!(only(&parsed).locator.pointer, "/statements/1/products/0");
        let pointer = format!("/statements/0{pointer}");
        assert_eq!(findings(&parsed), [(Code::KeyTooLong, pointer.as_str())]);
    }
    let fits = products(&format!(r#"{{"@id": "{}"}}"#, &long[..1_020]));
    assert_eq!(findings(&parsed(&document(&fits))), []);
}

#[test]
fn members_that_the_schema_lacks_are_told_with_their_lines() {
    let text = document(
        "\n{\"vulnerability\": {\"name\": \"A\", \"x\": 1}, \"status\": \"fixed\", \"statement\": \"s\",\n\
         \"products\": [{\"@id\": \"urn:a\", \"supplier\": \"s\", \"hashes\": {\"blake3\": \"0\"},\n\
         \"identifiers\": {\"gitoid\": \"g\"}, \"subcomponents\": [{\"@id\": \"urn:b\", \"a/b~\": 1}]}]}",
    )
    .replace("\"author\"", "\"supplier\": \"s\", \"author\"");
    let parsed = parsed(&text);
    let found: Vec<_> = parsed
        .findings
        .iter()
        .map(|finding| (finding.code, finding.pointer.as_str(), finding.line.unwrap()))
        .collect();
    let unknown = |pointer, line| (Code::UnknownMember, pointer, line);
    assert_eq!(
        found,
        [
            unknown("/supplier", 1),
            unknown("/statements/0/statement", 4),
            unknown("/statements/0/vulnerability/x", 4),
            unknown("/statements/0/products/0/supplier", 5),
            unknown("/statements/0/products/0/identifiers/gitoid", 6),
            unknown("/statements/0/products/0/hashes/blake3", 5),
            unknown("/statements/0/products/0/subcomponents/0/a~1b~0", 6),
        ]
    );
    assert_eq!(only(&parsed).product.key, "iri:urn:a");
}

#[test]
fn a_misspelled_member_does_not_widen_a_claim() {
    let other = r#"{"@id": "pkg:npm/z"}"#;
    let part = r#"[{"@id": "pkg:npm/b"}]"#;
    for key in ["subcomponent", "Subcomponents", "sub_components", "components", "subcomponets"] {
        let text = products(&format!(r#"{{"@id": "pkg:npm/a", "{key}": {part}}}, {other}"#));
        let parsed = parsed(&document(&text));
        assert_eq!(keys(&parsed), ["purl:pkg:npm/z"], "{key}");
        let at = "/statements/0/products/0";
        let unknown = format!("{at}/{key}");
        let expected = [(Code::UnknownMember, unknown.as_str()), (Code::UnclearScope, at)];
        assert_eq!(findings(&parsed), expected, "{key}");
    }
    let empty = products(&format!(r#"{{"@id": "pkg:npm/a", "subcomponents": [], "subcomponent": {part}}}"#));
    assert_eq!(rejected(&document(&empty)).findings[1].code, Code::UnclearScope);
    // Beside subcomponents, nothing is widened; and an extension is no misspelling.
    let both =
        products(&format!(r#"{{"@id": "pkg:npm/a", "subcomponents": {part}, "subcomponent": {part}}}"#));
    assert_eq!(codes(&parsed(&document(&both))), "unknown_member 1");
    let extended = products(r#"{"@id": "pkg:npm/a", "supplier": "s", "comment": "c"}"#);
    assert_eq!(codes(&parsed(&document(&extended))), "unknown_member 2");

    let good = statement(r#""status": "fixed""#);
    let misspelled = good.replace(r#""status""#, r#""subcomponent": ["pkg:npm/b"], "status""#);
    let dropped = parsed(&document(&format!("{misspelled}, {good}")));
    assert_eq!(dropped.observations.len(), 1);
    assert_eq!(
        findings(&dropped),
        [(Code::UnknownMember, "/statements/0/subcomponent"), (Code::UnclearScope, "/statements/0")]
    );
    // In 0.0.1 members besides its own are no fault, but this is the form that has subcomponents there.
    let old = r#"{"vulnerability": "A", "products": ["pkg:npm/a"], "status": "fixed"}"#;
    let misspelled = old.replace(r#""status""#, r#""subcomponent": ["pkg:npm/b"], "status""#);
    let dropped = parsed(
        &document(&format!("{misspelled}, {old}")).replace("/v0.2.0", "").replace(": 1,", r#": "1","#),
    );
    assert_eq!(
        (findings(&dropped), dropped.observations.len()),
        (vec![(Code::UnclearScope, "/statements/0")], 1)
    );
}

#[test]
fn a_list_of_subcomponents_too_long_to_hold_is_read_as_a_short_one() {
    let list = |length: usize, faulty: &[&str], plain: fn(usize) -> String| {
        let plain = (faulty.len()..length).map(plain);
        faulty.iter().map(ToString::to_string).chain(plain).collect::<Vec<_>>().join(",")
    };
    // One without fault, one with a finding, two that are dropped.
    let own = |length: usize| {
        let nested = r#"{"@id": "urn:b", "subcomponents": [{"@id": "urn:c"}]}"#;
        let faulty = [r#"{"@id": "pkg:npm/a@1"}"#, r#"{"@id": "pkg:none"}"#, "{}", nested];
        let list = list(length, &faulty, |n| format!(r#"{{"@id": "urn:{n}"}}"#));
        document(&products(&format!(r#"{{"@id": "pkg:npm/p@1", "subcomponents": [{list}]}}"#)))
    };
    let shared = |length: usize| {
        let faulty = [r#""pkg:npm/a@1""#, r#""pkg:none""#, r#""""#, "1"];
        let list = list(length, &faulty, |n| format!(r#""urn:{n}""#));
        let statement = format!(
            r#"{{"vulnerability": "CVE-2026-0001", "products": ["pkg:npm/p@1"], "subcomponents": [{list}], "status": "fixed"}}"#
        );
        document(&statement).replace("ns/v0.2.0", "ns").replace(r#""version": 1"#, r#""version": "1""#)
    };
    for make in [&own as &dyn Fn(usize) -> String, &shared] {
        let (short, long) = (parsed(&make(100)), parsed(&make(3_000)));
        assert_eq!((short.observations.len(), long.observations.len()), (98, 2_998));
        assert!(!short.findings.is_empty());
        assert_eq!(findings(&short), findings(&long));
        for (short, long) in short.observations.iter().zip(&long.observations) {
            let (short, long) = (&short.observation, &long.observation);
            assert_eq!((&short.locator, &short.subcomponent), (&long.locator, &long.subcomponent));
        }
        let last = long.observations.last().unwrap().observation.subcomponent.as_ref().unwrap();
        assert_eq!(last.key, "iri:urn:2999");
        let too_long = make(3_000).replace("urn:2999", &format!("urn:{}", "x".repeat(1_021)));
        let dropped = rejected(&too_long).findings.into_iter().find(|found| found.code == Code::KeyTooLong);
        assert!(dropped.unwrap().pointer.ends_with("/subcomponents/2999"));
    }
}

#[test]
fn a_small_document_cannot_ask_for_many_times_its_size() {
    let list = |letter: char| {
        let names: Vec<String> = (0..100).map(|n| format!("\"{letter}{n}\"")).collect();
        names.join(",")
    };
    let text = format!(
        r#"{{"@context": "https://openvex.dev/ns", "statements": [{{"vulnerability": "A", "status": "affected",
            "action_statement": "{}", "products": [{}], "subcomponents": [{}]}}]}}"#,
        "x".repeat(10_000),
        list('p'),
        list('s')
    );
    let limits = ParseLimits { max_body_bytes: 10 << 20, ..ParseLimits::default() };
    let rejection = parse(text.as_bytes(), &limits).unwrap_err();
    assert_eq!(rejection.code, Code::TooManyClaims);
    assert!(rejection.pointer.starts_with("/statements/0/products/"));
}

#[test]
fn nesting_as_deep_as_the_strict_pass_permits_is_no_stack_overflow() {
    let nest =
        |open: &str, close: &str, depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    for (depth, code) in [(62, Code::NoUsableStatement), (63, Code::TooDeep)] {
        let deep = nest("{\"subcomponents\": [", "]}", depth);
        assert_eq!(rejected(&document(&products(&deep))).code, code, "{depth}");
    }
    let deep = nest("[", "]", 120);
    let ignored =
        document(&statement(&format!(r#""status": "fixed", "supplier": {deep}, "status_notes": {deep}"#)));
    assert_eq!(codes(&parsed(&ignored)), "wrong_type 2");
}

#[test]
fn what_is_not_openvex_is_named() {
    for (text, code, format) in [
        ("", Code::Empty, None),
        ("[]", Code::UnknownFormat, None),
        ("{}", Code::UnknownFormat, None),
        (r#"{"@context": "https://openvex.dev/nsx"}"#, Code::UnknownFormat, None),
        ("\u{feff} <bom/>", Code::UnsupportedFormat, None),
        (r#"{"bomFormat": "CycloneDX"}"#, Code::NoUsableStatement, Some(Format::CycloneDx)),
        (r#"{"document": {"csaf_version": "2.0"}}"#, Code::NoUsableStatement, Some(Format::Csaf)),
        (r#"{"document": {"tracking": {"id": "x"}}}"#, Code::NoUsableStatement, Some(Format::Csaf)),
        (
            r#"{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"}"#,
            Code::NoUsableStatement,
            Some(Format::Spdx3),
        ),
        (r#"{"spdxVersion": "SPDX-2.3"}"#, Code::UnsupportedFormat, None),
        (r#"{"payloadType": "x", "payload": ""}"#, Code::UnsupportedFormat, None),
        (r#"{"_type": "https://in-toto.io/Statement/v1"}"#, Code::UnknownFormat, None),
        (r#"{"@context": "https://openvex.dev/ns", "bomFormat": "CycloneDX"}"#, Code::AmbiguousFormat, None),
    ] {
        let rejection = rejected(text);
        assert_eq!((rejection.code, rejection.format), (code, format), "{text}");
    }
}

#[test]
fn the_size_limit_is_the_callers() {
    let text = document(&statement(r#""status": "fixed""#));
    let limits = ParseLimits::default();
    assert!(parse(text.as_bytes(), &ParseLimits { max_bytes: text.len(), ..limits }).is_ok());
    let rejection = parse(text.as_bytes(), &ParseLimits { max_bytes: text.len() - 1, ..limits }).unwrap_err();
    assert_eq!(rejection.code, Code::TooLarge);
}

/// Members of the schema that no claim is made of.
#[test]
fn members_of_another_type_or_form_are_told_wherever_they_stand() {
    let url = "https://acme.example/x";
    let whole = serde_json::json!({
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": url, "author": "ACME", "role": "vendor", "tooling": "x",
        "timestamp": "2026-03-01T10:00:00Z", "last_updated": "2026-03-01T10:00:00Z", "version": 1,
        "statements": [{
            "@id": url, "version": 1, "supplier": "ACME",
            "timestamp": "2026-03-01T10:00:00Z", "last_updated": "2026-03-01T10:00:00Z",
            "vulnerability": {"@id": url, "name": "CVE-2026-0001", "description": "x", "aliases": ["CVE-2026-0001"]},
            "products": [{
                "@id": url, "identifiers": {"purl": "pkg:npm/a@1"}, "hashes": {"sha-512": "ab"},
                "subcomponents": [{"@id": url}]
            }],
            "status": "affected", "status_notes": "x", "action_statement": "x",
            "action_statement_timestamp": "2026-03-01T10:00:00Z", "impact_statement": "x"
        }]
    });
    assert_eq!(codes(&parsed(&whole.to_string())), "");
    let mut pointers = Vec::new();
    every_pointer(&whole, String::new(), &mut pointers);
    assert!(pointers.len() > 30, "{pointers:?}");
    for pointer in &pointers {
        let told = |value: serde_json::Value| {
            let mut document = whole.clone();
            *document.pointer_mut(pointer).unwrap() = value;
            match parse(document.to_string().as_bytes(), &ParseLimits::default()) {
                Ok(parsed) => parsed.findings.into_iter().map(|found| found.code).collect(),
                Err(rejection) => vec![rejection.code],
            }
        };
        // A number, where none may stand; null is another type too.
        let wrong = if pointer.ends_with("/version") { "true" } else { "5" };
        assert!(!told(serde_json::from_str(wrong).unwrap()).is_empty(), "{wrong} was taken at {pointer}");
        assert!(!told(serde_json::Value::Null).is_empty(), "null was taken at {pointer}");
        if pointer.ends_with("/@id") {
            assert_eq!(told("no IRI".into()), [Code::BadId], "{pointer}");
        }
        if pointer.ends_with("/timestamp") || pointer.ends_with("_updated") || pointer.ends_with("_timestamp")
        {
            assert_eq!(told("2026-03-01 10:00:00Z".into()), [Code::TimeForm], "{pointer}");
            assert_eq!(told("2026-03-01".into()), [Code::BadTimestamp], "{pointer}");
        }
    }
    let mut document = whole.clone();
    for (version, expected) in [
        ("0", "bad_version 1"),
        ("-1", "bad_version 1"),
        ("1.5", "bad_version 1"),
        (r#""1""#, "bad_version 1"),
    ] {
        document["statements"][0]["version"] = serde_json::from_str(version).unwrap();
        assert_eq!(codes(&parsed(&document.to_string())), expected, "{version}");
    }
}

fn every_pointer(value: &serde_json::Value, pointer: String, out: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            members.iter().for_each(|(key, value)| every_pointer(value, format!("{pointer}/{key}"), out));
        }
        serde_json::Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(n, value)| every_pointer(value, format!("{pointer}/{n}"), out));
        }
        _ => {}
    }
    if !pointer.is_empty() {
        out.push(pointer);
    }
}

#[test]
fn each_statement_with_a_space_in_its_time_is_told() {
    let one = statement(r#""status": "fixed", "timestamp": "2026-03-01 10:00:00Z""#);
    let other = one.replace("npm/a", "npm/b");
    assert_eq!(codes(&parsed(&document(&format!("{one}, {other}")))), "time_form 2");
}

/// What the schema wants to be unique: statements, products, subcomponents and aliases.
#[test]
fn elements_that_a_list_has_before_are_told() {
    let twice = parsed(&document(&vec![statement(r#""status": "fixed""#); 2].join(", ")));
    assert_eq!(findings(&twice), [(Code::RepeatedElement, "/statements/1")]);
    assert_eq!(twice.observations.len(), 2);
    // In another order of members.
    let turned = r#"{"status": "fixed", "products": [{"@id": "pkg:npm/a@1"}], "vulnerability": {"name": "CVE-2026-0001"}}"#;
    let statements =
        [turned, &statement(r#""status": "fixed", "status_notes": "x""#), &statement(r#""status": "fixed""#)];
    let turned = parsed(&document(&statements.map(str::to_owned).join(", ")));
    assert_eq!(findings(&turned), [(Code::RepeatedElement, "/statements/2")]);
    for (list, expected) in [
        (
            r#"{"@id": "pkg:npm/a@1"}, {"@id": "pkg:npm/b@1"}, {"@id": "pkg:npm/a@1"}"#,
            Some("/statements/0/products/2"),
        ),
        (r#"{"@id": "pkg:npm/a@1"}, {"identifiers": {"purl": "pkg:npm/a@1"}}"#, None),
        (
            r#"{"@id": "pkg:npm/a@1", "subcomponents": [{"@id": "pkg:npm/b"}, {"@id": "pkg:npm/b"}]}"#,
            Some("/statements/0/products/0/subcomponents/1"),
        ),
        (
            r#"{"@id": "pkg:npm/a@1", "subcomponents": [{"@id": "pkg:npm/b"}]}, {"@id": "pkg:npm/a@1", "subcomponents": [{"@id": "pkg:npm/b"}, {"@id": "pkg:npm/c"}]}"#,
            None,
        ),
    ] {
        let parsed = parsed(&document(&products(list)));
        let expected: Vec<_> = expected.into_iter().map(|at| (Code::RepeatedElement, at)).collect();
        assert_eq!(findings(&parsed), expected, "{list}");
    }
    for (aliases, is_told) in [(r#""A", "B""#, false), (r#""A", "B", "A""#, true)] {
        let statement = statement(r#""status": "fixed""#).replace(
            r#""name": "CVE-2026-0001""#,
            &format!(r#""name": "CVE-2026-0001", "aliases": [{aliases}]"#),
        );
        let at = "/statements/0/vulnerability/aliases";
        let expected: &[_] = if is_told { &[(Code::RepeatedElement, at)] } else { &[] };
        assert_eq!(findings(&parsed(&document(&statement))), expected);
    }
    let many: Vec<_> = (0..40).map(|n| format!(r#""A-{}""#, n % 39)).collect();
    let many = statement(r#""status": "fixed""#).replace(
        r#""name": "CVE-2026-0001""#,
        &format!(r#""name": "CVE-2026-0001", "aliases": [{}]"#, many.join(", ")),
    );
    assert_eq!(codes(&parsed(&document(&many))), "repeated_element 1");
}
