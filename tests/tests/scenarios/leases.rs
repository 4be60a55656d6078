//! Leases that nobody gives back: they end by themselves, and access ends even when they do not.

use std::time::Duration;

use aws_sdk_sfn::types::ExecutionStatus;
use daypass_tests::{
    aws::{Aws, Call, Refused},
    pipeline::Request,
    stack::{Stack, has_come, until},
};

/// Whoever has so short a lease is alone: beside other scenarios it could end before it is used.
const LEASE: Duration = Duration::from_secs(6);

async fn list_buckets(deployment: &Aws) -> Result<(), Refused> {
    deployment.call(&Call::Rest("s3", "GET", "/")).await.map(drop)
}

#[tokio::test]
async fn a_lease_ends_by_itself() {
    let stack = Stack::alone().await;
    let access = stack.provision(&Request::by("alex").lasting(LEASE)).await;
    let deployment = stack.assume(&access).await;
    list_buckets(&deployment).await.expect("it works");

    let lease = stack.ended(&stack.lease(access.transaction_id)).await;
    assert_eq!(lease.status, ExecutionStatus::Succeeded, "{lease:?}");
    assert_eq!(lease.output["status"], "deprovisioned");
    assert!(has_come(access.expires_at), "it waited for the expiry");
    assert!(!stack.role_is_there(&access).await);
    assert_eq!(stack.status(access.transaction_id).await, "deprovisioned");
    assert!(list_buckets(&deployment).await.unwrap_err().is_refusal());
    assert!(stack.try_assume(&access).await.unwrap_err().is_refusal());
}

/// Promise 2: with nobody left to delete the role, IAM refuses it.
#[tokio::test]
async fn access_ends_when_the_lease_does_not() {
    let stack = Stack::alone().await;
    let access = stack.provision(&Request::by("alex").lasting(LEASE)).await;
    let deployment = stack.assume(&access).await;
    list_buckets(&deployment).await.expect("it works");
    let lease = stack.lease(access.transaction_id);
    stack.hub().states().stop_execution().execution_arn(&lease).send().await.unwrap();
    assert_eq!(stack.lease_status(access.transaction_id).await, Some(ExecutionStatus::Aborted));

    // The guard on the role, for sessions that are out; the trust policy, for those that would come.
    until("the guard closes", async || list_buckets(&deployment).await.is_err_and(|refused| refused.is_refusal()))
        .await;
    assert!(has_come(access.expires_at), "access ended before its time");
    assert!(stack.try_assume(&access).await.unwrap_err().is_refusal());
    assert!(stack.role_is_there(&access).await, "nobody has deleted it");
    assert_eq!(stack.status(access.transaction_id).await, "provisioned");

    let released = stack.released(&access).await;
    assert_eq!(released.output["status"], "deprovisioned", "late as it is");
    assert!(!stack.role_is_there(&access).await);
}

/// Promise 8: all that a waiting lease carries.
#[tokio::test]
async fn a_lease_carries_next_to_nothing() {
    let stack = Stack::shared().await;
    let access = stack.provision(&Request::by("alex")).await;
    let lease = stack.lease(access.transaction_id);
    let found = stack.hub().states().describe_execution().execution_arn(&lease).send().await.unwrap();
    let input: serde_json::Value = serde_json::from_str(found.input.as_deref().unwrap()).unwrap();
    let expected = serde_json::json!({
        "schema": 1, "transaction_id": access.transaction_id, "expires_at": access.grant["expires_at"],
    });
    assert_eq!(input, expected);
    stack.released(&access).await;
}
