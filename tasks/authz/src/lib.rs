//! Decides whether the requester may have the persona in the account.
//!
//! What personas.json says is asked first, because it costs nothing; then Identity Center.

use aws_sdk_identitystore::{
    Client,
    types::{AlternateIdentifier, MemberId, UniqueAttribute},
};
use daypass::{
    contract::{Authorization, PersonInput, Transaction},
    error::ErrorName,
    ids::{AccountId, Email},
    lambda::AwsError,
    persona::{Environment, Personas},
    stage::{Named, Stage},
    text::Quoted,
    timestamp::Timestamp,
};

#[cfg(test)]
mod tests;

/// What authz can end with.
pub const RAISES: &[ErrorName] = &[
    ErrorName::InvalidRequest,
    ErrorName::NotAMember,
    ErrorName::AccountNotAllowed,
    ErrorName::BranchNotAllowed,
    ErrorName::Throttled,
    ErrorName::AwsUnavailable,
];

/// The task.
#[derive(Clone, Debug)]
pub struct Authz {
    client: Client,
    identity_store_id: String,
    personas: Personas,
}

impl Authz {
    /// A task for the identity store `identity_store_id` (`d-1234567890`), which `client` may read, and the personas
    /// that were deployed with it.
    #[must_use]
    pub fn new(client: Client, identity_store_id: String, personas: Personas) -> Self {
        Self { client, identity_store_id, personas }
    }

    /// The environment that the transaction may deploy to, as far as personas.json says.
    fn environment(&self, transaction: &Transaction) -> Result<&Environment, AuthzError> {
        let persona = self.personas.persona(&transaction.persona).ok_or_else(|| {
            let persona = transaction.persona.clone();
            AuthzError::UnknownPersona { persona }
        })?;
        let account = self.personas.account(&transaction.target_aws_account_id).ok_or_else(|| {
            let (id, name) = (transaction.target_aws_account_id.clone(), transaction.target_aws_account.clone());
            AuthzError::UnknownAccount { id, name }
        })?;
        if !account.is_open_to(persona) {
            let (account, persona) = (account.name().to_owned(), transaction.persona.clone());
            return Err(AuthzError::AccountNotOpen { account, persona });
        }
        let environment = account.environment();
        if !environment.allows_branch(&transaction.branch) {
            let (branch, environment_name) = (transaction.branch.clone(), environment.name().to_owned());
            let patterns = environment.branch_patterns().collect::<Vec<_>>().join(", ");
            return Err(AuthzError::Branch { branch, environment: environment_name, patterns });
        }
        Ok(environment)
    }

    /// The id of the group of this name; none when there is no such group.
    async fn group_id(&self, name: &str) -> Result<Option<String>, AwsError> {
        // It can be built: both of its parts are there.
        let name = UniqueAttribute::builder().attribute_path("displayName").attribute_value(name.into()).build().ok();
        let request = self.client.get_group_id().identity_store_id(&self.identity_store_id);
        let found = request.set_alternate_identifier(name.map(AlternateIdentifier::UniqueAttribute)).send().await;
        match found {
            Ok(group) => Ok(Some(group.group_id)),
            Err(error) => match AwsError::of("identitystore:GetGroupId")(error) {
                error if error.is_not_found() => Ok(None),
                error => Err(error),
            },
        }
    }

    async fn is_member(&self, user_id: &str, group_id: &str) -> Result<bool, AwsError> {
        let request = self.client.is_member_in_groups().identity_store_id(&self.identity_store_id);
        let answer = request.member_id(MemberId::UserId(user_id.to_owned())).group_ids(group_id).send().await;
        let answer = answer.map_err(AwsError::of("identitystore:IsMemberInGroups"))?;
        Ok(answer.results.iter().any(|it| it.group_id.as_deref() == Some(group_id) && it.membership_exists))
    }
}

impl Stage for Authz {
    type Input = PersonInput;
    type Output = Authorization;
    type Error = AuthzError;

    async fn run(&self, input: PersonInput, _now: Timestamp) -> Result<Authorization, AuthzError> {
        let PersonInput { transaction, person } = input;
        let environment = self.environment(&transaction)?;
        let (email, group) = (transaction.email, transaction.group_name);
        let Some(group_id) = self.group_id(&group).await? else {
            return Err(AuthzError::NoGroup { group, email });
        };
        if !self.is_member(&person.user_id, &group_id).await? {
            return Err(AuthzError::NotAMember { email, group });
        }
        let (branch, environment) = (transaction.branch, environment.name());
        let reason = format!("{email} is a member of {group}, and {branch} may deploy to {environment}");
        Ok(Authorization { group_id, reason })
    }

    async fn warm_up(&self, _now: Timestamp) {
        let _ = self.group_id("daypass warms up").await;
    }
}

/// Why the requester does not get the role.
#[derive(Debug, thiserror::Error)]
pub enum AuthzError {
    /// The persona is gone from personas.json since the request was validated.
    #[error("there is no persona {} any more; personas.json was changed meanwhile: start again", Quoted(.persona))]
    UnknownPersona {
        /// The persona.
        persona: String,
    },
    /// The account is not in personas.json.
    #[error(
        "account {id} ({}) is none that Daypass deploys to; whoever keeps personas.json can add it",
        Quoted(.name)
    )]
    UnknownAccount {
        /// The account.
        id: AccountId,
        /// What the request calls it.
        name: String,
    },
    /// The account lists other personas.
    #[error("account `{account}` is not open to {persona}; whoever keeps personas.json can open it")]
    AccountNotOpen {
        /// The account's name.
        account: String,
        /// The persona.
        persona: String,
    },
    /// The environment has other branches.
    #[error("branch {} may not deploy to {environment}; its branches are {patterns}", Quoted(.branch))]
    Branch {
        /// The branch.
        branch: String,
        /// The account's environment.
        environment: String,
        /// The patterns of the branches that may.
        patterns: String,
    },
    /// Identity Center has no group of the name.
    #[error("there is no group `{group}` in IAM Identity Center; it has to be there, with {email} in it")]
    NoGroup {
        /// The group.
        group: String,
        /// The requester.
        email: Email,
    },
    /// The requester is not in the group.
    #[error("{email} is not a member of `{group}`; whoever manages that group in IAM Identity Center can add them")]
    NotAMember {
        /// The requester.
        email: Email,
        /// The group.
        group: String,
    },
    /// Identity Center did not answer, or with something else.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

impl Named for AuthzError {
    fn name(&self) -> ErrorName {
        match self {
            Self::UnknownPersona { .. } => ErrorName::InvalidRequest,
            Self::UnknownAccount { .. } | Self::AccountNotOpen { .. } => ErrorName::AccountNotAllowed,
            Self::Branch { .. } => ErrorName::BranchNotAllowed,
            Self::NoGroup { .. } | Self::NotAMember { .. } => ErrorName::NotAMember,
            Self::Aws(error) => error.name(),
        }
    }
}
