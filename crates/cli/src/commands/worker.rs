//! `provex worker`: attests, logs and links what others ingest, until it is told to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use provex_core::ids::TenantId;
use provex_pipeline::environment::Environment;
use provex_pipeline::{Pipeline, Told, Unit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use super::link::Keys;
use crate::args::{Global, LogArgs, Worker};
use crate::data::DataFolder;
use crate::environment::System;
use crate::failure::{Done, Failure};
use crate::logs::{LogConfig, Logs};
use crate::output::{self, plain};

/// How often tenants and signing configs are read again.
const RELOAD: Duration = Duration::from_secs(5 * 60);

pub(super) async fn run(global: &Global, args: Worker) -> Result<Done, Failure> {
    let folder = Arc::new(DataFolder::open(global)?);
    let asked = stop_on_signals()?;
    output::tell(format_args!("provex: working on {}", global.data.display()));
    work(&folder, global.tenant.as_ref(), &args, &asked, Arc::new(System)).await?;
    Ok(Done::Yes)
}

/// Works for the one tenant that is named, or for all, until it is asked to stop. `environment` is told what is done.
pub(super) async fn work(
    folder: &Arc<DataFolder>,
    only: Option<&TenantId>,
    args: &Worker,
    asked: &Arc<AtomicBool>,
    environment: Arc<dyn Environment>,
) -> Result<(), Failure> {
    let unit = folder.config.unit(args.unit)?;
    let pause = Duration::from_secs(args.interval.into());
    let news = Arc::new(News::default());
    while !asked.load(Ordering::SeqCst) {
        let tenants = tenants(folder, only, &environment).await?;
        let _working = folder.work(&tenants).await?;
        let until = tokio::time::Instant::now() + RELOAD;
        let mut groups = JoinSet::new();
        for group in groups_of(folder, tenants, only, &args.log)? {
            let (folder, asked, news) = (Arc::clone(folder), Arc::clone(asked), Arc::clone(&news));
            let stop = move || asked.load(Ordering::SeqCst) || tokio::time::Instant::now() >= until;
            groups.spawn(async move { group.work(&folder, unit, &stop, pause, &news).await });
        }
        while let Some(ended) = groups.join_next().await {
            ended.context("a worker thread")??;
        }
    }
    Ok(())
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

/// Tenants whose statements go the same way: they share its capacity.
struct Group {
    tenants: Vec<Pipeline>,
    logs: Logs,
}

/// The flags hold for the tenant that is named. Where none is, they do not redirect a tenant of which `provex.toml` says
/// where it goes: nobody asked to have its statements published elsewhere.
fn groups_of(
    folder: &DataFolder,
    tenants: Vec<Pipeline>,
    only: Option<&TenantId>,
    args: &LogArgs,
) -> Result<Vec<Group>, Failure> {
    let no_flags = LogArgs::default();
    let mut groups: Vec<((LogConfig, bool), Group)> = Vec::new();
    for pipeline in tenants {
        let flags_hold = only.is_some() || !folder.config.tenants.contains_key(&pipeline.tenant);
        let way = (folder.config.log_of(&pipeline.tenant), flags_hold);
        match groups.iter_mut().find(|(known, _)| *known == way) {
            Some((_, group)) => group.tenants.push(pipeline),
            None => {
                let logs = Logs::open(folder, &pipeline, if flags_hold { args } else { &no_flags })?;
                groups.push((way, Group { tenants: vec![pipeline], logs }));
            }
        }
    }
    Ok(groups.into_iter().map(|(_, group)| group).collect())
}

impl Group {
    async fn work(
        self,
        folder: &DataFolder,
        unit: Unit,
        stop: &(dyn Fn() -> bool + Sync),
        pause: Duration,
        news: &News,
    ) -> Result<(), Failure> {
        let keys = Keys::of(folder)?;
        let drain = keys.drain(&self.tenants, &self.logs, unit);
        Ok(drain.until(stop, pause, &|told| news.tell(told)).await?)
    }
}

/// What was said last: each reason is said once, not every two seconds of an outage.
#[derive(Default)]
struct News(Mutex<Option<String>>);

impl News {
    fn tell(&self, told: Told) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match told {
            Told::Linked(count) => {
                output::tell(format_args!("provex: {count} linked"));
                *said = None;
            }
            Told::Waiting(reason) if said.as_ref() == Some(&reason) => {}
            Told::Waiting(reason) => {
                output::tell(format_args!("provex: waiting: {}", plain(&reason)));
                *said = Some(reason);
            }
        }
    }
}
