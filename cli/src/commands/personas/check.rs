//! `daypass personas check`: is a `personas.json` fit to be deployed?

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::ValueEnum;

use super::{
    finding::{Lint, rules},
    issuers::Issuers,
    lints,
};
use crate::{
    commands::findings::{Severity, report::Report},
    context::Context,
    error::Error,
    output::{Format, json_text, print},
};

/// What follows `daypass personas check`.
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 no errors; 1 errors found; 2 wrong usage or an unreadable file. docs/personas.md lists the rules.")]
pub struct Args {
    /// The file to check
    #[arg(default_value = "personas.json")]
    file: PathBuf,
    /// The deployment's configuration, such as cdk/daypass.config.json; also reports repositories whose runs its issuers cannot prove
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The older name of --output
    #[arg(long, value_enum, hide = true)]
    format: Option<Format>,
    /// Also fail on warnings, or on notes and warnings
    #[arg(long, value_enum, value_name = "SEVERITY")]
    deny: Option<Deny>,
    /// Do not report findings of this rule; may be repeated
    #[arg(long, value_enum, value_name = "RULE", hide_possible_values = true)]
    allow: Vec<Lint>,
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
pub fn run(args: &Args, context: &Context) -> Result<ExitCode, Error> {
    let file = args.file.display().to_string();
    let (text, issuers) = (read(&args.file)?, issuers(args.config.as_deref())?);
    let mut findings = lints::findings(&text, issuers.as_ref());
    findings.retain(|finding| !args.allow.iter().any(|lint| lint.rule() == finding.rule));
    let report = Report { file: &file, findings: &findings };
    match args.format.unwrap_or_else(|| context.output.format()) {
        Format::Text => print(&format!("{}{file}: {}\n", report.text(), report.counts())),
        Format::Json => print(&json_text(&report.json())),
        Format::Sarif => print(&json_text(&report.sarif("daypass personas check", &rules().collect::<Vec<_>>()))),
    }?;
    let least = args.deny.map_or(Severity::Error, Deny::severity);
    // Severities are in the order of their weight, the heaviest first.
    Ok(ExitCode::from(u8::from(findings.iter().any(|finding| finding.rule.severity <= least))))
}

fn read(file: &Path) -> Result<String, Error> {
    fs::read_to_string(file).map_err(|error| Error::usage(format!("{}: cannot be read: {error}", file.display())))
}

fn issuers(config: Option<&Path>) -> Result<Option<Issuers>, Error> {
    let Some(file) = config else { return Ok(None) };
    let issuers = Issuers::parse(&read(file)?);
    issuers.map(Some).map_err(|problem| Error::usage(format!("{}: cannot be used: {problem}", file.display())))
}
