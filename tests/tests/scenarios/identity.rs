//! Proven identity: a request counts as the person's whose run it is, by the identity token of the run. The issuers are
//! real ones on the engine (`local/daypass_local/issuer.py`): their keys are fetched, and their tokens verified, as those
//! of GitHub and GitLab.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use daypass_tests::{
    identity::new_job,
    pipeline::{Account, Request},
    stack::Stack,
};
use futures_util::future::join_all;
use serde_json::json;

/// The request of the run that the issuers' tokens are of by default.
pub fn request() -> Request {
    Request::by("alex").to(Account::Production).with("repository", "example/payments")
}

/// The request is denied for want of proof, for this reason; the denial is on record, and nobody was even looked up.
async fn assert_not_proven(stack: &Stack, request: &Request, says: &str) {
    let failure = stack.failure(request).await;
    assert_eq!((failure.error.as_str(), failure.cause.status.as_str()), ("Daypass.IdentityNotProven", "denied"));
    assert!(failure.cause.reason.contains(says), "`{says}` in: {}", failure.cause.reason);
    let item = stack.item(request.transaction_id()).await.expect("the denial is on record");
    assert_eq!((&item["status"], &item["error"]), (&json!("denied"), &json!("Daypass.IdentityNotProven")));
    assert_eq!(item["reason"], failure.cause.reason);
    assert!(stack.role(request.transaction_id(), Account::Production.id()).await.is_none());
}

#[tokio::test]
async fn a_run_of_the_person_gets_a_role_that_says_which_run_it_is_for() {
    let stack = Stack::shared().await;
    for issuer in ["github", "gitlab"] {
        let token = stack.sealed_token(issuer, &json!({})).await;
        let access = stack.provision(&request().with("identity_token", token)).await;
        let proof = &stack.item(access.transaction_id).await.unwrap()["proof"];
        assert_eq!(proof["repository"], "example/payments", "{proof:#}");
        let run = if issuer == "github" { "42" } else { "455" };
        assert_eq!(proof["run_id"], run, "{proof:#}");
        stack.assume(&access).await;

        // The tags of the session that issue-creds has issued.
        let calls = stack.engine.calls().await;
        let name = access.role_name();
        let issued = calls.iter().find(|call| {
            call.action == "sts:AssumeRole"
                && call.parameters.get("RoleSessionName") == Some(&name)
                && call.caller.contains("/daypass-issue-creds/")
        });
        let parameters = &issued.expect("a session was issued").parameters;
        assert_eq!(parameters["Tag:daypass:run-id"], run);
        assert!(parameters.contains_key("Tag:daypass:actor-id"), "{parameters:?}");
        assert!(parameters.contains_key("Tag:daypass:workflow-ref"), "{parameters:?}");
        stack.released(&access).await;
    }
}

