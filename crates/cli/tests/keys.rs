//! Keys that users bring, and rotation.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

mod common;

use std::process::Command;

use common::{Folder, all, copy, examples, repository, tamper};
use serde_json::json;

fn openssl(folder: &Folder, args: &[&str]) {
    let output = Command::new("openssl").args(args).current_dir(folder.root.path()).output().unwrap();
    assert!(output.status.success(), "{}", all(&output));
}

fn own_key(folder: &Folder) {
    openssl(
        folder,
        &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "own.pem"],
    );
    openssl(folder, &["pkey", "-in", "own.pem", "-pubout", "-out", "own.pub"]);
    owner_only(folder, "own.pem");
}

fn owner_only(folder: &Folder, name: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn text(folder: &Folder, name: &str) -> String {
    std::fs::read_to_string(folder.path(name)).unwrap()
}

/// Proves the examples and verifies one of the proofs under this public key alone.
fn proves_under(folder: &Folder, public: &str) {
    folder.text(0, &["prove", &examples()]);
    let (_, proof) = folder.proof();
    let proof = folder.write("proof.json", proof).display().to_string();
    let key = folder.path(public).display().to_string();
    folder.text(0, &["verify", &proof, "--key", &key]);
}

#[test]
fn an_existing_key_signs() {
    let folder = Folder::new();
    own_key(&folder);
    let key = folder.path("own.pem").display().to_string();
    folder.text(0, &["init", "--signing-key", &key]);
    assert_eq!(text(&folder, "data/keys/attest.pub"), text(&folder, "own.pub"));
    proves_under(&folder, "own.pub");
    folder.text(0, &["init", "--signing-key", &key]);
    // As `openssl pkcs12 -nodes` writes it.
    let pem = format!("Bag Attributes\n    friendlyName: own\n{}", text(&folder, "own.pem"));
    let bag = folder.write("bag.pem", pem).display().to_string();
    owner_only(&folder, "bag.pem");
    folder.text(0, &["init", "--signing-key", &bag]);
    let other = Folder::new();
    other.text(0, &["init"]);
    assert_eq!(other.provex(&["init", "--signing-key", &key]).status.code(), Some(2));
}

/// A password file, its owner's alone.
fn password(folder: &Folder, name: &str, text: &str) -> String {
    folder.write(name, text);
    owner_only(folder, name);
    folder.path(name).display().to_string()
}

#[test]
fn an_encrypted_key_signs_with_its_password_only() {
    let folder = Folder::new();
    own_key(&folder);
    openssl(
        &folder,
        &["pkcs8", "-topk8", "-in", "own.pem", "-out", "locked.pem", "-passout", "pass:open sesame"],
    );
    owner_only(&folder, "locked.pem");
    let key = folder.path("locked.pem").display().to_string();
    let init = |password: &str| folder.provex(&["init", "--signing-key", &key, "--password-file", password]);
    for number in 0..3 {
        let refused = init(&password(&folder, "wrong", &format!("guess {number}\n")));
        assert_eq!(refused.status.code(), Some(3));
        let said = all(&refused);
        assert!(
            said.contains("locked.pem: wrong password. With --password-file FILE the first line"),
            "{said}"
        );
    }
    assert!(!folder.path("data/keys/attest.pem").exists(), "something was half-written");
    let right = password(&folder, "right", "open sesame\n");
    std::fs::set_permissions(&right, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let open = init(&right);
    assert!(all(&open).contains("right can be read by others (mode 644): `chmod 600"), "{}", all(&open));
    owner_only(&folder, "right");
    assert!(init(&right).status.success());
    proves_under(&folder, "own.pub");
}

/// `openssl pkcs8 -topk8` of the own key with these options: its path.
fn encrypted(folder: &Folder, options: &[&str]) -> String {
    openssl(
        folder,
        &[&["pkcs8", "-topk8", "-in", "own.pem", "-out", "locked.pem", "-passout", "pass:sesame"], options]
            .concat(),
    );
    owner_only(folder, "locked.pem");
    folder.path("locked.pem").display().to_string()
}

#[test]
fn a_right_password_opens_every_encryption_that_is_read() {
    let folder = Folder::new();
    own_key(&folder);
    let (right, wrong) = (password(&folder, "right", "sesame\n"), password(&folder, "wrong", "guess\n"));
    let ciphers = ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc"];
    // HMAC-SHA1 is what PBKDF2 uses where a file names none (RFC 8018, A.2).
    let functions = ["hmacWithSHA1", "hmacWithSHA224", "hmacWithSHA256", "hmacWithSHA384", "hmacWithSHA512"];
    let mut ways: Vec<_> = functions.map(|prf| vec!["-v2", "aes-256-cbc", "-v2prf", prf]).into();
    ways.extend(ciphers.map(|cipher| vec!["-v2", cipher, "-v2prf", "hmacWithSHA1"]));
    ways.extend([vec![], vec!["-scrypt"]]);
    for way in ways {
        let key = encrypted(&folder, &way);
        let init =
            |password: &str| folder.provex(&["init", "--signing-key", &key, "--password-file", password]);
        let refused = init(&wrong);
        assert_eq!(refused.status.code(), Some(3), "{way:?}: {}", all(&refused));
        assert!(all(&refused).contains("wrong password"), "{way:?}: {}", all(&refused));
        let taken = init(&right);
        assert!(taken.status.success(), "{way:?}: {}", all(&taken));
        assert_eq!(text(&folder, "data/keys/attest.pub"), text(&folder, "own.pub"));
        std::fs::remove_dir_all(folder.data()).unwrap();
    }
    // Whatever the password, these are not read; the last says that AES-256 has a key of 16 bytes.
    let unread = |key: &str| {
        let refused = folder.provex(&["init", "--signing-key", key, "--password-file", &right]);
        assert_eq!(refused.status.code(), Some(2), "{}", all(&refused));
        assert!(all(&refused).contains("is encrypted in a way that is not read"), "{}", all(&refused));
    };
    for way in [["-v2", "des3"].as_slice(), &["-v2", "aria-256-cbc"], &["-v2prf", "hmacWithSHA512-256"]] {
        unread(&encrypted(&folder, way));
    }
    let contradiction = "-----BEGIN ENCRYPTED PRIVATE KEY-----
MHIwXgYJKoZIhvcNAQUNMFEwMAYJKoZIhvcNAQUMMCMEDXNhbHQgYW5kIHNhbHQC
AQECARAwDAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEAAAAAAAAAAAAAAAAAAA
AAAEEAAAAAAAAAAAAAAAAAAAAAA=
-----END ENCRYPTED PRIVATE KEY-----
";
    let key = folder.write("contradiction.pem", contradiction).display().to_string();
    owner_only(&folder, "contradiction.pem");
    unread(&key);
}

#[test]
fn a_cosign_key_signs_with_its_password_only() {
    let folder = Folder::new();
    let key = folder.write("cosign.key", std::fs::read(repository("testdata/keys/cosign.key")).unwrap());
    folder.write("cosign.pub", std::fs::read(repository("testdata/keys/cosign.pub")).unwrap());
    let key = key.display().to_string();
    let (right, wrong) =
        (password(&folder, "right", "correct horse"), password(&folder, "wrong", "battery staple"));
    let open = folder.provex(&["init", "--signing-key", &key, "--password-file", &right]);
    assert!(all(&open).contains("chmod 600"), "{}", all(&open));
    owner_only(&folder, "cosign.key");
    let refused = folder.provex(&["init", "--signing-key", &key, "--password-file", &wrong]);
    assert!(all(&refused).contains("wrong password"), "{}", all(&refused));
    folder.text(0, &["init", "--signing-key", &key, "--password-file", &right]);
    proves_under(&folder, "cosign.pub");
}

/// The command between backquotes in what was said, with another file's name for the new key.
fn advised(said: &str) -> Vec<String> {
    let command = said.split('`').nth(1).unwrap();
    assert!(command.starts_with("openssl "), "{said}");
    command.split_whitespace().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_key_that_cannot_sign_statements_is_told_what_it_is_and_what_helps() {
    let folder = Folder::new();
    own_key(&folder);
    let genpkey = |kind: &[&str], name: &str| {
        openssl(&folder, &[&["genpkey"], kind, &["-out", name]].concat());
    };
    genpkey(&["-algorithm", "ed25519"], "ed25519.pem");
    genpkey(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], "p384.pem");
    genpkey(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "rsa.pem");
    openssl(&folder, &["rsa", "-in", "rsa.pem", "-traditional", "-out", "rsa1.pem"]);
    folder.write("none.pem", "nonsense");
    folder.write("public.pem", text(&folder, "own.pub"));
    for (name, says) in [
        ("ed25519.pem", "holds an Ed25519 key; statements are signed with ECDSA P-256 only"),
        ("p384.pem", "holds a P-384 key; statements are signed with ECDSA P-256 only"),
        ("rsa.pem", "holds an RSA key; statements are signed with ECDSA P-256 only"),
        ("rsa1.pem", "is an RSA key; statements are signed with ECDSA P-256 only"),
        ("none.pem", "is no private key"),
        ("public.pem", "is a public key"),
    ] {
        owner_only(&folder, name);
        let key = folder.path(name).display().to_string();
        let refused = folder.provex(&["init", "--signing-key", &key]);
        assert_eq!(refused.status.code(), Some(2), "{name}: {}", all(&refused));
        assert!(all(&refused).contains(&format!("{key} {says}")), "{name}: {}", all(&refused));
    }
    // What is advised for the others makes a key that is taken.
    openssl(&folder, &["ec", "-in", "own.pem", "-out", "sec1.pem"]);
    openssl(
        &folder,
        &[
            "pkcs8",
            "-topk8",
            "-v1",
            "PBE-SHA1-3DES",
            "-in",
            "own.pem",
            "-out",
            "pbes1.pem",
            "-passout",
            "pass:x",
        ],
    );
    let password = password(&folder, "password", "x\n");
    for (name, says, with) in [
        ("sec1.pem", "is an EC key in SEC1 form", &[] as &[&str]),
        ("pbes1.pem", "is encrypted in a way that is not read", &["-passin", "pass:x", "-passout", "pass:x"]),
    ] {
        owner_only(&folder, name);
        let key = folder.path(name).display().to_string();
        let refused = folder.provex(&["init", "--signing-key", &key, "--password-file", &password]);
        assert_eq!(refused.status.code(), Some(2), "{name}: {}", all(&refused));
        assert!(all(&refused).contains(says), "{name}: {}", all(&refused));
        let command = advised(&all(&refused));
        openssl(&folder, &[&command.iter().map(String::as_str).collect::<Vec<_>>()[..], with].concat());
        owner_only(&folder, "NEW.pem");
        let new = folder.path("NEW.pem").display().to_string();
        folder.text(0, &["init", "--signing-key", &new, "--password-file", &password]);
        assert_eq!(text(&folder, "data/keys/attest.pub"), text(&folder, "own.pub"));
    }
}

#[test]
fn a_key_that_signs_or_signed_here_is_no_other_key() {
    let folder = Folder::new();
    own_key(&folder);
    let key = folder.path("own.pem").display().to_string();
    folder.text(0, &["init", "--signing-key", &key]);
    for says in ["signs here already", "was retired here"] {
        let before = folder.text(0, &["key", "show"]);
        let refused = folder.provex(&["key", "rotate", "--signing-key", &key]);
        assert_eq!(refused.status.code(), Some(2), "{}", all(&refused));
        assert!(all(&refused).contains(says), "{}", all(&refused));
        assert_eq!(folder.text(0, &["key", "show"]), before);
        folder.text(0, &["key", "rotate"]);
    }
    // A key that lies there twice is listed once.
    std::fs::copy(folder.path("data/keys/attest.pub"), folder.path("data/keys/attest-copy.pub")).unwrap();
    let keys = folder.json(0, &["key", "show", "--json"]);
    assert_eq!(keys["keys"].as_array().unwrap().len(), 3);
}

#[test]
fn a_retired_key_keeps_verifying_and_signs_no_more() {
    let folder = Folder::new();
    folder.text(0, &["prove", &examples()]);
    let (_, old) = folder.proof();
    let old = folder.write("old.json", old).display().to_string();
    folder.text(0, &["key", "rotate"]);
    let keys = folder.json(0, &["key", "show", "--json"]);
    let states: Vec<_> =
        keys["keys"].as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect();
    assert_eq!(states.len(), 2);
    assert!(states.contains(&"active") && states.contains(&"retired"));
    folder.text(0, &["verify", &old]);
    let more = repository("testdata/vex/openvex/vexctl_demo.vex.json").display().to_string();
    folder.text(0, &["prove", &more]);
    let id = folder.observation_ids().pop().unwrap();
    let new = folder.path("new.json").display().to_string();
    folder.text(0, &["export", "--proof", &id, "-o", &new]);
    let active = folder.path("data/keys/attest.pub").display().to_string();
    folder.text(0, &["verify", &new, "--key", &active]);
    folder.text(1, &["verify", &old, "--key", &active]);
    // The example that `prove` gives is signed by the retired key, and names it.
    let printed = folder.text(0, &["prove", &more]);
    assert!(printed.contains("keys/attest-"), "{printed}");
}

#[test]
fn an_interrupted_rotation_is_finished_by_the_next_command() {
    let folder = Folder::new();
    own_key(&folder);
    folder.text(0, &["prove", &examples()]);
    let (_, old) = folder.proof();
    let old = folder.write("old.json", old).display().to_string();
    let key = folder.path("own.pem").display().to_string();
    let more = repository("testdata/vex/openvex/vexctl_demo.vex.json").display().to_string();
    let before = folder.path("before");
    copy(&folder.data(), &before);
    folder.text(0, &["key", "rotate", "--signing-key", &key]);
    let retired = std::fs::read_dir(folder.path("data/keys")).unwrap().map(|file| file.unwrap().file_name());
    let retired: Vec<_> = retired.filter(|name| name.to_str().unwrap().starts_with("attest-")).collect();
    assert_eq!(retired.len(), 1);
    let after = folder.path("after");
    copy(&folder.data(), &after);
    // Killed after each of its writes: the next key alone, the old public key kept, the new private one, the public one.
    let retired = format!("keys/{}", retired[0].to_str().unwrap());
    let written = ["", &retired, "keys/attest.pem", "keys/attest.pub"];
    for killed in 1..=written.len() {
        for again in
            [&["prove", &more] as &[&str], &["key", "rotate", "--signing-key", &key], &["key", "rotate"]]
        {
            std::fs::remove_dir_all(folder.data()).unwrap();
            copy(&before, &folder.data());
            std::fs::copy(folder.path("own.pem"), folder.path("data/keys/attest.next.pem")).unwrap();
            for name in &written[1..killed] {
                std::fs::copy(after.join(name), folder.data().join(name)).unwrap();
            }
            folder.text(0, again);
            assert_eq!(text(&folder, "data/keys/attest.pub"), text(&folder, "own.pub"), "{killed} {again:?}");
            assert!(!folder.path("data/keys/attest.next.pem").exists());
            folder.text(0, &["verify", &old]);
        }
    }
}

#[test]
fn a_rotation_that_goes_on_elsewhere_is_left_to_it_by_whoever_only_looks() {
    let folder = Folder::new();
    own_key(&folder);
    folder.text(0, &["prove", &examples()]);
    let old = folder.json(0, &["status", "--json"])["keyFingerprint"].clone();
    std::fs::copy(folder.path("own.pem"), folder.path("data/keys/attest.next.pem")).unwrap();
    // The private key is in its place already, the public one is not.
    std::fs::copy(folder.path("own.pem"), folder.path("data/keys/attest.pem")).unwrap();
    let lock = std::fs::File::options().append(true).open(folder.path("data/.work.lock")).unwrap();
    lock.lock().unwrap();
    let keys = files(&folder.path("data/keys"));
    assert_eq!(folder.json(0, &["status", "--json"])["keyFingerprint"], old);
    let shown = folder.json(0, &["key", "show", "--json"]);
    assert_eq!(shown["keys"].as_array().unwrap().len(), 1, "{shown}");
    assert_eq!(shown["keys"][0]["state"], "active");
    assert_eq!(files(&folder.path("data/keys")), keys, "whoever does not have the folder changed keys");
    // It was killed: whoever comes next finishes it, if only to look.
    drop(lock);
    assert_ne!(folder.json(0, &["status", "--json"])["keyFingerprint"], old);
    assert_eq!(text(&folder, "data/keys/attest.pub"), text(&folder, "own.pub"));
}

#[test]
fn a_private_key_that_never_got_its_name_is_removed_by_the_next_command_that_has_the_folder() {
    let folder = Folder::new();
    folder.text(0, &["prove", &examples()]);
    let keys = files(&folder.path("data/keys"));
    let more = repository("testdata/vex/openvex/vexctl_demo.vex.json").display().to_string();
    for args in [&["prove", &more] as &[&str], &["link"], &["init"], &["status"]] {
        for name in ["attest.next.pem.new", "log.next.pem.new", "attest.pem.new", "salt.key.new"] {
            folder.write(&format!("data/keys/{name}"), "a private key, or a part of one");
        }
        folder.text(0, args);
        assert_eq!(files(&folder.path("data/keys")), keys, "{args:?}");
    }
}

#[test]
fn a_rotation_of_the_log_that_is_killed_anywhere_goes_on_when_it_is_run_again() {
    let folder = Folder::new();
    folder.text(0, &["prove", &examples()]);
    let (_, old) = folder.proof();
    let old = folder.write("old.json", old).display().to_string();
    let before = folder.path("before");
    copy(&folder.data(), &before);
    let more = repository("testdata/vex/openvex/vexctl_demo.vex.json").display().to_string();
    let calls = "rename,renameat,renameat2,unlink,unlinkat";
    for killed in 1.. {
        let rotated = Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")])
            .args(["-e", &format!("inject={calls}:signal=KILL:when={killed}")])
            .args([env!("CARGO_BIN_EXE_provex"), "--data"])
            .arg(folder.data())
            .args(["key", "rotate", "--log"])
            .output()
            .unwrap();
        if rotated.status.success() {
            assert!(killed > 6, "it was killed {} times only", killed - 1);
            return;
        }
        // Whoever works meanwhile refuses, or had nothing begun before him; a private key without its name goes away.
        let link = folder.provex(&["link"]);
        let refused = all(&link).contains("`provex key rotate --log` again");
        assert!(link.status.success() || refused, "{killed}: {}", all(&link));
        let unnamed = || {
            let keys = files(&folder.path("data/keys"));
            keys.into_iter().find(|(name, _)| name.ends_with(".pem.new"))
        };
        assert!(refused || unnamed().is_none(), "{killed}: a private key was left");
        folder.text(0, &["key", "rotate", "--log"]);
        assert_eq!(unnamed(), None, "{killed}");
        folder.text(0, &["prove", &more]);
        folder.text(0, &["verify", &old]);
        let id = folder.observation_ids().pop().unwrap();
        let new = folder.path("new.json").display().to_string();
        folder.text(0, &["export", "--proof", &id, "-o", &new]);
        folder.text(0, &["verify", &new]);
        let root =
            serde_json::from_str::<serde_json::Value>(&text(&folder, "data/trusted_root.json")).unwrap();
        let logs = root["tlogs"].as_array().unwrap().len();
        // Killed when all was in place, the second is a rotation of its own.
        assert!(logs == 2 || (logs == 3 && killed > 6), "{killed}: {logs} logs");
        std::fs::remove_dir_all(folder.data()).unwrap();
        copy(&before, &folder.data());
    }
}

#[test]
fn a_key_of_another_folder_is_not_taken_for_a_rotation() {
    let (folder, other) = (Folder::new(), Folder::new());
    folder.text(0, &["prove", &examples()]);
    other.text(0, &["init"]);
    let keys = files(&folder.path("data/keys"));
    let take = |name: &str| {
        std::fs::copy(other.path("data/keys").join(name), folder.path("data/keys").join(name)).unwrap();
    };
    take("attest.pem");
    let more = repository("testdata/vex/openvex/vexctl_demo.vex.json").display().to_string();
    for args in [&["prove", &more] as &[&str], &["status"], &["key", "rotate"]] {
        let refused = folder.provex(args);
        assert_eq!(refused.status.code(), Some(3), "{}", all(&refused));
        assert!(all(&refused).contains("attest.pem is not the key of"), "{}", all(&refused));
    }
    // Both of its files: what is recorded was signed by a key that is not here.
    take("attest.pub");
    for args in [&["link"] as &[&str], &["status"]] {
        let warned = folder.provex(args);
        assert!(all(&warned).contains("which signed what is in the database"), "{}", all(&warned));
    }
    for (name, bytes) in &keys {
        std::fs::write(folder.path("data/keys").join(name), bytes).unwrap();
    }
    take("salt.key");
    let refused = folder.provex(&["prove", &more]);
    assert!(all(&refused).contains("salt.key is not the key of"), "{}", all(&refused));
    for (name, bytes) in &keys {
        std::fs::write(folder.path("data/keys").join(name), bytes).unwrap();
    }
    folder.text(0, &["prove", &more]);
}

/// The files of a folder with their bytes.
fn files(folder: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let names =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<_> =
        names.map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap())).collect();
    files.sort();
    files
}

