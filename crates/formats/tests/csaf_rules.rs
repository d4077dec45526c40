//! The rules of CSAF section 6.1: a fault put into a document without fault is found, and it alone.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails, fails its test")]

mod csaf_common;

use csaf_common::{file, findings, retired, vex20, vex21, with, without};
use provex_formats::{Code, ParseLimits, parse};
use serde_json::{Value, json};

/// Asserts that the document has exactly these findings.
#[track_caller]
fn found(document: &Value, expected: &[(Code, &str)]) {
    let found = findings(document);
    let found: Vec<_> = found.iter().map(|(code, pointer)| (*code, pointer.as_str())).collect();
    assert_eq!(found, expected);
}

const V: &str = "/vulnerabilities/0";
const FLAG: &str = "/vulnerabilities/0/flags/0";
const REMEDY: &str = "/vulnerabilities/0/remediations/0";
const STATUS: &str = "/vulnerabilities/0/product_status";
const VERSION: &str = "/document/tracking/version";
const HISTORY: &str = "/document/tracking/revision_history";

#[test]
fn documents_without_fault_have_no_findings() {
    for document in [vex20(), vex21(), retired("csaf_withdrawn"), retired("csaf_superseded")] {
        found(&document, &[]);
    }
}

/// Each published case that fails a test, and the finding that names the test.
#[test]
fn every_published_case_is_found() {
    let cases = [
        ("01", Code::UndefinedProduct),
        ("02", Code::AmbiguousProduct),
        ("03", Code::CircularProduct),
        ("04", Code::UndefinedGroup),
        ("05", Code::RepeatedGroup),
        ("06", Code::IntraDocumentConflict),
        ("23", Code::RepeatedVulnerability),
        ("27-04", Code::MissingProductTree),
        ("27-05", Code::MissingNotes),
        ("27-07", Code::MissingProductStatus),
        ("27-08", Code::MissingVulnerability),
        ("27-09", Code::Unjustified),
        ("27-10", Code::MissingAction),
        ("27-11", Code::MissingVulnerabilities),
        ("29", Code::UnboundRemediation),
        ("32", Code::UnboundFlag),
        ("33", Code::RepeatedJustification),
    ];
    for (test, code) in cases {
        let bytes = file(&format!("invalid/oasis_csaf_tc-csaf_2_0-2021-6-1-{test}-01.json"));
        let found = match parse(&bytes, &ParseLimits::default()) {
            Ok(parsed) => parsed.findings,
            Err(rejection) => rejection.findings,
        };
        let finding = found.iter().find(|finding| finding.code == code);
        assert!(finding.is_some_and(|finding| finding.line.is_some()), "{test}: {found:?}");
    }
}

#[test]
fn undefined_products_are_found_wherever_they_are_named() {
    let lists = [
        (json!({"fixed": ["NONE"]}), "product_status", "/product_status/fixed/0"),
        (
            json!([{"label": "component_not_present", "product_ids": ["NONE"]}]),
            "flags",
            "/flags/0/product_ids/0",
        ),
        (
            json!([{"category": "exploit_status", "details": "x", "product_ids": ["NONE"]}]),
            "threats",
            "/threats/0/product_ids/0",
        ),
        (
            json!([{"category": "workaround", "details": "x", "product_ids": ["NONE"]}]),
            "remediations",
            "/remediations/0/product_ids/0",
        ),
        (json!([{"products": ["NONE"]}]), "scores", "/scores/0/products/0"),
        (json!([{"products": ["NONE"], "content": {"epss": {}}}]), "metrics", "/metrics/0/products/0"),
        (
            json!([{"party": "vendor", "status": "open", "product_ids": ["NONE"]}]),
            "involvements",
            "/involvements/0/product_ids/0",
        ),
    ];
    for (list, key, pointer) in lists {
        let item = json!({"cve": "CVE-2026-0002", "notes": [], "product_status": {"fixed": []}});
        let document =
            with(with(vex20(), "/vulnerabilities/-", item), &format!("/vulnerabilities/1/{key}"), list);
        found(&document, &[(Code::UndefinedProduct, &format!("/vulnerabilities/1{pointer}"))]);
    }
    let tree = "/product_tree/relationships/0/product_reference";
    found(&with(vex20(), tree, json!("NONE")), &[(Code::UndefinedProduct, tree)]);
    let tree = "/product_tree/product_paths/0/subpaths/0/next_product_reference";
    found(&with(vex21(), tree, json!("NONE")), &[(Code::UndefinedProduct, tree)]);
    let tree = "/product_tree/product_groups/0/product_ids/1";
    found(&with(vex20(), tree, json!("NONE")), &[(Code::UndefinedProduct, tree)]);
}

#[test]
fn statuses_contradict_each_other_across_groups_only() {
    let statuses = |statuses: Value| with(vex20(), STATUS, statuses);
    found(
        &statuses(
            json!({"known_affected": ["APP"], "first_affected": ["APP"], "recommended": ["APP"], "known_not_affected": ["OS:LIB"]}),
        ),
        &[],
    );
    found(
        &statuses(
            json!({"known_affected": ["APP"], "fixed": ["APP"], "first_fixed": ["APP"], "under_investigation": ["APP"]}),
        ),
        &[
            (Code::IntraDocumentConflict, "/vulnerabilities/0/product_status/known_affected/0"),
            (Code::IntraDocumentConflict, "/vulnerabilities/0/product_status/under_investigation/0"),
        ],
    );
    found(
        &with(vex21(), &format!("{STATUS}/unknown"), json!(["APP"])),
        &[(Code::IntraDocumentConflict, "/vulnerabilities/0/product_status/unknown/0")],
    );
}

