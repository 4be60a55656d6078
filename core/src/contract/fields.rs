//! Reads the fields of a JSON object one by one, and remembers everything that is wrong instead of stopping at once.

use std::fmt;

use serde_json::{Map, Value};

use crate::text::{Quoted, unreadable};

/// How many unknown fields a message names: the sender of ten thousand knows by the third.
const NAMED_UNKNOWN_FIELDS: usize = 3;

/// A field that callers send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name on the wire.
    pub name: &'static str,
    /// Whether a request without it is refused.
    pub is_required: bool,
    /// What belongs there; completes "it has to be …".
    pub meaning: &'static str,
    /// Limits and the default, in Markdown.
    pub limits: &'static str,
    /// A valid value, in JSON.
    pub example: &'static str,
}

impl Field {
    /// A valid value.
    ///
    /// # Panics
    /// When the table has no JSON there.
    #[must_use]
    pub fn example(&self) -> Value {
        serde_json::from_str(self.example).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    pub(super) const fn required(
        name: &'static str,
        meaning: &'static str,
        limits: &'static str,
        example: &'static str,
    ) -> Self {
        Self { name, is_required: true, meaning, limits, example }
    }

    pub(super) const fn optional(
        name: &'static str,
        meaning: &'static str,
        limits: &'static str,
        example: &'static str,
    ) -> Self {
        Self { name, is_required: false, meaning, limits, example }
    }
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    field: &'static str,
    message: String,
}

impl Problem {
    /// `message` says what is wrong with `field` and what would be right.
    #[must_use]
    pub fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

/// Everything that is wrong with a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// The field of each of them.
    #[must_use]
    pub fn fields(&self) -> Vec<&'static str> {
        self.0.iter().map(|problem| problem.field).collect()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Problem { field, message }) in self.0.iter().enumerate() {
            write!(f, "{}`{field}`: {message}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// The fields of an object, on their way to be read.
pub struct Fields<'a> {
    name: &'static str,
    object: &'a Map<String, Value>,
    known: Vec<&'static str>,
    problems: &'a mut Problems,
}

impl<'a> Fields<'a> {
    /// The fields of what was sent, which has to be an object and is called `name`.
    pub fn of(sent: &'a Value, name: &'static str, problems: &'a mut Problems) -> Option<Self> {
        if let Value::Object(object) = sent {
            return Some(Self { name, object, known: Vec::new(), problems });
        }
        problems.push(Problem::new(name, format!("it is {}, and has to be an object", kind(sent))));
        None
    }

    /// The text of `field` as `parse` reads it; `meaning` tells whom it is missing from what belongs there.
    pub fn required<T>(
        &mut self,
        field: &'static str,
        meaning: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if !self.object.contains_key(field) {
            self.problems.push(Problem::new(field, format!("it is missing; it has to be {meaning}")));
        }
        self.optional(field, parse)
    }

    /// The text of `field` as `parse` reads it; nothing when it is not there.
    ///
    /// Whatever `parse` takes: a text with characters that cannot be read is refused.
    pub fn optional<T>(&mut self, field: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let parsed = match self.value(field)? {
            Value::String(text) => match (parse(text), unreadable(text)) {
                (parsed, None) => parsed,
                (Ok(_), Some(unreadable)) => Err(unreadable.to_string()),
                (Err(message), Some(unreadable)) => Err(format!("{message}; {unreadable}")),
            },
            other => Err(format!("it is {}, and has to be a string", kind(other))),
        };
        self.accepted(field, parsed)
    }

    /// The number in `field`; nothing when it is not there.
    pub fn optional_number(&mut self, field: &'static str) -> Option<f64> {
        let value = self.value(field)?;
        let parsed = value.as_f64().ok_or_else(|| format!("it is {}, and has to be a number", kind(value)));
        self.accepted(field, parsed)
    }

    /// Reports every field that nobody asked for.
    pub fn refuse_others(self) {
        let Self { name, object, known, problems } = self;
        let mut unknown = object.keys().filter(|key| !known.contains(&key.as_str()));
        let named: Vec<String> =
            unknown.by_ref().take(NAMED_UNKNOWN_FIELDS).map(|key| Quoted(key).to_string()).collect();
        if !named.is_empty() {
            let more = match unknown.count() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let (named, known) = (named.join(", "), known.join(", "));
            let plural = if named.contains(", ") { "s" } else { "" };
            let message = format!("unknown field{plural} {named}{more}; the fields are {known}");
            problems.push(Problem::new(name, message));
        }
    }

    fn value(&mut self, field: &'static str) -> Option<&'a Value> {
        self.known.push(field);
        self.object.get(field)
    }

    fn accepted<T>(&mut self, field: &'static str, parsed: Result<T, String>) -> Option<T> {
        parsed.map_err(|message| self.problems.push(Problem::new(field, message))).ok()
    }
}

/// What a value is, in words.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
