//! Requests that are not what the contract says: each is answered with field and remedy, and leaves nothing behind.

use daypass_tests::{
    pipeline::{Account, Request},
    stack::Stack,
};
use serde_json::{Map, Value, json};

/// A request that is wrong in one way, and what the reason has to name.
type Case = (Request, &'static [&'static str]);

async fn assert_refused(cases: Vec<Case>) {
    let stack = Stack::shared().await;
    for (request, names) in cases {
        let shown: String = request.body.to_string().chars().take(200).collect();
        let failure = stack.failure(&request).await;
        assert_eq!(failure.error, "Daypass.InvalidRequest", "{shown}: {failure:?}");
        assert_eq!(failure.cause.transaction_id, request.name);
        assert_eq!(failure.cause.status, "denied", "{shown}");
        for name in names {
            assert!(failure.cause.reason.contains(name), "`{name}` for {shown} in: {}", failure.cause.reason);
        }
        assert!(failure.cause.reason.len() < 2_000, "{shown}: {}", failure.cause.reason);
        stack.assert_untouched(request.transaction_id()).await;
    }
}

fn alex() -> Request {
    Request::by("alex")
}

#[tokio::test]
async fn required_fields_that_are_missing() {
    let fields: [(&str, &'static [&'static str]); 5] = [
        ("email", &["`email`", "missing", "address"]),
        ("branch", &["`branch`", "missing", "deployed"]),
        ("target_aws_account", &["`target_aws_account`", "missing", "name of the target account"]),
        ("target_aws_account_id", &["`target_aws_account_id`", "missing", "12 digits"]),
        ("recipient", &["`recipient`", "missing", "age-keygen"]),
    ];
    let mut cases: Vec<Case> = fields.iter().map(|(field, names)| (alex().without(field), *names)).collect();
    let all: &[&str] = &["`email`", "`branch`", "`target_aws_account`", "`target_aws_account_id`", "`recipient`"];
    cases.push((alex().saying(json!({})), all));
    assert_refused(cases).await;
}

#[tokio::test]
async fn fields_of_a_wrong_type() {
    let wrong = [json!(null), json!(7), json!(true), json!([]), json!({}), json!(["x"])];
    let texts: [(&str, &'static [&'static str]); 9] = [
        ("email", &["`email`", "string"]),
        ("branch", &["`branch`", "string"]),
        ("target_aws_account", &["`target_aws_account`", "string"]),
        ("target_aws_account_id", &["`target_aws_account_id`", "string"]),
        ("recipient", &["`recipient`", "string"]),
        ("group_type", &["`group_type`", "string"]),
        ("repository", &["`repository`", "string"]),
        ("run_url", &["`run_url`", "string"]),
        ("justification", &["`justification`", "string"]),
    ];
    // Each field with some wrong types, each wrong type with some fields.
    let cases = texts.iter().enumerate().flat_map(|(i, (field, names))| {
        (0..3).map(move |k| (i * 2 + k) % 6).map(|k| (alex().with(field, wrong[k].clone()), *names)).collect::<Vec<_>>()
    });
    assert_refused(cases.collect()).await;
}

#[tokio::test]
async fn a_request_that_is_no_object() {
    let bodies =
        [json!(null), json!(true), json!(7), json!("alex@example.com"), json!([{"email": "alex@example.com"}])];
    assert_refused(bodies.map(|body| (alex().saying(body), &["`request`", "object"][..])).to_vec()).await;
}

#[tokio::test]
async fn fields_that_nobody_knows() {
    assert_refused(vec![
        (alex().with("persona", "Network"), &["`persona`", "unknown field", "group_type"]),
        (alex().with("Email", "alex@example.com"), &["`Email`", "unknown field"]),
        (alex().with("transaction_id", "6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11"), &["`transaction_id`"]),
        (alex().with("expires_at", "2099-01-01T00:00:00Z"), &["`expires_at`"]),
    ])
    .await;
}

