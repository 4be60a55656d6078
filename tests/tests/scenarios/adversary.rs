//! Callers who choose names, moments and identities so that Daypass says or does something wrong.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::types::ExecutionStatus;
use daypass_tests::{
    engine::Fault,
    pipeline::{Request, new_transaction_id},
    stack::{Stack, until},
};
use futures_util::future::join;
use serde_json::{Value, json};

use crate::identity::request;

/// The names of requests are random. One that derives from another's could be the key of something else.
#[tokio::test]
async fn an_id_that_somebody_computes_is_refused() {
    let stack = Stack::shared().await;
    let victim = stack.provision(&Request::by("alex")).await;
    let id = victim.transaction_id.to_string();
    for version in ["1", "3", "5", "6", "7", "8"] {
        let derived = format!("{}{version}{}", &id[..14], &id[15..]);
        let failure = stack.failure(&Request::by("nobody").named(&derived)).await;
        assert_eq!((failure.error.as_str(), failure.cause.status.as_str()), ("Daypass.InvalidRequest", "denied"));
        assert!(failure.cause.reason.contains("`transaction_id`"), "{}", failure.cause.reason);
        assert_eq!(stack.item(&derived).await, None, "nothing is written");
    }
    let end = format!("{id}#end");
    assert_eq!(stack.send(&Request::by("nobody").named(&end)).await.unwrap_err().code, "InvalidName");
    let ended = stack.released(&victim).await;
    assert_eq!(
        (&ended.output["status"], &ended.output["deprovisioning_transaction_id"]),
        (&json!("deprovisioned"), &json!(end))
    );
    assert!(!stack.role_is_there(&victim).await);
    assert_eq!(stack.item(&end).await.expect("the record of the end")["status"], "deprovisioned");
}

/// Somebody who can write to the table has taken the place of the end's record: the role goes, and somebody is called.
#[tokio::test]
async fn a_record_that_cannot_be_written_keeps_no_role() {
    let stack = Stack::shared().await;
    let access = stack.provision(&Request::by("alex")).await;
    let end = AttributeValue::S(access.transaction_id.end().to_string());
    let put = stack.hub().dynamodb().put_item().table_name(&stack.names.table).item("transaction_id", end);
    put.send().await.expect("it is taken");
    let ended = stack.released(&access).await;
    assert_eq!((ended.status, ended.error.as_deref()), (ExecutionStatus::Failed, Some("Daypass.RecordBroken")));
    assert!(!stack.role_is_there(&access).await);
    let item = stack.item(access.transaction_id).await.unwrap();
    assert_eq!((&item["status"], &item["error"]), (&json!("deprovisioned"), &json!("Daypass.RecordBroken")));
}

/// The table takes no writes: access ends all the same, and the record follows.
#[tokio::test]
async fn access_ends_before_its_end_can_be_recorded() {
    let stack = Stack::alone().await;
    stack.engine.pace(0.05).await;
    let access = stack.provision(&Request::by("alex")).await;
    let deployment = stack.assume(&access).await;
    stack.engine.arm(Fault::of("dynamodb:TransactWriteItems").with(400, "Unexpected").always()).await;
    let release = stack.release(&access).await;
    until("the role is gone", async || !stack.role_is_there(&access).await).await;
    assert!(deployment.sts().get_caller_identity().send().await.is_err());
    assert_eq!(stack.status(access.transaction_id).await, "provisioned", "nothing could be recorded");
    stack.engine.disarm().await;
    // The role is missing now, and younger than five minutes: the record of its making makes it old enough.
    stack.set(access.transaction_id, "role_created_at", "2026-01-01T00:00:00Z").await;
    let ended = stack.ended(&release).await;
    assert_eq!(ended.output["status"], "deprovisioned", "{ended:?}");
    let end = stack.item(access.transaction_id.end()).await.unwrap();
    assert_eq!(end["deleted"]["existed"], json!(true), "what was deleted first is on record: {end:#}");
}

