//! CSAF documents: every published one of the corpus, and what claims are made of.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails, fails its test")]

mod csaf_common;

use std::collections::BTreeMap;

use csaf_common::{file, get, parsed, rejected, vex20, vex21, with, without};
use proptest::prelude::*;
use provex_core::digest::Digest;
use provex_core::vex::{AssertedAtSource, ComponentKind, Format, Observation, Response, Status};
use provex_formats::{Code, KeyKind, ParseLimits, Parsed, Retirement, parse};
use serde_json::{Value, json};

/// File, claims by status, claims about composed products, and findings by code.
///
/// The claims were counted by `testdata/vex/count_csaf.py`, which knows nothing of provex. The findings were looked at
/// one by one: grype's document gives no reason, claircore's has one product without a remediation, two of trustify's
/// (older Red Hat) documents call themselves version 1 after a history to 2 and 3, one defines 200 ids twice, walker's
/// names a product `notexits-...`, and the 2.1 example keeps the vendor fix of fixed products that later drafts forbid and
/// says of no product why it is not affected. SecObserve calls a vulnerability `CVE-vulnerability_2`, chainloop's 2.1 has
/// neither `$schema` nor `distribution`, and no schema has the status `deleted`.
#[rustfmt::skip]
const CORPUS: [(&str, [usize; 5], usize, &str); 59] = [
    ("csaf20/ciq_cve-2022-40982.json", [0, 0, 6, 0, 0], 6, ""),
    ("csaf20/ciq_cve-2023-1252.json", [0, 0, 189, 0, 0], 189, ""),
    ("csaf20/ciq_cve-2024-0853.json", [0, 1, 0, 0, 0], 1, ""),
    ("csaf20/ciq_cve-2025-38684.json", [0, 0, 61, 0, 0], 61, ""),
    ("csaf20/ciq_cve-2026-32280.json", [0, 0, 26, 0, 0], 26, ""),
    ("csaf20/ciq_cve-2026-35094.json", [0, 1, 0, 0, 0], 1, ""),
    ("csaf20/cisa_icsa-20-154-01.json", [10, 0, 0, 0, 0], 0, ""),
    ("csaf20/cisa_icsa-22-298-02.json", [1, 0, 0, 0, 0], 0, ""),
    ("csaf20/cisa_va-24-201-01.json", [8, 0, 3, 0, 0], 0, ""),
    ("csaf20/cisa_va-24-262-01.json", [1, 0, 1, 0, 0], 0, ""),
    ("csaf20/grype_csaf-vex.json", [0, 1, 1, 0, 0], 2, "unjustified 1"),
    ("csaf20/guac_rhsa-csaf.json", [1, 0, 35, 0, 0], 36, ""),
    ("csaf20/oasis_2022-evd-uc-01-a-001.json", [1, 0, 0, 0, 0], 0, ""),
    ("csaf20/oasis_2022-evd-uc-01-f-001.json", [0, 0, 1, 0, 0], 0, ""),
    ("csaf20/oasis_2022-evd-uc-01-na-001.json", [0, 1, 0, 0, 0], 0, ""),
    ("csaf20/oasis_2022-evd-uc-01-ui-001.json", [0, 0, 0, 1, 0], 0, ""),
    ("csaf20/oasis_2022-evd-uc-02-na-001.json", [0, 19, 0, 0, 0], 0, ""),
    ("csaf20/oasis_2022-evd-uc-03-ms-001.json", [5, 6, 3, 5, 0], 0, ""),
    ("csaf20/oasis_2022-evd-uc-04-001.json", [3, 0, 0, 0, 0], 0, ""),
    ("csaf20/oasis_2022-evd-uc-05-001.json", [0, 0, 0, 1, 0], 0, ""),
    ("csaf20/oasis_2022-evd-uc-06-001.json", [3, 4, 0, 0, 0], 0, ""),
    ("csaf20/oasis_2022-evd-uc-07-001.json", [4, 5, 1, 0, 0], 0, ""),
    ("csaf20/oasis_2022-evd-uc-08-001.json", [8, 10, 3, 0, 0], 0, ""),
    ("csaf20/oasis_2022-evd-uc-09-001.json", [2, 2, 0, 0, 0], 0, ""),
    ("csaf20/oasis_bsi-2022-0001.json", [5, 0, 2, 0, 0], 0, ""),
    ("csaf20/oasis_sec-vex-2022-0001.json", [0, 3, 0, 0, 0], 0, ""),
    ("csaf20/redhat_claircore_cve-2023-4154.json", [0, 165, 0, 0, 0], 165, ""),
    ("csaf20/redhat_claircore_cve-2024-24786-illegal-module.json", [1, 0, 0, 0, 0], 1, "missing_action 1"),
    ("csaf20/redhat_claircore_cve-2024-24786-simple.json", [0, 0, 1, 0, 0], 1, ""),
    ("csaf20/redhat_claircore_cve-2025-6176.json", [4, 93, 870, 0, 0], 967, ""),
    ("csaf20/redhat_claircore_cve-2026-0968.json", [13, 8, 0, 0, 0], 21, ""),
    ("csaf20/redhat_claircore_cve-2026-27142.json", [32, 1, 4, 0, 0], 37, ""),
    ("csaf20/redhat_claircore_delete_CVE-2023-0030.json", [0, 0, 0, 0, 0], 0, "missing_issuer 1, missing_timestamp 1, missing_version 1, unknown_term 1"),
    ("csaf20/secobserve_csaf_given_vulnerability.json", [1, 0, 0, 1, 0], 2, "bad_id 1"),
    ("csaf20/secobserve_csaf_given_vulnerability_update.json", [2, 0, 0, 0, 0], 2, "bad_id 1"),
    ("csaf20/secobserve_so_csaf_2020_0001_0001.json", [11, 1, 0, 1, 0], 13, ""),
    ("csaf20/trivy_csaf-relationships.json", [0, 1, 0, 0, 0], 1, ""),
    ("csaf20/trustify_CVE-2023-20862.json", [13, 9, 0, 0, 0], 22, "version_not_latest 1"),
    ("csaf20/trustify_CVE-2024-34502.json", [1, 0, 0, 0, 0], 1, ""),
    ("csaf20/trustify_CVE-2024-5154.json", [1, 555, 65, 0, 0], 621, "ambiguous_product 200"),
    ("csaf20/trustify_cve-2023-0044.json", [1, 9, 2, 0, 0], 10, "version_not_latest 1"),
    ("csaf20/trustify_rhsa-2023_5835.json", [0, 0, 12, 0, 0], 12, ""),
    ("csaf20/trustify_ssa-054046.json", [138, 0, 0, 0, 0], 0, ""),
    ("csaf20/walker_rhsa-2021_3029.json", [0, 0, 54, 0, 0], 53, "undefined_product 1"),
    ("csaf21/chainloop_csaf_vex_v0.2.1.json", [5, 6, 3, 5, 0], 0, "missing_member 2"),
    ("csaf21/csd01_rhsa-2021_5186.json", [0, 4, 2, 0, 0], 6, "misplaced_remediation 2, unjustified 2"),
    ("csaf21/oasis_2022-evd-uc-01-a-001.json", [1, 0, 0, 0, 0], 0, ""),
    ("csaf21/oasis_2022-evd-uc-01-f-001.json", [0, 0, 1, 0, 0], 0, ""),
    ("csaf21/oasis_2022-evd-uc-01-na-001.json", [0, 1, 0, 0, 0], 0, ""),
    ("csaf21/oasis_2022-evd-uc-01-ui-001.json", [0, 0, 0, 1, 0], 0, ""),
    ("csaf21/oasis_2022-evd-uc-02-na-001.json", [0, 19, 0, 0, 0], 0, ""),
    ("csaf21/oasis_2022-evd-uc-03-ms-001.json", [5, 6, 3, 5, 0], 0, ""),
    ("csaf21/oasis_2022-evd-uc-04-001.json", [3, 0, 0, 0, 0], 0, ""),
    ("csaf21/oasis_2022-evd-uc-05-001.json", [0, 0, 0, 1, 0], 0, ""),
    ("csaf21/oasis_bsi-2022-0001.json", [5, 0, 2, 0, 0], 0, ""),
    ("csaf21/oasis_csaf_tc-csaf_2_1-2024-6-1-27-08-11.json", [0, 3, 0, 0, 0], 0, ""),
    ("csaf21/oasis_csaf_tc-csaf_2_1-2024-6-1-27-08-12.json", [0, 11, 0, 0, 0], 0, ""),
    ("csaf21/oasis_csaf_tc-csaf_2_1-2024-6-1-27-18-11.json", [0, 0, 0, 0, 0], 0, ""),
    ("csaf21/oasis_csaf_tc-csaf_2_1-2024-6-1-27-19-11.json", [0, 0, 0, 0, 0], 0, ""),
];

