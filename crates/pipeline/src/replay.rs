//! Replay: the attestation rows made again from the events alone, and compared with those that are there.

use std::collections::{HashMap, VecDeque};

use provex_core::ledger::{AttestationFacts, AttestationFilter, Head, cycle_hash, facts_of_body, rows_root};
use provex_store::{AttestationPosition, AttestationRow, EventRow};
use uuid::Uuid;

use crate::{Error, Pipeline};

/// Events that are in memory at a time, and rows.
const EVENTS: usize = 200;
const ROWS: usize = 1_000;

/// What a replay came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// Events that were replayed.
    pub events: u64,
    /// Rows that they leave.
    pub rows: u64,
    /// The head that they come to, by the rules of the version that was asked for.
    pub head: Head,
    /// The first row that is another in the table: which, and in which column.
    pub differs: Option<String>,
}

/// The rows that events leave, by the rules of a projection version.
#[derive(Debug)]
pub struct Fold<'a> {
    head: Head,
    projection_version: &'a str,
}

impl<'a> Fold<'a> {
    /// Before the first event of a chain.
    pub fn new(head: Head, projection_version: &'a str) -> Self {
        Self { head, projection_version }
    }

    /// The rows of the next event, ascending by attestation id.
    ///
    /// # Errors
    /// [`Error::Stored`] for a body that gives none.
    pub fn rows(&mut self, row: &EventRow) -> Result<Vec<AttestationRow>, Error> {
        let facts = facts_of_body(&row.body).map_err(|error| Error::Stored {
            what: "event",
            id: row.event.sequence_no.to_string(),
            reason: error.to_string(),
        })?;
        let leaves: Vec<_> = facts.iter().map(AttestationFacts::to_jcs).collect();
        let root = rows_root(leaves.iter().map(Vec::as_slice));
        let head = &mut self.head;
        head.cycle_hash = cycle_hash(&head.cycle_hash, &row.event_hash, self.projection_version, &root);
        head.event_hash = row.event_hash;
        head.last_at = row.event.recorded_at;
        head.frontier.append(row.leaf_hash);
        let root_hash = head.frontier.root();
        let rows = facts.into_iter().map(|facts| AttestationRow {
            facts,
            ledger_event_id: row.event.event_id,
            recorded_at: row.event.recorded_at,
            merkle_leaf_hash: row.leaf_hash,
            root_hash,
            cycle_hash: head.cycle_hash,
            projection_version: self.projection_version.to_owned(),
        });
        Ok(rows.collect())
    }
}

impl Pipeline {
    /// Makes the tenant's attestation rows again and compares them, column by column, with those in the table. Both come
    /// in the order of their events, so that neither has to be in memory; what is kept is which event is the last of
    /// each attestation, in some dozen bytes.
    ///
    /// # Errors
    /// [`Error`] where something cannot be read.
    pub async fn replay(&self, projection_version: &str) -> Result<Replay, Error> {
        let head = self.store.ledger_head(&self.tenant).await?;
        let last = self.last_events(&head).await?;
        let empty = Head::new(self.tenant.clone(), head.chain_id).map_err(|_| Error::Clock)?;
        let mut fold = Fold::new(empty, projection_version);
        let mut table = Table { pipeline: self, page: VecDeque::new(), after: None };
        let (mut rows, mut differs) = (0, None);
        'all: while fold.head.sequence_no() < head.sequence_no() {
            for event in self.events_after(fold.head.sequence_no()).await? {
                let number = event.event.sequence_no;
                for row in fold.rows(&event)? {
                    if last.get(&row.facts.attestation_id) != Some(&number) {
                        continue;
                    }
                    rows += 1;
                    differs = compare(&row, table.next().await?.as_ref());
                    if differs.is_some() {
                        break 'all;
                    }
                }
            }
        }
        if let (None, Some(more)) = (&differs, table.next().await?) {
            differs = Some(format!("{}: no event wrote the row", named(&more)));
        }
        Ok(Replay { events: fold.head.sequence_no(), rows, head: fold.head, differs })
    }

    /// The newest event of each attestation.
    async fn last_events(&self, head: &Head) -> Result<HashMap<Uuid, u64>, Error> {
        let mut last = HashMap::new();
        let mut after = 0;
        while after < head.sequence_no() {
            for event in self.events_after(after).await? {
                after = event.event.sequence_no;
                let facts = facts_of_body(&event.body).unwrap_or_default();
                last.extend(facts.into_iter().map(|facts| (facts.attestation_id, after)));
            }
        }
        Ok(last)
    }

    /// The next events; there have to be some.
    async fn events_after(&self, after: u64) -> Result<Vec<EventRow>, Error> {
        let events = self.store.ledger_events(&self.tenant, after, EVENTS).await?;
        if events.first().is_none_or(|row| row.event.sequence_no != after + 1) {
            let reason = "it is missing".to_owned();
            return Err(Error::Stored { what: "event", id: (after + 1).to_string(), reason });
        }
        Ok(events)
    }
}

/// The rows of the table, in their order.
struct Table<'a> {
    pipeline: &'a Pipeline,
    page: VecDeque<AttestationRow>,
    after: Option<AttestationPosition>,
}

impl Table<'_> {
    async fn next(&mut self) -> Result<Option<AttestationRow>, Error> {
        if self.page.is_empty() {
            let (store, tenant) = (&self.pipeline.store, &self.pipeline.tenant);
            let page = store.attestations(tenant, &AttestationFilter::default(), self.after, ROWS).await?;
            self.after = page.rows.last().map(AttestationRow::position).or(self.after);
            self.page = page.rows.into();
        }
        Ok(self.page.pop_front())
    }
}

fn named(row: &AttestationRow) -> String {
    format!("findings.ledger_attestations, {}", row.facts.attestation_id)
}

/// Where a row is another than its event left it.
fn compare(made: &AttestationRow, found: Option<&AttestationRow>) -> Option<String> {
    let Some(found) = found else { return Some(format!("{}: the row is gone", named(made))) };
    let (m, f) = (&made.facts, &found.facts);
    let columns = [
        ("attestation_id or recorded_at", made.position() == found.position()),
        ("tenant_id", m.tenant_id == f.tenant_id),
        ("artifact_id", m.artifact_id == f.artifact_id),
        ("finding_id", m.finding_id == f.finding_id),
        ("verification_status", m.verification_status == f.verification_status),
        ("verification_time", m.verification_time == f.verification_time),
        ("dsse_digest", m.dsse_digest == f.dsse_digest),
        ("rekor_entry_id", m.rekor_entry_id == f.rekor_entry_id),
        ("evidence_bundle_ref", m.evidence_bundle_ref == f.evidence_bundle_ref),
        ("ledger_event_id", made.ledger_event_id == found.ledger_event_id),
        ("merkle_leaf_hash", made.merkle_leaf_hash == found.merkle_leaf_hash),
        ("root_hash", made.root_hash == found.root_hash),
        ("cycle_hash", made.cycle_hash == found.cycle_hash),
        ("projection_version", made.projection_version == found.projection_version),
    ];
    let (column, _) = columns.into_iter().find(|(_, same)| !same)?;
    Some(format!("{}: {column} is not what its event left", named(made)))
}
