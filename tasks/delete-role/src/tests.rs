use std::{collections::BTreeSet, fmt::Write};

use daypass::stage::Named;
use daypass_testing::samples::{
    self, aws_error,
    target::{Fault, FaultyCall, Missing, Role as TargetRole, Target},
};
use serde_json::json;

use super::*;

/// A role as create-role leaves it, and with what a hostile or careless administrator adds.
fn tampered() -> TargetRole {
    let arn = samples::transaction().role_arn;
    let names = |prefix: &str| (1..=5).map(|n| format!("{prefix}-{n}")).collect::<BTreeSet<_>>();
    let mut inline = names("extra");
    inline.extend(["daypass-guard".to_owned(), "daypass-persona".to_owned()]);
    TargetRole {
        boundary: Some(arn.boundary()),
        arn: arn.to_string(),
        attached: names("arn:aws:iam::aws:policy/Extra"),
        inline: inline.into_iter().map(|name| (name, "{}".to_owned())).collect(),
        profiles: names("profile"),
        ..TargetRole::default()
    }
}

fn target(role: TargetRole) -> Target {
    let target = Target::default();
    target.state().roles.insert(samples::transaction().role_name, role);
    target
}

fn is_gone(target: &Target) -> bool {
    target.state().roles.is_empty()
}

/// Every call that the task makes about the role.
const CALLS: [&str; 8] = [
    "PutRolePolicy",
    "ListAttachedRolePolicies",
    "ListRolePolicies",
    "ListInstanceProfilesForRole",
    "DetachRolePolicy",
    "DeleteRolePolicy",
    "DeleteRole",
    "GetRole",
];

