//! `provex check`

use crate::args::{Global, Sources};
use crate::failure::{Done, Failure};
use crate::inputs::Inputs;
use crate::output;
use crate::run::RunReport;

pub(super) async fn run(_global: &Global, sources: Sources) -> Result<Done, Failure> {
    let mut report = RunReport::default();
    provex_pipeline::check(Inputs::new(sources.paths), Default::default(), |item| report.add(item)).await;
    report.print_places();
    if sources.json.json {
        output::json(&report)?;
    } else {
        output::line(&format!("documents  {}", report.documents_line()))?;
    }
    Ok(report.done())
}
