//! The table: conditional writes only, and reads that see the latest of them.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, Put, TransactWriteItem},
};
use daypass::{contract::Status, ids::TransactionId, lambda::AwsError};
use serde::Serialize;
use serde_dynamo::{to_attribute_value, to_item};

use crate::item::{ERROR, REASON, STATUS, STATUS_CHANGES, StatusChange, TRANSACTION_ID};

/// An item as it is in the table: every attribute, whoever wrote it.
pub type Item = HashMap<String, AttributeValue>;

/// Why the table could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// An item is not what this version of record writes.
    #[error("an item of the table is not as record writes it: {0}")]
    Item(#[from] serde_dynamo::Error),
    /// DynamoDB did not answer, or with something unexpected.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

/// The table of transactions.
#[derive(Clone, Debug)]
pub struct Table {
    client: Client,
    name: String,
}

impl Table {
    pub fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// Asks for an item that is not there.
    pub async fn warm_up(&self) {
        let _ = self.get("daypass warms up").await;
    }

    async fn get(&self, key: &str) -> Result<Option<Item>, AwsError> {
        let request = self.client.get_item().table_name(&self.name).consistent_read(true);
        let answer = request.key(TRANSACTION_ID, AttributeValue::S(key.to_owned())).send().await;
        Ok(answer.map_err(AwsError::of("dynamodb:GetItem"))?.item)
    }

    /// The item of this id as it is now.
    pub async fn read(&self, id: TransactionId) -> Result<Option<Item>, TableError> {
        Ok(self.get(&id.to_string()).await?)
    }

    /// Makes an item; false when there is one of its id.
    pub async fn create(&self, item: Item) -> Result<bool, TableError> {
        let request = self.client.put_item().table_name(&self.name).set_item(Some(item));
        let request = request.condition_expression("attribute_not_exists(#id)");
        match request.expression_attribute_names("#id", TRANSACTION_ID).send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => Ok(false),
            Err(error) => Err(AwsError::of("dynamodb:PutItem")(error).into()),
        }
    }

    /// Changes one item; false when it is not as the change expects.
    pub async fn change(&self, change: Change) -> Result<bool, TableError> {
        let request = self.client.update_item().table_name(&self.name).key(TRANSACTION_ID, change.key());
        let request = request.update_expression(change.update()).condition_expression(change.condition());
        let request = request.set_expression_attribute_names(Some(change.names));
        match request.set_expression_attribute_values(Some(change.values)).send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => Ok(false),
            Err(error) => Err(AwsError::of("dynamodb:UpdateItem")(error).into()),
        }
    }

    /// Changes one item and makes or changes another, or does neither: false when one is not as expected, or somebody
    /// else is writing it at this moment.
    pub async fn change_with(&self, change: Change, other: Write) -> Result<bool, TableError> {
        let writes = [Write::Change(change), other].into_iter().map(|write| self.part(write));
        let writes = writes.collect::<Result<_, _>>()?;
        match self.client.transact_write_items().set_transact_items(Some(writes)).send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error)) if was_overtaken(error.err()) => Ok(false),
            Err(error) => Err(AwsError::of("dynamodb:TransactWriteItems")(error).into()),
        }
    }

    fn part(&self, write: Write) -> Result<TransactWriteItem, AwsError> {
        let incomplete = AwsError::of::<TransactWriteItemsError, ()>("dynamodb:TransactWriteItems");
        let part = TransactWriteItem::builder();
        Ok(match write {
            Write::Create(item) => {
                let put = Put::builder().table_name(&self.name).set_item(Some(item));
                let put = put.condition_expression("attribute_not_exists(#id)");
                let put = put.expression_attribute_names("#id", TRANSACTION_ID).build();
                part.put(put.map_err(SdkError::construction_failure).map_err(incomplete)?)
            }
            Write::Change(change) => {
                let update = aws_sdk_dynamodb::types::Update::builder().table_name(&self.name);
                let update = update.key(TRANSACTION_ID, change.key()).update_expression(change.update());
                let update = update.condition_expression(change.condition());
                let update = update.set_expression_attribute_names(Some(change.names));
                let update = update.set_expression_attribute_values(Some(change.values)).build();
                part.update(update.map_err(SdkError::construction_failure).map_err(incomplete)?)
            }
        }
        .build())
    }
}

/// Whether a transaction was cancelled because the items are not, or at this moment not for sure, as it expects.
fn was_overtaken(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else { return false };
    let expected = ["None", "ConditionalCheckFailed", "TransactionConflict"];
    let reasons = cancelled.cancellation_reasons();
    !reasons.is_empty() && reasons.iter().all(|it| it.code().is_none_or(|code| expected.contains(&code)))
}

/// One part of a write to two items.
pub enum Write {
    /// An item that must not be there.
    Create(Item),
    /// A change to an item that is.
    Change(Change),
}

/// A change to one item, and what the item must be like for it. Every attribute goes by a placeholder of its own name:
/// DynamoDB reserves `status`, among many other words.
#[derive(Debug)]
pub struct Change {
    id: TransactionId,
    set: Vec<String>,
    remove: Vec<String>,
    conditions: Vec<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Change {
    /// A change to the item of this id.
    pub fn of(id: TransactionId) -> Self {
        let (names, values) = (HashMap::new(), HashMap::new());
        Self { id, set: vec![], remove: vec![], conditions: vec![], names, values }
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

    /// Sets an attribute.
    pub fn set(mut self, attribute: &str, value: &impl Serialize) -> Result<Self, TableError> {
        let assignment = format!("{} = {}", self.name(attribute), self.value(attribute, value)?);
        self.set.push(assignment);
        Ok(self)
    }

    /// Sets an attribute for each field of `facts`.
    pub fn set_all(self, facts: &impl Serialize) -> Result<Self, TableError> {
        let facts: Item = to_item(facts)?;
        Ok(facts.into_iter().fold(self, |mut this, (attribute, value)| {
            let assignment = format!("{} = :{attribute}", this.name(&attribute));
            this.set.push(assignment);
            this.values.insert(format!(":{attribute}"), value);
            this
        }))
    }

    /// Removes an attribute, if it is there.
    pub fn remove(mut self, attribute: &str) -> Self {
        let name = self.name(attribute);
        self.remove.push(name);
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

    /// If the item has such an attribute.
    pub fn if_with(mut self, attribute: &str) -> Self {
        let condition = format!("attribute_exists({})", self.name(attribute));
        self.conditions.push(condition);
        self
    }

    fn name(&mut self, attribute: &str) -> String {
        let placeholder = format!("#{attribute}");
        self.names.insert(placeholder.clone(), attribute.to_owned());
        placeholder
    }

    fn value(&mut self, name: &str, value: &impl Serialize) -> Result<String, TableError> {
        let placeholder = format!(":{name}");
        self.values.insert(placeholder.clone(), to_attribute_value(value)?);
        Ok(placeholder)
    }

    fn key(&self) -> AttributeValue {
        AttributeValue::S(self.id.to_string())
    }

    fn update(&self) -> String {
        let set = (!self.set.is_empty()).then(|| format!("SET {}", self.set.join(", ")));
        let remove = (!self.remove.is_empty()).then(|| format!("REMOVE {}", self.remove.join(", ")));
        set.into_iter().chain(remove).collect::<Vec<_>>().join(" ")
    }

    fn condition(&self) -> String {
        self.conditions.join(" AND ")
    }
}
