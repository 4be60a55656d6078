//! `daypass request`, and the commands that follow it in other processes.

use std::{fs, os::unix::fs::PermissionsExt, process::Stdio};

use daypass::ids::TransactionId;
use daypass_tests::{engine::Fault, identity::new_job, stack::Stack};
use futures_util::future::join_all;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use tokio::{process::Command, task::JoinHandle};

use crate::command::{Ended, Folder, Said, answering, daypass, ended, exec, granted_in, is_given_back, who_is};

/// Asks for a role; returns what is printed, and the transaction.
async fn requested(state: &Folder) -> (Value, TransactionId) {
    let granted = ended(daypass(state, &["request", "--account", "payments-dev", "--output", "json"])).await;
    assert_eq!(granted.code, 0, "{}", granted.stderr);
    let granted = granted.json();
    let transaction = granted["transaction_id"].as_str().expect("text").parse().expect("a transaction");
    (granted, transaction)
}

fn credentials_of(printed: &Value) -> aws_credential_types::Credentials {
    let text = |name: &str| printed[name].as_str().expect("a string").to_owned();
    let (id, secret, token) = (text("AccessKeyId"), text("SecretAccessKey"), text("SessionToken"));
    aws_credential_types::Credentials::new(id, secret, Some(token), None, "printed")
}

/// Nobody has the transaction then who could use the role.
#[tokio::test]
async fn a_request_that_is_interrupted_is_given_back() {
    let (stack, state) = (Stack::alone().await, Folder::new());
    let not_yet = Fault::of("sts:AssumeRole").with(403, "AccessDenied").on("role/daypass/daypass-");
    stack.engine.arm(not_yet.always()).await;
    let mut child = daypass(&state, &["request", "--account", "payments-dev"]).spawn().unwrap();
    let mut said = Said::by(&mut child);
    said.until("waiting for IAM").await;
    let file = fs::read_dir(&state.0).unwrap().find_map(|entry| entry.unwrap().file_name().into_string().ok());
    let transaction = file.unwrap().trim_end_matches(".json").parse().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(143));
    let said = said.everything().await;
    assert!(said.contains("interrupted by signal 15"), "{said}");
    is_given_back(&stack, transaction).await;
    assert_eq!(fs::read_dir(&state.0).unwrap().count(), 0, "nothing is left behind");
}

/// A second request of the same id, by a pipeline that tries again, does no harm to the first.
#[tokio::test]
async fn a_request_leaves_the_session_of_another_alone() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let (_, transaction) = requested(&state).await;
    let id = transaction.to_string();
    let again = ended(daypass(&state, &["request", "--account", "payments-dev", "--transaction-id", &id])).await;
    assert_eq!(again.code, 2, "{}", again.stderr);
    assert!(again.stderr.contains(&format!("a session of {id} exists here already")), "{}", again.stderr);
    assert_eq!(ended(daypass(&state, &["credentials", "--transaction", &id])).await.code, 0);
    assert_eq!(ended(daypass(&state, &["release", &id])).await.code, 0);
    is_given_back(&stack, transaction).await;
}

