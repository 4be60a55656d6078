//! Both tables, in DynamoDB's own words: just as much of its expressions as record writes. What it does not know, it refuses.
//! Their keys are never the same, so that one map has the items of both.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex},
};

use aws_sdk_dynamodb::Client;
use daypass_testing::samples::{Refusal, json_service};
use serde_json::{Map, Value, json};

use crate::Record;

/// The items by id, in DynamoDB's notation.
pub type Items = BTreeMap<String, Map<String, Value>>;

/// What goes wrong with the next call of an operation.
pub enum Trouble {
    /// It is refused with this code.
    Refused(Refusal),
    /// It is done, but the answer is lost.
    Lost,
    /// Somebody changes the items just before.
    Overtaken(Box<dyn FnOnce(&mut Items) + Send>),
}

struct State {
    limits: String,
    items: Items,
    calls: Vec<String>,
    troubles: Vec<(&'static str, Trouble)>,
}

impl Default for State {
    fn default() -> Self {
        let limits = r#"{"open_roles_per_person": 3, "open_roles_per_account": 4, "accounts_per_job": 1}"#.to_owned();
        Self { limits, items: Items::new(), calls: vec![], troubles: vec![] }
    }
}

/// The fake. Clones are the same table.
#[derive(Clone, Default)]
pub struct FakeTable(Arc<Mutex<State>>);

impl fmt::Debug for FakeTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeTable").finish_non_exhaustive()
    }
}

impl FakeTable {
    /// A table with these items.
    pub fn of(items: Items) -> Self {
        Self(Arc::new(Mutex::new(State { items, ..State::default() })))
    }

    pub fn record(&self) -> Record {
        let this = self.clone();
        let client = Client::new(&json_service(move |operation, input| this.answer(operation, &input)));
        Record::new(client, "table".into(), "open-roles".into(), self.0.lock().unwrap().limits.parse().unwrap())
    }

    /// The same with other limits.
    pub fn limited(self, limits: &Value) -> Self {
        self.0.lock().unwrap().limits = limits.to_string();
        self
    }

    pub fn trouble(&self, operation: &'static str, trouble: Trouble) {
        self.0.lock().unwrap().troubles.push((operation, trouble));
    }

    pub fn items(&self) -> Items {
        self.0.lock().unwrap().items.clone()
    }

    /// The items in plain JSON.
    pub fn plain(&self) -> Value {
        self.items().into_iter().map(|(id, item)| (id, plain(&json!({"M": item})))).collect()
    }

    /// The operations that were called since it was asked last.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().calls)
    }

    fn answer(&self, operation: &str, input: &Value) -> Result<Value, Refusal> {
        let mut state = self.0.lock().unwrap();
        state.calls.push(operation.to_owned());
        let trouble = state.troubles.iter().position(|(of, _)| *of == operation);
        match trouble.map(|at| state.troubles.remove(at)) {
            Some((_, Trouble::Refused(refusal))) => Err(refusal),
            Some((_, Trouble::Overtaken(by))) => {
                by(&mut state.items);
                state.items.answer(operation, input)
            }
            Some((of, Trouble::Lost)) => match state.items.answer(operation, input) {
                Ok(_) => Err("InternalServerError".into()),
                refused => {
                    // Nothing was done: it is the next one's.
                    state.troubles.push((of, Trouble::Lost));
                    refused
                }
            },
            None => state.items.answer(operation, input),
        }
    }
}

/// An expression before a clause, and that clause.
fn split_off<'a>(expression: &'a str, word: &str) -> (&'a str, &'a str) {
    match expression.find(word) {
        Some(at) => (&expression[..at], &expression[at + word.len()..]),
        None => (expression, ""),
    }
}

/// A value in plain JSON.
fn plain(value: &Value) -> Value {
    let (kind, inner) = value.as_object().and_then(|value| value.iter().next()).unwrap();
    match (kind.as_str(), inner) {
        ("M", Value::Object(map)) => map.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        ("L", Value::Array(list)) => list.iter().map(plain).collect(),
        ("SS", Value::Array(set)) => json!(set),
        ("N", Value::String(number)) => serde_json::from_str(number).unwrap(),
        ("S" | "BOOL", inner) => inner.clone(),
        _ => panic!("{value} is not known"),
    }
}

