//! Properties of validate: whatever is sent is understood as the contract says, or refused in a few plain words.
//!
//! `.cargo/config.toml` says how to look further than each run of the tests does.

use std::{fs, iter, path::Path, sync::LazyLock};

use daypass::{
    contract::{ProvisionInput, RenewInput, fields::Field},
    ids::TransactionId,
};
use daypass_testing::{
    invariants::{check_message, check_transaction},
    strategies::{ANY_TEXT, edited, edited_json, json},
};
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
};
use regex::Regex;
use serde_json::{Value, json};

use super::*;

/// The names of the fields of a request, and what a message calls all of it.
static FIELDS: LazyLock<Vec<&str>> =
    LazyLock::new(|| iter::once("request").chain(ProvisionInput::fields().map(|field| field.name)).collect());

/// Public keys of nobody.
const RECIPIENTS: [&str; 3] = [
    "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
    "age1xe4c5zyy42w9glu3mx6m6hhfh83ev3kw7dk8hffmajnmg4hspfeqjkys5f",
    "age1un3lc65ttl4m6uwsqn4wv4yppgm3rgzeant44wk9yckpsp9las9ssa58mf",
];
/// What a branch may have, and what it may not have everywhere.
const PARTS: [&str; 12] = ["a", "ä", "-", ".", "..", "/", "@", "{", ".lock", "refs/", "~", "\\"];
const MIN_ROLE_TTL: Duration = Duration::from_mins(15);
const SHIPPED_PERSONAS: &str = include_str!("../../../personas.json");

static SHIPPED: LazyLock<Validate> = LazyLock::new(|| task(SHIPPED_PERSONAS));

fn task(personas: &str) -> Validate {
    Validate::new(Personas::parse(personas).expect("a right file"), MIN_ROLE_TTL, "aws".to_owned())
}

/// What `task` answers to `request`, after that was held to everything that it has to be.
fn answered(
    task: &Validate,
    id: TransactionId,
    requested_at: Timestamp,
    request: &Value,
) -> Result<Transaction, String> {
    match task.request(id, requested_at, request) {
        Ok(transaction) => {
            check_accepted(task, request, &transaction);
            assert_eq!((transaction.transaction_id, transaction.requested_at), (id, requested_at));
            Ok(transaction)
        }
        Err(error) => {
            check_refused(&error);
            Err(error.to_string())
        }
    }
}

fn answer(request: &Value) -> Result<Transaction, String> {
    let id = "6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11".parse().unwrap();
    answered(&SHIPPED, id, "2026-11-23T09:00:00Z".parse().unwrap(), request)
}

/// The contract, and that nothing was read differently from how it was sent.
fn check_accepted(task: &Validate, request: &Value, transaction: &Transaction) {
    let environment = transaction.environment.as_ref().and_then(|name| task.personas.environment(name));
    let persona = task.personas.persona_of(&transaction.group_type).expect("a persona");
    check_transaction(transaction, &(task.min_role_ttl..=persona.max_role_ttl(environment)));
    assert_eq!(persona.name(), transaction.persona);
    assert_eq!(task.personas.group_name(&transaction.target_aws_account_id, persona), transaction.group_name);
    let read = serde_json::to_value(transaction).unwrap();
    for (field, sent) in request.as_object().expect("an object") {
        assert!(FIELDS[1..].contains(&field.as_str()), "{field}");
        let read = &read[field];
        match field.as_str() {
            // It goes past the transaction.
            "identity_token" => assert!(read.is_null()),
            "recipient" => assert_eq!(sent.as_str().unwrap().to_lowercase(), read.as_str().unwrap()),
            "role_ttl_hours" => assert!((sent.as_f64().unwrap() - read.as_f64().unwrap()).abs() < 1.0 / 3600.0),
            _ => assert_eq!(sent, read, "{field}"),
        }
    }
    if let Some(environment) = environment {
        let account = task.personas.account(&transaction.target_aws_account_id).expect("an account");
        assert_eq!(account.name(), transaction.target_aws_account);
        assert_eq!(account.environment().name(), environment.name());
    }
}

