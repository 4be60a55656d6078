//! The smallest inputs of what schedules have found.

use std::{cell::Cell, time::Duration};

use aws_sdk_sfn::types::ExecutionStatus;
use daypass::ids::TransactionId;
use daypass_tests::{
    engine::{Fault, RecordedCall},
    pipeline::Request,
    stack::{Stack, until},
};
use serde_json::json;
use tokio::time::sleep;

/// A release deletes the role while it is being made. Provision, which has not heard of that, makes it again, and cannot take
/// it back. Whoever said at the first deletion that the transaction has ended was wrong.
#[tokio::test]
async fn a_role_that_is_made_again_after_a_release_does_not_stay() {
    let stack = Stack::alone().await;
    // No delay ends by itself: what goes on, and when, is told here.
    stack.engine.pace(1000.0).await;
    let request = Request::by("alex");
    let (id, account) = (request.transaction_id(), "222222222222");
    // It is made, and not finished: IAM does not show it to the next call, so that it is tried again.
    stack.engine.arm(Fault::of("iam:AttachRolePolicy").with(404, "NoSuchEntity").about(id).always()).await;
    let refused = Fault::of("lambda:InvokeFunction").with(500, "ServiceException").by(":role/daypass-provision");
    stack.engine.arm(refused.on(":daypass-delete-role").about(id).always()).await;
    let (provisioning, told) = (stack.ask(&request), Cell::new(false));
    let provisioning = async {
        let answer = provisioning.await;
        told.set(true);
        answer
    };
    let release = async {
        // The first two attempts follow each other at once.
        until("two attempts have failed", async || attempts(&stack, id).await == 2).await;
        let (name, input) = (format!("{id}-release"), json!({"transaction_id": id}));
        let release = stack.start_deprovisioning(&name, &input).await.expect("it is started");
        until("it is deleted", async || stack.role(id, account).await.is_none()).await;
        let maker = stack.item(id).await.expect("it is there")["execution_arn"].as_str().expect("an ARN").to_owned();
        // It tries until 103 s after its start. The machine's own time limit ends it at the latest.
        while !told.get() {
            stack.engine.end_delay(&maker).await;
            sleep(Duration::from_millis(100)).await;
        }
        release
    };
    let (answer, release) = futures_util::join!(provisioning, release);
    println!("{answer:?}\n{:?}", stack.described(&release).await);
    assert!(attempts(&stack, id).await > 2, "it was not made again");
    stack.engine.disarm().await;
    let mut left = vec![stack.lease(id), release];
    left.extend(stack.started_by("cleanup", id).await);
    for execution in left {
        until("it has ended", async || {
            stack.engine.end_delay(&execution).await;
            stack.described(&execution).await.status != ExecutionStatus::Running
        })
        .await;
        println!("{execution} {:?}", stack.described(&execution).await);
    }
    println!("{:#}", stack.item(id).await.expect("it is there"));
    assert!(stack.role(id, account).await.is_none(), "it stands, and {} is on record", stack.status(id).await);
}

/// How often provision has tried to finish a role.
async fn attempts(stack: &Stack, id: TransactionId) -> usize {
    let of_it =
        |call: &RecordedCall| call.action == "iam:AttachRolePolicy" && call.transactions.contains(&id.to_string());
    stack.engine.calls().await.iter().filter(|call| of_it(call)).count()
}
