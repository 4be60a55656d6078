//! Proof that it is the named person's own pipeline run that asks: the identity token that CI gave to the run.
//!
//! A token is believed in this order: the envelope opens with our key; one of our issuers signed it, for us, and it is
//! valid now; it is of the run that the request describes, and the run is the person's; and nobody has used it before.

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use daypass::{
    contract::{Proof, Transaction},
    lambda::AwsError,
    text::Quoted,
    timestamp::Timestamp,
};
use zeroize::Zeroizing;

mod binding;
mod envelope;
mod keys;
mod rules;
mod signature;
mod token;
mod used;

use self::{keys::Keys, token::Unverified};
pub use self::{
    envelope::{EnvelopeError, EnvelopeKey},
    keys::KeysError,
    rules::{Rules, RulesError},
    token::Claims,
    used::UsedTokens,
};
use crate::user::User;

/// Verifies identity tokens.
#[derive(Debug)]
pub struct Prover {
    rules: Rules,
    envelope: EnvelopeKey,
    used: UsedTokens,
    keys: Keys,
}

/// A token of one of our issuers, for us, valid now. What it says is yet to be held against the request.
pub struct Verified<'a> {
    issuer: &'a rules::Issuer,
    claims: Claims,
    token_id: String,
}

impl Prover {
    /// A prover by these rules, that fetches the issuers' keys with `http`.
    #[must_use]
    pub fn new(rules: Rules, envelope: EnvelopeKey, used: UsedTokens, http: SharedHttpConnector) -> Self {
        signature::use_ring();
        Self { rules, envelope, used, keys: Keys::new(http) }
    }

    /// Whether nobody gets a role in the environment without a proof.
    #[must_use]
    pub fn is_required_in(&self, environment: Option<&str>) -> bool {
        environment.is_some_and(|environment| self.rules.required_in.iter().any(|it| it == environment))
    }

    /// Opens the envelope and verifies the token in it.
    ///
    /// # Errors
    /// [`ProofError::NotProven`], or what kept us from finding out.
    pub async fn verify(&self, sealed: &str, now: Timestamp) -> Result<Verified<'_>, ProofError> {
        let token: Zeroizing<String> = self.envelope.open(sealed).await?;
        let unverified = Unverified::read(&token)?;
        let by = &unverified.issuer;
        let issuer = self.rules.issuers.iter().find(|issuer| issuer.url.as_str() == by);
        let issuer = issuer.ok_or_else(|| NotProven::UnknownIssuer(by.clone()))?;
        let key = self.keys.find(&issuer.url, &unverified.key_id, now).await?.ok_or(NotProven::UnknownKey)?;
        let claims = unverified.verify(&key, &issuer.url, &self.rules.audience, now)?;
        Ok(Verified { issuer, claims, token_id: unverified.id() })
    }

    /// Holds a verified token against the request and its person, and uses it up.
    ///
    /// # Errors
    /// [`ProofError::NotProven`], or what kept us from finding out.
    pub async fn prove(
        &self,
        Verified { issuer, claims, token_id }: Verified<'_>,
        transaction: &Transaction,
        user: &User,
    ) -> Result<Proof, ProofError> {
        let proof = binding::bind(issuer, &claims, token_id, transaction, user)?;
        if self.used.claim(&proof.token_id, transaction.transaction_id, claims.expires_at).await? {
            Ok(proof)
        } else {
            Err(NotProven::Used.into())
        }
    }

    /// Connects to whatever a proof needs, side by side.
    pub async fn warm_up(&self, now: Timestamp) {
        let keys = async {
            for issuer in &self.rules.issuers {
                // A request will ask again, and report what is wrong.
                let _ = self.keys.fetch(&issuer.url, now).await;
            }
        };
        tokio::join!(self.envelope.warm_up(), self.used.warm_up(), keys);
    }
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// There is something wrong with it.
    #[error(transparent)]
    NotProven(#[from] NotProven),
    /// The issuer could not be asked for its keys.
    #[error("the keys of the token's issuer cannot be had ({0})")]
    Keys(#[from] KeysError),
    /// AWS did not answer, or with something else.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

impl From<EnvelopeError> for ProofError {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::Unreadable(problem) => NotProven::Envelope(problem).into(),
            EnvelopeError::Aws(error) => error.into(),
        }
    }
}

/// What is wrong with a proof. No text repeats the token, or anything of it that was not verified but the issuer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotProven {
    /// There is none.
    #[error(
        "`identity_token` is missing: in {0} whoever asks has to prove who they are; send the identity token of the CI \
         run, encrypted to this deployment's key"
    )]
    Required(String),
    /// There is one, and nothing to hold it against.
    #[error("`identity_token`: this deployment knows no issuer of identity tokens; leave it out, or configure one")]
    NoIssuers,
    /// The envelope does not open.
    #[error(
        "`identity_token` cannot be decrypted: {0}; encrypt the token to the public key that `aws kms get-public-key` \
         returns for this deployment"
    )]
    Envelope(&'static str),
    /// It is no token, or none that can be believed.
    #[error("the identity token is malformed: {0}")]
    Malformed(&'static str),
    /// It has no such claim, or not as a text.
    #[error("the identity token has no claim {}", Quoted(.0))]
    Missing(String),
    /// Nobody here believes its issuer.
    #[error("the identity token is of {}, which is no issuer that this deployment knows", Quoted(.0))]
    UnknownIssuer(String),
    /// It is signed in a way that proves nothing, or in another way than its key is for.
    #[error("the identity token is not signed with RS256 or ES256, or its key is for something else")]
    Algorithm,
    /// It is signed with a key that its issuer does not have.
    #[error("the identity token is signed with a key that its issuer does not have")]
    UnknownKey,
    /// Its signature is wrong.
    #[error("the signature of the identity token is wrong")]
    Signature,
    /// It is for somebody else.
    #[error("the identity token is for another audience; ask the issuer for one for {}", Quoted(.expected))]
    Audience {
        /// Who we are.
        expected: String,
    },
    /// It has ended.
    #[error("the identity token has expired at {0}; get a new one right before the request")]
    Expired(Timestamp),
    /// It has not begun.
    #[error("the identity token is not valid before {0}; the clocks may be apart")]
    NotYet(Timestamp),
    /// A claim is not what the deployment wants.
    #[error("the identity token's {} is {}, and has to be one of {allowed}", Quoted(.claim), Quoted(.value))]
    Rule {
        /// The claim.
        claim: String,
        /// What it is.
        value: String,
        /// What it may be.
        allowed: String,
    },
    /// The run is somebody else's.
    #[error(
        "the run was triggered by {} ({}), who is not the user that `email` names: that user's {attribute} in IAM Identity \
         Center says otherwise, or nothing", Quoted(.name), Quoted(.claim)
    )]
    OtherPerson {
        /// The claim that says whose it is.
        claim: String,
        /// What it says.
        name: String,
        /// The attribute of the user that it was held against.
        attribute: &'static str,
    },
    /// The run is another one than the request describes.
    #[error("`{field}` is not that of the run, by its identity token: {}", Quoted(.value))]
    Other {
        /// The request's field.
        field: &'static str,
        /// What the token says.
        value: String,
    },
    /// Another transaction has used it.
    #[error("the identity token has been used before; get a new one for each request")]
    Used,
}