#[test]
fn every_published_document_gives_the_claims_that_jq_and_python_count() {
    for (name, statuses, composed, findings) in CORPUS {
        let found = parse(&file(name), &ParseLimits::default()).unwrap();
        let count = |status| found.observations.iter().filter(|o| o.observation.status == status).count();
        let order = [
            Status::Affected,
            Status::NotAffected,
            Status::Fixed,
            Status::UnderInvestigation,
            Status::Unknown,
        ];
        assert_eq!(order.map(count), statuses, "{name}");
        let parts = found.observations.iter().filter(|o| o.observation.subcomponent.is_some()).count();
        assert_eq!(parts, composed, "{name}");
        assert_eq!(codes(&found), findings, "{name}");
        assert_eq!(found.document.format, Format::Csaf);
        check_identities(&found, name);
    }
}

/// Ids are digests of bodies, bodies are canonical, no two are equal, and locators lead to the product id.
fn check_identities(found: &Parsed, name: &str) {
    let mut ids: Vec<_> = found.observations.iter().map(|o| o.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), found.observations.len(), "{name}");
    let source: Value = serde_json::from_slice(&file(name)).unwrap();
    for parsed in found.observations.iter().step_by(37) {
        let observation = Observation::from_body(&parsed.body()).unwrap();
        assert_eq!(observation, parsed.observation, "{name}");
        assert_eq!(
            (observation.id(), observation.claim_digest()),
            (parsed.id, parsed.claim_digest()),
            "{name}"
        );
        let pointer = &observation.locator.pointer;
        assert!(source.pointer(pointer).is_some_and(Value::is_string), "{name} {pointer}");
        assert!(pointer.contains(&*observation.native_status), "{name} {pointer}");
    }
}

