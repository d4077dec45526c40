//! Private keys that users bring: PKCS#8, encrypted PKCS#8 (PBES2), and cosign's encrypted keys. They are decrypted
//! once and kept in the data folder as all its keys are: unencrypted, readable by their owner alone.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use crypto_secretbox::aead::{Aead as _, KeyInit as _};
use crypto_secretbox::{Key, Nonce, XSalsa20Poly1305};
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef, pkcs5};
use provex_core::digest;
use provex_core::keys::{self, KeyAlgorithm, LocalSigner, Signer as _};
use serde::Deserialize;

use crate::data;
use crate::failure::Failure;

/// PEM labels of cosign's keys: the new one, and the one before it.
const COSIGN_LABELS: [&str; 2] = ["ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"];
const PLAIN_LABEL: &str = "PRIVATE KEY";
const ENCRYPTED_LABEL: &str = "ENCRYPTED PRIVATE KEY";
const WRONG_PASSWORD: &str = "wrong password. With --password-file FILE the first line of FILE is taken, without its line \
    end; without it the terminal is asked";
/// The most memory that a key file may make scrypt use: cosign's own need is 64 MiB.
const MAX_SCRYPT_BYTES: u64 = 512 << 20;

/// Reads an attestation key. The password comes from `password_file` (its first line), else from the terminal.
pub(crate) fn read(path: &Path, password_file: Option<&Path>) -> Result<LocalSigner, Failure> {
    let pem = String::from_utf8(data::read_secret(path)?)
        .map_err(|_| Failure::call(format!("{} is no PEM file", path.display())))?;
    let context = || path.display().to_string();
    let password = || password(path, password_file);
    let found = label(&pem);
    let pem = found.map_or("", |label| block(&pem, label));
    let der = match found {
        Some(label) if COSIGN_LABELS.contains(&label) => {
            let sealed = keys::pem_decode(pem, label).with_context(context)?;
            open_cosign(&sealed, password()?.as_bytes()).with_context(context)?
        }
        Some(ENCRYPTED_LABEL) => {
            let der = keys::pem_decode(pem, ENCRYPTED_LABEL).with_context(context)?;
            let sealed = EncryptedPrivateKeyInfoRef::try_from(&*der).map_err(|_| unread_encryption(path))?;
            if sealed.encryption_algorithm.pbes2().is_none() {
                return Err(unread_encryption(path));
            }
            let encrypted = sealed.encrypted_data.as_bytes();
            match sealed.encryption_algorithm.decrypt(password()?, encrypted) {
                Ok(der) if PrivateKeyInfoRef::try_from(&*der).is_ok() => der,
                // One wrong password in some 256 leaves a padding that passes.
                Ok(_) | Err(pkcs5::Error::DecryptFailed) => {
                    return Err(anyhow!(WRONG_PASSWORD).context(context()).into());
                }
                // Whatever the password.
                Err(_) => return Err(unread_encryption(path)),
            }
        }
        Some(PLAIN_LABEL) => keys::pem_decode(pem, PLAIN_LABEL).with_context(context)?,
        other => return Err(Failure::call(format!("{} {}", path.display(), other_form(other, path)))),
    };
    match LocalSigner::from_pkcs8_der(&der) {
        Ok(signer) if signer.public_key().algorithm() == KeyAlgorithm::EcdsaP256Sha256 => Ok(signer),
        _ => Err(Failure::call(format!(
            "{} holds {}; statements are signed with ECDSA P-256 only. `openssl genpkey -algorithm EC -pkeyopt \
             ec_paramgen_curve:P-256 -out NEW.pem` makes such a key",
            path.display(),
            kind(&der)
        ))),
    }
}

/// The label of the first PEM block that is no mere parameters.
fn label(pem: &str) -> Option<&'static str> {
    const LABELS: [&str; 8] = [
        PLAIN_LABEL,
        ENCRYPTED_LABEL,
        COSIGN_LABELS[0],
        COSIGN_LABELS[1],
        "EC PRIVATE KEY",
        "RSA PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "PUBLIC KEY",
    ];
    LABELS.into_iter().find(|label| pem.contains(&format!("-----BEGIN {label}-----")))
}

