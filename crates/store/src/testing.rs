//! One conformance suite for every backend, and what tests of other crates need to make real linkages.
//!
//! Each fact is a function over a [`Backend`]; [`store_conformance!`](crate::store_conformance) makes each one a test
//! of its own. A fact uses the contract alone, so it holds for every backend or the backend is wrong.

// A suite: what does not hold panics, with the place where it did not.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod ledger;
mod roots;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use provex_core::bundle::Bundle;
use provex_core::checkpoint::Checkpoint;
use provex_core::digest::Digest;
use provex_core::dsse::Envelope;
use provex_core::entry::{HASHEDREKORD, HASHEDREKORD_VERSION, HashedRekord, InclusionProof, LogEntry};
use provex_core::ids::{BundleDigest, DocumentDigest, EnvelopeDigest, LogId, ObservationId, TenantId};
use provex_core::intoto::{
    AttestedDocument, ObservationSet, ObservationsPredicate, SaltKey, SetCommitment, VEX_OBSERVATIONS,
};
use provex_core::keys::{LocalSigner, RustCrypto, Signer as _};
use provex_core::ledger::{
    ActorType, AnchorPredicate, Head, LEDGER_ANCHOR, PreviousAnchor, VerificationStatus, sign_root,
};
use provex_core::linkage::{Linkage, LinkageFields};
use provex_core::merkle::Tree;
use provex_core::note::sign_note;
use provex_core::time::Timestamp;
use provex_core::trusted_root::{TimestampAuthority, TrustedLog, TrustedRoot};
use provex_core::verify::{self, TimestampError, TimestampVerifier, Verifier};
use provex_core::vex::{
    AssertedAtSource, Canonical, Component, ComponentKind, DocumentRef, Format, Identifier, Locator,
    Observation, Schema, Status, Vulnerability,
};
use uuid::Uuid;

pub use ledger::*;
pub use roots::*;

use crate::{
    Actor, Answer, ApiToken, Authentication, Counts, DocumentFacts, Dropped, Error, FindingRow,
    IdempotentAnswer, KeyKind, Lease, LeaseToken, LinkCounts, LogCheckpoint, MAX_LINKAGES, MoreObservations,
    NewDocument, NewEnvelope, NewLink, NewLogEntry, NewObservation, NewRoot, NewStatement, ObservationFilter,
    ObservationParts, ObservationRow, ObservationSource, RecordedDocument, Recording, Release, Scope, Settle,
    Stage, Store, SubmissionSubject,
};

/// A fresh database of a backend.
pub trait Backend {
    /// The backend's store.
    type Store: Store;

    /// Opens the database: each call is a process of its own, all on the same data.
    fn open(&self) -> impl Future<Output = Self::Store>;
}

/// Makes each fact a test: `store_conformance!(fresh)`, where `fresh` is an async function that makes a [`Backend`].
#[macro_export]
macro_rules! store_conformance {
    ($fresh:path) => {
        $crate::store_conformance! { $fresh:
            a_dead_submission_is_queued_again_or_dropped
            a_dead_submission_stays_and_its_observations_count_as_failed
            a_document_comes_back_whole
            a_document_of_all_facts_comes_back_whole
            a_document_that_gives_other_observations_than_told_is_not_recorded
            a_document_without_observations_is_recorded_and_attested
            a_fresh_ledger_is_empty
            a_kept_answer_stays_until_it_may_be_forgotten
            a_large_envelope_is_an_event_a_part_and_goes_on_after_a_crash
            a_later_outcome_takes_the_row_over
            a_linkage_comes_back_whole
            a_log_checkpoint_only_grows
            a_logged_root_is_anchored_by_one_event
            a_lost_lease_writes_nothing
            a_part_of_an_envelope_can_be_linked_and_the_rest_later
            a_refused_answer_is_dropped_and_its_envelope_submitted_again
            a_released_submission_is_due_again_at_its_time
            a_revoked_api_token_stays_revoked
            a_root_comes_back_whole
            a_root_kept_alone_can_get_its_anchor_later
            a_root_that_does_not_extend_the_chain_is_refused
            a_set_without_members_is_an_event_without_rows
            a_stream_of_attestations_is_of_one_moment
            a_subjects_statements_are_numbered_and_supersede_one_another
            adding_a_tenant_again_changes_nothing
            all_that_one_call_records_has_one_time
            an_anchor_follows_the_newest_one
            an_anchor_that_was_refused_is_an_event_without_rows
            an_answer_gives_its_lease_back
            an_api_token_comes_back_whole
            an_envelope_comes_back_whole
            an_expired_lease_can_be_taken_by_another
            an_export_is_noted_once
            an_observation_comes_back_whole
            an_unknown_tenant_is_an_error_everywhere
            another_entry_is_kept_and_the_first_linkage_stays
            another_entry_of_an_anchor_leaves_the_first
            api_tokens_are_listed_by_tenant
            attestations_are_found_by_every_filter
            cleared_leases_can_be_taken_at_once
            conditions_of_a_filter_hold_together
            created_at_strictly_rises_though_the_clock_goes_back
            each_new_document_is_an_event_that_names_all_of_it
            equal_bundles_are_kept_once
            linkages_are_looked_up_by_leaf_hash_and_by_log_index
            linking_a_missing_observation_is_refused_and_writes_nothing
            linking_again_changes_nothing
            linking_is_one_event_with_a_row_for_each_member
            many_are_read_at_once_as_one_at_a_time
            many_rows_of_each_kind_come_back
            more_linkages_than_one_call_may_hold_are_refused
            observations_are_found_by_every_key
            observations_that_come_in_parts_are_recorded_as_if_they_came_together
            pages_show_each_observation_once
            pending_observations_come_in_created_at_order_under_concurrent_writers
            pending_observations_come_in_the_order_they_were_recorded
            recording_a_document_again_changes_nothing
            recording_a_root_again_changes_nothing
            recording_an_envelope_again_changes_nothing
            roots_of_another_tenant_are_not_seen
            submissions_are_leased_oldest_first_when_due
            tenants_see_nothing_of_one_another
            the_chain_has_no_gap_and_no_fork_under_concurrent_writers
            the_same_story_gives_the_same_bytes_everywhere
            the_stages_lead_from_a_document_to_its_linkages
            tiles_are_written_by_the_append_that_fills_them
            two_that_sign_at_once_leave_one_root
            two_workers_never_lease_the_same_submission
            verifying_again_with_the_same_outcome_writes_no_row
            what_a_clock_that_ran_ahead_left_is_due_when_it_is_right_again
            what_cannot_go_on_says_why_and_is_due_as_before
            what_is_recorded_is_there_after_opening_again
            what_is_refused_is_not_said
            what_waits_to_be_tried_again_is_due_when_leases_are_cleared
            what_was_dropped_can_be_queued_again
        }
    };
    ($fresh:path: $($fact:ident)+) => {
        $(
            #[tokio::test]
            async fn $fact() {
                $crate::testing::$fact(&$fresh().await).await;
            }
        )+
    };
}

// What facts are told --------------------------------------------------------------------------------------------

/// A time of the tests: seconds after its beginning.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000 + seconds).unwrap()
}

/// An operator's recording at a time of so many seconds; the time is its randomness too.
pub fn by(seconds: i64) -> Recording {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&seconds.to_be_bytes());
    let actor = Actor { id: "tester".to_owned(), kind: ActorType::Operator };
    Recording { now: at(seconds), actor, run: Some(id(9_999)), seed }
}

/// A UUID that sorts as its number.
pub fn id(number: u64) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(number))
}

/// A lease of ten seconds.
pub fn lease(token: u64, seconds: i64) -> Lease {
    Lease { token: LeaseToken(id(token)), now: at(seconds), until: at(seconds + 10) }
}

/// A parsed document with so many observations: all its values follow from `number`.
pub fn document(number: u64, observations: u64) -> NewDocument {
    let body = format!("document {number}").into_bytes();
    let facts = DocumentFacts {
        digest: DocumentDigest::new(Digest::of(&body)),
        payload_digest: None,
        format: Format::OpenVex,
        spec_version: None,
        document_id: None,
        revision: None,
        issuer: None,
        stated_at: None,
        retires: None,
        source: format!("{number}.json"),
        authentication: Authentication::None,
    };
    let observations = (0..observations).map(|index| observation(&facts, index)).collect();
    NewDocument {
        facts,
        body: body.into(),
        observations,
        more: None,
        findings: Vec::new(),
        quarantine: None,
        submission: id(number),
        due: Timestamp::EPOCH,
    }
}

/// The observation of one of five vulnerabilities and seven products, found by every kind of key.
fn observation(facts: &DocumentFacts, index: u64) -> NewObservation {
    let component = |kind, key: String| Component {
        kind,
        identifiers: vec![Identifier { kind: "sku".into(), value: format!("sku of {key}") }],
        name: None,
        key,
    };
    let status = Status::ALL[usize::try_from(index).unwrap() % Status::ALL.len()];
    let observation = Observation {
        schema: Schema::V1,
        issuer: None,
        document: Canonical::shared(DocumentRef {
            format: facts.format,
            spec_version: facts.spec_version.clone(),
            id: facts.document_id.clone(),
            revision: facts.revision.clone(),
            digest: facts.digest,
        }),
        locator: Locator { pointer: "/statements/0".to_owned(), index },
        vulnerability: Canonical::shared(Vulnerability {
            id: format!("CVE-2026-{}", index % 5),
            aliases: vec![format!("GHSA-{}", index % 5)],
        }),
        product: Canonical::shared(component(
            ComponentKind::Purl,
            format!("pkg:deb/debian/product@{}", index % 7),
        )),
        subcomponent: index
            .is_multiple_of(2)
            .then(|| Canonical::shared(component(ComponentKind::Iri, format!("part {}", index % 7)))),
        version_scope: None,
        status,
        native_status: status.label().into(),
        justification: None,
        impact: None,
        action: Arc::default(),
        notes: Some("ü \u{1f600}".into()),
        asserted_at: None,
        asserted_at_source: AssertedAtSource::None,
        last_updated: None,
        canon: "purl-canon/1".into(),
    };
    let mut keys = vec![
        (KeyKind::Alias, observation.vulnerability.aliases[0].clone()),
        (KeyKind::Vulnerability, observation.vulnerability.id.clone()),
        (KeyKind::Product, observation.product.key.clone()),
        (KeyKind::Identifier, observation.product.identifiers[0].value.clone()),
    ];
    if let Some(part) = &observation.subcomponent {
        keys.push((KeyKind::Subcomponent, part.key.clone()));
    }
    NewObservation {
        id: observation.id(),
        claim_digest: observation.claim_digest(),
        body: observation.body(),
        status,
        vulnerability_id: observation.vulnerability.id.clone(),
        product_key: observation.product.key.clone(),
        subcomponent_key: observation.subcomponent.as_ref().map(|part| part.key.clone()),
        keys,
    }
}

/// Two keys and a small log in memory: makes envelopes, logs and verifies them, and so makes real linkages.
pub struct SignedFixture {
    signer: LocalSigner,
    log_signer: LocalSigner,
    trusted_root: TrustedRoot,
    leaves: Vec<Digest>,
}

/// A signed set of observations.
#[derive(Debug, Clone)]
pub struct SignedSet {
    pub envelope: Envelope,
    pub documents: Vec<DocumentDigest>,
    pub set: ObservationSet,
    pub key_fingerprint: Digest,
}

/// A signed statement that anchors a root.
#[derive(Debug, Clone)]
pub struct SignedAnchor {
    pub envelope: Envelope,
    pub tree: SetCommitment,
    pub previous: Option<PreviousAnchor>,
    pub key_fingerprint: Digest,
}

/// A signed set that was logged and verified.
#[derive(Debug, Clone)]
pub struct LoggedSet {
    /// The log's answer.
    pub answer: LogEntry,
    /// The verified entry as a store keeps it.
    pub entry: NewLogEntry,
    /// The linkages of all observations of the set, in set order.
    pub linkages: Vec<Linkage>,
    /// The log's checkpoint.
    pub checkpoint: LogCheckpoint,
}

/// Reads tokens that are nothing but their time: microseconds since 1970, big-endian.
struct ClearTimes;

impl TimestampVerifier for ClearTimes {
    fn verify(
        &self,
        token: &[u8],
        _message: &[u8],
        _authority: &TimestampAuthority,
    ) -> Result<Timestamp, TimestampError> {
        let micros = i64::from_be_bytes(token.try_into().unwrap());
        Ok(Timestamp::from_unix_micros(micros).unwrap())
    }
}

