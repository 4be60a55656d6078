use super::*;

const REGION: &str = "eu-central-1";
const ADMIN: &str = "arn:aws:iam::222222222222:role/cdk-exec";
const ADMINISTRATOR: &str = "arn:aws:iam::aws:policy/AdministratorAccess";
const EVERYTHING: &str =
    r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#;
const LOGS: &str =
    r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "logs:Put*", "Resource": "*"}}"#;

fn place() -> Place {
    Place { account: "222222222222".into(), partition: "aws".into(), region: REGION.into() }
}

fn role(name: &str) -> String {
    format!("arn:aws:iam::222222222222:role/{name}")
}

fn lender(kind: Kind, name: &str, of: &str) -> Lender {
    let arn = match kind {
        Kind::Stack => format!("arn:aws:cloudformation:{REGION}:222222222222:stack/{name}/1"),
        Kind::Function => format!("arn:aws:lambda:{REGION}:222222222222:function:{name}"),
        Kind::Project => format!("arn:aws:codebuild:{REGION}:222222222222:project/{name}"),
        Kind::Machine => format!("arn:aws:states:{REGION}:222222222222:stateMachine:{name}"),
        Kind::InstanceProfile => format!("arn:aws:iam::222222222222:instance-profile/{name}"),
    };
    let stack = (kind == Kind::Stack).then(|| Stack { status: "UPDATE_COMPLETE".into(), ..Stack::default() });
    Lender { kind, name: name.into(), arn, roles: Ok([of.to_owned()].into()), tags: Ok(Tags::new()), stack }
}

fn stack(name: &str, facts: Stack) -> Lender {
    Lender { stack: Some(facts), ..lender(Kind::Stack, name, ADMIN) }
}

fn tagged(lender: Lender, tags: &[(&str, &str)]) -> Lender {
    let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Lender { tags: Ok(tags), ..lender }
}

fn inline(document: &str) -> Role {
    Role { inline: [("own".to_owned(), document.to_owned())].into(), ..Role::default() }
}

fn attached(policy: &str) -> Role {
    Role { attached: [policy.to_owned()].into(), ..Role::default() }
}

/// Those lenders, with an administrator's role, one that may only write logs, and these.
fn facts(lenders: Vec<Lender>, roles: Vec<(&str, Result<Role, String>)>) -> Facts {
    let own = roles.into_iter().map(|(name, known)| (role(name), known));
    let usual = [(ADMIN.to_owned(), Ok(attached(ADMINISTRATOR))), (role("logs"), Ok(inline(LOGS)))];
    let policies = [(ADMINISTRATOR.to_owned(), Ok(EVERYTHING.to_owned()))].into();
    Facts { place: place(), lenders, roles: own.chain(usual).collect(), policies, unread: Vec::new() }
}

/// Name and reason of each.
fn whys(facts: &Facts) -> Vec<String> {
    Plan::of(facts).items.iter().map(|item| format!("{}: {}", item.lender.name, item.why)).collect()
}

/// An account with one of everything.
pub fn account() -> Facts {
    let updatable = || "UPDATE_COMPLETE".to_owned();
    let lenders = vec![
        lender(Kind::Machine, "nightly", ADMIN),
        lender(Kind::Function, "harmless", &role("logs")),
        tagged(lender(Kind::Function, "admin-tool", ADMIN), &[("daypass:protected", "true")]),
        lender(Kind::Function, "broken", &role("gone")),
        tagged(lender(Kind::Project, "build", ADMIN), &[("team", "payments")]),
        lender(Kind::InstanceProfile, "bastion", ADMIN),
        tagged(
            stack(
                "payments",
                Stack {
                    status: updatable(),
                    root: None,
                    parameters: vec!["Bucket".into(), "Stage".into()],
                    capabilities: vec!["CAPABILITY_NAMED_IAM".into(), "CAPABILITY_AUTO_EXPAND".into()],
                },
            ),
            &[("team", "Payments & Co's"), ("aws:servicecatalog:x", "1")],
        ),
        tagged(lender(Kind::Stack, "receipts", ADMIN), &[("daypass:protected", "true"), ("team", "receipts")]),
        stack(
            "payments-Nested",
            Stack { status: updatable(), root: Some("arn:of:payments".into()), ..Stack::default() },
        ),
        stack("stuck", Stack { status: "UPDATE_ROLLBACK_FAILED".into(), ..Stack::default() }),
        lender(Kind::Stack, "CDKToolkit", ADMIN),
        lender(Kind::Stack, "DaypassTarget", ADMIN),
        lender(Kind::Stack, "StackSet-guardrails-1", ADMIN),
    ];
    facts(lenders, vec![("gone", Err("iam:GetRole failed with NoSuchEntity: there is none".into()))])
}

#[test]
fn everything_strong_is_in_the_plan_and_nothing_else() {
    let plan = Plan::of(&account());
    let names: Vec<_> = plan.items.iter().map(|it| format!("{} {:?}", it.lender.name, it.shield)).collect();
    assert_eq!(
        names,
        [
            "CDKToolkit Name",
            "DaypassTarget Name",
            "StackSet-guardrails-1 Name",
            "payments None",
            "payments-Nested None",
            "receipts Tag",
            "stuck None",
            "admin-tool Tag",
            "broken None",
            "build None",
            "nightly None",
            "bastion None",
        ]
    );
    assert!(!plan.is_done());
}

