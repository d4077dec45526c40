//! The published documents as a whole, against counts that were not made by provex: `jq` for OpenVEX
//! (`[.statements[].products | length] | add`, subcomponents in their place), the scripts `testdata/vex/count_*.py` for
//! the other formats and for attestations, `find | sed 's/.*\.//' | sort | uniq -c` for the kinds of files, and `testdata/vex/count_findings.py` for what is wrong with them.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

mod common;

use std::collections::BTreeMap;

use common::{Folder, repository};

/// What is in a folder of documents.
struct Counts {
    folder: &'static str,
    /// Documents and observations of each format that it has.
    formats: &'static [(&'static str, u64, u64)],
    /// Documents that are refused, and files that are none.
    refused: u64,
    skipped: u64,
}

impl Counts {
    fn path(&self) -> String {
        let path = if self.folder == "discovery" { "testdata" } else { "testdata/vex" };
        repository(path).join(self.folder).display().to_string()
    }
}

#[rustfmt::skip]
const COUNTS: [Counts; 9] = [
    Counts { folder: "openvex", formats: &[("openvex", 37, 1_517)], refused: 0, skipped: 0 },
    Counts { folder: "csaf20", formats: &[("csaf", 44, 2_514)], refused: 0, skipped: 0 },
    // Four documents of other profiles state no status, and one vulnerability has no name.
    Counts { folder: "csaf21", formats: &[("csaf", 15, 92)], refused: 5, skipped: 0 },
    // One document has no analysis at all.
    Counts { folder: "cyclonedx", formats: &[("cyclonedx", 24, 96)], refused: 1, skipped: 0 },
    // An image manifest lies beside the attestations.
    Counts { folder: "intoto", formats: &[("openvex", 2, 6)], refused: 1, skipped: 0 },
    Counts { folder: "spdx3", formats: &[("spdx3", 1, 1)], refused: 0, skipped: 0 },
    // Four are refused: a key that is there twice, no statement, and a status or state that the format does not have.
    Counts { folder: "hand", formats: &[("cyclonedx", 2, 5), ("openvex", 8, 12), ("spdx3", 3, 6)], refused: 4, skipped: 0 },
    // Five of the tests of CSAF state a status; three BOMs and twelve tests state none, and one document has bytes after it.
    Counts { folder: "invalid", formats: &[("csaf", 5, 10)], refused: 16, skipped: 0 },
    // One advisory three times; feeds, metadata and indexes; sums, signatures, lists, a key and texts are no documents.
    Counts { folder: "discovery", formats: &[("csaf", 3, 6)], refused: 16, skipped: 12 },
];

/// How often each fault occurs in the documents of a folder, refused or not, by `testdata/vex/count_findings.py`. The one SPDX
/// document, which the script does not read, was read by hand.
const FINDINGS: [(&str, &[(&str, usize)]); 6] = [
    (
        "openvex",
        &[
            ("assumed_utc", 5),
            ("bad_id", 9),
            ("bad_version", 1),
            ("missing_action", 1),
            ("missing_id", 2),
            ("missing_timestamp", 4),
            ("missing_version", 4),
            ("spec_version_mismatch", 1),
            ("unknown_member", 4),
        ],
    ),
    (
        "csaf20",
        &[
            ("ambiguous_product", 200),
            ("bad_id", 2),
            ("missing_action", 1),
            ("missing_issuer", 1),
            ("missing_timestamp", 1),
            ("missing_version", 1),
            ("undefined_product", 1),
            ("unjustified", 1),
            ("unknown_term", 1),
            ("version_not_latest", 2),
        ],
    ),
    (
        "csaf21",
        &[
            ("misplaced_remediation", 2),
            ("missing_member", 2),
            ("missing_vulnerability", 2),
            ("unjustified", 2),
        ],
    ),
    (
        "cyclonedx",
        &[
            ("dangling_ref", 8),
            ("duplicate_ref", 1),
            ("missing_action", 6),
            ("missing_id", 15),
            ("missing_issuer", 21),
            ("missing_timestamp", 8),
            ("rejected_vulnerability", 4),
            ("unjustified", 1),
            ("wrong_type", 2),
        ],
    ),
    ("intoto", &[("not_a_subject", 1)]),
    ("spdx3", &[]),
];

/// `sha256sum | sort | uniq -w64 -D`: `go-vex_v0.2.0.json` and `grype_openvex-demo2.json` are one document, of whose claims
/// `jq '[.statements[].products[] | (.subcomponents // [1]) | length] | add'` counts ten; the advisory of `discovery`
/// is there three times and makes two claims. Documents, and claims, that are there again:
const AGAIN: (u64, u64) = (1 + 2, 10 + 2 * 2);

