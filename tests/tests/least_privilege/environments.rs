//! The environments of the functions hold no secret: only settings that are known, and no value that looks like one.

use std::collections::BTreeSet;

use daypass_tests::{aws::Call, stack::Stack};
use serde_json::Value;

/// Every setting that a function may have. None is a secret.
const SETTINGS: [&str; 11] = [
    // Not by AWS's own definition either: whoever may read the provisioner's trust policy can read it there. It keeps
    // Daypass from being talked into entering somebody else's account, and nobody out.
    // Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_common-scenarios_third-party.html
    "DAYPASS_EXTERNAL_ID",
    "DAYPASS_IDENTITY_STORE_ID",
    "DAYPASS_IDENTITY_TOKENS",
    "DAYPASS_LIMITS",
    "DAYPASS_ROLE_SETTLE_SECONDS",
    "DAYPASS_MIN_ROLE_TTL_SECONDS",
    "DAYPASS_OPEN_ROLES_TABLE",
    "DAYPASS_PARTITION",
    "DAYPASS_PIPELINE_ROLE_ARN",
    "DAYPASS_TABLE",
    "DAYPASS_TOKEN_KEY_ARN",
];

/// What a value looks like that may be a credential, if it does.
fn suspicion(value: &str) -> Option<&'static str> {
    let words = |of: &'static str| value.split(move |c: char| !c.is_ascii_alphanumeric() && !of.contains(c));
    let is_id = |word: &str| word.len() == 20 && word.starts_with('A') && !word.contains(|c: char| c.is_lowercase());
    // Secret access keys have 40 characters, tokens and encoded keys more; no name that is given here has as many without
    // a hyphen or a colon.
    let is_random = |word: &str| word.len() >= 32 && word.contains(|c: char| c.is_ascii_digit());
    if value.contains("-----BEGIN") || value.contains("AGE-SECRET-KEY") {
        Some("a private key")
    } else if value.starts_with("eyJ") {
        Some("a token")
    } else if words("").any(is_id) {
        Some("an access key id")
    } else if words("+/=_").any(is_random) {
        Some("random")
    } else {
        None
    }
}

#[tokio::test]
async fn functions_are_told_no_secret() {
    let stack = Stack::shared().await;
    let answer = stack.hub().call(&Call::Rest("lambda", "GET", "/2015-03-31/functions/")).await.unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let functions = answer["Functions"].as_array().unwrap().iter();
    let functions: Vec<_> =
        functions.filter(|it| it["FunctionName"].as_str().unwrap().starts_with("daypass-")).collect();
    assert!(functions.len() >= 7, "{answer}");
    let mut seen = BTreeSet::new();
    for function in functions {
        for (name, value) in function["Environment"]["Variables"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap();
            assert!(SETTINGS.contains(&name.as_str()), "{}: who knows {name}?", function["FunctionName"]);
            assert_eq!(suspicion(value), None, "{}: {name}={value}", function["FunctionName"]);
            seen.insert(name.as_str());
        }
    }
    assert_eq!(seen, BTreeSet::from(SETTINGS), "a setting that no function has is none");
}

#[test]
fn what_looks_like_a_credential_is_noticed() {
    for value in [
        "ASIAIOSFODNN7EXAMPLE",
        "key=AKIAIOSFODNN7EXAMPLE",
        "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY",
        "secret: 5f4dcc3b5aa765d61d8327deb882cf995f4dcc3b",
        "-----BEGIN PRIVATE KEY-----",
        "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33",
        "eyJhbGciOiJSUzI1NiJ9.e30.x",
    ] {
        assert!(suspicion(value).is_some(), "{value}");
    }
    for value in ["1", "aws", "daypass-transactions", "d-1234567890", "arn:aws:iam::111111111111:role/daypass-pipeline"]
    {
        assert_eq!(suspicion(value), None, "{value}");
    }
}
