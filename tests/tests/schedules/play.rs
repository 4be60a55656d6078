//! Plays schedules, several at once, and then lets everything come to rest.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use aws_sdk_sfn::types::ExecutionStatus;
use daypass::{ids::TransactionId, timestamp::Timestamp};
use daypass_tests::{
    aws::Refused,
    engine::RecordedCall,
    pipeline::{Account, Answer, Request},
    stack::{Ended, Stack},
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use crate::schedule::{Action, Lease, Schedule, Step, Who};

/// How long it may take until nothing is left to be done. It is waited for in full only when something does not end.
const PATIENCE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(30);

/// What became of a step.
pub enum Outcome {
    /// A request was answered.
    Told { of: usize, answer: Answer },
    /// The deprovision machine was started, or not.
    Started { result: Result<String, Refused> },
    /// Something else happened.
    Other(String),
}

/// A schedule that was played, and what was seen of it.
pub struct Played {
    pub schedule: Schedule,
    /// Of each step.
    pub outcomes: Vec<Outcome>,
    /// By transaction.
    pub items: BTreeMap<String, Value>,
    /// The ids of the items that record ends, and whose end it is.
    pub ends: BTreeMap<String, Value>,
    /// The accounts in which a role stands at rest.
    pub roles: Vec<(TransactionId, Account)>,
    /// Every execution of the deprovision machine that is known, by its ARN.
    pub executions: BTreeMap<String, Ended>,
    /// The calls that name one of its transactions, in the order of their answers.
    pub calls: Vec<RecordedCall>,
    /// What had to be done by hand.
    pub by_hand: Vec<TransactionId>,
    /// What did not end.
    pub endless: Vec<String>,
}

/// Plays schedules at once. `provisioning` is how long one takes.
pub async fn play(stack: &Stack, schedules: Vec<Schedule>, provisioning: Duration) -> Vec<Played> {
    stack.engine.forget_calls().await;
    for schedule in &schedules {
        for planned in &schedule.faults {
            stack.engine.arm(planned.fault.clone()).await;
        }
    }
    let prepared = schedules.iter().map(|schedule| {
        let prepared = schedule.steps.iter().map(async |step| (step, prepare(stack, schedule, step).await));
        join_all(prepared)
    });
    let prepared = join_all(prepared).await;
    let start = Instant::now();
    let outcomes = join_all(schedules.iter().zip(prepared).map(|(schedule, steps)| {
        join_all(steps.into_iter().map(async |(step, request)| {
            sleep_until(start + provisioning * step.at / 100).await;
            carry_out(stack, schedule, step, request).await
        }))
    }))
    .await;
    let ids: Vec<_> = schedules.iter().flat_map(|schedule| schedule.ids.clone()).collect();
    let (by_hand, endless) = rest(stack, &ids).await;
    look(stack, schedules.into_iter().zip(outcomes), &by_hand, &endless).await
}

/// What somebody sends, with the identity token that it takes: to get one takes time.
async fn prepare(stack: &Stack, schedule: &Schedule, step: &Step) -> Request {
    let named = |request: Request, of: usize| request.named(schedule.ids[of].to_string());
    match step.action {
        Action::Request { of, who, account, lease } => {
            let request = named(request(who, account, lease), of);
            let proves = account == Account::Production && who != Who::Unproven;
            if proves { stack.proven(request).await } else { request }
        }
        Action::Renew { of } => stack.proven(named(Request::by("alex").with("branch", "main"), of)).await,
        _ => Request::by("nobody"),
    }
}

async fn carry_out(stack: &Stack, schedule: &Schedule, step: &Step, request: Request) -> Outcome {
    let id = |of: &usize| schedule.ids[*of];
    match &step.action {
        Action::Request { of, .. } => Outcome::Told { of: *of, answer: stack.ask(&request).await },
        Action::Start { name, input } => {
            let input: Value = serde_json::from_str(input).expect("JSON");
            Outcome::Started { result: stack.start_deprovisioning(name, &input).await }
        }
        Action::Renew { .. } => Outcome::Other(match stack.ask_again(&request.renewal()).await.result {
            Ok(_) => "renewed".to_owned(),
            Err(failure) => format!("not renewed: {}: {}", failure.error, failure.cause.reason),
        }),
        Action::Expire { of } => {
            let waited = stack.engine.end_delay(&stack.lease(id(of))).await;
            Outcome::Other(if waited { "it waited" } else { "it did not wait" }.to_owned())
        }
        Action::StopLease { of } => {
            let states = stack.hub().states();
            let stopped = states.stop_execution().execution_arn(stack.lease(id(of))).send().await;
            Outcome::Other(stopped.map_or_else(|error| Refused::from(error).code, |_| "it was stopped".to_owned()))
        }
        Action::Sweep => {
            let (_, ended) = stack.sweep().await;
            Outcome::Other(format!("{:?} {:?}", ended.status, ended.cause))
        }
    }
}

fn request(who: Who, account: Account, lease: Lease) -> Request {
    let login = match who {
        Who::Member | Who::Unproven => "alex",
        Who::OfAnotherGroup => "nadia",
        Who::NoMember => "mallory",
        Who::Nobody => "nobody",
    };
    let request = Request::by(login).to(account).lasting(match lease {
        Lease::Seconds(seconds) => Duration::from_secs(seconds.into()),
        Lease::Long => Duration::from_hours(7),
    });
    match who {
        Who::Unproven => request.with("identity_token", NO_TOKEN).with("repository", "example/payments"),
        _ => request,
    }
}

/// It has the form of a token in its envelope, and opens with no key.
const NO_TOKEN: &str =
    "eyJhbGciOiJSU0EtT0FFUC0yNTYiLCJlbmMiOiJBMjU2R0NNIn0.AAAA.AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA";

fn ago(length: Duration) -> Timestamp {
    Timestamp::from_datetime((SystemTime::now() - length).into())
}

/// Nothing fails any more, and time passes: every delay ends, leases included, and what is open grows old. What nobody ends, a
/// sweep finds; what a sweep does not find, is released by hand, and that is told.
async fn rest(stack: &Stack, ids: &[TransactionId]) -> (Vec<TransactionId>, Vec<String>) {
    stack.engine.disarm().await;
    let deadline = Instant::now() + PATIENCE;
    let (mut by_hand, mut round) = (Vec::new(), 0);
    loop {
        let open = open(stack, ids).await;
        for (id, item) in &open {
            stack.set(id, "requested_at", ago(Duration::from_mins(20))).await;
            if item.get("role_created_at").is_some() {
                stack.set(id, "role_created_at", ago(Duration::from_mins(20))).await;
            }
        }
        loop {
            stack.engine.end_delays().await;
            let running = running(stack).await;
            if running.is_empty() {
                break;
            }
            if Instant::now() > deadline {
                return (by_hand, stop(stack, running).await);
            }
            sleep(POLL).await;
        }
        let left: Vec<_> = self::open(stack, ids).await.into_iter().map(|(id, _)| id).collect();
        if left.is_empty() {
            return (by_hand, Vec::new());
        }
        round += 1;
        if round <= 2 {
            for id in &left {
                stack.set(id, "requested_at", ago(Duration::from_mins(20))).await;
                stack.set(id, "expires_at", ago(Duration::from_mins(20))).await;
            }
            stack.sweep().await;
        } else if round <= 4 {
            for id in &left {
                let name = format!("{id}-release-by-hand-{round}");
                stack.start_deprovisioning(&name, &json!({"transaction_id": id})).await.expect("it is started");
            }
            by_hand.extend(left);
        } else {
            return (by_hand, left.into_iter().map(|id| format!("{id} stays open")).collect());
        }
    }
}

/// The transactions that have not ended.
async fn open(stack: &Stack, ids: &[TransactionId]) -> Vec<(TransactionId, Value)> {
    let items = join_all(ids.iter().map(|id| stack.item(id))).await;
    let found = ids.iter().copied().zip(items).filter_map(|(id, item)| Some((id, item?)));
    found.filter(|(_, item)| !TERMINAL.contains(&item["status"].as_str().expect("a status"))).collect()
}

/// The statuses that are the last.
pub const TERMINAL: [&str; 3] = ["denied", "failed", "deprovisioned"];

async fn running(stack: &Stack) -> Vec<String> {
    let states = stack.hub().states();
    let mut found = Vec::new();
    for machine in [&stack.names.deprovision, &stack.names.sweep] {
        let list = states.list_executions().state_machine_arn(machine).status_filter(ExecutionStatus::Running);
        let mut pages = list.into_paginator().items().send();
        while let Some(execution) = pages.next().await {
            found.push(execution.expect("an execution").execution_arn);
        }
    }
    found
}

async fn stop(stack: &Stack, running: Vec<String>) -> Vec<String> {
    for execution in &running {
        // Whether it has ended meanwhile does not matter.
        let _ = stack.hub().states().stop_execution().execution_arn(execution).send().await;
    }
    running.into_iter().map(|execution| format!("{execution} does not end")).collect()
}

/// Looks at what is left, for each schedule.
async fn look(
    stack: &Stack,
    played: impl Iterator<Item = (Schedule, Vec<Outcome>)>,
    by_hand: &[TransactionId],
    endless: &[String],
) -> Vec<Played> {
    let calls = stack.engine.calls().await;
    let mut standing = BTreeSet::new();
    for account in Account::ALL {
        let iam = stack.root(account.id()).iam();
        let mut pages = iam.list_roles().path_prefix("/daypass/").into_paginator().items().send();
        while let Some(role) = pages.next().await {
            standing.insert((account.id(), role.expect("a role").role_name));
        }
    }
    let mut all = Vec::new();
    for (schedule, outcomes) in played {
        let ids = schedule.ids.clone();
        let names: BTreeSet<_> = ids.iter().map(ToString::to_string).collect();
        let concerns = |call: &&RecordedCall| call.transactions.iter().any(|id| names.contains(id));
        let calls: Vec<_> = calls.iter().filter(concerns).cloned().collect();
        let mut items = BTreeMap::new();
        for id in &ids {
            if let Some(item) = stack.item(id).await {
                items.insert(id.to_string(), item);
            }
        }
        let known = executions(stack, &ids, &outcomes, &calls);
        let mut executions = BTreeMap::new();
        for execution in known {
            if stack.is_there(&execution).await {
                let ended = stack.described(&execution).await;
                executions.insert(execution, ended);
            }
        }
        let mut ends = BTreeMap::new();
        let outputs = executions.values().map(|ended| &ended.output["deprovisioning_transaction_id"]);
        for key in outputs.filter_map(Value::as_str) {
            if let Some(item) = stack.item(key).await {
                ends.insert(key.to_owned(), item);
            }
        }
        let roles = ids.iter().flat_map(|id| Account::ALL.map(|account| (*id, account)));
        let roles = roles.filter(|(id, account)| standing.contains(&(account.id(), id.role_name()))).collect();
        let concern = |text: &&String| names.iter().any(|id| text.contains(id));
        let endless = endless.iter().filter(concern).cloned().collect();
        let by_hand = by_hand.iter().copied().filter(|id| ids.contains(id)).collect();
        all.push(Played { schedule, outcomes, items, ends, roles, executions, calls, by_hand, endless });
    }
    all
}

/// The executions that the schedule, provision and sweeps have started.
fn executions(stack: &Stack, ids: &[TransactionId], outcomes: &[Outcome], calls: &[RecordedCall]) -> BTreeSet<String> {
    let prefix = stack.names.deprovision.replace(":stateMachine:", ":execution:");
    let by_machines = calls.iter().filter(|call| call.action == "states:StartExecution");
    let by_machines = by_machines.filter_map(|call| Some(format!("{prefix}:{}", call.parameters.get("Name")?)));
    let by_schedule = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Started { result: Ok(execution) } => Some(execution.clone()),
        _ => None,
    });
    let leases = ids.iter().map(|id| stack.lease(*id));
    by_machines.chain(by_schedule).chain(leases).collect()
}
