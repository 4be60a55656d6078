//! The examples, deployed as their READMEs say: one command, and the role is gone afterwards.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use daypass::ids::TransactionId;
use daypass_tests::{aws::Call, pipeline::new_transaction_id, stack::Stack};

use super::Answer;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const DAYPASS: &str = env!("CARGO_BIN_EXE_daypass");
const TARGET: &str = "222222222222";
/// CDK keeps what it uploads in this bucket; nothing else of what `cdk bootstrap` makes is needed.
const ASSETS: &str = "/cdk-hnb659fes-assets-222222222222-us-east-1";

/// A copy of an example, which goes when the test ends.
struct Example(PathBuf);

impl Example {
    fn copy(name: &str) -> Self {
        let folder = env::temp_dir().join(format!("daypass-example-{}", new_transaction_id()));
        fs::create_dir(&folder).expect("a folder");
        for file in fs::read_dir(Path::new(REPOSITORY).join("examples").join(name)).expect("the example") {
            let file = file.expect("a file").path();
            if file.is_file() {
                fs::copy(&file, folder.join(file.file_name().expect("a name"))).expect("a copy");
            }
        }
        Self(folder)
    }

    fn change(&self, file: &str, from: &str, to: &str) {
        let file = self.0.join(file);
        let text = fs::read_to_string(&file).expect("a file");
        assert!(text.contains(from), "{from} is not in {}", file.display());
        fs::write(&file, text.replace(from, to)).expect("the file");
    }

    /// `daypass exec` in the example's folder, as a pipeline has it.
    fn exec(&self, options: &[&str], command: &[&str]) -> Answer {
        let mut daypass = self.command(DAYPASS);
        daypass.args(["exec", "--account", "payments-dev"]).args(options).arg("--").args(command);
        Answer::of(&mut daypass)
    }

    /// A program in the example's folder, with a pipeline's environment.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let tools = [self.0.join("node_modules/.bin"), Path::new(REPOSITORY).join(".local/venv/bin")];
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(tools.into_iter().chain(env::split_paths(&path))).expect("a path");
        command.current_dir(&self.0).env("PATH", path).env("DAYPASS_EMAIL", "alex@example.com");
        command.env("DAYPASS_BRANCH", "feature/receipts").env_remove("GITHUB_ACTIONS").env_remove("AWS_PROFILE");
        command.envs([
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("CDK_DISABLE_CLI_TELEMETRY", "true"),
            ("CDK_DISABLE_VERSION_CHECK", "true"),
            ("CHECKPOINT_DISABLE", "true"),
            ("CI", "true"),
            ("NO_COLOR", "1"),
            ("TF_IN_AUTOMATION", "true"),
        ]);
        command.env("CDK_HOME", self.0.join("cdk-home"));
        command
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The transaction that an answer is of.
fn transaction(answer: &Answer) -> TransactionId {
    let (_, name) = answer.stderr.split_once("granted daypass-").unwrap_or_else(|| panic!("{answer:?}"));
    name[..36].parse().expect("an id")
}

/// Who in the target account made the calls of an action, of those whom this transaction's role was.
async fn calls(stack: &Stack, transaction: TransactionId, action: &str) -> usize {
    let role = format!("/{}/", transaction.role_name());
    let calls = stack.engine.calls().await;
    calls.iter().filter(|call| call.action == action && call.error.is_none() && call.caller.contains(&role)).count()
}

/// The release has ended, and the role is gone.
async fn assert_gone(stack: &Stack, transaction: TransactionId) {
    let release = stack.lease(transaction) + "-release";
    stack.ended(&release).await;
    assert!(stack.role(transaction, TARGET).await.is_none(), "the role is there");
    assert_eq!(stack.status(transaction).await, "deprovisioned");
}

async fn assert_stack(stack: &Stack, name: &str, resources: &[&str]) {
    let call = Call::Query("cloudformation", "2010-05-15", "ListStackResources", &[("StackName", name)]);
    let listed = stack.root(TARGET).call(&call).await.unwrap_or_else(|refused| panic!("{name}: {refused}"));
    for resource in resources {
        assert!(listed.contains(&format!("<ResourceType>{resource}</ResourceType>")), "{resource}: {listed}");
    }
}

#[tokio::test]
async fn cdk() {
    let stack = Stack::shared().await;
    stack.root(TARGET).call(&Call::Rest("s3", "PUT", ASSETS)).await.expect("a bucket");
    let example = Example::copy("cdk");
    // What `npm install` puts there is what the CDK app of Daypass itself has.
    symlink(Path::new(REPOSITORY).join("cdk/node_modules"), example.0.join("node_modules")).expect("a link");

    // A name that no earlier run has deployed.
    let name = format!("PaymentsReceipts-{}", new_transaction_id());
    example.change("app.ts", "PaymentsReceipts", &name);
    let deploy = ["npx", "cdk", "deploy", "--require-approval", "never"];
    let answer = example.exec(&[], &deploy);
    assert_eq!(answer.code, 0, "{answer:?}");
    let deployed = transaction(&answer);
    assert!(calls(&stack, deployed, "cloudformation:ExecuteChangeSet").await > 0, "the role has deployed");
    assert!(calls(&stack, deployed, "s3:PutObject").await > 0, "the role has uploaded");
    assert_stack(&stack, &name, &["AWS::S3::Bucket", "AWS::SQS::Queue"]).await;
    assert_gone(&stack, deployed).await;

    // What the persona may not, CDK may not: a stack of another persona's. The exit code is CDK's.
    example.change("app.ts", &name, &format!("network-{name}"));
    let answer = example.exec(&[], &deploy);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.stderr.contains("is not authorized to perform: cloudformation:"), "{answer:?}");
    assert_gone(&stack, transaction(&answer)).await;
}

