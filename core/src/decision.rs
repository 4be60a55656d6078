//! Whether a person gets a role: one decision with all its reasons, for the functions that take it and for the command that
//! explains it.
//!
//! The functions know more and more: they decide again with each answer of Identity Center, and end with the first refusal. The
//! command asks for everything, and shows every check.

use crate::{
    branch::is_branch,
    error::ErrorName,
    ids::{AccountId, Email},
    named,
    persona::{Account, OriginError, Persona, Personas},
    stage::Raises,
    text::Quoted,
};

/// Which persona is asked for.
#[derive(Clone, Copy, Debug)]
pub enum PersonaAsked<'a> {
    /// By a group type, as in a request; without one, the default of personas.json.
    GroupType(Option<&'a str>),
    /// By its name, as in a transaction.
    Name(&'a str),
}

/// Which account is asked for.
#[derive(Clone, Copy, Debug)]
pub enum AccountAsked<'a> {
    /// By its id, as in a transaction; the name is for the reason.
    Id(&'a AccountId, &'a str),
    /// By either.
    IdOrName(&'a str),
}

/// What is asked, and what is known of it. `None`: it is not known (yet).
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The person's address.
    pub email: &'a Email,
    pub persona: PersonaAsked<'a>,
    pub account: AccountAsked<'a>,
    pub branch: Option<&'a str>,
    /// Whether the run may deploy to the account: `Account::check_origin`.
    pub run: Option<Result<(), OriginError>>,
    /// Whether Identity Center has the user, and whether the user is enabled.
    pub user: Option<Option<bool>>,
    /// The persona's group of the account, if it is on record; else it follows from personas.json.
    pub group_name: Option<&'a str>,
    /// Whether Identity Center has that group.
    pub group: Option<bool>,
    /// Whether the user is a member of it.
    pub member: Option<bool>,
}

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The group type names a persona.
    Persona,
    /// The person is a user who may sign in.
    User,
    /// The account is known, and open to the persona.
    Account,
    /// The branch may deploy to the account's environment.
    Branch,
    /// The run may deploy to the account.
    Run,
    /// The person is a member of the persona's group of the account.
    Group,
}

/// What comes of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Yes,
    No(Refusal),
    /// It is not known.
    Unknown,
}

#[derive(Clone, Debug)]
pub struct Decision<'p> {
    /// The persona, if there is such a one.
    pub persona: Option<&'p Persona>,
    /// The account, if there is such a one.
    pub account: Option<&'p Account>,
    /// Its group for the persona, if there are both.
    pub group: Option<String>,
    /// In the order in which they count. What depends on a persona or an account that is not there is left out.
    pub checks: Vec<(Subject, Verdict)>,
}

impl Decision<'_> {
    /// The first refusal, as an error. What is not known yet is none.
    pub fn refused(&self) -> Result<(), Refusal> {
        let refusals = self.checks.iter().filter_map(|(_, verdict)| match verdict {
            Verdict::No(refusal) => Some(refusal.clone()),
            _ => None,
        });
        refusals.into_iter().next().map_or(Ok(()), Err)
    }

    /// That every check has passed: the person may have the role. What is not known passes no check.
    pub fn granted(&self) -> Result<(), Refusal> {
        self.refused()?;
        let undecided = self.checks.iter().find(|(_, verdict)| *verdict != Verdict::Yes);
        undecided.map_or(Ok(()), |(subject, _)| Err(Refusal::Undecided { subject: *subject }))
    }
}

/// Decides as far as the facts allow.
#[must_use]
pub fn decide<'p>(personas: &'p Personas, facts: &Facts<'_>) -> Decision<'p> {
    let known = |known: Option<bool>, refusal: Refusal| match known {
        Some(true) => Verdict::Yes,
        Some(false) => Verdict::No(refusal),
        None => Verdict::Unknown,
    };
    let verdict = |answer: Result<(), Refusal>| answer.map_or_else(Verdict::No, |()| Verdict::Yes);
    let persona = persona(personas, facts.persona);
    let account = account(personas, facts.account);
    let mut checks = vec![(Subject::Persona, verdict(persona.clone().map(drop)))];
    checks.push((Subject::User, facts.user.map_or(Verdict::Unknown, |user| verdict(check_user(facts.email, user)))));
    checks.push((
        Subject::Account,
        match (&account, &persona) {
            (Err(refusal), _) => Verdict::No(refusal.clone()),
            (Ok(account), Ok(persona)) => verdict(check_open(account, persona)),
            (Ok(_), Err(_)) => Verdict::Yes,
        },
    ));
    let (persona, account) = (persona.ok(), account.ok());
    if let Some(account) = account {
        let branch = facts.branch.map(|branch| check_branch(account, branch));
        checks.push((Subject::Branch, branch.map_or(Verdict::Unknown, verdict)));
        let run = facts.run.clone().map(|run| run.map_err(Refusal::Run));
        checks.push((Subject::Run, run.map_or(Verdict::Unknown, verdict)));
    }
    let group = account.zip(persona).map(|(account, persona)| {
        facts.group_name.map_or_else(|| personas.group_name(account.id(), persona), str::to_owned)
    });
    if let Some(group) = &group {
        let (group, email) = (group.clone(), facts.email.clone());
        let verdict = match facts.group {
            Some(false) => Verdict::No(Refusal::NoGroup { group, email }),
            _ => known(facts.member, Refusal::NotAMember { email, group }),
        };
        checks.push((Subject::Group, verdict));
    }
    Decision { persona, account, group, checks }
}

