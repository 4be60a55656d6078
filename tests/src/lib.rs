//! The harness of the scenarios: whoever calls Daypass, and whoever looks at what it did.
//!
//! The scenarios (`tests/scenarios/`) and the benchmark (`src/bin/bench.rs`) run against a deployed
//! stack on the local engine. `python -m daypass_local run -- COMMAND` starts one and tells the command where it is.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a harness of tests: what is not as expected is a panic, and the test that asked has failed"
)]

pub mod aws;
pub mod engine;
pub mod escalation;
pub mod identity;
pub mod kinds;
pub mod pipeline;
pub mod random;
pub mod stack;
