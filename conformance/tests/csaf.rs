//! CSAF: the mandatory tests as csaf-rs runs them, and the entries of status lists as it counts them.
//!
//! csaf-rs types a whole document by the schema, so it says nothing of one that departs from it anywhere; those are
//! counted, so that a new version of it that reads fewer does not go unseen.

use std::collections::BTreeSet;
use std::path::PathBuf;

use csaf_rs::csaf::raw::HasParsed;
use csaf_rs::csaf::types::csaf_document_category::CsafDocumentCategory;
use csaf_rs::csaf_traits::{CsafTrait, DocumentTrait as _};
use csaf_rs::validation::{TestResultStatus, Validatable};
use provex_formats::{Code, ParseLimits};

/// The mandatory tests that have a code of their own.
const RULES: [(&str, Code); 27] = [
    ("6.1.1", Code::UndefinedProduct),
    ("6.1.3", Code::CircularProduct),
    ("6.1.4", Code::UndefinedGroup),
    ("6.1.5", Code::RepeatedGroup),
    ("6.1.6", Code::IntraDocumentConflict),
    ("6.1.14", Code::UnsortedRevisions),
    ("6.1.15", Code::MissingSourceLanguage),
    ("6.1.16", Code::VersionNotLatest),
    ("6.1.17", Code::NotMarkedDraft),
    ("6.1.18", Code::UnreleasedRevision),
    ("6.1.19", Code::PrereleaseRevision),
    ("6.1.20", Code::PrereleaseVersion),
    ("6.1.21", Code::MissingRevision),
    ("6.1.22", Code::RepeatedRevision),
    ("6.1.23", Code::RepeatedVulnerability),
    ("6.1.26", Code::ReservedCategory),
    ("6.1.27.4", Code::MissingProductTree),
    ("6.1.27.5", Code::MissingNotes),
    ("6.1.27.9", Code::Unjustified),
    ("6.1.27.10", Code::MissingAction),
    ("6.1.27.11", Code::MissingVulnerabilities),
    ("6.1.29", Code::UnboundRemediation),
    ("6.1.30", Code::MixedVersioning),
    ("6.1.32", Code::UnboundFlag),
    ("6.1.33", Code::RepeatedJustification),
    ("6.1.34", Code::BranchesTooDeep),
    ("6.1.36", Code::MisplacedRemediation),
];

/// Those of them that only bind documents of the VEX profile.
const OF_VEX_PROFILE: [&str; 2] = ["6.1.27.9", "6.1.27.10"];

/// Folder of `testdata/vex`, documents, and how many of them csaf-rs reads.
const FOLDERS: [(&str, usize, usize); 3] = [("csaf20", 44, 41), ("csaf21", 20, 17), ("invalid", 17, 17)];

#[test]
fn csaf_rs_finds_the_same_faults_and_claims() {
    let mut differences = Vec::new();
    for (folder, documents, readable) in FOLDERS {
        let paths = documents_of(folder);
        let read = paths.iter().filter(|path| compare(path, &mut differences)).count();
        if (paths.len(), read) != (documents, readable) {
            differences.push(format!("{folder}: csaf-rs reads {read} of {} documents", paths.len()));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn documents_of(folder: &str) -> Vec<PathBuf> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/vex")).join(folder);
    let entries = std::fs::read_dir(root).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let is_csaf = |path: &PathBuf| folder != "invalid" || path.to_string_lossy().contains("oasis_csaf");
    let mut paths: Vec<_> = paths.filter(is_csaf).collect();
    paths.sort();
    paths
}

/// Compares one document; whether csaf-rs reads it.
fn compare(path: &PathBuf, differences: &mut Vec<String>) -> bool {
    let bytes = std::fs::read(path).expect("the document is there");
    let Ok(version) = csaf_rs::csaf::loader::detect_version(bytes.as_slice()) else { return false };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match version.as_str() {
        "2.0" => {
            let document = csaf_rs::csaf2_0::loader::load_document(bytes.as_slice()).expect("it is JSON");
            compare_with(&name, &bytes, &document, differences)
        }
        _ => {
            let document = csaf_rs::csaf2_1::loader::load_document(bytes.as_slice()).expect("it is JSON");
            compare_with(&name, &bytes, &document, differences)
        }
    }
}

fn compare_with<D>(name: &str, bytes: &[u8], document: &D, differences: &mut Vec<String>) -> bool
where
    D: HasParsed + Validatable,
    D::Parsed: CsafTrait,
{
    let Ok(csaf) = document.get_parsed() else { return false };
    let (pointers, findings) = match provex_formats::parse(bytes, &ParseLimits::default()) {
        Ok(parsed) => {
            let claims = parsed.observations.into_iter().map(|claim| claim.observation.locator.pointer);
            (claims.collect(), parsed.findings)
        }
        Err(rejection) => (BTreeSet::new(), rejection.findings),
    };
    let category = csaf.get_document().get_category();
    for (test, code) in RULES {
        // They are the VEX profile's, and provex tells of bare claims in any.
        if OF_VEX_PROFILE.contains(&test) && category != CsafDocumentCategory::CsafVex {
            continue;
        }
        let theirs = match document.run_test(test).status {
            TestResultStatus::Failure { errors, .. } => !errors.is_empty(),
            TestResultStatus::Success => false,
            TestResultStatus::NotFound | TestResultStatus::Skipped => continue,
        };
        let ours = findings.iter().any(|finding| finding.code == code);
        if ours != theirs {
            differences.push(format!("{name}: {test} fails for csaf-rs: {theirs}, for provex: {ours}"));
        }
    }
    let mut claims = status_entries(csaf);
    // A vulnerability without a name makes no claim, and says so.
    for finding in findings.iter().filter(|finding| finding.code == Code::MissingVulnerability) {
        claims.retain(|pointer| !pointer.starts_with(&format!("{}/", finding.pointer)));
    }
    if claims != pointers {
        let differ: Vec<_> = claims.symmetric_difference(&pointers).take(3).collect();
        differences.push(format!(
            "{name}: {} claims, {} of provex: {differ:?}",
            claims.len(),
            pointers.len()
        ));
    }
    true
}

/// Pointers to the entries of status lists that make a claim.
fn status_entries(csaf: &impl CsafTrait) -> BTreeSet<String> {
    let references = csaf.get_all_product_references().into_iter().map(|(_, pointer)| pointer);
    references
        .filter(|pointer| pointer.contains("/product_status/") && !pointer.contains("/recommended/"))
        .collect()
}
