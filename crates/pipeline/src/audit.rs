//! Audit: the ledger proven from its bytes, and all that it proves compared with what is there.
//!
//! Two passes. The first follows the chain: each event, its place, its body, what its transaction recorded, the rows and
//! the tiles. The second goes over all observations: body, what is derived from it, and the linkage, against what the
//! events said. Both read many rows at a time, ahead of what is checked. Memory grows with the attestations, by some
//! dozen bytes each, and with the signed roots.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use provex_core::checkpoint::CheckpointError;
use provex_core::digest::Digest;
use provex_core::ids::{DocumentDigest, EnvelopeDigest, LogId, ObservationId};
use provex_core::intoto::{ObservationSet, ObservationsPredicate, SetCommitment};
use provex_core::keys::{PublicKey, SignatureVerifier};
use provex_core::ledger::{
    AnchorPredicate, AttestationFacts, EventType, Head, LEDGER_ANCHOR, PROJECTION_VERSION,
    VerificationStatus, attestation_id, checkpoint_origin, facts_of_body, rows_root, verify_root,
};
use provex_core::merkle::{self, CompactRange};
use provex_core::note::NoteError;
use provex_core::tile::{FULL_WIDTH, TilePath};
use provex_core::time::Timestamp;
use provex_core::vex::Observation;
use provex_core::{dsse::Envelope, jcs};
use provex_store::ledger::backfill::linked_entry;
use provex_store::ledger::{
    anchor_reference, document_body, findings_commitment, linkage_json, observations_commitment,
    standing_body,
};
use provex_store::{
    EventRow, KeptDocument, KeptLogEntry, ObservationFilter, ObservationRow, RootRow, StoredEnvelope,
};
use serde_json::Value;

use crate::ahead::ReadAhead;
use crate::replay::{Comparison, Fold};
use crate::{Error, Pipeline};

/// Observations that are read at a time.
const PAGE: usize = 500;

/// Whose roots an audit believes.
#[derive(Clone, Copy)]
pub struct Trusted<'a> {
    /// The keys that sign here, or did.
    pub keys: &'a [PublicKey],
    /// The implementation of the signature checks.
    pub signatures: &'a dyn SignatureVerifier,
}

/// What an audit came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Events that were proven.
    pub events: u64,
    /// Attestation rows that they wrote.
    pub attestations: u64,
    /// Observations that were proven.
    pub observations: u64,
    /// Signed roots that were proven.
    pub roots: u64,
    /// How many of them a log has.
    pub anchored: u64,
    /// The root over the events.
    pub root: Digest,
    /// The first thing that is wrong.
    pub wrong: Option<String>,
}

/// Why an audit ended early.
enum Stop {
    Wrong(String),
    Failed(Error),
}

impl From<provex_store::Error> for Stop {
    fn from(error: provex_store::Error) -> Self {
        match error {
            // A value that cannot be read back is what an audit looks for.
            provex_store::Error::Corrupt { .. } | provex_store::Error::Damaged(_) => {
                Self::Wrong(error.to_string())
            }
            error => Self::Failed(error.into()),
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error.into(),
            error => Self::Failed(error),
        }
    }
}

fn wrong<T>(what: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Wrong(what.into()))
}

fn require(holds: bool, what: impl FnOnce() -> String) -> Result<(), Stop> {
    if holds { Ok(()) } else { Err(Stop::Wrong(what())) }
}

/// A signed root that was proven, and where events say that it is logged.
struct Sealed {
    row: RootRow,
    anchored: Option<String>,
}

/// What the first pass leaves for the second.
struct Said<'a> {
    trusted: Trusted<'a>,
    /// The roots over as many events as were read, by size.
    roots: BTreeMap<u64, Sealed>,
    /// Those over more.
    next_roots: VecDeque<RootRow>,
    fold: Fold<'static>,
    rows: u64,
    documents: u64,
    observations: u64,
    /// When each attestation was first verified.
    verified: HashMap<uuid::Uuid, Timestamp>,
    /// What linkages to an entry say: SHA-256 of the members in JCS.
    entries: HashMap<(LogId, u64), Digest>,
    sets: HashMap<EnvelopeDigest, SetCommitment>,
    /// Leaf hashes, and roots of full tiles, that fill no tile yet, by level.
    tiles: Vec<(u64, Vec<Digest>)>,
}

