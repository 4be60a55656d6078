//! Who can still come in by a role that a deployment has made: such roles outlive it.

use std::collections::BTreeSet;

use aws_types::SdkConfig;
use daypass::{ids::AccountId, names::DEPLOYED_PATH};
use daypass_aws::AwsError;
use serde_json::Value;

use super::check::Check;
use crate::{client::documents::decoded, error::Error};

const NAME: &str = "deployed roles";
/// How everybody is called, of whichever account.
const EVERYONE: &str = "everyone";

/// A role, and who outside of its account its trust policy lets in.
type Outsiders = (String, BTreeSet<String>);

/// Asks IAM with credentials of the target account.
pub async fn look(account: &AccountId, config: &SdkConfig) -> Check {
    match roles(account, config).await {
        Ok(roles) => judge(account, &roles),
        Err(error) if error.is_access_denied() => {
            Check::skipped(NAME, "these credentials may not list roles: they need iam:ListRoles")
        }
        Err(error) => Check::error(NAME, &Error::from(&error)),
    }
}

async fn roles(account: &AccountId, config: &SdkConfig) -> Result<Vec<Outsiders>, AwsError> {
    let mut pages = aws_sdk_iam::Client::new(config).list_roles().path_prefix(DEPLOYED_PATH).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        for role in page.map_err(AwsError::of("iam:ListRoles"))?.roles {
            let document = decoded(&role.assume_role_policy_document.unwrap_or_default());
            found.push((role.role_name, outsiders(account, &document)));
        }
    }
    Ok(found)
}

fn judge(account: &AccountId, roles: &[Outsiders]) -> Check {
    let open: Vec<_> = roles
        .iter()
        .filter(|(_, outsiders)| !outsiders.is_empty())
        .map(|(role, outsiders)| {
            format!("{role} by {}", outsiders.iter().map(String::as_str).collect::<Vec<_>>().join(" and "))
        })
        .collect();
    if open.is_empty() {
        return Check::ok(NAME, format!("none of the {} below {DEPLOYED_PATH} trusts another account", roles.len()));
    }
    Check::warn(
        NAME,
        format!("can be assumed from outside {account}: {}", open.join(", ")),
        "delete each unused role; IAM Access Analyzer finds other resources that are open to other accounts: \
         `aws accessanalyzer list-analyzers --type ACCOUNT`",
    )
}

/// Everybody of another account, or whoever it may be, whom a trust policy allows something. What cannot be read counts.
fn outsiders(account: &AccountId, document: &str) -> BTreeSet<String> {
    let Ok(document) = serde_json::from_str::<Value>(document) else {
        return BTreeSet::from(["an unreadable trust policy".to_owned()]);
    };
    let allows = items(&document["Statement"]).filter(|statement| statement["Effect"] == "Allow");
    allows.flat_map(principals).filter(|it| account_of(it) != Some(account.as_str())).collect()
}

/// Whom a statement is about, of AWS's principals: services and identity providers are not among them.
fn principals(statement: &Value) -> Vec<String> {
    let principal = &statement["Principal"];
    match principal {
        Value::Object(kinds) => {
            let named = kinds.get("AWS").into_iter().flat_map(items);
            named.map(|it| it.as_str().unwrap_or("*").to_owned()).map(everybody).collect()
        }
        // `*`, or everybody but `NotPrincipal`.
        _ => vec![everybody("*".to_owned())],
    }
}

fn everybody(principal: String) -> String {
    if principal == "*" { EVERYONE.to_owned() } else { principal }
}

/// Of an ARN, or of an account that is named by its id.
fn account_of(principal: &str) -> Option<&str> {
    principal.split(':').nth(4).or(Some(principal))
}

/// The items of a list, or the one that is there without a list.
pub fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice).iter()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::check::Status, *};

    fn account() -> AccountId {
        "222222222222".parse().unwrap()
    }

    fn trusting(principal: &Value) -> BTreeSet<String> {
        let statement = json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"});
        outsiders(&account(), &json!({"Version": "2012-10-17", "Statement": [statement]}).to_string())
    }

    #[test]
    fn who_is_of_another_account_is_an_outsider() {
        for (principal, expected) in [
            (json!({"Service": "lambda.amazonaws.com"}), vec![]),
            (json!({"Federated": "arn:aws:iam::222222222222:oidc-provider/x"}), vec![]),
            (json!({"AWS": "222222222222"}), vec![]),
            (json!({"AWS": ["arn:aws:iam::222222222222:root", "arn:aws:iam::222222222222:role/x"]}), vec![]),
            (json!({"AWS": "666666666666"}), vec!["666666666666"]),
            (
                json!({"AWS": ["arn:aws:iam::222222222222:root", "arn:aws:iam::666666666666:root"]}),
                vec!["arn:aws:iam::666666666666:root"],
            ),
            (json!({"AWS": "*"}), vec!["everyone"]),
            (json!("*"), vec!["everyone"]),
            // The id of a principal that is gone: whose it was cannot be told.
            (json!({"AWS": "AROAEXAMPLE"}), vec!["AROAEXAMPLE"]),
        ] {
            assert_eq!(trusting(&principal).iter().collect::<Vec<_>>(), expected, "{principal}");
        }
    }

    #[test]
    fn every_form_of_a_trust_policy_is_read() {
        let one = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": "666666666666"}}}).to_string();
        assert_eq!(outsiders(&account(), &one).len(), 1);
        let not = json!({"Statement": [{"Effect": "Allow", "NotPrincipal": {"AWS": "222222222222"}}]}).to_string();
        assert_eq!(outsiders(&account(), &not), BTreeSet::from(["everyone".to_owned()]));
        let denies = json!({"Statement": [{"Effect": "Deny", "Principal": "*"}]}).to_string();
        assert_eq!(outsiders(&account(), &denies), BTreeSet::new());
        assert_eq!(outsiders(&account(), "{").len(), 1);
    }

    #[test]
    fn roles_that_let_somebody_in_are_a_warning() {
        let closed = ("app".to_owned(), BTreeSet::new());
        assert_eq!(judge(&account(), std::slice::from_ref(&closed)).status, Status::Ok);
        let open = ("back".to_owned(), BTreeSet::from(["666666666666".to_owned()]));
        let check = judge(&account(), &[closed, open]);
        assert_eq!(check.status, Status::Warn);
        assert_eq!(check.detail, "can be assumed from outside 222222222222: back by 666666666666");
        assert!(check.remedy.is_some_and(|text| text.contains("aws accessanalyzer")));
    }
}
