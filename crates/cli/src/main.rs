//! `provex`: the command line, and the one place where clock, randomness, files and database come together.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic where nothing can be written: see `output`"
)]

mod args;
mod bench;
mod clock;
mod commands;
mod config;
mod data;
mod database;
mod environment;
mod failure;
mod hint;
mod inputs;
mod keyfile;
mod logs;
mod otlp;
mod output;
mod progress;
mod run;
mod signatures;
mod snippet;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let args = args::Args::parse();
    match commands::run(args) {
        Ok(code) => code.into(),
        Err(failure) => failure.report(),
    }
}
