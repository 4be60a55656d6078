//! Calls to AWS that fail: what their errors mean, for functions and for the command.

use std::{any::Any, error::Error, fmt};

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use daypass::{error::ErrorName, text::shortened};

/// The codes whose message repeats the request as AWS read it, and with it the session token among its headers.
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html>
const CODES_THAT_REPEAT_THE_REQUEST: [&str; 4] =
    ["SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature", "IncompleteSignatureException"];

/// A call to AWS that failed in a way that its task has no better word for.
///
/// Its text ends up in histories, logs and the table, so it never holds what AWS answered but for the code and the
/// message of an error: an answer of STS that cannot be read may have credentials in it.
#[derive(Debug, thiserror::Error)]
#[error("{} failed with {}", .0.call, .0.detail)]
pub struct AwsError(#[source] Box<FailedCall>);

/// In a box of its own, because every `Result` of a task has room for it.
#[derive(thiserror::Error)]
#[error("{source}")]
struct FailedCall {
    call: &'static str,
    code: Option<String>,
    refusal: Option<Refusal>,
    is_outage: bool,
    detail: String,
    /// Without the answer, which an [`SdkError`] keeps, and shows in its `Debug`.
    source: Box<dyn Error + Send + Sync>,
}

impl fmt::Debug for FailedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailedCall").field("call", &self.call).field("detail", &self.detail).finish_non_exhaustive()
    }
}

/// Why AWS would refuse the same call again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A policy of the organisation does not let it pass: a service control policy, or a resource control policy.
    Organization,
    /// Another policy denies it.
    ExplicitDeny,
    /// No policy allows it.
    NotAllowed,
    /// STS is not activated for the account in the Region.
    Region,
    /// Anything else: AWS's code and message say what.
    Other,
}

impl Refusal {
    /// What an error answer says of the next attempt; none when that may succeed.
    ///
    /// The HTTP status decides about every code, also one that is not known here: by its class, 4xx, the server has read the
    /// request and finds it wrong, so that the same request will be wrong again. What is excepted depends on the moment:
    /// what is missing (404) may not be visible yet, or has just gone; a conflict (409) is one with what others do; and
    /// [`Self::depends_on_time`] has what AWS answers with 400 or 403.
    fn of(status: Option<u16>, code: &str, message: &str) -> Option<Self> {
        let is_wrong =
            status.is_some_and(|status| (400..500).contains(&status) && ![404, 408, 409, 429].contains(&status));
        if !is_wrong || Self::depends_on_time(code) {
            return None;
        }
        // AWS's words: <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>. Their letters are of
        // either case.
        let message = message.to_ascii_lowercase();
        let by_organization =
            ["service control policy", "resource control policy"].iter().any(|it| message.contains(it));
        Some(match code {
            "RegionDisabledException" => Self::Region,
            code if !is_denial(code) => Self::Other,
            _ if by_organization => Self::Organization,
            _ if message.contains("explicit deny") => Self::ExplicitDeny,
            _ if message.contains("because no ") => Self::NotAllowed,
            _ => Self::Other,
        })
    }

    /// Whether AWS means this moment, though it answers with 400 or 403: it asks to slow down, or does not know the session's
    /// credentials yet or any more, or finds the request too old.
    fn depends_on_time(code: &str) -> bool {
        is_throttling(code)
            || is_missing(code)
            || matches!(
                code,
                "RequestTimeout"
                    | "RequestTimeoutException"
                    | "RequestExpired"
                    | "RequestTimeTooSkewed"
                    | "SignatureDoesNotMatch"
                    | "InvalidSignatureException"
                    | "ExpiredToken"
                    | "ExpiredTokenException"
                    | "InvalidClientTokenId"
                    | "UnrecognizedClientException"
                    | "ReplicatedWriteConflictException"
                    // Each of its writes has a reason of its own, throttling among them.
                    | "TransactionCanceledException"
            )
    }
}

/// IAM's word for what is not there, and that of Identity Center and DynamoDB.
fn is_missing(code: &str) -> bool {
    matches!(code, "NoSuchEntity" | "ResourceNotFoundException")
}

