//! Sending: requests that are ready, to one log. Whoever has an answer takes the next request at once, so that the log
//! never waits for what is recorded meanwhile.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use provex_core::entry::{HashedRekord, LogEntry};
use provex_core::time::Timestamp;
use provex_tlog::LogError;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use uuid::Uuid;

use crate::environment::Environment;
use crate::telemetry::Measured;
use crate::{Error, LogLine};

/// A leased submission that can be sent.
pub(crate) struct Ready {
    /// Whose it is.
    pub(crate) tenant: usize,
    pub(crate) submission: Uuid,
    pub(crate) attempts: u32,
    pub(crate) request: HashedRekord,
    pub(crate) environment: Arc<dyn Environment>,
}

/// What came of one.
pub(crate) struct Sent {
    pub(crate) tenant: usize,
    pub(crate) submission: Uuid,
    pub(crate) attempts: u32,
    pub(crate) answer: Result<LogEntry, Failed>,
}

/// A log that did not take it.
pub(crate) struct Failed {
    pub(crate) error: LogError,
    /// When the log may be asked again, where something is wrong with it.
    pub(crate) again: Option<Timestamp>,
}

/// Requests under way to a log, and those that go next. Dropped, it ends what is under way.
pub(crate) struct Sending {
    shared: Arc<Shared>,
    senders: JoinSet<()>,
    answers: mpsc::Receiver<Sent>,
    /// Handed over and not taken back.
    held: usize,
    /// As many as the log takes at once.
    all: usize,
}

struct Shared {
    line: LogLine,
    queue: Mutex<Queue>,
    answers: mpsc::Sender<Sent>,
}

#[derive(Default)]
struct Queue {
    ready: VecDeque<Ready>,
    /// How many senders there are.
    senders: usize,
}

impl Sending {
    pub(crate) fn new(line: &LogLine, all: usize) -> Self {
        // A sender whose answer nobody takes does not take another request.
        let (send, answers) = mpsc::channel(all);
        let shared = Shared { line: line.clone(), queue: Mutex::default(), answers: send };
        Self { shared: Arc::new(shared), senders: JoinSet::new(), answers, held: 0, all }
    }

    /// How many were handed over and did not come back.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Queues requests, and lets up to `room` be under way at once.
    ///
    /// # Errors
    /// [`Error::Worker`] if a sender ended early.
    pub(crate) fn send(&mut self, ready: Vec<Ready>, room: usize) -> Result<(), Error> {
        // Those that have ended are kept in memory until they are asked.
        while let Some(ended) = self.senders.try_join_next() {
            whole(ended)?;
        }
        self.held += ready.len();
        let mut queue = self.shared.queue();
        queue.ready.extend(ready);
        while queue.senders < room
            && let Some(first) = queue.ready.pop_front()
        {
            queue.senders += 1;
            self.senders.spawn(Arc::clone(&self.shared).send(first));
        }
        Ok(())
    }

    /// Takes back what was not sent.
    pub(crate) fn take_back(&mut self) -> VecDeque<Ready> {
        let unsent = std::mem::take(&mut self.shared.queue().ready);
        self.held -= unsent.len();
        unsent
    }

    /// Waits for an answer, and takes all that there are.
    ///
    /// # Errors
    /// [`Error::Worker`] if a sender ended early.
    pub(crate) async fn answers(&mut self) -> Result<Vec<Sent>, Error> {
        let mut answers = Vec::new();
        loop {
            tokio::select! {
                biased;
                count = self.answers.recv_many(&mut answers, self.all) => {
                    self.held -= count;
                    return Ok(answers);
                }
                Some(ended) = self.senders.join_next() => whole(ended)?,
            }
        }
    }
}

impl Shared {
    /// Sends one request after the other, as long as the log is well.
    async fn send(self: Arc<Self>, first: Ready) {
        let mut next = Some(first);
        while let Some(Ready { tenant, submission, attempts, request, environment }) = next {
            let answer = self.ask(&request, &*environment).await;
            // Nobody takes it any more: the log knows the entry.
            if self.answers.send(Sent { tenant, submission, attempts, answer }).await.is_err() {
                return;
            }
            next = self.next();
        }
    }

    /// The next request, for a sender that ends if there is none.
    fn next(&self) -> Option<Ready> {
        let well = self.line.frozen().is_none() && self.line.breaker(|breaker| breaker.is_closed());
        let mut queue = self.queue();
        let next = queue.ready.pop_front_if(|_| well);
        queue.senders -= usize::from(next.is_none());
        next
    }

    async fn ask(&self, request: &HashedRekord, environment: &dyn Environment) -> Result<LogEntry, Failed> {
        let began = environment.now();
        let answer = self.line.log().submit(request).await;
        let (log, outcome) = (self.line.log().identity().id, outcome(&answer));
        environment.measured(Measured::Submitted { log, outcome, took: environment.since(began) });
        let error = match answer {
            Ok(entry) => {
                self.line.breaker(|breaker| breaker.succeeded());
                return Ok(entry);
            }
            Err(error) => error,
        };
        let again = match &error {
            LogError::Refused(_) => None,
            LogError::Frozen(_) => {
                self.line.freeze(&error);
                None
            }
            LogError::Unavailable { .. }
            | LogError::InDoubt { .. }
            | LogError::Misbehaving(_)
            | LogError::Unusable(_) => {
                let (now, chance) = (environment.now(), environment.chance());
                Some(self.line.breaker(|breaker| breaker.failed(now, error.retry_after(), chance)))
            }
        };
        Err(Failed { error, again })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A sender that ended early took its request with it.
fn whole(ended: Result<(), JoinError>) -> Result<(), Error> {
    ended.map_err(|error| Error::Worker(error.to_string()))
}

/// What came of a submission, as it is counted.
fn outcome(answer: &Result<LogEntry, LogError>) -> &'static str {
    match answer {
        Ok(_) => "answered",
        Err(LogError::Refused(_)) => "refused",
        Err(LogError::Frozen(_)) => "frozen",
        Err(LogError::Unavailable { .. }) => "unavailable",
        Err(LogError::InDoubt { .. }) => "in_doubt",
        Err(LogError::Misbehaving(_)) => "misbehaving",
        Err(LogError::Unusable(_)) => "unusable",
    }
}
