use super::*;
use crate::{
    catalogue::{Known, aws_managed},
    methods::METHODS,
};

const ACCOUNT: &str = "222222222222";

fn managed(name: &str) -> Policy {
    match aws_managed(&format!("arn:aws:iam::aws:policy/{name}")) {
        Known::Policy(policy) => policy,
        other => panic!("{name}: {other:?}"),
    }
}

fn inline(statement: &str) -> Policy {
    read(&format!(r#"{{"Version": "2012-10-17", "Statement": {statement}}}"#)).unwrap()
}

/// The first thing beyond the boundary: method, action and resource.
fn beyond(policies: Vec<Policy>, limit: Option<Policy>) -> Option<String> {
    let strength = Strength::new(policies, limit);
    let excess = strength.beyond_boundary("aws", ACCOUNT, &METHODS).into_iter().next()?;
    Some(format!("{} {} {}", excess.method.id, excess.action, excess.resource))
}

#[test]
fn an_administrator_has_every_method_and_the_boundary_none() {
    let administrator = Strength::new(vec![managed("AdministratorAccess")], None);
    assert_eq!(administrator.beyond_boundary("aws", ACCOUNT, &METHODS).len(), METHODS.len());
    let bounded = Strength::new(vec![managed("AdministratorAccess")], Some(boundary("aws", ACCOUNT)));
    assert_eq!(bounded.beyond_boundary("aws", ACCOUNT, &METHODS).len(), 0);
}

#[test]
fn roles_of_ordinary_functions_and_machines_are_within_the_boundary() {
    for name in [
        "service-role/AWSLambdaBasicExecutionRole",
        "service-role/AWSLambdaVPCAccessExecutionRole",
        "service-role/AWSLambdaSQSQueueExecutionRole",
        "AWSXRayDaemonWriteAccess",
        "AmazonS3ReadOnlyAccess",
        "CloudWatchAgentServerPolicy",
        "AmazonSSMManagedInstanceCore",
        "AmazonEC2ContainerRegistryReadOnly",
        "service-role/AmazonECSTaskExecutionRolePolicy",
    ] {
        assert_eq!(beyond(vec![managed(name)], None), None, "{name}");
    }
    let table = r#"{"Effect": "Allow", "Action": ["dynamodb:*", "s3:*", "lambda:*"], "Resource": [
        "arn:aws:dynamodb:us-east-1:222222222222:table/receipts", "arn:aws:s3:::receipts", "arn:aws:s3:::receipts/*",
        "arn:aws:lambda:us-east-1:222222222222:function:receipts"]}"#;
    assert_eq!(beyond(vec![inline(table)], None), None);
    assert_eq!(beyond(vec![], None), None);
}

#[test]
fn strength_is_found_whatever_the_policy_is_called() {
    for (name, expected) in [
        ("PowerUserAccess", "iam-update-assume-role-policy sts:AssumeRole arn:aws:iam::222222222222:role/admin"),
        ("IAMFullAccess", "iam-create-policy-version iam:CreatePolicyVersion arn:aws:iam::222222222222:policy/admin"),
        (
            "job-function/NetworkAdministrator",
            "iam-add-role-to-instance-profile iam:PassRole arn:aws:iam::x:role/flow-logs-x",
        ),
    ] {
        assert_eq!(beyond(vec![managed(name)], None).as_deref(), Some(expected), "{name}");
    }
}

#[test]
fn what_the_policies_name_is_tried_beside_the_examples() {
    let put = r#"{"Effect": "Allow", "Action": "iam:PutRole*", "Resource": "arn:aws:iam::222222222222:role/build-*"}"#;
    let expected = "iam-put-role-policy iam:PutRolePolicy arn:aws:iam::222222222222:role/build-x";
    assert_eq!(beyond(vec![inline(put)], None).as_deref(), Some(expected));
    // A deployment may pass its own roles as well.
    let own = r#"{"Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:aws:iam::222222222222:role/deployed-by-daypass/*"}"#;
    assert_eq!(beyond(vec![inline(own)], None), None);
    let other = own.replace("deployed-by-daypass/*", "build");
    assert!(beyond(vec![inline(&other)], None).is_some());
    // A policy is not passed, whatever it is called.
    let policy = own.replace("role/deployed-by-daypass/*", "policy/build");
    assert_eq!(beyond(vec![inline(&policy)], None), None);
    let refused =
        r#"[{"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "Deny", "Action": "*", "Resource": "*"}]"#;
    assert_eq!(beyond(vec![inline(refused)], None), None);
}

#[test]
fn the_own_boundary_of_a_role_counts() {
    let limit = inline(r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::receipts*"}"#);
    assert_eq!(beyond(vec![managed("AdministratorAccess")], Some(limit)), None);
}

#[test]
fn a_condition_that_cannot_be_told_does_not_make_a_role_weaker() {
    let maybe = r#"[{"Effect": "Allow", "Action": "iam:*", "Resource": "*", "Condition": {"Bool": {"aws:MultiFactorAuthPresent": true}}},
        {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"StringNotEquals": {"aws:RequestedRegion": "eu-central-1"}}}]"#;
    assert!(beyond(vec![inline(maybe)], None).is_some());
}

#[test]
fn every_form_of_a_document_is_read() {
    for document in [
        r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:*", "Resource": "*"}]}"#,
        r#"{"Version": "2008-10-17", "Id": "x", "Statement": {"Effect": "Allow", "Action": ["iam:*"], "Resource": "*"}}"#,
        r#"{"Statement": {"Effect": "Allow", "Action": "iam:*", "Resource": "*", "Condition": {"NumericLessThan": {"aws:MultiFactorAuthAge": [300]}}}}"#,
    ] {
        assert!(beyond(vec![read(document).unwrap()], None).is_some(), "{document}");
    }
}

#[test]
fn what_is_no_policy_is_said() {
    for (document, why) in [
        ("{", "is no JSON: "),
        ("[]", "is no JSON object"),
        (r#"{"Version": "2030-01-01", "Statement": []}"#, "is of the unknown version "),
        (r#"{"Version": 1, "Statement": []}"#, "is no policy: "),
        (r#"{"Version": "2012-10-17"}"#, "is no policy: "),
        (r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Perhaps"}]}"#, "is no policy: "),
        (r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Actions": "*"}]}"#, "is no policy: "),
    ] {
        let error = read(document).unwrap_err();
        assert!(error.starts_with(why), "{document}: {error}");
    }
}
