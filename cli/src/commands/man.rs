//! `daypass man`: the manual, one page for each command.

use std::{fs, io, path::PathBuf, process::ExitCode};

use clap::CommandFactory;

use crate::{
    error::{Error, Kind},
    output::{Output, print},
};

/// What follows `daypass man`.
#[derive(clap::Args)]
pub struct Args {
    /// Write a page for every command to this folder [default: print the first page]
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Prints the page, or writes all.
pub fn run<C: CommandFactory>(args: &Args, output: &Output) -> ExitCode {
    let written = match &args.folder {
        Some(folder) => fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(C::command(), folder))
            .map_err(|error| Error::new(Kind::Failed, format!("{} cannot be written: {error}", folder.display()))),
        None => page::<C>()
            .map_err(|error| Error::new(Kind::Failed, format!("the manual cannot be made: {error}")))
            .and_then(|page| print(&String::from_utf8_lossy(&page))),
    };
    output.end(written)
}

fn page<C: CommandFactory>() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(C::command()).render(&mut page)?;
    Ok(page)
}
