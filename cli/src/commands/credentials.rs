//! `daypass credentials`: what the AWS SDKs, Terraform and the CDK call as their `credential_process`.

use std::process::ExitCode;

use daypass::ids::TransactionId;

use super::session;
use crate::{
    context::{Context, block_on},
    error::Error,
    output::print,
    settings::{DeploymentArgs, RequestArgs, Use},
};

/// What follows `daypass credentials`.
#[derive(clap::Args)]
#[command(after_help = "\
In ~/.aws/config:

    [profile payments-dev]
    credential_process = daypass credentials --account payments-dev --quiet

With a transaction, its session is printed, and renewed when necessary. Without a transaction, equal requests \
share one session, and the first of them requests the role. That role lives until its lease ends, unless \
`daypass release` releases it.

Exit codes: 0 printed; 2 wrong usage or configuration; 70 failed; 75 try again; 77 denied.")]
pub struct Args {
    /// The transaction that `daypass request` has started [default: `DAYPASS_TRANSACTION_ID`]
    #[arg(long, value_name = "ID")]
    transaction: Option<TransactionId>,
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    deployment: DeploymentArgs,
}

/// Prints the credentials.
pub fn run(args: &Args, context: &mut Context) -> Result<ExitCode, Error> {
    let request = args.request.flags();
    let names_an_account = request.name_an_account();
    let settings = context.settings_of_request(&args.deployment.flags().and(request), Use::All)?;
    let store = context.store()?;
    // An account on the command line counts more than a transaction in the environment.
    let transaction = if names_an_account { args.transaction } else { context.transaction(args.transaction)? };
    let session = block_on(async {
        match transaction {
            Some(id) => session::of_transaction(id, &settings, context, &store).await,
            None => session::of_request(&settings, context, &store).await,
        }
    })?;
    print(&format!("{}\n", session.role.credential_process()))
}
