//! Renewals: new credentials for a transaction that goes on, as long as everything holds that was asked of the request.

use std::{collections::BTreeSet, time::Duration};

use daypass_tests::{
    engine::Fault,
    identity::new_job,
    pipeline::{Access, Request, new_transaction_id},
    stack::{Stack, at},
};
use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::identity;

/// How long the input of an execution can be.
const LONGEST_INPUT: usize = 256 * 1024;

/// What is on record of a transaction's renewals.
async fn renewals_of(stack: &Stack, request: &Request) -> Vec<Value> {
    let item = stack.item(&request.name).await.expect("the transaction is on record");
    item["renewals"].as_array().cloned().unwrap_or_default()
}

/// The renewal is refused by this name and for this reason; it is on record, and the transaction is what it was.
async fn assert_refused(stack: &Stack, request: &Request, error: &str, says: &str) {
    let before = stack.item(&request.name).await.expect("the transaction is on record");
    let failure = stack.no_renewal(&request.renewal()).await;
    assert_eq!((failure.error.as_str(), failure.cause.status.as_str()), (error, "denied"), "{failure:?}");
    assert_eq!(failure.cause.transaction_id, request.name);
    assert!(failure.cause.reason.contains(says), "`{says}` in: {}", failure.cause.reason);

    let mut after = stack.item(&request.name).await.unwrap();
    let last = after["renewals"].as_array_mut().unwrap().pop().expect("the refusal is on record");
    assert_eq!((&last["error"], &last["reason"]), (&json!(error), &json!(failure.cause.reason)), "{last:#}");
    assert_eq!(last["recipient"], request.body["recipient"]);
    let mut expected = before;
    expected.as_object_mut().unwrap().entry("renewals").or_insert(json!([]));
    assert_eq!(after, expected, "nothing else was changed");
}

#[tokio::test]
async fn a_renewal_gives_new_credentials_for_the_same_role() {
    let stack = Stack::shared().await;
    let request = Request::by("alex");
    let access = stack.provision(&request).await;
    let status_changes = stack.item(&request.name).await.unwrap()["status_changes"].clone();

    let again = request.clone().with_another_key();
    let renewed = stack.renew(&again).await;
    let rest = |access: &Access| {
        let mut grant = access.grant.clone();
        grant.as_object_mut().unwrap().remove("sealed_credentials");
        grant
    };
    assert_eq!(rest(&renewed), rest(&access), "the answer is that of the request");
    assert_ne!(renewed.session.access_key_id(), access.session.access_key_id());
    for access in [&access, &renewed] {
        stack.assume(access).await.sts().get_caller_identity().send().await.expect("both work");
    }

    let [renewal] = &renewals_of(&stack, &request).await[..] else { panic!("one renewal") };
    assert_eq!(renewal["execution_arn"], json!(renewed.execution_arn));
    assert_eq!(renewal["recipient"], again.body["recipient"]);
    assert!(renewal["credentials_expire_at"].as_str().unwrap() <= access.grant["expires_at"].as_str().unwrap());
    assert!(renewal["group_id"].is_string() && renewal["error"].is_null(), "{renewal:#}");
    let item = stack.item(&request.name).await.unwrap();
    assert_eq!((&item["status"], &item["status_changes"]), (&json!("provisioned"), &status_changes));

    // A release ends what was renewed, as everything else.
    let deployment = stack.assume(&renewed).await;
    assert_eq!(stack.released(&access).await.output["status"], "deprovisioned");
    assert!(stack.try_assume(&renewed).await.unwrap_err().is_refusal());
    deployment.sts().get_caller_identity().send().await.expect_err("the credentials are dead");
}

