//! What the machines have in common with the tasks, the functions and the CDK app.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use daypass::{
    contract::{
        DeleteRoleInput, DeletedRole, Deprovisioning, PersonInput, RecordInput, Status, TransactionInput, ValidateInput,
    },
    error::ErrorName,
    samples,
    stage::parse_input,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Machines;
use crate::{
    asl::{Call, Machine, Task, expression, texts},
    repository,
};

use ErrorName::{
    AwsUnavailable, InvalidRequest, QuotaExceeded, RoleNotVisibleYet, Throttled, TransactionMismatch,
    TransactionNotFound,
};

/// Errors that may pass within seconds.
const PASSING: &[ErrorName] = &[Throttled, AwsUnavailable, RoleNotVisibleYet, QuotaExceeded];
/// Errors that no patience mends.
const LASTING: &[ErrorName] = &[InvalidRequest, TransactionNotFound, TransactionMismatch];
/// Errors of Lambda itself, which its guide asks every machine to retry.
const LAMBDA: &[&str] = &[
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
];

const CREATE_ROLE: &[ErrorName] = &[
    InvalidRequest,
    ErrorName::TargetAccountNotOnboarded,
    ErrorName::RoleConflict,
    QuotaExceeded,
    RoleNotVisibleYet,
    Throttled,
    AwsUnavailable,
];
const DELETE_ROLE: &[ErrorName] =
    &[InvalidRequest, ErrorName::TargetAccountNotOnboarded, RoleNotVisibleYet, Throttled, AwsUnavailable];
const RECORD: &[(&str, &[ErrorName])] = &[
    ("processing", &[InvalidRequest, Throttled, AwsUnavailable, ErrorName::TransactionConflict]),
    ("denied", &[InvalidRequest, Throttled, AwsUnavailable, ErrorName::TransactionConflict, TransactionNotFound]),
    ("failed", &[InvalidRequest, Throttled, AwsUnavailable, ErrorName::TransactionConflict, TransactionNotFound]),
    ("provisioned", &[InvalidRequest, Throttled, AwsUnavailable, ErrorName::TransactionConflict, TransactionNotFound]),
    ("deprovisioning", &[InvalidRequest, Throttled, AwsUnavailable, TransactionNotFound, TransactionMismatch]),
    ("deprovisioned", &[InvalidRequest, Throttled, AwsUnavailable, TransactionNotFound]),
    ("deprovision_failed", &[InvalidRequest, Throttled, AwsUnavailable, TransactionNotFound]),
];

/// The error names that a task can end with.
fn raises(function: &str, operation: Option<&str>) -> &'static [ErrorName] {
    match (function, operation) {
        ("validate", None) => daypass_validate::RAISES,
        ("authn", None) => daypass_authn::RAISES,
        ("authz", None) => daypass_authz::RAISES,
        ("create_role", None) => CREATE_ROLE,
        ("issue_creds", None) => daypass_issue_creds::RAISES,
        ("delete_role", None) => DELETE_ROLE,
        ("record", Some(operation)) => {
            RECORD.iter().find(|(name, _)| *name == operation).map_or(&[], |(_, raises)| raises)
        }
        _ => &[],
    }
}

/// Every task of both machines that calls a function: machine, state, task, substitution key, operation of record.
fn functions(machines: &Machines) -> Vec<(&Machine, &str, &Task, &str, Option<&str>)> {
    let of = |machine| {
        Machine::tasks(machine).filter_map(move |(state, task)| match task.call() {
            Ok(Call::Function(key, operation)) => Some((machine, state, task, key, operation)),
            _ => None,
        })
    };
    machines.both().into_iter().flat_map(of).collect()
}

/// Provision calls every task below `tasks/` and starts deprovision, deprovision calls two; and nothing refers to
/// anything in another place.
pub fn references(machines: &Machines) -> Vec<String> {
    let folders = fs::read_dir(repository().join("tasks")).expect("the folder of the tasks");
    let mut provision: BTreeSet<String> = folders
        .map(|task| task.expect("a task").file_name().into_string().expect("a name").replace('-', "_"))
        .collect();
    provision.insert("deprovision".to_owned());
    let deprovision = BTreeSet::from(["record", "delete_role"].map(str::to_owned));

    let mut problems = vec![];
    for (machine, expected) in machines.both().into_iter().zip([provision, deprovision]) {
        let mut called = BTreeSet::new();
        for (state, task) in machine.tasks() {
            match task.call() {
                Ok(Call::Function(key, _) | Call::Start(key)) => called.insert(key.to_owned()),
                Err(problem) => {
                    problems.push(format!("{}: {state}: {problem}", machine.name));
                    continue;
                }
            };
        }
        if called != expected {
            problems.push(format!("{} calls {called:?} instead of {expected:?}", machine.name));
        }
        let elsewhere = texts(&machine.document).into_iter().filter(|(at, text)| {
            text.contains("${") && !at.ends_with("/FunctionName") && !at.ends_with("/StateMachineArn")
        });
        problems.extend(elsewhere.map(|(at, _)| format!("{}: {at} refers to something", machine.name)));
    }
    problems
}

