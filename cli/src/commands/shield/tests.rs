use super::*;

#[test]
fn a_plan_is_printed() {
    let plan = Plan::of(&plan::tests::account());
    insta::assert_snapshot!("plan.txt", text(&plan));
    insta::assert_snapshot!("plan.json", format!("{:#}", as_json(&plan)));
}

#[test]
fn an_account_without_strength_is_told_in_one_line() {
    let mut facts = plan::tests::account();
    facts.lenders.clear();
    let text = |facts: &plan::Facts| text(&Plan::of(facts));
    let nothing = "No resource found in eu-central-1 of 222222222222 runs with a role stronger than the boundary.\n";
    assert_eq!(text(&facts), nothing);
    facts.unread.push("functions cannot be listed: no\n::add-mask::x".to_owned());
    assert_eq!(text(&facts), format!("? functions cannot be listed: no\\u{{a}}::add-mask::x\n{nothing}"));
}

#[test]
fn what_apply_has_done_is_printed() {
    let plan = Plan::of(&plan::tests::account());
    let item = |name: &str| plan.items.iter().find(|item| item.lender.name == name).unwrap();
    let outcome = Outcome {
        shielded: vec![item("build"), item("payments")],
        failed: vec![(item("nightly"), "states:TagResource failed with AccessDeniedException".to_owned())],
        left: vec![(item("bastion"), "by hand")],
    };
    let unread = ["stacks cannot be listed: AccessDenied".to_owned()];
    insta::assert_snapshot!("applied.txt", text_of(&outcome, &plan, &unread));
    insta::assert_snapshot!("applied.json", format!("{:#}", json_of(&outcome, &plan, &unread)));
}

/// Whoever makes a resource names it.
#[test]
fn a_resource_has_lines_of_its_own_only() {
    let mut facts = plan::tests::account();
    for lender in &mut facts.lenders {
        lender.name = "x\n::add-mask::y\u{202e}".to_owned();
    }
    let text = text(&Plan::of(&facts));
    assert!(text.contains("x\\u{a}::add-mask::y\\u{202e}") && !text.contains("\n::"), "{text}");
}
