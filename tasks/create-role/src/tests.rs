use std::fmt::Write;

use daypass::{persona::GUARD_POLICY_CHARS, stage::Named};
use daypass_testing::samples::{
    self, aws_error,
    target::{Fault, FaultyCall, Missing, Role as TargetRole, Target},
};
use serde_json::{Value, json};

use super::*;

const PERSONAS: &str = include_str!("../../../personas.json");
const PIPELINE_ROLE: &str = "arn:aws:iam::111111111111:role/daypass-pipeline";

fn task(target: &Target) -> CreateRole {
    let provisioner = Provisioner::new(&target.config(), "external".to_owned());
    CreateRole::new(provisioner, PIPELINE_ROLE.parse().unwrap(), Personas::parse(PERSONAS).unwrap())
}

async fn create(target: &Target) -> Result<CreatedRole, CreateRoleError> {
    let transaction = samples::transaction();
    task(target).run(CreateRoleInput { transaction, again: false }, samples::requested_at()).await
}

/// The next attempt, so long after the role was made.
async fn create_again(target: &Target, after: Duration) -> Result<CreatedRole, CreateRoleError> {
    let transaction = samples::transaction();
    task(target).run(CreateRoleInput { transaction, again: true }, samples::requested_at().plus(after)).await
}

const BY_ORGANIZATION: &str = "AccessDenied: User: arn:aws:sts::333333333333:assumed-role/daypass-provisioner/x is not authorized \
     to perform: iam:CreateRole on resource: y with an explicit deny in a service control policy: \
     arn:aws:organizations::111111111111:policy/o-1/service_control_policy/p-1";
const BY_BOUNDARY: &str = "AccessDenied: x is not authorized with an explicit deny in a permissions boundary";
const NOT_ALLOWED: &str =
    "AccessDenied: x is not authorized because no identity-based policy allows the iam:CreateRole action";
const NO_BOUNDARY: &str =
    "NoSuchEntity: Scope ARN: arn:aws:iam::333333333333:policy/daypass-boundary does not exist or is not attachable.";

