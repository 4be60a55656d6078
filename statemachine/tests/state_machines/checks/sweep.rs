//! What holds of the sweep: it finds what nobody ends, misses none of it, and starts nothing but its end.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};

use super::{Machines, patience};
use crate::{
    asl::{By, Call, Edge, Machine, State},
    repository,
};

const MINUTE: u32 = 60;
/// Whose end has not begun: neither in this version's words nor in those of the version before. Where no role can exist, there is
/// no lease to end what somebody has begun and not gone on with: it is begun again.
const NOT_ENDING: &str = "(attribute_not_exists(ending_since) OR (role_may_exist = :none AND ending_since < :died)) \
                          AND attribute_not_exists(deprovisioning_transaction_id)";
const EVERY_SECONDS: u32 = 5 * MINUTE;
/// How long a lease may be late: it retries its first task for seconds, and marks the end as begun.
const LATE_SECONDS: u32 = 10 * MINUTE;
/// Starts after which an execution ends, and what the page that brought it there can have beyond them.
pub const MOST_STARTS: u32 = 500;
const PAGE: u32 = 100;

fn arguments<'a>(sweep: &'a Machine, state: &str) -> &'a Value {
    &sweep.document["States"][state]["Arguments"]
}

/// How many minutes before the execution a moment is, if it is written as it must be: in the form of the items' times.
fn minutes_before(text: &Value) -> Option<u32> {
    let text =
        text.as_str()?.strip_prefix("{% $substring($fromMillis($toMillis($states.context.Execution.StartTime) - ")?;
    text.strip_suffix(" * 60000), 0, 19) & 'Z' %}")?.parse().ok()
}

/// How long record believes that a provisioning may take.
fn longest_provisioning() -> u32 {
    let source = fs::read_to_string(repository().join("tasks/record/src/deprovisioning.rs")).expect("a part of record");
    let (_, rest) = source.split_once("LONGEST_PROVISIONING: Duration = Duration::from_secs(").expect("the constant");
    rest.split(')').next().expect("a number").parse().expect("seconds")
}

/// Two searches, which share the index between them: of what expired a while ago, everything that nobody ends; of the rest,
/// what is `processing` for longer than a provisioning can take. They read ids and nothing else.
pub fn looks_for(machines: &Machines) -> Vec<String> {
    let Machines { sweep, provision, .. } = machines;
    let mut problems = vec![];
    let open = json!({"S": "open"});
    let overdue = json!({"S": "{% $overdue %}"});
    let search = |key: &str, filter: &str, values: Value| {
        json!({
            "TableName": "${transactions}",
            "IndexName": "open-leases",
            "KeyConditionExpression": key,
            "FilterExpression": filter,
            "ExpressionAttributeValues": values,
            "Select": "SPECIFIC_ATTRIBUTES",
            "ProjectionExpression": "transaction_id",
            "ExclusiveStartKey": "{% $page %}",
            "Limit": PAGE,
        })
    };
    let (none, died) = (json!({"BOOL": false}), json!({"S": "{% $died %}"}));
    let late = search(
        "open_lease = :open AND expires_at < :overdue",
        NOT_ENDING,
        json!({":open": open, ":overdue": overdue, ":none": none, ":died": died}),
    );
    let mut dead = search(
        "open_lease = :open AND expires_at >= :overdue",
        &format!("{NOT_ENDING} AND #status = :processing AND requested_at < :died"),
        json!({
            ":open": open, ":overdue": overdue, ":none": none,
            ":processing": {"S": "processing"}, ":died": died,
        }),
    );
    dead["ExpressionAttributeNames"] = json!({"#status": "status"});
    for (state, expected) in [("FindOverdue", late), ("FindDead", dead)] {
        let found = arguments(sweep, state);
        if *found != expected {
            problems.push(format!("{state} asks for {found} instead of {expected}"));
        }
    }
    let begin = &sweep.document["States"]["Begin"]["Assign"];
    let longest = provision.definition.timeout_seconds.max(longest_provisioning()).max(patience::EXPRESS_SECONDS);
    for (moment, shortest, why) in
        [("died", longest, "a provisioning can take"), ("overdue", LATE_SECONDS, "a lease that works is late")]
    {
        match minutes_before(&begin[moment]) {
            Some(minutes) if minutes * MINUTE > shortest => {}
            found => problems.push(format!("${moment} lies {found:?} min back, and {why} for {shortest} s")),
        }
    }
    problems
}

