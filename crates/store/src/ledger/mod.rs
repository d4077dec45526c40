//! What a transaction says in the ledger: the events of what it records, with their bodies.
//!
//! A backend takes its tenant's chain row, reads the [`Head`] from it, appends here, and writes what comes out. The
//! bodies name by digest all that the transaction recorded; `docs/DATA_MODEL.md` lists their members.

pub mod backfill;

use std::collections::{BTreeMap, BTreeSet};

use provex_core::digest::Digest;
use provex_core::ids::{BundleDigest, DocumentDigest, EnvelopeDigest, LogId, ObservationId, TenantId};
use provex_core::intoto::SetCommitment;
use provex_core::jcs::{JcsError, ObjectWriter};
use provex_core::ledger::{
    Appended, AttestationFacts, EventType, Head, LEDGER_ANCHOR, MAX_ROWS, NewEvent, PreviousAnchor,
    VerificationStatus, artifact_of_product, attestation_id,
};
use provex_core::linkage::{Linkage, LinkedEntry};
use provex_core::merkle::{self, CompactRange};
use provex_core::tile::{self, TilePath};
use provex_core::time::Timestamp;
use uuid::Uuid;

use crate::{
    DocumentFacts, Error, FindingRow, NewAnchor, NewDocument, NewLink, NewLogEntry, NewRoot, Recording,
    RootRow,
};

/// The events of one transaction, being appended to a tenant's chain.
#[derive(Debug)]
pub struct Append<'a> {
    head: Head,
    recording: &'a Recording,
    /// The time told.
    now: Timestamp,
    /// The newest time of what is backfilled, which the head's is at least in the end.
    recorded: Option<Timestamp>,
    /// A time that was given to what is recorded, and to no event yet.
    given: Option<Timestamp>,
    appended: Vec<Appended>,
}

impl<'a> Append<'a> {
    /// Begins after the head that was read under the chain's lock.
    pub fn new(head: Head, recording: &'a Recording) -> Self {
        let now = recording.now;
        Self { head, recording, now, recorded: None, given: None, appended: Vec::new() }
    }

    /// The time of what is recorded next, which the next event shares: larger than all before it.
    ///
    /// # Errors
    /// At the end of all times.
    pub fn next_time(&mut self) -> Result<Timestamp, Error> {
        match self.given {
            Some(time) => Ok(time),
            None => {
                let time = self.head.next_time(self.now).map_err(failed)?;
                self.given = Some(time);
                Ok(time)
            }
        }
    }

    /// Documents, by digest, each with what its observations come to, and after them those that begin quarantined.
    /// Their `created_at`, which is what [`Append::next_time`] said before.
    ///
    /// # Errors
    /// Where a number has no canonical form, or at the end of all times.
    pub fn documents(
        &mut self,
        documents: &[&NewDocument],
        observations: Vec<SetCommitment>,
    ) -> Result<Timestamp, Error> {
        let created_at = self.next_time()?;
        for (document, observations) in documents.iter().zip(observations) {
            let findings = findings_commitment(&document.findings)?;
            let body = document_body(&document.facts, created_at, observations, findings)?;
            self.event(EventType::DocumentRecorded, created_at, body, Vec::new())?;
        }
        for document in documents {
            if let Some(cause) = &document.quarantine {
                let body = standing_body(&document.facts.digest, created_at, "quarantined", cause)?;
                self.event(EventType::StandingChanged, created_at, body, Vec::new())?;
            }
        }
        Ok(created_at)
    }

