use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use daypass_testing::samples::query_service;
use serde_json::{Value, json};

use super::*;

const ACCOUNT: &str = "222222222222";
const HUB: &str = "111111111111";

fn encoded(document: &Value) -> String {
    form_urlencoded::byte_serialize(document.to_string().as_bytes()).collect::<String>().replace('+', "%20")
}

fn trust(hub: &str, ids: &Value) -> Value {
    let roles = ["create-role", "delete-role"].map(|function| format!("arn:aws:iam::{hub}:role/daypass-{function}"));
    let condition = json!({"StringEquals": {"sts:ExternalId": ids}, "ArnEquals": {"aws:PrincipalArn": roles}});
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{hub}:root")}, "Action": "sts:AssumeRole",
        "Condition": condition}]})
}

/// A target as this version deploys it, and its changes.
#[derive(Clone)]
struct Target {
    trust: Option<Value>,
    version: Option<String>,
    /// By the name of the policy.
    documents: BTreeMap<&'static str, Value>,
    /// The operation that is refused.
    denied: Option<&'static str>,
}

impl Target {
    fn new() -> Self {
        let document = |document: &str| boundary::deployed(document, ACCOUNT, &[]);
        Self {
            trust: Some(trust(HUB, &json!("daypass-111111111111"))),
            version: Some(OWN_VERSION.to_owned()),
            documents: BTreeMap::from([
                ("daypass-boundary", document(daypass_policies::BOUNDARY)),
                ("daypass-workloads", document(daypass_policies::WORKLOADS)),
            ]),
            denied: None,
        }
    }

    fn answer(&self, operation: &str, input: &BTreeMap<String, String>) -> Result<String, &'static str> {
        if self.denied == Some(operation) {
            return Err("AccessDenied");
        }
        if operation == "GetRole" {
            assert_eq!(input["RoleName"], "daypass-provisioner");
            let tag = |(key, value): (&str, &str)| format!("<member><Key>{key}</Key><Value>{value}</Value></member>");
            let tags = [("daypass:protected", "true")].into_iter();
            let tags: String = tags.chain(self.version.as_deref().map(|it| ("daypass:version", it))).map(tag).collect();
            let trust = encoded(self.trust.as_ref().ok_or("NoSuchEntity")?);
            return Ok(format!(
                "<Role><Path>/</Path><RoleName>daypass-provisioner</RoleName><RoleId>AROAEXAMPLE</RoleId>\
                 <Arn>arn:aws:iam::{ACCOUNT}:role/daypass-provisioner</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate>\
                 <AssumeRolePolicyDocument>{trust}</AssumeRolePolicyDocument><Tags>{tags}</Tags></Role>"
            ));
        }
        let name = input["PolicyArn"].strip_prefix("arn:aws:iam::222222222222:policy/").unwrap();
        let document = self.documents.get(name).ok_or("NoSuchEntity")?;
        Ok(match operation {
            "GetPolicy" => {
                format!("<Policy><PolicyName>{name}</PolicyName><DefaultVersionId>v7</DefaultVersionId></Policy>")
            }
            "GetPolicyVersion" => {
                assert_eq!(input["VersionId"], "v7", "the default version counts");
                format!("<PolicyVersion><Document>{}</Document></PolicyVersion>", encoded(document))
            }
            other => panic!("{other}"),
        })
    }

    async fn examined(self, deployment: &Deployment) -> Result<Vec<Check>, Error> {
        let config = query_service(move |operation, input| self.answer(operation, input));
        examine(&ACCOUNT.parse().unwrap(), "aws", deployment, &config).await
    }
}

/// The deployment with these external ids; the first is used.
fn deployment(ids: &[&str]) -> Deployment {
    let ids: Vec<String> = ids.iter().map(|&id| id.to_owned()).collect();
    let external_ids =
        ids.split_first().map(|(used, accepted)| ExternalIds { used: used.clone(), accepted: accepted.to_vec() });
    Deployment { hub: HUB.parse().unwrap(), external_ids }
}

const ID: &str = "daypass-111111111111";

fn check<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("{name}: {checks:?}"))
}

/// Nothing is wrong but this, which says so.
fn assert_only(checks: &[Check], name: &str, status: Status, words: &str) {
    let wrong: Vec<_> = checks.iter().filter(|check| check.status > Status::Ok).map(|check| &check.name).collect();
    assert_eq!(wrong, [name], "{checks:?}");
    let found = check(checks, name);
    assert_eq!(found.status, status, "{found:?}");
    assert!(found.detail.contains(words) && found.remedy.is_some(), "{words}: {found:?}");
}