/// Every page of both searches is looked at, and what it has is started, before an execution succeeds; but for what is too
/// much for one.
pub fn goes_through(Machines { sweep, .. }: &Machines) -> Vec<String> {
    let mut problems = vec![];
    let states = &sweep.document["States"];
    if !states["Begin"]["Assign"].get("page").is_some_and(Value::is_null) {
        problems.push("the first page does not begin at the beginning".to_owned());
    }
    for (state, looked_for) in [("FindOverdue", "overdue"), ("FindDead", "dead")] {
        let expected = json!({
            "looked_for": looked_for,
            "found": "{% [$states.result.Items.transaction_id.S] %}",
            "page": "{% $exists($states.result.LastEvaluatedKey) ? $states.result.LastEvaluatedKey : null %}",
        });
        let found = &states[state]["Assign"];
        if *found != expected {
            problems.push(format!("{state} keeps {found} instead of {expected}"));
        }
    }
    let limit = format!("$started < {MOST_STARTS} and");
    let expected = [
        ("FindOverdue", format!("{{% {limit} $looked_for = 'overdue' and $page != null %}}")),
        ("FindDead", format!("{{% {limit} ($looked_for = 'overdue' or $page != null) %}}")),
        ("NotAllStarted", "{% $count($not_started) > 0 %}".to_owned()),
    ];
    let rules: Vec<_> = sweep
        .edges_from("IsThereMore")
        .into_iter()
        .filter_map(|edge| match edge.by {
            By::Rule(rule) => Some((edge.to, rule.condition.clone())),
            _ => None,
        })
        .collect();
    if rules != expected {
        problems.push(format!("after a page comes {rules:?} instead of {expected:?}"));
    }
    // On the way to the good end nothing is passed over.
    for through in ["FindOverdue", "FindDead", "Release"] {
        let around = |edge: &Edge<'_>| !(edge.from == through && matches!(edge.by, By::Next));
        if through != "FindDead" && sweep.reached("Begin", around).contains("Swept") {
            problems.push(format!("a sweep may succeed without {through}"));
        }
    }
    problems
}

/// It calls two things, the search and the start, and starts the one machine with a release: an id under a name of its own, and
/// no expiry to wait for.
pub fn starts(Machines { sweep, .. }: &Machines) -> Vec<String> {
    let mut problems = vec![];
    let calls: BTreeMap<_, _> = sweep.tasks().map(|(state, task)| (state, task.call())).collect();
    let expected = BTreeMap::from([
        ("FindOverdue", Ok(Call::Query("transactions"))),
        ("FindDead", Ok(Call::Query("transactions"))),
        ("StartDeprovision", Ok(Call::Start("deprovision"))),
    ]);
    if calls != expected {
        problems.push(format!("it calls {calls:?}"));
    }
    let release = json!({
        "StateMachineArn": "${deprovision}",
        "Name": "{% $states.input & '-sweep-' & $substring($uuid(), 0, 8) %}",
        "Input": {"schema": 1, "transaction_id": "{% $states.input %}"},
    });
    let items = &sweep.document["States"]["Release"]["Items"];
    let found = &sweep.document["States"]["Release"]["ItemProcessor"]["States"]["StartDeprovision"]["Arguments"];
    if *found != release || items != "{% $found %}" {
        problems.push(format!("of {items} it starts {found} instead of {release}"));
    }
    problems
}

