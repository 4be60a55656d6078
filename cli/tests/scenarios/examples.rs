//! The examples, deployed as their READMEs say: one command, and the role is gone afterwards.

use std::{collections::BTreeSet, env, fs, os::unix::fs::symlink, path::Path, time::Duration};

use daypass::ids::TransactionId;
use daypass_tests::{aws::Call, pipeline::new_transaction_id, stack::Stack};
use serde_json::json;
use tokio::{process::Command, time::sleep};

use crate::command::{Ended, Folder, daypass, ended, is_given_back};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const TARGET: &str = "222222222222";
/// Where the examples are deployed: an account of each environment, and its id.
const ACCOUNTS: [(&str, &str); 2] = [("payments-dev", TARGET), ("payments-prod", "333333333333")];

/// A copy of an example, which goes when the test ends.
struct Example(Folder);

impl Example {
    fn copy(name: &str) -> Self {
        let folder = Folder::new();
        copy_files(&Path::new(REPOSITORY).join("examples").join(name), &folder.0);
        Self(folder)
    }

    fn change(&self, file: &str, from: &str, to: &str) {
        let file = self.0.path(file);
        let text = fs::read_to_string(&file).expect("a file");
        assert!(text.contains(from), "{from} is not in {file}");
        fs::write(&file, text.replace(from, to)).expect("the file");
    }

    /// `daypass exec` in the example's folder, as a pipeline has it.
    async fn exec(&self, options: &[&str], command: &[&str]) -> Ended {
        let arguments = [&["exec", "--account", "payments-dev"], options, &["--"], command].concat();
        ended(self.daypass(&arguments)).await
    }

    /// `daypass exec` in a job of GitLab, on `main`, that this person has triggered.
    async fn exec_as(
        &self,
        stack: &Stack,
        (login, group_type): (&str, &str),
        account: &str,
        command: &[&str],
    ) -> Ended {
        let job = new_transaction_id().to_string();
        let email = format!("{login}@example.com");
        let claims = json!({"claims": {"job_id": job, "user_login": login, "user_email": email}});
        let who = ["exec", "--account", account, "--group-type", group_type, "--"];
        let mut exec = self.daypass(&[&who, command].concat());
        exec.envs([("DAYPASS_EMAIL", email.as_str()), ("DAYPASS_BRANCH", "main")]);
        exec.env("DAYPASS_IDENTITY_TOKEN", stack.engine.identity_token("gitlab", &claims).await);
        ended(exec).await
    }

    fn daypass(&self, arguments: &[&str]) -> Command {
        let mut command = daypass(&self.0, arguments);
        self.furnish(&mut command);
        command
    }

    /// Gives a command a pipeline's environment, in the example's folder.
    fn furnish(&self, command: &mut Command) {
        let folder = &self.0.0;
        let tools = [folder.join("node_modules/.bin"), Path::new(REPOSITORY).join(".local/venv/bin")];
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(tools.into_iter().chain(env::split_paths(&path))).expect("a path");
        command.current_dir(folder).env("PATH", path).env("CDK_HOME", folder.join("cdk-home"));
        command.env_remove("AWS_PROFILE").envs([
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("CDK_DISABLE_CLI_TELEMETRY", "true"),
            ("CDK_DISABLE_VERSION_CHECK", "true"),
            ("CHECKPOINT_DISABLE", "true"),
            ("CI", "true"),
            ("NO_COLOR", "1"),
            ("TF_IN_AUTOMATION", "true"),
        ]);
    }
}

/// Copies the files of a folder and of those below, without what an installation or a run has left there.
fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the example") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_str().expect("UTF-8");
        if path.is_file() {
            fs::copy(&path, to.join(name)).expect("a copy");
        } else if !["node_modules", "cdk.out", ".terraform"].contains(&name) {
            copy_files(&path, &to.join(name));
        }
    }
}

/// The transaction that an answer is of.
fn transaction(answer: &Ended) -> TransactionId {
    let (_, name) = answer.stderr.split_once("granted daypass-").unwrap_or_else(|| panic!("{answer:?}"));
    name[..36].parse().expect("an id")
}

/// How many calls of an action the transaction's role has made, and was not refused.
async fn calls(stack: &Stack, transaction: TransactionId, action: &str) -> usize {
    let role = format!("/{}/", transaction.role_name());
    let calls = stack.engine.calls().await;
    calls.iter().filter(|call| call.action == action && call.error.is_none() && call.caller.contains(&role)).count()
}

