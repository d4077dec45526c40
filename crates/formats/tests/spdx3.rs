//! SPDX 3 documents: those of the corpus, and one small document for each rule.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails, fails its test")]

use std::collections::BTreeMap;

use provex_core::digest::Digest;
use provex_core::vex::{AssertedAtSource, ComponentKind, Format, JustificationLabel, Observation, Status};
use provex_formats::{Code, ParseLimits, Parsed, Rejection, Retirement, parse};

fn read(file: &str) -> Vec<u8> {
    let path = format!("{}/../../testdata/vex/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn parsed(text: &str) -> Parsed {
    parse(text.as_bytes(), &ParseLimits::default()).unwrap_or_else(|rejection| panic!("{rejection:?}"))
}

fn rejected(text: &str) -> Rejection {
    parse(text.as_bytes(), &ParseLimits::default()).unwrap_err()
}

/// A document without fault but for these elements, which begin at `/@graph/5`.
///
/// Before them: 0 the creation info, 1 the `SpdxDocument`, 2 the vulnerability `urn:v`, 3 and 4 the packages
/// `urn:a` and `urn:b`. Of several statements `urn:r` each but the first gets an id of its own.
fn document(elements: &str) -> String {
    const STATEMENT: &str = r#""spdxId": "urn:r""#;
    let mut parts = elements.split(STATEMENT);
    let first = parts.next().unwrap().to_owned();
    let elements = parts.enumerate().fold(first, |elements, (n, part)| match n {
        0 => format!("{elements}{STATEMENT}{part}"),
        n => format!(r#"{elements}"spdxId": "urn:r{n}"{part}"#),
    });
    format!(
        r#"{{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": [
        {{"type": "CreationInfo", "@id": "_:c", "specVersion": "3.0.1", "created": "2026-03-01T10:00:00Z",
          "createdBy": ["urn:acme"]}},
        {{"type": "SpdxDocument", "spdxId": "urn:doc", "creationInfo": "_:c"}},
        {{"type": "security_Vulnerability", "spdxId": "urn:v", "creationInfo": "_:c", "externalIdentifier": [
          {{"type": "ExternalIdentifier", "externalIdentifierType": "cve", "identifier": "CVE-2026-0001"}}]}},
        {{"type": "software_Package", "spdxId": "urn:a", "creationInfo": "_:c", "name": "a",
          "software_packageUrl": "pkg:npm/a@1"}},
        {{"type": "software_Package", "spdxId": "urn:b", "creationInfo": "_:c", "name": "b",
          "software_packageUrl": "pkg:npm/b@1"}},
        {elements}]}}"#
    )
}

/// A statement that `urn:a` is fixed, with these members besides.
fn fixed(members: &str) -> String {
    format!(
        r#"{{"type": "security_VexFixedVulnAssessmentRelationship", "spdxId": "urn:r", "creationInfo": "_:c",
        "from": "urn:v", "relationshipType": "fixedIn", "to": ["urn:a"]{members}}}"#
    )
}

/// A statement of this class and relationship type on `urn:a`, with these members besides.
fn statement(class: &str, related: &str, members: &str) -> String {
    format!(
        r#"{{"type": "{class}", "spdxId": "urn:r", "creationInfo": "_:c", "from": "urn:v",
        "relationshipType": "{related}", "to": ["urn:a"]{members}}}"#
    )
}

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
    assert_eq!(parsed.observations.len(), 1, "{:?}", parsed.findings);
    &parsed.observations[0].observation
}

fn places(parsed: &Parsed) -> Vec<(&str, u64, &str, Option<&str>)> {
    parsed
        .observations
        .iter()
        .map(|parsed| {
            let Observation { locator, product, subcomponent, .. } = &parsed.observation;
            let part = subcomponent.as_ref().map(|part| part.key.as_str());
            (locator.pointer.as_str(), locator.index, product.key.as_str(), part)
        })
        .collect()
}

/// File, claims that are affected, not affected, fixed and under investigation, findings by code, and ids.
///
/// Counts and ids are those of `testdata/vex/count_spdx3.py`, which knows nothing of this crate.
const CORPUS: [(&str, [usize; 4], &str, &[&str]); 4] = [
    (
        "spdx3/tools-java_double.jsonld",
        [1, 0, 0, 0],
        "",
        &["vex:obs:sha256:e0328b6f74c0c50cc87697b18420da8ab656e834b528239d152566021049aea6"],
    ),
    (
        "hand/spdx3-accept-all-four.json",
        [0, 1, 1, 1],
        "withdrawn_statement 1",
        &[
            "vex:obs:sha256:8e4568fa2cb4fee145a2dea36b98d4b4472985d8fcb101384766e9044d8a64ef",
            "vex:obs:sha256:3f8ccc2d5e23ee42fe4afeeb64f0d46fca497221bf8ac5ae9567f1a51fefc00f",
            "vex:obs:sha256:0d440ebea159d9f6f3f0c8b745aa6841f29380b3576951cad6f7b4be08d54866",
        ],
    ),
    (
        "hand/spdx3-reject-missing-justification-and-action.json",
        [1, 1, 0, 0],
        "intra_document_conflict 1, missing_action 1, unjustified 1",
        &[
            "vex:obs:sha256:65fc0856003555dc1b0b873f6d8e9efe3f0e06c1eb6bc0920b2cc6e4ee10b0fb",
            "vex:obs:sha256:668982c57c62a631e3f3f2bfb8d72246731a86a4908c13887b14ec2ab5a21f73",
        ],
    ),
    (
        "hand/spdx3-reject-wrong-relationship-type.json",
        [1, 0, 0, 0],
        "contradictory_status 1, missing_action 1",
        &["vex:obs:sha256:b0ca329d0161320e7dd9bba45486dd7f5b23568809d0668432a7023c042b731c"],
    ),
];