fn codes(parsed: &Parsed) -> String {
    let mut counts = BTreeMap::<&str, u64>::new();
    for finding in &parsed.findings {
        *counts.entry(finding.code.label()).or_default() += 1;
    }
    let counts: Vec<_> = counts.into_iter().map(|(code, count)| format!("{code} {count}")).collect();
    counts.join(", ")
}

/// Documents whose statuses are about vulnerabilities without a name, or that have none.
#[test]
fn a_document_without_a_claim_is_rejected() {
    for name in ["d-11", "d-12", "d-13", "d-14"] {
        let bytes = file(&format!("csaf21/oasis_oasis_csaf_tc-csaf_2_1-2024-{name}.json"));
        assert_eq!(
            parse(&bytes, &ParseLimits::default()).unwrap_err().code,
            Code::NoUsableStatement,
            "{name}"
        );
    }
    let bytes = file("csaf21/csd01_oasis_csaf_tc-csaf_2_1-2024-6-1-27-13-14.json");
    let rejection = parse(&bytes, &ParseLimits::default()).unwrap_err();
    assert_eq!((rejection.code, rejection.pointer.as_str()), (Code::NoUsableStatement, "/vulnerabilities/0"));
    assert_eq!(rejection.findings[0].code, Code::MissingVulnerability);
    assert!(rejection.findings[0].line.is_some());
    let bytes = file("invalid/gocsaf_trailing-garbage_avendor-advisory-0004.json");
    assert_eq!(parse(&bytes, &ParseLimits::default()).unwrap_err().code, Code::TrailingData);
}

/// First, middle and last claim of a document, by id and claim digest.
#[test]
fn identities_do_not_change() {
    for (name, expected) in GOLDEN {
        let found = parse(&file(name), &ParseLimits::default()).unwrap();
        let last = found.observations.len() - 1;
        let found = [0, last / 2, last].map(|n| {
            let parsed = &found.observations[n];
            format!("{} {}", parsed.id.digest().to_hex(), parsed.claim_digest().digest().to_hex())
        });
        assert_eq!(found, expected, "{name}");
    }
}

/// Computed from the bodies by a Python script with its own JSON writer.
#[rustfmt::skip]
const GOLDEN: [(&str, [&str; 3]); 3] = [
    ("csaf20/redhat_claircore_cve-2025-6176.json", [
        "aa13ac3d484e818940af450d24698e88afcb1e189ec6fc638e28adf97d21f7fe f2ac396322bcbac8476f07943cd42c94437e7e7c234b261e65392f7380915555",
        "a1b3553b96f13fb308c0b370df9d4e945a496fab8155108020ad922e23b1cb4a af1450c93a219e1ce4f723dcb358706636721264ff3967c282febc98e8d08a66",
        "d324f205d841b25f3fddad46c8e5d47e1efd1bf25ac23f7c412df65439bc8ade 3ea396fd29f52f3108d4c4464e1ec4b8d659aba5123683509eb93b2ac3d88be8",
    ]),
    ("csaf20/cisa_va-24-201-01.json", [
        "7506e84a572f0dcd89f67a00c7d85ba9a2e90a6eafbc9a7ae7394af32ed3132d f7424615b755ab026e75242f78df34c0aa4dce9fa7acb19675a18d8fd900f4e9",
        "b25e9992d252ce7e6bcf347ab175383ba1b462b7eff7928c5333e0e464c0c268 ec54dc2da66cc973c2aa81df05c84bf6dd77fa4483ffbef5f81d676c4586ab0f",
        "dcb4210972be7d8689f7067611a8e2400b48981c2a40a1130d5d506198e374c8 b4dc1920d89f03ce4b6e48af7f4ed3711051bdab1cb4a3ecf00d7152dea3b988",
    ]),
    ("csaf21/oasis_csaf_tc-csaf_2_1-2024-6-1-27-08-12.json", [
        "0cb0b02b5067cfcd1a83ad6cd0e78f8056d046eb6a50204e147a344f629cb8dc e53bb9e29ade0af4d867c9a035c474a1c8c6fa2e6423e528cef06281a13d5eb5",
        "040df9115dcdae71083e9195c1998796ed30119d234368e1985119e6c49a1ece 025afaef82931e343cf7dad7c4be640f58492712460972bcd4fcac1548e0ba1f",
        "9a8011b27f877c2988241b24e7b46d5aa03213a1ae6fcfbe04e54f25228a4dd5 1a1be277b25f4592477257d7099671cd4c9b7e37ff3051f549d9101eaff51dc1",
    ]),
];

