//! `daypass exec`: the role is there for the command, and gone afterwards, however the command or `daypass` ends.

use std::{collections::BTreeSet, os::unix::process::ExitStatusExt, process::Stdio};

use daypass_tests::{
    engine::Fault,
    identity::new_job,
    stack::{Stack, at, until},
};
use futures_util::future::join_all;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::command::{
    Ended, Folder, HOLD, Held, Said, answering, daypass, ended, exec, granted_in, is_given_back, who_is,
};

#[tokio::test]
async fn the_command_has_the_role_and_it_is_given_back_at_its_end() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let mut held = Held::start(exec(&state, &["--ttl", "1h"], &["sh", "-c", HOLD])).await;
    let role = stack.with(&held.credentials);
    let arn = who_is(&role).await.expect("the credentials work");
    let role_name = held.transaction.role_name();
    assert_eq!(arn, format!("arn:aws:sts::222222222222:assumed-role/{role_name}/alex@example.com"));
    assert_eq!(stack.status(held.transaction).await, "provisioned");
    assert_eq!(stack.item(held.transaction).await.unwrap()["role_ttl_hours"], 1.0);
    assert_eq!(held.end("7").await, 7, "the command's own exit code");
    is_given_back(&stack, held.transaction).await;
    assert_eq!(who_is(&role).await, None, "the credentials are dead");
    assert_eq!(std::fs::read_dir(&state.0).unwrap().count(), 0, "nothing is written to disk");
}

#[tokio::test]
async fn a_command_that_crashes_is_told_by_its_signal() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    for (signal, code) in [("KILL", 137), ("SEGV", 139)] {
        let script = format!("echo $DAYPASS_TRANSACTION_ID; kill -{signal} $$");
        let Ended { code: found, stdout, stderr } = ended(exec(&state, &[], &["sh", "-c", &script])).await;
        assert_eq!(found, code, "{stderr}");
        is_given_back(&stack, stdout.trim().parse().unwrap()).await;
    }
}

#[tokio::test]
async fn what_cannot_be_run_gives_the_role_back() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    for (command, code, said) in [("/dev/null", 126, "cannot be executed"), ("./no-such-command", 127, "is not found")]
    {
        let Ended { code: found, stderr, .. } = ended(exec(&state, &[], &[command])).await;
        assert_eq!(found, code, "{stderr}");
        assert!(stderr.contains(&format!("`{command}` {said}")), "{stderr}");
        is_given_back(&stack, granted_in(&stderr)).await;
    }
}

const SIGNALS: [(Signal, &str, i32); 8] = [
    (Signal::INT, "INT", 130),
    (Signal::TERM, "TERM", 143),
    (Signal::HUP, "HUP", 129),
    (Signal::QUIT, "QUIT", 131),
    (Signal::USR1, "USR1", 138),
    (Signal::PROF, "PROF", 155),
    (Signal::XCPU, "XCPU", 152),
    (Signal::ABORT, "ABRT", 134),
];

#[tokio::test]
async fn a_signal_to_daypass_reaches_the_command() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let one = async |signal, name: &str, plain: i32| {
        // One command cleans up when it gets the signal, the other lets it end it.
        let careful = format!("trap 'kill $!; exit 42' {name}; sleep 600 & {HOLD_OUTPUT}; wait $!");
        for (script, code) in [(careful.as_str(), 42), (HOLD, plain)] {
            let mut held = Held::start(exec(&state, &[], &["sh", "-c", script])).await;
            kill_process(held.pid(), signal).expect("it runs");
            assert_eq!(held.code().await, code, "{name}");
            is_given_back(&stack, held.transaction).await;
        }
    };
    join_all(SIGNALS.map(|(signal, name, plain)| one(signal, name, plain))).await;
}

const HOLD_OUTPUT: &str =
    r#"echo "$AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY $AWS_SESSION_TOKEN $DAYPASS_TRANSACTION_ID""#;

#[tokio::test]
async fn a_new_role_is_waited_for_and_a_signal_ends_the_wait() {
    let (stack, state) = (Stack::alone().await, Folder::new());
    let not_yet = || Fault::of("sts:AssumeRole").with(403, "AccessDenied").on("role/daypass/daypass-");
    stack.engine.arm(not_yet().times(2)).await;
    let waited = ended(exec(&state, &[], &["true"])).await;
    assert_eq!(waited.code, 0, "{}", waited.stderr);
    assert!(waited.stderr.contains("waiting for IAM"), "{}", waited.stderr);

    stack.engine.arm(not_yet().always()).await;
    let ran = state.path("ran");
    let mut child = exec(&state, &[], &["touch", &ran]).spawn().unwrap();
    let mut said = Said::by(&mut child);
    said.until("waiting for IAM").await;
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(143));
    assert!(!std::path::Path::new(&ran).exists(), "the command was not run");
    is_given_back(&stack, granted_in(&said.everything().await)).await;
}

