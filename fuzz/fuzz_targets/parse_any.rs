//! Any bytes as a document of any format.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| provex_fuzz::check_document(bytes));
