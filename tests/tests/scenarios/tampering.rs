//! Deploy roles that somebody with more rights has changed are deleted all the same, with whatever hangs on them.

use aws_sdk_iam::Client;
use aws_sdk_sfn::types::ExecutionStatus;
use daypass_tests::{
    pipeline::{Access, Account, Request},
    stack::Stack,
};

const EVERYTHING: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
const ANYBODY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"sts:AssumeRole"}]}"#;

/// What the target's administrator does to the role.
#[derive(Clone, Copy, Debug)]
enum Tampering {
    MoreInlinePolicies,
    MoreManagedPolicies,
    InstanceProfiles,
    NoBoundary,
    AnotherTrustPolicy,
    NoTags,
    NoGuard,
}

use Tampering::*;

const ALL: [Tampering; 7] =
    [MoreInlinePolicies, MoreManagedPolicies, InstanceProfiles, AnotherTrustPolicy, NoTags, NoGuard, NoBoundary];

impl Tampering {
    async fn with(self, iam: &Client, access: &Access) {
        let role = access.role_name();
        match self {
            MoreInlinePolicies => {
                for name in ["backdoor", "zz-last", "daypass-other"] {
                    let put = iam.put_role_policy().role_name(&role).policy_name(name).policy_document(EVERYTHING);
                    put.send().await.unwrap();
                }
            }
            MoreManagedPolicies => {
                let own = format!("own-{}", access.transaction_id);
                let own = iam.create_policy().policy_name(own).policy_document(EVERYTHING).send().await.unwrap();
                let own = own.policy.unwrap().arn.unwrap();
                for arn in
                    ["arn:aws:iam::aws:policy/AdministratorAccess", "arn:aws:iam::aws:policy/ReadOnlyAccess", &own]
                {
                    iam.attach_role_policy().role_name(&role).policy_arn(arn).send().await.unwrap();
                }
            }
            InstanceProfiles => {
                for (path, name) in profiles(access) {
                    iam.create_instance_profile().path(path).instance_profile_name(&name).send().await.unwrap();
                    let add = iam.add_role_to_instance_profile().instance_profile_name(&name).role_name(&role);
                    add.send().await.unwrap();
                }
            }
            NoBoundary => {
                iam.delete_role_permissions_boundary().role_name(&role).send().await.unwrap();
            }
            AnotherTrustPolicy => {
                iam.update_assume_role_policy().role_name(&role).policy_document(ANYBODY).send().await.unwrap();
            }
            NoTags => {
                let tags = iam.list_role_tags().role_name(&role).send().await.unwrap().tags;
                let keys = tags.into_iter().map(|tag| tag.key).collect();
                iam.untag_role().role_name(&role).set_tag_keys(Some(keys)).send().await.unwrap();
            }
            NoGuard => {
                for name in iam.list_role_policies().role_name(&role).send().await.unwrap().policy_names {
                    iam.delete_role_policy().role_name(&role).policy_name(name).send().await.unwrap();
                }
            }
        }
    }
}

fn profiles(access: &Access) -> [(&'static str, String); 2] {
    let id = access.transaction_id;
    [("/", format!("profile-{id}")), ("/deployed-by-daypass/", format!("another-profile-{id}"))]
}

async fn assert_deleted_after(all: &[Tampering]) {
    let stack = Stack::shared().await;
    let access = stack.provision(&Request::by("alex")).await;
    let iam = stack.root(Account::Development.id()).iam();
    for tampering in all {
        tampering.with(&iam, &access).await;
    }
    let ended = stack.released(&access).await;
    assert_eq!(ended.status, ExecutionStatus::Succeeded, "{all:?}: {ended:?}");
    assert!(!stack.role_is_there(&access).await, "{all:?}");
    assert_eq!(stack.status(access.transaction_id).await, "deprovisioned", "{all:?}");
    if all.iter().any(|it| matches!(it, InstanceProfiles)) {
        for (_, name) in profiles(&access) {
            let profile = iam.get_instance_profile().instance_profile_name(&name).send().await.unwrap();
            assert!(profile.instance_profile.unwrap().roles.is_empty(), "{name} is somebody's: it stays, empty");
            iam.delete_instance_profile().instance_profile_name(&name).send().await.unwrap();
        }
    }
}

#[tokio::test]
async fn each_way_alone() {
    for tampering in ALL {
        assert_deleted_after(&[tampering]).await;
    }
}

#[tokio::test]
async fn all_ways_at_once() {
    assert_deleted_after(&ALL).await;
}

/// What was taken off the role is on record.
#[tokio::test]
async fn what_hung_on_the_role_is_on_record() {
    let stack = Stack::shared().await;
    let access = stack.provision(&Request::by("alex")).await;
    let iam = stack.root(Account::Development.id()).iam();
    for tampering in [MoreInlinePolicies, MoreManagedPolicies, InstanceProfiles] {
        tampering.with(&iam, &access).await;
    }
    stack.released(&access).await;
    let item = stack.item(access.transaction_id.end()).await.expect("the item of the end");
    for tampered in ["backdoor", "arn:aws:iam::aws:policy/AdministratorAccess", &profiles(&access)[0].1] {
        assert!(item.to_string().contains(tampered), "{tampered} in {item:#}");
    }
    for (_, name) in profiles(&access) {
        iam.delete_instance_profile().instance_profile_name(&name).send().await.unwrap();
    }
}
