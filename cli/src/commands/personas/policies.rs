//! What is known of policies without asking AWS: those that AWS manages, the permissions boundary, and the ways to more
//! rights that are known. All of it is built in.

use std::collections::BTreeMap;

use daypass::{
    persona::Entitlement,
    policy::{
        OneOrMany, Policy,
        evaluate::{Request, evaluate},
    },
};
use serde::{Deserialize, de::DeserializeOwned};
use strsim::jaro_winkler;

/// One policy a line, sorted by ARN; `policies/aws-managed/generate.py` writes it.
const AWS_MANAGED: &str = include_str!("../../../../policies/aws-managed/policies.jsonl");
const BOUNDARY: &str = include_str!("../../../../policies/boundary.json");
const METHODS: &str = include_str!("../../../../policies/escalation-methods.json");

/// How alike two names are, from 0 to 1, for one to be offered for the other.
const ALIKE: f64 = 0.85;

/// A policy that AWS manages.
#[derive(Deserialize)]
struct AwsManaged {
    document: Option<Policy>,
}

/// What the catalogue knows of an ARN.
#[derive(Debug)]
pub enum Known {
    Policy(Policy),
    /// It exists, but for service-linked roles only.
    ServiceLinked,
    /// There is no such policy.
    No,
}

/// What AWS manages under `arn`, of whichever partition: the catalogue is of the partition `aws`, and the others have a
/// part of the same.
pub fn aws_managed(arn: &str) -> Known {
    let Some((_, name)) = arn.split_once(":iam::aws:policy/") else { return Known::No };
    let start = format!(r#"{{"arn":"arn:aws:iam::aws:policy/{name}""#);
    let Some(line) = AWS_MANAGED.lines().find(|line| line.starts_with(&start)) else { return Known::No };
    let AwsManaged { document } = built_in(line);
    document.map_or(Known::ServiceLinked, Known::Policy)
}

/// The ARN of the policy whose name is the most like that of `arn`, if one is like it at all.
pub fn nearest(arn: &str) -> Option<&'static str> {
    fn name(arn: &str) -> String {
        arn.rsplit('/').next().unwrap_or(arn).to_ascii_lowercase()
    }
    let wanted = name(arn);
    arns()
        .filter(|known| !is_service_linked(known))
        .map(|known| (known, jaro_winkler(&name(known), &wanted)))
        .filter(|(_, alike)| *alike >= ALIKE)
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(known, _)| known)
}

/// Whether some AWS-managed policy speaks of the service.
pub fn is_service(prefix: &str) -> bool {
    AWS_MANAGED.contains(&format!("\"{}:", prefix.to_ascii_lowercase()))
}

fn arns() -> impl Iterator<Item = &'static str> {
    AWS_MANAGED.lines().filter_map(|line| line.strip_prefix(r#"{"arn":""#)?.split('"').next())
}

fn is_service_linked(arn: &str) -> bool {
    arn.contains(":policy/aws-service-role/")
}

/// The permissions boundary of deploy roles in `account`.
pub fn boundary(partition: &str, account: &str) -> Policy {
    built_in(&BOUNDARY.replace("${Partition}", partition).replace("${Account}", account))
}

/// A known way to more rights than somebody was given.
#[derive(Debug, Deserialize)]
pub struct Method {
    /// Its short name.
    pub id: String,
    /// What it does.
    pub name: String,
    /// What one must be allowed for it, all of it.
    pub steps: Vec<Step>,
}

/// One call of a method.
#[derive(Debug, Deserialize)]
pub struct Step {
    /// As policies name it.
    pub action: String,
    resource: String,
    /// What is known of the call; null is a condition key that it does not have.
    #[serde(default)]
    context: BTreeMap<String, Option<OneOrMany>>,
}

impl Step {
    /// The call as it would be made in `account`, of which the methods speak as one of the partition `aws`.
    pub fn request(&self, partition: &str, account: &str) -> Request {
        let fill = |text: &str| {
            // Whichever account, as long as it is not the same.
            let other_account = if account == "333333333333" { "222222222222" } else { "333333333333" };
            let text = text.replace("arn:aws:", &format!("arn:{partition}:"));
            text.replace("{account}", account).replace("{other_account}", other_account)
        };
        let request = Request::new(&self.action, &fill(&self.resource));
        self.context.iter().fold(request, |request, (key, values)| {
            let values = values.as_ref().map(OneOrMany::as_slice).unwrap_or_default();
            request.with(key, values.iter().map(|value| fill(value)))
        })
    }
}

/// Every method that is known.
pub fn methods() -> Vec<Method> {
    #[derive(Deserialize)]
    struct Methods {
        /// What stands for a thing that differs from deployment to deployment.
        placeholders: BTreeMap<String, String>,
        methods: Vec<Method>,
    }
    let Methods { placeholders, mut methods } = built_in(METHODS);
    for (name, value) in placeholders.iter().filter(|(name, _)| !name.ends_with("account")) {
        let placeholder = format!("{{{name}}}");
        for step in methods.iter_mut().flat_map(|method| &mut method.steps) {
            step.resource = step.resource.replace(&placeholder, value);
        }
    }
    methods
}

/// What the policies of a deploy role and the boundary come to, in one account.
pub struct Rights<'a> {
    account: &'a str,
    partition: &'a str,
    policies: Vec<(Origin, Policy)>,
    boundary: Policy,
}

