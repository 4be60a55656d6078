//! The fault matrix: each call of each scenario, hit with each fault, once and for good; and pairs of them, by seeds.
//! `make faults` plays all of it and writes `docs/fault-matrix.md`; without more, some of it is played, by a fixed seed.
//!
//! The engine records the calls, and does to them what it is asked to (`local/daypass_local/recorder.py`): it is where all calls of
//! functions arrive, and it runs the machines. A fault is of one transaction, so many runs go side by side on one stack.

#![expect(clippy::expect_used, reason = "these are tests, helpers included")]

mod fault;
mod judge;
mod leaks;
mod report;
mod run;
mod scenario;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::Write as _,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use daypass_tests::{random::Random, stack::Stack};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::{
    fault::{Hit, Kind, Point},
    report::{Holds, Pairs, Row},
    run::Played,
    scenario::Scenario,
};

/// Retries run a hundred times as fast, and a day of them is three.
const PACE: f64 = 0.01;
const MOST_ATTEMPTS: u32 = 3;
/// How many runs go at once: of those that work, and of those that wait for a time-out.
const AT_ONCE: usize = 24;
const WAITING_AT_ONCE: usize = 32;
/// Of the calls of a state, so many are hit that have the same action.
const SAME: u32 = 2;
/// After so many violations the rest of what was seen is not printed.
const ENOUGH: usize = 40;
/// What is played without more: so many runs of one fault, and so many pairs.
const SOME: usize = 150;
const SOME_PAIRS: u64 = 20;
const PAIRS: u64 = 100;
/// After so many minutes nothing more is begun: the invoker's session ends after an hour.
const MINUTES: u64 = 50;
/// What makes of the seed of a pair that of its second hit.
const SECOND: u64 = 0x5eed;

/// What is to be played.
#[derive(Clone)]
struct Planned {
    scenario: Scenario,
    hits: Vec<Hit>,
    seed: Option<u64>,
}

impl Planned {
    fn name(&self) -> String {
        let hits: Vec<_> = self.hits.iter().map(ToString::to_string).collect();
        format!("{} / {}", self.scenario, hits.join(" + "))
    }

    /// By which its result is kept.
    fn key(&self) -> String {
        self.seed.map_or_else(|| self.name(), |seed| format!("SEED={seed}"))
    }

    fn again(&self) -> String {
        self.seed
            .map_or_else(|| format!("make faults ONLY='{}'", self.name()), |seed| format!("make faults SEED={seed}"))
    }

    /// Of a pair, the second hit is chosen among the calls that are made when the first one has struck.
    async fn with_a_second_hit(mut self, stack: &Stack) -> Self {
        let Some(seed) = self.seed else { return self };
        let played = run::play(stack, self.scenario, &self.hits).await;
        let struck = played.calls.iter().position(|call| call.fault.is_some()).unwrap_or_default();
        let before = Point::all(&played.calls[..struck]);
        let mut points = Point::all(&played.calls);
        points.retain(|it| !before.contains(it) && it.nth < SAME && *it != self.hits[0].point);
        let mut random = Random::of(seed ^ SECOND);
        if !points.is_empty() {
            self.hits.push(hit(&mut random, &points));
        }
        self
    }