#[test]
fn a_claim_has_what_its_document_says() {
    let found = parsed(&vex20());
    assert_eq!(found.observations.len(), 2);
    let facts = &found.document;
    assert_eq!(facts.spec_version.as_deref(), Some("2.0"));
    assert_eq!((facts.id.as_deref(), facts.revision.as_deref()), (Some("ACME-1"), Some("2")));
    assert_eq!(facts.stated_at.as_deref(), Some("2026-02-01T09:00:00.500000000Z"));
    let issuer = facts.issuer.as_ref().unwrap();
    assert_eq!((issuer.scheme.as_str(), issuer.id.as_str()), ("csaf", "https://acme.example"));

    let affected = get(&found, "/vulnerabilities/0/product_status/known_affected/0");
    assert_eq!((affected.status, affected.native_status.as_ref()), (Status::Affected, "known_affected"));
    assert_eq!(affected.product.key, "csaf-name:https://acme.example/ACME/App/vers:generic%2F<2");
    assert_eq!((affected.version_scope.as_deref(), affected.locator.index), (None, 0));
    assert_eq!(affected.action.text.as_deref(), Some("Update."));
    assert_eq!(affected.action.responses, [Response::Update]);
    assert_eq!(affected.asserted_at_source, AssertedAtSource::Document);
    assert_eq!(affected.asserted_at, facts.stated_at);

    let unaffected = get(&found, "/vulnerabilities/0/product_status/known_not_affected/0");
    assert_eq!(unaffected.product.key, "cpe23:cpe:2.3:o:acme:os:9:*:*:*:*:*:*:*");
    assert_eq!(unaffected.subcomponent.as_ref().unwrap().key, "purl:pkg:rpm/acme/lib@1.0");
    assert_eq!(unaffected.justification.as_ref().unwrap().native, "vulnerable_code_not_present");
}

/// The dialects of 2.1 and 2.0 say the same, so their claims are the same.
#[test]
fn all_dialects_make_the_same_claims() {
    let claims = |document: &Value| -> Vec<_> {
        parsed(document).observations.into_iter().map(|claim| claim.claim_digest()).collect()
    };
    let relationships = vex20().pointer("/product_tree/relationships").unwrap().clone();
    let first_draft = without(vex21(), "/product_tree/product_paths");
    let first_draft = with(first_draft, "/product_tree/relationships", relationships);
    assert_eq!(claims(&vex21()), claims(&vex20()));
    assert_eq!(claims(&first_draft), claims(&vex20()));
    // Whatever it calls itself.
    let paths = with(vex21(), "/document/csaf_version", json!("2.0"));
    assert_eq!(claims(&paths), claims(&vex20()));
    let future = with(vex21(), "/document/csaf_version", json!("2.2"));
    assert_eq!(claims(&future), claims(&vex20()));
    assert_eq!(codes(&parsed(&paths)), "spec_version_mismatch 3");
    assert_eq!(codes(&parsed(&future)), "unknown_spec_version 1");
}

/// Adds relationships between `OS`, `LIB` and `APP` and states that `id` is fixed.
fn composed(parts: &[[&str; 3]], id: &str) -> Value {
    let mut document = with(vex20(), "/vulnerabilities/0/product_status", json!({"fixed": [id]}));
    for [id, component, host] in parts {
        let relationship = json!({
            "category": "installed_on",
            "full_product_name": {"product_id": id, "name": id},
            "product_reference": component,
            "relates_to_product_reference": host
        });
        document = with(document, "/product_tree/relationships/-", relationship);
    }
    document
}

#[test]
fn chains_go_from_the_component_to_the_outermost_host() {
    let left = parsed(&composed(&[["X", "OS:LIB", "APP"]], "X"));
    let right = parsed(&composed(&[["Y", "OS", "APP"], ["X", "LIB", "Y"]], "X"));
    assert_eq!(left.observations[0].claim_digest(), right.observations[0].claim_digest());
    let claim = &left.observations[0].observation;
    assert_eq!(claim.product.kind, ComponentKind::CsafName);
    let component = claim.subcomponent.as_ref().unwrap();
    assert_eq!(component.key, "purl:pkg:rpm/acme/lib@1.0");
    // The host between them keeps two chains apart.
    let via = component.identifiers.iter().find(|identifier| identifier.kind == "via").unwrap();
    assert_eq!(via.value, "cpe23:cpe:2.3:o:acme:os:9:*:*:*:*:*:*:*");
    let short = parsed(&composed(&[["X", "LIB", "APP"]], "X"));
    assert_ne!(short.observations[0].claim_digest(), left.observations[0].claim_digest());
}

