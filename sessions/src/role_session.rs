//! Sessions of roles in other accounts.

use std::time::SystemTime;

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use aws_sdk_sts::{Client, operation::assume_role::builders::AssumeRoleFluentBuilder};
use aws_types::{SdkConfig, region::Region};
use daypass::{
    error::ErrorName,
    ids::{RoleArn, TransactionId},
    names::{BOUNDARY_POLICY, DEPLOY_ROLE_PATH},
    policy::{Policy, Statement},
    stage::Named,
};
use daypass_aws::{AwsError, Refusal};
use daypass_lambda::{SettingError, optional_setting};

/// Calls `AssumeRole` and returns the session's credentials.
async fn assume(request: AssumeRoleFluentBuilder) -> Result<Credentials, AwsError> {
    let output = request.send().await.map_err(AwsError::of("sts:AssumeRole"))?;
    Ok(output.credentials.map_or_else(
        // STS always answers with credentials. Were they missing, the next call would be refused, and say so.
        || Credentials::new("", "", None, None, "assumed-role"),
        |c| {
            let expires = SystemTime::try_from(c.expiration).ok();
            Credentials::new(c.access_key_id, c.secret_access_key, Some(c.session_token), expires, "assumed-role")
        },
    ))
}

/// The way into target accounts: the provisioner role that stands in each of them.
#[derive(Clone, Debug)]
pub struct Provisioner {
    config: SdkConfig,
    sts: Client,
    external_id: String,
}

impl Provisioner {
    /// A way in with `config`'s credentials. `external_id` is what the provisioner roles expect.
    #[must_use]
    pub fn new(config: &SdkConfig, external_id: String) -> Self {
        Self { sts: Client::new(config), config: config.clone(), external_id }
    }

    /// What an SDK client needs to work in the account of `role`: a session of the provisioner role that can manage
    /// this one role and nothing else. It is named after the transaction, so that CloudTrail shows which it worked for.
    ///
    /// # Errors
    /// [`ProvisionerError`] when the session is refused, or STS cannot be reached.
    pub async fn session(&self, transaction: TransactionId, role: &RoleArn) -> Result<SdkConfig, ProvisionerError> {
        let request = self
            .sts
            .assume_role()
            .role_arn(role.provisioner().to_string())
            .role_session_name(transaction.role_name())
            .external_id(&self.external_id)
            .policy(session_policy(role).to_json())
            .duration_seconds(900);
        let credentials = assume(request).await.map_err(|source| {
            let provisioner = role.provisioner();
            match source.refusal() {
                // Nobody denies it: the role is not there, or does not trust this hub.
                Some(Refusal::NotAllowed | Refusal::Other) if source.is_access_denied() => {
                    ProvisionerError::NotOnboarded { provisioner, source }
                }
                Some(_) => ProvisionerError::Refused(TargetRefused { provisioner, source }),
                None => ProvisionerError::Aws(source),
            }
        })?;
        let credentials = SharedCredentialsProvider::new(credentials);
        Ok(self.config.to_builder().credentials_provider(credentials).build())
    }

    /// Connects to STS before the first request needs it.
    pub async fn warm_up(&self) {
        // The cheapest call of STS: it needs no permission.
        let _ = self.sts.get_caller_identity().send().await;
    }
}

/// What a session of the provisioner role may do at most: manage `role`. Instance profiles are there because IAM takes
/// a role out of one on the profile's permission; the provisioner's own policy narrows that further.
///
/// And ask for the role by its name alone: IAM judges a call about a role that is not there by an ARN without a path.
/// Were that not allowed, the answer would be a refusal, which shows nothing.
fn session_policy(role: &RoleArn) -> Policy {
    let resources = [role.to_string(), role.instance_profiles()];
    let without_path = role.to_string().replacen(DEPLOY_ROLE_PATH, "/", 1);
    Policy::new(vec![
        Statement::allow("OneRole", "iam:*").on(resources.each_ref().map(String::as_str)),
        Statement::allow("WhetherItIsThere", "iam:GetRole").on(without_path),
    ])
}

/// The target account cannot be worked in.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionerError {
    /// STS refused the session.
    #[error(
        "account {} is not on-boarded: `{provisioner}` refuses Daypass; deploy the target stack there with this hub's \
         account id and external id", .provisioner.account()
    )]
    NotOnboarded {
        /// The provisioner role.
        provisioner: RoleArn,
        /// What STS answered.
        #[source]
        source: AwsError,
    },
    /// A policy denies the session, or the account cannot be entered from this Region.
    #[error(transparent)]
    Refused(TargetRefused),
    /// STS did not answer, or with something else.
    #[error(transparent)]
    Aws(AwsError),
}

/// AWS refuses what has to be done in a target account, and would refuse it again.
#[derive(Debug, thiserror::Error)]
#[error("account {} refuses Daypass: {source}; {}", .provisioner.account(), self.remedy())]
pub struct TargetRefused {
    /// The provisioner role, for which it is done.
    pub provisioner: RoleArn,
    /// What AWS answered.
    #[source]
    pub source: AwsError,
}

impl TargetRefused {
    fn remedy(&self) -> String {
        let Self { provisioner, source } = self;
        match source.refusal() {
            Some(Refusal::Organization) => format!(
                "whoever keeps the policies of the organisation has to except `{provisioner}` from the one that is named; Daypass \
                 gives its roles no boundary but `{BOUNDARY_POLICY}`, and no tags but its own"
            ),
            Some(Refusal::ExplicitDeny) => {
                format!("whoever keeps the policy that is named has to except `{provisioner}` from it")
            }
            Some(Refusal::NotAllowed) => {
                "deploy the stack DaypassTarget (or DaypassTargets) of this version there again".to_owned()
            }
            Some(Refusal::Region) => {
                "an administrator of the account has to activate STS in the Region of the hub (IAM, account settings)"
                    .to_owned()
            }
            Some(Refusal::Other) | None => {
                "whoever owns the account, or keeps personas.json, has to mend that; trying again does not".to_owned()
            }
        }
    }
}