/// What was proven stays proven, also where nobody has to prove anything: only the same job renews.
#[tokio::test]
async fn a_proven_transaction_is_renewed_by_its_run_only() {
    let stack = Stack::shared().await;
    let runs = [
        ("github", "check_run_id", json!({"run_id": "43"}), json!({"run_attempt": "2"})),
        ("gitlab", "job_id", json!({"pipeline_id": "456"}), json!({})),
    ];
    for (issuer, job_id, another_run, same_job) in runs {
        let job = new_job();
        let token = async |claims: &Value| {
            let mut claims = claims.clone();
            claims[job_id] = json!(job);
            stack.sealed_token(issuer, &claims).await
        };
        let first = token(&json!({})).await;
        let request = identity::request().with("identity_token", first.clone());
        let access = stack.provision(&request).await;

        let error = "Daypass.IdentityNotProven";
        assert_refused(&stack, &request.clone().without("identity_token"), error, "`identity_token` is missing").await;
        let other = request.clone().with("identity_token", token(&another_run).await);
        assert_refused(&stack, &other, error, "run that made the request").await;
        let other = request.clone().with("identity_token", stack.sealed_token(issuer, &json!({})).await);
        assert_refused(&stack, &other, error, &format!("job that made the request: its `{job_id}`")).await;
        let elsewhere = if issuer == "github" { "gitlab" } else { "github" };
        let elsewhere = request.clone().with("identity_token", stack.sealed_token(elsewhere, &json!({})).await);
        assert_refused(&stack, &elsewhere, error, "run that made the request").await;

        // A token that stands in a history opens nothing for whoever finds it; the job that has it may send it again.
        assert_refused(&stack, &request.clone().with_another_key(), error, "used before").await;
        stack.renew(&request).await;
        let fresh = request.clone().with_another_key().with("identity_token", token(&same_job).await);
        let renewed = stack.renew(&fresh).await;
        stack.assume(&renewed).await;
        assert_refused(&stack, &fresh.clone().with_another_key(), error, "used before").await;

        let granted = renewals_of(&stack, &request).await.into_iter().filter(|it| it.get("error").is_none());
        let granted: Vec<_> = granted.collect();
        assert_eq!(granted.len(), 2);
        let proof = &stack.item(&request.name).await.unwrap()["proof"];
        assert_eq!(granted[0]["token_id"], proof["token_id"], "the request's own token");
        assert_ne!(granted[1]["token_id"], proof["token_id"]);
        stack.released(&access).await;
    }
}

/// A token that one transaction has used up proves nothing for another.
#[tokio::test]
async fn a_token_of_another_transaction_renews_nothing() {
    let stack = Stack::shared().await;
    // Of one job, which may deploy to both accounts.
    let job = json!({"check_run_id": new_job()});
    let token = async || stack.sealed_token("github", &job).await;
    let mine = identity::request().with("identity_token", token().await);
    let other = Request::by("alex").with("branch", "main").with("identity_token", token().await);
    let accesses = [stack.provision(&mine).await, stack.provision(&other).await];
    let with_mine = other.clone().with("identity_token", mine.body["identity_token"].clone());
    assert_refused(&stack, &with_mine, "Daypass.IdentityNotProven", "used before").await;
    for access in &accesses {
        stack.released(access).await;
    }
}

/// What they have they keep until it ends; they get nothing new.
#[tokio::test]
async fn who_left_the_group_or_was_disabled_gets_nothing_new() {
    let stack = Stack::alone().await;
    let request = Request::by("erin");
    let access = stack.provision(&request).await;
    let group = "PwC_GP_222222222222_Product_Admin";

    stack.set_membership("erin", group, false).await;
    assert_refused(&stack, &request, "Daypass.NotAMember", group).await;
    stack.assume(&access).await;
    stack.set_membership("erin", group, true).await;
    stack.renew(&request).await;

    let erin = stack.user_id("erin").await;
    stack.engine.enable_user(&erin, false).await;
    assert_refused(&stack, &request, "Daypass.UserDisabled", "erin@example.com").await;
    stack.assume(&access).await;
    stack.engine.enable_user(&erin, true).await;
    stack.renew(&request).await;
    stack.released(&access).await;
}

#[tokio::test]
async fn what_has_ended_is_not_renewed() {
    let stack = Stack::shared().await;
    let error = "Daypass.TransactionConflict";
    let request = Request::by("alex");
    stack.released(&stack.provision(&request).await).await;
    assert_refused(&stack, &request, error, "it is deprovisioned; request a new role").await;

    let denied = Request::by("mallory");
    stack.failure(&denied).await;
    assert_refused(&stack, &denied, error, "it is denied").await;
}

