//! The table: conditional writes only, and reads that see the latest of them.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::{batch_get_item::BatchGetItemError, transact_write_items::TransactWriteItemsError},
    types::{AttributeValue, KeysAndAttributes, TransactWriteItem, Update},
};
use daypass::{contract::Status, stage::parse_input};
use daypass_aws::AwsError;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use tokio::time::sleep;

use crate::item::{ERROR, REASON, STATUS, STATUS_CHANGES, StatusChange, TRANSACTION_ID};

/// An item as it is in the table: every attribute, whoever wrote it.
pub type Item = HashMap<String, AttributeValue>;

/// Why the table could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// An item is not what this version of record writes.
    #[error("an item of the table is not as record writes it: {0}")]
    Item(String),
    /// DynamoDB did not answer, or with something unexpected.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

/// Reads attributes, as strictly as a task reads its input.
///
/// What is read and what is written goes by way of the JSON that inputs and outputs are made of, so that one reader and one
/// writer for each type will do: the function is near its limit of size (decision 10).
pub fn read<'a, T>(item: impl IntoIterator<Item = (&'a String, &'a AttributeValue)>) -> Result<T, TableError>
where
    T: DeserializeOwned,
{
    let item: Map<String, Value> = item.into_iter().map(|(name, value)| (name.clone(), plain(value))).collect();
    parse_input(&Value::Object(item).to_string()).map_err(|failure| TableError::Item(failure.message))
}

/// The attribute that `it` becomes.
fn attribute(it: &(impl Serialize + ?Sized)) -> Result<AttributeValue, TableError> {
    let text = serde_json::to_string(it).map_err(|error| TableError::Item(error.to_string()))?;
    parse_input(&text).map(typed).map_err(|failure| TableError::Item(failure.message))
}

/// JSON as DynamoDB has it.
fn typed(value: Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(it) => AttributeValue::Bool(it),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text),
        Value::Array(list) => AttributeValue::L(list.into_iter().map(typed).collect()),
        Value::Object(map) => AttributeValue::M(map.into_iter().map(|(name, value)| (name, typed(value))).collect()),
    }
}

/// The same in plain JSON. What record never writes is null.
fn plain(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => Value::String(text.clone()),
        AttributeValue::N(number) => number.parse().map_or(Value::Null, Value::Number),
        AttributeValue::Bool(it) => Value::Bool(*it),
        AttributeValue::L(list) => list.iter().map(plain).collect(),
        AttributeValue::Ss(set) => set.iter().map(|text| Value::String(text.clone())).collect(),
        AttributeValue::M(map) => map.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        _ => Value::Null,
    }
}

/// Where items are: DynamoDB ([`Table`]), or whatever applies the same changes ([`Change::apply`]).
pub trait Store {
    /// The item of this id as it is now.
    fn read(&self, id: &impl ToString) -> impl Future<Output = Result<Option<Item>, TableError>>;

    /// Changes one item; false when it is not as the change expects.
    fn change(&self, change: Change) -> impl Future<Output = Result<bool, TableError>>;

    /// Changes one item of each of these tables, which are of one account, or none of them.
    fn change_all(&self, changes: Vec<(&Self, Change)>) -> impl Future<Output = Result<Together, TableError>>;

    /// The keys of these whose items have an attribute that is as `fits` says.
    fn having(
        &self,
        keys: &BTreeSet<String>,
        attribute: &str,
        fits: impl Fn(&str) -> bool,
    ) -> impl Future<Output = Result<BTreeSet<String>, TableError>>;

    /// Waits until others may have written what they are writing.
    fn pause(&self, duration: Duration) -> impl Future<Output = ()>;

    /// Changes two items, or neither: false when one is not as expected, or somebody else is writing it at this moment.
    fn change_both(&self, [one, other]: [Change; 2]) -> impl Future<Output = Result<bool, TableError>> {
        async move { Ok(self.change_all(vec![(self, one), (self, other)]).await? == Together::Changed) }
    }
}

/// A table of DynamoDB, whose key is one text.
#[derive(Clone, Debug)]
pub struct Table {
    client: Client,
    name: String,
    key: &'static str,
}

/// What became of changes that are made together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Together {
    /// All were made.
    Changed,
    /// None was made: the items of these changes are not as expected. Where there are none, somebody else was writing at
    /// that moment.
    Unlike(Vec<usize>),
}

/// DynamoDB reads so many items at once.
const BATCH: usize = 100;

