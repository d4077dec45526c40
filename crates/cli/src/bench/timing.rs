//! Time and what is made of several measurements of it.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Runs `work`, which is never optimised away, and says how long it took, dropping its value included.
pub(super) fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let start = now();
    drop(black_box(work()));
    start.elapsed()
}

/// Runs `work` and says how long it took, unless it failed.
pub(super) fn time_ok<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(T, Duration)> {
    let start = now();
    let value = work()?;
    Ok((value, start.elapsed()))
}

#[expect(clippy::disallowed_methods, reason = "benchmarks measure elapsed time, and only here")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// One of the things that are measured in turns. It says itself how long the part that counts took.
pub(super) type Contender<'a> = &'a mut dyn FnMut() -> anyhow::Result<Duration>;

/// Lets each contender run once unmeasured where `warm` says so, then all of them in turns: A B A B. Their seconds.
pub(super) fn in_turns<const N: usize>(
    rounds: usize,
    warm: bool,
    mut contenders: [Contender<'_>; N],
) -> anyhow::Result<[Vec<f64>; N]> {
    let mut seconds = [const { Vec::new() }; N];
    for round in 0..rounds + usize::from(warm) {
        for (contender, seconds) in contenders.iter_mut().zip(&mut seconds) {
            let took = contender()?;
            if round > 0 || !warm {
                seconds.push(took.as_secs_f64());
            }
        }
    }
    Ok(seconds)
}

/// The middle of several measurements, and their ends.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let (last, middle) = (values.len().saturating_sub(1), values.len() / 2);
        let median =
            if values.len() % 2 == 0 { (at(middle.wrapping_sub(1)) + at(middle)) / 2.0 } else { at(middle) };
        Self { median, min: at(0), max: at(last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_middle_and_the_ends() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]), Spread { median: 2.5, min: 1.0, max: 4.0 });
        assert!(Spread::of([]).median.is_nan());
    }

    #[test]
    fn contenders_take_turns() {
        let order = std::cell::RefCell::new(String::new());
        let run = |name: char, millis| {
            order.borrow_mut().push(name);
            Ok(Duration::from_millis(millis))
        };
        let [a, b] = in_turns(2, true, [&mut || run('a', 1), &mut || run('b', 2)]).unwrap();
        assert_eq!(*order.borrow(), "ababab");
        assert_eq!((a, b), (vec![0.001; 2], vec![0.002; 2]));
    }
}
