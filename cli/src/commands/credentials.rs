//! `daypass credentials`: what the AWS SDKs, Terraform and the CDK call as their `credential_process`.

use std::process::ExitCode;

use daypass::ids::TransactionId;

use super::{block_on, session, settings_to_ask, transaction};
use crate::{
    client::store::{Session, Store},
    error::Error,
    output::{Output, print},
    settings::{DeploymentArgs, Process, RequestArgs, Use},
};

/// What follows `daypass credentials`.
#[derive(clap::Args)]
#[command(after_help = "\
In ~/.aws/config:

    [profile payments-dev]
    credential_process = daypass credentials --account payments-dev --quiet

With a transaction, its session is printed, and renewed when it is time. Without one, equal requests share one session, and
the first of them asks for it; nobody gives that back before its lease ends, unless with `daypass release`.

Exit codes: 0 printed; 2 wrong usage or configuration; 70 failed; 75 try again; 77 denied.")]
pub struct Args {
    /// The transaction that `daypass request` has begun [default: `DAYPASS_TRANSACTION_ID`]
    #[arg(long, value_name = "ID")]
    transaction: Option<TransactionId>,
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    deployment: DeploymentArgs,
}

/// Prints the credentials.
pub fn run(args: &Args, output: &Output) -> ExitCode {
    let mut output = output.clone();
    let found = find(args, &mut output);
    output.end(found.and_then(|session| print(&format!("{}\n", session.role.credential_process()))))
}

fn find(args: &Args, output: &mut Output) -> Result<Session, Error> {
    let (settings, linking) = settings_to_ask(&args.deployment, &args.request, Use::All, output)?;
    *output = linking;
    let store = Store::of(&Process, output)?;
    // Whoever names an account means that, whatever the environment is about.
    let named =
        if args.request.names_an_account() { args.transaction } else { transaction(args.transaction, &Process)? };
    block_on(async {
        match named {
            Some(id) => session::of_transaction(id, &settings, &Process, output, &store).await,
            None => session::of_request(&settings, &Process, output, &store).await,
        }
    })
}
