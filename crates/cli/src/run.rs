//! The report of a run: `provex.run/v1` for machines, a few lines for people.

use std::collections::BTreeMap;

use provex_core::vex::Format;
use provex_formats::{Code, Finding, Rejection};
use provex_pipeline::view::RootView;
use provex_pipeline::{Item, ParseReport};
use provex_store::RecordedDocument;
use serde::Serialize;

use crate::failure::Done;
use crate::output;
use crate::snippet;

/// How many findings and rejections a person is shown.
const SHOWN: usize = 20;
/// How many of each a report lists, and what they may take, so that its memory does not grow with the number of documents
/// or the length of their paths.
const MOST_PLACES: usize = 50_000;
const MOST_BYTES: usize = 24 << 20;

/// What `check`, `ingest`, `link` and `prove` print with `--json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunReport {
    schema: &'static str,
    pub(crate) documents: Documents,
    pub(crate) observations: Observations,
    pub(crate) linkages: Linkages,
    /// The newest signed root of the ledger; none where the run signed none and there was none.
    pub(crate) ledger_root: Option<RootView>,
    formats: BTreeMap<&'static str, FormatCounts>,
    rejected: Places,
    findings: Places,
    omitted: Omitted,
    /// Whether inputs of no format that is read are passed over instead of refused.
    #[serde(skip)]
    pub(crate) skips_other: bool,
    /// How many of the skipped ones were such.
    #[serde(skip)]
    other: u64,
}

/// What is counted and not listed.
#[derive(Debug, Default, Serialize)]
struct Omitted {
    findings: usize,
    rejected: usize,
}

/// Inputs by outcome: each is counted once.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Documents {
    pub(crate) accepted: u64,
    pub(crate) accepted_with_findings: u64,
    pub(crate) rejected: u64,
    pub(crate) unchanged: u64,
    pub(crate) skipped: u64,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Observations {
    pub(crate) recorded: u64,
    pub(crate) unchanged: u64,
}

/// `linked` by this run; `pending` and `failed` as they are after it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Linkages {
    pub(crate) linked: u64,
    pub(crate) pending: u64,
    pub(crate) failed: u64,
}

/// What a run read of one format, recorded before or not.
#[derive(Debug, Default, Serialize)]
struct FormatCounts {
    documents: u64,
    observations: u64,
    findings: u64,
    rejected: u64,
}

/// A finding or rejection and where it is.
#[derive(Debug, Serialize)]
pub(crate) struct Place {
    pub(crate) path: String,
    pub(crate) code: &'static str,
    pub(crate) pointer: String,
    pub(crate) line: Option<u64>,
    /// In characters from 1, where it is known without looking for the pointer.
    #[serde(skip)]
    pub(crate) column: Option<u64>,
    pub(crate) message: String,
}

impl Place {
    /// What it takes in memory.
    fn bytes(&self) -> usize {
        let text = [&self.path, &self.pointer, &self.message];
        size_of::<Self>() + text.iter().map(|text| text.len()).sum::<usize>()
    }
}

/// Places, of which the first [`MOST_PLACES`] are listed, or as many as [`MOST_BYTES`] hold.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
struct Places {
    list: Vec<Place>,
    /// What the list takes.
    #[serde(skip)]
    bytes: usize,
    #[serde(skip)]
    omitted: usize,
}

impl Places {
    fn add(&mut self, place: Place) {
        if self.list.len() == 2 * MOST_PLACES || self.bytes >= 2 * MOST_BYTES {
            self.sort();
        }
        self.bytes += place.bytes();
        self.list.push(place);
    }

    /// Puts them in the order of paths and lines, and leaves out those beyond the most.
    fn sort(&mut self) {
        self.list.sort_by(|a, b| (&a.path, a.line, &a.pointer).cmp(&(&b.path, b.line, &b.pointer)));
        let (mut kept, mut bytes) = (0, 0);
        for place in self.list.iter().take(MOST_PLACES) {
            if bytes + place.bytes() > MOST_BYTES {
                break;
            }
            (kept, bytes) = (kept + 1, bytes + place.bytes());
        }
        self.omitted += self.list.len() - kept;
        self.list.truncate(kept);
        self.bytes = bytes;
    }

