//! Decides whether the requester may have the persona in the account.
//!
//! What personas.json says is asked first, because it costs nothing: account, branch, and where the run comes from. Then
//! Identity Center is.

use aws_sdk_identitystore::Client;
use daypass::{
    contract::{Authorization, PersonInput},
    decision::{AccountAsked, Facts, PersonaAsked, Refusal, decide},
    error::ErrorName,
    named,
    persona::Personas,
    stage::Stage,
    timestamp::Timestamp,
};
use daypass_aws::AwsError;
use daypass_identity_center::IdentityStore;

#[cfg(test)]
mod tests;

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
        Self { store: IdentityStore::new(client, identity_store_id).for_many(), personas }
    }
}

impl Stage for Authz {
    type Input = PersonInput;
    type Output = Authorization;
    type Error = AuthzError;

    async fn run(&self, input: PersonInput, _now: Timestamp) -> Result<Authorization, AuthzError> {
        let PersonInput { transaction, person } = input;
        let mut facts = Facts {
            email: &transaction.email,
            persona: PersonaAsked::Name(&transaction.persona),
            account: AccountAsked::Id(&transaction.target_aws_account_id, &transaction.target_aws_account),
            branch: Some(&transaction.branch),
            run: None,
            // Authn has seen to it.
            user: Some(Some(true)),
            group_name: Some(&transaction.group_name),
            group: None,
            member: None,
        };
        // Whether there has to be a proof, prove has decided.
        facts.run = self
            .personas
            .account(&transaction.target_aws_account_id)
            .map(|account| person.proof.as_ref().map_or(Ok(()), |proof| account.check_origin(proof)));
        decide(&self.personas, &facts).refused()?;
        let (email, group) = (&transaction.email, &transaction.group_name);
        let group_id = self.store.group_id(group).await?;
        facts.group = Some(group_id.is_some());
        decide(&self.personas, &facts).refused()?;
        let group_id = group_id.unwrap_or_default();
        facts.member = Some(self.store.is_member(&person.user_id, &group_id).await?);
        decide(&self.personas, &facts).granted()?;
        let (branch, account) = (&transaction.branch, self.personas.account(&transaction.target_aws_account_id));
        let environment = account.map_or("", |account| account.environment().name());
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
    /// It is decided so.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Identity Center did not answer, or with something else.
    #[error("{}", .0.told_in_hub())]
    Aws(#[from] AwsError),
}

named!(AuthzError {
    Self::Refused(refusal) => (refusal.name(), Refusal::but_of_user()),
    Self::Aws(error) => (error.name_in_hub(), ErrorName::OF_AWS_IN_HUB),
});
