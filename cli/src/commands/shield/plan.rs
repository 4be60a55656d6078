//! What lends its strength to deployments, and what is to be done about it: from facts alone, without a call.

use std::collections::{BTreeMap, BTreeSet};

use daypass::{
    names::{BOUNDARY_POLICY, FIXED_PATH, WORKLOADS_POLICY},
    policy::Policy,
};
use daypass_policies::{
    boundary,
    evaluate::{Request, evaluate},
    methods::{METHODS, SHIELD, SHIELD_TAG},
    strength::{self, Strength},
};

/// The tag that shields a resource from deployments: its key and the one value that counts.
pub const TAG: (&str, &str) = (SHIELD_TAG, "true");
const SERVICE_LINKED_PATH: &str = "/aws-service-role/";

/// What runs with a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Stack,
    Function,
    Project,
    Machine,
    /// Its instances run with the role.
    InstanceProfile,
}

impl Kind {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stack => "stack",
            Self::Function => "function",
            Self::Project => "build project",
            Self::Machine => "state machine",
            Self::InstanceProfile => "instance profile",
        }
    }

    /// The actions by which whoever may do one of them to the resource has the strength of its role, or takes its shield away. The
    /// first is what a deployment would do.
    const fn lending(self) -> &'static [&'static str] {
        match self {
            Self::Stack => &["cloudformation:UpdateStack", "cloudformation:CreateChangeSet"],
            Self::Function => {
                &["lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration", "lambda:UntagResource"]
            }
            Self::Project => &["codebuild:UpdateProject", "codebuild:StartBuild", "codebuild:StartBuildBatch"],
            Self::Machine => &["states:UpdateStateMachine", "states:UntagResource"],
            Self::InstanceProfile => &[],
        }
    }
}

/// Where facts are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub account: String,
    pub partition: String,
    pub region: String,
}

/// A resource that runs with a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lender {
    pub kind: Kind,
    pub name: String,
    pub arn: String,
    /// ARNs of its roles, or why they are not known.
    pub roles: Result<BTreeSet<String>, String>,
    /// Its tags, or why they are not known.
    pub tags: Result<Tags, String>,
    pub stack: Option<Stack>,
}

pub type Tags = BTreeMap<String, String>;

/// What else is known of a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    /// `UPDATE_COMPLETE` and the like.
    pub status: String,
    /// The ARN of the stack that a nested stack belongs to.
    pub root: Option<String>,
    /// Keys.
    pub parameters: Vec<String>,
    pub capabilities: Vec<String>,
}

/// What is known of a role. Documents are JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// The ARN of its permissions boundary.
    pub boundary: Option<String>,
    /// By name.
    pub inline: BTreeMap<String, String>,
    /// ARNs.
    pub attached: BTreeSet<String>,
}

/// Everything that was read of an account in one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub place: Place,
    pub lenders: Vec<Lender>,
    /// By ARN; or why a role could not be read.
    pub roles: BTreeMap<String, Result<Role, String>>,
    /// Documents of managed policies by ARN; or why one could not be read.
    pub policies: BTreeMap<String, Result<String, String>>,
    /// What could not be listed, and why.
    pub unread: Vec<String>,
}

