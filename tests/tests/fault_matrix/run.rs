//! Plays a scenario while calls are hit, lets time pass, and gathers what is left.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use daypass::{ids::TransactionId, timestamp::Timestamp};
use daypass_tests::{
    engine::{IssuedSession, RecordedCall},
    pipeline::Account,
    stack::{Ended, Stack},
};
use serde_json::{Value, json};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

use crate::{
    fault::{Hit, Kind, LATE},
    scenario::{Cast, Scenario, Told},
};

/// How long executions may take until they have ended, without delays. It is waited for in full only when one does not end.
const PATIENCE: Duration = Duration::from_mins(6);
const POLL: Duration = Duration::from_millis(150);
/// The statuses that are the last.
pub const TERMINAL: [&str; 3] = ["denied", "failed", "deprovisioned"];

/// One sweep at a time, as the schedule has it: who waits for one waits for one that begins after that.
static SWEEP: Mutex<()> = Mutex::const_new(());

/// Who ended what the clients and the lease have not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndedBy {
    /// Nobody had to: the request, the release, the clean-up or the lease.
    Itself,
    /// A sweep, while the calls failed still.
    Sweep,
    /// A sweep, when they did not fail any more.
    LaterSweep,
    /// A person, with a release, when they did not fail any more.
    Person,
    /// Nobody.
    Nobody,
}

/// An execution, and the states that it entered.
#[derive(Debug)]
pub struct Ran {
    pub arn: String,
    pub status: String,
    pub ended: Option<Ended>,
    pub states: Vec<String>,
}

impl Ran {
    pub fn is_of(&self, machine: &str) -> bool {
        self.arn.contains(&format!(":daypass-{machine}:"))
    }

    pub fn entered(&self, state: &str) -> bool {
        self.states.iter().any(|it| it == state)
    }
}

/// Everything that was seen of a run.
#[derive(Debug)]
pub struct Played {
    pub scenario: Scenario,
    pub hits: Vec<Hit>,
    pub id: TransactionId,
    /// Whether a call was hit.
    pub struck: bool,
    pub told: Vec<Told>,
    /// The transaction's item, and the items of its ends by their keys.
    pub item: Option<Value>,
    pub ends: BTreeMap<String, Value>,
    /// Whether the transaction was open or its role stood when every execution had ended, and when a sweep had been as well, while
    /// the calls failed still.
    pub open_after_lease: bool,
    pub open_after_sweep: bool,
    pub ended_by: EndedBy,
    /// Executions that do not end.
    pub endless: Vec<String>,
    pub executions: Vec<Ran>,
    pub calls: Vec<RecordedCall>,
    /// Accounts in which a role stands at rest.
    pub standing: Vec<&'static str>,
    /// Sessions that can still do something.
    pub usable: Vec<String>,
    /// Where a secret was found.
    pub leaks: Vec<String>,
    pub secrets: Vec<String>,
    /// What was granted, and does not work.
    pub in_vain: Vec<String>,
}

/// Plays one run.
pub async fn play(stack: &Stack, scenario: Scenario, hits: &[Hit]) -> Played {
    let cast = Cast::prepare(stack, scenario).await;
    let id = cast.id();
    for hit in hits {
        stack.engine.arm(hit.point.fault(hit.kind, hit.for_good, id)).await;
    }
    let told = cast.play(stack).await;
    let in_vain = cast.use_what_was_granted(stack, &told).await;
    let late = hits.iter().any(|hit| hit.kind == Kind::Late);
    if late {
        // What comes late comes before anybody may believe that it never will: that is after five minutes.
        sleep(LATE * 2).await;
    }
    let mut endless = pass_time(stack, id).await;
    let open_after_lease = is_open(stack, id).await;
    let mut ended_by = EndedBy::Itself;
    if open_after_lease {
        ended_by = EndedBy::Sweep;
        endless.extend(sweep(stack, id).await);
    }
    let open_after_sweep = open_after_lease && is_open(stack, id).await;
    stack.engine.disarm_about(id).await;
    if open_after_sweep {
        ended_by = EndedBy::LaterSweep;
        endless.extend(sweep(stack, id).await);
        if is_open(stack, id).await {
            ended_by = EndedBy::Person;
            let name = format!("{id}-release-{}", uuid::Uuid::new_v4().simple());
            let started = stack.start_deprovisioning(&name, &json!({"transaction_id": id})).await;
            started.expect("a person can release");
            endless.extend(pass_time(stack, id).await);
            if is_open(stack, id).await {
                ended_by = EndedBy::Nobody;
            }
        }
    }
    // Nothing fails any more: whatever still runs comes to its end.
    endless.extend(pass_time_of(stack, id, |_| true).await);
    let open = (open_after_lease, open_after_sweep, ended_by);
    Played { in_vain, ..look(stack, cast, hits, told, open, endless).await }
}

