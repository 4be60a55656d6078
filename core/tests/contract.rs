//! What the contract says of itself.

use std::collections::BTreeSet;

use daypass::contract::Transaction;
use daypass_testing::samples::transaction;

#[test]
fn a_transaction_has_the_fields_that_it_says() {
    let full = Transaction { justification: Some("CHG-1234".to_owned()), ..transaction() };
    let full = serde_json::to_value(full).unwrap();
    let fields: BTreeSet<&str> = full.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, Transaction::FIELDS.iter().copied().collect());
}
