//! One target account, compared with the deployment: is it on-boarded, by which version, whom does its provisioner role let in,
//! and are its boundaries those of this version?

use std::{cmp::Ordering, collections::BTreeSet, fs, path::Path};

use aws_types::SdkConfig;
use daypass::{
    ids::AccountId,
    names::{BOUNDARY_POLICY, PROVISIONER_ROLE, VERSION_TAG, WORKLOADS_POLICY},
    text::Quoted,
};
use daypass_aws::AwsError;
use serde::Deserialize;

use self::trust::Trust;
use super::check::{Check, Status, worst};
use crate::{client::documents::decoded, error::Error};

mod boundary;
mod document;
mod trust;

const DEPLOY: &str = "deploy the target stack there: `make deploy STACK=DaypassTarget`";
/// A deployment of the stack does not undo what was changed beside it: its template is the same as before.
const BY_HAND: &str = "if that changes nothing, somebody has changed it by hand: `aws cloudformation detect-stack-drift` \
                       finds what, CloudTrail who";
const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a target is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    pub hub: AccountId,
    /// Where the configuration of the deployment is known.
    pub external_ids: Option<ExternalIds>,
}

/// The external ids of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalIds {
    /// The one that the hub's functions send.
    pub used: String,
    /// The others, which targets accept as well.
    pub accepted: Vec<String>,
}

/// What matters here of `cdk/daypass.config.json`. The CDK app judges the whole of it.
#[derive(Debug, Deserialize)]
pub struct Configuration {
    pub hub: Hub,
    external_id: Option<String>,
    #[serde(default)]
    accepted_external_ids: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub struct Hub {
    pub account_id: AccountId,
    pub region: String,
}

impl Configuration {
    /// # Errors
    /// When the file cannot be read or parsed, or has no hub.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let wrong = |problem: String| Error::usage(format!("{}: {problem}", file.display()));
        let json = fs::read_to_string(file).map_err(|error| {
            wrong(format!("cannot be read: {error}"))
                .remedy("give the deployment's configuration, cdk/daypass.config.json, with --deployment-config")
        })?;
        serde_json::from_str(&json).map_err(|error| wrong(format!("cannot be used: {error}")))
    }

    /// With the default that the CDK app fills in (`cdk/lib/config.ts`).
    pub fn external_ids(self) -> ExternalIds {
        let used = self.external_id.unwrap_or_else(|| format!("daypass-{}", self.hub.account_id));
        let accepted = self.accepted_external_ids.into_iter().filter(|id| *id != used).collect();
        ExternalIds { used, accepted }
    }
}

/// What IAM says of a target.
#[derive(Debug)]
struct Facts {
    account: AccountId,
    partition: String,
    /// None where the account is not on-boarded.
    provisioner: Option<Provisioner>,
    boundary: Document,
    workloads: Document,
}

#[derive(Debug)]
struct Provisioner {
    /// Its trust policy.
    trust: String,
    version: Option<String>,
}

/// The default version of a managed policy; none when the policy is not there.
type Document = Result<Option<String>, AwsError>;

/// Asks IAM with credentials of the target account.
///
/// # Errors
/// When the provisioner role cannot be read.
pub async fn examine(
    account: &AccountId,
    partition: &str,
    deployment: &Deployment,
    config: &SdkConfig,
) -> Result<Vec<Check>, Error> {
    let facts = facts(account, partition, config).await.map_err(|error| unread(&error))?;
    Ok(judge(&facts, deployment))
}

/// What could not be read, and the permissions that read it.
fn unread(error: &AwsError) -> Error {
    let is_denied = error.is_access_denied();
    let error = Error::from(error);
    if is_denied {
        error.remedy("the credentials need iam:GetRole, iam:GetPolicy and iam:GetPolicyVersion")
    } else {
        error
    }
}

