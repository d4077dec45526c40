//! A chain's head: all that appending needs, and all that it changes.

use uuid::Uuid;

use super::{
    ActorType, AttestationFacts, Event, EventType, MAX_ROWS, NO_HASH, PROJECTION_VERSION, rows_root,
};
use crate::digest::Digest;
use crate::ids::TenantId;
use crate::jcs::{JcsError, ObjectWriter};
use crate::merkle::CompactRange;
use crate::time::{TimeError, Timestamp};

/// `schema` of the preimage of a cycle hash.
pub const CYCLE_SCHEMA: &str = "provex.cycle/v1";

/// The head of a tenant's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The chain's random UUID.
    pub chain_id: Uuid,
    /// The frontier of its tree; its size is the newest event's number.
    pub frontier: CompactRange,
    /// The newest event's hash; 64 zeros before the first.
    pub event_hash: Digest,
    /// The newest cycle's hash; 64 zeros before the first.
    pub cycle_hash: Digest,
    /// The newest time given to anything recorded.
    pub last_at: Timestamp,
}

/// What is to be appended.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// What it records.
    pub event_type: EventType,
    /// The policy that applied, where one did.
    pub policy_version: Option<String>,
    /// The run of provex that caused it.
    pub source_run_id: Option<Uuid>,
    /// Who caused it.
    pub actor_id: String,
    /// What kind of actor that is.
    pub actor_type: ActorType,
    /// When what it records happened.
    pub occurred_at: Timestamp,
    /// The JCS bytes of its body.
    pub body: Vec<u8>,
    /// The rows that it writes, in any order, without doubles.
    pub rows: Vec<AttestationFacts>,
}

/// What was appended.
#[derive(Debug, Clone)]
pub struct Appended {
    /// The event.
    pub event: Event,
    /// The JCS bytes of its body.
    pub body: Vec<u8>,
    /// `event_hash`.
    pub event_hash: Digest,
    /// `merkle_leaf_hash`.
    pub leaf_hash: Digest,
    /// The root of the chain up to and including the event.
    pub root_hash: Digest,
    /// The cycle's hash.
    pub cycle_hash: Digest,
    /// Its rows, ascending by attestation id.
    pub rows: Vec<AttestationFacts>,
}