fn is_denial(code: &str) -> bool {
    matches!(code, "AccessDenied" | "AccessDeniedException")
}

/// The codes that the SDK's own retries count as throttling, less those of services that are not used here, and DynamoDB's for an
/// item that somebody else is writing.
fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottledException"
            | "RequestThrottled"
            | "TooManyRequestsException"
            | "ProvisionedThroughputExceededException"
            | "TransactionInProgressException"
            | "TransactionConflictException"
            | "RequestLimitExceeded"
            | "LimitExceededException"
            | "SlowDown"
            | "PriorRequestNotComplete"
    )
}

impl AwsError {
    /// Turns the SDK's error of `call` (written as in IAM policies: `iam:CreateRole`) into one that says what it was.
    pub fn of<E, R>(call: &'static str) -> impl FnOnce(SdkError<E, R>) -> Self
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
        R: fmt::Debug + Send + Sync + 'static,
    {
        move |error| {
            let code = error.code().map(str::to_owned);
            let is_outage = code.as_deref().is_some_and(|code| is_outage(status_of(&error), code));
            let refusal = match &code {
                Some(code) => Refusal::of(status_of(&error), code, error.message().unwrap_or_default()),
                None => refused_session(&error),
            };
            let detail = match (&code, error.message()) {
                (Some(code), Some(message)) if !CODES_THAT_REPEAT_THE_REQUEST.contains(&code.as_str()) => {
                    format!("{code}: {message}")
                }
                (Some(code), _) => code.clone(),
                (None, _) => without_code(&error),
            };
            let source = match error {
                // What could not be read may be quoted by whoever could not read it.
                SdkError::ServiceError(_) | SdkError::ResponseError(_) => detail.clone().into(),
                other => other.into_source().unwrap_or_else(Into::into),
            };
            Self(Box::new(FailedCall { call, code, refusal, is_outage, detail: shortened(&detail, 500), source }))
        }
    }

    /// AWS's code of the error, if AWS answered at all.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Whether AWS says that what the call was about is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.code().is_some_and(is_missing)
    }

    /// Whether AWS refused the call for want of permission.
    #[must_use]
    pub fn is_access_denied(&self) -> bool {
        self.code().is_some_and(is_denial)
    }

    /// Why AWS would refuse the call again; none when the same may succeed later.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        self.0.refusal
    }

    /// Whether AWS, or what stands before it, failed at the call: it may have had its effect, and may succeed when it is made again.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        self.0.is_outage
    }

    /// The name for it where a call is made in Daypass's own accounts, for somebody who waits: `Daypass.HubRefused` when AWS
    /// would refuse it again, else [`Self::name`].
    #[must_use]
    pub fn name_in_hub(&self) -> ErrorName {
        if self.refusal().is_some() { ErrorName::HubRefused } else { self.name() }
    }

    /// What happened there, and who can mend it.
    #[must_use]
    pub fn told_in_hub(&self) -> String {
        match self.refusal() {
            Some(Refusal::Organization) => format!(
                "{self}; the call is one in Daypass's own account: whoever keeps the policies of the organisation has to except \
                 Daypass's roles there from that one"
            ),
            Some(_) => {
                format!(
                    "{self}; the call is one in Daypass's own account: whoever operates Daypass has to correct its permissions or its configuration"
                )
            }
            None => self.to_string(),
        }
    }

    /// The name for it where the call is made until it succeeds, as an end is: `Daypass.Throttled` when AWS asked to slow down,
    /// else `Daypass.AwsUnavailable`. What AWS refuses may be allowed meanwhile.
    #[must_use]
    pub fn name(&self) -> ErrorName {
        if self.code().is_some_and(is_throttling) { ErrorName::Throttled } else { ErrorName::AwsUnavailable }
    }
}

/// By the HTTP status, whatever the code: 5xx, and 408, which DynamoDB and others send as 400 with this code.
fn is_outage(status: Option<u16>, code: &str) -> bool {
    status.is_some_and(|status| status >= 500 || status == 408)
        || matches!(code, "RequestTimeout" | "RequestTimeoutException")
}

