//! `daypass doctor`: will a request work from here, and if not, why?
//!
//! It looks and changes nothing: no role is asked for, and no token is sent.

use std::{path::PathBuf, process::ExitCode};

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_types::SdkConfig;
use daypass::{
    decision::check_user,
    ids::{AccountId, Email},
    names::{CONTRACT_TAG, CONTRACT_VERSION, INVOKER_ROLE, OPEN_ENVIRONMENTS_TAG},
    stage::Named as _,
};
use daypass_aws::AwsError;
use daypass_identity_center::IdentityStore;

use self::{
    check::{Check, Status},
    clock::AwsClock,
    target::{Configuration, Deployment},
    targets::Access,
};
use super::request_of;
use crate::{
    client::{aws, identity_token::Tokens, machine::MachineArn, time::now},
    context::{Context, block_on},
    error::{Error, lacking_credentials},
    settings::{DeploymentArgs, IdentityStoreArgs, Key, RequestArgs, Settings, Use},
};

mod check;
mod clock;
mod lenders;
mod survivors;
mod target;
mod targets;
mod token;

const CREDENTIALS: &str = "credentials";
const TARGETS: &str = "Target accounts";

/// What follows `daypass doctor`.
#[derive(clap::Args)]
#[command(after_help = "\
Nothing is changed: no role is requested, and the identity token is not sent. A check that needs other \
credentials is skipped and names them.

Exit codes: 0 no check failed; 1 a check failed; 2 wrong usage.")]
pub struct Args {
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    identity_store: IdentityStoreArgs,
    /// An AWS profile that may read the identity store [default: the current credentials]
    #[arg(long, value_name = "NAME", help_heading = "Optional checks")]
    identity_profile: Option<String>,
    /// An AWS profile that may read IAM in the target account, to check that it is on-boarded and whom its roles trust; `{account}`
    /// and `{account_id}` stand for the account's name and id
    #[arg(long, value_name = "NAME", help_heading = TARGETS)]
    target_profile: Option<String>,
    /// A role in the target account with these permissions, assumed with the credentials of --target-profile, else with the
    /// current credentials
    #[arg(long, value_name = "NAME", help_heading = TARGETS)]
    target_role: Option<String>,
    /// The deployment's configuration, cdk/daypass.config.json: also compares the external ids that target accounts accept
    #[arg(long, value_name = "FILE", help_heading = TARGETS)]
    deployment_config: Option<PathBuf>,
    /// Examine every account of personas.json, and nothing else
    #[arg(long, conflicts_with_all = ["account", "account_id", "identity_profile"], help_heading = TARGETS)]
    all_targets: bool,
    /// The personas.json that has the accounts
    #[arg(long, value_name = "FILE", default_value = "personas.json", requires = "all_targets", help_heading = TARGETS)]
    personas: PathBuf,
    #[command(flatten)]
    deployment: DeploymentArgs,
}

/// Looks at everything, and prints what it has found.
pub fn run(args: &Args, context: &mut Context) -> Result<ExitCode, Error> {
    let flags = args.deployment.flags().and(args.request.flags()).and(args.identity_store.flags());
    if args.target_role.as_deref().is_some_and(|role| role.contains(':')) {
        return Err(Error::usage("--target-role must be the name of a role, with its path if it has one, not an ARN"));
    }
    if args.all_targets {
        return targets::run(args, &context.settings(&flags)?, context);
    }
    let configuration = args.deployment_config.as_deref().map(Configuration::read).transpose()?;
    let checks = match context.settings_of_request(&flags, Use::All) {
        Ok(settings) => block_on(async { Ok(examine(args, configuration, &settings, context).await) })?,
        Err(error) => vec![Check::error("configuration", &error)],
    };
    let printed = context.output.result(&check::text(&checks), &check::as_json(&checks))?;
    Ok(if check::worst(&checks) == Status::Fail { ExitCode::from(1) } else { printed })
}

