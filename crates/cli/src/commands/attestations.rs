//! `provex attestations`

use provex_core::ledger::{AttestationFilter, VerificationStatus};
use provex_core::time::Timestamp;
use provex_pipeline::Pipeline;
use provex_pipeline::view::AttestationView;

use crate::args::{Attestations, Global};
use crate::data::DataFolder;
use crate::failure::{Done, Failure};
use crate::output;

pub(super) async fn run(global: &Global, args: &Attestations) -> Result<Done, Failure> {
    let filter = filter(args)?;
    let folder = DataFolder::open(global)?;
    let pipeline = folder.pipeline(folder.config.tenant(global.tenant.as_ref())).await?;
    if args.listing.ndjson { lines(&pipeline, &filter).await } else { table(&pipeline, &filter, args).await }
}

fn filter(args: &Attestations) -> Result<AttestationFilter, Failure> {
    let time = |option: &str, text: Option<&String>| {
        let parsed = text.map(|text| Timestamp::parse(text)).transpose();
        parsed.map_err(|error| Failure::call(format!("--{option}: {error}")))
    };
    let id = args.id.as_deref().map(str::parse).transpose();
    let status = args.status.as_deref().map(|label| {
        VerificationStatus::from_label(label).ok_or_else(|| {
            let labels: Vec<_> = VerificationStatus::ALL.iter().map(|status| status.label()).collect();
            Failure::call(format!("--status: `{label}` is none of {}", labels.join(", ")))
        })
    });
    Ok(AttestationFilter {
        artifact_id: args.artifact.clone(),
        finding_id: args.finding.clone(),
        attestation_id: id.map_err(|error| Failure::call(format!("--id: {error}")))?,
        status: status.transpose()?,
        since_recorded_at: time("since", args.since.as_ref())?,
        until_recorded_at: time("until", args.until.as_ref())?,
    })
}

/// All of one state of the ledger.
async fn lines(pipeline: &Pipeline, filter: &AttestationFilter) -> Result<Done, Failure> {
    let mut stream = pipeline.store.attestation_stream(&pipeline.tenant, filter).await?;
    loop {
        let rows = stream.rows.next().await?;
        if rows.is_empty() {
            return Ok(Done::Yes);
        }
        for row in &rows {
            output::json(&AttestationView::new(row))?;
        }
    }
}

async fn table(
    pipeline: &Pipeline,
    filter: &AttestationFilter,
    args: &Attestations,
) -> Result<Done, Failure> {
    let limit = args.listing.limit;
    let page = pipeline.store.attestations(&pipeline.tenant, filter, None, limit.saturating_add(1)).await?;
    let mut table = output::table(&["recorded", "attestation", "status", "finding", "artifact"]);
    for row in page.rows.iter().take(limit) {
        let facts = &row.facts;
        table.add_row([
            row.recorded_at.to_rfc3339(),
            facts.attestation_id.to_string(),
            facts.verification_status.label().to_owned(),
            output::plain(facts.finding_id.as_deref().unwrap_or("-")).into_owned(),
            output::plain(&facts.artifact_id).into_owned(),
        ]);
    }
    if page.rows.is_empty() {
        return output::line("none").map(|()| Done::Yes);
    }
    output::line(&table.to_string())?;
    if page.rows.len() > limit {
        output::line(&format!("... more; --limit N or --ndjson shows them (first {limit} shown)"))?;
    }
    Ok(Done::Yes)
}