#[tokio::test]
async fn a_session_goes_from_the_request_to_the_release() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let (granted, transaction) = requested(&state).await;
    let id = transaction.to_string();
    let fields: Vec<&str> = granted.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "transaction_id",
        "iam_role_arn",
        "role_name",
        "role_ttl_hours",
        "expires_at",
        "persona",
        "status",
        "account",
        "account_id",
        "email",
        "branch",
    ];
    assert_eq!(fields, expected);

    // Many at once share the session.
    let ask = || ended(daypass(&state, &["credentials", "--transaction", &id]));
    let all = join_all((0..8).map(|_| ask())).await;
    let printed: Vec<Value> = all.iter().map(Ended::json).collect();
    assert!(printed.iter().all(|other| other == &printed[0]), "{printed:?}");
    assert_eq!(printed[0]["Version"], 1);
    let role = stack.with(&credentials_of(&printed[0]));
    assert!(who_is(&role).await.unwrap().contains(&transaction.role_name()));

    // The same as variables, in every format.
    let secret = printed[0]["SecretAccessKey"].as_str().unwrap();
    let mut shell = daypass(&state, &["env"]);
    shell.env("DAYPASS_TRANSACTION_ID", &id);
    assert!(ended(shell).await.stdout.contains(&format!("export AWS_SECRET_ACCESS_KEY='{secret}'\n")));
    let dotenv = ended(daypass(&state, &["env", "--transaction", &id, "--format", "dotenv"])).await.stdout;
    assert!(dotenv.contains(&format!("AWS_SECRET_ACCESS_KEY={secret}\n")), "{dotenv}");
    let file = state.path("github-env");
    fs::write(&file, "OTHER=1\n").unwrap();
    let mut github = daypass(&state, &["env", "--transaction", &id, "--format", "github"]);
    github.env("GITHUB_ENV", &file);
    let masks = ended(github).await.stdout;
    assert!(masks.lines().all(|line| line.starts_with("::add-mask::")) && masks.contains(secret), "{masks}");
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("OTHER=1\n\n{dotenv}"));

    // The invoker may not read the table, whoever may is told more.
    let status = ended(daypass(&state, &["status", &id, "--output", "json"])).await.json();
    assert_eq!((&status["source"], &status["status"]), (&"lease".into(), &"leased".into()));
    assert_eq!(status["expires_at"], granted["expires_at"]);
    let mut administrator = daypass(&state, &["status", &id, "--output", "json"]);
    administrator.env("AWS_ACCESS_KEY_ID", &stack.names.hub).env("AWS_SESSION_TOKEN", "");
    let status = ended(administrator).await.json();
    assert_eq!((&status["source"], &status["status"]), (&"table".into(), &"provisioned".into()));

    let released = ended(daypass(&state, &["release", &id, "--wait", "--output", "json"])).await;
    assert_eq!(released.json(), json!({"transaction_id": id, "status": "deprovisioned"}), "{}", released.stderr);
    is_given_back(&stack, transaction).await;
    assert_eq!(who_is(&role).await, None);
    assert!(!state.0.join(format!("{id}.json")).exists(), "nothing is kept");
    let again = ended(daypass(&state, &["release", &id])).await;
    assert_eq!((again.code, again.stdout), (0, format!("{id} released: the role is gone\n")), "{}", again.stderr);
    let gone = ended(daypass(&state, &["credentials", "--transaction", &id])).await;
    assert_eq!((gone.code, gone.stdout.as_str()), (70, ""));
    // The lease waits on, and knows of no release; the table does.
    let status = ended(daypass(&state, &["status", &id, "--output", "json"])).await.json();
    assert_eq!(status["status"], "leased");
    assert!(status["note"].as_str().is_some_and(|note| note.contains("whether the role was released")), "{status}");
    let mut administrator = daypass(&state, &["status", &id, "--output", "json"]);
    administrator.env("AWS_ACCESS_KEY_ID", &stack.names.hub).env("AWS_SESSION_TOKEN", "");
    assert_eq!(ended(administrator).await.json()["status"], "deprovisioned");
}

#[tokio::test]
async fn a_session_of_no_use_is_given_back_before_another_is_asked_for() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let ask = || ended(daypass(&state, &["credentials", "--account", "payments-dev", "--ttl", "1h"]));
    let sessions = || {
        let names = fs::read_dir(&state.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter_map(|name| name.strip_suffix(".json")?.parse().ok()).collect::<Vec<TransactionId>>()
    };
    assert_eq!(ask().await.code, 0);
    let first = sessions();
    // As another version of the command may leave it.
    fs::write(state.0.join(format!("{}.json", first[0])), "{}").unwrap();
    let again = ask().await;
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(again.stderr.contains("requesting a new role"), "{}", again.stderr);
    is_given_back(&stack, first[0]).await;
    let second = sessions();
    assert_eq!((first.len(), second.len()), (1, 1), "nothing is left of the first");
    assert_ne!(first, second);
    assert_eq!(stack.status(second[0]).await, "provisioned");
    let released = ended(daypass(&state, &["release", &second[0].to_string(), "--wait"])).await;
    assert_eq!(released.code, 0, "{}", released.stderr);
}

