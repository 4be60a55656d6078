//! Giving a role back: once, twice, in a race with the lease, with the wrong words.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_sfn::types::ExecutionStatus;
use daypass::ids::TransactionId;
use daypass_tests::{
    pipeline::{Access, Request, new_transaction_id},
    stack::{Ended, Stack, at, until},
};
use futures_util::future::join_all;
use serde_json::{Value, json};

/// Whoever has so short a lease is alone: beside other scenarios it could end before the transaction is provisioned, or
/// before its release is done.
const LEASE: Duration = Duration::from_secs(6);

/// The error name and the reason of a deprovisioning that failed.
fn failure(ended: &Ended) -> (&str, String) {
    assert_eq!(ended.status, ExecutionStatus::Failed, "{ended:?}");
    let cause: Value = serde_json::from_str(ended.cause.as_deref().unwrap()).unwrap();
    (ended.error.as_deref().unwrap(), cause["reason"].as_str().unwrap().to_owned())
}

/// The items that record the end of a transaction.
async fn ends_of(stack: &Stack, transaction: TransactionId) -> Vec<Value> {
    let mut items = stack.items().await;
    items.retain(|item| item["original_transaction_id"] == json!(transaction));
    items
}

#[tokio::test]
async fn a_release_takes_everything_away() {
    let stack = Stack::shared().await;
    let access = stack.provision(&Request::by("alex")).await;
    let deployment = stack.assume(&access).await;
    deployment.sts().get_caller_identity().send().await.expect("it works");

    let ended = stack.released(&access).await;
    assert_eq!(ended.status, ExecutionStatus::Succeeded, "{ended:?}");
    let fields: BTreeSet<_> = ended.output.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, BTreeSet::from(["deprovisioning_transaction_id", "original_transaction_id", "status"]));
    assert_eq!(ended.output["original_transaction_id"], json!(access.transaction_id));
    assert_eq!(ended.output["status"], "deprovisioned");

    // Promise 3: what is out stops working.
    assert!(!stack.role_is_there(&access).await);
    let refused = deployment.sts().get_caller_identity().send().await.expect_err("the credentials are dead");
    assert!(daypass_tests::aws::Refused::from(refused).is_refusal());
    assert!(stack.try_assume(&access).await.unwrap_err().is_refusal());

    // The audit trail: the original with its end, and an item of its own that keeps a copy.
    let original = stack.item(access.transaction_id).await.unwrap();
    assert_eq!(original["status"], "deprovisioned");
    assert_eq!(original["open_lease"], Value::Null, "not in the index of open leases any more: {original:#}");
    let [end] = &ends_of(&stack, access.transaction_id).await[..] else { panic!("one item records the end") };
    assert_eq!(end["transaction_id"], ended.output["deprovisioning_transaction_id"]);
    assert_eq!(end["status"], "deprovisioned");
    for copied in ["branch", "persona", "role_arn", "target_aws_account_id"] {
        assert!(end.to_string().contains(original[copied].as_str().unwrap()), "`{copied}` in {end:#}");
    }
}

#[tokio::test]
async fn a_second_release_is_a_success() {
    let stack = Stack::shared().await;
    let access = stack.provision(&Request::by("alex")).await;
    let (name, input) =
        (format!("{}-release", access.transaction_id), json!({"transaction_id": access.transaction_id}));
    let first = stack.start_deprovisioning(&name, &input).await.unwrap();
    // Under the same name Step Functions answers with the execution that runs, or says that there was one.
    match stack.start_deprovisioning(&name, &input).await {
        Ok(second) => assert_eq!(second, first),
        Err(refused) => assert_eq!(refused.code, "ExecutionAlreadyExists"),
    }
    let first = stack.ended(&first).await;
    assert_eq!(first.status, ExecutionStatus::Succeeded);

    for _ in 0..2 {
        let again = stack.deprovision(&input).await;
        assert_eq!(again, first, "the same end");
    }
    assert_eq!(ends_of(&stack, access.transaction_id).await.len(), 1);
}

#[tokio::test]
async fn many_releases_at_once_make_one_end() {
    let stack = Stack::shared().await;
    let access = stack.provision(&Request::by("alex")).await;
    let input = json!({"transaction_id": access.transaction_id});
    let names: Vec<_> = (0..6).map(|i| format!("{}-release-{i}", access.transaction_id)).collect();
    let started = join_all(names.iter().map(|name| stack.start_deprovisioning(name, &input))).await;
    let started: Vec<_> = started.into_iter().map(Result::unwrap).collect();
    until("one of them ends it", async || stack.status(access.transaction_id).await == "deprovisioned").await;
    assert_one_end(&stack, &access, &started).await;
}

#[tokio::test]
async fn a_release_that_races_the_lease_makes_one_end() {
    let stack = Stack::alone().await;
    let request = || Request::by("alex").lasting(LEASE);
    let requests = [request(), request(), request(), request()];
    let accesses = join_all(requests.iter().map(|request| stack.provision(request))).await;
    let raced = accesses.iter().map(async |access| {
        at(access.expires_at).await;
        let release = stack.release(access).await;
        let both = [release, stack.lease(access.transaction_id)];
        until("it ends", async || stack.status(access.transaction_id).await == "deprovisioned").await;
        assert_one_end(&stack, access, &both).await;
    });
    join_all(raced).await;
}

