//! The `daypass` command: parses the command line and hands over to one file per command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[cfg_attr(not(test), expect(dead_code, reason = "for the commands that ask Daypass"))]
mod errors_doc;
mod explanation;
mod finding;
#[cfg(test)]
mod groups;
mod lints;
mod personas_check;
mod personas_explain;
mod policies;
mod report;
mod source;

/// Temporary AWS roles for deployments.
#[derive(Parser)]
#[command(name = "daypass", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Work with personas.json.
    #[command(subcommand)]
    Personas(Personas),
}

#[derive(Subcommand)]
enum Personas {
    /// Report everything that is wrong with a personas.json, or unwise.
    Check(personas_check::Args),
    /// Say what a person would get in an account, and why.
    Explain(personas_explain::Args),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Personas(Personas::Check(args)) => personas_check::run(&args),
        Command::Personas(Personas::Explain(args)) => personas_explain::run(&args),
    }
}