/// One that cannot be started does not keep the others from it, and an execution that has met one fails.
pub fn tells(Machines { sweep, .. }: &Machines) -> Vec<String> {
    let mut problems = vec![];
    let states = &sweep.document["States"];
    let errors = sweep.edges_from("StartDeprovision");
    if !errors.iter().all(|edge| edge.to == "NotStarted") || !sweep.edges_from("NotStarted").is_empty() {
        problems.push("an error of one start ends more than that".to_owned());
    }
    let noted = states["Release"]["ItemProcessor"]["States"]["NotStarted"]["Output"].as_object();
    if noted.is_none_or(|noted| noted.keys().ne(["not_started"])) {
        problems.push("what cannot be started is not noted".to_owned());
    }
    let kept = json!({
        "started": "{% $started + $count($found) %}",
        "not_started": "{% [$not_started, $states.result.not_started] %}",
    });
    if states["Release"]["Assign"] != kept {
        problems.push(format!("of the starts it keeps {}", states["Release"]["Assign"]));
    }
    let fails = |state: &str| matches!(sweep.definition.states.get(state), Some(State::Fail(_)));
    if ["NotAllStarted", "Failed", "Swept"].map(fails) != [true, true, false] {
        problems.push("how a sweep ends does not say whether it did its work".to_owned());
    }
    for edge in sweep.edges().filter(|edge| edge.from.starts_with("Find") && !matches!(edge.by, By::Next)) {
        if edge.to != "Failed" {
            problems.push(format!("{} goes on to {} when it fails", edge.from, edge.to));
        }
    }
    problems
}

/// The longest time that an execution can need when it finds little: every attempt of both searches and of a start hangs.
pub fn longest_sweep(sweep: &Machine) -> f64 {
    // A start hangs beside others, in the middle of the way.
    let start = sweep.reached("StartDeprovision", |_| true);
    let starting: f64 =
        sweep.tasks().filter(|(state, _)| start.contains(state)).map(|(_, task)| patience::longest(task)).sum();
    patience::longest_deprovisioning(sweep) + starting
}

/// The events of an execution that starts as much as it may, every attempt but the last in vain, and looks at one page.
pub fn longest_sweep_history(sweep: &Machine) -> f64 {
    let inner = sweep.definition.states.keys().filter(|state| sweep.is_inner(state)).count();
    let inner = u32::try_from(inner).expect("a few");
    let attempts: f64 =
        sweep.tasks().filter(|(state, _)| sweep.is_inner(state)).map(|(_, task)| patience::attempts(task)).sum();
    // An item's turn begins and ends.
    let each = f64::from(patience::EVENTS_OF_A_STATE) * f64::from(inner + 1)
        + f64::from(patience::EVENTS_OF_AN_ATTEMPT) * attempts;
    f64::from(MOST_STARTS - 1 + PAGE) * each + patience::longest_history(sweep)
}

/// One sweep has ended before the next begins, and its history has room for the pages on which nothing is found.
pub fn patience(Machines { sweep, .. }: &Machines) -> Vec<String> {
    let mut problems = vec![];
    let (longest, limit) = (longest_sweep(sweep), sweep.definition.timeout_seconds);
    if longest >= f64::from(limit) || limit >= EVERY_SECONDS {
        problems.push(format!("sweep may need {longest} s, ends after {limit} s, and comes every {EVERY_SECONDS} s"));
    }
    let events = longest_sweep_history(sweep);
    if events > patience::HISTORY_EVENTS * 0.75 {
        problems.push(format!("sweep may have {events} events"));
    }
    let Some(State::Map(release)) = sweep.definition.states.get("Release") else {
        return vec!["Release is no Map".to_owned()];
    };
    // Of an inline Map (its guide, "quotas").
    if !(1..=40).contains(&release.max_concurrency) {
        problems.push(format!("Release starts {} at once", release.max_concurrency));
    }
    problems
}
