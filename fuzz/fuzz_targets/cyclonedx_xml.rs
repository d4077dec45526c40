//! The CycloneDX reader, documents in XML.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    provex_fuzz::check_document(bytes);
    let body = [br#"<bom xmlns="http://cyclonedx.org/schema/bom/1.6" version="1">"#, bytes, b"</bom>"];
    provex_fuzz::check_document(&body.concat());
});