async fn resources_of(stack: &Stack, account: &str, name: &str) -> String {
    let call = Call::Query("cloudformation", "2010-05-15", "ListStackResources", &[("StackName", name)]);
    stack.root(account).call(&call).await.unwrap_or_else(|refused| panic!("{name}: {refused}"))
}

/// The physical id of the stack's only resource of a type.
async fn physical_id(stack: &Stack, account: &str, name: &str, resource: &str) -> String {
    let listed = resources_of(stack, account, name).await;
    let of_type = |member: &&str| member.contains(&format!("<ResourceType>{resource}</ResourceType>"));
    let member = listed.split("<member>").find(of_type).unwrap_or_else(|| panic!("{resource}: {listed}"));
    let (_, id) = member.split_once("<PhysicalResourceId>").expect("an id");
    id.split('<').next().expect("an end").to_owned()
}

async fn assert_stack(stack: &Stack, account: &str, name: &str, resources: &[&str]) {
    let listed = resources_of(stack, account, name).await;
    for resource in resources {
        assert!(listed.contains(&format!("<ResourceType>{resource}</ResourceType>")), "{resource}: {listed}");
    }
}

/// The login of somebody, and the group type of the persona that they deploy as.
type Person = (&'static str, &'static str);

const PRODUCT: Person = ("alex", "Product-Deployers");
const NETWORK: Person = ("nadia", "Network-Deployers");
const CONTAINERS: Person = ("carol", "Container-Deployers");

const CDK_DEPLOY: [&str; 5] = ["npx", "cdk", "deploy", "--require-approval", "never"];

/// The example of a CDK app under a name that no earlier run has deployed. What `npm install` puts there is what the CDK app of
/// Daypass itself has; of what `cdk bootstrap` makes, only the bucket for assets is needed.
async fn cdk_app(stack: &Stack) -> (Example, String) {
    for (_, account) in ACCOUNTS {
        let assets = format!("/cdk-hnb659fds-assets-{account}-us-east-1");
        stack.root(account).call(&Call::Rest("s3", "PUT", &assets)).await.expect("a bucket");
    }
    let example = Example::copy("cdk");
    symlink(Path::new(REPOSITORY).join("cdk/node_modules"), example.0.path("node_modules")).expect("a link");
    let name = format!("Receipts-{}", new_transaction_id());
    example.change("app.ts", "'PaymentsReceipts'", &format!("'{name}'"));
    (example, name)
}

/// What the examples of a team's app consist of.
const APP: [&str; 5] =
    ["AWS::DynamoDB::GlobalTable", "AWS::IAM::Role", "AWS::Lambda::Function", "AWS::S3::Bucket", "AWS::SQS::Queue"];

#[tokio::test]
async fn cdk() {
    let stack = Stack::shared().await;
    let (example, name) = cdk_app(&stack).await;
    for (account, id) in ACCOUNTS {
        let answer = example.exec_as(&stack, PRODUCT, account, &CDK_DEPLOY).await;
        assert_eq!(answer.code, 0, "{answer:?}");
        let deployed = transaction(&answer);
        assert!(calls(&stack, deployed, "cloudformation:ExecuteChangeSet").await > 0, "the role has deployed");
        assert!(calls(&stack, deployed, "s3:PutObject").await > 0, "the role has uploaded");
        assert_stack(&stack, id, &name, &APP).await;
        is_given_back(&stack, deployed).await;
        // Nothing to change is no failure.
        let again = example.exec_as(&stack, PRODUCT, account, &CDK_DEPLOY).await;
        assert_eq!(again.code, 0, "{again:?}");
    }
    // The bucket is emptied by a function of CDK, whose role may delete data in non-production only.
    let bucket = physical_id(&stack, TARGET, &name, "AWS::S3::Bucket").await;
    stack.root(TARGET).call(&Call::Rest("s3", "PUT", &format!("/{bucket}/receipt"))).await.expect("an object");
    let destroy = ["npx", "cdk", "destroy", "--force"];
    let answer = example.exec_as(&stack, PRODUCT, "payments-dev", &destroy).await;
    assert_eq!(answer.code, 0, "{answer:?}");
    stack.root(TARGET).call(&Call::Rest("s3", "HEAD", &format!("/{bucket}"))).await.expect_err("the bucket is gone");
    let answer = example.exec_as(&stack, PRODUCT, "payments-prod", &destroy).await;
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.stderr.contains("is not authorized to perform: s3:DeleteBucket"), "{answer:?}");
}