fn role(target: &Target) -> TargetRole {
    target.state().roles[&samples::transaction().role_name].clone()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// What it is to be: created once, in one go, with nothing going wrong.
async fn good() -> TargetRole {
    let target = Target::default();
    create(&target).await.unwrap();
    role(&target)
}

#[tokio::test]
async fn the_role() {
    let target = Target::default();
    let created = create(&target).await.unwrap();
    assert_eq!(created.role_arn, samples::transaction().role_arn);
    assert_eq!(created.role_id, "AROAEXAMPLE");
    assert_eq!(created.created_at, samples::requested_at());
    let role = role(&target);
    insta::assert_json_snapshot!(json!({
        "arn": role.arn,
        "description": role.description,
        "boundary": role.boundary,
        "tags": role.tags,
        "trust": json(&role.trust),
        "inline": role.inline.iter().map(|(name, policy)| (name, json(policy))).collect::<Vec<_>>(),
        "attached": role.attached,
    }));
}

#[tokio::test]
async fn no_permission_stands_without_the_guard() {
    let target = Target::default();
    create(&target).await.unwrap();
    let calls = target.take_calls();
    assert_eq!(calls[..3], ["AssumeRole", "CreateRole", "PutRolePolicy daypass-guard"]);
    assert!(calls[3..].iter().all(|call| call.starts_with("AttachRolePolicy") || call.ends_with("daypass-persona")));
}

#[tokio::test]
async fn the_session_can_manage_this_role_only() {
    let target = Target::default();
    create(&target).await.unwrap();
    let sessions = std::mem::take(&mut target.state().sessions);
    let [(policy, external_id)] = &sessions[..] else { panic!("one session") };
    assert_eq!(external_id, "external");
    let resources = &json(policy)["Statement"][0]["Resource"];
    assert_eq!(resources[0], samples::transaction().role_arn.to_string());
    assert_eq!(json(policy)["Statement"].as_array().unwrap().len(), 2, "and ask whether it is there");
}

/// Wherever it was interrupted, with or without the last call carried out, the next attempt completes the role.
#[tokio::test]
async fn any_attempt_can_be_continued() {
    let good = good().await;
    let calls = {
        let target = Target::default();
        create(&target).await.unwrap();
        target.take_calls().len()
    };
    for nth in 0..calls {
        for carried_out in [false, true] {
            let target = Target::default();
            let fault = Fault { call: FaultyCall::Nth(nth), code: "ServiceFailure", carried_out };
            target.state().faults.push(fault);
            assert_eq!(create(&target).await.unwrap_err().name(), ErrorName::AwsUnavailable);
            target.state().faults.clear();
            create(&target).await.unwrap();
            assert_eq!(role(&target), good, "interrupted at call {nth}");
        }
    }
}

#[tokio::test]
async fn only_its_own_role_is_continued() {
    type Change = fn(&mut TargetRole);
    let changes: [Change; 4] = [
        |role| role.tags.clear(),
        |role| drop(role.tags.insert(TRANSACTION_TAG.to_owned(), "another".to_owned())),
        |role| role.boundary = None,
        |role| role.arn = role.arn.replace("/daypass/", "/"),
    ];
    for change in changes {
        let target = Target::default();
        let mut taken = TargetRole { inline: [].into(), attached: [].into(), ..good().await };
        change(&mut taken);
        target.state().roles.insert(samples::transaction().role_name, taken.clone());
        let error = create(&target).await.unwrap_err();
        assert_eq!(error.name(), ErrorName::RoleConflict);
        insta::assert_snapshot!("conflict", error);
        assert_eq!(role(&target), taken, "it is left alone");

        // In the place of a role that may have been made before, it is that one: it has to go. Elsewhere it is not.
        let transaction = samples::transaction();
        let again = CreateRoleInput { transaction, again: true };
        let error = task(&target).run(again, samples::requested_at()).await.unwrap_err();
        let elsewhere = taken.arn != samples::transaction().role_arn.to_string();
        let name = if elsewhere { ErrorName::RoleConflict } else { ErrorName::TransactionMismatch };
        assert_eq!(error.name(), name, "{error}");
        insta::assert_snapshot!(if elsewhere { "conflict" } else { "changed" }, error);
        assert_eq!(role(&target), taken, "delete-role takes it");
    }
}

fn refuse(target: &Target, operation: &'static str, code: &'static str) {
    target.state().faults.push(Fault { call: FaultyCall::Operation(operation), code, carried_out: false });
}

/// `CreateRole` has taken effect though nobody heard, and IAM does not show the role yet: the SDK calls again, and the name is
/// taken. By the next attempt it is shown.
#[tokio::test]
async fn what_cannot_be_read_is_nobody_elses() {
    let good = good().await;
    for code in ["AccessDenied", "NoSuchEntity"] {
        let target = Target::default();
        let lost = Fault { call: FaultyCall::Operation("CreateRole"), code: "ServiceFailure", carried_out: true };
        target.state().faults.push(lost);
        create(&target).await.unwrap_err();
        target.state().faults.clear();
        refuse(&target, "GetRole", code);
        assert_eq!(create(&target).await.unwrap_err().name(), ErrorName::RoleNotVisibleYet, "{code}");
        target.state().faults.clear();
        create(&target).await.unwrap();
        assert_eq!(role(&target), good);
    }
}

/// IAM judges a call about a role that it does not show yet by a name without a path, and may refuse it.
#[tokio::test]
async fn a_role_that_was_just_made_may_not_be_shown_yet() {
    let good = good().await;
    for missing in [Missing::NoSuchEntity, Missing::JudgedByName, Missing::Denied] {
        let target = Target::default();
        target.state().missing = missing;
        target.state().invisible = true;
        for _ in 0..2 {
            assert_eq!(create(&target).await.unwrap_err().name(), ErrorName::RoleNotVisibleYet, "{missing:?}");
        }
        target.state().invisible = false;
        create(&target).await.unwrap();
        assert_eq!(role(&target), good);
    }
    for operation in ["PutRolePolicy", "AttachRolePolicy"] {
        for code in ["AccessDenied", "NoSuchEntity"] {
            let target = Target::default();
            refuse(&target, operation, "AccessDenied");
            refuse(&target, "GetRole", code);
            assert_eq!(create(&target).await.unwrap_err().name(), ErrorName::RoleNotVisibleYet, "{operation} {code}");
        }
    }
}

#[tokio::test]
async fn a_refusal_about_a_role_that_is_shown_is_one() {
    for operation in ["PutRolePolicy", "AttachRolePolicy"] {
        let target = Target::default();
        refuse(&target, operation, "AccessDenied");
        let error = create(&target).await.unwrap_err();
        assert_eq!(error.name(), ErrorName::AwsUnavailable);
        let words = format!("iam:{operation} failed with AccessDenied: {operation} says AccessDenied");
        assert_eq!(error.to_string(), words);
        // Nor is it anything else when IAM cannot be asked.
        refuse(&target, "GetRole", "ServiceFailure");
        target.state().roles.clear();
        assert_eq!(create(&target).await.unwrap_err().to_string(), words);
    }
}

/// Nothing is made, nothing more is called, and the next attempt would be told the same.
#[tokio::test]
async fn a_refusal_to_make_the_role_is_told_by_the_first_attempt() {
    let mut texts = String::new();
    for (answer, name) in [
        (BY_ORGANIZATION, ErrorName::TargetAccountRefused),
        (BY_BOUNDARY, ErrorName::TargetAccountRefused),
        ("AccessDenied", ErrorName::TargetAccountRefused),
        (NOT_ALLOWED, ErrorName::TargetAccountNotOnboarded),
        (NO_BOUNDARY, ErrorName::TargetAccountNotOnboarded),
    ] {
        let target = Target::default();
        refuse(&target, "CreateRole", answer);
        let error = create(&target).await.unwrap_err();
        assert_eq!(error.name(), name, "{answer}");
        assert_eq!(target.take_calls(), ["AssumeRole", "CreateRole"]);
        writeln!(texts, "{name}\n  {error}").unwrap();
    }
    insta::assert_snapshot!(texts);
}

/// After a refusal that is not one of permission nobody knows what was made: the first attempt does not call it final.
#[tokio::test]
async fn only_a_denial_says_that_nothing_was_made() {
    for code in ["MalformedPolicyDocument", "NeverHeardOf"] {
        let target = Target::default();
        refuse(&target, "CreateRole", code);
        assert_eq!(create(&target).await.unwrap_err().name(), ErrorName::AwsUnavailable, "{code}");
        assert_eq!(create_again(&target, LAG).await.unwrap_err().name(), ErrorName::TargetAccountRefused, "{code}");
    }
}

/// The SDK would call again, and its second answer would say nothing of the first call.
#[tokio::test]
async fn the_first_attempt_calls_once() {
    for (again, times) in [(false, 1), (true, 3)] {
        let target = Target::default();
        refuse(&target, "CreateRole", "ServiceFailure");
        let config = target.config().into_builder().retry_config(RetryConfig::standard()).build();
        let provisioner = Provisioner::new(&config, "external".to_owned());
        let task = CreateRole::new(provisioner, PIPELINE_ROLE.parse().unwrap(), Personas::parse(PERSONAS).unwrap());
        let input = CreateRoleInput { transaction: samples::transaction(), again };
        assert_eq!(task.run(input, samples::requested_at()).await.unwrap_err().name(), ErrorName::AwsUnavailable);
        assert_eq!(target.take_calls().iter().filter(|call| *call == "CreateRole").count(), times, "again: {again}");
    }
}

/// A role that was made has to go: the machine deletes it after a second attempt, and only that one tells.
#[tokio::test]
async fn a_refusal_after_the_role_was_made_is_told_by_the_next_attempt() {
    let moment = Duration::ZERO;
    for operation in ["PutRolePolicy", "AttachRolePolicy"] {
        for (answer, after, name) in [
            (BY_ORGANIZATION, moment, ErrorName::TargetAccountRefused),
            (BY_BOUNDARY, moment, ErrorName::TargetAccountRefused),
            // IAM may have judged by the name without the path, until it is too late for that.
            (NOT_ALLOWED, moment, ErrorName::AwsUnavailable),
            (NOT_ALLOWED, LAG, ErrorName::TargetAccountNotOnboarded),
            ("AccessDenied", moment, ErrorName::AwsUnavailable),
            ("AccessDenied", LAG, ErrorName::TargetAccountRefused),
            ("MalformedPolicyDocument", moment, ErrorName::TargetAccountRefused),
            ("LimitExceeded: Cannot exceed quota for PoliciesPerRole: 10", moment, ErrorName::TargetAccountRefused),
            ("ServiceFailure", LAG, ErrorName::AwsUnavailable),
        ] {
            let target = Target::default();
            refuse(&target, operation, answer);
            assert_eq!(create(&target).await.unwrap_err().name(), ErrorName::AwsUnavailable, "{operation} {answer}");
            assert_eq!(create_again(&target, after).await.unwrap_err().name(), name, "{operation} {answer} {after:?}");
            // What IAM does not show yet is nothing to judge by, and neither is what it does not tell.
            if answer.starts_with("AccessDenied") {
                for (code, name) in
                    [("NoSuchEntity", ErrorName::RoleNotVisibleYet), ("ServiceFailure", ErrorName::AwsUnavailable)]
                {
                    target.state().roles.clear();
                    refuse(&target, "GetRole", code);
                    assert_eq!(
                        create_again(&target, LAG).await.unwrap_err().name(),
                        name,
                        "{operation} {answer} {code}"
                    );
                    target.state().faults.pop();
                }
            }
        }
    }
}

/// Somebody else may be changing the role: that is waited for in place, and not for ever.
#[tokio::test]
async fn others_who_change_the_role_are_waited_for() {
    let good = good().await;
    for operation in ["CreateRole", "PutRolePolicy", "AttachRolePolicy"] {
        let target = Target::default();
        let call = FaultyCall::First(24, operation);
        target.state().faults.push(Fault { call, code: "ConcurrentModification", carried_out: false });
        create(&target).await.unwrap();
        assert_eq!(role(&target), good, "{operation}");
        assert!(target.take_calls().iter().filter(|call| call.starts_with(operation)).count() > 24, "{operation}");
        target.state().roles.clear();
        refuse(&target, operation, "ConcurrentModification");
        assert_eq!(create(&target).await.unwrap_err().name(), ErrorName::AwsUnavailable);
    }
}

/// They would be in each other's way: IAM makes one change of a role at a time.
#[tokio::test]
async fn the_roles_policies_come_one_after_the_other() {
    let target = Target::default();
    let personas = Personas::parse(PERSONAS).unwrap();
    create(&target).await.unwrap();
    let transaction = samples::transaction();
    let environment = personas.environment(transaction.environment.as_ref().unwrap()).unwrap();
    let entitlement = personas.persona(&transaction.persona).unwrap().entitlement(environment);
    let attached = entitlement.managed_policies.iter().map(|arn| format!("AttachRolePolicy {arn}"));
    let custom = entitlement.custom_policy.iter().map(|_| "PutRolePolicy daypass-persona".to_owned());
    let expected: Vec<_> = custom.chain(attached).collect();
    assert_eq!(target.take_calls()[3..], expected);
}

#[tokio::test]
async fn what_goes_wrong_has_a_name_and_a_remedy() {
    let cases = [
        ("AssumeRole", "AccessDenied", ErrorName::TargetAccountNotOnboarded),
        ("AssumeRole", "Throttling", ErrorName::Throttled),
        ("CreateRole", "LimitExceeded", ErrorName::QuotaExceeded),
        ("CreateRole", NO_BOUNDARY, ErrorName::TargetAccountNotOnboarded),
        ("CreateRole", BY_ORGANIZATION, ErrorName::TargetAccountRefused),
        ("CreateRole", "MalformedPolicyDocument", ErrorName::TargetAccountRefused),
        ("CreateRole", "Throttling", ErrorName::Throttled),
        ("PutRolePolicy", "NoSuchEntity", ErrorName::RoleNotVisibleYet),
        ("AttachRolePolicy", "NoSuchEntity", ErrorName::RoleNotVisibleYet),
        ("AttachRolePolicy", "LimitExceeded", ErrorName::TargetAccountRefused),
        ("AttachRolePolicy", "AccessDenied", ErrorName::TargetAccountRefused),
        ("AttachRolePolicy", NOT_ALLOWED, ErrorName::TargetAccountNotOnboarded),
        ("AttachRolePolicy", "ServiceFailure", ErrorName::AwsUnavailable),
    ];
    let mut texts = String::new();
    for (operation, code, name) in cases {
        let target = Target::default();
        let fault = Fault { call: FaultyCall::Operation(operation), code, carried_out: false };
        target.state().faults.push(fault);
        let error = create_again(&target, LAG).await.unwrap_err();
        assert_eq!(error.name(), name, "{operation} {code}");
        writeln!(texts, "{operation} {code}: {name}\n  {error}").unwrap();
    }
    insta::assert_snapshot!(texts);
}

#[tokio::test]
async fn personas_json_may_have_changed_meanwhile() {
    let target = Target::default();
    let transaction = Transaction { environment: Some("staging".to_owned()), ..samples::transaction() };
    let error =
        task(&target).run(CreateRoleInput { transaction, again: false }, samples::requested_at()).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::InvalidRequest);
    insta::assert_snapshot!(
        error,
        @"persona `Product_Admin` no longer exists in environment `staging`: personas.json has changed since the \
         request was validated; request again"
    );
    assert!(target.take_calls().is_empty());
}

