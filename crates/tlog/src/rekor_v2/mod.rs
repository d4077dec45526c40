//! A client of Rekor v2 servers (rekor-tiles `docs/`, C2SP tlog-tiles): one request writes an entry, everything else is
//! read from checkpoint and tiles, which a deployment may serve elsewhere.
//!
//! An answer is held against what was sent, the log's key and the tree before it is handed on. A duplicate, which the
//! server answers with an index and nothing else, is made into the whole entry from the log's tiles.

mod answer;
mod read;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use provex_core::checkpoint::SignedCheckpoint;
use provex_core::digest::Digest;
use provex_core::entry::{HASHEDREKORD, HASHEDREKORD_VERSION, HashedRekord, LogEntry, MAX_BODY};
use provex_core::keys::SignatureVerifier;
use provex_core::merkle;
use provex_core::trusted_root::TrustedLog;
use tokio::sync::{OnceCell, Semaphore};

use answer::Posted;

use crate::http::{self, ClientError, Http, HttpConfig, HttpError};
use crate::{LogError, Misbehavior, TransparencyLog};

/// How a log is reached.
#[derive(Clone)]
pub struct RekorV2Config {
    /// The server's base URL, as a signing config names it.
    pub url: String,
    /// Where checkpoint and tiles are. Without it `<url>/api/v2` and `<url>` are tried.
    pub read_url: Option<String>,
    /// The log as the trusted root names it.
    pub identity: TrustedLog,
    /// How checkpoint signatures are checked.
    pub signatures: Arc<dyn SignatureVerifier>,
    /// The only certificates (PEM) that a server's chain may end in; without them the operating system's.
    pub tls_roots: Option<Vec<u8>>,
    /// How long and how much.
    pub limits: RekorV2Limits,
}

/// How long a log may take, and how much it is sent and may answer.
#[derive(Debug, Clone)]
pub struct RekorV2Limits {
    /// How many submissions are under way at once.
    pub concurrency: usize,
    /// How many checkpoints and tiles are read at once.
    pub reads: usize,
    /// From the request to the end of the answer. A log with usual settings needs 11 s.
    pub timeout: Duration,
    /// For a connection to be made.
    pub connect_timeout: Duration,
    /// How long to wait for the checkpoint that covers an entry which is said to be there, and how long to send again
    /// what the log gave up since another client had gone.
    pub recovery: Duration,
    /// The longest request that is sent; a server takes 4 MiB by default.
    pub max_request: usize,
    /// The longest answer that is read.
    pub max_answer: usize,
}

impl Default for RekorV2Limits {
    fn default() -> Self {
        Self {
            concurrency: 256,
            reads: 16,
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            recovery: Duration::from_secs(20),
            max_request: 4 << 20,
            max_answer: 1 << 20,
        }
    }
}

/// How long to wait before an entry is sent again that the log gave up; then twice as long each time.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// A client of one log.
pub struct RekorV2 {
    identity: TrustedLog,
    signatures: Arc<dyn SignatureVerifier>,
    http: Http,
    entries_url: String,
    limits: RekorV2Limits,
    read_urls: Vec<String>,
    /// The one of `read_urls` that has the log's checkpoint, once it was found.
    read_url: OnceCell<String>,
    sending: Semaphore,
    reading: Semaphore,
}

impl RekorV2 {
    /// A client. Nothing is sent before it is asked for something.
    ///
    /// # Errors
    /// [`ClientError`] for a URL or certificates that cannot be used.
    pub fn new(config: RekorV2Config) -> Result<Self, ClientError> {
        let RekorV2Config { url, read_url, identity, signatures, tls_roots, limits } = config;
        let base = http::base_url(&url)?;
        let read_urls = match &read_url {
            Some(url) => vec![http::base_url(url)?],
            None => vec![format!("{base}/api/v2"), base.clone()],
        };
        let http = HttpConfig {
            tls_roots: tls_roots.as_deref(),
            timeout: limits.timeout,
            connect_timeout: limits.connect_timeout,
            connections: limits.concurrency,
        };
        Ok(Self {
            identity,
            signatures,
            http: Http::new(&http)?,
            entries_url: format!("{base}/api/v2/log/entries"),
            read_urls,
            read_url: OnceCell::new(),
            sending: Semaphore::new(limits.concurrency),
            reading: Semaphore::new(limits.reads),
            limits,
        })
    }