    fn waits(&self) -> bool {
        self.hits.iter().any(|hit| hit.kind.waits())
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}

/// The calls of a scenario that nothing hits. Where executions meet, only calls that are made every time.
async fn points(stack: &Stack, scenario: Scenario) -> Vec<Point> {
    let mut always: Option<BTreeSet<Point>> = None;
    let mut first = Vec::new();
    for _ in 0..3 {
        let played = run::play(stack, scenario, &[]).await;
        assert_eq!(judge::violations(&played), Vec::new(), "undisturbed: {}", report::told(&played, &[], ""));
        let points: Vec<_> = Point::all(&played.calls).into_iter().filter(|it| counts(scenario, it)).collect();
        let these: BTreeSet<_> = points.iter().cloned().collect();
        always = Some(always.map_or_else(|| these.clone(), |it| it.intersection(&these).cloned().collect()));
        if first.is_empty() {
            first = points;
        }
    }
    let always = always.unwrap_or_default();
    first.retain(|it| always.contains(it));
    first
}

/// Whether a call belongs to what the scenario is about: the end that comes by itself afterwards is another scenario's.
fn counts(scenario: Scenario, point: &Point) -> bool {
    let machine = match scenario {
        Scenario::Provision | Scenario::Denied | Scenario::ClientGone => point.machine == "provision",
        Scenario::Renew => point.machine == "renew",
        Scenario::Release => point.machine == "deprovision" && point.state != "LookUpLease",
        Scenario::Lease | Scenario::Race | Scenario::TwoReleases => point.machine == "deprovision",
        Scenario::ReleaseMeanwhile => true,
    };
    machine && point.nth < SAME
}

/// Every call and every fault that it can meet, once and for good.
fn singles(points: &[(Scenario, Vec<Point>)]) -> Vec<Planned> {
    let mut all = Vec::new();
    for (scenario, points) in points {
        for point in points {
            for kind in Kind::ALL.into_iter().filter(|kind| kind.fits(point) && kind.is_for(*scenario)) {
                for for_good in [false, true] {
                    let hits = vec![Hit { point: point.clone(), kind, for_good }];
                    all.push(Planned { scenario: *scenario, hits, seed: None });
                }
            }
        }
    }
    all
}

/// The first of two hits of one scenario, by a seed.
fn pair(points: &[(Scenario, Vec<Point>)], seed: u64) -> Planned {
    let mut random = Random::of(seed);
    let (scenario, points) = random.one_of(points);
    Planned { scenario, hits: vec![hit(&mut random, &points)], seed: Some(seed) }
}

fn hit(random: &mut Random, points: &[Point]) -> Hit {
    let point = random.one_of(points);
    let kinds: Vec<_> = Kind::ALL.into_iter().filter(|kind| kind.fits(&point)).collect();
    let (kind, for_good) = (random.one_of(&kinds), random.percent(40));
    // What is waited for again and again takes minutes: it is played alone.
    Hit { point, kind, for_good: for_good && !kind.waits() }
}

/// Some of them, by a seed: from everywhere, and without those who wait for long.
fn some(all: Vec<Planned>, count: usize, seed: u64) -> Vec<Planned> {
    let mut chosen = shuffled(all.into_iter().filter(|it| !it.waits()).collect(), seed);
    chosen.truncate(count);
    chosen
}

fn shuffled(mut left: Vec<Planned>, seed: u64) -> Vec<Planned> {
    let (mut random, mut order) = (Random::of(seed), Vec::new());
    while !left.is_empty() {
        let at = random.within(0..u32::try_from(left.len()).expect("some")) as usize;
        order.push(left.swap_remove(at));
    }
    order
}

/// What became of a run. Those of `make faults` are kept, one a line: a run that was interrupted goes on with `CONTINUE=1`.
#[derive(Clone, Serialize, Deserialize)]
struct Came {
    name: String,
    code: String,
    struck: bool,
    secrets: usize,
    /// The check, why, and whether it is known.
    violations: Vec<(String, String, bool)>,
}

const KEPT: &str = "../target/fault-matrix.jsonl";

fn kept() -> Vec<Came> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(KEPT)).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn keep(came: &Came) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(KEPT);
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path).expect("a file");
    let line = serde_json::to_string(came).expect("JSON");
    writeln!(file, "{line}").expect("it is written");
}

