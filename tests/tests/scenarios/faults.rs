//! Whatever fails while a role is provisioned: it succeeds after retries, or it fails by a name that callers know, and
//! then there is no role, or a running lease. All of it runs alone, with retries a hundred times as fast.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_sfn::types::ExecutionStatus;
use daypass::{error::ErrorName, ids::TransactionId};
use daypass_tests::{
    engine::{Fault, RecordedCall},
    pipeline::{Access, Answer, Request},
    stack::{Stack, until},
};
use serde_json::json;

const PACE: f64 = 0.01;
/// Six seconds at that pace: longer than any provisioning here takes.
const LEASE: Duration = Duration::from_mins(10);

/// Where a fault can strike: the n-th call of an action.
#[derive(Clone, Debug)]
struct Point {
    call: RecordedCall,
    before: u32,
}

impl Point {
    fn is_task(&self) -> bool {
        self.call.caller.ends_with(":role/daypass-provision")
    }

    /// A fault here, of a kind that passes.
    fn fault(&self) -> Fault {
        let fault = Fault::of(&self.call.action).skipping(self.before);
        match self.call.action.as_str() {
            "states:StartExecution" => fault.with(500, "AWSStepFunctionsException"),
            "lambda:InvokeFunction" => fault.with(500, "ServiceException").by(":role/daypass-provision"),
            _ => fault,
        }
    }
}

/// Every call of a provisioning that goes well, and every invocation of a function in it.
async fn points(stack: &Stack) -> Vec<Point> {
    let request = Request::by("alex");
    stack.released(&stack.provision(&request).await).await; // whatever is cold gets warm
    let (access, calls) = loop {
        stack.engine.forget_calls().await;
        let access = stack.provision(&Request::by("alex")).await;
        let calls = stack.engine.calls().await;
        stack.released(&access).await;
        // Once in a hundred times one has to find out which places are free again.
        if !calls.iter().any(|call| call.action == "dynamodb:BatchGetItem") {
            break (access, calls);
        }
    };
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let made_by_daypass = calls.into_iter().filter(|call| {
        call.caller.contains("/daypass-")
            && !call.caller.contains("/daypass-invoker/")
            && !ends_another(call, access.transaction_id)
    });
    made_by_daypass
        .map(|call| {
            let count = seen.entry(call.action.clone()).or_default();
            *count += 1;
            Point { call, before: *count - 1 }
        })
        .collect()
}

/// Whether a call is made for the end of another transaction: a stopped execution goes on until its state ends.
fn ends_another(call: &RecordedCall, id: TransactionId) -> bool {
    let ends = ["/daypass-delete-role/", ":role/daypass-deprovision"].iter().any(|part| call.caller.contains(part))
        || ["dynamodb:GetItem", "dynamodb:TransactWriteItems"].contains(&call.action.as_str())
        || call.resource.ends_with(":daypass-delete-role");
    ends || (call.caller.contains("/daypass-provisioner/") && !call.caller.ends_with(&id.role_name()))
}

/// Asks for a role while a fault is armed; it must have struck.
async fn ask_under(stack: &Stack, fault: Fault, request: &Request) -> (Answer, Vec<RecordedCall>) {
    stack.engine.forget_calls().await;
    stack.engine.arm(fault.clone()).await;
    let answer = stack.ask(request).await;
    let calls = stack.engine.calls().await;
    assert!(calls.iter().any(|call| call.error.is_some()), "{fault:?} did not strike");
    stack.engine.disarm().await;
    (answer, calls)
}

/// Promise 1: in the order of the calls, a lease is running before a role is made.
fn assert_lease_came_first(calls: &[RecordedCall]) {
    let first = |action: &str| calls.iter().position(|call| call.action == action);
    if let Some(role) = first("iam:CreateRole") {
        let lease = first("states:StartExecution").expect("a lease");
        assert!(lease < role, "{calls:#?}");
    }
}

async fn assert_works_and_goes(stack: &Stack, request: &Request, answer: Answer) {
    let grant = answer.result.unwrap_or_else(|failure| panic!("{failure:?}"));
    let access = Access::open(request, answer.execution_arn, grant);
    stack.assume(&access).await;
    assert_eq!(stack.status(access.transaction_id).await, "provisioned");
    assert_eq!(stack.lease_status(access.transaction_id).await, Some(ExecutionStatus::Running));
    assert_eq!(stack.released(&access).await.output["status"], "deprovisioned");
    assert!(!stack.role_is_there(&access).await);
}