trait Answer {
    fn answer(&mut self, operation: &str, input: &Value) -> Result<Value, Refusal>;
}

impl Answer for Items {
    fn answer(&mut self, operation: &str, input: &Value) -> Result<Value, Refusal> {
        match operation {
            "GetItem" => {
                assert_eq!(input["ConsistentRead"], true);
                let item = self.get(key(input));
                Ok(item.map_or_else(|| json!({}), |item| json!({"Item": item})))
            }
            "BatchGetItem" => {
                let wanted = &input["RequestItems"]["table"];
                assert_eq!(wanted["ConsistentRead"], true);
                let keys = wanted["Keys"].as_array().unwrap();
                assert!((1..=100).contains(&keys.len()), "{} keys", keys.len());
                // As DynamoDB may, it leaves some out.
                let (now, later) = keys.split_at(keys.len().div_ceil(2));
                let found: Vec<_> =
                    now.iter().filter_map(|key| self.get(key["transaction_id"]["S"].as_str().unwrap())).collect();
                let mut later_on = wanted.clone();
                later_on["Keys"] = json!(later);
                let unprocessed = if later.is_empty() { json!({}) } else { json!({"table": later_on}) };
                Ok(json!({"Responses": {"table": found}, "UnprocessedKeys": unprocessed}))
            }
            "UpdateItem" => {
                let (id, item) = Write(input).applied(self).ok_or("ConditionalCheckFailedException")?;
                self.insert(id, item);
                Ok(json!({}))
            }
            "TransactWriteItems" => {
                let writes = input["TransactItems"].as_array().unwrap().iter().map(|write| &write["Update"]);
                let applied: Vec<_> = writes.map(|write| Write(write).applied(self)).collect();
                if applied.iter().all(Option::is_some) {
                    self.extend(applied.into_iter().flatten());
                    return Ok(json!({}));
                }
                let code =
                    |it: &Option<_>| json!({"Code": if it.is_some() { "None" } else { "ConditionalCheckFailed" }});
                let reasons: Vec<_> = applied.iter().map(code).collect();
                let members = json!({"CancellationReasons": reasons});
                Err(Refusal { code: "TransactionCanceledException", members })
            }
            _ => panic!("{operation} is not needed"),
        }
    }
}

/// The key that a call names.
fn key(input: &Value) -> &str {
    let name = match input["TableName"].as_str().unwrap() {
        "table" => "transaction_id",
        "open-roles" => "holder",
        other => panic!("there is no table {other}"),
    };
    input["Key"][name]["S"].as_str().unwrap()
}

/// An update.
struct Write<'a>(&'a Value);

