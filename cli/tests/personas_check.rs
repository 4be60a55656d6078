//! `daypass personas check` as a shell sees it: exit code, stdout and stderr.

#![expect(clippy::expect_used, reason = "helpers of tests")]

use std::{
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use uuid::Uuid;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../personas.json");
const EXAMPLE_CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cdk/daypass.config.example.json");
const FLAWED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../core/src/persona/tests/many-problems.json");

/// A folder of this test's own, which is removed with this value. Cargo gives the place, which all runs of the tests share
/// that have one target folder, so that no two may take the same name there.
struct Folder(PathBuf);

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn folder() -> Folder {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(Uuid::new_v4().to_string());
    fs::create_dir_all(&folder).expect("a folder");
    Folder(folder)
}

/// A folder with the shipped file as personas.json, in which some text is replaced.
fn folder_with(old: &str, new: &str) -> Folder {
    let folder = folder();
    let shipped = fs::read_to_string(SHIPPED).expect("the shipped file");
    assert!(shipped.contains(old), "{old}");
    fs::write(folder.join("personas.json"), shipped.replace(old, new)).expect("a file");
    folder
}

fn check(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_daypass"));
    let output = command.args(["personas", "check"]).args(args).current_dir(folder).output();
    let Output { status, stdout, stderr } = output.expect("the command runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code().expect("an exit code"), text(stdout), text(stderr))
}

/// What is printed when there are errors, and nothing else goes wrong.
fn errors(folder: &Path, args: &[&str]) -> String {
    let (code, stdout, stderr) = check(folder, args);
    assert_eq!((code, stderr.as_str()), (1, ""));
    stdout
}

#[test]
fn the_shipped_file_is_clean() {
    let folder = folder_with("", "");
    let clean = (0, "personas.json: no findings\n".to_owned(), String::new());
    assert_eq!(check(&folder, &[]), clean, "the default is personas.json");
    assert_eq!(check(&folder, &["--deny", "notes", "personas.json"]), clean);
}

#[test]
fn every_finding_is_reported_at_once() {
    let folder = folder();
    fs::copy(FLAWED, folder.join("flawed.json")).expect("a copy");
    insta::assert_snapshot!("flawed.txt", errors(&folder, &["flawed.json"]));
    insta::assert_snapshot!("flawed.json", errors(&folder, &["flawed.json", "--format", "json"]));
    insta::assert_snapshot!("flawed.sarif", errors(&folder, &["flawed.json", "--format", "sarif"]));
}

#[test]
fn broken_json_is_a_finding_with_its_place() {
    let folder = folder();
    fs::write(folder.join("personas.json"), "{\n  \"accounts\": [,]\n}").expect("a file");
    insta::assert_snapshot!(errors(&folder, &[]), @r"
    personas.json:2:16: error [json]
        line 2, column 16: is not JSON: expected value
        correct the text there
    personas.json: 1 error
    ");
}

#[test]
fn severities_and_rules_decide_what_fails() {
    let folder = folder_with(r#"["main", "release/*"]"#, r#"["main", "release/*", "release/1"]"#);
    let (code, stdout, _) = check(&folder, &[]);
    assert_eq!(code, 0, "a warning is no error: {stdout}");
    assert!(stdout.ends_with("personas.json: 1 warning\n"), "{stdout}");
    assert_eq!(check(&folder, &["--deny", "warnings"]).0, 1);
    assert_eq!(check(&folder, &["--deny", "notes"]).0, 1);
    let (code, stdout, _) = check(&folder, &["--deny", "warnings", "--allow", "shadowed-branch-pattern"]);
    assert_eq!((code, stdout.as_str()), (0, "personas.json: no findings\n"));
}

#[test]
fn a_note_fails_where_notes_are_denied_only() {
    let folder = folder_with(r#""max_role_ttl_hours": 48"#, r#""max_role_ttl_hours": 100"#);
    for (args, code) in [(&[][..], 0), (&["--deny", "warnings"], 0), (&["--deny", "notes"], 1)] {
        let found = check(&folder, args);
        assert_eq!(found.0, code, "{found:?}");
        assert!(found.1.contains("note [unreachable-role-ttl]"), "{found:?}");
    }
}

#[test]
fn a_policy_that_aws_does_not_have_is_an_error() {
    let folder = folder_with("policy/AmazonVPCReadOnlyAccess", "policy/AmazonVPCReadOnly");
    let stdout = errors(&folder, &[]);
    assert!(stdout.contains("error [unknown-managed-policy]"), "{stdout}");
    assert!(
        stdout.contains("write arn:aws:iam::aws:policy/AmazonVPCReadOnlyAccess, if you mean that policy"),
        "{stdout}"
    );
    assert!(stdout.ends_with("personas.json: 2 errors\n"), "{stdout}");
}

#[test]
fn a_managed_policy_that_allows_everything_is_an_error() {
    let folder = folder_with("policy/PowerUserAccess", "policy/AdministratorAccess");
    let stdout = errors(&folder, &[]);
    assert!(stdout.contains("error [allow-everything]"), "{stdout}");
    assert!(stdout.contains("AdministratorAccess allows everything, all of IAM too"), "{stdout}");
}

#[test]
fn what_cannot_be_read_or_understood_is_no_verdict() {
    let folder = folder();
    for args in [&["missing.json"][..], &["."], &["a.json", "b.json"], &["--fix"], &["--allow", "json"]] {
        let (code, stdout, stderr) = check(&folder, args);
        assert_eq!((code, stdout.as_str()), (2, ""), "{args:?}: {stderr}");
        assert!(!stderr.is_empty(), "{args:?}");
    }
}

/// With the deployment's configuration, more can be known.
#[test]
fn a_repository_that_no_issuer_is_of_is_found_with_the_configuration() {
    let folder = folder_with("", "");
    fs::copy(EXAMPLE_CONFIG, folder.join("config.json")).expect("a copy");
    let with_config = ["--config", "config.json", "--deny", "notes"];
    assert_eq!(check(&folder, &with_config), (0, "personas.json: no findings\n".to_owned(), String::new()));
    let example = fs::read_to_string(EXAMPLE_CONFIG).expect("the example");
    let without_gitlab = example.replace(r#""provider": "gitlab""#, r#""provider": "other""#);
    fs::write(folder.join("config.json"), without_gitlab).expect("a file");
    let (code, stdout, _) = check(&folder, &with_config);
    assert_eq!(code, 1, "{stdout}");
    assert!(stdout.contains("accounts[1].repositories[1]: no run of `example/payments` (gitlab, id 28)"), "{stdout}");
    assert!(stdout.contains("warning [unreachable-repository]"), "{stdout}");
    for unusable in ["{", "{}", r#"{"identity_tokens": {"issuers": [{"provider": "bitbucket"}]}}"#] {
        fs::write(folder.join("config.json"), unusable).expect("a file");
        let (code, stdout, stderr) = check(&folder, &with_config);
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert!(stderr.starts_with("daypass: config.json: cannot be used: "), "{stderr}");
    }
    let (code, _, stderr) = check(&folder, &["--config", "missing.json"]);
    assert_eq!(code, 2);
    assert!(stderr.starts_with("daypass: missing.json: cannot be read: "), "{stderr}");
}

#[test]
fn help_says_what_there_is() {
    let (code, stdout, _) = check(&folder(), &["--help"]);
    assert_eq!(code, 0);
    insta::assert_snapshot!(stdout);
}
