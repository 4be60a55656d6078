//! What Daypass promises, played on a deployed stack: the real templates, state machines and functions, on the local
//! engine. `make test-e2e` runs it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "these are tests, helpers included")]

mod adversary;
mod by_hand;
mod calls;
mod changes;
mod concurrency;
mod denials;
mod duplicates;
mod escalation;
mod faults;
mod identity;
mod isolation;
mod leases;
mod patience;
mod personas;
mod releases;
mod renewals;
mod requests;
mod secrets;
mod sizes;
mod sweep;
mod tampering;
