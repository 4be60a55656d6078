//! Promise 5: no secret at rest. Credentials are issued, and then everything fails that can fail: afterwards every place
//! that keeps anything is searched for them.

use std::{collections::BTreeSet, fs, time::SystemTime};

use daypass_tests::{
    engine::{Fault, IssuedSession},
    pipeline::{Access, Answer, Request},
    stack::{Stack, until},
};
use serde_json::{Value, json};

use crate::identity;

mod replaced;
mod search;

use self::{
    replaced::with_issue_creds,
    search::{Kept, Kind, Secrets, everything_kept, sealed_in, state_directory},
};

const DEFINITION: &str = include_str!("../../../statemachine/provision.asl.json");
const PACE: f64 = 0.01;

/// What has been asked for, and what came of it.
struct Story<'a> {
    stack: &'a Stack,
    since: SystemTime,
    requests: Vec<Request>,
    executions: Vec<String>,
    /// What was answered, and what else is not there any more at the end.
    seen: Vec<Kept>,
}

impl<'a> Story<'a> {
    fn of(stack: &'a Stack) -> Self {
        Self { stack, since: SystemTime::now(), requests: vec![], executions: vec![], seen: vec![] }
    }

    /// Asks for access.
    async fn ask(&mut self, request: Request) -> Answer {
        let answer = self.stack.ask(&request).await;
        self.seen.push(Kept::new(Kind::Answer, format!("the answer to {}", request.name), format!("{answer:?}")));
        self.executions.push(answer.execution_arn.clone());
        self.requests.push(request);
        answer
    }

    /// Asks for access under faults, and does not get it; returns the states that failed.
    async fn fail(&mut self, faults: impl IntoIterator<Item = Fault>) -> BTreeSet<String> {
        for fault in faults {
            self.stack.engine.arm(fault).await;
        }
        let answer = self.ask(Request::by("alex")).await;
        self.stack.engine.disarm().await;
        let failure = answer.result.expect_err("no access");
        assert_eq!(failure.cause.status, "failed", "{failure:?}");
        failed_states(&self.stack.history(&answer.execution_arn).await)
    }

    /// Every session that was issued for these transactions.
    async fn sessions(&self) -> Vec<IssuedSession> {
        let mut sessions = self.stack.engine.sessions().await;
        sessions.retain(|session| self.requests.iter().any(|request| session.arn.contains(&request.name)));
        sessions
    }

    /// Everything that is kept, when whatever goes on by itself has come to an end.
    async fn kept(mut self) -> Vec<Kept> {
        for request in &self.requests {
            let lease = self.stack.lease(request.transaction_id());
            let releases = self.stack.started_by("release", request.transaction_id()).await;
            let clean_ups = self.stack.started_by("cleanup", request.transaction_id()).await;
            // Of what provision could not close, an end is believed when its maker can do nothing any more.
            if self.stack.item(&request.name).await.is_some() {
                self.stack.set(&request.name, "requested_at", "2026-01-01T00:00:00Z").await;
            }
            for execution in releases.iter().chain(&clean_ups) {
                if self.stack.is_there(execution).await {
                    self.stack.ended(execution).await;
                    self.executions.push(execution.clone());
                }
            }
            if self.stack.is_there(&lease).await {
                self.executions.push(lease);
            }
        }
        let mut all = everything_kept(self.stack, &self.executions, self.since).await;
        all.extend(self.seen);
        all
    }
}

/// The states of an execution that failed.
fn failed_states(history: &[Value]) -> BTreeSet<String> {
    let mut state = "";
    let mut failed = BTreeSet::new();
    for event in history {
        if let Some(name) = event.pointer("/stateEnteredEventDetails/name").and_then(Value::as_str) {
            state = name;
        }
        let kind = event["type"].as_str().unwrap_or_default();
        if (kind.ends_with("Failed") || kind.ends_with("TimedOut")) && !kind.starts_with("Execution") {
            failed.insert(state.to_owned());
        }
    }
    failed
}

/// `IssueCredentials`, and the states with a task that can come after it.
fn tasks_from_issue_credentials() -> BTreeSet<String> {
    let definition: Value = serde_json::from_str(DEFINITION).unwrap();
    let mut reached = vec!["IssueCredentials".to_owned()];
    let mut next = 0;
    while let Some(name) = reached.get(next) {
        let state = &definition["States"][name];
        let catches = state["Catch"].as_array().into_iter().flatten();
        let choices = state["Choices"].as_array().into_iter().flatten();
        let ways = catches.chain(choices).chain([state]).flat_map(|way| [&way["Next"], &way["Default"]]);
        let ways: Vec<_> = ways.filter_map(Value::as_str).map(str::to_owned).collect();
        reached.extend(ways.into_iter().filter(|way| !reached.contains(way)).collect::<Vec<_>>());
        next += 1;
    }
    reached.into_iter().filter(|name| definition["States"][name]["Type"] == "Task").collect()
}

