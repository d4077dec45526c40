//! `provex completions` and `provex man`: made from the command line's own description.

use std::path::Path;

use clap::CommandFactory as _;

use crate::args::Args;
use crate::failure::{Done, Failure};
use crate::output;

pub(super) fn completions(shell: clap_complete::Shell) -> Result<Done, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "provex", &mut script);
    output::bytes(&script)?;
    Ok(Done::Yes)
}

pub(super) fn man(folder: &Path) -> Result<Done, Failure> {
    clap_mangen::generate_to(Args::command(), folder)
        .map_err(|error| anyhow::anyhow!("{}: {error}", folder.display()))?;
    Ok(Done::Yes)
}
