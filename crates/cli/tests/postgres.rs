//! The command line on a PostgreSQL: the same results as on SQLite, and how one is named and migrated.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use common::server::Server;
use common::{Folder, all, examples, repository};
use provex_core::dsse::Envelope;
use provex_core::ids::TenantId;
use provex_store::{ObservationFilter, Store};
use provex_store_postgres::testing::{TestDatabase, TestServer, connect, with_database, with_user};
use provex_store_sqlite::SqliteStore;
use serde_json::Value;

fn documents() -> Vec<String> {
    ["openvex", "cyclonedx", "csaf21", "spdx3", "intoto"]
        .map(|format| repository("testdata/vex").join(format).display().to_string())
        .to_vec()
}

fn prove(folder: &Folder) -> Value {
    let documents = documents();
    let mut args = vec!["prove", "--json"];
    args.extend(documents.iter().map(String::as_str));
    // Some of the published documents are refused.
    folder.json(1, &args)
}

/// A database as `provex migrate` makes it.
async fn migrated() -> TestDatabase {
    let database = TestDatabase::empty().await;
    let folder = Folder::on(&database.url());
    let said = folder.text(0, &["migrate"]);
    assert!(said.contains("hash16") && said.contains("vex_rekor_linkage applied"), "{said}");
    assert!(!folder.data().exists(), "a database is migrated without a data folder");
    database
}

/// What was recorded: observations, and the payloads of the statements by their sets' roots.
#[derive(Debug, PartialEq)]
struct Recorded {
    observations: BTreeSet<String>,
    payloads: BTreeMap<String, Value>,
}

/// Everything that is linked; payloads with or without the salt.
async fn recorded(store: &dyn Store, salted: bool) -> Recorded {
    let tenant = TenantId::default_tenant();
    let rows = store.observations(&tenant, &ObservationFilter::default(), None, usize::MAX).await.unwrap();
    let mut recorded = Recorded { observations: BTreeSet::new(), payloads: BTreeMap::new() };
    let mut envelopes = BTreeSet::new();
    for row in rows {
        let linkage = row.linkage.unwrap();
        assert!(recorded.observations.insert(row.id.to_text()));
        envelopes.insert(linkage.fields.entry.envelope_digest);
    }
    for digest in envelopes {
        let stored = store.envelope(&tenant, &digest).await.unwrap().unwrap();
        let envelope = Envelope::parse(&stored.bytes).unwrap();
        let mut payload: Value = serde_json::from_slice(envelope.payload()).unwrap();
        if !salted {
            payload["predicate"].as_object_mut().unwrap().remove("salt").unwrap();
        }
        let root = payload["predicate"]["set"]["root"].as_str().unwrap().to_owned();
        recorded.payloads.insert(root, payload);
    }
    assert!(recorded.observations.len() > 1_000 && recorded.payloads.len() > 50);
    recorded
}

async fn recorded_in_file(folder: &Folder, salted: bool) -> Recorded {
    recorded(&SqliteStore::open(&folder.path("data/provex.db")).await.unwrap(), salted).await
}

async fn recorded_on_server(database: &TestDatabase, salted: bool) -> Recorded {
    recorded(&database.store().await, salted).await
}

#[tokio::test]
async fn both_stores_record_the_same_observations_sets_and_statements() {
    let (in_file, database) = (Folder::new(), migrated().await);
    let on_server = Folder::on(&database.url());
    let mut expected = prove(&in_file);
    let mut run = prove(&on_server);
    // Each ledger is of its own times.
    let [here, there] =
        [&mut expected, &mut run].map(|run| run.as_object_mut().unwrap().remove("ledgerRoot"));
    assert_eq!(here.unwrap()["treeSize"], there.unwrap()["treeSize"]);
    assert_eq!(run, expected);
    assert_eq!((&run["linkages"]["pending"], &run["linkages"]["failed"]), (&0.into(), &0.into()));
    assert_eq!(recorded_on_server(&database, false).await, recorded_in_file(&in_file, false).await);
    assert!(!on_server.path("data/provex.db").exists());
    // Proven again, nothing is added; and what was proven can be checked offline.
    assert_eq!(prove(&on_server)["linkages"]["linked"], 0);
    let (_, proof) = on_server.proof();
    let proof = on_server.write("proof.json", proof).display().to_string();
    assert!(on_server.text(0, &["verify", &proof]).contains("holds"));

    // Under one salt key they are the same to the last byte.
    let other = migrated().await;
    let same = Folder::on(&other.url());
    same.text(0, &["init"]);
    for name in ["data/keys/salt.key", "data/keys/salt.id"] {
        std::fs::copy(in_file.path(name), same.path(name)).unwrap();
    }
    prove(&same);
    assert_eq!(recorded_on_server(&other, true).await, recorded_in_file(&in_file, true).await);
}

