//! What holds of any good machine.

use std::collections::BTreeSet;

use serde_json::json;

use super::Machines;
use crate::asl::{By, Catcher, Edge, Machine, Retrier, State, expression, texts, variables};

fn each(machines: &Machines, check: impl Fn(&Machine) -> Vec<String>) -> Vec<String> {
    let named = |machine: &Machine| -> Vec<String> {
        check(machine).into_iter().map(|problem| format!("{}: {problem}", machine.name)).collect()
    };
    machines.all().into_iter().flat_map(named).collect()
}

pub fn targets_exist(machines: &Machines) -> Vec<String> {
    each(machines, |machine| {
        let start = machine.definition.start_at.as_str();
        [("StartAt", start)]
            .into_iter()
            .chain(machine.edges().map(|edge| (edge.from, edge.to)))
            .filter(|(_, to)| !machine.definition.states.contains_key(*to))
            .map(|(from, to)| format!("{from} leads to {to}, which does not exist"))
            .collect()
    })
}

pub fn states_are_reachable(machines: &Machines) -> Vec<String> {
    each(machines, |machine| {
        let reached = machine.reached(&machine.definition.start_at, |_| true);
        let states = machine.definition.states.keys().filter(|state| !reached.contains(state.as_str()));
        states.map(|state| format!("{state} cannot be reached")).collect()
    })
}

pub fn comments(machines: &Machines) -> Vec<String> {
    each(machines, |machine| {
        let states = machine.definition.states.iter().map(|(name, state)| (name.as_str(), state.comment()));
        let all = states.chain([("the machine", machine.definition.comment.as_str())]);
        all.filter(|(_, comment)| comment.len() < 20).map(|(name, _)| format!("{name} says too little")).collect()
    })
}

pub fn tasks_end_or_go_on(machines: &Machines) -> Vec<String> {
    each(machines, |machine| {
        let both_or_neither = machine.definition.states.iter().filter(|(_, state)| match state {
            State::Task(task) => task.end == task.next.is_some(),
            State::Pass(pass) => pass.end == pass.next.is_some(),
            _ => false,
        });
        both_or_neither.map(|(state, _)| format!("{state} must either end or go on")).collect()
    })
}

/// Every task is tried again after any error but those that it names, less and less often, never all at once and not for
/// ever; after a time-out once at most in between. Only the first attempt to make a role is not: the next state goes on with it.
pub fn retriers(machines: &Machines) -> Vec<String> {
    const GOES_ON: (&str, &str) = ("provision", "CreateRole");
    each(machines, |machine| {
        let mut problems = vec![];
        for (state, task) in machine.tasks() {
            let Some((last, named)) = task.retry.split_last() else {
                if (machine.name, state) != GOES_ON {
                    problems.push(format!("{state} retries nothing"));
                }
                continue;
            };
            if last.error_equals != ["States.ALL"] || !is_bounded(last) {
                problems
                    .push(format!("{state} must retry States.ALL at last, with interval, growth, limit and jitter"));
            }
            let well = |retrier: &&Retrier| match retrier.max_attempts {
                0 => true,
                1 => is_time_out(retrier),
                _ => is_bounded(retrier),
            };
            problems.extend(named.iter().filter(|retrier| !well(retrier)).map(|retrier| {
                let errors = retrier.error_equals.join(", ");
                format!("{state} retries {errors} without interval, growth, limit or jitter")
            }));
            problems.extend(
                wildcards(named.iter().map(|retrier| &retrier.error_equals))
                    .map(|error| format!("{state} retries {error} before the end")),
            );
        }
        problems
    })
}

fn is_time_out(retrier: &Retrier) -> bool {
    retrier.error_equals.iter().all(|error| ["States.Timeout", "Sandbox.Timedout"].contains(&&**error))
}

fn is_bounded(retrier: &Retrier) -> bool {
    match retrier {
        Retrier {
            max_attempts: 1..,
            interval_seconds: Some(interval @ 1..),
            backoff_rate: Some(rate),
            max_delay_seconds: Some(limit),
            jitter_strategy: Some(jitter),
            ..
        } => *rate > 1.0 && limit > interval && jitter == "FULL",
        _ => false,
    }
}

