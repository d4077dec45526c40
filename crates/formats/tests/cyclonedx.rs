//! CycloneDX in JSON: published documents, hand-written ones, and every rule that a document can break.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails, fails its test")]

use std::collections::BTreeMap;

use provex_core::digest::Digest;
use provex_core::vex::{AssertedAtSource, ComponentKind, Format, Observation, Response, Status};
use provex_formats::{Code, ParseLimits, Parsed, Rejection, parse};

const SERIAL: &str = "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79";

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

/// A 1.6 document without fault, about `pkg:npm/app@2`, with the component `lib` in it and these vulnerabilities.
fn document(vulnerabilities: &str) -> String {
    format!(
        r#"{{"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": "{SERIAL}", "version": 2,
        "metadata": {{"timestamp": "2026-03-01T00:00:00Z", "supplier": {{"name": "ACME"}},
            "component": {{"type": "application", "name": "app", "purl": "pkg:npm/app@2", "bom-ref": "app"}}}},
        "components": [{{"type": "library", "name": "lib", "purl": "pkg:npm/lib@1", "bom-ref": "lib",
            "components": [{{"type": "library", "name": "inner", "bom-ref": "inner"}}]}}],
        "services": [{{"group": "acme", "name": "api", "version": "3", "bom-ref": "api"}}],
        "vulnerabilities": [{vulnerabilities}]}}"#
    )
}

