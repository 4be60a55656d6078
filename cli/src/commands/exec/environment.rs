//! The environment of a command that runs with a role: no AWS SDK finds the credentials of anybody else in it, nor a way to them.
//!
//! Of the variables that an SDK of AWS reads, old ones included, the command inherits those that say where AWS is and how it is
//! asked (`aws-variables.txt`). All others are withheld, whichever of them an SDK prefers to the role. What no SDK reads passes.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
};

use crate::{client::asking, error::Error, world::World};

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

/// What programs in Java hand on to its launcher, beside the variables that have its name.
const JAVA_PROGRAMS: [&str; 5] = ["ANT_OPTS", "GRADLE_OPTS", "JVM_OPTS", "MAVEN_OPTS", "SBT_OPTS"];

/// Hosts that nobody may be asked for by way of a proxy: what is asked there is this machine's own.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "::1"];

/// What a command finds of the credentials of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// No file that an SDK looks into.
    Hidden,
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
        refuse_java_properties(name, value)?;
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

/// The files in a home that some SDKs look into wherever variables lead, and before they ask an endpoint: boto 2, and the SDK for
/// PHP (`CredentialProvider::defaultProvider`). Those that have a profile for them.
pub fn files_before_an_endpoint(world: &dyn World) -> Vec<PathBuf> {
    let Some(home) = world.variable("HOME") else { return Vec::new() };
    let has_default = |file: &PathBuf| {
        let text = world.read(file).unwrap_or_default();
        text.lines().any(|line| matches!(line.trim(), "[default]" | "[profile default]"))
    };
    [".aws/config", ".aws/credentials"]
        .map(|name| Path::new(&home).join(name))
        .into_iter()
        .filter(has_default)
        .collect()
}

/// Whether an SDK of AWS reads this variable, and the command must not have it; or it is one that Daypass is asked with.
fn is_withheld(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let entries = VARIABLES.lines().filter_map(|line| line.split_once(' '));
    let fits = |entry: &str| entry.strip_suffix('*').map_or(entry == name, |begin| name.starts_with(begin));
    let entries = entries.map(|(verdict, entry)| (verdict, entry.trim())).filter(|(_, entry)| fits(entry));
    let verdict = entries.max_by_key(|(_, entry)| entry.len()).map(|(verdict, _)| verdict);
    verdict == Some("withheld") || name.starts_with(asking::KEPT)
}

/// # Errors
/// When a variable, or a file of options that it names, has Java run with other credentials; or nobody can say.
fn refuse_java_properties(variable: &OsStr, value: &OsStr) -> Result<(), Error> {
    let name = variable.display();
    let value = value.to_string_lossy();
    let refusal = |what: String| Error::usage(what).remedy(format!("remove it from {name} for this command"));
    let found = |property: String, place: &str| {
        refusal(format!("{name} has {place}-Daws.{property}: Java would run with other credentials"))
    };
    if let Some(property) = java_property(&value) {
        return Err(found(property, ""));
    }
    for file in java_files(&variable.to_string_lossy(), &value) {
        let text = fs::read(&file);
        let text =
            text.map_err(|error| refusal(format!("{name} names options of Java in {file}, unreadable: {error}")))?;
        if let Some(property) = java_property(&String::from_utf8_lossy(&text)) {
            return Err(found(property, &format!("options of Java in {file}, and in these ")));
        }
    }
    Ok(())
}

/// The files of options that a variable names. `@file` is one for Java's launcher alone, so only in the variables that lead to it.
fn java_files(variable: &str, value: &str) -> Vec<String> {
    let leads_to_java = variable.contains("JAVA") || JAVA_PROGRAMS.contains(&variable);
    let file = |word: &str| {
        let word = word.replace(['"', '\''], "");
        let argument_file = word.strip_prefix('@').filter(|_| leads_to_java);
        Some(argument_file.or_else(|| word.strip_prefix("-XX:VMOptionsFile="))?.to_owned())
    };
    value.split_whitespace().filter_map(file).collect()
}

/// A property of Java in this text that an SDK takes credentials from. Those of SDKs are one word; `aws.s3.bucket` is somebody's own.
fn java_property(text: &str) -> Option<String> {
    let text = text.replace(['"', '\'', '\\'], "");
    let name = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '.').collect::<String>();
    let is_known = |name: &String| JAVA_INHERITED.iter().any(|known| name.starts_with(known));
    let given = ["-D", "--define", "--define="].map(|option| text.split(option).skip(1).collect::<Vec<_>>()).concat();
    let properties = given.into_iter().filter_map(|given| given.trim_start().strip_prefix("aws.")).map(name);
    properties.into_iter().find(|name| !name.contains('.') && !is_known(name))
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
