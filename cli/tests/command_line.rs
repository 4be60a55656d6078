//! Help texts and errors as a shell sees them: `tests/cmd/*.trycmd`.
//!
//! `TRYCMD=overwrite cargo test -p daypass-cli --test command_line` writes what is printed into them.

#![expect(clippy::expect_used, reason = "these are tests, helpers included")]

use std::{
    env,
    fs::File,
    process::{Command, Output},
};

use serde_json::Value;

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

/// Every command, with what it needs to get as far as an answer here, where nothing is set.
const COMMANDS: [(&str, &[&str]); 18] = [
    ("exec", &["--", "true"]),
    ("request", &[]),
    ("credentials", &[]),
    ("env", &[]),
    ("release", &[]),
    ("status", &[]),
    ("doctor", &[]),
    ("check-app", &["missing"]),
    ("config show", &[]),
    ("groups plan", &["--file", "missing.json"]),
    ("groups apply", &["--file", "missing.json"]),
    ("shield plan", &["--target-profile", "missing"]),
    ("shield apply", &["--target-profile", "missing"]),
    ("personas check", &["missing.json"]),
    ("personas explain", &["--file", "missing.json", "--email", "a@example.com", "--account", "x"]),
    ("completions", &["bash"]),
    ("man", &[]),
    ("help", &[]),
];

fn daypass(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_daypass"));
    command.args(arguments).env_clear().env("DAYPASS_CONFIG_FILE", "/dev/null").env("DAYPASS_STATE_DIR", "no-state");
    command.output().expect("it runs")
}

/// The names below `Commands:` in a help text.
fn commands_in(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    listed.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

fn help(arguments: &[&str]) -> String {
    String::from_utf8(daypass(arguments).stdout).expect("UTF-8")
}

/// The help of a command and of every command below it, each with the command line that prints it.
fn helps_below(command: &[&str]) -> Vec<(String, String)> {
    let mut helps = Vec::new();
    for flag in ["-h", "--help"] {
        let arguments = [command, &[flag]].concat();
        helps.push((arguments.join(" "), help(&arguments)));
    }
    for name in commands_in(&help(&[command, &["--help"]].concat())).iter().filter(|name| *name != "help") {
        helps.extend(helps_below(&[command, &[name]].concat()));
    }
    helps
}

#[test]
fn help_fits_80_columns() {
    let helps = helps_below(&[]);
    // Two of each command but `help`, of `daypass` itself, and of the four that have commands below them.
    assert_eq!(helps.len(), 2 * (COMMANDS.len() - 1 + 1 + 4), "every command has help");
    let lines = helps.iter().flat_map(|(command, help)| help.lines().map(move |line| (command, line)));
    let long: Vec<_> = lines.filter(|(_, line)| line.chars().count() > 80).collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn each_command_answers_with_one_json_object() {
    let mut found = Vec::new();
    for name in commands_in(&help(&["--help"])) {
        let below = if name == "help" { vec![] } else { commands_in(&help(&[&name, "--help"])) };
        let below = below.into_iter().filter(|name| name != "help").map(|below| format!("{name} {below}"));
        let below: Vec<_> = below.collect();
        found.extend(if below.is_empty() { vec![name] } else { below });
    }
    assert_eq!(found, COMMANDS.map(|(name, _)| name), "every command is in the list of this test");

    for (name, more) in COMMANDS.into_iter().filter(|(name, _)| *name != "help") {
        let command: Vec<&str> = name.split(' ').collect();
        for arguments in
            [[&["--output", "json"], &*command, more].concat(), [&*command, &["--output=json"], more].concat()]
        {
            let Output { status, stdout, stderr } = daypass(&arguments);
            let printed = if stdout.is_empty() { &stderr } else { &stdout };
            let printed: Value = serde_json::from_slice(printed).unwrap_or_else(|_| {
                panic!("{arguments:?}: {}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr))
            });
            assert!(printed.is_object(), "{arguments:?}: {printed}");
            let is_error = printed.get("reason").is_some();
            assert!(status.success() != is_error || name == "doctor", "{arguments:?}: {printed}");
        }
        let Output { status, stdout, stderr } =
            daypass(&[&*command, &["--output", "json", "--no-such-option"]].concat());
        let error: Value = serde_json::from_slice(&stderr).unwrap_or_else(|_| panic!("{name}: not JSON"));
        assert_eq!((status.code(), stdout.is_empty()), (Some(2), true), "{name}");
        assert!(error["reason"].as_str().is_some_and(|reason| reason.contains("--no-such-option")), "{name}: {error}");
    }
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