/// One product under two ids, in one item and in two; and what only seems to be one.
#[test]
fn statuses_contradict_each_other_under_another_id_or_in_another_item() {
    let purl = json!({"purl": "pkg:rpm/acme/lib@1.0"});
    let twin = json!({"product_id": "TWIN", "name": "Lib", "product_identification_helper": purl});
    let names = "/product_tree/full_product_names";
    let document = with(vex20(), names, json!([twin]));
    let affected = format!("{STATUS}/known_affected/0");
    let statuses = |statuses: Value| with(without(document.clone(), &format!("{V}/flags")), STATUS, statuses);
    found(&statuses(json!({"fixed": ["LIB", "TWIN"]})), &[]);
    found(
        &statuses(json!({"fixed": ["LIB"], "under_investigation": ["TWIN"]})),
        &[(Code::IntraDocumentConflict, &format!("{STATUS}/under_investigation/0"))],
    );
    // A contradiction of one id is told once.
    let remedied = with(document.clone(), &format!("{REMEDY}/product_ids"), json!(["LIB", "TWIN"]));
    let both = json!({"fixed": ["LIB"], "known_affected": ["LIB", "TWIN"]});
    let expected = [
        (Code::IntraDocumentConflict, affected.as_str()),
        (Code::IntraDocumentConflict, &format!("{STATUS}/known_affected/1")),
    ];
    found(&without(with(remedied, STATUS, both), &format!("{V}/flags")), &expected);
    // Another version of the product, and the product in another.
    for other in [json!({"purl": "pkg:rpm/acme/lib@2.0"}), json!({"purl": "pkg:rpm/acme/app"})] {
        let helper = format!("{names}/0/product_identification_helper");
        let other = with(document.clone(), &helper, other);
        let other = with(other, STATUS, json!({"fixed": ["LIB", "OS:LIB"], "under_investigation": ["TWIN"]}));
        found(&without(other, &format!("{V}/flags")), &[]);
    }
    // In another item for the same CVE id.
    let item = |cve: &str, statuses: Value| {
        let notes = json!([{"category": "description", "text": "x"}]);
        json!({"cve": cve, "notes": notes, "product_status": statuses})
    };
    let second = |cve: &str| with(vex20(), "/vulnerabilities/-", item(cve, json!({"fixed": ["APP"]})));
    found(&second("CVE-2026-0002"), &[]);
    let at = "/vulnerabilities/1/product_status/fixed/0";
    found(
        &second("CVE-2026-0001"),
        &[(Code::RepeatedVulnerability, "/vulnerabilities/1/cve"), (Code::IntraDocumentConflict, at)],
    );
    // By another name.
    let named = with(
        without(second("x"), "/vulnerabilities/1/cve"),
        "/vulnerabilities/1/ids",
        json!([{"system_name": "GHSA", "text": "GHSA-x"}]),
    );
    found(&named, &[]);
    let ids = json!([{"system_name": "NVD", "text": "CVE-2026-0001"}]);
    found(&with(named, "/vulnerabilities/1/ids", ids), &[(Code::IntraDocumentConflict, at)]);
    let message = &csaf_common::parsed(&second("CVE-2026-0001")).findings[1].message;
    assert!(message.contains(&format!("`affected` at {affected}")), "{message}");
}

/// Two chains with the same ends are two products.
#[test]
fn chains_by_different_ways_do_not_contradict_each_other() {
    let full = |id: &str| json!({"product_id": id, "name": id});
    let part = |of: &str, on: &str, id: &str| json!({"category": "default_component_of", "product_reference": of, "relates_to_product_reference": on, "full_product_name": full(id)});
    let names = json!([full("M1"), full("M2")]);
    let chained = [
        part("LIB", "OS", "OS:LIB"),
        part("LIB", "M1", "M1:LIB"),
        part("LIB", "M2", "M2:LIB"),
        part("M1:LIB", "OS", "OS:M1:LIB"),
        part("M2:LIB", "OS", "OS:M2:LIB"),
        part("M1:LIB", "OS", "AGAIN"),
    ];
    let document = with(vex20(), "/product_tree/full_product_names", names);
    let document = with(document, "/product_tree/relationships", json!(chained));
    let document = without(document, &format!("{V}/flags"));
    let statuses = |fixed: &str, open: &str| {
        with(document.clone(), STATUS, json!({"fixed": [fixed], "under_investigation": [open]}))
    };
    found(&statuses("OS:M1:LIB", "OS:M2:LIB"), &[]);
    found(&statuses("OS:M1:LIB", "OS:LIB"), &[]);
    let at = format!("{STATUS}/under_investigation/0");
    found(&statuses("OS:M1:LIB", "AGAIN"), &[(Code::IntraDocumentConflict, &at)]);
}

#[test]
fn purls_are_checked() {
    let helper = "/product_tree/branches/0/branches/1/branches/0/product/product_identification_helper";
    let product = "/product_tree/branches/0/branches/1/branches/0/product";
    // 6.1.13
    found(&with(vex20(), &format!("{helper}/purl"), json!("pkg:maven/@1.3.4")), &[(Code::BadPurl, product)]);
    // 6.1.42
    let purls = |purls: Value| with(vex21(), &format!("{helper}/purls"), purls);
    found(&purls(json!(["pkg:rpm/acme/lib@1.0?arch=a", "pkg:rpm/acme/lib@1.0?arch=b"])), &[]);
    let at = format!("{helper}/purls");
    found(&purls(json!(["pkg:rpm/acme/lib@1.0", "pkg:rpm/acme/other@1.0"])), &[(Code::PurlsDiffer, &at)]);
}

