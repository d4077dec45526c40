//! Envelopes, Statements and bundles: the input as it is, as a payload, and as a predicate.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    provex_fuzz::check_document(bytes);
    provex_fuzz::check_document(&provex_fuzz::envelope(bytes));
    let start = concat!(
        r#"{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://openvex.dev/ns","#,
        r#""subject":[{"name":"pkg:npm/a@1","digest":{}}],"predicate":"#,
    );
    provex_fuzz::check_document(&[start.as_bytes(), bytes, b"}"].concat());
});
