//! `daypass exec`: one command with a role, which is given back when the command ends, however it ends.

use std::{
    env,
    ffi::OsString,
    io,
    os::unix::process::ExitStatusExt,
    panic::AssertUnwindSafe,
    process::{ExitCode, ExitStatus},
    time::Duration,
};

use daypass::{
    contract::{Grant, SessionCredentials},
    ids::TransactionId,
    timestamp::Timestamp,
};
use futures_util::FutureExt;
use tokio::{
    process::{Child, Command},
    time::sleep,
};

mod environment;

use environment::{Changes, Files};

use super::request_of;
use crate::{
    client::{
        Client, asking,
        deployment::Deployment,
        identity_token, profiles,
        release::{Release, unreleased},
        role_session::RoleSession,
        run_key::RunKey,
        store::Store,
        time::{now, until},
    },
    context::{Context, block_on},
    error::{Error, Kind},
    output::Output,
    process::Process,
    serve::{Current, Server},
    settings::{self, DeploymentArgs, RequestArgs, Settings, TRANSACTION_VARIABLE, Use},
    signals::{self, Signals},
    world::World,
};

/// What follows `daypass exec`.
#[derive(clap::Args)]
#[command(after_help = "    daypass exec --account payments-dev -- cdk deploy --all

The command gets AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, which are valid for an hour at \
most. With --serve it gets the address of a local endpoint instead. AWS SDKs and the aws command fetch \
credentials there; they are renewed until the lease ends. The command also gets DAYPASS_TRANSACTION_ID and \
DAYPASS_ROLE_ARN. It does not get the run's identity tokens, nor the variables to obtain them, unless \
--keep-identity-tokens is given.

Without --ttl the role lives as long as the command can use it: one hour; with --serve, until the time limit of \
the CI job.

Exit codes: the command's own (128 + n if signal n ended it); 126 the command cannot be executed; 127 the \
command is not found. Without a role: 2 wrong usage or configuration, 70 failed, 75 try again, 77 denied. If the \
command succeeds and its role cannot be released: 70 or 75. A release that Daypass has accepted but not \
confirmed within ten seconds is reported and does not change the exit code.")]
pub struct Args {
    /// Serve credentials on a local endpoint and renew them, instead of passing them in the environment
    #[arg(long)]
    serve: bool,
    /// Keep the run's identity tokens in the command's environment; the command can then request any role that this run may have
    #[arg(long)]
    keep_identity_tokens: bool,
    /// Keep this machine's AWS profiles; a profile that the command selects takes precedence over the role
    #[arg(long, conflicts_with = "serve")]
    keep_aws_profiles: bool,
    /// The command and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    deployment: DeploymentArgs,
}

/// Runs the command.
pub fn run(args: &Args, context: &mut Context) -> Result<ExitCode, Error> {
    block_on(exec(args, context)).map(ExitCode::from)
}

enum Outcome {
    /// No role was granted.
    Refused(Error),
    /// A role was granted, and this became of the command.
    Granted(Result<u8, Error>),
}

async fn exec(args: &Args, context: &mut Context) -> Result<u8, Error> {
    let used = if args.serve { Use::All } else { Use::OneSession };
    let settings = context.settings_of_request(&args.deployment.flags().and(args.request.flags()), used)?;
    let (context, output) = (&*context, &context.output);
    let (deployment, request) = (Deployment::of(&settings)?, request_of(&settings)?);
    let session_duration = settings.duration(settings::Key::SessionDuration)?;
    let environment = Environment::of(args, &settings, env::vars_os())?;
    if args.serve {
        for file in environment::files_before_an_endpoint(context.world) {
            let file = file.display();
            output.warn(&format!(
                "{file} has a default profile, which takes precedence over --serve in boto 2 and the AWS SDK for PHP: \
                 run such a command without --serve"
            ));
        }
    }
    context.tell_what_was_found(&settings);
    let client = Client::connect(deployment, &settings, &[], context).await?;
    let transaction = Client::new_transaction()?;
    let proof = client.identity_token().await?;
    let store = context.store();
    // From here on nothing but SIGKILL ends this process before the role has been given back.
    let signals = Signals::listen()?;
    let mut job = Job {
        client: &client,
        output,
        signals,
        key: client.key(&store),
        store: &store,
        email: request.email.to_string(),
        session_duration,
        serve: args.serve,
        environment,
    };
    let outcome = AssertUnwindSafe(async {
        // What is being granted has to be known to be given back.
        let asked = client.request(transaction, &request, settings.ttl_is_derived(), &job.key, proof.as_deref());
        let (granted, uninterrupted) = job.signals.outlasted(asked, output, "Daypass's answer").await;
        match (granted, uninterrupted) {
            (Ok((grant, pipeline)), Ok(())) => Outcome::Granted(job.run(grant, &pipeline, &args.command).await),
            (Ok(_), Err(interrupted)) => Outcome::Granted(Err(interrupted)),
            (Err(error), _) => Outcome::Refused(error),
        }
    });
    let panicked = || Error::new(Kind::Failed, "a bug in `daypass`; please report it").about(transaction);
    let outcome = outcome.catch_unwind().await.unwrap_or_else(|_| Outcome::Granted(Err(panicked())));
    match outcome {
        Outcome::Refused(error) => Err(error),
        Outcome::Granted(result) => {
            let result = give_back(&client, transaction, output, result).await;
            client.keep_key(&store, &job.key);
            result
        }
    }
}

