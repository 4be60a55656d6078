//! Promise 7: deprovisioning may run twice at any step, does not believe IAM too soon, and does not give up.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::types::ExecutionStatus;
use daypass_tests::{
    aws::percent_decoded,
    engine::{Fault, MissingRole},
    pipeline::{Access, Request},
    stack::{Ended, Stack, until},
};
use serde_json::{Value, json};

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

/// So long ago that a missing role would be believed to be gone.
async fn made_long_ago(stack: &Stack, access: &Access) {
    let key = AttributeValue::S(access.transaction_id.to_string());
    let request = stack.hub().dynamodb().update_item().table_name(&stack.names.table).key("transaction_id", key);
    let request = request.update_expression("SET role_created_at = :then");
    let then = AttributeValue::S("2026-01-01T00:00:00Z".to_owned());
    request.expression_attribute_values(":then", then).send().await.unwrap();
}

/// All attempts, which are of a day, in a moment.
async fn released_in_vain(stack: &Stack, access: &Access) -> Ended {
    stack.engine.pace(0.0).await;
    let ended = stack.ended_within(Duration::from_mins(3), &stack.release(access).await).await;
    stack.engine.pace(PACE).await;
    ended
}

async fn assert_not_called_gone(stack: &Stack, access: &Access, ended: &Ended) {
    assert_eq!(ended.status, ExecutionStatus::Failed, "the alarm counts failed executions: {ended:?}");
    assert_eq!(ended.error.as_deref(), Some("Daypass.AwsUnavailable"));
    assert!(ended.cause.as_ref().unwrap().contains(&access.transaction_id.to_string()), "{ended:?}");
    assert_eq!(stack.status(access.transaction_id).await, "deprovision_failed");
}

/// A refusal shows nothing. Here a policy of the organisation, or an administrator of the account, denies everything to the
/// provisioner, and the role works on.
#[tokio::test]
async fn what_aws_refuses_to_delete_is_not_called_gone() {
    let stack = Stack::alone().await;
    let access = stack.provision(&Request::by("alex")).await;
    made_long_ago(&stack, &access).await;
    let iam = stack.root(access.account()).iam();
    let denial = json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "Denied", "Effect": "Deny", "Action": "iam:*", "Resource": "*"}]});
    let put = iam.put_role_policy().role_name("daypass-provisioner").policy_name("denial");
    put.policy_document(denial.to_string()).send().await.unwrap();
    let ended = released_in_vain(&stack, &access).await;
    iam.delete_role_policy().role_name("daypass-provisioner").policy_name("denial").send().await.unwrap();

    assert_not_called_gone(&stack, &access, &ended).await;
    assert!(ended.cause.unwrap().contains("AccessDenied"), "in the words of AWS");
    stack.assume(&access).await;

    let later = stack.deprovision(&json!({"transaction_id": access.transaction_id})).await;
    assert_eq!(later.output["status"], "deprovisioned", "{later:?}");
    assert_gone(&stack, &access).await;
}

/// What AWS does not let be taken off goes on allowing what it allows, so what denies stays on the role.
#[tokio::test]
async fn a_role_that_cannot_be_emptied_is_of_no_use_meanwhile() {
    let stack = Stack::alone().await;
    let access = stack.provision(&Request::by("alex")).await;
    let refuses = Fault::of("iam:DetachRolePolicy").with(403, "AccessDenied").on(&access.role_name());
    stack.engine.arm(refuses.always()).await;
    let ended = released_in_vain(&stack, &access).await;
    assert_not_called_gone(&stack, &access, &ended).await;
    let deployment = stack.assume(&access).await;
    let without_permission = deployment.sts().get_caller_identity().send().await;
    assert!(without_permission.is_ok(), "which needs no permission");
    assert!(deployment.iam().list_roles().send().await.is_err(), "and nothing else is allowed");

    stack.engine.disarm().await;
    let later = stack.deprovision(&json!({"transaction_id": access.transaction_id})).await;
    assert_eq!(later.output["status"], "deprovisioned", "{later:?}");
    assert_gone(&stack, &access).await;
}

/// The policy of the provisioner in an account, without the statement that a target stack of the version before has not.
async fn older_target_stack(stack: &Stack, account: &str) -> (String, String) {
    let iam = stack.root(account).iam();
    let policy =
        iam.get_role_policy().role_name("daypass-provisioner").policy_name("provisioner").send().await.unwrap();
    let present = percent_decoded(&policy.policy_document);
    let mut older: Value = serde_json::from_str(&present).unwrap();
    let statements = older["Statement"].as_array_mut().unwrap();
    let before = statements.len();
    statements.retain(|statement| statement["Sid"] != "SeeThatItIsGone");
    assert_eq!(statements.len() + 1, before, "{present}");
    (present, older.to_string())
}

/// Where the target stack is of the version before, IAM does not tell whether a role that is not there is there.
#[tokio::test]
async fn an_older_target_stack_deletes_what_stands_and_is_named_when_it_cannot_tell() {
    let stack = Stack::alone().await;
    stack.engine.missing_role(MissingRole::AccessDenied).await;
    let (stands, missing) = (stack.provision(&Request::by("alex")).await, stack.provision(&Request::by("alex")).await);
    made_long_ago(&stack, &missing).await;
    delete_by_hand(&stack, &missing).await;
    let (present, older) = older_target_stack(&stack, missing.account()).await;
    let iam = stack.root(missing.account()).iam();
    let put = iam.put_role_policy().role_name("daypass-provisioner").policy_name("provisioner");
    put.clone().policy_document(older).send().await.unwrap();
    let first = stack.released(&stands).await;
    let ended = released_in_vain(&stack, &missing).await;
    put.policy_document(present).send().await.unwrap();

    assert_eq!(first.output["status"], "deprovisioned", "{first:?}");
    assert_gone(&stack, &stands).await;
    assert_not_called_gone(&stack, &missing, &ended).await;
    let cause = ended.cause.unwrap();
    assert!(cause.contains("DaypassTarget") && cause.contains(missing.account()), "{cause}");

    // The present stack is deployed there.
    let later = stack.deprovision(&json!({"transaction_id": missing.transaction_id})).await;
    assert_eq!(later.output["status"], "deprovisioned", "{later:?}");
    assert_gone(&stack, &missing).await;
}

/// Somebody else changes the role at that moment: that is waited for in place.
#[tokio::test]
async fn others_who_change_the_role_are_waited_for() {
    let stack = Stack::alone().await;
    let access = stack.provision(&Request::by("alex")).await;
    let busy = Fault::of("iam:DeleteRole").with(409, "ConcurrentModification").on(&access.role_name());
    stack.engine.arm(busy.times(24)).await;
    stack.engine.forget_calls().await;
    let ended = stack.released(&access).await;
    assert_eq!(ended.status, ExecutionStatus::Succeeded, "{ended:?}");
    assert_gone(&stack, &access).await;
    let calls = stack.engine.calls().await;
    let begun =
        calls.iter().filter(|call| call.action == "iam:PutRolePolicy" && call.caller.ends_with(&access.role_name()));
    assert_eq!(begun.count(), 1, "in one attempt: {calls:#?}");
}
