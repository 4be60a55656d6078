//! The `daypass` command on a deployed stack. `make test-e2e` runs it.

#![expect(clippy::expect_used, reason = "these are tests, helpers included")]

#[path = "scenarios/command.rs"]
mod command;
#[path = "scenarios/exec.rs"]
mod exec;
#[path = "scenarios/explain.rs"]
mod explain;
#[path = "scenarios/renewals.rs"]
mod renewals;
#[path = "scenarios/sessions.rs"]
mod sessions;
