//! Facts about the ledger's signed roots and their anchors.

use provex_core::ledger::EventType;

use super::*;
use crate::ledger::{RootFacts, anchor_reference, export_reference, root_json};
use crate::{EventRow, NewAnchor, RootRow};

async fn roots(store: &impl Store) -> Vec<RootRow> {
    store.ledger_roots(&tenant(), 0, 1_000).await.unwrap()
}

/// Records so many documents and signs the root over their events.
async fn root_of(store: &impl Store, fixture: &SignedFixture, documents: std::ops::Range<u64>) -> NewRoot {
    let documents: Vec<_> = documents.map(|number| document(number, 0)).collect();
    record(store, 0, &documents).await;
    fixture.sign_root(&store.ledger_head(&tenant()).await.unwrap())
}

type Signing<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + 'a>>;

async fn record_root(store: &impl Store, root: &NewRoot) -> Result<(), Error> {
    store.record_ledger_root(&tenant(), at(9), root, None).await
}

/// Records a root with its anchor, whose submission has this id.
async fn record_anchored(
    store: &impl Store,
    root: &NewRoot,
    anchor: &SignedAnchor,
    submission: u64,
) -> Result<(), Error> {
    let envelope = &anchor.to_new_envelope(id(submission));
    let anchor = NewAnchor { envelope, previous: anchor.previous };
    store.record_ledger_root(&tenant(), at(9), root, Some(anchor)).await
}

async fn link_anchor(store: &impl Store, seconds: i64, logged: &LoggedSet) {
    let counts = link(store, seconds, logged).await;
    assert_eq!(counts, LinkCounts::default());
}

fn anchored(events: &[EventRow]) -> Vec<&EventRow> {
    events.iter().filter(|row| row.event.event_type == EventType::LedgerAnchored).collect()
}

pub async fn a_root_comes_back_whole(backend: &impl Backend) {
    let store = store(backend).await;
    let fixture = SignedFixture::new(1);
    assert_eq!(store.newest_ledger_root(&tenant(), false).await.unwrap(), None);
    let mut expected = Vec::new();
    // Over a part of a tile, over a whole one, and over more than one.
    for (from, to) in [(10, 13), (13, 266), (266, 700)] {
        let root = root_of(&store, &fixture, from..to).await;
        record_root(&store, &root).await.unwrap();
        let NewRoot { tree_size, root_hash, checkpoint } = root;
        let (chain_id, created_at) = (id(1), at(9));
        let (anchor_reference, export_reference) = (None, None);
        expected.push(RootRow {
            chain_id,
            tree_size,
            root_hash,
            checkpoint,
            created_at,
            anchor_reference,
            export_reference,
        });
        assert_eq!(store.newest_ledger_root(&tenant(), false).await.unwrap().as_ref(), expected.last());
    }
    assert_eq!(roots(&store).await, expected);
    assert_eq!(store.ledger_roots(&tenant(), 3, 1).await.unwrap(), expected[1..2]);
    assert_eq!(store.newest_ledger_root(&tenant(), true).await.unwrap(), None);
    assert_eq!(store.newest_ledger_anchor(&tenant()).await.unwrap(), None);
    assert_eq!(store.backlog(&tenant()).await.unwrap().submit, 0);
}

pub async fn recording_a_root_again_changes_nothing(backend: &impl Backend) {
    let store = store(backend).await;
    let mut fixture = SignedFixture::new(1);
    let root = root_of(&store, &fixture, 0..3).await;
    let anchor = fixture.sign_anchor(&tenant(), &root, None);
    record_anchored(&store, &root, &anchor, 100).await.unwrap();
    let before = roots(&store).await;
    // The root of now is another one by then.
    record(&store, 5, &[document(50, 0)]).await;
    record_anchored(&store, &root, &anchor, 101).await.unwrap();
    assert_eq!(roots(&store).await, before);
    assert_eq!(store.backlog(&tenant()).await.unwrap().submit, 1);
    // Once its anchor is logged, it is not queued a second time either.
    let lease = lease(1, 30);
    store.acquire_submissions(&tenant(), Stage::Submit, lease, 10).await.unwrap();
    let logged = fixture.log_anchor(&anchor.envelope);
    store.link(&tenant(), &by(31), lease.token, &[logged.to_new_link(Some(id(100)))]).await.unwrap();
    let anchored = roots(&store).await;
    record_anchored(&store, &root, &anchor, 102).await.unwrap();
    assert_eq!(roots(&store).await, anchored);
    assert_eq!(store.backlog(&tenant()).await.unwrap().submit, 0);
}

