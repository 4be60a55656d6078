//! The world that the protocol runs in: the executions, the tables, the role, the clock, and who does what next.

use std::{collections::BTreeSet, rc::Rc, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use daypass::timestamp::Timestamp;
use daypass_testing::samples;
use serde_json::{Map, Value, json};

use crate::{
    functions::{E, V},
    intern::{FastMap, Interned},
    machines::{Call, Kind as StateKind, Machine, Scope},
    properties::{self, Facts},
    record::{Answer, Next, Of, Question, Recorder, shown},
    weakened::{Weakness, shipped},
};

pub use crate::properties::Promise;

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Said {
    Answer(String),
    Error(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outcome(u32);

impl Outcome {
    pub fn answer(all: &mut Interned<Said>, value: &Value) -> Self {
        Self(all.of(Said::Answer(value.to_string())))
    }

    pub fn error(all: &mut Interned<Said>, name: &str) -> Self {
        Self(all.of(Said::Error(name.to_owned())))
    }
}

/// Who has started an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// The request.
    Owner,
    /// Provision: the lease.
    Lease,
    /// Whoever releases.
    Release(u8),
    /// The job that renews.
    Renewer(u8),
    /// Somebody who may start any machine, under any name, with any input.
    Mallory,
    /// Provision: the clean-up.
    CleanUp,
    Sweep,
}

/// Where an execution is within its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    Ready,
    /// In an operation of record, at this node.
    Record(u32),
    /// In create-role: the next call, whether it is another attempt, since when.
    Create([u8; 3]),
    /// In delete-role: the next call, whether the role was there, since when.
    Delete([u8; 3]),
    /// It has ended: with this state (none: at the end of a task), or it was stopped.
    Done(Option<u16>),
}

/// The first call of a function.
pub const FIRST: u8 = 0;
/// An error that nobody has to pay for: it follows from what there is.
pub const BARE_LOSS: u8 = 0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Exec {
    pub machine: u8,
    pub by: By,
    pub name: u32,
    pub input: u32,
    pub variables: u32,
    pub at: u16,
    pub phase: Phase,
    /// It was stopped, and what it has called last goes on.
    pub stopped: bool,
}

pub const PROVISION: u8 = 0;
pub const DEPROVISION: u8 = 1;
pub const RENEW: u8 = 2;

/// The role in the target account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Role(pub u8);

impl Role {
    pub const THERE: u8 = 1;
    /// IAM shows it.
    pub const SHOWN: u8 = 2;
    /// It has the policy that denies everything after the expiry.
    pub const GUARD: u8 = 4;
    /// It has policies that allow something.
    pub const ALLOWS: u8 = 8;
    /// It has the policy that denies everything.
    pub const DENIES: u8 = 16;

    pub fn has(self, bits: u8) -> bool {
        self.0 & bits == bits
    }
}

/// What has happened, as far as a promise depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u16);

impl Flags {
    /// The target account was called for the transaction.
    pub const TOUCHED: Self = Self(1);
    /// The request was refused.
    pub const REFUSED: Self = Self(2);
    /// The caller has got the credentials.
    pub const GRANTED: Self = Self(4);
    /// The caller was told that the request has failed.
    pub const TOLD_FAILED: Self = Self(8);
    /// Somebody was told that the transaction is released.
    pub const RELEASED: Self = Self(16);
    /// The operators were told that an end has failed.
    pub const TOLD_OPERATORS: Self = Self(32);
    /// A task of an end was given up after a day.
    pub const DAY: Self = Self(64);
    /// delete-role was given up.
    pub const GAVE_UP_IAM: Self = Self(128);
    /// Nobody could look the transaction up.
    pub const GAVE_UP_READING: Self = Self(256);
    /// The clean-up could not be started.
    pub const GAVE_UP_START: Self = Self(512);

    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Executions at once.
const MOST: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub clock: u8,
    pub faults: u8,
    pub releases: u8,
    pub renewals: u8,
    pub foreign: u8,
    pub role: Role,
    /// The promise that is broken; 0 when none is.
    pub bad: u8,
    pub flags: Flags,
    pub content: u32,
    pub execs: [u32; MOST],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It happens, if nothing goes wrong and nobody does anything.
    Progress,
    /// Something goes wrong.
    Fault,
    /// Somebody does something.
    Act,
}

pub struct Step {
    pub state: State,
    pub kind: Kind,
    /// Who did what, and what was answered; empty unless asked for.
    pub words: String,
}

/// What somebody else starts.
#[derive(Clone, Debug)]
pub struct Foreign {
    pub machine: u8,
    pub name: String,
    pub input: Value,
}

#[derive(Clone, Debug, Default)]
pub struct Bounds {
    pub releases: u8,
    pub renewals: u8,
    /// How many foreign starts, and which there are to choose from.
    pub foreign: u8,
    pub starts: Vec<Foreign>,
    pub faults: u8,
    /// Whether the request may be refused.
    pub denials: bool,
}

/// How an execution goes on after an answer: as which, for how many faults, and what happened on the way.
#[derive(Clone)]
struct Turn {
    exec: u32,
    cost: u8,
    flags: Flags,
    /// Only after a day of attempts.
    after_a_day: bool,
    words: String,
}

pub struct World {
    pub machines: [Machine; 3],
    pub recorder: Recorder,
    pub execs: Interned<Exec>,
    pub texts: Interned<String>,
    pub bounds: Bounds,
    pub weak: Weakness,
    pub moments: [Timestamp; 5],
    pub telling: bool,
    pub facts: FastMap<u32, Rc<Facts>>,
    roots: FastMap<(u32, u8), u32>,
    sweepable: FastMap<(u32, u8), bool>,
    waits: FastMap<u32, u8>,
    turns: FastMap<(u32, Outcome), Rc<Vec<Turn>>>,
    payloads: FastMap<u32, Rc<Value>>,
}

/// The latest moment of the clock.
const LAST: u8 = 4;

impl World {
    pub fn new(bounds: Bounds, weak: Weakness) -> Self {
        let after = |seconds| samples::requested_at().plus(Duration::from_secs(seconds));
        // Requested; nobody provisions any more, and a role that is known is old enough; so is any other; the expiry; a
        // sweep takes it for overdue.
        let moments = [after(0), after(400), after(800), after(8 * 3600), after(8 * 3600 + 1000)];
        let mut execs = Interned::default();
        let nobody = Exec {
            machine: 0,
            by: By::Sweep,
            name: 0,
            input: 0,
            variables: 0,
            at: 0,
            phase: Phase::Done(None),
            stopped: true,
        };
        execs.of(nobody);
        Self {
            machines: shipped(&weak),
            recorder: Recorder::new(moments, weak.without, weak.end_can_be_named),
            execs,
            texts: Interned::default(),
            bounds,
            weak,
            moments,
            telling: false,
            facts: FastMap::default(),
            roots: FastMap::default(),
            sweepable: FastMap::default(),
            waits: FastMap::default(),
            turns: FastMap::default(),
            payloads: FastMap::default(),
        }
    }

    /// The request has just been sent.
    pub fn initial(&mut self) -> Vec<Step> {
        let Bounds { releases, renewals, foreign, faults, .. } = self.bounds;
        let (role, flags, execs) = (Role(0), Flags::default(), [0; MOST]);
        let empty = State { clock: 0, faults, releases, renewals, foreign, role, bad: 0, flags, content: 0, execs };
        let input = request("alex@example.com", "age1alex", "1");
        let mut out = vec![];
        self.start(&empty, PROVISION, By::Owner, V, &input, "asks for a role", Kind::Act, &mut out);
        out
    }

    pub fn exec(&self, id: u32) -> &Exec {
        self.execs.get(id)
    }

    fn text(&self, id: u32) -> &str {
        self.texts.get(id)
    }

    fn state_of(&self, exec: &Exec) -> &Rc<crate::machines::State> {
        &self.machines[exec.machine as usize].states[exec.at as usize]
    }

    /// A line of the sequence, when it is asked for.
    pub fn say(&self, exec: &Exec, words: &str) -> String {
        if !self.telling {
            return String::new();
        }
        let who = match exec.by {
            By::Owner => "provision".to_owned(),
            By::Lease => "lease".to_owned(),
            By::Release(number) => format!("release {number}"),
            By::Renewer(number) => format!("renewal {number}"),
            By::Mallory => format!("mallory's {}", self.machines[exec.machine as usize].name),
            By::CleanUp => "clean-up".to_owned(),
            By::Sweep => "sweep's release".to_owned(),
        };
        let who = if exec.stopped { format!("{who} (stopped)") } else { who };
        format!("{who}, {}: {words}", self.state_of(exec).name)
    }

    fn states(&self, exec: &Exec) -> Map<String, Value> {
        let input: Value = serde_json::from_str(self.text(exec.input)).expect("JSON");
        let machine = self.machines[exec.machine as usize].name;
        let name = self.text(exec.name);
        let id = if exec.machine == DEPROVISION {
            format!("arn:aws:states:eu-central-1:111111111111:execution:daypass-{machine}:{name}")
        } else {
            format!("arn:aws:states:eu-central-1:111111111111:express:daypass-{machine}:{name}:{:?}", exec.by)
        };
        let start = self.moments[0];
        let states = json!({
            "input": input,
            "context": {
                "Execution": {"Id": id, "Name": name, "Input": input, "StartTime": start},
                "State": {"Name": self.state_of(exec).name},
            },
        });
        let Value::Object(states) = states else { unreachable!("it is an object") };
        states
    }

    /// Evaluates with what an execution knows.
    fn with_scope<T>(&self, exec: &Exec, more: Value, look: impl FnOnce(&Scope<'_>) -> T) -> T {
        let mut states = self.states(exec);
        if let Value::Object(more) = more {
            states.extend(more);
        }
        let variables: Map<String, Value> = serde_json::from_str(self.text(exec.variables)).expect("JSON");
        look(&Scope { variables: &variables, states: Value::Object(states) })
    }

    fn arguments(&self, exec: &Exec) -> Option<Value> {
        let StateKind::Task { arguments, .. } = &self.state_of(exec).kind else { panic!("no task") };
        self.with_scope(exec, Value::Null, |scope| scope.evaluate(arguments)).ok()
    }

    /// What the state of an execution sends to its function.
    pub fn payload(&mut self, exec: u32) -> Rc<Value> {
        let mut it = *self.exec(exec);
        it.phase = Phase::Ready;
        it.stopped = false;
        let id = self.execs.of(it);
        if let Some(known) = self.payloads.get(&id) {
            return Rc::clone(known);
        }
        // What cannot be evaluated fails as the task would.
        let payload = self.arguments(&it).map_or(Value::Null, |it| it["Payload"].clone());
        let payload = Rc::new(payload);
        self.payloads.insert(id, Rc::clone(&payload));
        payload
    }

    fn assigned(&mut self, exec: &Exec, assign: Option<&Value>, more: Value) -> Option<u32> {
        let Some(assign) = assign else { return Some(exec.variables) };
        let values = self.with_scope(exec, more, |scope| scope.evaluate(assign)).ok()?;
        let mut variables: Map<String, Value> = serde_json::from_str(self.text(exec.variables)).expect("JSON");
        variables.extend(values.as_object().expect("an object").clone());
        // In one order: what was learned in another is the same.
        let sorted: std::collections::BTreeMap<_, _> = variables.into_iter().collect();
        let text = serde_json::to_string(&sorted).expect("JSON");
        Some(self.texts.of(text))
    }

    /// Goes on to the next state where something can happen in between.
    fn settle(&mut self, mut exec: Exec, mut turn: Turn, out: &mut Vec<Turn>) {
        loop {
            let state = Rc::clone(self.state_of(&exec));
            let machine = exec.machine as usize;
            match &state.kind {
                StateKind::Succeed | StateKind::Fail => {
                    exec.phase = Phase::Done(Some(exec.at));
                    turn.words.extend([" → ", &state.name]);
                    turn.exec = self.execs.of(exec);
                    out.push(turn);
                    return;
                }
                StateKind::Choice { choices, default } => {
                    let chosen = choices.iter().find(|it| {
                        self.with_scope(&exec, Value::Null, |scope| scope.expression(&it.condition))
                            == Some(json!(true))
                    });
                    let assign = chosen.map_or(&state.assign, |it| &it.assign);
                    exec.variables = self.assigned(&exec, assign.as_ref(), Value::Null).expect("it can be evaluated");
                    exec.at = index(&self.machines[machine], chosen.map_or(default, |it| &it.next));
                }
                StateKind::Wait(None) => {
                    exec.at = index(&self.machines[machine], state.next.as_ref().expect("a next state"));
                }
                StateKind::Task { call: Call::Tell, .. } => {
                    turn.flags.0 |= Flags::TOLD_OPERATORS.0;
                    turn.words += " → TellOperators";
                    exec.at = index(&self.machines[machine], state.next.as_ref().expect("a next state"));
                }
                StateKind::Task { call, .. } if is_pure(call) => {
                    let ends = match (call, self.arguments(&exec)) {
                        (_, None) => vec![(Err("States.QueryEvaluationError"), "", Flags::default())],
                        (Call::Function(function), Some(arguments)) => self.pure(function, &arguments["Payload"]),
                        _ => vec![(Ok(json!({})), "", Flags::default())],
                    };
                    let mut fault = turn.clone();
                    fault.cost += 1;
                    fault.words.extend(["; ", &state.name, " fails"]);
                    let lost = Outcome::error(&mut self.recorder.outcomes, "Daypass.AwsUnavailable");
                    self.react(exec, lost, fault, out);
                    for (end, words, flags) in ends {
                        let mut turn = turn.clone();
                        // It is the request that is refused, not a renewal.
                        if exec.machine == PROVISION {
                            turn.flags.0 |= flags.0;
                        }
                        if !words.is_empty() {
                            turn.words.extend(["; ", words]);
                        }
                        let outcomes = &mut self.recorder.outcomes;
                        let outcome = match end {
                            Ok(value) => Outcome::answer(outcomes, &value),
                            Err(error) => Outcome::error(outcomes, error),
                        };
                        self.react(exec, outcome, turn, out);
                    }
                    return;
                }
                StateKind::Task { .. } | StateKind::Wait(Some(_)) => {
                    turn.exec = self.execs.of(exec);
                    out.push(turn);
                    return;
                }
            }
        }
    }

    /// What an execution does with what its task came to: goes on, tries again, or gives up.
    fn react(&mut self, exec: Exec, outcome: Outcome, turn: Turn, out: &mut Vec<Turn>) {
        let exec = Exec { phase: Phase::Ready, ..exec };
        let state = Rc::clone(self.state_of(&exec));
        let machine = exec.machine as usize;
        let StateKind::Task { call, .. } = &state.kind else { panic!("{} is no task", state.name) };
        let said = Rc::clone(self.recorder.outcomes.get(outcome.0));
        match &*said {
            Said::Answer(answer) => {
                let answer: Value = serde_json::from_str(answer).expect("JSON");
                let result = match call {
                    Call::Function(_) => json!({"result": {"Payload": answer}}),
                    _ => json!({"result": answer}),
                };
                let Some(variables) = self.assigned(&exec, state.assign.as_ref(), result) else {
                    let error = Outcome::error(&mut self.recorder.outcomes, "States.QueryEvaluationError");
                    return self.react(exec, error, turn, out);
                };
                let mut exec = Exec { variables, ..exec };
                if let Some(next) = &state.next {
                    exec.at = index(&self.machines[machine], next);
                    self.settle(exec, turn, out);
                } else {
                    exec.phase = Phase::Done(None);
                    let exec = self.execs.of(exec);
                    out.push(Turn { exec, ..turn });
                }
            }
            Said::Error(error) => {
                let attempts = state.attempts(error);
                if attempts > 0 && !is_pure(call) {
                    let again = self.execs.of(exec);
                    let words = format!("{} → {error}, again", turn.words);
                    out.push(Turn { exec: again, words, ..turn.clone() });
                }
                let mut turn = turn;
                turn.words.extend([" → ", error]);
                if attempts >= LONG {
                    turn.cost += 1;
                    turn.after_a_day = true;
                    turn.flags.0 |= Flags::DAY.0;
                    turn.words += ", for a day";
                }
                if attempts > 0 {
                    turn.flags.0 |= given_up(exec.machine, call, &state.name).0;
                }
                let Some(catcher) = state.catcher(error) else {
                    let exec = self.execs.of(Exec { phase: Phase::Done(Some(exec.at)), ..exec });
                    out.push(Turn { exec, ..turn });
                    return;
                };
                let told = json!({"errorOutput": {"Error": error, "Cause": "a reason"}});
                let variables = self.assigned(&exec, catcher.assign.as_ref(), told).expect("it can be evaluated");
                let at = index(&self.machines[machine], &catcher.next);
                self.settle(Exec { variables, at, ..exec }, turn, out);
            }
        }
    }

    fn turns(&mut self, exec: u32, outcome: Outcome) -> Rc<Vec<Turn>> {
        if let Some(known) = self.turns.get(&(exec, outcome)) {
            return Rc::clone(known);
        }
        let it = *self.exec(exec);
        let turn = Turn { exec: 0, cost: 0, flags: Flags::default(), after_a_day: false, words: String::new() };
        let mut out = vec![];
        if it.stopped {
            let exec = self.execs.of(Exec { phase: Phase::Done(None), ..it });
            out.push(Turn { exec, ..turn });
        } else {
            self.react(it, outcome, turn, &mut out);
        }
        let out = Rc::new(out);
        self.turns.insert((exec, outcome), Rc::clone(&out));
        out
    }

    /// A call has come to its end.
    #[expect(clippy::too_many_arguments, reason = "a step, and what came of it")]
    pub fn end_call(
        &mut self,
        s: &State,
        at: usize,
        outcome: Outcome,
        content: u32,
        cost: u8,
        words: &str,
        out: &mut Vec<Step>,
    ) {
        // The same execution, whatever it had asked before: only the outcome counts from here.
        let exec = *self.exec(s.execs[at]);
        let id = self.execs.of(Exec { phase: Phase::Ready, ..exec });
        let words = self.say(&exec, words);
        // What follows from what there is passes: that it does not is a fault.
        let later = Said::Error("Daypass.AwsUnavailable".to_owned());
        let passes = !exec.stopped && cost == 0 && **self.recorder.outcomes.get(outcome.0) == later;
        for turn in self.turns(id, outcome).iter() {
            let cost = cost + u8::from(passes && turn.exec != id);
            let mut s = s.clone();
            if turn.after_a_day && s.clock < 2 {
                continue;
            }
            s.flags.0 |= turn.flags.0;
            if turn.flags.has(Flags::TOLD_OPERATORS) {
                properties::told_operators(&mut s);
            }
            s.content = content;
            let kind = if cost + turn.cost > 0 { Kind::Fault } else { Kind::Progress };
            let words = if self.telling { format!("{words}{}", turn.words) } else { String::new() };
            self.step(&s, at, turn.exec, cost + turn.cost, kind, words, out);
        }
    }

    /// The world after a step of an execution.
    #[expect(clippy::too_many_arguments, reason = "a step, and what came of it")]
    pub fn step(&mut self, s: &State, at: usize, exec: u32, cost: u8, kind: Kind, words: String, out: &mut Vec<Step>) {
        if s.faults < cost {
            return;
        }
        let mut next = s.clone();
        next.faults -= cost;
        next.execs[at] = exec;
        if matches!(self.exec(exec).phase, Phase::Done(_)) {
            self.finished(&mut next, at);
        }
        push(next, kind, words, out);
    }

    fn finished(&mut self, s: &mut State, at: usize) {
        let exec = *self.exec(s.execs[at]);
        self.ended(s, &exec);
        let keeps_its_name = exec.machine == DEPROVISION
            && (self.text(exec.name) == V || (self.weak.one_name_for_releases && !exec.stopped));
        s.execs[at] = if keeps_its_name {
            let empty = self.texts.of("{}".to_owned());
            self.execs.of(Exec { variables: empty, at: 0, phase: Phase::Done(None), stopped: true, ..exec })
        } else {
            0
        };
        // A name counts as long as somebody may want it.
        let wants = |it: &u32| matches!(self.exec(*it), Exec { by: By::Owner, machine: PROVISION, .. }) && *it != 0;
        if !s.execs.iter().any(wants) && !self.weak.one_name_for_releases {
            for it in &mut s.execs {
                if matches!(self.execs.get(*it).phase, Phase::Done(_)) {
                    *it = 0;
                }
            }
        }
    }

    /// Starts an execution, if its name is free.
    #[expect(clippy::too_many_arguments, reason = "a step, and what came of it")]
    fn start(
        &mut self,
        s: &State,
        machine: u8,
        by: By,
        name: &str,
        input: &Value,
        words: &str,
        kind: Kind,
        out: &mut Vec<Step>,
    ) {
        let Some(free) = s.execs.iter().position(|it| *it == 0) else { return };
        let (name, input) = (self.texts.of(name.to_owned()), self.texts.of(input.to_string()));
        let variables = self.texts.of("{}".to_owned());
        let at = u16::try_from(self.machines[machine as usize].start).expect("few states");
        let exec = Exec { machine, by, name, input, variables, at, phase: Phase::Ready, stopped: false };
        let mut turns = vec![];
        let turn = Turn { exec: 0, cost: 0, flags: Flags::default(), after_a_day: false, words: String::new() };
        self.settle(exec, turn, &mut turns);
        for turn in turns {
            let mut s = s.clone();
            s.flags.0 |= turn.flags.0;
            let words = if self.telling { format!("{}{}", self.say(&exec, words), turn.words) } else { String::new() };
            self.step(&s, free, turn.exec, turn.cost, kind, words, out);
        }
    }

    fn named(&self, s: &State, name: &str) -> Option<usize> {
        let is = |it: &u32| {
            let exec = self.exec(*it);
            *it != 0 && exec.machine == DEPROVISION && self.text(exec.name) == name
        };
        s.execs.iter().position(is)
    }

    /// Whether a lease is at work.
    pub fn is_leased(&mut self, s: &State) -> bool {
        let runs = self.named(s, V).is_some_and(|at| !matches!(self.exec(s.execs[at]).phase, Phase::Done(_)));
        runs && self.facts_of(s.content).marked
    }

    pub fn successors(&mut self, s: &State) -> Vec<Step> {
        let mut out = vec![];
        for at in 0..MOST {
            if s.execs[at] != 0 {
                self.advance(s, at, &mut out);
            }
        }
        self.acts(s, &mut out);
        self.surroundings(s, &mut out);
        for step in &mut out {
            if step.state.bad == 0 {
                step.state.bad = self.broken(s, &step.state);
            }
        }
        out
    }

    fn advance(&mut self, s: &State, at: usize, out: &mut Vec<Step>) {
        let id = s.execs[at];
        let exec = *self.exec(id);
        match exec.phase {
            Phase::Done(_) => (),
            Phase::Record(node) => self.record(s, at, node, out),
            Phase::Create(it) => self.create(s, at, it, out),
            Phase::Delete(it) => self.delete(s, at, it, out),
            Phase::Ready => {
                let state = Rc::clone(self.state_of(&exec));
                match &state.kind {
                    StateKind::Wait(Some(until)) => {
                        if s.clock >= self.waits_until(id, &exec, until) {
                            let next = index(
                                &self.machines[exec.machine as usize],
                                state.next.as_ref().expect("a next state"),
                            );
                            let words = self.say(&exec, "the lease ends");
                            let exec = self.execs.of(Exec { at: next, ..exec });
                            self.step(s, at, exec, 0, Kind::Progress, words, out);
                        }
                    }
                    StateKind::Task { call: Call::Start, .. } => self.start_another(s, at, out),
                    StateKind::Task { call: Call::Function(function), .. } => {
                        if let Some(node) = self.roots.get(&(id, s.clock)) {
                            let node = *node;
                            return self.record(s, at, node, out);
                        }
                        let payload = self.payload(id);
                        if payload.is_null() {
                            let error = Outcome::error(&mut self.recorder.outcomes, "States.QueryEvaluationError");
                            return self.end_call(s, at, error, s.content, 0, "its input cannot be evaluated", out);
                        }
                        match function.as_str() {
                            "record" => {
                                let node = self.recorder.begin(payload.to_string(), s.clock);
                                self.roots.insert((id, s.clock), node);
                                self.record(s, at, node, out);
                            }
                            "create_role" => {
                                let again = u8::from(payload["again"] == true);
                                self.create(s, at, [FIRST, again, s.clock], out);
                            }
                            _ => self.delete(s, at, [FIRST, 0, s.clock], out),
                        }
                    }
                    other => panic!("nothing happens in {other:?}"),
                }
            }
        }
    }

    /// The moment of the clock at which a wait is over.
    fn waits_until(&mut self, id: u32, exec: &Exec, until: &str) -> u8 {
        if let Some(known) = self.waits.get(&id) {
            return *known;
        }
        let until = self.with_scope(exec, Value::Null, |scope| scope.expression(until));
        let until = until.and_then(|it| it.as_str()?.parse::<Timestamp>().ok());
        let moment = until.and_then(|until| self.moments.iter().position(|it| *it >= until));
        let moment = moment.map_or(LAST + 1, |it| u8::try_from(it).expect("few moments"));
        self.waits.insert(id, moment);
        moment
    }

    /// One call of the table, and what may go wrong with it.
    fn record(&mut self, s: &State, at: usize, node: u32, out: &mut Vec<Step>) {
        let Next::Asks(question) = self.recorder.nodes[node as usize].next.clone() else {
            // Its input was refused before it asked for anything.
            return self.recorded(s, at, node, s.content, 0, "", out);
        };
        let (answer, content) = self.recorder.ask(node, s.content);
        let words = if self.telling { self.question(&question, &answer) } else { String::new() };
        let next = self.recorder.answered(node, answer.clone());
        self.recorded(s, at, next, content, 0, &words, out);
        if s.faults == 0 {
            return;
        }
        let lost = self.recorder.answered(node, Answer::Lost);
        let then = |more: &str| if words.is_empty() { String::new() } else { format!("{words}{more}") };
        self.recorded(s, at, lost, s.content, 1, &then(": DynamoDB does not answer, nothing is done"), out);
        if content != s.content {
            self.recorded(s, at, lost, content, 1, &then(", but the answer is lost"), out);
            let (repeated, after) = self.recorder.ask(node, content);
            if repeated != answer && after == content {
                let next = self.recorder.answered(node, repeated);
                let words = then(", but the answer is lost, and the SDK repeats it: not as expected");
                self.recorded(s, at, next, content, 1, &words, out);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a step, and what came of it")]
    fn recorded(&mut self, s: &State, at: usize, node: u32, content: u32, cost: u8, words: &str, out: &mut Vec<Step>) {
        if s.faults < cost {
            return;
        }
        if let Next::Ends(outcome) = self.recorder.nodes[node as usize].next {
            return self.end_call(s, at, outcome, content, cost, words, out);
        }
        let exec = Exec { phase: Phase::Record(node), ..*self.exec(s.execs[at]) };
        let words = self.say(&exec, words);
        let exec = self.execs.of(exec);
        let mut s = s.clone();
        s.content = content;
        self.step(&s, at, exec, cost, if cost > 0 { Kind::Fault } else { Kind::Progress }, words, out);
    }

    fn question(&self, question: &Question, answer: &Answer) -> String {
        let short = |text: &str| text.replace(V, "T").replace(E, "E");
        match (question, answer) {
            (Question::Read(_, id), Answer::Item(None)) => format!("reads {}: nothing", short(id)),
            (Question::Read(_, id), Answer::Item(Some(item))) => {
                let item = self.recorder.items.get(*item);
                let status = item.get("status").map(shown).unwrap_or_default();
                format!("reads {}: {}", short(id), status.trim_matches('"'))
            }
            (Question::Change(_, change), answer) => {
                let verdict = if *answer == Answer::Changed(true) { "" } else { ": not as expected" };
                short(&format!("writes {}{verdict}", written(change)))
            }
            (Question::Together(changes), answer) => {
                let of = |(of, _): &&(Of, _)| *of == Of::Transactions;
                let changes: Vec<_> = changes.iter().filter(of).map(|(_, it)| written(it)).collect();
                let verdict = if *answer == Answer::Together(vec![]) { "" } else { ": not as expected" };
                short(&format!("writes {}{verdict}", changes.join(" and ")))
            }
            (Question::Values(..), _) => "looks which transactions have ended".to_owned(),
            (question, answer) => panic!("{question:?} is not answered by {answer:?}"),
        }
    }

    fn start_another(&mut self, s: &State, at: usize, out: &mut Vec<Step>) {
        let exec = *self.exec(s.execs[at]);
        let Some(arguments) = self.arguments(&exec) else {
            let error = Outcome::error(&mut self.recorder.outcomes, "States.QueryEvaluationError");
            return self.end_call(s, at, error, s.content, 0, "its input cannot be evaluated", out);
        };
        let error = Outcome::error(&mut self.recorder.outcomes, "StepFunctions.SdkClientException");
        self.end_call(s, at, error, s.content, 1, "is not answered, nothing is started", out);
        let mut name = arguments["Name"].as_str().expect("a name").to_owned();
        let by = if name == V { By::Lease } else { By::CleanUp };
        if by == By::CleanUp {
            let mut numbered = (1..=MOST).map(|number| format!("{name}-{number}"));
            let free = numbered.find(|it| self.named(s, it).is_none());
            name = free.expect("a number is free");
        }
        let arn = format!("arn:aws:states:eu-central-1:111111111111:execution:daypass-deprovision:{name}");
        let started = Outcome::answer(&mut self.recorder.outcomes, &json!({"ExecutionArn": arn}));
        let input = self.texts.of(arguments["Input"].to_string());
        match self.named(s, &name).map(|it| *self.exec(s.execs[it])) {
            Some(Exec { phase, input: its, .. }) if !matches!(phase, Phase::Done(_)) && its == input => {
                self.end_call(s, at, started, s.content, 0, "it runs already", out);
            }
            Some(_) => {
                let taken = "StepFunctions.ExecutionAlreadyExistsException";
                let taken = Outcome::error(&mut self.recorder.outcomes, taken);
                self.end_call(s, at, taken, s.content, 0, "the name is taken", out);
            }
            None => {
                let mut with = vec![];
                self.start(s, DEPROVISION, by, &name, &arguments["Input"], "", Kind::Progress, &mut with);
                for Step { state, kind, .. } in with {
                    if kind != Kind::Progress {
                        continue;
                    }
                    // Executions are sorted: it may stand elsewhere now.
                    let at = state.execs.iter().position(|it| *it == s.execs[at]).expect("it is still there");
                    self.end_call(&state, at, started, s.content, 0, "it is started", out);
                    self.end_call(&state, at, error, s.content, 1, "it is started, but the answer is lost", out);
                }
            }
        }
    }

    /// What people and pipelines do.
    fn acts(&mut self, s: &State, out: &mut Vec<Step>) {
        if s.releases > 0 {
            let number = self.bounds.releases - s.releases + 1;
            let mut next = s.clone();
            next.releases -= 1;
            let input = json!({"transaction_id": V});
            let name =
                if self.weak.one_name_for_releases { format!("{V}-release") } else { format!("{V}-release-{number}") };
            if self.named(s, &name).is_none() {
                let by = By::Release(number);
                self.start(&next, DEPROVISION, by, &name, &input, "is asked for", Kind::Act, out);
            } else {
                next.flags.0 |= Flags::RELEASED.0;
                let words =
                    format!("release {number}: the name {name} is taken, so it is told to be released").replace(V, "T");
                push(next, Kind::Act, words, out);
            }
        }
        if s.renewals > 0 {
            let number = self.bounds.renewals - s.renewals + 1;
            let mut next = s.clone();
            next.renewals -= 1;
            let input = json!({"transaction_id": V, "recipient": "age1alex", "identity_token": "TOKEN of run 1"});
            self.start(
                &next,
                RENEW,
                By::Renewer(number),
                &format!("renewal-{number}"),
                &input,
                "is asked for",
                Kind::Act,
                out,
            );
        }
        if s.foreign > 0 {
            let mut next = s.clone();
            next.foreign -= 1;
            for Foreign { machine, name, input } in self.bounds.starts.clone() {
                if machine == DEPROVISION && self.named(s, &name).is_some() {
                    continue;
                }
                let words = format!("is started under the name {name} with {input}").replace(V, "T").replace(E, "E");
                self.start(&next, machine, By::Mallory, &name, &input, &words, Kind::Act, out);
            }
        }
    }

    /// IAM, the clock, the sweep, and what ends executions.
    fn surroundings(&mut self, s: &State, out: &mut Vec<Step>) {
        if s.role.has(Role::THERE) && !s.role.has(Role::SHOWN) {
            let mut next = s.clone();
            next.role.0 |= Role::SHOWN;
            push(next, Kind::Progress, "IAM: shows the role".to_owned(), out);
        }
        if let Some(cost) = self.time_passes(s).filter(|cost| s.clock < LAST && *cost <= s.faults) {
            let mut next = s.clone();
            next.clock += 1;
            next.faults -= cost;
            if next.role.has(Role::THERE) {
                next.role.0 |= Role::SHOWN;
            }
            let moments = [
                "provisioning can no longer run",
                "any role is old enough",
                "the expiry",
                "the sweep takes it for overdue",
            ];
            let failing = if cost > 0 { "; what is tried again has failed all the time" } else { "" };
            let kind = if cost > 0 { Kind::Fault } else { Kind::Progress };
            push(next, kind, format!("clock: {}{failing}", moments[s.clock as usize]), out);
        }
        if self.sweeps(s) {
            let input = json!({"schema": 1, "transaction_id": V});
            self.start(s, DEPROVISION, By::Sweep, &format!("{V}-sweep"), &input, "is started", Kind::Progress, out);
        }
        if s.faults == 0 {
            return;
        }
        for at in 0..MOST {
            let exec = *self.exec(s.execs[at]);
            let is_provision = exec.machine == PROVISION && exec.by == By::Owner;
            let is_lease = exec.machine == DEPROVISION && exec.by == By::Lease;
            // A lease that somebody stops while the role is being made is the sweep's, too; that it runs is promised before.
            let waits = s.clock > 0 && matches!(self.state_of(&exec).kind, StateKind::Wait(_));
            if s.execs[at] == 0 || exec.stopped || !(is_provision || (is_lease && waits)) {
                continue;
            }
            let words = self.say(&exec, "the execution is stopped");
            let phase = if exec.phase == Phase::Ready { Phase::Done(None) } else { exec.phase };
            let exec = self.execs.of(Exec { phase, stopped: true, ..exec });
            self.step(s, at, exec, 1, Kind::Fault, words, out);
        }
    }

    /// Whether time may pass, and for how many faults. A function lasts for seconds and a request for minutes; so do the retries
    /// of a task that is not tried for a day. One that is tried for a day has often been tried until the expiry, and has failed.
    fn time_passes(&self, s: &State) -> Option<u8> {
        let mut cost = 0;
        for exec in s.execs.iter().filter(|it| **it != 0).map(|it| self.exec(*it)) {
            let since = match exec.phase {
                Phase::Record(node) => self.recorder.nodes[node as usize].now,
                Phase::Create([.., now]) | Phase::Delete([.., now]) => now,
                Phase::Ready => s.clock,
                Phase::Done(_) => continue,
            };
            let is_short = exec.machine != DEPROVISION && (exec.machine == PROVISION || s.clock != 2);
            let state = self.state_of(exec);
            let waits = matches!(state.kind, StateKind::Wait(_));
            let is_called = exec.phase != Phase::Ready;
            let is_due = !is_called && !waits && exec.machine == DEPROVISION;
            // The expiry is hours away.
            let is_too_long = is_called && s.clock == 2 && exec.machine == DEPROVISION;
            if since != s.clock || is_short || is_too_long || (is_due && state.patience() < LONG) {
                return None;
            }
            // Where provision may decide yet, nothing has failed.
            if is_due && (s.clock > 0 || state.name != "RecordCancelled") {
                cost = 1;
            }
        }
        Some(cost)
    }

    /// Whether the sweep would find the transaction: the two queries of its machine.
    fn sweeps(&mut self, s: &State) -> bool {
        let runs = s.execs.iter().any(|it| *it != 0 && self.exec(*it).by == By::Sweep);
        if self.weak.no_sweep || s.clock == 0 || runs {
            return false;
        }
        if let Some(known) = self.sweepable.get(&(s.content, s.clock)) {
            return *known;
        }
        let found = self.is_found(s);
        self.sweepable.insert((s.content, s.clock), found);
        found
    }

    fn is_found(&self, s: &State) -> bool {
        let Some(item) = self.recorder.contents.get(s.content).get(&(Of::Transactions, V.to_owned())) else {
            return false;
        };
        let item = self.recorder.items.get(*item);
        let text = |name: &str| match item.get(name) {
            Some(AttributeValue::S(text)) => Some(text.as_str()),
            _ => None,
        };
        let now = self.moments[s.clock as usize].unix_seconds();
        let before = |minutes: i64| Timestamp::from_unix_seconds(now - minutes * 60).to_string();
        let (overdue, died) = (before(15), before(6));
        let no_role = item.get("role_may_exist") == Some(&AttributeValue::Bool(false));
        let is_open = text("open_lease") == Some("open")
            && text("ending_since").is_none_or(|since| no_role && *since < *died)
            && text("deprovisioning_transaction_id").is_none();
        let is_overdue = text("expires_at").is_some_and(|it| *it < *overdue);
        let is_dead = text("status") == Some("processing") && text("requested_at").is_some_and(|it| *it < *died);
        is_open && (is_overdue || is_dead)
    }
}

/// Attempts that last for about a day.
const LONG: u64 = 100;

fn index(machine: &Machine, name: &str) -> u16 {
    u16::try_from(machine.index(name)).expect("few states")
}

/// Whether a task asks nothing that others could see or change: then nobody can come in between.
fn is_pure(call: &Call) -> bool {
    match call {
        Call::Function(name) => !["record", "create_role", "delete_role"].contains(&name.as_str()),
        Call::UseToken => true,
        Call::Start | Call::Tell => false,
    }
}

fn given_up(machine: u8, call: &Call, state: &str) -> Flags {
    match call {
        Call::Function(name) if name == "delete_role" && machine == DEPROVISION => Flags::GAVE_UP_IAM,
        Call::Function(_) if state == "LookUpRole" => Flags::GAVE_UP_READING,
        Call::Start => Flags::GAVE_UP_START,
        _ => Flags::default(),
    }
}

/// What a change makes of an item, in a few words.
fn written(change: &daypass_record::Change) -> String {
    use daypass_record::Assignment;
    let told: BTreeSet<&str> = ["status", "role_may_exist", "ending_since", "renewals", "error"].into();
    let words = change.assignments.iter().filter_map(|it| match it {
        Assignment::Set(name, value) if name == "status" => Some(format!("status {}", shown(value).trim_matches('"'))),
        Assignment::Set(name, _) | Assignment::Append(name, _) if told.contains(name.as_str()) => Some(name.clone()),
        _ => None,
    });
    // A change made of a map has no order of its own.
    let words: BTreeSet<String> = words.collect();
    format!("{} ({})", change.id, words.into_iter().collect::<Vec<_>>().join(", "))
}

/// The input of a request.
pub fn request(email: &str, recipient: &str, run: &str) -> Value {
    json!({"email": email, "recipient": recipient, "identity_token": format!("TOKEN of run {run}")})
}

fn push(mut next: State, kind: Kind, words: String, out: &mut Vec<Step>) {
    next.execs.sort_unstable_by(|one, other| other.cmp(one));
    out.push(Step { state: next, kind, words });
}
