//! Measures provisioning and release.

fn main() {}
