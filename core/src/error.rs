//! The error names of Daypass: what a task can end with, and what the state machines retry and catch.

use std::fmt;

/// What a caller can make of an error; `daypass` has an exit code for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The answer is no, and the same request will be denied again. The state machines catch these by name.
    Denied,
    /// It did not work now; the same request may succeed later.
    TryAgain,
    /// Somebody has to change something first.
    Failed,
}

/// Makes everything about the names from one table of `Name => Class`.
macro_rules! error_names {
    ($($(#[$comment:meta])* $name:ident => $class:ident,)+) => {
        /// Every error name that a task may raise. `Retry` and `Catch` in the ASL, and clients, know errors by these names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorName {
            $($(#[$comment])* $name,)+
        }

        impl ErrorName {
            /// All of them, in the order of docs/errors.md.
            pub const ALL: [Self; [$(stringify!($name)),+].len()] = [$(Self::$name),+];

            /// The name on the wire, as the ASL and clients see it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("Daypass.", stringify!($name)),)+
                }
            }

            /// What a caller can make of it.
            #[must_use]
            pub const fn class(self) -> Class {
                match self {
                    $(Self::$name => Class::$class,)+
                }
            }
        }
    };
}

error_names! {
    /// The request, or the input of a task, is not what the contract says.
    InvalidRequest => Failed,
    /// The transaction id is in use: another execution recorded it, or moved it on.
    TransactionConflict => Failed,
    /// No user of Identity Center has the e-mail.
    UserNotFound => Denied,
    /// The user exists but is disabled.
    UserDisabled => Denied,
    /// Nothing proves that the request comes from the user's own pipeline run.
    IdentityNotProven => Denied,
    /// The user is not in the group of the account and persona, or there is no such group.
    NotAMember => Denied,
    /// The account is unknown, or not open to the persona.
    AccountNotAllowed => Denied,
    /// The branch may not deploy to the account's environment.
    BranchNotAllowed => Denied,
    /// The target account has no target stack, or not the one that this version needs.
    TargetAccountNotOnboarded => Failed,
    /// AWS refuses what Daypass has to do in the target account, and will refuse it again: a policy denies it, for instance.
    TargetAccountRefused => Failed,
    /// A role of the transaction's name exists and is not the transaction's.
    RoleConflict => Failed,
    /// A quota of IAM is exhausted in the target account, or a limit of the deployment's own.
    QuotaExceeded => TryAgain,
    /// AWS asked to slow down.
    Throttled => TryAgain,
    /// AWS did not answer, or answered with something that no other name covers.
    AwsUnavailable => TryAgain,
    /// IAM does not show the role yet: it is eventually consistent.
    RoleNotVisibleYet => TryAgain,
    /// No transaction has the id.
    TransactionNotFound => Failed,
    /// The transaction is another one than the caller describes.
    TransactionMismatch => Failed,
    /// What is recorded of the transaction is not what Daypass writes: somebody else has changed the table.
    RecordBroken => Failed,
    /// AWS refuses what Daypass has to do in its own accounts, and will refuse it again.
    HubRefused => Failed,
}

impl ErrorName {
    /// What `lambda::AwsError::name` can return.
    pub const OF_AWS: [Self; 2] = [Self::Throttled, Self::AwsUnavailable];
    /// What `lambda::AwsError::name_in_hub` can return.
    pub const OF_AWS_IN_HUB: [Self; 3] = [Self::Throttled, Self::AwsUnavailable, Self::HubRefused];
    /// What the name of a `lambda::ProvisionerError` can be.
    pub const OF_PROVISIONER: [Self; 4] =
        [Self::TargetAccountNotOnboarded, Self::TargetAccountRefused, Self::Throttled, Self::AwsUnavailable];

    /// The one with this name on the wire (`Daypass.NotAMember`).
    #[must_use]
    pub fn from_wire(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }
}

impl fmt::Display for ErrorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
