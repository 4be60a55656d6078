//! Policy documents, reduced to what is compared of them.

use std::collections::{BTreeMap, BTreeSet};

use daypass::text::Quoted;
use serde_json::Value;

use super::super::survivors::items;

/// How many values of an element are named.
const NAMED: usize = 3;
/// What a document without `Version` has.
const OLD_VERSION: &str = "2008-10-17";

/// A statement: the values of each element, and of each key of a condition (`Condition.StringEquals.aws:RequestTag/x`). The order
/// of values does not count, and a single value equals a list of one.
pub type Statement = BTreeMap<String, BTreeSet<String>>;

/// A policy document.
#[derive(Debug, Default)]
pub struct Document {
    /// Only in `2012-10-17` do `${…}` in the statements stand for values of the request.
    pub version: String,
    /// In their order, each with its `Sid`, which is not among the elements.
    pub statements: Vec<(Option<String>, Statement)>,
}

impl Document {
    /// # Errors
    /// What the document is not.
    pub fn read(document: &str) -> Result<Self, String> {
        let document: Value = serde_json::from_str(document).map_err(|error| format!("is no JSON: {error}"))?;
        let all = document.as_object().ok_or("is no JSON object")?.get("Statement").ok_or("has no statements")?;
        let version = document.get("Version").map_or_else(|| OLD_VERSION.to_owned(), text);
        let statements = items(all).map(|statement| {
            let mut elements = Statement::new();
            for (element, value) in statement.as_object()?.iter().filter(|(element, _)| *element != "Sid") {
                flatten(element, value, &mut elements);
            }
            Some((statement["Sid"].as_str().map(str::to_owned), elements))
        });
        let statements = statements.collect::<Option<_>>().ok_or("has a statement that is no JSON object")?;
        Ok(Self { version, statements })
    }

    /// How the version differs from the expected one, in words.
    pub fn version_differs(&self, expected: &str) -> Option<String> {
        let found = self.version.as_str();
        (found != expected).then(|| format!("Version is {} and not {}", Quoted(found), Quoted(expected)))
    }
}

fn flatten(at: &str, value: &Value, into: &mut Statement) {
    if let Value::Object(members) = value {
        for (name, value) in members {
            flatten(&format!("{at}.{name}"), value, into);
        }
        return;
    }
    into.entry(at.to_owned()).or_default().extend(items(value).map(text));
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What is lacking of an element and what is there besides, in words; none when it is neither.
pub fn differs(element: &str, lacking: &[&str], added: &[&str]) -> Option<String> {
    let words = [("lacks", lacking), ("has also", added)].into_iter().filter(|(_, values)| !values.is_empty());
    let words: Vec<_> = words.map(|(verb, values)| format!("{verb} {}", named(values))).collect();
    (!words.is_empty()).then(|| format!("{element} {}", words.join(" and ")))
}

/// The first of the values, and how many more there are.
pub fn named(values: &[&str]) -> String {
    let more = if values.len() > NAMED { format!(" and {} more", values.len() - NAMED) } else { String::new() };
    let named: Vec<_> = values.iter().take(NAMED).map(|value| Quoted(value).to_string()).collect();
    named.join(", ") + &more
}
