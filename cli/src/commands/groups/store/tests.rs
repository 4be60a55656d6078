use std::sync::{Arc, Mutex};

use daypass_testing::samples;
use serde_json::{Value, json};

use super::*;

const STORE: &str = "d-1234567890";

/// An identity store of a few groups, that gives one item at a time.
#[derive(Clone, Default)]
struct FakeGroups {
    groups: Arc<Mutex<Vec<&'static str>>>,
    members: usize,
    /// What a call of this operation fails with, and whether the group is there all the same.
    fault: Option<(&'static str, &'static str)>,
    calls: Arc<Mutex<Vec<String>>>,
    /// What groups were updated with.
    operations: Arc<Mutex<Vec<Value>>>,
}

impl FakeGroups {
    fn of(groups: &[&'static str]) -> Self {
        Self { groups: Arc::new(Mutex::new(groups.to_vec())), ..Self::default() }
    }

    fn failing(self, operation: &'static str, code: &'static str) -> Self {
        Self { fault: Some((operation, code)), ..self }
    }

    fn answer(&self, operation: &str, input: &Value) -> Result<Value, &'static str> {
        self.calls.lock().unwrap().push(operation.to_owned());
        assert_eq!(input["IdentityStoreId"], STORE);
        if let Some((_, code)) = self.fault.filter(|(faulty, _)| *faulty == operation) {
            return Err(code);
        }
        let groups = self.groups.lock().unwrap();
        // The token is the number of what comes next.
        let from: usize = input["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let next = |all: usize| (from + 1 < all).then(|| (from + 1).to_string());
        match operation {
            "ListGroups" => {
                let page: Vec<_> = groups.get(from).into_iter().map(|name| group(name)).collect();
                Ok(json!({"Groups": page, "NextToken": next(groups.len())}))
            }
            "ListGroupMemberships" => {
                let member = json!({"IdentityStoreId": STORE, "MemberId": {"UserId": "u"}});
                let page = vec![member; usize::from(from < self.members)];
                Ok(json!({"GroupMemberships": page, "NextToken": next(self.members)}))
            }
            "CreateGroup" => {
                assert_eq!(input["Description"], "Daypass: Network in payments-dev (222222222222)");
                Ok(json!({"GroupId": "new", "IdentityStoreId": STORE}))
            }
            "GetGroupId" => {
                let name = input["AlternateIdentifier"]["UniqueAttribute"]["AttributeValue"].as_str().unwrap();
                if groups.contains(&name) { Ok(json!({"GroupId": name})) } else { Err("ResourceNotFoundException") }
            }
            "UpdateGroup" => {
                assert_eq!((&input["GroupId"], &input["Revision"]), (&json!("g"), &json!("7")), "only what was read");
                self.operations.lock().unwrap().push(input["Operations"].clone());
                Ok(json!({}))
            }
            "DeleteGroup" => {
                assert_eq!(input["Revision"], "7", "only what has not changed since it was read");
                Ok(json!({}))
            }
            _ => panic!("{operation} is not needed"),
        }
    }

    fn store(&self) -> GroupStore {
        let world = self.clone();
        let config = samples::json_service(move |operation, input| world.answer(operation, &input));
        GroupStore::new(Client::new(&config), STORE.to_owned())
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

fn group(name: &str) -> Value {
    let ids = json!([{"Issuer": "https://directory.example.com", "Id": "42"}]);
    json!({"GroupId": format!("id of {name}"), "DisplayName": name, "Revision": "7", "ExternalIds": ids})
}

fn wanted() -> Wanted {
    Wanted {
        name: "PwC_GP_222222222222_Network".to_owned(),
        account: "payments-dev".to_owned(),
        account_id: "222222222222".parse().unwrap(),
        persona: "Network".to_owned(),
    }
}

fn found() -> ExistingGroup {
    ExistingGroup { id: "g".to_owned(), revision: "7".to_owned(), ..ExistingGroup::default() }
}

#[tokio::test]
async fn every_page_of_groups_is_read() {
    let world = FakeGroups::of(&["a", "b", "c"]);
    let groups = world.store().groups().await.unwrap();
    assert_eq!(groups.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(groups[0].issuers.iter().collect::<Vec<_>>(), ["https://directory.example.com"]);
    assert_eq!((groups[2].id.as_str(), groups[2].revision.as_str()), ("id of c", "7"));
    assert_eq!(world.calls(), ["ListGroups"; 3]);
}

#[tokio::test]
async fn every_page_of_members_is_counted() {
    let world = FakeGroups { members: 3, ..FakeGroups::default() };
    assert_eq!(world.store().members(&found()).await.unwrap(), 3);
    assert_eq!(FakeGroups::default().store().members(&found()).await.unwrap(), 0);
    let gone = FakeGroups::default().failing("ListGroupMemberships", "ResourceNotFoundException");
    assert_eq!(gone.store().members(&found()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_group_that_somebody_else_has_made_is_made() {
    assert_eq!(FakeGroups::default().store().create(&wanted()).await.unwrap(), Done::Here);
    let faster = FakeGroups::of(&["PwC_GP_222222222222_Network"]).failing("CreateGroup", "ConflictException");
    assert_eq!(faster.store().create(&wanted()).await.unwrap(), Done::Elsewhere);
    // A conflict about something else is none.
    let other = FakeGroups::of(&[]).failing("CreateGroup", "ConflictException");
    let error = other.store().create(&wanted()).await.unwrap_err();
    assert_eq!(error.code(), Some("ConflictException"));
    let denied = FakeGroups::default().failing("CreateGroup", "AccessDeniedException");
    assert!(denied.store().create(&wanted()).await.unwrap_err().is_access_denied());
    assert_eq!(denied.calls(), ["CreateGroup"]);
}

#[tokio::test]
async fn a_group_that_is_gone_is_deleted_and_one_that_has_changed_is_not() {
    assert_eq!(FakeGroups::default().store().delete(&found()).await.unwrap(), Done::Here);
    let gone = FakeGroups::default().failing("DeleteGroup", "ResourceNotFoundException");
    assert_eq!(gone.store().delete(&found()).await.unwrap(), Done::Elsewhere);
    let changed = FakeGroups::default().failing("DeleteGroup", "ConflictException");
    assert_eq!(changed.store().delete(&found()).await.unwrap_err().code(), Some("ConflictException"));
}

#[tokio::test]
async fn a_group_is_renamed_with_the_description_that_was_made_here() {
    let world = FakeGroups::default();
    let renamed = |description: &str| {
        let group = ExistingGroup { description: description.to_owned(), ..found() };
        Renamed { group, wanted: wanted() }
    };
    assert_eq!(world.store().rename(&renamed("Our network")).await.unwrap(), Done::Here);
    assert_eq!(world.store().rename(&renamed("Daypass: Network in net (222222222222)")).await.unwrap(), Done::Here);
    let name = json!({"AttributePath": "displayName", "AttributeValue": "PwC_GP_222222222222_Network"});
    let text = json!({
        "AttributePath": "description", "AttributeValue": "Daypass: Network in payments-dev (222222222222)",
    });
    assert_eq!(*world.operations.lock().unwrap(), [json!([name]), json!([name, text])]);
}

#[tokio::test]
async fn a_group_that_somebody_else_has_renamed_is_renamed_and_a_name_that_is_taken_is_not() {
    let renamed = |id: &str| Renamed { group: ExistingGroup { id: id.to_owned(), ..found() }, wanted: wanted() };
    // The world gives a group its name for its id.
    let faster = FakeGroups::of(&["PwC_GP_222222222222_Network"]).failing("UpdateGroup", "ConflictException");
    assert_eq!(faster.store().rename(&renamed("PwC_GP_222222222222_Network")).await.unwrap(), Done::Elsewhere);
    let error = faster.store().rename(&renamed("g")).await.unwrap_err();
    assert_eq!(error.code(), Some("ConflictException"));
    let gone = FakeGroups::default().failing("UpdateGroup", "ResourceNotFoundException");
    assert!(gone.store().rename(&renamed("g")).await.unwrap_err().is_not_found());
}
