//! Any text as what a pipeline sends to end a transaction, and as what the machines send to the tasks that end it.
#![no_main]

use daypass::{
    contract::{DeleteRoleInput, DeprovisionRequest, RecordInput},
    stage::{Failure, parse_input},
};
use daypass_testing::invariants::{check_account_id, check_json, check_message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    explained(parse_input::<RecordInput>(text));
    explained(parse_input::<DeleteRoleInput>(text));
    let Some(request) = explained(parse_input::<DeprovisionRequest>(text)) else { return };
    check_json(&request.transaction_id);
    check_json(&request.expires_at);
    check_json(&request.role_arn);
    if let Some(arn) = request.role_arn {
        check_account_id(arn.account());
        assert!(arn.to_string().bytes().all(|b| b.is_ascii_graphic()));
    }
});

fn explained<T>(parsed: Result<T, Failure>) -> Option<T> {
    parsed.map_err(|failure| check_message(&failure.message, 1_001)).ok()
}
