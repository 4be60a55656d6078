//! Promise 5: no secret at rest. After a provisioning, a denial and a failure with credentials already issued, every
//! place that keeps anything is searched for them.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use daypass_tests::{aws::Aws, engine::Fault, pipeline::Request, stack::Stack};
use serde_json::{Value, json};

/// A place that keeps something, and what it keeps.
struct Kept {
    place: String,
    content: String,
}

/// Everything that Daypass and the engine keep about these executions, and all logs and items.
async fn everything_kept(stack: &Stack, executions: &[String]) -> Vec<Kept> {
    let mut all = Vec::new();
    for arn in executions {
        all.push(Kept { place: format!("the history of {arn}"), content: text(&json!(stack.history(arn).await)) });
    }
    all.push(Kept { place: "the table".to_owned(), content: text(&json!(stack.items().await)) });
    all.extend(logs(&stack.hub()).await);
    let port = env::var("AWS_ENDPOINT_URL").unwrap().rsplit(':').next().unwrap().to_owned();
    let state = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.local/stacks").join(port);
    for file in files(&state) {
        let content = String::from_utf8_lossy(&fs::read(&file).unwrap_or_default()).into_owned();
        all.push(Kept { place: file.display().to_string(), content });
    }
    all
}

/// JSON in JSON in JSON, as state machines keep it, has its quotes and line breaks escaped over and over. Without them,
/// what is searched for is found however deep it lies.
fn text(value: &Value) -> String {
    value.to_string().replace("\\n", "").replace('\\', "")
}

async fn logs(hub: &Aws) -> Vec<Kept> {
    let logs = hub.logs();
    let mut groups = logs.describe_log_groups().into_paginator().items().send();
    let mut all = Vec::new();
    while let Some(group) = groups.next().await {
        let name = group.unwrap().log_group_name.unwrap();
        let mut content = String::new();
        let mut pages = logs.filter_log_events().log_group_name(&name).into_paginator().send();
        while let Some(page) = pages.next().await {
            for event in page.unwrap().events() {
                content += event.message().unwrap_or_default();
            }
        }
        all.push(Kept {
            place: format!("the log group {name}"),
            content: content.replace("\\n", "").replace('\\', ""),
        });
    }
    all
}

/// Every file of the stack that is not a template or a package.
fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let entries = entries.filter_map(Result::ok).map(|entry| entry.path());
    entries
        .filter(|path| !["cdk.out", "cdk-home", "s3"].iter().any(|skipped| path.ends_with(skipped)))
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

#[tokio::test]
async fn no_secret_is_kept_anywhere() {
    let stack = Stack::alone().await;
    let provisioned = Request::by("alex");
    let access = stack.provision(&provisioned).await;
    stack.assume(&access).await;
    let release = stack.release(&access).await;
    stack.ended(&release).await;
    let denied = Request::by("mallory");
    let denial = stack.ask(&denied).await;

    // One whose credentials were issued and then withheld. Its history has them sealed: we have the key.
    stack.engine.pace(0.01).await;
    let withheld = Request::by("alex");
    let record = Fault::of("lambda:InvokeFunction").with(500, "ServiceException").on(":daypass-record");
    stack.engine.arm(record.by(":role/daypass-provision").skipping(1).times(4)).await;
    let failure = stack.ask(&withheld).await;
    assert!(failure.result.is_err());
    let sealed = sealed_in(&json!(stack.history(&failure.execution_arn).await));
    let withheld_secrets = withheld.unseal(&sealed);

    let mut secrets = vec![
        ("the secret access key", access.session.secret_access_key().to_owned()),
        ("the session token", access.session.session_token().unwrap().to_owned()),
        ("the access key id", access.session.access_key_id().to_owned()),
    ];
    for field in ["access_key_id", "secret_access_key", "session_token"] {
        secrets.push(("a withheld credential", withheld_secrets[field].as_str().unwrap().to_owned()));
    }
    assert!(secrets.iter().all(|(_, secret)| secret.len() >= 16 && !secret.contains(['\\', '"', '\n'])));

    let leases = [access.transaction_id, withheld.transaction_id()].map(|id| stack.lease(id));
    let mut executions = vec![access.execution_arn.clone(), denial.execution_arn, failure.execution_arn, release];
    executions.extend(leases);
    let kept = everything_kept(&stack, &executions).await;

    for Kept { place, content } in &kept {
        for (what, secret) in &secrets {
            assert!(!content.contains(secret), "{what} is in {place}");
        }
    }

    // The search finds what is there: the transaction in its histories, in both machines' logs and in the table; the
    // sealed credentials in the history; and the engine's own log is not empty.
    let finds =
        |needle: &str, place: &str| kept.iter().any(|kept| kept.place.contains(place) && kept.content.contains(needle));
    let id = access.transaction_id.to_string();
    for place in [
        ":daypass-provision:",
        ":daypass-deprovision:",
        "states/daypass-provision",
        "states/daypass-deprovision",
        "the table",
    ] {
        assert!(finds(&id, place), "{place} knows nothing of {id}");
    }
    assert!(finds("BEGIN AGE ENCRYPTED FILE", ":daypass-provision:"));
    assert!(kept.iter().any(|kept| kept.place.ends_with("engine.log")), "the engine's log was read");
}

/// The sealed credentials in a history.
fn sealed_in(history: &Value) -> String {
    const END: &str = "-----END AGE ENCRYPTED FILE-----";
    let text = history.to_string();
    let begin = text.find("-----BEGIN AGE ENCRYPTED FILE-----").expect("sealed credentials");
    let sealed = &text[begin..begin + text[begin..].find(END).expect("the end") + END.len()];
    // The line breaks are escaped as often as JSON lies in JSON.
    let mut sealed = sealed.to_owned();
    while sealed.contains("\\\\") {
        sealed = sealed.replace("\\\\", "\\");
    }
    sealed.replace("\\n", "\n") + "\n"
}
