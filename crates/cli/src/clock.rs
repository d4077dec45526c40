//! A clock that was set back: provex goes on, and says so.

use provex_core::time::Timestamp;
use provex_pipeline::environment::Environment as _;

use crate::environment::System;
use crate::output;

/// What a clock that is only being adjusted may be behind, in microseconds.
const ADJUSTMENT: i64 = 2_000_000;

/// What to say where the clock is behind the newest time that was recorded.
pub(crate) fn set_back(newest: Option<Timestamp>, now: Timestamp) -> Option<String> {
    let newest = newest?;
    let behind = newest.as_unix_micros() - now.as_unix_micros();
    (behind > ADJUSTMENT).then(|| {
        format!(
            "the clock says {now}, and something was recorded at {newest}, {} later: it was set back, or ran ahead \
             then. New times follow the newest recorded one until the clock has passed it; see that the clock is right",
            length(behind / 1_000_000)
        )
    })
}

/// Says it on stderr.
pub(crate) fn warn(newest: Option<Timestamp>) {
    if let Some(text) = set_back(newest, System.now()) {
        output::tell(format_args!("provex: warning: {text}"));
    }
}

/// A length of time for people.
pub(crate) fn length(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_behind_the_newest_record_is_told_with_both_times() {
        let at = |seconds: i64| Timestamp::from_unix_seconds(1_800_000_000 + seconds).unwrap();
        assert_eq!(set_back(None, at(0)), None);
        for (newest, now) in [(0, 0), (0, 5), (2, 0)] {
            assert_eq!(set_back(Some(at(newest)), at(now)), None);
        }
        let said = set_back(Some(at(3_600)), at(0)).unwrap();
        assert!(said.contains(&at(0).to_string()) && said.contains(&at(3_600).to_string()), "{said}");
        assert!(said.contains("60 min later"), "{said}");
    }
}
