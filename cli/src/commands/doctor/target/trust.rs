//! Whom the provisioner role of a target lets in, compared with the trust policy that the target's stack gives it
//! (`cdk/lib/constructs/provisioner-role.ts`). Only the external ids are free.

use std::collections::BTreeSet;

use daypass::{ids::AccountId, text::Quoted};

use super::document::{self, Document, Statement};

/// The functions that manage deploy roles, by their roles in the hub.
const FUNCTIONS: [&str; 2] = ["daypass-create-role", "daypass-delete-role"];
const VERSION: &str = "2012-10-17";
const PRINCIPAL: &str = "Principal.AWS";
const EXTERNAL_ID: &str = "Condition.StringEquals.sts:ExternalId";

/// A trust policy as the target's stack makes it.
#[derive(Debug, PartialEq, Eq)]
pub struct Trust {
    external_ids: BTreeSet<String>,
}

impl Trust {
    /// # Errors
    /// What differs from the deployed form, in words.
    pub fn read(document: &str, partition: &str, hub: &AccountId) -> Result<Self, Vec<String>> {
        let found = Document::read(document).map_err(|problem| vec![format!("the trust policy {problem}")])?;
        let expected = expected(partition, hub);
        let statements: Vec<Statement> =
            found.statements.iter().map(|(_, statement)| normal(statement, partition, hub)).collect();
        if statements.is_empty() {
            return Err(vec!["the trust policy has no statement".to_owned()]);
        }
        let own = closest(&expected, &statements);
        let mut differences: Vec<String> = found.version_differs(VERSION).into_iter().collect();
        for (at, statement) in statements.iter().enumerate() {
            let number = at + 1;
            if own == Some(at) {
                differences.extend(between(&expected, statement).iter().map(|it| format!("statement {number}: {it}")));
            } else {
                differences.push(format!("statement {number} is added: {}", described(statement)));
            }
        }
        match own.and_then(|at| statements[at].get(EXTERNAL_ID)) {
            Some(ids) if differences.is_empty() => Ok(Self { external_ids: ids.clone() }),
            _ => Err(differences),
        }
    }

    /// Those that it accepts: at least one.
    pub fn external_ids(&self) -> &BTreeSet<String> {
        &self.external_ids
    }
}

/// The only statement, without its external ids.
fn expected(partition: &str, hub: &AccountId) -> Statement {
    let roles = FUNCTIONS.map(|function| format!("arn:{partition}:iam::{hub}:role/{function}"));
    let elements = [
        ("Effect", BTreeSet::from(["Allow".to_owned()])),
        (PRINCIPAL, BTreeSet::from([root(partition, hub)])),
        ("Action", BTreeSet::from(["sts:AssumeRole".to_owned()])),
        ("Condition.ArnEquals.aws:PrincipalArn", BTreeSet::from(roles)),
    ];
    elements.into_iter().map(|(element, values)| (element.to_owned(), values)).collect()
}

fn root(partition: &str, hub: &AccountId) -> String {
    format!("arn:{partition}:iam::{hub}:root")
}

/// With the ARN of the hub, which its bare id stands for.
fn normal(statement: &Statement, partition: &str, hub: &AccountId) -> Statement {
    let mut statement = statement.clone();
    if let Some(principals) = statement.get_mut(PRINCIPAL)
        && principals.remove(hub.as_str())
    {
        principals.insert(root(partition, hub));
    }
    statement
}

/// The statement that differs least, which is taken for the stack's own.
fn closest(expected: &Statement, statements: &[Statement]) -> Option<usize> {
    (0..statements.len()).min_by_key(|&at| between(expected, &statements[at]).len())
}

/// How a statement differs, element by element.
fn between(expected: &Statement, found: &Statement) -> Vec<String> {
    let none = BTreeSet::new();
    let elements: BTreeSet<&String> = expected.keys().chain(found.keys()).filter(|it| *it != EXTERNAL_ID).collect();
    let fixed = elements.into_iter().filter_map(|element| {
        let (expected, found) = (expected.get(element).unwrap_or(&none), found.get(element).unwrap_or(&none));
        let lacking: Vec<&str> = expected.difference(found).map(String::as_str).collect();
        let added: Vec<&str> = found.difference(expected).map(String::as_str).collect();
        document::differs(element, &lacking, &added)
    });
    let ids = found.get(EXTERNAL_ID).unwrap_or(&none);
    let no_id = ids.is_empty().then(|| format!("{EXTERNAL_ID} is missing"));
    let odd = ids.iter().filter(|id| !is_external_id(id));
    let odd = odd.map(|id| format!("{EXTERNAL_ID} has {}, which no external id can be", Quoted(id)));
    fixed.chain(no_id).chain(odd).collect()
}

