//! `daypass doctor --all-targets`: every account of personas.json, compared with the deployment.

use std::{cmp::Reverse, collections::BTreeMap, fs, path::Path, process::ExitCode, time::Duration};

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_types::SdkConfig;
use daypass::{ids::AccountId, persona::Personas};
use daypass_aws::AwsError;
use daypass_policies::partition_of;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::{
    Args, CREDENTIALS,
    check::{self, Check, Status, worst},
    clock::AwsClock,
    target::{self, Configuration, Deployment},
    who,
};
use crate::{
    client::aws,
    context::{Context, block_on},
    error::{Error, Kind, lacking_credentials},
    settings::{Key, Settings},
};

/// Accounts that are examined at a time.
const AT_ONCE: usize = 8;
/// How long an account may take, so that one of which AWS does not answer does not hold back what was found in the others. Retries
/// of a call alone take longer.
const LIMIT: Duration = Duration::from_mins(1);
const SESSION_NAME: &str = "daypass-doctor";
const PLACEHOLDERS: [&str; 2] = ["{account}", "{account_id}"];

/// The credentials for target accounts, as the command line selects them.
pub struct Access<'a> {
    profile: Option<&'a str>,
    /// The name of a role in each account.
    role: Option<&'a str>,
    ambient: &'a SdkConfig,
    connector: &'a SharedHttpConnector,
}

impl<'a> Access<'a> {
    pub fn new(args: &'a Args, ambient: &'a SdkConfig, connector: &'a SharedHttpConnector) -> Self {
        Self { profile: args.target_profile.as_deref(), role: args.target_role.as_deref(), ambient, connector }
    }

    /// Whether the command line selects credentials.
    pub fn is_given(&self) -> bool {
        self.profile.is_some() || self.role.is_some()
    }

    /// Whether the credentials are the same for all accounts, but for a role in each.
    fn has_one_base(&self) -> bool {
        !self.profile.is_some_and(|name| PLACEHOLDERS.iter().any(|it| name.contains(it)))
    }

    /// The name of the profile, with its placeholders filled in.
    fn profile_of(&self, account: &AccountId, name: &str) -> Option<String> {
        self.profile.map(|profile| profile.replace("{account_id}", account.as_str()).replace("{account}", name))
    }

    async fn base(&self, account: &AccountId, name: &str) -> SdkConfig {
        let Some(profile) = self.profile_of(account, name) else { return self.ambient.clone() };
        aws::of_profile(Some(&profile), self.ambient.region().cloned(), self.connector).await
    }

    /// What clients are built from that look at an account, and the partition that it is in.
    ///
    /// # Errors
    /// When there are no credentials, or they are not those of the account.
    pub async fn to(&self, account: &AccountId, name: &str) -> Result<(SdkConfig, String), Error> {
        let base = self.base(account, name).await;
        let whose = who(&base, &AwsClock::default()).await.map_err(|error| self.unusable(&error, account, name))?;
        let partition = partition_of(&whose).to_owned();
        if let Some(role) = self.role {
            let role = format!("arn:{partition}:iam::{account}:role/{}", role.trim_start_matches('/'));
            return Ok((assumed(&base, &role).await?, partition));
        }
        if whose.split(':').nth(4) == Some(account.as_str()) {
            return Ok((base, partition));
        }
        let reason = format!("only credentials of {account} can check that it is on-boarded; these are {whose}");
        Err(Error::usage(reason).remedy("give a profile of that account with --target-profile, or --target-role"))
    }

    fn unusable(&self, error: &AwsError, account: &AccountId, name: &str) -> Error {
        let found = lacking_credentials(error).unwrap_or_else(|| Error::from(error));
        match self.profile_of(account, name) {
            Some(profile) => found
                .context(&format!("the AWS profile `{profile}`"))
                .remedy("check that --target-profile is a profile of `~/.aws/config`, and is logged in"),
            None => found,
        }
    }
}

