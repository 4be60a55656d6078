//! What a check has found, and how it is told.

use daypass::text::plain;
use serde_json::{Value, json};

use crate::error::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// It could not be seen from here.
    Skipped,
    /// As it should be.
    Ok,
    /// It works, but not in every case.
    Warn,
    /// It does not work.
    Fail,
}

impl Status {
    /// As it is printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: String,
    pub status: Status,
    pub detail: String,
    pub remedy: Option<String>,
}

impl Check {
    /// As it should be.
    pub fn ok(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), status: Status::Ok, detail: detail.into(), remedy: None }
    }

    /// It could not be seen, and why.
    pub fn skipped(name: &str, detail: impl Into<String>) -> Self {
        Self { status: Status::Skipped, ..Self::ok(name, detail) }
    }

    /// Something to know, and what to do about it.
    pub fn warn(name: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status: Status::Warn, remedy: Some(remedy.into()), ..Self::ok(name, detail) }
    }

    /// Something that will not work, and what to do about it.
    pub fn fail(name: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status: Status::Fail, remedy: Some(remedy.into()), ..Self::ok(name, detail) }
    }

    /// The same as the error that a command would end with.
    pub fn error(name: &str, error: &Error) -> Self {
        let remedy = error.json(None)["remedy"].as_str().map(str::to_owned);
        Self { status: Status::Fail, remedy, ..Self::ok(name, error.reason()) }
    }
}

/// For people.
pub fn text(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    let line = |Check { name, status, detail, remedy }: &Check| {
        let found = format!("{:<7}  {name:<width$}  {}\n", status.name(), plain(detail));
        let remedy = remedy.as_ref().map(|text| format!("{:<7}  {:<width$}  what to do: {}\n", "", "", plain(text)));
        found + &remedy.unwrap_or_default()
    };
    checks.iter().map(line).collect()
}

/// For programs.
pub fn as_json(checks: &[Check]) -> Value {
    let each = |Check { name, status, detail, remedy }: &Check| json!({"check": name, "status": status.name(), "detail": detail, "remedy": remedy});
    json!({"status": worst(checks).name(), "checks": checks.iter().map(each).collect::<Vec<_>>()})
}

pub fn worst(checks: &[Check]) -> Status {
    checks.iter().map(|check| check.status).max().unwrap_or(Status::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn what_is_printed() {
        let error = Error::new(Kind::Failed, "there is no machine").remedy("correct `provision_arn`");
        let checks = [
            Check::ok("clock", "0 s off"),
            Check::skipped("person", "nobody says\u{1b}[2J"),
            Check::error("machine", &error),
        ];
        let expected = "\
ok       clock    0 s off
skipped  person   nobody says\\u{1b}[2J
fail     machine  there is no machine
                  what to do: correct `provision_arn`
";
        assert_eq!(text(&checks), expected);
        let json = as_json(&checks);
        assert_eq!((&json["status"], &json["checks"][1]["status"]), (&"fail".into(), &"skipped".into()));
        assert_eq!(json["checks"][2]["remedy"], "correct `provision_arn`");
        assert_eq!(worst(&checks[..2]), Status::Ok);
        assert_eq!(worst(&[Check::warn("token", "", "")]), Status::Warn);
    }
}