impl Pipeline {
    /// Proves the tenant's ledger and what it says of all else. The state is that of one moment as long as nobody records.
    ///
    /// # Errors
    /// [`Error`] where it could not be read.
    pub async fn audit(&self, trusted: Trusted<'_>) -> Result<Audit, Error> {
        let head = self.store.ledger_head(&self.tenant).await?;
        let empty = Head::new(self.tenant.clone(), head.chain_id).map_err(|_| Error::Clock)?;
        let mut said = Said {
            trusted,
            roots: BTreeMap::new(),
            next_roots: VecDeque::new(),
            fold: Fold::new(empty, PROJECTION_VERSION),
            rows: 0,
            documents: 0,
            observations: 0,
            verified: HashMap::new(),
            entries: HashMap::new(),
            sets: HashMap::new(),
            tiles: Vec::new(),
        };
        let wrong = match self.audit_all(&head, &mut said).await {
            Ok(()) => None,
            Err(Stop::Wrong(what)) => Some(what),
            Err(Stop::Failed(error)) => return Err(error),
        };
        Ok(Audit {
            events: said.fold.head.sequence_no(),
            attestations: said.rows,
            observations: said.observations,
            roots: said.roots.len() as u64,
            anchored: said.roots.values().filter(|root| root.anchored.is_some()).count() as u64,
            root: said.fold.head.frontier.root(),
            wrong,
        })
    }

    async fn audit_all(&self, head: &Head, said: &mut Said<'_>) -> Result<(), Stop> {
        let (mut spoken, mut comparison) = (self.spoken(head), Comparison::new(self));
        self.next_roots(0, said).await?;
        while said.fold.head.sequence_no() < head.sequence_no() {
            let number = said.fold.head.sequence_no() + 1;
            let Some(spoken) = spoken.next().await? else {
                return wrong(format!(
                    "findings.ledger_events: event {number} of the chain that findings.ledger_chains names ({}) is \
                     missing",
                    head.chain_id
                ));
            };
            self.audit_event(spoken, said, &mut comparison).await?;
        }
        check_head(head, said)?;
        check_roots(said)?;
        if let Some(differs) = comparison.rest().await? {
            return wrong(differs);
        }
        self.audit_observations(said).await?;
        let counts = self.store.counts(&self.tenant).await?;
        require(counts.documents == said.documents, || {
            format!("vex.documents: {} rows, but {} were recorded", counts.documents, said.documents)
        })
    }

    async fn audit_event(
        &self,
        spoken: Spoken,
        said: &mut Said<'_>,
        comparison: &mut Comparison,
    ) -> Result<(), Stop> {
        let Spoken { row, body, document, envelope, entry } = spoken;
        let replayed = &said.fold.head;
        let number = replayed.sequence_no() + 1;
        let event = &row.event;
        let at = |what: &str| format!("findings.ledger_events, event {number}: {what}");
        require(event.sequence_no == number, || at("sequence_no has a gap before it"))?;
        require(event.chain_id == replayed.chain_id, || at("chain_id is another chain's"))?;
        require(event.previous_hash == replayed.event_hash, || {
            at("previous_hash is not the hash of the event before")
        })?;
        require(number == 1 || event.recorded_at > replayed.last_at, || {
            at("recorded_at is not above that of the event before")
        })?;
        let hashes = event.hashes().map_err(|error| Stop::Wrong(at(&error.to_string())))?;
        require(hashes.0 == row.event_hash, || at("event_hash is not the hash of its columns and its body"))?;
        require(hashes.1 == row.leaf_hash, || {
            at("merkle_leaf_hash is not the leaf hash of its columns and its body")
        })?;
        let facts = facts_of_body(&row.body).map_err(|error| Stop::Wrong(at(&error.to_string())))?;
        let leaves: Vec<_> = facts.iter().map(AttestationFacts::to_jcs).collect();
        let root = rows_root(leaves.iter().map(Vec::as_slice));
        require(root == event.rows_root && facts.len() as u64 == event.row_count, || {
            at("rows_root and row_count are not those of the facts in its body")
        })?;
        let body = body.map_err(|error| Stop::Wrong(at(&format!("event_body: {error}"))))?;
        said.rows += facts.len() as u64;
        match event.event_type {
            EventType::DocumentRecorded => self.audit_document(&row, &body, document, said).await?,
            EventType::StandingChanged => self.audit_standing(number, &row.body, &body).await?,
            EventType::AttestationVerified | EventType::AttestationFailed | EventType::AttestationUnknown => {
                self.audit_attestation(&row, &body, &facts, envelope, entry, said).await?;
            }
            EventType::LedgerAnchored => {
                self.audit_attestation(&row, &body, &facts, envelope, entry, said).await?;
                check_anchored(number, &body, said)?;
            }
            _ => {}
        }
        for made in said.fold.rows_of(&row, facts, &root) {
            if let Some(differs) = comparison.differs(&made).await? {
                return wrong(differs);
            }
        }
        self.audit_tiles(row.leaf_hash, said).await?;
        self.audit_root(number, said).await
    }