/// Why an event cannot be appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// More rows than one event writes.
    #[error("{found} attestation rows in one event; at most {MAX_ROWS}")]
    TooManyRows {
        /// How many there were.
        found: usize,
    },
    /// No later time than the last one can be written.
    #[error("the chain's time has come to its end")]
    Time(#[from] TimeError),
    /// A number that has no canonical form.
    #[error("the event has no canonical form")]
    Jcs(#[from] JcsError),
}

impl Head {
    /// The head of a chain without events.
    pub fn new(tenant_id: TenantId, chain_id: Uuid) -> Result<Self, TimeError> {
        let last_at = Timestamp::from_unix_micros(0)?;
        let (event_hash, cycle_hash) = (NO_HASH, NO_HASH);
        Ok(Self { tenant_id, chain_id, frontier: CompactRange::new(), event_hash, cycle_hash, last_at })
    }

    /// The newest event's number; 0 before the first.
    pub const fn sequence_no(&self) -> u64 {
        self.frontier.size()
    }

    /// Gives what is recorded next its time: the larger of `now` and the last time + 1 µs.
    ///
    /// # Errors
    /// [`TimeError`] at the end of all times.
    pub fn next_time(&mut self, now: Timestamp) -> Result<Timestamp, TimeError> {
        self.last_at = now.max(self.last_at.plus_micros(1)?);
        Ok(self.last_at)
    }

    /// Appends an event, recorded at a time that [`Head::next_time`] gave. `seed` is fresh randomness of the
    /// caller's; one seed serves any number of events.
    ///
    /// # Errors
    /// [`AppendError`]; the head is then as it was.
    pub fn append(
        &mut self,
        recorded_at: Timestamp,
        seed: &[u8; 32],
        mut new: NewEvent,
    ) -> Result<Appended, AppendError> {
        if new.rows.len() > MAX_ROWS {
            return Err(AppendError::TooManyRows { found: new.rows.len() });
        }
        new.rows.sort_by_key(|row| row.attestation_id);
        let facts: Vec<_> = new.rows.iter().map(AttestationFacts::to_jcs).collect();
        let sequence_no = self.sequence_no() + 1;
        let event = Event {
            tenant_id: self.tenant_id.clone(),
            chain_id: self.chain_id,
            sequence_no,
            event_id: event_id(recorded_at, seed, sequence_no),
            event_type: new.event_type,
            policy_version: new.policy_version,
            finding_id: common(new.rows.iter().map(|row| row.finding_id.as_deref())),
            artifact_id: common(new.rows.iter().map(|row| Some(row.artifact_id.as_str()))),
            source_run_id: new.source_run_id,
            actor_id: new.actor_id,
            actor_type: new.actor_type,
            occurred_at: new.occurred_at,
            recorded_at,
            previous_hash: self.event_hash,
            body_hash: Digest::of(&new.body),
            row_count: new.rows.len() as u64,
            rows_root: rows_root(facts.iter().map(Vec::as_slice)),
        };
        let (event_hash, leaf_hash) = event.hashes()?;
        self.frontier.append(leaf_hash);
        self.cycle_hash = cycle_hash(&self.cycle_hash, &event_hash, PROJECTION_VERSION, &event.rows_root);
        self.event_hash = event_hash;
        let (root_hash, cycle_hash) = (self.frontier.root(), self.cycle_hash);
        Ok(Appended { event, body: new.body, event_hash, leaf_hash, root_hash, cycle_hash, rows: new.rows })
    }
}

/// What all of these are, if they are all the same.
fn common<'a>(mut values: impl Iterator<Item = Option<&'a str>>) -> Option<String> {
    let first = values.next()??;
    values.all(|value| value == Some(first)).then(|| first.to_owned())
}

/// The hash over an event and all cycles before it: what a replay of the projection must come to.
pub fn cycle_hash(previous: &Digest, event_hash: &Digest, projection: &str, rows_root: &Digest) -> Digest {
    let mut out = Vec::with_capacity(512);
    let mut cycle = ObjectWriter::new(&mut out);
    cycle.str("eventHash", &event_hash.to_hex());
    cycle.str("previousCycleHash", &previous.to_hex());
    cycle.str("projectionVersion", projection);
    cycle.str("rowsRoot", &rows_root.to_hex());
    cycle.str("schema", CYCLE_SCHEMA);
    cycle.finish().expect("strings always have a canonical form");
    Digest::of(&out)
}