/// The calls into an account for a transaction. (What ends others, which scenarios before have left, goes on meanwhile.)
fn calls_into<'a>(account: &str, id: TransactionId, calls: &'a [RecordedCall]) -> Vec<&'a RecordedCall> {
    let is_for = |call: &RecordedCall| format!("{call:?}").contains(&id.to_string());
    calls.iter().filter(|call| call.accounts.iter().any(|it| it == account) && is_for(call)).collect()
}

/// No access, a name that callers know, and no role that nobody will delete.
async fn assert_failed_safely(stack: &Stack, request: &Request, answer: Answer, calls: &[RecordedCall]) {
    let failure = answer.result.expect_err("no access");
    assert!(ErrorName::from_wire(&failure.error).is_some(), "{failure:?}");
    assert_eq!(
        (failure.cause.status.as_str(), failure.cause.transaction_id.as_str()),
        ("failed", request.name.as_str())
    );
    assert!(!failure.cause.reason.is_empty());

    let (id, account) = (request.transaction_id(), request.body["target_aws_account_id"].as_str().unwrap());
    match stack.item(id).await.as_ref().map(|item| item["status"].as_str().unwrap()) {
        None | Some("failed") => {}
        // What became of it could not be recorded, or it could not be told whether there is a role: others do it.
        Some("processing" | "provisioned" | "deprovisioning") if stack.lease_status(id).await.is_some() => {
            assert_eq!(stack.lease_status(id).await, Some(ExecutionStatus::Running));
            let clean_up = stack.started_by("cleanup", id).await.pop();
            let clean_up = async || stack.status_of(&clean_up?).await;
            match clean_up().await {
                Some(clean_up) => {
                    assert!([ExecutionStatus::Running, ExecutionStatus::Succeeded].contains(&clean_up), "{clean_up}");
                }
                None => assert!(stack.role(id, account).await.is_none(), "a role that only the lease would delete"),
            }
        }
        // Not even the failure could be recorded.
        Some("processing") => {
            let touched = calls_into(account, id, calls);
            assert!(touched.is_empty(), "without a lease: {touched:?}");
        }
        Some(status) => panic!("{status}"),
    }
    until("no role is left", async || stack.role(id, account).await.is_none()).await;
}

#[tokio::test]
async fn each_answer_that_is_lost_is_asked_for_again() {
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    for point in points(&stack).await {
        println!("{point:?}");
        let request = Request::by("alex");
        let (answer, calls) = ask_under(&stack, point.fault().after_execution(), &request).await;
        assert_lease_came_first(&calls);
        assert_works_and_goes(&stack, &request, answer).await;
    }
}

#[tokio::test]
async fn each_call_that_is_unavailable_for_a_moment_is_tried_again() {
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    for point in points(&stack).await {
        println!("{point:?}");
        let request = Request::by("alex");
        // The SDK tries three times within a function; then it is the state machine's turn.
        let times = if point.is_task() { 2 } else { 3 };
        let (answer, calls) = ask_under(&stack, point.fault().times(times), &request).await;
        assert_lease_came_first(&calls);
        assert_works_and_goes(&stack, &request, answer).await;
    }
}

#[tokio::test]
async fn each_call_that_stays_unavailable_ends_safely() {
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    for point in points(&stack).await {
        println!("{point:?}");
        let request = Request::by("alex");
        // An answer that the SDK does not retry, for the sake of time.
        let fault = if point.is_task() { point.fault() } else { point.fault().with(400, "Unexpected") };
        let (answer, calls) = ask_under(&stack, fault.always(), &request).await;
        assert_lease_came_first(&calls);
        assert_failed_safely(&stack, &request, answer, &calls).await;
    }
}

#[tokio::test]
async fn each_answer_that_stays_lost_ends_safely() {
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    for point in points(&stack).await.into_iter().filter(|point| !point.is_task()) {
        println!("{point:?}");
        let request = Request::by("alex");
        let fault = point.fault().with(400, "Unexpected").after_execution().always();
        let (answer, calls) = ask_under(&stack, fault, &request).await;
        assert_lease_came_first(&calls);
        assert_failed_safely(&stack, &request, answer, &calls).await;
    }
}

#[tokio::test]
async fn without_a_lease_there_is_no_role() {
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    for error in ["AWSStepFunctionsException", "ExecutionLimitExceeded", "AccessDeniedException"] {
        let request = Request::by("alex");
        let fault = Fault::of("states:StartExecution").with(400, error).always();
        let (answer, calls) = ask_under(&stack, fault, &request).await;
        assert!(answer.result.is_err());
        let made = calls_into("222222222222", request.transaction_id(), &calls);
        assert!(made.is_empty(), "{error}: the target account was called: {made:?}");
        assert_eq!(stack.lease_status(request.transaction_id()).await, None);
        assert_eq!(stack.status(request.transaction_id()).await, "failed");
    }
}