    /// What a verification said of an envelope and these of its members: one event, recorded at the time it returns.
    ///
    /// # Errors
    /// For more than [`provex_core::ledger::MAX_ROWS`] members, or as [`Append::documents`].
    pub fn attestation(
        &mut self,
        attestation: &Attestation<'_>,
        rows: Vec<AttestationFacts>,
    ) -> Result<Timestamp, Error> {
        let mut rows = rows;
        rows.sort_by_key(|row| row.attestation_id);
        let body = attestation_body(attestation, &rows)?;
        let kind = match attestation.verification.status {
            VerificationStatus::Verified if attestation.root.is_some() => EventType::LedgerAnchored,
            VerificationStatus::Verified => EventType::AttestationVerified,
            VerificationStatus::Failed => EventType::AttestationFailed,
            VerificationStatus::Unknown => EventType::AttestationUnknown,
        };
        self.event(kind, attestation.verification.time, body, rows)
    }

    /// Entries that were verified, and what is linked to them: an event for each link that says anything new. The first
    /// entry of an anchor's envelope is said with the root that it anchors.
    ///
    /// # Errors
    /// [`Error::UnknownObservation`] or [`Error::UnknownEnvelope`], or as [`Append::attestation`].
    pub fn links<'l>(&mut self, links: &'l [NewLink<'l>], mut known: Known) -> Result<Linked<'l>, Error> {
        let mut linked = Linked::default();
        for link in links {
            let position = (link.entry.linked.log_id, link.entry.linked.log_index);
            let mut members = Vec::with_capacity(link.linkages.len());
            for linkage in link.linkages {
                let member = known.members.get(&linkage.observation);
                members.push((linkage, member.ok_or(Error::UnknownObservation(linkage.observation))?));
            }
            let digest = link.entry.linked.envelope_digest;
            let envelope = known.envelopes.get(&digest).ok_or(Error::UnknownEnvelope(digest))?;
            let kept = known.entries.get(&position);
            let verified = kept.and_then(|kept| kept.verified.clone());
            let is_new = verified.is_none();
            let (time, version) = match verified {
                Some(verified) => verified,
                None => (self.next_time()?, Some(link.entry.verifier_version.clone())),
            };
            let kept = kept.map_or_else(|| KeptEntry::of(link.entry, time), Clone::clone);
            let root =
                if envelope.is_anchor() { to_anchor(&mut known.roots, envelope.set.size)? } else { None };
            let attestation = Attestation {
                envelope,
                root,
                entry: Some(EntryFacts {
                    linked: &link.entry.linked,
                    digest: kept.digest,
                    bundle_digest: kept.bundle_digest,
                    created_at: kept.created_at,
                }),
                verification: Verification {
                    status: VerificationStatus::Verified,
                    time,
                    error: None,
                    verifier_version: version.as_deref(),
                },
            };
            let mut rows = Vec::with_capacity(members.len());
            let mut unlinked = Vec::with_capacity(members.len());
            for (linkage, member) in members {
                let row = attestation.row(&self.head.tenant_id, &member.attested);
                let before = known.rows.insert(row.attestation_id, VerificationStatus::Verified);
                if before != Some(VerificationStatus::Verified) {
                    rows.push(row);
                }
                if !member.linked && linked.observations.insert(linkage.observation) {
                    unlinked.push(linkage);
                }
            }
            if !is_new && root.is_none() && rows.is_empty() && unlinked.is_empty() {
                continue;
            }
            if let Some(root) = root {
                let reference = anchor_reference(&position.0, position.1);
                linked.anchored.push(AnchoredNow { tree_size: root.tree_size, reference });
            }
            let at = self.attestation(&attestation, rows)?;
            linked.linkages.extend(unlinked.into_iter().map(|linkage| LinkedNow { linkage, at }));
            if is_new {
                let there = known.entries.contains_key(&position);
                linked.entries.push(VerifiedNow { entry: link.entry, at: time, there });
                known.entries.insert(position, KeptEntry { verified: Some((time, version)), ..kept });
            }
        }
        Ok(linked)
    }

    /// An envelope that will never be in a log: events over its members that no verification said anything of yet,
    /// and one where it has no members.
    ///
    /// # Errors
    /// As [`Append::attestation`].
    pub fn refused(
        &mut self,
        envelope: &EnvelopeFacts,
        members: &[AttestedMember],
        rows: &BTreeMap<Uuid, VerificationStatus>,
        reason: &str,
    ) -> Result<(), Error> {
        let time = self.next_time()?;
        let verification = Verification {
            status: VerificationStatus::Failed,
            time,
            error: Some(reason),
            verifier_version: None,
        };
        let attestation = Attestation { envelope, root: None, entry: None, verification };
        let new: Vec<_> = members
            .iter()
            .map(|member| attestation.row(&self.head.tenant_id, member))
            .filter(|row| !rows.contains_key(&row.attestation_id))
            .collect();
        if members.is_empty() {
            self.attestation(&attestation, Vec::new())?;
        }
        for part in new.chunks(MAX_ROWS) {
            self.attestation(&attestation, part.to_vec())?;
        }
        Ok(())
    }

    /// Appends an event with the next time, which it returns.
    ///
    /// # Errors
    /// As [`Head::append`].
    pub fn event(
        &mut self,
        event_type: EventType,
        occurred_at: Timestamp,
        body: Vec<u8>,
        rows: Vec<AttestationFacts>,
    ) -> Result<Timestamp, Error> {
        let recorded_at = self.next_time()?;
        self.given = None;
        let new = NewEvent {
            event_type,
            policy_version: None,
            source_run_id: self.recording.run,
            actor_id: self.recording.actor.id.clone(),
            actor_type: self.recording.actor.kind,
            occurred_at,
            body,
            rows,
        };
        self.appended.push(self.head.append(recorded_at, &self.recording.seed, new).map_err(failed)?);
        Ok(recorded_at)
    }

    /// Whose chain it is.
    pub fn tenant(&self) -> &TenantId {
        &self.head.tenant_id
    }

    /// Whether there is anything to write.
    pub fn is_empty(&self) -> bool {
        self.appended.is_empty()
    }

    /// How many events there are to write, with how many rows.
    pub fn counts(&self) -> (usize, usize) {
        (self.appended.len(), self.appended.iter().map(|appended| appended.rows.len()).sum())
    }

    /// The new head, and the events in their order.
    pub fn finish(mut self) -> (Head, Vec<Appended>) {
        if let Some(recorded) = self.recorded {
            self.head.last_at = self.head.last_at.max(recorded);
        }
        (self.head, self.appended)
    }
}

/// What a store has already of what is to be linked.
#[derive(Debug, Default)]
pub struct Known {
    /// The entries' envelopes.
    pub envelopes: BTreeMap<EnvelopeDigest, EnvelopeFacts>,
    /// The entries that are kept, by log and index.
    pub entries: BTreeMap<(LogId, u64), KeptEntry>,
    /// The observations.
    pub members: BTreeMap<ObservationId, KnownMember>,
    /// The attestation rows.
    pub rows: BTreeMap<Uuid, VerificationStatus>,
    /// The signed roots that the envelopes anchor, by size.
    pub roots: BTreeMap<u64, KnownRoot>,
}

/// A signed root, and whether a log has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownRoot {
    /// What an event says of it.
    pub facts: RootFacts,
    /// Whether a log has it.
    pub anchored: bool,
}

