//! `provex migrate`

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use provex_core::ids::TenantId;
use provex_pipeline::environment::Environment as _;
use provex_store::Error;
use provex_store_postgres::copy;
use provex_store_postgres::migrate::{self as postgres, Layout, Plan};
use provex_store_sqlite::{SqliteStore, migrate as sqlite};

use crate::args::{Global, LayoutName, Migrate};
use crate::config::Config;
use crate::data;
use crate::database::{Database, DatabaseUrl};
use crate::environment::System;
use crate::failure::{Done, Failure};
use crate::{output, progress};

pub(super) async fn run(global: &Global, args: &Migrate) -> Result<Done, Failure> {
    if let (Some(from), Some(to)) = (&args.from, &args.to) {
        return move_up(from, to, args.layout).await;
    }
    // A server's database needs no data folder to be migrated.
    let config = Config::read(&global.data)?;
    let database = Database::choose(global, &config)?;
    match &database {
        Database::Server(url) => server(url, &database, &config, args).await,
        Database::File(_) if args.layout.is_some() => {
            Err(Failure::call("--layout is for a PostgreSQL: name it by --database-url"))
        }
        Database::File(path) => file(global, path, &database, &config, args).await,
    }
}

async fn server(
    url: &DatabaseUrl,
    database: &Database,
    config: &Config,
    args: &Migrate,
) -> Result<Done, Failure> {
    if args.check {
        let layout = postgres::check(url.as_str()).await.map_err(unmet)?;
        return checked(&format!(", layout {}", layout.label()));
    }
    let progress = progress::busy("migrating the database");
    let plan = if args.plan {
        postgres::plan(url.as_str(), layout(args.layout)).await?
    } else {
        let wait = Duration::from_secs(config.database_wait_seconds.unwrap_or(60).into());
        postgres::migrate_within(url.as_str(), layout(args.layout), System.now(), wait).await?
    };
    drop(progress);
    print_server(&plan, args.plan)?;
    if !args.plan {
        // As a fresh data folder has it.
        let store = database.open(config).await?;
        store.add_tenant(&TenantId::default_tenant(), System.uuid(), System.now()).await?;
    }
    Ok(Done::Yes)
}

async fn file(
    global: &Global,
    path: &Path,
    database: &Database,
    config: &Config,
    args: &Migrate,
) -> Result<Done, Failure> {
    data::require_database(&global.data)?;
    if args.check {
        sqlite::require(path).await.map_err(unmet)?;
        return checked("");
    }
    let plan = sqlite::plan(path).await?;
    if !args.plan {
        database.open(config).await?;
    }
    print(plan.found, &plan.steps, args.plan)?;
    Ok(Done::Yes)
}

/// Copies a folder's database into a PostgreSQL. Nobody uses the folder meanwhile, so nothing is left behind.
async fn move_up(from: &str, to: &DatabaseUrl, name: Option<LayoutName>) -> Result<Done, Failure> {
    let path = from.strip_prefix("sqlite:").map(Path::new);
    let path =
        path.ok_or_else(|| Failure::call("--from is sqlite:PATH, a database file or a data folder"))?;
    let path = if path.is_dir() { path.join("provex.db") } else { path.to_owned() };
    if !data::exists(&path)? || path.is_dir() {
        return Err(Failure::call(format!("{} is no database", path.display())));
    }
    // A copy of a database that lies somewhere by itself is nobody's data folder.
    let _unused = match path.parent() {
        Some(folder) if data::exists(&folder.join("provex.toml"))? => Some(data::unused(folder)?),
        _ => None,
    };
    let mut source = SqliteStore::open(&path).await?.into_snapshot().await?;
    let plan = postgres::migrate(to.as_str(), layout(name), System.now()).await?;
    print_server(&plan, false)?;
    let progress = progress::counting("rows copied");
    let mut tables = BTreeMap::new();
    let mut told = |table, rows| {
        tables.insert(table, rows);
        progress.set(tables.values().sum());
    };
    let copied = copy::copy(to.as_str(), source.as_mut(), &mut told).await.map_err(interrupted)?;
    drop(progress);
    for table in copied.iter().filter(|copied| copied.rows > 0) {
        let before =
            if table.found > 0 { format!(", {} of them before", table.found) } else { String::new() };
        output::line(&format!("copied        {}: {} rows{before}", table.table, table.rows))?;
    }
    output::line("compared      every value of every row is the same in both")?;
    output::line(&format!(
        "next          name the PostgreSQL by database_url in provex.toml, or by database_url_file: from now on {} is \
         not written any more",
        path.display()
    ))?;
    Ok(Done::Yes)
}

/// What ended a copy that the same command goes on with.
fn interrupted(error: Error) -> Failure {
    if !error.is_transient() && !matches!(error, Error::Disk(_) | Error::DiskFull(_)) {
        return error.into();
    }
    let goes_on = "the copy is not finished; once what stopped it is over, the same command goes on with it";
    Failure::Unchecked(anyhow::Error::from(error).context(goes_on))
}

fn layout(name: Option<LayoutName>) -> Option<Layout> {
    name.map(|name| match name {
        LayoutName::Hash16 => Layout::Hash16,
        LayoutName::Flat => Layout::Flat,
    })
}

fn print_server(plan: &Plan, planned: bool) -> Result<(), Failure> {
    print(plan.found, &plan.steps, planned)?;
    output::line(&format!("layout        {}", plan.layout.label()))?;
    if plan.makes_role {
        output::line(&format!("role          provex_app {}", if planned { "is missing" } else { "made" }))?;
    }
    Ok(())
}

fn print(found: u32, steps: &[(u32, &'static str)], planned: bool) -> Result<(), Failure> {
    let newest = steps.last().map_or(found, |(version, _)| *version);
    output::line(&match steps {
        [] => format!("schema        {found}: nothing to do"),
        _ => format!("schema        {found} to {newest}"),
    })?;
    let what = if planned { "is missing" } else { "applied" };
    steps.iter().try_for_each(|(version, name)| output::line(&format!("{version:04}          {name} {what}")))
}

fn checked(more: &str) -> Result<Done, Failure> {
    output::line(&format!("schema        has all that this release needs{more}"))?;
    Ok(Done::Yes)
}

/// What a check finds is not true; what kept it from looking is another matter.
fn unmet(error: Error) -> Failure {
    match error {
        Error::NotMigrated { .. } | Error::NewerSchema { .. } | Error::Schema(_) => {
            Failure::NotTrue(error.into())
        }
        other => other.into(),
    }
}
