//! How many roles are open at once: of a job in an account, of a person in an account, and of an account.
//!
//! A table of its own has one item for each of them. Who may have a role takes a place in all of them in the transaction that marks
//! that a role may exist: together or not at all, however many ask at once. **An end gives no place back**: it has nothing to do
//! here, and so nothing that could go wrong. Who finds no place looks which transactions have ended, and takes theirs.

use std::{collections::BTreeSet, str::FromStr, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use daypass::{
    contract::{Leasing, Proof, Status},
    ids::{AccountId, TransactionId},
    issuer::Provider,
    stage::parse_input,
    text::Quoted,
    timestamp::Timestamp,
};
use serde::Deserialize;

use crate::{
    RecordError,
    item::{ENDING_SINCE, STATUS},
    table::{Change, Item, Store, TableError},
};

/// How many transactions a reason names: an answer of a task has about a thousand characters.
const MOST_TOLD: usize = 15;
/// The key of the table.
pub const HOLDER: &str = "holder";
/// Of a person or an account: the transactions that have a place.
const OPEN: &str = "open";
/// Of a job: the accounts that it has had a role in.
const ACCOUNTS: &str = "accounts";
/// Of a job: before an account, the attribute with the transaction of its role there.
const ROLE_IN: &str = "role_in_";
/// Of a job: when DynamoDB may forget it.
const FORGET_AT: &str = "forget_at";
/// Longer than a run of a CI system lasts: 35 days at GitHub, with all that it waits for.
const LONGEST_RUN: Duration = Duration::from_hours(36 * 24);

/// How many there may be: the setting `DAYPASS_LIMITS`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Open roles of one person in one account.
    open_roles_per_person: usize,
    open_roles_per_account: usize,
    /// Accounts that one job can ever have a role in. In each it has one at a time.
    accounts_per_job: usize,
}

/// The setting cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LimitsError(String);

impl FromStr for Limits {
    type Err = LimitsError;

    fn from_str(json: &str) -> Result<Self, LimitsError> {
        parse_input(json).map_err(|failure| LimitsError(failure.message))
    }
}

/// Where a transaction needs a place.
pub struct Place {
    key: String,
    of: Of,
    most: usize,
    account: AccountId,
}

enum Of {
    /// What the issuer calls it.
    Job(String),
    Person,
    Account,
}

impl Limits {
    /// The places that a transaction needs. One that nothing proves is of no job that could be told from others.
    #[must_use]
    pub fn places(self, it: &Leasing) -> Vec<Place> {
        let account = &it.target_aws_account_id;
        let place = |of, key: String, most| Place { key, of, most, account: account.clone() };
        let job = it.person.proof.as_ref().map(|proof| place(Of::Job(named(proof)), job(proof), self.accounts_per_job));
        let person = format!("person#{account}#{}", it.person.user_id);
        let person = place(Of::Person, person, self.open_roles_per_person);
        let all = place(Of::Account, format!("account#{account}"), self.open_roles_per_account);
        job.into_iter().chain([person, all]).collect()
    }
}

/// The key of the job that asks, by the finest identity that its issuer gives: the job, or the run, or whom the token is for.
/// A list in JSON keeps apart what claims may contain.
fn job(proof: &Proof) -> String {
    let repository = proof.repository_id.as_ref().or(proof.repository.as_ref());
    let of = match (&proof.job_id, &proof.run_id) {
        (Some(job), run) => [repository, run.as_ref(), Some(job)],
        (None, Some(run)) => [repository, Some(run), None],
        (None, None) => [repository, None, Some(&proof.subject)],
    };
    format!("job#{}", serde_json::json!([proof.issuer, of]))
}

/// The same in words: the claim that tells the job, and what it says.
fn named(proof: &Proof) -> String {
    let names = proof.provider.unwrap_or(Provider::Other).claim_names();
    let (claim, value) = match (&proof.job_id, &proof.run_id) {
        (Some(job), _) => (names.job_id.unwrap_or("job_id".into()), job),
        (None, Some(run)) => (names.run_id.unwrap_or("run_id".into()), run),
        (None, None) => ("sub".into(), &proof.subject),
    };
    format!("{} {}", Quoted(&claim), Quoted(value))
}

impl Place {
    /// Takes the place for the transaction, if there is one, or if it has it already.
    pub fn take(&self, id: TransactionId, now: Timestamp) -> Result<Change, TableError> {
        let change = Change::of(&self.key);
        if let Of::Job(_) = self.of {
            let role = role_in(&self.account);
            let change = change.add(ACCOUNTS, self.account.as_str(), self.most);
            let forget_at = now.plus(LONGEST_RUN).unix_seconds();
            return change.set(&role, &id)?.set(FORGET_AT, &forget_at)?.if_free(&role, &id);
        }
        Ok(change.add(OPEN, &id.to_string(), self.most))
    }
}

