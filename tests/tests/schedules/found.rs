//! The smallest inputs of what schedules have found.

use daypass_tests::{
    engine::Fault,
    pipeline::Request,
    stack::{Stack, until},
};
use serde_json::{Value, json};

/// A release deletes the role while it is being made. Provision, which has not heard of that, makes it again; and then nobody
/// may say that the transaction has ended, because provision may not be able to take it back.
#[tokio::test]
async fn a_role_that_is_made_again_after_a_release_does_not_stay() {
    let stack = Stack::alone().await;
    stack.engine.pace(0.3).await;
    let request = Request::by("alex");
    let (id, account) = (request.transaction_id(), "222222222222");
    // It is made, and not finished: it will be tried again.
    stack.engine.arm(Fault::of("iam:AttachRolePolicy").with(400, "Unexpected").about(id).always()).await;
    let release = async {
        until("it is made", async || stack.role(id, account).await.is_some()).await;
        let (name, input) = (format!("{id}-release"), json!({"transaction_id": id}));
        let release = stack.start_deprovisioning(&name, &input).await.expect("it is started");
        until("it is deleted", async || stack.role(id, account).await.is_none()).await;
        until("its end is recorded", async || {
            // However slow the others are: it asks again at once.
            stack.engine.end_delay(&release).await;
            stack.item(id).await.expect("it is there")["open_lease"] == Value::Null
        })
        .await;
        stack.engine.disarm().await;
        let refused = Fault::of("lambda:InvokeFunction").with(500, "ServiceException").by(":role/daypass-provision");
        stack.engine.arm(refused.on(":daypass-delete-role").about(id).always()).await;
        release
    };
    let (answer, release) = futures_util::join!(stack.ask(&request), release);
    println!("{answer:?}\n{:?}", stack.described(&release).await);
    stack.engine.disarm().await;
    stack.engine.pace(0.01).await;
    let mut left = vec![stack.lease(id), release];
    left.extend(
        stack.engine.calls().await.into_iter().filter(|it| it.transactions.contains(&id.to_string())).filter_map(
            |call| {
                Some(format!("{}-{}", stack.lease(id), call.parameters.get("Name")?.strip_prefix(&format!("{id}-"))?))
            },
        ),
    );
    for execution in left {
        stack.engine.end_delay(&execution).await;
        println!("{execution} {:?}", stack.ended(&execution).await);
    }
    println!("{:#}", stack.item(id).await.expect("it is there"));
    assert!(stack.role(id, account).await.is_none(), "it stands, and {} is on record", stack.status(id).await);
}
