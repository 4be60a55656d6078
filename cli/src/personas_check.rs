//! `daypass personas check`: is a `personas.json` fit to be deployed?

use std::{fs, path::PathBuf, process::ExitCode};

use daypass::persona::Personas;

/// What follows `daypass personas check`.
#[derive(clap::Args)]
#[command(after_help = "Exit codes: 0 no problems, 1 problems found, 2 wrong usage or an unreadable file")]
pub struct Args {
    /// The file to check
    #[arg(default_value = "personas.json")]
    file: PathBuf,
}

/// Prints a summary, or every problem with its path and what to do about it.
pub fn run(args: &Args) -> ExitCode {
    let file = args.file.display();
    let json = match fs::read_to_string(&args.file) {
        Ok(json) => json,
        Err(error) => {
            eprintln!("{file}: cannot be read: {error}");
            return ExitCode::from(2);
        }
    };
    match Personas::parse(&json) {
        Ok(personas) => {
            let (personas, environments, accounts) =
                (personas.personas().len(), personas.environments().len(), personas.accounts().len());
            println!("{file}: no problems ({personas} personas, {environments} environments, {accounts} accounts)");
            ExitCode::SUCCESS
        }
        Err(error) => {
            for problem in &error.problems {
                eprintln!("{file}: {problem}");
            }
            ExitCode::from(1)
        }
    }
}