#[test]
fn an_account_in_which_all_is_shielded_is_done() {
    let shielded = |it: Lender| tagged(it, &[("daypass:protected", "true")]);
    let mut facts = facts(
        vec![
            shielded(lender(Kind::Stack, "payments", ADMIN)),
            lender(Kind::Stack, "CDKToolkit", ADMIN),
            shielded(lender(Kind::InstanceProfile, "bastion", ADMIN)),
            lender(Kind::Function, "harmless", &role("logs")),
        ],
        vec![],
    );
    assert!(Plan::of(&facts).is_done());
    facts.unread.push("functions cannot be listed: AccessDenied".into());
    assert!(!Plan::of(&facts).is_done(), "it is not known");
}

#[test]
fn only_the_value_true_shields() {
    for tags in [&[("daypass:protected", "True")], &[("daypass:protected", "")], &[("Daypass:Protected", "true")]] {
        let plan = Plan::of(&facts(vec![tagged(lender(Kind::Function, "f", ADMIN), tags)], vec![]));
        assert_eq!(plan.items[0].shield, Shield::None, "{tags:?}");
    }
}

#[test]
fn a_role_within_a_boundary_of_daypass_is_not_stronger() {
    let bounded = |policy: &str| {
        let boundary = Some(policy.to_owned());
        let facts = facts(
            vec![lender(Kind::Stack, "s", &role("r"))],
            vec![("r", Ok(Role { boundary, ..attached(ADMINISTRATOR) }))],
        );
        whys(&facts)
    };
    for own in ["daypass-boundary", "daypass-workloads"] {
        assert!(bounded(&format!("arn:aws:iam::222222222222:policy/{own}")).is_empty(), "{own}");
    }
    // Of another account, below a path, or not read at all.
    for other in [
        "arn:aws:iam::333333333333:policy/daypass-boundary",
        "arn:aws:iam::222222222222:policy/x/daypass-boundary",
        "arn:aws:iam::222222222222:policy/other",
    ] {
        let expected = format!("s: it is not known what the role may do: {other} has not been read");
        assert_eq!(bounded(other), [expected]);
    }
    assert!(bounded(ADMINISTRATOR)[0].contains("which the boundary refuses"), "a boundary that bounds nothing");
}

#[test]
fn a_boundary_of_ones_own_counts() {
    let boundary = Some("arn:aws:iam::222222222222:policy/logs-only".to_owned());
    let strong = Role { boundary, ..attached(ADMINISTRATOR) };
    let mut facts = facts(vec![lender(Kind::Function, "f", &role("r"))], vec![("r", Ok(strong))]);
    facts.policies.insert("arn:aws:iam::222222222222:policy/logs-only".into(), Ok(LOGS.into()));
    assert!(whys(&facts).is_empty());
}

#[test]
fn what_cannot_be_judged_counts_as_stronger() {
    let unread = "arn:aws:iam::222222222222:policy/unread";
    let of = |it: Result<Role, String>| whys(&facts(vec![lender(Kind::Function, "f", &role("r"))], vec![("r", it)]));
    assert_eq!(of(Err("AccessDenied".into())), ["f: it is not known what the role may do: AccessDenied"]);
    assert_eq!(
        of(Ok(attached(unread))),
        [format!("f: it is not known what the role may do: {unread} has not been read")]
    );
    assert!(of(Ok(inline("{")))[0].starts_with("f: it is not known what the role may do: the policy own is no JSON"));
    let unknown = Lender { roles: Err("AccessDenied".into()), ..lender(Kind::Machine, "m", ADMIN) };
    assert_eq!(whys(&facts(vec![unknown], vec![])), ["m: its role is not known: AccessDenied"]);
    let stranger = facts(vec![lender(Kind::Function, "f", &role("never-read"))], vec![]);
    assert_eq!(whys(&stranger), ["f: it is not known what the role may do: it has not been read"]);
}

#[test]
fn roles_of_services_are_left_out() {
    let linked = "arn:aws:iam::222222222222:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX";
    assert!(whys(&facts(vec![lender(Kind::Function, "f", linked)], vec![])).is_empty());
}

#[test]
fn a_second_role_counts() {
    let both = Lender { roles: Ok([role("logs"), ADMIN.to_owned()].into()), ..lender(Kind::Project, "p", ADMIN) };
    assert_eq!(Plan::of(&facts(vec![both], vec![])).items[0].role, ADMIN);
}

/// A pipeline that may update one stack has the role of that stack, and so has whoever may change the pipeline.
#[test]
fn who_may_change_something_stronger_is_stronger() {
    let may = |action: &str, arn: &str| {
        format!(
            r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Action": "{action}", "Resource": "{arn}"}}}}"#
        )
    };
    let stack = lender(Kind::Stack, "payments", ADMIN);
    let project = lender(Kind::Project, "deploy", &role("deploys"));
    let starter = lender(Kind::Function, "starter", &role("starts"));
    let harmless = lender(Kind::Function, "other", &role("others"));
    let roles = vec![
        ("deploys", Ok(inline(&may("cloudformation:UpdateStack", &stack.arn)))),
        ("starts", Ok(inline(&may("codebuild:StartBuild", &project.arn)))),
        ("others", Ok(inline(&may("cloudformation:UpdateStack", &stack.arn.replace("payments", "unkept"))))),
    ];
    let facts = facts(vec![starter, harmless, project, stack], roles);
    insta::assert_snapshot!(whys(&facts).join("\n"));
}

#[test]
fn the_commands_that_migrate_a_stack_undo_the_shield_first() {
    let plan = Plan::of(&account());
    let of = |name: &str| {
        let item = plan.items.iter().find(|item| item.lender.name == name).unwrap();
        item.migration(&plan.place).join("\n")
    };
    insta::assert_snapshot!([of("payments"), of("receipts")].join("\n\n"));
    for none in ["CDKToolkit", "payments-Nested", "stuck", "build"] {
        assert_eq!(of(none), "", "{none}");
    }
}
