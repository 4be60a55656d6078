//! The execution's name is the transaction's id: it must be a UUID, and it can be used once.

use aws_sdk_sfn::types::ExecutionStatus;
use daypass_tests::{
    pipeline::{Access, Request},
    stack::Stack,
};
use futures_util::future::join_all;

#[tokio::test]
async fn a_name_that_is_in_use_is_refused_and_the_first_is_untouched() {
    let stack = Stack::shared().await;
    let first = Request::by("alex");
    let access = stack.provision(&first).await;
    let before = stack.item(access.transaction_id).await;

    // Step Functions does not look at names of EXPRESS executions: the same request, and another one.
    for again in [first.clone(), Request::by("nadia").named(&first.name).with("group_type", "Network-Deployers")] {
        let failure = stack.failure(&again).await;
        assert_eq!(failure.error, "Daypass.TransactionConflict", "{failure:?}");
        assert_eq!(failure.cause.transaction_id, first.name);
    }
    assert_eq!(stack.item(access.transaction_id).await, before);
    assert_eq!(stack.lease_status(access.transaction_id).await, Some(ExecutionStatus::Running));
    stack.assume(&access).await.iam().list_account_aliases().send().await.expect_err("not even alex reads IAM");
    assert!(stack.role_is_there(&access).await);

    stack.released(&access).await;
    assert_eq!(stack.failure(&first).await.error, "Daypass.TransactionConflict", "not after the end either");
}

#[tokio::test]
async fn a_name_of_a_denied_request_is_in_use_too() {
    let stack = Stack::shared().await;
    let denied = Request::by("mallory");
    assert_eq!(stack.failure(&denied).await.error, "Daypass.NotAMember");
    let failure = stack.failure(&Request::by("alex").named(&denied.name)).await;
    assert_eq!(failure.error, "Daypass.TransactionConflict");
    assert_eq!(stack.status(denied.transaction_id()).await, "denied");
}

#[tokio::test]
async fn of_many_at_once_under_one_name_one_wins() {
    let stack = Stack::shared().await;
    let first = Request::by("alex");
    let requests: Vec<_> = (0..5).map(|_| Request::by("alex").named(&first.name)).collect();
    let answers = join_all(requests.iter().map(|request| stack.ask(request))).await;
    let (won, lost): (Vec<_>, Vec<_>) = requests.iter().zip(answers).partition(|(_, answer)| answer.result.is_ok());
    assert_eq!((won.len(), lost.len()), (1, 4));
    for (_, answer) in lost {
        assert_eq!(answer.result.unwrap_err().error, "Daypass.TransactionConflict");
    }
    let (request, answer) = won.into_iter().next().unwrap();
    let access = Access::open(request, answer.execution_arn, answer.result.unwrap());
    stack.assume(&access).await;
    stack.released(&access).await;
}

#[tokio::test]
async fn a_name_that_is_no_uuid_is_refused() {
    let stack = Stack::shared().await;
    let shouted = Request::by("alex").name.to_uppercase();
    for name in ["deploy-42", shouted.as_str(), "6f0f4a386ad04c359d4c0a3f1c5f1c11"] {
        let failure = stack.failure(&Request::by("alex").named(name)).await;
        assert_eq!(failure.error, "Daypass.InvalidRequest", "{failure:?}");
        assert_eq!(failure.cause.transaction_id, name);
        assert!(failure.cause.reason.contains("UUID"), "{}", failure.cause.reason);
        assert_eq!(stack.item(name).await, None);
    }
}
