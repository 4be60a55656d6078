//! Properties of everything that reads or prints text. They hold for whatever comes.
//!
//! `.cargo/config.toml` says how to look further than each run of the tests does.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "these are tests, helpers included")]

use std::{collections::BTreeMap, fmt, fs, path::Path, str::FromStr, sync::LazyLock, time::Duration};

use daypass::{
    contract::{CreateRoleInput, DeleteRoleInput, DeprovisionRequest, RecordInput, ValidateInput},
    error::ErrorName,
    ids::{AccountId, Email, IdError, RoleArn, TransactionId},
    persona::{Persona, Personas},
    policy::{Effect, OneOrMany, Policy, Principal, Statement},
    stage::{Failure, Named, parse_input},
    text::{Quoted, is_readable, plain, shortened, tag_value, unreadable},
    timestamp::Timestamp,
};
use daypass_testing::{
    invariants::{check_account_id, check_email, check_json, check_message, check_personas, check_personas_error},
    strategies::{ANY_TEXT, edited, edited_json, json},
};
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
};
use regex::Regex;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

// Identifiers.

const EMAIL: &str = "[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([a-z0-9]([a-zA-Z0-9-]{0,20}[a-z0-9])?\\.){1,5}[a-z]{2,9}";
const ROLE_ARN: &str = "arn:aws(-cn|-us-gov)?:iam::[0-9]{12}:role/([!-~]{1,20}/){0,3}[A-Za-z0-9_+=,.@-]{1,64}";
const UUID: &str = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";

/// A text is an identifier in that spelling and no other, or is refused in a few plain words.
fn identifier<T>(text: &str) -> Option<T>
where
    T: FromStr<Err = IdError> + fmt::Display + fmt::Debug + PartialEq + Serialize + DeserializeOwned,
{
    match text.parse::<T>() {
        Ok(id) => {
            assert_eq!(id.to_string(), text);
            assert_eq!(serde_json::to_value(&id).unwrap(), Value::from(text));
            check_json(&id);
            Some(id)
        }
        Err(error) => {
            check_message(&error.to_string(), 800);
            assert!(serde_json::from_value::<T>(Value::from(text)).is_err());
            None
        }
    }
}

proptest! {
    #[test]
    fn valid_identifiers_are_accepted(id in UUID, account in "[0-9]{12}", email in EMAIL, arn in ROLE_ARN) {
        identifier::<TransactionId>(&id).expect("a UUID");
        identifier::<AccountId>(&account).expect("an account id");
        identifier::<Email>(&email).expect("an address");
        identifier::<RoleArn>(&arn).expect("an ARN");
    }

    #[test]
    fn transaction_ids_have_one_spelling(text in prop_oneof![edited(UUID), ANY_TEXT]) {
        if let Some(id) = identifier::<TransactionId>(&text) {
            prop_assert!(text.len() == 36 && !text.contains(char::is_uppercase));
            prop_assert_eq!(identifier::<TransactionId>(&text.to_uppercase()).is_some(), text == text.to_uppercase());
            prop_assert!(identifier::<TransactionId>(&id.end().to_string()).is_none());
        }
    }

    #[test]
    fn account_ids_are_digits(text in prop_oneof![edited("[0-9]{11,13}"), "\\d{12}"]) {
        if let Some(id) = identifier::<AccountId>(&text) {
            check_account_id(&id);
        }
    }

    #[test]
    fn addresses_cannot_be_taken_for_others(text in prop_oneof![edited(EMAIL), ANY_TEXT]) {
        if let Some(email) = identifier::<Email>(&text) {
            check_email(&email);
        }
    }

    #[test]
    fn role_arns_are_what_iam_has(text in prop_oneof![edited(ROLE_ARN), ANY_TEXT]) {
        if let Some(arn) = identifier::<RoleArn>(&text) {
            prop_assert!(text.bytes().all(|b| b.is_ascii_graphic()) && text.len() <= 650, "{}", text.escape_debug());
            prop_assert!((1..=64).contains(&arn.name().len()));
            check_account_id(arn.account());
            for arn in [arn.provisioner().to_string(), arn.boundary(), arn.instance_profiles()] {
                prop_assert!(arn.bytes().all(|b| b.is_ascii_graphic()));
                prop_assert_eq!(arn.matches(':').count(), 5);
            }
        }
    }

    #[test]
    fn a_role_belongs_to_one_transaction(id: u128, other: u128, account in "[0-9]{12}") {
        let [id, other] = [id, other].map(|it| Uuid::from_u128(it).to_string().parse::<TransactionId>().unwrap());
        let arn = id.role_arn("aws", &account.parse().unwrap());
        prop_assert!(arn.name().len() <= 64 && arn.name() == id.role_name());
        prop_assert!(id.owns(&identifier::<RoleArn>(&arn.to_string()).expect("an ARN")));
        prop_assert_eq!(other.owns(&arn), other == id);
        let elsewhere = arn.to_string().replace(":role/daypass/", ":role/");
        prop_assert!(!id.owns(&elsewhere.parse().unwrap()));
    }
}

