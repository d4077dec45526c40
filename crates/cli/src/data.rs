//! The data folder: keys, trusted root, signing config, configuration, database and log.
//!
//! `provex.toml` is written last, so a folder that has it is complete; an interrupted `init` goes on where it was.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::num::{NonZeroU32, NonZeroUsize};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use provex_core::digest::Digest;
use provex_core::ids::TenantId;
use provex_core::intoto::SaltKey;
use provex_core::json::Limits;
use provex_core::keys::{LocalSigner, PublicKey, Signer};
use provex_core::ledger::ActorType;
use provex_core::time::Timestamp;
use provex_core::trusted_root::{SigningConfig, TrustedLog, TrustedRoot};
use provex_formats::ParseLimits;
use provex_pipeline::environment::Environment;
use provex_pipeline::{Pipeline, StoreCheckpoints, Unit};
use provex_store::{Actor, Store};
use provex_tlog::TransparencyLog;
use provex_tlog::embedded::{EmbeddedLog, EmbeddedLogConfig};

use crate::args::{Global, UnitArgs, UnitName};
use crate::database::Database;
use crate::environment::System;
use crate::failure::Failure;
use crate::logs::{LogConfig, Reach};

const CONFIG: &str = r#"# provex configuration. Every key is optional; unknown keys are refused. See docs/OPERATIONS.md.
#
# tenant = "default"
# max_document_bytes = 157286400
# unit = "document"           # what one signed statement is about: document, observation or batch
# batch_size = 256             # with batch: documents a statement, 1 to 256
# database_wait_seconds = 60   # how long another program may hold the database
# database_url = "postgres://provex@db.example/provex?sslmode=verify-full"   # a PostgreSQL instead of provex.db
# database_url_file = "database-url"   # the same from a file of mode 0600, where it may hold a password
# database_connections = 10    # connections to that PostgreSQL at most
#
# Where statements are logged instead of in this folder's own log; files relative to this folder.
# signing_config = "rekor/signing_config.json"
# trusted_root = "rekor/trusted_root.json"
# log_read_url = "https://tiles.example"  # where the log's tiles are served, if elsewhere
# log_concurrency = 256        # submissions under way at once
# log_timeout_seconds = 30     # how long a log or timestamp authority may take to answer
# log_tls_roots = "ca.pem"     # the only certificates that their chains may end in
# tenants = { secret = { log = "none" }, acme = { signing_config = "acme.json", trusted_root = "acme-root.json" } }
"#;
/// How long a process waits before it looks again for work that another one holds.
const WAIT: Duration = Duration::from_millis(100);
/// How long before `init` an embedded log's key counts as valid, so that no reader's clock stands in the way.
const ONE_DAY_SECONDS: i64 = 24 * 60 * 60;

/// `provex.toml`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The tenant where none is named.
    tenant: Option<String>,
    /// The largest document that is read.
    pub(crate) max_document_bytes: Option<usize>,
    /// What one statement is about.
    unit: Option<UnitName>,
    /// Documents a statement, with `unit = "batch"`.
    batch_size: Option<u16>,
    /// How long another program may hold the database.
    pub(crate) database_wait_seconds: Option<u32>,
    /// A PostgreSQL in the place of `provex.db`, without a password.
    pub(crate) database_url: Option<String>,
    /// The file that holds such a URL.
    pub(crate) database_url_file: Option<PathBuf>,
    /// Connections to it at most.
    pub(crate) database_connections: Option<NonZeroU32>,
    /// Where statements are logged.
    signing_config: Option<PathBuf>,
    trusted_root: Option<PathBuf>,
    log_read_url: Option<String>,
    /// How logs are reached.
    log_concurrency: Option<u16>,
    log_timeout_seconds: Option<u16>,
    log_tls_roots: Option<PathBuf>,
    /// Where single tenants' statements are logged.
    #[serde(default)]
    tenants: BTreeMap<String, LogConfig>,
}

impl Config {
    /// Reads the folder's; `None` where it has none.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, Failure> {
        let path = folder.join("provex.toml");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(anyhow::Error::new(error).context(path.display().to_string()).into()),
        };
        // Without the line itself, which may hold a password.
        let parsed = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            Failure::call(format!("{}: line {line}: {}", path.display(), error.message()))
        });
        parsed.map(Some)
    }
}

