//! What a function pays for at each cold start.

use std::{fs, path::Path};

const TASKS: [&str; 8] = ["validate", "record", "prove", "authn", "authz", "create-role", "issue-creds", "delete-role"];

/// Where a cold start is still short enough for whoever waits (docs/decisions/0002). The lease protocol took record beyond the
/// 4,000,000 that the functions had before.
const BYTES: u64 = 4_400_000;

#[test]
fn every_function_is_small() {
    for task in TASKS {
        let bootstrap = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/lambda/{task}/bootstrap"));
        let bytes = fs::metadata(&bootstrap).unwrap_or_else(|e| panic!("{}: {e}", bootstrap.display())).len();
        println!("{task}: {bytes} bytes");
        assert!(bytes < BYTES, "{task} has {bytes} bytes");
    }
}
