//! Every lint, one case or more each.

use std::{collections::BTreeSet, fmt::Write};

use clap::ValueEnum;
use daypass::persona::Entitlement;
use daypass_policies::catalogue::attachable;
use serde_json::{Value, json};

use super::*;

/// A file in which nothing is found.
fn base() -> Value {
    json!({
        "organization": { "company": "Acme", "org": "Web" },
        "group_name": "{company}_{org}_{account_id}_{persona}",
        "default_group_type": "Builder",
        "environments": {
            "dev": { "branches": ["*"] },
            "live": { "branches": ["main", "release/*"], "max_role_ttl_hours": 8 }
        },
        "accounts": [
            {
                "id": "111122223333", "name": "shop-dev", "environment": "dev", "personas": ["Builder", "Reader"],
                "repositories": [{ "provider": "github", "id": "41", "name": "acme/shop" }]
            },
            {
                "id": "444455556666", "name": "shop-live", "environment": "live", "personas": ["Builder"],
                "repositories": [
                    { "provider": "github", "id": "41", "name": "acme/shop" },
                    { "provider": "gitlab", "id": "41", "name": "acme/shop" }
                ]
            }
        ],
        "personas": {
            "Builder": {
                "max_role_ttl_hours": 48,
                "managed_policies": ["arn:aws:iam::aws:policy/AmazonS3FullAccess"],
                "custom_policy": [{ "Effect": "Deny", "Action": "s3:DeleteBucket", "Resource": "*" }],
                "environments": {
                    "live": { "managed_policies": ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"] }
                }
            },
            "Reader": { "managed_policies": ["arn:aws:iam::aws:policy/job-function/ViewOnlyAccess"] }
        }
    })
}

/// The base file with the value at a pointer set, or with null removed.
fn base_with(pointer: &str, value: Value) -> Value {
    let mut file = base();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = file.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
    match parent {
        Value::Object(entries) if value.is_null() => drop(entries.remove(key)),
        Value::Object(entries) => drop(entries.insert(key.to_owned(), value)),
        Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
        _ => panic!("{pointer}"),
    }
    file
}

fn managed(name: &str) -> String {
    format!("arn:aws:iam::aws:policy/{name}")
}

/// Something to set, and the rules and paths that are then found.
type Case = (&'static str, Value, &'static [&'static str]);

fn cases() -> Vec<Case> {
    let policies = "/personas/Reader/managed_policies";
    let statement = "/personas/Builder/custom_policy/0";
    let repositories = "/accounts/1/repositories";
    let allow = |actions: Value| json!({ "Effect": "Allow", "Action": actions, "Resource": "*" });
    vec![
        // Managed policies.
        (
            policies,
            json!([managed("ReadOnlyAccess"), managed("ViewOnlyAccess"), managed("Zzz")]),
            &[
                "unknown-managed-policy personas.Reader.managed_policies[1]",
                "unknown-managed-policy personas.Reader.managed_policies[2]",
            ],
        ),
        (
            "/personas/Builder/environments/live/managed_policies",
            json!([managed("AmazonS3ReadOnly")]),
            &["unknown-managed-policy personas.Builder.environments.live.managed_policies[0]"],
        ),
        (
            policies,
            json!([managed("aws-service-role/AmazonEKSServiceRolePolicy")]),
            &["unattachable-managed-policy personas.Reader.managed_policies[0]"],
        ),
        (
            policies,
            json!([managed("ReadOnlyAccess"), "arn:aws-us-gov:iam::aws:policy/AmazonS3ReadOnlyAccess"]),
            &["mixed-partitions personas.Reader.managed_policies[1]"],
        ),
        // Custom policies.
        (
            statement,
            allow(json!("*")),
            &[
                "allow-everything personas.Builder.custom_policy[0]",
                "pass-any-role personas.Builder.custom_policy[0]",
                "wide-roles personas.Builder.custom_policy",
            ],
        ),
        (
            statement,
            json!({ "Effect": "Allow", "NotAction": ["iam:*", "ec3:*"], "Resource": "*" }),
            &[
                "allow-not-action personas.Builder.custom_policy[0]",
                "unknown-service personas.Builder.custom_policy[0]",
            ],
        ),
        (statement, json!({ "Effect": "Deny", "NotAction": "s3:*", "Resource": "*" }), &[]),
        (statement, allow(json!(["iam:Pass*", "s3:*"])), &["pass-any-role personas.Builder.custom_policy[0]"]),
        (
            statement,
            json!({ "Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:aws:iam::*:role/deployed-by-daypass/*" }),
            &[],
        ),
        (
            statement,
            allow(json!(["organizations:LeaveOrganization", "iam:CreateUser", "iam:CreateRole", "s3:GetObject"])),
            &["taken-by-boundary personas.Builder.custom_policy[0]", "wide-roles personas.Builder.custom_policy"],
        ),
        (
            statement,
            json!({
                "Effect": "Allow", "Action": "iam:CreateRole", "Resource": "arn:aws:iam::*:role/deployed-by-daypass/*",
            }),
            &["wide-roles personas.Builder.custom_policy"],
        ),
        (
            statement,
            json!({
                "Effect": "Allow", "Action": "iam:*", "Resource": "arn:aws:iam::*:role/deployed-by-daypass/*",
                "Condition": { "ArnLike": { "iam:PermissionsBoundary": "arn:aws:iam::*:policy/daypass-*" } },
            }),
            &["wide-roles personas.Builder.custom_policy"],
        ),
        (
            "/personas/Builder/custom_policy",
            json!([
                {
                    "Effect": "Allow", "Action": "iam:CreateRole", "Resource": "arn:aws:iam::*:role/deployed-by-daypass/*",
                    "Condition": { "ArnLike": { "iam:PermissionsBoundary": "arn:aws:iam::*:policy/daypass-workloads" } },
                },
                { "Effect": "Deny", "Action": ["dynamodb:DeleteTable", "s3:DeleteBucket"], "Resource": "*" },
            ]),
            &[],
        ),
        (
            "/personas/Builder/custom_policy",
            json!([
                {
                    "Effect": "Allow", "Action": "iam:CreateRole", "Resource": "arn:aws:iam::*:role/deployed-by-daypass/*",
                    "Condition": { "ArnLike": { "iam:PermissionsBoundary": "arn:aws:iam::*:policy/daypass-workloads" } },
                },
                { "Effect": "Deny", "Action": ["s3:DeleteBucket", "sns:*"], "Resource": "*" },
            ]),
            &["wide-roles personas.Builder.custom_policy"],
        ),
        // Branches.
        (
            "/environments/live/branches",
            json!(["main", "release/*", "release/1.?", "m*", "??in"]),
            &[
                "shadowed-branch-pattern environments.live.branches[0]",
                "shadowed-branch-pattern environments.live.branches[2]",
            ],
        ),
        ("/environments/live/branches", json!(["**", "*"]), &["shadowed-branch-pattern environments.live.branches[1]"]),
        (
            "/environments/live/branches",
            json!(["a*", "a????", "?*/b", "*?/b"]),
            &[
                "shadowed-branch-pattern environments.live.branches[1]",
                "shadowed-branch-pattern environments.live.branches[3]",
            ],
        ),
        // Lifetimes.
        ("/environments/live/max_role_ttl_hours", json!(0.2), &["short-role-ttl environments.live.max_role_ttl_hours"]),
        ("/personas/Reader/max_role_ttl_hours", json!(0.1), &["short-role-ttl personas.Reader.max_role_ttl_hours"]),
        (
            "/environments/dev/max_role_ttl_hours",
            json!(24),
            &["unreachable-role-ttl personas.Builder.max_role_ttl_hours"],
        ),
        // From where accounts are deployed to.
        ("/environments/dev/identity_token", json!("required"), &[]),
        ("/environments/dev/identity_token", json!("optional"), &["open-environment environments.dev.identity_token"]),
        ("/accounts/1/repositories", Value::Null, &["no-repositories accounts[1]"]),
        (
            repositories,
            json!([
                { "provider": "github", "name": "acme/shop" },
                { "provider": "gitlab", "name": "acme/*" },
                { "provider": "other", "name": "shop" }
            ]),
            &[
                "repository-by-name accounts[1].repositories[0].name",
                "repository-by-name accounts[1].repositories[1].name",
            ],
        ),
        (
            repositories,
            json!([
                { "provider": "gitlab", "id": "41", "name": "acme/shop", "issuer": "https://gitlab.example.com" },
                { "provider": "gitlab", "id": "41", "name": "acme/shop" },
                { "provider": "gitlab", "id": "42", "name": "acme/shop", "issuer": "https://gitlab.example.com" },
                { "provider": "other", "name": "shop-*" },
                { "provider": "other", "name": "shop-1" },
                { "provider": "other", "name": "shop-?*" },
                { "provider": "other", "id": "1", "name": "shop-1" }
            ]),
            &[
                "shadowed-repository accounts[1].repositories[0]",
                "shadowed-repository accounts[1].repositories[4]",
                "shadowed-repository accounts[1].repositories[5]",
            ],
        ),
        (
            repositories,
            json!([{ "provider": "github", "id": "41", "name": "acme/shop" }, { "provider": "github", "name": "*" }]),
            &["shadowed-repository accounts[1].repositories[0]", "repository-by-name accounts[1].repositories[1].name"],
        ),
        (
            repositories,
            json!([
                { "provider": "github", "name": "https://github.com/acme/shop" },
                { "provider": "gitlab", "name": "acme/shop.git" },
                { "provider": "github", "name": "acme/web/shop" },
                { "provider": "gitlab", "id": "041", "name": "acme/shop" },
                { "provider": "gitlab", "id": "41", "name": "acme/shop", "issuer": "http://gitlab.example.com" },
                { "provider": "gitlab", "id": "41", "name": "acme/shop", "issuer": "http://localhost:8080/gitlab" },
                { "provider": "other", "id": "041", "name": "shop" }
            ]),
            &[
                "unreachable-repository accounts[1].repositories[0].name",
                "unreachable-repository accounts[1].repositories[1].name",
                "unreachable-repository accounts[1].repositories[2].name",
                "unreachable-repository accounts[1].repositories[3].id",
                "unreachable-repository accounts[1].repositories[4].issuer",
            ],
        ),
        // What belongs together.
        ("/accounts", json!([]), &["no-accounts accounts"]),
        (
            "/accounts/1/environment",
            json!("dev"),
            &["unused-environment environments.live", "unused-override personas.Builder.environments.live"],
        ),
        ("/accounts/0/personas", json!(["Builder"]), &["unopened-persona personas.Reader"]),
        ("/accounts/1/personas", json!(["Reader"]), &["unused-override personas.Builder.environments.live"]),
        (
            "/personas/Builder/environments/live/managed_policies",
            json!([managed("AmazonS3FullAccess")]),
            &["repeated-override personas.Builder.environments.live.managed_policies"],
        ),
        // What the parser finds hides nothing but what it could be the cause of.
        (
            "/accounts/0",
            json!({ "id": "1", "name": "x", "environment": "dev", "personas": ["Builder"] }),
            &["account-id accounts[0].id"],
        ),
        (
            policies,
            json!(["ReadOnlyAccess", 5, managed("Zzz")]),
            &[
                "managed-policy-arn personas.Reader.managed_policies[0]",
                "value-type personas.Reader.managed_policies[1]",
                "unknown-managed-policy personas.Reader.managed_policies[2]",
            ],
        ),
        ("/environments/live/branches", json!(["a b", "*"]), &["branch-pattern environments.live.branches[0]"]),
    ]
}

/// What statements allow too much of, those of managed policies too.
fn allowance_cases() -> Vec<Case> {
    let policies = "/personas/Reader/managed_policies";
    let statement = "/personas/Builder/custom_policy/0";
    vec![
        (
            statement,
            json!({ "Effect": "Allow", "Action": ["s3:*", "*"], "Resource": "arn:aws:s3:::acme-*" }),
            &["allow-any-action personas.Builder.custom_policy[0]"],
        ),
        (
            "/personas/Builder/custom_policy",
            json!([
                { "Effect": "Allow", "Action": "*", "Resource": "*" },
                { "Effect": "Deny", "Action": ["iam:*", "organizations:*"], "Resource": "*" },
            ]),
            &["allow-any-action personas.Builder.custom_policy[0]"],
        ),
        (
            statement,
            json!({ "Effect": "Allow", "NotAction": "organizations:*", "Resource": "*" }),
            &["allow-everything personas.Builder.custom_policy[0]", "wide-roles personas.Builder.custom_policy"],
        ),
        // Managed policies are judged as statements of one's own, with what the persona is denied.
        (
            policies,
            json!([managed("AdministratorAccess")]),
            &[
                "allow-everything personas.Reader.managed_policies[0]",
                "pass-any-role personas.Reader.managed_policies[0]",
                "wide-roles personas.Reader.custom_policy",
            ],
        ),
        (policies, json!([managed("PowerUserAccess")]), &[]),
        (policies, json!([managed("AWSLambda_FullAccess"), managed("SecurityAudit")]), &[]),
        (
            policies,
            json!([managed("AmazonElasticMapReduceFullAccess")]),
            &["pass-any-role personas.Reader.managed_policies[0]"],
        ),
        (
            policies,
            json!([managed("IAMFullAccess")]),
            &["pass-any-role personas.Reader.managed_policies[0]", "wide-roles personas.Reader.custom_policy"],
        ),
        (
            "/personas/Reader",
            json!({
                "managed_policies": [managed("AdministratorAccess")],
                "custom_policy": [{ "Effect": "Deny", "NotAction": ["s3:*", "ec2:*"], "Resource": "*" }],
            }),
            &["allow-any-action personas.Reader.managed_policies[0]"],
        ),
        (
            "/personas/Reader",
            json!({
                "managed_policies": [managed("AmazonElasticMapReduceFullAccess")],
                "custom_policy": [
                    { "Effect": "Deny", "Action": "iam:PassRole", "NotResource": "arn:aws:iam::*:role/deployed-by-daypass/*" },
                ],
            }),
            &[],
        ),
        // A denial of names of one length is next to none.
        (
            "/personas/Reader",
            json!({
                "managed_policies": [managed("AdministratorAccess")],
                "custom_policy": [{ "Effect": "Deny", "Action": "iam:?", "Resource": "*" }],
            }),
            EVERYTHING_OF_READER,
        ),
        (
            "/personas/Reader",
            json!({
                "managed_policies": [managed("AdministratorAccess")],
                "custom_policy": [{ "Effect": "Deny", "Action": "*", "Resource": "arn:aws:?:?:?:?" }],
            }),
            EVERYTHING_OF_READER,
        ),
        (
            "/personas/Reader",
            json!({
                "managed_policies": [managed("AdministratorAccess")],
                "custom_policy": [
                    { "Effect": "Deny", "Action": ["iam:?", "iam:?????????????????*"], "Resource": "*" },
                    { "Effect": "Deny", "Action": "*", "Resource": ["arn:aws:?:?:?:?", "arn:aws:*:*:*:????????*"] },
                ],
            }),
            &[
                "allow-everything personas.Reader.managed_policies[0]",
                "pass-any-role personas.Reader.managed_policies[0]",
            ],
        ),
        (
            "/personas/Reader",
            json!({
                "managed_policies": [managed("AmazonElasticMapReduceFullAccess")],
                "custom_policy": [{ "Effect": "Deny", "Action": "iam:PassRole", "Resource": "arn:aws:iam::*:role/?" }],
            }),
            &["pass-any-role personas.Reader.managed_policies[0]"],
        ),
        // Policies that leave something out, each something else.
        (
            policies,
            json!([managed("PowerUserAccess"), managed("IAMFullAccess")]),
            &[
                "allow-everything personas.Reader.managed_policies",
                "pass-any-role personas.Reader.managed_policies[1]",
                "wide-roles personas.Reader.custom_policy",
            ],
        ),
        (
            "/personas/Reader",
            json!({
                "managed_policies": [managed("PowerUserAccess")],
                "custom_policy": [{ "Effect": "Allow", "Action": "iam:*", "Resource": "*" }],
            }),
            &[
                "allow-everything personas.Reader.custom_policy",
                "pass-any-role personas.Reader.custom_policy[0]",
                "wide-roles personas.Reader.custom_policy",
            ],
        ),
        (
            "/personas/Builder/custom_policy",
            json!([
                { "Effect": "Allow", "NotAction": "iam:*", "Resource": "*" },
                { "Effect": "Allow", "Action": "iam:*", "Resource": "*" },
            ]),
            &[
                "allow-everything personas.Builder.custom_policy",
                "allow-not-action personas.Builder.custom_policy[0]",
                "pass-any-role personas.Builder.custom_policy[1]",
                "wide-roles personas.Builder.custom_policy",
            ],
        ),
        (
            "/personas/Reader",
            json!({
                "managed_policies": [managed("PowerUserAccess"), managed("IAMFullAccess")],
                "custom_policy": [{ "Effect": "Deny", "Action": "iam:*", "Resource": "*" }],
            }),
            &[],
        ),
        // What the persona itself is denied, and in an environment is not.
        (
            "/personas/Builder",
            json!({
                "managed_policies": [managed("AdministratorAccess")],
                "custom_policy": [{ "Effect": "Deny", "NotAction": "s3:*", "Resource": "*" }],
                "environments": { "live": { "custom_policy": [{ "Effect": "Deny", "Action": "ec2:*", "Resource": "*" }] } },
            }),
            &[
                "allow-any-action personas.Builder.managed_policies[0]",
                "allow-everything personas.Builder.managed_policies[0]",
                "pass-any-role personas.Builder.managed_policies[0]",
                "wide-roles personas.Builder.environments.live.custom_policy",
            ],
        ),
    ]
}

/// What is found of the persona Reader when it is allowed everything by its first managed policy.
const EVERYTHING_OF_READER: &[&str] = &[
    "allow-everything personas.Reader.managed_policies[0]",
    "pass-any-role personas.Reader.managed_policies[0]",
    "wide-roles personas.Reader.custom_policy",
];

/// The issuers of a configuration, something to set in the file, and what is then found.
type IssuersCase = (Value, &'static str, Value, &'static [&'static str]);

fn issuers_cases() -> Vec<IssuersCase> {
    let (github, gitlab) = (json!({ "provider": "github" }), json!({ "provider": "gitlab" }));
    let own = json!({ "provider": "gitlab", "url": "https://gitlab.example.com" });
    let other = json!({ "provider": "other", "url": "https://ci.example.com", "names": { "repository": "pipeline" } });
    let repositories = "/accounts/1/repositories";
    let shop = json!({ "provider": "gitlab", "id": "41", "name": "acme/shop" });
    vec![
        (json!([github, gitlab]), "/environments/dev/identity_token", json!("required"), &[]),
        (json!([github]), repositories, json!([shop]), &["unreachable-repository accounts[1].repositories[0]"]),
        (
            json!([github, gitlab, own]),
            repositories,
            json!([shop]),
            &["ambiguous-repository accounts[1].repositories[0]"],
        ),
        (
            json!([github, gitlab, own]),
            repositories,
            json!([
                { "provider": "gitlab", "id": "41", "name": "acme/shop", "issuer": "https://gitlab.example.com" },
                { "provider": "gitlab", "id": "41", "name": "acme/shop", "issuer": "https://gitlab.com" },
                { "provider": "gitlab", "id": "41", "name": "acme/shop", "issuer": "https://gitlab.com/" }
            ]),
            &["unreachable-repository accounts[1].repositories[2]"],
        ),
        (
            json!([github, other]),
            repositories,
            json!([{ "provider": "other", "name": "shop" }, { "provider": "other", "id": "shop", "name": "shop" }]),
            &[
                "unreachable-repository accounts[1].repositories[0]",
                "unreachable-repository accounts[1].repositories[1]",
            ],
        ),
        // Without an issuer nobody can prove anything, and nobody has to.
        (
            json!([]),
            repositories,
            Value::Null,
            &["open-environment environments.dev", "open-environment environments.live"],
        ),
    ]
}

/// What is found when no way to more rights is known; those have tests of their own.
fn found(file: &Value, issuers: Option<&Issuers>) -> Vec<Finding> {
    findings_with(&format!("{file:#}"), issuers, &[])
}

fn issuers(list: &Value) -> Issuers {
    Issuers::parse(&json!({ "identity_tokens": { "issuers": list } }).to_string()).unwrap()
}

#[test]
fn a_good_file_has_no_findings() {
    assert_eq!(found(&base(), None), []);
    let shipped = include_str!("../../../../../personas.json");
    let example = Issuers::parse(include_str!("../../../../../cdk/daypass.config.example.json")).unwrap();
    assert_eq!(findings(shipped, None), [], "the shipped file");
    assert_eq!(findings(shipped, Some(&example)), [], "the shipped file with the example of a configuration");
}

#[test]
fn every_lint() {
    let mut texts = String::new();
    let mut broken = BTreeSet::new();
    let without =
        cases().into_iter().chain(allowance_cases()).map(|(pointer, value, expected)| (None, pointer, value, expected));
    let with =
        issuers_cases().into_iter().map(|(list, pointer, value, expected)| (Some(list), pointer, value, expected));
    for (list, pointer, value, expected) in without.chain(with) {
        let file = base_with(pointer, value.clone());
        let findings = found(&file, list.as_ref().map(issuers).as_ref());
        let rules: Vec<String> = findings.iter().map(|it| format!("{} {}", it.rule.id, it.path)).collect();
        let expected: BTreeSet<String> = expected.iter().map(|&it| it.to_owned()).collect();
        assert_eq!(rules.iter().cloned().collect::<BTreeSet<_>>(), expected, "{pointer} {value}");
        assert_eq!(rules.len(), expected.len(), "{pointer} {value}");
        assert!(findings.is_sorted_by_key(|it| it.region), "{pointer} {value}");
        let of = list.map(|list| format!(" with the issuers {list}")).unwrap_or_default();
        writeln!(texts, "# {pointer} {value}{of}").unwrap();
        for finding in findings {
            writeln!(texts, "{}: {}; {} [{}]", finding.path, finding.message, finding.remedy, finding.rule.id).unwrap();
            broken.insert(finding.rule.id);
        }
    }
    insta::assert_snapshot!(texts);
    let lints = Lint::value_variants().iter().filter(|lint| **lint != Lint::Escalation);
    for lint in lints {
        assert!(broken.contains(lint.rule().id), "no case breaks {}", lint.rule().id);
    }
}

/// Over all policies that a persona can have: whatever an ordinary persona is made of is no error.
#[test]
fn few_managed_policies_allow_too_much() {
    let mut found: BTreeMap<Excess, Vec<&str>> = BTreeMap::new();
    for arn in attachable() {
        let Known::Policy(policy) = aws_managed(arn) else { panic!("{arn}") };
        let denials: Vec<_> = policy.statements().iter().filter(|it| it.effect == Effect::Deny).cloned().collect();
        for excess in Excess::all_of_managed(&policy, &denials, "aws") {
            found.entry(excess).or_default().push(arn.trim_start_matches("arn:aws:iam::aws:policy/"));
        }
    }
    let of = |excess| found.get(&excess).cloned().unwrap_or_default();
    assert_eq!(of(Excess::Everything), ["AWSMcpServiceActionsFullAccess", "AdministratorAccess"]);
    assert_eq!(of(Excess::AnyAction), [""; 0]);
    assert_eq!(of(Excess::NotAction), [""; 0]);
    insta::assert_snapshot!("managed_policies_that_pass_any_role", of(Excess::AnyRole).join("\n"));
}

#[test]
fn a_wide_pattern_covers_a_narrow_one() {
    for (wide, narrow) in [("*", "main"), ("*", "*"), ("a*", "a?b*"), ("r/*", "r/*/x"), ("?", "?"), ("*a*", "ba?")] {
        assert!(covers(wide, narrow), "{wide} {narrow}");
    }
    for (wide, narrow) in [("main", "*"), ("a?*", "a*"), ("a?", "a*"), ("a???", "a*"), ("*/*", "*"), ("b", "?")] {
        assert!(!covers(wide, narrow), "{wide} {narrow}");
    }
}

fn method(steps: &Value) -> Method {
    serde_json::from_value(json!({ "id": "x", "name": "Do X", "sources": [], "steps": steps })).unwrap()
}

#[test]
fn ways_to_more_rights_are_found() {
    let methods = [method(&json!([{ "action": "s3:PutObject", "resource": "arn:aws:s3:::x/y" }]))];
    let found = |file: Value| {
        let findings = findings_with(&format!("{file:#}"), None, &methods);
        findings.iter().map(|it| format!("{} {}: {}", it.rule.id, it.path, it.message)).collect::<Vec<_>>()
    };
    let one = "lets Builder get more rights in dev by `x`: Do X";
    assert_eq!(found(base()), [format!("escalation personas.Builder.managed_policies[0]: {one}")]);
    let custom = json!([{ "Effect": "Allow", "Action": "s3:Put*", "Resource": "*" }]);
    let both = found(base_with("/personas/Builder/custom_policy", custom));
    let other = "lets Builder get more rights in live by `x`: Do X";
    let expected = [
        format!("escalation personas.Builder.custom_policy: {other}"),
        format!("escalation personas.Builder.managed_policies[0]: {one}"),
    ];
    assert_eq!(both.iter().collect::<BTreeSet<_>>(), expected.iter().collect());
    let denied = json!([{ "Effect": "Deny", "Action": "s3:PutObject", "Resource": "*" }]);
    assert_eq!(found(base_with("/personas/Builder/custom_policy", denied)), [""; 0]);
    // Policies of one account are judged in that account.
    let own = json!([
        { "Effect": "Deny", "Action": "s3:*", "NotResource": "arn:aws:s3:::444455556666/*" },
        { "Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::444455556666/*" }
    ]);
    let in_account = [method(&json!([{ "action": "s3:PutObject", "resource": "arn:aws:s3:::{account}/y" }]))];
    let file = base_with("/personas/Builder/custom_policy", own);
    assert_eq!(
        findings_with(&format!("{file:#}"), None, &in_account).len(),
        2,
        "by one list in dev, by the other in live"
    );
}

#[test]
fn the_boundary_holds_against_every_known_way() {
    let everything = json!([{ "Effect": "Allow", "Action": "*", "Resource": "*" }]);
    let file = base_with("/personas/Builder/custom_policy", everything);
    let findings = findings(&format!("{file:#}"), None);
    assert!(!findings.iter().any(|it| it.rule == Lint::Escalation.rule()), "{findings:#?}");
}

#[test]
fn a_way_is_every_step_within_policies_and_boundary() {
    let entitlement = |statements: Value| Entitlement {
        managed_policies: Vec::new(),
        custom_policy: Some(
            serde_json::from_value(json!({ "Version": "2012-10-17", "Statement": statements })).unwrap(),
        ),
    };
    let one = json!({ "action": "s3:GetObject", "resource": "arn:aws:s3:::{account}/x" });
    let two = json!({ "action": "lambda:CreateFunction", "resource": "*", "context": { "aws:ResourceTag/x": null } });
    let beyond = json!({ "action": "iam:CreateUser", "resource": "arn:aws:iam::{account}:user/x" });
    let allow = |actions: Value| json!([{ "Effect": "Allow", "Action": actions, "Resource": "*" }]);
    let cases = [
        (allow(json!("*")), json!([one, two]), true),
        (allow(json!(["s3:*", "lambda:*"])), json!([one, two]), true),
        (allow(json!("s3:*")), json!([one, two]), false),
        (allow(json!("*")), json!([one, beyond]), false),
        (
            json!([{ "Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::123456789012/*" }]),
            json!([one]),
            true,
        ),
        (
            json!([{ "Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::444455556666/*" }]),
            json!([one]),
            false,
        ),
        // A condition that may hold protects nobody; one that cannot hold does.
        (
            json!([{ "Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": { "Bool": { "aws:SecureTransport": "true" } } }]),
            json!([one]),
            true,
        ),
        (
            json!([{ "Effect": "Allow", "Action": "lambda:*", "Resource": "*", "Condition": { "StringEquals": { "aws:ResourceTag/x": "y" } } }]),
            json!([two]),
            false,
        ),
    ];
    for (statements, steps, works) in cases {
        let entitlement = entitlement(statements.clone());
        let way = Rights::of(&entitlement, SOME_ACCOUNT).way(&method(&steps));
        assert_eq!(way, works.then_some(Origin::Custom), "{statements} {steps}");
    }
}