impl Named for ProvisionerError {
    fn name(&self) -> ErrorName {
        match self {
            Self::NotOnboarded { .. } => ErrorName::TargetAccountNotOnboarded,
            Self::Refused(_) => ErrorName::TargetAccountRefused,
            Self::Aws(error) => error.name(),
        }
    }
}

/// Credentials of the reader role of another account, taken anew by the SDK whenever they are about to end.
#[derive(Debug)]
pub struct ReaderSession {
    sts: Client,
    role: RoleArn,
}

impl ProvideCredentials for ReaderSession {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let request = self
                .sts
                .assume_role()
                .role_arn(self.role.to_string())
                .role_session_name("daypass")
                .duration_seconds(900);
            assume(request).await.map_err(CredentialsError::provider_error)
        })
    }
}

/// What a client of Identity Center needs: `config` itself, or, where Identity Center lives in another account or
/// region, a session of the reader role there (`DAYPASS_IDENTITY_READER_ROLE_ARN`, `DAYPASS_IDENTITY_REGION`).
///
/// # Errors
/// [`SettingError`] when one of the two is there but wrong.
pub fn identity_center(config: &SdkConfig) -> Result<SdkConfig, SettingError> {
    let mut builder = config.to_builder();
    if let Some(role) = optional_setting("DAYPASS_IDENTITY_READER_ROLE_ARN")? {
        let session = ReaderSession { sts: Client::new(config), role };
        builder = builder.credentials_provider(SharedCredentialsProvider::new(session));
    }
    if let Some(region) = optional_setting::<String>("DAYPASS_IDENTITY_REGION")? {
        builder = builder.region(Region::new(region));
    }
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use daypass_identity_center::IdentityStore;
    use daypass_testing::samples::{http_service, leaks, query_service};

    use super::*;

    #[test]
    fn a_provisioner_session_can_manage_one_role_only() {
        let id: TransactionId = "6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11".parse().unwrap();
        let role = id.role_arn("aws", &"222222222222".parse().unwrap());
        insta::assert_snapshot!(session_policy(&role).to_json());
    }

    /// What refuses the session of the reader role refuses what is asked with it.
    #[tokio::test]
    async fn a_session_that_is_refused_is_a_refusal() {
        for (answer, refusal) in [
            ("AccessDenied: because no resource-based policy allows it", Some(Refusal::NotAllowed)),
            ("Throttling: slow down", None),
        ] {
            let config = query_service(move |_, _| Err(answer));
            let role = "arn:aws:iam::444444444444:role/daypass-identity-reader".parse().unwrap();
            let session = SharedCredentialsProvider::new(ReaderSession { sts: Client::new(&config), role });
            let config = config.to_builder().credentials_provider(session).build();
            let store = IdentityStore::new(aws_sdk_identitystore::Client::new(&config), "d-1".to_owned());
            let error = store.user("alex@example.com").await.unwrap_err();
            assert_eq!(error.refusal(), refusal, "{error}");
            assert!(error.told_in_hub().contains("sts:AssumeRole failed with"), "{}", error.told_in_hub());
        }
    }

    #[tokio::test]
    async fn what_refuses_a_session_of_the_provisioner_is_told() {
        let id: TransactionId = "6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11".parse().unwrap();
        let role = id.role_arn("aws", &"222222222222".parse().unwrap());
        let mut told = vec![];
        for answer in [
            "AccessDenied: x is not authorized to perform: sts:AssumeRole on resource: y",
            "AccessDenied: x is not authorized because no resource-based policy allows the sts:AssumeRole action",
            "AccessDenied: x is not authorized with an explicit deny in a service control policy: p-1",
            "AccessDenied: x is not authorized with an explicit deny in an identity-based policy",
            "RegionDisabledException: STS is not activated in this region for account:222222222222.",
            "Throttling: slow down",
            "ExpiredToken: the token has expired",
        ] {
            let config = query_service(move |_, _| Err(answer));
            let error = Provisioner::new(&config, "x".to_owned()).session(id, &role).await.unwrap_err();
            told.push(format!("{}: {error}", error.name()));
        }
        insta::assert_snapshot!(told.join("\n"));
    }

    /// Sessions of other roles come from STS: what it answers may hold their credentials.
    #[tokio::test]
    async fn no_error_repeats_what_sts_answers() {
        let id: TransactionId = "6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11".parse().unwrap();
        let role = id.role_arn("aws", &"222222222222".parse().unwrap());
        let mut failed = 0;
        for (status, body) in leaks::useless_answers() {
            let config = http_service(move |_| (status, body.clone()));
            // One that can be read makes a session that nothing can be done with.
            let Err(error) = Provisioner::new(&config, "x".to_owned()).session(id, &role).await else { continue };
            leaks::assert_untold(&error);
            let reader = ReaderSession { sts: Client::new(&config), role: role.clone() };
            let error = reader.provide_credentials().await.unwrap_err();
            let said = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
            assert!(leaks::SECRETS.iter().all(|secret| !said.contains(secret)), "{said}");
            failed += 1;
        }
        assert!(failed > 4, "what cannot be read, and what AWS refuses");
    }
}
