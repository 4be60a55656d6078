//! What a check of an app can find.

use crate::commands::findings::{
    Rule,
    Severity::{self, Error, Note},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppRule {
    AssumeRole,
    PassRole,
    RolePath,
    RoleBoundary,
    PolicyPath,
    Identity,
    OtherCredentials,
    TrustPolicy,
    CannotBeTold,
}

impl AppRule {
    #[cfg(test)]
    pub const ALL: [Self; 9] = [
        Self::AssumeRole,
        Self::PassRole,
        Self::RolePath,
        Self::RoleBoundary,
        Self::PolicyPath,
        Self::Identity,
        Self::OtherCredentials,
        Self::TrustPolicy,
        Self::CannotBeTold,
    ];

    /// The rule in words.
    pub const fn rule(self) -> Rule {
        let (id, severity, summary): (_, Severity, _) = match self {
            Self::AssumeRole => (
                "assume-role",
                Error,
                "A deployment assumes roles of its account below `/deployed-by-daypass/` and `/fixed-for-daypass/` \
                 only.",
            ),
            Self::PassRole => (
                "pass-role",
                Error,
                "A deployment passes roles of its account below `/deployed-by-daypass/` and `/fixed-for-daypass/` \
                 only.",
            ),
            Self::RolePath => ("role-path", Error, "A role has the path `/deployed-by-daypass/`."),
            Self::RoleBoundary => ("role-boundary", Error, "A role has the boundary `daypass-workloads`."),
            Self::PolicyPath => {
                ("policy-path", Error, "A policy or an instance profile has the path `/deployed-by-daypass/`.")
            }
            Self::Identity => {
                ("identity", Error, "A deployment creates no users, groups, access keys or identity providers.")
            }
            Self::OtherCredentials => {
                ("other-credentials", Error, "Terraform uses the credentials of its environment.")
            }
            Self::TrustPolicy => (
                "trust-policy",
                Note,
                "The trust policy of an assumed role allows `sts:TagSession` and `sts:SetSourceIdentity`.",
            ),
            Self::CannotBeTold => ("cannot-be-told", Note, "The files say what is created and assumed."),
        };
        Rule { id, severity, summary }
    }
}
