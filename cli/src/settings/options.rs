//! The options of commands that are settings: one struct for each group of them, made from the table of settings.

use std::collections::BTreeMap;

use clap::{ArgMatches, Args, Command, FromArgMatches, error::Error};

use super::{
    Flags,
    key::{Group, Key},
};

const DEPLOYMENT: &str = "Deployment (usually set in the environment or in the configuration file)";
const CONFIG: &str = "config";

macro_rules! options {
    ($(#[$documentation:meta])* $name:ident, $group:expr, $heading:expr) => {
        $(#[$documentation])*
        #[derive(Clone, Debug, Default)]
        pub struct $name(Flags);

        impl $name {
            /// What they set.
            pub fn flags(&self) -> Flags {
                self.0.clone()
            }
        }

        impl FromArgMatches for $name {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
                Ok(Self(read(matches, $group)))
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
                self.0 = read(matches, $group);
                Ok(())
            }
        }

        impl Args for $name {
            fn augment_args(command: Command) -> Command {
                augmented(command, $group, $heading)
            }

            fn augment_args_for_update(command: Command) -> Command {
                augmented(command, $group, $heading)
            }
        }
    };
}

options!(
    /// Where Daypass is, for every command that talks to it.
    DeploymentArgs,
    Group::Deployment,
    Some(DEPLOYMENT)
);
options!(
    /// What is requested.
    RequestArgs,
    Group::Request,
    Some("Request")
);
options!(
    /// The table of transactions.
    TableArgs,
    Group::Table,
    None
);
options!(IdentityStoreArgs, Group::IdentityStore, None);

fn augmented(command: Command, group: Group, heading: Option<&'static str>) -> Command {
    let command = command.next_help_heading(heading).args(Key::of(group).filter_map(Key::arg));
    if group != Group::Deployment {
        return command;
    }
    let config = clap::Arg::new(CONFIG).long(CONFIG).value_name("FILE");
    let config = config.value_parser(clap::value_parser!(std::path::PathBuf));
    command.arg(config.help("The configuration file [default: daypass/config.toml in `$XDG_CONFIG_HOME` or ~/.config]"))
}

/// What is given; empty values are not.
fn read(matches: &ArgMatches, group: Group) -> Flags {
    let given = |key: Key| {
        let value = matches.get_one::<String>(key.name()).filter(|value| !value.is_empty())?;
        Some((key, value.clone()))
    };
    let config = if group == Group::Deployment { matches.get_one(CONFIG).cloned() } else { None };
    Flags { values: Key::of(group).filter_map(given).collect::<BTreeMap<_, _>>(), config }
}
