//! What nobody ends any more is ended by the sweep: a transaction whose provisioning died, and one whose lease was stopped.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::types::ExecutionStatus;
use daypass::{ids::TransactionId, timestamp::Timestamp};
use daypass_tests::{
    engine::Fault,
    pipeline::{Access, Request, new_transaction_id},
    stack::{Stack, until},
};
use futures_util::future::join_all;
use serde_json::json;

const PACE: f64 = 0.01;
/// So long that the role, had there been one, would be old enough for IAM to be believed.
const LONG_AGO: Duration = Duration::from_mins(20);

fn ago(time: Duration) -> Timestamp {
    Timestamp::from_datetime((SystemTime::now() - time).into())
}

fn ahead(time: Duration) -> Timestamp {
    Timestamp::from_datetime((SystemTime::now() + time).into())
}

/// Requests whose executions die as soon as they are recorded: whatever they call fails, whatever they start, too.
async fn dead<const N: usize>(stack: &Stack) -> [TransactionId; N] {
    let requests = [(); N].map(|()| Request::by("alex"));
    for request in &requests {
        // Validate and RecordProcessing have been.
        let calls = Fault::of("lambda:InvokeFunction").with(500, "ServiceException").by(":role/daypass-provision");
        stack.engine.arm(calls.skipping(2).always()).await;
        let starts = Fault::of("states:StartExecution").with(500, "AWSStepFunctionsException");
        stack.engine.arm(starts.by(":role/daypass-provision").always()).await;
        assert_eq!(stack.failure(request).await.cause.status, "failed");
        stack.engine.disarm().await;
        let id = request.transaction_id();
        assert_eq!(stack.status(id).await, "processing", "nobody could say how it ended");
        assert_eq!(stack.lease_status(id).await, None, "nobody will");
    }
    requests.map(|request| request.transaction_id())
}

/// A sweep that goes well.
async fn swept(stack: &Stack) -> String {
    let (execution, ended) = stack.sweep().await;
    assert_eq!(ended.status, ExecutionStatus::Succeeded, "{ended:?}");
    execution
}

/// An access whose lease somebody has stopped, and whose expiry has passed.
async fn overdue(stack: &Stack) -> Access {
    let access = stack.provision(&Request::by("alex")).await;
    let lease = stack.lease(access.transaction_id);
    stack.hub().states().stop_execution().execution_arn(lease).send().await.unwrap();
    stack.set(access.transaction_id, "expires_at", ago(LONG_AGO)).await;
    access
}

#[tokio::test]
async fn a_request_that_died_before_its_lease_fails() {
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    let [id] = dead(&stack).await;
    // Its execution may still be at work.
    for young in [None, Some(Duration::from_mins(5))] {
        if let Some(age) = young {
            stack.set(id, "requested_at", ago(age)).await;
        }
        swept(&stack).await;
        assert_eq!(stack.started_by("sweep", id).await, Vec::<String>::new(), "{young:?}");
    }

    stack.set(id, "requested_at", ago(LONG_AGO)).await;
    swept(&stack).await;
    let [end] = &stack.started_by("sweep", id).await[..] else { panic!("one end") };
    let ended = stack.ended(end).await;
    assert_eq!((ended.status, &ended.output["status"]), (ExecutionStatus::Succeeded, &json!("failed")));
    let item = stack.item(id).await.unwrap();
    assert_eq!((&item["status"], item.get("open_lease")), (&json!("failed"), None), "{item:#}");

    swept(&stack).await;
    assert_eq!(stack.started_by("sweep", id).await.len(), 1, "what has ended is left alone");
}

/// Somebody has taken the name of a lease before its time: that begins an end, and is refused. Then provisioning dies, and no
/// lease goes on with it.
#[tokio::test]
async fn an_end_that_was_begun_and_left_is_begun_again() {
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    let [id] = dead(&stack).await;
    let lease = json!({"transaction_id": id, "expires_at": stack.item(id).await.unwrap()["expires_at"]});
    let taken = stack.start_deprovisioning(&id.to_string(), &lease).await.unwrap();
    assert_eq!(stack.ended(&taken).await.error.as_deref(), Some("Daypass.TransactionMismatch"));
    stack.set(id, "requested_at", ago(LONG_AGO)).await;
    swept(&stack).await;
    assert_eq!(stack.started_by("sweep", id).await, Vec::<String>::new(), "whoever began it may be at it");

    stack.set(id, "ending_since", ago(LONG_AGO)).await;
    swept(&stack).await;
    let [end] = &stack.started_by("sweep", id).await[..] else { panic!("one end") };
    assert_eq!(stack.ended(end).await.output["status"], "failed");
    assert_eq!(stack.status(id).await, "failed");
}

/// Promise 3, however late: nobody was left to delete the role.
#[tokio::test]
async fn a_stopped_lease_is_made_up_for() {
    let stack = Stack::alone().await;
    let access = overdue(&stack).await;
    swept(&stack).await;
    let [end] = &stack.started_by("sweep", access.transaction_id).await[..] else { panic!("one end") };
    let ended = stack.ended(end).await;
    assert_eq!((ended.status, &ended.output["status"]), (ExecutionStatus::Succeeded, &json!("deprovisioned")));
    assert!(!stack.role_is_there(&access).await);
    assert_eq!(stack.status(access.transaction_id).await, "deprovisioned");
    assert!(stack.try_assume(&access).await.unwrap_err().is_refusal());
}

