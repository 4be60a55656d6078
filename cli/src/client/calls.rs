//! The calls to Daypass: ask, renew, assume, release.

use std::time::Duration;

use aws_sdk_sfn::{
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    operation::start_sync_execution::StartSyncExecutionOutput,
    types::SyncExecutionStatus,
};
use aws_types::SdkConfig;
use daypass::{
    contract::{Cause, Grant, Granted, ProvisionInput, RenewInput, Request, SessionCredentials, Status},
    error::ErrorName,
    ids::TransactionId,
    timestamp::Timestamp,
};
use daypass_aws::{AwsError, Refusal};
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::{
    aws,
    deployment::Deployment,
    envelope::ContentKey,
    identity_token::{Tokens, ready},
    machine::MachineArn,
    release::{Release, Releases},
    renewal,
    role_session::RoleSession,
    run_key::RunKey,
    secret::Secret,
    store::Store,
    time::now,
};
use crate::{
    context::Context,
    error::{Error, Kind, lacking_credentials},
    output::Output,
    settings::{self, Settings},
};

/// How long a role that was just made may take to become assumable. IAM needs 2 to 30 seconds.
const PROPAGATION: Duration = Duration::from_mins(1);
/// An EXPRESS execution ends after five minutes: its answer may take as long.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5 * 60 + 10);
/// What AWS says of a session that does not count any more.
const DEAD: [&str; 5] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
];
/// How long it may take to see whether a session still counts.
const LOOK: Duration = Duration::from_secs(5);
/// How often AWS may ask to slow down before it is given up.
const ATTEMPTS: u32 = 4;

/// Daypass, asked with somebody's credentials.
pub struct Client {
    deployment: Deployment,
    config: SdkConfig,
    states: aws_sdk_sfn::Client,
    releases: Releases,
    tokens: Option<Tokens>,
    ready: Option<(&'static str, Secret)>,
    output: Output,
}

/// Whether IAM may still have to propagate a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Propagation {
    /// The role was just made: it may take a while until it can be assumed.
    New,
    /// The role has been assumed before.
    Known,
}

impl Client {
    /// Connects as whoever is to ask, which is none of the deploy role's own sessions.
    pub async fn connect(
        deployment: Deployment,
        settings: &Settings,
        role_key_ids: &[String],
        context: &Context,
    ) -> Result<Self, Error> {
        let Context { output, world } = context;
        let connector = aws::connector()?;
        let profile = settings.text(settings::Key::AwsProfile);
        let mut config = aws::ambient(deployment.deprovision.region(), &connector, profile, role_key_ids).await?;
        let tokens = || Tokens::of(settings.system, *world, &connector);
        if let Some(role) = &deployment.invoker_role {
            config = aws::as_invoker(&config, role, tokens());
        }
        let states = aws::states(&config);
        Ok(Self {
            releases: Releases::of(&states, deployment.deprovision.clone()),
            states,
            tokens: tokens(),
            ready: ready(*world),
            output: output.clone(),
            config,
            deployment,
        })
    }

    /// The key that answers are to be sealed to. A token that is ready may have to do for whatever its job asks for, so it has a key of
    /// its own; where that cannot be kept, the first request uses the token up.
    pub fn key(&self, store: &Result<Store, Error>) -> RunKey {
        let Some((variable, token)) = &self.ready else { return RunKey::generate() };
        let kept = store.as_ref().map_err(Clone::clone).and_then(|store| store.key_for(token));
        kept.unwrap_or_else(|error| {
            self.output.note(&format!("the token of {variable} is valid for this request only: {}", error.reason()));
            RunKey::generate()
        })
    }

    /// Keeps that key from the command that now runs, as the token is: who has both can ask for what this job may have.
    pub fn hide_key(&self, store: &Result<Store, Error>) -> Result<(), Error> {
        let (Some((_, token)), Ok(store)) = (&self.ready, store) else { return Ok(()) };
        store.hide_key(token)
    }

