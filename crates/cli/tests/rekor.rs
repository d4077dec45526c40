//! The real binary against a real Rekor v2 and a real timestamp authority: what is linked, what other Sigstore clients
//! say of it, and what outages and kills leave behind.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails
#![allow(clippy::disallowed_methods)] // servers and processes are waited for in real time

mod common;
#[path = "../../tlog/tests/servers/mod.rs"]
mod servers;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Folder, all, examples};
use provex_core::keys::{LocalSigner, Signer as _};
use provex_core::time::Timestamp;
use provex_core::trusted_root::{Service, ServiceWindow, SigningConfig, TrustedLog, TrustedRoot};
use provex_store_postgres::migrate::Layout;
use provex_store_postgres::testing::TestDatabase;
use serde_json::{Value, json};
use servers::Rekor;
use servers::wire::{path_of, serve_requests};
use sqlx::PgConnection;

/// A log that remembers over restarts what it has.
const REMEMBERS: [&str; 1] = ["--persistent-antispam=true"];

/// The real authority's URL, and the root that knows it.
fn authority() -> (Service, TrustedRoot) {
    let variable = |name| std::env::var(name).unwrap();
    let service = Service {
        url: variable("PROVEX_TEST_TSA_URL"),
        major_api_version: 1,
        valid_for: ServiceWindow { start: Some("2020-01-01T00:00:00Z".to_owned()), end: None },
        operator: "local".to_owned(),
    };
    let mut root = TrustedRoot::parse(&std::fs::read(variable("PROVEX_TEST_TRUSTED_ROOT")).unwrap()).unwrap();
    root.logs.clear();
    (service, root)
}

/// A data folder, and a signing config and trusted root beside it.
struct Site {
    folder: Folder,
    log: Vec<String>,
}

impl Site {
    /// Writes to this log, which is reached at `url`.
    fn new(identity: &TrustedLog, url: &str, timestamps: bool) -> Self {
        Self::of(Folder::new(), identity, url, timestamps)
    }

    fn of(folder: Folder, identity: &TrustedLog, url: &str, timestamps: bool) -> Self {
        let mut config = SigningConfig::embedded(identity);
        config.rekor_tlog_urls[0].url = url.to_owned();
        let mut root = TrustedRoot::new(vec![identity.clone()]);
        if timestamps {
            let (service, trusted) = authority();
            config.tsa_urls.push(service);
            root.add(trusted);
        }
        let config = folder.write("signing_config.json", config.to_json()).display().to_string();
        let root = folder.write("trusted_root.json", root.to_json()).display().to_string();
        let log = ["--signing-config".to_owned(), config, "--trusted-root".to_owned(), root].to_vec();
        Self { folder, log }
    }

    fn to(rekor: &Rekor, timestamps: bool) -> Self {
        Self::in_folder(Folder::new(), rekor, timestamps)
    }

    fn in_folder(folder: Folder, rekor: &Rekor, timestamps: bool) -> Self {
        Self::of(folder, &rekor.identity, &rekor.url(), timestamps).reading(rekor)
    }

    /// Reads checkpoint and tiles where this log has them.
    fn reading(mut self, rekor: &Rekor) -> Self {
        self.log.extend(["--log-read-url".to_owned(), rekor.read_url.clone()]);
        self
    }