impl Table {
    /// The table of this name, whose key has this name.
    #[must_use]
    pub fn new(client: Client, name: String, key: &'static str) -> Self {
        Self { client, name, key }
    }

    /// Asks for an item that is not there.
    pub(crate) async fn warm_up(&self) {
        let _ = self.get("daypass warms up").await;
    }

    async fn get(&self, key: &str) -> Result<Option<Item>, AwsError> {
        let request = self.client.get_item().table_name(&self.name).consistent_read(true);
        let answer = request.key(self.key, AttributeValue::S(key.to_owned())).send().await;
        Ok(answer.map_err(AwsError::of("dynamodb:GetItem"))?.item)
    }

    fn part(&self, change: &Change) -> Result<TransactWriteItem, AwsError> {
        let incomplete = AwsError::of::<TransactWriteItemsError, ()>("dynamodb:TransactWriteItems");
        let it = Expressions::of(change);
        let update = Update::builder().table_name(&self.name);
        let update = update.key(self.key, change.key()).update_expression(it.update);
        let update = update.condition_expression(it.condition);
        let update = update.set_expression_attribute_names(Some(it.names));
        let update = update.set_expression_attribute_values(Some(it.values)).build();
        let update = update.map_err(SdkError::construction_failure).map_err(incomplete)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

impl Store for Table {
    async fn read(&self, id: &impl ToString) -> Result<Option<Item>, TableError> {
        Ok(self.get(&id.to_string()).await?)
    }

    async fn change(&self, change: Change) -> Result<bool, TableError> {
        let it = Expressions::of(&change);
        let request = self.client.update_item().table_name(&self.name).key(self.key, change.key());
        let request = request.update_expression(it.update).condition_expression(it.condition);
        let request = request.set_expression_attribute_names(Some(it.names));
        match request.set_expression_attribute_values(Some(it.values)).send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => Ok(false),
            Err(error) => Err(AwsError::of("dynamodb:UpdateItem")(error).into()),
        }
    }

    async fn change_all(&self, changes: Vec<(&Self, Change)>) -> Result<Together, TableError> {
        let parts = changes.into_iter().map(|(table, change)| table.part(&change)).collect::<Result<_, _>>()?;
        match self.client.transact_write_items().set_transact_items(Some(parts)).send().await {
            Ok(_) => Ok(Together::Changed),
            Err(error) => match error.as_service_error().and_then(unlike) {
                Some(unlike) => Ok(Together::Unlike(unlike)),
                None => Err(AwsError::of("dynamodb:TransactWriteItems")(error).into()),
            },
        }
    }

    async fn pause(&self, duration: Duration) {
        sleep(duration).await;
    }

    async fn having(
        &self,
        keys: &BTreeSet<String>,
        attribute: &str,
        fits: impl Fn(&str) -> bool,
    ) -> Result<BTreeSet<String>, TableError> {
        let mut found = BTreeSet::new();
        let mut left: Vec<String> = keys.iter().cloned().collect();
        while !left.is_empty() {
            let batch = left.split_off(left.len().saturating_sub(BATCH));
            let keys = batch.iter().map(|key| HashMap::from([(self.key.to_owned(), AttributeValue::S(key.clone()))]));
            let wanted = KeysAndAttributes::builder().set_keys(Some(keys.collect())).consistent_read(true);
            let wanted = wanted.projection_expression("#key, #attribute");
            let names = [("#key", self.key), ("#attribute", attribute)];
            let names = names.map(|(name, attribute)| (name.to_owned(), attribute.to_owned()));
            let incomplete = AwsError::of::<BatchGetItemError, ()>("dynamodb:BatchGetItem");
            let wanted = wanted.set_expression_attribute_names(Some(names.into())).build();
            let wanted = wanted.map_err(SdkError::construction_failure).map_err(incomplete)?;
            let answer = self.client.batch_get_item().request_items(&self.name, wanted).send().await;
            let answer = answer.map_err(AwsError::of("dynamodb:BatchGetItem"))?;
            for item in answer.responses.into_iter().flatten().flat_map(|(_, items)| items) {
                if let (Some(AttributeValue::S(key)), Some(AttributeValue::S(value))) =
                    (item.get(self.key), item.get(attribute))
                    && fits(value)
                {
                    found.insert(key.clone());
                }
            }
            // What DynamoDB has left out is asked for again.
            let unread = answer.unprocessed_keys.into_iter().flatten().flat_map(|(_, wanted)| wanted.keys);
            left.extend(unread.filter_map(|mut key| match key.remove(self.key) {
                Some(AttributeValue::S(key)) => Some(key),
                _ => None,
            }));
        }
        Ok(found)
    }
}

/// The parts of a cancelled transaction whose items are not as it expects; nothing when it was cancelled for something else.
fn unlike(error: &TransactWriteItemsError) -> Option<Vec<usize>> {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else { return None };
    let reasons = cancelled.cancellation_reasons();
    let codes: Vec<&str> = reasons.iter().map(|it| it.code().unwrap_or("None")).collect();
    let expected = |code: &&str| ["None", "ConditionalCheckFailed", "TransactionConflict"].contains(code);
    let unlike = codes.iter().enumerate().filter(|(_, code)| **code == "ConditionalCheckFailed").map(|(i, _)| i);
    (!codes.is_empty() && codes.iter().all(expected)).then(|| unlike.collect())
}

/// What a change makes of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Assignment {
    /// It has this value.
    Set(String, AttributeValue),
    /// The list has one more entry.
    Append(String, AttributeValue),
    /// It is not there any more.
    Remove(String),
    /// The set of texts has this member.
    Add(String, String),
    /// The set of texts has none of these members; and without members it is not there.
    TakeAway(String, Vec<String>),
}

