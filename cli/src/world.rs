//! The world that settings are found in: environment variables, files and the commands of CI systems. Tests make it up.

use std::path::Path;

#[cfg(test)]
pub use tests::FakeWorld;

/// Whatever can be looked at.
pub trait World {
    /// An environment variable that is set to something.
    fn variable(&self, name: &str) -> Option<String>;
    /// The text of a file.
    fn read(&self, path: &Path) -> Option<String>;
    /// What a command prints, when it succeeds.
    fn run(&self, command: &[&str]) -> Option<String>;
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