/// As `nohup` has it.
#[tokio::test]
async fn a_signal_that_is_ignored_stays_ignored() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let daypass = exec(&state, &[], &["sh", "-c", HOLD]);
    let mut ignoring = tokio::process::Command::new("sh");
    ignoring.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(daypass.as_std().get_program());
    ignoring.args(daypass.as_std().get_args());
    for (name, value) in daypass.as_std().get_envs() {
        match value {
            Some(value) => ignoring.env(name, value),
            None => ignoring.env_remove(name),
        };
    }
    ignoring.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    let mut held = Held::start(ignoring).await;
    kill_process(held.pid(), Signal::HUP).unwrap();
    assert_eq!(held.end("3").await, 3);
    is_given_back(&stack, held.transaction).await;
}

/// No new role waits for what a policy denies by name.
#[tokio::test]
async fn an_explicit_deny_of_the_role_is_told_at_once() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let words = "not authorized to perform: sts:AssumeRole with an explicit deny in a service control policy";
    let denied =
        format!("<ErrorResponse><Error><Code>AccessDenied</Code><Message>{words}</Message></Error></ErrorResponse>");
    let (sts, serving) = answering("403 Forbidden", denied).await;
    let mut command = exec(&state, &[], &["true"]);
    command.env("AWS_ENDPOINT_URL_STS", sts);
    let ran = ended(command).await;
    serving.abort();
    assert_eq!(ran.code, 70, "{}", ran.stderr);
    assert!(!ran.stderr.contains("waiting for IAM"), "{}", ran.stderr);
    assert!(ran.stderr.contains("its owner has to exempt deploy roles"), "{}", ran.stderr);
    is_given_back(&stack, granted_in(&ran.stderr)).await;
}

