//! What the design promises of the machines.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use daypass::error::{Class, ErrorName};
use serde_json::{Value, json};

use super::{Machines, contract::raises};
use crate::{
    asl::{By, Call, Edge, Machine, State, Task, Until, texts},
    repository,
};

/// The edge on which a state's work is done.
fn succeeds(edge: &Edge<'_>, state: &str) -> bool {
    edge.from == state && matches!(edge.by, By::Next)
}

fn is_called(task: &Task, keys: &[&str]) -> bool {
    task.call().is_ok_and(|call| keys.contains(&call.key()))
}

fn records(task: &Task, operation: &str) -> bool {
    task.call() == Ok(Call::Function("record", Some(operation)))
}

/// What happens only after something else has succeeded.
pub fn order(machines: &Machines) -> Vec<String> {
    type Calls = fn(&Task) -> bool;
    let touches_the_target: Calls = |task| is_called(task, &["create_role", "issue_creds", "delete_role"]);
    let starts_the_lease: Calls =
        |task| is_called(task, &["deprovision"]) && !task.arguments["Input"]["expires_at"].is_null();
    let in_provision: &[(&[&str], Calls)] = &[
        // The transaction is recorded, marked and leased before there can be a role (promise 1).
        (&["RecordProcessing"], |task| records(task, "leasing")),
        (&["RecordLease"], starts_the_lease),
        (&["RecordLease"], touches_the_target),
        (&["StartLease"], |task| is_called(task, &["create_role", "issue_creds"])),
        // Denied means untouched (promise 4).
        (&["Prove"], |task| is_called(task, &["authn", "authz"])),
        (&["Authenticate"], |task| is_called(task, &["used_tokens", "authz"])),
        (&["Authorize"], touches_the_target),
        (&["Authorize"], |task| records(task, "leasing")),
        // Credentials are for a role that exists, and are handed out once that is recorded.
        (&["CreateRole", "CreateRoleAgain"], |task| is_called(task, &["issue_creds"])),
        (&["IssueCredentials"], |task| records(task, "provisioned")),
    ];
    let in_renew: &[(&[&str], Calls)] = &[
        (&["Validate"], |task| records(task, "renewing")),
        // Only what is provisioned is renewed, and everything that was asked of the request is asked again.
        (&["LookUp"], |task| is_called(task, &["prove", "issue_creds"])),
        (&["Prove"], |task| is_called(task, &["authn", "authz"])),
        (&["Authenticate"], |task| is_called(task, &["used_tokens", "authz"])),
        (&["Authorize"], touches_the_target),
        (&["IssueCredentials"], |task| records(task, "renewed")),
    ];
    let in_deprovision: &[(&[&str], Calls)] = &[
        (&["RecordDeprovisioning", "LookUpRole", "RecordDeprovisioningLate"], touches_the_target),
        (&["DeleteRole"], |task| records(task, "deprovisioned")),
        (&["RecordDeprovisioning", "RecordDeprovisioningLate"], |task| records(task, "deprovisioned")),
        (&["RecordDeprovisioning", "RecordDeprovisioningLate"], |task| records(task, "deprovision_failed")),
    ];
    // What it ends has been found.
    let in_sweep: &[(&[&str], Calls)] = &[(&["FindOverdue"], |task| is_called(task, &["deprovision"]))];
    let mut problems = vec![];
    for (machine, rules) in machines.all().into_iter().zip([in_provision, in_renew, in_deprovision, in_sweep]) {
        for (first, then) in rules {
            let way = |edge: &Edge<'_>| !first.iter().any(|first| succeeds(edge, first));
            let reached = machine.reached(&machine.definition.start_at, way);
            let early = machine.tasks().filter(|(state, task)| then(task) && reached.contains(state));
            let first = first.join(" or ");
            problems.extend(early.map(|(state, _)| format!("{}: {state} may come without {first}", machine.name)));
        }
    }
    problems
}

