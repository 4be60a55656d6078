//! The rules that a `personas.json` keeps.

/// A rule that a `personas.json` must keep to be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The text is JSON.
    Json,
    /// A value has the type that belongs there.
    ValueType,
    /// There are no keys but the known ones.
    UnknownKey,
    /// No needed key is missing.
    MissingKey,
    /// A key stands in its object once.
    RepeatedKey,
    /// What is named is there.
    UnknownReference,
    /// Names have the characters and the length that they may have.
    Name,
    /// An account id is 12 digits.
    AccountId,
    /// What can be there once is there once.
    Repetition,
    /// What needs content has some.
    Empty,
    /// Group names have what Identity Center takes, and each is for one account and persona.
    GroupName,
    /// A group type belongs to one persona.
    GroupType,
    /// A branch pattern can match a branch.
    BranchPattern,
    /// A repository is named as its issuer names it.
    Repository,
    /// What opens or closes an environment is one of the known words.
    IdentityToken,
    /// A cap is more than nothing and at most a week.
    RoleTtl,
    /// A persona is granted something.
    NoRights,
    /// A managed policy is named by the ARN of an AWS-managed policy.
    ManagedPolicyArn,
    /// A role has no more managed policies than IAM attaches.
    ManagedPolicyQuota,
    /// A custom policy fits into a role's inline policies.
    CustomPolicySize,
    /// A statement is one of IAM's policy language.
    Statement,
    /// A condition is one of IAM's policy language.
    Condition,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::Json,
        Self::ValueType,
        Self::UnknownKey,
        Self::MissingKey,
        Self::RepeatedKey,
        Self::UnknownReference,
        Self::Name,
        Self::AccountId,
        Self::Repetition,
        Self::Empty,
        Self::GroupName,
        Self::GroupType,
        Self::BranchPattern,
        Self::Repository,
        Self::IdentityToken,
        Self::RoleTtl,
        Self::NoRights,
        Self::ManagedPolicyArn,
        Self::ManagedPolicyQuota,
        Self::CustomPolicySize,
        Self::Statement,
        Self::Condition,
    ];

    /// The name that reports and their readers know the rule by.
    #[must_use]
    pub fn id(self) -> &'static str {
        self.texts().0
    }

    /// The rule as a sentence.
    #[must_use]
    pub fn summary(self) -> &'static str {
        self.texts().1
    }

    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Json => ("json", "The file is JSON."),
            Self::ValueType => ("value-type", "Every value has the type that belongs there."),
            Self::UnknownKey => ("unknown-key", "There are no keys but the known ones."),
            Self::MissingKey => ("missing-key", "No needed key is missing."),
            Self::RepeatedKey => ("repeated-key", "A key stands in its object once."),
            Self::UnknownReference => {
                ("unknown-reference", "Personas, environments and group types that are named somewhere are there.")
            }
            Self::Name => ("name", "Names have the characters and the length that tags and group names take."),
            Self::AccountId => ("account-id", "An account id is 12 digits."),
            Self::Repetition => ("repetition", "Ids, names, statement ids and items of lists are there once."),
            Self::Empty => ("empty", "A list or an object that needs content has some."),
            Self::GroupName => {
                ("group-name", "Group names are ones of Identity Center, and each is for one account and one persona.")
            }
            Self::GroupType => ("group-type", "A group type belongs to one persona."),
            Self::BranchPattern => ("branch-pattern", "A branch pattern can match a branch."),
            Self::Repository => {
                ("repository", "A repository is named as its issuer names it: by its id, where it has one.")
            }
            Self::IdentityToken => ("identity-token", "Identity tokens are required in an environment, or optional."),
            Self::RoleTtl => ("role-ttl", "A cap is more than 0 and at most 168 hours."),
            Self::NoRights => ("no-rights", "A persona is granted something in every environment."),
            Self::ManagedPolicyArn => {
                ("managed-policy-arn", "A managed policy is named by the ARN of an AWS-managed policy.")
            }
            Self::ManagedPolicyQuota => ("managed-policy-quota", "A role has at most 10 managed policies."),
            Self::CustomPolicySize => {
                ("custom-policy-size", "A custom policy leaves room for the guard: it has at most 8,192 characters.")
            }
            Self::Statement => ("statement", "A statement is one of IAM's policy language."),
            Self::Condition => ("condition", "A condition has operators and keys of IAM's policy language."),
        }
    }
}
