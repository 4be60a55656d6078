//! Which call is hit, and with what.

use std::{collections::BTreeMap, fmt, time::Duration};

use daypass::ids::TransactionId;
use daypass_tests::engine::{Fault, Instead, RecordedCall};

use crate::scenario::Scenario;

/// How much later something comes that comes late, and how long what is slow takes: less than the SDK waits for an answer.
pub const LATE: Duration = Duration::from_secs(1);
const SLOW: Duration = Duration::from_secs(2);

/// What can happen to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Unavailable,
    Throttled,
    Denied,
    Reset,
    Lost,
    Cut,
    Twice,
    Late,
    Slow,
    Hangs,
    HangsAfter,
    DiesBefore,
    DiesAfter,
}

impl Kind {
    pub const ALL: [Self; 13] = [
        Self::Unavailable,
        Self::Throttled,
        Self::Denied,
        Self::Reset,
        Self::Lost,
        Self::Cut,
        Self::Twice,
        Self::Late,
        Self::Slow,
        Self::Hangs,
        Self::HangsAfter,
        Self::DiesBefore,
        Self::DiesAfter,
    ];

    /// As the table is headed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unavailable => "500",
            Self::Throttled => "throttle",
            Self::Denied => "denied",
            Self::Reset => "reset",
            Self::Lost => "lost",
            Self::Cut => "cut",
            Self::Twice => "twice",
            Self::Late => "late",
            Self::Slow => "slow",
            Self::Hangs => "hang",
            Self::HangsAfter => "hang-after",
            Self::DiesBefore => "kill",
            Self::DiesAfter => "kill-after",
        }
    }

    /// What it means.
    pub fn means(self) -> &'static str {
        match self {
            Self::Unavailable => "refused before the effect, with a server's error (HTTP 500)",
            Self::Throttled => "refused before the effect, with the service's throttle",
            Self::Denied => "refused before the effect, with AccessDenied",
            Self::Reset => "the connection is reset before the effect",
            Self::Lost => "the effect, and the connection is reset instead of the answer",
            Self::Cut => "the effect, and half of the answer",
            Self::Twice => "the effect twice, and the first answer",
            Self::Late => "the connection is reset, and the effect comes a second later",
            Self::Slow => "the effect, and the answer two seconds later",
            Self::Hangs => "no effect and no answer, until the caller gives up",
            Self::HangsAfter => "the effect and no answer, until the caller gives up",
            Self::DiesBefore => {
                "the function that calls (of a machine's call: that is called) is killed before the effect"
            }
            Self::DiesAfter => "the same after the effect",
        }
    }

    /// Whether somebody waits in vain, for seconds.
    pub fn waits(self) -> bool {
        matches!(self, Self::Hangs | Self::HangsAfter)
    }

    /// Whether the call takes effect, and whoever calls does not learn it.
    pub fn takes_effect_unanswered(self) -> bool {
        matches!(self, Self::Lost | Self::Cut | Self::Late | Self::HangsAfter | Self::DiesAfter)
    }

    /// Whether it is played for each call of a scenario. Where the same calls are hit with everything in another scenario, it is
    /// those faults that change what executions find out of each other; pairs have all of them.
    pub fn is_for(self, scenario: Scenario) -> bool {
        let again = scenario.races() || scenario == Scenario::ClientGone;
        !again || matches!(self, Self::Denied | Self::Lost | Self::Late)
    }

    /// Whether it can happen to that call.
    pub fn fits(self, point: &Point) -> bool {
        match self {
            // What a machine calls is answered by AWS's own, not over a connection that we could cut.
            Self::Cut => !point.is_task,
            Self::DiesBefore | Self::DiesAfter => !point.is_task || point.action == "lambda:InvokeFunction",
            _ => true,
        }
    }
}

/// The n-th call of an action in a state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    pub machine: String,
    pub state: String,
    pub action: String,
    /// Made by the machine itself, not by the function that it calls.
    pub is_task: bool,
    /// How many such calls come before.
    pub nth: u32,
}

impl Point {
    /// The calls of a recording, in the order in which they were first made.
    pub fn all(calls: &[RecordedCall]) -> Vec<Self> {
        let mut seen: BTreeMap<Self, u32> = BTreeMap::new();
        let mut all = Vec::new();
        for call in calls.iter().filter(|call| !call.state.is_empty()) {
            let machine = call.execution.split(':').nth(6).unwrap_or_default();
            let first = Self {
                machine: machine.trim_start_matches("daypass-").to_owned(),
                state: call.state.clone(),
                action: call.action.clone(),
                is_task: call.caller.contains(":role/"),
                nth: 0,
            };
            let count = seen.entry(first.clone()).or_default();
            all.push(Self { nth: *count, ..first });
            *count += 1;
        }
        all
    }

    fn errors(&self) -> [(u16, &'static str); 3] {
        match self.action.split(':').next().unwrap_or_default() {
            "iam" => [(500, "ServiceFailure"), (400, "Throttling"), (403, "AccessDenied")],
            "sts" => [(500, "InternalFailure"), (400, "Throttling"), (403, "AccessDenied")],
            "dynamodb" => [
                (500, "InternalServerError"),
                (400, "ProvisionedThroughputExceededException"),
                (400, "AccessDeniedException"),
            ],
            "lambda" => [(500, "ServiceException"), (429, "TooManyRequestsException"), (403, "AccessDeniedException")],
            "states" => {
                [(500, "AWSStepFunctionsException"), (400, "ThrottlingException"), (400, "AccessDeniedException")]
            }
            _ => [(500, "InternalServerException"), (400, "ThrottlingException"), (400, "AccessDeniedException")],
        }
    }

    /// What is armed to hit this call, and with `for_good` all such calls from then on.
    pub fn fault(&self, kind: Kind, for_good: bool, transaction: TransactionId) -> Fault {
        let fault = Fault::of(&self.action).of_state(&self.machine, &self.state).about(transaction).skipping(self.nth);
        let fault = if for_good { fault.always().everywhere() } else { fault };
        let [unavailable, throttled, denied] = self.errors();
        match kind {
            Kind::Unavailable => fault.with(unavailable.0, unavailable.1),
            Kind::Throttled => fault.with(throttled.0, throttled.1),
            Kind::Denied => fault.with(denied.0, denied.1),
            Kind::Reset => fault.instead(Instead::Reset),
            Kind::Lost => fault.instead(Instead::Reset).after_execution(),
            Kind::Cut => fault.cut_in_half(),
            Kind::Twice => fault.twice(),
            Kind::Late => fault.instead(Instead::Reset).late(LATE),
            Kind::Slow => fault.slow(SLOW),
            Kind::Hangs => fault.instead(Instead::Silence),
            Kind::HangsAfter => fault.instead(Instead::Silence).after_execution(),
            Kind::DiesBefore => fault.instead(Instead::Death),
            Kind::DiesAfter => fault.instead(Instead::Death).after_execution(),
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = if self.is_task { "" } else { " → " };
        let (machine, state) = (&self.machine, &self.state);
        match (self.is_task, self.nth) {
            (_, 0) => write!(f, "{machine} {state}{by}{}{}", if self.is_task { " " } else { "" }, self.action),
            (_, nth) => {
                write!(f, "{machine} {state}{by}{}{} #{}", if self.is_task { " " } else { "" }, self.action, nth + 1)
            }
        }
    }
}

/// A call and what happens to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    pub point: Point,
    pub kind: Kind,
    pub for_good: bool,
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}{}", self.point, self.kind.name(), if self.for_good { " for good" } else { "" })
    }
}
