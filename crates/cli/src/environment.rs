//! The real clock and the real randomness.

use provex_core::time::Timestamp;
use provex_pipeline::environment::Environment;

/// The machine's own.
pub(crate) struct System;

impl Environment for System {
    #[expect(clippy::disallowed_methods, reason = "the one place where the wall clock is read")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_unix_micros(micros).unwrap_or(Timestamp::EPOCH)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place where randomness is drawn")]
    fn random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}
