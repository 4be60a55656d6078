//! `daypass release`, and what else gives a role back: "released" is said when it is so, and only then.

use std::path::Path;

use daypass::ids::TransactionId;
use daypass_tests::{
    engine::Fault,
    pipeline::{Account, Request, new_transaction_id},
    stack::{Stack, until},
};
use futures_util::future::join;
use serde_json::{Value, json};

use crate::command::{Ended, Folder, daypass, ended, exec, granted_in, is_given_back};

async fn release(state: &Folder, transaction: TransactionId, options: &[&str]) -> Ended {
    let id = transaction.to_string();
    ended(daypass(state, &[&["release", &id, "--output", "json", "--quiet"], options].concat())).await
}

async fn role_is_there(stack: &Stack, transaction: TransactionId) -> bool {
    stack.role(transaction, Account::Development.id()).await.is_some()
}

/// It is said to be released, and it is.
async fn assert_released(stack: &Stack, transaction: TransactionId, released: &Ended) {
    assert_eq!(released.code, 0, "{released:?}");
    assert_eq!(released.json(), json!({"transaction_id": transaction, "status": "deprovisioned"}), "{released:?}");
    assert!(!role_is_there(stack, transaction).await, "the role is gone as soon as that is said");
    assert_eq!(stack.status(transaction).await, "deprovisioned");
}

/// It is said why not; returns that.
fn assert_not_released(released: &Ended, code: i32) -> Value {
    assert_eq!((released.code, released.stdout.as_str()), (code, ""), "{released:?}");
    assert!(!released.stderr.contains("released"), "{released:?}");
    serde_json::from_str(&released.stderr).unwrap_or_else(|_| panic!("one JSON object: {}", released.stderr))
}

#[tokio::test]
async fn what_somebody_else_has_named_like_a_release_releases_nothing_and_prevents_nothing() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    for expires_at in [Some("2099-01-01T00:00:00Z"), None] {
        let transaction = stack.provision(&Request::by("alex")).await.transaction_id;
        let name = format!("{transaction}-release");
        let input = match expires_at {
            Some(expires_at) => json!({"transaction_id": transaction, "expires_at": expires_at}),
            // A release that is refused.
            None => {
                json!({"transaction_id": transaction, "role_arn": "arn:aws:iam::222222222222:role/daypass/daypass-x"})
            }
        };
        let theirs = stack.start_deprovisioning(&name, &input).await.expect("any invoker may");
        if expires_at.is_none() {
            assert_eq!(stack.ended(&theirs).await.error.as_deref(), Some("Daypass.TransactionMismatch"));
        }
        assert!(role_is_there(&stack, transaction).await);
        assert_released(&stack, transaction, &release(&state, transaction, &[]).await).await;
        // A second release is a success.
        assert_released(&stack, transaction, &release(&state, transaction, &["--wait"]).await).await;
        let _ = stack.hub().states().stop_execution().execution_arn(theirs).send().await;
    }
}

#[tokio::test]
async fn a_release_of_nothing_is_none_and_uses_up_no_later_one() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let transaction = new_transaction_id();
    for options in [&[][..], &["--wait"]] {
        let error = assert_not_released(&release(&state, transaction, options).await, 70);
        assert_eq!(error["error"], "Daypass.TransactionNotFound", "{error}");
        assert_eq!(error["transaction_id"], transaction.to_string());
        assert!(error["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{error}");
    }
    stack.assert_untouched(transaction).await;

    // The request arrives after all.
    let id = transaction.to_string();
    let arguments = ["request", "--account", "payments-dev", "--transaction-id", &id];
    let granted = ended(daypass(&state, &arguments)).await;
    assert_eq!(granted.code, 0, "{}", granted.stderr);
    assert!(role_is_there(&stack, transaction).await);
    assert_released(&stack, transaction, &release(&state, transaction, &[]).await).await;
}

#[tokio::test]
async fn a_request_whose_answer_got_lost_can_be_repeated_or_released_by_its_id() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let transaction = stack.provision(&Request::by("alex")).await.transaction_id;
    let id = transaction.to_string();
    let repeated = ended(daypass(&state, &["request", "--account", "payments-dev", "--transaction-id", &id])).await;
    assert_eq!((repeated.code, repeated.stdout.as_str()), (70, ""), "{}", repeated.stderr);
    assert!(repeated.stderr.contains("Daypass.TransactionConflict"), "{}", repeated.stderr);
    assert!(repeated.stderr.contains(&format!("`daypass release {id}`")), "{}", repeated.stderr);
    assert_released(&stack, transaction, &release(&state, transaction, &[]).await).await;
}

