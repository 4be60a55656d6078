//! Explanations from the shipped file and an identity store that a test makes up.

use aws_sdk_identitystore::Client;
use daypass_testing::samples;
use serde_json::json;

use super::*;

const SHIPPED: &str = include_str!("../../../../../personas.json");

/// An identity store of one group and one user.
#[derive(Clone, Copy)]
struct FakeDirectory {
    email: &'static str,
    status: &'static str,
    group: &'static str,
    is_member: bool,
    /// What every call fails with.
    fault: Option<&'static str>,
}

const GOOD: FakeDirectory = FakeDirectory {
    email: "alex@example.com",
    status: "ENABLED",
    group: "PwC_GP_333333333333_Product_Admin",
    is_member: true,
    fault: None,
};

impl FakeDirectory {
    fn answer(self, operation: &str, input: &Value) -> Result<Value, &'static str> {
        if let Some(code) = self.fault {
            return Err(code);
        }
        let unique = &input["AlternateIdentifier"]["UniqueAttribute"];
        let has =
            |attribute: &str, value: &str| unique["AttributePath"] == attribute && unique["AttributeValue"] == value;
        match operation {
            "GetUserId" if has("emails.value", self.email) => Ok(json!({"UserId": "user-1"})),
            "GetGroupId" if has("displayName", self.group) => Ok(json!({"GroupId": "group-1"})),
            "GetUserId" | "GetGroupId" => Err("ResourceNotFoundException"),
            "DescribeUser" => Ok(json!({"UserId": "user-1", "UserName": "alex", "UserStatus": self.status})),
            "IsMemberInGroups" => {
                assert_eq!((&input["MemberId"]["UserId"], &input["GroupIds"]), (&json!("user-1"), &json!(["group-1"])));
                Ok(json!({"Results": [{"GroupId": "group-1", "MembershipExists": self.is_member}]}))
            }
            _ => panic!("{operation} is not needed"),
        }
    }

    fn directory(self) -> Directory {
        let config = samples::json_service(move |operation, input| self.answer(operation, &input));
        Directory::Known(IdentityStore::new(Client::new(&config), "d-1234567890".to_owned()))
    }

    async fn explain(self, question: Question) -> Explanation {
        Explanation::of(question, &Personas::parse(SHIPPED).unwrap(), &self.directory()).await
    }
}

fn question() -> Question {
    Question {
        email: "alex@example.com".parse().unwrap(),
        account: "payments-prod".to_owned(),
        group_type: None,
        branch: Some("release/1.0".to_owned()),
        run: None,
    }
}

/// A run of the repository by id and name.
fn run(provider: Provider, id: Option<&str>, name: Option<&str>) -> Run {
    let [repository_id, repository] = [id, name].map(|it| it.map(str::to_owned));
    Run { provider, issuer: None, repository_id, repository }
}

/// The part that says why; what the role may do is the same for all.
fn why(explanation: &Explanation) -> String {
    explanation.to_string().split("\nSuch a role").next().unwrap().to_owned()
}

#[tokio::test]
async fn a_member_would_get_the_role() {
    let explanation = GOOD.explain(question()).await;
    assert_eq!((explanation.answer(), explanation.error), (Answer::Yes, None));
    // How many ways are known changes with every new one.
    let text = explanation.to_string();
    let (text, risks) = text.split_once("Of the ").unwrap();
    insta::assert_snapshot!("granted.txt", text);
    assert!(risks.ends_with("\nWays that are open to it: none.\n"), "{risks}");
    let mut json = explanation.json();
    let role = json["role"].as_object_mut().unwrap();
    assert_eq!(role.remove("escalation_methods"), Some(json!([])));
    let RiskyActions { possible, taken_by_boundary, not_granted } =
        explanation.role.as_ref().map(|it| &it.risky_actions).unwrap();
    let has = |actions: &[String], action: &str| actions.iter().any(|it| it == action);
    assert!(has(possible, "lambda:CreateFunction"), "{possible:?}");
    assert!(has(taken_by_boundary, "glue:UpdateDevEndpoint"), "{taken_by_boundary:?}");
    assert!(has(not_granted, "iam:CreateAccessKey"), "{not_granted:?}");
    assert_eq!(role.remove("risky_actions").unwrap()["possible"], json!(possible));
    insta::assert_snapshot!("granted.json", format!("{json:#}"));
}

