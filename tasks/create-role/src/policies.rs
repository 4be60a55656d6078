//! The policies that end a deploy role's access, and let only its own transaction in.

use daypass::{
    contract::Transaction,
    ids::RoleArn,
    names::{EMAIL_TAG, PERSONA_TAG, TRANSACTION_TAG},
    policy::{Policy, Statement},
    text::tag_value,
};

/// The session tag that IAM compares: the transaction that a caller belongs to.
fn principal_tag() -> String {
    format!("aws:PrincipalTag/{TRANSACTION_TAG}")
}

/// Who may assume the role: a session of `pipeline_role` that belongs to the transaction, until it expires.
pub fn trust(transaction: &Transaction, pipeline_role: &RoleArn) -> Policy {
    // The session hands its tags and its source identity on, which takes both of the other actions.
    let actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"];
    Policy::new(vec![
        Statement::allow("OwnPipelineUntilExpiry", actions)
            .by(pipeline_role.to_string())
            .when("StringEquals", &principal_tag(), transaction.transaction_id.to_string())
            .when("DateLessThan", "aws:CurrentTime", transaction.expires_at.to_string()),
    ])
}

/// What no session of the role may do, whatever else it is allowed.
///
/// The second statement needs no help from the trust policy: a session tag is transitive and stands over the role's own
/// tag of the same key, so a session of another transaction would bring its own id with it.
pub fn guard(transaction: &Transaction) -> Policy {
    Policy::new(vec![
        Statement::deny("DenyAfterExpiry", "*").on("*").when(
            "DateGreaterThanEquals",
            "aws:CurrentTime",
            transaction.expires_at.to_string(),
        ),
        Statement::deny("DenyOtherTransactions", "*").on("*").when(
            "StringNotEquals",
            &principal_tag(),
            transaction.transaction_id.to_string(),
        ),
    ])
}

/// What the role says about itself, to whoever finds it in the target account.
pub fn tags(transaction: &Transaction) -> Vec<(&'static str, String)> {
    let always = [
        (TRANSACTION_TAG, transaction.transaction_id.to_string()),
        (EMAIL_TAG, transaction.email.to_string()),
        (PERSONA_TAG, transaction.persona.clone()),
        ("daypass:branch", transaction.branch.clone()),
        ("daypass:expires-at", transaction.expires_at.to_string()),
    ];
    let optional =
        [("daypass:repository", transaction.repository.clone()), ("daypass:run-url", transaction.run_url.clone())];
    let optional = optional.into_iter().filter_map(|(key, value)| Some((key, value?)));
    always.into_iter().chain(optional).map(|(key, value)| (key, tag_value(&value))).collect()
}
