//! "Request a role by hand" in docs/contract.md, word for word: what a reader pastes into a terminal.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Stdio,
};

use daypass::ids::TransactionId;
use daypass_tests::{
    pipeline::{Account, new_transaction_id},
    stack::{Stack, until},
};
use tokio::process::{Child, Command};

const CONTRACT: &str = include_str!("../../../docs/contract.md");
/// Where `aws` is, the same that `make` installs for everything that is local.
const VENV: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.local/venv/bin");
/// Gives the answer as AWS does: the output of an execution, which Daypass has, without spaces.
const COMPACT: &str = r#"answer=$("$AWS" "$@") || exit
printf '%s\n' "$answer" | sed 's/": "/":"/g; s/", "/","/g' | tee -a "$FOLDER/answers""#;
/// The deployment goes wrong.
const FAILING: &str = r#"case $1 in s3api) exit 3 ;; *) exec "$AWS" "$@" ;; esac"#;
/// The deployment takes long.
const LONG: &str = r#"case $1 in s3api) touch "$FOLDER/held"; exec sleep 60 ;; *) exec "$AWS" "$@" ;; esac"#;
/// The request is carried out, and its answer does not come.
const LOST: &str = r#"case $2 in
start-sync-execution) "$AWS" "$@" > "$FOLDER/answer"; touch "$FOLDER/held"; exec sleep 60 ;;
*) exec "$AWS" "$@" ;;
esac"#;

/// A reader's terminal, in a folder that is removed with this value.
struct Terminal {
    folder: PathBuf,
    block: String,
}

