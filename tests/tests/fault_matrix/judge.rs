//! What has to hold of every run, when everything is at rest. Each check is one promise of the README, or what follows from it.

use daypass_tests::{
    engine::RecordedCall,
    pipeline::{Account, Answer},
};
use serde_json::{Value, json};

use crate::{
    run::{EndedBy, Played, TERMINAL},
    scenario::Told,
};

type Check = fn(&Played) -> Vec<String>;

/// What is checked, by name.
const CHECKS: [(&str, Check); 12] = [
    ("it-ends", it_ends),
    ("no-role", no_role),
    ("no-credential", no_credential),
    ("lease-before-role", lease_before_role),
    ("one-terminal-status", one_terminal_status),
    ("status-is-true", status_is_true),
    ("denied-is-untouched", denied_is_untouched),
    ("granted-works", granted_works),
    ("told-is-recorded", told_is_recorded),
    ("history-tells", history_tells),
    ("no-secret", no_secret),
    ("alarm-when-needed", alarm_when_needed),
];

/// What is known not to hold, and is accepted.
pub struct Known {
    pub checks: &'static [&'static str],
    /// The states in which the call was hit.
    pub states: &'static [&'static str],
    when: When,
    pub why: &'static str,
}

enum When {
    Always,
    /// Only where executions meet.
    Races,
    /// Only while every such call takes effect and none is answered.
    Unanswered,
}

pub const KNOWN: [Known; 3] = [
    Known {
        checks: &["told-is-recorded"],
        states: &["RecordRenewed"],
        when: When::Always,
        why: "A renewal whose record is written and whose answer is lost, again and again, is told as failed and recorded as made. The \
              credentials are withheld and end with the lease: the record says more than was handed out, never less.",
    },
    Known {
        checks: &["told-is-recorded"],
        states: &["RecordProvisioned"],
        when: When::Races,
        why: "A role whose record is written and whose answer is lost, again and again, is told as failed. Otherwise the record says \
              so when it is taken back; here a release has ended it meanwhile, and what has ended is not written to any more: it says \
              provisioned and released, and not why the request has failed. No credentials were handed out.",
    },
    Known {
        checks: &["told-is-recorded", "history-tells"],
        states: &["RecordDenied", "RecordProvisioned", "LookUpLease"],
        when: When::Unanswered,
        why: "As long as everything that is written takes effect and nothing is answered, nobody can know what is recorded. The \
              request is told as failed (75: try again). Recorded is the denial with its true reason, or the role and its end, without \
              why the request has failed. Nothing was handed out, and the alarm goes off.",
    },
];

/// Whether a violation is one of them.
pub fn is_known(it: &Played, check: &str) -> bool {
    KNOWN.iter().filter(|known| known.checks.contains(&check)).any(|known| {
        let mut hits = it.hits.iter().filter(|hit| known.states.contains(&hit.point.state.as_str()));
        match known.when {
            When::Always => hits.next().is_some(),
            When::Races => hits.next().is_some() && it.scenario.races(),
            When::Unanswered => hits.any(|hit| hit.for_good && hit.kind.takes_effect_unanswered()),
        }
    })
}

/// The names of the checks.
pub fn names() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|(name, _)| *name)
}

/// What does not hold: the check, and why.
pub fn violations(it: &Played) -> Vec<(&'static str, String)> {
    CHECKS.iter().flat_map(|(name, check)| check(it).into_iter().map(|why| (*name, why))).collect()
}

fn it_ends(it: &Played) -> Vec<String> {
    let endless = it.endless.iter().map(|arn| format!("{arn} does not end"));
    endless.chain((it.ended_by == EndedBy::Nobody).then(|| "nobody can end it, not even a person".to_owned())).collect()
}

fn no_role(it: &Played) -> Vec<String> {
    it.standing.iter().map(|account| format!("a role stands in {account}")).collect()
}

fn no_credential(it: &Played) -> Vec<String> {
    it.usable.iter().map(|arn| format!("{arn} can still be used")).collect()
}

fn granted_works(it: &Played) -> Vec<String> {
    it.in_vain.iter().map(|refused| format!("granted, and the role cannot be assumed: {refused}")).collect()
}

fn no_secret(it: &Played) -> Vec<String> {
    it.leaks.iter().map(|place| format!("a secret is in {place}")).collect()
}

/// Whether the call had its effect. One whose function died or hung has it when it was carried out.
fn carried_out(call: &RecordedCall) -> bool {
    match call.fault.as_deref() {
        Some("call") => false,
        Some("answer") => true,
        _ => call.error.is_none(),
    }
}

fn says(call: &RecordedCall, parameter: &str, part: &str) -> bool {
    call.parameters.get(parameter).is_some_and(|value| value.contains(part))
}

