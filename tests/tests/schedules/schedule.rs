//! What a seed becomes: who asks for what, who ends or attacks it, when, and which calls of AWS fail meanwhile.

use std::fmt;

use daypass::ids::TransactionId;
use daypass_tests::{engine::Fault, pipeline::Account, random::Random};

/// Everything that is played for one seed.
pub struct Schedule {
    pub seed: u64,
    /// The transactions, by the ids that they are to have.
    pub ids: Vec<TransactionId>,
    pub faults: Vec<Planned>,
    /// In the order in which they are carried out.
    pub steps: Vec<Step>,
}

/// A fault that is armed before anything happens.
pub struct Planned {
    pub says: String,
    pub fault: Fault,
}

/// Something that somebody does.
#[derive(Clone)]
pub struct Step {
    /// When, in hundredths of the time that a provisioning takes.
    pub at: u32,
    pub action: Action,
}

#[derive(Clone)]
pub enum Action {
    /// A pipeline asks for access, for itself or as if it were another one.
    Request { of: usize, who: Who, account: Account, lease: Lease },
    /// Somebody starts the deprovision machine, with any name and any words.
    Start { name: String, input: String },
    /// Whoever has been provisioned asks again.
    Renew { of: usize },
    /// The lease waits no more, as at its end.
    Expire { of: usize },
    /// An administrator stops the lease.
    StopLease { of: usize },
    /// An operator starts a sweep.
    Sweep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// May have it.
    Member,
    /// May have another persona.
    OfAnotherGroup,
    /// Is in no group.
    NoMember,
    /// Identity Center knows nobody of this name.
    Nobody,
    /// Has a token that is none.
    Unproven,
}

#[derive(Clone, Copy, Debug)]
pub enum Lease {
    /// Ends about when the provisioning does.
    Seconds(u32),
    /// Waits for longer than the schedule lasts.
    Long,
}

const WHO: [Who; 10] = [
    Who::Member,
    Who::Member,
    Who::Member,
    Who::Member,
    Who::Member,
    Who::Member,
    Who::NoMember,
    Who::OfAnotherGroup,
    Who::Nobody,
    Who::Unproven,
];

impl Schedule {
    pub fn of(seed: u64) -> Self {
        let mut random = Random::of(seed);
        let ids: Vec<_> = (0..random.one_of(&[1, 1, 1, 2, 2, 3])).map(|_| random.transaction_id()).collect();
        let (mut steps, mut faults) = (Vec::new(), Vec::new());
        for of in 0..ids.len() {
            steps_of(&mut random, of, &ids, &mut steps);
            faults_of(&mut random, of, ids[of], &mut faults);
        }
        for _ in 0..random.one_of(&[0, 0, 0, 1, 2]) {
            steps.push(Step { at: random.within(0..250), action: Action::Sweep });
        }
        steps.sort_by_key(|step| step.at);
        Self { seed, ids, faults, steps }
    }
}

fn steps_of(random: &mut Random, of: usize, ids: &[TransactionId], steps: &mut Vec<Step>) {
    let asks_at = random.within(0..100);
    let mut asks = |random: &mut Random, at| {
        let who = random.one_of(&WHO);
        let account = random.one_of(&Account::ALL);
        let lease = if random.percent(30) { Lease::Seconds(random.within(5..60)) } else { Lease::Long };
        steps.push(Step { at, action: Action::Request { of, who, account, lease } });
    };
    asks(random, asks_at);
    for _ in 0..random.one_of(&[0, 0, 0, 1, 1, 2]) {
        let after = random.one_of(&[0, 1, 20, 60, 120]);
        asks(random, asks_at + after);
    }
    let moment = |random: &mut Random| (asks_at + random.within(0..200)).saturating_sub(40);
    for _ in 0..random.one_of(&[0, 1, 1, 1, 2, 2, 3, 4]) {
        let action = start(random, ids[of], ids);
        steps.push(Step { at: moment(random), action });
    }
    for _ in 0..random.one_of(&[0, 0, 1, 2]) {
        steps.push(Step { at: asks_at + 80 + random.within(0..150), action: Action::Renew { of } });
    }
    if random.percent(20) {
        steps.push(Step { at: asks_at + 50 + random.within(0..200), action: Action::Expire { of } });
    }
    if random.percent(15) {
        steps.push(Step { at: asks_at + 30 + random.within(0..200), action: Action::StopLease { of } });
    }
}