/// What the persona may not, CDK may not. The exit code is CDK's.
#[tokio::test]
async fn cdk_is_for_product_admin() {
    let stack = Stack::shared().await;
    let (example, name) = cdk_app(&stack).await;
    for (who, refusal) in
        [(NETWORK, "is not authorized to perform: s3:PutObject"), (CONTAINERS, "exists, but we dont have access to it")]
    {
        let answer = example.exec_as(&stack, who, "payments-dev", &CDK_DEPLOY).await;
        assert_eq!(answer.code, 1, "{answer:?}");
        assert!(answer.stderr.contains(refusal), "{answer:?}");
    }
    example.change("app.ts", &name, &format!("network-{name}"));
    let answer = example.exec_as(&stack, PRODUCT, "payments-dev", &CDK_DEPLOY).await;
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.stderr.contains("is not authorized to perform: cloudformation:"), "{answer:?}");
    is_given_back(&stack, transaction(&answer)).await;
}

/// Without the file to copy, or without a part of it, a deployment is refused.
#[tokio::test]
async fn cdk_needs_the_path_and_the_boundary() {
    let stack = Stack::shared().await;
    for (from, to) in [
        ("node.addPropertyOverride('Path', '/deployed-by-daypass/');", ""),
        ("policy/daypass-workloads", "policy/daypass-boundary"),
        ("if (node.cfnResourceType !== 'AWS::IAM::Role') return;", "return;"),
    ] {
        let (example, _) = cdk_app(&stack).await;
        example.change("daypass.ts", from, to);
        let answer = example.exec_as(&stack, PRODUCT, "payments-dev", &CDK_DEPLOY).await;
        assert_eq!(answer.code, 1, "{answer:?}");
        assert!(answer.stderr.contains("iam:CreateRole"), "{to}: {answer:?}");
    }
}

/// An app as CDK's own documentation has it: the default synthesizer, and a bucket whose objects a function deletes.
const ORDINARY_APP: &str = "\
import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as s3 from 'aws-cdk-lib/aws-s3';

const stack = new Stack(new App(), 'Receipts');
new s3.Bucket(stack, 'Bucket', { autoDeleteObjects: true, removalPolicy: RemovalPolicy.DESTROY });
";

/// What the real CDK synthesizes is what `daypass check-app` understands.
#[tokio::test]
async fn a_synthesized_app_is_checked_without_aws() {
    let example = Example::copy("cdk");
    symlink(Path::new(REPOSITORY).join("cdk/node_modules"), example.0.path("node_modules")).expect("a link");
    let synth = async || {
        let mut command = Command::new("npx");
        example.furnish(&mut command);
        command.args(["cdk", "synth", "--quiet"]);
        let synthesized = ended(command).await;
        assert_eq!(synthesized.code, 0, "{synthesized:?}");
        ended(example.daypass(&["check-app", "--output", "json"])).await
    };
    let checked = synth().await;
    assert_eq!((checked.code, &checked.json()["counts"]["errors"]), (0, &0.into()), "{checked:?}");

    fs::write(example.0.path("app.ts"), ORDINARY_APP).expect("an app");
    let checked = synth().await;
    assert_eq!(checked.code, 1, "{checked:?}");
    let files = checked.json()["files"].as_array().expect("a list").clone();
    let rules: BTreeSet<_> = files
        .iter()
        .flat_map(|file| file["findings"].as_array().expect("a list"))
        .map(|finding| finding["rule"].as_str().expect("a rule").to_owned())
        .collect();
    assert_eq!(rules, ["assume-role", "pass-role", "role-boundary", "role-path"].map(str::to_owned).into());
}

/// How the `aws` command deploys the example, under this name.
fn cloudformation_deploy(name: &str) -> [&str; 10] {
    let [stack, template, unchanged] = ["--stack-name", "--template-file", "--no-fail-on-empty-changeset"];
    let file = "template.yaml";
    ["aws", "cloudformation", "deploy", stack, name, template, file, "--capabilities", "CAPABILITY_IAM", unchanged]
}

#[tokio::test]
async fn cloudformation() {
    let stack = Stack::shared().await;
    let example = Example::copy("cloudformation");
    let name = format!("payments-{}", new_transaction_id());
    // The second has nothing to change, and its credentials from an endpoint.
    for options in [[].as_slice(), &["--serve"]] {
        let answer = example.exec(options, &cloudformation_deploy(&name)).await;
        assert_eq!(answer.code, 0, "{answer:?}");
        let transaction = transaction(&answer);
        assert!(calls(&stack, transaction, "cloudformation:CreateChangeSet").await > 0, "the role has deployed");
        assert_stack(&stack, TARGET, &name, &["AWS::S3::Bucket", "AWS::SQS::Queue"]).await;
        is_given_back(&stack, transaction).await;
        // `aws cloudformation deploy` names its change sets by the second.
        sleep(Duration::from_secs(1)).await;
    }
}