/// Tests 6.1.14 to 6.1.22 and 6.1.30: numbers and days of the revisions, version, status, and what is found.
#[test]
fn the_revision_history_is_checked() {
    type Case = (
        &'static [(&'static str, &'static str)],
        &'static str,
        &'static str,
        &'static [(Code, &'static str)],
    );
    const N0: &str = "/document/tracking/revision_history/0/number";
    const N1: &str = "/document/tracking/revision_history/1/number";
    let cases: &[Case] = &[
        (&[("1", "01")], "1", "final", &[]),
        (&[("2", "02"), ("1", "01")], "2", "interim", &[]),
        (&[("0", "01"), ("1", "02")], "1", "draft", &[]),
        (&[("1.0.0", "01"), ("1.10.0", "02"), ("2.0.0+b", "03")], "2.0.0+a", "final", &[]),
        (&[("0.9.0", "01"), ("1.0.0", "02")], "1.0.0-rc.1", "draft", &[]),
        (&[("9", "01"), ("10", "02")], "10", "final", &[(Code::MissingRevision, HISTORY)]),
        // 6.1.14, 6.1.16
        (&[("2", "01"), ("1", "02")], "1", "final", &[(Code::UnsortedRevisions, N0)]),
        (&[("1", "01"), ("2", "02")], "1", "final", &[(Code::VersionNotLatest, VERSION)]),
        // 6.1.17 to 6.1.20
        (&[("1", "01")], "0", "draft", &[(Code::VersionNotLatest, VERSION)]),
        (
            &[("0.9.5", "01")],
            "0.9.5",
            "final",
            &[(Code::NotMarkedDraft, "/document/tracking/status"), (Code::UnreleasedRevision, N0)],
        ),
        (&[("1.0.0-rc", "01"), ("1.0.0", "02")], "1.0.0", "final", &[(Code::PrereleaseRevision, N0)]),
        (
            &[("1.0.0", "01")],
            "1.0.0-alpha",
            "interim",
            &[
                (Code::NotMarkedDraft, "/document/tracking/status"),
                (Code::PrereleaseVersion, VERSION),
                (Code::VersionNotLatest, VERSION),
            ],
        ),
        // 6.1.21, 6.1.22, 6.1.30
        (&[("1", "01"), ("3", "02")], "3", "final", &[(Code::MissingRevision, HISTORY)]),
        (&[("1", "01"), ("1", "02")], "1", "final", &[(Code::RepeatedRevision, N1)]),
        (&[("1", "01"), ("2.0.0", "02")], "2.0.0", "final", &[(Code::MixedVersioning, HISTORY)]),
        (&[("1", "01"), ("x", "02")], "v1", "final", &[(Code::BadVersion, VERSION), (Code::BadVersion, N1)]),
    ];
    for (revisions, version, status, expected) in cases {
        let revision = |(number, day): &(&str, &str)| json!({"date": format!("2026-01-{day}T00:00:00Z"), "number": number, "summary": "x"});
        let history: Vec<Value> = revisions.iter().map(revision).collect();
        let document = with(with(vex20(), HISTORY, json!(history)), VERSION, json!(version));
        found(&with(document, "/document/tracking/status", json!(status)), expected);
    }
}

#[test]
fn translators_name_the_source_language() {
    let document = with(vex20(), "/document/publisher/category", json!("translator"));
    found(&document, &[(Code::MissingSourceLanguage, "/document/source_lang")]);
    found(&with(document, "/document/source_lang", json!("de")), &[]);
}

#[test]
fn one_cve_has_one_vulnerability() {
    let again = vex20().pointer(V).unwrap().clone();
    let again = with(again, "/cve", json!("cve-2026-0001"));
    let document = with(vex20(), "/vulnerabilities/-", again);
    let at = "/vulnerabilities/1/cve";
    found(&document, &[(Code::BadId, at), (Code::RepeatedVulnerability, at)]);
}

/// 6.1.26
#[test]
fn categories_do_not_look_like_profiles() {
    for (category, is_reserved) in [
        ("Csaf_a", true),
        ("csaf_vexx", true),
        ("Informational Advisory", true),
        ("security-incident-response", true),
        ("Security      Advisory", true),
        ("veX", true),
        ("V_eX", true),
        ("csaf_base", false),
        ("Example Company Security Notice", false),
        ("withdrawn", false),
    ] {
        let expected: &[_] =
            if is_reserved { &[(Code::ReservedCategory, "/document/category")] } else { &[] };
        found(&with(vex20(), "/document/category", json!(category)), expected);
    }
    let withdrawn = with(vex21(), "/document/category", json!("With-drawn"));
    found(&withdrawn, &[(Code::ReservedCategory, "/document/category")]);
}