#[tokio::test]
async fn equal_requests_for_credentials_share_a_transaction() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let job = json!({"check_run_id": new_job()});
    let ask = |account: &str| {
        let command = daypass(&state, &["credentials", "--account", account, "--branch", "main", "--ttl", "1h"]);
        ended(in_github(command, &job))
    };
    let all = join_all([ask("payments-dev"), ask("payments-dev"), ask("payments-dev"), ask("payments-prod")]).await;
    let keys: Vec<String> = all.iter().map(|one| one.json()["AccessKeyId"].to_string()).collect();
    assert!(keys[0] == keys[1] && keys[1] == keys[2] && keys[2] != keys[3], "{keys:?}");
    let sessions = fs::read_dir(&state.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let sessions: Vec<String> = sessions.filter_map(|name| Some(name.strip_suffix(".json")?.to_owned())).collect();
    assert_eq!(sessions.len(), 2, "{sessions:?}");
    for id in &sessions {
        assert_eq!(ended(daypass(&state, &["release", id, "--wait"])).await.code, 0);
        assert_eq!(stack.status(id.parse().unwrap()).await, "deprovisioned");
    }
    // What was released is asked for anew.
    let again = ask("payments-dev").await.json();
    assert_ne!(again["AccessKeyId"].to_string(), keys[0]);
    for entry in fs::read_dir(&state.0).unwrap() {
        if let Some(id) = entry.unwrap().file_name().to_str().and_then(|name| name.strip_suffix(".json")) {
            assert_eq!(ended(daypass(&state, &["release", id])).await.code, 0);
        }
    }
}

#[tokio::test]
async fn an_unknown_transaction_is_said_to_be_unknown() {
    let (_stack, state) = (Stack::shared().await, Folder::new());
    let id = daypass_tests::pipeline::new_transaction_id().to_string();
    let status = ended(daypass(&state, &["status", &id])).await;
    assert_eq!((status.code, status.stdout.as_str()), (70, ""), "{}", status.stderr);
    let released = ended(daypass(&state, &["release", &id, "--wait", "--output", "json", "--quiet"])).await;
    let error: Value = serde_json::from_str(&released.stderr).expect("one JSON object");
    assert_eq!((released.code, &error["error"]), (70, &"Daypass.TransactionNotFound".into()), "{error}");
}

/// The command in a job of GitHub Actions, whose tokens say this beside what they say by default. It is a job of its own, unless
/// they say which.
fn in_github(mut command: Command, claims: &Value) -> Command {
    let endpoint = std::env::var("AWS_ENDPOINT_URL").expect("the engine");
    let mut all = claims.clone();
    if all.get("check_run_id").is_none() {
        all["check_run_id"] = json!(new_job());
    }
    let claims = all.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    let variables = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_ACTOR", "alex"),
        ("GITHUB_REF_NAME", "main"),
        ("GITHUB_REF_TYPE", "branch"),
        ("GITHUB_REPOSITORY", "example/payments"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_RUN_ID", "42"),
        ("DAYPASS_EMAIL", "{actor}@example.com"),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "the-bearer-token"),
    ];
    command.envs(variables).env_remove("DAYPASS_BRANCH");
    let url = format!("{endpoint}/_daypass/issuers/github/token?api-version=2.0&claims={claims}");
    command.env("ACTIONS_ID_TOKEN_REQUEST_URL", url);
    command
}

#[tokio::test]
async fn a_job_proves_whose_run_it_is_by_itself() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let script = ["sh", "-c", "echo $DAYPASS_TRANSACTION_ID"];
    let granted = ended(in_github(exec(&state, &[], &script), &json!({}))).await;
    assert_eq!(granted.code, 0, "{}", granted.stderr);
    assert!(granted.stderr.contains("found in GitHub Actions: branch main (GITHUB_REF_NAME)"), "{}", granted.stderr);
    let item = stack.item(granted.stdout.trim()).await.unwrap();
    assert_eq!((&item["proof"]["run_id"], &item["repository"]), (&"42".into(), &"example/payments".into()));
    is_given_back(&stack, granted.stdout.trim().parse().unwrap()).await;

    let denied =
        ended(in_github(exec(&state, &["--quiet", "--output", "json"], &script), &json!({"actor": "erin"}))).await;
    let error: Value = serde_json::from_str(&denied.stderr).expect("one JSON object");
    assert_eq!((denied.code, &error["error"]), (77, &"Daypass.IdentityNotProven".into()), "{error}");
}

