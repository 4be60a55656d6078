//! What a caller asks for: one table of the fields, which validate reads by, the client sends by and the documentation shows.
//!
//! A new optional field is one row here. If it is recorded, it is a field of [`Transaction`] as well.

use std::{str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fields::{Field, Fields, Problems};
use crate::{
    branch::{MAX_BRANCH_CHARS, is_branch},
    ids::{AccountId, Email, IdError, RoleArn, TransactionId},
    text::Quoted,
    timestamp::Timestamp,
};

/// What AWS allows for the name of an account.
const ACCOUNT_NAME_CHARS: usize = 50;
/// What IAM allows for the value of a tag, so that the tags of the role can say what the request said.
const TAGGED_CHARS: usize = 256;
/// An encrypted token has 2 to 6 KiB; Step Functions takes 256 KiB for a whole request.
const IDENTITY_TOKEN_CHARS: usize = 16 * 1024;
/// Long enough for a sentence or two; the table keeps them forever.
const JUSTIFICATION_CHARS: usize = 512;

/// Defines a struct with its table of fields, and how each of them is read.
macro_rules! fields {
    (
        $(#[$about:meta])* $name:ident
        required { $($required:ident: $type:ty = $parse:expr, $meaning:literal, $limits:literal, $example:literal;)* }
        optional { $($optional:ident: $optional_type:ty = $read:expr, $optional_meaning:literal, $optional_limits:literal, $optional_example:literal;)* }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct $name {
            $(#[doc = $meaning] pub $required: $type,)*
            $(
                #[doc = $optional_meaning]
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $optional: Option<$optional_type>,
            )*
        }

        impl $name {
            /// The table of the fields, in the order of the contract.
            pub const FIELDS: &[Field] = &[
                $(Field::required(stringify!($required), $meaning, $limits, stringify!($example)),)*
                $(Field::optional(stringify!($optional), $optional_meaning, $optional_limits, stringify!($optional_example)),)*
            ];

            /// One without its optional fields.
            #[must_use]
            pub const fn new($($required: $type),*) -> Self {
                Self { $($required,)* $($optional: None,)* }
            }

            /// Reads the fields, and adds what is wrong with them to the problems; none when a required one is missing or wrong.
            fn read(fields: &mut Fields<'_>) -> Option<Self> {
                $(let $required = fields.required(stringify!($required), $meaning, $parse);)*
                $(let $optional = $read(fields, stringify!($optional));)*
                Some(Self { $($required: $required?,)* $($optional,)* })
            }
        }
    };
}

fields! {
    /// What is asked for. The caller adds a key that the answer is sealed to, and the identity token: [`ProvisionInput`].
    Request
    required {
        email: Email = id, "the e-mail address of the person who triggered the pipeline", "as in Identity Center; ASCII, at most 254 characters", "alex@example.com";
        branch: String = branch, "the branch that is deployed", "without `refs/heads/`; a valid name of a git branch of at most 256 characters", "feature/receipts";
        target_aws_account: String = account_name, "the name of the target account", "as in `personas.json`; at most 50 characters of printable ASCII", "payments-dev";
        target_aws_account_id: AccountId = id, "the 12 digits of the target account", "must belong to the name", "222222222222";
    }
    optional {
        group_type: String = text(|any| Ok(any.to_owned())), "the group type, which selects the persona", "default `Product-Deployers`, or what `personas.json` has as `default_group_type`", "Product-Deployers";
        role_ttl_hours: f64 = Fields::optional_number, "the longest life of the role in hours", "fractions allowed; from the deployment's minimum (0.25 by default) to the cap of persona and environment; default 24, or the cap if that is lower", 0.5;
        repository: String = text(repository), "the repository that is deployed", "`owner/name`, at most 256 characters of printable ASCII without spaces; recorded; with an identity token it must be the run's", "example/payments";
        run_url: String = text(run_url), "the address of the CI run", "`https://…`, at most 256 characters; recorded; with an identity token it must be the run's", "https://ci.example.com/runs/1";
        justification: String = text(justification), "the reason for the access, for auditors", "one line of 1 to 512 characters; recorded", "CHG-1234: second transit gateway";
    }
}

/// A caller adds it to a request and to a renewal.
pub const RECIPIENT: Field = Field::required(
    "recipient",
    "an age public key, made for this run with `age-keygen`",
    "X25519, `age1…`; the credentials are encrypted to it",
    r#""age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p""#,
);
/// Likewise. It goes to prove past the transaction, so that it is in nothing that is passed on or recorded.
pub const IDENTITY_TOKEN: Field = Field::optional(
    "identity_token",
    "the identity token of the CI run, encrypted to the deployment's key",
    "a JWE ([identity.md](identity.md)) of at most 16,384 characters; required, unless `personas.json` opens the environment; a token that \
     is sent is always verified; it is valid for one transaction and one `recipient`",
    r#""a.b.c.d.e""#,
);
/// Names what is renewed.
pub const TRANSACTION_ID: Field = Field::required(
    "transaction_id",
    "the id that the request was answered with",
    "a UUID",
    r#""6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11""#,
);

/// Input of the machine that provisions, as its callers write it.
#[derive(Clone, Debug, Serialize)]
pub struct ProvisionInput<'a> {
    /// What is asked for.
    #[serde(flatten)]
    pub request: &'a Request,
    /// The public key that the credentials are sealed to.
    pub recipient: &'a str,
    /// The identity token in its envelope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_token: Option<&'a str>,
}

impl ProvisionInput<'_> {
    /// The table of its fields.
    pub fn fields() -> impl Iterator<Item = &'static Field> {
        let (required, optional): (Vec<_>, Vec<_>) = Request::FIELDS.iter().partition(|field| field.is_required);
        required.into_iter().chain([&RECIPIENT]).chain(optional).chain([&IDENTITY_TOKEN])
    }
}