/// The credentials of a role in another account.
async fn assumed(base: &SdkConfig, role: &str) -> Result<SdkConfig, Error> {
    let failed = |error: AwsError| {
        Error::from(error).context(&format!("{role} cannot be assumed")).remedy(
            "check the name of --target-role, and that the role of the account trusts these credentials, which need \
             sts:AssumeRole",
        )
    };
    let call = aws_sdk_sts::Client::new(base).assume_role().role_arn(role).role_session_name(SESSION_NAME);
    let issued = call.send().await.map_err(AwsError::of("sts:AssumeRole")).map_err(failed)?.credentials;
    let issued = issued.ok_or_else(|| Error::usage(format!("STS answered without credentials of {role}")))?;
    let expires = issued.expiration.try_into().ok();
    let (id, secret) = (issued.access_key_id, issued.secret_access_key);
    let credentials =
        aws_credential_types::Credentials::new(id, secret, Some(issued.session_token), expires, "daypass-doctor");
    Ok(aws::with(base, credentials))
}

/// The deployment that targets belong to: as its configuration says, or the one that requests go to.
///
/// # Errors
/// When neither names a hub, or when they name different hubs.
pub fn deployment(configuration: Option<Configuration>, settings: &Settings) -> Result<(Deployment, String), Error> {
    let machine = match settings.get(Key::ProvisionArn) {
        None if configuration.is_some() => None,
        _ => Some(settings.machine(Key::ProvisionArn)?),
    };
    let Some(configuration) = configuration else {
        let machine = machine.ok_or_else(|| Error::usage("no deployment is given"))?;
        let hub = machine.account().parse().map_err(|_| Error::usage("`provision_arn` is of no account"))?;
        return Ok((Deployment { hub, external_ids: None }, machine.region().to_owned()));
    };
    let (hub, region) = (configuration.hub.account_id.clone(), configuration.hub.region.clone());
    if let Some(machine) = machine.filter(|machine| machine.account() != hub.as_str()) {
        let reason = format!(
            "the hub of --deployment-config is {hub}, and `provision_arn` is of another account: {}",
            machine.account()
        );
        return Err(Error::usage(reason).remedy("give the configuration of the deployment that requests go to"));
    }
    Ok((Deployment { hub, external_ids: Some(configuration.external_ids()) }, region))
}

/// An account, and what was found there.
struct Examined {
    name: String,
    account: AccountId,
    checks: Vec<Check>,
}

impl Examined {
    fn summary(&self) -> Check {
        let mut summary = target::summary(&self.name, &self.checks);
        if !summary.detail.starts_with(self.account.as_str()) {
            summary.detail = format!("{}: {}", self.account, summary.detail);
        }
        summary
    }
}

/// Examines every account of personas.json, and prints what it has found.
pub fn run(args: &Args, settings: &Settings, context: &Context) -> Result<ExitCode, Error> {
    let personas = personas(&args.personas)?;
    let configuration = args.deployment_config.as_deref().map(Configuration::read).transpose()?;
    let (deployment, region) = deployment(configuration, settings)?;
    let (broken, examined) = block_on(async {
        let connector = aws::connector()?;
        let ambient = aws::ambient(&region, &connector, settings.text(Key::AwsProfile), &[]).await?;
        let access = Access::new(args, &ambient, &connector);
        if access.has_one_base() && access.role.is_none() {
            return Err(Error::usage("--all-targets needs credentials of every account").remedy(
                "give --target-role NAME, a role that these credentials may assume in each account, or --target-profile \
                 with {account} or {account_id} in the name",
            ));
        }
        Ok(examine(&access, &personas, &deployment, context).await)
    })?;
    let mut summaries: Vec<Check> = broken.iter().cloned().collect();
    summaries.extend(examined.iter().map(Examined::summary));
    // Failures come first, then warnings, each in the order of the file.
    summaries.sort_by_key(|check| Reverse(check.status));
    let count = if broken.is_some() { String::new() } else { counted(&summaries) };
    let text = check::text(&summaries) + &count;
    let printed = context.output.result(&text, &as_json(broken.as_ref(), &examined))?;
    Ok(if worst(&summaries) == Status::Fail { ExitCode::from(1) } else { printed })
}

fn personas(file: &Path) -> Result<Personas, Error> {
    let name = file.display();
    let json = fs::read_to_string(file).map_err(|error| {
        Error::usage(format!("{name} cannot be read: {error}")).remedy("name the personas.json with --personas")
    })?;
    Personas::parse(&json).map_err(|error| {
        Error::usage(format!("{name} has {} errors", error.problems.len()))
            .remedy(format!("`daypass personas check {name}` shows them"))
    })
}

