//! Reading a log: its newest checkpoint, its tiles, and whole entries made of both.

use std::collections::HashMap;
use std::time::Duration;

use provex_core::checkpoint::SignedCheckpoint;
use provex_core::digest::Digest;
use provex_core::entry::{HASHEDREKORD, HASHEDREKORD_VERSION, InclusionProof, LogEntry};
use provex_core::merkle::ProofError;
use provex_core::tile::{self, FULL_WIDTH, TilePath};

use super::RekorV2;
use crate::http::{HttpError, Reply};
use crate::{LogError, Misbehavior};

/// The longest entry bundle that there can be.
const MAX_BUNDLE: usize = 256 * (2 + 65_535);
/// The length of a full tile.
const MAX_TILE: usize = 256 * 32;
/// How long to wait before looking again for a newer checkpoint.
const POLL: Duration = Duration::from_millis(250);

impl RekorV2 {
    /// The newest checkpoint, verified.
    pub(super) async fn newest_checkpoint(&self) -> Result<SignedCheckpoint, LogError> {
        let prefix = self.read_url.get_or_try_init(|| self.find_read_url()).await?;
        self.checkpoint_at(prefix).await
    }

    /// Where the log's checkpoint is: a deployment's choice, which nothing announces.
    async fn find_read_url(&self) -> Result<String, LogError> {
        let mut last = None;
        for url in &self.read_urls {
            match self.checkpoint_at(url).await {
                Ok(_) => return Ok(url.clone()),
                Err(error) => last = Some(error),
            }
        }
        let error = last.expect("there is always a URL to try");
        match (&error, self.read_urls.len()) {
            (LogError::Misbehaving(_), 2..) => Err(LogError::unavailable(format!(
                "its checkpoint is neither at {0}/checkpoint nor at {1}/checkpoint ({error}); `read_url` of the log in \
                 provex.toml, or --log-read-url, says where its tiles are served",
                self.read_urls[0], self.read_urls[1]
            ))),
            _ => Err(error),
        }
    }

    async fn checkpoint_at(&self, prefix: &str) -> Result<SignedCheckpoint, LogError> {
        let url = format!("{prefix}/checkpoint");
        let reply = self.read(&url, self.limits.max_answer).await?;
        let found = found(&url, reply)?.map_err(|reply| no_log(&url, &reply))?;
        Ok(self.verify_checkpoint(&found)?)
    }

    /// Makes the whole entry of one that the log says it has at `index`.
    ///
    /// Whatever stands in the way leaves it in doubt: the next attempt is answered with the index again.
    pub(super) async fn recover(&self, body: Vec<u8>, index: u64) -> Result<LogEntry, LogError> {
        self.entry_at(body, index).await.map_err(|error| match error {
            LogError::Unavailable { reason, retry_after } => {
                let reason =
                    format!("it has the entry at index {index}, and its proof cannot be read: {reason}");
                LogError::InDoubt { reason, retry_after }
            }
            other => other,
        })
    }

    async fn entry_at(&self, body: Vec<u8>, index: u64) -> Result<LogEntry, LogError> {
        let signed = self.checkpoint_over(index).await?;
        let checkpoint = signed.checkpoint();
        if self.leaf(index, checkpoint.size).await? != body {
            return Err(Misbehavior::OtherEntry { index }.into());
        }
        let paths = tile::tiles_for_inclusion(index, checkpoint.size).map_err(Misbehavior::Inclusion)?;
        let hashes = tile::inclusion_proof(&mut self.tiles(paths).await?, index, checkpoint.size)
            .map_err(|error| Misbehavior::Tiles(error.to_string()))?;
        let entry = LogEntry {
            log_index: index,
            log_id: self.identity.id,
            kind: HASHEDREKORD.to_owned(),
            version: HASHEDREKORD_VERSION.to_owned(),
            integrated_time: None,
            signed_entry_timestamp: None,
            inclusion: InclusionProof {
                log_index: index,
                root: checkpoint.root,
                tree_size: checkpoint.size,
                hashes,
                checkpoint: signed.note().as_str().to_owned(),
            },
            canonicalized_body: body,
        };
        self.check(&entry.canonicalized_body, &entry)?;
        Ok(entry)
    }

