//! Bad days: full disks, read-only folders, locks, damage, restores. Each is told by an error of its own that says
//! what to do, leaves nothing half-written, and is over when its cause is.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails
#![allow(clippy::disallowed_methods)] // processes are waited for in real time

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{Folder, all, copy, examples, repository};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

/// A folder in which the examples are proven.
fn proven() -> Folder {
    let folder = Folder::new();
    folder.text(0, &["prove", &examples()]);
    folder
}

/// A document that the examples do not have.
fn another(folder: &Folder, number: usize) -> String {
    let document = json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": format!("https://example.com/vex/{number}"),
        "author": "Example",
        "timestamp": "2026-01-01T00:00:00Z",
        "version": 1,
        "statements": [{
            "vulnerability": {"name": "CVE-2026-1234"},
            "products": [{"@id": format!("pkg:generic/another@{number}")}],
            "status": "fixed",
        }],
    });
    folder.write(&format!("another-{number}.json"), document.to_string()).display().to_string()
}

/// Runs a command that has to fail with this code and say all of this.
fn fails(folder: &Folder, code: i32, args: &[&str], says: &[&str]) {
    let output = folder.provex(args);
    check_failure(output.status.code(), &all(&output), code, args, says);
}

fn check_failure(found: Option<i32>, text: &str, code: i32, args: &[&str], says: &[&str]) {
    assert_eq!(found, Some(code), "{args:?}: {text}");
    for part in says {
        assert!(text.contains(part), "{args:?} does not say `{part}`: {text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

/// All that is recorded is linked, and one more document can be proven.
fn works(folder: &Folder) {
    let document = another(folder, 999);
    let run = folder.json(0, &["prove", &document, "--json"]);
    assert_eq!((&run["linkages"]["pending"], &run["linkages"]["failed"]), (&json!(0), &json!(0)), "{run}");
    let new = folder.lines(&["observations", "--ndjson", "--product", "pkg:generic/another@999"]);
    assert_eq!(new.len(), 1, "{new:?}");
    for id in [new[0]["observationId"].as_str().unwrap(), &folder.observation_ids()[0]] {
        let proof = folder.path("works.json").display().to_string();
        folder.text(0, &["export", "--proof", id, "-o", &proof]);
        folder.text(0, &["verify", &proof]);
    }
}

/// What failed for want of room says so, and does not blame the disk.
fn has_no_room(code: i32, text: &str, args: &[&str]) {
    check_failure(Some(code), text, 3, args, &["free some space"]);
    assert!(!text.contains("failing"), "{text}");
}

/// The JSON object at the end of what was said on both streams.
fn last_json(text: &str) -> Value {
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

/// Every file below a folder with its bytes, but the companions of a database that is open.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.to_str().unwrap().ends_with("provex.db-shm") {
                files.insert(path.clone(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Puts another folder in the place of this one.
fn replace(folder: &Path, by: &Path) {
    fs::remove_dir_all(folder).unwrap();
    copy(by, folder);
}

// Mounts ---------------------------------------------------------------------------------------------------------

/// What one command of a script said, and how it ended.
struct Step {
    code: i32,
    text: String,
}

/// Runs a shell script with mounts of its own, and gives what its `step COMMAND…` said. `None` where mounts are not
/// allowed, which only a developer's machine may be.
fn with_mounts(folder: &Folder, script: &str) -> Option<Vec<Step>> {
    let allowed = Command::new("unshare").args(["-m", "true"]).output().is_ok_and(|o| o.status.success());
    if !allowed {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "this test runs as root, with `unshare -m`");
        eprintln!("skipped: `unshare -m` is not allowed here");
        return None;
    }
    let prelude = r#"
        set -u
        cd "$ROOT"
        step() { "$@" >step.out 2>&1; echo "=== $?" >>steps; cat step.out >>steps; }
        must() { "$@" || { echo "failed: $*" >&2; exit 1; }; }
        fill() { dd if=/dev/zero of="$1/filler" bs=4k 2>/dev/null; [ -s "$1/filler" ]; }
    "#;
    let output = Command::new("unshare")
        .args(["-m", "--propagation", "private", "sh", "-c", &format!("{prelude}{script}")])
        .env("ROOT", folder.root.path())
        .env("PROVEX", env!("CARGO_BIN_EXE_provex"))
        .env_remove("PROVEX_DATA")
        .env_remove("PROVEX_TENANT")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", all(&output));
    let steps = fs::read_to_string(folder.path("steps")).unwrap();
    let steps = steps.split("=== ").skip(1).map(|step| {
        let (code, text) = step.split_once('\n').unwrap();
        Step { code: code.parse().unwrap(), text: text.to_owned() }
    });
    Some(steps.collect())
}

#[test]
fn a_full_disk_is_named_and_the_same_command_goes_on_when_there_is_room() {
    let folder = proven();
    let document = another(&folder, 1);
    // From no room at all to more than is needed; then the same for the log's files alone.
    let script = format!(
        r#"
        must mkdir disk
        must mount -t tmpfs -o size=4m tmpfs disk
        run() {{
            must fill "$1"
            must truncate -s "-$2K" "$1/filler"
            step "$PROVEX" --data disk/data prove {document}
            must rm "$1/filler"
            step "$PROVEX" --data disk/data prove {document} --json
            step "$PROVEX" --data disk/data log checkpoint --json
            step "$PROVEX" --data disk/data ledger audit --json
        }}
        for room in 0 4 8 12 16 20 24 32 40 48 64 80 96 112 128 144 160 176 192 208 224 240 512; do
            must cp -a data disk/data
            run disk $room
            must rm -r disk/data
        done
        for room in 0 4 8 64; do
            must cp -a data disk/data
            must mount -t tmpfs -o size=1m tmpfs disk/data/log
            must cp -a data/log/. disk/data/log
            run disk/data/log $room
            must umount disk/data/log
            must rm -r disk/data
        done
        "#
    );
    let Some(steps) = with_mounts(&folder, &script) else { return };
    let mut places = BTreeMap::<&str, u32>::new();
    for run in steps.chunks(4) {
        let [full, again, log, audit] = run else { panic!("four steps a run") };
        let place = match full.code {
            0 => "nowhere",
            _ if full.text.contains("not all are linked") => "the log",
            _ => "the database",
        };
        *places.entry(place).or_default() += 1;
        if full.code != 0 {
            has_no_room(full.code, &full.text, &["prove"]);
        }
        assert_eq!(again.code, 0, "{}", again.text);
        let run = last_json(&again.text);
        assert_eq!(
            (&run["linkages"]["pending"], &run["linkages"]["failed"]),
            (&json!(0), &json!(0)),
            "{run}"
        );
        let (log, audit) = (last_json(&log.text), last_json(&audit.text));
        let anchors = audit["anchored"].as_u64().unwrap();
        assert_eq!(audit["roots"], anchors, "{audit}");
        assert_eq!(log["treeSize"], 4 + anchors, "each document and each anchor is logged once");
    }
    assert!(places["the database"] > 5 && places["the log"] >= 3 && places["nowhere"] >= 2, "{places:?}");
}

#[tokio::test]
async fn a_migration_that_finds_no_room_leaves_no_copy_and_is_done_when_there_is() {
    let folder = proven();
    let mut database = connect(&folder).await;
    // As if these migrations had been made by hand, and not all of the last.
    execute(
        &mut database,
        "DROP TRIGGER control_migrations_no_delete;
        DELETE FROM control_migrations WHERE version > 1;
        CREATE TRIGGER control_migrations_no_delete BEFORE DELETE ON control_migrations
        BEGIN SELECT RAISE(ABORT, 'control_migrations is only added to'); END;
        DROP INDEX observations_rekor_pending_idx",
    )
    .await;
    database.close().await.unwrap();
    let size = fs::metadata(folder.path("data/provex.db")).unwrap().len() / 1024;
    // From no room for the copy to more than is needed for both.
    let rooms = (0..12)
        .map(|part| (size * part / 8).to_string())
        .chain((0..12).map(|part| (size + part * 16).to_string()));
    let rooms = rooms.collect::<Vec<_>>().join(" ");
    let script = format!(
        r#"
        must mkdir disk
        must mount -t tmpfs -o size=16m tmpfs disk
        for room in {rooms}; do
            must cp -a data disk/data
            must fill disk
            must truncate -s "-${{room}}K" disk/filler
            step "$PROVEX" --data disk/data status
            step find disk/data -name 'provex.db.*'
            step "$PROVEX" --data disk/data observations
            must rm disk/filler
            step "$PROVEX" --data disk/data prove {}
            step find disk/data -name 'provex.db.*'
            must rm -r disk/data
        done
        "#,
        another(&folder, 1)
    );
    let Some(steps) = with_mounts(&folder, &script) else { return };
    let mut failed = 0;
    for run in steps.chunks(5) {
        let [status, left, observations, again, copies] = run else { panic!("five steps a run") };
        if status.code != 0 {
            failed += 1;
            has_no_room(status.code, &status.text, &["status"]);
            has_no_room(observations.code, &observations.text, &["observations"]);
            assert_eq!(left.text, "", "something was left");
        }
        assert_eq!(again.code, 0, "{}", again.text);
        assert_eq!(copies.text, "disk/data/provex.db.backup-1\n");
    }
    assert!((8..24).contains(&failed), "{failed} of {} failed", steps.len() / 5);
}

#[test]
fn a_data_folder_that_finds_no_room_is_made_when_there_is() {
    let folder = Folder::new();
    let script = format!(
        r#"
        must mkdir disk
        must mount -t tmpfs -o size=4m tmpfs disk
        for room in 0 4 12 20 40 80 160 320; do
            must fill disk
            must truncate -s "-${{room}}K" disk/filler
            step "$PROVEX" --data disk/data prove {0}
            must rm disk/filler
            if find disk/data -name '*.new' | grep -q .; then echo "something is half-written" >&2; exit 1; fi
            step "$PROVEX" --data disk/data prove {0}
            must rm -r disk/data
        done
        "#,
        examples()
    );
    let Some(steps) = with_mounts(&folder, &script) else { return };
    for run in steps.chunks(2) {
        has_no_room(run[0].code, &run[0].text, &["prove"]);
        assert_eq!(run[1].code, 0, "{}", run[1].text);
    }
}

#[test]
fn what_is_on_a_full_disk_can_be_read() {
    let folder = proven();
    let (id, document) = (folder.observation_ids().remove(0), another(&folder, 1));
    let script = format!(
        r#"
        must mkdir disk
        must mount -t tmpfs -o size=4m tmpfs disk
        must cp -a data disk/data
        must fill disk
        for command in "status" "observations" "pending" "show {id}" "export --proof {id}" "log checkpoint" \
            "tenant list" "key show"; do
            step "$PROVEX" --data disk/data $command
        done
        for command in "prove {document}" "ingest {document}" "tenant add other" "link"; do
            step "$PROVEX" --data disk/data $command
        done
        must rm disk/filler
        step "$PROVEX" --data disk/data prove {document}
        "#
    );
    let Some(steps) = with_mounts(&folder, &script) else { return };
    for step in &steps[..8] {
        assert_eq!(step.code, 0, "{}", step.text);
    }
    for step in &steps[8..11] {
        has_no_room(step.code, &step.text, &[]);
    }
    assert!([0, 3].contains(&steps[11].code), "{}", steps[11].text);
    assert_eq!(steps[12].code, 0, "{}", steps[12].text);
}

#[test]
fn a_proof_that_finds_no_room_is_not_half_written() {
    let folder = proven();
    let id = folder.observation_ids().remove(0);
    let script = format!(
        r#"
        must mkdir disk
        must mount -t tmpfs -o size=1m tmpfs disk
        must fill disk
        step "$PROVEX" --data data export --proof {id} -o disk/proof.json
        step test -s disk/proof.json
        must rm disk/filler
        step "$PROVEX" --data data export --proof {id} -o disk/proof.json
        step "$PROVEX" --data data verify disk/proof.json
        "#
    );
    let Some(steps) = with_mounts(&folder, &script) else { return };
    check_failure(Some(steps[0].code), &steps[0].text, 3, &["export"], &["proof.json", "free some space"]);
    assert_ne!(steps[1].code, 0, "a part of the proof was left");
    assert_eq!((steps[2].code, steps[3].code), (0, 0), "{}{}", steps[2].text, steps[3].text);
}

#[tokio::test]
async fn a_read_only_folder_can_be_read_and_says_why_it_cannot_be_written() {
    let folder = proven();
    let (id, document) = (folder.observation_ids().remove(0), another(&folder, 1));
    let (_, proof) = folder.proof();
    folder.write("proof.json", proof);
    let script = format!(
        r#"
        must mount --bind data data
        must mount -o remount,bind,ro data
        for command in "prove {document}" "link" "ingest {document}" "key rotate" "tenant add other"; do
            step "$PROVEX" --data data $command
        done
        step "$PROVEX" --data data/new init
        for command in "status" "observations" "pending" "show {id}" "export --proof {id}" "verify proof.json" \
            "log checkpoint" "tenant list" "key show"; do
            step "$PROVEX" --data data $command
        done
        "#
    );
    let before = files(&folder.data());
    let check = |steps: &[Step]| {
        let places = ["data", "data", "data/provex.db", "data", "data", "data/new"];
        for (step, place) in steps[..6].iter().zip(places) {
            check_failure(Some(step.code), &step.text, 3, &[], &[place, "not mounted read-only"]);
        }
        for step in &steps[6..] {
            assert_eq!(step.code, 0, "{}", step.text);
        }
    };
    // The database file alone, as every command leaves it; then with companions, as while another program has it open.
    let Some(steps) = with_mounts(&folder, &script) else { return };
    check(&steps);
    fs::remove_file(folder.path("steps")).unwrap();
    let other = connect(&folder).await;
    check(&with_mounts(&folder, &script).unwrap());
    other.close().await.unwrap();
    // What a killed process left in a write-ahead log cannot be read where it cannot be folded in.
    fs::remove_file(folder.path("steps")).unwrap();
    let mut other = connect(&folder).await;
    execute(&mut other, "PRAGMA wal_autocheckpoint = 0; UPDATE control_logs SET seen_at = seen_at + 1").await;
    let wal = fs::read(folder.path("data/provex.db-wal")).unwrap();
    other.close().await.unwrap();
    fs::write(folder.path("data/provex.db-wal"), wal).unwrap();
    let steps = with_mounts(&folder, &script).unwrap();
    for step in &steps[..11] {
        check_failure(Some(step.code), &step.text, 3, &[], &["data", "not mounted read-only"]);
    }
    fs::remove_file(folder.path("data/provex.db-wal")).unwrap();
    let after = files(&folder.data());
    let keys = |path: &&PathBuf| path.to_str().unwrap().contains("/keys/");
    assert!(before.keys().filter(keys).eq(after.keys().filter(keys)), "a key was half-rotated");
    works(&folder);
}

#[test]
fn a_read_only_log_folder_is_named_and_what_waits_goes_on_when_it_is_not() {
    let folder = proven();
    let document = another(&folder, 1);
    let script = format!(
        r#"
        must mount --bind data/log data/log
        must mount -o remount,bind,ro data/log
        step "$PROVEX" --data data prove {document}
        must umount data/log
        step "$PROVEX" --data data link
        "#
    );
    let Some(steps) = with_mounts(&folder, &script) else { return };
    check_failure(Some(steps[0].code), &steps[0].text, 3, &[], &["data/log", "not mounted read-only"]);
    assert_eq!(steps[1].code, 0, "{}", steps[1].text);
    works(&folder);
}

/// The file `/proc/self/mem` cannot be read at its beginning: the one EIO that needs no broken disk.
#[test]
fn a_disk_that_cannot_be_read_is_named_with_the_file() {
    let folder = proven();
    let broken = Path::new("/proc/self/mem");
    let (good, bad) = (another(&folder, 1), folder.path("bad.json"));
    std::os::unix::fs::symlink(broken, &bad).unwrap();
    let run = folder.json(1, &["prove", &bad.display().to_string(), &good, "--json"]);
    assert_eq!(run["rejected"][0]["code"], "unreadable");
    assert!(run["rejected"][0]["message"].as_str().unwrap().contains("Input/output error"), "{run}");
    assert_eq!(run["linkages"], json!({"linked": 1, "pending": 0, "failed": 0}));
    for name in ["provex.toml", "trusted_root.json", "keys/attest.pem", "keys/salt.key", "log/checkpoint"] {
        let (path, kept) = (folder.data().join(name), folder.path("kept"));
        fs::rename(&path, &kept).unwrap();
        std::os::unix::fs::symlink(broken, &path).unwrap();
        let document = another(&folder, 2);
        let output = folder.provex(&["prove", &document]);
        // The kernel's file belongs to its owner alone, so it passes for a key file too.
        check_failure(output.status.code(), &all(&output), 3, &[name], &[name, "Input/output error"]);
        fs::remove_file(&path).unwrap();
        fs::rename(&kept, &path).unwrap();
    }
    works(&folder);
}

/// Runs a command whose system calls fail as strace(1) is told, all of them or those on one file of the data folder.
fn traced(folder: &Folder, calls: &str, what: &str, path: Option<&str>, args: &[&str]) -> Output {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
    command.args(["-e", &format!("inject={calls}:{what}")]);
    // What is tried once more is tried on a file beside the database, if not on the database itself.
    let paths = path.into_iter().flat_map(|path| [path.to_owned(), format!("{path}.probe")]);
    command.args(paths.map(|path| format!("--trace-path={}", folder.data().join(path).display())));
    command.arg(env!("CARGO_BIN_EXE_provex")).arg("--data").arg(folder.data());
    command.args(args).output().expect("scripts/test installs strace")
}

#[test]
fn what_the_system_says_of_the_database_is_told_as_it_is() {
    let folder = proven();
    fs::write(folder.path("data/provex.toml"), "database_wait_seconds = 1\n").unwrap();
    let kept = files(&folder.data());
    for (calls, what, says) in [
        ("pread64", "error=EIO:when=5+", ["Input/output error", "disk is failing"]),
        ("openat", "error=EIO", ["Input/output error", "disk is failing"]),
        ("openat", "error=EMFILE", ["Too many open files", "ulimit -n"]),
        ("fcntl", "error=ENOLCK", ["No locks available", "another one"]),
        ("fcntl", "error=EACCES", ["locked by another program", "try again"]),
    ] {
        for args in [&["status"] as &[&str], &["observations"], &["prove", &examples()]] {
            let output = traced(&folder, calls, what, Some("provex.db"), args);
            let text = all(&output);
            check_failure(output.status.code(), &text, 3, &[calls, what, args[0]], &says);
            for other in ["Bring back a copy", "read-only", "free some space"] {
                assert!(!text.contains(other), "{calls} {what}: {text}");
            }
        }
    }
    assert!(kept == files(&folder.data()), "something was changed");
    works(&folder);
}

/// The kernel is made to answer EIO, as it does for a disk that fails: on the first such call of each thread, or on a
/// later one, for the files of the database and of the log.
#[test]
fn a_disk_that_cannot_be_written_is_named_and_nothing_is_half_written() {
    let folder = proven();
    let mut number = 0;
    for (calls, path) in [
        ("pwrite64", Some("provex.db-wal")),
        ("fsync,fdatasync", Some("provex.db-wal")),
        ("write", Some("log/.checkpoint.next")),
        ("fsync,fdatasync", None),
        ("rename,renameat,renameat2", None),
    ] {
        let mut failed = 0;
        for nth in 1..=4 {
            number += 1;
            let document = another(&folder, number);
            let before = folder.text(0, &["log", "checkpoint"]);
            let output =
                traced(&folder, calls, &format!("error=EIO:when={nth}"), path, &["prove", &document]);
            let text = all(&output);
            if output.status.code() != Some(0) {
                failed += 1;
                check_failure(output.status.code(), &text, 3, &[calls], &["disk is failing"]);
                assert!(!text.contains("free some space"), "{text}");
            }
            // The log goes on from what it had answered.
            folder.text(0, &["link"]);
            let checkpoint = folder.write("before", before).display().to_string();
            let (_, proof) = folder.proof();
            let proof = folder.write("proof.json", proof).display().to_string();
            folder.text(0, &["verify", &proof, "--checkpoint", &checkpoint]);
        }
        assert!(failed > 0, "{calls} on {path:?} never failed");
    }
    works(&folder);
}

#[test]
fn a_rotation_that_a_failing_disk_interrupts_says_that_it_was_begun_and_what_finishes_it() {
    let (folder, kept) = (proven(), tempfile::tempdir().unwrap());
    copy(&folder.data(), &kept.path().join("data"));
    for (rotate, next, says, finish) in [
        (
            &["key", "rotate"] as &[&str],
            "keys/attest.next.pem",
            "the rotation of the key was begun, and `provex link` finishes it",
            &["link"] as &[&str],
        ),
        (
            &["key", "rotate", "--log"],
            "keys/log.next.pem",
            "the rotation of the log was begun, and `provex key rotate --log` finishes it",
            &["key", "rotate", "--log"],
        ),
    ] {
        let (next, mut begun, mut not) = (folder.data().join(next), 0, 0);
        for calls in ["write", "fsync,fdatasync", "rename,renameat,renameat2"] {
            for nth in 1..=6 {
                let output = traced(&folder, calls, &format!("error=EIO:when={nth}"), None, rotate);
                let (text, is_begun) = (all(&output), next.exists());
                if output.status.code() != Some(0) {
                    check_failure(output.status.code(), &text, 3, &[calls], &["disk is failing"]);
                    *if is_begun { &mut begun } else { &mut not } += 1;
                }
                assert_eq!(text.contains(says), is_begun, "{calls} {nth}: {text}");
                assert!(!text.contains("half-written"), "{text}");
                if is_begun {
                    folder.text(0, finish);
                    assert!(!next.exists());
                }
                replace(&folder.data(), &kept.path().join("data"));
            }
        }
        assert!(begun >= 3 && not >= 3, "{rotate:?}: {begun} were begun, {not} were not");
    }
    works(&folder);
}

// Rights ---------------------------------------------------------------------------------------------------------

/// Who runs commands that rights bind: root passes over them.
const NOBODY: u32 = 65_534;

/// Gives the folder to a user who is not root. `false` where that cannot be done, which only a developer's machine may be.
fn give_away(folder: &Folder) -> bool {
    let given = Command::new("chown").args(["-R", "65534:65534"]).arg(folder.root.path()).output();
    let given = given.is_ok_and(|given| given.status.success());
    assert!(given || std::env::var("CI").as_deref() != Ok("true"), "this test runs as root");
    // The program may lie where others cannot come. Copied here, a process that another test starts meanwhile would have
    // it open for writing, and nobody could run it.
    let program = folder.path("provex");
    if !program.exists() {
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_provex")).arg(&program).status().unwrap();
        assert!(copied.success());
    }
    given
}

/// Runs a command as that user.
fn as_nobody(folder: &Folder, args: &[&str]) -> Output {
    let mut command = Command::new(folder.path("provex"));
    command.uid(NOBODY).gid(NOBODY).env_clear().current_dir("/");
    command.arg("--data").arg(folder.data()).args(args).output().unwrap()
}

fn nobody_fails(folder: &Folder, code: i32, args: &[&str], says: &[&str]) {
    let output = as_nobody(folder, args);
    let text = all(&output);
    check_failure(output.status.code(), &text, code, args, says);
    for harmful in ["is missing", "`provex init` makes", "begins a new log", "another key"] {
        assert!(!text.contains(harmful), "{args:?}: {text}");
    }
}

#[test]
fn a_database_that_is_not_ours_to_write_can_be_read_and_is_written_when_it_is() {
    let folder = proven();
    let document = another(&folder, 1);
    if !give_away(&folder) {
        return;
    }
    let database = folder.path("data/provex.db");
    let companions = ["provex.db-wal", "provex.db-shm"].map(|name| folder.data().join(name));
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set(&database, 0o400);
    nobody_fails(&folder, 3, &["prove", &document], &["provex.db: Permission denied", "yours to write"]);
    for args in [&["status"] as &[&str], &["observations"], &["log", "checkpoint"], &["migrate", "--plan"]] {
        assert_eq!(as_nobody(&folder, args).status.code(), Some(0), "{args:?}");
    }
    assert!(companions.iter().all(|path| !path.exists()), "a companion was left");
    set(&database, 0o600);
    assert_eq!(as_nobody(&folder, &["prove", &document]).status.code(), Some(0));
    // Companions that were made of such a file stand in nobody's way.
    let make = |owner| {
        for path in &companions {
            fs::write(path, "").unwrap();
            set(path, 0o400);
            std::os::unix::fs::chown(path, Some(owner), Some(owner)).unwrap();
        }
    };
    make(NOBODY);
    assert_eq!(as_nobody(&folder, &["prove", &document]).status.code(), Some(0));
    // Those of somebody else do, and are named.
    make(0);
    let says = format!("{}: Permission denied", companions[0].display());
    nobody_fails(&folder, 3, &["prove", &document], &[&says, "yours to write"]);
    assert_eq!(as_nobody(&folder, &["status"]).status.code(), Some(0));
    for path in &companions {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    assert_eq!(as_nobody(&folder, &["prove", &document]).status.code(), Some(0));
}

#[test]
fn what_may_not_be_looked_at_is_not_taken_for_missing() {
    let folder = proven();
    let document = another(&folder, 1);
    if !give_away(&folder) {
        return;
    }
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let kept = files(&folder.data());
    let prove: &[&str] = &["prove", &document];
    let keys = [prove, &["link"], &["status"], &["init"], &["key", "rotate"], &["key", "rotate", "--log"]];
    let log = [prove, &["link"], &["status"], &["log", "checkpoint"]];
    for (name, commands) in [("", &keys[..]), ("keys", &keys), ("log", &log)] {
        let closed = folder.data().join(name);
        set(&closed, 0o000);
        for args in commands {
            nobody_fails(&folder, 3, args, &["Permission denied"]);
        }
        set(&closed, 0o700);
    }
    for (path, bytes) in kept.iter().filter(|(path, _)| !path.to_str().unwrap().contains("provex.db")) {
        assert!(fs::read(path).unwrap() == *bytes, "{} was changed", path.display());
    }
    assert_eq!(as_nobody(&folder, &["prove", &document]).status.code(), Some(0));
}

#[test]
fn what_the_disk_does_not_tell_of_is_not_made_anew() {
    let folder = proven();
    let own = "unit = \"batch\"\n";
    fs::write(folder.path("data/provex.toml"), own).unwrap();
    let names = [
        "provex.toml",
        "trusted_root.json",
        "keys/attest.pem",
        "keys/log.pem",
        "keys/salt.key",
        "log/checkpoint",
    ];
    for name in names {
        let before = fs::read(folder.data().join(name)).unwrap();
        for args in [&["prove", &examples()] as &[&str], &["init"]] {
            let output = traced(&folder, "stat,statx", "error=EIO", Some(name), args);
            if output.status.code() != Some(0) {
                check_failure(output.status.code(), &all(&output), 3, &[name], &[name, "Input/output error"]);
            }
            assert_eq!(fs::read(folder.data().join(name)).unwrap(), before, "{args:?} wrote {name}");
        }
    }
    works(&folder);
}

#[test]
fn a_command_that_cannot_say_anything_on_stderr_ends_with_its_own_code() {
    let folder = proven();
    let bad = folder.write("bad.json", "{").display().to_string();
    let none = folder.path("none").display().to_string();
    for (code, args) in [
        (0, &["prove", &examples()] as &[&str]),
        (1, &["prove", &bad]),
        (1, &["prove", &bad, "--json"]),
        (1, &["check", &bad]),
        (2, &["status", "--tenant", "nobody"]),
        (2, &["no-such-command"]),
        (2, &["--data", &none, "status"]),
        (3, &["prove", &examples(), "--data", "/proc/none"]),
        (0, &["token", "create", "--scope", "vex.read"]),
    ] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = common::provex();
        let command = command.env("PROVEX_DATA", folder.data()).args(args).stdout(Stdio::null()).stderr(full);
        let status = command.status().unwrap();
        assert_eq!(status.code(), Some(code), "{args:?}");
    }
    works(&folder);
}

#[tokio::test]
async fn what_takes_its_time_says_so_where_stderr_is_no_terminal() {
    let folder = proven();
    let mut other = connect(&folder).await;
    execute(&mut other, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").await;
    let mut child =
        folder.command(&["status"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert!(said.starts_with("provex: opening the database: ") && said.ends_with(" s\n"), "{said}");
    other.close().await.unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    // A count, where something is counted: the document comes when the line is there.
    let pipe = folder.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut child = folder.command(&["prove", &pipe.display().to_string()]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert!(said.starts_with("provex: reading documents: 0, "), "{said}");
    fs::write(&pipe, fs::read(another(&folder, 1)).unwrap()).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    works(&folder);
}

// Database -------------------------------------------------------------------------------------------------------

async fn connect(folder: &Folder) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(folder.path("data/provex.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .disable_statement_logging();
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn execute(connection: &mut SqliteConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.unwrap();
}

/// Sees that the database file alone has everything.
async fn fold(folder: &Folder) {
    let mut connection = connect(folder).await;
    execute(&mut connection, "PRAGMA wal_checkpoint(TRUNCATE)").await;
    connection.close().await.unwrap();
    assert!(fs::metadata(folder.path("data/provex.db-wal")).map_or(0, |wal| wal.len()) == 0);
}

#[tokio::test]
async fn a_database_that_another_program_holds_is_waited_for_and_then_named() {
    let folder = proven();
    let document = another(&folder, 1);
    let mut other = connect(&folder).await;
    execute(&mut other, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").await;
    fs::write(folder.path("data/provex.toml"), "database_wait_seconds = 1\n").unwrap();
    for args in [&["prove", &document] as &[&str], &["link"], &["status"], &["observations"]] {
        let started = Instant::now();
        fails(&folder, 3, args, &["locked by another program", "try again"]);
        assert!(started.elapsed() < Duration::from_secs(30), "{args:?}: {:?}", started.elapsed());
    }
    // Held for a moment only, nobody notices.
    fs::write(folder.path("data/provex.toml"), "").unwrap();
    let mut child = common::provex();
    let child = child.arg("--data").arg(folder.data()).args(["prove", &document]);
    let child = child.stdout(Stdio::null()).spawn().unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    other.close().await.unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    works(&folder);
}

#[tokio::test]
async fn a_damaged_page_is_named_or_harmless_and_never_believed() {
    let folder = proven();
    // Something waits to be linked, and something is to be proven.
    folder.text(0, &["ingest", &another(&folder, 1)]);
    fold(&folder).await;
    let (data, kept) = (folder.data(), folder.path("kept"));
    copy(&data, &kept);
    let (listed, document) = (folder.text(0, &["observations", "--ndjson"]), another(&folder, 2));
    let (id, proof) = folder.proof();
    let export: &[&str] = &["export", "--proof", &id];
    let database = fs::read(data.join("provex.db")).unwrap();
    let mut named = 0;
    for page in [0].into_iter().chain((1..database.len() / 4_096).step_by(7)) {
        let mut damaged = database.clone();
        for (offset, byte) in damaged[page * 4_096..][..4_096].iter_mut().enumerate() {
            *byte = (offset * 31 + page) as u8 | 0x80;
        }
        fs::write(data.join("provex.db"), &damaged).unwrap();
        for args in [&["observations", "--ndjson"] as &[&str], export, &["link"], &["prove", &document]] {
            let output = folder.provex(args);
            let text = all(&output);
            if output.status.code() == Some(0) {
                match args[0] {
                    "observations" => assert_eq!(text, listed, "page {page}"),
                    "export" => assert!(output.stdout == proof, "page {page}: {text}"),
                    _ => {}
                }
                continue;
            }
            named += 1;
            check_failure(output.status.code(), &text, 3, args, &["provex.db", "Bring back a copy"]);
        }
        replace(&data, &kept);
    }
    assert!(named > 5, "no damage was found");
    assert_eq!(folder.text(0, &["observations", "--ndjson"]), listed);
    works(&folder);
}

#[tokio::test]
async fn a_body_of_which_one_bit_was_changed_is_not_shown() {
    let folder = proven();
    fold(&folder).await;
    let path = folder.path("data/provex.db");
    let database = fs::read(&path).unwrap();
    let id =
        folder.lines(&["observations", "--ndjson", "--status", "not_affected"])[0]["observationId"].clone();
    let id = id.as_str().unwrap();
    let body = folder.text(0, &["show", id, "--canonical"]);
    // A page keeps remnants of what stood in it: every copy is changed.
    let mut damaged = database.clone();
    for place in 0..database.len() - body.len() {
        if database[place..].starts_with(body.as_bytes()) {
            damaged[place + body.len() / 2] ^= 1;
        }
    }
    assert_ne!(damaged, database);
    fs::write(&path, &damaged).unwrap();
    let proof = folder.path("proof.json").display().to_string();
    for args in [
        &["observations", "--ndjson"] as &[&str],
        &["show", id],
        &["show", id, "--canonical"],
        &["export", "--proof", id, "-o", &proof],
    ] {
        fails(&folder, 3, args, &[id, "cannot be read: its bytes were changed", "Bring back a copy"]);
    }
    fs::write(&path, &database).unwrap();
    works(&folder);
}

#[tokio::test]
async fn a_lost_database_is_not_replaced_unseen() {
    let folder = proven();
    fold(&folder).await;
    let (ids, path) = (folder.observation_ids(), folder.path("data/provex.db"));
    for name in ["provex.db-wal", "provex.db-shm"] {
        let _ = fs::remove_file(folder.data().join(name));
    }
    fs::rename(&path, folder.path("kept")).unwrap();
    for args in [&["prove", &examples()] as &[&str], &["status"], &["observations"]] {
        fails(&folder, 3, args, &["provex.db is missing", "`provex init` makes an empty one"]);
    }
    assert!(!path.exists());
    // What the message says for the case that there is no copy.
    folder.text(0, &["init"]);
    assert!(folder.observation_ids().is_empty());
    let run = folder.json(0, &["prove", &examples(), "--json"]);
    assert_eq!(run["linkages"], json!({"linked": 7, "pending": 0, "failed": 0}));
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    assert_eq!(sorted(folder.observation_ids()), sorted(ids));
    works(&folder);
}

#[tokio::test]
async fn an_older_schema_is_migrated_after_a_copy_and_a_newer_one_refused() {
    let folder = proven();
    let log = folder.json(0, &["log", "checkpoint", "--json"]);
    let log = |member: &str| log[member].as_str().unwrap().to_owned();
    fs::remove_file(folder.path("data/provex.db")).unwrap();
    let base = fs::read_to_string(repository("crates/store-sqlite/migrations/0001_base.sql")).unwrap();
    let mut connection = connect(&folder).await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(base)).execute(&mut connection).await.unwrap();
    execute(
        &mut connection,
        "INSERT INTO control_migrations (version, name, checksum) VALUES (1, 'base', printf('%064d', 0));
        INSERT INTO control_tenants (tenant_id, created_at) VALUES ('default', 5);
        INSERT INTO findings_ledger_chains
            (tenant_id, chain_id, sequence_no, event_hash, cycle_hash, frontier, last_at)
        VALUES ('default', '01900000-0000-7000-8000-000000000001', 0, printf('%064d', 0), printf('%064d', 0), x'', 0)",
    )
    .await;
    sqlx::query(
        "INSERT INTO control_logs (log_id, origin, tree_size, tree_root, checkpoint, seen_at) VALUES (?, ?, 3, ?, ?, 5)",
    )
    .bind(log("rekorLogId"))
    .bind(log("origin"))
    .bind(log("treeRoot"))
    .bind(log("note").into_bytes())
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    let run = folder.json(0, &["prove", &examples(), "--json"]);
    assert_eq!(run["linkages"], json!({"linked": 7, "pending": 0, "failed": 0}));
    let copied = folder.path("data/provex.db.backup-1");
    assert_eq!(fs::metadata(&copied).unwrap().permissions().mode() & 0o777, 0o600);
    let mut copied = SqliteConnectOptions::new().filename(&copied).read_only(true).connect().await.unwrap();
    let version = "SELECT max(version) FROM control_migrations";
    assert_eq!(sqlx::query_scalar::<_, i64>(version).fetch_one(&mut copied).await.unwrap(), 1);
    works(&folder);

    let mut connection = connect(&folder).await;
    execute(
        &mut connection,
        "INSERT INTO control_migrations (version, name, checksum) VALUES (1000, 'later', printf('%064d', 0))",
    )
    .await;
    connection.close().await.unwrap();
    let before = files(&folder.data());
    for args in [&["prove", &another(&folder, 1)] as &[&str], &["status"], &["observations"]] {
        fails(&folder, 3, args, &["schema version 1000", "use a newer provex"]);
    }
    let after = files(&folder.data());
    let names = before.keys().chain(after.keys());
    let changed: BTreeSet<_> = names.filter(|name| before.get(*name) != after.get(*name)).collect();
    assert!(changed.is_empty(), "beside a database of a newer release these were changed: {changed:?}");
}

#[tokio::test]
async fn a_database_of_another_folder_is_not_taken_for_ours() {
    let (folder, other) = (proven(), proven());
    let (ours, theirs) = (folder.path("data/provex.db"), other.path("data/provex.db"));
    fs::copy(&ours, folder.path("kept")).unwrap();
    fs::copy(&theirs, &ours).unwrap();
    for args in [&["prove", &examples()] as &[&str], &["status"], &["observations"], &["link"], &["init"]] {
        fails(&folder, 3, args, &["provex.db knows no log of", "is of another folder", "Bring back"]);
    }
    fs::copy(folder.path("kept"), &ours).unwrap();
    works(&folder);
}

#[test]
fn no_command_leaves_companions_of_the_database_behind() {
    let folder = Folder::new();
    folder.write("bad.json", "{");
    let (bad, good) = (folder.path("bad.json").display().to_string(), examples());
    for (code, args) in [
        (0, &["init"] as &[&str]),
        (1, &["prove", &bad]),
        (0, &["prove", &good]),
        (0, &["status"]),
        (0, &["observations"]),
        (1, &["export", "--proof", &format!("vex:obs:sha256:{}", "0".repeat(64))]),
        (2, &["status", "--tenant", "nobody"]),
        (0, &["key", "rotate", "--log"]),
        (0, &["link"]),
    ] {
        folder.text(code, args);
        let names = files(&folder.data());
        let companion = names.keys().find(|path| path.to_str().unwrap().contains("provex.db-"));
        assert_eq!(companion, None, "{args:?}");
    }
}

/// Time as it would be after the clock was set back: everything was recorded and queued later.
async fn set_clock_back(folder: &Folder, seconds: i64) {
    let mut connection = connect(folder).await;
    for sql in [
        format!("UPDATE findings_ledger_chains SET last_at = last_at + {seconds}000000"),
        format!("UPDATE control_logs SET seen_at = seen_at + {seconds}000000"),
        format!(
            "UPDATE attestor_submissions SET available_at = available_at + {seconds}000000,
                lease_until = lease_until + {seconds}000000"
        ),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_clock_that_was_set_back_is_told_and_survived() {
    let folder = proven();
    folder.text(0, &["ingest", &another(&folder, 1)]);
    set_clock_back(&folder, 3_660).await;
    // Another process at work: who has the folder alone makes all due that waits.
    let at_work = fs::File::open(folder.path("data/.work.lock")).unwrap();
    at_work.lock_shared().unwrap();
    let status = folder.text(0, &["status"]);
    assert!(status.contains("clock         the clock says ") && status.contains("60 min later"), "{status}");
    let linked = folder.provex(&["prove", &another(&folder, 2)]);
    check_failure(
        linked.status.code(),
        &all(&linked),
        0,
        &["prove"],
        &["warning: the clock says", "set back"],
    );
    let rows = folder.lines(&["observations", "--ndjson"]);
    let times: Vec<_> = rows.iter().map(|row| row["createdAt"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(folder.text(0, &["pending", "--ndjson"]), "", "what was queued before is linked, too");
    works(&folder);
}

#[tokio::test]
async fn a_log_that_is_ended_under_a_clock_set_back_keeps_a_window() {
    let folder = proven();
    let path = folder.path("data/trusted_root.json");
    set_clock_back(&folder, 400_000).await;
    let mut root: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    root["tlogs"][0]["publicKey"]["validFor"]["start"] = "2100-01-01T00:00:00Z".into();
    fs::write(&path, root.to_string()).unwrap();
    let rotated = folder.provex(&["key", "rotate", "--log"]);
    check_failure(rotated.status.code(), &all(&rotated), 0, &["rotate"], &["warning: the clock says"]);
    let root: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let window = &root["tlogs"][0]["publicKey"]["validFor"];
    assert!(window["end"].as_str().unwrap() > window["start"].as_str().unwrap(), "{window}");
    works(&folder);
}

#[test]
fn a_setting_that_is_not_allowed_is_told_with_file_line_and_key() {
    let folder = proven();
    let path = folder.path("data/provex.toml");
    let place = path.display().to_string();
    for (text, says) in [
        (
            &b"unit = \"batch\"\nbatch_size = 0\n"[..],
            "line 2: `batch_size = 0` is not allowed: batch_size is a number",
        ),
        (b"max_document_bytes = -1", "line 1: `max_document_bytes = -1` is not allowed"),
        (b"\n\nunit = ", "line 3: it is no TOML"),
        (b"# caf\xe9\n", "line 1: it is not UTF-8"),
        (b"colour = \"red\"", "line 1: there is no setting `colour`; there are batch_size, "),
    ] {
        fs::write(&path, text).unwrap();
        for args in [&["status"] as &[&str], &["prove", &examples()], &["key", "show"]] {
            fails(&folder, 2, args, &[&place, says]);
        }
    }
    fs::write(&path, "unit = \"observation\"").unwrap();
    let output = common::provex()
        .arg("--data")
        .arg(folder.data())
        .arg("status")
        .env("PROVEX_BATCH_SIZE", "257")
        .output()
        .unwrap();
    let says = "PROVEX_BATCH_SIZE=257 is not allowed: it is a number from 1 to 256";
    check_failure(output.status.code(), &all(&output), 2, &["status"], &[says]);
    works(&folder);
}

// Log ------------------------------------------------------------------------------------------------------------

/// A document cannot be logged, for this reason, which every command that looks at the log gives; what was there is
/// left as it is, and the document waits.
fn log_refuses(folder: &Folder, says: &[&str]) {
    let log = files(&folder.path("data/log"));
    for args in [&["link"] as &[&str], &["status"], &["log", "checkpoint"]] {
        fails(folder, 1, args, says);
    }
    let document = another(folder, 998);
    fails(folder, 1, &["prove", &document], says);
    fails(folder, 1, &["link"], says);
    let after = files(&folder.path("data/log"));
    assert!(log == after, "the log was changed: {:?} {:?}", log.keys(), after.keys());
    let status: Value = serde_json::from_slice(&folder.provex(&["status", "--json"]).stdout).unwrap();
    assert_eq!(status["observations"]["pending"], 1, "{status}");
}

/// A folder whose log has more than one full tile: 300 documents, each logged for itself.
fn proven_with_full_tiles() -> Folder {
    let folder = Folder::new();
    for number in 0..300 {
        another(&folder, number);
    }
    folder.text(0, &["prove", &folder.root.path().display().to_string()]);
    folder
}

#[test]
fn missing_and_changed_tiles_stop_the_log_until_they_are_back() {
    let folder = proven_with_full_tiles();
    let (log, kept) = (folder.path("data/log"), folder.path("kept"));
    copy(&log, &kept);
    copy(&folder.data(), &folder.path("all"));
    let change = |name: &str| {
        let path = log.join(name);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let names =
        ["tile/0/000", "tile/0/001.p/45", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/45"];
    for (name, removed) in names.iter().flat_map(|name| [(name, true), (name, false)]) {
        let said = if removed {
            fs::remove_file(log.join(name)).unwrap();
            format!("{name} is missing")
        } else {
            change(name);
            (*name).to_owned()
        };
        let behind = "does not hold the 301 entries of its newest checkpoint";
        log_refuses(&folder, &[behind, &said, "bring back", "key rotate --log"]);
        replace(&folder.data(), &folder.path("all"));
    }
    println!("all is gone but the checkpoint");
    fs::remove_dir_all(log.join("tile")).unwrap();
    log_refuses(&folder, &["does not hold the 301 entries of its newest checkpoint"]);
    replace(&log, &kept);
    println!("the checkpoint is another's");
    fs::write(log.join("checkpoint"), fs::read(proven().path("data/log/checkpoint")).unwrap()).unwrap();
    for args in [&["link"] as &[&str], &["status"], &["log", "checkpoint"]] {
        fails(&folder, 1, args, &["checkpoint", "is not this log's", "Bring back"]);
    }
    replace(&log, &kept);
    folder.text(0, &["link"]);
    works(&folder);
}

#[test]
fn a_lost_checkpoint_file_is_written_again_from_the_database() {
    let folder = proven();
    let path = folder.path("data/log/checkpoint");
    let checkpoint = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    // Nothing is lost: the database has it, and the tiles are there.
    let status = folder.text(0, &["status"]);
    assert!(status.contains("next          provex link"), "{status}");
    assert_eq!(folder.text(0, &["log", "checkpoint"]).as_bytes(), checkpoint);
    folder.text(0, &["link"]);
    assert_eq!(fs::read(&path).unwrap(), checkpoint);
    folder.text(0, &["prove", &another(&folder, 1)]);
    let kept = folder.write("kept", checkpoint).display().to_string();
    let (_, proof) = folder.proof();
    let proof = folder.write("proof.json", proof).display().to_string();
    folder.text(0, &["verify", &proof, "--checkpoint", &kept]);
    works(&folder);
}

#[test]
fn a_kill_between_database_and_checkpoint_file_is_no_alarm() {
    let folder = proven();
    let path = folder.path("data/log/checkpoint");
    let before = fs::read(&path).unwrap();
    folder.text(0, &["prove", &another(&folder, 1)]);
    let after = fs::read(&path).unwrap();
    fs::write(&path, before).unwrap();
    let status = folder.text(0, &["status"]);
    assert!(status.contains("size 6") && status.contains("next          provex link"), "{status}");
    assert_eq!(folder.text(0, &["log", "checkpoint"]).as_bytes(), after);
    folder.text(0, &["link"]);
    assert_eq!(fs::read(&path).unwrap(), after);
    let status = folder.text(0, &["status"]);
    assert!(status.contains("next          nothing waits"), "{status}");
    works(&folder);
}

#[test]
fn a_restored_older_log_folder_is_refused() {
    let folder = proven();
    let (log, older, newer) = (folder.path("data/log"), folder.path("older"), folder.path("newer"));
    copy(&log, &older);
    folder.text(0, &["prove", &another(&folder, 2)]);
    copy(&log, &newer);
    replace(&log, &older);
    log_refuses(
        &folder,
        &["does not hold the 6 entries of its newest checkpoint", "restored from an older copy"],
    );
    replace(&log, &newer);
    folder.text(0, &["link"]);
    works(&folder);
}

#[test]
fn a_restored_older_folder_is_found_with_a_kept_checkpoint() {
    let folder = proven();
    let (data, older) = (folder.data(), folder.path("older"));
    copy(&data, &older);
    folder.text(0, &["prove", &another(&folder, 2)]);
    let kept = folder.path("data/log/checkpoint");
    let kept = folder.write("kept", fs::read(kept).unwrap()).display().to_string();
    replace(&data, &older);
    // From inside nothing can be seen: the folder is what it once was.
    folder.text(0, &["prove", &another(&folder, 3), "--json"]);
    let row = folder.lines(&["observations", "--ndjson", "--product", "pkg:generic/another@3"]).remove(0);
    let proof = folder.path("proof.json").display().to_string();
    folder.text(0, &["export", "--proof", row["observationId"].as_str().unwrap(), "-o", &proof]);
    folder.text(0, &["verify", &proof]);
    fails(&folder, 1, &["verify", &proof, "--checkpoint", &kept], &["are not consistent"]);
    // What OPERATIONS says to do after any restore.
    folder.text(0, &["key", "rotate", "--log"]);
    works(&folder);
}

// Folder and keys ------------------------------------------------------------------------------------------------

#[test]
fn a_folder_copied_to_another_machine_goes_on_there() {
    let folder = proven();
    let (ids, (_, proof)) = (folder.observation_ids(), folder.proof());
    let checkpoint = fs::read(folder.path("data/log/checkpoint")).unwrap();
    let elsewhere = Folder::new();
    copy(&folder.data(), &elsewhere.data());
    drop(folder);
    assert_eq!(elsewhere.observation_ids(), ids);
    let proof = elsewhere.write("proof.json", proof).display().to_string();
    elsewhere.text(0, &["verify", &proof]);
    let run = elsewhere.json(0, &["prove", &examples(), "--json"]);
    assert_eq!(run["observations"]["recorded"], 0);
    works(&elsewhere);
    let kept = elsewhere.write("kept", checkpoint).display().to_string();
    let (_, proof) = elsewhere.proof();
    let proof = elsewhere.write("proof.json", proof).display().to_string();
    elsewhere.text(0, &["verify", &proof, "--checkpoint", &kept]);
}

#[test]
fn a_missing_file_is_named_and_never_made_anew_unseen() {
    let folder = proven();
    for (name, otherwise) in [
        ("keys/attest.pem", "`provex key rotate` begins with another key"),
        ("keys/log.pem", "`provex key rotate --log` begins a new log"),
        ("trusted_root.json", "whoever verifies has it too"),
    ] {
        let (path, kept) = (folder.data().join(name), folder.path("kept"));
        fs::rename(&path, &kept).unwrap();
        for args in [&["prove", &examples()] as &[&str], &["link"], &["status"], &["init"]] {
            fails(&folder, 3, args, &[name, "is missing: bring it back from a copy", otherwise]);
        }
        assert!(!path.exists(), "{name} was made anew");
        fs::rename(&kept, &path).unwrap();
    }
    let (path, kept) = (folder.path("data/keys/salt.key"), folder.path("kept"));
    fs::rename(&path, &kept).unwrap();
    fails(
        &folder,
        3,
        &["prove", &another(&folder, 1)],
        &["salt.key is missing", "`provex init` makes another"],
    );
    fs::rename(&kept, &path).unwrap();
    // Public keys are made again from the private ones.
    for name in ["keys/attest.pub", "signing_config.json"] {
        let path = folder.data().join(name);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        folder.text(0, &["init"]);
        folder.text(0, &["link"]);
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    works(&folder);
}

#[test]
fn keys_that_are_lost_for_good_are_replaced_and_old_proofs_still_verify() {
    let folder = proven();
    let (_, old) = folder.proof();
    let old = folder.write("old.json", old).display().to_string();
    fs::remove_file(folder.path("data/keys/attest.pem")).unwrap();
    folder.text(0, &["key", "rotate"]);
    works(&folder);
    folder.text(0, &["verify", &old]);
    fs::remove_file(folder.path("data/keys/log.pem")).unwrap();
    folder.text(0, &["key", "rotate", "--log"]);
    works(&folder);
    folder.text(0, &["verify", &old]);
    fs::remove_file(folder.path("data/keys/salt.key")).unwrap();
    folder.text(0, &["init"]);
    works(&folder);
}

#[test]
fn a_key_that_others_can_read_is_refused_until_they_cannot() {
    let folder = proven();
    for name in ["attest.pem", "log.pem", "salt.key"] {
        let path = folder.data().join("keys").join(name);
        for mode in [0o644, 0o640, 0o604] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let chmod = format!("`chmod 600 {}`", path.display());
            fails(&folder, 3, &["prove", &another(&folder, 1)], &["can be read by others", &chmod]);
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    works(&folder);
}

#[test]
fn a_file_that_is_no_key_is_named() {
    let folder = proven();
    for name in ["attest.pem", "log.pem", "salt.key", "attest.pub"] {
        let path = folder.data().join("keys").join(name);
        let bytes = fs::read(&path).unwrap();
        for damaged in [&bytes[..bytes.len() / 2], b"", b"\xff\xfe"] {
            fs::write(&path, damaged).unwrap();
            fails(&folder, 3, &["prove", &another(&folder, 1)], &[name]);
        }
        fs::write(&path, bytes).unwrap();
    }
    works(&folder);
}