/// What credentials are had with is out of order for a moment: the same will do later.
#[tokio::test]
async fn an_outage_of_what_gives_credentials_is_one() {
    let (stack, state) = (Stack::alone().await, Folder::new());
    stack.engine.arm(Fault::of("sts:AssumeRole").on("daypass-invoker").with(503, "ServiceUnavailable").always()).await;
    let mut command = exec(&state, &[], &["true"]);
    command.env("DAYPASS_INVOKER_ROLE_ARN", "arn:aws:iam::111111111111:role/daypass-invoker");
    let ran = ended(command).await;
    assert_eq!(ran.code, 75, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("there are no AWS credentials to call Daypass with: sts:AssumeRole failed"),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn a_signal_before_a_role_is_asked_for_ends_it_at_once() {
    let (_stack, state) = (Stack::shared().await, Folder::new());
    // An issuer that takes the question, and never answers.
    let issuer = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let mut command = exec(&state, &[], &["true"]);
    command.env("GITHUB_ACTIONS", "true").env("DAYPASS_IDENTITY_TOKEN_AUDIENCE", "daypass");
    command.env("ACTIONS_ID_TOKEN_REQUEST_URL", format!("http://{}/", issuer.local_addr().unwrap()));
    command.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "bearer");
    let mut child = command.spawn().unwrap();
    let _question = issuer.accept().await.unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(child.wait().await.unwrap().signal(), Some(15));
}

#[tokio::test]
async fn who_is_denied_runs_nothing() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let ran = state.path("ran");
    let options = ["--email", "mallory@example.com", "--quiet", "--output", "json"];
    let denied = ended(exec(&state, &options, &["touch", &ran])).await;
    assert_eq!((denied.code, denied.stdout.as_str()), (77, ""));
    let error: Value = serde_json::from_str(&denied.stderr).expect("one JSON object");
    assert_eq!((&error["error"], &error["status"]), (&"Daypass.NotAMember".into(), &"denied".into()));
    assert!(error["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{error}");
    assert!(error["docs"].as_str().is_some_and(|url| url.ends_with("/errors.md#daypassnotamember")), "{error}");
    assert!(!std::path::Path::new(&ran).exists(), "the command was not run");
    let transaction = error["transaction_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(stack.status(transaction).await, "denied");
    assert_eq!(stack.lease_status(transaction).await, None);
}

#[tokio::test]
async fn what_daypass_cannot_give_back_ends_by_itself() {
    // Alone: beside fifty other commands the lease could end before this one has its role.
    let (stack, state) = (Stack::alone().await, Folder::new());
    let mut held = Held::start(exec(&state, &["--ttl", "10s"], &["sh", "-c", HOLD])).await;
    let role = stack.with(&held.credentials);
    assert!(who_is(&role).await.is_some());
    kill_process(held.pid(), Signal::KILL).unwrap();
    assert_eq!(held.code().await, -1);
    assert_eq!(stack.status(held.transaction).await, "provisioned", "nobody has given it back");
    let expires_at = stack.item(held.transaction).await.unwrap()["expires_at"].as_str().unwrap().parse().unwrap();
    at(expires_at).await;
    is_given_back(&stack, held.transaction).await;
    assert_eq!(who_is(&role).await, None);
    // The command itself lives on, without a role, until its input ends.
    drop(held.stdin.take());
}

#[tokio::test]
async fn a_role_whose_grant_got_lost_is_given_back() {
    let (stack, state) = (Stack::alone().await, Folder::new());
    stack.engine.arm(Fault::of("states:StartSyncExecution").after_execution()).await;
    let lost = ended(exec(&state, &["--quiet", "--output", "json"], &["true"])).await;
    assert_eq!(lost.code, 75, "{}", lost.stderr);
    let error: Value = serde_json::from_str(&lost.stderr).expect("one JSON object");
    is_given_back(&stack, error["transaction_id"].as_str().unwrap().parse().unwrap()).await;
}

#[tokio::test]
async fn a_release_that_fails_is_told_and_fails_what_had_succeeded() {
    let (stack, state) = (Stack::alone().await, Folder::new());
    // AWS is not asked twice what it has refused.
    let refused = Fault::of("states:StartExecution").by("daypass-invoker").with(400, "AccessDeniedException").always();
    stack.engine.arm(refused).await;
    for (own, code) in [(0, 70), (3, 3)] {
        let script = format!("echo $DAYPASS_TRANSACTION_ID; exit {own}");
        let ended = ended(exec(&state, &["--ttl", "10s", "--quiet"], &["sh", "-c", &script])).await;
        assert_eq!(ended.code, code, "{}", ended.stderr);
        let transaction = ended.stdout.trim();
        assert!(ended.stderr.contains(transaction), "{}", ended.stderr);
        assert!(ended.stderr.contains("could not be released: states:StartExecution failed"), "{}", ended.stderr);
        is_given_back(&stack, transaction.parse().unwrap()).await;
    }
}

const AT_ONCE: usize = 50;

#[tokio::test]
async fn fifty_at_once_for_one_person_and_account_do_not_disturb_one_another() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let script = "echo $DAYPASS_TRANSACTION_ID $AWS_ACCESS_KEY_ID";
    let all = join_all((0..AT_ONCE).map(|_| ended(exec(&state, &[], &["sh", "-c", script])))).await;
    let mut seen = BTreeSet::new();
    for Ended { code, stdout, stderr } in &all {
        assert_eq!(*code, 0, "{stderr}");
        let (transaction, key) = stdout.trim().split_once(' ').unwrap();
        assert!(seen.insert(transaction) && seen.insert(key), "{transaction} or its session is somebody else's");
    }
    for Ended { stdout, .. } in &all {
        is_given_back(&stack, stdout.split(' ').next().unwrap().parse().unwrap()).await;
    }
}

/// In no environment by accident, neither in a path of this machine nor in the base64 of a session.
const OTHER: &str = "what-is-not-of-this-job";

#[tokio::test]
async fn no_credentials_of_others_reach_the_command() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let mut command = exec(&state, &[], &["env"]);
    command.env("AWS_PROFILE", OTHER).env("AWS_ROLE_ARN", OTHER);
    command.env("AWS_WEB_IDENTITY_TOKEN_FILE", format!("/{OTHER}")).env("DAYPASS_TOKEN", "");
    command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://127.0.0.1/{OTHER}"));
    let minting = ["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "A_NAME_OF_THE_PIPELINES_OWN"];
    command.envs(minting.map(|name| (name, format!("https://{OTHER}"))));
    // Whoever asks has to be able to do so all the same.
    let Ended { code, stdout, stderr } = ended(command).await;
    assert_eq!(code, 0, "{stderr}");
    let invoker = std::env::var("AWS_ACCESS_KEY_ID").unwrap();
    assert!(!stdout.contains(&invoker) && !stdout.contains(OTHER), "{stdout}");
    let mut served = exec(&state, &["--serve", "--keep-identity-tokens"], &["env"]);
    served.envs(minting.map(|name| (name, OTHER)));
    let served = ended(served).await;
    assert!(minting.iter().all(|name| served.stdout.contains(&format!("{name}={OTHER}\n"))), "{}", served.stdout);
    let credentials = ["AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_SESSION_TOKEN="];
    assert!(credentials.iter().all(|name| stdout.contains(name) && !served.stdout.contains(name)), "{}", served.stdout);
    assert!(served.stdout.contains("AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:"), "{}", served.stdout);
    for printed in [&stdout, &served.stdout] {
        let id = printed.lines().find_map(|line| line.strip_prefix("DAYPASS_TRANSACTION_ID=")).unwrap();
        is_given_back(&stack, id.parse().unwrap()).await;
    }
}

/// Root may look into every process: where the tests run as root, this is somebody else's.
const NOBODY: u32 = 65534;

#[tokio::test]
async fn the_command_cannot_look_into_daypass() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    // The shell is a child of `daypass`, and reads what it was itself started with.
    let script = "echo $DAYPASS_TRANSACTION_ID; cat /proc/$PPID/environ; cat /proc/$$/environ";
    let mut command = exec(&state, &[], &["sh", "-c", script]);
    command.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", OTHER);
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let Ended { stdout, stderr, .. } = ended(command).await;
    assert!(stdout.contains("DAYPASS_ROLE_ARN=") && !stdout.contains(OTHER), "{stdout}{stderr}");
    assert!(stderr.contains("Permission denied"), "{stderr}");
    is_given_back(&stack, stdout.lines().next().unwrap().parse().unwrap()).await;
}

