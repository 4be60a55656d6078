//! What a test may ask of the engine itself, below `/_daypass/` (`local/daypass_local/control.py`).

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use daypass::ids::TransactionId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::aws::Endpoint;

/// One AWS call that somebody made: a client, a function or a state machine's task.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RecordedCall {
    /// ARN of who called.
    pub caller: String,
    /// As policies name it: `iam:CreateRole`.
    pub action: String,
    /// ARN that it was judged by, or `*`.
    pub resource: String,
    /// The parameters that say which role, and on whose behalf.
    pub parameters: BTreeMap<String, String>,
    /// Whom the caller's session names: what `CloudTrail` shows as `sourceIdentity`.
    pub source_identity: Option<String>,
    /// AWS's error code, when it failed.
    pub error: Option<String>,
    /// What a fault took the place of, if one did: of its `answer` only, or of the whole `call`. Or it let it happen `twice`,
    /// made it `slow`; and what was carried out `late` is another call.
    pub fault: Option<String>,
    /// The accounts of the caller and of the resource.
    pub accounts: Vec<String>,
    /// The transactions that the request names.
    pub transactions: Vec<String>,
    /// When it came in.
    pub at: String,
    /// The execution whose task it is, or for whose task the function is at work; empty for anybody else.
    pub execution: String,
    /// The name of that task's state.
    pub state: String,
}

impl RecordedCall {
    /// One line for people: when, in which state, who called what on which resource, and what came of it.
    #[must_use]
    pub fn line(&self) -> String {
        const LONGEST_VALUE: usize = 120;
        let last = |text: &str, by: char| text.rsplit(by).next().unwrap_or_default().to_owned();
        let by = if self.caller.contains(":assumed-role/") {
            self.caller.split_once('/').unwrap_or_default().1.to_owned()
        } else {
            last(&self.caller, '/')
        };
        let mut text =
            format!("{} {} {by}: {} {}", &self.at[11..23], self.state, self.action, last(&self.resource, ':'));
        for name in ["Name", "PolicyName", "PolicyArn", "UpdateExpression"] {
            if let Some(value) = self.parameters.get(name) {
                let _ = write!(text, " {name}={}", value.chars().take(LONGEST_VALUE).collect::<String>());
            }
        }
        if let Some(error) = &self.error {
            let _ = write!(text, " !{error}");
        }
        if let Some(fault) = &self.fault {
            let _ = write!(text, " (fault: {fault})");
        }
        text
    }
}

/// A permission that somebody's calls needed, since the engine started. Ids of transactions are `<id>`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Use {
    /// ARN of the caller's role, without its path; or of whoever else called.
    pub principal: String,
    /// Who assumed that role; nobody for a function's.
    pub via: Option<String>,
    /// The call, as policies name it.
    pub call: String,
    /// What it needed; nothing for a call that everybody may make.
    pub grant: Option<Grant>,
}

/// A permission, and the statement that gave it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Grant {
    /// Whose policy: the caller's, or that of the role that is assumed.
    pub policy: PolicyOf,
    pub action: String,
    pub resource: String,
    /// `Sid` of the statement; empty when it has none.
    pub statement: String,
}

/// Whose policy gave a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyOf {
    /// The caller's.
    Identity,
    /// The resource's.
    Resource,
}

/// A call that IAM refused.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Refusal {
    /// As in [`Use`].
    pub principal: String,
    /// As in [`Use`].
    pub via: Option<String>,
    /// The call, as policies name it.
    pub call: String,
    /// ARN that it was judged by.
    pub resource: String,
}

/// What all calls since the engine's start needed, and what was refused.
#[derive(Clone, Debug, Deserialize)]
pub struct Needs {
    /// What they needed.
    pub uses: Vec<Use>,
    /// What was refused.
    pub refusals: Vec<Refusal>,
}

/// A session that STS has issued.
#[derive(Clone, Debug, Deserialize)]
pub struct IssuedSession {
    /// The session's ARN.
    pub arn: String,
    /// Who assumed the role; nobody for a function's own session.
    pub via: Option<String>,
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: String,
}

