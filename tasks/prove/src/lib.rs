//! Proves that it is a run of the named person's pipeline that asks: by the identity token that CI gave to the run.
//!
//! A token is believed in this order: the envelope opens with our key; one of our issuers signed it, for us, and it is
//! valid now; and it is of the run that the request describes. Whether the run is the person's is for authn to see, who
//! knows people; and that nobody has used the token before, for the state machine.

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use daypass::{
    contract::{Proof, ProveInput, Proven, Transaction},
    error::ErrorName,
    named,
    stage::{Failure, Stage},
    text::Quoted,
    timestamp::Timestamp,
};
use daypass_aws::AwsError;
use jsonwebtoken::jwk::Jwk;

mod binding;
mod envelope;
mod issuer_url;
mod keys;
mod rules;
mod signature;
#[cfg(test)]
mod tests;
mod token;

pub use self::{
    envelope::{EnvelopeError, EnvelopeKey},
    keys::KeysError,
    rules::{Rules, RulesError},
    token::{Claims, Unverified},
};
use self::{keys::Keys, rules::Issuer};

/// The task.
#[derive(Debug)]
pub struct Prove {
    rules: Rules,
    envelope: EnvelopeKey,
    keys: Keys,
}

impl Prove {
    /// A task by these rules, that fetches the issuers' keys with `http`.
    #[must_use]
    pub fn new(rules: Rules, envelope: EnvelopeKey, http: SharedHttpConnector) -> Self {
        Self { rules, envelope, keys: Keys::new(http) }
    }

    /// Opens the envelope, verifies the token in it and holds it against the request.
    async fn prove(&self, sealed: &str, transaction: &Transaction, now: Timestamp) -> Result<Judgement, ProveError> {
        let token = self.envelope.open(sealed).await?;
        let unverified = Unverified::read(&token)?;
        let issuer = self.rules.issuer(&unverified.issuer)?;
        let key = self.keys.find(&issuer.url, &unverified.key_id, now).await?.ok_or(NotProven::UnknownKey)?;
        Ok(judge_by_issuer(&self.rules, issuer, &unverified, &key, transaction, now)?)
    }
}

/// What a verified token says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Whose run it is.
    pub proof: Proof,
    /// Why that run may not ask for this, if it may not: the first thing that does not fit.
    pub refusal: Option<NotProven>,
}

/// What a token proves of a request, by the key that it says it is signed with.
///
/// # Errors
/// [`NotProven`] with the first thing that keeps the token from being believed, or from saying whose run it is.
pub fn judge(
    rules: &Rules,
    token: &Unverified<'_>,
    key: &Jwk,
    transaction: &Transaction,
    now: Timestamp,
) -> Result<Judgement, NotProven> {
    judge_by_issuer(rules, rules.issuer(&token.issuer)?, token, key, transaction, now)
}

fn judge_by_issuer(
    rules: &Rules,
    issuer: &Issuer,
    token: &Unverified<'_>,
    key: &Jwk,
    transaction: &Transaction,
    now: Timestamp,
) -> Result<Judgement, NotProven> {
    signature::use_ring();
    let claims = token.verify(key, &issuer.url, &rules.audience, now)?;
    let proof = binding::proof(issuer, &claims, token.id())?;
    Ok(Judgement { proof, refusal: binding::bind(rules, issuer, &claims, transaction).err() })
}

impl Stage for Prove {
    type Input = ProveInput;
    type Output = Proven;
    type Error = ProveError;

    async fn run(&self, input: ProveInput, now: Timestamp) -> Result<Proven, ProveError> {
        let ProveInput { transaction, identity_token, proof_of_request, answers_refusal } = input;
        let judgement = match (&identity_token, &transaction.environment) {
            (Some(sealed), _) => Some(self.prove(sealed, &transaction, now).await?),
            (None, Some(environment)) if self.rules.require_proof_in(environment) => {
                return Err(NotProven::Required(environment.clone()).into());
            }
            // An account that is in no environment is for authz to deny.
            (None, _) => None,
        };
        let Some(Judgement { proof, refusal }) = judgement else {
            return if proof_of_request.is_some() {
                Err(NotProven::RequiredAgain.into())
            } else {
                Ok(Proven { proof: None, refusal: None })
            };
        };
        let of_another_run = || {
            let first = proof_of_request.as_ref()?;
            match self.rules.issuer(&proof.issuer) {
                Ok(issuer) => binding::renew(issuer, first, &proof).err(),
                Err(unknown) => Some(unknown),
            }
        };
        match refusal.or_else(of_another_run).map(ProveError::NotProven) {
            Some(refusal) if !answers_refusal => Err(refusal),
            refusal => Ok(Proven { proof: Some(proof), refusal: refusal.map(|it| Failure::from(&it).message) }),
        }
    }

