//! The end of a transaction, by as many executions as like to end it.
//!
//! **An end begins** with `ending_since`. Where no role can exist yet it is no more than the wish that there be none:
//! provision decides what becomes of the transaction. Where one may exist, the end has an item of its own, and from then on
//! the status is for whoever ends the transaction.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use daypass::{
    contract::{DeletedRole, DeprovisionRequest, Deprovisioned, Deprovisioning, Ended, RoleGone, Status},
    ids::{RoleArn, TransactionId},
    stage::{Named, parse_input},
};
use serde_json::Value;

use crate::{
    RecordError, Recorded, Writer,
    item::{
        DELETED, END_RECORD, ENDING_SINCE, LOOK_LAST, NewDeprovisioning, OLD_END_RECORD, OPEN_LEASE, ORIGINAL,
        ROLE_MAY_EXIST, RecordedTransaction, StatusChange, TRANSACTION_ID,
    },
    table::{Change, Item, Store},
};

/// How often a write is tried that others overtake. Each of them has moved the transaction on, and there are not many
/// statuses to go through.
const ROUNDS: usize = 4;

/// How many executions can be in [`LOOK_LAST`]: an item has an end. One of them closes the transaction.
const MOST_LOOKS: usize = 100;

/// The longest that a provisioning can do anything: Step Functions ends an EXPRESS execution after five minutes, and a function
/// that it has called may go on for as long as a state waits for one.
const LONGEST_PROVISIONING: Duration = Duration::from_secs(330);

/// The error of a transaction whose provisioning neither succeeded nor said that it had failed.
const DIED: (&str, &str) =
    ("Daypass.AwsUnavailable", "provisioning did not come to its end; what there was of it is gone");

/// The error of a transaction that was released while it was being provisioned.
const CANCELLED: (&str, &str) =
    ("Daypass.TransactionConflict", "it was released before it was provisioned; what there was of it is gone");

