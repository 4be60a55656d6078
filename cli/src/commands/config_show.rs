//! `daypass config show`: what is set, and where each value comes from.

use std::process::ExitCode;

use daypass::text::plain;
use serde_json::{Map, json};

use crate::{
    client::identity_token,
    context::Context,
    error::Error,
    settings::{DeploymentArgs, Key, RequestArgs, Use},
};

/// What follows `daypass config show`.
#[derive(clap::Args)]
#[command(after_help = "\
Precedence, highest first: option, environment variable, configuration file, CI or git. Secrets are not shown.")]
pub struct Args {
    /// Show the settings for credentials that are not renewed: `exec` without `--serve`, `request --once`
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    deployment: DeploymentArgs,
}

/// Prints every value with its origin.
pub fn run(args: &Args, context: &mut Context) -> Result<ExitCode, Error> {
    let used = if args.once { Use::OneSession } else { Use::All };
    let flags = args.deployment.flags().and(args.request.flags());
    let settings = context.settings_of_request(&flags, used)?;
    let set = Key::all().filter_map(|key| Some((key.name(), settings.get(key)?)));
    let mut values: Vec<(&str, String, String)> =
        set.map(|(name, setting)| (name, setting.value.clone(), setting.origin.to_string())).collect();
    if let Some((variable, _)) = identity_token::ready(context.world) {
        values.push(("identity_token", "(secret)".to_owned(), variable.to_owned()));
    }
    let line =
        |(name, value, origin): &(&str, String, String)| format!("{name} = {}    # {}\n", plain(value), plain(origin));
    let text = values.iter().map(line).collect::<Vec<_>>().concat();
    let object = |(name, value, origin): &(&str, String, String)| {
        ((*name).to_owned(), json!({"value": value, "origin": origin}))
    };
    context.output.result(&text, &values.iter().map(object).collect::<Map<_, _>>().into())
}