async fn facts(account: &AccountId, partition: &str, config: &SdkConfig) -> Result<Facts, AwsError> {
    let iam = aws_sdk_iam::Client::new(config);
    let role = iam.get_role().role_name(PROVISIONER_ROLE).send().await.map_err(AwsError::of("iam:GetRole"));
    let provisioner = match role {
        Ok(answer) => answer.role.map(|role| Provisioner {
            trust: decoded(&role.assume_role_policy_document.unwrap_or_default()),
            version: role.tags.unwrap_or_default().into_iter().find(|tag| tag.key == VERSION_TAG).map(|tag| tag.value),
        }),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error),
    };
    let arn = |policy: &str| format!("arn:{partition}:iam::{account}:policy/{policy}");
    let (boundary, workloads) = if provisioner.is_some() {
        let (boundary, workloads) = (arn(BOUNDARY_POLICY), arn(WORKLOADS_POLICY));
        tokio::join!(document(&iam, &boundary), document(&iam, &workloads))
    } else {
        (Ok(None), Ok(None))
    };
    Ok(Facts { account: account.clone(), partition: partition.to_owned(), provisioner, boundary, workloads })
}

async fn document(iam: &aws_sdk_iam::Client, arn: &str) -> Document {
    let version = match iam.get_policy().policy_arn(arn).send().await.map_err(AwsError::of("iam:GetPolicy")) {
        Ok(answer) => answer.policy.and_then(|policy| policy.default_version_id).unwrap_or_default(),
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    let answer = iam.get_policy_version().policy_arn(arn).version_id(version).send().await;
    let version = answer.map_err(AwsError::of("iam:GetPolicyVersion"))?.policy_version;
    Ok(Some(decoded(&version.and_then(|version| version.document).unwrap_or_default())))
}

fn judge(facts: &Facts, deployment: &Deployment) -> Vec<Check> {
    let Facts { account, partition, provisioner, boundary, workloads } = facts;
    let Some(provisioner) = provisioner else {
        let detail = format!("{account} has no role {PROVISIONER_ROLE}: it is not on-boarded");
        return vec![Check::fail("on-boarded", detail, DEPLOY)];
    };
    let mut checks = vec![Check::ok("on-boarded", format!("{account} has {PROVISIONER_ROLE}"))];
    checks.extend(judge_trust(&provisioner.trust, partition, deployment));
    let age = Age::of(provisioner.version.as_deref());
    checks.push(age.check(provisioner.version.as_deref()));
    for (name, document, expected) in [
        (BOUNDARY_POLICY, boundary, daypass_policies::BOUNDARY),
        (WORKLOADS_POLICY, workloads, daypass_policies::WORKLOADS),
    ] {
        checks.push(judge_boundary(name, document, &boundary::Expected::new(expected, partition, account), age));
    }
    checks
}

/// Whom the role lets in, and with which external ids.
fn judge_trust(document: &str, partition: &str, Deployment { hub, external_ids }: &Deployment) -> Vec<Check> {
    const TRUST: &str = "trust";
    const EXTERNAL_ID: &str = "external id";
    let trust = match Trust::read(document, partition, hub) {
        Ok(trust) => trust,
        Err(differences) => {
            let detail = format!(
                "{PROVISIONER_ROLE} does not trust create-role and delete-role of the hub {hub} and nobody else: {}",
                listed_by("; ", differences)
            );
            return vec![Check::fail(TRUST, detail, format!("{DEPLOY}; {BY_HAND}"))];
        }
    };
    let external_id = match external_ids {
        None => Check::skipped(EXTERNAL_ID, "its external ids are not compared: --deployment-config FILE does"),
        Some(ids) => judge_external_ids(EXTERNAL_ID, trust.external_ids(), ids),
    };
    vec![Check::ok(TRUST, format!("trusts {hub}")), external_id]
}

fn judge_external_ids(name: &str, named: &BTreeSet<String>, ExternalIds { used, accepted }: &ExternalIds) -> Check {
    if !named.contains(used) {
        let detail = format!(
            "{PROVISIONER_ROLE} does not accept the hub's external id {}, only {}: requests for this account fail",
            Quoted(used),
            listed(named.iter().map(|id| Quoted(id).to_string()))
        );
        return Check::fail(name, detail, format!("{DEPLOY}; {BY_HAND}"));
    }
    let missing: Vec<_> = accepted.iter().filter(|id| !named.contains(*id)).collect();
    if !missing.is_empty() {
        let detail = format!(
            "{PROVISIONER_ROLE} does not yet accept {} of `accepted_external_ids`",
            listed(missing.iter().map(|id| Quoted(id).to_string()))
        );
        return Check::warn(name, detail, format!("before the hub uses it, {DEPLOY}"));
    }
    let extra: Vec<_> = named.iter().filter(|id| *id != used && !accepted.contains(id)).collect();
    if !extra.is_empty() {
        let detail = format!(
            "{PROVISIONER_ROLE} still accepts {}, which the configuration does not list",
            listed(extra.iter().map(|id| Quoted(id).to_string()))
        );
        return Check::warn(name, detail, format!("{DEPLOY}; {BY_HAND}"));
    }
    Check::ok(name, "accepts its external id")
}

/// The version of a target, compared with that of this command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    Same,
    Newer,
    Older,
    /// It has no tag with its version, as every target that was deployed before there was one.
    Untold,
}

