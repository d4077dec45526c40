//! Line 2: recording in SQLite. The corpus, repeated under changed ids, is ingested once; what that wrote is then
//! written again, bare and by the store, with the same commits.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use provex_core::ids::TenantId;
use provex_formats::ParseLimits;
use provex_pipeline::Pipeline;
use provex_pipeline::environment::Environment as _;
use provex_store::{NewDocument, Recording, Store};
use provex_store_sqlite::SqliteStore;
use sqlx::Connection as _;
use tokio::runtime::Handle;
use uuid::Uuid;

use super::Bench;
use super::corpus::{self, Until};
use super::report::{Asked, Report};
use super::rows::{self, BareInserts, Commits};
use super::scratch::Scratch;
use super::timing::{in_turns, time_ok};
use crate::data::operator;
use crate::environment::System;
use crate::inputs::Inputs;

pub(super) fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let (documents, mut commits) = ingested(bench, &scratch)?;
    let runtime = Handle::current();
    let (observations, rows) = (runtime.block_on(commits.observations())?, runtime.block_on(commits.rows())?);
    let (count, commits, inserts) = (commits.count(), RefCell::new(commits), BareInserts::new());
    let [whole, recorded, bare] = in_turns(
        3,
        false,
        [
            &mut || whole(&scratch, &documents),
            &mut || record(&scratch, &mut commits.borrow_mut()),
            &mut || insert(&scratch, &inserts, &mut commits.borrow_mut()),
        ],
    )?;
    let baseline = format!("bare inserts of its {rows} rows, commits: {count}");
    let what = format!("ingest of {observations} observations, files to SQLite");
    report.compare(&what, &whole, &baseline, &bare, Asked::AtLeast(0.5));
    report.compare(
        "of that, recording what is parsed already",
        &recorded,
        "the same",
        &bare,
        Asked::AtLeast(0.5),
    );
    Ok(())
}

/// The repeated corpus, and what an ingest of it wrote.
fn ingested(bench: &Bench, scratch: &Scratch) -> anyhow::Result<(PathBuf, Commits)> {
    let documents = scratch.folder("documents")?;
    let until = Until::Observations(bench.observations());
    corpus::repeat(&corpus::read(&bench.corpus)?, &documents, until)?;
    whole(scratch, &documents)?;
    let commits = Handle::current().block_on(Commits::read(&database(scratch)))?;
    Ok((documents, commits))
}

/// The repeated corpus as it is parsed, a commit of an ingest at a time.
pub(super) fn parsed(bench: &Bench) -> anyhow::Result<Vec<Vec<NewDocument>>> {
    let scratch = Scratch::new()?;
    let (_, mut commits) = ingested(bench, &scratch)?;
    let runtime = Handle::current();
    (0..commits.count()).map(|place| runtime.block_on(commits.get(place))?.documents()).collect()
}

/// `provex ingest` without its start: reads, parses and records.
fn whole(scratch: &Scratch, documents: &Path) -> anyhow::Result<Duration> {
    let runtime = Handle::current();
    let store = runtime.block_on(empty(scratch))?;
    let pipeline = Pipeline {
        store: Arc::clone(&store) as Arc<dyn Store>,
        environment: Arc::new(System),
        tenant: TenantId::default_tenant(),
        actor: operator(),
        run: None,
    };
    let inputs = Inputs::new(vec![documents.to_owned()], ParseLimits::default());
    let (_, took) =
        time_ok(|| Ok(runtime.block_on(pipeline.ingest(inputs, ParseLimits::default(), |_| ()))?))?;
    drop(pipeline);
    close(store)?;
    Ok(took)
}

/// The store's own transactions.
fn record(scratch: &Scratch, commits: &mut Commits) -> anyhow::Result<Duration> {
    let (runtime, tenant) = (Handle::current(), TenantId::default_tenant());
    let store = runtime.block_on(empty(scratch))?;
    let mut took = Duration::ZERO;
    for place in 0..commits.count() {
        let batch = runtime.block_on(commits.get(place))?.documents()?;
        let recording = Recording { now: System.now(), actor: operator(), run: None, seed: [0; 32] };
        took += time_ok(|| Ok(runtime.block_on(store.record_documents(&tenant, &recording, &batch))?))?.1;
    }
    close(store)?;
    Ok(took)
}

/// The same rows, tables, settings and commits, without the store.
fn insert(scratch: &Scratch, inserts: &BareInserts, commits: &mut Commits) -> anyhow::Result<Duration> {
    let runtime = Handle::current();
    close(runtime.block_on(empty(scratch))?)?;
    let mut connection = runtime.block_on(rows::connect(&database(scratch)))?;
    let mut took = Duration::ZERO;
    for place in 0..commits.count() {
        let commit = runtime.block_on(commits.get(place))?;
        took += time_ok(|| runtime.block_on(inserts.write(&mut connection, &commit)))?.1;
    }
    runtime.block_on(connection.close())?;
    Ok(took)
}

fn database(scratch: &Scratch) -> PathBuf {
    scratch.path("data").join("provex.db")
}

/// An empty database with its tables and the tenant.
async fn empty(scratch: &Scratch) -> anyhow::Result<Arc<SqliteStore>> {
    scratch.folder("data")?;
    let store = SqliteStore::open(&database(scratch)).await?;
    // One chain's events are written bare again into another database.
    store.add_tenant(&TenantId::default_tenant(), Uuid::nil(), System.now()).await?;
    Ok(Arc::new(store))
}

fn close(store: Arc<SqliteStore>) -> anyhow::Result<()> {
    if let Some(store) = Arc::into_inner(store) {
        Handle::current().block_on(store.close())?;
    }
    Ok(())
}