#[tokio::test]
async fn what_somebody_ends_is_left_alone() {
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    let long = Duration::from_hours(20);
    let at_work = stack.provision(&Request::by("alex").lasting(long)).await;
    stack.set(at_work.transaction_id, "requested_at", ago(LONG_AGO)).await;
    // Its lease is late, as it is for seconds when much is going on.
    let expired = stack.provision(&Request::by("alex").lasting(long)).await;
    stack.set(expired.transaction_id, "expires_at", ago(Duration::from_mins(5))).await;
    let denied = Request::by("mallory");
    stack.failure(&denied).await;
    stack.set(&denied.name, "requested_at", ago(LONG_AGO)).await;
    // The end of this one has begun, and takes its time.
    let ending = stack.provision(&Request::by("alex").lasting(long)).await;
    let refuses = Fault::of("iam:DeleteRole").with(409, "DeleteConflict").on(&ending.role_name());
    stack.engine.arm(refuses.always()).await;
    let release = stack.release(&ending).await;
    until("it has begun", async || stack.status(ending.transaction_id).await == "deprovisioning").await;
    stack.set(ending.transaction_id, "expires_at", ago(LONG_AGO)).await;

    swept(&stack).await;
    let left = [at_work.transaction_id, expired.transaction_id, denied.transaction_id(), ending.transaction_id];
    for id in left {
        assert_eq!(stack.started_by("sweep", id).await, Vec::<String>::new());
    }
    for access in [&at_work, &expired] {
        assert_eq!(stack.status(access.transaction_id).await, "provisioned");
        stack.assume(access).await;
    }
    assert_eq!(stack.status(denied.transaction_id()).await, "denied");

    stack.engine.disarm().await;
    assert_eq!(stack.ended(&release).await.output["status"], "deprovisioned");
    for access in [&at_work, &expired] {
        stack.released(access).await;
    }
}

/// More than a page of open leases, of which thirty are nobody's.
#[tokio::test]
async fn many_are_ended_at_once() {
    let stack = Stack::alone().await;
    stack.engine.pace(0.0).await;
    let dead: [_; 30] = dead(&stack).await;
    stack.engine.pace(PACE).await;
    for id in dead {
        stack.set(id, "requested_at", ago(LONG_AGO)).await;
    }
    let leased: Vec<TransactionId> = (0..110).map(|_| new_transaction_id()).collect();
    for (minutes, id) in (1..).zip(&leased) {
        let item = [
            ("transaction_id", id.to_string()),
            ("status", "provisioned".to_owned()),
            ("open_lease", "open".to_owned()),
            ("requested_at", ago(LONG_AGO).to_string()),
            // Among those that died, whose leases would have lasted for a day.
            ("expires_at", ahead(Duration::from_mins(20 * minutes)).to_string()),
        ];
        let put = stack.hub().dynamodb().put_item().table_name(&stack.names.table);
        let put = item.into_iter().fold(put, |put, (name, value)| put.item(name, AttributeValue::S(value)));
        put.send().await.unwrap();
    }

    let execution = swept(&stack).await;
    let pages = stack.states_of(&execution).await.into_iter().filter(|state| state == "FindDead").count();
    assert!(pages > 1, "a hundred items are a page, and there are more");
    until("all have failed", async || {
        join_all(dead.map(|id| stack.status(id))).await.iter().all(|status| status == "failed")
    })
    .await;
    for id in dead {
        assert_eq!(stack.started_by("sweep", id).await.len(), 1, "each once");
    }
    for id in leased {
        assert_eq!(stack.started_by("sweep", id).await, Vec::<String>::new());
        let key = AttributeValue::S(id.to_string());
        let delete = stack.hub().dynamodb().delete_item().table_name(&stack.names.table).key("transaction_id", key);
        delete.send().await.unwrap();
    }
}

/// The alarm counts executions that fail.
#[tokio::test]
async fn a_sweep_that_cannot_end_something_fails_and_the_next_one_does_it() {
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    let access = overdue(&stack).await;
    let starts = Fault::of("states:StartExecution").with(400, "AccessDeniedException").by(":role/daypass-sweep");
    stack.engine.arm(starts.always()).await;
    let (_, ended) = stack.sweep().await;
    assert_eq!((ended.status, ended.error.as_deref()), (ExecutionStatus::Failed, Some("Daypass.AwsUnavailable")));
    let cause = ended.cause.unwrap();
    assert!(cause.contains(&access.transaction_id.to_string()) && cause.contains("AccessDenied"), "{cause}");
    assert!(stack.role_is_there(&access).await);

    stack.engine.disarm().await;
    swept(&stack).await;
    until("its role is gone", async || stack.status(access.transaction_id).await == "deprovisioned").await;
}

/// Nobody has to think of it; and it reads the index and starts ends, whatever it finds.
#[tokio::test]
async fn it_comes_by_itself_and_calls_two_things() {
    let stack = Stack::alone().await;
    let access = overdue(&stack).await;
    stack.engine.forget_calls().await;
    // Every three seconds.
    stack.engine.pace(PACE).await;
    stack.engine.schedules(true).await;
    until("a sweep has found it", async || stack.status(access.transaction_id).await == "deprovisioned").await;
    stack.engine.schedules(false).await;
    let calls = stack.engine.calls().await;
    let made_by = |role: &str| -> BTreeSet<(&str, &str)> {
        let by = calls.iter().filter(|call| call.caller.ends_with(&format!(":role/{role}")));
        by.map(|call| (call.action.as_str(), call.resource.rsplit(':').next().unwrap())).collect()
    };
    let expected = [("dynamodb:Query", "table/daypass-transactions/index/open-leases"), START];
    assert_eq!(made_by("daypass-sweep"), BTreeSet::from(expected));
    assert_eq!(made_by("daypass-sweep-schedule"), BTreeSet::from([("states:StartExecution", "daypass-sweep")]));
}

const START: (&str, &str) = ("states:StartExecution", "daypass-deprovision");
