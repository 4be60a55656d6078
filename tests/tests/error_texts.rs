//! Promise 5, for what goes wrong: no error of a task that has a secret in its hands says it, in whatever way it is
//! formatted, to whomever.
//!
//! What such a task knows of a secret comes from AWS, so every variant that holds an error of AWS is tried with every
//! kind of failure, each with secrets wherever the SDK keeps something. All other variants are listed as well: a new one
//! does not compile before somebody has thought about it here.

use std::{error::Error, io};

use daypass::{
    decision::{Refusal, Subject},
    ids::{Email, RoleArn},
    persona::OriginError,
    stage::Named,
};
use daypass_authn::AuthnError;
use daypass_authz::AuthzError;
use daypass_aws::AwsError;
use daypass_create_role::CreateRoleError;
use daypass_delete_role::DeleteRoleError;
use daypass_issue_creds::IssueCredsError;
use daypass_sessions::{ProvisionerError, TargetRefused};
use daypass_testing::samples::{self, leaks};

/// Every error of a task, given one of AWS, beside a number for its variant.
trait Every: Error + Named + Sized + 'static {
    const VARIANTS: usize;
    fn variant(&self) -> usize;
    fn every(aws: impl Fn() -> AwsError) -> Vec<Self>;
}

fn role() -> RoleArn {
    samples::transaction().role_arn
}

fn email() -> Email {
    samples::transaction().email
}

fn text() -> String {
    "x".to_owned()
}

fn provisioner_errors(aws: impl Fn() -> AwsError) -> [ProvisionerError; 3] {
    [
        ProvisionerError::NotOnboarded { provisioner: role().provisioner(), source: aws() },
        ProvisionerError::Refused(target_refused(&aws)),
        ProvisionerError::Aws(aws()),
    ]
}

fn target_refused(aws: impl Fn() -> AwsError) -> TargetRefused {
    TargetRefused { provisioner: role().provisioner(), source: aws() }
}

impl Every for IssueCredsError {
    const VARIANTS: usize = 4;

    fn variant(&self) -> usize {
        match self {
            Self::Recipient(_) => 0,
            Self::Seal(_) => 1,
            Self::NoCredentials => 2,
            Self::Aws(_) => 3,
        }
    }

    fn every(aws: impl Fn() -> AwsError) -> Vec<Self> {
        let seal = age::EncryptError::Io(io::Error::other("x"));
        vec![Self::Recipient("x"), Self::Seal(seal), Self::NoCredentials, Self::Aws(aws())]
    }
}

impl Every for CreateRoleError {
    const VARIANTS: usize = 10;

    fn variant(&self) -> usize {
        match self {
            Self::UnknownPersona { .. } => 0,
            Self::Provisioner(_) => 1,
            Self::Conflict { .. } => 2,
            Self::Quota { .. } => 3,
            Self::NotVisibleYet { .. } => 4,
            Self::UnknownPolicy { .. } => 5,
            Self::Aws(_) => 6,
            Self::Changed { .. } => 7,
            Self::Refused(_) => 8,
            Self::Incomplete { .. } => 9,
        }
    }

    fn every(aws: impl Fn() -> AwsError) -> Vec<Self> {
        let own = [
            Self::Changed { role: role() },
            Self::Refused(target_refused(&aws)),
            Self::Incomplete { account: samples::transaction().target_aws_account_id, source: aws() },
            Self::UnknownPersona { persona: text(), environment: text() },
            Self::Conflict { role: role() },
            Self::Quota { account: samples::transaction().target_aws_account_id, source: aws() },
            Self::NotVisibleYet { role: role() },
            Self::UnknownPolicy { arn: text(), source: aws() },
            Self::Aws(aws()),
        ];
        own.into_iter().chain(provisioner_errors(aws).map(Self::Provisioner)).collect()
    }
}

impl Every for DeleteRoleError {
    const VARIANTS: usize = 8;

    fn variant(&self) -> usize {
        match self {
            Self::NotOfTransaction { .. } => 0,
            Self::Provisioner(_) => 1,
            Self::NotVisibleYet { .. } => 2,
            Self::StillThere => 3,
            Self::Refused(_) => 4,
            Self::NotDeleted { .. } => 5,
            Self::NotTold { .. } => 6,
            Self::Aws(_) => 7,
        }
    }

