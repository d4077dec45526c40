//! The OpenVEX reader.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    provex_fuzz::check_marked(bytes, r#""@context":"https://openvex.dev/ns/v0.2.0""#);
});
