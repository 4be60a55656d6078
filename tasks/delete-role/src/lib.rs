//! Deletes the deploy role and whatever hangs on it.
//!
//! Every step tolerates having happened before, and nothing that somebody did to the role keeps it from being deleted.
//!
//! **Whether a role is gone** only two answers of IAM show: that it has deleted the role, and `NoSuchEntity` to the question
//! for the role itself. A refusal shows nothing: the other steps are tried all the same, and when the role may still be
//! there in the end, that is an error. IAM judges a call about a role that does not exist by an ARN without a path. Of the
//! calls that are made here, the provisioner's policy allows only `GetRole` there.
//! (`docs/decisions/0004-when-a-role-is-gone.md`)

use std::{cell::RefCell, time::Duration};

use aws_sdk_iam::Client;
use daypass::{
    contract::{DeleteRoleInput, DeletedRole},
    error::ErrorName,
    ids::{RoleArn, TransactionId},
    named,
    names::GUARD_POLICY,
    policy::{Policy, Statement},
    stage::Stage,
    timestamp::Timestamp,
};
use daypass_aws::AwsError;
use daypass_sessions::{Provisioner, ProvisionerError, Turns};

#[cfg(test)]
mod tests;

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
        let role = DeployRole {
            iam: Client::new(&session),
            turns: Turns::of(&session),
            arn: &arn,
            refusal: RefCell::default(),
        };
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
struct DeployRole<'a> {
    iam: Client,
    turns: Turns,
    arn: &'a RoleArn,
    /// The last refusal of a step: the words of AWS for the case that the role stays.
    refusal: RefCell<Option<AwsError>>,
}