/// A lease looks before it waits, and where no role can exist the target account is not called.
pub fn an_end_looks_first(Machines { deprovision, .. }: &Machines) -> Vec<String> {
    let mut problems = vec![];
    let waits = |state: &str| match &deprovision.definition.states[state] {
        State::Wait(wait) => Some(&wait.until),
        _ => None,
    };
    if !matches!(waits("WaitForExpiry"), Some(Until::Timestamp(until)) if until == "{% $expires_at %}") {
        problems.push("deprovision: a lease waits for something else than what was recorded".to_owned());
    }
    if !matches!(waits("WaitForIam"), Some(Until::Seconds(1..=15))) {
        problems.push("deprovision: IAM is waited for too long, or not at all".to_owned());
    }
    let start = &deprovision.definition.start_at;
    if deprovision.reached(start, |edge| !succeeds(edge, "LookUpLease")).contains("WaitForExpiry") {
        problems.push("deprovision: a lease may wait that was not looked up".to_owned());
    }
    let choices = [
        ("IsThereTimeLeft", "{% $ended_before %}", "AlreadyDeprovisioned"),
        ("HasItEnded", "{% $ending.already_ended %}", "AlreadyDeprovisioned"),
        (
            "HasItEnded",
            "{% $exists($ending.role_may_exist) ? $not($ending.role_may_exist) : false %}",
            "RecordCancelled",
        ),
        ("IsThereARole", "{% $ending.already_ended %}", "AlreadyDeprovisioned"),
        ("IsThereARole", "{% $not($ending.role_may_exist) %}", "RecordDeprovisioningLate"),
    ];
    for (from, condition, to) in choices {
        let is_there =
            |edge: &Edge<'_>| matches!(edge.by, By::Rule(rule) if rule.condition == condition) && edge.to == to;
        if !deprovision.edges_from(from).iter().any(is_there) {
            problems.push(format!("deprovision: {from} does not lead to {to} when {condition}"));
        }
    }
    // Nothing on the way may decide otherwise.
    for (asked, answer) in [
        ("RecordDeprovisioning", "HasItEnded"),
        ("RecordDeprovisioningLate", "HasItEnded"),
        ("LookUpRole", "IsThereARole"),
    ] {
        if !deprovision.edges_from(asked).iter().any(|edge| succeeds(edge, asked) && edge.to == answer) {
            problems.push(format!("deprovision: {asked} does not lead to {answer}"));
        }
    }
    problems
}

/// From `CreateRole` on, an execution ends in one of four ways: with a grant; after `DeleteRole`; with nothing of ours
/// in the account; or with a role that `DeleteRole` could not delete, and then the transaction stays open, and somebody
/// is told to end it.
pub fn no_role_is_forgotten(Machines { provision, .. }: &Machines) -> Vec<String> {
    let mut problems = vec![];
    let names = |edge: &Edge<'_>| match edge.by {
        By::Catch(catcher) => catcher.error_equals.clone(),
        _ => vec![],
    };
    // At the first attempt four errors say that nothing was made; at a later one only that another's role was read.
    let nothing_is_ours = |edge: &Edge<'_>| {
        let says_so: &[&str] = match edge.from {
            "CreateRole" => &[
                "Daypass.InvalidRequest",
                "Daypass.TargetAccountNotOnboarded",
                "Daypass.TargetAccountRefused",
                "Daypass.RoleConflict",
            ],
            "CreateRoleAgain" => &["Daypass.RoleConflict"],
            _ => return false,
        };
        edge.to == "RecordFailed" && names(edge).iter().all(|error| says_so.contains(&error.as_str()))
    };
    let again = |state: &str| provision.document["States"][state]["Arguments"]["Payload"]["again"] == true;
    if again("CreateRole") || !again("CreateRoleAgain") {
        problems.push("create-role is not told whether an attempt before may have made the role".to_owned());
    }
    let kept = provision.reached("CreateRole", |edge| edge.from != "DeleteRole" && !nothing_is_ours(edge));
    let ends = kept.into_iter().filter(|state| provision.is_end(state) && *state != "RecordProvisioned");
    problems.extend(ends.map(|state| format!("{state} may come with a role that nobody deletes")));

    for edge in provision.edges_from("DeleteRole").iter().filter(|edge| !succeeds(edge, "DeleteRole")) {
        let after = provision.reached(edge.to, |_| true);
        let tasks = provision.tasks().filter(|(state, _)| after.contains(state));
        let calls: Vec<_> = tasks.map(|(state, task)| (state, task.call())).collect();
        let expected = [
            ("RecordFailing", Ok(Call::Function("record", Some("failing")))),
            ("StartCleanUp", Ok(Call::Start("deprovision"))),
        ];
        if calls != expected {
            problems.push(format!(
                "after DeleteRole has failed comes {calls:?}: the transaction must stay open, and deprovision start"
            ));
        }
    }
    problems
}

