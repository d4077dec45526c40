//! `provex verify`: offline, without data folder or network, from bytes alone.

use std::path::Path;

use provex_core::bundle::Bundle;
use provex_core::json::{self, Limits};
use provex_core::keys::PublicKey;
use provex_core::proof::Proof;
use provex_core::trusted_root::TrustedRoot;
use provex_core::verify::{self, VerifiedAnchor, VerifiedEntry, VerifiedProof, Verifier};
use provex_tlog::embedded;
use serde_json::{Value, json};

use crate::args::{Global, Verify};
use crate::config::Config;
use crate::data;
use crate::failure::{Done, Failure};
use crate::logs::read_root;
use crate::output::{self, plain};
use crate::signatures::{AwsLc, Tokens};

pub(super) fn run(global: &Global, args: &Verify) -> Result<Done, Failure> {
    let keys = keys(global, args)?;
    let trusted_root = trusted_root(global, args)?;
    let verifier =
        Verifier { trusted_root: &trusted_root, keys: &keys, signatures: &AwsLc, timestamps: &Tokens };
    let kept = args.checkpoint.as_deref().map(data::read).transpose()?;
    let mut done = Done::Yes;
    for path in &args.files {
        let bytes = data::read(path).map_err(|error| Reason::Unchecked(format!("{error:#}")));
        let verified = bytes.and_then(|bytes| verify(&bytes, verifier)).and_then(|(verified, timestamps)| {
            let grew = kept
                .as_deref()
                .map(|note| append_only(note, global, args, &verified, verifier))
                .transpose()?;
            Ok((verified, timestamps, grew))
        });
        match verified {
            Ok((verified, timestamps, grew)) => print(path, &verified, timestamps, grew, args.json.json)?,
            Err(Reason::Unchecked(reason)) => {
                // What is not true outweighs what could not be checked.
                done = if done == Done::NotAll { done } else { Done::Unchecked };
                print_refused(path, "could not be checked", &reason, args.json.json)?;
            }
            Err(Reason::NotTrue(reason)) => {
                done = Done::NotAll;
                print_refused(path, "does not hold", &reason, args.json.json)?;
            }
        }
    }
    Ok(done)
}

enum Verified {
    Proof(Box<VerifiedProof>),
    Bundle(Box<VerifiedEntry>, Option<Box<VerifiedAnchor>>),
}

impl Verified {
    fn entry(&self) -> &VerifiedEntry {
        match self {
            Self::Proof(proof) => &proof.entry,
            Self::Bundle(entry, _) => entry,
        }
    }
}

/// Why a file is not accepted, in words.
enum Reason {
    /// It does not hold.
    NotTrue(String),
    /// Something to check it with could not be read.
    Unchecked(String),
}

impl From<String> for Reason {
    fn from(reason: String) -> Self {
        Self::NotTrue(reason)
    }
}

/// Checks that the log only grew between a checkpoint kept from before and the verified one; gives the kept size.
fn append_only(
    note: &[u8],
    global: &Global,
    args: &Verify,
    verified: &Verified,
    verifier: Verifier<'_>,
) -> Result<u64, Reason> {
    let now = verified.entry().checkpoint();
    let id = verified.entry().linked().log_id;
    let log =
        verifier.trusted_root.log(&id).ok_or_else(|| "the trusted root does not know the log".to_owned())?;
    let kept = verifier.checkpoint(log, note).map_err(|error| {
        format!("the kept checkpoint, held against the log {} of this file: {}", log.origin(), chain(error))
    })?;
    let folder = args.log.clone().unwrap_or_else(|| data::log_folder(&global.data, log.origin()));
    let (old, new) = (kept.checkpoint().size, now.checkpoint().size);
    let proof = if old == new || old == 0 || new == 0 {
        Vec::new()
    } else {
        embedded::consistency_proof(&folder, log, old.min(new), old.max(new)).map_err(|error| {
            Reason::Unchecked(format!(
                "the checkpoints of size {old} and {new} are connected by the log's tiles only, and {} has none that \
                 do ({error}): give --log DIR",
                folder.display()
            ))
        })?
    };
    verify::append_only(Some(&kept), now, &proof).map_err(|error| chain(error).into()).map(|_| old)
}