/// Every name of ours is one.
pub fn error_names(machines: &Machines) -> Vec<String> {
    let known = |name: &str| ErrorName::ALL.iter().any(|known| known.as_str() == name);
    let mut problems = vec![];
    for machine in machines.both() {
        for (at, text) in texts(&machine.document) {
            let names = text.match_indices("Daypass.").map(|(start, _)| {
                let end = text[start + 8..]
                    .find(|c: char| !c.is_ascii_alphanumeric())
                    .map_or(text.len(), |end| start + 8 + end);
                &text[start..end]
            });
            let unknown = names.filter(|name| !known(name));
            problems.extend(unknown.map(|name| format!("{}: {at}: no error is named {name}", machine.name)));
        }
    }
    problems
}

fn ours<'a>(errors: impl Iterator<Item = &'a Vec<String>>) -> BTreeSet<&'a str> {
    errors.flatten().map(String::as_str).filter(|error| error.starts_with("Daypass.")).collect()
}

fn names<'a>(errors: impl IntoIterator<Item = &'a ErrorName>) -> BTreeSet<&'static str> {
    errors.into_iter().map(|error| error.as_str()).collect()
}

/// What a task can raise is caught by its name, and nothing else of ours is.
pub fn raised_is_caught(machines: &Machines) -> Vec<String> {
    let mut problems = vec![];
    for (machine, state, task, key, operation) in functions(machines) {
        let (raised, caught) =
            (names(raises(key, operation)), ours(task.catch.iter().map(|catcher| &catcher.error_equals)));
        if raised.is_empty() {
            problems.push(format!("{}: {state}: {key} has no operation {operation:?}", machine.name));
        }
        let missing = raised.difference(&caught).map(|error| format!("does not catch {error}"));
        let invented = caught.difference(&raised).map(|error| format!("catches {error}, which is never raised"));
        problems.extend(missing.chain(invented).map(|problem| format!("{}: {state} {problem}", machine.name)));
    }
    problems
}

/// In provision what may pass within seconds is tried again; in deprovision all that is not beyond hope. Both retry
/// what goes wrong with Lambda itself.
pub fn what_passes_is_tried_again(machines: &Machines) -> Vec<String> {
    let mut problems = vec![];
    for (machine, state, task, key, operation) in functions(machines) {
        let raised = raises(key, operation).iter();
        let expected = if machine.name == "provision" {
            names(raised.filter(|error| PASSING.contains(error)))
        } else {
            names(raised.filter(|error| !LASTING.contains(error)))
        };
        let tried =
            || task.retry.iter().filter(|retrier| retrier.max_attempts > 0).map(|retrier| &retrier.error_equals);
        let refused =
            task.retry.iter().filter(|retrier| retrier.max_attempts == 0).map(|retrier| &retrier.error_equals);
        let found = ours(tried());
        if found != expected {
            problems.push(format!("{}: {state} retries {found:?} instead of {expected:?}", machine.name));
        }
        let lasting = names(raises(key, operation).iter().filter(|error| LASTING.contains(error)));
        let (found, expected) = (ours(refused), if machine.name == "provision" { BTreeSet::new() } else { lasting });
        if found != expected {
            problems.push(format!("{}: {state} gives up at once on {found:?} instead of {expected:?}", machine.name));
        }
        let lambda: Vec<_> =
            tried().flatten().map(String::as_str).filter(|error| error.starts_with("Lambda.")).collect();
        if lambda != LAMBDA {
            problems.push(format!("{}: {state} retries {lambda:?} instead of {LAMBDA:?}", machine.name));
        }
    }
    problems
}

