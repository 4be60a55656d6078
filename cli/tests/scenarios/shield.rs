//! `daypass shield`, as an administrator of a target account has it.

use std::time::Duration;

use aws_sdk_cloudformation::types::{Parameter, Tag};
use daypass_tests::{
    aws::{Aws, Call, Refused},
    engine::Fault,
    pipeline::new_transaction_id,
    stack::Stack,
};
use serde_json::{Value, json};
use tokio::{process::Command, time::sleep};

use crate::command::{Ended, Folder, Held, daypass, ended, exec};

const TARGET: &str = "222222222222";
/// Instance profiles are of all regions.
const OTHER_TARGET: &str = "333333333333";
const ADMINISTRATOR: &str = "arn:aws:iam::aws:policy/AdministratorAccess";
const TEMPLATE: &str = r#"{"Parameters": {"Stage": {"Type": "String"}},
    "Resources": {"Kept": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Ref": "Stage"}}}}}"#;
/// An archive without a file.
const EMPTY_ZIP: &str = "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==";

/// A target account in a region in which nothing else is, with roles of its own.
struct Account {
    id: &'static str,
    region: &'static str,
    root: Aws,
    /// What all names of IAM begin with.
    prefix: String,
    state: Folder,
}

impl Account {
    /// An empty one, whatever has been left there.
    async fn new(stack: &Stack, id: &'static str, region: &'static str) -> Self {
        let prefix = format!("shield-{}", &new_transaction_id().to_string()[..8]);
        let account = Self { id, region, root: stack.root(id).in_region(region), prefix, state: Folder::new() };
        for name in ["kept", "CDKToolkit"] {
            let _ = account.stacks().delete_stack().stack_name(name).send().await;
        }
        for name in ["admin-tool", "harmless", "tool"] {
            let path = format!("/2015-03-31/functions/{name}");
            let _ = account.root.call(&Call::Rest("lambda", "DELETE", &path)).await;
        }
        for name in ["build", "lint"] {
            let body = json!({"name": name}).to_string();
            let _ = account.root.call(&Call::Json("codebuild", "CodeBuild_20161006.DeleteProject", &body)).await;
        }
        for name in ["nightly", "orphan"] {
            let arn = format!("arn:aws:states:{region}:{id}:stateMachine:{name}");
            let _ = account.root.states().delete_state_machine().state_machine_arn(arn).send().await;
        }
        account
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let options = ["--region", self.region, "--output", "json", "--quiet"];
        let mut command = daypass(&self.state, &[&["shield"], arguments, &options].concat());
        // The engine takes an account's id for its root's access key, with any secret.
        command.env("AWS_ACCESS_KEY_ID", self.id).env("AWS_SECRET_ACCESS_KEY", "local").env_remove("AWS_SESSION_TOKEN");
        command
    }

    async fn shield(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments)).await
    }

    /// A role below a path that services of AWS may have, with a managed policy, or one that allows this, and its ARN.
    async fn role(
        &self,
        path: &str,
        name: &str,
        managed: Option<&str>,
        allowed: &Value,
        boundary: Option<&str>,
    ) -> String {
        let services =
            ["cloudformation", "codebuild", "ec2", "lambda", "states"].map(|it| format!("{it}.amazonaws.com"));
        let trust = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}]});
        let name = format!("{}-{name}", self.prefix);
        let iam = self.root.iam();
        let request = iam.create_role().path(path).role_name(&name).assume_role_policy_document(trust.to_string());
        let made = request.set_permissions_boundary(boundary.map(str::to_owned)).send().await.expect("a role");
        if let Some(arn) = managed {
            iam.attach_role_policy().role_name(&name).policy_arn(arn).send().await.expect("a policy");
        } else {
            let own = json!({"Effect": "Allow", "Action": allowed, "Resource": "*"});
            let own = json!({"Version": "2012-10-17", "Statement": own}).to_string();
            let request = iam.put_role_policy().role_name(&name).policy_name("own").policy_document(own);
            request.send().await.expect("a policy");
        }
        made.role.expect("it").arn
    }

    async fn function(&self, name: &str, role: &str) -> String {
        let body = json!({"FunctionName": name, "Role": role, "Runtime": "provided.al2023", "Handler": "x",
            "Code": {"ZipFile": EMPTY_ZIP}, "Tags": {"team": "payments"}});
        let call = Call::RestJson("lambda", "POST", "/2015-03-31/functions", &body.to_string());
        let made = self.root.call(&call).await.expect("a function");
        serde_json::from_str::<Value>(&made).expect("JSON")["FunctionArn"].as_str().expect("its ARN").to_owned()
    }

    async fn project(&self, name: &str, role: &str) -> String {
        let body = json!({"name": name, "serviceRole": role, "artifacts": {"type": "NO_ARTIFACTS"},
            "source": {"type": "NO_SOURCE", "buildspec": "version: 0.2"}, "tags": [{"key": "team", "value": "payments"}],
            "environment": {"type": "LINUX_CONTAINER", "image": "x", "computeType": "BUILD_GENERAL1_SMALL"}});
        let made =
            self.root.call(&Call::Json("codebuild", "CodeBuild_20161006.CreateProject", &body.to_string())).await;
        let made = serde_json::from_str::<Value>(&made.expect("a project")).expect("JSON");
        made["project"]["arn"].as_str().expect("its ARN").to_owned()
    }

    async fn machine(&self, name: &str, role: &str) -> String {
        let definition = r#"{"StartAt": "S", "States": {"S": {"Type": "Succeed"}}}"#;
        let made =
            self.root.states().create_state_machine().name(name).role_arn(role).definition(definition).send().await;
        made.expect("a machine").state_machine_arn
    }

    fn stacks(&self) -> aws_sdk_cloudformation::Client {
        aws_sdk_cloudformation::Client::new(self.root.config())
    }

    /// A stack that keeps the role.
    async fn make_stack(&self, name: &str, role: &str) -> String {
        let stage = Parameter::builder().parameter_key("Stage").parameter_value("dev").build();
        let team = Tag::builder().key("team").value("payments").build();
        let request =
            self.stacks().create_stack().stack_name(name).template_body(TEMPLATE).parameters(stage).tags(team);
        let made = request.role_arn(role).send().await.expect("a stack");
        let arn = made.stack_id.expect("its ARN");
        self.settled(&arn).await;
        arn
    }

    /// Its role, its tags and its parameter, when it is no longer being changed.
    async fn settled(&self, arn: &str) -> (String, Vec<(String, String)>, String) {
        loop {
            let answer = self.stacks().describe_stacks().stack_name(arn).send().await.expect("it is there");
            let stack = answer.stacks().first().expect("it");
            let status = stack.stack_status().expect("a status").as_str();
            if status.ends_with("_IN_PROGRESS") {
                sleep(Duration::from_millis(200)).await;
                continue;
            }
            assert!(status.ends_with("_COMPLETE") && !status.contains("ROLLBACK"), "{stack:?}");
            let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
            let mut tags: Vec<_> = stack.tags().iter().map(|tag| (text(tag.key()), text(tag.value()))).collect();
            tags.sort();
            return (text(stack.role_arn()), tags, text(stack.parameters()[0].parameter_value()));
        }
    }

    /// Another value of its parameter, and nothing else.
    async fn update(&self, whose: &Aws, arn: &str, stage: &str) -> Result<(), Refused> {
        let whose = whose.in_region(self.region);
        let stage = Parameter::builder().parameter_key("Stage").parameter_value(stage).build();
        let request = aws_sdk_cloudformation::Client::new(whose.config()).update_stack().stack_name(arn);
        request.use_previous_template(true).parameters(stage).send().await?;
        self.settled(arn).await;
        Ok(())
    }

    async fn tags(&self, arn: &str) -> Value {
        let path = format!("/2017-03-31/tags/{}", arn.replace(':', "%3A"));
        let answer = self.root.call(&Call::Rest("lambda", "GET", &path)).await.expect("tags");
        serde_json::from_str::<Value>(&answer).expect("JSON")["Tags"].take()
    }
}