#[tokio::test]
async fn a_ready_token_is_sent_and_kept_from_the_command() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    // A job of GitLab gets it once: it serves a command after the other. The second asks while the role of the first, whose release has
    // begun, is being deleted.
    let claims = json!({"claims": {"job_id": new_job()}});
    let token = stack.engine.identity_token("gitlab", &claims).await;
    for variable in ["DAYPASS_IDENTITY_TOKEN", "DAYPASS_TOKEN"] {
        let mut command = exec(&state, &["--branch", "main"], &["sh", "-c", "env; ls -A $DAYPASS_STATE_DIR"]);
        let granted = ended({
            command.env(variable, &token);
            command
        })
        .await;
        assert_eq!(granted.code, 0, "{}", granted.stderr);
        assert!(granted.stderr.contains(&format!("identity token ({variable})")), "{}", granted.stderr);
        assert!(!granted.stdout.contains(&token) && !granted.stderr.contains(&token));
        assert!(!granted.stdout.contains(".key"), "nor has it the key that belongs to the token: {}", granted.stdout);
        let id = granted.stdout.lines().find_map(|line| line.strip_prefix("DAYPASS_TRANSACTION_ID=")).unwrap();
        assert_eq!(stack.item(id).await.unwrap()["proof"]["user"]["value"], "alex@example.com");
        is_given_back(&stack, id.parse().unwrap()).await;
    }
    // Whoever has found the token has not found the key, and is no other command of the job.
    let thief = Folder::new();
    let mut stolen = exec(&thief, &["--branch", "main"], &["true"]);
    stolen.env("DAYPASS_TOKEN", &token);
    let stolen = ended(stolen).await;
    assert_eq!(stolen.code, 77, "{}", stolen.stderr);
    assert!(stolen.stderr.contains("has been used before"), "{}", stolen.stderr);
}

/// What could not be done for a while can be done with the same token afterwards, as the remedy says.
#[tokio::test]
async fn a_token_serves_the_retry_of_a_job() {
    let (stack, state) = (Stack::alone().await, Folder::new());
    let claims = json!({"claims": {"job_id": new_job()}});
    let token = stack.engine.identity_token("gitlab", &claims).await;
    let asked = || {
        let mut command = exec(&state, &["--branch", "main"], &["true"]);
        command.env("DAYPASS_IDENTITY_TOKEN", &token);
        ended(command)
    };
    stack.engine.pace(0.01).await;
    stack.engine.arm(Fault::of("identitystore:IsMemberInGroups").always()).await;
    let first = asked().await;
    assert_eq!(first.code, 75, "{}", first.stderr);
    stack.engine.calm().await;
    let second = asked().await;
    assert_eq!(second.code, 0, "{}", second.stderr);
    is_given_back(&stack, granted_in(&second.stderr)).await;
}

/// Whatever happens, nothing that is secret is said: not in a success, not in a denial, not in a failure.
#[tokio::test]
async fn no_output_has_a_secret_in_it_that_is_not_asked_for() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let (mut heard, mut keys) = (Vec::new(), Vec::new());
    for output in ["text", "json"] {
        let (granted, transaction) = requested(&state).await;
        heard.push(Ended { code: 0, stdout: granted.to_string(), stderr: String::new() });
        let id = transaction.to_string();
        let stored = fs::read(state.0.join(format!("{id}.json"))).unwrap();
        let stored: Value = serde_json::from_slice(&stored).unwrap();
        keys.push(stored["secrets"]["age_key"].as_str().unwrap().to_owned());
        for arguments in [
            vec!["status", &id],
            vec!["config", "show"],
            vec!["release", &id],
            vec!["credentials", "--transaction", &id],
        ] {
            let mut command = daypass(&state, &[&arguments, &["--output", output][..]].concat());
            command.env("DAYPASS_IDENTITY_TOKEN", "a-token-that-is-secret");
            heard.push(ended(command).await);
        }
        heard.push(ended(in_github(exec(&state, &["--output", output], &["true"]), &json!({}))).await);
        heard.push(ended(in_github(exec(&state, &["--output", output], &["true"]), &json!({"actor": "erin"}))).await);
        heard.push(ended(exec(&state, &["--serve", "--output", output], &["no-such-command"])).await);
        heard.push(ended(exec(&state, &["--group-type", "Nobody", "--output", output], &["true"])).await);
    }
    let said: String = heard.into_iter().map(|Ended { stdout, stderr, .. }| stdout + &stderr).collect();
    assert!(said.contains("Daypass.IdentityNotProven") && said.contains("(secret)"), "{said}");
    let mut secrets = vec!["a-token-that-is-secret".to_owned(), "the-bearer-token".to_owned(), "eyJ".to_owned()];
    assert!(keys.iter().all(|key| key.starts_with("AGE-SECRET-KEY-")));
    secrets.extend(keys);
    for session in stack.engine.sessions().await {
        secrets.extend([session.secret_access_key, session.session_token]);
    }
    assert!(secrets.len() > 20, "there were sessions");
    for secret in secrets {
        assert!(!said.contains(&secret), "{secret} is in {said}");
    }
}

