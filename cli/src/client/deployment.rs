//! Where a deployment of Daypass is.

use serde::{Deserialize, Serialize};

use super::machine::MachineArn;
use crate::{error::Error, settings::Settings};

/// Where Daypass is, and how it is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    pub provision: Option<MachineArn>,
    pub deprovision: MachineArn,
    pub renew: Option<MachineArn>,
    pub invoker_role: Option<String>,
    pub token_key: Option<String>,
    pub token_audience: Option<String>,
}

impl Deployment {
    /// As it is set. Whoever only releases need not say where the other machines are.
    pub fn of(settings: &Settings) -> Result<Self, Error> {
        use crate::settings::Key;
        let machine = |key| settings.get(key).map(|_| settings.machine(key)).transpose();
        if settings.get(Key::DeprovisionArn).is_none() {
            settings.required(Key::ProvisionArn)?;
        }
        Ok(Self {
            provision: machine(Key::ProvisionArn)?,
            deprovision: settings.machine(Key::DeprovisionArn)?,
            renew: machine(Key::RenewArn)?,
            invoker_role: settings.text(Key::InvokerRoleArn).map(str::to_owned),
            token_key: settings.text(Key::IdentityTokenKeyArn).map(str::to_owned),
            token_audience: settings.text(Key::IdentityTokenAudience).map(str::to_owned),
        })
    }
}