#[tokio::test]
async fn every_denial_has_its_name_and_reason() {
    let alex = question;
    let cases = [
        ("Daypass.UserNotFound", FakeDirectory { email: "erin@example.com", ..GOOD }, alex()),
        ("Daypass.UserDisabled", FakeDirectory { status: "DISABLED", ..GOOD }, alex()),
        ("Daypass.UserDisabled", FakeDirectory { status: "A_STATUS_OF_TOMORROW", ..GOOD }, alex()),
        ("Daypass.NotAMember", FakeDirectory { is_member: false, ..GOOD }, alex()),
        ("Daypass.NotAMember", FakeDirectory { group: "PwC_GP_222222222222_Product_Admin", ..GOOD }, alex()),
        ("Daypass.BranchNotAllowed", GOOD, Question { branch: Some("feature/x".to_owned()), ..alex() }),
        ("Daypass.InvalidRequest", GOOD, Question { branch: Some("refs/heads/main".to_owned()), ..alex() }),
        (
            "Daypass.InvalidRequest",
            FakeDirectory { status: "DISABLED", ..GOOD },
            Question { branch: Some("a b".to_owned()), ..alex() },
        ),
        ("Daypass.InvalidRequest", GOOD, Question { group_type: Some("Admins".to_owned()), ..alex() }),
        (
            "Daypass.IdentityNotProven",
            GOOD,
            Question { run: Some(run(Provider::Github, Some("1"), Some("example/scratch"))), ..alex() },
        ),
        ("Daypass.AccountNotAllowed", GOOD, Question { account: "sandbox".to_owned(), ..alex() }),
        ("Daypass.AccountNotAllowed", GOOD, Question { account: "999999999999".to_owned(), ..alex() }),
    ];
    let mut texts = Vec::new();
    for (error, world, question) in cases {
        let explanation = world.explain(question).await;
        assert_eq!((explanation.answer(), explanation.error), (Answer::No, Some(error)), "{explanation}");
        texts.push(why(&explanation));
    }
    insta::assert_snapshot!(texts.join("\n"));
}

