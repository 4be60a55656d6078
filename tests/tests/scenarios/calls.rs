//! Every AWS call of a provisioning, of a renewal and of a release, as docs/calls.md lists them.
//!
//! `INSTA_UPDATE=always` writes the lists instead of comparing them.

use std::{fmt::Write, path::Path};

use daypass_testing::documents;
use daypass_tests::{
    engine::RecordedCall,
    pipeline::{Access, Request},
    stack::{Stack, until},
};

/// What a warm stack calls: the functions have made their connections.
#[tokio::test]
async fn no_call_is_made_that_docs_calls_does_not_list() {
    let stack = Stack::alone().await;
    for _ in 0..2 {
        stack.released(&stack.provision(&Request::by("alex")).await).await;
    }
    stack.engine.forget_calls().await;
    let request = Request::by("alex");
    let access = stack.provision(&request).await;
    // The lease looks beside the provisioning.
    let lease = stack.lease(access.transaction_id);
    until("the lease waits", async || stack.states_of(&lease).await.last().is_some_and(|it| it == "WaitForExpiry"))
        .await;
    // Its look comes at any moment after its start: it is listed last.
    let (beside, mut provisioning): (Vec<_>, Vec<_>) =
        stack.engine.calls().await.into_iter().partition(|call| call.action == "dynamodb:GetItem");
    provisioning.extend(beside);
    stack.engine.forget_calls().await;
    stack.renew(&request).await;
    let renewal = stack.engine.calls().await;
    stack.engine.forget_calls().await;
    stack.released(&access).await;
    let deprovisioning = stack.engine.calls().await;
    assert_listed("calls:provision", &table(provisioning, &access));
    assert_listed("calls:renew", &table(renewal, &access));
    assert_listed("calls:deprovision", &table(deprovisioning, &access));
}

/// The calls as a table, without the invocations of functions, which are Step Functions' own business. What a task does
/// side by side ends in any order, so calls of one kind are counted in one row, where the first of them came.
fn table(calls: Vec<RecordedCall>, access: &Access) -> String {
    let mut rows: Vec<(String, usize)> = vec![];
    for call in calls {
        let Some(by) = by_daypass(&call, access) else { continue };
        // delete-role looks whether the role is gone, and it is.
        let gone = call.action == "iam:GetRole" && call.error.as_deref() == Some("NoSuchEntity");
        assert!(gone || call.error.is_none(), "{call:?}");
        let account = call.accounts.last().map_or("", String::as_str);
        let row = format!("`{}` | {by} | {}", call.action, if account == access.account() { "target" } else { "hub" });
        match rows.iter_mut().find(|(known, _)| *known == row) {
            Some((_, times)) => *times += 1,
            None => rows.push((row, 1)),
        }
    }
    let mut text = "| call | by | account | times |\n|---|---|---|---|\n".to_owned();
    for (row, times) in rows {
        writeln!(text, "| {row} | {times} |").unwrap();
    }
    text
}

/// Which part of Daypass makes the call; nobody when it is the pipeline's own.
fn by_daypass<'a>(call: &'a RecordedCall, access: &Access) -> Option<&'a str> {
    if call.action == "lambda:InvokeFunction" || call.caller.contains("/daypass-invoker/") {
        return None;
    }
    let role = call.caller.rsplit(':').next()?.split('/').nth(1)?.strip_prefix("daypass-")?;
    // In a target account, it is whoever assumed the provisioner role; and the deploy role is the pipeline's.
    if access.role_name().ends_with(role) { None } else { Some(role) }
}

/// docs/calls.md has this table between the markers of that name.
fn assert_listed(name: &str, table: &str) {
    documents::check(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/calls.md"), name, table);
}
