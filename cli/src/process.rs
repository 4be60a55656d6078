//! The world of this process.

use std::{env, fs, path::Path, process::Command};

use crate::{client::identity_token, world::World};

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
