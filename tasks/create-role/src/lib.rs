//! Creates the deploy role in the target account.
//!
//! A role that exists and carries this transaction's tag is continued, so the task may run any number of times. The guard
//! is on the role before any permission is.
//!
//! **Only a role that was read is somebody else's.** For some seconds IAM may not show the role that it has created, and
//! then judges calls by an ARN without a path: the answer is `NoSuchEntity` or a refusal. And when the answer of `CreateRole`
//! is lost, the next attempt is told that there is such a role. So what IAM does not show is *not visible yet*.
//!
//! **A refusal is told as one** when no next attempt would end otherwise. The first attempt tells only those that say that
//! nothing was made; whatever goes wrong after the role was made, the next attempt looks at again, and tells.

use std::time::Duration;

use aws_sdk_iam::{
    Client, Config,
    config::retry::RetryConfig,
    types::{Role, Tag},
};
use daypass::{
    contract::{CreateRoleInput, CreatedRole, Transaction},
    error::ErrorName,
    ids::{AccountId, RoleArn},
    named,
    names::{DEPLOY_ROLE_PATH, GUARD_POLICY, TRANSACTION_TAG},
    persona::{Entitlement, Personas},
    policy::Policy,
    stage::Stage,
    text::{Quoted, tag_value},
    timestamp::Timestamp,
};
use daypass_aws::{AwsError, Refusal};
use daypass_sessions::{Provisioner, ProvisionerError, TargetRefused, Turns};

mod policies;
#[cfg(test)]
mod tests;

/// For how long after it was created a role may be refused what no policy denies, because IAM judges some calls by its name
/// without the path. IAM names no bound; in practice it is a second or two.
const LAG: Duration = Duration::from_secs(5);

/// The inline policy that holds the persona's own statements.
const PERSONA_POLICY_NAME: &str = "daypass-persona";

/// The task.
#[derive(Clone, Debug)]
pub struct CreateRole {
    provisioner: Provisioner,
    pipeline_role: RoleArn,
    personas: Personas,
}

impl CreateRole {
    /// A task that lets sessions of `pipeline_role` assume what it creates.
    #[must_use]
    pub fn new(provisioner: Provisioner, pipeline_role: RoleArn, personas: Personas) -> Self {
        Self { provisioner, pipeline_role, personas }
    }

    /// What the persona is entitled to in the environment.
    fn entitlement(&self, transaction: &Transaction) -> Result<&Entitlement, CreateRoleError> {
        let environment = transaction.environment.as_ref().and_then(|name| self.personas.environment(name));
        let persona = self.personas.persona(&transaction.persona);
        persona.zip(environment).map(|(persona, environment)| persona.entitlement(environment)).ok_or_else(|| {
            let environment = transaction.environment.clone().unwrap_or_default();
            CreateRoleError::UnknownPersona { persona: transaction.persona.clone(), environment }
        })
    }
}

impl Stage for CreateRole {
    type Input = CreateRoleInput;
    type Output = CreatedRole;
    type Error = CreateRoleError;

    async fn run(&self, input: CreateRoleInput, now: Timestamp) -> Result<CreatedRole, CreateRoleError> {
        let CreateRoleInput { transaction, again } = input;
        let entitlement = self.entitlement(&transaction)?;
        let session = self.provisioner.session(transaction.transaction_id, &transaction.role_arn).await?;
        let deploy_role = DeployRole {
            iam: Client::new(&session),
            turns: Turns::of(&session),
            transaction: &transaction,
            again,
            now,
        };
        let role = deploy_role.create(&self.pipeline_role).await?;
        deploy_role.put_policy(GUARD_POLICY, &policies::guard(&transaction)).await?;
        // One after the other: IAM makes one change of a role at a time, and refuses those that come meanwhile. Side by side
        // they would be in each other's way, and a refused one costs more than the tenth of a second that it waits here.
        if let Some(policy) = &entitlement.custom_policy {
            deploy_role.put_policy(PERSONA_POLICY_NAME, policy).await?;
        }
        for arn in &entitlement.managed_policies {
            deploy_role.attach_policy(arn).await?;
        }
        let created_at = Timestamp::from_unix_seconds(role.create_date.secs());
        Ok(CreatedRole { role_arn: transaction.role_arn, role_id: role.role_id, created_at })
    }

    async fn warm_up(&self, _now: Timestamp) {
        self.provisioner.warm_up().await;
    }
}

/// The transaction's role, with a session that can manage it.
struct DeployRole<'a> {
    iam: Client,
    turns: Turns,
    transaction: &'a Transaction,
    /// Whether an attempt before may have made the role.
    again: bool,
    now: Timestamp,
}