#[test]
fn every_published_document_is_counted_as_another_tool_counts_it() {
    for counts in COUNTS {
        let (folder, path) = (Folder::new(), counts.path());
        let run = folder.json(i32::from(counts.refused > 0), &["check", &path, "--json"]);
        for (format, documents, observations) in counts.formats {
            let found = &run["formats"][format];
            assert_eq!(found["documents"], *documents, "{path}: {}", run["rejected"]);
            assert_eq!(found["observations"], *observations, "{path}");
        }
        assert_eq!(run["documents"]["rejected"], counts.refused, "{path}: {}", run["rejected"]);
        assert_eq!(run["documents"]["skipped"], counts.skipped, "{path}");
        let all = |member: &str| -> u64 {
            run["formats"].as_object().unwrap().values().map(|format| format[member].as_u64().unwrap()).sum()
        };
        assert_eq!(all("documents"), counts.formats.iter().map(|(_, documents, _)| documents).sum::<u64>());
        assert_eq!(all("rejected"), counts.refused, "{path}");
    }
}

#[test]
fn every_fault_of_the_published_documents_is_found_as_often_as_another_tool_counts_it() {
    for (name, expected) in FINDINGS {
        let path = repository("testdata/vex").join(name).display().to_string();
        let output = Folder::new().provex(&["check", &path, "--json"]);
        let run: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut found = BTreeMap::new();
        for finding in run["findings"].as_array().unwrap() {
            *found.entry(finding["code"].as_str().unwrap()).or_insert(0) += 1;
        }
        assert_eq!(found, expected.iter().copied().collect(), "{name}");
        let listed: usize = expected.iter().map(|(_, count)| count).sum();
        let counted: u64 =
            run["formats"].as_object().unwrap().values().map(|f| f["findings"].as_u64().unwrap()).sum();
        assert_eq!(counted, listed as u64, "{name}");
    }
}

#[test]
fn proving_all_of_them_links_every_observation() {
    let folder = Folder::new();
    let folders = COUNTS.map(|counts| counts.path());
    let mut arguments = vec!["prove", "--json"];
    arguments.extend(folders.iter().map(String::as_str));
    let run = folder.json(1, &arguments);
    let counted = |format: &str| {
        let of_format =
            COUNTS.iter().flat_map(|counts| counts.formats).filter(|(found, ..)| *found == format);
        of_format.fold((0, 0), |(documents, observations), (_, d, o)| (documents + d, observations + o))
    };
    let mut all = (0, 0);
    for format in ["openvex", "csaf", "cyclonedx", "spdx3"] {
        let (documents, observations) = counted(format);
        let counts = &run["formats"][format];
        assert_eq!(
            (&counts["documents"], &counts["observations"]),
            (&documents.into(), &observations.into())
        );
        all = (all.0 + documents, all.1 + observations);
    }
    assert_eq!(counted("csaf"), (67, 2_622));
    assert_eq!(counted("spdx3"), (4, 7));
    let (documents, observations) = (all.0 - AGAIN.0, all.1 - AGAIN.1);
    assert_eq!((documents, observations), (141, 4_251));
    let accepted =
        ["accepted", "acceptedWithFindings"].map(|outcome| run["documents"][outcome].as_u64().unwrap());
    assert_eq!(accepted.iter().sum::<u64>(), documents);
    assert_eq!(run["documents"]["unchanged"], AGAIN.0);
    assert_eq!(run["documents"]["rejected"], COUNTS.iter().map(|counts| counts.refused).sum::<u64>());
    assert_eq!(run["documents"]["skipped"], COUNTS.iter().map(|counts| counts.skipped).sum::<u64>());
    assert_eq!(run["observations"]["recorded"], observations);
    assert_eq!(run["linkages"]["linked"], observations);
    assert_eq!(run["linkages"]["pending"], 0);
}

/// The documents of `hand` that their specification accepts, and all that is told of them nevertheless.
const ACCEPTED: [(&str, &[&str]); 5] = [
    // No issuer is named, and the `unaffected` versions have no reason of their own.
    ("cyclonedx-accept-range-statuses.json", &["missing_issuer", "unjustified"]),
    ("intoto-accept-inherited-products.json", &[]),
    ("openvex-accept-history-and-offsets.json", &[]),
    ("openvex-accept-identifiers-only.json", &[]),
    ("spdx3-accept-all-four.json", &["withdrawn_statement"]),
];

