//! The data folder: keys, trusted root, signing config, configuration, database and log.
//!
//! `provex.toml` is written last, so a folder that has it is complete; an interrupted `init` goes on where it was.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
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
use provex_pipeline::{Pipeline, StoreCheckpoints};
use provex_store::{Actor, ObservationFilter, Store};
use provex_tlog::embedded::{self, Audit, EmbeddedLog, EmbeddedLogConfig};
use provex_tlog::{LogError, TransparencyLog};

use crate::args::Global;
use crate::clock;
use crate::config::{self, Config};
use crate::database::Database;
use crate::environment::System;
use crate::failure::Failure;
use crate::logs::Reach;
use crate::progress;

/// How long a process waits before it looks again for work that another one holds.
const WAIT: Duration = Duration::from_millis(100);
/// How long before `init` an embedded log's key counts as valid, so that no reader's clock stands in the way.
const ONE_DAY_SECONDS: i64 = 24 * 60 * 60;

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
    /// Held while its own database is open here.
    used: Arc<OnceLock<File>>,
}

impl DataFolder {
    /// Opens a complete folder.
    pub(crate) fn open(global: &Global) -> Result<Self, Failure> {
        let path = &global.data;
        if !exists(&path.join("provex.toml"))? {
            return Err(Failure::call(format!(
                "{} is no data folder; `provex init` makes one, `provex prove` does too",
                path.display()
            )));
        }
        let config = Config::read(path)?;
        let database = Database::choose(global, &config)?;
        let trusted_root = trusted_root(path)?;
        Ok(Self { path: path.clone(), config, trusted_root, database, used: Arc::default() })
    }

    /// The same folder with its configuration and trusted root as they are now, on the same database.
    pub(crate) fn again(&self) -> Result<Self, Failure> {
        Ok(Self {
            path: self.path.clone(),
            config: Config::read(&self.path)?,
            trusted_root: trusted_root(&self.path)?,
            database: self.database.clone(),
            used: Arc::clone(&self.used),
        })
    }

    /// The files that say where statements go.
    pub(crate) fn log_files(&self) -> Vec<PathBuf> {
        let own = ["provex.toml", TRUSTED_ROOT.0].map(PathBuf::from);
        own.into_iter().chain(self.config.log_files()).map(|file| self.path.join(file)).collect()
    }

    /// Opens the folder, or makes it first if there is none.
    pub(crate) async fn open_or_init(global: &Global) -> Result<Self, Failure> {
        if !exists(&global.data.join("provex.toml"))? {
            init(global, None, None).await?;
        }
        Self::open(global)
    }

    /// Where the folder is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How logs are reached.
    pub(crate) fn reach(&self) -> Reach {
        Reach {
            tls_roots: self.config.log_tls_roots.clone(),
            concurrency: self.config.log_concurrency,
            timeout: self.config.log_timeout_seconds,
            logs: self.config.logs.clone(),
        }
    }

    /// How large a document may be.
    pub(crate) fn parse_limits(&self) -> ParseLimits {
        let limits = ParseLimits::default();
        ParseLimits { max_bytes: self.config.max_document_bytes.unwrap_or(limits.max_bytes), ..limits }
    }

    /// The attestation keys, retired ones included: `keys/attest*.pub`.
    pub(crate) fn public_keys(&self) -> Result<Vec<PublicKey>, Failure> {
        public_keys(&self.path)
    }

    /// The key that signs attestations, for whoever works on the folder.
    pub(crate) fn signer(&self) -> Result<LocalSigner, Failure> {
        signer(&self.path)
    }

    /// The public key of the one that signs now, for whoever only looks. Where a rotation goes on it is the old one or
    /// the new one; where one was interrupted, it is finished.
    pub(crate) fn signing_key(&self) -> Result<PublicKey, Failure> {
        if !is_unfinished(&self.path)?
            && let Ok(signer) = signer(&self.path)
        {
            return Ok(signer.public_key().clone());
        }
        // Another process has the folder, or it cannot be written: this file is replaced in one step.
        let Ok(_alone) = alone(&self.path) else { return public_key(&self.path.join("keys/attest.pub")) };
        finish(&self.path)?;
        Ok(signer(&self.path)?.public_key().clone())
    }

