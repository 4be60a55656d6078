//! The request and the renewal as a pipeline sends them, field by field.

use std::str::FromStr;

use daypass::{
    branch::{MAX_BRANCH_CHARS, is_branch},
    contract::Renewal,
    ids::{AccountId, Email, IdError},
    text::Quoted,
};
use serde_json::Value;

use crate::fields::{Fields, Problems};

/// What AWS allows for the name of an account.
const ACCOUNT_NAME_CHARS: usize = 50;
/// What IAM allows for the value of a tag, so that the tags of the role can say what the request said.
const TAGGED_CHARS: usize = 256;
/// An encrypted token has 2 to 6 KiB; Step Functions takes 256 KiB for a whole request.
const IDENTITY_TOKEN_CHARS: usize = 16 * 1024;
/// Long enough for a sentence or two; the table keeps them forever.
const JUSTIFICATION_CHARS: usize = 512;

/// What belongs into `recipient`.
const RECIPIENT: &str = "an age public key, made for this run with `age-keygen`";

/// A request whose fields are well-formed, each by itself.
pub struct Request {
    pub email: Email,
    pub branch: String,
    pub target_aws_account: String,
    pub target_aws_account_id: AccountId,
    pub group_type: Option<String>,
    pub recipient: String,
    pub repository: Option<String>,
    pub run_url: Option<String>,
    pub justification: Option<String>,
    pub role_ttl_hours: Option<f64>,
}

/// Reads a request. Everything that is wrong with it is added to `problems`; without a required field there is none.
pub fn read(request: &Value, problems: &mut Problems) -> Option<Request> {
    let mut fields = Fields::of(request, "request", problems)?;
    let email = fields.required("email", "the address of the person who triggered the pipeline", id);
    let branch = fields.required("branch", "the branch that is deployed", branch);
    let account = fields.required("target_aws_account", "the name of the account to deploy to", |name| {
        printable_ascii(name, ACCOUNT_NAME_CHARS)
    });
    let account_id = fields.required("target_aws_account_id", "the 12 digits of that account", id);
    let recipient = fields.required("recipient", RECIPIENT, recipient);
    let group_type = fields.optional("group_type", |text| Ok(text.to_owned()));
    let repository = fields.optional("repository", repository);
    let run_url = fields.optional("run_url", run_url);
    let justification = fields.optional("justification", justification);
    let role_ttl_hours = fields.optional_number("role_ttl_hours");
    // Only looked at: it is prove's, and goes there straight from the request.
    fields.optional("identity_token", identity_token);
    fields.refuse_others();
    Some(Request {
        email: email?,
        branch: branch?,
        target_aws_account: account?,
        target_aws_account_id: account_id?,
        group_type,
        recipient: recipient?,
        repository,
        run_url,
        justification,
        role_ttl_hours,
    })
}

/// Reads a renewal, in the same way.
pub fn read_renewal(renewal: &Value, problems: &mut Problems) -> Option<Renewal> {
    let mut fields = Fields::of(renewal, "renewal", problems)?;
    let transaction_id = fields.required("transaction_id", "the id that the request was answered with", id);
    let recipient = fields.required("recipient", RECIPIENT, recipient);
    fields.optional("identity_token", identity_token);
    fields.refuse_others();
    Some(Renewal { transaction_id: transaction_id?, recipient: recipient? })
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
        Err(format!("{} is no name of a git branch of at most {MAX_BRANCH_CHARS} characters", Quoted(text)))
    }
}

/// An age X25519 public key. Parsed in full, so that a key that cannot be sealed to is refused before a role exists.
fn recipient(text: &str) -> Result<String, String> {
    text.parse::<age::x25519::Recipient>().map(|key| key.to_string()).map_err(|_| {
        // Not repeated: whoever sends the secret half by mistake must not find it in a history.
        "it is no age X25519 public key; send the `age1…` line that `age-keygen` prints".to_owned()
    })
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
            "it is no JWE in compact form (five parts of base64url): encrypt the identity token of the run to this \
                  deployment's key"
                .to_owned(),
        ),
    }
}

fn repository(text: &str) -> Result<String, String> {
    if text.contains('/') && text.bytes().all(|b| b.is_ascii_graphic()) && text.len() <= TAGGED_CHARS {
        Ok(text.to_owned())
    } else {
        Err(format!("{} is no repository such as owner/name of at most {TAGGED_CHARS} characters", Quoted(text)))
    }
}

fn run_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").unwrap_or_default();
    if !rest.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) && text.len() <= TAGGED_CHARS {
        Ok(text.to_owned())
    } else {
        Err(format!("{} is no https:// address of at most {TAGGED_CHARS} characters", Quoted(text)))
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

fn printable_ascii(text: &str, most: usize) -> Result<String, String> {
    let printable = |b: u8| b.is_ascii_graphic() || b == b' ';
    if text.trim() == text && (1..=most).contains(&text.len()) && text.bytes().all(printable) {
        Ok(text.to_owned())
    } else {
        Err(format!("{} is not 1 to {most} characters of printable ASCII", Quoted(text)))
    }
}