#[test]
fn every_document_of_the_corpus_gives_its_claims() {
    for (file, expected, expected_findings, ids) in CORPUS {
        let bytes = read(file);
        let parsed = parse(&bytes, &ParseLimits::default()).unwrap();
        let order = [Status::Affected, Status::NotAffected, Status::Fixed, Status::UnderInvestigation];
        let counts = order.map(|status| {
            parsed.observations.iter().filter(|parsed| parsed.observation.status == status).count()
        });
        assert_eq!(counts, expected, "{file}");
        assert_eq!(codes(&parsed), expected_findings, "{file}");
        assert!(parsed.findings.iter().all(|finding| finding.line.is_some()), "{file}");
        assert_eq!(*parsed.document.digest.digest(), Digest::of(&bytes), "{file}");
        assert_eq!((parsed.document.format, parsed.document.payload_digest), (Format::Spdx3, None), "{file}");
        let found: Vec<_> = parsed.observations.iter().map(|parsed| parsed.id.to_text()).collect();
        assert_eq!(found, ids, "{file}");
        for parsed in &parsed.observations {
            assert_eq!(Observation::from_body(&parsed.body()).unwrap(), parsed.observation, "{file}");
            assert_eq!(parsed.claim_digest(), parsed.observation.claim_digest(), "{file}");
        }
    }
}

#[test]
fn a_statement_is_read_whole() {
    let parsed = parsed(&document(&statement(
        "security_VexNotAffectedVulnAssessmentRelationship",
        "doesNotAffect",
        r#", "security_justificationType": "componentNotPresent", "security_impactStatement": "None.",
        "security_statusNotes": "Notes.", "security_publishedTime": "2025-12-31T23:00:00Z",
        "security_modifiedTime": "2026-01-02T00:00:00Z", "security_assessedElement": "urn:b""#,
    )));
    assert_eq!(findings(&parsed), []);
    let claim = only(&parsed);
    assert_eq!(claim.status, Status::NotAffected);
    assert_eq!(claim.native_status, "security_VexNotAffectedVulnAssessmentRelationship");
    let justification = claim.justification.as_ref().unwrap();
    assert_eq!(justification.label, JustificationLabel::ComponentNotPresent);
    assert_eq!(justification.native, "componentNotPresent");
    assert_eq!((claim.impact.as_deref(), claim.notes.as_deref()), (Some("None."), Some("Notes.")));
    assert_eq!(claim.asserted_at.as_deref(), Some("2025-12-31T23:00:00.000000000Z"));
    assert_eq!(claim.asserted_at_source, AssertedAtSource::Statement);
    assert_eq!(claim.last_updated.as_deref(), Some("2026-01-02T00:00:00.000000000Z"));
    assert_eq!(
        claim.issuer.as_ref().map(|issuer| (issuer.scheme.as_str(), issuer.id.as_str())),
        Some(("spdx3", "urn:acme"))
    );
    assert_eq!(claim.document.id.as_deref(), Some("urn:doc"));
    assert_eq!(
        (claim.document.spec_version.as_deref(), claim.document.revision.as_deref()),
        (Some("3.0.1"), None)
    );
    assert_eq!(places(&parsed), [("/@graph/5/to/0", 0, "purl:pkg:npm/a@1", Some("purl:pkg:npm/b@1"))]);
    assert_eq!(claim.product.name.as_deref(), Some("a"));
}

#[test]
fn issuer_and_time_come_from_the_document_where_the_statement_has_none() {
    let bare = r#"{"type": "security_VexFixedVulnAssessmentRelationship", "from": "urn:v",
        "relationshipType": "fixedIn", "to": ["urn:a"]}"#;
    let parsed_document = parsed(&document(bare));
    let claim = only(&parsed_document);
    assert_eq!(claim.asserted_at_source, AssertedAtSource::Document);
    assert_eq!(claim.asserted_at.as_deref(), Some("2026-03-01T10:00:00.000000000Z"));
    assert_eq!(claim.issuer.as_ref().unwrap().id, "urn:acme");

    let embedded = bare.replacen(
        '{',
        r#"{"creationInfo": {"type": "CreationInfo", "created": "2026-01-01T00:00:00Z",
        "createdBy": {"type": "Organization", "spdxId": "urn:other"}}, "#,
        1,
    );
    let parsed_document = parsed(&document(&embedded));
    let claim = only(&parsed_document);
    assert_eq!(claim.asserted_at_source, AssertedAtSource::CreatedInfo);
    assert_eq!(claim.issuer.as_ref().unwrap().id, "urn:other");
    assert_eq!(parsed_document.document.issuer.as_ref().unwrap().id, "urn:acme");
}

