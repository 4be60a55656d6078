//! Why a command did not do what it was asked: what is printed, and the exit code.

use std::{error::Error as _, iter::successors, process::ExitCode};

use aws_credential_types::provider::error::CredentialsError;
use daypass::{
    error::{Class, ErrorName},
    ids::TransactionId,
    text::plain,
};
use daypass_aws::AwsError;
use serde_json::{Value, json};

use crate::{client::asking::OnlyOwn, remedies};

/// What a caller can do about it, in one number each. docs/cli.md has the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Wrong usage, or wrong configuration.
    Usage,
    /// It could not be done now; the same may succeed later.
    TryAgain,
    /// It was denied; the same will be denied again.
    Denied,
    /// Anything else.
    Failed,
    /// A signal of this number came.
    Interrupted(i32),
}

impl Kind {
    /// The exit code: those of `sysexits.h` where there is one, and of shells for signals.
    pub fn code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Failed => 70,
            Self::TryAgain => 75,
            Self::Denied => 77,
            Self::Interrupted(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }

    /// What an error of this name is.
    pub const fn of(name: ErrorName) -> Self {
        match name.class() {
            Class::Denied => Self::Denied,
            Class::TryAgain => Self::TryAgain,
            Class::Failed => Self::Failed,
        }
    }
}

/// What went wrong. It holds no secret: nothing in it comes from credentials, keys or tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<Parts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    kind: Kind,
    /// One sentence, without a full stop.
    reason: String,
    remedy: Option<String>,
    /// `Daypass.NotAMember`, when Daypass said so.
    name: Option<String>,
    /// `denied` or `failed`, likewise; `unconfirmed` for a release that Daypass has, and whose end is not known.
    status: Option<String>,
    transaction: Option<String>,
}

impl Error {
    /// What went wrong, without more.
    pub fn new(kind: Kind, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self(Box::new(Parts { kind, reason, remedy: None, name: None, status: None, transaction: None }))
    }

    /// The command line, the environment or the configuration is wrong.
    pub fn usage(reason: impl Into<String>) -> Self {
        Self::new(Kind::Usage, reason)
    }

    /// What Daypass itself has said.
    pub fn named(name: &str, status: &str, reason: &str) -> Self {
        // A newer deployment may know more names.
        let kind =
            ErrorName::from_wire(name).map_or(if status == "denied" { Kind::Denied } else { Kind::Failed }, Kind::of);
        let mut error = Self::new(kind, reason);
        error.0.name = Some(name.to_owned());
        error.0.status = Some(status.to_owned());
        error.0.remedy = remedies::remedy(name).map(str::to_owned);
        error
    }

