//! What a person would get in an account, step by step.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
    time::Duration,
};

use daypass::{
    contract::in_hours,
    decision::{AccountAsked, Decision, Facts, PersonaAsked, Subject, Verdict, decide},
    error::ErrorName,
    ids::{AccountId, Email},
    issuer::Provider,
    names::BOUNDARY_POLICY,
    persona::{Account, DEFAULT_ROLE_TTL, Entitlement, Origin, OriginError, Persona, Personas, Repository},
    policy::{Effect, OneOrMany, Policy, Statement},
    stage::Named,
    text::{Quoted, plain},
};
use daypass_aws::AwsError;
use daypass_identity_center::{IdentityStore, User};
use daypass_policies::{
    methods::METHODS,
    rights::{Outcome, Rights},
};
use serde::Serialize;
use serde_json::Value;

use crate::error::in_one_line;

/// Who would ask for what.
#[derive(Clone, Debug)]
pub struct Question {
    pub email: Email,
    /// The account's name or id.
    pub account: String,
    /// The persona, by a group type.
    pub group_type: Option<String>,
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
    pub repository_id: Option<String>,
    /// The repository, by name.
    pub repository: Option<String>,
}

/// Where to look up people and their groups.
pub enum Directory {
    /// Here.
    Known(IdentityStore),
    /// Nobody said where.
    NotNamed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    Yes,
    No,
    /// It could not be checked.
    Unknown,
}

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
    pub async fn of(question: Question, personas: &Personas, directory: &Directory) -> Self {
        let mut facts = Facts {
            email: &question.email,
            persona: PersonaAsked::GroupType(question.group_type.as_deref()),
            account: AccountAsked::IdOrName(&question.account),
            branch: question.branch.as_deref(),
            run: None,
            user: None,
            group_name: None,
            group: None,
            member: None,
        };
        // Which group is meant follows from the file.
        let Decision { group, account, .. } = decide(personas, &facts);
        let run = account.map(|account| run_of(&question, account));
        facts.run = run.as_ref().and_then(|run| run.verdict.clone());
        let lookup = Lookup::ask(directory, &question.email, group.as_deref()).await;
        facts.user = lookup.user.as_ref().ok().map(|user| user.as_ref().map(|user| user.enabled));
        (facts.group, facts.member) = (lookup.group, lookup.member);
        let Decision { persona, account, group, checks } = decide(personas, &facts);
        let told = Told { question: &question, personas, persona, account, run: run.as_ref(), lookup: &lookup };
        let steps: Vec<_> = checks.into_iter().map(|(subject, verdict)| told.step(subject, verdict)).collect();
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
            account: account.map(|account| AccountOf {
                id: account.id().clone(),
                name: account.name().to_owned(),
                environment: account.environment().name().to_owned(),
            }),
            persona: persona.map(|persona| persona.name().to_owned()),
            group,
            steps,
            role: account.zip(persona).map(|(account, persona)| Role::of(persona, account)),
            email: question.email,
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

/// What the identity store says; else why it does not.
struct Lookup {
    user: Result<Option<User>, String>,
    group: Option<bool>,
    member: Option<bool>,
    /// Why it is not known whether the person is in the group.
    not_known: String,
}

impl Lookup {
    /// The user is looked up whatever else is wrong.
    async fn ask(directory: &Directory, email: &Email, group: Option<&str>) -> Self {
        let nothing = |user, not_known| Self { user, group: None, member: None, not_known };
        let Directory::Known(store) = directory else {
            let user = "not checked: no identity store was named; use --identity-store-id".to_owned();
            let group = format!("not checked: whether the person is in `{}`", group.unwrap_or_default());
            return nothing(Err(user), group);
        };
        let user = store.user(email.as_str()).await.map_err(|error| not_checked(&error));
        let Some(group) = group else { return nothing(user, String::new()) };
        let group_id = match store.group_id(group).await {
            Ok(Some(id)) => id,
            Ok(None) => return Self { group: Some(false), ..nothing(user, String::new()) },
            Err(error) => return nothing(user, not_checked(&error)),
        };
        let Ok(Some(found)) = &user else {
            let nobody = format!("group `{group}` exists; the membership was not checked, because the user is unknown");
            return Self { group: Some(true), ..nothing(user, nobody) };
        };
        match store.is_member(&found.user_id, &group_id).await {
            Ok(member) => Self { group: Some(true), member: Some(member), ..nothing(user, String::new()) },
            Err(error) => nothing(user, not_checked(&error)),
        }
    }
}

/// What there is to say of each check.
struct Told<'a> {
    question: &'a Question,
    personas: &'a Personas,
    persona: Option<&'a Persona>,
    account: Option<&'a Account>,
    run: Option<&'a RunJudged>,
    lookup: &'a Lookup,
}

