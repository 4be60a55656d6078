//! `daypass request`: asks for a role and keeps the session for the commands that follow.

use std::process::ExitCode;

use daypass::ids::TransactionId;
use serde_json::{Value, json};

use super::session;
use crate::{
    client::{Client, store::Session},
    context::{Context, block_on},
    error::Error,
    settings::{DeploymentArgs, RequestArgs, Use},
};

/// What follows `daypass request`.
#[derive(clap::Args)]
#[command(after_help = "\
The output contains no secret. `daypass credentials` and `daypass env` print the credentials, `daypass release` \
releases the role.

Exit codes: 0 granted; 2 wrong usage or configuration; 70 failed; 75 try again; 77 denied.")]
pub struct Args {
    /// The transaction's id, if another process must know it in advance [default: a new id]
    #[arg(long, value_name = "ID")]
    transaction_id: Option<TransactionId>,
    /// Request the role for one session only, which is not renewed
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    deployment: DeploymentArgs,
}

/// Prints what was granted.
pub fn run(args: &Args, context: &mut Context) -> Result<ExitCode, Error> {
    let used = if args.once { Use::OneSession } else { Use::All };
    let settings = context.settings_of_request(&args.deployment.flags().and(args.request.flags()), used)?;
    let transaction = args.transaction_id.map_or_else(Client::new_transaction, Ok)?;
    let session = block_on(session::begin(transaction, &settings, context, &context.store()?))?;
    let printed = context.output.result(&text(&session), &granted(&session));
    printed.map_err(|error| error.about(session.grant.transaction_id))
}

fn granted(Session { grant, request, .. }: &Session) -> Value {
    json!({
        "transaction_id": grant.transaction_id,
        "iam_role_arn": grant.iam_role_arn,
        "role_name": grant.role_name,
        "role_ttl_hours": grant.role_ttl_hours,
        "expires_at": grant.expires_at,
        "persona": grant.persona,
        "status": grant.status,
        "account": request.target_aws_account,
        "account_id": request.target_aws_account_id,
        "email": request.email,
        "branch": request.branch,
    })
}

fn text(Session { grant, request, .. }: &Session) -> String {
    let lines = [
        ("transaction", grant.transaction_id.to_string()),
        ("role", grant.iam_role_arn.to_string()),
        ("persona", grant.persona.clone()),
        ("account", format!("{} ({})", request.target_aws_account, request.target_aws_account_id)),
        ("on behalf of", request.email.to_string()),
        ("expires at", grant.expires_at.to_string()),
    ];
    lines.map(|(name, value)| format!("{name:<13} {}\n", daypass::text::plain(&value))).concat()
}