// Texts.

/// What AWS takes, as its reference of the API writes it.
static TAG_VALUE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$").unwrap());

/// The text that a quotation of at most 64 characters shows.
fn unquoted(quoted: &str) -> String {
    let (mut text, mut rest) = (String::new(), quoted.strip_prefix('`').unwrap().strip_suffix('`').unwrap());
    while let Some((plain, escaped)) = rest.split_once("\\u{") {
        let (code, after) = escaped.split_once('}').unwrap();
        text.push_str(plain);
        text.push(char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap());
        rest = after;
    }
    text + rest
}

proptest! {
    #[test]
    fn quotations_cannot_be_ended_from_within(text in prop_oneof!["(?s).{0,64}", "[`\\\\u{}0-9a-f\n]{0,64}"]) {
        let quoted = Quoted(&text).to_string();
        check_message(&quoted, 64 * "\\u{10ffff}".len() + 2);
        prop_assert_eq!(quoted.matches('`').count(), 2);
        prop_assert_eq!(unquoted(&quoted), text, "no two texts look the same");
    }

    #[test]
    fn long_quotations_are_cut(text in "(?s).{65,200}") {
        let head: String = text.chars().take(64).collect();
        let head = Quoted(&head).to_string();
        prop_assert_eq!(Quoted(&text).to_string(), format!("{}…`", head.strip_suffix('`').unwrap()));
    }

    #[test]
    fn cuts_keep_the_beginning(text in ANY_TEXT, most in 0..100_usize) {
        let short = shortened(&text, most);
        if text.chars().count() <= most {
            prop_assert_eq!(short, text);
        } else {
            let kept = short.strip_suffix('…').expect("a sign of the cut");
            prop_assert!(text.starts_with(kept) && kept.chars().count() == most);
        }
    }

    #[test]
    fn plain_texts_stay_as_they_are(text in "(?s).{1,80}", ascii in "[ -~]{0,80}") {
        check_message(&plain(&text), 800);
        prop_assert_eq!(plain(&ascii), ascii);
    }

    #[test]
    fn tag_values_are_what_tags_take(text in "(?s).{0,300}", fine in "[a-zA-Z0-9äöüßéñœ _.:/=+@-]{0,256}") {
        let value = tag_value(&text);
        prop_assert_eq!(value.chars().count(), text.chars().count().min(256));
        prop_assert!(TAG_VALUE.is_match(&value), "{}", value);
        prop_assert_eq!(tag_value(&value), value.clone());
        prop_assert_eq!(tag_value(&fine), fine);
    }
}

/// Every character that matches, one after the other.
fn characters(class: &str) -> Vec<char> {
    let all: String = ('\0'..=char::MAX).collect();
    Regex::new(class).unwrap().find_iter(&all).flat_map(|found| found.as_str().chars()).collect()
}

/// By the properties as another library has them, which may be of an older version of Unicode.
#[test]
fn a_character_can_be_read_or_is_told_by_its_number() {
    let readable = characters(r"[[\p{L}\p{M}\p{N}\p{P}\p{S}\x20]--\p{Default_Ignorable_Code_Point}]");
    assert!(readable.len() > 150_000, "{}", readable.len());
    for c in readable {
        assert!(is_readable(c), "{}", c.escape_unicode());
    }
    let properties = r"\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\p{White_Space}\p{Noncharacter_Code_Point}";
    let unreadable_ones = characters(&format!(r"[[{properties}\p{{Cc}}\p{{Cf}}\p{{Co}}]--\x20]"));
    assert!(unreadable_ones.len() > 140_000, "{}", unreadable_ones.len());
    for c in unreadable_ones {
        assert!(!is_readable(c), "{}", c.escape_unicode());
        let text = format!("é {c}{c}");
        let told = unreadable(&text).map(|it| it.to_string()).unwrap_or_default();
        assert!(told.starts_with(&format!("character 3 is U+{:04X}, which ", u32::from(c))), "{told}");
        check_message(&told, 100);
        check_message(&plain(&text), 100);
        check_message(&Quoted(&text).to_string(), 100);
    }
}