/// The most documents that one statement is about.
const MAX_BATCH: u16 = 256;

/// Who a command line's events name.
pub(crate) fn operator() -> Actor {
    Actor { id: "cli".to_owned(), kind: ActorType::Operator }
}

/// A complete data folder.
pub(crate) struct DataFolder {
    path: PathBuf,
    pub(crate) config: Config,
    pub(crate) trusted_root: TrustedRoot,
    database: Database,
}

impl DataFolder {
    /// Opens a complete folder.
    pub(crate) fn open(global: &Global) -> Result<Self, Failure> {
        let path = &global.data;
        let Some(config) = Config::read(path)? else {
            return Err(Failure::call(format!(
                "{} is no data folder; `provex init` makes one, `provex prove` does too",
                path.display()
            )));
        };
        let database = Database::choose(global, &config)?;
        let root = present(path, TRUSTED_ROOT)?;
        let trusted_root = TrustedRoot::parse(&read(&root)?).with_context(|| root.display().to_string())?;
        Ok(Self { path: path.clone(), config, trusted_root, database })
    }

    /// Opens the folder, or makes it first if there is none.
    pub(crate) async fn open_or_init(global: &Global) -> Result<Self, Failure> {
        if !global.data.join("provex.toml").exists() {
            init(global, None, None).await?;
        }
        Self::open(global)
    }

    /// Where the folder is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a tenant's statements are logged, as the file says: what it says of the tenant, else of all.
    pub(crate) fn log_config(&self, tenant: &TenantId) -> LogConfig {
        let config = &self.config;
        config.tenants.get(tenant.as_str()).cloned().unwrap_or_else(|| LogConfig {
            log: None,
            signing_config: config.signing_config.clone(),
            trusted_root: config.trusted_root.clone(),
            log_read_url: config.log_read_url.clone(),
        })
    }

    /// How logs are reached.
    pub(crate) fn reach(&self) -> Reach {
        Reach {
            tls_roots: self.config.log_tls_roots.clone(),
            concurrency: self.config.log_concurrency,
            timeout: self.config.log_timeout_seconds,
        }
    }

    /// The tenant that was named, else the configured one, else `default`.
    pub(crate) fn tenant(&self, named: Option<&TenantId>) -> Result<TenantId, Failure> {
        match (named, &self.config.tenant) {
            (Some(tenant), _) => Ok(tenant.clone()),
            (None, Some(tenant)) => tenant.parse().map_err(Failure::call),
            (None, None) => Ok(TenantId::default_tenant()),
        }
    }

    /// How large a document may be.
    pub(crate) fn parse_limits(&self) -> ParseLimits {
        let limits = ParseLimits::default();
        ParseLimits { max_bytes: self.config.max_document_bytes.unwrap_or(limits.max_bytes), ..limits }
    }

    /// What one statement is about: as the call says, else as configured, else a document.
    pub(crate) fn unit(&self, args: UnitArgs) -> Result<Unit, Failure> {
        let name = args.unit.or(self.config.unit).unwrap_or(UnitName::Document);
        if args.batch_size.is_some() && name != UnitName::Batch {
            return Err(Failure::call("--batch-size goes with --unit batch"));
        }
        let size = args.batch_size.or(self.config.batch_size).unwrap_or(MAX_BATCH);
        let size = NonZeroUsize::new(size.into()).filter(|_| size <= MAX_BATCH);
        let size = size.ok_or_else(|| Failure::call(format!("batch_size is 1 to {MAX_BATCH}")))?;
        Ok(match name {
            UnitName::Document => Unit::Document,
            UnitName::Observation => Unit::Observation,
            UnitName::Batch => Unit::Batch(size),
        })
    }

    /// The attestation keys, retired ones included: `keys/attest*.pub`.
    pub(crate) fn public_keys(&self) -> Result<Vec<PublicKey>, Failure> {
        public_keys(&self.path)
    }

