//! The items of the table: as they are written first, and as far as they are read again.

use daypass::{
    contract::{Authorization, Person, Proof, Provisioned, Status},
    ids::{EndId, RoleArn, TransactionId},
    issuer::Provider,
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
/// Whether a role may exist: false from the beginning, true before anything makes one. An item of the version before has
/// no such attribute: then one may.
pub const ROLE_MAY_EXIST: &str = "role_may_exist";
/// Since when the transaction is being ended. From then on nobody makes a role for it; and where one may exist already,
/// nobody but the executions that end the transaction may change its status.
pub const ENDING_SINCE: &str = "ending_since";
/// Of a transaction that was not provisioned: the executions that have looked for its role, or are about to, when its maker had
/// made its last call. What others have found may have been made again since.
pub const LOOK_LAST: &str = "look_last";
/// The id of the item that records the end; there when that item is.
pub const END_RECORD: &str = "end_record";
/// The same as the version before writes it, and the sign for it that the end has begun. That version reads a UUID there,
/// so it is never written any more: after a way back it would end nothing.
pub const OLD_END_RECORD: &str = "deprovisioning_transaction_id";
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusChange {
    pub status: Status,
    pub at: Timestamp,
    /// By whom.
    pub execution_arn: String,
    /// The error name, when an error led to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The error's reason.
    #[serde(skip_serializing_if = "Option::is_none")]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_may_exist: Option<bool>,
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
    /// Of a refusal: whose run it really was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<&'a Proof>,
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
    /// What proves whose run asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<Proof>,
    /// What it proves beside that.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<Run<'a>>,
    /// Whose run it really was, as Identity Center writes it: a key of the index by actor.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
}

/// What a proof says that it did not say in the first version. That version reads a proof strictly, and after a way back it has
/// to renew what is proven: so this is recorded beside it.
#[derive(Serialize)]
pub struct Run<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<Provider>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ref_protected: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
}

impl<'a> Run<'a> {
    fn of(proof: &'a Proof) -> Self {
        Self {
            provider: proof.provider,
            job_id: proof.job_id.as_deref(),
            ref_protected: proof.ref_protected,
            environment: proof.environment.as_deref(),
            event: proof.event.as_deref(),
        }
    }

    /// The proof without it.
    fn rest_of(proof: &Proof) -> Proof {
        let (provider, job_id, ref_protected, environment, event) = (None, None, None, None, None);
        Proof { provider, job_id, ref_protected, environment, event, ..proof.clone() }
    }
}

impl<'a> WhoAndWhy<'a> {
    pub fn of(proof: Option<&'a Proof>, person: Option<&'a Person>, authorization: Option<&'a Authorization>) -> Self {
        let proof = proof.or_else(|| person?.proof.as_ref());
        Self {
            user_id: person.map(|it| &*it.user_id),
            user_name: person.map(|it| &*it.user_name),
            group_id: authorization.map(|it| &*it.group_id),
            decision: authorization.map(|it| &*it.reason),
            actor: proof.map(|it| &*it.user.value),
            run: proof.map(Run::of),
            proof: proof.map(Run::rest_of),
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

/// What of a transaction's item counts again. What a later version may have added is ignored, at every level.
#[derive(Deserialize)]
pub struct RecordedTransaction {
    pub execution_arn: String,
    pub requested_at: Timestamp,
    pub expires_at: Timestamp,
    pub target_aws_account: String,
    pub role_arn: RoleArn,
    pub status: Status,
    pub status_changes: Vec<RecordedChange>,
    #[serde(default)]
    pub role_created_at: Option<Timestamp>,
    #[serde(default = "yes")]
    pub role_may_exist: bool,
    #[serde(default)]
    pub ending_since: Option<Timestamp>,
    #[serde(default)]
    pub look_last: Vec<String>,
    #[serde(default)]
    pub end_record: Option<EndId>,
    #[serde(default)]
    pub deprovisioning_transaction_id: Option<EndId>,
    #[serde(default)]
    pub error: Option<String>,
    #[serde(default)]
    pub reason: Option<String>,
    #[serde(default)]
    pub renewals: Vec<RecordedRenewal>,
}

fn yes() -> bool {
    true
}

/// What of an entry of [`STATUS_CHANGES`] counts again.
#[derive(Deserialize)]
pub struct RecordedChange {
    pub execution_arn: String,
}

/// What a renewal has to come from: what the request was proven by, with the job that is recorded beside it.
#[derive(Deserialize)]
pub struct RecordedProof {
    #[serde(default)]
    proof: Option<Proof>,
    #[serde(default)]
    run: RecordedRun,
}

#[derive(Default, Deserialize)]
struct RecordedRun {
    #[serde(default)]
    job_id: Option<String>,
}

impl RecordedProof {
    /// The attributes that it is read from.
    pub const ATTRIBUTES: [&str; 2] = ["proof", "run"];

    pub fn whole(self) -> Option<Proof> {
        let job_id = self.run.job_id;
        self.proof.map(|proof| Proof { job_id, ..proof })
    }
}

impl RecordedTransaction {
    /// Whether the execution made the latest change, and made it to `status`: then it has come this way before.
    pub fn was_moved_to(&self, status: Status, execution_arn: &str) -> bool {
        self.status == status && self.status_changes.last().is_some_and(|last| last.execution_arn == execution_arn)
    }

    /// Whether its end has begun, under this version or under the one before.
    pub fn is_ending(&self) -> bool {
        self.ending_since.is_some()
            || self.deprovisioning_transaction_id.is_some()
            || matches!(self.status, Status::Deprovisioning | Status::DeprovisionFailed)
    }

    /// The id of the item that records the end, when there is one.
    pub fn end(&self) -> Option<EndId> {
        self.end_record.clone().or_else(|| self.deprovisioning_transaction_id.clone())
    }
}
