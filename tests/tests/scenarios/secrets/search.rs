//! Searching for secrets: what to look for, in which encodings, and everything that is kept.

use std::{
    collections::{BTreeSet, HashMap},
    env, fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine as _};
use daypass_tests::{aws::Aws, stack::Stack};
use serde_json::{Value, json};

/// So many characters in a row of a secret, in any encoding, are a leak: texts are cut, and half a token is one too.
const RUN: usize = 16;

/// What must be nowhere. Another secret is one line: `secrets.add("the identity token", token)`.
#[derive(Default)]
pub struct Secrets {
    names: Vec<String>,
    /// Every run of every encoding, and which secret it is of.
    runs: HashMap<u128, usize>,
}

impl Secrets {
    /// Looks for this as well.
    pub fn add(&mut self, what: impl Into<String>, secret: &str) {
        assert!(secret.len() >= RUN, "too short to be told from other text");
        let name = self.names.len();
        self.names.push(what.into());
        for form in encodings(secret) {
            self.runs.extend(form.windows(RUN).map(|run| (number(run), name)));
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// The names of those that are in `content`, whole or in part, however deep in JSON and however broken into lines.
    pub fn found_in(&self, content: &[u8]) -> BTreeSet<&str> {
        let plain = unwrapped(content);
        let runs = [content, &plain].into_iter().flat_map(|content| content.windows(RUN));
        runs.filter_map(|run| self.runs.get(&number(run))).map(|&name| self.names[name].as_str()).collect()
    }
}

fn number(run: &[u8]) -> u128 {
    u128::from_be_bytes(run.try_into().expect("a run"))
}

/// A secret as it is, and as somebody may have written it down.
fn encodings(secret: &str) -> Vec<Vec<u8>> {
    let bytes = secret.as_bytes();
    let each = |encode: &dyn Fn(u8) -> String| secret.bytes().map(encode).collect::<String>();
    let escaped = |b: u8, escape: String| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { escape };
    let mut all = vec![
        secret.to_owned(),
        each(&|b| format!("{b:02x}")),
        each(&|b| format!("{b:02X}")),
        // In URLs, where some leave `-_.~` as they are.
        each(&|b| escaped(b, format!("%{b:02X}"))),
        each(&|b| escaped(b, format!("%{b:02x}"))),
        each(&|b| if b"-_.~".contains(&b) { char::from(b).to_string() } else { escaped(b, format!("%{b:02X}")) }),
        // In JSON, with the backslashes gone (see `unwrapped`).
        each(&|b| escaped(b, format!("u{b:04x}"))),
        each(&|b| escaped(b, format!("u{b:04X}"))),
    ];
    // Base64 of something that the secret is in: it begins at the first, second or third byte of a group.
    for engine in [&BASE64_STANDARD, &BASE64_URL_SAFE] {
        for before in 0..3 {
            let text = engine.encode([&vec![0; before], bytes].concat());
            // Only what no neighbour has a bit in.
            let (first, last) = ((before * 8).div_ceil(6), (before + bytes.len()) * 8 / 6);
            all.push(text[first..last].to_owned());
        }
    }
    all.into_iter().map(String::into_bytes).collect()
}

/// JSON in JSON in JSON, as state machines keep it, has its quotes and line breaks escaped over and over; encoded text is
/// broken into lines. Without backslashes and white space, what is searched for is found all the same.
fn unwrapped(content: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(content.len());
    let mut rest = content;
    loop {
        rest = match rest {
            [] => return plain,
            [b'\\', b'n' | b'r' | b't', after @ ..] => after,
            [b, after @ ..] => {
                if *b != b'\\' && !b.is_ascii_whitespace() {
                    plain.push(*b);
                }
                after
            }
        }
    }
}

/// The kinds of places that keep something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The events of an execution.
    History,
    /// A log group of a state machine.
    MachineLog,
    /// A log group of a function.
    FunctionLog,
    /// The transactions table.
    Table,
    /// What the pipeline is answered: error names, causes, outputs.
    Answer,
    /// What CloudTrail would have: who called what, with which parameters. (It and the answers are also what traces are
    /// made of; functions send none themselves, and the engine keeps none.)
    Calls,
    /// A file of the engine, its log among them.
    File,
    /// The environment of a process.
    Environment,
    /// The arguments of such a process.
    Arguments,
}

impl Kind {
    /// All.
    pub const ALL: [Self; 9] = [
        Self::History,
        Self::MachineLog,
        Self::FunctionLog,
        Self::Table,
        Self::Answer,
        Self::Calls,
        Self::File,
        Self::Environment,
        Self::Arguments,
    ];
}

/// A place that keeps something, and what it keeps.
pub struct Kept {
    pub kind: Kind,
    pub place: String,
    pub content: Vec<u8>,
}

impl Kept {
    pub fn new(kind: Kind, place: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self { kind, place: place.into(), content: content.into() }
    }
}

/// Everything that Daypass and the engine keep: about these executions, and all else; of logs what has come since.
pub async fn everything_kept(stack: &Stack, executions: &[String], since: SystemTime) -> Vec<Kept> {
    let mut all = Vec::new();
    for arn in executions {
        all.push(Kept::new(Kind::History, arn, json!(stack.history(arn).await).to_string()));
    }
    all.push(Kept::new(Kind::Table, "the table", json!(stack.items().await).to_string()));
    all.push(Kept::new(Kind::Calls, "the recorded calls", format!("{:?}", stack.engine.calls().await)));
    all.extend(logs(&stack.hub(), since).await);
    for file in files(&state_directory()) {
        let content = fs::read(&file).unwrap_or_default();
        all.push(Kept::new(Kind::File, file.display().to_string(), content));
    }
    all.extend(processes(stack).await);
    all
}

/// What every process that runs now was started with: the engine, its functions and whatever they start.
pub async fn processes(stack: &Stack) -> Vec<Kept> {
    let mut all = Vec::new();
    for pid in descendants(stack.engine.pid().await) {
        for (kind, file) in [(Kind::Environment, "environ"), (Kind::Arguments, "cmdline")] {
            // One that has just ended has neither.
            let content = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            all.push(Kept::new(kind, format!("{file} of process {pid}"), content));
        }
    }
    all
}

async fn logs(hub: &Aws, since: SystemTime) -> Vec<Kept> {
    let logs = hub.logs();
    let mut groups = logs.describe_log_groups().into_paginator().items().send();
    let mut all = Vec::new();
    while let Some(group) = groups.next().await {
        let name = group.unwrap().log_group_name.unwrap();
        let kind = if name.starts_with("/aws/lambda/") { Kind::FunctionLog } else { Kind::MachineLog };
        let content = log(hub, &name, since).await;
        all.push(Kept::new(kind, name, content));
    }
    all
}

/// What has come into a log group since. (The engine answers with 10,000 events of a group and no more, the oldest first.)
pub async fn log(hub: &Aws, group: &str, since: SystemTime) -> String {
    let mut content = String::new();
    let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let events = hub.logs().filter_log_events().log_group_name(group).start_time(i64::try_from(since).unwrap());
    let mut pages = events.into_paginator().send();
    while let Some(page) = pages.next().await {
        for event in page.unwrap().events() {
            content += event.message().unwrap_or_default();
            content.push('\n');
        }
    }
    content
}

/// Where the engine keeps this stack's files.
pub fn state_directory() -> PathBuf {
    let port = env::var("AWS_ENDPOINT_URL").unwrap().rsplit(':').next().unwrap().to_owned();
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.local/stacks").join(port)
}

/// Every file of the stack that is not a template or a package.
fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let entries = entries.filter_map(Result::ok).map(|entry| entry.path());
    entries
        .filter(|path| !["cdk.out", "cdk-home", "s3", "bootstrap"].iter().any(|skipped| path.ends_with(skipped)))
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

/// A process and all that it has started, and they.
fn descendants(root: u32) -> Vec<u32> {
    let parent = |pid: u32| {
        // The second field is the program's name in brackets, and may hold anything.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    let pids = fs::read_dir("/proc").expect("Linux").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let all: Vec<(u32, u32)> = pids.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&of) = found.get(next) {
        found.extend(all.iter().filter(|(_, parent)| *parent == of).map(|(pid, _)| *pid));
        next += 1;
    }
    found
}

/// The sealed credentials in a history.
pub fn sealed_in(history: &Value) -> String {
    const END: &str = "-----END AGE ENCRYPTED FILE-----";
    let text = history.to_string();
    let begin = text.find("-----BEGIN AGE ENCRYPTED FILE-----").expect("sealed credentials");
    let sealed = &text[begin..begin + text[begin..].find(END).expect("the end") + END.len()];
    // The line breaks are escaped as often as JSON lies in JSON.
    let mut sealed = sealed.to_owned();
    while sealed.contains("\\\\") {
        sealed = sealed.replace("\\\\", "\\");
    }
    sealed.replace("\\n", "\n") + "\n"
}

#[test]
fn a_secret_is_found_in_every_encoding() {
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCY~EXAMPLE=KEY";
    let mut secrets = Secrets::default();
    secrets.add("it", secret);
    let json = format!(r#"{{"secret": "{secret}"}}"#);
    let hex = secret.bytes().map(|b| format!("{b:02x}")).collect::<Vec<_>>().concat();
    let base64 = BASE64_STANDARD.encode(&json);
    let lines: Vec<_> = base64.as_bytes().chunks(19).map(|line| str::from_utf8(line).unwrap()).collect();
    let mut hidden = vec![
        json.clone(),
        json!({"in": json!({"in": json}).to_string()}).to_string(),
        json.replace('/', "\\/"),
        json.replace('/', "\\u002f").replace('+', "\\u002B").replace('=', "\\u003d"),
        secret.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D"),
        secret.replace('/', "%2f").replace('+', "%2b").replace('=', "%3d").replace('~', "%7e"),
        hex.to_uppercase(),
        hex,
        lines.join("\n"),
        json!(lines.join("\r\n")).to_string(),
        format!("…{}…", &secret[20..20 + RUN]),
    ];
    for before in 0..6 {
        hidden.push(BASE64_STANDARD.encode(format!("{}{secret};", "x".repeat(before))));
        hidden.push(BASE64_URL_SAFE.encode(format!("{}{secret};", "x".repeat(before))));
    }
    for text in hidden {
        assert_eq!(secrets.found_in(text.as_bytes()), BTreeSet::from(["it"]), "{text}");
    }
    for text in ["", "wJalr", &secret[..RUN - 1], &secret.to_lowercase(), "AGE ENCRYPTED FILE AGE ENCRYPTED FILE"] {
        assert_eq!(secrets.found_in(text.as_bytes()), BTreeSet::new(), "{text}");
    }
}