#[tokio::test]
async fn addresses() {
    let long = format!("{}@example.com", "a".repeat(250));
    let bad = ["", "alex", "alex@", "@example.com", "alex@localhost", "a@b@example.com", "alex@example.com\n", &long];
    let more =
        ["Alex <alex@example.com>", "alex@example.com,nadia@example.com", " alex@example.com", "alex@example..com"];
    // A Cyrillic а, a full-width x, a right-to-left mark, a zero-width space, a null.
    let look_alikes = ["\u{430}lex@example.com", "ale\u{ff58}@example.com", "alex\u{200f}@example.com"];
    let unseen = ["alex\u{200b}@example.com", "alex\u{0}@example.com"];
    let all = bad.into_iter().chain(more).chain(look_alikes).chain(unseen);
    assert_refused(all.map(|email| (alex().with("email", email), &["`email`", "ASCII"][..])).collect()).await;
}

#[tokio::test]
async fn branches() {
    let long = "x".repeat(257);
    let bad = ["", " ", "a b", "a..b", "/main", "main/", "main.lock", "ma~in", "*", "release/*", "main\n", &long];
    let unseen = ["ma\u{202e}in", "ma\u{200b}in", "main\u{0}", "\u{1b}[2Jmain"];
    let all = bad.into_iter().chain(unseen).map(|branch| (alex().with("branch", branch), &["`branch`", "git"][..]));
    let reference: Case = (alex().with("branch", "refs/heads/main"), &["`branch`", "`main`"]);
    assert_refused(all.chain([reference]).collect()).await;
}

#[tokio::test]
async fn accounts() {
    assert_refused(vec![
        // Name and id that do not belong together, each way.
        (
            alex().with("target_aws_account_id", "333333333333"),
            &["`target_aws_account_id`", "333333333333", "payments-dev", "222222222222"],
        ),
        (
            alex().with("target_aws_account", "payments-prod"),
            &["`target_aws_account_id`", "payments-prod", "333333333333"],
        ),
        (alex().with("target_aws_account", "sandbox"), &["`target_aws_account`", "sandbox", "payments-dev"]),
        (
            alex().with("target_aws_account_id", "999999999999"),
            &["`target_aws_account_id`", "payments-dev", "222222222222"],
        ),
        (alex().with("target_aws_account", "p\u{430}yments-dev"), &["`target_aws_account`", "\\u{430}"]),
        (alex().with("target_aws_account", "payments-dev\u{0}"), &["`target_aws_account`", "\\u{0}"]),
        (alex().with("target_aws_account", "x".repeat(51)), &["`target_aws_account`", "50"]),
        (alex().with("target_aws_account_id", "22222222222"), &["`target_aws_account_id`", "12 digits"]),
        (alex().with("target_aws_account_id", "2222222222222"), &["`target_aws_account_id`", "12 digits"]),
        (alex().with("target_aws_account_id", "2222-2222-2222"), &["`target_aws_account_id`", "12 digits"]),
        (alex().with("target_aws_account_id", "２２２２２２２２２２２２"), &["`target_aws_account_id`", "12 digits"]),
        (alex().with("target_aws_account_id", "222222222222\n"), &["`target_aws_account_id`", "12 digits"]),
    ])
    .await;
}

#[tokio::test]
async fn group_types() {
    let bad = ["Admins", "", "product-deployers", "Product-Deployers ", "Product\u{2010}Deployers", "*"];
    let remedy = &["`group_type`", "Product-Deployers", "Network-Deployers", "Container-Deployers"][..];
    assert_refused(bad.iter().map(|name| (alex().with("group_type", *name), remedy)).collect()).await;
}

#[tokio::test]
async fn recipients() {
    let secret = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
    let ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN";
    let bad =
        ["", "age1", "alex@example.com", secret, ssh, "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8q"];
    let cases = bad.iter().map(|key| (alex().with("recipient", *key), &["`recipient`", "age-keygen"][..]));
    assert_refused(cases.collect()).await;
}