#[tokio::test]
async fn what_was_queued_before_the_clock_was_set_back_is_linked() {
    let database = migrated().await;
    let folder = Folder::on(&database.url());
    folder.text(0, &["init"]);
    folder.text(0, &["ingest", &examples()]);
    // As it would be after the clock ran three hours ahead: one document is leased to a process that was killed.
    database
        .execute(
            "UPDATE attestor.submissions SET available_at = available_at + interval '3 hours';
            UPDATE attestor.submissions SET lease_token = submission_id, lease_until = available_at + interval '10 min'
                WHERE submission_id = (SELECT submission_id FROM attestor.submissions LIMIT 1);
            UPDATE findings.ledger_chains SET last_at = last_at + interval '3 hours';
            UPDATE control.logs SET seen_at = seen_at + interval '3 hours'",
        )
        .await;
    let linked = folder.provex(&["link"]);
    assert!(linked.status.success() && all(&linked).contains("warning: the clock says"), "{}", all(&linked));
    assert_eq!(folder.text(0, &["pending", "--ndjson"]), "");
}

#[tokio::test]
async fn a_database_is_named_by_flag_environment_or_configuration_in_this_order() {
    let databases = [migrated().await, migrated().await, migrated().await];
    let [by_flag, by_variable, by_file] = databases.each_ref().map(TestDatabase::url);
    let folder = Folder::new();
    folder.text(0, &["--database-url", &by_file, "init"]);
    let secret = folder.write("data/database-url", format!("{by_file}\n"));
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(folder.path("data/provex.toml"), "database_url_file = \"database-url\"\n").unwrap();
    folder.text(0, &["tenant", "add", "named-by-file"]);
    let add = |url: &str, args: &[&str]| {
        let added = folder.command(args).env("PROVEX_DATABASE_URL", url).output().unwrap();
        assert!(added.status.success(), "{}", all(&added));
    };
    add(&by_variable, &["tenant", "add", "named-by-variable"]);
    add(&by_variable, &["--database-url", &by_flag, "tenant", "add", "named-by-flag"]);
    add("", &["tenant", "add", "named-by-file-again"]);
    for (database, expected) in databases.iter().zip([
        "default named-by-flag",
        "default named-by-variable",
        "default named-by-file named-by-file-again",
    ]) {
        let tenants = database.store().await.tenants().await.unwrap();
        assert_eq!(tenants.iter().map(TenantId::as_str).collect::<Vec<_>>().join(" "), expected);
    }
}

