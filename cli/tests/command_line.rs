//! Help texts and errors as a shell sees them: `tests/cmd/*.trycmd`.
//!
//! `TRYCMD=overwrite cargo test -p daypass-cli --test command_line` writes what is printed into them.

use std::{env, fs::File, process::Command};

/// What CI systems and configuration files are found by.
const SIGNS: [&str; 8] =
    ["HOME", "XDG_CONFIG_HOME", "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "NO_COLOR", "CLICOLOR_FORCE"];

#[test]
fn help_and_errors_are_as_recorded() {
    let cases = trycmd::TestCases::new();
    cases.case("tests/cmd/*.trycmd");
    // Nothing is set or found, wherever this runs: what is empty counts as not set, and there is no git.
    let ours = env::vars().map(|(name, _)| name).filter(|name| name.starts_with("DAYPASS_"));
    for variable in ours.chain(SIGNS.map(str::to_owned)) {
        cases.env(variable, "");
    }
    cases.env("PATH", "").env("DAYPASS_STATE_DIR", "no-state");
}

/// Whoever reads it later, as a script does with its exit code, would believe it whole.
#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_printed_is_an_error() {
    let full = || File::options().write(true).open("/dev/full").expect("a device of Linux");
    for arguments in [&["config", "show"][..], &["completions", "bash"], &["man"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_daypass"));
        let ended = command.args(arguments).env("DAYPASS_CONFIG_FILE", "/dev/null").stdout(full()).output();
        let ended = ended.expect("it runs");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(70), "{arguments:?}: {said}");
        assert!(said.contains("the result cannot be written"), "{said}");
    }
}