#[tokio::test]
async fn an_account_that_is_not_open_is_a_denial() {
    let file = SHIPPED.replacen(r#"["Network", "Product_Admin", "Container_Admin"]"#, r#"["Network"]"#, 1);
    let question = Question { account: "222222222222".to_owned(), branch: None, ..question() };
    let explanation = Explanation::of(question, &Personas::parse(&file).unwrap(), &GOOD.directory()).await;
    assert_eq!(explanation.error, Some("Daypass.AccountNotAllowed"), "{explanation}");
}

#[tokio::test]
async fn what_was_not_checked_is_neither_granted_nor_denied() {
    let personas = Personas::parse(SHIPPED).unwrap();
    let mut texts = Vec::new();
    let unreachable = FakeDirectory { fault: Some("AccessDeniedException"), ..GOOD }.directory();
    for (question, store) in [
        (question(), Directory::NotNamed),
        (question(), unreachable),
        (Question { branch: None, ..question() }, GOOD.directory()),
    ] {
        let explanation = Explanation::of(question, &personas, &store).await;
        assert_eq!((explanation.answer(), explanation.error), (Answer::Unknown, None), "{explanation}");
        texts.push(why(&explanation));
    }
    insta::assert_snapshot!(texts.join("\n"));
    // What the file denies is denied all the same.
    let feature = Question { branch: Some("feature/x".to_owned()), ..question() };
    let denied = Explanation::of(feature, &personas, &Directory::NotNamed).await;
    assert_eq!((denied.answer(), denied.error), (Answer::No, Some("Daypass.BranchNotAllowed")));
}

#[tokio::test]
async fn any_branch_will_do_where_any_may_deploy() {
    let dev = Question { account: "222222222222".to_owned(), branch: None, ..question() };
    let world = FakeDirectory { group: "PwC_GP_222222222222_Product_Admin", ..GOOD };
    assert_eq!(world.explain(dev).await.answer(), Answer::Yes);
}

/// The file says from where an account is deployed to; a run is held against that as authz does it.
#[tokio::test]
async fn a_run_comes_from_where_the_account_is_deployed_to() {
    const GITLAB: &str = "https://gitlab.example.com";
    let mut file: Value = serde_json::from_str(SHIPPED).unwrap();
    file["accounts"][1]["repositories"] = json!([
        {"provider": "github", "id": "7654321", "name": "example/payments"},
        {"provider": "gitlab", "issuer": GITLAB, "id": "28", "name": "example/payments"},
        {"provider": "other", "name": "payments-*"},
    ]);
    let at = |issuer: &str, id: &str| Run { issuer: Some(issuer.to_owned()), ..run(Provider::Gitlab, Some(id), None) };
    let runs = [
        ("by its id", run(Provider::Github, Some("7654321"), None), Answer::Yes),
        ("renamed", run(Provider::Github, Some("7654321"), Some("example/renamed")), Answer::Yes),
        ("another one of the name", run(Provider::Github, Some("8"), Some("example/payments")), Answer::No),
        ("the id at another kind of issuer", run(Provider::Gitlab, Some("7654321"), None), Answer::No),
        ("without the id", run(Provider::Github, None, Some("example/payments")), Answer::Unknown),
        ("without anything", run(Provider::Other, None, None), Answer::Unknown),
        ("by its name", run(Provider::Other, None, Some("Payments-1")), Answer::Yes),
        ("by an id that does not count", run(Provider::Other, Some("1"), None), Answer::Unknown),
        ("at whichever instance", run(Provider::Gitlab, Some("28"), None), Answer::Yes),
        ("at the instance", at(GITLAB, "28"), Answer::Yes),
        ("at another instance", at("https://gitlab.com", "28"), Answer::No),
    ];
    let mut texts = Vec::new();
    let mut explain = async |what: &str, file: &Value, run: Option<Run>| {
        let personas = Personas::parse(&file.to_string()).unwrap();
        let explanation = Explanation::of(Question { run, ..question() }, &personas, &GOOD.directory()).await;
        let text = explanation.to_string();
        let step = text.lines().find(|line| line.contains(" run ")).unwrap().to_owned();
        texts.push(format!("# {what}\n{step}"));
        (explanation.answer(), explanation.error)
    };
    assert_eq!(explain("nobody says which", &file, None).await, (Answer::Yes, None));
    for (what, run, expected) in runs {
        let denial = (expected == Answer::No).then_some("Daypass.IdentityNotProven");
        assert_eq!(explain(what, &file, Some(run)).await, (expected, denial), "{what}");
    }
    file["accounts"][1].as_object_mut().unwrap().remove("repositories");
    let closed = explain("an account without repositories", &file, None).await;
    assert_eq!(closed, (Answer::No, Some("Daypass.IdentityNotProven")));
    file["environments"]["production"]["identity_token"] = json!("optional");
    let stranger = Some(run(Provider::Other, None, Some("x")));
    assert_eq!(explain("an open environment", &file, stranger).await, (Answer::Yes, None));
    file["environments"]["production"]["protected_ref"] = json!(true);
    file["accounts"][1]["repositories"] = json!([{"provider": "github", "id": "7654321", "name": "example/payments"}]);
    assert_eq!(explain("repositories in an open environment", &file, None).await, (Answer::Yes, None));
    insta::assert_snapshot!(texts.join("\n"));
}
