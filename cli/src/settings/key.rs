//! What can be set, and what it is called: on the command line, in the environment and in the file.

/// One setting. Its name in the file is the name everywhere: `account_id` is `--account-id` and `DAYPASS_ACCOUNT_ID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Account,
    AccountId,
    Accounts,
    GroupType,
    Ttl,
    JobTimeout,
    SessionDuration,
    Email,
    Branch,
    Repository,
    RunUrl,
    Justification,
    ProvisionArn,
    DeprovisionArn,
    RenewArn,
    InvokerRoleArn,
    IdentityTokenKeyArn,
    IdentityTokenAudience,
    AwsProfile,
    Table,
    DocsUrl,
}

impl Key {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 21] = [
        Self::Account,
        Self::AccountId,
        Self::Accounts,
        Self::GroupType,
        Self::Ttl,
        Self::JobTimeout,
        Self::SessionDuration,
        Self::Email,
        Self::Branch,
        Self::Repository,
        Self::RunUrl,
        Self::Justification,
        Self::ProvisionArn,
        Self::DeprovisionArn,
        Self::RenewArn,
        Self::InvokerRoleArn,
        Self::IdentityTokenKeyArn,
        Self::IdentityTokenAudience,
        Self::AwsProfile,
        Self::Table,
        Self::DocsUrl,
    ];

    /// The key in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::AccountId => "account_id",
            Self::Accounts => "accounts",
            Self::GroupType => "group_type",
            Self::Ttl => "ttl",
            Self::JobTimeout => "job_timeout",
            Self::SessionDuration => "session_duration",
            Self::Email => "email",
            Self::Branch => "branch",
            Self::Repository => "repository",
            Self::RunUrl => "run_url",
            Self::Justification => "justification",
            Self::ProvisionArn => "provision_arn",
            Self::DeprovisionArn => "deprovision_arn",
            Self::RenewArn => "renew_arn",
            Self::InvokerRoleArn => "invoker_role_arn",
            Self::IdentityTokenKeyArn => "identity_token_key_arn",
            Self::IdentityTokenAudience => "identity_token_audience",
            Self::AwsProfile => "aws_profile",
            Self::Table => "table",
            Self::DocsUrl => "docs_url",
        }
    }

    /// The environment variable.
    pub fn variable(self) -> String {
        format!("DAYPASS_{}", self.name().to_uppercase())
    }

    /// The option on the command line, where there is one.
    pub fn flag(self) -> Option<String> {
        match self {
            Self::Accounts | Self::DocsUrl => None,
            _ => Some(format!("--{}", self.name().replace('_', "-"))),
        }
    }

    /// Where its value is to be had, for whoever has not given one.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Account => "the target account's name, as in personas.json",
            Self::AccountId => "the target account's 12 digits; or have them in `accounts` beside its name",
            Self::Email => {
                "the address of whoever triggers the deployment, as in Identity Center; in CI perhaps `{actor}@example.com`"
            }
            Self::Branch => "the branch that is deployed",
            Self::ProvisionArn => "the output ProvisionArn of the hub stack",
            Self::DeprovisionArn => "the output DeprovisionArn of the hub stack",
            Self::RenewArn => "the output RenewArn of the hub stack",
            _ => "docs/cli.md says what it is",
        }
    }

    /// What the environment variable, the file or the command line call `text`.
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name() == text)
    }
}
