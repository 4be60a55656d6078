//! The variables `DAYPASS_…` of an environment: that they can be read, and that something reads them.

use std::ffi::OsString;

use super::key::Key;
use crate::{client::asking, error::Error};

/// Whether every variable of Daypass can be read: one that cannot is not one that is not set.
///
/// # Errors
/// With the name of one that cannot.
pub fn check_variables(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<(), Error> {
    let mut unreadable = environment.into_iter().filter(|(_, value)| value.to_str().is_none());
    match unreadable.find(|(name, _)| name.as_encoded_bytes().starts_with(b"DAYPASS_")) {
        Some((name, _)) => {
            Err(Error::usage(format!("{} is not UTF-8", name.display())).remedy("correct it, or unset it"))
        }
        None => Ok(()),
    }
}

/// Variables that are no settings: other parts of Daypass, its templates and its local stack read or set them.
const OTHER_VARIABLES: [&str; 16] = [
    "DAYPASS_AWS_ROLE_ARN",
    "DAYPASS_AWS_TOKEN",
    "DAYPASS_CONFIG",
    "DAYPASS_CONFIG_FILE",
    "DAYPASS_DEPLOY",
    "DAYPASS_HUB_ACCOUNT_ID",
    "DAYPASS_IDENTITY_TOKEN",
    "DAYPASS_RELEASES",
    "DAYPASS_RELEASES_TOKEN",
    "DAYPASS_ROLE_ARN",
    "DAYPASS_ROLE_CREDENTIALS",
    "DAYPASS_STATE_DIR",
    "DAYPASS_TARGET_ACCOUNT_ID",
    "DAYPASS_TOKEN",
    "DAYPASS_TRANSACTION_ID",
    "DAYPASS_VERSION",
];

/// A line for each variable `DAYPASS_…` that nothing reads, with the one that may be meant.
pub fn unknown_variables(names: impl Iterator<Item = OsString>) -> Vec<String> {
    let settings: Vec<_> = Key::all().map(Key::variable).collect();
    let known = || settings.iter().map(String::as_str).chain(OTHER_VARIABLES);
    let unknown = names.filter_map(|name| name.into_string().ok()).filter(|name| {
        name.starts_with("DAYPASS_") && !name.starts_with(asking::KEPT) && known().all(|known| known != name)
    });
    let mut unknown: Vec<_> = unknown.collect();
    unknown.sort();
    let line = |name: &String| {
        let likeness = |known: &str| strsim::jaro_winkler(known, name);
        let nearest = known().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        let nearest = nearest.filter(|nearest| likeness(nearest) > ALIKE);
        let meant = nearest.map_or_else(String::new, |nearest| format!("; do you mean {nearest}?"));
        format!("{name} is not a setting and is ignored{meant}")
    };
    unknown.iter().map(line).collect()
}

/// From which Jaro-Winkler similarity on a name may be a misspelling. All of them begin alike.
const ALIKE: f64 = 0.9;
