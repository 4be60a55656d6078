//! The items of the table: as they are written first, and as far as they are read again.

use daypass::{
    contract::{Authorization, Person, Proof, Provisioned, Status},
    ids::{RoleArn, TransactionId},
    timestamp::Timestamp,
};
use serde::{Deserialize, Serialize};

/// The key of the table.
pub const TRANSACTION_ID: &str = "transaction_id";
/// The transaction's status, as its machine and the indexes know it.
pub const STATUS: &str = "status";
/// Every status that the item ever had.
pub const STATUS_CHANGES: &str = "status_changes";
/// The execution that provisioned the transaction.
pub const EXECUTION_ARN: &str = "execution_arn";
/// There as long as a role may exist: the key of the index of open leases.
pub const OPEN_LEASE: &str = "open_lease";
/// The id of the item that records the end; there as soon as the end has begun, and from then on nobody but the
/// executions that end the transaction may change its status.
pub const DEPROVISIONING_ID: &str = "deprovisioning_transaction_id";
/// The error name of what ended the transaction, or keeps it from ending.
pub const ERROR: &str = "error";
/// The same in a sentence.
pub const REASON: &str = "reason";
/// Every renewal of the transaction's credentials, granted or refused, as far as there is room.
pub const RENEWALS: &str = "renewals";
/// In the item that records an end, and only there: the id of the transaction that ended.
pub const ORIGINAL_ID: &str = "original_transaction_id";
/// The item of the transaction, as it was when its end began.
pub const ORIGINAL: &str = "original";
/// What was deleted.
pub const DELETED: &str = "deleted";

/// One entry of `status_changes`: what the audit trail says of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusChange {
    pub status: Status,
    pub at: Timestamp,
    /// By whom.
    pub execution_arn: String,
    /// The error name, when an error led to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The error's reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What the item of a transaction has from the beginning, beside the transaction itself.
#[derive(Serialize)]
pub struct NewTransaction<'a> {
    pub kind: &'static str,
    pub execution_arn: &'a str,
    pub status: Status,
    pub status_changes: [&'a StatusChange; 1],
    pub open_lease: &'static str,
}

/// What the item that records the end of a transaction has from the beginning, beside [`ORIGINAL`].
#[derive(Serialize)]
pub struct NewDeprovisioning<'a> {
    pub kind: &'static str,
    pub original_transaction_id: TransactionId,
    pub execution_arn: &'a str,
    pub status: Status,
    pub status_changes: [&'a StatusChange; 1],
}

/// One entry of [`RENEWALS`]: credentials that were issued anew, or with an error were not.
#[derive(Serialize)]
pub struct NewRenewal<'a> {
    pub at: Timestamp,
    /// By whom.
    pub execution_arn: &'a str,
    /// Whom the credentials are sealed to.
    pub recipient: &'a str,
    /// The identity token that proved whose renewal it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<&'a str>,
    /// The attempt of the run that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_attempt: Option<&'a str>,
    /// The group that allows it, when it was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<&'a str>,
    /// When the session ends that was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_expire_at: Option<Timestamp>,
    /// The error name, when it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
    /// The error's reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
}

/// What of an entry counts again.
#[derive(Deserialize)]
pub struct RecordedRenewal {
    pub execution_arn: String,
    #[serde(default)]
    pub error: Option<String>,
}

/// What is known of the requester and of the decision, as far as it came.
#[derive(Serialize)]
pub struct WhoAndWhy<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<&'a str>,
    /// Why the requester may have the role, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'a str>,
    /// What proves that it was the requester who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<&'a Proof>,
}

impl<'a> WhoAndWhy<'a> {
    pub fn of(person: Option<&'a Person>, authorization: Option<&'a Authorization>) -> Self {
        Self {
            user_id: person.map(|it| &*it.user_id),
            user_name: person.map(|it| &*it.user_name),
            group_id: authorization.map(|it| &*it.group_id),
            decision: authorization.map(|it| &*it.reason),
            proof: person.and_then(|it| it.proof.as_ref()),
        }
    }
}

/// What is known of a role that is there.
#[derive(Serialize)]
pub struct RoleFacts<'a> {
    lease_execution_arn: &'a str,
    role_id: &'a str,
    role_created_at: Timestamp,
    source_identity: &'a str,
    credentials_expire_at: Timestamp,
}

impl<'a> From<&'a Provisioned> for RoleFacts<'a> {
    fn from(provisioned: &'a Provisioned) -> Self {
        Self {
            lease_execution_arn: &provisioned.lease_execution_arn,
            role_id: &provisioned.role.role_id,
            role_created_at: provisioned.role.created_at,
            source_identity: &provisioned.source_identity,
            credentials_expire_at: provisioned.credentials_expire_at,
        }
    }
}

/// What of a transaction's item counts again.
#[derive(Deserialize)]
pub struct RecordedTransaction {
    pub execution_arn: String,
    pub requested_at: Timestamp,
    pub expires_at: Timestamp,
    pub target_aws_account: String,
    pub role_arn: RoleArn,
    pub status: Status,
    pub status_changes: Vec<StatusChange>,
    #[serde(default)]
    pub role_created_at: Option<Timestamp>,
    #[serde(default)]
    pub deprovisioning_transaction_id: Option<TransactionId>,
    #[serde(default)]
    pub proof: Option<Proof>,
    #[serde(default)]
    pub renewals: Vec<RecordedRenewal>,
}

impl RecordedTransaction {
    /// Whether the execution made the latest change, and made it to `status`: then it has come this way before.
    pub fn was_moved_to(&self, status: Status, execution_arn: &str) -> bool {
        self.status == status && self.status_changes.last().is_some_and(|last| last.execution_arn == execution_arn)
    }
}
