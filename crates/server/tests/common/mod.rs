//! A server on a fresh database of either store, asked in process; the clock stands where the test puts it.
#![allow(clippy::panic, clippy::unwrap_used, reason = "the allowance for tests does not reach helpers")]
#![allow(dead_code, unreachable_pub, reason = "each file of tests uses some of it")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use provex_core::digest::Digest;
use provex_core::ids::{ObservationId, TenantId};
use provex_core::ledger::{ActorType, PROJECTION_VERSION};
use provex_core::time::Timestamp;
use provex_formats::ParseLimits;
use provex_pipeline::Pipeline;
use provex_pipeline::environment::Environment;
use provex_server::{App, Secret, router};
use provex_store::testing::{SignedFixture, at, document, id};
use provex_store::{Actor, ApiToken, LeaseToken, Recording, Scope, Store};
use provex_store_postgres::copy::copy;
use provex_store_postgres::migrate::Layout;
use provex_store_postgres::testing::TestDatabase;
use provex_store_sqlite::SqliteStore;
use serde_json::Value;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use tower::ServiceExt as _;

/// A clock that the test moves, and numbers that look random.
pub struct Clock {
    micros: AtomicI64,
    drawn: AtomicU64,
}

impl Clock {
    pub fn advance(&self, seconds: i64) {
        self.micros.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Environment for Clock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.micros.load(Ordering::SeqCst)).unwrap()
    }

    fn random(&self, bytes: &mut [u8]) {
        let number = self.drawn.fetch_add(1, Ordering::SeqCst);
        bytes.copy_from_slice(&Digest::of(&number.to_be_bytes()).as_bytes()[..bytes.len()]);
    }
}

/// Makes each fact a test on either store.
#[macro_export]
macro_rules! on_each_store {
    ($($fact:ident)+) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $fact() {
                    super::$fact($crate::common::On::Sqlite).await;
                }
            )+
        }

        mod on_postgres {
            $(
                #[tokio::test]
                async fn $fact() {
                    super::$fact($crate::common::On::Postgres).await;
                }
            )+
        }
    };
}

/// Which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Sqlite,
    /// On the server that `PROVEX_TEST_DATABASE_URL` names, without which a test fails.
    Postgres,
}

/// Where the data is, removed with this value.
enum Place {
    File(tempfile::TempDir),
    Server(TestDatabase),
}

pub struct World {
    // Before its place: what is open is closed first.
    pub store: Arc<dyn Store>,
    pub clock: Arc<Clock>,
    pub app: Arc<App>,
    tokens: AtomicU64,
    place: Place,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The last part of a problem's type; fails unless it is a whole problem.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        assert_eq!(body["status"], self.status.as_u16(), "{body}");
        assert!(!body["title"].as_str().unwrap().is_empty() && !body["detail"].as_str().unwrap().is_empty());
        let kind = body["type"].as_str().unwrap();
        kind.strip_prefix("https://provex.dev/problems/").unwrap().to_owned()
    }
}

pub fn tenant() -> TenantId {
    TenantId::default_tenant()
}

pub fn other_tenant() -> TenantId {
    "other".parse().unwrap()
}

impl World {
    pub async fn new(on: On) -> Self {
        let place = match on {
            On::Sqlite => Place::File(tempfile::tempdir().unwrap()),
            On::Postgres => Place::Server(TestDatabase::migrated(Layout::Hash16).await),
        };
        let micros = AtomicI64::new(at(0).as_unix_micros());
        let clock = Arc::new(Clock { micros, drawn: AtomicU64::new(0) });
        let world = Self::open(place, clock, AtomicU64::new(0)).await;
        world.store.add_tenant(&tenant(), id(1), at(0)).await.unwrap();
        world.store.add_tenant(&other_tenant(), id(2), at(0)).await.unwrap();
        world
    }

    async fn open(place: Place, clock: Arc<Clock>, tokens: AtomicU64) -> Self {
        let store: Arc<dyn Store> = match &place {
            Place::File(folder) => {
                Arc::new(SqliteStore::open(&folder.path().join("provex.db")).await.unwrap())
            }
            Place::Server(database) => Arc::new(database.store().await),
        };
        let limits = ParseLimits { max_bytes: 100_000, ..ParseLimits::default() };
        let app = App::new(Arc::clone(&store), clock.clone(), limits, true);
        Self { store, clock, app, tokens, place }
    }

    /// The same after a restart.
    pub async fn restarted(self) -> Self {
        let Self { store, clock, app, tokens, place } = self;
        drop((store, app));
        Self::open(place, clock, tokens).await
    }

    /// On a PostgreSQL, what was in a file.
    pub async fn moved(self) -> Self {
        let Self { store, clock, app, tokens, place } = self;
        drop((store, app));
        let Place::File(folder) = place else { panic!("only a file is moved") };
        let file = SqliteStore::open(&folder.path().join("provex.db")).await.unwrap();
        let database = TestDatabase::migrated(Layout::Hash16).await;
        let mut snapshot = file.into_snapshot().await.unwrap();
        copy(&database.url(), snapshot.as_mut(), &mut |_, _| ()).await.unwrap();
        Self::open(Place::Server(database), clock, tokens).await
    }

