//! A target account: what runs there with a role, what the roles may do, and setting the tag.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use aws_config::retry::RetryConfig;
use aws_sdk_cloudformation::types::{Capability, Parameter, Tag as StackTag};
use aws_sdk_codebuild::types::Tag as ProjectTag;
use aws_sdk_sfn::types::{IncludedData, Tag as MachineTag};
use aws_types::SdkConfig;
use daypass_aws::AwsError;
use futures_util::{StreamExt, stream};
use tokio::time::sleep;

use super::plan::{Facts, Kind, Lender, Place, Role, Stack, TAG, Tags, own_tags, why_not};
use crate::{
    client::{aws, documents::decoded},
    error::{Error, Kind as ErrorKind, in_one_line},
};

/// An account may have thousands of functions and roles, and IAM takes some 20 calls each second.
const ATTEMPTS: u32 = 8;
/// Calls at a time.
const AT_ONCE: usize = 8;
/// The most projects that `BatchGetProjects` takes at a time.
const PROJECTS: usize = 100;

/// The services of one account in one region, with one set of credentials.
pub struct Account {
    place: Place,
    stacks: aws_sdk_cloudformation::Client,
    functions: aws_sdk_lambda::Client,
    projects: aws_sdk_codebuild::Client,
    machines: aws_sdk_sfn::Client,
    iam: aws_sdk_iam::Client,
    /// Between two looks at a stack that is being updated.
    pause: Duration,
}

/// A role as IAM answers it, without the documents of the managed policies.
type ReadRole = (String, Result<Role, String>);

