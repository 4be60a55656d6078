//! Findings as text, as JSON, and as SARIF, which code scanners and editors read.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;
use serde_json::{Value, json};

use super::{Finding, Rule, Severity};

/// What a check has found in a file.
pub struct Report<'a> {
    /// The file, as it was named.
    pub file: &'a str,
    /// In the order of the file.
    pub findings: &'a [Finding],
}

/// How many findings there are of each severity.
#[derive(Clone, Copy, Serialize)]
pub struct Counts {
    pub errors: usize,
    pub warnings: usize,
    pub notes: usize,
}

impl Report<'_> {
    /// How many findings there are.
    pub fn counts(&self) -> Counts {
        let count = |severity| self.findings.iter().filter(|it| it.rule.severity == severity).count();
        Counts { errors: count(Severity::Error), warnings: count(Severity::Warning), notes: count(Severity::Note) }
    }

    /// Three lines for each finding, for people.
    pub fn text(&self) -> String {
        let finding = |Finding { rule, path, region, message, remedy }: &Finding| {
            let place = format!("{}:{}:{}", self.file, region.start_line, region.start_column);
            format!("{place}: {} [{}]\n    {path}: {message}\n    {remedy}\n", rule.severity.name(), rule.id)
        };
        self.findings.iter().map(finding).collect()
    }

    /// One object, for programs.
    pub fn json(&self) -> Value {
        let finding = |Finding { rule, path, region, message, remedy }: &Finding| {
            json!({
                "path": path,
                "rule": rule.id,
                "severity": rule.severity,
                "message": message,
                "remedy": remedy,
                "line": region.start_line,
                "column": region.start_column,
                "end_line": region.end_line,
                "end_column": region.end_column,
            })
        };
        let findings: Vec<Value> = self.findings.iter().map(finding).collect();
        json!({ "file": self.file, "findings": findings, "counts": self.counts() })
    }

    /// SARIF 2.1.0 of the tool with these rules.
    ///
    /// Source: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>
    pub fn sarif(&self, tool: &str, rules: &[Rule]) -> Value {
        let rule = |rule: &Rule| {
            json!({
                "id": rule.id,
                "shortDescription": { "text": rule.summary },
                "defaultConfiguration": { "level": rule.severity },
            })
        };
        let result = |Finding { rule, path, region, message, remedy }: &Finding| {
            let index = rules.iter().position(|it| it.id == rule.id);
            json!({
                "ruleId": rule.id,
                "ruleIndex": index,
                "level": rule.severity,
                "message": { "text": format!("{path}: {message}; {remedy}.") },
                "locations": [{
                    "physicalLocation": {
                        "artifactLocation": { "uri": uri(self.file) },
                        "region": {
                            "startLine": region.start_line,
                            "startColumn": region.start_column,
                            "endLine": region.end_line,
                            "endColumn": region.end_column,
                        },
                    },
                    "logicalLocations": [{ "fullyQualifiedName": path, "kind": "value" }],
                }],
                // The same finding is known again when lines have moved.
                "partialFingerprints": { "ruleAndPath/v1": format!("{}:{path}", rule.id) },
            })
        };
        json!({
            "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": {
                    "driver": {
                        "name": tool,
                        "semanticVersion": env!("CARGO_PKG_VERSION"),
                        "rules": rules.iter().map(rule).collect::<Vec<Value>>(),
                    },
                },
                "columnKind": "unicodeCodePoints",
                "results": self.findings.iter().map(result).collect::<Vec<Value>>(),
            }],
        })
    }
}

impl Display for Counts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let plural = |count: usize, word| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let counts = [(self.errors, "error"), (self.warnings, "warning"), (self.notes, "note")];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, word)| plural(count, word));
        let counts = counts.collect::<Vec<_>>().join(", ");
        f.write_str(if counts.is_empty() { "no findings" } else { &counts })
    }
}

/// A path as a relative URI, or as one of the scheme `file`.
fn uri(path: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let path_in_uri: String = path.bytes().map(byte).collect();
    if path.starts_with('/') { format!("file://{path_in_uri}") } else { path_in_uri }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_uris() {
        assert_eq!(uri("personas.json"), "personas.json");
        assert_eq!(uri("../a b/ü#1.json"), "../a%20b/%C3%BC%231.json");
        assert_eq!(uri("/work/personas.json"), "file:///work/personas.json");
    }

    #[test]
    fn counts_are_words() {
        let counts = |errors, warnings, notes| Counts { errors, warnings, notes }.to_string();
        assert_eq!(counts(0, 0, 0), "no findings");
        assert_eq!(counts(1, 2, 0), "1 error, 2 warnings");
        assert_eq!(counts(0, 0, 1), "1 note");
    }
}