#[test]
fn what_its_specification_accepts_is_accepted() {
    let folder = repository("testdata/vex/hand");
    let names =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.contains("-accept-")).count(), ACCEPTED.len());
    for (file, expected) in ACCEPTED {
        let run = Folder::new().json(0, &["check", "--json", &folder.join(file).display().to_string()]);
        let found =
            run["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap());
        assert_eq!(found.collect::<Vec<_>>(), expected, "{file}");
    }
}

/// The fault that a document of `invalid` or `hand` was made for, by how its name begins and by the code that names it.
#[rustfmt::skip]
const FAULTS: [(&str, &str); 35] = [
    // Of a document without vulnerabilities nothing else is looked at.
    ("cdx_invalid-bomformat", "unknown_format"),
    ("cdx_invalid-dependency", "no_usable_statement"),
    ("cdx_invalid-serialnumber", "bad_id"),
    ("gocsaf_trailing-garbage", "trailing_data"),
    ("oasis_csaf_tc-csaf_2_0-2021-6-1-01-", "undefined_product"),
    ("oasis_csaf_tc-csaf_2_0-2021-6-1-02-", "ambiguous_product"),
    ("oasis_csaf_tc-csaf_2_0-2021-6-1-03-", "circular_product"),
    ("oasis_csaf_tc-csaf_2_0-2021-6-1-04-", "undefined_group"),
    ("oasis_csaf_tc-csaf_2_0-2021-6-1-05-", "repeated_group"),
    ("oasis_csaf_tc-csaf_2_0-2021-6-1-06-", "intra_document_conflict"),
    ("oasis_csaf_tc-csaf_2_0-2021-6-1-23-", "repeated_vulnerability"),
    ("oasis_csaf_tc-csaf_2_0-2021-6-1-27-04-", "missing_product_tree"),
    ("oasis_csaf_tc-csaf_2_0-2021-6-1-27-05-", "missing_notes"),
    ("oasis_csaf_tc-csaf_2_0-2021-6-1-27-07-", "missing_product_status"),
    ("oasis_csaf_tc-csaf_2_0-2021-6-1-27-08-", "missing_vulnerability"),
    ("oasis_csaf_tc-csaf_2_0-2021-6-1-27-09-", "unjustified"),
    ("oasis_csaf_tc-csaf_2_0-2021-6-1-27-10-", "missing_action"),
    ("oasis_csaf_tc-csaf_2_0-2021-6-1-27-11-", "missing_vulnerabilities"),
    ("oasis_csaf_tc-csaf_2_0-2021-6-1-29-", "unbound_remediation"),
    ("oasis_csaf_tc-csaf_2_0-2021-6-1-32-", "unbound_flag"),
    ("oasis_csaf_tc-csaf_2_0-2021-6-1-33-", "repeated_justification"),
    ("cyclonedx-reject-bad-justification", "unknown_justification"),
    ("cyclonedx-reject-bad-state", "unknown_status"),
    ("openvex-reject-affected-no-action", "missing_action"),
    ("openvex-reject-bad-justification", "unknown_justification"),
    ("openvex-reject-bad-status", "unknown_status"),
    ("openvex-reject-duplicate-key", "duplicate_key"),
    ("openvex-reject-empty-statements", "no_usable_statement"),
    ("openvex-reject-naive-timestamp", "assumed_utc"),
    ("openvex-reject-no-author", "missing_issuer"),
    ("openvex-reject-not_affected-bare", "unjustified"),
    ("spdx3-reject-missing-justification-and-action", "unjustified"),
    ("spdx3-reject-missing-justification-and-action", "missing_action"),
    ("spdx3-reject-wrong-relationship-type", "contradictory_status"),
    ("spdx3-reject-wrong-relationship-type", "missing_action"),
];

#[test]
fn what_its_specification_calls_invalid_is_told_by_its_name() {
    for name in ["invalid", "hand"] {
        let folder = repository("testdata/vex").join(name);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            if file.contains("-accept-") {
                continue;
            }
            let data = Folder::new();
            let output = data.provex(&["check", "--strict", "--json", &path.display().to_string()]);
            assert_eq!(output.status.code(), Some(1), "{file} was accepted clean");
            let run: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let places = ["findings", "rejected"].map(|places| run[places].as_array().unwrap());
            let codes: Vec<_> =
                places.into_iter().flatten().map(|place| place["code"].as_str().unwrap()).collect();
            let mut expected = FAULTS.iter().filter(|(begin, _)| file.starts_with(begin)).peekable();
            assert!(expected.peek().is_some(), "{file} is not in the table");
            for (_, code) in expected {
                assert!(codes.contains(code), "{file} lacks {code}: {codes:?}");
            }
        }
    }
}
