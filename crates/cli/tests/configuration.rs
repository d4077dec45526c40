//! What `provex.toml` says, and what the program says to do next.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests cannot go on either
#![allow(clippy::disallowed_methods)] // processes are waited for in real time

mod common;

use std::process::{Child, Stdio};
use std::time::Duration;

use common::{Folder, all, examples, provex};
use serde_json::{Value, json};

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

/// A worker that ends with this value.
struct Worker(Child);

impl Worker {
    fn start(folder: &Folder, args: &[&str]) -> Self {
        let mut command = folder.command(&["worker", "--interval", "1"]);
        let log = std::fs::File::create(folder.path("worker.log")).unwrap();
        Self(command.args(args).stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("{what} does not come about");
}

/// What the rows of a tenant's queue say.
fn rows_why(folder: &Folder, tenant: &str) -> Vec<String> {
    let rows = folder.lines(&["pending", "--queue", "--ndjson", "--tenant", tenant]);
    rows.iter().map(|row| row["why"].as_str().unwrap().to_owned()).collect()
}

fn linked(folder: &Folder, tenant: &str) -> u64 {
    let rows = folder.lines(&["observations", "--ndjson", "--tenant", tenant]);
    rows.iter().filter(|row| !row["linkage"].is_null()).count() as u64
}

/// Writes a signing config of the folder's own log whose window is over.
fn write_ended_config(folder: &Folder, name: &str) {
    let own = std::fs::read(folder.data().join("signing_config.json")).unwrap();
    let mut config: Value = serde_json::from_slice(&own).unwrap();
    config["rekorTlogUrls"][0]["validFor"] =
        json!({"start": "2020-01-01T00:00:00Z", "end": "2021-01-01T00:00:00Z"});
    std::fs::write(folder.data().join(name), config.to_string()).unwrap();
}

#[test]
fn flags_for_all_tenants_redirect_none_that_the_file_names() {
    let folder = configured("");
    for tenant in ["secret", "acme"] {
        folder.text(0, &["tenant", "add", tenant]);
        folder.text(0, &["ingest", "--tenant", tenant, &examples()]);
    }
    folder.text(0, &["ingest", &examples()]);
    write_ended_config(&folder, "acme.json");
    let tenants = "tenants = { secret = { log = \"none\" }, acme = { signing_config = \"acme.json\" } }\n";
    std::fs::write(folder.data().join("provex.toml"), tenants).unwrap();
    let own = folder.data().join("signing_config.json").display().to_string();
    {
        let _worker = Worker::start(&folder, &["--signing-config", &own]);
        eventually("the end of the work", || {
            linked(&folder, "default") == 7
                && [("secret", "this tenant's statements go to no log"), ("acme", "names no log")]
                    .iter()
                    .all(|(tenant, why)| rows_why(&folder, tenant).iter().all(|row| row.contains(why)))
        });
    }
    assert_eq!((linked(&folder, "secret"), linked(&folder, "acme")), (0, 0));
    // Named, a tenant goes where the call says, but not to a log where none is to have it.
    for command in ["link", "status", "worker"] {
        let output = folder.provex(&[command, "--tenant", "secret", "--signing-config", &own]);
        assert_eq!(output.status.code(), Some(2), "{command}: {}", all(&output));
        assert!(all(&output).contains("secret go to no log (`log = \"none\"` in provex.toml)"));
    }
    folder.text(0, &["link", "--tenant", "acme", "--signing-config", &own]);
    assert_eq!((linked(&folder, "secret"), linked(&folder, "acme")), (0, 7));
}

#[test]
fn one_tenants_bad_signing_config_stops_nobody_else() {
    let folder = configured("");
    folder.text(0, &["tenant", "add", "acme"]);
    for tenant in ["acme", "default"] {
        folder.text(0, &["ingest", "--tenant", tenant, &examples()]);
    }
    let tenants = "tenants = { acme = { signing_config = \"acme.json\" } }\n";
    std::fs::write(folder.data().join("provex.toml"), tenants).unwrap();
    let all_say = |why: &str| {
        let rows = rows_why(&folder, "acme");
        !rows.is_empty() && rows.iter().all(|row| row.contains(why))
    };
    let _worker = Worker::start(&folder, &[]);
    eventually("the other's linkages", || linked(&folder, "default") == 7);
    eventually("a reason", || all_say("acme.json: No such file"));
    std::fs::write(folder.data().join("acme.json"), "{\"mediaType\": 5}").unwrap();
    eventually("another reason", || all_say("acme.json: not a Sigstore signing config"));
    assert_eq!(linked(&folder, "acme"), 0);
    // Mended, it is taken up without having been started again.
    let own = folder.data().join("signing_config.json");
    std::fs::copy(own, folder.data().join("acme.json")).unwrap();
    eventually("its linkages", || linked(&folder, "acme") == 7);
}

#[test]
fn a_worker_that_can_log_for_nobody_says_so_at_its_start() {
    let folder = configured("signing_config = \"missing.json\"\n");
    let output = folder.provex(&["worker"]);
    assert_eq!(output.status.code(), Some(3), "{}", all(&output));
    assert!(all(&output).contains("missing.json: No such file"), "{}", all(&output));
}

#[test]
fn a_worker_follows_the_file_while_it_works() {
    let folder = configured("tenants = { default = { log = \"none\" } }\n");
    let config = folder.data().join("provex.toml");
    folder.text(0, &["ingest", &examples()]);
    let _worker = Worker::start(&folder, &[]);
    let all_say_none = || {
        let rows = rows_why(&folder, "default");
        !rows.is_empty() && rows.iter().all(|row| row.contains("go to no log"))
    };
    eventually("a reason", all_say_none);
    let none = std::fs::read(&config).unwrap();
    std::fs::write(&config, "").unwrap();
    eventually("linkages", || linked(&folder, "default") == 7);
    // What cannot be read is not acted on, nor is what was read before.
    std::fs::write(&config, "tenants = {").unwrap();
    eventually("a complaint", || {
        let said = std::fs::read_to_string(folder.path("worker.log")).unwrap();
        said.contains("provex: waiting: ") && said.contains("provex.toml, line 1")
    });
    std::fs::write(&config, none).unwrap();
    folder.text(0, &["ingest", folder.write("more.json", document()).to_str().unwrap()]);
    eventually("a reason", all_say_none);
    assert_eq!(linked(&folder, "default"), 7);
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