/// Promise 6. A loser may go on for a while: what it finds gone is too young for it to believe.
async fn assert_one_end(stack: &Stack, access: &Access, executions: &[String]) {
    assert!(!stack.role_is_there(access).await);
    let original = stack.item(access.transaction_id).await.unwrap();
    let changes = original["status_changes"].as_array().unwrap_or_else(|| panic!("every change: {original:#}"));
    let terminal: Vec<_> = changes.iter().filter(|change| change["status"] == "deprovisioned").collect();
    assert_eq!(terminal.len(), 1, "{original:#}");
    assert_eq!(ends_of(stack, access.transaction_id).await.len(), 1);
    for execution in executions {
        let status = stack.status_of(execution).await.expect("it was started");
        assert!([ExecutionStatus::Succeeded, ExecutionStatus::Running].contains(&status), "{execution}: {status}");
    }
}

#[tokio::test]
async fn a_lease_after_a_release_finds_nothing_to_do() {
    let stack = Stack::alone().await;
    let access = stack.provision(&Request::by("alex").lasting(LEASE)).await;
    let released = stack.released(&access).await;
    let lease = stack.lease(access.transaction_id);
    let ended = stack.ended(&lease).await;
    assert_eq!(ended, released, "the lease tells the same end");
    assert_eq!(stack.states_of(&lease).await.last().unwrap(), "AlreadyDeprovisioned");
}

#[tokio::test]
async fn a_release_of_another_role_than_the_recorded_one_is_refused() {
    let stack = Stack::shared().await;
    let access = stack.provision(&Request::by("alex")).await;
    let other = stack.provision(&Request::by("alex")).await;
    let id = access.transaction_id;
    let wrong = [
        (json!({"transaction_id": id, "role_arn": other.role_arn}), "role_arn"),
        (json!({"transaction_id": id, "role_arn": "arn:aws:iam::222222222222:role/admin"}), "role_arn"),
        (json!({"transaction_id": id, "target_aws_account": "payments-prod"}), "target_aws_account"),
        (
            json!({"transaction_id": id, "target_aws_account": "payments-prod", "role_arn": access.role_arn}),
            "payments-prod",
        ),
    ];
    for (input, says) in wrong {
        let ended = stack.deprovision(&input).await;
        let (error, reason) = failure(&ended);
        assert_eq!(error, "Daypass.TransactionMismatch", "{input}");
        assert!(reason.contains(says), "{reason}");
    }
    for access in [&access, &other] {
        assert_eq!(stack.status(access.transaction_id).await, "provisioned");
        stack.assume(access).await;
    }
    let right = json!({"transaction_id": id, "role_arn": access.role_arn, "target_aws_account": "payments-dev"});
    assert_eq!(stack.deprovision(&right).await.output["status"], "deprovisioned");
    stack.released(&other).await;
}

#[tokio::test]
async fn a_release_that_cannot_be_understood_is_refused() {
    let stack = Stack::shared().await;
    let id = new_transaction_id();
    let cases = [
        (json!({"transaction_id": id}), "Daypass.TransactionNotFound", id.to_string()),
        (json!({}), "Daypass.InvalidRequest", "transaction_id".to_owned()),
        (json!({"transaction_id": "x"}), "Daypass.InvalidRequest", "transaction_id".to_owned()),
        (json!({"transaction_id": null}), "Daypass.InvalidRequest", "transaction_id".to_owned()),
        (json!({"transaction_id": id, "role_arn": "admin"}), "Daypass.InvalidRequest", "role_arn".to_owned()),
        (json!({"transaction_id": id, "force": true}), "Daypass.InvalidRequest", "force".to_owned()),
        (json!({"transaction_id": id, "expires_at": "tomorrow"}), "Daypass.InvalidRequest", "expires_at".to_owned()),
        (json!({"transaction_id": id, "expires_at": null}), "Daypass.InvalidRequest", "expires_at".to_owned()),
        (json!({"transaction_id": id, "schema": 99}), "Daypass.InvalidRequest", "schema".to_owned()),
        (json!([]), "Daypass.InvalidRequest", String::new()),
    ];
    for (input, name, says) in cases {
        let ended = stack.deprovision(&input).await;
        let (error, reason) = failure(&ended);
        assert_eq!(error, name, "{input}: {reason}");
        assert!(reason.contains(&says), "{input}: {reason}");
    }
    assert_eq!(stack.item(id).await, None);
}

#[tokio::test]
async fn a_release_of_a_denied_transaction_has_nothing_to_do() {
    let stack = Stack::shared().await;
    let denied = Request::by("mallory");
    stack.failure(&denied).await;
    let before = stack.item(&denied.name).await;
    let ended = stack.deprovision(&json!({"transaction_id": denied.name})).await;
    assert_eq!(ended.status, ExecutionStatus::Succeeded);
    let nothing = json!({
        "deprovisioning_transaction_id": null, "original_transaction_id": denied.name, "status": "denied",
    });
    assert_eq!(ended.output, nothing);
    assert_eq!(stack.item(&denied.name).await, before);
}
