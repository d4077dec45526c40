//! `provex worker`: attests, logs and links what others ingest, until it is told to stop.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use provex_core::ids::TenantId;
use provex_pipeline::environment::Environment;
use provex_pipeline::{Pipeline, Told, Unit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::link::Keys;
use crate::args::{Global, LogArgs, Worker};
use crate::data::DataFolder;
use crate::environment::System;
use crate::failure::{Done, Failure};
use crate::logs::{LogConfig, Logs};
use crate::output::{self, plain};

/// How often it is looked which tenants there are and which windows are open, where no file changed.
const RELOAD: Duration = Duration::from_secs(5 * 60);
/// How long before what could not be read is read again.
const AGAIN: Duration = Duration::from_secs(10);
/// How long after it was asked to stop it is seen meanwhile.
const LOOK: Duration = Duration::from_millis(100);

pub(super) async fn run(global: &Global, args: Worker) -> Result<Done, Failure> {
    let folder = DataFolder::open(global)?;
    let asked = stop_on_signals()?;
    output::tell(format_args!("provex: working on {}", global.data.display()));
    work(&folder, global.tenant.as_ref(), &args, &asked, Arc::new(System)).await?;
    Ok(Done::Yes)
}

/// Works for the one tenant that is named, or for all, until it is asked to stop. `environment` is told what is done.
///
/// What cannot be read at the start ends it; later it is waited for. One tenant's trouble is not the others'.
pub(super) async fn work(
    folder: &DataFolder,
    only: Option<&TenantId>,
    args: &Worker,
    asked: &Arc<AtomicBool>,
    environment: Arc<dyn Environment>,
) -> Result<(), Failure> {
    let pause = Duration::from_secs(args.interval.into());
    let news = Arc::new(News::default());
    let mut begun = false;
    while !asked.load(Ordering::SeqCst) {
        let opened = Round::open(folder, only, args, &environment).await;
        let round = match opened.and_then(|round| if begun { Ok(round) } else { round.usable() }) {
            Ok(round) => round,
            Err(failure) if !begun => return Err(failure),
            Err(failure) => {
                news.tell("", Told::Waiting(failure.to_string()));
                rest(AGAIN, asked).await;
                continue;
            }
        };
        begun = true;
        round.work(args, asked, pause, &news).await?;
    }
    Ok(())
}

async fn rest(pause: Duration, asked: &AtomicBool) {
    let until = Instant::now() + pause;
    while Instant::now() < until && !asked.load(Ordering::SeqCst) {
        tokio::time::sleep(LOOK).await;
    }
}

/// Told to stop by the first SIGTERM or SIGINT: what is under way is finished. The next signal ends it at once, which
/// loses nothing either.
pub(super) fn stop_on_signals() -> Result<Arc<AtomicBool>, Failure> {
    let asked = Arc::new(AtomicBool::new(false));
    let mut terminate = signal(SignalKind::terminate()).context("signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals")?;
    let flag = Arc::clone(&asked);
    tokio::spawn(async move {
        for again in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {},
                _ = interrupt.recv() => {},
            }
            if again {
                std::process::exit(3);
            }
            output::tell(format_args!("provex: stopping; what is under way is finished first"));
            flag.store(true, Ordering::SeqCst);
        }
    });
    Ok(asked)
}

/// The one tenant that was named, or all.
async fn tenants(
    folder: &DataFolder,
    only: Option<&TenantId>,
    environment: &Arc<dyn Environment>,
) -> Result<Vec<Pipeline>, Failure> {
    let any = folder.pipeline(folder.config.tenant(only)).await?;
    let any = Pipeline { environment: Arc::clone(environment), ..any };
    let tenants = match only {
        Some(tenant) => vec![tenant.clone()],
        None => any.store.tenants().await?,
    };
    Ok(tenants.into_iter().map(|tenant| Pipeline { tenant, ..any.clone() }).collect())
}

/// The work for as long as the files that say where statements go stay as they are.
struct Round {
    folder: Arc<DataFolder>,
    files: Files,
    groups: Vec<Group>,
}

/// Tenants whose statements go the same way: they share its capacity.
struct Group {
    tenants: Vec<Pipeline>,
    logs: Logs,
    /// Why that is to no log, where it is not as configured.
    failure: Option<Failure>,
}

impl Round {
    async fn open(
        folder: &DataFolder,
        only: Option<&TenantId>,
        args: &Worker,
        environment: &Arc<dyn Environment>,
    ) -> Result<Self, Failure> {
        // Before anything is made of it: what changes meanwhile is seen.
        let mut files = Files::read(folder.log_files());
        let folder = folder.again()?;
        let flags = [&args.log.signing_config, &args.log.trusted_root].into_iter().flatten().cloned();
        files.add(folder.log_files().into_iter().chain(flags));
        let tenants = tenants(&folder, only, environment).await?;
        let groups = groups_of(&folder, tenants, only, &args.log);
        Ok(Self { folder: Arc::new(folder), files, groups })
    }

