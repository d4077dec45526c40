//! `provex check`: the linter for one's own VEX.

use provex_formats::ParseLimits;

use crate::args::Check;
use crate::failure::{Done, Failure};
use crate::inputs::Inputs;
use crate::output;
use crate::run::RunReport;

pub(super) async fn run(args: Check) -> Result<Done, Failure> {
    let mut report = RunReport::default();
    let limits = ParseLimits::default();
    let inputs = Inputs::new(args.sources.paths, limits);
    provex_pipeline::check(inputs, limits, |item| report.add(item)).await;
    report.sort_places();
    if args.sources.json.json {
        output::json(&report)?;
    } else {
        output::bytes(report.places_text(usize::MAX).as_bytes())?;
        output::line(&report.checked_line())?;
    }
    let faulty = args.strict && report.has_findings();
    Ok(if faulty { Done::NotAll } else { report.done() })
}