/// When it cannot be recorded that there is access, there is none.
#[tokio::test]
async fn credentials_are_withheld_when_that_cannot_be_recorded() {
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    let request = Request::by("alex");
    // The first two are RecordProcessing and RecordLease; the next four are RecordProvisioned with its retries.
    let record = Fault::of("lambda:InvokeFunction").with(500, "ServiceException").on(":daypass-record");
    let (answer, calls) = ask_under(&stack, record.by(":role/daypass-provision").skipping(2).times(4), &request).await;
    assert_eq!(answer.result.unwrap_err().error, "Daypass.AwsUnavailable");
    assert!(calls.iter().any(|call| call.action == "iam:DeleteRole" && call.error.is_none()));
    let id = request.transaction_id();
    assert!(stack.role(id, "222222222222").await.is_none());
    assert_eq!(stack.status(id).await, "failed");
    let late = stack.deprovision(&json!({"transaction_id": id})).await;
    assert_eq!((late.status, &late.output["status"]), (ExecutionStatus::Succeeded, &json!("failed")));
}

/// The second line of defence: what provisioning could not take back, deprovision does at once.
#[tokio::test]
async fn a_role_that_provisioning_cannot_take_back_is_taken_by_deprovision() {
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    let request = Request::by("alex");
    let id = request.transaction_id();
    for action in ["iam:AttachRolePolicy", "iam:DeleteRole"] {
        stack.engine.arm(Fault::of(action).with(400, "Unexpected").on(&id.role_name()).always()).await;
    }
    let failure = stack.failure(&request).await;
    assert_eq!(failure.error, "Daypass.TargetAccountRefused");
    assert!(failure.cause.reason.contains("iam:AttachRolePolicy"), "the first error is told: {}", failure.cause.reason);
    assert!(stack.role(id, "222222222222").await.is_some());
    assert_eq!(stack.status(id).await, "processing");

    stack.engine.disarm().await;
    let clean_up = stack.started_by("cleanup", id).await.pop().expect("a clean-up");
    let clean_up = stack.ended(&clean_up).await;
    assert_eq!((clean_up.status, &clean_up.output["status"]), (ExecutionStatus::Succeeded, &json!("failed")));
    assert!(stack.role(id, "222222222222").await.is_none());
    assert_eq!(stack.status(id).await, "failed");
}

/// A refusal is told at once: nothing is tried again, and nothing is looked for that was never made.
#[tokio::test]
async fn a_refusal_to_make_the_role_is_told_at_once() {
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    for (status, code, name) in [
        (403, "AccessDenied", "Daypass.TargetAccountRefused"),
        (404, "NoSuchEntity", "Daypass.TargetAccountNotOnboarded"),
    ] {
        let request = Request::by("alex");
        let (answer, calls) =
            ask_under(&stack, Fault::of("iam:CreateRole").with(status, code).always(), &request).await;
        assert_eq!(answer.result.unwrap_err().error, name);
        let id = request.transaction_id();
        let made = calls_into("222222222222", id, &calls);
        let made: Vec<&str> =
            made.iter().map(|call| call.action.as_str()).filter(|it| it.starts_with("iam:")).collect();
        assert_eq!(made, ["iam:CreateRole"], "{code}");
        assert_eq!(stack.status(id).await, "failed");
    }
}

/// A role that was made goes, and the request has the name of the refusal.
#[tokio::test]
async fn a_role_that_is_refused_its_policies_is_taken_back() {
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    for action in ["iam:PutRolePolicy", "iam:AttachRolePolicy"] {
        let request = Request::by("alex");
        let id = request.transaction_id();
        // By create-role: delete-role puts a policy on the role, too.
        let fault = Fault::of(action).with(400, "MalformedPolicyDocument").on(&id.role_name()).times(2);
        let (answer, calls) = ask_under(&stack, fault, &request).await;
        let failure = answer.result.as_ref().unwrap_err();
        assert_eq!(failure.error, "Daypass.TargetAccountRefused", "{action}");
        assert!(failure.cause.reason.contains(action), "{failure:?}");
        assert!(calls.iter().any(|call| call.action == "iam:DeleteRole" && call.error.is_none()), "{action}");
        assert!(stack.role(id, "222222222222").await.is_none());
        assert_eq!(stack.status(id).await, "failed");
    }
}

