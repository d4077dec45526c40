//! Private keys that users bring: PKCS#8, encrypted PKCS#8 (PBES2), and cosign's encrypted keys. They are decrypted
//! once and kept in the data folder as all its keys are: unencrypted, readable by their owner alone.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use crypto_secretbox::aead::{Aead as _, KeyInit as _};
use crypto_secretbox::{Key, Nonce, XSalsa20Poly1305};
use provex_core::digest;
use provex_core::keys::{self, KeyAlgorithm, LocalSigner, Signer as _};
use serde::Deserialize;

use crate::data;

/// PEM labels of cosign's keys: the new one, and the one before it.
const COSIGN_LABELS: [&str; 2] = ["ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"];
const ENCRYPTED_LABEL: &str = "ENCRYPTED PRIVATE KEY";
/// The most memory that a key file may make scrypt use: cosign's own need is 64 MiB.
const MAX_SCRYPT_BYTES: u64 = 512 << 20;

/// Reads an attestation key. The password comes from `password_file` (its first line), else from the terminal.
pub(crate) fn read(path: &Path, password_file: Option<&Path>) -> Result<LocalSigner, anyhow::Error> {
    let pem =
        String::from_utf8(data::read_secret(path)?).map_err(|_| anyhow!("{} is not PEM", path.display()))?;
    let context = || path.display().to_string();
    let password = || password(path, password_file);
    let signer = if let Some(label) = COSIGN_LABELS.iter().find(|label| pem.contains(**label)) {
        let sealed = keys::pem_decode(&pem, label).with_context(context)?;
        LocalSigner::from_pkcs8_der(&open_cosign(&sealed, password()?.as_bytes()).with_context(context)?)
    } else if pem.contains(ENCRYPTED_LABEL) {
        let der = keys::pem_decode(&pem, ENCRYPTED_LABEL).with_context(context)?;
        LocalSigner::from_pkcs8_der(&open_pkcs8(&der, password()?.as_bytes()).with_context(context)?)
    } else {
        LocalSigner::from_pkcs8_pem(&pem)
    };
    let signer = signer.with_context(context)?;
    if signer.public_key().algorithm() != KeyAlgorithm::EcdsaP256Sha256 {
        bail!("{} is no P-256 key; statements are signed with ECDSA P-256", path.display());
    }
    Ok(signer)
}

fn password(key: &Path, file: Option<&Path>) -> Result<String, anyhow::Error> {
    let Some(file) = file else {
        return rpassword::prompt_password(format!("Password of {}: ", key.display()))
            .context("no terminal to ask for the password; give --password-file FILE");
    };
    let text =
        String::from_utf8(data::read(file)?).map_err(|_| anyhow!("{} is not UTF-8", file.display()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn open_pkcs8(der: &[u8], password: &[u8]) -> Result<Vec<u8>, anyhow::Error> {
    let sealed = pkcs8::EncryptedPrivateKeyInfoRef::try_from(der)
        .map_err(|error| anyhow!("not an encrypted PKCS#8 key: {error}"))?;
    let opened = sealed
        .decrypt(password)
        .map_err(|_| anyhow!("wrong password, or an encryption that is not known"))?;
    Ok(opened.as_bytes().to_vec())
}

/// cosign's file (go-securesystemslib `encrypted`): scrypt, then NaCl secretbox over the PKCS#8 DER.
#[derive(Deserialize)]
struct Sealed {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Deserialize)]
struct Kdf {
    name: String,
    params: KdfParams,
    salt: String,
}

#[derive(Deserialize)]
struct KdfParams {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

fn open_cosign(sealed: &[u8], password: &[u8]) -> Result<Vec<u8>, anyhow::Error> {
    let sealed: Sealed = serde_json::from_slice(sealed).context("not a cosign key")?;
    if sealed.kdf.name != "scrypt" || sealed.cipher.name != "nacl/secretbox" {
        bail!("encryption {}, {} is not known", sealed.kdf.name, sealed.cipher.name);
    }
    let KdfParams { n, r, p } = sealed.kdf.params;
    let costs = n.saturating_mul(128).saturating_mul(r.into()).saturating_mul(p.into());
    if !n.is_power_of_two() || costs > MAX_SCRYPT_BYTES {
        bail!("scrypt parameters N={n}, r={r}, p={p} are not sensible");
    }
    let params = scrypt::Params::new(n.trailing_zeros() as u8, r, p).map_err(|e| anyhow!("scrypt: {e}"))?;
    let mut key = [0; 32];
    let salt = digest::from_base64(&sealed.kdf.salt).context("the salt")?;
    scrypt::scrypt(password, &salt, &params, &mut key).map_err(|e| anyhow!("scrypt: {e}"))?;
    let nonce = digest::from_base64(&sealed.cipher.nonce).context("the nonce")?;
    let nonce: [u8; 24] = nonce.try_into().map_err(|_| anyhow!("the nonce is not 24 bytes"))?;
    let ciphertext = digest::from_base64(&sealed.ciphertext).context("the ciphertext")?;
    XSalsa20Poly1305::new(&Key::from(key))
        .decrypt(&Nonce::from(nonce), ciphertext.as_slice())
        .map_err(|_| anyhow!("wrong password"))
}