#[tokio::test]
async fn a_password_is_never_shown() {
    let folder = Folder::new();
    folder.text(0, &["init"]);
    let refused = |code, url: &str| {
        for args in [["status"].as_slice(), &["migrate"], &["migrate", "--plan"], &["prove", "x"]] {
            let output = folder.command(&[&["--database-url", url], args].concat()).output().unwrap();
            let said = all(&output);
            assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
            assert!(!said.contains("hush"), "{args:?}: {said}");
        }
    };
    refused(2, "postgres://u:hush@host:port/x");
    refused(2, "postgres://u:hu sh@host/x?sslmode=hush");
    refused(2, "mysql://u:hush@host/x");
    refused(3, "postgres://u:hush@127.0.0.1:1/x");
    refused(3, &with_user(&TestDatabase::empty().await.url(), "provex_test", "hush"));
    for configuration in [
        "database_url = \"postgres://u:hush@h/x\"",
        "database_url = \"postgres://u:hush@h/x",
        "database_url = 'postgres://h/x?password=hush'",
        "database_url = 'x'\ndatabase_url_file = 'y'",
    ] {
        std::fs::write(folder.path("data/provex.toml"), configuration).unwrap();
        let output = folder.provex(&["status"]);
        let said = all(&output);
        assert!(output.status.code() == Some(2) && !said.contains("hush"), "{configuration}: {said}");
        assert!(said.contains("provex.toml"), "{configuration}: {said}");
    }
    // In a file that others can read it is not taken at all.
    std::fs::write(folder.path("data/provex.toml"), "database_url_file = \"url\"").unwrap();
    folder.write("data/url", "postgres://u:hush@h/x");
    let said = all(&folder.provex(&["status"]));
    assert!(said.contains("can be read by others") && !said.contains("hush"), "{said}");
    // And what is printed for the next step works without it.
    let database = migrated().await;
    let printed = Folder::new().text(0, &["--database-url", &database.url(), "prove", &examples()]);
    let password = database.url().split([':', '@']).nth(2).unwrap().to_owned();
    assert!(printed.contains(" --database-url URL ") && !printed.contains(&password), "{printed}");
}

#[tokio::test]
async fn only_migrate_makes_a_schema() {
    let database = TestDatabase::empty().await;
    let folder = Folder::on(&database.url());
    for args in [["prove", "x"].as_slice(), &["init"], &["migrate", "--check"]] {
        let output = folder.provex(args);
        assert!(
            !output.status.success() && all(&output).contains("provex migrate"),
            "{args:?}: {}",
            all(&output)
        );
    }
    assert!(!folder.data().exists(), "nothing is made before the database can be used");
    let plan = folder.text(0, &["migrate", "--plan", "--layout", "flat"]);
    assert!(plan.contains("base is missing") && plan.contains("flat"), "{plan}");
    assert_eq!(folder.provex(&["migrate", "--check"]).status.code(), Some(1));
    folder.text(0, &["migrate", "--layout", "flat"]);
    assert!(folder.text(0, &["migrate", "--check"]).contains("layout flat"));
    assert!(folder.text(0, &["migrate", "--plan"]).contains("nothing to do"));
    // The layout is chosen once.
    let again = all(&folder.provex(&["migrate", "--layout", "hash16"]));
    assert!(again.contains("flat"), "{again}");
    folder.text(0, &["init"]);
    assert_eq!(folder.text(0, &["tenant", "list"]), "default\n");
    // A newer schema is refused.
    database
        .execute(
            "INSERT INTO control.migrations (version, name, checksum) VALUES (999, 'x', repeat('0', 64))",
        )
        .await;
    for args in [["status"].as_slice(), &["migrate"], &["migrate", "--check"], &["tenant", "list"]] {
        let output = folder.provex(args);
        let said = all(&output);
        assert!(
            !output.status.success() && said.contains("version 999") && said.contains("newer provex"),
            "{said}"
        );
    }
}

#[test]
fn a_folder_is_planned_and_checked_too() {
    let folder = Folder::new();
    assert_eq!(folder.provex(&["migrate"]).status.code(), Some(3));
    folder.text(0, &["init"]);
    for args in [["migrate"].as_slice(), &["migrate", "--plan"]] {
        assert!(folder.text(0, args).contains("nothing to do"));
    }
    assert!(folder.text(0, &["migrate", "--check"]).contains("has all that this release needs"));
    assert_eq!(folder.provex(&["migrate", "--layout", "flat"]).status.code(), Some(2));
}

/// A folder with two tenants, of which the first has documents that are proven and one that waits.
fn filled() -> Folder {
    let folder = Folder::new();
    let openvex = repository("testdata/vex/openvex").display().to_string();
    folder.text(0, &["prove", &openvex]);
    folder.text(0, &["ingest", &examples()]);
    folder.text(0, &["tenant", "add", "other"]);
    folder.text(0, &["--tenant", "other", "prove", &examples()]);
    folder
}

fn move_up(folder: &Folder, database: &TestDatabase) -> std::process::Command {
    let from = format!("sqlite:{}", folder.data().display());
    folder.command(&["migrate", "--from", &from, "--to", &database.url()])
}

