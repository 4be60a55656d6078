//! What the machines have in common with the tasks, the functions and the CDK app.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use daypass::{
    error::{Class, ErrorName},
    stage::raised_by,
};
use daypass_authn::Authn;
use daypass_authz::Authz;
use daypass_create_role::CreateRole;
use daypass_delete_role::DeleteRole;
use daypass_issue_creds::IssueCreds;
use daypass_prove::Prove;
use daypass_validate::Validate;
use serde_json::Value;

use super::Machines;
use crate::{
    asl::{Call, Machine, Task, texts},
    repository,
};

use ErrorName::{
    InvalidRequest, QuotaExceeded, RecordBroken, RoleNotVisibleYet, TransactionMismatch, TransactionNotFound,
};

/// Errors that no patience mends.
const LASTING: &[ErrorName] = &[InvalidRequest, TransactionNotFound, TransactionMismatch, RecordBroken];

/// The error names that a task can end with.
pub fn raises(function: &str, operation: Option<&str>) -> BTreeSet<ErrorName> {
    match (function, operation) {
        ("validate", None) => raised_by::<Validate>(),
        ("prove", None) => raised_by::<Prove>(),
        ("authn", None) => raised_by::<Authn>(),
        ("authz", None) => raised_by::<Authz>(),
        ("create_role", None) => raised_by::<CreateRole>(),
        ("issue_creds", None) => raised_by::<IssueCreds>(),
        ("delete_role", None) => raised_by::<DeleteRole>(),
        ("record", Some(operation)) => {
            let of_operation = daypass_record::RAISES.iter().find(|(name, _)| *name == operation);
            of_operation.into_iter().flat_map(|(_, raises)| *raises).copied().collect()
        }
        _ => BTreeSet::new(),
    }
}

/// Every task of the machines that calls a function: machine, state, task, substitution key, operation of record.
pub fn functions(machines: &Machines) -> Vec<(&Machine, &str, &Task, &str, Option<&str>)> {
    let of = |machine| {
        Machine::tasks(machine).filter_map(move |(state, task)| match task.call() {
            Ok(Call::Function(key, operation)) => Some((machine, state, task, key, operation)),
            _ => None,
        })
    };
    machines.all().into_iter().flat_map(of).collect()
}

/// Provision calls every task below `tasks/`, uses up tokens and starts deprovision; renew calls those that make and delete
/// no role, and uses up tokens; deprovision calls two, and tells the operators; sweep reads the transactions and starts deprovision; and nothing refers
/// to anything in another place.
pub fn references(machines: &Machines) -> Vec<String> {
    let folders = fs::read_dir(repository().join("tasks")).expect("the folder of the tasks");
    let mut provision: BTreeSet<String> = folders
        .map(|task| task.expect("a task").file_name().into_string().expect("a name").replace('-', "_"))
        .collect();
    let mut renew = provision.clone();
    renew.retain(|task| !["create_role", "delete_role"].contains(&task.as_str()));
    renew.insert("used_tokens".to_owned());
    provision.extend(["deprovision", "used_tokens"].map(str::to_owned));
    let deprovision = BTreeSet::from(["record", "delete_role", "alarms"].map(str::to_owned));
    let sweep = BTreeSet::from(["transactions", "deprovision"].map(str::to_owned));

    let mut problems = vec![];
    for (machine, expected) in machines.all().into_iter().zip([provision, renew, deprovision, sweep]) {
        let calls: Vec<_> = machine.tasks().map(|(state, task)| (state, task.call())).collect();
        let called: BTreeSet<String> =
            calls.iter().filter_map(|(_, call)| Some(call.as_ref().ok()?.key().to_owned())).collect();
        if called != expected {
            problems.push(format!("{} calls {called:?} instead of {expected:?}", machine.name));
        }
        let unknown = calls.iter().filter_map(|(state, call)| Some((state, call.as_ref().err()?)));
        problems.extend(unknown.map(|(state, problem)| format!("{}: {state}: {problem}", machine.name)));
        let elsewhere = texts(&machine.document).into_iter().filter(|(at, text)| {
            let places = ["/FunctionName", "/StateMachineArn", "/TableName", "/TopicArn"];
            text.contains("${") && !places.iter().any(|place| at.ends_with(place))
        });
        problems.extend(elsewhere.map(|(at, _)| format!("{}: {at} refers to something", machine.name)));
    }
    problems
}

/// Every name of ours is one.
pub fn error_names(machines: &Machines) -> Vec<String> {
    let mut problems = vec![];
    for machine in machines.all() {
        for (at, text) in texts(&machine.document) {
            for name in text.split("Daypass.").skip(1) {
                let end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
                let name = format!("Daypass.{}", &name[..end]);
                if ErrorName::from_wire(&name).is_none() {
                    problems.push(format!("{}: {at}: no error is named {name}", machine.name));
                }
            }
        }
    }
    problems
}

fn ours<'a>(errors: impl Iterator<Item = &'a Vec<String>>) -> BTreeSet<&'a str> {
    errors.flatten().map(String::as_str).filter(|error| error.starts_with("Daypass.")).collect()
}

fn names(errors: impl IntoIterator<Item = ErrorName>) -> BTreeSet<&'static str> {
    errors.into_iter().map(ErrorName::as_str).collect()
}

/// What is raised is caught, by its name or with all others; and what is caught by name can be raised. (Which names have a way
/// of their own, `denials` and `no role is forgotten` say.)
pub fn raised_is_caught(machines: &Machines) -> Vec<String> {
    let mut problems = vec![];
    for (machine, state, task, key, operation) in functions(machines) {
        let (raised, caught) =
            (names(raises(key, operation)), ours(task.catch.iter().map(|catcher| &catcher.error_equals)));
        if !task.catch.iter().any(|catcher| catcher.error_equals == ["States.ALL"]) {
            let missed =
                raised.difference(&caught).map(|error| format!("{}: {state} does not catch {error}", machine.name));
            problems.extend(missed);
        }
        if raised.is_empty() {
            problems.push(format!("{}: {state}: {key} has no operation {operation:?}", machine.name));
        }
        let invented = caught.difference(&raised).map(|error| format!("catches {error}, which is never raised"));
        problems.extend(invented.map(|problem| format!("{}: {state} {problem}", machine.name)));
    }
    problems
}

/// Everything is tried again but what the same attempt would end with again. In deprovision, which has a day, an account that
/// cannot be entered may be mended meanwhile; a role that is not visible yet has a wait of its own.
pub fn what_passes_is_tried_again(machines: &Machines) -> Vec<String> {
    let mut problems = vec![];
    for (machine, state, task, key, operation) in functions(machines).into_iter().filter(|it| !it.2.retry.is_empty()) {
        let given_up = raises(key, operation).into_iter().filter(|error| match machine.name {
            "deprovision" => LASTING.contains(error) || *error == RoleNotVisibleYet,
            // IAM's quota may have room in a moment; a limit of ours is a decision.
            _ => error.class() != Class::TryAgain || (key == "record" && *error == QuotaExceeded),
        });
        let never = task.retry.iter().filter(|retrier| retrier.max_attempts == 0);
        let (expected, found) = (names(given_up), ours(never.map(|retrier| &retrier.error_equals)));
        if found != expected {
            problems.push(format!("{}: {state} gives up at once on {found:?} instead of {expected:?}", machine.name));
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