/// The next calls that provisioning makes of a task's function.
fn task(function: &str) -> Fault {
    let fault = Fault::of("lambda:InvokeFunction").with(500, "ServiceException");
    fault.by(":role/daypass-provision").on(&format!(":daypass-{function}"))
}

/// What issue-creds asks STS for.
fn issuing() -> Fault {
    Fault::of("sts:AssumeRole").by("/daypass-issue-creds/")
}

#[tokio::test]
async fn no_secret_is_kept_anywhere() {
    let stack = Stack::alone().await;
    let mut story = Story::of(&stack);
    let mut secrets = Secrets::default();

    // Somebody gets access, somebody does not.
    let request = Request::by("alex");
    let answer = story.ask(request.clone()).await;
    let access = Access::open(&request, answer.execution_arn, answer.result.expect("access"));
    stack.assume(&access).await;
    stack.released(&access).await;
    assert!(story.ask(Request::by("mallory")).await.result.is_err());

    // Credentials are issued anew, and are recorded or not.
    let request = Request::by("alex");
    let first = story.ask(request.clone()).await;
    let first = Access::open(&request, first.execution_arn, first.result.expect("access"));
    let renewed = stack.ask_again(&request.renewal()).await;
    story.executions.push(renewed.execution_arn.clone());
    let renewed = Access::open(&request, renewed.execution_arn, renewed.result.expect("new credentials"));
    secrets.add("the renewed secret access key", renewed.session.secret_access_key());
    secrets.add("the renewed session token", renewed.session.session_token().unwrap());
    let unrecorded = task("record").by(":role/daypass-renew").skipping(1).always();
    stack.engine.arm(unrecorded).await;
    let withheld = stack.ask_again(&request.renewal()).await;
    stack.engine.disarm().await;
    assert!(withheld.result.is_err());
    let sealed = sealed_in(&json!(stack.history(&withheld.execution_arn).await));
    for field in ["secret_access_key", "session_token"] {
        secrets
            .add(format!("a {field} of a renewal that was withheld"), request.unseal(&sealed)[field].as_str().unwrap());
    }
    story.executions.push(withheld.execution_arn);
    stack.released(&first).await;

    secrets.add("the secret access key", access.session.secret_access_key());
    secrets.add("the session token", access.session.session_token().unwrap());
    secrets.add("the access key id", access.session.access_key_id());

    // Identity tokens: one that proves who asks, and two that do not.
    for (claims, proves) in [(json!({}), true), (json!({"actor": "mallory"}), false), (json!({"aud": "x"}), false)] {
        let token = stack.engine.identity_token("github", &json!({"claims": claims})).await;
        let request = identity::request().with("identity_token", stack.seal(&token).await);
        let answer = story.ask(request.clone()).await;
        assert_eq!(answer.result.is_ok(), proves, "{answer:?}");
        if let Ok(grant) = answer.result {
            stack.released(&Access::open(&request, answer.execution_arn, grant)).await;
        }
        // What it says is in the record. What makes it a token is its signature.
        let signature = token.rsplit('.').next().unwrap();
        secrets.add(format!("the identity token with {claims}"), signature);
    }

    // Credentials are issued, and each state from there on fails.
    stack.engine.pace(PACE).await;
    let mut failed = BTreeSet::new();
    // The first two of record are RecordProcessing and RecordLease; the next four are RecordProvisioned with its retries.
    let record = || task("record").skipping(2);
    failed.extend(story.fail([record().times(4)]).await);
    let withheld = sealed_in(&json!(stack.history(story.executions.last().unwrap()).await));
    let withheld = story.requests.last().unwrap().unseal(&withheld);
    failed.extend(story.fail([record().always()]).await);
    failed.extend(story.fail([record().times(4), task("delete-role").always()]).await);
    // The first start is the lease's.
    let start = Fault::of("states:StartExecution").with(400, "AccessDeniedException").skipping(1).always();
    failed.extend(story.fail([record().times(4), task("delete-role").always(), start]).await);
    // Issued, though nobody heard of it; heard of, though nobody could read it; sealed, though nobody got it.
    failed.extend(story.fail([issuing().with(400, "Unexpected").after_execution().always()]).await);
    failed.extend(story.fail([issuing().cut_after("<SessionToken").always()]).await);
    failed.extend(story.fail([task("issue-creds").after_execution().always()]).await);
    assert!(failed.is_superset(&tasks_from_issue_credentials()), "{failed:?}");

    // The function panics, saying the credentials, and never comes back, with the credentials in its memory.
    for (wrong, says) in [("panic", "Panic"), ("hang", "timed out")] {
        with_issue_creds(&stack, "", wrong, async || {
            assert!(story.fail([]).await.contains("IssueCredentials"));
            let answer = String::from_utf8_lossy(&story.seen.last().unwrap().content).into_owned();
            assert!(answer.contains(says), "{answer}");
            story.seen.extend(search::processes(&stack).await);
        })
        .await;
    }

    for field in ["access_key_id", "secret_access_key", "session_token"] {
        secrets.add(format!("a withheld {field}"), withheld[field].as_str().unwrap());
    }
    // And all that STS issued for these transactions on the way, to whomever.
    let sessions = story.sessions().await;
    for request in story.requests.iter().skip(6) {
        let issued = sessions
            .iter()
            .any(|it| it.arn.contains(":assumed-role/daypass-pipeline/") && it.arn.contains(&request.name));
        assert!(issued, "{} never had credentials", request.name);
    }
    for IssuedSession { arn, via: _, access_key_id, secret_access_key, session_token } in &sessions {
        secrets.add(format!("the access key id of {arn}"), access_key_id);
        secrets.add(format!("the secret access key of {arn}"), secret_access_key);
        secrets.add(format!("the session token of {arn}"), session_token);
    }
    assert!(secrets.len() > 60, "credentials of the pipeline, the provisioner and the deployment");

    let own = functions_own(&stack).await;
    let kept = story.kept().await;
    for Kept { kind, place, content } in &kept {
        assert_eq!(secrets.found_in(content), BTreeSet::new(), "{kind:?}: {place}");
        // What a function has from Lambda is in its environment, as on AWS, and nowhere else.
        if *kind != Kind::Environment {
            assert_eq!(own.found_in(content), BTreeSet::new(), "{kind:?}: {place}");
        }
    }
    assert!(kept.iter().any(|it| it.kind == Kind::Environment && !own.found_in(&it.content).is_empty()));
    let panicked = kept.iter().filter(|it| it.place == "/aws/lambda/daypass-issue-creds");
    assert!(
        panicked.map(|it| String::from_utf8_lossy(&it.content)).any(|log| log.contains("the function panicked at"))
    );
}