/// One vulnerability with these members besides its id.
fn vulnerability(members: &str) -> String {
    format!(r#"{{"id": "CVE-2026-0001", {members}}}"#)
}

/// A document with one vulnerability that is resolved, and these targets.
fn affects(targets: &str) -> String {
    document(&vulnerability(&format!(r#""analysis": {{"state": "resolved"}}, "affects": {targets}"#)))
}

/// A document with one vulnerability, which is about the whole BOM and has this analysis.
fn analysis(members: &str) -> String {
    document(&vulnerability(&format!(r#""analysis": {{{members}}}"#)))
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
    assert_eq!(parsed.observations.len(), 1);
    &parsed.observations[0].observation
}

/// Key of the product, and of the subcomponent, of each claim.
fn keys(parsed: &Parsed) -> Vec<(&str, Option<&str>)> {
    let observations = parsed.observations.iter().map(|parsed| &parsed.observation);
    observations
        .map(|o| (o.product.key.as_str(), o.subcomponent.as_ref().map(|part| part.key.as_str())))
        .collect()
}

/// File, claims that are affected, not affected, fixed, under investigation and unknown, and findings by code.
///
/// The claims were counted by `testdata/vex/count_cyclonedx.py`; the findings were looked at one by one.
#[rustfmt::skip]
const CORPUS: [(&str, [usize; 5], &str); 25] = [
    ("examples_CISA-Use-Cases_Case-1_vex-affected.json", [1, 0, 0, 0, 0], "missing_id 1, missing_issuer 1"),
    ("examples_CISA-Use-Cases_Case-1_vex-fixed.json", [0, 0, 1, 0, 0], "missing_id 1, missing_issuer 1"),
    ("examples_CISA-Use-Cases_Case-1_vex-not_affected.json", [0, 1, 0, 0, 0], "missing_id 1, missing_issuer 1"),
    ("examples_CISA-Use-Cases_Case-1_vex-under_investigation.json", [0, 0, 0, 1, 0], "missing_id 1, missing_issuer 1"),
    ("examples_CISA-Use-Cases_Case-2_vex.json", [0, 19, 0, 0, 0], "missing_id 1, missing_issuer 1"),
    ("examples_CISA-Use-Cases_Case-3_vex.json", [5, 6, 3, 5, 0], "missing_action 5, missing_id 1, missing_issuer 1"),
    ("examples_CISA-Use-Cases_Case-4_vex.json", [3, 0, 0, 0, 0], "missing_id 1, missing_issuer 1"),
    ("examples_Use-Cases_Case-4_vex.json", [0, 1, 0, 0, 0], "missing_id 1, missing_issuer 1"),
    ("examples_Use-Cases_Case-5_vex.json", [1, 1, 0, 0, 0], "missing_action 1, missing_id 1, missing_issuer 1"),
    ("examples_Use-Cases_Case-6_vex.json", [0, 3, 0, 0, 0], "missing_id 1, missing_issuer 1, missing_timestamp 1"),
    ("examples_Use-Cases_Case-7_vex.json", [0, 1, 0, 0, 0], "missing_id 1"),
    ("examples_vex.json", [0, 1, 0, 0, 0], "missing_id 1, missing_issuer 1, missing_timestamp 1"),
    ("guac_cyclonedx-vex-affected.json", [2, 0, 0, 0, 0], "missing_id 1, missing_issuer 1"),
    ("guac_cyclonedx-vex-no-analysis.json", [0, 0, 0, 0, 0], "no_usable_statement"),
    ("guac_cyclonedx-vex-resolved-with-pedigree.json", [0, 0, 2, 0, 0], "dangling_ref 2, missing_issuer 1"),
    ("lib4vex_acme_1.0_vex.json", [1, 1, 0, 1, 0], "duplicate_ref 1, missing_issuer 1, wrong_type 2"),
    ("secobserve_cyclonedx_product_no_branch.json", [1, 1, 0, 1, 0], "dangling_ref 3"),
    ("secobserve_cyclonedx_product_no_branch_update.json", [2, 1, 0, 0, 0], "dangling_ref 3"),
    ("secobserve_cyclonedx_vex_integrated.json", [11, 1, 0, 1, 0], ""),
    ("spec_valid-vulnerability-1.4.json", [0, 3, 0, 0, 0], "missing_issuer 1, missing_timestamp 1"),
    ("spec_valid-vulnerability-1.5.json", [0, 3, 0, 0, 0], "missing_issuer 1, missing_timestamp 1, rejected_vulnerability 1"),
    ("spec_valid-vulnerability-1.6.json", [0, 3, 0, 0, 0], "missing_issuer 1, missing_timestamp 1, rejected_vulnerability 1"),
    ("spec_valid-vulnerability-1.6.xml", [0, 3, 0, 0, 0], "missing_issuer 1, missing_timestamp 1, rejected_vulnerability 1"),
    ("spec_valid-vulnerability-1.7.json", [0, 3, 0, 0, 0], "missing_issuer 1, missing_timestamp 1, rejected_vulnerability 1"),
    ("trivy_cyclonedx.json", [0, 2, 0, 0, 0], "missing_id 1, missing_issuer 1, missing_timestamp 1, unjustified 1"),
];

const ORDER: [Status; 5] =
    [Status::Affected, Status::NotAffected, Status::Fixed, Status::UnderInvestigation, Status::Unknown];

#[test]
fn every_published_document_gives_its_claims() {
    for (file, expected, expected_findings) in CORPUS {
        let bytes = read(&format!("cyclonedx/{file}"));
        let parsed = match parse(&bytes, &ParseLimits::default()) {
            Ok(parsed) => parsed,
            Err(rejection) => {
                assert_eq!((rejection.code.label(), [0; 5]), (expected_findings, expected), "{file}");
                continue;
            }
        };
        let count =
            |status| parsed.observations.iter().filter(|parsed| parsed.observation.status == status).count();
        assert_eq!(ORDER.map(count), expected, "{file}");
        assert_eq!(codes(&parsed), expected_findings, "{file}");
        assert!(parsed.findings.iter().all(|finding| finding.line.is_some()), "{file}");
        assert_eq!(*parsed.document.digest.digest(), Digest::of(&bytes), "{file}");
        assert_eq!(parsed.document.format, Format::CycloneDx);
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
    for (file, n, id, claim) in [
        (
            "hand/cyclonedx-accept-range-statuses.json",
            1,
            "vex:obs:sha256:4f2cff0d7717bf17d11e36b0a441c343e9dc35c7fb1a21d0123077ae421fb11a",
            "a5e348238bb3b420ff58d0f99eadbb7f47ba701ee4599251701f139c210e2368",
        ),
        (
            "cyclonedx/examples_Use-Cases_Case-7_vex.json",
            0,
            "vex:obs:sha256:dae6891d4e6d1e9455aa62869a01ab7af06def1dcb83a897e3fd9ff2d9d0557b",
            "89ef59c84ef6050504fc6d213df969720dcaf053420007c45af66d5a5331cc53",
        ),
        (
            "cyclonedx/secobserve_cyclonedx_vex_integrated.json",
            0,
            "vex:obs:sha256:071a0f08ea6e0d259309b951345cc050033f966a285794e6cf9f683f419e6b75",
            "33c7743c456c911163c841ed882351abe3c2398a44e55365a940a8e8440b5fff",
        ),
    ] {
        let parsed = parse(&read(file), &ParseLimits::default()).unwrap();
        let found = &parsed.observations[n];
        assert_eq!((found.id.to_text(), found.claim_digest().to_text()), (id.to_owned(), claim.to_owned()));
    }
}

#[test]
fn every_hand_written_document_has_its_outcome() {
    let accepted = |file: &str| parse(&read(file), &ParseLimits::default()).unwrap();
    let ranges = accepted("hand/cyclonedx-accept-range-statuses.json");
    assert_eq!(codes(&ranges), "missing_issuer 1, unjustified 1");
    let claims = ranges.observations.iter().map(|parsed| &parsed.observation);
    let claims: Vec<_> = claims
        .map(|o| (o.locator.pointer.as_str(), o.version_scope.as_deref(), o.native_status.as_ref(), o.status))
        .collect();
    assert_eq!(
        claims,
        [
            (
                "/vulnerabilities/0/affects/0/versions/0",
                Some("vers:npm/<1.1"),
                "exploitable",
                Status::Affected
            ),
            ("/vulnerabilities/0/affects/0/versions/1", Some("1.1"), "unaffected", Status::NotAffected),
            ("/vulnerabilities/0/affects/0/versions/2", Some("0.1"), "unknown", Status::Unknown),
            ("/vulnerabilities/0/affects/1", None, "exploitable", Status::Affected),
        ]
    );
    let justification = accepted("hand/cyclonedx-reject-bad-justification.json");
    assert_eq!(codes(&justification), "missing_issuer 1, unjustified 1, unknown_justification 1");
    assert_eq!(only(&justification).justification, None);
    let state = parse(&read("hand/cyclonedx-reject-bad-state.json"), &ParseLimits::default()).unwrap_err();
    assert_eq!((state.code, state.line), (Code::NoUsableStatement, Some(28)));
    assert!(state.message.contains("no state `fixed`"), "{}", state.message);
}

#[test]
fn no_invalid_document_is_accepted_clean() {
    for (file, code) in [
        ("cdx_invalid-bomformat-1.6.json", Code::UnknownFormat),
        ("cdx_invalid-dependency-1.6.json", Code::NoUsableStatement),
        ("cdx_invalid-serialnumber-1.6.json", Code::NoUsableStatement),
    ] {
        let rejection = parse(&read(&format!("invalid/{file}")), &ParseLimits::default()).unwrap_err();
        assert_eq!(rejection.code, code, "{file}");
    }
}

#[test]
fn a_document_says_what_it_is() {
    let parsed = parsed(&analysis(r#""state": "in_triage""#));
    let facts = &parsed.document;
    assert_eq!(facts.spec_version.as_deref(), Some("1.6"));
    assert_eq!((facts.id.as_deref(), facts.revision.as_deref()), (Some(SERIAL), Some("2")));
    let issuer = facts.issuer.as_ref().unwrap();
    assert_eq!((issuer.scheme.as_str(), issuer.id.as_str()), ("cyclonedx", "ACME"));
    assert_eq!(facts.stated_at.as_deref(), Some("2026-03-01T00:00:00.000000000Z"));
    assert_eq!(parsed.findings, []);
    let observation = only(&parsed);
    assert_eq!(observation.asserted_at, facts.stated_at);
    assert_eq!(observation.asserted_at_source, AssertedAtSource::Document);
    assert_eq!(observation.last_updated, None);
    assert_eq!(observation.locator.pointer, "/vulnerabilities/0");
}

#[test]
fn the_issuer_is_the_first_that_is_named() {
    let with = |metadata: &str| {
        let text = format!(
            r#"{{"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": "{SERIAL}",
            "metadata": {{"timestamp": "2026-03-01T00:00:00Z", {metadata}}},
            "vulnerabilities": [{{"id": "CVE-2026-0001", "analysis": {{"state": "in_triage"}}}}]}}"#
        );
        let parsed = parsed(&text);
        (parsed.document.issuer.as_ref().map(|issuer| issuer.id.clone()), codes(&parsed))
    };
    let authors = r#""authors": [{"email": "a@acme.example"}, {"name": "Ann"}]"#;
    let manufacture = r#""manufacture": {"name": "Makers"}"#;
    let manufacturer = r#""manufacturer": {"name": "New Makers"}"#;
    for (metadata, issuer) in [
        (authors.to_owned(), "Ann"),
        (format!("{authors}, {manufacture}"), "Makers"),
        (format!("{authors}, {manufacture}, {manufacturer}"), "New Makers"),
        (format!(r#"{manufacturer}, "supplier": {{"name": "ACME"}}"#), "ACME"),
        (format!(r#"{manufacturer}, "supplier": {{"name": " "}}"#), "New Makers"),
    ] {
        assert_eq!(with(&metadata), (Some(issuer.to_owned()), String::new()), "{metadata}");
    }
    assert_eq!(with(r#""supplier": {}"#), (None, "missing_issuer 1".to_owned()));
}

#[test]
fn what_a_document_lacks_is_told() {
    let parsed = parsed(
        r#"{"bomFormat": "CycloneDX", "vulnerabilities": [{"id": "CVE-2026-0001",
            "analysis": {"state": "in_triage"}}]}"#,
    );
    assert_eq!(
        findings(&parsed),
        [
            (Code::UnknownSpecVersion, "/specVersion"),
            (Code::MissingId, "/serialNumber"),
            (Code::MissingVersion, "/version"),
            (Code::MissingIssuer, "/metadata"),
            (Code::MissingTimestamp, "/metadata/timestamp"),
        ]
    );
    assert_eq!(only(&parsed).asserted_at_source, AssertedAtSource::None);
}

#[test]
fn versions_of_documents_become_text() {
    let with = |spec: &str, member: &str| {
        let text = analysis(r#""state": "in_triage""#)
            .replace(r#""version": 2,"#, member)
            .replace(r#""specVersion": "1.6""#, &format!(r#""specVersion": "{spec}""#));
        let parsed = parsed(&text);
        (parsed.document.revision.clone(), codes(&parsed))
    };
    for (spec, member, revision, findings) in [
        ("1.6", r#""version": 7,"#, Some("7"), ""),
        ("1.6", r#""version": 7.0,"#, Some("7"), ""),
        ("1.6", "", Some("1"), ""),
        ("1.5", "", Some("1"), ""),
        ("1.4", "", None, "missing_version 1"),
        ("1.6", r#""version": 0,"#, Some("0"), "bad_version 1"),
        ("1.6", r#""version": 1.5,"#, None, "bad_version 1"),
        ("1.6", r#""version": "7","#, Some("7"), "bad_version 1"),
        ("1.6", r#""version": [7],"#, None, "wrong_type 1"),
        ("1.3", r#""version": 7,"#, Some("7"), "unknown_spec_version 1"),
    ] {
        assert_eq!(with(spec, member), (revision.map(str::to_owned), findings.to_owned()), "{spec} {member}");
    }
}

#[test]
fn a_bad_serial_number_is_kept_and_told() {
    let upper = SERIAL.to_uppercase().replacen("URN:UUID", "urn:uuid", 1);
    for serial in ["urn:uuid:3e671687-395b-41f5-a30f", "3e671687-395b-41f5-a30f-a58921a69b79", "x", &upper] {
        let parsed = parsed(&analysis(r#""state": "in_triage""#).replace(SERIAL, serial));
        assert_eq!(findings(&parsed), [(Code::BadId, "/serialNumber")], "{serial}");
        assert_eq!(parsed.document.id.as_deref(), Some(serial));
    }
}

#[test]
fn a_ref_is_a_part_of_the_product_or_a_product_elsewhere() {
    const PRODUCT: &str = "purl:pkg:npm/app@2";
    let local = |name: &str| format!("csaf-local:cyclonedx|{SERIAL}|{name}");
    let own = "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/2";
    let older = "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1#lib";
    let elsewhere = "urn:cdx:00000000-395b-41f5-a30f-a58921a69b79/2";
    for (reference, product, part, findings) in [
        ("app", PRODUCT.to_owned(), None, ""),
        ("lib", PRODUCT.to_owned(), Some("purl:pkg:npm/lib@1".to_owned()), ""),
        ("inner", PRODUCT.to_owned(), Some(local("inner")), ""),
        ("api", PRODUCT.to_owned(), Some(local("api")), ""),
        (own, PRODUCT.to_owned(), None, ""),
        (&format!("{own}#lib"), PRODUCT.to_owned(), Some("purl:pkg:npm/lib@1".to_owned()), ""),
        (&format!("{own}#%6Cib"), PRODUCT.to_owned(), Some("purl:pkg:npm/lib@1".to_owned()), ""),
        (&format!("{own}#gone"), PRODUCT.to_owned(), Some(local("gone")), "dangling_ref 1"),
        (&format!("{own}#100%"), PRODUCT.to_owned(), Some(local("100%")), "dangling_ref 1"),
        (older, format!("bomlink:{older}"), None, ""),
        (elsewhere, format!("bomlink:{elsewhere}"), None, ""),
        ("pkg:pypi/Raw@1", PRODUCT.to_owned(), Some("purl:pkg:pypi/raw@1".to_owned()), "dangling_ref 1"),
        ("gone", PRODUCT.to_owned(), Some(local("gone")), "dangling_ref 1"),
        ("urn:cdx:2/lib:1", PRODUCT.to_owned(), Some(local("urn:cdx:2/lib:1")), "dangling_ref 1"),
        (
            "https://acme.example/x",
            PRODUCT.to_owned(),
            Some(local("https://acme.example/x")),
            "dangling_ref 1",
        ),
    ] {
        let parsed = parsed(&affects(&format!(r#"[{{"ref": "{reference}"}}]"#)));
        assert_eq!(keys(&parsed), [(product.as_str(), part.as_deref())], "{reference}");
        assert_eq!(codes(&parsed), findings, "{reference}");
        assert_eq!(only(&parsed).locator.pointer, "/vulnerabilities/0/affects/0");
    }
}

#[test]
fn components_outside_of_the_lists_are_known_by_their_refs() {
    let element = |name: &str| {
        format!(r#"{{"type": "library", "name": "{name}", "bom-ref": "{name}", "purl": "pkg:npm/{name}@1"}}"#)
    };
    let service = |name: &str| format!(r#"{{"name": "{name}", "bom-ref": "{name}"}}"#);
    let insert = |text: &str, before: &str, members: &str| {
        assert_eq!(text.matches(before).count(), 1, "{before}");
        text.replace(before, &format!("{members}, {before}"))
    };
    let text = affects(
        r#"[{"ref": "old"}, {"ref": "new"}, {"ref": "other"}, {"ref": "tool"}, {"ref": "scan"}, {"ref": "step"},
            {"ref": "who"}, {"ref": "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/2#old"}]"#,
    );
    let pedigree = format!(
        r#""pedigree": {{"ancestors": [{}], "descendants": [{}], "variants": [{}]}}"#,
        element("old"),
        element("new"),
        element("other")
    );
    let text = insert(&text, r#""name": "inner""#, &pedigree);
    let tools =
        format!(r#""tools": {{"components": [{}], "services": [{}]}}"#, element("tool"), service("scan"));
    let text = insert(&text, r#""timestamp""#, &tools);
    let formulation = format!(r#""formulation": [{{"bom-ref": "f", "components": [{}]}}]"#, element("step"));
    let text = insert(&text, r#""services": [{"group""#, &formulation);
    let annotator = format!(r#""annotations": [{{"annotator": {{"component": {}}}}}]"#, element("who"));
    let good = insert(&text, r#""services": [{"group""#, &annotator);
    let found = parsed(&good);
    assert_eq!(found.findings, []);
    let scan = format!("csaf-local:cyclonedx|{SERIAL}|scan");
    let purl = |name: &str| format!("purl:pkg:npm/{name}@1");
    let parts =
        [purl("old"), purl("new"), purl("other"), purl("tool"), scan, purl("step"), purl("who"), purl("old")];
    let expected: Vec<_> = parts.iter().map(|part| ("purl:pkg:npm/app@2", Some(part.as_str()))).collect();
    assert_eq!(keys(&found), expected);
    let names = found
        .observations
        .iter()
        .map(|found| found.observation.subcomponent.as_ref().unwrap().name.as_deref());
    assert_eq!(names.collect::<Vec<_>>()[..2], [Some("old"), Some("new")]);

    let faults = good.replace("pkg:npm/old@1\"", "pkg:npm/\", \"colour\": 1");
    let at = "/components/0/components/0/pedigree/ancestors/0";
    let expected = [(Code::UnknownMember, format!("{at}/colour")), (Code::BadPurl, at.to_owned())];
    assert_eq!(findings(&parsed(&faults)), expected.each_ref().map(|(code, at)| (*code, at.as_str())));

    let doubled = parsed(&good.replace(r#""bom-ref": "new""#, r#""bom-ref": "old""#));
    let doubles: Vec<_> =
        findings(&doubled).into_iter().filter(|(code, _)| *code == Code::AmbiguousProduct).collect();
    let second = "/components/0/components/0/pedigree/descendants/0";
    assert_eq!(
        doubles,
        [(Code::AmbiguousProduct, format!("{second}/bom-ref").as_str()), (Code::AmbiguousProduct, at)]
    );

    // Names of other things are none of a component.
    let formula = parsed(
        &affects(r#"[{"ref": "f"}]"#).replace(r#""services""#, &format!(r#"{formulation}, "services""#)),
    );
    assert_eq!(findings(&formula), [(Code::DanglingRef, "/vulnerabilities/0/affects/0/ref")]);
}

#[test]
fn what_a_list_may_have_once_is_told_when_it_is_there_again() {
    let version = r#"{"version": "1"}"#;
    let told = |text: &str| {
        findings(&parsed(text)).into_iter().map(|(code, at)| (code, at.to_owned())).collect::<Vec<_>>()
    };
    for (targets, again) in [
        (r#"[{"ref": "lib"}, {"ref": "lib"}]"#.to_owned(), &["/vulnerabilities/0/affects/1"][..]),
        (
            r#"[{"ref": "lib"}, {"ref": "api"}, {"ref": "lib"}, {"ref": "lib"}]"#.to_owned(),
            &["/vulnerabilities/0/affects/2", "/vulnerabilities/0/affects/3"],
        ),
        (format!(r#"[{{"ref": "lib", "versions": [{version}, {version}]}}]"#), &[]),
        (format!(r#"[{{"ref": "lib"}}, {{"ref": "lib", "versions": [{version}]}}]"#), &[]),
        (
            r#"[{"ref": "lib"}, {"ref": "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/2#lib"}]"#.to_owned(),
            &[],
        ),
    ] {
        let expected: Vec<_> = again.iter().map(|at| (Code::RepeatedElement, (*at).to_owned())).collect();
        assert_eq!(told(&affects(&targets)), expected, "{targets}");
    }
    let one = vulnerability(r#""analysis": {"state": "resolved"}, "affects": [{"ref": "lib"}]"#);
    let expected = [(Code::RepeatedElement, "/vulnerabilities/1".to_owned())];
    assert_eq!(told(&document(&format!("{one}, {one}"))), expected);
}

#[test]
fn without_a_product_the_part_is_the_product() {
    let text = affects(r#"[{"ref": "lib"}, {"ref": "gone"}]"#).replace(r#""component":"#, r#""properties":"#);
    let local = format!("csaf-local:cyclonedx|{SERIAL}|gone");
    assert_eq!(keys(&parsed(&text)), [("purl:pkg:npm/lib@1", None), (local.as_str(), None)]);
}

#[test]
fn a_statement_without_affects_is_about_the_whole_bom() {
    for affects in ["", r#", "affects": []"#] {
        let text = document(&vulnerability(&format!(r#""analysis": {{"state": "resolved"}}{affects}"#)));
        assert_eq!(keys(&parsed(&text)), [("purl:pkg:npm/app@2", None)]);
        let unnamed = text.replace(r#""component":"#, r#""properties":"#);
        let parsed = parsed(&unnamed);
        let product = &only(&parsed).product;
        assert_eq!(product.key, format!("inherited:{SERIAL}"));
        assert_eq!(product.kind, ComponentKind::Inherited);
    }
    for unreadable in [r#"{"ref": "lib"}"#, "null", "7"] {
        let rejection = rejected(&affects(unreadable));
        assert_eq!(rejection.code, Code::NoUsableStatement);
        assert_eq!(rejection.findings[0].code, Code::WrongType);
    }
}

#[test]
fn members_that_the_schema_does_not_have_are_told() {
    let good =
        r#""analysis": {"state": "resolved"}, "affects": [{"ref": "lib", "versions": [{"version": "1"}]}]"#;
    let good = document(&vulnerability(good));
    assert_eq!(parsed(&good).findings, []);
    for (place, pointer) in [
        (r#"{"bomFormat""#, ""),
        (r#"{"timestamp""#, "/metadata"),
        (r#"{"name": "ACME""#, "/metadata/supplier"),
        (r#"{"type": "application""#, "/metadata/component"),
        (r#"{"type": "library", "name": "inner""#, "/components/0/components/0"),
        (r#"{"group": "acme""#, "/services/0"),
        (r#"{"id""#, "/vulnerabilities/0"),
        (r#"{"state""#, "/vulnerabilities/0/analysis"),
        (r#"{"ref""#, "/vulnerabilities/0/affects/0"),
    ] {
        let text = good.replace(place, &place.replacen('{', r#"{"foo": 1, "#, 1));
        let parsed = parsed(&text);
        let pointer = format!("{pointer}/foo");
        assert_eq!(findings(&parsed), [(Code::UnknownMember, pointer.as_str())]);
        assert_eq!(parsed.observations.len(), 1, "{pointer}");
    }
}

#[test]
fn a_misspelled_member_does_not_widen_a_claim() {
    let at = "/vulnerabilities/0";
    let other = vulnerability(r#""analysis": {"state": "in_triage"}"#);
    for (members, place, unknown) in [
        (r#""affect": [{"ref": "lib"}]"#, "", "/affect"),
        (r#""affects": [], "Affects": [{"ref": "lib"}]"#, "", "/Affects"),
        (r#""affects": [{"ref": "lib", "verions": [{"version": "1"}]}]"#, "/affects/0", "/affects/0/verions"),
        (
            r#""affects": [{"ref": "lib", "versions": [{"version": "1", "state": "unaffected"}]}]"#,
            "/affects/0/versions/0",
            "/affects/0/versions/0/state",
        ),
    ] {
        let said = vulnerability(&format!(r#""analysis": {{"state": "resolved"}}, {members}"#));
        let parsed = parsed(&document(&format!("{said}, {other}")));
        let (place, unknown) = (format!("{at}{place}"), format!("{at}{unknown}"));
        assert_eq!(
            findings(&parsed),
            [(Code::UnknownMember, unknown.as_str()), (Code::UnclearScope, place.as_str())]
        );
        assert_eq!(only(&parsed).status, Status::UnderInvestigation, "{members}");
    }
}

#[test]
fn a_product_that_cannot_be_read_does_not_set_its_parts_free() {
    let good = affects(r#"[{"ref": "lib"}]"#);
    for (written, code) in [
        (good.replace(r#""component": {"#, r#""component": "x", "properties": {"#), Code::WrongType),
        (good.replace(r#""component": {"#, r#""component": null, "properties": {"#), Code::WrongType),
        (good.replace(r#""component": {"#, r#""componnent": {"#), Code::UnknownMember),
        (good.replace(r#""metadata": {"#, r#""metdata": {"#), Code::UnknownMember),
    ] {
        let parsed = parsed(&written);
        assert_eq!(parsed.findings[0].code, code);
        let product = format!("inherited:{SERIAL}");
        assert_eq!(keys(&parsed), [(product.as_str(), Some("purl:pkg:npm/lib@1"))]);
    }
}

#[test]
fn members_of_another_type_are_told() {
    let good = affects(r#"[{"ref": "lib"}]"#);
    let lib = |members: &str| good.replace(r#""name": "lib","#, &format!(r#""name": "lib", {members},"#));
    for (text, pointer) in [
        (lib(r#""hashes": {}"#), "/components/0/hashes"),
        (lib(r#""hashes": ["x"]"#), "/components/0/hashes/0"),
        (lib(r#""hashes": [{"alg": "MD5", "content": 5}]"#), "/components/0/hashes/0/content"),
        (lib(r#""swid": "x""#), "/components/0/swid"),
        (lib(r#""swid": {"tagId": 5}"#), "/components/0/swid/tagId"),
        (lib(r#""version": 5"#), "/components/0/version"),
        (lib(r#""cpe": 5"#), "/components/0/cpe"),
        (
            good.replace(
                r#""components": [{"type": "library", "name": "lib""#,
                r#""components": [5, {"type": "library", "name": "lib""#,
            ),
            "/components/0",
        ),
        (
            good.replace(r#""name": "inner", "bom-ref": "inner""#, r#""name": "inner", "bom-ref": 5"#),
            "/components/0/components/0/bom-ref",
        ),
        (good.replace(r#""name": "inner""#, r#""name": 5"#), "/components/0/components/0/name"),
        (good.replace(r#""services": ["#, r#""services": "x", "properties": ["#), "/services"),
        (
            good.replace(r#""supplier": {"name": "ACME"}"#, r#""authors": [{"name": "A"}], "supplier": "x""#),
            "/metadata/supplier",
        ),
        (good.replace(r#""analysis""#, r#""rejected": 5, "analysis""#), "/vulnerabilities/0/rejected"),
        (good.replace(r#""analysis""#, r#""created": 5, "analysis""#), "/vulnerabilities/0/created"),
    ] {
        let parsed = parsed(&text);
        assert_eq!(findings(&parsed), [(Code::WrongType, pointer)]);
    }
    let listed = parsed(&good.replace(
        r#""components": [{"type": "library", "name": "lib""#,
        r#""components": {}, "properties": [{"type": "library", "name": "lib""#,
    ));
    assert_eq!(codes(&listed), "dangling_ref 1, wrong_type 1");
    let times = parsed(&good.replace(r#""analysis""#, r#""created": "x", "updated": "y", "analysis""#));
    assert_eq!(codes(&times), "bad_timestamp 2");
}

#[test]
fn a_refusal_tells_the_reason_and_all_that_was_found() {
    for (members, code, pointer) in [
        (r#""affects": [{"ref": "lib", "versions": "1"}]"#, Code::WrongType, "/affects/0/versions"),
        (r#""affects": [{"ref": "lib", "versions": null}]"#, Code::WrongType, "/affects/0/versions"),
        (
            r#""affects": [{"ref": "lib", "versions": [{"version": "1", "status": 5}]}]"#,
            Code::WrongType,
            "/affects/0/versions/0/status",
        ),
        (r#""affect": []"#, Code::UnclearScope, ""),
    ] {
        let text = document(&vulnerability(&format!(r#""analysis": {{"state": "resolved"}}, {members}"#)));
        let rejection = rejected(&text);
        let pointer = format!("/vulnerabilities/0{pointer}");
        assert_eq!((rejection.code, &rejection.pointer), (Code::NoUsableStatement, &pointer));
        let found = rejection.findings.iter().find(|finding| finding.code == code).unwrap();
        assert_eq!(found.pointer, pointer);
        assert!(found.line.is_some() && rejection.message.contains(&found.message), "{}", rejection.message);
    }
    let rejection = rejected(&document(&vulnerability(r#""analysis": "x""#)));
    assert_eq!(rejection.pointer, "/vulnerabilities/0/analysis");
    assert_eq!(rejection.findings[0].code, Code::WrongType);
}

#[test]
fn reasons_and_responses_stay_with_the_status_that_they_are_of() {
    let entry = |analysis: &str, entry: &str| {
        let affects = format!(r#""affects": [{{"ref": "lib", "versions": [{{"version": "1"}}, {entry}]}}]"#);
        parsed(&document(&vulnerability(&format!(
            r#""recommendation": "r", "analysis": {{{analysis}}}, {affects}"#
        ))))
    };
    let unaffected = entry(
        r#""state": "exploitable", "response": ["update"]"#,
        r#"{"version": "2", "status": "unaffected"}"#,
    );
    assert_eq!(findings(&unaffected), [(Code::Unjustified, "/vulnerabilities/0/affects/0/versions/1")]);
    let [affected, not] = [0, 1].map(|n| &unaffected.observations[n].observation);
    assert_eq!((affected.action.responses.len(), not.action.responses.len()), (1, 0));
    // The recommendation is the vulnerability's.
    assert_eq!(not.action.text.as_deref(), Some("r"));
    let unknown = entry(
        r#""state": "not_affected", "justification": "code_not_present""#,
        r#"{"version": "2", "status": "unknown"}"#,
    );
    assert_eq!(findings(&unknown), []);
    let [not, unknown] = [0, 1].map(|n| &unknown.observations[n].observation);
    assert!(not.justification.is_some() && unknown.justification.is_none());
}

#[test]
fn dependencies_of_or_on_nothing_are_told() {
    let with = |dependencies: &str| {
        let text = affects(r#"[{"ref": "lib"}]"#);
        let text = text.replace(r#""services""#, &format!(r#""dependencies": {dependencies}, "services""#));
        parsed(&text.replace(
            r#""timestamp""#,
            r#""tools": {"components": [{"type": "application", "name": "t", "bom-ref": "tool"}]}, "timestamp""#,
        ))
    };
    let good = r#"[{"ref": "app", "dependsOn": ["lib", "tool"], "provides": []}, {"ref": "inner"}]"#;
    assert_eq!(with(good).findings, []);
    for (dependencies, code, pointer) in [
        (r#"[{"dependsOn": []}]"#, Code::DanglingRef, "/0/ref"),
        (r#"[{"ref": ""}]"#, Code::DanglingRef, "/0/ref"),
        (r#"[{"ref": "app", "dependsOn": ["lib", "gone"]}]"#, Code::DanglingRef, "/0/dependsOn/1"),
        (r#"[{"ref": "app", "provides": "lib"}]"#, Code::WrongType, "/0/provides"),
        (r#"[{"ref": "app", "depends": []}]"#, Code::UnknownMember, "/0/depends"),
        ("{}", Code::WrongType, ""),
    ] {
        let pointer = format!("/dependencies{pointer}");
        assert_eq!(findings(&with(dependencies)), [(code, pointer.as_str())], "{dependencies}");
    }
}

#[test]
fn local_keys_of_two_documents_do_not_meet() {
    let key = |serial: &str, name: &str| {
        let text = affects(&format!(r#"[{{"ref": "{name}"}}]"#)).replace(SERIAL, serial);
        keys(&parsed(&text))[0].1.map(str::to_owned)
    };
    assert_ne!(key("a|b", "c"), key("a", "b|c"));
}

#[test]
fn names_of_a_bom_without_serial_number_are_its_own() {
    let text = affects(r#"[{"ref": "inner"}]"#).replace("serialNumber", "$schema");
    let found = parsed(&text);
    let part = only(&found).subcomponent.as_ref().unwrap();
    let digest = Digest::of(text.as_bytes()).to_hex();
    assert_eq!(part.key, format!("csaf-local:cyclonedx|sha256:{digest}|inner"));
    assert_eq!((part.kind, part.name.as_deref()), (ComponentKind::CsafLocal, Some("inner")));
    let other = parsed(&text.replace('\n', " "));
    assert_ne!(only(&other).subcomponent.as_ref().unwrap().key, part.key);
}

#[test]
fn components_are_keyed_by_the_first_rule_that_applies() {
    const SHA: &str = "abababababababababababababababababababababababababababababababab";
    let hash =
        format!(r#""hashes": [{{"alg": "MD5", "content": "00"}}, {{"alg": "SHA-256", "content": "{SHA}"}}]"#);
    let purl = r#""purl": "pkg:npm/x@1""#;
    let cpe = r#""cpe": "cpe:2.3:a:acme:x:1:*:*:*:*:*:*:*""#;
    let swid = r#""swid": {"tagId": "tag", "name": "x"}"#;
    for (members, key) in [
        (format!("{purl}, {cpe}, {swid}, {hash}"), format!("digest:sha256:{SHA}")),
        (format!("{purl}, {cpe}, {swid}"), "purl:pkg:npm/x@1".to_owned()),
        (format!("{cpe}, {swid}"), "cpe23:cpe:2.3:a:acme:x:1:*:*:*:*:*:*:*".to_owned()),
        (swid.to_owned(), "swid:tag".to_owned()),
        (r#""cpe": "cpe:/a:acme:x:1""#.to_owned(), "cpe23:cpe:2.3:a:acme:x:1:*:*:*:*:*:*:*".to_owned()),
    ] {
        let text = affects(r#"[{"ref": "inner"}]"#).replace(
            r#""name": "inner""#,
            &format!(r#""name": "inner", "group": "g", "version": "9", {members}"#),
        );
        let parsed = parsed(&text);
        let part = only(&parsed).subcomponent.clone().unwrap();
        assert_eq!((part.key.as_str(), part.name.as_deref()), (key.as_str(), Some("g/inner@9")), "{members}");
        assert_eq!(parsed.findings, []);
    }
}

#[test]
fn a_bom_ref_of_two_elements_names_both() {
    let text = affects(r#"[{"ref": "lib"}]"#).replace(
        r#""services": ["#,
        r#""services": [{"name": "x", "bom-ref": "lib"}, {"name": "x", "services": [{"bom-ref": "lib"}]}, "#,
    );
    let doubled = parsed(&text);
    assert_eq!(
        findings(&doubled),
        [
            (Code::AmbiguousProduct, "/services/0/bom-ref"),
            (Code::AmbiguousProduct, "/services/1/services/0/bom-ref")
        ]
    );
    assert_eq!(keys(&doubled), [("purl:pkg:npm/app@2", Some("purl:pkg:npm/lib@1"))]);
    let text = affects(r#"[{"ref": "lib"}]"#).replace(
        r#""name": "inner", "bom-ref": "inner""#,
        r#""name": "b", "bom-ref": "lib", "purl": "pkg:npm/b@1""#,
    );
    let disagreeing = parsed(&text);
    assert_eq!(codes(&disagreeing), "ambiguous_product 2");
    assert_eq!(only(&disagreeing).subcomponent.as_ref().unwrap().identifiers.len(), 2);
    let vulnerabilities = [vulnerability(r#""bom-ref": "v""#), vulnerability(r#""bom-ref": "lib""#)];
    let third = vulnerability(r#""bom-ref": "v", "analysis": {"state": "resolved"}"#);
    let text = document(&format!("{}, {}, {third}", vulnerabilities[0], vulnerabilities[1]));
    assert_eq!(
        findings(&parsed(&text)),
        [
            (Code::DuplicateRef, "/vulnerabilities/1/bom-ref"),
            (Code::DuplicateRef, "/vulnerabilities/2/bom-ref")
        ]
    );
}

/// CISA's cases 7 and 8: one product, one vulnerability, and a status for each version of it.
#[test]
fn versions_tell_statements_about_one_product_apart() {
    let entry = |state: &str, versions: &str| {
        let affects = format!(r#""affects": [{{"ref": "app", "versions": {versions}}}]"#);
        vulnerability(&format!(
            r#""analysis": {{"state": "{state}", "detail": "d", "response": ["update"]}}, {affects}"#
        ))
    };
    let text = document(&format!(
        "{}, {}, {}",
        entry("exploitable", r#"[{"version": "2.4"}, {"range": "vers:semver/>=2.9|<=4.1"}]"#),
        entry("not_affected", r#"[{"version": "1.0", "status": "unaffected"}]"#),
        entry(
            "resolved",
            r#"[{"version": "4.2", "status": "affected"}, {"version": "4.3", "status": "unknown"}]"#
        ),
    ));
    let found = parsed(&text);
    assert_eq!(found.findings, []);
    let claims: Vec<_> = found
        .observations
        .iter()
        .map(|parsed| &parsed.observation)
        .map(|o| {
            (o.version_scope.as_deref().unwrap(), o.status, o.native_status.as_ref(), o.impact.is_some())
        })
        .collect();
    assert_eq!(
        claims,
        [
            ("2.4", Status::Affected, "exploitable", true),
            ("vers:semver/>=2.9|<=4.1", Status::Affected, "exploitable", true),
            ("1.0", Status::NotAffected, "unaffected", true),
            ("4.2", Status::Fixed, "resolved", true),
            ("4.3", Status::Unknown, "unknown", false),
        ]
    );
    assert_eq!(found.observations[4].observation.notes.as_deref(), Some("d"));
    assert!(found.observations.iter().all(|claim| claim.observation.product.key == "purl:pkg:npm/app@2"));
}

#[test]
fn different_statuses_of_one_version_conflict() {
    let entry = |state: &str, versions: &str| {
        let affects = format!(r#""affects": [{{"ref": "lib"{versions}}}]"#);
        vulnerability(&format!(r#""analysis": {{"state": "{state}", "detail": "d"}}, {affects}"#))
    };
    let one = entry("resolved", r#", "versions": [{"version": "1"}]"#);
    for (other, expected) in [
        (entry("not_affected", r#", "versions": [{"version": "1"}]"#), "intra_document_conflict 1"),
        (entry("not_affected", r#", "versions": [{"version": "2"}]"#), ""),
        (entry("not_affected", ""), ""),
        (entry("resolved", r#", "versions": [{"version": "1", "status": "affected"}]"#), ""),
    ] {
        let parsed = parsed(&document(&format!("{one}, {other}")));
        assert_eq!((codes(&parsed).as_str(), parsed.observations.len()), (expected, 2), "{other}");
    }
}

#[test]
fn version_entries_with_a_fault_are_dropped_alone() {
    for (entry, code, pointer) in [
        ("{}", Code::BadVersionEntry, ""),
        (r#"{"version": "1", "range": "vers:npm/1"}"#, Code::BadVersionEntry, ""),
        (r#"{"version": " "}"#, Code::BadVersionEntry, ""),
        ("7", Code::BadVersionEntry, ""),
        (r#"{"version": "1", "status": "fixed"}"#, Code::UnknownStatus, "/status"),
        (r#"{"version": "1", "status": 7}"#, Code::WrongType, "/status"),
    ] {
        let text = affects(&format!(r#"[{{"ref": "lib", "versions": [{entry}, {{"version": "2"}}]}}]"#));
        let parsed = parsed(&text);
        let pointer = format!("/vulnerabilities/0/affects/0/versions/0{pointer}");
        assert_eq!(findings(&parsed), [(code, pointer.as_str())], "{entry}");
        assert_eq!(only(&parsed).version_scope.as_deref(), Some("2"), "{entry}");
    }
    let unreadable = affects(r#"[{"ref": "lib", "versions": "1"}]"#);
    assert_eq!(rejected(&unreadable).code, Code::NoUsableStatement);
    let kept = parsed(&affects(r#"[{"ref": "lib", "versions": [{"range": "<2"}]}]"#));
    assert_eq!(codes(&kept), "bad_version_range 1");
    assert_eq!(only(&kept).version_scope.as_deref(), Some("<2"));
    let one = parsed(&affects(r#"[{"ref": "lib", "versions": {"version": "1"}}]"#));
    assert_eq!(codes(&one), "wrong_type 1");
    assert_eq!(only(&one).locator.pointer, "/vulnerabilities/0/affects/0");
    assert_eq!(only(&one).version_scope.as_deref(), Some("1"));
}

#[test]
fn only_an_analysis_with_a_state_makes_a_claim() {
    let good = vulnerability(r#""analysis": {"state": "resolved"}"#);
    for (members, expected) in [
        (r#""description": "d""#, ""),
        (r#""analysis": {}"#, ""),
        (r#""analysis": null"#, "wrong_type 1"),
        (r#""analysis": {"firstIssued": "2026-01-01T00:00:00Z"}"#, ""),
        (r#""analysis": {"detail": "d"}"#, "missing_status 1"),
        (r#""analysis": {"response": []}"#, "missing_status 1"),
        (r#""analysis": {"state": 7}"#, "missing_status 1"),
        (r#""analysis": {"state": null}"#, "missing_status 1"),
        (r#""analysis": {"detail": null}"#, "missing_status 1"),
        (r#""analysis": {"state": "affected"}"#, "unknown_status 1"),
        (r#""analysis": {"state": "Resolved"}"#, "unknown_status 1"),
    ] {
        let parsed = parsed(&document(&format!("{}, {good}", vulnerability(members))));
        assert_eq!((codes(&parsed).as_str(), parsed.observations.len()), (expected, 1), "{members}");
    }
    let disclosure = rejected(&document(&vulnerability(r#""ratings": []"#)));
    assert_eq!((disclosure.code, disclosure.pointer.as_str()), (Code::NoUsableStatement, "/vulnerabilities"));
    assert_eq!(disclosure.format, Some(Format::CycloneDx));
    for nothing in ["", "7"] {
        assert_eq!(rejected(&document(nothing)).code, Code::NoUsableStatement);
    }
}

#[test]
fn statements_with_a_fault_are_dropped_alone() {
    let resolved = r#""analysis": {"state": "resolved"}"#;
    let long = "x".repeat(1_025);
    let target = |target: &str| format!(r#"{{"id": "CVE-1", {resolved}, "affects": [{target}]}}"#);
    for (fault, expected) in [
        ("7".to_owned(), "bad_statement 1"),
        (format!("{{{resolved}}}"), "missing_vulnerability 1"),
        (format!(r#"{{"id": " ", {resolved}}}"#), "missing_vulnerability 1"),
        (format!(r#"{{"id": 7, {resolved}}}"#), "missing_vulnerability 1, wrong_type 1"),
        (format!(r#"{{"id": "{long}", {resolved}}}"#), "key_too_long 1"),
        (format!(r#"{{"id": "CVE-1", "references": [{{"id": "{long}"}}], {resolved}}}"#), "key_too_long 1"),
        (target("{}"), "missing_product 1"),
        (target(r#"{"ref": ""}"#), "missing_product 1"),
        (target(r#""lib""#), "missing_product 1"),
        (target(&format!(r#"{{"ref": "{long}"}}"#)), "dangling_ref 1, key_too_long 1"),
    ] {
        let good = vulnerability(resolved);
        let parsed = parsed(&document(&format!("{fault}, {good}")));
        assert_eq!((codes(&parsed).as_str(), parsed.observations.len()), (expected, 1), "{fault}");
    }
}

#[test]
fn states_and_justifications_have_their_meaning() {
    for (state, status) in [
        ("exploitable", Status::Affected),
        ("in_triage", Status::UnderInvestigation),
        ("resolved", Status::Fixed),
        ("resolved_with_pedigree", Status::Fixed),
        ("false_positive", Status::NotAffected),
        ("not_affected", Status::NotAffected),
    ] {
        let members = format!(
            r#""state": "{state}", "justification": "protected_at_perimeter", "response": ["update"]"#
        );
        let parsed = parsed(&analysis(&members));
        let claim = only(&parsed);
        assert_eq!((claim.status, claim.native_status.as_ref()), (status, state));
        let justification = claim.justification.as_ref().unwrap();
        assert_eq!(justification.label.label(), "inline_mitigations_already_exist");
        assert_eq!(
            (justification.native.as_ref(), justification.mapping.label()),
            ("protected_at_perimeter", "approximate")
        );
        let misplaced = if status == Status::NotAffected { "" } else { "misplaced_justification 1" };
        assert_eq!(codes(&parsed), misplaced, "{state}");
    }
}

#[test]
fn reasons_and_actions_are_asked_for() {
    for (members, expected) in [
        (r#""state": "not_affected""#, "unjustified 1"),
        (r#""state": "false_positive""#, "unjustified 1"),
        (r#""state": "not_affected", "detail": " ""#, "unjustified 1"),
        (r#""state": "not_affected", "detail": "d""#, ""),
        (r#""state": "not_affected", "justification": "x""#, "unjustified 1, unknown_justification 1"),
        (r#""state": "exploitable""#, "missing_action 1"),
        (r#""state": "exploitable", "response": ["x"]"#, "missing_action 1, unknown_response 1"),
        (r#""state": "exploitable", "response": ["will_not_fix"]"#, ""),
        (r#""state": "exploitable", "response": "update""#, "missing_action 1, wrong_type 1"),
    ] {
        assert_eq!(codes(&parsed(&analysis(members))), expected, "{members}");
    }
}

#[test]
fn responses_are_a_set_in_canonical_terms() {
    let parsed = parsed(&document(&vulnerability(
        r#""recommendation": "r", "workaround": "w", "analysis": {"state": "exploitable", "detail": "d",
            "response": ["workaround_available", "rollback", "can_not_fix", "update"]}"#,
    )));
    let action = &only(&parsed).action;
    assert_eq!(
        action.responses,
        [Response::CannotFix, Response::Rollback, Response::Update, Response::Workaround]
    );
    assert_eq!((action.text.as_deref(), action.url.as_deref()), (Some("r\n\nw"), None));
    assert_eq!(only(&parsed).impact.as_deref(), Some("d"));
}

#[test]
fn a_ref_that_was_forgotten_keeps_its_meaning_and_tells_its_fault_once() {
    // More than are held at once, and at the end the first one again, under another version.
    let refs = (0..5_000).map(|n| format!(r#"{{"ref": "x{n}"}}"#));
    let again = r#"{"ref": "x0", "versions": [{"version": "1"}]}"#.to_owned();
    let targets = refs.chain([again]).collect::<Vec<_>>().join(",");
    let parsed = parsed(&affects(&format!("[{targets}]")));
    let keys = keys(&parsed);
    assert_eq!((keys.len(), keys[0]), (5_001, keys[5_000]));
    assert_ne!(keys[0], keys[1]);
    assert_eq!(parsed.findings[0].pointer, "/vulnerabilities/0/affects/0/ref");
    let omitted = parsed.findings.iter().find(|found| found.code == Code::FindingsOmitted).unwrap();
    assert!(omitted.message.starts_with("4000 more findings `dangling_ref`"), "{}", omitted.message);
}

#[test]
fn references_are_aliases() {
    let parsed = parsed(&document(&vulnerability(
        r#""references": [{"id": "GHSA-1"}, {"id": "cve-2026-0001"}, {"id": "cve-2026-0002"}, {}, 7],
            "analysis": {"state": "resolved"}"#,
    )));
    assert_eq!(only(&parsed).vulnerability.aliases, ["CVE-2026-0002", "GHSA-1"]);
    assert_eq!(findings(&parsed), [(Code::WrongType, "/vulnerabilities/0/references/4")]);
}

#[test]
fn a_rejected_vulnerability_is_told() {
    let parsed = parsed(&document(&vulnerability(
        r#""rejected": "2026-01-01T00:00:00Z", "analysis": {"state": "resolved"}"#,
    )));
    assert_eq!(findings(&parsed), [(Code::RejectedVulnerability, "/vulnerabilities/0/rejected")]);
}

#[test]
fn times_are_those_of_the_analysis_then_of_the_document_then_of_the_record() {
    let first = r#""firstIssued": "2026-02-01T00:00:00Z""#;
    let last = r#""lastUpdated": "2026-02-02T01:00:00+01:00""#;
    let record = r#""created": "2025-01-01T00:00:00Z", "updated": "2025-01-03T00:00:00Z", "#;
    for (analysis, timestamp, asserted, source, findings) in [
        (format!("{first}, {last}"), true, Some("2026-02-02"), AssertedAtSource::Statement, ""),
        (first.to_owned(), true, Some("2026-02-01"), AssertedAtSource::Statement, ""),
        (
            r#""firstIssued": null"#.to_owned(),
            true,
            Some("2026-03-01"),
            AssertedAtSource::Document,
            "wrong_type 1",
        ),
        (String::new(), false, Some("2025-01-03"), AssertedAtSource::Statement, "missing_timestamp 1"),
        (r#""lastUpdated": "x""#.to_owned(), true, None, AssertedAtSource::None, "bad_timestamp 1"),
        (
            r#""lastUpdated": "2026-02-03T00:00:00""#.to_owned(),
            true,
            Some("2026-02-03"),
            AssertedAtSource::Statement,
            "assumed_utc 1",
        ),
    ] {
        let comma = if analysis.is_empty() { "" } else { ", " };
        let text = document(&vulnerability(&format!(
            r#"{record}"analysis": {{"state": "resolved"{comma}{analysis}}}"#
        )));
        let text = if timestamp { text } else { text.replace(r#""timestamp""#, r#""lifecycles""#) };
        let parsed = parsed(&text);
        let claim = only(&parsed);
        let expected = asserted.map(|day| format!("{day}T00:00:00.000000000Z"));
        assert_eq!(
            (claim.asserted_at.as_deref(), claim.asserted_at_source),
            (expected.as_deref(), source),
            "{analysis}"
        );
        assert_eq!(codes(&parsed), findings, "{analysis}");
    }
}

#[test]
fn a_document_issued_again_makes_the_same_claims() {
    let one = parsed(&affects(r#"[{"ref": "inner"}, {"ref": "lib"}, {"ref": "gone"}]"#));
    let again = affects(r#"[{"ref": "inner"}, {"ref": "lib"}, {"ref": "gone"}]"#)
        .replace(r#""version": 2,"#, r#""version": 3,"#)
        .replace("2026-03-01", "2026-04-01");
    let again = parsed(&again);
    for (one, other) in one.observations.iter().zip(&again.observations) {
        assert_eq!(one.claim_digest(), other.claim_digest());
        assert_ne!(one.id, other.id);
    }
}

#[test]
fn components_as_deep_as_the_strict_pass_permits_are_no_stack_overflow() {
    for depth in [60, 63, 64, 200] {
        let nested = format!("{}{}", r#"{"components":["#.repeat(depth), "]}".repeat(depth));
        let text = format!(
            r#"{{"bomFormat": "CycloneDX", "components": [{nested}], "vulnerabilities":
            [{{"id": "CVE-1", "analysis": {{"state": "resolved"}}}}]}}"#
        );
        match parse(text.as_bytes(), &ParseLimits::default()) {
            Ok(parsed) => assert!(depth < 64 && parsed.observations.len() == 1, "{depth}"),
            Err(rejection) => assert!(depth >= 64 && rejection.code == Code::TooDeep, "{depth}: {rejection}"),
        }
    }
}

#[test]
fn a_document_of_many_components_and_statements_is_read_in_no_time() {
    use std::fmt::Write as _;
    let (mut components, mut statements) = (String::new(), String::new());
    for n in 0..5_000 {
        let comma = if n > 0 { "," } else { "" };
        write!(components, r#"{comma}{{"name": "x", "bom-ref": "app"}}, {{"name": "c", "bom-ref": "c{n}"}}"#)
            .unwrap();
        let target = format!(r#""affects": [{{"ref": "c{n}"}}, {{"ref": "app"}}]"#);
        write!(statements, r#"{comma}{{"id": "CVE-{n}", "analysis": {{"state": "resolved"}}, {target}}}"#)
            .unwrap();
    }
    let text =
        document(&statements).replace(r#""components": [{"#, &format!(r#""components": [{components}, {{"#));
    let parsed = parsed(&text);
    assert_eq!(parsed.observations.len(), 10_000);
}

#[test]
fn another_spelling_of_the_format_is_no_format_and_told_as_such() {
    for name in ["cyclonedx", "CycloneDx"] {
        let text = analysis(r#""state": "in_triage""#).replace(r#""CycloneDX""#, &format!(r#""{name}""#));
        let rejection = rejected(&text);
        assert_eq!(rejection.code, Code::UnknownFormat);
        assert!(rejection.message.contains("`bomFormat`"), "{}", rejection.message);
    }
}
