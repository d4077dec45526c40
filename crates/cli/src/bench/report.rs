//! What was measured, as text, as Markdown and as JSON.

use serde::Serialize;

use super::timing::Spread;
use crate::environment::System;
use crate::failure::Failure;
use crate::output;
use provex_pipeline::environment::Environment as _;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Unit {
    Bytes,
    /// A rate.
    PerSecond,
    Seconds,
    /// So many times another figure.
    Times,
}

/// One thing measured.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    /// What of provex's.
    pub(super) what: String,
    pub(super) unit: Unit,
    pub(super) provex: Spread,
    /// What it is held against, in the same unit, measured in the same run.
    pub(super) baseline: Option<Baseline>,
    /// How many times as fast as the baseline, of each round.
    pub(super) times_as_fast: Option<Spread>,
    /// What was asked for.
    pub(super) bound: Option<Bound>,
    pub(super) runs: usize,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Baseline {
    pub(super) name: String,
    pub(super) figure: Spread,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Bound {
    text: String,
    holds: bool,
}

/// Where a median has to lie.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    AtLeast(f64),
    AtMost(f64),
    Nothing,
}

/// All lines, and what could not be measured.
#[derive(Debug, Default)]
pub(super) struct Report {
    lines: Vec<Line>,
    skipped: Vec<Skipped>,
}

#[derive(Debug, Serialize)]
struct Skipped {
    what: String,
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Json,
    Markdown,
    Text,
}

impl Report {
    /// Adds what was timed in turns with its baseline. `asked` is of how many times as fast it is.
    pub(super) fn compare(&mut self, what: &str, ours: &[f64], name: &str, baseline: &[f64], asked: Asked) {
        let times = Spread::of(ours.iter().zip(baseline).map(|(ours, baseline)| baseline / ours));
        let figure = Spread::of(baseline.iter().copied());
        self.lines.push(Line {
            what: what.to_owned(),
            unit: Unit::Seconds,
            provex: Spread::of(ours.iter().copied()),
            baseline: Some(Baseline { name: name.to_owned(), figure }),
            times_as_fast: Some(times),
            bound: asked.bound(times.median, Unit::Times),
            runs: ours.len(),
        });
    }

    /// Adds a figure that is held against a number.
    pub(super) fn measure(&mut self, what: &str, unit: Unit, values: &[f64], asked: Asked) {
        let provex = Spread::of(values.iter().copied());
        let bound = asked.bound(provex.median, unit);
        let (what, runs) = (what.to_owned(), values.len());
        self.lines.push(Line { what, unit, provex, baseline: None, times_as_fast: None, bound, runs });
    }

    /// Adds what could not be measured here, and why.
    pub(super) fn skip(&mut self, what: &str, reason: impl std::fmt::Display) {
        self.skipped.push(Skipped { what: what.to_owned(), reason: reason.to_string() });
    }

    pub(super) fn print(&self, layout: Layout, quick: bool) -> Result<(), Failure> {
        let conditions = conditions(quick);
        match layout {
            Layout::Json => output::json(&serde_json::json!({
                "schema": "provex.bench/v1",
                "conditions": conditions,
                "quick": quick,
                "lines": self.lines,
                "skipped": self.skipped,
            })),
            Layout::Markdown => {
                output::line(&format!(
                    "{conditions}\n\n| {} |\n|---|---|---|---|---|---|",
                    HEADER.join(" | ")
                ))?;
                for line in &self.lines {
                    output::line(&format!("| {} |", cells(line).join(" | ")))?;
                }
                if !self.skipped.is_empty() {
                    output::line("")?;
                }
                self.skipped
                    .iter()
                    .try_for_each(|s| output::line(&format!("- not measured: {}: {}", s.what, s.reason)))
            }
            Layout::Text => {
                let mut table = output::table(&HEADER);
                for line in &self.lines {
                    table.add_row(cells(line));
                }
                output::line(&format!("{conditions}\n\n{table}"))?;
                self.skipped
                    .iter()
                    .try_for_each(|s| output::line(&format!("not measured: {}: {}", s.what, s.reason)))
            }
        }
    }
}

