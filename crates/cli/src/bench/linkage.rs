//! Line 3: the offline verification of one linkage in process, against its two signature checks alone.

use anyhow::{Context as _, ensure};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use provex_core::keys::PublicKey;
use provex_core::note::Note;
use provex_core::proof::Proof;
use provex_core::trusted_root::TrustedRoot;
use provex_core::verify::Verifier;

use super::Bench;
use super::report::{Asked, Report};
use super::scratch::Scratch;
use super::timing::{in_turns, time_ok};
use super::verify::Proven;
use crate::data;
use crate::signatures::{AwsLc, Tokens};

pub(super) fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let proven = Proven::new(bench, &scratch)?;
    let bytes = data::read(&proven.proof)?;
    let trusted_root = TrustedRoot::parse(&data::read(&proven.trusted_root)?)?;
    let key = data::public_key(&proven.key).map_err(|_| anyhow::anyhow!("the public key cannot be read"))?;
    let keys = [key];
    let verifier =
        Verifier { trusted_root: &trusted_root, keys: &keys, signatures: &AwsLc, timestamps: &Tokens };
    let proof = Proof::parse(&bytes)?;
    let raw = Signatures::of(&proof, &keys[0], &trusted_root)?;
    let (times, rounds) = (bench.amount(2_000, 200), bench.amount(15, 7));
    let [whole, parsed, raw] = in_turns(
        rounds,
        true,
        [
            &mut || repeat(times, || Ok(verifier.proof(&Proof::parse(&bytes)?)?)),
            &mut || repeat(times, || Ok(verifier.proof(&proof)?)),
            &mut || repeat(times, || raw.check()),
        ],
    )?;
    let baseline = "its two signature checks by aws-lc-rs";
    let size = bytes.len() / 1_000;
    report.compare(
        &format!("verify a proof of {size} kB from its bytes"),
        &whole,
        baseline,
        &raw,
        Asked::AtLeast(0.5),
    );
    report.compare("verify the proof once parsed", &parsed, "the same", &raw, Asked::AtLeast(0.5));
    Ok(())
}

/// The time of one of many.
fn repeat<T>(times: usize, work: impl Fn() -> anyhow::Result<T>) -> anyhow::Result<std::time::Duration> {
    let ((), took) = time_ok(|| {
        for _ in 0..times {
            std::hint::black_box(work()?);
        }
        Ok(())
    })?;
    Ok(took / u32::try_from(times)?)
}

/// The envelope's signature and the checkpoint's, ready to be checked.
struct Signatures {
    key: Vec<u8>,
    pae: Vec<u8>,
    envelope: Vec<u8>,
    log_key: [u8; 32],
    checkpoint: String,
    note: Vec<u8>,
}

impl Signatures {
    fn of(proof: &Proof, key: &PublicKey, root: &TrustedRoot) -> anyhow::Result<Self> {
        let (envelope, entry) = (&proof.bundle.envelope, &proof.bundle.entry);
        let note = Note::parse(entry.inclusion.checkpoint.as_bytes())?;
        let log = root.log(&entry.log_id).context("the log is not in the trusted root")?;
        let signature = note.signatures().first().context("the checkpoint is not signed")?;
        Ok(Self {
            key: key.p256_point().context("not a P-256 key")?.to_vec(),
            pae: envelope.pae(),
            envelope: envelope.signature().to_vec(),
            log_key: *log.key.key.ed25519_bytes().context("not an Ed25519 key")?,
            checkpoint: note.text().to_owned(),
            note: signature.signature().to_vec(),
        })
    }

    fn check(&self) -> anyhow::Result<()> {
        let envelope =
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.key).verify(&self.pae, &self.envelope);
        let note =
            UnparsedPublicKey::new(&ED25519, &self.log_key).verify(self.checkpoint.as_bytes(), &self.note);
        ensure!(envelope.is_ok() && note.is_ok(), "a signature does not verify");
        Ok(())
    }
}
