//! Personas, accounts and environments: what `personas.json` says about who may have which role where.
//!
//! The file is parsed once, strictly, and a parsed file has no contradictions left: every name in it leads somewhere.
//! `docs/personas.md` explains it key by key.

use std::{collections::BTreeMap, fmt, time::Duration};

use wildmatch::WildMatch;

use crate::{
    ids::AccountId,
    policy::{Effect, Policy},
};

mod json;
mod origin;
mod parse;
mod path;
mod rule;
#[cfg(test)]
mod tests;

pub use self::{
    origin::{Origin, OriginError, Repository},
    path::{JsonPath, Step},
    rule::Rule,
};

/// How long a deploy role lives when the request does not say, unless a cap is lower.
pub const DEFAULT_ROLE_TTL: Duration = Duration::from_hours(24);
/// How long a deploy role may live at most, whatever the file says: a week is longer than any one deployment, and what
/// is needed for longer should not be temporary.
pub const MAX_ROLE_TTL: Duration = Duration::from_hours(168);
/// How many characters of a role's inline policies are kept free for the guard that ends access at expiry.
pub const GUARD_POLICY_CHARS: usize = 2_048;

/// The content of `personas.json`.
#[derive(Clone, Debug)]
pub struct Personas {
    default_group_type: String,
    group_name: Vec<Piece>,
    environments: Vec<Environment>,
    all: Vec<Persona>,
    accounts: Vec<Account>,
}

/// A piece of the pattern of group names; company and organisation are filled in.
#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    AccountId,
    Persona,
}

/// A job function and the policies it is entitled to.
#[derive(Clone, Debug)]
pub struct Persona {
    name: String,
    group_types: Vec<String>,
    entitlement: Entitlement,
    /// By the name of the environment; complete, so that it stands instead of `entitlement`.
    overrides: BTreeMap<String, Entitlement>,
    max_role_ttl: Duration,
}

/// The policies that a persona's deploy role gets in one environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entitlement {
    /// ARNs of AWS-managed policies, at most 10.
    pub managed_policies: Vec<String>,
    /// The persona's own inline policy, of at most 10,240 characters less [`GUARD_POLICY_CHARS`].
    pub custom_policy: Option<Policy>,
}

/// What several accounts have in common: what may deploy there, and for how long.
#[derive(Clone, Debug)]
pub struct Environment {
    name: String,
    branches: Vec<WildMatch>,
    requires_proof: bool,
    requires_protected_ref: bool,
    max_role_ttl: Duration,
}

/// A target account.
#[derive(Clone, Debug)]
pub struct Account {
    id: AccountId,
    name: String,
    environment: Environment,
    personas: Vec<String>,
    repositories: Vec<Repository>,
}

/// Everything that is wrong with a `personas.json`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PersonasError {
    /// The problems, at least one.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub at: Location,
    /// Against which rule.
    pub rule: Rule,
    /// What is wrong there.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// Where something stands in a `personas.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// At this value, or where it should be (`accounts[1].name`).
    Value(JsonPath<'static>),
    /// At this place in the text, which is no JSON. Both count from 1; the column counts bytes.
    Text {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
}

impl Personas {
    /// Reads a `personas.json`.
    ///
    /// # Errors
    /// When anything in it is wrong; the error lists every problem. JSON that cannot be read has only that problem.
    pub fn parse(json: &str) -> Result<Self, PersonasError> {
        match parse::survey(json) {
            (Some(personas), problems) if problems.is_empty() => Ok(personas),
            (_, problems) => Err(PersonasError { problems }),
        }
    }

    /// Reads as much of a `personas.json` as can be read, for tools that report on it: what a problem is about is
    /// missing, or wrong. To decide about access, use [`Self::parse`].
    #[must_use]
    pub fn survey(json: &str) -> (Option<Self>, Vec<Problem>) {
        parse::survey(json)
    }

    /// The group type of a request that names none.
    #[must_use]
    pub fn default_group_type(&self) -> &str {
        &self.default_group_type
    }

    /// The persona that `group_type` names: one of its group types, or its own name.
    #[must_use]
    pub fn persona_of(&self, group_type: &str) -> Option<&Persona> {
        self.all.iter().find(|persona| persona.group_types().any(|it| it == group_type))
    }

    /// The persona of that name.
    #[must_use]
    pub fn persona(&self, name: &str) -> Option<&Persona> {
        self.all.iter().find(|persona| persona.name == name)
    }

    /// Every group type that a request may name.
    pub fn group_types(&self) -> impl Iterator<Item = &str> {
        self.all.iter().flat_map(Persona::group_types)
    }

    /// The account of that id.
    #[must_use]
    pub fn account(&self, id: &AccountId) -> Option<&Account> {
        self.accounts.iter().find(|account| account.id == *id)
    }

    /// The account of that name.
    #[must_use]
    pub fn account_named(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name == name)
    }

    /// The environment of that name.
    #[must_use]
    pub fn environment(&self, name: &str) -> Option<&Environment> {
        self.environments.iter().find(|environment| environment.name == name)
    }

    /// The name of the Identity Center group whose members may be `persona` in `account`. The account need not be one
    /// of the file's: the name is part of the answer to a request, whatever is decided about it.
    #[must_use]
    pub fn group_name(&self, account: &AccountId, persona: &Persona) -> String {
        let pieces = self.group_name.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::AccountId => account.as_str(),
            Piece::Persona => &persona.name,
        });
        pieces.collect()
    }

    /// Whether `name` is what the pattern of group names makes of some account and some persona, known or not.
    #[must_use]
    pub fn is_group_name(&self, name: &str) -> bool {
        is_made_of(name, &self.group_name)
    }

    /// All personas, in the order of the file.
    #[must_use]
    pub fn personas(&self) -> &[Persona] {
        &self.all
    }

    /// All environments, in the order of the file.
    #[must_use]
    pub fn environments(&self) -> &[Environment] {
        &self.environments
    }

    /// All accounts, in the order of the file.
    #[must_use]
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }
}

