//! Verifies a bundle with the crate sigstore-verify and nothing else: the baseline of `provex bench verify`.
//!
//! `sigstore_verify BUNDLE TRUSTED_ROOT KEY DOCUMENT`

use std::process::ExitCode;

use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::{Bundle, DerPublicKey};
use sigstore_verify::{PublicKeyVerificationPolicy, verify};

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [bundle, trusted_root, key, document] = args.as_slice() else {
        eprintln!("sigstore_verify BUNDLE TRUSTED_ROOT KEY DOCUMENT");
        return ExitCode::from(2);
    };
    match run(bundle, trusted_root, key, document) {
        Ok(()) => {
            println!("{bundle}: holds");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("sigstore_verify: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(
    bundle: &str,
    trusted_root: &str,
    key: &str,
    document: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let bundle = Bundle::from_json(&std::fs::read_to_string(bundle)?)?;
    let trusted_root = TrustedRoot::from_file(trusted_root)?;
    let policy = PublicKeyVerificationPolicy::new(DerPublicKey::from_pem(&std::fs::read_to_string(key)?)?);
    let document = std::fs::read(document)?;
    verify(document.as_slice(), &bundle, &policy, &trusted_root)?;
    Ok(())
}
