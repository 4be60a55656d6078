//! `daypass groups`, as an administrator of Identity Center has it.

use daypass_tests::{engine::Fault, pipeline::new_transaction_id, stack::Stack};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::command::{Ended, Folder, daypass, ended};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../personas.json");
const DIRECTORY: &str = "https://directory.example.com";
const RETIRED: &str = "PwC_GP_222222222222_Retired";

/// An identity store that nobody else uses: the engine has as many as are asked for.
struct Store<'a> {
    stack: &'a Stack,
    id: String,
    state: Folder,
}

impl<'a> Store<'a> {
    fn new(stack: &'a Stack) -> Self {
        let id = new_transaction_id().to_string().replace('-', "");
        Self { stack, id: format!("d-{}", &id[..10]), state: Folder::new() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let options = ["--file", SHIPPED, "--identity-store-id", &self.id, "--output", "json", "--quiet"];
        let mut command = daypass(&self.state, &[&["groups"], arguments, &options].concat());
        // The engine takes an account's id for its root's access key, with any secret.
        command.env("AWS_ACCESS_KEY_ID", &self.stack.names.hub).env("AWS_SECRET_ACCESS_KEY", "local");
        command.env_remove("AWS_SESSION_TOKEN");
        command
    }

    async fn ask(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments)).await
    }

    async fn add(&self, name: &str) -> String {
        let client = self.stack.hub().identities();
        let made = client.create_group().identity_store_id(&self.id).display_name(name).send().await;
        made.expect("a group").group_id
    }

    async fn remove(&self, id: &str) {
        let client = self.stack.hub().identities();
        client.delete_group().identity_store_id(&self.id).group_id(id).send().await.expect("it is gone");
    }

    /// Puts somebody into a group.
    async fn join(&self, group: &str) {
        use aws_sdk_identitystore::types::{Email, MemberId, Name};
        let client = self.stack.hub().identities();
        let name = Name::builder().given_name("Alex").family_name("Reyes").build();
        let user = client.create_user().identity_store_id(&self.id).user_name("alex").display_name("Alex").name(name);
        let user = user.emails(Email::builder().value("alex@example.com").build()).send().await.expect("a user");
        let member = client.create_group_membership().identity_store_id(&self.id).group_id(group);
        member.member_id(MemberId::UserId(user.user_id)).send().await.expect("a membership");
    }

    /// The groups that there are: name and description, sorted.
    async fn groups(&self) -> Vec<(String, String)> {
        let client = self.stack.hub().identities();
        let listed = client.list_groups().identity_store_id(&self.id).into_paginator().items().send();
        let listed = listed.collect::<Result<Vec<_>, _>>().await.expect("the groups");
        let pairs =
            listed.into_iter().map(|it| (it.display_name.unwrap_or_default(), it.description.unwrap_or_default()));
        let mut groups: Vec<_> = pairs.collect();
        groups.sort();
        groups
    }
}

fn names(groups: &Value) -> Vec<&str> {
    let groups = groups.as_array().expect("a list").iter();
    groups.map(|group| group.get("group").unwrap_or(group).as_str().expect("a name")).collect()
}

#[tokio::test]
async fn the_seeded_store_has_every_group() {
    let stack = Stack::shared().await;
    let seeded = Store { id: stack.names.identity_store.clone(), ..Store::new(&stack) };
    let plan = seeded.ask(&["plan"]).await;
    assert_eq!((plan.code, &plan.json()["missing"]), (0, &json!([])), "{plan:?}");
    assert_eq!(names(&plan.json()["present"]).len(), 6);
}

#[tokio::test]
async fn what_is_missing_is_made_once() {
    let stack = Stack::shared().await;
    let store = Store::new(&stack);
    let plan = store.ask(&["plan"]).await;
    assert_eq!((plan.code, names(&plan.json()["missing"]).len()), (1, 6), "{plan:?}");
    assert_eq!(store.groups().await, [], "a plan changes nothing");

    let apply = store.ask(&["apply"]).await;
    assert_eq!((apply.code, names(&apply.json()["created"]).len()), (0, 6), "{apply:?}");
    let groups = store.groups().await;
    let network = ("PwC_GP_222222222222_Network", "Daypass: Network in payments-dev (222222222222)");
    assert_eq!(groups.len(), 6);
    assert!(groups.contains(&(network.0.to_owned(), network.1.to_owned())), "{groups:?}");
    let again = store.ask(&["apply"]).await;
    assert_eq!((again.code, &again.json()["created"]), (0, &json!([])), "{again:?}");
    assert_eq!(store.groups().await, groups);
    assert_eq!(store.ask(&["plan"]).await.code, 0);

    let client = stack.hub().identities();
    let all = client.list_groups().identity_store_id(&store.id).send().await.unwrap();
    let lost = all.groups.iter().find(|group| group.display_name() == Some(network.0)).unwrap();
    store.remove(&lost.group_id).await;
    let plan = store.ask(&["plan"]).await;
    assert_eq!((plan.code, names(&plan.json()["missing"])), (1, vec![network.0]), "{plan:?}");
    assert_eq!(plan.json()["missing"][0]["account"], "payments-dev");
    assert_eq!(names(&store.ask(&["apply"]).await.json()["created"]), [network.0]);
    assert_eq!(store.ask(&["plan"]).await.code, 0);
}

