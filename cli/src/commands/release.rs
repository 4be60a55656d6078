//! `daypass release`: gives a role back.

use std::{process::ExitCode, time::Duration};

use aws_sdk_sfn::types::ExecutionStatus;
use daypass::ids::TransactionId;
use serde_json::json;
use tokio::time::sleep;

use super::{block_on, required_transaction, session, settings};
use crate::{
    client::{
        daypass::{Daypass, Execution, Release, release_name},
        store::Store,
    },
    error::{Error, Kind},
    output::Output,
    settings::{DeploymentArgs, Process},
};

const POLL: Duration = Duration::from_secs(1);

/// What follows `daypass release`.
#[derive(clap::Args)]
#[command(after_help = "\
As soon as this returns, the role will be deleted, whatever becomes of this machine. A second release is a success.

Exit codes: 0 released; 2 wrong usage or configuration; 70 failed; 75 try again.")]
pub struct Args {
    /// The transaction [default: `DAYPASS_TRANSACTION_ID`]
    #[arg(value_name = "ID")]
    transaction: Option<TransactionId>,
    /// Wait until the role is gone
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    deployment: DeploymentArgs,
}

/// Gives it back.
pub fn run(args: &Args, output: &Output) -> ExitCode {
    let mut output = output.clone();
    match release(args, &mut output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output.error(&error),
    }
}

fn release(args: &Args, output: &mut Output) -> Result<(), Error> {
    let (settings, linking) = settings(&args.deployment, None, output)?;
    *output = linking;
    let transaction = required_transaction(args.transaction, &Process)?;
    let store = Store::of(&Process)?;
    block_on(async {
        let mut stored = store.lock(transaction)?;
        let (deployment, own) = session::known(stored.as_mut(), &settings)?;
        let daypass = Daypass::connect(deployment, &settings, &own, &Process, output).await?;
        let release = daypass.release(transaction).await?;
        if let Some(stored) = stored {
            stored.remove()?;
        }
        let gone = if args.wait { Some(wait(&daypass, transaction, output).await?) } else { None };
        let status = match (gone.and_then(|ended| ended.output?["status"].as_str().map(str::to_owned)), release) {
            (Some(status), _) => status,
            (None, Release::Started) => "released".to_owned(),
            (None, Release::AlreadyStarted) => "already released".to_owned(),
        };
        output.result(&format!("{transaction} {status}\n"), &json!({"transaction_id": transaction, "status": status}));
        Ok(())
    })
}

async fn wait(daypass: &Daypass, transaction: TransactionId, output: &Output) -> Result<Execution, Error> {
    let _progress = output.progress("waiting until the role is gone");
    loop {
        match daypass.execution(&release_name(transaction)).await? {
            Some(execution) if execution.status == ExecutionStatus::Running => sleep(POLL).await,
            Some(execution) if execution.status == ExecutionStatus::Succeeded => return Ok(execution),
            Some(Execution { status, failure, .. }) => return Err(failed(status.as_str(), failure).about(transaction)),
            None => sleep(POLL).await,
        }
    }
}

/// Why the role could not be taken away.
fn failed(status: &str, failure: Option<(String, String)>) -> Error {
    let (error, cause) = failure.unwrap_or_default();
    if error.starts_with("Daypass.") {
        let cause: serde_json::Value = serde_json::from_str(&cause).unwrap_or(json!({"reason": cause}));
        let text = |name: &str| cause[name].as_str().unwrap_or_default().to_owned();
        return Error::named(&error, "failed", &text("reason"));
    }
    Error::new(Kind::Failed, format!("the release has ended as {status}: {error}"))
        .remedy("tell whoever runs Daypass; the lease ends the access all the same")
}
