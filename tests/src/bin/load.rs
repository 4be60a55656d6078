//! Many at once: requests of twenty people into three accounts, fifty at a time, while IAM throttles, and then their releases; and
//! many open leases, which wait. Nothing may be lost and nothing left, and a lease may cost no more because there are others.
//!
//! `make load` runs it on an engine of its own, and writes `docs/load.svg`. Every number has in it what the engine and this machine
//! cost: fifty requests share two cores with the AWS that they call.

#![expect(clippy::expect_used, reason = "a measurement: what is not as expected ends it")]

use std::{
    env,
    fmt::Write as _,
    fs,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_identitystore::types::{Email, Name};
use daypass::{ids::TransactionId, timestamp::Timestamp};
use daypass_tests::{
    pipeline::{Account, Request, new_transaction_id},
    stack::Stack,
};
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use tokio::time::sleep;

const PEOPLE: usize = 20;
const AT_ONCE: usize = 50;
/// The third account of the stack (`daypass_local run --three-accounts`).
const THIRD: (&str, &str) = ("444444444444", "payments-third");
/// What IAM takes of an account in a second, about. AWS does not say; it is a matter of tens.
const IAM_CALLS_PER_SECOND: f64 = 20.0;
/// How many leases are opened between two measurements.
const STEPS: usize = 10;
const PROBES: usize = 5;
const POLL: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_mins(10);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let number = |at| env::args().nth(at).and_then(|text| text.parse::<usize>().ok());
    let (requests, leases) = (number(1).unwrap_or(1000), number(2).unwrap_or(10_000));
    let stack = Stack::alone().await;
    let people = hire(&stack).await;
    let burst = burst(&stack, &people, requests).await;
    let waiting = waiting(&stack, leases).await;
    let svg = svg(&burst, &waiting);
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/load.svg"), svg).expect("it is written");
    let problems: Vec<_> = burst.problems.iter().chain(&waiting.problems).collect();
    for problem in &problems {
        println!("NOT as promised: {problem}");
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn accounts() -> [(&'static str, &'static str); 3] {
    let [development, production] = Account::ALL.map(|account| (account.id(), account.name()));
    [development, production, THIRD]
}

/// Makes people who may have a role in every account; returns their logins.
async fn hire(stack: &Stack) -> Vec<String> {
    let mut people = Vec::new();
    for number in 1..=PEOPLE {
        let login = format!("load-{number:02}");
        let address = format!("{login}@example.com");
        let email = Email::builder().value(&address).r#type("work").primary(true).build();
        let user = stack.hub().identities().create_user().identity_store_id(&stack.names.identity_store);
        let name = Name::builder().given_name("Load").family_name(&login).build();
        let user = user.user_name(&address).display_name(&login).name(name).emails(email);
        user.profile_url(format!("https://github.com/{login}")).send().await.expect("a user");
        for (account, _) in accounts() {
            stack.set_membership(&login, &format!("PwC_GP_{account}_Product_Admin"), true).await;
        }
        people.push(login);
    }
    people
}

/// What became of many requests at once.
struct Burst {
    provisioned: Vec<Duration>,
    released: Vec<Duration>,
    failed: usize,
    took: [Duration; 2],
    throttled: usize,
    problems: Vec<String>,
}

async fn burst(stack: &Stack, people: &[String], count: usize) -> Burst {
    let mut requests = Vec::new();
    for number in 0..count {
        let (id, name) = accounts()[number % 3];
        let request = Request::by(&people[number % people.len()]);
        let request = request.with("target_aws_account", name).with("target_aws_account_id", id);
        // There nobody gets a role without an identity token.
        let proven = id == Account::Production.id();
        requests.push(if proven { stack.proven(request.to(Account::Production)).await } else { request });
    }
    println!("{count} requests of {} people into 3 accounts, {AT_ONCE} at once", people.len());
    stack.engine.iam_calls_per_second(Some(IAM_CALLS_PER_SECOND)).await;
    let (started, mut problems) = (Instant::now(), Vec::new());
    let answers: Vec<_> = stream::iter(&requests)
        .map(async |request| {
            let begun = Instant::now();
            (request, stack.ask(request).await.result, begun.elapsed())
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let provisioning = started.elapsed();
    let (mut provisioned, mut failed) = (Vec::new(), 0);
    for (request, result, took) in &answers {
        let id = request.transaction_id();
        match result {
            Ok(_) => {
                provisioned.push(*took);
                if stack.status(id).await != "provisioned" {
                    problems.push(format!("{id} was granted, and is {}", stack.status(id).await));
                }
            }
            // IAM may throttle for longer than somebody waits. Then nothing is left, and it is told.
            Err(failure) => {
                failed += 1;
                if failed <= 3 {
                    println!("  {} {}", failure.error, failure.cause.reason);
                }
            }
        }
    }
    println!("  granted {}, told failed {failed}, in {:.0} s", provisioned.len(), provisioning.as_secs_f64());
    quantiles("  provisioning", &provisioned);

    let started = Instant::now();
    let released: Vec<_> = stream::iter(&requests)
        .map(async |request| {
            let (id, begun) = (request.transaction_id(), Instant::now());
            let name = format!("{id}-release-{}", uuid::Uuid::new_v4().simple());
            let release = stack.start_deprovisioning(&name, &json!({"transaction_id": id})).await.expect("a release");
            let deadline = Instant::now() + PATIENCE;
            loop {
                sleep(POLL).await;
                let status = stack.engine.executions_about(id).await.remove(&release);
                match status.as_deref() {
                    Some("SUCCEEDED") => return Ok(begun.elapsed()),
                    Some("RUNNING" | "WAITING") | None if Instant::now() < deadline => {}
                    other => return Err(format!("the release of {id} is {other:?}")),
                }
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let releasing = started.elapsed();
    stack.engine.iam_calls_per_second(None).await;
    problems.extend(released.iter().filter_map(|it| it.clone().err()));
    let released: Vec<_> = released.into_iter().filter_map(Result::ok).collect();
    println!("  released {} in {:.0} s", released.len(), releasing.as_secs_f64());
    quantiles("  release", &released);
    let mut throttled = 0;
    for request in &requests {
        let calls = stack.engine.calls_about(request.transaction_id()).await;
        throttled += calls.iter().filter(|call| call.error.as_deref() == Some("Throttling")).count();
    }
    stack.engine.forget_calls().await;
    println!("  {throttled} calls were throttled, at {IAM_CALLS_PER_SECOND} calls of IAM in a second and account");
    let ids: Vec<_> = requests.iter().map(Request::transaction_id).collect();
    problems.extend(left(stack, &ids).await);
    Burst { provisioned, released, failed, took: [provisioning, releasing], throttled, problems }
}

/// What is left of transactions that are over: a role, or an item that has not ended.
async fn left(stack: &Stack, ids: &[TransactionId]) -> Vec<String> {
    let mut found = Vec::new();
    for id in ids {
        let item = stack.item(id).await;
        let status = item.as_ref().map_or("not recorded", |item| item["status"].as_str().expect("a status"));
        if !["deprovisioned", "failed"].contains(&status) {
            found.push(format!("{id} is {status} when all is over"));
        }
    }
    for (account, _) in accounts() {
        let iam = stack.root(account).iam();
        let mut pages = iam.list_roles().path_prefix("/daypass/").into_paginator().items().send();
        while let Some(role) = pages.next().await {
            found.push(format!("{} is left in {account}", role.expect("a role").role_name));
        }
    }
    found
}

/// What many open leases cost: of each step how many there are, what one more has taken, and how long a request takes meanwhile.
struct Waiting {
    steps: Vec<(usize, Duration, Duration, Duration)>,
    ending: Duration,
    problems: Vec<String>,
}

/// Opens leases, as provision starts them: their transactions are recorded, without roles, and their executions wait.
async fn waiting(stack: &Stack, count: usize) -> Waiting {
    println!("{count} open leases");
    let (mut open, mut steps, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..STEPS {
        let started = Instant::now();
        let ids: Vec<_> = (0..count / STEPS).map(|_| new_transaction_id()).collect();
        let mut opening = stream::iter(&ids).map(async |id| lease(stack, *id).await).buffer_unordered(16);
        while opening.next().await.is_some() {}
        drop(opening);
        open.extend(ids);
        let each = started.elapsed() / u32::try_from((count / STEPS).max(1)).expect("some");
        let mut probes = Vec::new();
        for _ in 0..PROBES {
            let request = Request::by("alex");
            let begun = Instant::now();
            let access = stack.provision(&request).await;
            probes.push(begun.elapsed());
            stack.released(&access).await;
        }
        let begun = Instant::now();
        let (_, swept) = stack.sweep().await;
        if swept.error.is_some() {
            problems.push(format!("a sweep failed beside {} leases: {:?}", open.len(), swept.cause));
        }
        let step = (open.len(), each, quantile(&probes, 50), begun.elapsed());
        println!(
            "  {:>6} open: {} to open one more, {} to provision, {} to sweep",
            step.0,
            shown(step.1),
            shown(step.2),
            shown(step.3)
        );
        steps.push(step);
    }
    let waits = stack.engine.end_delays().await;
    // (So do those of roles that were given back, until they would have expired.)
    if waits < open.len() {
        problems.push(format!("{waits} leases waited, of {}", open.len()));
    }
    let begun = Instant::now();
    for id in &open {
        let deadline = begun + PATIENCE * 6;
        let lease = stack.lease(*id);
        loop {
            let status = stack.engine.executions_about(*id).await.remove(&lease);
            if status.as_deref() == Some("SUCCEEDED") {
                break;
            }
            if !matches!(status.as_deref(), Some("RUNNING" | "WAITING")) || Instant::now() > deadline {
                problems.push(format!("the lease of {id} is {status:?}"));
                break;
            }
            sleep(POLL).await;
        }
    }
    let ending = begun.elapsed();
    println!("  all of them ended in {:.0} s", ending.as_secs_f64());
    problems.extend(left(stack, &open).await);
    Waiting { steps, ending, problems }
}

/// Records a transaction that is provisioned, and starts its lease.
async fn lease(stack: &Stack, id: TransactionId) {
    let now = SystemTime::now();
    let at = |time: SystemTime| Timestamp::from_datetime(time.into()).to_string();
    let (then, expires) = (at(now - Duration::from_mins(20)), at(now + Duration::from_hours(8)));
    let account = Account::Development;
    let role = format!("arn:aws:iam::{}:role/daypass/{}", account.id(), id.role_name());
    let lease = stack.lease(id);
    let change = json!({"status": "provisioned", "at": then, "execution_arn": "load"});
    let change = [("status", "provisioned"), ("at", then.as_str()), ("execution_arn", "load")]
        .map(|(name, text)| (name.to_owned(), AttributeValue::S(change[name].as_str().unwrap_or(text).to_owned())));
    let texts = [
        ("transaction_id", id.to_string()),
        ("kind", "provisioning".to_owned()),
        ("status", "provisioned".to_owned()),
        ("open_lease", "open".to_owned()),
        ("requested_at", then.clone()),
        ("role_created_at", then),
        ("expires_at", expires.clone()),
        ("email", "alex@example.com".to_owned()),
        ("branch", "main".to_owned()),
        ("target_aws_account", account.name().to_owned()),
        ("target_aws_account_id", account.id().to_owned()),
        ("group_type", "Product-Deployers".to_owned()),
        ("persona", "Product_Admin".to_owned()),
        ("group_name", format!("PwC_GP_{}_Product_Admin", account.id())),
        ("environment", "non-production".to_owned()),
        ("role_name", id.role_name()),
        ("role_arn", role),
        ("lease_execution_arn", lease),
        ("execution_arn", "load".to_owned()),
    ];
    let put = stack.hub().dynamodb().put_item().table_name(&stack.names.table);
    let put = texts.into_iter().fold(put, |put, (name, text)| put.item(name, AttributeValue::S(text)));
    let put = put
        .item("role_may_exist", AttributeValue::Bool(true))
        .item("role_ttl_hours", AttributeValue::N("8".to_owned()));
    let changes = AttributeValue::L(vec![AttributeValue::M(change.into_iter().collect())]);
    put.item("status_changes", changes).send().await.expect("an item");
    let input = json!({"schema": 1, "transaction_id": id, "expires_at": expires});
    stack.start_deprovisioning(&id.to_string(), &input).await.expect("a lease");
    let deadline = Instant::now() + PATIENCE;
    while stack.engine.executions_about(id).await.values().any(|status| status != "WAITING") {
        assert!(Instant::now() < deadline, "the lease of {id} does not wait");
        sleep(Duration::from_millis(20)).await;
    }
}

fn quantile(of: &[Duration], per_cent: usize) -> Duration {
    let mut sorted = of.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * per_cent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

fn shown(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        format!("{:.0} ms", duration.as_secs_f64() * 1000.0)
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

fn quantiles(name: &str, of: &[Duration]) {
    let all: Vec<_> = [50, 90, 99, 100].map(|it| shown(quantile(of, it))).into();
    println!("{name}: median {}, p90 {}, p99 {}, longest {}", all[0], all[1], all[2], all[3]);
}

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 200.0;

/// Two pictures beside each other, always of the same size and in the same place.
fn svg(burst: &Burst, waiting: &Waiting) -> String {
    let mut text = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 920 330\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"920\" height=\"330\" fill=\"#ffffff\"/>\n",
    );
    let counts = (burst.provisioned.len() + burst.failed, burst.failed, burst.throttled);
    let title = format!("{} requests, {AT_ONCE} at once: {} failed, {} throttled calls", counts.0, counts.1, counts.2);
    let seconds = |of: &[Duration]| -> Vec<(f64, f64)> {
        let at = |it| (f64::from(it), quantile(of, it as usize).as_secs_f64());
        (1..=100_u32).map(at).collect()
    };
    let lines =
        [("provisioning", "#1f6feb", seconds(&burst.provisioned)), ("release", "#bf8700", seconds(&burst.released))];
    plot(&mut text, 60.0, &title, ("share of them, %", "seconds"), &lines);
    let steps = |of: fn(&(usize, Duration, Duration, Duration)) -> Duration| -> Vec<(f64, f64)> {
        let count = |it: usize| f64::from(u32::try_from(it).unwrap_or(u32::MAX));
        waiting.steps.iter().map(|it| (count(it.0), of(it).as_secs_f64() * 1000.0)).collect()
    };
    let lines = [
        ("one more lease", "#1f6feb", steps(|it| it.1)),
        ("a provisioning", "#bf8700", steps(|it| it.2)),
        ("a sweep", "#57606a", steps(|it| it.3)),
    ];
    let title = format!("beside {} open leases", waiting.steps.last().map_or(0, |it| it.0));
    plot(&mut text, 520.0, &title, ("open leases", "milliseconds"), &lines);
    let [provisioning, releasing] = burst.took;
    let _ = writeln!(
        text,
        "<text x=\"60\" y=\"318\" fill=\"#57606a\">make load: provisioned in {:.0} s, released in {:.0} s; all leases ended in {:.0} s. The engine shares this machine.</text>\n</svg>",
        provisioning.as_secs_f64(),
        releasing.as_secs_f64(),
        waiting.ending.as_secs_f64()
    );
    text
}

type Line<'a> = (&'a str, &'a str, Vec<(f64, f64)>);

fn plot(text: &mut String, left: f64, title: &str, axes: (&str, &str), lines: &[Line<'_>]) {
    const TOP: f64 = 50.0;
    let points = || lines.iter().flat_map(|(_, _, points)| points);
    let (widest, highest) = (nice(points().map(|it| it.0)), nice(points().map(|it| it.1)));
    let _ = writeln!(text, "<text x=\"{left}\" y=\"24\" font-weight=\"bold\">{title}</text>");
    for part in 0..=4 {
        let share = f64::from(part) / 4.0;
        let (x, y) = (left + share * WIDTH, TOP + HEIGHT * (1.0 - share));
        let (right, bottom) = (left + WIDTH, TOP + HEIGHT);
        let _ = writeln!(text, "<path d=\"M{left} {y:.0}H{right}\" stroke=\"#d0d7de\"/>");
        let _ = writeln!(
            text,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>",
            left - 6.0,
            y + 4.0,
            highest * share
        );
        let _ = writeln!(
            text,
            "<text x=\"{x:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
            bottom + 18.0,
            widest * share
        );
    }
    let _ = writeln!(
        text,
        "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\" fill=\"#57606a\">{}</text>",
        left + WIDTH / 2.0,
        TOP + HEIGHT + 36.0,
        axes.0
    );
    let _ = writeln!(text, "<text x=\"{left}\" y=\"42\" fill=\"#57606a\">{}</text>", axes.1);
    for (number, (name, colour, points)) in lines.iter().enumerate() {
        let at = |it: &(f64, f64)| {
            format!("{:.1},{:.1}", left + it.0 / widest * WIDTH, TOP + HEIGHT * (1.0 - it.1 / highest))
        };
        let path: Vec<_> = points.iter().map(at).collect();
        let _ = writeln!(
            text,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
        let x = left + 90.0 + 95.0 * f64::from(u32::try_from(number).unwrap_or_default());
        let _ = writeln!(text, "<text x=\"{x:.0}\" y=\"42\" fill=\"{colour}\">{name}</text>");
    }
}

/// The end of an axis that has room for all: one, two or five of a power of ten.
fn nice(values: impl Iterator<Item = f64>) -> f64 {
    let most = values.fold(0.0_f64, f64::max).max(1.0);
    let power = 10_f64.powf(most.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|it| it * power).find(|it| *it >= most).unwrap_or(most)
}
