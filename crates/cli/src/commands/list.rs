//! `provex observations` and `provex pending`

use std::str::FromStr;

use provex_core::digest::Digest;
use provex_core::ids::DocumentDigest;
use provex_core::vex::Status;
use provex_pipeline::Pipeline;
use provex_pipeline::view::{ObservationView, vulnerability_key};
use provex_store::ObservationFilter;

use super::queue;
use crate::args::{Global, Listing, Observations, Pending};
use crate::data::DataFolder;
use crate::failure::{Done, Failure};
use crate::output;

/// Rows a read.
const PAGE: usize = 500;

pub(super) async fn pending(global: &Global, args: Pending) -> Result<Done, Failure> {
    let listing = args.listing;
    if args.queue || args.failed {
        return queue::list(global, args.failed, listing).await;
    }
    let filter = ObservationFilter { pending: true, ..ObservationFilter::default() };
    list(global, &filter, listing).await
}

pub(super) async fn observations(global: &Global, args: &Observations) -> Result<Done, Failure> {
    let status = args.status.as_deref().map(|label| {
        Status::from_label(label).ok_or_else(|| {
            let labels: Vec<_> = Status::ALL.iter().map(|status| status.label()).collect();
            Failure::call(format!("--status: `{label}` is none of {}", labels.join(", ")))
        })
    });
    let document = args.document.as_deref().map(|text| {
        DocumentDigest::from_str(text).map_err(|error| Failure::call(format!("--document: {error}")))
    });
    let rekor_uuid = args
        .rekor_uuid
        .as_deref()
        .map(|text| Digest::from_hex(text).map_err(|error| Failure::call(format!("--rekor-uuid: {error}"))));
    let filter = ObservationFilter {
        document: document.transpose()?,
        vulnerability: args.vulnerability.as_deref().map(vulnerability_key),
        product: args.product.clone(),
        status: status.transpose()?,
        rekor_uuid: rekor_uuid.transpose()?,
        log_index: args.log_index,
        pending: args.pending,
    };
    list(global, &filter, args.listing).await
}

async fn list(global: &Global, filter: &ObservationFilter, listing: Listing) -> Result<Done, Failure> {
    let folder = DataFolder::open(global)?;
    let pipeline = folder.pipeline(folder.config.tenant(global.tenant.as_ref())).await?;
    if listing.ndjson {
        lines(&pipeline, filter).await
    } else {
        table(&pipeline, filter, listing.limit).await
    }
}

async fn lines(pipeline: &Pipeline, filter: &ObservationFilter) -> Result<Done, Failure> {
    let mut after = None;
    loop {
        let rows = pipeline.store.observations(&pipeline.tenant, filter, after, PAGE).await?;
        for row in &rows {
            output::json(&ObservationView::new(row)?)?;
        }
        match rows.last() {
            Some(last) if rows.len() == PAGE => after = Some(last.position()),
            _ => return Ok(Done::Yes),
        }
    }
}

async fn table(pipeline: &Pipeline, filter: &ObservationFilter, limit: usize) -> Result<Done, Failure> {
    let rows = pipeline.store.observations(&pipeline.tenant, filter, None, limit.saturating_add(1)).await?;
    let mut table = output::table(&["observation", "vulnerability", "status", "product", "log index"]);
    for row in rows.iter().take(limit) {
        let view = ObservationView::new(row)?;
        let index = match (view.linkage, &row.older_linkage) {
            (Some(linkage), _) => linkage.rekor_log_index.to_string(),
            (None, Some(older)) => older
                .log_index
                .map_or_else(|| "incomplete".to_owned(), |index| format!("{index} (incomplete)")),
            (None, None) => "pending".to_owned(),
        };
        let id = row.id.to_text();
        let (status, vulnerability) =
            (view.body.status.label().to_owned(), view.body.vulnerability.id.clone());
        let product = output::plain(&view.body.product.key).into_owned();
        table.add_row([id, output::plain(&vulnerability).into_owned(), status, product, index]);
    }
    if rows.is_empty() {
        return output::line("none").map(|()| Done::Yes);
    }
    output::line(&table.to_string())?;
    if rows.len() > limit {
        output::line(&format!("... more; --limit N or --ndjson shows them (first {limit} shown)"))?;
    }
    Ok(Done::Yes)
}
