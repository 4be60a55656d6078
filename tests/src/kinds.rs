//! The two kinds of actions that the boundary has to keep from deployments: what silences a witness, and what hands out
//! somebody else's credentials. They are rules over services, verbs and nouns, so that an action that AWS adds is judged by
//! the same rules as those that were known.

use std::sync::LazyLock;

use serde::Deserialize;

/// Services whose purpose is to record what is done in an account, or to find what is wrong with it.
const WITNESSES: [&str; 20] = [
    "access-analyzer",
    "auditmanager",
    "cloudtrail",
    "config",
    "detective",
    "guardduty",
    "inspector",
    "inspector2",
    "internetmonitor",
    "macie2",
    "network-security-director",
    "networkflowmonitor",
    "networkmonitor",
    "oam",
    "observabilityadmin",
    "security-ir",
    "securityagent",
    "securityhub",
    "securitylake",
    "trustedadvisor",
];

/// Services by which a record or a finding goes to those who read it.
const CARRIERS: [&str; 4] = ["cloudwatch", "events", "logs", "sns"];

/// What records are called in the actions of other services.
const RECORDS: [&str; 6] = ["Audit", "Finding", "Log", "Logging", "Telemetry", "Trail"];

/// Verbs that take something away, or put something else in its place.
const TAKING: [&str; 28] = [
    "Archive",
    "Cancel",
    "Clear",
    "Delete",
    "Deregister",
    "Detach",
    "Disable",
    "Disassociate",
    "Dismiss",
    "Exclude",
    "Forget",
    "Modify",
    "Mute",
    "Overwrite",
    "Pause",
    "Purge",
    "Put",
    "Remove",
    "Replace",
    "Reset",
    "Set",
    "Silence",
    "Stop",
    "Suppress",
    "Suspend",
    "Terminate",
    "Unsubscribe",
    "Update",
];

/// What credentials are called, whoever asks for them.
const CREDENTIALS: [&str; 19] = [
    "APIKey",
    "AccessDetails",
    "AccessKey",
    "ApiKey",
    "AuthCode",
    "ComputeAccess",
    "Credential",
    "DataAccess",
    "EmbedUrl",
    "InstanceAccess",
    "KeyPair",
    "Login",
    "Passcode",
    "Password",
    "Presigned",
    "Secret",
    "StreamingURL",
    "Token",
    "UnlockCode",
];

/// What can be read without harm, and lets its bearer in once it is issued or registered.
const PUBLIC_PARTS: [&str; 2] = ["Certificate", "PublicKey"];

/// Verbs that hand out nothing and register nothing.
const TELLING_OR_ENDING: [&str; 16] = [
    "BatchDelete",
    "BatchDisassociate",
    "Cancel",
    "Delete",
    "Deregister",
    "Describe",
    "Detach",
    "Disable",
    "Disassociate",
    "List",
    "Remove",
    "Revoke",
    "Search",
    "Stop",
    "Tag",
    "Untag",
];

/// A shell with the role of what it runs on. Nothing in the names says so.
const SHELLS: [&str; 5] =
    ["ecs:ExecuteCommand", "sagemaker:StartSession", "ssm:ResumeSession", "ssm:SendCommand", "ssm:StartSession"];

/// What is the matter with an action.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It silences a witness: a trail, a rule, a detector, a finding, a record.
    Witness,
    /// It hands out somebody else's credentials, or registers the caller's key for somebody else.
    Credentials,
}

impl Kind {
    /// The kind of an action, `guardduty:ArchiveFindings`, by its name and its access level in AWS's documentation.
    #[must_use]
    pub fn of(action: &str, access_level: &str) -> Option<Self> {
        let (service, name) = action.split_once(':')?;
        let changes = !["Read", "List"].contains(&access_level);
        if changes && silences(service, name) {
            Some(Self::Witness)
        } else if SHELLS.contains(&action) || lets_in(name) {
            Some(Self::Credentials)
        } else {
            None
        }
    }
}

fn silences(service: &str, name: &str) -> bool {
    let verb = name.strip_prefix("Batch").unwrap_or(name);
    let takes = starts_with_any(verb, &TAKING);
    WITNESSES.contains(&service)
        || (takes && (CARRIERS.contains(&service) || RECORDS.iter().any(|noun| has_word(name, noun))))
}

fn lets_in(name: &str) -> bool {
    let contains = |nouns: &[&str]| nouns.iter().any(|noun| has_word(name, noun));
    let registers = contains(&PUBLIC_PARTS) && !name.starts_with("Get");
    !starts_with_any(name, &TELLING_OR_ENDING)
        && (contains(&CREDENTIALS) || registers || has_word_first(name, "Assume"))
}

fn starts_with_any(name: &str, words: &[&str]) -> bool {
    words.iter().any(|word| has_word_first(name, word))
}

/// Whether a name begins with the word, and not with a longer one.
fn has_word_first(name: &str, word: &str) -> bool {
    name.strip_prefix(word).is_some_and(ends_a_word)
}

fn has_word(name: &str, word: &str) -> bool {
    name.match_indices(word).any(|(start, _)| ends_a_word(&name[start + word.len()..]))
}

/// Whether a word, or its plural, is over where this follows it.
fn ends_a_word(rest: &str) -> bool {
    !rest.strip_prefix('s').unwrap_or(rest).starts_with(|next: char| next.is_ascii_lowercase())
}

/// Actions of a kind that deployments need, and why (`policies/accepted-actions.json`).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    pub kind: Kind,
    /// Why an ordinary deployment, or an app of one, needs them, and what holds instead.
    pub reason: String,
    /// As policies name them, without wildcards: what AWS adds is not accepted.
    pub actions: Vec<String>,
}

/// Everything that is accepted.
pub static ACCEPTED: LazyLock<Vec<Accepted>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../policies/accepted-actions.json")).expect("the shape that is written here")
});
