//! `statemachine/README.md` shows each machine: a diagram, a table of what becomes of every error, and its patience.
//!
//! The parts between the markers are generated; `INSTA_UPDATE=always` writes them.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use daypass_testing::documents::replaced;

use crate::{
    asl::{By, Call, Edge, Machine, Retrier, State, Task},
    checks::{
        MOST_STARTS, Machines, longest_delays, longest_deprovisioning, longest_history, longest_sweep,
        longest_sweep_history, longest_wait,
    },
    repository,
};

const HOUR: f64 = 3_600.0;
const ANY: &str = "any error";

pub fn path() -> PathBuf {
    repository().join("statemachine/README.md")
}

/// The README with what it must show of those machines.
pub fn showing(readme: &str, machines: &Machines) -> String {
    machines.all().into_iter().fold(readme.to_owned(), |readme, machine| {
        let patience = match machine.name {
            "deprovision" => patience_of_deprovision,
            "sweep" => patience_of_sweep,
            _ => patience_of_awaited,
        };
        replaced(&readme, machine.name, &format!("{}\n{}", shown(machine), patience(machine)))
    })
}

fn shown(machine: &Machine) -> String {
    format!("```mermaid\n{}```\n\n{}", diagram(machine), table(machine))
}

fn diagram(machine: &Machine) -> String {
    let start = &machine.definition.start_at;
    let mut lines = format!("stateDiagram-v2\n    [*] --> {start}\n");
    for state in machine.walk(start, |edge| !matches!(edge.by, By::Each)) {
        lines += &lines_of(machine, state, machine.is_end(state), "    ");
        if let State::Map(map) = &machine.definition.states[state] {
            let first = &map.item_processor.start_at;
            writeln!(lines, "    state {state} {{\n        [*] --> {first}").expect("lines");
            for inner in machine.walk(first, |_| true) {
                let ends = match &machine.definition.states[inner] {
                    State::Task(task) => task.end,
                    State::Pass(pass) => pass.end,
                    _ => false,
                };
                lines += &lines_of(machine, inner, ends, "        ");
            }
            lines += "    }\n";
        }
    }
    lines
}

fn lines_of(machine: &Machine, state: &str, ends: bool, indent: &str) -> String {
    let mut lines = String::new();
    for (to, label) in ways(machine, state) {
        let label = if label.is_empty() { label } else { format!(": {label}") };
        writeln!(lines, "{indent}{state} --> {to}{label}").expect("a line");
    }
    if ends {
        writeln!(lines, "{indent}{state} --> [*]").expect("a line");
    }
    lines
}

/// Where a state leads, and when; several errors with one target are one way.
fn ways<'a>(machine: &'a Machine, state: &'a str) -> Vec<(&'a str, String)> {
    let edges = machine.edges_from(state);
    let orderly = edges.iter().filter_map(|edge| match edge.by {
        By::Next => Some((edge.to, String::new())),
        By::Rule(rule) => Some((edge.to, rule.comment.clone())),
        By::Default => Some((edge.to, "otherwise".to_owned())),
        By::Each | By::Catch(_) => None,
    });
    let next = edges.iter().find(|edge| matches!(edge.by, By::Next)).map(|edge| edge.to);
    let errors = errors(&edges).into_iter().filter(|(to, label)| !(Some(*to) == next && label == ANY));
    orderly.chain(errors).collect()
}

/// Where the errors of a state lead. Those that share their way with all others are not named.
fn errors<'a>(edges: &[Edge<'a>]) -> Vec<(&'a str, String)> {
    let caught: Vec<_> = edges
        .iter()
        .filter_map(|edge| match edge.by {
            By::Catch(catcher) => Some((edge.to, &catcher.error_equals)),
            _ => None,
        })
        .collect();
    let Some((rest, _)) = caught.last() else { return vec![] };
    let mut named: Vec<(&str, Vec<&str>)> = vec![];
    for (to, names) in caught.iter().filter(|(to, _)| to != rest) {
        let errors = names.iter().map(|name| short(name));
        match named.iter_mut().find(|(known, _)| known == to) {
            Some((_, known)) => known.extend(errors),
            None => named.push((to, errors.collect())),
        }
    }
    let all = if named.is_empty() { ANY } else { "any other error" };
    named.into_iter().map(|(to, names)| (to, names.join(", "))).chain([(*rest, all.to_owned())]).collect()
}

fn short(error: &str) -> &str {
    error.rsplit('.').next().unwrap_or(error)
}

