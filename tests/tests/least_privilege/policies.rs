//! What is deployed: every role of Daypass in the hub and in the targets, and each single thing that it may do.

use std::{
    collections::{BTreeMap, BTreeSet},
    slice,
};

use daypass::policy::{Effect, OneOrMany};
use daypass_tests::{
    aws::{Aws, percent_decoded},
    engine::{Grant, PolicyOf},
    pipeline::Account,
    stack::Stack,
};
use serde::{Deserialize, de::IgnoredAny};
use wildmatch::WildMatch;

/// Both targets are deployed from one template: this stands for the id of either.
pub const TARGET: &str = "<target>";
/// The hub of the local deployment.
pub const HUB: &str = "111111111111";
const PROVISIONER: &str = "daypass-provisioner";
const PIPELINE: &str = "daypass-pipeline";
const INVOKER: &str = "daypass-invoker";

/// `text` with the ids of the target accounts replaced.
pub fn anywhere(text: &str) -> String {
    Account::ALL.iter().fold(text.to_owned(), |text, account| text.replace(account.id(), TARGET))
}

/// The ARN of a key, whose id is one of those that the recorder replaces, as the recorder writes it.
fn as_recorded(resource: String) -> String {
    match resource.rsplit_once(":key/") {
        Some((before, id)) if uuid::Uuid::try_parse(id).is_ok() => format!("{before}:key/<id>"),
        _ => resource,
    }
}

/// A role of the deployment.
pub struct Role {
    /// Its ARN, in any target.
    pub arn: String,
    pub name: String,
    /// What it may do, and who may be it.
    pub permissions: BTreeSet<Permission>,
    /// Whether it is a function's or a state machine's.
    for_a_service: bool,
}

/// One action on one resource, by one statement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// Whose policy it is in.
    pub role: String,
    /// `Sid`; empty in a trust policy.
    pub statement: String,
    pub action: String,
    /// A pattern; the role itself in a trust policy.
    pub resource: String,
    trust: bool,
}

impl Permission {
    /// Whether this is what a caller, with this role if any, was granted, and by the same statement.
    pub fn gives(&self, role: Option<&Role>, grant: &Grant) -> bool {
        let by_this_policy = match grant.policy {
            PolicyOf::Identity => !self.trust && role.is_some_and(|role| role.name == self.role),
            // Pipelines come from outside; whoever puts on another role has to be of Daypass.
            PolicyOf::Resource => self.trust && (role.is_some() || self.role == INVOKER),
        };
        by_this_policy
            && self.statement == grant.statement
            // The names of actions have no case, ARNs have.
            && WildMatch::new_case_insensitive(&self.action).matches(&grant.action)
            && WildMatch::new(&self.resource).matches(&grant.resource)
    }
}

impl Role {
    /// Whether a session of this role that `via` made is Daypass at work, and no test that tries the role.
    pub fn is_worn_by(&self, via: Option<&str>) -> bool {
        match self.name.as_str() {
            PROVISIONER => via.is_some_and(|via| via.contains(":role/daypass-") && !via.contains(" as ")),
            PIPELINE => via.is_some_and(|via| via.ends_with(":role/daypass-issue-creds")),
            // The pipeline of the scenarios.
            INVOKER => true,
            _ => self.for_a_service && via.is_none(),
        }
    }

    /// Whether it is a pipeline's to use, not Daypass's.
    pub fn is_of_pipelines(&self) -> bool {
        [PIPELINE, INVOKER].contains(&self.name.as_str())
    }
}

/// A policy, as far as its statements are plain: what else one can hold (`NotAction`, `NotResource` …) is refused.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Document {
    #[serde(rename = "Version")]
    _version: IgnoredAny,
    statement: Vec<Statement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[serde(default)]
    sid: String,
    effect: Effect,
    #[serde(default)]
    principal: BTreeMap<String, OneOrMany>,
    action: OneOrMany,
    resource: Option<OneOrMany>,
    /// IAM has judged by it; what is compared is what it was asked for.
    #[serde(rename = "Condition")]
    _condition: Option<IgnoredAny>,
}

impl Statement {
    fn all_of(document: &str) -> Vec<Self> {
        let document: Document = serde_json::from_str(&percent_decoded(document)).expect("plain statements");
        assert!(document.statement.iter().all(|it| it.effect == Effect::Allow), "they allow");
        document.statement
    }

    /// Each action on each resource.
    fn permissions(&self, role: &str, resources: &[String], trust: bool) -> BTreeSet<Permission> {
        let mut all = BTreeSet::new();
        for action in list(&self.action) {
            all.extend(resources.iter().map(|resource| Permission {
                role: role.to_owned(),
                statement: self.sid.clone(),
                action: action.clone(),
                resource: as_recorded(anywhere(resource)),
                trust,
            }));
        }
        all
    }
}

fn list(texts: &OneOrMany) -> &[String] {
    match texts {
        OneOrMany::One(one) => slice::from_ref(one),
        OneOrMany::Many(many) => many,
    }
}

/// Every role that the hub's and the targets' templates make.
pub async fn deployed_roles(stack: &Stack) -> Vec<Role> {
    let mut roles: Vec<Role> = Vec::new();
    for account in [stack.names.hub.as_str()].into_iter().chain(Account::ALL.map(Account::id)) {
        let root = stack.root(account);
        let mut pages = root.iam().list_roles().path_prefix("/").into_paginator().items().send();
        while let Some(role) = pages.next().await {
            let role = role.unwrap();
            // Below the path are deploy roles, and CDK's own roles have other names.
            if role.path != "/" || !role.role_name.starts_with("daypass-") {
                continue;
            }
            let found = read_role(&root, &role).await;
            match roles.iter().find(|known| known.arn == found.arn) {
                Some(known) => {
                    assert_eq!(known.permissions, found.permissions, "{} is the same everywhere", found.name);
                }
                None => roles.push(found),
            }
        }
    }
    assert!(roles.len() > 10, "the functions' roles, the machines', the pipelines' and the provisioner");
    roles
}

async fn read_role(root: &Aws, role: &aws_sdk_iam::types::Role) -> Role {
    let (iam, name) = (root.iam(), &role.role_name);
    let attached = iam.list_attached_role_policies().role_name(name).send().await.unwrap();
    assert!(attached.attached_policies().is_empty(), "{name}: managed policies are not read here");
    let mut permissions = BTreeSet::new();
    for policy in iam.list_role_policies().role_name(name).send().await.unwrap().policy_names {
        let document = iam.get_role_policy().role_name(name).policy_name(policy).send().await.unwrap().policy_document;
        for statement in Statement::all_of(&document) {
            assert!(!statement.sid.is_empty(), "{name}: a statement without a name");
            permissions.extend(statement.permissions(name, list(statement.resource.as_ref().unwrap()), false));
        }
    }
    let mut for_a_service = false;
    for statement in Statement::all_of(role.assume_role_policy_document().unwrap()) {
        // Lambda and Step Functions put on their roles without a call that the engine would show.
        if statement.principal.contains_key("Service") {
            for_a_service = true;
        } else {
            permissions.extend(statement.permissions(name, slice::from_ref(&role.arn), true));
        }
    }
    Role { arn: anywhere(&role.arn), name: name.clone(), permissions, for_a_service }
}
