//! What a person would get in an account, step by step.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
    time::Duration,
};

use daypass::{
    branch::is_branch,
    contract::in_hours,
    error::ErrorName,
    identity_center::IdentityStore,
    ids::{AccountId, BOUNDARY_POLICY_NAME, Email},
    issuer::Provider,
    lambda::AwsError,
    persona::{Account, DEFAULT_ROLE_TTL, Entitlement, Environment, Origin, Persona, Personas, Repository},
    policy::{Effect, OneOrMany, Policy, Statement},
    text::{Quoted, plain},
};
use serde::Serialize;
use serde_json::Value;

use super::policies::{self, Outcome, Rights};
use crate::error::in_one_line;

/// Who would ask for what.
#[derive(Clone, Debug)]
pub struct Question {
    /// The person.
    pub email: Email,
    /// The account's name or id.
    pub account: String,
    /// The persona, by a group type.
    pub group_type: Option<String>,
    /// The branch.
    pub branch: Option<String>,
    /// The run; without one, any that may is meant.
    pub run: Option<Run>,
}

/// Where a run comes from, as its identity token would say.
#[derive(Clone, Debug)]
pub struct Run {
    /// The kind of its issuer.
    pub provider: Provider,
    /// The issuer's URL; without one, each that the account's repositories name is meant.
    pub issuer: Option<String>,
    /// The repository, by id.
    pub repository_id: Option<String>,
    /// The repository, by name.
    pub repository: Option<String>,
}

/// Where to ask about people.
pub enum Store {
    /// Here.
    Known(IdentityStore),
    /// Nobody said where.
    NotNamed,
}

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// It is so.
    Yes,
    /// It is not so.
    No,
    /// It could not be checked.
    Unknown,
}

/// The whole answer.
#[derive(Serialize)]
pub struct Explanation {
    answer: Answer,
    /// The name of the denial that a pipeline would see; there when the answer is no.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    email: Email,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountOf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    persona: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// In the order in which the machine decides.
    steps: Vec<Step>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
}

#[derive(Serialize)]
struct AccountOf {
    id: AccountId,
    name: String,
    environment: String,
}

/// One thing that has to be so.
#[derive(Serialize)]
struct Step {
    #[serde(rename = "step")]
    name: &'static str,
    answer: Answer,
    because: String,
    #[serde(skip)]
    error: Option<ErrorName>,
}

/// The deploy role that the persona would have there.
#[derive(Serialize)]
struct Role {
    default_role_ttl_hours: f64,
    max_role_ttl_hours: f64,
    managed_policies: Vec<String>,
    custom_policy: Vec<Statement>,
    permissions_boundary: &'static str,
    risky_actions: RiskyActions,
    escalation_methods: Vec<String>,
}

/// What becomes of the actions that the known ways to more rights are made of.
#[derive(Default, Serialize)]
struct RiskyActions {
    possible: Vec<String>,
    taken_by_boundary: Vec<String>,
    not_granted: Vec<String>,
}

impl Explanation {
    /// Asks the file and, as far as there is one, the identity store.
    pub async fn of(question: Question, personas: &Personas, store: &Store) -> Self {
        let mut steps = Vec::new();
        let persona = persona_of(&question, personas, &mut steps);
        let user = user_of(&question, store, &mut steps).await;
        let account = account_of(&question, persona, personas, &mut steps);
        if let Some(account) = account {
            steps.push(branch_of(&question, account.environment()));
            steps.push(run_of(&question, account));
        }
        let group = account.zip(persona).map(|(account, persona)| personas.group_name(account.id(), persona));
        if let Some(group) = &group {
            steps.push(membership_of(user.as_deref(), group, store).await);
        }
        let answers = || steps.iter().map(|step| step.answer);
        let answer = match answers().find(|answer| *answer == Answer::No) {
            Some(no) => no,
            None => answers().find(|answer| *answer == Answer::Unknown).unwrap_or(Answer::Yes),
        };
        // A request that is wrong in itself comes to nobody's door.
        let denials = steps.iter().filter_map(|step| step.error);
        let denial = denials.min_by_key(|error| *error != ErrorName::InvalidRequest);
        Self {
            answer,
            error: denial.map(ErrorName::as_str),
            email: question.email,
            account: account.map(|account| AccountOf {
                id: account.id().clone(),
                name: account.name().to_owned(),
                environment: account.environment().name().to_owned(),
            }),
            persona: persona.map(|persona| persona.name().to_owned()),
            group,
            steps,
            role: account.zip(persona).map(|(account, persona)| Role::of(persona, account)),
        }
    }