    fn args<'a>(&'a self, command: &[&'a str]) -> Vec<&'a str> {
        command.iter().copied().chain(self.log.iter().map(String::as_str)).collect()
    }

    fn start(&self, command: &[&str]) -> Child {
        let mut child = self.folder.command(&self.args(command));
        child.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn counts(&self) -> (u64, u64) {
        let status = self.folder.provex(&self.args(&["status", "--json"]));
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        let count = |name: &str| status["observations"][name].as_u64().unwrap();
        assert_eq!(count("failed"), 0, "{status}");
        (count("linked"), count("pending"))
    }

    fn root(&self) -> PathBuf {
        self.folder.path("trusted_root.json")
    }

    fn key(&self) -> PathBuf {
        self.folder.path("data/keys/attest.pub")
    }

    /// The envelopes' leaves, as the linkages name them.
    fn linked_leaves(&self) -> BTreeSet<String> {
        let rows = self.folder.lines(&["observations", "--ndjson"]);
        rows.iter().filter_map(|row| row["linkage"]["rekorUuid"].as_str().map(str::to_owned)).collect()
    }
}

/// A PostgreSQL database, and a runtime to use it with.
struct Server {
    runtime: tokio::runtime::Runtime,
    database: TestDatabase,
}

impl Server {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let database = runtime.block_on(TestDatabase::migrated(Layout::Hash16));
        Self { runtime, database }
    }

    fn folder(&self) -> Folder {
        Folder::on(&self.database.url())
    }

    fn execute(&self, sql: &str) {
        self.runtime.block_on(self.database.execute(sql));
    }
}

/// Runs a test on a folder with a database of its own, and on one with a PostgreSQL.
fn on_both_stores(test: impl Fn(Folder, Option<&Server>)) {
    test(Folder::new(), None);
    let server = Server::new();
    test(server.folder(), Some(&server));
}

/// Documents with one observation each.
fn documents(folder: &Folder, count: usize) -> String {
    for number in 0..count {
        let document = json!({
            "@context": "https://openvex.dev/ns/v0.2.0",
            "@id": format!("https://example.org/vex/{number}"),
            "author": "Example",
            "timestamp": "2026-01-01T00:00:00Z",
            "version": 1,
            "statements": [{
                "vulnerability": {"name": format!("CVE-2026-{:04}", 1_000 + number)},
                "products": [{"@id": "pkg:generic/app@1.0"}],
                "status": "fixed",
            }],
        });
        folder.write(&format!("documents/{number}.json"), document.to_string());
    }
    folder.path("documents").display().to_string()
}

/// That the log has each linked leaf and each of the ledger's anchors once, and no other.
fn check_leaves(rekor: &Rekor, site: &Site) {
    assert_eq!(rekor.leaves().len(), leaves(rekor).len(), "an entry was logged twice");
    check_leaves_beside(rekor, site, &BTreeSet::new());
}

/// That the log has the linked leaves, the ledger's anchors and those of others, and no more.
fn check_leaves_beside(rekor: &Rekor, site: &Site, others: &BTreeSet<String>) {
    let (all, linked) = (leaves(rekor), site.linked_leaves());
    assert!(linked.is_subset(&all) && others.is_subset(&all) && linked.is_disjoint(others));
    let audit = site.folder.json(0, &["ledger", "audit", "--json"]);
    assert_eq!(audit["anchored"], all.len() - linked.len() - others.len(), "{audit}");
}

fn leaves(rekor: &Rekor) -> BTreeSet<String> {
    rekor.leaves().iter().map(|leaf| leaf.to_hex()).collect()
}

#[test]
fn the_servers_have_their_urls_again_when_they_are_started_again() {
    if servers::tools().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let servers = |verb: &str| {
        let mut command = Command::new(common::repository("scripts/servers"));
        let output = command.arg(verb).arg(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", all(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let first = servers("up");
    servers("down");
    let again = servers("up");
    servers("down");
    assert_eq!(first, again);
    assert!(first.contains("PROVEX_TEST_TSA_URL=http://127.0.0.1:"), "{first}");
}

#[test]
fn a_real_log_and_authority_link_everything() {
    on_both_stores(|folder, _| link_everything(folder));
}

fn link_everything(folder: Folder) {
    let Some(rekor) = Rekor::start(&[]) else { return };
    let site = Site::in_folder(folder, &rekor, true);
    let report = site.folder.json(0, &site.args(&["prove", "--json", &examples()]));
    assert_eq!(report["linkages"], json!({"linked": 7, "pending": 0, "failed": 0}));
    check_leaves(&rekor, &site);
    let (_, proof) = site.folder.proof();
    let proof = site.folder.write("proof.json", proof).display().to_string();
    let (root, key) = (site.root().display().to_string(), site.key().display().to_string());
    let verified = site.folder.json(0, &["verify", "--json", &proof, "--trusted-root", &root, "--key", &key]);
    assert_eq!(verified["trustedTimeAuthority"], "local TSA");
    assert!(verified["trustedTime"].as_str().unwrap().ends_with('Z'));
    let again = site.folder.json(0, &site.args(&["prove", "--json", &examples()]));
    assert_eq!(again["linkages"], json!({"linked": 0, "pending": 0, "failed": 0}));
    check_leaves(&rekor, &site);
}

#[test]
fn a_preview_prints_what_is_sent_and_sends_nothing() {
    let Some(rekor) = Rekor::start(&[]) else { return };
    let site = Site::to(&rekor, false);
    site.folder.text(0, &["init"]);
    let preview = site.folder.text(0, &site.args(&["prove", "--preview", "--json", &examples()]));
    let preview: Vec<Value> = preview.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rekor.leaves(), []);
    assert_eq!(site.folder.lines(&["observations", "--ndjson"]), [] as [Value; 0]);
    assert!(site.folder.text(0, &site.args(&["prove", "--preview", &examples()])).contains("becomes public"));
    site.folder.text(0, &site.args(&["prove", &examples()]));
    let shown: BTreeSet<_> =
        preview.iter().map(|sent| sent["leafHash"].as_str().unwrap().to_owned()).collect();
    assert_eq!((shown, preview.len()), (site.linked_leaves(), 3));
    check_leaves(&rekor, &site);
    let again = site.folder.text(0, &site.args(&["prove", "--preview", "--json", &examples()]));
    assert_eq!(again, "", "nothing is left to send");
}

/// Answers every submission as a log that refuses it.
fn refusing() -> String {
    let refusal = br#"{"code":3,"message":"invalid hashedrekord request","details":[]}"#;
    servers::wire::serve(move |_, stream| servers::wire::respond(stream, "400 Bad Request", "", refusal))
}

#[test]
fn what_a_log_refuses_is_listed_explained_retried_and_dropped_by_command() {
    let Some(rekor) = Rekor::start(&[]) else { return };
    let refused = Site::new(&rekor.identity, &refusing(), false);
    let report = refused.folder.json(1, &refused.args(&["prove", "--json", &examples()]));
    assert_eq!(report["linkages"], json!({"linked": 0, "pending": 0, "failed": 7}));
    let dead = refused.folder.lines(&["pending", "--failed", "--ndjson"]);
    assert_eq!(dead.len(), 3);
    let why = dead[0]["why"].as_str().unwrap();
    assert_eq!(why, "given up: the log refuses the entry: invalid hashedrekord request");
    assert!(refused.folder.text(0, &["pending", "--failed"]).contains("invalid hashedrekord request"));
    assert_eq!(refused.folder.lines(&["pending", "--ndjson"]).len(), 7);
    let told = refused.folder.text(1, &refused.args(&["link"]));
    assert!(
        told.contains("`provex pending --failed` says why, and `provex link --retry all` sends it"),
        "{told}"
    );
    // The same folder, and the log itself.
    let site = Site::of(refused.folder, &rekor.identity, &rekor.url(), false).reading(&rekor);
    let (first, last) =
        (dead[0]["submissionId"].as_str().unwrap(), dead[2]["submissionId"].as_str().unwrap());
    site.folder.json(1, &site.args(&["link", "--json", "--retry", first]));
    assert_eq!(site.linked_leaves().len(), 1);
    site.folder.json(1, &site.args(&["link", "--json", "--drop", last]));
    let report = site.folder.json(0, &site.args(&["link", "--json", "--retry", "all"]));
    assert_eq!(report["linkages"]["failed"], 0);
    assert_eq!(site.linked_leaves().len(), 2);
    assert_eq!(site.folder.text(0, &["pending", "--queue"]), "none\n");
    assert!(
        site.folder.text(2, &site.args(&["link", "--retry", last])).is_empty(),
        "it is not there any more"
    );
    // What was dropped by mistake has a way back.
    let status = site.folder.text(0, &site.args(&["status"]));
    assert!(status.contains("what is pending was dropped from the queue; provex link"), "{status}");
    let report = site.folder.json(0, &site.args(&["link", "--json", "--requeue"]));
    assert_eq!((report["linkages"]["pending"].as_u64(), site.linked_leaves().len()), (Some(0), 3));
    check_leaves(&rekor, &site);
}

#[test]
fn what_cannot_be_a_log_or_an_authority_leaves_everything_pending_and_says_why() {
    let Some(rekor) = Rekor::start(&[]) else { return };
    let no_log = why_nothing_is_linked(&Site::new(&rekor.identity, &rubbish(), false));
    assert!(no_log.contains("as no Rekor v2 log does"), "{no_log}");
    let stranger = LocalSigner::ed25519_from_random(&[9; 32]).public_key().clone();
    let mut other = TrustedLog::embedded("127.0.0.1", stranger, rekor.identity.valid_from);
    other.base_url = rekor.url();
    let another_key = why_nothing_is_linked(&Site::new(&other, &rekor.url(), false));
    assert!(another_key.contains("the log's answer does not hold: it is of the log"), "{another_key}");
    let others = leaves(&rekor);
    // The authority answers rubbish: the log has the entries, and nothing is linked without the time.
    let site = Site::to(&rekor, true);
    let config = site.folder.path("signing_config.json");
    let text = std::fs::read_to_string(&config).unwrap().replace(&authority().0.url, &rubbish());
    std::fs::write(&config, text).unwrap();
    let no_token = why_nothing_is_linked(&site);
    assert!(no_token.contains("what the timestamp authority"), "{no_token}");
    assert!(no_token.contains("answers does not hold"), "{no_token}");
    let site = Site::of(site.folder, &rekor.identity, &rekor.url(), true).reading(&rekor);
    site.folder.text(0, &site.args(&["link"]));
    assert_eq!(site.counts(), (7, 0));
    // Nothing was sent again.
    check_leaves_beside(&rekor, &site, &others);
}

#[test]
fn a_root_that_could_not_be_logged_is_no_success() {
    let Some(rekor) = Rekor::start(&[]) else { return };
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (read_url, why) in [(format!("http://{nobody}"), "Connection refused"), (rubbish(), "does not hold")]
    {
        // What a log answers to its first entries is linked without a tile; the next one needs some.
        let mut site = Site::new(&rekor.identity, &rekor.url(), false);
        site.log.extend(["--log-read-url".to_owned(), read_url]);
        let output = site.folder.provex(&site.args(&["prove", "--json", &examples()]));
        assert_eq!(output.status.code(), Some(3), "{}", all(&output));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["linkages"], json!({"linked": 7, "pending": 0, "failed": 0}));
        let said = all(&output);
        assert!(said.contains("the ledger's root is not anchored yet") && said.contains(why), "{said}");
        assert!(!said.contains("is waited for"), "it never worked: {said}");
        let rows = rows_why(&site);
        assert!(rows.len() == 1 && rows[0].contains(why), "{rows:?}");
        let site = Site::of(site.folder, &rekor.identity, &rekor.url(), false).reading(&rekor);
        site.folder.text(0, &site.args(&["link"]));
        assert_eq!(site.folder.text(0, &["pending", "--queue"]), "none\n");
    }
}

#[test]
fn what_a_real_log_finds_too_large_is_given_up_with_its_words() {
    let Some(mut rekor) = Rekor::start(&["--max-request-body-size=100"]) else { return };
    let site = Site::to(&rekor, false);
    let report = site.folder.json(1, &site.args(&["prove", "--json", &examples()]));
    assert_eq!(report["linkages"], json!({"linked": 0, "pending": 0, "failed": 7}));
    let dead = site.folder.lines(&["pending", "--failed", "--ndjson"]);
    assert_eq!(dead[0]["why"], "given up: the log refuses the entry: http: request body too large");
    // Still pending, and taken once the log takes more.
    assert_eq!(site.folder.lines(&["pending", "--ndjson"]).len(), 7);
    rekor.stop();
    rekor.again(&[]);
    let report = site.folder.json(0, &site.args(&["link", "--json", "--retry", "all"]));
    assert_eq!(report["linkages"], json!({"linked": 7, "pending": 0, "failed": 0}));
    check_leaves(&rekor, &site);
}

fn rubbish() -> String {
    servers::wire::serve(|_, stream| servers::wire::respond(stream, "200 OK", "", b"<html>hello</html>"))
}

/// What all rows of the queue say after a `prove` that links nothing.
fn why_nothing_is_linked(site: &Site) -> String {
    let output = site.folder.provex(&site.args(&["prove", "--json", &examples()]));
    assert_eq!(output.status.code(), Some(3), "{}", all(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["linkages"], json!({"linked": 0, "pending": 7, "failed": 0}));
    rows_why(site).swap_remove(0)
}

fn rows_why(site: &Site) -> Vec<String> {
    let rows = site.folder.lines(&["pending", "--queue", "--ndjson"]);
    rows.iter().map(|row| row["why"].as_str().unwrap().to_owned()).collect()
}

/// Ends the window of a signing config's services.
fn end_window(site: &Site, services: &str) {
    let config = site.folder.path("signing_config.json");
    let mut value: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    value[services][0]["validFor"] = json!({"start": "2020-01-01T00:00:00Z", "end": "2021-01-01T00:00:00Z"});
    std::fs::write(&config, value.to_string()).unwrap();
}

const NO_LOG: &str = "the signing config names no log of API version [2] that may be used now; it has";
const NO_AUTHORITY: &str =
    "the signing config names no timestamp authority of API version [1] that may be used now; it has";

#[test]
fn rows_say_that_a_window_of_the_signing_config_is_over() {
    on_both_stores(|folder, _| {
        let Some(rekor) = Rekor::start(&[]) else { return };
        let mut site = Site::in_folder(folder, &rekor, true);
        let renew = |site: Site| Site::of(site.folder, &rekor.identity, &rekor.url(), true).reading(&rekor);
        for (services, why) in [("rekorTlogUrls", NO_LOG), ("tsaUrls", NO_AUTHORITY)] {
            end_window(&site, services);
            why_nothing_is_linked(&site);
            let rows = rows_why(&site);
            assert!(rows.len() == 3 && rows.iter().all(|row| row.starts_with(why)), "{rows:?}");
            let status: Value =
                serde_json::from_slice(&site.folder.provex(&site.args(&["status", "--json"])).stdout)
                    .unwrap();
            assert_eq!(status["queue"]["reasons"][0]["submissions"], 3, "{status}");
            site = renew(site);
        }
        assert_eq!(rekor.leaves(), [], "nothing was sent");
        site.folder.text(0, &site.args(&["link"]));
        assert_eq!(site.counts(), (7, 0));
        check_leaves(&rekor, &site);
    });
}

#[test]
fn what_is_logged_waits_for_the_time_that_is_configured() {
    let Some(rekor) = Rekor::start(&[]) else { return };
    let site = Site::to(&rekor, true);
    let config = site.folder.path("signing_config.json");
    let text = std::fs::read_to_string(&config).unwrap().replace(&authority().0.url, &rubbish());
    std::fs::write(&config, text).unwrap();
    why_nothing_is_linked(&site);
    // The log has answered, and now there is nobody any more who could say when.
    end_window(&site, "tsaUrls");
    assert!(why_nothing_is_linked(&site).starts_with(NO_AUTHORITY));
    let site = Site::of(site.folder, &rekor.identity, &rekor.url(), true).reading(&rekor);
    site.folder.text(0, &site.args(&["link"]));
    let rows = site.folder.lines(&["observations", "--ndjson"]);
    assert!(rows.iter().all(|row| row["linkage"]["rekorTimestampTime"].is_string()), "{rows:?}");
    check_leaves(&rekor, &site);
}

#[test]
fn what_a_shard_answered_before_its_end_is_linked_after_it() {
    let Some(rekor) = Rekor::start(&[]) else { return };
    let site = Site::to(&rekor, true);
    let config = site.folder.path("signing_config.json");
    let text = std::fs::read_to_string(&config).unwrap().replace(&authority().0.url, &rubbish());
    std::fs::write(&config, text).unwrap();
    why_nothing_is_linked(&site);
    // The log has answered. Now its operator ends it, in the signing config and in the trusted root.
    let mut ended = rekor.identity.clone();
    ended.valid_until = Some(Timestamp::parse("2021-01-01T00:00:00Z").unwrap());
    let site = Site::of(site.folder, &ended, &rekor.url(), false).reading(&rekor);
    end_window(&site, "rekorTlogUrls");
    site.folder.text(0, &site.args(&["link"]));
    assert_eq!(site.counts(), (7, 0));
    check_leaves(&rekor, &site);
}

#[test]
fn shards_are_each_read_where_their_own_tiles_are() {
    let (Some(mut old), Some(next)) = (Rekor::start(&[]), Rekor::start(&[])) else { return };
    let site = Site::new(&old.identity, &old.url(), false);
    let config = site.folder.path("signing_config.json");
    let mut value: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    let mut second = value["rekorTlogUrls"][0].clone();
    (second["url"], second["operator"]) = (next.url().into(), "another".into());
    value["rekorTlogUrls"].as_array_mut().unwrap().push(second);
    std::fs::write(&config, value.to_string()).unwrap();
    let root = TrustedRoot::new(vec![old.identity.clone(), next.identity.clone()]);
    std::fs::write(site.root(), root.to_json()).unwrap();
    site.folder.text(0, &["init"]);
    // One place cannot be that of both.
    let examples = examples();
    let command = ["prove", &examples, "--log-read-url", &old.read_url];
    let refused = site.folder.provex(&site.args(&command));
    assert_eq!(refused.status.code(), Some(2), "{}", all(&refused));
    assert!(all(&refused).contains("names several that may be used now"), "{}", all(&refused));
    let table = |log: &Rekor| format!("[logs.\"{}/\"]\nread_url = \"{}\"\n", log.url(), log.read_url);
    std::fs::write(site.folder.data().join("provex.toml"), table(&old) + &table(&next)).unwrap();
    site.folder.text(0, &site.args(&["prove", &examples]));
    check_leaves(&old, &site);
    let in_old = leaves(&old);
    old.stop();
    old.again(&["--read-only"]);
    // Two batches: the second is linked by what the tiles prove.
    let documents = documents(&site.folder, 2);
    for number in 0..2 {
        site.folder.text(0, &site.args(&["prove", &format!("{documents}/{number}.json")]));
    }
    assert_eq!(site.counts(), (9, 0));
    assert_eq!(leaves(&old), in_old);
    let all: BTreeSet<_> = in_old.union(&leaves(&next)).cloned().collect();
    assert!(site.linked_leaves().is_subset(&all) && leaves(&next).len() == 4, "two statements, two anchors");
}

#[test]
fn what_is_longer_than_a_log_takes_is_given_up_unsent() {
    let Some(rekor) = Rekor::start(&[]) else { return };
    let site = Site::to(&rekor, false);
    site.folder.text(0, &["init"]);
    let log = format!("[logs.\"{}\"]\nmax_request_bytes = 100\n", rekor.url());
    std::fs::write(site.folder.data().join("provex.toml"), log).unwrap();
    let report = site.folder.json(1, &site.args(&["prove", "--json", &examples()]));
    assert_eq!(report["linkages"], json!({"linked": 0, "pending": 0, "failed": 7}));
    let dead = site.folder.lines(&["pending", "--failed", "--ndjson"]);
    let why = dead[0]["why"].as_str().unwrap();
    assert!(why.starts_with("given up: the log refuses the entry: the request has"), "{why}");
    assert_eq!(rekor.leaves(), []);
}

#[test]
fn rows_say_while_a_worker_goes_on_that_a_window_is_over() {
    let Some(rekor) = Rekor::start(&[]) else { return };
    let site = Site::to(&rekor, false);
    end_window(&site, "rekorTlogUrls");
    site.folder.text(0, &["init"]);
    let worker = site.start(&["worker", "--interval", "1"]);
    site.folder.text(0, &["ingest", &examples()]);
    eventually("a reason", || {
        let rows = rows_why(&site);
        rows.len() == 3 && rows.iter().all(|row| row.starts_with(NO_LOG))
    });
    let output = terminate(worker);
    assert_eq!(output.status.code(), Some(0), "{}", all(&output));
    assert!(all(&output).contains(NO_LOG), "{}", all(&output));
}

// Other clients -------------------------------------------------------------------------------------------------------

/// What each client says of a bundle about a file, with its network cut: cosign, cosign asking for time, sigstore-go,
/// sigstore-verify, @sigstore/verify, the same without asking for time.
fn judges(bundle: &Path, root: &Path, key: &Path, artifact: &Path) -> [bool; 6] {
    let tools = servers::tools().unwrap();
    let judged = [bundle, root, key, artifact].map(|path| path.display().to_string());
    let judge = |program: PathBuf, args: &[&str], paths: &[(&str, &Path)]| {
        let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        let mut command = Command::new("unshare");
        command.args([if root { "-n" } else { "-rn" }, "--"]).arg(program).args(args);
        command.env(JUDGED, json!(judged).to_string());
        for (flag, path) in paths {
            command.args((!flag.is_empty()).then_some(flag)).arg(path);
        }
        command.output().unwrap().status.success()
    };
    let cosign = |options: &[&str]| {
        let predicate = "https://provex.dev/predicates/vex-observations/v1";
        let args = [&["verify-blob-attestation", "--type", predicate], options].concat();
        let paths = [("--key", key), ("--bundle", bundle), ("--trusted-root", root), ("", artifact)];
        judge(tools.join("cosign"), &args, &paths)
    };
    let sigstore_go = judge(
        tools.join("sigstore-go-verify"),
        &["-requireCTlog=false"],
        &[("-artifact", artifact), ("-publicKey", key), ("-trustedrootJSONpath", root), ("", bundle)],
    );
    let script = common::repository("scripts/judges/verify.mjs").display().to_string();
    let javascript = |option: &[&str]| {
        let paths = [bundle, root, key].map(|path| path.display().to_string());
        let args: Vec<&str> = [script.as_str()].into_iter().chain(paths.iter().map(String::as_str)).collect();
        judge("node".into(), &[&args, option].concat(), &[])
    };
    [
        cosign(&[]),
        cosign(&["--use-signed-timestamps"]),
        sigstore_go,
        judge(
            std::env::current_exe().unwrap(),
            &["--ignored", "--exact", "the_crate_sigstore_verify_takes_a_bundle"],
            &[],
        ),
        javascript(&[]),
        javascript(&["--no-timestamp"]),
    ]
}

/// The files that the crate is to judge: bundle, trusted root, key and artifact.
const JUDGED: &str = "PROVEX_TEST_JUDGED";

/// This program is called again for it, as a crate is no program.
#[test]
#[ignore = "`judges` calls it, for one bundle and with its network cut"]
fn the_crate_sigstore_verify_takes_a_bundle() {
    use sigstore_verify::trust_root::TrustedRoot;
    use sigstore_verify::types::{Bundle, DerPublicKey};
    use sigstore_verify::{PublicKeyVerificationPolicy, verify};

    let interfaces = std::fs::read_to_string("/proc/self/net/dev").unwrap();
    let mut interfaces = interfaces.lines().skip(2).map(|line| line.split(':').next().unwrap().trim());
    assert!(interfaces.all(|name| name == "lo"), "the network is not cut");
    let [bundle, root, key, artifact]: [PathBuf; 4] =
        serde_json::from_str(&std::env::var(JUDGED).unwrap()).unwrap();
    let root = TrustedRoot::from_file(root).unwrap();
    let key = DerPublicKey::from_pem(&std::fs::read_to_string(key).unwrap()).unwrap();
    let artifact = std::fs::read(artifact).unwrap();
    let bundle = Bundle::from_json(&std::fs::read_to_string(bundle).unwrap()).unwrap();
    verify(artifact.as_slice(), &bundle, &PublicKeyVerificationPolicy::new(key), &root).unwrap();
}

/// Exports a bundle and has it judged: as it is, with one character of the payload changed, and under another key.
fn check_judges(site: &Site, expected: [bool; 6]) {
    let folder = &site.folder;
    let row = folder.lines(&["observations", "--ndjson"]).remove(0);
    let bundle = folder.text(0, &["export", "--bundle", row["observationId"].as_str().unwrap()]);
    let document = folder.provex(&["show", row["documentDigest"].as_str().unwrap(), "--canonical"]).stdout;
    let (root, key, artifact) = (site.root(), site.key(), folder.write("artifact", document));
    let path = folder.write("bundle.json", &bundle);
    assert_eq!(judges(&path, &root, &key, &artifact), expected);
    let at = bundle.find("\"payload\":\"").unwrap() + 100;
    let new = if bundle.as_bytes()[at] == b'A' { "B" } else { "A" };
    let changed = folder.write("changed.json", format!("{}{new}{}", &bundle[..at], &bundle[at + 1..]));
    assert_eq!(judges(&changed, &root, &key, &artifact), [false; 6], "one character changed");
    let other = LocalSigner::p256_from_random(&[3; 32]).unwrap().public_key().to_pem();
    let other = folder.write("other.pub", other);
    assert_eq!(judges(&path, &root, &other, &artifact), [false; 6], "another key");
}

const WITH_TIME: [bool; 6] = [true; 6];
/// sigstore-go, and @sigstore/verify unless told otherwise, want a trusted time.
const WITHOUT_TIME: [bool; 6] = [true, false, false, true, false, true];

#[test]
fn other_clients_take_bundles_of_a_real_log_and_refuse_changed_ones() {
    let Some(rekor) = Rekor::start(&[]) else { return };
    for (timestamps, expected) in [(true, WITH_TIME), (false, WITHOUT_TIME)] {
        let site = Site::to(&rekor, timestamps);
        site.folder.text(0, &site.args(&["prove", &examples()]));
        check_judges(&site, expected);
    }
}

#[test]
fn other_clients_take_bundles_of_the_embedded_log_and_refuse_changed_ones() {
    if servers::tools().is_none() {
        return;
    }
    for (timestamps, expected) in [(true, WITH_TIME), (false, WITHOUT_TIME)] {
        let folder = Folder::new();
        folder.text(0, &["init"]);
        let root = std::fs::read(folder.data().join("trusted_root.json")).unwrap();
        let own = TrustedRoot::parse(&root).unwrap().logs.remove(0);
        let url = own.base_url.clone();
        let site = Site::of(folder, &own, &url, timestamps);
        site.folder.text(0, &site.args(&["prove", &examples()]));
        check_judges(&site, expected);
    }
}

// Bad days ------------------------------------------------------------------------------------------------------------

fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("{what} does not come about");
}

fn terminate(child: Child) -> std::process::Output {
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    child.wait_with_output().unwrap()
}

#[test]
fn workers_wait_for_a_server_that_was_stopped_and_log_everything_once() {
    on_both_stores(|folder, _| stop_the_server_under_workers(folder));
}

fn stop_the_server_under_workers(folder: Folder) {
    let Some(mut rekor) = Rekor::start(&REMEMBERS) else { return };
    let site = Site::in_folder(folder, &rekor, true);
    site.folder.text(0, &["ingest", &documents(&site.folder, 400)]);
    let workers: Vec<_> = (0..2).map(|_| site.start(&["worker", "--interval", "1"])).collect();
    eventually("the first linkage", || site.counts().0 > 0);
    rekor.stop();
    documents(&site.folder, 420);
    site.folder.text(0, &["ingest", &site.folder.path("documents").display().to_string()]);
    let waiting = || all(&site.folder.provex(&site.args(&["status"])));
    eventually("a reason", || waiting().contains("the log is not available"));
    assert!(site.counts().1 >= 20);
    rekor.again(&REMEMBERS);
    eventually("all linkages", || site.counts() == (420, 0));
    for worker in workers {
        let output = terminate(worker);
        assert_eq!(output.status.code(), Some(0), "{}", all(&output));
        assert!(all(&output).contains("stopping; what is under way is finished first"));
    }
    check_leaves(&rekor, &site);
}

#[test]
fn prove_waits_for_a_server_that_is_stopped_in_the_middle_and_links_everything() {
    on_both_stores(|folder, _| stop_the_server_under_prove(folder));
}

fn stop_the_server_under_prove(folder: Folder) {
    let Some(mut rekor) = Rekor::start(&REMEMBERS) else { return };
    let site = Site::in_folder(folder, &rekor, true);
    let documents = documents(&site.folder, 300);
    let mut prove = site.folder.command(&site.args(&["prove", "--json", &documents]));
    // A round of the log takes a second, so that this takes ten.
    let prove = prove.env("PROVEX_LOG_CONCURRENCY", "32").stdout(Stdio::piped()).stderr(Stdio::piped());
    let prove = prove.spawn().unwrap();
    eventually("the first linkage", || {
        site.folder.data().join("provex.toml").exists() && site.counts().0 > 0
    });
    rekor.stop();
    eventually("a reason", || {
        all(&site.folder.provex(&site.args(&["status"]))).contains("the log is not available")
    });
    rekor.again(&REMEMBERS);
    let output = prove.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", all(&output));
    assert!(all(&output).contains("what worked before is waited for"), "{}", all(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["linkages"], json!({"linked": 300, "pending": 0, "failed": 0}));
    check_leaves(&rekor, &site);
}

/// Where the client is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kill {
    /// It has sent, and the server has not got it.
    Sent,
    /// The server has logged it, and the client knows nothing.
    Logged,
    /// The client has the answer, and has not linked it.
    Answered,
}

/// Hands requests on to the log and kills the client at the twentieth.
struct Killer {
    upstream: String,
    at: Kill,
    seen: Mutex<u32>,
    client: Mutex<Option<Child>>,
}

impl Killer {
    fn hand_on(&self, request: &str, client: &mut TcpStream) {
        let now = {
            let mut seen = self.seen.lock().unwrap();
            *seen += 1;
            *seen == 20
        };
        assert_eq!(path_of(request), "/api/v2/log/entries");
        self.kill(now && self.at == Kill::Sent);
        if now && self.at == Kill::Sent {
            return;
        }
        let mut server = TcpStream::connect(&self.upstream).unwrap();
        // Without keep-alive the answer ends where the connection does.
        server.write_all(request.replacen("HTTP/1.1", "HTTP/1.0", 1).as_bytes()).unwrap();
        hang_up_with(client, &server);
        let mut answer = Vec::new();
        let _ = server.read_to_end(&mut answer);
        self.kill(now && self.at == Kill::Logged);
        let _ = client.write_all(&answer);
        if now && self.at == Kill::Answered {
            let _ = client.shutdown(std::net::Shutdown::Write);
            self.kill(true);
        }
    }

