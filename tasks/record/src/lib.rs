//! Records every status change of a transaction, and looks transactions up for the executions that end them.
//!
//! **Who may change a status** is written in the item. Until a role may exist (`role_may_exist`) it is the execution that
//! provisions, alone: it may deny. From then on it is whoever begins the end (`ending_since`), and nobody else.
//! A renewal changes no status: it joins a list of its own, as long as the transaction is provisioned.
//! Each change is one conditional write. Who finds the condition broken reads the item, and learns who was faster; a
//! change that the same execution has made before (its answer was lost) is a success.

use std::time::Duration;

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use daypass::{
    contract::{Deprovisioned, Deprovisioning, Grant, Operation, RecordInput, Renewing, Status},
    error::ErrorName,
    ids::{AccountId, TransactionId},
    named,
    stage::{Failure, Stage},
    text::Quoted,
    timestamp::Timestamp,
};
use daypass_aws::AwsError;
use serde::Serialize;

use self::{
    item::{ORIGINAL_ID, RecordedTransaction, StatusChange, TRANSACTION_ID},
    open_roles::{HOLDER, OpenRoles},
    table::read,
};

mod deprovisioning;
mod item;
mod open_roles;
mod provisioning;
mod renewals;
mod table;
#[cfg(test)]
mod tests;

pub use self::{
    open_roles::{Limits, LimitsError},
    table::{Assignment, Change, Condition, Item, Store, Table, TableError, Together},
};

/// What each operation of record, by its name on the wire, can end with. All together are the names of [`RecordError`].
pub const RAISES: &[(&str, &[ErrorName])] = {
    use ErrorName::{
        AwsUnavailable, HubRefused, InvalidRequest, QuotaExceeded, RecordBroken, RoleNotVisibleYet, Throttled,
        TransactionConflict, TransactionMismatch, TransactionNotFound,
    };
    const OF_A_REQUEST: &[ErrorName] =
        &[InvalidRequest, TransactionConflict, RecordBroken, HubRefused, Throttled, AwsUnavailable];
    const OF_ITS_EXECUTION: &[ErrorName] = &[
        InvalidRequest,
        TransactionConflict,
        TransactionMismatch,
        TransactionNotFound,
        RecordBroken,
        Throttled,
        AwsUnavailable,
    ];
    const OF_A_LEASE: &[ErrorName] = &[
        InvalidRequest,
        TransactionConflict,
        TransactionMismatch,
        TransactionNotFound,
        QuotaExceeded,
        RecordBroken,
        HubRefused,
        Throttled,
        AwsUnavailable,
    ];
    const OF_AN_END: &[ErrorName] = &[InvalidRequest, TransactionNotFound, RecordBroken, Throttled, AwsUnavailable];
    const LOOKED_UP: &[ErrorName] =
        &[InvalidRequest, TransactionNotFound, TransactionMismatch, RecordBroken, Throttled, AwsUnavailable];
    const OF_A_RENEWAL: &[ErrorName] =
        &[InvalidRequest, TransactionConflict, TransactionNotFound, RecordBroken, Throttled, AwsUnavailable];
    &[
        ("requested", OF_A_REQUEST),
        ("processing", OF_A_REQUEST),
        ("denied", OF_ITS_EXECUTION),
        ("failed", OF_ITS_EXECUTION),
        ("leasing", OF_A_LEASE),
        ("failing", OF_ITS_EXECUTION),
        ("provisioned", OF_ITS_EXECUTION),
        (
            "renewing",
            &[
                InvalidRequest,
                TransactionConflict,
                TransactionNotFound,
                RecordBroken,
                HubRefused,
                Throttled,
                AwsUnavailable,
            ],
        ),
        ("renewed", OF_A_RENEWAL),
        ("renewal_refused", OF_AN_END),
        ("waiting", LOOKED_UP),
        ("deprovisioning", LOOKED_UP),
        ("look_up", LOOKED_UP),
        ("cancelled", OF_AN_END),
        (
            "deprovisioned",
            &[InvalidRequest, TransactionNotFound, RecordBroken, RoleNotVisibleYet, Throttled, AwsUnavailable],
        ),
        ("deprovision_failed", OF_AN_END),
    ]
};

/// The task, with its tables: of DynamoDB, unless a model has its own.
#[derive(Clone, Debug)]
pub struct Record<S = Table> {
    table: S,
    open_roles: S,
    limits: Limits,
    role_settle: Duration,
}

impl Record {
    /// A task for the table of this name, whose key is `transaction_id`, and for the table that counts open roles, whose key is
    /// `holder`.
    #[must_use]
    pub fn new(client: Client, table: String, open_roles: String, limits: Limits) -> Self {
        let open_roles = Table::new(client.clone(), open_roles, HOLDER);
        Self::on(Table::new(client, table, TRANSACTION_ID), open_roles, limits)
    }
}

impl<S: Store> Record<S> {
    /// A task on the table of transactions, and the one that counts open roles.
    #[must_use]
    pub fn on(table: S, open_roles: S, limits: Limits) -> Self {
        Self { table, open_roles, limits, role_settle: Duration::ZERO }
    }