    /// The key that signs attestations.
    pub(crate) fn signer(&self) -> Result<LocalSigner, Failure> {
        let keys = self.path.join("keys");
        let signer = private_key(&present(&self.path, ATTEST_KEY)?)?;
        let path = keys.join("attest.pub");
        let public = if path.exists() { Some(public_key(&path)?) } else { None };
        // A rotation that was killed between the two files is finished here.
        if public.as_ref() != Some(signer.public_key()) {
            if public.is_some() {
                retire(&keys, "attest")?;
            }
            write_file(&path, signer.public_key().to_pem().as_bytes(), 0o644)?;
        }
        Ok(signer)
    }

    /// The key that makes payloads unguessable.
    pub(crate) fn salt_key(&self) -> Result<SaltKey, Failure> {
        let path = present(&self.path, SALT_KEY)?;
        let bytes = read_secret(&path)?;
        let bytes = bytes.try_into().map_err(|_| anyhow!("{} is not 32 bytes", path.display()))?;
        Ok(SaltKey::new(bytes))
    }

    /// The database, which has to be there.
    pub(crate) async fn store(&self) -> Result<Arc<dyn Store>, Failure> {
        if !self.database.is_shared() {
            present(&self.path, DATABASE)?;
        }
        self.database.open(&self.config).await
    }

    /// The tenant's pipeline on the database, for one run of an operator's.
    pub(crate) async fn pipeline(&self, tenant: TenantId) -> Result<Pipeline, Failure> {
        let store = self.store().await?;
        let (actor, run) = (operator(), Some(System.uuid()));
        Ok(Pipeline { store, environment: Arc::new(System), tenant, actor, run })
    }

    /// Takes the folder for work. Whoever holds it alone gives back what a killed process had leased, and tries at
    /// once what waits to be tried again: somebody may have mended what stood in the way. On a database that others
    /// may work on from elsewhere, leases end by themselves.
    pub(crate) async fn work(&self, tenants: &[Pipeline]) -> Result<WorkLock, Failure> {
        let path = self.path.join(".work.lock");
        let file = open_lock(&path)?;
        let clears = !self.database.is_shared();
        if clears && file.try_lock().is_ok() {
            for pipeline in tenants {
                pipeline.store.clear_leases(&pipeline.tenant, System.now()).await?;
            }
            file.unlock().with_context(|| path.display().to_string())?;
        }
        let shown = path.clone();
        let context = || path.display().to_string();
        tokio::task::spawn_blocking(move || file.lock_shared().map(|()| file))
            .await
            .with_context(context)?
            .with_context(context)
            .map(|file| WorkLock { file, path: shown, clears })
            .map_err(Failure::from)
    }

    /// The folder's embedded log.
    pub(crate) fn log(&self, pipeline: &Pipeline) -> Result<Arc<dyn TransparencyLog>, Failure> {
        let signer = private_key(&present(&self.path, LOG_KEY)?)?;
        if self.path.join("keys/log.next.pem").exists() {
            return Err(anyhow!(
                "a rotation of the log was interrupted: run `provex key rotate --log` again"
            )
            .into());
        }
        let known = self.trusted_root.logs.iter().find(|log| log.key.key == *signer.public_key());
        let identity = known.ok_or_else(|| {
            anyhow!(
                "trusted_root.json does not know the log of keys/log.pem; restore the file of this folder"
            )
        })?;
        let config = log_config(&self.path, identity.clone(), signer, Arc::clone(&pipeline.store));
        Ok(Arc::new(EmbeddedLog::open(config)))
    }
}

/// A file that every complete folder has, and what helps whoever has lost it for good.
type Needed = (&'static str, &'static str);
const ATTEST_KEY: Needed = ("keys/attest.pem", "`provex key rotate` begins with another key");
const DATABASE: Needed =
    ("provex.db", "`provex init` makes an empty one, and `provex prove` records the documents again");
const LOG_KEY: Needed = ("keys/log.pem", "`provex key rotate --log` begins a new log");
const SALT_KEY: Needed = (
    "keys/salt.key",
    "`provex init` makes another, with which statements of the same documents have other bytes than before",
);
const TRUSTED_ROOT: Needed =
    ("trusted_root.json", "whoever verifies has it too, and a new data folder begins with a new log");

/// Where a file of a complete folder is.
fn present(folder: &Path, (name, otherwise): Needed) -> Result<PathBuf, Failure> {
    let path = folder.join(name);
    if path.exists() {
        return Ok(path);
    }
    let path = path.display();
    Err(anyhow!("{path} is missing: bring it back from a copy of this folder. If there is none, {otherwise}")
        .into())
}

