//! `daypass personas explain`: what would this person get in that account, and why?

use std::{fs, path::PathBuf, process::ExitCode};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use daypass::{ids::Email, issuer::Provider, persona::Personas};
use daypass_identity_center::IdentityStore;

use super::explanation::{Answer, Directory, Explanation, Question, Run};
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
`daypass` calls Identity Center with the credentials and the region of the `aws` command, including its profiles \
and AWS_ENDPOINT_URL. They need GetUserId, DescribeUser, GetGroupId and IsMemberInGroups of the identity store.

Exit codes: 0 a role would be granted; 1 it would be denied; 2 wrong usage, or a check was not possible.")]
pub struct Args {
    /// The person's e-mail address in Identity Center
    #[arg(long)]
    email: Email,
    /// The target account: its name or id
    #[arg(long, value_name = "NAME|ID")]
    account: String,
    /// The group type of the request [default: the file's `default_group_type`]
    #[arg(long, value_name = "TYPE")]
    group_type: Option<String>,
    /// The branch that would be deployed [default: any branch that may deploy]
    #[arg(long)]
    branch: Option<String>,
    /// The kind of issuer of the run's identity token [default: any run that may deploy]
    #[arg(long, value_parser = PossibleValuesParser::new(PROVIDERS).try_map(|name| Provider::named(&name).ok_or("no provider")))]
    provider: Option<Provider>,
    /// The run's repository, by the issuer's id
    #[arg(long, value_name = "ID", requires = "provider")]
    repository_id: Option<String>,
    /// The run's repository, by name
    #[arg(long, value_name = "OWNER/NAME", requires = "provider")]
    repository: Option<String>,
    /// The issuer's URL, if personas.json names issuers of repositories [default: any of them]
    #[arg(long, value_name = "URL", requires = "provider")]
    issuer: Option<String>,
    /// The personas.json to use
    #[arg(long, default_value = "personas.json")]
    file: PathBuf,
    #[command(flatten)]
    identity_store: IdentityStoreArgs,
    /// The older name of --output
    #[arg(long, value_enum, hide = true)]
    format: Option<Format>,
}

/// Prints the explanation.
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
    let directory = match settings.text(Key::IdentityStoreId) {
        Some(id) => {
            let config = aws::of_profile(None, None, &aws::connector()?).await;
            Directory::Known(IdentityStore::new(aws_sdk_identitystore::Client::new(&config), id.to_owned()))
        }
        None => Directory::NotNamed,
    };
    Ok(Explanation::of(question, &personas, &directory).await)
}
