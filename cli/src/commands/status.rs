//! `daypass status`: what has become of a transaction.

use std::process::ExitCode;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::types::ExecutionStatus;
use daypass::{error::ErrorName, ids::TransactionId};
use daypass_aws::AwsError;
use serde_json::{Map, Value, json};

use super::session;
use crate::{
    client::{Client, release::Execution},
    context::{Context, block_on},
    error::{Error, Kind},
    settings::{DeploymentArgs, Key, Settings, TableArgs},
};

/// What follows `daypass status`.
#[derive(clap::Args)]
#[command(after_help = "\
The record in the table is authoritative. Without permission to read it, the status is that of the lease's \
execution: `leased` while it waits, and at its end how the transaction has ended. The lease does not show \
whether the role was released in the meantime. `source` names the origin of the status, `note` what is unknown.

Exit codes: 0 known; 2 wrong usage or configuration; 70 failed, or unknown transaction; 75 try again.")]
pub struct Args {
    /// The transaction [default: `DAYPASS_TRANSACTION_ID`]
    #[arg(value_name = "ID")]
    transaction: Option<TransactionId>,
    #[command(flatten)]
    table: TableArgs,
    #[command(flatten)]
    deployment: DeploymentArgs,
}

pub fn run(args: &Args, context: &mut Context) -> Result<ExitCode, Error> {
    let settings = context.settings(&args.deployment.flags().and(args.table.flags()))?;
    let transaction = context.required_transaction(args.transaction)?;
    let found = block_on(find(transaction, &settings, context))?;
    context.output.result(&text(&found), &found)
}

