//! A stand-in for a target account: its IAM, and STS as far as the provisioner role is concerned.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use aws_smithy_async::rt::sleep::{AsyncSleep, Sleep};
use aws_types::SdkConfig;
use daypass::names::BOUNDARY_POLICY;

use super::{requested_at, service::query_service};

/// How many entries a page of a list has.
const PAGE: usize = 2;

/// A role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// Its ARN, path included.
    pub arn: String,
    /// Its trust policy.
    pub trust: String,
    /// What it says about itself.
    pub description: String,
    /// The ARN of its boundary.
    pub boundary: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// ARNs of the managed policies that it has.
    pub attached: BTreeSet<String>,
    /// Its inline policies by name.
    pub inline: BTreeMap<String, String>,
    /// The instance profiles that it is in.
    pub profiles: BTreeSet<String>,
}

/// A call that goes wrong.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Which: the operation, or the nth call of all from 0.
    pub call: FaultyCall,
    /// The code of its error, with a message behind a colon or without.
    pub code: &'static str,
    /// Whether it is carried out nevertheless.
    pub carried_out: bool,
}

/// Which call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultyCall {
    /// Every call of the operation.
    Operation(&'static str),
    /// The first so many calls of the operation.
    First(usize, &'static str),
    /// The nth call of all, from 0.
    Nth(usize),
}

/// What a call about a role that is not there is answered with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// `NoSuchEntity`, always.
    #[default]
    NoSuchEntity,
    /// IAM judges by the name without a path, and the caller may `GetRole` there: `NoSuchEntity` to that, else
    /// `AccessDenied`.
    JudgedByName,
    /// The same, in an account whose target stack is of the version before: always `AccessDenied`.
    Denied,
}

/// What happens in the account, and what has happened.
#[derive(Debug, Default)]
pub struct State {
    /// Its roles by name.
    pub roles: BTreeMap<String, Role>,
    /// The calls so far: the operation, and what it is about.
    pub calls: Vec<String>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// What is answered about a role that is not there.
    pub missing: Missing,
    /// Whether roles cannot be seen yet.
    pub invisible: bool,
    /// The session policy and the external id of every session of the provisioner role.
    pub sessions: Vec<(String, String)>,
}

/// The account.
#[derive(Clone, Debug, Default)]
pub struct Target(Arc<Mutex<State>>);

impl Target {
    /// What clients that work in the account are built from. Pauses between calls take no time.
    #[must_use]
    pub fn config(&self) -> SdkConfig {
        let target = self.clone();
        let service = query_service(move |operation, parameters| target.state().answer(operation, parameters));
        service.into_builder().sleep_impl(NoTime).build()
    }

    /// What is in it.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test has panicked with it")
    }

    /// The operations so far, and forgets them.
    #[must_use]
    pub fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state().calls)
    }
}

#[derive(Debug)]
struct NoTime;

impl AsyncSleep for NoTime {
    fn sleep(&self, _duration: Duration) -> Sleep {
        Sleep::new(std::future::ready(()))
    }
}

type Parameters = BTreeMap<String, String>;

