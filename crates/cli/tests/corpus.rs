//! The published documents as a whole, against counts that were not made by provex: `jq` for OpenVEX
//! (`[.statements[].products | length] | add`, subcomponents in their place), and the scripts
//! `testdata/vex/count_*.py` for the other formats.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

mod common;

use common::{Folder, repository};

/// Folder, format, documents, observations, refused documents of any format.
const COUNTS: [(&str, &str, u64, u64, u64); 6] = [
    ("openvex", "openvex", 37, 1_517, 0),
    ("csaf20", "csaf", 44, 2_514, 0),
    // Four documents of other profiles state no status, and one vulnerability has no name.
    ("csaf21", "csaf", 15, 92, 5),
    // One document has no analysis at all.
    ("cyclonedx", "cyclonedx", 24, 96, 1),
    // An image manifest lies beside the attestations.
    ("intoto", "openvex", 2, 6, 1),
    ("spdx3", "spdx3", 1, 1, 0),
];

#[test]
fn every_published_document_is_counted_as_another_tool_counts_it() {
    for (name, format, documents, observations, rejected) in COUNTS {
        let folder = Folder::new();
        let path = repository("testdata/vex").join(name).display().to_string();
        let run = folder.json(i32::from(rejected > 0), &["check", &path, "--json"]);
        let counts = &run["formats"][format];
        assert_eq!(counts["documents"], documents, "{name}: {}", run["rejected"]);
        assert_eq!(counts["observations"], observations, "{name}");
        assert_eq!(run["documents"]["rejected"], rejected, "{name}: {}", run["rejected"]);
    }
}

#[test]
fn proving_all_of_them_links_every_observation() {
    let folder = Folder::new();
    let path = repository("testdata/vex").display().to_string();
    let run = folder.json(1, &["prove", &path, "--json"]);
    let recorded = run["observations"]["recorded"].as_u64().unwrap();
    // Identical files under two names are one document, so fewer are recorded than read.
    let read: u64 = COUNTS.iter().map(|(_, _, _, observations, _)| observations).sum();
    assert!(recorded >= read - 30, "{recorded} recorded of {read} read");
    assert_eq!(run["linkages"]["linked"], recorded);
    assert_eq!(run["linkages"]["pending"], 0);
    for format in ["openvex", "csaf", "cyclonedx", "spdx3"] {
        assert!(run["formats"][format]["observations"].as_u64().unwrap() > 0, "{format}");
    }
}

#[test]
fn what_its_specification_calls_invalid_is_never_accepted_clean() {
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
        }
    }
}
