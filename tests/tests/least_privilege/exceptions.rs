//! What the comparison cannot see or has to expect, each with its reason. An entry that is not needed any more fails it.

use daypass_tests::engine::Refusal;
use wildmatch::WildMatch;

use super::policies::{HUB, Permission, TARGET};

/// Permissions whose use the engine cannot show.
#[derive(Debug)]
pub struct NotShown {
    /// Of these roles, `*` for any text.
    role: &'static str,
    statement: &'static str,
    #[expect(dead_code, reason = "for the reader, here and in a failure")]
    why: &'static str,
}

/// All of them.
pub const NOT_SHOWN: [NotShown; 10] = [
    NotShown {
        role: "daypass-*",
        statement: "OwnLogs",
        why: "Lambda writes what a function prints; the engine does so without a call",
    },
    NotShown {
        role: "daypass-*",
        statement: "Traces",
        why: "Lambda and Step Functions send traces to X-Ray, which the engine does not have",
    },
    NotShown {
        role: "daypass-*provision",
        statement: "DeliverLogs",
        why: "Step Functions sets up the delivery of its logs with these; the engine writes to the log group at once \
              (https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html)",
    },
    NotShown {
        role: "daypass-record",
        statement: "KeyOfTheTable",
        why: "DynamoDB uses the key on the caller's behalf; the engine encrypts nothing at rest \
              (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html)",
    },
    NotShown { role: "daypass-provision", statement: "KeyOfTheTable", why: "the same, for the table of used tokens" },
    NotShown { role: "daypass-renew", statement: "DeliverLogs", why: "the same as of the other machines" },
    NotShown { role: "daypass-renew", statement: "KeyOfTheTable", why: "the same as of provision" },
    NotShown {
        role: "daypass-deprovision",
        statement: "KeyOfTheTopics",
        why: "SNS uses the key of an encrypted topic on the sender's behalf; the engine encrypts nothing at rest \
              (https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html)",
    },
    NotShown { role: "daypass-sweep", statement: "DeliverLogs", why: "the same as of the other machines" },
    NotShown { role: "daypass-sweep", statement: "KeyOfTheTable", why: "the same, for the transactions" },
];

impl NotShown {
    pub fn covers(&self, permission: &Permission) -> bool {
        WildMatch::new(self.role).matches(&permission.role) && permission.statement == self.statement
    }
}

/// Calls that everybody may make, whatever their policies say.
pub const NEED_NO_PERMISSION: [(&str, &str); 1] =
    [("sts:GetCallerIdentity", "a function connects to STS with it before the first request needs the connection")];

/// A refusal that a task has to cope with.
#[derive(Debug)]
pub struct ExpectedRefusal {
    /// Who assumed the provisioner role.
    via: &'static str,
    /// Each of them is refused.
    calls: &'static [&'static str],
    resource: &'static str,
    #[expect(dead_code, reason = "for the reader, here and in a failure")]
    why: &'static str,
}

/// All of them.
pub const EXPECTED_REFUSALS: [ExpectedRefusal; 3] = [
    ExpectedRefusal {
        via: "delete-role",
        calls: &[
            "iam:PutRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:ListRolePolicies",
            "iam:ListInstanceProfilesForRole",
            "iam:DeleteRole",
        ],
        resource: "role/daypass-<id>",
        why: "the role is not there, and IAM judges by its name without the path (docs/decisions/0004)",
    },
    ExpectedRefusal {
        via: "delete-role",
        calls: &["iam:GetRole"],
        resource: "role/daypass-<id>",
        why: "the same, in an account with a target stack of the version before, which a scenario plays",
    },
    ExpectedRefusal {
        via: "delete-role",
        calls: &[
            "iam:PutRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:ListRolePolicies",
            "iam:ListInstanceProfilesForRole",
            "iam:DeleteRole",
            "iam:GetRole",
        ],
        resource: "role/daypass/daypass-<id>",
        why: "somebody has taken the boundary off the role, which is deleted all the same; or everything is denied to the \
              provisioner, which a scenario plays",
    },
];

impl ExpectedRefusal {
    /// The single refusals.
    pub fn each(&self) -> impl Iterator<Item = Refusal> {
        self.calls.iter().map(|call| Refusal {
            principal: format!("arn:aws:iam::{TARGET}:role/daypass-provisioner"),
            via: Some(format!("arn:aws:iam::{HUB}:role/daypass-{}", self.via)),
            call: (*call).to_owned(),
            resource: format!("arn:aws:iam::{TARGET}:{}", self.resource),
        })
    }
}
