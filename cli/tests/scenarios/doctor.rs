//! `daypass doctor`: all is well on the local stack, and whatever is broken is found.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use aws_smithy_types::date_time::{DateTime, Format};
use daypass_tests::stack::Stack;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    process::Command,
};

use crate::command::{Ended, Folder, daypass, ended};

/// A doctor with an administrator's profiles beside the pipeline's credentials.
struct Doctor(Folder);

impl Doctor {
    fn new() -> Self {
        let folder = Folder::new();
        let profile = |(name, account): (&str, &str)| {
            format!("[profile {name}]\naws_access_key_id = {account}\naws_secret_access_key = local\n")
        };
        // The engine takes an account's id for its root's access key, with any secret.
        let profiles = [
            ("hub", "111111111111"),
            ("target", "222222222222"),
            ("new", "999999999999"),
            ("admin-222222222222", "222222222222"),
            ("admin-333333333333", "333333333333"),
        ]
        .map(profile);
        fs::write(folder.0.join("aws-config"), profiles.concat()).expect("profiles");
        Self(folder)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = daypass(&self.0, &[&["doctor", "--output", "json", "--quiet"], arguments].concat());
        command.env("AWS_CONFIG_FILE", self.0.path("aws-config")).env_remove("AWS_PROFILE");
        command
    }

    /// Examines the accounts of this personas.json, for a deployment with these external ids.
    async fn look_at_targets(&self, personas: &Value, ids: &Value, arguments: &[&str]) -> Targets {
        let mut configuration = ids.clone();
        configuration["hub"] = json!({"account_id": "111111111111", "region": "us-east-1"});
        fs::write(self.0.path("daypass.config.json"), configuration.to_string()).expect("a configuration");
        fs::write(self.0.path("personas.json"), personas.to_string()).expect("accounts");
        let (personas, configuration) = (self.0.path("personas.json"), self.0.path("daypass.config.json"));
        let known = ["--all-targets", "--personas", &personas, "--deployment-config", &configuration];
        let mut command = self.command(&[&known[..], arguments].concat());
        // Whoever operates Daypass is no pipeline.
        command.env("AWS_ACCESS_KEY_ID", "111111111111").env("AWS_SECRET_ACCESS_KEY", "local");
        command.env_remove("AWS_SESSION_TOKEN");
        let ended = ended(command).await;
        Targets { code: ended.code, report: ended.json() }
    }

    async fn look(&self, arguments: &[&str]) -> Found {
        Found::of(&ended(self.command(arguments)).await)
    }
}

/// What was found.
#[derive(Debug)]
struct Found {
    code: i32,
    report: Value,
}

impl Found {
    fn of(ended: &Ended) -> Self {
        Self { code: ended.code, report: ended.json() }
    }

    fn check(&self, name: &str) -> &Value {
        let checks = self.report["checks"].as_array().expect("checks");
        checks.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("{name}: {:#}", self.report))
    }

    fn status(&self, name: &str) -> &str {
        self.check(name)["status"].as_str().expect("a status")
    }

    /// This fails, with these words, and nothing else does.
    fn assert_only(&self, name: &str, words: &str) {
        let checks = self.report["checks"].as_array().expect("checks");
        let failed: Vec<_> = checks.iter().filter(|check| check["status"] == "fail").map(|it| &it["check"]).collect();
        assert_eq!((self.code, failed), (1, vec![&json!(name)]), "{:#}", self.report);
        self.assert_says(name, words);
    }

    fn assert_says(&self, name: &str, words: &str) {
        let check = self.check(name);
        assert!(check["detail"].as_str().expect("a detail").contains(words), "{words}: {check:#}");
        assert_eq!(check["remedy"].is_string(), matches!(self.status(name), "fail" | "warn"), "{check:#}");
    }
}

/// What was found in each account.
#[derive(Debug)]
struct Targets {
    code: i32,
    report: Value,
}

impl Targets {
    fn of(&self, account: &str) -> &Value {
        let targets = self.report["targets"].as_array().expect("targets");
        targets.iter().find(|it| it["account"] == account).unwrap_or_else(|| panic!("{account}: {:#}", self.report))
    }

