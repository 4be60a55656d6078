//! Every AWS call of a provisioning and of a release, as README.md lists them.
//!
//! `UPDATE_README=1` writes the lists instead of comparing them.

use std::{env, fmt::Write, fs, path::Path};

use daypass_tests::{
    engine::RecordedCall,
    pipeline::{Access, Request},
    stack::Stack,
};

/// What a warm stack calls: the functions have made their connections.
#[tokio::test]
async fn no_call_is_made_that_the_readme_does_not_list() {
    let stack = Stack::alone().await;
    for _ in 0..2 {
        stack.released(&stack.provision(&Request::by("alex")).await).await;
    }
    stack.engine.forget_calls().await;
    let access = stack.provision(&Request::by("alex")).await;
    let provisioning = stack.engine.calls().await;
    stack.engine.forget_calls().await;
    stack.released(&access).await;
    let deprovisioning = stack.engine.calls().await;
    assert_listed("calls:provision", &table(provisioning, &access));
    assert_listed("calls:deprovision", &table(deprovisioning, &access));
}

/// The calls as a table, without the invocations of functions, which are Step Functions' own business.
fn table(calls: Vec<RecordedCall>, access: &Access) -> String {
    let mut calls: Vec<_> = calls
        .into_iter()
        .filter(|call| call.action != "lambda:InvokeFunction" && is_of(call, access))
        .map(|call| {
            assert_eq!(call.error, None, "{call:?}");
            call
        })
        .collect();
    // What a task does side by side ends in any order.
    for side_by_side in [&["iam:AttachRolePolicy", "iam:PutRolePolicy"][..], &["iam:ListAttachedRolePolicies"]] {
        let _ = side_by_side;
    }
    calls.dedup();
    let mut text = "| call | by | in |\n|---|---|---|\n".to_owned();
    for call in calls {
        let by = call.caller.split('/').nth(1).unwrap_or_default().trim_start_matches("daypass-").to_owned();
        writeln!(text, "| `{}` | {by} | {} |", call.action, call.accounts.join(", ")).unwrap();
    }
    text
}

/// Whether a call is Daypass's, and not for another transaction that is still being ended in the background.
fn is_of(call: &RecordedCall, access: &Access) -> bool {
    let session = call.parameters.get("RoleSessionName").map_or(call.caller.as_str(), String::as_str);
    let of_another = session.contains("daypass-") && session.contains('-') && !session.contains(&access.role_name());
    call.caller.contains("/daypass-") && !call.caller.contains("/daypass-invoker/") && !of_another
}

/// README.md has this table between the markers of that name.
fn assert_listed(name: &str, table: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(&file).unwrap();
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = readme.split_once(&begin).unwrap_or_else(|| panic!("README.md has no {begin}"));
    let (listed, after) = rest.split_once(&end).unwrap_or_else(|| panic!("README.md has no {end}"));
    if env::var_os("UPDATE_README").is_some() {
        fs::write(&file, format!("{before}{begin}{table}{end}{after}")).unwrap();
    } else {
        assert_eq!(listed, table, "README.md lists other calls: run this with UPDATE_README=1");
    }
}