/// Promise 1. The marking and the start of the lease come first, in the order of the answers.
fn lease_before_role(it: &Played) -> Vec<String> {
    let (mut marked, mut leased, mut found) = (false, false, Vec::new());
    // What was there before is not among the calls.
    if !it.calls.iter().any(|call| call.state == "RecordProcessing") {
        return found;
    }
    for call in it.calls.iter().filter(|call| carried_out(call)) {
        match call.action.as_str() {
            "dynamodb:UpdateItem" | "dynamodb:TransactWriteItems" => {
                marked |= says(call, "UpdateExpression", "#role_may_exist")
                    && !says(call, "UpdateExpression", "#requested_at");
            }
            "states:StartExecution" => leased |= call.parameters.get("Name") == Some(&it.id.to_string()),
            "iam:CreateRole" if !marked || !leased => {
                found.push(format!("a role was made at {}; marked: {marked}, leased: {leased}", call.at));
            }
            _ => {}
        }
    }
    found
}

fn changes(item: &Value) -> Vec<&str> {
    let changes = item["status_changes"].as_array().map(Vec::as_slice).unwrap_or_default();
    changes.iter().filter_map(|change| change["status"].as_str()).collect()
}

/// Promise 6.
fn one_terminal_status(it: &Played) -> Vec<String> {
    let Some(item) = &it.item else { return Vec::new() };
    let (changes, mut found) = (changes(item), Vec::new());
    let terminal = changes.iter().filter(|status| TERMINAL.contains(status)).count();
    if terminal != 1 || !changes.last().is_some_and(|status| TERMINAL.contains(status)) {
        found.push(format!("not one terminal status, and that the last: {changes:?}"));
    }
    if item["status"].as_str() != changes.last().copied() {
        found.push(format!("its status is {}, and the last change of {changes:?}", item["status"]));
    }
    if item.get("open_lease").is_some() {
        found.push("it is in the index of open leases".to_owned());
    }
    found
}

/// Promise 6: IAM has shown that the role is not there, and what was never recorded never had one.
fn status_is_true(it: &Played) -> Vec<String> {
    let made = it.calls.iter().any(|call| call.action == "iam:CreateRole" && carried_out(call));
    let shown = it.calls.iter().any(|call| match call.action.as_str() {
        "iam:DeleteRole" => carried_out(call),
        "iam:GetRole" => call.fault.is_none() && call.error.as_deref() == Some("NoSuchEntity"),
        _ => false,
    });
    match &it.item {
        None if made => vec!["a role was made, and there is no record".to_owned()],
        Some(item) if item["status"] == "deprovisioned" && !shown => {
            vec!["deprovisioned, and IAM has shown nothing".to_owned()]
        }
        Some(item) if made && item["status"] == "denied" => vec!["denied, and a role was made".to_owned()],
        _ => Vec::new(),
    }
}

/// Promise 4.
fn denied_is_untouched(it: &Played) -> Vec<String> {
    if it.item.as_ref().is_none_or(|item| item["status"] != "denied") {
        return Vec::new();
    }
    let into = |call: &&RecordedCall| {
        call.accounts.iter().any(|account| Account::ALL.iter().any(|target| target.id() == account))
            || says(call, "RoleArn", ":role/daypass-provisioner")
    };
    it.calls
        .iter()
        .filter(into)
        .map(|call| format!("the target was called: {} by {}", call.action, call.caller))
        .collect()
}

/// What clients were told is what is on record.
fn told_is_recorded(it: &Played) -> Vec<String> {
    it.told
        .iter()
        .filter_map(|told| match told {
            Told::Request(answer) => request_is_recorded(it, answer),
            Told::Renewal(answer) => renewal_is_recorded(it, answer),
            Told::Release(Err(refused)) => Some(format!("a release was not started: {refused}")),
            Told::Release(Ok(ended)) => {
                let status = it.item.as_ref().map_or(&Value::Null, |item| &item["status"]);
                let by_key = ended.output["deprovisioning_transaction_id"].as_str();
                let end = by_key.and_then(|key| it.ends.get(key));
                match ended.status.as_str() {
                    "SUCCEEDED" if ended.output["status"] != *status => {
                        Some(format!("told {} of a release, and {status} is recorded", ended.output))
                    }
                    "SUCCEEDED"
                        if by_key.is_some() && end.is_none_or(|end| end["original_transaction_id"] != json!(it.id)) =>
                    {
                        Some(format!("told {} of a release, and there is no such end", ended.output))
                    }
                    "SUCCEEDED" | "FAILED" => None,
                    other => Some(format!("a release is {other}")),
                }
            }
        })
        .collect()
}

fn request_is_recorded(it: &Played, answer: &Answer) -> Option<String> {
    let recorded = it.item.as_ref().map(changes).unwrap_or_default();
    match &answer.result {
        Ok(_) => {
            (!recorded.contains(&"provisioned")).then(|| format!("told provisioned, and recorded are {recorded:?}"))
        }
        Err(failure) if failure.cause.status == "denied" => {
            let reason = it.item.as_ref().map_or(&Value::Null, |item| &item["reason"]);
            let agrees = recorded.contains(&"denied") && *reason == json!(failure.cause.reason);
            (!agrees).then(|| format!("told denied ({failure:?}), and recorded are {recorded:?}: {reason}"))
        }
        Err(failure) => {
            // What was recorded before it failed was taken back, and the record says why.
            let reason = json!(failure.cause.reason);
            let changes = it.item.as_ref().and_then(|item| item["status_changes"].as_array()).into_iter().flatten();
            let taken_back =
                changes.skip_while(|change| change["status"] != "provisioned").any(|change| change["reason"] == reason);
            let other =
                recorded.iter().find(|status| **status == "denied" || (**status == "provisioned" && !taken_back));
            other.map(|other| format!("told failed ({}), and {other} is recorded: {recorded:?}", failure.error))
        }
    }
}

