//! IAM policy documents as typed values, printed once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One policy document, in IAM's policy language of 2012-10-17.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Policy {
    version: Version,
    statement: Vec<Statement>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Version {
    #[serde(rename = "2012-10-17")]
    V2012,
}

/// One statement of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Statement {
    /// What the statement is for, in letters and digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// Whether it allows or denies.
    pub effect: Effect,
    /// The role that a trust policy speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<Principal>,
    /// The actions it covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<OneOrMany>,
    /// The actions it does not cover; it covers all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_action: Option<OneOrMany>,
    /// The resources it covers; a trust policy has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<OneOrMany>,
    /// The resources it does not cover; it covers all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_resource: Option<OneOrMany>,
    /// Operator, then key, then values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub condition: BTreeMap<String, BTreeMap<String, OneOrMany>>,
}

/// Whether a statement allows or denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    Allow,
    /// It denies, whatever else allows.
    Deny,
}

/// The principal of a trust policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// The ARN of a role.
    #[serde(rename = "AWS")]
    pub aws: String,
}

/// One string or several, as the policy language writes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl From<&str> for OneOrMany {
    fn from(one: &str) -> Self {
        Self::One(one.to_owned())
    }
}

impl From<String> for OneOrMany {
    fn from(one: String) -> Self {
        Self::One(one)
    }
}

impl<const N: usize> From<[&str; N]> for OneOrMany {
    fn from(many: [&str; N]) -> Self {
        Self::Many(many.map(str::to_owned).to_vec())
    }
}

impl Policy {
    /// A policy of these statements.
    #[must_use]
    pub fn new(statement: Vec<Statement>) -> Self {
        Self { version: Version::V2012, statement }
    }

    #[must_use]
    pub fn statements(&self) -> &[Statement] {
        &self.statement
    }

    /// The document as IAM takes it: JSON without white space, which counts against some of IAM's limits.
    #[must_use]
    #[expect(
        clippy::missing_panics_doc,
        clippy::expect_used,
        reason = "strings and string-keyed maps always serialise"
    )]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a policy serialises")
    }
}

impl Statement {
    fn new(effect: Effect, sid: &str, action: impl Into<OneOrMany>) -> Self {
        Self {
            sid: Some(sid.to_owned()),
            effect,
            principal: None,
            action: Some(action.into()),
            not_action: None,
            resource: None,
            not_resource: None,
            condition: BTreeMap::new(),
        }
    }

    /// A statement that allows `action`.
    #[must_use]
    pub fn allow(sid: &str, action: impl Into<OneOrMany>) -> Self {
        Self::new(Effect::Allow, sid, action)
    }

    /// A statement that denies `action`.
    #[must_use]
    pub fn deny(sid: &str, action: impl Into<OneOrMany>) -> Self {
        Self::new(Effect::Deny, sid, action)
    }

    /// The same statement, about `resource`.
    #[must_use]
    pub fn on(mut self, resource: impl Into<OneOrMany>) -> Self {
        self.resource = Some(resource.into());
        self
    }

    /// The same statement, about the role `arn` as principal.
    #[must_use]
    pub fn by(mut self, arn: impl Into<String>) -> Self {
        self.principal = Some(Principal { aws: arn.into() });
        self
    }

    /// The same statement, only when `operator` holds for `key` and `value`.
    #[must_use]
    pub fn when(mut self, operator: &str, key: &str, value: impl Into<OneOrMany>) -> Self {
        self.condition.entry(operator.to_owned()).or_default().insert(key.to_owned(), value.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_iam_reads() {
        let policy = Policy::new(vec![
            Statement::allow("AssumeIt", "sts:AssumeRole").on("arn:aws:iam::222222222222:role/x").when(
                "StringEquals",
                "aws:PrincipalTag/k",
                "v",
            ),
            Statement::deny("Nothing", ["iam:*", "sts:*"]).on("*"),
        ]);
        insta::assert_snapshot!(policy.to_json());
    }
}
