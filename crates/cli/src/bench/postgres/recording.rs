//! Documents that are parsed already, recorded by the store and copied by the owner.

use std::time::Duration;

use provex_core::ids::TenantId;
use provex_pipeline::environment::Environment as _;
use provex_store::{NewDocument, Recording, Store as _};
use provex_store_postgres::testing::TestDatabase;
use sqlx::Connection as _;
use tokio::runtime::Handle;

use super::super::Bench;
use super::super::report::{Asked, Report};
use super::super::timing::{in_turns, now};
use super::migrated;
use crate::data::operator;
use crate::environment::System;

/// A table that an ingest writes.
struct Table {
    name: &'static str,
    /// The `created_at` of the commit that wrote the row `t`.
    committed_at: &'static str,
    key: &'static str,
}

const OF_DOCUMENT: &str = "(SELECT d.created_at FROM vex.documents AS d
    WHERE d.tenant_id = t.tenant_id AND d.document_digest = t.document_digest)";

/// In the order of a commit. The chain's row, which is changed and not added to, is left out.
const TABLES: [Table; 9] = [
    Table { name: "vex.documents", committed_at: "t.created_at", key: "document_digest" },
    Table { name: "vex.document_bodies", committed_at: OF_DOCUMENT, key: "document_digest" },
    Table { name: "vex.observations", committed_at: "t.created_at", key: "observation_id" },
    Table {
        name: "vex.observation_keys",
        committed_at: "(SELECT o.created_at FROM vex.observations AS o
            WHERE o.tenant_id = t.tenant_id AND o.observation_id = t.observation_id)",
        key: "kind, key, observation_id",
    },
    Table { name: "vex.parse_findings", committed_at: OF_DOCUMENT, key: "document_digest, position" },
    Table { name: "vex.standings", committed_at: "t.created_at", key: "document_digest" },
    Table { name: "attestor.submissions", committed_at: OF_DOCUMENT, key: "submission_id" },
    Table { name: "findings.ledger_events", committed_at: "t.occurred_at", key: "sequence_no" },
    Table {
        name: "findings.ledger_tiles",
        // Written with the last of its events.
        committed_at: "(SELECT e.occurred_at FROM findings.ledger_events AS e
            WHERE e.tenant_id = t.tenant_id AND e.sequence_no = (t.tile_index + 1) * (256 ^ (t.level + 1))::bigint)",
        key: "level, tile_index",
    },
];

pub(super) fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let batches = super::super::ingest::parsed(bench)?;
    let runtime = Handle::current();
    let filled = runtime.block_on(migrated())?;
    runtime.block_on(record(&filled, &batches))?;
    let copies = runtime.block_on(copies(&filled))?;
    let bytes: usize = copies.iter().flatten().map(|(_, bytes)| bytes.len()).sum();
    let [recorded, copied] = in_turns(
        3,
        false,
        [
            &mut || {
                let database = runtime.block_on(migrated())?;
                runtime.block_on(record(&database, &batches))
            },
            &mut || {
                let database = runtime.block_on(migrated())?;
                runtime.block_on(copy(&database, &copies))
            },
        ],
    )?;
    let observations: usize = batches.iter().flatten().map(|document| document.observations.len()).sum();
    report.compare(
        &format!("recording {observations} parsed observations in PostgreSQL"),
        &recorded,
        &format!("text COPY of its rows by the owner, {} MB, commits: {}", bytes / 1_000_000, copies.len()),
        &copied,
        Asked::AtLeast(0.6),
    );
    Ok(())
}

async fn record(database: &TestDatabase, batches: &[Vec<NewDocument>]) -> anyhow::Result<Duration> {
    let store = database.store().await;
    let tenant = TenantId::default_tenant();
    // Connected before time counts, as COPY is.
    store.known_documents(&tenant, &[]).await?;
    let start = now();
    for batch in batches {
        let recording = Recording { now: System.now(), actor: operator(), run: None, seed: [0; 32] };
        store.record_documents(&tenant, &recording, batch).await?;
    }
    let took = start.elapsed();
    store.close().await;
    Ok(took)
}

/// What each commit wrote, as `COPY … TO STDOUT` gives it, table by table, sorted by key.
async fn copies(database: &TestDatabase) -> anyhow::Result<Vec<Vec<(&'static str, Vec<u8>)>>> {
    use futures_util::TryStreamExt as _;
    let mut connection = database.connect().await;
    let times: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT created_at::text FROM vex.documents ORDER BY 1")
            .fetch_all(&mut connection)
            .await?;
    let mut commits = Vec::new();
    for time in times {
        let mut commit = Vec::new();
        for Table { name, committed_at, key } in TABLES {
            let sql = format!(
                "COPY (SELECT t.* FROM {name} AS t WHERE {committed_at} = '{time}' ORDER BY {key}) TO STDOUT"
            );
            let mut bytes = Vec::new();
            let mut stream = connection.copy_out_raw(&sql).await?;
            while let Some(part) = stream.try_next().await? {
                bytes.extend_from_slice(&part);
            }
            commit.push((name, bytes));
        }
        commits.push(commit);
    }
    Ok(commits)
}

async fn copy(database: &TestDatabase, commits: &[Vec<(&'static str, Vec<u8>)>]) -> anyhow::Result<Duration> {
    let mut connection = database.connect().await;
    let start = now();
    for commit in commits {
        let mut tx = connection.begin().await?;
        for (table, bytes) in commit {
            let mut into = tx.copy_in_raw(&format!("COPY {table} FROM STDIN")).await?;
            into.send(bytes.as_slice()).await?;
            into.finish().await?;
        }
        tx.commit().await?;
    }
    Ok(start.elapsed())
}