/// Each template deploys as the persona that it is for, in both environments, and is refused for the others.
#[tokio::test]
async fn each_persona_deploys_its_templates() {
    fn deploy<'a>(file: &'a str, name: &'a str) -> Vec<&'a str> {
        let [stack, template] = ["--stack-name", "--template-file"];
        let able = ["--capabilities", "CAPABILITY_IAM"];
        [&["aws", "cloudformation", "deploy", stack, name, template, file], &able[..]].concat()
    }
    let stack = Stack::shared().await;
    let example = Example::copy("cloudformation");
    let app = ["AWS::DynamoDB::Table", "AWS::IAM::Role", "AWS::Lambda::Function", "AWS::Lambda::EventSourceMapping"];
    let cases: [(Person, &str, &str, &[&str]); 3] = [
        (PRODUCT, "template.yaml", "payments", &app),
        (NETWORK, "network.yaml", "network", &["AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::SecurityGroup"]),
        (CONTAINERS, "containers.yaml", "containers", &["AWS::ECR::Repository"]),
    ];
    for (who, file, owner, resources) in cases {
        for (account, id) in ACCOUNTS {
            let name = format!("{owner}-{}", new_transaction_id());
            let answer = example.exec_as(&stack, who, account, &deploy(file, &name)).await;
            assert_eq!(answer.code, 0, "{file} {account}: {answer:?}");
            assert_stack(&stack, id, &name, resources).await;
        }
        for (other, ..) in cases.into_iter().filter(|(other, ..)| *other != who) {
            let name = format!("{owner}-{}", new_transaction_id());
            let answer = example.exec_as(&stack, other, "payments-dev", &deploy(file, &name)).await;
            let refused = answer.stderr.contains("is not authorized to perform: cloudformation:CreateChangeSet");
            assert!(answer.code != 0 && refused, "{file} as {other:?}: {answer:?}");
        }
    }
    // The name opens the stack, and nothing in it: under a name of its own, a persona deploys no more than it may.
    for (who, name) in [(NETWORK, "network"), (CONTAINERS, "containers")] {
        let name = format!("{name}-{}", new_transaction_id());
        let answer = example.exec_as(&stack, who, "payments-dev", &deploy("template.yaml", &name)).await;
        assert_eq!(answer.code, 255, "{answer:?}");
        assert!(answer.stderr.contains("Failed to create/update the stack"), "{answer:?}");
    }
}

/// An SDK runs `daypass` by itself whenever it needs credentials, here that of the `aws` command.
#[tokio::test]
async fn credential_process() {
    let stack = Stack::shared().await;
    let example = Example::copy("cloudformation");
    let name = format!("payments-{}", new_transaction_id());
    let transaction = by_profile(&example, &cloudformation_deploy(&name)).await;
    assert!(calls(&stack, transaction, "cloudformation:CreateChangeSet").await > 0, "the role has deployed");
    assert_stack(&stack, TARGET, &name, &["AWS::S3::Bucket", "AWS::SQS::Queue"]).await;
    is_given_back(&stack, transaction).await;
}

/// What EKS does with a token: it calls the URL in it, with the name of the cluster, and believes the principal that STS names.
const VERIFY: &str = r#"
import base64, json, re, subprocess, sys, urllib.request
_, cluster, role = sys.argv
command = ["aws", "eks", "get-token", "--cluster-name", cluster, "--role-arn", role]
got = subprocess.run(command, capture_output=True, text=True)
if got.returncode:
    sys.exit(got.stderr)
token = json.loads(got.stdout)["status"]["token"].removeprefix("k8s-aws-v1.")
url = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
def who(name):
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers={"x-k8s-aws-id": name})).read().decode()
    except urllib.error.HTTPError as refused:
        return str(refused.code)
    return re.search("<Arn>(.*)</Arn>", answer)[1]
print(who(cluster), who("another-cluster"))
"#;