    fn kill(&self, now: bool) {
        if let Some(client) = self.client.lock().unwrap().as_mut().filter(|_| now) {
            client.kill().unwrap();
        }
    }
}

/// Closes one connection when the other end of another one does, so that a server notices a killed client.
fn hang_up_with(client: &TcpStream, server: &TcpStream) {
    let (mut client, server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = client.read(&mut [0]);
        let _ = server.shutdown(std::net::Shutdown::Both);
    });
}

#[test]
fn a_client_killed_at_any_point_logs_nothing_twice() {
    on_both_stores(|folder, server| kill_a_client(folder, server, Kill::Sent));
    on_both_stores(|folder, server| kill_a_client(folder, server, Kill::Logged));
    on_both_stores(|folder, server| kill_a_client(folder, server, Kill::Answered));
}

fn kill_a_client(folder: Folder, server: Option<&Server>, at: Kill) {
    let Some(rekor) = Rekor::start(&REMEMBERS) else { return };
    let upstream = rekor.url().trim_start_matches("http://").to_owned();
    let killer = Killer { upstream, at, seen: Mutex::new(0), client: Mutex::new(None) };
    let killer = Arc::new(killer);
    let url = {
        let killer = Arc::clone(&killer);
        serve_requests(move |request, client| killer.hand_on(request, client))
    };
    let site = Site::of(folder, &rekor.identity, &url, false).reading(&rekor);
    site.folder.text(0, &["ingest", &documents(&site.folder, 60)]);
    {
        // Held until the child is there to be killed.
        let mut client = killer.client.lock().unwrap();
        *client = Some(site.start(&["link"]));
    }
    eventually("the kill", || {
        let mut client = killer.client.lock().unwrap();
        client.as_mut().unwrap().try_wait().unwrap().is_some()
    });
    assert_eq!(killer.client.lock().unwrap().as_mut().unwrap().wait().unwrap().code(), None, "{at:?}");
    end_leases(&site, server);
    let report = site.folder.json(0, &site.args(&["link", "--json"]));
    assert_eq!(report["linkages"]["pending"], 0, "{at:?}: {report}");
    assert_eq!(site.counts(), (60, 0), "{at:?}");
    check_leaves(&rekor, &site);
}