impl SignedFixture {
    /// Fixtures of another seed have other keys, and another log.
    pub fn new(seed: u8) -> Self {
        let log_signer = LocalSigner::ed25519_from_random(&[seed; 32]);
        let origin = format!("log-{seed}.provex.internal");
        let log = TrustedLog::embedded(&origin, log_signer.public_key().clone(), at(0));
        let authority = br#"{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "timestampAuthorities": [{"uri": "x", "certChain": {"certificates": [{"rawBytes": ""}]}}]}"#;
        let mut trusted_root = TrustedRoot::parse(authority).unwrap();
        trusted_root.logs.push(log);
        Self {
            signer: LocalSigner::p256_from_random(&[seed; 32]).unwrap(),
            log_signer,
            trusted_root,
            leaves: Vec::new(),
        }
    }

    /// Signs sets, roots and anchors.
    pub fn signer(&self) -> &LocalSigner {
        &self.signer
    }

    /// The log's id.
    pub fn log_id(&self) -> LogId {
        self.trusted_root.logs[0].id
    }

    /// Signs the observations of these documents as one set.
    pub fn sign(&self, tenant: &TenantId, documents: &[&NewDocument]) -> SignedSet {
        let members = documents.iter().flat_map(|d| &d.observations).map(|o| *o.id.digest());
        let set = ObservationSet::new(members.collect());
        let mut attested: Vec<_> = documents
            .iter()
            .map(|document| AttestedDocument {
                digest: document.facts.digest,
                format: document.facts.format,
                observations: document.observations.len() as u64,
            })
            .collect();
        attested.sort_by_key(|document| document.digest);
        let documents = attested.iter().map(|document| document.digest).collect();
        let predicate = ObservationsPredicate { documents: attested, set: set.commitment() };
        let payload = predicate.to_payload(&SaltKey::new([7; 32]), tenant);
        let envelope = Envelope::sign(payload, &self.signer).unwrap();
        SignedSet { envelope, documents, set, key_fingerprint: self.signer.public_key().fingerprint() }
    }

    /// Logs a signed set and verifies the log's answer. Logging it again gives another entry.
    pub fn log(&mut self, signed: &SignedSet) -> LoggedSet {
        self.log_envelope(&signed.envelope, Some(&signed.set), None)
    }

    /// As [`SignedFixture::log`], with a timestamp of this time over the signature.
    pub fn log_timestamped(&mut self, signed: &SignedSet, time: Timestamp) -> LoggedSet {
        self.log_envelope(&signed.envelope, Some(&signed.set), Some(time))
    }

    /// Signs the root of a chain over its first events.
    pub fn sign_root(&self, head: &Head) -> NewRoot {
        let (tree_size, root_hash) = (head.sequence_no(), head.frontier.root());
        let note = sign_root(head.chain_id, tree_size, root_hash, &self.signer).unwrap();
        NewRoot { tree_size, root_hash, checkpoint: note.as_str().as_bytes().to_vec() }
    }

    /// Signs the statement that anchors a root, after the anchor before.
    pub fn sign_anchor(
        &self,
        tenant: &TenantId,
        root: &NewRoot,
        previous: Option<PreviousAnchor>,
    ) -> SignedAnchor {
        let predicate = AnchorPredicate {
            checkpoint: String::from_utf8(root.checkpoint.clone()).unwrap(),
            first_recorded_at: at(0),
            last_recorded_at: at(0),
            previous,
        };
        let payload = predicate.to_payload(&SaltKey::new([7; 32]), tenant);
        let envelope = Envelope::sign(payload, &self.signer).unwrap();
        let tree = SetCommitment { root: root.root_hash, size: root.tree_size };
        SignedAnchor { envelope, tree, previous, key_fingerprint: self.signer.public_key().fingerprint() }
    }

    /// Logs an anchor's envelope and verifies the log's answer.
    pub fn log_anchor(&mut self, envelope: &Envelope) -> LoggedSet {
        self.log_envelope(envelope, None, None)
    }

    fn log_envelope(
        &mut self,
        envelope: &Envelope,
        set: Option<&ObservationSet>,
        time: Option<Timestamp>,
    ) -> LoggedSet {
        let key = self.signer.public_key();
        let record = HashedRekord::of_envelope(envelope, key).unwrap();
        self.leaves.push(record.leaf_hash());
        let tree = Tree::new(self.leaves.clone());
        let (index, log) = (tree.size() - 1, &self.trusted_root.logs[0]);
        let checkpoint = Checkpoint {
            origin: log.origin().to_owned(),
            size: tree.size(),
            root: tree.root(),
            extensions: Vec::new(),
        };
        let text = checkpoint.to_text();
        let note = sign_note(&text, &log.key, &self.log_signer.sign(text.as_bytes()).unwrap()).unwrap();
        let answer = LogEntry {
            log_index: index,
            log_id: log.id,
            kind: HASHEDREKORD.to_owned(),
            version: HASHEDREKORD_VERSION.to_owned(),
            integrated_time: None,
            signed_entry_timestamp: None,
            inclusion: InclusionProof {
                log_index: index,
                root: checkpoint.root,
                tree_size: checkpoint.size,
                hashes: tree.inclusion_path(index).unwrap(),
                checkpoint: note.as_str().to_owned(),
            },
            canonicalized_body: record.body(),
        };
        let keys = [key.clone()];
        let verifier = Verifier {
            trusted_root: &self.trusted_root,
            keys: &keys,
            signatures: &RustCrypto,
            timestamps: &ClearTimes,
        };
        let tokens: Vec<_> = time.iter().map(|time| time.as_unix_micros().to_be_bytes().to_vec()).collect();
        let verified = verifier.timestamped_entry(envelope, key, &answer, &tokens).unwrap();
        let append_only = verify::append_only(None, verified.checkpoint(), &[]).unwrap();
        let linkages = set.map(|set| {
            let set = verify::link_set(&verified, &append_only, set.clone()).unwrap();
            set.linkages(0..set.size()).collect()
        });
        let mut bundle = Bundle::new(envelope.clone(), key, answer.clone());
        bundle.timestamps = tokens;
        let bundle = bundle.to_jcs();
        let entry = NewLogEntry {
            linked: Arc::clone(verified.linked()),
            entry: answer.to_jcs(),
            bundle_digest: BundleDigest::new(Digest::of(&bundle)),
            bundle,
            verifier_version: "provex test".to_owned(),
        };
        let checkpoint = LogCheckpoint {
            origin: checkpoint.origin,
            size: checkpoint.size,
            root: checkpoint.root,
            note: note.as_str().as_bytes().to_vec(),
            seen_at: at(0),
        };
        LoggedSet { answer, entry, linkages: linkages.unwrap_or_default(), checkpoint }
    }
}

impl SignedSet {
    /// The envelope as it is recorded.
    pub fn to_new_envelope(&self, submission: Uuid) -> NewEnvelope {
        NewEnvelope {
            digest: self.envelope.digest(),
            bytes: self.envelope.to_jcs(),
            predicate_type: VEX_OBSERVATIONS.to_owned(),
            key_fingerprint: self.key_fingerprint,
            set: self.set.commitment(),
            submission,
            documents: self.documents.clone(),
            observations: self.set.members().iter().copied().map(ObservationId::new).collect(),
        }
    }
}

impl SignedAnchor {
    /// The envelope as it is recorded.
    pub fn to_new_envelope(&self, submission: Uuid) -> NewEnvelope {
        NewEnvelope {
            digest: self.envelope.digest(),
            bytes: self.envelope.to_jcs(),
            predicate_type: LEDGER_ANCHOR.to_owned(),
            key_fingerprint: self.key_fingerprint,
            set: self.tree,
            submission,
            documents: Vec::new(),
            observations: Vec::new(),
        }
    }
}

impl LoggedSet {
    /// All linkages of the set, ending a submission or none.
    pub fn to_new_link(&self, finished: Option<Uuid>) -> NewLink<'_> {
        NewLink { entry: &self.entry, linkages: &self.linkages, finished }
    }

    /// The answer as it is recorded.
    pub fn to_answer(&self, submission: Uuid) -> Answer {
        Answer { submission, log: self.answer.log_id, entry: self.entry.entry.clone() }
    }
}