#[test]
fn a_policy_that_aws_does_not_have() {
    let source = || aws_error("iam:AttachRolePolicy", "NoSuchEntity");
    let error = CreateRoleError::UnknownPolicy { arn: "arn:aws:iam::aws:policy/Typo".to_owned(), source: source() };
    assert_eq!(error.name(), ErrorName::TargetAccountRefused);
    insta::assert_snapshot!(
        error,
        @"policy `arn:aws:iam::aws:policy/Typo` does not exist; the platform team has to correct personas.json"
    );
}

/// Every persona gets its entitlement, in every environment, and fits what IAM allows.
#[tokio::test]
async fn every_persona_fits() {
    let personas = Personas::parse(PERSONAS).unwrap();
    for persona in personas.personas() {
        for environment in personas.environments() {
            let target = Target::default();
            let (persona_name, environment_name) = (persona.name().to_owned(), environment.name().to_owned());
            let transaction =
                Transaction { persona: persona_name, environment: Some(environment_name), ..samples::transaction() };
            task(&target).run(CreateRoleInput { transaction, again: false }, samples::requested_at()).await.unwrap();
            let role = role(&target);
            let entitlement = persona.entitlement(environment);
            assert_eq!(role.attached, entitlement.managed_policies.iter().cloned().collect());
            let custom = entitlement.custom_policy.as_ref().map(Policy::to_json);
            assert_eq!(role.inline.get(PERSONA_POLICY_NAME), custom.as_ref());
            assert!(role.inline[GUARD_POLICY].len() <= GUARD_POLICY_CHARS);
            assert!(role.inline.values().map(String::len).sum::<usize>() <= 10_240);
            assert!(role.trust.len() <= 2_048);
        }
    }
}

#[test]
fn tags_are_what_iam_takes() {
    let transaction = Transaction {
        email: "o'brien@example.com".parse().unwrap(),
        branch: "fix/#12".to_owned(),
        run_url: Some("https://ci.example.com/?run=1&x=~".to_owned()),
        ..samples::transaction()
    };
    insta::assert_json_snapshot!(policies::tags(&transaction));
}