/// What cannot be closed is handed over to deprovision, unless there is no transaction of this execution.
pub fn nothing_stays_open(Machines { provision, .. }: &Machines) -> Vec<String> {
    let not_ours = ["Daypass.TransactionNotFound", "Daypass.TransactionMismatch"];
    let mut problems = vec![];
    for (from, to) in
        [("RecordDenied", "RecordFailing"), ("RecordFailed", "RecordFailing"), ("RecordFailing", "StartCleanUp")]
    {
        for edge in provision.edges_from(from) {
            let By::Catch(catcher) = edge.by else { continue };
            let is_ours = catcher.error_equals.iter().any(|error| !not_ours.contains(&error.as_str()));
            if is_ours && edge.to != to {
                problems.push(format!("{from} may leave the transaction open: it leads to {}", edge.to));
            }
        }
    }
    problems
}

/// Which errors are denials, and that each is caught by its name and recorded; but for a request that nothing was recorded of.
/// What prove, authn and authz deny is so by its class; the others are denials in one state only.
pub fn denials(machines: &Machines) -> Vec<String> {
    let unreadable = vec!["Daypass.InvalidRequest", "States.DataLimitExceeded"];
    let denied_by = |function: &str| -> Vec<&str> {
        let denied = raises(function, None).into_iter().filter(|error| error.class() == Class::Denied);
        denied.map(ErrorName::as_str).collect()
    };
    let conflict = vec!["Daypass.TransactionConflict"];
    let common = |recorded| {
        [
            ("Validate", "Denied", unreadable.clone()),
            ("Prove", recorded, denied_by("prove")),
            ("UseToken", recorded, vec!["DynamoDB.ConditionalCheckFailedException"]),
            ("Authenticate", recorded, denied_by("authn")),
            ("Authorize", recorded, denied_by("authz")),
        ]
    };
    let in_provision = [
        ("RecordProcessing", "Denied", conflict.clone()),
        ("RecordLease", "RecordDenied", vec!["Daypass.QuotaExceeded"]),
    ];
    let in_renew = [
        ("LookUp", "Denied", vec!["Daypass.TransactionNotFound"]),
        ("LookUp", "RecordRefused", conflict.clone()),
        ("RecordRenewed", "RecordRefused", conflict),
    ];
    let in_provision = common("RecordDenied").into_iter().chain(in_provision).collect();
    let in_renew = common("RecordRefused").into_iter().chain(in_renew).collect();
    [
        denials_of(&machines.provision, "RecordDenied", in_provision),
        denials_of(&machines.renew, "RecordRefused", in_renew),
    ]
    .concat()
}