/// The persona that is asked for.
pub fn persona<'p>(personas: &'p Personas, asked: PersonaAsked<'_>) -> Result<&'p Persona, Refusal> {
    match asked {
        PersonaAsked::GroupType(group_type) => {
            let group_type = group_type.unwrap_or_else(|| personas.default_group_type());
            personas.persona_of(group_type).ok_or_else(|| Refusal::UnknownGroupType {
                group_type: group_type.to_owned(),
                known: personas.group_types().collect::<Vec<_>>().join(", "),
            })
        }
        PersonaAsked::Name(name) => {
            personas.persona(name).ok_or_else(|| Refusal::UnknownPersona { persona: name.to_owned() })
        }
    }
}

/// The account that is asked for.
pub fn account<'p>(personas: &'p Personas, asked: AccountAsked<'_>) -> Result<&'p Account, Refusal> {
    let (found, asked) = match asked {
        AccountAsked::Id(id, name) => (personas.account(id), format!("{id} ({})", Quoted(name))),
        AccountAsked::IdOrName(asked) => {
            let by_id = asked.parse().ok().and_then(|id: AccountId| personas.account(&id));
            (by_id.or_else(|| personas.account_named(asked)), Quoted(asked).to_string())
        }
    };
    found.ok_or(Refusal::UnknownAccount { asked })
}

/// Whether the person is a user who may sign in. `user`: whether the user is enabled, if there is one.
pub fn check_user(email: &Email, user: Option<bool>) -> Result<(), Refusal> {
    let email = email.clone();
    match user {
        Some(true) => Ok(()),
        Some(false) => Err(Refusal::UserDisabled { email }),
        None => Err(Refusal::UserNotFound { email }),
    }
}

fn check_open(account: &Account, persona: &Persona) -> Result<(), Refusal> {
    if account.is_open_to(persona) {
        return Ok(());
    }
    Err(Refusal::AccountNotOpen { account: account.name().to_owned(), persona: persona.name().to_owned() })
}

fn check_branch(account: &Account, branch: &str) -> Result<(), Refusal> {
    let (environment, branch) = (account.environment(), branch.to_owned());
    if !is_branch(&branch) {
        return Err(Refusal::NoBranch { branch });
    }
    if environment.allows_branch(&branch) {
        return Ok(());
    }
    let patterns = environment.branch_patterns().collect::<Vec<_>>().join(", ");
    Err(Refusal::Branch { branch, environment: environment.name().to_owned(), patterns })
}

/// Why the person does not get the role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The group type is none.
    #[error("unknown group type {}; use one of {known}", Quoted(.group_type))]
    UnknownGroupType {
        /// What was asked for.
        group_type: String,
        /// All that there are.
        known: String,
    },
    /// The persona is gone from personas.json since the request was validated.
    #[error(
        "persona {} no longer exists: personas.json has changed since the request was validated; request again",
        Quoted(.persona)
    )]
    UnknownPersona { persona: String },
    #[error(
        "no user of IAM Identity Center has the e-mail address `{email}`; send the one that the person signs in with, \
         spelled as it is there"
    )]
    UserNotFound { email: Email },
    /// The user may not sign in.
    #[error(
        "the user with the e-mail address `{email}` is disabled in IAM Identity Center; an administrator can enable it"
    )]
    UserDisabled { email: Email },
    /// The account is not in personas.json.
    #[error("unknown account {asked}; the platform team can add it to personas.json")]
    UnknownAccount {
        /// Its id or name.
        asked: String,
    },
    /// The account lists other personas.
    #[error("account `{account}` is not open to {persona}; the platform team can open it in personas.json")]
    AccountNotOpen { account: String, persona: String },
    /// It is no name of a branch.
    #[error("{} is not a valid name of a git branch; write it as git does, without refs/heads/", Quoted(.branch))]
    NoBranch {
        /// What was asked for.
        branch: String,
    },
    /// The environment has other branches.
    #[error("branch {} may not deploy to {environment}; its branches are {patterns}", Quoted(.branch))]
    Branch {
        branch: String,
        /// The account's environment.
        environment: String,
        /// The patterns of the branches that may.
        patterns: String,
    },
    /// The run is none that may deploy there.
    #[error(transparent)]
    Run(#[from] OriginError),
    /// Identity Center has no group of the name.
    #[error("group `{group}` does not exist in IAM Identity Center; an administrator can create it and add {email}")]
    NoGroup { group: String, email: Email },
    /// A fact is missing: a mistake in Daypass, which opens nothing.
    #[error("Daypass has not checked the {subject:?}; please report it")]
    Undecided { subject: Subject },
    /// The requester is not in the group.
    #[error("{email} is not a member of `{group}`; an administrator of that group in IAM Identity Center can add them")]
    NotAMember { email: Email, group: String },
}

named!(Refusal {
    Self::UnknownGroupType { .. }
    | Self::UnknownPersona { .. }
    | Self::NoBranch { .. }
    | Self::Undecided { .. } => InvalidRequest,
    Self::UserNotFound { .. } => UserNotFound,
    Self::UserDisabled { .. } => UserDisabled,
    Self::UnknownAccount { .. } | Self::AccountNotOpen { .. } => AccountNotAllowed,
    Self::Branch { .. } => BranchNotAllowed,
    Self::Run(_) => IdentityNotProven,
    Self::NoGroup { .. } | Self::NotAMember { .. } => NotAMember,
});

impl Refusal {
    /// The names of what [`check_user`] refuses.
    pub const OF_USER: [ErrorName; 2] = [ErrorName::UserNotFound, ErrorName::UserDisabled];

    /// The names of everything else.
    pub fn but_of_user() -> impl Iterator<Item = ErrorName> {
        Self::names().into_iter().filter(|name| !Self::OF_USER.contains(name))
    }
}