    /// Keeps it for the next command of the job.
    pub fn keep_key(&self, store: &Result<Store, Error>, key: &RunKey) {
        if let (Some((variable, token)), Ok(store)) = (&self.ready, store)
            && let Err(error) = store.keep_key(token, key)
        {
            self.output.note(&format!("the token of {variable} was used already: {}", error.reason()));
        }
    }

    /// What clients of other services are built from.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// The machine that gives roles back.
    pub fn releases(&self) -> &Releases {
        &self.releases
    }

    /// A transaction id that nobody has used. It is known before Daypass is asked, so that whatever comes of a call whose
    /// answer is lost can be given back.
    pub fn new_transaction() -> Result<TransactionId, Error> {
        let id = Uuid::new_v4().hyphenated().to_string();
        id.parse().map_err(|_| Error::new(Kind::Failed, "the system has no randomness for a transaction id"))
    }

    /// Asks for a role, with a token of [`Client::identity_token`]. A lifetime that nobody has wished for is given up when the
    /// deployment refuses it: `ttl_is_derived`.
    ///
    /// # Errors
    /// When it is not granted, or nobody knows whether it is; then what there may be has been given back.
    pub async fn request(
        &self,
        transaction: TransactionId,
        request: &Request,
        ttl_is_derived: bool,
        key: &RunKey,
        token: Option<&str>,
    ) -> Result<(Grant, SessionCredentials), Error> {
        let Some(machine) = &self.deployment.provision else {
            return Err(Error::usage("`provision_arn` is not set: the output ProvisionArn of the hub stack"));
        };
        let what = format!("requesting a role in {} as {} ({transaction})", request.target_aws_account, request.email);
        let progress = self.output.progress(&what);
        let asked = async |request: &Request| {
            let input = ProvisionInput { request, recipient: &key.recipient(), identity_token: token };
            self.ask(machine, &transaction.to_string(), &input).await.map(|answer| opened(answer, transaction, key))
        };
        let mut answer = asked(request).await;
        if let Ok(Err(error)) = &answer
            && ttl_is_derived
            && is_about_the_lifetime(error)
        {
            // Refused before anything was recorded, so the id and the token are as good as new.
            self.output.note(&format!("{}; requesting the deployment's default", error.reason()));
            answer = asked(&Request { role_ttl_hours: None, ..request.clone() }).await;
        }
        let error = match answer {
            Ok(answer) => match answer {
                Ok(granted) => return Ok(granted),
                Err(error) if error.is(ErrorName::TransactionConflict) => {
                    return Err(error.about(transaction).and(&format!(
                        "if an earlier request of yours has this id, `daypass release {transaction}` gives back what \
                         came of it"
                    )));
                }
                // Daypass has said no, and has taken back what it had made.
                Err(error) if error.is_named() => return Err(error.about(transaction)),
                // It may have been granted: the answer cannot be used, or the machine has broken off.
                Err(error) => error,
            },
            // AWS has surely not begun.
            Err(failed) if failed.name() == ErrorName::Throttled => return Err(Error::from(failed).about(transaction)),
            Err(failed) if !may_have_arrived(&failed) => return Err(Error::from(failed).about(transaction)),
            // The answer is lost: it may have been granted.
            Err(failed) => failed.into(),
        };
        drop(progress);
        let _progress = self.output.progress("releasing a role that may exist");
        let came = came_of(transaction, self.releases.release_lost(transaction).await);
        Err(error.about(transaction).and(&came))
    }

    /// Asks for credentials anew, and becomes the role that was granted once more.
    ///
    /// # Errors
    /// When there is none: the person may not have it any more, the lease has ended, or something else is wrong.
    pub async fn renew(
        &self,
        transaction: TransactionId,
        key: &RunKey,
        email: &str,
        duration: Option<Duration>,
    ) -> Result<(Grant, RoleSession), Error> {
        let Some(machine) = &self.deployment.renew else {
            return Err(Error::usage("`renew_arn` is not set: the output RenewArn of the hub stack"));
        };
        let (recipient, token) = (key.recipient(), self.identity_token().await?);
        let input = RenewInput { transaction_id: transaction, recipient: &recipient, identity_token: token.as_deref() };
        let answer = self.ask(machine, &Uuid::new_v4().to_string(), &input).await?;
        let (grant, pipeline) = opened(answer, transaction, key).map_err(|error| error.about(transaction))?;
        let session = self.become_role(&grant, email, &pipeline, duration, Propagation::Known).await?;
        Ok((grant, session))
    }