/// 6.1.27.4 to 6.1.27.11
#[test]
fn profiles_promise_parts() {
    found(&without(vex20(), "/vulnerabilities/0/notes"), &[(Code::MissingNotes, V)]);
    found(
        &without(vex20(), "/vulnerabilities/0/flags"),
        &[(Code::Unjustified, &format!("{STATUS}/known_not_affected/0"))],
    );
    found(
        &without(vex20(), "/vulnerabilities/0/remediations"),
        &[(Code::MissingAction, &format!("{STATUS}/known_affected/0"))],
    );
    found(&without(vex20(), "/vulnerabilities"), &[(Code::MissingVulnerabilities, "/vulnerabilities")]);
    found(&with(vex20(), STATUS, json!({"first_fixed": ["APP"]})), &[(Code::MissingProductStatus, STATUS)]);
    found(&without(vex20(), "/vulnerabilities/0/cve"), &[(Code::MissingVulnerability, V)]);
    // A base document promises none of it, but a claim that says nothing of why or what to do is one in any document.
    let base = with(vex20(), "/document/category", json!("csaf_base"));
    found(&without(base, "/vulnerabilities/0/notes"), &[]);
    let advisory = with(vex20(), "/document/category", json!("csaf_security_advisory"));
    found(&without(advisory.clone(), STATUS), &[(Code::MissingProductStatus, STATUS)]);
    let flags = "/vulnerabilities/0/flags";
    let unjustified = format!("{STATUS}/known_not_affected/0");
    found(&without(advisory, flags), &[(Code::Unjustified, &unjustified)]);
    let informational = with(vex20(), "/document/category", json!("csaf_informational_advisory"));
    let expected = [
        (Code::UnexpectedVulnerabilities, "/vulnerabilities"),
        (Code::MissingDescription, "/document/notes"),
        (Code::MissingReference, "/document/references"),
    ];
    found(&informational, &expected);
}

/// The VEX profile promises each product an answer; of others one product of a vulnerability is told.
#[test]
fn claims_without_reason_or_action_are_told_whatever_the_profile() {
    let bare = |status: &str| {
        let document = without(without(vex20(), &format!("{V}/flags")), &format!("{V}/remediations"));
        with(document, STATUS, json!({status: ["APP", "OS:LIB"]}))
    };
    for (status, code) in [("known_not_affected", Code::Unjustified), ("known_affected", Code::MissingAction)]
    {
        let [first, second] = [0, 1].map(|n| format!("{STATUS}/{status}/{n}"));
        found(&bare(status), &[(code, &first), (code, &second)]);
        let advisory = with(bare(status), "/document/category", json!("csaf_security_advisory"));
        found(&advisory, &[(code, &first)]);
    }
    let severity = json!([{"category": "impact", "details": "Moderate", "product_ids": ["OS:LIB"]}]);
    let document = with(without(vex20(), &format!("{V}/flags")), &format!("{V}/threats"), severity);
    let message = &csaf_common::parsed(&document).findings[0].message;
    assert!(message.contains("names a severity"), "{message}");
}

/// Groups count for 6.1.27.9 and 6.1.27.10 as their products do.
#[test]
fn groups_stand_for_their_products() {
    let flag = json!([{"label": "component_not_present", "group_ids": ["ALL"]}]);
    let remedy = json!([{"category": "workaround", "details": "x", "group_ids": ["ALL"]}]);
    let document = with(with(vex20(), &format!("{V}/flags"), flag), &format!("{V}/remediations"), remedy);
    found(&document, &[(Code::MisplacedJustification, &format!("{STATUS}/known_affected/0"))]);
    let document = with(document, &format!("{FLAG}/group_ids"), json!(["NONE"]));
    let unjustified = format!("{STATUS}/known_not_affected/0");
    let undefined = format!("{FLAG}/group_ids/0");
    found(&document, &[(Code::UndefinedGroup, &undefined), (Code::Unjustified, &unjustified)]);
}

/// 6.1.27.3 and 6.1.27.14 to 6.1.27.19
#[test]
fn retired_documents_say_why() {
    let notes = "/document/notes";
    for category in ["csaf_withdrawn", "csaf_superseded"] {
        let good = || retired(category);
        found(
            &with(good(), "/document/notes/0/category", json!("summary")),
            &[(Code::MissingDescription, notes), (Code::MissingReasoning, notes)],
        );
        found(&with(good(), "/document/notes/0/title", json!("Why")), &[(Code::MissingReasoning, notes)]);
        let twice = with(good(), "/document/notes/-", good().pointer("/document/notes/0").unwrap().clone());
        found(&twice, &[(Code::MissingReasoning, notes)]);
        // In another language the title is another.
        let german =
            with(with(good(), "/document/notes/0/title", json!("Warum")), "/document/lang", json!("de-AT"));
        found(&german, &[]);
        let tree = vex21().pointer("/product_tree").unwrap().clone();
        found(&with(good(), "/product_tree", tree), &[(Code::UnexpectedProductTree, "/product_tree")]);
        found(
            &with(good(), "/vulnerabilities", json!([])),
            &[(Code::UnexpectedVulnerabilities, "/vulnerabilities")],
        );
        let one = json!([{"date": "2026-01-01T00:00:00Z", "number": "1", "summary": "x"}]);
        let short = with(with(good(), HISTORY, one), VERSION, json!("1"));
        found(&short, &[(Code::ShortHistory, HISTORY)]);
    }
    let superseded = retired("csaf_superseded");
    let reference = "/document/references";
    let missing = &[(Code::MissingSuccessor, reference)];
    found(&without(superseded.clone(), reference), missing);
    found(&with(superseded.clone(), "/document/references/0/category", json!("self")), missing);
    found(&with(superseded, "/document/references/0/summary", json!("superseding document")), missing);
    found(&without(retired("csaf_withdrawn"), reference), &[]);
}

