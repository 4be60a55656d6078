//! Identifiers that can only hold valid values.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::{Uuid, Variant};

use crate::{
    names::{BOUNDARY_POLICY, DEPLOY_ROLE_PATH, DEPLOY_ROLE_PREFIX, PROVISIONER_ROLE},
    text::Quoted,
};

/// A text is not the identifier that it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not {expected}", Quoted(.value))]
pub struct IdError {
    value: String,
    expected: &'static str,
}

/// Implements what all identifiers share: `try_from` for serde, text in both directions.
macro_rules! wire_text {
    ($($name:ident),+) => {$(
        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    )+};
}

wire_text!(TransactionId, AccountId, Email, RoleArn);

/// The id of a transaction: the name of its Step Functions execution, a UUID in its canonical lower-case form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TransactionId(Uuid);

impl TransactionId {
    /// The name of the transaction's deploy role (44 characters of IAM's 64).
    #[must_use]
    pub fn role_name(self) -> String {
        format!("{DEPLOY_ROLE_PREFIX}{self}")
    }

    /// The ARN that the transaction's deploy role has in `account`.
    #[must_use]
    pub fn role_arn(self, partition: &str, account: &AccountId) -> RoleArn {
        let (partition, account) = (partition.to_owned(), account.clone());
        RoleArn { partition, account, path: DEPLOY_ROLE_PATH.to_owned(), name: self.role_name() }
    }

    /// Whether `role` is the transaction's deploy role, in whichever account.
    #[must_use]
    pub fn owns(self, role: &RoleArn) -> bool {
        role.path == DEPLOY_ROLE_PATH && role.name == self.role_name()
    }

    /// Whether it is a random UUID (version 4), which only chance can make the same as another. Callers choose the names of
    /// executions; an id that derives from something (versions 3, 5 and 8) could be chosen to meet what it derives from.
    #[must_use]
    pub fn is_random(self) -> bool {
        self.0.get_version_num() == 4 && self.0.get_variant() == Variant::RFC4122
    }

    /// The id of the item that records the end of the transaction. It derives from this one, so that every execution
    /// that ends the transaction, and every retry of it, writes the same item.
    #[must_use]
    pub fn end(self) -> EndId {
        EndId(format!("{self}{END}"))
    }
}

impl FromStr for TransactionId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        // Only one spelling: the id is also an execution name, a role name and a tag value, compared as text.
        match Uuid::try_parse(text) {
            Ok(uuid) if uuid.hyphenated().to_string() == text => Ok(Self(uuid)),
            _ => Err(IdError {
                value: text.to_owned(),
                expected: "a UUID in lower case, as Step Functions gives it to an execution that is started without a name",
            }),
        }
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// What follows the id of a transaction in the id of its end. No execution can be named so: Step Functions refuses `#`.
/// Source: <https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html> (`name`).
const END: &str = "#end";

/// The id of the item that records the end of a transaction, `<transaction id>#end`. What no caller can name, no caller can
/// take the place of.
///
/// An end that the version before has begun has a UUID in its place (version 5, from the transaction's). Where the id is
/// read from the table it is any text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EndId(String);

impl fmt::Display for EndId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of an AWS account: 12 digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(String);

impl AccountId {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError { value: text.to_owned(), expected: "an AWS account id: 12 digits" })
        }
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An e-mail address: ASCII, one `@`, at most 254 characters (RFC 5321), no white space.
///
/// Only ASCII, so that no look-alike letter can name another person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

impl Email {
    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let local_char = |b: u8| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b);
        let label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let valid = text.len() <= 254
            && text.split_once('@').is_some_and(|(local, domain)| {
                (1..=64).contains(&local.len())
                    && local.bytes().all(local_char)
                    && domain.contains('.')
                    && domain.split('.').all(label)
            });
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError { value: text.to_owned(), expected: "an e-mail address in ASCII, such as alex@example.com" })
        }
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The ARN of an IAM role, in its parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoleArn {
    partition: String,
    account: AccountId,
    path: String,
    name: String,
}

impl RoleArn {
    /// The account that the role is in.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// The name of the role, without its path.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ARN of the provisioner role of the same account.
    #[must_use]
    pub fn provisioner(&self) -> Self {
        Self { path: "/".to_owned(), name: PROVISIONER_ROLE.to_owned(), ..self.clone() }
    }

    /// The ARN of the boundary policy of the same account.
    #[must_use]
    pub fn boundary(&self) -> String {
        format!("arn:{}:iam::{}:policy/{BOUNDARY_POLICY}", self.partition, self.account)
    }

    /// The pattern that matches every instance profile of the same account.
    #[must_use]
    pub fn instance_profiles(&self) -> String {
        format!("arn:{}:iam::{}:instance-profile/*", self.partition, self.account)
    }
}