/// Every task catches everything at last, and nothing else in bulk.
pub fn catchers(machines: &Machines) -> Vec<String> {
    each(machines, |machine| {
        let mut problems = vec![];
        for (state, task) in machine.tasks() {
            let Some((last, named)) = task.catch.split_last() else {
                problems.push(format!("{state} catches nothing"));
                continue;
            };
            if last.error_equals != ["States.ALL"] {
                problems.push(format!("{state} does not catch States.ALL at last"));
            }
            problems.extend(
                wildcards(named.iter().map(|catcher| &catcher.error_equals))
                    .map(|error| format!("{state} catches {error} before the end")),
            );
        }
        problems
    })
}

/// No catcher repeats the last one of its state, which catches all errors: a name stands in a catcher because it goes a way of
/// its own, or leaves something else behind.
pub fn no_catcher_repeats(machines: &Machines) -> Vec<String> {
    each(machines, |machine| {
        let mut problems = vec![];
        for (state, task) in machine.tasks() {
            let Some((last, named)) = task.catch.split_last() else { continue };
            let does = |catcher: &Catcher| (catcher.next.clone(), catcher.assign.clone(), catcher.output.clone());
            problems.extend(named.iter().filter(|catcher| does(catcher) == does(last)).map(|catcher| {
                format!("{state} catches {} only to do what it does on any error", catcher.error_equals.join(", "))
            }));
        }
        problems
    })
}

fn wildcards<'a>(lists: impl Iterator<Item = &'a Vec<String>>) -> impl Iterator<Item = &'a str> {
    lists.flatten().map(String::as_str).filter(|error| ["States.ALL", "States.TaskFailed"].contains(error))
}

/// A variable has a value wherever it is read: an expression without one ends an execution on the spot.
pub fn variables_are_assigned(machines: &Machines) -> Vec<String> {
    each(machines, |machine| {
        let mut problems = vec![];
        for state in machine.definition.states.keys() {
            let read: BTreeSet<&str> = texts(&machine.document["States"][state])
                .into_iter()
                .filter_map(|(_, text)| expression(text))
                .flat_map(variables)
                .collect();
            for variable in read {
                let without = |edge: &Edge<'_>| !machine.assigned(edge).contains_key(variable);
                if machine.reached(&machine.definition.start_at, without).contains(state.as_str()) {
                    problems.push(format!("{state} reads ${variable}, which may not be assigned"));
                }
            }
        }
        problems
    })
}

/// A failure is kept in one form: the state, and what Step Functions says; or the same in words of the machine's own.
/// What follows a failure keeps the first one.
pub fn failures_are_kept_alike(machines: &Machines) -> Vec<String> {
    const KEPT: &str =
        "{% $merge([{'State': $states.context.State.Name, 'Cause': 'it gave no reason'}, $states.errorOutput]) %}";
    const AFTER_A_FAILURE: &[(&str, &str)] = &[
        ("provision", "DeleteRole"),
        ("provision", "RecordFailing"),
        ("provision", "StartCleanUp"),
        ("provision", "RecordFailed"),
        ("renew", "RecordRefused"),
        ("deprovision", "RecordDeprovisionFailed"),
        ("deprovision", "TellOperators"),
        // What is not recorded yet is done all the same, and recorded later.
        ("deprovision", "DeleteUnrecorded"),
        // Of many that go on side by side: what became of each is its output.
        ("sweep", "StartDeprovision"),
    ];
    // Not the end of the matter: another state tries the same again.
    const GOES_ON: &[(&str, &str)] = &[
        ("CreateRole", "CreateRoleAgain"),
        ("RecordDeprovisioning", "LookUpRole"),
        ("DeleteRole", "WaitForIam"),
        ("RecordDeprovisioned", "WaitForIam"),
        ("LookUpRole", "RecordDeprovisioningLate"),
    ];
    each(machines, |machine| {
        let mut problems = vec![];
        for edge in machine.edges() {
            let By::Catch(catcher) = edge.by else { continue };
            let well = match catcher.assign.get("failure") {
                None if GOES_ON.contains(&(edge.from, edge.to)) => true,
                None => AFTER_A_FAILURE.contains(&(machine.name, edge.from)),
                Some(kept) if kept.is_object() => {
                    kept["State"] == edge.from && kept["Error"].is_string() && kept["Cause"].is_string()
                }
                Some(kept) => *kept == json!(KEPT) && !AFTER_A_FAILURE.contains(&(machine.name, edge.from)),
            };
            if !well {
                problems.push(format!("{} keeps {} in a form of its own", edge.from, catcher.error_equals.join(", ")));
            }
        }
        problems
    })
}
