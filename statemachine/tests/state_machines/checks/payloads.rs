//! What the machines send, read by the types that the tasks read it with.

use daypass::{
    contract::{
        AuthnInput, CreateRoleInput, DeleteRoleInput, DeletedRole, Deprovisioning, PersonInput, ProveInput,
        RecordInput, Renewal, Status, ValidateInput,
    },
    stage::parse_input,
};
use daypass_testing::samples;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Machines, contract::functions};
use crate::asl::expression;

/// What a task is sent is what it reads.
pub fn payloads(machines: &Machines) -> Vec<String> {
    let values = values();
    let mut problems = vec![];
    for (machine, state, task, key, _) in functions(machines) {
        let read = filled(&task.arguments["Payload"], &values).and_then(|payload| match key {
            "validate" => reads::<ValidateInput>(&payload),
            "record" => reads::<RecordInput>(&payload),
            "prove" => reads::<ProveInput>(&payload),
            "authn" => reads::<AuthnInput>(&payload),
            "create_role" => reads::<CreateRoleInput>(&payload),
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

/// The variables of the machines and the context, with values as the tasks answer them.
fn values() -> Value {
    let transaction = samples::transaction();
    let ending = Deprovisioning {
        deprovisioning_transaction_id: Some(transaction.transaction_id.end()),
        original_transaction_id: transaction.transaction_id,
        status: Status::Deprovisioning,
        already_ended: false,
        role_arn: transaction.role_arn.clone(),
        role_may_exist: true,
        role_created_at: transaction.requested_at,
        expires_at: transaction.expires_at,
    };
    json!({
        "states": {
            "input": { "any": "thing" },
            "context": {
                "Execution": {
                    "Id": "arn:aws:states:us-east-1:111111111111:execution:daypass-deprovision:x",
                    "Name": transaction.transaction_id,
                    "Input": { "transaction_id": transaction.transaction_id },
                    "StartTime": "2026-11-23T09:00:00.123Z",
                },
            },
        },
        "renewal": Renewal { transaction_id: transaction.transaction_id, recipient: transaction.recipient.clone() },
        "proof_of_request": samples::proof(),
        "transaction": transaction,
        "identity_token": "e30.e30.e30.e30.e30",
        "proof": samples::proof(),
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