/// The credentials of the functions' roles.
async fn functions_own(stack: &Stack) -> Secrets {
    let mut own = Secrets::default();
    for session in stack.engine.sessions().await.iter().filter(|session| session.via.is_none()) {
        own.add(format!("the secret access key of {}", session.arn), &session.secret_access_key);
        own.add(format!("the session token of {}", session.arn), &session.session_token);
    }
    own
}

/// The search would find something: in each kind of place.
#[tokio::test]
async fn the_search_finds_what_is_there() {
    let stack = Stack::alone().await;
    let planted = format!("planted{}", uuid::Uuid::new_v4().simple());
    let mut story = Story::of(&stack);

    // Recorded, kept in the history and logged.
    with_issue_creds(
        &stack,
        &format!("echo {planted}; export PLANTED={planted}"),
        &format!("serve {planted}"),
        async || {
            let request = Request::by("alex").with("justification", planted.as_str());
            story.ask(request).await.result.expect("access");
            // What it printed is logged with the next invocation, or a moment later.
            until("it is logged", async || {
                search::log(&stack.hub(), "/aws/lambda/daypass-issue-creds", story.since).await.contains(&planted)
            })
            .await;
            // Told.
            let nobody = Request::by("alex").with("email", format!("{planted}@example.com"));
            let failure = story.ask(nobody).await.result.expect_err("nobody");
            assert!(failure.cause.reason.contains(&planted));
            // Called with.
            stack.hub().iam().get_role().role_name(&planted).send().await.expect_err("no such role");
            let file = state_directory().join("planted");
            fs::write(&file, &planted).unwrap();

            let kept = everything_kept(&stack, &story.executions, story.since).await;
            fs::remove_file(file).unwrap();
            let mut secrets = Secrets::default();
            secrets.add("it", &planted);
            let all = kept.iter().chain(&story.seen);
            let found: BTreeSet<_> =
                all.filter(|it| !secrets.found_in(&it.content).is_empty()).map(|it| it.kind).collect();
            assert_eq!(found, BTreeSet::from(Kind::ALL));
            assert!(kept.iter().any(|it| it.place.ends_with("engine.log") && !it.content.is_empty()));
        },
    )
    .await;
}
