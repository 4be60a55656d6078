use std::fmt::Write;

use daypass::{error::ErrorName, stage::Named};
use serde_json::{Value, json};

use super::*;

const PERSONAS: &str = include_str!("../../../personas.json");

const ID: &str = "6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11";
const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

/// An identity token as it must never be sent.
const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJhY3RvciI6ImFsZXgifQ.c2lnbmF0dXJl";

fn request() -> Value {
    json!({
        "email": "alex@example.com",
        "branch": "feature/receipts",
        "target_aws_account": "payments-dev",
        "target_aws_account_id": "222222222222",
        "recipient": "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
    })
}

fn with(changes: &Value) -> Value {
    let mut request = request();
    for (field, value) in changes.as_object().unwrap() {
        request[field] = value.clone();
    }
    request
}

fn validate(request: &Value) -> Result<Transaction, String> {
    let task = Validate::new(Personas::parse(PERSONAS).unwrap(), Duration::from_mins(15), "aws".to_owned());
    reason(task.request(ID.parse().unwrap(), daypass_testing::samples::requested_at(), request))
}

/// Of a refusal the text.
fn reason<T>(answer: Result<T, ValidateError>) -> Result<T, String> {
    answer.map_err(|error| {
        assert_eq!(error.name(), ErrorName::InvalidRequest);
        error.to_string()
    })
}