    /// Whether a role would be granted.
    pub fn answer(&self) -> Answer {
        self.answer
    }

    /// One object, for programs.
    pub fn json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

fn persona_of<'p>(question: &Question, personas: &'p Personas, steps: &mut Vec<Step>) -> Option<&'p Persona> {
    let (group_type, origin) = match &question.group_type {
        Some(group_type) => (group_type.as_str(), ""),
        None => (personas.default_group_type(), ", the default group type,"),
    };
    let persona = personas.persona_of(group_type);
    steps.push(if let Some(persona) = persona {
        Step::yes("persona", format!("{}{origin} names {}", Quoted(group_type), persona.name()))
    } else {
        let known: Vec<&str> = personas.group_types().collect();
        let because = format!("{} is no group type; there are {}", Quoted(group_type), known.join(", "));
        Step::no("persona", ErrorName::InvalidRequest, because)
    });
    persona
}

/// The id of the user, who is looked up whatever else is wrong.
async fn user_of(question: &Question, store: &Store, steps: &mut Vec<Step>) -> Option<String> {
    let email = question.email.as_str();
    let Store::Known(store) = store else {
        let because = "not checked: no identity store was named; use --identity-store-id".to_owned();
        steps.push(Step::unknown("user", because));
        return None;
    };
    match store.user(email).await {
        Ok(Some(user)) => {
            steps.push(if user.enabled {
                let name = user.user_name.as_deref().unwrap_or(email);
                Step::yes("user", format!("Identity Center has {email}: the user {}, enabled", Quoted(name)))
            } else {
                let because = format!("the user with the address {email} is disabled in Identity Center");
                Step::no("user", ErrorName::UserDisabled, because)
            });
            Some(user.user_id)
        }
        Ok(None) => {
            let because = format!("no user of Identity Center has the address {email}, spelled like that");
            steps.push(Step::no("user", ErrorName::UserNotFound, because));
            None
        }
        Err(error) => {
            steps.push(Step::unknown("user", not_checked(&error)));
            None
        }
    }
}

fn account_of<'p>(
    question: &Question,
    persona: Option<&Persona>,
    personas: &'p Personas,
    steps: &mut Vec<Step>,
) -> Option<&'p Account> {
    let asked = question.account.as_str();
    let by_id = asked.parse().ok().and_then(|id: AccountId| personas.account(&id));
    let Some(account) = by_id.or_else(|| personas.account_named(asked)) else {
        let because = format!("{} is neither the id nor the name of an account of the file", Quoted(asked));
        steps.push(Step::no("account", ErrorName::AccountNotAllowed, because));
        return None;
    };
    let (id, name, environment) = (account.id(), Quoted(account.name()), account.environment().name());
    let account_in_words = format!("{name} ({id}, {environment})");
    steps.push(match persona {
        None => Step::yes("account", format!("{account_in_words} is an account of the file")),
        Some(persona) if account.is_open_to(persona) => {
            Step::yes("account", format!("{account_in_words} is open to {}", persona.name()))
        }
        Some(persona) => {
            let because = format!("{account_in_words} is not open to {}", persona.name());
            Step::no("account", ErrorName::AccountNotAllowed, because)
        }
    });
    Some(account)
}

fn branch_of(question: &Question, environment: &Environment) -> Step {
    let name = environment.name();
    let patterns = environment.branch_patterns().collect::<Vec<_>>().join(", ");
    match question.branch.as_deref() {
        None if environment.branch_patterns().any(|pattern| pattern == "*") => {
            Step::yes("branch", format!("any branch may deploy to {name}"))
        }
        None => Step::unknown("branch", format!("not checked: {patterns} may deploy to {name}; use --branch")),
        Some(branch) if !is_branch(branch) => {
            let because = format!("{} is no name of a git branch; it is written without refs/heads/", Quoted(branch));
            Step::no("branch", ErrorName::InvalidRequest, because)
        }
        Some(branch) if environment.allows_branch(branch) => {
            Step::yes("branch", format!("{} may deploy to {name}, as {patterns} may", Quoted(branch)))
        }
        Some(branch) => {
            let because = format!("{} may not deploy to {name}; its branches are {patterns}", Quoted(branch));
            Step::no("branch", ErrorName::BranchNotAllowed, because)
        }
    }
}