/// The same as above of each character there is, because the wrong ones are few.
#[test]
fn no_character_is_wrong_in_a_tag() {
    let all: String = ('\0'..=char::MAX).collect();
    let kept: String = all.chars().filter(|c| tag_value(c.encode_utf8(&mut [0; 4])) != "_" || *c == '_').collect();
    assert!(kept.chars().count() > 30_000, "letters are kept");
    let wrong: String = kept.chars().filter(|c| !TAG_VALUE.is_match(c.encode_utf8(&mut [0; 4]))).collect();
    assert_eq!(wrong, "");
}

// Time.

/// All moments that RFC 3339 can write.
const SECONDS: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;
static WRITTEN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$").unwrap());
const DATE_TIME: &str = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\
                         (\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";
/// Those at both ends of what can be written.
const EXTREME_DATE_TIME: &str =
    "(0000-01-01|9999-12-31)T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9][+-]([01][0-9]|2[0-3]):[0-5][0-9]";

proptest! {
    #[test]
    fn moments_are_written_in_one_way(seconds in prop_oneof![SECONDS, any::<i64>()]) {
        let at = Timestamp::from_unix_seconds(seconds);
        let text = at.to_string();
        prop_assert!(WRITTEN.is_match(&text), "{}", text);
        prop_assert_eq!(text.parse::<Timestamp>().expect("a timestamp"), at);
        let shown = OffsetDateTime::parse(&text, &Rfc3339).unwrap().unix_timestamp();
        prop_assert_eq!(shown, if SECONDS.contains(&seconds) { seconds } else { 0 });
        check_json(&at);
    }

    #[test]
    fn texts_sort_as_moments_do(one in SECONDS, other in SECONDS) {
        let (one, other) = (Timestamp::from_unix_seconds(one), Timestamp::from_unix_seconds(other));
        prop_assert_eq!(one.cmp(&other), one.to_string().cmp(&other.to_string()));
    }

    #[test]
    fn a_moment_is_never_later_than_meant(text in prop_oneof![DATE_TIME, EXTREME_DATE_TIME]) {
        let meant = OffsetDateTime::parse(&text, &Rfc3339).unwrap();
        match text.parse::<Timestamp>() {
            Ok(at) => {
                let read = OffsetDateTime::parse(&at.to_string(), &Rfc3339).unwrap();
                prop_assert!((time::Duration::ZERO..time::Duration::SECOND).contains(&(meant - read)), "{}", at);
            }
            Err(error) => {
                check_message(&error.to_string(), 200);
                prop_assert!(!SECONDS.contains(&meant.unix_timestamp()), "{} can be written", text);
            }
        }
    }

    #[test]
    fn what_is_no_moment_is_refused(text in prop_oneof![edited(DATE_TIME), ANY_TEXT]) {
        if let Ok(at) = text.parse::<Timestamp>() {
            prop_assert_eq!(at.to_string().parse::<Timestamp>().unwrap(), at);
        }
    }

    #[test]
    fn what_is_added_is_measured(start in SECONDS, after: u64, nanoseconds in 0..1_000_000_000_u32) {
        let (start, latest) = (Timestamp::from_unix_seconds(start), Timestamp::from_unix_seconds(*SECONDS.end()));
        for seconds in [after % 700_000, after] {
            let end = start.plus(Duration::new(seconds, nanoseconds));
            prop_assert_eq!(end.since(start), Duration::from_secs(seconds).min(latest.since(start)));
            prop_assert_eq!(start.since(end), Duration::ZERO);
        }
    }
}

// Policies.

fn one_or_many() -> impl Strategy<Value = OneOrMany> {
    prop_oneof![ANY_TEXT.prop_map(OneOrMany::One), vec(ANY_TEXT, 0..4).prop_map(OneOrMany::Many)]
}

fn statement() -> impl Strategy<Value = Statement> {
    let principal = option::of(ANY_TEXT.prop_map(|aws| Principal { aws }));
    let condition = btree_map(ANY_TEXT, btree_map(ANY_TEXT, one_or_many(), 0..3), 0..3);
    let lists = [(); 4].map(|()| option::of(one_or_many()));
    (option::of(ANY_TEXT), any::<bool>(), principal, lists, condition).prop_map(
        |(sid, allow, principal, [action, not_action, resource, not_resource], condition)| {
            let effect = if allow { Effect::Allow } else { Effect::Deny };
            Statement { sid, effect, principal, action, not_action, resource, not_resource, condition }
        },
    )
}

proptest! {
    #[test]
    fn statements_are_read_as_they_were_printed(statements in vec(statement(), 0..4)) {
        let json = Policy::new(statements.clone()).to_json();
        let mut document: Map<String, Value> = serde_json::from_str(&json).expect("JSON");
        prop_assert_eq!(json.len(), Value::from(document.clone()).to_string().len(), "no white space");
        prop_assert_eq!(document.remove("Version"), Some(json!("2012-10-17")));
        let read: Vec<Statement> = serde_json::from_value(document.remove("Statement").unwrap()).unwrap();
        prop_assert_eq!(read, statements);
        prop_assert!(document.is_empty());
    }

    #[test]
    fn a_statement_has_no_other_members(statement in statement(), key in ANY_TEXT, value in json()) {
        let known = ["Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"];
        prop_assume!(!known.contains(&key.as_str()));
        let mut json = serde_json::to_value(statement).unwrap();
        json[&key] = value;
        prop_assert!(serde_json::from_value::<Statement>(json).is_err());
    }
}

// What a task is given, and what it says.

/// An error with any text.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Anything(String);

impl Named for Anything {
    fn name(&self) -> ErrorName {
        ErrorName::AwsUnavailable
    }
}

fn refused<T: DeserializeOwned>(input: &str) {
    if let Err(Failure { name, message }) = parse_input::<T>(input) {
        assert_eq!(name, ErrorName::InvalidRequest);
        check_message(&message, 1_001);
    }
}

proptest! {
    #[test]
    fn errors_are_told_in_a_few_plain_words(text in "(?s).{1,300}") {
        check_message(&Failure::from(&Anything(text.repeat(10))).message, 1_001);
    }

    #[test]
    fn inputs_are_refused_in_a_few_plain_words(input in prop_oneof![
        ANY_TEXT,
        json().prop_map(|it| it.to_string()),
        edited_json(json!({"transaction_id": "6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11", "role_arn": "arn", "request": {}}))
            .prop_map(|it| it.to_string()),
        edited_json(json!({"transaction": {"email": "a@b.c", "branch": "main"}, "operation": {"deprovisioning": {}}}))
            .prop_map(|it| it.to_string()),
        (ANY_TEXT, ANY_TEXT).prop_map(|(key, value)| json!({key: value}).to_string()),
    ]) {
        refused::<ValidateInput>(&input);
        refused::<CreateRoleInput>(&input);
        refused::<RecordInput>(&input);
        refused::<DeleteRoleInput>(&input);
        refused::<DeprovisionRequest>(&input);
    }
}

// personas.json.

const BASE: &str = include_str!("../src/persona/tests/base.json");
const SHIPPED: &str = include_str!("../../personas.json");

/// A right file is one in every respect; of a wrong one each problem is told where it is, in plain words.
fn checked(json: &str) -> Option<Personas> {
    match Personas::parse(json) {
        Ok(personas) => {
            check_personas(&personas);
            Some(personas)
        }
        Err(error) => {
            check_personas_error(&error, 50);
            None
        }
    }
}

fn value(json: &str) -> Value {
    serde_json::from_str(json).expect("JSON")
}

/// Names with what each is given: group types, cap, and whether it may deploy to the account.
type Given = BTreeMap<String, (Vec<String>, f64, bool)>;

fn given() -> impl Strategy<Value = Given> {
    let cap = prop_oneof![0.001..=168.0, (1..=168_u32).prop_map(f64::from)];
    btree_map("P[A-Za-z0-9_-]{0,63}", (vec("G[A-Za-z0-9_-]{4,63}", 0..3), cap, any::<bool>()), 1..6)
}

/// An object that has `key` in each of its objects in turn, with `null`.
fn with_key_everywhere(tree: &Value, key: &str) -> Vec<Value> {
    let mut trees = Vec::new();
    if let Value::Object(object) = tree {
        let mut more = object.clone();
        more.insert(key.to_owned(), Value::Null);
        trees.push(Value::Object(more));
        for (name, child) in object {
            trees.extend(with_key_everywhere(child, key).into_iter().map(|child| {
                let mut changed = object.clone();
                changed.insert(name.clone(), child);
                Value::Object(changed)
            }));
        }
    }
    if let Value::Array(items) = tree {
        for (i, item) in items.iter().enumerate() {
            trees.extend(with_key_everywhere(item, key).into_iter().map(|item| {
                let mut changed = items.clone();
                changed[i] = item;
                Value::Array(changed)
            }));
        }
    }
    trees
}

proptest! {
    #[test]
    fn a_right_file_gives_what_it_says(given in given(), company in "[A-Z][a-z &+-]{0,20}[a-z]", branch in "[a-z]{1,9}") {
        let mut file = value(BASE);
        file["organization"]["company"] = Value::from(company.clone());
        file["personas"] = Value::Object(given.iter().map(|(name, (group_types, cap, _))| {
            let policies = ["arn:aws:iam::aws:policy/ReadOnlyAccess"];
            (name.clone(), json!({"group_types": group_types, "max_role_ttl_hours": cap, "managed_policies": policies}))
        }).collect());
        let open: Vec<&String> = given.iter().filter(|(_, (_, _, open))| *open).map(|(name, _)| name).collect();
        prop_assume!(!open.is_empty());
        let mut group_types: Vec<&String> = given.values().flat_map(|(group_types, ..)| group_types).collect();
        group_types.sort_unstable();
        prop_assume!(group_types.windows(2).all(|pair| pair[0] != pair[1]));
        file["default_group_type"] = Value::from(open[0].clone());
        file["environments"] = json!({"dev": {"branches": [branch]}});
        file["accounts"] = json!([{"id": "111122223333", "name": "x", "environment": "dev", "personas": open}]);

        let personas = checked(&file.to_string()).expect("a right file");
        let names: Vec<&str> = personas.personas().iter().map(Persona::name).collect();
        prop_assert_eq!(names, given.keys().collect::<Vec<_>>());
        for (name, (group_types, cap, open)) in &given {
            let persona = personas.persona(name).unwrap();
            prop_assert_eq!(personas.accounts()[0].is_open_to(persona), *open);
            let difference = persona.max_role_ttl(None).abs_diff(Duration::from_secs_f64(cap * 3600.0));
            prop_assert!(difference < Duration::from_micros(1), "{cap} h is another cap by {difference:?}");
            let group = personas.group_name(personas.accounts()[0].id(), persona);
            prop_assert_eq!(group, format!("{company}_Web_111122223333_{name}"));
            for group_type in group_types {
                prop_assert_eq!(personas.persona_of(group_type).map(Persona::name), Some(name.as_str()));
            }
        }
        let dev = personas.environment("dev").unwrap();
        let longer = format!("{branch}x");
        prop_assert!(dev.allows_branch(&branch) && !dev.allows_branch(&longer));
    }

    #[test]
    fn a_file_with_another_value_is_right_or_explained(file in prop_oneof![
        edited_json(value(BASE)).prop_flat_map(edited_json),
        edited_json(value(SHIPPED)),
        json(),
    ]) {
        checked(&file.to_string());
    }

    #[test]
    fn a_file_with_another_letter_is_right_or_explained(text in edited(Just(BASE.to_owned()))) {
        checked(&text);
    }

    #[test]
    fn the_order_of_keys_means_nothing(file in edited_json(value(BASE))) {
        prop_assert_eq!(checked(&file.to_string()).is_some(), checked(&reversed(&file)).is_some());
    }
}

/// The text of `tree` with the keys of all objects in the opposite order.
fn reversed(tree: &Value) -> String {
    let of = |items: Vec<String>| items.join(",");
    match tree {
        Value::Object(object) => {
            let entry = |(key, child): (&String, &Value)| format!("{}:{}", Value::from(key.as_str()), reversed(child));
            format!("{{{}}}", of(object.iter().rev().map(entry).collect()))
        }
        Value::Array(items) => format!("[{}]", of(items.iter().map(reversed).collect())),
        other => other.to_string(),
    }
}

#[test]
fn a_key_that_belongs_nowhere_is_refused_everywhere() {
    let files = with_key_everywhere(&value(SHIPPED), "zzz");
    assert!(files.len() > 30, "{}", files.len());
    for file in files {
        let error = Personas::parse(&file.to_string()).expect_err("a file with a wrong key");
        assert!(error.problems.iter().any(|problem| problem.at.to_string().ends_with("zzz")), "{error}");
    }
}

/// The texts that the fuzz target `name` starts from, with what it once found.
fn corpus(name: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let files = fs::read_dir(folder).expect("a corpus").map(|file| fs::read(file.unwrap().path()).unwrap());
    files.filter_map(|bytes| String::from_utf8(bytes).ok()).collect()
}

#[test]
fn the_corpora_of_the_fuzzer_are_right_or_explained() {
    let right = corpus("personas").iter().filter_map(|text| checked(text)).count();
    assert!(right > 10, "{right}");
    let texts = corpus("release");
    assert!(texts.iter().filter(|text| parse_input::<DeprovisionRequest>(text).is_ok()).count() > 3);
    for text in texts {
        refused::<RecordInput>(&text);
        refused::<DeleteRoleInput>(&text);
        refused::<DeprovisionRequest>(&text);
    }
}