/// A start of the deprovision machine: a release, a release in wrong words, or what wants to be a lease.
fn start(random: &mut Random, id: TransactionId, ids: &[TransactionId]) -> Action {
    let digits = random.digits();
    let name = match random.within(0..10) {
        0..=3 => format!("{id}-release-{digits}"),
        4 => format!("{id}-release"),
        5 => format!("{id}-cleanup-{digits}"),
        6 => format!("{id}-sweep-{digits}"),
        7 => id.to_string(),
        _ => random.transaction_id().to_string(),
    };
    let of = if random.percent(10) { random.transaction_id() } else { id };
    let other = random.one_of(ids);
    let input = match random.within(0..12) {
        0 => format!(r#"{{"transaction_id":"{of}","expires_at":"2037-01-01T00:00:00Z"}}"#),
        1 => format!(r#"{{"schema":1,"transaction_id":"{of}","expires_at":"2037-01-01T00:00:00Z"}}"#),
        2 => format!(r#"{{"transaction_id":"{of}","role_arn":"arn:aws:iam::222222222222:role/admin"}}"#),
        3 => format!(r#"{{"transaction_id":"{of}","target_aws_account":"payments-prod"}}"#),
        4 => format!(
            r#"{{"transaction_id":"{of}","role_arn":"arn:aws:iam::222222222222:role/daypass/daypass-{other}"}}"#
        ),
        _ => format!(r#"{{"transaction_id":"{of}"}}"#),
    };
    Action::Start { name, input }
}

/// Calls that a transaction is made of and taken away by, and what AWS may say to each instead of an answer.
const IAM: [&str; 12] = [
    "iam:CreateRole",
    "iam:CreateRole",
    "iam:GetRole",
    "iam:PutRolePolicy",
    "iam:AttachRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListRolePolicies",
    "iam:ListInstanceProfilesForRole",
    "iam:DetachRolePolicy",
    "iam:DeleteRolePolicy",
    "iam:DeleteRole",
    "iam:DeleteRole",
];
const SAYS_IAM: [(u16, &str); 6] = [
    (403, "AccessDenied"),
    (403, "AccessDenied"),
    (400, "Throttling"),
    (409, "ConcurrentModification"),
    (503, "ServiceUnavailable"),
    (400, "Unexpected"),
];
const TABLE: [&str; 4] =
    ["dynamodb:UpdateItem", "dynamodb:UpdateItem", "dynamodb:TransactWriteItems", "dynamodb:GetItem"];
const SAYS_TABLE: [(u16, &str); 4] = [
    (400, "ProvisionedThroughputExceededException"),
    (500, "InternalServerError"),
    (400, "AccessDeniedException"),
    (400, "Unexpected"),
];
const TASKS: [&str; 9] =
    ["record", "record", "record", "create-role", "delete-role", "issue-creds", "authn", "authz", "validate"];
const SAYS_LAMBDA: [(u16, &str); 3] =
    [(500, "ServiceException"), (429, "TooManyRequestsException"), (500, "Unexpected")];

fn faults_of(random: &mut Random, of: usize, id: TransactionId, faults: &mut Vec<Planned>) {
    for _ in 0..random.one_of(&[0, 0, 1, 1, 2, 3]) {
        let (action, (status, error), on, by) = match random.within(0..10) {
            0..=4 => (random.one_of(&IAM), random.one_of(&SAYS_IAM), None, None),
            5 => ("sts:AssumeRole", random.one_of(&SAYS_IAM), None, None),
            6 | 7 => (random.one_of(&TABLE), random.one_of(&SAYS_TABLE), None, None),
            8 => {
                let by = random.one_of(&["provision", "provision", "deprovision"]);
                let on = random.one_of(&TASKS);
                ("lambda:InvokeFunction", random.one_of(&SAYS_LAMBDA), Some(on), Some(by))
            }
            _ => ("states:StartExecution", (400, "AccessDeniedException"), None, Some("provision")),
        };
        let (skip, times) = (random.one_of(&[0, 0, 0, 1, 1, 2, 3, 5]), random.one_of(&[1, 1, 2, 3, 4, 8, u32::MAX]));
        // IAM asks for the permission to make a role before it makes one.
        let lost = random.percent(35) && (action, error) != ("iam:CreateRole", "AccessDenied");
        let mut fault = Fault::of(action).with(status, error).about(id).skipping(skip).times(times);
        let mut says = format!("of {of}: {action}");
        if let Some(task) = on {
            fault = fault.on(&format!(":daypass-{task}"));
            says = says + " of " + task;
        }
        if let Some(machine) = by {
            fault = fault.by(&format!(":role/daypass-{machine}"));
            says = says + " by " + machine;
        }
        if lost {
            fault = fault.after_execution();
        }
        let what = if lost { "carried out, and answered" } else { "answered" };
        let times = if times == u32::MAX { "always".to_owned() } else { format!("{times} times") };
        faults.push(Planned { says: format!("{says}: {what} {status} {error}, {times}, after {skip}"), fault });
    }
    // IAM does not show at once what it has made.
    if random.percent(10) {
        let times = random.within(1..4);
        let fault = Fault::of("iam:GetRole").with(404, "NoSuchEntity").about(id).times(times);
        faults.push(Planned { says: format!("of {of}: iam:GetRole does not show the role, {times} times"), fault });
    }
    // The execution is as good as stopped from some task on.
    if random.percent(12) {
        let tasks = random.within(1..12);
        let by = ":role/daypass-provision";
        let fault = Fault::of("lambda:InvokeFunction").with(500, "ServiceException").by(by).about(id);
        let says = format!("of {of}: provision can call nothing after {tasks} tasks");
        faults.push(Planned { says, fault: fault.skipping(tasks).always() });
        let starts = random.within(0..2);
        let fault = Fault::of("states:StartExecution").with(500, "AWSStepFunctionsException").by(by).about(id);
        let says = format!("of {of}: provision can start nothing after {starts} starts");
        faults.push(Planned { says, fault: fault.skipping(starts).always() });
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (of, id) in self.ids.iter().enumerate() {
            writeln!(f, "  {of} is {id}")?;
        }
        for it in &self.faults {
            writeln!(f, "  fault {}", it.says)?;
        }
        for (number, it) in self.steps.iter().enumerate() {
            writeln!(f, "  {number:2}. at {:3}: {}", it.at, it.action)?;
        }
        Ok(())
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request { of, who, account, lease } => {
                write!(f, "request {of} by {who:?}, to {}, lease {lease:?}", account.name())
            }
            Self::Start { name, input } => write!(f, "start deprovision as {name} with {input}"),
            Self::Renew { of } => write!(f, "renew {of}"),
            Self::Expire { of } => write!(f, "the lease of {of} expires"),
            Self::StopLease { of } => write!(f, "the lease of {of} is stopped"),
            Self::Sweep => write!(f, "sweep"),
        }
    }
}