/// Refuses a folder whose database is not there.
pub(crate) fn require_database(folder: &Path) -> Result<(), Failure> {
    present(folder, DATABASE).map(|_| ())
}

/// Shows that this process works on the folder.
pub(crate) struct WorkLock {
    file: File,
    path: PathBuf,
    /// Whether holding it alone means that nobody else works on the database.
    clears: bool,
}

impl WorkLock {
    /// Waits a moment for work that another process holds. If that process has ended, its leases are given back here:
    /// nobody holds the lock meanwhile but who waits like this, without any lease.
    pub(crate) async fn wait(&self, pipeline: &Pipeline) -> Result<(), Failure> {
        tokio::time::sleep(WAIT).await;
        if !self.clears {
            return Ok(());
        }
        if self.file.try_lock().is_ok() {
            pipeline.store.clear_leases(&pipeline.tenant, System.now()).await?;
        }
        // Taking the lock alone gives the shared one up first, whether it succeeds or not.
        self.file.lock_shared().with_context(|| self.path.display().to_string())?;
        Ok(())
    }
}

/// What `init` made or found.
pub(crate) struct Initialised {
    /// The log's origin.
    pub(crate) origin: String,
    /// SHA-256 of the attestation key's SPKI.
    pub(crate) key: String,
    /// Nothing was left to make.
    pub(crate) existed: bool,
}

/// Makes what the folder lacks: keys, trust, database, log.
pub(crate) async fn init(
    global: &Global,
    origin: Option<&str>,
    given: Option<LocalSigner>,
) -> Result<Initialised, Failure> {
    if let Some(origin) = origin {
        check_origin(origin)?;
    }
    let path = global.data.as_path();
    let config = Config::read(path)?.unwrap_or_default();
    let database = Database::choose(global, &config)?;
    // A server that cannot be used is found before anything is made.
    let server = if database.is_shared() { Some(database.open(&config).await?) } else { None };
    let keys = path.join("keys");
    let context = || format!("cannot make the data folder {}", path.display());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&keys).with_context(context)?;
    let lock_path = path.join(".work.lock");
    let lock = open_lock(&lock_path)?;
    lock.lock().with_context(|| lock_path.display().to_string())?;
    let existed = path.join("provex.toml").exists();
    if existed {
        // What a complete folder has lost is not to be made anew unseen: another key would sign from then on.
        [ATTEST_KEY, LOG_KEY, TRUSTED_ROOT]
            .into_iter()
            .try_for_each(|file| present(path, file).map(|_| ()))?;
    }
    let wanted = given.as_ref().map(|signer| signer.public_key().clone());
    let attest = ensure_key(&keys, "attest", || given.unwrap_or_else(random_p256))?;
    if wanted.is_some_and(|wanted| wanted != *attest.public_key()) {
        return Err(Failure::call(
            "the folder signs with another key already; `provex key rotate` changes it",
        ));
    }
    let log = ensure_key(&keys, "log", || LocalSigner::ed25519_from_random(&random_bytes()))?;
    ensure_salt(&keys.join("salt.key"))?;
    let identity = ensure_trust(path, origin, log.public_key())?;
    let store = match server {
        Some(server) => server,
        None => database.open(&config).await?,
    };
    store.add_tenant(&TenantId::default_tenant(), System.uuid(), System.now()).await?;
    if !path.join("log/checkpoint").exists() {
        let config = log_config(path, identity.clone(), log, store);
        EmbeddedLog::create(config).await.map_err(|e| anyhow!("{e}"))?;
    }
    if !existed {
        write_file(&path.join("provex.toml"), CONFIG.as_bytes(), 0o644)?;
    }
    let key = attest.public_key().fingerprint().to_hex();
    Ok(Initialised { origin: identity.origin().to_owned(), key, existed })
}

/// What a rotation did.
pub(crate) struct Rotated {
    /// SHA-256 of the new key's SPKI.
    pub(crate) new: String,
    /// Where the old public key is now.
    pub(crate) retired: PathBuf,
}

