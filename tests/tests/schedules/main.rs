//! Schedules: requests, releases, renewals, leases and attackers meet on the deployed machines in orders that a seed chooses,
//! while AWS refuses, throttles and loses calls. Afterwards nothing stands that is recorded as gone, nothing denied was
//! touched, and every transaction has one terminal status. `make test-schedules` plays all of them, with `SEED=n` one.
//!
//! **What a seed fixes** is every choice: ids, who asks for what, which calls of AWS fail and how, and the order and the distances
//! in which everything is begun, in hundredths of the time that a provisioning takes. It does not fix how what runs at the same
//! time meets inside the engine and the functions. A failure that hangs on that may need a few repetitions, and a machine that is
//! as busy; what was seen of it is printed.

#![expect(clippy::expect_used, reason = "these are tests, helpers included")]

mod checks;
mod found;
mod play;
mod schedule;

use std::{
    env,
    fmt::Write as _,
    time::{Duration, Instant},
};

use daypass_tests::{pipeline::Request, stack::Stack};

use crate::{
    play::{Outcome, Played},
    schedule::Schedule,
};

/// Retries and leases run a hundred times as fast.
const PACE: f64 = 0.01;
/// How many schedules run at once. What each does to calls is about its own transactions.
const AT_ONCE: usize = 16;
/// After so many failures the rest would say nothing new.
const ENOUGH: usize = 10;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse().expect("a number"))
}

#[tokio::test]
async fn schedules() {
    let seeds: Vec<u64> = match number("DAYPASS_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("DAYPASS_SEEDS").unwrap_or(40)).collect(),
    };
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    let provisioning = time(&stack).await;
    let (started, mut played, mut failures) = (Instant::now(), 0, Vec::new());
    for some in seeds.chunks(AT_ONCE) {
        let schedules = some.iter().map(|seed| Schedule::of(*seed)).collect();
        // With others at work, one takes longer.
        let pressed = provisioning * u32::try_from(some.len()).expect("a few").div_ceil(3);
        for it in play::play(&stack, schedules, pressed).await {
            played += 1;
            let problems = checks::problems(&it);
            if !problems.is_empty() {
                println!("{}", told(&it, &problems));
                failures.push((it.schedule.seed, problems));
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        println!("{played} of {} schedules, {seconds:.0} s, {} failed", seeds.len(), failures.len());
        if failures.len() >= ENOUGH {
            break;
        }
    }
    assert!(failures.is_empty(), "`make test-schedules SEED=n` plays one again: {failures:#?}");
}

/// How long a provisioning takes, when whatever is cold is warm.
async fn time(stack: &Stack) -> Duration {
    let mut took = Duration::ZERO;
    for _ in 0..2 {
        let started = Instant::now();
        let access = stack.provision(&Request::by("alex")).await;
        took = started.elapsed();
        stack.released(&access).await;
    }
    took
}

/// Everything that is known of a schedule, to read.
fn told(it: &Played, problems: &[String]) -> String {
    let mut text = format!("\nSEED={}\n{}", it.schedule.seed, it.schedule);
    for (number, outcome) in it.outcomes.iter().enumerate() {
        let what = match outcome {
            Outcome::Told { answer, .. } => match &answer.result {
                Ok(_) => "provisioned".to_owned(),
                Err(failure) => format!("{} {}: {}", failure.cause.status, failure.error, failure.cause.reason),
            },
            Outcome::Started { result: Ok(_) } => "started".to_owned(),
            Outcome::Started { result: Err(refused) } => format!("not started: {refused}"),
            Outcome::Other(what) => what.clone(),
        };
        let _ = writeln!(text, "  {number:2} -> {what}");
    }
    for call in &it.calls {
        let _ = writeln!(text, "    {}", call.line());
    }
    for (execution, ended) in &it.executions {
        let _ = writeln!(text, "  {execution}\n    {ended:?}");
    }
    for (id, item) in &it.items {
        let _ = writeln!(text, "  item {id}: {item:#}");
    }
    for problem in problems {
        let _ = writeln!(text, "  PROBLEM {problem}");
    }
    text
}