    /// The key that makes payloads unguessable.
    pub(crate) fn salt_key(&self) -> Result<SaltKey, Failure> {
        let path = present(&self.path, SALT_KEY)?;
        let bytes = read_secret(&path)?;
        let key: [u8; 32] = bytes.try_into().map_err(|_| anyhow!("{} is not 32 bytes", path.display()))?;
        check_salt(&path, &key)?;
        Ok(SaltKey::new(key))
    }

    /// The database, which has to be there.
    pub(crate) async fn store(&self) -> Result<Arc<dyn Store>, Failure> {
        if self.database.is_shared() {
            return self.database.open(&self.config).await;
        }
        present(&self.path, DATABASE)?;
        self.share()?;
        let store = self.database.open(&self.config).await?;
        if !knows_log(store.as_ref(), &self.trusted_root).await? && exists(&self.path.join("log/checkpoint"))?
        {
            return Err(foreign_database(&self.path));
        }
        Ok(store)
    }

    /// Shows that the database is in use. Where nothing can be written or locked, nobody copies it for good either.
    fn share(&self) -> Result<(), Failure> {
        let Ok(file) = open_lock(&self.path.join(USE_LOCK)) else { return Ok(()) };
        if let Err(TryLockError::WouldBlock) = file.try_lock_shared() {
            return Err(anyhow!(
                "{} is being copied into a PostgreSQL: what came now would be missing there. Try again when that has \
                 ended, with the database that is used from then on",
                self.path.join(DATABASE.0).display()
            )
            .into());
        }
        self.used.get_or_init(|| file);
        Ok(())
    }

    /// The tenant's pipeline on the database, for one run of an operator's.
    pub(crate) async fn pipeline(&self, tenant: TenantId) -> Result<Pipeline, Failure> {
        let store = self.store().await?;
        self.know_tenants(store.as_ref()).await?;
        let (actor, run) = (operator(), Some(System.uuid()));
        Ok(Pipeline { store, environment: Arc::new(System), tenant, actor, run })
    }

    /// A mistyped name in `provex.toml` must not send to a log what was meant to stay away from it.
    async fn know_tenants(&self, store: &dyn Store) -> Result<(), Failure> {
        if self.config.tenants.is_empty() {
            return Ok(());
        }
        let known = store.tenants().await?;
        match self.config.tenants.keys().find(|tenant| !known.contains(tenant)) {
            None => Ok(()),
            Some(tenant) => Err(Failure::call(format!(
                "{}: `tenants` names {tenant}, and there is no such tenant: `provex tenant add {tenant}` makes it",
                self.path.join("provex.toml").display()
            ))),
        }
    }

    /// What to say where none of the folder's public keys signed what the database holds. In a database that several
    /// folders share, others sign too.
    pub(crate) async fn foreign_signer(&self, pipeline: &Pipeline) -> Result<Option<String>, Failure> {
        if self.database.is_shared() {
            return Ok(None);
        }
        let (store, tenant) = (&pipeline.store, &pipeline.tenant);
        let oldest = store.observations(tenant, &ObservationFilter::default(), None, 1).await?;
        let Some(linkage) = oldest.first().and_then(|row| row.linkage.as_ref()) else { return Ok(None) };
        let envelope = store.envelope(tenant, &linkage.fields.entry.envelope_digest).await?;
        let Some(signer) = envelope.map(|envelope| envelope.key_fingerprint) else { return Ok(None) };
        if self.public_keys()?.iter().any(|key| key.fingerprint() == signer) {
            return Ok(None);
        }
        Ok(Some(format!(
            "{} has no public key of sha256 {}, which signed what is in the database: are keys or database of another \
             folder? Bring back this folder's own keys/attest*.pub",
            self.path.join("keys").display(),
            signer.to_hex()
        )))
    }

    /// Takes the folder for work. Whoever holds it alone finishes what a killed process began, gives back what it had
    /// leased, and tries at once what waits to be tried again: somebody may have mended what stood in the way. On a
    /// database that others may work on from elsewhere, leases end by themselves.
    pub(crate) async fn work(&self, tenants: &[Pipeline]) -> Result<WorkLock, Failure> {
        let path = self.path.join(".work.lock");
        let context = || path.display().to_string();
        let file = open_lock(&path)?;
        let clears = !self.database.is_shared();
        if file.try_lock().is_ok() {
            finish(&self.path)?;
            for pipeline in tenants.iter().filter(|_| clears) {
                pipeline.store.clear_leases(&pipeline.tenant, System.now()).await?;
            }
            file.unlock().with_context(context)?;
        }
        let file = wait_for(file, File::lock_shared).await.with_context(context)?;
        // A rotation was killed since: nobody else shares the lock before it is finished.
        let file = if is_unfinished(&self.path)? {
            file.unlock().with_context(context)?;
            let file = wait_for(file, File::lock).await.with_context(context)?;
            finish(&self.path)?;
            wait_for(file, File::lock_shared).await.with_context(context)?
        } else {
            file
        };
        Ok(WorkLock { file, path, clears })
    }