    fn statuses(&self) -> Vec<(&str, &str)> {
        let targets = self.report["targets"].as_array().expect("targets");
        targets
            .iter()
            .map(|it| (it["account"].as_str().expect("a name"), it["status"].as_str().expect("a status")))
            .collect()
    }

    fn assert_all_is_well(&self) {
        let expected = vec![("payments-dev", "ok"), ("payments-prod", "ok")];
        assert_eq!((self.code, self.statuses()), (0, expected), "{:#}", self.report);
    }

    /// One thing is wrong, and what it is; the other accounts are fine.
    fn assert_only(&self, account: &str, check: &str, words: &str) {
        let wrong: Vec<_> = self.statuses().into_iter().filter(|(_, status)| *status != "ok").collect();
        assert_eq!((self.code, wrong), (1, vec![(account, "fail")]), "{:#}", self.report);
        self.assert_says(account, check, words);
    }

    fn assert_says(&self, account: &str, check: &str, words: &str) {
        let checks = self.of(account)["checks"].as_array().expect("checks");
        let failed: Vec<_> = checks.iter().filter(|it| it["status"] == "fail").collect();
        assert_eq!(failed.len(), 1, "{:#}", self.report);
        assert_eq!(failed[0]["check"], check, "{:#}", self.report);
        assert!(failed[0]["detail"].as_str().expect("a detail").contains(words), "{words}: {:#}", self.report);
        assert!(failed[0]["remedy"].is_string(), "{:#}", self.report);
    }
}

const EVERYTHING: [&str; 6] = ["--account", "payments-dev", "--identity-profile", "hub", "--target-profile", "target"];

#[tokio::test]
async fn all_is_well() {
    let stack = Stack::shared().await;
    let doctor = Doctor::new();
    let token = stack.engine.identity_token("github", &json!({"claims": {}})).await;
    let mut command = doctor.command(&EVERYTHING);
    command.env("DAYPASS_IDENTITY_TOKEN", &token);
    let found = Found::of(&ended(command).await);
    // The local stack opens an environment by name: a warning, and the only one.
    assert_eq!((found.code, &found.report["status"]), (0, &json!("warn")), "{:#}", found.report);
    assert_eq!(found.status("open environments"), "warn");
    found.assert_says("open environments", "no identity token is required in non-production: ");
    for name in [
        "deployment",
        "request",
        "credentials",
        "endpoints",
        "clock",
        "machine daypass-provision",
        "machine daypass-renew",
        "machine daypass-deprovision",
        "token key",
        "identity token",
        "person",
        "target account",
    ] {
        assert_eq!(found.status(name), "ok", "{:#}", found.report);
    }
    found.assert_says("deployment", "(DAYPASS_PROVISION_ARN)");
    found.assert_says("request", "account_id 222222222222 (follows from accounts)");
    assert!(!found.report.to_string().contains(&token), "the token is not shown");
    // What is asked for the sake of its endpoint is not there, and nothing has started.
    let calls = stack.engine.calls().await;
    let mut probes = calls.iter().filter(|call| call.resource.ends_with(":daypass-doctor")).peekable();
    assert!(probes.peek().is_some() && probes.all(|call| call.error.is_some()));
}

#[tokio::test]
async fn what_cannot_be_seen_is_skipped_and_says_what_could_see_it() {
    let stack = Stack::shared().await;
    let found = Doctor::new().look(&[]).await;
    drop(stack);
    assert_eq!(found.code, 0, "{:#}", found.report);
    for (name, words) in [
        ("request", "--account"),
        ("identity token", "only a CI run"),
        ("person", "--identity-profile"),
        ("target account", "--account"),
    ] {
        assert_eq!(found.status(name), "skipped", "{:#}", found.report);
        found.assert_says(name, words);
    }
    let stack = Stack::shared().await;
    let found = Doctor::new().look(&["--account", "payments-dev"]).await;
    drop(stack);
    found.assert_says("target account", "--target-profile");
}

