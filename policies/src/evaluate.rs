//! Would IAM allow it? Policies evaluated offline, in three values.
//!
//! A check that runs without AWS knows little of a request: not the tags of a resource, not where a call comes from. What
//! it does not know is neither true nor false here but open, and an open condition never decides in favour of safety: it
//! does not keep an allowing statement from allowing, and does not make a denying statement deny. So what comes out as
//! refused is refused by IAM as well, whatever the request; what comes out as possible may be.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>. Not covered, because
//! deploy roles are judged by their own policies: policies of resources, session policies, policies of organisations.
//! `docs/decisions/0008-policies-are-evaluated-in-three-values.md` says why this is not a crate.

use std::{borrow::Cow, collections::BTreeMap, ops::Not};

use daypass::policy::{Effect, OneOrMany, Policy, Statement};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use wildmatch::WildMatch;

/// What is known of a request.
#[derive(Clone, Debug)]
pub struct Request {
    action: String,
    resource: String,
    /// By key in lower case; a key with no values is known to be absent. Of keys that are not there nothing is known.
    context: BTreeMap<String, Vec<String>>,
}

impl Request {
    /// A request for `action` (`s3:GetObject`) on `resource`: an ARN, or `*` where the action has no resource.
    #[must_use]
    pub fn new(action: &str, resource: &str) -> Self {
        Self { action: action.to_owned(), resource: resource.to_owned(), context: BTreeMap::new() }
    }

    /// The same request, of which one more condition key is known: its values, or by none of them that it is absent.
    #[must_use]
    pub fn with<V: Into<String>>(mut self, key: &str, values: impl IntoIterator<Item = V>) -> Self {
        self.context.insert(key.to_ascii_lowercase(), values.into_iter().map(Into::into).collect());
        self
    }

    /// The same request, done to another resource.
    #[must_use]
    pub fn on(&self, resource: &str) -> Self {
        Self { resource: resource.to_owned(), ..self.clone() }
    }

    /// What it is done to.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    fn values(&self, key: &str) -> Option<&[String]> {
        self.context.get(&key.to_ascii_lowercase()).map(Vec::as_slice)
    }
}

/// What policies say to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'p> {
    /// They allow it, by this statement.
    Allowed(&'p Statement),
    /// They may allow it, by this statement: it depends on what is not known of the request.
    Open(&'p Statement),
    /// Nothing in them allows it.
    NotAllowed,
    /// They deny it, by this statement.
    Denied(&'p Statement),
}

impl Verdict<'_> {
    /// Whether the request may be allowed, as far as is known.
    #[must_use]
    pub fn is_possible(self) -> bool {
        matches!(self, Self::Allowed(_) | Self::Open(_))
    }
}

/// What `policies`, all together, say to `request`: one denial stands over everything that allows.
#[must_use]
pub fn evaluate<'p>(policies: impl IntoIterator<Item = &'p Policy>, request: &Request) -> Verdict<'p> {
    let mut verdict = Verdict::NotAllowed;
    let mut open_denial = false;
    for statement in policies.into_iter().flat_map(Policy::statements) {
        match (statement.effect, covers(statement, request)) {
            (Effect::Deny, Answer::Yes) => return Verdict::Denied(statement),
            (Effect::Deny, Answer::Open) => open_denial = true,
            (Effect::Allow, Answer::Yes) if !matches!(verdict, Verdict::Allowed(_)) => {
                verdict = Verdict::Allowed(statement);
            }
            (Effect::Allow, Answer::Open) if verdict == Verdict::NotAllowed => verdict = Verdict::Open(statement),
            _ => {}
        }
    }
    match verdict {
        Verdict::Allowed(statement) if open_denial => Verdict::Open(statement),
        verdict => verdict,
    }
}

/// Whether something holds. `Open`: what is known does not tell. In this order, "and" is the least, "or" the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    No,
    Open,
    Yes,
}