/// The PEM block of this label, without the text that may stand around it (RFC 7468, section 2): `openssl pkcs12` writes
/// bag attributes before a key.
fn block<'a>(pem: &'a str, label: &str) -> &'a str {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let block = pem.find(&begin).map_or("", |start| &pem[start..]);
    block.find(&end).map_or(block, |start| &block[..start + end.len()])
}

/// What a file is that is not read, and how to make one of it that is.
fn other_form(label: Option<&str>, path: &Path) -> String {
    let path = path.display();
    match label {
        Some("EC PRIVATE KEY") => format!(
            "is an EC key in SEC1 form, which is not read. As PKCS#8 it is: `openssl pkcs8 -topk8 -nocrypt -in {path} \
             -out NEW.pem`"
        ),
        Some("OPENSSH PRIVATE KEY") => format!(
            "is a key in OpenSSH's form, which is not read. If it is ecdsa-sha2-nistp256, `ssh-keygen -p -m PKCS8 -f \
             COPY` makes PKCS#8 of a copy of {path}"
        ),
        Some("RSA PRIVATE KEY") => {
            "is an RSA key; statements are signed with ECDSA P-256 only. `openssl genpkey -algorithm EC -pkeyopt \
             ec_paramgen_curve:P-256 -out NEW.pem` makes such a key"
                .to_owned()
        }
        Some("PUBLIC KEY") => "is a public key; to sign, its private key is needed".to_owned(),
        _ => "is no private key: PKCS#8 PEM, encrypted or not, or a cosign key is wanted".to_owned(),
    }
}

/// What kind of key a PKCS#8 file holds, by its algorithm's object identifier (RFC 5480, RFC 8017, RFC 8410).
fn kind(der: &[u8]) -> String {
    let Ok(info) = PrivateKeyInfoRef::try_from(der) else { return "no PKCS#8 key".to_owned() };
    let curve = info.algorithm.parameters_oid().map(|oid| oid.to_string()).unwrap_or_default();
    match (info.algorithm.oid.to_string().as_str(), curve.as_str()) {
        ("1.2.840.10045.2.1", "1.2.840.10045.3.1.7") => "a P-256 key that cannot be read".to_owned(),
        ("1.2.840.10045.2.1", "1.3.132.0.34") => "a P-384 key".to_owned(),
        ("1.2.840.10045.2.1", "1.3.132.0.35") => "a P-521 key".to_owned(),
        ("1.2.840.10045.2.1", "1.3.132.0.10") => "a secp256k1 key".to_owned(),
        ("1.2.840.10045.2.1", _) => {
            "an EC key of another curve, or with its curve spelled out instead of named".to_owned()
        }
        ("1.2.840.113549.1.1.1", _) => "an RSA key".to_owned(),
        ("1.3.101.112", _) => "an Ed25519 key".to_owned(),
        (other, _) => format!("a key of algorithm {other}"),
    }
}

fn unread_encryption(path: &Path) -> Failure {
    Failure::call(format!(
        "{0} is encrypted in a way that is not read (PBES1, or an unusual cipher or key derivation). `openssl pkcs8 \
         -topk8 -v2 aes-256-cbc -in {0} -out NEW.pem` encrypts it with AES-256",
        path.display()
    ))
}

fn password(key: &Path, file: Option<&Path>) -> Result<String, anyhow::Error> {
    let Some(file) = file else {
        return rpassword::prompt_password(format!("Password of {}: ", key.display()))
            .context("no terminal to ask for the password; give --password-file FILE");
    };
    let text = String::from_utf8(data::read_secret(file)?)
        .map_err(|_| anyhow!("{} is not UTF-8", file.display()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
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
        .map_err(|_| anyhow!(WRONG_PASSWORD))
}
