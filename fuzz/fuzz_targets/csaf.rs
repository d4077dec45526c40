//! The CSAF reader.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    provex_fuzz::check_marked(bytes, r#""document":{"csaf_version":"2.1","category":"csaf_vex"}"#);
});