#[tokio::test]
async fn kubernetes() {
    let stack = Stack::shared().await;
    let example = Example::copy("kubernetes");
    for (account, id) in ACCOUNTS {
        // The platform team deploys it once; another run may have.
        let body = fs::read_to_string(example.0.path("role.yaml")).expect("the template");
        let create =
            [("StackName", "fixed-roles"), ("TemplateBody", &body), ("Capabilities.member.1", "CAPABILITY_NAMED_IAM")];
        let created = stack.root(id).call(&Call::Query("cloudformation", "2010-05-15", "CreateStack", &create)).await;
        if let Err(refused) = created {
            assert!(refused.to_string().contains("AlreadyExists"), "{refused}");
        }
        let role = format!("arn:aws:iam::{id}:role/fixed-for-daypass/Container_Admin/kubernetes-deployer");
        let enter = ["python", "-c", VERIFY, "payments", &role];
        let answer = example.exec_as(&stack, CONTAINERS, account, &enter).await;
        assert_eq!(answer.code, 0, "{answer:?}");
        let principal = format!("arn:aws:sts::{id}:assumed-role/kubernetes-deployer/");
        let (first, second) = answer.stdout.trim().split_once(' ').expect("two answers");
        assert!(first.starts_with(&principal), "{answer:?}");
        // The token is for one cluster.
        assert_eq!(second, "403", "{answer:?}");
        for other in [PRODUCT, NETWORK] {
            let refused = example.exec_as(&stack, other, account, &enter).await;
            assert_eq!(refused.code, 1, "{refused:?}");
            assert!(refused.stderr.contains("is not authorized to perform: sts:AssumeRole"), "{refused:?}");
        }
        // It is assumed, and never changed.
        for change in [
            ["update-assume-role-policy", "--policy-document", TRUST_EVERYBODY].as_slice(),
            &["put-role-policy", "--policy-name", "more", "--policy-document", EVERYTHING],
            &["attach-role-policy", "--policy-arn", "arn:aws:iam::aws:policy/AdministratorAccess"],
            &["delete-role-permissions-boundary"],
            &["delete-role"],
        ] {
            for who in [CONTAINERS, PRODUCT] {
                let call = [&["aws", "iam", change[0], "--role-name", "kubernetes-deployer"], &change[1..]].concat();
                let refused = example.exec_as(&stack, who, account, &call).await;
                assert!(
                    refused.code != 0 && refused.stderr.contains("AccessDenied"),
                    "{change:?} as {who:?}: {refused:?}"
                );
            }
        }
    }
}

/// A role of the platform team for a persona's stacks, as strong as can be within the boundary.
async fn fixed_role(stack: &Stack, persona: &str) -> String {
    let name = format!("cloudformation-{}", new_transaction_id());
    let path = format!("/fixed-for-daypass/{persona}/");
    let boundary = format!("arn:aws:iam::{TARGET}:policy/daypass-boundary");
    let create = [
        ("RoleName", name.as_str()),
        ("Path", path.as_str()),
        ("PermissionsBoundary", boundary.as_str()),
        ("AssumeRolePolicyDocument", TRUST_CLOUDFORMATION),
    ];
    let put = [("RoleName", name.as_str()), ("PolicyName", "all"), ("PolicyDocument", EVERYTHING)];
    for (action, parameters) in [("CreateRole", create.as_slice()), ("PutRolePolicy", &put)] {
        stack.root(TARGET).call(&Call::Query("iam", "2010-05-08", action, parameters)).await.expect(action);
    }
    format!("arn:aws:iam::{TARGET}:role{path}{name}")
}

/// A stack keeps the role that it was given, and lends it to whoever may update the stack: to its own persona alone.
#[tokio::test]
async fn a_stack_that_keeps_a_fixed_role_is_its_personas() {
    let stack = Stack::shared().await;
    let example = Example::copy("cloudformation");
    let personas = [
        (PRODUCT, "Product_Admin", "payments"),
        (NETWORK, "Network", "network"),
        (CONTAINERS, "Container_Admin", "containers"),
    ];
    let refused = |answer: &Ended| answer.code != 0 && answer.stderr.contains("AccessDenied");
    for (who, persona, owner) in personas {
        let role = fixed_role(&stack, persona).await;
        let name = format!("{owner}-{}", new_transaction_id());
        let deploy = |verb: &'static str, template: &'static str| {
            vec!["aws", "cloudformation", verb, "--stack-name", &name, "--template-body", template]
        };
        let create = [deploy("create-stack", TOPIC), vec!["--role-arn", &role]].concat();
        let others = personas.iter().map(|(other, ..)| *other).filter(|other| *other != who);
        for other in others.clone() {
            let answer = example.exec_as(&stack, other, "payments-dev", &create).await;
            assert!(refused(&answer), "{name} as {other:?}: {answer:?}");
        }
        let answer = example.exec_as(&stack, who, "payments-dev", &create).await;
        assert_eq!(answer.code, 0, "{name}: {answer:?}");
        for other in others {
            let answer = example.exec_as(&stack, other, "payments-dev", &deploy("update-stack", TWO_TOPICS)).await;
            assert!(refused(&answer), "{name} as {other:?}: {answer:?}");
        }
        let answer = example.exec_as(&stack, who, "payments-dev", &deploy("update-stack", TWO_TOPICS)).await;
        assert_eq!(answer.code, 0, "{name}: {answer:?}");
    }
}