impl From<&RootRow> for KnownRoot {
    fn from(row: &RootRow) -> Self {
        Self { facts: row.into(), anchored: row.anchor_reference.is_some() }
    }
}

/// A log entry that is kept.
#[derive(Debug, Clone)]
pub struct KeptEntry {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// The bundle made of it.
    pub bundle_digest: BundleDigest,
    /// When it was kept.
    pub created_at: Timestamp,
    /// When it was verified, and by which release; none where it was not, or not since trust was withdrawn.
    pub verified: Option<(Timestamp, Option<String>)>,
}

impl KeptEntry {
    fn of(entry: &NewLogEntry, at: Timestamp) -> Self {
        let digest = Digest::of(&entry.entry);
        Self { digest, bundle_digest: entry.bundle_digest, created_at: at, verified: None }
    }
}

/// An observation, and whether it has a linkage.
#[derive(Debug, Clone)]
pub struct KnownMember {
    /// What a row says of it.
    pub attested: AttestedMember,
    /// Whether it has a linkage.
    pub linked: bool,
}

/// What linking has to write beside its events.
#[derive(Debug, Default)]
pub struct Linked<'a> {
    /// Entries that were verified now.
    pub entries: Vec<VerifiedNow<'a>>,
    /// Linkages that are set now, each observation's once.
    pub linkages: Vec<LinkedNow<'a>>,
    /// Roots that are anchored now.
    pub anchored: Vec<AnchoredNow>,
    observations: BTreeSet<ObservationId>,
}

