//! The deployed stack, as the scenarios see it.

use std::{
    collections::HashMap,
    env,
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_iam::types::Role;
use aws_sdk_identitystore::types::{AlternateIdentifier, MemberId, UniqueAttribute};
use aws_sdk_sfn::{
    operation::start_sync_execution::builders::StartSyncExecutionFluentBuilder,
    types::{ExecutionStatus, SyncExecutionStatus},
};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use daypass::{contract::Cause, ids::TransactionId, names::OPEN_ROLES_TABLE, timestamp::Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::{
    sync::{RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Instant, sleep},
};

use crate::{
    aws::{Aws, Call, Endpoint, Refused},
    engine::Engine,
    pipeline::{Access, Account, Answer, Failure, Request},
};

/// How long something may take that happens by itself. Generous: it is waited for in full only when a test fails.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);

/// Who uses the engine: many scenarios at once, or one that changes how it behaves. Holds whether one has.
static TURNS: RwLock<bool> = RwLock::const_new(false);

#[expect(dead_code, reason = "held until the scenario ends")]
enum Turn {
    Shared(RwLockReadGuard<'static, bool>),
    Alone(RwLockWriteGuard<'static, bool>),
}

/// The names of the deployment, from the environment that `daypass_local run` gives its command.
#[derive(Clone, Debug)]
pub struct Names {
    /// The state machine that provisions.
    pub provision: String,
    /// The state machine that renews.
    pub renew: String,
    /// The state machine that takes away.
    pub deprovision: String,
    /// The state machine that starts that one for what nobody ends.
    pub sweep: String,
    /// The table of transactions.
    pub table: String,
    /// The hub account.
    pub hub: String,
    pub identity_store: String,
    /// The key that identity tokens are encrypted to.
    pub token_key: String,
}

/// How an execution of the deprovision machine ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    pub status: ExecutionStatus,
    /// What it returned; null when it failed.
    pub output: Value,
    /// The error name, when it failed.
    pub error: Option<String>,
    /// What was said about it.
    pub cause: Option<String>,
}

/// The deployed stack: its pipeline, its administrators and its engine.
pub struct Stack {
    /// The engine itself.
    pub engine: Engine,
    /// The deployment's names.
    pub names: Names,
    /// A pipeline: the invoker's credentials.
    pub invoker: Aws,
    endpoint: Endpoint,
    _turn: Turn,
}

impl Stack {
    /// The stack, beside other scenarios.
    pub async fn shared() -> Self {
        loop {
            let turn = TURNS.read().await;
            if !*turn {
                return Self::from_environment(Turn::Shared(turn));
            }
            drop(turn);
            // Whoever was here alone may have ended in a panic: it is undone for them.
            let mut turn = TURNS.write().await;
            if *turn {
                Engine::new(endpoint()).calm().await;
                *turn = false;
            }
        }
    }

    /// The stack, while no other scenario runs: for those that break something, or count every call. No schedule fires,
    /// unless the scenario wants it.
    pub async fn alone() -> Self {
        let mut turn = TURNS.write().await;
        *turn = true;
        let stack = Self::from_environment(Turn::Alone(turn));
        stack.engine.calm().await;
        stack.engine.schedules(false).await;
        stack.stop_what_is_left().await;
        stack.engine.forget_calls().await;
        stack
    }

    /// Stops a sweep that is at work, the leases that other scenarios have left, and whatever ends a transaction of theirs
    /// patiently.
    async fn stop_what_is_left(&self) {
        let states = self.hub().states();
        for machine in [&self.names.sweep, &self.names.deprovision] {
            let running = states.list_executions().state_machine_arn(machine);
            let mut pages = running.status_filter(ExecutionStatus::Running).into_paginator().items().send();
            while let Some(left) = pages.next().await {
                let left = left.expect("an execution").execution_arn;
                match states.stop_execution().execution_arn(left).send().await.map_err(Refused::from) {
                    Ok(_) => {}
                    // It has ended meanwhile.
                    Err(refused) => assert_eq!(refused.code, "ValidationException", "{refused}"),
                }
            }
        }
    }

    fn from_environment(turn: Turn) -> Self {
        let endpoint = endpoint();
        let invoker = Credentials::new(
            variable("AWS_ACCESS_KEY_ID"),
            variable("AWS_SECRET_ACCESS_KEY"),
            Some(variable("AWS_SESSION_TOKEN")),
            None,
            "environment",
        );
        let deprovision = variable("DAYPASS_DEPROVISION_ARN");
        Self {
            engine: Engine::new(endpoint.clone()),
            names: Names {
                provision: variable("DAYPASS_PROVISION_ARN"),
                renew: variable("DAYPASS_RENEW_ARN"),
                // Whoever asks for roles need not know it.
                sweep: deprovision.replace(":daypass-deprovision", ":daypass-sweep"),
                deprovision,
                table: variable("DAYPASS_TABLE"),
                hub: variable("DAYPASS_HUB_ACCOUNT_ID"),
                identity_store: variable("DAYPASS_IDENTITY_STORE_ID"),
                token_key: variable("DAYPASS_IDENTITY_TOKEN_KEY_ARN"),
            },
            invoker: endpoint.with(invoker),
            endpoint,
            _turn: turn,
        }
    }

    /// The administrator of the hub account.
    #[must_use]
    pub fn hub(&self) -> Aws {
        self.root(&self.names.hub)
    }

    /// The administrator of an account.
    #[must_use]
    pub fn root(&self, account: &str) -> Aws {
        // The engine takes an account's id for its root's access key, with any secret.
        self.endpoint.with(Credentials::new(account, "local", None, None, "root"))
    }

    /// Whoever has these credentials.
    #[must_use]
    pub fn with(&self, credentials: &Credentials) -> Aws {
        self.endpoint.with(credentials.clone())
    }

    /// The pipeline asks for access.
    pub async fn send(&self, request: &Request) -> Result<Answer, Refused> {
        let start = self.invoker.states().start_sync_execution().state_machine_arn(&self.names.provision);
        Self::answer(start.name(&request.name).input(request.body.to_string())).await
    }

    /// What an execution that somebody waits for answers.
    async fn answer(start: StartSyncExecutionFluentBuilder) -> Result<Answer, Refused> {
        let answer = start.send().await?;
        let result = if answer.status == SyncExecutionStatus::Succeeded {
            Ok(serde_json::from_str(&answer.output.expect("an output")).expect("JSON"))
        } else {
            assert_eq!(answer.status, SyncExecutionStatus::Failed, "{:?} {:?}", answer.error, answer.cause);
            assert_eq!(answer.output, None, "a failed execution has no output");
            let (error, cause) = (answer.error.expect("an error"), answer.cause.expect("a cause"));
            let cause: Value =
                serde_json::from_str(&cause).unwrap_or_else(|e| panic!("{error}: the cause ({e}): {cause}"));
            assert_eq!(cause.as_object().map(Map::len), Some(3), "{error}: {cause}");
            let cause = Cause::deserialize(&cause).unwrap_or_else(|e| panic!("{error}: the cause ({e}): {cause}"));
            Err(Failure { error, cause })
        };
        Ok(Answer { execution_arn: answer.execution_arn, result })
    }

    /// The pipeline asks for access, and Step Functions takes the request.
    pub async fn ask(&self, request: &Request) -> Answer {
        self.send(request).await.unwrap_or_else(|refused| panic!("{refused}"))
    }

    /// The pipeline asks for new credentials.
    pub async fn ask_again(&self, renewal: &Value) -> Answer {
        let start = self.invoker.states().start_sync_execution().state_machine_arn(&self.names.renew);
        Self::answer(start.input(renewal.to_string())).await.unwrap_or_else(|refused| panic!("{refused}"))
    }

    /// The pipeline asks for new credentials and gets them. Of the request only the name and the recipient are sent again,
    /// and the identity token, if there is one.
    pub async fn renew(&self, request: &Request) -> Access {
        let answer = self.ask_again(&request.renewal()).await;
        let grant = answer.result.unwrap_or_else(|failure| panic!("{}: {failure:?}", request.name));
        Access::open(request, answer.execution_arn, grant)
    }

    /// The pipeline asks for new credentials and does not get them.
    pub async fn no_renewal(&self, renewal: &Value) -> Failure {
        self.ask_again(renewal).await.result.expect_err("no credentials")
    }

    /// The pipeline asks for access and gets it.
    pub async fn provision(&self, request: &Request) -> Access {
        let answer = self.ask(request).await;
        let grant = answer.result.unwrap_or_else(|failure| panic!("{}: {failure:?}", request.name));
        Access::open(request, answer.execution_arn, grant)
    }

    /// The pipeline asks for access and does not get it.
    pub async fn failure(&self, request: &Request) -> Failure {
        self.ask(request).await.result.expect_err("no access")
    }

    /// The pipeline assumes the deploy role.
    pub async fn try_assume(&self, access: &Access) -> Result<Aws, Refused> {
        self.assume_with(&self.with(&access.session), &access.role_arn).await
    }

    /// The pipeline assumes the deploy role.
    pub async fn assume(&self, access: &Access) -> Aws {
        self.try_assume(access).await.unwrap_or_else(|refused| panic!("{refused}"))
    }

    /// Somebody assumes a role.
    pub async fn assume_with(&self, somebody: &Aws, role_arn: &str) -> Result<Aws, Refused> {
        let request = somebody.sts().assume_role().role_arn(role_arn).role_session_name("payments-pipeline");
        let issued = request.duration_seconds(900).send().await?.credentials.expect("credentials");
        let (key, secret) = (issued.access_key_id, issued.secret_access_key);
        Ok(self.with(&Credentials::new(key, secret, Some(issued.session_token), None, "sts")))
    }

    /// The pipeline gives its role back; returns the execution that takes it away.
    pub async fn release(&self, access: &Access) -> String {
        let name = format!("{}-release-{}", access.transaction_id, uuid::Uuid::new_v4().simple());
        let input = json!({"transaction_id": access.transaction_id});
        self.start_deprovisioning(&name, &input).await.unwrap_or_else(|refused| panic!("{refused}"))
    }

    /// The pipeline gives its role back, and the role is taken away.
    pub async fn released(&self, access: &Access) -> Ended {
        self.ended(&self.release(access).await).await
    }

    /// The pipeline starts the deprovision machine with this input; returns the execution.
    pub async fn start_deprovisioning(&self, name: &str, input: &Value) -> Result<String, Refused> {
        let request = self.invoker.states().start_execution().state_machine_arn(&self.names.deprovision);
        Ok(request.name(name).input(input.to_string()).send().await?.execution_arn)
    }

    /// The pipeline gives a transaction back with this input, under a name of its own, and waits for the end.
    pub async fn deprovision(&self, input: &Value) -> Ended {
        let name = format!("{}-release", uuid::Uuid::new_v4());
        let started = self.start_deprovisioning(&name, input).await;
        self.ended(&started.unwrap_or_else(|refused| panic!("{refused}"))).await
    }

    /// The execution that waits for a transaction's expiry.
    #[must_use]
    pub fn lease(&self, transaction: TransactionId) -> String {
        format!("{}:{transaction}", self.names.deprovision.replace(":stateMachine:", ":execution:"))
    }

    /// The status of a transaction's lease; nothing when there is no lease.
    pub async fn lease_status(&self, transaction: TransactionId) -> Option<ExecutionStatus> {
        self.status_of(&self.lease(transaction)).await
    }

    /// Whether there is such an execution of the deprovision machine.
    pub async fn is_there(&self, execution_arn: &str) -> bool {
        match self.describe(execution_arn).await {
            Ok(_) => true,
            Err(refused) if refused.code == "ExecutionDoesNotExist" => false,
            Err(refused) => panic!("{refused}"),
        }
    }

    /// Waits until an execution of the deprovision machine has ended.
    pub async fn ended(&self, execution_arn: &str) -> Ended {
        self.ended_within(PATIENCE, execution_arn).await
    }

    /// The same, for one that takes longer than most.
    pub async fn ended_within(&self, patience: Duration, execution_arn: &str) -> Ended {
        let deadline = Instant::now() + patience;
        loop {
            let found = self.describe(execution_arn).await.unwrap_or_else(|refused| panic!("{refused}"));
            if found.status != ExecutionStatus::Running {
                return found;
            }
            assert!(Instant::now() < deadline, "{execution_arn} has not ended");
            sleep(POLL).await;
        }
    }

    /// The status of an execution of the deprovision machine; nothing when there is none.
    pub async fn status_of(&self, execution_arn: &str) -> Option<ExecutionStatus> {
        match self.describe(execution_arn).await {
            Ok(execution) => Some(execution.status),
            Err(refused) if refused.code == "ExecutionDoesNotExist" => None,
            Err(refused) => panic!("{refused}"),
        }
    }

    /// An execution of the deprovision machine as it is now.
    pub async fn described(&self, execution_arn: &str) -> Ended {
        self.describe(execution_arn).await.unwrap_or_else(|refused| panic!("{refused}"))
    }

    async fn describe(&self, execution_arn: &str) -> Result<Ended, Refused> {
        Self::describe_as(&self.invoker, execution_arn).await
    }

    async fn describe_as(somebody: &Aws, execution_arn: &str) -> Result<Ended, Refused> {
        let found = somebody.states().describe_execution().execution_arn(execution_arn).send().await?;
        let output = found.output.map_or(Value::Null, |output| serde_json::from_str(&output).expect("JSON"));
        Ok(Ended { status: found.status, output, error: found.error, cause: found.cause })
    }

    /// An operator starts a sweep, as the schedule does every five minutes; returns its execution, and how it ended. It reads every
    /// open transaction, of which there can be many.
    pub async fn sweep(&self) -> (String, Ended) {
        let hub = self.hub();
        let start = hub.states().start_execution().state_machine_arn(&self.names.sweep).input("{}");
        let execution = start.send().await.expect("it is started").execution_arn;
        let deadline = Instant::now() + PATIENCE * 10;
        loop {
            let found = Self::describe_as(&hub, &execution).await.unwrap_or_else(|refused| panic!("{refused}"));
            if found.status != ExecutionStatus::Running {
                return (execution, found);
            }
            assert!(Instant::now() < deadline, "{execution} has not ended");
            sleep(POLL).await;
        }
    }

    /// The executions of the deprovision machine that a `sweep`, the `cleanup` of provision or a `release` has started for a transaction.
    pub async fn started_by(&self, whom: &str, transaction: TransactionId) -> Vec<String> {
        let states = self.hub().states();
        let all = states.list_executions().state_machine_arn(&self.names.deprovision);
        let (mut pages, mut found) = (all.into_paginator().items().send(), Vec::new());
        while let Some(execution) = pages.next().await {
            let execution = execution.expect("an execution");
            if execution.name.starts_with(&format!("{transaction}-{whom}-")) {
                found.push(execution.execution_arn);
            }
        }
        found
    }

    /// Sets a text of a transaction's item, whatever it was: so that a scenario need not wait for minutes.
    pub async fn set(&self, transaction: impl ToString, attribute: &str, text: impl ToString) {
        let (key, value) = (AttributeValue::S(transaction.to_string()), AttributeValue::S(text.to_string()));
        let update = self.hub().dynamodb().update_item().table_name(&self.names.table).key("transaction_id", key);
        let update =
            update.update_expression("SET #attribute = :value").condition_expression("attribute_exists(#attribute)");
        let update = update.expression_attribute_names("#attribute", attribute);
        update.expression_attribute_values(":value", value).send().await.expect("it is set");
    }

    /// Every event of an execution, as Step Functions writes it. (AWS keeps none of an EXPRESS execution; the engine
    /// does.)
    pub async fn history(&self, execution_arn: &str) -> Vec<Value> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Page {
            events: Vec<Value>,
            next_token: Option<Value>,
        }
        let (hub, mut events) = (self.hub(), Vec::new());
        let mut request = json!({"executionArn": execution_arn, "maxResults": 1000});
        loop {
            let body = request.to_string();
            let call = Call::Json("states", "AWSStepFunctions.GetExecutionHistory", &body);
            let answer = hub.call(&call).await.unwrap_or_else(|refused| panic!("{refused}"));
            let page: Page = serde_json::from_str(&answer).expect("a page of history");
            events.extend(page.events);
            match page.next_token {
                Some(token) => request["nextToken"] = token,
                None => return events,
            }
        }
    }

    /// The names of the states that an execution entered.
    pub async fn states_of(&self, execution_arn: &str) -> Vec<String> {
        let name = |event: &Value| Some(event.get("stateEnteredEventDetails")?["name"].as_str()?.to_owned());
        self.history(execution_arn).await.iter().filter_map(name).collect()
    }

    /// How many transactions that have not ended have a place of this holder, a person in an account or an account.
    pub async fn open_roles(&self, holder: &str) -> usize {
        let get = self.hub().dynamodb().get_item().table_name(OPEN_ROLES_TABLE).consistent_read(true);
        let answer = get.key("holder", AttributeValue::S(holder.to_owned())).send().await.expect("the table");
        let item = answer.item.unwrap_or_default();
        let Some(AttributeValue::Ss(open)) = item.get("open") else { return 0 };
        let mut still = 0;
        for id in open {
            let status = self.item(id).await.map(|item| item["status"].as_str().unwrap_or_default().to_owned());
            let ended = status.is_none_or(|it| ["denied", "failed", "deprovisioned"].contains(&it.as_str()));
            still += usize::from(!ended);
        }
        still
    }

    /// The item of a transaction in the table; nothing when there is none.
    pub async fn item(&self, transaction: impl ToString) -> Option<Value> {
        let key = AttributeValue::S(transaction.to_string());
        let request = self.hub().dynamodb().get_item().table_name(&self.names.table).key("transaction_id", key);
        let found = request.consistent_read(true).send().await.expect("the table can be read");
        found.item.map(|item| object(&item))
    }

    /// The status of a transaction in the table.
    pub async fn status(&self, transaction: TransactionId) -> String {
        let item = self.item(transaction).await.unwrap_or_else(|| panic!("{transaction} is not recorded"));
        item["status"].as_str().expect("a status").to_owned()
    }

    /// The deployment package of a function: a zip file.
    pub async fn package(&self, function: &str) -> Vec<u8> {
        let path = format!("/2015-03-31/functions/{function}");
        let found = self.hub().call(&Call::Rest("lambda", "GET", &path)).await.expect("the function");
        let found: Value = serde_json::from_str(&found).expect("JSON");
        let url = found["Code"]["Location"].as_str().expect("where its package is");
        // Whatever host it names: it is this engine.
        let path = format!("/{}", url.splitn(4, '/').nth(3).expect("a path"));
        let (status, package) = self.endpoint.send(self.endpoint.request("GET", &path, "")).await;
        assert_eq!(status, 200, "{url}");
        package
    }

    /// Gives a function another deployment package.
    pub async fn put_package(&self, function: &str, package: &[u8]) {
        let path = format!("/2015-03-31/functions/{function}/code");
        let body = json!({"ZipFile": BASE64_STANDARD.encode(package)}).to_string();
        let call = Call::RestJson("lambda", "PUT", &path, &body);
        self.hub().call(&call).await.unwrap_or_else(|refused| panic!("{refused}"));
    }

    /// Every item of the table.
    pub async fn items(&self) -> Vec<Value> {
        let dynamodb = self.hub().dynamodb();
        let mut pages = dynamodb.scan().table_name(&self.names.table).into_paginator().send();
        let mut items = Vec::new();
        while let Some(page) = pages.next().await {
            items.extend(page.expect("a page").items.unwrap_or_default().iter().map(object));
        }
        items
    }

    /// A transaction's role, as the administrator of its account sees it; nothing when there is none.
    pub async fn role(&self, transaction: TransactionId, account: &str) -> Option<Role> {
        let iam = self.root(account).iam();
        match iam.get_role().role_name(transaction.role_name()).send().await.map_err(Refused::from) {
            Ok(found) => found.role,
            Err(refused) if refused.code == "NoSuchEntity" => None,
            Err(refused) => panic!("{refused}"),
        }
    }

    /// Whether an access's role is there.
    pub async fn role_is_there(&self, access: &Access) -> bool {
        self.role(access.transaction_id, access.account()).await.is_some()
    }

    /// Nothing is left of a transaction: no item, no lease, no role in any account.
    pub async fn assert_untouched(&self, transaction: TransactionId) {
        assert_eq!(self.item(transaction).await, None, "an item");
        assert_eq!(self.lease_status(transaction).await, None, "a lease");
        for account in Account::ALL {
            assert!(self.role(transaction, account.id()).await.is_none(), "a role in {}", account.id());
        }
    }

    /// The environment variables of a function, as they are deployed.
    pub async fn function_environment(&self, function: &str) -> Value {
        let path = format!("/2015-03-31/functions/{function}/configuration");
        let answer = self.hub().call(&Call::Rest("lambda", "GET", &path)).await;
        let configuration: Value = serde_json::from_str(&answer.unwrap_or_else(|e| panic!("{e}"))).expect("JSON");
        configuration["Environment"]["Variables"].clone()
    }

    /// Deploys a function with other environment variables.
    pub async fn set_function_environment(&self, function: &str, variables: &Value) {
        let path = format!("/2015-03-31/functions/{function}/configuration");
        let body = json!({"Environment": {"Variables": variables}}).to_string();
        self.hub().call(&Call::RestJson("lambda", "PUT", &path, &body)).await.unwrap_or_else(|e| panic!("{e}"));
    }

    /// Takes a person out of a group of the identity store, or puts them in.
    pub async fn set_membership(&self, login: &str, group: &str, member: bool) {
        let (identities, store) = (self.hub().identities(), &self.names.identity_store);
        let person = MemberId::UserId(self.user_id(login).await);
        let named = UniqueAttribute::builder().attribute_path("displayName").attribute_value(group.into());
        let named = AlternateIdentifier::UniqueAttribute(named.build().expect("an attribute"));
        let id = identities.get_group_id().identity_store_id(store).alternate_identifier(named);
        let id = id.send().await.expect("the group").group_id;
        if member {
            let create = identities.create_group_membership().identity_store_id(store).group_id(id);
            create.member_id(person).send().await.expect("they are in it");
            return;
        }
        let all = identities.list_group_memberships().identity_store_id(store).group_id(id).send().await;
        let theirs =
            all.expect("the members").group_memberships.into_iter().find(|it| it.member_id == Some(person.clone()));
        let theirs = theirs.unwrap_or_else(|| panic!("{login} is not in {group}")).membership_id;
        let delete = identities.delete_group_membership().identity_store_id(store).membership_id(theirs);
        delete.send().await.expect("they are out of it");
    }

    /// The id of a person of the identity store.
    pub async fn user_id(&self, login: &str) -> String {
        let mut pages =
            self.hub().identities().list_users().identity_store_id(&self.names.identity_store).into_paginator().send();
        while let Some(page) = pages.next().await {
            let users = page.expect("a page").users;
            if let Some(user) = users.into_iter().find(|user| user.user_name() == Some(&format!("{login}@example.com")))
            {
                return user.user_id;
            }
        }
        panic!("{login} is nobody");
    }
}

/// Polls until `wanted` is true.
pub async fn until(what: &str, mut wanted: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !wanted().await {
        assert!(Instant::now() < deadline, "in vain: {what}");
        sleep(POLL).await;
    }
}

/// Whether a moment has come.
#[must_use]
pub fn has_come(moment: Timestamp) -> bool {
    now() >= moment
}

/// Waits for a moment.
pub async fn at(moment: Timestamp) {
    sleep(moment.since(now())).await;
}

fn now() -> Timestamp {
    Timestamp::from_datetime(SystemTime::now().into())
}

fn endpoint() -> Endpoint {
    Endpoint::new(variable("AWS_ENDPOINT_URL"), variable("AWS_REGION"))
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this through `python -m daypass_local run --`"))
}

fn object(attributes: &HashMap<String, AttributeValue>) -> Value {
    Value::Object(attributes.iter().map(|(name, value)| (name.clone(), plain(value))).collect::<Map<_, _>>())
}

fn plain(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!(text),
        AttributeValue::N(number) => serde_json::from_str(number).expect("a number"),
        AttributeValue::Bool(flag) => json!(flag),
        AttributeValue::L(list) => list.iter().map(plain).collect(),
        AttributeValue::Ss(set) => json!(set),
        AttributeValue::M(map) => object(map),
        AttributeValue::Null(_) => Value::Null,
        other => panic!("an attribute of a type that no item has: {other:?}"),
    }
}
