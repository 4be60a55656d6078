use std::sync::{Arc, Mutex};

use daypass::{
    contract::{Person, Proof, Transaction},
    stage::Named,
};
use daypass_testing::samples;
use serde_json::{Value, json};

use super::*;

const STORE: &str = "d-1234567890";
const PERSONAS: &str = include_str!("../../../personas.json");

/// An identity store of one group and its only member, and what is wrong with it.
#[derive(Clone, Default)]
struct World {
    group: &'static str,
    member: &'static str,
    /// What every call of this operation fails with.
    fault: Option<(&'static str, &'static str)>,
    calls: Arc<Mutex<Vec<String>>>,
}

impl World {
    fn good() -> Self {
        let member = "9067642ac7-8d1d2a3c";
        Self { group: "PwC_GP_333333333333_Product_Admin", member, ..Self::default() }
    }

    fn answer(&self, operation: &str, input: &Value) -> Result<Value, &'static str> {
        self.calls.lock().unwrap().push(operation.to_owned());
        assert_eq!(input["IdentityStoreId"], STORE);
        match (operation, self.fault) {
            (_, Some((faulty, code))) if faulty == operation => Err(code),
            ("GetGroupId", _) => {
                let name = &input["AlternateIdentifier"]["UniqueAttribute"];
                let found = name["AttributePath"] == "displayName" && name["AttributeValue"] == self.group;
                if found { Ok(json!({"GroupId": "group-1"})) } else { Err("ResourceNotFoundException") }
            }
            ("IsMemberInGroups", _) => {
                assert_eq!(input["GroupIds"], json!(["group-1"]));
                let exists = input["MemberId"]["UserId"] == self.member;
                Ok(json!({"Results": [{"GroupId": "group-1", "MembershipExists": exists}]}))
            }
            _ => panic!("{operation} is not needed"),
        }
    }

    fn authz(&self) -> Authz {
        let world = self.clone();
        let config = samples::json_service(move |operation, input| world.answer(operation, &input));
        Authz::new(Client::new(&config), STORE.to_owned(), Personas::parse(PERSONAS).unwrap())
    }

    async fn ask(&self, change: impl FnOnce(&mut Transaction)) -> Result<Authorization, AuthzError> {
        let mut transaction = samples::transaction();
        change(&mut transaction);
        self.authz().run(PersonInput { transaction, person: samples::person() }, samples::requested_at()).await
    }
}

#[tokio::test]
async fn a_member_of_the_group_may() {
    let world = World::good();
    insta::assert_json_snapshot!(world.ask(|_| ()).await.unwrap());
    assert_eq!(*world.calls.lock().unwrap(), ["GetGroupId", "IsMemberInGroups"]);
}

#[tokio::test]
async fn nobody_else_may() {
    let no_group = World { group: "PwC_GP_333333333333_Network", ..World::good() }.ask(|_| ()).await.unwrap_err();
    assert_eq!(no_group.name(), ErrorName::NotAMember);
    insta::assert_snapshot!(
        no_group,
        @"group `PwC_GP_333333333333_Product_Admin` does not exist in IAM Identity Center; an administrator can \
         create it and add alex@example.com"
    );
    let no_member = World { member: "9067642ac7-00000000", ..World::good() }.ask(|_| ()).await.unwrap_err();
    assert_eq!(no_member.name(), ErrorName::NotAMember);
    insta::assert_snapshot!(
        no_member,
        @"alex@example.com is not a member of `PwC_GP_333333333333_Product_Admin`; an administrator of that group in \
         IAM Identity Center can add them"
    );
}

/// What personas.json denies is denied without a question to Identity Center.
#[tokio::test]
async fn accounts_branches_and_personas_have_to_fit() {
    type Change = fn(&mut Transaction);
    let cases: [(&str, Change, ErrorName); 3] = [
        ("branch", |it| it.branch = "feature/x".to_owned(), ErrorName::BranchNotAllowed),
        ("account", |it| it.target_aws_account_id = "999999999999".parse().unwrap(), ErrorName::AccountNotAllowed),
        ("persona", |it| it.persona = "Admin".to_owned(), ErrorName::InvalidRequest),
    ];
    for (case, change, name) in cases {
        let world = World::good();
        let error = world.ask(change).await.unwrap_err();
        assert_eq!(error.name(), name);
        insta::assert_snapshot!(case, error);
        assert!(world.calls.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_account_that_is_not_open_to_the_persona_is_denied() {
    let mut personas: Value = serde_json::from_str(PERSONAS).unwrap();
    personas["accounts"][1]["personas"] = json!(["Network"]);
    let mut authz = World::good().authz();
    authz.personas = Personas::parse(&personas.to_string()).unwrap();
    let input = PersonInput { transaction: samples::transaction(), person: samples::person() };
    let error = authz.run(input, samples::requested_at()).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::AccountNotAllowed);
    insta::assert_snapshot!(
        error,
        @"account `payments-prod` is not open to Product_Admin; the platform team can open it in personas.json"
    );
}

/// Where a run comes from is asked before Identity Center is. What there is to say of it, core's tests say.
#[tokio::test]
async fn a_run_that_is_proven_has_to_come_from_where_the_account_is_deployed_from() {
    let ask = async |proof: Option<Proof>| {
        let world = World::good();
        let person = Person { proof, ..samples::person() };
        let input = PersonInput { transaction: samples::transaction(), person };
        (world.authz().run(input, samples::requested_at()).await, world.calls.lock().unwrap().len())
    };
    assert!(ask(Some(samples::proof())).await.0.is_ok());
    for elsewhere in [
        Proof { repository_id: Some("8".to_owned()), ..samples::proof() },
        Proof { ref_protected: Some(false), ..samples::proof() },
        Proof { ref_protected: None, ..samples::proof() },
    ] {
        let (answer, calls) = ask(Some(elsewhere)).await;
        assert_eq!((answer.unwrap_err().name(), calls), (ErrorName::IdentityNotProven, 0));
    }
}

#[tokio::test]
async fn an_outage_is_no_denial() {
    let cases = [
        ("GetGroupId", "ThrottlingException", ErrorName::Throttled),
        ("IsMemberInGroups", "ThrottlingException", ErrorName::Throttled),
        ("GetGroupId", "AccessDeniedException", ErrorName::HubRefused),
        ("IsMemberInGroups", "ResourceNotFoundException", ErrorName::AwsUnavailable),
    ];
    for (operation, code, name) in cases {
        let error = World { fault: Some((operation, code)), ..World::good() }.ask(|_| ()).await.unwrap_err();
        assert_eq!(error.name(), name);
        let text = format!("identitystore:{operation} failed with {code}: {operation} says {code}");
        assert!(error.to_string().starts_with(&text), "{error}");
    }
}

#[tokio::test]
async fn warms_up_with_a_call_that_it_may_make() {
    let world = World::good();
    world.authz().warm_up(samples::requested_at()).await;
    assert_eq!(*world.calls.lock().unwrap(), ["GetGroupId"]);
}
