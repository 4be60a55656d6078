//! The `daypass` command as a pipeline runs it, with the environment of the stack.

use std::{
    fs,
    path::PathBuf,
    process::{Output, Stdio},
};

use aws_credential_types::Credentials;
use daypass::ids::TransactionId;
use daypass_tests::{
    aws::Aws,
    stack::{Stack, until},
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStderr, ChildStdin, Command},
    task::JoinHandle,
};
use uuid::Uuid;

/// Says what it has got, and ends when it is told to, with the exit code that it is told.
pub const HOLD: &str = r#"
    echo "$AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY $AWS_SESSION_TOKEN $DAYPASS_TRANSACTION_ID"
    read -r code
    exit "$code"
"#;

/// A folder that is removed with this value.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(Uuid::new_v4().to_string());
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `daypass` with these arguments, for alex on a branch, if nothing else is said. It is ended with the test, and is in no foreground: signals come from nobody's keyboard.
pub fn daypass(state: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_daypass"));
    command.args(arguments).env("DAYPASS_STATE_DIR", &state.0).env("DAYPASS_CONFIG_FILE", "/dev/null");
    command.env("DAYPASS_EMAIL", "alex@example.com").env("DAYPASS_BRANCH", "feature/receipts");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    for variable in ["GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI"] {
        command.env_remove(variable);
    }
    command
}

/// `daypass exec` with options before and the command behind.
pub fn exec(state: &Folder, options: &[&str], command: &[&str]) -> Command {
    daypass(state, &[&["exec", "--account", "payments-dev"], options, &["--"], command].concat())
}

/// A server on this machine that answers whatever it is asked with this, until the task is aborted.
pub async fn answering(status: &str, body: String) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = [0; 16 * 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (endpoint, serving)
}

/// What a command that ends by itself has come to.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

pub async fn ended(mut command: Command) -> Ended {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().await.expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ended { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
}

impl Ended {
    /// What was printed for programs.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{}\n{}", self.stdout, self.stderr))
    }
}

/// A command that runs [`HOLD`] with a role.
pub struct Held {
    child: Child,
    /// Its input, which ends with this.
    pub stdin: Option<ChildStdin>,
    pub credentials: Credentials,
    pub transaction: TransactionId,
}

impl Held {
    /// Starts it, and waits until it has its role.
    pub async fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let line = lines.next_line().await.expect("UTF-8").unwrap_or_default();
        let words: Vec<&str> = line.split(' ').collect();
        let [id, secret, token, transaction] = words[..] else {
            panic!("{line}\n{}", ended_badly(child).await);
        };
        let credentials = Credentials::new(id, secret, Some(token.to_owned()), None, "command");
        let transaction = transaction.parse().expect("a transaction");
        let stdin = child.stdin.take();
        Self { child, stdin, credentials, transaction }
    }

    /// Its process.
    pub fn pid(&self) -> rustix::process::Pid {
        let id = self.child.id().expect("it runs");
        rustix::process::Pid::from_raw(i32::try_from(id).expect("a process id")).expect("a process id")
    }

    /// Lets it end with this exit code, and returns that of `daypass`.
    pub async fn end(&mut self, code: &str) -> i32 {
        let stdin = self.stdin.as_mut().expect("its input");
        stdin.write_all(format!("{code}\n").as_bytes()).await.expect("it reads");
        self.code().await
    }

    /// The exit code of `daypass`.
    pub async fn code(&mut self) -> i32 {
        self.child.wait().await.expect("it ends").code().unwrap_or(-1)
    }
}

async fn ended_badly(child: Child) -> String {
    let output = child.wait_with_output().await.expect("it ends");
    format!("{:?}\n{}", output.status.code(), String::from_utf8_lossy(&output.stderr))
}

/// What `daypass` says while it runs.
pub struct Said {
    lines: Lines<BufReader<ChildStderr>>,
    said: String,
}

impl Said {
    pub fn by(child: &mut Child) -> Self {
        let lines = BufReader::new(child.stderr.take().expect("its stderr")).lines();
        Self { lines, said: String::new() }
    }

    /// Listens until it says this.
    pub async fn until(&mut self, wanted: &str) {
        while let Some(line) = self.lines.next_line().await.expect("UTF-8") {
            self.said.extend([line.as_str(), "\n"]);
            if line.contains(wanted) {
                return;
            }
        }
        panic!("it never says `{wanted}`: {}", self.said)
    }

    /// Listens until its end, and returns all that was said.
    pub async fn everything(mut self) -> String {
        while let Some(line) = self.lines.next_line().await.expect("UTF-8") {
            self.said.extend([line.as_str(), "\n"]);
        }
        self.said
    }
}

/// The transaction that `daypass exec` has said to be granted.
pub fn granted_in(said: &str) -> TransactionId {
    let id = said.split("granted daypass-").nth(1).and_then(|rest| rest.split(' ').next());
    id.unwrap_or_else(|| panic!("nothing is granted: {said}")).parse().expect("a transaction")
}

/// Who AWS says these credentials are; nobody when they are dead.
pub async fn who_is(aws: &Aws) -> Option<String> {
    aws.sts().get_caller_identity().send().await.ok()?.arn
}

/// Waits until a transaction has ended and its role is gone.
pub async fn is_given_back(stack: &Stack, transaction: TransactionId) {
    let account = daypass_tests::pipeline::Account::Development.id();
    until("the role is gone", async || stack.role(transaction, account).await.is_none()).await;
    until("the end is recorded", async || stack.status(transaction).await == "deprovisioned").await;
}
