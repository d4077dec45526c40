//! Pages of the pending queue beside rows that are linked already.

use std::time::Duration;

use provex_core::ids::TenantId;
use provex_store::{ObservationFilter, ObservationPosition, Store as _};
use provex_store_postgres::PostgresStore;
use sqlx::PgConnection;
use tokio::runtime::Handle;

use super::super::Bench;
use super::super::report::{Asked, Report};
use super::super::timing::{in_turns, now};
use super::observations;

/// How many rows a read of the pending queue gives.
const PAGE: usize = 500;

pub(super) fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let (linked, drained) = (bench.amount(1_000_000, 20_000), bench.amount(50_000, 5_000));
    let runtime = Handle::current();
    let (full, empty) = (observations(linked, drained)?, observations(0, drained)?);
    let (of_full, of_empty) = (runtime.block_on(full.store()), runtime.block_on(empty.store()));
    let first = |store: &PostgresStore| runtime.block_on(page(store, None)).map(|(_, took)| took);
    let [beside, alone] = in_turns(51, true, [&mut || first(&of_full), &mut || first(&of_empty)])?;
    let baseline = "the same of a table with nothing else";
    report.compare(
        &format!("pending page of {PAGE} beside {linked} linked rows, after VACUUM"),
        &beside,
        baseline,
        &alone,
        Asked::AtLeast(0.5),
    );
    // A snapshot from before keeps every version that the drain makes.
    let (mut holder, mut linker) = (runtime.block_on(full.connect()), runtime.block_on(full.connect()));
    runtime.block_on(async {
        sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM control.tenants")
            .execute(&mut holder)
            .await
    })?;
    let mut after = None;
    let rounds = drained / PAGE - 1;
    let [draining, alone] = in_turns(
        rounds,
        false,
        [
            &mut || {
                let (rows, took) = runtime.block_on(page(&of_full, after))?;
                after = rows.last().copied();
                runtime.block_on(link(&mut linker, &rows))?;
                Ok(took)
            },
            &mut || first(&of_empty),
        ],
    )?;
    report.compare(
        &format!("the same during a drain of {} without VACUUM, a snapshot open", rounds * PAGE),
        &draining,
        baseline,
        &alone,
        Asked::AtLeast(0.2),
    );
    Ok(())
}

async fn page(
    store: &PostgresStore,
    after: Option<ObservationPosition>,
) -> anyhow::Result<(Vec<ObservationPosition>, Duration)> {
    let filter = ObservationFilter { pending: true, ..ObservationFilter::default() };
    let start = now();
    let rows = store.observations(&TenantId::default_tenant(), &filter, after, PAGE).await?;
    let took = start.elapsed();
    anyhow::ensure!(rows.len() == PAGE, "{} rows wait", rows.len());
    Ok((rows.iter().map(|row| row.position()).collect(), took))
}

async fn link(connection: &mut PgConnection, rows: &[ObservationPosition]) -> anyhow::Result<()> {
    let ids: Vec<_> = rows.iter().map(|row| row.id.digest().to_hex()).collect();
    sqlx::query(
        "UPDATE vex.observations SET (rekor_uuid, rekor_log_id, rekor_log_index, rekor_log_url, rekor_tree_size,
            rekor_tree_root, rekor_entry_kind, rekor_entry_version, rekor_entry_body_hash, rekor_inclusion_proof,
            rekor_envelope_digest, rekor_set_index, rekor_set_path, rekor_linked_at)
            = (repeat('a', 64), repeat('b', 64), 1, 'https://log', 1, repeat('c', 64), 'hashedrekord', '0.0.2',
            repeat('d', 64), '{}', repeat('e', 64), 0, '', 'epoch')
        WHERE tenant_id = 'default' AND observation_id = ANY($1)",
    )
    .bind(ids)
    .execute(connection)
    .await?;
    Ok(())
}
