//! What the contract says of itself.

use std::collections::BTreeSet;

use daypass::contract::{ProvisionInput, RenewInput, Transaction, fields::Field};
use daypass_testing::{documents, samples::transaction};
use serde::Deserialize as _;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/contract.md");

fn table<'a>(fields: impl Iterator<Item = &'a Field>) -> String {
    let row = |Field { name, is_required, meaning, limits, example }: &Field| {
        let required = if *is_required { "yes" } else { "no" };
        format!("| `{name}` | {required} | {meaning}; {limits} | `{example}` |\n")
    };
    let rows: String = fields.map(row).collect();
    format!("| field | required | meaning and limits | example |\n|---|---|---|---|\n{rows}")
}

#[test]
fn the_documentation_shows_the_fields() {
    documents::check(PAGE, "request", &table(ProvisionInput::fields()));
    documents::check(PAGE, "renewal", &table(RenewInput::fields()));
}

#[test]
fn a_transaction_has_the_fields_that_it_says() {
    let mut full = serde_json::to_value(transaction()).unwrap();
    for field in ProvisionInput::fields().filter(|field| Transaction::FIELDS.contains(&field.name)) {
        full[field.name] = field.example();
    }
    let full = serde_json::to_value(Transaction::deserialize(full).unwrap()).unwrap();
    let fields: BTreeSet<&str> = full.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, Transaction::FIELDS.iter().copied().collect());
}
