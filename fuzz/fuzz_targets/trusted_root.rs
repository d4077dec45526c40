//! Trusted roots and signing configurations: what is read, is written and read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use provex_core::trusted_root::{SigningConfig, TrustedRoot, host};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(root) = TrustedRoot::parse(bytes) {
        let written = root.to_json();
        let again = TrustedRoot::parse(written.as_bytes()).expect("a trusted root is read back");
        assert_eq!(again.to_json(), written);
    }
    if let Ok(config) = SigningConfig::parse(bytes) {
        let written = config.to_json();
        assert_eq!(SigningConfig::parse(written.as_bytes()).expect("a configuration is read back"), config);
    }
    let _ = std::str::from_utf8(bytes).map(host);
});