impl Facts {
    /// The lenders with a role that is stronger than the boundary: by their place in the list, the ARN of the role (empty where it is
    /// not known) and why. A role that may change such a lender is as strong.
    pub fn strong(&self) -> BTreeMap<usize, (String, String)> {
        let mut judged: BTreeMap<&str, Result<Option<Strength>, String>> = BTreeMap::new();
        let mut found = BTreeMap::new();
        for (i, lender) in self.lenders.iter().enumerate() {
            match &lender.roles {
                Err(why) => {
                    found.insert(i, (String::new(), format!("its role is not known: {why}")));
                }
                Ok(roles) => {
                    for role in roles.iter().filter(|role| !is_service_linked(role)) {
                        let judgement = judged.entry(role).or_insert_with(|| self.judged(role));
                        if let Err(why) = judgement {
                            found.entry(i).or_insert_with(|| (role.clone(), why.clone()));
                        }
                    }
                }
            }
        }
        loop {
            let mut more = BTreeMap::new();
            for (i, lender) in self.lenders.iter().enumerate().filter(|(i, _)| !found.contains_key(i)) {
                for role in lender.roles.iter().flatten() {
                    let Some(Ok(Some(strength))) = judged.get(role.as_str()) else { continue };
                    let mut others = found.keys().map(|&other| &self.lenders[other]);
                    if let Some((action, other)) = others.find_map(|other| changes(strength, other)) {
                        let why = format!("may do {action} on {other}, which runs with a stronger role");
                        more.insert(i, (role.clone(), why));
                    }
                }
            }
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }

    /// What a role may do that is not stronger than the boundary, none of one that the boundary itself bounds; or why it is stronger.
    /// Whatever is not known counts as stronger.
    fn judged(&self, arn: &str) -> Result<Option<Strength>, String> {
        let unknown = |why: &str| format!("it is not known what the role may do: {why}");
        let role = match self.roles.get(arn) {
            Some(Ok(role)) => role,
            Some(Err(why)) => return Err(unknown(why)),
            None => return Err(unknown("it has not been read")),
        };
        let Place { account, partition, .. } = &self.place;
        let own = |name: &str| format!("arn:{partition}:iam::{account}:policy/{name}");
        if [BOUNDARY_POLICY, WORKLOADS_POLICY].iter().any(|name| role.boundary == Some(own(name))) {
            return Ok(None);
        }
        let strength = self.strength_of(role).map_err(|why| unknown(&why))?;
        let beyond = strength.beyond_boundary(partition, account, &METHODS);
        let Some(first) = beyond.first() else { return Ok(Some(strength)) };
        let more = match beyond.len() - 1 {
            0 => String::new(),
            1 => " and 1 more known way".to_owned(),
            more => format!(" and {more} more known ways"),
        };
        Err(format!(
            "may do {} on {}, which the boundary refuses (`{}`{more})",
            first.action, first.resource, first.method.id
        ))
    }

    fn strength_of(&self, role: &Role) -> Result<Strength, String> {
        let managed = |arn: &String| match self.policies.get(arn) {
            Some(Ok(document)) => parsed(arn, document),
            Some(Err(why)) => Err(format!("{arn} cannot be read: {why}")),
            None => Err(format!("{arn} has not been read")),
        };
        let inline = role.inline.iter().map(|(name, document)| parsed(name, document));
        let policies = inline.chain(role.attached.iter().map(managed)).collect::<Result<Vec<_>, _>>()?;
        Ok(Strength::new(policies, role.boundary.as_ref().map(managed).transpose()?))
    }
}

/// The action by which a role of this strength may change a lender, and the lender's ARN.
fn changes<'a>(strength: &Strength, lender: &'a Lender) -> Option<(&'static str, &'a str)> {
    let mut actions = lender.kind.lending().iter();
    let action = actions.find(|action| strength.may(&Request::new(action, &lender.arn)))?;
    Some((action, &lender.arn))
}

fn parsed(name: &str, document: &str) -> Result<Policy, String> {
    strength::read(document).map_err(|why| format!("the policy {name} {why}"))
}

/// AWS fixes what such a role may do, and who may be it.
fn is_service_linked(role: &str) -> bool {
    role.contains(&format!(":role{SERVICE_LINKED_PATH}"))
}

/// How a resource is shielded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shield {
    None,
    Tag,
    /// The boundary names it.
    Name,
}

/// What `apply` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Nothing,
    /// Sets the tag by the service's own call.
    Tag,
    /// Sets the tag by an update of the stack.
    Update,
    /// Sets the tag by an update of the stack of this ARN, which hands it on.
    UpdateOf(String),
    /// Nothing, and why.
    ByHand(String),
}

/// Something that lends more strength than the boundary leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub lender: Lender,
    /// The ARN of its role; empty where it is not known.
    pub role: String,
    pub why: String,
    pub shield: Shield,
    pub step: Step,
}

impl Item {
    pub fn is_shielded(&self) -> bool {
        self.shield != Shield::None
    }

    /// What an administrator runs where `apply` cannot do it.
    pub fn commands(&self, region: &str) -> Vec<String> {
        let Lender { kind, name, arn, .. } = &self.lender;
        if *kind != Kind::InstanceProfile || self.is_shielded() {
            return Vec::new();
        }
        let tag = format!("Key={},Value={}", TAG.0, TAG.1);
        let filter = format!("Name=iam-instance-profile.arn,Values={arn}");
        let region = quoted(region);
        vec![
            format!(
                "aws ec2 describe-instances --region {region} --filters {} --query 'Reservations[].Instances[].InstanceId' --output text",
                quoted(&filter)
            ),
            format!("aws ec2 create-tags --region {region} --tags {tag} --resources <ids of the instances>"),
            format!("aws iam tag-instance-profile --instance-profile-name {} --tags {tag}", quoted(name)),
        ]
    }

    /// What an administrator runs to let deployments update the stack: none for what needs no migration. The role replaces the one
    /// that the stack keeps, since `UpdateStack` takes no role from a stack.
    pub fn migration(&self, place: &Place) -> Vec<String> {
        let (Lender { kind: Kind::Stack, arn, stack: Some(stack), .. }, Ok(tags)) = (&self.lender, &self.lender.tags)
        else {
            return Vec::new();
        };
        if self.shield == Shield::Name || stack.root.is_some() || why_not(&stack.status).is_some() {
            return Vec::new();
        }
        let each = |key: &String| format!("ParameterKey={key},UsePreviousValue=true");
        let parameters: Vec<_> = stack.parameters.iter().map(each).collect();
        let option = |name: &str, values: &[String]| {
            if values.is_empty() { String::new() } else { format!(" --{name} {}", values.join(" ")) }
        };
        let common = format!(
            "aws cloudformation update-stack --region {} --stack-name {} --use-previous-template{}{}",
            quoted(&place.region),
            quoted(arn),
            option("parameters", &parameters),
            option("capabilities", &stack.capabilities)
        );
        let mut tags = own_tags(tags);
        tags.remove(TAG.0);
        let wait = format!(
            "aws cloudformation wait stack-update-complete --region {} --stack-name {}",
            quoted(&place.region),
            quoted(arn)
        );
        let mut commands = Vec::new();
        if self.shield == Shield::Tag {
            commands.extend([format!("{common} --tags {}", quoted(&listed(&tags))), wait.clone()]);
        }
        // An update that changes nothing is refused, and another role is no change.
        tags.insert(MIGRATED.0.to_owned(), MIGRATED.1.to_owned());
        let role =
            format!("arn:{}:iam::{}:role{FIXED_PATH}<Persona>/cloudformation-<name>", place.partition, place.account);
        commands.push(format!("{common} --tags {} --role-arn {}", quoted(&listed(&tags)), quoted(&role)));
        commands.push(wait);
        commands
    }
}

