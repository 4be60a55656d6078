//! Giving a role back, and knowing that it is so.
//!
//! A release is an execution of the machine that deprovisions. Its name is made up for this one release: an execution that has
//! another's name, or the same by chance, says nothing about it. That the execution was started says nothing about the role either.
//! Only how it ends does, and only when it ends for the transaction that was meant.

use std::time::Duration;

use aws_sdk_sfn::{
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    types::ExecutionStatus,
};
use daypass::{
    contract::{DeprovisionRequest, Deprovisioned, Status},
    error::ErrorName,
    ids::TransactionId,
    timestamp::Timestamp,
};
use daypass_aws::AwsError;
use serde::Deserialize as _;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{machine::MachineArn, renewal};
use crate::error::{Error, Kind};

/// How a transaction ends, by what the machine answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its role is gone.
    Deprovisioned,
    /// It came to no role, or the role was taken back.
    Failed,
    /// It was denied, so there never was a role.
    Denied,
}

impl End {
    const fn of(status: Status) -> Option<Self> {
        match status {
            Status::Deprovisioned => Some(Self::Deprovisioned),
            Status::Failed => Some(Self::Failed),
            Status::Denied => Some(Self::Denied),
            Status::Processing | Status::Provisioned | Status::Deprovisioning | Status::DeprovisionFailed => None,
        }
    }

    /// The transaction's status.
    pub const fn status(self) -> &'static str {
        match self {
            Self::Deprovisioned => "deprovisioned",
            Self::Failed => "failed",
            Self::Denied => "denied",
        }
    }

    /// The same for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Deprovisioned => "released: the role is gone",
            Self::Failed => "cancelled: the transaction has ended as failed, and has no role",
            Self::Denied => "cancelled: the request was denied, and there is no role",
        }
    }
}

/// What came of a release that was neither refused nor failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// The machine has said how the transaction ends.
    Ended(End),
    /// Daypass has the release, and has not said yet what came of it.
    Taken(Taken),
}

/// A release that Daypass has, with an end that nobody has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    transaction: TransactionId,
    name: String,
    /// Why its end was not seen, if not because it takes so long.
    unseen: Option<String>,
}

impl Taken {
    /// A release that is about to be started.
    pub fn of(transaction: TransactionId) -> Self {
        Self { transaction, name: release_name(transaction), unseen: None }
    }

    /// What is known, in one sentence.
    pub fn text(&self) -> String {
        let unseen = self.unseen.as_ref().map_or_else(String::new, |why| format!(" (its status is unknown: {why})"));
        format!(
            "Daypass has accepted the release and keeps trying, but has not confirmed yet that the role is gone{unseen}"
        )
    }

    /// What to do to know more.
    pub fn remedy(&self) -> String {
        format!("`daypass release --wait {}` waits until it is gone; releasing again does no harm", self.transaction)
    }

    /// Both in one line.
    pub fn line(&self) -> String {
        format!("{}: {} ({})", self.transaction, self.text(), self.remedy())
    }

    /// The same as an error, for whoever wants to know that the role is gone.
    pub fn into_error(self) -> Error {
        Error::new(Kind::TryAgain, self.text()).remedy(self.remedy()).status("unconfirmed").about(self.transaction)
    }
}

/// An execution of the machine that deprovisions.
#[derive(Clone, Debug)]
pub struct Execution {
    pub status: ExecutionStatus,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub input: Option<Value>,
    pub output: Option<Value>,
    /// Why it failed: error and cause.
    pub failure: Option<(String, String)>,
}

/// How long what may take.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Until the first look.
    first: Duration,
    /// Between two looks, while a person or a job waits.
    longest: Duration,
    /// The same while somebody waits until the role is gone, however long that takes.
    longest_wait: Duration,
    /// Until a release that AWS does not take is given up.
    start: Duration,
    /// Until the end of a release that Daypass has is not waited for any more.
    end: Duration,
    /// For how long an execution may be out of sight, while its end is waited for.
    out_of_sight: Duration,
    /// For how long a request whose answer is lost may be on its way.
    arrival: Duration,
}

const PACE: Pace = Pace {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(2),
    longest_wait: Duration::from_secs(10),
    start: Duration::from_secs(20),
    end: Duration::from_secs(10),
    out_of_sight: Duration::from_mins(5),
    arrival: Duration::from_secs(15),
};

