//! Line 7: the peak of resident memory of `provex check` and `ingest`, of many documents and of one large one.

use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use provex_core::vex::Format;
use serde_json::{Value, json};

use super::Bench;
use super::corpus::{self, Document, Until};
use super::process::{output, peak_memory, provex, provex_on};
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
    match peaks(&scratch, "ingest", &folder, bench.amount(3, 1))? {
        Some(peaks) => report.measure(&what, Unit::Bytes, &peaks, Asked::AtMost(200e6)),
        None => report.skip(&what, "the system does not say"),
    }
    scratch.fresh("documents")?;
    let Some(base) = baseline(&scratch, report)? else { return Ok(()) };
    let products = bench.amount(150_000, 10_000);
    let mut large = vec![
        ("a csaf document of many products", Some(many_products(products)?)),
        ("an openvex statement of many products", Some(long_statement(products)?)),
    ];
    for (format, what) in [
        (Format::Csaf, "the largest csaf document, its claims repeated"),
        (Format::OpenVex, "the largest openvex document, its claims repeated"),
    ] {
        let of_format = documents.iter().filter(|document| document.format == format);
        let largest = of_format.max_by_key(|document| document.bytes.len());
        let grown =
            largest.map(|document| grow(document, bench.amount(60_000_000, 3_000_000))).transpose()?;
        large.push((what, grown.flatten()));
    }
    for (what, bytes) in large {
        match bytes {
            Some(bytes) => one_large(bench, what, &bytes, base, &scratch, report)?,
            None => {
                report.skip(&format!("peak memory, {what}"), "the corpus has none that can be made larger")
            }
        }
    }
    Ok(())
}

/// What a process takes that has next to nothing to do.
fn baseline(scratch: &Scratch, report: &mut Report) -> anyhow::Result<Option<f64>> {
    let what = "peak memory, `ingest` of a document of 1 kB";
    let file = scratch.path("small.json");
    scratch::write(&file, &long_statement(1)?)?;
    let Some(peaks) = peaks(scratch, "ingest", &file, 3)? else {
        report.skip(what, "the system does not say");
        return Ok(None);
    };
    report.measure(what, Unit::Bytes, &peaks, Asked::Nothing);
    Ok(peaks.into_iter().max_by(f64::total_cmp))
}

/// What a large document takes beyond `base`, in times its size.
fn one_large(
    bench: &Bench,
    what: &str,
    bytes: &[u8],
    base: f64,
    scratch: &Scratch,
    report: &mut Report,
) -> anyhow::Result<()> {
    let file = scratch.path("large.json");
    scratch::write(&file, bytes)?;
    let said = output(provex_on(&scratch.fresh("data")?, &["ingest", &file.to_string_lossy(), "--json"])?)?;
    let said: Value = serde_json::from_slice(&said)?;
    let observations = said["observations"]["recorded"].as_u64().unwrap_or_default();
    ensure!(observations > 0, "nothing of {what} was recorded: {}", said["rejected"]);
    let size = bytes.len() as f64;
    for command in ["check", "ingest"] {
        let what = format!(
            "peak memory, `{command}` of {what}: {:.1} MB, {observations} observations, times its size",
            size / 1e6
        );
        let Some(peaks) = peaks(scratch, command, &file, bench.amount(3, 1))? else { continue };
        let times: Vec<_> = peaks.iter().map(|peak| (peak - base).max(0.0) / size).collect();
        // What is held for any document counts for most of a small one.
        let asked = if bench.quick { Asked::Nothing } else { Asked::AtMost(6.0) };
        report.measure(&what, Unit::Times, &times, asked);
    }
    Ok(())
}

fn peaks(scratch: &Scratch, command: &str, path: &Path, runs: usize) -> anyhow::Result<Option<Vec<f64>>> {
    let path = path.to_string_lossy();
    let one = |_| {
        let data = scratch.fresh("data")?;
        let arguments = [command, &path, "--json"];
        let run = if command == "check" {
            let mut run = Command::new(provex()?);
            run.args(arguments);
            run
        } else {
            provex_on(&data, &arguments)?
        };
        Ok(peak_memory(run)?.map(|bytes| bytes as f64))
    };
    (0..runs).map(one).collect()
}

/// A CSAF document whose tree names so many products, half of which have a status.
fn many_products(count: usize) -> anyhow::Result<Vec<u8>> {
    let id = |n: usize| format!("CSAFPID-{n:06}");
    let product = |n| {
        let purl = format!("pkg:rpm/example/package-{n}@1.{n}?arch=x86_64");
        json!({"name": format!("Package {n}"), "product_id": id(n), "product_identification_helper": {"purl": purl}})
    };
    let date = "2026-01-01T00:00:00Z";
    let document = json!({
        "document": {
            "category": "csaf_vex",
            "csaf_version": "2.0",
            "title": "Many products",
            "publisher": {"category": "vendor", "name": "Example", "namespace": "https://example.com"},
            "tracking": {
                "id": "EX-1",
                "version": "1",
                "status": "final",
                "current_release_date": date,
                "initial_release_date": date,
                "revision_history": [{"date": date, "number": "1", "summary": "First"}],
            },
        },
        "product_tree": {"full_product_names": (0..count).map(product).collect::<Vec<_>>()},
        "vulnerabilities": [{
            "cve": "CVE-2026-1000",
            "notes": [{"category": "description", "text": "One."}],
            "product_status": {"fixed": (0..count).step_by(2).map(id).collect::<Vec<_>>()},
        }],
    });
    Ok(serde_json::to_vec(&document)?)
}

/// An OpenVEX document of one statement about so many products, which says as little as can be of each.
fn long_statement(count: usize) -> anyhow::Result<Vec<u8>> {
    let product = |n| json!({"@id": format!("pkg:generic/a{n}@1")});
    let document = json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://example.com/vex/1",
        "author": "Example",
        "timestamp": "2026-01-01T00:00:00Z",
        "version": 1,
        "statements": [{
            "vulnerability": {"name": "CVE-2026-1000"},
            "products": (0..count).map(product).collect::<Vec<_>>(),
            "status": "fixed",
        }],
    });
    Ok(serde_json::to_vec(&document)?)
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