    /// The tenant's ledger made again from its events: it has to be as it is.
    pub async fn replay(&self) {
        let (store, environment) = (Arc::clone(&self.store), self.clock.clone());
        let pipeline = Pipeline {
            store,
            environment,
            tenant: tenant(),
            actor: recording(self.clock.now()).actor,
            run: None,
        };
        let replay = pipeline.replay(PROJECTION_VERSION).await.unwrap();
        assert_eq!(replay.differs, None);
    }

    /// A token of the tenant with these scopes.
    pub async fn token_of(&self, tenant: &TenantId, scopes: &[Scope]) -> (uuid::Uuid, String) {
        let number = self.tokens.fetch_add(1, Ordering::SeqCst);
        let secret = Secret::new(Digest::of(&number.to_le_bytes()).as_bytes());
        let token = ApiToken {
            id: id(number),
            digest: secret.digest(),
            tenant: tenant.clone(),
            scopes: scopes.iter().copied().collect::<BTreeSet<_>>(),
            label: None,
            created_at: self.clock.now(),
            expires_at: Some(self.clock.now().plus_micros(10_000 * 1_000_000).unwrap()),
            revoked_at: None,
        };
        self.store.add_api_token(&token).await.unwrap();
        (token.id, secret.reveal().to_owned())
    }

    pub async fn token(&self, scopes: &[Scope]) -> String {
        self.token_of(&tenant(), scopes).await.1
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = router(Arc::clone(&self.app)).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// What is counted.
    pub async fn metrics(&self) -> String {
        let answer = self.send(Request::builder().uri("/metrics").body(Body::empty()).unwrap()).await;
        String::from_utf8(answer.body.to_vec()).unwrap()
    }

    /// Runs SQL behind the store's back, each store its own.
    pub async fn as_owner(&self, on_sqlite: &'static str, on_postgres: &'static str) {
        match &self.place {
            Place::File(folder) => {
                let options = SqliteConnectOptions::new().filename(folder.path().join("provex.db"));
                let mut owner = options.connect().await.unwrap();
                sqlx::raw_sql(on_sqlite).execute(&mut owner).await.unwrap();
            }
            Place::Server(database) => database.execute(on_postgres).await,
        }
    }

    /// Asks as the default tenant.
    pub async fn get(&self, token: &str, path: &str) -> Answer {
        self.send(request("GET", token, path).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, token: &str, body: impl Into<Body>) -> Answer {
        let request = request("POST", token, "/v1/vex/documents").header("content-type", "application/json");
        self.send(request.body(body.into()).unwrap()).await
    }

    /// Records a document of so many observations and links them all.
    pub async fn linked(
        &self,
        fixture: &mut SignedFixture,
        number: u64,
        observations: u64,
    ) -> Vec<ObservationId> {
        self.linked_for(&tenant(), fixture, number, observations).await
    }

    pub async fn linked_for(
        &self,
        tenant: &TenantId,
        fixture: &mut SignedFixture,
        number: u64,
        observations: u64,
    ) -> Vec<ObservationId> {
        let (new, token) = (document(number, observations), LeaseToken(id(99)));
        self.store
            .record_documents(tenant, &recording(self.clock.now()), std::slice::from_ref(&new))
            .await
            .unwrap();
        let signed = fixture.sign(tenant, &[&new]);
        let envelope = signed.to_new_envelope(id(1_000 + number));
        self.store.record_envelopes(tenant, self.clock.now(), token, &[], &[envelope]).await.unwrap();
        let logged = fixture.log(&signed);
        self.store
            .link(tenant, &recording(self.clock.now()), token, &[logged.to_new_link(None)])
            .await
            .unwrap();
        logged.linkages.iter().map(|linkage| linkage.observation).collect()
    }
}

pub fn recording(now: Timestamp) -> Recording {
    let actor = Actor { id: "test".to_owned(), kind: ActorType::System };
    Recording { now, actor, run: None, seed: [0; 32] }
}

/// A request of the default tenant.
pub fn request(method: &str, token: &str, path: &str) -> axum::http::request::Builder {
    let request = Request::builder().method(method).uri(path);
    request.header("authorization", format!("Bearer {token}")).header("x-stella-tenant", "default")
}

/// An OpenVEX document with so many statements.
pub fn openvex(number: usize, statements: usize) -> Vec<u8> {
    let statement = |index: usize| {
        serde_json::json!({
            "vulnerability": {"name": format!("CVE-2026-{:04}", 1_000 + index)},
            "products": [{"@id": format!("pkg:generic/product-{number}@1.{index}")}],
            "status": "fixed",
        })
    };
    let document = serde_json::json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": format!("https://example.com/vex/{number}"),
        "author": "Example",
        "timestamp": "2026-01-01T00:00:00Z",
        "version": 1,
        "statements": (0..statements).map(statement).collect::<Vec<_>>(),
    });
    serde_json::to_vec(&document).unwrap()
}
