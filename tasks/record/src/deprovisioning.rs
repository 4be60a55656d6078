//! The end of a transaction, by as many executions as like to end it.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use daypass::{
    contract::{DeletedRole, DeprovisionRequest, Deprovisioned, Deprovisioning, Ended, RoleGone, Status},
    ids::{RoleArn, TransactionId},
    stage::parse_input,
};
use serde_json::Value;

use crate::{
    RecordError, Recorded, Writer,
    item::{
        DELETED, DEPROVISIONING_ID, NewDeprovisioning, OPEN_LEASE, ORIGINAL, RecordedTransaction, StatusChange,
        TRANSACTION_ID,
    },
    table::{Change, Item},
};

/// How often a write is tried that others overtake. Each of them has moved the transaction on, and there are not many
/// statuses to go through.
const ROUNDS: usize = 4;

/// The longest that a provisioning can run: Step Functions ends an EXPRESS execution then.
const LONGEST_PROVISIONING: Duration = Duration::from_mins(5);

/// The error of a transaction whose provisioning neither succeeded nor said that it had failed.
const DIED: (&str, &str) =
    ("Daypass.AwsUnavailable", "provisioning did not come to its end; what there was of it is gone");

/// Whether nothing can happen to the transaction any more.
fn is_terminal(status: Status) -> bool {
    match status {
        Status::Denied | Status::Failed | Status::Deprovisioned => true,
        Status::Processing | Status::Provisioned | Status::Deprovisioning | Status::DeprovisionFailed => false,
    }
}

impl Writer<'_> {
    /// Looks a transaction up for its end, which begins with this: it is the writers' from now on.
    pub async fn deprovisioning(&self, request: &Value) -> Result<Recorded, RecordError> {
        // A list of the fields' values would do for serde.
        if !request.is_object() {
            return Err(RecordError::NoObject);
        }
        let request: DeprovisionRequest = parse_input(&request.to_string()).map_err(RecordError::Request)?;
        if let Some(schema) = request.schema.filter(|schema| *schema != 1) {
            return Err(RecordError::Schema(schema));
        }
        let id = request.transaction_id;
        for _ in 0..ROUNDS {
            let (item, transaction) = self.transaction(id).await?;
            check(&request, &transaction)?;
            let begun = transaction.deprovisioning_transaction_id.is_some();
            if begun || is_terminal(transaction.status) || self.begin(id, item, &transaction).await? {
                return Ok(found(id, transaction, begun));
            }
        }
        Err(RecordError::Contended(id))
    }

    /// Marks the end as begun, in the transaction and in an item of its own; false when somebody was faster.
    async fn begin(
        &self,
        id: TransactionId,
        item: Item,
        transaction: &RecordedTransaction,
    ) -> Result<bool, RecordError> {
        let change = self.change_to(Status::Deprovisioning);
        let end = NewDeprovisioning {
            kind: "deprovisioning",
            original_transaction_id: id,
            execution_arn: self.execution_arn,
            status: change.status,
            status_changes: [&change],
        };
        let end = Change::of(id.deprovisioning_id()).set_all(&end)?.if_without(TRANSACTION_ID);
        let end = end.set_value(ORIGINAL, AttributeValue::M(item));
        let original = Change::of(id).set(DEPROVISIONING_ID, &id.deprovisioning_id())?;
        // A provisioning that has not ended may still be running: it finds out when it is about to hand out credentials.
        let original = if transaction.status == Status::Processing { original } else { original.to(&change)? };
        let original = original.if_status(&[transaction.status])?.if_without(DEPROVISIONING_ID);
        Ok(self.table.change_both([original, end]).await?)
    }

    /// The role is gone, and so is the transaction.
    pub async fn deprovisioned(&self, gone: &RoleGone) -> Result<Recorded, RecordError> {
        let id = gone.transaction_id;
        let status = self.end(id, &End::Deprovisioned(&gone.deleted)).await?;
        Ok(Recorded::Deprovisioned(Deprovisioned {
            deprovisioning_transaction_id: Some(id.deprovisioning_id()),
            original_transaction_id: id,
            status,
        }))
    }

    /// The role may still be there, and a person must look.
    pub async fn deprovision_failed(&self, ended: &Ended) -> Result<Recorded, RecordError> {
        let transaction_id = ended.transaction_id;
        let status = self.end(transaction_id, &End::Failed(ended)).await?;
        Ok(Recorded::Status { transaction_id, status })
    }

    /// Ends the transaction, and the item that records it; returns the status that it has now, whoever gave it.
    async fn end(&self, id: TransactionId, end: &End<'_>) -> Result<Status, RecordError> {
        // What it will be, unless a write is refused.
        let mut from = Status::Deprovisioning;
        for _ in 0..ROUNDS {
            let to = self.after(from, end);
            let original = Change::of(id).to(&to)?.if_status(&[from])?.if_with(DEPROVISIONING_ID);
            let record = Change::of(id.deprovisioning_id());
            let (original, record) = match end {
                End::Deprovisioned(deleted) => {
                    let change = self.change_to(Status::Deprovisioned);
                    (original.remove(OPEN_LEASE), record.to(&change)?.set(DELETED, deleted)?)
                }
                End::Failed(_) => (original, record.to(&to)?),
            };
            let record = record.if_status(&[Status::Deprovisioning, Status::DeprovisionFailed])?;
            if self.table.change_both([original, record]).await? {
                return Ok(to.status);
            }
            let (_, transaction) = self.transaction(id).await?;
            if is_terminal(transaction.status) || transaction.was_moved_to(to.status, self.execution_arn) {
                return Ok(transaction.status);
            }
            if transaction.deprovisioning_transaction_id.is_none() {
                return Err(RecordError::NotEnding(id));
            }
            from = transaction.status;
        }
        Err(RecordError::Contended(id))
    }

    /// What a transaction of this status becomes.
    fn after(&self, status: Status, end: &End<'_>) -> StatusChange {
        match end {
            End::Deprovisioned(_) if status == Status::Processing => self.change_for(Status::Failed, DIED.0, DIED.1),
            End::Deprovisioned(_) => self.change_to(Status::Deprovisioned),
            End::Failed(ended) => self.change_for(Status::DeprovisionFailed, &ended.error, &ended.reason),
        }
    }
}

/// How a deprovisioning ended.
enum End<'a> {
    Deprovisioned(&'a DeletedRole),
    Failed(&'a Ended),
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

/// What there is to end. `begun`: the end had begun before.
fn found(id: TransactionId, transaction: RecordedTransaction, begun: bool) -> Recorded {
    let already_ended = is_terminal(transaction.status);
    let moved = !begun && transaction.status == Status::Provisioned;
    Recorded::Deprovisioning(Box::new(Deprovisioning {
        deprovisioning_transaction_id: (begun || !already_ended).then(|| id.deprovisioning_id()),
        original_transaction_id: id,
        status: if moved { Status::Deprovisioning } else { transaction.status },
        already_ended,
        role_created_at: transaction
            .role_created_at
            .unwrap_or_else(|| transaction.requested_at.plus(LONGEST_PROVISIONING)),
        role_arn: transaction.role_arn,
    }))
}