fn refuse(target: &Target, operations: &[&'static str], code: &'static str) {
    let fault = |operation| Fault { call: FaultyCall::Operation(operation), code, carried_out: false };
    target.state().faults.extend(operations.iter().copied().map(fault));
}

/// Deletes the role long after it was made.
async fn delete_old(target: &Target) -> Result<DeletedRole, DeleteRoleError> {
    delete(target, 60).await
}

/// Deletes the role at an age of `minutes`.
async fn delete(target: &Target, minutes: u64) -> Result<DeletedRole, DeleteRoleError> {
    let transaction = samples::transaction();
    let input = DeleteRoleInput {
        transaction_id: transaction.transaction_id,
        role_arn: transaction.role_arn,
        role_created_at: Some(samples::requested_at()),
    };
    let provisioner = Provisioner::new(&target.config(), "external".to_owned());
    let now = samples::requested_at().plus(Duration::from_mins(minutes));
    DeleteRole::new(provisioner).run(input, now).await
}

#[tokio::test]
async fn whatever_hangs_on_the_role_goes_with_it() {
    let target = target(tampered());
    insta::assert_json_snapshot!(delete(&target, 60).await.unwrap());
    assert!(is_gone(&target));
}

#[tokio::test]
async fn access_ends_first_and_nothing_is_allowed_meanwhile() {
    let target = target(tampered());
    delete(&target, 60).await.unwrap();
    let calls = target.take_calls();
    let at = |wanted: &str| calls.iter().position(|call| call == wanted).unwrap();
    assert_eq!(calls[..2], ["AssumeRole", "PutRolePolicy daypass-deny-all"]);
    let lifted = at("DeleteRolePolicy daypass-deny-all");
    assert!(at("DetachRolePolicy arn:aws:iam::aws:policy/Extra-5") < at("DeleteRolePolicy daypass-guard"));
    assert!(calls[..lifted].iter().any(|call| call == "DeleteRolePolicy daypass-persona"));
    assert!(calls[lifted + 1..].iter().all(|call| !call.starts_with("DeleteRolePolicy")));
    assert_eq!(calls[calls.len() - 2..], ["DeleteRole", "GetRole"]);
    insta::assert_snapshot!(
        deny_all().to_json(),
        @r#"{"Version":"2012-10-17","Statement":[{"Sid":"DenyAll","Effect":"Deny","Action":"*","Resource":"*"}]}"#
    );
}

/// Wherever it was interrupted, with or without the last call carried out, the next attempt deletes the role.
#[tokio::test]
async fn any_attempt_can_be_continued() {
    for missing in [Missing::NoSuchEntity, Missing::JudgedByName] {
        let calls = {
            let target = target(tampered());
            delete(&target, 60).await.unwrap();
            target.take_calls().len()
        };
        for nth in 0..calls {
            for carried_out in [false, true] {
                let target = target(tampered());
                target.state().missing = missing;
                let fault = Fault { call: FaultyCall::Nth(nth), code: "ServiceFailure", carried_out };
                target.state().faults.push(fault);
                let interrupted = delete(&target, 60).await;
                if nth + 1 == calls {
                    assert!(interrupted.unwrap().existed, "IAM has deleted it, and could only not be asked any more");
                } else {
                    assert_eq!(interrupted.unwrap_err().name(), ErrorName::AwsUnavailable);
                }
                target.state().faults.clear();
                delete(&target, 60).await.unwrap();
                assert!(is_gone(&target), "interrupted at call {nth}");
                assert!(!delete(&target, 60).await.unwrap().existed, "and once more");
            }
        }
    }
}

/// Each step may find that its work has been done: the same as any one thing being gone from the role.
#[tokio::test]
async fn every_step_tolerates_having_happened_before() {
    for operation in ["DetachRolePolicy", "DeleteRolePolicy", "RemoveRoleFromInstanceProfile", "DeleteRole"] {
        let target = target(tampered());
        let fault = Fault { call: FaultyCall::Operation(operation), code: "NoSuchEntity", carried_out: true };
        target.state().faults.push(fault);
        delete(&target, 60).await.unwrap();
        assert!(is_gone(&target), "{operation}");
    }
}

#[tokio::test]
async fn a_role_that_nothing_can_be_put_on_is_deleted_all_the_same() {
    let without_boundary = target(TargetRole { boundary: None, ..tampered() });
    delete(&without_boundary, 60).await.unwrap();
    assert!(is_gone(&without_boundary));
    let full = target(tampered());
    let fault = Fault { call: FaultyCall::Operation("PutRolePolicy"), code: "LimitExceeded", carried_out: false };
    full.state().faults.push(fault);
    delete(&full, 60).await.unwrap();
    assert!(is_gone(&full));
}

#[tokio::test]
async fn a_young_role_that_is_missing_is_not_visible_yet() {
    for missing in [Missing::NoSuchEntity, Missing::JudgedByName] {
        let target = target(tampered());
        target.state().missing = missing;
        target.state().invisible = true;
        for minutes in [0, 4] {
            assert_eq!(delete(&target, minutes).await.unwrap_err().name(), ErrorName::RoleNotVisibleYet);
        }
        target.state().invisible = false;
        assert!(delete(&target, 4).await.unwrap().existed, "seen and deleted: gone, however young");
        assert!(!delete(&target, 5).await.unwrap().existed, "old enough to be gone");
    }
}

/// Some of IAM knows the role, and some does not yet.
#[tokio::test]
async fn a_young_role_that_is_shown_but_cannot_be_found_is_not_gone() {
    let target = target(tampered());
    let fault = Fault { call: FaultyCall::Operation("DeleteRole"), code: "NoSuchEntity", carried_out: false };
    target.state().faults.push(fault);
    target.state().faults.push(Fault {
        call: FaultyCall::Operation("GetRole"),
        code: "NoSuchEntity",
        carried_out: false,
    });
    assert_eq!(delete(&target, 4).await.unwrap_err().name(), ErrorName::RoleNotVisibleYet);
    target.state().faults.clear();
    assert!(delete(&target, 4).await.unwrap().existed);
    assert!(is_gone(&target));
}

#[tokio::test]
async fn a_role_of_unknown_age_may_be_young() {
    let transaction = samples::transaction();
    let input = DeleteRoleInput {
        transaction_id: transaction.transaction_id,
        role_arn: transaction.role_arn,
        role_created_at: None,
    };
    let provisioner = Provisioner::new(&Target::default().config(), "external".to_owned());
    let error = DeleteRole::new(provisioner).run(input, samples::requested_at()).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::RoleNotVisibleYet);
}