/// Both machines are answered in their own words.
#[test]
fn answers_the_machine_that_asks() {
    let task = Validate::new(Personas::parse(PERSONAS).unwrap(), Duration::from_mins(15), "aws".to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let now = daypass_testing::samples::requested_at();
    let answer = |input: Value| {
        let answer = runtime.block_on(task.run(serde_json::from_value(input).unwrap(), now)).unwrap();
        serde_json::to_value(answer).unwrap()
    };
    let execution = json!({"transaction_id": ID, "requested_at": now, "request": request()});
    assert_eq!(answer(execution), json!(validate(&request()).unwrap()));
    assert_eq!(
        answer(json!({"renewal": renewal_of(&json!({}))})),
        json!({"transaction_id": ID, "recipient": RECIPIENT})
    );
}

fn renewal_of(changes: &Value) -> Value {
    let mut sent = json!({"transaction_id": ID, "recipient": RECIPIENT});
    for (field, value) in changes.as_object().unwrap() {
        sent[field] = value.clone();
    }
    sent
}

#[test]
fn a_renewal_is_read_as_strictly_as_a_request() {
    let sealed = "eyJhbGciOiJSU0EtT0FFUC0yNTYifQ.a2V5.bm9uY2U.Y2lwaGVydGV4dA.dGFn";
    assert!(renewal(&renewal_of(&json!({"identity_token": sealed}))).is_ok());
    let cases = [
        json!({"transaction_id": 1}),
        json!({"transaction_id": "x\u{202e}"}),
        json!({"transaction_id": ID.to_uppercase()}),
        json!({"recipient": null}),
        json!({"recipient": "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33"}),
        json!({"identity_token": TOKEN}),
        json!({"email": "mallory@example.com"}),
        json!({"transaction_id": "", "recipient": "age1", "role_ttl_hours": 72}),
    ];
    let mut text = String::new();
    for case in cases {
        let message = reason(renewal(&renewal_of(&case))).expect_err(&case.to_string());
        assert!(!message.contains("SECRET-KEY") && !message.contains(TOKEN), "{message}");
        writeln!(text, "{}\n  {message}", case.to_string().escape_debug()).unwrap();
    }
    for sent in [json!({}), json!(null), json!([ID])] {
        writeln!(text, "{sent}\n  {}", reason(renewal(&sent)).unwrap_err()).unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn the_least_request() {
    insta::assert_json_snapshot!(validate(&request()).unwrap());
}

#[test]
fn a_request_with_everything() {
    let transaction = validate(&json!({
        "email": "nadia@example.com",
        "branch": "release/2026-11",
        "target_aws_account": "payments-prod",
        "target_aws_account_id": "333333333333",
        "group_type": "Network-Deployers",
        "recipient": "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
        "repository": "example/network",
        "run_url": "https://github.com/example/network/actions/runs/7",
        "justification": "CHG-1234: the second transit gateway",
        "role_ttl_hours": 0.25,
        "identity_token": "eyJhbGciOiJSU0EtT0FFUC0yNTYifQ.a2V5.bm9uY2U.Y2lwaGVydGV4dA.dGFn",
    }));
    insta::assert_json_snapshot!(transaction.unwrap());
}

#[test]
fn an_account_that_nobody_knows_is_left_to_authz() {
    let transaction = validate(&with(&json!({"target_aws_account": "x", "target_aws_account_id": "999999999999"})));
    assert_eq!(transaction.unwrap().environment, None);
}

#[test]
fn lifetimes() {
    let ttl = |account: Value, hours: Option<f64>| {
        let mut request = with(&account);
        if let Some(hours) = hours {
            request["role_ttl_hours"] = json!(hours);
        }
        validate(&request).map(|transaction| transaction.role_ttl_hours)
    };
    let dev = json!({});
    let prod = json!({"target_aws_account": "payments-prod", "target_aws_account_id": "333333333333"});
    assert_eq!(ttl(dev.clone(), None), Ok(24.0), "a day by default");
    assert_eq!(ttl(prod.clone(), None), Ok(8.0), "or the cap, where it is lower");
    assert_eq!(ttl(dev.clone(), Some(0.25)), Ok(0.25), "the deployment's minimum is allowed");
    assert_eq!(ttl(dev.clone(), Some(72.0)), Ok(72.0), "the cap is allowed");
    assert_eq!(ttl(dev.clone(), Some(1.0 / 3.0)), Ok(1200.0 / 3600.0), "whole seconds");
    for hours in [0.249, 0.0, -1.0, 72.001, 1e300, -1e300] {
        assert!(ttl(dev.clone(), Some(hours)).is_err(), "{hours}");
    }
    assert!(ttl(prod, Some(8.01)).is_err());
}

#[test]
fn branches() {
    let valid = |branch: &str| validate(&with(&json!({"branch": branch}))).is_ok();
    let good = ["main", "release/1.2", "dependabot/npm_and_yarn/x-1.0", "feature/größe", "a@b", "#12", "user/o'brien"];
    for branch in good {
        assert!(valid(branch), "{branch}");
    }
    let long = "x".repeat(257);
    let bad = ["", " ", "a b", "a..b", "/a", "a/", "a//b", ".a", "a/.b", "a.lock", "a.lock/b", "a~b", "a^b", "a:b"];
    let more = ["a?b", "a*b", "a[b", "a\\b", "@", "a@{b", "-a", "a.", "a\u{7f}b", "ma\u{200b}in", "main\n", &long];
    for branch in bad.into_iter().chain(more).chain(["refs/heads/main", "refs/pull/1/merge"]) {
        assert!(!valid(branch), "{branch}");
    }
}

/// Every way in which one field can be wrong, and what the requester reads.
#[test]
fn every_problem_names_the_field_and_the_remedy() {
    let secret = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
    let cases = [
        json!({"email": null}),
        json!({"email": 1}),
        json!({"email": ""}),
        json!({"email": "аlex@example.com"}),
        json!({"email": format!("{}@example.com", "a".repeat(300))}),
        json!({"branch": ["main"]}),
        json!({"branch": ""}),
        json!({"branch": "refs/heads/main"}),
        json!({"branch": "refs/tags/v1"}),
        json!({"branch": "ma\u{202e}in"}),
        json!({"target_aws_account": {}}),
        json!({"target_aws_account": ""}),
        json!({"target_aws_account": "payments-dev "}),
        json!({"target_aws_account": "pаyments-dev"}),
        json!({"target_aws_account": "x".repeat(51)}),
        json!({"target_aws_account": "payments-prod"}),
        json!({"target_aws_account": "payments-stage"}),
        json!({"target_aws_account_id": 222_222_222_222_u64}),
        json!({"target_aws_account_id": "22222222222"}),
        json!({"target_aws_account_id": "２２２２２２２２２２２２"}),
        json!({"target_aws_account_id": "333333333333"}),
        json!({"target_aws_account_id": "999999999999"}),
        json!({"group_type": "Admins"}),
        json!({"group_type": "product-deployers"}),
        json!({"group_type": false}),
        json!({"recipient": ""}),
        json!({"recipient": "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8q"}),
        json!({"recipient": secret}),
        json!({"recipient": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN"}),
        json!({"repository": "payments"}),
        json!({"repository": "example/pay ments"}),
        json!({"run_url": "http://ci.example.com/1"}),
        json!({"run_url": "https://"}),
        json!({"run_url": format!("https://ci.example.com/{}", "1".repeat(300))}),
        json!({"justification": "  "}),
        json!({"justification": "one\ntwo"}),
        json!({"justification": "CHG-1\u{200b}2"}),
        json!({"justification": "👩\u{200d}🚀"}),
        json!({"justification": "CHG-1\u{202e}2"}),
        json!({"justification": "CHG-1\u{a0}2"}),
        json!({"justification": "CHG-1\u{e000}2"}),
        json!({"justification": "x".repeat(513)}),
        json!({"role_ttl_hours": "24"}),
        json!({"role_ttl_hours": 0.1}),
        json!({"role_ttl_hours": 500}),
        json!({"role_ttl_hours": -1}),
        json!({"identity": "alex"}),
        json!({"identity_token": 1}),
        json!({"identity_token": ""}),
        json!({"identity_token": TOKEN}),
        json!({"identity_token": "a.b.c.d"}),
        json!({"identity_token": "a.b.c!.d.e"}),
        json!({"identity_token": format!("a.b.c.{}.e", "d".repeat(17_000))}),
        json!({"a": 1, "b": 2, "c": 3, "d": 4, "e\n": 5}),
    ];
    let mut text = String::new();
    for case in cases {
        let message = validate(&with(&case)).expect_err(&case.to_string());
        assert!(!message.contains("SECRET-KEY") && !message.contains(TOKEN), "{message}");
        let shown = daypass::text::shortened(&case.to_string(), 100).escape_debug().to_string().replace("\\\"", "\"");
        writeln!(text, "{shown}\n  {message}").unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    // In files, which `INSTA_UPDATE=always` writes: they list the fields.
    insta::assert_snapshot!(validate(&json!({"email": "alex", "branch": "a b", "x": 1})).unwrap_err());
    insta::assert_snapshot!(validate(&json!({})).unwrap_err());
}

#[test]
fn a_request_is_an_object() {
    for request in &[json!(null), json!([]), json!("x"), json!(1), json!(true)] {
        assert!(validate(request).unwrap_err().contains("has to be an object"));
    }
}

#[test]
fn rubbish_is_answered_in_few_words() {
    let keys: serde_json::Map<String, Value> = (0..20_000).map(|i| (format!("key-{i}"), json!(i))).collect();
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    for request in [Value::Object(keys), with(&json!({"email": "x".repeat(250_000)})), with(&json!({"branch": deep}))] {
        assert!(validate(&request).unwrap_err().len() < 1_500);
    }
}
