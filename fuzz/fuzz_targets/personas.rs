//! Any text as a personas.json: right in every respect, or explained problem by problem.
#![no_main]

use daypass::persona::Personas;
use daypass_testing::invariants::{check_personas, check_personas_error};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| match Personas::parse(text) {
    Ok(personas) => check_personas(&personas),
    // A name takes four bytes of a file at least, and a problem lists the known ones.
    Err(error) => check_personas_error(&error, text.len() / 4),
});
