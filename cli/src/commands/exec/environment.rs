//! The environment of a command that runs with a role: no AWS SDK finds the credentials of anybody else in it, nor a way to them.
//!
//! Of the variables that an SDK of AWS reads, old ones included, the command inherits those that say where AWS is and how it is
//! asked (`aws-variables.txt`). All others are withheld, whichever of them an SDK prefers to the role. What no SDK reads passes.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
};

use crate::{client::asking, error::Error};

/// What SDKs read, line by line: `withheld AWS_PROFILE`.
const VARIABLES: &str = include_str!("aws-variables.txt");

/// The files that SDKs look for credentials in. Each has its variable, which counts more than where the file usually is.
const FILES: [&str; 4] =
    ["AWS_CONFIG_FILE", "AWS_CREDENTIAL_PROFILES_FILE", "AWS_SHARED_CREDENTIALS_FILE", "BOTO_CONFIG"];

/// What SDKs of Java read of the properties `aws.…`, and is no way to credentials: `-Daws.region=…`.
const JAVA_INHERITED: [&str; 8] = [
    "defaultsMode",
    "disableRequestCompression",
    "endpointUrl",
    "maxAttempts",
    "region",
    "retryMode",
    "useDualstackEndpoint",
    "useFipsEndpoint",
];

/// Hosts that nobody may be asked for by way of a proxy: what is asked there is this machine's own.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "::1"];

/// What a command finds of the credentials of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// No file that an SDK looks into.
    Hidden,
    /// What there is.
    Kept,
}

/// Changes of an environment: a variable with its new value, or none where it is not in the environment any more.
pub type Changes = BTreeMap<OsString, Option<OsString>>;

/// What the environment of a command is to have, or to lack, before it is given a role. `environment` is that of this process.
///
/// # Errors
/// When it has a way to other credentials that cannot be withheld.
pub fn changes(environment: &[(OsString, OsString)], files: Files) -> Result<Changes, Error> {
    let mut changes = Changes::new();
    for (name, value) in environment {
        let is_file = FILES.iter().any(|file| name == *file);
        if is_withheld(name) && !(is_file && files == Files::Kept) {
            changes.insert(name.clone(), None);
        }
        if let Some(property) = java_property(value) {
            let name = name.display();
            return Err(Error::usage(format!("{name} has -Daws.{property}: Java would run with other credentials"))
                .remedy(format!("take it out of {name} for this command")));
        }
    }
    for name in ["NO_PROXY", "no_proxy"] {
        changes.insert(name.into(), Some(without_proxy(environment).into()));
    }
    if files == Files::Hidden {
        changes.extend(FILES.map(|file| (file.into(), Some("/dev/null".into()))));
    }
    Ok(changes)
}

/// Keeps SDKs of a command that fetches credentials from an endpoint from asking the machine that it runs on for others.
pub const NOT_OF_THE_MACHINE: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "true");

/// Whether an SDK of AWS reads this variable, and the command must not have it; or it is one that Daypass is asked with.
fn is_withheld(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let entries = VARIABLES.lines().filter_map(|line| line.split_once(' '));
    let fits = |entry: &str| entry.strip_suffix('*').map_or(entry == name, |begin| name.starts_with(begin));
    let entries = entries.map(|(verdict, entry)| (verdict, entry.trim())).filter(|(_, entry)| fits(entry));
    let verdict = entries.max_by_key(|(_, entry)| entry.len()).map(|(verdict, _)| verdict);
    verdict == Some("withheld") || name.starts_with(asking::KEPT)
}

/// A property of Java in this text that an SDK takes credentials from. Those of SDKs are one word; `aws.s3.bucket` is somebody's own.
fn java_property(text: &OsStr) -> Option<String> {
    let text = text.to_string_lossy().replace(['"', '\'', '\\'], "");
    let name = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '.').collect::<String>();
    let is_known = |name: &String| JAVA_INHERITED.iter().any(|known| name.starts_with(known));
    text.split("-Daws.").skip(1).map(name).find(|name| !name.contains('.') && !is_known(name))
}

/// The hosts that are asked without a proxy: those that are set in either spelling, and this machine.
fn without_proxy(environment: &[(OsString, OsString)]) -> String {
    let set = environment.iter().filter(|(name, _)| name == "NO_PROXY" || name == "no_proxy");
    let set: Vec<_> = set.map(|(_, value)| value.to_string_lossy()).collect();
    let hosts = set.iter().flat_map(|hosts| hosts.split(',')).map(str::trim).filter(|host| !host.is_empty());
    let hosts: Vec<_> = hosts.collect();
    // All hosts: it counts alone only.
    if hosts.contains(&"*") {
        return "*".to_owned();
    }
    let mut known = BTreeSet::new();
    hosts.into_iter().chain(LOOPBACK).filter(|host| known.insert(*host)).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;