#[tokio::test]
async fn a_request_that_never_arrives_is_told_with_its_id() {
    let (stack, state) = (Stack::alone().await, Folder::new());
    stack.engine.arm(Fault::of("states:StartSyncExecution")).await;
    let lost = ended(exec(&state, &["--quiet", "--output", "json"], &["true"])).await;
    let error = assert_not_released(&lost, 75);
    let id = error["transaction_id"].as_str().unwrap();
    assert!(error["remedy"].as_str().unwrap().contains(&format!("`daypass release {id}`")), "{error}");
    stack.assert_untouched(id.parse().unwrap()).await;
}

#[tokio::test]
async fn lost_answers_and_an_aws_that_is_not_well_fail_no_release() {
    let (stack, state) = (Stack::alone().await, Folder::new());
    let start = || Fault::of("states:StartExecution").by("daypass-invoker");
    let look = || Fault::of("states:DescribeExecution").by("daypass-invoker");
    for faults in [
        vec![start().after_execution()],
        vec![start().after_execution().always()],
        vec![start().times(3)],
        vec![look().times(3)],
        vec![start().after_execution(), look().with(400, "ThrottlingException").times(2)],
    ] {
        let transaction = stack.provision(&Request::by("alex")).await.transaction_id;
        for fault in faults {
            stack.engine.arm(fault).await;
        }
        let released = release(&state, transaction, &[]).await;
        stack.engine.disarm().await;
        assert_released(&stack, transaction, &released).await;
    }
}

#[tokio::test]
async fn a_release_that_takes_long_is_not_said_to_be_one() {
    let (stack, state) = (Stack::alone().await, Folder::new());
    let granted = ended(daypass(&state, &["request", "--account", "payments-dev", "--output", "json"])).await;
    let transaction: TransactionId = granted.json()["transaction_id"].as_str().unwrap().parse().unwrap();
    stack.engine.arm(Fault::of("iam:DeleteRole").always()).await;
    let both = join(release(&state, transaction, &[]), ended(exec(&state, &[], &["true"]))).await;
    let (released, done) = both;
    let error = assert_not_released(&released, 75);
    assert_eq!((&error["error"], &error["status"]), (&Value::Null, &"unconfirmed".into()), "{error}");
    assert!(error["remedy"].as_str().unwrap().contains(&format!("`daypass release --wait {transaction}`")), "{error}");
    assert!(Path::new(&state.path(&format!("{transaction}.json"))).exists(), "the session is kept: its role is there");
    // The deployment is done, and Daypass goes on trying.
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("has not confirmed yet that the role is gone"), "{}", done.stderr);

    stack.engine.disarm().await;
    assert_released(&stack, transaction, &release(&state, transaction, &["--wait"]).await).await;
    assert!(!Path::new(&state.path(&format!("{transaction}.json"))).exists(), "nothing is kept");
    is_given_back(&stack, granted_in(&done.stderr)).await;
}

/// A request is held up before there can be a role: a release cancels it, and says so.
#[tokio::test]
async fn a_release_of_a_request_that_is_being_worked_on_cancels_it() {
    let (stack, state) = (Stack::alone().await, Folder::new());
    // Three seconds in which the request is worked on.
    let held = Fault::of("lambda:InvokeFunction").with(500, "ServiceException").by(":role/daypass-provision");
    stack.engine.arm(held.on("daypass-authn").times(2)).await;
    let request = Request::by("alex");
    let transaction = request.transaction_id();
    let (answer, released) = join(stack.ask(&request), async {
        until("it is on record", async || stack.item(transaction).await.is_some()).await;
        let id = transaction.to_string();
        ended(daypass(&state, &["release", &id, "--quiet"])).await
    })
    .await;
    assert_eq!(released.code, 0, "{released:?}");
    assert!(released.stdout.starts_with(&format!("{transaction} cancelled: ")), "{released:?}");
    assert_eq!(answer.result.expect_err("no access").cause.status, "failed");
    assert_eq!(stack.status(transaction).await, "failed");
    assert!(!role_is_there(&stack, transaction).await);
}