/// An entry that was verified now.
#[derive(Debug, Clone, Copy)]
pub struct VerifiedNow<'a> {
    /// The entry.
    pub entry: &'a NewLogEntry,
    /// When: also when it was kept, unless it was there.
    pub at: Timestamp,
    /// Whether it was kept before.
    pub there: bool,
}

/// A linkage that is set now.
#[derive(Debug, Clone, Copy)]
pub struct LinkedNow<'a> {
    /// The linkage.
    pub linkage: &'a Linkage,
    /// When.
    pub at: Timestamp,
}

/// A root that is anchored now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchoredNow {
    /// How many events it is over.
    pub tree_size: u64,
    /// Where it is logged: see [`anchor_reference`].
    pub reference: String,
}

/// The root over so many events, unless a log has it already.
fn to_anchor(roots: &mut BTreeMap<u64, KnownRoot>, size: u64) -> Result<Option<RootFacts>, Error> {
    let gone = || Error::Damaged(format!("the signed root over {size} events is gone"));
    let root = roots.get_mut(&size).ok_or_else(gone)?;
    let before = std::mem::replace(&mut root.anchored, true);
    Ok((!before).then_some(root.facts))
}

/// Where a root is logged: `rekor:<log id>:<index>`.
pub fn anchor_reference(log: &LogId, index: u64) -> String {
    format!("rekor:{}:{index}", log.to_text())
}

/// In which file a root was handed out: `airgap:<bundle digest>`.
pub fn export_reference(bundle: &BundleDigest) -> String {
    format!("airgap:{}", bundle.to_text())
}

/// What a verification was of, and what it said.
#[derive(Debug, Clone)]
pub struct Attestation<'a> {
    /// The envelope.
    pub envelope: &'a EnvelopeFacts,
    /// The root that it anchors.
    pub root: Option<RootFacts>,
    /// The log entry; none where the log refused.
    pub entry: Option<EntryFacts<'a>>,
    /// What was said.
    pub verification: Verification<'a>,
}

impl Attestation<'_> {
    /// The row of a member.
    pub fn row(&self, tenant: &TenantId, member: &AttestedMember) -> AttestationFacts {
        AttestationFacts {
            tenant_id: tenant.clone(),
            attestation_id: attestation_id(&self.envelope.digest, &member.id.to_text()),
            artifact_id: artifact_of_product(&member.product_key),
            finding_id: Some(member.vulnerability_id.clone()),
            verification_status: self.verification.status,
            verification_time: self.verification.time,
            dsse_digest: self.envelope.digest,
            rekor_entry_id: self.entry.as_ref().map(|entry| entry.linked.rekor_uuid),
            evidence_bundle_ref: self.entry.as_ref().map(|entry| entry.bundle_digest),
        }
    }
}

/// What an event says of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeFacts {
    /// Its identity.
    pub digest: EnvelopeDigest,
    /// Its predicate's type.
    pub predicate_type: String,
    /// SHA-256 of the signer's SPKI.
    pub key_fingerprint: Digest,
    /// The signed set.
    pub set: SetCommitment,
    /// When it was recorded.
    pub created_at: Timestamp,
}

impl EnvelopeFacts {
    /// Whether it anchors a root of the ledger: its set is the ledger's tree then.
    pub fn is_anchor(&self) -> bool {
        self.predicate_type == LEDGER_ANCHOR
    }
}

