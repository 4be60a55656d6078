//! What the state machines pass to the tasks and get back, in the order of the ASL.
//!
//! `statemachine/README.md` draws the machines. Field names are the wire names; durations carry their unit in the name.

pub mod fields;
mod request;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use zeroize::{Zeroize, ZeroizeOnDrop};

pub use self::request::{
    Derived, ProvisionInput, RenewInput, Renewal, Request, Transaction, in_hours, read_renewal, read_request,
};
use crate::{
    ids::{AccountId, EndId, RoleArn, TransactionId},
    issuer::Provider,
    timestamp::Timestamp,
};

/// Input of validate: what a caller sent, unread, and to which machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "ValidateFields")]
pub enum ValidateInput {
    /// To provision.
    Request {
        /// The name of the execution.
        transaction_id: TransactionId,
        /// When the execution started; the lease counts from here.
        requested_at: Timestamp,
        /// The request.
        request: Value,
    },
    /// To renew.
    Renewal(Value),
}

/// The same on the wire. What a caller sent is there when it is null, too.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValidateFields {
    transaction_id: Option<TransactionId>,
    requested_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "sent")]
    request: Option<Value>,
    #[serde(default, deserialize_with = "sent")]
    renewal: Option<Value>,
}

fn sent<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

impl TryFrom<ValidateFields> for ValidateInput {
    type Error = &'static str;

    fn try_from(fields: ValidateFields) -> Result<Self, Self::Error> {
        let ValidateFields { transaction_id, requested_at, request, renewal } = fields;
        match (transaction_id, requested_at, request, renewal) {
            (Some(transaction_id), Some(requested_at), Some(request), None) => {
                Ok(Self::Request { transaction_id, requested_at, request })
            }
            (None, None, None, Some(renewal)) => Ok(Self::Renewal(renewal)),
            _ => Err("expected `transaction_id`, `requested_at` and `request`, or `renewal` alone"),
        }
    }
}

/// Input of prove.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProveInput {
    /// The validated request.
    pub transaction: Transaction,
    /// The request's own field: the identity token of the CI run, encrypted to the deployment's key. It is not a part of
    /// the transaction, so that it is in nothing that is passed on or recorded.
    #[serde(default)]
    pub identity_token: Option<String>,
    /// Of a renewal: what the request itself was proven by. The renewal has to come from the same run.
    #[serde(default)]
    pub proof_of_request: Option<Proof>,
    /// Whether the machine heeds [`Proven::refusal`]. One of the version before does not, and may still be running: it has to be
    /// refused by an error.
    #[serde(default)]
    pub answers_refusal: bool,
}

/// Output of prove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proven {
    /// What the token proves; null where none was sent, nor wanted.
    pub proof: Option<Proof>,
    /// Why the run that the token proves is none that may ask for this; null when it may. The proof is there all the same:
    /// the denial is recorded with whose run it really was.
    pub refusal: Option<String>,
}

/// What a verified identity token says about the run that asks, in words that do not depend on its issuer.
///
/// Optional fields are absent when the issuer does not say. It is read back from the table, where a later version may have
/// added fields: these are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Who issued the token: its `iss`.
    pub issuer: String,
    /// What kind of issuer that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// Whom it was issued to: its `sub`.
    pub subject: String,
    /// SHA-256 of what the issuer signed, in hexadecimal: the key under which the token counts as used.
    pub token_id: String,
    /// Until when it has to be remembered that the token was used, in seconds from the beginning of 1970, as DynamoDB's
    /// time to live is written.
    pub token_ends_at: i64,
    /// Whose run it is.
    pub user: UserClaim,
    /// The repository by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The same by the id that a rename does not change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_id: Option<String>,
    /// The run (GitHub), or the pipeline (GitLab).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Which attempt of the run (GitHub), or which job of the pipeline (GitLab).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_attempt: Option<String>,
    /// The one job that asks, by the finest identity that the issuer gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// Who triggered it, by the id that the issuer gives to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<String>,
    /// The definition that the job runs, with its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_ref: Option<String>,
    /// Whether the issuer protects the ref that is deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ref_protected: Option<bool>,
    /// The issuer's own environment that the job is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// What has started the run, such as `push`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
}

/// Whose run it is: the user of Identity Center who has this value in this attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserClaim {
    /// The claim that says so.
    pub claim: String,
    /// What it says.
    pub name: String,
    /// The attribute.
    pub attribute: UserAttribute,
    /// The value.
    pub value: String,
}

/// An attribute of a user of Identity Center.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserAttribute {
    /// The e-mail address of the request, by which the user was found.
    Email,
    /// The sign-in name.
    UserName,
    /// The profile URL.
    ProfileUrl,
    /// The nickname.
    NickName,
    /// An id that an external identity provider has given to the user.
    ExternalId,
}

