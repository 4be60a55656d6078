//! Promise 9: one transaction's credentials open one transaction's role, each of three ways alone.

use aws_credential_types::Credentials;
use aws_sdk_sts::types::Tag;
use daypass_tests::{
    aws::{Aws, Call, Refused, percent_decoded},
    pipeline::{Access, Account, Request},
    stack::Stack,
};
use serde_json::{Value, json};

/// The same person, the same account, twice.
async fn two_of_alex(stack: &Stack) -> (Access, Access) {
    (stack.provision(&Request::by("alex")).await, stack.provision(&Request::by("alex")).await)
}

fn is_refused<T: std::fmt::Debug>(result: &Result<T, Refused>) -> bool {
    result.as_ref().is_err_and(Refused::is_refusal)
}

#[tokio::test]
async fn a_session_opens_its_own_role_and_no_other() {
    let stack = Stack::shared().await;
    let (one, other) = two_of_alex(&stack).await;
    for (access, foreign) in [(&one, &other), (&other, &one)] {
        let session = stack.with(&access.session);
        assert!(is_refused(&stack.assume_with(&session, &foreign.role_arn).await));
        stack.assume(access).await;
    }
    for access in [&one, &other] {
        stack.released(access).await;
    }
}

#[tokio::test]
async fn a_session_can_do_nothing_but_open_its_role() {
    let stack = Stack::shared().await;
    let access = stack.provision(&Request::by("alex")).await;
    let session = stack.with(&access.session);
    let role = json!({"RoleName": access.role_name()}).to_string();
    let tries = [
        Call::Rest("s3", "GET", "/"),
        Call::Query("iam", "2010-05-08", "ListRoles", &[]),
        Call::Query("iam", "2010-05-08", "CreateUser", &[("UserName", "backdoor")]),
        Call::Query("ec2", "2016-11-15", "DescribeVpcs", &[]),
        Call::Json("dynamodb", "DynamoDB_20120810.ListTables", "{}"),
        Call::Json("states", "AWSStepFunctions.ListStateMachines", "{}"),
        Call::Json("identitystore", "AWSIdentityStore.ListUsers", &role),
    ];
    for call in tries {
        let done = session.call(&call).await;
        assert!(is_refused(&done), "{call:?}: {done:?}");
    }
    for role in ["daypass-pipeline", "daypass-invoker", "daypass-create-role", "daypass-issue-creds"] {
        let arn = format!("arn:aws:iam::{}:role/{role}", stack.names.hub);
        assert!(is_refused(&stack.assume_with(&session, &arn).await), "{role}");
    }
    for account in Account::ALL {
        let arn = format!("arn:aws:iam::{}:role/daypass-provisioner", account.id());
        assert!(is_refused(&stack.assume_with(&session, &arn).await), "{arn}");
    }
    stack.released(&access).await;
}

#[tokio::test]
async fn the_deployment_cannot_open_another_role_either() {
    let stack = Stack::shared().await;
    let (one, other) = two_of_alex(&stack).await;
    let deployment = stack.assume(&one).await;
    for arn in [&other.role_arn, &one.role_arn] {
        assert!(is_refused(&stack.assume_with(&deployment, arn).await), "{arn}");
    }
    for access in [&one, &other] {
        stack.released(access).await;
    }
}

#[tokio::test]
async fn nobody_else_can_open_the_role() {
    let stack = Stack::shared().await;
    let access = stack.provision(&Request::by("alex")).await;
    for somebody in [stack.invoker.clone(), stack.hub(), stack.root(Account::Development.id())] {
        assert!(is_refused(&stack.assume_with(&somebody, &access.role_arn).await));
    }
    stack.released(&access).await;
}

/// A session of the pipeline role as an administrator would make it: with this transaction's tag, and no policy.
async fn session_without_policy(stack: &Stack, transaction: &str) -> Aws {
    let tag = Tag::builder().key("daypass:transaction-id").value(transaction).build().unwrap();
    let arn = format!("arn:aws:iam::{}:role/daypass-pipeline", stack.names.hub);
    let request = stack.hub().sts().assume_role().role_arn(arn).role_session_name("test").source_identity("tester");
    let issued = request.tags(tag).transitive_tag_keys("daypass:transaction-id").send().await.unwrap();
    let issued = issued.credentials.unwrap();
    let token = Some(issued.session_token);
    stack.with(&Credentials::new(issued.access_key_id, issued.secret_access_key, token, None, "test"))
}

/// The pipeline role itself may assume every deploy role. What keeps its sessions apart then is the trust policy.
#[tokio::test]
async fn the_trust_policy_alone_keeps_sessions_apart() {
    let stack = Stack::alone().await;
    let (one, other) = two_of_alex(&stack).await;
    let iam = stack.hub().iam();
    let role = iam.get_role().role_name("daypass-pipeline").send().await.unwrap().role.unwrap();
    let before = percent_decoded(role.assume_role_policy_document().unwrap());
    let mut trust: Value = serde_json::from_str(&before).unwrap();
    trust["Statement"].as_array_mut().unwrap().push(json!({
        "Effect": "Allow",
        "Principal": {"AWS": format!("arn:aws:iam::{}:root", stack.names.hub)},
        "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
    }));
    let trusting = async |document: &str| {
        let update = iam.update_assume_role_policy().role_name("daypass-pipeline").policy_document(document);
        update.send().await.unwrap();
    };
    trusting(&trust.to_string()).await;
    let session = session_without_policy(&stack, &one.transaction_id.to_string()).await;
    let nobodys = session_without_policy(&stack, "6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11").await;
    trusting(&before).await;

    assert!(stack.assume_with(&session, &one.role_arn).await.is_ok(), "without a policy it could open any");
    assert!(is_refused(&stack.assume_with(&session, &other.role_arn).await), "but for the tag");
    assert!(is_refused(&stack.assume_with(&nobodys, &one.role_arn).await));
    for access in [&one, &other] {
        stack.released(access).await;
    }
}

/// Even if the other role would let the session in.
#[tokio::test]
async fn the_session_policy_alone_keeps_sessions_apart() {
    let stack = Stack::shared().await;
    let (one, other) = two_of_alex(&stack).await;
    let iam = stack.root(other.account()).iam();
    let open = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"AWS": format!("arn:aws:iam::{}:role/daypass-pipeline", stack.names.hub)},
        "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
    }]});
    let update = iam.update_assume_role_policy().role_name(other.role_name()).policy_document(open.to_string());
    update.send().await.unwrap();
    assert!(is_refused(&stack.assume_with(&stack.with(&one.session), &other.role_arn).await));
    for access in [&one, &other] {
        stack.released(access).await;
    }
}

/// The tag goes along and cannot be changed on the way.
#[tokio::test]
async fn the_tag_cannot_be_changed() {
    let stack = Stack::shared().await;
    let (one, other) = two_of_alex(&stack).await;
    let tag = Tag::builder().key("daypass:transaction-id").value(other.transaction_id.to_string()).build().unwrap();
    let session = stack.with(&one.session);
    for arn in [&one.role_arn, &other.role_arn] {
        let request = session.sts().assume_role().role_arn(arn).role_session_name("test").tags(tag.clone());
        request.send().await.expect_err("the tag is transitive");
    }
    for access in [&one, &other] {
        stack.released(access).await;
    }
}