#[test]
fn a_circle_keeps_its_claim_with_a_key_of_its_own() {
    let document = composed(&[["X", "LIB", "Y"], ["Y", "X", "OS"]], "X");
    let found = parsed(&document);
    assert_eq!(codes(&found), "circular_product 1");
    let claim = &found.observations[0].observation;
    assert_eq!(claim.product.key, "csaf-local:https://acme.example|ACME-1|X");
    assert_eq!(claim.subcomponent, None);
}

#[test]
fn what_identifies_a_composition_finds_it_and_gives_no_key() {
    let helper = "/product_tree/relationships/0/full_product_name/product_identification_helper";
    let found = parsed(&with(vex20(), helper, json!({"purl": "pkg:generic/both@1"})));
    let parsed = &found.observations[1];
    let component = parsed.observation.subcomponent.as_ref().unwrap();
    assert_eq!(component.key, "purl:pkg:rpm/acme/lib@1.0");
    assert!(component.identifiers.iter().any(|identifier| identifier.value == "pkg:generic/both@1"));
    assert!(
        parsed.keys().iter().any(|key| key.kind == KeyKind::Identifier && key.key == "pkg:generic/both@1")
    );
}

#[test]
fn a_product_id_that_is_not_defined_is_kept_with_a_local_key() {
    let found = parsed(&with(vex20(), "/vulnerabilities/0/product_status", json!({"fixed": ["A|B%"]})));
    let claim = &found.observations[0].observation;
    assert_eq!(claim.product.key, "csaf-local:https://acme.example|ACME-1|A%7CB%25");
    assert_eq!(claim.product.kind, ComponentKind::CsafLocal);
    assert_eq!(codes(&found), "undefined_product 1");
}

#[test]
fn an_id_defined_twice_has_the_identifiers_of_both() {
    let again = json!([{"product_id": "OS", "name": "OS", "product_identification_helper": {"cpe": "cpe:/o:acme:os:10"}}]);
    let found = parsed(&with(vex20(), "/product_tree/full_product_names", again));
    let claim = get(&found, "/vulnerabilities/0/product_status/known_not_affected/0");
    let values: Vec<_> = claim.product.identifiers.iter().map(|found| found.value.as_str()).collect();
    assert_eq!(values, ["cpe:/o:acme:os:10", "cpe:/o:acme:os:9"]);
    assert_eq!(claim.product.key, "cpe23:cpe:2.3:o:acme:os:9:*:*:*:*:*:*:*");
    assert!(codes(&found).starts_with("ambiguous_product"));
}

/// Each kind of identifier, and the key and version scope of a product that has it.
#[test]
fn helpers_give_keys() {
    let sha256 = "ab".repeat(32);
    let hash =
        |value: &str| json!({"filename": "f", "file_hashes": [{"algorithm": "sha256", "value": value}]});
    let digest = format!("digest:sha256:{sha256}");
    for (helper, key, scope) in [
        (
            json!({"cpe": "cpe:2.3:a:acme:app:*:*:*:*:*:*:*:*"}),
            "cpe23:cpe:2.3:a:acme:app:*:*:*:*:*:*:*:*",
            true,
        ),
        (json!({"purl": "pkg:npm/App"}), "purl:pkg:npm/App", true),
        (json!({"hashes": [hash(&sha256)], "purl": "pkg:npm/App"}), &digest, false),
        (json!({"hashes": [hash(&sha256), hash(&sha256)], "skus": ["S 1"]}), "sku:ACME/S 1", true),
        (json!({"model_numbers": ["M*"], "serial_numbers": ["1"]}), "model:ACME/M*", true),
        (
            json!({"x_generic_uris": [{"namespace": "n", "uri": "urn:cdx:x/1#a"}]}),
            "bomlink:urn:cdx:x/1#a",
            true,
        ),
        (json!({"x_generic_uris": [{"namespace": "n", "uri": "https://a/b"}]}), "iri:https://a/b", true),
        (
            json!({"sbom_urls": ["https://a/b"], "serial_numbers": ["1"]}),
            "csaf-name:https://acme.example/ACME/App/vers:generic%2F<2",
            false,
        ),
    ] {
        let app = "/product_tree/branches/0/branches/2/branches/0/product/product_identification_helper";
        let found = parsed(&with(vex20(), app, helper.clone()));
        let claim = &found.observations[0].observation;
        assert_eq!(claim.product.key, key, "{helper}");
        assert_eq!(claim.version_scope.is_some(), scope, "{helper}");
    }
}

