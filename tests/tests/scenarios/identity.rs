//! Proven identity: a request counts as the person's whose run it is, by the identity token of the run. The issuers are
//! real ones on the engine (`local/daypass_local/issuer.py`): their keys are fetched, and their tokens verified, as those
//! of GitHub and GitLab.

use std::{
    collections::BTreeSet,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use daypass_tests::{
    aws::Call,
    pipeline::{Account, Request},
    stack::Stack,
};
use serde_json::{Value, json};

/// The request of the run that the issuers' tokens are of by default.
pub fn request() -> Request {
    Request::by("alex").to(Account::Production).with("repository", "example/payments")
}

/// The token in its envelope, as a pipeline makes it: with the invoker's credentials, and the example's script.
pub async fn seal(stack: &Stack, token: &str) -> String {
    let body = json!({"KeyId": stack.names.token_key}).to_string();
    let call = Call::Json("kms", "TrentService.GetPublicKey", &body);
    let answer = stack.invoker.call(&call).await.unwrap_or_else(|refused| panic!("{refused}"));
    let key = serde_json::from_str::<Value>(&answer).unwrap()["PublicKey"].as_str().unwrap().to_owned();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/seal-identity-token.mjs");
    let mut node = Command::new("node");
    let mut node = node.arg(script).arg(key).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Node.js");
    node.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A token of `issuer` with these claims changed, sealed.
pub async fn sealed_token(stack: &Stack, issuer: &str, claims: Value) -> String {
    seal(stack, &stack.engine.identity_token(issuer, &json!({"claims": claims})).await).await
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
        let token = sealed_token(&stack, issuer, json!({})).await;
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
        ("github", json!({"iss": "https://token.actions.githubusercontent.com"}), "no issuer"),
        ("github", json!({"exp": now - 60, "iat": now - 360, "nbf": now - 360}), "expired"),
        ("github", json!({"nbf": now + 600}), "not valid before"),
        ("github", json!({"exp": null}), "`exp`"),
        ("gitlab", json!({"user_email": "mallory@example.com"}), "`mallory@example.com`"),
        ("gitlab", json!({"namespace_id": "12"}), "`namespace_id`"),
        ("gitlab", json!({"ref_type": "tag"}), "`branch`"),
    ];
    for (issuer, claims, says) in claims {
        let token = sealed_token(&stack, issuer, claims).await;
        assert_not_proven(&stack, &request().with("identity_token", token), says).await;
    }
    let stranger = stack.engine.identity_token("github", &json!({"key": "stranger"})).await;
    let token = seal(&stack, &stranger).await;
    assert_not_proven(&stack, &request().with("identity_token", token), "signature").await;

    let token = stack.engine.identity_token("github", &json!({})).await;
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("a token") };
    for (forged, says) in [
        (format!("{}.{claims}.", BASE64_STANDARD.encode(r#"{"alg":"none"}"#).trim_end_matches('=')), "RS256"),
        (format!("{header}.{claims}."), "signature"),
        (format!("{header}.{}.{signature}", &claims[..claims.len() - 2]), "malformed"),
    ] {
        let sealed = seal(&stack, &forged).await;
        assert_not_proven(&stack, &request().with("identity_token", sealed), says).await;
    }
    let sealed = seal(&stack, &token).await;
    let (rest, tag) = sealed.rsplit_once('.').unwrap();
    let mut tag: Vec<char> = tag.chars().collect();
    tag[0] = if tag[0] == 'A' { 'B' } else { 'A' };
    let broken = format!("{rest}.{}", tag.iter().collect::<String>());
    assert_not_proven(&stack, &request().with("identity_token", broken), "does not open").await;
}

#[tokio::test]
async fn a_token_is_used_up_by_its_request() {
    let stack = Stack::shared().await;
    let token = sealed_token(&stack, "github", json!({})).await;
    let access = stack.provision(&request().with("identity_token", token.clone())).await;
    assert_not_proven(&stack, &request().with("identity_token", token), "used before").await;
    // The same token in another envelope is the same token.
    let token = stack.engine.identity_token("github", &json!({})).await;
    let (one, other) = (seal(&stack, &token).await, seal(&stack, &token).await);
    assert_ne!(one, other);
    let second = stack.provision(&request().with("identity_token", one)).await;
    assert_not_proven(&stack, &request().with("identity_token", other), "used before").await;
    for access in [&access, &second] {
        stack.released(access).await;
    }
}

/// Of many requests at once with one token, one gets a role.
#[tokio::test]
async fn a_race_for_a_token_has_one_winner() {
    let stack = Stack::shared().await;
    let token = sealed_token(&stack, "github", json!({})).await;
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
        let token = sealed_token(&stack, "gitlab", json!({})).await;
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

/// Where the deployment requires a proof nobody gets a role without. (The local deployment requires none, so that a
/// request by hand needs no CI; here the function is told otherwise.)
#[tokio::test]
async fn a_proof_is_required_where_the_deployment_says() {
    let stack = Stack::alone().await;
    let before = stack.function_environment("daypass-prove").await;
    let mut rules: Value = serde_json::from_str(before["DAYPASS_IDENTITY_TOKENS"].as_str().unwrap()).unwrap();
    rules["required_in"] = json!(["production"]);
    let mut required = before.clone();
    required["DAYPASS_IDENTITY_TOKENS"] = json!(rules.to_string());
    stack.set_function_environment("daypass-prove", &required).await;

    let denied = stack.failure(&request()).await;
    let token = sealed_token(&stack, "github", json!({})).await;
    let proven = stack.ask(&request().with("identity_token", token)).await;
    let elsewhere = stack.ask(&Request::by("alex")).await;

    stack.set_function_environment("daypass-prove", &before).await;
    assert_eq!(denied.error, "Daypass.IdentityNotProven");
    assert!(denied.cause.reason.contains("`identity_token` is missing: in production"), "{}", denied.cause.reason);
    assert!(proven.result.is_ok(), "{proven:?}");
    assert!(elsewhere.result.is_ok(), "{elsewhere:?}");
}
