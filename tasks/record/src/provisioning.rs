//! The statuses of a transaction until it is provisioned, or is not.

use daypass::{
    contract::{Ended, Provisioned, Status, Transaction},
    ids::TransactionId,
};

use crate::{
    RecordError, Recorded, Writer,
    item::{DEPROVISIONING_ID, EXECUTION_ARN, NewTransaction, OPEN_LEASE, RoleFacts, TRANSACTION_ID, WhoAndWhy},
    table::Change,
};

impl Writer<'_> {
    /// A new transaction, with a lease from now on as far as the index knows: it is the safe side.
    pub async fn processing(&self, transaction: &Transaction) -> Result<Recorded, RecordError> {
        let (id, status) = (transaction.transaction_id, Status::Processing);
        let beside = NewTransaction {
            kind: "provisioning",
            execution_arn: self.execution_arn,
            status,
            status_changes: [&self.change_to(status)],
            open_lease: "open",
        };
        let new = Change::of(id).set_all(transaction)?.set_all(&beside)?.if_without(TRANSACTION_ID);
        if !self.table.change(new).await? {
            match self.find(id).await? {
                Some((_, it)) if it.was_moved_to(status, self.execution_arn) => (),
                Some((_, it)) => return Err(RecordError::InUse { id, status: it.status }),
                None => return Err(RecordError::Contended(id)),
            }
        }
        Ok(Recorded::Status { transaction_id: id, status })
    }

    /// `denied` or `failed`: nothing is left of the transaction.
    pub async fn ended_as(&self, status: Status, ended: &Ended) -> Result<Recorded, RecordError> {
        let id = ended.transaction_id;
        let facts = WhoAndWhy::of(ended.person.as_ref(), ended.authorization.as_ref());
        let change = Change::of(id).to(&self.change_for(status, &ended.error, &ended.reason))?;
        self.move_on(id, status, change.set_all(&facts)?.remove(OPEN_LEASE)).await?;
        Ok(Recorded::Status { transaction_id: id, status })
    }

    /// `provisioned`: the answer is what the pipeline gets.
    pub async fn provisioned(&self, it: Provisioned) -> Result<Recorded, RecordError> {
        let (id, status) = (it.transaction.transaction_id, Status::Provisioned);
        let change = Change::of(id).to(&self.change_to(status))?;
        let change = change.set_all(&WhoAndWhy::of(Some(&it.person), Some(&it.authorization)))?;
        self.move_on(id, status, change.set_all(&RoleFacts::from(&it))?).await?;
        Ok(Recorded::Provisioned(Box::new(it.transaction.into())))
    }

    /// Makes `change`, which is one to `status`, if the transaction is still this execution's to change.
    async fn move_on(&self, id: TransactionId, status: Status, change: Change) -> Result<(), RecordError> {
        let change = change.if_status(&[Status::Processing])?.if_is(EXECUTION_ARN, &self.execution_arn)?;
        if self.table.change(change.if_without(DEPROVISIONING_ID)).await? {
            return Ok(());
        }
        let (_, it) = self.transaction(id).await?;
        if it.was_moved_to(status, self.execution_arn) {
            return Ok(());
        }
        if it.execution_arn != self.execution_arn {
            return Err(RecordError::InUse { id, status: it.status });
        }
        let is = it.deprovisioning_transaction_id.is_none().then_some(it.status);
        Err(RecordError::Overtaken { id, to: status, is })
    }
}