    /// Side by side: the issuers are far away.
    async fn warm_up(&self, now: Timestamp) {
        let keys = async {
            for issuer in &self.rules.issuers {
                // A request will ask again, and report what is wrong.
                let _ = self.keys.fetch(&issuer.url, now).await;
            }
        };
        tokio::join!(self.envelope.warm_up(), keys);
    }
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// There is something wrong with it.
    #[error(transparent)]
    NotProven(#[from] NotProven),
    /// The issuer could not be asked for its keys.
    #[error("the keys of the token's issuer are not available ({0})")]
    Keys(#[from] KeysError),
    /// AWS did not answer, or with something else.
    #[error("{}", .0.told_in_hub())]
    Aws(#[from] AwsError),
}

impl From<EnvelopeError> for ProveError {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::Unreadable(problem) => NotProven::Envelope(problem).into(),
            EnvelopeError::Aws(error) => error.into(),
        }
    }
}

named!(ProveError {
    Self::NotProven(_) => IdentityNotProven,
    Self::Keys(error) if error.lasts => HubRefused,
    Self::Keys(_) => AwsUnavailable,
    Self::Aws(error) => (error.name_in_hub(), ErrorName::OF_AWS_IN_HUB),
});

/// What is wrong with a proof. No text repeats the token, or anything of it that was not verified but the issuer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotProven {
    /// There is none.
    #[error(
        "`identity_token` is missing: a request in {0} has to prove who triggered it; send the identity token of the \
         CI run, encrypted to this deployment's key"
    )]
    Required(String),
    /// There is none, though the request that is renewed had one.
    #[error(
        "`identity_token` is missing: the request was proven by a token, so each renewal needs one as well; send a new \
         identity token of the same job, encrypted to this deployment's key"
    )]
    RequiredAgain,
    /// It is of another job than the request that is renewed.
    #[error(
        "the identity token is not of the {what} that made the request: its {} is {} instead of {}; renew from that \
         {what}, or request a role for this one",
        Quoted(.claim), Quoted(.of_renewal), Quoted(.of_request)
    )]
    OtherRun {
        /// Whether it is another run, or another job of it.
        what: &'static str,
        /// The claim that says so.
        claim: String,
        /// What it was.
        of_request: String,
        /// What it is.
        of_renewal: String,
    },
    /// The envelope does not open.
    #[error(
        "`identity_token` cannot be decrypted: {0}; encrypt the token to the public key that `aws kms get-public-key` \
         returns for this deployment"
    )]
    Envelope(&'static str),
    /// It is no token, or none that can be believed.
    #[error("the identity token is malformed: {0}")]
    Malformed(&'static str),
    /// It has no such claim, or an empty one, or one that is no text.
    #[error("the identity token has no claim {}", Quoted(.0))]
    Missing(String),
    /// Nobody here believes its issuer.
    #[error("the identity token is of {}, which is not an issuer of this deployment", Quoted(.0))]
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
    #[error("the identity token is for another audience (`aud`); ask the issuer for one for {}", Quoted(.expected))]
    Audience {
        /// Who we are.
        expected: String,
    },
    /// It has ended.
    #[error("the identity token has expired at {0}; get a new one right before the request")]
    Expired(Timestamp),
    /// It has not begun.
    #[error("the identity token is not valid before {0}; the clocks may differ")]
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
    /// The run is another one than the request describes.
    #[error("`{field}` is not that of the run, by the {} of its identity token: {}", Quoted(.claim), Quoted(.value))]
    Other {
        /// The request's field.
        field: &'static str,
        /// The claim that says so.
        claim: String,
        /// What the token says.
        value: String,
    },
}
