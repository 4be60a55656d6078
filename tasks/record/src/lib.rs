//! Records every status change of a transaction, and looks transactions up for the executions that end them.
//!
//! **Who may change a status** is written in the item. Until the end begins it is the execution that provisions; the end
//! begins with `deprovisioning_transaction_id`, and from then on it is whoever ends the transaction, and nobody else.
//! A renewal changes no status: it joins a list of its own, as long as the transaction is provisioned.
//! Each change is one conditional write. Who finds the condition broken reads the item, and learns who was faster; a
//! change that the same execution has made before (its answer was lost) is a success.

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use daypass::{
    contract::{Deprovisioned, Deprovisioning, Grant, Operation, RecordInput, Renewing, Status},
    error::ErrorName,
    ids::TransactionId,
    stage::{Failure, Named, Stage},
    text::Quoted,
    timestamp::Timestamp,
};
use serde::Serialize;

use self::{
    item::{ORIGINAL_ID, RecordedTransaction, StatusChange},
    table::{Item, Table, TableError, read},
};

mod deprovisioning;
mod item;
mod provisioning;
mod renewals;
mod table;
#[cfg(test)]
mod tests;

/// What each operation of record, by its name on the wire, can end with.
pub const RAISES: &[(&str, &[ErrorName])] = {
    use ErrorName::{
        AwsUnavailable, InvalidRequest, Throttled, TransactionConflict, TransactionMismatch, TransactionNotFound,
    };
    &[
        ("processing", &[InvalidRequest, TransactionConflict, Throttled, AwsUnavailable]),
        ("denied", &[InvalidRequest, TransactionConflict, TransactionNotFound, Throttled, AwsUnavailable]),
        ("failed", &[InvalidRequest, TransactionConflict, TransactionNotFound, Throttled, AwsUnavailable]),
        ("provisioned", &[InvalidRequest, TransactionConflict, TransactionNotFound, Throttled, AwsUnavailable]),
        ("renewing", &[InvalidRequest, TransactionConflict, TransactionNotFound, Throttled, AwsUnavailable]),
        ("renewed", &[InvalidRequest, TransactionConflict, TransactionNotFound, Throttled, AwsUnavailable]),
        ("renewal_refused", &[InvalidRequest, TransactionNotFound, Throttled, AwsUnavailable]),
        ("deprovisioning", &[InvalidRequest, TransactionNotFound, TransactionMismatch, Throttled, AwsUnavailable]),
        ("deprovisioned", &[InvalidRequest, TransactionNotFound, Throttled, AwsUnavailable]),
        ("deprovision_failed", &[InvalidRequest, TransactionNotFound, Throttled, AwsUnavailable]),
    ]
};

/// The task.
#[derive(Clone, Debug)]
pub struct Record {
    table: Table,
}

impl Record {
    /// A task for the table of this name, whose key is `transaction_id`.
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { table: Table::new(client, table) }
    }
}

/// What an operation answers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Recorded {
    /// `processing`, `denied`, `failed`, `renewal_refused`, `deprovision_failed`.
    Status {
        /// The transaction.
        transaction_id: TransactionId,
        /// What it is now.
        status: Status,
    },
    /// `provisioned`, `renewed`.
    Provisioned(Box<Grant>),
    /// `renewing`.
    Renewing(Box<Renewing>),
    /// `deprovisioning`.
    Deprovisioning(Box<Deprovisioning>),
    /// `deprovisioned`.
    Deprovisioned(Deprovisioned),
}

impl Stage for Record {
    type Input = RecordInput;
    type Output = Recorded;
    type Error = RecordError;

    async fn run(&self, input: RecordInput, now: Timestamp) -> Result<Recorded, RecordError> {
        let by = Writer { table: &self.table, execution_arn: &input.execution_arn, now };
        match input.operation {
            Operation::Processing(transaction) => by.processing(&transaction).await,
            Operation::Denied(ended) => by.ended_as(Status::Denied, &ended).await,
            Operation::Failed(ended) => by.ended_as(Status::Failed, &ended).await,
            Operation::Provisioned(provisioned) => by.provisioned(*provisioned).await,
            Operation::Renewing(renewal) => by.renewing(renewal).await,
            Operation::Renewed(renewed) => by.renewed(*renewed).await,
            Operation::RenewalRefused(refused) => by.renewal_refused(&refused).await,
            Operation::Deprovisioning(request) => by.deprovisioning(&request).await,
            Operation::Deprovisioned(gone) => by.deprovisioned(&gone).await,
            Operation::DeprovisionFailed(ended) => by.deprovision_failed(&ended).await,
        }
    }

    async fn warm_up(&self, _now: Timestamp) {
        self.table.warm_up().await;
    }
}

/// The one who changes statuses: an execution, now.
struct Writer<'a> {
    table: &'a Table,
    execution_arn: &'a str,
    now: Timestamp,
}