/// What IAM refuses to show or to take off must not be read as gone.
#[tokio::test]
async fn a_role_that_stands_is_never_called_deleted() {
    let refused = [
        "ListInstanceProfilesForRole",
        "ListRolePolicies",
        "DetachRolePolicy",
        "RemoveRoleFromInstanceProfile",
        "DeleteRole",
    ];
    for operation in refused {
        let target = target(tampered());
        let fault = Fault { call: FaultyCall::Operation(operation), code: "AccessDenied", carried_out: false };
        target.state().faults.push(fault);
        assert_eq!(delete(&target, 60).await.unwrap_err().name(), ErrorName::AwsUnavailable, "{operation}");
        assert!(!is_gone(&target));
    }
}

/// A role with one of each kind of thing on it.
fn simple() -> TargetRole {
    let mut role = tampered();
    role.attached.split_off("arn:aws:iam::aws:policy/Extra-2");
    role.profiles.split_off("profile-2");
    role.inline.retain(|name, _| ["daypass-guard", "extra-1"].contains(&name.as_str()));
    role
}

/// Whatever IAM refuses: success is said when the role is gone, and then only. What stands can be used by nobody, as far as
/// IAM lets that be arranged. When IAM refuses nothing any more, the role goes.
#[tokio::test]
async fn a_refusal_is_no_absence() {
    for subset in 1..1_usize << CALLS.len() {
        let refused: Vec<_> = (0..CALLS.len()).filter(|n| subset >> n & 1 == 1).map(|n| CALLS[n]).collect();
        let target = target(simple());
        refuse(&target, &refused, "AccessDenied");
        match delete_old(&target).await {
            Ok(deleted) => assert!(deleted.existed && is_gone(&target), "{refused:?}"),
            Err(error) => {
                assert_eq!(error.name(), ErrorName::AwsUnavailable, "{refused:?}");
                assert!(error.to_string().contains("AccessDenied"), "{refused:?}: {error}");
                assert_is_of_no_use(&target, &refused);
            }
        }
        target.state().faults.clear();
        delete_old(&target).await.unwrap();
        assert!(is_gone(&target), "{refused:?}");
    }
}

fn assert_is_of_no_use(target: &Target, refused: &[&str]) {
    let role = target.state().roles[&samples::transaction().role_name].clone();
    let allows = !role.attached.is_empty() || role.inline.keys().any(|name| !name.starts_with("daypass-"));
    let denies_all = role.inline.contains_key(DENY_ALL_POLICY_NAME) || refused.contains(&"PutRolePolicy");
    assert!(!allows || denies_all && role.inline.contains_key(GUARD_POLICY), "{refused:?}: {role:?}");
}

#[tokio::test]
async fn a_refusal_keeps_nothing_else_from_being_tried() {
    let target = target(tampered());
    refuse(&target, &CALLS, "AccessDenied");
    delete_old(&target).await.unwrap_err();
    let lists = ["ListAttachedRolePolicies", "ListRolePolicies", "ListInstanceProfilesForRole"];
    let tried = ["AssumeRole", "PutRolePolicy daypass-deny-all", lists[0], lists[1], lists[2], "DeleteRole", "GetRole"];
    assert_eq!(target.take_calls(), tried);
}

/// Each of the others may be wrong, or not know yet.
#[tokio::test]
async fn that_a_call_finds_no_role_is_no_absence_either() {
    let target = target(tampered());
    refuse(&target, &CALLS[..CALLS.len() - 1], "NoSuchEntity");
    assert_eq!(delete_old(&target).await.unwrap_err().name(), ErrorName::AwsUnavailable, "it can be read");
    refuse(&target, &["GetRole"], "AccessDenied");
    assert_eq!(delete_old(&target).await.unwrap_err().name(), ErrorName::AwsUnavailable, "it cannot be told");
    assert!(!is_gone(&target));
}

/// The target stack of the version before lets the provisioner ask for roles that are there only.
#[tokio::test]
async fn an_older_target_stack_deletes_and_cannot_tell_what_is_gone() {
    let target = target(tampered());
    target.state().missing = Missing::Denied;
    assert!(delete_old(&target).await.unwrap().existed);
    let error = delete_old(&target).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::AwsUnavailable);
    insta::assert_snapshot!(
        error,
        @"IAM does not show Daypass whether \
         `arn:aws:iam::333333333333:role/daypass/daypass-6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11` exists: deploy the \
         stack DaypassTarget (or DaypassTargets) of this version in account 333333333333; where it is deployed, find \
         what denies its role `daypass-provisioner`, such as a service control policy (iam:GetRole failed with \
         AccessDenied: GetRole says AccessDenied)"
    );
}