/// What the table says of a transaction, else what its lease says.
async fn find(transaction: TransactionId, settings: &Settings, context: &Context) -> Result<Value, Error> {
    let (deployment, role_key_ids) = session::known(context.store()?.lock(transaction)?.as_mut(), settings)?;
    let client = Client::connect(deployment, settings, &role_key_ids, context).await?;
    if let Some(table) = settings.text(Key::Table) {
        match record(&client, table, transaction).await {
            Ok(found) => return found.ok_or_else(|| unknown(transaction)),
            Err(error) if error.is_access_denied() => {
                context
                    .output
                    .note(&format!("these credentials may not read the table ({table}); reading the lease instead"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    // Releases have names that nobody knows any more: what they came to is in the table alone.
    let lease = client.releases().execution(&transaction.to_string()).await?;
    lease.and_then(|lease| of_lease(transaction, &lease)).ok_or_else(|| unknown(transaction))
}

fn unknown(transaction: TransactionId) -> Error {
    Error::new(Kind::Failed, "unknown transaction, or it was denied before its lease started")
        .remedy("check the id and the deployment (`daypass config show`)")
        .about(transaction)
}

/// The table's record, with `source`.
async fn record(client: &Client, table: &str, transaction: TransactionId) -> Result<Option<Value>, AwsError> {
    let key = AttributeValue::S(transaction.to_string());
    let call = aws_sdk_dynamodb::Client::new(client.config()).get_item().table_name(table).key("transaction_id", key);
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
        AttributeValue::Ss(set) => set.as_slice().into(),
        AttributeValue::M(map) => {
            map.iter().map(|(name, value)| (name.clone(), plain(value))).collect::<Map<_, _>>().into()
        }
        _ => Value::Null,
    }
}

/// What is known by the execution that has the transaction's id as its name, which is its lease's; nothing when it knows of no such
/// transaction.
fn of_lease(transaction: TransactionId, lease: &Execution) -> Option<Value> {
    let text = |value: &Option<Value>, name: &str| Some(value.as_ref()?[name].as_str()?.to_owned());
    let expires_at = text(&lease.input, "expires_at");
    let is_of_it = |value: &Option<Value>, name: &str| text(value, name).is_none_or(|id| id == transaction.to_string());
    let error = lease.failure.as_ref().map_or("", |(error, _)| error.as_str());
    if !is_of_it(&lease.input, "transaction_id") || error == ErrorName::TransactionNotFound.as_str() {
        return None;
    }
    let table = "the table has it (--table)";
    let again = format!("`daypass release {transaction}` releases the role, if there is one");
    let is_refusal =
        [ErrorName::InvalidRequest, ErrorName::TransactionMismatch].map(ErrorName::as_str).contains(&error);
    let ended = text(&lease.output, "status").filter(|_| is_of_it(&lease.output, "original_transaction_id"));
    let (status, note) = match (&lease.status, ended) {
        (ExecutionStatus::Succeeded, Some(status)) => (status, None),
        (ExecutionStatus::Running, _) if expires_at.is_some() => {
            let note = format!("the lease does not show whether the role was released in the meantime; {table}");
            ("leased".to_owned(), Some(note))
        }
        (ExecutionStatus::Failed, _) if !is_refusal => {
            let note = format!("the lease does not show whether a later release has ended it; {table}; {again}");
            ("deprovision_failed".to_owned(), Some(note))
        }
        (status, _) => {
            let note =
                format!("its lease is {}, and does not show the status of the role; {table}; {again}", status.as_str());
            ("unknown".to_owned(), Some(note))
        }
    };
    Some(json!({
        "source": "lease",
        "transaction_id": transaction,
        "status": status,
        "expires_at": expires_at,
        "note": note,
        "lease": {
            "status": lease.status.as_str(),
            "started_at": lease.started_at,
            "ended_at": lease.ended_at,
            "error": lease.failure.as_ref().map(|(error, _)| error),
        },
    }))
}

/// The members that hold one value each, one a line.
fn text(found: &Value) -> String {
    let first = ["transaction_id", "status"];
    let line = |name: &str, value: &Value| match value {
        Value::String(text) => format!("{:<22} {}\n", daypass::text::plain(name), daypass::text::plain(text)),
        Value::Number(_) | Value::Bool(_) => format!("{name:<22} {value}\n"),
        Value::Object(members) if members.contains_key("started_at") => {
            format!("{name:<22} {}\n", daypass::text::plain(members["status"].as_str().unwrap_or_default()))
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

    const ID: &str = "6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11";
    const OTHER: &str = "0d2f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11";

    fn lease(status: ExecutionStatus) -> Execution {
        Execution {
            status,
            started_at: Timestamp::from_unix_seconds(0),
            ended_at: None,
            input: Some(json!({"schema": 1, "transaction_id": ID, "expires_at": "2026-11-23T11:00:00Z"})),
            output: None,
            failure: None,
        }
    }

    fn ended(status: &str, original: &str) -> Execution {
        let output = json!({"status": status, "original_transaction_id": original});
        Execution { output: Some(output), ..lease(ExecutionStatus::Succeeded) }
    }

    fn failed(error: &str) -> Execution {
        Execution { failure: Some((error.to_owned(), String::new())), ..lease(ExecutionStatus::Failed) }
    }

    #[test]
    fn what_is_recorded_is_printed_in_lines_of_its_own() {
        let forged = "x\n::add-mask::y\u{202e}";
        let execution = json!({"started_at": "2026-11-23T10:00:00Z", "status": forged});
        let found = json!({"transaction_id": ID, "status": forged, "justification": forged, "lease": execution});
        let text = text(&found);
        assert_eq!(text.lines().count(), 4, "{text}");
        assert_eq!(text.matches("x\\u{a}::add-mask::y\\u{202e}\n").count(), 3, "{text}");
    }

    #[test]
    fn the_lease_tells_what_it_knows_and_says_what_it_does_not_know() {
        let release = Execution { input: Some(json!({"transaction_id": ID})), ..lease(ExecutionStatus::Running) };
        let foreign = Execution { input: Some(json!({"transaction_id": OTHER})), ..lease(ExecutionStatus::Running) };
        let cases = [
            (lease(ExecutionStatus::Running), Some("leased"), true),
            (ended("deprovisioned", ID), Some("deprovisioned"), false),
            (ended("failed", ID), Some("failed"), false),
            (ended("deprovisioned", OTHER), Some("unknown"), true),
            (failed("Daypass.AwsUnavailable"), Some("deprovision_failed"), true),
            (failed("Daypass.InvalidRequest"), Some("unknown"), true),
            (failed("Daypass.TransactionNotFound"), None, false),
            (lease(ExecutionStatus::Aborted), Some("unknown"), true),
            (lease(ExecutionStatus::TimedOut), Some("unknown"), true),
            (release, Some("unknown"), true),
            (foreign, None, false),
        ];
        for (lease, expected, has_note) in cases {
            let found = of_lease(ID.parse().unwrap(), &lease);
            let status = found.as_ref().map(|found| found["status"].as_str().unwrap());
            assert_eq!(status, expected, "{lease:?}");
            assert_eq!(found.as_ref().is_some_and(|found| found["note"].is_string()), has_note, "{lease:?}");
            assert!(found.is_none_or(|found| text(&found).starts_with("transaction_id         6f0f4a38-")));
        }
    }
}
