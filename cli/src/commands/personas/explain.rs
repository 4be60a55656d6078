//! `daypass personas explain`: what would this person get in that account, and why?

use std::{fs, path::PathBuf, process::ExitCode};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use daypass::{ids::Email, issuer::Provider, persona::Personas};
use daypass_identity_center::IdentityStore;

use super::explanation::{Answer, Explanation, Question, Run, Store};
use crate::{
    client::aws,
    context::{Context, block_on},
    error::Error,
    output::{Format, json_text, print},
    settings::{IdentityStoreArgs, Key, Settings},
};

const PROVIDERS: [&str; 3] = [Provider::Github.as_str(), Provider::Gitlab.as_str(), Provider::Other.as_str()];

/// What follows `daypass personas explain`.
#[derive(clap::Args)]
#[command(after_help = "\
Identity Center is asked with the credentials and the region that the `aws` command would use, profiles and
AWS_ENDPOINT_URL included; they need GetUserId, DescribeUser, GetGroupId and IsMemberInGroups of the identity store.

Exit codes: 0 a role would be granted; 1 it would be denied; 2 wrong usage, or something could not be checked.")]
pub struct Args {
    /// The person's address in Identity Center
    #[arg(long)]
    email: Email,
    /// The account to deploy to: its name or its id
    #[arg(long, value_name = "NAME|ID")]
    account: String,
    /// The group type of the request [default: the file's `default_group_type`]
    #[arg(long, value_name = "TYPE")]
    group_type: Option<String>,
    /// The branch that would be deployed; without it, any that may be
    #[arg(long)]
    branch: Option<String>,
    /// The kind of the issuer of the run's identity token; without it, any run that may deploy is meant
    #[arg(long, value_parser = PossibleValuesParser::new(PROVIDERS).try_map(|name| Provider::named(&name).ok_or("no provider")))]
    provider: Option<Provider>,
    /// The repository of the run, by the id that its issuer gives
    #[arg(long, value_name = "ID", requires = "provider")]
    repository_id: Option<String>,
    /// The repository of the run, by its name
    #[arg(long, value_name = "OWNER/NAME", requires = "provider")]
    repository: Option<String>,
    /// The issuer's URL, where personas.json names the issuers of repositories [default: any of those]
    #[arg(long, value_name = "URL", requires = "provider")]
    issuer: Option<String>,
    /// The personas.json that counts
    #[arg(long, default_value = "personas.json")]
    file: PathBuf,
    #[command(flatten)]
    identity_store: IdentityStoreArgs,
    /// The older name of --output
    #[arg(long, value_enum, hide = true)]
    format: Option<Format>,
}

/// Prints the explanation.
///
/// # Errors
/// When the file cannot be read, or the result cannot be written.
pub fn run(args: &Args, context: &mut Context) -> Result<ExitCode, Error> {
    let settings = context.settings(&args.identity_store.flags())?;
    let explanation = block_on(explain(args, &settings))?;
    match args.format.unwrap_or_else(|| context.output.format()) {
        Format::Json => print(&json_text(&explanation.json())),
        _ => print(&explanation.to_string()),
    }?;
    Ok(match explanation.answer() {
        Answer::Yes => ExitCode::SUCCESS,
        Answer::No => ExitCode::from(1),
        Answer::Unknown => ExitCode::from(2),
    })
}

async fn explain(args: &Args, settings: &Settings) -> Result<Explanation, Error> {
    let file = args.file.display();
    let json = fs::read_to_string(&args.file);
    let json = json.map_err(|error| Error::usage(format!("{file}: cannot be read: {error}")))?;
    let personas = Personas::parse(&json).map_err(|error| {
        Error::usage(format!("{file}: has {} errors", error.problems.len()))
            .remedy(format!("`daypass personas check {file}` shows them"))
    })?;
    let question = Question {
        email: args.email.clone(),
        account: args.account.clone(),
        group_type: args.group_type.clone(),
        branch: args.branch.clone(),
        run: args.provider.map(|provider| Run {
            provider,
            issuer: args.issuer.clone(),
            repository_id: args.repository_id.clone(),
            repository: args.repository.clone(),
        }),
    };
    let store = match settings.text(Key::IdentityStoreId) {
        Some(id) => {
            let config = aws::of_profile(None, None, &aws::connector()?).await;
            Store::Known(IdentityStore::new(aws_sdk_identitystore::Client::new(&config), id.to_owned()))
        }
        None => Store::NotNamed,
    };
    Ok(Explanation::of(question, &personas, &store).await)
}