#[tokio::test]
async fn whoever_applies_at_the_same_time_makes_each_group_once() {
    let stack = Stack::shared().await;
    let store = Store::new(&stack);
    let answers = join_all((0..4).map(|_| store.ask(&["apply"]))).await;
    let codes: Vec<_> = answers.iter().map(|answer| answer.code).collect();
    assert_eq!(codes, [0; 4], "{answers:?}");
    let created: usize = answers.iter().map(|answer| names(&answer.json()["created"]).len()).sum();
    assert_eq!(created, 6, "{answers:?}");
    assert_eq!(store.groups().await.len(), 6);
}

#[tokio::test]
async fn what_is_left_over_is_deleted_only_when_told() {
    let stack = Stack::shared().await;
    let store = Store::new(&stack);
    assert_eq!(store.ask(&["apply"]).await.code, 0);
    store.add("Administrators").await;
    let retired = store.add(RETIRED).await;
    let before = store.groups().await;

    let plan = store.ask(&["plan"]).await;
    assert_eq!((plan.code, names(&plan.json()["extra"])), (1, vec![RETIRED]), "{plan:?}");
    let apply = store.ask(&["apply"]).await;
    assert_eq!((apply.code, names(&apply.json()["extra"])), (0, vec![RETIRED]), "{apply:?}");
    // Nobody is there to say yes.
    let prune = store.ask(&["apply", "--prune"]).await;
    assert_eq!(prune.code, 2, "{prune:?}");
    assert!(prune.stderr.contains(RETIRED) && prune.stderr.contains("--yes"), "{prune:?}");
    assert_eq!(store.groups().await, before);

    store.join(&retired).await;
    let prune = store.ask(&["apply", "--prune", "--yes"]).await;
    assert_eq!(prune.code, 70, "{prune:?}");
    assert!(prune.stderr.contains("PwC_GP_222222222222_Retired with 1 member"), "{prune:?}");
    assert_eq!(store.groups().await, before);

    store.remove(&retired).await;
    store.add(RETIRED).await;
    let prune = store.ask(&["apply", "--prune", "--yes"]).await;
    assert_eq!((prune.code, names(&prune.json()["deleted"])), (0, vec![RETIRED]), "{prune:?}");
    let left: Vec<_> = before.into_iter().filter(|(name, _)| name != RETIRED).collect();
    assert_eq!(store.groups().await, left);
    assert_eq!(store.ask(&["plan"]).await.code, 0);
}

#[tokio::test]
async fn a_store_that_another_directory_feeds_is_left_alone_unless_told() {
    let stack = Stack::shared().await;
    let store = Store::new(&stack);
    let theirs = store.add("Everybody").await;
    stack.engine.group_comes_from(DIRECTORY, &theirs).await;
    let plan = store.ask(&["plan"]).await;
    assert_eq!((plan.code, &plan.json()["directories"]), (1, &json!({DIRECTORY: 1})), "{plan:?}");
    let refused = store.ask(&["apply"]).await;
    assert_eq!(refused.code, 70, "{refused:?}");
    assert!(refused.stderr.contains(DIRECTORY) && refused.stderr.contains("--allow-scim"), "{refused:?}");
    assert_eq!(store.groups().await.len(), 1);

    let told = store.ask(&["apply", "--allow-scim"]).await;
    assert_eq!((told.code, names(&told.json()["created"]).len()), (0, 6), "{told:?}");
    // Where there is nothing to do there is nothing to refuse.
    assert_eq!(store.ask(&["apply"]).await.code, 0);
}

#[tokio::test]
async fn a_store_of_many_pages_is_read_to_its_end() {
    let stack = Stack::shared().await;
    let store = Store::new(&stack);
    for n in 0..205 {
        store.add(&format!("Team {n}")).await;
    }
    assert_eq!(store.ask(&["apply"]).await.code, 0);
    store.add(RETIRED).await;
    let plan = store.ask(&["plan"]).await;
    assert_eq!((plan.code, names(&plan.json()["present"]).len()), (1, 6), "{plan:?}");
    assert_eq!(names(&plan.json()["extra"]), [RETIRED]);
}

#[tokio::test]
async fn a_throttled_call_is_made_again() {
    let stack = Stack::alone().await;
    let store = Store::new(&stack);
    for action in ["ListGroups", "CreateGroup"] {
        stack.engine.arm(Fault::of(&format!("identitystore:{action}")).with(400, "ThrottlingException").times(3)).await;
    }
    let apply = store.ask(&["apply"]).await;
    assert_eq!((apply.code, stack.engine.armed().await), (0, 0), "{apply:?}");
    assert_eq!(store.groups().await.len(), 6);
}