    fn every(aws: impl Fn() -> AwsError) -> Vec<Self> {
        let own = [
            Self::NotOfTransaction { role: role(), transaction: samples::transaction().transaction_id },
            Self::NotVisibleYet { role: role() },
            Self::StillThere,
            Self::Refused(aws()),
            Self::NotDeleted { source: aws(), refusal: aws() },
            Self::NotTold { role: role(), source: aws() },
            Self::Aws(aws()),
        ];
        own.into_iter().chain(provisioner_errors(aws).map(Self::Provisioner)).collect()
    }
}

/// Those of the user, which authn tells, and those of everything else, which authz tells. Nothing of AWS's is in them.
fn refusals() -> (Vec<Refusal>, Vec<Refusal>) {
    let (claim, account, repository, environment) = (text, text, text, text);
    let origins = [
        OriginError::NoRepositories { account: account(), repository: repository() },
        OriginError::Repository { claim: claim(), repository: repository(), account: account(), allowed: text() },
        OriginError::NotProtected { claim: claim(), environment: environment() },
        OriginError::ProtectionUnknown { claim: claim(), environment: environment() },
    ];
    let own = vec![
        Refusal::UnknownGroupType { group_type: text(), known: text() },
        Refusal::UnknownPersona { persona: text() },
        Refusal::UserNotFound { email: email() },
        Refusal::UserDisabled { email: email() },
        Refusal::UnknownAccount { asked: text() },
        Refusal::AccountNotOpen { account: text(), persona: text() },
        Refusal::NoBranch { branch: text() },
        Refusal::Branch { branch: text(), environment: text(), patterns: text() },
        Refusal::NoGroup { group: text(), email: email() },
        Refusal::NotAMember { email: email(), group: text() },
        Refusal::Undecided { subject: Subject::Group },
    ];
    let all = own.into_iter().chain(origins.map(Refusal::Run));
    all.partition(|refusal| Refusal::OF_USER.contains(&refusal.name()))
}

impl Every for AuthnError {
    const VARIANTS: usize = 3;

    fn variant(&self) -> usize {
        match self {
            Self::Refused(_) => 0,
            Self::OtherPerson { .. } => 1,
            Self::Aws(_) => 2,
        }
    }

    fn every(aws: impl Fn() -> AwsError) -> Vec<Self> {
        let own = [Self::OtherPerson { email: email(), of_run: samples::proof().user }, Self::Aws(aws())];
        let (of_user, _) = refusals();
        own.into_iter().chain(of_user.into_iter().map(Self::Refused)).collect()
    }
}

impl Every for AuthzError {
    const VARIANTS: usize = 2;

    fn variant(&self) -> usize {
        match self {
            Self::Refused(_) => 0,
            Self::Aws(_) => 1,
        }
    }

    fn every(aws: impl Fn() -> AwsError) -> Vec<Self> {
        let (_, others) = refusals();
        [Self::Aws(aws())].into_iter().chain(others.into_iter().map(Self::Refused)).collect()
    }
}

fn assert_untold<E: Every>() {
    let kinds = leaks::failed_calls().len();
    for kind in 0..kinds {
        let errors = E::every(|| leaks::failed_calls().swap_remove(kind));
        let mut seen: Vec<_> = errors.iter().map(E::variant).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, (0..E::VARIANTS).collect::<Vec<_>>(), "every variant is tried");
        errors.iter().for_each(leaks::assert_untold);
    }
}

#[test]
fn of_issue_creds() {
    assert_untold::<IssueCredsError>();
}

#[test]
fn of_create_role() {
    assert_untold::<CreateRoleError>();
}

#[test]
fn of_delete_role() {
    assert_untold::<DeleteRoleError>();
}

#[test]
fn of_authn() {
    assert_untold::<AuthnError>();
}

#[test]
fn of_authz() {
    assert_untold::<AuthzError>();
}

/// The table above would notice: an error that keeps what the SDK answered says it.
#[test]
fn an_error_with_the_answer_in_it_would_be_noticed() {
    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Careless(String);

    impl Named for Careless {
        fn name(&self) -> daypass::error::ErrorName {
            daypass::error::ErrorName::AwsUnavailable
        }
    }

    let careless = Careless(leaks::assumed());
    std::panic::catch_unwind(|| leaks::assert_untold(&careless)).unwrap_err();
}