#[tokio::test]
async fn lifetimes() {
    let remedy = &["`role_ttl_hours`"][..];
    let bad = [json!(0), json!(-1), json!(-0.5), json!(1e-9), json!(72.01), json!(1e300), json!("24"), json!("NaN")];
    let more = [json!(null), json!([24]), json!({"hours": 24})];
    let mut cases: Vec<Case> =
        bad.into_iter().chain(more).map(|hours| (alex().with("role_ttl_hours", hours), remedy)).collect();
    cases.push((alex().to(Account::Production).with("role_ttl_hours", 8.5), &["`role_ttl_hours`", "8", "production"]));
    assert_refused(cases).await;
}

#[tokio::test]
async fn what_is_only_recorded() {
    assert_refused(vec![
        (alex().with("repository", "payments"), &["`repository`", "owner/name"]),
        (alex().with("repository", format!("example/{}", "x".repeat(300))), &["`repository`", "256"]),
        (alex().with("repository", "example/pay\u{200b}ments"), &["`repository`", "\\u{200b}"]),
        (alex().with("run_url", "http://ci.example.com/1"), &["`run_url`", "https://"]),
        (alex().with("run_url", "javascript:alert(1)"), &["`run_url`", "https://"]),
        (alex().with("run_url", format!("https://ci.example.com/{}", "1".repeat(300))), &["`run_url`", "256"]),
        (alex().with("justification", ""), &["`justification`", "512"]),
        (alex().with("justification", "one\ntwo"), &["`justification`", "character 4", "U+000A", "a space"]),
        (alex().with("justification", "CHG-1\u{200b}2"), &["`justification`", "character 6", "U+200B", "leave it out"]),
        (alex().with("justification", "x".repeat(513)), &["`justification`", "513", "512"]),
    ])
    .await;
}

/// 256 KiB is what Step Functions takes. (On AWS what is added to a request of nearly that much is over the limit; the
/// machine catches that, and `local/tests` plays it.)
#[tokio::test]
async fn rubbish_by_the_quarter_megabyte() {
    let keys: Map<String, Value> = (0..13_000).map(|i| (format!("key-{i:06}"), json!(i))).collect();
    let deep = (0..120).fold(json!(1), |inner, _| json!([inner]));
    let cases: Vec<Case> = vec![
        (alex().saying(Value::Object(keys)), &["`email`", "`key-000000`", "more"]),
        (alex().with("justification", "x".repeat(261_000)), &["`justification`", "261000"]),
        (alex().with("email", "@".repeat(261_000)), &["`email`"]),
        (alex().with("branch", "\u{1f4a5}".repeat(60_000)), &["`branch`"]),
        (alex().saying(json!("x".repeat(262_000))), &["`request`", "object"]),
        (alex().saying(json!(vec![0; 130_000])), &["`request`", "object"]),
        (alex().with("role_ttl_hours", deep), &["`role_ttl_hours`"]),
    ];
    for (request, _) in &cases {
        assert!(request.body.to_string().len() < 262_144);
    }
    assert_refused(cases).await;
    let stack = Stack::shared().await;
    let request = alex().saying(json!("x".repeat(262_143)));
    assert_eq!(
        stack.send(&request).await.unwrap_err().code,
        "ValidationException",
        "more is Step Functions' to refuse"
    );
    stack.assert_untouched(request.transaction_id()).await;
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once() {
    let names = &["`email`", "`branch`", "`target_aws_account_id`", "`recipient`", "`run_url`", "`role_ttl_hours`"];
    let wrong = alex().with("email", "alex").with("branch", "a b").with("target_aws_account_id", "2");
    let wrong = wrong.with("recipient", "key").with("run_url", "x").with("role_ttl_hours", "1");
    assert_refused(vec![(wrong, names)]).await;
}