impl<S: Store> Writer<'_, S> {
    /// Looks a lease's transaction up, before the lease may wait. One that comes before its time cancels the transaction.
    pub async fn waiting(&self, request: &Value) -> Result<Recorded, RecordError> {
        let request = read(request)?;
        let id = request.transaction_id;
        let Some(expires_at) = request.expires_at else { return Err(RecordError::NoExpiry) };
        if !self.is_lease_of(id) {
            return Err(RecordError::NoLease);
        }
        for _ in 0..ROUNDS {
            let (item, transaction) = self.transaction(id).await?;
            check(&request, &transaction)?;
            if expires_at != transaction.expires_at {
                let (given, recorded) = (expires_at.to_string(), transaction.expires_at.to_string());
                return Err(RecordError::Mismatch { field: "expires_at", id, given, recorded });
            }
            if transaction.role_may_exist || transaction.status.is_terminal() {
                return Ok(found(id, transaction));
            }
            // An execution that is refused here has the name of the lease to come, and may still be taken for it: so there
            // will be none.
            if transaction.is_ending() || self.begin(id, item, transaction).await?.is_some() {
                return Err(RecordError::NotLeased(id));
            }
        }
        Err(RecordError::Contended(id))
    }

    /// Looks a transaction up for its end, and changes nothing.
    pub async fn look_up(&self, request: &Value) -> Result<Recorded, RecordError> {
        let request = read(request)?;
        let (_, transaction) = self.transaction(request.transaction_id).await?;
        check(&request, &transaction)?;
        Ok(found(request.transaction_id, transaction))
    }

    /// Looks a transaction up for its end, which begins with this.
    pub async fn deprovisioning(&self, request: &Value) -> Result<Recorded, RecordError> {
        let request = read(request)?;
        let id = request.transaction_id;
        for _ in 0..ROUNDS {
            let (item, transaction) = self.transaction(id).await?;
            check(&request, &transaction)?;
            if transaction.status.is_terminal() {
                return Ok(found(id, transaction));
            }
            if transaction.is_ending() {
                if self.makes_nothing_more(&transaction) && self.has_to_look_last(id, &transaction) {
                    let looks = Change::of(&id).add(LOOK_LAST, self.execution_arn, MOST_LOOKS);
                    if !self.table.change(looks.if_status(&[Status::Processing])).await? {
                        continue;
                    }
                }
                return Ok(found(id, transaction));
            }
            if let Some(begun) = self.begin(id, item, transaction).await? {
                return Ok(found(id, begun));
            }
        }
        Err(RecordError::Contended(id))
    }

    /// Marks the end as begun, in the transaction and, where a role may exist, in an item of its own; returns the transaction
    /// as it is then, or nothing when somebody was faster.
    async fn begin(
        &self,
        id: TransactionId,
        item: Item,
        transaction: RecordedTransaction,
    ) -> Result<Option<RecordedTransaction>, RecordError> {
        // What provision told the requester, if it could not clean up.
        let (error, reason) = (transaction.error.clone(), transaction.reason.clone());
        let change = StatusChange { error, reason, ..self.change_to(Status::Deprovisioning) };
        let (status, role_may_exist) = (transaction.status, transaction.role_may_exist);
        let looks_last = role_may_exist && self.makes_nothing_more(&transaction);
        let original = |with_end: bool| {
            let original = Change::of(&id).set(ENDING_SINCE, &self.now)?;
            let original = if with_end { original.set(END_RECORD, &id.end())? } else { original };
            // A provisioning that has not ended may still be running: it finds out when it is about to go on.
            let original = if status == Status::Processing { original } else { original.to(&change)? };
            let original = original.if_status(&[status]).if_without(ENDING_SINCE).if_without(OLD_END_RECORD);
            let original = if looks_last { original.add(LOOK_LAST, self.execution_arn, MOST_LOOKS) } else { original };
            original.if_not(ROLE_MAY_EXIST, &!role_may_exist)
        };
        let begun = |end_record| RecordedTransaction {
            ending_since: Some(self.now),
            end_record,
            status: if status == Status::Processing { status } else { Status::Deprovisioning },
            ..transaction
        };
        if !transaction.role_may_exist {
            return Ok(self.table.change(original(false)?).await?.then(|| begun(None)));
        }
        let end = NewDeprovisioning {
            kind: "deprovisioning",
            original_transaction_id: id,
            execution_arn: self.execution_arn,
            status: change.status,
            status_changes: [&change],
        };
        let end = Change::of(&id.end()).set_all(&end)?.if_without(TRANSACTION_ID);
        let end = end.set_value(ORIGINAL, AttributeValue::M(item));
        if self.table.change_both([original(true)?, end]).await? {
            return Ok(Some(begun(Some(id.end()))));
        }
        // Both are written together or not at all, so an end of a transaction that is not ending is none of ours. It must
        // not keep the role from going: the transaction alone records its end.
        if self.table.read(&id.end()).await?.is_some() && self.table.change(original(false)?).await? {
            return Ok(Some(begun(None)));
        }
        Ok(None)
    }

    /// Ends a transaction that no role can exist of, unless provision can still decide what becomes of it.
    pub async fn cancelled(&self, id: TransactionId) -> Result<Recorded, RecordError> {
        for _ in 0..ROUNDS {
            let (_, transaction) = self.transaction(id).await?;
            if transaction.status.is_terminal() {
                return Ok(ended(id, &transaction, transaction.status));
            }
            if transaction.role_may_exist || self.may_be_provisioning(&transaction) {
                return Err(RecordError::Contended(id));
            }
            let to = self.without_role(&transaction);
            let change = Change::of(&id).to(&to)?.remove(OPEN_LEASE).if_status(&[transaction.status]);
            if self.table.change(change.if_not(ROLE_MAY_EXIST, &true)?).await? {
                return Ok(ended(id, &transaction, to.status));
            }
        }
        Err(RecordError::Contended(id))
    }

    /// Whether this execution has the name of the transaction's lease. Nobody else can have it where a role was made: of one
    /// that somebody has started before, the lease cannot start, and nothing is made.
    fn is_lease_of(&self, id: TransactionId) -> bool {
        self.execution_arn.rsplit(':').next() == Some(&*id.to_string())
    }

    /// Whether this execution is the transaction's lease, and one that is longer than any provisioning: whoever made the role
    /// has ended since.
    fn has_waited_for(&self, id: TransactionId, it: &RecordedTransaction) -> bool {
        self.is_lease_of(id) && it.expires_at.since(it.requested_at) >= LONGEST_PROVISIONING
    }

    /// Whether the execution that provisions may still be at work.
    fn may_be_provisioning(&self, it: &RecordedTransaction) -> bool {
        it.status == Status::Processing && self.now.since(it.requested_at) < LONGEST_PROVISIONING
    }

    /// Whether the execution that provisions has made its last call of the target account, or said that it makes none any more.
    fn makes_nothing_more(&self, it: &RecordedTransaction) -> bool {
        it.status == Status::Processing && (it.error.is_some() || !self.may_be_provisioning(it))
    }

    /// Whether this execution has to look for the role, once the one that provisions makes nothing more.
    fn has_to_look_last(&self, id: TransactionId, it: &RecordedTransaction) -> bool {
        it.status == Status::Processing
            && it.role_may_exist
            && !self.has_waited_for(id, it)
            && !it.look_last.iter().any(|execution| execution == self.execution_arn)
    }

    /// The role is gone, and so is the transaction.
    pub async fn deprovisioned(&self, gone: &RoleGone) -> Result<Recorded, RecordError> {
        self.end(gone.transaction_id, &End::Deprovisioned(&gone.deleted)).await
    }

    /// The role may still be there, and a person must look.
    pub async fn deprovision_failed(&self, ended: &Ended) -> Result<Recorded, RecordError> {
        self.end(ended.transaction_id, &End::Failed(ended)).await
    }

    /// Ends the transaction, and the item that records it; answers with the status that it has now, whoever gave it.
    async fn end(&self, id: TransactionId, end: &End<'_>) -> Result<Recorded, RecordError> {
        for _ in 0..ROUNDS {
            let (_, transaction) = self.transaction(id).await?;
            let from = transaction.status;
            let to = self.after(id, &transaction, end);
            if !transaction.role_may_exist && !from.is_terminal() {
                return self.cancelled(id).await;
            }
            if from.is_terminal() || transaction.was_moved_to(to.status, self.execution_arn) {
                return end.recorded(id, &transaction, from);
            }
            if !transaction.is_ending() {
                return Err(RecordError::NotEnding(id));
            }
            // Its maker may have found the role gone, and made it again, after this execution has looked for it.
            if matches!(end, End::Deprovisioned(_)) && self.has_to_look_last(id, &transaction) {
                return Err(RecordError::StillProvisioning(id));
            }
            let original = Change::of(&id).to(&to)?.if_status(&[from]);
            let original = match end {
                End::Deprovisioned(_) => original.remove(OPEN_LEASE),
                End::Failed(_) => original,
            };
            let moved = if let Some(record) = transaction.end() {
                let record = Change::of(&record);
                let record = match end {
                    End::Deprovisioned(deleted) => {
                        record.to(&self.change_to(Status::Deprovisioned))?.set(DELETED, deleted)?
                    }
                    End::Failed(_) => record.to(&to)?,
                };
                let record = record.if_status(&[Status::Deprovisioning, Status::DeprovisionFailed]);
                self.table.change_both([original, record]).await?
            } else {
                let original = match end {
                    End::Deprovisioned(deleted) => original.set(DELETED, deleted)?,
                    End::Failed(_) => original,
                };
                self.table.change(original).await?
            };
            if moved {
                return end.recorded(id, &transaction, to.status);
            }
        }
        Err(RecordError::Contended(id))
    }

    /// What the transaction becomes.
    fn after(&self, id: TransactionId, transaction: &RecordedTransaction, end: &End<'_>) -> StatusChange {
        match end {
            End::Deprovisioned(_) if transaction.status == Status::Processing => self.without_role(transaction),
            End::Deprovisioned(_) if transaction.end().is_none() => {
                let broken = RecordError::EndTaken(id);
                self.change_for(Status::Deprovisioned, broken.name().as_str(), &broken.to_string())
            }
            End::Deprovisioned(_) => self.change_to(Status::Deprovisioned),
            End::Failed(ended) => self.change_for(Status::DeprovisionFailed, &ended.error, &ended.reason),
        }
    }

    /// How a transaction fails that was not provisioned: as provision said, if it could; or because it was released while
    /// it could still have been provisioned.
    fn without_role(&self, transaction: &RecordedTransaction) -> StatusChange {
        if let (Some(error), Some(reason)) = (&transaction.error, &transaction.reason) {
            return self.change_for(Status::Failed, error, reason);
        }
        let released = |since| transaction.requested_at.plus(LONGEST_PROVISIONING) > since;
        let (error, reason) = if transaction.ending_since.is_some_and(released) { CANCELLED } else { DIED };
        self.change_for(Status::Failed, error, reason)
    }
}

