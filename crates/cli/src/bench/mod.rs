//! `provex bench`: each line is measured against a named baseline of the same run, in turns with it, and given as a
//! ratio. No test depends on it. `docs/BENCHMARKS.md` says what the lines mean.
//!
//! Everything is written into a temporary folder, which is removed.

mod corpus;
mod drain;
mod formats;
mod ingest;
mod linkage;
mod log;
mod memory;
mod postgres;
mod process;
mod prove;
mod proving;
mod report;
mod rows;
mod scratch;
mod start;
mod timing;
mod verify;

use std::path::PathBuf;

use clap::{Args as Group, ValueEnum};

use crate::failure::{Done, Failure};
use crate::output;
use report::{Layout, Report};

#[derive(Debug, Group)]
pub(crate) struct Bench {
    /// What to measure [default: all of it].
    #[arg(value_enum, value_name = "NAME")]
    names: Vec<Name>,
    /// The documents to measure with.
    #[arg(long, value_name = "DIR", default_value = "testdata/vex")]
    corpus: PathBuf,
    /// The folder of the Go driver that is the baseline for OpenVEX.
    #[arg(long, value_name = "DIR", default_value = "benches/go-vex")]
    go_vex: PathBuf,
    /// How many observations are recorded and proven [default: 100000, with --quick 5000].
    #[arg(long, value_name = "N")]
    observations: Option<usize>,
    /// Little of everything: a few seconds a line, and figures that mean less.
    #[arg(long)]
    quick: bool,
    /// One JSON object for machines instead of text.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// A table for `docs/BENCHMARKS.md`.
    #[arg(long)]
    markdown: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Parsing against serde_json and go-vex.
    Formats,
    /// Recording in SQLite against bare inserts.
    Ingest,
    /// Verifying a linkage in process against its signature checks alone.
    Linkage,
    /// `provex verify` against a small binary around sigstore-verify.
    Verify,
    /// The embedded log against bare writes.
    Log,
    /// `provex prove` in unit batch against unit observation.
    Prove,
    /// Peak memory of `provex ingest`.
    Memory,
    /// Draining envelopes into a real Rekor v2 against a bare load generator.
    Drain,
    /// PostgreSQL: recording against COPY, the pending queue, row-level security.
    Postgres,
    /// `provex --version` against a process that does nothing.
    Start,
}

impl Bench {
    /// How many, in a whole run and in a quick one.
    fn amount(&self, whole: usize, quick: usize) -> usize {
        if self.quick { quick } else { whole }
    }

    /// How many observations are recorded and proven.
    fn observations(&self) -> usize {
        self.observations.unwrap_or_else(|| self.amount(100_000, 5_000))
    }
}

type Run = fn(&Bench, &mut Report) -> anyhow::Result<()>;

/// Runs on a thread of the runtime that may block.
pub(crate) fn run(bench: &Bench) -> Result<Done, Failure> {
    let all: [(Name, Run); 10] = [
        (Name::Formats, formats::run),
        (Name::Ingest, ingest::run),
        (Name::Linkage, linkage::run),
        (Name::Verify, verify::run),
        (Name::Log, log::run),
        (Name::Prove, prove::run),
        (Name::Memory, memory::run),
        (Name::Drain, drain::run),
        (Name::Postgres, postgres::run),
        (Name::Start, start::run),
    ];
    let mut report = Report::default();
    for (name, run) in all {
        if bench.names.is_empty() || bench.names.contains(&name) {
            output::tell(format_args!(
                "measuring {}",
                name.to_possible_value().unwrap_or_default().get_name()
            ));
            run(bench, &mut report)?;
        }
    }
    let layout = match (bench.json, bench.markdown) {
        (true, _) => Layout::Json,
        (_, true) => Layout::Markdown,
        _ => Layout::Text,
    };
    report.print(layout, bench.quick)?;
    Ok(Done::Yes)
}