async fn examine(
    args: &Args,
    configuration: Option<Configuration>,
    settings: &Settings,
    context: &Context,
) -> Vec<Check> {
    let _progress = context.output.progress("checking the request");
    let mut checks = vec![deployment(settings), what_is_asked(settings)];
    let Ok(provision) = settings.machine(Key::ProvisionArn) else { return checks };
    let site = match Site::connect(settings, context, provision).await {
        Ok(site) => site,
        Err(error) => {
            checks.push(Check::error(CREDENTIALS, &error));
            return checks;
        }
    };
    let identity = who(&site.config, &site.clock).await;
    let is_somebody = identity.is_ok();
    checks.extend(site.examine(settings, identity).await);
    let tokens = Tokens::of(settings.system, context.world, &site.connector);
    checks.push(token::check(settings, context.world, tokens, now()).await);
    if is_somebody || args.identity_profile.is_some() {
        checks.push(site.person(args, settings).await);
    }
    if is_somebody || args.target_profile.is_some() {
        let deployment = targets::deployment(configuration, settings).map(|(deployment, _)| deployment);
        checks.extend(site.target_account(args, settings, deployment).await);
    }
    checks
}

/// Where each value comes from.
fn told(settings: &Settings, keys: &[Key]) -> String {
    let each = |key: &Key| {
        let setting = settings.get(*key)?;
        Some(format!("{} {} ({})", key.name(), setting.value, setting.origin))
    };
    keys.iter().filter_map(each).collect::<Vec<_>>().join(", ")
}

fn deployment(settings: &Settings) -> Check {
    const NAME: &str = "deployment";
    for key in [Key::ProvisionArn, Key::DeprovisionArn, Key::RenewArn] {
        if let Err(error) = settings.machine(key) {
            return Check::error(NAME, &error);
        }
    }
    Check::ok(
        NAME,
        told(settings, &[Key::ProvisionArn, Key::InvokerRoleArn, Key::AwsProfile, Key::IdentityTokenAudience]),
    )
}

fn what_is_asked(settings: &Settings) -> Check {
    const NAME: &str = "request";
    if settings.get(Key::Account).is_none() && settings.get(Key::AccountId).is_none() {
        return Check::skipped(NAME, "no account is given; --account also checks the request");
    }
    match request_of(settings) {
        Ok(_) => Check::ok(
            NAME,
            told(settings, &[Key::Email, Key::Branch, Key::Account, Key::AccountId, Key::GroupType, Key::Ttl]),
        ),
        Err(error) => Check::error(NAME, &error),
    }
}

/// The deployment, as it can be seen from here.
struct Site {
    provision: MachineArn,
    connector: SharedHttpConnector,
    /// The credentials that are there.
    ambient: SdkConfig,
    /// Those that Daypass is asked with.
    config: SdkConfig,
    clock: AwsClock,
}

