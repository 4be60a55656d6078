//! The statuses of a transaction until it is provisioned, or is not.

use std::time::Duration;

use daypass::{
    contract::{Ended, Grant, Leasing, Provisioned, Status, Transaction},
    ids::TransactionId,
};

use crate::{
    RecordError, Recorded, Writer,
    item::{
        END_RECORD, ENDING_SINCE, ERROR, EXECUTION_ARN, NewTransaction, OLD_END_RECORD, OPEN_LEASE, REASON,
        ROLE_MAY_EXIST, RecordedTransaction, RoleFacts, TRANSACTION_ID, WhoAndWhy,
    },
    table::{Change, Store, TableError, Together},
};

/// How often a transaction is tried that others get in the way of.
const ROUNDS: u32 = 6;

impl<S: Store> Writer<'_, S> {
    /// A new transaction, with a lease from now on as far as the index knows: it is the safe side.
    /// `role_may_exist` is for a machine that says when one may.
    pub async fn processing(
        &self,
        transaction: &Transaction,
        role_may_exist: Option<bool>,
    ) -> Result<Recorded, RecordError> {
        let (id, status) = (transaction.transaction_id, Status::Processing);
        let beside = NewTransaction {
            kind: "provisioning",
            execution_arn: self.execution_arn,
            status,
            status_changes: [&self.change_to(status)],
            open_lease: "open",
            role_may_exist,
        };
        let new = Change::of(&id).set_all(transaction)?.set_all(&beside)?.if_without(TRANSACTION_ID);
        if !self.table.change(new).await? {
            match self.find(id).await {
                Ok(Some((_, it))) if it.was_moved_to(status, self.execution_arn) => (),
                Ok(Some((_, it))) => return Err(RecordError::InUse { id, as_what: it.status.as_str() }),
                Ok(None) => return Err(RecordError::Contended(id)),
                Err(RecordError::EndOf { id, .. }) => {
                    return Err(RecordError::InUse { id, as_what: "the end of another" });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Recorded::Status { transaction_id: id, status })
    }

    /// A role may exist from here on, with all that is known of who may have it, and with a place among the open roles. A release
    /// that came before is heeded here: nothing has been made yet.
    pub async fn leasing(&self, it: &Leasing) -> Result<Recorded, RecordError> {
        let (id, status) = (it.transaction_id, Status::Processing);
        let places = self.limits.places(it);
        for round in 0..ROUNDS {
            let change = Change::of(&id).set(ROLE_MAY_EXIST, &true)?;
            let change = change.set_all(&WhoAndWhy::of(None, Some(&it.person), Some(&it.authorization)))?;
            let change = self.if_processing(change)?.if_not(ROLE_MAY_EXIST, &true)?.if_without(ENDING_SINCE);
            let taken = places.iter().map(|place| Ok((self.open_roles.places, place.take(id, self.now)?)));
            let changes = [Ok((self.table, change))].into_iter().chain(taken).collect::<Result<_, TableError>>()?;
            match self.table.change_all(changes).await? {
                Together::Changed => return Ok(Recorded::Status { transaction_id: id, status }),
                Together::Unlike(unlike) if unlike.contains(&0) => {
                    let recorded = self.own(id).await?;
                    let marked_before = recorded.status == status && recorded.role_may_exist && !recorded.is_ending();
                    return if marked_before {
                        Ok(Recorded::Status { transaction_id: id, status })
                    } else {
                        Err(overtaken(id, Status::Provisioned, &recorded))
                    };
                }
                Together::Unlike(unlike) => {
                    for full in unlike.into_iter().filter_map(|part| places.get(part - 1)) {
                        self.open_roles.make_room(full).await?;
                    }
                    self.table.pause(pause(id, round)).await;
                }
            }
        }
        Err(RecordError::Contended(id))
    }

    /// `denied`: no role can exist. A release that came before changes nothing of that.
    pub async fn denied(&self, ended: &Ended) -> Result<Recorded, RecordError> {
        let change = self.ended_as(Status::Denied, ended)?.if_not(ROLE_MAY_EXIST, &true)?;
        self.move_on(ended.transaction_id, Status::Denied, change).await
    }

    /// `failed`: nothing is left of the transaction, and its only maker makes nothing any more. That is so whoever has begun
    /// to end it; the item of that end is closed with it.
    pub async fn failed(&self, ended: &Ended) -> Result<Recorded, RecordError> {
        let (id, status) = (ended.transaction_id, Status::Failed);
        let it = self.own(id).await?;
        let original = self.ended_as(status, ended)?;
        let Some(end) = it.end_record else {
            return self.move_on(id, status, original.if_without(END_RECORD)).await;
        };
        let record = Change::of(&end).to(&self.change_to(Status::Deprovisioned))?;
        let record = record.if_status(&[Status::Deprovisioning, Status::DeprovisionFailed]);
        if self.table.change_both([self.if_processing(original)?, record]).await? {
            return Ok(Recorded::Status { transaction_id: id, status });
        }
        self.moved_before(id, status).await
    }

    /// Why the transaction fails, as the requester is told, for whoever ends it. The status stays, unless no role can exist: then
    /// it has failed.
    pub async fn failing(&self, ended: &Ended) -> Result<Recorded, RecordError> {
        let id = ended.transaction_id;
        let failed = self.ended_as(Status::Failed, ended)?.if_not(ROLE_MAY_EXIST, &true)?;
        if self.table.change(self.if_processing(failed)?).await? {
            return Ok(Recorded::Status { transaction_id: id, status: Status::Failed });
        }
        let change = Change::of(&id).set(ERROR, &ended.error)?.set(REASON, &ended.reason)?.set_all(&who(ended))?;
        let change = change.if_status(&[Status::Processing, Status::Provisioned]);
        let noted = self.table.change(change.if_is(EXECUTION_ARN, &self.execution_arn)?).await?;
        let status = self.own(id).await?.status;
        if noted || status.is_terminal() {
            Ok(Recorded::Status { transaction_id: id, status })
        } else {
            Err(RecordError::Overtaken { id, to: Status::Failed, is: status })
        }
    }

    /// `provisioned`: the answer is what the pipeline gets.
    ///
    /// The answer says when the role is usable: `role_settle` after this moment, at which all of its policies have been made, and
    /// not after its end.
    pub async fn provisioned(&self, it: Provisioned, role_settle: Duration) -> Result<Recorded, RecordError> {
        let (id, status) = (it.transaction.transaction_id, Status::Provisioned);
        let change = Change::of(&id).to(&self.change_to(status))?;
        let change = change.set_all(&WhoAndWhy::of(None, Some(&it.person), Some(&it.authorization)))?;
        let change = change.set_all(&RoleFacts::from(&it))?.if_not(ROLE_MAY_EXIST, &false)?;
        self.move_on(id, status, change.if_without(ENDING_SINCE)).await?;
        let mut grant = Grant::from(it.transaction);
        grant.usable_at = (!role_settle.is_zero()).then(|| self.now.plus(role_settle).min(grant.expires_at));
        Ok(Recorded::Provisioned(Box::new(grant)))
    }

    fn ended_as(&self, status: Status, ended: &Ended) -> Result<Change, TableError> {
        let change = Change::of(&ended.transaction_id).to(&self.change_for(status, &ended.error, &ended.reason))?;
        Ok(change.set_all(&who(ended))?.remove(OPEN_LEASE))
    }

    /// If the transaction is this execution's, and neither decided nor being ended by the version before.
    fn if_processing(&self, change: Change) -> Result<Change, TableError> {
        let change = change.if_status(&[Status::Processing]).if_is(EXECUTION_ARN, &self.execution_arn)?;
        Ok(change.if_without(OLD_END_RECORD))
    }

    /// Makes `change`, which is one to `status`, if the transaction is still this execution's to change.
    async fn move_on(&self, id: TransactionId, status: Status, change: Change) -> Result<Recorded, RecordError> {
        if self.table.change(self.if_processing(change)?).await? {
            return Ok(Recorded::Status { transaction_id: id, status });
        }
        self.moved_before(id, status).await
    }

    /// The answer when a change to `status` was refused: it was made before, or somebody else was faster.
    async fn moved_before(&self, id: TransactionId, status: Status) -> Result<Recorded, RecordError> {
        let it = self.own(id).await?;
        // Somebody else may have closed a transaction that failed.
        if it.was_moved_to(status, self.execution_arn) || (status, it.status) == (Status::Failed, Status::Failed) {
            return Ok(Recorded::Status { transaction_id: id, status });
        }
        Err(overtaken(id, status, &it))
    }

    /// The transaction, which has to be one that this execution made.
    async fn own(&self, id: TransactionId) -> Result<RecordedTransaction, RecordError> {
        let (_, it) = self.transaction(id).await?;
        if it.execution_arn == self.execution_arn { Ok(it) } else { Err(RecordError::OfAnother { id }) }
    }
}

/// Why the transaction cannot become `to` any more.
fn overtaken(id: TransactionId, to: Status, it: &RecordedTransaction) -> RecordError {
    if it.is_ending() && it.status == Status::Processing {
        RecordError::Released(id)
    } else {
        RecordError::Overtaken { id, to, is: it.status }
    }
}

/// How long to wait until others have written what they are writing: in each round longer, and not as long as the others.
fn pause(id: TransactionId, round: u32) -> Duration {
    let own = id.to_string().bytes().map(u64::from).sum::<u64>() % 20;
    Duration::from_millis((5 + own) << round)
}

fn who(ended: &Ended) -> WhoAndWhy<'_> {
    WhoAndWhy::of(ended.proof.as_ref(), ended.person.as_ref(), ended.authorization.as_ref())
}