#[tokio::test]
async fn whoever_may_not_is_told_who_may() {
    let stack = Stack::shared().await;
    let store = Store::new(&stack);
    // The environment's own credentials are a pipeline's.
    let mut command = store.command(&["plan"]);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        command.env(name, std::env::var(name).expect("a pipeline's environment"));
    }
    let answer = ended(command).await;
    assert_eq!(answer.code, 70, "{answer:?}");
    let error: Value = serde_json::from_str(&answer.stderr).unwrap();
    assert!(
        error["reason"].as_str().unwrap().starts_with("identitystore:ListGroups failed with AccessDenied"),
        "{error}"
    );
    assert!(error["remedy"].as_str().unwrap().contains("that Identity Center is managed from"), "{error}");
}

/// The shipped file as it was when the company had another name, in a folder of its own.
fn former(folder: &Folder) -> String {
    let shipped = std::fs::read_to_string(SHIPPED).expect("the shipped file");
    let path = folder.path("former.json");
    std::fs::write(&path, shipped.replacen(r#""company": "PwC""#, r#""company": "Acme""#, 1)).expect("a file");
    path
}

#[tokio::test]
async fn groups_of_a_former_name_are_renamed_with_their_members() {
    let stack = Stack::shared().await;
    let (store, folder) = (Store::new(&stack), Folder::new());
    let former = former(&folder);
    let (old, new) = ("Acme_GP_222222222222_Network", "PwC_GP_222222222222_Network");
    let client = stack.hub().identities();
    let network = client.create_group().identity_store_id(&store.id).display_name(old);
    let network = network.description("Daypass: Network in net (222222222222)").send().await.unwrap().group_id;
    store.join(&network).await;
    store.add("Acme_GP_222222222222_Product_Admin").await;
    store.add("PwC_GP_222222222222_Product_Admin").await;
    store.add("Acme_GP_999999999999_Network").await;

    // Who does not say how the groups were named sees none of them.
    let unaware = store.ask(&["plan"]).await;
    assert_eq!((names(&unaware.json()["missing"]).len(), &unaware.json()["renamed"]), (5, &json!([])), "{unaware:?}");
    let plan = store.ask(&["plan", "--renamed-from", &former]).await;
    let json = plan.json();
    assert_eq!((plan.code, names(&json["renamed"]), names(&json["missing"]).len()), (1, vec![new], 4), "{plan:?}");
    assert_eq!((&json["renamed"][0]["from"], &json["renamed"][0]["members"]), (&json!(old), &json!(1)), "{json:#}");
    assert_eq!(json["doubled"][0]["from"], "Acme_GP_222222222222_Product_Admin", "{json:#}");
    assert_eq!(names(&json["extra"]), ["Acme_GP_999999999999_Network"]);

    let apply = store.ask(&["apply", "--renamed-from", &former]).await;
    let json = apply.json();
    assert_eq!((apply.code, &json["renamed"]), (0, &json!([{"from": old, "group": new}])), "{apply:?}");
    assert_eq!((names(&json["created"]).len(), &json["deleted"]), (4, &json!([])), "{apply:?}");
    assert_eq!(json["doubled"], json!(["Acme_GP_222222222222_Product_Admin"]));
    let groups = store.groups().await;
    assert!(groups.contains(&(new.to_owned(), "Daypass: Network in payments-dev (222222222222)".to_owned())));
    assert_eq!(groups.len(), 8, "{groups:?}");
    let members = client.list_group_memberships().identity_store_id(&store.id).group_id(&network).send().await;
    assert_eq!(members.unwrap().group_memberships.len(), 1, "it is the same group");

    // Once more changes nothing, and says what is left.
    let again = store.ask(&["apply", "--renamed-from", &former]).await;
    assert_eq!((again.code, &again.json()["renamed"], &again.json()["created"]), (0, &json!([]), &json!([])));
    assert_eq!(store.groups().await, groups);
    let pruned = store.ask(&["apply", "--renamed-from", &former, "--prune", "--yes"]).await;
    assert_eq!(names(&pruned.json()["deleted"]), ["Acme_GP_999999999999_Network"], "{pruned:?}");
    assert_eq!(store.groups().await.len(), 7, "what is doubled stays");
}

#[tokio::test]
async fn a_group_that_another_directory_feeds_is_not_renamed_unless_told() {
    let stack = Stack::shared().await;
    let (store, folder) = (Store::new(&stack), Folder::new());
    let former = former(&folder);
    let theirs = store.add("Acme_GP_222222222222_Network").await;
    stack.engine.group_comes_from(DIRECTORY, &theirs).await;
    let refused = store.ask(&["apply", "--renamed-from", &former]).await;
    assert_eq!(refused.code, 70, "{refused:?}");
    assert!(refused.stderr.contains("--allow-scim"), "{refused:?}");
    assert_eq!(store.groups().await.len(), 1);
}
