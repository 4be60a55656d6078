//! Every setting: what it is called on the command line, in the environment and in the file, and where to find its value.

use clap::Arg;

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
    AwsProfile,
    IdentityTokenKeyArn,
    IdentityTokenAudience,
    Table,
    IdentityStoreId,
    DocsUrl,
}

/// The options that a command takes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// What is requested.
    Request,
    /// Where Daypass is.
    Deployment,
    /// The table of transactions.
    Table,
    /// Where people and groups are.
    IdentityStore,
}

/// How a setting is given on the command line.
struct CommandLine {
    group: Group,
    /// What stands for the value in a help text.
    value: &'static str,
    help: &'static str,
}

struct Row {
    key: Key,
    name: &'static str,
    option: Option<CommandLine>,
    /// Where to find the value, for an error that says that it is missing.
    hint: &'static str,
}

impl Row {
    const fn new(key: Key, name: &'static str) -> Self {
        Self { key, name, option: None, hint: "docs/cli.md describes it" }
    }

    const fn option(self, group: Group, value: &'static str, help: &'static str) -> Self {
        let Self { key, name, hint, .. } = self;
        Self { key, name, option: Some(CommandLine { group, value, help }), hint }
    }

    const fn hint(self, hint: &'static str) -> Self {
        let Self { key, name, option, .. } = self;
        Self { key, name, option, hint }
    }
}

/// In the order of [`Key`], in which settings are shown.
#[rustfmt::skip]
static ROWS: [Row; 22] = [
    Row::new(Key::Account, "account").option(Group::Request, "NAME", "The target account's name").hint("the target account's name, as in personas.json"),
    Row::new(Key::AccountId, "account_id").option(Group::Request, "ID", "The target account's id [default: looked up in `accounts` by name]").hint("the 12 digits of the target account; or add its name and id to `accounts`"),
    Row::new(Key::Accounts, "accounts"),
    Row::new(Key::GroupType, "group_type").option(Group::Request, "TYPE", "The group type, which selects the persona [default: the deployment's default]"),
    Row::new(Key::Ttl, "ttl").option(Group::Request, "DURATION", "The longest life of the role: 1h, 30m, 90s, 1h30m [default: as long as the role can be used, else the deployment's default]"),
    Row::new(Key::JobTimeout, "job_timeout").option(Group::Request, "DURATION", "The time limit of the CI job, from which the default of --ttl follows [default: from CI]"),
    Row::new(Key::SessionDuration, "session_duration").option(Group::Request, "DURATION", "The length of one session of the role; sessions are renewed where possible [default: 1h]"),
    Row::new(Key::Email, "email").option(Group::Request, "EMAIL", "The e-mail address in Identity Center of the person who triggers the deployment; `{actor}` stands for the CI login [default: from CI or git]").hint("the e-mail address in Identity Center of the person who triggers the deployment; in CI for example `{actor}@example.com`"),
    Row::new(Key::Branch, "branch").option(Group::Request, "BRANCH", "The branch that is deployed [default: from CI or git]").hint("the branch that is deployed"),
    Row::new(Key::Repository, "repository").option(Group::Request, "OWNER/NAME", "The repository, as owner/name [default: from CI]"),
    Row::new(Key::RunUrl, "run_url").option(Group::Request, "URL", "The web address of the CI run [default: from CI]"),
    Row::new(Key::Justification, "justification").option(Group::Request, "TEXT", "Why the access is needed; recorded for auditors"),
    Row::new(Key::ProvisionArn, "provision_arn").option(Group::Deployment, "ARN", "The state machine that provisions: output `ProvisionArn` of the hub stack").hint("the output ProvisionArn of the hub stack"),
    Row::new(Key::DeprovisionArn, "deprovision_arn").option(Group::Deployment, "ARN", "The state machine that deprovisions: output `DeprovisionArn` [default: derived from --provision-arn]").hint("the output DeprovisionArn of the hub stack"),
    Row::new(Key::RenewArn, "renew_arn").option(Group::Deployment, "ARN", "The state machine that renews: output `RenewArn` [default: derived from --provision-arn]").hint("the output RenewArn of the hub stack"),
    Row::new(Key::InvokerRoleArn, "invoker_role_arn").option(Group::Deployment, "ARN", "The role that may call Daypass; `daypass` assumes it with the CI run's OIDC token, or with the current AWS credentials"),
    Row::new(Key::AwsProfile, "aws_profile").option(Group::Deployment, "NAME", "The AWS profile to call Daypass with [default: the current AWS credentials]"),
    Row::new(Key::IdentityTokenKeyArn, "identity_token_key_arn").option(Group::Deployment, "ARN", "The KMS key that identity tokens are encrypted to [default: alias/daypass-identity-tokens in the hub account]"),
    Row::new(Key::IdentityTokenAudience, "identity_token_audience").option(Group::Deployment, "AUDIENCE", "The audience of identity tokens: output `IdentityTokenAudience` of the hub stack; without it no token is sent"),
    Row::new(Key::Table, "table").option(Group::Table, "NAME", "The table of transactions: output `TableName` of the hub stack"),
    Row::new(Key::IdentityStoreId, "identity_store_id").option(Group::IdentityStore, "ID", "The identity store that has people and groups, such as d-1234567890").hint("`aws sso-admin list-instances` prints it"),
    Row::new(Key::DocsUrl, "docs_url"),
];

impl Key {
    /// All of them, in the order in which they are shown.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.key)
    }

    /// Those of the options that a command takes together.
    pub fn of(group: Group) -> impl Iterator<Item = Self> {
        Self::all().filter(move |key| key.row().option.as_ref().is_some_and(|option| option.group == group))
    }

    fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// The key in the file.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The environment variable.
    pub fn variable(self) -> String {
        format!("DAYPASS_{}", self.name().to_uppercase())
    }

    /// The option on the command line, where there is one.
    pub fn flag(self) -> Option<String> {
        self.row().option.as_ref().map(|_| format!("--{}", self.long()))
    }

    /// The same for the parser of command lines.
    pub fn arg(self) -> Option<Arg> {
        let CommandLine { value, help, .. } = self.row().option.as_ref()?;
        Some(Arg::new(self.name()).long(self.long()).value_name(*value).help(*help))
    }

    fn long(self) -> String {
        self.name().replace('_', "-")
    }

    /// Where to find a value.
    pub fn hint(self) -> &'static str {
        self.row().hint
    }

    /// The setting that is sent as this field of a request: that of the same name, but for three that have shorter ones.
    pub fn sent_as(field: &str) -> Option<Self> {
        match field {
            "target_aws_account" => Some(Self::Account),
            "target_aws_account_id" => Some(Self::AccountId),
            "role_ttl_hours" => Some(Self::Ttl),
            same => Self::named(same),
        }
    }

    /// The setting of this name.
    pub fn named(text: &str) -> Option<Self> {
        Self::all().find(|key| key.name() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_documented() {
        let page = include_str!("../../../docs/cli.md");
        let (_, table) = page.split_once("| setting |").unwrap();
        let (table, _) = table.split_once("\n\n").unwrap();
        for key in Key::all() {
            let first =
                |row: &str| row.split('|').nth(1).is_some_and(|names| names.contains(&format!("`{}`", key.name())));
            assert!(table.lines().any(first), "docs/cli.md lacks `{}`", key.name());
        }
    }

    #[test]
    fn rows_are_in_the_order_of_the_keys() {
        for (at, row) in ROWS.iter().enumerate() {
            assert_eq!(row.key as usize, at, "{}", row.name);
        }
    }
}
