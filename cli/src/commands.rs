//! One file or folder for each command: its arguments, and `run`, which prints the result and returns the exit code.

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
pub mod status;

mod session;

use daypass::ids::{AccountId, Email};

use crate::{
    client::access,
    error::Error,
    settings::{Key, Origin, Settings},
};

/// The request that the settings describe.
fn request_of(settings: &Settings) -> Result<access::Request, Error> {
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
