//! Words, contracts and policies that every part of Daypass shares.
//!
//! The crate is plain data and pure functions: it knows neither AWS's SDK nor Lambda.

pub mod branch;
pub mod contract;
pub mod decision;
pub mod error;
pub mod ids;
pub mod issuer;
pub mod names;
pub mod persona;
pub mod policy;
pub mod stage;
pub mod text;
pub mod timestamp;