    /// A checkpoint that covers this index: what the server answers may be ahead of what is published.
    async fn checkpoint_over(&self, index: u64) -> Result<SignedCheckpoint, LogError> {
        let mut left = self.limits.recovery;
        loop {
            let signed = self.newest_checkpoint().await?;
            if signed.checkpoint().size > index {
                return Ok(signed);
            }
            if left.is_zero() {
                let size = signed.checkpoint().size;
                return Err(LogError::unavailable(format!("its newest checkpoint has {size} entries")));
            }
            tokio::time::sleep(POLL).await;
            left = left.saturating_sub(POLL);
        }
    }

    async fn leaf(&self, index: u64, size: u64) -> Result<Vec<u8>, LogError> {
        let (bundle, position) = (index / u64::from(FULL_WIDTH), (index % u64::from(FULL_WIDTH)) as usize);
        let width = (size - bundle * u64::from(FULL_WIDTH)).min(u64::from(FULL_WIDTH)) as u16;
        let path = |width| tile::entries_path(bundle, width);
        let bytes = self.partial_or_full(path, width, MAX_BUNDLE).await?;
        let entries = tile::decode_entries(&bytes).map_err(|error| Misbehavior::Tiles(error.to_string()))?;
        let leaf = entries.get(position).map(|entry| entry.to_vec());
        leaf.ok_or_else(|| Misbehavior::Tiles(format!("{} ends before entry {index}", path(width))).into())
    }

    pub(super) async fn consistency(&self, old_size: u64, new_size: u64) -> Result<Vec<Digest>, LogError> {
        let no_proof = |error: ProofError| LogError::unavailable(error.to_string());
        let paths = tile::tiles_for_consistency(old_size, new_size).map_err(no_proof)?;
        tile::consistency_proof(&mut self.tiles(paths).await?, old_size, new_size)
            .map_err(|error| Misbehavior::Tiles(error.to_string()).into())
    }

    async fn tiles(&self, paths: Vec<TilePath>) -> Result<HashMap<TilePath, Vec<Digest>>, LogError> {
        let mut tiles = HashMap::new();
        for path in paths {
            let at = |width| TilePath { width, ..path }.to_string();
            let bytes = self.partial_or_full(at, path.width, MAX_TILE).await?;
            let hashes =
                tile::decode_hashes(&bytes).map_err(|error| Misbehavior::Tiles(error.to_string()))?;
            tiles.insert(path, hashes);
        }
        Ok(tiles)
    }

    /// A tile of this width. Once the full one is there, a log drops the partial ones (tlog-tiles, "Partial Tiles").
    async fn partial_or_full(
        &self,
        path: impl Fn(u16) -> String,
        width: u16,
        most: usize,
    ) -> Result<Vec<u8>, LogError> {
        let prefix = self.read_url.get_or_try_init(|| self.find_read_url()).await?;
        for width in if width < FULL_WIDTH { vec![width, FULL_WIDTH] } else { vec![FULL_WIDTH] } {
            let url = format!("{prefix}/{}", path(width));
            if let Ok(bytes) = found(&url, self.read(&url, most).await?)? {
                return Ok(bytes);
            }
        }
        Err(LogError::unavailable(format!("there is no {} at {prefix}", path(width))))
    }

    async fn read(&self, url: &str, most: usize) -> Result<Reply, LogError> {
        let _permit = self.reading.acquire().await.expect("the semaphore is never closed");
        self.http.get(url, most).await.map_err(|error| match error {
            HttpError::NotSent(reason) | HttpError::Lost(reason) => LogError::unavailable(reason),
            HttpError::TooLong => Misbehavior::TooLong { url: url.to_owned(), most }.into(),
        })
    }
}

/// A file's bytes, or the answer that there is none.
fn found(url: &str, reply: Reply) -> Result<Result<Vec<u8>, Reply>, LogError> {
    match reply.status {
        200 => Ok(Ok(reply.body)),
        // An object store without leave to list says 403 of what is not there; Rekor v2 itself serves no reads, 501.
        403 | 404 | 410 | 501 => Ok(Err(reply)),
        408 | 429 | 500 | 502 | 503 | 504 => Err(LogError::Unavailable {
            reason: format!("{url} answered {}: {}", reply.status, reply.said()),
            retry_after: reply.retry_after(),
        }),
        _ => Err(no_log(url, &reply)),
    }
}

fn no_log(url: &str, reply: &Reply) -> LogError {
    Misbehavior::NoLog { url: url.to_owned(), status: reply.status, said: reply.said() }.into()
}