/// Files as the `aws` command has them, with the invoker's credentials under a name, and the lease's under another.
fn profiles(state: &Folder, default: &str) -> String {
    let of = |name: &str| std::env::var(name).expect("the invoker's credentials");
    let text = format!(
        "[profile invoker]\naws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {}\n\
         [profile lease]\ncredential_process = {} credentials --account payments-dev\n[default]\n{default}\n",
        of("AWS_ACCESS_KEY_ID"),
        of("AWS_SECRET_ACCESS_KEY"),
        of("AWS_SESSION_TOKEN"),
        env!("CARGO_BIN_EXE_daypass"),
    );
    let file = state.path("aws-config");
    fs::write(&file, text).expect("a file");
    file
}

fn with_profile(mut command: Command, file: &str, profile: &str) -> Command {
    for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        command.env_remove(variable);
    }
    command.env("AWS_CONFIG_FILE", file).env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null").env("AWS_PROFILE", profile);
    command
}

#[tokio::test]
async fn the_credentials_that_it_gives_are_not_those_that_it_asks_with() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let file = profiles(&state, "");
    let ask = || daypass(&state, &["credentials", "--account", "payments-dev", "--branch", "main"]);

    // A profile whose process is this command: it would start itself without end.
    let refused = ended(with_profile(ask(), &file, "lease")).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{}", refused.stderr);
    assert!(refused.stderr.contains("DAYPASS_AWS_PROFILE"), "{}", refused.stderr);
    let mut named = with_profile(ask(), &file, "lease");
    named.env("DAYPASS_AWS_PROFILE", "invoker");
    let printed = ended(named).await.json();

    // In the environment of whoever has run `eval "$(daypass env)"`, the role gives itself back all the same.
    let session = fs::read_dir(&state.0).unwrap().find_map(|entry| {
        entry.unwrap().file_name().to_str().and_then(|name| Some(name.strip_suffix(".json")?.to_owned()))
    });
    let id = session.expect("a session");
    let mut release = with_profile(daypass(&state, &["release", &id]), &file, "invoker");
    let variables = [
        ("AWS_ACCESS_KEY_ID", "AccessKeyId"),
        ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
        ("AWS_SESSION_TOKEN", "SessionToken"),
    ];
    release.envs(variables.map(|(variable, name)| (variable, printed[name].as_str().unwrap())));
    let released = ended(release).await;
    assert_eq!(released.code, 0, "{}", released.stderr);
    is_given_back(&stack, id.parse().unwrap()).await;
}

/// Whatever stands between the two: here a role that is assumed with a profile whose process is a script that runs this command.
#[tokio::test]
async fn who_asks_itself_is_told_so() {
    let state = Folder::new();
    let script = state.path("credentials.sh");
    let daypass_itself = env!("CARGO_BIN_EXE_daypass");
    let text =
        format!("#!/bin/sh\n( exec env -u AWSUME_PROFILE '{daypass_itself}' credentials --account payments-dev )\n");
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let file = state.path("config");
    let config = format!(
        "[profile base]\ncredential_process = {script}\n\
         [profile deploy]\nrole_arn = arn:aws:iam::111111111111:role/daypass-invoker\nsource_profile = base\n"
    );
    fs::write(&file, config).unwrap();
    for profile in ["base", "deploy"] {
        for arguments in
            [&["credentials", "--account", "payments-dev"][..], &["exec", "--account", "payments-dev", "--", "true"]]
        {
            let command = with_profile(daypass(&state, arguments), &file, profile);
            let Ended { code, stdout, stderr } = ended(command).await;
            assert!(code != 0 && stdout.is_empty(), "{profile} {arguments:?}: {stderr}");
            assert!(stderr.contains("and they come from `daypass` itself"), "{profile}: {stderr}");
        }
    }
}