/// Input of authn.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthnInput {
    /// The validated request.
    pub transaction: Transaction,
    /// What its identity token proves.
    #[serde(default)]
    pub proof: Option<Proof>,
}

/// The Identity Center user that the e-mail belongs to: output of authn.
///
/// Optional fields are absent, never null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The user's id in the identity store.
    pub user_id: String,
    /// The user's sign-in name.
    pub user_name: String,
    /// What proves that it is the user who asks; absent where no proof was given, nor wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

/// Input of create-role.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateRoleInput {
    /// The validated request.
    pub transaction: Transaction,
    /// Whether an attempt before may have made the role: then one in its place is not somebody else's.
    #[serde(default)]
    pub again: bool,
}

/// Input of authz and of issue-creds: the transaction and whose it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonInput {
    /// The validated request.
    pub transaction: Transaction,
    /// The authenticated requester.
    pub person: Person,
}

/// Why the requester may have the role: output of authz.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authorization {
    /// The group's id in the identity store.
    pub group_id: String,
    /// The decision in a sentence, for the audit trail.
    pub reason: String,
}

/// The deploy role: output of create-role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreatedRole {
    /// The role's ARN.
    pub role_arn: RoleArn,
    /// The role's unique id (`AROA…`), which CloudTrail shows beside its name.
    pub role_id: String,
    /// When IAM made it.
    pub created_at: Timestamp,
}

/// The pipeline's session: output of issue-creds. The credentials in it can be read by the requester only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuedCredentials {
    /// ASCII-armoured age; inside: [`SessionCredentials`] as JSON.
    pub sealed_credentials: String,
    /// What CloudTrail shows as `sourceIdentity` of every call that the deployment makes.
    pub source_identity: String,
    /// When the session ends; it can be shorter than the lease.
    pub credentials_expire_at: Timestamp,
}

/// Input of record: one operation, by one execution.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordInput {
    /// The ARN of the execution that the change is made by.
    pub execution_arn: String,
    /// What to record.
    pub operation: Operation,
}

/// What record records, each by a conditional write. All but the renewals move the transaction's status.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A new transaction: `processing`; no role can exist until `leasing`.
    Requested(Box<Transaction>),
    /// The same by a machine of the version before, which makes a role without `leasing`: one may exist at any time.
    Processing(Box<Transaction>),
    /// `processing` → `denied`.
    Denied(Ended),
    /// `processing` → `failed`.
    Failed(Ended),
    /// A role may exist from here on: still `processing`.
    Leasing(Leasing),
    /// Why the transaction fails, for whoever ends it: still what it was.
    Failing(Ended),
    /// `processing` → `provisioned`.
    Provisioned(Box<Provisioned>),
    /// A renewal begins: looks up the transaction, which has to be `provisioned`, with a lease that runs.
    Renewing(Renewal),
    /// Credentials were issued anew.
    Renewed(Box<Renewed>),
    /// They were not.
    RenewalRefused(RenewalRefused),
    /// A lease is about to wait: looks up its transaction for the deprovision machine, whose input this is.
    Waiting(Value),
    /// The end of a transaction begins: looks it up for the caller of the deprovision machine, whose input this is,
    /// and moves `provisioned` → `deprovisioning`.
    Deprovisioning(Value),
    /// The same without changing anything.
    LookUp(Value),
    /// The end of a transaction that no role can exist of: `processing` → `failed`, when provision does not decide.
    Cancelled(Cancelled),
    /// `deprovisioning` → `deprovisioned`; or `processing` → `failed`, when provisioning had died midway.
    Deprovisioned(RoleGone),
    /// `deprovisioning` → `deprovision_failed`.
    DeprovisionFailed(Ended),
}

/// Why a transaction did not become, or could not stop being, what it should.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// The transaction.
    pub transaction_id: TransactionId,
    /// The error name.
    pub error: String,
    /// The reason that the requester was given.
    pub reason: String,
    /// What a verified token says about the run, when it came to that; also when the run was not accepted.
    #[serde(default)]
    pub proof: Option<Proof>,
    /// The requester, when it came to authentication.
    #[serde(default)]
    pub person: Option<Person>,
    /// The decision, when it came to one.
    #[serde(default)]
    pub authorization: Option<Authorization>,
}

/// An authorised transaction: a role may exist from here on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leasing {
    /// The transaction.
    pub transaction_id: TransactionId,
    /// The target account.
    pub target_aws_account_id: AccountId,
    /// The requester.
    pub person: Person,
    /// The decision.
    pub authorization: Authorization,
}

/// All that a provisioned transaction rests on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provisioned {
    /// The transaction.
    pub transaction: Transaction,
    /// The requester.
    pub person: Person,
    /// The decision.
    pub authorization: Authorization,
    /// The ARN of the lease's execution.
    pub lease_execution_arn: String,
    /// The deploy role.
    pub role: CreatedRole,
    /// What CloudTrail shows as `sourceIdentity`.
    pub source_identity: String,
    /// When the pipeline's session ends.
    pub credentials_expire_at: Timestamp,
}

