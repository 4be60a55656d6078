//! The `daypass` command on a deployed stack. `make test-e2e` runs it.

#![expect(clippy::expect_used, reason = "these are tests, helpers included")]

#[path = "scenarios/command.rs"]
mod command;
#[path = "scenarios/doctor.rs"]
mod doctor;
#[path = "scenarios/examples.rs"]
mod examples;
#[path = "scenarios/exec.rs"]
mod exec;
#[path = "scenarios/explain.rs"]
mod explain;
#[path = "scenarios/groups.rs"]
mod groups;
#[path = "scenarios/releases.rs"]
mod releases;
#[path = "scenarios/renewals.rs"]
mod renewals;
#[path = "scenarios/sessions.rs"]
mod sessions;
#[path = "scenarios/shield.rs"]
mod shield;
#[path = "scenarios/strangers.rs"]
mod strangers;