/// Input of the machine that renews, as its callers write it.
#[derive(Clone, Debug, Serialize)]
pub struct RenewInput<'a> {
    /// The transaction whose credentials are to be renewed.
    pub transaction_id: TransactionId,
    /// The public key that the new credentials are sealed to.
    pub recipient: &'a str,
    /// The identity token in its envelope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_token: Option<&'a str>,
}

impl RenewInput<'_> {
    /// The table of its fields.
    pub fn fields() -> impl Iterator<Item = &'static Field> {
        [&TRANSACTION_ID, &RECIPIENT, &IDENTITY_TOKEN].into_iter()
    }
}

/// Reads what a caller of the machine that provisions has sent: the request, and the key that it is to be answered to. Everything that
/// is wrong with it is added to `problems`. `recipient` judges the key, in words for the caller.
pub fn read_request(
    sent: &Value,
    recipient: impl FnOnce(&str) -> Result<String, String>,
    problems: &mut Problems,
) -> Option<(Request, String)> {
    let mut fields = Fields::of(sent, "request", problems)?;
    let request = Request::read(&mut fields);
    let recipient = fields.required(RECIPIENT.name, RECIPIENT.meaning, recipient);
    fields.optional(IDENTITY_TOKEN.name, identity_token);
    fields.refuse_others();
    Some((request?, recipient?))
}

/// A renewal that was understood: output of validate, input of record's look-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renewal {
    /// The transaction whose credentials are to be renewed.
    pub transaction_id: TransactionId,
    /// The age X25519 public key that the new credentials are sealed to.
    pub recipient: String,
}

/// Reads a renewal, in the same way.
pub fn read_renewal(
    sent: &Value,
    recipient: impl FnOnce(&str) -> Result<String, String>,
    problems: &mut Problems,
) -> Option<Renewal> {
    let mut fields = Fields::of(sent, "renewal", problems)?;
    let transaction_id = fields.required(TRANSACTION_ID.name, TRANSACTION_ID.meaning, id);
    let recipient = fields.required(RECIPIENT.name, RECIPIENT.meaning, recipient);
    fields.optional(IDENTITY_TOKEN.name, identity_token);
    fields.refuse_others();
    Some(Renewal { transaction_id: transaction_id?, recipient: recipient? })
}

