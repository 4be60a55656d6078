//! What the boundary allows of roles and policies, by their ARNs and paths (policies/boundary.json).

use daypass::names::{BOUNDARY_POLICY, DEPLOYED_PATH, FIXED_PATH, WORKLOADS_POLICY};

/// Stands in a text for a part that the file does not say.
pub const HOLE: char = '\0';
/// A longer text is not put together: no ARN and no path is as long.
pub const MOST_CHARS: usize = 4096;

/// The boundaries that a role of a deployment may have.
pub const BOUNDARIES: [&str; 2] = [WORKLOADS_POLICY, BOUNDARY_POLICY];

/// The path of the roles of AWS's services.
const SERVICE_LINKED: &str = "/aws-service-role/";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    Refused,
    /// The file does not say enough.
    Unknown,
}

/// Whether a role of this ARN may be assumed in `account`, if that is known.
pub fn assumed(arn: &str, account: Option<&str>) -> Verdict {
    of_arn(arn, account, |resource| role_below(resource, &[DEPLOYED_PATH, FIXED_PATH]))
}

/// Whether a role of this ARN may be passed to a service.
pub fn passed(arn: &str, account: Option<&str>) -> Verdict {
    of_arn(arn, account, |resource| role_below(resource, &[DEPLOYED_PATH, FIXED_PATH, SERVICE_LINKED]))
}

/// Whether something of this path may be created.
pub fn created(path: &str) -> Verdict {
    begins(path, &[DEPLOYED_PATH])
}

/// Whether a role may have the policy of this ARN as its boundary.
pub fn bounded(arn: &str, account: Option<&str>) -> Verdict {
    of_arn(arn, account, |resource| {
        if resource.contains(HOLE) {
            return Verdict::Unknown;
        }
        let known = resource.strip_prefix("policy/").is_some_and(|name| BOUNDARIES.contains(&name));
        if known { Verdict::Allowed } else { Verdict::Refused }
    })
}

fn of_arn(arn: &str, account: Option<&str>, of_resource: impl Fn(&str) -> Verdict) -> Verdict {
    let fields: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, "iam", "", owner, resource] = fields[..] else {
        return if arn.contains(HOLE) { Verdict::Unknown } else { Verdict::Refused };
    };
    if account.is_some_and(|account| account != owner) && !owner.contains(HOLE) {
        return Verdict::Refused;
    }
    of_resource(resource)
}

fn role_below(resource: &str, paths: &[&str]) -> Verdict {
    const KIND: &str = "role";
    resource.strip_prefix(KIND).map_or_else(|| begins(resource, &[KIND]), |path| begins(path, paths))
}

fn begins(text: &str, with: &[&str]) -> Verdict {
    let (known, rest) = text.split_once(HOLE).map_or((text, None), |(known, rest)| (known, Some(rest)));
    if with.iter().any(|with| known.starts_with(with)) {
        Verdict::Allowed
    } else if rest.is_some() && with.iter().any(|with| with.starts_with(known)) {
        Verdict::Unknown
    } else {
        Verdict::Refused
    }
}

/// What messages say of a text with holes.
pub const PARTLY: &str = "where * is known to the deployment only";

/// A text as messages show it, with `*` for what the file does not say.
pub fn shown(text: &str) -> String {
    text.replace(HOLE, "*")
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Allowed, Refused, Unknown};

    #[test]
    fn roles_are_assumed_below_two_paths_of_the_account() {
        for (arn, verdict) in [
            ("arn:aws:iam::222222222222:role/deployed-by-daypass/eks", Allowed),
            ("arn:\0:iam::\0:role/fixed-for-daypass/a/\0", Allowed),
            ("arn:aws:iam::222222222222:role/eks", Refused),
            ("arn:aws:iam::222222222222:role/deployed-by-daypass", Refused),
            ("arn:aws:iam::222222222222:role/aws-service-role/x", Refused),
            ("arn:aws:iam::444444444444:role/deployed-by-daypass/eks", Refused),
            ("arn:aws:iam::222222222222:role/cdk-\0", Refused),
            ("arn:aws:iam::222222222222:role/\0", Unknown),
            ("arn:aws:iam::222222222222:role/fixed-\0", Unknown),
            ("\0:role/deployed-by-daypass/eks", Unknown),
            ("\0", Unknown),
            ("eks", Refused),
        ] {
            assert_eq!(assumed(arn, Some("222222222222")), verdict, "{arn}");
        }
        assert_eq!(assumed("arn:aws:iam::444444444444:role/deployed-by-daypass/eks", None), Allowed);
        assert_eq!(passed("arn:aws:iam::222222222222:role/aws-service-role/x", None), Allowed);
    }

    #[test]
    fn a_boundary_is_one_of_two_policies_of_the_account() {
        for (arn, verdict) in [
            ("arn:aws:iam::222222222222:policy/daypass-workloads", Allowed),
            ("arn:\0:iam::\0:policy/daypass-boundary", Allowed),
            ("arn:aws:iam::444444444444:policy/daypass-boundary", Refused),
            ("arn:aws:iam::222222222222:policy/x/daypass-boundary", Refused),
            ("arn:aws:iam::aws:policy/PowerUserAccess", Refused),
            ("arn:aws:iam::222222222222:policy/\0", Unknown),
        ] {
            assert_eq!(bounded(arn, Some("222222222222")), verdict, "{arn}");
        }
    }

    #[test]
    fn what_is_created_has_the_path() {
        for (path, verdict) in [
            ("/deployed-by-daypass/", Allowed),
            ("/deployed-by-daypass/shop/", Allowed),
            ("/deployed-by-daypass-2/", Refused),
            ("/", Refused),
            ("/deployed-by-daypass/\0/", Allowed),
            ("/\0/", Unknown),
        ] {
            assert_eq!(created(path), verdict, "{path}");
        }
    }
}