    /// The same with what to do about it.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.0.remedy = Some(remedy.into());
        self
    }

    /// The same with one more thing to know or to do.
    pub fn and(mut self, more: &str) -> Self {
        self.0.remedy = Some(
            self.0
                .remedy
                .take()
                .map_or_else(|| more.to_owned(), |remedy| format!("{}; {more}", remedy.trim_end_matches('.'))),
        );
        self
    }

    /// The same with what was to be done.
    pub fn context(mut self, what: &str) -> Self {
        self.0.reason = format!("{what}: {}", self.0.reason);
        self
    }

    /// The same with how far Daypass has come.
    pub fn status(mut self, status: &str) -> Self {
        self.0.status = Some(status.to_owned());
        self
    }

    /// The same about this transaction.
    pub fn about(mut self, transaction: TransactionId) -> Self {
        self.0.transaction = Some(transaction.to_string());
        self
    }

    /// What can be done about it.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Whether it is Daypass's error of this name.
    pub fn is(&self, name: ErrorName) -> bool {
        self.0.name.as_deref() == Some(name.as_str())
    }

    /// Whether Daypass itself has said it.
    pub fn is_named(&self) -> bool {
        self.0.name.is_some()
    }

    /// What went wrong, and what to do about it, in one line.
    pub fn line(&self) -> String {
        let remedy = self.0.remedy.as_ref().map_or_else(String::new, |remedy| format!(" ({remedy})"));
        format!("{}{remedy}", self.0.reason)
    }

    /// What went wrong, in a sentence.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.0.kind.code())
    }

    /// Where to read more; only errors of Daypass have a section.
    fn docs(&self, docs_url: Option<&str>) -> Option<String> {
        let mut anchor = self.0.name.as_ref()?.to_lowercase();
        anchor.retain(|c| c.is_ascii_alphanumeric());
        Some(format!("{}/errors.md#{anchor}", docs_url.unwrap_or(remedies::DOCS_URL).trim_end_matches('/')))
    }

    /// For people: one line for each thing to know, whatever others have written there. In a log of GitHub a line is a command that
    /// begins with `::`, also after blanks.
    pub fn text(&self, docs_url: Option<&str>, color: bool) -> String {
        let Parts { reason, remedy, name, status, transaction, .. } = &*self.0;
        let (red, bold, reset) = if color { ("\x1b[31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
        let mut lines = vec![format!("{red}daypass:{reset} {bold}{}{reset}", plain(reason))];
        if let Some(name) = name {
            lines.push(format!("  error: {} ({})", plain(name), plain(status.as_deref().unwrap_or("failed"))));
        }
        lines.extend(transaction.iter().map(|id| format!("  transaction: {}", plain(id))));
        lines.extend(remedy.iter().map(|remedy| format!("  what to do: {}", plain(remedy))));
        lines.extend(self.docs(docs_url).map(|url| format!("  more: {}", plain(&url))));
        lines.push(String::new());
        lines.join("\n")
    }

    /// For programs.
    pub fn json(&self, docs_url: Option<&str>) -> Value {
        let Parts { reason, remedy, name, status, transaction, .. } = &*self.0;
        json!({
            "error": name,
            "reason": reason,
            "remedy": remedy,
            "docs": self.docs(docs_url),
            "transaction_id": transaction,
            "status": status,
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{}", .0.reason())]
pub struct Cause(pub Error);

/// Why there are no credentials to make a call with, if that is why it failed. What credentials are had with may be out of order for a
/// moment only.
pub fn lacking_credentials(error: &AwsError) -> Option<Error> {
    const NONE: &str = "there are no AWS credentials to call Daypass with";
    let causes = || successors(error.source(), |cause| (*cause).source());
    if let Some(Cause(error)) = causes().find_map(|cause| cause.downcast_ref::<Cause>()) {
        return Some(error.clone().context(NONE));
    }
    if let Some(call) = causes().find_map(|cause| cause.downcast_ref::<AwsError>()) {
        let error = Error::from(call);
        let error = if error.kind() == Kind::Failed {
            error.remedy(
                "check that `invoker_role_arn` lets this run, or this user, assume it; from GitHub it lets in the \
                 workflow files that the deployment lists (`github.job_workflow_refs`), in repositories of its owner",
            )
        } else {
            error
        };
        return Some(error.context(NONE));
    }
    let mut causes = causes();
    if let Some(own) = causes.find_map(|cause| cause.downcast_ref::<OnlyOwn>()) {
        return Some(Error::usage(own.to_string()).remedy(
            "run `daypass` where the credentials for Daypass are: outside the command that has the role, or with \
             `aws_profile` (DAYPASS_AWS_PROFILE)",
        ));
    }
    let mut cause = error.source()?;
    let mut lacking = loop {
        match cause.downcast_ref::<CredentialsError>() {
            Some(lacking) => break lacking,
            None => cause = cause.source()?,
        }
    };
    // A profile may lead to another, whose error says what is wrong.
    while let Some(inner) = lacking.source().and_then(|cause| cause.downcast_ref::<CredentialsError>()) {
        lacking = inner;
    }
    Some(match lacking {
        CredentialsError::CredentialsNotLoaded(_) => Error::usage(
            "there are no AWS credentials to call Daypass with: none in the environment, in a profile, or from this \
             machine",
        )
        .remedy(
            "log in to AWS, set AWS_PROFILE or AWS_ACCESS_KEY_ID, or set `invoker_role_arn` in a CI run that can have \
             OIDC tokens",
        ),
        other => {
            let why = in_one_line(&other.source().map_or_else(|| other.to_string(), ToString::to_string));
            Error::new(Kind::Failed, format!("{NONE}: {why}")).remedy(
                "check that the profile is logged in, or that `invoker_role_arn` lets this run, or this user, assume \
                 it",
            )
        }
    })
}

/// What an SDK has to say, which lists in lines where it has looked for credentials.
pub fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl From<AwsError> for Error {
    fn from(error: AwsError) -> Self {
        Self::from(&error)
    }
}

impl From<&AwsError> for Error {
    fn from(error: &AwsError) -> Self {
        if let Some(lacking) = lacking_credentials(error) {
            return lacking;
        }
        let text = in_one_line(&error.to_string());
        match error.code() {
            None => Self::new(Kind::TryAgain, text).remedy("check that AWS can be reached from here, then try again"),
            Some(_) if error.name() == ErrorName::Throttled => {
                Self::new(Kind::TryAgain, text).remedy("AWS asked to slow down: try again in a minute")
            }
            Some("ExpiredToken" | "ExpiredTokenException") => {
                Self::new(Kind::Failed, text).remedy("the AWS credentials for Daypass have expired: log in again")
            }
            Some("InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidSignatureException") => {
                Self::new(Kind::Failed, text).remedy("the AWS credentials for Daypass are invalid")
            }
            Some(_) if error.is_access_denied() => Self::new(Kind::Failed, text).remedy(
                "use credentials of the invoker role, or set `invoker_role_arn` (the hub stack's output \
                 InvokerRoleArn)",
            ),
            Some("StateMachineDoesNotExist") => Self::usage(text)
                .remedy("correct `provision_arn`: the hub stack's outputs have the ARNs of its machines"),
            Some("ExecutionLimitExceeded") => Self::new(Kind::TryAgain, text)
                .remedy("the account has as many open executions as AWS allows: tell the platform team, and try again"),
            Some(_) if error.is_outage() => Self::new(Kind::TryAgain, text).remedy("AWS has an outage: try again"),
            Some("SignatureDoesNotMatch" | "RequestExpired" | "RequestTimeTooSkewed") => Self::new(Kind::Failed, text)
                .remedy(
                    "set the clock of this machine (`daypass doctor` compares it), and check that no proxy changes \
                         requests",
                ),
            Some(_) => Self::new(Kind::Failed, text).remedy(
                "AWS will refuse the same again: give this text to the platform team; `daypass doctor` may say \
                         more",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use daypass_testing::samples::aws_error;

    use super::*;

    #[test]
    fn every_name_has_its_exit_code() {
        let code = |name: ErrorName| Error::named(name.as_str(), "failed", "so it is").kind().code();
        let codes: Vec<String> = ErrorName::ALL.iter().map(|name| format!("{name} {}", code(*name))).collect();
        insta::assert_snapshot!(codes.join("\n"));
    }

    #[test]
    fn an_error_is_printed_with_reason_remedy_and_link() {
        let id = "6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11".parse().unwrap();
        let error = Error::named("Daypass.NotAMember", "denied", "alex is no member\u{1b}[2J").about(id);
        insta::assert_snapshot!("error.txt", error.text(Some("https://docs.example.com/"), false));
        insta::assert_snapshot!("error.json", format!("{:#}", error.json(None)));
        assert!(error.text(None, true).starts_with("\x1b[31mdaypass:\x1b[0m "), "{:?}", error.text(None, true));
        let own = Error::usage("nothing is set").remedy("set something");
        assert_eq!(own.text(None, false), "daypass: nothing is set\n  what to do: set something\n");
    }

    /// Whatever Daypass, AWS or the configuration have said.
    #[test]
    fn nothing_that_others_have_written_has_a_line_of_its_own() {
        let forged = "so\n::add-mask::x\r\n  ::error::y\u{85}\u{2028}\u{202e}\u{200b}\u{1b}[2J";
        let error = Error::named(forged, forged, forged).context(forged).remedy(forged).and(forged);
        let text = error.text(Some(forged), false);
        let begins = ["daypass: so", "  error: so", "  what to do: so", "  more: so"];
        assert_eq!(text.lines().count(), begins.len(), "{text}");
        for (line, begin) in text.lines().zip(begins) {
            assert!(line.starts_with(begin), "{text}");
            daypass_testing::invariants::check_message(line, 1_000);
        }
        assert_eq!(
            error.json(Some("https://docs.example.com"))["docs"],
            "https://docs.example.com/errors.md#soaddmaskxerrory2j"
        );
    }

    #[test]
    fn what_aws_says_decides_whether_to_try_again() {
        let kind = |code: &str| Error::from(aws_error("sts:AssumeRole", code)).kind();
        for code in [
            "ThrottlingException",
            "ServiceUnavailable",
            "InternalFailure",
            "ServiceFailure",
            "GatewayTimeout",
            "RequestTimeout",
            "ExecutionLimitExceeded",
        ] {
            assert_eq!(kind(code), Kind::TryAgain, "{code}");
        }
        for code in ["AccessDenied", "AccessDeniedException", "ExpiredToken", "InvalidClientTokenId", "ValidationError"]
        {
            assert_eq!(kind(code), Kind::Failed, "{code}");
        }
        assert_eq!(kind("StateMachineDoesNotExist"), Kind::Usage);
    }

    /// Whatever answers of AWS can have in them, nothing of it is printed but codes and messages.
    #[test]
    fn no_answer_of_aws_is_printed() {
        use daypass_testing::samples::leaks::{SECRETS, failed_calls};
        for failed in failed_calls() {
            let error = Error::from(failed);
            let said = format!("{} {} {error:?}", error.text(None, false), error.json(None));
            assert!(SECRETS.iter().all(|secret| !said.contains(secret)), "{said}");
        }
    }
}
