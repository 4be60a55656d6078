//! Whom the provisioner role of a target lets in.

use std::collections::BTreeSet;

use daypass::{ids::AccountId, policy::Policy};
use daypass_policies::{
    evaluate::{Request, evaluate},
    strength,
};
use serde_json::Value;

use super::super::survivors::{self, items};

/// The functions that manage deploy roles, by their roles in the hub.
const FUNCTIONS: [&str; 2] = ["daypass-create-role", "daypass-delete-role"];
const EXTERNAL_ID: &str = "sts:ExternalId";

/// A trust policy, as far as it is about a hub.
#[derive(Debug)]
pub struct Trust {
    hub: AccountId,
    /// For each of the functions, the ARN of its role, and what is said about that.
    about: Vec<(String, Policy)>,
    external_ids: BTreeSet<String>,
    outsiders: BTreeSet<String>,
}

impl Trust {
    /// # Errors
    /// Why the document cannot be judged, in words.
    pub fn read(document: &str, partition: &str, hub: &AccountId) -> Result<Self, String> {
        let parsed: Value = serde_json::from_str(document).map_err(|error| format!("is no JSON: {error}"))?;
        let about = FUNCTIONS.iter().map(|function| {
            let role = format!("arn:{partition}:iam::{hub}:role/{function}");
            let statements: Vec<Value> =
                items(&parsed["Statement"]).filter(|it| names(it, hub, &role)).map(without_principal).collect();
            let mut about = parsed.clone();
            if let Some(members) = about.as_object_mut() {
                members.insert("Statement".to_owned(), statements.into());
            }
            let policy = strength::read(&about.to_string())?;
            Ok((role, policy))
        });
        let about = about.collect::<Result<Vec<_>, String>>()?;
        let allows = items(&parsed["Statement"]).filter(|statement| statement["Effect"] == "Allow");
        let conditions = allows.filter_map(|statement| statement["Condition"].as_object()).flat_map(|it| it.values());
        let keys = conditions.filter_map(Value::as_object).flatten();
        let ids = keys.filter(|(key, _)| key.eq_ignore_ascii_case(EXTERNAL_ID)).flat_map(|(_, ids)| items(ids));
        Ok(Self {
            hub: hub.clone(),
            about,
            external_ids: ids.filter_map(Value::as_str).map(str::to_owned).collect(),
            outsiders: survivors::outsiders(hub, document),
        })
    }

    /// Whether both functions can assume the role with this external id, or without one.
    pub fn lets_in(&self, external_id: Option<&str>) -> bool {
        self.about.iter().all(|(role, policy)| {
            let request = Request::new("sts:AssumeRole", "*")
                .with("aws:PrincipalArn", [role.as_str()])
                .with("aws:PrincipalAccount", [self.hub.as_str()])
                .with(EXTERNAL_ID, external_id);
            evaluate([policy], &request).is_possible()
        })
    }

    /// Those that it names.
    pub fn external_ids(&self) -> &BTreeSet<String> {
        &self.external_ids
    }

    /// Everybody whom it allows something and who is not of the hub.
    pub fn outsiders(&self) -> &BTreeSet<String> {
        &self.outsiders
    }
}

/// Whether a statement is about this role of the hub: by the account, by the role, or because it is about everyone.
fn names(statement: &Value, hub: &AccountId, role: &str) -> bool {
    let is_root = |principal: &str| {
        let parts: Vec<&str> = principal.splitn(6, ':').collect();
        principal == hub.as_str() || matches!(parts[..], [_, _, "iam", _, account, "root"] if account == hub.as_str())
    };
    survivors::principals(statement).iter().any(|it| it == role || it == survivors::EVERYONE || is_root(it))
}

fn without_principal(statement: &Value) -> Value {
    let mut statement = statement.clone();
    if let Some(members) = statement.as_object_mut() {
        members.retain(|member, _| member != "Principal" && member != "NotPrincipal");
    }
    statement
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HUB: &str = "111111111111";

    fn trust(principal: &Value, condition: &Value) -> Trust {
        let statement = json!({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole", "Condition": condition});
        read(&json!({"Version": "2012-10-17", "Statement": [statement]}))
    }

    fn read(document: &Value) -> Trust {
        Trust::read(&document.to_string(), "aws", &HUB.parse().unwrap()).unwrap()
    }

    fn roles() -> Value {
        json!(FUNCTIONS.map(|function| format!("arn:aws:iam::{HUB}:role/{function}")))
    }

    #[test]
    fn the_ids_that_are_accepted_are_told_from_others() {
        for (ids, accepted) in [(json!("a"), vec!["a"]), (json!(["a", "b"]), vec!["a", "b"])] {
            let condition =
                json!({"StringEquals": {"sts:ExternalId": ids}, "ArnEquals": {"aws:PrincipalArn": roles()}});
            for principal in [json!("arn:aws:iam::111111111111:root"), json!(HUB), json!(["222222222222", HUB])] {
                let trust = trust(&principal, &condition);
                assert_eq!(trust.external_ids().iter().collect::<Vec<_>>(), accepted);
                assert!(accepted.iter().all(|id| trust.lets_in(Some(id))), "{trust:?}");
                assert!(!trust.lets_in(Some("c")) && !trust.lets_in(Some("A")) && !trust.lets_in(None), "{trust:?}");
            }
        }
    }

    /// Digits of the hub anywhere in the document are not enough.
    #[test]
    fn a_hub_that_is_only_mentioned_is_not_trusted() {
        let id = json!({"StringEquals": {"sts:ExternalId": "daypass-111111111111"}});
        for principal in [json!("222222222222"), json!("arn:aws:iam::222222222222:role/111111111111")] {
            assert!(!trust(&principal, &id).lets_in(Some("daypass-111111111111")), "{principal}");
        }
        let one = json!({"ArnEquals": {"aws:PrincipalArn": roles()[0]}});
        assert!(!trust(&json!(HUB), &one).lets_in(Some("x")), "delete-role has to get in, too");
        assert!(!trust(&roles()[0], &json!({})).lets_in(Some("x")));
        assert!(trust(&roles(), &json!({})).lets_in(None));
        let denial = json!({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"});
        let allowing = json!({"Effect": "Allow", "Principal": {"AWS": HUB}, "Action": "sts:AssumeRole"});
        assert!(read(&json!({"Statement": allowing})).lets_in(None));
        assert!(!read(&json!({"Statement": [allowing, denial]})).lets_in(None));
    }

    #[test]
    fn others_who_are_trusted_are_named() {
        let trust = trust(&json!([HUB, "arn:aws:iam::666666666666:root"]), &json!({}));
        assert_eq!(trust.outsiders().iter().collect::<Vec<_>>(), ["arn:aws:iam::666666666666:root"]);
    }

    #[test]
    fn what_is_no_policy_cannot_be_judged() {
        for document in ["", "{", r#"{"Statement": [{"Principal": {"AWS": "111111111111"}}]}"#] {
            assert!(Trust::read(document, "aws", &HUB.parse().unwrap()).is_err(), "{document}");
        }
    }
}