/// Every account with its checks, in the order of the file; or the failed check of the credentials that all accounts share.
async fn examine(
    access: &Access<'_>,
    personas: &Personas,
    deployment: &Deployment,
    context: &Context,
) -> (Option<Check>, Vec<Examined>) {
    let accounts = personas.accounts();
    let progress = context.output.progress(&format!("examining {} accounts", accounts.len()));
    // Shared credentials that do not work are reported once, not for every account.
    if let Some(first) = accounts.first().filter(|_| access.has_one_base()) {
        let base = access.base(first.id(), first.name()).await;
        if let Err(error) = who(&base, &AwsClock::default()).await {
            return (Some(Check::error(CREDENTIALS, &access.unusable(&error, first.id(), first.name()))), Vec::new());
        }
    }
    let mut done = 0;
    let mut found = BTreeMap::new();
    let mut examining = stream::iter(accounts.iter().enumerate())
        .map(|(at, account)| async move {
            let (name, account) = (account.name().to_owned(), account.id().clone());
            let checks = one(access, &account, &name, deployment).await;
            (at, Examined { name, account, checks })
        })
        .buffer_unordered(AT_ONCE);
    while let Some((at, examined)) = examining.next().await {
        found.insert(at, examined);
        done += 1;
        progress.goes_on(&format!("{done} of {}", accounts.len()));
    }
    (None, found.into_values().collect())
}

async fn one(access: &Access<'_>, account: &AccountId, name: &str, deployment: &Deployment) -> Vec<Check> {
    let found = async {
        let (config, partition) = access.to(account, name).await?;
        target::examine(account, &partition, deployment, &config).await
    };
    within(LIMIT, Box::pin(found)).await.unwrap_or_else(|error| vec![Check::error("access", &error)])
}

/// # Errors
/// Those of `found`, and that it did not come in time.
async fn within<T>(limit: Duration, found: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(limit, found).await.unwrap_or_else(|_| {
        let reason = format!("AWS did not answer within {} s", limit.as_secs());
        Err(Error::new(Kind::TryAgain, reason).remedy("try again; a proxy or an endpoint may not be reachable"))
    })
}

/// `12 accounts: 1 fail, 2 warn, 9 ok`.
fn counted(summaries: &[Check]) -> String {
    let of = |status: Status| summaries.iter().filter(|check| check.status == status).count();
    let counts = [Status::Fail, Status::Warn, Status::Ok].map(|status| (of(status), status.name()));
    let counts: Vec<_> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    let accounts = summaries.len();
    format!("{accounts} account{}: {}\n", if accounts == 1 { "" } else { "s" }, counts.join(", "))
}