/// A call that takes longer than this has got lost. Calls are repeated here, and not by the SDK: between two attempts, the
/// execution may show that the first one has arrived.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// How many names a release may use up. One is enough, unless somebody knows names before they are used.
const NAMES: usize = 3;

/// The machine that deprovisions, asked with somebody's credentials.
#[derive(Clone, Debug)]
pub struct Releases {
    states: aws_sdk_sfn::Client,
    machine: MachineArn,
    pace: Pace,
}

/// What an execution shows.
enum Seen {
    Running,
    Ended(Result<End, Error>),
    /// That it is somebody else's.
    Foreign,
    /// Nothing yet: it is not there, or AWS is not well. With the reason.
    Nothing(Option<String>),
    /// Nothing, and that will not change by itself. With the reason.
    Never(String),
}

impl Releases {
    /// Releases by this machine.
    pub fn of(states: &aws_sdk_sfn::Client, machine: MachineArn) -> Self {
        let timeout = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
        let config = states.config().to_builder().retry_config(RetryConfig::disabled()).timeout_config(timeout);
        Self { states: aws_sdk_sfn::Client::from_conf(config.build()), machine, pace: PACE }
    }

    /// Gives a role back, and waits for some seconds until that is done.
    ///
    /// # Errors
    /// When Daypass has refused it or failed at it, or when nobody knows whether Daypass has it.
    pub async fn release(&self, transaction: TransactionId) -> Result<Release, Error> {
        let mut names = 1;
        let mut taken = Taken::of(transaction);
        let (began, mut pause) = (Instant::now(), self.pace.first);
        // When Daypass had it, as far as that is known.
        let mut had: Option<Instant> = None;
        loop {
            let failed = if had.is_some() { None } else { self.start(&taken).await.err() };
            if let Some(failed) = &failed
                && !may_have_arrived(failed)
            {
                return Err(Error::from(failed).about(transaction));
            }
            if failed.is_none() {
                had.get_or_insert_with(Instant::now);
            }
            sleep(pause.mul_f64(renewal::between(0.8, 1.2))).await;
            pause = pause.mul_f64(1.6).min(self.pace.longest);
            match self.look(&taken).await {
                Seen::Ended(end) => return end.map(Release::Ended),
                Seen::Running => {
                    had.get_or_insert_with(Instant::now);
                    taken.unseen = None;
                }
                Seen::Foreign if names < NAMES => {
                    (taken.name, had, names) = (release_name(transaction), None, names + 1);
                    continue;
                }
                Seen::Foreign => {
                    return Err(Error::new(Kind::Failed, "every name for the release is in use already")
                        .remedy("tell the platform team; the lease ends the access anyway")
                        .about(transaction));
                }
                Seen::Nothing(why) => taken.unseen = why,
                Seen::Never(why) => {
                    taken.unseen = Some(why);
                    if had.is_some() {
                        return Ok(Release::Taken(taken));
                    }
                }
            }
            match (had, failed) {
                (Some(had), _) if had.elapsed() >= self.pace.end => return Ok(Release::Taken(taken)),
                (None, Some(failed)) if began.elapsed() >= self.pace.start => {
                    return Err(unheard(&failed, transaction));
                }
                _ => {}
            }
        }
    }

    /// Waits until a release that Daypass has is done, however long that takes.
    ///
    /// # Errors
    /// When Daypass has refused it or failed at it, or when its execution cannot be looked at.
    pub async fn wait(&self, mut taken: Taken) -> Result<End, Error> {
        let (mut seen_at, mut pause) = (Instant::now(), self.pace.first);
        loop {
            match self.look(&taken).await {
                Seen::Ended(end) => return end,
                Seen::Running => (seen_at, taken.unseen) = (Instant::now(), None),
                Seen::Nothing(why) if seen_at.elapsed() < self.pace.out_of_sight => taken.unseen = why,
                Seen::Nothing(_) | Seen::Foreign => return Err(taken.into_error()),
                Seen::Never(why) => return Err(Taken { unseen: Some(why), ..taken }.into_error()),
            }
            sleep(pause.mul_f64(renewal::between(0.8, 1.2))).await;
            pause = pause.mul_f64(1.6).min(self.pace.longest_wait);
        }
    }

