//! Parses a request and resolves what it asks for: persona, group, lifetime, role; or parses a renewal.
//!
//! Pure: no AWS, no clock. A bad request is answered with everything that is wrong with it, at once.

use std::time::Duration;

use daypass::{
    contract::{
        Derived, Renewal, Request, Transaction, ValidateInput,
        fields::{Problem, Problems},
        in_hours, read_renewal, read_request,
    },
    decision::{self, PersonaAsked},
    ids::TransactionId,
    named,
    persona::{DEFAULT_ROLE_TTL, Environment, Persona, Personas},
    stage::Stage,
    text::{Quoted, shortened},
    timestamp::Timestamp,
};
use serde::Serialize;
use serde_json::Value;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

/// The task.
#[derive(Debug)]
pub struct Validate {
    personas: Personas,
    min_role_ttl: Duration,
    partition: String,
}

impl Validate {
    /// A task for these personas. No role may live shorter than `min_role_ttl`; `partition` is AWS's (`aws`).
    #[must_use]
    pub fn new(personas: Personas, min_role_ttl: Duration, partition: String) -> Self {
        Self { personas, min_role_ttl, partition }
    }

    /// The transaction that `request` asks for, made by the execution of this name that started then.
    ///
    /// # Errors
    /// Everything that is wrong with the request.
    pub fn request(
        &self,
        id: TransactionId,
        requested_at: Timestamp,
        request: &Value,
    ) -> Result<Transaction, ValidateError> {
        let mut problems = Problems::default();
        if !id.is_random() {
            let message =
                format!("the name of the execution, {id}, is not a random UUID (version 4); start it without a name");
            problems.push(Problem::new("transaction_id", message));
        }
        let transaction = read_request(request, recipient, &mut problems)
            .and_then(|(request, recipient)| self.resolve(id, requested_at, request, recipient, &mut problems));
        accepted(transaction, problems)
    }

    /// Derives the rest from the request and personas.json, and adds what contradicts them to `problems`.
    fn resolve(
        &self,
        transaction_id: TransactionId,
        requested_at: Timestamp,
        request: Request,
        recipient: String,
        problems: &mut Problems,
    ) -> Option<Transaction> {
        let environment = self.environment(&request, problems);
        let asked = PersonaAsked::GroupType(request.group_type.as_deref());
        let persona = decision::persona(&self.personas, asked);
        let persona = persona.map_err(|refusal| problems.push(Problem::new("group_type", refusal.to_string()))).ok()?;
        let derived = Derived {
            transaction_id,
            requested_at,
            ttl: self.role_ttl(request.role_ttl_hours, persona, environment, problems)?,
            environment: environment.map(|it| it.name().to_owned()),
            group_type: request.group_type.clone().unwrap_or_else(|| self.personas.default_group_type().to_owned()),
            persona: persona.name().to_owned(),
            group_name: self.personas.group_name(&request.target_aws_account_id, persona),
            partition: self.partition.clone(),
        };
        Some(Transaction::of(request, recipient, derived))
    }

    /// The environment of the account. Name and id must agree when either is known; an account that is wholly unknown
    /// has none, and is authz's to deny: a denial is recorded, so that the audit trail shows who asked for it.
    fn environment(&self, request: &Request, problems: &mut Problems) -> Option<&Environment> {
        let (name, id) = (&request.target_aws_account, &request.target_aws_account_id);
        match (self.personas.account_named(name), self.personas.account(id)) {
            (Some(named), _) if named.id() == id => return Some(named.environment()),
            (None, None) => {}
            (Some(named), _) => {
                let message = format!("{id} is not the account {}, whose id is {}", Quoted(name), named.id());
                problems.push(Problem::new("target_aws_account_id", message));
            }
            (None, Some(account)) => {
                let message = format!("{} is not the name of {id}, which is `{}`", Quoted(name), account.name());
                problems.push(Problem::new("target_aws_account", message));
            }
        }
        None
    }

    fn role_ttl(
        &self,
        hours: Option<f64>,
        persona: &Persona,
        environment: Option<&Environment>,
        problems: &mut Problems,
    ) -> Option<Duration> {
        let cap = persona.max_role_ttl(environment);
        // Whole seconds, as everything that reads the expiry has them.
        let default = Duration::from_secs(DEFAULT_ROLE_TTL.min(cap).as_secs());
        let hours = hours.unwrap_or(in_hours(default));
        let ttl = Duration::try_from_secs_f64((hours * 3600.0).round());
        match ttl {
            Ok(ttl) if (self.min_role_ttl..=cap).contains(&ttl) => Some(ttl),
            _ => {
                let (least, most) = (in_hours(self.min_role_ttl), in_hours(cap));
                let place = environment.map_or_else(String::new, |it| format!(" in {}", it.name()));
                let hours = shortened(&hours.to_string(), 20);
                let message =
                    format!("{hours} is out of range: {} may have {least} to {most} hours{place}", persona.name());
                problems.push(Problem::new("role_ttl_hours", message));
                None
            }
        }
    }
}

/// What validate answers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Validated {
    /// To a request.
    Transaction(Box<Transaction>),
    /// To a renewal.
    Renewal(Renewal),
}

/// The renewal that the caller of the renew machine sent.
///
/// # Errors
/// Everything that is wrong with it.
pub fn renewal(sent: &Value) -> Result<Renewal, ValidateError> {
    let mut problems = Problems::default();
    let renewal = read_renewal(sent, recipient, &mut problems);
    accepted(renewal, problems)
}

impl Stage for Validate {
    type Input = ValidateInput;
    type Output = Validated;
    type Error = ValidateError;

    async fn run(&self, input: ValidateInput, _now: Timestamp) -> Result<Validated, ValidateError> {
        match input {
            ValidateInput::Request { transaction_id, requested_at, request } => self
                .request(transaction_id, requested_at, &request)
                .map(|transaction| Validated::Transaction(Box::new(transaction))),
            ValidateInput::Renewal(sent) => renewal(&sent).map(Validated::Renewal),
        }
    }
}

/// An age X25519 public key. Parsed in full, so that a key that cannot be sealed to is refused before a role exists.
fn recipient(text: &str) -> Result<String, String> {
    text.parse::<age::x25519::Recipient>().map(|key| key.to_string()).map_err(|_| {
        // Not repeated: whoever sends the secret half by mistake must not find it in a history.
        "it is not an age X25519 public key; send the `age1…` line that `age-keygen` prints".to_owned()
    })
}

/// What was read, if nothing is wrong with it.
fn accepted<T>(read: Option<T>, problems: Problems) -> Result<T, ValidateError> {
    match read {
        Some(read) if problems.is_empty() => Ok(read),
        _ => Err(ValidateError::InvalidRequest(problems)),
    }
}

/// Why a request or a renewal is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// It is not what the contract says.
    #[error("{0}")]
    InvalidRequest(Problems),
}

named!(ValidateError {
    Self::InvalidRequest(_) => InvalidRequest,
});
