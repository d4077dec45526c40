//! Line 7: the peak of resident memory of `provex ingest`, of many documents and of one large one.

use std::path::Path;

use provex_core::vex::Format;
use serde_json::Value;

use super::Bench;
use super::corpus::{self, Document, Until};
use super::process::{output, peak_memory, provex_on};
use super::report::{Asked, Report, Unit};
use super::scratch::{self, Scratch};

pub(super) fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let documents = corpus::read(&bench.corpus)?;
    let scratch = Scratch::new()?;
    let folder = scratch.folder("documents")?;
    let written = corpus::repeat(&documents, &folder, Until::Documents(bench.amount(10_000, 300)))?;
    let what = format!(
        "peak memory, `ingest` of {} documents ({} MB, {} observations)",
        written.documents,
        written.bytes / 1_000_000,
        written.observations
    );
    match peaks(&scratch, &folder, bench.amount(3, 1))? {
        Some(peaks) => report.measure(&what, Unit::Bytes, &peaks, Asked::AtMost(200e6)),
        None => report.skip(&what, "the system does not say"),
    }
    scratch.fresh("documents")?;
    for format in [Format::Csaf, Format::OpenVex] {
        one_large(bench, &documents, format, &scratch, report)?;
    }
    Ok(())
}

/// The largest document of a format, made as large as the bench wants it.
fn one_large(
    bench: &Bench,
    documents: &[Document],
    format: Format,
    scratch: &Scratch,
    report: &mut Report,
) -> anyhow::Result<()> {
    let largest = documents.iter().filter(|document| document.format == format).max_by_key(|d| d.bytes.len());
    let what = format!("peak memory, `ingest` of one {} document", format.label());
    let grown = largest.map(|document| grow(document, bench.amount(30_000_000, 3_000_000))).transpose()?;
    let Some(bytes) = grown.flatten() else {
        report.skip(&what, "the corpus has none that can be made larger");
        return Ok(());
    };
    let file = scratch.path("large.json");
    scratch::write(&file, &bytes)?;
    let said = output(provex_on(&scratch.fresh("data")?, &["ingest", &file.to_string_lossy(), "--json"])?)?;
    let said: Value = serde_json::from_slice(&said)?;
    let observations = &said["observations"]["recorded"];
    let size = bytes.len() as f64;
    let what = format!("{what} of {:.0} MB with {observations} observations, times its size", size / 1e6);
    match peaks(scratch, &file, bench.amount(3, 1))? {
        Some(peaks) => {
            let times: Vec<_> = peaks.iter().map(|peak| peak / size).collect();
            // What any ingest takes would count for most of a small one.
            let asked = if bench.quick { Asked::Nothing } else { Asked::AtMost(6.0) };
            report.measure(&what, Unit::Times, &times, asked);
        }
        None => report.skip(&what, "the system does not say"),
    }
    Ok(())
}

fn peaks(scratch: &Scratch, path: &Path, runs: usize) -> anyhow::Result<Option<Vec<f64>>> {
    let path = path.to_string_lossy();
    let one = |_| {
        Ok(peak_memory(provex_on(&scratch.fresh("data")?, &["ingest", &path, "--json"])?)?.map(|b| b as f64))
    };
    (0..runs).map(one).collect()
}

/// Repeats the claims of a document under changed vulnerabilities until it has the size.
fn grow(document: &Document, size: usize) -> anyhow::Result<Option<Vec<u8>>> {
    let mut value: Value = serde_json::from_slice(&document.bytes)?;
    let (list, names): (_, &[&str]) = match document.format {
        Format::Csaf => ("vulnerabilities", &["/cve"]),
        Format::OpenVex => ("statements", &["/vulnerability/name", "/vulnerability/@id", "/vulnerability"]),
        Format::CycloneDx | Format::Spdx3 => return Ok(None),
    };
    let Some(claims) = value.get_mut(list).and_then(Value::as_array_mut) else { return Ok(None) };
    let originals = claims.clone();
    let one_round = serde_json::to_vec(&originals)?.len();
    let mut length = document.bytes.len();
    for round in 1.. {
        if length >= size || one_round < 100 {
            break;
        }
        for (place, claim) in originals.iter().enumerate() {
            let mut claim = claim.clone();
            for name in names {
                if let Some(Value::String(name)) = claim.pointer_mut(name) {
                    *name = format!(
                        "CVE-{}-{}",
                        2000 + round % 1_000,
                        10_000 + (round / 1_000 * 100_000) + place
                    );
                }
            }
            claims.push(claim);
        }
        length += one_round;
    }
    Ok(Some(serde_json::to_vec(&value)?))
}
