//! The `daypass` command: parses the command line and hands over to one file per command.

use std::{env, panic, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::output::{Output, OutputArgs};

mod client;
mod closed;
mod commands;
mod error;
mod explanation;
mod finding;
mod issuers;
mod lints;
mod output;
mod personas_check;
mod personas_explain;
mod policies;
mod remedies;
mod report;
mod serve;
mod settings;
mod signals;
mod source;

/// Temporary AWS roles for deployments.
#[derive(Parser)]
#[command(name = "daypass", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Run a command with a role, and give the role back when it ends.
    Exec(commands::exec::Args),
    /// Ask for a role, and keep its session for the commands below.
    Request(commands::request::Args),
    /// Print credentials as AWS SDKs want them of a `credential_process`.
    Credentials(commands::credentials::Args),
    /// Print credentials as environment variables.
    Env(commands::env::Args),
    /// Give a role back.
    Release(commands::release::Args),
    /// Say what has become of a transaction.
    Status(commands::status::Args),
    /// Say whether a request would work from here, and if not, why.
    Doctor(commands::doctor::Args),
    /// Show what is set.
    #[command(subcommand)]
    Config(Config),
    /// Make the groups of Identity Center that personas.json wants.
    #[command(subcommand)]
    Groups(commands::groups::Command),
    /// Work with personas.json.
    #[command(subcommand)]
    Personas(Personas),
    /// Print a script that completes command lines in a shell.
    Completions(commands::completions::Args),
    /// Print the manual.
    Man(commands::man::Args),
}

#[derive(Subcommand)]
enum Config {
    /// Print every setting, and where it comes from.
    Show(commands::config_show::Args),
}

#[derive(Subcommand)]
enum Personas {
    /// Report everything that is wrong with a personas.json, or unwise.
    Check(personas_check::Args),
    /// Say what a person would get in an account, and why.
    Explain(personas_explain::Args),
}

fn main() -> ExitCode {
    // What a panic says is nobody's choice, and could be a secret.
    panic::set_hook(Box::new(|panic| match panic.location() {
        Some(place) => eprintln!("daypass: a mistake in `daypass`, at {place}"),
        None => eprintln!("daypass: a mistake in `daypass`"),
    }));
    let closed = closed::close();
    let Cli { command, output } = Cli::parse();
    let output = Output::new(output);
    if let Err(error) = closed.and_then(|()| settings::check_variables(env::vars_os())) {
        return output.error(&error);
    }
    match command {
        Command::Exec(args) => commands::exec::run(&args, &output),
        Command::Request(args) => commands::request::run(&args, &output),
        Command::Credentials(args) => commands::credentials::run(&args, &output),
        Command::Env(args) => commands::env::run(&args, &output),
        Command::Release(args) => commands::release::run(&args, &output),
        Command::Status(args) => commands::status::run(&args, &output),
        Command::Doctor(args) => commands::doctor::run(&args, &output),
        Command::Config(Config::Show(args)) => commands::config_show::run(&args, &output),
        Command::Groups(command) => commands::groups::run(&command, &output),
        Command::Personas(Personas::Check(args)) => personas_check::run(&args, &output),
        Command::Personas(Personas::Explain(args)) => personas_explain::run(&args, &output),
        Command::Completions(args) => commands::completions::run::<Cli>(&args, &output),
        Command::Man(args) => commands::man::run::<Cli>(&args, &output),
    }
}