impl Answer {
    fn all(answers: impl IntoIterator<Item = Self>) -> Self {
        answers.into_iter().min().unwrap_or(Self::Yes)
    }

    fn any(answers: impl IntoIterator<Item = Self>) -> Self {
        answers.into_iter().max().unwrap_or(Self::No)
    }
}

impl From<bool> for Answer {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

impl Not for Answer {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Open => Self::Open,
            Self::Yes => Self::No,
        }
    }
}

/// Whether the statement is about the request.
fn covers(statement: &Statement, request: &Request) -> Answer {
    let action = one_of(statement.action.as_ref(), statement.not_action.as_ref(), |pattern| {
        WildMatch::new_case_insensitive(pattern).matches(&request.action).into()
    });
    if action == Answer::No {
        return action;
    }
    let resource = one_of(statement.resource.as_ref(), statement.not_resource.as_ref(), |pattern| {
        compare(pattern, request, |pattern| arn_matches(pattern, &request.resource))
    });
    if resource == Answer::No {
        return resource;
    }
    let conditions = statement.condition.iter().flat_map(|(operator, keys)| {
        keys.iter().map(move |(key, expected)| condition(operator, key, expected.as_slice(), request))
    });
    Answer::all([action, resource].into_iter().chain(conditions))
}

/// Whether one of the values of an element matches, or, for its opposite, none.
fn one_of(element: Option<&OneOrMany>, opposite: Option<&OneOrMany>, matches: impl Fn(&str) -> Answer) -> Answer {
    let any = |values: &OneOrMany| Answer::any(values.as_slice().iter().map(|value| matches(value)));
    // Neither is there in a trust policy, whose resource is the role itself.
    element.map_or(Answer::Yes, any).min(opposite.map_or(Answer::Yes, |values| !any(values)))
}

/// `matches`, asked of `pattern` with its policy variables filled in.
fn compare(pattern: &str, request: &Request, matches: impl Fn(&str) -> bool) -> Answer {
    let (filled, open) = fill(pattern, request);
    let answer = Answer::from(matches(&filled));
    if open { answer.min(Answer::Open) } else { answer }
}

/// `pattern` with its policy variables filled in, and whether it is open what one of them stands for: that is a `*` then.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>
fn fill<'t>(pattern: &'t str, request: &'t Request) -> (Cow<'t, str>, bool) {
    let (mut filled, mut rest, mut open) = (Cow::Borrowed(""), pattern, false);
    while let Some((text, (variable, after))) =
        rest.split_once("${").and_then(|(text, after)| Some((text, after.split_once('}')?)))
    {
        filled += text;
        if let Some([value]) = request.values(variable) {
            filled += value.as_str();
        } else {
            // Unknown, absent, with a default, or one of the characters `*`, `?` and `$` themselves.
            filled += "*";
            open = true;
        }
        rest = after;
    }
    filled += rest;
    (filled, open)
}

/// Whether the pattern of an ARN matches: part by part, so that a `*` does not reach into the next.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>
fn arn_matches(pattern: &str, arn: &str) -> bool {
    let parts = |text| str::splitn(text, 6, ':').collect::<Vec<_>>();
    match (&parts(pattern)[..], &parts(arn)[..]) {
        (patterns @ ["arn", _, _, _, _, _], parts @ ["arn", _, _, _, _, _]) => {
            patterns.iter().zip(parts).all(|(pattern, part)| WildMatch::new(pattern).matches(part))
        }
        // `*`, or a pattern that leaves its last parts out.
        _ => WildMatch::new(pattern).matches(arn),
    }
}

