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
fn a_document_on_standard_input_is_shown_as_a_file_is() {
    use std::io::Write as _;
    let document = std::fs::read(repository("examples/documents/careless.openvex.json")).unwrap();
    let mut command = common::provex();
    let pipe = std::process::Stdio::piped;
    let mut child = command.args(["check", "-"]).stdin(pipe()).stdout(pipe()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&document).unwrap();
    let shown = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(shown.contains("finding[assumed_utc] -:5:16 at /timestamp"), "{shown}");
    assert!(shown.contains("5 |   \"timestamp\": \"2026-03-02T09:30:00\","), "{shown}");
}

#[test]
fn a_document_that_is_too_large_is_told_how_large_it_is_and_may_be() {
    let folder = Folder::new();
    let path = folder.path("huge.json");
    std::fs::File::create(&path).unwrap().set_len(3 << 30).unwrap();
    let run = folder.json(1, &["check", "--json", &path.display().to_string()]);
    let message = "The document has 3221225472 bytes, more than the 157286400 allowed; split it into several documents.";
    assert_eq!(
        (&run["rejected"][0]["code"], &run["rejected"][0]["message"]),
        (&"too_large".into(), &message.into())
    );
}

#[test]
fn files_of_other_formats_are_passed_over_when_that_is_wanted_and_counted() {
    let folder = Folder::new();
    let clean = std::fs::read(repository("examples/documents/acme-webserver.openvex.json")).unwrap();
    folder.write("in/clean.json", clean);
    for (name, text) in [
        ("package.json", r#"{"name": "app"}"#),
        ("list.json", "[1, 2]"),
        ("sbom.spdx.json", r#"{"spdxVersion": "SPDX-2.3"}"#),
        ("pom.xml", "<project/>"),
        ("notes.txt", "none"),
    ] {
        folder.write(&format!("in/{name}"), text);
    }
    let input = folder.path("in").display().to_string();
    let run = folder.json(1, &["check", "--json", &input]);
    assert_eq!(
        (&run["documents"]["rejected"], &run["documents"]["skipped"]),
        (&4.into(), &1.into()),
        "{run}"
    );
    let run = folder.json(0, &["check", "--json", "--skip-other", "--strict", &input]);
    assert_eq!(
        (&run["documents"]["rejected"], &run["documents"]["skipped"]),
        (&0.into(), &5.into()),
        "{run}"
    );
    let text = folder.text(0, &["check", "--skip-other", &input]);
    assert!(text.contains("1 skipped (neither JSON nor XML), 4 skipped (no VEX document)"), "{text}");
    // What may be meant as VEX is not passed over.
    for (name, text) in [
        ("truncated.json", r#"{"name": "#),
        ("misspelled.json", r#"{"bomFormat": "cyclonedx"}"#),
        ("empty.json", r#"{"@context": "https://openvex.dev/ns/v0.2.0", "statements": []}"#),
    ] {
        let path = folder.write(name, text).display().to_string();
        folder.text(1, &["check", "--skip-other", &path]);
    }
}

/// The commands that help lists below this one.
fn commands(folder: &Folder, above: &[&str]) -> Vec<String> {
    let help = folder.text(0, &[above, &["--help"]].concat());
    let Some((_, list)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    // A command's line is indented by two, what it does by more where it needs more lines.
    let lines = list.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    names
        .filter_map(|line| line.split(' ').next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn completions_and_man_pages_have_every_command_and_option() {
    let folder = Folder::new();
    let man = folder.path("man");
    std::fs::create_dir(&man).unwrap();
    folder.text(0, &["man", &man.display().to_string()]);
    let scripts = ["bash", "fish", "zsh"].map(|shell| folder.text(0, &["completions", shell]));
    let top = commands(&folder, &[]);
    assert!(top.len() > 20 && top.contains(&"prove".to_owned()), "{top:?}");
    for command in &top {
        let below = commands(&folder, &[command]);
        let mut called = vec![vec![command.as_str()]];
        called.extend(below.iter().map(|name| vec![command.as_str(), name.as_str()]));
        for words in called {
            let page = man.join(format!("provex-{}.1", words.join("-")));
            let page = std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{words:?}: {error}"));
            let help = folder.text(0, &[&words[..], &["--help"]].concat());
            let options = help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 3);
            let options = options.map(|word| word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()));
            for option in options {
                let escaped = option.replace('-', "\\-");
                assert!(page.contains(&escaped), "the page of {words:?} lacks {option}");
            }
            for (script, shell) in scripts.iter().zip(["bash", "fish", "zsh"]) {
                assert!(words.iter().all(|word| script.contains(word)), "{shell} lacks {words:?}");
            }
        }
    }
    assert_eq!(folder.provex(&["man", "missing-folder"]).status.code(), Some(3));
}

#[test]
fn the_shell_takes_the_completions_and_completes_with_them() {
    let folder = Folder::new();
    let script = folder.write("completions.bash", folder.text(0, &["completions", "bash"]));
    let completed = std::process::Command::new("bash")
        .args(["-c", r#". "$0"; COMP_WORDS=(provex key ro); COMP_CWORD=2; _provex provex ro key; echo "${COMPREPLY[@]}""#])
        .arg(&script)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&completed.stdout), "rotate\n", "{completed:?}");
}

/// The two patterns of the hook, which pre-commit takes as Python's; they use nothing that `grep -E` has not.
#[test]
fn the_hook_takes_vex_documents_by_their_names_and_no_others() {
    let hook = std::fs::read_to_string(repository(".pre-commit-hooks.yaml")).unwrap();
    let pattern = |key: &str| {
        let line = hook.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap();
        line.trim().trim_matches('\'').to_owned()
    };
    let matches = |pattern: &str, name: &str| {
        let script = r#"printf '%s\n' "$1" | grep -Eq "$0""#;
        std::process::Command::new("sh").args(["-c", script, pattern, name]).status().unwrap().success()
    };
    let (files, exclude) = (pattern("files:"), pattern("exclude:"));
    for (name, is_taken) in [
        ("app.openvex.json", true),
        ("app.vex.json", true),
        ("vex/acme-2026-0001.json", true),
        ("vex/a/b.json", true),
        ("icsa-22-298-02.json", true),
        ("bom.json", true),
        ("app.cdx.xml", true),
        ("app.spdx3.json", true),
        ("app.jsonld", true),
        ("convex.json", false),
        ("package.json", false),
        ("vex-repository.json", false),
        ("vex/index.json", false),
        ("csaf-provider-metadata.json", false),
    ] {
        assert_eq!(matches(&files, name) && !matches(&exclude, name), is_taken, "{name}");
    }
}
