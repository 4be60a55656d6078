//! `daypass status`: what has become of a transaction.

use std::process::ExitCode;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::types::ExecutionStatus;
use daypass::{ids::TransactionId, lambda::AwsError};
use serde_json::{Map, Value, json};

use super::{block_on, required_transaction, session};
use crate::{
    client::{
        daypass::{Daypass, Execution, release_name},
        store::Store,
    },
    error::{Error, Kind},
    output::Output,
    settings::{DeploymentArgs, Flags, Key, Process, Settings},
};

/// What follows `daypass status`.
#[derive(clap::Args)]
#[command(after_help = "\
The table's record is what counts; whoever may not read it is told what the lease's and the release's executions say. `source`
tells which it is.

Exit codes: 0 known; 2 wrong usage or configuration; 70 failed, or nobody knows the transaction; 75 try again.")]
pub struct Args {
    /// The transaction [default: `DAYPASS_TRANSACTION_ID`]
    #[arg(value_name = "ID")]
    transaction: Option<TransactionId>,
    /// The table of transactions: the hub stack's output `TableName`
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    #[command(flatten)]
    deployment: DeploymentArgs,
}

/// Prints it.
pub fn run(args: &Args, output: &Output) -> ExitCode {
    let mut output = output.clone();
    match status(args, &mut output) {
        Ok(found) => {
            output.result(&text(&found), &found);
            ExitCode::SUCCESS
        }
        Err(error) => output.error(&error),
    }
}

fn status(args: &Args, output: &mut Output) -> Result<Value, Error> {
    let mut flags = Flags::of(&args.deployment, None);
    flags.set(Key::Table, args.table.as_ref());
    let settings = Settings::resolve(&flags, &Process)?;
    *output = output.clone().linking_to(settings.text(Key::DocsUrl));
    let transaction = required_transaction(args.transaction, &Process)?;
    let stored = Store::of(&Process)?;
    let (deployment, own) = session::known(stored.lock(transaction)?.as_mut(), &settings)?;
    block_on(async {
        let daypass = Daypass::connect(deployment, &settings, &own, &Process, output).await?;
        if let Some(table) = settings.text(Key::Table) {
            match record(&daypass, table, transaction).await {
                Ok(found) => return found.ok_or_else(|| unknown(transaction)),
                Err(error) if error.is_access_denied() => {
                    output.note(&format!("the table may not be read ({table}); looking at the executions"));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let lease = daypass.execution(&transaction.to_string()).await?;
        let release = daypass.execution(&release_name(transaction)).await?;
        of_executions(transaction, lease.as_ref(), release.as_ref()).ok_or_else(|| unknown(transaction))
    })
}

fn unknown(transaction: TransactionId) -> Error {
    Error::new(Kind::Failed, "there is no such transaction, or it was denied before a lease began")
        .remedy("see whether the id is right, and the deployment; `daypass config show` says which it is")
        .about(transaction)
}

/// The table's record, with `source`.
async fn record(daypass: &Daypass, table: &str, transaction: TransactionId) -> Result<Option<Value>, AwsError> {
    let key = AttributeValue::S(transaction.to_string());
    let call = aws_sdk_dynamodb::Client::new(daypass.config()).get_item().table_name(table).key("transaction_id", key);
    let found = call.consistent_read(true).send().await.map_err(AwsError::of("dynamodb:GetItem"))?;
    Ok(found.item.map(|item| {
        let mut found = json!({"source": "table"});
        for (name, value) in &item {
            found[name] = plain(value);
        }
        found
    }))
}

fn plain(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => text.as_str().into(),
        AttributeValue::N(number) => serde_json::from_str(number).unwrap_or_else(|_| number.as_str().into()),
        AttributeValue::Bool(flag) => (*flag).into(),
        AttributeValue::L(list) => list.iter().map(plain).collect(),
        AttributeValue::M(map) => {
            map.iter().map(|(name, value)| (name.clone(), plain(value))).collect::<Map<_, _>>().into()
        }
        _ => Value::Null,
    }
}

/// What the two executions that can end a transaction say.
fn of_executions(transaction: TransactionId, lease: Option<&Execution>, release: Option<&Execution>) -> Option<Value> {
    let done = [release, lease].into_iter().flatten().find(|execution| execution.status == ExecutionStatus::Succeeded);
    let status = if let Some(done) = done {
        done.output.as_ref().and_then(|output| output["status"].as_str()).unwrap_or("deprovisioned")
    } else if release.is_some_and(|release| release.status == ExecutionStatus::Running) {
        "deprovisioning"
    } else if lease.is_some_and(|lease| lease.status == ExecutionStatus::Running) {
        // Whether the role is there already, the lease does not know.
        "leased"
    } else if lease.is_some() || release.is_some() {
        "deprovision_failed"
    } else {
        return None;
    };
    let execution = |execution: &Execution| {
        json!({
            "status": execution.status.as_str(),
            "started_at": execution.started_at,
            "ended_at": execution.ended_at,
            "error": execution.failure.as_ref().map(|(error, _)| error),
        })
    };
    Some(json!({
        "source": "executions",
        "transaction_id": transaction,
        "status": status,
        "lease": lease.map(execution),
        "release": release.map(execution),
    }))
}

/// The members that hold one value each, one a line.
fn text(found: &Value) -> String {
    let first = ["transaction_id", "status"];
    let line = |name: &str, value: &Value| match value {
        Value::String(text) => format!("{name:<22} {}\n", daypass::text::plain(text)),
        Value::Number(_) | Value::Bool(_) => format!("{name:<22} {value}\n"),
        Value::Object(members) if members.contains_key("started_at") => {
            format!("{name:<22} {}\n", members["status"].as_str().unwrap_or_default())
        }
        _ => String::new(),
    };
    let rest = found.as_object().into_iter().flatten().filter(|(name, _)| !first.contains(&name.as_str()));
    let mut rest: Vec<String> = rest.map(|(name, value)| line(name, value)).collect();
    rest.sort();
    first.map(|name| line(name, &found[name])).concat() + &rest.concat()
}

#[cfg(test)]
mod tests {
    use daypass::timestamp::Timestamp;

    use super::*;

    #[test]
    fn what_the_executions_say() {
        let execution = |status: ExecutionStatus, output: Option<Value>| Execution {
            status,
            started_at: Timestamp::from_unix_seconds(0),
            ended_at: None,
            output,
            failure: None,
        };
        let running = execution(ExecutionStatus::Running, None);
        let ended = execution(ExecutionStatus::Succeeded, Some(json!({"status": "deprovisioned"})));
        let died = execution(ExecutionStatus::Succeeded, Some(json!({"status": "failed"})));
        let failed = execution(ExecutionStatus::Failed, None);
        let id = "6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11".parse().unwrap();
        let cases = [
            (None, None, None),
            (Some(&running), None, Some("leased")),
            (Some(&running), Some(&running), Some("deprovisioning")),
            (Some(&running), Some(&ended), Some("deprovisioned")),
            (Some(&ended), None, Some("deprovisioned")),
            (Some(&died), None, Some("failed")),
            (Some(&running), Some(&failed), Some("leased")),
            (Some(&failed), None, Some("deprovision_failed")),
            (Some(&failed), Some(&failed), Some("deprovision_failed")),
        ];
        for (lease, release, expected) in cases {
            let found = of_executions(id, lease, release);
            let status = found.as_ref().map(|found| found["status"].as_str().unwrap());
            assert_eq!(status, expected, "{lease:?} {release:?}");
            assert!(found.is_none_or(|found| text(&found).starts_with("transaction_id         6f0f4a38-")));
        }
    }
}
