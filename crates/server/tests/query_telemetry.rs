//! What a query tells in log events and spans, by the names that never change.
//!
//! Alone in its process: `tracing` keeps for each place in the code whether anybody listens, and a test beside this one that
//! comes by the same place without a subscriber, in the moment this one begins to listen, would settle that nobody does.
#![allow(clippy::unwrap_used, reason = "the allowance for tests does not reach helpers")]

mod common;

use std::io::Write;
use std::sync::{Arc, Mutex};

use common::{On, World};
use provex_store::Scope;
use provex_store::testing::SignedFixture;
use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Log lines, kept.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Lines {
    /// Everything told so far, as objects.
    fn objects(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

const QUERY: &str = "ledger.attestations.query";

#[tokio::test]
async fn a_query_is_told_in_the_fields_of_the_contract() {
    let world = World::new(On::Sqlite).await;
    world.linked(&mut SignedFixture::new(1), 1, 3).await;
    let token = world.token(&[Scope::LedgerAttestRead]).await;
    let lines = Lines::default();
    let subscriber =
        tracing_subscriber::fmt().json().with_span_events(FmtSpan::CLOSE).with_writer(lines.clone());
    let _told = tracing::subscriber::set_default(subscriber.finish());
    world.get(&token, "/v1/ledger/attestations?limit=2").await;
    world.get(&token, "/v1/ledger/attestations?limit=2&status=failed").await;
    let told = lines.objects();
    let events: Vec<_> = told.iter().filter(|line| line["fields"]["message"] == QUERY).collect();
    assert_eq!(events.len(), 2);
    for (event, count) in events.iter().zip([2, 0]) {
        let fields = &event["fields"];
        let expected = ["duration_ms", "filtersHash", "limit", "message", "result_count", "tenant"];
        assert_eq!(names(fields), expected);
        assert_eq!((&fields["tenant"], &fields["limit"]), (&"default".into(), &2.into()));
        assert_eq!(fields["result_count"], count);
        assert!(fields["duration_ms"].is_number());
        assert_eq!(fields["filtersHash"].as_str().unwrap().len(), 64);
    }
    assert_ne!(events[0]["fields"]["filtersHash"], events[1]["fields"]["filtersHash"]);
    let closed = |line: &&Value| line["fields"]["message"] == "close" && line["span"]["name"] == QUERY;
    let spans: Vec<_> = told.iter().filter(closed).map(|line| &line["span"]).collect();
    assert_eq!(spans.len(), 2);
    for (span, next) in spans.into_iter().zip([true, false]) {
        let expected = [
            "duration_ms",
            "filtersHash",
            "limit",
            "name",
            "next_page_token_present",
            "result_count",
            "tenant",
        ];
        assert_eq!(names(span), expected);
        assert_eq!(span["next_page_token_present"], next);
    }
    let all = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(!all.contains(&token), "a token was logged: {all}");
}