/// Somebody else may be changing the role: that is waited for in place, and not for ever.
#[tokio::test]
async fn others_who_change_the_role_are_waited_for() {
    let changes =
        ["PutRolePolicy", "DetachRolePolicy", "DeleteRolePolicy", "RemoveRoleFromInstanceProfile", "DeleteRole"];
    for operation in changes {
        let target = target(tampered());
        let call = FaultyCall::First(24, operation);
        target.state().faults.push(Fault { call, code: "ConcurrentModification", carried_out: false });
        assert!(delete_old(&target).await.unwrap().existed, "{operation}");
        assert!(target.take_calls().iter().filter(|call| call.starts_with(operation)).count() > 24, "{operation}");
    }
    let target = target(tampered());
    refuse(&target, &changes, "ConcurrentModification");
    let error = delete_old(&target).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::AwsUnavailable);
    assert!(error.to_string().starts_with("iam:PutRolePolicy failed with ConcurrentModification"), "{error}");
}

#[tokio::test]
async fn only_the_transactions_own_role_is_deleted() {
    let target = target(tampered());
    for role in ["role/daypass/daypass-11111111-1111-1111-1111-111111111111", "role/admin"] {
        let input = DeleteRoleInput {
            transaction_id: samples::transaction().transaction_id,
            role_arn: format!("arn:aws:iam::333333333333:{role}").parse().unwrap(),
            role_created_at: None,
        };
        let provisioner = Provisioner::new(&target.config(), "external".to_owned());
        let error = DeleteRole::new(provisioner).run(input, samples::requested_at()).await.unwrap_err();
        assert_eq!(error.name(), ErrorName::InvalidRequest);
        assert!(target.take_calls().is_empty());
    }
}

#[tokio::test]
async fn the_session_can_manage_this_role_only() {
    let target = target(tampered());
    delete(&target, 60).await.unwrap();
    let sessions = std::mem::take(&mut target.state().sessions);
    let [(policy, external_id)] = &sessions[..] else { panic!("one session") };
    assert_eq!(external_id, "external");
    let policy: serde_json::Value = serde_json::from_str(policy).unwrap();
    let resources = json!([samples::transaction().role_arn, "arn:aws:iam::333333333333:instance-profile/*"]);
    assert_eq!(policy["Statement"][0]["Resource"], resources);
    assert_eq!(policy["Statement"].as_array().unwrap().len(), 2, "and ask whether it is there");
}

#[tokio::test]
async fn what_goes_wrong_has_a_name() {
    let mut texts = String::new();
    for (operation, code, name) in [
        ("AssumeRole", "AccessDenied", ErrorName::TargetAccountNotOnboarded),
        ("AssumeRole", "AccessDenied: with an explicit deny in a service control policy", ErrorName::AwsUnavailable),
        ("PutRolePolicy", "Throttling", ErrorName::Throttled),
        ("ListRolePolicies", "Throttling", ErrorName::Throttled),
        ("DeleteRole", "DeleteConflict", ErrorName::AwsUnavailable),
        ("DeleteRole", "AccessDenied", ErrorName::AwsUnavailable),
        ("ListRolePolicies", "AccessDenied", ErrorName::AwsUnavailable),
    ] {
        let target = target(tampered());
        target.state().faults.push(Fault { call: FaultyCall::Operation(operation), code, carried_out: false });
        let error = delete(&target, 60).await.unwrap_err();
        assert_eq!(error.name(), name, "{operation} {code}");
        writeln!(texts, "{operation} {code}: {name}\n  {error}").unwrap();
    }
    let (role, transaction) = (samples::transaction().role_arn, samples::transaction().transaction_id);
    let own = [
        DeleteRoleError::NotOfTransaction { role: role.provisioner(), transaction },
        DeleteRoleError::NotVisibleYet { role: role.clone() },
        DeleteRoleError::StillThere,
        DeleteRoleError::NotTold { role: role.clone(), source: aws_error("iam:GetRole", "AccessDenied") },
    ];
    for error in &own {
        writeln!(texts, "{}\n  {error}", error.name()).unwrap();
    }
    insta::assert_snapshot!(texts);
}