    /// Gives back what there may be of a request whose answer is lost. The request may still be on its way, so Daypass is given
    /// some seconds to know it.
    ///
    /// # Errors
    /// As [`Self::release`]; `TransactionNotFound` when Daypass does not know the transaction all the same.
    pub async fn release_lost(&self, transaction: TransactionId) -> Result<Release, Error> {
        let (began, mut pause) = (Instant::now(), self.pace.first * 5);
        loop {
            match self.release(transaction).await {
                Err(error)
                    if error.is(ErrorName::TransactionNotFound) && began.elapsed() + pause < self.pace.arrival =>
                {
                    sleep(pause).await;
                    pause *= 2;
                }
                found => return found,
            }
        }
    }

    /// What became of an execution; nothing when there is none.
    pub async fn execution(&self, name: &str) -> Result<Option<Execution>, AwsError> {
        let arn = self.machine.execution(name);
        let found = self.states.describe_execution().execution_arn(arn).send().await;
        match found.map_err(AwsError::of("states:DescribeExecution")) {
            Ok(found) => Ok(Some(Execution {
                status: found.status,
                started_at: Timestamp::from_unix_seconds(found.start_date.secs()),
                ended_at: found.stop_date.map(|at| Timestamp::from_unix_seconds(at.secs())),
                input: found.input.and_then(|text| serde_json::from_str(&text).ok()),
                output: found.output.and_then(|text| serde_json::from_str(&text).ok()),
                failure: found.error.map(|error| (error, found.cause.unwrap_or_default())),
            })),
            Err(error) if error.code() == Some("ExecutionDoesNotExist") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Starting it again with the same name and the same input does no harm: as long as it runs, AWS answers as for the first time.
    async fn start(&self, Taken { transaction, name, .. }: &Taken) -> Result<(), AwsError> {
        let call = self.states.start_execution().state_machine_arn(self.machine.to_string()).name(name);
        let call = call.input(input(*transaction).to_string());
        call.send().await.map(drop).map_err(AwsError::of("states:StartExecution"))
    }

    async fn look(&self, Taken { transaction, name, .. }: &Taken) -> Seen {
        let found = match self.execution(name).await {
            Ok(Some(found)) => found,
            // What was just started is shown after a moment.
            Ok(None) => return Seen::Nothing(None),
            Err(error) if Error::from(&error).kind() == Kind::TryAgain => {
                return Seen::Nothing(Some(error.to_string()));
            }
            Err(error) => return Seen::Never(error.to_string()),
        };
        if found.input.as_ref().is_some_and(|found| *found != input(*transaction)) {
            return Seen::Foreign;
        }
        match found.status {
            ExecutionStatus::Succeeded => Seen::Ended(end(found.output.as_ref(), *transaction)),
            ExecutionStatus::Failed | ExecutionStatus::Aborted | ExecutionStatus::TimedOut => {
                Seen::Ended(Err(failure(&found, *transaction)))
            }
            _ => Seen::Running,
        }
    }
}

/// A name that no execution has. 77 characters of the 80 that AWS allows.
fn release_name(transaction: TransactionId) -> String {
    format!("{transaction}-release-{}", Uuid::new_v4().simple())
}

fn input(transaction: TransactionId) -> Value {
    json!(DeprovisionRequest::release(transaction))
}

/// Whether a start that has failed may have begun an execution, or may succeed yet.
fn may_have_arrived(failed: &AwsError) -> bool {
    failed.code() == Some("ExecutionAlreadyExists") || Error::from(failed).kind() == Kind::TryAgain
}

/// Nobody has heard whether Daypass has a release.
fn unheard(failed: &AwsError, transaction: TransactionId) -> Error {
    Error::new(Kind::TryAgain, format!("{failed}: it is unknown whether Daypass has accepted the release"))
        .remedy(format!(
            "`daypass release {transaction}` releases again, which does no harm; otherwise the lease ends the access"
        ))
        .about(transaction)
}

/// What to say where a release that has failed is not what the command is about.
pub fn unreleased(transaction: TransactionId, error: &Error) -> String {
    format!("{transaction} could not be released: {}; its lease ends it", error.line())
}

/// How the machine says that the transaction ends.
fn end(output: Option<&Value>, transaction: TransactionId) -> Result<End, Error> {
    let shown = Deprovisioned::deserialize(output.unwrap_or(&Value::Null)).map_err(|error| error.to_string());
    let end = shown.and_then(|shown| match End::of(shown.status) {
        Some(end) if shown.original_transaction_id == transaction => Ok(end),
        _ => Err(format!("`{}` of `{}`", shown.status.as_str(), shown.original_transaction_id)),
    });
    end.map_err(|why| {
        let why = daypass::text::shortened(&why, 200);
        Error::new(Kind::Failed, format!("the answer to the release does not show an end of the transaction: {why}"))
            .remedy("check that this `daypass` is as new as the deployment; the lease ends the access anyway")
            .about(transaction)
    })
}

/// Why a release did not end the transaction.
fn failure(execution: &Execution, transaction: TransactionId) -> Error {
    let (error, cause) = execution.failure.clone().unwrap_or_default();
    if error.starts_with("Daypass.") {
        let cause: Value = serde_json::from_str(&cause).unwrap_or(json!({"reason": cause}));
        let reason = cause["reason"].as_str().filter(|reason| !reason.is_empty()).unwrap_or("it gave no reason");
        return Error::named(&error, "failed", reason).about(transaction);
    }
    let status = execution.status.as_str();
    let error = if error.is_empty() { String::new() } else { format!(": {}", daypass::text::shortened(&error, 200)) };
    Error::new(Kind::Failed, format!("the release has ended as {status}{error}"))
        .remedy(format!(
            "try `daypass release {transaction}` again, and tell the platform team; the lease ends the access anyway"
        ))
        .about(transaction)
}

#[cfg(test)]
pub mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        sync::{Arc, Mutex},
    };