/// Takes the folder for a change of keys, or a copy: nobody works on it meanwhile.
pub(crate) fn alone(path: &Path) -> Result<File, Failure> {
    let lock_path = path.join(".work.lock");
    let lock = open_lock(&lock_path)?;
    lock.try_lock()
        .map_err(|_| anyhow!("another provex works on {}; try again when it has ended", path.display()))?;
    Ok(lock)
}

/// Signs with another key from now on. The old public key is kept first, so that a kill in between loses none.
pub(crate) async fn rotate_attest(global: &Global, given: Option<LocalSigner>) -> Result<Rotated, Failure> {
    let folder = DataFolder::open(global)?;
    let path = folder.path.as_path();
    // A folder that this release does not understand stays as it is.
    folder.store().await?;
    let keys = path.join("keys");
    // One that is lost can be replaced too.
    if keys.join("attest.pem").exists() {
        folder.signer()?;
    }
    let _alone = alone(path)?;
    let signer = given.unwrap_or_else(random_p256);
    let retired = retire(&keys, "attest")?;
    let pem = signer.to_pkcs8_pem().context("encoding the key")?;
    write_file(&keys.join("attest.pem"), pem.as_bytes(), 0o600)?;
    write_file(&keys.join("attest.pub"), signer.public_key().to_pem().as_bytes(), 0o644)?;
    Ok(Rotated { new: signer.public_key().fingerprint().to_hex(), retired })
}

fn refuse_known_origin(root: &TrustedRoot, origin: &str) -> Result<(), Failure> {
    if root.logs.iter().any(|known| known.origin() == origin) {
        return Err(Failure::call(format!("`{origin}` is the name of a log that was here before")));
    }
    Ok(())
}

/// Begins a new embedded log: a new key, a new origin, a new folder. The old log stays trusted, its window ends now,
/// and its folder moves to `ended-logs/<origin>`. `keys/log.next.pem` stands while this goes on: killed, it is run again.
pub(crate) async fn rotate_log(global: &Global, origin: Option<&str>) -> Result<String, Failure> {
    if let Some(origin) = origin {
        check_origin(origin)?;
    }
    let path = global.data.as_path();
    let folder = DataFolder::open(global)?;
    let _alone = alone(path)?;
    // Whatever is wrong with the database or the call is found before anything changes.
    let store = folder.store().await?;
    if let Some(origin) = origin
        && !path.join("keys/log.next.pem").exists()
    {
        refuse_known_origin(&folder.trusted_root, origin)?;
    }
    let keys = path.join("keys");
    let next = ensure_key(&keys, "log.next", || LocalSigner::ed25519_from_random(&random_bytes()))?;
    let old_key = match keys.join("log.pem") {
        path if path.exists() => private_key(&path)?.public_key().clone(),
        // One that is lost can be replaced too.
        _ => public_key(&keys.join("log.pub"))?,
    };
    let mut root = folder.trusted_root;
    if !root.logs.iter().any(|log| log.key.key == *next.public_key()) {
        let now = Timestamp::from_unix_seconds(System.now().as_unix_seconds()).context("the clock is off")?;
        let log = new_log(origin, next.public_key())?;
        refuse_known_origin(&root, log.origin())?;
        let old = root.logs.iter_mut().filter(|log| log.key.key == old_key);
        old.for_each(|log| log.valid_until = Some(now));
        root.logs.push(log);
        write_file(&path.join("trusted_root.json"), root.to_json().as_bytes(), 0o644)?;
    }
    let log = root.logs.iter().find(|log| log.key.key == *next.public_key());
    let log = log.ok_or_else(|| anyhow!("trusted_root.json does not know the new log"))?.clone();
    write_file(&path.join("signing_config.json"), SigningConfig::embedded(&log).to_json().as_bytes(), 0o644)?;
    // Killed after the new key took its place, only the last step is left.
    if old_key != *next.public_key() {
        let old = root.logs.iter().find(|log| log.key.key == old_key);
        let ended = path.join("ended-logs");
        fs::create_dir_all(&ended).with_context(|| ended.display().to_string())?;
        if let Some(moved) = old.map(|old| ended.join(old.origin()))
            && !moved.exists()
        {
            fs::rename(path.join("log"), &moved).with_context(|| moved.display().to_string())?;
        }
        retire(&keys, "log")?;
    }
    let pem = next.to_pkcs8_pem().context("encoding the key")?;
    let public = next.public_key().to_pem();
    let config = log_config(path, log.clone(), next, store);
    EmbeddedLog::create(config).await.map_err(|e| anyhow!("{e}"))?;
    write_file(&keys.join("log.pem"), pem.as_bytes(), 0o600)?;
    write_file(&keys.join("log.pub"), public.as_bytes(), 0o644)?;
    for name in ["log.next.pub", "log.next.pem"] {
        let path = keys.join(name);
        fs::remove_file(&path).with_context(|| path.display().to_string())?;
    }
    Ok(log.origin().to_owned())
}

