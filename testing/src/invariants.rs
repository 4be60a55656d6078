//! For tests: what holds of everything that the parsers accept, and of everything that they say.
//!
//! Property tests and fuzz targets ask the same of different inputs.

#![expect(clippy::missing_panics_doc, clippy::expect_used, reason = "tests only, and to panic is how they fail")]

use std::{collections::HashSet, fmt::Debug, ops::RangeInclusive, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use daypass::{
    contract::{Transaction, in_hours},
    ids::{AccountId, Email, RoleArn},
    persona::{Account, Entitlement, Environment, GUARD_POLICY_CHARS, MAX_ROLE_TTL, Persona, Personas, PersonasError},
    policy::{Effect, Policy},
    text::unreadable,
};

/// A text for requesters, logs and the audit trail: not empty, plain, and not long.
pub fn check_message(text: &str, most_chars: usize) {
    assert!(!text.is_empty());
    let plain = |c: char| c.is_ascii_graphic() || c == ' ' || c == '…';
    assert!(text.chars().all(plain), "{}", text.escape_debug());
    let chars = text.chars().count();
    assert!(chars <= most_chars, "{chars} characters: {text}");
}

/// What was printed as JSON is read as the same.
pub fn check_json<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let json = serde_json::to_string(value).expect("it can be printed");
    assert_eq!(&serde_json::from_str::<T>(&json).expect(&json), value, "{json}");
}

/// A transaction as the tasks after validate rely on it, which lives for one of `ttls`.
pub fn check_transaction(transaction: &Transaction, ttls: &RangeInclusive<Duration>) {
    let Transaction { transaction_id, role_name, role_arn, target_aws_account_id: account, .. } = transaction;
    assert_eq!(*role_name, format!("daypass-{transaction_id}"));
    assert!(role_name.len() <= 64);
    assert!(transaction_id.owns(role_arn));
    assert_eq!(role_arn.account(), account);
    assert_eq!(role_arn.to_string().parse::<RoleArn>().as_ref(), Ok(role_arn));
    check_account_id(account);
    check_email(&transaction.email);

    let ttl = transaction.expires_at.since(transaction.requested_at);
    assert!(ttls.contains(&ttl), "{ttl:?}");
    assert!((in_hours(ttl) - transaction.role_ttl_hours).abs() * 3600.0 < 0.001, "{transaction:?}");

    let branch = &transaction.branch;
    assert!((1..=256).contains(&branch.len()), "{branch}");
    assert!(!branch.contains([' ', '~', '^', ':', '?', '*', '[', '\\']), "{branch}");
    assert!(!branch.contains("..") && !branch.contains("@{") && !branch.contains("//"), "{branch}");
    assert!(
        !branch.starts_with("refs/") && !branch.starts_with(['-', '/']) && !branch.ends_with(['/', '.']),
        "{branch}"
    );

    let name = &transaction.target_aws_account;
    assert!((1..=50).contains(&name.len()) && name.trim() == name, "{name}");
    assert!(name.bytes().all(|b| (b' '..=b'~').contains(&b)), "{name}");

    let recipient = &transaction.recipient;
    assert!(recipient.starts_with("age1") && recipient.len() == 62, "{recipient}");
    assert!(recipient.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{recipient}");

    for text in transaction.repository.iter().chain(&transaction.run_url) {
        assert!((1..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()), "{text}");
    }
    if let Some(text) = &transaction.justification {
        assert!((1..=512).contains(&text.chars().count()) && !text.trim().is_empty());
    }

    check_group_name(&transaction.group_name);
    assert!(transaction.group_name.contains(account.as_str()) && transaction.group_name.contains(&transaction.persona));
    // A fraction that no decimal ends may come back as its neighbour. Nothing rests on it: `expires_at` is the end.
    let json = serde_json::to_string(transaction).expect("it can be printed");
    let fields = serde_json::from_str::<Map<String, Value>>(&json).expect(&json);
    for text in fields.values().filter_map(Value::as_str) {
        assert_eq!(unreadable(text), None, "{}", text.escape_debug());
    }
    let read = serde_json::from_str::<Transaction>(&json).expect(&json);
    assert!((read.role_ttl_hours - transaction.role_ttl_hours).abs() < 1e-9, "{json}");
    assert_eq!(Transaction { role_ttl_hours: transaction.role_ttl_hours, ..read }, *transaction, "{json}");
}

/// An address that cannot be taken for another.
pub fn check_email(email: &Email) {
    let text = email.as_str();
    let (local, domain) = text.rsplit_once('@').expect(text);
    assert!(text.len() <= 254 && text.bytes().all(|b| b.is_ascii_graphic()), "{text}");
    assert!((1..=64).contains(&local.len()) && !local.contains('@'), "{text}");
    assert!(domain.contains('.') && !domain.contains("..") && !domain.contains(['_', '/', ',']), "{text}");
    assert!(domain.starts_with(|c: char| c.is_ascii_alphanumeric()), "{text}");
    assert!(domain.ends_with(|c: char| c.is_ascii_alphanumeric()), "{text}");
}

/// 12 digits.
pub fn check_account_id(account: &AccountId) {
    assert!(account.as_str().len() == 12 && account.as_str().bytes().all(|b| b.is_ascii_digit()), "{account}");
}

/// What Identity Center takes for the name of a group, in one line.
fn check_group_name(name: &str) {
    assert!((1..=1024).contains(&name.len()), "{name}");
    assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b" _.@&+-".contains(&b)), "{name}");
}

