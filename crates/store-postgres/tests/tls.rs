//! TLS: a server is reached where its certificate is by the authority that is given and for its host, and nowhere else.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use provex_core::ids::TenantId;
use provex_store::testing::{at, id};
use provex_store::{Error, Store as _};
use provex_store_postgres::migrate::{self, Layout};
use provex_store_postgres::testing::TestDatabase;
use provex_store_postgres::{Options, PostgresStore};

/// The authority of the server for tests.
fn authority() -> String {
    std::env::var("PROVEX_TEST_DATABASE_CA").unwrap()
}

async fn refusal(url: &str) -> String {
    let refused = PostgresStore::connect(url, Options::default()).await.unwrap_err();
    assert!(matches!(refused, Error::Tls { .. }), "{refused:?}");
    let checked = migrate::check(url).await.unwrap_err();
    assert_eq!(checked.to_string(), refused.to_string());
    refused.to_string()
}

#[tokio::test]
async fn a_server_with_a_certificate_for_its_host_by_the_given_authority_is_reached() {
    let database = TestDatabase::migrated(Layout::Flat).await;
    let url = format!("{}?sslmode=verify-full&sslrootcert={}", database.url(), authority());
    let store = PostgresStore::connect(&url, Options::default()).await.unwrap();
    store.tenants().await.unwrap();
    // It is the protected way that was taken.
    let mut connection = provex_store_postgres::testing::connect(&url).await;
    let protected: bool = sqlx::query_scalar("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(protected);
}

#[tokio::test]
async fn a_server_of_another_authority_or_host_is_refused_and_the_error_says_what_to_see_to() {
    let database = TestDatabase::migrated(Layout::Flat).await;
    let with = |url: &str, file: &str| format!("{url}?sslmode=verify-full&sslrootcert={file}");
    // The server's certificate is for 127.0.0.1 alone.
    let host = refusal(&with(&database.url().replace("@127.0.0.1:", "@localhost:"), &authority())).await;
    assert!(host.contains("localhost") && host.contains("the host that the URL names"), "{host}");
    // Another authority: of no server here.
    let other = std::env::temp_dir().join(format!("provex-other-ca-{}.crt", std::process::id()));
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=other",
        ])
        .args(["-keyout", "/dev/null", "-out"])
        .arg(&other)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let authority = refusal(&with(&database.url(), other.to_str().unwrap())).await;
    assert!(authority.contains("UnknownIssuer") && authority.contains("sslrootcert"), "{authority}");
    std::fs::remove_file(&other).unwrap();
    let missing = refusal(&with(&database.url(), "/nowhere/ca.crt")).await;
    assert!(missing.contains("/nowhere/ca.crt cannot be read"), "{missing}");
}

#[tokio::test]
async fn a_server_that_takes_no_changes_is_named_with_what_to_see_to() {
    let database = TestDatabase::migrated(Layout::Flat).await;
    database
        .execute(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name()))
        .await;
    let store = database.store().await;
    let refused = store.add_tenant(&TenantId::default_tenant(), id(1), at(0)).await.unwrap_err();
    assert!(matches!(refused, Error::ReadOnlyServer { .. }), "{refused:?}");
    let text = refused.to_string();
    assert!(text.contains("primary") && text.contains("default_transaction_read_only"), "{text}");
}
