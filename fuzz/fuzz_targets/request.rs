//! Any text as a request for access: understood as the contract says, or refused in a few plain words.
#![no_main]

use std::{sync::LazyLock, time::Duration};

use daypass::{
    contract::ValidateInput,
    invariants::{check_message, check_transaction},
    persona::{MAX_ROLE_TTL, Personas},
    samples::{requested_at, transaction},
    stage::{Stage, parse_input},
};
use daypass_validate::Validate;
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
    let input = ValidateInput { transaction_id: transaction().transaction_id, requested_at: requested_at(), request };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    match runtime.block_on(VALIDATE.run(input, requested_at())) {
        Ok(transaction) => check_transaction(&transaction, &(MIN_ROLE_TTL..=MAX_ROLE_TTL)),
        Err(error) => {
            let message = error.to_string();
            assert!(message.starts_with('`'), "a field is named first: {message}");
            check_message(&message, 6_000);
        }
    }
});
