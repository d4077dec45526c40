//! Package URLs: the canonical form is its own, and so are the two derived from it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use provex_formats::purl::Purl;

fuzz_target!(|text: &str| {
    let Ok(purl) = Purl::parse(text) else { return };
    let canonical = purl.canonical();
    let again = Purl::parse(&canonical).expect("a canonical purl is a purl");
    assert_eq!(again.canonical(), canonical);
    assert_eq!(again.folded(), purl.folded());
    let unversioned = purl.without_version();
    assert_eq!(unversioned.version(), None);
    Purl::parse(&unversioned.canonical()).expect("a purl without its version is a purl");
});
