//! Events of what was recorded before there were any: in the order in which it happened, with its own times.
//!
//! A backend lists what there is ([`Item`]s, which sort in that order), goes on behind the item of the last event that
//! is there, and appends with [`Append::backfill`]. Nothing else is recorded until it is done.

use std::collections::BTreeMap;

use provex_core::digest::Digest;
use provex_core::entry::LogEntry;
use provex_core::ids::{BundleDigest, DocumentDigest, EnvelopeDigest, LogId, ObservationId};
use provex_core::ledger::{ActorType, EventType, Head, MAX_ROWS, VerificationStatus};
use provex_core::linkage::LinkedEntry;
use provex_core::time::Timestamp;
use uuid::Uuid;

use super::{
    Append, Attestation, EntryFacts, EnvelopeFacts, KnownMember, Verification, document_body,
    findings_commitment, observations_commitment, standing_body,
};
use crate::{Actor, DocumentRow, Error, EventRow, Recording};

/// Something that was recorded, in the order of its events: by time, then documents before standings before
/// entries, then by digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// When it was recorded; an entry: when it was verified.
    pub at: Timestamp,
    /// What it is.
    pub kind: ItemKind,
}

/// What was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemKind {
    /// A document.
    Document(DocumentDigest),
    /// A document's standing.
    Standing(DocumentDigest),
    /// A verified log entry of an envelope.
    Entry(EnvelopeDigest, LogId, u64),
}

/// Where a backfill stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The index of the next item.
    pub item: usize,
    /// How many of its members are done.
    pub members: u64,
    /// Whether it has an event already: one that was interrupted may have.
    pub has_event: bool,
}

impl Cursor {
    /// Behind the newest event, which is of one of these items.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is of none.
    pub fn behind(last: Option<&EventRow>, items: &[Item]) -> Result<Self, Error> {
        let Some(last) = last else { return Ok(Self { item: 0, members: 0, has_event: false }) };
        let found = item_of(last).and_then(|item| items.binary_search(&item).ok());
        let item = found.ok_or_else(|| {
            Error::Damaged(format!(
                "event {} of the ledger is of nothing that is there",
                last.event.sequence_no
            ))
        })?;
        Ok(Self { item, members: 0, has_event: true })
    }

    /// At the item behind.
    pub fn next(self) -> Self {
        Self { item: self.item + 1, members: 0, has_event: false }
    }
}

/// What a backfilled event is of.
fn item_of(row: &EventRow) -> Option<Item> {
    let body: serde_json::Value = serde_json::from_slice(&row.body).ok()?;
    let text = |pointer| body.pointer(pointer)?.as_str();
    let kind = match row.event.event_type {
        EventType::DocumentRecorded => ItemKind::Document(text("/document/digest")?.parse().ok()?),
        EventType::StandingChanged => ItemKind::Standing(text("/documentDigest")?.parse().ok()?),
        _ => ItemKind::Entry(
            text("/envelope/digest")?.parse().ok()?,
            text("/entry/rekorLogId")?.parse().ok()?,
            body.pointer("/entry/rekorLogIndex")?.as_u64()?,
        ),
    };
    Some(Item { at: row.event.occurred_at, kind })
}

/// Who backfills a chain. The events' ids follow from the chain's: whoever goes on gives the same.
pub fn recording(chain: Uuid) -> Recording {
    let seed = *Digest::of_parts(&[b"provex backfill", chain.as_bytes()]).as_bytes();
    let actor = Actor { id: "migrate".to_owned(), kind: ActorType::System };
    Recording { now: Timestamp::EPOCH, actor, run: None, seed }
}

impl<'a> Append<'a> {
    /// Begins to backfill behind the newest event, with times of their own, and not above the time of what was recorded.
    pub fn backfill(mut head: Head, recording: &'a Recording, last: Option<&EventRow>) -> Self {
        let recorded = head.last_at;
        head.last_at = last.map_or(Timestamp::EPOCH, |last| last.event.recorded_at);
        Self { recorded: Some(recorded), ..Self::new(head, recording) }
    }

    /// A document, as it was recorded.
    ///
    /// # Errors
    /// As [`Append::documents`].
    pub fn backfill_document(
        &mut self,
        document: &DocumentRow,
        observations: Vec<ObservationId>,
    ) -> Result<(), Error> {
        let at = document.created_at;
        let observations = observations_commitment(observations);
        let findings = findings_commitment(&document.findings)?;
        let body = document_body(&document.facts, at, observations, findings)?;
        self.told(at);
        self.event(EventType::DocumentRecorded, at, body, Vec::new()).map(|_| ())
    }

    /// A standing, as it was recorded.
    ///
    /// # Errors
    /// As [`Append::documents`].
    pub fn backfill_standing(
        &mut self,
        document: &DocumentDigest,
        at: Timestamp,
        standing: &str,
        cause: &str,
    ) -> Result<(), Error> {
        let body = standing_body(document, at, standing, cause)?;
        self.told(at);
        self.event(EventType::StandingChanged, at, body, Vec::new()).map(|_| ())
    }

    /// Tells the time of what is backfilled next.
    pub fn told(&mut self, at: Timestamp) {
        self.now = at;
    }
}

