//! `daypass personas`: personas.json, without a deployment.

use std::process::ExitCode;

use clap::Subcommand;

use crate::{context::Context, error::Error};

mod check;
mod explain;
mod explanation;
mod finding;
mod issuers;
mod lints;

#[derive(Subcommand)]
pub enum Command {
    /// Report errors and risks in a personas.json.
    Check(check::Args),
    /// Explain what a person would get in an account.
    Explain(explain::Args),
}

/// Runs one of them.
pub fn run(command: &Command, context: &mut Context) -> Result<ExitCode, Error> {
    match command {
        Command::Check(args) => check::run(args, context),
        Command::Explain(args) => explain::run(args, context),
    }
}