const TOPIC: &str = r#"{"Resources":{"One":{"Type":"AWS::SNS::Topic"}}}"#;
const TWO_TOPICS: &str = r#"{"Resources":{"One":{"Type":"AWS::SNS::Topic"},"Two":{"Type":"AWS::SNS::Topic"}}}"#;
const TRUST_CLOUDFORMATION: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"cloudformation.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const EVERYTHING: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
const TRUST_EVERYBODY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#;

/// The three ways of examples/terraform/README.md. `make test-terraform` runs it.
#[tokio::test]
#[ignore = "it needs Terraform, and its provider for AWS"]
async fn terraform() {
    let stack = Stack::shared().await;
    let example = Example::copy("terraform");
    let terraform = |arguments: &[&str]| {
        let mut command = Command::new("terraform");
        example.furnish(&mut command);
        command.args(arguments);
        command
    };
    let init = ended(terraform(&["init"])).await;
    assert_eq!(init.code, 0, "{init:?}");
    let apply = ["terraform", "apply", "-auto-approve", "-no-color"].as_slice();
    for options in [[].as_slice(), &["--serve"]] {
        let answer = example.exec(options, apply).await;
        assert_eq!(answer.code, 0, "{answer:?}");
        let transaction = transaction(&answer);
        let deployed_as = format!("assumed-role/{}/", transaction.role_name());
        assert!(answer.stdout.contains(&deployed_as), "{answer:?}");
        is_given_back(&stack, transaction).await;
    }
    let bucket = ended(terraform(&["output", "-raw", "receipts_bucket"])).await.stdout;
    let bucket = format!("/{bucket}");
    stack.root(TARGET).call(&Call::Rest("s3", "HEAD", &bucket)).await.expect("the bucket");
    let transaction = by_profile(&example, apply).await;
    is_given_back(&stack, transaction).await;
}

/// Runs a command with the profile of examples/terraform/README.md, from the request to the release.
async fn by_profile(example: &Example, command: &[&str]) -> TransactionId {
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    let [id, secret, token] = keys.map(|name| env::var(name).expect(name));
    let daypass = env!("CARGO_BIN_EXE_daypass");
    let profiles = format!(
        "[profile invoker]\n\
         region = us-east-1\n\
         aws_access_key_id = {id}\n\
         aws_secret_access_key = {secret}\n\
         aws_session_token = {token}\n\
         [profile payments-dev]\n\
         region = us-east-1\n\
         credential_process = {daypass} credentials --aws-profile invoker\n"
    );
    fs::write(example.0.path("aws-config"), profiles).expect("profiles");
    // No credentials but those of the profiles.
    let with_profile = |mut command: Command, profile: &str| {
        for name in keys {
            command.env_remove(name);
        }
        command.env("AWS_CONFIG_FILE", example.0.path("aws-config")).env("AWS_PROFILE", profile);
        command
    };
    let request = example.daypass(&["request", "--account", "payments-dev", "--output", "json"]);
    let answer = ended(with_profile(request, "invoker")).await;
    assert_eq!(answer.code, 0, "{answer:?}");
    let transaction = answer.json()["transaction_id"].as_str().expect("an id").to_owned();
    let (program, arguments) = command.split_first().expect("a command");
    let mut deploy = Command::new(program);
    example.furnish(&mut deploy);
    deploy.args(arguments).env("DAYPASS_TRANSACTION_ID", &transaction).env("DAYPASS_STATE_DIR", &example.0.0);
    let deployed = ended(with_profile(deploy, "payments-dev")).await;
    let released = ended(with_profile(example.daypass(&["release", &transaction]), "invoker")).await;
    assert_eq!((deployed.code, released.code), (0, 0), "{deployed:?} {released:?}");
    transaction.parse().expect("an id")
}
