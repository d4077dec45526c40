//! Time and chance, which the stages are given and never take for themselves.

use std::time::Duration;

use provex_core::time::Timestamp;
use uuid::Uuid;

use crate::telemetry::Measured;

/// Where time and randomness come from.
pub trait Environment: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Fills a buffer with random bytes.
    fn random(&self, bytes: &mut [u8]);

    /// Is told what was done, for who counts it; by default nobody does.
    fn measured(&self, _work: Measured) {}

    /// How long ago that was.
    fn since(&self, began: Timestamp) -> Duration {
        let micros = self.now().as_unix_micros() - began.as_unix_micros();
        // A clock may have been set back.
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    /// A random number.
    fn chance(&self) -> u32 {
        let mut bytes = [0; 4];
        self.random(&mut bytes);
        u32::from_be_bytes(bytes)
    }

    /// A fresh UUIDv7 (RFC 9562 section 5.7).
    fn uuid(&self) -> Uuid {
        let mut random = [0; 10];
        self.random(&mut random);
        let millis = u64::try_from(self.now().as_unix_micros() / 1_000).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}