impl DeployRole<'_> {
    /// Creates the role, or finds that it was created for this transaction before.
    async fn create(&self, pipeline_role: &RoleArn) -> Result<Role, CreateRoleError> {
        let Transaction { email, persona, role_name, role_arn, .. } = self.transaction;
        let tags = policies::tags(self.transaction).into_iter().filter_map(|(key, value)| {
            // It can be built: both of its parts are there.
            Tag::builder().key(key).value(value).build().ok()
        });
        let request = self
            .iam
            .create_role()
            .path(DEPLOY_ROLE_PATH)
            .role_name(role_name)
            .description(format!("{persona}, for one deployment of {}", tag_value(email.as_str())))
            .permissions_boundary(role_arn.boundary())
            .assume_role_policy_document(policies::trust(self.transaction, pipeline_role).to_json())
            .set_tags(Some(tags.collect()));
        // One call and one answer in the first attempt: by a second answer nobody could tell whether the first call has made
        // the role. The next attempt takes the place of the SDK's.
        let retries = (!self.again).then(|| Config::builder().retry_config(RetryConfig::disabled()));
        let call = async || {
            let call = request.clone().customize();
            let call = match retries.clone() {
                Some(without) => call.config_override(without),
                None => call,
            };
            call.send().await.map_err(AwsError::of("iam:CreateRole"))
        };
        match self.turns.wait(call).await {
            Ok(created) => created.role.ok_or_else(|| self.not_visible_yet()),
            Err(error) if error.code() == Some("EntityAlreadyExists") => self.existing().await,
            Err(error) if error.code() == Some("LimitExceeded") => Err(self.at_quota(error)),
            // Not about the role, which is yet to be: the boundary is the one thing that a new role refers to.
            Err(error) if error.is_not_found() => Err(self.incomplete(error)),
            // IAM asks for the permission before it does anything.
            Err(error) if error.is_access_denied() => Err(self.refused(error)),
            Err(error) if self.again && error.refusal().is_some() => Err(self.refused(error)),
            Err(error) => Err(CreateRoleError::Aws(error)),
        }
    }

    /// The role, if it is this transaction's: its path, its tag and its boundary.
    async fn existing(&self) -> Result<Role, CreateRoleError> {
        let Transaction { transaction_id, role_arn, .. } = self.transaction;
        let role = self.shown().await.map_err(CreateRoleError::Aws)?.ok_or_else(|| self.not_visible_yet())?;
        let id = transaction_id.to_string();
        let tagged = role.tags().iter().any(|tag| tag.key() == TRANSACTION_TAG && tag.value() == id);
        let boundary = role.permissions_boundary().and_then(|it| it.permissions_boundary_arn());
        let in_place = role.arn == role_arn.to_string();
        if in_place && tagged && boundary == Some(role_arn.boundary().as_str()) {
            Ok(role)
        } else if in_place && self.again {
            Err(CreateRoleError::Changed { role: role_arn.clone() })
        } else {
            Err(CreateRoleError::Conflict { role: role_arn.clone() })
        }
    }

    /// The role of that name; none when IAM does not show one. A refusal says no more than that.
    async fn shown(&self) -> Result<Option<Role>, AwsError> {
        let request = self.iam.get_role().role_name(&self.transaction.role_name);
        match request.send().await.map_err(AwsError::of("iam:GetRole")) {
            Ok(found) => Ok(found.role),
            Err(error) if error.is_not_found() || error.is_access_denied() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn put_policy(&self, name: &str, policy: &Policy) -> Result<(), CreateRoleError> {
        let request = self.iam.put_role_policy().role_name(&self.transaction.role_name).policy_name(name);
        let request = request.policy_document(policy.to_json());
        let call = async || request.clone().send().await.map_err(AwsError::of("iam:PutRolePolicy"));
        match self.turns.wait(call).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.explained(error).await),
        }
    }

    async fn attach_policy(&self, arn: &str) -> Result<(), CreateRoleError> {
        let request = self.iam.attach_role_policy().role_name(&self.transaction.role_name).policy_arn(arn);
        let call = async || request.clone().send().await.map_err(AwsError::of("iam:AttachRolePolicy"));
        match self.turns.wait(call).await {
            Ok(_) => Ok(()),
            // The role is not the only entity that may be missing, and no code tells them apart.
            Err(error) if self.again && error.is_not_found() && error.to_string().contains(arn) => {
                Err(CreateRoleError::UnknownPolicy { arn: arn.to_owned(), source: error })
            }
            Err(error) => Err(self.explained(error).await),
        }
    }

    /// What an error about a role that has been created means.
    async fn explained(&self, source: AwsError) -> CreateRoleError {
        let is_final = match source.code() {
            Some("NoSuchEntity") => return self.not_visible_yet(),
            // Of the role itself, which nobody else takes anything off.
            Some("LimitExceeded") => true,
            // A call about a role that IAM does not show yet is judged by its name without the path, and refused.
            _ if source.is_access_denied() => match self.shown().await {
                Ok(None) => return self.not_visible_yet(),
                Ok(Some(role)) => is_denied(&source) || self.age(&role) >= LAG,
                Err(_) => false,
            },
            _ => source.refusal().is_some(),
        };
        if is_final && self.again { self.refused(source) } else { CreateRoleError::Aws(source) }
    }

    fn age(&self, role: &Role) -> Duration {
        self.now.since(Timestamp::from_unix_seconds(role.create_date.secs()))
    }

    /// A refusal that is one. What no policy in the account allows, the account's stack should.
    fn refused(&self, source: AwsError) -> CreateRoleError {
        match source.refusal() {
            Some(Refusal::NotAllowed) => self.incomplete(source),
            _ => {
                CreateRoleError::Refused(TargetRefused { provisioner: self.transaction.role_arn.provisioner(), source })
            }
        }
    }

    fn incomplete(&self, source: AwsError) -> CreateRoleError {
        CreateRoleError::Incomplete { account: self.transaction.target_aws_account_id.clone(), source }
    }

    fn not_visible_yet(&self) -> CreateRoleError {
        CreateRoleError::NotVisibleYet { role: self.transaction.role_arn.clone() }
    }

    fn at_quota(&self, source: AwsError) -> CreateRoleError {
        CreateRoleError::Quota { account: self.transaction.target_aws_account_id.clone(), source }
    }
}

