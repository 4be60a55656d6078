//! Decides whether the requester may have the persona in the account.
//!
//! What personas.json says is asked first, because it costs nothing: account, branch, and where the run comes from. Then
//! Identity Center is.

use aws_sdk_identitystore::Client;
use daypass::{
    contract::{Authorization, PersonInput, Proof, Transaction},
    error::ErrorName,
    identity_center::IdentityStore,
    ids::{AccountId, Email},
    lambda::AwsError,
    persona::{Environment, OriginError, Personas},
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
    ErrorName::IdentityNotProven,
    ErrorName::Throttled,
    ErrorName::AwsUnavailable,
    ErrorName::HubRefused,
];

/// The task.
#[derive(Clone, Debug)]
pub struct Authz {
    store: IdentityStore,
    personas: Personas,
}

impl Authz {
    /// A task for the identity store `identity_store_id` (`d-1234567890`), which `client` may read, and the personas
    /// that were deployed with it.
    #[must_use]
    pub fn new(client: Client, identity_store_id: String, personas: Personas) -> Self {
        Self { store: IdentityStore::new(client, identity_store_id), personas }
    }

    /// The environment that the transaction may deploy to, by what proves whose run it is, as far as personas.json says.
    fn environment(&self, transaction: &Transaction, proof: Option<&Proof>) -> Result<&Environment, AuthzError> {
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
        // Whether there has to be a proof, prove has decided.
        proof.map_or(Ok(()), |proof| account.check_origin(proof))?;
        Ok(environment)
    }
}

impl Stage for Authz {
    type Input = PersonInput;
    type Output = Authorization;
    type Error = AuthzError;

    async fn run(&self, input: PersonInput, _now: Timestamp) -> Result<Authorization, AuthzError> {
        let PersonInput { transaction, person } = input;
        let environment = self.environment(&transaction, person.proof.as_ref())?;
        let (email, group) = (transaction.email, transaction.group_name);
        let Some(group_id) = self.store.group_id(&group).await? else {
            return Err(AuthzError::NoGroup { group, email });
        };
        if !self.store.is_member(&person.user_id, &group_id).await? {
            return Err(AuthzError::NotAMember { email, group });
        }
        let (branch, environment) = (transaction.branch, environment.name());
        let reason = format!("{email} is a member of {group}, and {branch} may deploy to {environment}");
        Ok(Authorization { group_id, reason })
    }

    async fn warm_up(&self, _now: Timestamp) {
        let _ = self.store.group_id("daypass warms up").await;
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
    /// The run is none that may deploy there.
    #[error(transparent)]
    Origin(#[from] OriginError),
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
    #[error("{}", .0.told_in_hub())]
    Aws(#[from] AwsError),
}

impl Named for AuthzError {
    fn name(&self) -> ErrorName {
        match self {
            Self::UnknownPersona { .. } => ErrorName::InvalidRequest,
            Self::UnknownAccount { .. } | Self::AccountNotOpen { .. } => ErrorName::AccountNotAllowed,
            Self::Branch { .. } => ErrorName::BranchNotAllowed,
            Self::Origin(_) => ErrorName::IdentityNotProven,
            Self::NoGroup { .. } | Self::NotAMember { .. } => ErrorName::NotAMember,
            Self::Aws(error) => error.name_in_hub(),
        }
    }
}
