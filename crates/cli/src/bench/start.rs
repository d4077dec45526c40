//! Line 7, second part: how long a process of provex takes at least.

use std::process::Command;

use super::Bench;
use super::process::{provex, time_many};
use super::report::{Asked, Report, Unit};
use super::timing::in_turns;

pub(super) fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let mut ours = Command::new(provex()?);
    ours.arg("--version");
    let mut nothing = Command::new("/bin/true");
    let (times, rounds) = (bench.amount(100, 20).try_into()?, bench.amount(9, 5));
    let [ours, nothing] = in_turns(
        rounds,
        false,
        [&mut || Ok(time_many(&mut ours, times)?.0), &mut || Ok(time_many(&mut nothing, times)?.0)],
    )?;
    report.measure("start of `provex --version`", Unit::Seconds, &ours, Asked::AtMost(0.020));
    report.compare("`provex --version`, a process", &ours, "`/bin/true`", &nothing, Asked::Nothing);
    Ok(())
}