/// A state gives a function up only when Lambda has ended it: what was given up cannot act any more.
pub fn tasks_outlive_functions(machines: &Machines) -> Vec<String> {
    let hub = fs::read_to_string(repository().join("cdk/test/__snapshots__/DaypassHub.template.json"));
    let hub: Value = serde_json::from_str(&hub.expect("the reviewed template of the hub")).expect("JSON");
    let timeouts: BTreeMap<String, u64> = hub["Resources"]
        .as_object()
        .expect("resources")
        .values()
        .filter(|resource| resource["Type"] == "AWS::Lambda::Function")
        .filter_map(|function| {
            let name = function["Properties"]["FunctionName"].as_str()?.strip_prefix("daypass-")?;
            Some((name.replace('-', "_"), function["Properties"]["Timeout"].as_u64()?))
        })
        .collect();
    let mut problems = vec![];
    for (machine, state, task, key, _) in functions(machines) {
        match timeouts.get(key) {
            Some(timeout) if u64::from(task.timeout_seconds) > *timeout => {}
            timeout => problems.push(format!(
                "{}: {state} waits for {} s, the function runs for {timeout:?}",
                machine.name, task.timeout_seconds
            )),
        }
    }
    problems
}

/// What a task is sent is what it reads.
pub fn payloads(machines: &Machines) -> Vec<String> {
    let values = values();
    let mut problems = vec![];
    for (machine, state, task, key, _) in functions(machines) {
        let read = filled(&task.arguments["Payload"], &values).and_then(|payload| match key {
            "validate" => reads::<ValidateInput>(&payload),
            "record" => reads::<RecordInput>(&payload),
            "authn" | "create_role" => reads::<TransactionInput>(&payload),
            "authz" | "issue_creds" => reads::<PersonInput>(&payload),
            "delete_role" => reads::<DeleteRoleInput>(&payload),
            _ => Err("nothing is known of what it reads".to_owned()),
        });
        problems.extend(read.err().map(|problem| format!("{}: {state} sends {key}: {problem}", machine.name)));
    }
    problems
}

fn reads<T: DeserializeOwned>(payload: &Value) -> Result<(), String> {
    parse_input::<T>(&payload.to_string()).map(|_| ()).map_err(|failure| failure.message)
}

/// The variables of both machines and the context, with values as the tasks answer them.
fn values() -> Value {
    let transaction = samples::transaction();
    let ending = Deprovisioning {
        deprovisioning_transaction_id: Some(transaction.transaction_id),
        original_transaction_id: transaction.transaction_id,
        status: Status::Deprovisioning,
        already_ended: false,
        role_arn: transaction.role_arn.clone(),
        role_created_at: transaction.requested_at,
    };
    json!({
        "states": {
            "input": { "any": "thing" },
            "context": {
                "Execution": {
                    "Id": "arn:aws:states:us-east-1:111111111111:execution:daypass-deprovision:x",
                    "Name": transaction.transaction_id,
                    "StartTime": "2026-11-23T09:00:00.123Z",
                },
            },
        },
        "transaction": transaction,
        "person": samples::person(),
        "authorization": samples::authorization(),
        "role": samples::role(),
        "lease_execution_arn": "arn:aws:states:us-east-1:111111111111:execution:daypass-deprovision:x",
        "source_identity": "alex@example.com",
        "credentials_expire_at": transaction.requested_at,
        "failure": { "State": "CreateRole", "Error": "Daypass.AwsUnavailable", "Cause": "it gave no reason" },
        "ending": ending,
        "deleted": DeletedRole::default(),
    })
}

/// A template with its expressions replaced. Only those that name a value are evaluated, alone or as the fields of an
/// object; every other gives a text.
fn filled(template: &Value, values: &Value) -> Result<Value, String> {
    match template {
        Value::String(text) => match expression(text) {
            None => Ok(template.clone()),
            Some(expression) => match expression.strip_prefix('{').and_then(|object| object.strip_suffix('}')) {
                None => named(expression, values),
                Some(fields) => fields.split(", ").map(|field| object_field(field, values)).collect(),
            },
        },
        Value::Object(fields) => fields.iter().map(|(key, field)| Ok((key.clone(), filled(field, values)?))).collect(),
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) => Ok(template.clone()),
    }
}

/// `'key': $the.value`
fn object_field(field: &str, values: &Value) -> Result<(String, Value), String> {
    let (key, value) = field.split_once(": ").ok_or_else(|| format!("{field} is no field"))?;
    Ok((key.trim_matches('\'').to_owned(), named(value, values)?))
}

/// `$the.value`
fn named(expression: &str, values: &Value) -> Result<Value, String> {
    let is_path = |c: char| c.is_ascii_alphanumeric() || ['_', '.'].contains(&c);
    let Some(path) = expression.strip_prefix('$').filter(|path| path.chars().all(is_path)) else {
        return Ok(json!("a text"));
    };
    let pointer = format!("/{}", path.replace('.', "/"));
    values.pointer(&pointer).cloned().ok_or_else(|| format!("there is no {expression}"))
}
