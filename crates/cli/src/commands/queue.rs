//! `provex pending --queue`, and what `provex link --retry` and `--drop` do first.

use provex_core::time::Timestamp;
use provex_pipeline::Pipeline;
use provex_pipeline::environment::Environment as _;
use provex_store::{QueuedSubmission, Settle, Stage};
use serde_json::{Value, json};

use crate::args::{Global, Listing, Which};
use crate::data::DataFolder;
use crate::environment::System;
use crate::failure::{Done, Failure};
use crate::output;

/// Rows a read.
const PAGE: usize = 500;

pub(super) async fn list(global: &Global, failed: bool, listing: Listing) -> Result<Done, Failure> {
    let folder = DataFolder::open(global)?;
    let pipeline = folder.pipeline(folder.config.tenant(global.tenant.as_ref())).await?;
    if listing.ndjson {
        lines(&pipeline, failed).await
    } else {
        table(&pipeline, failed, listing.limit).await
    }
}

async fn lines(pipeline: &Pipeline, failed: bool) -> Result<Done, Failure> {
    let mut after = None;
    loop {
        let rows = pipeline.store.queued_submissions(&pipeline.tenant, failed, after, PAGE).await?;
        for row in &rows {
            output::json(&view(row, System.now()))?;
        }
        match rows.last() {
            Some(last) if rows.len() == PAGE => after = Some(last.id),
            _ => return Ok(Done::Yes),
        }
    }
}

async fn table(pipeline: &Pipeline, failed: bool, limit: usize) -> Result<Done, Failure> {
    let most = limit.saturating_add(1);
    let rows = pipeline.store.queued_submissions(&pipeline.tenant, failed, None, most).await?;
    if rows.is_empty() {
        return output::line("none").map(|()| Done::Yes);
    }
    let mut table = output::table(&["submission", "of", "next", "attempts", "why it is not done"]);
    let now = System.now();
    for row in rows.iter().take(limit) {
        let why = output::plain(&why(row, now)).into_owned();
        table.add_row([
            row.id.to_string(),
            of(row),
            row.stage.label().to_owned(),
            row.attempts.to_string(),
            why,
        ]);
    }
    output::line(&table.to_string())?;
    if rows.len() > limit {
        output::line(&format!("... more; --limit N or --ndjson shows them (first {limit} shown)"))?;
    }
    Ok(Done::Yes)
}

fn of(row: &QueuedSubmission) -> String {
    let document = row.document.map(|digest| format!("document {}", digest.to_text()));
    let statement = row.envelope.map(|digest| format!("statement {}", digest.to_text()));
    document.or(statement).unwrap_or_default()
}

/// Why it is not done, in plain words.
fn why(row: &QueuedSubmission, now: Timestamp) -> String {
    let reason = row.reason.as_deref();
    if row.dead {
        return format!("given up: {}", reason.unwrap_or("no reason is known"));
    }
    if let Some(until) = row.leased_until.filter(|until| now < *until) {
        return format!("it is being worked on; if that process has ended, it is taken up again at {until}");
    }
    match (reason, row.stage) {
        (Some(reason), _) if now < row.due => format!("{reason} (again at {})", row.due),
        (Some(reason), _) => reason.to_owned(),
        (None, Stage::Attest) => "no statement of it was signed yet".to_owned(),
        (None, Stage::Submit) => "it was not sent to a log yet".to_owned(),
        (None, Stage::Link) => "the log's answer was not verified yet".to_owned(),
    }
}

fn view(row: &QueuedSubmission, now: Timestamp) -> Value {
    json!({
        "submissionId": row.id.to_string(),
        "stage": row.stage.label(),
        "documentDigest": row.document.map(|digest| digest.to_text()),
        "dsseDigest": row.envelope.map(|digest| digest.to_text()),
        "failed": row.dead,
        "attempts": row.attempts,
        "dueAt": row.due,
        "leasedUntil": row.leased_until,
        "why": why(row, now),
    })
}

/// Goes on with what was given up, as the call says.
pub(super) async fn settle(
    pipeline: &Pipeline,
    retry: Option<Which>,
    drop: Option<Which>,
) -> Result<(), Failure> {
    let asked = retry.map(|which| (which, Settle::Retry(System.now()), "queued again"));
    let asked = asked.or(drop.map(|which| (which, Settle::Drop, "taken out of the queue")));
    let Some((which, settle, done)) = asked else { return Ok(()) };
    let only = if let Which::One(id) = which { Some(id) } else { None };
    let settled = pipeline.store.settle_dead_submissions(&pipeline.tenant, only, settle).await?;
    match only {
        Some(id) if settled == 0 => Err(Failure::call(format!(
            "no submission {id} was given up; `provex pending --failed` lists those that were"
        ))),
        _ => {
            output::tell(format_args!("provex: {settled} {done}"));
            Ok(())
        }
    }
}

/// Queues again what was dropped.
pub(super) async fn requeue(pipeline: &Pipeline) -> Result<(), Failure> {
    let mut queued = 0;
    loop {
        let dropped = pipeline.store.dropped(&pipeline.tenant, PAGE).await?;
        if dropped.is_empty() {
            output::tell(format_args!("provex: {queued} queued again"));
            return Ok(());
        }
        let rows: Vec<_> = dropped.into_iter().map(|dropped| (System.uuid(), dropped)).collect();
        queued += pipeline.store.queue_dropped(&pipeline.tenant, System.now(), &rows).await?;
    }
}
