//! What holds for every document, whatever its bytes: shared by the targets of the formats.

use provex_core::digest::{Digest, base64};
use provex_core::vex::Observation;
use provex_formats::{MAX_KEY_BYTES, ParseLimits, Parsed, parse};

/// Parses twice and compares, and reads every body back.
///
/// # Panics
/// If an invariant does not hold: the finding that a fuzzer looks for.
pub fn check_document(bytes: &[u8]) {
    // Less than the default, so that what is slow because it is large is no finding.
    let limits = ParseLimits { max_bytes: 1 << 20, max_body_bytes: 8 << 20 };
    let Ok(parsed) = parse(bytes, &limits) else {
        assert_eq!(parse(bytes, &limits).err(), parse(bytes, &limits).err());
        return;
    };
    assert_eq!(*parsed.document.digest.digest(), Digest::of(bytes));
    assert!(!parsed.observations.is_empty() || parsed.document.retires.is_some());
    for one in &parsed.observations {
        let read = Observation::from_body(&one.body()).expect("a body is read back");
        assert_eq!(read, one.observation);
        assert_eq!((read.id(), read.claim_digest()), (one.id, one.claim_digest()));
        let keys = one.keys();
        assert!(keys.is_sorted() && keys.iter().all(|key| key.key.len() <= MAX_KEY_BYTES));
    }
    let again = parse(bytes, &limits).expect("the same bytes are read again");
    let ids = |parsed: &Parsed| parsed.observations.iter().map(|one| one.id).collect::<Vec<_>>();
    assert_eq!(ids(&parsed), ids(&again));
    assert_eq!((parsed.document, parsed.findings), (again.document, again.findings));
}

/// Checks a document as it is and, if it is an object without it, with the mark that its format is told by: so
/// nearly every input reaches the reader.
pub fn check_marked(bytes: &[u8], mark: &str) {
    check_document(bytes);
    if let Some(rest) = bytes.strip_prefix(b"{") {
        check_document(&[b"{", mark.as_bytes(), b",", rest].concat());
    }
}

/// A DSSE envelope around a payload.
pub fn envelope(payload: &[u8]) -> Vec<u8> {
    let payload = base64(payload);
    let payload_type = "application/vnd.in-toto+json";
    format!(r#"{{"payloadType":"{payload_type}","payload":"{payload}","signatures":[{{"sig":"c2ln"}}]}}"#)
        .into_bytes()
}
