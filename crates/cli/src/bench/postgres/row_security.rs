//! A statement under row-level security, and the same without.

use std::time::Duration;

use provex_core::digest::Digest;
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::runtime::Handle;

use super::super::Bench;
use super::super::report::{Asked, Report};
use super::super::timing::{in_turns, now};
use super::observations;

pub(super) fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let (rows, times, rounds) = (bench.amount(100_000, 5_000), bench.amount(500, 100), bench.amount(31, 11));
    let runtime = Handle::current();
    let database = observations(0, rows)?;
    let ids: Vec<_> =
        (0..times).map(|n| Digest::of(format!("o{}", n * rows / times).as_bytes()).to_hex()).collect();
    let (mut app, mut owner) = (runtime.block_on(database.connect()), runtime.block_on(database.connect()));
    runtime.block_on(sqlx::raw_sql("SET ROLE provex_app").execute(&mut app))?;
    for (what, sql) in [
        ("a look-up by key", "SELECT body FROM vex.observations WHERE tenant_id = $1 AND observation_id = $2"),
        (
            "a page of the pending queue",
            "SELECT body FROM vex.observations WHERE tenant_id = $1 AND rekor_uuid IS NULL AND created_at > 'epoch'
                AND observation_id <> $2 ORDER BY created_at, observation_id LIMIT 100",
        ),
    ] {
        let [with, without] = in_turns(
            rounds,
            true,
            [&mut || runtime.block_on(statements(&mut app, sql, &ids)), &mut || {
                runtime.block_on(statements(&mut owner, sql, &ids))
            }],
        )?;
        let each = |seconds: &[f64]| seconds.iter().map(|s| s / times as f64).collect::<Vec<_>>();
        report.compare(
            &format!("{what} under row-level security"),
            &each(&with),
            "the same by the owner, without, in the same kind of transaction",
            &each(&without),
            Asked::AtLeast(1.0 / 1.15),
        );
    }
    Ok(())
}

/// The statement for each id, in one transaction that entered the tenant.
async fn statements(
    connection: &mut PgConnection,
    sql: &'static str,
    ids: &[String],
) -> anyhow::Result<Duration> {
    let mut tx = connection.begin().await?;
    sqlx::query("SELECT vex.enter_tenant('default')").execute(&mut *tx).await?;
    let start = now();
    for id in ids {
        let rows = sqlx::query(sql).bind("default").bind(id).fetch_all(&mut *tx).await?;
        anyhow::ensure!(rows.first().is_some_and(|row| !row.get::<&[u8], _>(0).is_empty()), "no row");
    }
    let took = start.elapsed();
    tx.commit().await?;
    Ok(took)
}
