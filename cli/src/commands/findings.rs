//! What a check of files finds, and by which rules.

use serde::Serialize;

use self::source::Region;

pub mod report;
pub mod source;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is wrong, or opens a way to more rights than it gives.
    Error,
    /// What the file says cannot be meant, or is known to be misused.
    Warning,
    /// Something to know.
    Note,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The name that reports and `--allow` know it by.
    pub id: &'static str,
    /// How bad it is to break it.
    pub severity: Severity,
    /// The rule as a sentence.
    pub summary: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule that is broken.
    pub rule: Rule,
    /// Where: the path of the value, or line and column when the file is no JSON.
    pub path: String,
    /// Where in the text.
    pub region: Region,
    pub message: String,
    pub remedy: String,
}
