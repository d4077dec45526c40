//! What `provex.toml` says, and what the program says to do next.
#![allow(clippy::unwrap_used)] // helpers of tests cannot go on either

mod common;

use common::{Folder, all, examples, provex};
use serde_json::json;

fn configured(text: &str) -> Folder {
    let folder = Folder::new();
    folder.text(0, &["init"]);
    std::fs::write(folder.data().join("provex.toml"), text).unwrap();
    folder
}

#[test]
fn a_mistyped_tenant_lets_nothing_reach_a_log() {
    for (text, says) in [
        ("tenants = { Default = { log = \"none\" } }", "line 1: tenants: `Default` is no tenant"),
        (
            "tenants = { defualt = { log = \"none\" } }",
            "`tenants` names defualt, and there is no such tenant",
        ),
    ] {
        let folder = configured(text);
        let output = folder.provex(&["prove", &examples()]);
        assert_eq!(output.status.code(), Some(2), "{}", all(&output));
        assert!(all(&output).contains(says), "{}", all(&output));
        std::fs::write(folder.data().join("provex.toml"), "").unwrap();
        assert_eq!(folder.json(0, &["status", "--json"])["log"]["treeSize"], 0);
    }
}

#[test]
fn a_tenant_without_a_log_is_well() {
    let folder = configured("tenants = { default = { log = \"none\" } }");
    let run = folder.json(0, &["prove", &examples(), "--json"]);
    assert_eq!(run["linkages"], json!({"linked": 0, "pending": 7, "failed": 0}));
    folder.text(0, &["link"]);
    let status = folder.text(0, &["status"]);
    assert!(status.contains("log           no log, this tenant's statements go to no log"), "{status}");
    assert!(
        status.contains("next          nothing: what is recorded is kept, and goes to no log"),
        "{status}"
    );
    // Once it has one, what was kept is linked.
    std::fs::write(folder.data().join("provex.toml"), "").unwrap();
    assert_eq!(folder.json(0, &["link", "--json"])["linkages"]["linked"], 7);
}

#[test]
fn the_default_trusted_root_may_be_written_down() {
    let folder = configured("trusted_root = \"trusted_root.json\"\n");
    assert_eq!(folder.json(0, &["prove", &examples(), "--json"])["linkages"]["linked"], 7);
    folder.text(0, &["status"]);
}

#[test]
fn the_commands_that_are_printed_work_as_they_stand() {
    let folder = Folder::new();
    let data = folder.path("it's my data");
    let run = |args: &[&str]| {
        let output = provex().current_dir(folder.root.path()).arg("--data").arg(&data).args(args).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{args:?}: {}", all(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let shell = |command: &str| {
        let mut shell = std::process::Command::new("sh");
        let output = shell.current_dir(folder.root.path()).args(["-c", command]).output().unwrap();
        assert!(output.status.success(), "{command}: {}", all(&output));
    };
    run(&["init"]);
    run(&["tenant", "add", "solo"]);
    let printed = run(&["prove", "--tenant", "solo", &examples()]);
    let commands: Vec<_> =
        printed.lines().filter_map(|line| line.strip_prefix("  ")).map(str::trim).collect();
    let commands: Vec<_> = commands.into_iter().filter(|line| line.contains(" proof.json")).collect();
    assert_eq!(commands.len(), 2, "{printed}");
    commands.iter().for_each(|command| shell(command));

    let document = folder.write("more.json", document());
    run(&["ingest", "--tenant", "solo", document.to_str().unwrap()]);
    let status = run(&["status", "--tenant", "solo"]);
    let next = status.lines().find_map(|line| line.strip_prefix("next          provex ")).unwrap();
    shell(&format!("{} {next}", env!("CARGO_BIN_EXE_provex")));
    assert!(run(&["status", "--tenant", "solo"]).contains("8 linked, 0 pending"));
}

fn document() -> String {
    json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://example.com/vex/more",
        "author": "Example",
        "timestamp": "2026-01-01T00:00:00Z",
        "version": 1,
        "statements": [{
            "vulnerability": {"name": "CVE-2026-1"},
            "products": [{"@id": "pkg:generic/a@1"}],
            "status": "fixed",
        }],
    })
    .to_string()
}