/// How a deprovisioning ended.
enum End<'a> {
    Deprovisioned(&'a DeletedRole),
    Failed(&'a Ended),
}

impl End<'_> {
    /// The answer. A role that is gone and on record, of a transaction whose end has no item, is still a reason to look:
    /// somebody else has written to the table.
    fn recorded(&self, id: TransactionId, it: &RecordedTransaction, status: Status) -> Result<Recorded, RecordError> {
        let without_record = it.role_may_exist && it.is_ending() && it.end().is_none();
        match self {
            _ if without_record => Err(RecordError::EndTaken(id)),
            End::Deprovisioned(_) => Ok(ended(id, it, status)),
            End::Failed(_) => Ok(Recorded::Status { transaction_id: id, status }),
        }
    }
}

/// The input of the deprovision machine.
fn read(request: &Value) -> Result<DeprovisionRequest, RecordError> {
    // A list of the fields' values would do for serde.
    if !request.is_object() {
        return Err(RecordError::NoObject);
    }
    let request: DeprovisionRequest = parse_input(&request.to_string()).map_err(RecordError::Request)?;
    match request.schema {
        None | Some(1) => Ok(request),
        Some(schema) => Err(RecordError::Schema(schema)),
    }
}

/// Whether what the request says of the transaction is so.
fn check(request: &DeprovisionRequest, transaction: &RecordedTransaction) -> Result<(), RecordError> {
    let role = |arn: &RoleArn| arn.to_string();
    let claims = [
        ("target_aws_account", request.target_aws_account.clone(), transaction.target_aws_account.clone()),
        ("role_arn", request.role_arn.as_ref().map(role), role(&transaction.role_arn)),
    ];
    for (field, given, recorded) in claims {
        if let Some(given) = given.filter(|given| *given != recorded) {
            return Err(RecordError::Mismatch { field, id: request.transaction_id, given, recorded });
        }
    }
    Ok(())
}

/// What there is to end.
fn found(id: TransactionId, it: RecordedTransaction) -> Recorded {
    Recorded::Deprovisioning(Box::new(Deprovisioning {
        deprovisioning_transaction_id: it.end(),
        original_transaction_id: id,
        status: it.status,
        already_ended: it.status.is_terminal(),
        role_may_exist: it.role_may_exist,
        role_created_at: it.role_created_at.unwrap_or_else(|| it.requested_at.plus(LONGEST_PROVISIONING)),
        expires_at: it.expires_at,
        role_arn: it.role_arn,
    }))
}

fn ended(id: TransactionId, it: &RecordedTransaction, status: Status) -> Recorded {
    Recorded::Deprovisioned(Deprovisioned {
        deprovisioning_transaction_id: it.end(),
        original_transaction_id: id,
        status,
    })
}