#[tokio::test]
async fn a_configuration_that_is_not_complete() {
    let stack = Stack::shared().await;
    let doctor = Doctor::new();
    let mut command = doctor.command(&[]);
    command.env_remove("DAYPASS_PROVISION_ARN").env_remove("DAYPASS_DEPROVISION_ARN").env_remove("DAYPASS_RENEW_ARN");
    Found::of(&ended(command).await).assert_only("deployment", "`provision_arn` is not set");
    doctor
        .look(&["--provision-arn", "daypass-provision"])
        .await
        .assert_only("configuration", "is not the ARN of a state machine");
    doctor.look(&["--account", "payments-stage"]).await.assert_only("request", "has no account `payments-stage`");
    fs::write(doctor.0.0.join("config.toml"), "acount = \"payments-dev\"\n").unwrap();
    let found = doctor.look(&["--config", &doctor.0.path("config.toml")]).await;
    drop(stack);
    found.assert_only("configuration", "acount");
}

#[tokio::test]
async fn credentials_that_are_not_the_invokers() {
    let stack = Stack::shared().await;
    let doctor = Doctor::new();
    let mut command = doctor.command(&[]);
    command.env("AWS_ACCESS_KEY_ID", "ASIAQQQQQQQQQQQQQQQQ");
    Found::of(&ended(command).await).assert_only("credentials", "InvalidClientTokenId");

    let mut command = doctor.command(&[]);
    command.env("AWS_ACCESS_KEY_ID", &stack.names.hub).env_remove("AWS_SESSION_TOKEN");
    let found = Found::of(&ended(command).await);
    assert_eq!((found.code, found.status("credentials")), (0, "warn"), "{:#}", found.report);
    found.assert_says("credentials", "is not the invoker role");

    // The root may become the invoker; the pipeline itself may not.
    let invoker = ["--invoker-role-arn", "arn:aws:iam::111111111111:role/daypass-invoker"];
    let mut command = doctor.command(&invoker);
    command.env("AWS_ACCESS_KEY_ID", &stack.names.hub).env_remove("AWS_SESSION_TOKEN");
    let found = Found::of(&ended(command).await);
    assert_eq!((found.code, found.status("credentials")), (0, "ok"), "{:#}", found.report);
    let nobody = ["--invoker-role-arn", "arn:aws:iam::111111111111:role/nobody"];
    doctor.look(&nobody).await.assert_only("credentials", "sts:AssumeRole failed with AccessDenied");
}

#[tokio::test]
async fn an_aws_that_does_not_answer() {
    let stack = Stack::shared().await;
    let doctor = Doctor::new();
    // Bound and never listening: connections are refused, and the port stays this test's until its end.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let mut command = doctor.command(&[]);
    command.env("AWS_ENDPOINT_URL_SFN", &url).env("AWS_MAX_ATTEMPTS", "1");
    let found = Found::of(&ended(command).await);
    drop(stack);
    assert_eq!(
        (found.code, found.status("endpoints"), found.status("credentials")),
        (1, "fail", "ok"),
        "{:#}",
        found.report
    );
    found.assert_says("endpoints", "states of us-east-1 does not answer");
}

/// Answers every request as AWS answers one that was signed at another time, by a clock that is this far behind.
async fn aws_with_a_clock(behind: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let date = DateTime::from(SystemTime::now() - behind).fmt(Format::HttpDate).expect("a date");
            let body = "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>";
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 403 Forbidden\r\ndate: {date}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            read_request(&mut stream).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

/// Reads a request to its end: whoever closes a connection with something unread resets it, and the answer may be lost.
async fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    while !is_whole(&request) && stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {}
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    body.len() >= length.map_or(0, |(_, value)| value.trim().parse().expect("a length"))
}

#[tokio::test]
async fn a_clock_that_is_wrong() {
    let doctor = Doctor::new();
    for (behind, status) in [(Duration::from_mins(61), "fail"), (Duration::from_mins(2), "warn")] {
        let mut command = doctor.command(&[]);
        command.env("AWS_ENDPOINT_URL", aws_with_a_clock(behind).await);
        let found = Found::of(&ended(command).await);
        assert_eq!((found.code, found.status("clock")), (1, status), "{:#}", found.report);
        found.assert_says("clock", "ahead of AWS's; signatures allow 300 s, identity tokens 30 s");
    }
}

