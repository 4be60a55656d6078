//! A model of the protocol, and every state of it within bounds.
//!
//! Of the protocol, the model plays what is deployed: the machines are `statemachine/*.asl.json`, and the operations of record
//! are record's own code on a table of its own. The functions that speak to the target account are copies (`functions.rs`).
//!
//! `make model` plays larger bounds, and tells how far it is.

#![expect(clippy::expect_used, clippy::panic, reason = "these are tests, helpers included")]

mod checker;
mod functions;
mod intern;
mod machines;
mod properties;
mod record;
mod weakened;
mod world;

use daypass_testing::samples;
use serde_json::{Value, json};

use self::{
    checker::check,
    functions::{E, V},
    weakened::{Weakened, Weakness},
    world::{Bounds, DEPROVISION, Foreign, PROVISION, RENEW, World, request},
};

fn holds(name: &str, bounds: Bounds) {
    let found = check(name, &mut World::new(bounds, Weakness::default()));
    println!("{name}: {} states, {} steps, depth {}, {:.1?}", found.states, found.steps, found.depth, found.took);
    if let Some(broken) = found.broken {
        panic!("{name} {broken}");
    }
}

/// What somebody may start who may start anything: any machine, under names that mean something, with inputs that fit or do not.
fn foreign_starts() -> Vec<Foreign> {
    let (now, lease) = (json!({"transaction_id": V}), samples::transaction().expires_at);
    let waits = json!({"schema": 1, "transaction_id": V, "expires_at": lease});
    let far = json!({"transaction_id": V, "expires_at": "2099-01-01T00:00:00Z"});
    let other_role = json!({"transaction_id": V, "role_arn": "arn:aws:iam::444444444444:role/daypass/daypass-x"});
    let renewal = json!({"transaction_id": V, "recipient": "age1mallory", "identity_token": "TOKEN of run 2"});
    let start = |machine, name: &str, input: &Value| Foreign { machine, name: name.to_owned(), input: input.clone() };
    let of = |name: &str| request(&format!("{name}@example.com"), "age1mallory", "2");
    vec![
        start(PROVISION, V, &of("mallory")),
        start(PROVISION, E, &of("mallory")),
        start(DEPROVISION, V, &now),
        start(DEPROVISION, V, &waits),
        start(DEPROVISION, "any", &waits),
        start(DEPROVISION, "any", &far),
        start(DEPROVISION, "any", &other_role),
        start(RENEW, "any", &renewal),
    ]
}

#[test]
fn a_lost_call_breaks_nothing() {
    holds("one fault", Bounds { faults: 1, denials: true, ..Bounds::default() });
}

#[test]
fn two_lost_calls_break_nothing() {
    holds("two faults", Bounds { faults: 2, denials: true, ..Bounds::default() });
}

#[test]
fn a_release_at_any_moment_breaks_nothing() {
    holds("a release", Bounds { releases: 1, denials: true, ..Bounds::default() });
}

#[test]
fn a_release_and_a_lost_call_break_nothing() {
    holds("a release, one fault", Bounds { releases: 1, faults: 1, denials: true, ..Bounds::default() });
}

#[test]
fn a_start_by_somebody_else_breaks_nothing() {
    let starts = foreign_starts();
    holds("a foreign start", Bounds { foreign: 1, starts, denials: true, ..Bounds::default() });
}

#[test]
fn a_renewal_beside_a_release_breaks_nothing() {
    holds("a renewal, a release", Bounds { renewals: 1, releases: 1, ..Bounds::default() });
}

/// `make model`: minutes to hours.
#[test]
#[ignore = "it takes long: make model"]
fn larger_bounds() {
    let starts = foreign_starts();
    let whole = Bounds { denials: true, ..Bounds::default() };
    holds("two renewals", Bounds { renewals: 2, ..whole.clone() });
    holds("three faults", Bounds { faults: 3, ..whole.clone() });
    holds("a foreign start, one fault", Bounds { foreign: 1, starts: starts.clone(), faults: 1, ..whole.clone() });
    holds("two releases", Bounds { releases: 2, ..whole.clone() });
    holds("a foreign start, a release", Bounds { foreign: 1, starts, releases: 1, ..whole.clone() });
    holds("two renewals, one fault", Bounds { renewals: 2, faults: 1, ..whole.clone() });
    holds("two renewals, a release", Bounds { renewals: 2, releases: 1, ..whole.clone() });
    holds("a release, two faults", Bounds { releases: 1, faults: 2, ..whole });
}

/// Without a control a promise is broken, and the sequence shows how.
#[test]
fn what_is_weakened_is_noticed() {
    let mut missed = vec![];
    for Weakened { name, weak, bounds, breaks } in weakened::all() {
        let found = check(name, &mut World::new(bounds, weak));
        println!("{name}: {} states, depth {}, {:.1?}", found.states, found.depth, found.took);
        match found.broken {
            Some(broken) if broken.promise == breaks => insta::assert_snapshot!(name, broken),
            Some(broken) => missed.push(format!("{name} {broken}")),
            None => missed.push(format!("{name} breaks nothing")),
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
