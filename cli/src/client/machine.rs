//! ARNs of state machines, and what can be told from them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// `arn:PARTITION:states:REGION:ACCOUNT:stateMachine:NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MachineArn {
    partition: String,
    region: String,
    account: String,
    name: String,
}

impl MachineArn {
    /// The region that it is in.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The partition of that region.
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// The account that it is in.
    pub fn account(&self) -> &str {
        &self.account
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The machine beside it that has this name.
    pub fn named(&self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self.clone() }
    }

    pub fn execution(&self, name: &str) -> String {
        let Self { partition, region, account, name: machine } = self;
        format!("arn:{partition}:states:{region}:{account}:execution:{machine}:{name}")
    }

    /// The alias of a KMS key beside it.
    pub fn key(&self, alias: &str) -> String {
        let Self { partition, region, account, .. } = self;
        format!("arn:{partition}:kms:{region}:{account}:{alias}")
    }
}

impl FromStr for MachineArn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part = |text: &str| {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
            (!text.is_empty() && text.bytes().all(allowed)).then(|| text.to_owned())
        };
        let parts: Vec<&str> = text.split(':').collect();
        let arn = match parts[..] {
            ["arn", partition, "states", region, account, "stateMachine", name] if account.len() == 12 => (|| {
                let (partition, region) = (part(partition)?, part(region)?);
                Some(Self { partition, region, account: part(account)?, name: part(name)? })
            })(
            ),
            _ => None,
        };
        let example = "arn:aws:states:us-east-1:111111111111:stateMachine:daypass-provision";
        arn.ok_or_else(|| format!("`{text}` is not the ARN of a state machine, such as {example}"))
    }
}

impl TryFrom<String> for MachineArn {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<MachineArn> for String {
    fn from(arn: MachineArn) -> Self {
        arn.to_string()
    }
}

impl fmt::Display for MachineArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, region, account, name } = self;
        write!(f, "arn:{partition}:states:{region}:{account}:stateMachine:{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_told_from_an_arn() {
        let text = "arn:aws-us-gov:states:us-gov-west-1:111111111111:stateMachine:daypass-provision";
        let arn: MachineArn = text.parse().unwrap();
        assert_eq!((arn.to_string().as_str(), arn.region(), arn.name()), (text, "us-gov-west-1", "daypass-provision"));
        let execution = "arn:aws-us-gov:states:us-gov-west-1:111111111111:execution:daypass-deprovision:x-release";
        assert_eq!(arn.named("daypass-deprovision").execution("x-release"), execution);
        assert_eq!(arn.key("alias/k"), "arn:aws-us-gov:kms:us-gov-west-1:111111111111:alias/k");
    }

    #[test]
    fn what_is_no_machine() {
        for text in [
            "",
            "daypass-provision",
            "arn:aws:states:us-east-1:111111111111:execution:daypass-provision:x",
            "arn:aws:states:us-east-1:1111:stateMachine:x",
            "arn:aws:states:us-east-1:111111111111:stateMachine:",
            "arn:aws:states:evil.example/:111111111111:stateMachine:x",
        ] {
            assert!(text.parse::<MachineArn>().is_err(), "{text}");
        }
    }
}