/// Whether `key` compares with one of `expected` as `operator` says.
///
/// Sources: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html> and
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>
fn condition(operator: &str, key: &str, expected: &[String], request: &Request) -> Answer {
    let Some(values) = request.values(key) else { return Answer::Open };
    if operator == "Null" {
        let absent = if values.is_empty() { "true" } else { "false" };
        return expected.iter().any(|it| it.eq_ignore_ascii_case(absent)).into();
    }
    let (quantifier, operator) = match operator.split_once(':') {
        Some((quantifier, operator)) => (Some(quantifier), operator),
        None => (None, operator),
    };
    let (if_exists, operator) = match operator.strip_suffix("IfExists") {
        Some(operator) => (true, operator),
        None => (false, operator),
    };
    let (negated, operator) = positive(operator);
    if values.is_empty() {
        // A comparison that is negated holds for what is not there, and so does one with all of no values.
        return (if_exists || quantifier == Some("ForAllValues") || (negated && quantifier.is_none())).into();
    }
    let equals_one = |value: &String| {
        let one = Answer::any(expected.iter().map(|it| compare_values(operator, it, value, request)));
        if negated { !one } else { one }
    };
    let answers = values.iter().map(equals_one);
    match quantifier {
        Some("ForAllValues") => Answer::all(answers),
        None if negated => Answer::all(answers),
        _ => Answer::any(answers),
    }
}

/// The operator without its `Not`, and whether it had one.
fn positive(operator: &str) -> (bool, &str) {
    match operator {
        "StringNotEquals" => (true, "StringEquals"),
        "StringNotEqualsIgnoreCase" => (true, "StringEqualsIgnoreCase"),
        "StringNotLike" => (true, "StringLike"),
        // Both compare with wildcards.
        "ArnNotEquals" | "ArnNotLike" => (true, "ArnLike"),
        "ArnEquals" => (false, "ArnLike"),
        "NumericNotEquals" => (true, "NumericEquals"),
        "DateNotEquals" => (true, "DateEquals"),
        "NotIpAddress" => (true, "IpAddress"),
        other => (false, other),
    }
}

fn compare_values(operator: &str, expected: &str, value: &str, request: &Request) -> Answer {
    if let Some(comparison) = operator.strip_prefix("Numeric") {
        return ordered(comparison, value.parse::<f64>().ok(), expected.parse().ok());
    }
    if let Some(comparison) = operator.strip_prefix("Date") {
        return ordered(comparison, time_of(value), time_of(expected));
    }
    match operator {
        "StringEquals" => equal(expected, value, request, false),
        "StringEqualsIgnoreCase" | "Bool" => equal(expected, value, request, true),
        "StringLike" => compare(expected, request, |it| WildMatch::new(it).matches(value)),
        "ArnLike" => compare(expected, request, |it| arn_matches(it, value)),
        // Addresses and bytes; nothing that is checked offline has any.
        _ => Answer::Open,
    }
}

fn equal(expected: &str, value: &str, request: &Request, ignore_case: bool) -> Answer {
    let (filled, open) = fill(expected, request);
    let like = if ignore_case { WildMatch::new_case_insensitive } else { WildMatch::new };
    match open {
        true if like(&filled).matches(value) => Answer::Open,
        true => Answer::No,
        false if ignore_case => filled.eq_ignore_ascii_case(value).into(),
        false => (filled == value).into(),
    }
}

/// `left` compared with `right`; what is neither a number nor a date leaves it open.
fn ordered<T: PartialOrd>(comparison: &str, left: Option<T>, right: Option<T>) -> Answer {
    let Some((left, right)) = left.zip(right) else { return Answer::Open };
    match comparison {
        "Equals" => (left == right).into(),
        "LessThan" => (left < right).into(),
        "LessThanEquals" => (left <= right).into(),
        "GreaterThan" => (left > right).into(),
        "GreaterThanEquals" => (left >= right).into(),
        _ => Answer::Open,
    }
}

/// A date as policies write it: ISO 8601, or seconds since 1970.
fn time_of(text: &str) -> Option<OffsetDateTime> {
    let seconds = || OffsetDateTime::from_unix_timestamp(text.parse().ok()?).ok();
    OffsetDateTime::parse(text, &Rfc3339).ok().or_else(seconds)
}

#[cfg(test)]
mod tests;
