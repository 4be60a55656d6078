//! `daypass release`: gives a role back.

use std::process::ExitCode;

use daypass::ids::TransactionId;
use serde_json::json;

use super::session;
use crate::{
    client::{Client, release::Release},
    context::{Context, block_on},
    error::Error,
    settings::DeploymentArgs,
};

/// What follows `daypass release`.
#[derive(clap::Args)]
#[command(after_help = "\
The release is done when Daypass reports how the transaction has ended: the role is gone, or the request never \
got a role. That takes a second or two. Without that report within ten seconds the exit code is 75: Daypass has \
accepted the release and retries for a day. Releasing again does no harm. A second release is a success.

Exit codes: 0 done; 2 wrong usage or configuration; 70 refused or failed; 75 not confirmed yet, or try again.")]
pub struct Args {
    /// The transaction [default: `DAYPASS_TRANSACTION_ID`]
    #[arg(value_name = "ID")]
    transaction: Option<TransactionId>,
    /// Wait until the role is gone, without a time limit
    #[arg(long)]
    wait: bool,
    /// The answer to the request was lost: wait some seconds for a request that is still on its way
    #[arg(long)]
    lost: bool,
    #[command(flatten)]
    deployment: DeploymentArgs,
}

/// Gives it back.
pub fn run(args: &Args, context: &mut Context) -> Result<ExitCode, Error> {
    let settings = context.settings(&args.deployment.flags())?;
    let transaction = context.required_transaction(args.transaction)?;
    let (store, output) = (context.store()?, &context.output);
    block_on(async {
        // Locked for some seconds at most, so that nobody takes credentials meanwhile that are about to end.
        let mut stored = store.lock(transaction)?;
        let (deployment, role_key_ids) = session::known(stored.as_mut(), &settings)?;
        let client = Client::connect(deployment, &settings, &role_key_ids, context).await?;
        let releases = client.releases();
        let progress = output.progress("releasing the role");
        let release =
            if args.lost { releases.release_lost(transaction).await } else { releases.release(transaction).await };
        drop(progress);
        let end = match release? {
            Release::Ended(end) => end,
            Release::Taken(taken) if args.wait => {
                drop(stored.take());
                let _progress = output.progress("waiting until the role is gone");
                releases.wait(taken).await?
            }
            Release::Taken(taken) => return Err(taken.into_error()),
        };
        // Until here a session that is kept is one that a role may stand behind.
        if let Some(stored) = stored.map_or_else(|| store.lock(transaction), |stored| Ok(Some(stored)))? {
            stored.remove()?;
        }
        let (status, text) = (end.status(), end.text());
        output.result(&format!("{transaction} {text}\n"), &json!({"transaction_id": transaction, "status": status}))
    })
}