#[tokio::test]
async fn a_session_that_was_ended_elsewhere_is_noticed() {
    let (stack, state, elsewhere) = (Stack::shared().await, Folder::new(), Folder::new());
    let asked = || ended(daypass(&state, &["credentials", "--account", "payments-dev", "--branch", "feature/ended"]));
    let first = asked().await.json();
    assert_eq!(asked().await.json(), first, "it is kept");
    let kept = fs::read_dir(&state.0).unwrap().find_map(|entry| {
        entry.unwrap().file_name().to_str().and_then(|name| Some(name.strip_suffix(".json")?.to_owned()))
    });
    let id = kept.expect("a session");
    assert_eq!(ended(daypass(&elsewhere, &["release", &id])).await.code, 0);
    // Whoever names the transaction is told; whoever wants a role gets another.
    let named = ended(daypass(&state, &["credentials", "--transaction", &id])).await;
    assert_eq!((named.code, named.stdout.as_str()), (70, ""), "{}", named.stderr);
    assert!(named.stderr.contains("the role has been released or deleted"), "{}", named.stderr);
    let second = asked().await;
    assert_ne!(second.json(), first, "{}", second.stderr);
    assert!(who_is(&stack.with(&credentials_of(&second.json()))).await.is_some(), "it works");
}

/// No request is like the one before, so that nobody waits for another: it ends all the same, and soon.
#[tokio::test]
async fn who_starts_itself_again_and_again_is_told_so() {
    let state = Folder::new();
    let daypass_itself = env!("CARGO_BIN_EXE_daypass");
    let file = state.path("config");
    for process in [
        format!("sh -c \"'{daypass_itself}' credentials --account payments-dev --justification run-$$\""),
        format!("'{daypass_itself}' exec --account payments-dev -- env"),
    ] {
        let script = state.path("script.sh");
        fs::write(&script, format!("#!/bin/sh\n{process}\n")).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(&file, format!("[profile round]\ncredential_process = {script}\n")).unwrap();
        let command =
            with_profile(daypass(&state, &["exec", "--account", "payments-dev", "--", "true"]), &file, "round");
        let Ended { code, stderr, .. } = ended(command).await;
        assert!(code != 0 && stderr.contains("and they come from `daypass` itself"), "{stderr}");
    }
}

/// Whoever asks has keys that are only in the environment, as in most CI; or gets them from an endpoint, as in a container.
#[tokio::test]
async fn a_shell_that_has_become_the_role_can_go_on() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let daypass_itself = env!("CARGO_BIN_EXE_daypass");
    let script = format!(
        "set -e; daypass() {{ '{daypass_itself}' \"$@\"; }}
         export DAYPASS_TRANSACTION_ID=$(daypass request --account payments-dev --branch a --output json | jq -r .transaction_id)
         eval \"$(daypass env)\"; echo $DAYPASS_TRANSACTION_ID
         eval \"$(daypass env)\"
         daypass status
         daypass exec --account payments-dev --branch b -- sh -c 'echo $DAYPASS_TRANSACTION_ID; env | grep ASKING; exit 0'
         daypass release
         daypass exec --account payments-dev --branch c -- sh -c 'echo $DAYPASS_TRANSACTION_ID'"
    );
    let shell = || {
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, value) in daypass(&state, &[]).as_std().get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    };
    let mut in_a_container = shell();
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        in_a_container.env_remove(name);
    }
    let (endpoint, serving) = container_credentials().await;
    in_a_container.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", endpoint);
    for shell in [shell(), in_a_container] {
        let Ended { code, stdout, stderr } = ended(shell).await;
        assert_eq!(code, 0, "{stdout}{stderr}");
        assert!(!stdout.contains("ASKING"), "what a command does not have: {stdout}");
        let transactions: Vec<TransactionId> = stdout.lines().filter_map(|line| line.parse().ok()).collect();
        assert_eq!(transactions.len(), 3, "{stdout}");
        for transaction in transactions {
            is_given_back(&stack, transaction).await;
        }
    }
    serving.abort();
}

