//! Any text as an identity token: what says how to verify it is read before anything is verified.
#![no_main]

use daypass_prove::Unverified;
use daypass_testing::invariants::check_message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Unverified::read(text) {
        Ok(token) => assert_eq!(token.id().len(), 64, "SHA-256 in hexadecimal"),
        Err(reason) => check_message(&reason.to_string(), 1_000),
    }
});
