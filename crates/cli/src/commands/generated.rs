//! `provex completions` and `provex man`: made from the command line's own description.

use std::path::Path;

use clap::{Command, CommandFactory as _};

use crate::args::Args;
use crate::failure::{Done, Failure};
use crate::output;

pub(super) fn completions(shell: clap_complete::Shell) -> Result<Done, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut shown(), "provex", &mut script);
    output::bytes(&script)?;
    Ok(Done::Yes)
}

pub(super) fn man(folder: &Path) -> Result<Done, Failure> {
    let mut all = shown().disable_help_subcommand(true);
    all.build();
    write_pages(all, folder)
        .map_err(|error| anyhow::Error::new(error).context(folder.display().to_string()))?;
    Ok(Done::Yes)
}

/// A page for the command, and one for each below it.
fn write_pages(command: Command, folder: &Path) -> std::io::Result<()> {
    command.get_subcommands().cloned().try_for_each(|below| write_pages(below, folder))?;
    let title = command.get_display_name().unwrap_or("provex").to_uppercase();
    let source = concat!("provex ", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(command)
        .title(title)
        .source(source)
        .manual("provex")
        .generate_to(folder)
        .map(|_| ())
}

/// The command line without what is hidden from help.
fn shown() -> Command {
    let all = Args::command();
    let commands = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let bare = Command::new("provex")
        .version(env!("CARGO_PKG_VERSION"))
        .about(all.get_about().cloned().unwrap_or_default())
        .long_about(all.get_long_about().cloned().unwrap_or_default())
        .subcommand_required(true);
    bare.args(all.get_arguments().cloned()).subcommands(commands)
}
