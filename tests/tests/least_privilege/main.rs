//! Least privilege, measured: what the deployed policies allow, against what all scenarios needed.
//!
//! It runs after the scenarios, against an engine that they have used (`make test-e2e`), and compares in both directions: every
//! permission of every role that Daypass deploys was needed by some call, and every call was allowed by a statement with a
//! name that is deployed. What the engine cannot show stands in `exceptions.rs`, with the reasons.
//!
//! Scenarios that were played on other engines, to which the same was deployed, have left what their calls needed in the files of
//! `DAYPASS_USES`, as `python -m daypass_local run --uses FILE` writes it.
//!
//! When only some scenarios were played (`TEST=…`), what they did not need is not judged, and it says so.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "these are tests, helpers included")]

use std::{collections::BTreeSet, env, fs};

use daypass_tests::{
    engine::{Needs, PolicyOf},
    stack::Stack,
};

mod environments;
mod exceptions;
mod policies;

use self::{
    exceptions::{EXPECTED_REFUSALS, ExpectedRefusal, NEED_NO_PERMISSION, NOT_SHOWN},
    policies::{Permission, Role, deployed_roles},
};

/// What there is to compare.
struct Measured {
    roles: Vec<Role>,
    needs: Needs,
    /// Whether every scenario was played.
    all: bool,
}

impl Measured {
    async fn now() -> Self {
        let stack = Stack::shared().await;
        let all = env::var("DAYPASS_ONLY_SOME_SCENARIOS").map_or(true, |some| some.is_empty());
        let mut needs = stack.engine.needs().await;
        for file in env::var("DAYPASS_USES").unwrap_or_default().split_whitespace() {
            let elsewhere = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
            let elsewhere: Needs = serde_json::from_str(&elsewhere).unwrap_or_else(|error| panic!("{file}: {error}"));
            needs.uses.extend(elsewhere.uses);
            needs.refusals.extend(elsewhere.refusals);
        }
        Self { roles: deployed_roles(&stack).await, needs: of_roles(needs), all }
    }

    /// The role that is meant, if it is one whose calls Daypass itself makes: a session that a test has made of it, to
    /// try what it could do, is no measure.
    fn role(&self, principal: &str, via: Option<&str>) -> Option<&Role> {
        let role = self.roles.iter().find(|role| role.arn == principal)?;
        role.is_worn_by(via).then_some(role)
    }

    fn permissions(&self) -> BTreeSet<&Permission> {
        self.roles.iter().flat_map(|role| &role.permissions).collect()
    }

    /// Every permission that some call needed.
    fn needed(&self) -> BTreeSet<&Permission> {
        let is_needed = |permission: &&Permission| {
            self.needs.uses.iter().any(|it| {
                let role = self.role(&it.principal, it.via.as_deref());
                it.grant.as_ref().is_some_and(|grant| permission.gives(role, grant))
            })
        };
        self.permissions().into_iter().filter(is_needed).collect()
    }
}

/// Both targets are deployed from one template: what one of them needs, the other may.
fn of_roles(mut needs: Needs) -> Needs {
    for it in &mut needs.uses {
        it.principal = policies::anywhere(&it.principal);
        if let Some(grant) = &mut it.grant {
            grant.resource = policies::anywhere(&grant.resource);
        }
    }
    for it in &mut needs.refusals {
        it.principal = policies::anywhere(&it.principal);
        it.resource = policies::anywhere(&it.resource);
    }
    needs
}

#[tokio::test]
async fn nothing_is_allowed_that_no_call_needs() {
    let measured = Measured::now().await;
    if !measured.all {
        println!("NOT JUDGED: what is allowed and not needed, because only some scenarios were played");
        return;
    }
    let needed = measured.needed();
    let excused = |it: &Permission| NOT_SHOWN.iter().any(|exception| exception.covers(it));
    let unused: Vec<_> = measured.permissions().into_iter().filter(|it| !needed.contains(it) && !excused(it)).collect();
    assert!(unused.is_empty(), "allowed, and needed by no call: {unused:#?}");
}

#[tokio::test]
async fn every_exception_is_still_one() {
    let measured = Measured::now().await;
    let needed = measured.needed();
    for exception in NOT_SHOWN {
        let covered: Vec<_> = measured.permissions().into_iter().filter(|it| exception.covers(it)).collect();
        assert!(!covered.is_empty(), "nothing is left of {exception:?}");
        let shown: Vec<_> = covered.into_iter().filter(|it| needed.contains(it)).collect();
        assert!(shown.is_empty(), "the engine does show {shown:?}, which {exception:?} is about");
    }
    if !measured.all {
        return;
    }
    for (action, why) in NEED_NO_PERMISSION {
        assert!(measured.needs.uses.iter().any(|it| it.call == action), "no call of {action}: {why}");
    }
    for expected in EXPECTED_REFUSALS {
        for refusal in expected.each() {
            assert!(measured.needs.refusals.contains(&refusal), "not refused any more: {refusal:?} of {expected:?}");
        }
    }
}

#[tokio::test]
async fn every_call_is_allowed_by_a_statement_with_a_name() {
    let measured = Measured::now().await;
    let mut judged = 0;
    for it in &measured.needs.uses {
        let role = measured.role(&it.principal, it.via.as_deref());
        let Some(grant) = &it.grant else {
            let free = NEED_NO_PERMISSION.iter().any(|(action, _)| it.call == *action);
            assert!(role.is_none() || free, "needs no permission, or was not judged: {it:?}");
            continue;
        };
        let given = measured.permissions().into_iter().any(|permission| permission.gives(role, grant));
        // The trust policies of deploy roles are made with them; here it is about what is deployed.
        // A key's own policy hands over to the account's policies, which are judged beside it.
        let elsewhere = grant.policy == PolicyOf::Resource
            && [":role/daypass/daypass-", ":key/"].iter().any(|part| grant.resource.contains(part));
        assert!(role.is_none() || given || elsewhere, "allowed by nothing that is deployed: {it:?}");
        judged += usize::from(role.is_some());
    }
    assert!(judged > 0, "no call of Daypass was recorded: this runs after the scenarios");
}

/// With IAM enforced a missing permission is a refusal, and some task would have had to cope with it.
#[tokio::test]
async fn nothing_is_refused_that_a_task_does_not_expect() {
    let measured = Measured::now().await;
    let refused = measured.needs.refusals.iter().filter(|it| {
        // Whoever holds the roles of pipelines tries more than they may.
        measured.role(&it.principal, it.via.as_deref()).is_some_and(|role| !role.is_of_pipelines())
    });
    let expected: Vec<_> = EXPECTED_REFUSALS.iter().flat_map(ExpectedRefusal::each).collect();
    let surprising: Vec<_> = refused.filter(|it| !expected.contains(it)).collect();
    assert!(surprising.is_empty(), "{surprising:#?}");
}
