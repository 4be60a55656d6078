//! What the CI system says about its run, or git about the working copy.
//!
//! Sources, one for each system:
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/variables>,
//! <https://docs.gitlab.com/ci/variables/predefined_variables>,
//! <https://buildkite.com/docs/pipelines/configure/environment-variables>,
//! <https://circleci.com/docs/reference/variables>. How long a job of GitHub may run, no variable says:
//! <https://docs.github.com/en/actions/reference/limits> says how long one may on a runner of GitHub's.

use std::path::Path;

use serde_json::Value;

use super::key::Key;
use crate::world::World;

/// Where a run can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    GitHub,
    GitLab,
    Buildkite,
    CircleCi,
}

impl System {
    pub const fn name(self) -> &'static str {
        match self {
            Self::GitHub => "GitHub Actions",
            Self::GitLab => "GitLab CI",
            Self::Buildkite => "Buildkite",
            Self::CircleCi => "CircleCI",
        }
    }

    fn of(world: &dyn World) -> Option<Self> {
        let systems = [
            ("GITHUB_ACTIONS", Self::GitHub),
            ("GITLAB_CI", Self::GitLab),
            ("BUILDKITE", Self::Buildkite),
            ("CIRCLECI", Self::CircleCi),
        ];
        systems.into_iter().find(|(sign, _)| world.variable(sign).as_deref() == Some("true")).map(|(_, system)| system)
    }
}

/// A value, and what said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    pub key: Key,
    pub value: String,
    pub source: String,
}

/// All that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The system that the run is in; none on a person's machine.
    pub system: Option<System>,
    /// The login there of whoever triggered the run: `{actor}`.
    pub actor: Option<String>,
    /// What was found for which setting.
    pub facts: Vec<Fact>,
}

/// Looks around.
pub fn find(world: &dyn World) -> Found {
    let system = System::of(world);
    match system {
        Some(System::GitHub) => github(world),
        Some(System::GitLab) => gitlab(world),
        Some(System::Buildkite) => buildkite(world),
        Some(System::CircleCi) => circleci(world),
        None => git(world),
    }
}

/// What is made of variables alone: the first of those that are set, for each setting.
fn first(world: &dyn World, wanted: &[(Key, &[&str])]) -> Vec<Fact> {
    let fact = |(key, names): &(Key, &[&str])| {
        names.iter().find_map(|name| {
            let value = world.variable(name)?;
            Some(Fact { key: *key, value, source: (*name).to_owned() })
        })
    };
    wanted.iter().filter_map(fact).collect()
}

/// How long a job may run, where a variable has it as a number of this unit.
fn timeout(world: &dyn World, name: &str, unit: char) -> Option<Fact> {
    let number: u64 = world.variable(name)?.parse().ok()?;
    (number > 0).then(|| Fact { key: Key::JobTimeout, value: format!("{number}{unit}"), source: name.to_owned() })
}

fn github(world: &dyn World) -> Found {
    const RUNNER: &str = "RUNNER_ENVIRONMENT";
    let mut facts = Vec::new();
    if world.variable(RUNNER).as_deref() == Some("github-hosted") {
        facts.push(Fact { key: Key::JobTimeout, value: "6h".to_owned(), source: RUNNER.to_owned() });
    }
    if let Some(value) = pusher(world) {
        facts.push(Fact { key: Key::Email, value, source: "pusher.email of GITHUB_EVENT_PATH".to_owned() });
    }
    // A tag is no branch.
    let branches: &[&str] = match world.variable("GITHUB_REF_TYPE").as_deref() {
        Some("tag") => &["GITHUB_HEAD_REF"],
        _ => &["GITHUB_HEAD_REF", "GITHUB_REF_NAME"],
    };
    facts.extend(first(world, &[(Key::Branch, branches), (Key::Repository, &["GITHUB_REPOSITORY"])]));
    let run = ["GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"].map(|name| world.variable(name));
    if let [Some(server), Some(repository), Some(run)] = run {
        let value = format!("{server}/{repository}/actions/runs/{run}");
        facts.push(Fact { key: Key::RunUrl, value, source: "GITHUB_SERVER_URL and GITHUB_RUN_ID".to_owned() });
    }
    Found { system: Some(System::GitHub), actor: world.variable("GITHUB_ACTOR"), facts }
}

