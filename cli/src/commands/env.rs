//! `daypass env`: the credentials of a session as environment variables.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    process::ExitCode,
};

use clap::ValueEnum;
use daypass::ids::TransactionId;
use serde_json::{Map, json};

use super::session;
use crate::{
    client::{asking, store::Session},
    context::{Context, block_on},
    error::{Error, Kind},
    output::{self, json_text, print},
    settings::{DeploymentArgs, Key, Settings, TRANSACTION_VARIABLE},
    world::World,
};

/// The variables that select an AWS profile, in the order in which they count.
const PROFILES: [&str; 2] = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"];
/// An old name of the session token, which some SDKs still prefer.
const OLD_TOKEN: &str = "AWS_SECURITY_TOKEN";

/// Where GitHub reads what later steps shall have in their environment.
const GITHUB_FILE: &str = "GITHUB_ENV";

/// What follows `daypass env`.
#[derive(clap::Args)]
#[command(after_help = "    eval \"$(daypass env)\"

The output is secret. The credentials end with the session and are not renewed; those of `daypass credentials` \
are.

Exit codes: 0 printed; 2 wrong usage or configuration; 70 failed; 75 try again; 77 denied.")]
pub struct Args {
    /// The transaction that `daypass request` has started [default: `DAYPASS_TRANSACTION_ID`]
    #[arg(long, value_name = "ID")]
    transaction: Option<TransactionId>,
    /// The format of the variables
    #[arg(long, value_enum, default_value_t = EnvFormat::Shell)]
    format: EnvFormat,
    #[command(flatten)]
    deployment: DeploymentArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EnvFormat {
    /// POSIX shell, for `eval`
    Shell,
    /// A .env file
    Dotenv,
    /// Masked, and appended to `$GITHUB_ENV` for the later steps of a GitHub job
    Github,
}

/// Prints the variables.
pub fn run(args: &Args, context: &mut Context) -> Result<ExitCode, Error> {
    find(args, context).inspect_err(|error| {
        // `eval "$(daypass env)"` succeeds otherwise, and the script goes on without the role.
        if args.format == EnvFormat::Shell && context.output.format() == output::Format::Text {
            let _ = print(&format!("(exit {})\n", error.kind().code()));
        }
    })
}

fn find(args: &Args, context: &mut Context) -> Result<ExitCode, Error> {
    let settings = context.settings(&args.deployment.flags())?;
    let transaction = context.required_transaction(args.transaction)?;
    let session = block_on(session::of_transaction(transaction, &settings, context, &context.store()?))?;
    write(args.format, &session, &settings, context)
}

/// What makes a shell one with the role, in which `daypass` still finds what it was asked with before: keys, or the profile that counts
/// where there are none.
fn script(role: &[(&str, String)], role_key_ids: &[String], settings: &Settings, world: &dyn World) -> String {
    let export = |name: &str, value: &str| format!("export {name}={}\n", quoted(value));
    let mut lines: Vec<_> = asking::kept(world, role_key_ids).iter().map(|(name, value)| export(name, value)).collect();
    let profile = PROFILES.into_iter().find_map(|name| world.variable(name));
    if let Some(profile) = profile
        && world.variable("AWS_ACCESS_KEY_ID").is_none()
        && settings.get(Key::AwsProfile).is_none()
    {
        lines.push(export(&Key::AwsProfile.variable(), &profile));
    }
    // Some SDKs prefer a profile to keys.
    lines.push(format!("unset {} {OLD_TOKEN}\n", PROFILES.join(" ")));
    lines.extend(role.iter().map(|(name, value)| export(name, value)));
    lines.concat()
}

/// For a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn write(format: EnvFormat, session: &Session, settings: &Settings, context: &Context) -> Result<ExitCode, Error> {
    let mut variables = session.role.variables().to_vec();
    variables.push((asking::OWN, session.role.access_key_id.clone()));
    variables.push((TRANSACTION_VARIABLE, session.grant.transaction_id.to_string()));
    // A session of a role has no blank, quote or line feed in it.
    let lines = || variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect::<Vec<_>>().concat();
    if format != EnvFormat::Shell
        && let Some(name) = PROFILES.into_iter().find(|name| context.world.variable(name).is_some())
    {
        context.output.warn(&format!("{name} is set, and takes precedence over the role in some AWS SDKs: unset it"));
    }
    match format {
        EnvFormat::Shell if context.output.format() != output::Format::Text => {
            let object: Map<_, _> = variables.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            print(&json_text(&object.into()))
        }
        EnvFormat::Shell => print(&script(&variables, &session.role_key_ids, settings, context.world)),
        EnvFormat::Dotenv => print(&lines()),
        EnvFormat::Github => {
            let file = context.world.variable(GITHUB_FILE).ok_or_else(|| {
                Error::usage(format!("{GITHUB_FILE} is not set, so this is not a step of a GitHub job"))
                    .remedy("use `--format shell`")
            })?;
            let failed = |what: &str, error| Error::new(Kind::Failed, format!("{what} cannot be written: {error}"));
            // Before anybody can print them.
            let role = &session.role;
            let secrets = [role.access_key_id.as_str(), role.secret_access_key.expose(), role.session_token.expose()];
            let masks = secrets.map(|secret| format!("::add-mask::{secret}\n")).concat();
            io::stdout()
                .write_all(masks.as_bytes())
                .and_then(|()| io::stdout().flush())
                .map_err(|error| failed("the masks of the secrets", error))?;
            let appended = OpenOptions::new().append(true).create(true).open(&file);
            // Somebody may have left a line without an end, which would take the first of these.
            let lines = format!("\n{}", lines());
            appended
                .and_then(|mut file| file.write_all(lines.as_bytes()))
                .map_err(|error| failed(&format!("{file} ({GITHUB_FILE})"), error))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{settings::Flags, world::FakeWorld};

    fn script_in(variables: &[(&str, &str)]) -> String {
        let world = FakeWorld::with(variables);
        let settings = Settings::resolve(&Flags::default(), &world).unwrap();
        script(&[("AWS_ACCESS_KEY_ID", "ASIAROLE".to_owned())], &[], &settings, &world)
    }

    #[test]
    fn daypass_is_asked_with_what_it_was_asked_with_before() {
        let role = "unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SECURITY_TOKEN\nexport AWS_ACCESS_KEY_ID='ASIAROLE'\n";
        let (id, secret) = (("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "wJal'r"));
        let kept = "export DAYPASS_ASKING_ACCESS_KEY_ID='AKIA'\nexport DAYPASS_ASKING_SECRET_ACCESS_KEY='wJal'\\''r'\n";
        let profile = ("AWS_PROFILE", "work");
        assert_eq!(script_in(&[]), role);
        assert_eq!(script_in(&[id, secret]), format!("{kept}{role}"));
        assert_eq!(script_in(&[id, secret, profile]), format!("{kept}{role}"), "keys count more");
        assert_eq!(script_in(&[profile]), format!("export DAYPASS_AWS_PROFILE='work'\n{role}"));
        assert_eq!(script_in(&[profile, ("DAYPASS_AWS_PROFILE", "hub")]), role);
        assert_eq!(script_in(&[id, secret, (asking::OWN, id.1)]), role, "once more");
    }
}
