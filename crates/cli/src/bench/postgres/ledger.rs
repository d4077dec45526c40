//! The ledger: pages, the whole answer over HTTP, the stream of all rows, and the audit, over a chain that the stages
//! made of documents of one claim each in unit batch.

use std::io::BufRead as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::TryStreamExt as _;
use provex_core::digest::Digest;
use provex_core::ledger::AttestationFilter;
use provex_core::time::Timestamp;
use provex_core::trusted_root::TrustedRoot;
use provex_formats::ParseLimits;
use provex_pipeline::{Pipeline, Trusted, Unit};
use provex_store::AttestationPosition;
use provex_store_postgres::testing::TestDatabase;
use sqlx::{AssertSqlSafe, PgConnection, Row as _, ValueRef as _};
use tokio::runtime::Handle;

use super::super::Bench;
use super::super::log;
use super::super::process::{high_water_mark, provex_on};
use super::super::proving::{self, Prover};
use super::super::report::{Asked, Report, Unit as Figure};
use super::super::scratch::Scratch;
use super::super::timing::{in_turns, now};
use super::migrated;
use crate::signatures::AwsLc;

const PAGE: usize = 1_000;
const DOCUMENTS_AT_ONCE: usize = 100_000;
const COLUMNS: &str = "tenant_id, attestation_id, artifact_id, finding_id, verification_status, verification_time,
    dsse_digest, rekor_entry_id, evidence_bundle_ref, ledger_event_id, recorded_at, merkle_leaf_hash, root_hash,
    cycle_hash, projection_version";

/// What the audit goes over.
const AUDITED: [&str; 11] = [
    "findings.ledger_events",
    "findings.ledger_tiles",
    "findings.ledger_attestations",
    "vex.documents",
    "vex.document_bodies",
    "vex.parse_findings",
    "vex.observations",
    "attestor.envelopes",
    "attestor.envelope_members",
    "attestor.log_entries",
    "attestor.bundles",
];

pub(super) fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let rows = bench.amount(1_000_000, 20_000);
    let (runtime, scratch) = (Handle::current(), Scratch::new()?);
    let database = runtime.block_on(migrated())?;
    let pipeline = proving::pipeline(Arc::new(runtime.block_on(database.store())));
    runtime.block_on(chain(&scratch, &pipeline, rows))?;
    runtime.block_on(database.execute("VACUUM ANALYZE"));
    let mut owner = runtime.block_on(database.connect());
    pages(bench, report, &pipeline, &mut owner, rows)?;
    over_http(bench, report, &scratch, &database, &mut owner, rows)?;
    audit(bench, report, &pipeline, &mut owner)
}

/// Ingests, attests, logs and links so many documents of one claim each.
async fn chain(scratch: &Scratch, pipeline: &Pipeline, documents: usize) -> anyhow::Result<()> {
    let log = log::new_log(&scratch.folder("log")?).await?;
    let root = TrustedRoot::new(vec![provex_tlog::TransparencyLog::identity(&*log).clone()]);
    let prover = Prover::new(log, root)?;
    let unit = Unit::Batch(256.try_into()?);
    for first in (0..documents).step_by(DOCUMENTS_AT_ONCE) {
        let part = first..documents.min(first + DOCUMENTS_AT_ONCE);
        pipeline.ingest(part.map(proving::document), ParseLimits::default(), |_| ()).await?;
        let drain = prover.drain(std::slice::from_ref(pipeline), unit);
        while drain.once(&|| false).await?.more {}
    }
    let counts = pipeline.store.counts(&pipeline.tenant).await?;
    ensure!(counts.linked == documents as u64, "{counts:?}");
    Ok(())
}