    /// Starts an EXPRESS machine and waits for its answer. It is started once: only where AWS surely has not begun, because
    /// it asked to slow down, is it asked again.
    async fn ask(
        &self,
        machine: &MachineArn,
        name: &str,
        input: &impl Serialize,
    ) -> Result<StartSyncExecutionOutput, AwsError> {
        let input = json!(input).to_string();
        let once = aws_sdk_sfn::config::Builder::new().retry_config(RetryConfig::disabled()).timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(ANSWER_TIMEOUT)
                .operation_timeout(ANSWER_TIMEOUT)
                .build(),
        );
        let mut attempt = 1;
        loop {
            let call = self.states.start_sync_execution().state_machine_arn(machine.to_string()).name(name);
            let call = call.input(&input).customize().config_override(once.clone());
            let answer = call.send().await.map_err(AwsError::of("states:StartSyncExecution"));
            match answer {
                Err(error) if attempt < ATTEMPTS && error.name() == ErrorName::Throttled => {
                    sleep(Duration::from_millis(500).mul_f64(renewal::between(0.5, 1.5)) * 2_u32.pow(attempt)).await;
                    attempt += 1;
                }
                answer => return answer,
            }
        }
    }

    /// The run's identity token in its envelope, where there is one to be had.
    ///
    /// # Errors
    /// When CI gives none, or it cannot be sealed.
    pub async fn identity_token(&self) -> Result<Option<String>, Error> {
        let token = match (&self.ready, &self.deployment.token_audience, &self.tokens) {
            (Some((_, token)), ..) => token.clone(),
            (None, Some(audience), Some(tokens)) => tokens.fetch(audience).await?,
            (None, ..) => return Ok(None),
        };
        let Some(key_arn) = &self.deployment.token_key else {
            return Err(Error::usage(
                "`identity_token_key_arn` is not set: the output IdentityTokenKeyArn of the hub stack",
            ));
        };
        let sealed = |_| Error::new(Kind::Failed, "the identity token cannot be sealed: the system has no randomness");
        let content_key = ContentKey::generate().map_err(sealed)?;
        let call = aws_sdk_kms::Client::new(&self.config).encrypt().key_id(key_arn);
        let call = call.encryption_algorithm(aws_sdk_kms::types::EncryptionAlgorithmSpec::RsaesOaepSha256);
        let encrypted = call.plaintext(aws_sdk_kms::primitives::Blob::new(content_key.bytes())).send().await;
        let encrypted = encrypted.map_err(AwsError::of("kms:Encrypt"))?.ciphertext_blob.unwrap_or_default();
        content_key.seal(encrypted.as_ref(), token.expose()).map(Some).map_err(sealed)
    }

    /// Becomes the deploy role, which was just made: it is waited for.
    pub async fn assume(
        &self,
        grant: &Grant,
        email: &str,
        pipeline: &SessionCredentials,
        duration: Option<Duration>,
    ) -> Result<RoleSession, Error> {
        let session = self.become_role(grant, email, pipeline, duration, Propagation::New).await?;
        self.settled(grant).await;
        Ok(session)
    }

    /// Waits until the policies of a new role can be expected to be in effect in every region, but not beyond its end.
    async fn settled(&self, grant: &Grant) {
        let Some(usable_at) = grant.usable_at else { return };
        let pause = settling(usable_at, grant.expires_at, now());
        if pause.is_zero() {
            return;
        }
        let _progress =
            self.output.progress(&format!("waiting until {usable_at} for the role's policies to reach every region"));
        sleep(pause).await;
    }

    /// Whether AWS still takes a session of a deploy role: it may have been given back elsewhere. Nobody's answer is as good as a yes.
    pub async fn check(&self, session: &RoleSession, transaction: TransactionId) -> Result<(), Error> {
        let credentials = aws::credentials(&session.access_key_id, &session.secret_access_key, &session.session_token);
        let sts = aws_sdk_sts::Client::new(&aws::with(&self.config, credentials));
        let asked = timeout(LOOK, sts.get_caller_identity().send());
        let answer = asked.await.map(|answer| answer.map_err(AwsError::of("sts:GetCallerIdentity")));
        match answer {
            // An AccessDenied is none of it: a policy may refuse this call, and nothing else.
            Ok(Err(refusal)) if refusal.code().is_some_and(|code| DEAD.contains(&code)) => {
                let reason = format!("{refusal}: the role has been released or deleted");
                Err(Error::new(Kind::Failed, reason).remedy("request a new role").about(transaction))
            }
            _ => Ok(()),
        }
    }

    async fn become_role(
        &self,
        grant: &Grant,
        email: &str,
        pipeline: &SessionCredentials,
        duration: Option<Duration>,
        propagation: Propagation,
    ) -> Result<RoleSession, Error> {
        let SessionCredentials { access_key_id, secret_access_key, session_token, expiration } = pipeline;
        let credentials = aws::credentials(access_key_id, &Secret::new(secret_access_key), &Secret::new(session_token));
        let sts = aws_sdk_sts::Client::new(&aws::with(&self.config, credentials));
        let seconds = i32::try_from(duration.unwrap_or(settings::SESSION_DURATION).as_secs()).unwrap_or(i32::MAX);
        let (began, mut progress, mut pause) = (Instant::now(), None, Duration::from_millis(500));
        loop {
            let call =
                sts.assume_role().role_arn(grant.iam_role_arn.to_string()).role_session_name(session_name(email));
            let failed = match call.duration_seconds(seconds).send().await.map_err(AwsError::of("sts:AssumeRole")) {
                Ok(answer) => {
                    let Some(issued) = answer.credentials else {
                        return Err(Error::new(Kind::Failed, "sts:AssumeRole answered without credentials"));
                    };
                    let ends = Timestamp::from_unix_seconds(issued.expiration.secs());
                    if ends <= now() {
                        return Err(Error::new(
                            Kind::Failed,
                            format!("the session that STS issued has already ended, at {ends}"),
                        )
                        .remedy("set the clock of this machine: `daypass doctor` compares it with AWS's")
                        .about(grant.transaction_id));
                    }
                    if ![&issued.access_key_id, &issued.secret_access_key, &issued.session_token]
                        .into_iter()
                        .all(|text| is_word(text))
                    {
                        return Err(Error::new(Kind::Failed, "sts:AssumeRole answered with invalid credentials")
                            .remedy("check the endpoint of STS (AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_STS)"));
                    }
                    return Ok(RoleSession {
                        access_key_id: issued.access_key_id,
                        secret_access_key: Secret::new(issued.secret_access_key),
                        session_token: Secret::new(issued.session_token),
                        expires_at: ends.min(grant.expires_at),
                        renew_at: renewal::moment(now(), ends, *expiration, grant.expires_at),
                    });
                }
                Err(failed) => failed,
            };
            if grant.expires_at <= now() {
                return Err(lease_ended(grant));
            }
            if !failed.is_access_denied() {
                return Err(Error::from(failed).about(grant.transaction_id));
            }
            // What a policy denies by name, no new role waits for.
            let denied = match failed.refusal() {
                Some(Refusal::Organization) => Some("an organisation policy: its owner has to exempt deploy roles"),
                Some(Refusal::ExplicitDeny) => {
                    Some("an explicit deny: the platform team has to find the policy that AWS names")
                }
                _ => None,
            };
            if let Some(remedy) = denied {
                return Err(Error::from(failed).remedy(remedy).about(grant.transaction_id));
            }
            if propagation == Propagation::Known {
                let reason = format!("{failed}: the role has been released or deleted");
                return Err(Error::new(Kind::Failed, reason).remedy("request a new role").about(grant.transaction_id));
            }
            if began.elapsed() + pause > PROPAGATION {
                let reason = format!("{failed}: the role could not be assumed within {} s", PROPAGATION.as_secs());
                return Err(Error::new(Kind::TryAgain, reason)
                    .remedy("try again; IAM usually needs some seconds to show a new role")
                    .about(grant.transaction_id));
            }
            let progress = progress.get_or_insert_with(|| self.output.progress("waiting for IAM to show the new role"));
            progress.goes_on(&format!("{} s", began.elapsed().as_secs()));
            sleep(pause.mul_f64(renewal::between(0.8, 1.2))).await;
            pause = (pause * 2).min(Duration::from_secs(4));
        }
    }
}

