//! `daypass personas check` as a shell sees it: exit code, stdout and stderr.

#![expect(clippy::expect_used, reason = "helpers of tests")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../personas.json");

/// A folder of this test's own; Cargo gives the place.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn check(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_daypass"));
    let output = command.args(["personas", "check"]).args(args).current_dir(folder).output();
    let Output { status, stdout, stderr } = output.expect("the command runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code().expect("an exit code"), text(stdout), text(stderr))
}

#[test]
fn a_good_file_gets_a_summary() {
    let folder = folder("good");
    fs::copy(SHIPPED, folder.join("personas.json")).expect("a copy");
    let summary = "personas.json: no problems (3 personas, 2 environments, 2 accounts)\n";
    assert_eq!(check(&folder, &[]), (0, summary.to_owned(), String::new()), "the default is personas.json");
    assert_eq!(check(&folder, &["personas.json"]), (0, summary.to_owned(), String::new()));
}

#[test]
fn every_problem_is_a_line_with_path_and_remedy() {
    let folder = folder("bad");
    let bad = fs::read_to_string(SHIPPED).expect("the shipped file");
    let bad = bad.replace(r#""company": "PwC""#, r#""company": """#).replace(r#"["main", "release/*"]"#, "[]");
    fs::write(folder.join("bad.json"), bad).expect("a file");
    let (code, stdout, stderr) = check(&folder, &["bad.json"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{stderr}");
    assert!(
        lines[0].starts_with("bad.json: organization.company: `` cannot be part of a group name; write 1"),
        "{stderr}"
    );
    assert_eq!(
        lines[1],
        "bad.json: environments.production.branches: is empty; add a pattern, such as main or release/*"
    );
}

#[test]
fn broken_json_is_a_problem_with_line_and_column() {
    let folder = folder("broken");
    fs::write(folder.join("personas.json"), "{\n  \"accounts\": [,]\n}").expect("a file");
    let (code, _, stderr) = check(&folder, &[]);
    assert_eq!(code, 1);
    assert_eq!(stderr, "personas.json: line 2, column 16: is not JSON: expected value; correct the text there\n");
}

#[test]
fn what_cannot_be_read_or_understood_is_no_verdict() {
    let folder = folder("unreadable");
    for args in [&["missing.json"][..], &["."], &["a.json", "b.json"], &["--fix"]] {
        let (code, stdout, stderr) = check(&folder, args);
        assert_eq!((code, stdout.as_str()), (2, ""), "{args:?}: {stderr}");
        assert!(!stderr.is_empty(), "{args:?}");
    }
}