#[tokio::test]
async fn a_target_of_this_version() {
    let checks = Target::new().examined(&deployment(&[ID])).await.unwrap();
    let summary = summary("payments-dev", &checks);
    assert_eq!((summary.status, summary.remedy), (Status::Ok, None), "{checks:?}");
    assert_eq!(
        summary.detail,
        format!(
            "222222222222 has daypass-provisioner; trusts 111111111111; accepts its external id; version {OWN_VERSION}; \
             daypass-boundary unchanged; daypass-workloads unchanged"
        )
    );
    let checks = Target::new().examined(&deployment(&[])).await.unwrap();
    assert_eq!(check(&checks, "external id").status, Status::Skipped);
    assert_eq!(worst(&checks), Status::Ok);
}

#[tokio::test]
async fn an_account_that_is_not_on_boarded() {
    let checks = Target { trust: None, ..Target::new() }.examined(&deployment(&[ID])).await.unwrap();
    assert_only(&checks, "on-boarded", Status::Fail, "222222222222 has no role daypass-provisioner");
}

#[tokio::test]
async fn a_trust_policy_that_lets_others_in() {
    let of =
        async |trust: Value| Target { trust: Some(trust), ..Target::new() }.examined(&deployment(&[ID])).await.unwrap();
    let checks = of(trust("999999999999", &json!(ID))).await;
    assert_only(&checks, "trust", Status::Fail, "does not trust create-role and delete-role of the hub 111111111111");
    let mut open = trust(HUB, &json!(ID));
    open["Statement"][0]["Principal"]["AWS"] = json!([HUB, "666666666666"]);
    assert_only(&of(open).await, "trust", Status::Fail, "Principal.AWS has also `666666666666`");
    let mut any = trust(HUB, &json!(ID));
    any["Statement"][0]["Condition"].as_object_mut().unwrap().remove("StringEquals");
    assert_only(&of(any).await, "trust", Status::Fail, "Condition.StringEquals.sts:ExternalId is missing");
    let mut second = trust(HUB, &json!(ID));
    let statement =
        json!({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"});
    second["Statement"].as_array_mut().unwrap().push(statement);
    let checks = of(second).await;
    assert_only(
        &checks,
        "trust",
        Status::Fail,
        "statement 2 is added: Effect `Allow`, Principal.Service `ec2.amazonaws.com`",
    );
    assert!(check(&checks, "trust").remedy.as_deref().is_some_and(|it| it.starts_with(DEPLOY)), "{checks:?}");
    assert_only(&of(json!("x")).await, "trust", Status::Fail, "is no JSON object");
}

/// The steps of a change of the external id, and what goes wrong in each.
#[tokio::test]
async fn external_ids() {
    let of = |ids: Value| Target { trust: Some(trust(HUB, &ids)), ..Target::new() };
    for (target, deployment_ids, expected) in [
        (json!(["old", "new"]), &["old", "new"][..], None),
        (json!(["old", "new"]), &["new", "old"], None),
        (json!("new"), &["new"], None),
        (json!("old"), &["new"], Some((Status::Fail, "does not accept the hub's external id `new`, only `old`"))),
        (
            json!("old"),
            &["new", "old"],
            Some((Status::Fail, "does not accept the hub's external id `new`, only `old`")),
        ),
        (json!("old"), &["old", "new"], Some((Status::Warn, "does not yet accept `new` of `accepted_external_ids`"))),
        (
            json!(["new", "old"]),
            &["new"],
            Some((Status::Warn, "still accepts `old`, which the configuration does not list")),
        ),
    ] {
        let checks = of(target.clone()).examined(&deployment(deployment_ids)).await.unwrap();
        match expected {
            Some((status, words)) => assert_only(&checks, "external id", status, words),
            None => assert_eq!(check(&checks, "external id").status, Status::Ok, "{target} {checks:?}"),
        }
    }
}

#[tokio::test]
async fn versions() {
    for (version, words) in [
        (None, "has no tag daypass:version: an earlier version has deployed it"),
        (Some("0.0.9"), "was deployed by version `0.0.9`, this command is"),
        (Some("99.0.0"), "was deployed by version `99.0.0`, this command is"),
        (Some("mine"), "was deployed by version `mine`"),
    ] {
        let target = Target { version: version.map(str::to_owned), ..Target::new() };
        let checks = target.examined(&deployment(&[ID])).await.unwrap();
        assert_only(&checks, "version", Status::Warn, words);
        let remedy = check(&checks, "version").remedy.as_deref().unwrap();
        assert_eq!(remedy.contains("install"), version == Some("99.0.0"), "{version:?}: {remedy}");
    }
    assert!(Age::of(Some("0.0.10")) == Age::Older && numbers("1.10.0") > numbers("1.9.9-rc.1"));
}

#[tokio::test]
async fn boundaries() {
    let changed = |version: Option<&str>| {
        let mut target = Target { version: version.map(str::to_owned), ..Target::new() };
        target.documents.get_mut("daypass-boundary").unwrap()["Statement"].as_array_mut().unwrap().pop();
        target
    };
    let checks = changed(Some(OWN_VERSION)).examined(&deployment(&[ID])).await.unwrap();
    assert_only(&checks, "daypass-boundary", Status::Fail, ": NotWhatIsOthers is missing");
    // That another version has another boundary, is to be expected.
    let checks = changed(None).examined(&deployment(&[ID])).await.unwrap();
    let found = check(&checks, "daypass-boundary");
    assert_eq!(found.status, Status::Warn, "{found:?}");
    assert!(found.detail.contains("is that of another version: NotWhatIsOthers is missing"), "{found:?}");

    let mut target = Target::new();
    target.documents.remove("daypass-workloads");
    let checks = target.examined(&deployment(&[ID])).await.unwrap();
    assert_only(&checks, "daypass-workloads", Status::Fail, "there is no policy daypass-workloads");
}

#[tokio::test]
async fn what_may_not_be_read_names_the_permissions() {
    const PERMISSIONS: &str = "the credentials need iam:GetRole, iam:GetPolicy and iam:GetPolicyVersion";
    let denied = |operation| Target { denied: Some(operation), ..Target::new() };
    let error = denied("GetRole").examined(&deployment(&[ID])).await.unwrap_err();
    assert!(
        error.line().contains("iam:GetRole failed with AccessDenied") && error.line().contains(PERMISSIONS),
        "{error:?}"
    );
    for operation in ["GetPolicy", "GetPolicyVersion"] {
        let checks = denied(operation).examined(&deployment(&[ID])).await.unwrap();
        let found = check(&checks, "daypass-boundary");
        assert_eq!((found.status, found.remedy.as_deref()), (Status::Fail, Some(PERMISSIONS)), "{found:?}");
    }
}

/// Least privilege: these calls and no others.
#[tokio::test]
async fn what_is_asked() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (target, calls) = (Target::new(), asked.clone());
    let config = query_service(move |operation, input| {
        calls.lock().unwrap().push(operation.to_owned());
        target.answer(operation, input)
    });
    examine(&ACCOUNT.parse().unwrap(), "aws", &deployment(&[ID]), &config).await.unwrap();
    let mut asked = asked.lock().unwrap().clone();
    asked.sort();
    assert_eq!(asked, ["GetPolicy", "GetPolicy", "GetPolicyVersion", "GetPolicyVersion", "GetRole"]);
}

#[test]
fn a_summary_says_what_is_wrong_and_one_remedy_once() {
    let checks = [
        Check::ok("on-boarded", "there"),
        Check::warn("version", "old", DEPLOY),
        Check::fail("external id", "wrong", format!("every request fails: {DEPLOY}")),
        Check::skipped("x", "not seen"),
    ];
    let found = summary("payments-dev", &checks);
    assert_eq!((found.status, found.detail.as_str()), (Status::Fail, "old; wrong"));
    assert_eq!(found.remedy, Some(format!("every request fails: {DEPLOY}")));
}

#[test]
fn the_configuration_of_a_deployment() {
    let ids = |json: &Value| serde_json::from_value::<Configuration>(json.clone()).unwrap().external_ids();
    let hub = json!({"account_id": HUB, "region": "us-east-1"});
    assert_eq!(ids(&json!({"hub": hub})), ExternalIds { used: ID.to_owned(), accepted: vec![] });
    let both =
        json!({"hub": hub, "external_id": "new", "accepted_external_ids": ["old", "new"], "architecture": "arm64"});
    assert_eq!(ids(&both), ExternalIds { used: "new".to_owned(), accepted: vec!["old".to_owned()] });
    let missing = Configuration::read(Path::new("nowhere.json")).unwrap_err();
    assert!(missing.line().contains("nowhere.json: cannot be read") && missing.kind().code() == 2, "{missing:?}");
}