    /// Adds a leaf, and compares each tile that it fills.
    async fn audit_tiles(&self, leaf: Digest, said: &mut Said<'_>) -> Result<(), Stop> {
        let (mut hash, mut level) = (leaf, 0);
        loop {
            if said.tiles.len() == level {
                said.tiles.push((0, Vec::new()));
            }
            let (index, hashes) = &mut said.tiles[level];
            hashes.push(hash);
            if hashes.len() < usize::from(FULL_WIDTH) {
                return Ok(());
            }
            let path = TilePath { level: level as u8, index: *index, width: FULL_WIDTH };
            let kept = self.store.ledger_tile(&self.tenant, path).await?;
            require(kept.as_ref() == Some(hashes), || {
                format!("findings.ledger_tiles: tile {index} of level {level} is not that of the events")
            })?;
            let mut tree = CompactRange::new();
            hashes.drain(..).for_each(|hash| tree.append(hash));
            *index += 1;
            (hash, level) = (tree.root(), level + 1);
        }
    }

    /// The next signed roots, over more than so many events.
    async fn next_roots(&self, after: u64, said: &mut Said<'_>) -> Result<(), Stop> {
        said.next_roots = self.store.ledger_roots(&self.tenant, after, PAGE).await?.into();
        Ok(())
    }

    /// The signed root over so many events, if there is one: it is the events', and signed by a key that is trusted.
    async fn audit_root(&self, size: u64, said: &mut Said<'_>) -> Result<(), Stop> {
        if said.next_roots.front().is_none_or(|root| root.tree_size != size) {
            return Ok(());
        }
        let Some(row) = said.next_roots.pop_front() else { return Ok(()) };
        let at = |what: &str| root_at(size, what);
        let chain = said.fold.head.chain_id;
        require(row.chain_id == chain, || at("chain_id is another chain's"))?;
        require(row.root_hash == said.fold.head.frontier.root(), || {
            at("root_hash is not that of the events")
        })?;
        let trusted = said.trusted;
        let signed =
            verify_root(&row.checkpoint, &checkpoint_origin(chain), trusted.keys, trusted.signatures);
        let signed = signed.map_err(|error| match error {
            CheckpointError::Note(NoteError::NoKnownSignature) => Stop::Wrong(at(
                "checkpoint is signed by no key that is trusted here; if another data folder signed it, give its public \
                 key with --key",
            )),
            error => Stop::Wrong(at(&format!("checkpoint: {error}"))),
        })?;
        let signed = signed.checkpoint();
        require((signed.size, signed.root) == (size, row.root_hash), || {
            at("checkpoint is not of this size and root")
        })?;
        said.roots.insert(size, Sealed { row, anchored: None });
        if said.next_roots.is_empty() {
            self.next_roots(size, said).await?;
        }
        Ok(())
    }

