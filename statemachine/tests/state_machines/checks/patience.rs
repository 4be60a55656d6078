//! How long the machines try, and that they may.

use std::time::Duration;

use daypass::{error::ErrorName, persona::MAX_ROLE_TTL};

use super::Machines;
use crate::asl::{By, Edge, Machine, Retrier, State, Task, expression};

const HOUR: f64 = 3_600.0;
/// Of an Express execution (its guide, "quotas").
pub const EXPRESS_SECONDS: u32 = 300;
/// Of a Standard execution.
const STANDARD: Duration = Duration::from_hours(365 * 24);
pub const HISTORY_EVENTS: f64 = 25_000.0;
/// It is scheduled, it starts, it ends.
pub const EVENTS_OF_AN_ATTEMPT: u32 = 3;
/// It is entered and left.
pub const EVENTS_OF_A_STATE: u32 = 2;

/// The delays of a retrier together, in seconds, when none is shortened by jitter. FULL jitter takes a random part of
/// each: half of it in the mean.
pub fn longest_delays(retrier: &Retrier) -> f64 {
    let limit = f64::from(retrier.max_delay_seconds.unwrap_or(u32::MAX));
    let rate = retrier.backoff_rate.unwrap_or(2.0);
    let first = f64::from(retrier.interval_seconds.unwrap_or(1));
    std::iter::successors(Some(first), |delay| Some((delay * rate).min(limit)))
        .take(retrier.max_attempts as usize)
        .sum()
}

/// The longest time that an execution of provision or renew can spend waiting, in seconds: for every delay of every retry, and
/// for each function that hangs until its state gives it up, which is after one more attempt where there is one.
/// A choice that goes on only before some time has passed ends the count of what came before: at that time at the latest.
pub fn longest_wait(machine: &Machine) -> f64 {
    longest_from(machine, &machine.definition.start_at, 0.0, &[], &[])
}

fn longest_from<'a>(
    machine: &'a Machine,
    state: &'a str,
    so_far: f64,
    before: &[&'a str],
    loops: &[(&'a str, &'a str)],
) -> f64 {
    let before = [before, &[state]].concat();
    let mut longest = so_far;
    for edge in machine.edges_from(state) {
        let limit = limit_of(machine, &edge).filter(|_| !loops.contains(&(edge.from, edge.to)));
        longest = longest.max(match limit {
            // Once: a further round ends at the same time at the latest.
            Some(limit) => {
                let loops = [loops, &[(edge.from, edge.to)]].concat();
                longest_from(machine, edge.to, limit, &[], &loops)
            }
            None if before.contains(&edge.to) => so_far,
            None => longest_from(machine, edge.to, so_far + wait_on(machine, &edge), &before, loops),
        });
    }
    longest
}

/// What an execution may wait in the state that it leaves by that edge, in seconds.
fn wait_on(machine: &Machine, edge: &Edge<'_>) -> f64 {
    match &machine.definition.states[edge.from] {
        State::Task(task) => {
            let hangs = matches!(edge.by, By::Catch(catcher) if catcher.error_equals == ["States.ALL"]);
            let again = task.retry.iter().filter(|retrier| retrier.error_equals.contains(&"States.Timeout".to_owned()));
            let attempts = 1 + again.map(|retrier| retrier.max_attempts).sum::<u32>();
            let given_up = if hangs { f64::from(attempts * task.timeout_seconds) } else { 0.0 };
            task.retry.iter().map(longest_delays).sum::<f64>() + given_up
        }
        _ => 0.0,
    }
}

/// The seconds since the start of the execution before which a choice takes that edge: those of a rule that stands before it, and
/// holds from then on.
fn limit_of(machine: &Machine, edge: &Edge<'_>) -> Option<f64> {
    const SINCE: &str = "$millis() - $toMillis($states.context.Execution.StartTime) >= ";
    let State::Choice(choice) = &machine.definition.states[edge.from] else { return None };
    let (at, seconds) = choice.choices.iter().enumerate().find_map(|(at, rule)| {
        let milliseconds: f64 = expression(&rule.condition)?.strip_prefix(SINCE)?.parse().ok()?;
        Some((at, milliseconds / 1_000.0))
    })?;
    let is_before = matches!(edge.by, By::Rule(rule) if choice.choices[..=at].iter().any(|it| std::ptr::eq(it, rule)));
    (!is_before).then_some(seconds)
}

/// The longest time that an execution of deprovision can take from the end of its wait, in seconds: every attempt of
/// every task hangs, and every delay is the longest.
pub fn longest_deprovisioning(deprovision: &Machine) -> f64 {
    heaviest(deprovision, &|_, task| longest(task))
}

/// The longest time that a task can take: every attempt hangs, and every delay is the longest.
pub fn longest(task: &Task) -> f64 {
    task.retry.iter().map(longest_delays).sum::<f64>() + attempts(task) * f64::from(task.timeout_seconds)
}

/// The events of the longest execution of deprovision.
pub fn longest_history(deprovision: &Machine) -> f64 {
    let states: f64 = deprovision.definition.states.values().map(|_| f64::from(EVENTS_OF_A_STATE)).sum();
    states + heaviest(deprovision, &|_, task| f64::from(EVENTS_OF_AN_ATTEMPT) * attempts(task))
}