/// Whether STS takes it for one: above all it is not a variable, such as `${sts:ExternalId}`, which every id equals.
fn is_external_id(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c))
}

/// A statement in a few words: what it does, and for whom.
fn described(statement: &Statement) -> String {
    let is_told =
        |element: &str| element == "Effect" || element.contains("Principal") && !element.starts_with("Condition");
    let told = statement.iter().filter(|(element, _)| is_told(element)).map(|(element, values)| {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        format!("{element} {}", document::named(&values))
    });
    told.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const HUB: &str = "111111111111";

    fn arn(resource: &str) -> String {
        format!("arn:aws:iam::{HUB}:{resource}")
    }

    fn roles() -> Value {
        json!(FUNCTIONS.map(|function| arn(&format!("role/{function}"))))
    }

    /// As the stack makes it.
    fn deployed() -> Value {
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"AWS": arn("root")},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": "a"}, "ArnEquals": {"aws:PrincipalArn": roles()}},
        }]})
    }

    fn read(document: &Value) -> Result<Trust, Vec<String>> {
        Trust::read(&document.to_string(), "aws", &HUB.parse().unwrap())
    }

    fn differences(change: impl Fn(&mut Value)) -> Vec<String> {
        let mut document = deployed();
        change(&mut document);
        read(&document).expect_err("a difference")
    }

    /// A statement, added before and after the stack's own, is named.
    #[track_caller]
    fn assert_added(statement: &Value, words: &str) {
        let after = differences(|it| it["Statement"].as_array_mut().unwrap().push(statement.clone()));
        assert_eq!(after, [format!("statement 2 is added: {words}")]);
        let before = differences(|it| it["Statement"].as_array_mut().unwrap().insert(0, statement.clone()));
        assert_eq!(before, [format!("statement 1 is added: {words}")]);
    }

    /// The snapshot of the stack has the form that is expected here.
    #[test]
    fn the_form_is_that_of_the_stack() {
        const TEMPLATE: &str = include_str!("../../../../../cdk/test/__snapshots__/DaypassTarget.template.json");
        let template: Value = serde_json::from_str(TEMPLATE).unwrap();
        let resources = template["Resources"].as_object().unwrap().values();
        let role = resources.map(|it| &it["Properties"]).find(|it| it["RoleName"] == "daypass-provisioner").unwrap();
        let document = filled(&role["AssumeRolePolicyDocument"]);
        let ids = BTreeSet::from([format!("daypass-{HUB}")]);
        assert_eq!(read(&document), Ok(Trust { external_ids: ids }), "{document}");
    }

    /// A part of a template, with its joined texts as a deployment makes them.
    fn filled(value: &Value) -> Value {
        match value {
            Value::Object(members) if members.contains_key("Fn::Join") => {
                let parts = members["Fn::Join"][1].as_array().unwrap().iter();
                parts.map(|part| part.as_str().unwrap_or("aws")).collect::<String>().into()
            }
            Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), filled(value))).collect(),
            Value::Array(items) => items.iter().map(filled).collect(),
            other => other.clone(),
        }
    }

    #[test]
    fn lists_order_and_the_bare_account_do_not_count() {
        for (ids, accepted) in [(json!("a"), vec!["a"]), (json!(["b", "a"]), vec!["a", "b"])] {
            for principal in [json!(arn("root")), json!(HUB), json!([HUB]), json!([HUB, arn("root")])] {
                let mut document = deployed();
                let statement = &mut document["Statement"][0];
                statement["Principal"]["AWS"] = principal.clone();
                statement["Action"] = json!(["sts:AssumeRole"]);
                statement["Condition"]["StringEquals"]["sts:ExternalId"] = ids.clone();
                statement["Condition"]["ArnEquals"]["aws:PrincipalArn"].as_array_mut().unwrap().reverse();
                statement["Sid"] = json!("Hub");
                document["Statement"] = statement.take();
                let trust = read(&document).unwrap();
                assert_eq!(trust.external_ids().iter().collect::<Vec<_>>(), accepted, "{principal}");
            }
        }
    }

    #[test]
    fn another_statement_is_named_with_whom_it_is_for() {
        let hub = deployed()["Statement"][0].clone();
        let with = |principal: Value| {
            let mut statement = hub.clone();
            statement["Principal"] = principal;
            statement.as_object_mut().unwrap().remove("Condition");
            statement
        };
        let provider = "arn:aws:iam::222222222222:oidc-provider/ci.example.com";
        assert_added(
            &json!({"Effect": "Allow", "Principal": {"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity"}),
            &format!("Effect `Allow`, Principal.Federated `{provider}`"),
        );
        assert_added(
            &with(json!({"Service": "ec2.amazonaws.com"})),
            "Effect `Allow`, Principal.Service `ec2.amazonaws.com`",
        );
        assert_added(
            &with(json!({"AWS": arn("role/evil")})),
            &format!("Effect `Allow`, Principal.AWS `{}`", arn("role/evil")),
        );
        assert_added(&with(json!("*")), "Effect `Allow`, Principal `*`");
        let mut like = hub.clone();
        like["Condition"] = json!({"ArnLike": {"aws:PrincipalArn": arn("role/daypass-p*")}});
        assert_added(&like, &format!("Effect `Allow`, Principal.AWS `{}`", arn("root")));
        let mut denial = with(json!("*"));
        denial["Effect"] = json!("Deny");
        assert_added(&denial, "Effect `Deny`, Principal `*`");
        // The same once more is one too many.
        assert!(read(&json!({"Version": "2012-10-17", "Statement": [hub, hub]})).is_err());
    }

    #[test]
    fn whatever_else_the_statement_has_or_lacks_is_named() {
        const ARNS: &str = "Condition.ArnEquals.aws:PrincipalArn";
        let statement = |change: fn(&mut Value)| differences(|it| change(&mut it["Statement"][0]));
        let (create, delete) = (arn("role/daypass-create-role"), arn("role/daypass-delete-role"));
        let service = statement(|it| it["Principal"]["Service"] = json!("ec2.amazonaws.com"));
        assert_eq!(service, ["statement 1: Principal.Service has also `ec2.amazonaws.com`"]);
        let federated = statement(|it| it["Principal"]["Federated"] = json!("cognito-identity.amazonaws.com"));
        assert_eq!(federated, ["statement 1: Principal.Federated has also `cognito-identity.amazonaws.com`"]);
        let other = statement(|it| it["Principal"]["AWS"] = json!([HUB, "666666666666"]));
        assert_eq!(other, ["statement 1: Principal.AWS has also `666666666666`"]);
        let removed = statement(|it| drop(it["Condition"].as_object_mut().unwrap().remove("ArnEquals")));
        assert_eq!(removed, [format!("statement 1: {ARNS} lacks `{create}`, `{delete}`")]);
        let all = statement(|it| it["Condition"]["ArnEquals"]["aws:PrincipalArn"] = json!(arn("role/*")));
        assert_eq!(all, [format!("statement 1: {ARNS} lacks `{create}`, `{delete}` and has also `{}`", arn("role/*"))]);
        let added = statement(|it| {
            let roles = it["Condition"]["ArnEquals"]["aws:PrincipalArn"].as_array_mut().unwrap();
            roles.push(json!(arn("role/evil")));
        });
        assert_eq!(added, [format!("statement 1: {ARNS} has also `{}`", arn("role/evil"))]);
        let one = statement(|it| drop(it["Condition"]["ArnEquals"]["aws:PrincipalArn"].as_array_mut().unwrap().pop()));
        assert_eq!(one, [format!("statement 1: {ARNS} lacks `{delete}`")]);
        let any_id = statement(|it| drop(it["Condition"].as_object_mut().unwrap().remove("StringEquals")));
        assert_eq!(any_id, [format!("statement 1: {EXTERNAL_ID} is missing")]);
        let variable = statement(|it| it["Condition"]["StringEquals"]["sts:ExternalId"] = json!("${sts:ExternalId}"));
        assert_eq!(
            variable,
            [format!("statement 1: {EXTERNAL_ID} has `${{sts:ExternalId}}`, which no external id can be")]
        );
        let more = statement(|it| it["Action"] = json!(["sts:AssumeRole", "sts:SetSourceIdentity"]));
        assert_eq!(more, ["statement 1: Action has also `sts:SetSourceIdentity`"]);
        let old = differences(|it| it["Version"] = json!("2008-10-17"));
        assert_eq!(old, ["Version is `2008-10-17` and not `2012-10-17`"]);
    }

    /// Digits of the hub anywhere in the document are not enough.
    #[test]
    fn a_hub_that_is_only_mentioned_is_not_trusted() {
        for principal in
            ["222222222222", "arn:aws:iam::222222222222:role/111111111111", "arn:aws-cn:iam::111111111111:root"]
        {
            let found = differences(|it| it["Statement"][0]["Principal"]["AWS"] = json!(principal));
            let words = format!("statement 1: Principal.AWS lacks `{}` and has also `{principal}`", arn("root"));
            assert_eq!(found, [words]);
        }
    }

    #[test]
    fn what_is_no_policy_cannot_be_judged() {
        for document in ["", "{", "{}", r#"{"Statement": []}"#, r#"{"Statement": ["x"]}"#, r#""x""#] {
            let problems = Trust::read(document, "aws", &HUB.parse().unwrap()).unwrap_err();
            assert!(problems[0].starts_with("the trust policy "), "{document}: {problems:?}");
        }
    }
}