/// Who pushed, if the event is a push. The address that GitHub gives to those who hide theirs is nobody's in a directory.
fn pusher(world: &dyn World) -> Option<String> {
    let event: Value = serde_json::from_str(&world.read(Path::new(&world.variable("GITHUB_EVENT_PATH")?))?).ok()?;
    let email = event["pusher"]["email"].as_str()?;
    (!email.is_empty() && !email.ends_with("@users.noreply.github.com")).then(|| email.to_owned())
}

fn gitlab(world: &dyn World) -> Found {
    let mut facts = first(
        world,
        &[
            (Key::Email, &["GITLAB_USER_EMAIL"]),
            (Key::Branch, &["CI_COMMIT_BRANCH", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"]),
            (Key::Repository, &["CI_PROJECT_PATH"]),
            (Key::RunUrl, &["CI_JOB_URL", "CI_PIPELINE_URL"]),
        ],
    );
    facts.extend(timeout(world, "CI_JOB_TIMEOUT", 's'));
    Found { system: Some(System::GitLab), actor: world.variable("GITLAB_USER_LOGIN"), facts }
}

fn buildkite(world: &dyn World) -> Found {
    let tag = world.variable("BUILDKITE_TAG").is_some();
    let mut facts = first(
        world,
        &[
            (Key::Email, &["BUILDKITE_BUILD_CREATOR_EMAIL"]),
            (Key::Branch, if tag { &[] } else { &["BUILDKITE_BRANCH"] }),
            (Key::RunUrl, &["BUILDKITE_BUILD_URL"]),
        ],
    );
    facts.extend(timeout(world, "BUILDKITE_TIMEOUT", 'm'));
    if let Some(value) = world.variable("BUILDKITE_REPO").and_then(|remote| repository_of(&remote)) {
        facts.push(Fact { key: Key::Repository, value, source: "BUILDKITE_REPO".to_owned() });
    }
    Found { system: Some(System::Buildkite), actor: None, facts }
}

fn circleci(world: &dyn World) -> Found {
    let mut facts = first(world, &[(Key::Branch, &["CIRCLE_BRANCH"]), (Key::RunUrl, &["CIRCLE_BUILD_URL"])]);
    let names = ["CIRCLE_PROJECT_USERNAME", "CIRCLE_PROJECT_REPONAME"];
    if let [Some(owner), Some(name)] = names.map(|name| world.variable(name)) {
        facts.push(Fact { key: Key::Repository, value: format!("{owner}/{name}"), source: names.join(" and ") });
    }
    Found { system: Some(System::CircleCi), actor: world.variable("CIRCLE_USERNAME"), facts }
}

fn git(world: &dyn World) -> Found {
    let wanted: [(Key, &[&str]); 2] = [
        (Key::Email, &["git", "config", "user.email"]),
        (Key::Branch, &["git", "symbolic-ref", "--quiet", "--short", "HEAD"]),
    ];
    let fact = |(key, command): (Key, &[&str])| {
        Some(Fact { key, value: world.run(command)?, source: format!("`{}`", command.join(" ")) })
    };
    Found { facts: wanted.into_iter().filter_map(fact).collect(), ..Found::default() }
}

/// `owner/name` of a git remote: `git@host:owner/name.git`, `https://host/owner/name`.
fn repository_of(remote: &str) -> Option<String> {
    let path = match remote.split_once("://") {
        Some((_, address)) => address.split_once('/')?.1,
        None => remote.split_once(':')?.1,
    };
    let path = path.trim_matches('/').trim_end_matches(".git");
    path.contains('/').then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::FakeWorld;

    /// What is found for each setting, as one line each.
    fn found(world: &FakeWorld) -> (Option<System>, Option<String>, Vec<String>) {
        let Found { system, actor, facts } = find(world);
        let line = |Fact { key, value, source }: &Fact| format!("{} = {value} ({source})", key.name());
        (system, actor, facts.iter().map(line).collect())
    }

    const GITHUB: [(&str, &str); 7] = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_ACTOR", "alex"),
        ("GITHUB_REF_NAME", "main"),
        ("GITHUB_REF_TYPE", "branch"),
        ("GITHUB_REPOSITORY", "example/payments"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_RUN_ID", "42"),
    ];
    const RUN: &str =
        "run_url = https://github.com/example/payments/actions/runs/42 (GITHUB_SERVER_URL and GITHUB_RUN_ID)";

    #[test]
    fn github_actions() {
        let (system, actor, facts) = found(&FakeWorld::with(&GITHUB));
        assert_eq!((system, actor.as_deref()), (Some(System::GitHub), Some("alex")));
        let repository = "repository = example/payments (GITHUB_REPOSITORY)";
        assert_eq!(facts, ["branch = main (GITHUB_REF_NAME)", repository, RUN]);

        let pull_request = [("GITHUB_HEAD_REF", "feature/x"), ("GITHUB_REF_NAME", "12/merge")];
        let world = FakeWorld::with(&[GITHUB.as_slice(), &pull_request].concat());
        assert_eq!(found(&world).2[0], "branch = feature/x (GITHUB_HEAD_REF)");

        let tag = [("GITHUB_REF_TYPE", "tag"), ("GITHUB_REF_NAME", "v1"), ("GITHUB_HEAD_REF", "")];
        let world = FakeWorld::with(&[GITHUB.as_slice(), &tag].concat());
        assert_eq!(found(&world).2, [repository, RUN], "a tag is no branch");
    }

    #[test]
    fn github_says_who_pushed() {
        let event = |text: &str| {
            let mut world = FakeWorld::with(&[GITHUB.as_slice(), &[("GITHUB_EVENT_PATH", "/event.json")]].concat());
            world.files.insert("/event.json".to_owned(), text.to_owned());
            found(&world).2.into_iter().find(|line| line.starts_with("email"))
        };
        let said = Some("email = alex@example.com (pusher.email of GITHUB_EVENT_PATH)".to_owned());
        assert_eq!(event(r#"{"pusher": {"name": "alex", "email": "alex@example.com"}}"#), said);
        let nothing = [
            r#"{"pusher": {"email": "1+alex@users.noreply.github.com"}}"#,
            r#"{"pusher": {"email": ""}}"#,
            r#"{"pusher": {"email": null}}"#,
            r#"{"inputs": {}}"#,
            "no JSON",
        ];
        for text in nothing {
            assert_eq!(event(text), None, "{text}");
        }
    }

    #[test]
    fn gitlab_ci() {
        let base = [
            ("GITLAB_CI", "true"),
            ("GITLAB_USER_EMAIL", "alex@example.com"),
            ("GITLAB_USER_LOGIN", "alex"),
            ("CI_PROJECT_PATH", "example/group/payments"),
            ("CI_PIPELINE_URL", "https://gitlab.com/example/payments/-/pipelines/1"),
        ];
        let branch = [("CI_COMMIT_BRANCH", "main"), ("CI_JOB_URL", "https://gitlab.com/example/payments/-/jobs/2")];
        let (system, actor, facts) = found(&FakeWorld::with(&[base.as_slice(), &branch].concat()));
        assert_eq!((system, actor.as_deref()), (Some(System::GitLab), Some("alex")));
        let rest =
            ["email = alex@example.com (GITLAB_USER_EMAIL)", "repository = example/group/payments (CI_PROJECT_PATH)"];
        let job = "run_url = https://gitlab.com/example/payments/-/jobs/2 (CI_JOB_URL)";
        assert_eq!(facts, [rest[0], "branch = main (CI_COMMIT_BRANCH)", rest[1], job]);

        let merge_request = [("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "feature/x"), ("CI_COMMIT_TAG", "")];
        let (_, _, facts) = found(&FakeWorld::with(&[base.as_slice(), &merge_request].concat()));
        let branch = "branch = feature/x (CI_MERGE_REQUEST_SOURCE_BRANCH_NAME)";
        let pipeline = "run_url = https://gitlab.com/example/payments/-/pipelines/1 (CI_PIPELINE_URL)";
        assert_eq!(facts, [rest[0], branch, rest[1], pipeline]);
    }

    #[test]
    fn buildkite() {
        let base = [
            ("BUILDKITE", "true"),
            ("BUILDKITE_BUILD_CREATOR", "Alex Reyes"),
            ("BUILDKITE_BUILD_CREATOR_EMAIL", "alex@example.com"),
            ("BUILDKITE_BRANCH", "main"),
            ("BUILDKITE_REPO", "git@github.com:example/payments.git"),
            ("BUILDKITE_BUILD_URL", "https://buildkite.com/example/payments/builds/7"),
        ];
        let (system, actor, facts) = found(&FakeWorld::with(&base));
        assert_eq!((system, actor), (Some(System::Buildkite), None));
        let expected = [
            "email = alex@example.com (BUILDKITE_BUILD_CREATOR_EMAIL)",
            "branch = main (BUILDKITE_BRANCH)",
            "run_url = https://buildkite.com/example/payments/builds/7 (BUILDKITE_BUILD_URL)",
            "repository = example/payments (BUILDKITE_REPO)",
        ];
        assert_eq!(facts, expected);
        let tag = FakeWorld::with(&[base.as_slice(), &[("BUILDKITE_TAG", "v1")]].concat());
        assert!(!found(&tag).2.iter().any(|line| line.starts_with("branch")), "a tag is no branch");
    }

    #[test]
    fn how_long_a_job_may_run() {
        let cases = [
            ("GITHUB_ACTIONS", "RUNNER_ENVIRONMENT", "github-hosted", Some("6h")),
            ("GITHUB_ACTIONS", "RUNNER_ENVIRONMENT", "self-hosted", None),
            ("GITLAB_CI", "CI_JOB_TIMEOUT", "5400", Some("5400s")),
            ("GITLAB_CI", "CI_JOB_TIMEOUT", "0", None),
            ("GITLAB_CI", "CI_JOB_TIMEOUT", "1h", None),
            ("BUILDKITE", "BUILDKITE_TIMEOUT", "90", Some("90m")),
            ("BUILDKITE", "BUILDKITE_TIMEOUT", "false", None),
            ("CIRCLECI", "CI_JOB_TIMEOUT", "5400", None),
        ];
        for (sign, name, value, expected) in cases {
            let facts = find(&FakeWorld::with(&[(sign, "true"), (name, value)])).facts;
            let found = facts.iter().find(|fact| fact.key == Key::JobTimeout);
            assert_eq!(found.map(|fact| (fact.value.as_str(), fact.source.as_str())), expected.map(|it| (it, name)));
        }
    }

    #[test]
    fn circleci() {
        let base = [
            ("CIRCLECI", "true"),
            ("CIRCLE_USERNAME", "alex"),
            ("CIRCLE_BRANCH", "main"),
            ("CIRCLE_PROJECT_USERNAME", "example"),
            ("CIRCLE_PROJECT_REPONAME", "payments"),
            ("CIRCLE_BUILD_URL", "https://circleci.com/gh/example/payments/9"),
        ];
        let (system, actor, facts) = found(&FakeWorld::with(&base));
        assert_eq!((system, actor.as_deref()), (Some(System::CircleCi), Some("alex")));
        let expected = [
            "branch = main (CIRCLE_BRANCH)",
            "run_url = https://circleci.com/gh/example/payments/9 (CIRCLE_BUILD_URL)",
            "repository = example/payments (CIRCLE_PROJECT_USERNAME and CIRCLE_PROJECT_REPONAME)",
        ];
        assert_eq!(facts, expected);
    }

    #[test]
    fn outside_of_ci_git_is_asked_and_in_ci_it_is_not() {
        let commands =
            [("git config user.email", "alex@example.com"), ("git symbolic-ref --quiet --short HEAD", "main")];
        let commands = commands.map(|(command, answer)| (command.to_owned(), answer.to_owned()));
        let world = FakeWorld { commands: commands.clone().into(), ..FakeWorld::default() };
        let expected = [
            "email = alex@example.com (`git config user.email`)",
            "branch = main (`git symbolic-ref --quiet --short HEAD`)",
        ];
        assert_eq!(found(&world), (None, None, expected.map(str::to_owned).to_vec()));
        let world = FakeWorld { commands: commands.into(), ..FakeWorld::with(&[("CIRCLECI", "true")]) };
        assert_eq!(found(&world).2, Vec::<String>::new(), "there, git's user may be anybody");
        assert_eq!(found(&FakeWorld::with(&[("GITHUB_ACTIONS", "false")])).0, None);
    }

    #[test]
    fn repositories_of_remotes() {
        for remote in [
            "git@github.com:example/payments.git",
            "https://github.com/example/payments.git",
            "https://github.com/example/payments/",
            "ssh://git@github.com:22/example/payments.git",
        ] {
            assert_eq!(repository_of(remote).as_deref(), Some("example/payments"), "{remote}");
        }
        for remote in ["", "/srv/git/payments", "payments", "https://github.com"] {
            assert_eq!(repository_of(remote), None, "{remote}");
        }
    }
}