fn renewal_is_recorded(it: &Played, answer: &Answer) -> Option<String> {
    let renewals = it.item.as_ref().map_or(&Value::Null, |item| &item["renewals"]);
    let of_it = renewals.as_array().into_iter().flatten().find(|it| it["execution_arn"] == json!(answer.execution_arn));
    let granted = of_it.is_some_and(|it| it["error"].is_null());
    match &answer.result {
        Ok(_) => (!granted).then(|| format!("told new credentials, and recorded is {renewals}")),
        Err(failure) => {
            granted.then(|| format!("told {} ({}), and a renewal is recorded", failure.cause.status, failure.error))
        }
    }
}

/// Whoever looks at the item learns what has happened, why, and by which execution.
fn history_tells(it: &Played) -> Vec<String> {
    let Some(item) = &it.item else { return Vec::new() };
    let (mut found, says) =
        (Vec::new(), |of: &Value, what: &str| of[what].as_str().is_some_and(|text| !text.is_empty()));
    for change in item["status_changes"].as_array().into_iter().flatten() {
        if !says(change, "execution_arn") || !says(change, "at") {
            found.push(format!("by whom, or when: {change}"));
        }
    }
    let changes = changes(item);
    if ["failed", "denied"].iter().any(|status| item["status"] == *status) && !says(item, "reason") {
        found.push(format!("{} without a reason", item["status"]));
    }
    // An end that fails for a day says so, whether provisioning had come to its own end or not.
    if changes.contains(&"deprovisioned")
        && !["provisioned", "deprovision_failed"].iter().any(|it| changes.contains(it))
    {
        found.push(format!("deprovisioned, though it was never provisioned: {changes:?}"));
    }
    // What provision itself has recorded is what it has told.
    let last = item["status_changes"].as_array().and_then(|all| all.last()).map_or(&Value::Null, |last| last);
    if last["execution_arn"].as_str().is_some_and(|arn| arn.contains(":daypass-provision:")) {
        for told in &it.told {
            if let Told::Request(Answer { result: Err(failure), .. }) = told
                && item["reason"] != json!(failure.cause.reason)
            {
                found.push(format!("told {:?}, and recorded is {}", failure.cause.reason, item["reason"]));
            }
        }
    }
    found
}

/// An alarm comes when a person is needed, and only then: for a request that could not be served, for what is left open when all
/// attempts to end it have failed, and each of those ends is told by a message of its own. What fails for good fails until a person
/// mends it, so an end may call one although it has got as far as it could.
fn alarm_when_needed(it: &Played) -> Vec<String> {
    let mut found = Vec::new();
    let failed = |machine: &str, state: &str| {
        it.executions.iter().filter(|ran| ran.is_of(machine) && ran.entered(state)).count()
    };
    let unserved = |answer: &Answer| answer.result.as_ref().is_err_and(|it| it.cause.status == "failed");
    for told in &it.told {
        let (answer, machine) = match told {
            Told::Request(answer) => (answer, "provision"),
            Told::Renewal(answer) => (answer, "renew"),
            Told::Release(_) => continue,
        };
        let alarms = failed(machine, "Failed") > 0;
        let asked_for = failed(machine, "Overtaken") > 0;
        if alarms != (unserved(answer) && !asked_for) {
            found.push(format!("told {:?}, and the alarm of {machine}: {alarms}", answer.result.as_ref().err()));
        }
    }
    let ends = failed("deprovision", "DeprovisionFailed");
    if it.open_after_sweep && ends == 0 {
        found.push("it was open after its lease and a sweep, and nobody was called".to_owned());
    }
    if ends > 0 && !it.open_after_lease && !it.hits.iter().any(|hit| hit.for_good) {
        found.push(format!("{ends} ends failed and called somebody, and there was nothing left to do"));
    }
    let sent = |call: &&RecordedCall| call.action == "sns:Publish" && carried_out(call);
    let (messages, about_them) =
        (it.calls.iter().filter(sent).count(), it.hits.iter().any(|hit| hit.point.state == "TellOperators"));
    if messages != ends && !about_them {
        found.push(format!("{ends} ends failed, and {messages} messages were sent"));
    }
    let aborted: Vec<_> =
        it.executions.iter().filter(|ran| ["ABORTED", "TIMED_OUT"].contains(&ran.status.as_str())).collect();
    found.extend(aborted.into_iter().map(|ran| format!("{} is {}", ran.arn, ran.status)));
    found
}