/// 6.1.29, 6.1.32 and 6.1.33
#[test]
fn flags_and_remediations_name_products() {
    let document = without(vex20(), &format!("{REMEDY}/product_ids"));
    let missing = format!("{STATUS}/known_affected/0");
    found(&document, &[(Code::UnboundRemediation, REMEDY), (Code::MissingAction, &missing)]);
    let document = without(vex20(), &format!("{FLAG}/product_ids"));
    let unjustified = format!("{STATUS}/known_not_affected/0");
    found(&document, &[(Code::UnboundFlag, FLAG), (Code::Unjustified, &unjustified)]);
    let flag = json!({"label": "component_not_present", "group_ids": ["ALL"]});
    let statuses = json!({"known_not_affected": ["APP", "OS:LIB"]});
    let document = with(with(vex20(), STATUS, statuses), &format!("{V}/flags/-"), flag);
    found(&document, &[(Code::RepeatedJustification, "/vulnerabilities/0/flags/1")]);
}

/// 6.1.34
#[test]
fn thirty_branches_are_the_most() {
    let nested = |levels: usize| {
        let product =
            json!({"category": "product_name", "name": "x", "product": {"product_id": "X", "name": "x"}});
        (1..levels)
            .fold(product, |below, _| json!({"category": "product_family", "name": "x", "branches": [below]}))
    };
    let tree = "/product_tree/branches/-";
    found(&with(vex21(), tree, nested(30)), &[]);
    let deep = format!("/product_tree/branches/1{}/product", "/branches/0".repeat(30));
    found(&with(vex21(), tree, nested(31)), &[(Code::BranchesTooDeep, &deep)]);
    found(&with(vex20(), tree, nested(31)), &[]);
}

/// 6.1.35 and 6.1.36
#[test]
fn remediations_do_not_contradict() {
    let remedy = |category: &str, product: &str| json!({"category": category, "details": "x", "product_ids": [product]});
    let and = |category, product| with(vex21(), &format!("{V}/remediations/-"), remedy(category, product));
    let second = "/vulnerabilities/0/remediations/1";
    for category in ["fix_planned", "no_fix_planned", "none_available"] {
        found(&and(category, "APP"), &[(Code::ContradictingRemediations, second)]);
    }
    found(
        &and("optional_patch", "APP"),
        &[(Code::ContradictingRemediations, second), (Code::MisplacedRemediation, second)],
    );
    for category in ["workaround", "mitigation", "vendor_fix"] {
        found(&and(category, "APP"), &[]);
        found(&and(category, "OS:LIB"), &[(Code::MisplacedRemediation, second)]);
    }
    found(&and("fix_planned", "OS:LIB"), &[]);
    // 2.0 has no such rule.
    found(&with(vex20(), &format!("{V}/remediations/-"), remedy("none_available", "APP")), &[]);
    found(&and("repair", "APP"), &[(Code::UnknownResponse, "/vulnerabilities/0/remediations/1/category")]);
}

/// 6.1.37
#[test]
fn times_of_2_1_have_one_form() {
    let at = "/document/tracking/current_release_date";
    for (time, in20, in21) in [
        ("2026-02-01T10:00:00Z", None, None),
        ("2026-02-01t10:00:00z", None, Some(Code::TimeForm)),
        ("2026-02-01 10:00:00Z", Some(Code::TimeForm), Some(Code::TimeForm)),
        ("2026-02-01T10:00:00", Some(Code::AssumedUtc), Some(Code::AssumedUtc)),
        ("2026-12-31T23:59:60Z", Some(Code::BadTimestamp), Some(Code::BadTimestamp)),
        ("2026-02-30T10:00:00Z", Some(Code::BadTimestamp), Some(Code::BadTimestamp)),
    ] {
        for (document, expected) in [(vex20(), in20), (vex21(), in21)] {
            let expected: Vec<_> = expected.into_iter().map(|code| (code, at)).collect();
            found(&with(document, at, json!(time)), &expected);
        }
    }
    for (key, value) in [("disclosure_date", json!("x")), ("discovery_date", json!("x"))] {
        let pointer = format!("{V}/{key}");
        found(&with(vex21(), &pointer, value), &[(Code::BadTimestamp, &pointer)]);
    }
}

/// Every object of 2.1 is closed; those of 2.0 are open.
#[test]
fn unknown_members_are_found_in_2_1() {
    let parents = [
        "",
        "/document",
        "/document/publisher",
        "/document/tracking",
        "/document/tracking/revision_history/0",
        "/product_tree",
        "/product_tree/branches/0",
        "/product_tree/branches/0/branches/0/product",
        "/product_tree/branches/0/branches/0/product/product_identification_helper",
        "/product_tree/product_groups/0",
        "/product_tree/product_paths/0",
        "/product_tree/product_paths/0/subpaths/0",
        "/vulnerabilities/0",
        "/vulnerabilities/0/notes/0",
        "/vulnerabilities/0/flags/0",
        "/vulnerabilities/0/remediations/0",
    ];
    for parent in parents {
        let pointer = format!("{parent}/x_note");
        found(&with(vex21(), &pointer, json!(1)), &[(Code::UnknownMember, &pointer)]);
        if vex20().pointer(parent).is_some() {
            found(&with(vex20(), &pointer, json!(1)), &[]);
        }
    }
    let extension = with(vex21(), "/vulnerabilities/0/x_extensions", json!([]));
    found(&extension, &[]);
    // What 2.1 has replaced is read all the same.
    let purl = "/product_tree/branches/0/branches/1/branches/0/product/product_identification_helper";
    let document = with(vex21(), purl, json!({"purl": "pkg:rpm/acme/lib@1.0"}));
    found(&document, &[(Code::UnknownMember, &format!("{purl}/purl"))]);
}