fn ago(length: Duration) -> Timestamp {
    Timestamp::from_datetime((SystemTime::now() - length).into())
}

/// Lets what is recorded be twenty minutes old, and with `expired` its lease, too.
pub async fn age(stack: &Stack, id: TransactionId, expired: bool) {
    let Some(item) = stack.item(id).await else { return };
    let attributes = ["requested_at", "role_created_at", "ending_since", "expires_at"];
    for attribute in &attributes[..if expired { 4 } else { 2 }] {
        if item.get(attribute).is_some() {
            stack.set(id, attribute, ago(Duration::from_mins(20))).await;
        }
    }
}

/// Lets every delay end, the lease's too, until all executions of a transaction have ended; returns those that do not. The sweeps of
/// other runs find what is open here, too: what they start meanwhile is not waited for.
async fn pass_time(stack: &Stack, id: TransactionId) -> Vec<String> {
    let swept: BTreeSet<_> =
        stack.engine.executions_about(id).await.into_keys().filter(|arn| is_of_sweep(arn)).collect();
    pass_time_of(stack, id, |arn| !is_of_sweep(arn) || swept.contains(arn)).await
}

fn is_of_sweep(arn: &str) -> bool {
    arn.contains("-sweep-")
}

async fn pass_time_of(stack: &Stack, id: TransactionId, awaited: impl Fn(&str) -> bool) -> Vec<String> {
    let (deadline, mut round) = (Instant::now() + PATIENCE, 0);
    loop {
        let executions = stack.engine.executions_about(id).await;
        let running: Vec<_> = executions
            .into_iter()
            .filter(|(arn, status)| (status == "RUNNING" || status == "WAITING") && awaited(arn))
            .collect();
        if running.is_empty() {
            return Vec::new();
        }
        if Instant::now() > deadline {
            return running.into_iter().map(|(arn, _)| arn).collect();
        }
        // Not before an execution of provision has ended: what it has to say is not old, and its lease not over.
        if !running.iter().any(|(arn, _)| arn.contains(":daypass-provision:")) {
            if round % 8 == 0 {
                age(stack, id, false).await;
            }
            stack.engine.end_delays_about(id).await;
        }
        sleep(POLL).await;
        round += 1;
    }
}

async fn is_open(stack: &Stack, id: TransactionId) -> bool {
    let status = stack.item(id).await.map(|item| item["status"].as_str().unwrap_or_default().to_owned());
    if status.is_some_and(|status| !TERMINAL.contains(&status.as_str())) {
        return true;
    }
    !standing(stack, id).await.is_empty()
}

async fn standing(stack: &Stack, id: TransactionId) -> Vec<&'static str> {
    let mut found = Vec::new();
    for account in Account::ALL {
        if stack.role(id, account.id()).await.is_some() {
            found.push(account.name());
        }
    }
    found
}

/// Twenty minutes later a sweep comes, and what it begins comes to its end.
async fn sweep(stack: &Stack, id: TransactionId) -> Vec<String> {
    age(stack, id, true).await;
    {
        let _turn = SWEEP.lock().await;
        stack.sweep().await;
    }
    pass_time(stack, id).await
}

