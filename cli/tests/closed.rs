//! What other processes of the same user can see of `daypass`, while it has what identity tokens are had with.

#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "these are tests, helpers included")]

use std::{
    env, fs,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::Duration,
};

const SECRET: &str = "what-identity-tokens-are-had-with";
/// Nobody. Root may look into every process, so where the tests run as root, all of this is somebody else's.
const NOBODY: u32 = 65534;

/// A command of whoever this is about.
fn as_somebody(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A folder that is removed with this value.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that is ended with this value.
struct Running(Child);

impl Running {
    fn file(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.0.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn reads(file: &str) -> Output {
    as_somebody("cat").arg(file).output().expect("cat runs")
}

/// The command where everybody can run it.
fn program(folder: &Path) -> PathBuf {
    let built = PathBuf::from(env!("CARGO_BIN_EXE_daypass"));
    if as_somebody(&built).arg("--version").output().is_ok_and(|output| output.status.success()) {
        return built;
    }
    let copy = folder.join("daypass");
    fs::copy(built, &copy).expect("a copy");
    copy
}

#[test]
fn no_process_of_the_same_user_can_look_into_it() {
    let folder = Folder(env::temp_dir().join(format!("daypass-closed-{}", uuid::Uuid::new_v4())));
    fs::create_dir(&folder.0).expect("a folder");
    if as_somebody("true").status().is_err() {
        eprintln!("skipped: this is root, and may not become anybody else");
        return;
    }
    // It asks Daypass here, and waits for the answer.
    let daypass = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = daypass.local_addr().expect("its address");
    let mut asks = as_somebody(program(&folder.0));
    asks.args(["exec", "--account", "payments-dev", "--account-id", "222222222222", "--", "true"]);
    asks.env_clear().env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", SECRET).env("AWS_ENDPOINT_URL", format!("http://{address}"));
    asks.envs([("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x"), ("DAYPASS_CONFIG_FILE", "/dev/null")]);
    asks.envs([("DAYPASS_EMAIL", "alex@example.com"), ("DAYPASS_BRANCH", "main"), ("CIRCLECI", "true")]);
    asks.env("DAYPASS_PROVISION_ARN", "arn:aws:states:us-east-1:111111111111:stateMachine:daypass-provision");
    let mut asks = Running(asks.spawn().expect("it starts"));
    daypass.set_nonblocking(true).expect("a socket");
    let _connection = loop {
        if let Ok(connection) = daypass.accept() {
            break connection;
        }
        assert!(asks.0.try_wait().expect("a child").is_none(), "it has ended, and has asked nobody");
        sleep(Duration::from_millis(20));
    };

    let other = Running(as_somebody("sleep").arg("600").env_clear().env("OTHER", SECRET).spawn().expect("it starts"));
    let seen = reads(&other.file("environ"));
    assert!(String::from_utf8_lossy(&seen.stdout).contains(SECRET), "what is not closed can be read: {seen:?}");
    for file in ["environ", "mem", "maps", "auxv"] {
        let seen = reads(&asks.file(file));
        assert!(!seen.status.success() && seen.stdout.is_empty(), "{file}: {seen:?}");
        assert!(String::from_utf8_lossy(&seen.stderr).contains("Permission denied"), "{file}: {seen:?}");
    }
}