impl DeployRole<'_> {
    /// Deletes it, in the one order that ends access first, and looks whether it is gone.
    async fn delete(&self) -> Result<DeletedRole, DeleteRoleError> {
        self.deny_all().await?;
        let lists = (self.attached_policies().await?, self.inline_policies().await?, self.instance_profiles().await?);
        // Policies that IAM does not list, or does not take off, go on allowing what they allow.
        let mut is_bare = lists.0.is_some() && lists.1.is_some();
        // A list that is missing alone was refused. When something is on it, the role cannot be deleted, and IAM will say so.
        let (attached, mut inline, profiles) =
            (lists.0.unwrap_or_default(), lists.1.unwrap_or_default(), lists.2.unwrap_or_default());
        inline.retain(|name| name != DENY_ALL_POLICY_NAME);
        // One after the other: access has ended already, and IAM's rate is shared by the whole account.
        for arn in &attached {
            is_bare &= self.detach_policy(arn).await?;
        }
        let (guard, others): (Vec<_>, Vec<_>) = inline.iter().partition(|name| *name == GUARD_POLICY);
        for name in others {
            is_bare &= self.delete_policy(name).await?;
        }
        // What denies goes last, so that nothing that it denies is allowed for a moment; and it stays when anything may be
        // left that allows. Then the role cannot be deleted in this attempt, and nobody can use it until the next.
        if is_bare {
            for name in guard {
                self.delete_policy(name).await?;
            }
            self.delete_policy(DENY_ALL_POLICY_NAME).await?;
        }
        for name in &profiles {
            self.leave_profile(name).await?;
        }
        Ok(DeletedRole {
            existed: self.delete_bare().await?,
            detached_policies: attached,
            deleted_inline_policies: inline,
            left_instance_profiles: profiles,
        })
    }

    /// Deletes the role itself; whether it was there. Either way IAM has shown that it is not there any more.
    async fn delete_bare(&self) -> Result<bool, DeleteRoleError> {
        let request = self.iam.delete_role().role_name(self.arn.name());
        let answer =
            self.turns.wait(async || request.clone().send().await.map_err(AwsError::of("iam:DeleteRole"))).await;
        let existed = match self.unless_refused(answer) {
            Ok(deleted) => deleted.is_some(),
            Err(source) => return Err(self.not_deleted(source)),
        };
        // Lists that show a role are no proof against an answer that there is none: IAM's answers can be of any age.
        let request = self.iam.get_role().role_name(self.arn.name());
        match request.send().await.map_err(AwsError::of("iam:GetRole")) {
            Ok(_) if existed => Err(DeleteRoleError::StillThere),
            Ok(_) => Err(self.refusal.take().map_or(DeleteRoleError::StillThere, DeleteRoleError::Refused)),
            // What IAM has deleted is gone. That it cannot be asked does not change that.
            Err(_) if existed => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(source) if source.is_access_denied() => {
                Err(DeleteRoleError::NotTold { role: self.arn.clone(), source })
            }
            Err(error) => Err(DeleteRoleError::Aws(error)),
        }
    }

    /// Why IAM does not delete the role: what it says, and what it has refused before, which may be the cause.
    fn not_deleted(&self, source: AwsError) -> DeleteRoleError {
        match self.refusal.take() {
            Some(refusal) => DeleteRoleError::NotDeleted { source, refusal },
            None => DeleteRoleError::Aws(source),
        }
    }

    /// The answer; none when what the call is about is missing, or the call was refused: neither keeps the next steps from
    /// being tried.
    fn unless_refused<T>(&self, answer: Result<T, AwsError>) -> Result<Option<T>, AwsError> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) if error.is_access_denied() => {
                self.refusal.replace(Some(error));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether something is off the role now. Only a refusal leaves it there.
    fn is_off<T>(&self, answer: Result<T, AwsError>) -> Result<bool, AwsError> {
        let is_off = !answer.as_ref().is_err_and(AwsError::is_access_denied);
        self.unless_refused(answer).map(|_| is_off)
    }

    /// Denies everything to sessions that are out. That this does not succeed must not keep the role from being deleted:
    /// somebody may have used up its room for policies, or taken its boundary off, without which nothing can be put on it.
    async fn deny_all(&self) -> Result<(), AwsError> {
        let request = self.iam.put_role_policy().role_name(self.arn.name()).policy_name(DENY_ALL_POLICY_NAME);
        let request = request.policy_document(deny_all().to_json());
        let answer = self.turns.wait(async || request.clone().send().await.map_err(AwsError::of("iam:PutRolePolicy")));
        match self.unless_refused(answer.await) {
            Err(error) if error.code() != Some("LimitExceeded") => Err(error),
            _ => Ok(()),
        }
    }

    /// ARNs of the managed policies on the role; none when IAM does not list them.
    async fn attached_policies(&self) -> Result<Option<Vec<String>>, AwsError> {
        let request = self.iam.list_attached_role_policies().role_name(self.arn.name());
        let all = every_page(async |marker| {
            let page = request.clone().set_marker(marker).send().await;
            let page = page.map_err(AwsError::of("iam:ListAttachedRolePolicies"))?;
            let arns = page.attached_policies.into_iter().flatten().filter_map(|it| it.policy_arn);
            Ok((arns.collect(), page.marker))
        });
        self.unless_refused(all.await)
    }

    /// Names of the inline policies on the role; none when IAM does not list them.
    async fn inline_policies(&self) -> Result<Option<Vec<String>>, AwsError> {
        let request = self.iam.list_role_policies().role_name(self.arn.name());
        let all = every_page(async |marker| {
            let page = request.clone().set_marker(marker).send().await.map_err(AwsError::of("iam:ListRolePolicies"))?;
            Ok((page.policy_names, page.marker))
        });
        self.unless_refused(all.await)
    }

    /// Names of the instance profiles that the role is in; none when IAM does not list them.
    async fn instance_profiles(&self) -> Result<Option<Vec<String>>, AwsError> {
        let request = self.iam.list_instance_profiles_for_role().role_name(self.arn.name());
        let all = every_page(async |marker| {
            let page = request.clone().set_marker(marker).send().await;
            let page = page.map_err(AwsError::of("iam:ListInstanceProfilesForRole"))?;
            let names = page.instance_profiles.into_iter().map(|it| it.instance_profile_name);
            Ok((names.collect(), page.marker))
        });
        self.unless_refused(all.await)
    }

    async fn detach_policy(&self, arn: &str) -> Result<bool, AwsError> {
        let request = self.iam.detach_role_policy().role_name(self.arn.name()).policy_arn(arn);
        let answer =
            self.turns.wait(async || request.clone().send().await.map_err(AwsError::of("iam:DetachRolePolicy")));
        self.is_off(answer.await)
    }

    async fn delete_policy(&self, name: &str) -> Result<bool, AwsError> {
        let request = self.iam.delete_role_policy().role_name(self.arn.name()).policy_name(name);
        let answer =
            self.turns.wait(async || request.clone().send().await.map_err(AwsError::of("iam:DeleteRolePolicy")));
        self.is_off(answer.await)
    }

    async fn leave_profile(&self, name: &str) -> Result<bool, AwsError> {
        let request = self.iam.remove_role_from_instance_profile();
        let request = request.role_name(self.arn.name()).instance_profile_name(name);
        let answer = self
            .turns
            .wait(async || request.clone().send().await.map_err(AwsError::of("iam:RemoveRoleFromInstanceProfile")));
        self.is_off(answer.await)
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
    NotVisibleYet { role: RoleArn },
    /// IAM shows the role after it has been deleted.
    #[error("IAM still shows the role after it was deleted")]
    StillThere,
    /// IAM shows the role, after it has refused to let it be taken away.
    #[error("the role is still there, and AWS refuses to let Daypass take it away: {0}")]
    Refused(#[source] AwsError),
    /// IAM does not delete the role, after it has refused what comes before.
    #[error("{source}; before that, {refusal}")]
    NotDeleted {
        /// What IAM answered in the end.
        #[source]
        source: AwsError,
        /// What it had refused.
        refusal: AwsError,
    },
    /// IAM refuses even to say whether the role is there: a target stack of the version before does not let it, and
    /// something that denies everything does not either.
    #[error(
        "IAM does not show Daypass whether `{role}` exists: deploy the stack DaypassTarget (or DaypassTargets) of this \
         version in account {}; where it is deployed, find what denies its role `daypass-provisioner`, such as a \
         service control policy ({source})", .role.account()
    )]
    NotTold {
        role: RoleArn,
        /// What IAM answered.
        #[source]
        source: AwsError,
    },
    /// IAM did not answer, or with something else.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

named!(DeleteRoleError {
    Self::NotOfTransaction { .. } => InvalidRequest,
    Self::NotVisibleYet { .. } => RoleNotVisibleYet,
    // An end is tried for a day, whoever says no: it may be allowed meanwhile.
    Self::Provisioner(ProvisionerError::Refused(_))
    | Self::StillThere
    | Self::Refused(_)
    | Self::NotTold { .. } => AwsUnavailable,
    Self::Provisioner(ProvisionerError::NotOnboarded { .. }) => TargetAccountNotOnboarded,
    Self::Provisioner(ProvisionerError::Aws(error)) => (error.name(), ErrorName::OF_AWS),
    Self::NotDeleted { source: error, .. } | Self::Aws(error) => (error.name(), ErrorName::OF_AWS),
});
