//! Where a value stands in a JSON text.

use std::{borrow::Cow, fmt};

use crate::text::{Quoted, shortened};

/// How many characters of a key a path repeats.
const KEY_CHARS: usize = 64;

/// The way from the root of a JSON text to a value; as text `accounts[1].name`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JsonPath<'a>(Vec<Step<'a>>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step<'a> {
    /// To an item of a list, counted from 0.
    Index(usize),
    /// To an entry of an object.
    Key(Cow<'a, str>),
}

impl<'a> JsonPath<'a> {
    /// The steps, from the root.
    #[must_use]
    pub fn steps(&self) -> &[Step<'a>] {
        &self.0
    }

    /// The path that goes one step further.
    #[must_use]
    pub fn join(&self, step: impl Into<Step<'a>>) -> Self {
        Self(self.0.iter().cloned().chain([step.into()]).collect())
    }

    /// Whether the value that this path leads to is in the one that `other` leads to, or is that one.
    #[must_use]
    pub fn is_within(&self, other: &JsonPath<'_>) -> bool {
        self.0.starts_with(&other.0)
    }

    /// The same path, with keys of its own.
    #[must_use]
    pub fn to_static(&self) -> JsonPath<'static> {
        let steps = self.0.iter().map(|step| match step {
            Step::Index(index) => Step::Index(*index),
            Step::Key(key) => Step::Key(Cow::Owned(key.clone().into_owned())),
        });
        JsonPath(steps.collect())
    }
}

impl<'a> From<&'a str> for Step<'a> {
    fn from(key: &'a str) -> Self {
        Self::Key(Cow::Borrowed(key))
    }
}

impl From<usize> for Step<'_> {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

impl<'a, S: Into<Step<'a>>> FromIterator<S> for JsonPath<'a> {
    fn from_iter<I: IntoIterator<Item = S>>(steps: I) -> Self {
        Self(steps.into_iter().map(Into::into).collect())
    }
}

impl fmt::Display for JsonPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the file");
        }
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if is_plain(key) => {
                    write!(f, "{}{}", if i == 0 { "" } else { "." }, shortened(key, KEY_CHARS))?;
                }
                Step::Key(key) => write!(f, "[{}]", Quoted(key))?,
            }
        }
        Ok(())
    }
}

/// Whether a key can stand in a path as it is.
fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_graphic() && !b".[]`".contains(&b))
}