fn denials_of(machine: &Machine, records: &str, expected: Vec<(&str, &str, Vec<&str>)>) -> Vec<String> {
    let expected: BTreeMap<_, BTreeSet<&str>> =
        expected.into_iter().map(|(from, to, errors)| ((from, to), errors.into_iter().collect())).collect();
    let mut found: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    let mut problems = vec![];
    for edge in machine.edges().filter(|edge| ["Denied", records].contains(&edge.to) && edge.from != records) {
        match edge.by {
            // A denial whose record was not heard of.
            By::Rule(rule) if edge.from == "IsDenialRecorded" && edge.to == "Denied" => {
                if rule.condition != "{% $recorded = 'denied' and $denial != null %}"
                    || rule.assign.get("failure") != Some(&json!("{% $denial %}"))
                {
                    problems.push(format!("{}: a denial is told that is not on record", machine.name));
                }
            }
            // What was verified, and is not accepted: prove answers with it, and does not fail.
            By::Rule(rule) if edge.from == "IsRunAccepted" && edge.to == records => {
                if rule.condition != "{% $refusal != null %}"
                    || rule.assign.get("failure").is_none_or(|it| it["Error"] != "Daypass.IdentityNotProven")
                {
                    problems.push(format!("{}: a run that is not accepted is not denied as such", machine.name));
                }
            }
            By::Catch(catcher) => {
                found.entry((edge.from, edge.to)).or_default().extend(catcher.error_equals.iter().map(String::as_str));
            }
            By::Next | By::Each | By::Rule(_) | By::Default => {
                problems.push(format!("{} denies without an error", edge.from));
            }
        }
    }
    if !machine.edges_from(records).iter().any(|edge| succeeds(edge, records) && edge.to == "Denied") {
        problems.push(format!("{}: a denial that was recorded is not told", machine.name));
    }
    // A transaction that stays `processing` is not denied; one that was not renewed is what it was.
    let unrecorded: &[&str] = if machine.name == "provision" { &["Failed", "RecordFailing"] } else { &["Denied"] };
    if machine.edges_from(records).iter().any(|edge| !succeeds(edge, records) && !unrecorded.contains(&edge.to)) {
        problems.push(format!("{}: a denial that could not be recorded does not lead to {unrecorded:?}", machine.name));
    }
    if machine.document["States"]["Prove"]["Arguments"]["Payload"]["answers_refusal"] != true {
        problems.push(format!("{}: prove is not told that a refusal is heeded", machine.name));
    }
    let refused = |edge: &Edge<'_>| edge.from == "IsRunAccepted" && edge.to == records;
    if !machine.edges().any(|edge| refused(&edge)) {
        problems.push(format!("{}: a run that is not accepted is not denied", machine.name));
    }
    if found != expected {
        problems.push(format!("denials of {} are {found:?} instead of {expected:?}", machine.name));
    }
    problems
}

/// A renewal makes and deletes no role, and starts nothing: what it may call says so. What fails after the credentials were
/// issued withholds them.
pub fn a_renewal_touches_no_role(Machines { renew, .. }: &Machines) -> Vec<String> {
    let mut problems = vec![];
    let touching = |task: &&Task| is_called(task, &["create_role", "delete_role", "deprovision"]);
    problems
        .extend(renew.tasks().filter(|(_, task)| touching(task)).map(|(state, _)| format!("{state} touches a role")));
    let proof = &renew.document["States"]["Prove"]["Arguments"]["Payload"]["proof_of_request"];
    let recorded = &renew.document["States"]["LookUp"]["Assign"]["proof_of_request"];
    if proof != "{% $proof_of_request %}" || recorded != "{% $states.result.Payload.proof %}" {
        problems.push("Prove does not learn what the request was proven by".to_owned());
    }
    problems
}

/// What a token counts for, beside its recipient. (In the tables of the version before it is always the transaction.)
const COUNTS_FOR: &str =
    "{% $proof.provider = 'gitlab' and $exists($proof.job_id) ? 'job' : $transaction.transaction_id %}";