/// How long a role is left alone from `now` on. Neither for longer than a new role is waited for, whatever the clocks say, nor until its end
/// is over.
fn settling(usable_at: Timestamp, expires_at: Timestamp, now: Timestamp) -> Duration {
    usable_at.since(now).min(expires_at.since(now)).min(PROPAGATION)
}

/// Whether a call that failed may have begun what was asked: nobody has answered, or with an outage.
fn may_have_arrived(failed: &AwsError) -> bool {
    lacking_credentials(failed).is_none() && (failed.code().is_none() || failed.is_outage())
}

/// Whether it is one word of what AWS makes credentials of, base64 and the like. They are written into scripts and files of variables.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=_.-".contains(&byte))
}

/// What became of a request whose answer nobody can use, after it was released.
fn came_of(transaction: TransactionId, release: Result<Release, Error>) -> String {
    match release {
        Ok(Release::Ended(_)) => "the role of the request, if any, has been released".to_owned(),
        Ok(Release::Taken(taken)) => format!("{}; {}", taken.text(), taken.remedy()),
        Err(error) if error.is(ErrorName::TransactionNotFound) => format!(
            "Daypass does not know the request; if it still arrives, `daypass release {transaction}` releases the \
             role, or its lease ends it"
        ),
        Err(error) => format!(
            "if a role was granted, `daypass release {transaction}` releases it, or its lease ends it; it \
             could not be given back now: {}",
            error.reason()
        ),
    }
}