#[tokio::test]
async fn a_role_lives_as_long_as_the_command_can_use_it() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let cases: [(&[&str], f64); 5] = [
        (&[], 1.0),
        (&["--job-timeout", "30m"], 0.5),
        (&["--serve"], 24.0),
        (&["--serve", "--job-timeout", "2h"], 2.0),
        // More than the account allows: what nobody has wished for fails no request.
        (&["--serve", "--job-timeout", "10h", "--account", "payments-prod", "--branch", "main"], 8.0),
    ];
    for (options, hours) in cases {
        let account = if options.contains(&"--account") { vec![] } else { vec!["--account", "payments-dev"] };
        let command = ["--", "sh", "-c", "echo $DAYPASS_TRANSACTION_ID"];
        let mut command = daypass(&state, &[&["exec"], options, &account, &command].concat());
        if account.is_empty() {
            let claims = json!({"claims": {"job_id": new_job()}});
            command.env("DAYPASS_IDENTITY_TOKEN", stack.engine.identity_token("gitlab", &claims).await);
        }
        let ran = ended(command).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let transaction = ran.stdout.trim().parse().unwrap();
        assert_eq!(stack.item(transaction).await.unwrap()["role_ttl_hours"], hours, "{options:?}");
        until("the end is recorded", async || stack.status(transaction).await == "deprovisioned").await;
    }
    // What somebody has wished for is not replaced.
    let wish = ["exec", "--account", "payments-prod", "--branch", "main", "--ttl", "10h", "--", "true"];
    let refused = ended(daypass(&state, &wish)).await;
    assert_eq!(refused.code, 70, "{}", refused.stderr);
    assert!(refused.stderr.contains("`role_ttl_hours`: 10 is out of range"), "{}", refused.stderr);
}

/// Runs a command on a terminal of its own, presses Ctrl-C there as soon as it says `ready`, and ends as the command does.
const AT_A_TERMINAL: &str = r#"
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
said, pressed = b"", False
while True:
    try:
        said += os.read(terminal, 4096)
    except OSError:
        break
    if not pressed and b"ready" in said:
        pressed = True
        os.write(terminal, b"\x03")
sys.stdout.buffer.write(said)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

/// Takes each SIGINT by itself, until none has come for a second.
const COUNTS_INTERRUPTS: &str = r#"
import signal
interrupt = {signal.SIGINT}
signal.pthread_sigmask(signal.SIG_BLOCK, interrupt)
print("ready", flush=True)
count, patience = 0, 60
while signal.sigtimedwait(interrupt, patience):
    count, patience = count + 1, 1
print(f"interrupted {count}")
raise SystemExit(6)
"#;

#[tokio::test]
async fn ctrl_c_reaches_the_command_once() {
    let (stack, state) = (Stack::shared().await, Folder::new());
    let ran = exec(&state, &[], &["python3", "-c", COUNTS_INTERRUPTS]);
    let mut command = tokio::process::Command::new("python3");
    command.args(["-c", AT_A_TERMINAL]).arg(ran.as_std().get_program()).args(ran.as_std().get_args());
    command.envs(ran.as_std().get_envs().filter_map(|(name, value)| Some((name, value?)))).kill_on_drop(true);
    let Ended { code, stdout, stderr } = ended(command).await;
    assert_eq!(code, 6, "{stdout}{stderr}");
    assert!(stdout.contains("interrupted 1\r\n"), "{stdout}");
    is_given_back(&stack, granted_in(&stdout)).await;
}
