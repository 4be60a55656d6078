//! The world that settings are found in: environment variables, files and the commands of CI systems. Tests make it up.

use std::{env, ffi::OsString, fs, path::Path, process::Command};

#[cfg(test)]
pub use tests::Made;

use crate::{client::identity_token, error::Error};

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
        identity_token::withhold(&mut command, env::vars_os());
        let output = command.args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (output.status.success() && !text.is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// One that is made up.
    #[derive(Default)]
    pub struct Made {
        pub variables: HashMap<String, String>,
        pub files: HashMap<String, String>,
        pub commands: HashMap<String, String>,
    }

    impl Made {
        /// A world with these variables.
        pub fn with(variables: &[(&str, &str)]) -> Self {
            let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Self { variables, ..Self::default() }
        }
    }

    impl World for Made {
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