/// What an item must be like for a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// It has such an attribute.
    With(String),
    /// It has no such attribute.
    Without(String),
    /// The attribute has this value.
    Is(String, AttributeValue),
    /// The attribute has another value, or is not there.
    Not(String, AttributeValue),
    /// The attribute has this value, or is not there.
    Free(String, AttributeValue),
    /// It has one of these statuses.
    Status(Vec<Status>),
    /// The list has so many entries.
    Length(String, usize),
    /// The set of texts has this member, or less than so many, or is not there.
    Room {
        set: String,
        /// What is to be in it.
        member: String,
        /// How many it can have.
        most: usize,
    },
}

/// A change to one item, and what the item must be like for it. An item that is not there yet has no attributes, and comes
/// into being with those that are set: one kind of write does for everything.
///
/// It is data. DynamoDB applies it as expressions, everything else by [`Change::apply`]; a scenario holds the two together.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The key of the item.
    pub id: String,
    /// What becomes of its attributes, each of which is named once.
    pub assignments: Vec<Assignment>,
    /// What has to hold before. All of it.
    pub conditions: Vec<Condition>,
}

impl Change {
    /// A change to the item of this id.
    pub fn of(id: &impl ToString) -> Self {
        Self { id: id.to_string(), assignments: vec![], conditions: vec![] }
    }

    fn and(mut self, assignment: Assignment) -> Self {
        self.assignments.push(assignment);
        self
    }

