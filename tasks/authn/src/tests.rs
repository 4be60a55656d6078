use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use daypass::{contract::Proof, stage::Named};
use daypass_testing::samples;
use serde_json::{Value, json};

use super::*;

const STORE: &str = "d-1234567890";

/// An identity store of one user, and what is wrong with it.
#[derive(Clone, Default)]
struct World {
    email: &'static str,
    status: Option<&'static str>,
    /// The user is deleted after the look-up.
    leaving: bool,
    /// What every call of this operation fails with.
    fault: Option<(&'static str, &'static str)>,
    /// What else `DescribeUser` says of the user.
    attributes: Value,
    /// What prove says of the run.
    proof: Option<Proof>,
    calls: Arc<Mutex<Vec<String>>>,
}

impl World {
    fn of(email: &'static str, status: Option<&'static str>) -> Self {
        Self { email, status, ..Self::default() }
    }

    fn answer(&self, operation: &str, input: &Value) -> Result<Value, &'static str> {
        self.calls.lock().unwrap().push(operation.to_owned());
        assert_eq!(input["IdentityStoreId"], STORE);
        match (operation, self.fault) {
            (_, Some((faulty, code))) if faulty == operation => Err(code),
            ("GetUserId", _) => {
                let address = &input["AlternateIdentifier"]["UniqueAttribute"];
                let found = address["AttributePath"] == "emails.value" && address["AttributeValue"] == self.email;
                if found { Ok(json!({"UserId": "user-1"})) } else { Err("ResourceNotFoundException") }
            }
            ("DescribeUser", _) if self.leaving => Err("ResourceNotFoundException"),
            ("DescribeUser", _) => {
                assert_eq!(input["UserId"], "user-1");
                let mut user = json!({"UserId": "user-1", "UserName": "alex", "UserStatus": self.status});
                for (attribute, value) in self.attributes.as_object().into_iter().flatten() {
                    user[attribute] = value.clone();
                }
                Ok(user)
            }
            _ => panic!("{operation} is not needed"),
        }
    }

    fn authn(&self) -> Authn {
        let world = self.clone();
        let config = samples::json_service(move |operation, input| world.answer(operation, &input));
        Authn::new(Client::new(&config), STORE.to_owned())
    }

    async fn ask(&self) -> Result<Person, AuthnError> {
        let input = AuthnInput { transaction: samples::transaction(), proof: self.proof.clone() };
        self.authn().run(input, samples::requested_at()).await
    }
}

#[tokio::test]
async fn finds_who_it_is() {
    for status in [Some("ENABLED"), None] {
        let world = World::of("alex@example.com", status);
        let person = Person { user_id: "user-1".to_owned(), user_name: "alex".to_owned(), proof: None };
        assert_eq!(world.ask().await.unwrap(), person);
        assert_eq!(*world.calls.lock().unwrap(), ["GetUserId", "DescribeUser"]);
    }
}

#[tokio::test]
async fn nobody_else_will_do() {
    let nobody = World::of("nadia@example.com", None).ask().await.unwrap_err();
    assert_eq!(nobody.name(), ErrorName::UserNotFound);
    insta::assert_snapshot!(
        nobody,
        @"no user of IAM Identity Center has the e-mail address `alex@example.com`; send the one that the person \
         signs in with, spelled as it is there"
    );
    let gone = World { leaving: true, ..World::of("alex@example.com", None) }.ask().await.unwrap_err();
    assert_eq!(gone.name(), ErrorName::UserNotFound);
}

#[tokio::test]
async fn only_an_enabled_user_will_do() {
    for status in ["DISABLED", "A_STATUS_OF_TOMORROW"] {
        let disabled = World::of("alex@example.com", Some(status)).ask().await.unwrap_err();
        assert_eq!(disabled.name(), ErrorName::UserDisabled);
        insta::assert_snapshot!("disabled", disabled);
    }
}

/// What the run's identity token says has to be what Identity Center says of the user.
#[tokio::test]
async fn the_run_has_to_be_the_users() {
    use UserAttribute::{Email, ExternalId, NickName, ProfileUrl, UserName};

    let external = |id: &str| json!({"ExternalIds": [{"Issuer": "https://idp.example.com", "Id": id}]});
    let theirs = [
        (ProfileUrl, "https://github.com/alex", json!({"ProfileUrl": "https://github.com/alex"})),
        (ProfileUrl, "https://github.com/alex", json!({"ProfileUrl": "https://github.com/Alex/"})),
        (Email, "Alex@example.com", json!({})),
        (UserName, "alex", json!({})),
        (NickName, "alex", json!({"NickName": "alex"})),
        (ExternalId, "4711", external("4711")),
    ];
    let not_theirs = [
        (ProfileUrl, "https://github.com/alex", json!({})),
        (ProfileUrl, "https://github.com/alex", json!({"ProfileUrl": ""})),
        (ProfileUrl, "https://github.com/alex", json!({"ProfileUrl": "https://github.com/alexa"})),
        (ProfileUrl, "https://github.com/alex", json!({"ProfileUrl": "https://github.com.example.com/alex"})),
        (ProfileUrl, "https://github.com/../alex", json!({"ProfileUrl": "https://github.com/alex"})),
        (Email, "mallory@example.com", json!({})),
        (UserName, "mallory", json!({})),
        (NickName, "alex", json!({})),
        (ExternalId, "4711", external("47")),
        (ExternalId, "4711", json!({})),
    ];
    let cases = theirs.into_iter().map(|it| (it, true)).chain(not_theirs.into_iter().map(|it| (it, false)));
    let mut reasons = BTreeSet::new();
    for ((attribute, value, attributes), theirs) in cases {
        let user = UserClaim { attribute, value: value.to_owned(), ..samples::proof().user };
        let proof = Some(Proof { user, ..samples::proof() });
        let world =
            World { attributes: attributes.clone(), proof: proof.clone(), ..World::of("alex@example.com", None) };
        match world.ask().await {
            Ok(person) => assert!(theirs && person.proof == proof, "{attribute:?} {attributes}"),
            Err(error) => {
                assert!(!theirs, "{attribute:?} {attributes}: {error}");
                assert_eq!(error.name(), ErrorName::IdentityNotProven);
                reasons.insert(error.to_string());
            }
        }
    }
    insta::assert_snapshot!(reasons.into_iter().collect::<Vec<_>>().join("\n"));
}

#[tokio::test]
async fn an_outage_is_no_denial() {
    let cases = [
        ("GetUserId", "ThrottlingException", ErrorName::Throttled),
        ("DescribeUser", "ThrottlingException", ErrorName::Throttled),
        ("GetUserId", "AccessDeniedException", ErrorName::HubRefused),
        ("DescribeUser", "InternalServerException", ErrorName::AwsUnavailable),
    ];
    for (operation, code, name) in cases {
        let world = World { fault: Some((operation, code)), ..World::of("alex@example.com", None) };
        let error = world.ask().await.unwrap_err();
        assert_eq!(error.name(), name);
        let text = format!("identitystore:{operation} failed with {code}: {operation} says {code}");
        assert!(error.to_string().starts_with(&text), "{error}");
    }
}

#[tokio::test]
async fn warms_up_with_a_call_that_it_may_make() {
    let world = World::default();
    world.authn().warm_up(samples::requested_at()).await;
    assert_eq!(*world.calls.lock().unwrap(), ["GetUserId"]);
}
