//! `daypass personas check`: is a `personas.json` fit to be deployed?

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::ValueEnum;

use crate::{
    finding::{Lint, Severity},
    issuers::Issuers,
    lints,
    output::{Output, print},
    report::Report,
};

/// What follows `daypass personas check`.
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 nothing found, or nothing that counts as an error; 1 errors found; 2 wrong usage or an unreadable file.
docs/personas.md lists the rules.")]
pub struct Args {
    /// The file to check
    #[arg(default_value = "personas.json")]
    file: PathBuf,
    /// The deployment's configuration, such as cdk/daypass.config.json: also find what its issuers cannot prove
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Fail on these as well: warnings, or notes and warnings
    #[arg(long, value_enum, value_name = "SEVERITY")]
    deny: Option<Deny>,
    /// Do not report what breaks this rule; may be repeated
    #[arg(long, value_enum, value_name = "RULE", hide_possible_values = true)]
    allow: Vec<Lint>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One object, for programs
    Json,
    /// SARIF 2.1.0, for code scanners and editors
    Sarif,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Deny {
    Warnings,
    Notes,
}

impl Deny {
    fn severity(self) -> Severity {
        match self {
            Self::Warnings => Severity::Warning,
            Self::Notes => Severity::Note,
        }
    }
}

/// Prints every finding.
pub fn run(args: &Args, output: &Output) -> ExitCode {
    let file = args.file.display().to_string();
    let (text, issuers) = match read(&args.file).and_then(|text| Ok((text, issuers(args.config.as_deref())?))) {
        Ok(read) => read,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    let mut findings = lints::findings(&text, issuers.as_ref());
    findings.retain(|finding| !args.allow.iter().any(|lint| lint.rule() == finding.rule));
    let report = Report { file: &file, findings: &findings };
    let text = match args.format {
        Format::Text => format!("{}{file}: {}\n", report.text(), report.counts()),
        Format::Json => format!("{:#}\n", report.json()),
        Format::Sarif => format!("{:#}\n", report.sarif()),
    };
    if let Err(error) = print(&text) {
        return output.error(&error);
    }
    let least = args.deny.map_or(Severity::Error, Deny::severity);
    // Severities are in the order of their weight, the heaviest first.
    ExitCode::from(u8::from(findings.iter().any(|finding| finding.rule.severity <= least)))
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{}: cannot be read: {error}", file.display()))
}

fn issuers(config: Option<&Path>) -> Result<Option<Issuers>, String> {
    let Some(file) = config else { return Ok(None) };
    let issuers = Issuers::parse(&read(file)?);
    issuers.map(Some).map_err(|problem| format!("{}: cannot be used: {problem}", file.display()))
}