/// What an event says of a signed root that was anchored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootFacts {
    /// How many events it is over.
    pub tree_size: u64,
    /// The root over them.
    pub root_hash: Digest,
    /// SHA-256 of the signed note.
    pub checkpoint_digest: Digest,
    /// When it was signed.
    pub created_at: Timestamp,
}

impl From<&RootRow> for RootFacts {
    fn from(row: &RootRow) -> Self {
        Self {
            tree_size: row.tree_size,
            root_hash: row.root_hash,
            checkpoint_digest: Digest::of(&row.checkpoint),
            created_at: row.created_at,
        }
    }
}

/// What an event says of a kept log entry.
#[derive(Debug, Clone)]
pub struct EntryFacts<'a> {
    /// What a linkage says of it.
    pub linked: &'a LinkedEntry,
    /// SHA-256 of the kept entry's bytes.
    pub digest: Digest,
    /// The bundle made of it.
    pub bundle_digest: BundleDigest,
    /// When it was kept.
    pub created_at: Timestamp,
}

/// What a verification said.
#[derive(Debug, Clone, Copy)]
pub struct Verification<'a> {
    /// The outcome.
    pub status: VerificationStatus,
    /// When.
    pub time: Timestamp,
    /// Why it does not hold, in a sentence for people.
    pub error: Option<&'a str>,
    /// The release that verified.
    pub verifier_version: Option<&'a str>,
}

/// What a row says of an observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestedMember {
    /// The observation.
    pub id: ObservationId,
    /// Its vulnerability's id.
    pub vulnerability_id: String,
    /// Its product's key.
    pub product_key: String,
}

/// The observations that are to be linked, and the ids of their attestations.
pub fn attestations<'a>(links: &'a [NewLink<'a>]) -> impl Iterator<Item = (ObservationId, Uuid)> + 'a {
    links.iter().flat_map(|link| {
        let envelope = &link.entry.linked.envelope_digest;
        link.linkages.iter().map(move |linkage| {
            let id = linkage.observation;
            (id, attestation_id(envelope, &id.to_text()))
        })
    })
}

/// The commitment to a document's observations: that of the observation set.
pub fn observations_commitment(ids: impl IntoIterator<Item = ObservationId>) -> SetCommitment {
    let mut members: Vec<_> = ids.into_iter().map(|id| *id.digest()).collect();
    members.sort_unstable();
    commitment(members.iter().map(|digest| merkle::leaf_hash(digest.as_bytes())))
}

/// The commitment to a document's findings: RFC 6962 over their JCS bytes, in the order of the report.
///
/// # Errors
/// For a line beyond 2^53 - 1.
pub fn findings_commitment(findings: &[FindingRow]) -> Result<SetCommitment, Error> {
    let leaves = findings.iter().map(|finding| {
        let mut out = Vec::with_capacity(256);
        let mut object = ObjectWriter::new(&mut out);
        object.str("code", &finding.code);
        object.opt_u64("line", finding.line);
        object.str("message", &finding.message);
        object.str("pointer", &finding.pointer);
        object.finish()?;
        Ok(merkle::leaf_hash(&out))
    });
    let leaves = leaves.collect::<Result<Vec<_>, JcsError>>().map_err(failed)?;
    Ok(commitment(leaves.into_iter()))
}

fn commitment(leaves: impl Iterator<Item = Digest>) -> SetCommitment {
    let mut tree = CompactRange::new();
    leaves.for_each(|leaf| tree.append(leaf));
    SetCommitment { root: tree.root(), size: tree.size() }
}

/// The body of `document.recorded`.
///
/// # Errors
/// For a count beyond 2^53 - 1.
pub fn document_body(
    facts: &DocumentFacts,
    created_at: Timestamp,
    observations: SetCommitment,
    findings: SetCommitment,
) -> Result<Vec<u8>, Error> {
    let (scheme, issuer) = facts.issuer.as_ref().map(|(s, i)| (s.as_str(), i.as_str())).unzip();
    let mut out = Vec::with_capacity(1_024);
    let mut body = ObjectWriter::new(&mut out);
    body.str("createdAt", &created_at.to_rfc3339());
    body.object("document", |document| {
        document.str("authentication", facts.authentication.label());
        document.str("digest", &facts.digest.to_text());
        document.opt_str("documentId", facts.document_id.as_deref());
        document.str("format", facts.format.label());
        document.opt_str("issuerId", issuer);
        document.opt_str("issuerScheme", scheme);
        document.opt_str("payloadDigest", facts.payload_digest.map(|digest| digest.to_hex()).as_deref());
        document.opt_str("retires", facts.retires.as_deref());
        document.opt_str("revision", facts.revision.as_deref());
        document.str("source", &facts.source);
        document.opt_str("specVersion", facts.spec_version.as_deref());
        document.opt_str("statedAt", facts.stated_at.as_deref());
    });
    write_commitment(&mut body, "findings", findings);
    write_commitment(&mut body, "observations", observations);
    body.finish().map_err(failed)?;
    Ok(out)
}

/// The body of `standing.changed`.
///
/// # Errors
/// Never, but for what every body may.
pub fn standing_body(
    document: &DocumentDigest,
    created_at: Timestamp,
    standing: &str,
    cause: &str,
) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(256);
    let mut body = ObjectWriter::new(&mut out);
    body.str("cause", cause);
    body.str("createdAt", &created_at.to_rfc3339());
    body.str("documentDigest", &document.to_text());
    body.str("standing", standing);
    body.finish().map_err(failed)?;
    Ok(out)
}