const HEADER: [&str; 6] = ["what", "provex", "baseline", "times as fast", "asked for", "runs"];

fn cells(line: &Line) -> [String; 6] {
    let baseline = line.baseline.as_ref();
    [
        line.what.clone(),
        line.unit.spread(line.provex),
        baseline.map(|b| format!("{}: {}", b.name, line.unit.spread(b.figure))).unwrap_or_default(),
        line.times_as_fast.map(|times| Unit::Times.spread(times)).unwrap_or_default(),
        line.bound.as_ref().map(Bound::to_text).unwrap_or_default(),
        line.runs.to_string(),
    ]
}

impl Bound {
    fn to_text(&self) -> String {
        format!("{}: {}", self.text, if self.holds { "holds" } else { "does not hold" })
    }
}

impl Asked {
    fn bound(self, median: f64, unit: Unit) -> Option<Bound> {
        let (word, number, holds) = match self {
            Self::AtLeast(number) => ("at least", number, median >= number),
            Self::AtMost(number) => ("at most", number, median <= number),
            Self::Nothing => return None,
        };
        Some(Bound { text: format!("{word} {}", unit.figure(number)), holds })
    }
}

impl Unit {
    /// Median, and in brackets the ends.
    fn spread(self, spread: Spread) -> String {
        let Spread { median, min, max } = spread;
        if min == max {
            return self.figure(median);
        }
        format!("{} ({} to {})", self.figure(median), self.figure(min), self.figure(max))
    }

    fn figure(self, number: f64) -> String {
        match self {
            Self::Bytes => format!("{} MB", digits(number / 1e6)),
            Self::PerSecond => format!("{number:.0}/s"),
            Self::Seconds if number >= 1.0 => format!("{} s", digits(number)),
            Self::Seconds if number >= 1e-3 => format!("{} ms", digits(number * 1e3)),
            Self::Seconds => format!("{} µs", digits(number * 1e6)),
            Self::Times => digits(number),
        }
    }
}

/// Three digits that count.
fn digits(number: f64) -> String {
    let decimals = match number.abs() {
        n if n >= 100.0 => 0,
        n if n >= 10.0 => 1,
        _ => 2,
    };
    format!("{number:.decimals$}")
}

/// When, with what and on what kind of machine.
fn conditions(quick: bool) -> String {
    let date = System.now().to_rfc3339();
    let date = date.split('T').next().unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let how = if quick { "quick run" } else { "whole run" };
    let build = if cfg!(debug_assertions) { ", unoptimised build" } else { "" };
    let memory = memory().map(|gib| format!(", {gib:.0} GiB of memory")).unwrap_or_default();
    format!("{date}, provex {}{build}, {how}, {cores} cores{memory}", env!("CARGO_PKG_VERSION"))
}

fn memory() -> Option<f64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_their_unit() {
        for (unit, number, text) in [
            (Unit::Seconds, 1.234, "1.23 s"),
            (Unit::Seconds, 0.012_34, "12.3 ms"),
            (Unit::Seconds, 0.000_123_4, "123 µs"),
            (Unit::PerSecond, 5_432.1, "5432/s"),
            (Unit::Bytes, 200e6, "200 MB"),
            (Unit::Times, 0.5, "0.50"),
        ] {
            assert_eq!(unit.figure(number), text);
        }
    }

    #[test]
    fn a_ratio_is_made_of_each_round_and_held_against_what_was_asked() {
        let mut report = Report::default();
        report.compare("a", &[1.0, 2.0, 4.0], "b", &[2.0, 2.0, 2.0], Asked::AtLeast(1.0));
        let cells = cells(&report.lines[0]);
        assert_eq!(
            cells[1..],
            ["2.00 s (1.00 s to 4.00 s)", "b: 2.00 s", "1.00 (0.50 to 2.00)", "at least 1.00: holds", "3"]
        );
        report.measure("a", Unit::Bytes, &[201e6], Asked::AtMost(200e6));
        let bound = report.lines[1].bound.as_ref().map(Bound::to_text);
        assert_eq!(bound.unwrap(), "at most 200 MB: does not hold");
    }
}
