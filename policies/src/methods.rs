//! The published ways to escalate (`policies/escalation-methods.json`), for those who evaluate and those who try them.

use std::{collections::BTreeMap, fmt, sync::LazyLock};

use serde::Deserialize;
use serde_json::Value;

use crate::{built_in, evaluate::Request};

const FILE: &str = include_str!("../escalation-methods.json");

/// Every method of the file.
pub static METHODS: LazyLock<Vec<Method>> = LazyLock::new(|| file().methods);

/// The file's own values for what stands in braces.
pub static EXAMPLE: LazyLock<Placeholders> = LazyLock::new(|| Placeholders(file().placeholders));

/// The tag that shields a resource from deployments; its value is `true`.
pub const SHIELD_TAG: &str = "daypass:protected";

/// The condition key of a tag that shields a resource from deployments.
pub const SHIELD: &str = "aws:ResourceTag/daypass:protected";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    placeholders: BTreeMap<String, String>,
    methods: Vec<Method>,
}

fn file() -> File {
    built_in(FILE)
}

/// One way to escalate. It works for somebody exactly when every one of its steps is allowed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// A name for it.
    pub id: String,
    /// What happens, in words.
    pub name: String,
    /// Who has published it, or the documentation that it follows from.
    pub sources: Vec<String>,
    /// What it takes.
    pub steps: Vec<Step>,
    /// How it is tried: the calls that touch what is not the caller's. Each alone has to be refused.
    #[serde(default)]
    pub calls: Vec<RawCall>,
    /// Why it cannot be tried on the engine.
    pub offline: Option<String>,
}

/// An action that a method takes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// As policies name it.
    pub action: String,
    /// ARN of what it is done to, or `*`.
    pub resource: String,
    /// Condition keys of the request; null: the request has no such key.
    #[serde(default)]
    pub context: BTreeMap<String, Option<String>>,
}

impl Step {
    /// The call as it would be made in `account`, of which the methods speak as one of the partition `aws`.
    #[must_use]
    pub fn request(&self, partition: &str, account: &str) -> Request {
        // Whichever account, as long as it is not the same.
        let other_account = if account == "333333333333" { "222222222222" } else { "333333333333" };
        let values = EXAMPLE.clone().with("account", account).with("other_account", other_account);
        let fill = |text: &str| values.fill(&text.replace("arn:aws:", &format!("arn:{partition}:")));
        let request = Request::new(&self.action, &fill(&self.resource));
        self.context.iter().fold(request, |request, (key, value)| request.with(key, value.as_deref().map(fill)))
    }

    /// Whether what it is done to carries the tag that shields it.
    #[must_use]
    pub fn is_shielded(&self) -> bool {
        self.context.contains_key(SHIELD)
    }

    /// Whether it sets or removes that tag.
    #[must_use]
    pub fn sets_shield(&self) -> bool {
        self.context.get("aws:TagKeys").is_some_and(|keys| keys.as_deref() == Some(SHIELD_TAG))
    }
}

/// A call as the file has it: in one of AWS's three protocols.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum RawCall {
    /// A form.
    Query {
        /// Name of the service in a signature.
        service: String,
        /// Version of its interface.
        version: String,
        /// The action.
        action: String,
        /// What is sent.
        parameters: BTreeMap<String, String>,
    },
    /// JSON with a target header.
    Json {
        /// Name of the service in a signature.
        service: String,
        /// The target.
        target: String,
        /// What is sent.
        body: Value,
    },
    /// A path.
    Rest {
        /// Name of the service in a signature.
        service: String,
        /// The method.
        method: String,
        /// The path.
        path: String,
        /// What is sent.
        #[serde(default)]
        body: Value,
    },
}

impl fmt::Display for RawCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query { service, action, .. } => write!(f, "{service}:{action}"),
            Self::Json { service, target, .. } => write!(f, "{service}:{target}"),
            Self::Rest { service, method, path, .. } => write!(f, "{service}:{method} {path}"),
        }
    }
}

/// What stands for the names in braces.
#[derive(Clone, Debug)]
pub struct Placeholders(BTreeMap<String, String>);

impl Placeholders {
    /// The same with another value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// `text` with every name in braces replaced by its value.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }
}