/// The third: without anybody to hand over to, it is the lease's.
/// The functions are gone in the middle of a provisioning, and so is the way to deprovision.
#[tokio::test]
async fn a_provisioning_that_dies_midway_is_ended_by_its_lease() {
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    let request = Request::by("alex").lasting(LEASE);
    let id = request.transaction_id();
    // Validate, RecordProcessing, Prove, Authenticate, Authorize, RecordLease and CreateRole have been.
    let dead = Fault::of("lambda:InvokeFunction").with(500, "ServiceException").by(":role/daypass-provision");
    stack.engine.arm(dead.skipping(7).always()).await;
    // The lease was the first.
    stack.engine.arm(Fault::of("states:StartExecution").with(400, "AccessDeniedException").skipping(1).always()).await;
    let failure = stack.failure(&request).await;
    assert_eq!(failure.error, "Daypass.AwsUnavailable", "{failure:?}");
    assert!(stack.role(id, "222222222222").await.is_some());
    assert_eq!(stack.status(id).await, "processing");
    assert_lease_ends_it(&stack, &request).await;
}

async fn assert_lease_ends_it(stack: &Stack, request: &Request) {
    let id = request.transaction_id();
    assert_eq!(stack.lease_status(id).await, Some(ExecutionStatus::Running));
    let ended = stack.ended(&stack.lease(id)).await;
    assert_eq!(ended.status, ExecutionStatus::Succeeded, "{ended:?}");
    assert_eq!(ended.output["status"], "failed");
    assert!(stack.role(id, "222222222222").await.is_none());
    until("the transaction has failed", async || stack.status(id).await == "failed").await;
}

/// IAM does not show at once what it has made. The answer of `CreateRole` is lost, the SDK calls again, and the name is taken;
/// by what cannot be read nobody can tell whose it is.
#[tokio::test]
async fn a_role_that_was_made_though_nobody_heard_is_continued() {
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    for (status, code) in [(403, "AccessDenied"), (404, "NoSuchEntity")] {
        let request = Request::by("alex");
        let name = request.transaction_id().role_name();
        stack.engine.arm(Fault::of("iam:CreateRole").after_execution().on(&name)).await;
        stack.engine.arm(Fault::of("iam:GetRole").with(status, code).on(&name).times(2)).await;
        let answer = stack.ask(&request).await;
        assert_eq!(stack.engine.armed().await, 0, "{code}: no fault struck");
        assert_works_and_goes(&stack, &request, answer).await;
    }
}

/// The same, and IAM does not show the role for longer than a request can wait.
#[tokio::test]
async fn a_role_that_was_made_and_is_never_shown_is_taken_back() {
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    let request = Request::by("alex");
    let name = request.transaction_id().role_name();
    stack.engine.forget_calls().await;
    stack.engine.arm(Fault::of("iam:CreateRole").after_execution().on(&name)).await;
    stack.engine.arm(Fault::of("iam:GetRole").with(403, "AccessDenied").by(&name).always()).await;
    let answer = stack.ask(&request).await;
    let failure = answer.result.as_ref().expect_err("no access");
    assert_eq!(failure.error, "Daypass.RoleNotVisibleYet", "{failure:?}");
    let calls = stack.engine.calls().await;
    assert_failed_safely(&stack, &request, answer, &calls).await;
    until("it has failed", async || stack.status(request.transaction_id()).await == "failed").await;
}

/// The same after `CreateRole` has been answered: what comes next is judged as if there were no role.
#[tokio::test]
async fn a_role_that_is_not_shown_to_the_next_call_is_continued() {
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    for action in ["iam:PutRolePolicy", "iam:AttachRolePolicy"] {
        for (status, code) in [(403, "AccessDenied"), (404, "NoSuchEntity")] {
            let request = Request::by("alex");
            let name = request.transaction_id().role_name();
            stack.engine.arm(Fault::of(action).with(status, code).on(&name)).await;
            stack.engine.arm(Fault::of("iam:GetRole").with(403, "AccessDenied").on(&name)).await;
            let answer = stack.ask(&request).await;
            assert_eq!(stack.engine.armed().await, 0, "{action} {code}: no fault struck");
            assert_works_and_goes(&stack, &request, answer).await;
        }
    }
}

/// Others change the role at that moment: that is waited for in place, and the whole task is not repeated.
#[tokio::test]
async fn others_who_change_the_role_are_waited_for() {
    let stack = Stack::alone().await;
    for action in ["iam:PutRolePolicy", "iam:AttachRolePolicy"] {
        let request = Request::by("alex");
        let name = request.transaction_id().role_name();
        let busy = Fault::of(action).with(409, "ConcurrentModification").on(&name);
        let (answer, calls) = ask_under(&stack, busy.times(24), &request).await;
        let is_for = |call: &&RecordedCall, action: &str| call.action == action && call.caller.ends_with(&name);
        let answered = |action: &str| calls.iter().filter(|call| is_for(call, action)).count();
        assert_eq!(answered("iam:CreateRole"), 1, "in one attempt: {calls:#?}");
        assert!(answered(action) > 24);
        assert_works_and_goes(&stack, &request, answer).await;
    }
}