fn pages(
    bench: &Bench,
    report: &mut Report,
    pipeline: &Pipeline,
    owner: &mut PgConnection,
    rows: usize,
) -> anyhow::Result<()> {
    let runtime = Handle::current();
    let end = runtime.block_on(from_the_end(owner, PAGE))?;
    let page = |after| runtime.block_on(page(pipeline, after));
    let [last, bare, first] = in_turns(
        bench.amount(101, 31),
        true,
        [&mut || page(Some(end)), &mut || runtime.block_on(bare_page(owner, end)), &mut || page(None)],
    )?;
    let what = format!("the store's page of {PAGE} attestations at the end of {rows}");
    report.compare(&what, &last, "the bare indexed SELECT", &bare, Asked::AtLeast(1.0 / 1.5));
    report.compare(&what, &last, "the store's first page", &first, Asked::AtLeast(1.0 / 1.2));
    Ok(())
}

/// The position before the last so many rows.
async fn from_the_end(owner: &mut PgConnection, rows: usize) -> anyhow::Result<AttestationPosition> {
    let row = sqlx::query(
        "SELECT (extract(epoch FROM recorded_at) * 1000000)::bigint, attestation_id FROM findings.ledger_attestations
        WHERE tenant_id = 'default' ORDER BY recorded_at DESC, attestation_id DESC OFFSET $1 LIMIT 1",
    )
    .bind(i64::try_from(rows)?)
    .fetch_one(owner)
    .await?;
    Ok(AttestationPosition {
        recorded_at: Timestamp::from_unix_micros(row.try_get(0)?)?,
        attestation_id: row.try_get(1)?,
    })
}

async fn page(pipeline: &Pipeline, after: Option<AttestationPosition>) -> anyhow::Result<Duration> {
    let start = now();
    let filter = AttestationFilter::default();
    let page = pipeline.store.attestations(&pipeline.tenant, &filter, after, PAGE).await?;
    let took = start.elapsed();
    ensure!(page.rows.len() == PAGE, "{} rows", page.rows.len());
    Ok(took)
}

async fn bare_page(owner: &mut PgConnection, after: AttestationPosition) -> anyhow::Result<Duration> {
    let sql = format!(
        "SELECT {COLUMNS} FROM findings.ledger_attestations
        WHERE tenant_id = $1 AND (recorded_at, attestation_id) > ($2::text::timestamptz, $3)
        ORDER BY recorded_at, attestation_id LIMIT $4"
    );
    let time = after.recorded_at.to_rfc3339();
    let start = now();
    let query = sqlx::query(AssertSqlSafe(sql)).bind("default").bind(time).bind(after.attestation_id);
    let rows = query.bind(i64::try_from(PAGE)?).fetch_all(owner).await?;
    let took = start.elapsed();
    ensure!(rows.len() == PAGE, "{} rows", rows.len());
    Ok(took)
}

// Over HTTP -----------------------------------------------------------------------------------------------------------

/// `provex serve` as a process of its own.
struct Server {
    process: Child,
    url: String,
    token: String,
    client: reqwest::Client,
}

impl Server {
    fn start(scratch: &Scratch, database: &TestDatabase) -> anyhow::Result<Self> {
        let data = scratch.folder("serve")?;
        let url = database.url();
        let mut command: Command =
            provex_on(&data, &["serve", "--no-worker", "--listen", "127.0.0.1:0", "--database-url", &url])?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn()?;
        let mut lines = std::io::BufReader::new(process.stderr.take().context("its messages")?).lines();
        let found = lines.by_ref().find_map(|line| {
            let line = line.ok()?;
            let at = line.find("http://")?;
            line[at..].split([',', ' ']).next().map(str::to_owned)
        });
        // Read to its end, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        let mut server =
            Self { process, url: String::new(), token: String::new(), client: reqwest::Client::new() };
        server.url = found.context("`provex serve` does not start")?;
        server.token = std::fs::read_to_string(data.join("local-token"))?.trim().to_owned();
        Ok(server)
    }

