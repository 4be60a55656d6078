//! For property tests: texts and JSON of all kinds, and valid ones with a mistake in them.

use proptest::{
    collection::{btree_map, vec},
    prelude::*,
    sample::{Index, select},
};
use serde_json::Value;

/// Any text of up to 80 characters: of any script, with control characters and with what cannot be seen.
pub const ANY_TEXT: &str = "(?s).{0,80}";

/// One of the `valid` texts with one place changed: up to two characters gone, up to two others there.
pub fn edited(valid: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (valid, any::<Index>(), 0..3_usize, "(?s).{0,2}").prop_map(|(text, at, removed, added)| {
        let mut chars: Vec<char> = text.chars().collect();
        let start = at.index(chars.len() + 1);
        let end = chars.len().min(start + removed);
        chars.splice(start..end, added.chars());
        chars.into_iter().collect()
    })
}

/// Any JSON value, a few levels deep.
pub fn json() -> impl Strategy<Value = Value> {
    let number = prop_oneof![any::<i64>().prop_map(Value::from), any::<f64>().prop_map(Value::from)];
    let plain = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), ANY_TEXT.prop_map(Value::from)];
    prop_oneof![number, plain].prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(ANY_TEXT, inner, 0..4).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// `valid` with one of its values edited, replaced by any other, or gone.
pub fn edited_json(valid: Value) -> impl Strategy<Value = Value> {
    let mut places = Vec::new();
    list_places(&valid, &mut String::new(), &mut places);
    select(places).prop_flat_map(move |place| {
        let value = valid.pointer(&place).unwrap_or(&Value::Null);
        let (text, other) = match value {
            Value::String(text) => (4, text.clone()),
            other => (0, other.to_string()),
        };
        let valid = valid.clone();
        prop_oneof![
            text => edited(Just(other)).prop_map(|text| Some(Value::from(text))),
            4 => json().prop_map(Some),
            1 => Just(None),
        ]
        .prop_map(move |new| with(valid.clone(), &place, new))
    })
}

/// The JSON pointers of all that is in `value`.
fn list_places(value: &Value, pointer: &mut String, places: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Array(items) => items.iter().enumerate().map(|(i, item)| (i.to_string(), item)).collect(),
        Value::Object(object) => {
            object.iter().map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        _ => return,
    };
    for (key, child) in children {
        let parent = pointer.len();
        pointer.push('/');
        pointer.push_str(&key);
        places.push(pointer.clone());
        list_places(child, pointer, places);
        pointer.truncate(parent);
    }
}

/// `tree` with `new` at `place`; without anything there when it is nothing.
fn with(mut tree: Value, place: &str, new: Option<Value>) -> Value {
    let (parent, key) = place.rsplit_once('/').unwrap_or_default();
    let key = key.replace("~1", "/").replace("~0", "~");
    match (tree.pointer_mut(parent), new) {
        (Some(Value::Object(object)), Some(new)) => drop(object.insert(key, new)),
        (Some(Value::Object(object)), None) => drop(object.remove(&key)),
        (Some(Value::Array(items)), new) => {
            let at: usize = key.parse().unwrap_or_default();
            drop(items.splice(at..=at, new));
        }
        _ => {}
    }
    tree
}