#[tokio::test]
async fn fault_matrix() {
    let (only, seed) = (variable("DAYPASS_ONLY"), variable("DAYPASS_SEED"));
    let seed: Option<u64> = seed.map(|text| text.parse().expect("a number"));
    let everything = variable("DAYPASS_FAULTS").is_some_and(|it| it == "all") && only.is_none() && seed.is_none();
    let stack = Stack::alone().await;
    stack.engine.pace(PACE).await;
    stack.engine.most_attempts(Some(MOST_ATTEMPTS)).await;
    let since = SystemTime::now();
    // Whatever is cold gets warm.
    run::play(&stack, Scenario::Provision, &[]).await;
    let points = join_all(Scenario::ALL.map(async |scenario| (scenario, points(&stack, scenario).await))).await;
    for (scenario, points) in &points {
        println!("{scenario}: {} calls", points.len());
    }

    let mut planned = match (seed, &only) {
        (Some(seed), _) => vec![pair(&points, seed)],
        (None, Some(part)) => singles(&points).into_iter().filter(|it| it.name().contains(part.as_str())).collect(),
        (None, None) if everything => singles(&points),
        (None, None) => some(singles(&points), SOME, 1),
    };
    let pairs = if everything { PAIRS } else { SOME_PAIRS };
    if seed.is_none() && only.is_none() {
        planned.extend((1..=pairs).map(|seed| pair(&points, seed)));
    }
    let mut came: BTreeMap<String, Came> = BTreeMap::new();
    if everything && variable("DAYPASS_CONTINUE").is_some() {
        came.extend(kept().into_iter().map(|it| (it.name.clone(), it)));
    } else if everything {
        let _ = fs::remove_file(Path::new(env!("CARGO_MANIFEST_DIR")).join(KEPT));
    }
    let left: Vec<_> = planned.iter().filter(|it| !came.contains_key(&it.key())).cloned().collect();
    // If not everything is played, it is something of everything.
    let left = shuffled(left, 1);
    println!("{} runs, of which {} are left", planned.len(), left.len());
    let minutes = variable("DAYPASS_MINUTES").map_or(MINUTES, |text| text.parse().expect("a number"));
    let played = play(stack, left, since, everything, Duration::from_mins(minutes)).await;
    came.extend(played.into_iter().map(|it| (it.name.clone(), it)));

    let (mut rows, mut found) = (Vec::new(), Vec::new());
    let mut pairs = Pairs { seeds: format!("1 to {pairs}"), ..Pairs::default() };
    let (mut hit, mut secrets) = (0, 0);
    for planned in &planned {
        let Some(it) = came.get(&planned.key()) else {
            pairs.not_played += 1;
            continue;
        };
        hit += usize::from(it.struck);
        secrets += it.secrets;
        let unknown = it.violations.iter().filter(|(.., known)| !known);
        found.extend(unknown.map(|(check, why, _)| format!("`{check}`: {why} (`{}`)", planned.again())));
        if planned.seed.is_some() {
            pairs.played += 1;
            pairs.struck += usize::from(it.struck);
        } else {
            let Hit { point, kind, for_good } = planned.hits[0].clone();
            rows.push(Row { scenario: planned.scenario, point, kind, for_good, code: it.code.clone() });
        }
    }
    if everything {
        let page = report::page(&points, &rows, &pairs, &found);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/fault-matrix.md");
        fs::write(path, page).expect("it is written");
    }
    if pairs.not_played > 0 {
        println!("not all was played: CONTINUE=1 goes on");
    }
    println!("{} runs, {hit} hit, {secrets} secrets, {} violations", planned.len(), found.len());
    for violation in &found {
        println!("{violation}");
    }
    assert!(found.is_empty(), "{} violations", found.len());
}

