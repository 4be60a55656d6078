//! A stage: what one task does, apart from where it runs.

use std::{collections::BTreeSet, error::Error, future::Future};

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

    /// Makes one call per AWS client while the function initialises, so that no request pays for the handshake. `daypass_lambda`
    /// sends none of these calls: it only connects to where they go. What is answered is of no interest. `now` is the time of it.
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

/// An error whose names are all known. [`named!`](crate::named) implements it together with [`Named`], so that the two agree.
pub trait Raises: Named {
    /// Every name that [`Named::name`] can return.
    fn names() -> BTreeSet<ErrorName>;
}

/// Every name that a task can end with: those of its error, and that of an input that cannot be read.
#[must_use]
pub fn raised_by<S: Stage<Error: Raises>>() -> BTreeSet<ErrorName> {
    let mut names = S::Error::names();
    names.insert(ErrorName::InvalidRequest);
    names
}

/// Implements [`Named`] and [`Raises`] for an error, from one table that reads like the `match` it becomes.
///
/// On the right of an arm stands an [`ErrorName`], or where another error decides `(its name, every name it can be)`. Builds with
/// debug assertions panic on a name that is not among those.
///
/// ```ignore
/// named!(AuthnError {
///     Self::Refused(refusal) => (refusal.name(), Refusal::OF_USER),
///     Self::OtherPerson { .. } => IdentityNotProven,
/// });
/// ```
#[macro_export]
macro_rules! named {
    (@name ($name:expr, $names:expr)) => { $name };
    (@name $name:ident) => { $crate::error::ErrorName::$name };
    (@names ($name:expr, $names:expr)) => { $names };
    (@names $name:ident) => { [$crate::error::ErrorName::$name] };
    ($error:ty { $($pattern:pat $(if $guard:expr)? => $name:tt,)+ }) => {
        impl $crate::stage::Named for $error {
            fn name(&self) -> $crate::error::ErrorName {
                let name = match self {
                    $($pattern $(if $guard)? => $crate::named!(@name $name),)+
                };
                debug_assert!(
                    <Self as $crate::stage::Raises>::names().contains(&name),
                    "{name} is not among the names of this error"
                );
                name
            }
        }

        impl $crate::stage::Raises for $error {
            fn names() -> ::std::collections::BTreeSet<$crate::error::ErrorName> {
                let mut names = ::std::collections::BTreeSet::new();
                $(names.extend($crate::named!(@names $name));)+
                names
            }
        }
    };
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

    /// Either of its own, or of another's.
    #[derive(Debug, thiserror::Error)]
    #[error("it went wrong")]
    enum Wrong {
        Own { is_quota: bool },
        Anothers(ErrorName),
    }

    named!(Wrong {
        Self::Own { is_quota } if *is_quota => QuotaExceeded,
        Self::Own { .. } => RoleConflict,
        Self::Anothers(name) => (*name, ErrorName::OF_AWS),
    });

    struct Fails;

    impl Stage for Fails {
        type Input = Input;
        type Output = ();
        type Error = Wrong;

        async fn run(&self, _input: Input, _now: Timestamp) -> Result<(), Wrong> {
            Err(Wrong::Anothers(ErrorName::Throttled))
        }
    }

    #[test]
    fn a_task_raises_what_its_error_is_named() {
        use ErrorName::{AwsUnavailable, InvalidRequest, QuotaExceeded, RoleConflict, Throttled};
        let errors = [Wrong::Own { is_quota: true }, Wrong::Own { is_quota: false }];
        let errors = errors.into_iter().chain(ErrorName::OF_AWS.map(Wrong::Anothers));
        let raised: BTreeSet<_> = errors.map(|error| error.name()).collect();
        assert_eq!(raised, BTreeSet::from([QuotaExceeded, RoleConflict, Throttled, AwsUnavailable]));
        assert_eq!(Wrong::names(), raised);
        assert_eq!(raised_by::<Fails>(), raised.into_iter().chain([InvalidRequest]).collect());
    }

    #[test]
    #[should_panic(expected = "Daypass.HubRefused is not among the names of this error")]
    fn a_name_that_the_table_leaves_out_is_noticed() {
        let _ = Wrong::Anothers(ErrorName::HubRefused).name();
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
