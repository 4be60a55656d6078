//! A stage: what one task does, apart from where it runs.

use std::{error::Error, future::Future};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::ErrorName,
    text::{plain, shortened},
    timestamp::Timestamp,
};

/// How many characters of an error text leave a task. Step Functions keeps up to 32,768 of a cause.
const MESSAGE_CHARS: usize = 1_000;

/// One task: typed input, output and error, and a single asynchronous step from one to the other.
pub trait Stage {
    /// What the state machine passes in.
    type Input: DeserializeOwned;
    /// What the state machine gets back.
    type Output: Serialize;
    /// What can go wrong; its text is what the requester and the audit trail read.
    type Error: Error + Named;

    /// Runs the task once. `now` is the time of the invocation. Every stage may run twice for the same input.
    fn run(&self, input: Self::Input, now: Timestamp) -> impl Future<Output = Result<Self::Output, Self::Error>>;

    /// Makes one cheap call per AWS client while the function initialises, so that no request pays for the handshake.
    /// What it answers is of no interest: a request will see the same error, and report it. `now` is the time of it.
    fn warm_up(&self, now: Timestamp) -> impl Future<Output = ()> {
        let _ = now;
        std::future::ready(())
    }
}

/// An error that the state machines know by a name.
pub trait Named {
    /// The name that `Retry` and `Catch` see.
    fn name(&self) -> ErrorName;
}

/// Reads a task's input: strict JSON, with the path of the field that is wrong in the error.
///
/// # Errors
/// [`Failure`] named `Daypass.InvalidRequest` with the path and what was expected there.
pub fn parse_input<T: DeserializeOwned>(json: &str) -> Result<T, Failure> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(json))
        .map_err(|error| Failure::new(ErrorName::InvalidRequest, &invalid_field(&error)))
}

/// `error` as a sentence that names the field; a position in the JSON text is of no use to anybody and left out.
#[must_use]
pub fn invalid_field(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let path = error.path().to_string();
    let text = error.inner().to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    if path == "." { text.to_owned() } else { format!("`{path}`: {text}") }
}

/// A failed task as the state machine sees it: the error name and one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The name that `Retry` and `Catch` see.
    pub name: ErrorName,
    /// What happened and what to do about it.
    pub message: String,
}

impl Failure {
    /// The last look at a text before it reaches logs and requesters: serde repeats what it was sent, and so may AWS.
    fn new(name: ErrorName, message: &str) -> Self {
        Self { name, message: shortened(&plain(message), MESSAGE_CHARS) }
    }
}

impl<E: Error + Named> From<&E> for Failure {
    fn from(error: &E) -> Self {
        Self::new(error.name(), &error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        #[expect(dead_code, reason = "read by serde only")]
        inner: Inner,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "read by serde only")]
        count: u8,
    }

    #[test]
    fn bad_input_names_the_field() {
        let message = |json| parse_input::<Input>(json).expect_err("bad input").message;
        assert_eq!(message("{}"), "missing field `inner`");
        assert_eq!(message(r#"{"inner": {"count": "1"}}"#), "`inner.count`: invalid type: string \"1\", expected u8");
        assert_eq!(message(r#"{"inner": {"count": 1, "x": 2}}"#), "`inner.x`: unknown field `x`, expected `count`");
        let forged = message(r#"{"a\nforged\u202e": 1}"#);
        assert_eq!(forged, r"`a\u{a}forged\u{202e}`: unknown field `a\u{a}forged\u{202e}`, expected `inner`");
        let rubbish = message(&format!(r#"{{"{}": 1}}"#, "x".repeat(200_000)));
        assert_eq!(rubbish.chars().count(), MESSAGE_CHARS + 1, "the text is cut");
    }
}