#[tokio::test]
async fn machines_that_are_not_there_or_of_another_version() {
    let stack = Stack::alone().await;
    let doctor = Doctor::new();
    let elsewhere = stack.names.deprovision.replace("daypass-deprovision", "daypass-nobody");
    doctor.look(&["--deprovision-arn", &elsewhere]).await.assert_only("machine daypass-nobody", "cannot be read");

    let states = stack.hub().states();
    let tag = |version: &str| {
        let tag = aws_sdk_sfn::types::Tag::builder().key("daypass:contract").value(version).build();
        states.tag_resource().resource_arn(&stack.names.provision).tags(tag).send()
    };
    tag("2").await.expect("a tag");
    let found = doctor.look(&[]).await;
    tag("1").await.expect("a tag");
    found.assert_only("machine daypass-provision", "has contract 2, but this command has 1");
    assert!(found.check("machine daypass-provision")["remedy"].as_str().unwrap().starts_with("install the version"));
    assert_eq!(doctor.look(&[]).await.code, 0);
}

#[tokio::test]
async fn identity_tokens_that_will_not_do() {
    let stack = Stack::shared().await;
    let doctor = Doctor::new();
    for (claims, words) in [
        (json!({"aud": "sts.amazonaws.com"}), "is for `sts.amazonaws.com`, not for `daypass-local`"),
        (json!({"exp": 1_000_000_000, "iat": 999_999_000, "nbf": 999_999_000}), "expired at 2001-09-09T01:46:40Z"),
    ] {
        let token = stack.engine.identity_token("github", &json!({"claims": claims})).await;
        let mut command = doctor.command(&[]);
        command.env("DAYPASS_IDENTITY_TOKEN", token);
        Found::of(&ended(command).await).assert_only("identity token", words);
    }
    let mut command = doctor.command(&[]);
    command.env("GITHUB_ACTIONS", "true").env_remove("ACTIONS_ID_TOKEN_REQUEST_URL");
    let found = Found::of(&ended(command).await);
    found.assert_only("identity token", "this run in GitHub Actions cannot get one");
    assert_eq!(found.check("identity token")["remedy"], "give the job the permission `id-token: write`");
}

#[tokio::test]
async fn people_whom_identity_center_does_not_know() {
    let stack = Stack::shared().await;
    let doctor = Doctor::new();
    let person = async |email: &str| doctor.look(&["--identity-profile", "hub", "--email", email]).await;
    person("nobody@example.com")
        .await
        .assert_only("person", "no user of IAM Identity Center has the e-mail address `nobody@example.com`");
    person("dave@example.com").await.assert_only("person", "is disabled");
    let other = doctor.look(&["--identity-profile", "new"]).await;
    drop(stack);
    other.assert_only("person", "no user of IAM Identity Center has the e-mail address `alex@example.com`");
}

/// Such a role has outlived its deployment.
#[tokio::test]
async fn a_deployed_role_that_trusts_another_account() {
    const ROLE: &str = "doctor-way-back";
    let stack = Stack::shared().await;
    let iam = stack.root("222222222222").iam();
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::666666666666:root"}, "Action": "sts:AssumeRole"}]});
    let create = iam.create_role().path("/deployed-by-daypass/").role_name(ROLE);
    create.assume_role_policy_document(trust.to_string()).send().await.expect("a role");
    let found = Doctor::new().look(&["--account", "payments-dev", "--target-profile", "target"]).await;
    iam.delete_role().role_name(ROLE).send().await.expect("deleted");
    drop(stack);
    assert_eq!((found.code, found.status("deployed roles")), (0, "warn"), "{:#}", found.report);
    found.assert_says("deployed roles", "doctor-way-back by arn:aws:iam::666666666666:root");
}

#[tokio::test]
async fn accounts_that_are_not_on_boarded() {
    let stack = Stack::shared().await;
    let doctor = Doctor::new();
    let new = ["--account", "new", "--account-id", "999999999999", "--target-profile"];
    doctor.look(&[&new[..], &["new"]].concat()).await.assert_only("target account", "has no role daypass-provisioner");
    let found = doctor.look(&[&new[..], &["target"]].concat()).await;
    drop(stack);
    found.assert_only("target account", "only credentials of 999999999999");
}