#[test]
fn unknown_terms_cost_what_they_are_part_of() {
    let status = format!("{STATUS}/known_effected");
    found(&with(vex20(), &status, json!(["APP"])), &[(Code::UnknownStatus, &status)]);
    let label = format!("{FLAG}/label");
    let unjustified = format!("{STATUS}/known_not_affected/0");
    found(
        &with(vex20(), &label, json!("not_my_problem")),
        &[(Code::UnknownJustification, &label), (Code::Unjustified, &unjustified)],
    );
}

/// What the schemas require besides what has a code of its own.
#[test]
fn members_that_the_schema_requires_are_missed() {
    let threat = json!([{"category": "impact", "details": "x", "product_ids": ["OS:LIB"]}]);
    let document = with(vex21(), "/vulnerabilities/0/threats", threat);
    let references = json!([{"summary": "x", "url": "https://acme.example"}]);
    let document = with(document, "/document/references", references);
    let document = with(document, "/document/notes", json!([{"category": "general", "text": "x"}]));
    found(&document, &[]);
    for pointer in [
        "/$schema",
        "/document/category",
        "/document/distribution",
        "/document/distribution/tlp",
        "/document/distribution/tlp/label",
        "/document/notes/0/category",
        "/document/notes/0/text",
        "/document/publisher/category",
        "/document/publisher/name",
        "/document/references/0/summary",
        "/document/references/0/url",
        "/document/title",
        "/document/tracking/initial_release_date",
        "/document/tracking/revision_history",
        "/document/tracking/revision_history/1/date",
        "/document/tracking/revision_history/1/number",
        "/document/tracking/revision_history/1/summary",
        "/document/tracking/status",
        "/product_tree/branches/0/branches/0/category",
        "/product_tree/branches/0/branches/0/name",
        "/product_tree/branches/0/branches/0/product/name",
        "/product_tree/product_groups/0/group_id",
        "/product_tree/product_groups/0/product_ids",
        "/product_tree/product_paths/0/subpaths/0/category",
        "/vulnerabilities/0/notes/0/category",
        "/vulnerabilities/0/notes/0/text",
        "/vulnerabilities/0/remediations/0/details",
        "/vulnerabilities/0/threats/0/category",
        "/vulnerabilities/0/threats/0/details",
    ] {
        let codes = findings(&without(document.clone(), pointer));
        assert!(codes.contains(&(Code::MissingMember, pointer.to_owned())), "{pointer}: {codes:?}");
        assert!(codes.iter().all(|(code, _)| *code == Code::MissingMember), "{pointer}: {codes:?}");
        let empty = match document.pointer(pointer).unwrap() {
            Value::Array(_) => json!([]),
            Value::Object(_) => json!({}),
            _ => json!(""),
        };
        let codes = findings(&with(document.clone(), pointer, empty));
        assert!(codes.contains(&(Code::MissingMember, pointer.to_owned())), "{pointer}: {codes:?}");
    }
    let helper = "/product_tree/branches/0/branches/0/product/product_identification_helper";
    found(&with(vex20(), helper, json!({})), &[(Code::MissingMember, helper)]);
    for member in ["system_name", "text"] {
        let ids = json!([{"system_name": "Tracker", "text": "12"}]);
        let pointer = format!("{V}/ids/0/{member}");
        found(
            &without(with(vex20(), &format!("{V}/ids"), ids), &pointer),
            &[(Code::MissingMember, &pointer)],
        );
    }
}