/// What was said of each table that was copied.
fn copied_lines(said: &str) -> Vec<String> {
    said.lines().filter(|line| line.starts_with("copied ")).map(str::to_owned).collect()
}

/// Every envelope of the default tenant that proves an observation, with its bundle.
async fn bundles(store: &dyn Store) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let tenant = TenantId::default_tenant();
    let rows = store.observations(&tenant, &ObservationFilter::default(), None, usize::MAX).await.unwrap();
    let linkages = rows.iter().filter_map(|row| row.linkage.as_ref());
    let envelopes: BTreeSet<_> = linkages.map(|linkage| linkage.fields.entry.envelope_digest).collect();
    let mut bundles = BTreeMap::new();
    for digest in envelopes {
        let envelope = store.envelope(&tenant, &digest).await.unwrap().unwrap().bytes;
        let (_, bundle) = store.bundle_of_envelope(&tenant, &digest).await.unwrap().unwrap();
        bundles.insert(envelope, bundle);
    }
    bundles
}

#[tokio::test]
async fn moving_up_keeps_every_bundle_and_proof() {
    let (folder, database) = (filled(), migrated().await);
    let rows = folder.lines(&["observations", "--ndjson"]);
    let linked: Vec<_> = rows.iter().filter(|row| !row["linkage"].is_null()).collect();
    let ids: Vec<_> = linked.iter().step_by(300).map(|row| row["observationId"].as_str().unwrap()).collect();
    assert!(ids.len() > 3 && linked.len() < rows.len());
    let exported = |folder: &Folder, what| -> Vec<_> {
        ids.iter().map(|id| folder.text(0, &["export", what, id])).collect()
    };
    let proofs = exported(&folder, "--proof");
    let status = folder.text(0, &["status", "--json"]);
    let file = SqliteStore::open(&folder.path("data/provex.db")).await.unwrap();
    let (kept, head) = (bundles(&file).await, file.ledger_head(&TenantId::default_tenant()).await.unwrap());
    file.close().await.unwrap();
    // `migrate` has given the default tenant a chain of its own, which the moved one takes the place of.
    let fresh = database.store().await.ledger_head(&TenantId::default_tenant()).await.unwrap();
    assert_ne!(fresh.chain_id, head.chain_id);

    let moved = move_up(&folder, &database).output().unwrap();
    assert!(moved.status.success() && all(&moved).contains("vex.observations"), "{}", all(&moved));
    // Again: all of it is there.
    let again = copied_lines(&all(&move_up(&folder, &database).output().unwrap()));
    assert!(again.len() > 10 && again.iter().all(|line| line.contains("of them before")), "{again:?}");
    std::fs::write(folder.path("data/url"), database.url()).unwrap();
    std::fs::set_permissions(folder.path("data/url"), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(folder.path("data/provex.toml"), "database_url_file = 'url'").unwrap();
    let file = folder.path("provex.db");
    std::fs::rename(folder.path("data/provex.db"), &file).unwrap();

    assert_eq!(exported(&folder, "--proof"), proofs);
    let store = database.store().await;
    assert_eq!(bundles(&store).await, kept);
    assert_eq!(store.ledger_head(&TenantId::default_tenant()).await.unwrap(), head);
    assert!(folder.text(0, &["ledger", "audit"]).contains("all that the ledger proves is as it says"));
    assert_eq!(folder.lines(&["observations", "--ndjson"]), rows);
    assert_eq!(folder.text(0, &["status", "--json"]), status);
    let proof = folder.write("proof.json", &proofs[0]).display().to_string();
    assert!(folder.text(0, &["verify", &proof]).contains("holds"));
    // What waited goes on, in the same log; then the database has more than the file and is not copied into again.
    assert!(folder.text(0, &["link"]).contains(" 0 pending, 0 failed"));
    assert!(folder.lines(&["pending", "--ndjson"]).is_empty());
    std::fs::rename(&file, folder.path("data/provex.db")).unwrap();
    let refused = move_up(&folder, &database).output().unwrap();
    assert!(
        refused.status.code() == Some(3) && all(&refused).contains("has other data"),
        "{}",
        all(&refused)
    );
}

#[tokio::test]
async fn a_copy_that_was_killed_goes_on() {
    use sqlx::Connection as _;
    let (folder, database) = (filled(), migrated().await);
    // Bundles come after observations. While somebody holds their table, the copy waits before its first of them.
    let mut holder = database.connect().await;
    let mut tx = holder.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE attestor.bundles IN SHARE MODE").execute(&mut *tx).await.unwrap();
    let waiting = async || {
        let mut copying = move_up(&folder, &database);
        let mut copying = copying.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let waits =
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'attestor.bundles'::regclass";
        while database.integer(waits).await == 0 {
            assert!(copying.try_wait().unwrap().is_none(), "the copy has ended");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        copying
    };
    // Its server goes away.
    let copying = waiting().await;
    let gone = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks
        WHERE NOT granted AND relation = 'attestor.bundles'::regclass";
    assert_eq!(database.integer(gone).await, 1);
    let output = copying.wait_with_output().unwrap();
    let said = all(&output);
    assert!(output.status.code() == Some(3) && said.contains("the same command goes on with it"), "{said}");
    let mut copying = waiting().await;
    // What came now would be missing in the copy.
    for args in [&["ingest", &examples()] as &[&str], &["tenant", "add", "late"], &["serve", "--no-worker"]] {
        let output = folder.provex(args);
        assert_eq!(output.status.code(), Some(3), "{}", all(&output));
        assert!(all(&output).contains("is being copied into a PostgreSQL"), "{}", all(&output));
    }
    copying.kill().unwrap();
    copying.wait().unwrap();
    tx.rollback().await.unwrap();
    // It looks like a database that is just smaller.
    refused(&database.url(), 3, &["status"], &["is not finished", "provex migrate --from"]);
    assert!(database.integer("SELECT count(*) FROM vex.observations").await > 1_000);
    let moved = move_up(&folder, &database).output().unwrap();
    assert!(moved.status.success() && all(&moved).contains("of them before"), "{}", all(&moved));
    let file = SqliteStore::open(&folder.path("data/provex.db")).await.unwrap();
    assert_eq!(bundles(&database.store().await).await, bundles(&file).await);
}

#[tokio::test]
async fn a_folder_whose_database_is_open_is_not_copied() {
    let (folder, database) = (Folder::new(), migrated().await);
    folder.text(0, &["init"]);
    let server = Server::start(&folder, &["--no-worker"]);
    let refused = move_up(&folder, &database).output().unwrap();
    let said = all(&refused);
    assert!(refused.status.code() == Some(3) && said.contains("another provex has the database"), "{said}");
    server.stop();
    assert!(move_up(&folder, &database).status().unwrap().success());
}

#[tokio::test]
async fn a_database_with_other_data_is_not_copied_into() {
    let (folder, database) = (filled(), migrated().await);
    let other = Folder::on(&database.url());
    other.text(0, &["prove", &examples()]);
    let before = other.text(0, &["observations", "--ndjson"]);
    let refused = |database: &TestDatabase| {
        let refused = move_up(&folder, database).output().unwrap();
        let said = all(&refused);
        assert!(refused.status.code() == Some(3) && said.contains("has other data"), "{said}");
    };
    refused(&database);
    assert_eq!(other.text(0, &["observations", "--ndjson"]), before);
    assert_eq!(other.text(0, &["tenant", "list"]), "default\n");
    // A log of its own is other data too.
    let database = migrated().await;
    let other = Folder::on(&database.url());
    other.text(0, &["init"]);
    refused(&database);
    other.text(0, &["prove", &examples()]);
    for (from, to) in
        [("sqlite:/nowhere", database.url()), ("postgres://x", database.url()), ("sqlite:.", "x".to_owned())]
    {
        let output = folder.command(&["migrate", "--from", from, "--to", &to]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", all(&output));
    }
}

#[tokio::test]
async fn every_table_of_both_schemas_is_copied() {
    use sqlx::Connection as _;
    let (folder, database) = (Folder::new(), migrated().await);
    folder.text(0, &["init"]);
    let copied: BTreeSet<String> =
        provex_store::copy::TABLES.iter().map(|table| (*table).to_owned()).collect();
    let on_server: Vec<String> = sqlx::query_scalar(
        "SELECT relnamespace::regnamespace || '.' || relname FROM pg_class WHERE relkind IN ('r', 'p')
        AND NOT relispartition AND relnamespace::regnamespace::text IN ('control', 'findings', 'vex', 'vexhub', 'attestor')",
    )
    .fetch_all(&mut database.connect().await)
    .await
    .unwrap();
    let file = format!("sqlite:{}", folder.path("data/provex.db").display());
    let mut file = sqlx::SqliteConnection::connect(&file).await.unwrap();
    let in_file: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .fetch_all(&mut file)
        .await
        .unwrap();
    for tables in [on_server, in_file.iter().map(|table| table.replacen('_', ".", 1)).collect()] {
        let tables: BTreeSet<_> = tables.into_iter().filter(|table| table != "control.migrations").collect();
        assert_eq!(tables, copied);
    }
}

/// A login of this server that has no right but to log in, with what follows its name in CREATE ROLE.
async fn login(database: &TestDatabase, name: &str, more: &str) -> String {
    let name = format!("{name}_{}", std::process::id());
    database
        .execute(&format!("DROP ROLE IF EXISTS {name}; CREATE ROLE {name} LOGIN PASSWORD 'x' {more}"))
        .await;
    with_user(&database.url(), &name, "x")
}

/// Runs it against the database and reads why it was refused: it ends with this code and says all of `parts`.
fn refused(url: &str, code: i32, args: &[&str], parts: &[&str]) {
    let folder = Folder::new();
    folder.text(0, &["init"]);
    let output = folder.command(&[&["--database-url", url], args].concat()).output().unwrap();
    let said = all(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    for part in parts {
        assert!(said.contains(part), "{args:?}: {part}: {said}");
    }
}

#[tokio::test]
async fn every_trouble_with_a_server_says_what_to_do() {
    let (database, empty) = (migrated().await, TestDatabase::empty().await);
    let url = database.url();
    let (server, name) = url.rsplit_once('/').unwrap();
    // Nobody there; no such database; a wrong password.
    let unreachable = url.replace(server.rsplit_once(':').unwrap().1, "1");
    refused(&unreachable, 3, &["status"], &["127.0.0.1:1/", "cannot be reached", "See that it runs"]);
    refused(
        &format!("{server}/nothing"),
        3,
        &["status"],
        &["refuses the login", "nothing", "See user, password"],
    );
    let wrong = with_user(&url, "provex_test", "wrong");
    refused(&wrong, 3, &["migrate"], &["refuses the login", "password authentication failed", name]);
    // A login that may not become the application, may not migrate, or may not have another connection.
    let plain = login(&database, "plain", "").await;
    refused(&plain, 3, &["status"], &["cannot become `provex_app`", "GRANT provex_app TO"]);
    let of_empty = with_user(&empty.url(), &format!("plain_{}", std::process::id()), "x");
    refused(&of_empty, 3, &["migrate"], &["lacks a right", "GRANT provex_app TO", "then run it again"]);
    let member = login(&empty, "member", "IN ROLE provex_app").await;
    refused(&member, 3, &["migrate"], &["lacks a right", "GRANT CREATE ON DATABASE"]);
    let limited = login(&database, "limited", "CONNECTION LIMIT 0 IN ROLE provex_app").await;
    refused(&limited, 3, &["status"], &["has no connection left", "database_connections"]);
    let limited = login(&database, "limited", "CONNECTION LIMIT 1 IN ROLE provex_app").await;
    refused(&limited, 3, &["status"], &["may have 1 at a time, and 4 are needed", "CONNECTION LIMIT"]);
    let limited = login(&database, "limited", "CONNECTION LIMIT 4 IN ROLE provex_app").await;
    Folder::on(&limited).text(0, &["prove", &examples()]);
    // A member of the application's role is all that everyday work needs.
    let worker = login(&database, "worker", "IN ROLE provex_app").await;
    Folder::on(&worker).text(0, &["prove", &examples()]);
    // A superuser's login would see every tenant, were it not for the role.
    refused(
        &url,
        2,
        &["--tenant", "nobody", "prove", &examples()],
        &["no tenant `nobody`", "provex tenant add nobody"],
    );
    // What another tool made, or half made.
    empty.execute("CREATE SCHEMA vex; CREATE TABLE vex.observations (id int)").await;
    let other = ["`vex.observations`", "another tool", "database of its own"];
    refused(&empty.url(), 3, &["migrate"], &other);
    refused(&empty.url(), 3, &["status"], &other);
    refused(&empty.url(), 1, &["migrate", "--check"], &other);
    // Something of ours is gone.
    database.execute("DROP INDEX vex.observations_rekor_uuid_idx").await;
    refused(&url, 3, &["status"], &["observations_rekor_uuid_idx"]);
    refused(&url, 1, &["migrate", "--check"], &["observations_rekor_uuid_idx"]);
}

#[tokio::test]
async fn a_full_disk_is_named_and_leaves_nothing_half_written() {
    let server = TestServer::start();
    let disk = tempfile::tempdir().unwrap();
    let Some(_mounted) = Mounted::new(disk.path()) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "a small disk cannot be mounted");
        eprintln!("left out: a small disk cannot be mounted here");
        return;
    };
    std::os::unix::fs::chown(disk.path(), Some(server.uid()), None).unwrap();
    let database = TestDatabase::empty_on(&server.url()).await;
    let mut superuser = connect(&server.superuser_url()).await;
    let name = database.name();
    for sql in [
        format!("CREATE TABLESPACE small LOCATION '{}'", disk.path().display()),
        format!("ALTER DATABASE {name} SET TABLESPACE small"),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut superuser).await.unwrap();
    }
    let folder = Folder::on(&database.url());
    folder.text(0, &["migrate"]);
    folder.text(0, &["prove", &examples()]);
    let before = folder.json(0, &["status", "--json"]);
    let csaf = repository("testdata/vex").display().to_string();
    let output = folder.provex(&["ingest", &csaf]);
    let said = all(&output);
    assert!(output.status.code() == Some(3) && said.contains("is full: free some space"), "{said}");
    // What was acknowledged is there, whole; and with room it goes on.
    let recorded = folder.json(0, &["status", "--json"]);
    assert!(recorded["documents"].as_u64() >= before["documents"].as_u64());
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    )))
    .execute(&mut superuser)
    .await
    .unwrap();
    let roomy = format!("ALTER DATABASE {name} SET TABLESPACE pg_default");
    sqlx::raw_sql(sqlx::AssertSqlSafe(roomy)).execute(&mut superuser).await.unwrap();
    let run = folder.json(1, &["prove", &csaf, "--json"]);
    assert_eq!((&run["linkages"]["pending"], &run["linkages"]["failed"]), (&0.into(), &0.into()));
}