/// For programs.
fn as_json(broken: Option<&Check>, examined: &[Examined]) -> Value {
    let each = |Examined { name, account, checks }: &Examined| {
        let mut found = check::as_json(checks);
        found["account"] = name.as_str().into();
        found["account_id"] = account.as_str().into();
        found
    };
    let checks: Vec<Check> = broken.into_iter().cloned().collect();
    let mut report = check::as_json(&checks);
    let all = examined.iter().map(|it| worst(&it.checks)).chain([worst(&checks)]);
    report["status"] = all.max().unwrap_or(Status::Ok).name().into();
    report["targets"] = json!(examined.iter().map(each).collect::<Vec<_>>());
    report
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use daypass_testing::samples::query_service;

    use super::*;
    use crate::output::Output;

    const ROLE: &str = "audit/Auditor";

    /// The accounts of the project, and as many others.
    fn personas(others: usize) -> Personas {
        let mut json: Value = serde_json::from_str(include_str!("../../../../personas.json")).unwrap();
        let accounts = json["accounts"].as_array_mut().unwrap();
        for i in 0..others {
            let mut account = accounts[0].clone();
            (account["name"], account["id"]) = (format!("other-{i}").into(), format!("{:012}", 600_000 + i).into());
            accounts.push(account);
        }
        Personas::parse(&json.to_string()).unwrap()
    }

    fn deployment() -> Deployment {
        Deployment { hub: "111111111111".parse().unwrap(), external_ids: None }
    }

    async fn examined(config: &SdkConfig, personas: &Personas) -> (Option<Check>, Vec<Examined>) {
        let connector = aws::connector().unwrap();
        let access = Access { profile: None, role: Some(ROLE), ambient: config, connector: &connector };
        examine(&access, personas, &deployment(), &Context::new(Output::silent())).await
    }

    const WHO: &str = "<Arn>arn:aws-cn:sts::111111111111:assumed-role/Operator/me</Arn>";
    const CREDENTIALS_OF_THE_ROLE: &str = "<Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId>\
        <SecretAccessKey>x</SecretAccessKey><SessionToken>y</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>";

    #[tokio::test]
    async fn an_account_that_cannot_be_reached_does_not_stop_the_others() {
        let config = query_service(|operation, input| match operation {
            "GetCallerIdentity" => Ok(WHO.to_owned()),
            "AssumeRole" if input["RoleArn"] == "arn:aws-cn:iam::222222222222:role/audit/Auditor" => {
                Err("AccessDenied")
            }
            "AssumeRole" => Ok(CREDENTIALS_OF_THE_ROLE.to_owned()),
            "GetRole" => Err("NoSuchEntity"),
            other => panic!("{other}"),
        });
        let (broken, found) = examined(&config, &personas(20)).await;
        assert_eq!(broken, None);
        assert_eq!(found.len(), 22);
        let summary = found[0].summary();
        assert_eq!((summary.name.as_str(), summary.status), ("payments-dev", Status::Fail));
        let words =
            "222222222222: arn:aws-cn:iam::222222222222:role/audit/Auditor cannot be assumed: sts:AssumeRole failed";
        assert!(summary.detail.starts_with(words), "{summary:?}");
        for (at, examined) in found.iter().enumerate().skip(1) {
            assert_eq!(examined.checks[0].name, "on-boarded", "{:?}", examined.checks);
            assert!(at < 2 || examined.name == format!("other-{}", at - 2), "in the order of the file");
        }
        let json = as_json(None, &found);
        assert_eq!((&json["status"], &json["targets"][1]["account_id"]), (&"fail".into(), &"333333333333".into()));
        assert_eq!(json["targets"][0]["checks"][0]["check"], "access");
    }

    #[tokio::test]
    async fn an_account_that_does_not_answer_fails_in_time() {
        let error = within::<()>(Duration::from_millis(1), std::future::pending()).await.unwrap_err();
        assert!(error.line().contains("AWS did not answer within"), "{error:?}");
        assert_eq!(within(LIMIT, std::future::ready(Ok(7))).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn credentials_that_are_none_are_said_once() {
        let asked = Arc::new(AtomicUsize::new(0));
        let calls = asked.clone();
        let config = query_service(move |operation, _| {
            assert_eq!(operation, "GetCallerIdentity");
            calls.fetch_add(1, Ordering::Relaxed);
            Err("ExpiredToken")
        });
        let (broken, found) = examined(&config, &personas(20)).await;
        let broken = broken.expect("a check");
        assert_eq!((broken.name.as_str(), broken.status, found.len()), ("credentials", Status::Fail, 0));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert_eq!(as_json(Some(&broken), &[])["status"], "fail");
    }

    #[tokio::test]
    async fn a_profile_has_the_name_or_the_id_of_an_account() {
        let (config, connector) = (query_service(|_, _| Err("AccessDenied")), aws::connector().unwrap());
        let access = |profile| Access { profile: Some(profile), role: None, ambient: &config, connector: &connector };
        assert!(access("audit").has_one_base());
        for name in ["audit-{account}", "{account_id}"] {
            assert!(!access(name).has_one_base(), "{name}");
        }
        assert_eq!(
            access("{account_id}-{account}-x").profile_of(&"222222222222".parse().unwrap(), "payments-dev").as_deref(),
            Some("222222222222-payments-dev-x")
        );
    }

    #[test]
    fn accounts_are_counted_by_what_was_found() {
        let checks = [Check::fail("a", "", ""), Check::ok("b", ""), Check::ok("c", ""), Check::warn("d", "", "")];
        assert_eq!(counted(&checks), "4 accounts: 1 fail, 1 warn, 2 ok\n");
        assert_eq!(counted(&checks[1..2]), "1 account: 1 ok\n");
    }
}