#[tokio::test]
async fn only_a_lease_waits() {
    let stack = Stack::shared().await;
    let access = stack.provision(&Request::by("alex")).await;
    let (id, other) = (access.transaction_id, new_transaction_id());
    let far = "2037-01-01T00:00:00Z";
    let cases = [
        (
            new_transaction_id().to_string(),
            json!({"transaction_id": other, "expires_at": far}),
            "Daypass.InvalidRequest",
        ),
        (other.to_string(), json!({"transaction_id": other, "expires_at": far}), "Daypass.TransactionNotFound"),
        (format!("{id}-release"), json!({"transaction_id": id, "expires_at": far}), "Daypass.InvalidRequest"),
        (
            format!("{id}-cleanup"),
            json!({"transaction_id": id, "expires_at": access.expires_at}),
            "Daypass.InvalidRequest",
        ),
    ];
    for (name, input, error) in cases {
        let started = stack.start_deprovisioning(&name, &input).await.unwrap_or_else(|refused| panic!("{refused}"));
        let ended = stack.ended(&started).await;
        assert_eq!((ended.status, ended.error.as_deref()), (ExecutionStatus::Failed, Some(error)), "{name} {input}");
        let states = stack.states_of(&started).await;
        assert_eq!(states, ["LeaseOrRelease", "LookUpLease", "Refused"], "{name} {input}");
    }
    assert_eq!(stack.status(id).await, "provisioned");
    assert_eq!(stack.lease_status(id).await, Some(ExecutionStatus::Running), "the lease itself waits");
    stack.released(&access).await;
}

/// Authorize is slow for a while, so that there is time for a release.
async fn released_meanwhile(stack: &Stack, request: &Request) -> (Value, Value) {
    stack.engine.forget_calls().await;
    let slow = Fault::of("lambda:InvokeFunction").with(500, "ServiceException").on(":daypass-authz");
    stack.engine.arm(slow.by(":role/daypass-provision").times(2)).await;
    let id = request.transaction_id();
    let release = async {
        until("it is on record", async || stack.item(id).await.is_some()).await;
        stack.deprovision(&json!({"transaction_id": id})).await
    };
    let (answer, released) = join(stack.ask(request), release).await;
    assert_eq!(released.status, ExecutionStatus::Succeeded, "{released:?}");
    let failure = answer.result.expect_err("no access");
    assert_eq!(failure.cause.status, released.output["status"], "told and released alike");
    let account = request.body["target_aws_account_id"].as_str().unwrap();
    let calls = stack.engine.calls().await;
    let touched: Vec<_> = calls.iter().filter(|call| call.accounts.iter().any(|it| it == account)).collect();
    assert!(touched.is_empty(), "{touched:?}");
    assert_eq!(stack.lease_status(id).await, None);
    (released.output, stack.item(id).await.unwrap())
}

#[tokio::test]
async fn a_release_hides_no_denial() {
    let stack = Stack::alone().await;
    let (output, item) = released_meanwhile(&stack, &Request::by("mallory")).await;
    assert_eq!((&output["status"], &output["deprovisioning_transaction_id"]), (&json!("denied"), &Value::Null));
    assert_eq!((&item["status"], &item["error"]), (&json!("denied"), &json!("Daypass.NotAMember")), "{item:#}");
    assert!(item["reason"].as_str().unwrap().contains("mallory"), "{item:#}");
}

/// A denial whose record was not heard of is told, since it is on record.
#[tokio::test]
async fn a_denial_whose_record_was_not_heard_of_is_told() {
    let stack = Stack::alone().await;
    stack.engine.pace(0.01).await;
    let request = Request::by("mallory");
    stack.engine.arm(Fault::of("dynamodb:UpdateItem").with(400, "Unexpected").after_execution().skipping(1)).await;
    stack.engine.arm(Fault::of("dynamodb:UpdateItem").with(400, "Unexpected").skipping(1).times(3)).await;
    let failure = stack.failure(&request).await;
    let item = stack.item(request.transaction_id()).await.unwrap();
    assert_eq!(failure.cause.status, item["status"], "{item:#}");
    assert_eq!(json!(failure.error), item["error"], "{item:#}");
}