/// Runs futures at the same time, all on this thread.
async fn at_once<T>(mut futures: Vec<Pin<Box<dyn Future<Output = T> + '_>>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in futures.iter_mut().zip(&mut done) {
            if done.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

const TOKEN: LeaseToken = LeaseToken(Uuid::from_u128(0x0190_0000_0000_7000_8000_ffff_ffff_ffff));

fn tenant() -> TenantId {
    TenantId::default_tenant()
}

fn other_tenant() -> TenantId {
    "other".parse().unwrap()
}

/// The store with the tenant `default`.
async fn store<B: Backend>(backend: &B) -> B::Store {
    let store = backend.open().await;
    store.add_tenant(&tenant(), id(1), at(0)).await.unwrap();
    store
}

/// Records documents that are due then.
async fn record(store: &impl Store, seconds: i64, documents: &[NewDocument]) -> Vec<RecordedDocument> {
    let due = at(seconds);
    let documents: Vec<_> =
        documents.iter().map(|document| NewDocument { due, ..document.clone() }).collect();
    store.record_documents(&tenant(), &by(seconds), &documents).await.unwrap()
}

/// Records an envelope of these documents, whose attest submissions it replaces.
async fn record_signed(store: &impl Store, signed: &SignedSet, documents: &[&NewDocument], submission: Uuid) {
    let lease = Lease { token: TOKEN, now: at(0), until: at(1_000_000) };
    let leased = store.acquire_submissions(&tenant(), Stage::Attest, lease, 1_000).await.unwrap();
    let replaced: Vec<_> = documents.iter().map(|document| document.submission).collect();
    let envelopes = [signed.to_new_envelope(submission)];
    store.record_envelopes(&tenant(), at(1), TOKEN, &replaced, &envelopes).await.unwrap();
    for submission in leased.iter().map(|s| s.id).filter(|id| !replaced.contains(id)) {
        let back = Release::Retry { at: at(0), reason: "of another envelope".to_owned() };
        store.release_submission(&tenant(), &by(0), TOKEN, submission, &back).await.unwrap();
    }
}

/// Links a logged set without a submission.
async fn link(store: &impl Store, seconds: i64, logged: &LoggedSet) -> LinkCounts {
    store.link(&tenant(), &by(seconds), TOKEN, &[logged.to_new_link(None)]).await.unwrap()
}

/// One document of so many observations, signed, recorded, logged and not yet linked.
async fn logged_document(store: &impl Store, observations: u64) -> (SignedFixture, SignedSet, LoggedSet) {
    let document = document(1, observations);
    record(store, 0, std::slice::from_ref(&document)).await;
    let mut fixture = SignedFixture::new(1);
    let signed = fixture.sign(&tenant(), &[&document]);
    record_signed(store, &signed, &[&document], id(100)).await;
    let logged = fixture.log(&signed);
    (fixture, signed, logged)
}

fn finding(code: &str) -> FindingRow {
    FindingRow { code: code.to_owned(), pointer: "/x".to_owned(), line: None, message: "x".to_owned() }
}

/// Where its log has it.
fn position(logged: &LoggedSet) -> (LogId, u64) {
    (logged.entry.linked.log_id, logged.entry.linked.log_index)
}

async fn all(store: &impl Store, filter: &ObservationFilter) -> Vec<ObservationRow> {
    store.observations(&tenant(), filter, None, usize::MAX).await.unwrap()
}

async fn pending(store: &impl Store) -> Vec<ObservationId> {
    let filter = ObservationFilter { pending: true, ..ObservationFilter::default() };
    all(store, &filter).await.iter().map(|row| row.id).collect()
}

fn ids(documents: &[&NewDocument]) -> Vec<ObservationId> {
    let mut ids: Vec<_> = documents.iter().flat_map(|d| &d.observations).map(|o| o.id).collect();
    ids.sort_unstable();
    ids
}

fn fields(logged: &LoggedSet) -> Vec<LinkageFields> {
    logged.linkages.iter().map(|linkage| (**linkage).clone()).collect()
}

fn stored_fields(rows: &[ObservationRow]) -> Vec<LinkageFields> {
    rows.iter().map(|row| row.linkage.clone().unwrap().fields).collect()
}

// Tenants --------------------------------------------------------------------------------------------------------

pub async fn adding_a_tenant_again_changes_nothing(backend: &impl Backend) {
    let store = store(backend).await;
    record(&store, 5, &[document(1, 1)]).await;
    store.add_tenant(&tenant(), id(2), at(0)).await.unwrap();
    store.add_tenant(&"another".parse().unwrap(), id(3), at(0)).await.unwrap();
    assert_eq!(store.tenants().await.unwrap(), ["another".parse().unwrap(), tenant()]);
    // The chain's time stands too.
    let after = at(5).plus_micros(1).unwrap();
    assert_eq!(record(&store, 0, &[document(2, 1)]).await, [RecordedDocument::New(after)]);
}

pub async fn an_unknown_tenant_is_an_error_everywhere(backend: &impl Backend) {
    let store = store(backend).await;
    let unknown: &TenantId = &"unknown".parse().unwrap();
    let (document, mut fixture) = (document(1, 1), SignedFixture::new(1));
    let signed = fixture.sign(unknown, &[&document]);
    let logged = fixture.log(&signed);
    let (digest, envelope) = (document.facts.digest, signed.envelope.digest());
    let dead = Release::Dead { reason: "x".to_owned() };
    let (filter, bundle) = (ObservationFilter::default(), logged.entry.bundle_digest);
    let root = fixture.sign_root(&Head::new(unknown.clone(), id(1)).unwrap());
    let errors = [
        store.known_documents(unknown, &[digest]).await.err(),
        store.record_documents(unknown, &by(0), std::slice::from_ref(&document)).await.err(),
        store.record_documents(unknown, &by(0), &[]).await.err(),
        store.acquire_submissions(unknown, Stage::Attest, lease(1, 0), 1).await.err(),
        store.clear_leases(unknown, at(0)).await.err(),
        store.attestable_documents(unknown, &[digest]).await.err(),
        store.record_envelopes(unknown, at(0), TOKEN, &[], &[signed.to_new_envelope(id(1))]).await.err(),
        store.envelope(unknown, &envelope).await.err(),
        store.envelopes(unknown, &[envelope]).await.err(),
        store.signed_envelopes(unknown, &[envelope]).await.err(),
        store.kept_documents(unknown, &[digest]).await.err(),
        store.kept_entries(unknown, &[position(&logged)]).await.err(),
        store.record_answers(unknown, TOKEN, &[logged.to_answer(id(1))]).await.err(),
        store.link(unknown, &by(0), TOKEN, &[logged.to_new_link(None)]).await.err(),
        store.release_submission(unknown, &by(0), TOKEN, id(1), &dead).await.err(),
        store.explain_submissions(unknown, Stage::Submit, "x").await.err(),
        store.queued_submissions(unknown, false, None, 1).await.err(),
        store.settle_dead_submissions(unknown, None, Settle::Drop).await.err(),
        store.dropped(unknown, 1).await.err(),
        store.queue_dropped(unknown, at(0), &[(id(1), Dropped::Document(digest))]).await.err(),
        store.document(unknown, &digest).await.err(),
        store.document_body(unknown, &digest).await.err(),
        store.observation(unknown, &document.observations[0].id).await.err(),
        store.observation_bodies(unknown, &[document.observations[0].id]).await.err(),
        store.observations(unknown, &filter, None, 1).await.err(),
        store.bundle(unknown, &bundle).await.err(),
        store.bundle_of_envelope(unknown, &envelope).await.err(),
        store.envelopes_of_document(unknown, &digest).await.err(),
        store.record_statements(unknown, &by(0), &[statement(1, 1)]).await.err(),
        store.statements(unknown, &statement(1, 1).subject).await.err(),
        store.counts(unknown).await.err(),
        store.record_ledger_root(unknown, at(0), &root, None).await.err(),
        store.ledger_roots(unknown, 0, 1).await.err(),
        store.newest_ledger_root(unknown, false).await.err(),
        store.newest_ledger_anchor(unknown).await.err(),
        store.record_root_export(unknown, 1, &bundle).await.err(),
        store.add_api_token(&ApiToken { tenant: unknown.clone(), ..api_token(1) }).await.err(),
        store.api_tokens(unknown).await.err(),
        store.revoke_api_token(unknown, id(1), at(0)).await.err(),
        store.idempotent_answer(unknown, "k", at(0)).await.err(),
        store.record_idempotent_answer(unknown, at(0), &idempotent_answer("k", 1)).await.err(),
    ];
    for (index, error) in errors.iter().enumerate() {
        assert!(matches!(error, Some(Error::UnknownTenant(t)) if t == unknown), "{index}: {error:?}");
    }
    assert_eq!(store.tenants().await.unwrap(), [tenant()]);
}

pub async fn many_are_read_at_once_as_one_at_a_time(backend: &impl Backend) {
    let store = store(backend).await;
    let mut documents = [document(1, 3), document(2, 0), document(3, 2)];
    documents[2].findings =
        [3, 2, 1].map(|line| FindingRow { line: Some(line), ..finding("assumed_utc") }).to_vec();
    record(&store, 0, &documents).await;
    let (tenant, mut fixture) = (&tenant(), SignedFixture::new(1));
    let mut envelopes = Vec::new();
    for (number, document) in (100..).zip(&documents) {
        let signed = fixture.sign(tenant, &[document]);
        record_signed(&store, &signed, &[document], id(number)).await;
        envelopes.push(signed.envelope.digest());
    }
    let logged = fixture.log(&fixture.sign(tenant, &[&documents[0]]));
    link(&store, 2, &logged).await;

    let digests = documents.each_ref().map(|document| document.facts.digest);
    let missing = DocumentDigest::new(Digest::of(b"no document"));
    let kept = store.kept_documents(tenant, &[digests[2], missing, digests[1], digests[0]]).await.unwrap();
    assert_eq!(kept.len(), 3);
    for document in &documents {
        let kept = &kept[&document.facts.digest];
        assert_eq!(store.document(tenant, &document.facts.digest).await.unwrap().as_ref(), Some(&kept.row));
        assert_eq!(kept.body, Some(Digest::of(&document.body)));
        let expected: Vec<_> = ids(&[document]).into_iter().map(|id| (id, kept.row.created_at)).collect();
        assert_eq!(kept.observations, expected);
    }

    let missing = EnvelopeDigest::new(Digest::of(b"no envelope"));
    let asked = [envelopes[2], missing, envelopes[0], envelopes[1]];
    let (found, sent) = (
        store.envelopes(tenant, &asked).await.unwrap(),
        store.signed_envelopes(tenant, &asked).await.unwrap(),
    );
    assert_eq!((found.len(), sent.len()), (3, 3));
    for digest in &envelopes {
        let (found, sent) = (&found[digest], &sent[digest]);
        assert_eq!(store.envelope(tenant, digest).await.unwrap().as_ref(), Some(found));
        assert_eq!((&sent.bytes, sent.key_fingerprint), (&found.bytes, found.key_fingerprint));
    }

    let (log, index) = position(&logged);
    let kept = store.kept_entries(tenant, &[(log, index + 1), (log, index)]).await.unwrap();
    let [(at, kept)] = kept.into_iter().collect::<Vec<_>>().try_into().unwrap();
    assert_eq!((at, kept.row.entry, kept.row.envelope), ((log, index), logged.entry.entry, envelopes[0]));
    assert_eq!(kept.row.status, Some(VerificationStatus::Verified));
    assert_eq!(kept.bundle, Some(*kept.row.bundle_digest.digest()));
    assert_eq!(kept.row.bundle_digest, logged.entry.bundle_digest);
}

pub async fn tenants_see_nothing_of_one_another(backend: &impl Backend) {
    let store = store(backend).await;
    let other = &other_tenant();
    store.add_tenant(other, id(2), at(0)).await.unwrap();
    let (_, signed, logged) = logged_document(&store, 3).await;
    link(&store, 2, &logged).await;
    let digest = signed.documents[0];
    let observation = logged.linkages[0].observation;
    assert_eq!(store.known_documents(other, &[digest]).await.unwrap(), BTreeSet::new());
    assert_eq!(store.attestable_documents(other, &[digest]).await.unwrap(), []);
    let envelope = signed.envelope.digest();
    assert_eq!(store.envelope(other, &envelope).await.unwrap(), None);
    assert_eq!(store.envelopes(other, &[envelope]).await.unwrap(), BTreeMap::new());
    assert_eq!(store.signed_envelopes(other, &[envelope]).await.unwrap(), BTreeMap::new());
    assert_eq!(store.kept_documents(other, &[digest]).await.unwrap(), BTreeMap::new());
    assert_eq!(store.kept_entries(other, &[position(&logged)]).await.unwrap(), BTreeMap::new());
    assert_eq!(store.document(other, &digest).await.unwrap(), None);
    assert_eq!(store.document_body(other, &digest).await.unwrap(), None);
    assert_eq!(store.observation(other, &observation).await.unwrap(), None);
    assert_eq!(store.observation_bodies(other, &[observation]).await.unwrap(), []);
    let by_key = ObservationFilter {
        vulnerability: Some("CVE-2026-0".to_owned()),
        product: Some("pkg:deb/debian/product@0".to_owned()),
        ..ObservationFilter::default()
    };
    let by_entry = ObservationFilter { log_index: Some(0), ..ObservationFilter::default() };
    for filter in [ObservationFilter::default(), by_key, by_entry] {
        assert!(!all(&store, &filter).await.is_empty());
        assert_eq!(store.observations(other, &filter, None, 10).await.unwrap(), []);
    }
    assert_eq!(store.bundle(other, &logged.entry.bundle_digest).await.unwrap(), None);
    assert_eq!(store.bundle_of_envelope(other, &signed.envelope.digest()).await.unwrap(), None);
    assert_eq!(store.envelopes_of_document(other, &digest).await.unwrap(), []);
    assert_eq!(store.counts(other).await.unwrap(), Counts::default());
    record(&store, 3, &[document(2, 1)]).await;
    let lease = lease(1, 100);
    for stage in [Stage::Attest, Stage::Submit, Stage::Link] {
        assert_eq!(store.acquire_submissions(other, stage, lease, 10).await.unwrap(), []);
    }
    // Another tenant's observation is a missing one, and its lease is none.
    let stranger = store.link(other, &by(4), TOKEN, &[logged.to_new_link(None)]).await;
    assert!(stranger.is_err(), "{stranger:?}");
    let held = store.acquire_submissions(&tenant(), Stage::Attest, lease, 10).await.unwrap();
    let dead = Release::Dead { reason: "x".to_owned() };
    let lost = store.release_submission(other, &by(0), lease.token, held[0].id, &dead).await;
    assert!(matches!(lost, Err(Error::LostLease)), "{lost:?}");
    // Both may record the same document; each gets its own times.
    let again = store.record_documents(other, &by(1), &[document(1, 3)]).await.unwrap();
    assert_eq!(again, [RecordedDocument::New(at(1))]);
    let own = store.observation(other, &observation).await.unwrap().unwrap();
    assert_eq!((own.created_at, own.linkage), (at(1), None));
}

pub async fn what_is_recorded_is_there_after_opening_again(backend: &impl Backend) {
    let first = store(backend).await;
    let (_, _, logged) = logged_document(&first, 3).await;
    link(&first, 2, &logged).await;
    let before = (all(&first, &ObservationFilter::default()).await, first.counts(&tenant()).await.unwrap());
    drop(first);
    let again = backend.open().await;
    let after = (all(&again, &ObservationFilter::default()).await, again.counts(&tenant()).await.unwrap());
    assert_eq!(after, before);
    assert_eq!(again.tenants().await.unwrap(), [tenant()]);
}

// API tokens and kept answers ------------------------------------------------------------------------------------

fn api_token(number: u64) -> ApiToken {
    ApiToken {
        id: id(number),
        digest: Digest::of(&number.to_be_bytes()),
        tenant: tenant(),
        scopes: BTreeSet::from([Scope::VexRead]),
        label: None,
        created_at: at(1),
        expires_at: None,
        revoked_at: None,
    }
}

pub async fn an_api_token_comes_back_whole(backend: &impl Backend) {
    let store = store(backend).await;
    let bare = ApiToken { scopes: BTreeSet::new(), ..api_token(1) };
    let full = ApiToken {
        scopes: Scope::ALL.into_iter().collect(),
        label: Some("for the auditor".to_owned()),
        expires_at: Some(at(9)),
        ..api_token(2)
    };
    for token in [&bare, &full] {
        store.add_api_token(token).await.unwrap();
        assert_eq!(store.api_token(&token.digest).await.unwrap().as_ref(), Some(token));
    }
    assert_eq!(store.api_token(&Digest::of(b"never made")).await.unwrap(), None);
    assert!(full.holds_at(at(8)) && !full.holds_at(at(9)) && bare.holds_at(at(1_000_000)));
}

pub async fn api_tokens_are_listed_by_tenant(backend: &impl Backend) {
    let store = store(backend).await;
    store.add_tenant(&other_tenant(), id(2), at(0)).await.unwrap();
    let own = [2, 1].map(|number| ApiToken { created_at: at(10 - number as i64), ..api_token(number) });
    let foreign = ApiToken { tenant: other_tenant(), ..api_token(3) };
    for token in [&own[1], &foreign, &own[0]] {
        store.add_api_token(token).await.unwrap();
    }
    assert_eq!(store.api_tokens(&tenant()).await.unwrap(), own);
    assert_eq!(store.api_tokens(&other_tenant()).await.unwrap(), std::slice::from_ref(&foreign));
    assert!(!store.revoke_api_token(&tenant(), foreign.id, at(5)).await.unwrap());
    assert_eq!(store.api_token(&foreign.digest).await.unwrap(), Some(foreign));
}

pub async fn a_revoked_api_token_stays_revoked(backend: &impl Backend) {
    let store = store(backend).await;
    let token = api_token(1);
    assert!(!store.revoke_api_token(&tenant(), token.id, at(2)).await.unwrap());
    store.add_api_token(&token).await.unwrap();
    for now in [at(3), at(4)] {
        assert!(store.revoke_api_token(&tenant(), token.id, now).await.unwrap());
        let kept = store.api_token(&token.digest).await.unwrap().unwrap();
        assert_eq!(kept.revoked_at, Some(at(3)));
        assert!(!kept.holds_at(at(2)));
    }
}

fn idempotent_answer(key: &str, seconds: i64) -> IdempotentAnswer {
    IdempotentAnswer {
        key: key.to_owned(),
        request: Digest::of(&seconds.to_be_bytes()),
        status: 201,
        body: vec![0, 255],
        expires_at: at(seconds),
    }
}

pub async fn a_kept_answer_stays_until_it_may_be_forgotten(backend: &impl Backend) {
    let store = store(backend).await;
    let (tenant, first, second) = (&tenant(), idempotent_answer("k", 10), idempotent_answer("k", 20));
    assert_eq!(store.idempotent_answer(tenant, "k", at(0)).await.unwrap(), None);
    store.record_idempotent_answer(tenant, at(0), &first).await.unwrap();
    store.record_idempotent_answer(tenant, at(1), &second).await.unwrap();
    assert_eq!(store.idempotent_answer(tenant, "k", at(9)).await.unwrap(), Some(first));
    assert_eq!(store.idempotent_answer(tenant, "K", at(9)).await.unwrap(), None);
    assert_eq!(store.idempotent_answer(tenant, "k", at(10)).await.unwrap(), None);
    store.record_idempotent_answer(tenant, at(10), &second).await.unwrap();
    assert_eq!(store.idempotent_answer(tenant, "k", at(19)).await.unwrap(), Some(second));
}

// Documents and observations -------------------------------------------------------------------------------------

pub async fn a_document_comes_back_whole(backend: &impl Backend) {
    let store = store(backend).await;
    let new = document(1, 3);
    assert_eq!(record(&store, 0, std::slice::from_ref(&new)).await, [RecordedDocument::New(at(0))]);
    let row = store.document(&tenant(), &new.facts.digest).await.unwrap().unwrap();
    assert_eq!((row.facts, row.observations, row.created_at), (new.facts.clone(), 3, at(0)));
    assert_eq!(row.findings, []);
    let known = store.known_documents(&tenant(), &[new.facts.digest, document(2, 0).facts.digest]).await;
    assert_eq!(known.unwrap(), [new.facts.digest].into());
    assert_eq!(store.document(&tenant(), &document(2, 0).facts.digest).await.unwrap(), None);
}

pub async fn a_document_of_all_facts_comes_back_whole(backend: &impl Backend) {
    let store = store(backend).await;
    let mut expected = Vec::new();
    for (number, format) in (1..).zip(Format::ALL.iter().copied()) {
        let mut new = document(number, 2);
        // Not UTF-8, and with a zero byte: bodies are bytes.
        new.body = vec![0xff, 0x00, b'x', u8::try_from(number).unwrap()].into();
        new.facts = DocumentFacts {
            digest: DocumentDigest::new(Digest::of(&new.body)),
            payload_digest: Some(Digest::of(b"payload")),
            format,
            spec_version: Some("2.0".to_owned()),
            document_id: Some("https://acme.example/ü".to_owned()),
            revision: Some(String::new()),
            issuer: Some(("csaf".to_owned(), "https://acme.example \"x\"".to_owned())),
            stated_at: Some("2026-01-01T00:00:00.000000000Z".to_owned()),
            retires: ["withdrawn", "superseded", "deleted"].get(number as usize - 1).map(|s| (*s).to_owned()),
            source: "https://acme.example/vex.json".to_owned(),
            authentication: Authentication::Operator,
        };
        new.observations.clear();
        new.findings = vec![
            FindingRow {
                code: "unjustified".to_owned(),
                pointer: "/statements/1".to_owned(),
                line: Some(12),
                message: "no reason is given".to_owned(),
            },
            FindingRow {
                code: "assumed_utc".to_owned(),
                pointer: String::new(),
                line: None,
                message: "ü".to_owned(),
            },
        ];
        new.quarantine = Some("stated a year after its arrival".to_owned());
        record(&store, 0, std::slice::from_ref(&new)).await;
        expected.push(new);
    }
    for new in expected {
        let row = store.document(&tenant(), &new.facts.digest).await.unwrap().unwrap();
        assert_eq!((row.facts, row.observations, row.findings), (new.facts.clone(), 0, new.findings));
        assert_eq!(store.document_body(&tenant(), &new.facts.digest).await.unwrap(), Some(new.body.to_vec()));
    }
}

/// The document with only its first observation in memory, and others to come in parts of up to two, of which it says
/// that they are `told`.
fn in_parts(mut document: NewDocument, told: u64) -> NewDocument {
    let others = document.observations.split_off(1);
    let parts = others.chunks(2).rev().map(<[_]>::to_vec).collect();
    document.more = Some(MoreObservations { count: told, source: Arc::new(Parts(parts)) });
    document
}

#[derive(Debug, Clone)]
struct Parts(Vec<Vec<NewObservation>>);

impl ObservationSource for Parts {
    fn parts(&self) -> Box<dyn ObservationParts> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl ObservationParts for Parts {
    async fn next(&mut self) -> Option<Vec<NewObservation>> {
        self.0.pop()
    }
}

pub async fn observations_that_come_in_parts_are_recorded_as_if_they_came_together(backend: &impl Backend) {
    let store = store(backend).await;
    store.add_tenant(&other_tenant(), id(2), at(0)).await.unwrap();
    let whole = [document(1, 8), document(2, 2), document(3, 1), document(4, 6)];
    let parts =
        [in_parts(whole[0].clone(), 7), whole[1].clone(), whole[2].clone(), in_parts(whole[3].clone(), 5)];
    for (tenant, documents) in [(tenant(), &whole), (other_tenant(), &parts)] {
        let recorded = store.record_documents(&tenant, &by(5), documents).await.unwrap();
        assert_eq!(recorded, [RecordedDocument::New(at(5)); 4]);
        let again = store.record_documents(&tenant, &by(6), documents).await.unwrap();
        assert_eq!(again, [RecordedDocument::Unchanged; 4]);
    }
    let mut of_tenants = Vec::new();
    for tenant in [tenant(), other_tenant()] {
        let filter = ObservationFilter::default();
        let observations = store.observations(&tenant, &filter, None, 100).await.unwrap();
        let product = ObservationFilter { product: Some("sku of part 4".to_owned()), ..filter };
        let found = store.observations(&tenant, &product, None, 100).await.unwrap();
        let mut counted = Vec::new();
        for document in &whole {
            counted
                .push(store.document(&tenant, &document.facts.digest).await.unwrap().unwrap().observations);
        }
        let (events, _) = check_ledger(&store, &tenant).await;
        let said: Vec<_> = events.into_iter().map(|row| row.body).collect();
        of_tenants.push((observations, found, counted, said));
    }
    assert_eq!(of_tenants[0], of_tenants[1]);
    assert_eq!((of_tenants[0].0.len(), &of_tenants[0].2), (17, &vec![8, 2, 1, 6]));
}

pub async fn a_document_that_gives_other_observations_than_told_is_not_recorded(backend: &impl Backend) {
    let store = store(backend).await;
    for told in [4, 6] {
        let documents = [document(1, 2), in_parts(document(2, 6), told)];
        let refused = store.record_documents(&tenant(), &by(0), &documents).await.unwrap_err();
        let expected = told + 1;
        assert!(
            matches!(refused, Error::Observations { document, expected: e, found: 6 }
                if document == documents[1].facts.digest && e == expected),
            "{refused:?}"
        );
    }
    assert_eq!(store.observations(&tenant(), &ObservationFilter::default(), None, 9).await.unwrap(), []);
    assert_eq!(store.ledger_head(&tenant()).await.unwrap().sequence_no(), 0);
}

pub async fn an_observation_comes_back_whole(backend: &impl Backend) {
    let store = store(backend).await;
    let new = document(1, 5);
    record(&store, 0, std::slice::from_ref(&new)).await;
    for observation in &new.observations {
        let row = store.observation(&tenant(), &observation.id).await.unwrap().unwrap();
        let expected = ObservationRow {
            id: observation.id,
            document_digest: new.facts.digest,
            body: observation.body.clone(),
            claim_digest: observation.claim_digest,
            status: observation.status,
            vulnerability_id: observation.vulnerability_id.clone(),
            product_key: observation.product_key.clone(),
            subcomponent_key: observation.subcomponent_key.clone(),
            created_at: at(0),
            linkage: None,
            older_linkage: None,
        };
        assert_eq!(row, expected);
        assert_eq!(Observation::from_body(&row.body).unwrap().id(), row.id);
    }
    let missing = ObservationId::new(Digest::of(b"missing"));
    assert_eq!(store.observation(&tenant(), &missing).await.unwrap(), None);
    let ids: Vec<_> = new.observations.iter().map(|observation| observation.id).chain([missing]).collect();
    let mut bodies = store.observation_bodies(&tenant(), &ids).await.unwrap();
    let mut expected: Vec<_> =
        new.observations.iter().map(|observation| (observation.id, observation.body.clone())).collect();
    bodies.sort();
    expected.sort();
    assert_eq!(bodies, expected);
}

pub async fn a_document_without_observations_is_recorded_and_attested(backend: &impl Backend) {
    let store = store(backend).await;
    let mut new = document(1, 0);
    new.facts.retires = Some("withdrawn".to_owned());
    record(&store, 0, std::slice::from_ref(&new)).await;
    let attestable = store.attestable_documents(&tenant(), &[new.facts.digest]).await.unwrap();
    assert_eq!(attestable[0].observations, []);
    let mut fixture = SignedFixture::new(1);
    let signed = fixture.sign(&tenant(), &[&new]);
    record_signed(&store, &signed, &[&new], id(100)).await;
    let logged = fixture.log(&signed);
    assert_eq!(link(&store, 2, &logged).await, LinkCounts { linked: 0, kept: 0 });
    let bundle = store.bundle_of_envelope(&tenant(), &signed.envelope.digest()).await.unwrap();
    assert_eq!(bundle, Some((logged.entry.bundle_digest, logged.entry.bundle)));
    let envelope = store.envelope(&tenant(), &signed.envelope.digest()).await.unwrap().unwrap();
    assert_eq!((envelope.documents, envelope.observations), (vec![new.facts.digest], Vec::new()));
}

pub async fn recording_a_document_again_changes_nothing(backend: &impl Backend) {
    let store = store(backend).await;
    let (first, second) = (document(1, 3), document(2, 2));
    record(&store, 0, std::slice::from_ref(&first)).await;
    let row = store.document(&tenant(), &first.facts.digest).await.unwrap();
    // Another arrival of the same bytes: other source, other submission, later.
    let mut again = first.clone();
    again.facts.source = "elsewhere.json".to_owned();
    again.submission = id(50);
    assert_eq!(record(&store, 60, &[again.clone()]).await, [RecordedDocument::Unchanged]);
    assert_eq!(store.document(&tenant(), &first.facts.digest).await.unwrap(), row);
    let lease = lease(1, 100);
    let leased = store.acquire_submissions(&tenant(), Stage::Attest, lease, 10).await.unwrap();
    assert_eq!(leased.iter().map(|s| s.id).collect::<Vec<_>>(), [first.submission]);
    // The chain's time did not move, and equal documents of one call are one.
    let recorded = record(&store, 0, &[second.clone(), again, second.clone()]).await;
    let now = at(0).plus_micros(1).unwrap();
    let expected = [RecordedDocument::New(now), RecordedDocument::Unchanged, RecordedDocument::Unchanged];
    assert_eq!(recorded, expected);
    assert_eq!(store.counts(&tenant()).await.unwrap().observations, 5);
    assert_eq!(record(&store, 0, &[]).await, []);
}

pub async fn created_at_strictly_rises_though_the_clock_goes_back(backend: &impl Backend) {
    let store = store(backend).await;
    let mut last = Timestamp::EPOCH;
    for (number, seconds) in (1..).zip([10, 10, 5, -1_000, 20, 20]) {
        let recorded = record(&store, seconds, &[document(number, 1)]).await;
        let expected = at(seconds).max(last.plus_micros(1).unwrap());
        assert_eq!(recorded, [RecordedDocument::New(expected)]);
        last = expected;
    }
    // What was recorded while the clock stood back is due all the same.
    let leased = store.acquire_submissions(&tenant(), Stage::Attest, lease(1, 20), 10).await.unwrap();
    assert_eq!(leased.len(), 6);
}

pub async fn all_that_one_call_records_has_one_time(backend: &impl Backend) {
    let store = store(backend).await;
    let documents: Vec<_> = (1..=4).map(|number| document(number, 3)).collect();
    assert_eq!(record(&store, 7, &documents).await, [RecordedDocument::New(at(7)); 4]);
    let times: BTreeSet<_> =
        all(&store, &ObservationFilter::default()).await.iter().map(|row| row.created_at).collect();
    assert_eq!(times, [at(7)].into());
}

pub async fn many_rows_of_each_kind_come_back(backend: &impl Backend) {
    let store = store(backend).await;
    let mut documents: Vec<_> = (1..=150).map(|number| document(number, 7)).collect();
    documents.push(document(151, 1_500));
    for document in &mut documents {
        let finding = |line| FindingRow {
            code: "missing_id".to_owned(),
            pointer: format!("/{line}"),
            line: Some(line),
            message: "x".to_owned(),
        };
        document.findings = (1..=3).map(finding).collect();
        document.quarantine = Some("x".to_owned());
    }
    record(&store, 0, &documents).await;
    let digests: Vec<_> = documents.iter().rev().map(|document| document.facts.digest).collect();
    assert_eq!(store.known_documents(&tenant(), &digests).await.unwrap().len(), 151);
    let attestable = store.attestable_documents(&tenant(), &digests).await.unwrap();
    assert_eq!(attestable.iter().map(|document| document.digest).collect::<Vec<_>>(), digests);
    for (attestable, new) in attestable.iter().zip(documents.iter().rev()) {
        assert_eq!(attestable.observations, ids(&[new]));
        let row = store.document(&tenant(), &new.facts.digest).await.unwrap().unwrap();
        assert_eq!(row.findings, new.findings);
    }
    let references: Vec<_> = documents.iter().collect();
    assert_eq!(pending(&store).await, ids(&references));
    let signed = SignedFixture::new(1).sign(&tenant(), &references);
    record_signed(&store, &signed, &references, id(1_000)).await;
    let envelope = store.envelope(&tenant(), &signed.envelope.digest()).await.unwrap().unwrap();
    assert_eq!(envelope.observations, ids(&references));
    assert_eq!(envelope.documents, signed.documents);
}

// Lists and look-ups ---------------------------------------------------------------------------------------------

pub async fn pending_observations_come_in_the_order_they_were_recorded(backend: &impl Backend) {
    let store = store(backend).await;
    let documents: Vec<_> = [3, 1, 2].map(|number| document(number, 4)).into();
    let mut expected = Vec::new();
    for (seconds, document) in (0..).zip(&documents) {
        record(&store, seconds, std::slice::from_ref(document)).await;
        expected.extend(ids(&[document]));
    }
    assert_eq!(pending(&store).await, expected);
    assert_eq!(store.counts(&tenant()).await.unwrap().oldest_pending, Some(at(0)));
    // Linked ones leave the list, the others keep their order.
    let mut fixture = SignedFixture::new(1);
    let signed = fixture.sign(&tenant(), &[&documents[0]]);
    record_signed(&store, &signed, &[&documents[0]], id(100)).await;
    link(&store, 9, &fixture.log(&signed)).await;
    assert_eq!(pending(&store).await, expected[4..]);
    assert_eq!(store.counts(&tenant()).await.unwrap().oldest_pending, Some(at(1)));
}

pub async fn pending_observations_come_in_created_at_order_under_concurrent_writers(backend: &impl Backend) {
    let (first, second) = (store(backend).await, backend.open().await);
    let write = async |store: &_, numbers: std::ops::Range<u64>| {
        for number in numbers {
            // Both clocks stand still, so times are the chain's alone.
            record(store, 0, &[document(number, 2), document(number + 1_000, 1)]).await;
        }
    };
    // Reads on from where it was, as a worker does, while others write.
    let read = async |store: &_| {
        let filter = ObservationFilter { pending: true, ..ObservationFilter::default() };
        let mut seen: Vec<ObservationRow> = Vec::new();
        while seen.len() < 60 {
            let after = seen.last().map(ObservationRow::position);
            let store: &_ = store;
            seen.extend(Store::observations(store, &tenant(), &filter, after, 7).await.unwrap());
        }
        seen
    };
    let (write, read) = (&write, &read);
    let futures: Vec<Pin<Box<dyn Future<Output = Vec<ObservationRow>> + '_>>> = vec![
        Box::pin(async {
            write(&first, 0..10).await;
            Vec::new()
        }),
        Box::pin(async {
            write(&second, 10..20).await;
            Vec::new()
        }),
        Box::pin(read(&first)),
    ];
    let seen = at_once(futures).await.pop().unwrap();
    assert!(seen.is_sorted_by(|a, b| a.position() < b.position()));
    assert_eq!(seen.iter().map(|row| row.id).collect::<Vec<_>>(), pending(&second).await);
    let times: BTreeSet<_> = seen.iter().map(|row| row.created_at).collect();
    assert_eq!(times.len(), 20);
}

pub async fn pages_show_each_observation_once(backend: &impl Backend) {
    let store = store(backend).await;
    for number in 1..=4 {
        record(&store, 0, &[document(number, 5), document(number + 10, 4)]).await;
    }
    let everything = all(&store, &ObservationFilter::default()).await;
    assert_eq!(everything.len(), 36);
    assert!(everything.is_sorted_by_key(ObservationRow::position));
    let by_key = ObservationFilter {
        product: Some("pkg:deb/debian/product@1".to_owned()),
        ..ObservationFilter::default()
    };
    let by_document =
        ObservationFilter { document: Some(document(2, 0).facts.digest), ..ObservationFilter::default() };
    let pending = ObservationFilter { pending: true, ..ObservationFilter::default() };
    for filter in [ObservationFilter::default(), by_key, by_document, pending] {
        let whole = all(&store, &filter).await;
        for limit in [1, 2, 5, 9, 36, 37] {
            let mut paged: Vec<ObservationRow> = Vec::new();
            loop {
                let after = paged.last().map(ObservationRow::position);
                let page = store.observations(&tenant(), &filter, after, limit).await.unwrap();
                assert!(page.len() <= limit);
                if page.is_empty() {
                    break;
                }
                paged.extend(page);
            }
            assert_eq!(paged, whole, "{filter:?} by {limit}");
        }
    }
    assert_eq!(store.observations(&tenant(), &ObservationFilter::default(), None, 0).await.unwrap(), []);
}

pub async fn observations_are_found_by_every_key(backend: &impl Backend) {
    let store = store(backend).await;
    let documents = [document(1, 20), document(2, 20)];
    record(&store, 0, &documents).await;
    let expected = |holds: &dyn Fn(&NewObservation) -> bool| {
        let mut ids: Vec<_> =
            documents.iter().flat_map(|d| &d.observations).filter(|o| holds(o)).map(|o| o.id).collect();
        ids.sort_unstable();
        assert!(!ids.is_empty());
        ids
    };
    let found = async |filter: ObservationFilter| {
        all(&store, &filter).await.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let has = |kind, key: &'static str| {
        move |o: &NewObservation| o.keys.iter().any(|(k, text)| (*k, text.as_str()) == (kind, key))
    };
    for (kind, key) in [(KeyKind::Vulnerability, "CVE-2026-3"), (KeyKind::Alias, "GHSA-3")] {
        let filter = ObservationFilter { vulnerability: Some(key.to_owned()), ..Default::default() };
        assert_eq!(found(filter).await, expected(&has(kind, key)));
        let filter = ObservationFilter { product: Some(key.to_owned()), ..Default::default() };
        assert_eq!(found(filter).await, []);
    }
    for (kind, key) in [
        (KeyKind::Product, "pkg:deb/debian/product@2"),
        (KeyKind::Identifier, "sku of pkg:deb/debian/product@2"),
        (KeyKind::Subcomponent, "part 2"),
    ] {
        let filter = ObservationFilter { product: Some(key.to_owned()), ..Default::default() };
        assert_eq!(found(filter).await, expected(&has(kind, key)));
        let filter = ObservationFilter { vulnerability: Some(key.to_owned()), ..Default::default() };
        assert_eq!(found(filter).await, []);
    }
    // Equality only: no patterns, no case folding.
    for key in ["%", "CVE-2026-*", "cve-2026-3", "CVE-2026-3 ", ""] {
        let filter = ObservationFilter { vulnerability: Some(key.to_owned()), ..Default::default() };
        assert_eq!(found(filter).await, []);
    }
    for status in Status::ALL {
        let filter = ObservationFilter { status: Some(*status), ..Default::default() };
        assert_eq!(found(filter).await, expected(&|o| o.status == *status));
    }
    let filter = ObservationFilter { document: Some(documents[1].facts.digest), ..Default::default() };
    assert_eq!(found(filter).await, ids(&[&documents[1]]));
}

pub async fn conditions_of_a_filter_hold_together(backend: &impl Backend) {
    let store = store(backend).await;
    let documents = [document(1, 80), document(2, 80)];
    record(&store, 0, &documents).await;
    let mut fixture = SignedFixture::new(1);
    let signed = fixture.sign(&tenant(), &[&documents[0]]);
    record_signed(&store, &signed, &[&documents[0]], id(100)).await;
    let logged = fixture.log(&signed);
    link(&store, 1, &logged).await;
    let filter = ObservationFilter {
        document: Some(documents[0].facts.digest),
        vulnerability: Some("CVE-2026-3".to_owned()),
        product: Some("pkg:deb/debian/product@2".to_owned()),
        status: Some(Status::UnderInvestigation),
        rekor_uuid: Some(logged.entry.linked.rekor_uuid),
        log_index: Some(0),
        pending: false,
    };
    let found = all(&store, &filter).await;
    let keys = |o: &NewObservation| {
        o.vulnerability_id == "CVE-2026-3" && o.product_key == "pkg:deb/debian/product@2"
    };
    let expected = documents[0].observations.iter().filter(|o| keys(o)).map(|o| o.id);
    assert_eq!(found.iter().map(|row| row.id).collect::<BTreeSet<_>>(), expected.collect());
    assert!(!found.is_empty());
    let fails = [
        ObservationFilter { document: Some(documents[1].facts.digest), ..filter.clone() },
        ObservationFilter { vulnerability: Some("CVE-2026-9".to_owned()), ..filter.clone() },
        ObservationFilter { product: Some("nothing".to_owned()), ..filter.clone() },
        ObservationFilter { status: Some(Status::Fixed), ..filter.clone() },
        ObservationFilter { rekor_uuid: Some(Digest::of(b"x")), ..filter.clone() },
        ObservationFilter { log_index: Some(1), ..filter.clone() },
        ObservationFilter { pending: true, ..filter.clone() },
    ];
    for filter in fails {
        assert_eq!(all(&store, &filter).await, [], "{filter:?}");
    }
}

pub async fn linkages_are_looked_up_by_leaf_hash_and_by_log_index(backend: &impl Backend) {
    let store = store(backend).await;
    let documents = [document(1, 3), document(2, 2), document(3, 2)];
    record(&store, 0, &documents).await;
    let (mut first, mut second) = (SignedFixture::new(1), SignedFixture::new(2));
    let mut logged = Vec::new();
    for (number, document) in (100..).zip(&documents[..2]) {
        let signed = first.sign(&tenant(), &[document]);
        record_signed(&store, &signed, &[document], id(number)).await;
        logged.push(first.log(&signed));
    }
    // The third stands at index 0 of another log.
    let signed = second.sign(&tenant(), &[&documents[2]]);
    record_signed(&store, &signed, &[&documents[2]], id(102)).await;
    logged.push(second.log(&signed));
    for logged in &logged {
        link(&store, 1, logged).await;
    }
    for (logged, document) in logged.iter().zip(&documents) {
        let filter =
            ObservationFilter { rekor_uuid: Some(logged.entry.linked.rekor_uuid), ..Default::default() };
        let found: Vec<_> = all(&store, &filter).await.iter().map(|row| row.id).collect();
        assert_eq!(found, ids(&[document]));
    }
    let by_index = async |index| {
        let filter = ObservationFilter { log_index: Some(index), ..Default::default() };
        all(&store, &filter).await.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(by_index(0).await, ids(&[&documents[0], &documents[2]]));
    assert_eq!(by_index(1).await, ids(&[&documents[1]]));
    // One of the largest that a store keeps, and those beyond.
    for index in [2, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
        assert_eq!(by_index(index).await, [], "{index}");
    }
}

// Linking --------------------------------------------------------------------------------------------------------

pub async fn a_linkage_comes_back_whole(backend: &impl Backend) {
    let store = store(backend).await;
    // One observation has an empty path into its set; the others have paths, and the log has others before them.
    let documents = [document(1, 1), document(2, 6)];
    record(&store, 0, &documents).await;
    let mut fixture = SignedFixture::new(1);
    for (number, document) in (100..).zip(&documents) {
        let signed = fixture.sign(&tenant(), &[document]);
        record_signed(&store, &signed, &[document], id(number)).await;
        fixture.log(&signed);
        // One has a timestamp, to the microsecond.
        let time = (number == 100).then(|| at(2).plus_micros(345_678).unwrap());
        let logged = match time {
            Some(time) => fixture.log_timestamped(&signed, time),
            None => fixture.log(&signed),
        };
        assert_eq!(link(&store, 3, &logged).await.linked, document.observations.len() as u64);
        assert!(!logged.entry.linked.inclusion_path.is_empty());
        assert_eq!(logged.entry.linked.timestamp_time, time);
        // All of one envelope at the time of its event.
        let linked_at = at(3).plus_micros(number as i64 - 100).unwrap();
        for linkage in &logged.linkages {
            let row = store.observation(&tenant(), &linkage.observation).await.unwrap().unwrap();
            let stored = row.linkage.unwrap();
            assert_eq!((stored.fields, stored.linked_at), ((**linkage).clone(), linked_at));
        }
        assert_eq!(stored_fields(&listed(&store, document).await), fields(&logged));
        let bundle = store.bundle(&tenant(), &logged.entry.bundle_digest).await.unwrap();
        assert_eq!(bundle, Some(logged.entry.bundle.clone()));
    }
    let counts = store.counts(&tenant()).await.unwrap();
    // The time of the newest event.
    let last_at = Some(at(3).plus_micros(1).unwrap());
    let expected =
        Counts { documents: 2, observations: 7, linked: 7, failed: 0, oldest_pending: None, last_at };
    assert_eq!(counts, expected);
}

async fn listed(store: &impl Store, document: &NewDocument) -> Vec<ObservationRow> {
    let filter = ObservationFilter { document: Some(document.facts.digest), ..Default::default() };
    all(store, &filter).await
}

pub async fn linking_a_missing_observation_is_refused_and_writes_nothing(backend: &impl Backend) {
    let store = store(backend).await;
    let (recorded, missing) = (document(1, 3), document(2, 3));
    record(&store, 0, std::slice::from_ref(&recorded)).await;
    let mut fixture = SignedFixture::new(1);
    let signed = fixture.sign(&tenant(), &[&recorded, &missing]);
    record_signed(&store, &signed, &[&recorded], id(100)).await;
    let logged = fixture.log(&signed);
    let lease = lease(5, 10);
    store.acquire_submissions(&tenant(), Stage::Submit, lease, 1).await.unwrap();
    let links = [logged.to_new_link(Some(id(100)))];
    let refused = store.link(&tenant(), &by(11), lease.token, &links).await;
    let is_missing = |id: &ObservationId| missing.observations.iter().any(|o| o.id == *id);
    assert!(matches!(&refused, Err(Error::UnknownObservation(id)) if is_missing(id)), "{refused:?}");
    assert_eq!(pending(&store).await, ids(&[&recorded]));
    assert_eq!(store.bundle(&tenant(), &logged.entry.bundle_digest).await.unwrap(), None);
    assert_eq!(store.bundle_of_envelope(&tenant(), &signed.envelope.digest()).await.unwrap(), None);
    // The submission is still leased: what exists can be linked and end it.
    let known: Vec<_> =
        logged.linkages.iter().filter(|linkage| !is_missing(&linkage.observation)).cloned().collect();
    let links = [NewLink { entry: &logged.entry, linkages: &known, finished: Some(id(100)) }];
    let counts = store.link(&tenant(), &by(11), lease.token, &links).await.unwrap();
    assert_eq!(counts, LinkCounts { linked: 3, kept: 0 });
}

pub async fn linking_again_changes_nothing(backend: &impl Backend) {
    let store = store(backend).await;
    let (_, signed, logged) = logged_document(&store, 4).await;
    assert_eq!(link(&store, 2, &logged).await, LinkCounts { linked: 4, kept: 0 });
    let before = all(&store, &ObservationFilter::default()).await;
    assert_eq!(link(&store, 50, &logged).await, LinkCounts { linked: 0, kept: 4 });
    assert_eq!(all(&store, &ObservationFilter::default()).await, before);
    let bundle = store.bundle_of_envelope(&tenant(), &signed.envelope.digest()).await.unwrap();
    assert_eq!(bundle, Some((logged.entry.bundle_digest, logged.entry.bundle)));
}

pub async fn another_entry_is_kept_and_the_first_linkage_stays(backend: &impl Backend) {
    let store = store(backend).await;
    let (mut fixture, signed, first) = logged_document(&store, 4).await;
    let second = fixture.log(&signed);
    let mut elsewhere = SignedFixture::new(1);
    elsewhere.log_signer = LocalSigner::ed25519_from_random(&[9; 32]);
    let log = TrustedLog::embedded("other.provex.internal", elsewhere.log_signer.public_key().clone(), at(0));
    elsewhere.trusted_root.logs = vec![log];
    let third = elsewhere.log(&signed);
    link(&store, 2, &first).await;
    let before = all(&store, &ObservationFilter::default()).await;
    for (seconds, other) in [(3, &second), (4, &third)] {
        assert_eq!(link(&store, seconds, other).await, LinkCounts { linked: 0, kept: 4 });
        // Kept: its bundle can be read.
        let bundle = store.bundle(&tenant(), &other.entry.bundle_digest).await.unwrap();
        assert_eq!(bundle, Some(other.entry.bundle.clone()));
    }
    assert_eq!(all(&store, &ObservationFilter::default()).await, before);
    assert_eq!(stored_fields(&before), fields(&first));
    let bundle = store.bundle_of_envelope(&tenant(), &signed.envelope.digest()).await.unwrap();
    assert_eq!(bundle, Some((first.entry.bundle_digest, first.entry.bundle)));
}

pub async fn a_part_of_an_envelope_can_be_linked_and_the_rest_later(backend: &impl Backend) {
    let store = store(backend).await;
    let (_, _, logged) = logged_document(&store, 5).await;
    let (first, rest) = logged.linkages.split_at(2);
    for (linkages, linked) in [(first, 2), (rest, 3)] {
        let links = [NewLink { entry: &logged.entry, linkages, finished: None }];
        let counts = store.link(&tenant(), &by(2), TOKEN, &links).await.unwrap();
        assert_eq!(counts, LinkCounts { linked, kept: 0 });
        assert_eq!(store.counts(&tenant()).await.unwrap().linked, if linked == 2 { 2 } else { 5 });
    }
    assert_eq!(stored_fields(&all(&store, &ObservationFilter::default()).await), fields(&logged));
}

pub async fn more_linkages_than_one_call_may_hold_are_refused(backend: &impl Backend) {
    let store = store(backend).await;
    let (_, _, mut logged) = logged_document(&store, 1_001).await;
    let last = logged.linkages.pop().unwrap();
    let rest = [last.clone()];
    let links = [logged.to_new_link(None), NewLink { entry: &logged.entry, linkages: &rest, finished: None }];
    let refused = store.link(&tenant(), &by(2), TOKEN, &links).await;
    assert!(matches!(refused, Err(Error::TooMany { limit: MAX_LINKAGES, found: 1_001 })), "{refused:?}");
    assert_eq!(store.counts(&tenant()).await.unwrap().linked, 0);
    assert_eq!(link(&store, 2, &logged).await, LinkCounts { linked: 1_000, kept: 0 });
    assert_eq!(pending(&store).await, [last.observation]);
}

pub async fn equal_bundles_are_kept_once(backend: &impl Backend) {
    let store = store(backend).await;
    let (_, _, mut logged) = logged_document(&store, 2).await;
    link(&store, 2, &logged).await;
    // Another entry that comes with the same bundle bytes.
    let mut linked = (*logged.entry.linked).clone();
    linked.log_index = 77;
    logged.entry.linked = Arc::new(linked);
    assert_eq!(link(&store, 3, &logged).await, LinkCounts { linked: 0, kept: 2 });
    let bundle = store.bundle(&tenant(), &logged.entry.bundle_digest).await.unwrap();
    assert_eq!(bundle, Some(logged.entry.bundle));
}

// Envelopes and logs ---------------------------------------------------------------------------------------------

pub async fn an_envelope_comes_back_whole(backend: &impl Backend) {
    let store = store(backend).await;
    let documents = [document(1, 3), document(2, 4)];
    record(&store, 0, &documents).await;
    let both = [&documents[0], &documents[1]];
    let signed = SignedFixture::new(1).sign(&tenant(), &both);
    record_signed(&store, &signed, &both, id(100)).await;
    let digest = signed.envelope.digest();
    let envelope = store.envelope(&tenant(), &digest).await.unwrap().unwrap();
    assert_eq!(envelope.bytes, signed.envelope.to_jcs());
    assert_eq!(envelope.key_fingerprint, signed.key_fingerprint);
    assert_eq!((envelope.documents, envelope.observations), (signed.documents.clone(), ids(&both)));
    assert_eq!(envelope.created_at, at(1));
    let later = SignedFixture::new(2).sign(&tenant(), &[&documents[1]]);
    let lease = Lease { token: TOKEN, now: at(2), until: at(3) };
    store.acquire_submissions(&tenant(), Stage::Attest, lease, 10).await.unwrap();
    let envelopes = [later.to_new_envelope(id(101))];
    store.record_envelopes(&tenant(), at(2), TOKEN, &[], &envelopes).await.unwrap();
    let of = async |document: &NewDocument| {
        store.envelopes_of_document(&tenant(), &document.facts.digest).await.unwrap()
    };
    assert_eq!(of(&documents[0]).await, [digest]);
    assert_eq!(of(&documents[1]).await, [digest, later.envelope.digest()]);
    let missing = EnvelopeDigest::new(Digest::of(b"missing"));
    assert_eq!(store.envelope(&tenant(), &missing).await.unwrap(), None);
    assert_eq!(store.bundle_of_envelope(&tenant(), &digest).await.unwrap(), None);
}

pub async fn recording_an_envelope_again_changes_nothing(backend: &impl Backend) {
    let store = store(backend).await;
    let (_, signed, _) = logged_document(&store, 3).await;
    let digest = signed.envelope.digest();
    let before = store.envelope(&tenant(), &digest).await.unwrap();
    let envelopes = [signed.to_new_envelope(id(101))];
    store.record_envelopes(&tenant(), at(9), TOKEN, &[], &envelopes).await.unwrap();
    assert_eq!(store.envelope(&tenant(), &digest).await.unwrap(), before);
    // It is queued once: nothing is sent twice.
    let leased = store.acquire_submissions(&tenant(), Stage::Submit, lease(1, 20), 10).await.unwrap();
    assert_eq!(leased.iter().map(|s| s.id).collect::<Vec<_>>(), [id(100)]);
}

pub async fn a_log_checkpoint_only_grows(backend: &impl Backend) {
    let store = store(backend).await;
    let mut fixture = SignedFixture::new(1);
    let (log, other) = (fixture.log_id(), SignedFixture::new(2).log_id());
    assert_eq!(store.log_checkpoint(&log).await.unwrap(), None);
    let signed = fixture.sign(&tenant(), &[&document(1, 1)]);
    let checkpoints: Vec<_> = (0..4).map(|_| fixture.log(&signed).checkpoint).collect();
    for (record, expected) in [(1, 1), (0, 1), (2, 2), (1, 2), (3, 3)] {
        store.record_log_checkpoint(&log, &checkpoints[record]).await.unwrap();
        assert_eq!(store.log_checkpoint(&log).await.unwrap().as_ref(), Some(&checkpoints[expected]));
    }
    // One of the same size changes nothing, whatever it says.
    let equal = LogCheckpoint { root: Digest::of(b"fork"), seen_at: at(9), ..checkpoints[3].clone() };
    store.record_log_checkpoint(&log, &equal).await.unwrap();
    assert_eq!(store.log_checkpoint(&log).await.unwrap().as_ref(), Some(&checkpoints[3]));
    assert_eq!(store.log_checkpoint(&other).await.unwrap(), None);
    store.record_log_checkpoint(&other, &checkpoints[0]).await.unwrap();
    let mut every = vec![(log, checkpoints[3].clone()), (other, checkpoints[0].clone())];
    every.sort_by_key(|(log, _)| *log);
    assert_eq!(store.log_checkpoints().await.unwrap(), every);
}

// The queue ------------------------------------------------------------------------------------------------------

pub async fn the_stages_lead_from_a_document_to_its_linkages(backend: &impl Backend) {
    let store = store(backend).await;
    let documents = [document(1, 2), document(2, 3)];
    record(&store, 0, &documents).await;
    let lease = lease(5, 0);
    let leased = store.acquire_submissions(&tenant(), Stage::Attest, lease, 10).await.unwrap();
    let subjects: Vec<_> = leased.iter().map(|s| s.subject.clone()).collect();
    let expected: Vec<_> = documents.iter().map(|d| SubmissionSubject::Document(d.facts.digest)).collect();
    assert_eq!(subjects, expected);
    let mut fixture = SignedFixture::new(1);
    let signed = fixture.sign(&tenant(), &[&documents[0], &documents[1]]);
    let envelopes = [signed.to_new_envelope(id(100))];
    let replaced = [documents[0].submission, documents[1].submission];
    store.record_envelopes(&tenant(), at(1), lease.token, &replaced, &envelopes).await.unwrap();
    assert_eq!(acquired(&store, Stage::Attest, 100).await, NO_IDS);

    let lease = self::lease(6, 1);
    let leased = store.acquire_submissions(&tenant(), Stage::Submit, lease, 10).await.unwrap();
    assert_eq!((leased.len(), leased[0].attempts), (1, 1));
    assert_eq!(leased[0].subject, SubmissionSubject::Envelope(signed.envelope.digest()));
    let logged = fixture.log(&signed);
    let answer = logged.to_answer(leased[0].id);
    store.record_answers(&tenant(), lease.token, std::slice::from_ref(&answer)).await.unwrap();
    assert_eq!(pending(&store).await.len(), 5, "an unverified answer is no linkage");

    // Another worker finds the answer at once, and needs no log.
    let lease = self::lease(7, 2);
    let leased = store.acquire_submissions(&tenant(), Stage::Link, lease, 10).await.unwrap();
    let subject = SubmissionSubject::Answer {
        envelope: signed.envelope.digest(),
        log: logged.answer.log_id,
        entry: answer.entry,
    };
    assert_eq!((leased[0].id, &leased[0].subject, leased[0].attempts), (id(100), &subject, 2));
    let links = [logged.to_new_link(Some(leased[0].id))];
    store.link(&tenant(), &by(3), lease.token, &links).await.unwrap();
    for stage in [Stage::Attest, Stage::Submit, Stage::Link] {
        assert_eq!(acquired(&store, stage, 1_000).await, NO_IDS);
    }
    assert_eq!(pending(&store).await, []);
}

const NO_IDS: [Uuid; 0] = [];

/// The ids of what can be leased then, which it is.
async fn acquired(store: &impl Store, stage: Stage, seconds: i64) -> Vec<Uuid> {
    let leased = store.acquire_submissions(&tenant(), stage, lease(9, seconds), 1_000).await.unwrap();
    leased.iter().map(|submission| submission.id).collect()
}

pub async fn submissions_are_leased_oldest_first_when_due(backend: &impl Backend) {
    let store = store(backend).await;
    for (number, seconds) in [(1, 30), (2, 10), (3, 20), (4, 10)] {
        record(&store, seconds, &[document(number, 1)]).await;
    }
    let take = async |token, seconds, limit| {
        let lease = lease(token, seconds);
        let leased = store.acquire_submissions(&tenant(), Stage::Attest, lease, limit).await.unwrap();
        leased.iter().map(|submission| submission.id).collect::<Vec<_>>()
    };
    assert_eq!(take(3, 25, 2).await, [id(2), id(4)]);
    assert_eq!(take(4, 25, 10).await, [id(3)]);
    assert_eq!(take(5, 30, 10).await, [id(1)]);
    assert_eq!(take(6, 30, 10).await, NO_IDS);
    assert_eq!(take(7, 50, 0).await, NO_IDS);
}

pub async fn two_workers_never_lease_the_same_submission(backend: &impl Backend) {
    let (first, second) = (store(backend).await, backend.open().await);
    let documents: Vec<_> = (1..=60).map(|number| document(number, 1)).collect();
    record(&first, 0, &documents).await;
    let work = async |store: &_, token: u64| {
        let mut mine = Vec::new();
        for round in 0..10 {
            let lease = Lease { token: LeaseToken(id(token + round)), now: at(0), until: at(10) };
            let store: &_ = store;
            let leased = Store::acquire_submissions(store, &tenant(), Stage::Attest, lease, 3).await.unwrap();
            assert!(leased.iter().all(|submission| submission.attempts == 1));
            mine.extend(leased.into_iter().map(|submission| submission.id));
        }
        mine
    };
    let work = &work;
    let futures: Vec<Pin<Box<dyn Future<Output = Vec<Uuid>> + '_>>> = vec![
        Box::pin(work(&first, 1_000)),
        Box::pin(work(&second, 2_000)),
        Box::pin(work(&first, 3_000)),
        Box::pin(work(&second, 4_000)),
    ];
    let taken = at_once(futures).await.concat();
    let distinct: BTreeSet<_> = taken.iter().copied().collect();
    assert_eq!((taken.len(), distinct.len()), (60, 60));
}

pub async fn an_expired_lease_can_be_taken_by_another(backend: &impl Backend) {
    let store = store(backend).await;
    record(&store, 0, &[document(1, 1)]).await;
    let (first, second) = (lease(1, 0), lease(2, 10));
    let leased = store.acquire_submissions(&tenant(), Stage::Attest, first, 1).await.unwrap();
    assert_eq!(leased[0].attempts, 1);
    let early = Lease { now: at(9), ..second };
    assert_eq!(store.acquire_submissions(&tenant(), Stage::Attest, early, 1).await.unwrap(), []);
    let leased = store.acquire_submissions(&tenant(), Stage::Attest, second, 1).await.unwrap();
    assert_eq!(leased[0].attempts, 2);
    // The first worker comes too late.
    let dead = Release::Dead { reason: "x".to_owned() };
    let lost = store.release_submission(&tenant(), &by(0), first.token, leased[0].id, &dead).await;
    assert!(matches!(lost, Err(Error::LostLease)), "{lost:?}");
    store.release_submission(&tenant(), &by(0), second.token, leased[0].id, &dead).await.unwrap();
}

pub async fn a_released_submission_is_due_again_at_its_time(backend: &impl Backend) {
    let store = store(backend).await;
    record(&store, 0, &[document(1, 1)]).await;
    let first = lease(1, 0);
    store.acquire_submissions(&tenant(), Stage::Attest, first, 1).await.unwrap();
    let retry = Release::Retry { at: at(5), reason: "the log did not answer".to_owned() };
    store.release_submission(&tenant(), &by(0), first.token, id(1), &retry).await.unwrap();
    let lost = store.release_submission(&tenant(), &by(0), first.token, id(1), &retry).await;
    assert!(matches!(lost, Err(Error::LostLease)), "{lost:?}");
    assert_eq!(acquired(&store, Stage::Attest, 4).await, NO_IDS);
    let leased = store.acquire_submissions(&tenant(), Stage::Attest, lease(2, 5), 1).await.unwrap();
    assert_eq!((leased[0].id, leased[0].attempts), (id(1), 2));
    assert_eq!(store.counts(&tenant()).await.unwrap().failed, 0);
}

pub async fn what_cannot_go_on_says_why_and_is_due_as_before(backend: &impl Backend) {
    let store = store(backend).await;
    let other: &TenantId = &"other".parse().unwrap();
    store.add_tenant(other, id(9), at(0)).await.unwrap();
    record(&store, 10, &[document(1, 1), document(2, 1), document(3, 1), document(4, 1)]).await;
    let lease = lease(1, 10);
    store.acquire_submissions(&tenant(), Stage::Attest, lease, 3).await.unwrap();
    let retry = Release::Retry { at: at(400), reason: "the log did not answer".to_owned() };
    store.release_submission(&tenant(), &by(0), lease.token, id(2), &retry).await.unwrap();
    let dead = Release::Dead { reason: "the log refused the key".to_owned() };
    store.release_submission(&tenant(), &by(0), lease.token, id(3), &dead).await.unwrap();
    let why = "no log may be used now";
    for (tenant, stage, explained) in [
        (&tenant(), Stage::Submit, 0),
        (other, Stage::Attest, 0),
        (&tenant(), Stage::Attest, 2),
        (&tenant(), Stage::Attest, 0),
    ] {
        assert_eq!(store.explain_submissions(tenant, stage, why).await.unwrap(), explained);
    }
    let rows = store.queued_submissions(&tenant(), false, None, 10).await.unwrap();
    let rows: Vec<_> = rows.iter().map(|row| (row.reason.as_deref(), row.due)).collect();
    let refused = Some("the log refused the key");
    assert_eq!(rows, [(None, at(10)), (Some(why), at(400)), (refused, at(10)), (Some(why), at(10))]);
    assert_eq!(acquired(&store, Stage::Attest, 10).await, [id(4)]);
}

pub async fn a_refused_answer_is_dropped_and_its_envelope_submitted_again(backend: &impl Backend) {
    let store = store(backend).await;
    let (_, signed, logged) = logged_document(&store, 1).await;
    let lease = lease(5, 10);
    store.acquire_submissions(&tenant(), Stage::Submit, lease, 1).await.unwrap();
    store.record_answers(&tenant(), lease.token, &[logged.to_answer(id(100))]).await.unwrap();
    store.acquire_submissions(&tenant(), Stage::Link, lease, 1).await.unwrap();
    let again = Release::Resubmit { at: at(12), reason: "the proof does not hold".to_owned() };
    let lost = store.release_submission(&tenant(), &by(0), TOKEN, id(100), &again).await;
    assert!(matches!(lost, Err(Error::LostLease)), "{lost:?}");
    store.release_submission(&tenant(), &by(0), lease.token, id(100), &again).await.unwrap();
    assert_eq!(acquired(&store, Stage::Link, 100).await, NO_IDS);
    assert_eq!(acquired(&store, Stage::Submit, 11).await, NO_IDS);
    let lease = self::lease(6, 12);
    let leased = store.acquire_submissions(&tenant(), Stage::Submit, lease, 1).await.unwrap();
    assert_eq!(leased[0].subject, SubmissionSubject::Envelope(signed.envelope.digest()));
    assert_eq!((leased[0].id, leased[0].attempts), (id(100), 3));
}

pub async fn what_waits_to_be_tried_again_is_due_when_leases_are_cleared(backend: &impl Backend) {
    let store = store(backend).await;
    record(&store, 100, &[document(1, 1), document(2, 1), document(3, 1)]).await;
    let held = lease(1, 100);
    store.acquire_submissions(&tenant(), Stage::Attest, held, 2).await.unwrap();
    let retry = Release::Retry { at: at(400), reason: "x".to_owned() };
    store.release_submission(&tenant(), &by(0), held.token, id(1), &retry).await.unwrap();
    let dead = Release::Dead { reason: "x".to_owned() };
    store.release_submission(&tenant(), &by(0), held.token, id(2), &dead).await.unwrap();
    // The clock went back to before any of them was queued.
    let early = lease(2, 10);
    assert_eq!(store.clear_leases(&tenant(), early.now).await.unwrap(), 2);
    let leased = store.acquire_submissions(&tenant(), Stage::Attest, early, 10).await.unwrap();
    assert_eq!(leased.iter().map(|s| (s.id, s.attempts)).collect::<Vec<_>>(), [(id(1), 2), (id(3), 1)]);
}

pub async fn what_a_clock_that_ran_ahead_left_is_due_when_it_is_right_again(backend: &impl Backend) {
    let store = store(backend).await;
    record(&store, 7_200, &[document(1, 1), document(2, 1), document(3, 1)]).await;
    let ahead = lease(1, 7_200);
    store.acquire_submissions(&tenant(), Stage::Attest, ahead, 2).await.unwrap();
    let now = lease(2, 0);
    let leased = store.acquire_submissions(&tenant(), Stage::Attest, now, 10).await.unwrap();
    assert_eq!(
        leased.iter().map(|s| (s.id, s.attempts)).collect::<Vec<_>>(),
        [(id(1), 2), (id(2), 2), (id(3), 1)]
    );
    // The clocks of two machines are never quite the same: a lease is one for both.
    let behind = Lease { now: at(-2_000), ..lease(3, 0) };
    assert_eq!(store.acquire_submissions(&tenant(), Stage::Attest, behind, 10).await.unwrap(), []);
    // An hour is what a log may ask for.
    for (submission, seconds) in [(1, 3_600), (2, 3_601)] {
        let retry = Release::Retry { at: at(seconds), reason: "it asks to be left alone".to_owned() };
        let lost = store.release_submission(&tenant(), &by(0), ahead.token, id(submission), &retry).await;
        assert!(matches!(lost, Err(Error::LostLease)), "{lost:?}");
        store.release_submission(&tenant(), &by(0), now.token, id(submission), &retry).await.unwrap();
    }
    assert_eq!(acquired(&store, Stage::Attest, 0).await, [id(2)]);
    // However much is put off, what is put off beyond that is found; what a token holds it does not get twice.
    let held = Lease { token: LeaseToken(id(9)), ..lease(9, -5_000) };
    assert_eq!(store.acquire_submissions(&tenant(), Stage::Attest, held, 10).await.unwrap().len(), 2);
    assert_eq!(acquired(&store, Stage::Attest, -5_000).await, NO_IDS);
}

pub async fn cleared_leases_can_be_taken_at_once(backend: &impl Backend) {
    let store = store(backend).await;
    record(&store, 0, &[document(1, 1), document(2, 1), document(3, 1)]).await;
    let first = lease(1, 0);
    store.acquire_submissions(&tenant(), Stage::Attest, first, 2).await.unwrap();
    assert_eq!(store.clear_leases(&tenant(), at(0)).await.unwrap(), 2);
    assert_eq!(store.clear_leases(&tenant(), at(0)).await.unwrap(), 0);
    let leased = store.acquire_submissions(&tenant(), Stage::Attest, lease(2, 0), 10).await.unwrap();
    assert_eq!(leased.iter().map(|s| s.attempts).collect::<Vec<_>>(), [2, 2, 1]);
    let dead = Release::Dead { reason: "x".to_owned() };
    let lost = store.release_submission(&tenant(), &by(0), first.token, id(1), &dead).await;
    assert!(matches!(lost, Err(Error::LostLease)), "{lost:?}");
}

pub async fn a_dead_submission_is_queued_again_or_dropped(backend: &impl Backend) {
    let store = store(backend).await;
    let other: &TenantId = &"other".parse().unwrap();
    store.add_tenant(other, id(9), at(0)).await.unwrap();
    record(&store, 0, &[document(1, 2), document(2, 3), document(3, 4)]).await;
    let lease = lease(5, 10);
    store.acquire_submissions(&tenant(), Stage::Attest, lease, 3).await.unwrap();
    for submission in [id(1), id(2)] {
        let dead = Release::Dead { reason: "the log refused the key".to_owned() };
        store.release_submission(&tenant(), &by(0), lease.token, submission, &dead).await.unwrap();
    }
    let queued = async |dead, after| store.queued_submissions(&tenant(), dead, after, 10).await.unwrap();
    let all = queued(false, None).await;
    assert_eq!(all.iter().map(|row| row.id).collect::<Vec<_>>(), [id(1), id(2), id(3)]);
    assert_eq!(all[2].leased_until, Some(lease.until));
    let dead = queued(true, None).await;
    assert_eq!(dead, all[..2]);
    assert_eq!((dead[0].dead, dead[0].stage, dead[0].attempts), (true, Stage::Attest, 1));
    assert_eq!(dead[0].document, Some(document(1, 2).facts.digest));
    assert_eq!(dead[0].reason.as_deref(), Some("the log refused the key"));
    assert_eq!(queued(true, Some(id(1))).await, dead[1..]);
    assert_eq!(store.queued_submissions(other, false, None, 10).await.unwrap(), []);
    let settle = async |only, how| store.settle_dead_submissions(&tenant(), only, how).await.unwrap();
    assert_eq!(store.settle_dead_submissions(other, None, Settle::Drop).await.unwrap(), 0);
    assert_eq!(settle(Some(id(3)), Settle::Drop).await, 0, "it is not dead");
    assert_eq!(settle(Some(id(1)), Settle::Retry(at(20))).await, 1);
    assert_eq!(acquired(&store, Stage::Attest, 19).await, NO_IDS);
    assert_eq!(settle(None, Settle::Drop).await, 1);
    assert_eq!(queued(true, None).await, []);
    assert_eq!(acquired(&store, Stage::Attest, 20).await, [id(3), id(1)]);
    assert_eq!(store.counts(&tenant()).await.unwrap().failed, 0);
}

/// A published verdict about a subject.
fn statement(number: u64, subject: u8) -> NewStatement {
    let body = format!("{{\"verdict\":{number}}}").into_bytes();
    let (verdict, trace) = (Digest::of(&body), Digest::of(b"trace"));
    NewStatement { id: id(number), subject: Digest::of(&[subject]), verdict, trace, body }
}

pub async fn a_subjects_statements_are_numbered_and_supersede_one_another(backend: &impl Backend) {
    let store = store(backend).await;
    let other = &other_tenant();
    store.add_tenant(other, id(9), at(0)).await.unwrap();
    let record = async |time, statements: &[NewStatement]| {
        store.record_statements(&tenant(), &by(time), statements).await.unwrap();
    };
    record(10, &[statement(1, 1), statement(2, 2), statement(3, 1)]).await;
    // The same verdict again is another statement; a clock that went back gives no earlier time.
    let again = NewStatement { id: id(4), ..statement(3, 1) };
    record(5, std::slice::from_ref(&again)).await;
    let of = async |subject| store.statements(&tenant(), &statement(1, subject).subject).await.unwrap();
    let rows = of(1).await;
    let expected = [(statement(1, 1), 1, None), (statement(3, 1), 2, Some(id(1))), (again, 3, Some(id(3)))];
    let found: Vec<_> =
        rows.iter().map(|row| (row.statement.clone(), row.revision, row.supersedes)).collect();
    assert_eq!(found, expected);
    assert_eq!((rows[0].created_at, rows[1].created_at), (at(10), at(10)));
    assert!(rows[2].created_at > at(10));
    assert_eq!(of(2).await.iter().map(|row| (row.revision, row.supersedes)).collect::<Vec<_>>(), [(1, None)]);
    // Repeated it changes nothing.
    record(20, &[statement(1, 1), statement(3, 1)]).await;
    assert_eq!(of(1).await, rows);
    assert_eq!(store.statements(other, &statement(1, 1).subject).await.unwrap(), []);
    assert_eq!(store.ledger_head(&tenant()).await.unwrap().last_at, rows[2].created_at);
}

pub async fn what_was_dropped_can_be_queued_again(backend: &impl Backend) {
    let store = store(backend).await;
    let other = &other_tenant();
    store.add_tenant(other, id(9), at(0)).await.unwrap();
    let documents = [document(1, 1), document(2, 2), document(3, 1), document(4, 1)];
    record(&store, 0, &documents).await;
    let mut fixture = SignedFixture::new(1);
    let [signed, linked] = [1, 2].map(|n| fixture.sign(&tenant(), &[&documents[n]]));
    record_signed(&store, &signed, &[&documents[1]], id(100)).await;
    record_signed(&store, &linked, &[&documents[2]], id(101)).await;
    link(&store, 50, &fixture.log(&linked)).await;
    let held = lease(5, 10);
    store.acquire_submissions(&tenant(), Stage::Attest, held, 1).await.unwrap();
    store.acquire_submissions(&tenant(), Stage::Submit, held, 1).await.unwrap();
    let dead = Release::Dead { reason: "x".to_owned() };
    for submission in [id(1), id(100)] {
        store.release_submission(&tenant(), &by(0), held.token, submission, &dead).await.unwrap();
    }
    let dropped = async || store.dropped(&tenant(), 10).await.unwrap();
    assert_eq!(dropped().await, [], "given up is not dropped");
    assert_eq!(store.settle_dead_submissions(&tenant(), None, Settle::Drop).await.unwrap(), 2);
    let expected =
        [Dropped::Document(documents[0].facts.digest), Dropped::Envelope(signed.envelope.digest())];
    assert_eq!(dropped().await, expected);
    assert_eq!(store.dropped(&tenant(), 1).await.unwrap(), expected[..1]);
    assert_eq!(store.dropped(other, 10).await.unwrap(), []);
    let rows = [(id(200), expected[0]), (id(201), expected[1])];
    assert_eq!(store.queue_dropped(&tenant(), at(20), &rows).await.unwrap(), 2);
    assert_eq!(dropped().await, []);
    assert_eq!(acquired(&store, Stage::Submit, 20).await, [id(101), id(201)]);
    assert_eq!(acquired(&store, Stage::Attest, 20).await, [id(4), id(200)]);
    let again = [(id(300), expected[0]), (id(301), expected[1])];
    assert_eq!(store.queue_dropped(&tenant(), at(20), &again).await.unwrap(), 0, "it is queued");
}

pub async fn a_dead_submission_stays_and_its_observations_count_as_failed(backend: &impl Backend) {
    let store = store(backend).await;
    let documents = [document(1, 2), document(2, 3), document(3, 4)];
    record(&store, 0, &documents).await;
    let mut fixture = SignedFixture::new(1);
    let signed = fixture.sign(&tenant(), &[&documents[1]]);
    record_signed(&store, &signed, &[&documents[1]], id(100)).await;
    let lease = lease(5, 10);
    store.acquire_submissions(&tenant(), Stage::Attest, lease, 1).await.unwrap();
    store.acquire_submissions(&tenant(), Stage::Submit, lease, 1).await.unwrap();
    let dead = Release::Dead { reason: "the log refused the key".to_owned() };
    for (submission, failed) in [(id(1), 2), (id(100), 5)] {
        store.release_submission(&tenant(), &by(0), lease.token, submission, &dead).await.unwrap();
        let counts = store.counts(&tenant()).await.unwrap();
        assert_eq!((counts.failed, counts.linked, counts.observations), (failed, 0, 9));
    }
    assert_eq!(acquired(&store, Stage::Attest, 1_000).await, [id(3)]);
    assert_eq!(acquired(&store, Stage::Submit, 1_000).await, NO_IDS);
    // A later success coalesces: its observations are linked and no longer failed.
    link(&store, 50, &fixture.log(&signed)).await;
    let counts = store.counts(&tenant()).await.unwrap();
    assert_eq!((counts.failed, counts.linked), (2, 3));
}

pub async fn an_answer_gives_its_lease_back(backend: &impl Backend) {
    let store = store(backend).await;
    let (_, _, logged) = logged_document(&store, 1).await;
    let lease = lease(5, 10);
    store.acquire_submissions(&tenant(), Stage::Submit, lease, 1).await.unwrap();
    let answers = [logged.to_answer(id(100))];
    store.record_answers(&tenant(), lease.token, &answers).await.unwrap();
    let lost = store.record_answers(&tenant(), lease.token, &answers).await;
    assert!(matches!(lost, Err(Error::LostLease)), "{lost:?}");
    let links = [logged.to_new_link(Some(id(100)))];
    let lost = store.link(&tenant(), &by(11), lease.token, &links).await;
    assert!(matches!(lost, Err(Error::LostLease)), "{lost:?}");
    assert_eq!(pending(&store).await.len(), 1);
    store.acquire_submissions(&tenant(), Stage::Link, lease, 1).await.unwrap();
    store.link(&tenant(), &by(11), lease.token, &links).await.unwrap();
}

pub async fn a_lost_lease_writes_nothing(backend: &impl Backend) {
    let store = store(backend).await;
    let documents = [document(1, 2), document(2, 2)];
    record(&store, 0, &documents).await;
    let mut fixture = SignedFixture::new(1);
    let signed = fixture.sign(&tenant(), &[&documents[0], &documents[1]]);
    let envelope = signed.to_new_envelope(id(100));
    let both = [id(1), id(2)];
    let (mine, theirs) = (lease(5, 0), lease(6, 0));
    // One of the two is another worker's, then none is leased at all.
    store.acquire_submissions(&tenant(), Stage::Attest, mine, 1).await.unwrap();
    store.acquire_submissions(&tenant(), Stage::Attest, theirs, 1).await.unwrap();
    for token in [mine.token, theirs.token, TOKEN] {
        let envelopes = [envelope.clone()];
        let lost = store.record_envelopes(&tenant(), at(1), token, &both, &envelopes).await;
        assert!(matches!(lost, Err(Error::LostLease)), "{lost:?}");
        assert_eq!(store.envelope(&tenant(), &envelope.digest).await.unwrap(), None);
        assert_eq!(acquired(&store, Stage::Submit, 5).await, NO_IDS);
    }
    let lease = lease(7, 20);
    store.acquire_submissions(&tenant(), Stage::Attest, lease, 10).await.unwrap();
    store.record_envelopes(&tenant(), at(1), lease.token, &both, &[envelope]).await.unwrap();

    let logged = fixture.log(&signed);
    let lost = store.record_answers(&tenant(), lease.token, &[logged.to_answer(id(100))]).await;
    assert!(matches!(lost, Err(Error::LostLease)), "{lost:?}");
    assert_eq!(acquired(&store, Stage::Link, 100).await, NO_IDS);
    let links = [logged.to_new_link(Some(id(100)))];
    let lost = store.link(&tenant(), &by(2), lease.token, &links).await;
    assert!(matches!(lost, Err(Error::LostLease)), "{lost:?}");
    assert_eq!(store.counts(&tenant()).await.unwrap().linked, 0);
    assert_eq!(store.bundle(&tenant(), &logged.entry.bundle_digest).await.unwrap(), None);
    // Nobody lost anything: it can all still be done.
    let lease = self::lease(8, 200);
    store.acquire_submissions(&tenant(), Stage::Submit, lease, 1).await.unwrap();
    store.link(&tenant(), &by(201), lease.token, &links).await.unwrap();
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_fact_is_in_the_suite() {
        let source = include_str!("testing.rs");
        let (macro_text, facts) = source.split_once("// Tenants ---").unwrap();
        let names = facts.lines().filter_map(|line| line.strip_prefix("pub async fn "));
        let mut count = 0;
        for name in names.filter_map(|rest| rest.split('(').next()) {
            assert!(macro_text.contains(&format!("            {name}\n")), "{name} is not in the suite");
            count += 1;
        }
        assert!(count > 30);
    }
}