/// What a vendor or a tracker numbers is a number beside others' of the same value.
#[test]
fn numbers_of_two_documents_do_not_meet() {
    let helper = |helper: Value| {
        let product = json!([{"product_id": "APP", "name": "App", "product_identification_helper": helper}]);
        let tree = json!({"full_product_names": product});
        let document = with(vex20(), "/product_tree", tree);
        with(document, "/vulnerabilities/0/product_status", json!({"known_affected": ["APP"]}))
    };
    let key = |document: &Value| parsed(document).observations[0].observation.product.key.clone();
    for numbers in [json!({"skus": ["100"]}), json!({"model_numbers": ["M-1"]})] {
        assert_eq!(key(&helper(numbers)), "csaf-local:https://acme.example|ACME-1|APP");
    }
    let nameless = without(helper(json!({})), "/document/publisher/namespace");
    for document in [without(helper(json!({})), "/document/tracking/id"), nameless] {
        let digest = Digest::of(document.to_string().as_bytes()).to_hex();
        assert!(key(&document).ends_with(&format!("|sha256:{digest}|APP")), "{}", key(&document));
    }
    assert!(key(&without(vex20(), "/document/publisher/namespace")).starts_with("csaf-local:"));
}

#[test]
fn an_id_of_a_tracker_is_named_with_the_tracker() {
    for (system, text, id) in [
        ("Bugzilla", "12345", "Bugzilla|12345"),
        ("JIRA", " 12345 ", "JIRA|12345"),
        ("a|b", "c%", "a%7Cb|c%25"),
        ("CVE", "cve-2026-0009", "CVE-2026-0009"),
        ("GitHub", "GHSA-aaaa-bbbb-cccc", "GHSA-aaaa-bbbb-cccc"),
        ("Bugzilla", "https://bugs.example/1", "https://bugs.example/1"),
        ("Go", "GO-", "Go|GO-"),
    ] {
        let ids = json!([{"system_name": system, "text": text}]);
        let document = without(with(vex20(), "/vulnerabilities/0/ids", ids), "/vulnerabilities/0/cve");
        assert_eq!(parsed(&document).observations[0].observation.vulnerability.id, id);
    }
}

#[test]
fn branches_that_tell_products_apart_are_in_the_key() {
    let app = "/product_tree/branches/0/branches/2/branches/0";
    let product = json!({"product_id": "APP", "name": "App"});
    let architecture = json!({
        "category": "product_version", "name": "2/1=a",
        "branches": [{"category": "architecture", "name": "arm", "product": product}]
    });
    let found = parsed(&with(vex20(), app, architecture));
    assert_eq!(
        found.observations[0].observation.product.key,
        "csaf-name:https://acme.example/ACME/App/2%2F1%3Da/architecture=arm"
    );
    let flat = json!([{"product_id": "APP", "name": "App"}]);
    let tree =
        without(with(vex20(), app, json!({"category": "x", "name": "y"})), "/product_tree/product_groups");
    let found = parsed(&with(tree, "/product_tree/full_product_names", flat));
    assert_eq!(found.observations[0].observation.product.key, "csaf-local:https://acme.example|ACME-1|APP");
}

#[test]
fn a_product_that_is_read_again_is_the_same() {
    // More than are kept.
    let count = 5_000;
    let helper = |n: usize| match n % 7 {
        0 => json!({"purl": format!("pkg:{n}")}),
        1 => json!({"skus": [n.to_string()]}),
        2 => json!({"cpe": format!("cpe:/a:acme:p{n}")}),
        _ => json!({"purl": format!("pkg:generic/p{n}@1")}),
    };
    let product = |n: usize| {
        json!({"category": "product_version", "name": n.to_string(), "product": {"product_id": format!("P{n}"),
            "name": format!("Product {n}"), "product_identification_helper": helper(n)}})
    };
    let mut branches: Vec<_> = (0..count).map(product).collect();
    branches.push(
        json!({"category": "product_version", "name": "again", "product": {"product_id": "P3", "name": "3",
        "product_identification_helper": {"skus": ["three"]}}}),
    );
    let composed = |id: &str, [part, host]: [&str; 2], helper: Value| {
        json!({"category": "default_component_of", "full_product_name": {"product_id": id, "name": id,
            "product_identification_helper": helper}, "product_reference": part, "relates_to_product_reference": host})
    };
    let tree = json!({
        "branches": [{"category": "vendor", "name": "ACME", "branches": branches}],
        "relationships": [
            composed("C", ["P3", "P4"], json!({})),
            composed("D", ["C", "P8"], json!({"skus": ["d"]})),
            composed("E", ["P1", "E"], json!({"purl": "pkg:"})),
        ],
    });
    let ids: Vec<_> = (0..count).map(|n| format!("P{n}")).chain(["C", "D", "E"].map(str::to_owned)).collect();
    let claims = |cve: &str| json!({"cve": cve, "product_status": {"fixed": ids}});
    let document = with(vex20(), "/product_tree", tree);
    let found =
        parsed(&with(document, "/vulnerabilities", json!([claims("CVE-2026-1"), claims("CVE-2026-2")])));
    let (first, second) = found.observations.split_at(count + 3);
    for (first, second) in first.iter().zip(second) {
        let (first, second) = (&first.observation, &second.observation);
        assert_eq!(first.product, second.product);
        assert_eq!(first.subcomponent, second.subcomponent);
        assert_eq!(first.version_scope, second.version_scope);
    }
    let bad_purls = found.findings.iter().filter(|finding| finding.code == Code::BadPurl);
    assert_eq!(bad_purls.count(), count.div_ceil(7) + 1);
    let of_d = get(&found, &format!("/vulnerabilities/0/product_status/fixed/{}", count + 1));
    assert_eq!((of_d.product.key.as_str(), ids[count + 1].as_str()), ("sku:ACME/8", "D"));
    let values: Vec<_> =
        of_d.subcomponent.as_ref().unwrap().identifiers.iter().map(|found| found.value.as_str()).collect();
    assert_eq!(values, ["pkg:generic/p3@1", "d", "three", "purl:pkg:generic/p4@1"]);
}