/// Makes the next calls that fit it fail.
#[derive(Clone, Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the control interface has them")]
pub struct Fault {
    action: String,
    error: String,
    status: u16,
    times: u32,
    skip: u32,
    execute: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    cut_half: bool,
    instead: Instead,
    #[serde(skip_serializing_if = "Option::is_none")]
    late: Option<f64>,
    twice: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    slow: Option<f64>,
    spreads: bool,
}

/// What comes instead of an answer.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Instead {
    /// An error of AWS.
    Error,
    /// The connection is reset.
    Reset,
    /// Nothing, until the caller gives up.
    Silence,
    /// The function that has called dies; of a state machine's task, the one that is called.
    Death,
}

impl Fault {
    /// The next call of `action` is answered 503.
    #[must_use]
    pub fn of(action: &str) -> Self {
        let (action, error) = (action.to_owned(), "ServiceUnavailable".to_owned());
        Self {
            action,
            error,
            status: 503,
            times: 1,
            skip: 0,
            execute: false,
            cut_after: None,
            caller: None,
            resource: None,
            transaction: None,
            execution: None,
            state: None,
            cut_half: false,
            instead: Instead::Error,
            late: None,
            twice: false,
            slow: None,
            spreads: false,
        }
    }

    /// With this error instead.
    #[must_use]
    pub fn with(self, status: u16, error: &str) -> Self {
        Self { status, error: error.to_owned(), ..self }
    }

    /// The call is carried out; only its answer is lost.
    #[must_use]
    pub fn after_execution(self) -> Self {
        Self { execute: true, ..self }
    }

    /// The call is carried out; its answer ends with the first of this text in it.
    #[must_use]
    pub fn cut_after(self, text: &str) -> Self {
        Self { execute: true, cut_after: Some(text.to_owned()), ..self }
    }

    /// The call is carried out; the second half of its answer is missing.
    #[must_use]
    pub fn cut_in_half(self) -> Self {
        Self { execute: true, cut_half: true, ..self }
    }

    /// Instead of an answer, something else.
    #[must_use]
    pub fn instead(self, instead: Instead) -> Self {
        Self { instead, ..self }
    }

    /// The call is carried out all the same, so much after it was answered.
    #[must_use]
    pub fn late(self, after: Duration) -> Self {
        Self { late: Some(after.as_secs_f64()), ..self }
    }

    /// The call is carried out twice, and answered once.
    #[must_use]
    pub fn twice(self) -> Self {
        Self { twice: true, ..self }
    }

    /// The answer comes so much later.
    #[must_use]
    pub fn slow(self, by: Duration) -> Self {
        Self { slow: Some(by.as_secs_f64()), ..self }
    }

    /// Only calls of a state of a machine: its task's, and those of the function that it has called.
    #[must_use]
    pub fn of_state(self, machine: &str, state: &str) -> Self {
        Self { execution: Some(format!(":daypass-{machine}:")), state: Some(state.to_owned()), ..self }
    }

    /// So many calls fail.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// Every call fails, until the faults are reset.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(u32::MAX)
    }

    /// From the first hit on it is about that call to that resource in every state and execution.
    #[must_use]
    pub fn everywhere(self) -> Self {
        Self { spreads: true, ..self }
    }

    /// The first `calls` that fit pass.
    #[must_use]
    pub fn skipping(self, calls: u32) -> Self {
        Self { skip: calls, ..self }
    }

    /// Only calls whose caller's ARN contains `part`.
    #[must_use]
    pub fn by(self, part: &str) -> Self {
        Self { caller: Some(part.to_owned()), ..self }
    }

    /// Only calls whose resource's ARN contains `part`.
    #[must_use]
    pub fn on(self, part: &str) -> Self {
        Self { resource: Some(part.to_owned()), ..self }
    }

    /// Only calls whose request names this transaction.
    #[must_use]
    pub fn about(self, transaction: TransactionId) -> Self {
        Self { transaction: Some(transaction.to_string()), ..self }
    }
}

/// What a caller that may only act below a path gets for a role that is not there.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissingRole {
    /// As if it were allowed to ask.
    NoSuchEntity,
    /// As if it were not.
    AccessDenied,
}

/// The engine's own interface.
#[derive(Clone, Debug)]
pub struct Engine {
    endpoint: Endpoint,
}

