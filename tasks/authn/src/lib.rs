//! Looks the requester up in IAM Identity Center.

use aws_sdk_identitystore::{
    Client,
    types::{AlternateIdentifier, UniqueAttribute, UserStatus},
};
use daypass::{
    contract::{Person, TransactionInput},
    error::ErrorName,
    ids::Email,
    lambda::AwsError,
    stage::{Named, Stage},
    timestamp::Timestamp,
};

#[cfg(test)]
mod tests;

/// What authn can end with.
pub const RAISES: &[ErrorName] = &[
    ErrorName::InvalidRequest,
    ErrorName::UserNotFound,
    ErrorName::UserDisabled,
    ErrorName::Throttled,
    ErrorName::AwsUnavailable,
];

/// The task.
#[derive(Clone, Debug)]
pub struct Authn {
    client: Client,
    identity_store_id: String,
}

impl Authn {
    /// A task for the identity store `identity_store_id` (`d-1234567890`), which `client` may read.
    #[must_use]
    pub fn new(client: Client, identity_store_id: String) -> Self {
        Self { client, identity_store_id }
    }

    /// The id of the user with this address; none when there is no such user.
    async fn user_id(&self, email: &str) -> Result<Option<String>, AwsError> {
        // It can be built: both of its parts are there.
        let address =
            UniqueAttribute::builder().attribute_path("emails.value").attribute_value(email.into()).build().ok();
        let request = self.client.get_user_id().identity_store_id(&self.identity_store_id);
        let found = request.set_alternate_identifier(address.map(AlternateIdentifier::UniqueAttribute)).send().await;
        match found {
            Ok(user) => Ok(Some(user.user_id)),
            Err(error) => match AwsError::of("identitystore:GetUserId")(error) {
                error if error.is_not_found() => Ok(None),
                error => Err(error),
            },
        }
    }
}

impl Stage for Authn {
    type Input = TransactionInput;
    type Output = Person;
    type Error = AuthnError;

    async fn run(&self, input: TransactionInput, _now: Timestamp) -> Result<Person, AuthnError> {
        let email = input.transaction.email;
        let Some(user_id) = self.user_id(email.as_str()).await? else {
            return Err(AuthnError::UserNotFound { email });
        };
        let request = self.client.describe_user().identity_store_id(&self.identity_store_id).user_id(&user_id);
        let user = request.send().await.map_err(|error| match AwsError::of("identitystore:DescribeUser")(error) {
            // Deleted since the look-up.
            error if error.is_not_found() => AuthnError::UserNotFound { email: email.clone() },
            error => error.into(),
        })?;
        match user.user_status {
            // The API calls the status optional.
            None | Some(UserStatus::Enabled) => {
                // The API calls the name optional; the address names them as well.
                let user_name = user.user_name.unwrap_or_else(|| email.to_string());
                Ok(Person { user_id, user_name })
            }
            // Whatever else a status may say one day, it is not that the user may sign in.
            Some(_) => Err(AuthnError::UserDisabled { email }),
        }
    }

    async fn warm_up(&self) {
        let _ = self.user_id("nobody@example.com").await;
    }
}

/// Why nobody was found to give a role to.
#[derive(Debug, thiserror::Error)]
pub enum AuthnError {
    /// No user has the address.
    #[error(
        "no user of IAM Identity Center has the e-mail address `{email}`; send the one that the person signs in with, \
         spelled as it is there"
    )]
    UserNotFound {
        /// The address.
        email: Email,
    },
    /// The user may not sign in.
    #[error(
        "the user with the e-mail address `{email}` is disabled in IAM Identity Center; an administrator can enable it"
    )]
    UserDisabled {
        /// The address.
        email: Email,
    },
    /// Identity Center did not answer, or with something else.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

impl Named for AuthnError {
    fn name(&self) -> ErrorName {
        match self {
            Self::UserNotFound { .. } => ErrorName::UserNotFound,
            Self::UserDisabled { .. } => ErrorName::UserDisabled,
            Self::Aws(error) => error.name(),
        }
    }
}