/// Which of a persona's policies it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The managed policy of this index.
    Managed(usize),
    /// The custom policy.
    Custom,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The policies do not allow it.
    NotGranted,
    /// The policies may allow it, and the boundary does not.
    Taken,
    /// Both may allow it.
    Possible,
}

impl<'a> Rights<'a> {
    /// What an entitlement gives in `account`. A managed policy that nobody knows gives nothing.
    pub fn of(entitlement: &'a Entitlement, account: &'a str) -> Self {
        let managed = entitlement.managed_policies.iter().enumerate().filter_map(|(i, arn)| match aws_managed(arn) {
            Known::Policy(policy) => Some((Origin::Managed(i), policy)),
            Known::ServiceLinked | Known::No => None,
        });
        let custom = entitlement.custom_policy.iter().map(|policy| (Origin::Custom, policy.clone()));
        let partition = entitlement.managed_policies.first().map_or("aws", |arn| partition_of(arn));
        let boundary = boundary(partition, account);
        Self { account, partition, policies: managed.chain(custom).collect(), boundary }
    }

    /// What becomes of `step`.
    pub fn outcome(&self, step: &Step) -> Outcome {
        let request = step.request(self.partition, self.account);
        if !evaluate(self.policies.iter().map(|(_, policy)| policy), &request).is_possible() {
            Outcome::NotGranted
        } else if evaluate([&self.boundary], &request).is_possible() {
            Outcome::Possible
        } else {
            Outcome::Taken
        }
    }

    /// Whether `method` works; if so, by which policy its first step does.
    pub fn way(&self, method: &Method) -> Option<Origin> {
        if !method.steps.iter().all(|step| self.outcome(step) == Outcome::Possible) {
            return None;
        }
        let first = method.steps.first()?.request(self.partition, self.account);
        let by = self.policies.iter().find(|(_, policy)| evaluate([policy], &first).is_possible());
        by.map(|(origin, _)| *origin)
    }
}

pub fn partition_of(arn: &str) -> &str {
    arn.split(':').nth(1).unwrap_or_default()
}

#[expect(clippy::expect_used, reason = "a part of this program, and a test reads all of it")]
fn built_in<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).expect("what is built in is right")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_built_in_can_be_read() {
        let lines: Vec<&str> = AWS_MANAGED.lines().collect();
        assert!(lines.len() > 1_500, "{}", lines.len());
        assert!(lines.is_sorted(), "a diff shows what has changed");
        for line in lines {
            let AwsManaged { document } = built_in(line);
            let arn = line.split('"').nth(3).unwrap();
            assert_eq!(document.is_none(), is_service_linked(arn), "{arn}");
        }
        assert!(!boundary("aws", "123456789012").statements().is_empty());
        for method in methods() {
            assert!(!method.steps.is_empty(), "{}", method.id);
            for step in &method.steps {
                let request = format!("{:?}", step.request("aws", "123456789012"));
                // `{:?}` of a struct has braces of its own, but none that touches a letter.
                let placeholder = request.split('{').skip(1).any(|it| it.starts_with(|c: char| c.is_ascii_lowercase()));
                assert!(!placeholder, "{}: {request}", method.id);
            }
        }
    }

    #[test]
    fn policies_are_known_by_arn_and_path() {
        let known = |arn| matches!(aws_managed(arn), Known::Policy(_));
        assert!(known("arn:aws:iam::aws:policy/PowerUserAccess"));
        assert!(known("arn:aws-us-gov:iam::aws:policy/job-function/NetworkAdministrator"));
        assert!(!known("arn:aws:iam::aws:policy/NetworkAdministrator"), "the path is missing");
        assert!(!known("arn:aws:iam::aws:policy/PowerUser"), "the beginning of a name is none");
        assert!(!known("PowerUserAccess"));
        let linked = "arn:aws:iam::aws:policy/aws-service-role/AmazonEKSServiceRolePolicy";
        assert!(matches!(aws_managed(linked), Known::ServiceLinked));
    }

    #[test]
    fn the_nearest_name_is_offered() {
        let name = |arn| nearest(arn).map(|arn| arn.trim_start_matches("arn:aws:iam::aws:policy/"));
        assert_eq!(name("arn:aws:iam::aws:policy/NetworkAdministrator"), Some("job-function/NetworkAdministrator"));
        assert_eq!(name("arn:aws:iam::aws:policy/poweruseraccess"), Some("PowerUserAccess"));
        assert_eq!(name("arn:aws:iam::aws:policy/AmazonEKSClustrePolicy"), Some("AmazonEKSClusterPolicy"));
        assert_eq!(name("arn:aws:iam::aws:policy/AmazonS3ReadOnly"), Some("AmazonS3ReadOnlyAccess"));
        assert_eq!(name("arn:aws:iam::aws:policy/PowerUser"), Some("PowerUserAccess"));
        assert_eq!(name("arn:aws:iam::aws:policy/Zzz"), None);
    }

    #[test]
    fn services_are_known_by_their_prefix() {
        assert!(is_service("s3") && is_service("S3") && is_service("network-firewall"));
        assert!(!is_service("s4") && !is_service("etworkmanager"));
    }
}
