//! What holds of the claims of every document, whatever its format.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use provex_core::digest::Digest;
use provex_formats::{ParseLimits, parse, parse_each};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn claims_of_one_document_differ_and_come_with_the_bytes_that_name_them() {
    let mut all = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/vex"), &mut all);
    let mut read = 0;
    for path in all {
        let bytes = std::fs::read(&path).unwrap();
        let limits = ParseLimits::default();
        let mut ids = Vec::new();
        let accepted = parse_each(&bytes, &limits, |claim| {
            assert_eq!(Digest::of(claim.body), *claim.id.digest());
            assert_eq!(claim.body, claim.observation.body());
            ids.push(claim.id);
        });
        let parsed = parse(&bytes, &limits);
        let (Ok(accepted), Ok(parsed)) = (accepted, parsed) else { continue };
        read += 1;
        assert_eq!(accepted.observations, ids.len() as u64);
        assert_eq!((accepted.document, accepted.findings), (parsed.document, parsed.findings));
        assert!(parsed.observations.iter().map(|claim| claim.id).eq(ids.iter().copied()));
        let different: BTreeSet<_> = ids.iter().collect();
        assert_eq!(different.len(), ids.len(), "{}", path.display());
    }
    assert!(read > 100, "{read} documents were read");
}