/// Copies `<name>.pub` to `<name>-<first 8 hex of its SHA-256>.pub`.
fn retire(keys: &Path, name: &str) -> Result<PathBuf, Failure> {
    let key = public_key(&keys.join(format!("{name}.pub")))?;
    let path = keys.join(format!("{name}-{}.pub", &key.fingerprint().to_hex()[..8]));
    write_file(&path, key.to_pem().as_bytes(), 0o644)?;
    Ok(path)
}

/// A log that begins now: its origin as given, else made from its key.
fn new_log(origin: Option<&str>, key: &PublicKey) -> Result<TrustedLog, Failure> {
    let by_key = format!("log-{}.provex.internal", &key.fingerprint().to_hex()[..8]);
    let start = System.now().as_unix_seconds() - ONE_DAY_SECONDS;
    let start = Timestamp::from_unix_seconds(start).context("the clock is off")?;
    Ok(TrustedLog::embedded(origin.unwrap_or(&by_key), key.clone(), start))
}

/// The public keys of a folder that may have nothing else.
pub(crate) fn public_keys(path: &Path) -> Result<Vec<PublicKey>, Failure> {
    public_key_files(path)?.iter().map(|path| public_key(path)).collect()
}

fn public_key_files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let folder = path.join("keys");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(anyhow::Error::new(error).context(folder.display().to_string()).into()),
    };
    let mut paths: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("attest") && name.ends_with(".pub")
    });
    paths.sort();
    Ok(paths)
}