/// From where the account is deployed to, and whether the run comes from there.
fn run_of(question: &Question, account: &Account) -> Step {
    let (repositories, rule) = (account.repositories(), rule_for_runs(account));
    if repositories.is_empty() && account.environment().requires_proof() {
        return Step::no("run", ErrorName::IdentityNotProven, rule);
    }
    let Some(run) = &question.run else { return Step::yes("run", rule) };
    let of_its_kind = || repositories.iter().filter(|it| it.provider() == run.provider);
    let issuers: Vec<&str> = match &run.issuer {
        Some(issuer) => vec![issuer],
        // One that no repository names stands for all others.
        None => of_its_kind().filter_map(Repository::issuer).chain([""]).collect(),
    };
    let judged = issuers.into_iter().map(|issuer| {
        account.check_origin(Origin {
            issuer,
            provider: Some(run.provider),
            repository_id: run.repository_id.as_deref(),
            repository: run.repository.as_deref(),
            // That it has to be, the rule says.
            ref_protected: Some(true),
        })
    });
    let judged: Vec<_> = judged.collect();
    if judged.iter().any(Result::is_ok) {
        return Step::yes("run", format!("a run of this repository may deploy: {rule}"));
    }
    let by_id = of_its_kind().any(|it| it.id().is_some());
    let by_name = of_its_kind().any(|it| it.id().is_none());
    let missing = match run {
        Run { repository_id: None, .. } if by_id => Some("--repository-id"),
        Run { repository: None, .. } if by_name => Some("--repository"),
        _ => None,
    };
    match (missing, judged.into_iter().find_map(Result::err)) {
        (Some(option), _) => Step::unknown("run", format!("not checked: {rule}; use {option}")),
        (None, error) => Step::no("run", ErrorName::IdentityNotProven, error.map_or(rule, |error| error.to_string())),
    }
}

/// Which runs may deploy to the account.
fn rule_for_runs(account: &Account) -> String {
    let (environment, repositories) = (account.environment(), account.repositories());
    let name = environment.name();
    if repositories.is_empty() && environment.requires_proof() {
        let account = Quoted(account.name());
        return format!(
            "{name} requires an identity token, and {account} lists no `repositories`: no run may deploy to it"
        );
    }
    let listed = repositories.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    let of = if repositories.is_empty() { String::new() } else { format!(" of {listed}") };
    let on = if environment.requires_protected_ref() { " on a protected ref" } else { "" };
    if environment.requires_proof() {
        format!("{name} requires the identity token of a run{of}{on}")
    } else if of.is_empty() && on.is_empty() {
        format!("{name} requires no identity token, and takes one of any run")
    } else {
        format!("{name} requires no identity token; one that is sent has to be of a run{of}{on}")
    }
}

async fn membership_of(user: Option<&str>, group: &str, store: &Store) -> Step {
    let Store::Known(store) = store else {
        return Step::unknown("group", format!("not checked: whether the person is in `{group}`"));
    };
    let group_id = match store.group_id(group).await {
        Ok(Some(id)) => id,
        Ok(None) => {
            return Step::no("group", ErrorName::NotAMember, format!("Identity Center has no group `{group}`"));
        }
        Err(error) => return Step::unknown("group", not_checked(&error)),
    };
    let Some(user) = user else {
        return Step::unknown("group", format!("there is a group `{group}`, but nobody to look for in it"));
    };
    match store.is_member(user, &group_id).await {
        Ok(true) => Step::yes("group", format!("the person is a member of `{group}`")),
        Ok(false) => Step::no("group", ErrorName::NotAMember, format!("the person is no member of `{group}`")),
        Err(error) => Step::unknown("group", not_checked(&error)),
    }
}

fn not_checked(error: &AwsError) -> String {
    format!("not checked: {}", in_one_line(&error.to_string()))
}

impl Step {
    fn yes(name: &'static str, because: String) -> Self {
        Self { name, answer: Answer::Yes, because, error: None }
    }

    fn no(name: &'static str, error: ErrorName, because: String) -> Self {
        Self { name, answer: Answer::No, because, error: Some(error) }
    }

    fn unknown(name: &'static str, because: String) -> Self {
        Self { name, answer: Answer::Unknown, because, error: None }
    }
}