impl Age {
    fn of(version: Option<&str>) -> Self {
        match version {
            None => Self::Untold,
            Some(OWN_VERSION) => Self::Same,
            // A text that is not a version number counts as older.
            Some(other) => match numbers(other).cmp(&numbers(OWN_VERSION)) {
                Ordering::Less => Self::Older,
                Ordering::Equal | Ordering::Greater => Self::Newer,
            },
        }
    }

    fn check(self, version: Option<&str>) -> Check {
        const NAME: &str = "version";
        let version = Quoted(version.unwrap_or_default());
        match self {
            Self::Same => Check::ok(NAME, format!("version {OWN_VERSION}")),
            Self::Newer => Check::warn(
                NAME,
                format!("was deployed by version {version}, this command is {OWN_VERSION}"),
                "install the version of `daypass` that belongs to the deployment (docs/install.md)",
            ),
            Self::Older => {
                Check::warn(NAME, format!("was deployed by version {version}, this command is {OWN_VERSION}"), DEPLOY)
            }
            Self::Untold => Check::warn(
                NAME,
                format!("{PROVISIONER_ROLE} has no tag {VERSION_TAG}: an earlier version has deployed it"),
                DEPLOY,
            ),
        }
    }
}

/// `1.2.3` as numbers, to be compared; what follows a `-` or a `+` does not count.
fn numbers(version: &str) -> Option<Vec<u64>> {
    version.split(['-', '+']).next()?.split('.').map(|number| number.parse().ok()).collect()
}

fn judge_boundary(name: &str, document: &Document, expected: &boundary::Expected, age: Age) -> Check {
    let document = match document {
        Ok(Some(document)) => document,
        Ok(None) => return Check::fail(name, format!("there is no policy {name}"), DEPLOY),
        Err(error) => return Check::error(name, &unread(error)),
    };
    let differences = expected.differences(document);
    if differences.is_empty() {
        return Check::ok(name, format!("{name} unchanged"));
    }
    let what = listed(&differences);
    match age {
        Age::Same => Check::fail(
            name,
            format!("{name} is not that of version {OWN_VERSION}: {what}"),
            format!(
                "make an earlier version of the policy its default (`aws iam list-policy-versions`), or {DEPLOY}; {BY_HAND}"
            ),
        ),
        Age::Newer => Check::warn(
            name,
            format!("{name} is that of another version: {what}"),
            "install the version of `daypass` that belongs to the deployment (docs/install.md)",
        ),
        Age::Older | Age::Untold => Check::warn(name, format!("{name} is that of another version: {what}"), DEPLOY),
    }
}

/// All checks of a target in one line: the warnings and failures, or, if there are none, all of them.
pub fn summary(name: &str, checks: &[Check]) -> Check {
    let status = worst(checks);
    let counts = |check: &&Check| check.status == status || check.status > Status::Ok || status <= Status::Ok;
    let shown: Vec<&Check> = checks.iter().filter(counts).collect();
    let mut remedies: Vec<&str> = shown.iter().filter_map(|check| check.remedy.as_deref()).collect();
    remedies.sort_unstable();
    remedies.dedup();
    // Most remedies contain the same deployment, which is printed once.
    let is_part = |it: &str| remedies.iter().any(|other| *other != it && other.contains(it));
    let remedies: Vec<&str> = remedies.iter().filter(|it| !is_part(it)).copied().collect();
    Check {
        name: name.to_owned(),
        status,
        detail: listed_by("; ", shown.iter().map(|check| &check.detail)),
        remedy: (!remedies.is_empty()).then(|| remedies.join("; ")),
    }
}

fn listed<T: ToString>(all: impl IntoIterator<Item = T>) -> String {
    listed_by(", ", all)
}

fn listed_by<T: ToString>(separator: &str, all: impl IntoIterator<Item = T>) -> String {
    all.into_iter().map(|it| it.to_string()).collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests;