    /// The time of a whole answer, and its length; `None` where there is no such path.
    async fn get(&self, path: &str) -> anyhow::Result<Option<(Duration, usize)>> {
        let start = now();
        let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        let mut answer = request.header("x-stella-tenant", "default").send().await?;
        if answer.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        answer = answer.error_for_status()?;
        let mut length = 0;
        while let Some(part) = answer.chunk().await? {
            length += part.len();
        }
        Ok(Some((start.elapsed(), length)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is gone already, or it goes now.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn over_http(
    bench: &Bench,
    report: &mut Report,
    scratch: &Scratch,
    database: &TestDatabase,
    owner: &mut PgConnection,
    rows: usize,
) -> anyhow::Result<()> {
    let runtime = Handle::current();
    let server = Server::start(scratch, database)?;
    let end = runtime.block_on(from_the_end(owner, PAGE))?;
    let since = end.recorded_at.to_rfc3339();
    let page = format!("/v1/ledger/attestations?limit={PAGE}&sinceRecordedAt={since}");
    let get = |path: &str| runtime.block_on(server.get(path))?.context("there is no such path");
    let [whole, bare] = in_turns(
        bench.amount(101, 31),
        true,
        [&mut || Ok(get(&page)?.0), &mut || runtime.block_on(bare_page(owner, end))],
    )?;
    report.compare(
        &format!("the whole answer over HTTP, {PAGE} attestations as JSON"),
        &whole,
        "the bare indexed SELECT",
        &bare,
        Asked::AtLeast(1.0 / 3.0),
    );
    let stream = "/v1/ledger/attestations/stream";
    let what = format!("the NDJSON stream of {rows} attestations");
    if runtime.block_on(server.get(stream))?.is_none() {
        report.skip(&what, "this release has no such path");
        return Ok(());
    }
    let [streamed, copied] =
        in_turns(3, false, [&mut || Ok(get(stream)?.0), &mut || runtime.block_on(copy_out(owner))])?;
    report.compare(
        &what,
        &streamed,
        "COPY of the rows TO STDOUT, in the same order",
        &copied,
        Asked::AtLeast(0.5),
    );
    if let Some(peak) = high_water_mark(&server.process) {
        report.measure(&format!("peak memory, {what}"), Figure::Bytes, &[peak as f64], Asked::AtMost(50e6));
    }
    Ok(())
}

async fn copy_out(owner: &mut PgConnection) -> anyhow::Result<Duration> {
    let start = now();
    let sql = format!(
        "COPY (SELECT {COLUMNS} FROM findings.ledger_attestations WHERE tenant_id = 'default'
        ORDER BY recorded_at, attestation_id) TO STDOUT"
    );
    let mut parts = owner.copy_out_raw(&sql).await?;
    while parts.try_next().await?.is_some() {}
    Ok(start.elapsed())
}

// The audit -----------------------------------------------------------------------------------------------------------

fn audit(
    bench: &Bench,
    report: &mut Report,
    pipeline: &Pipeline,
    owner: &mut PgConnection,
) -> anyhow::Result<()> {
    let runtime = Handle::current();
    let mut events = 0;
    let [audited, read] = in_turns(
        bench.amount(3, 3),
        false,
        [
            &mut || {
                let start = now();
                let audit = runtime.block_on(pipeline.audit(Trusted { keys: &[], signatures: &AwsLc }))?;
                let took = start.elapsed();
                ensure!(audit.wrong.is_none(), "{audit:?}");
                events = audit.events;
                Ok(took)
            },
            &mut || runtime.block_on(read_and_hash(owner)),
        ],
    )?;
    report.compare(
        &format!("audit of {events} events and all that they speak of"),
        &audited,
        "reading and hashing the same rows",
        &read,
        Asked::AtLeast(0.5),
    );
    Ok(())
}

/// Every value of every row that the audit goes over, through the same driver, hashed.
async fn read_and_hash(owner: &mut PgConnection) -> anyhow::Result<Duration> {
    let start = now();
    for table in AUDITED {
        let sql = format!("SELECT * FROM {table} WHERE tenant_id = $1");
        let mut rows = sqlx::query(AssertSqlSafe(sql)).bind("default").fetch(&mut *owner);
        while let Some(row) = rows.try_next().await? {
            let values = (0..row.len()).map(|column| row.try_get_raw(column));
            let values = values.collect::<Result<Vec<_>, _>>()?;
            let parts: Vec<_> =
                values.iter().filter(|v| !v.is_null()).filter_map(|v| v.as_bytes().ok()).collect();
            std::hint::black_box(Digest::of_parts(&parts));
        }
    }
    Ok(start.elapsed())
}
