//! The rules of `personas.json`, one case each, and the file that the project ships.
//!
//! `tests/cases.json` is shared: `tests/check_schema.py` holds `personas.schema.json` to the same cases.

use std::{collections::BTreeSet, fmt::Write};

use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::{
    names::{DEPLOYED_PATH, FIXED_PATH},
    policy::{Effect, OneOrMany},
};

const BASE: &str = include_str!("tests/base.json");
const CASES: &str = include_str!("tests/cases.json");
const SHIPPED: &str = include_str!("../../../personas.json");

/// The base file with some values set (null: removed), and the paths of the problems that it then has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    rule: String,
    /// New values by JSON pointer.
    set: BTreeMap<String, Value>,
    /// Whether the schema sees a problem, too; it cannot see those between two sections.
    schema: Schema,
    problems: Vec<String>,
}

#[derive(PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Schema {
    Accepts,
    Refuses,
}

impl Case {
    fn file(&self) -> String {
        let mut file: Value = serde_json::from_str(BASE).expect("the base file is JSON");
        for (pointer, value) in &self.set {
            if let (Some(old), false) = (file.pointer_mut(pointer), value.is_null()) {
                *old = value.clone();
                continue;
            }
            let (parent, key) = pointer.rsplit_once('/').expect("a JSON pointer");
            let parent = file.pointer_mut(parent).and_then(Value::as_object_mut).expect(pointer);
            if value.is_null() {
                parent.remove(key)
            } else {
                parent.insert(key.to_owned(), value.clone())
            };
        }
        file.to_string()
    }
}

/// Base file with a part of its text replaced: for what only a text can have.
fn base_with(old: &str, new: &str) -> String {
    assert_eq!(BASE.matches(old).count(), 1, "{old}");
    BASE.replace(old, new)
}

fn problems(json: &str) -> Vec<(String, String)> {
    let problems = Personas::parse(json).err().map(|error| error.problems).unwrap_or_default();
    problems.into_iter().map(|it| (it.at.to_string(), format!("{}; {}", it.message, it.remedy))).collect()
}

#[test]
fn every_rule() {
    let cases: Vec<Case> = serde_json::from_str(CASES).expect("cases");
    let mut texts = String::new();
    let mut broken = BTreeSet::new();
    for case in &cases {
        let problems = Personas::survey(&case.file()).1;
        let paths: Vec<String> = problems.iter().map(|problem| problem.at.to_string()).collect();
        assert_eq!(paths, case.problems, "{}: {problems:#?}", case.rule);
        assert!(case.schema == Schema::Accepts || !paths.is_empty(), "{}: the schema refuses it", case.rule);
        writeln!(texts, "# {}", case.rule).expect("a text");
        for problem in problems {
            writeln!(texts, "{problem} [{}]", problem.rule.id()).expect("a text");
            broken.insert(problem.rule);
        }
    }
    insta::assert_snapshot!(texts);
    // What only a text can have, and what is too long for a case, other tests have.
    broken.extend([Rule::Json, Rule::RepeatedKey, Rule::CustomPolicySize]);
    assert_eq!(broken, BTreeSet::from(Rule::ALL));
}

#[test]
fn rules_have_ids_of_their_own() {
    let ids: BTreeSet<&str> = Rule::ALL.into_iter().map(Rule::id).collect();
    assert_eq!(ids.len(), Rule::ALL.len());
}

