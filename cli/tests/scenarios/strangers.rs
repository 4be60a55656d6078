//! A machine that has credentials of others, wherever SDKs look for some: a command runs with the role, or not at all.

use std::{collections::BTreeSet, env, fs, os::unix::fs::PermissionsExt, path::Path};

use aws_config::BehaviorVersion;
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use daypass_tests::stack::Stack;
use futures_util::future::join_all;
use tokio::net::TcpListener;

use crate::command::{Ended, Folder, ended, exec, is_given_back};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Runs this program as a client of AWS.
const CHILD: &str = "DAYPASS_TEST_SAYS_WHO_IT_IS";
/// An account's root, whom the engine knows by this key: somebody else, and one who may do everything.
const STRANGER: &str = "222222222222";

/// Each SDK that is here, and says who it is.
fn clients() -> [(&'static str, String); 4] {
    let venv = format!("{REPOSITORY}/.local/venv/bin");
    let this = env::current_exe().expect("this program");
    let boto = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])";
    let node = "const { STS } = require('@aws-sdk/client-sts'); \
                new STS({}).getCallerIdentity({}).then((it) => console.log(it.Arn), (e) => { console.error(e); process.exit(1) })";
    [
        ("aws", format!("'{venv}/aws' sts get-caller-identity --query Arn --output text")),
        ("boto3", format!("'{venv}/python' -c \"{boto}\"")),
        ("JavaScript", format!("cd '{REPOSITORY}/cdk' && node -e \"{node}\"")),
        ("Rust", format!("{CHILD}=1 '{}' --exact --nocapture strangers::a_command_runs_with_the_role", this.display())),
    ]
}

async fn say_who_it_is() {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
    let answer = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await.expect("an answer");
    println!("\n{}", answer.arn().expect("an ARN"));
}

/// Files that some parsers take and others do not, each with the keys of a stranger as the default profile.
fn files() -> Vec<(&'static str, String, String)> {
    let keys = format!("aws_access_key_id = {STRANGER}\naws_secret_access_key = test\n");
    let plain = format!("[default]\n{keys}");
    let indented = keys.replace("aws_", "  aws_");
    let process = format!(
        "[default]\ncredential_process = echo '{{\"Version\":1,\"AccessKeyId\":\"{STRANGER}\",\"SecretAccessKey\":\"test\"}}'\n"
    );
    vec![
        ("plain", plain.clone(), String::new()),
        ("CRLF", plain.replace('\n', "\r\n"), String::new()),
        ("indented keys", format!("[default]\n{indented}"), String::new()),
        ("colons", plain.replace(" = ", ": "), String::new()),
        ("an indented line of another profile", plain.clone(), "[profile a]\n  region = us-east-1\n".to_owned()),
        ("text behind a header", plain.clone(), "[profile x] /* note */\nregion = us-east-1\n".to_owned()),
        ("no text at all", format!("{plain}\u{feff}[\u{0}\n"), "[\n".to_owned()),
        ("a process", String::new(), process),
    ]
}

#[tokio::test]
async fn a_command_runs_with_the_role() {
    if env::var(CHILD).is_ok() {
        return say_who_it_is().await;
    }
    let stack = Stack::shared().await;
    let proxy = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = format!("http://{}", proxy.local_addr().expect("its address"));
    let played = files().into_iter().flat_map(|files| [(files.clone(), "--serve"), (files, "--quiet")]);
    let all = join_all(played.map(|((what, credentials, config), how)| {
        let address = address.clone();
        async move { (what, how, one(&credentials, &config, how, &address).await) }
    }));
    let all = tokio::select! {
        all = all => all,
        _ = proxy.accept() => panic!("somebody has asked the proxy"),
    };
    for (what, how, (said, Ended { code, stdout, stderr })) in all {
        assert_eq!(code, 0, "{what} {how}: {stderr}\n{said}");
        let arns: Vec<_> = stdout.lines().filter(|line| line.starts_with("arn:")).collect();
        assert_eq!(arns.len(), clients().len(), "{what} {how}: {stdout}\n{stderr}");
        let id = stdout.lines().find_map(|line| line.strip_prefix("transaction ")).expect("its transaction");
        let role = format!("arn:aws:sts::222222222222:assumed-role/daypass-{id}/alex@example.com");
        assert!(arns.iter().all(|arn| *arn == role), "{what} {how}: {stdout}");
        is_given_back(&stack, id.parse().expect("an id")).await;
    }
}

