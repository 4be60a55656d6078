//! The `daypass` command: parses the command line and hands over to one file per command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod personas_check;

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
    /// Report every problem of a personas.json.
    Check(personas_check::Args),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Personas(Personas::Check(args)) => personas_check::run(&args),
    }
}