impl Account {
    /// The account of these credentials.
    ///
    /// # Errors
    /// When there is no region, and when STS does not say whose credentials they are.
    pub async fn of(config: &SdkConfig) -> Result<Self, Error> {
        let Some(region) = config.region().map(ToString::to_string) else {
            return Err(Error::usage("no region is given").remedy("give --region, or set AWS_REGION"));
        };
        let config = config.clone().into_builder();
        let config = config.retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS)).build();
        let answer = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await;
        let arn = answer.map_err(AwsError::of("sts:GetCallerIdentity"))?.arn.unwrap_or_default();
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [_, partition, _, _, account, _] = parts[..] else {
            return Err(Error::new(ErrorKind::Failed, "STS does not say whose credentials these are"));
        };
        let place = Place { account: account.to_owned(), partition: partition.to_owned(), region };
        Ok(Self::new(place, &config))
    }

    fn new(place: Place, config: &SdkConfig) -> Self {
        Self {
            place,
            stacks: aws_sdk_cloudformation::Client::new(config),
            functions: aws_sdk_lambda::Client::new(config),
            projects: aws_sdk_codebuild::Client::new(config),
            machines: aws::states(config),
            iam: aws_sdk_iam::Client::new(config),
            pause: Duration::from_secs(2),
        }
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Everything that a plan follows from. `tell` hears what is being read.
    pub async fn facts(&self, tell: impl Fn(&str)) -> Facts {
        let (mut lenders, mut unread) = (Vec::new(), Vec::new());
        let mut take = |what: &str, listed: Result<Vec<Lender>, AwsError>| match listed {
            Ok(listed) => lenders.extend(listed),
            Err(error) => unread.push(format!("{what} cannot be listed: {}", said(&error))),
        };
        tell("stacks");
        take("stacks", self.list_stacks().await);
        tell("functions");
        take("functions", self.list_functions().await);
        tell("build projects");
        take("build projects", self.list_projects().await);
        tell("state machines");
        take("state machines", self.list_machines().await);
        tell("instance profiles");
        take("instance profiles", self.list_instance_profiles().await);
        tell("roles");
        let arns: BTreeSet<&String> = lenders.iter().filter_map(|it| it.roles.as_ref().ok()).flatten().collect();
        let roles: BTreeMap<_, _> = each(arns, async |arn: &String| self.role(arn).await).await.into_iter().collect();
        tell("policies");
        let roles_read = || roles.values().filter_map(|it: &Result<Role, String>| it.as_ref().ok());
        let policies: BTreeSet<&String> =
            roles_read().flat_map(|role| role.attached.iter().chain(&role.boundary)).collect();
        let policies = each(policies, async |arn: &String| self.policy(arn).await).await.into_iter().collect();
        let mut facts = Facts { place: self.place.clone(), lenders, roles, policies, unread };
        tell("tags");
        // Those of stacks and projects came with them. Each other costs a call.
        let untold = |it: &Lender| matches!(it.kind, Kind::Function | Kind::Machine | Kind::InstanceProfile);
        let strong = facts.strong();
        let wanted = facts.lenders.iter_mut().enumerate().filter(|(i, it)| untold(it) && strong.contains_key(i));
        each(wanted, async |(_, lender): (usize, &mut Lender)| {
            lender.tags = self.tags(lender).await.map_err(|error| said(&error));
        })
        .await;
        facts
    }

    async fn list_stacks(&self) -> Result<Vec<Lender>, AwsError> {
        let mut pages = self.stacks.describe_stacks().into_paginator().items().send();
        let mut found = Vec::new();
        while let Some(stack) = pages.next().await {
            found.extend(lender_of(&stack.map_err(AwsError::of("cloudformation:DescribeStacks"))?));
        }
        Ok(found)
    }

    async fn list_functions(&self) -> Result<Vec<Lender>, AwsError> {
        let mut pages = self.functions.list_functions().into_paginator().items().send();
        let mut found = Vec::new();
        while let Some(function) = pages.next().await {
            let function = function.map_err(AwsError::of("lambda:ListFunctions"))?;
            let roles = Ok(function.role.into_iter().collect());
            let (name, arn) = (function.function_name.unwrap_or_default(), function.function_arn.unwrap_or_default());
            found.push(lender(Kind::Function, name, arn, roles));
        }
        Ok(found)
    }

    async fn list_projects(&self) -> Result<Vec<Lender>, AwsError> {
        let mut pages = self.projects.list_projects().into_paginator().items().send();
        let mut names = Vec::new();
        while let Some(name) = pages.next().await {
            names.push(name.map_err(AwsError::of("codebuild:ListProjects"))?);
        }
        let mut found = Vec::new();
        for names in names.chunks(PROJECTS) {
            let answer = self.projects.batch_get_projects().set_names(Some(names.to_vec())).send().await;
            for project in answer.map_err(AwsError::of("codebuild:BatchGetProjects"))?.projects.unwrap_or_default() {
                // The builds of a batch run with the first, and the batch itself with the second.
                let batch = project.build_batch_config.and_then(|it| it.service_role);
                let roles = project.service_role.into_iter().chain(batch).map(|role| self.role_arn(&role)).collect();
                let tags = project.tags.unwrap_or_default().into_iter();
                let tags = tags.map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default())).collect();
                let (name, arn) = (project.name.unwrap_or_default(), project.arn.unwrap_or_default());
                found.push(Lender { tags: Ok(tags), ..lender(Kind::Project, name, arn, Ok(roles)) });
            }
        }
        Ok(found)
    }

    async fn list_machines(&self) -> Result<Vec<Lender>, AwsError> {
        let mut pages = self.machines.list_state_machines().into_paginator().items().send();
        let mut listed = Vec::new();
        while let Some(machine) = pages.next().await {
            let machine = machine.map_err(AwsError::of("states:ListStateMachines"))?;
            listed.push((machine.name, machine.state_machine_arn));
        }
        Ok(each(listed, async |(name, arn)| {
            let request = self.machines.describe_state_machine().state_machine_arn(&arn);
            let answer = request.included_data(IncludedData::MetadataOnly).send().await;
            let answer = answer.map_err(AwsError::of("states:DescribeStateMachine"));
            let roles = answer.map(|it| [it.role_arn].into()).map_err(|error| said(&error));
            lender(Kind::Machine, name, arn, roles)
        })
        .await)
    }

    async fn list_instance_profiles(&self) -> Result<Vec<Lender>, AwsError> {
        let mut pages = self.iam.list_instance_profiles().into_paginator().items().send();
        let mut found = Vec::new();
        while let Some(profile) = pages.next().await {
            let profile = profile.map_err(AwsError::of("iam:ListInstanceProfiles"))?;
            let roles = Ok(profile.roles.into_iter().map(|role| role.arn).collect());
            found.push(lender(Kind::InstanceProfile, profile.instance_profile_name, profile.arn, roles));
        }
        Ok(found)
    }

    /// A project may also name its role without path and account.
    fn role_arn(&self, role: &str) -> String {
        let Place { partition, account, .. } = &self.place;
        if role.starts_with("arn:") { role.to_owned() } else { format!("arn:{partition}:iam::{account}:role/{role}") }
    }

    async fn role(&self, arn: &str) -> ReadRole {
        let name = arn.rsplit('/').next().unwrap_or(arn);
        let role = match self.read_role(name).await {
            Ok((found, _)) if found != arn => Err(format!("there is no role {arn}")),
            Ok((_, role)) => Ok(role),
            Err(error) => Err(said(&error)),
        };
        (arn.to_owned(), role)
    }

    /// The role of this name, with its ARN.
    async fn read_role(&self, name: &str) -> Result<(String, Role), AwsError> {
        let answer = self.iam.get_role().role_name(name).send().await.map_err(AwsError::of("iam:GetRole"))?;
        let mut role = Role::default();
        let Some(found) = answer.role else { return Ok((String::new(), role)) };
        role.boundary = found.permissions_boundary.and_then(|it| it.permissions_boundary_arn);
        let mut attached = self.iam.list_attached_role_policies().role_name(name).into_paginator().items().send();
        while let Some(policy) = attached.next().await {
            role.attached.extend(policy.map_err(AwsError::of("iam:ListAttachedRolePolicies"))?.policy_arn);
        }
        let mut inline = self.iam.list_role_policies().role_name(name).into_paginator().items().send();
        while let Some(policy) = inline.next().await {
            let policy = policy.map_err(AwsError::of("iam:ListRolePolicies"))?;
            let answer = self.iam.get_role_policy().role_name(name).policy_name(&policy).send().await;
            let document = answer.map_err(AwsError::of("iam:GetRolePolicy"))?.policy_document;
            role.inline.insert(policy, decoded(&document));
        }
        Ok((found.arn, role))
    }

    async fn policy(&self, arn: &str) -> (String, Result<String, String>) {
        (arn.to_owned(), self.read_policy(arn).await.map_err(|error| said(&error)))
    }

    async fn read_policy(&self, arn: &str) -> Result<String, AwsError> {
        let answer = self.iam.get_policy().policy_arn(arn).send().await.map_err(AwsError::of("iam:GetPolicy"))?;
        let version = answer.policy.and_then(|policy| policy.default_version_id).unwrap_or_default();
        let answer = self.iam.get_policy_version().policy_arn(arn).version_id(version).send().await;
        let version = answer.map_err(AwsError::of("iam:GetPolicyVersion"))?.policy_version;
        Ok(decoded(&version.and_then(|version| version.document).unwrap_or_default()))
    }

    async fn tags(&self, lender: &Lender) -> Result<Tags, AwsError> {
        Ok(match lender.kind {
            Kind::Function => {
                let answer = self.functions.list_tags().resource(&lender.arn).send().await;
                answer.map_err(AwsError::of("lambda:ListTags"))?.tags.unwrap_or_default().into_iter().collect()
            }
            Kind::Machine => {
                let answer = self.machines.list_tags_for_resource().resource_arn(&lender.arn).send().await;
                let tags = answer.map_err(AwsError::of("states:ListTagsForResource"))?.tags.unwrap_or_default();
                tags.into_iter().map(|it| (it.key.unwrap_or_default(), it.value.unwrap_or_default())).collect()
            }
            Kind::InstanceProfile => {
                let name = &lender.name;
                let mut pages =
                    self.iam.list_instance_profile_tags().instance_profile_name(name).into_paginator().items().send();
                let mut tags = Tags::new();
                while let Some(tag) = pages.next().await {
                    let tag = tag.map_err(AwsError::of("iam:ListInstanceProfileTags"))?;
                    tags.insert(tag.key, tag.value);
                }
                tags
            }
            Kind::Stack | Kind::Project => lender.tags.clone().unwrap_or_default(),
        })
    }

    /// Sets the tag, by the service's own call.
    ///
    /// # Errors
    /// When AWS refuses it.
    pub async fn tag(&self, lender: &Lender) -> Result<(), AwsError> {
        let (key, value) = TAG;
        match lender.kind {
            Kind::Function => {
                let request = self.functions.tag_resource().resource(&lender.arn).tags(key, value);
                request.send().await.map(drop).map_err(AwsError::of("lambda:TagResource"))
            }
            Kind::Project => {
                // An update replaces the tags, and leaves everything else that it does not name.
                let tags = lender.tags.as_ref().map(own_tags).unwrap_or_default();
                let tags = with_shield(tags)
                    .into_iter()
                    .map(|(key, value)| ProjectTag::builder().key(key).value(value).build());
                let request = self.projects.update_project().name(&lender.name).set_tags(Some(tags.collect()));
                request.send().await.map(drop).map_err(AwsError::of("codebuild:UpdateProject"))
            }
            Kind::Machine => {
                let tag = MachineTag::builder().key(key).value(value).build();
                let request = self.machines.tag_resource().resource_arn(&lender.arn).tags(tag);
                request.send().await.map(drop).map_err(AwsError::of("states:TagResource"))
            }
            Kind::Stack | Kind::InstanceProfile => Ok(()),
        }
    }

    /// Updates a stack to the same with the tag, and waits until the update has ended. The stack's role makes the update.
    ///
    /// # Errors
    /// In words: when the stack cannot be updated, and when its update fails.
    pub async fn update(&self, arn: &str) -> Result<(), String> {
        // Somebody may have changed it since.
        let found = self.stack(arn).await?;
        let (Some(stack), Ok(tags)) = (&found.stack, &found.tags) else { return Err("it is gone".to_owned()) };
        if tags.get(TAG.0).map(String::as_str) == Some(TAG.1) {
            return Ok(());
        }
        if let Some(why) = why_not(&stack.status) {
            return Err(format!("its state is {}: {why}", stack.status));
        }
        let mut request = self.stacks.update_stack().stack_name(arn).use_previous_template(true);
        for key in &stack.parameters {
            request = request.parameters(Parameter::builder().parameter_key(key).use_previous_value(true).build());
        }
        for capability in &stack.capabilities {
            request = request.capabilities(Capability::from(capability.as_str()));
        }
        for (key, value) in with_shield(own_tags(tags)) {
            request = request.tags(StackTag::builder().key(key).value(value).build());
        }
        let answer = request.send().await;
        answer.map_err(AwsError::of("cloudformation:UpdateStack")).map_err(|error| said(&error))?;
        loop {
            sleep(self.pause).await;
            let status = self.stack(arn).await?.stack.unwrap_or_default().status;
            match status.as_str() {
                "UPDATE_COMPLETE" | "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" => return Ok(()),
                status if status.ends_with("_IN_PROGRESS") => {}
                status => {
                    return Err(format!(
                        "its update has ended as {status}; `aws cloudformation describe-stack-events --stack-name {arn}` \
                         says why"
                    ));
                }
            }
        }
    }

    /// Whether the stack has the tag now.
    ///
    /// # Errors
    /// In words: when it cannot be read.
    pub async fn has_tag(&self, arn: &str) -> Result<bool, String> {
        let tags = self.stack(arn).await?.tags.unwrap_or_default();
        Ok(tags.get(TAG.0).map(String::as_str) == Some(TAG.1))
    }

    async fn stack(&self, arn: &str) -> Result<Lender, String> {
        let answer = self.stacks.describe_stacks().stack_name(arn).send().await;
        let answer = answer.map_err(AwsError::of("cloudformation:DescribeStacks")).map_err(|error| said(&error))?;
        answer.stacks.unwrap_or_default().first().map(described).ok_or_else(|| "it is gone".to_owned())
    }
}