/// At least one problem, each of which names a field, and all of it plain and not long.
fn check_refused(ValidateError::InvalidRequest(problems): &ValidateError) {
    let text = problems.to_string();
    check_message(&text, 6_000);
    let fields = problems.fields();
    assert!(!fields.is_empty());
    for field in fields {
        assert!(FIELDS.contains(&field), "{field}");
        assert!(text.contains(&format!("`{field}`: ")), "{text}");
    }
}

fn account() -> impl Strategy<Value = (String, String)> {
    let known: Vec<(String, String)> = SHIPPED
        .personas
        .accounts()
        .iter()
        .map(|account| (account.name().to_owned(), account.id().to_string()))
        .collect();
    prop_oneof![proptest::sample::select(known), ("unknown-[!-~]{1,40}", "[3-9]{6}1[0-9]{5}")]
}

/// Valid values of a field; one that needs no more variety than its example has that.
fn valid(field: &Field) -> BoxedStrategy<Value> {
    let group_types: Vec<String> = SHIPPED.personas.group_types().map(str::to_owned).collect();
    match field.name {
        "email" => "[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([a-z0-9]([a-z0-9-]{0,9}[a-z0-9])?\\.){1,4}[a-z]{2,9}"
            .prop_map(Value::from)
            .boxed(),
        "branch" => "[a-z0-9äß日][a-z0-9_#@'+-]{0,20}(/[a-z0-9][a-z0-9_-]{0,9}){1,3}".prop_map(Value::from).boxed(),
        "recipient" => proptest::sample::select(RECIPIENTS.as_slice()).prop_map(Value::from).boxed(),
        "group_type" => proptest::sample::select(group_types).prop_map(Value::from).boxed(),
        "repository" => "[!-~]{0,99}/[!-~]{0,99}".prop_map(Value::from).boxed(),
        "run_url" => "https://[!-~]{1,200}".prop_map(Value::from).boxed(),
        "justification" => "[a-zA-Zäöü日 .,:#👩-]{0,300}[a-z]".prop_map(Value::from).boxed(),
        "role_ttl_hours" => prop_oneof![0.25..4.0, (1..=4_u32).prop_map(f64::from)].prop_map(Value::from).boxed(),
        "identity_token" => "([A-Za-z0-9_-]{1,40}\\.){4}[A-Za-z0-9_-]{1,40}".prop_map(Value::from).boxed(),
        _ => Just(field.example()).boxed(),
    }
}

fn request() -> impl Strategy<Value = Value> {
    let names = |(name, id): (String, String)| [("target_aws_account", name), ("target_aws_account_id", id)];
    let others = ProvisionInput::fields().filter(|field| !field.name.starts_with("target_aws_account")).map(|field| {
        let value = valid(field);
        let sent = if field.is_required { value.prop_map(Some).boxed() } else { option::of(value).boxed() };
        sent.prop_map(|value| (field.name, value))
    });
    (account().prop_map(names), others.collect::<Vec<_>>()).prop_map(|(account, others)| {
        let account = account.map(|(name, value)| (name, Some(value.into())));
        let sent = account.into_iter().chain(others).filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(sent.collect())
    })
}

