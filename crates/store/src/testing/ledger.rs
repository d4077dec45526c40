//! Facts about the ledger: what is recorded is said there, in one chain, whoever records.

use std::collections::BTreeMap;

use provex_core::ledger::{
    AttestationFacts, AttestationFilter, EventType, Head, PROJECTION_VERSION, VerificationStatus,
    attestation_id, cycle_hash, facts_of_body, rows_root,
};
use provex_core::merkle::CompactRange;
use provex_core::tile::{FULL_WIDTH, TilePath};

use super::*;
use crate::{AttestationPosition, AttestationRow, AttestationStream, EventRow, STREAM_ROWS, ledger};

/// Reads the whole ledger back and proves chain, tree, cycle hash and rows: the events and the rows.
pub async fn check_ledger(store: &impl Store, tenant: &TenantId) -> (Vec<EventRow>, Vec<AttestationRow>) {
    let head = store.ledger_head(tenant).await.unwrap();
    let mut events: Vec<EventRow> = Vec::new();
    loop {
        let page = store.ledger_events(tenant, events.len() as u64, 100).await.unwrap();
        if page.is_empty() {
            break;
        }
        events.extend(page);
    }
    let mut rows: BTreeMap<Uuid, AttestationRow> = BTreeMap::new();
    let mut replayed = Head::new(tenant.clone(), head.chain_id).unwrap();
    for (number, row) in (1..).zip(&events) {
        let event = &row.event;
        assert_eq!((event.sequence_no, event.chain_id), (number, head.chain_id));
        assert!(number == 1 || event.recorded_at > replayed.last_at, "{number}");
        assert_eq!(event.previous_hash, replayed.event_hash, "{number}");
        assert_eq!(event.hashes().unwrap(), (row.event_hash, row.leaf_hash), "{number}");
        let facts = facts_of_body(&row.body).unwrap();
        let jcs: Vec<_> = facts.iter().map(AttestationFacts::to_jcs).collect();
        assert_eq!(event.rows_root, rows_root(jcs.iter().map(Vec::as_slice)), "{number}");
        assert_eq!(event.row_count, facts.len() as u64, "{number}");
        let (before, root) = (replayed.cycle_hash, &event.rows_root);
        replayed.cycle_hash = cycle_hash(&before, &row.event_hash, PROJECTION_VERSION, root);
        replayed.event_hash = row.event_hash;
        replayed.frontier.append(row.leaf_hash);
        replayed.last_at = event.recorded_at;
        for facts in facts {
            let row = AttestationRow {
                ledger_event_id: event.event_id,
                recorded_at: event.recorded_at,
                merkle_leaf_hash: row.leaf_hash,
                root_hash: replayed.frontier.root(),
                cycle_hash: replayed.cycle_hash,
                projection_version: PROJECTION_VERSION.to_owned(),
                facts,
            };
            rows.insert(row.facts.attestation_id, row);
        }
    }
    assert!(head.last_at >= replayed.last_at);
    assert_eq!(head, Head { last_at: head.last_at, ..replayed });
    let mut rows: Vec<_> = rows.into_values().collect();
    rows.sort_by_key(AttestationRow::position);
    let page = store.attestations(tenant, &AttestationFilter::default(), None, usize::MAX).await.unwrap();
    assert_eq!(page.rows, rows);
    assert_eq!((page.tree_size, page.root_hash), (head.sequence_no(), head.frontier.root()));
    check_tiles(store, tenant, &events).await;
    (events, rows)
}

/// Every tile that there should be, full or partial, against the leaves.
async fn check_tiles(store: &impl Store, tenant: &TenantId, events: &[EventRow]) {
    let mut hashes: Vec<_> = events.iter().map(|row| row.leaf_hash).collect();
    for level in 0..3 {
        let chunks: Vec<_> = hashes.chunks(usize::from(FULL_WIDTH)).collect();
        let paths: Vec<_> = (0..)
            .zip(&chunks)
            .map(|(index, chunk)| TilePath { level, index, width: chunk.len() as u16 })
            .collect();
        assert_eq!(store.ledger_hashes(tenant, &paths).await.unwrap(), chunks);
        let full = chunks.iter().filter(|chunk| chunk.len() == usize::from(FULL_WIDTH));
        hashes = full
            .map(|chunk| {
                let mut tree = CompactRange::new();
                chunk.iter().for_each(|hash| tree.append(*hash));
                tree.root()
            })
            .collect();
    }
}