fn table(machine: &Machine) -> String {
    let mut lines = "| state | calls | tries again | then, on an error |\n|---|---|---|---|\n".to_owned();
    for state in machine.walk(&machine.definition.start_at, |_| true) {
        let State::Task(task) = &machine.definition.states[state] else { continue };
        let calls = match task.call() {
            Ok(Call::Function(key, None)) => key.replace('_', "-"),
            Ok(Call::Function(key, Some(operation))) => format!("{}: `{operation}`", key.replace('_', "-")),
            Ok(Call::Start(key)) => format!("starts {key}"),
            Ok(Call::Put(key)) => format!("puts into {key}"),
            Ok(Call::Publish(key)) => format!("sends to {key}"),
            Ok(Call::Query(key)) => format!("searches {key}"),
            Err(problem) => panic!("{state}: {problem}"),
        };
        let errors: Vec<String> =
            errors(&machine.edges_from(state)).into_iter().map(|(to, names)| format!("{names} → {to}")).collect();
        writeln!(lines, "| {state} | {calls} | {} | {} |", retried(task), errors.join("; ")).expect("a line");
    }
    lines
}

/// Which errors a task is tried again for, and how often.
fn retried(task: &Task) -> String {
    let mut by_patience: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for retrier in &task.retry {
        by_patience.entry(retrier.max_attempts).or_default().extend(retrier.error_equals.iter().map(String::as_str));
    }
    let given_up = by_patience.remove(&0).unwrap_or_default();
    // Those of any error at last, beside those which they leave out.
    let (of_any, of_some): (Vec<_>, Vec<_>) =
        by_patience.iter().partition(|(_, errors)| errors.contains(&"States.ALL"));
    let times = of_some.into_iter().chain(of_any).map(|(times, errors)| {
        let ours = errors.iter().filter(|error| error.starts_with("Daypass.")).map(|error| short(error));
        let service = match errors.iter().find_map(|error| error.split_once('.').filter(|(name, _)| *name != "Daypass"))
        {
            Some(("States" | "Sandbox", name)) if name != "ALL" => "a time-out",
            Some(("Lambda", _)) => "Lambda's own",
            // As a service of its own, and as one of the SDK's.
            Some(("DynamoDB" | "DynamoDb", _)) => "DynamoDB's own",
            _ => "Step Functions' own",
        };
        let errors = if errors.contains(&"States.ALL") {
            "any error".to_owned()
        } else {
            ours.chain([service]).collect::<Vec<_>>().join(", ")
        };
        format!("{}: {errors}", if *times == 1 { "once".to_owned() } else { format!("{times} times") })
    });
    let never = given_up.iter().map(|error| short(error)).collect::<Vec<_>>().join(", ");
    let but = if never.is_empty() { String::new() } else { format!(" but {never}") };
    format!("{}{but}", times.collect::<Vec<_>>().join("; "))
}

fn patience_of_awaited(machine: &Machine) -> String {
    let longest = longest_wait(machine);
    let limit = f64::from(machine.definition.timeout_seconds);
    format!(
        "Patience: the delays of all retries on the longest way, and the functions that can hang on it until they are \
         given up, are {longest:.0} s together. The machine ends after {limit:.0} s, which leaves {:.0} s for work, and \
         Express ends it after 300 s.\n",
        limit - longest
    )
}

fn patience_of_deprovision(machine: &Machine) -> String {
    let retriers: Vec<&Retrier> = machine.tasks().flat_map(|(_, task)| &task.retry).collect();
    let longest = retriers.iter().map(|retrier| longest_delays(retrier)).fold(0.0, f64::max);
    let attempts = retriers.iter().map(|retrier| retrier.max_attempts).max().unwrap_or_default();
    format!(
        "Patience: {attempts} retries of a task delay it by {:.1} h at most. Full jitter takes a random part of each delay, \
         half of it in the mean, which makes {:.1} h. With every attempt of every task the history has {:.0} events \
         (25,000 are allowed). A lease of 168 h in which everything hangs and every delay is the longest takes {:.0} h, \
         the machine ends after {:.0} h.\n",
        longest / HOUR,
        longest / 2.0 / HOUR,
        longest_history(machine),
        168.0 + longest_deprovisioning(machine) / HOUR,
        f64::from(machine.definition.timeout_seconds) / HOUR,
    )
}

fn patience_of_sweep(machine: &Machine) -> String {
    format!(
        "Patience: when every attempt of both searches and of a start hangs, that takes {:.0} s. The machine ends after {} s, \
         and the next one begins after 300 s. An execution starts {MOST_STARTS} ends, and those that the last page has beyond \
         that. With every attempt of each its history has {:.0} events (25,000 are allowed), and about 11 for each page on \
         which nothing is found.\n",
        longest_sweep(machine),
        machine.definition.timeout_seconds,
        longest_sweep_history(machine),
    )
}