/// The accounts of the project, and more of the environment of the first.
fn personas_with(more: &[(&str, &str)]) -> Value {
    let mut personas: Value = serde_json::from_str(include_str!("../../../personas.json")).expect("JSON");
    let accounts = personas["accounts"].as_array_mut().expect("accounts");
    for (name, id) in more {
        let mut account = accounts[0].clone();
        (account["name"], account["id"]) = (json!(name), json!(id));
        accounts.push(account);
    }
    personas
}

fn ids() -> Value {
    json!({"external_id": "daypass-local"})
}

const ADMINISTRATORS: [&str; 2] = ["--target-profile", "admin-{account_id}"];

/// A role of an account, with which somebody in the hub may make the calls that `docs/cli.md` lists, and no others.
async fn an_auditor(stack: &Stack, account: &str) {
    let iam = stack.root(account).iam();
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:root"}, "Action": "sts:AssumeRole"}]});
    let create = iam.create_role().path("/audit/").role_name(AUDITOR).assume_role_policy_document(trust.to_string());
    create.send().await.expect("a role");
    let resources = ["role/daypass-provisioner", "policy/daypass-boundary", "policy/daypass-workloads"]
        .map(|it| format!("arn:aws:iam::{account}:{it}"));
    let may = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": ["iam:GetRole", "iam:GetPolicy", "iam:GetPolicyVersion"], "Resource": resources}]});
    let put = iam.put_role_policy().role_name(AUDITOR).policy_name("may").policy_document(may.to_string());
    put.send().await.expect("a policy");
}

async fn no_auditor(stack: &Stack, account: &str) {
    let iam = stack.root(account).iam();
    iam.delete_role_policy().role_name(AUDITOR).policy_name("may").send().await.expect("deleted");
    iam.delete_role().role_name(AUDITOR).send().await.expect("deleted");
}

const AUDITOR: &str = "doctor-auditor";

#[tokio::test]
async fn every_target_by_a_role_in_each() {
    let stack = Stack::alone().await;
    let doctor = Doctor::new();
    for account in ["222222222222", "333333333333"] {
        an_auditor(&stack, account).await;
    }
    let by_role = ["--target-role", "audit/doctor-auditor"];
    let found = doctor.look_at_targets(&personas_with(&[]), &ids(), &by_role).await;
    let more = personas_with(&[("payments-new", "999999999999")]);
    let with_a_new_one = doctor.look_at_targets(&more, &ids(), &by_role).await;
    let wrong = doctor.look_at_targets(&personas_with(&[]), &ids(), &["--target-role", "doctor-auditor"]).await;
    let one = ["--account", "payments-dev", "--target-profile", "hub"];
    let alone = doctor.look(&[&one[..], &by_role].concat()).await;
    for account in ["222222222222", "333333333333"] {
        no_auditor(&stack, account).await;
    }
    found.assert_all_is_well();
    // What cannot be reached does not keep others from being examined.
    with_a_new_one.assert_only(
        "payments-new",
        "access",
        "arn:aws:iam::999999999999:role/audit/doctor-auditor cannot be assumed: sts:AssumeRole failed with AccessDenied",
    );
    assert_eq!(wrong.statuses(), [("payments-dev", "fail"), ("payments-prod", "fail")], "{wrong:?}");
    wrong.assert_says("payments-dev", "access", "arn:aws:iam::222222222222:role/doctor-auditor cannot be assumed");
    assert_eq!(alone.status("target account"), "ok", "{:#}", alone.report);
}