/// Whether a policy says no, and not only none says yes.
fn is_denied(source: &AwsError) -> bool {
    matches!(source.refusal(), Some(Refusal::Organization | Refusal::ExplicitDeny))
}

/// Why there is no deploy role, or only a part of one.
#[derive(Debug, thiserror::Error)]
pub enum CreateRoleError {
    /// Persona or environment is gone from personas.json since the request was validated.
    #[error(
        "persona {} no longer exists in environment {}: personas.json has changed since the request was validated; \
         request again",
        Quoted(.persona), Quoted(.environment)
    )]
    UnknownPersona {
        /// The persona.
        persona: String,
        /// The environment.
        environment: String,
    },
    /// The target account cannot be worked in.
    #[error(transparent)]
    Provisioner(#[from] ProvisionerError),
    /// AWS refuses something about the role, and would refuse it again.
    #[error(transparent)]
    Refused(TargetRefused),
    /// Something that the target stack should have set up is not there.
    #[error(
        "account {account} is not on-boarded as this version of Daypass needs it: {source}; deploy the stack \
         DaypassTarget (or DaypassTargets) of this version there again"
    )]
    Incomplete {
        /// The target account.
        account: AccountId,
        /// What IAM answered.
        #[source]
        source: AwsError,
    },
    /// The name is taken.
    #[error(
        "a role named `{role}` exists in that account and does not belong to this transaction; it was not changed: \
         find its owner, and request again"
    )]
    Conflict {
        /// The role that was to be created.
        role: RoleArn,
    },
    /// What an attempt before has made is not as it was made.
    #[error(
        "the tag or the boundary of `{role}` was removed while Daypass created the role, so Daypass deletes it; find \
         out who removed it (CloudTrail in that account), and request again"
    )]
    Changed { role: RoleArn },
    /// The account has as many as it may have.
    #[error(
        "account {account} has reached an IAM quota ({source}); delete unused roles there, or raise the quota in \
         Service Quotas"
    )]
    Quota {
        /// The target account.
        account: AccountId,
        /// What IAM answered.
        #[source]
        source: AwsError,
    },
    /// IAM has created the role and does not show it yet.
    #[error("IAM does not show the new role `{role}` yet")]
    NotVisibleYet { role: RoleArn },
    /// personas.json names a policy that AWS does not have.
    #[error("policy `{arn}` does not exist; the platform team has to correct personas.json")]
    UnknownPolicy {
        /// The ARN.
        arn: String,
        /// What IAM answered.
        #[source]
        source: AwsError,
    },
    /// IAM did not answer, or with something else.
    #[error(transparent)]
    Aws(AwsError),
}

named!(CreateRoleError {
    Self::UnknownPersona { .. } => InvalidRequest,
    Self::Provisioner(error) => (error.name(), ErrorName::OF_PROVISIONER),
    Self::Conflict { .. } => RoleConflict,
    Self::Changed { .. } => TransactionMismatch,
    Self::Quota { .. } => QuotaExceeded,
    Self::NotVisibleYet { .. } => RoleNotVisibleYet,
    Self::Refused(_) | Self::UnknownPolicy { .. } => TargetAccountRefused,
    Self::Incomplete { .. } => TargetAccountNotOnboarded,
    Self::Aws(source) => (source.name(), ErrorName::OF_AWS),
});
