//! Other processes: how long they take, how much processor time, how much memory.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::timing::time_ok;

/// Linux counts processor time for `/proc` in hundredths of a second (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// This very binary.
pub(super) fn provex() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("where this binary is")
}

/// This binary with these arguments, on a data folder.
pub(super) fn provex_on(data: &std::path::Path, args: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(provex()?);
    command.args(args).arg("--data").arg(data);
    Ok(command)
}

/// Runs a process to its end and gives back what it printed. That some input was refused is no failure.
pub(super) fn output(mut command: Command) -> anyhow::Result<Vec<u8>> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    let done = matches!(output.status.code(), Some(0 | 1));
    ensure!(done, "{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

/// How long one process of many, run one after the other, took on the clock and on the processors.
pub(super) fn time_many(command: &mut Command, times: u32) -> anyhow::Result<(Duration, Option<Duration>)> {
    let before = children_time();
    let ((), wall) = time_ok(|| {
        for _ in 0..times {
            let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
            let status = status.with_context(|| format!("{command:?}"))?;
            ensure!(status.success(), "{command:?} ended with {status}");
        }
        Ok(())
    })?;
    let processor = before.zip(children_time()).map(|(before, after)| (after - before) / times);
    Ok((wall / times, processor))
}

/// Processor time of all children that have ended: `cutime` and `cstime` of proc_pid_stat(5).
fn children_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_ascii_whitespace().skip(13);
    let mut next = || fields.next()?.parse::<u32>().ok();
    Some(TICK * (next()? + next()?))
}

/// The largest memory that a process had resident, in bytes, watched until it ends; none where `/proc` says nothing.
pub(super) fn peak_memory(mut command: Command) -> anyhow::Result<Option<u64>> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
    let mut peak = None;
    loop {
        // The kernel keeps the high-water mark; only what comes in the last millisecond could be missed.
        peak = high_water_mark(&child).max(peak);
        if let Some(status) = child.try_wait()? {
            ensure!(matches!(status.code(), Some(0 | 1)), "{command:?} ended with {status}");
            return Ok(peak);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The largest memory that a process had resident until now, in bytes: `VmHWM` of proc_pid_status(5).
pub(super) fn high_water_mark(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