    const fn total(&self) -> usize {
        self.list.len() + self.omitted
    }
}

impl Default for RunReport {
    fn default() -> Self {
        let labels = Format::ALL.iter().map(|format| format.label()).chain(["unknown"]);
        Self {
            schema: "provex.run/v1",
            documents: Documents::default(),
            observations: Observations::default(),
            linkages: Linkages::default(),
            ledger_root: None,
            formats: labels.map(|label| (label, FormatCounts::default())).collect(),
            rejected: Places::default(),
            findings: Places::default(),
            omitted: Omitted::default(),
            skips_other: false,
            other: 0,
        }
    }
}

impl RunReport {
    /// Counts one input.
    pub(crate) fn add(&mut self, item: Item) {
        match item.report {
            ParseReport::Skipped => self.documents.skipped += 1,
            ParseReport::Unreadable(reason) => self.add_unreadable(item.name, reason),
            ParseReport::Rejected(rejection) if self.skips_other && is_other(&rejection) => {
                self.documents.skipped += 1;
                self.other += 1;
            }
            ParseReport::Rejected(rejection) => self.add_rejection(item.name, rejection),
            ParseReport::Read { format, observations, findings } => {
                self.add_read(&item.name, format, observations, findings, item.recorded);
            }
        }
    }

    /// Whether some input was refused.
    pub(crate) fn done(&self) -> Done {
        if self.documents.rejected > 0 || self.linkages.failed > 0 { Done::NotAll } else { Done::Yes }
    }

    fn add_read(
        &mut self,
        name: &str,
        format: Format,
        observations: u64,
        findings: Vec<Finding>,
        recorded: Option<RecordedDocument>,
    ) {
        let counts = self.format(format.label());
        counts.documents += 1;
        counts.observations += observations;
        counts.findings += findings.len() as u64;
        match recorded {
            Some(RecordedDocument::Unchanged) => {
                self.documents.unchanged += 1;
                self.observations.unchanged += observations;
            }
            Some(RecordedDocument::New(_)) | None if findings.is_empty() => self.documents.accepted += 1,
            Some(RecordedDocument::New(_)) | None => self.documents.accepted_with_findings += 1,
        }
        findings.into_iter().for_each(|finding| self.findings.add(place(name, finding)));
    }

    fn add_rejection(&mut self, name: String, rejection: Rejection) {
        self.documents.rejected += 1;
        let counts = self.format(rejection.format.map_or("unknown", Format::label));
        counts.rejected += 1;
        counts.findings += rejection.findings.len() as u64;
        rejection.findings.into_iter().for_each(|finding| self.findings.add(place(&name, finding)));
        self.rejected.add(Place {
            path: name,
            code: rejection.code.label(),
            pointer: rejection.pointer,
            line: rejection.line,
            column: rejection.column,
            message: rejection.message,
        });
    }

    fn add_unreadable(&mut self, name: String, reason: String) {
        self.documents.rejected += 1;
        self.format("unknown").rejected += 1;
        let (code, pointer) = ("unreadable", String::new());
        let message = format!("The file cannot be read: {reason}.");
        self.rejected.add(Place { path: name, code, pointer, line: None, column: None, message });
    }

    fn format(&mut self, label: &'static str) -> &mut FormatCounts {
        self.formats.entry(label).or_default()
    }

    /// Puts findings and rejections in the order of paths and lines: inputs are read in no particular order.
    pub(crate) fn sort_places(&mut self) {
        self.rejected.sort();
        self.findings.sort();
        self.omitted = Omitted { findings: self.findings.omitted, rejected: self.rejected.omitted };
    }

    /// Whether anything was found that did not stop a document from being read.
    pub(crate) const fn has_findings(&self) -> bool {
        self.findings.total() > 0
    }

    /// Rejections and findings for people, the first `most` of each. `standard_input` is what came from there.
    pub(crate) fn places_text(&self, most: usize, standard_input: Option<&str>) -> String {
        let mut text = String::new();
        for (what, places) in [("refused", &self.rejected), ("finding", &self.findings)] {
            let shown = places.list.get(..most).unwrap_or(&places.list);
            for of_one_file in shown.chunk_by(|a, b| a.path == b.path) {
                text.push_str(&snippet::render(what, of_one_file, standard_input));
            }
            let more = places.total() - shown.len();
            if more > 0 {
                let all = if places.omitted == 0 { "; --json lists them all" } else { "" };
                text.push_str(&format!("... and {more} more{all}\n\n"));
            }
        }
        text
    }