/// A mounted folder.
struct Mounted(std::path::PathBuf);

impl Mounted {
    /// A disk of 28 MB; `None` for who may not mount one.
    fn new(folder: &std::path::Path) -> Option<Self> {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=28m,mode=777", "tmpfs"]).arg(folder);
        let mounted = mount.status().is_ok_and(|status| status.success());
        mounted.then(|| Self(folder.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_server_that_is_killed_under_load_loses_nothing_and_is_found_again() {
    let server = TestServer::start();
    let database = TestDatabase::empty_on(&server.url()).await;
    let first = Folder::on(&database.url());
    first.text(0, &["migrate"]);
    first.text(0, &["init"]);
    // Three processes on one folder and one on another, each with all documents: they meet at every document.
    let second = Folder::on(&database.url());
    second.text(0, &["init"]);
    second.text(0, &["tenant", "add", "other"]);
    let documents = repository("testdata/vex/openvex").display().to_string();
    let prove = |folder: &Folder, tenant: &str| {
        let mut command = folder.command(&["--tenant", tenant, "prove", &documents, "--json"]);
        let stderr = std::fs::File::options().create(true).append(true).open(folder.path("stderr")).unwrap();
        command.stdout(std::process::Stdio::piped()).stderr(stderr).spawn().unwrap()
    };
    let mut running: Vec<_> = (0..3).map(|_| prove(&first, "default")).collect();
    running.push(prove(&second, "other"));
    for rows in [1, 500, 1_000] {
        wait_for(&server, &database, rows, &mut running).await;
        server.kill();
        server.restart();
    }
    let mut reports = Vec::new();
    for process in running {
        let output = process.wait_with_output().unwrap();
        let said = || [&first, &second].map(|folder| std::fs::read_to_string(folder.path("stderr")));
        assert_eq!(output.status.code(), Some(0), "{:?}", said());
        reports.push(serde_json::from_slice::<Value>(&output.stdout).unwrap());
    }
    let recorded: u64 =
        reports[..3].iter().map(|run| run["observations"]["recorded"].as_u64().unwrap()).sum();
    let expected = reports[3]["observations"]["recorded"].as_u64().unwrap();
    assert_eq!(recorded, expected, "what one records is recorded by no other");
    for (folder, tenant) in [(&first, "default"), (&second, "other")] {
        let status = folder.json(0, &["--tenant", tenant, "status", "--json"]);
        assert_eq!(status["observations"]["linked"], expected, "{status}");
        assert_eq!(status["observations"]["recorded"], expected, "{status}");
    }
    // No statement is in the log twice.
    let entries = "SELECT count(*) FROM attestor.log_entries WHERE tenant_id = 'default'";
    let envelopes = "SELECT count(*) FROM attestor.envelopes WHERE tenant_id = 'default'";
    assert_eq!(database.integer(entries).await, database.integer(envelopes).await);
    let status = first.json(0, &["status", "--json"]);
    assert_eq!(status["log"]["treeSize"], database.integer(entries).await);
}

/// Waits until so many observations are recorded, or the work is done.
async fn wait_for(
    server: &TestServer,
    database: &TestDatabase,
    rows: i64,
    running: &mut [std::process::Child],
) {
    let url = with_database(&server.superuser_url(), database.name());
    let mut connection = connect(&url).await;
    loop {
        let counted: i64 = sqlx::query_scalar("SELECT count(*) FROM vex.observations")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let ended = running.iter_mut().all(|process| process.try_wait().unwrap().is_some());
        if counted >= rows || ended {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// What the pages of tables name beside columns: values, and other things' names.
const VALUES: [&str; 30] = [
    "alias",
    "attest",
    "dead",
    "deleted",
    "document",
    "expired",
    "failed",
    "hashedrekord",
    "identifier",
    "link",
    "linkage",
    "live",
    "none",
    "observation",
    "operator",
    "product",
    "quarantined",
    "queued",
    "set",
    "statements",
    "subcomponent",
    "submit",
    "superseded",
    "tsa",
    "unknown",
    "verified",
    "vex_observations",
    "vexhub",
    "vulnerability",
    "withdrawn",
];

#[tokio::test]
async fn the_data_model_names_the_tables_and_columns_of_a_server_and_no_others() {
    let database = migrated().await;
    let page = std::fs::read_to_string(repository("docs/DATA_MODEL.md")).unwrap();
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT relnamespace::regnamespace || '_' || relname, attname::text
        FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
        WHERE relkind IN ('r', 'p') AND NOT relispartition
            AND relnamespace::regnamespace::text IN ('control', 'findings', 'vex', 'vexhub', 'attestor')",
    )
    .fetch_all(&mut database.connect().await)
    .await
    .unwrap();
    assert!(columns.len() > 150, "{}", columns.len());
    let mut wrong = Vec::new();
    let mut left = columns.iter().cloned().collect::<BTreeSet<_>>();
    // Each table's section goes to the next heading.
    for section in page.split("\n### `").skip(1) {
        let (table, section) = section.split_once('`').unwrap();
        let words = section.split("\n## ").next().unwrap().split('`').skip(1).step_by(2);
        let is_name = |word: &&str| {
            word.starts_with(|c: char| c.is_ascii_lowercase())
                && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        for word in words.filter(is_name) {
            let column = (table.to_owned(), word.to_owned());
            left.remove(&column);
            if !columns.contains(&column) && !VALUES.contains(&word) {
                wrong.push(column);
            }
        }
    }
    assert!(left.is_empty(), "docs/DATA_MODEL.md does not name {left:?}");
    assert!(wrong.is_empty(), "docs/DATA_MODEL.md names what is no column: {wrong:?}");
}
