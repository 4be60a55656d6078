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

use daypass::{
    contract::{Request, in_hours},
    ids::{AccountId, Email},
};
use serde_json::{Map, Value, json};

use crate::{
    error::{Error, Kind},
    settings::{Key, Settings},
};

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