    async fn audit_document(
        &self,
        row: &EventRow,
        body: &Value,
        kept: Option<KeptDocument>,
        said: &mut Said<'_>,
    ) -> Result<(), Stop> {
        let number = row.event.sequence_no;
        let digest: DocumentDigest = member(number, body, "/document/digest")?;
        let at = |what: &str| format!("vex.documents, {}: {what} (event {number})", digest.to_text());
        let kept = match kept {
            Some(kept) => Some(kept),
            None => self.store.kept_documents(&self.tenant, &[digest]).await?.remove(&digest),
        };
        let Some(kept) = kept else { return wrong(at("the row is gone")) };
        for (id, created_at) in &kept.observations {
            require(*created_at == kept.row.created_at, || {
                format!("vex.observations, {}: created_at is not its document's", id.to_text())
            })?;
        }
        let of = |table: &str, what: &str| {
            format!("{table} of document {}: {what} (event {number})", digest.to_text())
        };
        let observations = observations_commitment(kept.observations.iter().map(|(id, _)| *id));
        require(body["observations"]["size"] == kept.row.observations, || {
            at("observation_count is not as it was recorded")
        })?;
        require(kept.row.observations == observations.size, || {
            let (found, said) = (observations.size, kept.row.observations);
            of("vex.observations", &format!("{found} rows, but {said} were recorded"))
        })?;
        let findings = findings_commitment(&kept.row.findings)?;
        let found = document_body(&kept.row.facts, kept.row.created_at, observations, findings)?;
        if found != row.body {
            let found = parse(&found).map_err(Stop::Wrong)?;
            // Of rows the event says their root alone.
            let differs = differing(body, &found);
            return wrong(match differs.split_once('/') {
                Some(("observations", _)) => {
                    of("vex.observations", "an observation_id is not as it was recorded")
                }
                Some(("findings", _)) => of("vex.parse_findings", "a row is not as it was recorded"),
                _ => at(&format!("{differs} is not as it was recorded")),
            });
        }
        let Some(bytes) = kept.body else {
            return wrong(format!("vex.document_bodies, {}: the row is gone", digest.to_text()));
        };
        require(bytes == *digest.digest(), || {
            format!("vex.document_bodies, {}: SHA-256 of body is another", digest.to_text())
        })?;
        said.documents += 1;
        Ok(())
    }

    async fn audit_standing(&self, number: u64, bytes: &[u8], body: &Value) -> Result<(), Stop> {
        let document: DocumentDigest = member(number, body, "/documentDigest")?;
        for row in self.store.standings(&self.tenant, &document).await? {
            if standing_body(&document, row.created_at, &row.standing, &row.cause)? == bytes {
                return Ok(());
            }
        }
        wrong(format!("vex.standings, {}: no row is as event {number} says", document.to_text()))
    }

    async fn audit_attestation(
        &self,
        row: &EventRow,
        body: &Value,
        facts: &[AttestationFacts],
        kept: Option<StoredEnvelope>,
        entry: Option<KeptLogEntry>,
        said: &mut Said<'_>,
    ) -> Result<(), Stop> {
        let number = row.event.sequence_no;
        let envelope: EnvelopeDigest = member(number, body, "/envelope/digest")?;
        let set = match said.sets.get(&envelope) {
            Some(set) => *set,
            None => self.audit_envelope(number, body, envelope, kept, said).await?,
        };
        said.sets.insert(envelope, set);
        let same = facts.iter().all(|facts| facts.dsse_digest == envelope);
        require(same, || format!("findings.ledger_events, event {number}: facts of another envelope"))?;
        if body["verification"]["status"] == VerificationStatus::Verified.label() {
            for facts in facts {
                said.verified.entry(facts.attestation_id).or_insert(row.event.recorded_at);
            }
        }
        if !body["entry"].is_null() {
            let position = audit_entry(number, body, envelope, entry)?;
            let says = linkage_part(&body["entry"]);
            let before = *said.entries.entry(position).or_insert(says);
            require(before == says, || {
                format!("findings.ledger_events, event {number}: another linkage to the same entry")
            })?;
        }
        Ok(())
    }

