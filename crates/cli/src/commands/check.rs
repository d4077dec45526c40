//! `provex check`: the linter for one's own VEX.

use std::sync::OnceLock;

use provex_formats::ParseLimits;

use crate::args::Check;
use crate::failure::{Done, Failure};
use crate::inputs::Inputs;
use crate::output;
use crate::run::RunReport;

pub(super) async fn run(args: Check) -> Result<Done, Failure> {
    let mut report = RunReport::default();
    report.skips_other = args.skip_other;
    let limits = ParseLimits::default();
    let mut inputs = Inputs::new(args.sources.paths, limits);
    let is_json = args.sources.json.json;
    let standard_input = (!is_json).then(|| inputs.keep_standard_input());
    provex_pipeline::check(inputs, limits, |item| report.add(item)).await;
    report.sort_places();
    if is_json {
        output::json(&report)?;
    } else {
        let standard_input = standard_input.as_deref().and_then(OnceLock::get);
        let text = standard_input.and_then(|bytes| str::from_utf8(bytes).ok());
        output::bytes(report.places_text(usize::MAX, text).as_bytes())?;
        output::line(&report.checked_line())?;
    }
    let faulty = args.strict && report.has_findings();
    Ok(if faulty { Done::NotAll } else { report.done() })
}
