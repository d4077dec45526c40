//! Every call that the stages and the log's writer make is made to fail in turn: without its effect, with only the
//! answer lost, and with the whole process. Afterwards a fresh process finishes the work, and everything is read
//! back and checked.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

mod common;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::faulty::{Fault, Faults, Point};
use common::{BACK_OFF, Corpus, Ended, UNITS, World, openvex};
use provex_pipeline::Unit;
use provex_pipeline::environment::Environment as _;
use provex_store::Backlog;

/// Cases run side by side: they mostly wait, for the disk and for the log's batches to fill.
const THREADS: usize = 8;

/// Runs all cases, and says of each that failed which one it was.
fn each<T: Sync + std::fmt::Debug>(cases: &[T], test: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    if catch_unwind(AssertUnwindSafe(|| test(case))).is_err() {
                        failed.lock().unwrap().push(format!("{case:?}"));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} cases: {failed:#?}", failed.len(), cases.len());
}

/// The calls of every run on which everything goes well. How many batches the log makes of submissions is a matter of
/// time: on a slow machine there are more than have to be.
fn points(unit: Unit) -> Vec<Point> {
    let run = || {
        let (world, corpus, faults) = (World::new(), Corpus::new(), Faults::none());
        assert!(matches!(world.run(&faults, &corpus, unit, true), Ended::Done(_)));
        world.check(&corpus, unit);
        faults.points()
    };
    let (mut points, others) = (run(), [run(), run()]);
    points.retain(|point| others.iter().all(|other| other.contains(point)));
    points
}

/// Methods that are called more than once only because answers came one by one, or the log made another batch: that is a
/// matter of time, and no later call of them can be had for certain.
const BY_TIME: [&str; 9] = [
    "acquire_submissions",
    "checkpoint",
    "consistency_proof",
    "log: log_checkpoint",
    "log: record_log_checkpoint",
    "log_checkpoint",
    "record_answers",
    "record_log_checkpoint",
    "signed_envelopes",
];

#[derive(Debug)]
struct Case {
    unit: Unit,
    point: Point,
    fault: Fault,
    /// Whether the next process knows that it is alone, or has to wait until the leases end.
    alone: bool,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for unit in UNITS {
        for point in points(unit) {
            for fault in Fault::all(point.0) {
                cases.push(Case { unit, point, fault: *fault, alone: cases.len() % 3 > 0 });
            }
        }
    }
    cases
}

#[test]
fn whatever_fails_every_document_is_linked_once() {
    let cases = cases();
    let methods: BTreeSet<_> = cases.iter().map(|case| case.point.0).collect();
    for method in [
        "record_documents",
        "acquire_submissions",
        "record_envelopes",
        "submit",
        "log: record_log_checkpoint",
        "record_answers",
        "record_log_checkpoint",
        "link",
        "record_ledger_root",
    ] {
        assert!(methods.contains(method), "{method} is never called: {methods:?}");
    }
    each(&cases, |case| {
        let meets_it = || {
            let (world, corpus) = (World::new(), Corpus::new());
            let faults = Faults::at(case.point, case.fault);
            let ended = world.run(&faults, &corpus, case.unit, true);
            let kills = !matches!(case.fault, Fault::Fails | Fault::AnswerLost);
            assert_eq!(matches!(ended, Ended::Killed), faults.hit() && kills, "{ended:?}");
            world.finish(&corpus, case.unit, case.alone);
            world.check(&corpus, case.unit);
            faults.hit()
        };
        // Where the log made one batch less than before, it comes in another run, if not in none.
        let (method, number) = case.point;
        let by_time = number > 0 && BY_TIME.contains(&method);
        assert!((0..5).any(|_| meets_it()) || by_time, "the fault was not met");
    });
}

/// Faults in the process that mends what a fault left: each process meets another one, until one meets none.
#[test]
fn faults_upon_faults_lose_nothing_either() {
    let points: Vec<_> = UNITS.iter().map(|unit| (*unit, points(*unit))).collect();
    let cases: Vec<u32> = (0..60).collect();
    each(&cases, |seed| {
        let mut random = Random(u64::from(*seed));
        let (unit, points) = &points[random.below(points.len())];
        let (world, corpus) = (World::new(), Corpus::new());
        for _ in 0..4 {
            let point = points[random.below(points.len())];
            let faults = Fault::all(point.0);
            let faults = Faults::at(point, faults[random.below(faults.len())]);
            world.run(&faults, &corpus, *unit, true);
            // Back-off ends between some of the processes, and goes on between others.
            world.environment.advance([1, BACK_OFF][random.below(2)]);
        }
        world.finish(&corpus, *unit, true);
        world.check(&corpus, *unit);
    });
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit as u64).unwrap()
    }
}

#[test]
fn a_clock_that_goes_back_an_hour_stops_nothing_and_times_still_rise() {
    for unit in UNITS {
        let (world, mut corpus) = (World::new(), Corpus::new());
        assert!(matches!(world.run(&Faults::none(), &corpus, unit, true), Ended::Done(_)));
        let before = world.created();
        let last = before.last().unwrap().0;
        world.environment.advance(-60 * 60);
        assert!(world.environment.now() < last);
        corpus.files.push(openvex(4, 2));
        corpus.files.push(openvex(5, 1));
        // Nothing has to wait until the clock is where it was.
        match world.run(&Faults::none(), &corpus, unit, true) {
            Ended::Done(left) => assert_eq!(left, Backlog::default()),
            ended => panic!("{ended:?}"),
        }
        let after = world.created();
        assert_eq!(after[..before.len()], before, "what was recorded keeps its time and place");
        assert_eq!(after.len(), before.len() + 3);
        assert!(after[before.len()..].iter().all(|(created_at, _)| *created_at > last));
        world.check(&corpus, unit);
    }
}

#[test]
fn a_process_killed_before_the_clock_went_back_leaves_work_that_the_next_one_takes() {
    // Alone, it gives back what a dead process had leased; beside others it goes by the times.
    for alone in [true, false] {
        let (world, corpus) = (World::new(), Corpus::new());
        let faults = Faults::at(("record_answers", 0), Fault::KilledBefore);
        assert!(matches!(world.run(&faults, &corpus, Unit::Document, alone), Ended::Killed));
        world.environment.advance(-60 * 60);
        match world.run(&Faults::none(), &corpus, Unit::Document, alone) {
            Ended::Done(left) => assert_eq!(left, Backlog::default()),
            ended => panic!("{ended:?}"),
        }
        world.check(&corpus, Unit::Document);
    }
}
