//! What `daypass personas explain` says is what the deployed machine does.

use std::process::{Command, Output};

use daypass_tests::{
    pipeline::{Account, Request},
    stack::Stack,
};
use serde_json::Value;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../personas.json");

/// What the command answers about a request: exit code, and what it prints.
fn explain(request: &Request, credentials: &[(&str, &str)]) -> (i32, Value) {
    let field = |name: &str| request.body[name].as_str();
    let mut command = Command::new(env!("CARGO_BIN_EXE_daypass"));
    command.args(["personas", "explain", "--format", "json", "--file", SHIPPED]);
    let options = [
        ("--email", field("email")),
        ("--account", field("target_aws_account")),
        ("--group-type", field("group_type")),
        ("--branch", field("branch")),
    ];
    for (option, value) in options {
        command.args(value.into_iter().flat_map(|value| [option, value]));
    }
    for (name, value) in credentials {
        command.env(name, value);
    }
    let Output { status, stdout, stderr } = command.output().expect("the command runs");
    let answer = serde_json::from_slice(&stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&stderr)));
    (status.code().expect("an exit code"), answer)
}

#[tokio::test]
async fn explain_says_what_the_machine_does() {
    let stack = Stack::shared().await;
    // The engine takes an account's id for its root's access key, with any secret.
    let hub = [
        ("AWS_ACCESS_KEY_ID", stack.names.hub.as_str()),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_SESSION_TOKEN", ""),
    ];
    let requests = [
        Request::by("alex"),
        Request::by("alex").to(Account::Production).with("branch", "release/1.0"),
        Request::by("nadia").with("group_type", "Network-Deployers"),
        Request::by("alex").to(Account::Production).with("branch", "feature/receipts"),
        Request::by("alex").with("group_type", "Network-Deployers"),
        Request::by("erin").to(Account::Production),
        Request::by("mallory"),
        Request::by("dave"),
        Request::by("nobody"),
        Request::by("alex").with("group_type", "Nobody"),
        Request::by("alex").with("target_aws_account", "sandbox").with("target_aws_account_id", "999999999999"),
        // Who is wrong in two ways is denied for the first.
        Request::by("dave").to(Account::Production).with("branch", "feature/receipts"),
    ];
    for request in requests {
        let answer = stack.ask(&stack.proven(request.clone()).await).await;
        let (code, explanation) = explain(&request, &hub);
        let (answers, error) = match &answer.result {
            Ok(_) => ("yes", None),
            Err(failure) => ("no", Some(failure.error.as_str())),
        };
        assert_eq!(code, i32::from(error.is_some()), "{}: {explanation:#}", request.body);
        assert_eq!(explanation["answer"], answers, "{}: {explanation:#}", request.body);
        assert_eq!(explanation["error"].as_str(), error, "{}: {explanation:#}", request.body);
    }
}

#[tokio::test]
async fn explain_does_not_guess_without_permission() {
    let stack = Stack::shared().await;
    // The environment's own credentials are a pipeline's, and it may not read the identity store.
    let (code, explanation) = explain(&Request::by("alex"), &[]);
    drop(stack);
    assert_eq!((code, &explanation["answer"]), (2, &Value::from("unknown")), "{explanation:#}");
    let because = explanation["steps"][1]["because"].as_str().unwrap();
    assert!(because.starts_with("not checked: identitystore:GetUserId failed with AccessDenied"), "{because}");
}
