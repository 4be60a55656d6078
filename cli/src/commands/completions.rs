//! `daypass completions`: what a shell needs to complete command lines.

use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;
use serde_json::json;

use crate::{context::Context, error::Error};

/// What follows `daypass completions`.
#[derive(clap::Args)]
#[command(after_help = "    source <(daypass completions bash)")]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub fn run(args: &Args, mut command: Command, context: &Context) -> Result<ExitCode, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "daypass", &mut script);
    let script = String::from_utf8_lossy(&script);
    context.output.result(&script, &json!({"shell": args.shell.to_string(), "script": script}))
}
