//! A JSON text as a tree, and a walk over it that notes problems where they are and goes on.
//!
//! serde's own errors will not do here: they end at the first problem, and a repeated key is none.

use std::{cell::RefCell, fmt};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::{
    Location, Problem, Rule,
    path::{JsonPath, Step},
};

/// A JSON value; an object keeps the order of its keys, and repeated ones.
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Json {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyValue;

        impl<'de> Visitor<'de> for AnyValue {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Json, E> {
                Ok(Json::Bool(flag))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
                Ok(Json::Number(number.into()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
                Ok(Json::Number(number.into()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
                // JSON has no infinity, and what is too large for an f64 the parser has refused.
                Ok(Number::from_f64(number).map_or(Json::Null, Json::Number))
            }

            fn visit_str<E>(self, text: &str) -> Result<Json, E> {
                Ok(Json::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = seq.next_element()? {
                    list.push(item);
                }
                Ok(Json::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Json::Object(entries))
            }
        }

        deserializer.deserialize_any(AnyValue)
    }
}

/// The problems found so far. Every place of a tree shares one.
pub(super) type Problems = RefCell<Vec<Problem>>;

/// A value and where it stands. What is asked of it in vain is noted as a problem.
#[derive(Clone)]
pub(super) struct Place<'a> {
    path: JsonPath<'a>,
    json: &'a Json,
    problems: &'a Problems,
}

impl<'a> Place<'a> {
    pub(super) fn root(json: &'a Json, problems: &'a Problems) -> Self {
        Self { path: JsonPath::default(), json, problems }
    }

    /// Notes that something is wrong here: against which rule, what, and what to do about it.
    pub(super) fn problem(&self, rule: Rule, message: impl Into<String>, remedy: impl Into<String>) {
        let at = Location::Value(self.path.to_static());
        self.problems.borrow_mut().push(Problem { at, rule, message: message.into(), remedy: remedy.into() });
    }

    /// How many problems there are so far, here and elsewhere.
    pub(super) fn problem_count(&self) -> usize {
        self.problems.borrow().len()
    }

    pub(super) fn path(&self) -> &JsonPath<'a> {
        &self.path
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.json, Json::List(_))
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        let Json::Text(text) = self.json else { return self.must_be("text in quotes") };
        Some(text)
    }

    pub(super) fn flag(&self) -> Option<bool> {
        let Json::Bool(flag) = self.json else { return self.must_be("true or false") };
        Some(*flag)
    }

    pub(super) fn number(&self) -> Option<f64> {
        let Json::Number(number) = self.json else { return self.must_be("a number") };
        number.as_f64()
    }

    pub(super) fn items(&self) -> Option<Vec<Self>> {
        let Json::List(items) = self.json else { return self.must_be("a list") };
        Some(items.iter().enumerate().map(|(i, json)| self.at(Step::Index(i), json)).collect())
    }

    /// The entries of an object that may have any keys; of a repeated key, the first.
    pub(super) fn entries(&self) -> Option<Vec<(&'a str, Self)>> {
        let Json::Object(object) = self.json else { return self.must_be("an object") };
        let mut entries: Vec<(&str, Self)> = Vec::new();
        for (key, json) in object {
            let place = self.at(Step::from(key.as_str()), json);
            if entries.iter().any(|(other, _)| other == key) {
                place.problem(Rule::RepeatedKey, "stands here more than once", "keep one");
            } else {
                entries.push((key, place));
            }
        }
        Some(entries)
    }

    /// An object that may have `known` keys only.
    pub(super) fn fields(&self, known: &[&str]) -> Option<Fields<'a>> {
        let entries = self.entries()?;
        for (_, place) in entries.iter().filter(|(key, _)| !known.contains(key)) {
            let remedy = format!("remove it, or use one of {}", known.join(", "));
            place.problem(Rule::UnknownKey, "is not a key that belongs here", remedy);
        }
        Some(Fields { place: self.clone(), entries })
    }

    fn must_be<T>(&self, expected: &str) -> Option<T> {
        self.problem(Rule::ValueType, format!("is {}", self.json.kind()), format!("write {expected}"));
        None
    }

    fn at(&self, step: Step<'a>, json: &'a Json) -> Self {
        Self { path: self.path.join(step), json, problems: self.problems }
    }
}

/// The entries of an object with known keys.
pub(super) struct Fields<'a> {
    place: Place<'a>,
    entries: Vec<(&'a str, Place<'a>)>,
}

impl<'a> Fields<'a> {
    pub(super) fn optional(&self, key: &str) -> Option<Place<'a>> {
        self.entries.iter().find(|(it, _)| *it == key).map(|(_, place)| place.clone())
    }

    /// The value of `key`; when it is missing, `what` should be added.
    pub(super) fn required(&self, key: &'static str, what: &str) -> Option<Place<'a>> {
        let value = self.optional(key);
        if value.is_none() {
            let place = &self.place;
            place.at(Step::from(key), place.json).problem(Rule::MissingKey, "is missing", format!("add {what}"));
        }
        value
    }
}
