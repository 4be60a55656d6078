//! What is known of policies without asking AWS: those that AWS manages, the permissions boundary, and the ways to more
//! rights that are known; and what policies allow. All that is known is built in, from the files beside this crate.

use daypass::policy::Policy;
use serde::de::DeserializeOwned;

pub mod catalogue;
pub mod evaluate;
pub mod methods;
pub mod rights;
pub mod strength;

/// The permissions boundary of deploy roles, a JSON document with parameters of its stack such as `${Account}`.
pub const BOUNDARY: &str = include_str!("../boundary.json");

/// The permissions boundary of the roles that deployments create, a JSON document with parameters of its stack.
pub const WORKLOADS: &str = include_str!("../workloads.json");

/// The permissions boundary of deploy roles in `account`.
#[must_use]
pub fn boundary(partition: &str, account: &str) -> Policy {
    filled(BOUNDARY, partition, account)
}

/// The permissions boundary, in `account`, of the roles that deployments create.
#[must_use]
pub fn workloads(partition: &str, account: &str) -> Policy {
    filled(WORKLOADS, partition, account)
}

fn filled(document: &str, partition: &str, account: &str) -> Policy {
    built_in(&document.replace("${Partition}", partition).replace("${Account}", account))
}

/// The partition in an ARN.
#[must_use]
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
    use crate::methods::METHODS;

    #[test]
    fn everything_that_is_built_in_can_be_read() {
        assert!(!boundary("aws", "123456789012").statements().is_empty());
        assert!(!workloads("aws", "123456789012").statements().is_empty());
        for method in METHODS.iter() {
            assert!(!method.steps.is_empty(), "{}", method.id);
            for step in &method.steps {
                let request = format!("{:?}", step.request("aws", "123456789012"));
                // `{:?}` of a struct has braces of its own, but none that touches a letter.
                let placeholder = request.split('{').skip(1).any(|it| it.starts_with(|c: char| c.is_ascii_lowercase()));
                assert!(!placeholder, "{}: {request}", method.id);
            }
        }
    }
}
