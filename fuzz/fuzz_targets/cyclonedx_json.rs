//! The CycloneDX reader, documents in JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    provex_fuzz::check_marked(bytes, r#""bomFormat":"CycloneDX""#);
});