/// Whatever happens: the role is given back.
async fn give_back(
    client: &Client,
    transaction: TransactionId,
    output: &Output,
    result: Result<u8, Error>,
) -> Result<u8, Error> {
    let progress = output.progress("releasing the role");
    let release = client.releases().release(transaction).await;
    drop(progress);
    let (result, warning) = concluded(transaction, release, result);
    if let Some(warning) = warning {
        output.warn(&warning);
    }
    result
}

/// What it comes to when the command has ended like this, and the release. What could not be given back is not silent, and is no
/// success; a command that has failed keeps its exit code, which says more to whoever runs it.
fn concluded(
    transaction: TransactionId,
    release: Result<Release, Error>,
    result: Result<u8, Error>,
) -> (Result<u8, Error>, Option<String>) {
    match (release, result) {
        (Ok(Release::Ended(_)), result) => (result, None),
        // The deployment is done, and Daypass does not give up: whoever ran it again would gain nothing.
        (Ok(Release::Taken(taken)), result) => (result, Some(taken.line())),
        (Err(error), Ok(0)) => {
            (Err(error.context("the command has succeeded, but its role could not be released")), None)
        }
        (Err(error), result) => (result, Some(unreleased(transaction, &error))),
    }
}

/// One command with its role.
struct Job<'a> {
    client: &'a Client,
    output: &'a Output,
    signals: Signals,
    store: &'a Result<Store, Error>,
    key: RunKey,
    email: String,
    session_duration: Option<Duration>,
    serve: bool,
    environment: Environment,
}

/// That of this process, and what the command gets of it.
struct Environment {
    ours: Vec<(OsString, OsString)>,
    changes: Changes,
    files: Files,
    keep_identity_tokens: bool,
    /// Whom the deployment's identity tokens are for.
    audience: Option<String>,
}

impl Environment {
    /// # Errors
    /// When a command could not be kept from running with other credentials.
    fn of(args: &Args, settings: &Settings, ours: impl Iterator<Item = (OsString, OsString)>) -> Result<Self, Error> {
        let (ours, files) =
            (ours.collect::<Vec<_>>(), if args.keep_aws_profiles { Files::Kept } else { Files::Hidden });
        Ok(Self {
            changes: environment::changes(&ours, files)?,
            ours,
            files,
            keep_identity_tokens: args.keep_identity_tokens,
            audience: settings.text(settings::Key::IdentityTokenAudience).map(str::to_owned),
        })
    }
}

