//! What a pipeline sends, and what it gets back.

use std::time::Duration;

use age::x25519::Identity;
use aws_credential_types::Credentials;
use daypass::{
    contract::{self, Cause, Grant, ProvisionInput, SessionCredentials},
    ids::TransactionId,
    timestamp::Timestamp,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// A target account of the local deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// payments-dev, non-production.
    Development,
    /// payments-prod, production.
    Production,
}

impl Account {
    pub const ALL: [Self; 2] = [Self::Development, Self::Production];

    /// The account's id.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Development => "222222222222",
            Self::Production => "333333333333",
        }
    }

    /// The account's name in `personas.json`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Development => "payments-dev",
            Self::Production => "payments-prod",
        }
    }
}

/// A transaction id that nobody has used.
#[must_use]
pub fn new_transaction_id() -> TransactionId {
    Uuid::new_v4().to_string().parse().expect("a UUID")
}

/// A request for access, and the key that the answer is to be sealed to.
#[derive(Clone)]
pub struct Request {
    /// The name of the execution.
    pub name: String,
    pub body: Value,
    key: Identity,
}

impl Request {
    /// The person `login` deploys a feature branch to payments-dev, as `Product_Admin`.
    #[must_use]
    pub fn by(login: &str) -> Self {
        let key = Identity::generate();
        let request = contract::Request::new(
            format!("{login}@example.com").parse().expect("an address"),
            "feature/receipts".to_owned(),
            Account::Development.name().to_owned(),
            Account::Development.id().parse().expect("an id"),
        );
        let recipient = key.to_public().to_string();
        let body = json!(ProvisionInput { request: &request, recipient: &recipient, identity_token: None });
        Self { name: new_transaction_id().to_string(), body, key }
    }

    /// The same to another account, from the branch `main`.
    #[must_use]
    pub fn to(self, account: Account) -> Self {
        self.with("target_aws_account", account.name())
            .with("target_aws_account_id", account.id())
            .with("branch", "main")
    }

    /// The same for so long.
    #[must_use]
    pub fn lasting(self, ttl: Duration) -> Self {
        self.with("role_ttl_hours", ttl.as_secs_f64() / 3600.0)
    }

    /// The same with this field.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.body[field] = value.into();
        self
    }

    /// The same without this field.
    #[must_use]
    pub fn without(mut self, field: &str) -> Self {
        self.body.as_object_mut().expect("an object").remove(field);
        self
    }

    /// The same with another body altogether.
    #[must_use]
    pub fn saying(self, body: Value) -> Self {
        Self { body, ..self }
    }

    /// The same as another transaction.
    #[must_use]
    pub fn under_another_name(self) -> Self {
        Self { name: new_transaction_id().to_string(), ..self }
    }

    /// The same with another key: what is sealed from now on is for this one.
    #[must_use]
    pub fn with_another_key(self) -> Self {
        let key = Identity::generate();
        let recipient = key.to_public().to_string();
        Self { key, ..self }.with("recipient", recipient)
    }

    /// What asks for new credentials of the transaction that the request became.
    #[must_use]
    pub fn renewal(&self) -> Value {
        let mut renewal = json!({"transaction_id": self.name, "recipient": self.body["recipient"]});
        if let Some(token) = self.body.get("identity_token") {
            renewal["identity_token"] = token.clone();
        }
        renewal
    }

    /// The same under this execution name.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// The transaction that the request becomes.
    #[must_use]
    pub fn transaction_id(&self) -> TransactionId {
        self.name.parse().expect("the name is a UUID")
    }

    /// Opens what was sealed to this request's key.
    #[must_use]
    pub fn unseal(&self, sealed: &str) -> Value {
        let opened = age::decrypt(&self.key, sealed.as_bytes()).expect("sealed to this key");
        serde_json::from_slice(&opened).expect("JSON inside")
    }
}

/// What `StartSyncExecution` answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub execution_arn: String,
    /// The output of one that succeeded, or how it failed.
    pub result: Result<Value, Failure>,
}

/// How an execution failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The error name.
    pub error: String,
    /// What the contract says about it.
    pub cause: Cause,
}

/// The answer to a request that was granted, opened.
#[derive(Clone, Debug)]
pub struct Access {
    pub transaction_id: TransactionId,
    /// The execution that made it.
    pub execution_arn: String,
    /// The answer as it came.
    pub grant: Value,
    /// The deploy role.
    pub role_arn: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The credentials that were sealed.
    pub session: Credentials,
}

impl Access {
    /// Reads the answer to `request`.
    #[must_use]
    pub fn open(request: &Request, execution_arn: String, grant: Value) -> Self {
        let text = |field: &str| grant[field].as_str().expect("a string").to_owned();
        let inside = request.unseal(&text("sealed_credentials"));
        assert_eq!(inside.as_object().map(Map::len), Some(4), "nothing else is sealed");
        let inside = SessionCredentials::deserialize(inside).expect("the four fields");
        let granted = Grant::deserialize(&grant).expect("what the contract says");
        let expires = time_of(inside.expiration);
        let session = Credentials::new(
            inside.access_key_id.clone(),
            inside.secret_access_key.clone(),
            Some(inside.session_token.clone()),
            Some(expires),
            "daypass",
        );
        Self {
            transaction_id: request.transaction_id(),
            role_arn: granted.iam_role_arn.to_string(),
            expires_at: granted.expires_at,
            execution_arn,
            grant,
            session,
        }
    }

    /// The deploy role's name.
    #[must_use]
    pub fn role_name(&self) -> String {
        self.transaction_id.role_name()
    }

    /// The account of the deploy role.
    #[must_use]
    pub fn account(&self) -> &str {
        self.role_arn.split(':').nth(4).expect("an ARN")
    }
}

fn time_of(at: Timestamp) -> std::time::SystemTime {
    let epoch: Timestamp = "1970-01-01T00:00:00Z".parse().expect("a timestamp");
    std::time::SystemTime::UNIX_EPOCH + at.since(epoch)
}