/// An endpoint as containers have it, which gives the credentials of the environment.
async fn container_credentials() -> (String, JoinHandle<()>) {
    let variable = |name| std::env::var(name).expect("the environment of a stack");
    let credentials = json!({
        "AccessKeyId": variable("AWS_ACCESS_KEY_ID"),
        "SecretAccessKey": variable("AWS_SECRET_ACCESS_KEY"),
        "Token": variable("AWS_SESSION_TOKEN"),
        "Expiration": "2099-01-01T00:00:00Z",
    });
    let (endpoint, serving) = answering("200 OK", credentials.to_string()).await;
    (format!("{endpoint}/credentials"), serving)
}

/// In a command that has a role there is nobody else to ask as.
#[tokio::test]
async fn a_role_cannot_ask_for_another_and_is_told_why() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let inner = [env!("CARGO_BIN_EXE_daypass"), "request", "--account", "payments-dev"];
    for options in [&[][..], &["--serve"]] {
        let Ended { code, stderr, .. } = ended(exec(&state, options, &inner)).await;
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains("belong to the deploy role, which may not call Daypass"), "{stderr}");
        is_given_back(&stack, granted_in(&stderr)).await;
    }
}

#[tokio::test]
async fn a_default_profile_does_not_come_before_the_endpoint() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let file = profiles(&state, "aws_access_key_id = other\naws_secret_access_key = other\nregion = eu-central-1");
    let mut command = with_profile(exec(&state, &["--serve"], &["env"]), &file, "invoker");
    command.env_remove("AWS_REGION");
    let served = ended(command).await;
    assert_eq!(served.code, 0, "{}", served.stderr);
    for line in ["AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_REGION=eu-central-1"] {
        assert!(served.stdout.lines().any(|printed| printed == line), "{line} is not in {}", served.stdout);
    }
    let id = served.stdout.lines().find_map(|line| line.strip_prefix("DAYPASS_TRANSACTION_ID=")).unwrap();
    is_given_back(&stack, id.parse().unwrap()).await;
}

/// A job without any AWS credentials becomes the invoker with its OIDC token, as `github` in the configuration lets it. The
/// local deployment has no such trust: here another role stands for the invoker.
#[tokio::test]
async fn a_job_without_credentials_becomes_the_invoker_by_itself() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let (iam, name) = (stack.hub().iam(), format!("job-{}", daypass_tests::pipeline::new_transaction_id()));
    let endpoint = std::env::var("AWS_ENDPOINT_URL").expect("the engine");
    let issuer = format!("{}/_daypass/issuers/github", endpoint.trim_start_matches("http://"));
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Federated": format!("arn:aws:iam::{}:oidc-provider/{issuer}", stack.names.hub)},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {format!("{issuer}:aud"): "sts.amazonaws.com"}},
    }]});
    let allowed = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Action": ["states:StartSyncExecution", "states:StartExecution", "states:DescribeExecution", "kms:Encrypt"],
        "Resource": "*",
    }]});
    let made = iam.create_role().role_name(&name).assume_role_policy_document(trust.to_string()).send().await;
    let role_arn = made.expect("a role").role.expect("a role").arn;
    let policy = iam.put_role_policy().role_name(&name).policy_name("invoker").policy_document(allowed.to_string());
    policy.send().await.expect("its policy");

    let script = ["sh", "-c", "echo $DAYPASS_TRANSACTION_ID"];
    let mut command = in_github(exec(&state, &["--invoker-role-arn", &role_arn], &script), &json!({}));
    for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        command.env_remove(variable);
    }
    let granted = ended(command).await;
    iam.delete_role_policy().role_name(&name).policy_name("invoker").send().await.expect("it is deleted");
    iam.delete_role().role_name(&name).send().await.expect("it is deleted");
    assert_eq!(granted.code, 0, "{}", granted.stderr);
    is_given_back(&stack, granted.stdout.trim().parse().unwrap()).await;
}
