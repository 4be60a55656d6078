//! What a function pays for at each cold start.

use std::{fs, path::Path};

const TASKS: [&str; 8] = ["validate", "record", "prove", "authn", "authz", "create-role", "issue-creds", "delete-role"];

#[test]
fn every_function_is_under_4_mb() {
    for task in TASKS {
        let bootstrap = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/lambda/{task}/bootstrap"));
        let bytes = fs::metadata(&bootstrap).unwrap_or_else(|e| panic!("{}: {e}", bootstrap.display())).len();
        println!("{task}: {bytes} bytes");
        assert!(bytes < 4_000_000, "{task} has {bytes} bytes");
    }
}