    /// # Errors
    /// Why, where nothing can be logged for anybody.
    fn usable(mut self) -> Result<Self, Failure> {
        let all = self.groups.iter().all(|group| group.failure.is_some());
        let failure = self.groups.iter_mut().filter(|_| all).find_map(|group| group.failure.take());
        failure.map_or(Ok(self), Err)
    }

    /// Goes on until a file has changed, or it is time to look again, or it is asked to stop.
    async fn work(
        self,
        args: &Worker,
        asked: &Arc<AtomicBool>,
        pause: Duration,
        news: &Arc<News>,
    ) -> Result<(), Failure> {
        let Self { folder, files, groups } = self;
        if groups.is_empty() {
            rest(AGAIN, asked).await;
        }
        let unit = folder.config.unit(args.unit)?;
        let all: Vec<_> = groups.iter().flat_map(|group| &group.tenants).cloned().collect();
        let _working = folder.work(&all).await?;
        let changed = Arc::new(AtomicBool::new(false));
        let mut watching = JoinSet::new();
        watching.spawn({
            let changed = Arc::clone(&changed);
            async move {
                while !files.changed() {
                    tokio::time::sleep(pause).await;
                }
                changed.store(true, Ordering::SeqCst);
            }
        });
        let until = Instant::now() + RELOAD;
        let several = groups.len() > 1;
        let mut working = JoinSet::new();
        for group in groups {
            let (folder, news) = (Arc::clone(&folder), Arc::clone(news));
            let (asked, changed) = (Arc::clone(asked), Arc::clone(&changed));
            let stop = move || {
                asked.load(Ordering::SeqCst) || changed.load(Ordering::SeqCst) || Instant::now() >= until
            };
            working.spawn(async move {
                let name = if several { group.name() } else { String::new() };
                group.work(&folder, unit, &stop, pause, &|told| news.tell(&name, told)).await
            });
        }
        while let Some(ended) = working.join_next().await {
            ended.context("a worker thread")??;
        }
        Ok(())
    }
}

/// The flags hold for the tenant that is named. Where none is, they do not redirect a tenant of which `provex.toml` says
/// where it goes: nobody asked to have its statements published elsewhere.
fn groups_of(
    folder: &DataFolder,
    tenants: Vec<Pipeline>,
    only: Option<&TenantId>,
    args: &LogArgs,
) -> Vec<Group> {
    let no_flags = LogArgs::default();
    let mut groups: Vec<((LogConfig, bool), Group)> = Vec::new();
    for pipeline in tenants {
        let flags_hold = only.is_some() || !folder.config.tenants.contains_key(&pipeline.tenant);
        let way = (folder.config.log_of(&pipeline.tenant), flags_hold);
        match groups.iter_mut().find(|(known, _)| *known == way) {
            Some((_, group)) => group.tenants.push(pipeline),
            None => {
                let opened = Logs::open(folder, &pipeline, if flags_hold { args } else { &no_flags });
                let (logs, failure) = match opened {
                    Ok(logs) => (logs, None),
                    Err(failure) => (Logs::unusable(folder, &pipeline, failure.to_string()), Some(failure)),
                };
                groups.push((way, Group { tenants: vec![pipeline], logs, failure }));
            }
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Files as they were read; one that cannot be is as good as none.
struct Files(BTreeMap<PathBuf, Option<Vec<u8>>>);

impl Files {
    fn read(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut files = Self(BTreeMap::new());
        files.add(paths);
        files
    }

    /// Reads those that were not yet.
    fn add(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        for path in paths {
            let Entry::Vacant(entry) = self.0.entry(path) else { continue };
            let bytes = std::fs::read(entry.key()).ok();
            entry.insert(bytes);
        }
    }

    fn changed(&self) -> bool {
        self.0.iter().any(|(path, bytes)| std::fs::read(path).ok() != *bytes)
    }
}

impl Group {
    async fn work(
        self,
        folder: &DataFolder,
        unit: Unit,
        stop: &(dyn Fn() -> bool + Sync),
        pause: Duration,
        tell: &(dyn Fn(Told) + Sync),
    ) -> Result<(), Failure> {
        let keys = Keys::of(folder)?;
        let drain = keys.drain(&self.tenants, &self.logs, unit);
        Ok(drain.until(stop, pause, tell).await?)
    }

    /// Whose statements these are, before what is told of them.
    fn name(&self) -> String {
        match &self.tenants[..] {
            [one] => format!("tenant {}: ", one.tenant),
            [first, rest @ ..] => format!("tenant {} and {} more: ", first.tenant, rest.len()),
            [] => String::new(),
        }
    }
}

/// What was said last of each: a reason is said once, not every two seconds of an outage.
#[derive(Default)]
struct News(Mutex<BTreeMap<String, String>>);

impl News {
    fn tell(&self, of: &str, told: Told) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match told {
            Told::Linked(count) => {
                output::tell(format_args!("provex: {of}{count} linked"));
                said.remove(of);
            }
            Told::Waiting(reason) if said.get(of) == Some(&reason) => {}
            Told::Waiting(reason) => {
                output::tell(format_args!("provex: waiting: {of}{}", plain(&reason)));
                said.insert(of.to_owned(), reason);
            }
        }
    }
}
