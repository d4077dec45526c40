//! `provex migrate`

use std::path::Path;

use provex_core::ids::TenantId;
use provex_pipeline::environment::Environment as _;
use provex_store::Error;
use provex_store_postgres::migrate::{self as postgres, Layout};
use provex_store_sqlite::migrate as sqlite;

use crate::args::{Global, LayoutName, Migrate};
use crate::data::{self, Config};
use crate::database::{Database, DatabaseUrl};
use crate::environment::System;
use crate::failure::{Done, Failure};
use crate::output;

pub(super) async fn run(global: &Global, args: Migrate) -> Result<Done, Failure> {
    // A server's database needs no data folder to be migrated.
    let config = Config::read(&global.data)?.unwrap_or_default();
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
    args: Migrate,
) -> Result<Done, Failure> {
    if args.check {
        let layout = postgres::check(url.as_str()).await.map_err(unmet)?;
        return checked(&format!(", layout {}", layout.label()));
    }
    let layout = args.layout.map(|name| match name {
        LayoutName::Hash16 => Layout::Hash16,
        LayoutName::Flat => Layout::Flat,
    });
    let plan = if args.plan {
        postgres::plan(url.as_str(), layout).await?
    } else {
        postgres::migrate(url.as_str(), layout, System.now()).await?
    };
    print(plan.found, &plan.steps, args.plan)?;
    output::line(&format!("layout        {}", plan.layout.label()))?;
    if plan.makes_role {
        output::line(&format!("role          provex_app {}", if args.plan { "is missing" } else { "made" }))?;
    }
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
    args: Migrate,
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