/// An endpoint, and what came of a call to it.
type Call = (&'static str, Result<(), AwsError>);

/// Whose credentials these are, by the ARN; the clock reads AWS's off the answer.
async fn who(config: &SdkConfig, clock: &AwsClock) -> Result<String, AwsError> {
    let call = aws_sdk_sts::Client::new(config).get_caller_identity();
    let answer = call.customize().interceptor(clock.clone()).send().await;
    Ok(answer.map_err(AwsError::of("sts:GetCallerIdentity"))?.arn.unwrap_or_default())
}

impl Site {
    async fn connect(settings: &Settings, context: &Context, provision: MachineArn) -> Result<Self, Error> {
        let connector = aws::connector()?;
        let ambient = aws::ambient(provision.region(), &connector, settings.text(Key::AwsProfile), &[]).await?;
        let tokens = Tokens::of(settings.system, context.world, &connector);
        let config = match settings.text(Key::InvokerRoleArn) {
            Some(role) => aws::as_invoker(&ambient, role, tokens),
            None => ambient.clone(),
        };
        Ok(Self { provision, connector, ambient, config, clock: AwsClock::default() })
    }

    /// Credentials, network, clock and machines.
    async fn examine(&self, settings: &Settings, identity: Result<String, AwsError>) -> Vec<Check> {
        let mut checks = vec![self.credentials(settings, &identity)];
        // What credentials are no good for fails in the same way everywhere: it is said once.
        let known = identity.is_ok();
        let mut calls: Vec<Call> = vec![("sts", identity.map(drop))];
        let mut parts = Vec::new();
        if !calls.iter().any(|(_, answer)| answer.as_ref().is_err_and(lacks_credentials)) {
            for key in [Key::ProvisionArn, Key::RenewArn, Key::DeprovisionArn] {
                let Ok(machine) = settings.machine(key) else { continue };
                let (checks, call) = self.machine(&machine).await;
                parts.extend(checks);
                calls.push(("states", call));
            }
            calls.push(("sync-states", self.sync_states().await));
            if settings.get(Key::IdentityTokenAudience).is_some() {
                let (check, call) = self.token_key(settings).await;
                parts.push(check);
                calls.push(("kms", call));
            }
        }
        checks.extend([endpoints(self.provision.region(), &calls), self.clock.check()]);
        checks.extend(parts.into_iter().filter(|_| known));
        checks
    }

    fn credentials(&self, settings: &Settings, identity: &Result<String, AwsError>) -> Check {
        let arn = match identity {
            Ok(arn) => arn,
            Err(error) => return Check::error(CREDENTIALS, &Error::from(error)),
        };
        if let Some(role) = settings.get(Key::InvokerRoleArn) {
            return Check::ok(CREDENTIALS, format!("{arn}, assumed as `invoker_role_arn` ({}) says", role.origin));
        }
        if arn.contains(&format!(":{}:assumed-role/{INVOKER_ROLE}/", self.provision.account())) {
            return Check::ok(CREDENTIALS, arn);
        }
        Check::warn(
            CREDENTIALS,
            format!("{arn}, which is not the invoker role"),
            "set `invoker_role_arn` to the hub stack's output InvokerRoleArn, or use its credentials",
        )
    }

    /// Whether the machine is there, takes what this command sends, and wants a proof of whose run it is.
    async fn machine(&self, machine: &MachineArn) -> (Vec<Check>, Result<(), AwsError>) {
        let name = format!("machine {}", machine.name());
        let answer = aws::states(&self.config).list_tags_for_resource().resource_arn(machine.to_string()).send().await;
        let tags = match answer.map_err(AwsError::of("states:ListTagsForResource")) {
            Ok(answer) => answer.tags.unwrap_or_default(),
            Err(error) => return (vec![unseen(&name, machine, &error)], Err(error)),
        };
        let value = |key| tags.iter().find(|tag| tag.key() == Some(key)).and_then(|tag| tag.value());
        let open = value(OPEN_ENVIRONMENTS_TAG).map(open_environments);
        ([contract(&name, value(CONTRACT_TAG))].into_iter().chain(open).collect(), Ok(()))
    }

    /// `StartSyncExecution` has an endpoint of its own, and behind private endpoints it is easily forgotten. Asking a machine
    /// that is not there starts nothing.
    async fn sync_states(&self) -> Result<(), AwsError> {
        let nobody = self.provision.named("daypass-doctor");
        let call = aws::states(&self.config).start_sync_execution().state_machine_arn(nobody.to_string());
        call.send().await.map(drop).map_err(AwsError::of("states:StartSyncExecution"))
    }

    /// Whether identity tokens can be sealed.
    async fn token_key(&self, settings: &Settings) -> (Check, Result<(), AwsError>) {
        const NAME: &str = "token key";
        let key = settings.text(Key::IdentityTokenKeyArn).unwrap_or_default();
        let answer = aws_sdk_kms::Client::new(&self.config).get_public_key().key_id(key).send().await;
        match answer.map_err(AwsError::of("kms:GetPublicKey")) {
            Ok(_) => (Check::ok(NAME, key), Ok(())),
            Err(error) => (Check::error(NAME, &Error::from(&error)), Err(error)),
        }
    }

    /// Whether Identity Center knows the person.
    async fn person(&self, args: &Args, settings: &Settings) -> Check {
        const NAME: &str = "person";
        let (Some(store), Some(_)) = (settings.text(Key::IdentityStoreId), settings.get(Key::Email)) else {
            let variable = Key::IdentityStoreId.variable();
            return Check::skipped(
                NAME,
                format!("needs --identity-store-id (or {variable}), and the person's e-mail address"),
            );
        };
        let email: Email = match settings.parsed(Key::Email, str::parse) {
            Ok(email) => email,
            Err(error) => return Check::error(NAME, &error),
        };
        let config = self.profile(args.identity_profile.as_deref()).await;
        match IdentityStore::new(aws_sdk_identitystore::Client::new(&config), store.to_owned())
            .user(email.as_str())
            .await
        {
            // In the words of the decision that Daypass takes.
            Ok(user) => match check_user(&email, user.map(|user| user.enabled)) {
                Ok(()) => Check::ok(NAME, format!("{email} is in Identity Center, and enabled")),
                Err(no) => Check::error(NAME, &Error::named(no.name().as_str(), "denied", &no.to_string())),
            },
            Err(error) if error.is_access_denied() && args.identity_profile.is_none() => Check::skipped(
                NAME,
                "these credentials may not read Identity Center; give a profile that may with --identity-profile",
            ),
            Err(error) => Check::error(NAME, &Error::from(&error)),
        }
    }

    /// Whether the target account is on-boarded, and who can come in by what deployments have left there. Only its own
    /// credentials can see that: the hub's functions may enter it, and nobody else.
    async fn target_account(
        &self,
        args: &Args,
        settings: &Settings,
        deployment: Result<Deployment, Error>,
    ) -> Vec<Check> {
        const NAME: &str = "target account";
        let Ok(account) = settings.parsed(Key::AccountId, str::parse::<AccountId>) else {
            return vec![Check::skipped(NAME, "no account is given; use --account")];
        };
        let deployment = match deployment {
            Ok(deployment) => deployment,
            Err(error) => return vec![Check::error(NAME, &error)],
        };
        let access = Access::new(args, &self.ambient, &self.connector);
        let name = settings.text(Key::Account).unwrap_or_default();
        let (config, partition) = match access.to(&account, name).await {
            Ok(found) => found,
            Err(_) if !access.is_given() => {
                let only = format!("only credentials of {account} can check that it is on-boarded");
                let how = "give a profile with --target-profile, or a role with --target-role, or try `daypass exec` with \
                           the command `true`";
                return vec![Check::skipped(NAME, format!("{only}: {how}"))];
            }
            Err(error) => return vec![Check::error(NAME, &error)],
        };
        let target = match target::examine(&account, &partition, &deployment, &config).await {
            Ok(checks) => target::summary(NAME, &checks),
            Err(error) => Check::error(NAME, &error),
        };
        vec![target, survivors::look(&account, &config).await, lenders::look(&config).await]
    }

    /// What clients with a profile's credentials are built from; without one, with those that are there.
    async fn profile(&self, name: Option<&str>) -> SdkConfig {
        if name.is_none() {
            return self.ambient.clone();
        }
        aws::of_profile(name, self.ambient.region().cloned(), &self.connector).await
    }
}

/// Whether there was nobody to call as.
fn lacks_credentials(error: &AwsError) -> bool {
    lacking_credentials(error).is_some()
}

/// Whether AWS can be reached. A refusal is an answer.
fn endpoints(region: &str, calls: &[Call]) -> Check {
    const NAME: &str = "endpoints";
    let silent = calls.iter().find_map(|(endpoint, answer)| {
        let error = answer.as_ref().err().filter(|error| error.code().is_none())?;
        (!lacks_credentials(error)).then_some((endpoint, error))
    });
    let mut names: Vec<_> = calls.iter().map(|(endpoint, _)| *endpoint).collect();
    names.dedup();
    match silent {
        Some((endpoint, error)) => Check::fail(
            NAME,
            format!("{endpoint} of {region} does not answer: {error}"),
            "open the network to it, or set HTTPS_PROXY; `states` and `sync-states` need a private endpoint each",
        ),
        None if calls.iter().any(|(_, answer)| answer.as_ref().is_err_and(lacks_credentials)) => {
            Check::skipped(NAME, "not checked without AWS credentials")
        }
        None => Check::ok(NAME, format!("{} of {region} answer", names.join(", "))),
    }
}

/// Whether the machine's contract is the one that this command knows.
fn contract(name: &str, version: Option<&str>) -> Check {
    let number = |version: &str| version.parse::<u32>().unwrap_or_default();
    match version {
        Some(version) if version == CONTRACT_VERSION => {
            Check::ok(name, format!("has contract {version}, like this command"))
        }
        Some(version) if number(version) > number(CONTRACT_VERSION) => Check::fail(
            name,
            format!("has contract {version}, but this command has {CONTRACT_VERSION}"),
            "install the version of `daypass` that belongs to the deployment (docs/install.md)",
        ),
        _ => Check::fail(
            name,
            format!("has contract {}, but this command has {CONTRACT_VERSION}", version.unwrap_or("0")),
            "ask the platform team to deploy the hub again: `make deploy STACK=DaypassHub`",
        ),
    }
}

/// What it means that the deployment opens these environments.
fn open_environments(names: &str) -> Check {
    let names = names.split_whitespace().collect::<Vec<_>>().join(", ");
    Check::warn(
        "open environments",
        format!(
            "no identity token is required in {names}: anyone who may assume the invoker role gets a role there in the \
             name of anyone who may have one"
        ),
        "in personas.json, remove `\"identity_token\": \"optional\"` of each; where the deployment's configuration has \
         no issuers, list them in `identity_tokens.issuers`; then deploy DaypassHub",
    )
}

/// A machine that cannot be looked at.
fn unseen(name: &str, machine: &MachineArn, error: &AwsError) -> Check {
    let remedy =
        "set its ARN to the hub stack's output; if it is correct, ask the platform team to deploy the hub again";
    match error.code() {
        Some("ResourceNotFound" | "ResourceNotFoundException" | "StateMachineDoesNotExist") => {
            Check::fail(name, format!("{machine} does not exist"), remedy)
        }
        Some(_) if error.is_access_denied() => Check::fail(
            name,
            format!("{machine} cannot be read: it does not exist, or these are not credentials of its invoker role"),
            remedy,
        ),
        _ => Check::error(name, &Error::from(error)),
    }
}

#[cfg(test)]
mod tests {
    use daypass_testing::samples::aws_error;

    use super::*;

    #[test]
    fn contracts() {
        assert_eq!(contract("m", Some(CONTRACT_VERSION)).status, Status::Ok);
        for (version, remedy) in [
            (Some("2"), "install"),
            (Some("0"), "deploy the hub"),
            (None, "deploy the hub"),
            (Some("x"), "deploy the hub"),
        ] {
            let check = contract("m", version);
            assert_eq!(check.status, Status::Fail, "{check:?}");
            assert!(check.remedy.as_ref().is_some_and(|text| text.contains(remedy)), "{check:?}");
        }
    }

    #[test]
    fn open_environments_are_a_warning() {
        let check = open_environments("non-production sandbox");
        assert_eq!(check.status, Status::Warn);
        assert!(check.detail.contains("required in non-production, sandbox: "), "{check:?}");
        assert!(check.remedy.as_ref().is_some_and(|text| text.contains("personas.json")), "{check:?}");
    }

    #[test]
    fn an_answer_is_an_answer_whatever_it_is() {
        let denied = || aws_error("states:StartSyncExecution", "AccessDeniedException");
        assert_eq!(
            endpoints("r", &[("sts", Ok(())), ("sync-states", Err(denied()))]).detail,
            "sts, sync-states of r answer"
        );
    }
}
