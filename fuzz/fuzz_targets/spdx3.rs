//! The SPDX 3 reader.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    provex_fuzz::check_marked(bytes, r#""@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld""#);
});