proptest! {
    #[test]
    fn a_right_request_is_understood(
        request in request(),
        id in "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        seconds in 0..32_503_680_000_i64,
    ) {
        let answer = answered(&SHIPPED, id.parse().unwrap(), Timestamp::from_unix_seconds(seconds), &request);
        prop_assert!(answer.is_ok(), "{:?}", answer);
    }

    #[test]
    fn an_execution_has_a_random_name(request in request(), id: u128) {
        let hex = format!("{id:032x}");
        let id = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
        let is_random = hex[12..].starts_with('4') && hex[16..].starts_with(['8', '9', 'a', 'b']);
        let answer = SHIPPED.request(id.parse().unwrap(), Timestamp::from_unix_seconds(0), &request);
        prop_assert_eq!(answer.is_ok(), is_random, "{}: {:?}", id, answer);
    }

    #[test]
    fn a_request_with_another_value_is_understood_or_explained(request in request().prop_flat_map(edited_json)) {
        let _ = answer(&request);
    }

    #[test]
    fn anything_at_all_is_understood_or_explained(request in prop_oneof![
        json(),
        btree_map(proptest::sample::select(FIELDS.as_slice()), json(), 0..11)
            .prop_map(|fields| Value::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())),
    ]) {
        let _ = answer(&request);
    }

    #[test]
    fn every_wrong_field_is_named(request in request(), wrong in btree_map(1..FIELDS.len(), json(), 1..4)) {
        let mut request = request;
        let wrong: Vec<(&str, Value)> = wrong.into_iter().map(|(field, value)| (FIELDS[field], value)).collect();
        for (field, value) in &wrong {
            let right = if *field == "role_ttl_hours" { value.is_number() } else { value.is_string() };
            request[field] = if right { json!([value]) } else { value.clone() };
        }
        let text = answer(&request).expect_err("wrong fields");
        for (field, _) in wrong {
            prop_assert!(text.contains(&format!("`{field}`: ")), "{} lacks {}", text, field);
        }
    }

    #[test]
    fn a_missing_field_is_named(request in request(), missing in 1..6_usize) {
        let mut request = request;
        request.as_object_mut().unwrap().remove(FIELDS[missing]);
        let text = answer(&request).expect_err("a missing field");
        prop_assert!(text.contains(&format!("`{}`: it is missing", FIELDS[missing])), "{}", text);
    }

    #[test]
    fn an_unknown_field_is_refused(request in request(), key in ANY_TEXT, value in json()) {
        prop_assume!(!FIELDS[1..].contains(&key.as_str()));
        let mut request = request;
        request[key] = value;
        let text = answer(&request).expect_err("an unknown field");
        prop_assert!(text.contains("`request`: unknown field"), "{}", text);
    }

    #[test]
    fn an_address_with_a_slip_is_that_address_or_none(email in edited("[a-z]{1,8}@[a-z]{1,8}\\.[a-z]{2,3}")) {
        let mut request = least_request();
        request["email"] = email.clone().into();
        if let Ok(transaction) = answer(&request) {
            prop_assert_eq!(transaction.email.as_str(), email);
        }
    }

    #[test]
    fn a_branch_is_one_that_git_can_have(parts in vec(proptest::sample::select(PARTS.as_slice()), 1..6)) {
        let mut request = least_request();
        request["branch"] = parts.concat().into();
        let _ = answer(&request);
    }

    #[test]
    fn lifetimes_end_at_the_cap(
        request in request(),
        cap in prop_oneof![0.001..0.5, 0.25..168.0_f64],
        hours in option::of(prop_oneof![0.0..0.5, 0.25..200.0, any::<f64>()]),
    ) {
        let mut personas: Value = serde_json::from_str(SHIPPED_PERSONAS).unwrap();
        for persona in personas["personas"].as_object_mut().unwrap().values_mut() {
            persona["max_role_ttl_hours"] = Value::from(cap);
        }
        for environment in personas["environments"].as_object_mut().unwrap().values_mut() {
            environment.as_object_mut().unwrap().remove("max_role_ttl_hours");
        }
        let mut request = request;
        request.as_object_mut().unwrap().remove("role_ttl_hours");
        if let Some(hours) = hours {
            request["role_ttl_hours"] = Value::from(hours);
        }
        let id = "6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11".parse().unwrap();
        let answer = answered(&task(&personas.to_string()), id, "2026-11-23T09:00:00Z".parse().unwrap(), &request);
        // A second to each side is for the rounding to whole ones.
        let fits = |hours: f64, slack: f64| hours * 3600.0 > 900.0 - slack && hours <= cap + slack / 3600.0;
        let asked = hours.unwrap_or(f64::min(cap, 24.0));
        if answer.is_ok() {
            prop_assert!(fits(asked, 1.0), "{:?}", answer);
        } else {
            prop_assert!(!fits(asked, -1.0), "{:?}", answer);
        }
    }
}

/// A request for an account that nobody knows.
fn least_request() -> Value {
    json!({
        "email": "alex@example.com", "branch": "main", "target_aws_account": "x", "target_aws_account_id": "999999999999",
        "recipient": RECIPIENTS[0],
    })
}