    use daypass_testing::samples::json_service;

    use super::*;

    pub const ID: &str = "6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11";
    const OTHER: &str = "0d2f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11";
    pub const MACHINE: &str = "arn:aws:states:eu-central-1:111111111111:stateMachine:daypass-deprovision";

    /// For what comes to an end: this machine may be slow.
    pub const PATIENT: Duration = Duration::from_mins(1);
    /// For what does not.
    pub const IMPATIENT: Duration = Duration::from_millis(300);

    /// What comes of a start.
    #[derive(Clone, Debug)]
    pub enum Start {
        /// An execution.
        Taken,
        /// One whose answer is lost.
        Lost,
        /// None, for this reason.
        Refused(&'static str),
        /// None: somebody else has an execution of that name, with this input.
        Foreign(Value),
    }

    /// What a look at an execution shows.
    #[derive(Clone, Debug)]
    pub enum Look {
        /// An execution with these members.
        Shows(Value),
        /// Nothing, for this reason.
        Fails(&'static str),
    }

    use Look::{Fails, Shows};

    /// Step Functions: it answers starts and looks with these, one after the other, with the last again and again.
    #[derive(Default)]
    pub struct Fake {
        pub starts: Vec<Start>,
        pub looks: Vec<Look>,
        /// The names that it was asked to start, and those that it has, with their inputs.
        pub started: Vec<String>,
        pub executions: BTreeMap<String, Value>,
        pub looked: usize,
    }

    impl Fake {
        pub fn answer(&mut self, operation: &str, asked: &Value) -> Result<Value, &'static str> {
            let of = |index: usize, count: usize| index.min(count - 1);
            if operation == "StartExecution" {
                let name = asked["name"].as_str().unwrap().to_owned();
                assert_eq!(asked["stateMachineArn"], MACHINE);
                let start = self.starts[of(self.started.len(), self.starts.len())].clone();
                self.started.push(name.clone());
                let given: Value = serde_json::from_str(asked["input"].as_str().unwrap()).unwrap();
                let there = self.executions.contains_key(&name);
                return match start {
                    Start::Refused(code) => Err(code),
                    Start::Foreign(input) => {
                        self.executions.insert(name, input);
                        Err("ExecutionAlreadyExists")
                    }
                    Start::Lost => {
                        self.executions.entry(name).or_insert(given);
                        Err("ServiceUnavailable")
                    }
                    Start::Taken if there => Err("ExecutionAlreadyExists"),
                    Start::Taken => {
                        self.executions.insert(name, given);
                        Ok(json!({"executionArn": "arn", "startDate": 0}))
                    }
                };
            }
            assert_eq!(operation, "DescribeExecution");
            let name = asked["executionArn"].as_str().unwrap().rsplit(':').next().unwrap();
            let input = self.executions.get(name).ok_or("ExecutionDoesNotExist")?;
            let look = self.looks[of(self.looked, self.looks.len())].clone();
            self.looked += 1;
            let mut shown = match look {
                Shows(shown) => shown,
                Fails(code) => return Err(code),
            };
            shown["executionArn"] = asked["executionArn"].clone();
            shown["stateMachineArn"] = MACHINE.into();
            shown["startDate"] = 0.into();
            shown["input"] = input.to_string().into();
            Ok(shown)
        }
    }