impl Writer<'_> {
    fn change_to(&self, status: Status) -> StatusChange {
        let execution_arn = self.execution_arn.to_owned();
        StatusChange { status, at: self.now, execution_arn, error: None, reason: None }
    }

    /// The transaction of this id, if there is one: its item, and what of it counts.
    async fn find(&self, id: TransactionId) -> Result<Option<(Item, RecordedTransaction)>, RecordError> {
        let Some(item) = self.table.read(id).await? else { return Ok(None) };
        if let Some(AttributeValue::S(original)) = item.get(ORIGINAL_ID) {
            return Err(RecordError::EndOf { id, original: original.clone() });
        }
        let transaction = read(&item)?;
        Ok(Some((item, transaction)))
    }

    /// The same, when there has to be one.
    async fn transaction(&self, id: TransactionId) -> Result<(Item, RecordedTransaction), RecordError> {
        self.find(id).await?.ok_or(RecordError::NotFound(id))
    }

    fn change_for(&self, status: Status, error: &str, reason: &str) -> StatusChange {
        let (error, reason) = (Some(error.to_owned()), Some(reason.to_owned()));
        StatusChange { error, reason, ..self.change_to(status) }
    }
}

/// Why a change is not on record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The request to end a transaction is none.
    #[error("expected an object with `transaction_id`")]
    NoObject,
    /// The request to end a transaction cannot be read.
    #[error("{}", .0.message)]
    Request(Failure),
    /// The request is of a version that only a newer record understands.
    #[error("`schema`: this version of Daypass understands 1, not {0}; leave it out")]
    Schema(u32),
    /// Another execution has the id.
    #[error("transaction {id} is there already ({}); start again, under a new name or none", .status.as_str())]
    InUse {
        /// The transaction.
        id: TransactionId,
        /// What it is.
        status: Status,
    },
    /// The transaction is not the execution's to change any more.
    #[error("transaction {id} cannot become {} any more: it is {}", .to.as_str(), .is.map_or("being ended", Status::as_str))]
    Overtaken {
        /// The transaction.
        id: TransactionId,
        /// What it should have become.
        to: Status,
        /// What it is; none when its end has begun.
        is: Option<Status>,
    },
    /// There is no such transaction.
    #[error("there is no transaction {0}")]
    NotFound(TransactionId),
    /// The id is that of the item that records a transaction's end.
    #[error("{id} is the end of transaction {original}: use that id")]
    EndOf {
        /// The id.
        id: TransactionId,
        /// The transaction.
        original: String,
    },
    /// There is nothing to renew.
    #[error("transaction {id} cannot be renewed: it is {}; request a new role", .status.as_str())]
    NotProvisioned {
        /// The transaction.
        id: TransactionId,
        /// What it is.
        status: Status,
    },
    /// There is nothing to renew any more, and the lease has just not come to it.
    #[error("the lease of transaction {id} has ended at {at}; request a new role")]
    LeaseEnded {
        /// The transaction.
        id: TransactionId,
        /// When.
        at: Timestamp,
    },
    /// The item has no room for more.
    #[error("transaction {id} has been renewed {times} times, which is as often as it can be; request a new role")]
    RenewedOften {
        /// The transaction.
        id: TransactionId,
        /// How often.
        times: usize,
    },
    /// The end of the transaction has not begun.
    #[error("the end of transaction {0} has not begun")]
    NotEnding(TransactionId),
    /// The request to end a transaction is mistaken about it.
    #[error("`{field}`: transaction {id} has {recorded}, not {}; correct it, or leave it out", Quoted(.given))]
    Mismatch {
        /// The request's field.
        field: &'static str,
        /// The transaction.
        id: TransactionId,
        /// What the request says.
        given: String,
        /// What is recorded.
        recorded: String,
    },
    /// Others keep changing the item.
    #[error("others are changing transaction {0} at this moment")]
    Contended(TransactionId),
    /// The table cannot be used.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl Named for RecordError {
    fn name(&self) -> ErrorName {
        match self {
            Self::Request(failure) => failure.name,
            Self::NoObject | Self::Schema(_) => ErrorName::InvalidRequest,
            Self::InUse { .. }
            | Self::Overtaken { .. }
            | Self::NotProvisioned { .. }
            | Self::LeaseEnded { .. }
            | Self::RenewedOften { .. } => ErrorName::TransactionConflict,
            Self::NotFound(_) | Self::EndOf { .. } | Self::NotEnding(_) => ErrorName::TransactionNotFound,
            Self::Mismatch { .. } => ErrorName::TransactionMismatch,
            Self::Contended(_) => ErrorName::Throttled,
            Self::Table(TableError::Item(_)) => ErrorName::AwsUnavailable,
            Self::Table(TableError::Aws(error)) => error.name(),
        }
    }
}