#[test]
fn the_run_after_a_kill_links_everything() {
    let Some(rekor) = Rekor::start(&REMEMBERS) else { return };
    let site = Site::to(&rekor, false);
    site.folder.text(0, &["ingest", &documents(&site.folder, 600)]);
    let mut client = site.start(&["link"]);
    eventually("the first entry", || !rekor.leaves().is_empty());
    client.kill().unwrap();
    assert_eq!(client.wait().unwrap().code(), None);
    // What waited with it is cancelled by the server, which says so to the next client, too.
    let report = site.folder.json(0, &site.args(&["link", "--json"]));
    assert_eq!(report["linkages"]["pending"], 0, "{report}");
    assert_eq!(site.counts(), (600, 0));
    check_leaves(&rekor, &site);
}

#[test]
fn a_client_killed_between_a_logs_answer_and_the_linkage_asks_the_log_for_nothing() {
    on_both_stores(|folder, server| {
        let Some(rekor) = Rekor::start(&REMEMBERS) else { return };
        let site = Site::in_folder(folder, &rekor, true);
        site.folder.text(0, &["ingest", &documents(&site.folder, 60)]);
        // The authority takes its time.
        let slow = servers::wire::serve(|_, stream| drop(stream.read(&mut [0])));
        let config = site.folder.path("signing_config.json");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text.replace(&authority().0.url, &slow)).unwrap();
        let mut client = site.start(&["link"]);
        eventually("all answers", || {
            let rows = site.folder.lines(&["pending", "--queue", "--ndjson"]);
            rows.len() == 60 && rows.iter().all(|row| row["stage"] == "link")
        });
        client.kill().unwrap();
        assert_eq!(client.wait().unwrap().code(), None);
        assert_eq!((site.counts(), rekor.leaves().len()), ((0, 60), 60));
        end_leases(&site, server);
        std::fs::write(&config, text).unwrap();
        let report = site.folder.json(0, &site.args(&["link", "--json"]));
        assert_eq!(report["linkages"], json!({"linked": 60, "pending": 0, "failed": 0}));
        check_leaves(&rekor, &site);
    });
}

