//! Looks the requester up in IAM Identity Center, and holds the proof of whose run it is against them.

use aws_sdk_identitystore::Client;
use daypass::{
    contract::{AuthnInput, Person, UserAttribute, UserClaim},
    decision::{Refusal, check_user},
    error::ErrorName,
    ids::Email,
    named,
    stage::Stage,
    text::Quoted,
    timestamp::Timestamp,
};
use daypass_aws::AwsError;
use daypass_identity_center::{IdentityStore, User};

#[cfg(test)]
mod tests;

/// The task.
#[derive(Clone, Debug)]
pub struct Authn {
    store: IdentityStore,
}

impl Authn {
    /// A task for the identity store `identity_store_id` (`d-1234567890`), which `client` may read.
    #[must_use]
    pub fn new(client: Client, identity_store_id: String) -> Self {
        Self { store: IdentityStore::new(client, identity_store_id).for_many() }
    }
}

impl Stage for Authn {
    type Input = AuthnInput;
    type Output = Person;
    type Error = AuthnError;

    async fn run(&self, input: AuthnInput, _now: Timestamp) -> Result<Person, AuthnError> {
        let AuthnInput { transaction, proof } = input;
        let email = transaction.email;
        let user = self.store.user(email.as_str()).await?;
        check_user(&email, user.as_ref().map(|user| user.enabled))?;
        let user = user.unwrap_or_default();
        if let Some(proof) = proof.as_ref().filter(|proof| !is_of(&proof.user, &email, &user)) {
            return Err(AuthnError::OtherPerson { email, of_run: proof.user.clone() });
        }
        // The API calls the name optional; the address names them as well.
        let user_name = user.user_name.unwrap_or_else(|| email.to_string());
        Ok(Person { user_id: user.user_id, user_name, proof })
    }

    async fn warm_up(&self, _now: Timestamp) {
        let _ = self.store.user("nobody@example.com").await;
    }
}

/// Whether the run is the user's. Addresses, and names at GitHub and GitLab, are the same in whatever case.
fn is_of(run: &UserClaim, email: &Email, user: &User) -> bool {
    let is_value = |text: &str| text.eq_ignore_ascii_case(&run.value);
    match run.attribute {
        UserAttribute::Email => is_value(email.as_str()),
        UserAttribute::UserName => user.user_name.as_deref().is_some_and(is_value),
        UserAttribute::ProfileUrl => user.profile_url.as_deref().is_some_and(|url| is_value(url.trim_end_matches('/'))),
        UserAttribute::NickName => user.nick_name.as_deref().is_some_and(is_value),
        UserAttribute::ExternalId => user.external_ids.iter().any(|id| is_value(id)),
    }
}

/// What the attribute is called where it is kept.
const fn words(attribute: UserAttribute) -> &'static str {
    match attribute {
        UserAttribute::Email => "e-mail address",
        UserAttribute::UserName => "user name",
        UserAttribute::ProfileUrl => "profile URL",
        UserAttribute::NickName => "nickname",
        UserAttribute::ExternalId => "external id",
    }
}

/// Why nobody was found to give a role to.
#[derive(Debug, thiserror::Error)]
pub enum AuthnError {
    /// There is no such user, or none who may sign in.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The run is somebody else's.
    #[error(
        "the run was triggered by {} (`{}` of its identity token), who is not proven to be {email}: that user's {} in \
         IAM Identity Center has to be {}",
        Quoted(&.of_run.name), .of_run.claim, words(.of_run.attribute), Quoted(&.of_run.value)
    )]
    OtherPerson {
        email: Email,
        /// Whose run it is.
        of_run: UserClaim,
    },
    /// Identity Center did not answer, or with something else.
    #[error("{}", .0.told_in_hub())]
    Aws(#[from] AwsError),
}

named!(AuthnError {
    Self::Refused(refusal) => (refusal.name(), Refusal::OF_USER),
    Self::OtherPerson { .. } => IdentityNotProven,
    Self::Aws(error) => (error.name_in_hub(), ErrorName::OF_AWS_IN_HUB),
});
