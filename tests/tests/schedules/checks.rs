//! What has to hold for every schedule, when everything is at rest.

use aws_sdk_sfn::types::ExecutionStatus;
use daypass::ids::TransactionId;
use daypass_tests::{engine::RecordedCall, pipeline::Account};
use serde_json::{Value, json};

use crate::{
    play::{Outcome, Played, TERMINAL},
    schedule::Action,
};

/// What does not hold.
pub fn problems(it: &Played) -> Vec<String> {
    let mut found = it.endless.clone();
    for (of, id) in it.schedule.ids.iter().enumerate() {
        let calls: Vec<_> = it.calls.iter().filter(|call| names(call, *id)).collect();
        let mut of_this = Vec::new();
        roles(it, *id, &calls, &mut of_this);
        told(it, of, *id, &mut of_this);
        if let Some(item) = it.items.get(&id.to_string()) {
            statuses(item, &mut of_this);
            untouched_when_denied(item, &calls, &mut of_this);
            gone_when_deprovisioned(item, &calls, &mut of_this);
        }
        if it.by_hand.contains(id) && !lease_was_stopped(it, of) {
            of_this.push("nobody ended it, though its lease was not stopped".to_owned());
        }
        found.extend(of_this.into_iter().map(|problem| format!("{of}: {problem}")));
    }
    ends(it, &mut found);
    found
}

fn names(call: &RecordedCall, id: TransactionId) -> bool {
    call.transactions.iter().any(|it| *it == id.to_string())
}

fn changes(item: &Value) -> Vec<&str> {
    let changes = item["status_changes"].as_array().expect("a list");
    changes.iter().map(|change| change["status"].as_str().expect("a status")).collect()
}

/// Promise 6.
fn statuses(item: &Value, found: &mut Vec<String>) {
    let changes = changes(item);
    let terminal = changes.iter().filter(|status| TERMINAL.contains(status)).count();
    if terminal != 1 || !changes.last().is_some_and(|status| TERMINAL.contains(status)) {
        found.push(format!("not one terminal status, and that the last: {changes:?}"));
    }
    if item["status"].as_str() != changes.last().copied() {
        found.push(format!("its status is {}, and the last change {changes:?}", item["status"]));
    }
    if item.get("open_lease").is_some() {
        found.push("it is in the index of open leases".to_owned());
    }
}

fn carried_out(call: &RecordedCall) -> bool {
    call.fault.as_deref() != Some("call") && (call.error.is_none() || call.fault.is_some())
}

fn says(call: &RecordedCall, parameter: &str, part: &str) -> bool {
    call.parameters.get(parameter).is_some_and(|value| value.contains(part))
}

/// Promises 1 and 7: no role before there is a lease, and none when it is recorded that there is none.
fn roles(it: &Played, id: TransactionId, calls: &[&RecordedCall], found: &mut Vec<String>) {
    for (_, account) in it.roles.iter().filter(|(of, _)| *of == id) {
        found.push(format!("a role stands in {} at rest", account.name()));
    }
    let (mut may_exist, mut leased, mut stands, mut over) = (false, false, false, false);
    for call in calls.iter().filter(|call| carried_out(call)) {
        match call.action.as_str() {
            "dynamodb:UpdateItem" | "dynamodb:TransactWriteItems" => {
                let says = |part| says(call, "UpdateExpression", part);
                // (The item is made with all of its attributes, this one among them.)
                may_exist |= says("#role_may_exist") && !says("#requested_at");
                // A write whose answer was lost may have been refused by its condition.
                if says("#open_lease") && !says("= :open_lease") && call.fault.is_none() {
                    over = true;
                    if stands {
                        found.push(format!("a role stood when its end was recorded at {}", call.at));
                    }
                }
            }
            "states:StartExecution" => leased |= call.parameters.get("Name") == Some(&id.to_string()),
            "iam:CreateRole" => {
                if !may_exist || !leased {
                    found.push(format!("a role was made, marked: {may_exist}, leased: {leased}"));
                }
                if over {
                    found.push(format!("a role was made at {} after its end was recorded", call.at));
                }
                stands = true;
            }
            "iam:DeleteRole" => stands = false,
            _ => {}
        }
    }
}