/// The file among `keys/attest*.pub` that holds the key of this fingerprint.
pub(crate) fn public_key_file(path: &Path, fingerprint: &Digest) -> Result<Option<PathBuf>, Failure> {
    for file in public_key_files(path)? {
        if public_key(&file)?.fingerprint() == *fingerprint {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Reads a PEM public key.
pub(crate) fn public_key(path: &Path) -> Result<PublicKey, Failure> {
    let pem = String::from_utf8(read(path)?).map_err(|_| anyhow!("{} is not PEM", path.display()))?;
    Ok(PublicKey::from_pem(&pem).with_context(|| path.display().to_string())?)
}

fn log_config(
    path: &Path,
    identity: TrustedLog,
    signer: LocalSigner,
    store: Arc<dyn Store>,
) -> EmbeddedLogConfig {
    let checkpoints = StoreCheckpoints { store, environment: Arc::new(System), log: identity.id };
    EmbeddedLogConfig {
        folder: path.join("log"),
        identity,
        signer: Arc::new(signer),
        checkpoints: Arc::new(checkpoints),
    }
}

fn check_origin(origin: &str) -> Result<(), Failure> {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
    };
    if origin.len() <= 253 && origin.split('.').all(label) {
        Ok(())
    } else {
        Err(Failure::call(format!("`{origin}` is no bare host name in lower case: no scheme, port or path")))
    }
}

/// Reads `<name>.pem`, or makes it; then sees that `<name>.pub` is there.
fn ensure_key(keys: &Path, name: &str, make: impl FnOnce() -> LocalSigner) -> Result<LocalSigner, Failure> {
    let private = keys.join(format!("{name}.pem"));
    if !private.exists() {
        let pem = make().to_pkcs8_pem().context("encoding a fresh key")?;
        write_file(&private, pem.as_bytes(), 0o600)?;
    }
    let signer = private_key(&private)?;
    let public = keys.join(format!("{name}.pub"));
    if !public.exists() {
        write_file(&public, signer.public_key().to_pem().as_bytes(), 0o644)?;
    }
    Ok(signer)
}

fn random_p256() -> LocalSigner {
    loop {
        // Fewer than one in 2^32 draws is no scalar of the curve.
        if let Ok(signer) = LocalSigner::p256_from_random(&random_bytes()) {
            return signer;
        }
    }
}

pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    System.random(&mut bytes);
    bytes
}

fn ensure_salt(path: &Path) -> Result<(), Failure> {
    if !path.exists() {
        write_file(path, &random_bytes::<32>(), 0o600)?;
    }
    Ok(())
}

/// Sees that trusted root and signing config name the log.
fn ensure_trust(path: &Path, origin: Option<&str>, key: &PublicKey) -> Result<TrustedLog, Failure> {
    let root_path = path.join("trusted_root.json");
    if !root_path.exists() {
        let log = new_log(origin, key)?;
        write_file(&root_path, TrustedRoot::new(vec![log]).to_json().as_bytes(), 0o644)?;
    }
    let root = TrustedRoot::parse(&read(&root_path)?).with_context(|| root_path.display().to_string())?;
    let known = root.logs.iter().find(|log| log.key.key == *key);
    let log =
        known.ok_or_else(|| anyhow!("{} does not know the log of keys/log.pem", root_path.display()))?;
    if let Some(other) = origin.filter(|origin| *origin != log.origin()) {
        return Err(Failure::call(format!(
            "the log of this folder is `{}` for ever; `{other}` would be another log in another folder",
            log.origin()
        )));
    }
    let config_path = path.join("signing_config.json");
    if !config_path.exists() {
        write_file(&config_path, SigningConfig::embedded(log).to_json().as_bytes(), 0o644)?;
    }
    Ok(log.clone())
}

fn private_key(path: &Path) -> Result<LocalSigner, anyhow::Error> {
    let pem = String::from_utf8(read_secret(path)?).map_err(|_| anyhow!("{} is not PEM", path.display()))?;
    LocalSigner::from_pkcs8_pem(&pem).with_context(|| path.display().to_string())
}

/// Reads a file that nobody else may read.
pub(crate) fn read_secret(path: &Path) -> Result<Vec<u8>, anyhow::Error> {
    let mode = fs::metadata(path).with_context(|| path.display().to_string())?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!("{0} can be read by others (mode {1:o}): `chmod 600 {0}`", path.display(), mode & 0o777);
    }
    fs::read(path).with_context(|| path.display().to_string())
}

/// Reads a file of ours or of a proof: no more of it than any of them may have.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, anyhow::Error> {
    use std::io::Read as _;
    let context = || path.display().to_string();
    let mut bytes = Vec::new();
    let most = Limits::own().max_bytes as u64 + 1;
    File::open(path).with_context(context)?.take(most).read_to_end(&mut bytes).with_context(context)?;
    Ok(bytes)
}

/// Writes a file, whole or not at all: under another name first, then renamed.
pub(crate) fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), anyhow::Error> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let written = write_through(&temporary, path, bytes, mode);
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn write_through(temporary: &Path, path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn open_lock(path: &Path) -> Result<File, anyhow::Error> {
    let options = || OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    options().with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::NoLog;

    #[test]
    fn every_documented_configuration_key_is_taken_and_no_other() {
        let uncommented: String = CONFIG
            .lines()
            .filter_map(|line| line.strip_prefix("# "))
            .filter(|line| line.contains(" = "))
            .map(|line| format!("{line}\n"))
            .collect();
        let config: Config = toml::from_str(&uncommented).unwrap();
        assert_eq!(config.tenant.as_deref(), Some("default"));
        assert_eq!(config.max_document_bytes, Some(157_286_400));
        assert_eq!(config.unit, Some(UnitName::Document));
        assert_eq!(config.batch_size, Some(256));
        assert_eq!(config.database_wait_seconds, Some(60));
        assert!(config.database_url.is_some_and(|url| url.starts_with("postgres://")));
        assert_eq!(config.database_url_file, Some(PathBuf::from("database-url")));
        assert_eq!(config.database_connections, NonZeroU32::new(10));
        assert_eq!(config.log_concurrency, Some(256));
        assert_eq!(config.tenants["secret"].log, Some(NoLog::None));
        assert!(toml::from_str::<Config>("tenants = \"x\"").is_err());
        assert!(toml::from_str::<Config>(CONFIG).is_ok());
    }
}
