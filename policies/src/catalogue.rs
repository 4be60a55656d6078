//! The policies that AWS manages.

use daypass::policy::Policy;
use serde::Deserialize;
use strsim::jaro_winkler;

use crate::built_in;

/// One policy a line, sorted by ARN; `policies/aws-managed/generate.py` writes it.
const AWS_MANAGED: &str = include_str!("../aws-managed/policies.jsonl");

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
    /// The policy.
    Policy(Policy),
    /// It exists, but for service-linked roles only.
    ServiceLinked,
    /// There is no such policy.
    No,
}

/// What AWS manages under `arn`, of whichever partition: the catalogue is of the partition `aws`, and the others have a
/// part of the same.
#[must_use]
pub fn aws_managed(arn: &str) -> Known {
    let Some((_, name)) = arn.split_once(":iam::aws:policy/") else { return Known::No };
    let start = format!(r#"{{"arn":"arn:aws:iam::aws:policy/{name}""#);
    let Some(line) = AWS_MANAGED.lines().find(|line| line.starts_with(&start)) else { return Known::No };
    let AwsManaged { document } = built_in(line);
    document.map_or(Known::ServiceLinked, Known::Policy)
}

/// The ARN of the policy whose name is the most like that of `arn`, if one is like it at all.
#[must_use]
pub fn nearest(arn: &str) -> Option<&'static str> {
    fn name(arn: &str) -> String {
        arn.rsplit('/').next().unwrap_or(arn).to_ascii_lowercase()
    }
    let wanted = name(arn);
    attachable()
        .map(|known| (known, jaro_winkler(&name(known), &wanted)))
        .filter(|(_, alike)| *alike >= ALIKE)
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(known, _)| known)
}

/// Whether some AWS-managed policy speaks of the service.
#[must_use]
pub fn is_service(prefix: &str) -> bool {
    AWS_MANAGED.contains(&format!("\"{}:", prefix.to_ascii_lowercase()))
}

/// The ARNs of the policies that IAM attaches to a role, in order.
pub fn attachable() -> impl Iterator<Item = &'static str> {
    arns().filter(|arn| !is_service_linked(arn))
}

fn arns() -> impl Iterator<Item = &'static str> {
    AWS_MANAGED.lines().filter_map(|line| line.strip_prefix(r#"{"arn":""#)?.split('"').next())
}

fn is_service_linked(arn: &str) -> bool {
    arn.contains(":policy/aws-service-role/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_can_be_read() {
        let lines: Vec<&str> = AWS_MANAGED.lines().collect();
        assert!(lines.len() > 1_500, "{}", lines.len());
        assert!(lines.is_sorted(), "a diff shows what has changed");
        for line in lines {
            let AwsManaged { document } = built_in(line);
            let arn = line.split('"').nth(3).unwrap();
            assert_eq!(document.is_none(), is_service_linked(arn), "{arn}");
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