/// Every client as the command, on a machine with these files, and with a stranger's keys in every variable that leads to some.
async fn one(credentials: &str, config: &str, how: &str, proxy: &str) -> (String, Ended) {
    let (state, home) = (Folder::new(), Folder::new());
    fs::set_permissions(&state.0, fs::Permissions::from_mode(0o700)).expect("its mode");
    fs::create_dir(home.0.join(".aws")).expect("a folder");
    let [credentials_file, config_file] = [".aws/credentials", ".aws/config"].map(|name| home.path(name));
    fs::write(&credentials_file, credentials).expect("a file");
    fs::write(&config_file, config).expect("a file");
    let boto = home.path(".boto");
    fs::write(&boto, format!("[Credentials]\naws_access_key_id = {STRANGER}\naws_secret_access_key = test\n"))
        .expect("a file");
    let script = clients().map(|(_, command)| format!("({command}) || exit 9")).join("\n");
    let script = format!("echo transaction $DAYPASS_TRANSACTION_ID\n{script}");
    let mut command = exec(&state, &[how], &["sh", "-c", &script]);
    command.env("HOME", &home.0).env_remove("AWS_CONFIG_FILE").env_remove("AWS_SHARED_CREDENTIALS_FILE");
    for id in ["AWS_ACCESS_KEY", "AMAZON_ACCESS_KEY_ID", "EC2_ACCESS_KEY"] {
        command.env(id, STRANGER);
    }
    for secret in ["AWS_SECRET_KEY", "AMAZON_SECRET_ACCESS_KEY", "EC2_SECRET_KEY", "AWS_SECURITY_TOKEN"] {
        command.env(secret, "test");
    }
    command.env("AWS_CREDENTIAL_PROFILES_FILE", &credentials_file).env("AWS_CREDENTIAL_FILE", &credentials_file);
    command.env("BOTO_CONFIG", &boto).env("AWS_SDK_LOAD_CONFIG", "1");
    command.env("AWS_PROFILE", "default").env("AWS_DEFAULT_PROFILE", "default");
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(name, proxy);
    }
    command.env("NO_PROXY", ".example.com");
    (credentials.to_owned(), ended(command).await)
}

/// A stranger that no variable can be withheld of.
#[tokio::test]
async fn a_command_that_would_run_as_somebody_else_does_not_run() {
    let state = Folder::new();
    let ran = state.path("ran");
    let mut command = exec(&state, &["--serve"], &["touch", &ran]);
    command.env("JAVA_TOOL_OPTIONS", "-Daws.accessKeyId=AKIA -Daws.secretKey=x");
    let Ended { code, stderr, .. } = ended(command).await;
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("JAVA_TOOL_OPTIONS has -Daws.accessKeyId"), "{stderr}");
    assert!(!Path::new(&ran).exists() && !stderr.contains("granted"), "nothing was asked for: {stderr}");
}

/// Each name in the sources of SDKs has a verdict: a new version with a new variable is noticed.
#[test]
fn every_variable_that_an_sdk_reads_has_a_verdict() {
    let list = fs::read_to_string(format!("{REPOSITORY}/cli/src/commands/exec/aws-variables.txt")).expect("the list");
    let entries = list.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_whitespace().nth(1));
    let entries: Vec<_> = entries.collect();
    let is_known = |name: &str| {
        let fits = |entry: &&str| entry.strip_suffix('*').map_or(*entry == name, |begin| name.starts_with(begin));
        entries.iter().any(fits)
    };
    let venv =
        fs::read_dir(format!("{REPOSITORY}/.local/venv/lib")).expect("Python").flatten().next().expect("its version");
    let packages = venv.path().join("site-packages");
    let mut found = BTreeSet::new();
    for package in ["botocore", "boto3", "awscli", "s3transfer"] {
        names(&packages.join(package), "py", &mut found);
    }
    for scope in ["@aws-sdk", "@smithy", "@aws"] {
        names(&Path::new(REPOSITORY).join("cdk/node_modules").join(scope), "js", &mut found);
    }
    assert!(found.len() > 50, "{found:?}");
    let unknown: Vec<_> = found.iter().filter(|name| !is_known(name)).collect();
    assert!(unknown.is_empty(), "say in aws-variables.txt what each of them is: {unknown:#?}");
}

/// What looks like a variable of AWS in the files below a folder.
fn names(folder: &Path, extension: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            names(&path, extension, found);
        } else if path.extension().is_some_and(|it| it == extension) {
            let text = String::from_utf8_lossy(&fs::read(&path).expect("a file")).into_owned();
            let is_in_a_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let words = words
                .filter(|word| word.starts_with("AWS_") || word.starts_with("AMAZON_") || word.starts_with("BOTO_"));
            found.extend(
                words.filter(|word| word.chars().all(is_in_a_name)).map(|word| word.trim_end_matches('_').to_owned()),
            );
        }
    }
}