fn is_partition(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

impl FromStr for RoleArn {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let role = match parts[..] {
            ["arn", partition, "iam", "", account, resource] if is_partition(partition) => {
                account.parse().ok().zip(resource.strip_prefix("role").and_then(|r| r.rsplit_once('/'))).map(
                    |(account, (path, name))| Self {
                        partition: partition.to_owned(),
                        account,
                        path: format!("{path}/"),
                        name: name.to_owned(),
                    },
                )
            }
            _ => None,
        };
        let name_char = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
        role.filter(|role| {
            role.path.starts_with('/')
                && role.path.len() <= 512
                && role.path.bytes().all(|b| b.is_ascii_graphic())
                && (1..=64).contains(&role.name.len())
                && role.name.bytes().all(name_char)
        })
        .ok_or_else(|| IdError {
            value: text.to_owned(),
            expected: "the ARN of a role, such as arn:aws:iam::123456789012:role/name",
        })
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, account, path, name } = self;
        write!(f, "arn:{partition}:iam::{account}:role{path}{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11";

    #[test]
    fn transaction_ids() {
        let id: TransactionId = ID.parse().expect("a UUID");
        assert_eq!(id.to_string(), ID);
        assert_eq!(id.role_name(), format!("daypass-{ID}"));
        assert_eq!(id.end().to_string(), format!("{ID}#end"));
        assert!(id.end().to_string().parse::<TransactionId>().is_err(), "no transaction has the id of an end");
        let spellings = [ID.to_uppercase(), ID.replace('-', ""), format!("{{{ID}}}"), format!("urn:uuid:{ID}")];
        for bad in spellings.iter().map(String::as_str).chain(["", "x", "release"]) {
            assert!(bad.parse::<TransactionId>().is_err(), "{bad}");
        }
    }

    /// An id of another version, or of another variant, is one that somebody could have computed.
    #[test]
    fn random_transaction_ids() {
        let is_random = |text: &str| text.parse::<TransactionId>().expect(text).is_random();
        assert!(is_random(ID));
        for version in "012356789abcdef".chars() {
            assert!(!is_random(&format!("6f0f4a38-6ad0-{version}c35-9d4c-0a3f1c5f1c11")), "{version}");
        }
        for variant in "01234567cdef".chars() {
            assert!(!is_random(&format!("6f0f4a38-6ad0-4c35-{variant}d4c-0a3f1c5f1c11")), "{variant}");
        }
    }

    #[test]
    fn account_ids() {
        assert!("012345678901".parse::<AccountId>().is_ok());
        for bad in ["", "12345678901", "1234567890123", "12345678901a", "１２３４５６７８９０１２", " 12345678901"]
        {
            assert!(bad.parse::<AccountId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn emails() {
        for good in ["alex@example.com", "o'brien+ci@mail.example.co.uk", "A.B-c_d@x-1.io"] {
            assert_eq!(good.parse::<Email>().expect(good).as_str(), good);
        }
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long_domain = format!("a@{}.com", "b".repeat(250));
        let bad = ["", "alex", "@example.com", "alex@", "alex@localhost", "a b@example.com", "a@b@example.com"];
        let more = ["alex@example..com", "alex@-x.com", "аlex@example.com", "alex@exаmple.com", "alex@example.com\n"];
        for bad in bad.into_iter().chain(more).chain([long_local.as_str(), long_domain.as_str()]) {
            assert!(bad.parse::<Email>().is_err(), "{bad}");
        }
    }

    #[test]
    fn role_arns() {
        for good in ["arn:aws:iam::123456789012:role/x", "arn:aws-us-gov:iam::123456789012:role/a/b/x+=,.@_-"] {
            assert_eq!(good.parse::<RoleArn>().expect(good).to_string(), good);
        }
        let id: TransactionId = ID.parse().expect("a UUID");
        let arn = id.role_arn("aws", &"222222222222".parse().expect("an account"));
        assert_eq!(arn.to_string(), format!("arn:aws:iam::222222222222:role/daypass/daypass-{ID}"));
        assert_eq!(arn.to_string().parse::<RoleArn>().as_ref(), Ok(&arn));
        assert!(id.owns(&arn));
        let other: TransactionId = "7f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11".parse().expect("a UUID");
        assert!(!other.owns(&arn), "the name is another");
        assert!(!id.owns(&RoleArn { path: "/".to_owned(), ..arn.clone() }), "the path is another");
        assert_eq!(arn.provisioner().to_string(), "arn:aws:iam::222222222222:role/daypass-provisioner");
        assert_eq!(arn.boundary(), "arn:aws:iam::222222222222:policy/daypass-boundary");
        let bad = ["", "x", "arn:aws:iam::1:role/x", "arn:aws:iam::123456789012:user/x"];
        let more =
            ["arn:aws:iam::123456789012:role/", "arn:aws:iam::123456789012:rolex", "arn:aws:sts::123456789012:role/x"];
        let control = ["arn:a\nws:iam::123456789012:role/x", "arn:aws:iam::123456789012:role/a\nb/x"];
        let long = format!("arn:aws:iam::123456789012:role/{}/x", "p".repeat(511));
        for bad in bad.into_iter().chain(more).chain(control).chain([long.as_str()]) {
            assert!(bad.parse::<RoleArn>().is_err(), "{bad}");
        }
    }
}