/// Verifies a proof or a bundle, told apart by their members, and counts its timestamp tokens. In words, why it does
/// not hold.
fn verify(bytes: &[u8], verifier: Verifier<'_>) -> Result<(Verified, usize), Reason> {
    let text = json::check(bytes, &Limits::own()).map_err(|e| format!("not strict JSON: {e}"))?;
    if json::raw_at(text, "/schema").is_some() {
        let proof = Proof::parse(bytes).map_err(chain)?;
        let verified = verifier.proof(&proof).map_err(chain)?;
        Ok((Verified::Proof(Box::new(verified)), proof.bundle.timestamps.len()))
    } else {
        let bundle = Bundle::parse(bytes).map_err(chain)?;
        let verified = verifier.bundle(&bundle).map_err(chain)?;
        let anchor = verifier.anchor(&verified).map_err(chain)?;
        Ok((Verified::Bundle(Box::new(verified), anchor.map(Box::new)), bundle.timestamps.len()))
    }
}

/// An error with its causes.
fn chain(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

fn keys(global: &Global, args: &Verify) -> Result<Vec<PublicKey>, Failure> {
    let keys = if args.key.is_empty() {
        data::public_keys(&global.data)?
    } else {
        args.key.iter().map(|path| given_key(path)).collect::<Result<_, _>>()?
    };
    if keys.is_empty() {
        return Err(Failure::call("nothing says whose signature to trust: give --key PEM"));
    }
    Ok(keys)
}

/// A key that the call names: a file that holds none is a wrong call, one that cannot be read is not.
pub(super) fn given_key(path: &Path) -> Result<PublicKey, Failure> {
    let pem = data::read(path)?;
    data::public_key_in(path, pem).map_err(Failure::Call)
}

/// The root that the call names, else those that the data folder's statements are verified with: its own and the one that
/// `provex.toml` names.
fn trusted_root(global: &Global, args: &Verify) -> Result<TrustedRoot, Failure> {
    if let Some(path) = &args.trusted_root {
        return read_root(path);
    }
    let ours = global.data.join("trusted_root.json");
    if !data::exists(&ours)? {
        return Err(Failure::call("nothing says which logs to trust: give --trusted-root FILE"));
    }
    let mut root = read_root(&ours)?;
    if data::exists(&global.data.join("provex.toml"))? {
        let config = Config::read(&global.data)?;
        let tenant = config.tenant(global.tenant.as_ref());
        if let Some(path) = config.log_of(&tenant).trusted_root {
            root.add(read_root(&global.data.join(path))?);
        }
    }
    Ok(root)
}

fn print(
    path: &Path,
    verified: &Verified,
    timestamps: usize,
    grew: Option<u64>,
    json: bool,
) -> Result<(), Failure> {
    if json {
        return output::json(&view(path, verified, grew));
    }
    output::line(&format!("{}: holds", plain(&path.display().to_string())))?;
    match verified {
        Verified::Proof(proof) => print_observation(proof)?,
        Verified::Bundle(_, Some(anchor)) => print_anchor(anchor)?,
        Verified::Bundle(_, None) => {}
    }
    let entry = verified.entry();
    let checkpoint = entry.checkpoint().checkpoint();
    output::line(&format!("  signed by    the key sha256 {}", entry.key().fingerprint().to_hex()))?;
    output::line(&format!(
        "  logged in    {} at index {}, under its checkpoint of size {}",
        checkpoint.origin,
        entry.linked().log_index,
        checkpoint.size
    ))?;
    match grew {
        Some(size) => output::line(&format!("  append-only  since the kept checkpoint of size {size}"))?,
        None => output::line("  append-only  not checked: no kept checkpoint was given")?,
    }
    let times = entry.times();
    for trusted in times {
        output::line(&format!(
            "  time         signed before {}, as {} vouches",
            trusted.time,
            plain(&trusted.authority)
        ))?;
    }
    match (times.is_empty(), timestamps) {
        (false, _) => Ok(()),
        (true, 0) => output::line("  time         no trusted time"),
        (true, tokens) => output::line(&format!(
            "  time         no trusted time: the trusted root names no authority for the {tokens} timestamp(s) here"
        )),
    }
}

fn print_observation(proof: &VerifiedProof) -> Result<(), Failure> {
    let observation = &proof.observation;
    let issuer = observation.issuer.as_ref().map_or("nobody by name", |issuer| &issuer.id);
    let issuer = plain(issuer);
    let about = match &observation.subcomponent {
        Some(part) => format!("{} in {}", part.key, observation.product.key),
        None => observation.product.key.clone(),
    };
    output::line(&format!("  observation  {}", proof.observation_id.to_text()))?;
    output::line(&format!(
        "  states       {} is {} for {}",
        plain(&about),
        observation.status.label(),
        plain(&observation.vulnerability.id)
    ))?;
    output::line(&format!("  issuer       {issuer} (as the document says)"))?;
    output::line(&format!("  document     sha256 {}", observation.document.digest.to_text()))?;
    output::line(&format!("  in a set     index {} of {}", proof.set_index, proof.set_size))
}

fn print_anchor(anchor: &VerifiedAnchor) -> Result<(), Failure> {
    let (predicate, root) = (&anchor.predicate, anchor.root.checkpoint());
    output::line(&format!("  ledger       {}", plain(&root.origin)))?;
    output::line(&format!("  root         {} over its first {} events", root.root.to_hex(), root.size))?;
    output::line(&format!(
        "  covers       events recorded from {} to {}, as the ledger says",
        predicate.first_recorded_at, predicate.last_recorded_at
    ))?;
    match &predicate.previous {
        Some(previous) => output::line(&format!(
            "  follows      the anchor of {} events, sha256 {}",
            previous.tree_size,
            previous.envelope.to_text()
        )),
        None => output::line("  follows      no other anchor"),
    }
}

fn view(path: &Path, verified: &Verified, grew: Option<u64>) -> Value {
    let entry = verified.entry();
    let checkpoint = entry.checkpoint().checkpoint();
    let (observation, root) = match verified {
        Verified::Proof(proof) => (Some(proof.observation_id), None),
        Verified::Bundle(_, anchor) => (None, anchor.as_ref().map(|anchor| anchor.root.checkpoint())),
    };
    json!({
        "path": path.display().to_string(),
        "verified": true,
        "observationId": observation,
        "ledgerOrigin": root.map(|root| &root.origin),
        "ledgerTreeSize": root.map(|root| root.size),
        "ledgerRootHash": root.map(|root| root.root.to_hex()),
        "keyFingerprint": entry.key().fingerprint().to_hex(),
        "dsseDigest": entry.linked().envelope_digest,
        "origin": checkpoint.origin,
        "rekorLogId": entry.linked().log_id,
        "rekorLogIndex": entry.linked().log_index,
        "rekorUuid": entry.linked().rekor_uuid.to_hex(),
        "treeSize": checkpoint.size,
        "treeRoot": checkpoint.root.to_hex(),
        "appendOnlySince": grew,
        "trustedTime": entry.times().first().map(|trusted| trusted.time),
        "trustedTimeAuthority": entry.times().first().map(|trusted| &trusted.authority),
        "reason": Value::Null,
    })
}

fn print_refused(path: &Path, what: &str, reason: &str, json: bool) -> Result<(), Failure> {
    let path = path.display().to_string();
    if !json {
        return output::line(&format!("{}: {what}\n  reason       {}", plain(&path), plain(reason)));
    }
    let mut view = serde_json::Map::from_iter(MEMBERS.map(|member| (member.to_owned(), Value::Null)));
    view.insert("path".to_owned(), path.into());
    view.insert("verified".to_owned(), false.into());
    view.insert("reason".to_owned(), format!("{what}: {reason}").into());
    output::json(&view)
}

/// What a verified file's view says; a refused one has the same members.
const MEMBERS: [&str; 15] = [
    "observationId",
    "ledgerOrigin",
    "ledgerTreeSize",
    "ledgerRootHash",
    "keyFingerprint",
    "dsseDigest",
    "origin",
    "rekorLogId",
    "rekorLogIndex",
    "rekorUuid",
    "treeSize",
    "treeRoot",
    "appendOnlySince",
    "trustedTime",
    "trustedTimeAuthority",
];
