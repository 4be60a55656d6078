use std::collections::BTreeSet;

use daypass::samples;
use serde_json::json;

use super::*;

mod proof;
mod world;

use world::{World, ask};

#[tokio::test]
async fn finds_who_it_is() {
    for status in [json!("ENABLED"), json!(null)] {
        let world = World::new();
        world.state().user["UserStatus"] = status;
        let person = ask(&world.without_proof(), samples::transaction(), None).await.unwrap();
        let expected = Person { user_id: "user-1".to_owned(), user_name: "alex".to_owned(), proof: None };
        assert_eq!(person, expected);
        assert_eq!(world.take_calls(), ["GetUserId", "DescribeUser"]);
    }
}

#[tokio::test]
async fn nobody_else_will_do() {
    let world = World::new();
    world.state().email = "nadia@example.com";
    let nobody = ask(&world.without_proof(), samples::transaction(), None).await.unwrap_err();
    assert_eq!(nobody.name(), ErrorName::UserNotFound);
    insta::assert_snapshot!(nobody);
    let world = World::new();
    world.state().leaving = true;
    let gone = ask(&world.without_proof(), samples::transaction(), None).await.unwrap_err();
    assert_eq!(gone.name(), ErrorName::UserNotFound);
}

#[tokio::test]
async fn only_an_enabled_user_will_do() {
    for status in ["DISABLED", "A_STATUS_OF_TOMORROW"] {
        let world = World::new();
        world.state().user["UserStatus"] = json!(status);
        let disabled = ask(&world.without_proof(), samples::transaction(), None).await.unwrap_err();
        assert_eq!(disabled.name(), ErrorName::UserDisabled);
        insta::assert_snapshot!("disabled", disabled);
    }
}

#[tokio::test]
async fn an_outage_is_no_denial() {
    let cases = [
        ("GetUserId", "ThrottlingException", ErrorName::Throttled),
        ("DescribeUser", "ThrottlingException", ErrorName::Throttled),
        ("GetUserId", "AccessDeniedException", ErrorName::AwsUnavailable),
        ("DescribeUser", "InternalServerException", ErrorName::AwsUnavailable),
    ];
    for (operation, code, name) in cases {
        let world = World::new();
        world.state().fault = Some((operation, code));
        let error = ask(&world.without_proof(), samples::transaction(), None).await.unwrap_err();
        assert_eq!(error.name(), name);
        assert_eq!(error.to_string(), format!("identitystore:{operation} failed with {code}: {operation} says {code}"));
    }
}

#[tokio::test]
async fn warms_up_with_calls_that_it_may_make() {
    let world = World::new();
    world.without_proof().warm_up(samples::requested_at()).await;
    assert_eq!(world.take_calls(), ["GetUserId"]);
}

#[test]
fn raises_what_it_says() {
    let email: Email = "alex@example.com".parse().unwrap();
    let own = [
        AuthnError::UserNotFound { email: email.clone() },
        AuthnError::UserDisabled { email },
        AuthnError::Proof(NotProven::Used.into()),
    ];
    let every_task = [ErrorName::InvalidRequest, ErrorName::Throttled, ErrorName::AwsUnavailable];
    let raised: BTreeSet<_> = own.iter().map(Named::name).chain(every_task).collect();
    assert_eq!(raised, RAISES.iter().copied().collect());
}