    fn only(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// To a new status, which joins the list of all.
    pub(crate) fn to(self, new: &StatusChange) -> Result<Self, TableError> {
        let this = self.set(STATUS, &new.status)?;
        let mut this = this.and(Assignment::Append(STATUS_CHANGES.to_owned(), attribute(new)?));
        // What they say is of the latest status.
        for (name, text) in [(ERROR, &new.error), (REASON, &new.reason)] {
            this = if let Some(text) = text { this.set(name, text)? } else { this.remove(name) };
        }
        Ok(this)
    }

    /// Adds an entry to a list of `length` entries, if it still has as many.
    pub(crate) fn append(self, list: &str, length: usize, entry: &impl Serialize) -> Result<Self, TableError> {
        if length == 0 {
            return Ok(self.set(list, &[entry])?.if_without(list));
        }
        let this = self.and(Assignment::Append(list.to_owned(), attribute(entry)?));
        Ok(this.only(Condition::Length(list.to_owned(), length)))
    }

    /// Sets an attribute.
    pub(crate) fn set(self, name: &str, value: &impl Serialize) -> Result<Self, TableError> {
        let value = attribute(value)?;
        Ok(self.set_value(name, value))
    }

    /// Sets an attribute for each field of `facts`, but for the key, which an item has from the beginning.
    pub(crate) fn set_all(mut self, facts: &impl Serialize) -> Result<Self, TableError> {
        let AttributeValue::M(facts) = attribute(facts)? else {
            return Err(TableError::Item("what it is made of has no fields".to_owned()));
        };
        for (attribute, value) in facts.into_iter().filter(|(attribute, _)| attribute != TRANSACTION_ID) {
            self = self.set_value(&attribute, value);
        }
        Ok(self)
    }

    /// Sets an attribute that comes from the table itself.
    pub(crate) fn set_value(self, attribute: &str, value: AttributeValue) -> Self {
        self.and(Assignment::Set(attribute.to_owned(), value))
    }

    /// Removes an attribute, if it is there.
    pub(crate) fn remove(self, attribute: &str) -> Self {
        self.and(Assignment::Remove(attribute.to_owned()))
    }

    /// Adds a text to a set of texts, if it is in it already, or it has less than `most` texts.
    pub(crate) fn add(self, set: &str, member: &str, most: usize) -> Self {
        let (set, member) = (set.to_owned(), member.to_owned());
        self.and(Assignment::Add(set.clone(), member.clone())).only(Condition::Room { set, member, most })
    }

    /// Takes texts away from a set of texts.
    pub(crate) fn take_away(self, set: &str, members: Vec<String>) -> Self {
        self.and(Assignment::TakeAway(set.to_owned(), members))
    }

    /// If the attribute has this value, or is not there.
    pub(crate) fn if_free(self, name: &str, value: &impl Serialize) -> Result<Self, TableError> {
        Ok(self.only(Condition::Free(name.to_owned(), attribute(value)?)))
    }

    /// If the item has such an attribute.
    pub(crate) fn if_with(self, attribute: &str) -> Self {
        self.only(Condition::With(attribute.to_owned()))
    }

    /// If the item has one of these statuses.
    pub(crate) fn if_status(self, from: &[Status]) -> Self {
        self.only(Condition::Status(from.to_vec()))
    }

    /// If the attribute has this value.
    pub(crate) fn if_is(self, name: &str, value: &impl Serialize) -> Result<Self, TableError> {
        Ok(self.only(Condition::Is(name.to_owned(), attribute(value)?)))
    }

    /// If the item has no such attribute.
    pub(crate) fn if_without(self, attribute: &str) -> Self {
        self.only(Condition::Without(attribute.to_owned()))
    }

    /// If the attribute has another value, or is not there.
    pub(crate) fn if_not(self, name: &str, value: &impl Serialize) -> Result<Self, TableError> {
        Ok(self.only(Condition::Not(name.to_owned(), attribute(value)?)))
    }

    fn key(&self) -> AttributeValue {
        AttributeValue::S(self.id.clone())
    }

    /// What the change makes of an item, which is not there or has these attributes; none when it makes nothing of it.
    ///
    /// The key is not among the attributes that it knows of: whoever keeps the items adds it.
    #[must_use]
    pub fn apply(&self, before: Option<&Item>) -> Option<Item> {
        let nothing = Item::new();
        let before = before.unwrap_or(&nothing);
        if !self.conditions.iter().all(|condition| condition.holds(before)) {
            return None;
        }
        let mut after = before.clone();
        for assignment in &self.assignments {
            match assignment {
                Assignment::Set(name, value) => {
                    after.insert(name.clone(), value.clone());
                }
                // DynamoDB refuses to append to what is no list. Record appends to none that it has not looked at.
                Assignment::Append(name, entry) => match after.get_mut(name) {
                    Some(AttributeValue::L(list)) => list.push(entry.clone()),
                    _ => return None,
                },
                Assignment::Remove(name) => {
                    after.remove(name);
                }
                Assignment::Add(name, member) => match after.get_mut(name) {
                    Some(AttributeValue::Ss(members)) if members.contains(member) => (),
                    Some(AttributeValue::Ss(members)) => members.push(member.clone()),
                    Some(_) => return None,
                    None => {
                        after.insert(name.clone(), AttributeValue::Ss(vec![member.clone()]));
                    }
                },
                Assignment::TakeAway(name, gone) => match after.get_mut(name) {
                    Some(AttributeValue::Ss(members)) => {
                        members.retain(|member| !gone.contains(member));
                        if members.is_empty() {
                            after.remove(name);
                        }
                    }
                    Some(_) => return None,
                    None => (),
                },
            }
        }
        Some(after)
    }
}

impl Condition {
    /// Whether it holds of an item with these attributes.
    #[must_use]
    pub fn holds(&self, item: &Item) -> bool {
        match self {
            Self::With(name) => item.contains_key(name),
            Self::Without(name) => !item.contains_key(name),
            Self::Is(name, value) => item.get(name) == Some(value),
            Self::Not(name, value) => item.get(name) != Some(value),
            Self::Free(name, value) => item.get(name).is_none_or(|it| it == value),
            Self::Status(any) => any.iter().any(|it| item.get(STATUS) == Some(&text(*it))),
            Self::Length(name, length) => {
                matches!(item.get(name), Some(AttributeValue::L(list)) if list.len() == *length)
            }
            Self::Room { set, member, most } => match item.get(set) {
                None => true,
                Some(AttributeValue::Ss(members)) => members.len() < *most || members.contains(member),
                Some(_) => false,
            },
        }
    }
}

fn text(status: Status) -> AttributeValue {
    AttributeValue::S(status.as_str().to_owned())
}

/// A change in DynamoDB's words. Every attribute goes by a placeholder of its own name: DynamoDB reserves `status`, among many
/// other words.
#[derive(Default)]
struct Expressions {
    update: String,
    condition: String,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Expressions {
    fn of(change: &Change) -> Self {
        let mut this = Self::default();
        let mut clauses = [("SET", vec![]), ("ADD", vec![]), ("DELETE", vec![]), ("REMOVE", vec![])];
        for assignment in &change.assignments {
            let (clause, words) = this.assignment(assignment);
            clauses[clause].1.push(words);
        }
        let clauses = clauses.iter().filter(|(_, all)| !all.is_empty());
        this.update = clauses.map(|(word, all)| format!("{word} {}", all.join(", "))).collect::<Vec<_>>().join(" ");
        let conditions = change.conditions.iter().map(|it| this.condition(it)).collect::<Vec<_>>();
        this.condition = conditions.join(" AND ");
        this
    }

    /// To which clause it belongs, and what it says there.
    fn assignment(&mut self, it: &Assignment) -> (usize, String) {
        match it {
            Assignment::Set(name, value) => {
                let (name, value) = (self.name(name), self.value(name, value.clone()));
                (0, format!("{name} = {value}"))
            }
            Assignment::Append(name, entry) => {
                let (name, entries) = (self.name(name), self.value(name, AttributeValue::L(vec![entry.clone()])));
                (0, format!("{name} = list_append({name}, {entries})"))
            }
            Assignment::Add(name, member) => {
                let (name, member) = (self.name(name), self.value(name, AttributeValue::Ss(vec![member.clone()])));
                (1, format!("{name} {member}"))
            }
            Assignment::TakeAway(name, members) => {
                let (name, members) = (self.name(name), self.value(name, AttributeValue::Ss(members.clone())));
                (2, format!("{name} {members}"))
            }
            Assignment::Remove(name) => (3, self.name(name)),
        }
    }

    fn condition(&mut self, it: &Condition) -> String {
        match it {
            Condition::With(name) => format!("attribute_exists({})", self.name(name)),
            Condition::Without(name) => format!("attribute_not_exists({})", self.name(name)),
            Condition::Is(name, value) => self.equal(name, value),
            Condition::Not(name, value) => format!("NOT ({})", self.equal(name, value)),
            Condition::Free(name, value) => {
                format!("(attribute_not_exists({}) OR {})", self.name(name), self.equal(name, value))
            }
            Condition::Status(any) => {
                let value = |it: &Status| self.value(&format!("from_{}", it.as_str()), text(*it));
                let values = any.iter().map(value).collect::<Vec<_>>().join(", ");
                format!("{} IN ({values})", self.name(STATUS))
            }
            Condition::Length(name, length) => {
                format!("size({}) = {}", self.name(name), self.number("length", *length))
            }
            Condition::Room { set, member, most } => {
                let name = self.name(set);
                let member = self.value(&format!("member_of_{set}"), AttributeValue::S(member.clone()));
                let most = self.number(&format!("most_{set}"), *most);
                format!("(attribute_not_exists({name}) OR size({name}) < {most} OR contains({name}, {member}))")
            }
        }
    }

    fn equal(&mut self, name: &str, value: &AttributeValue) -> String {
        format!("{} = {}", self.name(name), self.value(&format!("if_{name}"), value.clone()))
    }

    fn name(&mut self, attribute: &str) -> String {
        let placeholder = format!("#{attribute}");
        self.names.insert(placeholder.clone(), attribute.to_owned());
        placeholder
    }

    fn value(&mut self, name: &str, value: AttributeValue) -> String {
        let placeholder = format!(":{name}");
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    fn number(&mut self, name: &str, number: usize) -> String {
        self.value(name, AttributeValue::N(number.to_string()))
    }
}