#[test]
fn values_that_the_schema_refuses_are_told() {
    let with_threat = |document: Value, category: &str| {
        let threat = json!([{"category": category, "details": "x", "product_ids": ["APP"]}]);
        with(document, "/vulnerabilities/0/threats", threat)
    };
    found(&with_threat(vex20(), "bad"), &[(Code::UnknownTerm, "/vulnerabilities/0/threats/0/category")]);
    for (pointer, value, code) in [
        ("/document/tracking/status", "published", Code::UnknownTerm),
        ("/document/publisher/category", "foo", Code::UnknownTerm),
        ("/document/publisher/category", "multiplier", Code::SpecVersionMismatch),
        ("/document/publisher/namespace", "acme", Code::BadId),
        ("/vulnerabilities/0/cve", "GHSA-x", Code::BadId),
        ("/vulnerabilities/0/cve", "CVE-1", Code::BadId),
        ("/vulnerabilities/0/cve", "cve-2026-0001", Code::BadId),
        ("/vulnerabilities/0/notes/0/category", "x", Code::UnknownTerm),
        ("/product_tree/relationships/0/category", "bogus", Code::UnknownTerm),
        ("/product_tree/branches/0/branches/0/category", "bogus", Code::UnknownTerm),
        ("/product_tree/branches/0/branches/0/category", "platform", Code::SpecVersionMismatch),
        ("/vulnerabilities/0/remediations/0/category", "fix_planned", Code::SpecVersionMismatch),
        ("/vulnerabilities/0/remediations/0/category", "optional_patch", Code::SpecVersionMismatch),
    ] {
        found(&with(vex20(), pointer, json!(value)), &[(code, pointer)]);
    }
    let label = "/document/distribution/tlp/label";
    found(&with(vex21(), label, json!("WHITE")), &[(Code::SpecVersionMismatch, label)]);
    found(&with(vex21(), label, json!("white")), &[(Code::UnknownTerm, label)]);
    let helper = "/product_tree/branches/0/branches/0/product/product_identification_helper";
    let purls = json!({"cpe": "cpe:/o:acme:os:9", "purls": ["pkg:rpm/acme/os@9"]});
    found(&with(vex20(), helper, purls), &[(Code::SpecVersionMismatch, &format!("{helper}/purls"))]);
    let twice = format!("{STATUS}/known_affected");
    let repeated = with(vex20(), &twice, json!(["APP", "APP"]));
    found(&repeated, &[(Code::RepeatedElement, &format!("{twice}/1"))]);
    let claims = csaf_common::parsed(&repeated).observations;
    assert_eq!(
        claims.iter().filter(|claim| claim.observation.locator.pointer.starts_with(&twice)).count(),
        1
    );
    for parent in ["", "/document", V] {
        let pointer = format!("{parent}/x_extensions");
        let extensions = json!([{"critical": false}, {"critical": true}]);
        found(&with(vex21(), &pointer, extensions), &[(Code::CriticalExtension, &format!("{pointer}/1"))]);
    }
    for (pointer, value) in [("/document/title", json!(5)), ("/document/tracking/aliases", json!([5]))] {
        let at = if value.is_array() { format!("{pointer}/0") } else { pointer.to_owned() };
        found(&with(vex20(), pointer, value), &[(Code::WrongType, &at)]);
    }
}

/// 6.1.7, 6.1.24 and 6.1.25
#[test]
fn what_may_be_stated_once_is_told_when_it_is_stated_again() {
    let score = |cvss: &str, version: &str, products: Value| json!({"products": products, cvss: {"version": version}});
    let scores = |second: Value| {
        let first = score("cvss_v3", "3.1", json!(["APP", "OS:LIB"]));
        with(vex20(), &format!("{V}/scores"), json!([first, second]))
    };
    let at = format!("{V}/scores/1");
    found(&scores(score("cvss_v3", "3.1", json!(["OS:LIB"]))), &[(Code::RepeatedElement, &at)]);
    found(&scores(score("cvss_v3", "3.0", json!(["OS:LIB"]))), &[]);
    found(&scores(score("cvss_v2", "2.0", json!(["OS:LIB"]))), &[]);
    found(&scores(score("cvss_v3", "3.1", json!(["OS"]))), &[]);
    let metric = |source: &str| json!({"products": ["APP"], "source": source, "content": {"cvss_v4": {"version": "4.0"}}});
    let metrics = |second: &str| {
        let first = metric("https://a.example");
        with(vex21(), &format!("{V}/metrics"), json!([first, metric(second)]))
    };
    let at = format!("{V}/metrics/1");
    found(&metrics("https://a.example"), &[(Code::RepeatedElement, &at)]);
    found(&metrics("https://b.example"), &[]);

    let involvement = |party: &str, date: &str| json!({"party": party, "status": "open", "date": date});
    let involvements = |party: &str, date: &str| {
        let first = involvement("vendor", "2026-01-01T00:00:00Z");
        with(vex20(), &format!("{V}/involvements"), json!([first, involvement(party, date)]))
    };
    let at = format!("{V}/involvements/1");
    found(&involvements("vendor", "2026-01-01T01:00:00+01:00"), &[(Code::RepeatedElement, &at)]);
    found(&involvements("vendor", "2026-01-02T00:00:00Z"), &[]);
    found(&involvements("other", "2026-01-01T00:00:00Z"), &[]);

    let helper = "/product_tree/branches/0/branches/0/product/product_identification_helper";
    let hashes = |algorithm: &str| {
        let hash = |algorithm: &str, digit: &str| json!({"algorithm": algorithm, "value": digit.repeat(128)});
        let file = json!({"filename": "os.iso", "file_hashes": [hash("sha512", "a"), hash(algorithm, "b")]});
        with(vex20(), helper, json!({"hashes": [file]}))
    };
    found(&hashes("sha3-512"), &[]);
    found(&hashes("sha512"), &[(Code::RepeatedElement, &format!("{helper}/hashes/0/file_hashes/1"))]);
}