/// The attribute of a job that has its open role in an account.
fn role_in(account: &AccountId) -> String {
    format!("{ROLE_IN}{account}")
}

/// The table, beside the one that says which transactions have ended.
pub struct OpenRoles<'a, S> {
    pub places: &'a S,
    pub transactions: &'a S,
}

impl<S: Store> OpenRoles<'_, S> {
    /// Takes the places of transactions that have ended away from a place that is full.
    ///
    /// # Errors
    /// [`RecordError`] with what is open, when nothing has ended.
    pub async fn make_room(&self, place: &Place) -> Result<(), RecordError> {
        // It may have been forgotten meanwhile.
        let Some(item) = self.places.read(&place.key).await? else { return Ok(()) };
        match place.of {
            Of::Job(ref job) => self.make_room_in_job(place, job, &item).await,
            Of::Person | Of::Account => self.make_room_among(place, &item).await,
        }
    }

    async fn make_room_among(&self, place: &Place, item: &Item) -> Result<(), RecordError> {
        let open = members(item, OPEN);
        let ended = self.ended(&open).await?;
        if ended.is_empty() && open.len() >= place.most {
            let whose = if matches!(place.of, Of::Person) { "one person" } else { "all people together" };
            let limit = if matches!(place.of, Of::Person) { "person" } else { "account" };
            let account = place.account.clone();
            return Err(RecordError::NoRoom { whose, limit, account, most: place.most, open: listed(&open) });
        }
        if !ended.is_empty() {
            self.places.change(Change::of(&place.key).take_away(OPEN, ended).if_with(OPEN)).await?;
        }
        Ok(())
    }

    async fn make_room_in_job(&self, place: &Place, job: &str, item: &Item) -> Result<(), RecordError> {
        let role = role_in(&place.account);
        let Some(AttributeValue::S(holder)) = item.get(&role) else {
            let accounts = members(item, ACCOUNTS);
            if accounts.len() < place.most || accounts.contains(place.account.as_str()) {
                return Ok(());
            }
            let had = accounts.iter().map(|other| match item.get(&format!("{ROLE_IN}{other}")) {
                Some(AttributeValue::S(transaction)) => format!("{other} (transaction {transaction})"),
                _ => other.clone(),
            });
            let (account, had) = (place.account.clone(), had.collect::<Vec<_>>().join(", "));
            return Err(RecordError::OtherAccount { job: job.to_owned(), account, had, most: place.most });
        };
        let ids = BTreeSet::from([holder.clone()]);
        if self.ended(&ids).await?.is_empty() {
            let given_up = |status: &str| status == Status::DeprovisionFailed.as_str();
            let is_ending = !self.transactions.having(&ids, ENDING_SINCE, |_| true).await?.is_empty();
            if is_ending && self.transactions.having(&ids, STATUS, given_up).await?.is_empty() {
                return Err(RecordError::StillEnding { account: place.account.clone(), open: holder.clone() });
            }
            let (job, account, open) = (job.to_owned(), place.account.clone(), holder.clone());
            return Err(RecordError::OneRole { job, account, open });
        }
        self.places.change(Change::of(&place.key).remove(&role).if_is(&role, holder)?).await?;
        Ok(())
    }

    /// The transactions of these that have ended. One that is not there any more has.
    async fn ended(&self, ids: &BTreeSet<String>) -> Result<Vec<String>, TableError> {
        let open = self.transactions.having(ids, STATUS, |status| {
            [Status::Processing, Status::Provisioned, Status::Deprovisioning, Status::DeprovisionFailed]
                .iter()
                .any(|open| open.as_str() == status)
        });
        let open = open.await?;
        Ok(ids.iter().filter(|id| !open.contains(*id)).cloned().collect())
    }
}

fn members(item: &Item, set: &str) -> BTreeSet<String> {
    let Some(AttributeValue::Ss(members)) = item.get(set) else { return BTreeSet::new() };
    members.iter().cloned().collect()
}

/// As many as a reason has room for.
fn listed(texts: &BTreeSet<String>) -> String {
    let told = texts.iter().take(MOST_TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
    match texts.len().saturating_sub(MOST_TOLD) {
        0 => told,
        more => format!("{told} and {more} more, which are open in the table's index by-user or by-account"),
    }
}