/// On a server that others may work on, what a killed process had leased is said and waited for; here the wait is over.
fn end_leases(site: &Site, server: Option<&Server>) {
    let Some(server) = server else { return };
    let status: Value = serde_json::from_slice(&site.folder.provex(&["status", "--json"]).stdout).unwrap();
    assert!(status["queue"]["leased"].as_u64().unwrap() > 0, "{status}");
    let until = status["queue"]["leasedUntil"].as_str().unwrap();
    let said = site.folder.text(0, &site.args(&["status"]));
    assert!(said.contains(&format!("is taken up again by {until}")), "{said}");
    let rows = site.folder.lines(&["pending", "--queue", "--ndjson"]);
    let why = rows.iter().filter(|row| !row["leasedUntil"].is_null()).map(|row| row["why"].as_str().unwrap());
    assert!(why.into_iter().all(|why| why.contains("if that process has ended, it is taken up again at")));
    server.execute("UPDATE attestor.submissions SET lease_until = 'epoch' WHERE lease_until IS NOT NULL");
}

#[test]
fn a_client_killed_before_its_statements_are_stored_logs_nothing_twice() {
    let Some(rekor) = Rekor::start(&REMEMBERS) else { return };
    let server = Server::new();
    let site = Site::in_folder(server.folder(), &rekor, false);
    site.folder.text(0, &["ingest", &documents(&site.folder, 60)]);
    // Nobody gets beyond signing.
    let mut owner = server.runtime.block_on(server.database.connect());
    let run = |owner: &mut PgConnection, sql| {
        server.runtime.block_on(sqlx::raw_sql(sql).execute(owner)).unwrap();
    };
    run(&mut owner, "BEGIN; LOCK TABLE attestor.envelopes IN EXCLUSIVE MODE");
    let mut client = site.start(&["link"]);
    eventually("the wait for the lock", || {
        let waiting =
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'attestor.envelopes'::regclass";
        server.runtime.block_on(server.database.integer(waiting)) > 0
    });
    client.kill().unwrap();
    assert_eq!(client.wait().unwrap().code(), None);
    run(&mut owner, "COMMIT");
    assert_eq!((site.counts(), rekor.leaves().len()), ((0, 60), 0));
    end_leases(&site, Some(&server));
    let report = site.folder.json(0, &site.args(&["link", "--json"]));
    assert_eq!(report["linkages"], json!({"linked": 60, "pending": 0, "failed": 0}));
    check_leaves(&rekor, &site);
    assert_eq!(site.linked_leaves().len(), 60);
}