    /// The same, which tells whoever gets a role to leave it alone for so long: IAM shows policies in one region after the other.
    #[must_use]
    pub fn settling(self, role_settle: Duration) -> Self {
        Self { role_settle, ..self }
    }

    /// Carries one operation out.
    ///
    /// # Errors
    /// [`RecordError`]: it is not on record.
    pub async fn carry_out(&self, input: RecordInput, now: Timestamp) -> Result<Recorded, RecordError> {
        let open_roles = OpenRoles { places: &self.open_roles, transactions: &self.table };
        let execution_arn = &input.execution_arn;
        let by = Writer { table: &self.table, open_roles, limits: self.limits, execution_arn, now };
        match input.operation {
            Operation::Requested(transaction) => by.processing(&transaction, Some(false)).await.map_err(in_hub),
            Operation::Processing(transaction) => by.processing(&transaction, None).await.map_err(in_hub),
            Operation::Denied(ended) => by.denied(&ended).await,
            Operation::Failed(ended) => by.failed(&ended).await,
            Operation::Leasing(leasing) => by.leasing(&leasing).await.map_err(in_hub),
            Operation::Failing(ended) => by.failing(&ended).await,
            Operation::Provisioned(provisioned) => by.provisioned(*provisioned, self.role_settle).await,
            Operation::Renewing(renewal) => by.renewing(renewal).await.map_err(in_hub),
            Operation::Renewed(renewed) => by.renewed(*renewed).await,
            Operation::RenewalRefused(refused) => by.renewal_refused(&refused).await,
            Operation::Waiting(request) => by.waiting(&request).await,
            Operation::Deprovisioning(request) => by.deprovisioning(&request).await,
            Operation::LookUp(request) => by.look_up(&request).await,
            Operation::Cancelled(cancelled) => by.cancelled(cancelled.transaction_id).await,
            Operation::Deprovisioned(gone) => by.deprovisioned(&gone).await,
            Operation::DeprovisionFailed(ended) => by.deprovision_failed(&ended).await,
        }
    }
}

/// What an operation answers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Recorded {
    /// `requested`, `processing`, `denied`, `failed`, `leasing`, `failing`, `renewal_refused`, `deprovision_failed`.
    Status {
        transaction_id: TransactionId,
        /// What it is now.
        status: Status,
    },
    /// `provisioned`, `renewed`.
    Provisioned(Box<Grant>),
    /// `renewing`.
    Renewing(Box<Renewing>),
    /// `waiting`, `deprovisioning`, `look_up`.
    Deprovisioning(Box<Deprovisioning>),
    /// `cancelled`, `deprovisioned`.
    Deprovisioned(Deprovisioned),
}

impl Stage for Record {
    type Input = RecordInput;
    type Output = Recorded;
    type Error = RecordError;

    async fn run(&self, input: RecordInput, now: Timestamp) -> Result<Recorded, RecordError> {
        self.carry_out(input, now).await
    }

    async fn warm_up(&self, _now: Timestamp) {
        self.table.warm_up().await;
    }
}

/// What an error means before there may be a role, for somebody who waits: what the table refuses is told as a refusal. Later on, and
/// at every end, it is tried again for as long as it takes.
fn in_hub(error: RecordError) -> RecordError {
    match error {
        RecordError::Table(TableError::Aws(refused)) if refused.refusal().is_some() => RecordError::Refused(refused),
        other => other,
    }
}

/// The one who changes statuses: an execution, now.
struct Writer<'a, S> {
    table: &'a S,
    open_roles: OpenRoles<'a, S>,
    limits: Limits,
    execution_arn: &'a str,
    now: Timestamp,
}