/// Whether the deployment refuses the lifetime: its least may be longer, or the most of this account and persona shorter.
fn is_about_the_lifetime(error: &Error) -> bool {
    error.is(ErrorName::InvalidRequest) && error.reason().contains("`role_ttl_hours`: ")
}

/// The lease has come to its end.
pub fn lease_ended(grant: &Grant) -> Error {
    Error::new(Kind::Failed, format!("the lease has ended, at {}", grant.expires_at))
        .remedy("request a new role, with a longer `--ttl` if that is allowed")
        .about(grant.transaction_id)
}

/// What `CloudTrail` shows beside the role: the address, as far as it may stand there.
/// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html> (`RoleSessionName`: 2 to 64 characters of
/// `[\w+=,.@-]`).
fn session_name(email: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    email.chars().take(64).map(|c| if allowed(c) { c } else { '_' }).collect()
}

/// Reads the answer of a machine.
fn opened(
    answer: StartSyncExecutionOutput,
    transaction: TransactionId,
    key: &RunKey,
) -> Result<(Grant, SessionCredentials), Error> {
    if answer.status != SyncExecutionStatus::Succeeded {
        return Err(refusal(answer.status == SyncExecutionStatus::TimedOut, answer.error, answer.cause));
    }
    let granted: Granted = serde_json::from_str(answer.output.as_deref().unwrap_or_default()).map_err(|error| {
        // Its text names fields, and values only where they have the wrong type; what is sealed is sealed.
        Error::new(Kind::Failed, format!("the answer does not match the contract: {error}"))
            .remedy("check that this `daypass` is as new as the deployment")
    })?;
    let Grant { transaction_id, iam_role_arn, status, .. } = &granted.grant;
    if *transaction_id != transaction || !transaction.owns(iam_role_arn) {
        return Err(Error::new(Kind::Failed, "the answer is about another transaction"));
    }
    if *status != Status::Provisioned {
        let status = status.as_str();
        return Err(Error::new(Kind::Failed, format!("the answer is no grant: its status is {status}")));
    }
    let credentials = key.unseal(&granted.sealed_credentials)?;
    Ok((granted.grant, credentials))
}