/// How often a task runs at most: every retrier counts for itself.
pub fn attempts(task: &Task) -> f64 {
    1.0 + task.retry.iter().map(|retrier| f64::from(retrier.max_attempts)).sum::<f64>()
}

/// The weight of the heaviest way through a machine, each state taken at most once.
fn heaviest(machine: &Machine, weight: &dyn Fn(&Edge<'_>, &Task) -> f64) -> f64 {
    fn from<'a>(
        machine: &'a Machine,
        state: &'a str,
        before: &[&'a str],
        weight: &dyn Fn(&Edge<'_>, &Task) -> f64,
    ) -> f64 {
        let before = &[before, &[state]].concat();
        let onward = machine.edges_from(state).into_iter().filter(|edge| !before.contains(&edge.to)).map(|edge| {
            let own = match machine.definition.states.get(state) {
                Some(State::Task(task)) => weight(&edge, task),
                _ => 0.0,
            };
            own + from(machine, edge.to, before, weight)
        });
        onward.fold(0.0, f64::max)
    }
    from(machine, &machine.definition.start_at, &[], weight)
}

/// All retries have their time before the machine's end, and that comes before Express ends the execution.
pub fn awaited(machines: &Machines) -> Vec<String> {
    let mut problems = vec![];
    for machine in machines.awaited() {
        let (name, longest, limit) = (machine.name, longest_wait(machine), machine.definition.timeout_seconds);
        if longest >= f64::from(limit) {
            problems.push(format!("{name} may wait for {longest} s, and ends after {limit} s"));
        }
        if limit >= EXPRESS_SECONDS {
            problems.push(format!("{name} ends itself after {limit} s, Express does after {EXPRESS_SECONDS} s"));
        }
    }
    problems
}

/// What Lambda answers when too many functions run, as Step Functions names it.
const TOO_MANY: &str = "Lambda.TooManyRequestsException";

/// Those who ask at once have to pass Identity Center one after the other: its throttles, and Lambda's, are waited out for longer than
/// other errors, again and again until a limit of time. No other function is asked to hurry either, before there is a role.
pub fn throttles(machines: &Machines) -> Vec<String> {
    const THROTTLES: [&str; 2] = [ErrorName::Throttled.as_str(), TOO_MANY];
    let mut problems = vec![];
    for machine in machines.awaited() {
        for (state, seconds) in [("Validate", 40.0), ("Prove", 40.0), ("Authenticate", 60.0), ("Authorize", 60.0)] {
            let State::Task(task) = &machine.definition.states[state] else { continue };
            // Validate calls nobody who could ask for it.
            let errors = THROTTLES.iter().skip(usize::from(state == "Validate"));
            for error in errors {
                let retrier = task.retry.iter().find(|it| it.error_equals.iter().any(|it| it == error));
                if retrier.is_none_or(|retrier| longest_delays(retrier) < seconds) {
                    problems.push(format!("{}: {state} does not wait for {seconds} s after {error}", machine.name));
                }
            }
        }
        for state in ["Authenticate", "Authorize"] {
            let throttled = |edge: &Edge<'_>| matches!(edge.by, By::Catch(it) if it.error_equals == THROTTLES);
            let choices = machine.edges_from(state).into_iter().filter(throttled);
            let again = choices.flat_map(|edge| machine.edges_from(edge.to)).filter(|edge| edge.to == state);
            if !again.into_iter().any(|edge| limit_of(machine, &edge).is_some()) {
                problems.push(format!("{}: {state} is not tried again until a limit of time", machine.name));
            }
        }
    }
    problems
}

/// Every task of deprovision is tried for a day, whatever the jitter makes of it (in the mean), within the history and
/// the time that an execution has; the machine's limit cuts no lease and no retry short.
pub fn deprovision(Machines { deprovision, .. }: &Machines) -> Vec<String> {
    let mut problems = vec![];
    for (state, task) in deprovision.tasks() {
        // Two have a successor that has the day. The third comes after it, and an alarm takes its place.
        let is_hasty = ["RecordDeprovisioning", "DeleteUnrecorded", "TellOperators"].contains(&state);
        for retrier in task.retry.iter().filter(|retrier| retrier.max_attempts > 0 && !is_hasty) {
            let mean = longest_delays(retrier) / 2.0 / HOUR;
            if mean < 24.0 {
                let errors = retrier.error_equals.join(", ");
                problems.push(format!("deprovision: {state} retries {errors} for {mean:.1} h in the mean"));
            }
        }
    }
    let events = longest_history(deprovision);
    if events > HISTORY_EVENTS {
        problems.push(format!("deprovision may have {events} events"));
    }
    let limit = Duration::from_secs(deprovision.definition.timeout_seconds.into());
    let longest = MAX_ROLE_TTL.as_secs_f64() + longest_deprovisioning(deprovision);
    if limit.as_secs_f64() <= longest || limit >= STANDARD {
        problems.push(format!(
            "deprovision may need {:.0} h, and ends after {:.0} h",
            longest / HOUR,
            limit.as_secs_f64() / HOUR
        ));
    }
    problems
}
