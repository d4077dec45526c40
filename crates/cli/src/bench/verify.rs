//! Line 4: `provex verify` as a process, against a small binary around the crate sigstore-verify on the same bundle.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use super::Bench;
use super::process::{output, provex, provex_on, time_many};
use super::report::{Asked, Report};
use super::scratch::{self, Scratch};
use super::timing::in_turns;

const WHAT: &str = "`provex verify` of a bundle, a process";

pub(super) fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let example = provex()?.with_file_name("examples").join("sigstore_verify");
    if !example.exists() {
        let build = "cargo build --release -p provex-cli --example sigstore_verify";
        report.skip(WHAT, format!("the baseline is not built beside this binary: {build}"));
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let proven = Proven::new(bench, &scratch)?;
    let mut ours = Command::new(provex()?);
    ours.arg("verify").arg(&proven.bundle);
    ours.arg("--trusted-root").arg(&proven.trusted_root).arg("--key").arg(&proven.key);
    let mut theirs = Command::new(example);
    theirs.args([&proven.bundle, &proven.trusted_root, &proven.key, &proven.document]);
    let (times, rounds) = (bench.amount(100, 20).try_into()?, bench.amount(9, 5));
    let (mut our_cpu, mut their_cpu) = (Vec::new(), Vec::new());
    let turn = |command: &mut Command, cpu: &mut Vec<f64>| {
        let (wall, processor) = time_many(command, times)?;
        cpu.extend(processor.map(|processor| processor.as_secs_f64()));
        Ok(wall)
    };
    let [our_wall, their_wall] = in_turns(
        rounds,
        false,
        [&mut || turn(&mut ours, &mut our_cpu), &mut || turn(&mut theirs, &mut their_cpu)],
    )?;
    let baseline = "sigstore-verify in a small binary";
    report.compare(&format!("{WHAT}: elapsed"), &our_wall, baseline, &their_wall, Asked::AtLeast(1.0 / 1.5));
    if our_cpu.len() == our_wall.len() && their_cpu.len() == their_wall.len() {
        report.compare(
            &format!("{WHAT}: processor time"),
            &our_cpu,
            baseline,
            &their_cpu,
            Asked::AtLeast(1.0 / 1.5),
        );
    }
    Ok(())
}

/// A few documents proven, and what an auditor gets of one observation.
pub(super) struct Proven {
    pub(super) bundle: PathBuf,
    pub(super) document: PathBuf,
    pub(super) key: PathBuf,
    pub(super) proof: PathBuf,
    pub(super) trusted_root: PathBuf,
}

impl Proven {
    pub(super) fn new(bench: &Bench, scratch: &Scratch) -> anyhow::Result<Self> {
        let data = scratch.path("data");
        let on_data = |args: &[&str]| output(provex_on(&data, args)?);
        on_data(&["prove", &bench.corpus.to_string_lossy(), "--json"])?;
        let listed = on_data(&["observations", "--ndjson"])?;
        let mut rows = Vec::new();
        for line in listed.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let row: serde_json::Value = serde_json::from_slice(line)?;
            let id = row["observationId"].as_str().context("an observation without id")?.to_owned();
            let digest =
                row["documentDigest"].as_str().context("an observation without document")?.to_owned();
            rows.push((row["linkage"]["rekorSetPath"].as_array().map_or(0, Vec::len), id, digest));
        }
        // The one in the middle: neither the smallest set nor the largest.
        rows.sort_unstable();
        let (_, id, digest) = rows.get(rows.len() / 2).context("nothing was proven")?;
        let keep = |name: &str, args: &[&str]| {
            let path = scratch.path(name);
            scratch::write(&path, &on_data(args)?)?;
            anyhow::Ok(path)
        };
        Ok(Self {
            bundle: keep("bundle.json", &["export", "--bundle", id])?,
            document: keep("document", &["show", digest, "--canonical"])?,
            key: data.join("keys/attest.pub"),
            proof: keep("proof.json", &["export", "--proof", id])?,
            trusted_root: data.join("trusted_root.json"),
        })
    }
}