impl State {
    fn answer(&mut self, operation: &str, parameters: &Parameters) -> Result<String, &'static str> {
        let about = ["PolicyName", "PolicyArn", "InstanceProfileName"].into_iter().find_map(|key| parameters.get(key));
        let nth = self.calls.len();
        let before = self.calls.iter().filter(|call| call.split(' ').next() == Some(operation)).count();
        self.calls.push(about.map_or_else(|| operation.to_owned(), |about| format!("{operation} {about}")));
        let hit = |fault: &&Fault| match fault.call {
            FaultyCall::Operation(faulty) => faulty == operation,
            FaultyCall::First(times, faulty) => faulty == operation && before < times,
            FaultyCall::Nth(faulty) => faulty == nth,
        };
        match self.faults.iter().find(hit).copied() {
            Some(Fault { code, carried_out: false, .. }) => Err(code),
            Some(Fault { code, carried_out: true, .. }) => {
                let _lost = self.carry_out(operation, parameters);
                Err(code)
            }
            None => self.carry_out(operation, parameters),
        }
    }

    fn carry_out(&mut self, operation: &str, parameters: &Parameters) -> Result<String, &'static str> {
        let of = |key: &str| parameters.get(key).cloned().unwrap_or_default();
        match operation {
            "GetCallerIdentity" => return Ok(String::new()),
            "AssumeRole" => {
                self.sessions.push((of("Policy"), of("ExternalId")));
                let ends = requested_at();
                return Ok(format!(
                    "<Credentials><AccessKeyId>id</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
                     <SessionToken>token</SessionToken><Expiration>{ends}</Expiration></Credentials>"
                ));
            }
            "CreateRole" => return self.create_role(parameters),
            _ => {}
        }
        let missing = match self.missing {
            Missing::NoSuchEntity => "NoSuchEntity",
            Missing::JudgedByName if operation == "GetRole" => "NoSuchEntity",
            Missing::JudgedByName | Missing::Denied => "AccessDenied",
        };
        let name = of("RoleName");
        let invisible = self.invisible;
        let role = self.roles.get_mut(&name).filter(|_| !invisible).ok_or(missing)?;
        let bounded = role.boundary.as_ref().is_some_and(|it| it.ends_with(BOUNDARY_POLICY));
        // The rest is what the provisioner's policy allows: give only to a bounded role, take from any.
        let gives = matches!(operation, "PutRolePolicy" | "AttachRolePolicy");
        if gives && !bounded {
            return Err("AccessDenied");
        }
        let (policy, arn, profile) = (of("PolicyName"), of("PolicyArn"), of("InstanceProfileName"));
        let there = match operation {
            "GetRole" => return Ok(role_xml(&name, role)),
            "PutRolePolicy" => {
                role.inline.insert(policy, of("PolicyDocument"));
                true
            }
            "AttachRolePolicy" => {
                role.attached.insert(arn);
                true
            }
            "ListAttachedRolePolicies" => {
                let item = |arn: &str| format!("<member><PolicyArn>{arn}</PolicyArn></member>");
                return Ok(page("AttachedPolicies", &role.attached, parameters, item));
            }
            "ListRolePolicies" => {
                let names: BTreeSet<String> = role.inline.keys().cloned().collect();
                return Ok(page("PolicyNames", &names, parameters, |name| format!("<member>{name}</member>")));
            }
            "ListInstanceProfilesForRole" => {
                let item = |name: &str| format!("<member><InstanceProfileName>{name}</InstanceProfileName></member>");
                return Ok(page("InstanceProfiles", &role.profiles, parameters, item));
            }
            "DetachRolePolicy" => role.attached.remove(&arn),
            "DeleteRolePolicy" => role.inline.remove(&policy).is_some(),
            "RemoveRoleFromInstanceProfile" => role.profiles.remove(&profile),
            "DeleteRole" => {
                if !(role.attached.is_empty() && role.inline.is_empty() && role.profiles.is_empty()) {
                    return Err("DeleteConflict");
                }
                self.roles.remove(&name).is_some()
            }
            _ => panic!("{operation} is not needed"),
        };
        if there { Ok(String::new()) } else { Err("NoSuchEntity") }
    }

    fn create_role(&mut self, parameters: &Parameters) -> Result<String, &'static str> {
        let of = |key: &str| parameters.get(key).cloned().unwrap_or_default();
        let name = of("RoleName");
        if self.roles.contains_key(&name) {
            return Err("EntityAlreadyExists");
        }
        let boundary = parameters.get("PermissionsBoundary").cloned();
        let account = boundary.as_deref().and_then(|arn| arn.split(':').nth(4)).unwrap_or_default();
        let tags = (1..).map_while(|i| {
            let part = |part| parameters.get(&format!("Tags.member.{i}.{part}")).cloned();
            part("Key").zip(part("Value"))
        });
        let role = Role {
            arn: format!("arn:aws:iam::{account}:role{}{name}", of("Path")),
            trust: of("AssumeRolePolicyDocument"),
            description: of("Description"),
            tags: tags.collect(),
            boundary,
            ..Role::default()
        };
        let xml = role_xml(&name, &role);
        self.roles.insert(name, role);
        Ok(xml)
    }
}

fn role_xml(name: &str, role: &Role) -> String {
    let Role { arn, boundary, tags, .. } = role;
    let created = requested_at();
    let mut xml = format!(
        "<Role><Path>/daypass/</Path><RoleName>{name}</RoleName><RoleId>AROAEXAMPLE</RoleId><Arn>{arn}</Arn>\
         <CreateDate>{created}</CreateDate><Tags>"
    );
    for (key, value) in tags {
        let _ = write!(xml, "<member><Key>{key}</Key><Value>{value}</Value></member>");
    }
    xml += "</Tags>";
    if let Some(arn) = boundary {
        let _ = write!(
            xml,
            "<PermissionsBoundary><PermissionsBoundaryArn>{arn}</PermissionsBoundaryArn></PermissionsBoundary>"
        );
    }
    xml + "</Role>"
}

/// One page of a list, from after the marker.
fn page(list: &str, all: &BTreeSet<String>, parameters: &Parameters, item: impl Fn(&str) -> String) -> String {
    let marker = parameters.get("Marker").cloned().unwrap_or_default();
    let rest: Vec<&String> = all.iter().filter(|it| **it > marker).collect();
    let shown = &rest[..rest.len().min(PAGE)];
    let items: String = shown.iter().map(|it| item(it)).collect();
    let more = match shown.last() {
        Some(marker) if rest.len() > PAGE => format!("<IsTruncated>true</IsTruncated><Marker>{marker}</Marker>"),
        _ => "<IsTruncated>false</IsTruncated>".to_owned(),
    };
    format!("<{list}>{items}</{list}>{more}")
}
