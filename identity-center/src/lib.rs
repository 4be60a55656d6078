//! What IAM Identity Center knows of people and groups.

use aws_sdk_identitystore::{
    Client,
    config::{Builder, retry::RetryConfig},
    types::{AlternateIdentifier, MemberId, UniqueAttribute, UserStatus},
};
use daypass_aws::AwsError;

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

/// One identity store.
#[derive(Clone, Debug)]
pub struct IdentityStore {
    client: Client,
    id: String,
    is_for_many: bool,
}

impl IdentityStore {
    /// The identity store `id` (`d-1234567890`), which `client` may read.
    #[must_use]
    pub fn new(client: Client, id: String) -> Self {
        Self { client, id, is_for_many: false }
    }

    /// The same, asked for many people at once. Identity Center takes so many calls in a second: each first call is made once, and
    /// whoever calls waits and comes again; each second call is made up to four times, because the first one was in vain otherwise.
    #[must_use]
    pub fn for_many(self) -> Self {
        Self { is_for_many: true, ..self }
    }

    /// What is different in a call that may be made so often.
    fn attempts(&self, most: u32) -> Builder {
        let retries = RetryConfig::standard().with_max_attempts(most);
        let mut config = Builder::new();
        config.set_retry_config(self.is_for_many.then_some(retries));
        config
    }

    /// The user with this address; none when there is no such user.
    ///
    /// # Errors
    /// [`AwsError`] when Identity Center does not say.
    pub async fn user(&self, email: &str) -> Result<Option<User>, AwsError> {
        let request = self.client.get_user_id().identity_store_id(&self.id);
        let request = request.set_alternate_identifier(unique("emails.value", email));
        let request = request.customize().config_override(self.attempts(1));
        let found = request.send().await.map_err(AwsError::of("identitystore:GetUserId"));
        let Some(found) = if_found(found)? else { return Ok(None) };
        let request = self.client.describe_user().identity_store_id(&self.id).user_id(found.user_id);
        let request = request.customize().config_override(self.attempts(4));
        let user = request.send().await.map_err(AwsError::of("identitystore:DescribeUser"));
        // It may have been deleted since the look-up.
        Ok(if_found(user)?.map(|user| User {
            user_id: user.user_id,
            // The API calls the status optional. Whatever else it may say one day, it is not that the user may sign in.
            enabled: matches!(user.user_status, None | Some(UserStatus::Enabled)),
            user_name: user.user_name,
            profile_url: user.profile_url,
            nick_name: user.nick_name,
            external_ids: user.external_ids.unwrap_or_default().into_iter().map(|it| it.id).collect(),
        }))
    }

    /// The id of the group of this name; none when there is no such group.
    ///
    /// # Errors
    /// [`AwsError`] when Identity Center does not say.
    pub async fn group_id(&self, name: &str) -> Result<Option<String>, AwsError> {
        let request = self.client.get_group_id().identity_store_id(&self.id);
        let request = request.set_alternate_identifier(unique("displayName", name));
        let request = request.customize().config_override(self.attempts(1));
        let found = request.send().await.map_err(AwsError::of("identitystore:GetGroupId"));
        Ok(if_found(found)?.map(|group| group.group_id))
    }

    /// Whether the user is a member of the group.
    ///
    /// # Errors
    /// [`AwsError`] when Identity Center does not say.
    pub async fn is_member(&self, user_id: &str, group_id: &str) -> Result<bool, AwsError> {
        let request = self.client.is_member_in_groups().identity_store_id(&self.id);
        let request = request.member_id(MemberId::UserId(user_id.to_owned())).group_ids(group_id);
        let answer = request.customize().config_override(self.attempts(4)).send().await;
        let answer = answer.map_err(AwsError::of("identitystore:IsMemberInGroups"))?;
        Ok(answer.results.iter().any(|it| it.group_id.as_deref() == Some(group_id) && it.membership_exists))
    }
}

/// What has this value of an attribute that no two have the same of.
fn unique(attribute: &str, value: &str) -> Option<AlternateIdentifier> {
    // It can be built: both of its parts are there.
    let attribute = UniqueAttribute::builder().attribute_path(attribute).attribute_value(value.into()).build();
    attribute.ok().map(AlternateIdentifier::UniqueAttribute)
}

fn if_found<T>(answer: Result<T, AwsError>) -> Result<Option<T>, AwsError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