/// Whoever came with a proof is not authorised before the token is used up, and a token counts for one recipient, of one transaction
/// or of one job: in every machine alike.
pub fn tokens_are_used_up(machines: &Machines) -> Vec<String> {
    let mut problems: Vec<String> = machines.awaited().into_iter().flat_map(tokens_of).collect();
    let [provision, renew] = machines.awaited().map(|machine| &machine.document["States"]["UseToken"]["Arguments"]);
    if provision != renew {
        problems.push("provision and renew use tokens up in different ways".to_owned());
    }
    problems
}

fn tokens_of(machine: &Machine) -> Vec<String> {
    let mut problems = vec![];
    let without_proof = |edge: &Edge<'_>| edge.from == "IsThereProof" && matches!(edge.by, By::Default);
    let way = |edge: &Edge<'_>| !without_proof(edge) && !succeeds(edge, "UseToken");
    if machine.reached("Prove", way).contains("Authorize") {
        problems.push(format!("{}: a token may authorise without being used up", machine.name));
    }
    let proven = |edge: &Edge<'_>| matches!(edge.by, By::Rule(rule) if rule.condition == "{% $proof != null %}");
    if !machine.edges_from("IsThereProof").iter().any(|edge| proven(edge) && edge.to == "UseToken") {
        problems.push("a proof does not lead to UseToken".to_owned());
    }
    let arguments = &machine.document["States"]["UseToken"]["Arguments"];
    let condition = "attribute_not_exists(token_id) OR (recipient = :recipient AND (transaction_id = :transaction_id OR counts_for = :counts_for))";
    let (item, values) = (&arguments["Item"], &arguments["ExpressionAttributeValues"]);
    if arguments["ConditionExpression"] != condition
        || item["token_id"]["S"] != "{% $proof.token_id %}"
        || item["transaction_id"]["S"] != "{% $transaction.transaction_id %}"
        || item["recipient"]["S"] != "{% $transaction.recipient %}"
        || item["counts_for"]["S"] != COUNTS_FOR
        || item["transaction_id"] != values[":transaction_id"]
        || item["counts_for"] != values[":counts_for"]
        || item["recipient"] != values[":recipient"]
    {
        problems.push("a token can be used twice".to_owned());
    }
    problems
}

/// The ways to end. The alarm knows a failure by the name of its state.
pub fn ends(machines: &Machines) -> Vec<String> {
    let ends = |machine: &Machine| -> Vec<String> {
        machine.definition.states.keys().filter(|state| machine.is_end(state)).cloned().collect()
    };
    let mut problems = vec![];
    let expected = [
        vec!["Denied", "Failed", "Overtaken", "RecordProvisioned"],
        vec!["Denied", "Failed", "RecordRenewed"],
        vec!["AlreadyDeprovisioned", "Cancelled", "DeprovisionFailed", "Deprovisioned", "Refused"],
        vec!["Failed", "NotAllStarted", "Swept"],
    ];
    for (machine, expected) in machines.all().into_iter().zip(expected) {
        let found = ends(machine);
        if found != expected {
            problems.push(format!("{} ends in {found:?} instead of {expected:?}", machine.name));
        }
    }
    let deprovision = &machines.deprovision;
    let untold = deprovision.edges().filter(|edge| edge.to == "DeprovisionFailed" && edge.from != "TellOperators");
    problems.extend(untold.map(|edge| format!("deprovision: {} fails, and nobody is told", edge.from)));
    if deprovision.edges_from("TellOperators").iter().any(|edge| edge.to != "DeprovisionFailed") {
        problems.push("deprovision: who is told that an end has failed is told so of another one, too".to_owned());
    }
    let hub = fs::read_to_string(repository().join("cdk/test/__snapshots__/DaypassHub.template.json"));
    let hub: Value = serde_json::from_str(&hub.expect("the reviewed template of the hub")).expect("JSON");
    let resources = hub["Resources"].as_object().expect("resources").values();
    let filters: Vec<_> = resources.filter(|resource| resource["Type"] == "AWS::Logs::MetricFilter").collect();
    if filters.is_empty() {
        problems.push("no alarm counts how executions end".to_owned());
    }
    for filter in filters {
        let property = |name: &str| filter["Properties"][name].as_str().unwrap_or_default();
        let machine = property("FilterName").split('-').nth(1).unwrap_or_default();
        let state = property("FilterPattern").split("$.details.name = \"").nth(1).and_then(|it| it.split('"').next());
        let counts = |of: &Machine| {
            of.name == machine
                && state.is_some_and(|state| matches!(of.definition.states.get(state), Some(State::Fail(_))))
        };
        if !machines.all().into_iter().any(counts) {
            problems.push(format!("{} counts {state:?}, in which {machine} never ends", property("FilterName")));
        }
    }
    problems
}

