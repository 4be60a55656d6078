//! The changes of record have two readers: DynamoDB, and `Change::apply`, by which the model of the protocol plays. They agree.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use daypass::contract::Status;
use daypass_record::{Assignment, Change, Condition, Item, Store, Table, Together};
use daypass_tests::stack::{Stack, until};

/// Choices that are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % count
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn text(&mut self) -> AttributeValue {
        AttributeValue::S(self.one(&["x", "y"]).to_owned())
    }

    fn members(&mut self) -> Vec<String> {
        let all = ["p", "q", "r"];
        let from = self.below(3);
        all[from..from + 1 + self.below(3 - from)].iter().map(|it| (*it).to_owned()).collect()
    }

    fn item(&mut self) -> Option<Item> {
        if self.below(6) == 0 {
            return None;
        }
        let mut item = Item::new();
        if self.below(4) > 0 {
            item.insert("status".into(), AttributeValue::S(self.one(&["processing", "provisioned", "denied"]).into()));
        }
        for name in ["since", "by"] {
            if self.below(2) == 0 {
                item.insert(name.into(), self.text());
            }
        }
        if self.below(3) > 0 {
            item.insert("may".into(), AttributeValue::Bool(self.below(2) == 0));
        }
        if self.below(3) > 0 {
            let length = self.below(3);
            item.insert("list".into(), AttributeValue::L((0..length).map(|_| self.text()).collect()));
        }
        if self.below(3) > 0 {
            item.insert("set".into(), AttributeValue::Ss(self.members()));
        }
        Some(item)
    }

    /// Record appends to a list that it has seen, so that is what is played.
    fn change(&mut self, id: &str, item: Option<&Item>) -> Change {
        let mut change = Change::of(&id);
        change.assignments.push(Assignment::Set("touched".into(), self.text()));
        for name in ["status", "since", "by", "may"] {
            match self.below(4) {
                0 => change.assignments.push(Assignment::Set(name.into(), self.text())),
                1 => change.assignments.push(Assignment::Remove(name.into())),
                _ => (),
            }
        }
        if item.is_some_and(|it| it.contains_key("list")) && self.below(2) == 0 {
            change.assignments.push(Assignment::Append("list".into(), self.text()));
        }
        match self.below(3) {
            0 => change.assignments.push(Assignment::Add("set".into(), self.one(&["p", "q", "s"]).into())),
            1 => change.assignments.push(Assignment::TakeAway("set".into(), self.members())),
            _ => (),
        }
        let condition = |it: &mut Self| match it.below(9) {
            0 => Condition::With("since".into()),
            1 => Condition::Without("since".into()),
            2 => Condition::Is("by".into(), it.text()),
            3 => Condition::Not("may".into(), AttributeValue::Bool(true)),
            4 => Condition::Free("since".into(), it.text()),
            5 => Condition::Status(vec![Status::Processing]),
            6 => Condition::Status(vec![Status::Processing, Status::Provisioned]),
            7 => Condition::Length("list".into(), it.below(3)),
            _ => Condition::Room { set: "set".into(), member: it.one(&["p", "s"]).into(), most: it.below(4) },
        };
        change.conditions.push(condition(self));
        if self.below(3) == 0 {
            let other = condition(self);
            // One placeholder has one value.
            if std::mem::discriminant(&other) != std::mem::discriminant(&change.conditions[0]) {
                change.conditions.push(other);
            }
        }
        change
    }
}

const KEY: &str = "transaction_id";

/// The item as it is compared: sets have no order.
fn sorted(mut item: Item) -> Item {
    item.insert(KEY.into(), AttributeValue::S("any".into()));
    for value in item.values_mut() {
        if let AttributeValue::Ss(members) = value {
            members.sort();
        }
    }
    item
}

#[tokio::test]
async fn record_and_its_model_change_items_alike() {
    let stack = Stack::shared().await;
    let client = stack.hub().dynamodb();
    let name = format!("daypass-model-{}", uuid::Uuid::new_v4());
    let key = AttributeDefinition::builder().attribute_name(KEY).attribute_type(ScalarAttributeType::S);
    let schema = KeySchemaElement::builder().attribute_name(KEY).key_type(KeyType::Hash);
    let create = client.create_table().table_name(&name).billing_mode(BillingMode::PayPerRequest);
    let create = create.attribute_definitions(key.build().unwrap()).key_schema(schema.build().unwrap());
    create.send().await.unwrap();
    let table = Table::new(client.clone(), name.clone(), KEY);
    until("the table is there", async || table.read(&"any").await.is_ok()).await;
    let put = async |id: &str, item: &Option<Item>| {
        if let Some(mut item) = item.clone() {
            item.insert(KEY.into(), AttributeValue::S(id.into()));
            client.put_item().table_name(&name).set_item(Some(item)).send().await.unwrap();
        }
    };
    let (mut chance, mut made) = (Chance(0x5eed), [0; 2]);
    for number in 0..150 {
        // Alone.
        let (id, before) = (format!("{number}"), chance.item());
        let made_up = chance.change(&id, before.as_ref());
        put(&id, &before).await;
        let expected = made_up.apply(before.as_ref());
        let changed = table.change(made_up.clone()).await.unwrap();
        assert_eq!(changed, expected.is_some(), "{made_up:?} of {before:?}");
        let after = table.read(&id).await.unwrap().map(sorted);
        assert_eq!(after, expected.or(before).map(sorted), "{made_up:?}");
        made[usize::from(changed)] += 1;
        // Two together.
        let ids = ["one", "other"].map(|it| format!("{number}-{it}"));
        let before = [chance.item(), chance.item()];
        let both = [0, 1].map(|it| chance.change(&ids[it], before[it].as_ref()));
        for (id, item) in ids.iter().zip(&before) {
            put(id, item).await;
        }
        let expected = [0, 1].map(|it| both[it].apply(before[it].as_ref()));
        let unlike: Vec<usize> = (0..2).filter(|it| expected[*it].is_none()).collect();
        let together = table.change_all(both.iter().map(|it| (&table, it.clone())).collect()).await.unwrap();
        let all = unlike.is_empty();
        assert_eq!(together, if all { Together::Changed } else { Together::Unlike(unlike) }, "{both:?} of {before:?}");
        for ((id, before), expected) in ids.iter().zip(before).zip(expected) {
            let after = table.read(id).await.unwrap().map(sorted);
            assert_eq!(after, expected.filter(|_| all).or(before).map(sorted), "{both:?}");
        }
    }
    assert!(made.iter().all(|count| *count > 20), "both verdicts are seen: {made:?}");
    client.delete_table().table_name(&name).send().await.unwrap();
}