async fn look(
    stack: &Stack,
    cast: Cast,
    hits: &[Hit],
    told: Vec<Told>,
    (open_after_lease, open_after_sweep, ended_by): (bool, bool, EndedBy),
    endless: Vec<String>,
) -> Played {
    let id = cast.id();
    let mut calls = stack.engine.calls_about(id).await;
    // What clients call, and whoever looks, is of no state.
    calls.retain(|call| !call.state.is_empty());
    let item = stack.item(id).await;
    let (mut executions, mut kept) = (Vec::new(), Vec::new());
    let mut known = stack.engine.executions_about(id).await;
    // A renewal has any name.
    for told in &told {
        if let Told::Renewal(answer) = told {
            known.insert(answer.execution_arn.clone(), "ENDED".to_owned());
        }
    }
    for (arn, status) in known {
        let history = stack.history(&arn).await;
        let entered = |event: &Value| Some(event.get("stateEnteredEventDetails")?["name"].as_str()?.to_owned());
        let states = history.iter().filter_map(entered).collect();
        let ended = if arn.contains(":daypass-deprovision:") { Some(stack.described(&arn).await) } else { None };
        kept.push((format!("the history of {arn}"), json!(history).to_string()));
        executions.push(Ran { arn, status, ended, states });
    }
    let mut ends = BTreeMap::new();
    let keys = executions.iter().filter_map(|it| it.ended.as_ref()?.output["deprovisioning_transaction_id"].as_str());
    for key in keys.chain([format!("{id}#end").as_str()]) {
        if let Some(item) = stack.item(key).await {
            ends.insert(key.to_owned(), item);
        }
    }
    kept.push(("the table".to_owned(), json!([item, ends]).to_string()));
    kept.push(("the recorded calls".to_owned(), format!("{calls:?}")));
    kept.push(("what was told".to_owned(), format!("{told:?}")));
    let sessions = stack.engine.sessions_about(id).await;
    let standing = standing(stack, id).await;
    let usable = usable(stack, id, &cast, &sessions).await;
    let mut secrets = cast.secrets.clone();
    secrets.extend(sessions.into_iter().flat_map(|it| [it.secret_access_key, it.session_token]));
    let leaks = crate::leaks::found(&secrets, &kept);
    let struck = calls.iter().any(|call| call.fault.is_some());
    stack.engine.forget_calls_about(id).await;
    let (scenario, hits) = (cast.scenario, hits.to_vec());
    Played {
        scenario,
        hits,
        id,
        struck,
        told,
        item,
        ends,
        open_after_lease,
        open_after_sweep,
        ended_by,
        endless,
        executions,
        calls,
        standing,
        usable,
        leaks,
        secrets,
        in_vain: Vec::new(),
    }
}

/// The sessions that let somebody do something still: with the role, or to it.
async fn usable(stack: &Stack, id: TransactionId, cast: &Cast, sessions: &[IssuedSession]) -> Vec<String> {
    let account = cast.request.body["target_aws_account_id"].as_str().expect("an account");
    let role = format!("arn:aws:iam::{account}:role/daypass/{}", id.role_name());
    let mut found = Vec::new();
    for session in sessions {
        let credentials = aws_credential_types::Credentials::new(
            &session.access_key_id,
            &session.secret_access_key,
            Some(session.session_token.clone()),
            None,
            "issued",
        );
        let somebody = stack.with(&credentials);
        let pipeline = session.arn.contains(":assumed-role/daypass-pipeline/");
        let deployment = session.arn.contains(&format!(":assumed-role/{}/", id.role_name()));
        let works = (pipeline && stack.assume_with(&somebody, &role).await.is_ok())
            || (deployment && somebody.iam().list_roles().send().await.is_ok());
        if works {
            found.push(session.arn.clone());
        }
    }
    found
}