/// A placeholder stands in a pattern once, so that this does not go astray in names that somebody makes up.
fn is_made_of(name: &str, pieces: &[Piece]) -> bool {
    let Some((piece, rest)) = pieces.split_first() else { return name.is_empty() };
    let mut splits = (0..=name.len()).filter_map(|end| name.split_at_checked(end));
    splits.any(|(text, after)| {
        let fits = match piece {
            Piece::Text(piece) => text == piece,
            Piece::AccountId => text.parse::<AccountId>().is_ok(),
            Piece::Persona => parse::is_name(text),
        };
        fits && is_made_of(after, rest)
    })
}

impl Persona {
    /// The name, which is also the last part of the names of its groups.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The policies that its deploy role gets in `environment`.
    #[must_use]
    pub fn entitlement(&self, environment: &Environment) -> &Entitlement {
        self.overrides.get(&environment.name).unwrap_or(&self.entitlement)
    }

    /// How long its deploy role may live: the lower cap of the persona and the environment, where one is known.
    #[must_use]
    pub fn max_role_ttl(&self, environment: Option<&Environment>) -> Duration {
        environment.map_or(self.max_role_ttl, |environment| self.max_role_ttl.min(environment.max_role_ttl))
    }

    fn group_types(&self) -> impl Iterator<Item = &str> {
        self.group_types.iter().chain([&self.name]).map(String::as_str)
    }
}

impl Entitlement {
    fn grants_something(&self) -> bool {
        let allows = |policy: &Policy| policy.statements().iter().any(|it| it.effect == Effect::Allow);
        !self.managed_policies.is_empty() || self.custom_policy.as_ref().is_some_and(allows)
    }
}

impl Environment {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether `branch` may deploy to the environment: one of the patterns matches all of it.
    #[must_use]
    pub fn allows_branch(&self, branch: &str) -> bool {
        self.branches.iter().any(|pattern| pattern.matches(branch))
    }

    /// The patterns of the branches that may deploy, for error texts.
    pub fn branch_patterns(&self) -> impl Iterator<Item = String> {
        self.branches.iter().map(WildMatch::to_string)
    }

    /// Whether whoever asks has to prove whose run it is, wherever an issuer is configured that could.
    #[must_use]
    pub fn requires_proof(&self) -> bool {
        self.requires_proof
    }

    /// Whether a run that is proven has to be of a ref that the issuer protects.
    #[must_use]
    pub fn requires_protected_ref(&self) -> bool {
        self.requires_protected_ref
    }

    /// How long a deploy role may live there, at most [`MAX_ROLE_TTL`].
    #[must_use]
    pub fn max_role_ttl(&self) -> Duration {
        self.max_role_ttl
    }
}

impl Account {
    /// The 12 digits.
    #[must_use]
    pub fn id(&self) -> &AccountId {
        &self.id
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What kind of account it is.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The repositories that may deploy there.
    #[must_use]
    pub fn repositories(&self) -> &[Repository] {
        &self.repositories
    }

    /// Whether the persona may have a deploy role in the account at all.
    #[must_use]
    pub fn is_open_to(&self, persona: &Persona) -> bool {
        self.personas.contains(&persona.name)
    }
}

impl fmt::Display for PersonasError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.at, self.message, self.remedy)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(path) => path.fmt(f),
            Self::Text { line, column } => write!(f, "line {line}, column {column}"),
        }
    }
}
