//! One file or folder for each command: its arguments, and `run`, which prints the result and returns the exit code.

pub mod check_app;
pub mod completions;
pub mod config_show;
pub mod credentials;
pub mod doctor;
pub mod env;
pub mod exec;
pub mod groups;
pub mod man;
pub mod personas;
pub mod release;
pub mod request;
pub mod shield;
pub mod status;

mod findings;
mod session;

use std::process::ExitCode;

use clap::Subcommand;
use daypass::{
    contract::{Request, in_hours},
    ids::{AccountId, Email},
};
use serde_json::{Map, Value, json};

use crate::{
    context::Context,
    error::{Error, Kind},
    output::Format,
    settings::{Key, Settings},
};

/// What `daypass` can do.
#[derive(Subcommand)]
pub enum Command {
    /// Run a command with a role, and release the role when it ends.
    Exec(exec::Args),
    /// Request a role, and keep its session for the commands below.
    Request(request::Args),
    /// Print credentials in `credential_process` format.
    Credentials(credentials::Args),
    /// Print credentials as environment variables.
    Env(env::Args),
    /// Release a role.
    Release(release::Args),
    /// Show a transaction's status.
    Status(status::Args),
    /// Check that a request would work from here.
    Doctor(doctor::Args),
    /// Check a CDK app or Terraform for what a role is refused.
    CheckApp(check_app::Args),
    /// Show the effective settings.
    #[command(subcommand)]
    Config(Config),
    /// Plan and create the Identity Center groups.
    #[command(subcommand)]
    Groups(groups::Command),
    /// Shield what lends a deployment more rights than it was given.
    #[command(subcommand)]
    Shield(shield::Command),
    /// Check and explain personas.json.
    #[command(subcommand)]
    Personas(personas::Command),
    /// Print a completion script for a shell.
    Completions(completions::Args),
    /// Print the manual.
    Man(man::Args),
}

/// What follows `daypass config`.
#[derive(Subcommand)]
pub enum Config {
    /// Print every setting and its origin.
    Show(config_show::Args),
}

impl Command {
    /// Runs the command. `whole` describes all of `daypass`, for its manual and the completion of command lines.
    pub fn run(&self, whole: fn() -> clap::Command, context: &mut Context) -> Result<ExitCode, Error> {
        if context.output.format() == Format::Sarif && !matches!(self, Self::Personas(personas::Command::Check(_))) {
            return Err(Error::usage("`--output sarif` is for `daypass personas check`").remedy("use `--output json`"));
        }
        match self {
            Self::Exec(args) => exec::run(args, context),
            Self::Request(args) => request::run(args, context),
            Self::Credentials(args) => credentials::run(args, context),
            Self::Env(args) => env::run(args, context),
            Self::Release(args) => release::run(args, context),
            Self::Status(args) => status::run(args, context),
            Self::Doctor(args) => doctor::run(args, context),
            Self::CheckApp(args) => check_app::run(args, context),
            Self::Config(Config::Show(args)) => config_show::run(args, context),
            Self::Groups(command) => groups::run(command, context),
            Self::Shield(command) => shield::run(command, context),
            Self::Personas(command) => personas::run(command, context),
            Self::Completions(args) => completions::run(args, whole(), context),
            Self::Man(args) => man::run(args, whole(), context),
        }
    }
}

/// The request that the settings describe: each field of the contract is the value of the setting that is sent as it.
fn request_of(settings: &Settings) -> Result<Request, Error> {
    let mut fields = Map::new();
    for field in Request::FIELDS {
        let Some(key) = Key::sent_as(field.name) else { continue };
        let value = match key {
            Key::Email => Some(json!(settings.parsed::<Email, _>(key, str::parse)?)),
            Key::AccountId => Some(json!(account_id(settings)?)),
            Key::Ttl => settings.duration(key)?.map(|ttl| json!(in_hours(ttl))),
            _ if field.is_required => Some(settings.required(key)?.value.as_str().into()),
            _ => settings.text(key).map(Value::from),
        };
        fields.extend(value.map(|value| (field.name.to_owned(), value)));
    }
    serde_json::from_value(fields.into())
        .map_err(|error| Error::new(Kind::Failed, format!("the settings make no request: {error}")))
}

fn account_id(settings: &Settings) -> Result<AccountId, Error> {
    if settings.get(Key::AccountId).is_none()
        && let (Some(account), Some(accounts)) = (settings.get(Key::Account), settings.get(Key::Accounts))
    {
        let reason = format!("`accounts` ({}) has no account `{}`", accounts.origin, account.value);
        return Err(
            Error::usage(reason).remedy(format!("correct `account` ({}), or give --account-id", account.origin))
        );
    }
    settings.parsed(Key::AccountId, str::parse)
}