impl Engine {
    /// The interface of the engine at `endpoint`.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint }
    }

    /// Every AWS call since the last reset, in the order of the answers.
    pub async fn calls(&self) -> Vec<RecordedCall> {
        #[derive(Deserialize)]
        struct Calls {
            calls: Vec<RecordedCall>,
        }
        self.get::<Calls>("/_daypass/calls").await.calls
    }

    /// Every AWS call that names a transaction, or that a function has made for it, in the order of the answers.
    pub async fn calls_about(&self, transaction: TransactionId) -> Vec<RecordedCall> {
        #[derive(Deserialize)]
        struct Calls {
            calls: Vec<RecordedCall>,
        }
        self.get::<Calls>(&format!("/_daypass/calls?transaction={transaction}")).await.calls
    }

    pub async fn forget_calls_about(&self, transaction: TransactionId) {
        self.post("/_daypass/calls/reset", &json!({"transaction": transaction})).await;
    }

    pub async fn forget_calls(&self) {
        self.post("/_daypass/calls/reset", &json!({})).await;
    }

    /// What all calls since the engine's start needed. Nothing resets it.
    pub async fn needs(&self) -> Needs {
        self.get("/_daypass/uses").await
    }

    /// Every session that STS has issued.
    pub async fn sessions(&self) -> Vec<IssuedSession> {
        #[derive(Deserialize)]
        struct Sessions {
            sessions: Vec<IssuedSession>,
        }
        self.get::<Sessions>("/_daypass/sessions").await.sessions
    }

    /// Every session that STS has issued in the name of a transaction.
    pub async fn sessions_about(&self, transaction: TransactionId) -> Vec<IssuedSession> {
        #[derive(Deserialize)]
        struct Sessions {
            sessions: Vec<IssuedSession>,
        }
        self.get::<Sessions>(&format!("/_daypass/sessions?about={transaction}")).await.sessions
    }

    /// The status of every execution that was started in the name of a transaction, by its ARN; `WAITING` is in a delay.
    pub async fn executions_about(&self, transaction: TransactionId) -> BTreeMap<String, String> {
        #[derive(Deserialize)]
        struct Executions {
            executions: BTreeMap<String, String>,
        }
        self.get::<Executions>(&format!("/_daypass/executions?transaction={transaction}")).await.executions
    }

    /// The engine's process.
    pub async fn pid(&self) -> u32 {
        #[derive(Deserialize)]
        struct Process {
            pid: u32,
        }
        self.get::<Process>("/_daypass/engine").await.pid
    }

    pub async fn arm(&self, fault: Fault) {
        self.post("/_daypass/faults", &serde_json::to_value(fault).expect("a fault")).await;
    }

    /// How many armed faults have not been used up.
    pub async fn armed(&self) -> usize {
        #[derive(Deserialize)]
        struct Faults {
            faults: Vec<Value>,
        }
        self.get::<Faults>("/_daypass/faults").await.faults.len()
    }

    /// Cancels all faults.
    pub async fn disarm(&self) {
        self.post("/_daypass/faults/reset", &json!({})).await;
    }

    /// Cancels the faults about a transaction.
    pub async fn disarm_about(&self, transaction: TransactionId) {
        self.post("/_daypass/faults/reset", &json!({"transaction": transaction})).await;
    }

    /// Lets a state try again no more often than this, where its `Retry` allows more: a day of attempts takes moments then.
    pub async fn most_attempts(&self, most: Option<u32>) {
        self.post("/_daypass/settings", &json!({"most_attempts": most})).await;
    }

    /// Lets IAM take no more calls of an account in a second than this.
    pub async fn iam_calls_per_second(&self, most: Option<f64>) {
        self.post("/_daypass/settings", &json!({"iam_calls_per_second": most})).await;
    }

    /// Chooses the answer for a role that is not there.
    pub async fn missing_role(&self, answer: MissingRole) {
        self.post("/_daypass/settings", &json!({"missing_role": answer})).await;
    }

    /// Lets sessions be as short as this, of which AWS's are fifteen minutes at least.
    pub async fn shortest_session(&self, length: Duration) {
        self.post("/_daypass/settings", &json!({"minimum_session_seconds": length.as_secs()})).await;
    }

    /// Enables or disables a user of the identity store.
    pub async fn enable_user(&self, user_id: &str, enabled: bool) {
        let status = if enabled { "ENABLED" } else { "DISABLED" };
        self.post("/_daypass/identity/user-status", &json!({"user_id": user_id, "status": status})).await;
    }

    /// Gives a group of the identity store an id of another directory, as one that comes from there has.
    pub async fn group_comes_from(&self, issuer: &str, group_id: &str) {
        let ids = json!([{"Issuer": issuer, "Id": group_id}]);
        self.post("/_daypass/identity/group-external-ids", &json!({"group_id": group_id, "external_ids": ids})).await;
    }

    /// A token of an issuer (`local/daypass_local/issuer.py` has the shape of the order).
    pub async fn identity_token(&self, issuer: &str, order: &Value) -> String {
        #[derive(Deserialize)]
        struct Token {
            token: String,
        }
        let answer = self.post(&format!("/_daypass/issuers/{issuer}/tokens"), order).await;
        serde_json::from_slice::<Token>(&answer).expect("a token").token
    }

    /// Lets an issuer sign with a new key.
    pub async fn rotate_keys(&self, issuer: &str) {
        self.post(&format!("/_daypass/issuers/{issuer}/rotate"), &json!({})).await;
    }

    /// How often the keys of an issuer were fetched.
    pub async fn key_fetches(&self, issuer: &str) -> u64 {
        #[derive(Deserialize)]
        struct Fetches {
            jwks: u64,
        }
        self.get::<Fetches>(&format!("/_daypass/issuers/{issuer}/fetches")).await.jwks
    }

    /// Makes Wait states and delays between retries `scale` times as long: 1 is AWS's pace.
    pub async fn pace(&self, scale: f64) {
        self.post("/_ministack/config", &json!({"stepfunctions._SFN_WAIT_SCALE": scale})).await;
    }

    /// Ends the delay that an execution is in: a Wait state, or the pause before another attempt. Whether it was in one.
    pub async fn end_delay(&self, execution_arn: &str) -> bool {
        #[derive(Deserialize)]
        struct Answer {
            ended: bool,
        }
        let answer = self.post("/_daypass/executions/end-delay", &json!({"execution_arn": execution_arn})).await;
        serde_json::from_slice::<Answer>(&answer).expect("an answer").ended
    }

    /// Ends every delay that an execution is in; returns how many there were.
    pub async fn end_delays(&self) -> usize {
        #[derive(Deserialize)]
        struct Answer {
            ended: usize,
        }
        let answer = self.post("/_daypass/executions/end-delays", &json!({})).await;
        serde_json::from_slice::<Answer>(&answer).expect("an answer").ended
    }

    /// Ends every delay that an execution of a transaction is in.
    pub async fn end_delays_about(&self, transaction: TransactionId) {
        self.post("/_daypass/executions/end-delays", &json!({"transaction": transaction})).await;
    }

    /// Lets schedules fire, or not.
    pub async fn schedules(&self, fire: bool) {
        self.post("/_daypass/settings", &json!({"schedules": fire})).await;
    }

    /// Undoes what scenarios change: faults, settings, pace.
    pub async fn calm(&self) {
        self.schedules(true).await;
        self.disarm().await;
        self.missing_role(MissingRole::NoSuchEntity).await;
        self.most_attempts(None).await;
        self.iam_calls_per_second(None).await;
        self.shortest_session(Duration::from_mins(15)).await;
        self.pace(1.0).await;
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let answer = self.endpoint.send(self.endpoint.request("GET", path, "")).await;
        serde_json::from_slice(&accepted(path, answer)).expect("the shape that control.py has")
    }

    async fn post(&self, path: &str, body: &Value) -> Vec<u8> {
        let mut request = self.endpoint.request("POST", path, body.to_string());
        request.headers_mut().insert("content-type", "application/json");
        let answer = self.endpoint.send(request).await;
        accepted(path, answer)
    }
}

fn accepted(path: &str, (status, body): (u16, Vec<u8>)) -> Vec<u8> {
    assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
    body
}
