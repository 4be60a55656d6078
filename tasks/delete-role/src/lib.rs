//! Deletes the deploy role and whatever hangs on it.
//!
//! Every step tolerates having happened before, and nothing that somebody did to the role keeps it from being deleted.
//!
//! **Whether a role is there** is harder to tell than it seems. IAM judges a call about a role that does not exist by an
//! ARN without a path, which the provisioner's policy does not cover: the answer may be `AccessDenied` where one would
//! expect `NoSuchEntity`. Both mean *missing* here. What this accepts: were the provisioner's own policy broken so that it
//! no longer covers a role that stands, the role would be taken for missing. Its access ends at its expiry all the same.

use std::time::Duration;

use aws_sdk_iam::Client;
use daypass::{
    contract::{DeleteRoleInput, DeletedRole},
    error::ErrorName,
    ids::{RoleArn, TransactionId},
    lambda::{AwsError, Provisioner, ProvisionerError},
    policy::{Policy, Statement},
    stage::{Named, Stage},
    timestamp::Timestamp,
};

#[cfg(test)]
mod tests;

/// What delete-role can end with.
pub const RAISES: &[ErrorName] = &[
    ErrorName::InvalidRequest,
    ErrorName::TargetAccountNotOnboarded,
    ErrorName::RoleNotVisibleYet,
    ErrorName::Throttled,
    ErrorName::AwsUnavailable,
];

/// For how long a missing role may be one that IAM does not show yet. IAM is eventually consistent and names no bound;
/// in practice it is seconds.
const NOT_VISIBLE_YET: Duration = Duration::from_mins(5);

/// The inline policy that ends the access of sessions that are out, before anything is taken away.
const DENY_ALL_POLICY_NAME: &str = "daypass-deny-all";

/// The task.
#[derive(Clone, Debug)]
pub struct DeleteRole {
    provisioner: Provisioner,
}

impl DeleteRole {
    /// A task that enters target accounts through `provisioner`.
    #[must_use]
    pub fn new(provisioner: Provisioner) -> Self {
        Self { provisioner }
    }
}

impl Stage for DeleteRole {
    type Input = DeleteRoleInput;
    type Output = DeletedRole;
    type Error = DeleteRoleError;

    async fn run(&self, input: DeleteRoleInput, now: Timestamp) -> Result<DeletedRole, DeleteRoleError> {
        let DeleteRoleInput { transaction_id, role_arn: arn, role_created_at } = input;
        if !transaction_id.owns(&arn) {
            return Err(DeleteRoleError::NotOfTransaction { role: arn, transaction: transaction_id });
        }
        let session = self.provisioner.session(transaction_id, &arn).await?;
        let role = Role { iam: Client::new(&session), name: arn.name() };
        let deleted = role.delete().await?;
        let age = now.since(role_created_at.unwrap_or(now));
        if deleted.existed || age >= NOT_VISIBLE_YET {
            Ok(deleted)
        } else {
            Err(DeleteRoleError::NotVisibleYet { role: arn })
        }
    }

    async fn warm_up(&self, _now: Timestamp) {
        self.provisioner.warm_up().await;
    }
}

/// What no session may do any more.
fn deny_all() -> Policy {
    Policy::new(vec![Statement::deny("DenyAll", "*").on("*")])
}

/// Whether a call found what it is about.
trait Found<T> {
    /// The answer; none when what the call is about is missing.
    fn found(self) -> Result<Option<T>, AwsError>;
}