/// What is renewed: output of `renewing`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Renewing {
    /// The transaction as recorded, with the renewal's recipient.
    pub transaction: Transaction,
    /// What the request was proven by; null where it was not.
    pub proof: Option<Proof>,
}

/// All that a renewal rests on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renewed {
    /// The transaction, with the renewal's recipient.
    pub transaction: Transaction,
    /// What the renewal was proven by.
    #[serde(default)]
    pub proof: Option<Proof>,
    /// The decision, taken anew.
    pub authorization: Authorization,
    /// When the new session ends.
    pub credentials_expire_at: Timestamp,
}

/// Why a renewal was refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewalRefused {
    /// The renewal.
    pub renewal: Renewal,
    /// What it was proven by, when it came to that.
    #[serde(default)]
    pub proof: Option<Proof>,
    /// The error name.
    pub error: String,
    /// The reason that the requester was given.
    pub reason: String,
}

/// A transaction was released before a role could exist.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancelled {
    /// The transaction.
    pub transaction_id: TransactionId,
}

/// The role of a transaction is gone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleGone {
    /// The transaction.
    pub transaction_id: TransactionId,
    /// What was deleted.
    pub deleted: DeletedRole,
}

/// A transaction's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The request is being worked on.
    Processing,
    /// The role is there.
    Provisioned,
    /// The requester may not have the role. Terminal.
    Denied,
    /// It went wrong, and nothing of it is left. Terminal.
    Failed,
    /// The role is being deleted.
    Deprovisioning,
    /// The role is gone. Terminal.
    Deprovisioned,
    /// The role could not be deleted; a person must look, and a later attempt may still succeed.
    DeprovisionFailed,
}

impl Status {
    /// Whether nothing can happen to the transaction any more.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Denied | Self::Failed | Self::Deprovisioned => true,
            Self::Processing | Self::Provisioned | Self::Deprovisioning | Self::DeprovisionFailed => false,
        }
    }

    /// The status as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Provisioned => "provisioned",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Deprovisioning => "deprovisioning",
            Self::Deprovisioned => "deprovisioned",
            Self::DeprovisionFailed => "deprovision_failed",
        }
    }
}

/// What the pipeline gets, less the sealed credentials, which never pass through record: output of `provisioned` and of
/// `renewed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// The transaction.
    pub transaction_id: TransactionId,
    /// The deploy role's ARN.
    pub iam_role_arn: RoleArn,
    /// The deploy role's name.
    pub role_name: String,
    /// From the request to the end of the access, in hours.
    pub role_ttl_hours: f64,
    /// When the access ends.
    pub expires_at: Timestamp,
    /// The persona that the role has.
    pub persona: String,
    /// `provisioned`.
    pub status: Status,
    /// When the role's policies can be expected to be in effect in every region; none when nothing has to be waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usable_at: Option<Timestamp>,
}

impl From<Transaction> for Grant {
    fn from(it: Transaction) -> Self {
        Self {
            transaction_id: it.transaction_id,
            iam_role_arn: it.role_arn,
            role_name: it.role_name,
            role_ttl_hours: it.role_ttl_hours,
            expires_at: it.expires_at,
            persona: it.persona,
            status: Status::Provisioned,
            usable_at: None,
        }
    }
}

/// Output of the machine that provisions and of the one that renews, as their callers read it. What a newer version adds is ignored.
#[derive(Clone, Debug, Deserialize)]
pub struct Granted {
    /// What is granted.
    #[serde(flatten)]
    pub grant: Grant,
    /// [`IssuedCredentials::sealed_credentials`].
    pub sealed_credentials: String,
}

/// The `cause` of an execution that failed, as its caller reads it. What a newer version adds is ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The transaction, or the name that was to become one.
    pub transaction_id: String,
    /// `denied` or `failed`.
    pub status: String,
    /// What happened and what to do about it.
    pub reason: String,
}

/// What the caller of the deprovision machine sends. A lease sends the first three.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeprovisionRequest {
    /// The version of this input; 1, and the same when it is absent. Newer functions accept every older number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<u32>,
    /// The transaction to end.
    pub transaction_id: TransactionId,
    /// When to end it: the lease's only; the machine has waited for it already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The target account's name, which must be the recorded one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_aws_account: Option<String>,
    /// The deploy role, which must be the recorded one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<RoleArn>,
}

impl DeprovisionRequest {
    /// A release, which says no more than it has to.
    #[must_use]
    pub const fn release(transaction_id: TransactionId) -> Self {
        Self { schema: None, transaction_id, expires_at: None, target_aws_account: None, role_arn: None }
    }
}