/// Statements that wait for the log.
fn signed_and_sent_nowhere(folder: &Folder) {
    folder.text(0, &["init"]);
    let config = folder.data().join("provex.toml");
    std::fs::write(&config, "tenants = { default = { log = \"none\" } }").unwrap();
    folder.text(0, &["prove", &examples()]);
    std::fs::write(&config, "").unwrap();
}

#[test]
fn what_an_ended_log_holds_already_is_not_logged_again() {
    let folder = Folder::new();
    signed_and_sent_nowhere(&folder);
    // The log takes the statements, and the database forgets that it did.
    let database = folder.data().join("provex.db");
    let signed = std::fs::read(&database).unwrap();
    assert_eq!(folder.json(0, &["link", "--json"])["linkages"]["linked"], 7);
    assert!(!folder.data().join("provex.db-wal").exists(), "the database is more than its file");
    std::fs::write(&database, signed).unwrap();
    let ended = text(&folder, "data/log/checkpoint");

    folder.text(0, &["key", "rotate", "--log", "--origin", "second.example"]);
    let status = folder.json(0, &["status", "--json"]);
    assert_eq!((&status["observations"]["linked"], &status["log"]["treeSize"]), (&json!(7), &json!(0)));
    let moved = format!("data/ended-logs/{}/checkpoint", ended.lines().next().unwrap());
    let size = |note: &str| note.lines().nth(1).unwrap().parse::<u64>().unwrap();
    // The statements are found where they are; the anchor is of another ledger, whose events have other times.
    assert_eq!(size(&text(&folder, &moved)), size(&ended) + 1);
}

