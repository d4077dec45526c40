//! Drain: the stages after ingest side by side, so that envelopes are made and answers linked while the log takes its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use provex_core::intoto::SaltKey;
use provex_core::keys::Signer;
use provex_core::verify::Verifier;
use provex_store::Stage;
use provex_tlog::TransparencyLog;
use provex_tlog::tsa::TsaClient;
use tokio::sync::Notify;

use crate::{Due, Error, LinkReport, LogLine, Pipeline, Sealing, SubmitReport, Unit};

/// How often a stage looks whether the one before it has made something.
pub(crate) const LOOK: Duration = Duration::from_millis(100);

/// How much is attested before it is logged and linked: whoever is killed after an hour has linked almost an hour's.
const LEASES: u32 = 8;
const ENVELOPES: u64 = 2_048;

/// What the stages after ingest need. The tenants share it.
#[derive(Clone, Copy)]
pub struct Drain<'a> {
    /// Whose work it is. All of one store.
    pub tenants: &'a [Pipeline],
    /// Signs statements.
    pub signer: &'a dyn Signer,
    /// Makes them unguessable.
    pub salt_key: &'a SaltKey,
    /// What one statement is about.
    pub unit: Unit,
    /// Where envelopes go, the preferred log first; the next one where a log is frozen. In words, why none may be sent.
    pub lines: Result<&'a [LogLine], &'a str>,
    /// The logs whose answers can be checked.
    pub known: &'a [Arc<dyn TransparencyLog>],
    /// Who says when, if anybody has to. In words, why nobody does who has to: then nothing is linked.
    pub authority: Result<Option<&'a Arc<TsaClient>>, &'a str>,
    /// What is trusted.
    pub verifier: Verifier<'a>,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drained {
    /// Statements signed.
    pub envelopes: u64,
    /// Whether more documents may wait for theirs.
    pub more: bool,
    /// What came of submitting.
    pub submitted: SubmitReport,
    /// What came of linking.
    pub linked: LinkReport,
}

/// What a worker tells while it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// So many observations were linked.
    Linked(u64),
    /// Something waits.
    Waiting(String),
}

impl<'a> Drain<'a> {
    /// Attests a part of what is due, and goes on until nothing of it is due any more, or the log has to be left alone, or
    /// `stop` says so.
    ///
    /// # Errors
    /// [`Error`]; what was recorded until then stays.
    pub async fn once(&self, stop: &(dyn Fn() -> bool + Sync)) -> Result<Drained, Error> {
        let (mut envelopes, mut more) = (0, false);
        for tenant in self.tenants {
            let mut leases = 0;
            while !stop()
                && let Some(made) = tenant.attest_some(self.signer, self.salt_key, self.unit).await?
            {
                (envelopes, leases) = (envelopes + made, leases + 1);
                if leases >= LEASES || envelopes >= ENVELOPES {
                    more = true;
                    break;
                }
            }
        }
        self.explain().await?;
        let (submitted_all, woken) = (AtomicBool::new(false), Notify::new());
        let submitting = async {
            let submitted = self.submit(stop).await?;
            submitted_all.store(true, Ordering::SeqCst);
            woken.notify_one();
            Ok::<_, Error>(submitted)
        };
        let linking = async {
            let mut linked = LinkReport::default();
            loop {
                let last = submitted_all.load(Ordering::SeqCst);
                while self.link_some(&mut linked).await? {}
                if last {
                    return Ok(linked);
                }
                let _ = tokio::time::timeout(LOOK, woken.notified()).await;
            }
        };
        let (submitted, linked) = tokio::try_join!(submitting, linking)?;
        Ok(Drained { envelopes, more, submitted, linked })
    }

    /// Signs the root of each tenant's ledger that is due, and queues its anchor where a log takes it.
    ///
    /// # Errors
    /// [`Error::Forked`] for the first ledger that does not extend its last root; the others' roots are signed.
    pub async fn seal(&self, due: Due) -> Result<(), Error> {
        let mut forked = Ok(());
        for tenant in self.tenants {
            match tenant.seal(self.sealing(), due).await {
                Err(error @ Error::Forked { .. }) => forked = forked.and(Err(error)),
                sealed => sealed?,
            }
        }
        forked
    }

    /// Signs roots as they become due while something else appends to the ledgers.
    ///
    /// # Errors
    /// As [`Drain::seal`]; what else is done goes on to its end.
    pub async fn sealing_meanwhile<T>(&self, work: impl Future<Output = T>) -> (T, Result<(), Error>) {
        let (done, woken) = (AtomicBool::new(false), Notify::new());
        let working = async {
            let worked = work.await;
            done.store(true, Ordering::SeqCst);
            woken.notify_one();
            worked
        };
        let sealing = async {
            loop {
                let _ = tokio::time::timeout(LOOK, woken.notified()).await;
                if done.load(Ordering::SeqCst) {
                    return Ok(());
                }
                self.seal(Due::OnTime).await?;
            }
        };
        tokio::join!(working, sealing)
    }