/// An event's UUIDv7 (RFC 9562 section 5.7): its time in milliseconds, and what a seed gives for its number.
pub fn event_id(recorded_at: Timestamp, seed: &[u8; 32], sequence_no: u64) -> Uuid {
    let random = Digest::of_parts(&[seed, &sequence_no.to_be_bytes()]);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&random.as_bytes()[..16]);
    let millis = recorded_at.as_unix_micros().div_euclid(1_000).to_be_bytes();
    bytes[..6].copy_from_slice(&millis[2..]);
    bytes[6] = bytes[6] & 0x0f | 0x70;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Uuid::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::EnvelopeDigest;
    use crate::jcs;
    use crate::ledger::{VerificationStatus, attestation_id};
    use crate::merkle;

    fn head() -> Head {
        Head::new(TenantId::default_tenant(), Uuid::from_u128(7)).unwrap()
    }

    fn facts(number: u8, finding: &str) -> AttestationFacts {
        let dsse_digest = EnvelopeDigest::new(Digest::of(&[number]));
        AttestationFacts {
            tenant_id: TenantId::default_tenant(),
            attestation_id: attestation_id(&dsse_digest, "vex:obs:sha256:00"),
            artifact_id: "sha256:00".to_owned(),
            finding_id: Some(finding.to_owned()),
            verification_status: VerificationStatus::Verified,
            verification_time: Timestamp::from_unix_micros(5).unwrap(),
            dsse_digest,
            rekor_entry_id: None,
            evidence_bundle_ref: None,
        }
    }

    fn new(rows: Vec<AttestationFacts>) -> NewEvent {
        NewEvent {
            event_type: EventType::AttestationVerified,
            policy_version: None,
            source_run_id: None,
            actor_id: "cli".to_owned(),
            actor_type: ActorType::Operator,
            occurred_at: Timestamp::from_unix_micros(5).unwrap(),
            body: b"{}".to_vec(),
            rows,
        }
    }

    #[test]
    fn each_event_commits_to_all_before_it() {
        let mut head = head();
        let mut leaves = Vec::new();
        let mut before = (NO_HASH, NO_HASH);
        for number in 1..=300 {
            let time = head.next_time(Timestamp::from_unix_micros(number).unwrap()).unwrap();
            let appended =
                head.append(time, &[1; 32], new(vec![facts(number as u8, "CVE-2026-0001")])).unwrap();
            assert_eq!(appended.event.sequence_no, number as u64);
            assert_eq!(appended.event.previous_hash, before.0);
            let bytes = appended.event.to_jcs().unwrap();
            let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(jcs::canonicalize(&value).unwrap(), bytes);
            assert_eq!(value.as_object().unwrap().len(), 18);
            assert_eq!(appended.event_hash, Digest::of(&bytes));
            leaves.push(merkle::leaf_hash(&bytes));
            assert_eq!(appended.root_hash, merkle::Tree::new(leaves.clone()).root());
            let cycle =
                cycle_hash(&before.1, &appended.event_hash, PROJECTION_VERSION, &appended.event.rows_root);
            assert_eq!(appended.cycle_hash, cycle);
            assert_eq!(appended.event.event_id.get_version_num(), 7);
            before = (appended.event_hash, cycle);
        }
        assert_eq!((head.event_hash, head.cycle_hash), before);
    }

    #[test]
    fn time_rises_though_the_clock_goes_back() {
        let mut head = head();
        let at = |micros| Timestamp::from_unix_micros(micros).unwrap();
        assert_eq!(head.next_time(at(100)).unwrap(), at(100));
        assert_eq!(head.next_time(at(7)).unwrap(), at(101));
        assert_eq!(head.next_time(at(101)).unwrap(), at(102));
        assert_eq!(head.next_time(at(500)).unwrap(), at(500));
    }

    #[test]
    fn rows_stand_in_the_order_of_their_ids_and_name_what_they_share() {
        let mut head = head();
        let time = head.next_time(Timestamp::from_unix_micros(1).unwrap()).unwrap();
        let rows = vec![facts(1, "CVE-2026-0001"), facts(2, "CVE-2026-0001"), facts(3, "CVE-2026-0001")];
        let appended = head.append(time, &[1; 32], new(rows)).unwrap();
        assert!(appended.rows.is_sorted_by_key(|row| row.attestation_id));
        assert_eq!(appended.event.finding_id.as_deref(), Some("CVE-2026-0001"));
        assert_eq!(appended.event.artifact_id.as_deref(), Some("sha256:00"));
        let mixed =
            head.append(time, &[1; 32], new(vec![facts(1, "CVE-2026-0001"), facts(2, "CVE-2026-0002")]));
        assert_eq!(mixed.unwrap().event.finding_id, None);
        assert_eq!(head.append(time, &[1; 32], new(Vec::new())).unwrap().event.artifact_id, None);
    }

    #[test]
    fn an_event_of_too_many_rows_is_refused_and_changes_nothing() {
        let mut head = head();
        let before = head.clone();
        let rows = vec![facts(1, "x"); MAX_ROWS + 1];
        let refused = head.append(Timestamp::from_unix_micros(1).unwrap(), &[1; 32], new(rows));
        assert!(matches!(refused, Err(AppendError::TooManyRows { found: 1_001 })));
        assert_eq!(head, before);
    }
}
