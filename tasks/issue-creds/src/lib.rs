//! Issues the pipeline's session credentials, sealed to its key.
//!
//! The session comes from the pipeline role and can do one thing: assume the transaction's deploy role. Its tags are
//! transitive and its source identity is the person, so that both stand on every call that the deployment makes.

use std::{io, time::Duration};

use age::x25519::Recipient;
use aws_sdk_sts::{
    Client,
    operation::assume_role::AssumeRoleOutput,
    types::{Credentials, Tag},
};
use daypass::{
    contract::{IssuedCredentials, Person, PersonInput, Proof, SessionCredentials, Transaction},
    error::ErrorName,
    ids::{Email, RoleArn},
    named,
    names::{EMAIL_TAG, PERSONA_TAG, TRANSACTION_TAG},
    policy::{Policy, Statement},
    stage::Stage,
    text::tag_value,
    timestamp::Timestamp,
};
use daypass_aws::AwsError;
use serde::Serialize;
use zeroize::Zeroizing;

#[cfg(test)]
mod tests;

/// The longest that a session from role chaining may last; nothing can ask for more.
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html> (role chaining).
const MAX_SESSION: Duration = Duration::from_hours(1);
/// The shortest session that STS issues. It may outlive a shorter lease: the deploy role's trust policy ends with the
/// lease all the same.
const MIN_SESSION: Duration = Duration::from_mins(15);

/// How much of the room that STS has for a session a session may take, in percent. The one that the pipeline assumes with it
/// has to hold the same tags, and what the pipeline adds.
const ROOMY_PERCENT: i32 = 80;

/// The task.
#[derive(Clone, Debug)]
pub struct IssueCreds {
    client: Client,
    pipeline_role: RoleArn,
}

impl IssueCreds {
    /// A task that issues sessions of `pipeline_role`, which `client` may assume.
    #[must_use]
    pub fn new(client: Client, pipeline_role: RoleArn) -> Self {
        Self { client, pipeline_role }
    }

    /// A session that can assume the transaction's role and nothing else, with as many tags as there is room for.
    async fn session(
        &self,
        transaction: &Transaction,
        person: &Person,
        source_identity: &str,
        now: Timestamp,
    ) -> Result<SessionCredentials, IssueCredsError> {
        let (required, optional) = (required_tags(transaction), optional_tags(person.proof.as_ref()));
        let can_do_with_less = !optional.is_empty();
        let all = required.iter().cloned().chain(optional);
        let issued = match self.assume(transaction, source_identity, all, now).await {
            Err(error) if can_do_with_less && error.code() == Some("PackedPolicyTooLarge") => None,
            Ok(issued) if can_do_with_less && room_taken(&issued) > Some(ROOMY_PERCENT) => None,
            answer => Some(answer?),
        };
        let issued = match issued {
            Some(issued) => issued,
            None => self.assume(transaction, source_identity, required, now).await?,
        };
        // Moved, not copied: the strings that STS's answer was read into are those that are wiped. The answer itself, and
        // what the HTTP client read it from, are the SDK's (docs/decisions/0009).
        let Credentials { access_key_id, secret_access_key, session_token, expiration, .. } =
            issued.credentials.filter(is_whole).ok_or(IssueCredsError::NoCredentials)?;
        let expiration = Timestamp::from_unix_seconds(expiration.secs());
        Ok(SessionCredentials { access_key_id, secret_access_key, session_token, expiration })
    }

    async fn assume(
        &self,
        transaction: &Transaction,
        source_identity: &str,
        tags: impl IntoIterator<Item = SessionTag>,
        now: Timestamp,
    ) -> Result<AssumeRoleOutput, AwsError> {
        let left = transaction.expires_at.since(now).clamp(MIN_SESSION, MAX_SESSION);
        let request = self
            .client
            .assume_role()
            .role_arn(self.pipeline_role.to_string())
            .role_session_name(&transaction.role_name)
            .source_identity(source_identity)
            .duration_seconds(i32::try_from(left.as_secs()).unwrap_or(i32::MAX))
            .policy(session_policy(&transaction.role_arn).to_json());
        let request = tags.into_iter().fold(request, |request, (key, value)| {
            let request = request.transitive_tag_keys(key);
            // It can be built: both of its parts are there.
            match Tag::builder().key(key).value(value).build() {
                Ok(tag) => request.tags(tag),
                Err(_) => request,
            }
        });
        request.send().await.map_err(AwsError::of("sts:AssumeRole"))
    }
}

/// How much of STS's room a session takes, in percent.
fn room_taken(issued: &AssumeRoleOutput) -> Option<i32> {
    #[expect(deprecated, reason = "since June 2026 there is a successor, which not every endpoint sends")]
    let packed = issued.packed_policy_size;
    issued.session_token_utilization.max(packed)
}

/// Whether nothing is missing. The SDK reads an answer that was cut short, and fills in empty texts and the year 1970.
fn is_whole(credentials: &Credentials) -> bool {
    let texts = [&credentials.access_key_id, &credentials.secret_access_key, &credentials.session_token];
    credentials.expiration.secs() > 0 && texts.iter().all(|text| !text.is_empty())
}