#[test]
fn severities_are_no_impact_statement() {
    let threats = |details: Value| {
        let threats = json!([{"category": "impact", "details": details, "product_ids": ["OS:LIB", "APP"]}]);
        parsed(&with(without(vex20(), "/vulnerabilities/0/flags"), "/vulnerabilities/0/threats", threats))
    };
    let found = threats(json!("Not reachable."));
    let unaffected = get(&found, "/vulnerabilities/0/product_status/known_not_affected/0");
    assert_eq!(unaffected.impact.as_deref(), Some("Not reachable."));
    assert_eq!(get(&found, "/vulnerabilities/0/product_status/known_affected/0").impact, None);
    assert_eq!(codes(&found), "");
    let found = threats(json!("Moderate"));
    assert_eq!(found.observations[1].observation.impact, None);
    assert_eq!(codes(&found), "unjustified 1");
}

#[test]
fn the_assessment_has_its_own_time() {
    let date = "/vulnerabilities/0/flags/0/date";
    let unaffected = "/vulnerabilities/0/product_status/known_not_affected/0";
    let found = parsed(&with(vex20(), date, json!("2025-12-24T18:00:00+01:00")));
    let claim = get(&found, unaffected);
    assert_eq!(claim.asserted_at.as_deref(), Some("2025-12-24T17:00:00.000000000Z"));
    assert_eq!(claim.asserted_at_source, AssertedAtSource::Statement);
    // One that cannot be read is not replaced by the document's.
    let found = parsed(&with(vex20(), date, json!("yesterday")));
    assert_eq!(get(&found, unaffected).asserted_at_source, AssertedAtSource::None);
    // A remediation's date is not when its claim was made.
    let found =
        parsed(&with(vex20(), "/vulnerabilities/0/remediations/0/date", json!("2020-01-01T00:00:00Z")));
    assert_eq!(found.observations[0].observation.asserted_at_source, AssertedAtSource::Document);
}

#[test]
fn remediations_are_joined_in_their_order() {
    let more = json!([
        {"category": "mitigation", "details": "Switch it off.", "group_ids": ["ALL"], "url": "https://a/1"},
        {"category": "vendor_fix", "details": "Update.", "product_ids": ["APP"], "url": "https://a/2"}
    ]);
    let found = parsed(&with(vex20(), "/vulnerabilities/0/remediations", more));
    let action = &found.observations[0].observation.action;
    assert_eq!(action.text.as_deref(), Some("Switch it off.\n\nUpdate."));
    assert_eq!(action.url.as_deref(), Some("https://a/1"));
    assert_eq!(action.responses, [Response::Mitigation, Response::Update, Response::Workaround]);
}

#[test]
fn ids_name_the_vulnerability_for_their_products() {
    let ids = json!([
        {"system_name": "Tracker", "text": "12"},
        {"system_name": "GHSA", "text": "GHSA-aaaa-bbbb-cccc", "product_ids": ["APP"]}
    ]);
    let found = parsed(&with(vex21(), "/vulnerabilities/0/ids", ids.clone()));
    let names: Vec<_> = found.observations.iter().map(|o| o.observation.vulnerability.clone()).collect();
    assert_eq!(
        (names[0].id.as_str(), &names[0].aliases[..]),
        ("CVE-2026-0001", &["GHSA-aaaa-bbbb-cccc".to_owned(), "Tracker|12".to_owned()][..])
    );
    assert_eq!(names[1].aliases, ["Tracker|12"]);
    let nameless =
        without(with(vex21(), "/vulnerabilities/0/ids", json!([ids[1]])), "/vulnerabilities/0/cve");
    let found = parsed(&nameless);
    assert_eq!(found.observations.len(), 1);
    assert_eq!(found.observations[0].observation.vulnerability.id, "GHSA-aaaa-bbbb-cccc");
    assert_eq!(codes(&found), "missing_vulnerability 1");
}

#[test]
fn notes_about_some_products_stay_with_them() {
    let note = json!({"category": "details", "text": "Only in the app.", "product_ids": ["APP"]});
    let found = parsed(&with(vex21(), "/vulnerabilities/0/notes/-", note));
    assert_eq!(found.observations[0].observation.notes.as_deref(), Some("Only in the app."));
    assert_eq!(found.observations[1].observation.notes, None);
}

