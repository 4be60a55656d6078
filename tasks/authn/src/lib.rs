//! Finds out who asks: the user of IAM Identity Center whom the request names, and the proof that it is theirs.

use daypass::{
    contract::{AuthnInput, Person, Proof, Transaction},
    error::ErrorName,
    ids::Email,
    lambda::AwsError,
    stage::{Named, Stage},
    timestamp::Timestamp,
};

pub mod proof;
#[cfg(test)]
mod tests;
pub mod user;

use proof::{NotProven, ProofError, Prover, Verified};
use user::{User, Users};

/// What authn can end with.
pub const RAISES: &[ErrorName] = &[
    ErrorName::InvalidRequest,
    ErrorName::UserNotFound,
    ErrorName::UserDisabled,
    ErrorName::IdentityNotProven,
    ErrorName::Throttled,
    ErrorName::AwsUnavailable,
];

/// The task.
#[derive(Debug)]
pub struct Authn {
    users: Users,
    prover: Option<Prover>,
}

impl Authn {
    /// A task for these users. Without a prover nobody has to prove anything, and nobody can.
    #[must_use]
    pub fn new(users: Users, prover: Option<Prover>) -> Self {
        Self { users, prover }
    }

    /// Verifies the token of the request, and sees to it that there is one where one is required.
    async fn verified(
        &self,
        transaction: &Transaction,
        token: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<(&Prover, Verified<'_>)>, ProofError> {
        let environment = transaction.environment.as_deref();
        match (&self.prover, token) {
            (Some(prover), Some(token)) => Ok(Some((prover, prover.verify(token, now).await?))),
            (Some(prover), None) if prover.is_required_in(environment) => {
                Err(NotProven::Required(environment.unwrap_or_default().to_owned()).into())
            }
            (_, None) => Ok(None),
            (None, Some(_)) => Err(NotProven::NoIssuers.into()),
        }
    }

    async fn user(&self, email: &Email) -> Result<User, AuthnError> {
        let user = self.users.find(email.as_str()).await?;
        let user = user.ok_or_else(|| AuthnError::UserNotFound { email: email.clone() })?;
        if user.enabled { Ok(user) } else { Err(AuthnError::UserDisabled { email: email.clone() }) }
    }
}

impl Stage for Authn {
    type Input = AuthnInput;
    type Output = Person;
    type Error = AuthnError;

    async fn run(&self, input: AuthnInput, now: Timestamp) -> Result<Person, AuthnError> {
        let AuthnInput { transaction, identity_token } = input;
        // First, because whoever cannot prove anything shall not learn who there is.
        let verified = self.verified(&transaction, identity_token.as_deref(), now).await?;
        let user = self.user(&transaction.email).await?;
        let proof: Option<Proof> = match verified {
            Some((prover, verified)) => Some(prover.prove(verified, &transaction, &user).await?),
            None => None,
        };
        // The API calls the name optional; the address names them as well.
        let user_name = user.user_name.unwrap_or_else(|| transaction.email.to_string());
        Ok(Person { user_id: user.user_id, user_name, proof })
    }

    async fn warm_up(&self, now: Timestamp) {
        let proof = async {
            if let Some(prover) = &self.prover {
                prover.warm_up(now).await;
            }
        };
        tokio::join!(self.users.warm_up(), proof);
    }
}

/// Why it is not known who asks.
#[derive(Debug, thiserror::Error)]
pub enum AuthnError {
    /// No user has the address.
    #[error(
        "no user of IAM Identity Center has the e-mail address `{email}`; send the one that the person signs in with, \
         spelled as it is there"
    )]
    UserNotFound {
        /// The address.
        email: Email,
    },
    /// The user may not sign in.
    #[error(
        "the user with the e-mail address `{email}` is disabled in IAM Identity Center; an administrator can enable it"
    )]
    UserDisabled {
        /// The address.
        email: Email,
    },
    /// Nothing proves that it is the user who asks.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// Identity Center did not answer, or with something else.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

impl Named for AuthnError {
    fn name(&self) -> ErrorName {
        match self {
            Self::UserNotFound { .. } => ErrorName::UserNotFound,
            Self::UserDisabled { .. } => ErrorName::UserDisabled,
            Self::Proof(ProofError::NotProven(_)) => ErrorName::IdentityNotProven,
            Self::Proof(ProofError::Keys(_)) => ErrorName::AwsUnavailable,
            Self::Proof(ProofError::Aws(error)) | Self::Aws(error) => error.name(),
        }
    }
}
