//! Who is not entitled gets a reason, and nothing else happens. They run alone: each counts every AWS call.

use daypass_tests::{
    pipeline::{Account, Request},
    stack::Stack,
};
use serde_json::json;

/// Promise 4, for one request: refused by this name and for this reason, recorded, and the target account untouched.
async fn assert_denied(stack: &Stack, request: &Request, error: &str, reason_says: &[&str]) {
    stack.engine.forget_calls().await;
    let failure = stack.failure(request).await;
    let calls = stack.engine.calls().await;

    assert_eq!(failure.error, error, "{failure:?}");
    assert_eq!(failure.cause.transaction_id, request.name);
    assert_eq!(failure.cause.status, "denied");
    for says in reason_says {
        assert!(failure.cause.reason.contains(says), "`{says}` in: {}", failure.cause.reason);
    }

    let account = request.body["target_aws_account_id"].as_str().unwrap();
    let touched: Vec<_> = calls.iter().filter(|call| call.accounts.iter().any(|it| it == account)).collect();
    assert!(touched.is_empty(), "the target account was called: {touched:?}");
    let started: Vec<_> = calls.iter().filter(|call| call.action == "states:StartExecution").collect();
    assert!(started.is_empty(), "a lease was started: {started:?}");

    let id = request.transaction_id();
    let item = stack.item(id).await.expect("the denial is on record");
    assert_eq!(item["status"], "denied", "{item:#}");
    assert_eq!(item["error"], error, "{item:#}");
    assert_eq!(item["reason"], json!(failure.cause.reason), "{item:#}");
    assert_eq!(item["email"], request.body["email"], "who asked: {item:#}");
    assert_eq!(item["open_lease"], json!(null), "{item:#}");
    assert_eq!(stack.lease_status(id).await, None);
    assert!(stack.role(id, account).await.is_none());
}

#[tokio::test]
async fn somebody_whom_identity_center_does_not_know() {
    let stack = Stack::alone().await;
    let request = Request::by("nobody");
    assert_denied(&stack, &request, "Daypass.UserNotFound", &["nobody@example.com", "Identity Center"]).await;
}

#[tokio::test]
async fn somebody_who_is_disabled() {
    let stack = Stack::alone().await;
    assert_denied(&stack, &Request::by("dave"), "Daypass.UserDisabled", &["dave@example.com"]).await;
}

#[tokio::test]
async fn somebody_who_was_disabled_since_the_last_time() {
    let stack = Stack::alone().await;
    let erin = stack.user_id("erin").await;
    let access = stack.provision(&Request::by("erin")).await;
    stack.released(&access).await;
    stack.engine.enable_user(&erin, false).await;
    assert_denied(&stack, &Request::by("erin"), "Daypass.UserDisabled", &["erin@example.com"]).await;
    stack.engine.enable_user(&erin, true).await;
    let access = stack.provision(&Request::by("erin")).await;
    stack.released(&access).await;
}

#[tokio::test]
async fn somebody_in_no_group() {
    let stack = Stack::alone().await;
    let says = ["mallory@example.com", "PwC_GP_222222222222_Product_Admin"];
    assert_denied(&stack, &Request::by("mallory"), "Daypass.NotAMember", &says).await;
}

#[tokio::test]
async fn somebody_in_the_group_of_another_account() {
    let stack = Stack::alone().await;
    let request = stack.proven(Request::by("erin").to(Account::Production)).await;
    let says = ["erin@example.com", "PwC_GP_333333333333_Product_Admin"];
    assert_denied(&stack, &request, "Daypass.NotAMember", &says).await;
}

#[tokio::test]
async fn somebody_in_the_group_of_another_persona() {
    let stack = Stack::alone().await;
    let request = Request::by("alex").with("group_type", "Network-Deployers");
    assert_denied(&stack, &request, "Daypass.NotAMember", &["PwC_GP_222222222222_Network"]).await;
}

#[tokio::test]
async fn an_account_that_nobody_knows() {
    let stack = Stack::alone().await;
    let request =
        Request::by("alex").with("target_aws_account", "sandbox").with("target_aws_account_id", "999999999999");
    assert_denied(&stack, &request, "Daypass.AccountNotAllowed", &["999999999999", "sandbox"]).await;
}

#[tokio::test]
async fn the_hub_itself() {
    let stack = Stack::alone().await;
    let hub = stack.names.hub.clone();
    let request = Request::by("alex").with("target_aws_account", "hub").with("target_aws_account_id", hub.clone());
    let failure = stack.failure(&request).await;
    assert_eq!((failure.error.as_str(), failure.cause.status.as_str()), ("Daypass.AccountNotAllowed", "denied"));
    assert!(stack.role(request.transaction_id(), &hub).await.is_none());
}

#[tokio::test]
async fn branches_that_may_not_deploy_to_production() {
    let stack = Stack::alone().await;
    for branch in ["feature/receipts", "main2", "Main", "release", "hotfix/main", "release-1"] {
        let request = stack.proven(Request::by("alex").to(Account::Production).with("branch", branch)).await;
        assert_denied(&stack, &request, "Daypass.BranchNotAllowed", &[branch, "production", "release/*"]).await;
    }
    let request = Request::by("alex").to(Account::Production).with("branch", "release/1.0");
    let access = stack.provision(&stack.proven(request).await).await;
    stack.released(&access).await;
}
