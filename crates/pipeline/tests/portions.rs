//! Portions: how much a stage has in memory at a time, whatever waits for it.
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod common;

use common::faulty::Faults;
use common::{Corpus, World, openvex};
use provex_core::intoto::SaltKey;
use provex_formats::ParseLimits;
use provex_pipeline::Unit;

#[test]
fn few_documents_are_attested_at_a_time_and_few_observations_recorded() {
    let (world, faults) = (World::new(), Faults::none());
    world.process(|| async {
        let pipeline = world.open(&faults).await.pipeline;
        let corpus = Corpus { files: (0..40).map(|number| openvex(number, 100)).collect(), ..Corpus::new() };
        pipeline.ingest(corpus.inputs(), ParseLimits::default(), |_| {}).await.unwrap();
        let made = pipeline.attest(&world.signer, &SaltKey::new([3; 32]), Unit::Document).await.unwrap();
        assert_eq!(made, 40);
    });
    let calls = |method| faults.points().iter().filter(|point| point.0 == method).count();
    assert_eq!((calls("attestable_documents"), calls("record_envelopes")), (3, 2));
}
