//! The report of a run: `provex.run/v1` for machines, a few lines for people.

use std::collections::BTreeMap;

use provex_core::vex::Format;
use provex_formats::{Finding, Rejection};
use provex_pipeline::{Item, ParseReport};
use provex_store::RecordedDocument;
use serde::Serialize;

use crate::failure::Done;
use crate::snippet::Snippets;

/// How many findings and rejections a person is shown.
const SHOWN: usize = 20;

/// What `check`, `ingest`, `link` and `prove` print with `--json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunReport {
    schema: &'static str,
    pub(crate) documents: Documents,
    pub(crate) observations: Observations,
    pub(crate) linkages: Linkages,
    formats: BTreeMap<&'static str, FormatCounts>,
    pub(crate) rejected: Vec<Place>,
    pub(crate) findings: Vec<Place>,
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
    pub(crate) code: String,
    pub(crate) pointer: String,
    pub(crate) line: Option<u64>,
    pub(crate) message: String,
}

impl Default for RunReport {
    fn default() -> Self {
        let labels = Format::ALL.iter().map(|format| format.label()).chain(["unknown"]);
        Self {
            schema: "provex.run/v1",
            documents: Documents::default(),
            observations: Observations::default(),
            linkages: Linkages::default(),
            formats: labels.map(|label| (label, FormatCounts::default())).collect(),
            rejected: Vec::new(),
            findings: Vec::new(),
        }
    }
}

impl RunReport {
    /// Counts one input.
    pub(crate) fn add(&mut self, item: Item) {
        match item.report {
            ParseReport::Skipped => self.documents.skipped += 1,
            ParseReport::Unreadable(reason) => self.add_unreadable(item.name, reason),
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
        self.findings.extend(findings.into_iter().map(|finding| place(name, finding)));
    }

    fn add_rejection(&mut self, name: String, rejection: Rejection) {
        self.documents.rejected += 1;
        let counts = self.format(rejection.format.map_or("unknown", Format::label));
        counts.rejected += 1;
        counts.findings += rejection.findings.len() as u64;
        self.findings.extend(rejection.findings.into_iter().map(|finding| place(&name, finding)));
        self.rejected.push(Place {
            path: name,
            code: rejection.code.label().to_owned(),
            pointer: rejection.pointer,
            line: rejection.line,
            message: rejection.message,
        });
    }

    fn add_unreadable(&mut self, name: String, reason: String) {
        self.documents.rejected += 1;
        self.format("unknown").rejected += 1;
        let (code, pointer) = ("unreadable".to_owned(), String::new());
        let message = format!("The file cannot be read: {reason}.");
        self.rejected.push(Place { path: name, code, pointer, line: None, message });
    }

    fn format(&mut self, label: &'static str) -> &mut FormatCounts {
        self.formats.entry(label).or_default()
    }

    /// Puts findings and rejections in the order of paths and lines: inputs are read in no particular order.
    pub(crate) fn sort_places(&mut self) {
        for places in [&mut self.rejected, &mut self.findings] {
            places.sort_by(|a, b| (&a.path, a.line, &a.pointer).cmp(&(&b.path, b.line, &b.pointer)));
        }
    }

    /// Rejections and findings for people, the first `most` of each.
    pub(crate) fn places_text(&self, most: usize) -> String {
        let mut snippets = Snippets::default();
        let mut text = String::new();
        for (what, places) in [("refused", &self.rejected), ("finding", &self.findings)] {
            for place in places.iter().take(most) {
                text.push_str(&snippets.render(what, place));
                text.push('\n');
            }
            if places.len() > most {
                text.push_str(&format!("... and {} more; --json lists them all\n\n", places.len() - most));
            }
        }
        text
    }

    /// The same on stderr, for commands whose result is something else.
    pub(crate) fn print_places(&mut self) {
        self.sort_places();
        eprint!("{}", self.places_text(SHOWN));
    }

    /// The sums of a check.
    pub(crate) fn checked_line(&self) -> String {
        let d = &self.documents;
        let read = d.accepted + d.accepted_with_findings;
        let observations: u64 = self.formats.values().map(|counts| counts.observations).sum();
        let mut line = format!(
            "{read} read with {observations} observations, {} of them with findings ({}), {} refused",
            d.accepted_with_findings,
            self.findings.len(),
            d.rejected
        );
        if d.skipped > 0 {
            line.push_str(&format!(", {} skipped (neither JSON nor XML)", d.skipped));
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

fn place(name: &str, finding: Finding) -> Place {
    Place {
        path: name.to_owned(),
        code: finding.code.label().to_owned(),
        pointer: finding.pointer,
        line: finding.line,
        message: finding.message,
    }
}