/// The types of events, each with how many rows it wrote.
fn types(events: &[EventRow]) -> Vec<(EventType, u64)> {
    events.iter().map(|row| (row.event.event_type, row.event.row_count)).collect()
}

fn body(row: &EventRow) -> String {
    String::from_utf8(row.body.clone()).unwrap()
}

pub async fn a_fresh_ledger_is_empty(backend: &impl Backend) {
    let store = store(backend).await;
    let (events, rows) = check_ledger(&store, &tenant()).await;
    assert_eq!((events, rows), (Vec::new(), Vec::new()));
    assert_eq!(store.ledger_head(&tenant()).await.unwrap(), Head::new(tenant(), id(1)).unwrap());
}

pub async fn each_new_document_is_an_event_that_names_all_of_it(backend: &impl Backend) {
    let store = store(backend).await;
    let mut documents = [document(1, 2), document(2, 0), document(3, 5)];
    documents[0].quarantine = Some("stated in the future".to_owned());
    documents[2].findings = vec![FindingRow {
        code: "assumed_utc".to_owned(),
        pointer: "/timestamp".to_owned(),
        line: Some(3),
        message: "No zone.".to_owned(),
    }];
    record(&store, 5, &documents).await;
    record(&store, 6, &documents).await;
    let (events, _) = check_ledger(&store, &tenant()).await;
    let recorded = (EventType::DocumentRecorded, 0);
    assert_eq!(types(&events), [recorded, recorded, recorded, (EventType::StandingChanged, 0)]);
    let mut sorted: Vec<_> = documents.iter().collect();
    sorted.sort_by_key(|document| document.facts.digest);
    for (micros, (row, document)) in (0..).zip(events.iter().zip(&sorted)) {
        let (event, by) = (&row.event, by(5));
        assert_eq!((&event.actor_id, event.actor_type), (&by.actor.id, by.actor.kind));
        assert_eq!((event.source_run_id, event.occurred_at), (by.run, at(5)));
        assert_eq!(event.recorded_at, at(5).plus_micros(micros).unwrap());
        let row = store.document(&tenant(), &document.facts.digest).await.unwrap().unwrap();
        let observations = ledger::observations_commitment(document.observations.iter().map(|o| o.id));
        let findings = ledger::findings_commitment(&document.findings).unwrap();
        assert_eq!((row.created_at, observations.size), (at(5), document.observations.len() as u64));
        let named = ledger::document_body(&row.facts, at(5), observations, findings).unwrap();
        assert_eq!(body(&events[micros as usize]), String::from_utf8(named).unwrap());
    }
    let standing = body(&events[3]);
    assert!(standing.contains(&documents[0].facts.digest.to_text()), "{standing}");
    assert!(standing.contains(r#""standing":"quarantined""#), "{standing}");
}

pub async fn linking_is_one_event_with_a_row_for_each_member(backend: &impl Backend) {
    let store = store(backend).await;
    let (fixture, signed, logged) = logged_document(&store, 12).await;
    link(&store, 3, &logged).await;
    let (events, rows) = check_ledger(&store, &tenant()).await;
    assert_eq!(types(&events), [(EventType::DocumentRecorded, 0), (EventType::AttestationVerified, 12)]);
    assert_eq!(rows.len(), 12);
    let said = body(&events[1]);
    for named in [
        fixture.log_id().to_text(),
        logged.entry.bundle_digest.to_text(),
        Digest::of(&logged.entry.entry).to_hex(),
        signed.envelope.digest().to_text(),
        signed.key_fingerprint.to_hex(),
        signed.set.commitment().root.to_hex(),
        logged.entry.linked.rekor_uuid.to_hex(),
        VEX_OBSERVATIONS.to_owned(),
    ] {
        assert!(said.contains(&named), "{named}");
    }
    let envelope = signed.envelope.digest();
    for (document, row) in [document(1, 12)].iter().flat_map(|d| &d.observations).map(|o| {
        let id = attestation_id(&envelope, &o.id.to_text());
        (o, rows.iter().find(|row| row.facts.attestation_id == id).unwrap())
    }) {
        let facts = AttestationFacts {
            tenant_id: tenant(),
            attestation_id: row.facts.attestation_id,
            artifact_id: document.product_key.clone(),
            finding_id: Some(document.vulnerability_id.clone()),
            verification_status: VerificationStatus::Verified,
            verification_time: at(3),
            dsse_digest: envelope,
            rekor_entry_id: Some(logged.entry.linked.rekor_uuid),
            evidence_bundle_ref: Some(logged.entry.bundle_digest),
        };
        assert_eq!(row.facts, facts);
        let linked = store.observation(&tenant(), &document.id).await.unwrap().unwrap().linkage.unwrap();
        assert_eq!((linked.linked_at, row.recorded_at), (at(3), at(3)));
    }
}

pub async fn a_set_without_members_is_an_event_without_rows(backend: &impl Backend) {
    let store = store(backend).await;
    let (_, _, logged) = logged_document(&store, 0).await;
    link(&store, 3, &logged).await;
    let (events, rows) = check_ledger(&store, &tenant()).await;
    assert_eq!(types(&events)[1], (EventType::AttestationVerified, 0));
    assert_eq!(rows, []);
}

pub async fn verifying_again_with_the_same_outcome_writes_no_row(backend: &impl Backend) {
    let store = store(backend).await;
    let (mut fixture, signed, logged) = logged_document(&store, 3).await;
    link(&store, 3, &logged).await;
    let before = check_ledger(&store, &tenant()).await;
    link(&store, 4, &logged).await;
    assert_eq!(check_ledger(&store, &tenant()).await, before);
    // Another entry of the envelope is kept, and said; its members are attested already.
    link(&store, 5, &fixture.log(&signed)).await;
    let (events, rows) = check_ledger(&store, &tenant()).await;
    assert_eq!(types(&events)[2..], [(EventType::AttestationVerified, 0)]);
    assert_eq!(rows, before.1);
}

pub async fn a_large_envelope_is_an_event_a_part_and_goes_on_after_a_crash(backend: &impl Backend) {
    let store = store(backend).await;
    let (_, _, logged) = logged_document(&store, 2_500).await;
    let part = |from: usize, to: usize| NewLink {
        entry: &logged.entry,
        linkages: &logged.linkages[from..to],
        finished: None,
    };
    store.link(&tenant(), &by(3), TOKEN, &[part(0, 1_000)]).await.unwrap();
    // Killed here, the next process begins again, with parts of another size.
    let store = backend.open().await;
    for (seconds, (from, to)) in (4..).zip([(0, 700), (700, 1_700), (1_700, 2_500)]) {
        store.link(&tenant(), &by(seconds), TOKEN, &[part(from, to)]).await.unwrap();
    }
    let (events, rows) = check_ledger(&store, &tenant()).await;
    let counts: Vec<_> = types(&events)[1..].iter().map(|(_, rows)| *rows).collect();
    assert_eq!((counts, rows.len()), (vec![1_000, 700, 800], 2_500));
    // The whole entry was verified once, when its first part was.
    assert!(rows.iter().all(|row| row.facts.verification_time == at(3)));
    let linked = all(&store, &ObservationFilter::default()).await;
    for row in linked {
        let linkage = row.linkage.unwrap();
        let id = attestation_id(&linkage.fields.entry.envelope_digest, &row.id.to_text());
        let attestation = rows.iter().find(|row| row.facts.attestation_id == id).unwrap();
        assert_eq!(linkage.linked_at, attestation.recorded_at);
    }
}

pub async fn a_later_outcome_takes_the_row_over(backend: &impl Backend) {
    let store = store(backend).await;
    let (_, signed, logged) = logged_document(&store, 2_100).await;
    let lease = lease(5, 10);
    store.acquire_submissions(&tenant(), Stage::Submit, lease, 1).await.unwrap();
    let dead = Release::Dead { reason: "the log refused the key".to_owned() };
    store.release_submission(&tenant(), &by(11), lease.token, id(100), &dead).await.unwrap();
    let (events, failed) = check_ledger(&store, &tenant()).await;
    let counts: Vec<_> = types(&events)[1..].to_vec();
    let refused = EventType::AttestationFailed;
    assert_eq!(counts, [(refused, 1_000), (refused, 1_000), (refused, 100)]);
    assert!(body(&events[1]).contains(r#""error":"the log refused the key""#));
    for row in &failed {
        assert_eq!(row.facts.verification_status, VerificationStatus::Failed);
        assert_eq!((row.facts.rekor_entry_id, row.facts.evidence_bundle_ref), (None, None));
        assert_eq!((row.facts.dsse_digest, row.facts.verification_time), (signed.envelope.digest(), at(11)));
    }
    // The observations stay pending, until one day the log takes the envelope.
    assert_eq!(store.counts(&tenant()).await.unwrap().linked, 0);
    let part = NewLink { entry: &logged.entry, linkages: &logged.linkages[..900], finished: None };
    store.link(&tenant(), &by(20), TOKEN, &[part]).await.unwrap();
    let (_, rows) = check_ledger(&store, &tenant()).await;
    assert_eq!(rows.len(), failed.len());
    let (still, verified) = rows.split_at(failed.len() - 900);
    assert!(still.iter().all(|row| row.facts.verification_status == VerificationStatus::Failed));
    for row in verified {
        assert_eq!(row.facts.verification_status, VerificationStatus::Verified);
        assert_eq!(
            (row.recorded_at, row.facts.rekor_entry_id),
            (at(20), Some(logged.entry.linked.rekor_uuid))
        );
        assert_ne!(failed.iter().find(|f| f.facts.attestation_id == row.facts.attestation_id), Some(row));
    }
}

/// What is left of a stream.
async fn read(stream: &mut AttestationStream) -> Vec<AttestationRow> {
    let mut rows = Vec::new();
    loop {
        let next = stream.rows.next().await.unwrap();
        assert!(next.len() <= STREAM_ROWS);
        if next.is_empty() {
            return rows;
        }
        rows.extend(next);
    }
}

pub async fn a_stream_of_attestations_is_of_one_moment(backend: &impl Backend) {
    let store = store(backend).await;
    let (_, _, logged) = logged_document(&store, 2_100).await;
    let lease = lease(5, 10);
    store.acquire_submissions(&tenant(), Stage::Submit, lease, 1).await.unwrap();
    let dead = Release::Dead { reason: "no".to_owned() };
    store.release_submission(&tenant(), &by(11), lease.token, id(100), &dead).await.unwrap();
    let (events, failed) = check_ledger(&store, &tenant()).await;
    let every = AttestationFilter::default();
    let mut stream = store.attestation_stream(&tenant(), &every).await.unwrap();
    let mut rows = stream.rows.next().await.unwrap();
    // Meanwhile rows of its first and of its last page move to the end.
    for linkages in [&logged.linkages[..500], &logged.linkages[1_800..]] {
        let part = NewLink { entry: &logged.entry, linkages, finished: None };
        store.link(&tenant(), &by(20), TOKEN, &[part]).await.unwrap();
    }
    rows.extend(read(&mut stream).await);
    assert_eq!(rows, failed);
    let head = events.last().unwrap();
    let root = failed.last().unwrap().root_hash;
    assert_eq!((stream.tree_size, stream.root_hash), (head.event.sequence_no, root));
    // Read to its end it stays there; and the next one sees what was written.
    assert_eq!(read(&mut stream).await, []);
    let (_, now) = check_ledger(&store, &tenant()).await;
    assert_eq!(read(&mut store.attestation_stream(&tenant(), &every).await.unwrap()).await, now);
    // One that is given up holds nobody up.
    let mut left = store.attestation_stream(&tenant(), &every).await.unwrap();
    left.rows.next().await.unwrap();
    drop(left);
    record(&store, 30, &[document(7, 1)]).await;
}

pub async fn what_is_refused_is_not_said(backend: &impl Backend) {
    let store = store(backend).await;
    let (_, _, logged) = logged_document(&store, 3).await;
    let before = check_ledger(&store, &tenant()).await;
    let links = [logged.to_new_link(Some(id(100)))];
    let lost = store.link(&tenant(), &by(3), TOKEN, &links).await;
    assert!(matches!(lost, Err(Error::LostLease)), "{lost:?}");
    let dead = Release::Dead { reason: "x".to_owned() };
    let lost = store.release_submission(&tenant(), &by(4), TOKEN, id(100), &dead).await;
    assert!(matches!(lost, Err(Error::LostLease)), "{lost:?}");
    assert_eq!(check_ledger(&store, &tenant()).await, before);
}

pub async fn tiles_are_written_by_the_append_that_fills_them(backend: &impl Backend) {
    let store = store(backend).await;
    let mut number = 0;
    // Up to, onto and over the edge of a tile, and over several at once.
    for count in [255, 1, 1, 254, 3, 600] {
        let documents: Vec<_> = (number..number + count).map(|number| document(number, 0)).collect();
        number += count;
        record(&store, 0, &documents).await;
        let (events, _) = check_ledger(&store, &tenant()).await;
        assert_eq!(events.len() as u64, number);
    }
}

pub async fn the_chain_has_no_gap_and_no_fork_under_concurrent_writers(backend: &impl Backend) {
    let store = store(backend).await;
    let (_, _, logged) = logged_document(&store, 40).await;
    let (stores, logged) = (&[backend.open().await, backend.open().await, backend.open().await], &logged);
    let mut writers: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    for (writer, store) in (0..).zip(stores) {
        writers.push(Box::pin(async move {
            for turn in 0..8 {
                let number = 1_000 + writer * 100 + turn * 2;
                let documents = [document(number, 2), document(number + 1, 1)];
                // Each clock is another, and some of them go back.
                let seconds = i64::try_from((turn * 7 + writer * 3) % 5).unwrap();
                store.record_documents(&tenant(), &by(seconds), &documents).await.unwrap();
                let from = usize::try_from(turn * 5).unwrap();
                let linkages = &logged.linkages[from..from + 5];
                let part = NewLink { entry: &logged.entry, linkages, finished: None };
                store.link(&tenant(), &by(seconds), TOKEN, &[part]).await.unwrap();
            }
        }));
    }
    at_once(writers).await;
    let (events, rows) = check_ledger(&store, &tenant()).await;
    let documents = events.iter().filter(|row| row.event.event_type == EventType::DocumentRecorded);
    assert_eq!((documents.count(), rows.len()), (1 + 3 * 8 * 2, 40));
}

/// Records and links what fills several tiles, with envelopes of more than one event, of none and of two entries, and
/// one that waits: the ledger that it gives.
pub async fn tell_story(store: &impl Store) -> (Vec<EventRow>, Vec<AttestationRow>) {
    store.add_tenant(&tenant(), id(1), at(0)).await.unwrap();
    let mut documents: Vec<_> = (10..710).map(|number| document(number, number % 3)).collect();
    documents.extend([document(1, 1_400), document(2, 0), document(3, 7), document(4, 2)]);
    documents[5].quarantine = Some("stated in the future".to_owned());
    documents[6].findings = vec![FindingRow {
        code: "assumed_utc".to_owned(),
        pointer: "/timestamp".to_owned(),
        line: Some(3),
        message: "No zone.".to_owned(),
    }];
    for (second, part) in (0..).zip(documents.chunks(300)) {
        record(store, second, part).await;
    }
    let mut fixture = SignedFixture::new(1);
    for (number, document) in (1_000..).zip(&documents[699..]) {
        let signed = fixture.sign(&tenant(), &[document]);
        let lease = Lease { token: TOKEN, now: at(100), until: at(1_000_000) };
        store.acquire_submissions(&tenant(), Stage::Attest, lease, usize::MAX).await.unwrap();
        let envelopes = [signed.to_new_envelope(id(number))];
        store.record_envelopes(&tenant(), at(101), TOKEN, &[document.submission], &envelopes).await.unwrap();
        if number == 1_004 {
            continue;
        }
        let logged = fixture.log(&signed);
        for linkages in logged.linkages.chunks(MAX_LINKAGES) {
            let part = NewLink { entry: &logged.entry, linkages, finished: None };
            store.link(&tenant(), &by(200), TOKEN, &[part]).await.unwrap();
        }
        if logged.linkages.is_empty() || number == 1_003 {
            link(store, 200, &fixture.log(&signed)).await;
        }
    }
    check_ledger(store, &tenant()).await
}

/// What a backfill made is what was told when it was recorded: the same events, but for who recorded them and in parts
/// of which size.
pub async fn assert_backfilled(store: &impl Store, told: &(Vec<EventRow>, Vec<AttestationRow>)) {
    let (events, rows) = check_ledger(store, &tenant()).await;
    let said = |rows: &[EventRow]| {
        let said = |row: &EventRow| (row.event.event_type, row.event.occurred_at, body(row));
        rows.iter().map(said).collect::<Vec<_>>()
    };
    assert_eq!(events.len(), told.0.len());
    said(&events).into_iter().zip(said(&told.0)).for_each(|(made, told)| assert_eq!(made, told));
    let facts = |rows: &[AttestationRow]| {
        rows.iter().map(|row| (row.facts.attestation_id, row.facts.clone())).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(facts(&rows), facts(&told.1));
    assert!(events.iter().all(|row| row.event.actor_type == ActorType::System));
    // It goes on above all that there is.
    let last = store.ledger_head(&tenant()).await.unwrap().last_at;
    record(store, 0, &[document(9_000, 1)]).await;
    let (events, _) = check_ledger(store, &tenant()).await;
    assert!(events[events.len() - 1].event.recorded_at > last);
}

pub async fn the_same_story_gives_the_same_bytes_everywhere(backend: &impl Backend) {
    let store = store(backend).await;
    let mut documents = [document(1, 300), document(2, 0), document(3, 7)];
    documents[1].quarantine = Some("stated in the future".to_owned());
    record(&store, 0, &documents).await;
    let mut fixture = SignedFixture::new(1);
    for (number, document) in (100..).zip(&documents) {
        let signed = fixture.sign(&tenant(), &[document]);
        record_signed(&store, &signed, &[document], id(number)).await;
        let logged = fixture.log(&signed);
        if number != 102 {
            link(&store, 2, &logged).await;
        }
    }
    let lease = lease(5, 10);
    store.acquire_submissions(&tenant(), Stage::Submit, lease, 10).await.unwrap();
    let dead = Release::Dead { reason: "no".to_owned() };
    store.release_submission(&tenant(), &by(11), lease.token, id(102), &dead).await.unwrap();
    let (events, rows) = check_ledger(&store, &tenant()).await;
    let head = store.ledger_head(&tenant()).await.unwrap();
    let all = Digest::of(format!("{events:?}{rows:?}{head:?}").as_bytes()).to_hex();
    // Whoever changes a byte of an event, a body or a row changes this: it is a new format, not a new number here.
    assert_eq!(head.cycle_hash.to_hex(), "5aa7dbb97f5b04bb480d188a456d3bd50a22529c40b87000fd2732bb7835a72f");
    assert_eq!(all, "57fdec9d4e5b347f787fbe86b2e19c6866ff500021955541fc8c28a35c5a25b6");
}

pub async fn attestations_are_found_by_every_filter(backend: &impl Backend) {
    let store = store(backend).await;
    let documents = [document(1, 20), document(2, 20)];
    record(&store, 0, &documents).await;
    let mut fixture = SignedFixture::new(1);
    for (number, document) in (100..).zip(&documents) {
        let signed = fixture.sign(&tenant(), &[document]);
        record_signed(&store, &signed, &[document], id(number)).await;
        link(&store, i64::try_from(number).unwrap(), &fixture.log(&signed)).await;
    }
    let (_, rows) = check_ledger(&store, &tenant()).await;
    let example = &rows[7];
    let facts = &example.facts;
    type Holds = fn(&AttestationRow, &AttestationRow) -> bool;
    let conditions: [(AttestationFilter, Holds); 7] = [
        (
            AttestationFilter { artifact_id: Some(facts.artifact_id.clone()), ..Default::default() },
            |row, example| row.facts.artifact_id == example.facts.artifact_id,
        ),
        (AttestationFilter { finding_id: facts.finding_id.clone(), ..Default::default() }, |row, example| {
            row.facts.finding_id == example.facts.finding_id
        }),
        (
            AttestationFilter { attestation_id: Some(facts.attestation_id), ..Default::default() },
            |row, example| row == example,
        ),
        (AttestationFilter { status: Some(VerificationStatus::Verified), ..Default::default() }, |_, _| true),
        (AttestationFilter { status: Some(VerificationStatus::Unknown), ..Default::default() }, |_, _| false),
        (AttestationFilter { since_recorded_at: Some(at(101)), ..Default::default() }, |row, _| {
            row.recorded_at >= at(101)
        }),
        (AttestationFilter { until_recorded_at: Some(at(101)), ..Default::default() }, |row, _| {
            row.recorded_at < at(101)
        }),
    ];
    for (filter, holds) in conditions {
        let expected: Vec<_> = rows.iter().filter(|row| holds(row, example)).cloned().collect();
        assert_eq!(read(&mut store.attestation_stream(&tenant(), &filter).await.unwrap()).await, expected);
        for limit in [1, 3, 100] {
            let (mut found, mut after): (Vec<AttestationRow>, Option<AttestationPosition>) =
                (Vec::new(), None);
            loop {
                let page = store.attestations(&tenant(), &filter, after, limit).await.unwrap();
                assert!(page.rows.len() <= limit);
                let Some(last) = page.rows.last() else { break };
                after = Some(last.position());
                found.extend(page.rows);
            }
            assert_eq!(found, expected, "{filter:?}");
        }
    }
    let both = AttestationFilter {
        artifact_id: Some(facts.artifact_id.clone()),
        finding_id: facts.finding_id.clone(),
        status: Some(VerificationStatus::Verified),
        since_recorded_at: Some(at(100)),
        until_recorded_at: Some(at(101)),
        attestation_id: Some(facts.attestation_id),
    };
    assert_eq!(
        store.attestations(&tenant(), &both, None, 10).await.unwrap().rows,
        std::slice::from_ref(example)
    );
}