impl Job<'_> {
    async fn run(&mut self, grant: Grant, pipeline: &SessionCredentials, command: &[OsString]) -> Result<u8, Error> {
        let Grant { role_name, persona, expires_at, .. } = &grant;
        self.output.note(&format!("granted {role_name} as {persona} until {expires_at}"));
        let assumed = self.client.assume(&grant, &self.email, pipeline, self.session_duration);
        let session = self.signals.unless(assumed).await?;
        let mut command = prepared(command, &grant, &self.environment);
        if self.environment.files == Files::Hidden {
            self.tell_the_region(&mut command).await;
        }
        let current = Current::new(session);
        let server = if self.serve {
            Some(self.endpoint(&grant, &current, &mut command).await?)
        } else {
            let session = current.get();
            command.env(asking::OWN, &session.access_key_id).envs(session.variables());
            None
        };
        self.client.hide_key(self.store)?;
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return Ok(self.not_started(&command, &error)),
        };
        let Some(server) = server else { return ended(supervised(&mut child, &mut self.signals).await) };
        let (client, output, duration) = (self.client, self.output, self.session_duration);
        tokio::select! {
            status = supervised(&mut child, &mut self.signals) => ended(status),
            never = server.run() => match never {},
            never = renewed(client, output, &self.key, &self.email, duration, grant, &current) => match never {},
        }
    }

    /// Opens the endpoint, and tells the command where it is.
    async fn endpoint(&self, grant: &Grant, current: &Current, command: &mut Command) -> Result<Server, Error> {
        let failed = |error| Error::new(Kind::Failed, format!("the endpoint for credentials cannot start: {error}"));
        let server = Server::listen(&grant.iam_role_arn.to_string(), current.clone()).await.map_err(failed)?;
        let variables = server.variables().map_err(failed)?;
        let (name, value) = environment::NOT_OF_THE_MACHINE;
        command.env(name, value).env(asking::OWN, &variables[0].1).envs(variables);
        Ok(server)
    }

    /// The command does not see the profile that has the region.
    async fn tell_the_region(&self, command: &mut Command) {
        // Not all SDKs read both.
        let names = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().filter(|name| Process.variable(name).is_none());
        match profiles::region().await {
            Ok(Some(region)) => {
                command.envs(names.map(|name| (name, &region)));
            }
            Err(error) if names.count() == 2 => self.output.note(&error.line()),
            Ok(None) | Err(_) => {}
        }
    }

    fn not_started(&self, command: &Command, error: &io::Error) -> u8 {
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let missing = error.kind() == io::ErrorKind::NotFound;
        let (code, what) = if missing { (127, "is not found") } else { (126, "cannot be executed") };
        self.output.warn(&format!("{} {what}: {error}", daypass::text::Quoted(&program)));
        code
    }
}

/// The command with its environment, which is this process's without what is not for it.
fn prepared(command: &[OsString], grant: &Grant, environment: &Environment) -> Command {
    let (program, arguments) = command.split_first().map_or((OsString::new(), &[][..]), |(p, a)| (p.clone(), a));
    let mut prepared = Command::new(program);
    prepared.args(arguments);
    change(&mut prepared, &environment.changes);
    if !environment.keep_identity_tokens {
        let (ours, audience) = (environment.ours.iter().cloned(), environment.audience.as_deref());
        identity_token::withhold(prepared.as_std_mut(), ours, audience);
    }
    prepared.env(TRANSACTION_VARIABLE, grant.transaction_id.to_string());
    prepared.env("DAYPASS_ROLE_ARN", grant.iam_role_arn.to_string());
    prepared
}