/// The body of `attestation.…` and `ledger.anchored`; its rows stand in ascending order of their attestation ids.
///
/// # Errors
/// For a number beyond 2^53 - 1.
pub fn attestation_body(attestation: &Attestation<'_>, rows: &[AttestationFacts]) -> Result<Vec<u8>, Error> {
    let Attestation { envelope, root, entry, verification } = attestation;
    let mut out = Vec::with_capacity(2_048 + rows.len() * 512);
    let mut body = ObjectWriter::new(&mut out);
    body.opt_str("bundleDigest", entry.as_ref().map(|entry| entry.bundle_digest.to_text()).as_deref());
    match entry {
        Some(entry) => body.object("entry", |out| write_entry(out, entry)),
        None => body.null("entry"),
    }
    body.object("envelope", |out| {
        out.str("createdAt", &envelope.created_at.to_rfc3339());
        out.str("digest", &envelope.digest.to_text());
        out.str("keyFingerprint", &envelope.key_fingerprint.to_hex());
        out.str("predicateType", &envelope.predicate_type);
        write_commitment(out, "set", envelope.set);
    });
    body.array("facts", |out| rows.iter().for_each(|row| out.raw(&row.to_jcs())));
    if let Some(root) = root {
        body.object("root", |out| write_root(out, root));
    }
    body.object("verification", |out| {
        out.opt_str("error", verification.error);
        out.str("status", verification.status.label());
        out.str("time", &verification.time.to_rfc3339());
        out.opt_str("verifierVersion", verification.verifier_version);
    });
    body.finish().map_err(failed)?;
    Ok(out)
}

/// The JCS form of what an event says of a root.
///
/// # Errors
/// For a number beyond 2^53 - 1.
pub fn root_json(root: &RootFacts) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(256);
    let mut out = ObjectWriter::new(&mut bytes);
    write_root(&mut out, root);
    out.finish().map_err(failed)?;
    Ok(bytes)
}

fn write_root(out: &mut ObjectWriter<'_>, root: &RootFacts) {
    out.str("checkpointDigest", &root.checkpoint_digest.to_hex());
    out.str("createdAt", &root.created_at.to_rfc3339());
    out.str("rootHash", &root.root_hash.to_hex());
    out.u64("treeSize", root.tree_size);
}

