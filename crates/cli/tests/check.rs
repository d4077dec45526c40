//! `provex check`: the linter.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

mod common;

use common::{Folder, repository};

#[test]
fn a_careless_document_is_shown_with_what_its_author_needs_to_mend() {
    let folder = Folder::new();
    let path = repository("examples/documents/careless.openvex.json").display().to_string();
    let text = folder.text(0, &["check", &path]);
    for part in [
        "finding[assumed_utc]",
        "careless.openvex.json:5:16 at /timestamp",
        "5 |   \"timestamp\": \"2026-03-02T09:30:00\",",
        "append `Z` or an offset",
        "finding[unjustified]",
        "add a `justification` or an `impact_statement`",
        "1 read with 1 observations, 1 of them with findings (2), 0 refused",
    ] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    assert!(!folder.data().exists(), "check stored something");
    folder.text(1, &["check", "--strict", &path]);
    let run = folder.json(0, &["check", &path, "--json"]);
    assert_eq!(run["documents"]["acceptedWithFindings"], 1);
    assert_eq!(run["findings"].as_array().unwrap().len(), 2);
    let clean = repository("examples/documents/acme-webserver.openvex.json").display().to_string();
    folder.text(0, &["check", "--strict", &clean]);
}

#[test]
fn a_document_on_one_line_is_shown_around_the_fault() {
    let folder = Folder::new();
    let document = std::fs::read_to_string(repository("examples/documents/careless.openvex.json")).unwrap();
    let value: serde_json::Value = serde_json::from_str(&document).unwrap();
    let path = folder.write("one-line.json", value.to_string()).display().to_string();
    let text = folder.text(0, &["check", &path]);
    let longest = text.lines().map(|line| line.chars().count()).filter(|length| *length > 300).count();
    assert_eq!(longest, 0, "{text}");
    assert!(text.contains('^'));
}

#[test]
fn completions_and_man_pages_name_the_commands() {
    let folder = Folder::new();
    let script = folder.text(0, &["completions", "bash"]);
    assert!(script.contains("prove") && script.contains("observations"));
    let man = folder.path("man");
    std::fs::create_dir(&man).unwrap();
    folder.text(0, &["man", &man.display().to_string()]);
    assert!(std::fs::read_to_string(man.join("provex-verify.1")).unwrap().contains("trusted"));
    assert_eq!(folder.provex(&["man", "missing-folder"]).status.code(), Some(3));
}