fn refusal(timed_out: bool, error: Option<String>, cause: Option<String>) -> Error {
    let (name, cause) = (error.unwrap_or_default(), cause.unwrap_or_default());
    match serde_json::from_str::<Cause>(&cause) {
        Ok(Cause { status, reason, .. }) => {
            Error::named(&name, &status, if reason.is_empty() { "it gave no reason" } else { &reason })
        }
        Err(_) if timed_out => Error::new(Kind::TryAgain, "Daypass did not answer in time").remedy("try again"),
        Err(_) => {
            let said = ["Daypass failed and gave no reason", &*name, &*daypass::text::shortened(&cause, 200)];
            let said: Vec<_> = said.into_iter().filter(|text| !text.is_empty()).collect();
            Error::new(Kind::Failed, said.join(": ")).remedy("tell the platform team: the machine's log has more")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use daypass_testing::samples::json_service;
    use serde_json::Value;

    use super::*;
    use crate::client::release::tests::{
        Fake, ID, IMPATIENT, Look, MACHINE, PATIENT, Start, ended, failed, fast, running,
    };

    #[test]
    fn session_names_are_what_sts_takes() {
        assert_eq!(session_name("alex+ci@example.com"), "alex+ci@example.com");
        assert_eq!(session_name("o'brien@example.com"), "o_brien@example.com");
        assert_eq!(session_name(&"a".repeat(80)).len(), 64);
    }

    #[test]
    fn a_new_role_is_left_alone_until_it_is_usable() {
        let at = |seconds: i64| Timestamp::from_unix_seconds(1_000 + seconds);
        let pause = |usable, expires, now| settling(at(usable), at(expires), at(now)).as_secs();
        assert_eq!(pause(10, 900, 3), 7);
        assert_eq!(pause(10, 900, 10), 0, "it is usable");
        assert_eq!(pause(10, 900, 20), 0, "it has been usable for a while");
        assert_eq!(pause(10, 5, 3), 2, "not beyond the end of the role");
        assert_eq!(pause(10, 5, 7), 0, "the role has ended");
        assert_eq!(pause(10, 900, -3_600), 60, "the clock of this machine is an hour behind");
    }

    #[test]
    fn a_refusal_says_what_daypass_said() {
        let cause = |status: &str| json!({"transaction_id": "x", "status": status, "reason": "so it is"}).to_string();
        let of = |name: &str, status: &str| refusal(false, Some(name.to_owned()), Some(cause(status)));
        let denied = of("Daypass.NotAMember", "denied");
        assert_eq!((denied.kind(), denied.reason()), (Kind::Denied, "so it is"));
        assert_eq!(of("Daypass.Throttled", "failed").kind(), Kind::TryAgain);
        assert_eq!(of("Daypass.InvalidRequest", "failed").kind(), Kind::Failed);
        assert_eq!(of("Daypass.Newer", "denied").kind(), Kind::Denied, "a newer deployment denies, too");
        let silent = json!({"transaction_id": "x", "status": "denied", "reason": ""}).to_string();
        let silent = refusal(false, Some("Daypass.NotAMember".to_owned()), Some(silent));
        assert_eq!((silent.kind(), silent.reason()), (Kind::Denied, "it gave no reason"));
        let broken = refusal(false, Some("States.Runtime".to_owned()), Some("no JSON".to_owned()));
        assert_eq!(
            (broken.kind(), broken.reason()),
            (Kind::Failed, "Daypass failed and gave no reason: States.Runtime: no JSON")
        );
        assert_eq!(refusal(true, None, None).kind(), Kind::TryAgain);
    }

    /// Daypass, where Step Functions answers requests like this, and releases come to what the fake says.
    fn answering(
        fake: &Arc<Mutex<Fake>>,
        limit: Duration,
        answer: impl Fn(&Value) -> Result<Value, &'static str> + Send + Sync + 'static,
    ) -> Client {
        let asked = Arc::clone(fake);
        let config = json_service(move |operation, input| {
            if operation == "StartSyncExecution" {
                assert_eq!(input["name"], ID);
                let request: Value = serde_json::from_str(input["input"].as_str().unwrap()).unwrap();
                let mut answer = answer(&request)?;
                answer["executionArn"] = "arn".into();
                answer["startDate"] = 0.into();
                answer["stopDate"] = 0.into();
                return Ok(answer);
            }
            asked.lock().unwrap().answer(operation, &input)
        });
        let provision: MachineArn = MACHINE.replace("deprovision", "provision").parse().unwrap();
        let states = aws::states(&config);
        Client {
            deployment: Deployment {
                renew: None,
                deprovision: MACHINE.parse().unwrap(),
                provision: Some(provision),
                invoker_role: None,
                token_key: None,
                token_audience: None,
            },
            releases: fast(limit, &states),
            states,
            config,
            tokens: None,
            ready: None,
            output: Output::silent(),
        }
    }

    fn request() -> Request {
        let request = json!({
            "target_aws_account": "payments-dev", "target_aws_account_id": "222222222222", "email": "alex@example.com", "branch": "main",
        });
        serde_json::from_value(request).unwrap()
    }

    /// What comes of a request that Step Functions answers like this, and how often it was released by then; releases come to
    /// `looks`.
    async fn requested(answer: Result<Value, &'static str>, limit: Duration, looks: &[Look]) -> (Error, usize) {
        let fake = Fake { starts: vec![Start::Taken], looks: looks.to_vec(), ..Fake::default() };
        let fake = Arc::new(Mutex::new(fake));
        let client = answering(&fake, limit, move |_| answer.clone());
        let request = request();
        let error = client.request(ID.parse().unwrap(), &request, false, &RunKey::generate(), None).await.unwrap_err();
        assert_eq!(error.json(None)["transaction_id"], ID);
        let released = fake.lock().unwrap().executions.len();
        (error, released)
    }

    /// Whether a role was granted is not known: there may be one that nobody can use.
    #[tokio::test]
    async fn a_request_without_a_usable_answer_is_released_and_told() {
        let no_answers = [
            (Err("ServiceUnavailable"), Kind::TryAgain),
            (Err("ServiceFailure"), Kind::TryAgain),
            (Err("GatewayTimeout"), Kind::TryAgain),
            (Err("RequestTimeoutException"), Kind::TryAgain),
            (Ok(json!({"status": "TIMED_OUT"})), Kind::TryAgain),
            (Ok(json!({"status": "FAILED", "error": "States.Runtime", "cause": "x"})), Kind::Failed),
            (Ok(json!({"status": "SUCCEEDED", "output": "{}"})), Kind::Failed),
        ];
        let not_found = || failed("Daypass.TransactionNotFound");
        let again = format!("`daypass release {ID}`");
        let cases = [
            (PATIENT, vec![running(), ended("deprovisioned")], "the role of the request, if any, has been released"),
            (PATIENT, vec![not_found(), ended("failed")], "the role of the request, if any, has been released"),
            (IMPATIENT, vec![not_found()], again.as_str()),
            (PATIENT, vec![failed("Daypass.InvalidRequest")], again.as_str()),
            (IMPATIENT, vec![running()], "Daypass has accepted the release and keeps trying"),
        ];
        for (answer, kind) in &no_answers {
            for (limit, looks, said) in &cases {
                let (error, released) = requested(answer.clone(), *limit, looks).await;
                assert!(released > 0, "{answer:?}");
                assert_eq!(error.kind(), *kind, "{answer:?}");
                assert!(error.line().contains(said), "{answer:?} {looks:?}: {}", error.line());
            }
        }
    }

    /// Credentials are unsealed only of a grant of the own role.
    #[tokio::test]
    async fn a_grant_is_of_the_own_role_and_provisioned() {
        let own = format!("arn:aws:iam::222222222222:role/daypass/daypass-{ID}");
        let cases = [
            (
                "arn:aws:iam::222222222222:role/daypass/daypass-0d2f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11",
                "provisioned",
                "another transaction",
            ),
            ("arn:aws:iam::222222222222:role/admin", "provisioned", "another transaction"),
            (&own, "denied", "no grant: its status is denied"),
            (&own, "provisioned", "sealed credentials"),
        ];
        for (role, status, said) in cases {
            let output = json!({
                "transaction_id": ID, "iam_role_arn": role, "role_name": "name", "role_ttl_hours": 1.0, "persona": "Product_Admin",
                "expires_at": "2026-11-23T11:00:00Z", "status": status, "sealed_credentials": "sealed to nobody",
            });
            let answer = json!({"status": "SUCCEEDED", "output": output.to_string()});
            let (error, released) = requested(Ok(answer), PATIENT, &[ended("deprovisioned")]).await;
            assert!(error.reason().contains(said), "{role} {status}: {}", error.reason());
            assert!(released > 0, "{role} {status}");
        }
    }

    #[tokio::test]
    async fn what_aws_has_refused_is_not_released() {
        for code in ["AccessDeniedException", "ValidationException", "ThrottlingException"] {
            let (error, released) = requested(Err(code), PATIENT, &[running()]).await;
            assert_eq!(released, 0, "{code}: {}", error.line());
        }
    }

    fn refused(error: &str, status: &str, reason: &str) -> Value {
        let cause = json!({"transaction_id": ID, "status": status, "reason": reason}).to_string();
        json!({"status": "FAILED", "error": error, "cause": cause})
    }

    /// A deployment may cap what this command makes up, and then nothing is worse than it was.
    #[tokio::test]
    async fn a_lifetime_that_nobody_has_wished_for_fails_no_request() {
        const TOO_LONG: &str =
            "`role_ttl_hours`: 1 is out of range: Product_Admin may have 0.25 to 0.5 hours in production";
        let cases = [
            // Whose wish it is, what is refused, and the lifetimes that are asked for.
            (true, "Daypass.InvalidRequest", TOO_LONG, vec![json!(1.0), Value::Null]),
            (false, "Daypass.InvalidRequest", TOO_LONG, vec![json!(1.0)]),
            (true, "Daypass.InvalidRequest", "`branch`: it is not role_ttl_hours", vec![json!(1.0)]),
            (true, "Daypass.NotAMember", TOO_LONG, vec![json!(1.0)]),
        ];
        for (ttl_is_derived, error, reason, expected) in cases {
            let fake = Arc::new(Mutex::new(Fake::default()));
            let asked = Arc::new(Mutex::new(Vec::new()));
            let seen = Arc::clone(&asked);
            let client = answering(&fake, PATIENT, move |request| {
                let lifetime = request["role_ttl_hours"].clone();
                seen.lock().unwrap().push(lifetime.clone());
                Ok(match lifetime {
                    Value::Null => refused("Daypass.UserNotFound", "denied", "so it is"),
                    _ => refused(error, "failed", reason),
                })
            });
            let (request, key) = (Request { role_ttl_hours: Some(1.0), ..request() }, RunKey::generate());
            let refusal = client.request(ID.parse().unwrap(), &request, ttl_is_derived, &key, None).await.unwrap_err();
            assert_eq!(*asked.lock().unwrap(), expected, "{error} {reason}");
            let said = if expected.len() == 1 { reason } else { "so it is" };
            assert_eq!(refusal.reason(), said, "it is the last answer that counts");
            assert!(fake.lock().unwrap().started.is_empty(), "nothing was granted, so nothing is released");
        }
    }

    #[tokio::test]
    async fn a_refusal_is_believed_and_a_conflict_can_be_released() {
        let refused = |error, status| Ok(refused(error, status, "so it is"));
        let (error, released) = requested(refused("Daypass.NotAMember", "denied"), PATIENT, &[running()]).await;
        assert_eq!((error.kind(), released), (Kind::Denied, 0));
        let (error, released) =
            requested(refused("Daypass.TransactionConflict", "failed"), PATIENT, &[running()]).await;
        // It may be another's: whoever asks has to say that it is theirs.
        assert_eq!((error.kind(), released), (Kind::Failed, 0));
        assert!(
            error.line().contains(&format!("`daypass release {ID}` gives back what came of it")),
            "{}",
            error.line()
        );
    }
}
