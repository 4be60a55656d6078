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

use self::{
    checker::check,
    weakened::Weakness,
    world::{Bounds, World},
};

fn holds(name: &str, bounds: Bounds) {
    let found = check(name, &mut World::new(bounds, Weakness::default()));
    println!("{name}: {} states, {} steps, depth {}, {:.1?}", found.states, found.steps, found.depth, found.took);
    if let Some(broken) = found.broken {
        panic!("{name} {broken}");
    }
}

#[test]
fn a0_f0() {
    holds("f0", Bounds { denials: true, ..Bounds::default() });
}
#[test]
fn a1_f1() {
    holds("f1", Bounds { faults: 1, denials: true, ..Bounds::default() });
}
#[test]
fn a2_r1_f0() {
    holds("r1", Bounds { releases: 1, denials: true, ..Bounds::default() });
}
#[test]
fn a3_r2_f0() {
    holds("r2", Bounds { releases: 2, denials: true, ..Bounds::default() });
}
#[test]
fn a4_r1_f1() {
    holds("r1f1", Bounds { releases: 1, faults: 1, denials: true, ..Bounds::default() });
}
