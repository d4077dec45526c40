//! Replay: the attestation rows made again from the events alone, and compared with those that are there.

use std::collections::BTreeSet;

use provex_core::ledger::{AttestationFacts, AttestationFilter, Head, cycle_hash, facts_of_body, rows_root};
use provex_store::{AttestationRow, EventRow};
use uuid::Uuid;

use crate::ahead::ReadAhead;
use crate::{Error, Pipeline};

/// Rows that are read at a time.
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
    pub(crate) head: Head,
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
        Ok(self.rows_of(row, facts, &root))
    }

    /// The rows of the next event, whose facts have this root.
    pub(crate) fn rows_of(
        &mut self,
        row: &EventRow,
        facts: Vec<AttestationFacts>,
        root: &provex_core::digest::Digest,
    ) -> Vec<AttestationRow> {
        let head = &mut self.head;
        head.cycle_hash = cycle_hash(&head.cycle_hash, &row.event_hash, self.projection_version, root);
        head.event_hash = row.event_hash;
        head.last_at = row.event.recorded_at;
        head.frontier.append(row.leaf_hash);
        if facts.is_empty() {
            return Vec::new();
        }
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
        rows.collect()
    }
}

impl Pipeline {
    /// Makes the tenant's attestation rows again and compares them, column by column, with those in the table. Both come
    /// in the order of their events, so that neither has to be in memory.
    ///
    /// # Errors
    /// [`Error`] where something cannot be read.
    pub async fn replay(&self, projection_version: &str) -> Result<Replay, Error> {
        let head = self.store.ledger_head(&self.tenant).await?;
        let empty = Head::new(self.tenant.clone(), head.chain_id).map_err(|_| Error::Clock)?;
        let mut fold = Fold::new(empty, projection_version);
        let (mut events, mut comparison) = (self.events(&head), Comparison::new(self));
        let mut differs = None;
        'all: while fold.head.sequence_no() < head.sequence_no() {
            let number = fold.head.sequence_no() + 1;
            let event = events.next().await?.filter(|event| event.event.sequence_no == number);
            let event = event.ok_or_else(|| Error::Stored {
                what: "event",
                id: number.to_string(),
                reason: "it is missing".to_owned(),
            })?;
            for row in fold.rows(&event)? {
                differs = comparison.differs(&row).await?;
                if differs.is_some() {
                    break 'all;
                }
            }
        }
        if differs.is_none() {
            differs = comparison.rest().await?;
        }
        Ok(Replay { events: fold.head.sequence_no(), rows: comparison.rows, head: fold.head, differs })
    }

    /// The events up to a head, in their order.
    pub(crate) fn events(&self, head: &Head) -> ReadAhead<EventRow> {
        let (pipeline, last) = (self.clone(), head.sequence_no());
        ReadAhead::new(EventCursor::default(), move |cursor| {
            let pipeline = pipeline.clone();
            async move {
                if cursor.after >= last {
                    return Ok(None);
                }
                let (store, tenant) = (&pipeline.store, &pipeline.tenant);
                let page = store.ledger_events(tenant, cursor.after, cursor.limit()).await?;
                let next = EventCursor::behind(&page);
                Ok(next.map(|next| (page, next)))
            }
        })
    }
}

/// Where to go on reading events, and how many rows each had lately.
#[derive(Default, Clone, Copy)]
struct EventCursor {
    after: u64,
    rows_each: u64,
}

impl EventCursor {
    /// Behind a page; `None` if it is empty.
    fn behind(page: &[EventRow]) -> Option<Self> {
        let rows: u64 = page.iter().map(|row| row.event.row_count).sum();
        let after = page.last()?.event.sequence_no;
        Some(Self { after, rows_each: rows / page.len() as u64 })
    }

    /// How many events to read at a time: an event with a thousand rows has a body of half a megabyte.
    fn limit(self) -> usize {
        const EVENTS: u64 = 500;
        const FACTS: u64 = 20_000;
        (FACTS / self.rows_each.max(1)).clamp(10, EVENTS) as usize
    }
}

/// The rows that events left, held against the table while both come in their order.
pub(crate) struct Comparison {
    table: ReadAhead<AttestationRow>,
    /// Attestations that are not where an event left them: a later event has to have taken their rows over.
    moved: BTreeSet<Uuid>,
    /// How many rows are as their events left them.
    pub(crate) rows: u64,
}

impl Comparison {
    pub(crate) fn new(pipeline: &Pipeline) -> Self {
        let pipeline = pipeline.clone();
        let table = ReadAhead::new(None, move |after| {
            let pipeline = pipeline.clone();
            async move {
                let (store, tenant) = (&pipeline.store, &pipeline.tenant);
                let page = store.attestations(tenant, &AttestationFilter::default(), after, ROWS).await?;
                let last = page.rows.last().map(AttestationRow::position);
                Ok(last.map(|last| (page.rows, Some(last))))
            }
        });
        Self { table, moved: BTreeSet::new(), rows: 0 }
    }

    /// Where the table differs from the row that the next event left.
    pub(crate) async fn differs(&mut self, made: &AttestationRow) -> Result<Option<String>, Error> {
        let Some(found) = self.table.peek().await? else {
            return Ok(Some(format!("{}: the row is gone", named(&made.facts.attestation_id))));
        };
        // Rows come in the order of their positions on both sides.
        match found.position().cmp(&made.position()) {
            std::cmp::Ordering::Less => Ok(Some(format!(
                "{}: attestation_id or recorded_at is not what its event left",
                named(&found.facts.attestation_id)
            ))),
            std::cmp::Ordering::Greater => {
                self.moved.insert(made.facts.attestation_id);
                Ok(None)
            }
            std::cmp::Ordering::Equal => {
                let differs = compare(made, found);
                self.moved.remove(&made.facts.attestation_id);
                self.rows += 1;
                self.table.next().await?;
                Ok(differs)
            }
        }
    }

    /// What is wrong behind the last event.
    pub(crate) async fn rest(&mut self) -> Result<Option<String>, Error> {
        if let Some(more) = self.table.peek().await? {
            return Ok(Some(format!("{}: no event wrote the row", named(&more.facts.attestation_id))));
        }
        Ok(self.moved.first().map(|id| format!("{}: the row is gone", named(id))))
    }
}

fn named(attestation: &Uuid) -> String {
    format!("findings.ledger_attestations, {attestation}")
}

/// Where a row is another than its event left it.
fn compare(made: &AttestationRow, found: &AttestationRow) -> Option<String> {
    let (m, f) = (&made.facts, &found.facts);
    let columns = [
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
    Some(format!("{}: {column} is not what its event left", named(&m.attestation_id)))
}