/// What became of what was pasted.
#[derive(Debug)]
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Terminal {
    /// With these lines of a shell in place of the command `aws`, whose own path is `$AWS` there.
    fn new(aws: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(new_transaction_id().to_string());
        for name in ["bin", "home", "tmp"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        for name in ["age", "age-keygen"] {
            symlink(env!("CARGO_BIN_EXE_age-by-hand"), folder.join("bin").join(name)).unwrap();
        }
        let command = folder.join("bin/aws");
        fs::write(&command, format!("#!/bin/sh\necho \"$*\" >> \"$FOLDER/calls\"\n{aws}\n")).unwrap();
        fs::set_permissions(&command, fs::Permissions::from_mode(0o755)).unwrap();
        let (_, after) = CONTRACT.split_once("<!-- by-hand -->\n```sh\n").expect("the marker");
        let (block, _) = after.split_once("```").expect("its end");
        Self { folder, block: block.to_owned() }
    }

    /// The same, but that the reader has changed something.
    fn edited(mut self, from: &str, to: &str) -> Self {
        assert!(self.block.contains(from), "{from}");
        self.block = self.block.replace(from, to);
        self
    }

    fn start(&self, shell: &str) -> Child {
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(shell);
        command.args(["-c", &self.block]).current_dir(self.folder.join("home")).process_group(0);
        command.env("PATH", format!("{}:{path}", self.folder.join("bin").display()));
        command.env("AWS", Path::new(VENV).join("aws")).env("FOLDER", &self.folder);
        command.env("TMPDIR", self.folder.join("tmp"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.spawn().expect("it starts")
    }

    async fn ended(&self, child: Child) -> Ended {
        let output = child.wait_with_output().await.expect("it ends");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        // A key or a session that is left could be read by whoever comes next.
        let left: Vec<_> = fs::read_dir(self.folder.join("tmp")).unwrap().map(|it| it.unwrap().path()).collect();
        assert_eq!(left, Vec::<PathBuf>::new(), "{stderr}");
        let home = fs::read_dir(self.folder.join("home")).unwrap();
        let home: Vec<_> = home.map(|it| it.unwrap().file_name()).collect();
        assert_eq!(home, ["by-hand.sh"], "{stderr}");
        Ended { code: output.status.code().unwrap_or(-1), stdout, stderr }
    }

    async fn run(&self, shell: &str) -> Ended {
        self.ended(self.start(shell)).await
    }

    /// Somebody presses Ctrl-C, or ends the session, when the command `aws` waits.
    async fn interrupt(&self, signal: &str) -> Ended {
        let child = self.start("bash");
        until("the command waits", async || self.folder.join("held").exists()).await;
        let group = format!("-{}", child.id().expect("it runs"));
        let sent = Command::new("bash").args(["-c", &format!("kill -{signal} -- {group}")]).status().await;
        assert!(sent.expect("a signal").success());
        self.ended(child).await
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.folder.join("calls")).unwrap()
    }

    /// The transaction that was asked for: the name that the script has given it.
    fn transaction(&self) -> TransactionId {
        let calls = self.calls();
        let asked: Vec<_> = calls.lines().filter(|call| call.contains("start-sync-execution")).collect();
        let [asked] = asked[..] else { panic!("one request: {calls}") };
        let (_, name) = asked.split_once("--name ").expect("a name");
        name.split(' ').next().unwrap().parse().expect("a transaction")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A role was there, and has been released.
async fn assert_released(stack: &Stack, terminal: &Terminal, ended: &Ended) {
    let transaction = terminal.transaction();
    assert!(ended.stderr.contains(&format!("Released {transaction}.")), "{ended:?}");
    let item = stack.item(transaction).await.expect("it is on record");
    assert_eq!(item["status"], "deprovisioned", "{item:#}");
    assert!(item["role_arn"].as_str().is_some_and(|it| it.contains(&transaction.role_name())), "{item:#}");
    assert!(stack.role(transaction, Account::Development.id()).await.is_none(), "its role");
}

const AS_IT_IS: &str = r#"exec "$AWS" "$@""#;

#[tokio::test]
async fn what_the_contract_says_to_paste_works_and_leaves_nothing() {
    let stack = Stack::shared().await;
    for shell in ["bash", "sh"] {
        let terminal = Terminal::new(AS_IT_IS);
        let ended = terminal.run(shell).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.stdout.contains("Buckets"), "{ended:?}");
        assert_released(&stack, &terminal, &ended).await;
        let file = fs::metadata(terminal.folder.join("home/by-hand.sh")).unwrap();
        assert!(file.len() > 1_000, "{file:?}");
    }
}

/// AWS and the local engine write the output of an execution with other spaces.
#[tokio::test]
async fn an_answer_without_spaces_can_be_read() {
    let stack = Stack::shared().await;
    let terminal = Terminal::new(COMPACT);
    let ended = terminal.run("bash").await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let answers = fs::read_to_string(terminal.folder.join("answers")).unwrap();
    assert!(answers.contains(r#""sealed_credentials":"-----BEGIN"#), "{answers}");
    assert_released(&stack, &terminal, &ended).await;
}

#[tokio::test]
async fn a_refusal_ends_the_script_and_is_shown() {
    let stack = Stack::shared().await;
    let terminal = Terminal::new(AS_IT_IS).edited("alex@example.com", "mallory@example.com");
    let ended = terminal.run("bash").await;
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{ended:?}");
    assert!(ended.stderr.contains("Refused: Daypass.NotAMember"), "{ended:?}");
    let transaction = terminal.transaction();
    let reason = stack.item(transaction).await.expect("a denial is on record")["error"].to_string();
    assert!(reason.contains("NotAMember") && ended.stderr.contains("mallory@example.com"), "{reason} {ended:?}");
    assert!(!terminal.calls().contains("start-execution"), "there is nothing to release: {}", terminal.calls());
    assert!(stack.role(transaction, Account::Development.id()).await.is_none());
}

#[tokio::test]
async fn whoever_interrupts_the_script_has_released_the_role() {
    let stack = Stack::shared().await;
    for (aws, signal, code) in [(LONG, "INT", 130), (LONG, "TERM", 143), (LONG, "HUP", 129), (LOST, "INT", 130)] {
        let terminal = Terminal::new(aws);
        let ended = terminal.interrupt(signal).await;
        assert_eq!(ended.code, code, "{ended:?}");
        assert_released(&stack, &terminal, &ended).await;
    }
}

#[tokio::test]
async fn a_command_that_fails_fails_the_script_and_the_role_is_released() {
    let stack = Stack::shared().await;
    let terminal = Terminal::new(FAILING);
    let ended = terminal.run("bash").await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert_released(&stack, &terminal, &ended).await;
}

/// A release that fails is no release: the script says so, and does not end with 0.
#[tokio::test]
async fn a_release_that_is_not_shown_is_told() {
    let stack = Stack::shared().await;
    let terminal = Terminal::new(r#"case $2 in start-execution) exit 254 ;; *) exec "$AWS" "$@" ;; esac"#);
    let ended = terminal.run("bash").await;
    let transaction = terminal.transaction();
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains(&format!("The release of {transaction} is not confirmed")), "{ended:?}");
    assert!(stack.role(transaction, Account::Development.id()).await.is_some(), "nobody has released it");
    let released = stack.deprovision(&serde_json::json!({"transaction_id": transaction})).await;
    assert_eq!(released.output["status"], "deprovisioned", "{released:?}");
}