/// Each member of a form or type that its schema does not have, where no claim is made of it.
#[test]
fn values_of_another_type_or_form_are_told_wherever_they_stand() {
    let url = "https://acme.example";
    let document = with(vex21(), "/document/references", json!([{"summary": "x", "url": url}]));
    let acknowledgments = json!([{"names": ["A"], "organization": "B", "summary": "x", "urls": [url]}]);
    let document = with(document, "/document/acknowledgments", acknowledgments.clone());
    let document = with(document, "/document/aggregate_severity", json!({"text": "x", "namespace": url}));
    let document = with(document, "/document/lang", json!("en"));
    let document = with(
        document,
        "/document/notes",
        json!([{"category": "other", "text": "x", "title": "x", "audience": "all"}]),
    );
    let document = with(document, "/document/distribution/text", json!("x"));
    let document = with(document, "/document/distribution/tlp/url", json!(url));
    let document = with(document, "/document/publisher/issuing_authority", json!("x"));
    let document =
        with(document, "/document/tracking/generator", json!({"engine": {"name": "x", "version": "1"}}));
    let document = with(document, "/document/tracking/aliases", json!(["x"]));
    let document = with(document, "/document/tracking/revision_history/0/legacy_version", json!("x"));
    let document = with(document, "/document/x_extensions", json!([]));
    let document = with(document, &format!("{V}/references"), json!([{"summary": "x", "url": url}]));
    let document = with(document, &format!("{V}/acknowledgments"), acknowledgments);
    let document =
        with(document, &format!("{V}/cwes"), json!([{"id": "CWE-1", "name": "x", "version": "4.0"}]));
    let document = with(document, &format!("{V}/title"), json!("x"));
    let involvement = json!([{"party": "vendor", "status": "open", "summary": "x", "contact": "x"}]);
    let document = with(document, &format!("{V}/involvements"), involvement);
    let metric = json!([{"products": ["APP"], "source": url, "content": {"cvss_v4": {"version": "4.0"}}}]);
    let document = with(document, &format!("{V}/metrics"), metric);
    let document = with(document, &format!("{REMEDY}/url"), json!(url));
    let document = with(document, &format!("{REMEDY}/entitlements"), json!(["x"]));
    let document =
        with(document, &format!("{REMEDY}/restart_required"), json!({"category": "none", "details": "x"}));
    let helper = "/product_tree/branches/0/branches/0/product/product_identification_helper";
    let hash = json!([{"filename": "x", "file_hashes": [{"algorithm": "sha512", "value": "ab"}]}]);
    let uris = json!([{"namespace": url, "uri": url}]);
    let document =
        with(document, helper, json!({"hashes": hash, "sbom_urls": [url], "x_generic_uris": uris}));
    found(&document, &[]);
    let mut pointers = Vec::new();
    leaves(&document, String::new(), &mut pointers);
    for pointer in pointers {
        let parents = pointer.match_indices('/').skip(1).map(|(end, _)| &pointer[..end]);
        // Without `document` it is no CSAF, and scores are not read.
        let is_read = |pointer: &&str| *pointer != "/document" && !pointer.contains("/content/");
        for pointer in parents.chain([pointer.as_str()]).filter(is_read) {
            let codes = findings(&with(document.clone(), pointer, json!(5)));
            assert!(!codes.is_empty(), "5 was taken at {pointer}");
            let here = codes.iter().filter(|(code, at)| *code == Code::WrongType && at == pointer).count();
            assert!(here < 2, "{pointer}: {codes:?}");
        }
        let is_uri = ["/url", "/uri", "/namespace", "/source", "/sbom_urls/0", "/urls/0", "/$schema"];
        if is_uri.iter().any(|end| pointer.ends_with(end)) {
            let codes = findings(&with(document.clone(), &pointer, json!("acme")));
            assert!(codes.contains(&(Code::BadId, pointer.clone())), "{pointer}: {codes:?}");
        }
    }
    for (part, key) in [("hashes", "filename"), ("x_generic_uris", "namespace"), ("x_generic_uris", "uri")] {
        let pointer = format!("{helper}/{part}/0/{key}");
        found(&without(document.clone(), &pointer), &[(Code::MissingMember, &pointer)]);
    }
}

/// Pointers of all values that are neither objects nor lists.
fn leaves(value: &Value, pointer: String, out: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| leaves(value, format!("{pointer}/{key}"), out));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| leaves(value, format!("{pointer}/{n}"), out));
        }
        _ => out.push(pointer),
    }
}

/// 6.1.27.1, 6.1.27.2, 6.1.28 and 6.1.31
#[test]
fn what_informs_has_notes_and_references() {
    let response = with(vex20(), "/document/category", json!("csaf_security_incident_response"));
    let [notes, references] = ["/document/notes", "/document/references"];
    found(&response, &[(Code::MissingDescription, notes), (Code::MissingReference, references)]);
    let other = json!([{"category": "other", "text": "x"}]);
    let own = json!([{"category": "self", "summary": "x", "url": "https://acme.example"}]);
    let document = with(with(response.clone(), notes, other), references, own);
    found(&document, &[(Code::MissingDescription, notes), (Code::MissingReference, references)]);
    let general = json!([{"category": "general", "text": "x"}]);
    let external = json!([{"summary": "x", "url": "https://acme.example"}]);
    found(&with(with(response, notes, general), references, external), &[]);
    let same = with(with(vex20(), "/document/lang", json!("en")), "/document/source_lang", json!("EN"));
    found(&same, &[(Code::SameLanguage, "/document/source_lang")]);
    let name = "/product_tree/branches/0/branches/1/branches/0/name";
    for (version, is_range) in
        [("< 2", true), ("1.0 and later", true), ("All", true), ("firewall-1.0", false), ("1.0 (x64)", false)]
    {
        let expected: &[_] = if is_range { &[(Code::BadVersionRange, name)] } else { &[] };
        found(&with(vex20(), name, json!(version)), expected);
    }
}

#[test]
fn a_tombstone_is_told_and_so_is_what_it_drops() {
    let status = "/document/tracking/status";
    found(
        &with(vex20(), status, json!("deleted")),
        &[
            (Code::UnexpectedVulnerabilities, "/vulnerabilities"),
            (Code::UnexpectedProductTree, "/product_tree"),
            (Code::UnknownTerm, status),
        ],
    );
}