/// Promise 4.
fn untouched_when_denied(item: &Value, calls: &[&RecordedCall], found: &mut Vec<String>) {
    if item["status"] != "denied" {
        return;
    }
    let target = |call: &&&RecordedCall| {
        call.accounts.iter().any(|account| Account::ALL.iter().any(|target| target.id() == account))
            || says(call, "RoleArn", ":role/daypass-provisioner")
    };
    for call in calls.iter().filter(target) {
        found.push(format!("denied, and the target was called: {} by {}", call.action, call.caller));
    }
    let reason = |of: &Value| of["reason"].as_str().is_some_and(|reason| !reason.is_empty());
    if !reason(item) || !item["status_changes"].as_array().and_then(|all| all.last()).is_some_and(reason) {
        found.push("denied without a reason".to_owned());
    }
}

/// Promise 7.
fn gone_when_deprovisioned(item: &Value, calls: &[&RecordedCall], found: &mut Vec<String>) {
    let shown = |call: &&RecordedCall| match call.action.as_str() {
        "iam:DeleteRole" => carried_out(call),
        "iam:GetRole" => call.fault.is_none() && call.error.as_deref() == Some("NoSuchEntity"),
        _ => false,
    };
    if item["status"] == "deprovisioned" && !calls.iter().any(shown) {
        found.push("deprovisioned, and IAM has shown nothing".to_owned());
    }
}

/// What clients were told is what is on record.
fn told(it: &Played, of: usize, id: TransactionId, found: &mut Vec<String>) {
    let item = it.items.get(&id.to_string());
    for outcome in &it.outcomes {
        let Outcome::Told { of: whose, answer } = outcome else { continue };
        if *whose != of {
            continue;
        }
        match (&answer.result, item) {
            (Ok(_), Some(item)) if changes(item).contains(&"provisioned") => {}
            (Ok(_), _) => found.push("told provisioned, and that is not on record".to_owned()),
            (Err(failure), item) if failure.cause.status == "denied" => {
                // Whose name is taken, or whose words cannot be read, leaves nothing.
                if ["Daypass.TransactionConflict", "Daypass.InvalidRequest"].contains(&failure.error.as_str()) {
                    continue;
                }
                let recorded = item.map_or(&Value::Null, |item| &item["reason"]);
                if item.is_none_or(|item| item["status"] != "denied") || *recorded != json!(failure.cause.reason) {
                    found.push(format!("told denied ({}), on record is: {recorded}", failure.cause.reason));
                }
            }
            (Err(failure), item) => {
                let made = it.calls.iter().any(|call| call.action == "iam:CreateRole" && names(call, id));
                if item.is_none() && made {
                    found.push(format!("told {}, a role was made, and nothing is on record", failure.error));
                }
            }
        }
    }
}

fn lease_was_stopped(it: &Played, of: usize) -> bool {
    let steps = it.schedule.steps.iter().zip(&it.outcomes);
    steps.into_iter().any(|(step, outcome)| {
        matches!(step.action, Action::StopLease { of: whose } if whose == of)
            && matches!(outcome, Outcome::Other(what) if what == "it was stopped")
    })
}

/// Names that say that nothing was touched.
const REFUSED: [&str; 3] = ["Daypass.InvalidRequest", "Daypass.TransactionNotFound", "Daypass.TransactionMismatch"];

/// Whatever ran has ended; what it says of the end is so.
fn ends(it: &Played, found: &mut Vec<String>) {
    for (execution, ended) in &it.executions {
        let name = execution.rsplit(':').next().unwrap_or_default();
        match ended.status {
            ExecutionStatus::Succeeded => {
                let id = ended.output["original_transaction_id"].as_str().unwrap_or_default();
                let item = it.items.iter().find(|(known, _)| *known == id);
                if item.is_none_or(|(_, item)| item["status"] != ended.output["status"]) {
                    found.push(format!("{name} answered {}, and that is not on record", ended.output));
                }
                if let Some(end) = ended.output["deprovisioning_transaction_id"].as_str()
                    && it.ends.get(end).is_none_or(|end| end["original_transaction_id"] != id)
                {
                    found.push(format!("{name} answered {}, and there is no such item", ended.output));
                }
            }
            ExecutionStatus::Aborted => {}
            _ => {
                let error = ended.error.as_deref().unwrap_or_default();
                if !REFUSED.contains(&error) {
                    found.push(format!("{name} ended {:?}: {error} {:?}", ended.status, ended.cause));
                }
            }
        }
    }
}