/// What is wrong with a request that has `text` in `field`.
fn problems(field: &str, text: &str) -> String {
    let mut request = least_request();
    request[field] = text.into();
    let mut problems = Problems::default();
    read_request(&request, recipient, &mut problems);
    problems.to_string()
}

/// Every character that matches, by the properties as another library has them, which may be of an older version of Unicode.
fn characters(class: &str) -> Vec<char> {
    let all: String = ('\0'..=char::MAX).collect();
    Regex::new(class).unwrap().find_iter(&all).flat_map(|found| found.as_str().chars()).collect()
}

/// The name of a field that holds a text, and a valid one.
fn text_of(field: &'static Field) -> Option<(&'static str, String)> {
    Some((field.name, field.example().as_str()?.to_owned()))
}

#[test]
fn no_text_holds_a_character_that_cannot_be_read() {
    let properties = r"\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\p{White_Space}\p{Noncharacter_Code_Point}";
    let unreadable = characters(&format!(r"[[{properties}\p{{Cc}}\p{{Cf}}]--\x20]"));
    assert!(unreadable.len() > 4_000, "{}", unreadable.len());
    let texts: Vec<(&str, String)> = ProvisionInput::fields().filter_map(text_of).collect();
    assert_eq!(texts.len() + 1, ProvisionInput::fields().count(), "every field but the lifetime");
    for (field, text) in &texts {
        let (before, after) = text.split_at(text.len() / 2);
        assert_eq!(problems(field, &format!("{before}{after}")), "", "{field}");
        for &c in &unreadable {
            let problems = problems(field, &format!("{before}{c}{after}"));
            let place = before.chars().count() + 1;
            assert!(problems.starts_with(&format!("`{field}`: ")), "{problems}");
            assert!(problems.contains(&format!("character {place} is U+{:04X}, which ", u32::from(c))), "{problems}");
            assert!(problems.ends_with("leave it out") || problems.ends_with("also within an emoji"), "{problems}");
        }
    }
}

#[test]
fn no_renewal_holds_a_character_that_cannot_be_read() {
    let texts: Vec<_> = RenewInput::fields().filter_map(text_of).collect();
    assert_eq!(texts.len(), 3);
    for (field, text) in &texts {
        let mut sent: Value =
            texts.iter().map(|(field, text)| ((*field).to_owned(), Value::from(text.as_str()))).collect();
        assert!(renewal(&sent).is_ok(), "{field}");
        for c in characters(r"[[\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\p{White_Space}]--\x20]") {
            sent[*field] = format!("{text}{c}").into();
            let problems = renewal(&sent).expect_err(field).to_string();
            assert!(problems.starts_with(&format!("`{field}`: ")), "{problems}");
            assert!(problems.contains(&format!(" is U+{:04X}, which ", u32::from(c))), "{problems}");
        }
    }
}

/// Letters of any script, digits, punctuation, emoji of one part.
#[test]
fn every_other_character_is_taken_where_texts_are_free() {
    let readable = characters(r"[[\p{L}\p{M}\p{N}\p{P}\p{S}]--\p{Default_Ignorable_Code_Point}]");
    assert!(readable.len() > 150_000, "{}", readable.len());
    for text in readable.chunks(512) {
        assert_eq!(problems("justification", &String::from_iter(text)), "");
    }
    let letters = characters(r"[[\p{L}\p{Nd}]--\p{Default_Ignorable_Code_Point}]");
    for text in letters.chunks(64) {
        assert_eq!(problems("branch", &String::from_iter(text)), "");
    }
}

/// What the fuzzer starts from, and what it once found, holds without a fuzzer, too.
#[test]
fn the_corpus_of_the_fuzzer_is_understood_or_explained() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/request");
    let mut understood = 0;
    for file in fs::read_dir(corpus).expect("a corpus") {
        if let Ok(request) = serde_json::from_slice(&fs::read(file.unwrap().path()).unwrap()) {
            understood += usize::from(answer(&request).is_ok());
        }
    }
    assert!(understood > 5, "{understood}");
}