#[test]
fn a_client_that_is_told_to_stop_leaves_nothing_leased() {
    let server = Server::new();
    let Some(rekor) = Rekor::start(&REMEMBERS) else { return };
    let slow = {
        let upstream = rekor.url().trim_start_matches("http://").to_owned();
        move |request: &str, client: &mut TcpStream| {
            std::thread::sleep(Duration::from_millis(300));
            let mut server = TcpStream::connect(&upstream).unwrap();
            server.write_all(request.replacen("HTTP/1.1", "HTTP/1.0", 1).as_bytes()).unwrap();
            let _ = std::io::copy(&mut server, client);
        }
    };
    let url = serve_requests(slow);
    let site = Site::of(server.folder(), &rekor.identity, &url, false).reading(&rekor);
    site.folder.text(0, &["ingest", &documents(&site.folder, 1_500)]);
    let client = site.start(&["link"]);
    eventually("the first linkage", || site.counts().0 > 0);
    let output = terminate(client);
    assert_eq!(output.status.code(), Some(3), "{}", all(&output));
    assert!(all(&output).contains("it was stopped; `provex link` goes on"), "{}", all(&output));
    let status: Value = serde_json::from_slice(&site.folder.provex(&["status", "--json"]).stdout).unwrap();
    assert_eq!(status["queue"]["leased"], 0, "{status}");
    let direct = Site::in_folder(site.folder, &rekor, false);
    direct.folder.text(0, &direct.args(&["link"]));
    assert_eq!(direct.counts(), (1_500, 0));
    check_leaves(&rekor, &direct);
}