#[tokio::test]
async fn a_release_of_a_request_cancels_it() {
    let stack = Stack::alone().await;
    let (output, item) = released_meanwhile(&stack, &Request::by("alex")).await;
    assert_eq!(output["status"], "failed");
    assert_eq!(
        (&item["status"], &item["error"]),
        (&json!("failed"), &json!("Daypass.TransactionConflict")),
        "{item:#}"
    );
    assert!(item["reason"].as_str().unwrap().contains("released"), "{item:#}");
    assert_eq!(item["open_lease"], Value::Null);
}

/// A denial that cannot be recorded is a failure, told and recorded alike.
#[tokio::test]
async fn a_denial_that_cannot_be_recorded_leaves_nothing_open() {
    let stack = Stack::alone().await;
    stack.engine.pace(0.01).await;
    let request = Request::by("mallory");
    // RecordProcessing has been; RecordDenied fails with all of its attempts, and RecordFailing succeeds.
    let write = Fault::of("dynamodb:UpdateItem").with(400, "Unexpected");
    stack.engine.arm(write.skipping(1).times(4)).await;
    let failure = stack.failure(&request).await;
    assert_eq!((failure.error.as_str(), failure.cause.status.as_str()), ("Daypass.AwsUnavailable", "failed"));
    let item = stack.item(request.transaction_id()).await.unwrap();
    assert_eq!((&item["status"], &item["error"]), (&json!("failed"), &json!("Daypass.AwsUnavailable")), "{item:#}");
    let [clean_up] = &stack.started_by("cleanup", request.transaction_id()).await[..] else { panic!("one clean-up") };
    assert_eq!(stack.ended(clean_up).await.output["status"], "failed");
}

/// Somebody asks in another's name, with a token of a run of their own: the denial says whose run it was, and is found by them.
#[tokio::test]
async fn a_refusal_says_who_was_really_there() {
    let stack = Stack::shared().await;
    let cases = [json!({"actor": "mallory"}), json!({"actor": "mallory", "repository": "example/mallorys-own"})];
    for claims in cases {
        let token = stack.sealed_token("github", &claims).await;
        let asked = request().with("identity_token", token);
        assert_eq!(stack.failure(&asked).await.error, "Daypass.IdentityNotProven", "{claims}");
        let item = stack.item(asked.transaction_id()).await.unwrap();
        assert_eq!(item["email"], "alex@example.com");
        assert_eq!(item["proof"]["user"]["name"], "mallory", "{item:#}");
        let repository = claims["repository"].as_str().unwrap_or("example/payments");
        assert_eq!(item["proof"]["repository"], repository, "{item:#}");
        assert!(item["proof"]["run_id"].is_string(), "{item:#}");
        let by_actor = stack.hub().dynamodb().query().table_name(&stack.names.table).index_name("by-actor");
        let by_actor = by_actor.key_condition_expression("actor = :actor");
        let mallory = AttributeValue::S("https://github.com/mallory".to_owned());
        let found =
            by_actor.expression_attribute_values(":actor", mallory).send().await.unwrap().items.unwrap_or_default();
        let id = AttributeValue::S(asked.name.clone());
        assert!(found.iter().any(|it| it.get("transaction_id") == Some(&id)), "{found:?}");
    }
}

/// A release of an id that nobody knows fails, leaves nothing, and does not use up a later one.
#[tokio::test]
async fn a_release_before_the_request_uses_up_nothing() {
    let stack = Stack::shared().await;
    let request = Request::by("alex").lasting(Duration::from_mins(20));
    let input = json!({"transaction_id": request.transaction_id()});
    let early = stack.deprovision(&input).await;
    assert_eq!((early.status, early.error.as_deref()), (ExecutionStatus::Failed, Some("Daypass.TransactionNotFound")));
    assert_eq!(stack.item(request.transaction_id()).await, None);
    let access = stack.provision(&request).await;
    assert_eq!(stack.deprovision(&input).await.output["status"], "deprovisioned");
    assert!(!stack.role_is_there(&access).await);
}
