//! The statuses of a transaction until it is provisioned, or is not.

use daypass::contract::{Ended, Grant, Provisioned, Status, Transaction};
use daypass::ids::TransactionId;

use crate::{
    RecordError, Recorded, Writer,
    item::{self, DEPROVISIONING_ID, EXECUTION_ARN, Facts, NewTransaction, OPEN_LEASE},
    table::Change,
};

impl Writer<'_> {
    /// A new transaction, with a lease from now on as far as the index knows: it is the safe side.
    pub async fn processing(&self, transaction: &Transaction) -> Result<Recorded, RecordError> {
        let (id, status) = (transaction.transaction_id, Status::Processing);
        let item = NewTransaction {
            kind: "provisioning",
            transaction,
            execution_arn: self.execution_arn,
            status,
            status_changes: [&self.change_to(status)],
            open_lease: "open",
        };
        if self.table.create(&item).await? {
            return Ok(Recorded::Status { transaction_id: id, status });
        }
        match self.table.read(id).await? {
            Some((_, item::Recorded::Provisioning(it))) if it.was_moved_to(status, self.execution_arn) => {
                Ok(Recorded::Status { transaction_id: id, status })
            }
            Some((_, item::Recorded::Provisioning(it))) => Err(RecordError::InUse { id, status: it.status }),
            Some((_, item::Recorded::Deprovisioning { original_transaction_id: original })) => {
                Err(RecordError::EndOf { id, original })
            }
            None => Err(RecordError::Contended(id)),
        }
    }

    /// `denied` or `failed`: nothing is left of the transaction.
    pub async fn ended_as(&self, status: Status, ended: &Ended) -> Result<Recorded, RecordError> {
        let id = ended.transaction_id;
        let facts = Facts {
            user_id: ended.person.as_ref().map(|it| &*it.user_id),
            user_name: ended.person.as_ref().map(|it| &*it.user_name),
            group_id: ended.authorization.as_ref().map(|it| &*it.group_id),
            decision: ended.authorization.as_ref().map(|it| &*it.reason),
            role: None,
        };
        let change = Change::of(id).to(&self.change_for(status, &ended.error, &ended.reason))?;
        self.move_on(id, status, change.set_all(&facts)?.remove(OPEN_LEASE)).await?;
        Ok(Recorded::Status { transaction_id: id, status })
    }

    /// `provisioned`: the answer is what the pipeline gets.
    pub async fn provisioned(&self, it: Provisioned) -> Result<Recorded, RecordError> {
        let (id, status) = (it.transaction.transaction_id, Status::Provisioned);
        let facts = Facts {
            user_id: Some(&it.person.user_id),
            user_name: Some(&it.person.user_name),
            group_id: Some(&it.authorization.group_id),
            decision: Some(&it.authorization.reason),
            role: Some((&it).into()),
        };
        self.move_on(id, status, Change::of(id).to(&self.change_to(status))?.set_all(&facts)?).await?;
        Ok(Recorded::Provisioned(Box::new(Grant {
            transaction_id: id,
            iam_role_arn: it.transaction.role_arn,
            role_name: it.transaction.role_name,
            role_ttl_hours: it.transaction.role_ttl_hours,
            expires_at: it.transaction.expires_at,
            persona: it.transaction.persona,
            status,
        })))
    }

    /// Makes `change`, which is one to `status`, if the transaction is still this execution's to change.
    async fn move_on(&self, id: TransactionId, status: Status, change: Change) -> Result<(), RecordError> {
        let change = change.if_status(&[Status::Processing])?.if_is(EXECUTION_ARN, &self.execution_arn)?;
        if self.table.change(change.if_without(DEPROVISIONING_ID)).await? {
            return Ok(());
        }
        match self.table.read(id).await? {
            Some((_, item::Recorded::Provisioning(it))) if it.was_moved_to(status, self.execution_arn) => Ok(()),
            Some((_, item::Recorded::Provisioning(it))) if it.execution_arn == self.execution_arn => {
                let is = it.deprovisioning_transaction_id.is_none().then_some(it.status);
                Err(RecordError::Overtaken { id, to: status, is })
            }
            Some((_, item::Recorded::Provisioning(it))) => Err(RecordError::InUse { id, status: it.status }),
            Some((_, item::Recorded::Deprovisioning { original_transaction_id: original })) => {
                Err(RecordError::EndOf { id, original })
            }
            None => Err(RecordError::NotFound(id)),
        }
    }
}