impl Write<'_> {
    /// The item as it is after the write; none when it is not as it should be.
    fn applied(&self, items: &Items) -> Option<(String, Map<String, Value>)> {
        self.assert_placeholders();
        let id = key(self.0);
        let nothing = Map::new();
        let item = items.get(id).unwrap_or(&nothing);
        let conditions = self.0["ConditionExpression"].as_str().expect("a conditional write");
        if !conditions.split(" AND ").all(|condition| self.holds(condition, item)) {
            return None;
        }
        let mut item = item.clone();
        self.update(&mut item);
        // An item that was not there has its key, too.
        item.extend(self.0["Key"].as_object().unwrap().clone());
        Some((id.to_owned(), item))
    }

    fn name(&self, placeholder: &str) -> &str {
        self.0["ExpressionAttributeNames"][placeholder].as_str().unwrap_or_else(|| panic!("no name {placeholder}"))
    }

    fn value(&self, placeholder: &str) -> &Value {
        let value = &self.0["ExpressionAttributeValues"][placeholder];
        assert!(value.is_object(), "no value {placeholder}");
        value
    }

    fn holds(&self, condition: &str, item: &Map<String, Value>) -> bool {
        let inner = |prefix| condition.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(')'));
        let texts = |name| item.get(self.name(name)).map(|set| set["SS"].as_array().unwrap());
        if let Some(any) = inner("(") {
            any.split(" OR ").any(|condition| self.holds(condition, item))
        } else if let Some(other) = inner("NOT (") {
            !self.holds(other, item)
        } else if let Some(name) = inner("attribute_exists(") {
            item.contains_key(self.name(name))
        } else if let Some((set, member)) = inner("contains(").and_then(|both| both.split_once(", ")) {
            texts(set).is_some_and(|set| set.contains(&self.value(member)["S"]))
        } else if let Some((set, most)) = condition.strip_prefix("size(").and_then(|rest| rest.split_once(") < ")) {
            let most = self.value(most)["N"].as_str().unwrap().parse::<usize>().unwrap();
            texts(set).is_some_and(|set| set.len() < most)
        } else if let Some(name) = inner("attribute_not_exists(") {
            !item.contains_key(self.name(name))
        } else if let Some((name, values)) = condition.split_once(" IN (") {
            let mut values = values.strip_suffix(')').unwrap().split(", ");
            values.any(|value| item.get(self.name(name)) == Some(self.value(value)))
        } else if let Some((name, value)) = condition.strip_prefix("size(").and_then(|rest| rest.split_once(") = ")) {
            let size = item.get(self.name(name)).map(|list| list["L"].as_array().unwrap().len().to_string());
            size.as_deref() == self.value(value)["N"].as_str()
        } else if let Some((name, value)) = condition.split_once(" = ") {
            item.get(self.name(name)) == Some(self.value(value))
        } else {
            panic!("`{condition}` is not known");
        }
    }

    fn update(&self, item: &mut Map<String, Value>) {
        let expression = self.0["UpdateExpression"].as_str().unwrap();
        let (rest, remove) = split_off(expression, "REMOVE ");
        let (rest, delete) = split_off(rest, "DELETE ");
        let (rest, add) = split_off(rest, "ADD ");
        let mut paths = BTreeSet::new();
        let set = rest.trim().strip_prefix("SET ").unwrap_or_default();
        for assignment in set.split(", #").filter(|it| !it.is_empty()) {
            let (name, value) = assignment.trim_start_matches('#').split_once(" = ").unwrap();
            let name = self.name(&format!("#{name}"));
            assert!(paths.insert(name), "{name} is there twice");
            assert!(!["transaction_id", "holder"].contains(&name), "DynamoDB changes no key");
            if let Some(entries) = value.strip_prefix(&format!("list_append(#{name}, ")) {
                let entries = &self.value(entries.strip_suffix(')').unwrap())["L"];
                item[name]["L"].as_array_mut().unwrap().extend(entries.as_array().unwrap().clone());
            } else {
                item.insert(name.to_owned(), self.value(value).clone());
            }
        }
        for (change, adds) in [(add, true), (delete, false)].into_iter().filter(|(change, _)| !change.is_empty()) {
            let (name, members) = change.trim().split_once(' ').unwrap();
            let (name, members) = (self.name(name), &self.value(members)["SS"]);
            assert!(paths.insert(name), "{name} is there twice");
            let members: BTreeSet<String> = serde_json::from_value(members.clone()).unwrap();
            let before = item.get(name).map_or_else(|| json!([]), |set| set["SS"].clone());
            let before: BTreeSet<String> = serde_json::from_value(before).unwrap();
            let after: BTreeSet<_> =
                if adds { before.union(&members).collect() } else { before.difference(&members).collect() };
            // A set has members, or it is not there.
            if after.is_empty() {
                item.remove(name);
            } else {
                item.insert(name.to_owned(), json!({"SS": after}));
            }
        }
        for name in remove.split(", ").filter(|name| !name.is_empty()).map(|name| self.name(name)) {
            assert!(paths.insert(name), "{name} is there twice");
            item.remove(name);
        }
    }

    /// DynamoDB refuses a placeholder that no expression uses.
    fn assert_placeholders(&self) {
        let text = |name: &str| self.0[name].as_str().unwrap_or_default().to_owned();
        let expressions = text("UpdateExpression") + " " + &text("ConditionExpression");
        let split = |c: char| !(c.is_ascii_alphanumeric() || "#:_".contains(c));
        let used: BTreeSet<_> = expressions.split(split).collect();
        for kind in ["ExpressionAttributeNames", "ExpressionAttributeValues"] {
            for placeholder in self.0[kind].as_object().into_iter().flat_map(Map::keys) {
                assert!(used.contains(placeholder.as_str()), "{placeholder} is not used");
            }
        }
    }
}