/// What is to be deleted: output of `waiting`, `deprovisioning` and `look_up`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Deprovisioning {
    /// The id of the item that records the end; null when there is none.
    pub deprovisioning_transaction_id: Option<EndId>,
    /// The transaction that ends.
    pub original_transaction_id: TransactionId,
    /// The transaction's status, now.
    pub status: Status,
    /// Whether nothing is left to do: the transaction has a terminal status.
    pub already_ended: bool,
    /// The deploy role.
    pub role_arn: RoleArn,
    /// Whether a role may exist, or may have existed: without that, nothing in the target account is called.
    pub role_may_exist: bool,
    /// The latest moment at which the role can have been made.
    pub role_created_at: Timestamp,
    /// When the access ends.
    pub expires_at: Timestamp,
}

/// Input of delete-role.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteRoleInput {
    /// The transaction.
    pub transaction_id: TransactionId,
    /// The deploy role.
    pub role_arn: RoleArn,
    /// The latest moment at which the role can have been made; absent: just now.
    #[serde(default)]
    pub role_created_at: Option<Timestamp>,
}

/// What was deleted: output of delete-role, for the audit trail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeletedRole {
    /// Whether the role was there; false when an earlier attempt had deleted it.
    pub existed: bool,
    /// ARNs of the managed policies that were detached.
    pub detached_policies: Vec<String>,
    /// Names of the inline policies that were deleted.
    pub deleted_inline_policies: Vec<String>,
    /// Names of the instance profiles that the role was removed from.
    pub left_instance_profiles: Vec<String>,
}

/// The end of a transaction: output of `deprovisioned`, and of the deprovision machine, whose callers ignore what a newer version
/// adds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deprovisioned {
    /// The id of the item that records the end; null when there is none, as when no role could exist.
    pub deprovisioning_transaction_id: Option<EndId>,
    /// The transaction that ended.
    pub original_transaction_id: TransactionId,
    /// `deprovisioned`; `failed` when it had not been provisioned; `denied` when provision decided so meanwhile.
    pub status: Status,
}

/// Session credentials, as the requester finds them inside [`IssuedCredentials::sealed_credentials`].
///
/// There is no `Serialize` on purpose: the only way out is the seal of issue-creds, which names each field. Their memory
/// is wiped when they are dropped.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct SessionCredentials {
    /// The access key id.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
    /// The session token.
    pub session_token: String,
    /// When they end.
    #[zeroize(skip)]
    pub expiration: Timestamp,
}

impl std::fmt::Debug for SessionCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionCredentials").field("expiration", &self.expiration).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session_credentials() -> SessionCredentials {
        SessionCredentials {
            access_key_id: "ASIAEXAMPLE".to_owned(),
            secret_access_key: "wJalr".to_owned(),
            session_token: "FwoGZ".to_owned(),
            expiration: "2026-11-23T10:00:00Z".parse().unwrap(),
        }
    }

    /// What a caller sent is told from what they did not, also when it is nothing.
    #[test]
    fn an_input_of_validate_says_to_which_machine_it_was_sent() {
        let read = |input: &str| crate::stage::parse_input::<ValidateInput>(input).map_err(|failure| failure.message);
        assert!(matches!(read(r#"{"renewal": null}"#), Ok(ValidateInput::Renewal(Value::Null))));
        let id = "6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11";
        let start = format!(r#""transaction_id": "{id}", "requested_at": "2026-11-23T09:00:00Z""#);
        let request = read(&format!(r#"{{{start}, "request": null}}"#));
        assert!(matches!(request, Ok(ValidateInput::Request { request: Value::Null, .. })));
        for neither in ["{}", &format!("{{{start}}}"), &format!(r#"{{{start}, "request": {{}}, "renewal": {{}}}}"#)] {
            assert!(read(neither).unwrap_err().starts_with("expected `transaction_id`"), "{neither}");
        }
        let name = read(r#"{"transaction_id": "x"}"#).unwrap_err();
        assert!(name.starts_with("`transaction_id`: `x` is not a UUID"), "{name}");
    }

    #[test]
    fn session_credentials_do_not_show_in_debug_output() {
        insta::assert_snapshot!(format!("{:?}", session_credentials()));
    }

    /// That memory was wiped cannot be seen without `unsafe`; that the type asks for it, and of which fields, can.
    #[test]
    fn session_credentials_are_wiped() {
        fn wiped_when_dropped<T: ZeroizeOnDrop>() {}
        wiped_when_dropped::<SessionCredentials>();
        let mut credentials = session_credentials();
        credentials.zeroize();
        let SessionCredentials { access_key_id, secret_access_key, session_token, .. } = &credentials;
        assert_eq!([access_key_id, secret_access_key, session_token], ["", "", ""]);
    }
}
