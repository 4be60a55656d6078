//! Whose identity tokens count, for what, and what must be in them: the setting `DAYPASS_IDENTITY_TOKENS`.
//!
//! The CDK app writes it from `identity_tokens` in its configuration (`cdk/README.md` explains every key).

use std::{collections::BTreeMap, fmt, str::FromStr};

use daypass::contract::UserAttribute;
use serde::Deserialize;
use wildmatch::WildMatch;

use crate::{NotProven, token::Unverified};

/// The setting.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// What a token must name as its audience: this deployment.
    pub audience: String,
    /// The environments that nobody gets a role in without a proof.
    pub required_in: Vec<String>,
    /// Who may issue tokens.
    pub issuers: Vec<Issuer>,
}

/// Who may issue tokens, and which of theirs count.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// What its tokens have as `iss`, and where its keys are found.
    pub url: IssuerUrl,
    /// How its tokens name things.
    pub provider: Provider,
    /// What claims must be, by name: one of these patterns, in which `*` stands for any text and `?` for one character.
    /// There is at least one, else everybody whom the issuer serves could ask.
    pub claims: BTreeMap<String, Vec<Pattern>>,
    /// The issuer's own environments (a GitHub environment has reviewers) that a run must be in to deploy to one of ours.
    /// One of ours that is not listed wants none.
    #[serde(default)]
    pub environments: BTreeMap<String, Vec<String>>,
    /// How the person in the token is found in the user of Identity Center.
    pub person: PersonRule,
}

/// What a claim may be.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "String")]
pub struct Pattern(WildMatch);

impl Pattern {
    pub fn matches(&self, value: &str) -> bool {
        self.0.matches(value)
    }
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self(WildMatch::new(&text))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which claim must be which attribute of the user.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonRule {
    /// The claim.
    pub claim: String,
    /// The attribute.
    pub attribute: UserAttribute,
    /// What the attribute must be; `{}` stands for the claim.
    pub value: String,
}

/// How the tokens of an issuer name things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// GitHub Actions. Source: <https://docs.github.com/en/actions/reference/security/oidc>.
    Github,
    /// GitLab CI. Source: <https://docs.gitlab.com/ci/secrets/id_token_authentication>.
    Gitlab,
    /// Any other: its tokens prove the person and what `claims` asks for, but not repository and branch.
    Other,
}

/// The names of claims. An issuer that has no such claim has no name for it.
pub struct Names {
    pub repository: Option<&'static str>,
    pub repository_id: Option<&'static str>,
    pub run_id: Option<&'static str>,
    pub run_attempt: Option<&'static str>,
    pub actor_id: Option<&'static str>,
    pub workflow_ref: Option<&'static str>,
}

impl Provider {
    pub const fn names(self) -> Names {
        match self {
            Self::Github => Names {
                repository: Some("repository"),
                repository_id: Some("repository_id"),
                run_id: Some("run_id"),
                run_attempt: Some("run_attempt"),
                actor_id: Some("actor_id"),
                workflow_ref: Some("job_workflow_ref"),
            },
            Self::Gitlab => Names {
                repository: Some("project_path"),
                repository_id: Some("project_id"),
                run_id: Some("pipeline_id"),
                run_attempt: Some("job_id"),
                actor_id: Some("user_id"),
                workflow_ref: Some("ci_config_ref_uri"),
            },
            Self::Other => Names {
                repository: None,
                repository_id: None,
                run_id: None,
                run_attempt: None,
                actor_id: None,
                workflow_ref: None,
            },
        }
    }

    /// What the claim `ref` is for a run of `branch`; none when the issuer does not say.
    pub fn branch_ref(self, branch: &str) -> Option<String> {
        match self {
            Self::Github => Some(format!("refs/heads/{branch}")),
            Self::Gitlab => Some(branch.to_owned()),
            Self::Other => None,
        }
    }
}

/// A URL that keys may be fetched from: `https`, or `http` on loopback, where nobody is in between.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct IssuerUrl(String);

impl IssuerUrl {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IssuerUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let authority = |rest: &str| rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned();
        let is_host = |host: &str| !host.is_empty() && !host.contains('@');
        let loopback = |host: &str| {
            let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
            ["127.0.0.1", "localhost", "[::1]"].contains(&name)
        };
        let safe = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => is_host(&authority(rest)),
            (None, Some(rest)) => loopback(&authority(rest)),
            (None, None) => false,
        };
        if safe && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err("expected a URL that begins with https://")
        }
    }
}

impl TryFrom<String> for IssuerUrl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl Rules {
    /// The issuer that a token says it is of.
    ///
    /// # Errors
    /// [`NotProven::UnknownIssuer`] when it is none of ours.
    pub fn issuer_of(&self, token: &Unverified<'_>) -> Result<&Issuer, NotProven> {
        let issuer = self.issuers.iter().find(|issuer| issuer.url.as_str() == token.issuer);
        issuer.ok_or_else(|| NotProven::UnknownIssuer(token.issuer.clone()))
    }
}

/// The setting cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A value is missing, unknown or wrong.
    #[error("{}", daypass::stage::invalid_field(.0))]
    Json(#[source] serde_path_to_error::Error<serde_json::Error>),
    /// Nothing would tell the tokens of an issuer's customers apart.
    #[error("`issuers[{0}].claims`: without a claim to check, everybody whom the issuer serves could ask")]
    NoClaims(usize),
}

impl FromStr for Rules {
    type Err = RulesError;

    fn from_str(json: &str) -> Result<Self, RulesError> {
        let rules: Self = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(json))
            .map_err(RulesError::Json)?;
        match rules.issuers.iter().position(|issuer| issuer.claims.is_empty()) {
            Some(open) => Err(RulesError::NoClaims(open)),
            None => Ok(rules),
        }
    }
}
