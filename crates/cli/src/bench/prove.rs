//! Line 6: `provex prove` in unit batch, against the same in unit observation.

use std::time::Duration;

use super::Bench;
use super::corpus::{self, Until};
use super::process::{output, provex_on};
use super::report::{Asked, Report};
use super::scratch::Scratch;
use super::timing::{in_turns, time_ok};

pub(super) fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let folder = scratch.folder("documents")?;
    let until = Until::Observations(bench.observations());
    let written = corpus::repeat(&corpus::read(&bench.corpus)?, &folder, until)?;
    let documents = folder.to_string_lossy();
    let run = |args: &[&str]| -> anyhow::Result<Duration> {
        let command = provex_on(&scratch.fresh("data")?, &[args, &[&documents, "--json"]].concat())?;
        Ok(time_ok(|| output(command))?.1)
    };
    let [batch, observation, ingest] = in_turns(
        3,
        false,
        [
            &mut || run(&["prove", "--unit", "batch"]),
            &mut || run(&["prove", "--unit", "observation"]),
            &mut || run(&["ingest"]),
        ],
    )?;
    let what = format!("`prove` of {} observations in unit batch", written.observations);
    report.compare(&what, &batch, "the same in unit observation", &observation, Asked::AtLeast(5.0));
    let without =
        |whole: &[f64]| whole.iter().zip(&ingest).map(|(whole, ingest)| whole - ingest).collect::<Vec<_>>();
    let (batch, observation) = (without(&batch), without(&observation));
    report.compare(
        "of that, without `ingest`",
        &batch,
        "the same in unit observation",
        &observation,
        Asked::Nothing,
    );
    Ok(())
}
