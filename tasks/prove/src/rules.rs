//! Whose identity tokens count, for what, and what must be in them: the setting `DAYPASS_IDENTITY_TOKENS`.
//!
//! The CDK app writes it from `identity_tokens` in its configuration (`cdk/README.md` explains every key).

use std::{collections::BTreeMap, fmt, str::FromStr};

use daypass::{
    contract::UserAttribute,
    issuer::{ClaimNames, Provider},
};
use serde::Deserialize;
use url::Url;
use wildmatch::WildMatch;

use crate::{NotProven, issuer_url::IssuerUrl};

/// The setting.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// What a token must name as its audience: this deployment.
    pub audience: String,
    /// The environments that a role can be had in without a proof, too. In all others one is required, if there is an issuer
    /// that could give it.
    pub optional_in: Vec<String>,
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
    /// One of ours that is not listed, and requires a proof, wants the one of its own name.
    #[serde(default)]
    pub environments: BTreeMap<String, Wanted>,
    /// Of another kind of issuer: what its tokens call things.
    #[serde(default)]
    pub names: ClaimNames,
    /// Where its runs can be seen: scheme and host of a request's `run_url`. Without it no `run_url` is believed.
    #[serde(default)]
    pub server: Option<Url>,
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
    pub claim: String,
    pub attribute: UserAttribute,
    /// What the attribute must be; `{}` stands for the claim.
    pub value: String,
}

/// Which of the issuer's own environments a run has to be in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Wanted {
    /// One of these.
    One(Vec<String>),
    /// Any of them, or none.
    Any(Any),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Any {
    /// `any`.
    Any,
}

/// What starts a run that deploys the ref that it is of, for the person whose it is, unless the rules say otherwise. In other
/// events the actor or the ref is somebody else's: the author of a pull request runs with the ref of its base, a schedule with
/// whoever changed it last, a pipeline of the API with whose token it is.
const fn events(provider: Provider) -> &'static [&'static str] {
    match provider {
        Provider::Github => &["push", "workflow_dispatch"],
        Provider::Gitlab => &["push", "web"],
        Provider::Other => &[],
    }
}

impl Issuer {
    /// What its tokens call things.
    pub fn claim_names(&self) -> ClaimNames {
        match self.provider {
            Provider::Other => self.names.clone(),
            known => known.claim_names(),
        }
    }

    /// What the claim `ref` is for a run of `branch`; none when the issuer does not say.
    pub fn branch_ref(&self, branch: &str) -> Option<String> {
        match self.provider {
            Provider::Github => Some(format!("refs/heads/{branch}")),
            Provider::Gitlab => Some(branch.to_owned()),
            Provider::Other => None,
        }
    }

    /// The rules that hold when nobody has said otherwise.
    fn fill_in(&mut self) {
        let events = events(self.provider);
        if let (Some(claim), false) = (self.claim_names().event, events.is_empty()) {
            let default = || events.iter().map(|it| Pattern::from((*it).to_owned())).collect();
            self.claims.entry(claim.into_owned()).or_insert_with(default);
        }
    }
}

impl Rules {
    /// Whether nobody gets a role in `environment` without a proof.
    #[must_use]
    pub fn require_proof_in(&self, environment: &str) -> bool {
        !self.issuers.is_empty() && !self.optional_in.iter().any(|it| it == environment)
    }

    /// The issuer with this URL, which is the claim `iss` of its tokens.
    ///
    /// # Errors
    /// [`NotProven::UnknownIssuer`] if there is no such issuer in the rules.
    pub fn issuer(&self, url: &str) -> Result<&Issuer, NotProven> {
        let issuer = self.issuers.iter().find(|issuer| issuer.url.as_str() == url);
        issuer.ok_or_else(|| NotProven::UnknownIssuer(url.to_owned()))
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
    /// What the tokens of GitHub and GitLab call things is known.
    #[error("`issuers[{0}].names`: only an issuer of another kind has names of its own")]
    Names(usize),
}

impl FromStr for Rules {
    type Err = RulesError;

    fn from_str(json: &str) -> Result<Self, RulesError> {
        let mut rules: Self = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(json))
            .map_err(RulesError::Json)?;
        if let Some(open) = rules.issuers.iter().position(|issuer| issuer.claims.is_empty()) {
            return Err(RulesError::NoClaims(open));
        }
        let renames = |it: &Issuer| it.provider != Provider::Other && it.names != ClaimNames::default();
        if let Some(known) = rules.issuers.iter().position(renames) {
            return Err(RulesError::Names(known));
        }
        rules.issuers.iter_mut().for_each(Issuer::fill_in);
        Ok(rules)
    }
}
