//! Users of IAM Identity Center.

use aws_sdk_identitystore::{
    Client,
    operation::describe_user::DescribeUserOutput,
    types::{AlternateIdentifier, UniqueAttribute, UserStatus},
};
use daypass::lambda::AwsError;

/// As much of a user as is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The id in the identity store.
    pub user_id: String,
    /// Whether the user may sign in.
    pub enabled: bool,
    /// The sign-in name.
    pub user_name: Option<String>,
    /// The profile URL.
    pub profile_url: Option<String>,
    /// The nickname.
    pub nick_name: Option<String>,
    /// The ids that external identity providers have given to the user.
    pub external_ids: Vec<String>,
}

impl From<DescribeUserOutput> for User {
    fn from(user: DescribeUserOutput) -> Self {
        // The API calls the status optional. Whatever else it may say one day, it is not that the user may sign in.
        let enabled = matches!(user.user_status, None | Some(UserStatus::Enabled));
        let external_ids = user.external_ids.unwrap_or_default().into_iter().map(|it| it.id).collect();
        Self {
            user_id: user.user_id,
            enabled,
            user_name: user.user_name,
            profile_url: user.profile_url,
            nick_name: user.nick_name,
            external_ids,
        }
    }
}

/// The users of one identity store.
#[derive(Clone, Debug)]
pub struct Users {
    client: Client,
    identity_store_id: String,
}

impl Users {
    /// The users of the identity store `identity_store_id` (`d-1234567890`), which `client` may read.
    #[must_use]
    pub fn new(client: Client, identity_store_id: String) -> Self {
        Self { client, identity_store_id }
    }

    /// The user with this address; none when there is no such user.
    ///
    /// # Errors
    /// [`AwsError`] when Identity Center does not say.
    pub async fn find(&self, email: &str) -> Result<Option<User>, AwsError> {
        let Some(user_id) = self.id_of(email).await? else { return Ok(None) };
        let request = self.client.describe_user().identity_store_id(&self.identity_store_id).user_id(user_id);
        match request.send().await.map_err(AwsError::of("identitystore:DescribeUser")) {
            Ok(user) => Ok(Some(user.into())),
            // Deleted since the look-up.
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The id of the user with this address; none when there is no such user.
    async fn id_of(&self, email: &str) -> Result<Option<String>, AwsError> {
        // It can be built: both of its parts are there.
        let address =
            UniqueAttribute::builder().attribute_path("emails.value").attribute_value(email.into()).build().ok();
        let request = self.client.get_user_id().identity_store_id(&self.identity_store_id);
        let request = request.set_alternate_identifier(address.map(AlternateIdentifier::UniqueAttribute));
        match request.send().await.map_err(AwsError::of("identitystore:GetUserId")) {
            Ok(user) => Ok(Some(user.user_id)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Connects to the identity store before the first request needs it.
    pub async fn warm_up(&self) {
        let _ = self.id_of("nobody@example.com").await;
    }
}