    /// The same on stderr, for commands whose result is something else.
    pub(crate) fn print_places(&mut self) {
        self.sort_places();
        let text = self.places_text(SHOWN, None);
        if !text.is_empty() {
            output::tell(format_args!("{}", text.strip_suffix('\n').unwrap_or(&text)));
        }
    }

    /// The sums of a check.
    pub(crate) fn checked_line(&self) -> String {
        let d = &self.documents;
        let read = d.accepted + d.accepted_with_findings;
        let observations: u64 = self.formats.values().map(|counts| counts.observations).sum();
        let mut line = format!(
            "{read} read with {observations} observations, {} of them with findings ({}), {} refused",
            d.accepted_with_findings,
            self.findings.total(),
            d.rejected
        );
        for (count, what) in
            [(d.skipped - self.other, "neither JSON nor XML"), (self.other, "no VEX document")]
        {
            if count > 0 {
                line.push_str(&format!(", {count} skipped ({what})"));
            }
        }
        line
    }

    /// One line of sums.
    pub(crate) fn documents_line(&self) -> String {
        let d = &self.documents;
        let read = d.accepted + d.accepted_with_findings;
        let mut line = format!(
            "{} new, {} with findings, {} unchanged, {} refused",
            read, d.accepted_with_findings, d.unchanged, d.rejected
        );
        if d.skipped > 0 {
            line.push_str(&format!(", {} skipped (neither JSON nor XML)", d.skipped));
        }
        line
    }
}

/// Whether an input is of no format that is read, as far as can be told. One that is not strict JSON may be.
fn is_other(rejection: &Rejection) -> bool {
    rejection.format.is_none() && matches!(rejection.code, Code::UnknownFormat | Code::UnsupportedFormat)
}

fn place(name: &str, finding: Finding) -> Place {
    Place {
        path: name.to_owned(),
        code: finding.code.label(),
        pointer: finding.pointer,
        line: finding.line,
        column: None,
        message: finding.message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_with_long_paths_take_no_more_memory_than_others() {
        let (mut places, count) = (Places::default(), 2 * MOST_PLACES);
        for number in (0..count).rev() {
            places.add(Place {
                path: format!("{}{number:06}", "long/".repeat(200)),
                code: "bad_id",
                pointer: String::new(),
                line: None,
                column: None,
                message: String::new(),
            });
            assert!(places.bytes < 2 * MOST_BYTES + 1_500);
        }
        places.sort();
        let bytes: usize = places.list.iter().map(Place::bytes).sum();
        assert!(bytes <= MOST_BYTES && bytes + 1_500 > MOST_BYTES, "{bytes}");
        assert_eq!(places.total(), count);
        assert!(places.list.iter().enumerate().all(|(n, place)| place.path.ends_with(&format!("{n:06}"))));
    }

    #[test]
    fn a_report_lists_the_first_places_and_counts_the_others() {
        let mut report = RunReport::default();
        let count = 5 * MOST_PLACES / 2;
        for number in 0..count {
            let (path, code, pointer) = (format!("{:06}", count - 1 - number), "bad_id", String::new());
            report.findings.add(Place {
                path,
                code,
                pointer,
                line: None,
                column: None,
                message: String::new(),
            });
        }
        report.sort_places();
        let json = serde_json::to_value(&report).unwrap();
        let listed = json["findings"].as_array().unwrap();
        assert_eq!(listed.len(), MOST_PLACES);
        assert!(listed.iter().zip(0..).all(|(place, number)| place["path"] == format!("{number:06}")));
        assert_eq!(json["omitted"], serde_json::json!({"findings": count - MOST_PLACES, "rejected": 0}));
        assert!(report.checked_line().contains(&format!("({count})")));
        assert!(report.places_text(20, None).ends_with(&format!("... and {} more\n\n", count - 20)));
    }
}
