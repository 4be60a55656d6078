//! One file for each command that talks to Daypass, and what they share.

pub mod completions;
pub mod config_show;
pub mod credentials;
pub mod doctor;
pub mod env;
pub mod exec;
pub mod groups;
pub mod man;
pub mod release;
pub mod request;
pub mod status;

mod session;

use std::future::Future;

use daypass::ids::{Email, TransactionId};

use crate::{
    client::{access, identity_token},
    error::{Error, Kind},
    output::Output,
    settings::{DeploymentArgs, Flags, Key, Origin, Process, RequestArgs, Settings, Use, World},
};

/// Names the transaction, where the command line does not.
pub const TRANSACTION_VARIABLE: &str = "DAYPASS_TRANSACTION_ID";

/// Runs what waits for others. One thread: there is little to do.
fn block_on<T>(task: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::new(Kind::Failed, format!("the runtime does not start: {error}")))?.block_on(task)
}

/// What is set for a command, and an output with the right links.
fn settings(
    deployment: &DeploymentArgs,
    request: Option<&RequestArgs>,
    output: &Output,
) -> Result<(Settings, Output), Error> {
    let settings = Settings::resolve(&Flags::of(deployment, request), &Process)?;
    let output = output.clone().linking_to(settings.text(Key::DocsUrl));
    Ok((settings, output))
}

/// The same for a command that asks for a role, of which so much can be used.
fn settings_to_ask(
    deployment: &DeploymentArgs,
    request: &RequestArgs,
    used: Use,
    output: &Output,
) -> Result<(Settings, Output), Error> {
    let (mut settings, output) = settings(deployment, Some(request), output)?;
    settings.complete_the_lifetime(used)?;
    Ok((settings, output))
}

/// What is to be asked for.
fn request(settings: &Settings) -> Result<access::Request, Error> {
    let text = |key| settings.text(key).map(str::to_owned);
    let email: Email = settings.parsed(Key::Email, str::parse)?;
    Ok(access::Request {
        account: settings.required(Key::Account)?.value.clone(),
        account_id: account_id(settings)?,
        email: email.to_string(),
        branch: settings.required(Key::Branch)?.value.clone(),
        group_type: text(Key::GroupType),
        role_ttl_hours: settings.duration(Key::Ttl)?.map(daypass::contract::in_hours),
        ttl_is_ours: settings.get(Key::Ttl).is_some_and(|ttl| matches!(ttl.origin, Origin::From(_))),
        repository: text(Key::Repository),
        run_url: text(Key::RunUrl),
        justification: text(Key::Justification),
    })
}

fn account_id(settings: &Settings) -> Result<daypass::ids::AccountId, Error> {
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

/// Says what was found that nobody has set.
fn tell_what_was_found(settings: &Settings, world: &dyn World, output: &Output) {
    let found =
        [Key::Email, Key::Branch, Key::Repository, Key::RunUrl, Key::JobTimeout].into_iter().filter_map(|key| {
            let setting = settings.get(key)?;
            let (Origin::Ci(_, source) | Origin::Git(source)) = &setting.origin else { return None };
            Some(format!("{} {} ({source})", key.name(), setting.value))
        });
    let mut found: Vec<_> = found.collect();
    found.extend(identity_token::ready(world).map(|(variable, _)| format!("identity token ({variable})")));
    let place = settings.system.map_or_else(String::new, |system| format!(" in {}", system.name()));
    if !found.is_empty() {
        output.note(&format!("found{place}: {}", found.join(", ")));
    }
    if let Some(ttl) = settings.get(Key::Ttl).filter(|ttl| matches!(ttl.origin, Origin::From(_))) {
        output.note(&format!("asking for {} (ttl {})", ttl.value, ttl.origin));
    }
}

/// The transaction that is meant.
fn transaction(named: Option<TransactionId>, world: &dyn World) -> Result<Option<TransactionId>, Error> {
    let Some(text) = world.variable(TRANSACTION_VARIABLE).filter(|_| named.is_none()) else { return Ok(named) };
    text.parse().map(Some).map_err(|error| Error::usage(format!("{TRANSACTION_VARIABLE}: {error}")))
}

/// The transaction that has to be meant.
fn required_transaction(named: Option<TransactionId>, world: &dyn World) -> Result<TransactionId, Error> {
    transaction(named, world)?.ok_or_else(|| {
        Error::usage("which transaction is meant is not said")
            .remedy(format!("give its id, or set {TRANSACTION_VARIABLE}; `daypass request` prints it"))
    })
}