    /// Goes on until `stop` says so, and tells what it does. Where nothing is due it looks again after `pause`; a store
    /// that is away for a while is waited for.
    ///
    /// # Errors
    /// [`Error`] if waiting cannot help.
    pub async fn until(
        &self,
        stop: &(dyn Fn() -> bool + Sync),
        pause: Duration,
        tell: &(dyn Fn(Told) + Sync),
    ) -> Result<(), Error> {
        let submitted_all = AtomicBool::new(false);
        let attesting = async {
            // Why nothing could be sent when the rows that wait were told.
            let mut explained = None;
            while !stop() {
                match self.patiently(self.attest_some().await, tell)? {
                    Some(true) => explained = None,
                    // Rows are looked through once, when no more of them come.
                    Some(false) if explained != Some(self.unsent()) => {
                        let why = self.unsent();
                        explained = self.patiently(self.explain().await, tell)?.map(|()| why);
                    }
                    _ => rest(pause, stop).await,
                }
            }
            Ok::<_, Error>(())
        };
        let submitting = async {
            while !stop() {
                let submitted = self.patiently(self.submit(stop).await, tell)?.unwrap_or_default();
                if let Some(reason) = submitted.reason {
                    tell(Told::Waiting(reason));
                }
                rest(pause, stop).await;
            }
            submitted_all.store(true, Ordering::SeqCst);
            Ok(())
        };
        let linking = async {
            loop {
                let last = submitted_all.load(Ordering::SeqCst);
                let mut linked = LinkReport::default();
                let any = self.patiently(self.link_some(&mut linked).await, tell)?;
                if linked.linked > 0 {
                    tell(Told::Linked(linked.linked));
                }
                if let Some(reason) = linked.reason {
                    tell(Told::Waiting(reason));
                }
                match any {
                    Some(true) => {}
                    _ if last => return Ok(()),
                    Some(false) => tokio::time::sleep(LOOK).await,
                    None => rest(pause, stop).await,
                }
            }
        };
        let sealing = async {
            while !stop() {
                match self.seal(Due::OnTime).await {
                    // Whoever is told has to look at that ledger; the work for the others goes on.
                    Err(error @ Error::Forked { .. }) => tell(Told::Waiting(error.to_string())),
                    sealed => {
                        self.patiently(sealed, tell)?;
                    }
                }
                rest(pause, stop).await;
            }
            Ok(())
        };
        tokio::try_join!(attesting, submitting, linking, sealing).map(|_| ())
    }

    fn sealing(&self) -> Sealing<'_> {
        Sealing {
            signer: self.signer,
            salt_key: self.salt_key,
            keys: self.verifier.keys,
            signatures: self.verifier.signatures,
            anchors: self.lines.is_ok_and(|lines| !lines.is_empty()),
        }
    }

    /// One lease of each tenant. Whether there was anything.
    async fn attest_some(&self) -> Result<bool, Error> {
        let mut any = false;
        for tenant in self.tenants {
            any |= tenant.attest_some(self.signer, self.salt_key, self.unit).await?.is_some();
        }
        Ok(any)
    }

    /// Why no log takes entries, if none does.
    fn unsent(&self) -> Option<&'a str> {
        match self.lines {
            Err(reason) => Some(reason),
            Ok(lines) => lines.iter().map(LogLine::frozen).collect::<Option<Vec<_>>>()?.pop(),
        }
    }

    /// Tells the rows that wait for what there is none of: a log, or the time that is configured.
    async fn explain(&self) -> Result<(), Error> {
        let stages = [(Stage::Submit, self.unsent()), (Stage::Link, self.authority.err())];
        for (stage, reason) in stages {
            let Some(reason) = reason else { continue };
            for Pipeline { store, tenant, .. } in self.tenants {
                store.explain_submissions(tenant, stage, reason).await?;
            }
        }
        Ok(())
    }

    async fn submit(&self, stop: &(dyn Fn() -> bool + Sync)) -> Result<SubmitReport, Error> {
        let mut all = SubmitReport::default();
        let lines = match self.lines {
            Ok(lines) => lines,
            Err(reason) => return Ok(SubmitReport { reason: Some(reason.to_owned()), ..all }),
        };
        for line in lines {
            let report = line.submit(self.tenants, self.verifier.keys, stop).await?;
            all.answered += report.answered;
            all.waiting = report.waiting;
            all.refused += report.refused;
            (all.reason, all.frozen, all.away) = (report.reason, report.frozen, report.away);
            if !all.frozen {
                break;
            }
        }
        Ok(all)
    }

    async fn link_some(&self, report: &mut LinkReport) -> Result<bool, Error> {
        let mut any = false;
        // Without the time that is configured, nothing is linked.
        let Ok(authority) = self.authority else { return Ok(any) };
        for tenant in self.tenants {
            any |= tenant.link_some(self.known, authority, self.verifier, report).await?;
        }
        Ok(any)
    }

    /// `None` for a store that may be back later.
    fn patiently<T>(&self, done: Result<T, Error>, tell: &(dyn Fn(Told) + Sync)) -> Result<Option<T>, Error> {
        match done {
            Ok(done) => Ok(Some(done)),
            Err(Error::Store(error)) if error.is_transient() => {
                tell(Told::Waiting(error.to_string()));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Waits, but not long after `stop` says so.
async fn rest(pause: Duration, stop: &(dyn Fn() -> bool + Sync)) {
    let mut left = pause;
    while !left.is_zero() && !stop() {
        let step = left.min(LOOK);
        tokio::time::sleep(step).await;
        left -= step;
    }
}
