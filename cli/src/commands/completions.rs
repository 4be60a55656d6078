//! `daypass completions`: what a shell needs to complete command lines.

use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::output::{Output, print};

/// What follows `daypass completions`.
#[derive(clap::Args)]
#[command(after_help = "    source <(daypass completions bash)")]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub fn run<C: CommandFactory>(args: &Args, output: &Output) -> ExitCode {
    let (mut command, mut script): (Command, Vec<u8>) = (C::command(), Vec::new());
    clap_complete::generate(args.shell, &mut command, "daypass", &mut script);
    output.end(print(&String::from_utf8_lossy(&script)))
}