pub async fn a_root_that_does_not_extend_the_chain_is_refused(backend: &impl Backend) {
    let store = store(backend).await;
    let fixture = SignedFixture::new(1);
    let (first, second) =
        (root_of(&store, &fixture, 0..300).await, root_of(&store, &fixture, 300..310).await);
    let head = store.ledger_head(&tenant()).await.unwrap();
    let other = |tree_size, byte: u8| NewRoot {
        tree_size,
        root_hash: Digest::of(&[byte]),
        checkpoint: second.checkpoint.clone(),
    };
    let size = head.sequence_no();
    // A fork of now, one of before, and a chain that is longer than this one.
    for (root, tree_size) in [(other(size, 1), size), (other(299, 2), 299), (other(size + 1, 3), size + 1)] {
        let refused = record_root(&store, &root).await;
        assert!(
            matches!(&refused, Err(Error::OtherRoot { tenant: t, tree_size: s }) if *t == tenant() && *s == tree_size),
            "{refused:?}"
        );
    }
    assert_eq!(roots(&store).await, []);
    record_root(&store, &second).await.unwrap();
    let kept = roots(&store).await;
    // A smaller one, though it is true; and another over as many events, with the signature of another key.
    let doubled = SignedFixture::new(2).sign_root(&head);
    assert_eq!((doubled.tree_size, doubled.root_hash), (second.tree_size, second.root_hash));
    for root in [first, doubled] {
        let refused = record_anchored(&store, &root, &fixture.sign_anchor(&tenant(), &root, None), 100).await;
        assert!(
            matches!(refused, Err(Error::RootNotNewer { tree_size, newest: 310, .. }) if tree_size == root.tree_size),
            "{refused:?}"
        );
    }
    assert_eq!(roots(&store).await, kept);
    assert_eq!(store.newest_ledger_anchor(&tenant()).await.unwrap(), None);
    assert_eq!(store.backlog(&tenant()).await.unwrap().submit, 0);
}

pub async fn an_anchor_follows_the_newest_one(backend: &impl Backend) {
    let store = store(backend).await;
    let fixture = SignedFixture::new(1);
    let first = root_of(&store, &fixture, 0..3).await;
    let anchor = fixture.sign_anchor(&tenant(), &first, None);
    record_anchored(&store, &first, &anchor, 100).await.unwrap();
    let second = root_of(&store, &fixture, 10..13).await;
    // Signed by somebody who had not seen the first.
    let stray = fixture.sign_anchor(&tenant(), &second, None);
    let refused = record_anchored(&store, &second, &stray, 101).await;
    assert!(matches!(refused, Err(Error::AnchorNotNext { tree_size: 6, .. })), "{refused:?}");
    assert_eq!((roots(&store).await.len(), store.backlog(&tenant()).await.unwrap().submit), (1, 1));
    let newest = store.newest_ledger_anchor(&tenant()).await.unwrap();
    let next = fixture.sign_anchor(&tenant(), &second, newest);
    record_anchored(&store, &second, &next, 102).await.unwrap();
    let newest = store.newest_ledger_anchor(&tenant()).await.unwrap().unwrap();
    assert_eq!((newest.envelope, newest.tree_size), (next.envelope.digest(), 6));
}

pub async fn two_that_sign_at_once_leave_one_root(backend: &impl Backend) {
    let store = store(backend).await;
    let fixtures = [SignedFixture::new(1), SignedFixture::new(2)];
    let stores = [backend.open().await, backend.open().await];
    root_of(&store, &fixtures[0], 0..5).await;
    let head = store.ledger_head(&tenant()).await.unwrap();
    let mut signing: Vec<Signing<'_>> = Vec::new();
    for (store, fixture) in stores.iter().zip(&fixtures) {
        let root = fixture.sign_root(&head);
        signing.push(Box::pin(async move { record_root(store, &root).await }));
    }
    let mut done = at_once(signing).await;
    done.sort_by_key(Result::is_err);
    assert!(matches!(done[..], [Ok(()), Err(Error::RootNotNewer { .. })]), "{done:?}");
    assert_eq!(roots(&store).await.len(), 1);
}