    /// The folder's embedded log.
    pub(crate) fn log(&self, pipeline: &Pipeline) -> Result<Arc<dyn TransparencyLog>, Failure> {
        Ok(Arc::new(EmbeddedLog::open(self.embedded_log(pipeline)?)))
    }

    /// What the folder's embedded log is made of.
    pub(crate) fn embedded_log(&self, pipeline: &Pipeline) -> Result<EmbeddedLogConfig, Failure> {
        let signer = private_key(&present(&self.path, LOG_KEY)?)?;
        if exists(&self.path.join("keys/log.next.pem"))? {
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
        Ok(log_config(&self.path, identity.clone(), signer, Arc::clone(&pipeline.store)))
    }
}

fn trusted_root(folder: &Path) -> Result<TrustedRoot, Failure> {
    let path = present(folder, TRUSTED_ROOT)?;
    Ok(TrustedRoot::parse(&read(&path)?).with_context(|| path.display().to_string())?)
}

/// Compares all that lies in an embedded log's folder with its newest signed checkpoint.
pub(crate) async fn audit(log: EmbeddedLogConfig) -> Result<Audit, LogError> {
    let checkpoint = log.folder.join("checkpoint");
    let _progress = progress::busy("checking the log's folder");
    let audit = EmbeddedLog::audit(log, u64::from_le_bytes(random_bytes())).await?;
    audit.ok_or_else(|| {
        let path = checkpoint.display();
        LogError::unavailable(format!("neither {path} nor the database has a checkpoint: see `provex init`"))
    })
}

/// Whether a database knows one of these logs, as the database of their folder does from `init` on.
async fn knows_log(store: &dyn Store, root: &TrustedRoot) -> Result<bool, Failure> {
    for log in &root.logs {
        if store.log_checkpoint(&log.id).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn foreign_database(folder: &Path) -> Failure {
    let (database, root) = (folder.join("provex.db"), folder.join("trusted_root.json"));
    let (database, root) = (database.display(), root.display());
    anyhow!(
        "{database} knows no log of {root}: one of them is of another folder. Bring back this folder's own. If its \
         database is lost, move {database} away, and `provex init` makes an empty one"
    )
    .into()
}

/// The lock of whoever has the folder's database open.
const USE_LOCK: &str = ".use.lock";

/// Where the folders of ended logs are kept, under their origins.
const ENDED_LOGS: &str = "ended-logs";

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
    if exists(&path)? {
        return Ok(path);
    }
    let path = path.display();
    Err(anyhow!("{path} is missing: bring it back from a copy of this folder. If there is none, {otherwise}")
        .into())
}

/// Whether something is there. What cannot be looked at is not absent: made anew, it would be lost.
pub(crate) fn exists(path: &Path) -> Result<bool, anyhow::Error> {
    match fs::metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
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
    /// Whether what a process that has ended held is free only when its leases end.
    pub(crate) fn waits_for_leases(&self) -> bool {
        !self.clears
    }

    /// Waits a moment for work that another process holds. If that process has ended, its leases are given back here.
    /// Who waits has no lease and does not hold the lock: two that wait would else keep each other from it for ever.
    pub(crate) async fn wait(&self, pipeline: &Pipeline) -> Result<(), Failure> {
        if !self.clears {
            tokio::time::sleep(WAIT).await;
            return Ok(());
        }
        let context = || self.path.display().to_string();
        self.file.unlock().with_context(context)?;
        tokio::time::sleep(WAIT).await;
        if self.file.try_lock().is_ok() {
            pipeline.store.clear_leases(&pipeline.tenant, System.now()).await?;
        }
        // Taking the lock alone gives the shared one up first, whether it succeeds or not.
        self.file.lock_shared().with_context(context).map_err(Failure::from)
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
    let config = Config::read(path)?;
    let database = Database::choose(global, &config)?;
    // A server that cannot be used is found before anything is made.
    let server = if database.is_shared() { Some(database.open(&config).await?) } else { None };
    let keys = path.join("keys");
    let context = || format!("cannot make the data folder {}", path.display());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&keys).with_context(context)?;
    let lock_path = path.join(".work.lock");
    let lock = open_lock(&lock_path)?;
    lock.lock().with_context(|| lock_path.display().to_string())?;
    finish(path)?;
    let existed = exists(&path.join("provex.toml"))?;
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
    let config = log_config(path, identity.clone(), log, Arc::clone(&store));
    if exists(&path.join("log/checkpoint"))? {
        adopt(path, store.as_ref(), database.is_shared(), &config).await?;
    } else {
        EmbeddedLog::create(config).await.map_err(|e| anyhow!("{e}"))?;
    }
    store.add_tenant(&TenantId::default_tenant(), System.uuid(), System.now()).await?;
    if !existed {
        write_file(&path.join("provex.toml"), config::EXAMPLE.as_bytes(), 0o644)?;
    }
    let key = attest.public_key().fingerprint().to_hex();
    Ok(Initialised { origin: identity.origin().to_owned(), key, existed })
}

/// Makes a database that has no tenant yet, or that several folders share, that of the folder: it gets to know the log.
async fn adopt(path: &Path, store: &dyn Store, shared: bool, log: &EmbeddedLogConfig) -> Result<(), Failure> {
    if store.log_checkpoint(&log.identity.id).await?.is_some() {
        return Ok(());
    }
    if !shared && !store.tenants().await?.is_empty() {
        return Err(foreign_database(path));
    }
    let newest = embedded::newest_checkpoint(&log.folder, &log.identity).context("the log's checkpoint")?;
    Ok(log.checkpoints.record(&newest).await.map_err(|error| anyhow!("{error}"))?)
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

/// Takes the folder for a copy of its database: nobody works on it or has it open meanwhile.
pub(crate) fn unused(path: &Path) -> Result<[File; 2], Failure> {
    let lock_path = path.join(USE_LOCK);
    let (alone, lock) = (alone(path)?, open_lock(&lock_path)?);
    lock.try_lock().map_err(|_| {
        anyhow!("another provex has the database of {} open; try again when it has ended", path.display())
    })?;
    Ok([alone, lock])
}

/// Signs with another key from now on. `keys/attest.next.pem` stands while this goes on: killed, the next command that
/// has the folder to itself finishes it.
pub(crate) async fn rotate_attest(global: &Global, given: Option<LocalSigner>) -> Result<Rotated, Failure> {
    let folder = DataFolder::open(global)?;
    let path = folder.path.as_path();
    // A folder that this release does not understand stays as it is.
    folder.store().await?;
    let keys = path.join("keys");
    let _alone = alone(path)?;
    if let Some(rotated) = finish(path)?
        && given.as_ref().is_none_or(|given| given.public_key().fingerprint().to_hex() == rotated.new)
    {
        return Ok(rotated);
    }
    // One that is lost can be replaced too.
    if exists(&keys.join("attest.pem"))? {
        signer(path)?;
    }
    let signer = given.unwrap_or_else(random_p256);
    refuse_known_key(path, signer.public_key())?;
    let pem = signer.to_pkcs8_pem().context("encoding the key")?;
    let next = keys.join(NEXT_ATTEST_KEY);
    write_file(&next, pem.as_bytes(), 0o600).map_err(|error| say_begun(error.into(), &next, KEY_BEGUN))?;
    finish_rotation(&keys)?.ok_or_else(|| anyhow!("{NEXT_ATTEST_KEY} went away").into())
}

/// The key that a rotation brings, while it goes on.
const NEXT_ATTEST_KEY: &str = "attest.next.pem";
const NEXT_LOG_KEY: &str = "log.next.pem";
const KEY_BEGUN: &str = "the rotation of the key was begun, and `provex link` finishes it";
const LOG_BEGUN: &str = "the rotation of the log was begun, and `provex key rotate --log` finishes it";

/// Says of a failure that it leaves a rotation begun, if it does: whoever is told only that it failed would be surprised by
/// the next key.
fn say_begun(failure: Failure, next: &Path, begun: &'static str) -> Failure {
    match (failure, exists(next)) {
        (Failure::Unchecked(error), Ok(true)) => Failure::Unchecked(error.context(begun)),
        (failure, _) => failure,
    }
}

/// Private keys under the names that they have before they are whole, which a killed process left.
fn unnamed_keys(keys: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = files_in(keys)?;
    files.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(".pem.new") || name == "salt.key.new"
    });
    Ok(files)
}

/// Whether a process was killed, or is at work, that changes keys.
fn is_unfinished(path: &Path) -> Result<bool, Failure> {
    let keys = path.join("keys");
    Ok(exists(&keys.join(NEXT_ATTEST_KEY))? || !unnamed_keys(&keys)?.is_empty())
}

/// Finishes what a killed process left of a change of keys: the caller has the folder to itself.
fn finish(path: &Path) -> Result<Option<Rotated>, Failure> {
    let keys = path.join("keys");
    for file in unnamed_keys(&keys)? {
        fs::remove_file(&file).with_context(|| file.display().to_string())?;
    }
    finish_rotation(&keys)
}

/// The attestation key of a folder in which no rotation goes on.
fn signer(path: &Path) -> Result<LocalSigner, Failure> {
    let keys = path.join("keys");
    if exists(&keys.join(NEXT_ATTEST_KEY))? {
        return Err(anyhow!("a rotation of the key was interrupted: `provex link` finishes it").into());
    }
    let signer = private_key(&present(path, ATTEST_KEY)?)?;
    let public = keys.join("attest.pub");
    if !exists(&public)? {
        write_file(&public, signer.public_key().to_pem().as_bytes(), 0o644)?;
    } else if public_key(&public)? != *signer.public_key() {
        return Err(anyhow!(
            "{} is not the key of {}: one of them is of another folder. Bring back this folder's own; to sign with the \
             other key from now on, move it elsewhere and run `provex key rotate --signing-key` with it",
            keys.join("attest.pem").display(),
            public.display()
        )
        .into());
    }
    Ok(signer)
}

/// Puts the next attestation key, if there is one, into its place.
fn finish_rotation(keys: &Path) -> Result<Option<Rotated>, Failure> {
    let next = keys.join(NEXT_ATTEST_KEY);
    if !exists(&next)? {
        return Ok(None);
    }
    put_in_place(keys, &next).map(Some).map_err(|failure| say_begun(failure, &next, KEY_BEGUN))
}

/// Puts the next attestation key into its place; the old public key is kept first.
fn put_in_place(keys: &Path, next: &Path) -> Result<Rotated, Failure> {
    let (signer, public) = (private_key(next)?, keys.join("attest.pub"));
    // Killed after the last but one of these steps, the public key is the new one already.
    let active = if exists(&public)? { Some(public_key(&public)?) } else { None };
    let retired = match active {
        Some(old) if old != *signer.public_key() => retire(keys, "attest")?,
        _ => public.clone(),
    };
    let pem = signer.to_pkcs8_pem().context("encoding the key")?;
    write_file(&keys.join("attest.pem"), pem.as_bytes(), 0o600)?;
    write_file(&public, signer.public_key().to_pem().as_bytes(), 0o644)?;
    fs::remove_file(next).with_context(|| next.display().to_string())?;
    Ok(Rotated { new: signer.public_key().fingerprint().to_hex(), retired })
}

/// A key that signs here already, or did once, is no other key.
fn refuse_known_key(path: &Path, key: &PublicKey) -> Result<(), Failure> {
    let Some(file) = public_key_file(path, &key.fingerprint())? else { return Ok(()) };
    let (name, file) = (key.fingerprint().to_hex(), file.display());
    Err(Failure::call(if file.to_string().ends_with("attest.pub") {
        format!("the key sha256 {name} signs here already ({file}): rotation is to another key")
    } else {
        format!("the key sha256 {name} was retired here ({file}) and signs no more: give another one")
    }))
}

fn refuse_known_origin(root: &TrustedRoot, origin: &str) -> Result<(), Failure> {
    if root.logs.iter().any(|known| known.origin() == origin) {
        return Err(Failure::call(format!("`{origin}` is the name of a log that was here before")));
    }
    Ok(())
}

/// Whether a rotation of the log was begun and not ended.
pub(crate) fn is_rotating_log(path: &Path) -> Result<bool, anyhow::Error> {
    exists(&path.join("keys/log.next.pem"))
}

/// Begins a new embedded log: a new key, a new origin, a new folder. The old log stays trusted, its window ends now,
/// and its folder moves to `ended-logs/<origin>`. `keys/log.next.pem` stands while this goes on: killed, it is run again.
pub(crate) async fn rotate_log(global: &Global, origin: Option<&str>) -> Result<String, Failure> {
    let next = global.data.join("keys").join(NEXT_LOG_KEY);
    begin_log(global, origin).await.map_err(|failure| say_begun(failure, &next, LOG_BEGUN))
}

async fn begin_log(global: &Global, origin: Option<&str>) -> Result<String, Failure> {
    if let Some(origin) = origin {
        check_origin(origin)?;
    }
    let path = global.data.as_path();
    let folder = DataFolder::open(global)?;
    let _alone = alone(path)?;
    finish(path)?;
    // Whatever is wrong with the database or the call is found before anything changes.
    let store = folder.store().await?;
    if let Some(origin) = origin
        && !is_rotating_log(path)?
    {
        refuse_known_origin(&folder.trusted_root, origin)?;
    }
    let keys = path.join("keys");
    let next = ensure_key(&keys, "log.next", || LocalSigner::ed25519_from_random(&random_bytes()))?;
    let old_key = match keys.join("log.pem") {
        path if exists(&path)? => private_key(&path)?.public_key().clone(),
        // One that is lost can be replaced too.
        _ => public_key(&keys.join("log.pub"))?,
    };
    let mut root = folder.trusted_root;
    if !root.logs.iter().any(|log| log.key.key == *next.public_key()) {
        let log = new_log(origin, next.public_key())?;
        refuse_known_origin(&root, log.origin())?;
        let old = root.logs.iter_mut().find(|log| log.key.key == old_key);
        if let Some(old) = old {
            old.valid_until = Some(window_end(old, store.as_ref()).await?);
        }
        root.logs.push(log);
        write_file(&path.join("trusted_root.json"), root.to_json().as_bytes(), 0o644)?;
    }
    let log = root.logs.iter().find(|log| log.key.key == *next.public_key());
    let log = log.ok_or_else(|| anyhow!("trusted_root.json does not know the new log"))?.clone();
    write_file(&path.join("signing_config.json"), SigningConfig::embedded(&log).to_json().as_bytes(), 0o644)?;
    // Killed after the new key took its place, only the last step is left.
    if old_key != *next.public_key() {
        let old = root.logs.iter().find(|log| log.key.key == old_key);
        let ended = path.join(ENDED_LOGS);
        fs::create_dir_all(&ended).with_context(|| ended.display().to_string())?;
        if let Some(moved) = old.map(|old| ended.join(old.origin()))
            && !exists(&moved)?
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
    for name in ["log.next.pub", NEXT_LOG_KEY] {
        let path = keys.join(name);
        fs::remove_file(&path).with_context(|| path.display().to_string())?;
    }
    Ok(log.origin().to_owned())
}

/// Where a log's files lie: those of one that was ended were moved.
pub(crate) fn log_folder(path: &Path, origin: &str) -> PathBuf {
    let ended = path.join(ENDED_LOGS).join(origin);
    if ended.is_dir() { ended } else { path.join("log") }
}

/// When a log ends that is ended now: not before what it logged, or its own beginning, where the clock was set back.
async fn window_end(log: &TrustedLog, store: &dyn Store) -> Result<Timestamp, Failure> {
    let newest = store.log_checkpoint(&log.id).await?.map(|checkpoint| checkpoint.seen_at);
    clock::warn(newest);
    let end = System.now().max(log.valid_from).max(newest.unwrap_or(log.valid_from));
    // A second that has begun is counted whole: a trusted root has whole ones.
    Ok(Timestamp::from_unix_seconds(end.as_unix_seconds() + 1).context("the clock is off")?)
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

/// The public keys of a folder that may have nothing else, each once.
pub(crate) fn public_keys(path: &Path) -> Result<Vec<PublicKey>, Failure> {
    let mut keys: Vec<PublicKey> = Vec::new();
    for file in public_key_files(path)? {
        let key = public_key(&file)?;
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// The paths in a folder, if there is one.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries.and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect()),
    };
    Ok(entries.with_context(|| folder.display().to_string())?)
}

fn public_key_files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut paths = files_in(&path.join("keys"))?;
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
    Ok(public_key_in(path, read(path)?)?)
}

/// The public key in the bytes of a file.
pub(crate) fn public_key_in(path: &Path, pem: Vec<u8>) -> Result<PublicKey, anyhow::Error> {
    let pem = String::from_utf8(pem).map_err(|_| anyhow!("{} is not PEM", path.display()))?;
    PublicKey::from_pem(&pem).with_context(|| path.display().to_string())
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
    if !exists(&private)? {
        let pem = make().to_pkcs8_pem().context("encoding a fresh key")?;
        write_file(&private, pem.as_bytes(), 0o600)?;
    }
    let signer = private_key(&private)?;
    let public = keys.join(format!("{name}.pub"));
    if !exists(&public)? {
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
    if !exists(path)? {
        let key = random_bytes::<32>();
        write_file(&path.with_extension("id"), salt_id(&key).as_bytes(), 0o644)?;
        write_file(path, &key, 0o600)?;
    }
    Ok(())
}

/// The line by which a salt key is known again; 32 random bytes cannot be guessed from it.
fn salt_id(key: &[u8; 32]) -> String {
    format!("{}\n", Digest::of(&[b"provex salt key\n", key.as_slice()].concat()).to_hex())
}

/// Sees that the salt key is the one that was here before: with another, the same documents get other statements.
fn check_salt(path: &Path, key: &[u8; 32]) -> Result<(), Failure> {
    let id = path.with_extension("id");
    match fs::read_to_string(&id) {
        Ok(known) if known == salt_id(key) => Ok(()),
        Ok(_) => Err(anyhow!(
            "{0} is not the key of {1}: one of them is of another folder. Bring back this folder's own; if it is lost, \
             remove {1}, and statements of the same documents have other bytes from now on",
            path.display(),
            id.display()
        )
        .into()),
        // A folder from before there was this file, or one whose `init` was killed.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(write_file(&id, salt_id(key).as_bytes(), 0o644)?)
        }
        Err(error) => Err(anyhow::Error::new(error).context(id.display().to_string()).into()),
    }
}

/// Sees that trusted root and signing config name the log.
fn ensure_trust(path: &Path, origin: Option<&str>, key: &PublicKey) -> Result<TrustedLog, Failure> {
    let root_path = path.join("trusted_root.json");
    if !exists(&root_path)? {
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
    if !exists(&config_path)? {
        write_file(&config_path, SigningConfig::embedded(log).to_json().as_bytes(), 0o644)?;
    }
    Ok(log.clone())
}

fn private_key(path: &Path) -> Result<LocalSigner, anyhow::Error> {
    let pem = String::from_utf8(read_secret(path)?).map_err(|_| anyhow!("{} is not PEM", path.display()))?;
    LocalSigner::from_pkcs8_pem(&pem).with_context(|| path.display().to_string())
}

/// Reads a file that nobody else may read. What is no file, as a terminal or a pipe, nobody reads later.
pub(crate) fn read_secret(path: &Path) -> Result<Vec<u8>, anyhow::Error> {
    let metadata = fs::metadata(path).with_context(|| path.display().to_string())?;
    let mode = metadata.permissions().mode();
    if metadata.is_file() && mode & 0o077 != 0 {
        bail!("{0} can be read by others (mode {1:o}): `chmod 600 {0}`", path.display(), mode & 0o777);
    }
    fs::read(path).with_context(|| path.display().to_string())
}

/// Reads a file of ours or of a proof: no more of it than any of them may have.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, anyhow::Error> {
    use std::io::Read as _;
    let context = || path.display().to_string();
    let most = Limits::own().max_bytes as u64 + 1;
    let file = File::open(path).with_context(context)?;
    // With room for one byte more the end is found without growing.
    let size = file.metadata().map_or(0, |metadata| metadata.len().min(most));
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(most).read_to_end(&mut bytes).with_context(context)?;
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

/// Waits for a lock without holding up others of this process.
async fn wait_for(file: File, lock: fn(&File) -> std::io::Result<()>) -> std::io::Result<File> {
    let _progress = progress::busy("waiting for another provex");
    let locked = tokio::task::spawn_blocking(move || lock(&file).map(|()| file)).await;
    locked.map_err(std::io::Error::other)?
}

fn open_lock(path: &Path) -> Result<File, anyhow::Error> {
    let options = || OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    options().with_context(|| path.display().to_string())
}
