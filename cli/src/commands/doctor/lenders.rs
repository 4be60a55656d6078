//! What lends a deployment more strength than its boundary leaves.

use aws_types::SdkConfig;

use super::check::Check;
use crate::commands::shield::{account::Account, counted, described, plan::Plan};

const NAME: &str = "shield";
/// How many are named.
const NAMED: usize = 3;

/// Looks with credentials of the target account.
pub async fn look(config: &SdkConfig) -> Check {
    match Account::of(config).await {
        Ok(account) => judge(&Plan::of(&account.facts(|_| {}).await)),
        Err(error) => Check::error(NAME, &error),
    }
}

fn judge(plan: &Plan) -> Check {
    let (left, region) = (plan.left().count(), &plan.place.region);
    if left > 0 {
        let named: Vec<_> = plan.left().take(NAMED).map(described).collect();
        let more = if left > NAMED { ", …" } else { "" };
        return Check::warn(
            NAME,
            format!(
                "a deployment can get more rights by {} in {region} whose role is stronger than the boundary: {}{more}",
                counted(left, "resource"),
                named.join(", ")
            ),
            "`daypass shield plan` lists them, `daypass shield apply` shields them (docs/existing-accounts.md)",
        );
    }
    if plan.unread.is_empty() {
        return Check::ok(NAME, format!("nothing in {region} lends a role that is stronger than the boundary"));
    }
    Check::skipped(NAME, format!("not everything in {region} could be looked at: {}", plan.unread.join("; ")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{super::check::Status, *};
    use crate::commands::shield::plan::{Facts, Kind, Lender, Place};

    fn plan(lenders: usize, unread: &[&str]) -> Plan {
        let place = Place { account: "222222222222".into(), partition: "aws".into(), region: "eu-central-1".into() };
        let lender = |i| Lender {
            kind: Kind::Function,
            name: format!("f{i}"),
            arn: format!("arn:aws:lambda:eu-central-1:222222222222:function:f{i}"),
            roles: Ok(BTreeSet::from(["arn:aws:iam::222222222222:role/unread".to_owned()])),
            tags: Ok([].into()),
            stack: None,
        };
        let lenders = (0..lenders).map(lender).collect();
        let unread = unread.iter().map(|&it| it.to_owned()).collect();
        Plan::of(&Facts { place, lenders, roles: [].into(), policies: [].into(), unread })
    }

    #[test]
    fn what_lends_strength_is_a_warning_with_the_first_of_it() {
        let check = judge(&plan(5, &["stacks cannot be listed: x"]));
        assert_eq!(check.status, Status::Warn);
        let expected = "a deployment can get more rights by 5 resources in eu-central-1 whose role is stronger than the \
                        boundary: function f0, function f1, function f2, …";
        assert_eq!(check.detail, expected);
        assert!(check.remedy.is_some_and(|text| text.contains("`daypass shield plan`")));
    }

    #[test]
    fn what_could_not_be_looked_at_is_not_fine() {
        assert_eq!(judge(&plan(0, &[])).status, Status::Ok);
        let check = judge(&plan(0, &["stacks cannot be listed: x"]));
        assert_eq!(check.status, Status::Skipped);
        assert_eq!(check.detail, "not everything in eu-central-1 could be looked at: stacks cannot be listed: x");
    }
}