#[tokio::test]
async fn cloudformation() {
    let stack = Stack::shared().await;
    let example = Example::copy("cloudformation");
    let name = format!("payments-{}", new_transaction_id());
    let deploy = ["--stack-name", &name, "--template-file", "template.yaml", "--no-fail-on-empty-changeset"];
    let deploy = [["aws", "cloudformation", "deploy"].as_slice(), &deploy].concat();
    // The second has nothing to change, by an endpoint instead of the environment.
    for options in [[].as_slice(), &["--serve"]] {
        let answer = example.exec(options, &deploy);
        assert_eq!(answer.code, 0, "{answer:?}");
        let transaction = transaction(&answer);
        assert!(calls(&stack, transaction, "cloudformation:CreateChangeSet").await > 0, "the role has deployed");
        assert_stack(&stack, &name, &["AWS::S3::Bucket", "AWS::SQS::Queue"]).await;
        assert_gone(&stack, transaction).await;
    }
}

/// The three ways of examples/terraform/README.md. `make test-terraform` runs it.
#[tokio::test]
#[ignore = "it needs Terraform, and its provider for AWS"]
async fn terraform() {
    let stack = Stack::shared().await;
    let example = Example::copy("terraform");
    let init = Command::new("terraform").arg("init").current_dir(&example.0).output().expect("terraform");
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    let apply = ["terraform", "apply", "-auto-approve", "-no-color"].as_slice();
    for options in [[].as_slice(), &["--serve"]] {
        let answer = example.exec(options, apply);
        assert_eq!(answer.code, 0, "{answer:?}");
        let transaction = transaction(&answer);
        // The person's name is the session's.
        let role = format!("assumed-role/{}/", transaction.role_name());
        assert!(answer.stdout.contains(&role), "{answer:?}");
        assert_gone(&stack, transaction).await;
    }
    let outputs =
        Command::new("terraform").args(["output", "-raw", "receipts_bucket"]).current_dir(&example.0).output();
    let bucket = String::from_utf8(outputs.expect("terraform").stdout).expect("a name");
    let head = format!("/{bucket}");
    stack.root(TARGET).call(&Call::Rest("s3", "HEAD", &head)).await.expect("the bucket");

    let transaction = by_profile(&stack, &example, apply).await;
    assert_gone(&stack, transaction).await;
}

/// An SDK runs `daypass` by itself whenever it needs credentials, here that of the `aws` command.
#[tokio::test]
async fn credential_process() {
    let stack = Stack::shared().await;
    let example = Example::copy("cloudformation");
    let name = format!("payments-{}", new_transaction_id());
    let deploy = ["aws", "cloudformation", "deploy", "--stack-name", &name, "--template-file", "template.yaml"];
    let transaction = by_profile(&stack, &example, &deploy).await;
    assert!(calls(&stack, transaction, "cloudformation:CreateChangeSet").await > 0, "the role has deployed");
    assert_stack(&stack, &name, &["AWS::S3::Bucket"]).await;
    assert_gone(&stack, transaction).await;
}

/// Runs a command with the profile of examples/terraform/README.md, from the request to the release.
async fn by_profile(stack: &Stack, example: &Example, command: &[&str]) -> TransactionId {
    let [id, secret, token] =
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"].map(|name| env::var(name).expect(name));
    let profiles = format!(
        "[profile invoker]\nregion = us-east-1\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n\
         aws_session_token = {token}\n\n\
         [profile payments-dev]\nregion = us-east-1\n\
         credential_process = env AWS_PROFILE=invoker {DAYPASS} credentials\n"
    );
    fs::write(example.0.join("aws-config"), profiles).expect("profiles");
    // No credentials but those of the profiles.
    let with_profile = |program: &str, profile: &str| {
        let mut command = example.command(program);
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            command.env_remove(name);
        }
        command.env("AWS_CONFIG_FILE", example.0.join("aws-config")).env("AWS_PROFILE", profile);
        command.env("DAYPASS_STATE_DIR", example.0.join("state"));
        command
    };
    let request = ["request", "--account", "payments-dev", "--output", "json"];
    let answer = Answer::of(with_profile(DAYPASS, "invoker").args(request));
    assert_eq!(answer.code, 0, "{answer:?}");
    let transaction = answer.json()["transaction_id"].as_str().expect("an id").to_owned();
    let (program, arguments) = command.split_first().expect("a command");
    let deployed =
        Answer::of(with_profile(program, "payments-dev").args(arguments).env("DAYPASS_TRANSACTION_ID", &transaction));
    let released = Answer::of(with_profile(DAYPASS, "invoker").args(["release", &transaction]));
    assert_eq!((deployed.code, released.code), (0, 0), "{deployed:?} {released:?}");
    let transaction = transaction.parse().expect("an id");
    assert!(stack.lease_status(transaction).await.is_some(), "it had a lease");
    transaction
}
