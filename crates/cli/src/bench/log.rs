//! Line 5: the embedded log in batches of 256, against writing and syncing the same bytes in as many files.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use provex_core::digest::Digest;
use provex_core::dsse::Envelope;
use provex_core::entry::HashedRekord;
use provex_core::ids::TenantId;
use provex_core::keys::{LocalSigner, Signer as _};
use provex_core::tile;
use provex_core::time::Timestamp;
use provex_core::trusted_root::TrustedLog;
use provex_pipeline::StoreCheckpoints;
use provex_pipeline::environment::Environment as _;
use provex_store::Store;
use provex_store_sqlite::SqliteStore;
use provex_tlog::TransparencyLog as _;
use provex_tlog::embedded::{EmbeddedLog, EmbeddedLogConfig};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::Bench;
use super::report::{Asked, Report, Unit};
use super::scratch::Scratch;
use super::timing::{in_turns, time_ok};
use crate::environment::System;

/// As many entries as a tile has.
const BATCH: usize = 256;
const HASH: usize = size_of::<Digest>();

pub(super) fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let batches = bench.amount(64, 8);
    let entries = entries(batches * BATCH)?;
    append(&scratch, &entries)?;
    let files = written(&scratch.path("data/log"), batches)?;
    let [log, bare] = in_turns(
        bench.amount(7, 5),
        false,
        [&mut || append(&scratch, &entries), &mut || write(&scratch, &files)],
    )?;
    let count = entries.len() as f64;
    let rates: Vec<_> = log.iter().map(|seconds| count / seconds).collect();
    report.measure(
        "embedded log, entries in batches of 256",
        Unit::PerSecond,
        &rates,
        Asked::AtLeast(5_000.0),
    );
    let baseline = format!("bare write and fsync of the same {} files", files.len());
    report.compare(
        &format!("embedded log, {} entries", entries.len()),
        &log,
        &baseline,
        &bare,
        Asked::Nothing,
    );
    Ok(())
}

fn entries(count: usize) -> anyhow::Result<Vec<Arc<HashedRekord>>> {
    let signer = LocalSigner::p256_from_random(&[7; 32])?;
    (0..count)
        .map(|number| {
            let envelope = Envelope::sign(format!(r#"{{"n":{number}}}"#).into_bytes(), &signer)?;
            Ok(Arc::new(HashedRekord::of_envelope(&envelope, signer.public_key())?))
        })
        .collect()
}

/// The time that a new log takes for all entries, as `submit` sends them: a batch, its answers, the next one.
fn append(scratch: &Scratch, entries: &[Arc<HashedRekord>]) -> anyhow::Result<Duration> {
    let runtime = Handle::current();
    let log = runtime.block_on(new_log(&scratch.folder("data")?))?;
    let ((), took) = time_ok(|| {
        runtime.block_on(async {
            for batch in entries.chunks(BATCH) {
                let mut sent = JoinSet::new();
                for entry in batch {
                    let (log, entry) = (Arc::clone(&log), Arc::clone(entry));
                    sent.spawn(async move { log.submit(&entry).await });
                }
                while let Some(answer) = sent.join_next().await {
                    answer?.map_err(|error| anyhow!("{error}"))?;
                }
            }
            Ok(())
        })
    })?;
    Ok(took)
}

/// A log whose checkpoints are kept in SQLite, as in a data folder.
pub(super) async fn new_log(data: &Path) -> anyhow::Result<Arc<EmbeddedLog>> {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&data.join("provex.db")).await?);
    store.add_tenant(&TenantId::default_tenant(), System.uuid(), System.now()).await?;
    let signer = LocalSigner::ed25519_from_random(&[8; 32]);
    let identity =
        TrustedLog::embedded("bench.provex.internal", signer.public_key().clone(), Timestamp::EPOCH);
    let checkpoints = StoreCheckpoints { store, environment: Arc::new(System), log: identity.id };
    let config = EmbeddedLogConfig {
        folder: data.join("log"),
        identity,
        signer: Arc::new(signer),
        checkpoints: Arc::new(checkpoints),
    };
    EmbeddedLog::create(config.clone()).await.map_err(|error| anyhow!("{error}"))?;
    Ok(Arc::new(EmbeddedLog::open(config)))
}

/// The files that the log wrote: in each batch a full tile, its entries, the tile above as far as it went, and a
/// checkpoint.
fn written(log: &Path, batches: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let read = |name: String| fs::read(log.join(&name)).with_context(|| name);
    let width = u16::try_from(BATCH)?;
    let above = read(tile::hash_tile_path(1, 0, u16::try_from(batches)?))?;
    let checkpoint = read("checkpoint".to_owned())?;
    let mut files = Vec::new();
    for batch in 0..batches {
        let index = u64::try_from(batch)?;
        files.push(read(tile::hash_tile_path(0, index, width))?);
        files.push(read(tile::entries_path(index, width))?);
        files.push(above[..(batch + 1) * HASH].to_vec());
        files.push(checkpoint.clone());
    }
    Ok(files)
}

fn write(scratch: &Scratch, files: &[Vec<u8>]) -> anyhow::Result<Duration> {
    let folder = scratch.folder("bare")?;
    let ((), took) = time_ok(|| {
        for (number, bytes) in files.iter().enumerate() {
            let mut file = File::create(folder.join(number.to_string()))?;
            file.write_all(bytes)?;
            file.sync_all()?;
        }
        Ok(())
    })?;
    Ok(took)
}
