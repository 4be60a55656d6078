//! The table: conditional writes only, and reads that see the latest of them.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::{batch_get_item::BatchGetItemError, transact_write_items::TransactWriteItemsError},
    types::{AttributeValue, KeysAndAttributes, TransactWriteItem, Update},
};
use daypass::{contract::Status, lambda::AwsError, stage::parse_input};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

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
        AttributeValue::M(map) => map.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        _ => Value::Null,
    }
}

/// A table, whose key is one text.
#[derive(Clone, Debug)]
pub struct Table {
    client: Client,
    name: String,
    key: &'static str,
}

/// What became of changes that are made together or not at all.
#[derive(Debug, PartialEq, Eq)]
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
    pub fn new(client: Client, name: String, key: &'static str) -> Self {
        Self { client, name, key }
    }

    /// Asks for an item that is not there.
    pub async fn warm_up(&self) {
        let _ = self.get("daypass warms up").await;
    }

    async fn get(&self, key: &str) -> Result<Option<Item>, AwsError> {
        let request = self.client.get_item().table_name(&self.name).consistent_read(true);
        let answer = request.key(self.key, AttributeValue::S(key.to_owned())).send().await;
        Ok(answer.map_err(AwsError::of("dynamodb:GetItem"))?.item)
    }

    /// The item of this id as it is now.
    pub async fn read(&self, id: &impl ToString) -> Result<Option<Item>, TableError> {
        Ok(self.get(&id.to_string()).await?)
    }

    /// Changes one item; false when it is not as the change expects.
    pub async fn change(&self, change: Change) -> Result<bool, TableError> {
        let request = self.client.update_item().table_name(&self.name).key(self.key, change.key());
        let request = request.update_expression(change.update()).condition_expression(change.condition());
        let request = request.set_expression_attribute_names(Some(change.names));
        match request.set_expression_attribute_values(Some(change.values)).send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => Ok(false),
            Err(error) => Err(AwsError::of("dynamodb:UpdateItem")(error).into()),
        }
    }

    /// Changes two items, or neither: false when one is not as expected, or somebody else is writing it at this moment.
    pub async fn change_both(&self, [one, other]: [Change; 2]) -> Result<bool, TableError> {
        Ok(self.change_all(vec![(self, one), (self, other)]).await? == Together::Changed)
    }

    /// Changes one item of each of these tables, which are of one account, or none of them.
    pub async fn change_all(&self, changes: Vec<(&Self, Change)>) -> Result<Together, TableError> {
        let parts = changes.into_iter().map(|(table, change)| table.part(change)).collect::<Result<_, _>>()?;
        match self.client.transact_write_items().set_transact_items(Some(parts)).send().await {
            Ok(_) => Ok(Together::Changed),
            Err(error) => match error.as_service_error().and_then(unlike) {
                Some(unlike) => Ok(Together::Unlike(unlike)),
                None => Err(AwsError::of("dynamodb:TransactWriteItems")(error).into()),
            },
        }
    }

    /// The keys of these whose items have an attribute that is as `fits` says.
    pub async fn having(
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

    fn part(&self, change: Change) -> Result<TransactWriteItem, AwsError> {
        let incomplete = AwsError::of::<TransactWriteItemsError, ()>("dynamodb:TransactWriteItems");
        let update = Update::builder().table_name(&self.name);
        let update = update.key(self.key, change.key()).update_expression(change.update());
        let update = update.condition_expression(change.condition());
        let update = update.set_expression_attribute_names(Some(change.names));
        let update = update.set_expression_attribute_values(Some(change.values)).build();
        let update = update.map_err(SdkError::construction_failure).map_err(incomplete)?;
        Ok(TransactWriteItem::builder().update(update).build())
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

/// A change to one item, and what the item must be like for it. An item that is not there yet has no attributes, and comes
/// into being with those that are set: one kind of write does for everything. Every attribute goes by a placeholder of its own name:
/// DynamoDB reserves `status`, among many other words.
#[derive(Debug)]
pub struct Change {
    id: String,
    set: Vec<String>,
    add: Vec<String>,
    delete: Vec<String>,
    remove: Vec<String>,
    conditions: Vec<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Change {
    /// A change to the item of this id.
    pub fn of(id: &impl ToString) -> Self {
        let (names, values) = (HashMap::new(), HashMap::new());
        let (set, add, delete, remove, conditions) = (vec![], vec![], vec![], vec![], vec![]);
        Self { id: id.to_string(), set, add, delete, remove, conditions, names, values }
    }

    /// To a new status, which joins the list of all.
    pub fn to(self, new: &StatusChange) -> Result<Self, TableError> {
        let mut this = self.set(STATUS, &new.status)?;
        let list = this.name(STATUS_CHANGES);
        let entry = this.value(STATUS_CHANGES, &[new])?;
        this.set.push(format!("{list} = list_append({list}, {entry})"));
        // What they say is of the latest status.
        for (name, text) in [(ERROR, &new.error), (REASON, &new.reason)] {
            this = if let Some(text) = text { this.set(name, text)? } else { this.remove(name) };
        }
        Ok(this)
    }

    /// Adds an entry to a list of `length` entries, if it still has as many.
    pub fn append(mut self, list: &str, length: usize, entry: &impl Serialize) -> Result<Self, TableError> {
        let (name, entries) = (self.name(list), self.value(list, &[entry])?);
        if length == 0 {
            self.set.push(format!("{name} = {entries}"));
            return Ok(self.if_without(list));
        }
        self.set.push(format!("{name} = list_append({name}, {entries})"));
        let length = self.value("length", &length)?;
        self.conditions.push(format!("size({name}) = {length}"));
        Ok(self)
    }

    /// Sets an attribute.
    pub fn set(self, name: &str, value: &impl Serialize) -> Result<Self, TableError> {
        let value = attribute(value)?;
        Ok(self.set_value(name, value))
    }

    /// Sets an attribute for each field of `facts`, but for the key, which an item has from the beginning.
    pub fn set_all(mut self, facts: &impl Serialize) -> Result<Self, TableError> {
        let AttributeValue::M(facts) = attribute(facts)? else {
            return Err(TableError::Item("what it is made of has no fields".to_owned()));
        };
        for (attribute, value) in facts.into_iter().filter(|(attribute, _)| attribute != TRANSACTION_ID) {
            self = self.set_value(&attribute, value);
        }
        Ok(self)
    }

    /// Sets an attribute that comes from the table itself.
    pub fn set_value(mut self, attribute: &str, value: AttributeValue) -> Self {
        let assignment = format!("{} = :{attribute}", self.name(attribute));
        self.set.push(assignment);
        self.values.insert(format!(":{attribute}"), value);
        self
    }

    /// Removes an attribute, if it is there.
    pub fn remove(mut self, attribute: &str) -> Self {
        let name = self.name(attribute);
        self.remove.push(name);
        self
    }

    /// Adds a text to a set of texts.
    pub fn add(mut self, set: &str, member: &str) -> Self {
        let addition = format!("{} :{set}", self.name(set));
        self.add.push(addition);
        self.values.insert(format!(":{set}"), AttributeValue::Ss(vec![member.to_owned()]));
        self.values.insert(format!(":member_of_{set}"), AttributeValue::S(member.to_owned()));
        self
    }

    /// Takes texts away from a set of texts.
    pub fn take_away(mut self, set: &str, members: Vec<String>) -> Self {
        let deletion = format!("{} :{set}", self.name(set));
        self.delete.push(deletion);
        self.values.insert(format!(":{set}"), AttributeValue::Ss(members));
        self
    }

    /// If what is added to the set is in it already, or it has less than `most` texts.
    pub fn if_room(mut self, set: &str, most: usize) -> Result<Self, TableError> {
        let (name, most) = (self.name(set), self.value(&format!("most_{set}"), &most)?);
        let known = format!("contains({name}, :member_of_{set})");
        self.conditions.push(format!("(attribute_not_exists({name}) OR size({name}) < {most} OR {known})"));
        Ok(self)
    }

    /// If the attribute has this value, or is not there.
    pub fn if_free(mut self, attribute: &str, value: &impl Serialize) -> Result<Self, TableError> {
        let (name, value) = (self.name(attribute), self.value(&format!("if_{attribute}"), value)?);
        self.conditions.push(format!("(attribute_not_exists({name}) OR {name} = {value})"));
        Ok(self)
    }

    /// If the item has such an attribute.
    pub fn if_with(mut self, attribute: &str) -> Self {
        let condition = format!("attribute_exists({})", self.name(attribute));
        self.conditions.push(condition);
        self
    }

    /// If the item has one of these statuses.
    pub fn if_status(mut self, from: &[Status]) -> Result<Self, TableError> {
        let name = self.name(STATUS);
        let values = from.iter().map(|status| self.value(&format!("from_{}", status.as_str()), status));
        let values = values.collect::<Result<Vec<_>, _>>()?.join(", ");
        self.conditions.push(format!("{name} IN ({values})"));
        Ok(self)
    }

    /// If the attribute has this value.
    pub fn if_is(mut self, attribute: &str, value: &impl Serialize) -> Result<Self, TableError> {
        let condition = format!("{} = {}", self.name(attribute), self.value(&format!("if_{attribute}"), value)?);
        self.conditions.push(condition);
        Ok(self)
    }

    /// If the item has no such attribute.
    pub fn if_without(mut self, attribute: &str) -> Self {
        let condition = format!("attribute_not_exists({})", self.name(attribute));
        self.conditions.push(condition);
        self
    }

    /// If the attribute has another value, or is not there.
    pub fn if_not(mut self, attribute: &str, value: &impl Serialize) -> Result<Self, TableError> {
        let condition = format!("NOT ({} = {})", self.name(attribute), self.value(&format!("if_{attribute}"), value)?);
        self.conditions.push(condition);
        Ok(self)
    }

    fn name(&mut self, attribute: &str) -> String {
        let placeholder = format!("#{attribute}");
        self.names.insert(placeholder.clone(), attribute.to_owned());
        placeholder
    }

    fn value(&mut self, name: &str, value: &impl Serialize) -> Result<String, TableError> {
        let placeholder = format!(":{name}");
        self.values.insert(placeholder.clone(), attribute(value)?);
        Ok(placeholder)
    }

    fn key(&self) -> AttributeValue {
        AttributeValue::S(self.id.clone())
    }

    fn update(&self) -> String {
        let clauses =
            [("SET", &self.set), ("ADD", &self.add), ("DELETE", &self.delete), ("REMOVE", &self.remove)].into_iter();
        let clauses =
            clauses.filter(|(_, all)| !all.is_empty()).map(|(word, all)| format!("{word} {}", all.join(", ")));
        clauses.collect::<Vec<_>>().join(" ")
    }

    fn condition(&self) -> String {
        self.conditions.join(" AND ")
    }
}
