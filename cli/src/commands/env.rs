//! `daypass env`: the credentials of a session as environment variables.

use std::{fs::OpenOptions, io::Write, process::ExitCode};

use clap::ValueEnum;
use daypass::ids::TransactionId;

use super::{TRANSACTION_VARIABLE, block_on, required_transaction, session, settings};
use crate::{
    client::store::{Session, Store},
    error::{Error, Kind},
    output::{Output, print},
    settings::{DeploymentArgs, Process, World},
};

/// Where GitHub reads what later steps shall have in their environment.
const GITHUB_FILE: &str = "GITHUB_ENV";

/// What follows `daypass env`.
#[derive(clap::Args)]
#[command(after_help = "\
    eval \"$(daypass env)\"

What is printed is secret. It ends with the session, and is not renewed: `daypass credentials` is.

Exit codes: 0 printed; 2 wrong usage or configuration; 70 failed; 75 try again; 77 denied.")]
pub struct Args {
    /// The transaction that `daypass request` has begun [default: `DAYPASS_TRANSACTION_ID`]
    #[arg(long, value_name = "ID")]
    transaction: Option<TransactionId>,
    /// How the variables are written
    #[arg(long, value_enum, default_value_t = Format::Shell)]
    format: Format,
    #[command(flatten)]
    deployment: DeploymentArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For `eval` in a POSIX shell
    Shell,
    /// For a .env file
    Dotenv,
    /// For the later steps of a GitHub job: masked, and appended to `$GITHUB_ENV`
    Github,
}

/// Prints the variables.
pub fn run(args: &Args, output: &Output) -> ExitCode {
    let mut output = output.clone();
    let written = find(args, &mut output).and_then(|session| write(args.format, &session));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output.error(&error),
    }
}

fn find(args: &Args, output: &mut Output) -> Result<Session, Error> {
    let (settings, linking) = settings(&args.deployment, None, output)?;
    *output = linking;
    let transaction = required_transaction(args.transaction, &Process)?;
    let store = Store::of(&Process)?;
    block_on(session::of_transaction(transaction, &settings, &Process, output, &store))
}

fn write(format: Format, session: &Session) -> Result<(), Error> {
    let mut variables = session.role.variables().to_vec();
    variables.push((TRANSACTION_VARIABLE, session.grant.transaction_id.to_string()));
    let lines = |prefix: &str, quote: &str| {
        // None of the values has a quote, a blank or a line feed in it: AWS makes them of base64 and the like.
        let line = |(name, value): &(&str, String)| format!("{prefix}{name}={quote}{value}{quote}\n");
        variables.iter().map(line).collect::<Vec<_>>().concat()
    };
    match format {
        Format::Shell => print(&lines("export ", "'")),
        Format::Dotenv => print(&lines("", "")),
        Format::Github => {
            let file = Process.variable(GITHUB_FILE).ok_or_else(|| {
                Error::usage(format!("{GITHUB_FILE} is not set, so this is no step of a GitHub job"))
                    .remedy("use `--format shell`")
            })?;
            // Before anybody can print them.
            let role = &session.role;
            let secrets = [role.access_key_id.as_str(), role.secret_access_key.expose(), role.session_token.expose()];
            print(&secrets.map(|secret| format!("::add-mask::{secret}\n")).concat());
            let appended = OpenOptions::new().append(true).create(true).open(&file);
            appended.and_then(|mut file| file.write_all(lines("", "").as_bytes())).map_err(|error| {
                Error::new(Kind::Failed, format!("{file} ({GITHUB_FILE}) cannot be written: {error}"))
            })?;
        }
    }
    Ok(())
}