fn status_of<E, R: fmt::Debug + 'static>(error: &SdkError<E, R>) -> Option<u16> {
    let answer = (error.raw_response()? as &dyn Any).downcast_ref::<HttpResponse>()?;
    Some(answer.status().as_u16())
}

/// Why there will be no session to make the call with, if another call has been refused for it.
fn refused_session(error: &(dyn Error + 'static)) -> Option<Refusal> {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.filter_map(|cause| cause.downcast_ref::<AwsError>()).find_map(AwsError::refusal)
}

/// What is known about a failure that AWS has put no code to.
fn without_code<E: Error + 'static, R: fmt::Debug + 'static>(error: &SdkError<E, R>) -> String {
    if error.raw_response().is_none() {
        // There was no answer: nothing in the chain of causes knows more than addresses and time limits.
        return with_causes(error);
    }
    match status_of(error) {
        Some(status) => format!("an answer that cannot be read (HTTP {status})"),
        None => "an answer that cannot be read".to_owned(),
    }
}

fn with_causes(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {}", with_causes(cause)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words are AWS's: its guide has them (`troubleshoot_access-denied`), and the answers that users have met.
    #[test]
    fn a_refusal_is_one_when_the_same_call_would_be_refused_again() {
        const PERSON: &str = "User: arn:aws:sts::1:assumed-role/daypass-provisioner/x is not authorized to perform: iam:CreateRole on resource: y";
        let said = |status, code, why: &str| Refusal::of(status, code, &format!("{PERSON} {why}"));
        let denied = |why: &str| said(Some(403), "AccessDenied", why);
        let by_policy = "with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o-1/service_control_policy/p-1";
        assert_eq!(denied(by_policy), Some(Refusal::Organization));
        assert_eq!(denied("with an explicit deny in a resource control policy"), Some(Refusal::Organization));
        assert_eq!(denied("due to an explicit deny in a Service Control Policy"), Some(Refusal::Organization));
        assert_eq!(
            denied("because no service control policy allows the iam:CreateRole action"),
            Some(Refusal::Organization)
        );
        for policy in
            ["a permissions boundary", "an identity-based policy", "a session policy", "a VPC endpoint policy"]
        {
            assert_eq!(denied(&format!("with an explicit deny in {policy}")), Some(Refusal::ExplicitDeny), "{policy}");
        }
        for policy in ["permissions boundary", "identity-based policy", "session policy", "resource-based policy"] {
            let why = format!("because no {policy} allows the iam:CreateRole action");
            assert_eq!(denied(&why), Some(Refusal::NotAllowed), "{policy}");
        }
        assert_eq!(denied(""), Some(Refusal::Other));
        // DynamoDB, KMS and others refuse with 400.
        let by_json = said(Some(400), "AccessDeniedException", "because no identity-based policy allows it");
        assert_eq!(by_json, Some(Refusal::NotAllowed));

        assert_eq!(said(Some(403), "RegionDisabledException", ""), Some(Refusal::Region));
        for code in
            ["MalformedPolicyDocument", "PackedPolicyTooLarge", "DisabledException", "OptInRequired", "NeverHeardOf"]
        {
            assert_eq!(said(Some(400), code, ""), Some(Refusal::Other), "{code}");
        }
        // Whatever is said of a policy, it is the code that says whether it was about one.
        assert_eq!(said(Some(400), "MalformedPolicyDocument", by_policy), Some(Refusal::Other));

        for status in [404, 408, 409, 429, 500, 503] {
            assert_eq!(said(Some(status), "NeverHeardOf", by_policy), None, "{status}");
        }
        assert_eq!(said(None, "AccessDenied", by_policy), None, "there was no answer");
        for code in [
            "Throttling",
            "LimitExceededException",
            "ExpiredToken",
            "InvalidClientTokenId",
            "RequestExpired",
            "NoSuchEntity",
        ] {
            assert_eq!(said(Some(400), code, ""), None, "{code}");
        }
    }
}
