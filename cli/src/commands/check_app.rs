//! `daypass check-app`: what of a CDK app or of a Terraform folder will a deploy role be refused?
//!
//! It reads files and calls nobody. What it judges by is the permissions boundary, which is the same for every persona.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Read,
    ops::Range,
    path::{Path, PathBuf},
    process::ExitCode,
};

use daypass::text::plain;
use serde_json::{Value, json};

use self::rule::AppRule;
use super::findings::{
    Finding, Severity,
    report::{Counts, Report},
    source::regions,
};
use crate::{context::Context, error::Error};

mod cdk;
mod rule;
mod terraform;
mod tree;
mod verdict;

/// A larger JSON file is not read. A template has 1 MB at most, a manifest of a large app more.
const MOST_JSON_BYTES: u64 = 8 << 20;
/// A larger file of HCL is not read: parsed, it takes a hundred times as much memory.
const MOST_HCL_BYTES: u64 = 1 << 20;
/// More files, or folders, are not read.
const MOST_FILES: usize = 2000;

/// What follows `daypass check-app`.
#[derive(clap::Args)]
#[command(after_help = "\
Nothing is deployed, and AWS is not called. A CDK app is read from cdk.out, which `cdk synth` writes. The check knows the \
permissions boundary; a persona may allow less (`daypass personas explain`).

Exit codes: 0 nothing will be refused; 1 something will be refused; 2 wrong usage, an unreadable file, or a folder \
without cdk.out and without .tf files. docs/deployments-that-assume-roles.md lists the rules.")]
pub struct Args {
    /// The folder of the app: with cdk.out or .tf files, or a cloud assembly
    #[arg(default_value = ".", value_name = "DIR")]
    folder: PathBuf,
}

/// Prints every finding.
pub fn run(args: &Args, context: &Context) -> Result<ExitCode, Error> {
    let examined = examine(&args.folder)?;
    let printed = context.output.result(&text(&args.folder, &examined), &as_json(&args.folder, &examined))?;
    let refused = examined.iter().any(|file| file.report().counts().errors > 0);
    Ok(if refused { ExitCode::from(1) } else { printed })
}

/// A file of the app, and what was found in it.
#[derive(Debug)]
struct Examined {
    file: String,
    /// In the order of the file.
    findings: Vec<Finding>,
}

impl Examined {
    fn report(&self) -> Report<'_> {
        Report { file: &self.file, findings: &self.findings }
    }
}

/// Everything that is found in the folder of an app, by files.
///
/// # Errors
/// When there is neither a CDK app nor Terraform, or a file of it cannot be read.
fn examine(folder: &Path) -> Result<Vec<Examined>, Error> {
    if let Err(error) = fs::read_dir(folder) {
        return Err(unreadable(folder, &error.to_string()).remedy("give the folder of a CDK app or of Terraform files"));
    }
    let mut files = Files::default();
    let cdk = cdk::examine(folder, &mut files)?;
    let terraform = terraform::examine(folder, &mut files)?;
    if !cdk && !terraform {
        let reason = format!("{} has neither cdk.out nor .tf files", folder.display());
        return Err(Error::usage(reason)
            .remedy("run `cdk synth` first; or give the folder that has cdk.out or the .tf files of the root module"));
    }
    Ok(files.examined)
}

fn counts(examined: &[Examined]) -> Counts {
    let none = Counts { errors: 0, warnings: 0, notes: 0 };
    examined.iter().map(|file| file.report().counts()).fold(none, |sum, more| Counts {
        errors: sum.errors + more.errors,
        warnings: sum.warnings + more.warnings,
        notes: sum.notes + more.notes,
    })
}

fn text(folder: &Path, examined: &[Examined]) -> String {
    let findings: String = examined.iter().map(|file| file.report().text()).collect();
    format!("{findings}{}: {}\n", plain(&folder.display().to_string()), counts(examined))
}

fn as_json(folder: &Path, examined: &[Examined]) -> Value {
    let reports: Vec<Value> = examined.iter().map(|file| file.report().json()).collect();
    json!({ "folder": folder.display().to_string(), "files": reports, "counts": counts(examined) })
}

/// The files that have been read.
#[derive(Default)]
struct Files {
    /// By their real paths: links may lead in circles.
    seen: BTreeSet<PathBuf>,
    examined: Vec<Examined>,
}

impl Files {
    /// Whether a file or a folder is met for the first time.
    ///
    /// # Errors
    /// When it does not exist, or too many have been met.
    fn is_new(&mut self, path: &Path) -> Result<bool, Error> {
        let real = path.canonicalize().map_err(|error| unreadable(path, &error.to_string()))?;
        if self.seen.len() >= MOST_FILES {
            return Err(unreadable(path, &format!("it is one of more than {MOST_FILES} files of the app")));
        }
        Ok(self.seen.insert(real))
    }

    /// Keeps what was found in a file.
    fn add(&mut self, file: &Path, source: &str, mut notes: Notes) {
        if notes.0.is_empty() {
            return;
        }
        notes.0.sort_by_key(|note| (note.at.start, note.rule as u8));
        let regions = regions(source, notes.0.iter().map(|note| note.at.clone()));
        let findings = notes.0.iter().zip(regions).map(|(note, region)| Finding {
            rule: note.rule.rule(),
            path: plain(&note.path),
            region,
            message: plain(&note.message),
            remedy: note.remedy.clone(),
        });
        let findings = findings.collect();
        self.examined.push(Examined { file: plain(&file.display().to_string()), findings });
    }
}

/// What is found in one file.
#[derive(Default)]
struct Notes(Vec<Note>);

struct Note {
    rule: AppRule,
    at: Range<usize>,
    path: String,
    message: String,
    remedy: String,
}

impl Notes {
    fn add(
        &mut self,
        rule: AppRule,
        at: &Range<usize>,
        path: &str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let (at, path) = (at.clone(), path.to_owned());
        self.0.push(Note { rule, at, path, message: message.into(), remedy: remedy.into() });
    }

    /// Something that may be created, or not: what would be refused cannot be told.
    fn doubt(&mut self, why: &str) {
        for note in self.0.iter_mut().filter(|note| note.rule.rule().severity == Severity::Error) {
            note.message = format!("{}, {why}", note.message);
            note.rule = AppRule::CannotBeTold;
        }
    }
}

/// The text of a file of the app, which may have so many bytes.
///
/// # Errors
/// When it is not a file, too large, or not UTF-8.
fn read(path: &Path, most: u64) -> Result<String, Error> {
    let wrong = |error: std::io::Error| unreadable(path, &error.to_string());
    // Opening a pipe would wait for its writer.
    if !fs::metadata(path).map_err(wrong)?.is_file() {
        return Err(unreadable(path, "it is not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)).map_err(wrong)?;
    if bytes.len() as u64 > most {
        return Err(unreadable(path, &format!("it is larger than {} MiB", most >> 20)));
    }
    String::from_utf8(bytes).map_err(|_| unreadable(path, "it is not UTF-8"))
}

fn unreadable(path: &Path, why: &str) -> Error {
    Error::usage(format!("{}: cannot be read: {why}", path.display()))
}

fn invalid(path: &Path, why: &str) -> Error {
    Error::usage(format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests;
