//! The error names of Daypass: what a task can end with, and what the state machines retry and catch.

use std::fmt;

/// Every error name that a task may raise. `Retry` and `Catch` in the ASL, and clients, know errors by these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorName {
    /// The request, or the input of a task, is not what the contract says.
    InvalidRequest,
    /// The transaction id is in use: another execution recorded it, or moved it on.
    TransactionConflict,
    /// No user of Identity Center has the e-mail.
    UserNotFound,
    /// The user exists but is disabled.
    UserDisabled,
    /// Nothing proves that the request comes from the user's own pipeline run.
    IdentityNotProven,
    /// The user is not in the group of the account and persona, or there is no such group.
    NotAMember,
    /// The account is unknown, or not open to the persona.
    AccountNotAllowed,
    /// The branch may not deploy to the account's environment.
    BranchNotAllowed,
    /// The target account has no target stack, or not the one that this version needs.
    TargetAccountNotOnboarded,
    /// AWS refuses what Daypass has to do in the target account, and will refuse it again: a policy denies it, for instance.
    TargetAccountRefused,
    /// A role of the transaction's name exists and is not the transaction's.
    RoleConflict,
    /// A quota of IAM is exhausted in the target account, or a limit of the deployment's own.
    QuotaExceeded,
    /// AWS asked to slow down.
    Throttled,
    /// AWS did not answer, or answered with something that no other name covers.
    AwsUnavailable,
    /// IAM does not show the role yet: it is eventually consistent.
    RoleNotVisibleYet,
    /// No transaction has the id.
    TransactionNotFound,
    /// The transaction is another one than the caller describes.
    TransactionMismatch,
    /// What is recorded of the transaction is not what Daypass writes: somebody else has changed the table.
    RecordBroken,
    /// AWS refuses what Daypass has to do in its own accounts, and will refuse it again.
    HubRefused,
}

impl ErrorName {
    /// All of them, in the order of the design.
    pub const ALL: [Self; 19] = [
        Self::InvalidRequest,
        Self::TransactionConflict,
        Self::UserNotFound,
        Self::UserDisabled,
        Self::IdentityNotProven,
        Self::NotAMember,
        Self::AccountNotAllowed,
        Self::BranchNotAllowed,
        Self::TargetAccountNotOnboarded,
        Self::TargetAccountRefused,
        Self::RoleConflict,
        Self::QuotaExceeded,
        Self::Throttled,
        Self::AwsUnavailable,
        Self::RoleNotVisibleYet,
        Self::TransactionNotFound,
        Self::TransactionMismatch,
        Self::RecordBroken,
        Self::HubRefused,
    ];

    /// The name on the wire, as the ASL and clients see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "Daypass.InvalidRequest",
            Self::TransactionConflict => "Daypass.TransactionConflict",
            Self::UserNotFound => "Daypass.UserNotFound",
            Self::UserDisabled => "Daypass.UserDisabled",
            Self::IdentityNotProven => "Daypass.IdentityNotProven",
            Self::NotAMember => "Daypass.NotAMember",
            Self::AccountNotAllowed => "Daypass.AccountNotAllowed",
            Self::BranchNotAllowed => "Daypass.BranchNotAllowed",
            Self::TargetAccountNotOnboarded => "Daypass.TargetAccountNotOnboarded",
            Self::TargetAccountRefused => "Daypass.TargetAccountRefused",
            Self::RoleConflict => "Daypass.RoleConflict",
            Self::QuotaExceeded => "Daypass.QuotaExceeded",
            Self::Throttled => "Daypass.Throttled",
            Self::AwsUnavailable => "Daypass.AwsUnavailable",
            Self::RoleNotVisibleYet => "Daypass.RoleNotVisibleYet",
            Self::TransactionNotFound => "Daypass.TransactionNotFound",
            Self::TransactionMismatch => "Daypass.TransactionMismatch",
            Self::RecordBroken => "Daypass.RecordBroken",
            Self::HubRefused => "Daypass.HubRefused",
        }
    }
}

impl fmt::Display for ErrorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