fn with_shield(mut tags: Tags) -> Tags {
    tags.insert(TAG.0.to_owned(), TAG.1.to_owned());
    tags
}

fn lender(kind: Kind, name: String, arn: String, roles: Result<BTreeSet<String>, String>) -> Lender {
    Lender { kind, name, arn, roles, tags: Ok(Tags::new()), stack: None }
}

/// A stack that keeps a role.
fn lender_of(stack: &aws_sdk_cloudformation::types::Stack) -> Option<Lender> {
    stack.role_arn().map(|_| described(stack))
}

fn described(stack: &aws_sdk_cloudformation::types::Stack) -> Lender {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let roles = Ok(stack.role_arn().map(str::to_owned).into_iter().collect());
    let facts = Stack {
        status: stack.stack_status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
        // A nested stack has the root of all, and the one that it is a part of.
        root: stack.root_id().or(stack.parent_id()).map(str::to_owned),
        parameters: stack.parameters().iter().map(|it| text(it.parameter_key())).collect(),
        capabilities: stack.capabilities().iter().map(|it| it.as_str().to_owned()).collect(),
    };
    let tags = stack.tags().iter().map(|tag| (text(tag.key()), text(tag.value()))).collect();
    let (name, arn) = (text(stack.stack_name()), text(stack.stack_id()));
    Lender { tags: Ok(tags), stack: Some(facts), ..lender(Kind::Stack, name, arn, roles) }
}

/// What AWS said, in one line.
fn said(error: &AwsError) -> String {
    in_one_line(&error.to_string())
}

/// What comes of each, in the order of `all`, some at a time.
async fn each<T, R>(all: impl IntoIterator<Item = T>, call: impl AsyncFn(T) -> R) -> Vec<R> {
    stream::iter(all).map(|it| call(it)).buffered(AT_ONCE).collect().await
}

#[cfg(test)]
mod tests;