#[test]
fn a_server_that_hangs_in_the_middle_fails_nothing() {
    let Some(rekor) = Rekor::start(&REMEMBERS) else { return };
    let site = Site::to(&rekor, false);
    let path = documents(&site.folder, 400);
    let mut client = site.folder.command(&site.args(&["prove", "--json", &path]));
    client.env("PROVEX_LOG_TIMEOUT_SECONDS", "2").stdout(Stdio::piped()).stderr(Stdio::piped());
    site.folder.text(0, &["init"]);
    rekor.signal("STOP");
    let client = client.spawn().unwrap();
    let output = client.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", all(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["linkages"]["failed"], 0, "{report}");
    assert!(report["linkages"]["pending"].as_u64().unwrap() > 0, "{report}");
    let rows = site.folder.lines(&["pending", "--queue", "--ndjson"]);
    assert!(rows.iter().any(|row| row["why"].as_str().unwrap().contains("log")), "{rows:?}");
    rekor.signal("CONT");
    eventually("all linkages", || {
        site.folder.provex(&site.args(&["link"]));
        site.counts() == (400, 0)
    });
    // What was sent twice while nobody answered, the log takes up at once, and may keep twice.
    check_leaves_beside(&rekor, &site, &BTreeSet::new());
    assert_eq!(site.linked_leaves().len(), 400);
}