#[test]
fn a_checkpoint_kept_of_an_ended_log_is_held_against_its_own_folder() {
    let folder = Folder::new();
    folder.text(0, &["prove", &examples()]);
    let kept = folder.write("kept", text(&folder, "data/log/checkpoint")).display().to_string();
    let more = repository("testdata/vex/openvex/vexctl_demo.vex.json").display().to_string();
    folder.text(0, &["prove", &more]);
    let id = folder.observation_ids().pop().unwrap();
    let proof = folder.path("proof.json").display().to_string();
    folder.text(0, &["export", "--proof", &id, "-o", &proof]);
    folder.text(0, &["key", "rotate", "--log"]);
    let verified = folder.text(0, &["verify", &proof, "--checkpoint", &kept]);
    assert!(verified.contains("append-only  since the kept checkpoint of size 4"), "{verified}");
}

#[test]
fn a_log_is_ended_though_what_waits_for_it_cannot_be_linked() {
    let folder = Folder::new();
    signed_and_sent_nowhere(&folder);
    tamper(&folder, "vex_observations", "UPDATE vex_observations SET body = CAST(body || ' ' AS BLOB)");
    let rotated = folder.provex(&["key", "rotate", "--log", "--origin", "second.example"]);
    assert_eq!(rotated.status.code(), Some(0), "{}", all(&rotated));
    let said = all(&rotated);
    assert!(
        said.contains("its bytes were changed") && said.contains("what waits goes to the new log"),
        "{said}"
    );
    assert!(text(&folder, "data/log/checkpoint").starts_with("second.example\n0\n"));
}

