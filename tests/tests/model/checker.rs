//! The checker: every state within the bounds, breadth first, so that a counter-example is a shortest one.
//!
//! Two kinds of properties: what must hold in every state (`properties.rs`, [`State::bad`]), and that every transaction can end
//! from every state without anybody's help: with no further fault and no further act, some order of events leads to its end.

use std::{
    env, fmt,
    time::{Duration, Instant},
};

use crate::{
    properties::Known,
    world::{Kind, Promise, State, World},
};

/// What was found within the bounds.
pub struct Found {
    pub states: usize,
    pub steps: usize,
    /// The longest of all shortest ways.
    pub depth: usize,
    pub took: Duration,
    pub broken: Option<Broken>,
}

/// A promise that is broken, and how.
pub struct Broken {
    pub promise: Promise,
    pub sequence: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "breaks promise {} ({:?})", self.promise as u8, self.promise)?;
        for (at, line) in self.sequence.iter().enumerate() {
            writeln!(f, "{:2}. {line}", at + 1)?;
        }
        Ok(())
    }
}

struct Search<'a> {
    world: &'a mut World,
    states: Vec<State>,
    known: Known,
    /// From which state each was reached first.
    parents: Vec<u32>,
    /// Where things lead to by themselves.
    progress: Vec<(u32, u32)>,
}

const NOBODY: u32 = u32::MAX;

impl Search<'_> {
    /// The number of a state, and whether it is new.
    fn number(&mut self, state: State, parent: u32) -> (u32, bool) {
        if let Some(known) = self.known.get(&state) {
            return (*known, false);
        }
        let number = u32::try_from(self.states.len()).expect("a number for each");
        self.known.insert(state.clone(), number);
        self.states.push(state);
        self.parents.push(parent);
        (number, true)
    }

    fn sequence(&mut self, last: u32) -> Vec<String> {
        let mut way = vec![last];
        while let Some(parent) = way.last().map(|it| self.parents[*it as usize]).filter(|it| *it != NOBODY) {
            way.push(parent);
        }
        way.reverse();
        self.world.telling = true;
        let first = &self.states[way[0] as usize];
        let initial = self.world.initial();
        let mut lines: Vec<String> =
            initial.into_iter().filter(|it| it.state == *first).take(1).map(|it| it.words).collect();
        for pair in way.windows(2) {
            let [from, to] = [pair[0], pair[1]].map(|it| self.states[it as usize].clone());
            let mut words = self
                .world
                .successors(&from)
                .into_iter()
                .filter(|it| it.state == to)
                .map(|it| it.words)
                .collect::<Vec<_>>();
            words.sort_by_key(String::len);
            lines.push(words.into_iter().next().expect("the step that was taken"));
        }
        self.world.telling = false;
        lines
    }

    /// The first state from which the transaction cannot end by itself.
    fn stuck(&mut self) -> Option<u32> {
        let count = self.states.len();
        let mut starts = vec![0_u32; count + 1];
        for (_, to) in &self.progress {
            starts[*to as usize + 1] += 1;
        }
        for at in 0..count {
            starts[at + 1] += starts[at];
        }
        let (mut next, mut sources) = (starts.clone(), vec![0_u32; self.progress.len()]);
        for (from, to) in &self.progress {
            let at = &mut next[*to as usize];
            sources[*at as usize] = *from;
            *at += 1;
        }
        let mut ends = vec![false; count];
        let mut left = vec![];
        for (at, state) in self.states.iter().enumerate() {
            if self.world.is_over(state) {
                ends[at] = true;
                left.push(u32::try_from(at).expect("a number"));
            }
        }
        while let Some(at) = left.pop() {
            for source in &sources[starts[at as usize] as usize..starts[at as usize + 1] as usize] {
                if !std::mem::replace(&mut ends[*source as usize], true) {
                    left.push(*source);
                }
            }
        }
        ends.iter().position(|it| !it).map(|it| u32::try_from(it).expect("a number"))
    }
}

/// Looks at every state of a world.
pub fn check(name: &str, world: &mut World) -> Found {
    let began = Instant::now();
    let tells = env::var_os("DAYPASS_MODEL").is_some();
    let mut search = Search { world, states: vec![], known: Known::default(), parents: vec![], progress: vec![] };
    let mut layer = vec![];
    for step in search.world.initial() {
        let (number, new) = search.number(step.state, NOBODY);
        if new {
            layer.push(number);
        }
    }
    let (mut steps, mut depth, mut broken) = (0, 0, None);
    'search: while !layer.is_empty() {
        depth += 1;
        let mut next = vec![];
        for from in layer {
            let state = search.states[from as usize].clone();
            for step in search.world.successors(&state) {
                steps += 1;
                let promise = Promise::of(step.state.bad);
                let (number, new) = search.number(step.state, from);
                if step.kind == Kind::Progress && number != from {
                    search.progress.push((from, number));
                }
                if let Some(promise) = promise {
                    broken = Some(Broken { promise, sequence: search.sequence(number) });
                    break 'search;
                }
                if new {
                    next.push(number);
                }
            }
        }
        layer = next;
        if tells && depth % 10 == 0 {
            let count = search.states.len();
            println!("{name}: depth {depth}, {count} states, {} waiting, {:.0?}", layer.len(), began.elapsed());
        }
    }
    if broken.is_none()
        && let Some(stuck) = search.stuck()
    {
        let mut sequence = search.sequence(stuck);
        sequence.push("and from here the transaction never ends by itself".to_owned());
        broken = Some(Broken { promise: Promise::PatientAndThenAPerson, sequence });
    }
    let states = search.states.len();
    Found { states, steps, depth, took: began.elapsed(), broken }
}
