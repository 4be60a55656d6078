//! Any text as an identity token: what says how to verify it is read before anything is verified.
#![no_main]

use daypass::invariants::check_message;
use daypass_prove::Unverified;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Unverified::read(text) {
        Ok(token) => assert!(!token.key_id.contains('\0') || token.id().len() == 64),
        Err(reason) => check_message(&reason.to_string(), 1_000),
    }
});