impl Role {
    fn of(persona: &Persona, account: &Account) -> Self {
        let environment = account.environment();
        let entitlement = persona.entitlement(environment);
        let (risky_actions, escalation_methods) = risks(entitlement, account.id().as_str());
        let cap: Duration = persona.max_role_ttl(Some(environment));
        Self {
            default_role_ttl_hours: in_hours(DEFAULT_ROLE_TTL.min(cap)),
            max_role_ttl_hours: in_hours(cap),
            managed_policies: entitlement.managed_policies.clone(),
            custom_policy: entitlement.custom_policy.as_ref().map(Policy::statements).unwrap_or_default().to_vec(),
            permissions_boundary: BOUNDARY_POLICY_NAME,
            risky_actions,
            escalation_methods,
        }
    }
}

fn risks(entitlement: &Entitlement, account: &str) -> (RiskyActions, Vec<String>) {
    let rights = Rights::of(entitlement, account);
    let methods = policies::methods();
    // An action can be in several steps, on other resources: what is possible in one of them is possible.
    let mut outcomes = BTreeMap::new();
    for step in methods.iter().flat_map(|method| &method.steps) {
        let outcome = rights.outcome(step);
        let most = outcomes.entry(step.action.clone()).or_insert(outcome);
        *most = outcome.max(*most);
    }
    let mut actions = RiskyActions::default();
    for (action, outcome) in outcomes {
        match outcome {
            Outcome::Possible => actions.possible.push(action),
            Outcome::Taken => actions.taken_by_boundary.push(action),
            Outcome::NotGranted => actions.not_granted.push(action),
        }
    }
    let working = methods.iter().filter(|method| rights.way(method).is_some());
    (actions, working.map(|method| method.id.clone()).collect())
}

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for Step { name, answer, because, .. } in &self.steps {
            writeln!(f, "{:<4} {name:<8} {}", answer.word(), plain(because))?;
        }
        let role = match (&self.persona, &self.account) {
            (Some(persona), Some(account)) => format!("a role as {persona} in {}", Quoted(&account.name)),
            _ => "a role".to_owned(),
        };
        let email = &self.email;
        match self.answer {
            Answer::Yes => writeln!(f, "\n{email} would get {role}.")?,
            Answer::No => writeln!(f, "\n{email} would not get {role}: {}.", self.error.unwrap_or_default())?,
            Answer::Unknown => {
                writeln!(f, "\n{email} may get {role}: nothing denies it, but not everything was checked.")?;
            }
        }
        self.role.as_ref().map_or(Ok(()), |role| write!(f, "\n{role}"))
    }
}

impl Answer {
    fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "?",
        }
    }
}

impl Display for Role {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (default, most) = (self.default_role_ttl_hours, self.max_role_ttl_hours);
        writeln!(f, "Such a role lives {default} hours if the request does not say, and {most} at most.")?;
        writeln!(f, "Within the permissions boundary `{}`, it may do what these say:", self.permissions_boundary)?;
        for arn in &self.managed_policies {
            writeln!(f, "  {arn}")?;
        }
        for statement in &self.custom_policy {
            writeln!(f, "  {}", plain(&in_words(statement)))?;
        }
        let RiskyActions { possible, taken_by_boundary, not_granted } = &self.risky_actions;
        let total = possible.len() + taken_by_boundary.len() + not_granted.len();
        writeln!(
            f,
            "Of the {total} actions that known ways to more rights are made of, it may use {}; the boundary takes {} away, and \
             its policies do not allow the other {} (`--output json` lists them).",
            possible.len(),
            taken_by_boundary.len(),
            not_granted.len()
        )?;
        writeln!(f, "Ways that are open to it: {}.", list(&self.escalation_methods))
    }
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

fn in_words(statement: &Statement) -> String {
    let Statement { sid, effect, action, not_action, resource, not_resource, condition, .. } = statement;
    let effect = match effect {
        Effect::Allow => "allow",
        Effect::Deny => "deny",
    };
    let either = |yes: &Option<OneOrMany>, not: &Option<OneOrMany>| match (yes, not) {
        (Some(yes), _) => list(yes.as_slice()),
        (None, not) => {
            format!("all but {}", list(not.as_ref().map(OneOrMany::as_slice).unwrap_or_default()))
        }
    };
    let (what, on) = (either(action, not_action), either(resource, not_resource));
    let name = sid.as_ref().map_or_else(String::new, |sid| format!(" {sid}"));
    let when = if condition.is_empty() { "" } else { ", under conditions" };
    format!("{effect}{name}: {what} on {on}{when}")
}

#[cfg(test)]
mod tests;