/// The member of each resource of a plan that is not shielded, sorted.
fn left<'a>(plan: &'a Value, member: &str) -> Vec<&'a str> {
    let resources = plan["resources"].as_array().expect("resources").iter();
    let left = resources.filter(|it| it["shielded"].is_null());
    left.map(|it| it[member].as_str().unwrap_or_else(|| panic!("{plan:#}"))).collect()
}

#[tokio::test]
async fn what_is_stronger_is_shielded_and_a_stack_is_migrated() {
    let stack = Stack::shared().await;
    let account = Account::new(&stack, TARGET, "eu-west-1").await;
    assert_eq!(account.shield(&["plan"]).await.code, 0, "nothing is there yet");
    let admin = account.role("/", "admin", Some(ADMINISTRATOR), &json!(null), None).await;
    let logs = account.role("/", "logs", None, &json!("logs:Put*"), None).await;
    let kept = account.make_stack("kept", &admin).await;
    let function = account.function("admin-tool", &admin).await;
    let harmless = account.function("harmless", &logs).await;
    let project = account.project("build", &admin).await;
    account.project("lint", &logs).await;
    let machine = account.machine("nightly", &admin).await;
    account.make_stack("CDKToolkit", &admin).await;

    // What the shield is for: the role that the stack keeps is asked, and not that of who updates it.
    let deploys = Held::start(exec(&account.state, &[], &["sh", "-c", crate::command::HOLD])).await;
    let deployment = stack.with(&deploys.credentials);
    account.update(&deployment, &kept, "test").await.expect("nothing shields it yet");

    let plan = account.shield(&["plan"]).await;
    assert_eq!(plan.code, 1, "{plan:?}");
    let plan = plan.json();
    assert_eq!(left(&plan, "arn"), [&kept, &function, &project, &machine].map(String::as_str), "{plan:#}");
    assert_eq!(left(&plan, "apply"), ["update-stack", "tag", "tag", "tag"]);
    assert_eq!(left(&plan, "role"), [admin.as_str(); 4]);
    assert_eq!((&plan["left"], &plan["resources"][0]["shielded"]), (&json!(4), &json!("name")), "{plan:#}");
    let commands = plan["resources"][1]["migration"].as_array().expect("a list");
    assert!(
        commands[0].as_str().expect("text").contains("/fixed-for-daypass/<Persona>/cloudformation-<name>"),
        "{plan:#}"
    );

    // Nobody is there to say yes.
    let apply = account.shield(&["apply"]).await;
    assert!(apply.code == 2 && apply.stderr.contains("--yes"), "{apply:?}");
    let apply = account.shield(&["apply", "--yes", "--only", &harmless]).await;
    assert!(apply.code == 2 && apply.stderr.contains(&harmless), "{apply:?}");
    let apply = account.shield(&["apply", "--yes", "--only", &function]).await;
    assert_eq!((apply.code, &apply.json()["shielded"]), (0, &json!([&function])), "{apply:?}");
    let apply = account.shield(&["apply", "--yes"]).await;
    assert_eq!((apply.code, &apply.json()["failed"]), (0, &json!([])), "{apply:?}");
    assert_eq!(apply.json()["shielded"].as_array().expect("a list").len(), 3, "{apply:?}");

    // Everything else is as it was.
    let tags =
        [("daypass:protected", "true"), ("team", "payments")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(account.settled(&kept).await, (admin.clone(), tags.to_vec(), "test".to_owned()));
    assert_eq!(account.tags(&function).await, json!({"daypass:protected": "true", "team": "payments"}));
    assert_eq!(account.tags(&harmless).await, json!({"team": "payments"}));
    let plan = account.shield(&["plan"]).await;
    assert_eq!((plan.code, &plan.json()["left"]), (0, &json!(0)), "{plan:?}");
    assert_eq!(plan.json()["resources"].as_array().expect("a list").len(), 5, "{plan:?}");
    let again = account.shield(&["apply", "--yes"]).await;
    assert_eq!((again.code, &again.json()["shielded"]), (0, &json!([])), "{again:?}");

    let refused = account.update(&deployment, &kept, "prod").await.expect_err("it is shielded");
    assert!(refused.is_refusal(), "{refused}");

    // The administrator takes the shield away while the stack still has its role, and then gives it another.
    let boundary = format!("arn:aws:iam::{TARGET}:policy/daypass-boundary");
    let fixed = account
        .role("/fixed-for-daypass/Product_Admin/", "cloudformation", None, &json!(["ssm:*"]), Some(&boundary))
        .await;
    let update = |tags: &[(&str, &str)]| {
        let stage = Parameter::builder().parameter_key("Stage").use_previous_value(true).build();
        let request = account.stacks().update_stack().stack_name(&kept).use_previous_template(true).parameters(stage);
        tags.iter().fold(request, |request, (key, value)| request.tags(Tag::builder().key(*key).value(*value).build()))
    };
    update(&[("team", "payments")]).send().await.expect("the shield goes");
    account.settled(&kept).await;
    let moved = update(&[("team", "payments"), ("deployed-by", "daypass")]).role_arn(&fixed).send().await;
    moved.expect("the role goes");
    let (role, _, _) = account.settled(&kept).await;
    assert_eq!(role, fixed);
    let plan = account.shield(&["plan"]).await;
    assert_eq!((plan.code, plan.json()["resources"].as_array().expect("a list").len()), (0, 4), "{plan:?}");
    account.update(&deployment, &kept, "prod").await.expect("it has a role of its own strength");
    assert_eq!(account.settled(&kept).await.2, "prod");
    drop(deploys);
}

#[tokio::test]
async fn what_cannot_be_judged_is_left_and_what_fails_does_not_stop_the_rest() {
    let stack = Stack::shared().await;
    let account = Account::new(&stack, OTHER_TARGET, "eu-west-2").await;
    let admin = account.role("/", "admin", Some(ADMINISTRATOR), &json!(null), None).await;
    let gone = account.role("/", "gone", None, &json!("logs:Put*"), None).await;
    let machine = account.machine("orphan", &gone).await;
    let function = account.function("tool", &gone).await;
    let iam = account.root.iam();
    let gone = gone.rsplit('/').next().expect("a name");
    iam.delete_role_policy().role_name(gone).policy_name("own").send().await.expect("it goes");
    iam.delete_role().role_name(gone).send().await.expect("it goes");
    let profile = format!("{}-bastion", account.prefix);
    iam.create_instance_profile().instance_profile_name(&profile).send().await.expect("a profile");
    let name = admin.rsplit('/').next().expect("a name");
    iam.add_role_to_instance_profile().instance_profile_name(&profile).role_name(name).send().await.expect("its role");

    let plan = account.shield(&["plan"]).await;
    let found = plan.json();
    assert_eq!((plan.code, left(&found, "apply")), (1, vec!["tag", "tag", "by-hand"]), "{plan:?}");
    assert!(
        left(&found, "why")[0].contains("it is not known what the role may do: iam:GetRole failed with NoSuchEntity")
    );
    let commands = found["resources"][2]["commands"].as_array().expect("a list");
    assert_eq!(commands.len(), 3, "{commands:?}");

    stack.engine.arm(Fault::of("lambda:TagResource").with(403, "AccessDeniedException").on(&function)).await;
    let apply = account.shield(&["apply", "--yes"]).await;
    let result = apply.json();
    assert_eq!((apply.code, &result["shielded"]), (70, &json!([machine])), "{apply:?}");
    assert_eq!(
        (&result["failed"][0]["arn"], result["failed"][0]["reason"].as_str().map(|it| it.contains("AccessDenied"))),
        (&json!(function), Some(true)),
        "{apply:?}"
    );
    assert!(apply.stderr.contains("1 of 2 resources could not be shielded"), "{apply:?}");
    // The profile is left.
    let apply = account.shield(&["apply", "--yes"]).await;
    assert_eq!((apply.code, &apply.json()["shielded"]), (1, &json!([function])), "{apply:?}");
    let tag = aws_sdk_iam::types::Tag::builder().key("daypass:protected").value("true").build().expect("a tag");
    iam.tag_instance_profile().instance_profile_name(&profile).tags(tag).send().await.expect("the tag");
    assert_eq!(account.shield(&["plan"]).await.code, 0);
    iam.remove_role_from_instance_profile()
        .instance_profile_name(&profile)
        .role_name(name)
        .send()
        .await
        .expect("it goes");
    iam.delete_instance_profile().instance_profile_name(&profile).send().await.expect("it goes");
}
