//! The published ways to escalate (`policies/escalation-methods.json`), for those who evaluate and those who try them.

use std::{collections::BTreeMap, fmt, sync::LazyLock};

use serde::Deserialize;
use serde_json::Value;

use crate::aws::{Aws, Call, Refused};

pub static METHODS: LazyLock<Vec<Method>> = LazyLock::new(|| file().methods);

/// The file's own values for what stands in braces.
pub static EXAMPLE: LazyLock<Placeholders> = LazyLock::new(|| Placeholders(file().placeholders));

/// The key of a tag that shields a resource from deployments.
pub const SHIELD: &str = "aws:ResourceTag/daypass:protected";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    placeholders: BTreeMap<String, String>,
    methods: Vec<Method>,
}

fn file() -> File {
    serde_json::from_str(include_str!("../../policies/escalation-methods.json"))
        .expect("the shape that is written here")
}

/// One way to escalate. It works for somebody exactly when every one of its steps is allowed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    pub id: String,
    /// What happens, in words.
    pub name: String,
    /// Who has published it, or the documentation that it follows from.
    pub sources: Vec<String>,
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
    /// Whether what it is done to carries the tag that shields it.
    #[must_use]
    pub fn is_shielded(&self) -> bool {
        self.context.contains_key(SHIELD)
    }
}

/// A call as the file has it: in one of AWS's three protocols.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum RawCall {
    Query {
        /// Name of the service in a signature.
        service: String,
        /// Version of its interface.
        version: String,
        action: String,
        parameters: BTreeMap<String, String>,
    },
    /// JSON with a target header.
    Json {
        /// Name of the service in a signature.
        service: String,
        target: String,
        body: Value,
    },
    Rest {
        /// Name of the service in a signature.
        service: String,
        method: String,
        path: String,
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

impl RawCall {
    /// Somebody makes the call.
    pub async fn by(&self, somebody: &Aws, values: &Placeholders) -> Result<String, Refused> {
        match self {
            Self::Query { service, version, action, parameters } => {
                let encoded = |text: &str| percent_encoded(&values.fill(text));
                let parameters: Vec<_> = parameters.iter().map(|(name, text)| (name.as_str(), encoded(text))).collect();
                let parameters: Vec<_> = parameters.iter().map(|(name, text)| (*name, text.as_str())).collect();
                somebody.call(&Call::Query(service, version, action, &parameters)).await
            }
            Self::Json { service, target, body } => {
                let body = values.fill(&body.to_string());
                somebody.call(&Call::Json(service, target, &body)).await
            }
            Self::Rest { service, method, path, body } => {
                let path = values.fill(path);
                let body = if body.is_null() { String::new() } else { values.fill(&body.to_string()) };
                somebody.call(&Call::RestJson(service, method, &path, &body)).await
            }
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

fn percent_encoded(text: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
