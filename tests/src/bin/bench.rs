//! Measures provisioning and release on a warm stack, one after the other, beside calls that do nothing: what the engine
//! and this machine cost is in every number, and the ratios say what is left of it.
//!
//! `make bench` runs it. It fails when a provisioning takes 250 ms or more at the median.

#![expect(clippy::expect_used, reason = "a measurement: what is not as expected ends it")]

use std::{
    collections::BTreeMap,
    env,
    future::Future,
    process::ExitCode,
    time::{Duration, Instant},
};

use daypass_tests::{
    pipeline::Request,
    stack::{Ended, Stack},
};
use serde_json::{Value, json};

const ROUNDS: usize = 50;
const WARM_UPS: usize = 5;
const LIMIT: Duration = Duration::from_millis(250);

/// Durations of one thing, in the order in which they were measured.
#[derive(Default)]
struct Sample(Vec<Duration>);

impl Sample {
    /// The duration that `share` of them do not exceed.
    fn quantile(&self, per_cent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * per_cent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    }

    fn median(&self) -> Duration {
        self.quantile(50)
    }
}

/// One table of samples, with the median of `beside` as the measure of the last column.
fn print(title: &str, rows: &[(&str, &Sample)], beside: &Sample) {
    println!("\n{title:<36} {:>10} {:>10} {:>9}", "median", "p90", "ratio");
    for (name, sample) in rows {
        let ratio = sample.median().as_secs_f64() / beside.median().as_secs_f64();
        println!("{name:<36} {} {} {ratio:>8.1}x", shown(sample.median()), shown(sample.quantile(90)));
    }
}

fn shown(duration: Duration) -> String {
    format!("{:>7.1} ms", duration.as_secs_f64() * 1000.0)
}

async fn timed<T>(sample: &mut Sample, measured: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let result = measured.await;
    sample.0.push(started.elapsed());
    result
}

/// A machine of one state that does nothing; returns its ARN.
async fn idle_machine(stack: &Stack) -> String {
    let definition =
        json!({"QueryLanguage": "JSONata", "StartAt": "Nothing", "States": {"Nothing": {"Type": "Succeed"}}});
    let role = format!("arn:aws:iam::{}:role/daypass-provision", stack.names.hub);
    let create = stack.hub().states().create_state_machine().name("bench-idle").role_arn(role);
    let create = create.r#type(aws_sdk_sfn::types::StateMachineType::Express).definition(definition.to_string());
    create.send().await.expect("a machine").state_machine_arn
}

/// How long an execution was in each of its states.
async fn states_of(stack: &Stack, execution_arn: &str, states: &mut BTreeMap<String, (usize, Sample)>) {
    let history = stack.history(execution_arn).await;
    let at = |event: &Value| event["timestamp"].as_f64().expect("seconds since the beginning of 1970");
    let mut entered = None;
    for event in &history {
        if let Some(state) = event.get("stateEnteredEventDetails") {
            entered = Some((state["name"].as_str().expect("a name").to_owned(), at(event)));
        } else if let Some(state) = event.get("stateExitedEventDetails")
            && let Some((name, since)) = entered.take_if(|(name, _)| state["name"] == json!(name))
        {
            let order = states.len();
            let (_, sample) = states.entry(name).or_insert((order, Sample::default()));
            sample.0.push(Duration::try_from_secs_f64(at(event) - since).unwrap_or_default());
        }
    }
}

fn rows(states: &BTreeMap<String, (usize, Sample)>) -> Vec<(&str, &Sample)> {
    let mut rows: Vec<_> = states.iter().collect();
    rows.sort_by_key(|(_, (order, _))| *order);
    rows.into_iter().map(|(name, (_, sample))| (name.as_str(), sample)).collect()
}

async fn released(stack: &Stack, execution_arn: &str) -> Ended {
    stack.ended(execution_arn).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let rounds = env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    let stack = Stack::alone().await;
    let idle_machine = idle_machine(&stack).await;
    let (mut provision, mut release) = (Sample::default(), Sample::default());
    let (mut idle, mut identity) = (Sample::default(), Sample::default());
    let (mut provision_states, mut release_states) = (BTreeMap::new(), BTreeMap::new());
    let (mut provision_calls, mut release_calls) = (0, 0);
    for round in 0..WARM_UPS + rounds {
        if round == WARM_UPS {
            (provision, release, idle, identity) = Default::default();
            (provision_states, release_states) = Default::default();
        }
        let nothing = stack.hub().states().start_sync_execution().state_machine_arn(&idle_machine).send();
        timed(&mut idle, nothing).await.expect("nothing");
        timed(&mut identity, stack.invoker.sts().get_caller_identity().send()).await.expect("an identity");

        stack.engine.forget_calls().await;
        let request = Request::by("alex");
        let access = timed(&mut provision, stack.provision(&request)).await;
        provision_calls = stack.engine.calls().await.len() - 1; // less our own
        states_of(&stack, &access.execution_arn, &mut provision_states).await;

        stack.engine.forget_calls().await;
        let ended = async {
            let execution = stack.release(&access).await;
            (released(&stack, &execution).await, execution)
        };
        let (ended, execution) = timed(&mut release, ended).await;
        assert_eq!(ended.output["status"], "deprovisioned", "{ended:?}");
        release_calls = stack.engine.calls().await.len();
        states_of(&stack, &execution, &mut release_states).await;
    }

    println!("{rounds} provisionings and releases, one after the other, on a warm stack");
    print(
        "what does nothing",
        &[("an execution without a task", &idle), ("sts:GetCallerIdentity", &identity)],
        &identity,
    );
    print(
        "Daypass, beside such an execution",
        &[("provisioning", &provision), ("release, until it has ended", &release)],
        &idle,
    );
    print("provisioning, by state", &rows(&provision_states), &provision);
    print("release, by state", &rows(&release_states), &release);
    println!(
        "\n{provision_calls} AWS calls and invocations in a provisioning, {release_calls} (with polling) in a release"
    );
    let median = provision.median();
    let verdict = if median < LIMIT { "under" } else { "NOT under" };
    println!("provisioning: {} at the median, {verdict} {}", shown(median).trim(), shown(LIMIT).trim());
    if median < LIMIT { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
