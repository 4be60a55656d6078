//! The state machines as the checks see them: as much of the Amazon States Language as Daypass uses, and no more.
//!
//! A field that is misspelt, or that is not used so far, does not parse.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

/// A machine: the document, and what it means. The states inside of a `Map` stand among the others.
pub struct Machine {
    pub name: &'static str,
    pub document: Value,
    pub definition: Definition,
    /// Those that run once for each item: where one of them ends, the execution does not.
    inner: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Definition {
    pub comment: String,
    #[serde(rename = "QueryLanguage")]
    _query_language: Jsonata,
    pub timeout_seconds: u32,
    pub start_at: String,
    pub states: BTreeMap<String, State>,
}

#[derive(Deserialize)]
enum Jsonata {
    #[serde(rename = "JSONata")]
    Jsonata,
}

#[derive(Deserialize)]
#[serde(tag = "Type")]
pub enum State {
    Task(Box<Task>),
    Pass(Pass),
    Map(Box<Map>),
    Choice(Choice),
    Wait(Wait),
    Succeed(Succeed),
    Fail(Fail),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Task {
    pub comment: String,
    pub resource: String,
    pub arguments: Value,
    pub timeout_seconds: u32,
    #[serde(default)]
    pub retry: Vec<Retrier>,
    pub catch: Vec<Catcher>,
    #[serde(default)]
    pub assign: BTreeMap<String, Value>,
    #[serde(rename = "Output")]
    _output: Value,
    pub next: Option<String>,
    #[serde(default)]
    pub end: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Retrier {
    pub error_equals: Vec<String>,
    pub max_attempts: u32,
    pub interval_seconds: Option<u32>,
    pub backoff_rate: Option<f64>,
    pub max_delay_seconds: Option<u32>,
    pub jitter_strategy: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Catcher {
    pub error_equals: Vec<String>,
    #[serde(default)]
    pub assign: BTreeMap<String, Value>,
    pub output: Option<Value>,
    pub next: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Pass {
    pub comment: String,
    #[serde(default)]
    pub assign: BTreeMap<String, Value>,
    #[serde(rename = "Output")]
    _output: Value,
    pub next: Option<String>,
    #[serde(default)]
    pub end: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Map {
    pub comment: String,
    #[serde(rename = "Items")]
    _items: String,
    pub max_concurrency: u32,
    pub item_processor: Processor,
    #[serde(default)]
    pub assign: BTreeMap<String, Value>,
    #[serde(rename = "Output")]
    _output: Value,
    pub next: String,
}

/// What is done with each item.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Processor {
    #[serde(rename = "ProcessorConfig")]
    _config: ProcessorConfig,
    pub start_at: String,
    pub states: BTreeMap<String, State>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ProcessorConfig {
    #[serde(rename = "Mode")]
    _mode: Inline,
}

#[derive(Deserialize)]
enum Inline {
    #[serde(rename = "INLINE")]
    Inline,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Choice {
    pub comment: String,
    pub choices: Vec<Rule>,
    pub default: String,
    #[serde(default)]
    pub assign: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Rule {
    pub comment: String,
    pub condition: String,
    #[serde(default)]
    pub assign: BTreeMap<String, Value>,
    pub next: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Wait {
    pub comment: String,
    #[serde(flatten)]
    pub until: Until,
    pub next: String,
}

/// How long a state waits.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub enum Until {
    Timestamp(String),
    Seconds(u32),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Succeed {
    pub comment: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Fail {
    pub comment: String,
    #[serde(rename = "Error")]
    _error: String,
    #[serde(rename = "Cause")]
    _cause: String,
}

/// A way from one state to another.
#[derive(Clone, Copy)]
pub struct Edge<'a> {
    pub from: &'a str,
    pub to: &'a str,
    pub by: By<'a>,
}

/// What makes an execution take an edge.
#[derive(Clone, Copy)]
pub enum By<'a> {
    /// The state succeeded.
    Next,
    /// An item comes to its turn.
    Each,
    /// A rule of a choice holds.
    Rule(&'a Rule),
    /// No rule of a choice holds.
    Default,
    /// A task failed.
    Catch(&'a Catcher),
}

/// What a task calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call<'a> {
    /// A function, by its substitution key; for record with the operation that is asked of it.
    Function(&'a str, Option<&'a str>),
    /// Another machine's start, by its substitution key.
    Start(&'a str),
    /// An item that is put into a table, by its substitution key.
    Put(&'a str),
    /// A query of a table, by its substitution key.
    Query(&'a str),
    /// A message to a topic, by its substitution key.
    Publish(&'a str),
}

impl<'a> Call<'a> {
    /// The substitution key of what is called.
    pub fn key(self) -> &'a str {
        let (Self::Function(key, _) | Self::Start(key) | Self::Put(key) | Self::Query(key) | Self::Publish(key)) = self;
        key
    }
}

impl Machine {
    pub fn read(name: &'static str, document: Value) -> Result<Self, String> {
        let mut definition: Definition = serde_path_to_error::deserialize(&document)
            .map_err(|error| format!("{name}: {}: {}", error.path(), error.inner()))?;
        let mut inside = BTreeMap::new();
        for state in definition.states.values_mut() {
            if let State::Map(map) = state {
                inside.append(&mut map.item_processor.states);
            }
        }
        let inner: BTreeSet<String> = inside.keys().cloned().collect();
        // Step Functions wants names that are unique in the whole machine.
        if let Some(twice) = inner.iter().find(|state| definition.states.contains_key(*state)) {
            return Err(format!("{name}: two states are named {twice}"));
        }
        definition.states.append(&mut inside);
        Ok(Self { name, document, definition, inner })
    }

    /// Whether a state runs once for each item of a `Map`.
    pub fn is_inner(&self, state: &str) -> bool {
        self.inner.contains(state)
    }

    pub fn tasks(&self) -> impl Iterator<Item = (&str, &Task)> {
        self.definition.states.iter().filter_map(|(name, state)| match state {
            State::Task(task) => Some((name.as_str(), &**task)),
            _ => None,
        })
    }

    /// The edges that leave a state: where it goes on first, then where its errors go.
    pub fn edges_from<'a>(&'a self, from: &'a str) -> Vec<Edge<'a>> {
        let edge = |by, to: &'a String| Edge { from, to, by };
        match self.definition.states.get(from) {
            Some(State::Task(task)) => (task.next.iter().map(|next| edge(By::Next, next)))
                .chain(task.catch.iter().map(|catcher| edge(By::Catch(catcher), &catcher.next)))
                .collect(),
            Some(State::Choice(choice)) => (choice.choices.iter().map(|rule| edge(By::Rule(rule), &rule.next)))
                .chain([edge(By::Default, &choice.default)])
                .collect(),
            Some(State::Pass(pass)) => pass.next.iter().map(|next| edge(By::Next, next)).collect(),
            Some(State::Map(map)) => vec![edge(By::Each, &map.item_processor.start_at), edge(By::Next, &map.next)],
            Some(State::Wait(wait)) => vec![edge(By::Next, &wait.next)],
            Some(State::Succeed(_) | State::Fail(_)) | None => vec![],
        }
    }

    pub fn edges(&self) -> impl Iterator<Item = Edge<'_>> {
        self.definition.states.keys().flat_map(|state| self.edges_from(state))
    }

    /// The states that can be reached from a state, itself included, over those edges only.
    pub fn reached<'a>(&'a self, from: &'a str, over: impl Fn(&Edge<'a>) -> bool) -> BTreeSet<&'a str> {
        self.walk(from, over).into_iter().collect()
    }

    /// The same, in the order of a reader who follows each way to its end before the next.
    pub fn walk<'a>(&'a self, from: &'a str, over: impl Fn(&Edge<'a>) -> bool) -> Vec<&'a str> {
        let (mut found, mut open) = (vec![], vec![from]);
        while let Some(state) = open.pop() {
            if !found.contains(&state) {
                found.push(state);
                open.extend(self.edges_from(state).into_iter().rev().filter(&over).map(|edge| edge.to));
            }
        }
        found
    }

    /// Whether an execution can end in that state.
    pub fn is_end(&self, state: &str) -> bool {
        match self.definition.states.get(state) {
            _ if self.is_inner(state) => false,
            Some(State::Task(task)) => task.end,
            Some(State::Pass(pass)) => pass.end,
            Some(State::Succeed(_) | State::Fail(_)) => true,
            Some(State::Map(_) | State::Choice(_) | State::Wait(_)) | None => false,
        }
    }

    /// The names of the variables that are set on the way along an edge.
    pub fn assigned<'a>(&'a self, edge: &Edge<'a>) -> &'a BTreeMap<String, Value> {
        static NOTHING: BTreeMap<String, Value> = BTreeMap::new();
        match (edge.by, &self.definition.states[edge.from]) {
            (By::Catch(catcher), _) => &catcher.assign,
            (By::Rule(rule), _) => &rule.assign,
            (By::Next, State::Task(task)) => &task.assign,
            (By::Next, State::Pass(pass)) => &pass.assign,
            (By::Next, State::Map(map)) => &map.assign,
            (By::Default, State::Choice(choice)) => &choice.assign,
            _ => &NOTHING,
        }
    }
}

impl Task {
    /// What the task calls; an error in words when it is not what Daypass does.
    pub fn call(&self) -> Result<Call<'_>, String> {
        let reference = |argument: &str| {
            let text = self.arguments[argument].as_str();
            text.and_then(|text| text.strip_prefix("${")?.strip_suffix('}'))
                .ok_or_else(|| format!("{argument} is no reference"))
        };
        match self.resource.as_str() {
            "arn:aws:states:::lambda:invoke" => Ok(Call::Function(reference("FunctionName")?, self.operation())),
            "arn:aws:states:::states:startExecution" => Ok(Call::Start(reference("StateMachineArn")?)),
            "arn:aws:states:::sns:publish" => Ok(Call::Publish(reference("TopicArn")?)),
            "arn:aws:states:::dynamodb:putItem" => Ok(Call::Put(reference("TableName")?)),
            "arn:aws:states:::aws-sdk:dynamodb:query" => Ok(Call::Query(reference("TableName")?)),
            other => Err(format!("calls {other}")),
        }
    }

    fn operation(&self) -> Option<&str> {
        self.arguments["Payload"]["operation"].as_object()?.keys().next().map(String::as_str)
    }
}

impl State {
    pub fn comment(&self) -> &str {
        match self {
            Self::Task(task) => &task.comment,
            Self::Pass(pass) => &pass.comment,
            Self::Map(map) => &map.comment,
            Self::Choice(choice) => &choice.comment,
            Self::Wait(wait) => &wait.comment,
            Self::Succeed(succeed) => &succeed.comment,
            Self::Fail(fail) => &fail.comment,
        }
    }
}

/// Every text of a document, keys included, with the JSON pointer of where it stands.
pub fn texts(document: &Value) -> Vec<(String, &str)> {
    let mut found = vec![];
    let mut open = vec![(String::new(), document)];
    while let Some((at, value)) = open.pop() {
        match value {
            Value::String(text) => found.push((at, text.as_str())),
            Value::Array(items) => {
                open.extend(items.iter().enumerate().map(|(index, item)| (format!("{at}/{index}"), item)));
            }
            Value::Object(fields) => {
                for (key, field) in fields {
                    let at = format!("{at}/{key}");
                    found.push((at.clone(), key));
                    open.push((at, field));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    found
}

/// The expression that a text is, if it is one.
pub fn expression(text: &str) -> Option<&str> {
    text.strip_prefix("{%")?.strip_suffix("%}").map(str::trim)
}

/// The variables of the machine that an expression reads: not functions, and not what it binds itself.
pub fn variables(expression: &str) -> BTreeSet<&str> {
    let names = expression.split('$').skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        rest.split_at(end)
    });
    let bound: BTreeSet<&str> =
        names.clone().filter(|(_, rest)| rest.trim_start().starts_with(":=")).map(|(name, _)| name).collect();
    names
        .filter(|(name, rest)| !name.is_empty() && *name != "states" && !rest.starts_with('(') && !bound.contains(name))
        .map(|(name, _)| name)
        .collect()
}