impl<S: Store> Writer<'_, S> {
    fn change_to(&self, status: Status) -> StatusChange {
        let execution_arn = self.execution_arn.to_owned();
        StatusChange { status, at: self.now, execution_arn, error: None, reason: None }
    }

    /// The transaction of this id, if there is one: its item, and what of it counts.
    async fn find(&self, id: TransactionId) -> Result<Option<(Item, RecordedTransaction)>, RecordError> {
        let Some(item) = self.table.read(&id).await? else { return Ok(None) };
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
    /// The execution that wants to wait has no expiry.
    #[error("`expires_at`: expected a time such as 2026-11-23T09:00:00Z; leave it out to end the transaction now")]
    NoExpiry,
    /// The execution that wants to wait is not the transaction's lease.
    #[error(
        "`expires_at`: only a transaction's lease has one, the execution that is named after the transaction; leave it \
         out to end the transaction now"
    )]
    NoLease,
    /// The transaction has no lease, because no role can exist of it yet.
    #[error("transaction {0} had no lease yet, and gets none: this start has cancelled it")]
    NotLeased(TransactionId),
    /// The request is of a version that only a newer record understands.
    #[error("`schema`: this version of Daypass understands 1, not {0}; leave it out")]
    Schema(u32),
    /// Another execution has the id.
    #[error("transaction {id} exists already ({as_what}); start again, with a new name or without a name")]
    InUse {
        id: TransactionId,
        /// Its status, or what else has the id.
        as_what: &'static str,
    },
    /// Another execution has made the transaction.
    #[error("transaction {id} belongs to another execution; start again, with a new name or without a name")]
    OfAnother { id: TransactionId },
    /// Somebody has released the transaction while it was being provisioned.
    #[error("transaction {0} was released before it was provisioned; start again, with a new name or without a name")]
    Released(TransactionId),
    /// The transaction is not the execution's to change any more.
    #[error("transaction {id} cannot become {} any more: it is {}", .to.as_str(), .is.as_str())]
    Overtaken {
        id: TransactionId,
        /// What it should have become.
        to: Status,
        /// What it is.
        is: Status,
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
        id: TransactionId,
        /// What it is.
        status: Status,
    },
    /// There is nothing to renew any more, and the lease has just not come to it.
    #[error("the lease of transaction {id} has ended at {at}; request a new role")]
    LeaseEnded {
        id: TransactionId,
        /// When.
        at: Timestamp,
    },
    /// The item has no room for more.
    #[error("transaction {id} has been renewed {times} times, which is as often as it can be; request a new role")]
    RenewedOften {
        id: TransactionId,
        /// How often.
        times: usize,
    },
    /// The role is gone, but the end has no item of its own.
    #[error(
        "the role of transaction {0} is gone and the transaction records that, but another party has written the item \
         that should record its end: find out who has written to the table"
    )]
    EndTaken(TransactionId),
    /// The role is gone, and may come again.
    #[error("transaction {0} may still be provisioned, and its role made again; it has to be looked for once more")]
    StillProvisioning(TransactionId),
    /// The end of the transaction has not begun.
    #[error("the end of transaction {0} has not begun")]
    NotEnding(TransactionId),
    /// The request to end a transaction is mistaken about it.
    #[error("`{field}`: transaction {id} has {recorded}, not {}; correct it, or leave it out", Quoted(.given))]
    Mismatch {
        /// The request's field.
        field: &'static str,
        id: TransactionId,
        /// What the request says.
        given: String,
        /// What is recorded.
        recorded: String,
    },
    /// The job has an open role there.
    #[error(
        "this job ({job}) has a role in account {account} already, that of transaction {open}; use it, or release it \
         first with `daypass release {open}`"
    )]
    OneRole {
        /// The job.
        job: String,
        account: AccountId,
        /// The transaction.
        open: String,
    },
    /// The job had an open role there, and it is going: in a moment there is room.
    #[error(
        "the role that this job had in account {account}, of transaction {open}, is being ended, which takes some \
         minutes when it was released early; try again"
    )]
    StillEnding {
        account: AccountId,
        /// The transaction.
        open: String,
    },
    /// The job has had a role in other accounts.
    #[error(
        "this job ({job}) has had a role in {had}, and a job may have roles in {most} account(s): deploy to {account} \
         from a job of its own, or ask the platform team to raise `limits.accounts_per_job`"
    )]
    OtherAccount {
        /// The job.
        job: String,
        account: AccountId,
        /// The others.
        had: String,
        /// In how many it may have one.
        most: usize,
    },
    /// Too many roles are open.
    #[error(
        "{whose} may have {most} open roles in account {account}, and these are: {open}; release one that is not \
         needed with `daypass release <id>`, or ask the platform team to raise `limits.open_roles_per_{limit}`"
    )]
    NoRoom {
        /// Whose they are.
        whose: &'static str,
        /// Which limit it is.
        limit: &'static str,
        account: AccountId,
        /// How many there may be.
        most: usize,
        /// The transactions.
        open: String,
    },
    /// Others keep changing the item.
    #[error("other executions are changing transaction {0} at this moment")]
    Contended(TransactionId),
    /// The table refuses the call, and would refuse it again.
    #[error("{}", .0.told_in_hub())]
    Refused(#[source] AwsError),
    /// The table cannot be used.
    #[error(transparent)]
    Table(#[from] TableError),
}

named!(RecordError {
    Self::Request(failure) => (failure.name, [ErrorName::InvalidRequest]),
    Self::NoObject | Self::Schema(_) | Self::NoExpiry | Self::NoLease => InvalidRequest,
    Self::InUse { .. }
    | Self::Overtaken { .. }
    | Self::Released(_)
    | Self::NotProvisioned { .. }
    | Self::LeaseEnded { .. }
    | Self::RenewedOften { .. } => TransactionConflict,
    Self::NotFound(_) | Self::EndOf { .. } | Self::NotEnding(_) => TransactionNotFound,
    Self::Mismatch { .. } | Self::OfAnother { .. } | Self::NotLeased(_) => TransactionMismatch,
    Self::StillProvisioning(_) => RoleNotVisibleYet,
    Self::OneRole { .. } | Self::OtherAccount { .. } | Self::NoRoom { .. } => QuotaExceeded,
    Self::Contended(_) | Self::StillEnding { .. } => Throttled,
    Self::EndTaken(_) | Self::Table(TableError::Item(_)) => RecordBroken,
    Self::Refused(error) => (error.name_in_hub(), ErrorName::OF_AWS_IN_HUB),
    Self::Table(TableError::Aws(error)) => (error.name(), ErrorName::OF_AWS),
});
