//! Help texts and errors as a shell sees them: `tests/cmd/*.trycmd`.
//!
//! `TRYCMD=overwrite cargo test -p daypass-cli --test command_line` writes what is printed into them.

use std::env;

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
