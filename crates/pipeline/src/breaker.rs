//! The circuit breaker of a log: one that does not answer is left alone for a while, then asked by one submission.

use std::time::Duration;

use provex_core::time::Timestamp;

/// So many failures in a row, and the log is left alone.
const FAILURES: u32 = 5;
/// The longest that a log is left alone without asking for it.
const LONGEST: Duration = Duration::from_secs(60);

/// What is known of a log's health.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Breaker {
    /// Failures since the last success.
    failures: u32,
    /// Nothing is sent before then.
    until: Option<Timestamp>,
}

impl Breaker {
    /// How many submissions may be under way at a time: all, one to see whether the log is back, or none.
    pub(crate) fn room(&self, all: usize, now: Timestamp) -> usize {
        match self.until {
            None => all,
            Some(until) if now < until => 0,
            Some(_) => 1,
        }
    }

    /// Whether nothing is known to be wrong with the log.
    pub(crate) fn is_closed(&self) -> bool {
        self.until.is_none()
    }

    /// When the log is asked again, if it is left alone now.
    pub(crate) fn until(&self, now: Timestamp) -> Option<Timestamp> {
        self.until.filter(|until| now < *until)
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Counts a failure; `asked` is how long the log asks to be left alone, `chance` a random number. When to try
    /// again what failed.
    pub(crate) fn failed(&mut self, now: Timestamp, asked: Option<Duration>, chance: u32) -> Timestamp {
        self.failures = self.failures.saturating_add(1);
        // 1 s, 2 s, 4 s ... for each round of failures; half of it by chance, so that many workers do not come at once.
        let rounds = (self.failures / FAILURES).min(16);
        let most = Duration::from_secs(1_u64 << rounds).min(LONGEST).as_micros() as u64;
        let wait = most / 2 + most / 2 * u64::from(chance) / u64::from(u32::MAX);
        let wait = wait.max(asked.map_or(0, |asked| asked.as_micros() as u64));
        let again = now.plus_micros(i64::try_from(wait).unwrap_or(i64::MAX)).unwrap_or(now);
        // What was under way when the log went away fails together, and counts as one round.
        if (self.failures >= FAILURES || asked.is_some()) && self.until(now).is_none() {
            self.until = Some(again);
        }
        self.until.map_or(again, |until| until.max(again))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds).unwrap()
    }

    #[test]
    fn five_failures_in_a_row_leave_the_log_alone_and_one_success_ends_it() {
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            breaker.failed(at(0), None, 0);
            assert_eq!(breaker.room(256, at(0)), 256);
        }
        let again = breaker.failed(at(0), None, u32::MAX);
        assert_eq!(breaker.room(256, at(0)), 0);
        assert_eq!(breaker.until(at(0)), Some(again));
        assert_eq!(breaker.room(256, at(60)), 1);
        assert_eq!(breaker.until(at(60)), None);
        breaker.succeeded();
        assert_eq!(breaker.room(256, at(0)), 256);
    }

    #[test]
    fn a_log_is_left_alone_for_as_long_as_it_asks() {
        let mut breaker = Breaker::default();
        let again = breaker.failed(at(0), Some(Duration::from_secs(1_000)), 0);
        assert_eq!(again, at(1_000));
        assert_eq!((breaker.room(256, at(999)), breaker.room(256, at(1_000))), (0, 1));
    }

    #[test]
    fn a_log_that_stays_away_is_asked_every_minute_or_so() {
        let mut breaker = Breaker::default();
        let mut now = at(0);
        for _ in 0..1_000 {
            let again = breaker.failed(now, None, u32::MAX / 2);
            let waited = again.as_unix_seconds() - now.as_unix_seconds();
            assert!(waited <= 60, "{waited}");
            now = again;
        }
        assert!(breaker.failed(now, None, 0).as_unix_seconds() - now.as_unix_seconds() >= 30);
    }
}