/// What the session may do at most. The pipeline role itself may assume every deploy role.
fn session_policy(role: &RoleArn) -> Policy {
    let actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"];
    Policy::new(vec![Statement::allow("OneRole", actions).on(role.to_string())])
}

/// A tag of a session: its key, and its value.
type SessionTag = (&'static str, String);

/// What stands on the session, and on every session that it assumes: what keeps transactions apart, and names the person.
fn required_tags(transaction: &Transaction) -> [SessionTag; 3] {
    [
        (TRANSACTION_TAG, transaction.transaction_id.to_string()),
        (EMAIL_TAG, tag_value(transaction.email.as_str())),
        (PERSONA_TAG, tag_value(&transaction.persona)),
    ]
}

/// What stands there beside it if there is room: which run of which workflow it was.
fn optional_tags(proof: Option<&Proof>) -> Vec<SessionTag> {
    let Some(proof) = proof else { return vec![] };
    let tags = [
        ("daypass:repository-id", &proof.repository_id),
        ("daypass:run-id", &proof.run_id),
        ("daypass:run-attempt", &proof.run_attempt),
        ("daypass:actor-id", &proof.actor_id),
        ("daypass:workflow-ref", &proof.workflow_ref),
    ];
    tags.into_iter().filter_map(|(key, value)| Some((key, tag_value(value.as_ref()?)))).collect()
}

/// Who CloudTrail says it was: the address, or where it does not fit, the id of the Identity Center user.
/// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html> (`SourceIdentity`: 2 to 64 characters
/// of `[\w+=,.@-]`).
fn source_identity(email: &Email, person: &Person) -> String {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    let email = email.as_str();
    if email.len() <= 64 && email.bytes().all(fits) { email.to_owned() } else { person.user_id.clone() }
}

/// What is sealed: the one place where the credentials are written out.
#[derive(Serialize)]
struct Plaintext<'a> {
    access_key_id: &'a str,
    secret_access_key: &'a str,
    session_token: &'a str,
    expiration: Timestamp,
}

/// The most bytes that JSON makes of one (`\u0000`).
const ESCAPED: usize = 6;
/// More than the field names, the quotes and the expiration take.
const FRAME: usize = 256;

/// The credentials as JSON, in a buffer that is wiped when it is dropped. It never grows: memory that a growing buffer
/// leaves behind is not wiped.
fn plaintext(credentials: &SessionCredentials) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
    let SessionCredentials { access_key_id, secret_access_key, session_token, expiration } = credentials;
    let characters = access_key_id.len() + secret_access_key.len() + session_token.len();
    let mut json = Zeroizing::new(Vec::with_capacity(FRAME + ESCAPED * characters));
    let plaintext = Plaintext { access_key_id, secret_access_key, session_token, expiration: *expiration };
    serde_json::to_writer(&mut *json, &plaintext)?;
    Ok(json)
}

/// The credentials as only the holder of the key behind `recipient` can read them: ASCII-armoured age around JSON.
fn seal(credentials: &SessionCredentials, recipient: &Recipient) -> Result<String, age::EncryptError> {
    let json = plaintext(credentials).map_err(io::Error::from)?;
    age::encrypt_and_armor(recipient, &json)
}

impl Stage for IssueCreds {
    type Input = PersonInput;
    type Output = IssuedCredentials;
    type Error = IssueCredsError;

    async fn run(&self, input: PersonInput, now: Timestamp) -> Result<IssuedCredentials, IssueCredsError> {
        let PersonInput { transaction, person } = input;
        let recipient = transaction.recipient.parse().map_err(IssueCredsError::Recipient)?;
        let source_identity = source_identity(&transaction.email, &person);
        let credentials = self.session(&transaction, &person, &source_identity, now).await?;
        let sealed_credentials = seal(&credentials, &recipient).map_err(IssueCredsError::Seal)?;
        Ok(IssuedCredentials { sealed_credentials, source_identity, credentials_expire_at: credentials.expiration })
    }

    async fn warm_up(&self, _now: Timestamp) {
        // The cheapest call of STS: it needs no permission.
        let _ = self.client.get_caller_identity().send().await;
    }
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum IssueCredsError {
    /// The key is none. validate refuses such a request, so this is not about the requester.
    #[error("`recipient` is not an age X25519 public key: {0}")]
    Recipient(&'static str),
    /// The key is one, but nothing can be sealed to it.
    #[error("nothing can be sealed to `recipient`; make a new key with `age-keygen`")]
    Seal(#[source] age::EncryptError),
    /// STS answered without credentials, which it never should.
    #[error("sts:AssumeRole answered without credentials")]
    NoCredentials,
    /// STS did not answer, or with something else.
    #[error("{}", .0.told_in_hub())]
    Aws(#[from] AwsError),
}

named!(IssueCredsError {
    Self::Recipient(_) | Self::Seal(_) => InvalidRequest,
    Self::NoCredentials => AwsUnavailable,
    Self::Aws(error) => (error.name_in_hub(), ErrorName::OF_AWS_IN_HUB),
});
