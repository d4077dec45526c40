//! Line 1: parsing. Each turn reads every large document of one format once.

use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use provex_core::digest::Digest;
use provex_core::ids::DocumentDigest;
use provex_core::vex::Format;
use provex_formats::{Claim, ParseLimits, parse_digested, parse_each};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::Bench;
use super::corpus::{self, Document};
use super::report::{Asked, Report};
use super::scratch::Scratch;
use super::timing::{in_turns, time};

pub(super) fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let documents = corpus::read(&bench.corpus)?;
    let rounds = bench.amount(31, 7);
    for format in [Format::Csaf, Format::OpenVex] {
        let large = corpus::large(&documents, format);
        if large.is_empty() {
            report.skip(&format!("parse {}", format.label()), "the corpus has none");
            continue;
        }
        against_serde_json(&large, format, rounds, report)?;
    }
    let large = corpus::large(&documents, Format::OpenVex);
    let what = "parse large openvex documents (vs go-vex)";
    match GoVex::start(&bench.go_vex, &large) {
        Ok(go_vex) => against_go_vex(go_vex, &large, rounds, what, report),
        Err(reason) => {
            report.skip(what, format!("{reason:#}"));
            Ok(())
        }
    }
}

fn against_serde_json(
    documents: &[&Document],
    format: Format,
    rounds: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let [ours, value, ignored, hashing] = in_turns(
        rounds,
        true,
        [
            &mut || Ok(parse(documents)),
            &mut || Ok(each(documents, |bytes| serde_json::from_slice::<Value>(bytes))),
            &mut || Ok(each(documents, |bytes| serde_json::from_slice::<IgnoredAny>(bytes))),
            &mut || Ok(parse_and_hash(documents)),
        ],
    )?;
    let bytes: usize = documents.iter().map(|document| document.bytes.len()).sum();
    let (count, kilobytes) = (documents.len(), bytes / 1_000);
    let what = format!("parse {count} large {} documents, {kilobytes} kB", format.label());
    report.compare(&what, &ours, "serde_json `Value`", &value, Asked::AtLeast(1.0));
    report.compare(&what, &ours, "serde_json `IgnoredAny`", &ignored, Asked::Nothing);
    let hashed = format!("{what}, and hash them whole");
    report.compare(&hashed, &hashing, "serde_json `Value`", &value, Asked::Nothing);
    on_all_cores(documents, &what, rounds, report)
}

/// As `prove` parses: a document a core at a time. `Value` stays on one core.
fn on_all_cores(
    documents: &[&Document],
    what: &str,
    rounds: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    const TIMES: usize = 8;
    let cores = std::thread::available_parallelism()?.get();
    let repeated = documents.repeat(TIMES);
    let [ours, value] = in_turns(
        rounds,
        true,
        [&mut || Ok(time(|| parse_on(cores, &repeated))), &mut || {
            Ok(each(&repeated, |bytes| serde_json::from_slice::<Value>(bytes)))
        }],
    )?;
    let what = format!("{what}, {TIMES} times, on {cores} cores");
    report.compare(&what, &ours, "serde_json `Value` on one core", &value, Asked::Nothing);
    Ok(())
}

fn parse_on(cores: usize, documents: &[&Document]) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(document) = documents.get(next.fetch_add(1, Ordering::Relaxed)) {
                    parse_and_hash(&[document]);
                }
            });
        }
    });
}

fn against_go_vex(
    mut go_vex: GoVex,
    documents: &[&Document],
    rounds: usize,
    what: &str,
    report: &mut Report,
) -> anyhow::Result<()> {
    let turns = in_turns(rounds, true, [&mut || Ok(parse_and_hash(documents)), &mut || go_vex.turn()]);
    match turns {
        Ok([ours, theirs]) => {
            report.compare(what, &ours, "go-vex parse + canonical hash", &theirs, Asked::AtLeast(4.0));
        }
        Err(reason) => report.skip(what, format!("{reason:#}")),
    }
    Ok(())
}

/// Each claim is lent out with its body, as to `check` and `ingest`. The digest of the whole document is not asked
/// for: it names the document whether or not it is read.
fn parse(documents: &[&Document]) -> Duration {
    let parse = |document: &&Document| {
        let digest = DocumentDigest::new(Digest::of(&document.bytes));
        time(|| parse_digested(&document.bytes, digest, &ParseLimits::default(), take))
    };
    documents.iter().map(parse).sum()
}

fn parse_and_hash(documents: &[&Document]) -> Duration {
    let parse = |document: &&Document| time(|| parse_each(&document.bytes, &ParseLimits::default(), take));
    documents.iter().map(parse).sum()
}

fn take(claim: Claim<'_>) {
    black_box(claim);
}

/// The time of reading each document into a value and dropping it.
fn each<T>(documents: &[&Document], read: impl Fn(&[u8]) -> T) -> Duration {
    documents.iter().map(|document| time(|| read(&document.bytes))).sum()
}

/// The driver of `benches/go-vex`, which makes one turn for each line it is sent.
struct GoVex {
    child: Child,
    turns: ChildStdin,
    times: BufReader<ChildStdout>,
}

impl GoVex {
    fn start(sources: &Path, documents: &[&Document]) -> anyhow::Result<Self> {
        ensure!(sources.join("go.mod").exists(), "{} is not here: give --go-vex DIR", sources.display());
        let scratch = Scratch::new()?;
        let binary = scratch.path("go-vex");
        let built = Command::new("go")
            .args(["build", "-trimpath", "-o"])
            .arg(&binary)
            .arg(".")
            .current_dir(sources)
            .output()
            .context("go is not at hand")?;
        ensure!(built.status.success(), "go build failed: {}", String::from_utf8_lossy(&built.stderr).trim());
        let mut child = Command::new(&binary)
            .args(documents.iter().map(|document| &document.path))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (turns, times) =
            child.stdin.take().zip(child.stdout.take()).context("the driver has no pipes")?;
        Ok(Self { child, turns, times: BufReader::new(times) })
    }

    fn turn(&mut self) -> anyhow::Result<Duration> {
        self.turns.write_all(b"\n")?;
        let mut line = String::new();
        self.times.read_line(&mut line)?;
        let nanoseconds = line.trim().parse().map_err(|_| anyhow!("the go-vex driver gave no time"))?;
        Ok(Duration::from_nanos(nanoseconds))
    }
}

impl Drop for GoVex {
    fn drop(&mut self) {
        // It has nothing to lose; that it has ended already is no failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