    /// An envelope, its members, and what the event says of it: the set that it signed.
    async fn audit_envelope(
        &self,
        number: u64,
        body: &Value,
        digest: EnvelopeDigest,
        kept: Option<StoredEnvelope>,
        said: &Said<'_>,
    ) -> Result<SetCommitment, Stop> {
        let at = |what: &str| format!("attestor.envelopes, {}: {what} (event {number})", digest.to_text());
        let kept = match kept {
            Some(kept) => Some(kept),
            None => self.store.envelope(&self.tenant, &digest).await?,
        };
        let Some(kept) = kept else { return wrong(at("the row is gone")) };
        require(EnvelopeDigest::new(Digest::of(&kept.bytes)) == digest, || {
            at("SHA-256 of envelope is another")
        })?;
        let says = &body["envelope"];
        let columns = [
            ("created_at", kept.created_at.to_rfc3339(), &says["createdAt"]),
            ("key_fingerprint", kept.key_fingerprint.to_hex(), &says["keyFingerprint"]),
            ("predicate_type", kept.predicate_type.clone(), &says["predicateType"]),
            ("set_root", kept.set.root.to_hex(), &says["set"]["root"]),
        ];
        for (column, found, said) in columns {
            require(*said == found, || at(&format!("{column} is not as it was when it was verified")))?;
        }
        require(says["set"]["size"] == kept.set.size, || {
            at("set_size is not as it was when it was verified")
        })?;
        let envelope = Envelope::parse(&kept.bytes).map_err(|error| Stop::Wrong(at(&error.to_string())))?;
        let members = |what: &str| format!("attestor.envelope_members, {}: {what}", digest.to_text());
        if kept.predicate_type == LEDGER_ANCHOR {
            let none = kept.documents.is_empty() && kept.observations.is_empty();
            require(none, || members("an anchor has none"))?;
            let predicate = AnchorPredicate::from_payload(envelope.payload())
                .map_err(|error| Stop::Wrong(at(&error.to_string())))?;
            let Some(root) = said.roots.get(&kept.set.size) else {
                return wrong(root_at(kept.set.size, &format!("the row is gone (event {number})")));
            };
            self.audit_anchor(&predicate, kept.set, &root.row).await.map_err(|stop| match stop {
                Stop::Wrong(what) => Stop::Wrong(at(&what)),
                failed => failed,
            })?;
            return Ok(kept.set);
        }
        let set = ObservationSet::new(kept.observations.iter().map(|id| *id.digest()).collect());
        let ascending = kept.observations.is_sorted();
        require(set.commitment() == kept.set && ascending, || {
            members("the observations are not the signed set")
        })?;
        let predicate = ObservationsPredicate::from_payload(envelope.payload())
            .map_err(|error| Stop::Wrong(at(&error.to_string())))?;
        require(predicate.set == kept.set, || at("set_root and set_size are not what is signed"))?;
        let signed: Vec<_> = predicate.documents.iter().map(|document| document.digest).collect();
        require(signed == kept.documents, || members("the documents are not those that are signed"))?;
        Ok(kept.set)
    }

    /// What an anchor's statement says: the root that is kept, the anchor before, and the times of the events between.
    async fn audit_anchor(
        &self,
        predicate: &AnchorPredicate,
        tree: SetCommitment,
        root: &RootRow,
    ) -> Result<(), Stop> {
        require(root.root_hash == tree.root, || "set_root is not the root's".to_owned())?;
        require(root.checkpoint == predicate.checkpoint.as_bytes(), || {
            "the root that it anchors is not the one that is kept".to_owned()
        })?;
        let covered = predicate.previous.map_or(0, |previous| previous.tree_size);
        require(covered < tree.size, || "the anchor before is not over fewer events".to_owned())?;
        if let Some(previous) = predicate.previous {
            let kept = self.store.envelope(&self.tenant, &previous.envelope).await?;
            let is_anchor =
                kept.is_some_and(|kept| kept.predicate_type == LEDGER_ANCHOR && kept.set.size == covered);
            require(is_anchor, || "the anchor before it is gone or changed".to_owned())?;
        }
        let times = [(covered + 1, predicate.first_recorded_at), (tree.size, predicate.last_recorded_at)];
        for (number, time) in times {
            let events = self.store.ledger_events(&self.tenant, number - 1, 1).await?;
            let recorded = events.first().map(|row| row.event.recorded_at);
            require(recorded == Some(time), || format!("event {number} was recorded at another time"))?;
        }
        Ok(())
    }

    async fn audit_observations(&self, said: &mut Said<'_>) -> Result<(), Stop> {
        let pipeline = self.clone();
        let mut rows = ReadAhead::new(None, move |after| {
            let pipeline = pipeline.clone();
            async move {
                let (store, tenant) = (&pipeline.store, &pipeline.tenant);
                let page = store.observations(tenant, &ObservationFilter::default(), after, PAGE).await?;
                let last = page.last().map(ObservationRow::position);
                Ok(last.map(|last| (page, Some(last))))
            }
        });
        let mut unlinked = HashMap::new();
        while let Some(row) = rows.next().await? {
            check_observation(&row)?;
            match &row.linkage {
                Some(_) => check_linkage(&row, said)?,
                None => self.audit_pending(&row, said, &mut unlinked).await?,
            }
            said.observations += 1;
        }
        Ok(())
    }

