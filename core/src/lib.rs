//! Words, contracts and policies that every part of Daypass shares.
//!
//! The crate is plain data and pure functions. What a Lambda function needs on top (the runtime, AWS clients, sessions
//! of other roles, Identity Center) stands behind the features `lambda`, `assume-role` and `identity-center`.

pub mod branch;
pub mod contract;
pub mod decision;
pub mod error;
#[cfg(feature = "identity-center")]
pub mod identity_center;
pub mod ids;
#[cfg(any(test, feature = "samples"))]
pub mod invariants;
pub mod issuer;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod persona;
pub mod policy;
#[cfg(test)]
mod properties;
#[cfg(feature = "samples")]
pub mod samples;
pub mod stage;
#[cfg(any(test, feature = "strategies"))]
pub mod strategies;
pub mod text;
pub mod timestamp;
