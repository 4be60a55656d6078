//! `daypass personas explain`: what would this person get in that account, and why?

use std::{env, fs, path::PathBuf, process::ExitCode};

use aws_config::BehaviorVersion;
use aws_smithy_http_client::{
    Builder,
    tls::{self, rustls_provider::CryptoMode},
};
use clap::{
    ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use daypass::{identity_center::IdentityStore, ids::Email, issuer::Provider, persona::Personas};

use crate::{
    explanation::{Answer, Explanation, Question, Run, Store},
    output::{Output, print},
};

/// The identity store, when the command line names none.
const STORE_VARIABLE: &str = "DAYPASS_IDENTITY_STORE_ID";

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
    /// The identity store, d-1234567890 [default: the environment's `DAYPASS_IDENTITY_STORE_ID`]
    #[arg(long, value_name = "ID")]
    identity_store_id: Option<String>,
    /// How to print the explanation
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One object, for programs
    Json,
}

/// Prints the explanation.
pub fn run(args: &Args, output: &Output) -> ExitCode {
    let explanation = match explain(args) {
        Ok(explanation) => explanation,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let text = match args.format {
        Format::Text => explanation.to_string(),
        Format::Json => format!("{:#}\n", explanation.json()),
    };
    if let Err(error) = print(&text) {
        return output.error(&error);
    }
    match explanation.answer() {
        Answer::Yes => ExitCode::SUCCESS,
        Answer::No => ExitCode::from(1),
        Answer::Unknown => ExitCode::from(2),
    }
}

fn explain(args: &Args) -> Result<Explanation, String> {
    let file = args.file.display();
    let json = fs::read_to_string(&args.file).map_err(|error| format!("{file}: cannot be read: {error}"))?;
    let personas = Personas::parse(&json).map_err(|error| {
        let count = error.problems.len();
        format!("{file}: has {count} errors; `daypass personas check {file}` shows them")
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
    let named = args.identity_store_id.clone().or_else(|| env::var(STORE_VARIABLE).ok().filter(|id| !id.is_empty()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the runtime does not start: {error}"))?;
    Ok(runtime.block_on(async {
        let store = match named {
            Some(id) => Store::Known(identity_store(id).await),
            None => Store::NotNamed,
        };
        Explanation::of(question, &personas, &store).await
    }))
}

/// The identity store, asked as whoever the `aws` command would be.
async fn identity_store(id: String) -> IdentityStore {
    let http = Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https();
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
    IdentityStore::new(aws_sdk_identitystore::Client::new(&config), id)
}
