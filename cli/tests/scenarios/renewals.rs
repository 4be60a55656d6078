//! Commands that run longer than a session: sessions of seconds stand for those of an hour.

use std::{collections::BTreeSet, env, error::Error, process::Stdio, time::Duration};

use aws_config::BehaviorVersion;
use aws_credential_types::{Credentials, provider::ProvideCredentials};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use daypass::ids::TransactionId;
use daypass_tests::{engine::Fault, stack::Stack};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::command::{Ended, Folder, Said, daypass, ended, exec, granted_in, is_given_back, who_is};

/// So long that a renewal has time enough, also where everything is slow: it begins at a random moment, after 80 to 90 % of
/// this, and moments are whole seconds. At least three seconds are left then, of which a second try waits one.
const SESSION: &str = "25s";
const LENGTH: Duration = Duration::from_secs(25);
/// How many sessions there are with two renewals.
const SESSIONS: usize = 3;
/// How many sessions a program that calls AWS is to see.
const CHILD: &str = "DAYPASS_TEST_CALLS_AWS";
/// Generous: it is waited for in full only when a test fails.
const PATIENCE: Duration = Duration::from_mins(2);
const CALL_FAILED: i32 = 5;

/// What `daypass exec` runs below: this program, as the test that calls AWS.
fn caller() -> [String; 4] {
    let program = env::current_exe().expect("this program");
    let program = program.to_str().expect("UTF-8").to_owned();
    [
        program,
        "--exact".to_owned(),
        "--nocapture".to_owned(),
        "renewals::a_command_never_sees_a_session_that_has_ended".to_owned(),
    ]
}

/// Calls AWS with an SDK as fast as it can until it has seen so many sessions.
///
/// # Errors
/// When a call fails.
async fn call_aws(wanted: usize) -> Result<(), Box<dyn Error>> {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
    let sts = aws_sdk_sts::Client::new(&config);
    let provider = config.credentials_provider().expect("a source of credentials");
    let (mut sessions, began) = (BTreeSet::new(), Instant::now());
    while sessions.len() < wanted {
        assert!(began.elapsed() < PATIENCE, "there is no further session");
        let answer = sts.get_caller_identity().send().await?;
        assert!(answer.arn().expect("who it is").contains(":assumed-role/daypass-"), "{answer:?}");
        sessions.insert(provider.provide_credentials().await?.access_key_id().to_owned());
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// How often the role of a transaction was assumed.
async fn times_assumed(stack: &Stack, transaction: TransactionId) -> usize {
    let role = format!("/{}", transaction.role_name());
    let calls = stack.engine.calls().await;
    calls.iter().filter(|call| call.action == "sts:AssumeRole" && call.resource.ends_with(&role)).count()
}

#[tokio::test]
async fn a_command_never_sees_a_session_that_has_ended() {
    if let Ok(sessions) = env::var(CHILD) {
        match call_aws(sessions.parse().expect("a number")).await {
            Ok(()) => return,
            Err(_) => std::process::exit(CALL_FAILED),
        }
    }
    let (stack, state) = (Stack::alone().await, Folder::new());
    stack.engine.shortest_session(Duration::from_secs(1)).await;
    let caller = caller();
    let mut command = exec(&state, &["--serve", "--session-duration", SESSION], &caller.each_ref().map(String::as_str));
    command.env(CHILD, SESSIONS.to_string());
    let began = Instant::now();
    let Ended { code, stdout, stderr } = ended(command).await;
    assert_eq!(code, 0, "{stdout}\n{stderr}");
    assert!(began.elapsed() > LENGTH, "the first session had ended before the command did");
    assert_eq!(stderr.matches("the session has been renewed until").count(), SESSIONS - 1, "{stderr}");
    let transaction = granted_in(&stderr);
    is_given_back(&stack, transaction).await;
    assert_eq!(times_assumed(&stack, transaction).await, SESSIONS, "no more often than needed");
}

#[tokio::test]
async fn a_renewal_that_fails_is_tried_again_and_told() {
    let (stack, state) = (Stack::alone().await, Folder::new());
    stack.engine.shortest_session(Duration::from_secs(1)).await;
    let caller = caller();
    // The first renewal is refused, the next try is not.
    let failing = Fault::of("states:StartSyncExecution").on("daypass-renew").with(500, "InternalFailure");
    stack.engine.arm(failing).await;
    let mut command = exec(&state, &["--serve", "--session-duration", SESSION], &caller.each_ref().map(String::as_str));
    command.env(CHILD, "2");
    let Ended { code, stdout, stderr } = ended(command).await;
    assert_eq!(code, 0, "{stdout}\n{stderr}");
    assert!(stderr.contains("and could not be renewed: states:StartSyncExecution failed"), "{stderr}");
    assert_eq!(stack.engine.armed().await, 0);
}

#[tokio::test]
async fn who_may_not_have_it_any_more_is_not_renewed() {
    let (stack, state) = (Stack::alone().await, Folder::new());
    stack.engine.shortest_session(Duration::from_secs(1)).await;
    let user = stack.user_id("alex").await;
    let caller = caller();
    let mut command = exec(&state, &["--serve", "--session-duration", SESSION], &caller.each_ref().map(String::as_str));
    let mut child = command.env(CHILD, SESSIONS.to_string()).stdout(Stdio::null()).spawn().unwrap();
    let mut said = Said::by(&mut child);
    said.until("granted").await;
    stack.engine.enable_user(&user, false).await;
    let (said, ended) = (said.everything().await, child.wait().await.unwrap());
    stack.engine.enable_user(&user, true).await;
    assert_eq!(ended.code(), Some(CALL_FAILED), "calls fail when the session has ended, and not before: {said}");
    assert!(said.contains("error: Daypass.UserDisabled (denied)"), "{said}");
    assert!(said.contains("the session is no longer renewed; it ends at"), "{said}");
    is_given_back(&stack, granted_in(&said)).await;
}

#[tokio::test]
async fn credentials_are_renewed_by_whoever_asks_first() {
    let (stack, state) = (Stack::alone().await, Folder::new());
    stack.engine.shortest_session(Duration::from_secs(1)).await;
    let options = ["request", "--account", "payments-dev", "--session-duration", SESSION, "--output", "json"];
    let granted = ended(daypass(&state, &options)).await.json();
    let id = granted["transaction_id"].as_str().unwrap().to_owned();
    let ask = || ended(daypass(&state, &["credentials", "--transaction", &id]));
    let (mut seen, began): (Vec<Value>, _) = (Vec::new(), Instant::now());
    while seen.len() < SESSIONS {
        assert!(began.elapsed() < PATIENCE, "{seen:?}");
        // Several at once: one of them renews, and all get the same.
        let all = futures_util::future::join_all((0..3).map(|_| ask())).await;
        for one in all {
            let printed = one.json();
            let text = |name: &str| printed[name].as_str().unwrap().to_owned();
            let (key, secret, token) = (text("AccessKeyId"), text("SecretAccessKey"), text("SessionToken"));
            let role = stack.with(&Credentials::new(key, secret, Some(token), None, "printed"));
            assert!(who_is(&role).await.is_some(), "never one that has ended: {}", one.stderr);
            if !seen.contains(&printed) {
                seen.push(printed);
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
    let transaction = id.parse().unwrap();
    assert_eq!(times_assumed(&stack, transaction).await, SESSIONS, "one has renewed it for all");
    assert_eq!(ended(daypass(&state, &["release", &id])).await.code, 0);
    is_given_back(&stack, transaction).await;
}
