//! Any text as a request for access, and as a renewal: understood as the contract says, or refused in a few plain words.
#![no_main]

use std::{sync::LazyLock, time::Duration};

use daypass::{
    persona::{MAX_ROLE_TTL, Personas},
    stage::parse_input,
};
use daypass_testing::{
    invariants::{check_message, check_transaction},
    samples::{requested_at, transaction},
};
use daypass_validate::{Validate, ValidateError, renewal};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const MIN_ROLE_TTL: Duration = Duration::from_mins(15);

static VALIDATE: LazyLock<Validate> = LazyLock::new(|| {
    let personas = Personas::parse(include_str!("../../personas.json")).expect("the shipped file is right");
    Validate::new(personas, MIN_ROLE_TTL, "aws".to_owned())
});

fuzz_target!(|text: &str| {
    let request: Value = match parse_input(text) {
        Ok(request) => request,
        Err(failure) => return check_message(&failure.message, 1_001),
    };
    match VALIDATE.request(transaction().transaction_id, requested_at(), &request) {
        Ok(transaction) => check_transaction(&transaction, &(MIN_ROLE_TTL..=MAX_ROLE_TTL)),
        Err(error) => check_refusal(&error),
    }
    if let Err(error) = renewal(&request) {
        check_refusal(&error);
    }
});

fn check_refusal(error: &ValidateError) {
    let message = error.to_string();
    assert!(message.starts_with('`'), "a field is named first: {message}");
    check_message(&message, 6_000);
}
