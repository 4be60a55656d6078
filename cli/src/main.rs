//! The `daypass` command: parses the command line and hands over to one file per command.

use std::{env, ffi::OsString, panic, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

use crate::{
    commands::{completions, config_show, credentials, doctor, exec, groups, man, personas, release, request, status},
    context::Context,
    error::Error,
    output::{Format, Output, OutputArgs},
};

mod client;
mod closed;
mod commands;
mod context;
mod error;
mod output;
mod process;
mod remedies;
mod serve;
mod settings;
mod signals;
mod world;

/// The width of help texts: the same on every terminal, and so in the snapshots.
const HELP_COLUMNS: usize = 80;

/// Temporary AWS roles for deployments.
#[derive(Parser)]
#[command(name = "daypass", version, term_width = HELP_COLUMNS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Run a command with a role, and release the role when it ends.
    Exec(exec::Args),
    /// Request a role, and keep its session for the commands below.
    Request(request::Args),
    /// Print credentials in `credential_process` format.
    Credentials(credentials::Args),
    /// Print credentials as environment variables.
    Env(commands::env::Args),
    /// Release a role.
    Release(release::Args),
    /// Show a transaction's status.
    Status(status::Args),
    /// Check that a request would work from here.
    Doctor(doctor::Args),
    /// Show the effective settings.
    #[command(subcommand)]
    Config(Config),
    /// Plan and create the Identity Center groups.
    #[command(subcommand)]
    Groups(groups::Command),
    /// Check and explain personas.json.
    #[command(subcommand)]
    Personas(personas::Command),
    /// Print a completion script for a shell.
    Completions(completions::Args),
    /// Print the manual.
    Man(man::Args),
}

#[derive(Subcommand)]
enum Config {
    /// Print every setting and its origin.
    Show(config_show::Args),
}

fn main() -> ExitCode {
    // What a panic says is nobody's choice, and could be a secret.
    panic::set_hook(Box::new(|panic| match panic.location() {
        Some(place) => eprintln!("daypass: a bug in `daypass`, at {place}"),
        None => eprintln!("daypass: a bug in `daypass`"),
    }));
    let closed = closed::close();
    let Cli { command, output } = match Cli::try_parse() {
        Ok(parsed) => parsed,
        Err(error) => return usage(&error),
    };
    let mut context = Context::new(Output::new(output));
    let ended = closed.and_then(|()| settings::check_variables(env::vars_os()));
    let ended = ended.and_then(|()| run(&command, &mut context));
    context.end(ended)
}

fn run(command: &Command, context: &mut Context) -> Result<ExitCode, Error> {
    if context.output.format() == Format::Sarif && !matches!(command, Command::Personas(personas::Command::Check(_))) {
        return Err(Error::usage("`--output sarif` is for `daypass personas check`").remedy("use `--output json`"));
    }
    match command {
        Command::Exec(args) => exec::run(args, context),
        Command::Request(args) => request::run(args, context),
        Command::Credentials(args) => credentials::run(args, context),
        Command::Env(args) => commands::env::run(args, context),
        Command::Release(args) => release::run(args, context),
        Command::Status(args) => status::run(args, context),
        Command::Doctor(args) => doctor::run(args, context),
        Command::Config(Config::Show(args)) => config_show::run(args, context),
        Command::Groups(command) => groups::run(command, context),
        Command::Personas(command) => personas::run(command, context),
        Command::Completions(args) => completions::run(args, Cli::command(), context),
        Command::Man(args) => man::run(args, Cli::command(), context),
    }
}

/// A command line that is none, in the format that it asks for; or the help, which is text.
fn usage(error: &clap::Error) -> ExitCode {
    if error.exit_code() == 0 || !asks_for_json(env::args_os()) {
        error.exit();
    }
    let text = error.render().to_string();
    let reason = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let error = Error::usage(reason).remedy("`daypass --help`, or `daypass COMMAND --help`");
    Context::new(Output::json()).end(Err(error))
}

fn asks_for_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let arguments: Vec<_> = arguments.take_while(|argument| argument != "--").collect();
    let pairs = arguments.windows(2).any(|pair| pair[0] == "--output" && pair[1] == "json");
    pairs || arguments.iter().any(|argument| argument == "--output=json")
}
