//! Many at once.

use std::collections::BTreeSet;

use aws_sdk_sfn::types::ExecutionStatus;
use daypass_tests::{pipeline::Request, stack::Stack};
use futures_util::future::join_all;

#[tokio::test]
async fn twenty_transactions_of_one_person_do_not_meet() {
    let stack = Stack::shared().await;
    let requests: Vec<_> = (0..20).map(|_| Request::by("alex")).collect();
    let accesses = join_all(requests.iter().map(|request| stack.provision(request))).await;
    let roles: BTreeSet<_> = accesses.iter().map(|access| &access.role_arn).collect();
    let keys: BTreeSet<_> = accesses.iter().map(|access| access.session.access_key_id()).collect();
    assert_eq!((roles.len(), keys.len()), (20, 20));
    join_all(accesses.iter().map(|access| stack.assume(access))).await;

    // Half of them go; the other half does not notice.
    let (gone, kept) = accesses.split_at(10);
    for ended in join_all(gone.iter().map(|access| stack.released(access))).await {
        assert_eq!(ended.status, ExecutionStatus::Succeeded, "{ended:?}");
    }
    for access in gone {
        assert!(!stack.role_is_there(access).await);
    }
    for access in kept {
        assert!(stack.role_is_there(access).await);
        assert_eq!(stack.status(access.transaction_id).await, "provisioned");
        assert_eq!(stack.lease_status(access.transaction_id).await, Some(ExecutionStatus::Running));
    }
    join_all(kept.iter().map(|access| stack.assume(access))).await;
    join_all(kept.iter().map(|access| stack.released(access))).await;
}
