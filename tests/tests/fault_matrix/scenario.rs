//! What clients do while a call is hit.

use std::{fmt, time::Duration};

use daypass::ids::TransactionId;
use daypass_tests::{
    aws::Refused,
    pipeline::{Access, Account, Answer, Request},
    stack::{Ended, Stack},
};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::run::age;

/// How long a client may wait: longer than a machine lets it.
const PATIENCE: Duration = Duration::from_mins(6);
const POLL: Duration = Duration::from_millis(150);
/// When a role is old enough for IAM to be believed: after five minutes. What comes late has come by then.
const OLD: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    Provision,
    Denied,
    Release,
    Lease,
    Renew,
    Race,
    TwoReleases,
    ReleaseMeanwhile,
    ClientGone,
}

impl Scenario {
    pub const ALL: [Self; 9] = [
        Self::Provision,
        Self::Denied,
        Self::Release,
        Self::Lease,
        Self::Renew,
        Self::Race,
        Self::TwoReleases,
        Self::ReleaseMeanwhile,
        Self::ClientGone,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::Denied => "denied",
            Self::Release => "release",
            Self::Lease => "lease",
            Self::Renew => "renew",
            Self::Race => "race",
            Self::TwoReleases => "two-releases",
            Self::ReleaseMeanwhile => "release-while-provisioning",
            Self::ClientGone => "client-gone",
        }
    }

    pub fn says(self) -> &'static str {
        match self {
            Self::Provision => "a pipeline with an identity token asks for a role in production and gets it",
            Self::Denied => "somebody who is in no group asks for the same, with a token of their own",
            Self::Release => "a role that is there is given back",
            Self::Lease => "nobody gives the role back, and its lease ends",
            Self::Renew => "new credentials for a role that is there",
            Self::Race => "the lease ends in the moment in which the role is given back",
            Self::TwoReleases => "the role is given back twice at once",
            Self::ReleaseMeanwhile => "the role is given back while it is being made",
            Self::ClientGone => "whoever asked hangs up while the role is being made, and never hears of it",
        }
    }

    /// Whether executions meet in it, so that it is not certain which one makes a call.
    pub fn races(self) -> bool {
        matches!(self, Self::Race | Self::TwoReleases | Self::ReleaseMeanwhile)
    }

    /// Whether a role that is granted stands for a while.
    fn leaves_alone(self) -> bool {
        matches!(self, Self::Provision | Self::Lease | Self::Renew)
    }

    /// Whether there is a role before the first call is hit.
    fn begins_with_a_role(self) -> bool {
        matches!(self, Self::Release | Self::Renew | Self::Race | Self::TwoReleases)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a client has learned.
#[derive(Clone, Debug)]
pub enum Told {
    /// Of a request for a role.
    Request(Answer),
    /// Of a request for new credentials.
    Renewal(Answer),
    /// Of a release, as whoever looks at its execution until it has ended.
    Release(Result<Ended, Refused>),
}

/// A scenario that is about to be played.
pub struct Cast {
    pub scenario: Scenario,
    pub request: Request,
    /// What an identity token is secret for: its signature.
    pub secrets: Vec<String>,
}

impl Cast {
    pub fn id(&self) -> TransactionId {
        self.request.transaction_id()
    }

    /// Everything that comes before the first call that may be hit.
    pub async fn prepare(stack: &Stack, scenario: Scenario) -> Self {
        let (request, secrets) = match scenario {
            Scenario::Provision | Scenario::Renew => proven(stack, "alex").await,
            Scenario::Denied => proven(stack, "mallory").await,
            _ => (Request::by("alex"), Vec::new()),
        };
        if scenario.begins_with_a_role() {
            let access = stack.provision(&request).await;
            stack.assume(&access).await;
        }
        stack.engine.forget_calls_about(request.transaction_id()).await;
        Self { scenario, request, secrets }
    }

    /// What clients do, and what they are told.
    pub async fn play(&self, stack: &Stack) -> Vec<Told> {
        match self.scenario {
            Scenario::Provision | Scenario::Denied | Scenario::Lease => {
                vec![Told::Request(stack.ask(&self.request).await)]
            }
            Scenario::Release => vec![self.release(stack).await],
            Scenario::Renew => vec![Told::Renewal(stack.ask_again(&self.request.renewal()).await)],
            Scenario::Race => {
                let lease = stack.lease(self.id());
                let (released, _) = futures_util::join!(self.release(stack), stack.engine.end_delay(&lease));
                vec![released]
            }
            Scenario::TwoReleases => {
                let (one, other) = futures_util::join!(self.release(stack), self.release(stack));
                vec![one, other]
            }
            Scenario::ReleaseMeanwhile => {
                let release = async {
                    self.until_a_role_is_made(stack).await;
                    self.release(stack).await
                };
                let (asked, released) = futures_util::join!(stack.ask(&self.request), release);
                vec![Told::Request(asked), released]
            }
            Scenario::ClientGone => {
                tokio::select! {
                    _ = stack.ask(&self.request) => {}
                    () = self.until_a_role_is_made(stack) => {}
                }
                Vec::new()
            }
        }
    }

    /// Whoever was granted something uses it; returns what does not work that should.
    pub async fn use_what_was_granted(&self, stack: &Stack, told: &[Told]) -> Vec<String> {
        let mut in_vain = Vec::new();
        for told in told {
            let (Told::Request(answer) | Told::Renewal(answer)) = told else { continue };
            let Ok(grant) = &answer.result else { continue };
            let access = Access::open(&self.request, answer.execution_arn.clone(), grant.clone());
            let mut assumed = stack.try_assume(&access).await;
            // An engine that is busy can answer with an error of its own, which is no refusal.
            for _ in 0..3 {
                if assumed.as_ref().is_err_and(|refused| !refused.is_refusal()) {
                    sleep(POLL).await;
                    assumed = stack.try_assume(&access).await;
                }
            }
            if let Err(refused) = assumed
                && self.scenario.leaves_alone()
            {
                in_vain.push(refused.to_string());
            }
        }
        in_vain
    }

    /// Until create-role is at work, or never will be.
    async fn until_a_role_is_made(&self, stack: &Stack) {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let calls = stack.engine.calls_about(self.id()).await;
            let over = ["Denied", "Failed", "RecordFailed", "RecordDenied"];
            if calls.iter().any(|call| call.state == "CreateRole" || over.contains(&call.state.as_str())) {
                return;
            }
            let executions = stack.engine.executions_about(self.id()).await;
            if !executions.is_empty() && executions.values().all(|status| status != "RUNNING" && status != "WAITING") {
                return;
            }
            sleep(POLL).await;
        }
    }

    /// Gives the role back and looks at that execution until it has ended. Time passes for it meanwhile, as it does for those
    /// that try again for a day.
    async fn release(&self, stack: &Stack) -> Told {
        let name = format!("{}-release-{}", self.id(), uuid::Uuid::new_v4().simple());
        let started = stack.start_deprovisioning(&name, &json!({"transaction_id": self.id()})).await;
        let Ok(execution) = started else { return Told::Release(started.map(|_| unreachable!("it was not started"))) };
        let (begun, deadline, mut aged) = (Instant::now(), Instant::now() + PATIENCE, false);
        loop {
            sleep(POLL).await;
            let status = stack.engine.executions_about(self.id()).await.remove(&execution);
            let runs = status.is_none_or(|status| status == "RUNNING" || status == "WAITING");
            if !runs || Instant::now() > deadline {
                return Told::Release(Ok(stack.described(&execution).await));
            }
            if begun.elapsed() > OLD && !aged {
                age(stack, self.id(), false).await;
                aged = true;
            }
            stack.engine.end_delay(&execution).await;
        }
    }
}

/// A request to production with the token of a job of its own; and the token's signature.
async fn proven(stack: &Stack, login: &str) -> (Request, Vec<String>) {
    let request = Request::by(login).to(Account::Production);
    let claims = json!({
        "actor": login, "ref": "refs/heads/main", "check_run_id": daypass_tests::identity::new_job(),
    });
    let token = stack.engine.identity_token("github", &json!({"claims": claims})).await;
    let signature = token.rsplit('.').next().unwrap_or_default().to_owned();
    let sealed = stack.seal(&token).await;
    (request.with("identity_token", sealed), vec![signature])
}