    fn fake(starts: &[Start], looks: &[Look]) -> (Releases, Arc<Mutex<Fake>>) {
        fake_within(PATIENT, starts, looks)
    }

    fn fake_within(limit: Duration, starts: &[Start], looks: &[Look]) -> (Releases, Arc<Mutex<Fake>>) {
        let fake = Fake { starts: starts.to_vec(), looks: looks.to_vec(), ..Fake::default() };
        let fake = Arc::new(Mutex::new(fake));
        let asked = Arc::clone(&fake);
        let service = json_service(move |operation, input| asked.lock().unwrap().answer(operation, &input));
        (fast(limit, &aws_sdk_sfn::Client::new(&service)), fake)
    }

    /// Releases that ask again soon, and whose limits are all this one.
    pub fn fast(limit: Duration, states: &aws_sdk_sfn::Client) -> Releases {
        let (first, longest) = (Duration::from_micros(500), Duration::from_millis(20));
        let pace = Pace {
            first,
            longest,
            longest_wait: longest,
            start: limit,
            end: limit,
            out_of_sight: limit,
            arrival: limit,
        };
        Releases { pace, ..Releases::of(states, MACHINE.parse().unwrap()) }
    }

    fn id() -> TransactionId {
        ID.parse().unwrap()
    }

    pub fn running() -> Look {
        Shows(json!({"status": "RUNNING"}))
    }

    pub fn ended(status: &str) -> Look {
        Shows(json!({"status": "SUCCEEDED", "output": output(status, ID)}))
    }

    fn output(status: &str, original: &str) -> String {
        json!({"deprovisioning_transaction_id": null, "original_transaction_id": original, "status": status})
            .to_string()
    }

    pub fn failed(error: &str) -> Look {
        let cause = json!({"transaction_id": ID, "status": "failed", "reason": "so it is"});
        Shows(json!({"status": "FAILED", "error": error, "cause": cause.to_string()}))
    }

    #[tokio::test]
    async fn a_release_is_what_the_machine_says_that_it_is() {
        for (status, end) in [("deprovisioned", End::Deprovisioned), ("failed", End::Failed), ("denied", End::Denied)] {
            let (releases, fake) = fake(&[Start::Taken], &[running(), ended(status)]);
            assert_eq!(releases.release(id()).await, Ok(Release::Ended(end)));
            assert_eq!(end.status(), status);
            let fake = fake.lock().unwrap();
            assert_eq!(fake.started.len(), 1);
            assert_eq!(fake.executions.values().collect::<Vec<_>>(), [&json!({"transaction_id": ID})]);
        }
    }

    #[tokio::test]
    async fn a_release_that_is_refused_or_has_failed_is_an_error() {
        let other = |status: &str| Shows(json!({"status": status}));
        let cases = [
            (failed("Daypass.TransactionNotFound"), Kind::Failed, "so it is"),
            (failed("Daypass.TransactionMismatch"), Kind::Failed, "so it is"),
            (failed("Daypass.InvalidRequest"), Kind::Failed, "so it is"),
            (failed("Daypass.AwsUnavailable"), Kind::TryAgain, "so it is"),
            (failed("Daypass.Newer"), Kind::Failed, "so it is"),
            (failed("States.Runtime"), Kind::Failed, "the release has ended as FAILED: States.Runtime"),
            (
                Shows(json!({"status": "FAILED", "error": "Daypass.Throttled", "cause": "{}"})),
                Kind::TryAgain,
                "it gave no reason",
            ),
            (other("ABORTED"), Kind::Failed, "the release has ended as ABORTED"),
            (other("TIMED_OUT"), Kind::Failed, "the release has ended as TIMED_OUT"),
        ];
        for (look, kind, reason) in cases {
            let (releases, _) = fake(&[Start::Taken], &[running(), look.clone()]);
            let error = releases.release(id()).await.unwrap_err();
            assert_eq!((error.kind(), error.reason()), (kind, reason), "{look:?}");
            assert_eq!(error.json(None)["transaction_id"], ID, "{look:?}");
        }
    }