    /// An observation without a linkage: no envelope of its document was verified with it. `known` are the envelopes of
    /// documents that came lately.
    async fn audit_pending(
        &self,
        row: &ObservationRow,
        said: &Said<'_>,
        known: &mut HashMap<DocumentDigest, Vec<EnvelopeDigest>>,
    ) -> Result<(), Stop> {
        const LATELY: usize = 1_000;
        if said.verified.is_empty() {
            return Ok(());
        }
        if !known.contains_key(&row.document_digest) {
            if known.len() >= LATELY {
                known.clear();
            }
            let envelopes = self.store.envelopes_of_document(&self.tenant, &row.document_digest).await?;
            known.insert(row.document_digest, envelopes);
        }
        for envelope in &known[&row.document_digest] {
            let id = attestation_id(envelope, &row.id.to_text());
            require(!said.verified.contains_key(&id), || {
                format!("vex.observations, {}: its linkage is gone", row.id.to_text())
            })?;
        }
        Ok(())
    }

    /// The events up to a head, each with what it speaks of.
    fn spoken(&self, head: &Head) -> ReadAhead<Spoken> {
        let pipeline = self.clone();
        // Each envelope is spoken of by as many events as it has thousands of members, and read once.
        ReadAhead::new((self.events(head), HashSet::new()), move |(mut events, mut asked)| {
            let pipeline = pipeline.clone();
            async move {
                let page = events.next_page().await?;
                let Some(page) = page else { return Ok(None) };
                let page = pipeline.what_is_spoken_of(page, &mut asked).await?;
                Ok(Some((page, (events, asked))))
            }
        })
    }

    async fn what_is_spoken_of(
        &self,
        events: Vec<EventRow>,
        asked: &mut HashSet<EnvelopeDigest>,
    ) -> Result<Vec<Spoken>, Error> {
        let spoken = |row: EventRow| {
            let body = parse(&row.body);
            Spoken { row, body, document: None, envelope: None, entry: None }
        };
        let mut all: Vec<_> = events.into_iter().map(spoken).collect();
        let few = |size: Option<u64>| size.is_some_and(|size| size <= MEMBERS);
        let documents: Vec<_> = all
            .iter()
            .filter(|spoken| few(spoken.size("/observations/size")))
            .filter_map(Spoken::document)
            .collect();
        let envelopes: Vec<_> = all
            .iter()
            .filter(|spoken| few(spoken.size("/envelope/set/size")))
            .filter_map(Spoken::envelope)
            .filter(|envelope| asked.insert(*envelope))
            .collect();
        let entries: BTreeSet<_> = all.iter().filter_map(Spoken::entry).collect();
        let entries: Vec<_> = entries.into_iter().collect();
        let mut documents = match documents.is_empty() {
            true => BTreeMap::new(),
            false => self.store.kept_documents(&self.tenant, &documents).await?,
        };
        let mut envelopes = match envelopes.is_empty() {
            true => BTreeMap::new(),
            false => self.store.envelopes(&self.tenant, &envelopes).await?,
        };
        let entries = match entries.is_empty() {
            true => BTreeMap::new(),
            false => self.store.kept_entries(&self.tenant, &entries).await?,
        };
        for spoken in &mut all {
            spoken.document = spoken.document().and_then(|digest| documents.remove(&digest));
            spoken.envelope = spoken.envelope().and_then(|digest| envelopes.remove(&digest));
            spoken.entry = spoken.entry().and_then(|position| entries.get(&position).cloned());
        }
        Ok(all)
    }
}

/// Documents and envelopes with more observations are read one at a time, when their turn comes.
const MEMBERS: u64 = 1_000;

/// An event, and what is there of all that it speaks of.
struct Spoken {
    row: EventRow,
    /// Its body, parsed; in words, why it cannot be.
    body: Result<Value, String>,
    document: Option<KeptDocument>,
    envelope: Option<StoredEnvelope>,
    entry: Option<KeptLogEntry>,
}

impl Spoken {
    fn value(&self, pointer: &str) -> Option<&Value> {
        self.body.as_ref().ok()?.pointer(pointer)
    }

    fn parse<T: std::str::FromStr>(&self, pointer: &str) -> Option<T> {
        self.value(pointer)?.as_str()?.parse().ok()
    }

    fn size(&self, pointer: &str) -> Option<u64> {
        self.value(pointer)?.as_u64()
    }

    /// The document that it records.
    fn document(&self) -> Option<DocumentDigest> {
        self.parse("/document/digest")
    }

    /// The envelope that it attests.
    fn envelope(&self) -> Option<EnvelopeDigest> {
        self.parse("/envelope/digest")
    }

    /// The log entry of it.
    fn entry(&self) -> Option<(LogId, u64)> {
        Some((self.parse("/entry/rekorLogId")?, self.size("/entry/rekorLogIndex")?))
    }
}

