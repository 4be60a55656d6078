//! Promise 7: deprovisioning may run twice at any step, does not believe IAM too soon, and does not give up.

use std::time::Duration;

use aws_sdk_sfn::types::ExecutionStatus;
use daypass_tests::{
    engine::{Fault, MissingRole},
    pipeline::{Access, Request},
    stack::{Stack, until},
};
use serde_json::json;

const PACE: f64 = 0.01;

/// Everything that delete-role asks IAM, on this role.
const DELETING: [&str; 7] = [
    "iam:PutRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListRolePolicies",
    "iam:ListInstanceProfilesForRole",
    "iam:DetachRolePolicy",
    "iam:DeleteRolePolicy",
    "iam:DeleteRole",
];

async fn assert_gone(stack: &Stack, access: &Access) {
    assert!(!stack.role_is_there(access).await);
    assert_eq!(stack.status(access.transaction_id).await, "deprovisioned");
}

/// Releases under faults of each step in turn, and asserts that the role goes all the same.
async fn assert_survives(actions: &[&str], fault: impl Fn(&str) -> Fault) {
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    for action in actions {
        let access = stack.provision(&Request::by("alex")).await;
        stack.engine.arm(fault(action).on(&access.role_name())).await;
        let ended = stack.released(&access).await;
        assert_eq!(ended.status, ExecutionStatus::Succeeded, "{action}: {ended:?}");
        assert_eq!(stack.engine.armed().await, 0, "{action}: no fault struck");
        assert_gone(&stack, &access).await;
    }
}

#[tokio::test]
async fn each_step_may_be_throttled_for_a_while() {
    // Two attempts of the state machine, of one try each: the SDK does not retry this one.
    assert_survives(&DELETING, |action| Fault::of(action).with(400, "RequestLimitExceeded").times(8)).await;
}

#[tokio::test]
async fn each_step_may_be_unavailable_for_a_while() {
    assert_survives(&DELETING, |action| Fault::of(action).with(400, "Unexpected").times(3)).await;
}

#[tokio::test]
async fn each_step_may_have_happened_though_nobody_heard() {
    let before_the_last = &DELETING[..DELETING.len() - 1];
    assert_survives(before_the_last, |action| Fault::of(action).with(400, "Unexpected").after_execution()).await;
}

/// The last step has happened though nobody heard: that the role is not there any more is believed when it is old enough.
#[tokio::test]
async fn a_deletion_that_nobody_heard_of_is_believed_later() {
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    let access = stack.provision(&Request::by("alex")).await;
    stack.engine.arm(Fault::of("iam:DeleteRole").after_execution().on(&access.role_name())).await;
    let release = stack.release(&access).await;
    assert_looks_again(&stack, &access, &release).await;
    assert!(!stack.role_is_there(&access).await);
}

/// IAM is eventually consistent: what it does not show yet is not gone.
#[tokio::test]
async fn a_young_role_that_iam_does_not_show_yet_is_waited_for() {
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    let access = stack.provision(&Request::by("alex")).await;
    for action in DELETING.into_iter().chain(["iam:GetRole"]) {
        let unseen = Fault::of(action).with(404, "NoSuchEntity").by(&access.role_name()).times(3);
        stack.engine.arm(unseen).await;
    }
    let ended = stack.released(&access).await;
    assert_eq!(ended.status, ExecutionStatus::Succeeded, "{ended:?}");
    assert_gone(&stack, &access).await;
}

#[tokio::test]
async fn a_young_role_that_is_not_there_is_looked_for_again() {
    for missing in [MissingRole::NoSuchEntity, MissingRole::AccessDenied] {
        let stack = Stack::alone().await;
        stack.engine.missing_role(missing).await;
        stack.engine.pace(PACE).await;
        let access = stack.provision(&Request::by("alex")).await;
        delete_by_hand(&stack, &access).await;
        stack.engine.forget_calls().await;
        let release = stack.release(&access).await;
        assert_looks_again(&stack, &access, &release).await;
    }
}

/// The execution does not believe that the role is gone. It would go on for five minutes; it is stopped.
async fn assert_looks_again(stack: &Stack, access: &Access, release: &str) {
    let looked = async || {
        let calls = stack.engine.calls().await;
        let enters = calls.iter().filter(|call| call.action == "sts:AssumeRole");
        enters.filter(|call| call.parameters.get("RoleSessionName") == Some(&access.role_name())).count()
    };
    let before = looked().await;
    until("it looks again", async || looked().await >= before + 3).await;
    assert_eq!(stack.status_of(release).await, Some(ExecutionStatus::Running), "it believed too soon");
    assert_eq!(stack.status(access.transaction_id).await, "deprovisioning");
    stack.hub().states().stop_execution().execution_arn(release).send().await.unwrap();
}

async fn delete_by_hand(stack: &Stack, access: &Access) {
    let (iam, role) = (stack.root(access.account()).iam(), access.role_name());
    for policy in iam.list_attached_role_policies().role_name(&role).send().await.unwrap().attached_policies() {
        let detach = iam.detach_role_policy().role_name(&role).policy_arn(policy.policy_arn().unwrap());
        detach.send().await.unwrap();
    }
    for policy in iam.list_role_policies().role_name(&role).send().await.unwrap().policy_names {
        iam.delete_role_policy().role_name(&role).policy_name(policy).send().await.unwrap();
    }
    iam.delete_role().role_name(&role).send().await.unwrap();
}

/// Whichever AWS answers for a role that is gone.
#[tokio::test]
async fn releases_and_leases_after_the_end_are_successes_either_way() {
    for missing in [MissingRole::NoSuchEntity, MissingRole::AccessDenied] {
        let stack = Stack::alone().await;
        stack.engine.missing_role(missing).await;
        let access = stack.provision(&Request::by("alex").lasting(Duration::from_secs(6))).await;
        let first = stack.released(&access).await;
        assert_eq!(first.status, ExecutionStatus::Succeeded, "{missing:?}: {first:?}");
        assert_gone(&stack, &access).await;
        let second = stack.deprovision(&json!({"transaction_id": access.transaction_id})).await;
        assert_eq!(second, first, "{missing:?}");
        let lease = stack.ended(&stack.lease(access.transaction_id)).await;
        assert_eq!(lease, first, "{missing:?}");
    }
}

/// After about a day of attempts somebody has to look; and then it can still be ended.
#[tokio::test]
async fn when_all_attempts_are_used_up_it_fails_and_a_later_release_succeeds() {
    let stack = Stack::alone().await;
    let access = stack.provision(&Request::by("alex")).await;
    stack.engine.pace(0.0).await;
    let refuses = Fault::of("iam:DeleteRole").with(409, "DeleteConflict").on(&access.role_name());
    stack.engine.arm(refuses.always()).await;
    let ended = stack.released(&access).await;
    assert_eq!(ended.status, ExecutionStatus::Failed, "the alarm counts failed executions");
    assert_eq!(ended.error.as_deref(), Some("Daypass.AwsUnavailable"));
    let cause = ended.cause.unwrap();
    assert!(cause.contains(&access.transaction_id.to_string()) && cause.contains("iam:DeleteRole"), "{cause}");
    assert_eq!(stack.status(access.transaction_id).await, "deprovision_failed");
    assert!(stack.role_is_there(&access).await);

    stack.engine.disarm().await;
    let later = stack.deprovision(&json!({"transaction_id": access.transaction_id})).await;
    assert_eq!(later.output["status"], "deprovisioned", "{later:?}");
    assert_gone(&stack, &access).await;
}