/// Plays all of them, many at once, and judges each.
async fn play(stack: Stack, planned: Vec<Planned>, since: SystemTime, keeps: bool, length: Duration) -> Vec<Came> {
    let stack = Arc::new(stack);
    let (working, waiting) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::new(Semaphore::new(WAITING_AT_ONCE)));
    let (started, done, shown) = (Instant::now(), Arc::new(Mutex::new(0_usize)), Arc::new(Mutex::new(0_usize)));
    let (all, logs) = (planned.len(), Arc::new(Mutex::new(Vec::new())));
    let reader = tokio::spawn(read_logs(Arc::clone(&stack), Arc::clone(&logs), since));
    let runs: Vec<_> = planned
        .into_iter()
        .map(|it| {
            let (stack, done, shown) = (Arc::clone(&stack), Arc::clone(&done), Arc::clone(&shown));
            let turns = Arc::clone(if it.waits() { &waiting } else { &working });
            tokio::spawn(async move {
                let _turn = turns.acquire_owned().await.expect("a turn");
                if started.elapsed() > length {
                    return None;
                }
                let key = it.key();
                let it = it.with_a_second_hit(&stack).await;
                let played = played(&stack, &it).await;
                let violations = judge::violations(&played);
                let known = violations.iter().filter(|(check, _)| judge::is_known(&played, check)).count();
                let holds = match (violations.len(), known) {
                    (0, _) => Holds::Yes,
                    (all, known) if all == known => Holds::AsKnown,
                    _ => Holds::No,
                };
                if holds == Holds::No {
                    let mut shown = shown.lock().expect("a number");
                    *shown += 1;
                    if *shown <= ENOUGH {
                        println!("{}", report::told(&played, &violations, &it.again()));
                    }
                }
                let violations = violations.into_iter().map(|(check, why)| {
                    let why = why.replace(&played.id.to_string(), "<id>");
                    (check.to_owned(), why, judge::is_known(&played, check))
                });
                let came = Came {
                    name: key,
                    code: report::code(&played, holds),
                    struck: played.struck,
                    secrets: played.secrets.len(),
                    violations: violations.collect(),
                };
                let mut done = done.lock().expect("a number");
                if keeps {
                    keep(&came);
                }
                *done += 1;
                if done.is_multiple_of(100) {
                    println!("{done} of {all} after {:.0} s", started.elapsed().as_secs_f64());
                }
                Some((came, played.secrets))
            })
        })
        .collect();
    let (mut came, mut secrets) = (Vec::new(), Vec::new());
    for run in runs {
        let Some((it, its_secrets)) = run.await.expect("a run that does not panic") else { continue };
        came.push(it);
        secrets.extend(its_secrets);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    reader.abort();
    println!("played after {:.0} s", started.elapsed().as_secs_f64());
    let kept = std::mem::take(&mut *logs.lock().expect("the logs"));
    let leaks = leaks::found_in_much(&secrets, &kept);
    let bytes: usize = kept.iter().map(String::len).sum();
    println!("{} secrets searched in {bytes} bytes of the functions' logs", secrets.len());
    assert_eq!(leaks, 0, "secrets are in the functions' logs");
    came
}

/// Plays one run. The engine is not AWS: when it breaks, the run says nothing, and is played again.
async fn played(stack: &Arc<Stack>, it: &Planned) -> Played {
    for _ in 0..2 {
        let (stack, scenario, hits) = (Arc::clone(stack), it.scenario, it.hits.clone());
        if let Ok(played) = tokio::spawn(async move { run::play(&stack, scenario, &hits).await }).await {
            return played;
        }
        println!("once more: {}", it.name());
    }
    run::play(stack, it.scenario, &it.hits).await
}

/// Reads the functions' logs again and again: the engine answers with the first events of a group only.
async fn read_logs(stack: Arc<Stack>, into: Arc<Mutex<Vec<String>>>, since: SystemTime) {
    let mut since = i64::try_from(since.duration_since(SystemTime::UNIX_EPOCH).expect("now").as_millis()).expect("now");
    loop {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("now").as_millis();
        for task in ["validate", "prove", "authn", "authz", "create-role", "issue-creds", "delete-role", "record"] {
            let logs = stack.hub().logs();
            let events =
                logs.filter_log_events().log_group_name(format!("/aws/lambda/daypass-{task}")).start_time(since);
            let Ok(page) = events.send().await else { continue };
            let lines = page.events.unwrap_or_default().into_iter().filter_map(|event| event.message);
            into.lock().expect("the logs").extend(lines);
        }
        since = i64::try_from(now).expect("now") - 5000;
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}