    /// Success that is not about this transaction, or that says nothing of an end, is none.
    #[tokio::test]
    async fn an_answer_that_shows_no_end_of_the_transaction_is_an_error() {
        let succeeded = |output: String| Shows(json!({"status": "SUCCEEDED", "output": output}));
        let cases = [
            succeeded(output("deprovisioned", OTHER)),
            succeeded(output("provisioned", ID)),
            // An end that has only begun takes nothing away yet.
            succeeded(output("deprovisioning", ID)),
            succeeded(output("processing", ID)),
            succeeded(json!({"status": "deprovisioned"}).to_string()),
            succeeded(json!({"original_transaction_id": ID}).to_string()),
            succeeded("no JSON".to_owned()),
            Shows(json!({"status": "SUCCEEDED"})),
        ];
        for look in cases {
            let (releases, _) = fake(&[Start::Taken], std::slice::from_ref(&look));
            let error = releases.release(id()).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Failed, "{look:?}");
            assert!(error.reason().contains("does not show an end of the transaction"), "{}", error.reason());
        }
    }

    #[tokio::test]
    async fn each_release_has_a_name_of_its_own() {
        let (releases, fake) = fake(&[Start::Taken], &[failed("Daypass.TransactionNotFound"), ended("deprovisioned")]);
        assert!(releases.release(id()).await.is_err());
        // What a release came to says nothing about the next.
        assert_eq!(releases.release(id()).await, Ok(Release::Ended(End::Deprovisioned)));
        let started = &fake.lock().unwrap().started;
        assert_eq!(started.iter().collect::<BTreeSet<_>>().len(), 2, "{started:?}");
        // AWS's limit.
        assert!(
            started.iter().all(|name| name.starts_with(&format!("{ID}-release-")) && name.len() <= 80),
            "{started:?}"
        );
    }

    #[tokio::test]
    async fn a_start_whose_answer_is_lost_is_found_or_repeated() {
        let cases: [&[Start]; 5] = [
            // It had arrived; asked again, AWS says that the name is taken, or answers as for the first time.
            &[Start::Lost, Start::Taken],
            &[Start::Lost],
            // It had not.
            &[Start::Refused("ServiceUnavailable"), Start::Taken],
            &[Start::Refused("ThrottlingException"), Start::Refused("InternalFailure"), Start::Lost],
            &[Start::Refused("ExecutionLimitExceeded"), Start::Taken],
        ];
        for starts in cases {
            let (releases, fake) = fake(starts, &[Fails("ThrottlingException"), running(), ended("deprovisioned")]);
            assert_eq!(releases.release(id()).await, Ok(Release::Ended(End::Deprovisioned)), "{starts:?}");
            let fake = fake.lock().unwrap();
            assert_eq!(fake.started.iter().collect::<BTreeSet<_>>().len(), 1, "{starts:?}: one release, one name");
            assert_eq!(fake.executions.len(), 1, "{starts:?}");
        }
    }

    #[tokio::test]
    async fn what_aws_does_not_take_is_an_error() {
        let (releases, _) = fake_within(IMPATIENT, &[Start::Refused("ServiceUnavailable")], &[running()]);
        let error = releases.release(id()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::TryAgain);
        assert!(
            error.reason().ends_with("it is unknown whether Daypass has accepted the release"),
            "{}",
            error.reason()
        );
        assert_eq!(error.json(None)["status"], Value::Null);

        for (code, kind) in [
            ("AccessDeniedException", Kind::Failed),
            ("ExpiredTokenException", Kind::Failed),
            ("StateMachineDoesNotExist", Kind::Usage),
        ] {
            let (releases, fake) = fake(&[Start::Refused(code)], &[running()]);
            assert_eq!(releases.release(id()).await.unwrap_err().kind(), kind, "{code}");
            assert_eq!(fake.lock().unwrap().started.len(), 1, "{code}: the same again would be refused again");
        }
    }

    /// A name that is taken, whoever has taken it, says nothing about an outcome.
    #[tokio::test]
    async fn a_name_that_somebody_else_has_is_left_to_them() {
        for input in
            [json!({"transaction_id": ID, "expires_at": "2099-01-01T00:00:00Z"}), json!({"transaction_id": OTHER})]
        {
            let starts = [Start::Foreign(input.clone()), Start::Taken];
            for first in [running(), ended("deprovisioned"), failed("Daypass.TransactionNotFound")] {
                let (releases, fake) = fake(&starts, &[first, ended("failed")]);
                assert_eq!(releases.release(id()).await, Ok(Release::Ended(End::Failed)), "by its own execution");
                assert_eq!(fake.lock().unwrap().executions.len(), 2);
            }
            let (releases, _) = fake(&[Start::Foreign(input)], &[ended("deprovisioned")]);
            let error = releases.release(id()).await.unwrap_err();
            assert!(error.reason().contains("in use already"), "{}", error.reason());
        }
    }