impl<T> Found<T> for Result<T, AwsError> {
    fn found(self) -> Result<Option<T>, AwsError> {
        match self {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.is_not_found() || error.is_access_denied() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What is on all pages of a list. `page` gets the marker of a page and returns what is on it, and the next marker.
///
/// The SDK's paginators do the same, and make the function larger by a percent each.
async fn every_page(
    page: impl AsyncFn(Option<String>) -> Result<(Vec<String>, Option<String>), AwsError>,
) -> Result<Vec<String>, AwsError> {
    let (mut all, mut marker) = page(None).await?;
    while marker.is_some() {
        let next;
        (next, marker) = page(marker).await?;
        all.extend(next);
    }
    Ok(all)
}

/// The role, with a session that can manage it.
struct Role<'a> {
    iam: Client,
    name: &'a str,
}

impl Role<'_> {
    /// Deletes it, in the one order that ends access first.
    async fn delete(&self) -> Result<DeletedRole, DeleteRoleError> {
        self.deny_all().await?;
        let lists = (self.attached_policies().await?, self.inline_policies().await?, self.instance_profiles().await?);
        if let (None, None, None) = lists {
            return Ok(DeletedRole::default());
        }
        // A list that is missing alone was refused. Without it the role cannot be deleted, and IAM will say so.
        let (attached, mut inline, profiles) =
            (lists.0.unwrap_or_default(), lists.1.unwrap_or_default(), lists.2.unwrap_or_default());
        inline.retain(|name| name != DENY_ALL_POLICY_NAME);
        // One after the other: access has ended already, and IAM's rate is shared by the whole account.
        for arn in &attached {
            self.detach_policy(arn).await?;
        }
        for name in &inline {
            self.delete_policy(name).await?;
        }
        // Last, so that nothing that it denies is allowed for a moment.
        self.delete_policy(DENY_ALL_POLICY_NAME).await?;
        for name in &profiles {
            self.leave_profile(name).await?;
        }
        let request = self.iam.delete_role().role_name(self.name);
        // Lists that show a role are no proof against an answer that there is none: IAM's answers can be of any age.
        let existed = request.send().await.map_err(AwsError::of("iam:DeleteRole")).found()?.is_some();
        let request = self.iam.get_role().role_name(self.name);
        if request.send().await.map_err(AwsError::of("iam:GetRole")).found()?.is_some() {
            return Err(DeleteRoleError::StillThere);
        }
        Ok(DeletedRole {
            existed,
            detached_policies: attached,
            deleted_inline_policies: inline,
            left_instance_profiles: profiles,
        })
    }

    /// Denies everything to sessions that are out. That this does not succeed must not keep the role from being deleted:
    /// somebody may have used up its room for policies, or taken its boundary off, without which nothing can be put on it.
    async fn deny_all(&self) -> Result<(), AwsError> {
        let request = self.iam.put_role_policy().role_name(self.name).policy_name(DENY_ALL_POLICY_NAME);
        let answer = request.policy_document(deny_all().to_json()).send().await;
        match answer.map_err(AwsError::of("iam:PutRolePolicy")).found() {
            Err(error) if error.code() != Some("LimitExceeded") => Err(error),
            _ => Ok(()),
        }
    }

    /// ARNs of the managed policies on the role; none when there is no role.
    async fn attached_policies(&self) -> Result<Option<Vec<String>>, AwsError> {
        let request = self.iam.list_attached_role_policies().role_name(self.name);
        every_page(async |marker| {
            let page = request.clone().set_marker(marker).send().await;
            let page = page.map_err(AwsError::of("iam:ListAttachedRolePolicies"))?;
            let arns = page.attached_policies.into_iter().flatten().filter_map(|it| it.policy_arn);
            Ok((arns.collect(), page.marker))
        })
        .await
        .found()
    }

    /// Names of the inline policies on the role; none when there is no role.
    async fn inline_policies(&self) -> Result<Option<Vec<String>>, AwsError> {
        let request = self.iam.list_role_policies().role_name(self.name);
        every_page(async |marker| {
            let page = request.clone().set_marker(marker).send().await.map_err(AwsError::of("iam:ListRolePolicies"))?;
            Ok((page.policy_names, page.marker))
        })
        .await
        .found()
    }

    /// Names of the instance profiles that the role is in; none when there is no role.
    async fn instance_profiles(&self) -> Result<Option<Vec<String>>, AwsError> {
        let request = self.iam.list_instance_profiles_for_role().role_name(self.name);
        every_page(async |marker| {
            let page = request.clone().set_marker(marker).send().await;
            let page = page.map_err(AwsError::of("iam:ListInstanceProfilesForRole"))?;
            let names = page.instance_profiles.into_iter().map(|it| it.instance_profile_name);
            Ok((names.collect(), page.marker))
        })
        .await
        .found()
    }

    async fn detach_policy(&self, arn: &str) -> Result<(), AwsError> {
        let request = self.iam.detach_role_policy().role_name(self.name).policy_arn(arn);
        request.send().await.map_err(AwsError::of("iam:DetachRolePolicy")).found().map(drop)
    }

    async fn delete_policy(&self, name: &str) -> Result<(), AwsError> {
        let request = self.iam.delete_role_policy().role_name(self.name).policy_name(name);
        request.send().await.map_err(AwsError::of("iam:DeleteRolePolicy")).found().map(drop)
    }

    async fn leave_profile(&self, name: &str) -> Result<(), AwsError> {
        let request = self.iam.remove_role_from_instance_profile().role_name(self.name).instance_profile_name(name);
        request.send().await.map_err(AwsError::of("iam:RemoveRoleFromInstanceProfile")).found().map(drop)
    }
}

/// Why the role may still be there.
#[derive(Debug, thiserror::Error)]
pub enum DeleteRoleError {
    /// Only a transaction's own role may be deleted for it.
    #[error("`{role}` is not the role of transaction {transaction}")]
    NotOfTransaction {
        /// What was to be deleted.
        role: RoleArn,
        /// For whom.
        transaction: TransactionId,
    },
    /// The target account cannot be worked in.
    #[error(transparent)]
    Provisioner(#[from] ProvisionerError),
    /// The role is missing, and so young that IAM may not show it yet.
    #[error("IAM does not show `{role}`, which may have been created less than five minutes ago")]
    NotVisibleYet {
        /// The role.
        role: RoleArn,
    },
    /// IAM shows the role after it has been deleted.
    #[error("IAM still shows the role after it was deleted")]
    StillThere,
    /// IAM did not answer, or with something else.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

impl Named for DeleteRoleError {
    fn name(&self) -> ErrorName {
        match self {
            Self::NotOfTransaction { .. } => ErrorName::InvalidRequest,
            Self::Provisioner(error) => error.name(),
            Self::NotVisibleYet { .. } => ErrorName::RoleNotVisibleYet,
            Self::StillThere => ErrorName::AwsUnavailable,
            Self::Aws(error) => error.name(),
        }
    }
}