#[test]
fn as_much_as_can_be_read_is_read() {
    let file = base_with(r#""id": "111122223333""#, r#""id": "1""#).replace(r#""Builders","#, r#""Nobody","#);
    let (personas, problems) = Personas::survey(&file);
    let places: Vec<String> = problems.iter().map(|problem| problem.at.to_string()).collect();
    assert_eq!(places, ["accounts[0].id", "default_group_type"]);
    let personas = personas.expect("what is right");
    assert_eq!(personas.accounts().len(), 1);
    assert_eq!(personas.personas().len(), 2);
    assert!(Personas::survey("[]").0.is_none() && Personas::survey("").0.is_none());
}

#[test]
fn many_problems_are_reported_at_once() {
    let error = Personas::parse(include_str!("tests/many-problems.json")).expect_err("problems");
    insta::assert_snapshot!(error);
}

#[test]
fn what_is_no_json_is_reported_with_its_place() {
    let texts = ["", "{\n  \"organization\": {},\n}", "[1, 2", "{} {}", "\u{feff}{}", "{\"a\": 1e999}", "nonsense"];
    let deep = "[".repeat(100_000);
    let errors = texts.into_iter().chain([deep.as_str()]).map(|text| Personas::parse(text).expect_err("no JSON"));
    insta::assert_snapshot!(errors.map(|error| error.to_string()).collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_file_is_an_object() {
    for other in ["null", "[]", "\"x\"", "1.5", "-1", "true"] {
        let [(path, _)] = &problems(other)[..] else { panic!("{other}") };
        assert_eq!(path, "the file");
    }
}

#[test]
fn null_is_not_absence() {
    let file = base_with(r#""max_role_ttl_hours": 48"#, r#""max_role_ttl_hours": null"#);
    let [(path, message)] = &problems(&file)[..] else { panic!("one problem") };
    assert_eq!((path.as_str(), message.as_str()), ("personas.Builder.max_role_ttl_hours", "is null; write a number"));
}

#[test]
fn group_name_patterns_have_at_most_256_characters() {
    let with_separator = |chars| base_with("{org}_", &format!("{{org}}{}", "_".repeat(chars)));
    let chars_around = "{company}_{org}{account_id}_{persona}".len();
    assert_eq!(problems(&with_separator(256 - chars_around)), []);
    assert_eq!(problems(&with_separator(257 - chars_around))[0].0, "group_name");
}

#[test]
fn a_repeated_key_is_a_problem() {
    let twice = base_with(r#""name": "shop-dev""#, r#""name": "shop-dev", "name": "shop-dev""#);
    assert_eq!(problems(&twice), [("accounts[0].name".to_owned(), "stands here more than once; keep one".to_owned())]);
    let twice = base_with(r#""Reader": {"#, r#""Builder": {"#);
    assert_eq!(problems(&twice)[0].0, "personas.Builder");
}

#[test]
fn a_custom_policy_may_fill_the_room_that_the_guard_leaves() {
    let with_resource = |chars| {
        let resource = format!("arn:aws:s3:::{}", "é".repeat(chars));
        base_with(r#""Action": "kms:*", "Resource": "*""#, &format!(r#""Action": "kms:*", "Resource": "{resource}""#))
    };
    let chars_around = r#"{"Version":"2012-10-17","Statement":[{"Sid":"NoKeys","Effect":"Deny","Action":"kms:*","#
        .len()
        + r#""Resource":"arn:aws:s3:::"}]}"#.len();
    let room = 10_240 - 2_048 - chars_around;
    assert_eq!(problems(&with_resource(room)), []);
    let [(path, message)] = &problems(&with_resource(room + 1))[..] else { panic!("one problem") };
    assert_eq!(path, "personas.Builder.custom_policy");
    insta::assert_snapshot!(
        message,
        @"is 8193 characters long as a policy, and a role has room for 8192; join statements, use wildcards, or use a \
         managed policy"
    );
}

#[test]
fn user_input_in_messages_is_quoted_and_cut() {
    let long = base_with(r#""shop-dev""#, &format!(r#""{}\nforged: line""#, "x".repeat(10_000)));
    let hidden = base_with(r#""Reader": {"#, r#""Re\nader\u202e": {"#);
    let key = base_with(r#""Reader": {"#, &format!(r#""{}": {{"#, "x".repeat(10_000)));
    for file in [long, hidden, key] {
        for (path, message) in problems(&file) {
            let text = format!("{path}: {message}");
            assert!(text.is_ascii() || text.contains('…'), "{text}");
            assert!(text.len() < 500 && !text.contains('\n') && !text.contains('\u{202e}'), "{text}");
        }
    }
}

fn base() -> Personas {
    Personas::parse(BASE).expect("the base file is right")
}

fn hours(hours: u64) -> Duration {
    Duration::from_hours(hours)
}

#[test]
fn a_persona_answers_to_its_group_types_and_its_name() {
    let personas = base();
    let name_of = |group_type| personas.persona_of(group_type).map(Persona::name);
    assert_eq!(name_of("Builders"), Some("Builder"));
    assert_eq!(name_of("Builder"), Some("Builder"));
    assert_eq!(name_of("Reader"), Some("Reader"));
    for stranger in ["", "builders", "Builders ", "Nobody"] {
        assert_eq!(name_of(stranger), None, "{stranger}");
    }
    assert_eq!(name_of(personas.default_group_type()), Some("Builder"));
    assert_eq!(personas.group_types().collect::<Vec<_>>(), ["Builders", "Builder", "Reader"]);
    assert!(personas.persona("Builders").is_none(), "a group type is not a name");
}

#[test]
fn group_names_follow_the_pattern() {
    let builder = "Builder";
    let named = |json: &str| {
        let personas = Personas::parse(json).expect("a right file");
        personas.group_name(&"000011112222".parse().expect("an account"), personas.persona(builder).expect("a persona"))
    };
    assert_eq!(named(BASE), "Acme_Web_000011112222_Builder");
    let pattern = "{company}_{org}_{account_id}_{persona}";
    assert_eq!(named(&base_with(pattern, "{persona} @{account_id} of {org}")), "Builder @000011112222 of Web");
}

#[test]
fn group_names_are_known_by_their_form() {
    let is = |pattern: &str, name: &str| {
        let file = base_with("{company}_{org}_{account_id}_{persona}", pattern);
        Personas::parse(&file).expect("a right file").is_group_name(name)
    };
    let shipped = "{company}_{org}_{account_id}_{persona}";
    for name in ["Acme_Web_111122223333_Builder", "Acme_Web_999999999999_Nobody-any_more"] {
        assert!(is(shipped, name), "{name}");
    }
    for name in [
        "",
        "Administrators",
        "Acme_Web_111122223333_",
        "Acme_Web_11112222333_Builder",
        "Acme_Web_1111222233334_Builder",
        "Acme_Web_１１１１２２２２３３３３_Builder",
        "acme_Web_111122223333_Builder",
        "Acme_Web_111122223333_4ever",
        "Acme_Web_111122223333_Builder of Web",
        " Acme_Web_111122223333_Builder",
    ] {
        assert!(!is(shipped, name), "{name}");
    }
    // The persona's name ends where the rest of the pattern begins, of the places where it might.
    assert!(is("{persona}_{account_id}_{org}", "a_111122223333_b_111122223333_Web"));
    assert!(is("{persona}{account_id}", "Builder2111122223333"));
    assert!(!is("{persona}{account_id}", "111122223333"));
}

#[test]
fn an_override_replaces_a_list_and_leaves_the_other() {
    let personas = base();
    let builder = personas.persona("Builder").expect("a persona");
    let in_environment = |name| builder.entitlement(personas.environment(name).expect("an environment"));
    let (dev, live) = (in_environment("dev"), in_environment("live"));
    assert_eq!(dev.managed_policies, ["arn:aws:iam::aws:policy/PowerUserAccess"]);
    assert_eq!(live.managed_policies, ["arn:aws:iam::aws:policy/ReadOnlyAccess"]);
    assert!(dev.custom_policy.is_some());
    assert_eq!(dev.custom_policy, live.custom_policy);
}

#[test]
fn the_lower_cap_counts() {
    let personas = base();
    let cap = |persona, environment| {
        let environment = personas.environment(environment);
        personas.persona(persona).expect("a persona").max_role_ttl(environment)
    };
    assert_eq!(cap("Builder", "dev"), hours(48));
    assert_eq!(cap("Builder", "live"), hours(8));
    assert_eq!(cap("Builder", "unknown"), hours(48));
    assert_eq!(cap("Reader", "dev"), hours(168));
    assert_eq!(personas.environment("dev").expect("an environment").max_role_ttl(), hours(168));
}

#[test]
fn caps_may_be_fractions_of_an_hour() {
    for (text, seconds) in [("0.25", 900.0), ("0.7", 2_520.0), ("1", 3_600.0), ("0.002", 7.2), ("168.0", 604_800.0)] {
        let file = base_with(r#""max_role_ttl_hours": 48"#, &format!(r#""max_role_ttl_hours": {text}"#));
        let personas = Personas::parse(&file).expect(text);
        let cap = personas.persona("Builder").expect("a persona").max_role_ttl(None);
        assert_eq!(cap, Duration::from_secs_f64(seconds), "{text}");
    }
}

#[test]
fn accounts_are_found_by_id_and_by_name() {
    let personas = base();
    let account = personas.account_named("shop-live").expect("an account");
    assert_eq!(account.id().as_str(), "444455556666");
    assert_eq!(personas.account(account.id()).expect("an account").name(), "shop-live");
    assert_eq!(account.environment().name(), "live");
    let is_open_to = |name| account.is_open_to(personas.persona(name).expect("a persona"));
    assert!(is_open_to("Builder") && !is_open_to("Reader"));
    assert!(personas.account_named("shop").is_none());
    assert!(personas.account(&"999999999999".parse().expect("an account")).is_none());
}

#[test]
fn branch_patterns_match_the_whole_branch() {
    let personas =
        Personas::parse(&base_with(r#"["*"]"#, r#"["main", "release/*", "hotfix-?"]"#)).expect("a right file");
    let dev = personas.environment("dev").expect("an environment");
    for branch in ["main", "release/1", "release/1/2", "release/", "hotfix-1"] {
        assert!(dev.allows_branch(branch), "{branch}");
    }
    for branch in ["", "Main", "main2", "xmain", "main\n", "release", "my/release/1", "hotfix-", "hotfix-12", "*"] {
        assert!(!dev.allows_branch(branch), "{branch}");
    }
    assert_eq!(dev.branch_patterns().collect::<Vec<_>>(), ["main", "release/*", "hotfix-?"]);
}

/// What an entitlement allows: managed policies, and each action of the custom policy with its resources.
fn allowed(entitlement: &Entitlement) -> Vec<String> {
    let mut allowed = entitlement.managed_policies.clone();
    let statements = entitlement.custom_policy.iter().flat_map(Policy::statements);
    for statement in statements.filter(|statement| statement.effect == Effect::Allow) {
        let resource = serde_json::to_string(&statement.resource).expect("JSON");
        match statement.action.as_ref().expect("an action") {
            OneOrMany::One(action) => allowed.push(format!("{action} on {resource}")),
            OneOrMany::Many(actions) => allowed.extend(actions.iter().map(|action| format!("{action} on {resource}"))),
        }
    }
    allowed
}

#[test]
fn the_shipped_file_gives_the_personas_what_the_model_says() {
    let personas = Personas::parse(SHIPPED).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(personas.persona_of("Product-Deployers").map(Persona::name), Some("Product_Admin"));
    assert_eq!(personas.default_group_type(), "Product-Deployers");
    let account = personas.account_named("payments-dev").expect("an account");
    let product_admin = personas.persona("Product_Admin").expect("a persona");
    assert_eq!(personas.group_name(account.id(), product_admin), "PwC_GP_222222222222_Product_Admin");
    let mut policies = String::new();
    for persona in personas.personas() {
        for environment in personas.environments() {
            let entitlement = persona.entitlement(environment);
            let ttl = persona.max_role_ttl(Some(environment)).as_secs() / 3600;
            writeln!(policies, "# {} in {}: {ttl} h", persona.name(), environment.name()).expect("a text");
            let custom = entitlement.custom_policy.iter().map(Policy::to_json);
            for policy in entitlement.managed_policies.iter().cloned().chain(custom) {
                writeln!(policies, "{policy}").expect("a text");
            }
        }
    }
    insta::assert_snapshot!(policies);
}

#[test]
fn in_the_shipped_file_production_is_narrower() {
    let personas = Personas::parse(SHIPPED).unwrap_or_else(|error| panic!("{error}"));
    let environment = |name| personas.environment(name).expect("an environment");
    let (development, production) = (environment("non-production"), environment("production"));
    assert!(development.allows_branch("feature/x") && !production.allows_branch("feature/x"));
    assert!(production.allows_branch("main") && production.allows_branch("release/1.0"));
    for persona in personas.personas() {
        let name = persona.name();
        assert!(persona.max_role_ttl(Some(development)) >= DEFAULT_ROLE_TTL, "{name}");
        assert!(persona.max_role_ttl(Some(production)) < DEFAULT_ROLE_TTL, "{name}");
        let (wide, narrow) = (persona.entitlement(development), persona.entitlement(production));
        assert_ne!(wide, narrow, "{name}");
        let wide = allowed(wide);
        for right in allowed(narrow) {
            assert!(wide.contains(&right), "{name} has {right} in production only");
        }
        for account in personas.accounts() {
            assert!(account.is_open_to(persona), "{name} in {}", account.name());
        }
    }
}

/// In IAM and STS, personas have what is below the two paths that are there for deployments, and nothing else.
#[test]
fn in_the_shipped_file_no_custom_policy_grants_identity() {
    let personas = Personas::parse(SHIPPED).unwrap_or_else(|error| panic!("{error}"));
    for persona in personas.personas() {
        let fixed = format!("{FIXED_PATH}{}/", persona.name());
        for environment in personas.environments() {
            let statements = persona.entitlement(environment).custom_policy.iter().flat_map(Policy::statements);
            for statement in statements.filter(|it| it.effect == Effect::Allow) {
                let resources = statement.resource.iter().flat_map(OneOrMany::as_slice);
                let own = resources.clone().count() > 0
                    && resources.clone().all(|arn| {
                        let resource = arn.rsplit(':').next().expect("a resource");
                        ["role", "policy", "instance-profile"]
                            .iter()
                            .any(|kind| resource.starts_with(&format!("{kind}{DEPLOYED_PATH}")))
                            || resource.starts_with(&format!("role{fixed}"))
                    });
                for action in statement.action.iter().flat_map(OneOrMany::as_slice) {
                    let service = action.split(':').next().expect("a service");
                    let identity = ["*", "iam", "sts", "sso", "organizations"].contains(&service);
                    assert!(!identity || (own && service != "*"), "{}: {action} {statement:?}", persona.name());
                }
            }
        }
    }
}