/// A log entry, its bundle, and what the event says of them: where it is in its log.
fn audit_entry(
    number: u64,
    body: &Value,
    envelope: EnvelopeDigest,
    kept: Option<KeptLogEntry>,
) -> Result<(LogId, u64), Stop> {
    let says = &body["entry"];
    let log: LogId = member(number, body, "/entry/rekorLogId")?;
    let index = says["rekorLogIndex"].as_u64().unwrap_or_default();
    let at = |what: &str| format!("attestor.log_entries, {}/{index}: {what} (event {number})", log.to_text());
    let Some(KeptLogEntry { row: kept, bundle }) = kept else { return wrong(at("the row is gone")) };
    let verification = &body["verification"];
    let text = |text: Option<String>| text.map_or(Value::Null, Value::String);
    let time_source = match (says["rekorTimestampTime"].is_null(), says["rekorIntegratedTime"].is_null()) {
        (false, _) => "tsa",
        (true, false) => "set",
        (true, true) => "none",
    };
    let columns = [
        ("rekor_uuid", Value::String(kept.rekor_uuid.to_hex()), &says["rekorUuid"]),
        ("dsse_digest", Value::String(kept.envelope.to_text()), &Value::String(envelope.to_text())),
        ("entry", Value::String(Digest::of(&kept.entry).to_hex()), &says["digest"]),
        ("time_source", Value::String(kept.time_source), &Value::String(time_source.to_owned())),
        ("bundle_digest", Value::String(kept.bundle_digest.to_text()), &body["bundleDigest"]),
        ("created_at", Value::String(kept.created_at.to_rfc3339()), &says["createdAt"]),
        ("verification_status", text(kept.status.map(|s| s.label().to_owned())), &verification["status"]),
        ("verified_at", text(kept.verified_at.map(Timestamp::to_rfc3339)), &verification["time"]),
        ("verification_error", text(kept.error), &verification["error"]),
        ("verifier_version", text(kept.verifier_version), &verification["verifierVersion"]),
    ];
    for (column, found, said) in columns {
        require(found == *said, || at(&format!("{column} is not as it was when it was verified")))?;
    }
    // What every linkage says of the entry stands in its own bytes.
    let linked = linked_entry(envelope, &kept.entry).map_err(|error| Stop::Wrong(at(&error)))?;
    require(says["rekorUuid"] == linked.rekor_uuid.to_hex(), || at("entry is of another leaf"))?;
    require(bundle == Some(*kept.bundle_digest.digest()), || {
        format!("attestor.bundles, {}: the row is gone or changed", kept.bundle_digest.to_text())
    })?;
    Ok((log, index))
}

fn check_head(head: &Head, said: &Said<'_>) -> Result<(), Stop> {
    let at = |column: &str| format!("findings.ledger_chains: {column} is not that of the events");
    let replayed = &said.fold.head;
    require(head.event_hash == replayed.event_hash, || at("event_hash"))?;
    require(head.cycle_hash == replayed.cycle_hash, || at("cycle_hash"))?;
    require(head.frontier == replayed.frontier, || at("frontier"))?;
    require(head.last_at >= replayed.last_at, || at("last_at"))
}

/// What an anchor's event says against the root, which no other event anchored before.
fn check_anchored(number: u64, body: &Value, said: &mut Said<'_>) -> Result<(), Stop> {
    let log: LogId = member(number, body, "/entry/rekorLogId")?;
    let index = body["entry"]["rekorLogIndex"].as_u64().unwrap_or_default();
    let size = body["root"]["treeSize"].as_u64().unwrap_or_default();
    let at = |what: &str| root_at(size, &format!("{what} (event {number})"));
    let Some(root) = said.roots.get_mut(&size) else { return wrong(at("the row is gone")) };
    let row = &root.row;
    let columns = [
        ("root_hash", row.root_hash.to_hex(), "rootHash"),
        ("checkpoint", Digest::of(&row.checkpoint).to_hex(), "checkpointDigest"),
        ("created_at", row.created_at.to_rfc3339(), "createdAt"),
    ];
    for (column, found, said) in columns {
        require(body["root"][said] == found, || {
            at(&format!("{column} is not as it was when it was anchored"))
        })?;
    }
    let reference = anchor_reference(&log, index);
    require(row.anchor_reference.as_ref() == Some(&reference), || {
        at("anchor_reference is not where it was logged")
    })?;
    require(body["envelope"]["set"]["size"] == size, || at("its envelope anchors another root"))?;
    require(root.anchored.replace(reference).is_none(), || at("it was anchored before"))
}