    #[tokio::test]
    async fn a_look_that_fails_for_a_while_fails_no_release() {
        for code in ["ThrottlingException", "ServiceUnavailable", "ExecutionDoesNotExist"] {
            let (releases, _) =
                fake(&[Start::Taken], &[Fails(code), Fails(code), running(), Fails(code), ended("deprovisioned")]);
            assert_eq!(releases.release(id()).await, Ok(Release::Ended(End::Deprovisioned)), "{code}");
        }
    }

    #[tokio::test]
    async fn what_runs_too_long_is_taken_and_not_released() {
        let (releases, fake) = fake_within(IMPATIENT, &[Start::Taken], &[running()]);
        let Ok(Release::Taken(taken)) = releases.release(id()).await else {
            panic!("it is neither released nor refused")
        };
        assert!(fake.lock().unwrap().looked < 40, "gently");
        let error = taken.clone().into_error();
        assert_eq!((error.kind(), &error.json(None)["status"]), (Kind::TryAgain, &"unconfirmed".into()));
        assert!(error.reason().contains("has not confirmed yet that the role is gone"), "{}", error.reason());
        assert!(error.line().contains(&format!("`daypass release --wait {ID}`")), "{}", error.line());

        // It can be waited for, also while AWS is not well.
        fake.lock().unwrap().looks =
            vec![running(), Fails("ThrottlingException"), Fails("ExecutionDoesNotExist"), ended("deprovisioned")];
        fake.lock().unwrap().looked = 0;
        let patient = Releases { pace: Pace { out_of_sight: PATIENT, ..releases.pace }, ..releases.clone() };
        assert_eq!(patient.wait(taken.clone()).await, Ok(End::Deprovisioned));
        fake.lock().unwrap().looks = vec![failed("Daypass.AwsUnavailable")];
        assert_eq!(releases.wait(taken.clone()).await.unwrap_err().reason(), "so it is");
        // But not for ever, when there is nothing to be seen.
        fake.lock().unwrap().looks = vec![Fails("ServiceUnavailable")];
        let error = releases.wait(taken).await.unwrap_err();
        assert_eq!(error.kind(), Kind::TryAgain);
        assert!(error.reason().contains("its status is unknown"), "{}", error.reason());
    }

    #[tokio::test]
    async fn who_may_not_look_is_not_told_that_it_is_released() {
        let (releases, _) = fake(&[Start::Taken], &[Fails("AccessDeniedException")]);
        let Ok(Release::Taken(taken)) = releases.release(id()).await else { panic!("nothing is known of its end") };
        assert!(taken.text().contains("AccessDeniedException"), "{}", taken.text());
        // Whoever has no answer to the start either does not know that much.
        let (releases, _) = fake_within(IMPATIENT, &[Start::Lost], &[Fails("AccessDeniedException")]);
        let error = releases.release(id()).await.unwrap_err();
        assert!(
            error.reason().ends_with("it is unknown whether Daypass has accepted the release"),
            "{}",
            error.reason()
        );
    }

    #[tokio::test]
    async fn a_request_that_is_on_its_way_is_waited_for() {
        let not_found = || failed("Daypass.TransactionNotFound");
        let (releases, fake) = fake(&[Start::Taken], &[not_found(), not_found(), ended("failed")]);
        assert_eq!(releases.release_lost(id()).await, Ok(Release::Ended(End::Failed)));
        assert_eq!(fake.lock().unwrap().executions.len(), 3, "each under a name of its own");

        let (releases, fake) = fake_within(IMPATIENT, &[Start::Taken], &[not_found()]);
        let error = releases.release_lost(id()).await.unwrap_err();
        assert!(error.is(ErrorName::TransactionNotFound));
        assert!(fake.lock().unwrap().executions.len() < 10, "less and less often");

        let (releases, fake) = self::fake(&[Start::Taken], &[failed("Daypass.InvalidRequest")]);
        assert!(releases.release_lost(id()).await.is_err());
        assert_eq!(fake.lock().unwrap().executions.len(), 1, "what else is refused is refused");
    }
}
