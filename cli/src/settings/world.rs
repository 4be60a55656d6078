//! The world that settings are found in: environment variables, files and the commands of CI systems. Tests make it up.

use std::{env, ffi::OsString, fs, path::Path, process::Command};

#[cfg(test)]
pub use tests::FakeWorld;

use super::key::Key;
use crate::{
    client::{asking, identity_token},
    error::Error,
};

/// Whatever can be looked at.
pub trait World {
    /// An environment variable that is set to something.
    fn variable(&self, name: &str) -> Option<String>;
    /// The text of a file.
    fn read(&self, path: &Path) -> Option<String>;
    /// What a command prints, when it succeeds.
    fn run(&self, command: &[&str]) -> Option<String>;
}

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

/// This process's.
pub struct Process;

impl World for Process {
    fn variable(&self, name: &str) -> Option<String> {
        // CI systems set to nothing what they do not know.
        env::var(name).ok().filter(|value| !value.is_empty())
    }

    fn read(&self, path: &Path) -> Option<String> {
        fs::read_to_string(path).ok()
    }

    fn run(&self, command: &[&str]) -> Option<String> {
        let (program, arguments) = command.split_first()?;
        let mut command = Command::new(program);
        identity_token::withhold(&mut command, env::vars_os(), None);
        let output = command.args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (output.status.success() && !text.is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[derive(Default)]
    pub struct FakeWorld {
        pub variables: HashMap<String, String>,
        pub files: HashMap<String, String>,
        pub commands: HashMap<String, String>,
    }

    impl FakeWorld {
        /// A world with these variables.
        pub fn with(variables: &[(&str, &str)]) -> Self {
            let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Self { variables, ..Self::default() }
        }
    }

    impl World for FakeWorld {
        fn variable(&self, name: &str) -> Option<String> {
            self.variables.get(name).filter(|value| !value.is_empty()).cloned()
        }

        fn read(&self, path: &Path) -> Option<String> {
            self.files.get(path.to_str()?).cloned()
        }

        fn run(&self, command: &[&str]) -> Option<String> {
            self.commands.get(&command.join(" ")).cloned()
        }
    }
}