pub async fn a_logged_root_is_anchored_by_one_event(backend: &impl Backend) {
    let store = store(backend).await;
    let mut fixture = SignedFixture::new(1);
    let mut previous = None;
    for number in 0..3 {
        let root = root_of(&store, &fixture, number * 10..number * 10 + 3).await;
        let anchor = fixture.sign_anchor(&tenant(), &root, previous);
        record_anchored(&store, &root, &anchor, 100 + number).await.unwrap();
        let newest = PreviousAnchor { envelope: anchor.envelope.digest(), tree_size: root.tree_size };
        assert_eq!(store.newest_ledger_anchor(&tenant()).await.unwrap(), Some(newest));
        previous = Some(newest);
        let kept = store.envelope(&tenant(), &newest.envelope).await.unwrap().unwrap();
        assert_eq!((kept.bytes, kept.predicate_type.as_str()), (anchor.envelope.to_jcs(), LEDGER_ANCHOR));
        assert_eq!((kept.set, kept.documents, kept.observations), (anchor.tree, Vec::new(), Vec::new()));
        let seconds = 20 + i64::try_from(number).unwrap();
        let held = lease(number, seconds);
        let leased = store.acquire_submissions(&tenant(), Stage::Submit, held, 10).await.unwrap();
        let subjects: Vec<_> = leased.iter().map(|submission| &submission.subject).collect();
        assert_eq!(subjects, [&SubmissionSubject::Envelope(newest.envelope)]);
        let logged = fixture.log_anchor(&anchor.envelope);
        let links = [logged.to_new_link(Some(id(100 + number)))];
        let counts = store.link(&tenant(), &by(seconds), held.token, &links).await.unwrap();
        assert_eq!(counts, LinkCounts::default());
        let row = store.newest_ledger_root(&tenant(), true).await.unwrap().unwrap();
        let reference = anchor_reference(&fixture.log_id(), logged.answer.log_index);
        assert_eq!((row.tree_size, row.anchor_reference.as_ref()), (root.tree_size, Some(&reference)));
        assert_eq!(reference, format!("rekor:{}:{number}", fixture.log_id().to_text()));
        let (events, rows) = check_ledger(&store, &tenant()).await;
        assert_eq!(rows, []);
        let all = anchored(&events);
        let last = events.last().unwrap();
        assert_eq!((all.len() as u64, last.event.event_type), (number + 1, EventType::LedgerAnchored));
        let body = String::from_utf8(last.body.clone()).unwrap();
        let said = String::from_utf8(root_json(&RootFacts::from(&row)).unwrap()).unwrap();
        for named in [
            format!(r#""root":{said},"#),
            r#""facts":[]"#.to_owned(),
            newest.envelope.to_text(),
            logged.entry.bundle_digest.to_text(),
            Digest::of(&logged.entry.entry).to_hex(),
        ] {
            assert!(body.contains(&named), "{named} is not in {body}");
        }
        assert_eq!(store.backlog(&tenant()).await.unwrap().link, 0);
    }
}

pub async fn another_entry_of_an_anchor_leaves_the_first(backend: &impl Backend) {
    let store = store(backend).await;
    let mut fixture = SignedFixture::new(1);
    let root = root_of(&store, &fixture, 0..3).await;
    let anchor = fixture.sign_anchor(&tenant(), &root, None);
    record_anchored(&store, &root, &anchor, 100).await.unwrap();
    let first = fixture.log_anchor(&anchor.envelope);
    link_anchor(&store, 20, &first).await;
    let (kept, told) = (roots(&store).await, check_ledger(&store, &tenant()).await);
    link_anchor(&store, 21, &first).await;
    assert_eq!((roots(&store).await, check_ledger(&store, &tenant()).await), (kept.clone(), told));
    let second = fixture.log_anchor(&anchor.envelope);
    link_anchor(&store, 22, &second).await;
    assert_eq!(roots(&store).await, kept);
    let (events, _) = check_ledger(&store, &tenant()).await;
    assert_eq!(anchored(&events).len(), 1);
    assert_eq!(events.last().unwrap().event.event_type, EventType::AttestationVerified);
    let position = (fixture.log_id(), second.answer.log_index);
    let entries = store.kept_entries(&tenant(), &[position]).await.unwrap();
    assert_eq!(entries[&position].row.envelope, anchor.envelope.digest());
}

pub async fn an_anchor_that_was_refused_is_an_event_without_rows(backend: &impl Backend) {
    let store = store(backend).await;
    let mut fixture = SignedFixture::new(1);
    let root = root_of(&store, &fixture, 0..3).await;
    let anchor = fixture.sign_anchor(&tenant(), &root, None);
    record_anchored(&store, &root, &anchor, 100).await.unwrap();
    let held = lease(1, 20);
    store.acquire_submissions(&tenant(), Stage::Submit, held, 10).await.unwrap();
    let dead = Release::Dead { reason: "no".to_owned() };
    store.release_submission(&tenant(), &by(21), held.token, id(100), &dead).await.unwrap();
    let (events, rows) = check_ledger(&store, &tenant()).await;
    let last = &events.last().unwrap().event;
    assert_eq!((last.event_type, last.row_count, rows), (EventType::AttestationFailed, 0, Vec::new()));
    assert_eq!(roots(&store).await[0].anchor_reference, None);
    // Queued again, and taken by the log: it is anchored after all.
    store.settle_dead_submissions(&tenant(), None, Settle::Retry(at(22))).await.unwrap();
    link_anchor(&store, 23, &fixture.log_anchor(&anchor.envelope)).await;
    let (events, _) = check_ledger(&store, &tenant()).await;
    assert_eq!(anchored(&events).len(), 1);
    assert!(roots(&store).await[0].anchor_reference.is_some());
}

pub async fn a_root_kept_alone_can_get_its_anchor_later(backend: &impl Backend) {
    let store = store(backend).await;
    let mut fixture = SignedFixture::new(1);
    let root = root_of(&store, &fixture, 0..3).await;
    record_root(&store, &root).await.unwrap();
    let anchor = fixture.sign_anchor(&tenant(), &root, None);
    record(&store, 10, &[document(50, 0)]).await;
    record_anchored(&store, &root, &anchor, 100).await.unwrap();
    assert_eq!((roots(&store).await.len(), store.backlog(&tenant()).await.unwrap().submit), (1, 1));
    link_anchor(&store, 20, &fixture.log_anchor(&anchor.envelope)).await;
    assert!(roots(&store).await[0].anchor_reference.is_some());
}

pub async fn an_export_is_noted_once(backend: &impl Backend) {
    let store = store(backend).await;
    let fixture = SignedFixture::new(1);
    let root = root_of(&store, &fixture, 0..3).await;
    record_root(&store, &root).await.unwrap();
    let bundles = [Digest::of(b"first"), Digest::of(b"second")].map(BundleDigest::new);
    for bundle in &bundles {
        store.record_root_export(&tenant(), root.tree_size, bundle).await.unwrap();
    }
    let reference = export_reference(&bundles[0]);
    assert_eq!(reference, format!("airgap:sha256:{}", Digest::of(b"first").to_hex()));
    assert_eq!(roots(&store).await[0].export_reference, Some(reference));
}

pub async fn roots_of_another_tenant_are_not_seen(backend: &impl Backend) {
    let store = store(backend).await;
    let other = &other_tenant();
    store.add_tenant(other, id(2), at(0)).await.unwrap();
    let mut fixture = SignedFixture::new(1);
    let root = root_of(&store, &fixture, 0..3).await;
    let anchor = fixture.sign_anchor(&tenant(), &root, None);
    record_anchored(&store, &root, &anchor, 100).await.unwrap();
    assert_eq!(store.ledger_roots(other, 0, 10).await.unwrap(), []);
    assert_eq!(store.newest_ledger_root(other, false).await.unwrap(), None);
    assert_eq!(store.newest_ledger_anchor(other).await.unwrap(), None);
    // Neither is its root this one's, nor can it be logged or handed out from here.
    let strange = store.record_ledger_root(other, at(9), &root, None).await;
    assert!(matches!(strange, Err(Error::OtherRoot { .. })), "{strange:?}");
    let logged = fixture.log_anchor(&anchor.envelope);
    let strange = store.link(other, &by(20), TOKEN, &[logged.to_new_link(None)]).await;
    assert!(matches!(strange, Err(Error::UnknownEnvelope(_))), "{strange:?}");
    store.record_root_export(other, root.tree_size, &logged.entry.bundle_digest).await.unwrap();
    let kept = &roots(&store).await[0];
    assert_eq!((&kept.anchor_reference, &kept.export_reference), (&None, &None));
}
