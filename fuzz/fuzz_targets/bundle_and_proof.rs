//! Sigstore bundles, DSSE envelopes and proofs: what is read, is written and read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use provex_core::bundle::Bundle;
use provex_core::dsse::Envelope;
use provex_core::proof::Proof;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(bundle) = Bundle::parse(bytes) {
        assert_eq!(Bundle::parse(&bundle.to_jcs()).expect("a bundle is read back"), bundle);
    }
    if let Ok(envelope) = Envelope::parse(bytes) {
        assert_eq!(Envelope::parse(&envelope.to_jcs()).expect("an envelope is read back"), envelope);
    }
    if let Ok(proof) = Proof::parse(bytes) {
        let written = proof.to_jcs().expect("a proof is written");
        assert_eq!(Proof::parse(&written).expect("a proof is read back"), proof);
    }
});