impl Told<'_> {
    fn step(&self, subject: Subject, verdict: Verdict) -> Step {
        let name = name_of(subject);
        match verdict {
            Verdict::No(refusal) => Step::no(name, refusal.name(), refusal.to_string()),
            Verdict::Yes => Step::yes(name, self.yes(subject)),
            // That there is no branch to check is no doubt where any may deploy.
            Verdict::Unknown if subject == Subject::Branch && self.any_branch_may() => {
                Step::yes(name, format!("any branch may deploy to {}", self.environment()))
            }
            Verdict::Unknown => Step::unknown(name, self.unknown(subject)),
        }
    }

    fn environment(&self) -> &str {
        self.account.map_or("", |account| account.environment().name())
    }

    fn patterns(&self) -> Vec<String> {
        self.account.map_or_else(Vec::new, |account| account.environment().branch_patterns().collect())
    }

    fn any_branch_may(&self) -> bool {
        self.patterns().iter().any(|pattern| pattern == "*")
    }

    fn yes(&self, subject: Subject) -> String {
        let Question { email, group_type, branch, .. } = self.question;
        let persona = self.persona.map_or("", Persona::name);
        match subject {
            Subject::Persona => {
                let (group_type, origin) = match group_type {
                    Some(group_type) => (group_type.as_str(), ""),
                    None => (self.personas.default_group_type(), ", the default group type,"),
                };
                format!("{}{origin} names {persona}", Quoted(group_type))
            }
            Subject::User => {
                let user = self.lookup.user.as_ref().ok().and_then(Option::as_ref);
                let name = user.and_then(|user| user.user_name.as_deref()).unwrap_or(email.as_str());
                format!("Identity Center has {email}: the user {}, enabled", Quoted(name))
            }
            Subject::Account => {
                let named = self.account.map_or_else(String::new, |account| {
                    format!("{} ({}, {})", Quoted(account.name()), account.id(), account.environment().name())
                });
                match self.persona {
                    Some(_) => format!("{named} is open to {persona}"),
                    None => format!("{named} is an account of the file"),
                }
            }
            Subject::Branch => {
                let (branch, patterns) = (Quoted(branch.as_deref().unwrap_or_default()), self.patterns().join(", "));
                format!("{branch} may deploy to {}, as {patterns} may", self.environment())
            }
            Subject::Run => self.run.map_or_else(String::new, |run| run.because.clone()),
            Subject::Group => {
                let group = self.account.zip(self.persona);
                let group = group.map(|(account, persona)| self.personas.group_name(account.id(), persona));
                format!("the person is a member of `{}`", group.unwrap_or_default())
            }
        }
    }

    fn unknown(&self, subject: Subject) -> String {
        match subject {
            Subject::User => self.lookup.user.as_ref().err().cloned().unwrap_or_default(),
            Subject::Branch => {
                format!(
                    "not checked: {} may deploy to {}; use --branch",
                    self.patterns().join(", "),
                    self.environment()
                )
            }
            Subject::Run => self.run.map_or_else(String::new, |run| run.because.clone()),
            Subject::Group => self.lookup.not_known.clone(),
            Subject::Persona | Subject::Account => String::new(),
        }
    }
}

fn name_of(subject: Subject) -> &'static str {
    match subject {
        Subject::Persona => "persona",
        Subject::User => "user",
        Subject::Account => "account",
        Subject::Branch => "branch",
        Subject::Run => "run",
        Subject::Group => "group",
    }
}

/// Whether a run may deploy to an account, if that is known, and why.
struct RunJudged {
    verdict: Option<Result<(), OriginError>>,
    because: String,
}

/// From where the account is deployed to, and whether the run comes from there.
fn run_of(question: &Question, account: &Account) -> RunJudged {
    let (repositories, rule) = (account.repositories(), rule_for_runs(account));
    let Some(run) = &question.run else {
        // A run of whichever repository: the account may be deployed to from none.
        let none = repositories.is_empty() && account.environment().requires_proof();
        let nobody =
            OriginError::NoRepositories { account: account.name().to_owned(), repository: "none is named".to_owned() };
        return RunJudged { verdict: Some(if none { Err(nobody) } else { Ok(()) }), because: rule };
    };
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
        let because = format!("a run of this repository may deploy: {rule}");
        return RunJudged { verdict: Some(Ok(())), because };
    }
    let by_id = of_its_kind().any(|it| it.id().is_some());
    let by_name = of_its_kind().any(|it| it.id().is_none());
    let missing = match run {
        Run { repository_id: None, .. } if by_id => Some("--repository-id"),
        Run { repository: None, .. } if by_name => Some("--repository"),
        _ => None,
    };
    match (missing, judged.into_iter().find_map(Result::err)) {
        (Some(option), _) => RunJudged { verdict: None, because: format!("not checked: {rule}; use {option}") },
        (None, error) => RunJudged { verdict: error.map(Err), because: rule },
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
            permissions_boundary: BOUNDARY_POLICY,
            risky_actions,
            escalation_methods,
        }
    }
}

fn risks(entitlement: &Entitlement, account: &str) -> (RiskyActions, Vec<String>) {
    let rights = Rights::of(entitlement, account);
    // An action can be in several steps, on other resources: what is possible in one of them is possible.
    let mut outcomes = BTreeMap::new();
    for step in METHODS.iter().flat_map(|method| &method.steps) {
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
    let working = METHODS.iter().filter(|method| rights.way(method).is_some());
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
            "Of the {total} actions that known ways to more rights are made of, it may use {}; the boundary takes {} \
             away, and its policies do not allow the other {} (`--output json` lists them).",
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