/// Defines a struct whose names of fields are a constant.
macro_rules! with_names {
    ($(#[$about:meta])* $name:ident { $($(#[$field_about:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$about])*
        pub struct $name {
            $($(#[$field_about])* pub $field: $type,)*
        }

        impl $name {
            /// The names of the fields: what of a transaction's item is the transaction itself.
            pub const FIELDS: &[&str] = &[$(stringify!($field)),*];
        }
    };
}

with_names! {
    /// A validated request with everything derived from it: output of validate, input of all that follow. Of a renewal it is the
    /// recorded one with the renewal's recipient.
    ///
    /// Optional fields are absent, never null.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    Transaction {
        /// The name of the execution.
        transaction_id: TransactionId,
        /// When the execution started.
        requested_at: Timestamp,
        /// When the access ends, whatever else happens.
        expires_at: Timestamp,
        /// From `requested_at` to `expires_at`, in hours.
        role_ttl_hours: f64,
        /// Who triggered the pipeline, as the request says.
        email: Email,
        /// The branch that is deployed, without `refs/heads/`.
        branch: String,
        /// The target account's name.
        target_aws_account: String,
        /// The target account.
        target_aws_account_id: AccountId,
        /// The target account's environment; absent when the account is unknown, which authz denies.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        environment: Option<String>,
        /// The group type as requested, or the default.
        group_type: String,
        /// The persona that the group type names.
        persona: String,
        /// The Identity Center group of this account and persona.
        group_name: String,
        /// The name of the deploy role.
        role_name: String,
        /// The ARN that the deploy role will have.
        role_arn: RoleArn,
        /// The age X25519 public key that the credentials are sealed to.
        recipient: String,
        /// The repository that is deployed, as the request says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repository: Option<String>,
        /// Where to see the pipeline's run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run_url: Option<String>,
        /// Why the access is needed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        justification: Option<String>,
    }
}

/// What validate derives from a request and `personas.json`.
#[derive(Clone, Debug)]
pub struct Derived {
    /// The name of the execution.
    pub transaction_id: TransactionId,
    /// When the execution started.
    pub requested_at: Timestamp,
    /// How long the access lasts.
    pub ttl: Duration,
    /// The target account's environment; none when the account is unknown.
    pub environment: Option<String>,
    /// The group type as requested, or the default.
    pub group_type: String,
    /// The persona that the group type names.
    pub persona: String,
    /// The Identity Center group of this account and persona.
    pub group_name: String,
    /// AWS's partition, such as `aws`.
    pub partition: String,
}

impl Transaction {
    /// The transaction that a request becomes.
    #[must_use]
    pub fn of(request: Request, recipient: String, derived: Derived) -> Self {
        let Derived { transaction_id, requested_at, ttl, environment, group_type, persona, group_name, partition } =
            derived;
        Self {
            transaction_id,
            requested_at,
            expires_at: requested_at.plus(ttl),
            role_ttl_hours: in_hours(ttl),
            email: request.email,
            branch: request.branch,
            target_aws_account: request.target_aws_account,
            environment,
            group_type,
            persona,
            group_name,
            role_name: transaction_id.role_name(),
            role_arn: transaction_id.role_arn(&partition, &request.target_aws_account_id),
            target_aws_account_id: request.target_aws_account_id,
            recipient,
            repository: request.repository,
            run_url: request.run_url,
            justification: request.justification,
        }
    }
}

/// `ttl` in hours, as `role_ttl_hours` has it.
#[must_use]
pub fn in_hours(ttl: Duration) -> f64 {
    ttl.as_secs_f64() / 3600.0
}

/// An optional text, as `parse` reads it.
fn text<T>(parse: impl FnOnce(&str) -> Result<T, String>) -> impl FnOnce(&mut Fields<'_>, &'static str) -> Option<T> {
    |fields, name| fields.optional(name, parse)
}

fn id<T: FromStr<Err = IdError>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: IdError| error.to_string())
}

fn branch(text: &str) -> Result<String, String> {
    if let Some(branch) = text.strip_prefix("refs/heads/") {
        return Err(format!("{} is a ref; send the branch alone: {}", Quoted(text), Quoted(branch)));
    }
    if is_branch(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("{} is not the name of a git branch of at most {MAX_BRANCH_CHARS} characters", Quoted(text)))
    }
}

/// The identity token of the run in its envelope, unopened: a JWE in compact form.
fn identity_token(text: &str) -> Result<(), String> {
    let base64url = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let parts = text.split('.').filter(|part| base64url(part)).count();
    // Never repeated: it may be the token itself.
    match (parts, text.split('.').count()) {
        (5, 5) if text.len() <= IDENTITY_TOKEN_CHARS => Ok(()),
        (5, 5) => Err(format!("it is longer than {IDENTITY_TOKEN_CHARS} characters")),
        (_, 3) => Err("it is not encrypted, and now stands in the log of this execution: encrypt it to this \
                       deployment's key (JWE, RSA-OAEP-256 and A256GCM), and get a new one for the next request"
            .to_owned()),
        _ => Err(
            "it is not a JWE in compact form (five parts of base64url): encrypt the identity token of the run to this \
                  deployment's key"
                .to_owned(),
        ),
    }
}

fn repository(text: &str) -> Result<String, String> {
    if text.contains('/') && text.bytes().all(|b| b.is_ascii_graphic()) && text.len() <= TAGGED_CHARS {
        Ok(text.to_owned())
    } else {
        Err(format!("{} is not a repository such as owner/name of at most {TAGGED_CHARS} characters", Quoted(text)))
    }
}

fn run_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").unwrap_or_default();
    if !rest.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) && text.len() <= TAGGED_CHARS {
        Ok(text.to_owned())
    } else {
        Err(format!("{} is not an https:// address of at most {TAGGED_CHARS} characters", Quoted(text)))
    }
}

/// Any text that an auditor can read; that is asked of every field.
fn justification(text: &str) -> Result<String, String> {
    let length = text.chars().count();
    if text.trim().is_empty() || length > JUSTIFICATION_CHARS {
        Err(format!(
            "it has {length} characters; it has to be one line of 1 to {JUSTIFICATION_CHARS}, and not of spaces alone"
        ))
    } else {
        Ok(text.to_owned())
    }
}

fn account_name(text: &str) -> Result<String, String> {
    let printable = |b: u8| b.is_ascii_graphic() || b == b' ';
    if text.trim() == text && (1..=ACCOUNT_NAME_CHARS).contains(&text.len()) && text.bytes().all(printable) {
        Ok(text.to_owned())
    } else {
        Err(format!("{} is not 1 to {ACCOUNT_NAME_CHARS} characters of printable ASCII", Quoted(text)))
    }
}
