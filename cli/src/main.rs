//! The `daypass` command: parses the command line, runs the command, and ends with its exit code.

use std::{env, ffi::OsString, panic, process::ExitCode};

use clap::{CommandFactory, Parser};

use crate::{
    commands::Command,
    context::Context,
    error::Error,
    output::{Output, OutputArgs},
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
    let ended = ended.and_then(|()| command.run(Cli::command, &mut context));
    context.end(ended)
}

/// A command line that is none, in the format that it asks for; or the help, which is text.
fn usage(error: &clap::Error) -> ExitCode {
    if error.exit_code() == 0 || !asks_for_json(env::args_os()) {
        error.exit();
    }
    // Clap explains the error before it shows how the command is used, and where more is said.
    let text = error.render().to_string();
    let end = ["\n\nUsage:", "\n\nFor more information"].iter().filter_map(|rest| text.find(rest)).min();
    let said = &text[..end.unwrap_or(text.len())];
    let reason = said.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ");
    let error = Error::usage(&*reason).remedy("`daypass --help`, or `daypass COMMAND --help`");
    Context::new(Output::json()).end(Err(error))
}

fn asks_for_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let arguments: Vec<_> = arguments.take_while(|argument| argument != "--").collect();
    let pairs = arguments.windows(2).any(|pair| pair[0] == "--output" && pair[1] == "json");
    pairs || arguments.iter().any(|argument| argument == "--output=json")
}
