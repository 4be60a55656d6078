//! The items of the table: as they are written first, and as far as they are read again.

use daypass::{
    contract::{Provisioned, Status, Transaction},
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

/// The item of a transaction, as it is made.
#[derive(Serialize)]
pub struct NewTransaction<'a> {
    pub kind: &'static str,
    #[serde(flatten)]
    pub transaction: &'a Transaction,
    pub execution_arn: &'a str,
    pub status: Status,
    pub status_changes: [&'a StatusChange; 1],
    pub open_lease: &'static str,
}

/// The item that records the end of a transaction, as it is made; [`ORIGINAL`] comes to it.
#[derive(Serialize)]
pub struct NewDeprovisioning<'a> {
    pub kind: &'static str,
    pub transaction_id: TransactionId,
    pub original_transaction_id: TransactionId,
    pub execution_arn: &'a str,
    pub status: Status,
    pub status_changes: [&'a StatusChange; 1],
}

/// What is known of a transaction once it has come that far.
#[derive(Default, Serialize)]
pub struct Facts<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<&'a str>,
    /// Why the requester may have the role, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<&'a str>,
    #[serde(flatten)]
    pub role: Option<RoleFacts<'a>>,
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

/// An item of the table, as far as record needs it again.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Recorded {
    Provisioning(Box<RecordedTransaction>),
    Deprovisioning { original_transaction_id: TransactionId },
}

/// [`NewTransaction`], and what has become of it.
#[derive(Deserialize)]
pub struct RecordedTransaction {
    pub execution_arn: String,
    pub requested_at: Timestamp,
    pub target_aws_account: String,
    pub role_arn: RoleArn,
    pub status: Status,
    pub status_changes: Vec<StatusChange>,
    #[serde(default)]
    pub role_created_at: Option<Timestamp>,
    #[serde(default)]
    pub deprovisioning_transaction_id: Option<TransactionId>,
}

impl RecordedTransaction {
    /// Whether the execution made the latest change, and made it to `status`: then it has come this way before.
    pub fn was_moved_to(&self, status: Status, execution_arn: &str) -> bool {
        self.status == status && self.status_changes.last().is_some_and(|last| last.execution_arn == execution_arn)
    }
}
