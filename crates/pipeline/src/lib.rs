//! The stages between a document and its linkage: ingest, attest, submit, link; and seal, which signs the ledger's roots.
//!
//! Each stage takes recorded work, makes the next value, records it and queues the next stage, in one transaction
//! of the store. Killed anywhere, the queue says what is left; running a stage again is harmless.

mod ahead;
mod attest;
mod audit;
mod breaker;
mod checkpoints;
mod drain;
pub mod environment;
mod error;
mod ingest;
mod link;
mod proofs;
mod replay;
mod seal;
mod sending;
mod stored;
mod submit;
pub mod telemetry;
pub mod view;

pub use attest::Unit;
pub use audit::{Audit, Trusted};
pub use checkpoints::StoreCheckpoints;
pub use drain::{Drain, Drained, Told};
pub use error::Error;
pub use ingest::{Content, IngestReport, Input, Item, ParseReport, check};
pub use link::LinkReport;
pub use proofs::Exported;
pub use replay::{Fold, Replay};
pub use seal::{Due, Sealing};
pub use submit::{LogLine, SubmitReport};

use std::sync::Arc;

use environment::Environment;
use provex_core::ids::TenantId;
use provex_core::time::Timestamp;
use provex_store::{Actor, Lease, LeaseToken, Recording, Store};

/// How long a lease lasts: far longer than any step takes. A data folder's leases do not outlive its process, since
/// whoever opens the folder alone gives them back.
const LEASE_MICROS: i64 = 10 * 60 * 1_000_000;
/// How many submissions a stage takes at a time.
const STAGE_BATCH: usize = 256;

/// One tenant's pipeline on one store.
#[derive(Clone)]
pub struct Pipeline {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Time and chance.
    pub environment: Arc<dyn Environment>,
    /// Whose documents these are.
    pub tenant: TenantId,
    /// Who works here.
    pub actor: Actor,
    /// In which run.
    pub run: Option<uuid::Uuid>,
}

impl Pipeline {
    /// Who records, and when: now.
    fn recording(&self) -> Recording {
        let mut seed = [0; 32];
        self.environment.random(&mut seed);
        Recording { now: self.environment.now(), actor: self.actor.clone(), run: self.run, seed }
    }

    /// A fresh lease from now on.
    fn lease(&self) -> Result<Lease, Error> {
        let now = self.environment.now();
        let until = now.plus_micros(LEASE_MICROS).map_err(|_| Error::Clock)?;
        Ok(Lease { token: LeaseToken(self.environment.uuid()), now, until })
    }

    /// When to try again after this many attempts: 2 s, 4 s, ... up to 5 minutes, half of it by chance, so that many
    /// workers do not come at once.
    fn retry_at(&self, attempts: u32) -> Result<Timestamp, Error> {
        let seconds = 1_i64.checked_shl(attempts.min(9)).unwrap_or(512).min(300);
        let half = seconds * 1_000_000 / 2;
        let wait = half + half * i64::from(self.environment.chance()) / i64::from(u32::MAX);
        self.environment.now().plus_micros(wait).map_err(|_| Error::Clock)
    }
}