/// A lease is started with the transaction's id as its name, and carries the schema number, the id and the expiry
/// (promise 8). A clean-up does not wait, and has a name that nobody has taken.
pub fn starts(Machines { provision, .. }: &Machines) -> Vec<String> {
    let id = "{% $transaction.transaction_id %}";
    let lease = json!({
        "StateMachineArn": "${deprovision}",
        "Name": id,
        "Input": {"schema": 1, "transaction_id": id, "expires_at": "{% $transaction.expires_at %}"},
    });
    let clean_up = json!({
        "StateMachineArn": "${deprovision}",
        "Name": "{% $transaction.transaction_id & '-cleanup-' & $substring($uuid(), 0, 8) %}",
        "Input": {"schema": 1, "transaction_id": id},
    });
    let expected = BTreeMap::from([("StartLease", &lease), ("StartCleanUp", &clean_up)]);
    let starts: BTreeMap<&str, &Value> = provision
        .tasks()
        .filter(|(_, task)| matches!(task.call(), Ok(Call::Start(_))))
        .map(|(state, task)| (state, &task.arguments))
        .collect();
    if starts == expected { vec![] } else { vec![format!("deprovision is started with {starts:?}")] }
}

/// Sealed credentials go from issue-creds to the caller and nowhere else; what the caller sent goes to validate, and the
/// identity token to prove. Of a renewal that cannot be read the caller is told the transaction's id again.
pub fn secrets(machines: &Machines) -> Vec<String> {
    let token = "/States/Validate/Assign/identity_token";
    let id_again = |catcher| format!("/States/Validate/Catch/{catcher}/Assign/transaction_id");
    let given = |machine: &Machine| match machine.name {
        "provision" => (vec!["/States/Validate/Arguments/Payload/request".to_owned()], "RecordProvisioned"),
        _ => (
            [0, 1, 2]
                .map(id_again)
                .into_iter()
                .chain(["/States/Validate/Arguments/Payload/renewal".to_owned()])
                .collect(),
            "RecordRenewed",
        ),
    };
    let mut problems = vec![];
    for machine in machines.awaited() {
        let (mut input, last) = given(machine);
        input.push(token.to_owned());
        let expected = [
            (
                "sealed_credentials",
                vec!["/States/IssueCredentials/Assign/sealed_credentials".to_owned(), format!("/States/{last}/Output")],
            ),
            ("$states.input", input),
            ("$identity_token", vec!["/States/Prove/Arguments/Payload/identity_token".to_owned()]),
        ];
        for (word, expected) in expected {
            let places: BTreeSet<String> = texts(&machine.document)
                .into_iter()
                .filter(|(_, text)| text.contains(word))
                .map(|(at, _)| at)
                .collect();
            if places != expected.into_iter().collect() {
                problems.push(format!("{}: {word} stands in {places:?}", machine.name));
            }
        }
        if machine.document["States"]["IssueCredentials"]["Output"] != json!({}) {
            problems.push(format!("{}: IssueCredentials hands on more than what it assigns", machine.name));
        }
    }
    if texts(&machines.deprovision.document).iter().any(|(_, text)| text.contains("credentials")) {
        problems.push("deprovision knows of credentials".to_owned());
    }
    problems
}