#[test]
fn a_retired_document_makes_no_claim_and_is_not_rejected() {
    for (category, retirement) in
        [("csaf_withdrawn", Retirement::Withdrawn), ("csaf_superseded", Retirement::Superseded)]
    {
        let found = parsed(&with(vex20(), "/document/category", json!(category)));
        assert!(found.observations.is_empty());
        assert_eq!(found.document.retires, Some(retirement));
    }
    let found =
        parse(&file("csaf20/redhat_claircore_delete_CVE-2023-0030.json"), &ParseLimits::default()).unwrap();
    assert_eq!(found.document.retires, Some(Retirement::Deleted));
    assert_eq!(found.document.id.as_deref(), Some("CVE-2023-0030"));
    assert_eq!(found.document.spec_version, None);
}

#[test]
fn one_long_key_costs_one_claim() {
    let long = "x".repeat(1_100);
    let statuses = json!({"fixed": [long, "APP"], "recommended": ["OS"]});
    let found = parsed(&with(vex20(), "/vulnerabilities/0/product_status", statuses));
    assert_eq!(found.observations.len(), 1);
    assert_eq!(codes(&found), "key_too_long 1, undefined_product 1");
}

/// Groups that come to too many products are refused before they are written out.
#[test]
fn groups_do_not_multiply_without_bound() {
    let ids: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
    let tree = with(vex20(), "/product_tree/product_groups/0/product_ids", json!(ids));
    let remedy = json!({"category": "workaround", "group_ids": ["ALL"]});
    let document = with(tree, "/vulnerabilities/0/remediations", json!(vec![remedy; 1_000]));
    assert_eq!(rejected(&document).code, Code::TooManyClaims);
}

/// Writes JSON with keys in reverse, much white space, and every character escaped.
fn rewritten(value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => {
            out.push_str("{\n");
            for (n, (key, value)) in object.iter().rev().enumerate() {
                out.push_str(if n == 0 { "" } else { " ,\t" });
                escaped(key, out);
                out.push_str(" : ");
                rewritten(value, out);
            }
            out.push('}');
        }
        Value::Array(array) => {
            out.push('[');
            for (n, value) in array.iter().enumerate() {
                out.push_str(if n == 0 { "\r\n" } else { ",\n\n" });
                rewritten(value, out);
            }
            out.push_str(" ]");
        }
        Value::String(text) => escaped(text, out),
        other => out.push_str(&other.to_string()),
    }
}

fn escaped(text: &str, out: &mut String) {
    out.push('"');
    out.extend(text.encode_utf16().map(|unit| format!("\\u{unit:04x}")));
    out.push('"');
}

#[test]
fn the_spelling_of_the_json_changes_no_claim() {
    for (name, ..) in CORPUS.iter().step_by(5) {
        let source: Value = serde_json::from_slice(&file(name)).unwrap();
        let mut text = String::new();
        rewritten(&source, &mut text);
        let claims = |bytes: &[u8]| {
            let found = parse(bytes, &ParseLimits::default()).unwrap();
            let places: Vec<_> = found.findings.iter().map(|f| (f.code, f.pointer.clone())).collect();
            let claims =
                found.observations.into_iter().map(|o| (o.claim_digest(), o.keys(), o.observation.locator));
            (claims.collect::<Vec<_>>(), places)
        };
        assert!(claims(text.as_bytes()) == claims(&file(name)), "{name}");
    }
}

/// Some JSON value of any type, often of a shape that CSAF has somewhere.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        prop::sample::select(vec![
            "", "APP", "OS", "LIB", "OS:LIB", "ALL", "csaf_vex", "2.1", "impact", "1", "pkg:a/b"
        ])
        .prop_map(Value::from),
        ".{0,8}".prop_map(|text: String| Value::from(text.replace('\0', ""))),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let keys =
            prop::sample::select(vec!["product_id", "branches", "product_ids", "name", "category", "text"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys, inner, 0..4).prop_map(|map| Value::Object(
                map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}

/// Puts `value` in the place of the `n`th value of the document.
fn replace(document: &mut Value, n: &mut usize, value: &Value) {
    if *n == 0 {
        *document = value.clone();
    }
    *n = n.wrapping_sub(1);
    match document {
        Value::Array(array) => array.iter_mut().for_each(|below| replace(below, n, value)),
        Value::Object(object) => object.values_mut().for_each(|below| replace(below, n, value)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn no_shape_of_document_panics(
        is_new in any::<bool>(),
        changes in prop::collection::vec((2_usize..110, any_value()), 1..6),
    ) {
        let mut document = if is_new { vex21() } else { vex20() };
        for (mut n, value) in changes {
            replace(&mut document, &mut n, &value);
        }
        if let Ok(found) = parse(document.to_string().as_bytes(), &ParseLimits::default()) {
            for claim in &found.observations {
                prop_assert_eq!(claim.observation.id(), claim.id);
                prop_assert!(Observation::from_body(&claim.body()).is_ok());
            }
        }
    }
}