#[tokio::test]
async fn tokens_that_are_forged_or_stale_or_of_another_run_are_refused() {
    let stack = Stack::shared().await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let claims = [
        ("github", json!({"actor": "mallory"}), "`mallory`"),
        ("github", json!({"actor": "nadia"}), "`nadia`"),
        ("github", json!({"repository": "example/website"}), "`repository`"),
        ("github", json!({"ref": "refs/heads/feature/x"}), "`branch`"),
        ("github", json!({"ref": "refs/tags/main", "ref_type": "tag"}), "`branch`"),
        ("github", json!({"repository_owner_id": "666"}), "`repository_owner_id`"),
        ("github", json!({"runner_environment": "self-hosted"}), "`runner_environment`"),
        (
            "github",
            json!({"job_workflow_ref": "example/payments/.github/workflows/x.yml@refs/heads/main"}),
            "job_workflow",
        ),
        ("github", json!({"aud": "sts.amazonaws.com"}), "audience"),
        ("github", json!({"iss": "https://token.actions.githubusercontent.com"}), "not an issuer"),
        ("github", json!({"exp": now - 60, "iat": now - 360, "nbf": now - 360}), "expired"),
        ("github", json!({"nbf": now + 600}), "not valid before"),
        ("github", json!({"exp": null}), "`exp`"),
        ("gitlab", json!({"user_email": "mallory@example.com"}), "`mallory@example.com`"),
        ("gitlab", json!({"namespace_id": "12"}), "`namespace_id`"),
        ("gitlab", json!({"ref_type": "tag"}), "`branch`"),
    ];
    for (issuer, claims, says) in claims {
        let token = stack.sealed_token(issuer, &claims).await;
        assert_not_proven(&stack, &request().with("identity_token", token), says).await;
    }
    let stranger = stack.engine.identity_token("github", &json!({"key": "stranger"})).await;
    let token = stack.seal(&stranger).await;
    assert_not_proven(&stack, &request().with("identity_token", token), "signature").await;

    let token = stack.engine.identity_token("github", &json!({})).await;
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("a token") };
    for (forged, says) in [
        (format!("{}.{claims}.", BASE64_STANDARD.encode(r#"{"alg":"none"}"#).trim_end_matches('=')), "RS256"),
        (format!("{header}.{claims}."), "signature"),
        (format!("{header}.{}.{signature}", &claims[..claims.len() - 2]), "malformed"),
    ] {
        let sealed = stack.seal(&forged).await;
        assert_not_proven(&stack, &request().with("identity_token", sealed), says).await;
    }
    let sealed = stack.seal(&token).await;
    let (rest, tag) = sealed.rsplit_once('.').unwrap();
    let mut tag: Vec<char> = tag.chars().collect();
    tag[0] = if tag[0] == 'A' { 'B' } else { 'A' };
    let broken = format!("{rest}.{}", tag.iter().collect::<String>());
    assert_not_proven(&stack, &request().with("identity_token", broken), "does not open").await;
}

#[tokio::test]
async fn a_token_is_used_up_by_its_request() {
    let stack = Stack::shared().await;
    let token = stack.sealed_token("github", &json!({})).await;
    let access = stack.provision(&request().with("identity_token", token.clone())).await;
    assert_not_proven(&stack, &request().with("identity_token", token), "used before").await;
    // The same token in another envelope is the same token.
    let token = stack.engine.identity_token("github", &json!({"claims": {"check_run_id": new_job()}})).await;
    let (one, other) = (stack.seal(&token).await, stack.seal(&token).await);
    assert_ne!(one, other);
    let second = stack.provision(&request().with("identity_token", one)).await;
    assert_not_proven(&stack, &request().with("identity_token", other), "used before").await;
    for access in [&access, &second] {
        stack.released(access).await;
    }
}

/// A job of GitLab gets a token once: it serves the job's next request. Whoever else has it, has not the key that answers are sealed to.
#[tokio::test]
async fn a_token_of_gitlab_serves_its_job_and_nobody_else() {
    let stack = Stack::shared().await;
    let token = stack.engine.identity_token("gitlab", &json!({"claims": {"job_id": new_job()}})).await;
    let first = request().with("identity_token", stack.seal(&token).await);
    let access = stack.provision(&first).await;
    stack.released(&access).await;
    assert_not_proven(&stack, &request().with("identity_token", stack.seal(&token).await), "used before").await;
    let next = first.clone().under_another_name().with("identity_token", stack.seal(&token).await);
    let access = stack.provision(&next).await;
    stack.released(&access).await;
    // A job of GitHub gets as many as it likes: each counts for one request.
    let token = stack.engine.identity_token("github", &json!({"claims": {"check_run_id": new_job()}})).await;
    let first = request().with("identity_token", stack.seal(&token).await);
    let access = stack.provision(&first).await;
    stack.released(&access).await;
    assert_not_proven(&stack, &first.under_another_name(), "used before").await;
}

/// Of many requests at once with one token, one gets a role.
#[tokio::test]
async fn a_race_for_a_token_has_one_winner() {
    let stack = Stack::shared().await;
    let token = stack.sealed_token("github", &json!({})).await;
    let requests: Vec<Request> = (0..8).map(|_| request().with("identity_token", token.clone())).collect();
    let answers = futures_util::future::join_all(requests.iter().map(|request| stack.ask(request))).await;
    let granted: Vec<_> = answers.iter().filter(|answer| answer.result.is_ok()).collect();
    assert_eq!(granted.len(), 1);
    let refused: BTreeSet<_> = answers
        .iter()
        .filter_map(|answer| answer.result.as_ref().err())
        .map(|failure| failure.error.as_str())
        .collect();
    assert_eq!(refused, BTreeSet::from(["Daypass.IdentityNotProven"]));
}

/// A token that is not encrypted is refused before anything is done with it, and the reason does not repeat it.
#[tokio::test]
async fn a_token_that_is_not_encrypted_is_refused() {
    let stack = Stack::shared().await;
    let token = stack.engine.identity_token("github", &json!({})).await;
    let request = request().with("identity_token", token.clone());
    let failure = stack.failure(&request).await;
    assert_eq!(failure.error, "Daypass.InvalidRequest");
    assert!(failure.cause.reason.contains("not encrypted") && !failure.cause.reason.contains(&token));
    stack.assert_untouched(request.transaction_id()).await;
}

/// No key is fetched twice for nothing, an issuer is left alone for a while, and a new key of it is found.
#[tokio::test]
async fn keys_are_rotated() {
    let stack = Stack::alone().await;
    let proven = async || {
        let token = stack.sealed_token("gitlab", &json!({})).await;
        stack.ask(&request().with("identity_token", token)).await.result
    };
    assert!(proven().await.is_ok());
    let fetched = stack.engine.key_fetches("gitlab").await;
    assert!(proven().await.is_ok());
    assert_eq!(stack.engine.key_fetches("gitlab").await, fetched, "the keys are there");

    stack.engine.rotate_keys("gitlab").await;
    // Within a minute of the last fetch the issuer is not asked for a key that it did not have; after that it is.
    match proven().await {
        Ok(_) => assert_eq!(stack.engine.key_fetches("gitlab").await, fetched + 1),
        Err(failure) => {
            assert!(failure.cause.reason.contains("key that its issuer does not have"), "{}", failure.cause.reason);
            assert_eq!(stack.engine.key_fetches("gitlab").await, fetched);
        }
    }
    // A function that starts anew knows the new key.
    let environment = stack.function_environment("daypass-prove").await;
    let mut changed = environment.clone();
    changed["DAYPASS_ROTATED"] = json!("1");
    for variables in [changed, environment] {
        stack.set_function_environment("daypass-prove", &variables).await;
    }
    let answer = proven().await;
    assert!(answer.is_ok(), "{answer:?}");
}

/// Nobody gets a role without a proof, but where an environment is opened by name, as that of payments-dev is here.
#[tokio::test]
async fn a_proof_is_required_unless_an_environment_is_open() {
    let stack = Stack::shared().await;
    let denied = stack.failure(&request()).await;
    assert_eq!(denied.error, "Daypass.IdentityNotProven");
    assert!(
        denied.cause.reason.contains("`identity_token` is missing: a request in production"),
        "{}",
        denied.cause.reason
    );
    stack.released(&stack.provision(&stack.proven(request()).await).await).await;
    stack.released(&stack.provision(&Request::by("alex")).await).await;
}

/// One run that may, and from it one deviation at a time: each is refused, and the reason names the claim.
#[tokio::test]
async fn one_deviation_is_enough() {
    let stack = Stack::shared().await;
    let deviations = [
        ("github", json!({"repository_id": "8", "repository": "example/payments"}), "`repository_id`"),
        ("github", json!({"repository": "example/scratch", "repository_id": "9"}), "`repository`"),
        ("github", json!({"repository_id": null}), "`repository_id`"),
        ("github", json!({"ref": "refs/heads/release/1"}), "`branch`"),
        ("github", json!({"ref_protected": "false"}), "`ref_protected`"),
        ("github", json!({"ref_protected": null}), "`ref_protected`"),
        ("github", json!({"environment": "staging"}), "`environment`"),
        ("github", json!({"environment": null}), "`environment`"),
        ("github", json!({"event_name": "pull_request_target"}), "`event_name`"),
        ("github", json!({"event_name": "schedule"}), "`event_name`"),
        ("github", json!({"event_name": null}), "`event_name`"),
        ("github", json!({"actor": "nadia"}), "`nadia`"),
        ("github", json!({"aud": "daypass-elsewhere"}), "audience"),
        ("github", json!({"run_id": "43"}), "`run_url`"),
        ("gitlab", json!({"project_id": "7654321"}), "`project_id`"),
        ("gitlab", json!({"project_path": "example/scratch", "project_id": "29"}), "`repository`"),
        ("gitlab", json!({"ref_protected": "false"}), "`ref_protected`"),
        ("gitlab", json!({"environment": "staging"}), "`environment`"),
        ("gitlab", json!({"environment": null}), "`environment`"),
        ("gitlab", json!({"pipeline_source": "merge_request_event"}), "`pipeline_source`"),
        ("gitlab", json!({"pipeline_source": "schedule"}), "`pipeline_source`"),
        ("gitlab", json!({"user_email": "nadia@example.com"}), "`nadia@example.com`"),
        ("gitlab", json!({"aud": "daypass-elsewhere"}), "audience"),
        ("gitlab", json!({"pipeline_id": "456"}), "`run_url`"),
    ];
    let of_run = |issuer: &str| {
        let url = match issuer {
            "github" => "https://github.com/example/payments/actions/runs/42",
            _ => "https://gitlab.example.com/example/payments/-/pipelines/455",
        };
        request().with("run_url", url)
    };
    for issuer in ["github", "gitlab"] {
        let token = stack.sealed_token(issuer, &json!({})).await;
        stack.released(&stack.provision(&of_run(issuer).with("identity_token", token)).await).await;
    }
    for (issuer, claims, says) in deviations {
        let token = stack.sealed_token(issuer, &claims).await;
        assert_not_proven(&stack, &of_run(issuer).with("identity_token", token), says).await;
    }
}

/// A job has one open role in an account, also when it asks fifty times at once, each time with a new token.
#[tokio::test]
async fn fifty_requests_of_one_job_get_one_role() {
    let stack = Stack::shared().await;
    let job = new_job();
    let of_job = async |request: Request| {
        let token = stack.sealed_token("github", &json!({"check_run_id": job})).await;
        request.with("identity_token", token)
    };
    let requests: Vec<Request> = join_all((0..50).map(|_| of_job(request()))).await;
    let answers = join_all(requests.iter().map(|request| stack.ask(request))).await;
    let (granted, refused): (Vec<_>, Vec<_>) =
        requests.iter().zip(answers).partition(|(_, answer)| answer.result.is_ok());
    let [(first, _)] = &granted[..] else { panic!("{} roles", granted.len()) };
    for (request, answer) in refused {
        let failure = answer.result.expect_err("no access");
        assert_eq!((failure.error.as_str(), failure.cause.status.as_str()), ("Daypass.QuotaExceeded", "denied"));
        assert!(failure.cause.reason.contains(&first.name), "{}", failure.cause.reason);
        assert_eq!(stack.status(request.transaction_id()).await, "denied");
        assert!(stack.role(request.transaction_id(), Account::Production.id()).await.is_none());
    }
    // In the other account it may have one, because this deployment lets jobs have two; when its role is gone, another.
    let elsewhere = of_job(Request::by("alex").with("branch", "main")).await;
    stack.released(&stack.provision(&elsewhere).await).await;
    let ended = stack.deprovision(&json!({"transaction_id": first.name})).await;
    assert_eq!(ended.output["status"], "deprovisioned");
    stack.released(&stack.provision(&of_job(request()).await).await).await;
}

/// What is open is counted for each person and account; who asks for more is told what is open, and gets nothing.
#[tokio::test]
async fn open_roles_are_limited() {
    let stack = Stack::alone().await;
    // What other scenarios have left open.
    let erin = stack.user_id("erin").await;
    let account = Account::Development.id();
    let (of_erin, of_all) = (
        stack.open_roles(&format!("person#{account}#{erin}")).await,
        stack.open_roles(&format!("account#{account}")).await,
    );
    let before = stack.function_environment("daypass-record").await;
    let limit = async |person, account, job| {
        let limits =
            json!({"open_roles_per_person": person, "open_roles_per_account": account, "accounts_per_job": job});
        let mut limited = before.clone();
        limited["DAYPASS_LIMITS"] = json!(limits.to_string());
        stack.set_function_environment("daypass-record", &limited).await;
    };
    limit(of_erin + 2, of_all + 3, 2).await;
    let asked = async |login: &str, persona: &str| {
        stack
            .ask(&Request::by(login).with("group_type", persona))
            .await
            .result
            .map_err(|it| (it.error, it.cause.reason))
    };
    let mine = join_all((0..8).map(|_| asked("erin", "Product-Deployers"))).await;
    let open: Vec<String> =
        mine.iter().filter_map(|it| Some(it.as_ref().ok()?["transaction_id"].as_str()?.to_owned())).collect();
    let another = asked("nadia", "Network-Deployers").await;
    let full = asked("carol", "Container-Deployers").await;
    for id in &open {
        stack.deprovision(&json!({"transaction_id": id})).await;
    }
    let after = asked("carol", "Container-Deployers").await;
    limit(1000, 1000, 1).await;
    let job = new_job();
    let of_job = async |request: Request| {
        let token = stack.sealed_token("github", &json!({"check_run_id": job, "actor": "nadia"})).await;
        stack.ask(&request.with("identity_token", token)).await.result.map_err(|it| it.cause.reason)
    };
    let nadia = || Request::by("nadia").with("group_type", "Network-Deployers").with("branch", "main");
    let in_production = of_job(nadia().to(Account::Production)).await;
    let in_development = of_job(nadia()).await;
    stack.set_function_environment("daypass-record", &before).await;

    assert_eq!(open.len(), 2, "{mine:?}");
    for (error, reason) in mine.into_iter().filter_map(Result::err) {
        assert_eq!(error, "Daypass.QuotaExceeded");
        assert!(open.iter().all(|id| reason.contains(id)), "{reason}");
    }
    let another = another.expect("nadia has none open");
    let (error, reason) = full.expect_err("the account is full");
    assert_eq!(error, "Daypass.QuotaExceeded");
    assert!(reason.contains(another["transaction_id"].as_str().unwrap()), "{reason}");
    in_production.expect("the first account of the job");
    let reason = in_development.expect_err("a second one");
    assert!(reason.contains("accounts_per_job"), "{reason}");
    after.expect("there is room again");
}