/// What a linkage to a kept entry says, for one that nothing is linked to.
///
/// # Errors
/// In words, why its bytes cannot be read.
pub fn linked_entry(envelope: EnvelopeDigest, entry: &[u8]) -> Result<LinkedEntry, String> {
    let entry = LogEntry::parse(entry).map_err(|error| error.to_string())?;
    let body = &entry.canonicalized_body;
    Ok(LinkedEntry {
        rekor_uuid: provex_core::merkle::leaf_hash(body),
        log_id: entry.log_id,
        log_index: entry.log_index,
        log_url: String::new(),
        tree_size: entry.inclusion.tree_size,
        tree_root: entry.inclusion.root,
        integrated_time: None,
        timestamp_time: None,
        entry_body_hash: Digest::of(body),
        entry_kind: entry.kind,
        entry_version: entry.version,
        tree_index: entry.inclusion.log_index,
        inclusion_path: entry.inclusion.hashes,
        envelope_digest: envelope,
    })
}

/// A transaction appends about so many events, or rows.
const EVENTS: usize = 256;

/// What a backend reads for a backfill, in the transaction that writes its events.
#[allow(async_fn_in_trait, reason = "each backend calls it with its own type")]
pub trait Recorded {
    /// What reading can come to.
    type Failure: From<Error>;

    /// A document with its observations.
    async fn document(
        &mut self,
        digest: &DocumentDigest,
    ) -> Result<(DocumentRow, Vec<ObservationId>), Self::Failure>;

    /// A standing since a time, and its cause.
    async fn standing(
        &mut self,
        document: &DocumentDigest,
        since: Timestamp,
    ) -> Result<(String, String), Self::Failure>;

    /// A kept log entry.
    async fn entry(
        &mut self,
        envelope: &EnvelopeDigest,
        log: LogId,
        index: u64,
    ) -> Result<RecordedEntry, Self::Failure>;

    /// Up to [`MAX_ROWS`] of an envelope's observations from a set index on, and whether each is linked.
    async fn members(
        &mut self,
        envelope: &EnvelopeDigest,
        from: u64,
    ) -> Result<Vec<KnownMember>, Self::Failure>;

    /// What there is of these attestations.
    async fn rows(&mut self, ids: &[Uuid]) -> Result<BTreeMap<Uuid, VerificationStatus>, Self::Failure>;
}

/// A log entry as it is kept with its verification.
#[derive(Debug)]
pub struct RecordedEntry {
    /// Its envelope.
    pub envelope: EnvelopeFacts,
    /// What linkages to it say.
    pub linked: LinkedEntry,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// The bundle made of it.
    pub bundle_digest: BundleDigest,
    /// When it was kept.
    pub created_at: Timestamp,
    /// What verification said.
    pub status: VerificationStatus,
    /// Why it does not hold.
    pub error: Option<String>,
    /// The release that verified.
    pub verifier_version: Option<String>,
}

/// Appends the next events of a backfill, as many as one transaction writes: where it stands then.
///
/// # Errors
/// The backend's, and those of [`Append`].
pub async fn advance<R: Recorded>(
    recorded: &mut R,
    append: &mut Append<'_>,
    items: &[Item],
    mut cursor: Cursor,
) -> Result<Cursor, R::Failure> {
    // What this transaction says is not written yet.
    let mut said = BTreeMap::new();
    while let Some(item) = items.get(cursor.item) {
        let (events, rows) = append.counts();
        if events >= EVENTS || rows >= MAX_ROWS {
            break;
        }
        match item.kind {
            ItemKind::Document(_) | ItemKind::Standing(_) if cursor.has_event => cursor = cursor.next(),
            ItemKind::Document(digest) => {
                let (document, observations) = recorded.document(&digest).await?;
                append.backfill_document(&document, observations)?;
                cursor = cursor.next();
            }
            ItemKind::Standing(document) => {
                let (standing, cause) = recorded.standing(&document, item.at).await?;
                append.backfill_standing(&document, item.at, &standing, &cause)?;
                cursor = cursor.next();
            }
            ItemKind::Entry(envelope, log, index) => {
                let entry = recorded.entry(&envelope, log, index).await?;
                let members = recorded.members(&envelope, cursor.members).await?;
                let attestation = entry.attestation(item.at);
                let linked = members.iter().filter(|member| member.linked);
                let mut rows: Vec<_> =
                    linked.map(|member| attestation.row(append.tenant(), &member.attested)).collect();
                let ids: Vec<_> = rows.iter().map(|row| row.attestation_id).collect();
                let there = recorded.rows(&ids).await?;
                rows.retain(|row| {
                    let id = row.attestation_id;
                    !there.contains_key(&id) && said.insert(id, ()).is_none()
                });
                let is_last = members.len() < MAX_ROWS;
                if !rows.is_empty() || (is_last && !cursor.has_event) {
                    append.told(item.at);
                    append.attestation(&attestation, rows)?;
                    cursor.has_event = true;
                }
                cursor.members += members.len() as u64;
                if is_last {
                    cursor = cursor.next();
                }
            }
        }
    }
    Ok(cursor)
}

impl RecordedEntry {
    fn attestation(&self, time: Timestamp) -> Attestation<'_> {
        Attestation {
            envelope: &self.envelope,
            root: None,
            entry: Some(EntryFacts {
                linked: &self.linked,
                digest: self.digest,
                bundle_digest: self.bundle_digest,
                created_at: self.created_at,
            }),
            verification: Verification {
                status: self.status,
                time,
                error: self.error.as_deref(),
                verifier_version: self.verifier_version.as_deref(),
            },
        }
    }
}