#[test]
fn a_time_that_cannot_be_read_is_not_replaced() {
    let parsed = parsed(&document(&fixed(r#", "security_publishedTime": "yesterday""#)));
    assert_eq!(findings(&parsed), [(Code::BadTimestamp, "/@graph/5/security_publishedTime")]);
    assert_eq!(only(&parsed).asserted_at, None);
    assert_eq!(only(&parsed).asserted_at_source, AssertedAtSource::None);
}

#[test]
fn a_document_without_spdx_document_stands_alone() {
    let text = document(&fixed("")).replace("SpdxDocument", "Bundle");
    let first = parsed(&text);
    assert_eq!(findings(&first), [(Code::MissingId, "/@graph")]);
    assert_eq!(only(&first).issuer.as_ref().unwrap().id, "urn:acme");
    assert_eq!(first.document.spec_version.as_deref(), Some("3.0.1"));

    let nobody = parsed(&text.replace(r#""creationInfo": "_:c","#, ""));
    assert_eq!(codes(&nobody), "missing_id 1, missing_issuer 1, missing_member 3, missing_timestamp 1");
    assert_eq!(only(&nobody).issuer, None);
}

#[test]
fn a_blank_node_is_no_issuer() {
    let parsed = parsed(&document(&fixed("")).replace("urn:acme", "_:acme"));
    assert_eq!(findings(&parsed), [(Code::MissingIssuer, "/@graph/1")]);
    assert_eq!(only(&parsed).issuer, None);
}

#[test]
fn one_element_alone_is_a_document() {
    let text = r#"{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld",
        "type": "security_VexAffectedVulnAssessmentRelationship", "spdxId": "urn:r",
        "creationInfo": {"type": "CreationInfo", "@id": "_:c", "created": "2026-01-01T00:00:00Z", "createdBy": ["urn:acme"]},
        "from": {"type": "security_Vulnerability", "spdxId": "urn:v", "creationInfo": "_:c", "name": "CVE-2026-0001"},
        "relationshipType": "affects", "security_actionStatement": "Update.",
        "to": {"type": "software_Package", "spdxId": "urn:a", "creationInfo": "_:c", "software_packageUrl": "pkg:npm/a@1"}}"#;
    let parsed = parsed(text);
    assert_eq!(findings(&parsed), [(Code::MissingId, "/@graph")]);
    assert_eq!(places(&parsed), [("", 0, "purl:pkg:npm/a@1", None)]);
    assert_eq!(only(&parsed).vulnerability.id, "CVE-2026-0001");
    assert_eq!(only(&parsed).action.text.as_deref(), Some("Update."));
    assert_eq!(parsed.document.spec_version.as_deref(), Some("3.0.1"));
}

#[test]
fn elements_are_found_wherever_they_stand() {
    let inline = fixed("").replacen(
        r#""urn:v""#,
        r#"{"type": "security_Vulnerability", "spdxId": "urn:w", "creationInfo": "_:c", "name": "GHSA-x"}"#,
        1,
    );
    let bundle = format!(r#"{{"type": "Bundle", "spdxId": "urn:bundle", "element": [{inline}]}}"#);
    let again = fixed("").replace("urn:v", "urn:w").replace("urn:r", "urn:s");
    let parsed = parsed(&document(&format!("{bundle}, {again}")));
    assert_eq!(findings(&parsed), []);
    let places: Vec<_> = places(&parsed).into_iter().map(|(pointer, ..)| pointer).collect();
    assert_eq!(places, ["/@graph/5/element/0/to/0", "/@graph/6/to/0"]);
    assert!(parsed.observations.iter().all(|parsed| parsed.observation.vulnerability.id == "GHSA-x"));
}

#[test]
fn of_two_statuses_the_least_favourable_counts() {
    let not_affected = "security_VexNotAffectedVulnAssessmentRelationship";
    for (class, related, status, native, code) in [
        (not_affected, "doesNotAffect", Status::NotAffected, not_affected, None),
        (not_affected, "affects", Status::Affected, "affects", Some(Code::ContradictoryStatus)),
        (not_affected, "fixedIn", Status::Fixed, "fixedIn", Some(Code::ContradictoryStatus)),
        (not_affected, "other", Status::NotAffected, not_affected, Some(Code::BadRelationshipType)),
        (
            "security_VexUnderInvestigationVulnAssessmentRelationship",
            "fixedIn",
            Status::UnderInvestigation,
            "security_VexUnderInvestigationVulnAssessmentRelationship",
            Some(Code::ContradictoryStatus),
        ),
    ] {
        let reason = r#", "security_impactStatement": "x", "security_actionStatement": "y""#;
        let parsed = parsed(&document(&statement(class, related, reason)));
        let claim = only(&parsed);
        assert_eq!((claim.status, claim.native_status.as_ref()), (status, native), "{class} {related}");
        let found: Vec<_> = parsed.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(found, Vec::from_iter(code), "{class} {related}");
    }
    let both = document(&fixed("")).replace(
        r#""type": "security_VexFixedVulnAssessmentRelationship""#,
        r#""type": ["security_VexFixedVulnAssessmentRelationship", "security_VexUnderInvestigationVulnAssessmentRelationship"]"#,
    );
    assert_eq!(only(&parsed(&both)).status, Status::UnderInvestigation);
    let without = document(&fixed("").replace(r#""relationshipType": "fixedIn", "#, ""));
    assert_eq!(codes(&parsed(&without)), "bad_relationship_type 1");
}

#[test]
fn relationships_that_only_look_like_vex_are_named() {
    for (class, related) in [
        ("Relationship", "affects"),
        ("security_VexVulnAssessmentRelationship", "fixedIn"),
        ("security_VexDisputedVulnAssessmentRelationship", "other"),
    ] {
        let rejection = rejected(&document(&statement(class, related, "")));
        assert_eq!(
            (rejection.code, rejection.pointer.as_str()),
            (Code::NoUsableStatement, "/@graph/5/type"),
            "{class}"
        );
    }
    let other = statement("security_CvssV3VulnAssessmentRelationship", "hasAssessmentFor", "");
    let rejection = rejected(&document(&other));
    assert_eq!((rejection.code, rejection.pointer.as_str()), (Code::NoUsableStatement, "/@graph"));
    assert_eq!(codes(&parsed(&document(&format!("{other}, {}", fixed(""))))), "");
}

#[test]
fn names_without_prefix_are_read_and_reported() {
    let example = r#"{"creationInfo": "_:c", "@type": "VexNotAffectedVulnAssessmentRelationship", "@id": "urn:r",
        "relationshipType": "doesNotAffect", "from": "urn:v", "to": ["urn:a"], "assessedElement": "urn:b",
        "justificationType": "componentNotPresent", "impactStatement": "Not used.",
        "suppliedBy": ["urn:jane"], "publishedTime": "2021-03-09T11:04:53Z"}"#;
    let parsed_example = parsed(&document(example));
    assert_eq!(findings(&parsed_example), [(Code::UnprefixedName, "/@graph/5")]);
    let claim = only(&parsed_example);
    assert_eq!(claim.status, Status::NotAffected);
    assert_eq!(claim.subcomponent.as_ref().unwrap().key, "purl:pkg:npm/b@1");
    assert_eq!(claim.asserted_at_source, AssertedAtSource::Statement);
    assert!(claim.justification.is_some());

    let iri = fixed("").replace("security_Vex", "https://spdx.org/rdf/3.0.1/terms/Security/Vex");
    let parsed_iri = parsed(&document(&iri));
    assert_eq!(only(&parsed_iri).status, Status::Fixed);
}

#[test]
fn two_spellings_of_one_member_are_refused() {
    for (members, key) in [
        (r#", "@type": "security_VexAffectedVulnAssessmentRelationship""#, "@type"),
        (r#", "@id": "urn:other""#, "@id"),
        (
            r#", "withdrawnTime": null, "security_withdrawnTime": "2026-01-01T00:00:00Z""#,
            "security_withdrawnTime",
        ),
    ] {
        let rejection = rejected(&document(&fixed(members)));
        assert_eq!((rejection.code, rejection.pointer), (Code::DuplicateKey, format!("/@graph/5/{key}")));
    }
}

#[test]
fn what_is_withdrawn_makes_no_claim() {
    let withdrawn = fixed(r#", "security_withdrawnTime": "2026-02-04T00:00:00Z""#);
    let all = parsed(&document(&withdrawn));
    assert_eq!(findings(&all), [(Code::WithdrawnStatement, "/@graph/5")]);
    assert_eq!((all.observations.len(), all.document.retires), (0, Some(Retirement::Withdrawn)));

    let other = fixed("").replace("urn:r", "urn:s");
    let one = parsed(&document(&format!("{withdrawn}, {other}")));
    assert_eq!((one.observations.len(), one.document.retires), (1, None));

    // Nodes with one id are one element.
    let again = document(&format!("{}, {withdrawn}", fixed(""))).replace("urn:r1", "urn:r");
    assert_eq!(codes(&parsed(&again)), "duplicate_ref 1, withdrawn_statement 2");

    let broken = r#"{"type": "security_VexFixedVulnAssessmentRelationship", "relationshipType": "fixedIn"}"#;
    assert_eq!(rejected(&document(&format!("{withdrawn}, {broken}"))).code, Code::NoUsableStatement);
    let null = parsed(&document(&fixed(r#", "security_withdrawnTime": null"#)));
    assert_eq!((codes(&null).as_str(), null.observations.len()), ("wrong_type 1", 1));
}

#[test]
fn a_withdrawn_vulnerability_is_reported() {
    let text = document(&fixed("")).replace(
        r#""spdxId": "urn:v""#,
        r#""spdxId": "urn:v", "security_withdrawnTime": "2026-02-04T00:00:00Z""#,
    );
    assert_eq!(findings(&parsed(&text)), [(Code::RejectedVulnerability, "/@graph/2")]);
}

#[test]
fn a_vulnerability_goes_by_its_best_name() {
    let names = |members: &str| {
        let text = document(&fixed("").replace("urn:v", "urn:w"));
        let element = format!(
            r#"{{"type": "security_Vulnerability", "spdxId": "urn:w", "creationInfo": "_:c"{members}}}, "#
        );
        let parsed = parsed(&text.replacen(
            r#"{"type": "CreationInfo""#,
            &format!(r#"{element}{{"type": "CreationInfo""#),
            1,
        ));
        let found = &only(&parsed).vulnerability;
        (found.id.clone(), found.aliases.clone(), codes(&parsed))
    };
    let identifier =
        |kind: &str, name: &str| format!(r#"{{"externalIdentifierType": "{kind}", "identifier": "{name}"}}"#);
    let (cve, ghsa) = (identifier("cve", "cve-2026-0002"), identifier("securityOther", "GHSA-a"));
    for (members, id, aliases, found) in [
        (
            format!(r#", "externalIdentifier": [{ghsa}, {cve}], "name": "overflow""#),
            "CVE-2026-0002",
            vec!["GHSA-a"],
            "",
        ),
        (format!(r#", "externalIdentifier": {ghsa}, "name": "overflow""#), "GHSA-a", vec![], ""),
        (
            format!(r#", "externalIdentifier": [{ghsa}], "name": "CVE-2026-0003""#),
            "CVE-2026-0003",
            vec!["GHSA-a"],
            "",
        ),
        (r#", "name": "overflow""#.to_owned(), "overflow", vec![], ""),
        (String::new(), "urn:w", vec![], ""),
        (
            format!(r#", "externalIdentifier": [{cve}, {}]"#, identifier("cve", "CVE-2026-0004")),
            "CVE-2026-0002",
            vec!["CVE-2026-0004"],
            "ambiguous_vulnerability 1",
        ),
    ] {
        let (got_id, got_aliases, got_codes) = names(&members);
        assert_eq!((got_id.as_str(), got_codes.as_str()), (id, found), "{members}");
        assert_eq!(got_aliases, aliases, "{members}");
    }
}

#[test]
fn a_statement_from_no_vulnerability_is_dropped() {
    for from in [r#""_:v""#, r#""urn:a""#, "[]", r#"["urn:v", "urn:w"]"#, "null", "7", r#""NoneElement""#] {
        let rejection = rejected(&document(&fixed("").replace(r#""urn:v""#, from)));
        assert_eq!(
            (rejection.code, rejection.pointer.as_str()),
            (Code::NoUsableStatement, "/@graph/5/from"),
            "{from}"
        );
    }
}

#[test]
fn elements_of_other_documents_keep_their_iri() {
    let text = document(&fixed("").replace("urn:v", "urn:far-v").replace("urn:a", "urn:far-a"));
    let dangling = parsed(&text);
    assert_eq!(
        findings(&dangling),
        [(Code::DanglingRef, "/@graph/5/from"), (Code::DanglingRef, "/@graph/5/to/0")]
    );
    assert_eq!(only(&dangling).vulnerability.id, "urn:far-v");
    assert_eq!(places(&dangling)[0].2, "iri:urn:far-a");
    assert_eq!(only(&dangling).product.kind, ComponentKind::Iri);

    let imports = r#""spdxId": "urn:doc", "import": [{"externalSpdxId": "urn:far-v"}, {"externalSpdxId": "urn:far-a"}]"#;
    let imported = parsed(&text.replace(r#""spdxId": "urn:doc""#, imports));
    assert_eq!(findings(&imported), []);
    let claims = |parsed: &Parsed| parsed.observations[0].claim_digest();
    assert_eq!(claims(&imported), claims(&dangling));

    let purl = parsed(&document(&fixed("").replace("urn:a", "pkg:npm/c@1")));
    assert_eq!(places(&purl)[0].2, "purl:pkg:npm/c@1");
    let creation = parsed(&document(&fixed("").replace("_:c", "_:nowhere")));
    assert_eq!(findings(&creation), [(Code::DanglingRef, "/@graph/5/creationInfo")]);
    assert_eq!(only(&creation).asserted_at_source, AssertedAtSource::Document);
}

#[test]
fn products_are_known_by_all_their_identifiers() {
    let product = |members: &str| {
        let element =
            format!(r#"{{"type": "software_Package", "spdxId": "urn:p", "creationInfo": "_:c", {members}}}"#);
        let parsed = parsed(&document(&format!("{}, {element}", fixed("").replace("urn:a", "urn:p"))));
        let product = &only(&parsed).product;
        let identifiers: Vec<_> =
            product.identifiers.iter().map(|i| format!("{} {}", i.kind, i.value)).collect();
        (product.key.clone(), identifiers.join(", "), codes(&parsed))
    };
    let sha256 = "ab".repeat(32);
    let hash =
        |kind: &str| format!(r#"{{"type": "{kind}", "algorithm": "sha256", "hashValue": "{sha256}"}}"#);
    let cpe = "cpe:2.3:*:*:glibc:2.41:*:*:*:*:*:*:*";
    let identifier = |kind: &str, value: &str| {
        format!(r#""externalIdentifier": [{{"externalIdentifierType": "{kind}", "identifier": "{value}"}}]"#)
    };
    let nothing = String::new;
    for (members, key, identifiers, codes) in [
        (r#""name": "p""#.to_owned(), "iri:urn:p".to_owned(), "iri urn:p".to_owned(), nothing()),
        (identifier("cpe23", cpe), format!("cpe23:{cpe}"), format!("cpe23 {cpe}, iri urn:p"), nothing()),
        (
            identifier("packageUrl", "pkg:npm/p@1"),
            "purl:pkg:npm/p@1".to_owned(),
            "iri urn:p, purl pkg:npm/p@1".to_owned(),
            nothing(),
        ),
        (identifier("swid", "tag"), "swid:tag".to_owned(), "iri urn:p, swid tag".to_owned(), nothing()),
        (identifier("gitoid", "g"), "iri:urn:p".to_owned(), "gitoid g, iri urn:p".to_owned(), nothing()),
        (
            format!(r#""software_packageUrl": "pkg:npm/p@1", "verifiedUsing": [{}]"#, hash("Hash")),
            format!("digest:sha256:{sha256}"),
            format!("hash:sha256 {sha256}, iri urn:p, purl pkg:npm/p@1"),
            nothing(),
        ),
        (
            // A package verification code is a hash over hashes of files, not over the artifact.
            format!(r#""verifiedUsing": [{}]"#, hash("PackageVerificationCode")),
            "iri:urn:p".to_owned(),
            "iri urn:p".to_owned(),
            nothing(),
        ),
        (
            r#""software_packageUrl": "pkg:nonsense""#.to_owned(),
            "iri:pkg:nonsense".to_owned(),
            "iri urn:p, purl pkg:nonsense".to_owned(),
            "bad_purl 1".to_owned(),
        ),
    ] {
        assert_eq!(product(&members), (key, identifiers, codes), "{members}");
    }
}

#[test]
fn elements_with_one_id_are_one_element() {
    let twin = r#"{"type": "software_Package", "spdxId": "urn:a", "software_packageUrl": "pkg:npm/c@1"},
        {"type": "security_Vulnerability", "spdxId": "urn:v", "externalIdentifier":
        {"externalIdentifierType": "securityOther", "identifier": "GHSA-x"}}"#;
    let parsed = parsed(&document(&format!("{}, {twin}", fixed(""))));
    assert_eq!(
        findings(&parsed),
        [
            (Code::DuplicateRef, "/@graph/7"),
            (Code::AmbiguousProduct, "/@graph/6"),
            (Code::AmbiguousProduct, "/@graph/3")
        ]
    );
    assert_eq!(only(&parsed).vulnerability.aliases, ["GHSA-x"]);
    assert_eq!(only(&parsed).product.identifiers.len(), 3);
    assert_eq!(places(&parsed)[0].2, "purl:pkg:npm/a@1");
}

#[test]
fn statements_with_one_id_are_told() {
    let twin = fixed("").replace("urn:r", "urn:twin");
    let parsed = parsed(&document(&format!("{twin}, {}, {twin}, {twin}", fixed(""))));
    assert_eq!(findings(&parsed), [(Code::DuplicateRef, "/@graph/7"), (Code::DuplicateRef, "/@graph/8")]);
    assert_eq!(parsed.observations.len(), 4);
}

#[test]
fn every_product_is_a_claim() {
    let many = parsed(&document(&fixed("").replace(r#"["urn:a"]"#, r#"["urn:b", "urn:a"]"#)));
    assert_eq!(
        places(&many),
        [("/@graph/5/to/0", 0, "purl:pkg:npm/b@1", None), ("/@graph/5/to/1", 0, "purl:pkg:npm/a@1", None)]
    );
    let lone = parsed(&document(&fixed("").replace(r#"["urn:a"]"#, r#""urn:a""#)));
    assert_eq!(places(&lone), [("/@graph/5", 0, "purl:pkg:npm/a@1", None)]);
    let parts = parsed(&document(&fixed(r#", "security_assessedElement": ["urn:b", "urn:a"]"#)));
    assert_eq!(
        places(&parts),
        [
            ("/@graph/5/to/0", 0, "purl:pkg:npm/a@1", Some("purl:pkg:npm/b@1")),
            ("/@graph/5/to/0", 1, "purl:pkg:npm/a@1", None)
        ]
    );
}

#[test]
fn products_that_cannot_be_read_are_dropped() {
    for to in
        ["[]", "null", "7", r#"["_:p"]"#, r#"["urn:v"]"#, r#"["NoneElement"]"#, r#"[{"name": "p"}]"#, "[7]"]
    {
        let rejection = rejected(&document(&fixed("").replace(r#"["urn:a"]"#, to)));
        assert_eq!(rejection.code, Code::NoUsableStatement, "{to}");
    }
    let one = parsed(&document(&fixed("").replace(r#"["urn:a"]"#, r#"["_:p", "urn:b"]"#)));
    assert_eq!(findings(&one), [(Code::MissingProduct, "/@graph/5/to/0")]);
    assert_eq!(places(&one)[0].0, "/@graph/5/to/1");
}

#[test]
fn what_was_assessed_narrows_the_claim_or_drops_it() {
    for assessed in ["7", "null", r#""_:part""#, r#""urn:v""#] {
        let members = format!(r#", "security_assessedElement": {assessed}"#);
        let parsed = parse(document(&fixed(&members)).as_bytes(), &ParseLimits::default());
        let claims = parsed.map_or(0, |parsed| parsed.observations.len());
        assert_eq!(claims, 0, "{assessed}");
    }
    let nothing = parsed(&document(&fixed(r#", "security_assessedElement": []"#)));
    assert_eq!(only(&nothing).subcomponent, None);
}

#[test]
fn reasons_and_actions_are_asked_for() {
    let not_affected = |members: &str| {
        let class = "security_VexNotAffectedVulnAssessmentRelationship";
        parsed(&document(&statement(class, "doesNotAffect", members)))
    };
    assert_eq!(codes(&not_affected("")), "unjustified 1");
    assert_eq!(codes(&not_affected(r#", "security_impactStatement": "Never run.""#)), "");
    let unknown = not_affected(r#", "security_justificationType": "component_not_present""#);
    assert_eq!(codes(&unknown), "unjustified 1, unknown_justification 1");
    assert_eq!(only(&unknown).justification, None);
    let affected = statement("security_VexAffectedVulnAssessmentRelationship", "affects", "");
    assert_eq!(codes(&parsed(&document(&affected))), "missing_action 1");
    let misplaced = parsed(&document(&fixed(r#", "security_justificationType": "componentNotPresent""#)));
    assert_eq!(
        findings(&misplaced),
        [(Code::MisplacedJustification, "/@graph/5/security_justificationType")]
    );
    assert!(only(&misplaced).justification.is_some());
}

#[test]
fn versions_that_disagree_or_are_unknown_are_reported() {
    let text = document(&fixed(""));
    let other = parsed(&text.replace(r#""specVersion": "3.0.1""#, r#""specVersion": "3.0.0""#));
    assert_eq!(findings(&other), [(Code::SpecVersionMismatch, "/@context")]);
    assert_eq!(other.document.spec_version.as_deref(), Some("3.0.0"));
    let newer = parsed(&text.replace(r#""specVersion": "3.0.1""#, r#""specVersion": "3.1.0""#));
    assert_eq!(findings(&newer), [(Code::UnknownSpecVersion, "")]);
}

#[test]
fn contradicting_statements_are_both_kept() {
    let affected = statement(
        "security_VexAffectedVulnAssessmentRelationship",
        "affects",
        r#", "security_actionStatement": "Update.""#,
    );
    let parsed = parsed(&document(&format!("{}, {affected}", fixed(""))));
    assert_eq!(findings(&parsed), [(Code::IntraDocumentConflict, "/@graph/6/to/0")]);
    assert_eq!(parsed.observations.len(), 2);
}

#[test]
fn a_list_of_products_too_long_to_hold_is_read_in_order_and_tells_each_fault_once() {
    // The first one stands at the end again, when it may be forgotten, and is in no element.
    let ids: Vec<_> = (0..3_000).chain([0]).map(|n| format!("\"urn:x:{n}\"")).collect();
    let parsed = parsed(&document(&fixed("").replace(r#"["urn:a"]"#, &format!("[{}]", ids.join(",")))));
    let expected: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(m, id)| (format!("/@graph/5/to/{m}"), format!("iri:{}", id.trim_matches('"'))))
        .collect();
    let read = places(&parsed);
    assert!(
        read.iter()
            .map(|(at, index, key, _)| (at.to_string(), *index, key.to_string()))
            .eq(expected.into_iter().map(|(at, key)| (at, 0, key)))
    );
    let told: Vec<_> = parsed.findings.iter().filter(|found| found.pointer == "/@graph/5/to/0").collect();
    assert_eq!(told.iter().map(|found| found.code).collect::<Vec<_>>(), [Code::DanglingRef]);
    assert!(parsed.findings.iter().all(|found| found.pointer != "/@graph/5/to/3000"));
    let omitted = parsed.findings.iter().find(|found| found.code == Code::FindingsOmitted).unwrap();
    assert!(omitted.message.starts_with("2000 more"), "{}", omitted.message);
}

#[test]
fn keys_too_long_for_an_index_are_dropped() {
    let long = format!("urn:{}", "x".repeat(1_024));
    let product = rejected(&document(&fixed("").replace("urn:a", &long)));
    assert_eq!((product.code, product.pointer.as_str()), (Code::NoUsableStatement, "/@graph/5/to/0"));
    let vulnerability = rejected(&document(&fixed("").replace("urn:v", &long)));
    assert_eq!(vulnerability.pointer, "/@graph/5/from");
}

#[test]
fn deep_nesting_is_refused_without_a_crash() {
    let nested = |depth: usize| {
        let open = r#"{"type": "Relationship", "from": "#.repeat(depth);
        format!(
            r#"{{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": [{open}"urn:v"{}]}}"#,
            "}".repeat(depth)
        )
    };
    assert_eq!(rejected(&nested(126)).code, Code::NoUsableStatement);
    assert_eq!(rejected(&nested(127)).code, Code::TooDeep);
    assert_eq!(rejected(&nested(5_000)).code, Code::TooDeep);
}

#[test]
fn members_of_any_type_cost_only_themselves() {
    let keys = [
        "type",
        "spdxId",
        "creationInfo",
        "name",
        "from",
        "to",
        "relationshipType",
        "externalIdentifier",
        "verifiedUsing",
        "software_packageUrl",
        "element",
        "rootElement",
        "import",
        "created",
        "createdBy",
        "specVersion",
        "security_assessedElement",
        "security_justificationType",
        "security_impactStatement",
        "security_actionStatement",
        "security_statusNotes",
        "security_publishedTime",
        "security_modifiedTime",
        "security_withdrawnTime",
    ];
    let good = fixed("");
    for key in keys {
        for value in ["null", "true", "0", "1e300", "\"\"", "\"x\"", "[]", "{}", "[[]]", "[{}, 7, null]"] {
            let other =
                format!(r#"{{"type": "security_VexFixedVulnAssessmentRelationship", "{key}": {value}}}"#);
            let other = if key == "type" { format!(r#"{{"type": {value}}}"#) } else { other };
            let text = document(&format!("{other}, {good}"));
            assert_eq!(parsed(&text).observations.len(), 1, "{key} {value}");
        }
    }
}

#[test]
fn members_that_spdx_does_not_have_are_told_and_do_not_widen_a_claim() {
    let part = r#", "security_assessedElement": "urn:b""#;
    let kept = parsed(&document(&fixed(&format!(r#"{part}, "foo": 1"#))));
    assert_eq!(findings(&kept), [(Code::UnknownMember, "/@graph/5/foo")]);
    assert_eq!(only(&kept).subcomponent.as_ref().unwrap().key, "purl:pkg:npm/b@1");
    let other = fixed("").replace("urn:r", "urn:s").replace("urn:a", "urn:b");
    for key in [
        "security_assesedElement",
        "https://spdx.org/rdf/3.0.1/terms/Security/assessedElement",
        "security_withdrawnTim",
    ] {
        let dropped = parsed(&document(&format!("{}, {other}", fixed(&format!(r#", "{key}": "urn:b""#)))));
        assert_eq!(codes(&dropped), "unclear_scope 1, unknown_member 1", "{key}");
        assert_eq!(only(&dropped).product.key, "purl:pkg:npm/b@1");
    }
    let good = document(&fixed(""));
    for (element, pointer) in
        [("CreationInfo", 0), ("SpdxDocument", 1), ("security_Vulnerability", 2), ("software_Package", 3)]
    {
        let found = parsed(&good.replacen(
            &format!(r#"{{"type": "{element}""#),
            &format!(r#"{{"foo": 1, "type": "{element}""#),
            1,
        ));
        let pointer = format!("/@graph/{pointer}/foo");
        assert_eq!(findings(&found), [(Code::UnknownMember, pointer.as_str())]);
    }
}

#[test]
fn a_part_that_cannot_be_read_does_not_widen_a_claim() {
    for part in ["null", "5"] {
        let rejection = rejected(&document(&fixed(&format!(r#", "security_assessedElement": {part}"#))));
        let pointer = "/@graph/5/security_assessedElement";
        assert_eq!((rejection.code, rejection.pointer.as_str()), (Code::NoUsableStatement, pointer));
        assert_eq!(rejection.findings[0].code, Code::WrongType);
        assert!(rejection.message.contains(&rejection.findings[0].message));
    }
}

#[test]
fn what_the_schema_requires_is_asked_for() {
    let good = fixed("");
    for (member, key) in [(r#""spdxId": "urn:r", "#, "spdxId"), (r#""creationInfo": "_:c","#, "creationInfo")]
    {
        let without = parsed(&document(&good.replace(member, "")));
        assert_eq!(findings(&without), [(Code::MissingMember, format!("/@graph/5/{key}").as_str())]);
        assert_eq!(without.observations.len(), 1);
    }
}

#[test]
fn members_of_another_form_are_told() {
    for (member, code, key) in [
        (r#""security_vexVersion": 1"#, Code::WrongType, "vexVersion"),
        (r#""security_withdrawnTime": null"#, Code::WrongType, "withdrawnTime"),
        (r#""security_impactStatementTime": "x""#, Code::BadTimestamp, "impactStatementTime"),
        (
            r#""security_actionStatementTime": "2026-01-01T00:00:00.5Z""#,
            Code::TimeForm,
            "actionStatementTime",
        ),
        (r#""security_modifiedTime": "2026-01-01T00:00:00+01:00""#, Code::TimeForm, "modifiedTime"),
        (r#""security_publishedTime": "2026-01-01T00:00:00""#, Code::AssumedUtc, "publishedTime"),
    ] {
        let told = parsed(&document(&fixed(&format!(", {member}"))));
        assert_eq!(findings(&told), [(code, format!("/@graph/5/security_{key}").as_str())], "{member}");
        assert_eq!(told.observations.len(), 1);
    }
}

#[test]
fn identifiers_of_no_known_type_are_told() {
    let text = document(&fixed(""))
        .replace(r#""externalIdentifierType": "cve""#, r#""externalIdentifierType": "foo""#);
    let told = parsed(&text);
    assert_eq!(
        findings(&told),
        [(Code::UnknownIdentifier, "/@graph/2/externalIdentifier/0/externalIdentifierType")]
    );
    assert_eq!(only(&told).vulnerability.id, "urn:v");
}

#[test]
fn another_context_is_told() {
    let own = r#""https://spdx.org/rdf/3.0.1/spdx-context.jsonld""#;
    let good = document(&fixed(""));
    assert_eq!(parsed(&good.replace(own, &format!("[{own}]"))).findings, []);
    for context in [
        format!(r#"[{own}, "https://example.org/context.jsonld"]"#),
        format!(r#"[{own}, {{"to": "https://example.org/to"}}]"#),
        r#""https://spdx.org/rdf/3.0.1/other.jsonld""#.to_owned(),
    ] {
        let told = parsed(&good.replacen(own, &context, 1));
        assert_eq!(findings(&told), [(Code::ForeignContext, "/@context")], "{context}");
    }
}

#[test]
fn terms_in_full_are_read_as_their_names() {
    let terms = "https://spdx.org/rdf/3.0.1/terms";
    let full = statement(
        &format!("{terms}/Security/VexNotAffectedVulnAssessmentRelationship"),
        &format!("{terms}/Core/RelationshipType/doesNotAffect"),
        &format!(
            r#", "security_justificationType": "{terms}/Security/VexJustificationType/componentNotPresent""#
        ),
    );
    let read = parsed(&document(&full));
    assert_eq!(only(&read).justification.as_ref().unwrap().native, "componentNotPresent");
    let codes = codes(&read);
    assert!(["", "unprefixed_name 1"].contains(&codes.as_str()), "{codes}");
}