/// Neither before the lease has deleted the role, nor afterwards.
#[tokio::test]
async fn a_lease_that_has_ended_is_not_renewed() {
    // Alone: beside other scenarios so short a lease could end before it is renewed.
    let stack = Stack::alone().await;
    let request = Request::by("alex").lasting(Duration::from_secs(6));
    let access = stack.provision(&request).await;
    assert_eq!(stack.renew(&request).await.expires_at, access.expires_at, "a renewal prolongs nothing");
    at(access.expires_at).await;
    let failure = stack.no_renewal(&request.renewal()).await;
    assert_eq!(failure.error, "Daypass.TransactionConflict");
    assert!(failure.cause.reason.contains("request a new role"), "{}", failure.cause.reason);
    stack.ended(&stack.lease(access.transaction_id)).await;
    assert_refused(&stack, &request, "Daypass.TransactionConflict", "it is deprovisioned").await;
}

#[tokio::test]
async fn a_renewal_that_cannot_be_understood_leaves_no_trace() {
    let stack = Stack::shared().await;
    let nobody = new_transaction_id().to_string();
    let key = Request::by("alex").body["recipient"].clone();
    let request = Request::by("alex");
    let access = stack.provision(&request).await;
    let before = stack.item(&request.name).await;

    let with = |field: &str, value: Value| {
        let mut renewal = request.renewal();
        renewal[field] = value;
        renewal
    };
    let long = "x".repeat(100);
    let least = with("identity_token", json!("")).to_string().len();
    let longest = with("identity_token", json!("x".repeat(LONGEST_INPUT - least)));
    let cases = [
        (with("transaction_id", json!(nobody)), "TransactionNotFound", nobody.as_str(), nobody.as_str()),
        (json!({"recipient": key}), "InvalidRequest", "", "`transaction_id`: it is missing"),
        (with("transaction_id", json!(7)), "InvalidRequest", "", "`transaction_id`"),
        (with("transaction_id", json!("a\"\n\u{202e}b")), "InvalidRequest", "a\"??b", "`transaction_id`"),
        (with("transaction_id", json!(long)), "InvalidRequest", &long[..64], "`transaction_id`"),
        (with("recipient", json!("age1")), "InvalidRequest", &request.name, "`recipient`"),
        (with("recipient", Value::Null), "InvalidRequest", &request.name, "`recipient`"),
        (with("role_ttl_hours", json!(72)), "InvalidRequest", &request.name, "`role_ttl_hours`"),
        (with("identity_token", json!("a.b.c")), "InvalidRequest", &request.name, "`identity_token`"),
        (json!([request.renewal()]), "InvalidRequest", &request.name, "`renewal`"),
        (Value::Null, "InvalidRequest", "", "`renewal`"),
        (longest, "InvalidRequest", &request.name, "`identity_token`"),
    ];
    for (renewal, error, id, says) in cases {
        let failure = stack.no_renewal(&renewal).await;
        assert_eq!(failure.error, format!("Daypass.{error}"), "{failure:?}");
        assert_eq!((failure.cause.transaction_id.as_str(), failure.cause.status.as_str()), (id, "denied"));
        assert!(failure.cause.reason.contains(says), "`{says}` in: {}", failure.cause.reason);
    }
    assert_eq!(stack.item(&request.name).await, before);
    assert_eq!(stack.item(&nobody).await, None);

    // The item that records an end is no transaction, and what it is called is no transaction's id.
    let end = stack.released(&access).await.output["deprovisioning_transaction_id"].clone();
    let failure = stack.no_renewal(&with("transaction_id", end)).await;
    assert_eq!(failure.error, "Daypass.InvalidRequest");
    assert!(failure.cause.reason.contains("`transaction_id`"), "{}", failure.cause.reason);
    assert!(failure.cause.reason.contains(&request.name), "{}", failure.cause.reason);
}