#[tokio::test]
async fn every_target_by_a_profile_for_each() {
    let stack = Stack::alone().await;
    let doctor = Doctor::new();
    let look = async |ids: &Value| doctor.look_at_targets(&personas_with(&[]), ids, &ADMINISTRATORS).await;
    look(&ids()).await.assert_all_is_well();
    // What the targets do not accept yet is a warning, what the hub sends and they do not accept is a failure.
    let next = look(&json!({"external_id": "daypass-local", "accepted_external_ids": ["next"]})).await;
    assert_eq!((next.code, next.statuses()), (0, vec![("payments-dev", "warn"), ("payments-prod", "warn")]));
    let hub_first = look(&json!({"external_id": "next"})).await;
    assert_eq!((hub_first.code, hub_first.statuses()), (1, vec![("payments-dev", "fail"), ("payments-prod", "fail")]));
    hub_first.assert_says(
        "payments-dev",
        "external id",
        "does not accept the hub's external id `next`, only `daypass-local`",
    );
    drop(stack);

    let stack = Stack::shared().await;
    let new = personas_with(&[("new", "999999999999")]);
    let found = doctor.look_at_targets(&new, &ids(), &["--target-profile", "admin-{account_id}"]).await;
    // There is no such profile.
    found.assert_only("new", "access", "profile");
    let names = fs::read_to_string(doctor.0.path("aws-config")).expect("profiles");
    let names =
        names.replace("admin-222222222222", "at-payments-dev").replace("admin-333333333333", "at-payments-prod");
    fs::write(doctor.0.path("aws-config"), names.replace("[profile new]", "[profile at-new]")).expect("profiles");
    let found = doctor.look_at_targets(&new, &ids(), &["--target-profile", "at-{account}"]).await;
    drop(stack);
    found.assert_only("new", "on-boarded", "999999999999 has no role daypass-provisioner: it is not on-boarded");
}

/// A document as IAM answers it: URL-encoded.
fn decoded(document: &str) -> String {
    form_urlencoded::parse(format!("it={document}").as_bytes()).next().expect("a document").1.into_owned()
}

#[tokio::test]
async fn targets_that_have_drifted() {
    let stack = Stack::alone().await;
    let doctor = Doctor::new();
    let look = async || doctor.look_at_targets(&personas_with(&[]), &ids(), &ADMINISTRATORS).await;

    let iam = stack.root("222222222222").iam();
    let role = iam.get_role().role_name("daypass-provisioner").send().await.expect("a role").role.expect("a role");
    let trust = role.assume_role_policy_document.expect("a trust policy");
    let trust = decoded(&trust);
    let put = async |document: String| {
        let put = iam.update_assume_role_policy().role_name("daypass-provisioner").policy_document(document);
        put.send().await.expect("a trust policy");
    };
    put(trust.replace("daypass-local", "drifted")).await;
    let drifted = look().await;
    let configuration = doctor.0.path("daypass.config.json");
    let one = ["--account", "payments-dev", "--target-profile", "target", "--deployment-config", &configuration];
    let alone = doctor.look(&one).await;
    put(trust.replace(":root", ":user/111111111111")).await;
    let untrusted = look().await;
    put(trust).await;

    let iam = stack.root("333333333333").iam();
    let arn = "arn:aws:iam::333333333333:policy/daypass-boundary";
    let policy = iam.get_policy().policy_arn(arn).send().await.expect("a policy").policy.expect("a policy");
    let before = iam.get_policy_version().policy_arn(arn).version_id(policy.default_version_id.expect("a version"));
    let before = before.send().await.expect("a version").policy_version.expect("a version").document;
    let put = async |document: &str| {
        let put = iam.create_policy_version().policy_arn(arn).policy_document(document).set_as_default(true);
        put.send().await.expect("a version").policy_version.expect("a version").version_id.expect("an id")
    };
    let everything = json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "Deploy", "Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let version = put(&everything.to_string()).await;
    let edited = look().await;
    put(&decoded(&before.expect("a document"))).await;
    iam.delete_policy_version().policy_arn(arn).version_id(version).send().await.expect("deleted");
    let restored = look().await;
    drop(stack);

    let words = "does not accept the hub's external id `daypass-local`, only `drifted`";
    drifted.assert_only("payments-dev", "external id", words);
    alone.assert_only("target account", words);
    untrusted.assert_only(
        "payments-dev",
        "trust",
        "does not trust create-role and delete-role of the hub 111111111111",
    );
    edited.assert_only("payments-prod", "daypass-boundary", "NotDaypassItself is missing");
    edited.assert_says("payments-prod", "daypass-boundary", "Deploy: Action has also `*`");
    restored.assert_all_is_well();
}