/// No root says more than the events.
fn check_roots(said: &Said<'_>) -> Result<(), Stop> {
    if let Some(row) = said.next_roots.front() {
        return wrong(root_at(row.tree_size, "there are not so many events, or another root follows"));
    }
    for (size, root) in &said.roots {
        require(root.row.anchor_reference == root.anchored, || {
            root_at(*size, "anchor_reference is of no event")
        })?;
    }
    Ok(())
}

fn root_at(size: u64, what: &str) -> String {
    format!("findings.ledger_merkle_roots, size {size}: {what}")
}

/// An observation's columns against its body.
fn check_observation(row: &ObservationRow) -> Result<(), Stop> {
    let at = |what: &str| format!("vex.observations, {}: {what}", row.id.to_text());
    require(ObservationId::new(Digest::of(&row.body)) == row.id, || at("SHA-256 of body is another"))?;
    let body = Observation::from_body(&row.body).map_err(|error| Stop::Wrong(at(&error.to_string())))?;
    let columns = [
        ("document_digest", row.document_digest == body.document.digest),
        ("claim_digest", row.claim_digest == body.claim_digest()),
        ("status", row.status == body.status),
        ("vulnerability_id", row.vulnerability_id == body.vulnerability.id),
        ("product_key", row.product_key == body.product.key),
        ("subcomponent_key", row.subcomponent_key == body.subcomponent.as_ref().map(|part| part.key.clone())),
    ];
    for (column, holds) in columns {
        require(holds, || at(&format!("{column} is not what its body says")))?;
    }
    Ok(())
}

/// A linkage against the event that set it.
fn check_linkage(row: &ObservationRow, said: &Said<'_>) -> Result<(), Stop> {
    let at = |what: &str| format!("vex.observations, {}: {what}", row.id.to_text());
    let Some(linkage) = &row.linkage else { return Ok(()) };
    let (fields, entry) = (&linkage.fields, &linkage.fields.entry);
    let id = attestation_id(&entry.envelope_digest, &row.id.to_text());
    let Some(set) = said.sets.get(&entry.envelope_digest) else {
        return wrong(at("rekor_envelope_digest is of no envelope that was verified"));
    };
    let Some(verified) = said.verified.get(&id) else {
        return wrong(at("no event verified it with this envelope"));
    };
    require(*verified == linkage.linked_at, || at("rekor_linked_at is not the time of its event"))?;
    let leaf = merkle::leaf_hash(row.id.digest().as_bytes());
    let path = merkle::verify_inclusion(fields.set_index, set.size, &leaf, &fields.set_path, &set.root);
    require(path.is_ok(), || at("rekor_set_index and rekor_set_path do not lead to the signed set"))?;
    let Some(says) = said.entries.get(&(entry.log_id, entry.log_index)) else {
        return wrong(at("rekor_log_id and rekor_log_index are of no entry that was verified"));
    };
    let found = linkage_json(entry).map_err(|error| Stop::Failed(error.into()))?;
    require(Digest::of(&found) == *says, || at("the linkage is not what its event says of the entry"))
}

/// The part of an event's `entry` that every linkage to it says, hashed.
fn linkage_part(entry: &Value) -> Digest {
    let mut entry = entry.clone();
    if let Some(entry) = entry.as_object_mut() {
        entry.remove("createdAt");
        entry.remove("digest");
    }
    jcs::hash(&entry).unwrap_or_else(|_| Digest::of(b""))
}

fn parse(body: &[u8]) -> Result<Value, String> {
    provex_core::json::parse_own(body).map_err(|error| error.to_string())
}

fn member<T: std::str::FromStr>(number: u64, body: &Value, pointer: &str) -> Result<T, Stop> {
    let found = body.pointer(pointer).and_then(Value::as_str).and_then(|text| text.parse().ok());
    found.ok_or_else(|| {
        Stop::Wrong(format!("findings.ledger_events, event {number}: event_body has no {pointer}"))
    })
}

/// The first member in which two bodies differ.
fn differing(said: &Value, found: &Value) -> String {
    let (Some(said), Some(found)) = (said.as_object(), found.as_object()) else { return String::new() };
    for (key, value) in said {
        match found.get(key) {
            Some(other) if other == value => {}
            Some(other) if value.is_object() => return format!("{key}/{}", differing(value, other)),
            _ => return key.clone(),
        }
    }
    String::new()
}