#[tokio::test]
async fn renewals_at_the_same_moment_all_succeed_and_are_all_recorded() {
    let stack = Stack::shared().await;
    let request = Request::by("alex");
    let access = stack.provision(&request).await;
    let again: Vec<_> = (0..6).map(|_| request.clone().with_another_key()).collect();
    let renewed = join_all(again.iter().map(|request| stack.renew(request))).await;
    let keys: BTreeSet<_> = renewed.iter().map(|access| access.session.access_key_id()).collect();
    assert_eq!(keys.len(), 6);
    let executions: BTreeSet<_> = renewed.iter().map(|access| access.execution_arn.clone()).collect();
    let recorded = renewals_of(&stack, &request).await;
    assert_eq!(recorded.len(), 6, "each once");
    let recorded: BTreeSet<_> = recorded.iter().map(|it| it["execution_arn"].as_str().unwrap().to_owned()).collect();
    assert_eq!(recorded, executions);
    join_all(renewed.iter().map(|access| stack.assume(access))).await;
    stack.released(&access).await;
}

/// Whoever is faster: after the release nothing works that a renewal has handed out.
#[tokio::test]
async fn a_renewal_that_races_a_release_opens_nothing() {
    let stack = Stack::shared().await;
    let races = (0..4).map(async |_| {
        let request = Request::by("alex");
        let access = stack.provision(&request).await;
        let again: Vec<_> = (0..3).map(|_| request.clone().with_another_key()).collect();
        let renewals = again.iter().map(async |it| (it, stack.ask_again(&it.renewal()).await));
        let (answers, ended) = join(join_all(renewals), stack.released(&access)).await;
        assert_eq!(ended.output["status"], "deprovisioned");

        let mut granted = BTreeSet::new();
        for (request, answer) in answers {
            match answer.result {
                Ok(grant) => {
                    let renewed = Access::open(request, answer.execution_arn.clone(), grant);
                    assert!(stack.try_assume(&renewed).await.unwrap_err().is_refusal());
                    granted.insert(answer.execution_arn);
                }
                Err(failure) => assert_eq!(failure.error, "Daypass.TransactionConflict", "{failure:?}"),
            }
        }
        let recorded = renewals_of(&stack, &request).await.into_iter().filter(|it| it.get("error").is_none());
        let recorded: BTreeSet<_> = recorded.map(|it| it["execution_arn"].as_str().unwrap().to_owned()).collect();
        assert_eq!(recorded, granted, "what was handed out is on record, and nothing else");
        assert_eq!(stack.status(access.transaction_id).await, "deprovisioned");
    });
    join_all(races).await;
}

/// Whatever goes wrong: the role and the sessions that are out are not touched, and without a record nothing is handed out.
#[tokio::test]
async fn a_renewal_that_fails_takes_nothing_away() {
    let stack = Stack::alone().await;
    let request = Request::by("alex");
    let access = stack.provision(&request).await;
    let before = stack.item(&request.name).await;
    let task = |function: &str| {
        let fault = Fault::of("lambda:InvokeFunction").with(500, "ServiceException");
        fault.by(":role/daypass-renew").on(&format!(":daypass-{function}")).always()
    };
    stack.engine.pace(0.01).await;
    for (fault, state) in [
        (task("validate"), "Validate"),
        (task("record"), "LookUp"),
        (task("authz"), "Authorize"),
        (task("issue-creds"), "IssueCredentials"),
        // The first is the look-up.
        (task("record").skipping(1), "RecordRenewed"),
    ] {
        stack.engine.arm(fault).await;
        let failure = stack.no_renewal(&request.renewal()).await;
        stack.engine.disarm().await;
        assert_eq!((failure.error.as_str(), failure.cause.status.as_str()), ("Daypass.AwsUnavailable", "failed"));
        assert_eq!(failure.cause.transaction_id, request.name);
        assert!(failure.cause.reason.starts_with(state), "{}", failure.cause.reason);
        assert_eq!(stack.item(&request.name).await, before);
        stack.assume(&access).await;
    }

    // It is recorded, but the answer is lost: it is recorded once.
    stack.engine.arm(task("record").skipping(1).times(1).after_execution()).await;
    stack.renew(&request).await;
    assert_eq!(renewals_of(&stack, &request).await.len(), 1);
    stack.released(&access).await;
}
