//! `daypass man`: the manual, one page for each command.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::Command;
use serde_json::json;

use crate::{
    context::Context,
    error::{Error, Kind},
};

/// What follows `daypass man`.
#[derive(clap::Args)]
pub struct Args {
    /// Write a manual page for each command to this folder [default: print the page of `daypass`]
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Prints the page, or writes all.
pub fn run(args: &Args, command: Command, context: &Context) -> Result<ExitCode, Error> {
    if let Some(folder) = &args.folder {
        let written = fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
        let folder = folder.display();
        written.map_err(|error| Error::new(Kind::Failed, format!("{folder} cannot be written: {error}")))?;
        return context.output.result("", &json!({"folder": folder.to_string()}));
    }
    let mut page = Vec::new();
    let made = clap_mangen::Man::new(command).render(&mut page);
    made.map_err(|error| Error::new(Kind::Failed, format!("the manual cannot be made: {error}")))?;
    let page = String::from_utf8_lossy(&page);
    context.output.result(&page, &json!({"page": page}))
}
