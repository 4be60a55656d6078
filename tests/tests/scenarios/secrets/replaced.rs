//! Putting something else in the place of issue-creds, for a while.

use std::panic::{AssertUnwindSafe, resume_unwind};

use daypass_tests::stack::Stack;
use futures_util::FutureExt;

const FUNCTION: &str = "daypass-issue-creds";
/// The real task, which can go wrong in the middle: `src/bin/issue-creds-gone-wrong.rs`.
const GONE_WRONG: &str = env!("CARGO_BIN_EXE_issue-creds-gone-wrong");

/// Does `during` while issue-creds is what goes wrong in the way that the arguments name, and puts the deployed function
/// back, also after a panic. `before` is what its bootstrap does first, in the shell.
pub async fn with_issue_creds<T>(stack: &Stack, before: &str, arguments: &str, during: impl AsyncFnOnce() -> T) -> T {
    let deployed = stack.package(FUNCTION).await;
    let script = format!("#!/bin/sh\n{before}\nexec '{GONE_WRONG}' {arguments}\n");
    stack.put_package(FUNCTION, &package(script.as_bytes())).await;
    let done = AssertUnwindSafe(during()).catch_unwind().await;
    stack.put_package(FUNCTION, &deployed).await;
    done.unwrap_or_else(|panic| resume_unwind(panic))
}

/// A zip file with one file, `bootstrap`, stored as it is.
/// Source: <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>
fn package(bootstrap: &[u8]) -> Vec<u8> {
    const NAME: &[u8] = b"bootstrap";
    let (size, name) = (u32::try_from(bootstrap.len()).unwrap(), u16::try_from(NAME.len()).unwrap());
    // Version 2.0, no flags, stored, midnight of 1 January 1980.
    let mut facts = [20_u16, 0, 0, 0, 0x21].map(u16::to_le_bytes).concat();
    facts.extend([crc32fast::hash(bootstrap), size, size].map(u32::to_le_bytes).concat());
    facts.extend([name, 0].map(u16::to_le_bytes).concat());

    let mut zip = [b"PK\x03\x04", &facts[..], NAME, bootstrap].concat();
    let directory = u32::try_from(zip.len()).unwrap();
    // Made by version 2.0; no comment, first disk, no attributes, at the very beginning.
    zip.extend([b"PK\x01\x02", &20_u16.to_le_bytes()[..], &facts, &[0; 6 + 4 + 4], NAME].concat());
    let directory_size = u32::try_from(zip.len()).unwrap() - directory;
    zip.extend([b"PK\x05\x06", &[0, 0, 0, 0, 1, 0, 1, 0][..]].concat());
    zip.extend([directory_size, directory].map(u32::to_le_bytes).concat());
    zip.extend([0, 0]);
    zip
}