fn change(command: &mut Command, changes: &Changes) {
    for (name, value) in changes {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
}

/// Waits for the end of a command, and hands signals on to it meanwhile.
async fn supervised(child: &mut Child, signals: &mut Signals) -> io::Result<ExitStatus> {
    loop {
        tokio::select! {
            status = child.wait() => return status,
            signal = signals.next() => signals::forward(signal, child),
        }
    }
}

/// The exit code that stands for how a command has ended.
fn ended(status: io::Result<ExitStatus>) -> Result<u8, Error> {
    let status =
        status.map_err(|error| Error::new(Kind::Failed, format!("the status of the command is unknown: {error}")))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.unwrap_or_else(|| status.signal().map_or(u8::MAX, |signal| Kind::Interrupted(signal).code())))
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Renews the session as long as there is a lease. What goes wrong is said; the command runs on.
async fn renewed(
    client: &Client,
    output: &Output,
    key: &RunKey,
    email: &str,
    duration: Option<Duration>,
    mut grant: Grant,
    current: &Current,
) -> std::convert::Infallible {
    let transaction = grant.transaction_id;
    while let Some(moment) = current.get().renew_at {
        come(moment).await;
        let mut pause = FIRST_PAUSE;
        loop {
            match client.renew(transaction, key, email, duration).await {
                Ok((next, session)) => {
                    output.note(&format!("the session has been renewed until {}", session.expires_at));
                    grant = next;
                    current.put(session);
                    break;
                }
                Err(error) if error.kind() == Kind::Denied => {
                    output.explain(&error);
                    output.warn(&format!("the session is no longer renewed; it ends at {}", current.get().expires_at));
                    return std::future::pending().await;
                }
                Err(_) if grant.expires_at <= now() => {
                    output.warn(&format!("the lease has ended, at {}", grant.expires_at));
                    return std::future::pending().await;
                }
                Err(error) => {
                    let RoleSession { expires_at, .. } = current.get();
                    let (state, reason) = (if expires_at <= now() { "has ended" } else { "ends" }, error.reason());
                    output.warn(&format!(
                        "the session {state} at {expires_at}, and could not be renewed: {reason}; trying again in {} s",
                        pause.as_secs()
                    ));
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }
    output.note(&format!("the lease ends at {}, and with it the session", grant.expires_at));
    std::future::pending().await
}

/// Sleeps until `moment`, re-reading the clock: timers stand still while the machine is suspended.
async fn come(moment: Timestamp) {
    const LOOK: Duration = Duration::from_secs(30);
    while now() < moment {
        sleep(until(moment).min(LOOK)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::client::release::{End, Taken, tests::ID};

    #[test]
    fn the_command_has_no_other_credentials_and_no_identity_tokens() {
        let grant = serde_json::json!({
            "transaction_id": ID, "iam_role_arn": "arn:aws:iam::222222222222:role/daypass/name", "role_name": "name",
            "role_ttl_hours": 1,
            "expires_at": "2026-11-23T11:00:00Z", "persona": "Product_Admin", "status": "provisioned",
        });
        let grant: Grant = serde_json::from_value(grant).unwrap();
        let (tokens, credentials) = (["ACTIONS_ID_TOKEN_REQUEST_TOKEN", "DAYPASS_IDENTITY_TOKEN"], "AWS_ACCESS_KEY_ID");
        let of = |name: &str| (OsString::from(name), OsString::from(format!("of {name}")));
        let ours = vec![of(tokens[0]), of(tokens[1]), of(credentials), of("AWS_CONFIG_FILE")];
        let command: [OsString; 2] = ["deploy".into(), "--all".into()];
        let withheld = |keep_identity_tokens, files| {
            let changes = environment::changes(&ours, files).unwrap();
            let environment = Environment { changes, ours: ours.clone(), files, keep_identity_tokens, audience: None };
            let prepared = prepared(&command, &grant, &environment);
            let removed = prepared.as_std().get_envs().filter(|(_, value)| value.is_none());
            removed.map(|(name, _)| name.to_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
        };
        let all: BTreeSet<_> = [tokens[0], tokens[1], credentials].map(str::to_owned).into();
        assert_eq!(withheld(false, Files::Hidden), all);
        assert_eq!(withheld(false, Files::Kept), all);
        assert_eq!(withheld(true, Files::Hidden), [credentials.to_owned()].into());
    }

    #[test]
    fn a_success_needs_that_the_role_was_given_back() {
        let id: TransactionId = ID.parse().unwrap();
        let refused = || Error::named("Daypass.TransactionMismatch", "failed", "it is another one").about(id);
        let lost = || Error::new(Kind::TryAgain, "no answer").about(id);
        let no_role = || Err(Error::new(Kind::Failed, "it cannot be assumed"));
        for end in [End::Deprovisioned, End::Failed, End::Denied] {
            for code in [0, 3] {
                assert_eq!(concluded(id, Ok(Release::Ended(end)), Ok(code)), (Ok(code), None));
            }
        }
        for (error, code) in [(refused(), 70), (lost(), 75)] {
            let (result, warning) = concluded(id, Err(error.clone()), Ok(0));
            let told = result.unwrap_err();
            assert_eq!((told.kind().code(), warning), (code, None));
            assert!(
                told.reason().ends_with(&format!("could not be released: {}", error.reason())),
                "{}",
                told.reason()
            );
            // The remedy and the name are those of the release.
            assert_eq!(told.json(None)["error"], error.json(None)["error"]);
            for result in [Ok(3), no_role()] {
                let (same, warning) = concluded(id, Err(error.clone()), result.clone());
                assert_eq!(same, result);
                assert!(warning.unwrap().starts_with(&format!("{ID} could not be released: {}", error.reason())));
            }
        }
        let taken = || Ok(Release::Taken(Taken::of(id)));
        for result in [Ok(0), Ok(3), no_role()] {
            let (same, warning) = concluded(id, taken(), result.clone());
            assert_eq!(same, result);
            assert!(warning.unwrap().contains("has not confirmed yet that the role is gone"));
        }
    }
}
