//! The contract of the state machines: with the tasks, with the CDK app, and with what the design promises.
//!
//! What can be seen in their definitions is checked here; `local/tests/test_machines.py` evaluates their
//! expressions.

#![expect(clippy::expect_used, reason = "these are tests, helpers included")]

mod asl;
mod checks;
mod readme;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

use daypass_testing::documents;
use serde_json::{Value, json};

use self::{asl::Machine, checks::Machines};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn document(name: &str) -> Value {
    let text = fs::read_to_string(repository().join(format!("statemachine/{name}.asl.json"))).expect("a definition");
    serde_json::from_str(&text).expect("JSON")
}

/// The machines, of these documents.
fn machines(document: impl Fn(&str) -> Value) -> Result<Machines, String> {
    let machine = |name| Machine::read(name, document(name));
    Ok(Machines {
        provision: machine("provision")?,
        renew: machine("renew")?,
        deprovision: machine("deprovision")?,
        sweep: machine("sweep")?,
    })
}

fn shipped() -> Machines {
    machines(document).expect("the machines")
}

#[test]
fn the_machines_keep_their_contract() {
    let machines = shipped();
    let problems: Vec<String> = checks::ALL.iter().flat_map(|(_, check)| check(&machines)).collect();
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn the_readme_shows_the_machines() {
    documents::check_all(readme::path(), |readme| readme::showing(readme, &shipped()));
}

#[test]
fn the_readme_would_show_a_change() {
    let readme = fs::read_to_string(readme::path()).expect("the README of the machines");
    for (machine, pointer, value) in [
        ("provision", "/States/Authorize/Next", json!("CreateRole")),
        ("provision", "/States/Authorize/Catch/0/Next", json!("Denied")),
        ("provision", "/States/Authorize/Retry/3/MaxAttempts", json!(2)),
        ("renew", "/States/Authorize/Next", json!("RecordRenewed")),
        ("renew", "/TimeoutSeconds", json!(299)),
        ("deprovision", "/States/HasItEnded/Default", json!("RecordDeprovisioned")),
        ("deprovision", "/TimeoutSeconds", json!(604_800)),
        ("sweep", "/States/IsThereMore/Default", json!("NotAllStarted")),
        ("sweep", "/States/Release/ItemProcessor/States/StartDeprovision/Retry/0/MaxAttempts", json!(2)),
        ("sweep", "/TimeoutSeconds", json!(250)),
    ] {
        let changed = changed(machine, pointer, &value).expect("the machines");
        assert_ne!(readme, readme::showing(&readme, &changed), "{machine}{pointer}");
    }
}

/// `breaks.json` holds, for each check, changes that it must find: a machine, a JSON pointer, and what is put there (null:
/// it goes away). The last ones cannot even be read.
#[test]
fn every_check_can_fail() {
    const UNREADABLE: &str = "it cannot be read";
    type Change = (String, String, Value);

    let breaks: BTreeMap<String, Vec<Change>> = serde_json::from_str(include_str!("breaks.json")).expect("changes");
    for (check, (machine, pointer, value)) in
        breaks.iter().flat_map(|(check, all)| all.iter().map(move |one| (check, one)))
    {
        let found: BTreeSet<&str> = match changed(machine, pointer, value) {
            Ok(machines) => {
                checks::ALL.iter().filter(|(_, check)| !check(&machines).is_empty()).map(|(name, _)| *name).collect()
            }
            Err(_) => BTreeSet::from([UNREADABLE]),
        };
        assert!(found.contains(check.as_str()), "{machine}{pointer} = {value} is found by {found:?}, not by {check}");
    }
    let broken: BTreeSet<&str> = breaks.keys().map(String::as_str).collect();
    let checks: BTreeSet<&str> = checks::ALL.iter().map(|(name, _)| *name).chain([UNREADABLE]).collect();
    assert_eq!(broken, checks);
}

/// The shipped machines with one change.
fn changed(machine: &str, pointer: &str, value: &Value) -> Result<Machines, String> {
    assert!(["provision", "renew", "deprovision", "sweep"].contains(&machine), "{machine}");
    machines(|name| {
        let mut document = document(name);
        if name == machine {
            put(&mut document, pointer, value.clone());
        }
        document
    })
}

/// Sets, adds, or with null removes what a JSON pointer names.
fn put(document: &mut Value, pointer: &str, value: Value) {
    let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
    match document.pointer_mut(parent).unwrap_or_else(|| panic!("nothing is at {parent}")) {
        Value::Object(fields) if value.is_null() => {
            fields.remove(last).unwrap_or_else(|| panic!("nothing is at {pointer}"));
        }
        Value::Object(fields) => {
            fields.insert(last.to_owned(), value);
        }
        Value::Array(items) => {
            let index: usize = last.parse().expect("an index");
            if value.is_null() {
                items.remove(index);
            } else if index == items.len() {
                items.push(value);
            } else {
                items[index] = value;
            }
        }
        other => panic!("{other} at {parent} has no parts"),
    }
}