fn write_entry(out: &mut ObjectWriter<'_>, entry: &EntryFacts<'_>) {
    out.str("createdAt", &entry.created_at.to_rfc3339());
    out.str("digest", &entry.digest.to_hex());
    write_linked(out, entry.linked);
}

/// The JCS form of what every linkage to an entry says: the event's `entry` without what the entry's own row has.
///
/// # Errors
/// For a number beyond 2^53 - 1.
pub fn linkage_json(linked: &LinkedEntry) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(1_024);
    let mut out = ObjectWriter::new(&mut bytes);
    write_linked(&mut out, linked);
    out.finish().map_err(failed)?;
    Ok(bytes)
}

fn write_linked(out: &mut ObjectWriter<'_>, linked: &LinkedEntry) {
    out.str("rekorEntryBodyHash", &linked.entry_body_hash.to_hex());
    out.str("rekorEntryKind", &linked.entry_kind);
    out.str("rekorEntryVersion", &linked.entry_version);
    out.object("rekorInclusionProof", |out| {
        out.array("hashes", |out| linked.inclusion_path.iter().for_each(|hash| out.str(&hash.to_hex())));
        out.u64("logIndex", linked.tree_index);
    });
    out.opt_str("rekorIntegratedTime", linked.integrated_time.map(Timestamp::to_rfc3339).as_deref());
    out.str("rekorLogId", &linked.log_id.to_text());
    out.u64("rekorLogIndex", linked.log_index);
    // Nothing says it of an entry that nothing is linked to, and that an earlier release kept.
    out.opt_str("rekorLogUrl", Some(linked.log_url.as_str()).filter(|url| !url.is_empty()));
    out.opt_str("rekorTimestampTime", linked.timestamp_time.map(Timestamp::to_rfc3339).as_deref());
    out.str("rekorTreeRoot", &linked.tree_root.to_hex());
    out.u64("rekorTreeSize", linked.tree_size);
    out.str("rekorUuid", &linked.rekor_uuid.to_hex());
}

fn write_commitment(out: &mut ObjectWriter<'_>, key: &'static str, set: SetCommitment) {
    out.object(key, |out| {
        out.str("root", &set.root.to_hex());
        out.u64("size", set.size);
    });
}

/// Whether a root is to be kept, given the smallest one that is over as many events or more: `false` if it is that one.
///
/// # Errors
/// [`Error::RootNotNewer`] if it would not be the newest.
pub fn is_new_root(tenant: &TenantId, root: &NewRoot, there: Option<&RootRow>) -> Result<bool, Error> {
    match there {
        None => Ok(true),
        Some(there) if there.tree_size == root.tree_size && there.checkpoint == root.checkpoint => Ok(false),
        Some(there) => Err(Error::RootNotNewer {
            tenant: tenant.clone(),
            tree_size: root.tree_size,
            newest: there.tree_size,
        }),
    }
}

/// Whether an anchor is to be recorded, given the newest one: `false` if it is that one.
///
/// # Errors
/// [`Error::AnchorNotNext`] if it does not follow that one.
pub fn is_new_anchor(
    tenant: &TenantId,
    anchor: &NewAnchor<'_>,
    newest: Option<PreviousAnchor>,
) -> Result<bool, Error> {
    if newest.is_some_and(|newest| newest.envelope == anchor.envelope.digest) {
        return Ok(false);
    }
    if newest != anchor.previous {
        let tree_size = anchor.envelope.set.size;
        return Err(Error::AnchorNotNext { tenant: tenant.clone(), tree_size });
    }
    Ok(true)
}

/// The tiles that are full once a chain grew from one size to another, and were not before, level by level.
pub fn filled_tiles(old_size: u64, new_size: u64) -> impl Iterator<Item = TilePath> {
    tile::tiles_of_new_leaves(old_size, new_size).filter(|path| path.width == tile::FULL_WIDTH)
}

fn failed(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Database { operation: "appending to the ledger", source: Box::new(source) }
}