#[test]
fn a_rotated_log_is_another_log_and_old_entries_keep_verifying() {
    let folder = Folder::new();
    folder.text(0, &["prove", &examples()]);
    let (_, old) = folder.proof();
    let old = folder.write("old.json", old).display().to_string();
    let before = text(&folder, "data/log/checkpoint");
    folder.text(0, &["key", "rotate", "--log", "--origin", "second.example"]);
    assert!(text(&folder, "data/log/checkpoint").starts_with("second.example\n0\n"));
    let moved = format!("data/ended-logs/{}/checkpoint", before.lines().next().unwrap());
    assert_eq!(text(&folder, &moved), before);
    let more = repository("testdata/vex/openvex/vexctl_demo.vex.json").display().to_string();
    let run = folder.json(0, &["prove", &more, "--json"]);
    assert_eq!(run["linkages"]["linked"], run["observations"]["recorded"]);
    folder.text(0, &["verify", &old]);
    let root: serde_json::Value = serde_json::from_str(&text(&folder, "data/trusted_root.json")).unwrap();
    let windows: Vec<_> = root["tlogs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|log| log["publicKey"]["validFor"]["end"].is_string())
        .collect();
    assert_eq!(windows, [true, false]);
    let config: serde_json::Value = serde_json::from_str(&text(&folder, "data/signing_config.json")).unwrap();
    assert_eq!(config["rekorTlogUrls"][0]["url"], "https://second.example");
    assert_eq!(
        folder.provex(&["key", "rotate", "--log", "--origin", "second.example"]).status.code(),
        Some(2)
    );
}

#[test]
fn a_kept_checkpoint_shows_that_the_log_only_grew() {
    let folder = Folder::new();
    folder.text(0, &["prove", &examples()]);
    let note = folder.text(0, &["log", "checkpoint"]);
    let kept = folder.write("kept", &note).display().to_string();
    let more = repository("testdata/vex/openvex").display().to_string();
    folder.text(0, &["prove", &more]);
    let rows = folder.lines(&["observations", "--ndjson"]);
    let id = rows.last().unwrap()["observationId"].as_str().unwrap().to_owned();
    let proof = folder.path("new.json").display().to_string();
    folder.text(0, &["export", "--proof", &id, "-o", &proof]);
    let text = folder.text(0, &["verify", &proof, "--checkpoint", &kept]);
    assert!(text.contains("since the kept checkpoint of size 4"), "{text}");
    // Without the tiles it cannot be checked; with another log's checkpoint it is not true.
    let empty = folder.path("empty").display().to_string();
    assert_eq!(
        folder.provex(&["verify", &proof, "--checkpoint", &kept, "--log", &empty]).status.code(),
        Some(3)
    );
    let other = Folder::new();
    other.text(0, &["init"]);
    let foreign = other.path("data/log/checkpoint").display().to_string();
    folder.text(1, &["verify", &proof, "--checkpoint", &foreign]);
}

#[test]
fn a_log_that_cannot_have_a_name_leaves_the_old_one_as_it_is() {
    let folder = Folder::new();
    folder.text(0, &["init", "--origin", "log.example.com"]);
    folder.text(2, &["key", "rotate", "--log", "--origin", "log.example.com"]);
    assert!(!folder.data().join("keys/log.next.pem").exists());
    folder.text(0, &["prove", &examples()]);
    assert!(folder.text(0, &["log", "checkpoint"]).starts_with("log.example.com\n"));
}