/// A tag that is set when a stack gets another role.
const MIGRATED: (&str, &str) = ("deployed-by", "daypass");

/// Without those that only AWS may set.
pub fn own_tags(tags: &Tags) -> Tags {
    tags.iter().filter(|(key, _)| !key.starts_with("aws:")).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn listed(tags: &Tags) -> String {
    let each = |(key, value): (&String, &String)| serde_json::json!({"Key": key, "Value": value});
    serde_json::Value::from(tags.iter().map(each).collect::<Vec<_>>()).to_string()
}

/// For a POSIX shell, without quotes where it needs none.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Everything that lends strength, and what could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub place: Place,
    /// By kind and name.
    pub items: Vec<Item>,
    pub unread: Vec<String>,
}

impl Plan {
    pub fn of(facts: &Facts) -> Self {
        let boundary = boundary(&facts.place.partition, &facts.place.account);
        let mut items: Vec<_> = facts
            .strong()
            .into_iter()
            .map(|(i, (role, why))| {
                let lender = &facts.lenders[i];
                let shield = shield(lender, &boundary);
                let step = if shield == Shield::None { step(lender) } else { Step::Nothing };
                Item { lender: lender.clone(), role, why, shield, step }
            })
            .collect();
        items.sort_by(|a, b| {
            let key = |item: &Item| (item.lender.kind, item.lender.name.clone(), item.lender.arn.clone());
            key(a).cmp(&key(b))
        });
        let mut unread = facts.unread.clone();
        unread.sort();
        Self { place: facts.place.clone(), items, unread }
    }

    /// What is not shielded.
    pub fn left(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| !item.is_shielded())
    }

    /// Whether there is nothing to do, as far as everything could be looked at.
    pub fn is_done(&self) -> bool {
        self.left().next().is_none() && self.unread.is_empty()
    }
}

fn shield(lender: &Lender, boundary: &Policy) -> Shield {
    let is_named = lender.kind.lending().first().is_some_and(|action| {
        let without_tag = Request::new(action, &lender.arn).with(SHIELD, None::<String>);
        !evaluate([boundary], &without_tag).is_possible()
    });
    match &lender.tags {
        _ if is_named => Shield::Name,
        Ok(tags) if tags.get(TAG.0).map(String::as_str) == Some(TAG.1) => Shield::Tag,
        _ => Shield::None,
    }
}

fn step(lender: &Lender) -> Step {
    match (lender.kind, &lender.stack) {
        (Kind::InstanceProfile, _) => Step::ByHand(
            "`daypass` does not see instances: tag each instance that has the profile, then the profile itself, which \
             says that it is done"
                .to_owned(),
        ),
        (Kind::Stack, Some(Stack { root: Some(root), .. })) => Step::UpdateOf(root.clone()),
        (Kind::Stack, Some(stack)) => match why_not(&stack.status) {
            None => Step::Update,
            Some(why) => {
                Step::ByHand(format!("CloudFormation does not update a stack in the state {}: {why}", stack.status))
            }
        },
        _ => match &lender.tags {
            // Projects are given all of their tags at once.
            Err(why) if lender.kind == Kind::Project => Step::ByHand(format!("its tags are not known: {why}")),
            _ => Step::Tag,
        },
    }
}

/// Why a stack in this state cannot be updated, and what can be done.
pub fn why_not(status: &str) -> Option<&'static str> {
    match status {
        "CREATE_COMPLETE"
        | "UPDATE_COMPLETE"
        | "UPDATE_ROLLBACK_COMPLETE"
        | "IMPORT_COMPLETE"
        | "IMPORT_ROLLBACK_COMPLETE" => None,
        "REVIEW_IN_PROGRESS" => Some("it was never created; delete it, or execute its change set"),
        "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" | "DELETE_FAILED" => {
            Some("delete it, or correct it first")
        }
        "UPDATE_ROLLBACK_FAILED" => Some("continue its rollback first"),
        _ if status.ends_with("_IN_PROGRESS") => Some("try again when it has ended"),
        _ => Some("correct it first"),
    }
}

#[cfg(test)]
pub mod tests;
