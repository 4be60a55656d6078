//! The promises, as what must hold in every state.

use std::rc::Rc;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;

use crate::{
    functions::V,
    intern::FastMap,
    machines::Kind as StateKind,
    record::{Of, shown},
    world::{By, DEPROVISION, Exec, Flags, PROVISION, Phase, RENEW, Role, State, World},
};

/// A promise of the design (docs/threat-model.md), by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    NoRoleWithoutLease = 1,
    NoAccessAfterExpiry = 2,
    ReleaseEndsAccess = 3,
    DeniedMeansUntouched = 4,
    NoSecretAtRest = 5,
    OneTrueStatus = 6,
    PatientAndThenAPerson = 7,
    OneTransactionOneRole = 9,
}

impl Promise {
    pub const ALL: [Self; 8] = [
        Self::NoRoleWithoutLease,
        Self::NoAccessAfterExpiry,
        Self::ReleaseEndsAccess,
        Self::DeniedMeansUntouched,
        Self::NoSecretAtRest,
        Self::OneTrueStatus,
        Self::PatientAndThenAPerson,
        Self::OneTransactionOneRole,
    ];

    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|it| *it as u8 == number)
    }
}

/// What counts of the tables' content.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub status: Option<String>,
    /// A role may exist, and it says so.
    pub marked: bool,
    /// Why the transaction is what it is.
    pub error: Option<String>,
    /// The status of the item that records the end.
    end: Option<String>,
    has_secret: bool,
}

impl Facts {
    pub fn has_ended(&self) -> bool {
        self.status.as_deref().is_some_and(|it| ["denied", "failed", "deprovisioned"].contains(&it))
    }
}

impl World {
    pub fn facts_of(&mut self, content: u32) -> Rc<Facts> {
        if let Some(known) = self.facts.get(&content) {
            return Rc::clone(known);
        }
        let all = self.recorder.contents.get(content);
        let item = |key: String| all.get(&(Of::Transactions, key)).map(|it| self.recorder.items.get(*it));
        let text = |item: Option<&daypass_record::Item>, name: &str| match item?.get(name)? {
            AttributeValue::S(text) => Some(text.clone()),
            _ => None,
        };
        let it = item(V.to_owned());
        let end = item(format!("{V}#end"));
        let has_secret = all.values().any(|it| {
            let text = shown(&AttributeValue::M(self.recorder.items.get(*it).clone()));
            text.contains("SEALED") || text.contains("TOKEN")
        });
        let facts = Rc::new(Facts {
            status: text(it, "status"),
            marked: it.is_some_and(|it| it.get("role_may_exist") == Some(&AttributeValue::Bool(true))),
            error: text(it, "error"),
            end: text(end, "status"),
            has_secret,
        });
        self.facts.insert(content, Rc::clone(&facts));
        facts
    }

    /// The promise that a step breaks; 0 when it breaks none.
    pub fn broken(&mut self, before: &State, after: &State) -> u8 {
        let (was, is) = (self.facts_of(before.content), self.facts_of(after.content));
        let there = after.role.has(Role::THERE);
        let broken = if was.has_ended() && was.status != is.status {
            Promise::OneTrueStatus
        } else if after.flags.has(Flags::TOUCHED) && after.flags.has(Flags::REFUSED) {
            Promise::DeniedMeansUntouched
        } else if there && after.flags.has(Flags::RELEASED) {
            Promise::ReleaseEndsAccess
        } else if is.has_ended() && (there || is.end.as_ref().is_some_and(|it| it != "deprovisioned")) {
            Promise::OneTrueStatus
        } else if after.clock >= 3
            && after.flags.has(Flags::GRANTED)
            && after.role.has(Role::ALLOWS)
            && !after.role.has(Role::GUARD)
            && !after.role.has(Role::DENIES)
        {
            Promise::NoAccessAfterExpiry
        } else if is.has_secret {
            Promise::NoSecretAtRest
        } else if is.status.as_deref() == Some("provisioned")
            && after.flags.has(Flags::TOLD_FAILED)
            && !after.flags.has(Flags::GAVE_UP_START)
            && self.is_idle(after)
        {
            Promise::OneTrueStatus
        } else {
            return 0;
        };
        broken as u8
    }

    /// Whether nobody is at work but a lease that waits.
    fn is_idle(&self, s: &State) -> bool {
        s.execs.iter().filter(|it| **it != 0).all(|it| {
            let exec = self.exec(*it);
            let state = &self.machines[exec.machine as usize].states[exec.at as usize];
            matches!(exec.phase, Phase::Done(_)) || matches!(state.kind, StateKind::Wait(_)) || exec.machine == RENEW
        })
    }

    /// What an execution has told whoever started it.
    pub fn ended(&mut self, s: &mut State, exec: &Exec) {
        let Phase::Done(state) = exec.phase else { return };
        if exec.stopped {
            return;
        }
        let variables: Value = serde_json::from_str(self.texts.get(exec.variables)).expect("JSON");
        let state = state.map(|at| &self.machines[exec.machine as usize].states[at as usize]);
        let succeeded = state.is_none_or(|it| matches!(it.kind, StateKind::Succeed));
        if exec.machine != DEPROVISION && succeeded {
            let sealed = variables["sealed_credentials"].as_str().expect("sealed credentials");
            let own = sealed.contains(&format!(
                "{}: {}",
                variables["transaction"]["recipient"], variables["transaction"]["role_arn"]
            ));
            let others = exec.by == By::Mallory && variables["transaction"]["transaction_id"] == V;
            if !own || others {
                s.bad = Promise::OneTransactionOneRole as u8;
            }
        }
        match (exec.machine, exec.by) {
            (PROVISION, By::Owner) if succeeded => s.flags.0 |= Flags::GRANTED.0,
            (PROVISION, By::Owner) => {
                let denied = state.is_some_and(|it| it.name == "Denied");
                if denied && variables["failure"]["Error"] == "Daypass.NotAMember" {
                    let facts = self.facts_of(s.content);
                    let recorded = facts.status.as_deref() == Some("denied");
                    if !recorded || facts.error.as_deref() != Some("Daypass.NotAMember") {
                        s.bad = Promise::DeniedMeansUntouched as u8;
                    }
                } else {
                    s.flags.0 |= Flags::TOLD_FAILED.0;
                }
            }
            (DEPROVISION, By::Release(_)) if succeeded => s.flags.0 |= Flags::RELEASED.0,
            _ => (),
        }
    }

    /// Whether all is over as it should be: nothing is open, or a person knows.
    pub fn is_over(&mut self, s: &State) -> bool {
        let facts = self.facts_of(s.content);
        let closed = facts.status.is_none() || facts.has_ended();
        (closed && !s.role.has(Role::THERE)) || s.flags.has(Flags::TOLD_OPERATORS)
    }
}

/// So that every state is looked at once.
pub type Known = FastMap<State, u32>;

/// An end has been given up. That takes a day of attempts; and where the record was the trouble, the role is gone.
pub fn told_operators(s: &mut State) {
    let excused = s.flags.has(Flags::GAVE_UP_IAM) || s.flags.has(Flags::GAVE_UP_READING);
    if !s.flags.has(Flags::DAY) || (s.role.has(Role::THERE) && !excused) {
        s.bad = Promise::PatientAndThenAPerson as u8;
    }
}