#[test]
fn a_full_queue_of_what_was_given_up_keeps_nothing_from_being_linked() {
    let Some(rekor) = Rekor::start(&[]) else { return };
    let refused = Site::new(&rekor.identity, &refusing(), false);
    let report =
        refused.folder.json(1, &refused.args(&["prove", "--json", &documents(&refused.folder, 600)]));
    assert_eq!(report["linkages"], json!({"linked": 0, "pending": 0, "failed": 600}));
    let site = Site::of(refused.folder, &rekor.identity, &rekor.url(), false).reading(&rekor);
    let report = site.folder.json(1, &site.args(&["prove", "--json", &examples()]));
    assert_eq!(report["linkages"], json!({"linked": 7, "pending": 0, "failed": 600}));
    let status: Value =
        serde_json::from_slice(&site.folder.provex(&site.args(&["status", "--json"])).stdout).unwrap();
    assert_eq!(status["queue"]["dead"], 600);
    assert_eq!(
        status["queue"]["reasons"][0],
        json!({"reason": "the log refuses the entry: invalid hashedrekord request", "submissions": 600})
    );
    let report = site.folder.json(0, &site.args(&["link", "--json", "--retry", "all"]));
    assert_eq!(report["linkages"], json!({"linked": 600, "pending": 0, "failed": 0}));
    check_leaves(&rekor, &site);
}

#[test]
fn what_is_too_large_for_a_log_is_given_up_with_its_words() {
    let Some(rekor) = Rekor::start(&[]) else { return };
    let too_large = servers::wire::serve(|_, stream| {
        let said = br#"{"code":11,"message":"http: request body too large","details":[]}"#;
        servers::wire::respond(stream, "413 Request Entity Too Large", "", said);
    });
    let site = Site::new(&rekor.identity, &too_large, false);
    let report = site.folder.json(1, &site.args(&["prove", "--json", &examples()]));
    assert_eq!(report["linkages"], json!({"linked": 0, "pending": 0, "failed": 7}));
    let dead = site.folder.lines(&["pending", "--failed", "--ndjson"]);
    assert_eq!(dead[0]["why"], "given up: the log refuses the entry: http: request body too large");
    // Still pending for a log that takes more.
    assert_eq!(site.folder.lines(&["pending", "--ndjson"]).len(), 7);
}

#[test]
fn proofs_are_verified_with_the_root_that_the_configuration_names() {
    let Some(rekor) = Rekor::start(&[]) else { return };
    let site = Site::to(&rekor, false);
    site.folder.text(0, &["init"]);
    for file in ["signing_config.json", "trusted_root.json"] {
        std::fs::copy(site.folder.path(file), site.folder.data().join(format!("rekor-{file}"))).unwrap();
    }
    let config = site.folder.data().join("provex.toml");
    let text = format!(
        "signing_config = \"rekor-signing_config.json\"\ntrusted_root = \"rekor-trusted_root.json\"\n\
         log_read_url = \"{}\"\n",
        rekor.read_url
    );
    std::fs::write(&config, &text).unwrap();
    site.folder.text(0, &["prove", &examples()]);
    let (_, proof) = site.folder.proof();
    let proof = site.folder.write("proof.json", proof).display().to_string();
    site.folder.text(0, &["verify", &proof]);
    // The folder's own root alone does not know the log.
    std::fs::write(&config, "").unwrap();
    assert!(site.folder.text(1, &["verify", &proof]).contains("does not hold"));
}

#[test]
fn a_signing_config_that_asks_for_several_services_is_refused_in_words() {
    let Some(rekor) = Rekor::start(&[]) else { return };
    for (key, list, what) in [
        ("rekorTlogConfig", "rekorTlogUrls", "the signing config asks for 2 logs; provex writes to one"),
        ("tsaConfig", "tsaUrls", "the signing config asks for 2 timestamp authorities; provex asks one"),
    ] {
        for selection in [json!({"selector": "ALL"}), json!({"selector": "EXACT", "count": 2})] {
            let site = Site::to(&rekor, true);
            let config = site.folder.path("signing_config.json");
            let mut value: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
            let mut second = value[list][0].clone();
            second["operator"] = "another".into();
            value[list].as_array_mut().unwrap().push(second);
            value[key] = selection;
            std::fs::write(&config, value.to_string()).unwrap();
            let output = site.folder.provex(&site.args(&["prove", "--json", &examples()]));
            assert!(matches!(output.status.code(), Some(2 | 3)), "{}", all(&output));
            assert!(all(&output).contains(what), "{}", all(&output));
            // One of each kind, whatever the selector.
            value[list].as_array_mut().unwrap().pop();
            value[key] = json!({"selector": "ALL"});
            std::fs::write(&config, value.to_string()).unwrap();
            site.folder.text(0, &site.args(&["prove", &examples()]));
            assert_eq!(site.counts(), (7, 0));
        }
    }
}