    /// Sends an entry once and says what became of it.
    async fn post(&self, request: Vec<u8>) -> Result<Posted, LogError> {
        let _permit = self.sending.acquire().await.expect("the semaphore is never closed");
        let (url, most) = (&self.entries_url, self.limits.max_answer);
        let reply = self.http.post(url, "application/json", request, most).await;
        // Whatever goes wrong once it was sent leaves it in doubt.
        let reply = reply.map_err(|error| match error {
            HttpError::NotSent(reason) => LogError::unavailable(reason),
            HttpError::Lost(reason) => LogError::in_doubt(reason),
            HttpError::TooLong => Misbehavior::TooLong { url: url.clone(), most }.into(),
        })?;
        answer::posted(url, &reply)
    }

    /// Holds a log's answer against what was sent, its key and its tree.
    fn check(&self, sent: &[u8], entry: &LogEntry) -> Result<(), Misbehavior> {
        if entry.log_id != self.identity.id {
            let (expected, found) = (self.identity.id.to_text(), entry.log_id.to_text());
            return Err(Misbehavior::OtherLog { expected, found });
        }
        let kind = entry.kind == HASHEDREKORD && entry.version == HASHEDREKORD_VERSION;
        if !kind || entry.canonicalized_body != sent {
            return Err(Misbehavior::OtherEntry { index: entry.log_index });
        }
        let signed = self.verify_checkpoint(entry.inclusion.checkpoint.as_bytes())?;
        let checkpoint = signed.checkpoint();
        let leaf = merkle::leaf_hash(sent);
        let (index, path) = (entry.log_index, &entry.inclusion.hashes);
        merkle::verify_inclusion(index, checkpoint.size, &leaf, path, &checkpoint.root)
            .map_err(Misbehavior::Inclusion)
    }

    fn verify_checkpoint(&self, note: &[u8]) -> Result<SignedCheckpoint, Misbehavior> {
        let log = &self.identity;
        SignedCheckpoint::verify(note, log.origin(), &[&log.key], &*self.signatures)
            .map_err(Misbehavior::Checkpoint)
    }
}

#[async_trait]
impl TransparencyLog for RekorV2 {
    fn identity(&self) -> &TrustedLog {
        &self.identity
    }

    fn concurrency(&self) -> usize {
        self.limits.concurrency
    }

    async fn submit(&self, entry: &HashedRekord) -> Result<LogEntry, LogError> {
        let (body, request) = (entry.body(), entry.request());
        // A server answers neither of the two as what it is: the one by a 500 that looks transient, the other by closing
        // the connection.
        for (what, length, most) in
            [("entry", body.len(), MAX_BODY), ("request", request.len(), self.limits.max_request)]
        {
            if length > most {
                return Err(LogError::Refused(format!("the {what} has {length} bytes, more than {most}")));
            }
        }
        let (mut wait, mut left) = (FIRST_WAIT, self.limits.recovery);
        loop {
            match self.post(request.clone()).await? {
                Posted::Logged(logged) => {
                    self.check(&body, &logged)?;
                    return Ok(*logged);
                }
                Posted::Duplicate { index } => return self.recover(body, index).await,
                // A client that goes away fails all that wait with it, until the log looks for its checkpoint again a
                // second later (Tessera's `PublicationAwaiter`): nothing is wrong with log or entry.
                Posted::Cancelled { .. } if wait <= left => {
                    tokio::time::sleep(wait).await;
                    left -= wait;
                    wait *= 2;
                }
                Posted::Cancelled { reason } => return Err(LogError::in_doubt(reason)),
            }
        }
    }

    async fn checkpoint(&self) -> Result<Vec<u8>, LogError> {
        Ok(self.newest_checkpoint().await?.note().as_str().as_bytes().to_vec())
    }

    async fn consistency_proof(&self, old_size: u64, new_size: u64) -> Result<Vec<Digest>, LogError> {
        // Every tree extends the empty one, and no hash is needed to show it.
        if old_size == 0 { Ok(Vec::new()) } else { self.consistency(old_size, new_size).await }
    }
}
