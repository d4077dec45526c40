//! The commands, a file each.

mod attestations;
mod check;
mod export;
mod generated;
mod init;
mod key;
mod ledger;
mod link;
mod list;
mod log;
mod migrate;
mod preview;
mod prove;
mod queue;
mod serve;
mod show;
mod status;
mod tenant;
mod token;
mod verify;
mod worker;

use crate::args::{Args, Command};
use crate::failure::{Done, Failure};

/// Runs the command to its end.
pub(crate) fn run(args: Args) -> Result<Done, Failure> {
    // Verification needs no folder, no database and no threads.
    if let Command::Verify(verify) = &args.command {
        return verify::run(&args.global, verify);
    }
    match &args.command {
        Command::Completions { shell } => return generated::completions(*shell),
        Command::Man { folder } => return generated::man(folder),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let global = &args.global;
        match args.command {
            Command::Prove(args) => prove::run(global, args).await,
            Command::Init(init) => init::run(global, &init).await,
            Command::Check(args) => check::run(args).await,
            Command::Ingest(sources) => prove::ingest(global, sources).await,
            Command::Pending(listing) => list::pending(global, listing).await,
            Command::Link(args) => link::run(global, args).await,
            Command::Observations(observations) => list::observations(global, &observations).await,
            Command::Attestations(args) => attestations::run(global, &args).await,
            Command::Ledger(command) => ledger::run(global, &command).await,
            Command::Show(show) => show::run(global, &show).await,
            Command::Export(export) => export::run(global, &export).await,
            Command::Status(args) => status::run(global, args).await,
            Command::Worker(args) => worker::run(global, args).await,
            Command::Tenant(command) => tenant::run(global, &command).await,
            Command::Migrate(migrate) => migrate::run(global, &migrate).await,
            Command::Key(command) => key::run(global, &command).await,
            Command::Log(command) => log::run(global, &command).await,
            Command::Verify(verify) => verify::run(global, &verify),
            Command::Token(command) => token::run(global, &command).await,
            Command::Serve(serve) => serve::run(global, &serve).await,
            Command::Bench(bench) => tokio::task::block_in_place(|| crate::bench::run(&bench)),
            Command::Completions { shell } => generated::completions(shell),
            Command::Man { folder } => generated::man(&folder),
        }
    })
}