/// A file in which every name leads somewhere, and whose personas can be given what it says.
pub fn check_personas(personas: &Personas) {
    assert!(personas.persona_of(personas.default_group_type()).is_some());
    let group_types: Vec<&str> = personas.group_types().collect();
    for (i, group_type) in group_types.iter().enumerate() {
        assert!(personas.persona_of(group_type).is_some(), "{group_type}");
        assert!(!group_types[..i].contains(group_type), "{group_type}");
    }
    let mut group_names = HashSet::new();
    for account in personas.accounts() {
        check_account(personas, account);
        for persona in personas.personas() {
            let name = personas.group_name(account.id(), persona);
            check_group_name(&name);
            assert!(group_names.insert(name.clone()), "{name} is the group of two");
        }
    }
    for environment in personas.environments() {
        assert!(environment.branch_patterns().all(|pattern| !pattern.is_empty()));
        assert!(environment.branch_patterns().next().is_some());
    }
    for persona in personas.personas() {
        assert_eq!(personas.persona(persona.name()).map(Persona::name), Some(persona.name()));
        for environment in personas.environments() {
            let ttl = persona.max_role_ttl(Some(environment));
            assert!(!ttl.is_zero() && ttl <= persona.max_role_ttl(None).min(MAX_ROLE_TTL), "{ttl:?}");
            check_entitlement(persona.entitlement(environment));
        }
    }
}

fn check_account(personas: &Personas, account: &Account) {
    check_account_id(account.id());
    assert_eq!(personas.account(account.id()).map(Account::name), Some(account.name()));
    assert_eq!(personas.account_named(account.name()).map(Account::id), Some(account.id()));
    let environment = account.environment().name();
    assert_eq!(personas.environment(environment).map(Environment::name), Some(environment));
    assert!(personas.personas().iter().any(|persona| account.is_open_to(persona)), "{}", account.name());
}

fn check_entitlement(entitlement: &Entitlement) {
    let Entitlement { managed_policies, custom_policy } = entitlement;
    assert!(managed_policies.len() <= 10);
    assert!(managed_policies.iter().all(|arn| arn.is_ascii() && arn.contains(":iam::aws:policy/")), "{entitlement:?}");
    let statements = custom_policy.as_ref().map(Policy::statements).unwrap_or_default();
    let allows = statements.iter().any(|statement| statement.effect == Effect::Allow);
    assert!(allows || !managed_policies.is_empty(), "{entitlement:?}");
    for statement in statements {
        assert!(statement.action.is_some() != statement.not_action.is_some(), "{statement:?}");
        assert!(statement.resource.is_some() != statement.not_resource.is_some(), "{statement:?}");
        assert_eq!(statement.principal, None);
        check_json(statement);
    }
    if let Some(policy) = custom_policy {
        let json = policy.to_json();
        assert!(json.chars().count() <= 10_240 - GUARD_POLICY_CHARS, "{json}");
        assert!(json.chars().all(|c| (' '..='\u{ff}').contains(&c)), "{json}");
    }
}

/// Problems that say where they are, and what they are in a few plain words, which name all of at most `known` names.
pub fn check_personas_error(error: &PersonasError, known: usize) {
    assert!(!error.problems.is_empty());
    for problem in &error.problems {
        check_message(&problem.at.to_string(), 4_000);
        check_message(&problem.message, 2_000 + known * 650);
        check_message(&problem.remedy, 2_000 + known * 650);
    }
}
