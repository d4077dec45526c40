//! Draining a queue of signed envelopes into a real Rekor v2, linkages included, against a bare load generator.
//!
//! The log is the one that `scripts/servers up` starts and names in the environment.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use provex_core::dsse::Envelope;
use provex_core::entry::HashedRekord;
use provex_core::ids::TenantId;
use provex_core::keys::{LocalSigner, Signer as _};
use provex_core::trusted_root::TrustedRoot;
use provex_formats::ParseLimits;
use provex_pipeline::Unit;
use provex_pipeline::environment::Environment as _;
use provex_store::Store as _;
use provex_store_sqlite::SqliteStore;
use provex_tlog::TransparencyLog;
use provex_tlog::rekor_v2::{RekorV2, RekorV2Config, RekorV2Limits};
use tokio::runtime::Handle;

use super::Bench;
use super::proving::{self, Prover};
use super::report::{Asked, Report};
use super::scratch::Scratch;
use super::timing::{in_turns, now};
use crate::data;
use crate::environment::System;
use crate::signatures::AwsLc;

pub(super) fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let Some(server) = Server::named()? else {
        report
            .skip("draining into Rekor v2", "PROVEX_TEST_REKOR_URL names no log: scripts/servers starts one");
        return Ok(());
    };
    let (envelopes, concurrency) = (bench.amount(5_000, 1_000), RekorV2Limits::default().concurrency);
    let scratch = Scratch::new()?;
    let runtime = Handle::current();
    let [drained, bare] = in_turns(
        3,
        false,
        [&mut || runtime.block_on(drain(&scratch, &server, envelopes)), &mut || {
            runtime.block_on(load(&server, envelopes, concurrency))
        }],
    )?;
    report.compare(
        &format!("draining {envelopes} envelopes into Rekor v2, linkages included"),
        &drained,
        &format!("posting {envelopes} entries, {concurrency} under way at once"),
        &bare,
        Asked::AtLeast(0.9),
    );
    Ok(())
}

/// A real Rekor v2.
struct Server {
    url: String,
    read_url: String,
    root: TrustedRoot,
}

impl Server {
    fn named() -> anyhow::Result<Option<Self>> {
        let Ok(url) = std::env::var("PROVEX_TEST_REKOR_URL") else { return Ok(None) };
        let variable = |name| std::env::var(name).with_context(|| format!("{name} is not set"));
        let root = PathBuf::from(variable("PROVEX_TEST_TRUSTED_ROOT")?);
        let root = TrustedRoot::parse(&data::read(&root)?)?;
        Ok(Some(Self { url, read_url: variable("PROVEX_TEST_REKOR_READ_URL")?, root }))
    }

    fn log(&self) -> anyhow::Result<Arc<dyn TransparencyLog>> {
        let identity =
            self.root.log_at(&self.url, System.now()).context("the trusted root knows no such log")?;
        let config = RekorV2Config {
            url: self.url.clone(),
            read_url: Some(self.read_url.clone()),
            identity: identity.clone(),
            signatures: Arc::new(AwsLc),
            tls_roots: None,
            limits: RekorV2Limits::default(),
        };
        Ok(Arc::new(RekorV2::new(config)?))
    }
}

/// Documents with one observation each are recorded and attested; then time counts.
async fn drain(scratch: &Scratch, server: &Server, envelopes: usize) -> anyhow::Result<Duration> {
    let store = Arc::new(SqliteStore::open(&scratch.folder("drain")?.join("provex.db")).await?);
    store.add_tenant(&TenantId::default_tenant(), System.uuid(), System.now()).await?;
    let pipeline = proving::pipeline(store);
    pipeline.ingest((0..envelopes).map(proving::document), ParseLimits::default(), |_| ()).await?;
    let prover = Prover::new(server.log()?, server.root.clone())?;
    let made = prover.attest(&pipeline, Unit::Document).await?;
    ensure!(made == envelopes as u64, "{made} envelopes");
    let drain = prover.drain(std::slice::from_ref(&pipeline), Unit::Document);
    let start = now();
    let done = drain.once(&|| false).await?;
    let took = start.elapsed();
    ensure!(done.linked.linked == envelopes as u64, "{done:?}");
    Ok(took)
}

/// Requests that are ready are posted, so many at once, and their answers read to the end; nothing is kept or checked.
async fn load(server: &Server, entries: usize, concurrency: usize) -> anyhow::Result<Duration> {
    let signer = LocalSigner::p256_from_random(&proving::drawn())?;
    let requests = (0..entries).map(|_| {
        let envelope = Envelope::sign(proving::drawn().to_vec(), &signer)?;
        Ok(HashedRekord::of_envelope(&envelope, signer.public_key())?.request())
    });
    let requests: Arc<[Vec<u8>]> = requests.collect::<anyhow::Result<Vec<_>>>()?.into();
    let client = reqwest::Client::builder().pool_max_idle_per_host(concurrency).build()?;
    let url = format!("{}/api/v2/log/entries", server.url);
    let next = Arc::new(AtomicUsize::new(0));
    let start = now();
    let mut posting = tokio::task::JoinSet::new();
    for _ in 0..concurrency {
        let (requests, client, url, next) =
            (Arc::clone(&requests), client.clone(), url.clone(), Arc::clone(&next));
        posting.spawn(async move {
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                let post = client.post(&url).header("content-type", "application/json").body(request.clone());
                post.send().await?.error_for_status()?.bytes().await?;
            }
            Ok::<_, reqwest::Error>(())
        });
    }
    while let Some(ended) = posting.join_next().await {
        ended??;
    }
    Ok(start.elapsed())
}
