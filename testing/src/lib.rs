//! For tests alone: one transaction with all that belongs to it, a stand-in for AWS, inputs of all kinds, and what holds of
//! everything that is accepted.
//!
//! What this crate tests depends on it only in its own tests, so unit tests of `daypass` and `daypass-aws` cannot use it: it
//! knows other builds of these crates than the ones that are under test there.

pub mod documents;
pub mod invariants;
pub mod samples;
pub mod strategies;
